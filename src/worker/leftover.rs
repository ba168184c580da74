//! What broken uploads have left under hidden names (`atomic_uploads`): to be gone on from, or in the way of a name that means another file
//! now, or none, and of a directory that looks empty; worker.

use super::commands::denied;
use super::publish::{hidden, is_partial, renames, renames_others, same};
use super::state::Session;
use crate::sys::lock::whole;
use crate::sys::tree::{Access, Meta, VirtualPath};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;

/// How many of them a directory may hold to be removed with them.
const MOST: usize = 1000;

/// How much of a file that is not there itself has come, if this session can go on from that: what SIZE tells, so that it does. Whoever
/// cannot is to send it anew.
pub fn resumable(session: &Session, path: &[u8]) -> Option<Meta> {
    let (partial, meta) = left_behind(session, path)?;
    let own = meta.uid == session.verdict.uid.as_raw();
    let named = renames(session, &partial) && (own || renames_others(session, &partial));
    let root = VirtualPath::root();
    (named && session.tree.may(&root, &partial, Access::Write)).then_some(meta)
}

/// The partial of a file that is not there itself, also where a link leads to it.
pub fn left_behind(session: &Session, path: &[u8]) -> Option<(Vec<u8>, Meta)> {
    if !session.config.atomic_uploads || path.ends_with(b"/") {
        return None;
    }
    let root = VirtualPath::root();
    let target = session.tree.canonical(&session.cwd, path)?;
    if session.tree.lstat(&root, &target) != Err(Errno::ENOENT) {
        return None;
    }
    let partial = hidden(&target)?;
    let meta = session.tree.lstat(&root, &partial).ok()?;
    meta.is_file().then_some((partial, meta))
}

/// After a file was removed: nobody goes on from what a broken upload of that name has left, or takes it for the file. The name is meant
/// itself, be it a link's.
pub fn forget(session: &Session, at: &VirtualPath, path: &[u8]) {
    if !session.config.atomic_uploads || path.ends_with(b"/") {
        return;
    }
    if let Some(partial) = hidden(&at.join(path)) {
        remove(session, &partial);
    }
}

/// The same after a file was renamed, for the name it had and the one it has. What a client itself gives a hidden name it wants to keep.
pub fn renamed(session: &Session, (at, from): (&VirtualPath, &[u8]), to: &[u8]) {
    let name = to.rsplit(|byte| *byte == b'/').next();
    if !name.is_some_and(is_partial) && at.join(from) != session.cwd.join(to) {
        forget(session, at, from);
        forget(session, &session.cwd, to);
    }
}

/// Empties a directory that lists as empty and is not: true if what it held was only what broken uploads have left.
pub fn clear(session: &Session, path: &[u8]) -> bool {
    if !session.config.atomic_uploads || denied(session.config, b"DELE") {
        return false;
    }
    let Some(place) = session.tree.canonical(&session.cwd, path) else {
        return false;
    };
    // The root is what is above it too, and goes away with neither name.
    if place == b"/" {
        return false;
    }
    let Ok(directory) = session.tree.open_dir(&VirtualPath::root(), &place) else {
        return false;
    };
    let (found, other) = (RefCell::new(Vec::new()), Cell::new(false));
    let read = directory.entries(
        true,
        || !other.get() && found.borrow().len() <= MOST,
        |name| {
            let dots = name == b"." || name == b"..";
            other.set(other.get() || !dots && !is_partial(name));
            // What lists as something need not be looked at any further.
            !dots && !other.get()
        },
        |name, meta| match meta {
            Some(Ok(meta)) if meta.is_file() => found.borrow_mut().push(name.to_vec()),
            _ => other.set(true),
        },
    );
    let found: Vec<_> = (found.into_inner().iter())
        .map(|name| [place.as_slice(), b"/", name].concat())
        .collect();
    // All or none.
    let only = read.is_ok() && !other.get() && found.len() <= MOST;
    only && found.iter().all(|one| vacant(session, one).is_some())
        && found.iter().all(|one| remove(session, one))
}

/// Takes back a partial of this session's making, while its lock is held: whoever gets that then, and finds the name as it was, takes what
/// has the name by then for it.
pub fn unmake(session: &Session, partial: &[u8], created: bool) {
    if created {
        let _ = session.tree.unlink(&VirtualPath::root(), partial);
    }
}

/// Removes one that no session is writing.
fn remove(session: &Session, partial: &[u8]) -> bool {
    let held = vacant(session, partial);
    held.is_some() && session.tree.unlink(&VirtualPath::root(), partial).is_ok()
}

/// One that no session is writing, and none begins to while it is held.
fn vacant(session: &Session, partial: &[u8]) -> Option<OwnedFd> {
    let file = session.tree.open_kept(partial).ok()?;
    let lock = fcntl(&file, FcntlArg::F_OFD_SETLK(&whole(libc::F_WRLCK)));
    // Where there are no locks nobody knows.
    (lock.is_ok() && same(session, partial, &file)).then_some(file)
}
