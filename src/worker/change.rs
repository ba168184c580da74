//! Commands that change the tree or ask about one file: MKD, RMD, DELE, RNFR, RNTO, SIZE, MDTM; worker.

use super::commands::{Gate, permitted};
use super::leftover;
use super::publish;
use super::stamp;
use super::state::{Flow, Session};
use super::why;
use crate::ftp::{reply, time};
use crate::sys::clock;
use crate::sys::tree::VirtualPath;
use crate::wire::{Change, Outcome};
use nix::errno::Errno;

/// Whether `deny_file` has refused a change, which has then been said, and is a failure in the log as any other.
fn refused(session: &mut Session, change: Change, path: &[u8]) -> bool {
    let denied = session.denied(path);
    if denied {
        let text = session.log_path(path);
        session.changed(change, Outcome::Failed, text);
    }
    denied
}

/// A reply: its code and text.
pub type Reply<'a> = (u16, &'a [u8]);

/// Tells client and log how a change has ended: a success is logged before it is told, a failure after (reference §7.5).
pub fn conclude(
    session: &mut Session,
    (change, text): (Change, Vec<u8>),
    result: Result<(), Errno>,
    (code, done): Reply<'_>,
    failed: &[u8],
) {
    match result {
        Ok(()) => {
            session.changed(change, Outcome::Done, text);
            session.reply(code, done);
        }
        Err(why) => fail(session, (change, text), why, failed),
    }
}

/// The same of one that has failed.
fn fail(session: &mut Session, (change, text): (Change, Vec<u8>), why: Errno, failed: &[u8]) {
    session.undone(why);
    session.reply(550, failed);
    session.changed(change, Outcome::Failed, text);
}

/// MKD, XMKD.
pub fn mkd(session: &mut Session, arg: &[u8]) -> Flow {
    let path = session.expand(arg);
    if refused(session, Change::Mkdir, &path) {
        return Ok(());
    }
    // The kernel takes the umask off (reference §3.4).
    let result = session.tree.mkdir(&session.cwd, &path, 0o777);
    let text = session.log_path(&path);
    let made = [reply::quoted(&text).as_slice(), b" created"].concat();
    let failed = b"Create directory operation failed.";
    conclude(session, (Change::Mkdir, text), result, (257, &made), failed);
    Ok(())
}

/// RMD, XRMD.
pub fn rmd(session: &mut Session, arg: &[u8]) -> Flow {
    let path = session.expand(arg);
    if refused(session, Change::Rmdir, &path) {
        return Ok(());
    }
    let remove = || session.tree.rmdir(&session.cwd, &path);
    let result = match remove() {
        Err(Errno::ENOTEMPTY) if leftover::clear(session, &path) => remove(),
        done => done,
    };
    let text = session.log_path(&path);
    let done: Reply = (250, b"Remove directory operation successful.");
    conclude(
        session,
        (Change::Rmdir, text),
        result,
        done,
        b"Remove directory operation failed.",
    );
    Ok(())
}

/// DELE.
pub fn dele(session: &mut Session, arg: &[u8]) -> Flow {
    let path = session.expand(arg);
    if refused(session, Change::Delete, &path) {
        return Ok(());
    }
    let mut result = session.tree.unlink(&session.cwd, &path);
    if result.is_ok() {
        leftover::forget(session, &session.cwd, &path);
    } else if result == Err(Errno::ENOENT)
        && let Some((partial, _)) = leftover::left_behind(session, &path)
    {
        result = session.tree.unlink(&VirtualPath::root(), &partial);
    }
    let text = session.log_path(&path);
    let done: Reply = (250, b"Delete operation successful.");
    conclude(
        session,
        (Change::Delete, text),
        result,
        done,
        b"Delete operation failed.",
    );
    Ok(())
}

/// RNFR. The original follows a link here to see whether there is anything; so a dangling one cannot be renamed. Here it can.
pub fn rnfr(session: &mut Session, arg: &[u8]) -> Flow {
    session.rename_from = None;
    let path = session.expand(arg);
    if refused(session, Change::Rename, &path) {
        return Ok(());
    }
    match session.tree.lstat(&session.cwd, &path) {
        Ok(_) => {
            session.rename_from = Some((session.cwd.clone(), path));
            session.reply(350, b"Ready for RNTO.");
        }
        Err(why) => {
            let text = session.log_path(&path);
            fail(
                session,
                (Change::Rename, text),
                why,
                b"RNFR command failed.",
            );
        }
    }
    Ok(())
}

/// RNTO. A relative source keeps the directory RNFR was said in.
pub fn rnto(session: &mut Session, arg: &[u8]) -> Flow {
    let Some((from_dir, from)) = session.rename_from.clone() else {
        session.reply(503, b"RNFR required first.");
        return Ok(());
    };
    let to = session.expand(arg);
    let text = [
        from_dir.join(&from).as_slice(),
        b" ",
        &session.log_path(&to),
    ]
    .concat();
    if session.denied(&to) {
        session.changed(Change::Rename, Outcome::Failed, text);
        return Ok(());
    }
    session.rename_from = None;
    let result = session.tree.rename(&from_dir, &from, &session.cwd, &to);
    if result.is_ok() {
        leftover::renamed(session, (&from_dir, &from), &to);
    }
    let done: Reply = (250, b"Rename successful.");
    conclude(
        session,
        (Change::Rename, text),
        result,
        done,
        b"Rename failed.",
    );
    Ok(())
}

/// SIZE (RFC 3659 §4): the bytes in the file, whatever TYPE says.
pub fn size(session: &mut Session, arg: &[u8]) -> Flow {
    let path = session.expand(arg);
    if session.denied(&path) {
        return Ok(());
    }
    let found = session.tree.stat(&session.cwd, &path);
    let found = match found {
        Err(Errno::ENOENT) => leftover::resumable(session, &path).ok_or(Errno::ENOENT),
        found => found,
    };
    match found {
        Ok(meta) if meta.is_file() => {
            if let Some(length) = publish::broken_off(session, &path) {
                session.unseen(&why::broken_off(length));
                session.reply(550, b"Could not get file size.");
            } else {
                session.reply(213, meta.size.to_string().as_bytes());
            }
        }
        Ok(_) => session.reply(550, b"Could not get file size."),
        Err(why) => {
            session.unseen_at(&path, why);
            session.reply(550, b"Could not get file size.");
        }
    }
    Ok(())
}

/// MDTM (RFC 3659 §3), and the original's form that sets the time (reference §3.4.4).
pub fn mdtm(session: &mut Session, arg: &[u8]) -> Flow {
    let whole = session.expand(arg);
    let exists = session.tree.stat(&session.cwd, &whole);
    if exists.is_err()
        && session.config.mdtm_write
        && let Some((stamp, path)) = time::set_form(arg)
    {
        let path = session.expand(path);
        if session.denied(&path) {
            return Ok(());
        }
        if permitted(session, Gate::OtherWrite, arg) {
            if time::has_fraction(arg) {
                session.reply(501, b"Fractions of a second are not kept. Send none.");
                return Ok(());
            }
            return set_time(session, stamp, &path);
        }
    } else if session.denied(&whole) {
        return Ok(());
    }
    match exists {
        Ok(meta) if meta.is_file() => {
            let offset = if session.config.use_localtime {
                clock::offset(meta.mtime)
            } else {
                0
            };
            let text = time::mdtm(meta.mtime.saturating_add(offset));
            session.reply(213, text.as_bytes());
        }
        Ok(_) => session.reply(550, b"Could not get file modification time."),
        Err(why) => {
            session.unseen_at(&whole, why);
            session.reply(550, b"Could not get file modification time.");
        }
    }
    Ok(())
}

fn set_time(session: &mut Session, stamp: i64, path: &[u8]) -> Flow {
    let stamp = if session.config.use_localtime {
        from_local(stamp)
    } else {
        stamp
    };
    if stamp::set_time(session, path, stamp) {
        session.reply(213, b"File modification time set.");
    } else {
        session.reply(550, b"Could not set file modification time.");
    }
    Ok(())
}

/// The moment a local date and time means, both in seconds since 1970. Within hours of a change of the clocks the offset at the same
/// number in UTC is that of its other side, so it is asked for twice; of a time that comes twice, either is meant.
fn from_local(stamp: i64) -> i64 {
    let near = stamp.saturating_sub(clock::offset(stamp));
    stamp.saturating_sub(clock::offset(near))
}
