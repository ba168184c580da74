//! A data connection as both threads know it, how a transfer on it ends, and the wait for its last acknowledgement; worker.

use crate::sys::socket;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A data connection both threads know: one moves bytes, the other may cut it off.
#[derive(Debug)]
pub struct Line {
    socket: OwnedFd,
    cut: AtomicBool,
    moved: AtomicU64,
    notes: Mutex<Vec<Note>>,
}

/// A line for the log.
#[derive(Debug)]
pub enum Note {
    /// Each time.
    Each(String),
    /// Once in a session.
    Once(String),
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
        self.leave(Note::Each(text));
    }

    /// Leaves one that once is enough for.
    pub fn note_once(&self, text: String) {
        self.leave(Note::Once(text));
    }

    fn leave(&self, note: Note) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(note);
    }

    /// Takes the lines for the log.
    pub fn notes(&self) -> Vec<Note> {
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

    /// Waits until the connection, which does not block, takes more: for as long as the peer goes on acknowledging.
    ///
    /// # Errors
    /// It has acknowledged nothing for `stall`.
    pub fn room(&self, stall: Option<Duration>) -> Result<(), End> {
        let left = || socket::unacknowledged(self.socket()).map_err(|_| End::Network);
        let mut silence = Silence::begin(left()?);
        loop {
            let next = stall.and_then(|_| Instant::now().checked_add(silence.nap(LOOKS)));
            let mut fds = [PollFd::new(self.socket(), PollFlags::POLLOUT)];
            if socket::wait(&mut fds, next).map_err(|_| End::Network)? {
                return Ok(());
            }
            let lasts = silence.lasts(left()?);
            if stall.is_some_and(|stall| lasts >= stall) {
                return Err(End::Stalled);
            }
        }
    }

    /// Whether the peer's kernel has everything, our end mark too if it was sent, or never will have it.
    pub fn has_delivered(&self) -> bool {
        socket::unacknowledged(self.socket()).is_ok_and(|left| left == 0)
    }

    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Books bytes that were moved.
    pub fn add(&self, count: usize) {
        self.moved
            .fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Whether a socket gives such an error: sendfile(2) does not say which of its two sides has failed.
pub const fn of_a_socket(error: Errno) -> bool {
    matches!(
        error,
        Errno::EAGAIN
            | Errno::EPIPE
            | Errno::ECONNRESET
            | Errno::ECONNABORTED
            | Errno::ECONNREFUSED
            | Errno::ENOTCONN
            | Errno::ETIMEDOUT
            | Errno::EHOSTUNREACH
            | Errno::EHOSTDOWN
            | Errno::ENETUNREACH
            | Errno::ENETDOWN
            | Errno::ENETRESET
            | Errno::ENOBUFS
            | Errno::ENOPROTOOPT
            | Errno::EPROTO
            | Errno::EMSGSIZE
    )
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
    /// MODE Z: what came is no zlib stream.
    Garbled,
    /// MODE Z: what came is the beginning of one.
    Unfinished,
    /// MODE Z: what came stands for more than is allowed.
    Swollen,
    /// There is no thread for it, which has been written down.
    Unable,
    /// The client or helper has gone, or spoke nonsense: nobody is left to be told.
    Deserted,
}

/// How often a peer that takes nothing more is looked at.
const LOOKS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// For how long the peer has acknowledged nothing.
#[derive(Debug)]
struct Silence {
    left: usize,
    since: Instant,
}

impl Silence {
    /// From now on, with this much not acknowledged.
    fn begin(left: usize) -> Self {
        Self {
            left,
            since: Instant::now(),
        }
    }

    /// How long by now.
    fn lasts(&mut self, left: usize) -> Duration {
        if left < self.left {
            *self = Self::begin(left);
        }
        self.since.elapsed()
    }

    /// How long to wait before the next look: little beside what has been waited.
    fn nap(&self, (least, most): (Duration, Duration)) -> Duration {
        (self.since.elapsed() / 4).clamp(least, most)
    }
}

/// What the end mark counts for among what is not acknowledged (tcp(7), SIOCOUTQ).
const END_MARK: usize = 1;

/// The wait for the last acknowledgement, of which the kernel gives no sign by itself.
pub struct Drain<'a> {
    line: &'a Line,
    end: End,
    patience: Duration,
    silence: Silence,
    /// The peer has ended its side: what is left is an acknowledgement on its way.
    ended: bool,
}

impl<'a> Drain<'a> {
    /// Ends our side; `end` is what it comes to if all goes well.
    ///
    /// # Errors
    /// The connection has gone.
    pub fn begin(line: &'a Line, end: End, stall: Option<Duration>) -> Result<Self, End> {
        socket::finish(line.socket()).map_err(|_| End::Network)?;
        Ok(Self {
            line,
            end,
            patience: stall.unwrap_or(Duration::from_secs(600)),
            silence: Silence::begin(usize::MAX),
            ended: false,
        })
    }

    /// How it has ended, if it has.
    pub fn look(&mut self) -> Option<End> {
        let healthy = || socket::connected(self.line.socket()).is_ok() && !self.line.is_cut();
        let Ok(now) = socket::unacknowledged(self.line.socket()) else {
            return Some(End::Network);
        };
        // Every byte is acknowledged when at most our end mark is not, unless a reset has emptied the queue; after a reset that has
        // not, only the error tells.
        if now <= END_MARK || self.ended {
            match (healthy(), now) {
                (false, _) => return Some(End::Network),
                (true, ..=END_MARK) => return Some(self.end),
                (true, _) => {}
            }
        }
        (self.silence.lasts(now) >= self.patience).then_some(End::Stalled)
    }

    /// How long nothing has been acknowledged.
    pub fn waited(&self) -> Duration {
        self.silence.since.elapsed()
    }

    /// How long to wait before the next look.
    pub fn nap(&self) -> Duration {
        self.silence
            .nap((Duration::from_millis(1), Duration::from_millis(50)))
    }

    /// The peer's end, a reset or a cut has woken whoever waited.
    pub fn woken(&mut self) {
        self.ended = true;
    }

    /// Whether the peer has ended its side, so that waiting for that is over.
    pub fn ended(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, of_a_socket};

    /// What disks and servers of files answer is no failure of the network (attacks B-068).
    #[test]
    fn errors_of_files_and_of_sockets() {
        for error in [Errno::EIO, Errno::ESTALE, Errno::EACCES, Errno::ENODATA] {
            assert!(!of_a_socket(error), "{error}");
        }
        for error in [
            Errno::EPIPE,
            Errno::ECONNRESET,
            Errno::EAGAIN,
            Errno::ETIMEDOUT,
        ] {
            assert!(of_a_socket(error), "{error}");
        }
    }
}
