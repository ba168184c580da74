//! Where the session is: PWD, CWD, CDUP and the messages of directories; worker.

use super::state::{Flow, Session};
use crate::ftp::reply;
use crate::sys::tree::VirtualPath;
use nix::errno::Errno;
use std::os::unix::ffi::OsStrExt;

/// The longest message file shown (reference §0.1).
const MESSAGE: usize = 4000;

/// How many directories are remembered as greeted (reference §0.1).
const REMEMBERED: usize = 100;

/// PWD, XPWD.
pub fn pwd(session: &mut Session, _: &[u8]) -> Flow {
    // A directory that is gone has no name, one that may not be searched any more has: as the original's getcwd.
    let shown = match session.tree.enter(&session.cwd, b".") {
        Ok(here) => reply::quoted(here.as_bytes()),
        Err(Errno::EACCES) => reply::quoted(session.cwd.as_bytes()),
        Err(_) => reply::quoted(b""),
    };
    let text = [shown.as_slice(), b" is the current directory"].concat();
    session.reply(257, &text);
    Ok(())
}

/// CWD, XCWD.
pub fn cwd(session: &mut Session, arg: &[u8]) -> Flow {
    let path = session.expand(arg);
    if session.denied(&path) {
        return Ok(());
    }
    match session.tree.enter(&session.cwd, &path) {
        Ok(there) => {
            arrive(session, there);
            session.reply(250, b"Directory successfully changed.");
        }
        Err(why) => {
            session.unentered(&path, why);
            session.reply(550, b"Failed to change directory.");
        }
    }
    Ok(())
}

/// CDUP, XCUP.
pub fn cdup(session: &mut Session, _: &[u8]) -> Flow {
    cwd(session, b"..")
}

fn arrive(session: &mut Session, there: VirtualPath) {
    session.cwd = there;
    session.show_message(250);
}

impl Session {
    /// Shows the message of the current directory, the first time it is entered (reference §1.1, 22).
    pub fn show_message(&mut self, code: u16) {
        if !self.config.dirmessage_enable {
            return;
        }
        let Some(name) = self.config.message_file.clone() else {
            return;
        };
        let Ok(meta) = self.tree.stat(&self.cwd, b".") else {
            return;
        };
        if !self.seen.insert((meta.dev, meta.ino)) {
            return;
        }
        if self.seen.len() > REMEMBERED {
            self.seen.clear();
            self.seen.insert((meta.dev, meta.ino));
        }
        let Ok(text) = self.tree.read_small(&self.cwd, name.as_bytes(), MESSAGE) else {
            return;
        };
        for line in reply::lines(&text) {
            self.dash(code, line);
        }
    }
}
