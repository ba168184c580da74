//! Checksums: HASH, XCRC and its like, and RANG; the data thread reads, the client is heard meanwhile; worker.

use super::commands::Offer;
use super::line::End;
use super::mover::Work;
use super::source::{Source, source};
use super::state::{Flow, Over, Session};
use super::transfer::UNABLE;
use crate::ftp::digest::{self, Algorithm};
use crate::sys::tree::meta_of;
use nix::errno::Errno;
use std::borrow::Cow;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

/// What FEAT says of HASH.
pub fn feature(offer: &Offer<'_>) -> Option<Cow<'static, str>> {
    let algorithm = offer
        .session
        .map_or_else(Default::default, |session| session.modern.algorithm);
    Some(algorithm.feature().into())
}

/// OPTS HASH: which sum HASH computes.
pub fn choose(session: &mut Session, arg: &[u8]) {
    if !arg.is_empty() {
        let Some(algorithm) = Algorithm::named(arg) else {
            session.reply(501, b"Unknown algorithm.");
            return;
        };
        session.modern.algorithm = algorithm;
    }
    let name = session.modern.algorithm.name();
    session.reply(200, name.as_bytes());
}

/// RANG (draft-bryan-ftp-range): the bytes of the next RETR or HASH.
pub fn rang(session: &mut Session, arg: &[u8]) -> Flow {
    session.restart = 0;
    // What was said before holds no more, as with REST: a client whose range is refused would be sent another one.
    session.modern.range = None;
    let Some(range) = digest::parse_rang(arg) else {
        session.reply(501, b"RANG needs the first and the last byte.");
        return Ok(());
    };
    session.modern.range = range;
    match range {
        Some((first, last)) => {
            let text = format!("Restarting at {first}. End byte range at {last}.");
            session.reply(350, text.as_bytes());
        }
        None => session.reply(350, b"The whole file."),
    }
    Ok(())
}

/// HASH (draft-bryan-ftpext-hash).
pub fn hash(session: &mut Session, arg: &[u8]) -> Flow {
    let range = session.modern.range.take();
    let algorithm = session.modern.algorithm;
    let path = session.expand(arg);
    let Some((file, size)) = admit(session, &path)? else {
        return Ok(());
    };
    let (first, last) = range.unwrap_or((0, size.saturating_sub(1)));
    if range.is_some() && last >= size {
        session.reply(501, b"The range is not within the file.");
        return Ok(());
    }
    let to = if range.is_some() {
        last.saturating_add(1)
    } else {
        size
    };
    if let Some(sum) = compute(session, algorithm, file, (first, to))? {
        let name = algorithm.name();
        let text = [format!("{name} {first}-{last} {sum} ").as_bytes(), arg].concat();
        session.reply(213, &text);
    }
    Ok(())
}

/// XCRC.
pub fn xcrc(session: &mut Session, arg: &[u8]) -> Flow {
    old(session, arg, Algorithm::Crc32)
}

/// XMD5.
pub fn xmd5(session: &mut Session, arg: &[u8]) -> Flow {
    old(session, arg, Algorithm::Md5)
}

/// XSHA1.
pub fn xsha1(session: &mut Session, arg: &[u8]) -> Flow {
    old(session, arg, Algorithm::Sha1)
}

/// XSHA256.
pub fn xsha256(session: &mut Session, arg: &[u8]) -> Flow {
    old(session, arg, Algorithm::Sha256)
}

/// XSHA512.
pub fn xsha512(session: &mut Session, arg: &[u8]) -> Flow {
    old(session, arg, Algorithm::Sha512)
}

/// The forms older than HASH: a name, perhaps in quotes, and perhaps where to begin and where to stop.
fn old(session: &mut Session, arg: &[u8], algorithm: Algorithm) -> Flow {
    session.modern.range = None;
    let mut readings = digest::parse_x(arg).into_iter();
    let Some(mut asked) = readings.next() else {
        return Ok(());
    };
    // What is a name as a whole is one; otherwise the numbers at its end are none of it.
    for other in readings {
        let path = session.expand(&asked.path);
        if session.tree.stat(&session.cwd, &path).is_ok() {
            break;
        }
        asked = other;
    }
    let path = session.expand(&asked.path);
    let Some((file, size)) = admit(session, &path)? else {
        return Ok(());
    };
    let to = asked.to.unwrap_or(size);
    if to > size || asked.from > to {
        session.reply(501, b"The range is not within the file.");
        return Ok(());
    }
    if let Some(sum) = compute(session, algorithm, file, (asked.from, to))? {
        session.reply(250, sum.to_ascii_uppercase().as_bytes());
    }
    Ok(())
}

/// Opens the file under the rules of RETR, locked where uploads are, and says how long it is; the reply has been said if there is none.
fn admit(session: &mut Session, path: &[u8]) -> Result<Option<(OwnedFd, u64)>, Over> {
    if session.denied(path)
        || !session.wanted("download_file", session.config.download_file.clone(), path)
    {
        return Ok(None);
    }
    let found = source(session, path, 0)?;
    if let Source::Closed(why) = &found {
        session.unseen(why);
    }
    let Source::Ready(file, _) = found else {
        if !matches!(found, Source::Said) {
            session.reply(550, b"Failed to open file.");
        }
        return Ok(None);
    };
    // Only now: while its lock was waited for, an upload has gone on.
    let Ok(meta) = meta_of(&file) else {
        session.reply(550, b"Failed to open file.");
        return Ok(None);
    };
    Ok(Some((file, meta.size)))
}

/// The sum of these bytes, computed by the data thread at the session's rate; the reply has been said if there is none.
fn compute(
    session: &mut Session,
    algorithm: Algorithm,
    file: OwnedFd,
    (from, to): (u64, u64),
) -> Result<Option<String>, Over> {
    let most = u64::from(session.config.hash_max_size).saturating_mul(1 << 20);
    if most != 0 && to.saturating_sub(from) > most {
        session.unwanted("a checksum", "hash_max_size does not allow that many bytes");
        session.reply(550, b"Too many bytes for a checksum.");
        return Ok(None);
    }
    let Ok(stand_in) = file.try_clone() else {
        session.reply(451, b"Failure reading local file.");
        return Ok(None);
    };
    let place = Arc::new(Mutex::new(None));
    let result = Arc::clone(&place);
    let reckon = move |chunk: usize, step: &mut dyn FnMut(usize) -> Result<(), End>| {
        let sum = read(algorithm, &file, (from, to), chunk, step)?;
        if let Ok(mut place) = place.lock() {
            *place = Some(sum);
        }
        Ok(())
    };
    let (end, _) = session.run(stand_in, Work::Reckon(Box::new(reckon)))?;
    let aborted = std::mem::take(&mut session.aborting);
    match end {
        End::Done if !aborted => {
            return Ok(result.lock().ok().and_then(|mut place| place.take()));
        }
        End::Deserted => return Err(Over(1)),
        End::Unable => session.reply(451, UNABLE),
        End::Local(why) => {
            session.note(&format!("local file: {}", why.desc()));
            session.reply(451, b"Failure reading local file.");
        }
        // Done: ABOR came with the last byte.
        End::Done
        | End::Network
        | End::Stalled
        | End::Stranger
        | End::Handshake
        | End::Garbled
        | End::Unfinished
        | End::Swollen
        | End::NoDirectory => {
            session.reply(426, b"Checksum aborted.");
        }
    }
    if aborted {
        session.reply(226, b"ABOR successful.");
    }
    Ok(None)
}

fn read(
    algorithm: Algorithm,
    file: &OwnedFd,
    (from, to): (u64, u64),
    chunk: usize,
    step: &mut dyn FnMut(usize) -> Result<(), End>,
) -> Result<String, End> {
    let start = i64::try_from(from).map_err(|_| End::Local(Errno::EOVERFLOW))?;
    nix::unistd::lseek(file, start, nix::unistd::Whence::SeekSet).map_err(End::Local)?;
    let mut sum = algorithm.sum();
    let mut left = to.saturating_sub(from);
    let mut buffer = vec![0; chunk];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(chunk);
        let room = buffer.get_mut(..most).unwrap_or_default();
        match nix::unistd::read(file, room) {
            // It has become shorter: what was asked for cannot be told.
            Ok(0) => return Err(End::Local(Errno::ENODATA)),
            Ok(count) => {
                sum.add(room.get(..count).unwrap_or_default());
                left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
                step(count)?;
            }
            Err(Errno::EINTR) => step(0)?,
            Err(why) => return Err(End::Local(why)),
        }
    }
    Ok(sum.finish())
}
