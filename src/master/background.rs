//! Going into the background: who has launched the server waits until it serves, and tells why if it does not; master.

use super::Refusal;
use super::pid_file::PidFile;
use crate::sys::process;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, Signal, kill};
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
    /// Tells it that there is a server; false if it has not waited for that, because somebody wanted none any more.
    pub fn ready(&mut self) -> bool {
        let waits = self.0.take();
        waits.is_none_or(|mut file| file.write_all(READY).is_ok())
    }

    /// Tells it why there is none.
    pub fn refuse(&mut self, why: &str) {
        if let Some(mut file) = self.0.take() {
            let _ = file.write_all(why.as_bytes());
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
            // It may be interrupted.
            let _ = SigSet::empty().thread_set_mask();
            heard(File::from(word))?;
            let written = pid_file.map_or(Ok(()), |file| file.write(child));
            // Who is told that there is no server is left with none.
            written.inspect_err(|_| {
                let _ = kill(child, Signal::SIGTERM);
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Launcher, heard};

    fn pipe() -> (std::fs::File, Launcher) {
        let (word, launcher) = nix::unistd::pipe().unwrap();
        (word.into(), Launcher(Some(launcher.into())))
    }

    #[test]
    fn the_word_of_a_server() {
        let (word, mut launcher) = pipe();
        assert!(launcher.ready());
        assert_eq!(heard(word), Ok(()));
        let (word, mut launcher) = pipe();
        launcher.refuse("no keys");
        assert_eq!(heard(word), Err("no keys".to_owned()));
        let (word, launcher) = pipe();
        drop(launcher);
        assert!(heard(word).is_err());
        // Nobody waits for it any more.
        let (word, mut launcher) = pipe();
        drop(word);
        assert!(!launcher.ready());
        // One in the foreground asks nobody.
        assert!(Launcher(None).ready());
    }
}
