//! Processes that outlive their session: their helper is gone, so they became master's children, and master ends them; master.

use crate::sys::process;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Ends every child that is no session's helper. One that is still root is an auth that closes a PAM session: it ends by itself.
pub fn end(is_helper: impl Fn(Pid) -> bool) {
    for child in process::children() {
        if !is_helper(child) && process::real_uid(child).is_some_and(|uid| !uid.is_root()) {
            // It may be gone by now.
            let _ = kill(child, Signal::SIGKILL);
        }
    }
}
