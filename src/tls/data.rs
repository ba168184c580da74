//! TLS on data connections: resumed from this session's control connection, and moved in large pieces; worker, data thread.

use super::asker::Asker;
use super::records::{GATHER, Records};
use super::settings::Secure;
use super::store::{Entry, Made, Sessions, Staged};
use super::{HANDSHAKE, describe};
use crate::config::Config;
use rustls::pki_types::CertificateDer;
use rustls::{CommonState, HandshakeKind, ProtocolVersion, ServerConfig};
use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Instant;

/// Tickets a data connection brings: one for itself, and one for an upload whose client did not read its own.
const TICKETS: usize = 2;

/// What a session's data connections are served with.
#[derive(Debug)]
pub struct Side {
    server: ServerConfig,
    sessions: Arc<Sessions>,
    certificate: Option<Vec<u8>>,
    reuse: bool,
}

/// Why a data connection is not used: the client's fault, or a failed handshake.
#[derive(Debug)]
pub enum Refused {
    /// It does not prove that it belongs to this session.
    Stranger(&'static str),
    /// The handshake failed.
    Handshake(String),
}

impl Side {
    /// With the control connection's sessions, and the certificate the client showed there.
    ///
    /// # Errors
    /// The library refuses the settings.
    pub fn new(
        config: &Config,
        secure: Secure,
        sessions: Vec<Entry>,
        certificate: Option<Vec<u8>>,
    ) -> Result<Self, rustls::Error> {
        let asker = Arc::new(Asker::new(secure.keys));
        let settings = secure.settings;
        Ok(Self {
            server: settings.server(config, &asker, Arc::new(Made::default()))?,
            sessions: Arc::new(Sessions::new(sessions)),
            certificate,
            reuse: config.require_ssl_reuse,
        })
    }

    /// Performs the handshake on a data connection and makes sure that it is this session's client.
    ///
    /// # Errors
    /// Why it is refused; the connection has been told.
    pub fn accept(&self, fd: BorrowedFd<'_>) -> Result<Stream, Refused> {
        let failed = |why: String| Refused::Handshake(why);
        let staged = Arc::new(Staged::new(Arc::clone(&self.sessions), self.reuse));
        let mut server = self.server.clone();
        server.session_storage = Arc::clone(&staged) as _;
        server.send_tls13_tickets = TICKETS;
        let records = Records::new(server);
        let mut records = records.map_err(|error| failed(error.to_string()))?;
        let deadline = Instant::now().checked_add(HANDSHAKE);
        let deadline = deadline.ok_or_else(|| failed("no time".to_owned()))?;
        records
            .handshake(fd, deadline)
            .map_err(|failure| failed(failure.to_string()))?;
        if let Err(why) = self.belongs(records.state()) {
            let _ = records.seal_end();
            records.last_words(fd);
            return Err(Refused::Stranger(why));
        }
        staged.commit();
        Ok(Stream {
            records,
            gathered: 0,
            fresh: true,
        })
    }

    fn belongs(&self, connection: &CommonState) -> Result<(), &'static str> {
        if self.reuse && connection.handshake_kind() != Some(HandshakeKind::Resumed) {
            return Err(
                "it does not resume the TLS session of its control connection; for a client that cannot, set require_ssl_reuse=NO",
            );
        }
        let shown = connection
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(CertificateDer::as_ref);
        match &self.certificate {
            Some(before) if shown != Some(before.as_slice()) => {
                Err("it does not show the client certificate of its control connection")
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// A data connection with TLS.
#[derive(Debug)]
pub struct Stream {
    records: Records,
    gathered: usize,
    /// Nothing has been read yet.
    fresh: bool,
}

impl Stream {
    /// What `debug_ssl` says about it.
    pub fn describe(&self) -> String {
        describe(self.records.state())
    }

    /// Takes clear bytes; hands records on when enough have gathered.
    ///
    /// # Errors
    /// The kernel's word; `WouldBlock` when the socket's send timeout has passed.
    pub fn write(&mut self, fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(GATHER) {
            self.records.seal(piece)?;
            self.gathered = self.gathered.saturating_add(piece.len());
            if self.gathered >= GATHER {
                self.flush(fd)?;
            }
        }
        Ok(())
    }

    /// Hands every record on.
    ///
    /// # Errors
    /// As [`Stream::write`].
    pub fn flush(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.gathered = 0;
        self.records.flush(fd)
    }

    /// Before an upload: sends what the client waits for. The tickets of TLS 1.3 are kept until the end, because a client that closes
    /// with unread bytes before it resets the connection, and its last bytes are lost.
    ///
    /// # Errors
    /// As [`Stream::write`].
    pub fn begin_upload(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        if self.records.state().protocol_version() == Some(ProtocolVersion::TLSv1_3) {
            return Ok(());
        }
        self.flush(fd)
    }

    /// Reads once, up to `most` bytes, and gives the clear ones to `take`; false at the end.
    ///
    /// # Errors
    /// The kernel's word, or `UnexpectedEof` for an end that TLS has not announced, or `InvalidData` with what was wrong.
    pub fn read<E>(
        &mut self,
        fd: BorrowedFd<'_>,
        most: usize,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> io::Result<Result<bool, E>> {
        // The handshake may have read more than itself.
        if std::mem::take(&mut self.fresh)
            && let Err(error) = self.open(fd, &mut take)?
        {
            return Ok(Err(error));
        }
        if self.records.ended() {
            return Ok(Ok(false));
        }
        if self.records.receive(fd, most)? == 0 {
            // Whoever does not announce the end has at least finished what was begun.
            return Err(if self.records.unfinished() {
                io::Error::new(ErrorKind::InvalidData, "it has ended within a record")
            } else {
                ErrorKind::UnexpectedEof.into()
            });
        }
        Ok(self.open(fd, &mut take)?.map(|()| true))
    }

    /// Opens what has been received and gives it to `take`.
    fn open<E>(
        &mut self,
        fd: BorrowedFd<'_>,
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> io::Result<Result<(), E>> {
        let mut result = Ok(());
        let opened = self.records.open(Some(&mut |clear| {
            result = take(clear);
            result.is_ok()
        }));
        match opened {
            Err(error) if result.is_ok() => {
                self.records.last_words(fd);
                Err(io::Error::new(ErrorKind::InvalidData, error))
            }
            Ok(()) | Err(_) => Ok(result),
        }
    }

    /// Announces our end (close_notify) with whatever has gathered.
    ///
    /// # Errors
    /// As [`Stream::write`].
    pub fn close(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        // A connection that is past that has nothing to announce, but may have something to send.
        let _ = self.records.seal_end();
        self.flush(fd)
    }

    /// Waits until the peer has announced its end too; false if it has not by then.
    pub fn closed_by(&mut self, fd: BorrowedFd<'_>, deadline: Option<Instant>) -> bool {
        self.records.closed_by(fd, deadline)
    }
}
