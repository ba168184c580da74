//! What master and the keyholder, which it starts, say to each other.

use super::kinds::{File, Int, Many, Maybe, Short, Text, Words, messages};
use std::os::fd::OwnedFd;

/// The longest certificate, in DER.
const CERTIFICATE: usize = 32 * 1024;
/// The longest line of text.
const TEXT: usize = 4096;
/// More schemes than any key has.
const SCHEMES: u16 = 16;

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
    /// Something the administrator should know.
    Remark(Vec<u8>),
    /// A key or certificate cannot be used, and why.
    Mistake(Vec<u8>),
    /// What clients' certificates may be held against, of one certificate in `ca_certs_file`.
    Authority {
        /// Its name.
        subject: Vec<u8>,
        /// Its key.
        key: Vec<u8>,
        /// Which names it may vouch for, if that is limited.
        constraints: Option<Vec<u8>>,
    },
    /// Everything was loaded and every right given up: sessions may come.
    Ready,
    /// For the log.
    Note(Vec<u8>),
}

messages! { ToKeyholder, 5;
    1 Session { signatures: Int, channel: File };
}

messages! { FromKeyholder, 3 * CERTIFICATE + 8;
    1 Key { schemes: Many(SCHEMES, Short) };
    2 Certificate(Text(CERTIFICATE));
    3 Remark(Words(TEXT));
    4 Mistake(Words(TEXT));
    5 Ready;
    6 Note(Words(TEXT));
    7 Authority { subject: Text(CERTIFICATE), key: Text(CERTIFICATE), constraints: Maybe(Text(CERTIFICATE)) };
}
