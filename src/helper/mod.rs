//! The privileged helper of one session: root until login, then an unprivileged uid with at most two capabilities; it answers
//! typed messages and never reads from, writes to or parses for the client.

mod after;
mod auth;
mod journal;
mod lists;
mod login;
mod ports;
mod prepared;
#[allow(dead_code)] // Until the session asks it.
mod wrappers;

pub use prepared::Prepared;

use crate::config::Config;
use crate::sys::confine::{self, Plan, Root};
use crate::sys::process;
use crate::sys::socket::Parcel;
use crate::wire::{AfterLogin, AfterLoginReply, BeforeLogin, BeforeLoginReply, Channel};
use crate::worker::{self, Client, Greeting};
use caps::Capability;
use journal::Journal;
use login::{Decision, Gate};
use nix::unistd::Pid;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a greeter that must end may take to say its last word before its helper's exit kills it.
const LAST_WORD: Duration = Duration::from_secs(5);

/// What master knows of a connection when it forks the helper.
#[derive(Debug)]
pub struct Session {
    /// The configuration and the accounts it names.
    pub prepared: Prepared,
    /// The client's socket, unopened.
    pub client: Parcel,
    /// The client's address.
    pub peer: SocketAddr,
    /// The address it reached us by.
    pub local: SocketAddr,
    /// How many sessions there are, this one included.
    pub clients: usize,
}

/// Runs the session to its end; gives the exit status.
pub fn run(session: Session) -> i32 {
    i32::from(serve(session).is_err())
}

/// The session ended early; the reason has been logged where there is a log.
struct Over;

fn serve(session: Session) -> Result<(), Over> {
    let Session {
        prepared,
        client,
        peer,
        local,
        clients,
    } = session;
    // A session of its own: a signal to master's terminal group does not reach it.
    let _ = nix::unistd::setsid();
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let _ = nix::sys::prctl::set_dumpable(false);
    let config = &prepared.config;
    let opened = Journal::open(config, peer);
    let greeting = match opened
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|_| login::banner(config))
    {
        Ok(banner) => Greeting::Banner(banner),
        Err(text) => Greeting::Oops(text),
    };
    let mut journal = opened.unwrap_or_else(|_| Journal::silent(peer));
    if let Err(error) = confine::lower_effective(before_login(config)) {
        journal.note(format!("cannot lower capabilities: {error}").as_bytes());
        return Err(Over);
    }
    let client = Client {
        socket: client,
        peer,
        local,
        clients,
    };
    let empty = prepared.secure_chroot().map_err(|error| {
        journal.note(format!("cannot open secure_chroot_dir: {error}").as_bytes());
        Over
    })?;
    let (mut channel, greeter) =
        fork_greeter(&prepared, &client, &empty, greeting).map_err(|error| {
            journal.note(format!("cannot start a greeter: {error}").as_bytes());
            Over
        })?;
    journal.connect();
    let Some((verdict, rest)) = before(&prepared, &mut journal, &mut channel) else {
        return finish_greeter(&channel);
    };
    drop(channel);
    let _ = process::wait_for(greeter);
    let (channel, worker) = fork_worker(&prepared, client, verdict, rest).map_err(|error| {
        journal.note(format!("cannot start a worker: {error}").as_bytes());
        Over
    })?;
    give_up(&prepared, &empty).map_err(|failure| {
        journal.note(format!("helper cannot give up its rights: {failure}").as_bytes());
        Over
    })?;
    drop(empty);
    after::serve(&prepared.config, peer, local, channel, &mut journal);
    match process::wait_for(worker) {
        Ok(process::Ended::Killed(signal)) => {
            journal.note(format!("worker was killed by signal {signal}").as_bytes())
        }
        Ok(process::Ended::Exited(_)) | Err(_) => {}
    }
    Ok(())
}

/// Answers the greeter until a login holds; `None` when the client has gone or has had its last chance.
fn before(
    prepared: &Prepared,
    journal: &mut Journal,
    channel: &mut Channel<BeforeLoginReply, BeforeLogin>,
) -> Option<(worker::Verdict, Vec<u8>)> {
    let mut gate = Gate::new(prepared);
    loop {
        let reply = match channel.receive() {
            Ok(None) => return None,
            Ok(Some(BeforeLogin::Event(event))) => {
                journal.event(event);
                continue;
            }
            Ok(Some(BeforeLogin::User { name })) => gate.user(&name, journal),
            Ok(Some(BeforeLogin::Login {
                name,
                password,
                rest,
            })) => match gate.login(&name, &password, journal) {
                Decision::Granted(verdict) => {
                    // The greeter may be gone already; the worker will find out.
                    let _ = channel.send(&BeforeLoginReply::Granted);
                    return Some((*verdict, rest));
                }
                Decision::Reply(reply) => reply,
            },
            Err(broken) => {
                journal.note(format!("greeter: {broken}; session ended").as_bytes());
                return None;
            }
        };
        let last = match &reply {
            BeforeLoginReply::DeniedLast
            | BeforeLoginReply::FailedLast
            | BeforeLoginReply::Oops(_) => true,
            BeforeLoginReply::Ask
            | BeforeLoginReply::Denied
            | BeforeLoginReply::Failed
            | BeforeLoginReply::Granted => false,
        };
        channel.send(&reply).ok()?;
        if last {
            return None;
        }
    }
}

/// Waits for the greeter to end by itself; one that does not is killed by the kernel when this process exits.
fn finish_greeter(channel: &Channel<BeforeLoginReply, BeforeLogin>) -> Result<(), Over> {
    use std::os::fd::AsFd;
    let _ = crate::sys::socket::readable(channel.as_fd(), Instant::now().checked_add(LAST_WORD));
    Err(Over)
}

type Greeter = (Channel<BeforeLoginReply, BeforeLogin>, Pid);
type Worker = (Channel<AfterLoginReply, AfterLogin>, Pid);

fn fork_greeter(
    prepared: &Prepared,
    client: &Client,
    empty: &OwnedFd,
    greeting: Greeting,
) -> std::io::Result<Greeter> {
    let (ours, theirs) = Channel::<BeforeLoginReply, BeforeLogin>::pair()?;
    let parent = Pid::this();
    let theirs = theirs.into_descriptor();
    let keep = [
        client.socket.number(),
        theirs.as_raw_fd(),
        empty.as_raw_fd(),
    ];
    let pid = process::spawn(&keep, || {
        process::silence_session();
        let plan = Plan {
            root: Root::Directory(std::os::fd::AsFd::as_fd(empty)),
            uid: prepared.nopriv.uid,
            gid: prepared.nopriv.gid,
            groups: &[],
            keep: &[],
            limits: worker::GREETER_LIMITS,
            parent: Some(parent),
        };
        worker::greet(
            &prepared.config,
            client,
            empty,
            &plan,
            Channel::new(theirs),
            greeting,
        )
    })?;
    Ok((ours, pid))
}

fn fork_worker(
    prepared: &Prepared,
    client: Client,
    verdict: worker::Verdict,
    rest: Vec<u8>,
) -> std::io::Result<Worker> {
    let (ours, theirs) = Channel::<AfterLoginReply, AfterLogin>::pair()?;
    let parent = Pid::this();
    let theirs = theirs.into_descriptor();
    let keep = [client.socket.number(), theirs.as_raw_fd()];
    let pid = process::spawn(&keep, || {
        process::silence_session();
        worker::work(
            prepared.config.clone(),
            client,
            verdict,
            parent,
            Channel::new(theirs),
            rest,
        )
    })?;
    Ok((ours, pid))
}

/// What helper needs before login; auth, its child, takes back more.
fn before_login(config: &Config) -> &'static [Capability] {
    const PLAIN: &[Capability] = &[
        Capability::CAP_SETUID,
        Capability::CAP_SETGID,
        Capability::CAP_SETPCAP,
        Capability::CAP_SYS_CHROOT,
        Capability::CAP_NET_BIND_SERVICE,
    ];
    const CHOWN: &[Capability] = &[
        Capability::CAP_SETUID,
        Capability::CAP_SETGID,
        Capability::CAP_SETPCAP,
        Capability::CAP_SYS_CHROOT,
        Capability::CAP_NET_BIND_SERVICE,
        Capability::CAP_CHOWN,
    ];
    if config.chown_uploads { CHOWN } else { PLAIN }
}

/// Drops to the unprivileged account in the empty root, keeping what the session may still ask for.
fn give_up(prepared: &Prepared, empty: &OwnedFd) -> Result<confine::Confined, confine::Failure> {
    let mut keep = Vec::new();
    if prepared.config.connect_from_port_20 && prepared.config.ftp_data_port < 1024 {
        keep.push(Capability::CAP_NET_BIND_SERVICE);
    }
    if prepared.config.chown_uploads {
        keep.push(Capability::CAP_CHOWN);
    }
    confine::confine(&Plan {
        root: Root::Directory(std::os::fd::AsFd::as_fd(empty)),
        uid: prepared.nopriv.uid,
        gid: prepared.nopriv.gid,
        groups: &[],
        keep: &keep,
        limits: HELPER_LIMITS,
        // It outlives master: a restart of the service leaves sessions alone.
        parent: None,
    })
}

const HELPER_LIMITS: &[(nix::sys::resource::Resource, u64)] = {
    use nix::sys::resource::Resource;
    &[
        (Resource::RLIMIT_NPROC, 0),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NOFILE, 16),
        (Resource::RLIMIT_DATA, 64 << 20),
    ]
};

/// Turns a connection away without a session: one write to the client, one line in the log. Called by master.
pub fn turn_away(config: &Config, client: &Parcel, peer: SocketAddr, reply: &[u8], reason: &str) {
    client.last_word(reply);
    match Journal::open(config, peer) {
        Ok(mut journal) => journal.turned_away(reason),
        Err(text) => log::error!("{text}"),
    }
}
