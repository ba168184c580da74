//! The privileged helper of one session: root until login, then an unprivileged uid with at most two capabilities; it answers
//! typed messages and never reads from, writes to or parses for the client.
//!
//! What is done once is never inlined into what goes on: its frame would stay on the stack of an idle session, and be copied by each
//! process it forks.

mod after;
mod arrival;
mod ask;
mod auth;
mod deeds;
mod ends;
mod heir;
mod host;
mod journal;
mod likely;
mod lists;
mod login;
mod passive;
mod patience;
mod per_user;
mod ports;
mod prepared;
mod pulse;
mod rights;
#[cfg(test)]
mod tests;
mod toll;

pub use arrival::{BUSY, Counts, Refused, decides, limited};
#[cfg(test)]
pub use arrival::{FULL, FULL_FOR_ADDRESS, TOO_MANY_FAILURES, TOO_MANY_HANDSHAKES};
pub use auth::nursery;
pub use likely::likely_lists;
pub use prepared::{Prepared, TOO_LATE, filters};

use crate::config::Config;
use crate::reader::HEIR;
use crate::sys::confine::{self, Plan};
use crate::sys::heap;
use crate::sys::landlock::Reach;
use crate::sys::process::{self, Errand};
use crate::sys::schedule;
use crate::sys::seccomp::List;
use crate::sys::socket::{Fuse, Parcel, stream_pair};
use crate::sys::title;
use crate::tls::Secure;
use crate::wire::{
    self, AfterLogin, AfterLoginReply, BeforeLogin, BeforeLoginReply, Channel, Said,
};
use crate::worker::{self, Client, Greeting, Handover, Secured};
use after::{After, Carrier};
use ask::Accounting;
use ends::{LAST_WORD, note_death};
use journal::Journal;
use login::{Gate, Grant};
use nix::unistd::Pid;
use patience::Patience;
use rights::{before_login, empty_root, give_up, unbind};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;
use toll::Toll;

/// How many TLS sessions a control connection leaves to be resumed.
const RESUMABLE: usize = 8;

/// What a client is told whose greeter has no directory to be in: it was there at the start.
const NO_ROOT: &[u8] = b"500 OOPS: vsftpd: not found: directory given in 'secure_chroot_dir'\r\n";

/// The exit status that tells master to look for a process this session has left behind.
pub const LEFT_ONE: i32 = 3;

/// What master knows of a connection when it forks the helper.
#[derive(Debug)]
pub struct Session<'a> {
    /// The configuration and the accounts it names.
    pub prepared: &'a Prepared,
    /// What it needs for TLS, if there is TLS.
    pub secure: Option<Secure>,
    /// The client's socket, unopened.
    pub client: Parcel,
    /// The client's address.
    pub peer: SocketAddr,
    /// The address it reached us by.
    pub local: SocketAddr,
    /// How many sessions there are; none when nobody counts, as under inetd.
    pub counts: Option<Counts>,
    /// Where failed logins and handshakes are told; none when nobody counts.
    pub reports: Option<&'a OwnedFd>,
    /// Where an auth is asked for; none where there is no nursery.
    pub nursery: Option<&'a OwnedFd>,
    /// A file of settings for this connection: `VSFTPD_LOAD_CONF` of the environment the server was started in.
    pub load_conf: Option<&'a OsStr>,
}

/// Runs the session to its end; gives the exit status.
pub fn run(session: Session<'_>) -> i32 {
    heap::begin_anew();
    match serve(session) {
        Ok(()) => 0,
        Err(Over::Early) => 1,
        Err(Over::Broken) => LEFT_ONE,
    }
}

/// The session ended early; the reason has been logged where there is a log.
enum Over {
    /// In good order.
    Early,
    /// A child that spoke nonsense may still be there.
    Broken,
}

fn serve(session: Session<'_>) -> Result<(), Over> {
    // A session of its own: a signal to master's terminal group does not reach it.
    let _ = nix::unistd::setsid();
    // Without it master ends what is left, as long as there is one.
    let _ = confine::take_along();
    // For greeter, auth and worker too, which come from here.
    heap::begin_wiping();
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let _ = nix::sys::prctl::set_dumpable(false);
    let Session {
        prepared,
        secure,
        client,
        peer,
        local,
        counts,
        reports,
        nursery,
        load_conf,
    } = session;
    let toll = Toll::new(reports, counts);
    let arrival = arrival::examine(prepared, peer, local, counts, load_conf);
    let config = arrival.prepared.config();
    let opened = Journal::open(config, peer, journal::PATIENCE);
    let banner = match (&arrival.oops, &opened) {
        (Some(text), _) | (None, Err(text)) => Err(text.clone()),
        (None, Ok(_)) => login::banner(config),
    };
    let mut journal = opened.unwrap_or_else(|_| Journal::silent(peer));
    let greeting = banner.map_or_else(
        |text| {
            journal.note(text.as_bytes());
            Greeting::Oops(login::public(&text).to_owned())
        },
        Greeting::Banner,
    );
    journal.notes(&arrival.notes);
    if let Some(refused) = arrival.refused {
        client.last_word(refused.reply);
        journal.turned_away(refused.reason);
        return Ok(());
    }
    name_process(&arrival.prepared, &journal, ": connected");
    let client = Client {
        socket: client,
        peer,
        local,
        clients: counts.map(|counts| counts.all),
        secure: secure.filter(|_| config.ssl_enable),
    };
    let gate = Gate::new(arrival.prepared, &toll, nursery);
    let entry = log_in(gate, &client, greeting, &mut journal)?;
    // After login there is nothing to tell or to ask.
    let shared = [reports, nursery].into_iter().flatten();
    shared.for_each(process::close_inherited);
    after_login(entry, client, &mut journal)
}

/// Writes down why the session ends.
fn fail<E: std::fmt::Display>(journal: &mut Journal, what: &str) -> impl FnOnce(E) -> Over {
    move |error| {
        journal.note(format!("{what}: {error}").as_bytes());
        Over::Early
    }
}

/// A login that holds.
struct Entry<'a> {
    granted: Granted<'a>,
    empty: OwnedFd,
    /// A greeter that stays and ends TLS.
    carrier: Option<Carrier>,
}

/// Has a greeter talk to the client until a login holds.
#[inline(never)]
fn log_in<'a>(
    mut gate: Gate<'a, '_>,
    client: &Client,
    greeting: Greeting,
    journal: &mut Journal,
) -> Result<Entry<'a>, Over> {
    let prepared = gate.base();
    let lowered = confine::lower_effective(&before_login(prepared));
    lowered.map_err(fail(journal, "cannot lower capabilities"))?;
    if !prepared.config().local_enable {
        unbind(prepared).map_err(fail(journal, "cannot shorten the bounding set"))?;
    }
    let empty = prepared.secure_chroot();
    let empty = empty.inspect_err(|_| client.socket.last_word(NO_ROOT));
    let empty = empty.map_err(fail(journal, "cannot open secure_chroot_dir"))?;
    // Before the client can know that it is connected: what it does next is logged behind that.
    journal.connect();
    let forked = fork_greeter(prepared, client, &empty, greeting);
    let forked = forked.inspect_err(|_| client.socket.last_word(BUSY));
    let (mut channel, greeter) = forked.map_err(fail(journal, "cannot start a greeter"))?;
    let Some(granted) = before(&mut gate, client.local, journal, &mut channel) else {
        let ended = end_of(greeter, channel, |said| journal.said(said));
        note_death("greeter", ended, journal);
        return Err(Over::Early);
    };
    let carrier = if granted.worker.is_some() {
        Some((channel, (greeter, process::watch(greeter))))
    } else {
        let ended = end_of(greeter, channel, drop);
        if ended.is_err() {
            journal.note(b"greeter did not end by itself and was killed");
        }
        note_death("greeter", ended, journal);
        None
    };
    Ok(Entry {
        granted,
        empty,
        carrier,
    })
}

/// Waits for the end of a greeter that has nothing more to do: it has a while for its last word, which goes to the log, then it is killed,
/// which is an error.
fn end_of(
    greeter: Pid,
    mut channel: Channel<BeforeLoginReply, BeforeLogin>,
    mut hear: impl FnMut(Said),
) -> std::io::Result<process::Ended> {
    let errand = Errand::new(greeter, LAST_WORD);
    // Nothing that it asks now counts.
    while errand.speaks(channel.as_fd())
        && let Ok(Some(heard)) = channel.receive()
    {
        if let BeforeLogin::Said(said @ Said::Response(_)) = heard {
            hear(said);
        }
    }
    drop(channel);
    errand.end()
}

/// Has a worker serve the user, and answers it with what rights the session may still need.
#[inline(never)]
fn after_login(entry: Entry<'_>, mut client: Client, journal: &mut Journal) -> Result<(), Over> {
    let Entry {
        granted,
        empty,
        carrier,
    } = entry;
    let (handover, worker) = (granted.handover, granted.worker);
    let Grant {
        mut verdict,
        prepared,
        accounting,
    } = *granted.grant;
    verdict.recorded = journal.keeps_record();
    unbind(&prepared).map_err(fail(journal, "cannot shorten the bounding set"))?;
    if let Some(worker) = worker {
        // The client's socket stays with the greeter alone.
        client.socket = Parcel::new(worker);
    }
    let (peer, local, session) = (client.peer, client.local, verdict.uid);
    let heir = heir_of(&prepared, &verdict);
    let name = String::from_utf8_lossy(&verdict.name).into_owned();
    let class = verdict.class.clone();
    // Nobody counts under inetd: there is no master to end a worker that this process cannot.
    let alone = client.clients.is_none();
    let fuse = client.socket.fuse().ok();
    let forked = fork_worker(&prepared, client, verdict, handover, accounting.as_ref());
    let (channel, worker) = forked.map_err(fail(journal, "cannot start a worker"))?;
    let watch = process::watch(worker);
    if let Err(error) = give_up(&prepared, empty, heir.is_some()) {
        let _ = fail(journal, "helper cannot give up its rights")(error);
        return Err(break_off(accounting, fuse));
    }
    let after = After {
        prepared,
        name,
        class,
        peer,
        local,
        session,
        heir,
        worker: (worker, watch),
        carrier,
        accounting,
        fuse,
        alone,
    };
    after.see_through(channel, journal)
}

/// What ps(1) shows for this process.
fn name_process(prepared: &Prepared, journal: &Journal, what: &str) {
    if prepared.config().setproctitle_enable {
        title::set(true, &format!("{}{what}", journal.address()));
    }
}

/// Whom uploads are given to: a local user's own stay the user's (reference §3.4.2, step 7).
fn heir_of(prepared: &Prepared, verdict: &worker::Verdict) -> Option<nix::unistd::Uid> {
    let heir = prepared.account(HEIR).map(|account| account.uid);
    heir.filter(|_| verdict.rules == worker::Rules::Anonymous)
}

/// The session has not begun, which its client is told. The worker ends when this process has.
fn break_off(accounting: Option<Accounting>, fuse: Option<Fuse>) -> Over {
    if let Some(fuse) = fuse {
        fuse.blow_with(worker::CANNOT_START);
    }
    // It ends by itself, and is not waited for.
    std::mem::forget(accounting);
    Over::Broken
}

/// A login that holds, before the greeter has gone or stays.
struct Granted<'a> {
    grant: Box<Grant<'a>>,
    handover: Handover,
    worker: Option<OwnedFd>,
}

/// Answers the greeter until a login holds; `None` when the client has gone or has had its last chance.
fn before<'a>(
    gate: &mut Gate<'a, '_>,
    local: SocketAddr,
    journal: &mut Journal,
    channel: &mut Channel<BeforeLoginReply, BeforeLogin>,
) -> Option<Granted<'a>> {
    let mut tls: Option<Secured> = None;
    let mut patience = Patience::new(gate.base().config());
    loop {
        let reply = match patience.hear(channel, journal)? {
            Ok(None) => return None,
            Ok(Some(BeforeLogin::Said(said))) => {
                journal.said(said);
                continue;
            }
            Ok(Some(BeforeLogin::User { name })) => gate.user(&name, journal),
            Ok(Some(BeforeLogin::Securing)) if gate.begins() => continue,
            Ok(Some(BeforeLogin::Host { name })) => gate.host(&name, local.ip(), journal)?,
            Ok(Some(BeforeLogin::Secured { certificate })) if tls.is_none() => {
                tls = Some(Secured {
                    certificate,
                    ..Secured::default()
                });
                continue;
            }
            Ok(Some(BeforeLogin::Resumable { name, value })) => {
                let sessions = tls.as_mut().map(|tls| &mut tls.sessions);
                sessions
                    .filter(|sessions| sessions.len() < RESUMABLE)?
                    .push((name, value.to_vec()));
                continue;
            }
            Ok(Some(BeforeLogin::Securing | BeforeLogin::Secured { certificate: _ })) => {
                journal.note(b"greeter: TLS twice; session ended");
                return None;
            }
            Ok(Some(BeforeLogin::Login {
                name,
                mut password,
                rest,
            })) => match gate.login(&name, &mut password, tls.is_some(), journal) {
                Ok(grant) => return grant_to(channel, grant, rest, tls, journal),
                Err(reply) => reply,
            },
            Err(broken) => {
                journal.note(format!("greeter: {broken}; session ended").as_bytes());
                return None;
            }
        };
        answer(channel, &reply, journal)?;
        patience.answered(&reply);
    }
}

/// Answers a greeter that goes on; `None` when it does not, or is not what it was: helper would wait for room to answer in, for ever.
fn answer(
    channel: &mut Channel<BeforeLoginReply, BeforeLogin>,
    reply: &BeforeLoginReply,
    journal: &mut Journal,
) -> Option<()> {
    if !channel.is_taken() {
        journal.note(b"greeter asks without taking its answers; session ended");
        return None;
    }
    channel.send(reply).ok()?;
    (!reply.ends()).then_some(())
}

/// Tells the greeter that a login holds: it ends, or with TLS stays as the carrier of the control connection.
fn grant_to<'a>(
    channel: &mut Channel<BeforeLoginReply, BeforeLogin>,
    grant: Box<Grant<'a>>,
    rest: wire::Handover,
    tls: Option<Secured>,
    journal: &mut Journal,
) -> Option<Granted<'a>> {
    let (reply, worker) = if tls.is_some() {
        let pair = stream_pair().map_err(|error| {
            journal.note(format!("login ended: cannot start the session: {error}").as_bytes());
            let shown = "cannot start the session".into();
            let _ = channel.send(&BeforeLoginReply::Oops(shown));
        });
        let (theirs, worker) = pair.ok()?;
        (BeforeLoginReply::Carry { worker: theirs }, Some(worker))
    } else {
        (BeforeLoginReply::Granted, None)
    };
    // The greeter may be gone already; the worker will find out.
    let _ = channel.send(&reply);
    Some(Granted {
        grant,
        handover: Handover { rest, tls },
        worker,
    })
}

type Greeter = (Channel<BeforeLoginReply, BeforeLogin>, Pid);
type Worker = (Channel<AfterLoginReply, AfterLogin>, Pid);

#[inline(never)]
fn fork_greeter(
    prepared: &Prepared,
    client: &Client,
    empty: &OwnedFd,
    greeting: Greeting,
) -> std::io::Result<Greeter> {
    let parent = Pid::this();
    let mut keep = vec![client.socket.number(), empty.as_raw_fd()];
    keep.extend(client.secure.as_ref().map(|secure| secure.keys.as_raw_fd()));
    Channel::fork(&keep, |channel| {
        process::silence_session();
        let wanted = prepared.wanted();
        let fences = || {
            let carries = client.secure.is_some();
            if carries {
                // It may stay and carry the control connection.
                schedule::answer_first();
            }
            let nothing = Reach::Nothing { connects: false };
            wanted.fences(List::Greeter { carries }, nothing)
        };
        let plan = Plan {
            root: empty_root(prepared, empty),
            uid: prepared.nopriv().uid,
            gid: prepared.nopriv().gid,
            groups: &[],
            keep: &[],
            limits: worker::GREETER_LIMITS,
            isolation: wanted.isolation,
            parent: Some(parent),
            fences: &fences,
        };
        worker::greet(&prepared.loaded, client, empty, &plan, channel, greeting)
    })
}

#[inline(never)]
fn fork_worker(
    prepared: &Prepared,
    mut client: Client,
    verdict: worker::Verdict,
    handover: Handover,
    accounting: Option<&Accounting>,
) -> std::io::Result<Worker> {
    let (ours, theirs) = Channel::<AfterLoginReply, AfterLogin>::pair()?;
    let parent = Pid::this();
    let theirs = theirs.into_descriptor();
    let mut keep = vec![client.socket.number(), theirs.as_raw_fd()];
    // Without TLS on its control connection a session needs no signature.
    let secure = client.secure.take().filter(|_| handover.tls.is_some());
    keep.extend(secure.as_ref().map(|secure| secure.keys.as_raw_fd()));
    client.secure = secure;
    let mut given = Some(client);
    let forked = process::spawn_with(&keep, prepared.config(), |config| {
        process::silence_session();
        if accounting.is_some_and(|accounting| accounting.limit_worker().is_err()) {
            return 1;
        }
        let Some(client) = given.take() else { return 1 };
        worker::work(
            config,
            client,
            verdict,
            prepared.wanted(),
            parent,
            Channel::new(theirs),
            handover,
        )
    });
    if let (Err(_), Some(client)) = (&forked, given) {
        client.socket.last_word(BUSY);
    }
    Ok((ours, forked?))
}

/// Turns a connection away without a session: one write to the client, one line in the log. Called by master.
pub fn turn_away(config: &Config, client: &Parcel, peer: SocketAddr, refused: Refused) {
    client.last_word(refused.reply);
    match Journal::open(config, peer, Duration::ZERO) {
        Ok(mut journal) => journal.turned_away(refused.reason),
        Err(text) => log::error!("{text}"),
    }
}
