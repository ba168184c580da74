//! The entries of a directory, many to a system call; worker.

use super::{Meta, meta, meta_of};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, readlinkat};
use nix::sys::stat::fstatat;
use nix::unistd::{Whence, lseek};
use nix::{NixPath, Result};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// Room for names alone, some 4,000 of usual length.
const NAMES: usize = 128 * 1024;

/// Room for names whose facts are asked for, some 500: what the kernel has touched to tell them is still in the processor's cache then.
const LOOKED_AT: usize = 16 * 1024;

/// An open directory.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    /// The root of the tree, which is its own parent: device and inode.
    root: (u64, u64),
}

impl Dir {
    pub(super) fn new(fd: OwnedFd, root: (u64, u64)) -> Self {
        Self { fd, root }
    }

    /// Shows the entries whose names are wanted, `.` and `..` among them, in the directory's own order; with their facts,
    /// links not followed, if those are wanted too, or why they cannot be had.
    /// Before each system call `go_on` is asked: a directory need not end by itself, of a file system that lies or while others fill it.
    ///
    /// # Errors
    /// Those of getdents64(2).
    pub fn entries(
        &self,
        want_stat: bool,
        mut go_on: impl FnMut() -> bool,
        mut wanted: impl FnMut(&[u8]) -> bool,
        mut see: impl FnMut(&[u8], Option<Result<Meta>>),
    ) -> Result<()> {
        let mut buffer = vec![0; if want_stat { LOOKED_AT } else { NAMES }];
        lseek(&self.fd, 0, Whence::SeekSet)?;
        while go_on() {
            let filled = getdents64(self.fd.as_fd(), &mut buffer)?;
            let mut records = buffer.get(..filled).unwrap_or_default();
            if records.is_empty() {
                break;
            }
            while let Some((name, rest)) = record(records) {
                records = rest;
                if wanted(name.to_bytes()) {
                    self.show(name, want_stat, &mut see);
                }
            }
        }
        Ok(())
    }

    /// Facts about an entry, links not followed.
    ///
    /// # Errors
    /// Those of lstat(2).
    #[cfg(test)]
    pub fn lstat(&self, name: &[u8]) -> Result<Meta> {
        if name == b".." {
            return self.above();
        }
        self.look(one(name)?)
    }

    /// The text of a link among the entries.
    ///
    /// # Errors
    /// Those of readlink(2).
    pub fn readlink(&self, name: &[u8]) -> Result<Vec<u8>> {
        readlinkat(&self.fd, one(name)?).map(OsStringExt::into_vec)
    }

    /// Facts about the directory itself.
    ///
    /// # Errors
    /// Those of fstat(2).
    pub fn meta(&self) -> Result<Meta> {
        meta_of(&self.fd)
    }

    /// Whether its size tells how many entries it has: so it is on the usual file systems of a host's own disks and memory, not on those
    /// that are far away, or are a program.
    pub fn size_tells(&self) -> bool {
        meta::is_local(&self.fd)
    }

    /// A directory among the entries; no link is followed and `..` is not one of them, so a recursion stays below.
    ///
    /// # Errors
    /// Those of open(2).
    #[cfg(test)]
    pub fn child(&self, name: &[u8]) -> Result<Self> {
        if name == b".." {
            return Err(Errno::EXDEV);
        }
        use nix::fcntl::{OFlag, openat};
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | super::CONTENTS;
        let fd = openat(&self.fd, one(name)?, flags, nix::sys::stat::Mode::empty())?;
        Ok(Self {
            fd,
            root: self.root,
        })
    }
}

impl Dir {
    fn show(
        &self,
        name: &CStr,
        want_stat: bool,
        see: &mut impl FnMut(&[u8], Option<Result<Meta>>),
    ) {
        let bytes = name.to_bytes();
        if !want_stat {
            see(bytes, None);
            return;
        }
        let looked = if bytes == b".." {
            self.above()
        } else {
            // The kernel's own text: one name, ended as it wants it.
            one(bytes).and_then(|_| self.look(name))
        };
        see(bytes, Some(looked));
    }

    fn look<P: ?Sized + NixPath>(&self, name: &P) -> Result<Meta> {
        fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW).map(|stat| Meta::from(&stat))
    }

    /// Facts about the directory above, which is the root's own above the root.
    fn above(&self) -> Result<Meta> {
        let own = self.meta()?;
        if (own.dev, own.ino) == self.root {
            return Ok(own);
        }
        self.look(c"..")
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A name, not a path.
fn one(name: &[u8]) -> Result<&[u8]> {
    if name.is_empty() || name.contains(&b'/') || name.contains(&0) {
        Err(Errno::ENOENT)
    } else {
        Ok(name)
    }
}

/// The name in the first record of `struct linux_dirent64`, and the records after it (getdents64(2)).
fn record(bytes: &[u8]) -> Option<(&CStr, &[u8])> {
    let length = u16::from_ne_bytes(bytes.get(16..18)?.try_into().ok()?);
    let (this, rest) = bytes.split_at_checked(usize::from(length))?;
    let name = CStr::from_bytes_until_nul(this.get(19..)?).ok()?;
    Some((name, rest))
}

fn getdents64(dir: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the descriptor is open for the call, and the kernel writes at most the buffer's length to the buffer.
    let filled = unsafe {
        libc::syscall(
            libc::SYS_getdents64,
            dir.as_raw_fd(),
            buffer.as_mut_ptr(),
            buffer.len(),
        )
    };
    Errno::result(filled).map(|filled| usize::try_from(filled).unwrap_or(0))
}
