//! Atomic uploads: bytes go to a hidden name beside the target, which gets its name when every byte is there, and the names of STOU; worker.
//!
//! Two sessions never write one partial: its lock belongs to the open file (F_OFD_SETLK), and is held until it has its name.

use super::leftover;
use super::state::{Over, Session};
use super::transfer::{Manner, Target, gives_away};
use super::why;
use crate::sys::lock::whole;
use crate::sys::tree::{Access, Create, Meta, VirtualPath, Writable, meta_of, same_attributes};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::stat::Mode;
use std::os::fd::{AsFd, OwnedFd};

/// Names STOU tries before it gives up (attacks B-056).
const NAMES: u32 = 10_000;

/// What a partial's name ends in; it begins with a dot.
const SUFFIX: &[u8] = b".uploading";

/// The longest name of a file (NAME_MAX).
const LONGEST: usize = 255;

/// How often a partial that was published by another session meanwhile is made anew.
const TRIES: u32 = 100;

/// A partial that is to get its name.
pub struct Partial {
    /// Its own path, absolute and without links.
    pub path: Vec<u8>,
    target: Vec<u8>,
    /// A file that is there by then is not replaced: it must not be, or what has come goes on from another one.
    fresh: bool,
    /// What it is to replace: device and inode.
    old: Option<(u64, u64)>,
    /// Keeps the lock.
    file: OwnedFd,
}

/// How an upload begins.
pub enum Opening {
    /// Under its own name, as without the option.
    Direct,
    /// Not at all: 553.
    Refused,
    /// Not at all, which has been said.
    Said,
    /// Under the hidden name.
    Hidden(Target),
}

/// Whether a name in a listing is a partial's.
pub fn is_partial(name: &[u8]) -> bool {
    name.len() > SUFFIX.len().saturating_add(1) && name.starts_with(b".") && name.ends_with(SUFFIX)
}

/// The path of the partial that belongs to an absolute path.
pub fn hidden(target: &[u8]) -> Option<Vec<u8>> {
    let at = target.iter().rposition(|byte| *byte == b'/')?;
    let (directory, name) = target.split_at_checked(at.saturating_add(1))?;
    let length = name.len().saturating_add(SUFFIX.len()).saturating_add(1);
    let usable = !name.is_empty() && length <= LONGEST;
    usable.then(|| [directory, b".", name, SUFFIX].concat())
}

/// What is in the partial of a file that is whole, that this session may replace, and that was not written since: a client whose upload
/// was broken off takes the old file for the beginning of its own, and must not go on behind that.
pub fn broken_off(session: &Session, path: &[u8]) -> Option<u64> {
    if !session.config.atomic_uploads || !session.config.write_enable || path.ends_with(b"/") {
        return None;
    }
    let root = VirtualPath::root();
    let target = session.tree.canonical(&session.cwd, path)?;
    let begun = session.tree.lstat(&root, &hidden(&target)?).ok()?;
    let old = session.tree.stat(&root, &target).ok()?;
    let later = (begun.mtime, begun.mtime_nsec) > (old.mtime, old.mtime_nsec);
    let own = begun.is_file() && begun.uid == old.uid;
    let misleads = own && later && replaceable(session, &target, &old);
    misleads.then_some(begun.size)
}

/// Opens the partial of an upload, locked.
///
/// # Errors
/// The session is over.
pub fn open(session: &mut Session, path: &[u8], manner: Manner) -> Result<Opening, Over> {
    let named = manner != Manner::Unique && !path.is_empty() && !path.ends_with(b"/");
    if !session.config.atomic_uploads || !named {
        return Ok(Opening::Direct);
    }
    let Some((target, partial)) = session
        .tree
        .canonical(&session.cwd, path)
        .and_then(|target| hidden(&target).map(|partial| (target, partial)))
    else {
        return Ok(Opening::Direct);
    };
    if halts(session, path, &target) {
        return Ok(Opening::Direct);
    }
    if session.tree.is_fixed(&target) {
        session.note_once(
            "atomic_uploads: a name cannot be given to a new file (a mount, or an attribute of chattr); it is written in place",
        );
        return Ok(in_place(session, path, manner));
    }
    begin(session, (path, manner), (target, partial))
}

/// Whether the upload would end at a link: who may make new files only makes none behind one, and the kernel lets nobody follow what
/// somebody else has put into a directory with the sticky bit (`fs.protected_symlinks`).
fn halts(session: &Session, path: &[u8], target: &[u8]) -> bool {
    let direct = session.cwd.join(path) == target;
    let named = |path| session.tree.lstat(&session.cwd, path);
    let link = !direct && named(path).is_ok_and(|meta| meta.is_link());
    link && (is_fresh(session) || session.tree.stat(&session.cwd, path) == Err(Errno::EACCES))
}

/// Opens the partial of an upload that may have one, and locks it.
fn begin(
    session: &mut Session,
    (path, manner): (&[u8], Manner),
    (target, partial): (Vec<u8>, Vec<u8>),
) -> Result<Opening, Over> {
    for _ in 0..TRIES {
        // Anew each time: who has waited for the lock of an upload that was completed finds another file than before.
        let Some(old) = replaced(session, (&target, &partial), manner) else {
            return Ok(in_place(session, path, manner));
        };
        let (file, created) = match make(session, &partial, manner) {
            Ok(made) => made,
            Err(Errno::EACCES | Errno::EPERM | Errno::EROFS | Errno::ENAMETOOLONG) => {
                session.note_once("atomic_uploads: a directory does not allow a hidden name; files are written under their own there");
                return Ok(in_place(session, path, manner));
            }
            Err(why) => {
                session.uncreated(why);
                return Ok(Opening::Refused);
            }
        };
        let Ok(keep) = file.try_clone() else {
            return Ok(Opening::Refused);
        };
        if !session.lock_own(&keep)? {
            return Ok(Opening::Said);
        }
        if !same(session, &partial, &keep) {
            continue;
        }
        // With what somebody else has left the new file would be theirs.
        let anew = !created && manner == (Manner::Store { offset: 0 }) && !is_own(session, &keep);
        if anew && session.tree.unlink(&VirtualPath::root(), &partial).is_ok() {
            continue;
        }
        let now = replaced(session, (&target, &partial), manner);
        if now.map(|now| now.map(place)) != Some(old.map(place)) {
            leftover::unmake(session, &partial, created);
            continue;
        }
        let made = (file, keep, created);
        if let Some(opening) = ready(session, (path, manner), old, made, (&target, &partial)) {
            return Ok(opening);
        }
    }
    session.not_stored(why::CONTENDED);
    Ok(Opening::Refused)
}

/// An upload whose first byte belongs into no partial: what goes on where a broken one has ended would lack that one's bytes.
fn in_place(session: &mut Session, path: &[u8], manner: Manner) -> Opening {
    if manner == (Manner::Store { offset: 0 }) {
        return Opening::Direct;
    }
    let why = if leftover::left_behind(session, path).is_some() {
        why::NOT_RESUMED.to_owned()
    } else if let Some(length) = broken_off(session, path) {
        why::broken_off(length)
    } else {
        return Opening::Direct;
    };
    session.not_stored(&why);
    Opening::Refused
}

/// The file that the partial is to replace, if there is one; `None` where the first byte does not belong into a partial.
fn replaced(
    session: &Session,
    (target, partial): (&[u8], &[u8]),
    manner: Manner,
) -> Option<Option<Meta>> {
    for _ in 0..TRIES {
        let old = match session.tree.stat(&VirtualPath::root(), target) {
            Err(Errno::ENOENT) => None,
            Err(_) => return None,
            Ok(old) => Some(old),
        };
        if old.is_none_or(|old| replaceable(session, target, &old)) {
            return starts(session, partial, old, manner).then_some(old);
        }
        // Another may have come, or it may have gone, while it was looked at.
        if is_still(session, target, old) {
            break;
        }
    }
    None
}

/// A locked partial, with the rights of the file it is to replace; `None` where that is another one by now.
fn ready(
    session: &mut Session,
    (path, manner): (&[u8], Manner),
    old: Option<Meta>,
    (file, keep, created): (OwnedFd, OwnedFd, bool),
    (target, partial): (&[u8], &[u8]),
) -> Option<Opening> {
    let Ok(meta) = meta_of(&file) else {
        return Some(Opening::Refused);
    };
    let foreign = gives_away(session) || meta.uid != session.verdict.uid.as_raw();
    let unfit = if foreign && !renames_others(session, target) {
        Some(
            "atomic_uploads: what is somebody else's cannot get its name in a directory with the sticky bit (chown_uploads, or a broken \
             upload of another user); files are written under their own there",
        )
    } else if !created && !renames(session, target) {
        Some(
            "atomic_uploads: what is left of an upload cannot get its name in a directory that allows no new ones; it is written in place",
        )
    } else if !old.is_none_or(|old| takes_after(session, target, (&file, &meta), &old)) {
        if !is_still(session, target, old) {
            leftover::unmake(session, partial, created);
            return None;
        }
        Some(
            "atomic_uploads: a new file cannot stand for the old one, which has another group, an access control list or other extended \
             attributes (xattr(7)), or is a mount; it is written in place",
        )
    } else {
        None
    };
    if let Some(unfit) = unfit {
        leftover::unmake(session, partial, created);
        session.note_once(unfit);
        return Some(in_place(session, path, manner));
    }
    Some(Opening::Hidden(Target {
        file,
        meta,
        created,
        path: path.to_vec(),
        partial: Some(Partial {
            path: partial.to_vec(),
            target: target.to_vec(),
            fresh: is_fresh(session) || old.is_none() && manner != (Manner::Store { offset: 0 }),
            old: old.map(place),
            file: keep,
        }),
        seen: None,
    }))
}

/// Whether a path leads to the same file as before, or to none still.
fn is_still(session: &Session, target: &[u8], old: Option<Meta>) -> bool {
    let now = session.tree.stat(&VirtualPath::root(), target).ok();
    now.map(place) == old.map(place)
}

/// Whether a file is of this session's user.
fn is_own(session: &Session, file: &OwnedFd) -> bool {
    meta_of(file).is_ok_and(|meta| meta.uid == session.verdict.uid.as_raw())
}

/// Gives a new file the group and the mode of the old one; false if it cannot have them, or would lose or add what else belongs to the old
/// one, or cannot have its place, on which that is mounted.
fn takes_after(
    session: &Session,
    target: &[u8],
    (file, meta): (&OwnedFd, &Meta),
    old: &Meta,
) -> bool {
    if meta.dev != old.dev {
        return false;
    }
    let group = nix::unistd::Gid::from_raw(old.gid);
    let grouped = old.gid == meta.gid || nix::unistd::fchown(file, None, Some(group)).is_ok();
    let mode = Mode::from_bits_truncate(old.mode & 0o777);
    // Last: of a file with an access control list the mode's group is the list's mask.
    let moded = old.mode & 0o777 == meta.mode & 0o777 || nix::sys::stat::fchmod(file, mode).is_ok();
    grouped
        && moded
        && session
            .tree
            .open_read(&VirtualPath::root(), target)
            .is_ok_and(|(was, found)| {
                place(found) == place(*old) && same_attributes(&was, file).unwrap_or(false)
            })
}

/// In MODE Z, where the upload begins that is about to, if nothing of the file lies behind: a stream that turns out damaged leaves no
/// byte that is known to be good, and none of them may stay to be resumed.
pub fn unproven(session: &Session, file: &OwnedFd, truncate: bool) -> Option<i64> {
    if !session.modern.packed {
        return None;
    }
    if truncate {
        return Some(0);
    }
    let at = nix::unistd::lseek(file, 0, nix::unistd::Whence::SeekCur).ok()?;
    let size = i64::try_from(meta_of(file).ok()?.size).ok()?;
    (size <= at).then_some(at)
}

/// Whether the session may make new files only.
pub fn is_fresh(session: &Session) -> bool {
    session.anonymous() && !session.config.anon_other_write_enable
}

/// The directory above an absolute path without links.
fn above(target: &[u8]) -> &[u8] {
    let end = target.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    target.get(..end.max(1)).unwrap_or(b"/")
}

/// Whether the session may rename a file of its own that lies beside this one.
pub fn renames(session: &Session, target: &[u8]) -> bool {
    session.tree.writable(&VirtualPath::root(), above(target)) == Writable::Yes
}

/// Whether the session may rename a file of somebody else's that lies beside this one.
pub fn renames_others(session: &Session, target: &[u8]) -> bool {
    let found = session.tree.stat(&VirtualPath::root(), above(target)).ok();
    found.is_none_or(|found| found.mode & 0o1000 == 0 || found.uid == session.verdict.uid.as_raw())
}

/// Whether a file can be replaced by another without loss, and might be written by this session: its owner's, under one name.
/// What it may not write it must not replace either, though the directory would let it.
fn replaceable(session: &Session, target: &[u8], old: &Meta) -> bool {
    let root = VirtualPath::root();
    old.is_file()
        && !is_fresh(session)
        && old.uid == session.verdict.uid.as_raw()
        // It may have lost its name while it was looked at.
        && old.nlink <= 1
        && session.tree.may(&root, target, Access::Write)
}

/// Whether the first byte belongs into the partial: always for a new file; into one that is there it goes only to continue the
/// very partial the offset speaks of.
fn starts(session: &Session, partial: &[u8], old: Option<Meta>, manner: Manner) -> bool {
    let Some(old) = old else { return true };
    match manner {
        Manner::Store { offset: 0 } => true,
        Manner::Store { offset } => {
            let begun = session.tree.lstat(&VirtualPath::root(), partial);
            old.size != offset && begun.is_ok_and(|begun| begun.is_file() && begun.size == offset)
        }
        Manner::Append | Manner::Unique => false,
    }
}

/// Makes the file of STOU: the given name if it is free, else with `.1`, `.2` …; without a name `STOU.1` and on.
/// The rules judge the name that is free, not the one that was asked for. With `None` the reply has been said.
#[must_use]
pub fn unique(session: &mut Session, path: &[u8]) -> Option<Target> {
    let base: &[u8] = if path.is_empty() { b"STOU" } else { path };
    let mode = session.config.file_open_mode & 0o777;
    for number in u32::from(path.is_empty())..NAMES {
        let name = if number == 0 {
            base.to_vec()
        } else {
            [base, format!(".{number}").as_bytes()].concat()
        };
        if session.tree.stat(&session.cwd, &name).is_ok() {
            continue;
        }
        if !session.admits(&name) {
            return None;
        }
        match session.tree.create(&session.cwd, &name, mode, Create::New) {
            Ok((file, created, meta)) => {
                return Some(Target {
                    file,
                    meta,
                    created,
                    path: name,
                    partial: None,
                    seen: None,
                });
            }
            Err(Errno::EEXIST) => {}
            Err(why) => {
                if why == Errno::EINTR {
                    undo(session, &name);
                }
                session.uncreated(why);
                break;
            }
        }
    }
    session.reply(553, b"Could not create file.");
    None
}

/// Removes what a call that was interrupted may have made: an empty file of this session's where there was none before.
fn undo(session: &Session, name: &[u8]) {
    let made = session.tree.lstat(&session.cwd, name).is_ok_and(|meta| {
        let own = meta.uid == session.verdict.uid.as_raw() && meta.nlink == 1;
        own && meta.is_file() && meta.size == 0
    });
    if made {
        let _ = session.tree.unlink(&session.cwd, name);
    }
}

/// Opens the partial, new or left behind. One that this session may not write to, because it was given away by chown_uploads for example,
/// is made anew, unless the upload is to go on from it.
fn make(session: &Session, partial: &[u8], manner: Manner) -> nix::Result<(OwnedFd, bool)> {
    let root = VirtualPath::root();
    let mode = session.config.file_open_mode & 0o777;
    for _ in 0..TRIES {
        match session.tree.create(&root, partial, mode, Create::New) {
            Err(Errno::EEXIST) => {}
            done => return done.map(|(file, created, _)| (file, created)),
        }
        match session.tree.open_kept(partial) {
            Err(Errno::ENOENT) => {}
            Err(Errno::EACCES) if manner == (Manner::Store { offset: 0 }) => {
                session.tree.unlink(&root, partial)?;
            }
            done => return done.map(|file| (file, false)),
        }
    }
    Err(Errno::EEXIST)
}

/// Which file it is.
fn place(meta: Meta) -> (u64, u64) {
    (meta.dev, meta.ino)
}

/// Whether the name still means the open file, and no link does.
pub fn same(session: &Session, partial: &[u8], file: &OwnedFd) -> bool {
    let named = session.tree.lstat(&VirtualPath::root(), partial);
    let open = meta_of(file);
    match (named, open) {
        (Ok(named), Ok(open)) => named.is_file() && (named.dev, named.ino) == (open.dev, open.ino),
        _ => false,
    }
}

/// Whether a name still means the open file.
pub fn is_named(session: &Session, name: &[u8], file: &OwnedFd) -> bool {
    let path = session.tree.canonical(&session.cwd, name);
    path.is_some_and(|path| same(session, &path, file))
}

/// Whether nobody else has written to the file of an upload since that has, or, should it not have begun, since it was opened.
pub fn is_ours(session: &Session, target: &Target) -> bool {
    meta_of(&target.file).is_ok_and(|now| match &target.seen {
        Some(seen) => seen.is_last(&now, session.tree.keeper(&target.file, &now)),
        None => now.stamp() == target.meta.stamp(),
    })
}

/// Removes what a failed upload has left under its name: only if it is the very file this session has made, which no other session
/// is writing, nor anybody has written.
pub fn discard(session: &mut Session, target: &Target) {
    let written = target
        .partial
        .as_ref()
        .map_or(&target.path, |partial| &partial.path);
    let Some(path) = session.tree.canonical(&session.cwd, written) else {
        return;
    };
    // Ours is this very lock already, if it was got.
    let lock = || {
        fcntl(
            target.file.as_fd(),
            FcntlArg::F_OFD_SETLK(&whole(libc::F_WRLCK)),
        )
    };
    let busy =
        session.config.lock_upload_files && matches!(lock(), Err(Errno::EACCES | Errno::EAGAIN));
    if is_ours(session, target) && !busy && same(session, &path, &target.file) {
        let gone = session.tree.unlink(&VirtualPath::root(), &path);
        if let Err(why) = gone {
            session.unremoved(why);
        }
    }
}

/// Whether what a failed upload has left is removed: what was there before is not, but for what an earlier one has left.
pub fn is_given_up(session: &Session, target: &Target) -> bool {
    session.config.delete_failed_uploads && (target.created || target.partial.is_some())
}

/// Has the disk hold a complete upload, where `fsync_uploads` asks for that, and gives a partial its name. A file that somebody has
/// deleted meanwhile is held nowhere.
///
/// # Errors
/// Those of fsync(2) and rename(2); a partial stays.
pub fn settle(session: &Session, target: &Target) -> Result<(), Errno> {
    if meta_of(&target.file)?.nlink == 0 {
        return Err(Errno::ENOENT);
    }
    let sync = session.config.fsync_uploads;
    if sync {
        nix::unistd::fsync(&target.file)?;
    }
    let named = match &target.partial {
        Some(partial) => {
            partial.publish(session)?;
            Some(partial.target.clone())
        }
        None if sync && target.created => session.tree.canonical(&session.cwd, &target.path),
        None => None,
    };
    match named
        .filter(|_| sync)
        .map(|path| session.tree.sync_above(&path))
    {
        // A drop box may be entered and not read, and so not be opened: that the file's own record is on disk is what can be had there.
        Some(Err(Errno::EACCES)) => nix::unistd::fsync(&target.file),
        Some(done) => done,
        None => Ok(()),
    }
}

impl Partial {
    /// Gives the file its name; the old one is gone only by this. One that has come meanwhile is replaced only if it could have been
    /// written.
    fn publish(&self, session: &Session) -> Result<(), Errno> {
        let root = VirtualPath::root();
        if !same(session, &self.path, &self.file) {
            return Err(Errno::ENOENT);
        }
        for rest in (0..TRIES).rev() {
            let now = session.tree.stat(&root, &self.target).ok();
            match self.suits(session, now) {
                // What did not suit may be another one while it was looked at.
                Err(_) if rest > 0 && !is_still(session, &self.target, now) => {}
                Err(why) => return Err(why),
                Ok(()) => break,
            }
        }
        if self.fresh {
            session.tree.rename_new(&self.path, &self.target)?;
        } else {
            session
                .tree
                .rename(&root, &self.path, &root, &self.target)?;
        }
        Ok(())
    }

    /// Gives it the rights of what has its name now, if that may be replaced.
    fn suits(&self, session: &Session, now: Option<Meta>) -> Result<(), Errno> {
        let another = now.filter(|now| self.old != Some(place(*now)));
        if another.is_some_and(|another| !replaceable(session, &self.target, &another)) {
            return Err(Errno::EEXIST);
        }
        // Somebody may have changed its mode since the upload began. What was given away has its own.
        let Some(now) = now.filter(|_| !gives_away(session)) else {
            return Ok(());
        };
        let own = meta_of(&self.file)?;
        let rights = |meta: &Meta| (meta.gid, meta.mode & 0o777);
        let changed = another.is_some() || rights(&now) != rights(&own);
        if changed && !takes_after(session, &self.target, (&self.file, &own), &now) {
            return Err(Errno::EPERM);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{hidden, is_partial};

    #[test]
    fn names_of_partials() {
        assert_eq!(hidden(b"/a/b").unwrap(), b"/a/.b.uploading");
        assert_eq!(hidden(b"/b").unwrap(), b"/.b.uploading");
        assert_eq!(hidden(b"/"), None);
        assert_eq!(hidden(&[b"/".as_slice(), &[b'x'; 245]].concat()), None);
        assert!(hidden(&[b"/".as_slice(), &[b'x'; 244]].concat()).is_some());
        assert!(is_partial(b".b.uploading") && !is_partial(b"..uploading"));
        assert!(!is_partial(b".uploading") && !is_partial(b"b.uploading"));
        assert!(!is_partial(b"name.uploading") && !is_partial(b".hidden-otherwise"));
    }
}
