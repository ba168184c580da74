//! The host's syslog by its socket, with facility FTP; connected before any root is changed; helper and master.

use super::socket;
use nix::errno::Errno;
use nix::sys::socket::{self as sockets, AddressFamily, SockFlag, SockType, UnixAddr};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

/// How grave a line is, and whose (syslog(3); RFC 3164, facility 11): LOG_WARNING or LOG_INFO, and LOG_FTP.
const WARNING: u8 = 11 << 3 | 4;
const INFO: u8 = 11 << 3 | 6;

/// What ends a datagram.
const NONE: &[u8] = b"";

/// The way to a daemon.
#[derive(Debug)]
struct Way {
    /// Of whichever kind.
    socket: UnixDatagram,
    /// What ends a line.
    end: &'static [u8],
}

/// One connection to /dev/log.
#[derive(Debug)]
pub struct Syslog {
    way: io::Result<Way>,
    ident: &'static str,
    pid: u32,
    patience: Duration,
    /// Lines that the daemon did not take, since it last took one.
    lost: u32,
    buffer: Vec<u8>,
}

impl Syslog {
    /// Connects now, while /dev/log can be reached; without a syslog daemon lines are lost, as with syslog(3). A daemon that is there and
    /// takes nothing is waited for as long as `patience`, once: then lines are lost, and counted, until it takes one again.
    pub fn new(ident: &'static str, patience: Duration) -> Self {
        Self {
            way: connect(),
            ident,
            pid: std::process::id(),
            patience,
            lost: 0,
            buffer: Vec::new(),
        }
    }

    /// Whether there is a daemon.
    ///
    /// # Errors
    /// None is to be had.
    pub fn connected(&self) -> Result<(), &io::Error> {
        self.way.as_ref().map(drop)
    }

    /// Sends one line, which may be a warning; the daemon stamps the time.
    pub fn send(&mut self, warning: bool, text: &[u8]) {
        if !self.own_up() || !self.put(if warning { WARNING } else { INFO }, text) {
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Says how many lines were lost; false if that is lost too.
    fn own_up(&mut self) -> bool {
        if self.lost > 0 {
            let why = "lines lost before this one, because the system's log took none";
            let text = format!("{why}: {}", self.lost);
            if self.put(WARNING, text.as_bytes()) {
                self.lost = 0;
            }
        }
        self.lost == 0
    }

    /// Whether the daemon has taken the line, or there is none that could.
    fn put(&mut self, priority: u8, text: &[u8]) -> bool {
        self.buffer.clear();
        // Writing to a Vec cannot fail.
        let _ = write!(self.buffer, "<{priority}>{}[{}]: ", self.ident, self.pid);
        let end = self.way.as_ref().map_or(NONE, |way| way.end);
        self.buffer.extend(text.iter().chain(end));
        let until = Instant::now().checked_add(self.patience);
        let mut renewed = false;
        while let Ok(Way { socket, end: _ }) = &self.way {
            match socket.send(&self.buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A stopped daemon must not stop the session.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let taken = || socket::writable(socket.as_fd(), until).unwrap_or(false);
                    // Once was enough.
                    if self.lost > 0 || !taken() {
                        return false;
                    }
                }
                Ok(sent) if sent < self.buffer.len() => drop(self.buffer.drain(..sent)),
                Ok(_) => return true,
                // The daemon was started anew. After login there is no way to it: lines are lost, as with syslog(3) behind a chroot.
                Err(_) => {
                    let Some(way) = (!renewed).then(|| connect().ok()).flatten() else {
                        return true;
                    };
                    (self.way, renewed) = (Ok(way), true);
                }
            }
        }
        true
    }
}

/// The way to the daemon that is there now: by datagrams, or by a stream, which old ones take.
fn connect() -> io::Result<Way> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let to = UnixAddr::new("/dev/log")?;
    let by = |kind, end| {
        let socket = sockets::socket(AddressFamily::Unix, kind, flags, None)?;
        let socket = sockets::connect(socket.as_raw_fd(), &to).map(|()| socket.into())?;
        Ok(Way { socket, end })
    };
    Ok(match by(SockType::Datagram, NONE) {
        Err(Errno::EPROTOTYPE) => by(SockType::Stream, b"\0"),
        found => found,
    }?)
}

impl Drop for Syslog {
    fn drop(&mut self) {
        self.own_up();
    }
}
