//! The control connection: lines in, replies out; greeter and worker, which hold the receipt of their confinement.

use crate::ftp::line::{Command, Line, LineBuffer, TooLong};
use crate::ftp::reply;
use crate::sys::confine::Confined;
use crate::sys::socket;
use crate::tls::{Ready, forget, last_words};
use nix::poll::{PollFd, PollFlags};
use rustls::ServerConnection;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

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
    /// The client was idle for too long.
    TimedOut,
}

/// The connection and what is on its way in both directions.
#[derive(Debug)]
pub struct Control<S> {
    socket: S,
    /// TLS, which only a greeter ends here: a worker's control connection comes through it.
    tls: Option<Box<ServerConnection>>,
    lines: LineBuffer,
    out: Vec<u8>,
    ended: bool,
    patience: Option<Duration>,
    limit: Option<Instant>,
}

impl<S: AsFd> Control<S> {
    /// Over the client's socket, with input that was received already; `idle` is `idle_session_timeout`, in seconds: how long
    /// to wait for a line, and for a client that does not take its replies (attacks B-113).
    pub fn new(socket: S, rest: &[u8], idle: u32, _: Confined) -> Self {
        Self {
            socket,
            tls: None,
            lines: LineBuffer::with(rest),
            // The length of most replies.
            out: Vec::with_capacity(128),
            ended: false,
            patience: (idle > 0).then(|| Duration::from_secs(idle.into())),
            limit: None,
        }
    }

    /// Lets the client's patience run out at this moment at the latest, whatever it says until then.
    pub fn end_at(&mut self, limit: Option<Instant>) {
        self.limit = limit;
    }

    /// When a wait that begins now must end.
    fn deadline(&self) -> Option<Instant> {
        let patience = self.patience;
        let idle = patience.and_then(|patience| Instant::now().checked_add(patience));
        match (idle, self.limit) {
            (Some(idle), Some(limit)) => Some(idle.min(limit)),
            (idle, limit) => idle.or(limit),
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

    /// Sends what has gathered. `helper` is the channel to it: its end ends the wait for a slow client.
    ///
    /// # Errors
    /// The client or helper is gone, or the client has taken nothing for as long as it may be idle.
    pub fn flush(&mut self, helper: BorrowedFd<'_>) -> io::Result<()> {
        let out = std::mem::take(&mut self.out);
        if let Some(tls) = &mut self.tls {
            tls.writer().write_all(&out)?;
            self.flush_records(helper)?;
        } else {
            self.flush_clear(&out, helper)?;
        }
        // The room is kept for the next replies.
        self.out = out;
        self.out.clear();
        Ok(())
    }

    fn flush_clear(&self, out: &[u8], helper: BorrowedFd<'_>) -> io::Result<()> {
        let mut rest = out;
        while !rest.is_empty() {
            match socket::send_some(self.socket.as_fd(), rest)? {
                Some(sent) => rest = rest.get(sent..).unwrap_or_default(),
                None if self.wait(PollFlags::POLLOUT, helper, self.deadline())? => {}
                None => return Err(ErrorKind::TimedOut.into()),
            }
        }
        Ok(())
    }

    fn flush_records(&mut self, helper: BorrowedFd<'_>) -> io::Result<()> {
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            match tls.write_tls(&mut Ready(self.socket.as_fd())) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !self.wait(PollFlags::POLLOUT, helper, self.deadline())? {
                        return Err(ErrorKind::TimedOut.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Has TLS protect what is said and heard from now on.
    pub fn protect(&mut self, mut tls: ServerConnection) {
        tls.set_buffer_limit(None);
        self.tls = Some(Box::new(tls));
    }

    /// Whether TLS protects it.
    pub fn protected(&self) -> bool {
        self.tls.is_some()
    }

    /// Sends what has gathered and announces the end, where there is TLS to announce it.
    ///
    /// # Errors
    /// As [`Control::flush`].
    pub fn close(&mut self, helper: BorrowedFd<'_>) -> io::Result<()> {
        self.flush(helper)?;
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.flush_records(helper)
    }

    /// Takes TLS and the socket apart from the lines, which have been handed on.
    pub fn into_tls(self) -> Option<(S, Box<ServerConnection>)> {
        Some((self.socket, self.tls?))
    }

    /// Waits for the client until its patience has run out, which is false.
    fn wait(
        &self,
        events: PollFlags,
        helper: BorrowedFd<'_>,
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        let mut fds = [
            PollFd::new(self.socket.as_fd(), events),
            // No event is asked for: only its end is reported. A helper that was killed cannot kill us: it had no right to.
            PollFd::new(helper, PollFlags::empty()),
        ];
        let happened = socket::wait_for_client(&mut fds, deadline)?;
        let [client, lifeline] = &fds;
        if lifeline.any().unwrap_or(false) && !client.any().unwrap_or(false) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(happened)
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
        let Some(tls) = &mut self.tls else {
            let count = socket::receive(self.socket.as_fd(), self.lines.space())?;
            self.lines.filled(count);
            self.ended = count == 0;
            return Ok(());
        };
        let mut ready = Ready(self.socket.as_fd());
        tls.read_tls(&mut ready)?;
        if let Err(error) = tls.process_new_packets() {
            last_words(tls, self.socket.as_fd());
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
        self.take_decrypted().map(drop)
    }

    /// Takes what TLS has decrypted; false if there is nothing.
    fn take_decrypted(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return Ok(false);
        };
        match tls.reader().read(self.lines.space()) {
            Ok(count) => {
                self.lines.filled(count);
                self.ended = count == 0;
                forget(tls);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            // An end without announcement ends the session as any other.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => self.ended = true,
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// The next line, waiting for it as long as the client may be idle; everything said so far is sent before.
    ///
    /// # Errors
    /// The client or helper is gone.
    pub fn next(&mut self, helper: BorrowedFd<'_>) -> io::Result<Input> {
        // For the whole line: who sends a byte now and then is as idle as who sends none (attacks B-102).
        let deadline = self.deadline();
        loop {
            if self.out.len() >= FLUSH {
                self.flush(helper)?;
            }
            // What was said in time counts no more than what was not: its answers may have been held back.
            if self.limit.is_some_and(|limit| Instant::now() >= limit) {
                self.flush(helper)?;
                return Ok(Input::TimedOut);
            }
            if let Some(input) = self.waiting() {
                return Ok(input);
            }
            if self.ended {
                return Ok(Input::End);
            }
            self.flush(helper)?;
            if self.take_decrypted()? {
                continue;
            }
            if !self.wait(PollFlags::POLLIN, helper, deadline)? {
                return Ok(Input::TimedOut);
            }
            self.fill()?;
        }
    }

    /// Whether ABOR has been received, behind nothing but what is answered while something runs.
    pub fn abort_waits(&self) -> bool {
        for line in self.whole_lines() {
            match Command::parse(line.trim_ascii_end()) {
                Some(command) if command.is_abor() => return true,
                Some(command) if !matches!(command.verb.as_slice(), b"NOOP" | b"STAT") => {
                    return false;
                }
                Some(_) | None => {}
            }
        }
        false
    }

    /// The lines that were received and not taken.
    fn whole_lines(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let rest = self.lines.rest();
        let end = rest.iter().rposition(|byte| *byte == b'\n');
        let lines = end.and_then(|end| rest.get(..end));
        lines
            .into_iter()
            .flat_map(|lines| lines.split(|byte| *byte == b'\n'))
    }

    /// Whether more can be received before a line is taken.
    pub fn has_room(&mut self) -> bool {
        !self.lines.space().is_empty()
    }

    /// The last line that was received and not taken, empty ones left out.
    pub fn last_line(&self) -> Option<&[u8]> {
        let mut last = self.whole_lines().rev();
        last.find(|line| !line.trim_ascii().is_empty())
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
