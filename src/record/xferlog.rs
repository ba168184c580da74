//! The transfer log in wu-ftpd's form, which other programs read (xferlog(5); reference §7.3); runs in helper.

use super::vsftpd_log::append;
use super::{Stamp, escape};
use std::fmt::Display;
use std::time::Duration;

/// The field `access-mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `a`; the user field then is the password given, [`Stamp::user`] does not matter.
    Anonymous,
    /// `g`: a virtual user.
    Guest,
    /// `r`.
    Real,
}

/// One transfer that ended.
#[derive(Debug, Clone, Copy)]
pub struct Transfer<'a> {
    /// Whether the client sent.
    pub upload: bool,
    /// Whether it is complete.
    pub ok: bool,
    /// The path as the client sees it.
    pub path: &'a [u8],
    /// Bytes moved.
    pub bytes: u64,
    /// From the command to the end.
    pub elapsed: Duration,
    /// Whether TYPE was ASCII.
    pub ascii: bool,
    /// What kind of user.
    pub access: Access,
    /// What an anonymous user gave for a password.
    pub anon_password: &'a [u8],
}

/// Appends a line of the transfer log, LF included: 18 fields, whatever the names hold.
pub fn xferlog_line(stamp: &Stamp<'_, impl Display>, transfer: &Transfer<'_>, out: &mut Vec<u8>) {
    let seconds = transfer.elapsed.as_secs().max(1);
    append(
        out,
        format_args!(
            "{} {} {} {} ",
            stamp.date, seconds, stamp.address, transfer.bytes
        ),
    );
    escape::field(out, transfer.path);
    let kind = if transfer.ascii { 'a' } else { 'b' };
    let direction = if transfer.upload { 'i' } else { 'o' };
    let access = match transfer.access {
        Access::Anonymous => 'a',
        Access::Guest => 'g',
        Access::Real => 'r',
    };
    append(out, format_args!(" {kind} _ {direction} {access} "));
    match (transfer.access, stamp.user) {
        (Access::Anonymous, _) => escape::password(out, transfer.anon_password),
        (Access::Guest | Access::Real, user) => escape::password(out, user.unwrap_or_default()),
    }
    append(
        out,
        format_args!(" ftp 0 * {}\n", if transfer.ok { 'c' } else { 'i' }),
    );
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

    fn written(user: &[u8], transfer: &Transfer<'_>) -> String {
        let stamp = Stamp {
            date: "Tue Nov 24 02:27:35 2026",
            pid: 1,
            user: Some(user),
            address: "127.0.0.1",
        };
        let mut out = Vec::new();
        xferlog_line(&stamp, transfer, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn transfer(path: &[u8]) -> Transfer<'_> {
        Transfer {
            upload: true,
            ok: true,
            path,
            bytes: 7,
            elapsed: Duration::from_millis(1999),
            ascii: true,
            access: Access::Anonymous,
            anon_password: b"me@x y\x01\xc3\xa9\"q\"",
        }
    }

    /// attacks B-078.
    #[test]
    fn as_the_original() {
        assert_eq!(
            written(b"ftp", &transfer(b"/pub/up load.bin")),
            "Tue Nov 24 02:27:35 2026 1 127.0.0.1 7 /pub/up_load.bin a _ i a me@x_y???\"q\" ftp 0 * c\n"
        );
        let down = Transfer {
            upload: false,
            ok: false,
            bytes: 0,
            ascii: false,
            access: Access::Real,
            ..transfer(b"/home/bob/f")
        };
        assert_eq!(
            written(b"bob", &down),
            "Tue Nov 24 02:27:35 2026 1 127.0.0.1 0 /home/bob/f b _ o r bob ftp 0 * i\n"
        );
        let longer = Transfer {
            elapsed: Duration::from_millis(2900),
            ..down
        };
        assert!(
            written(b"v i", &longer).contains(" 2026 2 127.0.0.1 ")
                && written(b"v i", &longer).contains(" o r v_i ftp ")
        );
    }

    proptest! {
        /// attacks B-078.
        #[test]
        fn always_eighteen_fields(path in proptest::collection::vec(any::<u8>(), 1..50), user: Vec<u8>, real: bool) {
            let access = if real { Access::Real } else { Access::Anonymous };
            let line = written(&user, &Transfer { access, anon_password: &user, ..transfer(&path) });
            prop_assert_eq!(line.trim_end_matches('\n').split(' ').filter(|field| !field.is_empty()).count(), 18);
        }
    }
}
