//! The file that a download or a checksum reads: found, judged and locked; worker, control thread.

use super::lock::IN_USE;
use super::publish;
use super::state::{Over, Session};
use super::transfer::ANEW;
use super::why::{NO_FILE, NOT_FOR_ALL};
use crate::sys::tree::Keeper;
use nix::unistd::Whence;
use std::os::fd::OwnedFd;

/// What a download's name leads to.
pub enum Source {
    /// A file, open at its offset, and where it comes from.
    Ready(OwnedFd, Keeper),
    /// A directory.
    NoFile,
    /// Something else without contents to send, or nothing this session may read; why, unless there is nothing.
    Closed(String),
    /// Nothing, which has been said.
    Said,
}

/// Opens the file of a download, if this session may read it, locked where uploads are. While the lock is waited for the name may come to
/// mean another file, and the one that had it may be what is left of an upload that has failed.
///
/// # Errors
/// The session is over.
pub fn source(session: &mut Session, path: &[u8], offset: u64) -> Result<Source, Over> {
    for _ in 0..ANEW {
        let found = opened_to_read(session, path, offset);
        let Source::Ready(file, _) = &found else {
            return Ok(found);
        };
        if !session.lock_to_read(file)? {
            return Ok(Source::Said);
        }
        if !session.waited || publish::is_named(session, path, file) {
            return Ok(found);
        }
    }
    session.reply(450, IN_USE);
    Ok(Source::Said)
}

fn opened_to_read(session: &Session, path: &[u8], offset: u64) -> Source {
    let (file, meta) = match session.tree.open_read(&session.cwd, path) {
        Ok(found) => found,
        Err(why) => return Source::Closed(session.unreachable(path, why)),
    };
    if meta.is_dir() {
        return Source::NoFile;
    }
    // What the kernel makes up is no file to serve, whatever size it claims (attacks B-063).
    let keeper = session.tree.keeper(&file, &meta);
    if !meta.is_file() || keeper == Keeper::Kernel {
        return Source::Closed(NO_FILE.to_owned());
    }
    let hidden = session.anonymous() && session.config.anon_world_readable_only;
    if hidden && meta.mode & 0o004 == 0 {
        return Source::Closed(NOT_FOR_ALL.to_owned());
    }
    let seek = i64::try_from(offset).unwrap_or(i64::MAX);
    if offset != 0 && nix::unistd::lseek(&file, seek, Whence::SeekSet).is_err() {
        return Source::Closed("its file system does not let it be read from there".to_owned());
    }
    Source::Ready(file, keeper)
}
