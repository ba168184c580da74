//! The data thread: moves the bytes of one job at a time with blocking calls and wakes the control thread at the end; worker.

mod growing;
mod receive;

pub use growing::{Growing, Seen, Start};

use super::guard::{self, Guard, Guarded};
use super::line::{Drain, End, Line, of_a_socket};
use super::pace::Pace;
use super::zip::{Deflater, Inflater, Zip};
use crate::ftp::ascii::ToNetwork;
use crate::sys::tree::{Keeper, meta_of};
use crate::sys::{fence, socket};
use crossbeam_channel::{Receiver, Sender, bounded};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One piece of a download that is not limited: large, so that the calls cost nothing beside the bytes.
const SENDFILE: usize = 8 << 20;

/// What is read or written at a time where nothing else is asked for: calls cost more than memory.
const CHUNK: usize = 256 * 1024;

/// One piece under TLS or in MODE Z: what is copied and then worked on should still be in the processor's own memory.
const GUARDED: usize = 64 * 1024;

/// How often a long wait for the rate limit asks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(200);

/// How long a job that was cut may take to end: a disk takes its time, a file system that hangs any time.
const ENDING: Duration = Duration::from_secs(5);

/// The data thread's stack: it holds no buffers.
const STACK: usize = 256 * 1024;

/// Text of a listing, made piece by piece; sent as it comes. An empty piece asks whether somebody still waits for it.
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
        /// Where it comes from.
        keeper: Keeper,
    },
    /// The client's bytes into a file.
    Upload {
        /// The file, at the right place.
        file: Growing,
        /// TYPE A is converted.
        ascii: bool,
        /// What it holds is given up first, once the connection is known to be the client's.
        truncate: bool,
        /// Where it lies.
        keeper: Keeper,
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
    /// MODE Z.
    pub zip: Option<Zip>,
}

/// The control thread's end of the data thread.
pub struct Mover {
    jobs: Sender<Job>,
    ends: Receiver<End>,
    wake: Arc<EventFd>,
    /// A job was given to it that has not ended.
    busy: Cell<bool>,
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
        fence::no_more_threads();
        Ok(Self {
            jobs,
            ends,
            wake,
            busy: Cell::new(false),
        })
    }

    /// Hands a job over; false if the thread has gone.
    pub fn give(&self, job: Job) -> bool {
        self.busy.set(true);
        self.jobs.send(job).is_ok()
    }

    /// Becomes readable when a job has ended.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// How a job has ended that was cut, which is soon; `None`: it is in a call that does not end.
    pub fn ending(&self) -> Option<End> {
        let end = self.ends.recv_timeout(ENDING).ok();
        self.busy.set(end.is_none());
        end
    }

    /// Whether it is in a job.
    pub fn is_busy(&self) -> bool {
        self.busy.get()
    }

    /// How the job ended, if it has.
    pub fn end(&self) -> Option<End> {
        let end = self.ends.try_recv().ok()?;
        self.busy.set(false);
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
    deflater: Option<Deflater>,
    inflater: Option<Inflater>,
    /// What the rate limit has not let go yet: a job that was broken off leaves its debt to the next.
    due: Option<Instant>,
}

impl Job {
    fn run(self, buffers: &mut Buffers) -> (End, Option<Guarded>) {
        let fd = self.line.socket();
        let prepared = match &self.work {
            Work::Upload { .. } => socket::receives(fd, self.stall),
            Work::Download { .. } | Work::Listing(_) | Work::ShortListing(_) => socket::sends(fd),
            Work::Reckon(_) => Ok(()),
        };
        if prepared.is_err() {
            return (End::Network, None);
        }
        let guarded = match self.guard.map(|guard| guard.accept(&self.line)).transpose() {
            Ok(guarded) => guarded,
            Err(end) => return (end, None),
        };
        let pace = self.rate.map(|rate| Pace::new(rate, buffers.due));
        let whole = self.chunk.is_none() && pace.is_none();
        let worked = guarded.is_some() || self.zip.is_some();
        let most = match self.chunk {
            Some(chunk) if worked => chunk.min(GUARDED),
            Some(chunk) => chunk,
            None if worked => GUARDED,
            None => CHUNK,
        };
        let chunk = pace.as_ref().map_or(most, |pace| pace.piece().min(most));
        let mut run = Run {
            line: &self.line,
            guarded,
            pace,
            chunk,
            whole,
            stall: self.stall,
            zip: self.zip,
            deflater: None,
        };
        let ready = run.paced(0);
        let end = match ready {
            Ok(()) => run.work(self.work, buffers),
            Err(end) => end,
        };
        buffers.due = run.pace.as_ref().map(Pace::due);
        buffers.deflater = run.deflater.take().or(buffers.deflater.take());
        (end, run.guarded)
    }
}

/// How a download by sendfile(2) has ended, whose file was to be so long: what lies on the line until the peer's kernel has it is the file's
/// own memory, of which cutting it short wipes what is left of the last page.
pub fn still_as_long(file: &OwnedFd, end: u64, ended: End) -> End {
    if ended == End::Done && !meta_of(file).is_ok_and(|meta| meta.size >= end) {
        return End::Network;
    }
    ended
}

/// What bytes of the line count as.
#[derive(Debug, Clone, Copy)]
enum Count {
    /// What was moved.
    Moved,
    /// Bytes of a compressed stream: what they stand for is counted for itself.
    Packed,
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
    zip: Option<Zip>,
    /// What compresses a download or a listing.
    deflater: Option<Deflater>,
}

impl Run<'_> {
    fn work(&mut self, work: Work, buffers: &mut Buffers) -> End {
        if !matches!(work, Work::Upload { .. }) {
            self.deflater = self.zip.map(|zip| match buffers.deflater.take() {
                Some(deflater) => deflater.again(zip),
                None => Deflater::new(zip),
            });
        }
        let result = match work {
            Work::Download {
                file,
                offset,
                end,
                ascii: false,
                sendfile: true,
                keeper: _,
            } if self.guarded.is_none() && self.deflater.is_none() => {
                return match self.sendfile(&file, offset, end) {
                    Ok(()) => still_as_long(&file, end, self.close(End::Done)),
                    Err(end) => end,
                };
            }
            Work::Download {
                file,
                offset,
                end,
                ascii,
                sendfile: _,
                keeper: _,
            } => self.read_file(&file, end.saturating_sub(offset), ascii, buffers),
            Work::Upload {
                file,
                ascii,
                truncate,
                keeper: _,
            } => return self.upload(file, ascii, truncate, buffers),
            Work::Listing(produce) | Work::ShortListing(produce) => {
                let made = produce(&mut |text| self.send(text));
                if let Err(End::Local(_)) = made {
                    self.hand_on();
                }
                made
            }
            Work::Reckon(reckon) => {
                return reckon(self.chunk, &mut |count| self.moved(count))
                    .err()
                    .unwrap_or(End::Done);
            }
        };
        let end = match result {
            Ok(()) => End::Done,
            Err(End::NoDirectory) => End::NoDirectory,
            Err(end) => return end,
        };
        if let Err(end) = self.sent() {
            return end;
        }
        self.close(end)
    }

    /// Sends all there is of a listing that lacks something, which the reply tells.
    fn hand_on(&mut self) {
        let _ = self.sent();
        if let Some(guarded) = &mut self.guarded {
            guarded.hand_on(self.line, self.stall);
        }
    }

    /// Everything has been sent.
    fn close(&mut self, end: End) -> End {
        let closed = self
            .guarded
            .as_mut()
            .map_or(Ok(()), |guarded| guarded.close(self.line, self.stall));
        if let Err(end) = closed {
            return end;
        }
        let end = self.drain(end);
        if end == End::Network && self.guarded.is_some() {
            guard::broken(self.line, &io::ErrorKind::ConnectionReset.into());
        }
        end
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
                Ok(count) => self.moved(count)?,
                // A file may say so for ever.
                Err(Errno::EINTR) => self.uncut()?,
                Err(Errno::EAGAIN) => self.line.room(self.stall)?,
                Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
                    return self.copy_from(file, offset, end);
                }
                Err(error) if of_a_socket(error) => return Err(self.broken(error)),
                Err(error) => return Err(End::Local(error)),
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
                // The file has become shorter: what was promised cannot be sent (reference §9.2).
                Ok(0) if left > 0 => return Err(End::Network),
                Ok(0) => return Ok(()),
                Ok(count) => {
                    left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
                    count
                }
                Err(Errno::EINTR) => {
                    self.uncut()?;
                    continue;
                }
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

    /// Sends text of a file or a listing.
    fn send(&mut self, text: &[u8]) -> Result<(), End> {
        if text.is_empty() {
            return self.uncut();
        }
        let Some(mut deflater) = self.deflater.take() else {
            return self.put(text, Count::Moved);
        };
        // A file that leaves little of itself on the line is still to end with an ABOR.
        self.uncut()?;
        let result = deflater.push(text, &mut |piece| self.put(piece, Count::Packed));
        self.line.add(text.len());
        self.deflater = Some(deflater);
        result
    }

    /// Everything has been sent but the end of a compressed stream.
    fn sent(&mut self) -> Result<(), End> {
        let Some(mut deflater) = self.deflater.take() else {
            return Ok(());
        };
        let result = deflater.finish(&mut |piece| self.put(piece, Count::Packed));
        self.deflater = Some(deflater);
        result
    }

    /// Puts bytes on the line.
    fn put(&mut self, bytes: &[u8], count: Count) -> Result<(), End> {
        if self.guarded.is_some() {
            return self.put_guarded(bytes, count);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let piece = rest.get(..self.chunk).unwrap_or(rest);
            match nix::unistd::write(self.socket(), piece) {
                Ok(put) => {
                    rest = rest.get(put..).unwrap_or_default();
                    self.book(put, count)?;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => self.line.room(self.stall)?,
                Err(error) => return Err(self.broken(error)),
            }
        }
        Ok(())
    }

    fn put_guarded(&mut self, bytes: &[u8], count: Count) -> Result<(), End> {
        for piece in bytes.chunks(self.chunk) {
            let fd = self.line.socket();
            if let Some(guarded) = &mut self.guarded {
                let mut sent = guarded.stream.write(fd, piece);
                if self.pace.is_some() {
                    sent = sent.and_then(|()| guarded.stream.flush(fd));
                }
                guarded.finish(sent, self.line, self.stall)?;
            }
            self.book(piece.len(), count)?;
        }
        Ok(())
    }

    /// Books bytes of the line.
    fn book(&mut self, bytes: usize, count: Count) -> Result<(), End> {
        match count {
            Count::Moved => self.moved(bytes),
            Count::Packed => self.paced(bytes),
        }
    }

    /// The end may be ours: a cut connection reads as an end too.
    fn uncut(&self) -> Result<(), End> {
        if self.line.is_cut() {
            Err(End::Network)
        } else {
            Ok(())
        }
    }

    /// Books what was moved and waits if that was too fast; a cut connection ends the wait.
    fn moved(&mut self, count: usize) -> Result<(), End> {
        self.line.add(count);
        self.paced(count)
    }

    /// The rate is that of the line, whatever its bytes stand for. The last bytes are waited for like all others: many small files are no
    /// way around it.
    fn paced(&mut self, count: usize) -> Result<(), End> {
        let Some(pace) = &mut self.pace else {
            return self.uncut();
        };
        let until = pace.book(u64::try_from(count).unwrap_or(u64::MAX));
        loop {
            self.uncut()?;
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            // No event is asked for: only the hang-up of a cut connection is reported. Work without one has to look.
            let mut fds = [PollFd::new(self.line.socket(), PollFlags::empty())];
            let look = now.checked_add(LOOK).map_or(until, |look| look.min(until));
            if socket::wait(&mut fds, Some(look)).unwrap_or(true) {
                return self.uncut();
            }
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
