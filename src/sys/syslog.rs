//! The host's syslog by its datagram socket, with facility FTP; connected before any root is changed; helper and master.

use std::io::Write;
use std::os::unix::net::UnixDatagram;

/// How grave a line is (syslog(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// LOG_WARNING.
    Warning,
    /// LOG_INFO.
    Info,
}

/// LOG_FTP (RFC 3164, facility 11).
const FACILITY: u8 = 11 << 3;

/// One connection to /dev/log.
#[derive(Debug)]
pub struct Syslog {
    socket: Option<UnixDatagram>,
    ident: &'static str,
    pid: u32,
    buffer: Vec<u8>,
}

impl Syslog {
    /// Connects now, while /dev/log can be reached; without a syslog daemon lines are lost, as with syslog(3).
    pub fn new(ident: &'static str) -> Self {
        let socket = UnixDatagram::unbound().ok().and_then(|socket| {
            socket.connect("/dev/log").ok()?;
            Some(socket)
        });
        Self {
            socket,
            ident,
            pid: std::process::id(),
            buffer: Vec::new(),
        }
    }

    /// Sends one line; the daemon stamps the time.
    pub fn send(&mut self, level: Level, text: &[u8]) {
        let Some(socket) = &self.socket else { return };
        let priority = FACILITY
            | match level {
                Level::Warning => 4,
                Level::Info => 6,
            };
        self.buffer.clear();
        // Writing to a Vec cannot fail.
        let _ = write!(self.buffer, "<{priority}>{}[{}]: ", self.ident, self.pid);
        self.buffer.extend_from_slice(text);
        // A stopped daemon must not stop the session.
        let _ = socket.send(&self.buffer);
    }
}
