//! Settings together with the accounts and addresses they name, looked up once by master so that no session asks the name service
//! for them; helper looks up again only what a file for one address or user changes.

use super::passive::{self, Passive};
use crate::config::{Config, Loaded};
use crate::reader::Who;
use crate::sys::account::{self, Account};
use crate::sys::capability;
use crate::sys::confine::{Isolation, Wanted};
use crate::sys::process;
use crate::sys::{landlock, seccomp};
use crate::wire::{AuthReply, Channel, Identity, Silence};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::Arc;

/// For the log, when [`Prepared::isolation_is_too_late`].
pub const TOO_LATE: &str = "isolate and isolate_network have no effect: the server was started without them, or without CAP_SYS_ADMIN";

/// What a session starts from.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The options, and where each was set.
    pub loaded: Loaded,
    /// Whom greeter and helper become.
    pub nopriv: Account,
    /// Whom the keyholder becomes, if that is another.
    keeper: Option<Account>,
    /// Whom anonymous sessions run as; present when `anonymous_enable`.
    pub anonymous: Option<Account>,
    /// Whom guests run as; present when `guest_enable`.
    pub guest: Option<Account>,
    /// Whom uploads are given to; present when `chown_uploads`.
    pub heir: Option<Account>,
    /// The host name that stood in `pasv_address`, and the address it was replaced by.
    pub(super) passive: Option<Passive>,
}

/// Something that the configuration names does not exist, or could not be looked up.
#[derive(Debug)]
pub enum Unprepared {
    /// An account.
    Account {
        /// The option that names it.
        option: &'static str,
        /// The name.
        name: String,
        /// What went wrong.
        why: String,
    },
    /// A host name in `pasv_address`.
    Host {
        /// The name.
        name: String,
        /// What went wrong.
        why: String,
    },
}

impl fmt::Display for Unprepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account { option, name, why } => write!(
                f,
                "vsftpd: cannot locate user specified in '{option}':{name} ({why})"
            ),
            Self::Host { name, why } => {
                write!(f, "cannot resolve host:{name} (pasv_address: {why})")
            }
        }
    }
}

impl Prepared {
    /// Looks the accounts and the address up.
    ///
    /// # Errors
    /// The first one that is missing.
    pub fn new(loaded: Loaded) -> Result<Self, Unprepared> {
        Self::after(None, loaded)
    }

    /// As [`Prepared::new`], for a server that has served already and goes on meanwhile: a host name in `pasv_address` keeps its
    /// address, and another is looked up in a child, for which there is little time.
    ///
    /// # Errors
    /// As [`Prepared::new`].
    pub fn anew(&self, loaded: Loaded) -> Result<Self, Unprepared> {
        Self::after(Some(self), loaded)
    }

    fn after(before: Option<&Self>, mut loaded: Loaded) -> Result<Self, Unprepared> {
        let passive = passive::resolve(Arc::make_mut(&mut loaded.config), before)?;
        let config = &loaded.config;
        if config.run_as_launching_user {
            let own = launching_user();
            if !own.uid.is_root() {
                // Rights an ordinary user does not have to give (reference §1.1, 14 and 17).
                let config = Arc::make_mut(&mut loaded.config);
                config.connect_from_port_20 = false;
                config.chown_uploads = false;
            }
            let config = &loaded.config;
            return Ok(Self {
                nopriv: own.clone(),
                anonymous: Some(Account {
                    home: public_directory(config, &own).into(),
                    name: config.ftp_username.clone().unwrap_or_default(),
                    ..own
                }),
                keeper: None,
                guest: None,
                heir: None,
                passive,
                loaded,
            });
        }
        let lookups = Lookups::of(config);
        let named = |wanted: bool, option, name: &Option<OsString>| {
            wanted
                .then(|| find(lookups, option, name.as_deref()))
                .transpose()
        };
        Ok(Self {
            nopriv: find(lookups, "nopriv_user", config.nopriv_user.as_deref())?,
            keeper: named(
                config.ssl_enable && config.key_user.is_some(),
                "key_user",
                &config.key_user,
            )?,
            anonymous: named(
                config.anonymous_enable,
                "ftp_username",
                &config.ftp_username,
            )?,
            guest: named(
                config.guest_enable,
                "guest_username",
                &config.guest_username,
            )?,
            heir: named(
                config.chown_uploads,
                "chown_username",
                &config.chown_username,
            )?,
            passive,
            loaded,
        })
    }

    /// The options.
    pub fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// The options, to be kept.
    pub fn shared_config(&self) -> Arc<Config> {
        Arc::clone(&self.loaded.config)
    }

    /// The same for settings that a file for one address or user has changed; what they still have in common is not looked up again.
    ///
    /// # Errors
    /// As [`Prepared::new`].
    pub fn with(&self, mut loaded: Loaded) -> Result<Self, Unprepared> {
        let old = self.config();
        let mut passive = self.passive.clone();
        if loaded.config.pasv_address != old.pasv_address {
            passive = passive::resolve(Arc::make_mut(&mut loaded.config), Some(self))?;
        }
        let config = &loaded.config;
        if config.run_as_launching_user {
            return Ok(Self {
                passive,
                loaded,
                ..self.clone()
            });
        }
        let lookups = Lookups::of(config);
        let again = |wanted: bool,
                     had: &Option<Account>,
                     option,
                     before: &Option<OsString>,
                     now: &Option<OsString>| {
            match had {
                _ if !wanted => Ok(None),
                Some(account) if before == now => Ok(Some(account.clone())),
                Some(_) | None => find(lookups, option, now.as_deref()).map(Some),
            }
        };
        Ok(Self {
            nopriv: if config.nopriv_user == old.nopriv_user {
                self.nopriv.clone()
            } else {
                unprivileged(find(lookups, "nopriv_user", config.nopriv_user.as_deref())?)?
            },
            // It was forked long ago.
            keeper: self.keeper.clone(),
            anonymous: again(
                config.anonymous_enable,
                &self.anonymous,
                "ftp_username",
                &old.ftp_username,
                &config.ftp_username,
            )?,
            guest: again(
                config.guest_enable,
                &self.guest,
                "guest_username",
                &old.guest_username,
                &config.guest_username,
            )?,
            heir: again(
                config.chown_uploads,
                &self.heir,
                "chown_username",
                &old.chown_username,
                &config.chown_username,
            )?,
            passive,
            loaded,
        })
    }

    /// Whom the keyholder becomes.
    pub fn keeper(&self) -> &Account {
        self.keeper.as_ref().unwrap_or(&self.nopriv)
    }

    /// Whom a reader of more settings becomes.
    pub fn reader(&self) -> Who {
        Who {
            uid: self.nopriv.uid,
            gid: self.nopriv.gid,
            kept: self.config().run_as_launching_user,
            wanted: self.wanted(),
        }
    }

    /// Opens the empty directory that is the root of greeter and helper.
    ///
    /// # Errors
    /// It is missing or no directory.
    pub fn secure_chroot(&self) -> std::io::Result<OwnedFd> {
        let path = if self.config().run_as_launching_user {
            // No root is changed: nobody but root can do that.
            OsStr::new("/")
        } else {
            self.config()
                .secure_chroot_dir
                .as_deref()
                .unwrap_or_default()
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(nix::fcntl::open(path, flags, Mode::empty())?)
    }

    /// Whether sessions get name spaces of their own for System V objects (`isolate`) and for the network (`isolate_network`): only
    /// when the settings say so themselves. By default the worker's lack of any right to make a socket does the same for less.
    pub fn isolation(&self) -> (bool, bool) {
        let asked = |name, on| on && self.loaded.is_set(name);
        (
            asked("isolate", self.config().isolate),
            asked("isolate_network", self.config().isolate_network),
        )
    }

    /// Whether name spaces are asked for that cannot be had: by a file that was read after the right to make them was given up.
    pub fn isolation_is_too_late(&self) -> bool {
        let right = caps::Capability::CAP_SYS_ADMIN.bitmask();
        let held = capability::read().is_ok_and(|sets| sets.permitted & right != 0);
        self.isolation() != (false, false) && !held
    }

    /// The fences around a session's processes, as far as this kernel has them.
    pub fn wanted(&self) -> Wanted {
        let (ipc, network) = self.isolation();
        Wanted {
            isolation: Isolation { ipc, network },
            calls: filters(&self.loaded) && seccomp::available(),
            files: landlock::available(),
        }
    }
}

/// Whether system calls are filtered: unless the settings say NO themselves. The original's default is NO because its filter broke
/// sessions; this one is part of every session by default.
pub fn filters(loaded: &Loaded) -> bool {
    let config = &loaded.config;
    config.seccomp_sandbox || !loaded.is_set("seccomp_sandbox") || config.sandbox_minimum > 0
}

/// The account this program was started by, for `run_as_launching_user`.
fn launching_user() -> Account {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let name = account::name_of_uid(uid.as_raw()).unwrap_or_default();
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
        .into()
}

/// Which process asks the name service.
#[derive(Debug, Clone, Copy)]
enum Lookups {
    /// This one, because every login of a local user needs the libraries: its auth inherits them.
    Here,
    /// A child that ends then.
    Apart,
}

impl Lookups {
    fn of(config: &Config) -> Self {
        if config.local_enable {
            Self::Here
        } else {
            Self::Apart
        }
    }
}

fn find(
    lookups: Lookups,
    option: &'static str,
    name: Option<&OsStr>,
) -> Result<Account, Unprepared> {
    let shown = name
        .unwrap_or(OsStr::new("(unset)"))
        .to_string_lossy()
        .into_owned();
    let failed = |why: String| Unprepared::Account {
        option,
        name: shown.clone(),
        why,
    };
    let name = name.ok_or_else(|| failed("the option is empty".to_owned()))?;
    let found = match lookups {
        Lookups::Here => look_up(name.as_bytes()),
        Lookups::Apart => apart(name.as_bytes()),
    };
    found
        .map_err(&failed)?
        .ok_or_else(|| failed("there is no such account".to_owned()))
}

/// The rule of `check_system`, for a file of settings that is read later.
fn unprivileged(account: Account) -> Result<Account, Unprepared> {
    if !account.uid.is_root() {
        return Ok(account);
    }
    Err(Unprepared::Account {
        option: "nopriv_user",
        name: account.name.to_string_lossy().into_owned(),
        why: "it has uid 0; it must be an account without privilege".to_owned(),
    })
}

fn look_up(name: &[u8]) -> Result<Option<Account>, String> {
    let found = account::find(name).map_err(|error| error.to_string())?;
    let Some(mut account) = found else {
        return Ok(None);
    };
    account.groups = account::groups(name, account.gid).map_err(|error| error.to_string())?;
    Ok(Some(account))
}

/// Asks the name service in a child: its libraries are then in no process of a session, where each fork would pay for them.
fn apart(name: &[u8]) -> Result<Option<Account>, String> {
    let pair = Channel::<Silence, AuthReply>::pair();
    let (mut ours, theirs) = pair.map_err(|error| error.to_string())?;
    let theirs = theirs.into_descriptor();
    let child = process::spawn(&[theirs.as_raw_fd()], || {
        let reply = match look_up(name) {
            Ok(Some(account)) => AuthReply::Granted(Identity {
                name: account.name.into_vec(),
                uid: account.uid.as_raw(),
                gid: account.gid.as_raw(),
                groups: account.groups.into_iter().map(Gid::as_raw).collect(),
                home: account.home.into_os_string().into_vec(),
            }),
            Ok(None) => AuthReply::NoAccount {
                name: name.to_vec(),
            },
            Err(why) => AuthReply::Refused(why.into_bytes()),
        };
        let _ = Channel::<AuthReply, Silence>::new(theirs).send(&reply);
        0
    });
    let child = child.map_err(|error| error.to_string())?;
    let reply = ours.receive();
    let _ = process::wait_for(child);
    match reply {
        Ok(Some(AuthReply::Granted(found))) => Ok(Some(Account {
            name: OsString::from_vec(found.name),
            uid: Uid::from_raw(found.uid),
            gid: Gid::from_raw(found.gid),
            home: OsString::from_vec(found.home).into(),
            // Nobody logs in as one of these.
            shell: PathBuf::new(),
            groups: found.groups.into_iter().map(Gid::from_raw).collect(),
        })),
        Ok(Some(AuthReply::NoAccount { name: _ })) => Ok(None),
        Ok(Some(AuthReply::Refused(why))) => Err(String::from_utf8_lossy(&why).into_owned()),
        Ok(None) | Err(_) => Err("the name service did not answer".to_owned()),
    }
}
