//! Who is connected: the counts that max_clients and max_per_ip are decided by, before any fork; master.

use crate::helper::Counts;
use nix::unistd::Pid;
use std::collections::HashMap;
use std::net::IpAddr;

/// The sessions, by helper and by address.
#[derive(Debug, Default)]
pub struct Roster {
    sessions: HashMap<Pid, IpAddr>,
    addresses: HashMap<IpAddr, u32>,
}

impl Roster {
    /// The counts with one more connection from `address`.
    pub fn with(&self, address: IpAddr) -> Counts {
        let here = self.addresses.get(&address.to_canonical()).copied();
        let all = u32::try_from(self.sessions.len()).unwrap_or(u32::MAX);
        Counts {
            all: all.saturating_add(1),
            here: here.unwrap_or(0).saturating_add(1),
        }
    }

    /// Whether the process is the helper of a session.
    pub fn is_helper(&self, child: Pid) -> bool {
        self.sessions.contains_key(&child)
    }

    /// A helper was forked for `address`.
    pub fn entered(&mut self, helper: Pid, address: IpAddr) {
        let address = address.to_canonical();
        self.sessions.insert(helper, address);
        let count = self.addresses.entry(address).or_insert(0);
        *count = count.saturating_add(1);
    }

    /// A child has ended; false for an orphan that was adopted, which is nobody's session.
    pub fn left(&mut self, child: Pid) -> bool {
        let Some(address) = self.sessions.remove(&child) else {
            return false;
        };
        if let Some(count) = self.addresses.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Roster;
    use crate::helper::{Counts, Refused, limited};
    use nix::unistd::Pid;

    #[test]
    fn counts_come_back_to_nothing() {
        let mut roster = Roster::default();
        let address = "192.0.2.1".parse().unwrap();
        roster.entered(Pid::from_raw(10), address);
        roster.entered(Pid::from_raw(11), "::ffff:192.0.2.1".parse().unwrap());
        let counts = roster.with(address);
        assert_eq!((counts.all, counts.here), (3, 3));
        assert!(roster.is_helper(Pid::from_raw(11)) && !roster.is_helper(Pid::from_raw(12)));
        assert!(!roster.left(Pid::from_raw(99)));
        assert!(roster.left(Pid::from_raw(10)));
        assert!(!roster.left(Pid::from_raw(10)));
        assert!(roster.left(Pid::from_raw(11)));
        assert!(roster.sessions.is_empty() && roster.addresses.is_empty());
    }

    #[test]
    fn the_total_is_looked_at_first() {
        let counts = Counts { all: 2, here: 2 };
        assert_eq!(limited(counts, 1, 1), Some(Refused::Full));
        assert_eq!(limited(counts, 2, 1), Some(Refused::FullForAddress));
        assert_eq!(limited(counts, 2, 2), None);
        assert_eq!(limited(counts, 0, 0), None);
    }
}
