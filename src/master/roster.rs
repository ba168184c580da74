//! Who is connected: the counts that limits are decided by, before any fork; master.

use super::ledger::Deeds;
use crate::helper::Counts;
use crate::sys::apart::{Apart, Mappings};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

/// The sessions, in the order of their helpers, to be found by halving. Those of one source are counted when that is asked: going through two
/// thousand takes no longer than a system call.
#[derive(Debug)]
pub struct Roster(Apart<(Pid, Source, IpAddr)>);

/// What counts as one source: an IPv4 address, also where it comes mapped, or an IPv6 network of 64 bits, which one host may have to itself
/// (RFC 4291 §2.5.4; attacks B-101). In that of link-local addresses are all hosts of all links: there it is the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The address.
    Address(Ipv4Addr),
    /// The first 64 bits.
    Network(u64),
    /// The last 64 bits of a link-local address.
    Link(u64),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::Address(address),
            IpAddr::V6(address) => {
                let half =
                    |shift: u32| u64::try_from(address.to_bits() >> shift & u128::from(u64::MAX));
                if address.is_unicast_link_local() {
                    Self::Link(half(0).unwrap_or(0))
                } else {
                    Self::Network(half(64).unwrap_or(0))
                }
            }
        }
    }
}

impl Default for Roster {
    fn default() -> Self {
        Self(Apart::new_in(Mappings))
    }
}

impl Roster {
    /// The counts with one more connection from `address`, which has done this.
    pub fn with(&self, address: IpAddr, deeds: Deeds) -> Counts {
        let source = Source::from(address);
        let here = self.0.iter().filter(|(_, one, _)| *one == source);
        let counted = |count| u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
        Counts {
            all: counted(self.0.len()),
            here: counted(here.count()),
            failed: deeds.failed,
            handshakes: deeds.handshakes,
        }
    }

    /// Whose session the helper serves.
    pub fn source(&self, helper: Pid) -> Option<IpAddr> {
        let (_, _, address) = self.0.get(self.at(helper).ok()?)?;
        Some(*address)
    }

    /// Where that one stands, or would.
    fn at(&self, helper: Pid) -> Result<usize, usize> {
        self.0.binary_search_by_key(&helper, |(pid, ..)| *pid)
    }

    /// Sees to it that one more session has room.
    ///
    /// # Errors
    /// The kernel has no memory left.
    pub fn reserve(&mut self) -> io::Result<()> {
        self.0.try_reserve(1).map_err(|_| Errno::ENOMEM.into())
    }

    /// A helper was forked for `address`, after [`Roster::reserve`].
    pub fn entered(&mut self, helper: Pid, address: IpAddr) {
        // Nobody has that number: it is free once its last bearer has been waited for, and so booked out.
        let (Ok(at) | Err(at)) = self.at(helper);
        self.0.insert(at, (helper, address.into(), address));
    }

    /// A child has ended: whose session that was; an orphan that was adopted is nobody's.
    pub fn left(&mut self, child: Pid) -> Option<IpAddr> {
        let at = self.at(child).ok()?;
        let (_, _, address) = self.0.remove(at);
        Some(address)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Roster;
    use crate::config::Config;
    use crate::helper::{self, Counts, limited};
    use crate::master::ledger::Deeds;
    use nix::unistd::Pid;

    #[test]
    fn counts_come_back_to_nothing() {
        let mut roster = Roster::default();
        let address = "192.0.2.1".parse().unwrap();
        roster.entered(Pid::from_raw(10), address);
        roster.entered(Pid::from_raw(11), "::ffff:192.0.2.1".parse().unwrap());
        let deeds = Deeds {
            failed: 7,
            handshakes: 8,
        };
        let counts = roster.with(address, deeds);
        assert_eq!((counts.failed, counts.handshakes), (7, 8));
        assert_eq!((counts.all, counts.here), (3, 3));
        assert!(roster.source(Pid::from_raw(11)).is_some());
        assert!(roster.source(Pid::from_raw(12)).is_none());
        assert_eq!(roster.left(Pid::from_raw(99)), None);
        assert!(roster.left(Pid::from_raw(10)).is_some());
        assert_eq!(roster.left(Pid::from_raw(10)), None);
        assert!(roster.left(Pid::from_raw(11)).is_some());
        assert!(roster.0.is_empty());
    }

    #[test]
    fn sixty_four_bits_of_ipv6_are_one_source() {
        let mut roster = Roster::default();
        for (pid, address) in (1..).zip([
            "2001:db8::1",
            "2001:db8::ffff:ffff:ffff:ffff",
            "2001:db8:0:1::1",
            "::ffff:192.0.2.1",
            "fe80::1",
        ]) {
            roster.entered(Pid::from_raw(pid), address.parse().unwrap());
        }
        for (address, here) in [
            ("2001:db8::2", 3),
            ("2001:db8:0:1::2", 2),
            ("2001:db8:1::1", 1),
            ("192.0.2.1", 2),
            // The network that mapped addresses would be in, and the address the first bits would make.
            ("::1", 1),
            ("0.0.0.0", 1),
            // Another host of the same link, and the network that its last bits would make.
            ("fe80::1", 2),
            ("fe80::2", 1),
            ("0:0:0:1::", 1),
        ] {
            let none = Deeds {
                failed: 0,
                handshakes: 0,
            };
            assert_eq!(
                roster.with(address.parse().unwrap(), none).here,
                here,
                "{address}"
            );
        }
        for pid in 1..=5 {
            assert!(roster.left(Pid::from_raw(pid)).is_some());
        }
        assert!(roster.0.is_empty());
    }

    /// Attacks B-118.
    #[test]
    fn the_total_is_looked_at_first() {
        let counts = Counts {
            all: 2,
            here: 2,
            failed: 3,
            handshakes: 4,
        };
        for (limits, refused) in [
            ([1, 1, 1, 1], Some(helper::FULL)),
            ([2, 1, 1, 1], Some(helper::FULL_FOR_ADDRESS)),
            ([2, 2, 3, 1], Some(helper::TOO_MANY_FAILURES)),
            ([2, 2, 4, 4], Some(helper::TOO_MANY_HANDSHAKES)),
            ([2, 2, 4, 5], None),
            ([0, 0, 0, 0], None),
        ] {
            let [
                max_clients,
                max_per_ip,
                login_fails_per_ip,
                ssl_handshakes_per_ip,
            ] = limits;
            let config = Config {
                max_clients,
                max_per_ip,
                login_fails_per_ip,
                ssl_handshakes_per_ip,
                ..Config::default()
            };
            assert_eq!(limited(counts, &config), refused);
        }
    }
}
