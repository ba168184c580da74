//! The file with the master's process id: opened before anything is forked, written once it listens, removed when it ends; master.

use super::Refusal;
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

/// Its name, and the file until it is written.
#[derive(Debug)]
pub struct PidFile {
    file: Option<File>,
    path: OsString,
}

impl PidFile {
    /// Whatever this was started with: nobody else may write there, since a signal goes to whom it names; a link is not followed and a
    /// FIFO not waited for (attacks B-124, B-127).
    ///
    /// # Errors
    /// A sentence for the terminal.
    pub fn open(path: OsString) -> Result<Self, Refusal> {
        let opened = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(&path);
        match opened {
            Ok(file) => Ok(Self {
                file: Some(file),
                path,
            }),
            Err(error) => Err(refusal(&path, &error)),
        }
    }

    /// Writes whose number it is, once.
    ///
    /// # Errors
    /// As [`PidFile::open`].
    pub fn write(&mut self, pid: Pid) -> Result<(), Refusal> {
        let file = self.close();
        let written = file.map_or(Ok(()), |mut file| {
            file.write_all(format!("{pid}\n").as_bytes())
        });
        written.map_err(|error| refusal(&self.path, &error))
    }

    /// Gives the file away: somebody else writes it.
    pub fn close(&mut self) -> Option<File> {
        self.file.take()
    }

    /// Removes it, unless it names somebody else by now.
    pub fn remove(self) {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        if text.trim().parse() == Ok(Pid::this().as_raw()) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn refusal(path: &OsStr, error: &std::io::Error) -> Refusal {
    format!("{}: {error}", path.to_string_lossy())
}
