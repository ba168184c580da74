//! The data thread: moves the bytes of one job at a time with blocking calls and wakes the control thread at the end; worker.

use super::guard::{Guard, Guarded, errno};
use super::line::{Drain, End, Line};
use super::pace::Pace;
use crate::ftp::ascii::{FromNetwork, ToNetwork};
use crate::sys::{process, socket};
use crossbeam_channel::{Receiver, Sender, bounded};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use nix::poll::{PollFd, PollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One piece of a download that is not limited: large, so that the calls cost nothing beside the bytes.
const SENDFILE: usize = 8 << 20;

/// What is read or written at a time where nothing else is asked for: calls cost more than memory.
const CHUNK: usize = 256 * 1024;

/// What goes through the pipe of an upload at a time. One user's pipes may take 64 MiB together, and are small beyond that (pipe(7)).
const PIPE: usize = 1 << 20;
const PIPE_SIZE: i32 = 1 << 20;
/// A pipe that is smaller saves nothing.
const PIPE_LEAST: i32 = 1 << 16;
/// One piece under TLS: what is copied and then ciphered should still be in the processor's own memory.
const GUARDED: usize = 64 * 1024;

/// The data thread's stack: it holds no buffers.
const STACK: usize = 256 * 1024;

/// Text of a listing, made piece by piece; sent as it comes.
pub type Produce =
    Box<dyn FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), End>) -> Result<(), End> + Send>;

/// Work on a local file alone: told how much to read at a time, it reports what it has read, and stops when that is refused.
pub type Reckon =
    Box<dyn FnOnce(usize, &mut dyn FnMut(usize) -> Result<(), End>) -> Result<(), End> + Send>;

/// What there is to move.
pub enum Work {
    /// A file to the client.
    Download {
        /// The file.
        file: OwnedFd,
        /// From this byte.
        offset: u64,
        /// Up to this one, its size when it was opened.
        end: u64,
        /// TYPE A is converted.
        ascii: bool,
        /// By sendfile(2).
        sendfile: bool,
    },
    /// The client's bytes into a file.
    Upload {
        /// The file, at the right place.
        file: OwnedFd,
        /// TYPE A is converted.
        ascii: bool,
        /// What it holds is given up first, once the connection is known to be the client's.
        truncate: bool,
    },
    /// A listing.
    Listing(Produce),
    /// A listing of a directory that is small.
    ShortListing(Produce),
    /// Nothing to move: a checksum. The line's descriptor is not used.
    Reckon(Reckon),
}

impl Work {
    /// Whether it moves bytes over the line: options of a socket, and its protection, are for such work only.
    pub fn moves(&self) -> bool {
        !matches!(self, Self::Reckon(_))
    }
}

/// One job of the data thread.
pub struct Job {
    /// The connection.
    pub line: Arc<Line>,
    /// What protects it, if TLS does.
    pub guard: Option<Guard>,
    /// What to move.
    pub work: Work,
    /// Bytes per second.
    pub rate: Option<u64>,
    /// The longest time without progress.
    pub stall: Option<Duration>,
    /// How many bytes to read or write at a time; `None`: as suits the kernel best.
    pub chunk: Option<usize>,
}

/// The control thread's end of the data thread.
pub struct Mover {
    jobs: Sender<Job>,
    ends: Receiver<End>,
    wake: Arc<EventFd>,
}

impl Mover {
    /// Starts the thread; after it this process can start no other.
    ///
    /// # Errors
    /// The kernel makes no more threads.
    pub fn start() -> io::Result<Self> {
        let (jobs, todo) = bounded::<Job>(1);
        let (done, ends) = bounded(1);
        let wake = Arc::new(EventFd::from_flags(
            EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
        )?);
        let theirs = Arc::clone(&wake);
        std::thread::Builder::new()
            .name("data".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let mut buffers = Buffers::default();
                for job in todo {
                    let line = Arc::clone(&job.line);
                    let (end, guarded) = job.run(&mut buffers);
                    if done.send(end).is_err() || theirs.write(1).is_err() {
                        return;
                    }
                    if let Some(guarded) = guarded.filter(|_| end == End::Done) {
                        guarded.farewell(&line);
                    }
                }
            })?;
        process::no_more_threads();
        Ok(Self { jobs, ends, wake })
    }

    /// Hands a job over; false if the thread has gone.
    pub fn give(&self, job: Job) -> bool {
        self.jobs.send(job).is_ok()
    }

    /// Becomes readable when a job has ended.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// How the job ended, once it has; `None` if the thread has gone. For a job that was cut: it ends soon.
    pub fn wait(&self) -> Option<End> {
        self.ends.recv().ok()
    }

    /// How the job ended, if it has.
    pub fn end(&self) -> Option<End> {
        let end = self.ends.try_recv().ok()?;
        // Sent before the wake-up is: waits for it, so that the next job's poll does not see this one's.
        let _ = socket::readable(self.wake.as_fd(), None);
        let _ = self.wake.read();
        Some(end)
    }
}

/// What the data thread keeps from job to job.
#[derive(Default)]
struct Buffers {
    raw: Vec<u8>,
    converted: Vec<u8>,
}

impl Job {
    fn run(self, buffers: &mut Buffers) -> (End, Option<Guarded>) {
        if self.work.moves() && socket::data_options(self.line.socket(), self.stall).is_err() {
            return (End::Network, None);
        }
        let guarded = match self.guard.map(|guard| guard.accept(&self.line)).transpose() {
            Ok(guarded) => guarded,
            Err(end) => return (end, None),
        };
        let pace = self.rate.map(Pace::new);
        let whole = self.chunk.is_none() && pace.is_none();
        let most = match (self.chunk, &guarded) {
            (Some(chunk), Some(_)) => chunk.min(GUARDED),
            (None, Some(_)) => GUARDED,
            (chunk, None) => chunk.unwrap_or(CHUNK),
        };
        let chunk = pace.as_ref().map_or(most, |pace| pace.piece().min(most));
        let mut run = Run {
            line: &self.line,
            guarded,
            pace,
            chunk,
            whole,
            stall: self.stall,
        };
        let end = run.work(self.work, buffers);
        (end, run.guarded)
    }
}

/// A job that runs.
struct Run<'a> {
    line: &'a Line,
    guarded: Option<Guarded>,
    pace: Option<Pace>,
    chunk: usize,
    /// No size of pieces is asked for.
    whole: bool,
    stall: Option<Duration>,
}

impl Run<'_> {
    fn work(&mut self, work: Work, buffers: &mut Buffers) -> End {
        let result = match work {
            Work::Download {
                file,
                offset,
                end,
                ascii: false,
                sendfile: true,
            } if self.guarded.is_none() => self.sendfile(&file, offset, end),
            Work::Download {
                file,
                offset,
                end,
                ascii,
                sendfile: _,
            } => self.read_file(&file, end.saturating_sub(offset), ascii, buffers),
            Work::Upload {
                file,
                ascii,
                truncate,
            } => return self.upload(file, ascii, truncate, buffers),
            Work::Listing(produce) | Work::ShortListing(produce) => {
                produce(&mut |text| self.send(text))
            }
            Work::Reckon(reckon) => {
                return reckon(self.chunk, &mut |count| self.moved(count, true))
                    .err()
                    .unwrap_or(End::Done);
            }
        };
        let end = match result {
            Ok(()) => End::Done,
            Err(End::NoDirectory) => End::NoDirectory,
            Err(end) => return end,
        };
        let closed = self
            .guarded
            .as_mut()
            .map_or(Ok(()), |guarded| guarded.close(self.line, self.stall));
        closed.map_or_else(|end| end, |()| self.drain(end))
    }

    fn socket(&self) -> BorrowedFd<'_> {
        self.line.socket()
    }

    fn broken(&self, error: Errno) -> End {
        self.line.broken(error)
    }

    fn sendfile(&mut self, file: &OwnedFd, from: u64, end: u64) -> Result<(), End> {
        let mut offset = i64::try_from(from).map_err(|_| End::Local(Errno::EOVERFLOW))?;
        let end = i64::try_from(end).map_err(|_| End::Local(Errno::EOVERFLOW))?;
        while offset < end {
            let left = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
            let piece = left.min(if self.pace.is_some() {
                self.chunk
            } else {
                SENDFILE
            });
            match nix::sys::sendfile::sendfile(self.socket(), file, Some(&mut offset), piece) {
                // The file has become shorter: what was promised cannot be sent (reference §9.2).
                Ok(0) => return Err(End::Network),
                Ok(count) => self.moved(count, offset < end)?,
                Err(Errno::EINTR) => {}
                Err(Errno::EIO) => return Err(End::Local(Errno::EIO)),
                Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
                    return self.copy_from(file, offset, end);
                }
                Err(error) => return Err(self.broken(error)),
            }
        }
        Ok(())
    }

    /// For files sendfile(2) cannot read.
    fn copy_from(&mut self, file: &OwnedFd, offset: i64, end: i64) -> Result<(), End> {
        nix::unistd::lseek(file, offset, nix::unistd::Whence::SeekSet).map_err(End::Local)?;
        let left = u64::try_from(end.saturating_sub(offset)).unwrap_or(0);
        self.read_file(file, left, false, &mut Buffers::default())
    }

    /// Sends `left` bytes of the file, or up to its end.
    fn read_file(
        &mut self,
        file: &OwnedFd,
        mut left: u64,
        ascii: bool,
        buffers: &mut Buffers,
    ) -> Result<(), End> {
        let mut convert = ToNetwork::new();
        buffers.raw.resize(self.chunk, 0);
        loop {
            let most = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(buffers.raw.len());
            let room = buffers.raw.get_mut(..most).unwrap_or_default();
            let count = match nix::unistd::read(file, room) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
                    count
                }
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(End::Local(error)),
            };
            let raw = buffers.raw.get(..count).unwrap_or_default();
            if ascii {
                buffers.converted.clear();
                convert.convert(raw, &mut buffers.converted);
                self.send(&buffers.converted)?;
            } else {
                self.send(raw)?;
            }
        }
    }

    fn send(&mut self, text: &[u8]) -> Result<(), End> {
        if self.guarded.is_some() {
            return self.send_guarded(text);
        }
        let mut rest = text;
        while !rest.is_empty() {
            let piece = rest.get(..self.chunk).unwrap_or(rest);
            match nix::unistd::write(self.socket(), piece) {
                Ok(count) => {
                    rest = rest.get(count..).unwrap_or_default();
                    self.moved(count, true)?;
                }
                Err(Errno::EINTR) => {}
                Err(error) => return Err(self.broken(error)),
            }
        }
        Ok(())
    }

    fn send_guarded(&mut self, text: &[u8]) -> Result<(), End> {
        for piece in text.chunks(self.chunk) {
            let fd = self.line.socket();
            if let Some(guarded) = &mut self.guarded {
                let mut sent = guarded.stream.write(fd, piece);
                if self.pace.is_some() {
                    sent = sent.and_then(|()| guarded.stream.flush(fd));
                }
                sent.map_err(|error| self.line.broken(errno(&error)))?;
            }
            self.moved(piece.len(), true)?;
        }
        Ok(())
    }

    fn upload(&mut self, file: OwnedFd, ascii: bool, truncate: bool, buffers: &mut Buffers) -> End {
        if truncate && let Err(error) = nix::unistd::ftruncate(&file, 0) {
            return End::Local(error);
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
        // A file system may hold its error back until here: quota, NFS, a full disk.
        let closed = nix::unistd::close(file);
        match (received, closed) {
            (Err(end), _) => end,
            (Ok(()), Err(error)) => End::Local(error),
            (Ok(()), Ok(())) => End::Done,
        }
    }

    fn receive(&mut self, file: &OwnedFd, ascii: bool, buffers: &mut Buffers) -> Result<(), End> {
        if !ascii && self.whole && self.splice(file)? {
            return self.uncut();
        }
        let mut convert = FromNetwork::new();
        buffers.raw.resize(self.chunk, 0);
        loop {
            let count = match nix::unistd::read(self.socket(), &mut buffers.raw) {
                Ok(0) => break,
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(self.broken(error)),
            };
            let raw = buffers.raw.get(..count).unwrap_or_default();
            if ascii {
                buffers.converted.clear();
                convert.convert(raw, &mut buffers.converted);
                write_all(file, &buffers.converted)?;
            } else {
                write_all(file, raw)?;
            }
            self.moved(count, true)?;
        }
        self.received(file, ascii.then_some(convert), &mut buffers.converted)
    }

    /// The end of an upload.
    fn received(
        &self,
        file: &OwnedFd,
        convert: Option<FromNetwork>,
        converted: &mut Vec<u8>,
    ) -> Result<(), End> {
        if let Some(mut convert) = convert {
            converted.clear();
            convert.finish(converted);
            write_all(file, converted)?;
        }
        self.uncut()
    }

    /// The end may be ours: a cut connection reads as an end too.
    fn uncut(&self) -> Result<(), End> {
        if self.line.is_cut() {
            Err(End::Network)
        } else {
            Ok(())
        }
    }

    /// Moves everything through a pipe, which spares one of two copies; false where this is not to be had, and nothing was moved.
    fn splice(&mut self, file: &OwnedFd) -> Result<bool, End> {
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
                Ok(0) => return Ok(true),
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => return Ok(false),
                Err(error) => return Err(self.broken(error)),
            };
            let mut left = count;
            while left > 0 {
                match splice(&out, None, file, None, left, flags) {
                    Ok(0) => return Err(End::Local(Errno::ENOSPC)),
                    Ok(count) => left = left.saturating_sub(count),
                    Err(Errno::EINTR) => {}
                    Err(error) => return Err(End::Local(error)),
                }
            }
            self.moved(count, true)?;
        }
    }

    /// As [`Run::receive`], each record written from where it was decrypted.
    fn receive_guarded(
        &mut self,
        guarded: &mut Guarded,
        file: &OwnedFd,
        ascii: bool,
        buffers: &mut Buffers,
    ) -> Result<(), End> {
        let mut convert = FromNetwork::new();
        let line = self.line;
        let Buffers { raw, converted } = buffers;
        raw.resize(self.chunk, 0);
        guarded
            .stream
            .begin_upload(line.socket())
            .map_err(|error| line.broken(errno(&error)))?;
        loop {
            let read = guarded.stream.read(line.socket(), raw, |clear| {
                if ascii {
                    converted.clear();
                    convert.convert(clear, converted);
                    write_all(file, converted)?;
                } else {
                    write_all(file, clear)?;
                }
                self.moved(clear.len(), true)
            });
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
        self.received(file, ascii.then_some(convert), converted)
    }

    /// Books what was moved and waits if that was too fast; a cut connection ends the wait.
    fn moved(&mut self, count: usize, more: bool) -> Result<(), End> {
        self.line.add(count);
        let Some(pace) = &mut self.pace else {
            return Ok(());
        };
        let until = pace.book(u64::try_from(count).unwrap_or(u64::MAX));
        if more {
            // No event is asked for: only the hang-up of a cut connection is reported.
            let mut fds = [PollFd::new(self.line.socket(), PollFlags::empty())];
            let _ = socket::wait(&mut fds, Some(until));
        }
        if self.line.is_cut() {
            Err(End::Network)
        } else {
            Ok(())
        }
    }

    /// Ends our side and waits until the peer's kernel has taken every byte: only then was the transfer a success.
    fn drain(&self, end: End) -> End {
        let mut drain = match Drain::begin(self.line, end, self.stall) {
            Ok(drain) => drain,
            Err(end) => return end,
        };
        loop {
            if let Some(end) = drain.look() {
                return end;
            }
            if drain.ended() {
                std::thread::sleep(drain.nap());
                continue;
            }
            // The peer's own end or a cut wakes us at once; otherwise look again soon.
            let mut fds = [PollFd::new(self.socket(), crate::sys::socket::PEER_ENDED)];
            let until = Instant::now().checked_add(drain.nap());
            if socket::wait(&mut fds, until).unwrap_or(true) {
                drain.woken();
            }
        }
    }
}

/// Writes all of it.
///
/// # Errors
/// How the transfer ends.
pub fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<(), End> {
    while !bytes.is_empty() {
        match nix::unistd::write(file, bytes) {
            Ok(0) => return Err(End::Local(Errno::ENOSPC)),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(End::Local(error)),
        }
    }
    Ok(())
}
