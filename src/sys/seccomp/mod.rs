//! Filters of system calls: which list a process gets, and its installation as the last thing before it reads from the network;
//! greeter, helper after login, worker.
//!
//! A list is data ([`lists`]); a call that is not on it ends the process. Programs are built once, by master, and inherited.

mod bpf;
mod lists;
mod rows;
#[cfg(test)]
mod tests;

use super::process::{self, Ended};
use bpf::Refusal;
use rows::{Answer, Row, When};
use seccompiler::sock_filter;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a worker may change in its tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights {
    /// Make and overwrite files.
    pub upload: bool,
    /// Make directories.
    pub make: bool,
    /// Delete, rename, set times.
    pub alter: bool,
    /// Set permissions.
    pub chmod: bool,
    /// Give uploads their name at the end (`atomic_uploads`).
    pub publish: bool,
    /// Have the disk hold uploads (`fsync_uploads`).
    pub sync: bool,
}

/// Whose list it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Signs, and nothing else.
    Keyholder,
    /// Parses settings, out of files it is given.
    Reader,
    /// Before login.
    Greeter {
        /// With TLS: also the carrier of the control connection after it.
        carries: bool,
    },
    /// Helper, after login.
    Helper {
        /// With `chown_uploads`.
        gives: bool,
    },
    /// After login.
    Worker {
        /// What it may change.
        rights: Rights,
        /// Whether it asks the host's name service.
        names: bool,
    },
}

/// How many lists there are, and with it places for their programs.
const PLACES: usize = 6 + 128;

static PROGRAMS: [OnceLock<Vec<sock_filter>>; PLACES] = [const { OnceLock::new() }; PLACES];

/// Whether a forbidden call is reported before the process ends.
static REPORTING: AtomicBool = AtomicBool::new(false);

/// Whether this kernel filters.
static AVAILABLE: OnceLock<bool> = OnceLock::new();

/// What the trial has come to.
static TRIED: OnceLock<Result<(), Unfit>> = OnceLock::new();

/// Why a trial has not shown that filters hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// They do not, here.
    Kernel(String),
    /// The trial could not be made, which says nothing about them: there was no memory or process for it, or somebody has ended it.
    Untried(String),
}

/// Whether it turned out not to, although it says so.
static BROKEN: AtomicBool = AtomicBool::new(false);

impl List {
    fn place(self) -> usize {
        match self {
            Self::Keyholder => 0,
            Self::Reader => 1,
            Self::Greeter { carries } => 2 + usize::from(carries),
            Self::Helper { gives } => 4 + usize::from(gives),
            Self::Worker { rights, names } => [
                rights.upload,
                rights.make,
                rights.alter,
                rights.chmod,
                rights.publish,
                rights.sync,
                names,
            ]
            .iter()
            .fold(0, |sum: usize, one| sum.wrapping_mul(2) | usize::from(*one))
            .wrapping_add(6),
        }
    }

    fn rows(self) -> Vec<&'static Row> {
        let mut parts: Vec<&'static [Row]> = vec![lists::BASE, lists::SPEAK];
        match self {
            Self::Keyholder => parts.extend([lists::NO_PATHS, lists::SIGN]),
            Self::Reader => parts.extend([lists::NO_PATHS, lists::PARSE]),
            Self::Greeter { carries } => {
                parts.push(lists::NO_PATHS);
                if carries {
                    parts.push(lists::CARRY);
                }
            }
            Self::Helper { gives } => {
                parts.extend([lists::HELPER, lists::NO_PATHS]);
                if gives {
                    parts.push(lists::GIVE);
                }
            }
            Self::Worker { rights, names } => {
                parts.extend([lists::READ, lists::THREAD]);
                let more = [
                    (rights.upload, lists::UPLOAD),
                    (rights.make, lists::MAKE),
                    (rights.alter, lists::ALTER),
                    (rights.chmod, lists::CHMOD),
                    (rights.publish, lists::PUBLISH),
                    (rights.sync, lists::SYNC),
                    (names, lists::NAMES),
                ];
                parts.extend(more.iter().filter(|part| part.0).map(|part| part.1));
            }
        }
        parts.into_iter().flatten().collect()
    }

    /// What happens to a call that is on no row. The name service may load anything: there a call fails instead.
    fn otherwise(self) -> Answer {
        match self {
            Self::Worker { names: true, .. } => Answer::Errno(1),
            Self::Keyholder
            | Self::Reader
            | Self::Greeter { .. }
            | Self::Helper { .. }
            | Self::Worker { names: false, .. } => Answer::Kill,
        }
    }

    /// Its rows, for people: a call, `some` if only some arguments are taken, `fails` if it is answered with an error, and why.
    pub fn shown(self) -> Vec<(&'static str, &'static str, &'static str)> {
        let shown = |row: &'static Row| {
            let how = match row.when {
                When::Always => "",
                When::One(_) => "some",
                When::Never => "fails",
            };
            (row.name.trim_start_matches("SYS_"), how, row.why)
        };
        self.rows().into_iter().map(shown).collect()
    }

    /// Builds the program, unless this process or an ancestor has: master does so for what it expects.
    pub fn prepare(self) {
        let _ = self.program();
    }

    fn program(self) -> Option<&'static [sock_filter]> {
        let refusal = if reporting() {
            Refusal::Trap
        } else {
            Refusal::Kill
        };
        let build = || bpf::program(&self.rows(), self.otherwise(), refusal);
        PROGRAMS
            .get(self.place())
            .map(|one| one.get_or_init(build).as_slice())
    }

    /// Confines this process to the list, for ever. The process has one thread: what it starts later inherits the filter.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn install(self) -> Result<(), String> {
        self.put().map_err(|error| error.to_string())
    }

    fn put(self) -> Result<(), seccompiler::Error> {
        // There is one for each list; an empty one is refused.
        let program = self.program().unwrap_or_default();
        if reporting() {
            report::listen().map_err(|error| seccompiler::Error::Prctl(error.into()))?;
        }
        seccompiler::apply_filter(program)
    }
}

/// Has forbidden calls reported on standard error before the process ends, which therefore stays open; for whoever makes a list.
pub fn report_calls() {
    REPORTING.store(true, Ordering::Relaxed);
}

/// Whether they are.
pub fn reporting() -> bool {
    REPORTING.load(Ordering::Relaxed)
}

/// Whether this machine and kernel filter system calls and can end a process for one (Linux 4.14).
pub fn available() -> bool {
    let says_so = *AVAILABLE.get_or_init(|| {
        let action = libc::SECCOMP_RET_KILL_PROCESS;
        // SAFETY: the operation reads one word behind the pointer, which outlives the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_GET_ACTION_AVAIL,
                0,
                &raw const action,
            )
        };
        bpf::MACHINE != 0 && result == 0
    });
    says_so && !BROKEN.load(Ordering::Relaxed)
}

/// No filter is installed from here on: a trial has failed.
pub fn do_without() {
    BROKEN.store(true, Ordering::Relaxed);
}

/// Tries once, in a child that lives for nothing else, that a filter lets pass what is listed and ends the process for what is not.
///
/// # Errors
/// What happened instead.
pub fn self_test() -> Result<(), Unfit> {
    TRIED.get_or_init(trial).clone()
}

/// How the child of a trial ends whose filter does not hold, or that has got none.
const LET_THROUGH: i32 = 1;
const NOT_TAKEN: i32 = 2;
const NOT_NOW: i32 = 3;

fn trial() -> Result<(), Unfit> {
    let list = List::Worker {
        rights: Rights::default(),
        names: false,
    };
    let child = process::spawn(&[], || {
        // Its report would be about nothing.
        let _ = nix::unistd::close(2);
        if let Err(error) = list.put() {
            return if passes(&error) { NOT_NOW } else { NOT_TAKEN };
        }
        // Listed: time passes. Not listed: who the parent is.
        std::thread::sleep(std::time::Duration::from_micros(1));
        let _ = nix::unistd::getppid();
        LET_THROUGH
    });
    let untried = |error: std::io::Error| Unfit::Untried(error.to_string());
    let ended = child.and_then(process::wait_for).map_err(untried)?;
    match ended {
        Ended::Killed(libc::SIGSYS) => Ok(()),
        Ended::Exited(report::STATUS) if reporting() => Ok(()),
        Ended::Exited(NOT_TAKEN) => Err(Unfit::Kernel("the kernel takes no filter".to_owned())),
        Ended::Exited(LET_THROUGH) => {
            Err(Unfit::Kernel("a forbidden call went through".to_owned()))
        }
        Ended::Exited(NOT_NOW) => Err(Unfit::Untried("no memory for a filter".to_owned())),
        Ended::Exited(_) | Ended::Killed(_) => {
            Err(Unfit::Untried(format!("the trial was {ended}")))
        }
    }
}

/// Whether a filter that the kernel has not taken may be taken another time.
fn passes(error: &seccompiler::Error) -> bool {
    let (seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error)) = error else {
        return false;
    };
    matches!(
        error.raw_os_error(),
        Some(libc::ENOMEM | libc::EAGAIN | libc::EINTR)
    )
}

mod report {
    //! The handler that tells which call it was.

    use nix::errno::Errno;
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal};

    /// How a process ends that has reported.
    pub(super) const STATUS: i32 = 159;

    pub(super) fn listen() -> Result<(), Errno> {
        let action = SigAction::new(
            SigHandler::SigAction(tell),
            SaFlags::SA_SIGINFO,
            SigSet::empty(),
        );
        // SAFETY: the handler touches only its own stack and the kernel's record, and calls write and _exit (signal-safety(7)).
        unsafe { nix::sys::signal::sigaction(Signal::SIGSYS, &action) }.map(drop)
    }

    extern "C" fn tell(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: for SIGSYS the kernel puts the call's number at byte 24 of its record on 64-bit machines (sigaction(2)).
        let number = unsafe { info.cast::<u8>().add(24).cast::<u32>().read_unaligned() };
        let mut text = *b"vsftpd: sandbox: forbidden system call ..........\n";
        let mut rest = number;
        for place in text.iter_mut().rev().skip(1).take(10) {
            *place = if rest == 0 && number != 0 {
                b' '
            } else {
                digit(rest)
            };
            rest /= 10;
        }
        // SAFETY: write reads as many bytes as the array has, and _exit takes any status; both are on every list.
        unsafe {
            libc::write(2, text.as_ptr().cast(), text.len());
            libc::_exit(STATUS)
        }
    }

    #[allow(clippy::cast_possible_truncation)]
    fn digit(number: u32) -> u8 {
        // One digit: at most nine.
        b'0' + (number % 10) as u8
    }
}
