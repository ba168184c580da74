//! The form of vsftpd.log and of syslog (reference §7.2, §7.4); runs in helper.

use super::{Kind, Line, Stamp, escape};
use std::fmt::Display;
use std::io::Write;

/// Appends a line of vsftpd.log, LF included.
pub fn vsftpd_line(stamp: &Stamp<'_, impl Display>, line: &Line, out: &mut Vec<u8>) {
    append(out, format_args!("{} [pid {}] ", stamp.date, stamp.pid));
    syslog_line(stamp, line, out);
    out.push(b'\n');
}

/// Appends the text for syslog: the same without date, pid and LF, which syslog adds itself.
pub fn syslog_line(stamp: &Stamp<'_, impl Display>, line: &Line, out: &mut Vec<u8>) {
    if let Some(user) = stamp.user {
        out.push(b'[');
        escape::bracketed(out, user);
        out.extend_from_slice(b"] ");
    }
    out.extend_from_slice(match line.ok {
        Some(true) => b"OK ",
        Some(false) => b"FAIL ",
        None => b"",
    });
    append(
        out,
        format_args!("{}: Client \"{}\"", line.kind.word(), stamp.address),
    );
    if let Some(password) = &line.anon_password {
        out.extend_from_slice(b", anon password \"");
        escape::password(out, password);
        out.push(b'"');
    }
    if let Some(text) = &line.text {
        out.extend_from_slice(b", \"");
        escape::printable(out, text);
        out.push(b'"');
    }
    if let Some(moved) = &line.moved {
        moved.show(out);
    }
}

/// Whether syslog is told LOG_WARNING instead of LOG_INFO: failed logins (reference §7.4).
#[must_use]
pub fn is_warning(line: &Line) -> bool {
    line.kind == Kind::Login && line.ok == Some(false)
}

/// Appends formatted text; a `Vec` takes all of it.
pub(super) fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
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
    use super::super::{Deed, Moved};
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn stamp(user: Option<&'static str>) -> Stamp<'static, &'static str> {
        Stamp {
            date: "Tue Nov 24 02:27:35 2026",
            pid: 5118,
            user: user.map(str::as_bytes),
            address: "127.0.0.1",
        }
    }

    fn written(user: Option<&'static str>, line: &Line) -> String {
        let mut out = Vec::new();
        vsftpd_line(&stamp(user), line, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn text(text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    #[test]
    fn as_the_original_without_bytes() {
        let head = "Tue Nov 24 02:27:35 2026 [pid 5118] ";
        for (user, line, want) in [
            (
                None,
                Line::new(Kind::Connect, None, None),
                r#"CONNECT: Client "127.0.0.1""#,
            ),
            (
                None,
                Line::new(Kind::Response, None, text("220 (vsFTPd 3.0.3)")),
                r#"FTP response: Client "127.0.0.1", "220 (vsFTPd 3.0.3)""#,
            ),
            (
                Some("nob ody"),
                Line::new(Kind::Login, Some(false), None),
                r#"[nob ody] FAIL LOGIN: Client "127.0.0.1""#,
            ),
            (
                Some("root"),
                Line::new(Kind::Login, Some(true), None),
                r#"[root] OK LOGIN: Client "127.0.0.1""#,
            ),
            (
                Some("ftp"),
                Line {
                    anon_password: text("me@x y\u{1}é\"q\""),
                    ..Line::new(Kind::Login, Some(true), None)
                },
                r#"[ftp] OK LOGIN: Client "127.0.0.1", anon password "me@x_y???"q"""#,
            ),
            (
                Some("bob"),
                Line::new(Kind::Command, None, Some(b"PASS <password>".to_vec())),
                r#"[bob] FTP command: Client "127.0.0.1", "PASS <password>""#,
            ),
            (
                Some("bob"),
                Line::new(Kind::Command, None, Some(b"MKD e\xffg".to_vec())),
                r#"[bob] FTP command: Client "127.0.0.1", "MKD e?g""#,
            ),
            (
                Some("bob"),
                Line::new(Kind::Deed(Deed::Mkdir), Some(false), text("/dd")),
                r#"[bob] FAIL MKDIR: Client "127.0.0.1", "/dd""#,
            ),
            (
                Some("bob"),
                Line::new(Kind::Deed(Deed::Rename), Some(true), text("/f /g")),
                r#"[bob] OK RENAME: Client "127.0.0.1", "/f /g""#,
            ),
            (
                Some("bob"),
                Line::new(Kind::Deed(Deed::Chmod), Some(true), text("/g 644")),
                r#"[bob] OK CHMOD: Client "127.0.0.1", "/g 644""#,
            ),
        ] {
            assert_eq!(written(user, &line), format!("{head}{want}\n"));
        }
    }

    #[test]
    fn transfers_as_the_original() {
        let up = Line {
            moved: Some(Moved {
                bytes: 10_000,
                elapsed: Duration::from_micros(315),
            }),
            ..Line::new(Kind::Deed(Deed::Upload), Some(true), text("/home/bob/f"))
        };
        assert_eq!(
            written(Some("bob"), &up),
            "Tue Nov 24 02:27:35 2026 [pid 5118] [bob] OK UPLOAD: Client \"127.0.0.1\", \"/home/bob/f\", 10000 bytes, 31001.98Kbyte/sec\n"
        );
        let nothing = Moved {
            bytes: 0,
            elapsed: Duration::ZERO,
        };
        let failed = Line {
            moved: Some(nothing),
            ..Line::new(Kind::Deed(Deed::Download), Some(false), text("/pub/nosuch"))
        };
        assert_eq!(
            written(Some("ftp"), &failed),
            "Tue Nov 24 02:27:35 2026 [pid 5118] [ftp] FAIL DOWNLOAD: Client \"127.0.0.1\", \"/pub/nosuch\", 0.00Kbyte/sec\n"
        );
    }

    #[test]
    fn only_a_failed_login_warns() {
        assert!(is_warning(&Line::new(Kind::Login, Some(false), None)));
        assert!(!is_warning(&Line::new(Kind::Login, Some(true), None)));
        assert!(!is_warning(&Line::new(
            Kind::Deed(Deed::Delete),
            Some(false),
            None
        )));
    }

    /// attacks B-079.
    #[test]
    fn syslog_has_no_head() {
        let mut out = Vec::new();
        syslog_line(
            &stamp(Some("bob")),
            &Line::new(Kind::Deed(Deed::Delete), Some(true), text("/g")),
            &mut out,
        );
        assert_eq!(out, br#"[bob] OK DELETE: Client "127.0.0.1", "/g""#);
    }

    proptest! {
        /// Attacks B-077, B-149.
        #[test]
        fn one_event_one_line(bytes: Vec<u8>, user: Vec<u8>, count: u64, micros: u64) {
            let stamp = Stamp { user: Some(&user), ..stamp(None) };
            let line = Line {
                kind: Kind::Deed(Deed::Download), ok: Some(true), text: Some(bytes.clone()), anon_password: Some(bytes),
                moved: Some(Moved { bytes: count, elapsed: Duration::from_micros(micros) }),
            };
            let mut out = Vec::new();
            vsftpd_line(&stamp, &line, &mut out);
            prop_assert_eq!(out.iter().filter(|byte| **byte < 0x20 || **byte > 0x7e).count(), 1);
        }
    }
}
