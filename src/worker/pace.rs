//! The rate limit of a session: a token bucket on the monotonic clock; worker, data thread.

use std::time::{Duration, Instant};

/// Whether the bytes so far are due yet.
#[derive(Debug)]
pub struct Pace {
    rate: u64,
    due: Instant,
}

impl Pace {
    /// At most `rate` bytes per second from now on; from `due` on, where more was moved than that has paid for.
    pub fn new(rate: u64, due: Option<Instant>) -> Self {
        Self {
            rate: rate.max(1),
            due: due.unwrap_or_else(Instant::now),
        }
    }

    /// When what was moved will be paid for.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// How many bytes to move at a time: an eighth of a second's worth, so that the limit is smooth.
    pub fn piece(&self) -> usize {
        usize::try_from(self.rate / 8)
            .unwrap_or(usize::MAX)
            .clamp(512, 65_536)
    }

    /// Books bytes that were moved; gives the time until which nothing more may be.
    pub fn book(&mut self, bytes: u64) -> Instant {
        let nanos = u128::from(bytes).saturating_mul(1_000_000_000) / u128::from(self.rate);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        // Time that was not used is not saved up.
        let from = self.due.max(Instant::now());
        self.due = from.checked_add(cost).unwrap_or(from);
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use std::time::{Duration, Instant};

    #[test]
    fn bytes_cost_time() {
        let start = Instant::now();
        let mut pace = Pace::new(1000, None);
        let first = pace.book(500);
        let second = pace.book(500);
        assert!(first >= start + Duration::from_millis(500));
        assert!(second >= first + Duration::from_millis(500));
    }

    #[test]
    fn a_debt_is_handed_on() {
        let mut pace = Pace::new(1000, None);
        let due = pace.book(500);
        let mut next = Pace::new(1000, Some(pace.due()));
        assert_eq!(next.book(0), due);
        assert_eq!(next.book(1000), due + Duration::from_secs(1));
    }

    #[test]
    fn pieces_stay_in_bounds() {
        assert_eq!(Pace::new(1, None).piece(), 512);
        assert_eq!(Pace::new(80_000, None).piece(), 10_000);
        assert_eq!(Pace::new(u64::MAX, None).piece(), 65_536);
    }
}
