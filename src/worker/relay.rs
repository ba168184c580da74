//! Carries the control connection of a logged-in session between TLS and the worker, byte for byte; greeter, after login.

use crate::sys::socket;
use crate::tls::{self, Ready, forget, last_words};
use crate::wire::{BeforeLogin, BeforeLoginReply, Channel, Said};
use nix::poll::{PollFd, PollFlags};
use rustls::ServerConnection;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use zeroize::Zeroize;

/// Bytes carried at once: nothing is read from one side before the other has taken what came before.
const PIECE: usize = 4096;

/// How long the last words may take to be sent.
const LAST_WORD: Duration = Duration::from_secs(4);

/// How long the client may take to announce its end after ours.
const FAREWELL: Duration = Duration::from_millis(200);

struct Relay<'a> {
    client: BorrowedFd<'a>,
    tls: Box<ServerConnection>,
    worker: OwnedFd,
    /// What the worker has not taken yet.
    up: Vec<u8>,
    client_ended: bool,
    worker_ended: bool,
}

/// The connection is of no use any more; what was wrong with what came, if that is why. Clients come and go as they like.
struct Broken(Option<rustls::Error>);

/// Carries until the worker has ended and the client has its last words; gives the exit status. The end of `channel`, which leads to
/// helper, ends everything.
pub fn carry(
    client: BorrowedFd<'_>,
    tls: Box<ServerConnection>,
    worker: OwnedFd,
    mut channel: Channel<BeforeLogin, BeforeLoginReply>,
) -> i32 {
    // As the worker has it for a client without TLS.
    let _ = socket::control_options(client);
    let mut relay = Relay {
        client,
        tls,
        worker,
        up: Vec::new(),
        client_ended: false,
        worker_ended: false,
    };
    match relay.run(channel.as_fd()) {
        Ok(()) => {
            relay.farewell(Instant::now().checked_add(FAREWELL));
            0
        }
        Err(Broken(why)) => {
            // As long as the worker is there: helper looks for it when that has ended.
            if let Some(why) = why {
                let why = io::Error::new(ErrorKind::InvalidData, why);
                let _ = channel.send(&BeforeLogin::Said(note(&why)));
            }
            1
        }
    }
}

/// For the log: why the control connection is of no use any more.
pub fn note(why: &io::Error) -> Said {
    let text = format!("TLS on the control connection broke: {}", tls::broke(why));
    Said::Note(text.into_bytes())
}

impl Relay<'_> {
    fn run(&mut self, helper: BorrowedFd<'_>) -> Result<(), Broken> {
        let mut deadline = None;
        loop {
            self.hand_up()?;
            if self.tls.wants_write() {
                match self.tls.write_tls(&mut Ready(self.client)) {
                    Ok(_) => continue,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => return Err(Broken(None)),
                }
            } else if self.worker_ended {
                return Ok(());
            }
            if self.worker_ended && deadline.is_none() {
                deadline = Instant::now().checked_add(LAST_WORD);
            }
            self.wait(helper, deadline)?;
        }
    }

    /// Hands on what the client has said.
    fn hand_up(&mut self) -> Result<(), Broken> {
        loop {
            if self.up.is_empty() && !self.client_ended {
                let mut piece = [0; PIECE];
                match self.tls.reader().read(&mut piece) {
                    Ok(0) => self.client_gone(),
                    Ok(count) => {
                        self.up.extend(piece.iter().take(count));
                        // Some clients say a password once more.
                        piece.zeroize();
                        forget(&mut self.tls);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(_) => self.client_gone(),
                }
            }
            if self.up.is_empty() {
                return Ok(());
            }
            match socket::send_some(self.worker.as_fd(), &self.up) {
                Ok(Some(sent)) if sent < self.up.len() => drop(self.up.drain(..sent)),
                Ok(Some(_)) => self.up.zeroize(),
                Ok(None) => return Ok(()),
                // It has gone; what it said last is still to be read.
                Err(_) => self.up.zeroize(),
            }
        }
    }

    /// The worker sees the end as it would see the client's own.
    fn client_gone(&mut self) {
        self.client_ended = true;
        let _ = socket::finish(self.worker.as_fd());
    }

    /// Waits for whatever can go on, and takes it.
    fn wait(&mut self, helper: BorrowedFd<'_>, deadline: Option<Instant>) -> Result<(), Broken> {
        let mut client = PollFlags::empty();
        client.set(
            PollFlags::POLLIN,
            self.up.is_empty() && !self.client_ended && !self.worker_ended,
        );
        client.set(PollFlags::POLLOUT, self.tls.wants_write());
        let mut worker = PollFlags::empty();
        worker.set(
            PollFlags::POLLIN,
            !self.worker_ended && !self.tls.wants_write(),
        );
        worker.set(PollFlags::POLLOUT, !self.up.is_empty());
        // No event is asked for: only helper's end is reported.
        let mut fds = vec![PollFd::new(helper, PollFlags::empty())];
        // A side from which nothing is wanted is left out: its end would be reported again and again.
        if !client.is_empty() {
            fds.push(PollFd::new(self.client, client));
        }
        if !worker.is_empty() {
            fds.push(PollFd::new(self.worker.as_fd(), worker));
        }
        if !socket::wait_for_client(&mut fds, deadline).map_err(|_| Broken(None))? {
            return Err(Broken(None));
        }
        let happened = |at: usize| fds.get(at).is_some_and(|fd| fd.any() == Some(true));
        // Both sockets block: where there is room only, a read would wait for what may never come.
        let speaks = |at: usize| {
            let seen = fds.get(at).and_then(PollFd::revents);
            happened(at) && seen != Some(PollFlags::POLLOUT)
        };
        let last = fds.len().saturating_sub(1);
        let from_client = client.contains(PollFlags::POLLIN) && speaks(1);
        let from_worker = worker.contains(PollFlags::POLLIN) && speaks(last);
        if happened(0) && !(1..=last).any(happened) {
            return Err(Broken(None));
        }
        drop(fds);
        if from_client {
            self.hear_client()?;
        }
        if from_worker {
            self.hear_worker()?;
        }
        Ok(())
    }

    fn hear_client(&mut self) -> Result<(), Broken> {
        match self.tls.read_tls(&mut Ready(self.client)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // The worker must not take it for an end after which the client may still be there: its own end of the way goes with this one.
            Err(_) => return Err(Broken(None)),
        }
        if let Err(error) = self.tls.process_new_packets() {
            last_words(&mut self.tls, self.client);
            return Err(Broken(Some(error)));
        }
        Ok(())
    }

    fn hear_worker(&mut self) -> Result<(), Broken> {
        let mut piece = [0; PIECE];
        match socket::receive(self.worker.as_fd(), &mut piece) {
            Ok(0) | Err(_) => {
                self.worker_ended = true;
                self.up.clear();
                self.tls.send_close_notify();
                Ok(())
            }
            Ok(count) => {
                let said = piece.get(..count).unwrap_or_default();
                let kept = self.tls.writer().write_all(said);
                kept.map_err(|_| Broken(None))
            }
        }
    }

    /// Gives the client a moment to end its side: a connection closed with its last record unread would be reset under our own last
    /// words.
    fn farewell(&mut self, deadline: Option<Instant>) {
        if self.client_ended || socket::finish(self.client).is_err() {
            return;
        }
        let mut piece = [0; PIECE];
        // One that goes on talking is not waited for any longer than one that is silent.
        let early = || deadline.is_some_and(|at| Instant::now() < at);
        while early() && socket::readable(self.client, deadline).unwrap_or(false) {
            if !matches!(socket::receive(self.client, &mut piece), Ok(count) if count > 0) {
                return;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
