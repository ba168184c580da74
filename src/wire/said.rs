//! What greeter reports for the log; helper adds the time, the pid and the address. Of files and transfers it can say nothing.

use super::codec::{Decoder, Encoder, Malformed};

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

impl Said {
    /// Appends it to a datagram.
    pub fn encode(&self, out: &mut Encoder) {
        let (tag, text) = match self {
            Self::Command(text) => (3, text),
            Self::Response(text) => (4, text),
            Self::Pending(name) => (5, name),
            Self::Note(text) => (6, text),
        };
        out.byte(tag).text(text.get(..TEXT).unwrap_or(text));
    }

    /// Reads it.
    ///
    /// # Errors
    /// Anything that [`Said::encode`] does not write.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let tag = from.byte()?;
        Self::tagged(tag, from)
    }

    /// Reads what is behind a tag.
    ///
    /// # Errors
    /// As [`Said::decode`].
    pub fn tagged(tag: u8, from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let text = from.text(TEXT)?;
        Ok(match tag {
            3 => Self::Command(text),
            4 => Self::Response(text),
            5 => Self::Pending(text),
            6 => Self::Note(text),
            _ => return Err(Malformed),
        })
    }
}
