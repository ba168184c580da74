//! Uploads: from the line through TLS, MODE Z and TYPE A, as far as they are in force, into a file; worker, data thread.

use super::{Buffers, Run};
use crate::ftp::ascii::FromNetwork;
use crate::sys::tree::{Keeper, Meta, meta_of, not_lost, write_at_end};
use crate::worker::guard::{Guarded, broken};
use crate::worker::line::{End, Line};
use crate::worker::zip::Inflater;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use nix::unistd::{Whence, lseek};
use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What goes through the pipe of an upload at a time. One user's pipes may take 64 MiB together, and are small beyond that (pipe(7)).
const PIPE: usize = 1 << 20;
const PIPE_SIZE: i32 = 1 << 20;
/// A pipe that is smaller saves nothing.
const PIPE_LEAST: i32 = 1 << 16;

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
            start,
            seen,
        }
    }

    /// Gives up what it holds.
    fn empty(&self) -> Result<(), End> {
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
    fn kept(&self) -> Result<(), End> {
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
        nix::unistd::write(&self.file, bytes)
    }

    /// Bytes have been written.
    fn passed(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.at.set(self.at.get().saturating_add(count));
    }

    /// After it was written to, well or not: whether what was written is there, as far as its offset and its length tell.
    fn grown(&self, written: Result<(), End>) -> Result<(), End> {
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

    /// Closes it: a file system may hold its error back until here: quota, NFS, a full disk. Others do not tell it here either.
    ///
    /// # Errors
    /// How the transfer ends.
    pub fn close(self) -> Result<(), End> {
        let kept = self.kept();
        let lost = not_lost(&self.file).map_err(End::Local);
        nix::unistd::close(self.file).map_err(End::Local)?;
        kept.and(lost)
    }
}

/// The file of an upload, and what the bytes of the line become on their way to it.
struct Sink<'a> {
    file: &'a Growing,
    line: &'a Line,
    inflater: Option<&'a mut Inflater>,
    text: Option<Text<'a>>,
}

/// TYPE A.
struct Text<'a> {
    convert: FromNetwork,
    converted: &'a mut Vec<u8>,
}

impl Sink<'_> {
    /// Takes bytes of the line, and counts what they stand for.
    fn take(&mut self, wire: &[u8]) -> Result<(), End> {
        let Self {
            file,
            line,
            inflater,
            text,
        } = self;
        let Some(inflater) = inflater else {
            line.add(wire.len());
            return write_text(line, file, text, wire);
        };
        inflater.push(wire, &mut |piece| {
            // A little of the line may become much of a file, and an ABOR is not to wait for it.
            if line.is_cut() {
                return Err(End::Network);
            }
            line.add(piece.len());
            write_text(line, file, text, piece)
        })
    }

    /// The line has ended.
    fn finish(self) -> Result<(), End> {
        if let Some(mut text) = self.text {
            text.converted.clear();
            text.convert.finish(text.converted);
            if !text.converted.is_empty() {
                self.file.write(self.line, text.converted)?;
            }
        }
        if self.line.is_cut() {
            return Err(End::Network);
        }
        self.inflater.map_or(Ok(()), |inflater| inflater.finish())
    }
}

fn write_text(
    line: &Line,
    file: &Growing,
    text: &mut Option<Text<'_>>,
    bytes: &[u8],
) -> Result<(), End> {
    let Some(text) = text else {
        return write_all(line, file, bytes);
    };
    text.converted.clear();
    text.convert.convert(bytes, text.converted);
    write_all(line, file, text.converted)
}

impl Run<'_> {
    pub(super) fn upload(
        &mut self,
        file: Growing,
        ascii: bool,
        truncate: bool,
        buffers: &mut Buffers,
    ) -> End {
        if truncate && let Err(end) = file.empty() {
            return end;
        }
        let received = match self.guarded.take() {
            Some(mut guarded) => {
                let received = self.receive_guarded(&mut guarded, &file, ascii, buffers);
                // Announced whether the client waits for it or not.
                let _ = guarded.stream.close(self.socket());
                received
            }
            None => self.receive(&file, ascii, buffers),
        };
        let closed = file.close();
        received.and(closed).err().unwrap_or(End::Done)
    }

    fn receive(&mut self, file: &Growing, ascii: bool, buffers: &mut Buffers) -> Result<(), End> {
        if !ascii && self.whole && self.zip.is_none() && self.splice(file)? {
            return self.uncut();
        }
        let Buffers {
            raw,
            converted,
            inflater,
            deflater: _,
            due: _,
        } = buffers;
        raw.resize(self.chunk, 0);
        let mut sink = self.sink(file, ascii, converted, inflater);
        loop {
            let count = match nix::unistd::read(self.socket(), raw) {
                Ok(0) => break,
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(self.broken(error)),
            };
            file.kept()?;
            file.grown(sink.take(raw.get(..count).unwrap_or_default()))?;
            self.paced(count)?;
        }
        sink.finish()
    }

    fn sink<'a>(
        &self,
        file: &'a Growing,
        ascii: bool,
        converted: &'a mut Vec<u8>,
        inflater: &'a mut Option<Inflater>,
    ) -> Sink<'a>
    where
        Self: 'a,
    {
        Sink {
            file,
            line: self.line,
            inflater: self.zip.map(|zip| {
                let fresh = match inflater.take() {
                    Some(inflater) => inflater.again(zip),
                    None => Inflater::new(zip),
                };
                inflater.insert(fresh)
            }),
            text: ascii.then(|| Text {
                convert: FromNetwork::new(),
                converted,
            }),
        }
    }

    /// Moves everything through a pipe, which spares one of two copies; false where this is not to be had: what is left is to be read.
    fn splice(&mut self, file: &Growing) -> Result<bool, End> {
        let Ok((out, into)) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC) else {
            return Ok(false);
        };
        let size = fcntl(&into, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE))
            .or_else(|_| fcntl(&into, FcntlArg::F_GETPIPE_SZ));
        if size.is_ok_and(|size| size < PIPE_LEAST) {
            return Ok(false);
        }
        let flags = SpliceFFlags::SPLICE_F_MOVE;
        loop {
            let count = match splice(self.socket(), None, &into, None, PIPE, flags) {
                // The end, or urgent data, which stops splice(2) and not read(2).
                Ok(0) => match self.read_on(file)? {
                    0 => return Ok(true),
                    count => {
                        self.moved(count)?;
                        continue;
                    }
                },
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => return Ok(false),
                Err(error) => return Err(self.broken(error)),
            };
            file.kept()?;
            let mut left = count;
            let drained = self.drain_into(&out, &mut left, file);
            let poured = match drained {
                // A file system that cannot be spliced to, as some are since Linux 5.10, or a file that is appended to.
                Err(End::Local(Errno::EINVAL)) => pour(self.line, &out, left, file),
                drained => drained,
            };
            file.grown(poured)?;
            self.moved(count)?;
            if drained.is_err() {
                return Ok(false);
            }
        }
    }

    /// Splices what is left in a pipe into a file.
    fn drain_into(&self, pipe: &OwnedFd, left: &mut usize, file: &Growing) -> Result<(), End> {
        while *left > 0 {
            match splice(
                pipe,
                None,
                &file.file,
                None,
                *left,
                SpliceFFlags::SPLICE_F_MOVE,
            ) {
                Ok(0) => return Err(End::Local(Errno::ENOSPC)),
                Ok(count) => {
                    file.passed(count);
                    *left = left.saturating_sub(count);
                }
                // A file may say so for ever.
                Err(Errno::EINTR) => self.uncut()?,
                Err(error) => return Err(End::Local(error)),
            }
        }
        Ok(())
    }

    /// Reads and writes a little; how much, 0 at the end.
    fn read_on(&self, file: &Growing) -> Result<usize, End> {
        let mut little = [0; 512];
        loop {
            match nix::unistd::read(self.socket(), &mut little) {
                Ok(0) => return Ok(0),
                Ok(count) => {
                    file.write(self.line, little.get(..count).unwrap_or_default())?;
                    return Ok(count);
                }
                Err(Errno::EINTR) => {}
                Err(error) => return Err(self.broken(error)),
            }
        }
    }

    /// As [`Run::receive`], each record used where it was decrypted.
    fn receive_guarded(
        &mut self,
        guarded: &mut Guarded,
        file: &Growing,
        ascii: bool,
        buffers: &mut Buffers,
    ) -> Result<(), End> {
        let line = self.line;
        let Buffers {
            raw: _,
            converted,
            inflater,
            deflater: _,
            due: _,
        } = buffers;
        // Where nothing limits it, as much as TLS has room for.
        let most = if self.whole { usize::MAX } else { self.chunk };
        let mut sink = self.sink(file, ascii, converted, inflater);
        guarded
            .stream
            .begin_upload(line.socket())
            .map_err(|error| broken(line, &error))?;
        loop {
            let mut written = false;
            let read = guarded.stream.read(line.socket(), most, |clear| {
                if !std::mem::replace(&mut written, true) {
                    file.kept()?;
                }
                sink.take(clear)?;
                if self.pace.is_some() {
                    // The wait may be long.
                    file.grown(Ok(()))?;
                    written = false;
                }
                self.paced(clear.len())
            });
            if written {
                file.grown(Ok(()))?;
            }
            match read {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => break,
                Ok(Err(end)) => return Err(end),
                Err(error) => {
                    guarded.ended(line, &error)?;
                    break;
                }
            }
        }
        sink.finish()
    }
}

/// Writes what waits in a pipe.
fn pour(line: &Line, pipe: &OwnedFd, mut left: usize, file: &Growing) -> Result<(), End> {
    let mut piece = [0; 4096];
    while left > 0 {
        match nix::unistd::read(pipe, &mut piece) {
            Ok(0) => return Err(End::Local(Errno::EIO)),
            Ok(count) => {
                write_all(line, file, piece.get(..count).unwrap_or_default())?;
                left = left.saturating_sub(count);
            }
            Err(Errno::EINTR) => {}
            Err(error) => return Err(End::Local(error)),
        }
    }
    Ok(())
}

/// Writes all of it.
///
/// # Errors
/// How the transfer ends.
fn write_all(line: &Line, file: &Growing, mut bytes: &[u8]) -> Result<(), End> {
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
    use nix::errno::Errno;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    fn file() -> std::fs::File {
        let who = (std::process::id(), std::thread::current().id());
        let place = format!("/tmp/vsftpd-growing-{who:?}");
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
}
