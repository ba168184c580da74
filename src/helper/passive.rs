//! A host name in `pasv_address`: looked up at the start, with other settings, and again from time to time; master, and helper where a
//! file for one address or user names another.

use super::prepared::{Prepared, Unprepared};
use crate::config::Config;
use crate::reader::{Question, System};
use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// How long a name that SIGHUP or a file of settings brings may take to look up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a name has no address.
pub const NO_ADDRESS: &str = "it has no IPv4 address";

/// A name and what it was replaced by.
#[derive(Debug, Clone)]
pub struct Passive {
    /// The name whose address it is.
    name: OsString,
    address: OsString,
    /// The name that stands in the settings, if it is this address that replaces it.
    stands: Option<OsString>,
}

impl Prepared {
    /// The host name that stands in `pasv_address`, if an address was put in its place.
    pub fn passive_name(&self) -> Option<&OsStr> {
        self.passive.as_ref()?.stands.as_deref()
    }

    /// Asks for its address again, in a child without rights.
    ///
    /// # Errors
    /// No child can be made.
    pub fn ask_passive(&self, name: &OsStr) -> std::io::Result<Question> {
        system(self).ask(&name.to_string_lossy())
    }

    /// Takes what was answered: the address that is told stays as long as it is one of those. True if it is another now.
    ///
    /// # Errors
    /// No address of IPv4 is among them; nothing has changed.
    pub fn answer_passive(&mut self, addresses: &[IpAddr]) -> Result<bool, &'static str> {
        let Some(passive) = self.passive.as_mut() else {
            return Ok(false);
        };
        let mut texts = addresses
            .iter()
            .filter(|address| address.is_ipv4())
            .map(|address| OsString::from(address.to_string()));
        if texts.clone().any(|text| text == passive.address) {
            return Ok(false);
        }
        let first = texts.next().ok_or(NO_ADDRESS)?;
        passive.address = first.clone();
        if let Some(name) = &passive.stands {
            passive.name.clone_from(name);
        }
        Arc::make_mut(&mut self.loaded.config).pasv_address = Some(first);
        Ok(true)
    }
}

/// Replaces a host name in `pasv_address` by its first IPv4 address, if `pasv_addr_resolve` asks for that; gives both.
pub(super) fn resolve(
    config: &mut Config,
    before: Option<&Prepared>,
) -> Result<Option<Passive>, Unprepared> {
    let known = before.and_then(|before| before.passive.clone());
    let known = known.map(|known| Passive {
        stands: None,
        ..known
    });
    let (true, Some(name)) = (config.pasv_addr_resolve, config.pasv_address.clone()) else {
        return Ok(known);
    };
    let text = name.to_string_lossy();
    if text.parse::<Ipv4Addr>().is_ok() {
        return Ok(known);
    }
    let mut stand = |passive: Passive| {
        config.pasv_address = Some(passive.address.clone());
        Ok(Some(Passive {
            stands: Some(name.clone()),
            ..passive
        }))
    };
    if let Some(known) = known.as_ref().filter(|known| known.name == name) {
        return stand(known.clone());
    }
    let found = match before {
        None => first_address(&text),
        Some(before) => first_address_apart(&text, before),
    };
    match (found, known) {
        (Ok(address), _) => stand(Passive {
            name: name.clone(),
            address: address.to_string().into(),
            stands: None,
        }),
        (Err(why), Some(known)) => {
            let old = known.name.to_string_lossy();
            log::error!("cannot resolve host:{text} (pasv_address: {why}); that of {old} stays");
            stand(known)
        }
        (Err(why), None) => Err(Unprepared::Host {
            name: text.into_owned(),
            why,
        }),
    }
}

/// At the start, when nobody is served yet.
fn first_address(name: &str) -> Result<IpAddr, String> {
    let mut found = (name, 0_u16).to_socket_addrs();
    let found = found.as_mut().map_err(|error| error.to_string())?;
    let found = found.map(|address| address.ip()).find(IpAddr::is_ipv4);
    found.ok_or_else(|| NO_ADDRESS.to_owned())
}

/// Later: in a child without rights, because what answers may be anybody, or nobody.
fn first_address_apart(name: &str, before: &Prepared) -> Result<IpAddr, String> {
    let found = system(before).addresses_within(PATIENCE, name);
    let found = found.into_iter().find(IpAddr::is_ipv4);
    found.ok_or_else(|| format!("{NO_ADDRESS}, or there was no answer"))
}

fn system(prepared: &Prepared) -> System {
    System(prepared.reader())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{NO_ADDRESS, Passive};
    use crate::config::{self, Source};
    use crate::helper::Prepared;
    use std::ffi::OsStr;
    use std::net::IpAddr;

    fn prepared() -> Prepared {
        let lines = [
            "listen=YES",
            "local_enable=YES",
            "anonymous_enable=NO",
            "pasv_address=192.0.2.1",
        ];
        let sources = lines.map(|line| Source::Setting(line.into()));
        let mut prepared = Prepared::new(config::load(&config::Own, &sources).unwrap()).unwrap();
        assert_eq!(prepared.passive_name(), None);
        prepared.passive = Some(Passive {
            name: "old.test".into(),
            address: "192.0.2.1".into(),
            stands: Some("new.test".into()),
        });
        prepared
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_stays_while_it_is_one_of_the_name_s() {
        let mut prepared = prepared();
        assert_eq!(prepared.passive_name(), Some(OsStr::new("new.test")));
        let told = |prepared: &Prepared| prepared.config().pasv_address.clone().unwrap();
        let all = addresses(&["2001:db8::1", "192.0.2.2", "192.0.2.1"]);
        assert_eq!(prepared.answer_passive(&all), Ok(false));
        assert_eq!(told(&prepared), "192.0.2.1");
        let others = addresses(&["2001:db8::1", "192.0.2.3", "192.0.2.2"]);
        assert_eq!(prepared.answer_passive(&others), Ok(true));
        assert_eq!(told(&prepared), "192.0.2.3");
        assert_eq!(prepared.passive_name(), Some(OsStr::new("new.test")));
        for none in [&[][..], &["2001:db8::1"]] {
            assert_eq!(prepared.answer_passive(&addresses(none)), Err(NO_ADDRESS));
            assert_eq!(told(&prepared), "192.0.2.3");
        }
    }

    /// With a file for one address or user that names another address, the name stands there no more.
    #[test]
    fn a_number_in_its_place_is_not_asked_for() {
        let prepared = prepared();
        let lines = [
            "listen=YES",
            "local_enable=YES",
            "anonymous_enable=NO",
            "pasv_address=192.0.2.9",
        ];
        let sources = lines.map(|line| Source::Setting(line.into()));
        let other = prepared.anew(config::load(&config::Own, &sources).unwrap());
        assert_eq!(other.unwrap().passive_name(), None);
    }
}
