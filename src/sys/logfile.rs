//! Log files: opened as root at the start of a session, appended to one whole line at a time; helper.

use super::lock;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag};
use nix::sys::stat::{FileStat, Mode, SFlag};
use nix::sys::statfs::PROC_SUPER_MAGIC;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An open log.
#[derive(Debug)]
pub struct Log {
    file: File,
    /// The end of the last line, if only half of that was taken, as by a full disk.
    before: &'static [u8],
}

/// How many links lead to a log at most.
const LINKS: usize = 8;

/// Opens a log for appending, made 0600 when missing. A link in the last place is followed, and a FIFO or a terminal written, if it belongs to
/// the user this runs as, who has put it there: a log on another disk, the standard output of a container. Those of others, and
/// devices other than /dev/null, are refused, and so is a file with another name where others can have made that (attacks B-124).
///
/// # Errors
/// The kernel's word, or `InvalidInput` for what is refused.
pub fn open(path: &OsStr) -> io::Result<Log> {
    let mut place = PathBuf::from(path);
    for _ in 0..LINKS {
        let (file, given) = match append_to(&place, true) {
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
                let link = link(&place)?;
                // One of /proc is no path to follow but a file this process has, and nobody can have put another one there.
                if nix::sys::statfs::fstatfs(&link)?.filesystem_type() != PROC_SUPER_MAGIC {
                    let target = nix::fcntl::readlinkat(&link, "")?;
                    place = place.parent().unwrap_or(Path::new("/")).join(target);
                    continue;
                }
                (append_to(&place, false)?, true)
            }
            opened => (opened?, false),
        };
        let meta = nix::sys::stat::fstat(&file)?;
        let stream = is(&meta, SFlag::S_IFIFO) || file.is_terminal();
        if !stream || !given && !is_own(&meta) {
            regular(&meta)?;
        }
        if meta.st_nlink > 1 && others_write_beside(&place)? {
            let text = "it has another name, and others may write to its directory";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        return Ok(Log { file, before: b"" });
    }
    Err(Errno::ELOOP.into())
}

/// `anew`: it is made when missing, and is no link.
fn append_to(place: &Path, anew: bool) -> io::Result<File> {
    let mut options = File::options();
    options.append(true).create(anew).mode(0o600);
    let last = if anew { libc::O_NOFOLLOW } else { 0 };
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | last;
    options.custom_flags(flags).open(place)
}

/// The link itself, if it may be followed: held, so that another in its place changes nothing.
fn link(place: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let link = nix::fcntl::open(place, flags, Mode::empty())?;
    if is_own(&nix::sys::stat::fstat(&link)?) {
        return Ok(link);
    }
    let text = "a symbolic link of somebody else";
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Whether others may make names in the directory of this file: hard links, where the system does not keep them from it (proc(5),
/// protected_hardlinks).
fn others_write_beside(place: &Path) -> io::Result<bool> {
    let parent = place.parent().filter(|parent| *parent != Path::new(""));
    let meta = nix::sys::stat::stat(parent.unwrap_or(Path::new(".")))?;
    let writable = Mode::S_IWGRP | Mode::S_IWOTH;
    Ok(!is_own(&meta) || meta.st_mode & writable.bits() != 0)
}

fn is_own(meta: &FileStat) -> bool {
    meta.st_uid == nix::unistd::geteuid().as_raw()
}

fn is(meta: &FileStat, kind: SFlag) -> bool {
    meta.st_mode & SFlag::S_IFMT.bits() == kind.bits()
}

/// Makes sure that a file is a regular one, or /dev/null.
///
/// # Errors
/// `InvalidInput`: it is none.
pub fn regular(meta: &FileStat) -> io::Result<()> {
    if is(meta, SFlag::S_IFREG) || is_null(meta) {
        return Ok(());
    }
    let text = "not a regular file";
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Whether a file is /dev/null (null(4)): settings name it for "none".
pub fn is_null(meta: &FileStat) -> bool {
    is(meta, SFlag::S_IFCHR) && meta.st_rdev == nix::sys::stat::makedev(1, 3)
}

/// Appends one line; under the whole-file lock the original takes, if somebody else keeps it no longer than `lock`. Else it is given up: a
/// line is written with one call, and stays whole. A full disk loses the line, as there; the half of it
/// that was taken is not what the next one begins with.
///
/// # Errors
/// The line, or the rest of it, was lost: the kernel's word.
pub fn append(log: &mut Log, line: &[u8], lock: &mut Option<Duration>) -> io::Result<()> {
    *lock = lock.filter(|patience| locked(&log.file, *patience));
    let begun = log.file.write_all(log.before);
    let written = begun.and_then(|()| log.file.write_all(line));
    log.before = if written.is_err() { b"\n" } else { b"" };
    if lock.is_some() {
        let _ = set(&log.file, libc::F_UNLCK);
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
