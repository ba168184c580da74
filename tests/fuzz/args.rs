//! Arguments of the commands that have a grammar of their own, the code pages, the lines of the logs, and what TLS is configured with.

use crate::config::{Own, Source, ciphers, load};
use crate::ftp::charset::Charset;
use crate::ftp::facts::Selection;
use crate::ftp::lang::Language;
use crate::ftp::{ascii, digest, mfxx, time, verb};
use crate::record::{Deed, Kind, Line, Stamp, syslog_line, vsftpd_line};
use crate::tls;

/// The first byte says what the rest is.
pub fn run(data: &[u8]) {
    let Some((kind, arg)) = data.split_first() else {
        return;
    };
    match kind % 16 {
        0 => selection(arg),
        1 => range(arg),
        2 => {
            let asked = digest::parse_x(arg);
            assert!(asked.len() <= 4, "{} readings", asked.len());
        }
        3 => {
            let _ = digest::Algorithm::named(arg).map(|known| {
                assert_eq!(
                    digest::Algorithm::named(known.name().as_bytes()),
                    Some(known)
                )
            });
        }
        4 => {
            if let Some((_, path)) = mfxx::parse_mff(arg) {
                assert!(!path.is_empty() && arg.ends_with(path));
            }
        }
        5 => stamps(arg),
        6 => {
            if let Some((_, path)) = mfxx::parse_utime(arg) {
                assert!(arg.windows(path.len().max(1)).any(|part| part == path) || path.is_empty());
            }
        }
        7 => {
            if let Ok(mode) = verb::parse_mode(arg) {
                assert!(mode <= 0o7777);
                assert_eq!(
                    verb::parse_mode(verb::format_mode(mode).as_bytes()).ok(),
                    Some(mode)
                );
            }
            let _ = verb::parse_rest(arg);
            let _ = verb::parse_type(arg);
        }
        8 => {
            let (word, rest) = verb::split_word(arg);
            assert!(word.len() + rest.len() <= arg.len());
            let (word, rest) = verb::split_raw(arg);
            assert!(word.len() + rest.len() <= arg.len());
        }
        9 => {
            let _ = Language::tagged(arg);
            for language in [Language::English, Language::Chinese] {
                let said = language.say(arg);
                assert!(said.len() <= arg.len() * 4 + 256);
            }
        }
        10 | 11 => charset(arg),
        12 => logs(arg),
        13 => suites(arg),
        14 => {
            if tls::is_handshake(arg) {
                assert!(arg.len() >= 64 + 3, "{} bytes", arg.len());
            }
        }
        _ => lines(arg),
    }
}

/// MLST's facts: what was chosen is said as a list that chooses the same.
fn selection(arg: &[u8]) {
    let chosen = Selection::parse(arg);
    assert_eq!(Selection::parse(chosen.chosen().as_bytes()), chosen);
    let _ = (chosen.feature(), chosen.wants());
}

fn range(arg: &[u8]) {
    if let Some(Some((from, to))) = digest::parse_rang(arg) {
        assert!(from <= to, "{from} {to}");
    }
}

fn stamps(arg: &[u8]) {
    if let Some(seconds) = time::parse_stamp(arg) {
        let text = time::mdtm(seconds);
        assert_eq!(time::parse_stamp(text.as_bytes()), Some(seconds), "{text}");
    }
    let _ = mfxx::stamp(arg);
    if let Some((_, path)) = time::set_form(arg) {
        assert!(arg.ends_with(path));
    }
}

/// A name goes out and comes back as it was, in every code page; what comes in keeps no line end it had not.
fn charset(arg: &[u8]) {
    const LABELS: [&[u8]; 8] = [
        b"gbk",
        b"gb18030",
        b"big5",
        b"shift_jis",
        b"euc-kr",
        b"windows-1252",
        b"koi8-r",
        b"euc-jp",
    ];
    let Some((which, text)) = arg.split_first() else {
        return;
    };
    let _ = Charset::named(text);
    let charset = Charset::named(LABELS[usize::from(*which) % LABELS.len()]).unwrap();
    let out = charset.outward(text);
    assert_eq!(
        charset.inward(&out),
        text,
        "{} went out as {}",
        text.escape_ascii(),
        out.escape_ascii()
    );
    assert!(out.len() <= text.len() * 6 + 64);
    let ends = |text: &[u8]| {
        text.iter()
            .filter(|byte| matches!(**byte, b'\r' | b'\n' | b'/' | 0))
            .count()
    };
    assert_eq!(ends(&out), ends(text));
    let _ = charset.inward(text);
}

/// One event is one line of printable text in every log.
fn logs(arg: &[u8]) {
    let stamp = Stamp {
        date: "Fri Jan 15 08:00:00 2027",
        pid: 7,
        user: Some(arg),
        address: "192.0.2.1",
    };
    let mut line = Line::new(Kind::Deed(Deed::Download), Some(true), Some(arg.to_vec()));
    line.anon_password = Some(arg.to_vec());
    let mut out = Vec::new();
    vsftpd_line(&stamp, &line, &mut out);
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    assert!(
        out.iter()
            .all(|byte| *byte == b'\n' || !byte.is_ascii_control()),
        "{}",
        out.escape_ascii()
    );
    out.clear();
    syslog_line(&stamp, &line, &mut out);
    assert!(
        !out.iter().any(u8::is_ascii_control),
        "{}",
        out.escape_ascii()
    );
}

fn suites(arg: &[u8]) {
    let setting = [b"ssl_ciphers=", arg].concat();
    if let Ok(loaded) = load(
        &Own,
        &[Source::File("/dev/null".into()), Source::Setting(setting)],
    ) {
        let suites = ciphers::chosen(&loaded);
        assert!(suites.len() <= 6);
    }
}

/// TYPE A both ways: pieces make no difference, and what went out comes back.
fn lines(arg: &[u8]) {
    let Some((cut, text)) = arg.split_first() else {
        return;
    };
    let pieces = text.chunks(usize::from(*cut).max(1));
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    ascii::ToNetwork::new().convert(text, &mut whole);
    let mut to = ascii::ToNetwork::new();
    pieces
        .clone()
        .for_each(|piece| to.convert(piece, &mut parts));
    assert_eq!(whole, parts);
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    let mut from = ascii::FromNetwork::new();
    from.convert(text, &mut whole);
    from.finish(&mut whole);
    let mut from = ascii::FromNetwork::new();
    pieces.for_each(|piece| from.convert(piece, &mut parts));
    from.finish(&mut parts);
    assert_eq!(whole, parts);
    assert!(whole.len() <= text.len());
}
