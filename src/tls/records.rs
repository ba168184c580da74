//! TLS of one data connection without buffers of the library's own: records are opened where they were received and made where they are
//! sent from, which spares a copy each way; worker, data thread.

use super::link::{Failure, wait};
use crate::sys::socket;
use nix::errno::Errno;
use nix::poll::PollFlags;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError};
use rustls::{CommonState, ServerConfig};
use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Instant;

/// Room for a usual handshake, and for one record of the largest size there is.
const LEAST: usize = 20 * 1024;

/// Room for an upload that fills the least, and for the longest message of a handshake that the library takes.
const MOST: usize = 128 * 1024;

/// Clear bytes that gather before their records are handed to the kernel.
pub(super) const GATHER: usize = 64 * 1024;

/// What is done with clear text; false ends it.
pub(super) type Take<'a> = &'a mut dyn FnMut(&[u8]) -> bool;

/// One connection.
pub(super) struct Records {
    connection: UnbufferedServerConnection,
    incoming: Vec<u8>,
    /// What has been received and not opened.
    waiting: std::ops::Range<usize>,
    outgoing: Vec<u8>,
    /// What is to be sent.
    queued: std::ops::Range<usize>,
    /// The peer has announced its end.
    ended: bool,
    /// What was wrong with what came: the library is not asked again.
    failed: Option<rustls::Error>,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Records")
    }
}

/// What a call of the library asks for.
enum Turn {
    Again,
    Enough,
}

impl Records {
    pub(super) fn new(config: ServerConfig) -> Result<Self, rustls::Error> {
        Ok(Self {
            connection: UnbufferedServerConnection::new(Arc::new(config))?,
            incoming: Vec::new(),
            waiting: 0..0,
            outgoing: Vec::new(),
            queued: 0..0,
            ended: false,
            failed: None,
        })
    }

    pub(super) fn state(&self) -> &CommonState {
        &self.connection
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Whether the beginning of a record has come whose end has not.
    pub(super) fn unfinished(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Performs the handshake. What is left to be sent after it is left: the first answer carries it.
    ///
    /// # Errors
    /// Why there is none; the client has been sent the alert, if one is due.
    pub(super) fn handshake(
        &mut self,
        fd: BorrowedFd<'_>,
        deadline: Instant,
    ) -> Result<(), Failure> {
        loop {
            if let Err(error) = self.open(None) {
                self.last_words(fd);
                return Err(Failure::Tls(error));
            }
            if !self.connection.is_handshaking() {
                return Ok(());
            }
            while !self.queued.is_empty() {
                if !self.send_some(fd)? {
                    wait(fd, PollFlags::POLLOUT, None, deadline)?;
                }
            }
            socket::acknowledge(fd);
            wait(fd, PollFlags::POLLIN, None, deadline)?;
            match self.receive(fd, LEAST) {
                Ok(0) => return Err(Failure::Gone),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Receives what is there, `most` bytes at most; how many.
    pub(super) fn receive(&mut self, fd: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
        let filled = self.waiting.end >= LEAST;
        self.incoming.copy_within(self.waiting.clone(), 0);
        self.waiting = 0..self.waiting.len();
        // A message of a handshake may be longer than a record.
        let long = self.waiting.end >= LEAST;
        let room = if long || (filled && most > LEAST) {
            MOST
        } else {
            LEAST
        };
        if self.incoming.len() < room {
            self.incoming.resize(room, 0);
        }
        let free = self.incoming.get_mut(self.waiting.end..);
        let free = free.unwrap_or_default();
        let most = most.min(free.len());
        // What does not fit is longer than any may be.
        let free = free.get_mut(..most).filter(|free| !free.is_empty());
        let count = socket::receive(fd, free.ok_or(ErrorKind::InvalidData)?)?;
        self.waiting.end = self.waiting.end.saturating_add(count);
        Ok(count)
    }

    /// Opens what has been received. Without `take` clear text is left where it is.
    ///
    /// # Errors
    /// What was wrong with it; an alert may have been queued.
    pub(super) fn open(&mut self, mut take: Option<Take<'_>>) -> Result<(), rustls::Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        loop {
            match self.turn(&mut take) {
                Ok(Turn::Again) => {}
                Ok(Turn::Enough) => return Ok(()),
                Err(error) => {
                    self.failed = Some(error.clone());
                    return Err(error);
                }
            }
        }
    }

    fn turn(&mut self, take: &mut Option<Take<'_>>) -> Result<Turn, rustls::Error> {
        let pending = self.incoming.get_mut(self.waiting.clone());
        let status = self
            .connection
            .process_tls_records(pending.unwrap_or_default());
        let mut used = status.discard;
        let turn = match status.state {
            Ok(ConnectionState::ReadTraffic(mut text)) => loop {
                let Some(take) = take else {
                    break Ok(Turn::Enough);
                };
                match text.next_record() {
                    None => break Ok(Turn::Again),
                    Some(Err(error)) => break Err(error),
                    Some(Ok(record)) => {
                        used = used.saturating_add(record.discard);
                        if !take(record.payload) {
                            break Ok(Turn::Enough);
                        }
                    }
                }
            },
            Ok(ConnectionState::EncodeTlsData(mut part)) => {
                put(&mut self.outgoing, &mut self.queued, |room| {
                    part.encode(room).map_err(|error| match error {
                        EncodeError::InsufficientSize(size) => Some(size.required_size),
                        EncodeError::AlreadyEncoded => None,
                    })
                });
                Ok(Turn::Again)
            }
            Ok(ConnectionState::TransmitTlsData(queued)) => {
                queued.done();
                Ok(Turn::Again)
            }
            Ok(ConnectionState::PeerClosed) => {
                self.ended = true;
                Ok(Turn::Again)
            }
            Ok(
                ConnectionState::Closed
                | ConnectionState::BlockedHandshake
                | ConnectionState::WriteTraffic(_),
            ) => Ok(Turn::Enough),
            // Early data is not offered.
            Ok(ConnectionState::ReadEarlyData(_)) | Ok(_) => Ok(Turn::Enough),
            Err(error) => Err(error),
        };
        self.waiting.start = self
            .waiting
            .start
            .saturating_add(used)
            .min(self.waiting.end);
        turn
    }

    /// Waits until the peer has announced its end; false if it has not by then. It has nothing to say any more: whatever comes before that
    /// is not wanted, and is read for as long as it may take, not for as long as it comes.
    pub(super) fn closed_by(&mut self, fd: BorrowedFd<'_>, deadline: Option<Instant>) -> bool {
        while !self.ended {
            let late = deadline.is_some_and(|at| Instant::now() >= at);
            if late || !socket::readable(fd, deadline).unwrap_or(false) {
                return false;
            }
            if !self.receive(fd, 4096).is_ok_and(|count| count > 0) {
                return false;
            }
            if self.open(Some(&mut |_| true)).is_err() {
                self.last_words(fd);
                return false;
            }
        }
        true
    }

    /// Queues clear text as records.
    ///
    /// # Errors
    /// The connection is past that.
    pub(super) fn seal(&mut self, text: &[u8]) -> io::Result<()> {
        self.write(|writer, room| writer.encrypt(text, room))
    }

    /// Queues the announcement of our end.
    ///
    /// # Errors
    /// The connection is past that.
    pub(super) fn seal_end(&mut self) -> io::Result<()> {
        self.write(|writer, room| writer.queue_close_notify(room))
    }

    fn write(
        &mut self,
        make: impl Fn(&mut Writer<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> io::Result<()> {
        let broken = |error| io::Error::new(ErrorKind::InvalidData, error);
        // What is due comes first, and what the client says on a download is not wanted.
        self.open(Some(&mut |_| true)).map_err(broken)?;
        let pending = self.incoming.get_mut(self.waiting.clone());
        let status = self
            .connection
            .process_tls_records(pending.unwrap_or_default());
        let Ok(ConnectionState::WriteTraffic(mut writer)) = status.state else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        let made = put(&mut self.outgoing, &mut self.queued, |room| {
            make(&mut writer, room).map_err(|error| match error {
                EncryptError::InsufficientSize(size) => Some(size.required_size),
                EncryptError::EncryptExhausted => None,
            })
        });
        if made {
            Ok(())
        } else {
            Err(ErrorKind::BrokenPipe.into())
        }
    }

    /// Sends everything queued; waits.
    ///
    /// # Errors
    /// The kernel's word; `WouldBlock` when the socket's send timeout has passed.
    pub(super) fn flush(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        while let Some(bytes) = self
            .outgoing
            .get(self.queued.clone())
            .filter(|bytes| !bytes.is_empty())
        {
            match nix::unistd::write(fd, bytes) {
                Ok(count) => self.sent(count),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends what fits at once; false if nothing does.
    fn send_some(&mut self, fd: BorrowedFd<'_>) -> io::Result<bool> {
        let bytes = self.outgoing.get(self.queued.clone()).unwrap_or_default();
        let sent = socket::send_some(fd, bytes)?;
        self.sent(sent.unwrap_or(0));
        Ok(sent.is_some())
    }

    fn sent(&mut self, count: usize) {
        self.queued.start = self.queued.start.saturating_add(count);
        if self.queued.is_empty() {
            self.queued = 0..0;
        }
    }

    /// Sends what is left, such as an alert, as far as the client takes it at once: if it does not, nothing is lost.
    pub(super) fn last_words(&mut self, fd: BorrowedFd<'_>) {
        // What is to be sent comes before what was received is looked at, which must not be after an error.
        while self.connection.wants_write() && self.turn(&mut Some(&mut |_| true)).is_ok() {}
        while !self.queued.is_empty() && self.send_some(fd).is_ok_and(|sent| sent) {}
    }
}

type Writer<'a> = rustls::unbuffered::WriteTraffic<'a, rustls::server::ServerConnectionData>;

/// Has something written behind what is queued, in as much room as it asks for; false if it cannot be.
fn put(
    outgoing: &mut Vec<u8>,
    queued: &mut std::ops::Range<usize>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> bool {
    loop {
        let room = outgoing.get_mut(queued.end..).unwrap_or_default();
        match write(room) {
            Ok(count) => {
                queued.end = queued.end.saturating_add(count);
                return true;
            }
            Err(Some(required)) if required > room.len() => {
                outgoing.resize(queued.end.saturating_add(required), 0);
            }
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
pub(super) mod tests;
