//! What a logged-in user has done, as vsftpd.log and syslog call it; helper after login, without rights.

use super::vsftpd_log::append;
use std::time::Duration;

/// What it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
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
}

impl Deed {
    /// The word in the line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Download => "DOWNLOAD",
            Self::Upload => "UPLOAD",
            Self::Mkdir => "MKDIR",
            Self::Rmdir => "RMDIR",
            Self::Delete => "DELETE",
            Self::Rename => "RENAME",
            Self::Chmod => "CHMOD",
        }
    }
}

/// What a transfer has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Bytes.
    pub bytes: u64,
    /// From the command to the end.
    pub elapsed: Duration,
}

impl Moved {
    /// Appends it, with the rate that the line ends with.
    pub fn show(&self, out: &mut Vec<u8>) {
        if self.bytes > 0 {
            append(out, format_args!(", {} bytes", self.bytes));
        }
        append(out, format_args!(", {:.2}Kbyte/sec", rate(self)));
    }
}

/// Kilobytes in a second. The shortest time is a microsecond, the clock's own step.
#[allow(clippy::cast_precision_loss, reason = "a rate with two decimals")]
fn rate(moved: &Moved) -> f64 {
    moved.bytes as f64 / moved.elapsed.as_secs_f64().max(0.000_001) / 1024.0
}
