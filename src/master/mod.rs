//! The master: root, listens, counts, forks a helper per connection, reaps; it never reads a byte from a client.

mod admit;
mod begin;
pub mod diagnostics;
mod fences;
pub mod keys;
mod launch;
mod ledger;
mod listen;
mod nursery;
mod renewal;
mod report;
mod reports;
mod roster;
mod trouble;

pub use launch::Inherited;
pub use report::report;

use crate::config::{Loaded, Source};
use crate::helper::{self, Prepared, Session};
use crate::reader;
use crate::sys::capability;
use crate::sys::clock::Zone;
use crate::sys::confine::{self, Isolation};
use crate::sys::heap;
use crate::sys::oom;
use crate::sys::process::{self, Ended};
use crate::sys::rseq;
use crate::sys::socket::{self, Parcel};
use crate::sys::title;
use crate::wire::Report;
use admit::Relief;
use begin::{Begun, Herald};
use caps::Capability;
use keys::Keys;
use launch::Service;
use ledger::Ledger;
use listen::Listeners;
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;
use nursery::Nursery;
use renewal::Renewal;
use reports::Reports;
use roster::{Roster, Source as Origin};
use std::ffi::OsString;
use std::fmt::Display;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use trouble::Trouble;

/// How long to leave alone what the kernel has no descriptor or memory for.
const RELIEF: Duration = Duration::from_millis(100);

/// How long to leave a keyholder that has ended before another is started.
const RECOVERY: Duration = Duration::from_secs(5);

/// What the command line asked for.
#[derive(Debug)]
pub struct Start {
    /// Where the configuration came from, to be read again on SIGHUP.
    pub sources: Vec<Source>,
    /// The configuration.
    pub loaded: Loaded,
    /// Where to write the process id once the socket listens.
    pub pid_file: Option<OsString>,
    /// The sockets this program was started with.
    pub inherited: Inherited,
}

/// Why the server does not start, in one sentence for the terminal.
pub type Refusal = String;

/// The state of a master that serves.
struct Master {
    sources: Vec<Source>,
    prepared: Prepared,
    /// Who signs for new sessions, if there is TLS.
    keys: Option<Keys>,
    /// When one was last started in the place of one that had ended.
    tried: Option<Instant>,
    /// Keyholders of earlier certificates, which end with their last session.
    retired: Vec<Pid>,
    /// Who forks the processes that check passwords.
    nursery: Nursery,
    listeners: Listeners,
    signals: SignalFd,
    roster: Roster,
    reports: Reports,
    ledger: Ledger,
    /// The name in `pasv_address`.
    renewal: Renewal,
    relief: Relief,
    /// poll(2) fails.
    polling: Trouble,
    load_conf: Option<OsString>,
    zone: Zone,
}

/// Who has something to say.
#[derive(Default)]
struct Ready {
    reports: bool,
    keys: bool,
    answer: bool,
}

/// Serves until SIGTERM, or one connection; returns early in the process that launched a background server. Gives the exit status.
///
/// # Errors
/// What kept the server from starting.
pub fn run(start: Start) -> Result<i32, Refusal> {
    let config = &start.loaded.config;
    if !config.run_as_launching_user && !nix::unistd::geteuid().is_root() {
        return Err(
            "vsftpd: must be started as root (see run_as_launching_user option)".to_owned(),
        );
    }
    let fences = fences::find_out(&start.loaded, config.listen || config.listen_ipv6);
    // Before anybody can connect: it takes a while.
    let prepared = Prepared::new(start.loaded)?;
    let connected = start.inherited.connection().is_some();
    let service = launch::service(&prepared.loaded, start.inherited)?;
    let standalone = matches!(service, Service::Listen(_));
    let background = prepared.config().background && standalone;
    if standalone {
        // Before anybody can know of it: a SIGHUP that comes now waits until it is listened to.
        let held = heeded().thread_block();
        held.map_err(|error| format!("signals: {error}"))?;
        oom::spare();
    }
    // Who serves one connection is no master, and could not remove the file at its end.
    let pid_file = start.pid_file.filter(|_| standalone);
    let mut herald = match begin::begin(pid_file, background)? {
        Begun::Server(herald) => herald,
        Begun::Over(status) => return Ok(status),
    };
    let keep_error = standalone && !background && !connected;
    // A server that ends has put its files in order.
    stay(
        start.sources,
        prepared,
        service,
        fences,
        keep_error,
        &mut herald,
    )
    .or_else(|refusal| herald.fails(refusal))
}

/// Serves, in the process that is master in the end.
fn stay(
    sources: Vec<Source>,
    prepared: Prepared,
    service: Service,
    fences: Option<reader::Fenced>,
    keep_error: bool,
    herald: &mut Herald,
) -> Result<i32, Refusal> {
    // Read before the environment is forgotten (reference §2.6).
    let load_conf = std::env::var_os("VSFTPD_LOAD_CONF");
    let zone = Zone::load();
    let keys = settle(&prepared, keep_error)?;
    fences.iter().for_each(fences::say);
    let serving = launch::describe(&service, prepared.config());
    let listeners = match service {
        Service::Listen(listeners) => listeners,
        Service::One {
            client,
            peer,
            local,
        } => {
            log::info!("serving {serving}");
            return Ok(serve_one(&prepared, keys, client, peer, local, load_conf));
        }
    };
    let mut master = Master {
        nursery: Nursery::start(&prepared),
        renewal: Renewal::new(&prepared),
        sources,
        prepared,
        keys,
        tried: None,
        retired: Vec::new(),
        listeners,
        signals: process::take_signals(&heeded()).map_err(|error| format!("signalfd: {error}"))?,
        roster: Roster::default(),
        reports: Reports::open().map_err(|error| format!("socketpair: {error}"))?,
        ledger: Ledger::default(),
        relief: Relief::default(),
        polling: Trouble::default(),
        load_conf,
        zone,
    };
    log::info!("serving {serving}");
    if herald.serves() {
        master.serve();
    }
    // While nobody else can listen, and so write its own number there.
    herald.over();
    Ok(0)
}

/// Serves the one connection this process was started for; gives the exit status.
fn serve_one(
    prepared: &Prepared,
    mut keys: Option<Keys>,
    client: OwnedFd,
    peer: SocketAddr,
    local: SocketAddr,
    load_conf: Option<OsString>,
) -> i32 {
    let secure = keys.as_mut().and_then(Keys::session);
    // The keyholder ends with its one session.
    drop(keys);
    helper::run(Session {
        prepared,
        secure,
        client: Parcel::new(client),
        peer,
        local,
        counts: None,
        reports: None,
        nursery: None,
        load_conf: load_conf.as_deref(),
    })
}

/// Gives up what the launching environment left, and every right that no session will need; then starts the keyholder.
fn settle(prepared: &Prepared, keep_error: bool) -> Result<Option<Keys>, Refusal> {
    fn failed<E: Display>(what: &str) -> impl Fn(E) -> String {
        move |error| format!("cannot {what}: {error}")
    }
    process::clear_environment();
    title::prepare();
    heap::one_arena();
    rseq::give_up();
    process::silence(keep_error).map_err(failed("open /dev/null"))?;
    process::adopt_orphans().map_err(failed("adopt orphans"))?;
    limit_capabilities(prepared).map_err(failed("limit capabilities"))?;
    nix::sys::prctl::set_dumpable(false).map_err(failed("forbid core dumps"))?;
    // The working directory stays what it was, as the original's does: names in settings and on the command line may be relative to it,
    // and they are asked for again by sessions and with SIGHUP.
    Keys::start(prepared).map_err(|mistakes| mistakes.join("; "))
}

impl Master {
    /// Accepts, reaps and reloads until SIGTERM.
    fn serve(&mut self) {
        title::set(self.prepared.config().setproctitle_enable, "LISTENER");
        loop {
            let ready = self.wait();
            if ready.keys {
                self.hear_keyholder();
            }
            self.renewal.turn(&mut self.prepared, ready.answer);
            while let Ok(Some(signal)) = self.signals.read_signal() {
                match Signal::try_from(i32::try_from(signal.ssi_signo).unwrap_or(0)) {
                    Ok(Signal::SIGCHLD) => self.end_stopped(),
                    Ok(Signal::SIGHUP) => self.reload(),
                    Ok(_) | Err(_) => {
                        log::info!("stopping; running sessions go on, unless this is process 1");
                        return;
                    }
                }
            }
            if ready.reports {
                self.hear_helpers();
            }
            self.reap();
            self.admit_all();
        }
    }

    /// Waits until somebody wants something, or it is time for something.
    #[inline(never)]
    fn wait(&mut self) -> Ready {
        let (relief, renewal) = (self.relief.until(), self.renewal.until());
        let until = relief.into_iter().chain(renewal).min();
        let (signals, reports) = (self.signals.as_fd(), self.reports.fd());
        let (keys, answer) = (self.keys.as_ref().map(Keys::fd), self.renewal.fd());
        let listeners = self.listeners.all().iter().map(AsFd::as_fd);
        let all = [Some(signals), Some(reports), keys, answer].into_iter();
        let all = (all.flatten()).chain(listeners.filter(|_| relief.is_none()));
        // On the stack (see `admit`).
        let mut room: [_; 4 + listen::MOST] =
            std::array::from_fn(|_| PollFd::new(signals, PollFlags::POLLIN));
        let places = room.iter_mut().zip(all);
        let count = places
            .map(|(place, fd)| *place = PollFd::new(fd, PollFlags::POLLIN))
            .count();
        let fds = room.get_mut(..count).unwrap_or_default();
        let waited = socket::wait(fds, until);
        let is_ready = |at: usize| fds.get(at).is_some_and(|fd| fd.any() == Some(true));
        let ready = Ready {
            reports: is_ready(1),
            keys: keys.is_some() && is_ready(2),
            answer: answer.is_some() && is_ready(2 + usize::from(keys.is_some())),
        };
        let Err(error) = waited else {
            self.polling.over("poll works again");
            return ready;
        };
        let advice = "looking for clients ten times a second instead; the limit of open files or memory is too low";
        self.polling.say("poll", &error, advice);
        std::thread::sleep(RELIEF);
        Ready::default()
    }

    /// A keyholder or nursery that somebody has stopped serves no session any more, and none can tell: it is ended, and replaced as one
    /// that has ended. One of earlier settings would never end.
    #[inline(never)]
    fn end_stopped(&mut self) {
        let keyholders = self.keys.iter().map(Keys::pid).chain(self.retired.clone());
        let all = keyholders.map(|pid| ("keyholder", pid));
        let mut stays = false;
        for (who, pid) in all.chain(self.nursery.all().map(|pid| ("nursery", pid))) {
            if process::is_stopped(pid) {
                log::error!("a {who} was stopped: it is ended");
                stays |= confine::end(pid).is_err();
            }
        }
        if stays {
            log::error!("it cannot be ended without CAP_KILL: another takes its place");
            self.retire();
            // They are not looked at again.
            self.retired.retain(|pid| !process::is_stopped(*pid));
        }
    }

    /// Books out sessions that have ended; one that ended badly may have left a process.
    #[inline(never)]
    fn reap(&mut self) {
        while let Some((pid, ended)) = process::reap() {
            // What it said last is still to be heard, while it is known whose session it was.
            self.hear_helpers();
            self.retired.retain(|retired| *retired != pid);
            self.nursery.left(pid, ended, &self.prepared);
            let Some(address) = self.roster.left(pid) else {
                continue;
            };
            if let Ended::Killed(signal) = ended {
                // Nobody else is left to say it.
                let why = format!("its helper was killed by signal {signal}");
                log::error!("a session of {address} was ended: {why}");
            } else if ended != Ended::Exited(helper::LEFT_ONE) {
                continue;
            }
            // Its processes are of one group, which no list of system calls has one to leave, while a worker may call itself what it likes. An
            // auth that has a PAM session to close is of its own, and ends by itself.
            let _ = killpg(pid, Signal::SIGKILL);
        }
    }

    /// Counts what sessions tell of themselves.
    #[inline(never)]
    fn hear_helpers(&mut self) {
        let config = self.prepared.config();
        while let Some((helper, report)) = self.reports.next() {
            let Some(address) = self.roster.source(helper) else {
                continue;
            };
            let source = Origin::from(address);
            if self.ledger.note(source, report, config, Instant::now()) {
                let (what, option) = match report {
                    Report::LoginFailed => ("failed logins", "login_fails_per_ip"),
                    Report::Handshake => ("TLS handshakes", "ssl_handshakes_per_ip"),
                };
                log::warn!("too many {what} from {address}: refused for a while ({option})");
            }
        }
    }

    /// Writes down what the keyholder has to say; one that has ended is replaced.
    #[inline(never)]
    fn hear_keyholder(&mut self) {
        if self.keys.as_mut().is_some_and(|keys| !keys.hear()) {
            log::error!("the keyholder has ended");
            self.retire();
            self.recover();
        }
    }

    /// Gives up the keyholder of new sessions; it ends when its last one has.
    #[inline(never)]
    fn retire(&mut self) {
        if let Some(keys) = self.keys.take() {
            self.retired.push(keys.pid());
        }
    }

    /// Starts the keyholder or nursery that is missing, but not again and again.
    #[inline(never)]
    fn recover(&mut self) {
        self.nursery.recover(&self.prepared);
        let wanted = self.keys.is_none() && self.prepared.config().ssl_enable;
        let lately = self.tried.is_some_and(|tried| tried.elapsed() < RECOVERY);
        if !wanted || lately {
            return;
        }
        self.tried = Some(Instant::now());
        match Keys::start(&self.prepared) {
            Ok(keys) => self.keys = keys,
            Err(mistakes) => log::error!("no TLS: {}", mistakes.join("; ")),
        }
    }

    /// Reads every source and the certificates again; a mistake leaves everything old in force and says so.
    #[inline(never)]
    fn reload(&mut self) {
        let fresh = renewed(&self.sources, &self.prepared).and_then(|prepared| {
            let mistake = |text| vec![prepared.loaded.mistake("implicit_listen_port", text)];
            let (old, new) = (self.prepared.config(), prepared.config());
            let second = self.listeners.second(old, new).map_err(mistake)?;
            let keys = Keys::start(&prepared)?;
            Ok((prepared, keys, second))
        });
        match fresh {
            Ok((prepared, keys, second)) => {
                self.listeners.renew(second);
                self.listeners.stays(prepared.config());
                title::set(prepared.config().setproctitle_enable, "LISTENER");
                if prepared.isolation_is_too_late() {
                    log::warn!("{}", helper::TOO_LATE);
                }
                self.renewal = Renewal::new(&prepared);
                self.nursery.renew(&prepared);
                self.ledger.renew(self.prepared.config(), prepared.config());
                self.prepared = prepared;
                self.retire();
                self.keys = keys;
                log::info!("configuration and certificates read again; new sessions use them");
            }
            Err(mistakes) => {
                mistakes.iter().for_each(|mistake| log::error!("{mistake}"));
                log::error!("configuration not reloaded, the old one stays");
            }
        }
    }
}

/// The configuration as its sources have it now.
fn renewed(sources: &[Source], old: &Prepared) -> Result<Prepared, Vec<String>> {
    let found = reader::load(sources);
    if !found.good {
        return Err(found.mistakes);
    }
    let here = reader::check(&found.loaded, false, reader::AGAIN);
    if !here.good {
        return Err(here.mistakes);
    }
    let fresh = old.anew(found.loaded.clone());
    fresh.map_err(|error| vec![found.loaded.mistake("nopriv_user", error)])
}

/// The signals that master heeds.
const HEEDED: [Signal; 5] = [
    Signal::SIGCHLD,
    Signal::SIGHUP,
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGQUIT,
];

fn heeded() -> SigSet {
    HEEDED.into_iter().collect()
}

/// What master and its children may ever need; everything else is out of reach from here on (attacks C.4).
const LISTED: &[Capability] = &[
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_FOWNER,
    Capability::CAP_KILL,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
    Capability::CAP_SETPCAP,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_SYS_CHROOT,
    Capability::CAP_SYS_RESOURCE,
    Capability::CAP_AUDIT_WRITE,
    Capability::CAP_AUDIT_CONTROL,
];

/// Without one of these no session comes about: they are what giving up all rights takes.
const NEEDED: &[Capability] = &[
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
    Capability::CAP_SETPCAP,
    Capability::CAP_SYS_CHROOT,
];

fn limit_capabilities(prepared: &Prepared) -> Result<(), nix::errno::Errno> {
    let mut listed = LISTED.to_vec();
    if prepared.isolation() != Isolation::default() {
        // The right to leave a name space.
        listed.push(Capability::CAP_SYS_ADMIN);
    }
    let permitted = capability::read()?.permitted;
    let kept = permitted & capability::bits(&listed);
    let missing = NEEDED.iter().filter(|one| permitted & one.bitmask() == 0);
    let missing: Vec<String> = missing.map(ToString::to_string).collect();
    if !missing.is_empty() && !prepared.config().run_as_launching_user {
        let missing = missing.join(", ");
        log::error!(
            "every client will be refused: root is without {missing} here; give that to this container or service"
        );
    }
    // An ordinary user's server has none, and no right to shorten the list.
    if permitted & Capability::CAP_SETPCAP.bitmask() != 0 {
        capability::bound(&listed)?;
    }
    confine::set_capabilities(kept)
}
