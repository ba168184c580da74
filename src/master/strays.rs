//! Processes that outlive their session: their helper is gone, so they became master's children, and master ends them; master.

use crate::sys::process;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getsid};

/// Ends every child that is of the session of one of these helpers: as the first process of a container master adopts others as well. The
/// kernel knows whose they are: no list of system calls has one that leaves a session, while a worker may call itself what it likes. One
/// that has rights is an auth that closes a PAM session: it ends by itself. A worker has none, also as root.
pub fn end(helpers: &[Pid]) {
    for child in process::children() {
        let stray = getsid(Some(child)).is_ok_and(|session| helpers.contains(&session))
            && process::is_capable(child) == Some(false);
        if stray {
            // It may be gone by now.
            let _ = kill(child, Signal::SIGKILL);
        }
    }
}
