//! Has settings read by the reader: opens for it what it names, and takes typed values and sentences; master and helper, as root.

use super::Host;
use super::known::{Names, OPTIONS};
use super::names::{Occasion, gather};
use crate::config::options::Scope;
use crate::config::{HostName, Hosts, How, Loaded, Own, Source, View};
use crate::sys::account::Account;
use crate::sys::confine::{self, Fences, Isolation, Plan, Root, Wanted};
use crate::sys::landlock::Reach;
use crate::sys::process::{self, Ended, Errand};
use crate::sys::seccomp::List;
use crate::sys::{capability, kernel, socket};
use crate::wire::{Authority, Channel, FromReader, Identity, Passive, ToReader};
use caps::Capability;
use nix::sys::resource::Resource;
use nix::unistd::{Gid, Pid, Uid, getgid, getuid};
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The kernel's user and group for who is nobody else (proc(5), overflowuid): before it is known whom the settings name.
const NOBODY: u32 = 65534;

/// What it takes to become anybody else.
const NEEDED: &[Capability] = &[
    Capability::CAP_SETUID,
    Capability::CAP_SETGID,
    Capability::CAP_SETPCAP,
];

/// How long a reader may take, name service and all: master serves nobody else meanwhile.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How many bytes a reader may say, which are kept here: one that was taken over by what it reads is not to use up the memory of its master.
/// The settings of thousands of hosts are less.
const MOST: usize = 16 << 20;

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
    /// Before any settings are known; without fences.
    pub fn nobody() -> Self {
        let needed = capability::bits(NEEDED);
        let able = capability::read().is_ok_and(|sets| sets.effective & needed == needed);
        if !able || !there("/proc/self/uid_map")(NOBODY) {
            return Self::kept();
        }
        Self {
            uid: Uid::from_raw(NOBODY),
            gid: Gid::from_raw(NOBODY),
            kept: false,
            ..Self::kept()
        }
    }

    /// The same with the fences that this kernel has, of which one is tried first, in a child.
    pub fn fenced(self) -> Self {
        Self {
            wanted: Wanted {
                isolation: Isolation::default(),
                calls: kernel::filters() && filters_hold(self),
                files: kernel::confines_files(),
            },
            ..self
        }
    }

    /// What a process becomes that is this, behind these fences.
    pub fn plan<'a>(
        self,
        limits: &'static [(Resource, u64)],
        fences: &'a dyn Fn() -> Fences<'a>,
        parent: Option<Pid>,
    ) -> Plan<'a> {
        Plan {
            root: if self.kept { Root::Kept } else { Root::Host },
            uid: self.uid,
            gid: self.gid,
            groups: &[],
            keep: &[],
            limits,
            isolation: Isolation::default(),
            parent,
            fences,
        }
    }

    /// Its fences, where it makes the calls of this list.
    pub fn fences(self, list: List) -> Fences<'static> {
        self.wanted.fences(list, Reach::Nothing { connects: false })
    }

    /// The same without fences.
    pub fn unfenced(self) -> Self {
        Self {
            wanted: Wanted::default(),
            ..self
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

/// Which users, or groups, there are in this process's user name space, of which that is the map (user_namespaces(7)).
pub(super) fn there(map: &str) -> impl Fn(u32) -> bool {
    let map = std::fs::read_to_string(map);
    move |id| {
        let Ok(map) = &map else { return true };
        map.lines().any(|line| {
            let numbers = line.split_whitespace().flat_map(str::parse::<u32>);
            let place = |first| id.checked_sub(first);
            matches!(numbers.collect::<Vec<_>>()[..], [first, _, count] if place(first).is_some_and(|at| at < count))
        })
    }
}

/// What a reader has found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The settings.
    pub loaded: Loaded,
    /// Why they are no good.
    pub mistakes: Vec<String>,
    /// What the administrator should know.
    pub remarks: Vec<String>,
    /// The settings are good, or the client may come in.
    pub good: bool,
    /// The file of settings for a client.
    pub file: Option<OsString>,
    /// Certificates and their keys.
    pub identities: Vec<Identity>,
    /// What clients' certificates may be held against.
    pub authorities: Vec<Authority>,
    hosts: Vec<(HostName, Loaded)>,
    accounts: [Option<Account>; OPTIONS.len()],
    passive: Option<Passive>,
    ended: Option<Ended>,
}

impl Found {
    fn nothing(base: &Loaded) -> Self {
        Self {
            loaded: base.clone(),
            ..Self::default()
        }
    }
}

/// Has all sources read over the defaults.
pub fn load(sources: &[Source]) -> Found {
    let base = Loaded::default();
    let mut found = ask(Who::nobody().fenced(), May::Open, &base, |host| {
        host.load(sources)
    });
    found.loaded.hosts = Arc::new(Hosts::of(std::mem::take(&mut found.hosts)));
    found
}

/// Has settings held against this host. Remarks are made where somebody is `told` them: they take a look at every file of a single user.
pub fn check(loaded: &Loaded, told: bool, patience: Duration) -> Found {
    let forked = fork(Who::nobody(), |host| host.check(loaded, told));
    attend(forked, May::Open, loaded, false, patience).0
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
    let mut found = ask(who, May::Open, base, |host| host.overlay(base, file, scope));
    if scope == Scope::Server {
        found.loaded.hosts = Arc::new(Hosts::of(found.hosts));
    }
    let (read, mistakes) = ((found.loaded, found.remarks), found.mistakes);
    found.good.then_some(read).ok_or(mistakes)
}

/// Has looked up what settings name, without fences: the name service may load anything.
///
/// # Errors
/// What is missing.
pub fn names(
    who: Who,
    mut loaded: Loaded,
    occasion: Occasion<'_>,
) -> Result<(Loaded, Names), String> {
    // Tests have threads, and fork nothing.
    if cfg!(test) {
        let (names, _) = gather(&mut loaded, occasion)?;
        return Ok((loaded, names));
    }
    let who = if loaded.config.run_as_launching_user {
        Who::kept()
    } else {
        who.unfenced()
    };
    let forked = fork(who, |host| host.names(&loaded, occasion));
    let (found, _) = attend(forked, May::Nothing, &loaded, false, occasion.patience());
    found.remarks.iter().for_each(|text| log::error!("{text}"));
    match found.accounts {
        [Some(nopriv), others @ ..] if found.good => {
            loaded.config = found.loaded.config;
            let names = Names {
                nopriv,
                others,
                passive: found.passive,
            };
            Ok((loaded, names))
        }
        _ => Err(found.mistakes.join("; ")),
    }
}

/// Has a connection judged by hosts.allow and hosts.deny. Without an answer it is not good, for nobody knows what the rules would say.
pub fn judge(who: Who, base: &Loaded, client: SocketAddr, server: SocketAddr) -> Found {
    ask(who.unfenced(), May::Open, base, |host| {
        host.judge(client, server)
    })
}

/// What sessions are fenced with, in words; an error if that is not all there could be.
pub type Fenced = Result<String, String>;

/// Has filters compiled by a reader that reads nothing, and kept here, where they are wanted. What it does not come to is compiled by who needs
/// it.
pub fn compile(who: Who, lists: Option<impl FnOnce() -> Vec<List>>) -> Fenced {
    let base = Loaded::default();
    let found = ask(who, May::Compile, &base, |host| {
        host.compile(lists.map(|lists| lists()))
    });
    let text = [found.remarks, found.mistakes].concat().join("; ");
    if found.good { Ok(text) } else { Err(text) }
}

/// The modules of the host's name service for accounts, without those that are part of the C library; none if it is not known.
pub fn modules(who: Who) -> Vec<String> {
    let base = Loaded::default();
    let found = ask(who.unfenced(), May::Nothing, &base, Host::modules);
    found.remarks
}

static HOLD: OnceLock<bool> = OnceLock::new();

/// Has filters used untried, where every connection is a start of its own: the kernel's log has a line for each trial.
pub fn trust_filters() {
    let _ = HOLD.set(true);
}

/// Whether filters hold here, which a process without rights tries once. One that was ended by others has shown nothing: filters are used
/// then, and where they do not hold nobody is served.
pub fn filters_hold(who: Who) -> bool {
    *HOLD.get_or_init(|| {
        let base = Loaded::default();
        let found = ask(who, May::Nothing, &base, Host::try_out);
        found.ended != Some(Ended::Exited(UNFILTERED))
    })
}

/// Has a reader look up which IPv4 address of a name is to be told, where `known` is told now; whoever asks waits on the channel for the
/// answer. The child ends with the channel.
///
/// # Errors
/// No child can be made.
pub fn ask_passive(who: Who, name: &OsStr, known: &OsStr) -> io::Result<Ours> {
    // A resolver may do anything its modules want.
    let (channel, _) = fork(who.unfenced(), |host| host.passive(name, known))?;
    Ok(channel)
}

/// The address that was found, which is there to be read, or none.
pub fn passive(channel: &mut Ours) -> Option<Ipv4Addr> {
    match channel.receive() {
        Ok(Some(FromReader::Passive(found))) => found.address.to_str()?.parse().ok(),
        Ok(_) | Err(_) => None,
    }
}

/// The exit status of a reader that has not done its work, and that of one which should have been ended by a filter.
const FAILED: i32 = 1;
const UNFILTERED: i32 = 3;

/// What a reader may say beside what it has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// That it wants a file opened, until it says that it has all.
    Open,
    /// What a filter comes to.
    Compile,
    /// Nothing.
    Nothing,
}

/// Forks a reader and serves it until it is done.
fn ask(who: Who, may: May, base: &Loaded, work: impl FnOnce(&Host) -> io::Result<()>) -> Found {
    attend(fork(who, work), may, base, false, PATIENCE).0
}

/// Serves a process that was forked, a reader or one that begins as one does, until it is done, and waits for its end; one that has found
/// everything good `stays` where that is wanted, and goes on with its channel.
pub fn attend(
    forked: io::Result<(Ours, Pid)>,
    may: May,
    base: &Loaded,
    stays: bool,
    patience: Duration,
) -> (Found, Option<(Ours, Pid)>) {
    let mut found = Found::nothing(base);
    let heard = forked.and_then(|(mut channel, pid)| {
        let errand = Errand::new(pid, patience);
        // One that does not read what it has asked for is not waited for.
        socket::nonblocking(channel.as_fd())?;
        let heard = hear(&mut channel, |fd| errand.speaks(fd), may, &mut found);
        if stays && found.good && heard.is_some() {
            return Ok(Some((channel, pid)));
        }
        drop(channel);
        let ended = *found.ended.insert(errand.end()?);
        let heard = heard.map(|()| None);
        heard.ok_or_else(|| io::Error::other(ended.to_string()))
    });
    let stayed = heard.unwrap_or_else(|error| {
        found.good = false;
        let text = format!("the process that reads settings, rules and keys, or looks up accounts, has failed: {error}");
        found.mistakes.push(text);
        None
    });
    (found, stayed)
}

/// The end of the channel to a reader of who has forked it.
pub type Ours = Channel<ToReader, FromReader>;

fn fork(who: Who, work: impl FnOnce(&Host) -> io::Result<()>) -> io::Result<(Ours, Pid)> {
    let parent = Pid::this();
    Ours::fork(&[], |channel| {
        // Under inetd the standard descriptors are the client.
        let _ = process::silence(false);
        let fences = || who.fences(List::Reader);
        let plan = who.plan(LIMITS, &fences, Some(parent));
        let host = Host::new(channel);
        let told = match confine::confine(&plan) {
            Ok(_) => work(&host),
            Err(failure) => host.gives_up(&failure.to_string()),
        };
        match told {
            Ok(()) => 0,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => UNFILTERED,
            Err(_) => FAILED,
        }
    })
}

/// A file that a reader has named, opened with this process's rights.
fn opened(path: &[u8], how: How) -> ToReader {
    let path = Path::new(OsStr::from_bytes(path));
    match confine::with_search(|| Own.open(path, how)) {
        Ok(file) => ToReader::Opened(file),
        Err(error) => ToReader::Failed(error.raw_os_error().unwrap_or(0).cast_unsigned()),
    }
}

/// Nothing if it says what it may not, or too much, or ends, or does not speak.
fn hear(
    channel: &mut Ours,
    speaks: impl Fn(BorrowedFd<'_>) -> bool,
    mut may: May,
    found: &mut Found,
) -> Option<()> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    while channel.heard() <= MOST && speaks(channel.as_fd()) {
        match channel.receive().ok()?? {
            FromReader::Open { path, how } if may == May::Open => {
                channel.send(&opened(&path, how)).ok()?;
            }
            FromReader::Program { place, words } if may == May::Compile => {
                kernel::keep(place.into(), words).then_some(())?;
            }
            FromReader::Open { path: _, how: _ } | FromReader::Program { place: _, words: _ } => {
                return None;
            }
            FromReader::Host(name) => {
                (found.hosts.len() < Hosts::MOST).then_some(())?;
                let loaded = found.loaded.clone();
                found.hosts.push((HostName::parse(&name)?, loaded));
            }
            FromReader::Set { row, value, origin } => {
                let last = found.hosts.last_mut().map(|(_, loaded)| loaded);
                let target = last.unwrap_or(&mut found.loaded);
                target.set(row.into(), value, origin).then_some(())?;
            }
            FromReader::Suites(numbers) => found.loaded.suites = numbers,
            FromReader::Mistake(said) => found.mistakes.push(text(said)),
            FromReader::Remark(said) => found.remarks.push(text(said)),
            FromReader::Account { number, account } => {
                *found.accounts.get_mut(usize::from(number))? = Some(account);
            }
            FromReader::Passive(passive) => found.passive = Some(passive),
            FromReader::File(path) => found.file = Some(OsString::from_vec(path)),
            FromReader::Provided => may = May::Nothing,
            FromReader::Key {
                certificate,
                key,
                schemes,
            } => found.identities.push(Identity {
                certificate,
                key,
                schemes,
                chain: Vec::new(),
            }),
            FromReader::Certificate(der) => found.identities.last_mut()?.chain.push(der),
            FromReader::Authority(authority) => found.authorities.push(authority),
            FromReader::Done(good) => {
                found.good = good;
                return Some(());
            }
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Found, MOST, May, Ours, hear};
    use crate::config::options::{TABLE, position};
    use crate::config::value::Value;
    use crate::config::{Hosts, How, Loaded, Origin};
    use crate::sys::kernel;
    use crate::sys::seccomp::List;
    use crate::wire::{FromReader, Identity, ToReader};
    use std::ffi::OsString;

    fn set(option: &str, value: Value) -> FromReader {
        FromReader::Set {
            row: u16::try_from(position(option.as_bytes()).unwrap()).unwrap(),
            value,
            origin: Origin::Setting,
        }
    }

    /// What a reader that says this is heard as, and what it is answered.
    fn heard(may: May, said: &[FromReader]) -> (bool, Found, Vec<ToReader>) {
        let (mut ours, mut theirs) = Ours::pair().unwrap();
        said.iter().for_each(|said| theirs.send(said).unwrap());
        crate::sys::socket::nonblocking(std::os::fd::AsFd::as_fd(&ours)).unwrap();
        let mut found = Found::nothing(&Loaded::default());
        let good = hear(&mut ours, |_| true, may, &mut found).is_some();
        drop(ours);
        let answers = std::iter::from_fn(|| theirs.receive().ok().flatten());
        (good, found, answers.collect())
    }

    #[test]
    fn values_fit_the_table() {
        let done = FromReader::Done(true);
        let (good, found, _) = heard(May::Nothing, &[set("max_clients", Value::Number(7)), done]);
        assert!(good && found.good);
        assert_eq!(found.loaded.config.max_clients, 7);
        assert_eq!(*found.loaded.origin("max_clients"), Origin::Setting);
        let last = u16::try_from(TABLE.len()).unwrap();
        for wrong in [
            set("listen_port", Value::Number(65_536)),
            set("listen_port", Value::Flag(true)),
            set("anon_umask", Value::Octal(0o1000)),
            set("listen", Value::Text(None)),
            FromReader::Set {
                row: last,
                value: Value::Flag(true),
                origin: Origin::Default,
            },
            FromReader::Host(b"a/b".to_vec()),
        ] {
            let (good, found, _) = heard(May::Nothing, &[wrong, FromReader::Done(true)]);
            assert!(!good && !found.good);
        }
    }

    #[test]
    fn who_looks_names_up_gets_no_files() {
        let open = || FromReader::Open {
            path: b"/dev/null".to_vec(),
            how: How::File,
        };
        let (good, _, answers) = heard(May::Open, &[open(), FromReader::Done(true)]);
        assert!(good && matches!(answers.as_slice(), [ToReader::Opened(_)]));
        let (good, _, answers) = heard(May::Nothing, &[open(), FromReader::Done(true)]);
        assert!(!good && answers.is_empty());
        // Nor does a keyholder that may have read some.
        let (good, _, answers) = heard(May::Open, &[open(), FromReader::Provided, open()]);
        assert!(!good && answers.len() == 1);
    }

    #[test]
    fn who_reads_settings_hands_over_no_filter() {
        let (place, words) = List::Reader.compiled();
        let program = |place| FromReader::Program {
            place,
            words: words.clone(),
        };
        let done = || FromReader::Done(true);
        let place = u16::try_from(place).unwrap();
        let kept = kernel::program(place.into()).unwrap();
        for may in [May::Open, May::Nothing] {
            assert!(!heard(may, &[program(place), done()]).0);
        }
        assert!(heard(May::Compile, &[program(place), done()]).0);
        assert_eq!(kept.get(), Some(&words));
        // There are no more lists than that.
        let none = u16::try_from(kernel::LISTS).unwrap();
        assert!(!heard(May::Compile, &[program(none), done()]).0);
    }

    /// Attacks B-161. Of a short message more is kept than was said.
    #[test]
    fn who_says_too_much_is_not_heard_out() {
        let all: [fn() -> FromReader; 2] = [
            || FromReader::Remark(vec![b'x'; 10_000]),
            || FromReader::Key {
                certificate: OsString::new(),
                key: OsString::new(),
                schemes: Vec::new(),
            },
        ];
        for said in all {
            let (mut ours, mut theirs) = Ours::pair().unwrap();
            let speaker = std::thread::spawn(move || while theirs.send(&said()).is_ok() {});
            let mut found = Found::nothing(&Loaded::default());
            assert!(hear(&mut ours, |_| true, May::Nothing, &mut found).is_none());
            drop(ours);
            speaker.join().unwrap();
            let texts: usize = found.remarks.iter().map(String::len).sum();
            let kept = texts + found.identities.len() * size_of::<Identity>();
            assert!((MOST / 2..=MOST + 10_000).contains(&kept), "{kept}");
        }
    }

    #[test]
    fn there_are_only_so_many_hosts() {
        for count in [Hosts::MOST, Hosts::MOST + 1] {
            let (mut ours, mut theirs) = Ours::pair().unwrap();
            let speaker = std::thread::spawn(move || {
                let names = (0..count).map(|n| FromReader::Host(format!("h{n}").into_bytes()));
                let mut all = names.chain([FromReader::Done(true)]);
                all.all(|said| theirs.send(&said).is_ok())
            });
            let mut found = Found::nothing(&Loaded::default());
            let heard = hear(&mut ours, |_| true, May::Nothing, &mut found);
            drop(ours);
            let _ = speaker.join();
            assert_eq!(heard.is_some(), count == Hosts::MOST);
            assert_eq!(found.hosts.len(), Hosts::MOST);
        }
    }

    #[test]
    fn one_that_ends_early_has_said_nothing() {
        let (good, found, _) = heard(May::Nothing, &[set("listen", Value::Flag(true))]);
        assert!(!good && !found.good);
    }
}
