//! What greeter may ask of helper before anyone is logged in, and what helper answers.

use super::codec::{Decoder, Encoder, Malformed, Message};
use super::event::Event;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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
    Event(Event),
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
        match self {
            Self::DeniedLast | Self::FailedLast | Self::Oops(_) => true,
            Self::Ask
            | Self::Denied
            | Self::Failed
            | Self::Carry { worker: _ }
            | Self::Granted
            | Self::Host { banner: _ }
            | Self::NoHost => false,
        }
    }
}

impl Message for BeforeLogin {
    const MAX: usize = SESSION + NAME + 5;

    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::User { name } => {
                out.tag(1).text(name);
            }
            Self::Login {
                name,
                password,
                rest,
            } => {
                let out = out.tag(2).text(name).text(password);
                out.text(&rest.unread).flag(rest.utf8).flag(rest.protect);
            }
            Self::Event(event) => event.encode(out.tag(3)),
            Self::Secured { certificate } => {
                out.tag(4).flag(certificate.is_some());
                if let Some(certificate) = certificate {
                    out.text(certificate);
                }
            }
            Self::Securing => {
                out.tag(6);
            }
            Self::Resumable { name, value } => {
                out.tag(5).text(name).text(value);
            }
            Self::Host { name } => {
                out.tag(7).text(name);
            }
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            1 => Self::User {
                name: from.text(LINE)?,
            },
            2 => Self::Login {
                name: from.text(LINE)?,
                password: Zeroizing::new(from.text(LINE)?),
                rest: Handover {
                    unread: from.text(LINE)?,
                    utf8: from.flag()?,
                    protect: from.flag()?,
                },
            },
            3 => Self::Event(Event::decode(from)?),
            4 => Self::Secured {
                certificate: from.flag()?.then(|| from.text(SESSION)).transpose()?,
            },
            5 => Self::Resumable {
                name: from.text(NAME)?,
                value: Zeroizing::new(from.text(SESSION)?),
            },
            6 => Self::Securing,
            7 => Self::Host {
                name: from.text(HOST)?,
            },
            _ => return Err(Malformed),
        })
    }
}

impl Message for BeforeLoginReply {
    const MAX: usize = BANNER + 4;

    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Ask => out.tag(1),
            Self::Denied => out.tag(2),
            Self::Failed => out.tag(3),
            Self::DeniedLast => out.tag(4),
            Self::FailedLast => out.tag(5),
            Self::Granted => out.tag(6),
            Self::Oops(text) => out.tag(7).text(text),
            Self::Carry { worker: _ } => out.tag(8),
            Self::Host { banner } => {
                let out = out.tag(9).flag(banner.is_some());
                match banner {
                    Some(banner) => out.text(banner.get(..BANNER).unwrap_or(banner)),
                    None => out,
                }
            }
            Self::NoHost => out.tag(10),
        };
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            1 => Self::Ask,
            2 => Self::Denied,
            3 => Self::Failed,
            4 => Self::DeniedLast,
            5 => Self::FailedLast,
            6 => Self::Granted,
            7 => Self::Oops(from.text(LINE)?),
            8 => Self::Carry {
                worker: from.descriptor()?,
            },
            9 => Self::Host {
                banner: from.flag()?.then(|| from.text(BANNER)).transpose()?,
            },
            10 => Self::NoHost,
            _ => return Err(Malformed),
        })
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Carry { worker } => Some(worker.as_fd()),
            Self::Ask
            | Self::Denied
            | Self::Failed
            | Self::DeniedLast
            | Self::FailedLast
            | Self::Granted
            | Self::Host { banner: _ }
            | Self::NoHost
            | Self::Oops(_) => None,
        }
    }
}
