//! The load that `scripts/bench` puts on a server, and the limits it is judged by: one task for each call, one line of JSON
//! for each task. `load TASK NAME=VALUE…`; a server that lacks the command is told apart from a failure by exit status 3.
//!
//! The clients are threads with blocking sockets that copy nothing they need not: a download is thrown away in the kernel
//! (`MSG_TRUNC`), an upload leaves by `sendfile`. What they cost is part of the answer, so that a row in which they, and
//! not the server, were the limit can be seen.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod bare;
mod client;
mod data;
mod idle;
mod record;
mod tally;
mod tls;
#[path = "../support/trust.rs"]
mod trust;
mod work;

use std::collections::HashMap;
use std::process::ExitCode;

/// Why a task has no result.
#[derive(Debug)]
pub enum Fault {
    /// The server does not know the command, or cannot do what the row is about.
    Unsupported(String),
    /// Anything else.
    Failed(String),
}

pub type R<T> = Result<T, Fault>;

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

pub fn failed<T>(why: impl Into<String>) -> R<T> {
    Err(Fault::Failed(why.into()))
}

/// The `NAME=VALUE` words of the command line.
pub struct Args(HashMap<String, String>);

impl Args {
    fn read(words: impl Iterator<Item = String>) -> Self {
        let pairs = words.filter_map(|word| {
            word.split_once('=')
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        });
        Self(pairs.collect())
    }

    pub fn text<'a>(&'a self, name: &str, otherwise: &'a str) -> &'a str {
        self.0.get(name).map_or(otherwise, String::as_str)
    }

    pub fn number(&self, name: &str, otherwise: u64) -> u64 {
        self.0
            .get(name)
            .map_or(otherwise, |value| value.parse().expect(name))
    }

    pub fn is(&self, name: &str) -> bool {
        self.number(name, 0) != 0
    }
}

fn run(task: &str, args: &Args) -> R<tally::Outcome> {
    match task {
        "login" => work::login(args),
        "get" => work::bulk_get(args),
        "put" => work::bulk_put(args),
        "files" => work::files(args),
        "list" => work::list(args),
        "day" => work::day(args),
        "noop" => work::noop(args),
        "handshake" => work::handshake(args),
        "idle" => idle::run(args),
        "record" => record::run(args),
        "bare" => bare::serve(args),
        _ => failed(format!("there is no task {task}")),
    }
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let task = words.next().unwrap_or_default();
    match run(&task, &Args::read(words)) {
        Ok(outcome) => {
            println!("{}", outcome.json());
            ExitCode::SUCCESS
        }
        Err(Fault::Unsupported(why)) => {
            eprintln!("{why}");
            ExitCode::from(3)
        }
        Err(Fault::Failed(why)) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
