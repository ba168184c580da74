//! How each kind of value is read from and written to vsftpd.conf (reference §2.3); runs in the reader, without rights.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::loaded::escaped;
use super::value::{Kind, MODE, Value};

/// The largest octal value: a fourth digit names set-id bits, which are never set.
const LARGEST_MODE: u32 = 0o7777;

/// Bytes for a message: control characters escaped, the rest as it is, cut if very long.
pub fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut short: String = escaped(&text).take(200).collect();
    if text.chars().nth(200).is_some() {
        short.push_str("...");
    }
    short
}

/// A path likewise.
pub fn shown_path(path: &Path) -> String {
    shown(path.as_os_str().as_encoded_bytes())
}

/// Why a value was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing stands behind the `=`.
    Missing,
    /// Neither YES nor NO in any spelling.
    Flag,
    /// Not a number, for this reason.
    Number(&'static str),
    /// Outside the range.
    Range {
        /// The smallest value.
        least: u32,
        /// The largest value.
        most: u32,
    },
    /// More than four octal digits, or more than 0777 in decimal; set if the value was written without the leading 0 that makes it octal.
    Mode {
        /// Whether it was read as decimal.
        decimal: bool,
    },
}

impl Kind {
    /// Reads a value, without blanks around it. Takes all the original takes (reference §2.3), and besides booleans in any case and
    /// as on and off; numbers that the original would silently misread are mistakes.
    pub fn parse(self, text: &[u8]) -> Result<Value, Wrong> {
        match self {
            Self::Text if text.is_empty() => Ok(Value::Text(None)),
            Self::Text => Ok(Value::Text(Some(OsString::from_vec(text.to_vec())))),
            Self::Flag | Self::Number { .. } | Self::Octal if text.is_empty() => {
                Err(Wrong::Missing)
            }
            Self::Flag => flag(text).map(Value::Flag),
            Self::Number { least, most } => {
                let number = number(text)?;
                let inside = u64::from(least) <= number && number <= u64::from(most);
                let number = u32::try_from(number).ok().filter(|_| inside);
                number
                    .map(Value::Number)
                    .ok_or(Wrong::Range { least, most })
            }
            Self::Octal => {
                let decimal = !text.starts_with(b"0");
                // Decimal by mistake: 777 would be 01411.
                let most = if decimal { MODE } else { LARGEST_MODE };
                let mode = u32::try_from(number(text)?)
                    .ok()
                    .filter(|mode| *mode <= most);
                mode.map(|mode| Value::Octal(mode & MODE))
                    .ok_or(Wrong::Mode { decimal })
            }
        }
    }
}

impl Value {
    /// The value as it is written in vsftpd.conf; [`Kind::parse`] reads it back.
    pub fn printed(&self) -> Vec<u8> {
        match self {
            Self::Flag(true) => b"YES".to_vec(),
            Self::Flag(false) => b"NO".to_vec(),
            Self::Number(number) => number.to_string().into_bytes(),
            Self::Octal(0) => b"0".to_vec(),
            Self::Octal(mode) => format!("0{mode:03o}").into_bytes(),
            Self::Text(None) => Vec::new(),
            Self::Text(Some(text)) => text.as_bytes().to_vec(),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => out.write_str("missing value"),
            Self::Flag => out.write_str("expected YES or NO"),
            Self::Number(why) => out.write_str(why),
            Self::Range { least, most } => write!(out, "out of range {least} to {most}"),
            Self::Mode { decimal: false } => out.write_str("more than 07777"),
            Self::Mode { decimal: true } => {
                out.write_str("more than 0777; octal is written with a leading 0")
            }
        }
    }
}

fn flag(text: &[u8]) -> Result<bool, Wrong> {
    match text.to_ascii_uppercase().as_slice() {
        b"YES" | b"TRUE" | b"1" | b"ON" => Ok(true),
        b"NO" | b"FALSE" | b"0" | b"OFF" => Ok(false),
        _ => Err(Wrong::Flag),
    }
}

/// A number as the original writes them: octal with a leading 0, otherwise decimal, with or without a plus sign.
fn number(text: &[u8]) -> Result<u64, Wrong> {
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    let (text, radix) = match text {
        [b'-', rest @ ..] if !rest.is_empty() && digits(rest) => {
            return Err(Wrong::Number("numbers cannot be negative"));
        }
        [b'0', b'x' | b'X', ..] => {
            return Err(Wrong::Number("hexadecimal numbers are not understood"));
        }
        [b'0', rest @ ..] if digits(rest) && rest.iter().any(|digit| *digit > b'7') => {
            return Err(Wrong::Number(
                "a leading 0 means octal, which has no 8 or 9; leave the 0 out for a decimal number",
            ));
        }
        [b'0', _, ..] => (text, 8),
        [b'+', rest @ ..] => (rest, 10),
        _ => (text, 10),
    };
    if text.is_empty() || !digits(text) {
        return Err(Wrong::Number("not a number"));
    }
    // Digits only, so what does not fit is too large for every range.
    let text = str::from_utf8(text).map_err(|_| Wrong::Number("not a number"))?;
    Ok(u64::from_str_radix(text, radix).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;

    const ANY: Kind = Kind::Number {
        least: 0,
        most: u32::MAX,
    };

    #[test]
    fn flags() {
        for yes in ["YES", "yes", "Yes", "TRUE", "true", "1", "on"] {
            assert_eq!(
                Kind::Flag.parse(yes.as_bytes()),
                Ok(Value::Flag(true)),
                "{yes}"
            );
        }
        for no in ["NO", "no", "FALSE", "0", "Off"] {
            assert_eq!(
                Kind::Flag.parse(no.as_bytes()),
                Ok(Value::Flag(false)),
                "{no}"
            );
        }
        for bad in ["Y", "2", "YES # yes", "ja"] {
            assert_eq!(Kind::Flag.parse(bad.as_bytes()), Err(Wrong::Flag), "{bad}");
        }
        assert_eq!(Kind::Flag.parse(b""), Err(Wrong::Missing));
    }

    #[test]
    fn numbers() {
        for (text, number) in [
            ("0", 0),
            ("21", 21),
            ("+5", 5),
            ("021", 17),
            ("00", 0),
            ("4294967295", u32::MAX),
        ] {
            assert_eq!(
                ANY.parse(text.as_bytes()),
                Ok(Value::Number(number)),
                "{text}"
            );
        }
        for bad in [
            "0x10", "09", "-1", "x", "5x", "1 2", "+", "-", "07z", "+-3", "1.5",
        ] {
            assert!(
                matches!(ANY.parse(bad.as_bytes()), Err(Wrong::Number(_))),
                "{bad}"
            );
        }
        for large in [
            "4294967296",
            "99999999999999999999999999",
            "0777777777777777777777777777",
        ] {
            assert!(
                matches!(ANY.parse(large.as_bytes()), Err(Wrong::Range { .. })),
                "{large}"
            );
        }
        let port = Kind::Number {
            least: 1,
            most: 65535,
        };
        assert_eq!(
            port.parse(b"65536"),
            Err(Wrong::Range {
                least: 1,
                most: 65535
            })
        );
        assert_eq!(
            port.parse(b"0"),
            Err(Wrong::Range {
                least: 1,
                most: 65535
            })
        );
    }

    #[test]
    fn modes() {
        for (text, mode) in [
            ("022", 0o22),
            ("0777", 0o777),
            ("22", 0o26),
            ("0022", 0o22),
            ("0", 0),
        ] {
            assert_eq!(
                Kind::Octal.parse(text.as_bytes()),
                Ok(Value::Octal(mode)),
                "{text}"
            );
        }
        assert_eq!(
            Kind::Octal.parse(b"777"),
            Err(Wrong::Mode { decimal: true })
        );
        assert_eq!(
            Kind::Octal.parse(b"04755"),
            Ok(Value::Octal(0o755)),
            "set-id bits are never set"
        );
        assert_eq!(
            Kind::Octal.parse(b"017777"),
            Err(Wrong::Mode { decimal: false })
        );
        assert_eq!(Value::Octal(0o22).printed(), b"0022");
    }
}
