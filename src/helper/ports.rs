//! Which local ports data connections use, from the options; helper.

use crate::config::Config;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

/// The passive range: the options count only where the original lets them (reference §1.2, 18 and 19).
pub fn passive(config: &Config) -> RangeInclusive<u16> {
    let first = match u16::try_from(config.pasv_min_port) {
        Ok(port) if port > 1024 => port,
        Ok(_) | Err(_) => 1024,
    };
    let last = match u16::try_from(config.pasv_max_port) {
        Ok(port) if port >= first && port < u16::MAX => port,
        Ok(_) | Err(_) => u16::MAX,
    };
    first..=last
}

/// Where an active data connection comes from.
pub fn source(config: &Config, local: IpAddr) -> SocketAddr {
    let port = if config.connect_from_port_20 {
        u16::try_from(config.ftp_data_port).unwrap_or(20)
    } else {
        0
    };
    SocketAddr::new(local, port)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::passive;
    use crate::config::Config;

    #[test]
    fn range_follows_the_reference() {
        let range = |min, max| {
            let config = Config {
                pasv_min_port: min,
                pasv_max_port: max,
                ..Config::default()
            };
            passive(&config)
        };
        assert_eq!(range(5001, 0), 5001..=65535);
        assert_eq!(range(0, 0), 1024..=65535);
        assert_eq!(range(30000, 30010), 30000..=30010);
        assert_eq!(range(30000, 29999), 30000..=65535);
        assert_eq!(range(70000, 50000), 1024..=50000);
    }
}
