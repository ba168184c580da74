//! Whether the daemon list and the client list of a rule match (hosts_access(5), PATTERNS to OPERATORS); reader.

use super::hosts::{Host, Name, Resolver, is_numeric};
use super::rules::{BadNet, Net4, Net6, is_blank, words};
use super::{Query, Trouble};
use crate::sys::small;
use std::ffi::OsStr;
use std::io;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How many files of patterns one decision may read.
const FILES: u32 = 256;

/// How deep files of patterns may name each other.
const DEPTH: u32 = 4;

/// The longest pattern with wildcards: no name is longer.
const LONGEST: usize = 1024;

/// The most there is to say about one connection.
const NOTES: usize = 20;

/// The name of a user that nobody was asked for.
const NOBODY: &[u8] = b"unknown";

/// Both ends of the connection, and what came up while rules were held against them.
#[derive(Debug)]
pub struct Matcher<'a> {
    /// The program's name, which rules call it by.
    pub daemon: &'a str,
    /// The port the client reached.
    pub port: u16,
    /// The client.
    pub client: Host<'a>,
    /// The address the client reached.
    pub server: Host<'a>,
    /// `file:line` of the rule at hand.
    pub place: String,
    /// What the administrator should know.
    pub notes: Vec<String>,
    files: u32,
    depth: u32,
}

/// Which end a pattern is held against.
#[derive(Debug, Clone, Copy)]
enum End {
    Client,
    Server,
}

impl<'a> Matcher<'a> {
    /// Nothing has been looked at yet.
    #[must_use]
    pub fn new(query: &Query<'a>, resolver: &'a dyn Resolver) -> Self {
        Self {
            daemon: query.daemon,
            port: query.server.port(),
            client: Host::new(query.client.ip(), resolver),
            server: Host::new(query.server.ip(), resolver),
            place: String::new(),
            notes: Vec::new(),
            files: FILES,
            depth: DEPTH,
        }
    }

    /// A table, or a file of patterns.
    ///
    /// # Errors
    /// It cannot be opened or read.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        small::read(self.client.open(path)?)
    }

    /// Says something about the rule at hand.
    pub fn note(&mut self, text: &str) {
        if self.notes.len() < NOTES {
            self.notes.push(format!("{}: {text}", self.place));
        }
    }

    /// Whether a daemon list names this program.
    ///
    /// # Errors
    /// A file it needs cannot be read.
    pub fn daemons(&mut self, list: &[u8]) -> Result<bool, Trouble> {
        self.list(list, Self::daemon)
    }

    /// Whether a client list names this client.
    ///
    /// # Errors
    /// A file it needs cannot be read.
    pub fn clients(&mut self, list: &[u8]) -> Result<bool, Trouble> {
        self.list(list, Self::user_at_host)
    }

    /// A list and its exceptions: `a EXCEPT b EXCEPT c` is `a EXCEPT (b EXCEPT c)`. So it matches if the first part that does
    /// not match is the second, the fourth, and so on; parts after it are not looked at.
    fn list(
        &mut self,
        list: &[u8],
        one: fn(&mut Self, &[u8]) -> Result<bool, Trouble>,
    ) -> Result<bool, Trouble> {
        let mut matched = false;
        let mut found = false;
        for word in words(list) {
            if word.eq_ignore_ascii_case(b"EXCEPT") {
                if !found {
                    return Ok(matched);
                }
                matched = !matched;
                found = false;
            } else if !found {
                found = one(self, word)?;
            }
        }
        Ok(if found { !matched } else { matched })
    }

    fn daemon(&mut self, word: &[u8]) -> Result<bool, Trouble> {
        let Some((name, host)) = at(word) else {
            return Ok(self.is_daemon(word));
        };
        Ok(self.is_daemon(name) && self.host(host, End::Server)?)
    }

    fn is_daemon(&self, word: &[u8]) -> bool {
        let port = std::str::from_utf8(word)
            .ok()
            .and_then(|text| text.parse::<u16>().ok());
        word.eq_ignore_ascii_case(b"ALL")
            || word.eq_ignore_ascii_case(b"KNOWN")
            || port == Some(self.port)
            || alike(word, self.daemon.as_bytes())
    }

    fn user_at_host(&mut self, word: &[u8]) -> Result<bool, Trouble> {
        let Some((user, host)) = at(word) else {
            return self.host(word, End::Client);
        };
        if !self.host(host, End::Client)? {
            return Ok(false);
        }
        if user.eq_ignore_ascii_case(b"ALL") || alike(user, NOBODY) {
            return Ok(true);
        }
        self.note(&format!(
            "{} never matches: clients are not asked for user names (RFC 1413); write the host alone, or ALL@host",
            shown(word)
        ));
        Ok(false)
    }

    fn end(&self, end: End) -> &Host<'a> {
        match end {
            End::Client => &self.client,
            End::Server => &self.server,
        }
    }

    fn host(&mut self, word: &[u8], end: End) -> Result<bool, Trouble> {
        match word.first() {
            Some(b'/') => return self.file(word, end),
            Some(b'@') => {
                self.note(&format!(
                    "{} never matches: netgroups are not supported; list the hosts or their nets",
                    shown(word)
                ));
                return Ok(false);
            }
            _ => {}
        }
        if word.first() == Some(&b'[') || word.contains(&b'/') {
            return Ok(self.net(word, end));
        }
        if is_wild(word) {
            return Ok(self.wild(word, end));
        }
        let host = self.end(end);
        let keyword = |text: &[u8]| word.eq_ignore_ascii_case(text);
        Ok(if keyword(b"ALL") {
            true
        } else if keyword(b"LOCAL") {
            host.known().is_some_and(|name| !name.contains('.'))
        } else if keyword(b"KNOWN") {
            host.known().is_some()
        } else if keyword(b"UNKNOWN") {
            *host.name() == Name::Unknown
        } else if keyword(b"PARANOID") {
            *host.name() == Name::Mismatch
        } else {
            self.literal(word, end)
        })
    }

    /// A name or an address, or an end of one.
    fn literal(&mut self, word: &[u8], end: End) -> bool {
        let host = self.end(end);
        let text = host.text().as_bytes();
        if let Some(address) = std::str::from_utf8(word)
            .ok()
            .and_then(|word| word.parse::<IpAddr>().ok())
        {
            return address.to_canonical() == host.address();
        }
        let numeric = is_numeric(word);
        match (word.first(), word.last()) {
            (Some(b'.'), _) if numeric => text.ends_with(word),
            (Some(b'.'), _) => host.known().is_some_and(|name| ends_with(name, word)),
            (_, Some(b'.')) if numeric => text.starts_with(word),
            (_, Some(b'.')) => {
                self.note(&format!(
                    "{} never matches: only addresses are matched by their beginning",
                    shown(word)
                ));
                false
            }
            _ if numeric => {
                self.note(&format!(
                    "{} never matches: it is no whole address, and a net of IPv4 ends in a dot",
                    shown(word)
                ));
                false
            }
            _ => host
                .known()
                .is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(word)),
        }
    }

    fn net(&mut self, word: &[u8], end: End) -> bool {
        let text = std::str::from_utf8(word).unwrap_or_default();
        let address = self.end(end).address();
        let found = if text.starts_with('[') {
            Net6::new(text).map(|net| matches!(address, IpAddr::V6(ip) if net.has(ip)))
        } else {
            Net4::new(text).map(|net| matches!(address, IpAddr::V4(ip) if net.has(ip)))
        };
        let why = match found {
            Ok(found) => return found,
            Err(BadNet::Form) => {
                "it is none of n.n.n.n/m.m.m.m, n.n.n.n/bits, [IPv6] and [IPv6]/bits"
            }
            Err(BadNet::Surplus) => {
                "its address has bits outside its mask; write the first address of the net"
            }
            Err(BadNet::Full) => {
                "255.255.255.255 is no mask (hosts_access(5)); write the address alone"
            }
        };
        self.note(&format!("{} never matches: {why}", shown(word)));
        false
    }

    fn wild(&mut self, word: &[u8], end: End) -> bool {
        if word.first() == Some(&b'.') || word.last() == Some(&b'.') || word.len() > LONGEST {
            self.note(&format!(
                "{} never matches: * and ? do not go with a dot at either end (hosts_access(5))",
                shown(word)
            ));
            return false;
        }
        let host = self.end(end);
        if glob(word, host.text().as_bytes()) {
            return true;
        }
        // A pattern of addresses is not for names: 192.168.* must not let in 192.168.evil.example.
        let of_addresses = word.iter().any(u8::is_ascii_digit)
            && word
                .iter()
                .all(|byte| byte.is_ascii_digit() || b".*?".contains(byte));
        !of_addresses && host.known().is_some_and(|name| glob(word, name.as_bytes()))
    }

    /// A file of patterns, separated by blanks.
    fn file(&mut self, word: &[u8], end: End) -> Result<bool, Trouble> {
        let path = Path::new(OsStr::from_bytes(word));
        let left = (self.files.checked_sub(1), self.depth.checked_sub(1));
        let (Some(files), Some(depth)) = left else {
            return Err(Trouble(format!(
                "{} is not read: it is the {FILES}th file, or files name each other more than {DEPTH} deep",
                shown(word)
            )));
        };
        let text = match self.read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.note(&format!(
                    "{} never matches: there is no such file",
                    shown(word)
                ));
                return Ok(false);
            }
            Err(error) => return Err(Trouble(format!("{} cannot be read: {error}", shown(word)))),
        };
        self.files = files;
        let outer = std::mem::replace(&mut self.depth, depth);
        let found = self.hosts(&text, end);
        self.depth = outer;
        found
    }

    fn hosts(&mut self, text: &[u8], end: End) -> Result<bool, Trouble> {
        let words = text
            .split(|byte| is_blank(*byte))
            .map(|word| word.strip_suffix(b",").unwrap_or(word));
        for word in words.filter(|word| !word.is_empty()) {
            if self.host(word, end)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Splits `daemon@host` and `user@host`; neither part may be empty.
fn at(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let place = word.iter().position(|byte| *byte == b'@')?;
    let (name, host) = (word.get(..place)?, word.get(place + 1..)?);
    (!name.is_empty() && !host.is_empty()).then_some((name, host))
}

/// A word against a plain text, wildcards included.
fn alike(word: &[u8], text: &[u8]) -> bool {
    word.eq_ignore_ascii_case(text) || (is_wild(word) && word.len() <= LONGEST && glob(word, text))
}

fn is_wild(word: &[u8]) -> bool {
    word.iter().any(|byte| matches!(byte, b'*' | b'?'))
}

fn ends_with(name: &str, end: &[u8]) -> bool {
    let name = name.as_bytes();
    name.len()
        .checked_sub(end.len())
        .and_then(|at| name.get(at..))
        .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

/// `*` is any run of bytes, `?` any one; only the latest `*` is ever tried again, for an earlier one could gain nothing more.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut state, mut place) = (0_usize, 0_usize);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(state), text.get(place)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                retry = Some((state + 1, place));
                state += 1;
                continue;
            }
            (Some(b'?'), Some(_)) => true,
            (Some(want), Some(byte)) => want.eq_ignore_ascii_case(byte),
            (Some(_), None) | (None, Some(_)) => false,
        };
        if step {
            state += 1;
            place += 1;
            continue;
        }
        match retry {
            Some((again, from)) if from < text.len() => {
                retry = Some((again, from + 1));
                (state, place) = (again, from + 1);
            }
            Some(_) | None => return false,
        }
    }
}

/// A word of a file as it may stand in a log: not too long. Control characters are the log's business.
#[must_use]
pub fn shown(word: &[u8]) -> String {
    const MOST: usize = 80;
    match word.get(..MOST) {
        Some(begin) => format!("{}...", String::from_utf8_lossy(begin)),
        None => String::from_utf8_lossy(word).into_owned(),
    }
}
