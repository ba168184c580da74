//! Log files: opened as root at the start of a session, appended to one whole line at a time; helper.

use super::lock;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, fallocate};
use nix::sys::stat::{FileStat, Mode, SFlag};
use nix::unistd::{Whence, lseek};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// No disk gives room in smaller pieces.
const PIECE: libc::off_t = 512;

/// Opens a log for appending, made 0600 when missing; a link in the last place, a FIFO or a device other than /dev/null is
/// refused (attacks B-124).
///
/// # Errors
/// The kernel's word, or `InvalidInput` for what is no regular file.
pub fn open(path: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlag::O_WRONLY
        | OFlag::O_CREAT
        | OFlag::O_APPEND
        | OFlag::O_NONBLOCK
        | OFlag::O_NOCTTY
        | OFlag::O_NOFOLLOW
        | OFlag::O_CLOEXEC;
    let file = nix::fcntl::open(path, flags, Mode::from_bits_truncate(0o600))?;
    regular(&nix::sys::stat::fstat(&file)?)?;
    Ok(file)
}

/// Makes sure that a file is a regular one, or /dev/null.
///
/// # Errors
/// `InvalidInput`: it is none.
pub fn regular(meta: &FileStat) -> io::Result<()> {
    if meta.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits() || is_null(meta) {
        return Ok(());
    }
    let text = "not a regular file";
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Whether a file is /dev/null (null(4)): settings name it for "none".
pub fn is_null(meta: &FileStat) -> bool {
    let device = meta.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFCHR.bits();
    device && meta.st_rdev == nix::sys::stat::makedev(1, 3)
}

/// Appends one line; under the whole-file lock the original takes, if somebody else keeps it no longer than `lock`. Else it is given up: a
/// line is written with one call, and stays whole. A full disk loses the line, as there, and all of it: the next one would stand behind
/// half of it.
///
/// # Errors
/// The line, or the rest of it, was lost: the kernel's word.
pub fn append(file: &OwnedFd, line: &[u8], lock: &mut Option<Duration>) -> Result<(), Errno> {
    *lock = lock.filter(|patience| locked(file, *patience));
    let mut written = room(file, line.len());
    let mut rest = line;
    while written.is_ok() && !rest.is_empty() {
        match nix::unistd::write(file, rest) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(why) => written = Err(why),
        }
    }
    if lock.is_some() {
        let _ = set(file, libc::F_UNLCK);
    }
    written
}

/// Has the disk keep room for a line, where it begins a new piece of it; what the file system cannot keep is not kept.
fn room(file: &OwnedFd, line: usize) -> Result<(), Errno> {
    let end = lseek(file, 0, Whence::SeekEnd).unwrap_or(0);
    let line = libc::off_t::try_from(line).unwrap_or(0);
    if end / PIECE == end.saturating_add(line) / PIECE {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, end, line) {
        Err(why @ (Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG)) => Err(why),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Waits for the lock; false when it is kept. What the file system cannot lock is not locked, as in the original.
fn locked(file: &OwnedFd, patience: Duration) -> bool {
    let begun = Instant::now();
    let mut nap = Duration::from_micros(50);
    loop {
        match set(file, libc::F_WRLCK) {
            Err(Errno::EAGAIN | Errno::EACCES) if begun.elapsed() < patience => {
                std::thread::sleep(nap);
                nap = Duration::from_millis(10).min(nap.saturating_mul(2));
            }
            Err(Errno::EAGAIN | Errno::EACCES) => return false,
            Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => return true,
        }
    }
}

fn set(file: &OwnedFd, kind: libc::c_int) -> nix::Result<libc::c_int> {
    nix::fcntl::fcntl(file.as_fd(), FcntlArg::F_SETLK(&lock::whole(kind)))
}
