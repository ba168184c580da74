//! Where the `log` records of master and helper go: standard error, and syslog once there is no terminal; filter by RUST_LOG.

use crate::sys::socket;
use crate::sys::syslog::Syslog;
use log::LevelFilter;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};
use std::io::Write;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long a line waits for whoever takes it and is behind: master has clients to serve.
const PATIENCE: Duration = Duration::from_millis(100);

/// Starts it; RUST_LOG is read here, before the environment is cleared. Without it, `info` and above are written.
pub fn start(background: bool) {
    let mut builder = env_logger::Builder::new();
    builder
        .filter_level(LevelFilter::Info)
        .parse_env("RUST_LOG");
    builder.format(move |out, record| {
        // Some of it is what a process without rights had to say.
        let text = crate::config::one_line(&record.args().to_string());
        if !background {
            // Written at once, so that lines of several processes do not mix; left out if nobody takes it. One that is longer than what a
            // pipe takes as a whole (pipe(7), PIPE_BUF) would be waited for: so many characters are not.
            return if is_taken() {
                writeln!(out, "vsftpd: {text:.1000}")
            } else {
                Ok(())
            };
        }
        let warning = record.level() <= log::Level::Warn;
        // Connected anew each time: a descriptor kept here would be closed, and its number reused, in children.
        Syslog::new("vsftpd", PATIENCE).send(warning, text.as_bytes());
        Ok(())
    });
    if !background && is_pipe() {
        stay_clear();
    }
    // A second start would only mean that the first one already serves.
    let _ = builder.try_init();
}

/// Whether standard error is a pipe.
fn is_pipe() -> bool {
    fstat(std::io::stderr()).is_ok_and(|error| error.st_mode & libc::S_IFMT == libc::S_IFIFO)
}

/// Has this process, and those that come from it, never wait for who reads standard error: of two that have seen the pipe's last room one
/// would. Whoever else writes to that pipe is left alone.
fn stay_clear() {
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let _ = open("/proc/self/fd/2", flags, Mode::empty()).map(nix::unistd::dup2_stderr);
}

/// Whether standard error takes a line without a wait: it may be a pipe, or a terminal, whose reader has stopped.
fn is_taken() -> bool {
    let until = Instant::now().checked_add(PATIENCE);
    socket::writable(std::io::stderr().as_fd(), until).unwrap_or(true)
}
