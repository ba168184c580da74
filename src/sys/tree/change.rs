//! Operations that change the tree: each on one name in an open directory; worker.

use super::walk::{Last, Place};
use super::{CONTENTS, Meta, Tree, VirtualPath, bits, path};
use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, renameat};
use nix::sys::stat::{
    FchmodatFlags, FileStat, Mode, UtimensatFlags, fchmod, fchmodat, fstatat, mkdirat, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::os::fd::{AsFd, AsRawFd};

/// Added to the system call's table in Linux 6.6, with this number on every machine.
const SYS_FCHMODAT2: libc::c_long = 452;

/// How far a file's time may be from the one that was set: FAT counts in twos.
const GRAIN: u64 = 2;

impl Tree {
    /// Makes a directory; the process's umask applies.
    ///
    /// # Errors
    /// Those of mkdir(2).
    pub fn mkdir(&self, cwd: &VirtualPath, arg: &[u8], mode: u32) -> Result<()> {
        let place = self.kept(cwd, arg)?;
        let name = place.written().ok_or(Errno::EEXIST)?;
        mkdirat(&place.dir, name.as_slice(), bits(mode))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// Those of rmdir(2).
    pub fn rmdir(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<()> {
        let place = self.kept(cwd, arg)?;
        let name = place.written().ok_or(Errno::EBUSY)?;
        unlinkat(&place.dir, name.as_slice(), UnlinkatFlags::RemoveDir)
    }

    /// Removes a file, or a link itself.
    ///
    /// # Errors
    /// Those of unlink(2).
    pub fn unlink(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<()> {
        let place = self.kept(cwd, arg)?;
        let name = place.written().ok_or(Errno::EISDIR)?;
        unlinkat(&place.dir, name.as_slice(), UnlinkatFlags::NoRemoveDir)
    }

    /// Renames, each argument relative to its own directory. Never copies: `EXDEV` stays an error (attacks B-011).
    ///
    /// # Errors
    /// Those of rename(2).
    pub fn rename(
        &self,
        cwd_from: &VirtualPath,
        from: &[u8],
        cwd_to: &VirtualPath,
        to: &[u8],
    ) -> Result<()> {
        let from = self.kept(cwd_from, from)?;
        let to = self.kept(cwd_to, to)?;
        let old = from.written().ok_or(Errno::EBUSY)?;
        let new = to.written().ok_or(Errno::EBUSY)?;
        renameat(&from.dir, old.as_slice(), &to.dir, new.as_slice())
    }

    /// Sets the permissions of what the argument leads to.
    ///
    /// # Errors
    /// Those of chmod(2).
    pub fn chmod(&self, cwd: &VirtualPath, arg: &[u8], mode: u32) -> Result<()> {
        let (place, meta) = self.followed(cwd, arg)?;
        let mode = bits(mode);
        match fchmodat2(&place, mode) {
            Err(Errno::ENOSYS | Errno::EPERM) => {}
            done => return done,
        }
        open_and_chmod(&place, &meta, mode)
    }

    /// Sets the time of the last change of what the argument leads to; the time of access stays.
    ///
    /// # Errors
    /// Those of utimensat(2); `EOVERFLOW` where the file system has taken another time for it.
    pub fn set_mtime(&self, cwd: &VirtualPath, arg: &[u8], seconds: i64) -> Result<()> {
        let (place, _) = self.followed(cwd, arg)?;
        let now = || fstatat(&place.dir, place.name(), AtFlags::AT_SYMLINK_NOFOLLOW);
        let time = TimeSpec::new(seconds, 0);
        let set = |access: &TimeSpec| {
            let flags = UtimensatFlags::NoFollowSymlink;
            utimensat(&place.dir, place.name(), access, &time, flags)?;
            now()
        };
        let kept = |found: &FileStat| found.st_mtime.abs_diff(seconds) <= GRAIN;
        let found = set(&TimeSpec::UTIME_OMIT)?;
        // File systems of libfuse 2 pass over a time that comes alone, without an error.
        let taken =
            kept(&found) || kept(&set(&TimeSpec::new(found.st_atime, found.st_atime_nsec))?);
        if taken { Ok(()) } else { Err(Errno::EOVERFLOW) }
    }

    pub(super) fn kept(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<Place> {
        self.locate(&path::joined(cwd, arg)?, Last::Keep)
    }

    /// A last component that exists and is no link.
    pub(super) fn followed(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<(Place, Meta)> {
        let path = path::joined(cwd, arg)?;
        for _ in 0..super::TRIES {
            let place = self.locate(&path, Last::Follow)?;
            let meta = Meta::from(&fstatat(
                &place.dir,
                place.name(),
                AtFlags::AT_SYMLINK_NOFOLLOW,
            )?);
            if place.slash && !meta.is_dir() && !meta.is_link() {
                return Err(Errno::ENOTDIR);
            }
            if !meta.is_link() {
                return Ok((place, meta));
            }
        }
        Err(Errno::EAGAIN)
    }
}

/// chmod of a name, never of what a link leads to (fchmodat2(2)).
fn fchmodat2(place: &Place, mode: Mode) -> Result<()> {
    let dir = place.dir.as_fd().as_raw_fd();
    let name = std::ffi::CString::new(place.name()).map_err(|_| Errno::ENOENT)?;
    // SAFETY: the descriptor is open for the call, the name ends in NUL and outlives the call; the kernel only reads it.
    let done = unsafe {
        libc::syscall(
            SYS_FCHMODAT2,
            dir,
            name.as_ptr(),
            mode.bits(),
            libc::AT_SYMLINK_NOFOLLOW,
        )
    };
    Errno::result(done).map(drop)
}

/// chmod before Linux 6.6: only an open file is changed for certain, and not what has taken its name meanwhile.
pub(super) fn open_and_chmod(place: &Place, meta: &Meta, mode: Mode) -> Result<()> {
    let ways: &[OFlag] = if meta.is_file() {
        &[OFlag::O_RDONLY, OFlag::O_WRONLY]
    } else if meta.is_dir() {
        &[OFlag::O_RDONLY]
    } else {
        &[]
    };
    for way in ways {
        match place.open(*way | CONTENTS, Mode::empty()) {
            Err(Errno::EACCES) => {}
            opened => return fchmod(opened?, mode),
        }
    }
    // A file its owner may not open. It was no link a moment ago; should it be one now, chroot holds it.
    fchmodat(&place.dir, place.name(), mode, FchmodatFlags::FollowSymlink)
}
