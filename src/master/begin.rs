//! Into the background, and the file with the process id: whoever starts the server learns whether it serves; master.

use super::Refusal;
use crate::sys::process;
use nix::sys::signal::SigSet;
use nix::unistd::{ForkResult, Pid};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What goes over the pipe once the server serves; anything else is why it does not.
const SERVES: &[u8] = b"\n";

/// The exit status of a background server that could not serve; nobody waits for it.
const FAILED: i32 = 2;

/// That of the process that launched it, if it was killed: another start may go well, so that a supervisor should try.
const GONE: i32 = 1;

/// Who goes on.
pub enum Begun {
    /// The server.
    Server(Herald),
    /// Nobody in this process: all is said, and this is its exit status.
    Over(i32),
}

/// Tells of a server that has its sockets whether it serves.
#[derive(Debug)]
pub struct Herald {
    pid_file: Option<OsString>,
    launcher: Option<PipeWriter>,
}

/// Goes into the background, or stays, and has the process id written down. The process that launched a background server comes back when
/// that serves.
///
/// # Errors
/// Why it does not.
pub fn begin(pid_file: Option<OsString>, background: bool) -> Result<Begun, Refusal> {
    let mut herald = Herald {
        pid_file: None,
        launcher: None,
    };
    if background {
        let failed = |error: std::io::Error| format!("cannot fork: {error}");
        let (reads, writes) = std::io::pipe().map_err(failed)?;
        if let ForkResult::Parent { child } = process::fork_server().map_err(failed)? {
            drop(writes);
            // It may be interrupted.
            let _ = SigSet::empty().thread_set_mask();
            return hear(reads, child, pid_file.as_deref()).map(Begun::Over);
        }
        let _ = nix::unistd::setsid();
        herald.launcher = Some(writes);
    }
    if let Some(Err(refusal)) = pid_file.as_ref().map(|path| write_pid(path, Pid::this())) {
        // Whatever is there is not this one's.
        return herald.fails(refusal).map(Begun::Over);
    }
    herald.pid_file = pid_file;
    Ok(Begun::Server(herald))
}

impl Herald {
    /// It serves, if it still is to: false if the process that launched it has not waited for that, because somebody wanted none any more.
    pub fn serves(&mut self) -> bool {
        let waits = self.launcher.take();
        waits.is_none_or(|launcher| tell(launcher, SERVES))
    }

    /// It does not, for this reason, which in the background the process says that launched this one; gives the exit status then.
    ///
    /// # Errors
    /// In the foreground: the reason.
    pub fn fails(mut self, refusal: Refusal) -> Result<i32, Refusal> {
        self.over();
        let Some(launcher) = self.launcher else {
            return Err(refusal);
        };
        tell(launcher, refusal.as_bytes());
        Ok(FAILED)
    }

    /// It serves no more: its process id is another's from now on.
    pub fn over(&mut self) {
        if let Some(path) = self.pid_file.take() {
            forget_of(Path::new(&path), Pid::this());
        }
    }
}

/// False if whoever launched this has gone.
fn tell(mut launcher: PipeWriter, text: &[u8]) -> bool {
    launcher.write_all(text).is_ok()
}

/// Waits for the server's word, and gives the exit status; one that has died without any has not put its files in order.
fn hear(mut server: PipeReader, child: Pid, pid_file: Option<&OsStr>) -> Result<i32, Refusal> {
    let mut said = Vec::new();
    let _ = server.read_to_end(&mut said);
    if said == SERVES {
        return Ok(0);
    }
    let ended = process::wait_for(child);
    if said.is_empty() {
        if let Some(path) = pid_file {
            forget_of(Path::new(path), child);
        }
        let how = ended.map_or_else(|error| error.to_string(), |ended| ended.to_string());
        let text = format!("vsftpd: the server in the background is gone: {how}\n");
        // As a refusal is said.
        let _ = std::io::stderr().write_all(text.as_bytes());
        return Ok(GONE);
    }
    Err(String::from_utf8_lossy(&said).into_owned())
}

/// Whatever this was started with: nobody else may write there, since a signal goes to whom it names; a link is not followed and a FIFO
/// not waited for (attacks B-124, B-127).
fn write_pid(path: &OsString, pid: Pid) -> Result<(), Refusal> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.to_string_lossy());
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(failed)?;
    let written = file.write_all(format!("{pid}\n").as_bytes());
    written.map_err(|error| {
        forget(Path::new(path), || true);
        failed(error)
    })
}

/// Removes the file if it names this process: it may be another's by now.
fn forget_of(path: &Path, pid: Pid) {
    let named = format!("{pid}\n").into_bytes();
    forget(path, || std::fs::read(path).is_ok_and(|text| text == named));
}

/// Removes the file, should it be one and this hold: `/dev/null` stays, and a FIFO, which would be waited for, is not read.
fn forget(path: &Path, holds: impl FnOnce() -> bool) {
    if path.symlink_metadata().is_ok_and(|meta| meta.is_file()) && holds() {
        let _ = std::fs::remove_file(path);
    }
}
