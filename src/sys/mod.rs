//! Every unsafe block of the program, and safe functions over the system calls; linked into every process.

pub mod account;
pub mod apart;
pub mod capability;
pub mod clock;
pub mod confine;
pub mod crypt;
pub mod dl;
pub mod fence;
pub mod heap;
pub mod kernel;
pub mod landlock;
pub mod limits;
pub mod lock;
pub mod logfile;
pub mod memory;
pub mod names;
pub mod oom;
pub mod pam;
pub mod process;
pub mod report;
pub mod resolve;
pub mod rseq;
pub mod schedule;
pub mod seccomp;
pub mod small;
pub mod socket;
pub mod stamps;
pub mod syslog;
pub mod title;
pub mod tree;
pub mod utmp;

// The unwinder that the standard library asks for, from the archive instead of the shared object: five mappings fewer, which each fork of
// a session would copy and each exit give back.
#[cfg(target_env = "gnu")]
#[link(name = "gcc_eh", kind = "static", modifiers = "-bundle")]
unsafe extern "C" {}
