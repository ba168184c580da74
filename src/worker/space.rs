//! AVBL: the room left for uploads (draft-peterson-streamlined-ftp-command-extensions); worker.

use super::state::{Flow, Session};
use crate::sys::tree::Writable;
use nix::errno::Errno;

/// AVBL: the bytes this user can still store in a directory it may write in, by the file system's count. A quota may allow less.
pub fn avbl(session: &mut Session, arg: &[u8]) -> Flow {
    let path = if arg.is_empty() {
        b".".to_vec()
    } else {
        session.expand(arg)
    };
    if session.denied(&path) {
        return Ok(());
    }
    let found = session.tree.stat(&session.cwd, &path);
    let usable = found.and_then(|meta| match session.tree.writable(&session.cwd, &path) {
        _ if !meta.is_dir() => Err(Errno::ENOTDIR),
        Writable::Yes => Ok(()),
        Writable::ReadOnly => Err(Errno::EROFS),
        Writable::No => Err(Errno::EACCES),
    });
    if let Err(why) = usable {
        session.unseen_at(&path, why);
        session.reply(550, b"Not a directory to write in.");
        return Ok(());
    }
    match session.tree.available(&session.cwd, &path) {
        Ok(bytes) => session.reply(213, bytes.to_string().as_bytes()),
        Err(why) => {
            session.unseen_at(&path, why);
            session.reply(550, b"Could not get the room left.");
        }
    }
    Ok(())
}
