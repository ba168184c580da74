//! One job of the data thread's from begin to end, during which the client is still heard, or seen to have gone; worker, control thread.

use super::brief::Brief;
use super::data::{Wish, hung_up};
use super::guard::Guard;
use super::line::{End, Line, Note};
use super::mover::{Job, Mover, Work};
use super::state::{Over, Session};
use super::zip::Zip;
use crate::sys::tree::Keeper;
use nix::poll::PollFlags;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often work that says nothing asks whether its client is still there.
const GLANCE: Duration = Duration::from_secs(1);

/// How long a file may give nothing to a client that has ended its side of both connections, which it may have done and be there.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Whether work may read for long and send nothing, so that no write tells that its client has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silent {
    /// It moves bytes all the time.
    Never,
    /// Its data connection ends with its client.
    Listing,
    /// It has none.
    Sum,
    /// It moves bytes as fast as its file gives or takes them.
    File,
}

impl Work {
    /// See [`Silent`].
    fn silent(&self) -> Silent {
        match self {
            Self::Listing(_) | Self::ShortListing(_) => Silent::Listing,
            Self::Reckon(_) => Silent::Sum,
            Self::Download { .. }
            | Self::Upload {
                keeper: Keeper::Distant,
                ..
            } => Silent::File,
            Self::Upload { .. } => Silent::Never,
        }
    }
}

impl Session {
    /// Has the data thread do the work and hears the client meanwhile; gives how it ended and the bytes moved.
    ///
    /// # Errors
    /// The session is over, and there is no data thread.
    pub fn run(&mut self, connection: OwnedFd, work: Work) -> Result<(End, u64), Over> {
        let line = Arc::new(Line::new(connection));
        let silent = work.silent();
        let guard = match &self.data_side {
            Some(side) if self.protect && work.moves() => Some(Guard::new(self.config, side)),
            Some(_) | None => None,
        };
        let zip = (self.modern.packed && work.moves()).then_some(self.modern.level);
        let zip = zip.map(|level| Zip::new(self.config, level));
        // What is protected or compressed is the data thread's: a handshake and zlib take their time.
        let brief = match (&guard, zip) {
            (None, None) => self.brief(&line, work),
            (Some(_), _) | (_, Some(_)) => Ok(Brief::Left(work)),
        };
        let work = match brief {
            Ok(Brief::Over(end)) => return Ok((end, line.moved())),
            Ok(Brief::Left(work)) => work,
            Err(Over(_)) => return Ok((End::Deserted, line.moved())),
        };
        if self.mover.is_none() {
            match Mover::start() {
                Ok(mover) => self.mover = Some(mover),
                Err(error) => {
                    self.note(&format!(
                        "cannot start the data thread: {error}; raise the limit of processes (TasksMax, pids.max, the user's nproc) or \
                         memory"
                    ));
                    return Ok((End::Unable, 0));
                }
            }
        }
        let job = Job {
            line: Arc::clone(&line),
            guard,
            work,
            rate: self.rate(),
            stall: self.stall(),
            chunk: chunk(self.config.trans_chunk_size),
            zip,
        };
        self.flush()?;
        if !self.mover.as_ref().is_some_and(|mover| mover.give(job)) {
            return Err(Over(1));
        }
        let end = self
            .attend(&line, silent)
            .or_else(|over| self.give_up(&line, over))?;
        for note in line.notes() {
            match note {
                Note::Each(text) => self.note(&text),
                Note::Once(text) => self.first(text),
            }
        }
        Ok((end, line.moved()))
    }

    /// Nobody is left to be told: has the job end, as far as it does.
    fn give_up(&mut self, line: &Line, over: Over) -> Result<End, Over> {
        line.cut();
        let ended = self.mover.as_ref().and_then(Mover::ending);
        if ended.is_none() {
            self.note("the client has gone, and a file or directory does not answer: its file system hangs; session ended");
        }
        ended.map(|_| End::Deserted).ok_or(over)
    }

    /// Waits for the job's end.
    fn attend(&mut self, line: &Line, silent: Silent) -> Result<End, Over> {
        let mut still = Still::begin(line);
        loop {
            let mover = self.mover.as_ref().ok_or(Over(1))?;
            let glance = Instant::now().checked_add(GLANCE);
            let glance = glance.filter(|_| silent != Silent::Never);
            let seen = self.watch(Some((mover.fd(), PollFlags::POLLIN)), glance)?;
            if let Some(end) = mover.end() {
                return Ok(end);
            }
            let left = !seen.spoken
                && match silent {
                    Silent::Never => false,
                    Silent::Listing => self.has_left(line.socket()),
                    Silent::Sum => self.deserted(),
                    Silent::File => self.has_abandoned(line, &mut still),
                };
            // It was cut at the last glance, and is in a call that does not end.
            if left && line.is_cut() {
                return Err(Over(1));
            }
            // An ABOR may have been the last thing it said.
            if left || self.aborting {
                line.cut();
            }
            if seen.spoken && self.hear(Some(line.moved()))? == Wish::Abort {
                self.aborting = true;
                line.cut();
            }
        }
    }
}

/// Since when nothing has moved though the peer has all that did: it is the file that gives nothing.
struct Still {
    moved: u64,
    since: Instant,
    /// At the last glance nothing could go over the data connection any more.
    hung_up: bool,
}

impl Still {
    fn begin(line: &Line) -> Self {
        Self {
            moved: line.moved(),
            since: Instant::now(),
            hung_up: false,
        }
    }

    fn lasts(&mut self, line: &Line) -> Duration {
        if line.moved() != self.moved || !line.has_delivered() {
            (self.moved, self.since) = (line.moved(), Instant::now());
        }
        self.since.elapsed()
    }

    /// Whether the data connection is of no use, and was at the last glance: one whose both sides have just ended is at its end.
    fn is_useless(&mut self, line: &Line) -> bool {
        let now = hung_up(line.socket());
        std::mem::replace(&mut self.hung_up, now) && now
    }
}

impl Session {
    /// Whether the client has gone while its file gives nothing, so that no write tells. Its data connection that is reset does; one whose
    /// other side has ended may be waited on.
    fn has_abandoned(&self, line: &Line, still: &mut Still) -> bool {
        let patience = self.stall().map_or(PATIENCE, |stall| stall.min(PATIENCE));
        let gives_nothing = still.lasts(line) >= patience;
        let useless = still.is_useless(line);
        self.has_left(line.socket()) && (useless || gives_nothing)
    }
}

/// `trans_chunk_size` (reference §1.2, 20).
pub fn chunk(option: u32) -> Option<usize> {
    let size = usize::try_from(option).ok()?;
    (1..65_536).contains(&size).then(|| size.max(4096))
}
