//! What failed logins of this source cost this session, and what master is told of it; helper before login.

use super::arrival::Counts;
use crate::config::Config;
use crate::wire::{self, Report};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// The longest an answer to PASS is held back.
const MOST: Duration = Duration::from_secs(5);

/// The state of one source as master knew it when the session began, and the way to tell more.
#[derive(Debug)]
pub struct Toll<'a> {
    master: Option<&'a OwnedFd>,
    failed: u32,
}

impl<'a> Toll<'a> {
    /// For a session with these counts; without a master nobody counts.
    pub fn new(master: Option<&'a OwnedFd>, counts: Option<Counts>) -> Self {
        Self {
            master,
            failed: counts.map_or(0, |counts| counts.failed),
        }
    }

    /// Tells master. If it does not hear, the session goes on all the same.
    pub fn tell(&self, report: Report) {
        if let Some(master) = self.master {
            let _ = wire::post(master.as_fd(), &report);
        }
    }

    /// How long a password waits for its answer when this session has had `own` failures.
    pub fn delay(&self, config: &Config, own: u32) -> Duration {
        let limit = config.login_fails_per_ip;
        let free = limit / 2;
        let over = self.all(own).saturating_sub(free);
        if limit == 0 || over == 0 {
            return Duration::ZERO;
        }
        let steps = limit.saturating_sub(free).max(1);
        MOST.saturating_mul(over.min(steps))
            .checked_div(steps)
            .unwrap_or(MOST)
    }

    /// Whether this source may try no more, so that this session ends.
    pub fn exhausted(&self, config: &Config, own: u32) -> bool {
        config.login_fails_per_ip > 0 && self.all(own) >= config.login_fails_per_ip
    }

    fn all(&self, own: u32) -> u32 {
        self.failed.saturating_add(own)
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Toll};
    use crate::config::Config;
    use crate::helper::Counts;
    use std::time::Duration;

    fn toll(failed: u32) -> Toll<'static> {
        let counts = Counts {
            all: 1,
            here: 1,
            failed,
            handshakes: 0,
        };
        Toll::new(None, Some(counts))
    }

    #[test]
    fn the_delay_grows_from_half_of_the_limit_on() {
        let config = Config::default();
        assert_eq!(config.login_fails_per_ip, 50);
        // Who mistypes a few times sees no difference.
        assert_eq!(toll(0).delay(&config, 3), Duration::ZERO);
        assert_eq!(toll(25).delay(&config, 0), Duration::ZERO);
        assert_eq!(toll(25).delay(&config, 1), Duration::from_millis(200));
        assert_eq!(toll(30).delay(&config, 0), Duration::from_secs(1));
        assert_eq!(toll(49).delay(&config, 0), Duration::from_millis(4800));
        assert_eq!(toll(50).delay(&config, 0), MOST);
        assert_eq!(toll(u32::MAX).delay(&config, u32::MAX), MOST);
        assert!(!toll(47).exhausted(&config, 2) && toll(47).exhausted(&config, 3));
    }

    #[test]
    fn limits_of_none_and_one() {
        let with = |login_fails_per_ip| Config {
            login_fails_per_ip,
            ..Config::default()
        };
        assert_eq!(toll(1000).delay(&with(0), 1000), Duration::ZERO);
        assert!(!toll(1000).exhausted(&with(0), 1000));
        assert_eq!(toll(0).delay(&with(1), 0), Duration::ZERO);
        assert_eq!(toll(0).delay(&with(1), 1), MOST);
        assert!(toll(0).exhausted(&with(1), 1));
        assert!(!Toll::new(None, None).exhausted(&with(1), 0));
    }
}
