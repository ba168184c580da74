//! How a worker gets into its directory and rid of root; worker, before it reads anything.

use super::{Class, Verdict, asks_the_host, rights};
use crate::config::Config;
use crate::sys::account;
use crate::sys::confine::{self, Before, Confined, Plan, Root, Wanted};
use crate::sys::landlock::Reach;
use crate::sys::seccomp::List;
use crate::sys::tree::{Tree, VirtualPath};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::resource::Resource;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Pid, Uid};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// A worker that has arrived.
#[derive(Debug)]
pub struct Jail {
    /// Proof that everything was given up.
    pub confined: Confined,
    /// All files there are for it.
    pub tree: Tree,
    /// Where it starts, and what `~` means.
    pub start: VirtualPath,
}

/// Why the login ends in a `500 OOPS: ` line.
#[derive(Debug)]
pub enum Oops {
    /// A directory of the login cannot be entered.
    Directory(OsString, Errno),
    /// The root of the jail can be written to by its prisoner.
    WritableRoot(OsString),
    /// The same for an anonymous one, whom no option allows that.
    WritableGuestRoot(OsString),
    /// A step of giving up privilege failed; the client learns no more than that.
    Confinement(String),
}

impl fmt::Display for Oops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path, _) => {
                write!(f, "cannot change directory:{}", path.to_string_lossy())
            }
            Self::WritableRoot(_) | Self::WritableGuestRoot(_) => {
                f.write_str("vsftpd: refusing to run with writable root inside chroot()")
            }
            Self::Confinement(_) => f.write_str("cannot start the session"),
        }
    }
}

impl Oops {
    fn writable(class: &Class, root: OsString) -> Self {
        match class {
            Class::Anonymous { .. } => Self::WritableGuestRoot(root),
            Class::Guest | Class::Local => Self::WritableRoot(root),
        }
    }

    /// The same for the administrator, with the cure.
    pub fn note(&self) -> String {
        match self {
            Self::Directory(path, why) => {
                let path = path.to_string_lossy();
                let cure = if is_no_place(*why) {
                    "; create it and let the user enter it"
                } else {
                    ""
                };
                format!("login ended: cannot change directory to {path}: {why}{cure}")
            }
            Self::WritableRoot(path) => {
                let path = path.to_string_lossy();
                format!(
                    "login ended: the user may write to {path}, the root of the jail: chmod a-w {path} and give the user a \
                     directory below it to write to, or set allow_writeable_chroot=YES"
                )
            }
            Self::WritableGuestRoot(path) => {
                let path = path.to_string_lossy();
                format!(
                    "login ended: guests may write to {path}, their root: chown root {path}, chmod 755 {path}, and give them a directory \
                     below it to write to; allow_writeable_chroot is not for guests"
                )
            }
            Self::Confinement(why) => format!("login ended: {why}"),
        }
    }
}

const LIMITS: &[(Resource, u64)] = &[
    (Resource::RLIMIT_CORE, 0),
    (Resource::RLIMIT_NOFILE, 32),
    (Resource::RLIMIT_DATA, 512 << 20),
];

/// Enters the directories of the verdict and gives up all rights but the user's.
///
/// # Errors
/// The directory, the writable root, or the step that failed.
pub fn enter(
    config: &Config,
    verdict: &Verdict,
    wanted: Wanted,
    helper: Pid,
) -> Result<Jail, Oops> {
    confine::raise_effective().map_err(|error| Oops::Confinement(error.to_string()))?;
    let (home, extra, inner) = directories(config, verdict);
    let arrived = arrive(config, verdict, home, extra)?;
    let root = match (config.run_as_launching_user, verdict.chroot) {
        (true, _) => Root::Kept,
        (false, true) => Root::Directory(arrived.opened.as_fd()),
        (false, false) => Root::Host,
    };
    let reach = Reach::Below {
        root: (config.run_as_launching_user && verdict.chroot).then(|| arrived.opened.as_fd()),
        rights: rights(config, verdict.rules),
    };
    let names = asks_the_host(config, verdict.chroot);
    let list = List::Worker {
        rights: rights(config, verdict.rules),
        names,
    };
    let wake = names.then_some(wake_name_service as Before);
    let confined = confine::confine(&Plan {
        root,
        uid: verdict.uid,
        gid: verdict.gid,
        groups: &verdict.groups,
        keep: &[],
        limits: LIMITS,
        isolation: wanted.isolation,
        parent: Some(helper),
        fences: wanted.fences(list, reach, wake),
    })
    .map_err(|failure| Oops::Confinement(failure.to_string()))?;
    let Arrived { opened, path, here } = arrived;
    // Without the right to change roots the tree's own root is the fence.
    let tree = if config.run_as_launching_user && verdict.chroot {
        Tree::from_fd(opened)
    } else {
        Tree::open("/").map_err(|why| Oops::Confinement(format!("open /: {why}")))?
    };
    let known = !matches!(verdict.class, Class::Anonymous { .. });
    let lenient = known && config.allow_writeable_chroot;
    // An ordinary user's own directory is that user's to write in; what clients may do there, write_enable says.
    if verdict.chroot && !lenient && !config.run_as_launching_user && confined.root_is_writable() {
        return Err(Oops::writable(&verdict.class, path));
    }
    let start = start(&tree, verdict, here, inner).map_err(|why| Oops::Directory(path, why))?;
    Ok(Jail {
        confined,
        tree,
        start,
    })
}

/// Has the C library load the modules of the name service, which is done once, before it could not any more.
fn wake_name_service() {
    let _ = account::name_of_uid(nix::unistd::getuid().as_raw());
    let _ = account::name_of_gid(nix::unistd::getgid().as_raw());
    // One that is nowhere: every module is asked.
    let _ = account::find(b"vsftpd-nobody-has-this-name");
}

/// The directory a login leads to, before anything is given up.
struct Arrived {
    opened: OwnedFd,
    path: OsString,
    here: Result<PathBuf, Errno>,
}

/// Changes into the directories one after the other. A local user's are entered with the user's own rights: NFS knows no root, and
/// no link leads further than the user could go (CVE-2006-5778).
fn arrive(
    config: &Config,
    verdict: &Verdict,
    home: OsString,
    extra: Option<OsString>,
) -> Result<Arrived, Oops> {
    let own = !matches!(verdict.class, Class::Anonymous { .. }) && !config.run_as_launching_user;
    if own {
        become_effective(verdict).map_err(|why| Oops::Confinement(format!("seteuid: {why}")))?;
    }
    // A home directory that is missing does not matter where another one is given (reference §10, 42).
    let entered = match change(&home) {
        Err(_) if extra.as_ref().is_some_and(|extra| is_absolute(extra)) => Ok(()),
        entered => entered,
    };
    let path = entered
        .map_err(|why| Oops::Directory(home.clone(), why))
        .and_then(|()| match extra.as_deref() {
            None => Ok(home.clone()),
            // A local_root that is not there leaves a session without jail in the home directory (reference §1.3, 20).
            Some(extra) => match change(extra) {
                Ok(()) => Ok(extra.to_owned()),
                Err(_) if !verdict.chroot && change(&home).is_ok() => Ok(home.clone()),
                Err(why) => Err(Oops::Directory(extra.to_owned(), why)),
            },
        });
    let here = nix::unistd::getcwd();
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let opened = nix::fcntl::open(".", flags, Mode::empty());
    if own {
        nix::unistd::seteuid(Uid::from_raw(0))
            .map_err(|why| Oops::Confinement(format!("seteuid: {why}")))?;
    }
    let path = path?;
    let opened = opened.map_err(|why| Oops::Directory(path.clone(), why))?;
    Ok(Arrived { opened, path, here })
}

fn is_absolute(path: &OsStr) -> bool {
    path.as_bytes().starts_with(b"/")
}

/// Where the session starts within its tree. Nowhere else: what was entered a moment ago is there, whatever the kernel lacks now.
fn start(
    tree: &Tree,
    verdict: &Verdict,
    here: Result<PathBuf, Errno>,
    inner: Option<OsString>,
) -> Result<VirtualPath, Errno> {
    let mut start = VirtualPath::root();
    if !verdict.chroot {
        start = tree.enter(&start, here?.as_os_str().as_bytes())?;
    }
    // One that is not there leaves the session in the directory before it.
    match inner.map(|inner| tree.enter(&start, inner.as_bytes())) {
        Some(Err(why)) if is_no_place(why) => Ok(start),
        None => Ok(start),
        Some(there) => there,
    }
}

/// Whether there is no such directory for the user, as opposed to what the kernel or a disk cannot do.
fn is_no_place(why: Errno) -> bool {
    matches!(
        why,
        Errno::ENOENT
            | Errno::ENOTDIR
            | Errno::EACCES
            | Errno::EPERM
            | Errno::ELOOP
            | Errno::ENAMETOOLONG
    )
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
    match split {
        Some(at) => {
            let left = OsString::from_vec(bytes.iter().take(at).copied().collect());
            let left = if left.is_empty() {
                OsString::from("/")
            } else {
                left
            };
            let right =
                OsString::from_vec(bytes.iter().skip(at.saturating_add(3)).copied().collect());
            (left, None, Some(right).filter(|right| !right.is_empty()))
        }
        None => (verdict.home.clone(), verdict.extra.clone(), None),
    }
}

fn change(to: &OsStr) -> Result<(), Errno> {
    nix::unistd::chdir(to)
}

fn become_effective(verdict: &Verdict) -> Result<(), Errno> {
    nix::unistd::setgroups(&verdict.groups)?;
    nix::unistd::setresgid(
        Gid::from_raw(u32::MAX),
        verdict.gid,
        Gid::from_raw(u32::MAX),
    )?;
    nix::unistd::seteuid(verdict.uid)
}
