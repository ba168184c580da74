//! Giving up privilege: the one order in which greeter, worker and helper do it, checked step by step; run by each of them once. What
//! is left to do when it is gone stands in [`fence`].

use super::capability::{self, Sets};
use super::fence;
pub use super::fence::{Confined, Fences, Wanted};
use caps::Capability;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag};
use nix::sched::CloneFlags;
use nix::sys::resource::Resource;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Pid, Uid};
use std::fmt;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Where the process's root will be.
#[derive(Debug)]
pub enum Root<'a> {
    /// The directory behind this descriptor.
    Directory(BorrowedFd<'a>),
    /// The host's: a local user who is not kept in the home directory.
    Host,
    /// The host's, and the user stays who started the server (`run_as_launching_user`): there is no right to change either. What
    /// can be given up without rights is.
    Kept,
}

/// Name spaces of its own that a process gets, where the kernel grants them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Isolation {
    /// For System V objects and message queues.
    pub ipc: bool,
    /// For the network: an empty one.
    pub network: bool,
}

/// What a process becomes.
pub struct Plan<'a> {
    /// Its root directory.
    pub root: Root<'a>,
    /// Its user id, real, effective, saved and for files.
    pub uid: Uid,
    /// Its group id, likewise.
    pub gid: Gid,
    /// Its supplementary groups, exactly.
    pub groups: &'a [Gid],
    /// The capabilities it keeps, permitted and effective.
    pub keep: &'a [Capability],
    /// Its resource limits, soft and hard.
    pub limits: &'a [(Resource, u64)],
    /// The name spaces it leaves.
    pub isolation: Isolation,
    /// The process that must still be its parent, at whose death it dies; `None` for one that outlives its parent.
    pub parent: Option<Pid>,
    /// The fences around it when all that is done, asked for by then; and what is to be done before they stand.
    pub fences: &'a dyn Fn() -> Fences<'a>,
}

/// The step that failed; the session must end.
#[derive(Debug)]
pub struct Failure {
    pub(super) step: &'static str,
    pub(super) why: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.why)
    }
}

/// `Result` of a step, with the step's name.
pub(super) trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> Step<T> for Result<T, E> {
    fn step(self, step: &'static str) -> Result<T, Failure> {
        self.map_err(|why| Failure {
            step,
            why: why.to_string(),
        })
    }
}

/// Gives up everything the plan does not name, in the order of attacks C.2, and reads back that it is gone.
///
/// # Errors
/// The first step that failed or did not hold; the caller ends the process.
pub fn confine(plan: &Plan<'_>) -> Result<Confined, Failure> {
    // A fuzz target plays thousands of sessions in one process, which must go on. No build for use has this.
    if cfg!(fuzzing) {
        return Ok(Confined::played());
    }
    leave_name_spaces(plan.isolation).step("unshare")?;
    if let Root::Directory(root) = plan.root {
        let enter = || nix::unistd::fchdir(root).and_then(|()| nix::unistd::chroot("."));
        let entered = enter().or_else(|_| {
            // NFS may know no root: where only the user may search, the user enters.
            nix::unistd::setfsuid(plan.uid);
            enter()
        });
        entered.step("chroot")?;
    }
    nix::unistd::chdir("/").step("chdir")?;
    match plan.root {
        Root::Directory(_) | Root::Host => change_user(plan)?,
        Root::Kept => set_capabilities(0).step("capset")?,
    }
    fence::stand(plan)
}

fn change_user(plan: &Plan<'_>) -> Result<(), Failure> {
    capability::bound(&[]).step("capability bounding set")?;
    lock_securebits().step("securebits")?;
    if !plan.keep.is_empty() {
        caps::securebits::set_keepcaps(true).step("keepcaps")?;
    }
    nix::unistd::setgroups(plan.groups).step("setgroups")?;
    nix::unistd::setresgid(plan.gid, plan.gid, plan.gid).step("setresgid")?;
    nix::unistd::setresuid(plan.uid, plan.uid, plan.uid).step("setresuid")?;
    set_capabilities(capability::bits(plan.keep)).step("capset")?;
    if !plan.keep.is_empty() {
        caps::securebits::set_keepcaps(false).step("keepcaps")?;
    }
    Ok(())
}

/// A kernel or container without them is no reason not to serve (reference §1.1, 35 and 36).
fn leave_name_spaces(isolation: Isolation) -> Result<(), Errno> {
    let mut flags = CloneFlags::empty();
    flags.set(CloneFlags::CLONE_NEWIPC, isolation.ipc);
    flags.set(CloneFlags::CLONE_NEWNET, isolation.network);
    if flags.is_empty() {
        return Ok(());
    }
    match nix::sched::unshare(flags) {
        Ok(()) | Err(Errno::EPERM | Errno::EINVAL | Errno::ENOSYS | Errno::ENOSPC) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Asks for SIGKILL at the parent's death, after the change of user that clears it, and makes sure it is not late.
///
/// # Errors
/// The parent is gone already.
pub fn die_with(parent: Pid) -> Result<(), Errno> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    let there = nix::unistd::getppid() == parent;
    there.then_some(()).ok_or(Errno::ESRCH)
}

/// Asks for SIGKILL as soon as the peer has closed its end of this socket or is dead, and makes sure it is not late: for an auth whose
/// parent is not its helper. The kernel sends it, whatever this process is doing (fcntl(2), F_SETSIG). What the peer sends from now on
/// has the same effect.
///
/// # Errors
/// The peer is gone already, or the kernel cannot.
pub fn die_with_peer(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    kill_when_alone(socket, Pid::this().as_raw())?;
    let there = !super::socket::is_alone(socket);
    there.then_some(()).ok_or(Errno::ESRCH)
}

/// Has the kernel end every process of this one's group as soon as this one is gone, however it went and whoever they are by then: a parent's
/// death ([`die_with`]) ends none that this process could not signal, and a worker is another user. None of them holds what it hangs on, so
/// none can get rid of it. To be called by a process that leads a session of its own.
///
/// # Errors
/// It does not, or the kernel has no descriptors left.
pub fn take_along() -> Result<(), Errno> {
    let own = Pid::this();
    if nix::unistd::getsid(None)? != own {
        return Err(Errno::EPERM);
    }
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    // Nobody but the kernel closes them: that is this process's end too. Whichever it closes first, the other is there to tell.
    for end in [ManuallyDrop::new(read), ManuallyDrop::new(write)] {
        kill_when_alone(end.as_fd(), own.as_raw().saturating_neg())?;
    }
    Ok(())
}

/// Has SIGKILL sent to a process, or with a negative number to a group, as soon as the other end of this is closed.
fn kill_when_alone(end: BorrowedFd<'_>, whom: libc::pid_t) -> Result<(), Errno> {
    /// asm-generic/fcntl.h; the libc crate does not have it.
    const F_SETSIG: libc::c_int = 10;
    for (what, value) in [
        (libc::F_SETOWN, whom),
        (F_SETSIG, libc::SIGKILL),
        (libc::F_SETFL, libc::O_ASYNC),
    ] {
        // SAFETY: these take a descriptor and an integer and touch no memory.
        Errno::result(unsafe { libc::fcntl(end.as_raw_fd(), what, value) })?;
    }
    Ok(())
}

/// Takes back what [`die_with`], [`die_with_peer`] or helper's [`take_along`] asked for: auth, once it has a session to close when its helper
/// dies.
///
/// # Errors
/// Never on Linux.
pub fn outlive(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    nix::fcntl::fcntl(socket, FcntlArg::F_SETFL(OFlag::empty()))?;
    // One of the nursery's leads a session already.
    let _ = nix::unistd::setsid();
    nix::sys::prctl::set_pdeathsig(None)
}

/// Limits what this process can do at once, not what it or a child may take back: helper before login, whose child auth needs more.
///
/// # Errors
/// The kernel refuses.
pub fn lower_effective(to: &[Capability]) -> Result<(), Errno> {
    set_effective(capability::bits(to))
}

/// Takes back what [`lower_effective`] set aside: auth, before PAM runs.
///
/// # Errors
/// The kernel refuses.
pub fn raise_effective() -> Result<(), Errno> {
    set_effective(u64::MAX)
}

/// Of what is permitted.
fn set_effective(bits: u64) -> Result<(), Errno> {
    let sets = capability::read()?;
    let effective = sets.permitted & bits;
    capability::set(Sets { effective, ..sets })
}

/// Ends a process of whatever user, with a right that helper before login has set aside.
///
/// # Errors
/// It is gone by now, or a container has no such right (`CAP_KILL`).
pub fn end(process: Pid) -> Result<(), Errno> {
    let kill = || nix::sys::signal::kill(process, Signal::SIGKILL);
    with(|permitted| permitted, kill)
}

/// The right to read any file; containers often have the wider one only. Where there is neither, reading is tried without.
const SEARCH: [Capability; 2] = [
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_DAC_OVERRIDE,
];

/// Does something with the right to read any file and search any directory, as root always could; then it is set aside again. For
/// lists and settings of the administrator's that belong to another account.
pub fn with_search<T>(body: impl FnOnce() -> T) -> T {
    let mut rights = SEARCH.iter().map(Capability::bitmask);
    let mut one = |permitted| rights.find(|right| permitted & right != 0);
    with(|permitted| one(permitted).unwrap_or(0), body)
}

/// Does something with more rights, of those that are permitted; then they are set aside again.
fn with<T>(rights: impl FnOnce(u64) -> u64, body: impl FnOnce() -> T) -> T {
    let before = capability::read().unwrap_or_default();
    let effective = before.effective | rights(before.permitted);
    let more = Sets {
        effective,
        ..before
    };
    let raised = more != before && capability::set(more).is_ok();
    let result = body();
    if raised {
        let _ = capability::set(before);
    }
    result
}

/// Keeps these capabilities, a bit for each, permitted and effective.
///
/// # Errors
/// One is not permitted.
pub fn set_capabilities(keep: u64) -> Result<(), Errno> {
    capability::set(Sets {
        effective: keep,
        permitted: keep,
        inheritable: 0,
    })
}

/// Root's uid gives no capability any more and ambient ones cannot be raised; neither can be taken back (capabilities(7)).
fn lock_securebits() -> Result<(), Errno> {
    const NOROOT: libc::c_ulong = 1 << 0 | 1 << 1;
    const NO_CAP_AMBIENT_RAISE: libc::c_ulong = 1 << 6 | 1 << 7;
    let bits = NOROOT | NO_CAP_AMBIENT_RAISE;
    // SAFETY: PR_SET_SECUREBITS takes an integer and no pointer.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, bits, 0, 0, 0) }).map(drop)
}
