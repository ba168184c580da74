//! TLS on data connections: resumed from this session's control connection, and moved in large pieces; worker, data thread.

use super::asker::Asker;
use super::link::{self, Patient};
use super::settings::Secure;
use super::store::{Entry, Made, Sessions, Staged};
use super::{HANDSHAKE, describe};
use crate::config::Config;
use crate::sys::socket;
use rustls::pki_types::CertificateDer;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection};
use std::io::{self, BufRead, ErrorKind, Write};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Instant;

/// Clear bytes that gather before their records are handed to the kernel.
const GATHER: usize = 64 * 1024;

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
        let connection = ServerConnection::new(Arc::new(server));
        let mut connection = connection.map_err(|error| failed(error.to_string()))?;
        connection.set_buffer_limit(None);
        let deadline = Instant::now().checked_add(HANDSHAKE);
        let deadline = deadline.ok_or_else(|| failed("no time".to_owned()))?;
        link::handshake(&mut connection, fd, None, deadline)
            .map_err(|failure| failed(failure.to_string()))?;
        if let Err(why) = self.belongs(&connection) {
            connection.send_close_notify();
            link::last_words(&mut connection, fd);
            return Err(Refused::Stranger(why));
        }
        staged.commit();
        Ok(Stream {
            connection,
            gathered: 0,
            fresh: true,
            ended: false,
        })
    }

    fn belongs(&self, connection: &ServerConnection) -> Result<(), &'static str> {
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
    connection: ServerConnection,
    gathered: usize,
    /// Nothing has been read yet.
    fresh: bool,
    ended: bool,
}

impl Stream {
    /// What `debug_ssl` says about it.
    pub fn describe(&self) -> String {
        describe(&self.connection)
    }

    /// Takes clear bytes; hands records on when enough have gathered.
    ///
    /// # Errors
    /// The kernel's word; `WouldBlock` when the socket's send timeout has passed.
    pub fn write(&mut self, fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(GATHER) {
            self.connection.writer().write_all(piece)?;
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
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Patient(fd)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.gathered = 0;
        Ok(())
    }

    /// Before an upload: sends what the client waits for. The tickets of TLS 1.3 are kept until the end, because a client that closes
    /// with unread bytes before it resets the connection, and its last bytes are lost.
    ///
    /// # Errors
    /// As [`Stream::write`].
    pub fn begin_upload(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        if self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
            return Ok(());
        }
        self.flush(fd)
    }

    /// Reads once, up to a buffer full, and gives the clear bytes to `take`; false at the end.
    ///
    /// # Errors
    /// The kernel's word, or `UnexpectedEof` for an end that TLS has not announced, or `InvalidData` with what was wrong.
    pub fn read<E>(
        &mut self,
        fd: BorrowedFd<'_>,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> io::Result<Result<bool, E>> {
        // The handshake may have read more than itself.
        if std::mem::take(&mut self.fresh)
            && let Err(error) = self.decrypt(fd, &mut take)?
        {
            return Ok(Err(error));
        }
        if self.ended {
            return Ok(Ok(false));
        }
        let count = socket::receive(fd, buffer)?;
        let mut rest = buffer.get(..count).unwrap_or_default();
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        while !rest.is_empty() && !self.ended {
            self.connection.read_tls(&mut rest)?;
            if let Err(error) = self.decrypt(fd, &mut take)? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(true))
    }

    /// Decrypts what has been read and gives it to `take`.
    fn decrypt<E>(
        &mut self,
        fd: BorrowedFd<'_>,
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> io::Result<Result<(), E>> {
        let state = self.connection.process_new_packets().map_err(|error| {
            link::last_words(&mut self.connection, fd);
            io::Error::new(ErrorKind::InvalidData, error)
        })?;
        self.ended = state.peer_has_closed();
        let mut clear = state.plaintext_bytes_to_read();
        while clear > 0 {
            let mut reader = self.connection.reader();
            let piece = reader.fill_buf()?;
            let count = piece.len();
            if let Err(error) = take(piece) {
                return Ok(Err(error));
            }
            reader.consume(count);
            clear = clear.saturating_sub(count.max(1));
        }
        Ok(Ok(()))
    }

    /// Announces our end (close_notify) with whatever has gathered.
    ///
    /// # Errors
    /// As [`Stream::write`].
    pub fn close(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.connection.send_close_notify();
        self.flush(fd)
    }

    /// Waits until the peer has announced its end too; false if it has not by then.
    pub fn closed_by(&mut self, fd: BorrowedFd<'_>, deadline: Option<Instant>) -> bool {
        let mut buffer = [0; 4096];
        while !self.ended {
            if !socket::readable(fd, deadline).unwrap_or(false) {
                return false;
            }
            // A client has nothing to say on a download: whatever it is, it is not wanted.
            if self.read(fd, &mut buffer, |_| Ok::<(), ()>(())).is_err() {
                return false;
            }
        }
        true
    }
}
