//! How helper gets an auth: what it says to the nursery, and to the auth that the nursery forks.

use super::codec::{Decoder, Encoder, Malformed, Message};
use super::kinds::{File, Flag, Kind, Maybe, Os, Secret, Text, fields, messages};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
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

/// Nothing is said by the nursery: what it would answer, auth does; and nothing to a process that asks the name service.
#[derive(Debug)]
pub enum Silence {}

impl Message for Silence {
    const MAX: usize = 0;
    fn encode<'a>(&'a self, _: &mut Encoder<'a>) {
        match *self {}
    }
    fn decode(_: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Err(Malformed)
    }
}

/// What auth is asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Question {
    /// The name given.
    pub name: Vec<u8>,
    /// The password given; wiped in a process where it outlives the check.
    pub password: Zeroizing<Vec<u8>>,
    /// The client's numeric address.
    pub rhost: Vec<u8>,
    /// `pam_service_name`; none if it is empty.
    pub service: Option<OsString>,
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

messages! { ToNursery, 1;
    1 Auth { channel: File };
}

messages! { ToAuth, 4 * TEXT + 16;
    1 Ask(Asks);
    2 Over;
}

fields! {
    /// A question.
    Asks Question {
        name: Text(TEXT), password: Secret(TEXT), rhost: Text(TEXT), service: Maybe(Os(TEXT)), session_support: Flag, titled: Flag
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
                service: service.map(Into::into),
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
            assert_eq!(ToAuth::decode(&mut from).as_ref(), Ok(&word));
            assert!(from.finished());
        }
    }

    #[test]
    fn an_auth_needs_a_channel() {
        let mut from = Decoder::new(&[1], None);
        assert!(matches!(ToNursery::decode(&mut from), Err(Malformed)));
    }
}
