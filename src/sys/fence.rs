//! What a process does when it has given up its privilege: makes sure that it is gone, and has the fences stand; greeter, worker, helper
//! after login, reader, keyholder.

use super::capability;
use super::confine::{Failure, Isolation, Plan, Root, Step, die_with};
use super::landlock::{self, Reach};
use super::seccomp::List;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Gid;

/// Proof that this process has given up what its plan says; without it nothing reads from the network.
#[derive(Debug, Clone, Copy)]
pub struct Confined {
    root_is_writable: bool,
}

impl Confined {
    /// Of a process that plays a part and gives nothing up; there is none in a build for use.
    pub(super) fn played() -> Self {
        Self {
            root_is_writable: false,
        }
    }

    /// Whether this process may write to its root directory, which was looked at before files got out of reach.
    pub fn root_is_writable(self) -> bool {
        self.root_is_writable
    }
}

/// Which of the fences a session's processes get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Name spaces of their own.
    pub isolation: Isolation,
    /// Filters of system calls.
    pub calls: bool,
    /// Landlock.
    pub files: bool,
}

impl Wanted {
    /// The fences that are wanted, of these.
    pub fn fences<'a>(&self, list: List, reach: Reach<'a>) -> Fences<'a> {
        Fences {
            reach: Some(reach).filter(|_| self.files),
            calls: Some(list).filter(|_| self.calls),
            tasks: None,
        }
    }
}

/// What a process may do and reach once it is confined; a fence that this kernel does not have is left out by who makes the plan.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fences<'a> {
    /// The files it may reach.
    pub reach: Option<Reach<'a>>,
    /// The system calls it may make.
    pub calls: Option<List>,
    /// How many tasks its user may have, all processes together, if that is limited.
    pub tasks: Option<u64>,
}

/// The last steps: from here on this process makes the calls of its list and no others.
///
/// # Errors
/// As [`confine`](super::confine::confine).
pub(super) fn stand(plan: &Plan<'_>) -> Result<Confined, Failure> {
    nix::sys::prctl::set_no_new_privs().step("no_new_privs")?;
    nix::sys::prctl::set_dumpable(false).step("dumpable")?;
    if let Some(parent) = plan.parent {
        die_with(parent).step("parent")?;
    }
    for (resource, value) in plan.limits {
        limit(*resource, *value).step("setrlimit")?;
    }
    verify(plan)?;
    let confined = Confined {
        root_is_writable: root_is_writable(),
    };
    let fences = (plan.fences)();
    if let Some(tasks) = fences.tasks {
        limit(Resource::RLIMIT_NPROC, tasks).step("setrlimit")?;
    }
    if let Some(reach) = fences.reach {
        landlock::restrict(reach).step("Landlock")?;
    }
    fences.calls.map_or(Ok(()), List::install).step("seccomp")?;
    Ok(confined)
}

/// Sets a limit, soft and hard; a hard one that is lower already, as PAM may have set it for the user, stays.
fn limit(resource: Resource, value: u64) -> Result<(), Errno> {
    match setrlimit(resource, value, value) {
        Err(Errno::EPERM) => {
            let (_, hard) = getrlimit(resource)?;
            setrlimit(resource, hard.min(value), hard.min(value))
        }
        result => result,
    }
}

fn verify(plan: &Plan<'_>) -> Result<(), Failure> {
    let broken = |what: &'static str| Failure {
        step: what,
        why: "did not hold".to_owned(),
    };
    let uids = nix::unistd::getresuid().step("getresuid")?;
    let gids = nix::unistd::getresgid().step("getresgid")?;
    if [uids.real, uids.effective, uids.saved] != [plan.uid; 3]
        || [gids.real, gids.effective, gids.saved] != [plan.gid; 3]
    {
        return Err(broken("user and group"));
    }
    let kept = matches!(plan.root, Root::Kept);
    let mut groups = own_groups().step("getgroups")?;
    let mut wanted = plan.groups.to_vec();
    for list in [&mut groups, &mut wanted] {
        list.sort_unstable_by_key(|gid| gid.as_raw());
        list.dedup();
    }
    if groups != wanted && !kept {
        return Err(broken("supplementary groups"));
    }
    let wanted = match plan.root {
        Root::Directory(_) | Root::Host => capability::bits(plan.keep),
        Root::Kept => 0,
    };
    let sets = capability::read().step("capget")?;
    if [sets.permitted, sets.effective] != [wanted; 2] {
        return Err(broken("capabilities"));
    }
    if sets.inheritable != 0 {
        return Err(broken("inheritable capabilities"));
    }
    if !plan.uid.is_root() && may_become_root() {
        return Err(broken("user id 0 is out of reach"));
    }
    Ok(())
}

/// Whether that works. As below, the error is not looked at: what the library has to say of it lies in pages that a session has no other
/// use for.
fn may_become_root() -> bool {
    // SAFETY: setuid takes an integer.
    unsafe { libc::setuid(0) == 0 }
}

fn root_is_writable() -> bool {
    // SAFETY: access takes a string that ends in NUL, and an integer.
    unsafe { libc::access(c"/".as_ptr(), libc::W_OK) == 0 }
}

/// The supplementary groups of this process; getgroups(2) itself, because nix asks the kernel for the most there can be first.
fn own_groups() -> nix::Result<Vec<Gid>> {
    loop {
        // SAFETY: with a size of 0 nothing is written.
        let count = Errno::result(unsafe { libc::getgroups(0, std::ptr::null_mut()) })?;
        let mut groups = vec![0; usize::try_from(count).unwrap_or(0)];
        // SAFETY: the list has room for `count` numbers, and no more are written.
        match Errno::result(unsafe { libc::getgroups(count, groups.as_mut_ptr()) }) {
            Ok(count) => groups.truncate(usize::try_from(count).unwrap_or(0)),
            // There are more than there were.
            Err(Errno::EINVAL) => continue,
            Err(error) => return Err(error),
        }
        return Ok(groups.into_iter().map(Gid::from_raw).collect());
    }
}

/// Forbids this process and its user any further process or thread: worker, once its data thread runs.
pub fn no_more_threads() {
    // A fuzz target is many sessions in one process.
    if cfg!(fuzzing) {
        return;
    }
    // A refusal leaves the limit of the system.
    let _ = setrlimit(Resource::RLIMIT_NPROC, 0, 0);
}
