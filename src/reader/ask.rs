//! Has settings read by the reader: opens for it what it names, and takes typed values and sentences; master and helper, as root.

use super::{Host, Outcome, run};
use crate::config::options::Scope;
use crate::config::{self, HostName, Hosts, Loaded, Own, Source, View};
use crate::sys::capability;
use crate::sys::confine::{self, Isolation, Plan, Root, Wanted};
use crate::sys::landlock::{self, Reach};
use crate::sys::process;
use crate::sys::seccomp::{self, List};
use crate::wire::{Channel, FromReader, ToReader};
use caps::Capability;
use nix::sys::resource::Resource;
use nix::unistd::{Gid, Pid, Uid, getgid, getuid};
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

/// The kernel's user and group for who is nobody else (proc(5), overflowuid): before it is known whom the settings name.
const NOBODY: u32 = 65534;

const LIMITS: &[(Resource, u64)] = &[
    (Resource::RLIMIT_FSIZE, 0),
    (Resource::RLIMIT_CORE, 0),
    (Resource::RLIMIT_NOFILE, 64),
    (Resource::RLIMIT_DATA, 256 << 20),
];

/// Whom the reader becomes, and what is around it.
#[derive(Debug, Clone, Copy)]
pub struct Who {
    /// Its user.
    pub uid: Uid,
    /// Its group.
    pub gid: Gid,
    /// There is no right to become anybody else.
    pub kept: bool,
    /// Its fences.
    pub wanted: Wanted,
}

impl Who {
    /// Before any settings are known.
    pub fn nobody() -> Self {
        let needed = [
            Capability::CAP_SETUID,
            Capability::CAP_SETGID,
            Capability::CAP_SETPCAP,
        ];
        let needed = capability::bits(&needed);
        let wanted = Wanted {
            isolation: Isolation::default(),
            calls: seccomp::available(),
            files: landlock::available(),
        };
        if capability::read().is_ok_and(|sets| sets.effective & needed != needed) {
            return Self {
                wanted,
                ..Self::kept()
            };
        }
        Self {
            uid: Uid::from_raw(NOBODY),
            gid: Gid::from_raw(NOBODY),
            kept: false,
            wanted,
        }
    }

    /// Who this process is, without fences.
    pub fn kept() -> Self {
        Self {
            uid: getuid(),
            gid: getgid(),
            kept: true,
            wanted: Wanted::default(),
        }
    }
}

/// What was read.
#[derive(Debug)]
pub struct Found {
    /// The settings.
    pub loaded: Loaded,
    /// Why they cannot be served.
    pub mistakes: Vec<String>,
    /// What the administrator should know.
    pub remarks: Vec<String>,
    /// Whether no mistake is in the settings themselves.
    pub whole: bool,
}

/// What settings are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Each other.
    Rules,
    /// This host as well.
    Host,
}

/// Has all sources read over the defaults, and held against what they must fit.
pub fn load(sources: &[Source], depth: Depth) -> Found {
    let base = Loaded::defaults();
    let read = |view: &dyn View| {
        let (loaded, mut mistakes) = config::read(view, sources);
        let whole = mistakes.is_empty();
        let mut remarks = Vec::new();
        if whole && depth == Depth::Host {
            mistakes = config::check_system(view, &loaded);
            remarks = config::remarks(view, &loaded);
        }
        Outcome {
            loaded,
            mistakes,
            remarks,
            whole,
        }
    };
    have_read(Who::nobody(), &base, read)
}

/// Has a file read over settings: the one for an address, or of a single user; what has no effect there comes back as remarks.
///
/// # Errors
/// Every mistake in it.
pub fn overlay(
    who: Who,
    base: &Loaded,
    file: &Path,
    scope: Scope,
) -> Result<(Loaded, Vec<String>), Vec<String>> {
    let read = |view: &dyn View| match base.overlay(view, file, scope) {
        Ok((loaded, remarks)) => Outcome {
            loaded,
            mistakes: Vec::new(),
            remarks,
            whole: true,
        },
        Err(mistakes) => Outcome {
            loaded: base.clone(),
            mistakes,
            remarks: Vec::new(),
            whole: false,
        },
    };
    let mut found = have_read(who, base, read);
    if scope != Scope::Server {
        found.loaded.hosts = Arc::clone(&base.hosts);
    }
    if found.mistakes.is_empty() {
        Ok((found.loaded, found.remarks))
    } else {
        Err(found.mistakes)
    }
}

/// What hosts.allow and hosts.deny say of a connection.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The client may come in.
    pub granted: bool,
    /// The file of settings that a rule names for it.
    pub file: Option<OsString>,
    /// For the log.
    pub notes: Vec<String>,
}

/// Has a connection judged; without an answer the client is refused, for nobody knows what the rules would have said.
pub fn judge(who: Who, client: SocketAddr, server: SocketAddr) -> Verdict {
    let who = Who {
        wanted: Wanted::default(),
        ..who
    };
    let mut verdict = Verdict::default();
    let heard = ask(
        who,
        |host| host.judge(client, server),
        |said| match said {
            FromReader::Remark(said) => {
                verdict.notes.push(text(said));
                Some(More::Follows)
            }
            FromReader::Judged { granted, file } => {
                verdict.granted = granted;
                verdict.file = file.map(OsString::from_vec);
                Some(More::None)
            }
            FromReader::Open { .. }
            | FromReader::Account(_)
            | FromReader::Host(_)
            | FromReader::Set { .. }
            | FromReader::Mistake(_)
            | FromReader::Done { .. } => None,
        },
    );
    if let Err(error) = heard {
        let text = format!("nobody has judged this client, which is refused: {error}");
        verdict.notes.push(text);
    }
    verdict
}

fn have_read(who: Who, base: &Loaded, work: impl FnOnce(&dyn View) -> Outcome) -> Found {
    let mut found = Found {
        loaded: base.clone(),
        mistakes: Vec::new(),
        remarks: Vec::new(),
        whole: false,
    };
    let mut hosts: Vec<(HostName, Loaded)> = Vec::new();
    let heard = ask(
        who,
        |host| host.tell(base, &work(host)),
        |said| {
            match said {
                FromReader::Host(name) => {
                    hosts.push((HostName::parse(&name)?, found.loaded.clone()));
                }
                FromReader::Set { row, value, origin } => {
                    let last = hosts.last_mut().map(|(_, loaded)| loaded);
                    let target = last.unwrap_or(&mut found.loaded);
                    target.set(row.into(), value, origin).then_some(())?;
                }
                FromReader::Mistake(said) => found.mistakes.push(text(said)),
                FromReader::Remark(said) => found.remarks.push(text(said)),
                FromReader::Done { whole } => {
                    found.whole = whole;
                    return Some(More::None);
                }
                FromReader::Open { .. } | FromReader::Account(_) | FromReader::Judged { .. } => {
                    return None;
                }
            }
            Some(More::Follows)
        },
    );
    found.loaded.hosts = Arc::new(Hosts::of(hosts));
    if let Err(error) = heard {
        found.whole = false;
        let text = format!("the process that reads the settings has not read them: {error}");
        found.mistakes.push(text);
    }
    found
}

/// Whether more follows a message.
enum More {
    Follows,
    None,
}

/// Forks a reader, serves it, and takes what it says, until that is all.
fn ask(
    who: Who,
    work: impl FnOnce(&Host) -> io::Result<()>,
    mut take: impl FnMut(FromReader) -> Option<More>,
) -> io::Result<()> {
    let (mut channel, theirs) = Channel::<ToReader, FromReader>::pair()?;
    let theirs = theirs.into_descriptor();
    let parent = Pid::this();
    let pid = process::spawn(&[theirs.as_raw_fd()], || {
        // Under inetd the standard descriptors are the client.
        let _ = process::silence(false);
        let reach = Reach::Nothing { connects: false };
        let plan = Plan {
            root: if who.kept { Root::Kept } else { Root::Host },
            uid: who.uid,
            gid: who.gid,
            groups: &[],
            keep: &[],
            limits: LIMITS,
            isolation: Isolation::default(),
            parent: Some(parent),
            fences: who.wanted.fences(List::Reader, reach, None),
        };
        run(&plan, Channel::new(theirs), work)
    })?;
    let heard = hear(&mut channel, &mut take);
    drop(channel);
    let ended = process::wait_for(pid)?;
    heard.ok_or_else(|| io::Error::other(format!("the reader has ended: {ended:?}")))
}

/// Serves a reader until it is done; nothing if it says what it may not, or ends.
fn hear(
    channel: &mut Channel<ToReader, FromReader>,
    take: &mut impl FnMut(FromReader) -> Option<More>,
) -> Option<()> {
    loop {
        let reply = match channel.receive().ok()?? {
            FromReader::Open { path, how } => {
                let path = Path::new(OsStr::from_bytes(&path));
                match confine::with_search(|| Own.open(path, how)) {
                    Ok(file) => ToReader::Opened(file),
                    Err(error) => ToReader::Failed(error.raw_os_error().unwrap_or(0)),
                }
            }
            FromReader::Account(name) => ToReader::Account(Own.account(OsStr::from_bytes(&name))),
            said @ (FromReader::Host(_)
            | FromReader::Set { .. }
            | FromReader::Mistake(_)
            | FromReader::Remark(_)
            | FromReader::Judged { .. }
            | FromReader::Done { .. }) => match take(said)? {
                More::Follows => continue,
                More::None => return Some(()),
            },
        };
        channel.send(&reply).ok()?;
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
