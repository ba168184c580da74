//! TLS records to and from a socket, and the handshake with its deadline; greeter and worker.

use crate::sys::socket;
use nix::poll::{PollFd, PollFlags};
use rustls::{InvalidMessage, ServerConnection};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::BorrowedFd;
use std::time::Instant;
use zeroize::Zeroize;

/// Why there is no TLS connection.
#[derive(Debug)]
pub enum Failure {
    /// The peer has gone.
    Gone,
    /// It took too long.
    Late,
    /// What it said was no TLS, or none that is acceptable; it has been told by an alert.
    Tls(rustls::Error),
    /// The kernel's word.
    Io(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the client closed the connection"),
            Self::Late => f.write_str("the client took too long"),
            // Clients of before TLS 1.2 fail here too, for want of its extensions.
            Self::Tls(error @ rustls::Error::PeerIncompatible(_)) => write!(
                f,
                "{error}; the client must have TLS 1.2 or 1.3 and one of the ciphers offered, as ssl_tlsv1_2, ssl_tlsv1_3 and ssl_ciphers say"
            ),
            // The resolver had none for this client; rustls has no kind of its own for that.
            Self::Tls(rustls::Error::General(text)) if text.contains("certificate chain") => {
                write!(
                    f,
                    "there is no certificate for what the client asked for: the host name (ssl_sni_hostname) or its ciphers (ssl_ciphers)"
                )
            }
            Self::Tls(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => f.write_str(
                "the client does not speak TLS; where it is expected from the first byte (implicit_ssl, implicit_listen_port) the client \
                 must be set to implicit TLS",
            ),
            Self::Tls(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A socket as rustls wants it: what is there is read, and what fits is written without waiting.
#[derive(Debug)]
pub struct Ready<'a>(pub BorrowedFd<'a>);

impl Read for Ready<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        socket::receive(self.0, into)
    }
}

impl Write for Ready<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        socket::send_some(self.0, bytes)?.ok_or_else(|| ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Wipes what TLS has decrypted and handed out: it keeps the buffer it reads into, and a password may have been in it.
pub fn forget(connection: &mut ServerConnection) {
    struct Wipe;
    impl Read for Wipe {
        /// What is given to be read into is what is not in use.
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            into.zeroize();
            Err(ErrorKind::WouldBlock.into())
        }
    }
    // There is nothing to read, and so nothing to say about it.
    let _ = connection.read_tls(&mut Wipe);
}

/// Why a connection is of no use any more after its handshake, and what can be done about it, for the log.
pub fn broke(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::AlertReceived(alert)) => {
            format!(
                "the client has ended it with the alert {alert:?}; the client's own log has its reason"
            )
        }
        Some(error) => format!(
            "{error}; the client is faulty, or something between changes what is sent (a firewall or proxy that looks into it, an attack)"
        ),
        None => format!(
            "{error}; the client was ended, or a firewall or address translation between has given the connection up"
        ),
    }
}

/// Sends what is left, such as an alert, as far as the client takes it at once: if it does not, nothing is lost.
pub fn last_words(connection: &mut ServerConnection, fd: BorrowedFd<'_>) {
    while connection.wants_write() && connection.write_tls(&mut Ready(fd)).is_ok() {}
}

/// Performs the handshake. What is left to be sent after it is left: the first answer carries it. The end of `lifeline` ends it.
///
/// # Errors
/// Why there is none; the client has been sent the alert, if one is due.
pub fn handshake(
    connection: &mut ServerConnection,
    fd: BorrowedFd<'_>,
    lifeline: Option<BorrowedFd<'_>>,
    deadline: Instant,
) -> Result<(), Failure> {
    while connection.is_handshaking() {
        if connection.wants_write() {
            match connection.write_tls(&mut Ready(fd)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    wait(fd, PollFlags::POLLOUT, lifeline, deadline)?;
                }
                Err(error) => return Err(error.into()),
            }
            continue;
        }
        socket::acknowledge(fd);
        wait(fd, PollFlags::POLLIN, lifeline, deadline)?;
        match connection.read_tls(&mut Ready(fd)) {
            Ok(0) => return Err(Failure::Gone),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if let Err(error) = connection.process_new_packets() {
            last_words(connection, fd);
            return Err(Failure::Tls(error));
        }
    }
    Ok(())
}

/// Waits for the client until the deadline; the end of `lifeline` ends it.
pub(super) fn wait(
    fd: BorrowedFd<'_>,
    events: PollFlags,
    lifeline: Option<BorrowedFd<'_>>,
    deadline: Instant,
) -> Result<(), Failure> {
    let mut fds = [
        PollFd::new(fd, events),
        PollFd::new(lifeline.unwrap_or(fd), PollFlags::empty()),
    ];
    if !socket::wait(&mut fds, Some(deadline))? {
        return Err(Failure::Late);
    }
    let [client, _] = &fds;
    if client.any().unwrap_or(false) {
        Ok(())
    } else {
        Err(Failure::Gone)
    }
}
