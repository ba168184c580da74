//! What is known of the accounts and of the host name that settings name; master and helper, as the reader has found it.

use crate::config::Config;
use crate::sys::account::Account;
use crate::wire::Passive;
use std::ffi::OsStr;

/// The options that name accounts.
pub const OPTIONS: [&str; 5] = [
    "nopriv_user",
    "key_user",
    "ftp_username",
    "guest_username",
    "chown_username",
];

/// `key_user` among them.
pub const KEEPER: usize = 1;
/// `ftp_username` among them.
pub const ANONYMOUS: usize = 2;
/// `guest_username` among them.
pub const GUEST: usize = 3;
/// `chown_username` among them.
pub const HEIR: usize = 4;

/// The accounts that settings need, in the order of [`OPTIONS`].
pub fn needed(config: &Config) -> [Option<&OsStr>; OPTIONS.len()] {
    let Config {
        nopriv_user,
        key_user,
        ftp_username,
        guest_username,
        chown_username,
        ..
    } = config;
    [
        Some(nopriv_user.as_deref().unwrap_or_default()),
        key_user.as_deref().filter(|_| config.ssl_enable),
        ftp_username.as_deref().filter(|_| config.anonymous_enable),
        guest_username.as_deref().filter(|_| config.guest_enable),
        chown_username.as_deref().filter(|_| config.chown_uploads),
    ]
}

/// Accounts, and an address.
#[derive(Debug, Clone)]
pub struct Names {
    /// Whom greeter and helper become.
    pub nopriv: Account,
    /// The others, in the order of [`OPTIONS`].
    pub others: [Option<Account>; OPTIONS.len() - 1],
    /// The host name that stood in `pasv_address`, and the address it was replaced by.
    pub passive: Option<Passive>,
}

impl Names {
    /// The same without the accounts that these settings do not need; nothing if they need others.
    pub fn for_others(&self, before: &Config, now: &Config) -> Option<Self> {
        let mut names = self.clone();
        if now.pasv_address != before.pasv_address {
            return None;
        }
        if now.run_as_launching_user {
            // What a file asks for has to be forgone.
            let asks = now.chown_uploads || now.connect_from_port_20;
            return (!asks).then_some(names);
        }
        let (before, now) = (needed(before), needed(now));
        let same = now
            .iter()
            .zip(before)
            .all(|(now, before)| now.is_none() || *now == before);
        for (account, now) in names.others.iter_mut().zip(now.iter().skip(1)) {
            *account = account.take().filter(|_| now.is_some());
        }
        same.then_some(names)
    }

    /// The account that the option with this number names.
    pub fn by_option(&self, number: usize) -> Option<&Account> {
        match number.checked_sub(1) {
            None => Some(&self.nopriv),
            Some(number) => self.others.get(number)?.as_ref(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{ANONYMOUS, GUEST, HEIR, KEEPER, Names};
    use crate::config::Config;
    use crate::sys::account::Account;
    use nix::unistd::{Gid, Uid};

    fn account(number: u32) -> Account {
        Account {
            name: "somebody".into(),
            uid: Uid::from_raw(number),
            gid: Gid::from_raw(number),
            home: "/".into(),
            shell: "/".into(),
            groups: Vec::new(),
        }
    }

    /// Settings that need every account.
    fn all() -> Config {
        Config {
            ssl_enable: true,
            anonymous_enable: true,
            guest_enable: true,
            chown_uploads: true,
            key_user: Some("keeper".into()),
            ftp_username: Some("anonymous".into()),
            guest_username: Some("guest".into()),
            chown_username: Some("heir".into()),
            nopriv_user: Some("nobody".into()),
            ..Config::default()
        }
    }

    /// Which of the accounts there are, by their numbers.
    fn left(now: &Config) -> Option<Vec<u32>> {
        let number = |at: usize| Some(account(u32::try_from(at).unwrap()));
        let names = Names {
            nopriv: account(0),
            others: [
                number(KEEPER),
                number(ANONYMOUS),
                number(GUEST),
                number(HEIR),
            ],
            passive: None,
        };
        let names = names.for_others(&all(), now)?;
        let known = (0..6).filter_map(|at| names.by_option(at));
        Some(known.map(|account| account.uid.as_raw()).collect())
    }

    #[test]
    fn accounts_serve_settings_that_need_no_others() {
        let all = all();
        assert_eq!(left(&all), Some(vec![0, 1, 2, 3, 4]));
        let no_guest = Config {
            guest_enable: false,
            guest_username: Some("other".into()),
            ..all.clone()
        };
        assert_eq!(left(&no_guest), Some(vec![0, 1, 2, 4]));
        let none = Config {
            ssl_enable: false,
            anonymous_enable: false,
            guest_enable: false,
            chown_uploads: false,
            ..all
        };
        assert_eq!(left(&none), Some(vec![0]));
    }

    #[test]
    fn another_account_is_looked_up() {
        let other = || Some("other".into());
        let changes: [fn(&mut Config, Option<std::ffi::OsString>); 6] = [
            |config, other| config.nopriv_user = other,
            |config, other| config.key_user = other,
            |config, other| config.ftp_username = other,
            |config, other| config.guest_username = other,
            |config, other| config.chown_username = other,
            |config, other| config.pasv_address = other,
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut config = all();
            change(&mut config, other());
            assert_eq!(left(&config), None, "{number}");
        }
    }

    #[test]
    fn what_an_ordinary_user_has_to_forgo() {
        let ordinary = Config {
            run_as_launching_user: true,
            chown_uploads: false,
            connect_from_port_20: false,
            nopriv_user: Some("other".into()),
            ..all()
        };
        // Everybody is who started it, whatever the settings name.
        assert_eq!(left(&ordinary), Some(vec![0, 1, 2, 3, 4]));
        for (chown_uploads, connect_from_port_20) in [(true, false), (false, true), (true, true)] {
            let asks = Config {
                chown_uploads,
                connect_from_port_20,
                ..ordinary.clone()
            };
            assert_eq!(left(&asks), None);
        }
    }
}
