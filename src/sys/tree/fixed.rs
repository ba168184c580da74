//! What keeps a file from being replaced by another: mounts and attributes; worker.

use super::walk::{self, Last, Place};
use super::{CONTENTS, Mode, Tree, VirtualPath, insist, within};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, openat2};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// statx(2): nothing but more can be written to it, and in a directory no name be taken away.
const APPEND: u64 = 0x20;

/// statx(2): something is mounted there. Since Linux 5.8.
const MOUNT: u64 = 0x2000;

impl Tree {
    /// Whether no other file can get the name of an absolute path, though new ones can be made beside it.
    pub fn is_fixed(&self, path: &[u8]) -> bool {
        self.kept(&VirtualPath::root(), path).is_ok_and(|place| {
            attributes(&place, place.name()) & (APPEND | MOUNT) != 0
                || attributes(&place, b"") & APPEND != 0
        })
    }

    /// Opens for writing what has the name of an absolute path, and no link.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open_kept(&self, path: &[u8]) -> nix::Result<OwnedFd> {
        let flags = OFlag::O_WRONLY | CONTENTS;
        if self.asks_kernel(path) {
            let how = OpenHow::new()
                .flags(flags | OFlag::O_NOFOLLOW)
                .resolve(within());
            match insist(|| openat2(&self.root, path, how)) {
                Err(Errno::EAGAIN) => {}
                done => return done,
            }
        }
        let place = walk::locate(self.root(), path, Last::Keep)?;
        insist(|| place.open(flags, Mode::empty()))
    }
}

/// The attributes of a name in a directory, or of the directory itself if it is empty; none where the kernel does not tell.
fn attributes(place: &Place, name: &[u8]) -> u64 {
    let Ok(name) = CString::new(name) else {
        return 0;
    };
    // SAFETY: plain data, for which zeroes are a valid value.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    let fd = place.dir.as_fd().as_raw_fd();
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH | libc::AT_NO_AUTOMOUNT;
    // SAFETY: a descriptor that is open and a text that ends in NUL, for the call; the structure is what the kernel fills.
    let asked =
        unsafe { libc::syscall(libc::SYS_statx, fd, name.as_ptr(), flags, 0, &raw mut found) };
    Errno::result(asked).map_or(0, |_| found.stx_attributes)
}
