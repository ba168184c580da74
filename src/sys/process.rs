//! Making, naming, waiting for and ending processes; used by every process that has children.

use super::{confine, dl, socket};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus};
use nix::unistd::{ForkResult, Pid};
use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this status.
    Exited(i32),
    /// A signal killed it.
    Killed(i32),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "ended with status {status}"),
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

/// Forks a child that runs `body` with no signal blocked, only the descriptors of `keep` beside 0, 1 and 2, and ends with the status it gives.
///
/// # Errors
/// The kernel makes no more processes.
pub fn spawn(keep: &[RawFd], body: impl FnOnce() -> i32) -> io::Result<Pid> {
    match fork()? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            unblock_signals();
            close_except(keep);
            leave(body())
        }
    }
}

/// As [`spawn`], for a child that goes on using what its parent has lent to it: nothing is counted for that, which would be written to a page
/// that both share.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_with<T: 'static>(
    keep: &[RawFd],
    lent: &T,
    body: impl FnOnce(&'static T) -> i32,
) -> io::Result<Pid> {
    spawn(keep, || {
        // SAFETY: in the child, which runs this, the functions that have lent it never go on: it leaves by _exit. So nothing there
        // moves or frees what they own, for as long as the process lives.
        body(unsafe { &*std::ptr::from_ref(lent) })
    })
}

/// Ends this process without running anything that a parent has registered to run at exit.
fn leave(status: i32) -> ! {
    // SAFETY: _exit takes any status and does not return.
    unsafe { libc::_exit(status) }
}

/// Waits for this child.
///
/// # Errors
/// It is not a child of ours.
pub fn wait_for(child: Pid) -> io::Result<Ended> {
    let ended = collect(child.as_raw(), 0)?.map(|(_, ended)| ended);
    // There is one without WNOHANG.
    ended.ok_or_else(|| Errno::ECHILD.into())
}

/// Takes the end of this child, or with -1 of any; `None` if none has ended and that is not waited for. The call is the kernel's own: to
/// nix a real-time signal has no name, so that it takes a child's end by one for an error, when the child has been waited for.
fn collect(child: libc::pid_t, flags: libc::c_int) -> Result<Option<(Pid, Ended)>, Errno> {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one integer, which outlives the call.
        match Errno::result(unsafe { libc::waitpid(child, &raw mut status, flags) }) {
            Ok(0) => return Ok(None),
            Ok(pid) => {
                if let Some(ended) = ended(status) {
                    return Ok(Some((Pid::from_raw(pid), ended)));
                }
            }
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// A descriptor that becomes readable when this child has ended (pidfd_open(2)); `None` before Linux 5.3.
pub fn watch(child: Pid) -> Option<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.as_raw(), 0) };
    let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel has just made it for this caller.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Waits for this child until then; `None` if it still lives. `watch` is what [`watch`] gave.
///
/// # Errors
/// It is not a child of ours.
pub fn wait_until(
    child: Pid,
    watch: Option<&OwnedFd>,
    until: Option<Instant>,
) -> io::Result<Option<Ended>> {
    const NAP: Duration = Duration::from_millis(5);
    loop {
        if let Some((_, ended)) = collect(child.as_raw(), libc::WNOHANG)? {
            return Ok(Some(ended));
        }
        let now = Instant::now();
        if until.is_some_and(|until| now >= until) {
            return Ok(None);
        }
        match watch {
            Some(watch) => _ = socket::readable(watch.as_fd(), until)?,
            None => _ = socket::wait(&mut [], now.checked_add(NAP))?,
        }
    }
}

/// Whether this child was stopped (SIGSTOP and the like) and has not gone on since.
pub fn is_stopped(child: Pid) -> bool {
    let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let found = nix::sys::wait::waitid(nix::sys::wait::Id::Pid(child), flags);
    matches!(found, Ok(WaitStatus::Stopped(..)))
}

/// A child that has one thing to do while its parent waits. One that was stopped, or takes too long, is killed: a process that runs as
/// an ordinary user can be stopped by others of that user.
#[derive(Debug)]
pub struct Errand {
    child: Pid,
    until: Option<Instant>,
    cut: Cell<bool>,
}

impl Errand {
    /// How often is looked whether it was stopped.
    const TICK: Duration = Duration::from_millis(200);

    /// It may take that long, from now on.
    pub fn new(child: Pid, patience: Duration) -> Self {
        Self {
            child,
            until: Instant::now().checked_add(patience),
            cut: Cell::new(false),
        }
    }

    /// Waits until there is something to read on its channel, or it has ended; false when it was killed instead.
    pub fn speaks(&self, channel: BorrowedFd<'_>) -> bool {
        while !self.cut.get() {
            let tick = Instant::now().checked_add(Self::TICK);
            let speaks = !matches!(socket::readable(channel, tick), Ok(false));
            // One that never stops speaking is late, too.
            if speaks && !self.is_late() {
                return true;
            }
            let _ = self.look();
        }
        false
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It was killed because it was stopped or too slow, or it could not be, or it is not a child of ours.
    pub fn end(self) -> io::Result<Ended> {
        let watch = watch(self.child);
        loop {
            let tick = Instant::now().checked_add(Self::TICK);
            match wait_until(self.child, watch.as_ref(), tick)? {
                Some(_) if self.cut.get() => {
                    return Err(io::Error::other("it was stopped, or has taken too long"));
                }
                Some(ended) => return Ok(ended),
                // It is waited for no longer: it ends when it goes on, and finds nobody.
                None => self.look().map_err(|why| {
                    io::Error::other(format!("it was stopped, or has taken too long, and cannot be ended (CAP_KILL): {why}"))
                })?,
            }
        }
    }

    fn is_late(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Kills it if it was stopped or is late.
    fn look(&self) -> Result<(), Errno> {
        if self.is_late() || is_stopped(self.child) {
            self.cut.set(true);
            confine::end(self.child)?;
        }
        Ok(())
    }
}

/// Collects one ended child without waiting; `None` when there is none.
pub fn reap() -> Option<(Pid, Ended)> {
    collect(-1, libc::WNOHANG).ok().flatten()
}

/// What a status of waitpid(2) says; `None` for a child that has only been stopped, by whoever traces it.
fn ended(status: libc::c_int) -> Option<Ended> {
    let status = ExitStatus::from_raw(status);
    let exited = status.code().map(Ended::Exited);
    exited.or_else(|| status.signal().map(Ended::Killed))
}

/// Blocks these signals, and has them come through a descriptor instead.
///
/// # Errors
/// No descriptor is left.
pub fn take_signals(signals: &SigSet) -> Result<SignalFd, Errno> {
    signals.thread_block()?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    SignalFd::with_flags(signals, flags)
}

/// Blocks nothing. What signals do is as master has set it once, see [`reset_signals`]. The call is the kernel's own: the C library's functions
/// for it lie in pages that a session has no other use for, and so would this one.
#[inline(always)]
fn unblock_signals() {
    // The kernel's set, of 64 signals.
    let none = 0_u64;
    // SAFETY: the set is one of that many bytes; the old one is not asked for.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            std::ptr::null_mut::<u64>(),
            size_of_val(&none),
        )
    };
}

/// Default dispositions, but SIGPIPE and SIGXFSZ ignored: both come back as errors of the call. Master does it once, and no process
/// that forks another changes any, so that children have them without a call of their own.
pub fn reset_signals() {
    for signal in Signal::iterator() {
        let handler = if matches!(signal, Signal::SIGPIPE | Signal::SIGXFSZ) {
            SigHandler::SigIgn
        } else {
            SigHandler::SigDfl
        };
        // SAFETY: neither runs any code of ours. Of SIGKILL and SIGSTOP the kernel refuses a change.
        let _ = unsafe { nix::sys::signal::signal(signal, handler) };
    }
}

/// The signals that ask a process to end.
const ENDINGS: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
];

/// Whether one of them has come since [`catch_endings`].
static ENDING: AtomicBool = AtomicBool::new(false);

extern "C" fn note_ending(_: libc::c_int) {
    ENDING.store(true, Ordering::Relaxed);
}

/// Lets a request to end only be noted, for [`until_over`] to find: what this process must still put in order then, it can. Programs
/// that it starts are not affected: exec(3) puts caught signals back.
///
/// # Errors
/// Never with these signals.
pub fn catch_endings() -> Result<(), Errno> {
    // A lock that is waited for is not given up: SA_RESTART.
    let handler = SigHandler::Handler(note_ending);
    let note = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    for signal in ENDINGS {
        // SAFETY: the handler only stores to an atomic, which is allowed in a signal handler (signal-safety(7)).
        unsafe { nix::sys::signal::sigaction(signal, &note) }?;
    }
    Ok(())
}

/// Waits until the peer of this socket has closed it or has spoken, or a signal that [`catch_endings`] catches has come.
pub fn until_over(socket: BorrowedFd<'_>) {
    let endings: SigSet = ENDINGS.into_iter().collect();
    // Blocked but while ppoll sleeps: none comes between the look and the wait.
    if endings.thread_block().is_err() {
        return;
    }
    while !ENDING.load(Ordering::Relaxed) {
        let mut fds = [PollFd::new(socket, PollFlags::POLLIN)];
        match nix::poll::ppoll(&mut fds, None, Some(SigSet::empty())) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => break,
        }
    }
    let _ = endings.thread_unblock();
}

/// Has the kernel end this process in that many seconds (alarm(2)), whatever it is waiting for then; with 0 no more.
pub fn end_within(seconds: u32) {
    // SAFETY: alarm takes an integer; SIGALRM has its default action, to end the process, since spawn.
    unsafe { libc::alarm(seconds) };
}

/// Closes every descriptor above 2 that is not listed. Allocates nothing: a child of master's that is about to begin a session would write to
/// master's heap.
pub fn close_except(keep: &[RawFd]) {
    let mut from = 3_u32;
    loop {
        let kept = keep.iter().filter_map(|fd| u32::try_from(*fd).ok());
        let Some(next) = kept.filter(|fd| *fd >= from).min() else {
            return close_range(from, u32::MAX);
        };
        if next > from {
            close_range(from, next - 1);
        }
        from = next.saturating_add(1);
    }
}

fn close_range(first: u32, last: u32) {
    // SAFETY: the descriptors closed belong to values this process has given up: it was just forked, or it starts.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result == 0 {
        return;
    }
    // Before Linux 5.9: those that are there. The one that reads the list is closed already when its turn comes. Where /proc does not tell,
    // one by one, up to the limit.
    let open = descriptors().unwrap_or_else(|| {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        (0..u32::try_from(limit).unwrap_or(65536)).collect()
    });
    for fd in open.into_iter().filter(|fd| (first..=last).contains(fd)) {
        // SAFETY: as above.
        unsafe { libc::close(libc::c_int::try_from(fd).unwrap_or(-1)) };
    }
}

/// The descriptors this process has open, and the one that finds them; `None` where /proc is absent.
pub fn descriptors() -> Option<Vec<u32>> {
    let names = std::fs::read_dir("/proc/self/fd").ok()?;
    let names = names.flatten().map(|entry| entry.file_name());
    Some(
        names
            .filter_map(|name| name.to_str()?.parse().ok())
            .collect(),
    )
}

/// Makes this process the parent of orphans below it, so that it can reap them (prctl(2), PR_SET_CHILD_SUBREAPER).
///
/// # Errors
/// Not on Linux before 3.4.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// Points standard input, output and error at /dev/null; `keep` leaves the last two as they are: for complaints, and for logs that are to go
/// where this was started.
///
/// # Errors
/// There is no /dev/null.
pub fn silence(keep: bool) -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    if !keep {
        nix::unistd::dup2_stdout(&null)?;
        nix::unistd::dup2_stderr(&null)?;
    }
    Ok(())
}

/// Standard output as standard input: where modules of PAM run, whose words are for nobody, and wait for nobody who reads them.
pub fn silence_modules() {
    let _ = nix::unistd::dup2_stdout(std::io::stdin());
}

/// Standard output and error as standard input: for a session, which has nobody to speak to there.
pub fn silence_session() {
    // Standard input is /dev/null since master started; a failure leaves the descriptor as it was, which harms nothing.
    let _ = nix::unistd::dup2_stdout(std::io::stdin());
    if !super::kernel::reporting() {
        let _ = nix::unistd::dup2_stderr(std::io::stdin());
    }
}

/// Forgets the environment: nothing in it may steer a library in a child (attacks B-126). TZ stays with musl, which would otherwise read
/// the zone anew, from files that a jail does not have.
pub fn clear_environment() {
    let zone = std::env::var_os("TZ").filter(|_| cfg!(target_env = "musl"));
    // SAFETY: called once at start, when this process has a single thread, so nobody reads the environment meanwhile.
    unsafe { libc::clearenv() };
    if let Some(zone) = zone {
        // SAFETY: as above.
        unsafe { std::env::set_var("TZ", zone) };
    }
}

/// The most descriptors that are taken over.
pub const MOST_PASSED: usize = 64;

/// The descriptors systemd has passed (sd_listen_fds(3)), made close-on-exec; none if they are meant for another process.
pub fn passed_descriptors() -> Vec<OwnedFd> {
    let number = |name| std::env::var(name).ok()?.parse::<i32>().ok();
    if number("LISTEN_PID") != i32::try_from(std::process::id()).ok() {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").unwrap_or(0).max(0);
    (3..3_i32.saturating_add(count))
        .take(MOST_PASSED)
        .filter_map(|fd| {
            // SAFETY: fcntl with F_GETFD and F_SETFD touches no memory; a number that is not open is an error.
            let open = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == 0;
            // SAFETY: the descriptor is open, was passed to this process alone, and nothing else here knows it.
            open.then(|| unsafe { OwnedFd::from_raw_fd(fd) })
        })
        .collect()
}

/// Whether this process has one thread, so that it may fork.
pub fn single_threaded() -> bool {
    // Where /proc is absent there is nothing to check against.
    std::fs::read_dir("/proc/self/task").map_or(true, |tasks| tasks.count() == 1)
}

/// Forks the server off the process that launched it.
///
/// # Errors
/// The kernel makes no more processes.
pub fn fork_server() -> io::Result<ForkResult> {
    fork()
}

/// fork(3). Where no library is there that has asked to be told of it, as PAM's may, the C library's bookkeeping is left out too: it
/// writes to three pages that the child would otherwise share with its parent for as long as it lives.
fn fork() -> io::Result<ForkResult> {
    debug_assert!(
        single_threaded(),
        "fork with threads can deadlock the child"
    );
    let bare = dl::bare_fork().filter(|_| !dl::any_open());
    // SAFETY: this process has one thread, so the child's copy of every lock and of the heap is consistent; what the first leaves out
    // are locks, the list of other threads' stacks, and handlers, of which there are none.
    let child = unsafe { bare.map_or_else(|| libc::fork(), |bare| bare()) };
    Ok(match Errno::result(child).map(Pid::from_raw)? {
        child if child.as_raw() == 0 => ForkResult::Child,
        child => ForkResult::Parent { child },
    })
}

/// Closes this process's copy of a descriptor that its parent goes on using.
pub fn close_inherited(fd: &std::os::fd::OwnedFd) {
    use std::os::fd::AsRawFd;
    // SAFETY: called in a forked child that never uses or drops the value again: it leaves by _exit.
    unsafe { libc::close(fd.as_raw_fd()) };
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Ended, Errand, wait_for};
    use nix::unistd::ForkResult;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    /// Without the mend that was an error, and whoever had waited for the child did not know that it was gone.
    #[test]
    fn a_real_time_signal_ends_a_process_too() {
        // SAFETY: the child calls only what needs no lock, and leaves by _exit.
        let child = match unsafe { nix::unistd::fork() }.unwrap() {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                // SAFETY: both take integers, and touch no memory.
                unsafe {
                    libc::raise(libc::SIGRTMAX());
                    libc::_exit(0)
                }
            }
        };
        let ended = wait_for(child).unwrap();
        assert_eq!(ended, Ended::Killed(libc::SIGRTMAX()));
    }

    #[test]
    fn who_never_stops_speaking_is_late() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        // SAFETY: the child calls only what needs no lock, and leaves by _exit.
        let child = match unsafe { nix::unistd::fork() }.unwrap() {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                while theirs.write_all(b"and so on").is_ok() {}
                // SAFETY: _exit takes any status and does not return.
                unsafe { libc::_exit(0) }
            }
        };
        let errand = Errand::new(child, Duration::ZERO);
        assert!(!errand.speaks(ours.as_fd()));
        assert!(errand.end().is_err());
    }
}
