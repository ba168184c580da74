//! What reading the settings needs of the host: the reader, which has no rights, asks for it; who forked the reader looks, as root.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

/// What a name is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// To be read, whatever it is: nothing is waited for.
    File,
    /// To be listed.
    Directory,
    /// To be looked at, a link itself.
    Entry,
}

/// The host as the settings see it.
pub trait View {
    /// Opens a name of the host's.
    ///
    /// # Errors
    /// The kernel's word.
    fn open(&self, path: &Path, how: How) -> io::Result<OwnedFd>;
    /// The uid of an account, which the reader itself asks the name service for.
    fn account(&self, name: &OsStr) -> Option<u32> {
        users::get_user_by_name(name).map(|user| user.uid())
    }
    /// Who the server runs as.
    fn runs_as(&self) -> u32;
}

/// The host as this process itself sees it.
#[derive(Debug)]
pub struct Own;

impl View for Own {
    fn open(&self, path: &Path, how: How) -> io::Result<OwnedFd> {
        let flags = match how {
            // Without O_NONBLOCK a FIFO would hold the server here for ever.
            How::File => OFlag::O_NONBLOCK | OFlag::O_NOCTTY,
            How::Directory => OFlag::O_DIRECTORY,
            How::Entry => OFlag::O_PATH | OFlag::O_NOFOLLOW,
        };
        Ok(nix::fcntl::open(
            path,
            flags | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?)
    }

    fn runs_as(&self) -> u32 {
        nix::unistd::getuid().as_raw()
    }
}
