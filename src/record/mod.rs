//! The lines of vsftpd.log, xferlog and syslog, made of what a session reported; pure, runs in helper.

pub mod date;
pub mod escape;
pub mod vsftpd_log;
pub mod xferlog;

pub use date::Date;
pub use vsftpd_log::{is_warning, syslog_line, vsftpd_line};
pub use xferlog::{Access, Transfer, xferlog_line};

use std::time::Duration;

/// When, where and for whom a line is written. All of it is the helper's own knowledge.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// Local time.
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
    /// RETR.
    Download,
    /// STOR, APPE, STOU.
    Upload,
    /// MKD.
    Mkdir,
    /// RMD.
    Rmdir,
    /// DELE.
    Delete,
    /// RNFR and RNTO.
    Rename,
    /// SITE CHMOD.
    Chmod,
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
            Self::Download => "DOWNLOAD",
            Self::Upload => "UPLOAD",
            Self::Mkdir => "MKDIR",
            Self::Rmdir => "RMDIR",
            Self::Delete => "DELETE",
            Self::Rename => "RENAME",
            Self::Chmod => "CHMOD",
            Self::Command => "FTP command",
            Self::Response => "FTP response",
            Self::Debug => "DEBUG",
        }
    }

    /// Whether bytes were moved, so that the line ends with a rate.
    #[must_use]
    pub fn is_transfer(self) -> bool {
        matches!(self, Self::Download | Self::Upload)
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
    /// Bytes moved.
    pub bytes: u64,
    /// From the command to the end of the transfer.
    pub elapsed: Duration,
}

impl Line {
    /// A line without bytes or password.
    #[must_use]
    pub fn new(kind: Kind, ok: Option<bool>, text: Option<Vec<u8>>) -> Self {
        Self {
            kind,
            ok,
            text,
            anon_password: None,
            bytes: 0,
            elapsed: Duration::ZERO,
        }
    }
}
