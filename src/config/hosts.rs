//! The names under which one server is several (HOST, RFC 7151), each with settings of its own; used by every process.

use super::file::{Loaded, Mistake};
use super::options::{Config, Scope};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// More names than a server is reached by.
const MOST: usize = 1000;

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
    /// Reads the files of `host_config_dir` over these settings.
    ///
    /// # Errors
    /// Every mistake in one of them.
    pub(super) fn read(base: &Loaded) -> Result<Self, Vec<Mistake>> {
        let Some(directory) = base.config.host_config_dir.as_deref() else {
            return Ok(Self::default());
        };
        let wrong = |text: String| Mistake {
            origin: base.origin("host_config_dir").clone(),
            text,
        };
        let directory = Path::new(directory);
        let unreadable = |error: std::io::Error| {
            vec![wrong(format!(
                "cannot read host_config_dir {}: {error}",
                directory.display()
            ))]
        };
        let (mut found, mut mistakes) = (BTreeMap::new(), Vec::new());
        for entry in std::fs::read_dir(directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            let parsed = HostName::parse(name.as_bytes());
            let Some(host) = parsed.filter(|host| host.as_str().as_bytes() == name.as_bytes())
            else {
                let path = entry.path();
                mistakes.push(wrong(format!(
                    "{} has not the name of a host: letters are small, addresses of IPv6 short and in brackets; move it elsewhere",
                    path.display()
                )));
                continue;
            };
            if found.len() >= MOST {
                mistakes.push(wrong(format!("host_config_dir has more than {MOST} files")));
                break;
            }
            match settings(base, &entry.path()) {
                Ok(loaded) => {
                    found.insert(host, loaded);
                }
                Err(more) => mistakes.extend(more),
            }
        }
        if mistakes.is_empty() {
            Ok(Self(found))
        } else {
            mistakes.sort_by_key(ToString::to_string);
            Err(mistakes)
        }
    }

    /// The settings of a name.
    pub fn get(&self, name: &HostName) -> Option<&Loaded> {
        self.0.get(name)
    }

    /// All settings, by name.
    pub fn configs(&self) -> impl Iterator<Item = &Config> {
        self.0.values().map(|loaded| loaded.config.as_ref())
    }
}

fn settings(base: &Loaded, path: &Path) -> Result<Loaded, Vec<Mistake>> {
    let (mut loaded, without_effect) = base.overlay(path, Scope::PerHost)?;
    let mut mistakes = without_effect;
    // A certificate of its own has not the server's key.
    let alone = |certificate, key| {
        loaded.origin(certificate) != base.origin(certificate)
            && loaded.origin(key) == base.origin(key)
    };
    let rsa = alone("rsa_cert_file", "rsa_private_key_file");
    let dsa = alone("dsa_cert_file", "dsa_private_key_file");
    if rsa || dsa {
        let config = Arc::make_mut(&mut loaded.config);
        config.rsa_private_key_file = config.rsa_private_key_file.take().filter(|_| !rsa);
        config.dsa_private_key_file = config.dsa_private_key_file.take().filter(|_| !dsa);
    }
    if loaded.config.local_enable && !base.config.local_enable {
        // Without it the helper of a session has no right to check a password.
        mistakes.push(Mistake {
            origin: loaded.origin("local_enable").clone(),
            text: "local_enable=YES for a host needs local_enable=YES in the configuration; set NO for the other hosts".to_owned(),
        });
    }
    if mistakes.is_empty() {
        Ok(loaded)
    } else {
        Err(mistakes)
    }
}

impl Loaded {
    /// With the hosts that these settings name.
    ///
    /// # Errors
    /// Every mistake in one of their files.
    pub(super) fn with_hosts(mut self) -> (Self, Vec<Mistake>) {
        match Hosts::read(&self) {
            Ok(hosts) => {
                self.hosts = Arc::new(hosts);
                (self, Vec::new())
            }
            Err(mistakes) => (self, mistakes),
        }
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
