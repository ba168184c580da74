//! Processes that outlive their session: their helper is gone, so they became master's children, and master ends them; master.

use crate::sys::process;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Ends every child of our name that is no session's helper: as the first process of a container master adopts others as well. One
/// that has rights is an auth that closes a PAM session: it ends by itself. A worker has none, also as root.
pub fn end(is_helper: impl Fn(Pid) -> bool) {
    let own = process::name(Pid::this());
    for child in process::children() {
        let stray = !is_helper(child)
            && process::name(child) == own
            && process::is_capable(child) == Some(false);
        if stray {
            // It may be gone by now.
            let _ = kill(child, Signal::SIGKILL);
        }
    }
}
