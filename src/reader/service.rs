//! The host's name service, for who waits for its answer; reader, without rights.

use super::lookup::System;
use crate::sys::{process, resolve, socket};
use std::net::{IpAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long one look-up may take before the name counts as unknown.
const PATIENCE: Duration = Duration::from_secs(20);

impl System {
    /// The name of an address, whoever gave it.
    pub fn name(&self, address: IpAddr) -> Option<String> {
        let found = self.apart(PATIENCE, || resolve::name(address).into_iter().collect());
        found.into_iter().next()
    }

    /// All addresses of a name.
    pub fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.addresses_within(PATIENCE, name).unwrap_or_default()
    }

    /// All addresses of a name.
    ///
    /// # Errors
    /// There are none, or there is no answer in time: why.
    pub fn addresses_within(&self, patience: Duration, name: &str) -> Result<Vec<IpAddr>, String> {
        let mut found = self.apart(patience, || texts_of(name));
        let addresses = parsed(&found);
        if addresses.is_empty() {
            return Err(found.pop().unwrap_or("there was no answer".to_owned()));
        }
        Ok(addresses)
    }

    /// Runs a look-up in a child; no answer in time, or nonsense, is none.
    fn apart(&self, patience: Duration, look_up: impl FnOnce() -> Vec<String>) -> Vec<String> {
        let Ok(mut question) = self.begin(look_up) else {
            return Vec::new();
        };
        let deadline = Instant::now().checked_add(patience);
        let found = match socket::readable(question.fd(), deadline) {
            Ok(true) => question.texts(),
            Ok(false) | Err(_) => Vec::new(),
        };
        question.end();
        let _ = process::wait_for(question.child());
        found
    }
}

/// The IPv4 address of a name that is to be told: the known one as long as it is among them, or the first. Waited for by this process itself.
pub fn to_be_told(name: &str, known: &str) -> Option<String> {
    chosen(resolve::addresses(name), known)
}

fn chosen(addresses: Vec<IpAddr>, known: &str) -> Option<String> {
    let mut all = texts(addresses.into_iter().filter(IpAddr::is_ipv4).collect());
    let at = all.iter().position(|text| text == known).unwrap_or(0);
    (at < all.len()).then(|| all.swap_remove(at))
}

/// What is reported of a name: its addresses, or why there are none.
fn texts_of(name: &str) -> Vec<String> {
    match (name, 0).to_socket_addrs() {
        Ok(found) => texts(found.map(|address| address.ip()).collect()),
        Err(why) => vec![why.to_string()],
    }
}

fn texts(addresses: Vec<IpAddr>) -> Vec<String> {
    let texts = addresses.into_iter();
    texts.map(|address| address.to_string()).collect()
}

fn parsed(texts: &[String]) -> Vec<IpAddr> {
    let parsed = texts.iter().filter_map(|text| text.parse().ok());
    parsed.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::chosen;

    #[test]
    fn an_address_stays_while_it_is_one_of_the_name_s() {
        let told = |texts: &[&str]| {
            let all = texts.iter().map(|text| text.parse().unwrap()).collect();
            chosen(all, "192.0.2.1")
        };
        for (all, one) in [
            (
                &["2001:db8::1", "192.0.2.2", "192.0.2.1"][..],
                Some("192.0.2.1"),
            ),
            (
                &["2001:db8::1", "192.0.2.3", "192.0.2.2"],
                Some("192.0.2.3"),
            ),
            (&["2001:db8::1"], None),
            (&[], None),
        ] {
            assert_eq!(told(all).as_deref(), one);
        }
    }
}
