//! The values of options, as every process has them; how they are written in vsftpd.conf is in [`super::text`].

use std::ffi::OsString;

/// All permission bits: umasks and modes are cut to these, as by the original.
pub(super) const MODE: u32 = 0o777;

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// YES or NO.
    Flag,
    /// A number in this range.
    Number {
        /// The smallest value.
        least: u32,
        /// The largest value.
        most: u32,
    },
    /// Permission bits, written in octal.
    Octal,
    /// Any text, or nothing.
    Text,
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// YES or NO.
    Flag(bool),
    /// A number.
    Number(u32),
    /// Permission bits.
    Octal(u32),
    /// A text, or unset.
    Text(Option<OsString>),
}

impl Kind {
    /// Whether this is a value of this kind, within its range.
    pub fn takes(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Flag, Value::Flag(_)) | (Self::Text, Value::Text(_)) => true,
            (Self::Number { least, most }, Value::Number(number)) => {
                (least..=most).contains(number)
            }
            (Self::Octal, Value::Octal(mode)) => *mode <= MODE,
            (Self::Flag | Self::Number { .. } | Self::Octal | Self::Text, _) => false,
        }
    }
}
