//! TLS on a data connection as its job sees it: who may use it, and what an end means; worker, data thread.

use super::line::{End, Line};
use crate::config::Config;
use crate::sys::socket;
use crate::tls::{self, Refused, Side, Stream};
use nix::errno::Errno;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a client may take to end its side after ours, once everything else is done.
const FAREWELL: Duration = Duration::from_millis(100);

/// What a job needs to protect its connection.
pub struct Guard {
    side: Arc<Side>,
    debug: bool,
    strict_eof: bool,
    strict_shutdown: bool,
}

/// A protected connection.
pub struct Guarded {
    /// TLS.
    pub stream: Stream,
    strict_eof: bool,
    strict_shutdown: bool,
}

impl Guard {
    /// As the options say.
    pub fn new(config: &Config, side: &Arc<Side>) -> Self {
        Self {
            side: Arc::clone(side),
            debug: config.debug_ssl,
            strict_eof: config.strict_ssl_read_eof,
            strict_shutdown: config.strict_ssl_write_shutdown,
        }
    }

    /// Performs the handshake.
    ///
    /// # Errors
    /// How the transfer has ended with that; the reason is in the line's notes.
    pub fn accept(self, line: &Line) -> Result<Guarded, End> {
        let fd = line.socket();
        socket::at_once(fd).map_err(|_| End::Network)?;
        match self.side.accept(fd) {
            Ok(stream) => {
                if self.debug {
                    line.note(stream.describe());
                }
                Ok(Guarded {
                    stream,
                    strict_eof: self.strict_eof,
                    strict_shutdown: self.strict_shutdown,
                })
            }
            Err(Refused::Stranger(why)) => {
                line.note(format!("data connection refused: {why}"));
                Err(End::Stranger)
            }
            // It was cut off here, and the client has done nothing.
            Err(Refused::Handshake(_)) if line.is_cut() => Err(End::Network),
            Err(Refused::Handshake(why)) => {
                line.note(format!(
                    "TLS handshake on the data connection failed: {why}"
                ));
                Err(End::Handshake)
            }
        }
    }
}

impl Guarded {
    /// What the end of an upload without any more bytes means: `Ok` if every byte has come.
    ///
    /// # Errors
    /// How the transfer has ended.
    pub fn ended(&self, line: &Line, error: &io::Error) -> Result<(), End> {
        let kind = error.kind();
        if line.is_cut() {
            // The end is ours.
            return Err(End::Network);
        }
        if kind == ErrorKind::UnexpectedEof && !self.strict_eof {
            return Ok(());
        }
        if kind == ErrorKind::UnexpectedEof {
            line.note(
                "upload: its end was not announced (close_notify), so that it may be cut off; for clients that never do, set \
                 strict_ssl_read_eof=NO"
                    .to_owned(),
            );
            return Err(End::Network);
        }
        Err(broken(line, error))
    }

    /// Sends what the connection, which does not block, had no room for.
    ///
    /// # Errors
    /// How the transfer has ended.
    pub fn finish(
        &mut self,
        mut sent: io::Result<()>,
        line: &Line,
        stall: Option<Duration>,
    ) -> Result<(), End> {
        while let Err(error) = sent {
            if error.kind() != ErrorKind::WouldBlock {
                return Err(broken(line, &error));
            }
            line.room(stall)?;
            sent = self.stream.flush(line.socket());
        }
        Ok(())
    }

    /// Sends what there is of a listing that lacks something, without the end that would say it is whole.
    pub fn hand_on(&mut self, line: &Line, stall: Option<Duration>) {
        let sent = self.stream.flush(line.socket());
        let _ = self.finish(sent, line, stall);
    }

    /// Announces the end of a download; where `strict_ssl_write_shutdown` asks, waits for the client's own.
    ///
    /// # Errors
    /// How the transfer has ended.
    pub fn close(&mut self, line: &Line, patience: Option<Duration>) -> Result<(), End> {
        let fd = line.socket();
        let sent = self.stream.close(fd);
        self.finish(sent, line, patience)?;
        if self.strict_shutdown {
            let deadline = patience.and_then(|patience| Instant::now().checked_add(patience));
            if !self.stream.closed_by(fd, deadline) {
                line.note("download: the client has not confirmed its end by TLS".to_owned());
                return Err(End::Network);
            }
        }
        Ok(())
    }

    /// The client's reply has been given; a moment for it to end its side before ours is closed.
    pub fn farewell(mut self, line: &Line) {
        let deadline = Instant::now().checked_add(FAREWELL);
        let _ = self.stream.closed_by(line.socket(), deadline);
    }
}

/// What an error of a connection under TLS means; the reason is in the line's notes.
pub fn broken(line: &Line, error: &io::Error) -> End {
    let end = line.broken(errno(error));
    // What was cut off here has broken nothing.
    if end == End::Network && !line.is_cut() {
        let why = tls::broke(error);
        line.note_once(format!("TLS on the data connection broke: {why}"));
    }
    end
}

/// The kernel's number in an error.
pub fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
