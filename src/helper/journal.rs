//! Where a session's events are written: vsftpd.log, xferlog and syslog, with time, pid, user and address added here; helper.

use crate::config::Config;
use crate::record::{self, Access, Kind, Line, Stamp};
use crate::sys::clock::{self, Date};
use crate::sys::logfile::{self, Log};
use crate::sys::syslog;
use crate::wire::Said;
use std::cell::OnceCell;
use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

/// How long somebody else may hold the lock on a log, or the system's log be behind: who keeps it, or was stopped while he had it, would
/// otherwise stop every session of the server, and a client's end would not end its session.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The open sinks of one session and who it is.
#[derive(Debug)]
pub struct Journal {
    vsftpd: Option<Log>,
    pub(super) xfer: Option<Log>,
    syslog: Option<syslog::Syslog>,
    /// Whether a log's lock is to be taken.
    pub(super) locks: bool,
    /// How long it is waited for; not any more once that was in vain.
    pub(super) lock: Option<Duration>,
    pub(super) patience: Duration,
    pub(super) address: Address,
    pub(super) pid: u32,
    pub(super) user: Option<Vec<u8>>,
    /// For xferlog: `a` or `r`, and the password of an anonymous user.
    pub(super) access: (Access, Vec<u8>),
    pub(super) buffer: Vec<u8>,
    /// Whether it was said that lines were lost.
    lossy: bool,
}

impl Journal {
    /// Opens what the options ask for (the table of reference §7.1); no log is waited for any longer than that.
    ///
    /// # Errors
    /// The original's text for a log that cannot be opened.
    pub fn open(config: &Config, peer: SocketAddr, patience: Duration) -> Result<Self, String> {
        let mut journal = Self::silent(peer);
        journal.patience = patience;
        journal.locks = !config.no_log_lock;
        journal.lock = journal.locks.then_some(patience);
        let std_format = config.xferlog_enable && config.xferlog_std_format;
        if config.dual_log_enable || std_format {
            journal.xfer = Some(open("xferlog", config.xferlog_file.as_deref())?);
        }
        if config.syslog_enable {
            let syslog = syslog::Syslog::new("vsftpd", patience);
            journal.lost("the system's log, /dev/log", syslog.connected());
            journal.syslog = Some(syslog);
        } else if config.dual_log_enable || (config.xferlog_enable && !config.xferlog_std_format) {
            journal.vsftpd = Some(open("vsftpd", config.vsftpd_log_file.as_deref())?);
        }
        Ok(journal)
    }

    /// A journal without sinks.
    pub fn silent(peer: SocketAddr) -> Self {
        Self {
            vsftpd: None,
            xfer: None,
            syslog: None,
            locks: false,
            lock: None,
            patience: PATIENCE,
            address: Address {
                peer,
                text: OnceCell::new(),
            },
            pid: std::process::id(),
            user: None,
            access: (Access::Real, Vec::new()),
            buffer: Vec::new(),
            lossy: false,
        }
    }

    /// Whether what the session does is written anywhere; if not, only notes are, to standard error.
    pub fn keeps_record(&self) -> bool {
        self.vsftpd.is_some() || self.xfer.is_some() || self.syslog.is_some()
    }

    /// The client's numeric address as logs show it.
    pub fn address(&self) -> &str {
        self.address.text()
    }

    /// The CONNECT line.
    pub fn connect(&mut self) {
        self.line(&Line::new(Kind::Connect, None, None));
    }

    /// The CONNECT line of a connection that is turned away, with the reason.
    pub fn turned_away(&mut self, reason: &str) {
        self.line(&Line::new(
            Kind::Connect,
            None,
            Some(reason.as_bytes().to_vec()),
        ));
    }

    /// A login holds; later lines carry this user. `anonymous_password` is what an anonymous one gave.
    pub fn logged_in(&mut self, user: &[u8], anonymous_password: Option<&[u8]>) {
        self.user = Some(user.to_vec());
        self.line(&Line {
            anon_password: anonymous_password.map(<[u8]>::to_vec),
            ..Line::new(Kind::Login, Some(true), None)
        });
    }

    /// A login does not hold; the reason is for the administrator only.
    pub fn login_failed(&mut self, user: &[u8], reason: &str) {
        let before = self.user.replace(user.to_vec());
        self.line(&Line::new(Kind::Login, Some(false), None));
        self.user = before;
        self.refused(user, reason);
    }

    /// USER was refused before any password.
    pub fn refused(&mut self, user: &[u8], reason: &str) {
        let before = self.user.replace(user.to_vec());
        self.note(format!("login refused: {reason}").as_bytes());
        self.user = before;
    }

    /// Several things the administrator should know.
    pub fn notes(&mut self, texts: &[String]) {
        texts.iter().for_each(|text| self.note(text.as_bytes()));
    }

    /// Something the administrator should know: a DEBUG line, and standard error when no log is open.
    pub fn note(&mut self, text: &[u8]) {
        self.line(&Line::new(Kind::Debug, None, Some(text.to_vec())));
        if self.vsftpd.is_none() && self.syslog.is_none() {
            let mut shown = Vec::new();
            record::escape::printable(&mut shown, text);
            let shown = String::from_utf8_lossy(&shown);
            log::warn!("{} {shown}", self.address.text());
        }
    }

    /// What greeter reports, or worker.
    pub fn said(&mut self, said: Said) {
        let (kind, text) = match said {
            Said::Pending(name) => {
                self.user = (!name.is_empty()).then_some(name);
                return;
            }
            Said::Note(text) => return self.note(&text),
            Said::Command(text) => (Kind::Command, text),
            Said::Response(text) => (Kind::Response, text),
        };
        let text = Some(text).filter(|text| !text.is_empty());
        self.line(&Line::new(kind, None, text));
    }

    pub(super) fn line(&mut self, line: &Line) {
        if self.vsftpd.is_none() && self.syslog.is_none() {
            return;
        }
        self.buffer.clear();
        let stamp = stamp(self.pid, self.user.as_deref(), self.address.text());
        if let Some(syslog) = &mut self.syslog {
            record::syslog_line(&stamp, line, &mut self.buffer);
            syslog.send(record::is_warning(line), &self.buffer);
        } else if let Some(log) = &mut self.vsftpd {
            record::vsftpd_line(&stamp, line, &mut self.buffer);
            let written = logfile::append(log, &self.buffer, &mut self.lock);
            self.lost("vsftpd_log_file", written);
        }
    }

    /// A line that a log did not take is told to whoever started the server, once for each session: the log itself cannot have it.
    pub(super) fn lost(&mut self, option: &str, written: Result<(), impl Display>) {
        if let Err(why) = written
            && !std::mem::replace(&mut self.lossy, true)
        {
            let who = self.address.text();
            log::error!("{who} lines of this session are missing in {option}: {why}");
        }
    }
}

/// Now, by the host's clock on the wall, and who it is.
pub(super) fn stamp<'a>(pid: u32, user: Option<&'a [u8]>, address: &'a str) -> Stamp<'a, Date> {
    let date = Date(clock::local(clock::now()));
    Stamp {
        date,
        pid,
        user,
        address,
    }
}

/// The client's address, written out once somebody asks for it: a session without logs never does.
#[derive(Debug)]
pub(super) struct Address {
    peer: SocketAddr,
    text: OnceCell<String>,
}

impl Address {
    /// As the original prints it: mapped IPv4 addresses stay mapped on an IPv6 listener (reference §6.3).
    pub(super) fn text(&self) -> &str {
        self.text.get_or_init(|| self.peer.ip().to_string())
    }
}

fn open(what: &str, path: Option<&std::ffi::OsStr>) -> Result<Log, String> {
    let path = path.unwrap_or_default();
    logfile::open(path).map_err(|error| {
        let unread = error.raw_os_error() == Some(libc::ENXIO);
        let why = if unread {
            ": it is a FIFO that nobody reads, or a socket, as standard output is under systemd; syslog_enable=YES writes to the system's log"
        } else {
            ""
        };
        let shown = path.to_string_lossy();
        format!("failed to open {what} log file:{shown} ({error}{why})")
    })
}
