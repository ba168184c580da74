//! Who is connected: the counts that max_clients and max_per_ip are decided by, before any fork; master.

use nix::unistd::Pid;
use std::collections::HashMap;
use std::net::IpAddr;

/// What is done with a new connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is served.
    Welcome {
        /// How many sessions there are with it.
        clients: usize,
    },
    /// max_clients are here already.
    Full,
    /// max_per_ip are here from that address already.
    FullForAddress,
}

/// The sessions, by helper and by address.
#[derive(Debug, Default)]
pub struct Roster {
    sessions: HashMap<Pid, IpAddr>,
    addresses: HashMap<IpAddr, u32>,
}

impl Roster {
    /// Decides on one more connection from `address`; a limit of 0 is none (reference §1.2, 15 and 17).
    pub fn admission(&self, address: IpAddr, max_clients: u32, max_per_ip: u32) -> Admission {
        let here = self
            .addresses
            .get(&address.to_canonical())
            .copied()
            .unwrap_or(0);
        if max_clients > 0
            && self.sessions.len() >= usize::try_from(max_clients).unwrap_or(usize::MAX)
        {
            Admission::Full
        } else if max_per_ip > 0 && here >= max_per_ip {
            Admission::FullForAddress
        } else {
            Admission::Welcome {
                clients: self.sessions.len().saturating_add(1),
            }
        }
    }

    /// A helper was forked for `address`.
    pub fn entered(&mut self, helper: Pid, address: IpAddr) {
        let address = address.to_canonical();
        self.sessions.insert(helper, address);
        let count = self.addresses.entry(address).or_insert(0);
        *count = count.saturating_add(1);
    }

    /// A child has ended; an orphan that was adopted is nobody's session.
    pub fn left(&mut self, child: Pid) {
        let Some(address) = self.sessions.remove(&child) else {
            return;
        };
        if let Some(count) = self.addresses.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Admission, Roster};
    use nix::unistd::Pid;

    #[test]
    fn counts_come_back_to_nothing() {
        let mut roster = Roster::default();
        let address = "192.0.2.1".parse().unwrap();
        roster.entered(Pid::from_raw(10), address);
        roster.entered(Pid::from_raw(11), "::ffff:192.0.2.1".parse().unwrap());
        assert_eq!(roster.admission(address, 0, 2), Admission::FullForAddress);
        assert_eq!(roster.admission(address, 2, 0), Admission::Full);
        assert_eq!(
            roster.admission(address, 3, 3),
            Admission::Welcome { clients: 3 }
        );
        roster.left(Pid::from_raw(99));
        roster.left(Pid::from_raw(10));
        roster.left(Pid::from_raw(10));
        roster.left(Pid::from_raw(11));
        assert!(roster.sessions.is_empty() && roster.addresses.is_empty());
    }

    #[test]
    fn the_total_is_looked_at_first() {
        let mut roster = Roster::default();
        let address = "192.0.2.1".parse().unwrap();
        roster.entered(Pid::from_raw(10), address);
        assert_eq!(roster.admission(address, 1, 1), Admission::Full);
    }
}
