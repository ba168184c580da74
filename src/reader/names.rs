//! Looks up the accounts that settings name, and the address of a host name in `pasv_address`; reader, which asks the name service.

use super::System;
use super::ask::{self, Who, there};
use super::known::{Names, OPTIONS, needed};
use crate::config::{Config, Loaded};
use crate::sys::account::{self, Account};
use crate::wire::Passive;
use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

/// How long a name that SIGHUP or a file of settings brings may take to look up.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same at the start: nearly as long as a reader may take.
const AT_START: Duration = Duration::from_secs(50);

/// How long what SIGHUP has looked up may take: clients are waiting for master meanwhile.
pub const AGAIN: Duration = Duration::from_secs(10);

/// Why a name has no address.
pub const NO_ADDRESS: &str = "it has no IPv4 address";

/// When it is.
#[derive(Debug, Clone, Copy)]
pub enum Occasion<'a> {
    /// Nobody is served yet.
    Start,
    /// The server has served with these already: an address they have found stays, and for another there is little time.
    Reload(&'a Names),
    /// A file of settings was read over these: what they have in common is not looked up again.
    Overlay(&'a Loaded, &'a Names),
}

impl<'a> Occasion<'a> {
    /// How long the whole may take.
    pub(super) fn patience(self) -> Duration {
        match self {
            Self::Start | Self::Overlay(..) => ask::PATIENCE,
            Self::Reload(_) => AGAIN,
        }
    }

    fn known(self) -> Option<&'a Names> {
        match self {
            Self::Start => None,
            Self::Reload(names) | Self::Overlay(_, names) => Some(names),
        }
    }
}

/// Looks everything up, and puts into the settings what follows; remarks for the log come with it.
///
/// # Errors
/// The first that is missing.
pub fn gather(loaded: &mut Loaded, occasion: Occasion<'_>) -> Result<(Names, Vec<String>), String> {
    let (passive, remarks) = passive(loaded, occasion)?;
    if loaded.config.run_as_launching_user {
        let names = match occasion {
            Occasion::Overlay(_, names) => Names {
                passive,
                ..names.clone()
            },
            Occasion::Start | Occasion::Reload(_) => launched(&loaded.config, passive),
        };
        forgo(Arc::make_mut(&mut loaded.config));
        return Ok((names, remarks));
    }
    let mut found = [const { None }; OPTIONS.len()];
    let places = found.iter_mut().zip(needed(&loaded.config)).zip(OPTIONS);
    for (number, ((place, name), option)) in places.enumerate() {
        let Some(name) = name else { continue };
        *place = match occasion {
            Occasion::Overlay(before, names)
                // Keyholder was forked long ago.
                if needed(&before.config).get(number) == Some(&Some(name))
                    || option == "key_user" =>
            {
                names.by_option(number).cloned()
            }
            Occasion::Start | Occasion::Reload(_) | Occasion::Overlay(..) => {
                Some(find(option, name)?)
            }
        };
    }
    let [nopriv, others @ ..] = found;
    let nopriv = nopriv.ok_or("no nopriv_user")?;
    if nopriv.uid.is_root() {
        let why = "it has uid 0; it must be an account without privilege";
        return Err(missing("nopriv_user", &nopriv.name, why));
    }
    let names = Names {
        nopriv,
        others,
        passive,
    };
    Ok((names, remarks))
}

fn missing(option: &str, name: &OsStr, why: &str) -> String {
    let name = name.to_string_lossy();
    format!("vsftpd: cannot locate user specified in '{option}':{name} ({why})")
}

fn find(option: &str, name: &OsStr) -> Result<Account, String> {
    let failed = |error: std::io::Error| missing(option, name, &error.to_string());
    let found = account::find(name.as_bytes()).map_err(failed)?;
    let mut account = found.ok_or_else(|| missing(option, name, "there is no such account"))?;
    account.groups = account::groups(name.as_bytes(), account.gid).map_err(failed)?;
    match stranger(&account) {
        Some(who) => Err(missing(
            option,
            name,
            &format!("this container has no {who}: user_namespaces(7)"),
        )),
        None => Ok(account),
    }
}

/// The user or group of an account that no process can become here.
fn stranger(account: &Account) -> Option<String> {
    let uid = account.uid.as_raw();
    if !there("/proc/self/uid_map")(uid) {
        return Some(format!("uid {uid}"));
    }
    let mut groups = [account.gid]
        .into_iter()
        .chain(account.groups.iter().copied());
    let is_group = there("/proc/self/gid_map");
    let missing = groups.find(|gid| !is_group(gid.as_raw()));
    missing.map(|gid| format!("gid {gid}"))
}

/// For `run_as_launching_user`: everybody is who started this program.
fn launched(config: &Config, passive: Option<Passive>) -> Names {
    let own = launching_user();
    let anonymous = Account {
        home: public_directory(config, &own),
        name: config.ftp_username.clone().unwrap_or_default(),
        ..own.clone()
    };
    Names {
        nopriv: own,
        others: [None, Some(anonymous), None, None],
        passive,
    }
}

/// What asks for rights that no session has there, root's neither (reference §1.1, 14 and 17).
fn forgo(config: &mut Config) {
    config.connect_from_port_20 = false;
    config.chown_uploads = false;
}

/// The account this program was started by.
fn launching_user() -> Account {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let name = crate::sys::names::name_of_uid(uid.as_raw()).unwrap_or_default();
    let known = account::find(name.as_bytes()).ok().flatten();
    let groups = nix::unistd::getgroups().unwrap_or_default();
    Account {
        uid,
        gid,
        groups,
        home: known
            .as_ref()
            .map_or_else(|| "/".into(), |a| a.home.clone()),
        shell: known.map(|a| a.shell).unwrap_or_default(),
        name,
    }
}

/// What anonymous clients of an ordinary user's server see: the home of `ftp_username` where there is one, else the user's own.
fn public_directory(config: &Config, own: &Account) -> OsString {
    let ftp = config.ftp_username.as_deref().unwrap_or_default();
    let home = account::find(ftp.as_bytes()).ok().flatten();
    home.map_or_else(|| own.home.clone(), |account| account.home)
}

/// Replaces a host name in `pasv_address` by its first IPv4 address, if `pasv_addr_resolve` asks for that; gives both.
fn passive(
    loaded: &mut Loaded,
    occasion: Occasion<'_>,
) -> Result<(Option<Passive>, Vec<String>), String> {
    let known = occasion.known().and_then(|names| names.passive.clone());
    if let Occasion::Overlay(before, _) = occasion
        && before.config.pasv_address == loaded.config.pasv_address
    {
        return Ok((known, Vec::new()));
    }
    let known = known.map(|known| Passive {
        stands: None,
        ..known
    });
    let config = Arc::make_mut(&mut loaded.config);
    let (true, Some(name)) = (config.pasv_addr_resolve, config.pasv_address.clone()) else {
        return Ok((known, Vec::new()));
    };
    let text = name.to_string_lossy();
    if text.parse::<Ipv4Addr>().is_ok() {
        return Ok((known, Vec::new()));
    }
    let mut remarks = Vec::new();
    let mut passive = match known {
        Some(known) if known.name == name => known,
        known => match (first_address(&text, occasion), known) {
            (Ok(address), _) => Passive {
                name: name.clone(),
                address: address.to_string().into(),
                stands: None,
            },
            (Err(why), Some(known)) => {
                let old = known.name.to_string_lossy();
                remarks.push(format!(
                    "cannot resolve host:{text} (pasv_address: {why}); that of {old} stays"
                ));
                known
            }
            (Err(why), None) => {
                return Err(format!("cannot resolve host:{text} (pasv_address: {why})"));
            }
        },
    };
    config.pasv_address = Some(passive.address.clone());
    passive.stands = Some(name);
    Ok((Some(passive), remarks))
}

/// What answers may be anybody's name server, and this process reports accounts: a child asks, that can say nothing but addresses.
fn first_address(name: &str, occasion: Occasion<'_>) -> Result<IpAddr, String> {
    let patience = match occasion {
        Occasion::Start => AT_START,
        Occasion::Reload(_) | Occasion::Overlay(..) => PATIENCE,
    };
    let found = System(Who::kept()).addresses_within(patience, name)?;
    let found = found.into_iter().find(IpAddr::is_ipv4);
    found.ok_or_else(|| NO_ADDRESS.to_owned())
}
