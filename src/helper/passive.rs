//! A host name in `pasv_address`, looked up again from time to time; master.

use super::prepared::Prepared;
use crate::reader::{NO_ADDRESS, Question, System};
use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::sync::Arc;

impl Prepared {
    /// The host name that stands in `pasv_address`, if an address was put in its place.
    pub fn passive_name(&self) -> Option<&OsStr> {
        self.names.passive.as_ref()?.stands.as_deref()
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
        let Some(passive) = self.names.passive.as_mut() else {
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

fn system(prepared: &Prepared) -> System {
    System(prepared.reader())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::config::{self, Source};
    use crate::helper::Prepared;
    use crate::reader::{NO_ADDRESS, Passive};
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
        prepared.names.passive = Some(Passive {
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
