//! Landlock: which files, ports, signals and abstract sockets are out of reach whatever else fails; greeter, helper after login, worker.

use super::kernel::OLDEST;
use super::seccomp::Rights;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::os::fd::BorrowedFd;

/// The newest version whose rights were tried with this server.
const TRIED: ABI = ABI::V7;

/// What a process may still reach.
#[derive(Debug, Clone, Copy)]
pub enum Reach<'a> {
    /// No file and no name.
    Nothing {
        /// Whether it makes connections: helper.
        connects: bool,
    },
    /// What lies below a directory.
    Below {
        /// The directory; without one, the process's own root.
        root: Option<BorrowedFd<'a>>,
        /// What may be changed there.
        rights: Rights,
    },
}

/// Puts everything but `reach` out of reach of this process, for ever.
///
/// # Errors
/// The kernel refuses although it said it could.
pub fn restrict(reach: Reach<'_>) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(TRIED))
        .map_err(|error| failed(&error))?;
    if !matches!(reach, Reach::Nothing { connects: true }) {
        rules = rules
            .handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)
            .map_err(|error| failed(&error))?;
    }
    let rules = rules
        .scope(Scope::AbstractUnixSocket | Scope::Signal)
        .and_then(Ruleset::create)
        .map_err(|error| failed(&error))?;
    let rules = match reach {
        Reach::Nothing { .. } => rules,
        Reach::Below {
            root: Some(root),
            rights,
        } => rules
            .add_rule(PathBeneath::new(root, granted(rights)))
            .map_err(|error| failed(&error))?,
        Reach::Below { root: None, rights } => {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let root =
                nix::fcntl::open("/", flags, Mode::empty()).map_err(|error| failed(&error))?;
            rules
                .add_rule(PathBeneath::new(root, granted(rights)))
                .map_err(|error| failed(&error))?
        }
    };
    match rules.restrict_self() {
        Ok(status) if status.ruleset == RulesetStatus::NotEnforced => {
            Err(Errno::ENOSYS.desc().to_owned())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// What a session with these rights needs below its root. Never to execute, never a device. A link, socket or FIFO cannot be made (no
/// list of system calls has the call), but one that is there can be renamed, which the kernel asks the same right for.
fn granted(rights: Rights) -> BitFlags<AccessFs> {
    let mut all = AccessFs::ReadFile | AccessFs::ReadDir;
    if rights.upload {
        all |= AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile;
    }
    if rights.make {
        all |= AccessFs::MakeDir;
    }
    if rights.alter {
        all |= AccessFs::WriteFile | AccessFs::RemoveFile | AccessFs::RemoveDir | AccessFs::Refer;
        all |= AccessFs::MakeReg | AccessFs::MakeDir | AccessFs::MakeSym;
        all |= AccessFs::MakeFifo | AccessFs::MakeSock;
    }
    all
}

/// What a version adds, for the report.
pub fn layers() -> [(u32, &'static str); 5] {
    [
        (
            OLDEST,
            "files: greeter and helper none, worker below its root, read-only unless it may write",
        ),
        (3, "truncating files counts as writing"),
        (
            4,
            "no TCP port is bound or connected to by greeter and worker",
        ),
        (5, "no ioctl on devices"),
        (6, "no signal and no abstract socket leaves the process"),
    ]
}
