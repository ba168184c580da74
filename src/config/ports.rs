//! The ports of passive data connections: those of this host, and those clients are told; pure, used by helper, worker and the rules.

use super::Config;
use std::ops::RangeInclusive;

/// The local range: the options count only where the original lets them (reference §1.2, 18 and 19).
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

/// What clients are told for this local port of the range; `None` where there is no such port.
pub fn advertised(config: &Config, port: u16) -> Option<u16> {
    let from = config.pasv_advertise_min_port;
    if from == 0 {
        return Some(port);
    }
    let place = port.checked_sub(*passive(config).start())?;
    let told = from.checked_add(place.into())?;
    u16::try_from(told).ok()
}

#[cfg(test)]
mod tests {
    use super::{advertised, passive};
    use crate::config::Config;

    fn config(min: u32, max: u32, told: u32) -> Config {
        Config {
            pasv_min_port: min,
            pasv_max_port: max,
            pasv_advertise_min_port: told,
            ..Config::default()
        }
    }

    #[test]
    fn range_follows_the_reference() {
        let range = |min, max| passive(&config(min, max, 0));
        assert_eq!(range(5001, 0), 5001..=65535);
        assert_eq!(range(0, 0), 1024..=65535);
        assert_eq!(range(30000, 30010), 30000..=30010);
        assert_eq!(range(30000, 29999), 30000..=65535);
        assert_eq!(range(70000, 50000), 1024..=50000);
    }

    #[test]
    fn ports_are_told_in_their_order() {
        assert_eq!(advertised(&config(5000, 5009, 0), 5003), Some(5003));
        assert_eq!(advertised(&config(5000, 5009, 60_000), 5000), Some(60_000));
        assert_eq!(advertised(&config(5000, 5009, 60_000), 5009), Some(60_009));
        assert_eq!(advertised(&config(60_000, 60_009, 1), 60_009), Some(10));
        // Where the range begins, not what the option says.
        assert_eq!(advertised(&config(0, 1030, 2000), 1024), Some(2000));
        assert_eq!(advertised(&config(5000, 5009, 65_530), 5005), Some(65_535));
        assert_eq!(advertised(&config(5000, 5009, 65_530), 5006), None);
        assert_eq!(advertised(&config(5000, 5009, 60_000), 4999), None);
    }
}
