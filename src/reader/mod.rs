//! The reader: parses settings, and the rules of hosts.allow and hosts.deny, for a process that is root, which only opens files for it
//! and gets typed values; forked for one task, without rights.

mod ask;
mod lookup;
mod wrappers;

pub use ask::{Depth, Found, Who, judge, load, overlay};
pub use lookup::{Question, System};
#[cfg(fuzzing)]
pub use wrappers::fuzz;

use crate::config::{Hosts, How, Loaded, Mistake, Origin, View};
use crate::sys::confine::{self, Plan};
use crate::wire::{Channel, FromReader, ToReader};
use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use wrappers::{Answer, Query, Resolver};

/// The reader's end of its channel.
type Root = Channel<FromReader, ToReader>;

/// What was read.
struct Outcome {
    loaded: Loaded,
    mistakes: Vec<Mistake>,
    remarks: Vec<Mistake>,
    /// Whether no mistake is in the settings themselves.
    whole: bool,
}

/// Gives everything up and does its work; gives the exit status.
fn run(plan: &Plan<'_>, channel: Root, work: impl FnOnce(&Host) -> io::Result<()>) -> i32 {
    let runs_as = nix::unistd::getuid().as_raw();
    let host = Host {
        channel: RefCell::new(channel),
        runs_as,
    };
    let told = match confine::confine(plan) {
        Ok(_) => work(&host),
        Err(failure) => {
            let text = format!("the reader of the settings cannot give up its rights: {failure}");
            let told = host.say(&FromReader::Mistake(text.into_bytes()));
            told.and_then(|()| host.say(&FromReader::Done { whole: false }))
        }
    };
    i32::from(told.is_err())
}

/// The host, by way of the process that may look at it.
struct Host {
    channel: RefCell<Root>,
    runs_as: u32,
}

impl Host {
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
        let file = decision.variable(b"VSFTPD_LOAD_CONF").map(<[u8]>::to_vec);
        let granted = decision.answer == Answer::Granted;
        let rule = decision.rule.as_deref().unwrap_or("tcp_wrappers");
        let refusal = (!granted).then(|| format!("{rule} refuses this client"));
        for note in decision.notes.into_iter().chain(refusal) {
            self.say(&FromReader::Remark(note.into_bytes()))?;
        }
        self.say(&FromReader::Judged { granted, file })
    }

    /// Reports what is other than in `base`.
    fn tell(&self, base: &Loaded, outcome: &Outcome) -> io::Result<()> {
        for mistake in &outcome.mistakes {
            self.say(&FromReader::Mistake(mistake.to_string().into_bytes()))?;
        }
        for remark in &outcome.remarks {
            self.say(&FromReader::Remark(remark.to_string().into_bytes()))?;
        }
        self.differences(base, &outcome.loaded)?;
        if !same(&base.hosts, &outcome.loaded.hosts) {
            for (name, loaded) in outcome.loaded.hosts.all() {
                self.say(&FromReader::Host(name.as_str().as_bytes().to_vec()))?;
                self.differences(&outcome.loaded, loaded)?;
            }
        }
        self.say(&FromReader::Done {
            whole: outcome.whole,
        })
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

fn same(one: &std::sync::Arc<Hosts>, other: &std::sync::Arc<Hosts>) -> bool {
    std::sync::Arc::ptr_eq(one, other)
}

impl View for Host {
    fn open(&self, path: &Path, how: How) -> io::Result<OwnedFd> {
        let path = path.as_os_str().as_bytes().to_vec();
        match self.ask(&FromReader::Open { path, how })? {
            ToReader::Opened(file) => Ok(file),
            ToReader::Failed(error) => Err(io::Error::from_raw_os_error(error)),
            ToReader::Account(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn account(&self, name: &OsStr) -> Option<u32> {
        let name = name.as_bytes().to_vec();
        match self.ask(&FromReader::Account(name)).ok()? {
            ToReader::Account(uid) => uid,
            ToReader::Opened(_) | ToReader::Failed(_) => None,
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
