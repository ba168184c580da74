//! The dialogue before login: greets, takes USER and PASS, and asks helper; greeter.

mod host;

use super::control::{Control, Input};
use super::{Client, Greeting, commands, login_limit, options, relay};
use crate::config::{Config, HostName, Loaded};
use crate::ftp::line::Command;
use crate::sys::confine::Confined;
use crate::sys::title;
use crate::sys::{process, socket};
use crate::tls::{self, Asker, Made, Secure};
use crate::wire::{BeforeLogin, BeforeLoginReply, Channel, Handover, SESSION, Said};
use nix::sys::resource::Resource;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

/// Its resource limits: it makes no process, no file and hardly any memory.
pub const GREETER_LIMITS: &[(Resource, u64)] = &[
    (Resource::RLIMIT_NPROC, 0),
    (Resource::RLIMIT_FSIZE, 0),
    (Resource::RLIMIT_CORE, 0),
    (Resource::RLIMIT_NOFILE, 8),
    (Resource::RLIMIT_DATA, 64 << 20),
];

/// Commands that are none before login, per connection (reference §3.2); one more ends it.
const PATIENCE: u32 = 10;

struct Greeter<'a> {
    config: &'a Config,
    /// The settings of the server, and those of its hosts.
    base: &'a Loaded,
    /// What HOST has named.
    host: Option<HostName>,
    /// The name the client has asked for in TLS.
    asked: Option<HostName>,
    control: Control<BorrowedFd<'a>>,
    channel: Channel<BeforeLogin, BeforeLoginReply>,
    pending: Option<Vec<u8>>,
    strange: u32,
    utf8: bool,
    peer: IpAddr,
    local: SocketAddr,
    /// What TLS needs, until it is there.
    secure: Option<Secure>,
    /// PROT P was said, or an AUTH that means it.
    protect: bool,
    /// The way to the worker, once a login over TLS holds.
    worker: Option<OwnedFd>,
}

/// The session is over for this process, with this status.
struct Exit(i32);

/// Talks until a login holds or the client is turned away; gives the exit status.
pub fn talk(
    base: &Loaded,
    client: &Client,
    confined: Confined,
    channel: Channel<BeforeLogin, BeforeLoginReply>,
    greeting: Greeting,
) -> i32 {
    let secure = client.secure.as_ref().and_then(|secure| {
        let own = secure.share().ok();
        process::close_inherited(&secure.keys);
        own
    });
    let config = base.config.as_ref();
    let idle = config.idle_session_timeout;
    let mut control = Control::new(client.socket.lend(confined), &[], idle, confined);
    control.end_at(Instant::now().checked_add(login_limit(idle)));
    let mut greeter = Greeter {
        config,
        base,
        host: None,
        asked: None,
        control,
        channel,
        pending: None,
        strange: 0,
        utf8: false,
        peer: client.peer.ip(),
        local: client.local,
        secure,
        protect: false,
        worker: None,
    };
    // Where no root is changed there is none that must be empty.
    let writable = confined.root_is_writable() && !config.run_as_launching_user;
    let Exit(status) = match greeter.talk(greeting, writable) {
        Ok(never) => match never {},
        Err(exit) => exit,
    };
    end(greeter, status)
}

/// After the dialogue: ends, or with TLS carries what the worker and the client say.
fn end(greeter: Greeter<'_>, status: i32) -> i32 {
    let Greeter {
        config,
        mut control,
        channel,
        worker,
        peer,
        ..
    } = greeter;
    let Some(worker) = worker else {
        let _ = control.close(channel.as_fd());
        return status;
    };
    match control.into_tls() {
        Some((socket, tls)) => {
            title::set(config.setproctitle_enable, &format!("{peer}: TLS"));
            relay::carry(socket, tls, worker, channel)
        }
        None => status,
    }
}

impl Greeter<'_> {
    fn talk(&mut self, greeting: Greeting, writable: bool) -> Result<Infallible, Exit> {
        if self.config.ssl_enable && self.config.begins_with_tls(self.local) {
            self.secure()?;
            self.protect = true;
        }
        match greeting {
            Greeting::Oops(text) => return Err(self.oops(text.as_bytes())),
            Greeting::Banner(_) if writable => {
                return Err(
                    self.oops(b"vsftpd: refusing to run with writable root inside chroot()")
                );
            }
            Greeting::Banner(text) => self.welcome(text),
        }
        let ip = self.peer;
        title::set(
            self.config.setproctitle_enable,
            &format!("{ip}: not logged in"),
        );
        loop {
            let next = self.control.next(self.channel.as_fd());
            let line = match next.map_err(|error| self.broken(&error))? {
                Input::Line(line) => line,
                Input::End => return Err(Exit(1)),
                Input::TooLong => {
                    self.reply(500, b"Input line too long.");
                    return Err(Exit(1));
                }
                Input::TimedOut => {
                    self.reply(421, b"Timeout.");
                    return Err(Exit(1));
                }
            };
            let Some(command) = Command::parse(line.bytes()) else {
                self.log_line(Vec::new());
                continue;
            };
            self.log_line(commands::shown(&command));
            self.obey(&command)?;
        }
    }

    /// The connection is of no use any more. What was wrong with what came is said, and nothing else: clients come and go as they like.
    fn broken(&mut self, error: &io::Error) -> Exit {
        if error.kind() == io::ErrorKind::InvalidData {
            self.event(relay::note(error));
        }
        Exit(1)
    }

    fn obey(&mut self, command: &Command) -> Result<(), Exit> {
        match command.verb.as_slice() {
            b"USER" => self.user(&command.arg),
            b"PASS" => self.pass(&command.arg),
            b"QUIT" => {
                self.reply(221, b"Goodbye.");
                Err(Exit(0))
            }
            b"FEAT" => {
                self.features();
                Ok(())
            }
            b"OPTS" => {
                let (code, text) = options::utf8_reply(&command.arg);
                self.utf8 |= code == 200;
                self.reply(code, text);
                Ok(())
            }
            b"AUTH" if self.config.ssl_enable && !self.control.protected() => {
                self.auth(&command.arg)
            }
            b"PBSZ" if self.config.ssl_enable => {
                let (code, text) = commands::pbsz(self.control.protected());
                self.reply(code, text);
                Ok(())
            }
            b"PROT" if self.config.ssl_enable => {
                let protected = self.control.protected();
                let (code, text) = commands::prot(protected, &command.arg, &mut self.protect);
                self.reply(code, text);
                Ok(())
            }
            b"CCC" if self.control.protected() => {
                let (code, text) = commands::CCC;
                self.reply(code, text);
                Ok(())
            }
            b"HOST" => self.host(&command.arg),
            verb => match commands::foreign(verb) {
                Some(text) => {
                    self.wonder(verb);
                    self.reply(500, text);
                    Err(Exit(1))
                }
                None => {
                    self.bear()?;
                    self.reply(530, b"Please login with USER and PASS.");
                    Ok(())
                }
            },
        }
    }

    /// A client that takes this for a port of implicit TLS waits in vain.
    fn wonder(&mut self, verb: &[u8]) {
        if verb.starts_with(commands::TLS) {
            self.note(
                "the client begins with TLS: on this port it must ask for it (explicit, AUTH TLS); implicit_listen_port opens one that \
                 expects it from the first byte",
            );
        }
    }

    /// A command that is none here, or one that is said too often.
    fn bear(&mut self) -> Result<(), Exit> {
        self.strange = self.strange.saturating_add(1);
        if self.strange > PATIENCE {
            self.reply(500, b"Too many errors.");
            return Err(Exit(1));
        }
        Ok(())
    }

    fn features(&mut self) {
        self.dash(211, b"Features:");
        let offer = commands::Offer {
            config: self.config,
            local: self.local,
            session: None,
        };
        for line in commands::features(&offer) {
            self.raw(line.as_bytes());
        }
        self.reply(211, b"End");
    }

    /// The decisions of reference §3.2 that need nothing but the options; helper decides the rest, and all of it again.
    fn user(&mut self, name: &[u8]) -> Result<(), Exit> {
        self.pend(Some(name.to_vec()).filter(|name| !name.is_empty()));
        let anonymous =
            name.eq_ignore_ascii_case(b"ftp") || name.eq_ignore_ascii_case(b"anonymous");
        if !self.config.local_enable && !anonymous {
            self.refuse(b"This FTP server is anonymous only.");
            return Ok(());
        }
        self.encrypted(anonymous)?;
        if anonymous
            && self.config.anonymous_enable
            && self.control.protected()
            && !self.config.allow_anon_ssl
            && !self.config.force_anon_logins_ssl
        {
            self.refuse(b"Anonymous sessions may not use encryption.");
            return Ok(());
        }
        if self.config.asks_userlist() {
            let reply = self.ask(&BeforeLogin::User {
                name: name.to_vec(),
            })?;
            if !matches!(reply, BeforeLoginReply::Ask) {
                return self.conclude(reply);
            }
        }
        if anonymous && self.config.no_anon_password && self.config.anonymous_enable {
            return self.pass(b"<no password>");
        }
        self.reply(331, b"Please specify the password.");
        Ok(())
    }

    /// Ends the session of a client that should have asked for TLS: its password must not follow in clear. What it will be decides, not
    /// what its name looks like (reference §10, 1).
    fn encrypted(&mut self, anonymous: bool) -> Result<(), Exit> {
        if !self.config.ssl_enable || self.control.protected() {
            return Ok(());
        }
        if anonymous && self.config.anonymous_enable {
            if self.config.force_anon_logins_ssl {
                self.note("login refused: force_anon_logins_ssl=YES, and the client has not asked for TLS (explicit, AUTH TLS)");
                self.reply(530, b"Anonymous sessions must use encryption.");
                return Err(Exit(1));
            }
        } else if self.config.force_local_logins_ssl {
            self.note("login refused: force_local_logins_ssl=YES, and the client has not asked for TLS (explicit, AUTH TLS)");
            self.reply(530, b"Non-anonymous sessions must use encryption.");
            return Err(Exit(1));
        }
        Ok(())
    }

    /// AUTH (RFC 4217): the handshake follows the reply, and nothing said before it counts.
    fn auth(&mut self, kind: &[u8]) -> Result<(), Exit> {
        let protect = match kind.to_ascii_uppercase().as_slice() {
            b"TLS" | b"TLS-C" => false,
            b"SSL" | b"TLS-P" => true,
            _ => {
                self.reply(504, b"Unknown AUTH type.");
                return Ok(());
            }
        };
        if self.secure.is_none() {
            self.reply(431, b"TLS is not available now.");
            return Ok(());
        }
        if !self.control.rest().is_empty() {
            // A client waits for the 234. What stands behind AUTH is somebody else's, put there to be taken as said under TLS (B-090).
            self.note("commands behind AUTH in clear: somebody injects them; session ended");
            self.reply(421, b"Nothing may follow AUTH before its reply.");
            return Err(Exit(1));
        }
        self.reply(234, b"Proceed with negotiation.");
        self.pend(None);
        self.utf8 = false;
        self.secure()?;
        self.protect = protect;
        Ok(())
    }

    /// The handshake on the control connection.
    fn secure(&mut self) -> Result<(), Exit> {
        let sent = self.control.flush(self.channel.as_fd());
        sent.map_err(|_| Exit(1))?;
        let Some(secure) = self.secure.take() else {
            self.note("TLS is not available: the server has no keyholder for this session");
            return Err(Exit(1));
        };
        // Tickets and the first reply are two pieces: the second must not wait for the first one's acknowledgement.
        let _ = socket::at_once(self.control.fd());
        let asker = Arc::new(Asker::new(secure.keys));
        let made = Arc::new(Made::default());
        let connection = secure
            .settings
            .control(self.config, &asker, Arc::clone(&made))
            .and_then(|server| rustls::ServerConnection::new(Arc::new(server)));
        let mut connection = connection.map_err(|error| {
            self.note(&format!("TLS: {error}"));
            Exit(1)
        })?;
        // Before the work: a client that breaks off in the middle has cost as much.
        let begins = self.channel.send(&BeforeLogin::Securing);
        begins.map_err(|_| Exit(1))?;
        let deadline = Instant::now().checked_add(tls::HANDSHAKE).ok_or(Exit(1))?;
        let lifeline = Some(self.channel.as_fd());
        let done = tls::handshake(&mut connection, self.control.fd(), lifeline, deadline);
        if let Err(failure) = done {
            // The client has its alert: words in clear would be taken for TLS (reference §10, 14).
            self.note(&format!("TLS handshake failed: {failure}"));
            return Err(Exit(1));
        }
        asker.close();
        let asked = connection.server_name();
        self.asked = asked.and_then(|name| HostName::parse(name.as_bytes()));
        let other = self.asked.as_ref().zip(self.host.as_ref());
        if other.is_some_and(|(asked, host)| asked != host) {
            self.note("the client has named one host in HOST and another in TLS; session ended");
            return Err(Exit(1));
        }
        if self.config.debug_ssl {
            self.note(&tls::describe(&connection));
        }
        let shown = connection.peer_certificates();
        let certificate = shown.and_then(|chain| chain.first().map(|first| first.to_vec()));
        self.control.protect(connection);
        self.report(certificate, made.take())
    }

    /// Tells helper, and what the worker's data connections need.
    fn report(
        &mut self,
        certificate: Option<Vec<u8>>,
        sessions: Vec<tls::Entry>,
    ) -> Result<(), Exit> {
        let fits = |bytes: &[u8]| bytes.len() <= SESSION;
        if certificate.as_deref().is_some_and(|one| !fits(one)) {
            self.note("TLS: the client's certificate is too long");
            return Err(Exit(1));
        }
        let secured = BeforeLogin::Secured { certificate };
        self.channel.send(&secured).map_err(|_| Exit(1))?;
        for (name, value) in sessions {
            if !fits(&value) {
                self.note("TLS: the client's certificates are too long to be remembered; its data connections cannot resume");
                continue;
            }
            let value = Zeroizing::new(value);
            let resumable = BeforeLogin::Resumable { name, value };
            self.channel.send(&resumable).map_err(|_| Exit(1))?;
        }
        Ok(())
    }

    fn pass(&mut self, password: &[u8]) -> Result<(), Exit> {
        let Some(name) = self.pending.take() else {
            self.reply(503, b"Login with USER first.");
            return Ok(());
        };
        let password = Zeroizing::new(password.to_vec());
        let rest = Handover {
            unread: self.control.rest().to_vec(),
            utf8: self.utf8,
            protect: self.protect,
        };
        let reply = self.ask(&BeforeLogin::Login {
            name,
            password,
            rest,
        })?;
        self.conclude(reply)
    }

    fn conclude(&mut self, reply: BeforeLoginReply) -> Result<(), Exit> {
        match reply {
            BeforeLoginReply::Granted => {
                self.control.wipe();
                Err(Exit(0))
            }
            BeforeLoginReply::Carry { worker } => {
                self.control.wipe();
                self.worker = Some(worker);
                Err(Exit(0))
            }
            BeforeLoginReply::Ask
            | BeforeLoginReply::Host { banner: _ }
            | BeforeLoginReply::NoHost => Err(Exit(1)),
            BeforeLoginReply::Denied => {
                self.refuse(b"Permission denied.");
                Ok(())
            }
            BeforeLoginReply::Failed => {
                self.refuse(b"Login incorrect.");
                Ok(())
            }
            BeforeLoginReply::DeniedLast => {
                self.reply(530, b"Permission denied.");
                Err(Exit(1))
            }
            BeforeLoginReply::FailedLast => {
                self.reply(530, b"Login incorrect.");
                Err(Exit(1))
            }
            BeforeLoginReply::Oops(text) => Err(self.oops(&text)),
        }
    }

    /// Everything said so far is sent before helper is asked: it may take over with a worker.
    fn ask(&mut self, question: &BeforeLogin) -> Result<BeforeLoginReply, Exit> {
        let sent = self.control.flush(self.channel.as_fd());
        sent.map_err(|_| Exit(1))?;
        self.channel.send(question).map_err(|_| Exit(1))?;
        self.channel.receive().map_err(|_| Exit(1))?.ok_or(Exit(1))
    }

    fn oops(&mut self, text: &[u8]) -> Exit {
        let mut line = b"OOPS: ".to_vec();
        line.extend_from_slice(text);
        self.control.reply(500, &line);
        Exit(2)
    }

    /// Says so under the name, as the original's log does, and forgets the name.
    fn refuse(&mut self, text: &[u8]) {
        self.reply(530, text);
        self.pend(None);
    }

    fn pend(&mut self, name: Option<Vec<u8>>) {
        if self.config.log_ftp_protocol {
            self.event(Said::Pending(name.clone().unwrap_or_default()));
        }
        self.pending = name;
    }

    fn note(&mut self, text: &str) {
        self.event(Said::Note(text.as_bytes().to_vec()));
    }

    fn reply(&mut self, code: u16, text: &[u8]) {
        self.control.reply(code, text);
        self.log_reply(code, b" ", text);
    }

    fn dash(&mut self, code: u16, text: &[u8]) {
        self.control.dash(code, text);
        self.log_reply(code, b"-", text);
    }

    fn raw(&mut self, text: &[u8]) {
        self.control.raw(text);
        if self.config.log_ftp_protocol {
            self.event(Said::Response(text.to_vec()));
        }
    }

    fn log_reply(&mut self, code: u16, mark: &[u8], text: &[u8]) {
        if self.config.log_ftp_protocol {
            self.event(Said::Response(
                [code.to_string().as_bytes(), mark, text].concat(),
            ));
        }
    }

    /// Logs a line of the client; an empty one too, as the original does.
    fn log_line(&mut self, shown: Vec<u8>) {
        if self.config.log_ftp_protocol {
            self.event(Said::Command(shown));
        }
    }

    fn event(&mut self, said: Said) {
        // Without helper the session is about to end anyway.
        let _ = self.channel.send(&BeforeLogin::Said(said));
    }
}
