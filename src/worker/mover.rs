//! The data thread: moves the bytes of one job at a time with blocking calls and wakes the control thread at the end; worker.

use super::guard::{Guard, Guarded, errno};
use super::pace::Pace;
use crate::ftp::ascii::{FromNetwork, ToNetwork};
use crate::sys::{process, socket};
use crossbeam_channel::{Receiver, Sender, bounded};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One piece of a download that is not limited: large, so that the calls cost nothing beside the bytes.
const SENDFILE: usize = 8 << 20;

/// One piece under TLS: what is copied and then ciphered should still be in the processor's own memory.
const GUARDED: usize = 64 * 1024;

/// The data thread's stack: it holds no buffers.
const STACK: usize = 256 * 1024;

/// A data connection both threads know: one moves bytes, the other may cut it off.
#[derive(Debug)]
pub struct Line {
    socket: OwnedFd,
    cut: AtomicBool,
    moved: AtomicU64,
    notes: Mutex<Vec<String>>,
}

impl Line {
    /// Over a connected socket.
    pub fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            cut: AtomicBool::new(false),
            moved: AtomicU64::new(0),
            notes: Mutex::default(),
        }
    }

    /// Cuts it off: the blocked call of the data thread returns.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
        socket::shut(self.socket.as_fd());
    }

    /// Bytes moved so far.
    pub fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// The connection.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Leaves a line for the log.
    pub fn note(&self, text: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(text);
    }

    /// Takes the lines for the log.
    pub fn notes(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What an error of the socket means.
    pub fn broken(&self, error: Errno) -> End {
        if error == Errno::EAGAIN && !self.is_cut() {
            End::Stalled
        } else {
            End::Network
        }
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    fn add(&self, count: usize) {
        self.moved
            .fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every byte arrived: the peer's kernel has acknowledged them, or the file is written and closed.
    Done,
    /// The local file could not be read or written.
    Local(Errno),
    /// The connection broke.
    Network,
    /// Nothing moved for `data_connection_timeout`.
    Stalled,
    /// The directory could not be read: LIST says so with its success.
    NoDirectory,
    /// The connection does not prove that it belongs to this session.
    Stranger,
    /// There is no TLS on it.
    Handshake,
    /// The client or helper has gone, or spoke nonsense: nobody is left to be told.
    Deserted,
}

/// Text of a listing, made piece by piece; sent as it comes.
pub type Produce =
    Box<dyn FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), End>) -> Result<(), End> + Send>;

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
    /// How many bytes to read or write at a time.
    pub chunk: usize,
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
        if socket::data_options(self.line.socket(), self.stall).is_err() {
            return (End::Network, None);
        }
        let guarded = match self.guard.map(|guard| guard.accept(&self.line)).transpose() {
            Ok(guarded) => guarded,
            Err(end) => return (end, None),
        };
        let pace = self.rate.map(Pace::new);
        let most = match &guarded {
            Some(_) => self.chunk.min(GUARDED),
            None => self.chunk,
        };
        let chunk = pace.as_ref().map_or(most, |pace| pace.piece().min(most));
        let mut run = Run {
            line: &self.line,
            guarded,
            pace,
            chunk,
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
                offset: _,
                end: _,
                ascii,
                sendfile: _,
            } => self.read_file(&file, ascii, buffers),
            Work::Upload {
                file,
                ascii,
                truncate,
            } => return self.upload(file, ascii, truncate, buffers),
            Work::Listing(produce) => produce(&mut |text| self.send(text)),
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
                    return self.copy_from(file, offset);
                }
                Err(error) => return Err(self.broken(error)),
            }
        }
        Ok(())
    }

    /// For files sendfile(2) cannot read.
    fn copy_from(&mut self, file: &OwnedFd, offset: i64) -> Result<(), End> {
        nix::unistd::lseek(file, offset, nix::unistd::Whence::SeekSet).map_err(End::Local)?;
        self.read_file(file, false, &mut Buffers::default())
    }

    fn read_file(&mut self, file: &OwnedFd, ascii: bool, buffers: &mut Buffers) -> Result<(), End> {
        let mut convert = ToNetwork::new();
        buffers.raw.resize(self.chunk, 0);
        loop {
            let count = match nix::unistd::read(file, &mut buffers.raw) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
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
        // The end may be ours: a cut connection reads as an end too.
        if self.line.is_cut() {
            Err(End::Network)
        } else {
            Ok(())
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
            let mut fds = [PollFd::new(self.line.socket.as_fd(), PollFlags::empty())];
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
        if socket::finish(self.socket()).is_err() {
            return End::Network;
        }
        let patience = self.stall.unwrap_or(Duration::from_secs(600));
        let (mut left, mut since, mut nap) = (usize::MAX, Instant::now(), Duration::from_millis(1));
        let mut ended = false;
        loop {
            let Ok(now) = socket::unacknowledged(self.socket()) else {
                return End::Network;
            };
            // Acknowledged, unless a reset has emptied the queue.
            if now == 0 {
                let healthy = socket::connected(self.socket()).is_ok() && !self.line.is_cut();
                return if healthy { end } else { End::Network };
            }
            if now < left {
                (left, since) = (now, Instant::now());
            } else if since.elapsed() >= patience {
                return End::Stalled;
            }
            if ended {
                // At its end already: what is left is an acknowledgement on its way.
                std::thread::sleep(Duration::from_millis(1));
            }
            // The peer's own end or a cut wakes us at once; otherwise look again soon.
            let mut fds = [PollFd::new(self.socket(), crate::sys::socket::PEER_ENDED)];
            let woken = socket::wait(&mut fds, Instant::now().checked_add(nap)).unwrap_or(true);
            if woken {
                // A reset leaves the count as it was; only the error tells.
                if self.line.is_cut() || socket::connected(self.socket()).is_err() {
                    return End::Network;
                }
                ended = true;
            }
            nap = nap.saturating_mul(2).min(Duration::from_millis(50));
        }
    }
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<(), End> {
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
