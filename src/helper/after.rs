//! What helper does for a worker: data sockets and log lines, nothing else, until the session's processes have ended; runs with the
//! privileges left after login.

use super::ask::Accounting;
use super::ends::{LAST_WORD, note_death};
use super::journal::Journal;
use super::ports::source;
use super::prepared::Held;
use super::pulse::Pulse;
use super::{Over, heir, name_process};
use crate::config::{Config, ports};
use crate::sys::memory;
use crate::sys::process;
use crate::sys::socket::{self, Fuse};
use crate::wire::{
    AfterLogin, AfterLoginReply, BeforeLogin, BeforeLoginReply, Channel, Event, Said, is_crowded,
};
use crate::worker::Class;
use nix::poll::{PollFd, PollFlags};
use nix::unistd::{Pid, Uid};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a worker may take to enter its directory: `idle_session_timeout`, but not more than this,
const ENTERING: Duration = Duration::from_secs(60);

/// and not less than this: a busy machine is no file system that hangs.
const BUSY: Duration = Duration::from_secs(5);

/// The worker ends when this process has, which therefore waits for nobody: auth ends by itself.
fn abandon(accounting: Option<Accounting>, fuse: Option<Fuse>) -> Over {
    if let Some(fuse) = fuse {
        fuse.blow();
    }
    std::mem::forget(accounting);
    Over::Broken
}

impl Accounting {
    /// Waits for a word on `channel`, but not longer than `patience`: whether there is one. `None` when auth has gone first: what goes on
    /// then would be in no record.
    pub fn holds_until(&self, channel: BorrowedFd<'_>, patience: Duration) -> Option<bool> {
        let mut fds = [
            PollFd::new(self.channel.as_ref()?.as_fd(), PollFlags::POLLIN),
            PollFd::new(channel, PollFlags::POLLIN),
        ];
        let spoken = socket::wait(&mut fds, Instant::now().checked_add(patience));
        // Auth says nothing any more: whatever comes from there is its end.
        let stays = fds.first().is_some_and(|own| own.any() != Some(true));
        spoken.ok().filter(|_| stays)
    }
}

/// A child, and what its end is waited for with, made while there was the right to.
type Watched = (Pid, Option<OwnedFd>);

/// A greeter that carries the control connection, and its channel.
pub type Carrier = (Channel<BeforeLoginReply, BeforeLogin>, Watched);

/// A session whose worker has been forked, and whose helper has given up its rights.
pub struct After<'a> {
    /// The settings of this user.
    pub prepared: Held<'a>,
    /// The user's name, as ps(1) shows it.
    pub name: String,
    /// What the user is.
    pub class: Class,
    /// The client's address.
    pub peer: SocketAddr,
    /// The address it reached us by.
    pub local: SocketAddr,
    /// Whom the worker runs as.
    pub session: Uid,
    /// Whom uploads are given to, if `chown_uploads`.
    pub heir: Option<Uid>,
    /// The worker.
    pub worker: Watched,
    /// A greeter that stays and ends TLS.
    pub carrier: Option<Carrier>,
    /// The hold on an auth that accounts for the session.
    pub accounting: Option<Accounting>,
    /// What ends the connection.
    pub fuse: Option<Fuse>,
    /// There is no master to end what is left of a session.
    pub alone: bool,
}

impl After<'_> {
    /// Serves the worker until the session is over and its processes have ended.
    pub fn see_through(
        self,
        mut channel: Channel<AfterLoginReply, AfterLogin>,
        journal: &mut Journal,
    ) -> Result<(), Over> {
        let Self {
            prepared,
            class,
            accounting,
            carrier,
            mut fuse,
            ..
        } = self;
        journal.settled(class, prepared.config());
        name_process(&prepared, journal, &format!("/{}: helper", self.name));
        // One that is gone is noticed next.
        let _ = channel.send(&AfterLoginReply::Ready);
        let facts = Facts {
            config: prepared.config(),
            peer: self.peer,
            local: self.local,
            session: self.session,
            heir: self.heir,
            worker: self.worker.0,
            alone: self.alone,
        };
        if serve(&facts, channel, accounting.as_ref(), &mut fuse, journal) == End::Broken {
            return Err(abandon(accounting, fuse));
        }
        if !has_ended("worker", &self.worker, journal) {
            journal.note(b"worker has closed its channel and goes on; session ended");
            return Err(abandon(accounting, fuse));
        }
        if let Some((channel, greeter)) = carrier {
            last_note(channel, journal);
            if !has_ended("greeter", &greeter, journal) {
                return Err(abandon(accounting, fuse));
            }
        }
        Ok(())
    }
}

/// What helper knows of a session by itself, and holds against every request.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The options that hold for it.
    pub config: &'a Config,
    /// The client's address.
    pub peer: SocketAddr,
    /// The address it reached us by.
    pub local: SocketAddr,
    /// Whom the worker runs as.
    pub session: Uid,
    /// Whom uploads are given to, if `chown_uploads`.
    pub heir: Option<Uid>,
    /// The worker.
    pub worker: Pid,
    /// There is no master to end what is left of a session.
    pub alone: bool,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The worker has gone.
    Gone,
    /// The worker may still be there, and must not go on.
    Broken,
}

/// Answers until the worker has gone, does nothing any more or has said something that is no message, or the auth that accounts for the session
/// is gone. `fuse` is for a worker that does not arrive, and for one that nobody else could end.
pub fn serve(
    facts: &Facts<'_>,
    mut channel: Channel<AfterLoginReply, AfterLogin>,
    accounting: Option<&Accounting>,
    fuse: &mut Option<Fuse>,
    journal: &mut Journal,
) -> End {
    let config = facts.config;
    let here = socket::at_port(facts.local, 0);
    // What follows needs less of it than the login did. What the heap has free is about as much as the next message will need.
    memory::give_back_stack();
    let mut vigil = Vigil::begin(facts, channel.as_fd());
    loop {
        let heard = match vigil.hear(&mut channel, accounting, fuse, journal) {
            Ok(heard) => heard,
            Err(end) => return end,
        };
        let reply = match heard {
            // Whose session it is has been decided.
            AfterLogin::Event(Event::Said(Said::Pending(_))) => {
                journal.note(b"worker named another user; session ended");
                return End::Broken;
            }
            AfterLogin::Event(event) => {
                journal.event(event);
                continue;
            }
            AfterLogin::Arrived => continue,
            AfterLogin::ListenPassive => listen(config, here, journal),
            AfterLogin::ConnectActive { port } => {
                let to = socket::at_port(facts.peer, port);
                connect(config, here, to, journal)
            }
            AfterLogin::ConnectForeign { to } if config.port_promiscuous => {
                connect(config, here, to, journal)
            }
            AfterLogin::ConnectForeign { to: _ } => {
                journal.note(b"worker asked for a foreign connection without port_promiscuous; session ended");
                return End::Broken;
            }
            AfterLogin::Chown { file } => {
                match facts.heir {
                    Some(heir) => bequeath(&file, facts.session, heir, journal),
                    None => {
                        journal.note(b"worker asked to give a file away without chown_uploads; session ended");
                        return End::Broken;
                    }
                }
            }
        };
        if let Err(end) = answer(&mut channel, &reply, journal) {
            return end;
        }
    }
}

/// The watch over a worker that says nothing, be it on its way to its directory or there.
struct Vigil {
    patience: Duration,
    pulse: Pulse,
    arrived: bool,
    alone: bool,
}

impl Vigil {
    /// Of the worker at the other end of this channel.
    fn begin(facts: &Facts<'_>, channel: BorrowedFd<'_>) -> Self {
        let patience = match facts.config.idle_session_timeout {
            0 => ENTERING,
            seconds => Duration::from_secs(seconds.into()).clamp(BUSY, ENTERING),
        };
        // One that is not looked after is served all the same.
        let _ = socket::patient(channel, patience);
        Self {
            patience,
            pulse: Pulse::new(facts.worker, facts.config),
            arrived: false,
            alone: facts.alone,
        }
    }

    /// The worker's next word, waited for; else how the session ends.
    fn hear(
        &mut self,
        channel: &mut Channel<AfterLoginReply, AfterLogin>,
        accounting: Option<&Accounting>,
        fuse: &mut Option<Fuse>,
        journal: &mut Journal,
    ) -> Result<AfterLogin, End> {
        loop {
            let held = |own: &Accounting| own.holds_until(channel.as_fd(), self.patience);
            let heard = match accounting.map_or(Some(true), held) {
                Some(true) => channel.receive(),
                Some(false) => Err(ErrorKind::WouldBlock.into()),
                None => {
                    let text =
                        b"the process that accounts for this session has ended; session ended";
                    journal.note(text);
                    return Err(End::Broken);
                }
            };
            match heard {
                Ok(Some(word)) => {
                    // Whatever it says first, it says then.
                    if !std::mem::replace(&mut self.arrived, true) {
                        fuse.take_if(|_| !self.alone);
                    }
                    return Ok(word);
                }
                Ok(None) => return Err(End::Gone),
                Err(silent) if silent.kind() == ErrorKind::WouldBlock => {
                    if let Some(fuse) = fuse.take_if(|_| !self.arrived) {
                        turn_back(fuse, journal);
                    }
                    if self.pulse.is_gone() {
                        journal.note(b"worker does nothing any more: a file or directory does not answer, its file system hangs; session ended");
                        return Err(End::Broken);
                    }
                }
                Err(broken) => {
                    journal.note(format!("worker: {broken}; session ended").as_bytes());
                    return Err(End::Broken);
                }
            }
        }
    }
}

/// The worker has not arrived in its directory. A file system that does not answer holds it there, perhaps beyond any signal: its client is
/// told, and the session goes on to count until that ends (attacks B-003).
fn turn_back(fuse: Fuse, journal: &mut Journal) {
    journal
        .note(b"login ended: the directory of this login does not answer; its file system hangs");
    fuse.blow_with(b"500 OOPS: cannot change directory\r\n");
}

/// Why the control connection has broken, if its carrier has said that at its end. It is heard once, and no more.
fn last_note(mut channel: Channel<BeforeLoginReply, BeforeLogin>, journal: &mut Journal) {
    let said = socket::readable(channel.as_fd(), Some(Instant::now())).unwrap_or(false);
    if said && let Ok(Some(BeforeLogin::Said(Said::Note(text)))) = channel.receive() {
        journal.note(&text);
    }
}

/// Waits for a process that has nothing left to do; false: it goes on all the same.
fn has_ended(who: &str, (process, watch): &Watched, journal: &mut Journal) -> bool {
    let until = Instant::now().checked_add(LAST_WORD);
    match process::wait_until(*process, watch.as_ref(), until) {
        Ok(Some(ended)) => note_death(who, Ok(ended), journal),
        Ok(None) => return false,
        Err(_) => {}
    }
    true
}

/// Sends an answer; where the kernel does not take the descriptor in it, the worker is told that there is none.
///
/// Each worker may have one answer on its way, no more: what is on its way between processes the kernel counts by user, all helpers are one,
/// and there are no data connections for anybody once they have as many as one may have open (unix(7), ETOOMANYREFS).
fn answer(
    channel: &mut Channel<AfterLoginReply, AfterLogin>,
    reply: &AfterLoginReply,
    journal: &mut Journal,
) -> Result<(), End> {
    if !channel.is_taken() {
        journal.note(b"worker asks without taking its answers; session ended");
        return Err(End::Broken);
    }
    let sent = match channel.send(reply) {
        Err(why) if is_crowded(&why) => {
            journal.note(
                format!("cannot hand over a data connection: {why}: processes of this user have too many on their way")
                    .as_bytes(),
            );
            channel.send(&AfterLoginReply::Unavailable)
        }
        other => other,
    };
    sent.map_err(|_| End::Gone)
}

fn bequeath(file: &OwnedFd, session: Uid, heir: Uid, journal: &mut Journal) -> AfterLoginReply {
    match heir::give(file, session, heir) {
        Ok(()) => AfterLoginReply::Owned,
        Err(why) => {
            journal.note(format!("an upload was not given to uid {heir}: {why}").as_bytes());
            AfterLoginReply::Unavailable
        }
    }
}

fn listen(config: &Config, here: SocketAddr, journal: &mut Journal) -> AfterLoginReply {
    let range = ports::passive(config);
    match socket::listen_data(here, range.clone()) {
        Ok(Some((socket, port))) => match ports::advertised(config, port) {
            Some(port) => AfterLoginReply::Listening { port, socket },
            None => {
                let text =
                    format!("port {port} has no counterpart from pasv_advertise_min_port on");
                journal.note(text.as_bytes());
                AfterLoginReply::Unavailable
            }
        },
        Ok(None) => {
            let (first, last) = (range.start(), range.end());
            journal.note(
                format!("no passive port is free between {first} and {last}: widen pasv_min_port and pasv_max_port")
                    .as_bytes(),
            );
            AfterLoginReply::Unavailable
        }
        Err(error) => {
            journal.note(format!("cannot listen for a data connection: {error}").as_bytes());
            AfterLoginReply::Unavailable
        }
    }
}

fn connect(
    config: &Config,
    here: SocketAddr,
    to: SocketAddr,
    journal: &mut Journal,
) -> AfterLoginReply {
    // Privileged ports are other services': never a data connection, promiscuous or not (attacks B-033, B-041).
    if to.port() < 1024 {
        journal.note(
            format!(
                "refused a data connection to the privileged port {}",
                to.port()
            )
            .as_bytes(),
        );
        return AfterLoginReply::Unavailable;
    }
    let from = source(config, here);
    match socket::connect_data(from, to) {
        Ok(socket) => AfterLoginReply::Connecting { socket },
        Err(error) => {
            let low = from.port() != 0 && error.kind() == ErrorKind::PermissionDenied;
            let cure = if low {
                "; it takes CAP_NET_BIND_SERVICE, or connect_from_port_20=NO"
            } else {
                ""
            };
            let text = format!(
                "cannot connect from port {} to {to}: {error}{cure}",
                from.port()
            );
            journal.note(text.as_bytes());
            AfterLoginReply::Unavailable
        }
    }
}
