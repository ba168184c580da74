//! Failures of the kernel that pass: said once, with what can be done about them, until they are over; master.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// The least time between two reports of the same trouble, however often it comes and goes.
const SILENCE: Duration = Duration::from_secs(60);

/// One kind of it.
#[derive(Debug, Default)]
pub struct Trouble {
    /// It has been reported and is not over.
    open: bool,
    said: Option<Instant>,
}

impl Trouble {
    /// It is there; true if it is to be reported.
    fn begins(&mut self, now: Instant) -> bool {
        let lately = |said: Instant| now.saturating_duration_since(said) < SILENCE;
        let begins = !self.open && !self.said.is_some_and(lately);
        if begins {
            (self.open, self.said) = (true, Some(now));
        }
        begins
    }

    /// Reports it, unless that was done.
    pub fn say(&mut self, what: &str, error: &dyn Display, advice: &str) {
        if self.begins(Instant::now()) {
            log::error!("{what}: {error}; {advice}");
        }
    }

    /// It is over, which is said if it was reported.
    pub fn over(&mut self, what: &str) {
        if std::mem::take(&mut self.open) {
            log::info!("{what}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SILENCE, Trouble};
    use std::time::Instant;

    #[test]
    fn it_is_said_once() {
        let mut trouble = Trouble::default();
        let begin = Instant::now();
        assert!(trouble.begins(begin));
        assert!(!trouble.begins(begin + 2 * SILENCE));
        trouble.over("over");
        assert!(trouble.begins(begin + 2 * SILENCE));
        trouble.over("over");
        // It comes and goes.
        assert!(!trouble.begins(begin + 2 * SILENCE));
        assert!(!trouble.open);
        assert!(trouble.begins(begin + 3 * SILENCE));
    }
}
