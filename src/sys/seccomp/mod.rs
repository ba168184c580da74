//! Filters of system calls: which list a process gets, and its installation as the last thing before it reads from the network;
//! greeter, helper after login, worker.
//!
//! A list is data ([`lists`]); a call that is not on it ends the process. Programs are compiled once, by a reader without rights; master keeps
//! them, and every session inherits them. What was not expected is compiled by who needs it, which has given up its rights by then.

mod bpf;
mod lists;
mod rows;
#[cfg(test)]
mod tests;

use super::kernel::{self, reporting};
use bpf::{Calls, Refusal};
use rows::{Answer, Row, When};
use seccompiler::sock_filter;
use std::io;

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

    /// How many calls a process makes under it: one that is over with the login, or speaks only when data connections are made, makes few.
    fn makes(self) -> Calls {
        match self {
            Self::Greeter { carries: false } | Self::Helper { .. } => Calls::Few,
            Self::Keyholder
            | Self::Reader
            | Self::Greeter { carries: true }
            | Self::Worker { .. } => Calls::Many,
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

    /// Its place among all lists, and its program, for who is to keep it.
    pub fn compiled(self) -> (usize, Vec<u64>) {
        let refusal = if reporting() {
            Refusal::Trap
        } else {
            Refusal::Kill
        };
        let steps = bpf::program(&self.rows(), self.otherwise(), refusal, self.makes());
        let words = steps.iter().map(|step| {
            let [c, d] = step.code.to_ne_bytes();
            let [k, l, m, n] = step.k.to_ne_bytes();
            u64::from_ne_bytes([c, d, step.jt, step.jf, k, l, m, n])
        });
        (self.place(), words.collect())
    }

    /// The program that was kept, or else one that is compiled now.
    fn program(self) -> Option<&'static [sock_filter]> {
        let kept = kernel::program(self.place())?;
        let words = kept.get_or_init(|| self.compiled().1);
        // SAFETY: a step is a plain C struct of as many bytes as a word, which it was made of, and wants no stricter alignment; the
        // words stay as they are for as long as the process lives.
        Some(unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), words.len()) })
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

/// Tries that a filter lets pass what is listed and ends the process for what is not: for a process that has nothing else to do, and comes
/// back only from a kernel that cannot.
///
/// # Errors
/// There was no memory for a filter just now, which says nothing about filters.
pub fn try_out() -> io::Result<()> {
    let list = List::Worker {
        rights: Rights::default(),
        names: false,
    };
    // Its report would be about nothing.
    let _ = nix::unistd::close(2);
    match list.put() {
        Ok(()) => {
            // Listed: time passes. Not listed: who the parent is.
            std::thread::sleep(std::time::Duration::from_micros(1));
            let _ = nix::unistd::getppid();
            Ok(())
        }
        Err(seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error))
            if passes(&error) =>
        {
            Err(error)
        }
        Err(_) => Ok(()),
    }
}

/// Whether a filter that the kernel has not taken may be taken another time.
fn passes(error: &io::Error) -> bool {
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
    const STATUS: i32 = 159;

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
