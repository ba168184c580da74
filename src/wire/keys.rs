//! What is said to the keyholder and what it answers: by master, which starts it, and by the sessions, which need signatures.

use super::codec::{Decoder, Encoder, Malformed, Message};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The longest certificate, in DER.
const CERTIFICATE: usize = 32 * 1024;
/// The longest thing to sign: a ServerKeyExchange with the largest group there is.
const CONTENT: usize = 512;
/// The longest signature: RSA with 16384 bits.
const SIGNATURE: usize = 2048;
/// The longest line of text.
const TEXT: usize = 4096;
/// More schemes than any key has.
const SCHEMES: usize = 16;

/// From master to keyholder.
#[derive(Debug)]
pub enum ToKeyholder {
    /// A session begins; it asks over this channel, and at most so many times.
    Session {
        /// How many signatures it may have.
        signatures: u32,
        /// Keyholder's end of its channel.
        channel: OwnedFd,
    },
}

/// From keyholder to master: first what it has found, at most one `Ready`, then only notes.
#[derive(Debug, PartialEq, Eq)]
pub enum FromKeyholder {
    /// A key, and the signature schemes it can be used with, as TLS numbers them; its certificates follow.
    Key {
        /// The schemes.
        schemes: Vec<u16>,
    },
    /// A certificate of the key before, the server's own first.
    Certificate(Vec<u8>),
    /// Something the administrator should know; the option it concerns, and the text.
    Remark {
        /// The option.
        option: Vec<u8>,
        /// The text.
        text: Vec<u8>,
    },
    /// A key or certificate cannot be used; the option, and why.
    Mistake {
        /// The option.
        option: Vec<u8>,
        /// The text.
        text: Vec<u8>,
    },
    /// Everything was loaded and every right given up: sessions may come.
    Ready,
    /// For the log.
    Note(Vec<u8>),
}

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

impl Message for ToKeyholder {
    const MAX: usize = 5;

    fn encode(&self, out: &mut Encoder) {
        let Self::Session {
            signatures,
            channel: _,
        } = self;
        out.tag(1).int(*signatures);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            1 => Ok(Self::Session {
                signatures: from.int()?,
                channel: from.descriptor()?,
            }),
            _ => Err(Malformed),
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        let Self::Session {
            signatures: _,
            channel,
        } = self;
        Some(channel.as_fd())
    }
}

impl Message for FromKeyholder {
    const MAX: usize = CERTIFICATE + 3;

    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Key { schemes } => {
                let count = u8::try_from(schemes.len()).unwrap_or(u8::MAX);
                out.tag(1).byte(count);
                for scheme in schemes.iter().take(usize::from(count)) {
                    out.short(*scheme);
                }
                out
            }
            Self::Certificate(der) => out.tag(2).text(der),
            Self::Remark { option, text } => out.tag(3).text(option).text(cut(text)),
            Self::Mistake { option, text } => out.tag(4).text(option).text(cut(text)),
            Self::Ready => out.tag(5),
            Self::Note(text) => out.tag(6).text(cut(text)),
        };
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            1 => {
                let count = usize::from(from.byte()?);
                if count > SCHEMES {
                    return Err(Malformed);
                }
                let schemes = (0..count).map(|_| from.short());
                Self::Key {
                    schemes: schemes.collect::<Result<_, _>>()?,
                }
            }
            2 => Self::Certificate(from.text(CERTIFICATE)?),
            3 => Self::Remark {
                option: from.text(TEXT)?,
                text: from.text(TEXT)?,
            },
            4 => Self::Mistake {
                option: from.text(TEXT)?,
                text: from.text(TEXT)?,
            },
            5 => Self::Ready,
            6 => Self::Note(from.text(TEXT)?),
            _ => return Err(Malformed),
        })
    }
}

impl Message for Sign {
    const MAX: usize = CONTENT + 7;

    fn encode(&self, out: &mut Encoder) {
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

impl Message for SignReply {
    const MAX: usize = SIGNATURE + 3;

    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Signed(signature) => out.tag(1).text(signature),
            Self::Refused => out.tag(2),
        };
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            1 => Self::Signed(from.text(SIGNATURE)?),
            2 => Self::Refused,
            _ => return Err(Malformed),
        })
    }
}

fn cut(text: &[u8]) -> &[u8] {
    text.get(..TEXT).unwrap_or(text)
}
