//! OPTS, and the commands by which a client says who it is: CLNT and CSID; worker (and greeter for OPTS UTF8).

use super::commands::Offer;
use super::digest;
use super::state::{Flow, Session};
use super::zip::Level;
use crate::config::Config;
use crate::ftp::charset::Charset;
use crate::ftp::facts::Selection;
use crate::ftp::lang::Language;
use crate::ftp::verb;
use std::borrow::Cow;

/// The longest name of a client that is logged.
const NAME: usize = 128;

/// Whether FEAT says UTF8.
pub fn utf8(config: &Config) -> bool {
    config.utf8_filesystem || config.client_charset.is_some()
}

/// OPTS (RFC 2389).
pub fn opts(session: &mut Session, arg: &[u8]) -> Flow {
    let (word, rest) = verb::split_word(arg);
    match word.as_slice() {
        b"MLST" if super::commands::usable(session, b"MLST") => {
            session.modern.facts = Selection::parse(rest);
            let text = format!("MLST OPTS {}", session.modern.facts.chosen());
            session.reply(200, text.trim_end().as_bytes());
        }
        b"MODE" if packing(session) => level(session, rest),
        b"HASH" if super::commands::usable(session, b"HASH") => digest::choose(session, rest),
        b"UTF8" | b"UTF-8"
            if rest.eq_ignore_ascii_case(b"OFF") && session.modern.charset.is_some() =>
        {
            session.modern.utf8 = false;
            let name = session.modern.charset.map_or("", Charset::name);
            session.reply(200, format!("Names are in {name} now.").as_bytes());
        }
        _ => {
            let (code, text) = utf8_reply(arg);
            session.modern.utf8 |= code == 200;
            session.reply(code, text);
        }
    }
    Ok(())
}

/// What FEAT says of MODE.
pub fn modes(offer: &Offer<'_>) -> Option<Cow<'static, str>> {
    let on = offer.config.mode_z_enable;
    on.then_some(Cow::Borrowed("MODE Z"))
}

fn packing(session: &Session) -> bool {
    session.config.mode_z_enable && super::commands::usable(session, b"MODE")
}

/// OPTS MODE Z LEVEL n (draft-preston-ftpext-deflate).
fn level(session: &mut Session, arg: &[u8]) {
    match Level::parse(arg) {
        Some(level) => {
            session.modern.level = level;
            let text = format!("MODE Z LEVEL set to {}.", level.number());
            session.reply(200, text.as_bytes());
        }
        None => session.reply(501, b"MODE Z takes LEVEL and 0 to 9."),
    }
}

/// OPTS UTF8, the same before and after login (reference §3.2). The original takes only the first of these forms; the others are
/// what clients send as well, and all say what is so anyway: names are bytes, and pass as they are.
pub fn utf8_reply(arg: &[u8]) -> (u16, &'static [u8]) {
    let forms: [&[u8]; 6] = [
        b"UTF8 ON",
        b"UTF8",
        b"UTF8 NLST",
        b"UTF-8 ON",
        b"UTF-8",
        b"UTF-8 NLST",
    ];
    if forms.iter().any(|form| arg.eq_ignore_ascii_case(form)) {
        (200, b"Always in UTF8 mode.")
    } else {
        (501, b"Option not understood.")
    }
}

/// What FEAT says of LANG.
pub fn languages(offer: &Offer<'_>) -> Option<Cow<'static, str>> {
    let language = offer
        .session
        .map_or_else(Default::default, |session| session.modern.language);
    Some(Cow::Borrowed(language.feature()))
}

/// LANG (RFC 2640 §4): the language of replies; without an argument the server's own.
pub fn lang(session: &mut Session, arg: &[u8]) -> Flow {
    let wanted = if arg.is_empty() {
        Some(Language::default())
    } else {
        Language::tagged(arg)
    };
    let Some(language) = wanted else {
        session.reply(504, b"LANG knows EN and ZH.");
        return Ok(());
    };
    session.modern.language = language;
    let text = match language {
        Language::English => "Replies are in English.",
        Language::Chinese => "Replies are in Chinese.",
    };
    session.reply(200, text.as_bytes());
    Ok(())
}

/// HOST after login (RFC 7151, 3).
pub fn host(session: &mut Session, _: &[u8]) -> Flow {
    if super::commands::hosts(session.config) {
        session.reply(503, b"HOST is for before login.");
    } else {
        session.reply(502, b"HOST not implemented.");
    }
    Ok(())
}

/// CLNT: the client's name, for the log.
pub fn clnt(session: &mut Session, arg: &[u8]) -> Flow {
    if arg.is_empty() {
        session.reply(501, b"CLNT needs a name.");
        return Ok(());
    }
    introduce(session, arg);
    session.reply(200, b"Noted.");
    Ok(())
}

/// CSID: the same in fields, and what a client should know of this host. The version stays out: a banner may hide it on purpose.
pub fn csid(session: &mut Session, arg: &[u8]) -> Flow {
    if arg.is_empty() {
        session.reply(501, b"CSID needs Name=value; and so on.");
        return Ok(());
    }
    introduce(session, arg);
    session.reply(200, b"Name=vsftpd; CaseSensitive=1; DirSep=/;");
    Ok(())
}

/// One line in the log for each session, whatever the client repeats.
fn introduce(session: &mut Session, name: &[u8]) {
    if !std::mem::replace(&mut session.modern.introduced, true) {
        let name = name.get(..NAME).unwrap_or(name);
        session.note(&format!("client: {}", String::from_utf8_lossy(name)));
    }
}
