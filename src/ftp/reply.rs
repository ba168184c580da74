//! Replies: `NNN text` lines made so that no byte of a name can end or begin one; runs in greeter and worker.

use super::number;

/// Telnet's IAC, which is sent doubled (RFC 854; reference §3.1).
const IAC: u8 = 0xff;

/// Appends `NNN text` CR LF.
pub fn line(out: &mut Vec<u8>, code: u16, text: &[u8]) {
    head(out, code, b' ');
    raw(out, text);
}

/// Appends `NNN-text` CR LF, the first line of a longer reply or one line of a message.
pub fn dash(out: &mut Vec<u8>, code: u16, text: &[u8]) {
    head(out, code, b'-');
    raw(out, text);
}

/// Appends `text` CR LF without a code: a line inside a longer reply. The caller's text must begin with a space (RFC 959 §4.2).
pub fn raw(out: &mut Vec<u8>, text: &[u8]) {
    escape(out, text);
    out.extend_from_slice(b"\r\n");
}

/// A path in double quotes, quotes within it doubled (RFC 959 appendix II).
#[must_use]
pub fn quoted(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len() + 2);
    out.push(b'"');
    for byte in path {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
    out
}

/// The lines of a message or banner, without their ends; an empty file has none, and an empty line is one.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').map(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    })
}

fn head(out: &mut Vec<u8>, code: u16, mark: u8) {
    number::right(out, u64::from(code), 3, b'0');
    out.push(mark);
}

/// 0xFF doubled; LF sent as NUL as the original does. CR, which the original lets through, is sent as NUL too: clients exist
/// that end a line at a bare CR, and would take the rest of a name for a reply.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    for byte in text {
        match *byte {
            IAC => out.extend_from_slice(&[IAC, IAC]),
            b'\n' | b'\r' => out.push(0),
            plain => out.push(plain),
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        let mut out = Vec::new();
        dash(&mut out, 211, b"Features:");
        raw(&mut out, b" SIZE");
        line(&mut out, 211, b"End");
        assert_eq!(out, b"211-Features:\r\n SIZE\r\n211 End\r\n");
    }

    /// attacks B-067.
    #[test]
    fn a_hostile_directory_in_pwd() {
        // Seen from the original for a directory `e FF g LF h CR i " q`: "257 "/e\xff\xffg\0h\ri""q" ...", the CR bare.
        let mut out = Vec::new();
        let mut text = quoted(b"/e\xffg\nh\ri\"q");
        text.extend(b" is the current directory");
        line(&mut out, 257, &text);
        assert_eq!(
            out,
            b"257 \"/e\xff\xffg\0h\0i\"\"q\" is the current directory\r\n"
        );
    }

    proptest! {
        /// attacks B-067.
        #[test]
        fn one_line_stays_one_line(text: Vec<u8>) {
            let mut out = Vec::new();
            line(&mut out, 200, &text);
            let inner = &out[..out.len() - 2];
            prop_assert!(out.ends_with(b"\r\n") && !inner.contains(&b'\n') && !inner.contains(&b'\r'));
        }
    }
}
