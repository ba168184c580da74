//! The names under which one server is several (HOST, RFC 7151), each with settings of its own; used by every process.

use super::loaded::Loaded;
use super::options::Config;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name (RFC 1035), and the longest of its parts.
const LONGEST: usize = 253;
const LABEL: usize = 63;

/// The name of a host as HOST takes it: a domain name in lower case, or an address; an IPv6 one in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostName(String);

impl HostName {
    /// Of what was written, in any case. Names in other scripts are written as A-labels (RFC 5890), which are plain ones; there is
    /// no port, and no final dot.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        if let Some(inner) = text.strip_prefix('[') {
            let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
            return Some(Self(format!("[{address}]")));
        }
        let domain = text.len() <= LONGEST && text.split('.').all(is_label);
        domain.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address that it is, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        let inner = self.0.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        match inner {
            Some(six) => six.parse().ok().map(IpAddr::V6),
            None => self.0.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    bytes.len() <= LABEL
        && bytes.iter().all(inner)
        && [bytes.first(), bytes.last()]
            .iter()
            .all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
}

/// The settings of each name.
#[derive(Debug, Clone, Default)]
pub struct Hosts(BTreeMap<HostName, Loaded>);

impl Hosts {
    /// More names than a server is reached by.
    pub const MOST: usize = 1000;

    /// The settings of a name.
    pub fn get(&self, name: &HostName) -> Option<&Loaded> {
        self.0.get(name)
    }

    /// These.
    pub fn of(all: Vec<(HostName, Loaded)>) -> Self {
        Self(all.into_iter().collect())
    }

    /// All names and their settings.
    pub fn all(&self) -> impl Iterator<Item = (&HostName, &Loaded)> {
        self.0.iter()
    }

    /// All settings, by name.
    pub fn configs(&self) -> impl Iterator<Item = &Config> {
        self.0.values().map(|loaded| loaded.config.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::HostName;

    #[test]
    fn names() {
        let shown = |text: &str| HostName::parse(text.as_bytes()).map(|name| name.0);
        for (text, name) in [
            ("FTP.Example.ORG", "ftp.example.org"),
            ("xn--e1afmkfd.com", "xn--e1afmkfd.com"),
            ("localhost", "localhost"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8:0::c000:201]", "[2001:db8::c000:201]"),
            ("[::1]", "[::1]"),
            ("3com.com", "3com.com"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(name));
        }
        let long = format!("{}.org", "a".repeat(64));
        let longer = format!("{}org", "abc.".repeat(63));
        for text in [
            "",
            ".",
            "..",
            "a.",
            ".a",
            "a..b",
            "a/b",
            "../etc",
            "-a",
            "a-",
            "a_b",
            "a b",
            "192.0.2.1:2112",
            "[2001:db8::1]:21",
            "[192.0.2.1]",
            "[::1",
            "::1",
            "[::1%lo]",
            "ä.de",
            "a\0b",
            &long,
            &longer,
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
