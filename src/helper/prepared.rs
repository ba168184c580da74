//! Settings together with the accounts and addresses they name, looked up once at the start so that no session asks the name service
//! for them; helper has looked up again only what a file for one address or user changes.

use crate::config::options::Scope;
use crate::config::{Config, Loaded};
use crate::reader::{self, KEEPER, Names, Occasion, Who};
use crate::sys::account::Account;
use crate::sys::confine::{Isolation, Wanted};
use crate::sys::{capability, kernel};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::path::Path;

/// For the log, when [`Prepared::isolation_is_too_late`].
pub const TOO_LATE: &str = "isolate and isolate_network have no effect: the server was started without them, or without CAP_SYS_ADMIN";

/// What a session starts from.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The options, and where each was set.
    pub loaded: Loaded,
    /// The accounts and the address that they name.
    pub(super) names: Names,
    isolation: Isolation,
    filters: bool,
}

/// The settings of a session: the server's own, lent by master, or what files for its address, host and user have made of them. A reference
/// in either case, so that no function on the way of every session has room for a copy on its stack.
#[derive(Debug, Clone)]
pub enum Held<'a> {
    /// The server's own.
    Lent(&'a Prepared),
    /// This session's.
    Own(Box<Prepared>),
}

impl From<Prepared> for Held<'_> {
    fn from(own: Prepared) -> Self {
        Self::Own(Box::new(own))
    }
}

impl Deref for Held<'_> {
    type Target = Prepared;

    fn deref(&self) -> &Prepared {
        match self {
            Self::Lent(prepared) => prepared,
            Self::Own(prepared) => prepared,
        }
    }
}

impl Prepared {
    /// Has the accounts and the address looked up.
    ///
    /// # Errors
    /// The first one that is missing.
    pub fn new(loaded: Loaded) -> Result<Self, String> {
        Self::of(Who::nobody(), loaded, Occasion::Start)
    }

    /// As [`Prepared::new`], for a server that has served already and goes on meanwhile: a host name in `pasv_address` keeps its
    /// address, and there is little time to look up another.
    ///
    /// # Errors
    /// As [`Prepared::new`].
    pub fn anew(&self, loaded: Loaded) -> Result<Self, String> {
        Self::of(Who::nobody(), loaded, Occasion::Reload(&self.names))
    }

    /// The same for settings that a file for one address or user has changed; what they still have in common is not looked up again.
    ///
    /// # Errors
    /// As [`Prepared::new`].
    pub fn with(&self, loaded: Loaded) -> Result<Self, String> {
        match self.names.for_others(self.config(), &loaded.config) {
            Some(names) => Ok(Self::put_together(loaded, names)),
            None => {
                let occasion = Occasion::Overlay(&self.loaded, &self.names);
                Self::of(self.reader(), loaded, occasion)
            }
        }
    }

    /// The same with a file read over it, that for one address or user; what has no effect there comes back as remarks.
    ///
    /// # Errors
    /// Every mistake in it, or what it names and is missing.
    pub fn read_over(&self, file: &Path, scope: Scope) -> Result<(Self, Vec<String>), Vec<String>> {
        let (loaded, remarks) = reader::overlay(self.reader(), &self.loaded, file, scope)?;
        let prepared = self.with(loaded).map_err(|error| vec![error])?;
        Ok((prepared, remarks))
    }

    fn of(who: Who, loaded: Loaded, occasion: Occasion<'_>) -> Result<Self, String> {
        let (loaded, names) = reader::names(who, loaded, occasion)?;
        Ok(Self::put_together(loaded, names))
    }

    /// What depends on whether an option was set at all is found out once.
    fn put_together(loaded: Loaded, names: Names) -> Self {
        let asked = |name, on| on && loaded.is_set(name);
        Self {
            isolation: Isolation {
                ipc: asked("isolate", loaded.config.isolate),
                network: asked("isolate_network", loaded.config.isolate_network),
            },
            filters: filters(&loaded),
            loaded,
            names,
        }
    }

    /// Whom greeter and helper become.
    pub fn nopriv(&self) -> &Account {
        &self.names.nopriv
    }

    /// Whom the keyholder becomes.
    pub fn keeper(&self) -> Who {
        let account = self.account(KEEPER).unwrap_or(&self.names.nopriv);
        let (uid, gid) = (account.uid, account.gid);
        Who {
            uid,
            gid,
            ..self.reader()
        }
    }

    /// The account that an option names, if one is needed: [`reader::ANONYMOUS`] and the like.
    pub fn account(&self, option: usize) -> Option<&Account> {
        self.names.by_option(option)
    }

    /// The options.
    pub fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Whom a reader of more settings becomes.
    pub fn reader(&self) -> Who {
        Who {
            uid: self.names.nopriv.uid,
            gid: self.names.nopriv.gid,
            kept: self.config().run_as_launching_user,
            wanted: self.wanted(),
        }
    }

    /// Opens the empty directory that is the root of greeter and helper.
    ///
    /// # Errors
    /// It is missing or no directory.
    pub fn secure_chroot(&self) -> std::io::Result<OwnedFd> {
        let path = match self.config().secure_chroot_dir.as_deref() {
            // No root is changed: nobody but root can do that.
            _ if self.config().run_as_launching_user => OsStr::new("/"),
            path => path.unwrap_or_default(),
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(nix::fcntl::open(path, flags, Mode::empty())?)
    }

    /// Whether sessions get name spaces of their own for System V objects (`isolate`) and for the network (`isolate_network`): only
    /// when the settings say so themselves. By default the worker's lack of any right to make a socket does the same for less.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Whether name spaces are asked for that cannot be had: by a file that was read after the right to make them was given up.
    pub fn isolation_is_too_late(&self) -> bool {
        let right = caps::Capability::CAP_SYS_ADMIN.bitmask();
        let held = capability::read().is_ok_and(|sets| sets.permitted & right != 0);
        self.isolation() != Isolation::default() && !held
    }

    /// The fences around a session's processes, as far as this kernel has them.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            isolation: self.isolation,
            calls: self.filters && kernel::filters(),
            files: kernel::confines_files(),
        }
    }
}

/// Whether system calls are filtered: unless the settings say NO themselves. The original's default is NO because its filter broke
/// sessions; this one is part of every session by default.
pub fn filters(loaded: &Loaded) -> bool {
    let config = &loaded.config;
    config.seccomp_sandbox || !loaded.is_set("seccomp_sandbox") || config.sandbox_minimum > 0
}
