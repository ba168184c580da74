//! What a client's line is cut into, and arguments of PORT, EPRT, EPSV and the listings, each held against a second, simpler reading.

use crate::config::network::Networks;
use crate::ftp::line::{Command, LINE_MAX, LineBuffer};
use crate::ftp::listing::{Options, hidden, split_filter};
use crate::ftp::pattern::Pattern;
use crate::ftp::{address, reply};

/// Input in pieces, as the network cuts it: the lines are those of the whole.
pub fn line(data: &[u8]) {
    let Some((cuts, text)) = data.split_first_chunk::<2>() else {
        return;
    };
    let mut buffer = LineBuffer::new();
    let mut lines = Vec::new();
    let mut broken = false;
    let mut rest = text;
    let mut turn = 0_usize;
    'input: while !rest.is_empty() {
        let most = usize::from(cuts[turn % 2]).max(1);
        turn += 1;
        let space = buffer.space();
        assert!(!space.is_empty(), "no room, and no line");
        let count = most.min(space.len()).min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        buffer.filled(count);
        rest = &rest[count..];
        loop {
            match buffer.next_line() {
                Ok(Some(line)) => lines.push(line.bytes().to_vec()),
                Ok(None) => break,
                Err(_) => {
                    broken = true;
                    break 'input;
                }
            }
        }
    }
    let naive: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    for (at, line) in lines.iter().enumerate() {
        let raw = naive[at].strip_suffix(b"\n").unwrap();
        let end = raw
            .iter()
            .rposition(|byte| *byte != b'\r')
            .map_or(0, |last| last + 1);
        let expected: Vec<u8> = raw[..end]
            .iter()
            .map(|byte| if *byte == 0 { b'\n' } else { *byte })
            .collect();
        assert_eq!(*line, expected);
        if let Some(command) = Command::parse(line) {
            assert!(command.verb.len() + command.arg.len() <= line.len());
            assert!(!command.verb.iter().any(u8::is_ascii_lowercase));
            assert!(!command.verb.contains(&b' ') || command.verb == b" ");
            let _ = command.is_abor();
        } else {
            assert!(line.is_empty());
        }
    }
    if broken {
        assert!(naive[lines.len()].len() >= LINE_MAX);
    } else {
        let complete = naive.iter().filter(|line| line.ends_with(b"\n")).count();
        assert_eq!(lines.len(), complete);
        let last = naive.last().filter(|line| !line.ends_with(b"\n"));
        assert_eq!(buffer.rest(), last.copied().unwrap_or_default());
    }
}

/// PORT, EPRT, EPSV, and `pasv_address_by_network`: what was read is written back as an address that is read as the same.
pub fn address(data: &[u8]) {
    let Some((kind, arg)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => {
            if let Ok(to) = address::parse_port(arg) {
                let [a, b, c, d] = to.ip().octets();
                let again = format!("{a},{b},{c},{d},{},{}", to.port() >> 8, to.port() & 255);
                assert_eq!(address::parse_port(again.as_bytes()).ok(), Some(to));
                let text = address::format_227(*to.ip(), to.port());
                assert!(text.contains(&again), "{text}");
            }
        }
        1 => {
            for six in [false, true] {
                if let Ok(to) = address::parse_eprt(arg, six) {
                    let family = if to.is_ipv4() { 1 } else { 2 };
                    let again = format!("|{family}|{}|{}|", to.ip(), to.port());
                    assert_eq!(address::parse_eprt(again.as_bytes(), six).ok(), Some(to));
                }
            }
        }
        2 => {
            let _ = address::parse_epsv(arg);
        }
        _ => {
            if let Ok(networks) = Networks::parse(&String::from_utf8_lossy(arg)) {
                for ip in [
                    [10, 0, 0, 1],
                    [192, 168, 1, 2],
                    [0, 0, 0, 0],
                    [255, 255, 255, 255],
                ] {
                    let _ = networks.find(ip.into());
                }
            }
        }
    }
}

/// A listing's options and pattern against names: what has no braces means what a matcher of ten lines says it does.
pub fn listing(data: &[u8]) {
    let at = data
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(data.len());
    let (arg, rest) = data.split_at(at);
    let name = rest.strip_prefix(b"\n").unwrap_or(rest);
    let (options, path) = Options::parse(arg);
    assert!(path.len() <= arg.len());
    let _ = options.needs_stat();
    let (directory, filter) = split_filter(path);
    assert!(directory.len() + filter.len() <= path.len() + 1);
    for text in [filter, arg] {
        let pattern = Pattern::new(text);
        let found = pattern.matches(name, &mut 0);
        if !text.contains(&b'{') && !text.contains(&b'}') && text.len() * name.len() < 40_000 {
            assert_eq!(
                found,
                simple(text, name),
                "{} {}",
                text.escape_ascii(),
                name.escape_ascii()
            );
        }
        assert!(pattern.cost(name.len()) <= (text.len() * 8 + 16) * name.len().max(1));
        let _ = pattern.denies(name, Some(name));
        let _ = hidden(name, &pattern, b"/a");
        let _ = pattern.is_absolute();
    }
    let mut out = Vec::new();
    reply::line(&mut out, 257, &reply::quoted(name));
    let inner = out.strip_suffix(b"\r\n").unwrap();
    assert!(!inner.contains(&b'\n') && !inner.contains(&b'\r'));
}

/// `*` and `?` alone, with one place to go back to.
fn simple(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen, mut back) = (0, 0, None);
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                back = Some((at + 1, seen));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    (at, seen) = (star, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}
