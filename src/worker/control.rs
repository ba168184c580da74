//! The control connection: lines in, replies out; greeter and worker, which hold the receipt of their confinement.

use crate::ftp::line::{Line, LineBuffer, TooLong};
use crate::ftp::reply;
use crate::sys::confine::Confined;
use crate::sys::socket;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

/// Replies are handed to the kernel when this much has gathered, even if more commands wait.
const FLUSH: usize = 16 * 1024;

/// What there was to read.
#[derive(Debug)]
pub enum Input {
    /// A line without its end.
    Line(Line),
    /// The client has closed its side.
    End,
    /// 4096 bytes without an end of line; what follows is never looked at.
    TooLong,
    /// The deadline passed first.
    TimedOut,
}

/// The connection and what is on its way in both directions.
#[derive(Debug)]
pub struct Control<S> {
    socket: S,
    lines: LineBuffer,
    out: Vec<u8>,
    ended: bool,
}

impl<S: AsFd> Control<S> {
    /// Over the client's socket, with input that was received already.
    pub fn new(socket: S, rest: &[u8], _: Confined) -> Self {
        Self {
            socket,
            lines: LineBuffer::with(rest),
            out: Vec::new(),
            ended: false,
        }
    }

    /// The descriptor, to be waited on.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether the client has closed its side.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Adds a reply line.
    pub fn reply(&mut self, code: u16, text: &[u8]) {
        reply::line(&mut self.out, code, text);
    }

    /// Adds a line of a reply that goes on.
    pub fn dash(&mut self, code: u16, text: &[u8]) {
        reply::dash(&mut self.out, code, text);
    }

    /// Adds text of a reply that goes on as it is.
    pub fn raw(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    /// Sends what has gathered.
    ///
    /// # Errors
    /// The client is gone.
    pub fn flush(&mut self) -> io::Result<()> {
        let result = socket::send_all(self.socket.as_fd(), &self.out);
        self.out.clear();
        result
    }

    /// A line that has arrived already.
    pub fn waiting(&mut self) -> Option<Input> {
        match self.lines.next_line() {
            Ok(Some(line)) => Some(Input::Line(line)),
            Ok(None) => None,
            Err(TooLong) => Some(Input::TooLong),
        }
    }

    /// Reads what is there, once; the socket must be readable.
    ///
    /// # Errors
    /// The client is gone.
    pub fn fill(&mut self) -> io::Result<()> {
        let count = socket::receive(self.socket.as_fd(), self.lines.space())?;
        self.lines.filled(count);
        self.ended = count == 0;
        Ok(())
    }

    /// The next line, waiting for it until the deadline; everything said so far is sent before.
    ///
    /// # Errors
    /// The client is gone.
    pub fn next(&mut self, deadline: Option<Instant>) -> io::Result<Input> {
        loop {
            if self.out.len() >= FLUSH {
                self.flush()?;
            }
            if let Some(input) = self.waiting() {
                return Ok(input);
            }
            if self.ended {
                return Ok(Input::End);
            }
            self.flush()?;
            if deadline.is_some() && !socket::readable(self.socket.as_fd(), deadline)? {
                return Ok(Input::TimedOut);
            }
            self.fill()?;
        }
    }

    /// What has been received beyond the lines taken.
    pub fn rest(&self) -> &[u8] {
        self.lines.rest()
    }

    /// Forgets what has been received: a password may be among it.
    pub fn wipe(&mut self) {
        self.lines.wipe();
    }
}
