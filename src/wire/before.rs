//! What greeter may ask of helper before anyone is logged in, and what helper answers.

use super::codec::{Decoder, Encoder, Malformed, Message};
use super::event::Event;
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
}

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
}

/// From helper to greeter.
#[derive(Debug, PartialEq, Eq)]
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
    /// The server cannot serve this login: `500 OOPS: ` and this text, then close.
    Oops(Vec<u8>),
}

impl Message for BeforeLogin {
    const MAX: usize = 3 * (LINE + 2) + 2;

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
                out.tag(2)
                    .text(name)
                    .text(password)
                    .text(&rest.unread)
                    .flag(rest.utf8);
            }
            Self::Event(event) => event.encode(out.tag(3)),
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
                },
            },
            3 => Self::Event(Event::decode(from)?),
            _ => return Err(Malformed),
        })
    }
}

impl Message for BeforeLoginReply {
    const MAX: usize = LINE + 3;

    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Ask => out.tag(1),
            Self::Denied => out.tag(2),
            Self::Failed => out.tag(3),
            Self::DeniedLast => out.tag(4),
            Self::FailedLast => out.tag(5),
            Self::Granted => out.tag(6),
            Self::Oops(text) => out.tag(7).text(text),
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
            _ => return Err(Malformed),
        })
    }
}
