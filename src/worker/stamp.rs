//! Times and modes set after an upload: MFMT, MFF (draft-somers-ftp-mfxx) and SITE UTIME, under the rules of MDTM and SITE CHMOD; worker.

use super::commands::{Gate, Offer, denied, permitted, shut};
use super::state::{Flow, Session};
use crate::ftp::{facts, mfxx, verb};
use crate::wire::{Change, Outcome};
use std::borrow::Cow;

/// What FEAT says of MFF: the facts it can change.
pub fn feature(offer: &Offer<'_>) -> Option<Cow<'static, str>> {
    let time = offer.might(Gate::SetTime) && !denied_now(offer, b"MDTM");
    let mode = offer.might(Gate::SetMode) && !denied_now(offer, b"SITE");
    let text = match (time, mode) {
        (true, true) => "MFF modify;UNIX.mode;",
        (true, false) => "MFF modify;",
        (false, true) => "MFF UNIX.mode;",
        (false, false) => return None,
    };
    Some(Cow::Borrowed(text))
}

fn denied_now(offer: &Offer<'_>, verb: &[u8]) -> bool {
    offer.session.is_some() && denied(offer.config, verb)
}

/// MFMT: sets the time of the last change, in UTC whatever `use_localtime` says.
pub fn mfmt(session: &mut Session, arg: &[u8]) -> Flow {
    let (stamp, path) = verb::split_raw(arg);
    let Some(time) = mfxx::stamp(stamp).filter(|_| !path.is_empty()) else {
        session.reply(501, b"MFMT needs a time YYYYMMDDHHMMSS and a name.");
        return Ok(());
    };
    change(session, Some(time), None, path, Answer::Facts)
}

/// MFF: sets facts in the form MLST shows them, all or none.
pub fn mff(session: &mut Session, arg: &[u8]) -> Flow {
    let Some((wanted, path)) = mfxx::parse_mff(arg) else {
        session.reply(501, b"MFF needs facts it can change, and a name.");
        return Ok(());
    };
    let time = permitted(session, Gate::SetTime, b"") && !denied(session.config, b"MDTM");
    let mode = permitted(session, Gate::SetMode, b"") && !denied(session.config, b"SITE");
    if wanted.modify.is_some() && !time || wanted.mode.is_some() && !mode {
        let gate = if wanted.modify.is_some() && !time {
            Gate::SetTime
        } else {
            Gate::SetMode
        };
        match shut(session, gate, b"") {
            Some(shut) => session.shut_out(b"MFF", shut),
            None => session.forbidden(b"MFF", "cmds_denied"),
        }
        session.reply(550, b"Permission denied.");
        return Ok(());
    }
    change(session, wanted.modify, wanted.mode, path, Answer::Facts)
}

/// SITE UTIME, in both forms clients know; the gate was asked.
pub fn utime(session: &mut Session, arg: &[u8]) {
    if let Some((time, path)) = mfxx::parse_utime(arg) {
        let _ = change(session, Some(time), None, path, Answer::Utime);
    } else {
        session.reply(
            501,
            b"SITE UTIME needs a time and a name, or a name, three times and UTC.",
        );
    }
}

/// How success is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// 213 with what was set.
    Facts,
    /// 200.
    Utime,
}

/// Sets the time of a regular file's last change; false if it could not be, which the log has the reason of.
pub fn set_time(session: &mut Session, path: &[u8], time: i64) -> bool {
    let set = match session.tree.stat(&session.cwd, path) {
        Ok(meta) if meta.is_file() => session.tree.set_mtime(&session.cwd, path, time),
        Ok(_) => return false,
        Err(why) => Err(why),
    };
    if let Err(why) = set {
        session.untimed(path, why);
    }
    set.is_ok()
}

fn change(
    session: &mut Session,
    modify: Option<i64>,
    mode: Option<u32>,
    path: &[u8],
    answer: Answer,
) -> Flow {
    let shown = path.to_vec();
    let path = session.expand(path);
    if session.denied(&path) {
        return Ok(());
    }
    // As MDTM: times of regular files only.
    if modify.is_some_and(|time| !set_time(session, &path, time)) {
        session.reply(550, b"Could not set file modification time.");
        return Ok(());
    }
    if let Some(mode) = mode {
        let text = [
            session.log_path(&path).as_slice(),
            format!(" 0{mode:o}").as_bytes(),
        ]
        .concat();
        let done = session.tree.chmod(&session.cwd, &path, mode);
        let outcome = done.map_or(Outcome::Failed, |()| Outcome::Done);
        session.changed(Change::Chmod, outcome, text);
        if let Err(why) = done {
            session.undone(why);
            session.reply(550, b"Could not change the mode.");
            return Ok(());
        }
    }
    match answer {
        Answer::Utime => session.reply(200, b"SITE UTIME command ok."),
        Answer::Facts => {
            let mut text = Vec::new();
            if let Some(time) = modify {
                text.extend_from_slice(b"Modify=");
                facts::stamp(&mut text, time);
                text.push(b';');
            }
            if let Some(mode) = mode {
                text.extend_from_slice(format!("UNIX.mode=0{mode:03o};").as_bytes());
            }
            text.push(b' ');
            text.extend_from_slice(&shown);
            session.reply(213, &text);
        }
    }
    Ok(())
}
