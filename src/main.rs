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

/// What every process allocates from; in the tests, whose processes have many threads and fork all the same, the C library.
#[cfg(not(test))]
#[global_allocator]
static HEAP: sys::heap::Heap = sys::heap::Heap;

const USAGE: &str = "\
Usage: vsftpd [FILE ...] [-oNAME=VALUE ...] [--pid-file FILE]
       vsftpd --check [FILE ...] [-oNAME=VALUE ...]
       vsftpd --print-config [FILE ...] [-oNAME=VALUE ...]
       vsftpd --manual conf
       vsftpd --sandbox-report
       vsftpd --version | --help

Serves FTP as vsftpd.conf says. Without a FILE, /etc/vsftpd/vsftpd.conf is read, or
/etc/vsftpd.conf. Settings take effect in the order given.

  -oNAME=VALUE       one setting, as a line of vsftpd.conf
  --check            read everything, name every mistake, serve nothing
  --print-config     show every option's value and where it comes from
  --pid-file FILE    write the master's process id there once it listens
  --manual conf      print the manual page vsftpd.conf(5)
  --sandbox-report   show what this kernel fences sessions with, and each process's system calls
  -v, --version      print the version
  -h, --help         print this
";

/// What the command line asks for.
enum Task {
    Serve { pid_file: Option<OsString> },
    Check,
    PrintConfig,
    Manual,
    SandboxReport,
    Version,
    Help,
}

/// A start that failed: what to print and the exit status the original uses for every such case.
const REFUSED: u8 = 2;

fn main() -> ExitCode {
    match parse() {
        Ok((task, sources)) => run(task, sources),
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
            Arg::Short('v') => {
                let _ = parser.optional_value();
                task.get_or_insert(Task::Version);
            }
            Arg::Long("version") => _ = task.get_or_insert(Task::Version),
            Arg::Short('h') | Arg::Long("help") => _ = task.get_or_insert(Task::Help),
            Arg::Long("check") => _ = task.get_or_insert(Task::Check),
            Arg::Long("print-config") => _ = task.get_or_insert(Task::PrintConfig),
            Arg::Long("manual") => {
                let page = parser.value()?;
                if page != "conf" {
                    return Err(
                        format!("no manual page is made for {}", page.to_string_lossy()).into(),
                    );
                }
                task.get_or_insert(Task::Manual);
            }
            Arg::Long("sandbox-report") => _ = task.get_or_insert(Task::SandboxReport),
            Arg::Long("pid-file") => pid_file = Some(parser.value()?),
            Arg::Short(_) | Arg::Long(_) => return Err(arg.unexpected()),
        }
    }
    Ok((task.unwrap_or(Task::Serve { pid_file }), sources))
}

/// The rest of the word, `=` kept apart by nothing: `-olisten=YES`, and with a blank `"-o listen=YES"`.
fn glued(parser: &mut lexopt::Parser) -> OsString {
    let text = parser.optional_value().unwrap_or_default();
    OsString::from_vec(text.as_bytes().trim_ascii_start().to_vec())
}

fn run(task: Task, sources: Vec<Source>) -> ExitCode {
    let mut out = io::stdout().lock();
    let written = match task {
        Task::Serve { pid_file } => return serve(sources, pid_file),
        Task::Check => return check(&sources),
        Task::PrintConfig => {
            let found = reader::load(&sources);
            complain(&found.mistakes);
            if config::print(&found.loaded, &mut out).is_err() || !found.good {
                return ExitCode::from(REFUSED);
            }
            Ok(())
        }
        Task::Manual => config::conf_5(&mut out),
        Task::SandboxReport => master::report(&mut out),
        Task::Version => {
            writeln!(
                out,
                "vsftpd: version 3.0.5 (vsftpd-rs {})",
                env!("CARGO_PKG_VERSION")
            )
        }
        Task::Help => out.write_all(USAGE.as_bytes()),
    };
    match written.and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Has the configuration read and what it names on this host looked at; gives remarks, and those about certificates.
fn read(sources: &[Source]) -> Result<(config::Loaded, Vec<String>, Vec<String>), Vec<String>> {
    let found = reader::load(sources);
    if !found.good {
        return Err(found.mistakes);
    }
    let mut here = reader::check(&found.loaded);
    match master::keys::try_out(&found.loaded) {
        Ok(remarks) if here.good => return Ok((found.loaded, here.remarks, remarks)),
        Ok(_) => {}
        Err(more) => here.mistakes.extend(more),
    }
    Err(here.mistakes)
}

fn check(sources: &[Source]) -> ExitCode {
    match read(sources) {
        Ok((loaded, remarks, more)) => {
            let waits = config::waits_to_be_started(&loaded);
            let warnings: Vec<String> = (remarks.into_iter())
                .chain(more)
                .chain(waits.map(|remark| remark.to_string()))
                .map(|remark| format!("warning: {remark}"))
                .collect();
            complain(&warnings);
            ExitCode::SUCCESS
        }
        Err(mistakes) => {
            complain(&mistakes);
            ExitCode::from(REFUSED)
        }
    }
}

fn serve(sources: Vec<Source>, pid_file: Option<OsString>) -> ExitCode {
    // First of all: with SIGCHLD ignored, as some programs leave it, no child's end is ever told.
    sys::process::reset_signals();
    let inherited = master::Inherited::take();
    // Under inetd the standard descriptors are the client, which learns no more than that it cannot be served.
    let client = inherited.connection().is_some();
    if client {
        master::diagnostics::start(true);
    }
    let refuse = |socket: Option<BorrowedFd<'_>>, mistakes: Vec<String>| {
        if client {
            mistakes.iter().for_each(|mistake| log::error!("{mistake}"));
            let oops = b"500 OOPS: vsftpd: the configuration is wrong\r\n";
            if let Some(socket) = socket {
                sys::socket::send_now(socket, oops);
            }
        } else {
            complain(&mistakes);
        }
        ExitCode::from(REFUSED)
    };
    let (loaded, remarks) = match read(&sources) {
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
