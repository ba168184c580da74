//! One end of the connection: its address, and its name when a pattern asks for it, believed only after a second look-up; reader.

use crate::config::{How, Own, View};
use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

/// The host, or a test's own.
pub trait Resolver {
    /// The name of an address, whoever gave it.
    fn name(&self, address: IpAddr) -> Option<String>;
    /// All addresses of a name.
    fn addresses(&self, name: &str) -> Vec<IpAddr>;
    /// Opens a table, or a file of patterns.
    fn open(&self, path: &Path) -> io::Result<OwnedFd> {
        Own.open(path, How::File)
    }
}

/// What is known of a host's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// The name, which has the address it was asked for.
    Known(String),
    /// There is none, or the name service did not answer.
    Unknown,
    /// There is one that does not have this address: a lie, or a mistake in somebody's zone (PARANOID).
    Mismatch,
}

/// A host.
pub struct Host<'a> {
    address: IpAddr,
    text: String,
    name: OnceCell<Name>,
    resolver: &'a dyn Resolver,
}

impl fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.text, self.name.get())
    }
}

impl<'a> Host<'a> {
    /// A host by its address. Nothing is looked up yet.
    #[must_use]
    pub fn new(address: IpAddr, resolver: &'a dyn Resolver) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            text: address.to_string(),
            name: OnceCell::new(),
            resolver,
        }
    }

    /// Opens a file of patterns.
    pub fn open(&self, path: &Path) -> io::Result<OwnedFd> {
        self.resolver.open(path)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Its address as text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its name; looked up once, forth and back.
    pub fn name(&self) -> &Name {
        self.name.get_or_init(|| {
            let Some(name) = self.resolver.name(self.address) else {
                return Name::Unknown;
            };
            // A name that reads as an address would pass for that address.
            if name.parse::<IpAddr>().is_ok() || is_numeric(name.as_bytes()) {
                return Name::Mismatch;
            }
            let mut found = self.resolver.addresses(&name).into_iter();
            if found.any(|address| address.to_canonical() == self.address) {
                Name::Known(name)
            } else {
                Name::Mismatch
            }
        })
    }

    /// Its name, if it is known.
    pub fn known(&self) -> Option<&str> {
        match self.name() {
            Name::Known(name) => Some(name),
            Name::Unknown | Name::Mismatch => None,
        }
    }
}

/// Whether a text has only what addresses of IPv4 have.
#[must_use]
pub fn is_numeric(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| byte.is_ascii_digit() || *byte == b'.')
}
