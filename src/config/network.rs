//! Addresses that depend on the client's network: `10.0.0.0/8=10.1.2.3, 192.168.0.0/16=192.168.1.5`; and what depends on the address by
//! which the client came. Runs in reader, greeter and worker.

use super::options::Config;
use std::net::{Ipv4Addr, SocketAddr};

impl Config {
    /// Whether who comes in by this address speaks TLS from the first byte.
    pub fn begins_with_tls(&self, local: SocketAddr) -> bool {
        self.implicit_ssl || self.implicit_listen_port == u32::from(local.port())
    }
}

/// One network and what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    network: Ipv4Addr,
    mask: u32,
    address: Ipv4Addr,
}

/// The rules of a text, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks(Vec<Rule>);

impl Networks {
    /// Reads rules between commas or blanks.
    ///
    /// # Errors
    /// The rule that is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.split([',', ' ', '\t'])
            .filter(|rule| !rule.is_empty())
            .map(|text| rule(text).ok_or_else(|| text.to_owned()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What belongs to the first network with this client.
    pub fn find(&self, client: Ipv4Addr) -> Option<Ipv4Addr> {
        let within =
            |rule: &&Rule| client.to_bits() & rule.mask == rule.network.to_bits() & rule.mask;
        self.0.iter().find(within).map(|rule| rule.address)
    }
}

fn rule(text: &str) -> Option<Rule> {
    let (network, address) = text.split_once('=')?;
    let (network, bits) = network.split_once('/').unwrap_or((network, "32"));
    let plain = bits.bytes().all(|byte| byte.is_ascii_digit());
    let bits: u32 = bits.parse().ok().filter(|bits| plain && *bits <= 32)?;
    Some(Rule {
        network: network.parse().ok()?,
        mask: u32::MAX
            .checked_shl(32_u32.saturating_sub(bits))
            .unwrap_or(0),
        address: address.parse().ok()?,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Networks;
    use std::net::Ipv4Addr;

    #[test]
    fn the_first_network_counts() {
        let text = "10.1.0.0/16=10.1.0.1, 10.0.0.0/8=10.0.0.1 127.0.0.2=9.9.9.9,0.0.0.0/0=1.2.3.4";
        let networks = Networks::parse(text).unwrap();
        for (client, address) in [
            ([10, 1, 2, 3], [10, 1, 0, 1]),
            ([10, 2, 2, 3], [10, 0, 0, 1]),
            ([127, 0, 0, 2], [9, 9, 9, 9]),
            ([127, 0, 0, 3], [1, 2, 3, 4]),
        ] {
            let found = networks.find(Ipv4Addr::from(client));
            assert_eq!(found, Some(Ipv4Addr::from(address)));
        }
        assert_eq!(Networks::parse("").unwrap().find([1, 1, 1, 1].into()), None);
    }

    #[test]
    fn mistakes() {
        for bad in [
            "10.0.0.0/8",
            "10.0.0.0/33=1.2.3.4",
            "10.0.0/8=1.2.3.4",
            "10.0.0.0/8=host",
            "10.0.0.0/+8=1.2.3.4",
            "10.0.0.0/=1.2.3.4",
            "=1.2.3.4",
            "::/0=1.2.3.4",
        ] {
            assert_eq!(Networks::parse(bad), Err(bad.to_owned()));
        }
    }
}
