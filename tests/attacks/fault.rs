//! System calls of a running process that fail, by strace(1).

use crate::support::trace;
use std::process::Child;

/// Where strace writes what it sees.
const SEEN: &str = "/mnt/strace";

/// strace(1), which answers one system call with an error, or late, in what it follows.
pub struct Fault(Child);

impl Fault {
    /// In this process, and in its children from now on.
    pub fn below(pid: i32, call: &str) -> Fault {
        Fault::attach(pid, call, "error=EPERM", &["-f"])
    }

    /// In this process and its children from now on, with this error.
    pub fn below_with(pid: i32, call: &str, error: &str) -> Fault {
        Fault::attach(pid, call, &format!("error={error}"), &["-f"])
    }

    /// In this process alone.
    pub fn only(pid: i32, call: &str) -> Fault {
        Fault::attach(pid, call, "error=EPERM", &[])
    }

    /// In this process and its children from now on the call says that it was done, and was not.
    pub fn feigned_below(pid: i32, call: &str) -> Fault {
        Fault::attach(pid, call, "retval=0", &["-f"])
    }

    /// The same in this process alone.
    pub fn feigned(pid: i32, call: &str) -> Fault {
        Fault::attach(pid, call, "retval=0", &[])
    }

    /// In this process alone, with this error; `NAME:when=1..5` for the first ones only.
    pub fn with(pid: i32, call: &str, error: &str) -> Fault {
        Fault::attach(pid, call, &format!("error={error}"), &[])
    }

    /// In each of its threads, with this error; `NAME:when=2` for each thread's second one only.
    pub fn threads(pid: i32, call: &str, error: &str) -> Fault {
        Fault::attach(pid, call, &format!("error={error}"), &["-f"])
    }

    /// In each of its threads, with this error, where the call is about this file.
    pub fn of_file(pid: i32, call: &str, error: &str, path: &str) -> Fault {
        Fault::attach(pid, call, &format!("error={error}"), &["-f", "-P", path])
    }

    /// In this process and its children from now on the call is made, some seconds later.
    pub fn slow_below(pid: i32, call: &str) -> Fault {
        Fault::attach(pid, call, "delay_enter=3000000", &["-f"])
    }

    /// In this process alone the call is made, and returns some seconds later.
    pub fn late(pid: i32, call: &str) -> Fault {
        Fault::attach(pid, call, "delay_exit=2000000", &[])
    }

    /// In this process alone the call is made some seconds later.
    pub fn held(pid: i32, call: &str) -> Fault {
        Fault::attach(pid, call, "delay_enter=2000000", &[])
    }

    /// In each of its threads the call is made only some seconds later.
    pub fn hesitant(pid: i32, call: &str) -> Fault {
        Fault::attach(pid, call, "delay_enter=2000000", &["-f"])
    }

    #[track_caller]
    fn attach(pid: i32, call: &str, what: &str, how: &[&str]) -> Fault {
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{what}"));
        let words = [how, &["-o", SEEN, "-e", &trace, "-e", &inject]].concat();
        Fault(trace::attach(pid, &words))
    }

    pub fn pid(&self) -> i32 {
        self.0.id() as i32
    }

    /// How often the call was answered so.
    pub fn answered(&self) -> usize {
        let text = std::fs::read(SEEN).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.matches("(INJECTED)").count()
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        // SIGTERM: it lets go of what it follows.
        let pid = nix::unistd::Pid::from_raw(self.pid());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}
