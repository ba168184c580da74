//! A process of a running session made to do system calls of the test's choice, as by somebody who has taken it over.

use crate::support::wait;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// It returned this: a negative number is an error.
    Back(i64),
    /// The process was ended.
    Killed(Signal),
}

/// SIGSYS: the filter.
pub const FILTERED: Came = Came::Killed(Signal::SIGSYS);

/// A process that waits in a system call, taken over.
pub struct Puppet {
    pid: Pid,
    saved: libc::user_regs_struct,
    alive: bool,
}

impl Puppet {
    pub fn take(pid: i32) -> Puppet {
        let pid = Pid::from_raw(pid);
        wait("the process to wait for somebody", || {
            ptrace::attach(pid).unwrap();
            assert!(matches!(waitpid(pid, None), Ok(WaitStatus::Stopped(..))));
            let saved = ptrace::getregs(pid).unwrap();
            let code = ptrace::read(pid, (saved.rip - 2) as ptrace::AddressType).unwrap();
            if code & 0xFFFF == 0x050F {
                return Some(Puppet {
                    pid,
                    saved,
                    alive: true,
                });
            }
            ptrace::detach(pid, None).unwrap();
            None
        })
    }

    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Whether nobody has ended it.
    pub fn is_alive(&self) -> bool {
        self.alive
    }

    /// Lets it go on, asleep for an hour.
    pub fn sleep(mut self) {
        let hour = self.words(&[3600, 0]);
        self.prepare(libc::SYS_clock_nanosleep, &[1, 0, hour, 0])
            .unwrap();
        ptrace::detach(self.pid, None).unwrap();
        self.alive = false;
    }

    /// Lets it go on, in a loop without an end.
    pub fn spin(mut self) {
        let place = (self.saved.rip - 2) as ptrace::AddressType;
        let code = ptrace::read(self.pid, place).unwrap();
        // `jmp` to itself, in this process's own copy of the page.
        ptrace::write(self.pid, place, code & !0xFFFF | 0xFEEB).unwrap();
        let mut set = self.saved;
        set.rip -= 2;
        set.orig_rax = u64::MAX;
        ptrace::setregs(self.pid, set).unwrap();
        ptrace::detach(self.pid, None).unwrap();
        self.alive = false;
    }

    /// Has the call be the next thing that it does.
    fn prepare(&mut self, number: i64, arguments: &[u64]) -> nix::Result<()> {
        assert!(self.alive);
        let argument = |at: usize| arguments.get(at).copied().unwrap_or(0);
        let mut set = self.saved;
        set.rip -= 2;
        set.rax = number as u64;
        // No call is under way that would be started again.
        set.orig_rax = u64::MAX;
        (set.rdi, set.rsi, set.rdx) = (argument(0), argument(1), argument(2));
        (set.r10, set.r8, set.r9) = (argument(3), argument(4), argument(5));
        ptrace::setregs(self.pid, set)
    }

    /// Makes it do one call.
    pub fn call(&mut self, number: i64, arguments: &[u64]) -> Came {
        self.prepare(number, arguments).unwrap();
        ptrace::step(self.pid, None).unwrap();
        self.came(number)
    }

    /// The same, if nobody has ended it meanwhile.
    pub fn try_call(&mut self, number: i64, arguments: &[u64]) -> Came {
        // One that was ended is not there any more for ptrace, only to be waited for.
        let _ = self.prepare(number, arguments);
        let _ = ptrace::step(self.pid, None);
        self.came(number)
    }

    fn came(&mut self, number: i64) -> Came {
        match waitpid(self.pid, None).unwrap() {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {
                Came::Back(ptrace::getregs(self.pid).unwrap().rax as i64)
            }
            WaitStatus::Signaled(_, signal, _) => {
                self.alive = false;
                Came::Killed(signal)
            }
            other => panic!("{number}: {other:?}"),
        }
    }

    /// Puts a text, with its NUL, into its memory below the stack.
    pub fn text(&mut self, text: &str) -> u64 {
        let place = (self.saved.rsp - 4096) & !7;
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize((bytes.len() / 8 + 1) * 8, 0);
        for (at, word) in bytes.chunks(8).enumerate() {
            let word = i64::from_ne_bytes(word.try_into().unwrap());
            let to = place + 8 * at as u64;
            ptrace::write(self.pid, to as ptrace::AddressType, word).unwrap();
        }
        place
    }

    /// Puts words there.
    pub fn words(&mut self, words: &[u64]) -> u64 {
        let place = (self.saved.rsp - 8192) & !7;
        for (at, word) in words.iter().enumerate() {
            let to = place + 8 * at as u64;
            ptrace::write(self.pid, to as ptrace::AddressType, *word as i64).unwrap();
        }
        place
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        if self.alive {
            let _ = ptrace::setregs(self.pid, self.saved);
            if ptrace::detach(self.pid, None).is_err() {
                // Somebody has ended it, and it is waited for here first.
                let _ = waitpid(self.pid, None);
            }
        }
    }
}
