//! The file of an upload, which others may write to and cut short meanwhile; worker, both threads.

use crate::sys::tree::{Keeper, Meta, has_hole, meta_of, not_lost, write_at_end};
use crate::worker::line::{End, Line};
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The file of an upload, and how long it was when it was last written to: whoever cuts it short meanwhile takes away what has come, and
/// what comes then would lie behind a hole.
pub struct Growing {
    file: OwnedFd,
    start: Start,
    length: Cell<u64>,
    /// Where the next byte belongs.
    at: Cell<u64>,
    /// That is its end, as far as is known.
    ends_there: Cell<bool>,
    /// Something was put where it belongs without asking whether that is still the end.
    blind: Cell<bool>,
    seen: Arc<Seen>,
}

/// Where an upload begins.
#[derive(Debug, Default)]
pub struct Start {
    /// How long the file is.
    pub length: u64,
    /// Where the first byte belongs.
    pub at: u64,
    /// Bytes go behind what others have put there meanwhile.
    pub beside: bool,
}

/// How an upload has left its file, which tells whether others have written to it too: what is theirs is not taken away when it fails.
#[derive(Debug, Default)]
pub struct Seen(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    /// After it was last written to.
    stamp: Option<(u64, i64, u32)>,
    /// It has grown by others.
    shared: bool,
}

impl Seen {
    /// Whether all that was written to a file which is so by now was written by the upload. The times of one that is kept elsewhere may change
    /// by themselves.
    pub fn is_last(&self, now: &Meta, keeper: Keeper) -> bool {
        let last = self.last();
        let same = |stamp: (u64, i64, u32)| {
            stamp == now.stamp() || keeper == Keeper::Distant && stamp.0 == now.size
        };
        !last.shared && last.stamp.map_or(now.size == 0, same)
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Growing {
    /// As it is before the first byte comes.
    pub fn new(file: OwnedFd, start: Start, seen: Arc<Seen>) -> Self {
        Self {
            file,
            length: Cell::new(start.length),
            at: Cell::new(start.at),
            ends_there: Cell::new(false),
            blind: Cell::new(false),
            start,
            seen,
        }
    }

    /// Gives up what it holds.
    pub(super) fn empty(&self) -> Result<(), End> {
        self.length.set(0);
        nix::unistd::ftruncate(&self.file, 0).map_err(End::Local)
    }

    /// Writes all of what has come over the line.
    ///
    /// # Errors
    /// How the transfer ends.
    pub fn write(&self, line: &Line, bytes: &[u8]) -> Result<(), End> {
        self.kept()?;
        self.grown(write_all(line, self, bytes))
    }

    /// Before it is written to: whether nobody has cut it short.
    pub(super) fn kept(&self) -> Result<(), End> {
        let now = meta_of(&self.file).map_err(End::Local)?.size;
        if now > self.length.get() {
            self.seen.last().shared = true;
        }
        if now < self.length.get() {
            Err(End::Local(Errno::ENODATA))
        } else {
            self.ends_there.set(now == self.at.get());
            Ok(())
        }
    }

    /// Writes some of the bytes. Where they belong to the end, that is where the kernel puts them: should it have moved since the look
    /// before, the offset tells.
    fn put(&self, bytes: &[u8]) -> nix::Result<usize> {
        if self.ends_there.get() {
            match write_at_end(&self.file, bytes) {
                // Kernels, and filters of containers, that do not know it.
                Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EPERM | Errno::EINVAL) => {}
                done => return done,
            }
        }
        self.blind.set(true);
        nix::unistd::write(&self.file, bytes)
    }

    /// Bytes have been written.
    fn passed(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.at.set(self.at.get().saturating_add(count));
    }

    /// Bytes have been spliced to where they belong.
    pub(super) fn spliced(&self, count: usize) {
        self.blind.set(true);
        self.passed(count);
    }

    /// The file itself.
    pub(super) fn fd(&self) -> &OwnedFd {
        &self.file
    }

    /// After it was written to, well or not: whether what was written is there, as far as its offset and its length tell.
    pub(super) fn grown(&self, written: Result<(), End>) -> Result<(), End> {
        let end = lseek(&self.file, 0, Whence::SeekCur).map_err(End::Local)?;
        let end = u64::try_from(end).unwrap_or(0);
        let now = meta_of(&self.file).map_err(End::Local)?;
        let at = self.at.replace(end);
        // What has come may be no byte of the file yet, which may begin behind its end (REST).
        if now.size < end && end != self.start.at || end < at {
            return written.and(Err(End::Local(Errno::ENODATA)));
        }
        let mut last = self.seen.last();
        // It lies behind what somebody else has just written.
        last.shared |= end > at;
        if end > at && !self.start.beside {
            return written.and(Err(End::Local(Errno::EBUSY)));
        }
        last.stamp = Some(now.stamp());
        last.shared |= now.size > end.max(self.length.get());
        self.length.set(now.size);
        written
    }

    /// At the end: whether nobody has cut it short between a look at it and what was put there then, which lies behind a hole.
    fn unbroken(&self) -> Result<(), End> {
        let asked = self.blind.get() && !self.start.beside;
        if asked && has_hole(&self.file, self.start.at, self.at.get()) {
            self.seen.last().shared = true;
            return Err(End::Local(Errno::ENODATA));
        }
        Ok(())
    }

    /// Closes it: a file system may hold its error back until here: quota, NFS, a full disk. Others do not tell it here either.
    ///
    /// # Errors
    /// How the transfer ends.
    pub fn close(self) -> Result<(), End> {
        let kept = self.kept().and_then(|()| self.unbroken());
        let lost = not_lost(&self.file).map_err(End::Local);
        nix::unistd::close(self.file).map_err(End::Local)?;
        kept.and(lost)
    }
}

/// Writes all of it.
///
/// # Errors
/// How the transfer ends.
pub(super) fn write_all(line: &Line, file: &Growing, mut bytes: &[u8]) -> Result<(), End> {
    while !bytes.is_empty() {
        match file.put(bytes) {
            Ok(0) => return Err(End::Local(Errno::ENOSPC)),
            Ok(count) => {
                file.passed(count);
                bytes = bytes.get(count..).unwrap_or_default();
            }
            // A file may say so for ever.
            Err(Errno::EINTR) if line.is_cut() => return Err(End::Network),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(End::Local(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Growing, Keeper, Seen, Start, meta_of};
    use crate::worker::line::{End, Line};
    use crate::worker::mover::receive::drain_into;
    use nix::errno::Errno;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    fn file() -> std::fs::File {
        let who = (std::process::id(), std::thread::current().id());
        let place = format!("/dev/shm/vsftpd-growing-{who:?}");
        let mut options = std::fs::File::options();
        let options = options.read(true).write(true).create(true);
        let file = options.truncate(true).open(&place).unwrap();
        std::fs::remove_file(place).unwrap();
        file
    }

    #[test]
    fn what_others_have_written_is_seen() {
        let line = Line::new(UnixStream::pair().unwrap().0.into());
        let (other, seen) = (file(), Arc::new(Seen::default()));
        let own = other.try_clone().unwrap();
        let growing = Growing::new(own.into(), Start::default(), Arc::clone(&seen));
        let is_last = |keeper| seen.is_last(&meta_of(&other).unwrap(), keeper);
        assert!(is_last(Keeper::Disk));
        growing.write(&line, b"one").unwrap();
        assert!(is_last(Keeper::Disk));
        // As a server of files does by itself.
        let late = std::fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
        other.set_times(late).unwrap();
        assert!(!is_last(Keeper::Disk));
        assert!(is_last(Keeper::Distant));
        // Behind it, and in its place.
        nix::sys::uio::pwrite(&other, b"more", 3).unwrap();
        assert!(!is_last(Keeper::Distant));
        other.set_len(1).unwrap();
        assert_eq!(
            growing.write(&line, b"two"),
            Err(End::Local(Errno::ENODATA))
        );
        assert_eq!(meta_of(&other).unwrap().size, 1);
        assert!(!is_last(Keeper::Distant));
    }

    /// Behind what others have put there since the look before, which is right for APPE alone; it is not its own alone then.
    #[test]
    fn the_end_has_moved() {
        let line = Line::new(UnixStream::pair().unwrap().0.into());
        for beside in [true, false] {
            let (other, seen) = (file(), Arc::new(Seen::default()));
            let start = Start {
                beside,
                ..Start::default()
            };
            let own = other.try_clone().unwrap().into();
            let growing = Growing::new(own, start, Arc::clone(&seen));
            growing.kept().unwrap();
            nix::sys::uio::pwrite(&other, b"more", 0).unwrap();
            let written = super::write_all(&line, &growing, b"one");
            let end = if beside {
                Ok(())
            } else {
                Err(End::Local(Errno::EBUSY))
            };
            assert_eq!(growing.grown(written), end);
            let now = meta_of(&other).unwrap();
            assert_eq!(now.size, 7);
            assert!(!seen.is_last(&now, Keeper::Disk));
        }
    }

    /// What is spliced has no end to be put to: at the end of the upload what others have cut away before it is a hole.
    #[test]
    fn what_is_spliced_behind_a_hole_is_no_success() {
        let line = Line::new(UnixStream::pair().unwrap().0.into());
        let piece = [b'x'; 16_384];
        for cut in [true, false] {
            let (other, seen) = (file(), Arc::new(Seen::default()));
            let own = other.try_clone().unwrap().into();
            let growing = Growing::new(own, Start::default(), Arc::clone(&seen));
            for round in 0..2 {
                let (out, into) = nix::unistd::pipe().unwrap();
                nix::unistd::write(&into, &piece).unwrap();
                growing.kept().unwrap();
                if cut && round == 1 {
                    other.set_len(0).unwrap();
                }
                let mut left = piece.len();
                let drained = drain_into(&line, &out, &mut left, &growing);
                assert_eq!(growing.grown(drained), Ok(()));
            }
            let end = if cut {
                Err(End::Local(Errno::ENODATA))
            } else {
                Ok(())
            };
            assert_eq!(growing.close(), end);
            assert_eq!(seen.is_last(&meta_of(&other).unwrap(), Keeper::Disk), !cut);
        }
    }
}
