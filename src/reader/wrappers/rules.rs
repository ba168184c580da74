//! The rules of hosts.allow and hosts.deny as text: lines, fields, words and net masks (hosts_access(5)); reader.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether a line is sure to be what its author meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// It ends in a newline and is text.
    Yes,
    /// It is the file's last and has no newline, or it has a NUL byte: it may be half a line.
    No,
}

/// A logical line that is neither empty nor a comment.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The number of its first line in the file, from 1.
    pub number: usize,
    /// Its text, continuation lines joined.
    pub text: Cow<'a, [u8]>,
    /// Whether it is complete.
    pub whole: Whole,
}

/// The logical lines of a file, in order.
#[derive(Debug)]
pub struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    /// Reads a file's text; any bytes will do.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Self {
        Self {
            rest: text,
            number: 0,
        }
    }

    /// The next line of the file without its newline, and whether it had one.
    fn physical(&mut self) -> Option<(&'a [u8], Whole)> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let mut parts = self.rest.splitn(2, |byte| *byte == b'\n');
        let line = parts.next()?;
        let (rest, whole) = parts
            .next()
            .map_or((&[][..], Whole::No), |rest| (rest, Whole::Yes));
        self.rest = rest;
        Some((line, whole))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            let (first, mut whole) = self.physical()?;
            let number = self.number;
            let mut text = Cow::Borrowed(first);
            // Each line of the file says by its own end whether it goes on: an empty one behind two backslashes does not.
            let mut goes_on = first.ends_with(b"\\");
            while whole == Whole::Yes && goes_on {
                let (next, end) = self.physical().unwrap_or((&[], Whole::No));
                goes_on = next.ends_with(b"\\");
                let joined = text.to_mut();
                joined.pop();
                joined.extend_from_slice(next);
                whole = end;
            }
            // A comment goes on over continuation lines as everything else does.
            if text.first() == Some(&b'#') || text.trim_ascii().is_empty() {
                continue;
            }
            if text.contains(&0) {
                whole = Whole::No;
            }
            return Some(Line {
                number,
                text,
                whole,
            });
        }
    }
}

/// The fields of a rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// The daemon list.
    pub daemons: &'a [u8],
    /// The client list.
    pub clients: &'a [u8],
    /// What follows the second colon, if there is one.
    pub options: Option<&'a [u8]>,
}

/// Splits a line into fields; `None` when it has no colon and so is no rule.
#[must_use]
pub fn rule(line: &[u8]) -> Option<Rule<'_>> {
    let (daemons, rest) = field(line)?;
    let (clients, options) = field(rest).map_or((rest, None), |(list, rest)| (list, Some(rest)));
    Some(Rule {
        daemons,
        clients,
        options,
    })
}

/// Splits at the first colon that is not inside `[...]`, where IPv6 addresses have theirs.
fn field(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        match text.get(at)? {
            b':' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            b'[' => {
                // A bracket that is never closed protects nothing. It holds one word: no blank, no second bracket.
                let inside = text.get(at + 1..)?;
                let end = inside
                    .iter()
                    .position(|byte| matches!(byte, b'[' | b']') || is_separator(*byte));
                at += match end {
                    Some(length) if inside.get(length) == Some(&b']') => length + 2,
                    Some(_) | None => 1,
                };
            }
            _ => at += 1,
        }
    }
}

/// The words of a list: separated by blanks and commas.
pub fn words(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| is_separator(*byte))
        .filter(|word| !word.is_empty())
}

fn is_separator(byte: u8) -> bool {
    byte == b',' || is_blank(byte)
}

/// Whether a byte separates words wherever words are: also the carriage return of files from elsewhere.
#[must_use]
pub fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// Splits options at their colons; `\:` is a colon of the option itself.
#[must_use]
pub fn options(text: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut option = Vec::new();
    for byte in text {
        match byte {
            b':' if option.last() == Some(&b'\\') => {
                option.pop();
                option.push(b':');
            }
            b':' => found.push(std::mem::take(&mut option)),
            other => option.push(*other),
        }
    }
    found.push(option);
    found
}

/// Why a pattern with a mask can match nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadNet {
    /// It is not an address and a mask.
    Form,
    /// The address has bits the mask does not cover, so no address and mask give it.
    Surplus,
    /// 255.255.255.255, which hosts_access(5) excludes.
    Full,
}

/// A net of IPv4: `n.n.n.n/m.m.m.m` or `n.n.n.n/bits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net4 {
    net: u32,
    mask: u32,
}

impl Net4 {
    /// Reads one.
    ///
    /// # Errors
    /// It can match nothing.
    pub fn new(text: &str) -> Result<Self, BadNet> {
        let (net, mask) = text.split_once('/').ok_or(BadNet::Form)?;
        let net = u32::from(net.parse::<Ipv4Addr>().map_err(|_| BadNet::Form)?);
        let mask = match mask.parse::<Ipv4Addr>() {
            Ok(mask) if mask == Ipv4Addr::BROADCAST => return Err(BadNet::Full),
            Ok(mask) => u32::from(mask),
            Err(_) => match mask.parse::<u32>() {
                Ok(bits @ 0..=32) => u32::MAX.checked_shl(32 - bits).unwrap_or(0),
                Ok(_) | Err(_) => return Err(BadNet::Form),
            },
        };
        if net & !mask != 0 {
            return Err(BadNet::Surplus);
        }
        Ok(Self { net, mask })
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn has(self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask == self.net
    }
}

/// A net of IPv6: `[address]` or `[address]/bits`; bits of the address beyond the prefix do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net6 {
    net: u128,
    mask: u128,
}

impl Net6 {
    /// Reads one.
    ///
    /// # Errors
    /// It can match nothing.
    pub fn new(text: &str) -> Result<Self, BadNet> {
        let inner = text.strip_prefix('[').ok_or(BadNet::Form)?;
        let (net, rest) = inner.split_once(']').ok_or(BadNet::Form)?;
        // The interface of a link-local address does not count, as with libwrap.
        let (net, interface) = net
            .split_once('%')
            .map_or((net, None), |(net, name)| (net, Some(name)));
        let net = net.parse::<Ipv6Addr>().map_err(|_| BadNet::Form)?;
        if interface.is_some_and(|name| name.is_empty() || !net.is_unicast_link_local()) {
            return Err(BadNet::Form);
        }
        let net = u128::from(net);
        let bits = match rest.strip_prefix('/') {
            Some(bits) => bits.parse::<u32>().map_err(|_| BadNet::Form)?,
            None if rest.is_empty() => 128,
            None => return Err(BadNet::Form),
        };
        let unused = 128_u32.checked_sub(bits).ok_or(BadNet::Form)?;
        let mask = u128::MAX.checked_shl(unused).unwrap_or(0);
        Ok(Self {
            net: net & mask,
            mask,
        })
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn has(self, address: Ipv6Addr) -> bool {
        u128::from(address) & self.mask == self.net
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{BadNet, Line, Lines, Net4, Net6, Whole, options, rule, words};
    use proptest::prelude::*;
    use std::borrow::Cow;

    fn lines(text: &str) -> Vec<(usize, String, Whole)> {
        Lines::new(text.as_bytes())
            .map(|line| {
                let text = String::from_utf8(line.text.into_owned()).unwrap();
                (line.number, text, line.whole)
            })
            .collect()
    }

    fn fields(line: &str) -> Option<(&str, &str, Option<&str>)> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        let rule = rule(line.as_bytes())?;
        Some((
            text(rule.daemons),
            text(rule.clients),
            rule.options.map(text),
        ))
    }

    #[test]
    fn lines_are_joined_and_counted() {
        let yes = |number, text: &str| (number, text.to_owned(), Whole::Yes);
        assert_eq!(
            lines("# c\n\na: b\n \t\nc: d\\\ne\\\n f\ng: h\n"),
            [yes(3, "a: b"), yes(5, "c: de f"), yes(8, "g: h")]
        );
        // The backslash of a comment takes the next line with it, as it does in the original.
        assert_eq!(lines("# c\\\na: b\nc: d\n"), [yes(3, "c: d")]);
        // Only a backslash right before the newline counts.
        assert_eq!(lines("a: b\\ \nc\n"), [yes(1, "a: b\\ "), yes(2, "c")]);
        assert_eq!(
            lines(" # a: b\n"),
            [yes(1, " # a: b")],
            "only column one begins a comment"
        );
        assert_eq!(lines(""), []);
        assert_eq!(lines("\\\n\\\n"), []);
        assert_eq!(
            lines("a\\\\\n\nALL: ALL\n"),
            [yes(1, "a\\"), yes(3, "ALL: ALL")]
        );
    }

    #[test]
    fn half_lines_are_known() {
        let yes = |number, text: &str| (number, text.to_owned(), Whole::Yes);
        assert_eq!(
            lines("a: b\nc: d"),
            [yes(1, "a: b"), (2, "c: d".to_owned(), Whole::No)]
        );
        assert_eq!(lines("a: b\\\n"), [(1, "a: b".to_owned(), Whole::No)]);
        assert_eq!(lines("# a comment is no half rule"), []);
        let found: Vec<_> = Lines::new(b"a: b\0\n").collect();
        assert_eq!(
            found,
            [Line {
                number: 1,
                text: Cow::Borrowed(&b"a: b\0"[..]),
                whole: Whole::No
            }]
        );
    }

    #[test]
    fn fields_end_at_colons_outside_brackets() {
        assert_eq!(fields("a b"), None);
        assert_eq!(fields("a : b"), Some(("a ", " b", None)));
        assert_eq!(fields("a:b:c:d"), Some(("a", "b", Some("c:d"))));
        assert_eq!(fields("a:b:"), Some(("a", "b", Some(""))));
        assert_eq!(
            fields("a@[::1]: [::1]/64,[fe80::]/10 : deny"),
            Some(("a@[::1]", " [::1]/64,[fe80::]/10 ", Some(" deny")))
        );
        assert_eq!(fields("a: [b : deny"), Some(("a", " [b ", Some(" deny"))));
        assert_eq!(fields("a: b] : deny"), Some(("a", " b] ", Some(" deny"))));
        assert_eq!(
            fields("a: [b [::1]: x]"),
            Some(("a", " [b [::1]", Some(" x]")))
        );
        // A bracket holds one word, and only a closed one hides a colon.
        assert_eq!(fields("a: [b ::1]: x"), Some(("a", " [b ", Some(":1]: x"))));
        assert_eq!(fields("a: [x[::1]: d"), Some(("a", " [x[::1]", Some(" d"))));
        assert_eq!(fields("a: [: x]"), Some(("a", " [", Some(" x]"))));
        assert_eq!(fields("[]: b"), Some(("[]", " b", None)));
        assert_eq!(fields(":"), Some(("", "", None)));
    }

    #[test]
    fn words_and_options() {
        let found: Vec<_> = words(b",, a,b\tc \x0bd\r").collect();
        assert_eq!(found, [b"a", b"b", b"c", b"d"]);
        assert_eq!(
            options(b"setenv A b\\:c\\\\:d: deny"),
            [&b"setenv A b:c\\:d"[..], b" deny"]
        );
        assert_eq!(options(b""), [b""]);
        assert_eq!(options(b"a::"), [&b"a"[..], b"", b""]);
    }

    #[test]
    fn nets() {
        let has4 = |net: &str, ip: &str| Net4::new(net).unwrap().has(ip.parse().unwrap());
        // The man page's example.
        for (ip, inside) in [
            ("131.155.71.255", false),
            ("131.155.72.0", true),
            ("131.155.73.255", true),
            ("131.155.74.0", false),
        ] {
            assert_eq!(has4("131.155.72.0/255.255.254.0", ip), inside, "{ip}");
            assert_eq!(has4("131.155.72.0/23", ip), inside, "{ip}");
        }
        assert!(has4("0.0.0.0/0", "1.2.3.4") && has4("0.0.0.0/0.0.0.0", "1.2.3.4"));
        assert!(has4("1.2.3.4/32", "1.2.3.4") && !has4("1.2.3.4/32", "1.2.3.5"));
        assert!(has4("0.0.0.1/0.0.0.255", "9.9.9.1"));
        for bad in [
            "127/8",
            "127.0.0.0/",
            "127.0.0.0/33",
            "127.0.0.0/8/8",
            "/8",
            "x/8",
            "127.0.0.0/-1",
            "127.0.0.0/0377.0.0.0",
        ] {
            assert_eq!(Net4::new(bad), Err(BadNet::Form), "{bad}");
        }
        assert_eq!(Net4::new("127.0.0.1/8"), Err(BadNet::Surplus));
        assert_eq!(Net4::new("127.0.0.1/255.255.255.255"), Err(BadNet::Full));
        let has6 = |net: &str, ip: &str| Net6::new(net).unwrap().has(ip.parse().unwrap());
        assert!(has6(
            "[3ffe:505:2:1::]/64",
            "3ffe:505:2:1:ffff:ffff:ffff:ffff"
        ));
        assert!(!has6("[3ffe:505:2:1::]/64", "3ffe:505:2:2::"));
        assert!(has6("[::1]", "::1") && has6("[::1]/128", "::1") && !has6("[::1]", "::2"));
        assert!(has6("[::5]/0", "2001:db8::1") && has6("[2001:db8::1]/32", "2001:db8:9::"));
        assert!(has6("[fe80::1%eth0]", "fe80::1") && !has6("[fe80::1%eth0]", "fe80::2"));
        assert!(has6("[fe80::%eth0]/64", "fe80::2"));
        for bad in [
            "[::1]/129",
            "[::1]/x",
            "[::1]/",
            "[::1]x",
            "[::1",
            "[]",
            "[1.2.3.4]",
            "[::1%lo]",
            "[fe80::1%]",
            "[fe80::1]%lo",
        ] {
            assert_eq!(Net6::new(bad), Err(BadNet::Form), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(text: Vec<u8>) {
            for line in Lines::new(&text) {
                if let Some(rule) = rule(&line.text) {
                    let _ = words(rule.clients).count();
                    let _ = rule.options.map(options);
                }
            }
        }

        #[test]
        fn any_net(text: String) {
            let _ = (Net4::new(&text), Net6::new(&text));
        }
    }
}
