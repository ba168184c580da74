//! How the processes of a session are waited for, and what is written down of their ends; helper.

use super::journal::Journal;
use crate::config::Config;
use crate::sys::process;
use crate::sys::socket::{self, Fuse};
use nix::unistd::Pid;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a greeter that must end may take to say its last word before it is killed.
pub const LAST_WORD: Duration = Duration::from_secs(5);

/// How long a worker may take to enter its directory: `idle_session_timeout`, but not more than this,
const ENTERING: Duration = Duration::from_secs(60);

/// and not less than this: a busy machine is no file system that hangs.
const BUSY: Duration = Duration::from_secs(5);

/// Waits until the worker has arrived in its directory, or has ended without. A file system that does not answer holds it there, perhaps
/// beyond any signal: then its client is told, and the session goes on to count until that ends (attacks B-003).
pub fn see_in(
    config: &Config,
    channel: BorrowedFd<'_>,
    fuse: Option<Fuse>,
    journal: &mut Journal,
) -> Option<Fuse> {
    let patience = match config.idle_session_timeout {
        0 => ENTERING,
        seconds => Duration::from_secs(seconds.into()).clamp(BUSY, ENTERING),
    };
    let until = Instant::now().checked_add(patience);
    // Whatever it says first, it says then, and its end is heard too.
    if !matches!(socket::readable(channel, until), Ok(false)) {
        return fuse;
    }
    journal
        .note(b"login ended: the directory of this login does not answer; its file system hangs");
    fuse?.blow_with(b"500 OOPS: cannot change directory\r\n");
    None
}

/// Waits for a process that has nothing left to do; false: it goes on all the same.
pub fn has_ended(who: &str, process: Pid, watch: Option<&OwnedFd>, journal: &mut Journal) -> bool {
    let until = Instant::now().checked_add(LAST_WORD);
    match process::wait_until(process, watch, until) {
        Ok(Some(ended)) => note_death(who, Ok(ended), journal),
        Ok(None) => return false,
        Err(_) => {}
    }
    true
}

/// Writes down that a process that speaks with the client was killed, and what to do about it.
pub fn note_death(who: &str, ended: std::io::Result<process::Ended>, journal: &mut Journal) {
    match ended {
        Ok(process::Ended::Killed(libc::SIGSYS)) => journal.note(
            format!(
                "{who} was ended by its filter for a system call that is not on its list: an attack, or a mistake in the list; to see \
                 which call it is, start the server in a terminal with VSFTPD_SANDBOX=report in its environment; \
                 seccomp_sandbox=NO serves without the filter"
            )
            .as_bytes(),
        ),
        Ok(process::Ended::Killed(signal)) => {
            journal.note(format!("{who} was killed by signal {signal}").as_bytes());
        }
        Ok(process::Ended::Exited(_)) | Err(_) => {}
    }
}
