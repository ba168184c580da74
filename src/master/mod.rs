//! The master: root, listens, counts, forks a helper per connection, reaps; it never reads a byte from a client.

pub mod diagnostics;
mod listen;
mod roster;

use crate::config::{self, Loaded, Source};
use crate::helper::{self, Prepared, Session};
use crate::sys::clock;
use crate::sys::confine;
use crate::sys::process;
use crate::sys::socket::{self, Parcel};
use caps::{CapSet, Capability, CapsHashSet};
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::ForkResult;
use roster::{Admission, Roster};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long to leave the listener alone when the kernel has no descriptor or memory for another connection.
const RELIEF: Duration = Duration::from_millis(100);

/// What the command line asked for.
#[derive(Debug)]
pub struct Start {
    /// Where the configuration came from, to be read again on SIGHUP.
    pub sources: Vec<Source>,
    /// The configuration.
    pub loaded: Loaded,
    /// Where to write the process id once the socket listens.
    pub pid_file: Option<OsString>,
}

/// Why the server does not start, in one sentence for the terminal.
pub type Refusal = String;

/// Serves until SIGTERM; returns early only in the process that launched a background server.
///
/// # Errors
/// What kept the server from starting.
pub fn run(start: Start) -> Result<(), Refusal> {
    // What a shell or an earlier program left open is nobody's business here (attacks B-127).
    process::close_except(&[]);
    if !nix::unistd::geteuid().is_root() {
        return Err(
            "vsftpd: must be started as root (see run_as_launching_user option)".to_owned(),
        );
    }
    let background = start.loaded.config.background;
    let mut prepared =
        Prepared::new(start.loaded.config.clone()).map_err(|error| error.to_string())?;
    let listener = listen::open(&prepared.config)?;
    if background && detach(start.pid_file.as_ref())? {
        return Ok(());
    }
    if !background && let Some(path) = &start.pid_file {
        write_pid(path, std::process::id())?;
    }
    clock::load_zone();
    process::clear_environment();
    process::ignore_write_signals();
    let signals = signals()?;
    let failed =
        |what: &'static str| move |error: &dyn std::fmt::Display| format!("{what}: {error}");
    process::silence(!background).map_err(|error| failed("cannot open /dev/null")(&error))?;
    process::adopt_orphans().map_err(|error| failed("cannot adopt orphans")(&error))?;
    limit_capabilities().map_err(|error| failed("cannot limit capabilities")(&error))?;
    nix::sys::prctl::set_dumpable(false)
        .map_err(|error| failed("cannot forbid core dumps")(&error))?;
    nix::unistd::chdir("/").map_err(|error| failed("cannot enter /")(&error))?;
    let mut roster = Roster::default();
    log::info!("listening on {}", listen::describe(&prepared.config));
    serve(
        &start.sources,
        &mut prepared,
        &listener,
        &signals,
        &mut roster,
    );
    if let Some(path) = &start.pid_file {
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

/// Accepts, reaps and reloads until SIGTERM.
fn serve(
    sources: &[Source],
    prepared: &mut Prepared,
    listener: &OwnedFd,
    signals: &SignalFd,
    roster: &mut Roster,
) {
    let mut relief: Option<Instant> = None;
    loop {
        let mut fds = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
        ];
        let watched = if relief.is_some() {
            fds.get_mut(..1).unwrap_or_default()
        } else {
            &mut fds[..]
        };
        if let Err(error) = socket::wait(watched, relief) {
            log::error!("poll: {error}");
            return;
        }
        while let Ok(Some(signal)) = signals.read_signal() {
            match Signal::try_from(i32::try_from(signal.ssi_signo).unwrap_or(0)) {
                Ok(Signal::SIGCHLD) => {}
                Ok(Signal::SIGHUP) => reload(sources, prepared),
                Ok(_) | Err(_) => {
                    log::info!("stopping; running sessions go on");
                    return;
                }
            }
        }
        while let Some((pid, _)) = process::reap() {
            roster.left(pid);
        }
        relief = admit_waiting(prepared, listener, roster);
    }
}

/// Takes every waiting connection; says when to look again if the kernel could not give one.
fn admit_waiting(prepared: &Prepared, listener: &OwnedFd, roster: &mut Roster) -> Option<Instant> {
    use nix::errno::Errno;
    loop {
        match socket::accept(listener.as_fd()) {
            Ok((client, peer)) => admit(prepared, roster, client, peer),
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EAGAIN) => return None,
                Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
                    log::error!("cannot accept: {error}; raise the limit of open files or memory");
                    return Instant::now().checked_add(RELIEF);
                }
                // The client was gone before we came: its affair (attacks A47).
                Some(_) | None => {}
            },
        }
    }
}

/// One connection: counted, refused with one write, or given a helper.
fn admit(prepared: &Prepared, roster: &mut Roster, client: OwnedFd, peer: SocketAddr) {
    let Ok(local) = socket::local(client.as_fd()) else {
        return;
    };
    let client = Parcel::new(client);
    let config = &prepared.config;
    match roster.admission(peer.ip(), config.max_clients, config.max_per_ip) {
        Admission::Welcome { clients } => {
            let number = client.number();
            let forked = process::spawn(&[number], || {
                helper::run(Session {
                    prepared: prepared.clone(),
                    client,
                    peer,
                    local,
                    clients,
                })
            });
            match forked {
                Ok(pid) => roster.entered(pid, peer.ip()),
                // The closure and with it the client's socket are gone: the connection is closed.
                Err(error) => log::error!("cannot fork a helper for {}: {error}", peer.ip()),
            }
        }
        Admission::Full => helper::turn_away(
            config,
            &client,
            peer,
            b"421 There are too many connected users, please try later.\r\n",
            "Connection refused: too many sessions.",
        ),
        Admission::FullForAddress => helper::turn_away(
            config,
            &client,
            peer,
            b"421 There are too many connections from your internet address.\r\n",
            "Connection refused: too many sessions for this address.",
        ),
    }
}

/// Reads every source again; a mistake leaves the old configuration in force and says so.
fn reload(sources: &[Source], prepared: &mut Prepared) {
    let fresh = config::load(sources).and_then(|loaded| {
        let mistakes = config::check_system(&loaded);
        if mistakes.is_empty() {
            Ok(loaded)
        } else {
            Err(mistakes)
        }
    });
    match fresh {
        Ok(loaded) => match Prepared::new(loaded.config) {
            Ok(new) => {
                *prepared = new;
                log::info!("configuration read again; new sessions use it");
            }
            Err(error) => log::error!("configuration not reloaded, the old one stays: {error}"),
        },
        Err(mistakes) => {
            for mistake in mistakes {
                log::error!("{mistake}");
            }
            log::error!("configuration not reloaded, the old one stays");
        }
    }
}

/// Forks the background server; true in the process that launched it.
fn detach(pid_file: Option<&OsString>) -> Result<bool, Refusal> {
    match process::fork_server().map_err(|error| format!("cannot fork: {error}"))? {
        ForkResult::Parent { child } => {
            if let Some(path) = pid_file {
                write_pid(path, u32::try_from(child.as_raw()).unwrap_or(0))?;
            }
            Ok(true)
        }
        ForkResult::Child => {
            let _ = nix::unistd::setsid();
            Ok(false)
        }
    }
}

fn write_pid(path: &OsString, pid: u32) -> Result<(), Refusal> {
    std::fs::write(path, format!("{pid}\n"))
        .map_err(|error| format!("{}: {error}", path.to_string_lossy()))
}

fn signals() -> Result<SignalFd, Refusal> {
    let mut set = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGHUP,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGQUIT,
    ] {
        set.add(signal);
    }
    process::block(&set).map_err(|error| format!("signals: {error}"))?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(|error| format!("signalfd: {error}"))
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

fn limit_capabilities() -> Result<(), caps::errors::CapsError> {
    confine::drop_bounding_set(LISTED)?;
    let permitted = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = LISTED
        .iter()
        .copied()
        .filter(|capability| permitted.contains(capability))
        .collect();
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())?;
    caps::set(None, CapSet::Permitted, &kept)?;
    caps::set(None, CapSet::Effective, &kept)
}
