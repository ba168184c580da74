//! What a helper tells master about its session, over one socket that all of them share: the kernel says who has sent it, so that a
//! report names nobody and has no byte of a client's.

use super::codec::{Decoder, Encoder, Malformed, Message};

/// From helper to master; no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// A name or a password was refused.
    LoginFailed,
    /// The handshake of the control connection begins.
    Handshake,
}

impl Message for Report {
    const MAX: usize = 1;

    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::LoginFailed => out.tag(1),
            Self::Handshake => out.tag(2),
        };
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            1 => Ok(Self::LoginFailed),
            2 => Ok(Self::Handshake),
            _ => Err(Malformed),
        }
    }
}
