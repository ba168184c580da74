//! The nursery: has PAM, the modules and the name service loaded, and forks an auth for each login that a helper asks for, in which
//! nothing is left to load; root, without a descriptor of any client's, and without a password in its memory.
//!
//! It reads neither names nor passwords: those go from helper to auth, over a channel that nursery passes on. PAM reads the service's
//! file for each login. When a file that something was loaded from is no longer what it was, the nursery ends, and master starts
//! another; a helper that asks meanwhile forks its own auth, as it does where there is no nursery.

use super::{Asked, Asks, answer_by, died, refused};
use crate::helper::Prepared;
use crate::reader::{self, Who};
use crate::sys::pam::Pam;
use crate::sys::stamps::Stamps;
use crate::sys::{confine, dl, heap, oom, process, socket, title};
use crate::wire::{Channel, Silence, ToNursery};
use nix::poll::{PollFd, PollFlags};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;
use std::collections::{BTreeSet, HashMap};
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Exit status: nobody can ask any more, or master has gone.
pub const OVER: i32 = 0;
/// Exit status: this host has no PAM, or loading its modules leaves a process from which none can be forked in order. Another start
/// would come to the same.
pub const OF_NO_USE: i32 = 3;
/// Exit status: something that is loaded is no longer what is on the disk.
pub const OUTDATED: i32 = 4;
/// Exit status: the kernel gave an error.
pub const BROKEN: i32 = 5;

/// The exit status of an auth that has said its word.
const ANSWERED: i32 = 90;
/// The exit status of an auth that has not begun: helper may fork another.
const UNABLE: i32 = 91;

/// Files that say which libraries are loaded.
const DECIDING: [&str; 4] = [
    SERVICES,
    "/etc/nsswitch.conf",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
];
/// Where the services of PAM are.
const SERVICES: &str = "/etc/pam.d";

/// The longest that a file may have changed without being noticed. Under load looking at all of them would cost each login.
const UNNOTICED: Duration = Duration::from_secs(1);

/// An auth that has not ended.
struct Auth {
    /// Its end of the channel to its helper, so that helper hears how it ended.
    channel: OwnedFd,
    helper: Pid,
}

impl Auth {
    /// Whether this helper waits for it. One that is gone may have left its number to another.
    fn works_for(&self, helper: Pid) -> bool {
        self.helper == helper && !socket::is_alone(self.channel.as_fd())
    }
}

struct Nursery {
    who: Who,
    asks: Channel<Silence, ToNursery>,
    signals: SignalFd,
    pam: Pam,
    stamps: [Stamps; 2],
    /// When they were last looked at.
    looked: Option<Instant>,
    /// The limit of descriptors that children get back.
    descriptors: (u64, u64),
    auths: HashMap<Pid, Auth>,
}

/// Whether sessions of these settings may ask for an auth.
pub fn wanted(prepared: &Prepared) -> bool {
    // Hosts cannot have it if the server's own settings do not.
    let config = prepared.config();
    config.local_enable && (!config.run_as_launching_user || nix::unistd::geteuid().is_root())
}

/// Serves until nobody can ask any more; gives the exit status.
pub fn run(prepared: &Prepared, asks: Channel<Silence, ToNursery>, master: Pid) -> i32 {
    // As helper does it: auth is to find what it would find as its child.
    let _ = nix::unistd::setsid();
    process::silence_modules();
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let _ = nix::sys::prctl::set_dumpable(false);
    if confine::die_with(master).is_err() {
        return OVER;
    }
    title::set(prepared.config().setproctitle_enable, "NURSERY");
    // Before they are read, so that no change of theirs is missed.
    let deciding = Stamps::of(deciding(prepared));
    let (begun, open) = (SystemTime::now(), process::descriptors());
    let Some(pam) = load(prepared) else {
        return OF_NO_USE;
    };
    // A constructor has started a thread, which a fork would lose, or opened what a child closes.
    if !process::single_threaded() || process::descriptors() != open {
        return OF_NO_USE;
    }
    let loaded = Stamps::of(dl::loaded());
    if loaded.changed_since(begun) {
        return OUTDATED;
    }
    let signals = process::take_signals(&SigSet::from(Signal::SIGCHLD));
    let (Ok(signals), Ok(descriptors)) = (signals, getrlimit(Resource::RLIMIT_NOFILE)) else {
        return BROKEN;
    };
    // One descriptor for each auth: as many as the system lets this process have.
    let (_, most) = descriptors;
    let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    Nursery {
        who: prepared.reader(),
        asks,
        signals,
        pam,
        stamps: [deciding, loaded],
        looked: None,
        descriptors,
        auths: HashMap::new(),
    }
    .serve()
}

/// The services that sessions of these settings name.
fn services(prepared: &Prepared) -> BTreeSet<&OsStr> {
    let all = prepared.loaded.hosts.configs().chain([prepared.config()]);
    all.filter_map(|config| config.pam_service_name.as_deref())
        .collect()
}

/// Loads libpam, the modules of the services, and the modules of the name service; none where there is no PAM.
fn load(prepared: &Prepared) -> Option<Pam> {
    let pam = Pam::load().ok().flatten()?;
    // A reader is forked for that, which is possible as long as no constructor has started a thread.
    let names = reader::modules(prepared.reader());
    for service in services(prepared) {
        if let Ok(service) = CString::new(service.as_bytes()) {
            pam.keep_modules(&service);
        }
    }
    for name in names {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        // glibc opens them by this name (nsswitch.conf(5)), and finds them open.
        let file = CString::new(format!("libnss_{name}.so.2"));
        if let (true, Ok(file)) = (name.as_bytes().iter().all(plain), file) {
            let _ = dl::open(&file);
        }
    }
    Some(pam)
}

/// The files that say what is loaded. A service that is edited may name other modules: logins would go on without them here, but would
/// have them to load.
fn deciding(prepared: &Prepared) -> Vec<PathBuf> {
    let mut all = DECIDING.map(PathBuf::from).to_vec();
    let services = services(prepared).into_iter();
    all.extend(services.map(|service| Path::new(SERVICES).join(service)));
    all
}

impl Nursery {
    fn serve(&mut self) -> i32 {
        let mut asked = true;
        while asked || !self.auths.is_empty() {
            let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            if asked {
                fds.push(PollFd::new(self.asks.as_fd(), PollFlags::POLLIN));
            }
            if socket::wait(&mut fds, None).is_err() {
                return BROKEN;
            }
            let spoken = fds.get(1).is_some_and(|fd| fd.any() == Some(true));
            while let Ok(Some(_)) = self.signals.read_signal() {}
            self.reap();
            if !spoken {
                continue;
            }
            match self.asks.receive() {
                Ok(Some(ToNursery::Auth { channel })) if self.is_current() => self.bear(channel),
                Ok(Some(ToNursery::Auth { channel: _ })) => return OUTDATED,
                Ok(None) => asked = false,
                // What is no request, or has lost its descriptor on the way: whoever sent it forks by itself.
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {}
                Err(_) => return BROKEN,
            }
        }
        OVER
    }

    /// Whether what is loaded is what is on the disk.
    fn is_current(&mut self) -> bool {
        if self
            .looked
            .is_some_and(|looked| looked.elapsed() < UNNOTICED)
        {
            return true;
        }
        self.looked = Some(Instant::now());
        self.stamps.iter().all(Stamps::hold)
    }

    /// Forks an auth. One helper has one login at a time: there are never more than there are sessions.
    fn bear(&mut self, channel: OwnedFd) {
        let Ok(helper) = socket::maker(channel.as_fd()) else {
            return;
        };
        if self.auths.values().any(|auth| auth.works_for(helper)) {
            return;
        }
        let mut given = Some(channel);
        let number = given.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let forked = process::spawn(&[number], || {
            given
                .take()
                .map_or(UNABLE, |channel| self.live(channel, helper))
        });
        if let (Ok(pid), Some(channel)) = (forked, given) {
            self.auths.insert(pid, Auth { channel, helper });
        }
    }

    /// The whole life of an auth; gives the exit status.
    fn live(&self, channel: OwnedFd, helper: Pid) -> i32 {
        heap::begin_anew();
        let _ = nix::unistd::setsid();
        heap::begin_wiping();
        oom::do_not_spare();
        let (soft, hard) = self.descriptors;
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
        let mut channel = Asks::new(channel);
        // Asked before the channel was passed on: nothing is waited for.
        let Some(asked) = Asked::hear(&mut channel, self.who, helper) else {
            return UNABLE;
        };
        if confine::die_with_peer(channel.as_fd()).is_err() {
            return UNABLE;
        }
        answer_by(&self.pam, asked, channel);
        ANSWERED
    }

    /// Takes note of the auths that have ended, and has their helpers hear of an end that was none of their own.
    fn reap(&mut self) {
        while let Some((pid, ended)) = process::reap() {
            let Some(Auth { channel, helper: _ }) = self.auths.remove(&pid) else {
                continue;
            };
            let mut channel = Asks::new(channel);
            if !matches!(ended, process::Ended::Exited(ANSWERED | UNABLE)) {
                // Helper may be what has ended.
                let _ = channel.send(&refused(died(ended)));
            }
            // A module may have left a process behind that holds the channel: that one is not waited for.
            socket::shut(channel.as_fd());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Auth;
    use crate::sys::socket;
    use nix::unistd::Pid;
    use std::os::fd::AsFd;

    #[test]
    fn one_auth_for_each_helper() {
        let (ours, channel) = socket::message_pair().unwrap();
        let helper = socket::maker(channel.as_fd()).unwrap();
        assert_eq!(helper, Pid::this());
        let auth = Auth { channel, helper };
        assert!(auth.works_for(helper) && !auth.works_for(Pid::from_raw(1)));
        // What has ended is told, also where somebody still has the channel.
        let copy = auth.channel.try_clone().unwrap();
        socket::shut(auth.channel.as_fd());
        assert_eq!(socket::receive(ours.as_fd(), &mut [0]).unwrap(), 0);
        drop((ours, copy));
        assert!(!auth.works_for(helper));
    }
}
