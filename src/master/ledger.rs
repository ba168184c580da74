//! What each source has done lately: failed logins and handshakes, forgotten evenly in time, for a bounded number of sources; master.

use super::roster::Source;
use crate::config::Config;
use crate::sys::apart::{Apart, Mappings};
use crate::wire::Report;
use std::time::{Duration, Instant};

/// The most sources that are remembered; the one whose last deed is the oldest gives way.
const MOST: usize = 8192;

/// In which handshakes are forgotten.
const MINUTE: Duration = Duration::from_secs(60);

/// How many of one thing a source may do in how much time.
#[derive(Debug, Clone, Copy)]
struct Rate {
    limit: u32,
    window: Duration,
}

impl Rate {
    fn of(report: Report, config: &Config) -> Self {
        match report {
            Report::LoginFailed => Self {
                limit: config.login_fails_per_ip,
                window: Duration::from_secs(config.login_fails_window.into()),
            },
            Report::Handshake => Self {
                limit: config.ssl_handshakes_per_ip,
                window: MINUTE,
            },
        }
    }
}

/// A count that is forgotten evenly, `limit` of it in `window`: kept as the moment when nothing is left of it.
#[derive(Debug, Clone, Copy)]
struct Count {
    gone_at: Instant,
}

impl Count {
    fn none(now: Instant) -> Self {
        Self { gone_at: now }
    }

    /// How long one lasts.
    fn each(rate: Rate) -> Duration {
        rate.window.checked_div(rate.limit).unwrap_or_default()
    }

    /// One more. There are never more than twice the limit, so that after the last one a source is refused for one window at most.
    fn add(&mut self, now: Instant, rate: Rate) {
        let left = self.gone_at.saturating_duration_since(now);
        let left = left
            .saturating_add(Self::each(rate))
            .min(rate.window.saturating_mul(2));
        self.gone_at = now.checked_add(left).unwrap_or(now);
    }

    /// How many are not forgotten.
    fn now(self, now: Instant, rate: Rate) -> u32 {
        let left = self.gone_at.saturating_duration_since(now).as_nanos();
        // One that is half forgotten still counts, or a limit of one would never hold.
        let count = left.div_ceil(Self::each(rate).as_nanos().max(1));
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

#[derive(Debug)]
struct Entry {
    source: Source,
    failed: Count,
    handshakes: Count,
}

/// The sources that have done something that is counted, the one whose last deed is the oldest first; sessions have no part in that memory.
#[derive(Debug)]
pub struct Ledger(Apart<Entry>);

impl Default for Ledger {
    /// With room for all there can be, of which what is used is memory.
    fn default() -> Self {
        Self(Apart::with_capacity_in(MOST, Mappings))
    }
}

/// What one source has done and is not forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deeds {
    /// Failed logins.
    pub failed: u32,
    /// Handshakes begun.
    pub handshakes: u32,
}

impl Ledger {
    /// What this source has done.
    pub fn of(&self, source: Source, config: &Config, now: Instant) -> Deeds {
        let entry = self.at(source).and_then(|at| self.0.get(at));
        let count = |of: fn(&Entry) -> Count, report| {
            let rate = Rate::of(report, config);
            entry.map_or(0, |entry| of(entry).now(now, rate))
        };
        Deeds {
            failed: count(|entry| entry.failed, Report::LoginFailed),
            handshakes: count(|entry| entry.handshakes, Report::Handshake),
        }
    }

    fn at(&self, source: Source) -> Option<usize> {
        self.0.iter().rposition(|entry| entry.source == source)
    }

    /// Forgets everything when what it was counted by has changed: a raised limit frees who was refused, a shorter window shortens.
    pub fn renew(&mut self, old: &Config, new: &Config) {
        let limits = |c: &Config| (c.login_fails_per_ip, c.ssl_handshakes_per_ip);
        let window = |config: &Config| config.login_fails_window;
        if (limits(old), window(old)) != (limits(new), window(new)) {
            self.0.clear();
        }
    }

    /// Writes one deed down; true when it is the one with which the source has reached its limit.
    pub fn note(&mut self, source: Source, report: Report, config: &Config, now: Instant) -> bool {
        let rate = Rate::of(report, config);
        if rate.limit == 0 {
            return false;
        }
        let known = self.at(source).map(|at| self.0.remove(at));
        let mut entry = known.unwrap_or(Entry {
            source,
            failed: Count::none(now),
            handshakes: Count::none(now),
        });
        let count = match report {
            Report::LoginFailed => &mut entry.failed,
            Report::Handshake => &mut entry.handshakes,
        };
        let before = count.now(now, rate);
        count.add(now, rate);
        let after = count.now(now, rate);
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(entry);
        before < rate.limit && after >= rate.limit
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Deeds, Ledger, MOST};
    use crate::config::Config;
    use crate::master::roster::Source;
    use crate::wire::Report;
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, Instant};

    fn source(text: &str) -> Source {
        Source::from(text.parse::<IpAddr>().unwrap())
    }

    fn config(limit: u32, window: u32) -> Config {
        Config {
            login_fails_per_ip: limit,
            login_fails_window: window,
            ssl_handshakes_per_ip: limit,
            ..Config::default()
        }
    }

    #[test]
    fn failures_are_forgotten_evenly() {
        let (config, begin) = (config(10, 100), Instant::now());
        let here = source("192.0.2.1");
        let mut ledger = Ledger::default();
        let at = |seconds| begin + Duration::from_secs(seconds);
        for number in 1..=9 {
            assert!(!ledger.note(here, Report::LoginFailed, &config, begin));
            assert_eq!(ledger.of(here, &config, begin).failed, number);
        }
        // The one that reaches the limit, and none after it until it was left.
        assert!(ledger.note(here, Report::LoginFailed, &config, begin));
        assert!(!ledger.note(here, Report::LoginFailed, &config, begin));
        assert_eq!(ledger.of(here, &config, at(10)).failed, 10);
        assert_eq!(ledger.of(here, &config, at(20)).failed, 9);
        assert!(ledger.note(here, Report::LoginFailed, &config, at(20)));
        assert_eq!(ledger.of(here, &config, at(119)).failed, 1);
        let none = Deeds {
            failed: 0,
            handshakes: 0,
        };
        assert_eq!(ledger.of(here, &config, at(120)), none);
    }

    #[test]
    fn no_storm_is_held_against_a_source_for_longer_than_a_window() {
        let (config, begin) = (config(10, 100), Instant::now());
        let here = source("192.0.2.1");
        let mut ledger = Ledger::default();
        for _ in 0..1000 {
            ledger.note(here, Report::LoginFailed, &config, begin);
        }
        assert_eq!(ledger.of(here, &config, begin).failed, 20);
        let later = begin + Duration::from_secs(110);
        assert!(ledger.of(here, &config, later).failed < 10);
    }

    #[test]
    fn the_two_counts_and_the_sources_are_apart() {
        let (config, now) = (config(10, 100), Instant::now());
        let mut ledger = Ledger::default();
        for address in ["192.0.2.1", "::ffff:192.0.2.1"] {
            ledger.note(source(address), Report::LoginFailed, &config, now);
        }
        for address in ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"] {
            ledger.note(source(address), Report::Handshake, &config, now);
        }
        let of = |address| {
            let deeds = ledger.of(source(address), &config, now);
            (deeds.failed, deeds.handshakes)
        };
        assert_eq!(of("192.0.2.1"), (2, 0));
        assert_eq!(of("192.0.2.2"), (0, 0));
        assert_eq!(of("2001:db8::2"), (0, 2));
        assert_eq!(of("2001:db8:0:1::2"), (0, 1));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_gives_way() {
        let (config, now) = (config(10, 100), Instant::now());
        let mut ledger = Ledger::default();
        let address = |number: u32| Source::from(IpAddr::V4(Ipv4Addr::from_bits(number)));
        let most = u32::try_from(MOST).unwrap();
        for number in 0..most {
            ledger.note(address(number), Report::LoginFailed, &config, now);
        }
        // The first is no longer the oldest.
        ledger.note(address(0), Report::LoginFailed, &config, now);
        for number in most..most + 100 {
            ledger.note(address(number), Report::LoginFailed, &config, now);
        }
        assert_eq!(ledger.0.len(), MOST);
        assert_eq!(ledger.of(address(0), &config, now).failed, 2);
        assert_eq!(ledger.of(address(1), &config, now).failed, 0);
        assert_eq!(ledger.of(address(100), &config, now).failed, 0);
        assert_eq!(ledger.of(address(101), &config, now).failed, 1);
    }

    #[test]
    fn without_a_limit_nothing_is_kept() {
        let mut ledger = Ledger::default();
        let now = Instant::now();
        for _ in 0..10 {
            let here = source("192.0.2.1");
            assert!(!ledger.note(here, Report::LoginFailed, &config(0, 100), now));
            assert_eq!(ledger.of(here, &config(0, 100), now).failed, 0);
        }
        assert!(ledger.0.is_empty());
    }

    #[test]
    fn other_limits_begin_anew() {
        let now = Instant::now();
        let one = source("192.0.2.1");
        let old = Config::default();
        let mut ledger = Ledger::default();
        ledger.note(one, Report::LoginFailed, &old, now);
        ledger.renew(&old, &Config::default());
        assert_eq!(ledger.of(one, &old, now).failed, 1);
        let new = Config {
            login_fails_per_ip: 500,
            ..Config::default()
        };
        ledger.renew(&old, &new);
        assert_eq!(ledger.of(one, &new, now).failed, 0);
    }
}
