//! A configuration together with the accounts it names, looked up once by master so that no session asks the name service for them.

use crate::config::Config;
use crate::sys::account::{self, Account};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

/// What a session starts from.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The options.
    pub config: Config,
    /// Whom greeter and helper become.
    pub nopriv: Account,
    /// Whom anonymous sessions run as; present when `anonymous_enable`.
    pub anonymous: Option<Account>,
}

/// An account that the configuration names does not exist, or could not be looked up.
#[derive(Debug)]
pub struct Unprepared {
    option: &'static str,
    name: String,
    why: String,
}

impl fmt::Display for Unprepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "vsftpd: cannot locate user specified in '{}':{} ({})",
            self.option, self.name, self.why
        )
    }
}

impl Prepared {
    /// Looks the accounts up.
    ///
    /// # Errors
    /// The first one that is missing.
    pub fn new(config: Config) -> Result<Self, Unprepared> {
        let nopriv = find("nopriv_user", config.nopriv_user.as_deref())?;
        let anonymous = if config.anonymous_enable {
            Some(find("ftp_username", config.ftp_username.as_deref())?)
        } else {
            None
        };
        Ok(Self {
            config,
            nopriv,
            anonymous,
        })
    }

    /// Opens the empty directory that is the root of greeter and helper.
    ///
    /// # Errors
    /// It is missing or no directory.
    pub fn secure_chroot(&self) -> std::io::Result<OwnedFd> {
        let path = self
            .config
            .secure_chroot_dir
            .as_deref()
            .unwrap_or(OsStr::new(""));
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(nix::fcntl::open(path, flags, Mode::empty())?)
    }
}

fn find(option: &'static str, name: Option<&OsStr>) -> Result<Account, Unprepared> {
    let shown = name
        .unwrap_or(OsStr::new("(unset)"))
        .to_string_lossy()
        .into_owned();
    let failed = |why: String| Unprepared {
        option,
        name: shown.clone(),
        why,
    };
    let name = name.ok_or_else(|| failed("the option is empty".to_owned()))?;
    let mut account = account::find(name.as_bytes())
        .map_err(|error| failed(error.to_string()))?
        .ok_or_else(|| failed("there is no such account".to_owned()))?;
    account.groups =
        account::groups(name.as_bytes(), account.gid).map_err(|error| failed(error.to_string()))?;
    Ok(account)
}
