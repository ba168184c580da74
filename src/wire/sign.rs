//! What sessions ask the keyholder for, and what it answers: signatures; greeter, worker, keyholder.

use super::codec::{Decoder, Encoder, Malformed, Message};
use super::kinds::{Text, messages};

/// The longest thing to sign: a ServerKeyExchange with the largest group there is.
const CONTENT: usize = 512;
/// The longest signature: RSA with 16384 bits.
const SIGNATURE: usize = 2048;

/// From a session to keyholder.
#[derive(Debug, PartialEq, Eq)]
pub struct Sign {
    /// Which key, in the order of `Key` messages.
    pub key: u16,
    /// The signature scheme, as TLS numbers it.
    pub scheme: u16,
    /// What to sign.
    pub content: Vec<u8>,
}

/// From keyholder to a session.
#[derive(Debug, PartialEq, Eq)]
pub enum SignReply {
    /// The signature.
    Signed(Vec<u8>),
    /// There is none: the key cannot, or the session has had its share.
    Refused,
}

impl Message for Sign {
    const MAX: usize = CONTENT + 7;

    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.tag(1)
            .short(self.key)
            .short(self.scheme)
            .text(&self.content);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            1 => Ok(Self {
                key: from.short()?,
                scheme: from.short()?,
                content: from.text(CONTENT)?,
            }),
            _ => Err(Malformed),
        }
    }
}

messages! { SignReply, SIGNATURE + 3;
    1 Signed(Text(SIGNATURE));
    2 Refused;
}
