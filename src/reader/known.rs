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
