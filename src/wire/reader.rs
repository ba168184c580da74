//! What the reader asks for and reports: values that are typed already, and sentences for people; held by master, helper and the reader.

use super::codec::{Decoder, Encoder, Malformed};
use super::kinds::{self, Byte, Flag, Int, Kind, Long, Many, Maybe, Short, Text, Words, messages};
use crate::config::value::Value;
use crate::config::{How, Origin};
use crate::sys::account::Account;
use nix::unistd::{Gid, Uid};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// The longest path: the kernel opens no longer one.
pub const PATH: usize = 4096;
/// The longest text; a longer sentence is cut.
pub const TEXT: usize = 60_000;

/// More suites than there are.
const SUITES: u16 = 64;

/// More steps than the kernel takes (`BPF_MAXINSNS` of linux/bpf_common.h).
const STEPS: u16 = 4096;

/// Linux allows a process 65536 groups; an account with more than this is refused rather than cut.
const GROUPS: u16 = 8192;

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
    /// The account that an option names.
    Account {
        /// The option's number.
        number: u8,
        /// The account.
        account: Account,
    },
    /// A host name in `pasv_address`, its address, and the name that stands in the settings.
    Passive {
        /// The name.
        name: Vec<u8>,
        /// The address.
        address: Vec<u8>,
        /// What stands there.
        stands: Option<Vec<u8>>,
    },
    /// What `ssl_ciphers` comes to, as TLS numbers them; what no TLS here has counts for nothing.
    Suites(Vec<u16>),
    /// The file of settings for a client.
    File(Vec<u8>),
    /// What the filter of a list comes to: the list's place among all of them, and a word for each step.
    Program {
        /// The place.
        place: u16,
        /// The words.
        words: Vec<u64>,
    },
    /// That was all, and whether it is good.
    Done(bool),
}

/// From who forked the reader.
#[derive(Debug)]
pub enum ToReader {
    /// Here it is.
    Opened(OwnedFd),
    /// The kernel's word instead.
    Failed(u32),
}

messages! { FromReader, TEXT + PATH + 16;
    1 Open { path: Words(PATH), how: Purpose };
    2 Account { number: Byte, account: Person };
    3 Host(Text(PATH));
    4 Set { row: Short, value: Setting, origin: Place };
    5 Mistake(Words(TEXT));
    6 Remark(Words(TEXT));
    7 Done(Flag);
    8 File(Text(PATH));
    10 Suites(Many(SUITES, Short));
    11 Program { place: Short, words: Many(STEPS, Long) };
    9 Passive { name: Text(PATH), address: Text(PATH), stands: Maybe(Text(PATH)) };
}

messages! { ToReader, 6;
    1 Opened(kinds::File);
    2 Failed(Int);
}

struct Purpose;

impl Kind for Purpose {
    type Value = How;
    fn put(&self, how: &How, out: &mut Encoder) {
        out.byte(match how {
            How::File => 0,
            How::Directory => 1,
            How::Entry => 2,
        });
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<How, Malformed> {
        Ok(match from.byte()? {
            0 => How::File,
            1 => How::Directory,
            2 => How::Entry,
            3.. => return Err(Malformed),
        })
    }
}

struct Place;

impl Kind for Place {
    type Value = Origin;
    fn put(&self, origin: &Origin, out: &mut Encoder) {
        match origin {
            Origin::Default => out.byte(0),
            Origin::Setting => out.byte(1),
            Origin::Line { file, line } => {
                let file = file.as_os_str().as_bytes();
                let line = u32::try_from(*line).unwrap_or(u32::MAX);
                out.byte(2).text(file.get(..PATH).unwrap_or(file)).int(line)
            }
        };
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Origin, Malformed> {
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
}

struct Setting;

impl Kind for Setting {
    type Value = Value;
    fn put(&self, value: &Value, out: &mut Encoder) {
        match value {
            Value::Flag(flag) => out.byte(0).flag(*flag),
            Value::Number(number) => out.byte(1).int(*number),
            Value::Octal(mode) => out.byte(2).int(*mode),
            Value::Text(None) => out.byte(3),
            Value::Text(Some(text)) => out.byte(4).text(text.as_bytes()),
        };
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Value, Malformed> {
        Ok(match from.byte()? {
            0 => Value::Flag(from.flag()?),
            1 => Value::Number(from.int()?),
            2 => Value::Octal(from.int()?),
            3 => Value::Text(None),
            4 => Value::Text(Some(OsString::from_vec(from.text(TEXT)?))),
            5.. => return Err(Malformed),
        })
    }
}

/// An account.
pub(super) struct Person;

impl Person {
    /// How long it can be.
    pub(super) const MAX: usize = 3 * (2 + PATH) + 2 + 4 * GROUPS as usize + 8;
}

impl Kind for Person {
    type Value = Account;
    fn put(&self, account: &Account, out: &mut Encoder) {
        let (home, shell) = (account.home.as_os_str(), account.shell.as_os_str());
        for text in [account.name.as_os_str(), home, shell] {
            out.text(text.as_bytes());
        }
        let groups = account.groups.iter().map(|gid| gid.as_raw()).collect();
        // All of them: too many are refused.
        Many(u16::MAX, Int).put(&groups, out);
        out.int(account.uid.as_raw()).int(account.gid.as_raw());
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Account, Malformed> {
        let mut text = || from.text(PATH).map(OsString::from_vec);
        let (name, home, shell) = (text()?, text()?.into(), text()?.into());
        let groups = Many(GROUPS, Int).take(from)?.into_iter();
        Ok(Account {
            name,
            home,
            shell,
            groups: groups.map(Gid::from_raw).collect(),
            uid: Uid::from_raw(from.int()?),
            gid: Gid::from_raw(from.int()?),
        })
    }
}
