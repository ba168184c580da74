//! What worker reports for the log; helper adds the time, the pid, the user and the address, so none can be forged.

use super::codec::{Decoder, Encoder, Malformed, Message};
use super::said::{Said, TEXT};
use std::time::Duration;

/// Which way the bytes of a transfer went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// RETR.
    Download,
    /// STOR, APPE, STOU.
    Upload,
}

/// Whether a thing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every byte of it.
    Done,
    /// Refused or broken off.
    Failed,
}

/// A change to the tree of files that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// MKD.
    Mkdir,
    /// RMD.
    Rmdir,
    /// DELE.
    Delete,
    /// RNFR and RNTO.
    Rename,
    /// SITE CHMOD.
    Chmod,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A transfer has ended.
    Transfer {
        /// Which way.
        direction: Direction,
        /// Whether it is complete.
        outcome: Outcome,
        /// The path as the client sees it.
        path: Vec<u8>,
        /// Bytes moved.
        bytes: u64,
        /// From the command to the end.
        elapsed: Duration,
        /// Whether TYPE was ASCII.
        ascii: bool,
    },
    /// The tree was changed, or should have been.
    Changed {
        /// How.
        change: Change,
        /// Whether it was done.
        outcome: Outcome,
        /// The path or paths as the client sees them.
        text: Vec<u8>,
    },
    /// What a greeter may say too.
    Said(Said),
}

impl Event {
    /// The longest encoded event.
    pub const MAX: usize = TEXT + 32;

    /// Appends the event to a datagram.
    pub fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        match self {
            Self::Transfer {
                direction,
                outcome,
                path,
                bytes,
                elapsed,
                ascii,
            } => {
                let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
                out.byte(1)
                    .flag(matches!(direction, Direction::Upload))
                    .flag(done(*outcome));
                out.text(bounded(path))
                    .long(*bytes)
                    .long(micros)
                    .flag(*ascii);
            }
            Self::Changed {
                change,
                outcome,
                text,
            } => {
                out.byte(2)
                    .byte(change_tag(*change))
                    .flag(done(*outcome))
                    .text(bounded(text));
            }
            Self::Said(said) => said.encode(out.byte(3)),
        }
    }

    /// Reads an event.
    ///
    /// # Errors
    /// Anything that [`Event::encode`] does not write.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            1 => Self::Transfer {
                direction: if from.flag()? {
                    Direction::Upload
                } else {
                    Direction::Download
                },
                outcome: outcome(from.flag()?),
                path: from.text(TEXT)?,
                bytes: from.long()?,
                elapsed: Duration::from_micros(from.long()?),
                ascii: from.flag()?,
            },
            2 => Self::Changed {
                change: change(from.byte()?)?,
                outcome: outcome(from.flag()?),
                text: from.text(TEXT)?,
            },
            3 => Self::Said(Said::decode(from)?),
            _ => return Err(Malformed),
        })
    }
}

fn bounded(text: &[u8]) -> &[u8] {
    text.get(..TEXT).unwrap_or(text)
}

fn done(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Done)
}

fn outcome(done: bool) -> Outcome {
    if done { Outcome::Done } else { Outcome::Failed }
}

fn change_tag(change: Change) -> u8 {
    match change {
        Change::Mkdir => 1,
        Change::Rmdir => 2,
        Change::Delete => 3,
        Change::Rename => 4,
        Change::Chmod => 5,
    }
}

fn change(tag: u8) -> Result<Change, Malformed> {
    Ok(match tag {
        1 => Change::Mkdir,
        2 => Change::Rmdir,
        3 => Change::Delete,
        4 => Change::Rename,
        5 => Change::Chmod,
        _ => return Err(Malformed),
    })
}
