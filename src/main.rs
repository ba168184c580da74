//! The command line: turns arguments into the master, one subcommand, or a refusal; runs before any process is forked.
fn main() {}
