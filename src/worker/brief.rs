//! Transfers that are over before another thread would have been woken: small files, sent and received by the control thread, which
//! waits for nothing but the client's next word and the data connection at once; what turns out larger or slower goes to the data
//! thread as it stands; worker, control thread.

use super::data::Wish;
use super::job::chunk;
use super::line::{Drain, End, Line};
use super::mover::{Growing, Produce, Work, still_as_long};
use super::state::{Over, Session};
use crate::sys::socket;
use crate::sys::tree::Keeper;
use nix::errno::Errno;
use nix::poll::PollFlags;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// What a socket takes at once, and a disk gives in no time.
const MOST: usize = 64 * 1024;

/// How much of an upload is read at a time.
const PIECE: usize = 16 * 1024;

/// An acknowledgement that has taken so long has waited for what did not come.
const DELAYED: Duration = Duration::from_millis(20);

/// What has become of the work.
pub enum Brief {
    /// It is over.
    Over(End),
    /// This is left, for the data thread.
    Left(Work),
}

/// How the end mark of a small download travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndMark {
    /// With the last bytes, which costs one packet and not two.
    Joined,
    /// Behind them: a client that ends its side only after our reply acknowledges bytes at once, but an end mark after 40 ms, because it is
    /// expected to answer with its own (RFC 1122, 4.2.3.2).
    Apart,
}

impl EndMark {
    /// Sends the last bytes before it, as far as they fit.
    fn send(self, line: &Line, bytes: &[u8]) -> std::io::Result<Option<usize>> {
        match self {
            Self::Joined => socket::send_last(line.socket(), bytes),
            Self::Apart => socket::send_some(line.socket(), bytes),
        }
    }
}

/// How a look at the client and the data connection ended.
enum Look {
    /// The data connection is as it was waited for.
    Ready,
    /// Nothing has happened.
    Nothing,
    /// The client has said something that changes nothing.
    Heard,
    /// ABOR has cut the connection.
    Cut,
}

impl Session {
    /// Does the work, as far as that takes no time. `line` does not block.
    ///
    /// # Errors
    /// The session is over.
    pub fn brief(&mut self, line: &Line, work: Work) -> Result<Brief, Over> {
        if self.rate().is_some() || chunk(self.config.trans_chunk_size).is_some() {
            return Ok(Brief::Left(work));
        }
        match work {
            Work::Download {
                file,
                offset,
                end,
                ascii: false,
                sendfile: true,
                keeper: Keeper::Disk,
            } if end.saturating_sub(offset) <= MOST as u64 => {
                self.brief_download(line, file, offset, end)
            }
            Work::Upload {
                file,
                ascii: false,
                truncate: false,
                keeper: Keeper::Disk,
            } => self.brief_upload(line, file),
            Work::ShortListing(produce) => self.brief_listing(line, produce),
            Work::Download { .. } | Work::Upload { .. } | Work::Listing(_) | Work::Reckon(_) => {
                Ok(Brief::Left(work))
            }
        }
    }

    fn brief_download(
        &mut self,
        line: &Line,
        file: OwnedFd,
        offset: u64,
        end: u64,
    ) -> Result<Brief, Over> {
        let (Ok(mut at), Ok(last)) = (i64::try_from(offset), i64::try_from(end)) else {
            return Ok(Brief::Over(End::Local(Errno::EOVERFLOW)));
        };
        if at < last && end.saturating_sub(offset) <= PIECE as u64 {
            at = self.send_whole(line, &file, at, last);
        }
        let copied = at == last;
        while at < last {
            let left = usize::try_from(last.saturating_sub(at)).unwrap_or(MOST);
            match nix::sys::sendfile::sendfile(line.socket(), &file, Some(&mut at), left) {
                Ok(count) if count > 0 => line.add(count),
                // The socket is full, or the file is none for sendfile(2), or shorter now, or does not come: the data thread deals with it.
                Ok(_) | Err(_) => {
                    return Ok(Brief::Left(Work::Download {
                        file,
                        offset: u64::try_from(at).unwrap_or(offset),
                        end,
                        ascii: false,
                        sendfile: true,
                        keeper: Keeper::Disk,
                    }));
                }
            }
        }
        if copied {
            drop(file);
            return self.see_off(line, End::Done).map(Brief::Over);
        }
        let ended = self.see_off(line, End::Done)?;
        Ok(Brief::Over(still_as_long(&file, end, ended)))
    }

    /// Sends a file that is small enough to be copied with the end mark behind it, which costs one packet and not two; says up to where
    /// that went well.
    fn send_whole(&mut self, line: &Line, file: &OwnedFd, from: i64, to: i64) -> i64 {
        let length = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
        let end_mark = self.end_mark;
        let buffer = self.scratch(length.min(PIECE));
        let count = nix::unistd::read(file, &mut *buffer).unwrap_or(0);
        let bytes = buffer.get(..count).unwrap_or_default();
        match end_mark.send(line, bytes) {
            Ok(Some(sent)) => {
                line.add(sent);
                from.saturating_add(i64::try_from(sent).unwrap_or(0))
            }
            Ok(None) | Err(_) => from,
        }
    }

    fn brief_listing(&mut self, line: &Line, produce: Produce) -> Result<Brief, Over> {
        let mut text = Vec::new();
        let made = produce(&mut |piece| {
            text.extend_from_slice(piece);
            Ok(())
        });
        let end = made.err().unwrap_or(End::Done);
        // What could be listed is sent though something could not.
        let mut rest = text.as_slice();
        while !rest.is_empty() {
            match self.end_mark.send(line, rest) {
                Ok(Some(count)) => {
                    line.add(count);
                    rest = rest.get(count..).unwrap_or_default();
                }
                Ok(None) => {
                    let rest = rest.to_vec();
                    return Ok(Brief::Left(Work::Listing(Box::new(move |send| {
                        send(&rest)?;
                        made
                    }))));
                }
                Err(_) => return Ok(Brief::Over(End::Network)),
            }
        }
        if matches!(end, End::Local(_)) {
            return Ok(Brief::Over(end));
        }
        self.see_off(line, end).map(Brief::Over)
    }

    /// Ends our side and waits until the peer's kernel has taken every byte, as the data thread does.
    fn see_off(&mut self, line: &Line, end: End) -> Result<End, Over> {
        let mut drain = match Drain::begin(line, end, self.stall()) {
            Ok(drain) => drain,
            Err(end) => return Ok(end),
        };
        loop {
            if let Some(end) = drain.look() {
                if !drain.ended() && drain.waited() >= DELAYED {
                    self.end_mark = EndMark::Apart;
                }
                return Ok(end);
            }
            self.flush()?;
            let until = Instant::now().checked_add(drain.nap());
            let events = (!drain.ended()).then_some(socket::PEER_ENDED);
            match self.look(line, events, until)? {
                Look::Ready => drain.woken(),
                Look::Nothing | Look::Heard | Look::Cut => {}
            }
        }
    }

    fn brief_upload(&mut self, line: &Line, file: Growing) -> Result<Brief, Over> {
        self.flush()?;
        let mut deadline = self.stalls_at();
        // Where bytes have been, more of them or the end are likely to be there too.
        let mut likely = false;
        while line.moved() < MOST as u64 {
            if !likely {
                match self.look(line, Some(PollFlags::POLLIN), deadline)? {
                    Look::Ready => {}
                    Look::Heard => continue,
                    Look::Nothing => return Ok(Brief::Over(End::Stalled)),
                    Look::Cut => return Ok(Brief::Over(End::Network)),
                }
            }
            let buffer = self.scratch(PIECE);
            match nix::unistd::read(line.socket(), &mut *buffer) {
                Ok(0) => return Ok(Brief::Over(file.close().err().unwrap_or(End::Done))),
                Ok(count) => {
                    if let Err(end) = file.write(line, buffer.get(..count).unwrap_or_default()) {
                        return Ok(Brief::Over(end));
                    }
                    line.add(count);
                    deadline = self.stalls_at();
                    likely = true;
                }
                Err(Errno::EINTR | Errno::EAGAIN) => likely = false,
                Err(_) => return Ok(Brief::Over(End::Network)),
            }
        }
        Ok(Brief::Left(Work::Upload {
            file,
            ascii: false,
            truncate: false,
            keeper: Keeper::Disk,
        }))
    }

    /// Waits for the data connection, hearing the client.
    fn look(
        &mut self,
        line: &Line,
        events: Option<PollFlags>,
        until: Option<Instant>,
    ) -> Result<Look, Over> {
        let seen = self.watch(events.map(|events| (line.socket(), events)), until)?;
        if seen.spoken && self.hear(Some(line.moved()))? == Wish::Abort {
            self.aborting = true;
            line.cut();
            return Ok(Look::Cut);
        }
        Ok(match (seen.ready, seen.spoken) {
            (true, _) => Look::Ready,
            (false, true) => Look::Heard,
            (false, false) => Look::Nothing,
        })
    }

    /// Room for so many bytes, which stays with the session.
    fn scratch(&mut self, length: usize) -> &mut [u8] {
        if self.scratch.len() < length {
            self.scratch.resize(length, 0);
        }
        self.scratch.get_mut(..length).unwrap_or_default()
    }

    /// The longest time a data connection may stand still.
    pub fn stall(&self) -> Option<Duration> {
        let seconds = u64::from(self.config.data_connection_timeout);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    fn stalls_at(&self) -> Option<Instant> {
        self.stall()
            .and_then(|stall| Instant::now().checked_add(stall))
    }
}
