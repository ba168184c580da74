//! The reader: parses settings, and the rules of hosts.allow and hosts.deny, for a process that is root, which only opens files for it
//! and gets typed values; forked for one task, without rights.

mod ask;
mod known;
mod lookup;
mod modules;
mod names;
mod service;
mod wrappers;

pub use ask::{
    Fenced, May, Ours, PATIENCE, Who, ask_passive, attend, check, compile, filters_hold, judge,
    load, modules, names, overlay, passive, trust_filters,
};
pub use known::{ANONYMOUS, GUEST, HEIR, KEEPER, Names};
use lookup::System;
pub use names::{AGAIN, NO_ADDRESS, Occasion};
#[cfg(fuzzing)]
pub use wrappers::fuzz;

use crate::config::options::Scope;
use crate::config::{self, How, Loaded, Mistake, Origin, Source, View};
use crate::sys::confine;
use crate::sys::kernel;
use crate::sys::seccomp::{self, List};
use crate::wire::{Channel, FromReader, Passive, ToReader};
use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use wrappers::{Answer, Query, Resolver};

/// The reader's end of its channel.
type Root = Channel<FromReader, ToReader>;

/// The host, by way of the process that may look at it.
struct Host {
    channel: RefCell<Root>,
    runs_as: u32,
}

impl Host {
    /// By way of this channel; made while it is known who the server runs as.
    fn new(channel: Root) -> Self {
        Self {
            channel: RefCell::new(channel),
            runs_as: nix::unistd::getuid().as_raw(),
        }
    }

    /// Reports why nothing is read.
    fn gives_up(&self, why: &str) -> io::Result<()> {
        let text = format!("the reader of the settings cannot give up its rights: {why}");
        self.say(&FromReader::Mistake(text.into_bytes()))?;
        self.say(&FromReader::Done(false))
    }

    fn say(&self, message: &FromReader) -> io::Result<()> {
        let gone = |_| io::ErrorKind::BrokenPipe.into();
        self.channel.borrow_mut().send(message).map_err(gone)
    }

    fn ask(&self, message: &FromReader) -> io::Result<ToReader> {
        self.say(message)?;
        let reply = self.channel.borrow_mut().receive().ok().flatten();
        reply.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// Says what hosts.allow and hosts.deny say of a connection.
    fn judge(&self, client: SocketAddr, server: SocketAddr) -> io::Result<()> {
        let query = Query {
            daemon: "vsftpd",
            client,
            server,
        };
        let decision = wrappers::ask(&query, self);
        let granted = decision.answer == Answer::Granted;
        let rule = decision.rule.as_deref().unwrap_or("tcp_wrappers");
        let refusal = (!granted).then(|| format!("{rule} refuses this client"));
        for note in decision.notes.iter().cloned().chain(refusal) {
            self.say(&FromReader::Remark(note.into_bytes()))?;
        }
        if let Some(file) = decision.variable(b"VSFTPD_LOAD_CONF") {
            self.say(&FromReader::File(file.to_vec()))?;
        }
        self.say(&FromReader::Done(granted))
    }

    /// Reports sentences, settings that are other than in `base`, and whether they are good.
    fn tell(
        &self,
        base: &Loaded,
        loaded: &Loaded,
        mistakes: &[Mistake],
        remarks: &[Mistake],
    ) -> io::Result<()> {
        for mistake in mistakes {
            self.say(&FromReader::Mistake(mistake.to_string().into_bytes()))?;
        }
        for remark in remarks {
            self.say(&FromReader::Remark(remark.to_string().into_bytes()))?;
        }
        self.differences(base, loaded)?;
        if !Arc::ptr_eq(&base.hosts, &loaded.hosts) {
            for (name, host) in loaded.hosts.all() {
                self.say(&FromReader::Host(name.as_str().as_bytes().to_vec()))?;
                self.differences(loaded, host)?;
            }
        }
        self.say(&FromReader::Done(mistakes.is_empty()))
    }

    /// Reads all sources over the defaults.
    fn load(&self, sources: &[Source]) -> io::Result<()> {
        let (loaded, mistakes) = config::read(self, sources);
        self.say(&FromReader::Suites(loaded.suites.clone()))?;
        self.tell(&Loaded::default(), &loaded, &mistakes, &[])
    }

    /// Reads a file over settings.
    fn overlay(&self, base: &Loaded, file: &Path, scope: Scope) -> io::Result<()> {
        match base.overlay(self, file, scope) {
            Ok((mut loaded, mut remarks)) => {
                if scope == Scope::Server {
                    remarks.extend(loaded.restore_counts(base));
                }
                self.tell(base, &loaded, &[], &remarks)
            }
            Err(mistakes) => self.tell(base, base, &mistakes, &[]),
        }
    }

    /// Holds settings against this host, with remarks if somebody is `told` them.
    fn check(&self, loaded: &Loaded, told: bool) -> io::Result<()> {
        let mut mistakes = config::check_system(self, loaded);
        mistakes.extend(too_few_fences(loaded));
        let remarks = told.then(|| config::remarks(self, loaded));
        self.tell(loaded, loaded, &mistakes, &remarks.unwrap_or_default())
    }

    /// Compiles filters for who has forked this process, if they are wanted, and says what sessions are fenced with.
    fn compile(&self, lists: Option<Vec<List>>) -> io::Result<()> {
        let (text, all) = fenced(lists.is_some());
        for list in lists.into_iter().flatten().filter(|_| kernel::filters()) {
            let (place, words) = list.compiled();
            let place = u16::try_from(place).unwrap_or(u16::MAX);
            self.say(&FromReader::Program { place, words })?;
        }
        self.say(&FromReader::Remark(text.into_bytes()))?;
        self.say(&FromReader::Done(all))
    }

    /// Tries that a filter holds, which ends this process; it comes back where none does.
    fn try_out(&self) -> io::Result<()> {
        self.say(&FromReader::Done(true))?;
        seccomp::try_out()?;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Names the modules of the name service.
    fn modules(&self) -> io::Result<()> {
        let text = std::fs::read("/etc/nsswitch.conf").unwrap_or_default();
        let text = text.get(..modules::LONGEST).unwrap_or(&text);
        for name in modules::sources(text) {
            self.say(&FromReader::Remark(name.to_vec()))?;
        }
        self.say(&FromReader::Done(true))
    }

    /// Looks up what settings name.
    fn names(&self, loaded: &Loaded, occasion: Occasion<'_>) -> io::Result<()> {
        let mut changed = loaded.clone();
        let (names, remarks) = match names::gather(&mut changed, occasion) {
            Ok(found) => found,
            Err(text) => {
                self.say(&FromReader::Mistake(text.into_bytes()))?;
                return self.say(&FromReader::Done(false));
            }
        };
        for remark in remarks {
            self.say(&FromReader::Remark(remark.into_bytes()))?;
        }
        for number in 0..=u8::MAX {
            if let Some(account) = names.by_option(number.into()) {
                let account = account.clone();
                self.say(&FromReader::Account { number, account })?;
            }
        }
        if let Some(passive) = names.passive {
            self.say(&FromReader::Passive(passive))?;
        }
        self.tell(loaded, &changed, &[], &[])
    }

    /// Looks up which address of a name is to be told, for as long as somebody waits for it.
    fn passive(&self, name: &OsStr, known: &OsStr) -> io::Result<()> {
        confine::die_with_peer(self.channel.borrow().as_fd())?;
        let (name, known) = (name.to_string_lossy(), known.to_string_lossy());
        if let Some(address) = service::to_be_told(&name, &known) {
            self.say(&FromReader::Passive(Passive {
                name: name.into_owned().into(),
                address: address.into(),
                stands: None,
            }))?;
        }
        self.say(&FromReader::Done(true))
    }

    /// Every option that is set to something else, or elsewhere.
    fn differences(&self, base: &Loaded, loaded: &Loaded) -> io::Result<()> {
        let pairs = (0..).zip(base.rows().zip(loaded.rows()));
        for (number, ((row, before), (_, origin))) in pairs {
            let value = row.value(&loaded.config);
            if origin != before || value != row.value(&base.config) {
                self.say(&FromReader::Set {
                    row: number,
                    value,
                    origin: Origin::clone(origin),
                })?;
            }
        }
        Ok(())
    }
}

/// What sessions are fenced with, where filters are `wanted` or not, and whether it is all there could be.
fn fenced(wanted: bool) -> (String, bool) {
    let filtered = wanted && kernel::filters();
    let calls = match (wanted, filtered) {
        (true, true) if kernel::reporting() => "system calls filtered, forbidden ones reported",
        (true, true) => "system calls filtered",
        (true, false) => "system calls not filtered: this kernel or machine has no seccomp",
        (false, _) => "system calls not filtered: seccomp_sandbox=NO",
    };
    let files = match kernel::landlock() {
        0 => "no Landlock in this kernel".to_owned(),
        version if version < kernel::OLDEST => {
            format!("Landlock version {version} is too old to be used")
        }
        version => format!("Landlock version {version}"),
    };
    let all = filtered && kernel::confines_files();
    (format!("{calls}; {files}"), all)
}

/// What this kernel, as far as it is known by now, has too little of for `sandbox_minimum`. Whether filters hold was tried when settings were
/// read.
fn too_few_fences(loaded: &Loaded) -> Option<Mistake> {
    let least = loaded.config.sandbox_minimum;
    let filtered = kernel::filters() && filters_hold(Who::kept());
    let text = if least >= 1 && !filtered {
        format!("sandbox_minimum={least}: this kernel or machine filters no system calls")
    } else if least >= 2 && !kernel::confines_files() {
        let (version, oldest) = (kernel::landlock(), kernel::OLDEST);
        format!(
            "sandbox_minimum={least}: this kernel's Landlock has version {version}, and {oldest} is needed"
        )
    } else {
        return None;
    };
    let origin = loaded.origin("sandbox_minimum").clone();
    Some(Mistake { origin, text })
}

impl View for Host {
    fn open(&self, path: &Path, how: How) -> io::Result<OwnedFd> {
        let path = path.as_os_str().as_bytes().to_vec();
        match self.ask(&FromReader::Open { path, how })? {
            ToReader::Opened(file) => Ok(file),
            ToReader::Failed(error) => Err(io::Error::from_raw_os_error(error.cast_signed())),
        }
    }

    fn runs_as(&self) -> u32 {
        self.runs_as
    }
}

/// As a judge it has no filter: the name service may load anything. It is asked in children of its own, which have a time.
impl Resolver for Host {
    fn name(&self, address: IpAddr) -> Option<String> {
        System(Who::kept()).name(address)
    }

    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        System(Who::kept()).addresses(name)
    }

    fn open(&self, path: &Path) -> io::Result<OwnedFd> {
        View::open(self, path, How::File)
    }
}
