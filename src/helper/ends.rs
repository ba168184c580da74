//! What is written down of the ends of a session's processes; helper.

use super::journal::Journal;
use crate::sys::process;
use std::time::Duration;

/// How long a process that must end may take for that, a greeter to say its last word, before it is killed.
pub const LAST_WORD: Duration = Duration::from_secs(5);

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
