//! Data connections: PASV, EPSV, PORT, EPRT, and how one is opened while the client is still listened to; worker.

use super::control::Input;
use super::job::PATIENCE;
use super::plain;
use super::state::{Flow, Over, Session};
use crate::config::network::Networks;
use crate::ftp::address::{self, EprtError, Epsv};
use crate::ftp::line::{Command, Line};
use crate::sys::socket;
use crate::wire::{AfterLogin, AfterLoginReply, is_crowded};
use nix::poll::{PollFd, PollFlags};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// What the next transfer's connection will be.
#[derive(Debug)]
pub enum Data {
    /// Neither PASV nor PORT was said.
    None,
    /// A socket that waits for the client.
    Passive(OwnedFd),
    /// The client waits here.
    Active(SocketAddr),
}

/// What the client wants while it should wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nothing that changes anything.
    GoOn,
    /// ABOR.
    Abort,
}

/// PASV, P@SW.
pub fn pasv(session: &mut Session, _: &[u8]) -> Flow {
    let Some(port) = listen(session)? else {
        return Ok(());
    };
    match advertised(session) {
        Some(ip) => {
            let text = address::format_227(ip, port);
            session.reply(227, text.as_bytes());
        }
        None => {
            session.data = Data::None;
            session.note(
                "pasv_address is no IPv4 address: PASV cannot be answered; set it to numbers",
            );
            session.reply(425, b"Failed to establish connection.");
        }
    }
    Ok(())
}

/// EPSV (RFC 2428).
pub fn epsv(session: &mut Session, arg: &[u8]) -> Flow {
    let six = socket::canonical(session.local.ip()).is_ipv6();
    match address::parse_epsv(arg) {
        Epsv::All => {
            session.epsv_all = true;
            session.reply(200, b"EPSV ALL ok.");
            return Ok(());
        }
        Epsv::Any => {}
        Epsv::V4 if !six => {}
        // The original takes 1 on any and 2 on any IPv6 socket; both mean the family of this connection.
        Epsv::V4 | Epsv::V6 if session.local.is_ipv6() => {}
        Epsv::V4 | Epsv::V6 | Epsv::Other => {
            session.reply(522, b"Bad network protocol.");
            return Ok(());
        }
    }
    if let Some(port) = listen(session)? {
        let text = address::format_229(port);
        session.reply(229, text.as_bytes());
    }
    Ok(())
}

/// PORT (RFC 959).
pub fn port(session: &mut Session, arg: &[u8]) -> Flow {
    session.data = Data::None;
    match address::parse_port(arg).map(SocketAddr::from) {
        Ok(to) if acceptable(session, to) => {
            session.data = Data::Active(to);
            session.reply(200, b"PORT command successful. Consider using PASV.");
        }
        Ok(to) => {
            session.misdirected(to);
            session.reply(500, b"Illegal PORT command.");
        }
        Err(_) => session.reply(500, b"Illegal PORT command."),
    }
    Ok(())
}

/// EPRT (RFC 2428). After EPSV ALL the original still takes it; the RFC forbids that.
pub fn eprt(session: &mut Session, arg: &[u8]) -> Flow {
    session.data = Data::None;
    match address::parse_eprt(arg, session.local.is_ipv6()) {
        Ok(to) if acceptable(session, to) => {
            session.data = Data::Active(to);
            session.reply(200, b"EPRT command successful. Consider using EPSV.");
        }
        Ok(to) => {
            session.misdirected(to);
            session.reply(500, b"Illegal EPRT command.");
        }
        Err(EprtError::Protocol) => session.reply(500, b"Bad EPRT protocol."),
        Err(EprtError::Bad) => session.reply(500, b"Bad EPRT command."),
    }
    Ok(())
}

/// The client's own address and no privileged port; the address is free with `port_promiscuous`, the port never
/// (attacks B-033, B-041).
fn acceptable(session: &Session, to: SocketAddr) -> bool {
    let own = socket::canonical(to.ip()) == socket::canonical(session.peer.ip());
    (own || session.config.port_promiscuous) && to.port() >= 1024
}

/// Has helper make a listening socket; says 425 if there is none.
fn listen(session: &mut Session) -> Result<Option<u16>, Over> {
    session.data = Data::None;
    match ask(session, &AfterLogin::ListenPassive)? {
        AfterLoginReply::Listening { port, socket } => {
            session.data = Data::Passive(socket);
            Ok(Some(port))
        }
        AfterLoginReply::Unavailable => {
            session.reply(425, b"Failed to establish connection.");
            Ok(None)
        }
        AfterLoginReply::Connecting { socket: _ }
        | AfterLoginReply::Owned
        | AfterLoginReply::Ready => Err(Over(1)),
    }
}

/// The address of a 227 reply (reference §9.1); an IPv6 one cannot be said there and is shown as 0,0,0,0.
fn advertised(session: &Session) -> Option<Ipv4Addr> {
    if let Some(text) = session.config.pasv_address_by_network.as_deref()
        && let IpAddr::V4(client) = socket::canonical(session.peer.ip())
        && let Ok(networks) = Networks::parse(&text.to_string_lossy())
        && let Some(address) = networks.find(client)
    {
        return Some(address);
    }
    if let Some(text) = session.config.pasv_address.as_deref() {
        return std::str::from_utf8(text.as_bytes())
            .ok()?
            .trim()
            .parse()
            .ok();
    }
    Some(match socket::canonical(session.local.ip()) {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    })
}

/// How often a descriptor is tried to be sent, and how long apart.
const TRIES: u32 = 100;
const APART: Duration = Duration::from_millis(10);

/// Asks helper, and waits for its answer. Where the kernel does not take the descriptor, because processes of this user have too many on
/// their way (unix(7), ETOOMANYREFS), other sessions among them, it is as if helper could not do it.
///
/// # Errors
/// The session is over: helper has gone.
pub fn ask(session: &mut Session, question: &AfterLogin) -> Result<AfterLoginReply, Over> {
    let mut tries = TRIES;
    while let Err(broken) = session.channel.send(question) {
        if !is_crowded(&broken) {
            return Err(Over(1));
        }
        tries = tries.saturating_sub(1);
        if tries == 0 {
            session.note(
                "an upload was not given away: sessions of this user have too many on their way",
            );
            return Ok(AfterLoginReply::Unavailable);
        }
        std::thread::sleep(APART);
    }
    session
        .channel
        .receive()
        .map_err(|_| Over(1))?
        .ok_or(Over(1))
}

impl Session {
    /// Whether a transfer may begin; says why not (reference §3.4, "DC").
    pub fn data_ready(&mut self) -> bool {
        if matches!(self.data, Data::None) {
            self.reply(425, b"Use PORT or PASV first.");
            return false;
        }
        let (forced, option) = if self.anonymous() {
            (self.config.force_anon_data_ssl, "force_anon_data_ssl")
        } else {
            (self.config.force_local_data_ssl, "force_local_data_ssl")
        };
        // Protected is never served in clear, whatever has become of the means.
        let broken = self.protect && self.data_side.is_none();
        if self.config.ssl_enable && forced && !self.protect || broken {
            self.unprotected((!broken).then_some(option));
            self.reply(522, b"Data connections must be encrypted.");
            return false;
        }
        true
    }

    /// Opens the data connection: accepts or connects, within its timeout, while the client's commands are heard. What was
    /// set up is used up whatever happens. `None`: the reply has been said.
    ///
    /// # Errors
    /// The session is over.
    pub fn open_data(&mut self) -> Result<Option<OwnedFd>, Over> {
        match std::mem::replace(&mut self.data, Data::None) {
            Data::None => Ok(None),
            Data::Passive(listener) => self.accept_data(&listener),
            Data::Active(to) => self.connect_data(to),
        }
    }

    fn accept_data(&mut self, listener: &OwnedFd) -> Result<Option<OwnedFd>, Over> {
        let deadline = seconds(self.config.accept_timeout);
        // Most clients connect before they ask for anything.
        let mut accepted = socket::accept_data(listener.as_fd());
        if accepted
            .as_ref()
            .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
        {
            self.waited = true;
            match self.await_event(listener.as_fd(), PollFlags::POLLIN, deadline)? {
                Awaited::Ready => accepted = socket::accept_data(listener.as_fd()),
                Awaited::TimedOut => {
                    self.unmet(advertised(self));
                    self.reply(425, b"Failed to establish connection.");
                    return Ok(None);
                }
                Awaited::Told => return Ok(None),
            }
        }
        let own = socket::canonical(self.peer.ip());
        match accepted {
            Ok((connection, from))
                if self.config.pasv_promiscuous || socket::canonical(from.ip()) == own =>
            {
                Ok(Some(connection))
            }
            Ok((_, from)) => {
                self.note(&format!(
                    "refused a data connection from {}: it is not the client; pasv_promiscuous=YES takes those of any address",
                    from.ip()
                ));
                self.reply(425, b"Security: Bad IP connecting.");
                Ok(None)
            }
            Err(_) => {
                self.reply(425, b"Failed to establish connection.");
                Ok(None)
            }
        }
    }

    fn connect_data(&mut self, to: SocketAddr) -> Result<Option<OwnedFd>, Over> {
        let question = if socket::canonical(to.ip()) == socket::canonical(self.peer.ip()) {
            AfterLogin::ConnectActive { port: to.port() }
        } else {
            AfterLogin::ConnectForeign { to }
        };
        let connection = match ask(self, &question)? {
            AfterLoginReply::Connecting { socket } => socket,
            AfterLoginReply::Unavailable => {
                self.reply(425, b"Failed to establish connection.");
                return Ok(None);
            }
            AfterLoginReply::Listening { port: _, socket: _ }
            | AfterLoginReply::Owned
            | AfterLoginReply::Ready => {
                return Err(Over(1));
            }
        };
        let deadline = seconds(self.config.connect_timeout);
        let asked = Instant::now();
        let awaited = self.await_event(connection.as_fd(), PollFlags::POLLOUT, deadline)?;
        self.waited |= asked.elapsed() >= AFTER;
        let failed = match awaited {
            Awaited::Ready => match socket::connected(connection.as_fd()) {
                Ok(()) => return Ok(Some(connection)),
                Err(error) => error.to_string(),
            },
            Awaited::TimedOut => format!(
                "no answer within {} seconds (connect_timeout)",
                self.config.connect_timeout
            ),
            Awaited::Told => return Ok(None),
        };
        self.unanswered(&failed);
        self.reply(425, b"Failed to establish connection.");
        Ok(None)
    }

    /// Waits for one descriptor and the client at once.
    fn await_event(
        &mut self,
        fd: BorrowedFd<'_>,
        events: PollFlags,
        deadline: Option<Instant>,
    ) -> Result<Awaited, Over> {
        self.flush()?;
        let mut patience = Patience::until(deadline);
        loop {
            let seen = self.watch(Some((fd, events)), patience.look(self))?;
            if seen.ready {
                return Ok(Awaited::Ready);
            }
            if seen.spoken && self.hear(None)? == Wish::Abort {
                self.reply(426, b"Failure establishing connection.");
                self.reply(226, b"ABOR successful.");
                return Ok(Awaited::Told);
            }
            if patience.is_over() && patience.left {
                self.forsaken();
                self.reply(425, b"Failed to establish connection.");
                return Ok(Awaited::Told);
            }
            if patience.is_over() {
                return Ok(Awaited::TimedOut);
            }
        }
    }

    /// Waits for the client's next word, or its end, for as long as a kernel takes to close a killed client's connections.
    pub fn linger(&self) {
        let events = PollFlags::POLLIN | socket::PEER_ENDED;
        let mut fds = [PollFd::new(self.control.fd(), events)];
        if self.held.is_none() {
            let _ = socket::wait(&mut fds, Instant::now().checked_add(AFTER));
        }
    }

    /// Whether the client has closed the control connection without a QUIT.
    pub fn deserted(&mut self) -> bool {
        if !self.left() {
            return false;
        }
        // What it said before it left decides: somebody who pipes commands in ends with QUIT. An ABOR among it has its answer too.
        loop {
            match self.attend_lines(None) {
                Ok(Wish::Abort) => self.aborting = true,
                Ok(Wish::GoOn) if self.control.ended() => break,
                Ok(Wish::GoOn) => {}
                Err(Over(_)) => return true,
            }
            // Where that much was said, more has been than is known.
            if !self.control.has_room() {
                return false;
            }
            if self.control.fill().is_err() {
                return true;
            }
        }
        let held = self.held.as_ref().map(Line::bytes);
        let last = self.control.last_line().or(held);
        !last.is_some_and(|line| line.to_ascii_uppercase().starts_with(b"QUIT"))
    }

    /// Whether the client has closed its side of the control connection, whatever it has said before that and is not read yet.
    fn left(&self) -> bool {
        self.control.ended() || closed(self.control.fd())
    }

    /// Reads what the client says while something runs: NOOP, STAT and ABOR are answered, the first other line is held back
    /// until the end, and nothing is read beyond it.
    ///
    /// # Errors
    /// The client has gone.
    pub fn hear(&mut self, moved: Option<u64>) -> Result<Wish, Over> {
        if !self.control.abort_waits() {
            let filled = self.control.fill();
            if filled.is_err() || self.carrier_gone() {
                self.cut_off(filled.err());
                return Err(Over(1));
            }
        }
        self.attend_lines(moved)
    }

    /// The same with what has been received.
    fn attend_lines(&mut self, moved: Option<u64>) -> Result<Wish, Over> {
        let mut wish = Wish::GoOn;
        while self.held.is_none() && wish == Wish::GoOn {
            match self.control.waiting() {
                None => break,
                Some(Input::Line(line)) => wish = self.heed(line, moved),
                Some(Input::TooLong | Input::End | Input::TimedOut) => {
                    self.reply(500, b"Input line too long.");
                    return Err(Over(1));
                }
            }
        }
        self.flush()?;
        Ok(wish)
    }

    /// Whether the client has closed both its control connection and this one.
    pub fn has_left(&self, data: BorrowedFd<'_>) -> bool {
        self.left() && closed(data)
    }

    /// Whether the client has gone, or has closed its side of the control connection a while ago: what is read on its behalf for a reply
    /// need not end. `since` is when that was seen first.
    pub fn has_gone(&self, since: &mut Option<Instant>) -> bool {
        hung_up(self.control.fd())
            || self.left() && since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE
    }

    /// Whether who carries the control connection under TLS has gone with it: that is how a reset arrives here. A client that has ended its
    /// side only is carried on.
    fn carrier_gone(&self) -> bool {
        self.data_side.is_some() && self.control.ended() && hung_up(self.control.fd())
    }

    fn heed(&mut self, line: Line, moved: Option<u64>) -> Wish {
        let Some(command) = Command::parse(line.bytes()) else {
            self.log_line(Vec::new());
            return Wish::GoOn;
        };
        let free = super::commands::listed(self, &command.verb);
        // One that comes behind another is answered behind it. What ends a transfer is asked for no leave, as in the original.
        if command.is_abor() && !self.aborting {
            self.log_command(&command);
            return Wish::Abort;
        }
        match command.verb.as_slice() {
            b"NOOP" if free => {
                self.log_command(&command);
                self.reply(200, b"NOOP ok.");
            }
            b"STAT" if free && command.arg.is_empty() => {
                self.log_command(&command);
                plain::status(self, moved);
            }
            _ => self.held = Some(line),
        }
        Wish::GoOn
    }
}

/// Whether the peer of a connection has closed its side by now.
fn closed(fd: BorrowedFd<'_>) -> bool {
    shows(fd, socket::PEER_ENDED)
}

/// Whether nothing can go over a connection any more, in either direction.
pub fn hung_up(fd: BorrowedFd<'_>) -> bool {
    shows(fd, PollFlags::empty())
}

/// Whether one of these events is there now, or what poll(2) tells of unasked: POLLHUP, POLLERR.
fn shows(fd: BorrowedFd<'_>, events: PollFlags) -> bool {
    let mut fds = [PollFd::new(fd, events)];
    socket::wait(&mut fds, Some(Instant::now())).unwrap_or(true)
}

/// How long something is waited for on behalf of a client that has closed its side of the control connection: it has gone, or has said
/// all it has to say and its data connection is on its way (attacks B-051).
const MOMENT: Duration = Duration::from_millis(500);

/// How long after its data connection a killed client's control connection may end; a connection that is made sooner was not waited for.
const AFTER: Duration = Duration::from_millis(1);

/// Until when something is waited for.
pub struct Patience {
    deadline: Option<Instant>,
    left: bool,
}

impl Patience {
    /// Until then; for ever without.
    pub fn until(deadline: Option<Instant>) -> Self {
        Self {
            deadline,
            left: false,
        }
    }

    /// Looks whether the client is still there, and when to look again.
    pub fn look(&mut self, session: &Session) -> Option<Instant> {
        let soon = Instant::now().checked_add(MOMENT);
        let earlier = self.deadline.into_iter().chain(soon).min();
        if !self.left && session.left() {
            (self.left, self.deadline) = (true, earlier);
        }
        earlier
    }

    /// Whether it has been long enough.
    pub fn is_over(&self) -> bool {
        self.deadline.is_some_and(|at| Instant::now() >= at)
    }
}

/// How waiting for a data connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Ready,
    TimedOut,
    /// By an ABOR or the client's leaving: the reply has been said.
    Told,
}

/// A deadline so many seconds from now; 0 is none.
fn seconds(count: u32) -> Option<Instant> {
    (count > 0)
        .then(|| Instant::now().checked_add(Duration::from_secs(count.into())))
        .flatten()
}
