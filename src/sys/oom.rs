//! Whom the kernel ends when memory runs out: one session, before what all of them need; master, helper and auth.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

/// proc(5): from -1000, never, to 1000, first; a thousandth of the memory there is for each.
const OWN: &str = "/proc/self/oom_score_adj";
const LEAST: i32 = -1000;
const MOST: i32 = 1000;

/// More than master and what it keeps can be larger than a session, in thousandths of the memory there is.
const APART: i32 = 500;

/// What sessions are to have, as it is written; nothing under inetd, where there is nothing to spare.
static SESSIONS: OnceLock<String> = OnceLock::new();

/// Has the kernel spare this process, and what it forks (attacks B-108). Sessions get back what the server was started with; without the
/// right to be spared, as in a container (`CAP_SYS_RESOURCE`), they are put first instead. Where neither can be done nothing changes.
pub fn spare() {
    let own = fs::read_to_string(OWN).ok();
    let own = own.and_then(|text| text.trim().parse::<i32>().ok());
    let Some(own) = own else { return };
    let spared = own.saturating_sub(APART).max(LEAST);
    let theirs = if fs::write(OWN, spared.to_string()).is_ok() {
        own
    } else {
        own.saturating_add(APART).min(MOST)
    };
    let _ = SESSIONS.set(theirs.to_string());
}

/// This process, and what it forks, belongs to one session: the first that it does. Master does not take a session's place for the moment of
/// the fork, which would spare the child this: to fork takes memory, and whoever is the largest of those in that place is ended for it.
pub fn do_not_spare() {
    if let Some(sessions) = SESSIONS.get()
        && let Ok(own) = File::options().write(true).open(OWN)
    {
        let _ = own.write_at(sessions.as_bytes(), 0);
    }
}
