//! How a worker gets into its directory and rid of root; worker, before it reads anything. What it does then stands in [`inside`](super::inside).

use super::inside::fences;
use super::{Class, Verdict};
use crate::config::Config;
use crate::sys::confine::{self, Confined, Plan, Root, Wanted};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::resource::Resource;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, Uid, chdir};
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

const LIMITS: &[(Resource, u64)] = &[
    (Resource::RLIMIT_CORE, 0),
    (Resource::RLIMIT_NOFILE, 32),
    (Resource::RLIMIT_DATA, 512 << 20),
];

/// The directory a login leads to, found before anything was given up.
#[derive(Debug)]
pub struct Arrived {
    /// It.
    pub opened: OwnedFd,
    /// Its name in the settings, or in the account.
    pub path: OsString,
    /// Its name in the host's tree.
    pub here: Result<PathBuf, Errno>,
    /// The one to be entered from there, which need not be.
    pub inner: Option<OsString>,
}

/// That, or the one that cannot be entered.
pub type Reached = Result<Arrived, (OsString, Errno)>;

/// Enters the directories of the verdict and gives up all rights but the user's, whether that has worked or not.
///
/// # Errors
/// The step of it that failed: this process has rights left.
pub fn enter(
    config: &Config,
    verdict: &Verdict,
    wanted: Wanted,
    helper: Pid,
) -> Result<(Confined, Reached), String> {
    confine::raise_effective().map_err(|error| error.to_string())?;
    let reached = arrive(config, verdict)?;
    let root = match &reached {
        _ if config.run_as_launching_user => Root::Kept,
        Ok(arrived) if verdict.chroot => Root::Directory(arrived.opened.as_fd()),
        Ok(_) | Err(_) => Root::Host,
    };
    let confined = confine::confine(&Plan {
        root,
        uid: verdict.uid,
        gid: verdict.gid,
        groups: &verdict.groups,
        keep: &[],
        limits: LIMITS,
        isolation: wanted.isolation,
        parent: Some(helper),
        fences: &|| fences(config, verdict, wanted, &reached),
    })
    .map_err(|failure| failure.to_string())?;
    Ok((confined, reached))
}

/// Changes into the directories one after the other. A local user's are entered with the user's own rights: NFS knows no root, and
/// no link leads further than the user could go (CVE-2006-5778).
fn arrive(config: &Config, verdict: &Verdict) -> Result<Reached, String> {
    let failed = |why: &dyn Display| format!("seteuid: {why}");
    let (home, extra, inner) = directories(config, verdict);
    let own = !matches!(verdict.class, Class::Anonymous { .. }) && !config.run_as_launching_user;
    if own {
        become_effective(verdict).map_err(|why| {
            if why == Errno::EINVAL {
                failed(&"this container lacks the user or a group: user_namespaces(7)")
            } else {
                failed(&why)
            }
        })?;
    }
    // A home directory that is missing does not matter where another one is given (reference §10, 42).
    let entered = match chdir(home.as_os_str()) {
        Err(_) if extra.as_ref().is_some_and(|extra| is_absolute(extra)) => Ok(()),
        entered => entered,
    };
    let path = entered
        .map_err(|why| (home.clone(), why))
        .and_then(|()| match extra {
            None => Ok(home),
            // A local_root that is not there leaves a session without jail in the home directory (reference §1.3, 20).
            Some(extra) => match chdir(extra.as_os_str()) {
                Ok(()) => Ok(extra),
                Err(_) if !verdict.chroot && chdir(home.as_os_str()).is_ok() => Ok(home),
                Err(why) => Err((extra, why)),
            },
        });
    let here = nix::unistd::getcwd();
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let opened = nix::fcntl::open(".", flags, Mode::empty());
    if own {
        nix::unistd::seteuid(Uid::from_raw(0)).map_err(|why| failed(&why))?;
    }
    Ok(path.and_then(|path| match opened {
        Ok(opened) => Ok(Arrived {
            opened,
            path,
            here,
            inner,
        }),
        Err(why) => Err((path, why)),
    }))
}

fn is_absolute(path: &OsStr) -> bool {
    path.as_bytes().starts_with(b"/")
}

/// Home, the directory entered after it, and the one entered at last (reference §6.5).
fn directories(
    config: &Config,
    verdict: &Verdict,
) -> (OsString, Option<OsString>, Option<OsString>) {
    let bytes = verdict.home.as_bytes();
    let split = bytes
        .windows(3)
        .position(|three| three == b"/./")
        .filter(|_| config.passwd_chroot_enable);
    let split = split.and_then(|at| bytes.split_at_checked(at));
    let Some((left, right)) = split else {
        return (verdict.home.clone(), verdict.extra.clone(), None);
    };
    let own = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    let left = if left.is_empty() { b"/" } else { left };
    let right = right.strip_prefix(b"/./").filter(|right| !right.is_empty());
    (own(left), None, right.map(own))
}

fn become_effective(verdict: &Verdict) -> Result<(), Errno> {
    nix::unistd::setgroups(&verdict.groups)?;
    nix::unistd::setegid(verdict.gid)?;
    nix::unistd::seteuid(verdict.uid)
}
