//! A host name in `pasv_address`, looked up again from time to time; master.

use super::prepared::Prepared;
use crate::reader::{self, NO_ADDRESS, Ours};
use std::ffi::{OsStr, OsString};
use std::net::Ipv4Addr;
use std::sync::Arc;

impl Prepared {
    /// The host name that stands in `pasv_address`, if an address was put in its place.
    pub fn passive_name(&self) -> Option<&OsStr> {
        self.names.passive.as_ref()?.stands.as_deref()
    }

    /// Asks which address of it is to be told now, in a child without rights.
    ///
    /// # Errors
    /// No child can be made.
    pub fn ask_passive(&self) -> std::io::Result<Ours> {
        let known = self.names.passive.as_ref().map(|passive| &*passive.address);
        let name = self.passive_name().unwrap_or_default();
        reader::ask_passive(self.reader(), name, known.unwrap_or_default())
    }

    /// Takes what was answered; true if it is another address than before.
    ///
    /// # Errors
    /// There is none; nothing has changed.
    pub fn answer_passive(&mut self, address: Option<Ipv4Addr>) -> Result<bool, String> {
        let address = address.ok_or(NO_ADDRESS)?.to_string();
        let passive = self.names.passive.as_mut();
        let Some(passive) = passive.filter(|passive| *passive.address != *address) else {
            return Ok(false);
        };
        if let Some(name) = &passive.stands {
            passive.name.clone_from(name);
        }
        passive.address = OsString::from(address);
        let config = Arc::make_mut(&mut self.loaded.config);
        config.pasv_address = Some(passive.address.clone());
        Ok(true)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::config::{self, Source};
    use crate::helper::Prepared;
    use crate::reader::NO_ADDRESS;
    use crate::wire::Passive;
    use std::ffi::OsStr;
    use std::net::Ipv4Addr;

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

    #[test]
    fn another_address_is_told() {
        let mut prepared = prepared();
        assert_eq!(prepared.passive_name(), Some(OsStr::new("new.test")));
        let told = |prepared: &Prepared| prepared.config().pasv_address.clone().unwrap();
        let mut answer = |last, other| {
            let changed = prepared.answer_passive(Some(Ipv4Addr::new(192, 0, 2, last)));
            assert_eq!(changed, Ok(other));
            assert_eq!(told(&prepared), *format!("192.0.2.{last}"));
        };
        answer(1, false);
        answer(3, true);
        assert_eq!(prepared.passive_name(), Some(OsStr::new("new.test")));
        assert_eq!(prepared.answer_passive(None), Err(NO_ADDRESS.to_owned()));
        assert_eq!(told(&prepared), "192.0.2.3");
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
