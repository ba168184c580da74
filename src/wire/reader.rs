//! What the reader asks for and reports: values that are typed already, and sentences for people; held by master, helper and the reader.

use super::codec::{Decoder, Encoder, Malformed, Message};
use crate::config::value::Value;
use crate::config::{How, Origin};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// The longest path: the kernel opens no longer one.
pub const PATH: usize = 4096;
/// The longest text; a longer sentence is cut.
pub const TEXT: usize = 60_000;

/// From the reader to who forked it.
#[derive(Debug, PartialEq, Eq)]
pub enum FromReader {
    /// Wants a file or directory opened.
    Open {
        /// Its name.
        path: Vec<u8>,
        /// What for.
        how: How,
    },
    /// Wants the uid of an account.
    Account(Vec<u8>),
    /// What follows is set for this host.
    Host(Vec<u8>),
    /// An option has another value than before, or from elsewhere.
    Set {
        /// Its row in the table.
        row: u16,
        /// Its value.
        value: Value,
        /// Where that came from.
        origin: Origin,
    },
    /// The settings cannot be served, for this reason.
    Mistake(Vec<u8>),
    /// Something the administrator should know.
    Remark(Vec<u8>),
    /// What the rules for connections say.
    Judged {
        /// The client may come in.
        granted: bool,
        /// The file of settings that a rule names for it.
        file: Option<Vec<u8>>,
    },
    /// That was all; whether it is a whole configuration, but for what this host lacks.
    Done {
        /// No mistake is in the settings themselves.
        whole: bool,
    },
}

/// From who forked the reader.
#[derive(Debug)]
pub enum ToReader {
    /// Here it is.
    Opened(OwnedFd),
    /// The kernel's word instead.
    Failed(i32),
    /// The account, if there is one.
    Account(Option<u32>),
}

impl Message for FromReader {
    const MAX: usize = TEXT + PATH + 16;

    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Open { path, how } => out.tag(1).text(cut(path, PATH)).byte(match how {
                How::File => 0,
                How::Directory => 1,
                How::Entry => 2,
            }),
            Self::Account(name) => out.tag(2).text(cut(name, PATH)),
            Self::Host(name) => out.tag(3).text(cut(name, PATH)),
            Self::Set { row, value, origin } => {
                put_origin(out.tag(4).short(*row), origin);
                put_value(out, value)
            }
            Self::Mistake(text) => out.tag(5).text(cut(text, TEXT)),
            Self::Remark(text) => out.tag(6).text(cut(text, TEXT)),
            Self::Done { whole } => out.tag(7).flag(*whole),
            Self::Judged { granted, file } => {
                out.tag(8).flag(*granted).flag(file.is_some());
                file.iter().fold(out, |out, file| out.text(cut(file, PATH)))
            }
        };
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            1 => Self::Open {
                path: from.text(PATH)?,
                how: match from.byte()? {
                    0 => How::File,
                    1 => How::Directory,
                    2 => How::Entry,
                    3.. => return Err(Malformed),
                },
            },
            2 => Self::Account(from.text(PATH)?),
            3 => Self::Host(from.text(PATH)?),
            4 => {
                let row = from.short()?;
                let origin = origin(from)?;
                let value = value(from)?;
                Self::Set { row, value, origin }
            }
            5 => Self::Mistake(from.text(TEXT)?),
            6 => Self::Remark(from.text(TEXT)?),
            7 => Self::Done {
                whole: from.flag()?,
            },
            8 => Self::Judged {
                granted: from.flag()?,
                file: from.flag()?.then(|| from.text(PATH)).transpose()?,
            },
            _ => return Err(Malformed),
        })
    }
}

impl Message for ToReader {
    const MAX: usize = 6;

    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Opened(_) => out.tag(1),
            Self::Failed(error) => out.tag(2).int(error.cast_unsigned()),
            Self::Account(None) => out.tag(3),
            Self::Account(Some(uid)) => out.tag(4).int(*uid),
        };
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            1 => Self::Opened(from.descriptor()?),
            2 => Self::Failed(from.int()?.cast_signed()),
            3 => Self::Account(None),
            4 => Self::Account(Some(from.int()?)),
            _ => return Err(Malformed),
        })
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Opened(file) => Some(file.as_fd()),
            Self::Failed(_) | Self::Account(_) => None,
        }
    }
}

fn put_origin<'a>(out: &'a mut Encoder, origin: &Origin) -> &'a mut Encoder {
    match origin {
        Origin::Default => out.byte(0),
        Origin::Setting => out.byte(1),
        Origin::Line { file, line } => {
            let file = file.as_os_str().as_bytes();
            let line = u32::try_from(*line).unwrap_or(u32::MAX);
            out.byte(2).text(cut(file, PATH)).int(line)
        }
    }
}

fn origin(from: &mut Decoder<'_>) -> Result<Origin, Malformed> {
    Ok(match from.byte()? {
        0 => Origin::Default,
        1 => Origin::Setting,
        2 => Origin::Line {
            file: PathBuf::from(OsString::from_vec(from.text(PATH)?)).into(),
            line: usize::try_from(from.int()?).map_err(|_| Malformed)?,
        },
        3.. => return Err(Malformed),
    })
}

fn put_value<'a>(out: &'a mut Encoder, value: &Value) -> &'a mut Encoder {
    match value {
        Value::Flag(flag) => out.byte(0).flag(*flag),
        Value::Number(number) => out.byte(1).int(*number),
        Value::Octal(mode) => out.byte(2).int(*mode),
        Value::Text(None) => out.byte(3),
        Value::Text(Some(text)) => out.byte(4).text(cut(text.as_bytes(), TEXT)),
    }
}

fn value(from: &mut Decoder<'_>) -> Result<Value, Malformed> {
    Ok(match from.byte()? {
        0 => Value::Flag(from.flag()?),
        1 => Value::Number(from.int()?),
        2 => Value::Octal(from.int()?),
        3 => Value::Text(None),
        4 => Value::Text(Some(OsString::from_vec(from.text(TEXT)?))),
        5.. => return Err(Malformed),
    })
}

fn cut(text: &[u8], most: usize) -> &[u8] {
    text.get(..most).unwrap_or(text)
}
