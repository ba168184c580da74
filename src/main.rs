//! The command line: turns arguments into the master, one subcommand, or a refusal; runs before any process is forked.

mod config;
mod ftp;
#[cfg(test)]
mod fuzz;
mod helper;
mod keyholder;
mod master;
mod reader;
mod record;
mod subcommand;
mod sys;
mod tls;
mod wire;
mod worker;

#[cfg(fuzzing)]
compile_error!("with cfg(fuzzing) nothing is confined: that is for tests/fuzz, never for a server");

use config::Source;
use lexopt::Arg;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::ExitCode;
use subcommand::Subcommand;

/// What every process allocates from; in the tests, whose processes have many threads and fork all the same, the C library.
#[cfg(not(test))]
#[global_allocator]
static HEAP: sys::heap::Heap = sys::heap::Heap;

/// What the command line asks for.
enum Task {
    Serve { pid_file: Option<OsString> },
    Other(Subcommand),
}

/// What inetd's client is told of one.
const OOPS: &[u8] = b"500 OOPS: vsftpd: the configuration is wrong\r\n";

/// A start that failed: what to print and the exit status the original uses for every such case.
const REFUSED: u8 = 2;

fn main() -> ExitCode {
    // First of all: with SIGCHLD ignored, as some programs leave it, no child's end is ever told.
    sys::process::reset_signals();
    match parse() {
        Ok((Task::Serve { pid_file }, sources)) => serve(sources, pid_file),
        Ok((Task::Other(what), sources)) => subcommand::run(what, &sources),
        Err(error) => {
            complain(&[format!("{error}")]);
            ExitCode::from(REFUSED)
        }
    }
}

fn parse() -> Result<(Task, Vec<Source>), lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let mut sources = Vec::new();
    let mut task = None;
    let mut pid_file = None;
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Value(file) => sources.push(Source::File(PathBuf::from(file))),
            // Glued, as the original wants it; a separate word is not taken, so that `-o` alone is the mistake it was.
            Arg::Short('o') => sources.push(Source::Setting(glued(&mut parser).into_vec())),
            Arg::Long("pid-file") => pid_file = Some(parser.value()?),
            other @ (Arg::Short(_) | Arg::Long(_)) => {
                let (what, short) = (Subcommand::of(&other), matches!(other, Arg::Short(_)));
                let what = what.ok_or_else(|| other.unexpected())?;
                what.take_value(short, &mut parser)?;
                task.get_or_insert(what);
            }
        }
    }
    Ok((task.map_or(Task::Serve { pid_file }, Task::Other), sources))
}

/// The rest of the word, `=` kept apart by nothing: `-olisten=YES`, and with a blank `"-o listen=YES"`.
fn glued(parser: &mut lexopt::Parser) -> OsString {
    let text = parser.optional_value().unwrap_or_default();
    OsString::from_vec(text.as_bytes().trim_ascii_start().to_vec())
}

/// Has the configuration read and what it names on this host looked at; gives remarks, if somebody is `told` them, and those about
/// certificates.
fn read(
    sources: &[Source],
    told: bool,
) -> Result<(config::Loaded, Vec<String>, Vec<String>), Vec<String>> {
    let found = reader::load(sources);
    if !found.good {
        return Err(found.mistakes);
    }
    let mut here = reader::check(&found.loaded, told, reader::PATIENCE);
    match master::keys::try_out(&found.loaded) {
        Ok(remarks) if here.good => return Ok((found.loaded, here.remarks, remarks)),
        Ok(_) => {}
        Err(more) => here.mistakes.extend(more),
    }
    Err(here.mistakes)
}

fn serve(sources: Vec<Source>, pid_file: Option<OsString>) -> ExitCode {
    let inherited = master::Inherited::take();
    // Under inetd the standard descriptors are the client, which learns no more than that it cannot be served.
    let client = inherited.connection().is_some();
    if client {
        master::diagnostics::start(true);
        reader::trust_filters();
    }
    let refuse = |socket: Option<BorrowedFd<'_>>, mistakes: Vec<String>| {
        if client {
            mistakes.iter().for_each(|mistake| log::error!("{mistake}"));
            if let Some(socket) = socket {
                sys::socket::send_now(socket, OOPS);
            }
        } else {
            complain(&mistakes);
        }
        ExitCode::from(REFUSED)
    };
    let (loaded, remarks) = match read(&sources, !client) {
        // The keyholder that serves makes its remarks again.
        Ok((loaded, remarks, _)) => (loaded, remarks),
        Err(mistakes) => return refuse(inherited.connection(), mistakes),
    };
    if !client {
        master::diagnostics::start(loaded.config.background);
        for warning in remarks {
            log::warn!("{warning}");
        }
    }
    match master::run(master::Start {
        sources,
        loaded,
        pid_file,
        inherited,
    }) {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(REFUSED)),
        Err(refusal) => refuse(Some(io::stdin().as_fd()), vec![refusal]),
    }
}

fn complain<T: std::fmt::Display>(lines: &[T]) {
    let mut err = io::stderr().lock();
    for line in lines {
        // Nobody is left to tell when standard error is closed. What the reader has to say is told as it came.
        let _ = writeln!(err, "vsftpd: {}", config::one_line(&line.to_string()));
    }
}
