//! Whom the kernel ends when memory runs out: one session, before what all of them need; master, helper and auth.

use std::fs;
use std::sync::OnceLock;

/// proc(5): from -1000, never, to 1000, first; a thousandth of the memory there is for each.
const OWN: &str = "/proc/self/oom_score_adj";
const LEAST: i32 = -1000;
const MOST: i32 = 1000;

/// More than master and what it keeps can be larger than a session, in thousandths of the memory there is.
const APART: i32 = 500;

/// What sessions are to have; nothing under inetd, where there is nothing to spare.
static SESSIONS: OnceLock<i32> = OnceLock::new();

/// Has the kernel spare this process, and what it forks (attacks B-108). Sessions get back what the server was started with; without the
/// right to be spared, as in a container (`CAP_SYS_RESOURCE`), they are put first instead. Where neither can be done nothing changes.
pub fn spare() {
    let Some(own) = fs::read_to_string(OWN)
        .ok()
        .and_then(|text| text.trim().parse::<i32>().ok())
    else {
        return;
    };
    let spared = own.saturating_sub(APART).max(LEAST);
    let sessions = if set(spared) {
        own
    } else {
        own.saturating_add(APART).min(MOST)
    };
    let _ = SESSIONS.set(sessions);
}

/// This process, and what it forks, belongs to one session.
pub fn do_not_spare() {
    if let Some(sessions) = SESSIONS.get() {
        let _ = set(*sessions);
    }
}

fn set(value: i32) -> bool {
    fs::write(OWN, value.to_string()).is_ok()
}
