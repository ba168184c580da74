//! What greeter may ask of helper before anyone is logged in, and what helper answers.

use super::codec::{Decoder, Encoder, Malformed};
use super::kinds::{Among, File, Flag, Kind, Maybe, Secret, Text, Words, fields, messages};
use super::said::Said;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use zeroize::Zeroizing;

/// The longest user name, password and unread input a greeter may send: one command line each.
const LINE: usize = 4096;

/// What a greeter leaves to the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// What the client has already sent beyond the `PASS` line.
    pub unread: Vec<u8>,
    /// It has said OPTS UTF8 ON.
    pub utf8: bool,
    /// Data connections are to be protected (PROT).
    pub protect: bool,
}
/// The longest certificate of a client, and the longest TLS session with a client's certificates in it.
pub const SESSION: usize = 16 * 1024;

/// The longest name of a host, and the longest text of its banner.
const HOST: usize = 255;
const BANNER: usize = 32 * 1024;

/// The longest name of a TLS session.
const NAME: usize = 64;

/// From greeter to helper.
#[derive(Debug)]
pub enum BeforeLogin {
    /// `USER` was given a name; asked only when `userlist_enable` lets the helper refuse here.
    User {
        /// The argument as the client typed it.
        name: Vec<u8>,
    },
    /// `PASS` was given for the pending name.
    Login {
        /// The pending name, as the client typed it.
        name: Vec<u8>,
        /// The password; wiped when dropped.
        password: Zeroizing<Vec<u8>>,
        /// What the worker goes on from.
        rest: Handover,
    },
    /// Something for the log; no reply.
    Said(Said),
    /// The handshake of the control connection begins; said once, no reply.
    Securing,
    /// The control connection is protected by TLS from now on; said once, no reply.
    Secured {
        /// The certificate the client has shown.
        certificate: Option<Vec<u8>>,
    },
    /// A TLS session that data connections may resume: for the worker, no reply.
    Resumable {
        /// What the client calls it.
        name: Vec<u8>,
        /// Its secrets.
        value: Zeroizing<Vec<u8>>,
    },
    /// `HOST` was given a name that is one (RFC 7151).
    Host {
        /// The name.
        name: Vec<u8>,
    },
}

/// From helper to greeter.
#[derive(Debug)]
pub enum BeforeLoginReply {
    /// Ask for the password: 331.
    Ask,
    /// The name is refused by the user list: 530, the session goes on.
    Denied,
    /// The password was refused: 530, the session goes on.
    Failed,
    /// As `Denied`, and this was the last failure allowed: 530 and close.
    DeniedLast,
    /// As `Failed`, and this was the last failure allowed: 530 and close.
    FailedLast,
    /// The login holds; a worker takes over the client and the greeter ends.
    Granted,
    /// The same over TLS: the greeter stays and carries the control connection to and from the worker.
    Carry {
        /// Its end of the connection to the worker.
        worker: OwnedFd,
    },
    /// The settings of the host hold from now on: 220, and the text of its `banner_file`, if there is one.
    Host {
        /// The text.
        banner: Option<Vec<u8>>,
    },
    /// There is no such host: 504.
    NoHost,
    /// The server cannot serve this login: `500 OOPS: ` and this text, then close.
    Oops(Vec<u8>),
}

impl BeforeLoginReply {
    /// Whether the greeter's dialogue ends with it without a login.
    pub fn ends(&self) -> bool {
        matches!(self, Self::DeniedLast | Self::FailedLast | Self::Oops(_))
    }
}

messages! { BeforeLogin, SESSION + NAME + 5;
    1 User { name: Text(LINE) };
    2 Login { name: Text(LINE), password: Secret(LINE), rest: Rest };
    3 Said(Among(PhantomData));
    4 Secured { certificate: Maybe(Text(SESSION)) };
    5 Resumable { name: Text(NAME), value: Secret(SESSION) };
    6 Securing;
    7 Host { name: Text(HOST) };
}

messages! { BeforeLoginReply, BANNER + 4;
    1 Ask;
    2 Denied;
    3 Failed;
    4 DeniedLast;
    5 FailedLast;
    6 Granted;
    7 Oops(Text(LINE));
    8 Carry { worker: File };
    9 Host { banner: Maybe(Words(BANNER)) };
    10 NoHost;
}

fields! {
    /// What the worker goes on from.
    Rest Handover { unread: Text(LINE), utf8: Flag, protect: Flag }
}
