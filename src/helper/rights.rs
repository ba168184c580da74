//! The rights helper has before login, and the few it keeps after it; runs in the helper.

use super::prepared::Prepared;
use crate::sys::capability;
use crate::sys::confine::{self, Isolation, Plan, Root};
use crate::sys::landlock::Reach;
use crate::sys::seccomp::List;
use caps::Capability;
use std::os::fd::{AsFd, OwnedFd};

/// What every helper needs before login.
const BEFORE_LOGIN: &[Capability] = &[
    Capability::CAP_SETUID,
    Capability::CAP_SETGID,
    Capability::CAP_SETPCAP,
    Capability::CAP_SYS_CHROOT,
    Capability::CAP_NET_BIND_SERVICE,
];

/// What this one needs before login; auth, its child, takes back more.
pub fn before_login(prepared: &Prepared) -> Vec<Capability> {
    let mut needed = BEFORE_LOGIN.to_vec();
    if prepared.config().chown_uploads {
        needed.push(Capability::CAP_CHOWN);
    }
    if prepared.isolation() != Isolation::default() {
        needed.push(Capability::CAP_SYS_ADMIN);
    }
    needed
}

/// Empties the bounding set, which children inherit, once no auth is to come: what its PAM modules start may need some of it.
pub fn unbind(prepared: &Prepared) -> Result<(), nix::errno::Errno> {
    if prepared.config().run_as_launching_user {
        return Ok(());
    }
    capability::bound(&[])
}

/// Drops to the unprivileged account in the empty root, which nothing names any more then, keeping what the session may still ask for; `gives`
/// are uploads to an heir.
pub fn give_up(
    prepared: &Prepared,
    empty: OwnedFd,
    gives: bool,
) -> Result<confine::Confined, confine::Failure> {
    let config = prepared.config();
    let mut keep = Vec::new();
    if config.connect_from_port_20 && config.ftp_data_port < 1024 {
        keep.push(Capability::CAP_NET_BIND_SERVICE);
    }
    if gives {
        keep.push(Capability::CAP_CHOWN);
    }
    // What a container has not is not kept: a session goes on without, and what needs it fails when it is asked for.
    let held = capability::read().map_or(0, |sets| sets.permitted);
    keep.retain(|right| held & right.bitmask() != 0);
    let list = List::Helper { gives };
    let reach = Reach::Nothing { connects: true };
    confine::confine(&Plan {
        root: empty_root(prepared, &empty),
        uid: prepared.nopriv().uid,
        gid: prepared.nopriv().gid,
        groups: &[],
        keep: &keep,
        limits: HELPER_LIMITS,
        // It makes the data sockets: in an empty network there are none to make.
        isolation: Isolation::default(),
        // It outlives master: a restart of the service leaves sessions alone.
        parent: None,
        fences: &|| prepared.wanted().fences(list, reach),
    })
}

/// The empty root of processes that need no files; an ordinary user's server has no right to change roots.
pub fn empty_root<'a>(prepared: &Prepared, empty: &'a OwnedFd) -> Root<'a> {
    if prepared.config().run_as_launching_user {
        Root::Kept
    } else {
        Root::Directory(empty.as_fd())
    }
}

/// What helper may use after login.
const HELPER_LIMITS: &[(nix::sys::resource::Resource, u64)] = {
    use nix::sys::resource::Resource;
    &[
        (Resource::RLIMIT_NPROC, 0),
        (Resource::RLIMIT_CORE, 0),
        // It holds few. But this is also how many sockets all helpers together may have on their way to workers (unix(7), ETOOMANYREFS), and
        // a greeter, which is the same user, may have put some 250 on the way to a helper that is busy.
        (Resource::RLIMIT_NOFILE, 4096),
        (Resource::RLIMIT_DATA, 64 << 20),
    ]
};
