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

/// What sessions are to have; nothing under inetd, where there is nothing to spare.
static SESSIONS: OnceLock<Sessions> = OnceLock::new();

/// Where master's own is set; opened by the process that is master in the end, which may not be the one that was started.
static PLACE: OnceLock<File> = OnceLock::new();

/// The values, as they are written.
struct Sessions {
    theirs: String,
    masters: String,
}

/// Has the kernel spare this process, and what it forks (attacks B-108). Sessions get back what the server was started with; without the
/// right to be spared, as in a container (`CAP_SYS_RESOURCE`), they are put first instead. Where neither can be done nothing changes.
pub fn spare() {
    let own = fs::read_to_string(OWN).ok();
    let own = own.and_then(|text| text.trim().parse::<i32>().ok());
    let Some(own) = own else { return };
    let spared = own.saturating_sub(APART).max(LEAST);
    let (masters, theirs) = if fs::write(OWN, spared.to_string()).is_ok() {
        (spared, own)
    } else {
        (own, own.saturating_add(APART).min(MOST))
    };
    let _ = SESSIONS.set(Sessions {
        theirs: theirs.to_string(),
        masters: masters.to_string(),
    });
}

/// This process is master, and stays it.
pub fn settle() {
    if SESSIONS.get().is_some()
        && let Ok(place) = File::options().write(true).open(OWN)
    {
        let _ = PLACE.set(place);
    }
}

/// Forks for a session, by master: what is forked has what sessions are to have, and so has master for that moment, which is less than the
/// child's own way there would cost.
pub fn unspared<T>(fork: impl FnOnce() -> T) -> T {
    let (Some(sessions), Some(place)) = (SESSIONS.get(), PLACE.get()) else {
        return fork();
    };
    let _ = place.write_at(sessions.theirs.as_bytes(), 0);
    let forked = fork();
    let _ = place.write_at(sessions.masters.as_bytes(), 0);
    forked
}

/// This process, and what it forks, belongs to one session; for one that master has not forked itself.
pub fn do_not_spare() {
    if let Some(sessions) = SESSIONS.get() {
        let _ = fs::write(OWN, &sessions.theirs);
    }
}
