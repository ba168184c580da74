//! One end of a `SOCK_SEQPACKET` pair that says `Out` and hears `In`; held by master, nursery, helper, auth, greeter and worker.

use super::codec::{Decoder, Encoder, Malformed, Message};
use crate::sys::{process, socket};
use nix::unistd::Pid;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// What a message counts for beside its bytes: what is kept of a short one takes more room than it.
const EACH: usize = 100;

impl From<Malformed> for io::Error {
    /// The peer sent what is no message of this phase: end the session, answer nothing.
    fn from(_: Malformed) -> Self {
        Self::new(
            io::ErrorKind::InvalidData,
            "a message that does not belong here",
        )
    }
}

/// One end.
#[derive(Debug)]
pub struct Channel<Out, In> {
    socket: OwnedFd,
    buffer: Vec<u8>,
    heard: usize,
    says: PhantomData<fn(Out) -> In>,
}

impl<Out: Message, In: Message> Channel<Out, In> {
    /// Over a connected `SOCK_SEQPACKET` descriptor.
    pub fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            buffer: Vec::new(),
            heard: 0,
            says: PhantomData,
        }
    }

    /// A connected pair: this process's end and the descriptor for the peer's.
    ///
    /// # Errors
    /// The kernel has no descriptors or memory left.
    pub fn pair() -> io::Result<(Self, Channel<In, Out>)> {
        let (ours, theirs) = socket::message_pair()?;
        Ok((Self::new(ours), Channel::new(theirs)))
    }

    /// Forks a child that has the other end, these descriptors, and no others but the standard ones; it runs `body` and ends with the status
    /// that this gives.
    ///
    /// # Errors
    /// The kernel has no descriptors, memory or processes left.
    pub fn fork(
        keep: &[RawFd],
        body: impl FnOnce(Channel<In, Out>) -> i32,
    ) -> io::Result<(Self, Pid)> {
        let (ours, theirs) = Self::pair()?;
        let keep = [&[theirs.as_fd().as_raw_fd()], keep].concat();
        let child = process::spawn(&keep, || body(theirs))?;
        Ok((ours, child))
    }

    /// Sends one message; blocks while the peer is behind.
    ///
    /// # Errors
    /// The peer is gone.
    pub fn send(&mut self, message: &Out) -> io::Result<()> {
        post(self.socket.as_fd(), message)
    }

    /// Waits for one message; `None` when the peer has closed its end.
    ///
    /// # Errors
    /// Anything that is not exactly one message of this set.
    pub fn receive(&mut self) -> io::Result<Option<In>> {
        // One byte more than the longest message: a datagram that fills it was too long.
        let most = In::MAX.saturating_add(1);
        let descriptor = socket::receive_message(self.socket.as_fd(), &mut self.buffer, most)?;
        if self.buffer.is_empty() {
            return Ok(None);
        }
        if self.buffer.len() > In::MAX {
            return Err(Malformed.into());
        }
        self.heard = self.heard.saturating_add(self.buffer.len() + EACH);
        let mut decoder = Decoder::new(&self.buffer, descriptor);
        let message = In::decode(&mut decoder)?;
        let finished = decoder.finished();
        zeroize::Zeroize::zeroize(self.buffer.as_mut_slice());
        if self.buffer.len() > socket::NEAR {
            // The next one is short again.
            self.buffer = Vec::new();
        }
        let message = finished.then_some(message).ok_or(Malformed)?;
        Ok(Some(message))
    }

    /// How much the peer has said, in bytes, and so many more for each message.
    pub fn heard(&self) -> usize {
        self.heard
    }

    /// Whether the peer has taken all that it was sent. One that asks for more before is none of ours, and would be waited for at some time.
    pub fn is_taken(&self) -> bool {
        socket::unacknowledged(self.socket.as_fd()).is_ok_and(|unread| unread == 0)
    }

    /// Gives the end back as a bare descriptor.
    pub fn into_descriptor(self) -> OwnedFd {
        self.socket
    }
}

/// Sends one message over a socket, which many processes may share.
///
/// # Errors
/// Nobody hears, or there is no room for it and the socket does not block.
pub fn post(on: BorrowedFd<'_>, message: &impl Message) -> io::Result<()> {
    let mut out = Encoder::default();
    message.encode(&mut out);
    socket::send_message(on, out.bytes(), out.descriptor())
}

impl<Out, In> AsFd for Channel<Out, In> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
