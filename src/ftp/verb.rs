//! The small arguments: REST, TYPE, and the octal modes of SITE CHMOD and SITE UMASK; runs in worker.

use super::number;

/// The argument is not what the verb takes; the reply is the verb's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bad;

/// How bytes are represented on the data connection (RFC 959 §3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `A`, `A N`.
    Ascii,
    /// `I`, `L8`, `L 8`.
    Binary,
}

/// Reads the argument of REST: 1 to 15 digits. The original takes anything else for 0 and says 350, after which an upload
/// overwrites the beginning of the file.
///
/// # Errors
/// [`Bad`]: 501.
pub fn parse_rest(arg: &[u8]) -> Result<u64, Bad> {
    number::parse(arg, 15).ok_or(Bad)
}

/// Reads the argument of TYPE.
///
/// # Errors
/// [`Bad`]: 500, as the original says.
pub fn parse_type(arg: &[u8]) -> Result<Type, Bad> {
    match arg.to_ascii_uppercase().as_slice() {
        b"A" | b"A N" => Ok(Type::Ascii),
        b"I" | b"L8" | b"L 8" => Ok(Type::Binary),
        _ => Err(Bad),
    }
}

/// Reads a mode of 1 to 4 octal digits and keeps its permission bits (0777): nobody sets setuid over FTP.
///
/// # Errors
/// [`Bad`] for everything else; the original stops at the first other byte, so that `u+x` means 000.
pub fn parse_mode(arg: &[u8]) -> Result<u32, Bad> {
    if arg.is_empty() || arg.len() > 4 {
        return Err(Bad);
    }
    let mode = arg.iter().try_fold(0_u32, |sum, byte| match byte {
        b'0'..=b'7' => Some(sum * 8 + u32::from(*byte - b'0')),
        _ => None,
    });
    mode.map(|mode| mode & 0o777).ok_or(Bad)
}

/// A mode as the replies to SITE UMASK show it: octal with one leading 0, and `0` for none.
#[must_use]
pub fn format_mode(mode: u32) -> String {
    if mode == 0 {
        String::from("0")
    } else {
        format!("0{mode:o}")
    }
}

/// Splits `CHMOD 644 file` and its like at the first space: the word in upper case, and the rest.
#[must_use]
pub fn split_word(arg: &[u8]) -> (Vec<u8>, &[u8]) {
    let (word, rest) = split_raw(arg);
    (word.to_ascii_uppercase(), rest)
}

/// Splits at the first space, which belongs to neither part.
#[must_use]
pub fn split_raw(arg: &[u8]) -> (&[u8], &[u8]) {
    let at = arg
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(arg.len());
    let (word, rest) = arg.split_at_checked(at).unwrap_or((arg, b""));
    (word, rest.strip_prefix(b" ").unwrap_or(rest))
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

    #[test]
    fn rest() {
        assert_eq!(parse_rest(b"05"), Ok(5));
        assert_eq!(parse_rest(b"999999999999999"), Ok(999_999_999_999_999));
        for bad in [
            &b""[..],
            b"1000000000000000",
            b"-5",
            b"+5",
            b"5x",
            b" 5",
            b"5 ",
            b"x",
        ] {
            assert_eq!(parse_rest(bad), Err(Bad), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn types() {
        for arg in [&b"A"[..], b"a", b"A N", b"a n"] {
            assert_eq!(parse_type(arg), Ok(Type::Ascii));
        }
        for arg in [&b"I"[..], b"i", b"L8", b"l8", b"L 8"] {
            assert_eq!(parse_type(arg), Ok(Type::Binary));
        }
        for arg in [&b""[..], b"A T", b"L", b"L 7", b"E", b"A  N", b"I "] {
            assert_eq!(parse_type(arg), Err(Bad));
        }
    }

    #[test]
    fn modes() {
        assert_eq!(parse_mode(b"0644"), Ok(0o644));
        assert_eq!(parse_mode(b"4755"), Ok(0o755));
        assert_eq!(parse_mode(b"7777"), Ok(0o777));
        assert_eq!(parse_mode(b"0"), Ok(0));
        for bad in [&b""[..], b"8", b"u+x", b"0x1", b"07777", b"-1", b"64 "] {
            assert_eq!(parse_mode(bad), Err(Bad));
        }
        assert_eq!(
            (format_mode(0o77), format_mode(0), format_mode(0o777)),
            ("077".into(), "0".into(), "0777".into())
        );
    }

    #[test]
    fn words() {
        assert_eq!(
            split_word(b"chmod 644 a b"),
            (b"CHMOD".to_vec(), &b"644 a b"[..])
        );
        assert_eq!(split_raw(b"644 a b"), (&b"644"[..], &b"a b"[..]));
        assert_eq!(split_word(b"HELP"), (b"HELP".to_vec(), &b""[..]));
        assert_eq!(split_word(b" CHMOD"), (vec![], &b"CHMOD"[..]));
    }
}
