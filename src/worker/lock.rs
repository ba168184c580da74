//! Locks on whole files that a transfer waits for while it hears its client; runs in the worker.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::fcntl::FcntlArg;

use super::data::{Patience, Wish};
use super::state::{Over, Session};
use crate::sys::lock::whole;

/// What somebody is told who cannot have the file now.
pub const IN_USE: &[u8] = b"File is in use by another session.";

impl Session {
    /// Waits for a lock on the whole file for reading, where uploads have one, hearing the client, for as long as a data connection may
    /// stall. False: the reply has been said.
    ///
    /// # Errors
    /// The session is over.
    pub fn lock_to_read(&mut self, file: &OwnedFd) -> Result<bool, Over> {
        self.waited = false;
        if !self.config.lock_upload_files {
            return Ok(true);
        }
        let set = |range: &_| nix::fcntl::fcntl(file.as_fd(), FcntlArg::F_SETLK(range));
        self.lock_by(libc::F_RDLCK, set)
    }

    /// As [`Session::lock_to_read`], for writing, with a lock that belongs to the open file: all its descriptors have to be closed.
    ///
    /// # Errors
    /// The session is over.
    pub fn lock_own(&mut self, file: &OwnedFd) -> Result<bool, Over> {
        self.lock_by(libc::F_WRLCK, |range| {
            nix::fcntl::fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(range))
        })
    }

    fn lock_by(
        &mut self,
        kind: libc::c_int,
        set: impl Fn(&libc::flock) -> nix::Result<libc::c_int>,
    ) -> Result<bool, Over> {
        let deadline = match self.config.data_connection_timeout {
            0 => None,
            seconds => Instant::now().checked_add(Duration::from_secs(seconds.into())),
        };
        let mut patience = Patience::until(deadline);
        loop {
            match set(&whole(kind)) {
                Err(nix::errno::Errno::EACCES | nix::errno::Errno::EAGAIN) => {}
                // File systems without locks are used without them, as by the original.
                Ok(_) | Err(_) => return Ok(true),
            }
            self.waited = true;
            if patience.is_over() {
                self.reply(450, IN_USE);
                return Ok(false);
            }
            patience.look(self);
            let nap = Instant::now().checked_add(Duration::from_millis(50));
            if self.watch(None, nap)?.spoken && self.hear(None)? == Wish::Abort {
                self.reply(426, b"Failure waiting for the file.");
                self.reply(226, b"ABOR successful.");
                return Ok(false);
            }
        }
    }
}
