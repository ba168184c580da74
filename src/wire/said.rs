//! What greeter reports for the log; helper adds the time, the pid and the address. Of files and transfers it can say nothing.

use super::kinds::{Words, messages};

/// Two paths of 4096 bytes below a current directory of 4096 bytes each, the longest text there is.
pub(super) const TEXT: usize = 4 * 4096 + 2;

/// One thing said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A command line, with `log_ftp_protocol`.
    Command(Vec<u8>),
    /// A reply line, with `log_ftp_protocol`.
    Response(Vec<u8>),
    /// The pending user name of a session that is not logged in, for the lines that follow.
    Pending(Vec<u8>),
    /// A reason the administrator should know; goes to the log as a DEBUG line.
    Note(Vec<u8>),
}

messages! { Said, TEXT + 3;
    3 Command(Words(TEXT));
    4 Response(Words(TEXT));
    5 Pending(Words(TEXT));
    6 Note(Words(TEXT));
}
