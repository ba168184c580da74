//! Going into the background: who has launched the server waits until it serves, and tells why if it does not; master.

use super::Refusal;
use super::pid_file::PidFile;
use crate::sys::process;
use nix::fcntl::OFlag;
use nix::unistd::{ForkResult, Pid};
use std::fs::File;
use std::io::{Read, Write};

/// What the server writes when it serves; all else is why it does not.
const READY: &[u8] = b"\0";

/// The longest reason that is told.
const LONGEST: u64 = 64 * 1024;

/// Which process this is now.
pub enum Launched {
    /// The one that has launched a server, which serves.
    Away,
    /// The server.
    Here(Launcher),
}

/// The way to who has launched the server, if that waits.
#[derive(Debug)]
pub struct Launcher(Option<File>);

impl Launcher {
    /// Tells it that there is a server.
    pub fn ready(&mut self) {
        self.tell(READY);
        self.0 = None;
    }

    /// Tells it why there is none.
    pub fn refuse(&self, why: &str) {
        self.tell(why.as_bytes());
    }

    fn tell(&self, what: &[u8]) {
        if let Some(mut file) = self.0.as_ref() {
            // It may have been killed, and then nobody asks.
            let _ = file.write_all(what);
        }
    }
}

/// Goes into the background, or stays, and has its process id written down.
///
/// # Errors
/// A sentence for the terminal.
pub fn go(pid_file: Option<&mut PidFile>, background: bool) -> Result<Launched, Refusal> {
    if background {
        return detach(pid_file);
    }
    pid_file.map_or(Ok(()), |file| file.write(Pid::this()))?;
    Ok(Launched::Here(Launcher(None)))
}

/// Forks the background server, and waits for its word.
fn detach(pid_file: Option<&mut PidFile>) -> Result<Launched, Refusal> {
    let pipe = nix::unistd::pipe2(OFlag::O_CLOEXEC);
    let (word, launcher) = pipe.map_err(|error| format!("pipe: {error}"))?;
    match process::fork_server().map_err(|error| format!("cannot fork: {error}"))? {
        ForkResult::Parent { child } => {
            drop(launcher);
            heard(File::from(word))?;
            let written = pid_file.map_or(Ok(()), |file| file.write(child));
            // Who is told that there is no server is left with none.
            written.inspect_err(|_| {
                let _ = nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGTERM);
            })?;
            Ok(Launched::Away)
        }
        ForkResult::Child => {
            pid_file.map(PidFile::close);
            let _ = nix::unistd::setsid();
            Ok(Launched::Here(Launcher(Some(launcher.into()))))
        }
    }
}

/// Waits until the server serves, or has ended.
fn heard(word: File) -> Result<(), Refusal> {
    let mut text = Vec::new();
    // What cannot be read was not said.
    let _ = word.take(LONGEST).read_to_end(&mut text);
    match text.as_slice() {
        READY => Ok(()),
        [] => Err("the server has ended as it started".to_owned()),
        why => Err(String::from_utf8_lossy(why).into_owned()),
    }
}
