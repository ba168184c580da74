//! The keyholder's first steps: it gives everything up; keyholder, as root.

use super::{Beginning, work};
use crate::config::Loaded;
use crate::sys::confine::{self, Plan};
use crate::sys::process;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::os::fd::OwnedFd;

/// Its resource limits. Its descriptors are one for each session: that limit is the system's.
pub const LIMITS: &[(Resource, u64)] = &[
    (Resource::RLIMIT_NPROC, 0),
    (Resource::RLIMIT_FSIZE, 0),
    (Resource::RLIMIT_CORE, 0),
    (Resource::RLIMIT_DATA, 256 << 20),
];

/// Gives everything up, and then does its work; gives the exit status.
pub fn run(loaded: &Loaded, plan: &Plan<'_>, empty: Option<&OwnedFd>, master: Beginning) -> i32 {
    let _ = nix::unistd::setsid();
    process::silence_session();
    // One descriptor for each session: as many as the system lets this process have.
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    let confined = confine::confine(plan);
    // The empty directory has been entered: nothing names it any more.
    if let Some(empty) = empty {
        process::close_inherited(empty);
    }
    let title = loaded.config.setproctitle_enable && empty.is_some();
    work(loaded, confined, master, title)
}
