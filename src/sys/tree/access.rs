//! What the session may do with a file, as far as the kernel says so beforehand; worker.

use super::{Dir, Tree, VirtualPath};
use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, unlinkat};
use std::os::fd::{AsFd, AsRawFd};

/// What the kernel would say to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writable {
    /// Yes.
    Yes,
    /// No, by its permissions.
    No,
    /// Nothing can be written on this file system.
    ReadOnly,
}

/// The kind of access asked about; the values are those of a permission digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To read it, or list it.
    Read = 4,
    /// To write it, or to change its entries.
    Write = 2,
    /// To enter it.
    Enter = 1,
}

impl Access {
    fn flags(self) -> AccessFlags {
        match self {
            Self::Read => AccessFlags::R_OK,
            Self::Write => AccessFlags::W_OK,
            Self::Enter => AccessFlags::X_OK,
        }
    }

    /// The bit in the last digit of a mode.
    pub fn bit(self) -> u32 {
        match self {
            Self::Read => 4,
            Self::Write => 2,
            Self::Enter => 1,
        }
    }
}

impl Tree {
    /// Whether the session may do this with what the argument leads to. Real and effective user are one after the confinement,
    /// so that the plain call serves.
    pub fn may(&self, cwd: &VirtualPath, arg: &[u8], access: Access) -> bool {
        self.followed(cwd, arg).is_ok_and(|(place, _)| {
            faccessat(&place.dir, place.name(), access.flags(), AtFlags::empty()).is_ok()
        })
    }

    /// The bytes an ordinary user can still store where the argument leads to.
    ///
    /// # Errors
    /// Those of open(2) and fstatfs(2).
    pub fn available(&self, cwd: &VirtualPath, arg: &[u8]) -> nix::Result<u64> {
        let (place, _) = self.followed(cwd, arg)?;
        let found = nix::sys::statfs::fstatfs(place.open(super::PLACE, super::Mode::empty())?)?;
        let block = u64::try_from(found.block_size()).unwrap_or(0);
        let free = found.blocks_available();
        Ok(free.saturating_mul(block))
    }

    /// Whether the entries of a directory can be changed.
    pub fn writable(&self, cwd: &VirtualPath, arg: &[u8]) -> Writable {
        let Ok((place, _)) = self.followed(cwd, arg) else {
            return Writable::No;
        };
        judge(faccessat(
            &place.dir,
            place.name(),
            AccessFlags::W_OK | AccessFlags::X_OK,
            AtFlags::empty(),
        ))
    }
}

impl Tree {
    /// Renames, both paths absolute, unless the new name is there: then `EEXIST`.
    ///
    /// # Errors
    /// Those of renameat2(2), and of open(2) and rename(2) where a file system cannot do this in one step.
    pub fn rename_new(&self, from: &[u8], to: &[u8]) -> nix::Result<()> {
        let root = VirtualPath::root();
        let from = self.kept(&root, from)?;
        let to = self.kept(&root, to)?;
        let old = from.written().ok_or(Errno::EBUSY)?;
        let new = to.written().ok_or(Errno::EBUSY)?;
        let (old, new) = (old.as_slice(), new.as_slice());
        match renameat2(&from.dir, old, &to.dir, new, libc::RENAME_NOREPLACE) {
            // The last is what filters of containers say to calls they do not know.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => {}
            done => return done,
        }
        // The name is taken by an empty file, which is replaced: link(2) is not for sessions.
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | super::CONTENTS;
        drop(to.open(flags, Mode::empty())?);
        renameat(&from.dir, old, &to.dir, new).inspect_err(|_| {
            let _ = unlinkat(&to.dir, new, UnlinkatFlags::NoRemoveDir);
        })
    }

    /// Has the disk hold the directory of an absolute path.
    ///
    /// # Errors
    /// Those of open(2) and fsync(2).
    pub fn sync_above(&self, path: &[u8]) -> nix::Result<()> {
        let place = self.kept(&VirtualPath::root(), path)?;
        let flags = nix::fcntl::OFlag::O_RDONLY | nix::fcntl::OFlag::O_DIRECTORY | super::CONTENTS;
        let directory = nix::fcntl::openat(&place.dir, c".", flags, super::Mode::empty())?;
        nix::unistd::fsync(directory)
    }
}

/// renameat2(2), by its number: not every C library has a function for it.
pub(super) fn renameat2<P: ?Sized + NixPath>(
    from: impl AsFd,
    old: &P,
    to: impl AsFd,
    new: &P,
    flags: libc::c_uint,
) -> nix::Result<()> {
    let (from, to) = (from.as_fd().as_raw_fd(), to.as_fd().as_raw_fd());
    let result = old.with_nix_path(|old| {
        new.with_nix_path(|new| {
            // SAFETY: two open directories, two strings that end in NUL and live through the call, and a number.
            unsafe {
                libc::syscall(
                    libc::SYS_renameat2,
                    from,
                    old.as_ptr(),
                    to,
                    new.as_ptr(),
                    flags,
                )
            }
        })
    })??;
    Errno::result(result).map(drop)
}

impl Dir {
    /// Whether the session may do this with an entry that is no link. Should it have become one since it was looked at, the answer
    /// is about something else, and nothing more is given away.
    pub fn may(&self, name: &[u8], access: Access) -> bool {
        faccessat(self, name, access.flags(), AtFlags::empty()).is_ok()
    }

    /// Whether its entries can be changed.
    pub fn writable(&self) -> Writable {
        let flags = AccessFlags::W_OK | AccessFlags::X_OK;
        judge(faccessat(self, c".", flags, AtFlags::empty()))
    }
}

fn judge(answer: nix::Result<()>) -> Writable {
    match answer {
        Ok(()) => Writable::Yes,
        Err(Errno::EROFS) => Writable::ReadOnly,
        Err(_) => Writable::No,
    }
}
