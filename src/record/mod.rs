//! The lines of vsftpd.log, xferlog and syslog, made of what a session reported; pure, runs in helper.

pub mod deed;
pub mod escape;
pub mod vsftpd_log;
pub mod xferlog;

pub use deed::{Deed, Moved};
pub use vsftpd_log::{is_warning, syslog_line, vsftpd_line};
pub use xferlog::{Access, Transfer, xferlog_line};

/// When, where and for whom a line is written. All of it is the helper's own knowledge.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a, Date> {
    /// Local time, as it is shown.
    pub date: Date,
    /// The process that speaks to the client.
    pub pid: u32,
    /// The pending or logged-in user.
    pub user: Option<&'a [u8]>,
    /// The client's numeric address.
    pub address: &'a str,
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A connection came, or was refused.
    Connect,
    /// A login was tried.
    Login,
    /// What a logged-in user has done, or should have been able to.
    Deed(Deed),
    /// A command line, with `log_ftp_protocol`.
    Command,
    /// A reply line, with `log_ftp_protocol`.
    Response,
    /// Anything else the administrator should know.
    Debug,
}

impl Kind {
    /// The word or words in the line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Login => "LOGIN",
            Self::Deed(deed) => deed.word(),
            Self::Command => "FTP command",
            Self::Response => "FTP response",
            Self::Debug => "DEBUG",
        }
    }
}

/// One event for the log in vsftpd's own form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is about.
    pub kind: Kind,
    /// Whether it was done; none for what can only happen.
    pub ok: Option<bool>,
    /// Paths, a reason, or a line of the protocol.
    pub text: Option<Vec<u8>>,
    /// What an anonymous user gave for a password, as received.
    pub anon_password: Option<Vec<u8>>,
    /// What a transfer has moved.
    pub moved: Option<Moved>,
}

impl Line {
    /// A line without password, of no transfer.
    #[must_use]
    pub fn new(kind: Kind, ok: Option<bool>, text: Option<Vec<u8>>) -> Self {
        Self {
            kind,
            ok,
            text,
            anon_password: None,
            moved: None,
        }
    }
}
