//! Log files: opened as root at the start of a session, appended to one whole line at a time; helper.

use super::lock;
use nix::errno::Errno;
use nix::fcntl::FcntlArg;
use nix::sys::stat::{FileStat, SFlag};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

/// Opens a log for appending, made 0600 when missing; a link in the last place, a FIFO or a device other than /dev/null is
/// refused (attacks B-124).
///
/// # Errors
/// The kernel's word, or `InvalidInput` for what is no regular file.
pub fn open(path: &OsStr) -> io::Result<File> {
    let mut options = File::options();
    options.append(true).create(true).mode(0o600);
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW;
    let file = options.custom_flags(flags).open(path)?;
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
/// line is written with one call, and stays whole. A full disk loses the line, as there.
///
/// # Errors
/// The line, or the rest of it, was lost: the kernel's word.
pub fn append(mut file: &File, line: &[u8], lock: &mut Option<Duration>) -> io::Result<()> {
    *lock = lock.filter(|patience| locked(file, *patience));
    let written = file.write_all(line);
    if lock.is_some() {
        let _ = set(file, libc::F_UNLCK);
    }
    written
}

/// Waits for the lock; false when it is kept. What the file system cannot lock is not locked, as in the original.
fn locked(file: &File, patience: Duration) -> bool {
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

fn set(file: &File, kind: libc::c_int) -> nix::Result<libc::c_int> {
    nix::fcntl::fcntl(file.as_fd(), FcntlArg::F_SETLK(&lock::whole(kind)))
}
