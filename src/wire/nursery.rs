//! How helper gets an auth: what it says to the nursery, and to the auth that the nursery forks.

use super::codec::{Decoder, Encoder, Malformed, Message};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use zeroize::Zeroizing;

/// The longest name, password or address.
const TEXT: usize = 4096;

/// From helper to nursery, on a socket that all helpers share. It has no byte of a client's: nursery never sees a password.
#[derive(Debug)]
pub enum ToNursery {
    /// Fork an auth that is asked over this channel.
    Auth {
        /// Its end.
        channel: OwnedFd,
    },
}

/// What auth is asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Question {
    /// The name given.
    pub name: Vec<u8>,
    /// The password given.
    pub password: Zeroizing<Vec<u8>>,
    /// The client's numeric address.
    pub rhost: Vec<u8>,
    /// `pam_service_name`; none if it is empty.
    pub service: Option<Vec<u8>>,
    /// `session_support`.
    pub session_support: bool,
    /// `setproctitle_enable`.
    pub titled: bool,
}

/// From helper to auth.
#[derive(Debug, PartialEq, Eq)]
pub enum ToAuth {
    /// The question; it waits in the channel before auth is there.
    Ask(Question),
    /// The session that auth accounts for is over. That helper's end is closed says the same.
    Over,
}

impl Message for ToNursery {
    const MAX: usize = 1;

    fn encode(&self, out: &mut Encoder) {
        let Self::Auth { channel: _ } = self;
        out.tag(1);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            1 => Ok(Self::Auth {
                channel: from.descriptor()?,
            }),
            _ => Err(Malformed),
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        let Self::Auth { channel } = self;
        Some(channel.as_fd())
    }
}

impl Message for ToAuth {
    const MAX: usize = 4 * TEXT + 16;

    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Ask(question) => {
                out.tag(1).text(&question.name).text(&question.password);
                out.text(&question.rhost).flag(question.service.is_some());
                if let Some(service) = &question.service {
                    out.text(service);
                }
                out.flag(question.session_support).flag(question.titled);
            }
            Self::Over => {
                out.tag(2);
            }
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            1 => Self::Ask(Question {
                name: from.text(TEXT)?,
                password: Zeroizing::new(from.text(TEXT)?),
                rhost: from.text(TEXT)?,
                service: from.flag()?.then(|| from.text(TEXT)).transpose()?,
                session_support: from.flag()?,
                titled: from.flag()?,
            }),
            2 => Self::Over,
            _ => return Err(Malformed),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Question, ToAuth, ToNursery};
    use crate::wire::{Decoder, Encoder, Malformed, Message};
    use zeroize::Zeroizing;

    #[test]
    fn every_word_comes_back() {
        let question = |service: Option<&str>, flag| {
            ToAuth::Ask(Question {
                name: b"alice".to_vec(),
                password: Zeroizing::new(b"secret".to_vec()),
                rhost: b"192.0.2.1".to_vec(),
                service: service.map(|service| service.as_bytes().to_vec()),
                session_support: flag,
                titled: !flag,
            })
        };
        for word in [
            question(Some("vsftpd"), true),
            question(None, false),
            ToAuth::Over,
        ] {
            let mut out = Encoder::default();
            word.encode(&mut out);
            let mut from = Decoder::new(out.bytes(), None);
            assert_eq!(ToAuth::decode(&mut from), Ok(word));
            assert!(from.finished());
        }
    }

    #[test]
    fn an_auth_needs_a_channel() {
        let mut from = Decoder::new(&[1], None);
        assert!(matches!(ToNursery::decode(&mut from), Err(Malformed)));
    }
}
