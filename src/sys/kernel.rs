//! What this kernel fences sessions with, and the filters that were compiled for it; master finds it out once, and every process inherits it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many lists of system calls there are, and with it places for their programs.
pub const LISTS: usize = 6 + 128;

/// The oldest version of Landlock that is used: before it, no file could be renamed from one directory to another (attacks C.7).
pub const OLDEST: u32 = 2;

static PROGRAMS: [OnceLock<Vec<u64>>; LISTS] = [const { OnceLock::new() }; LISTS];

/// Whether a forbidden call is reported before the process ends.
static REPORTING: AtomicBool = AtomicBool::new(false);

/// Whether filters turned out not to hold, although the kernel says so.
static BROKEN: AtomicBool = AtomicBool::new(false);

/// Where the program of the list in this place is kept, a word for each step.
pub fn program(place: usize) -> Option<&'static OnceLock<Vec<u64>>> {
    PROGRAMS.get(place)
}

/// Keeps a program for whoever installs it: master, and with it all it forks; false when there is no such list.
pub fn keep(place: usize, words: Vec<u64>) -> bool {
    program(place).map(|kept| kept.set(words)).is_some()
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
pub fn filters() -> bool {
    static SAYS_SO: OnceLock<bool> = OnceLock::new();
    let says_so = *SAYS_SO.get_or_init(|| {
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
        cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) && result == 0
    });
    says_so && !BROKEN.load(Ordering::Relaxed)
}

/// No filter is installed from here on: a trial has failed.
pub fn do_without() {
    BROKEN.store(true, Ordering::Relaxed);
}

/// The version of the kernel's Landlock; 0: it has none, or it is switched off.
pub fn landlock() -> u32 {
    static VERSION: OnceLock<u32> = OnceLock::new();
    *VERSION.get_or_init(|| {
        const ASK_VERSION: libc::c_ulong = 1;
        // SAFETY: with this flag the call takes no pointer and no size, and gives a number.
        let version = unsafe {
            libc::syscall(
                libc::SYS_landlock_create_ruleset,
                std::ptr::null::<libc::c_void>(),
                0_usize,
                ASK_VERSION,
            )
        };
        u32::try_from(version).unwrap_or(0)
    })
}

/// Whether that is used here.
pub fn confines_files() -> bool {
    landlock() >= OLDEST
}
