//! Whether a worker that says nothing goes on: one that hangs in a call of a file system's outlives every timeout of its own; helper after
//! login.

use crate::config::Config;
use crate::tls::HANDSHAKE;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// How much longer than its timeouts a worker may do nothing: a busy machine is no file system that hangs.
const MORE: Duration = Duration::from_secs(10);

/// What is known of a worker by the time that the processor has spent on it. An idle one wakes up when the session's timeouts end, one that
/// transfers when its data connection's do or a handshake's, and those that wait for anything else much sooner.
#[derive(Debug)]
pub struct Pulse {
    worker: Pid,
    /// How long it may do nothing at all; for ever where a timeout is none.
    longest: Option<Duration>,
    /// When it was seen to have done so much, and nothing since.
    last: (Option<Duration>, Instant),
}

impl Pulse {
    /// Of a worker with these settings.
    pub fn new(worker: Pid, config: &Config) -> Self {
        let (idle, data) = (config.idle_session_timeout, config.data_connection_timeout);
        let longest = Duration::from_secs(idle.max(data).into()).max(HANDSHAKE);
        Self {
            worker,
            longest: (idle > 0 && data > 0).then_some(longest.saturating_add(MORE)),
            last: (None, Instant::now()),
        }
    }

    /// Looks: whether it has done nothing for longer than it may.
    pub fn is_gone(&mut self) -> bool {
        self.note(spent(self.worker), Instant::now())
    }

    fn note(&mut self, spent: Option<Duration>, now: Instant) -> bool {
        if spent.is_none() || spent != self.last.0 {
            self.last = (spent, now);
        }
        let still = now.saturating_duration_since(self.last.1);
        self.longest.is_some_and(|longest| still >= longest)
    }
}

/// The time the processor has spent on a process: nobody needs a right to ask for it (clock_getcpuclockid(3)).
fn spent(process: Pid) -> Option<Duration> {
    /// The clock of a whole process, by what its threads were given (linux/posix-timers.h).
    const SCHEDULED: i32 = 2;
    let clock = ClockId::from_raw(!process.as_raw() << 3 | SCHEDULED);
    clock_gettime(clock).ok().map(Duration::from)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{HANDSHAKE, MORE, Pulse, spent};
    use crate::config::Config;
    use nix::unistd::Pid;
    use std::time::{Duration, Instant};

    #[test]
    fn a_worker_that_does_nothing() {
        let own = Pid::this();
        let before = spent(own).unwrap();
        while spent(own).unwrap() == before {}
        let config = |idle_session_timeout, data_connection_timeout| Config {
            idle_session_timeout,
            data_connection_timeout,
            ..Config::default()
        };
        let (second, begin) = (Duration::from_secs(1), Instant::now());
        for (idle, data, longest) in [
            (300, 100, 300 * second),
            (1, 1, HANDSHAKE),
            (10, 400, 400 * second),
        ] {
            let mut pulse = Pulse::new(own, &config(idle, data));
            let longest = longest + MORE;
            let (one, two) = (Some(second), Some(2 * second));
            assert!(!pulse.note(one, begin));
            assert!(!pulse.note(one, begin + longest - second));
            assert!(!pulse.note(two, begin + longest));
            assert!(!pulse.note(two, begin + 2 * longest - second));
            assert!(pulse.note(two, begin + 2 * longest));
            // Nothing is known of one that has ended, which is told otherwise.
            assert!(!pulse.note(None, begin + 9 * longest));
        }
        for (idle, data) in [(0, 1), (1, 0)] {
            let mut pulse = Pulse::new(own, &config(idle, data));
            assert!(!pulse.note(Some(second), begin));
            assert!(!pulse.note(Some(second), begin + 3600 * second));
        }
    }
}
