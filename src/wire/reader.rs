//! What the reader asks for and reports, and the keyholder until it serves: values that are typed already, and sentences for people; held by
//! master, helper, the reader and the keyholder.

use super::codec::{Decoder, Encoder, Malformed};
use super::kinds::{
    self, Among, Byte, Flag, Id, Int, Kind, Long, Many, Maybe, Os, Short, Text, Words, fields,
    messages,
};
use crate::config::value::Value;
use crate::config::{How, Origin};
use crate::sys::account::Account;
use nix::unistd::{Gid, Uid};
use std::ffi::OsString;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest path: the kernel opens no longer one.
pub const PATH: usize = 4096;
/// The longest text; a longer sentence is cut.
pub const TEXT: usize = 60_000;

/// More suites than there are.
const SUITES: u16 = 64;

/// The longest certificate, in DER.
const CERTIFICATE: usize = 32 * 1024;
/// More schemes than any key has.
const SCHEMES: u16 = 16;

/// More steps than the kernel takes (`BPF_MAXINSNS` of linux/bpf_common.h).
const STEPS: u16 = 4096;

/// Linux allows a process 65536 groups; an account with more than this is refused rather than cut.
const GROUPS: u16 = 8192;

/// A certificate with its chain, and what its key can sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate's file.
    pub certificate: OsString,
    /// The key's.
    pub key: OsString,
    /// The schemes of the key as TLS numbers them, the best first.
    pub schemes: Vec<u16>,
    /// The server's certificate and those above it, in DER.
    pub chain: Vec<Vec<u8>>,
}

/// What clients' certificates may be held against, of one certificate in `ca_certs_file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Its name.
    pub name: Vec<u8>,
    /// Its key.
    pub key: Vec<u8>,
    /// Which names it may vouch for, if that is limited.
    pub limits: Option<Vec<u8>>,
}

/// A host name in `pasv_address` and what it was replaced by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passive {
    /// The name whose address it is.
    pub name: OsString,
    /// The address.
    pub address: OsString,
    /// The name that stands in the settings, if it is this address that replaces it.
    pub stands: Option<OsString>,
}

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
    Passive(Passive),
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
    /// All files are there that are needed: none is opened for this process any more. It has read none.
    Provided,
    /// A key of the keyholder's; its certificates follow.
    Key {
        /// The file of its certificate.
        certificate: OsString,
        /// Its own.
        key: OsString,
        /// Its schemes.
        schemes: Vec<u16>,
    },
    /// A certificate of the key before, the server's own first.
    Certificate(Vec<u8>),
    /// One of the authorities.
    Authority(Authority),
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

messages! { FromReader, 3 * CERTIFICATE + 8;
    1 Open { path: Words(PATH), how: Among(PhantomData) };
    2 Account { number: Byte, account: Person };
    3 Host(Text(PATH));
    4 Set { row: Short, value: Among(PhantomData), origin: Among(PhantomData) };
    5 Mistake(Words(TEXT));
    6 Remark(Words(TEXT));
    7 Done(Flag);
    8 File(Text(PATH));
    10 Suites(Many(SUITES, Short));
    11 Program { place: Short, words: Many(STEPS, Long) };
    9 Passive(Facts);
    12 Provided;
    13 Key { certificate: Os(PATH), key: Os(PATH), schemes: Many(SCHEMES, Short) };
    14 Certificate(Text(CERTIFICATE));
    15 Authority(Anchor);
}

messages! { ToReader, 6;
    1 Opened(kinds::File);
    2 Failed(Int);
}

messages! { How, 1;
    0 File;
    1 Directory;
    2 Entry;
}

messages! { Origin, PATH + 7;
    0 Default;
    1 Setting;
    2 Line { file: Shared, line: Int };
}

messages! { Value, TEXT + 4;
    0 Flag(kinds::Flag);
    1 Number(Int);
    2 Octal(Int);
    3 Text(Maybe(Os(TEXT)));
}

/// A path that many values may share.
struct Shared;

impl Kind for Shared {
    type Value = Arc<Path>;
    fn put<'a>(&self, file: &'a Arc<Path>, out: &mut Encoder<'a>) {
        let file = file.as_os_str().as_bytes();
        out.text(file.get(..PATH).unwrap_or(file));
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Arc<Path>, Malformed> {
        Ok(PathBuf::from(Os(PATH).take(from)?).into())
    }
}

const USER: Id<Uid> = Id(Uid::from_raw, Uid::as_raw);
const GROUP: Id<Gid> = Id(Gid::from_raw, Gid::as_raw);

fields! {
    /// An account. One with too many groups is refused.
    Person Account { name: Os(PATH), uid: USER, gid: GROUP, home: Os(PATH), shell: Os(PATH), groups: Many(GROUPS, GROUP) }
    /// An address and its name.
    Facts Passive { name: Os(PATH), address: Os(PATH), stands: Maybe(Os(PATH)) }
    /// An authority.
    Anchor Authority { name: Text(CERTIFICATE), key: Text(CERTIFICATE), limits: Maybe(Text(CERTIFICATE)) }
}

impl Person {
    /// How long it can be.
    pub(super) const MAX: usize = 3 * (2 + PATH) + 2 + 4 * GROUPS as usize + 8;
}
