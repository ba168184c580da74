//! The dialogue before login: greets, takes USER and PASS, and asks helper; greeter.

use super::control::{Control, Input};
use super::{Client, Greeting, commands, options};
use crate::config::Config;
use crate::ftp::line::Command;
use crate::sys::confine::{self, Plan};
use crate::sys::process;
use crate::sys::title;
use crate::wire::{BeforeLogin, BeforeLoginReply, Channel, Event, Handover};
use nix::sys::resource::Resource;
use std::convert::Infallible;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
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

/// How long a client has to log in, whatever it says: three times `idle_session_timeout` for three commands, but not more than five
/// minutes unless a single one may take longer (attacks B-102).
fn login_limit(idle: u32) -> Duration {
    const MOST: u32 = 300;
    let seconds = match idle {
        0 => MOST,
        idle => idle.saturating_mul(3).min(MOST).max(idle),
    };
    Duration::from_secs(seconds.into())
}

struct Greeter<'a> {
    config: &'a Config,
    control: Control<BorrowedFd<'a>>,
    channel: Channel<BeforeLogin, BeforeLoginReply>,
    pending: Option<Vec<u8>>,
    strange: u32,
    utf8: bool,
    peer: IpAddr,
}

/// The session is over for this process, with this status.
struct Exit(i32);

/// Gives up everything, then talks until a login holds or the client is turned away; gives the exit status.
pub fn greet(
    config: &Config,
    client: &Client,
    empty: &OwnedFd,
    plan: &Plan<'_>,
    channel: Channel<BeforeLogin, BeforeLoginReply>,
    greeting: Greeting,
) -> i32 {
    let confined = match confine::confine(plan) {
        Ok(confined) => confined,
        Err(failure) => {
            client
                .socket
                .last_word(b"500 OOPS: cannot start the session\r\n");
            let mut channel = channel;
            let _ = channel.send(&BeforeLogin::Event(Event::Note(
                failure.to_string().into_bytes(),
            )));
            return 2;
        }
    };
    // The empty directory has been entered: nothing names it any more.
    process::close_inherited(empty);
    let idle = config.idle_session_timeout;
    let mut control = Control::new(client.socket.lend(confined), &[], idle, confined);
    control.end_at(Instant::now().checked_add(login_limit(idle)));
    let mut greeter = Greeter {
        config,
        control,
        channel,
        pending: None,
        strange: 0,
        utf8: false,
        peer: client.peer.ip(),
    };
    // Where no root is changed there is none that must be empty.
    let writable = confined.root_is_writable() && !config.run_as_launching_user;
    let Exit(status) = match greeter.talk(greeting, writable) {
        Ok(never) => match never {},
        Err(exit) => exit,
    };
    let _ = greeter.control.flush(greeter.channel.as_fd());
    status
}

impl Greeter<'_> {
    fn talk(&mut self, greeting: Greeting, writable: bool) -> Result<Infallible, Exit> {
        match greeting {
            Greeting::Oops(text) => return Err(self.oops(text.as_bytes())),
            Greeting::Banner(_) if writable => {
                return Err(
                    self.oops(b"vsftpd: refusing to run with writable root inside chroot()")
                );
            }
            Greeting::Banner(Some(text)) => {
                for line in text.split(|byte| *byte == b'\n') {
                    let line = line.strip_suffix(b"\r").unwrap_or(line);
                    self.dash(220, line);
                }
                self.reply(220, b"");
            }
            Greeting::Banner(None) => {
                let banner = self
                    .config
                    .ftpd_banner
                    .as_deref()
                    .map(std::os::unix::ffi::OsStrExt::as_bytes);
                self.reply(220, banner.unwrap_or(b"(vsFTPd 3.0.5)"));
            }
        }
        let ip = self.peer;
        title::set(
            self.config.setproctitle_enable,
            &format!("{ip}: not logged in"),
        );
        loop {
            let next = self.control.next(self.channel.as_fd());
            let line = match next.map_err(|_| Exit(1))? {
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
                continue;
            };
            self.log_command(&command);
            self.obey(&command)?;
        }
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
                self.dash(211, b"Features:");
                let offer = commands::Offer {
                    config: self.config,
                    session: None,
                };
                for line in commands::features(&offer) {
                    self.raw(line.as_bytes());
                }
                self.reply(211, b"End");
                Ok(())
            }
            b"OPTS" => {
                let (code, text) = options::utf8_reply(&command.arg);
                self.utf8 |= code == 200;
                self.reply(code, text);
                Ok(())
            }
            verb if commands::is_http(verb) => {
                self.reply(500, b"HTTP protocol commands not allowed.");
                Err(Exit(1))
            }
            _ => {
                self.strange = self.strange.saturating_add(1);
                if self.strange > PATIENCE {
                    self.reply(500, b"Too many errors.");
                    return Err(Exit(1));
                }
                self.reply(530, b"Please login with USER and PASS.");
                Ok(())
            }
        }
    }

    /// The decisions of reference §3.2 that need nothing but the options; helper decides the rest, and all of it again.
    fn user(&mut self, name: &[u8]) -> Result<(), Exit> {
        self.pend(None);
        let anonymous =
            name.eq_ignore_ascii_case(b"ftp") || name.eq_ignore_ascii_case(b"anonymous");
        if !self.config.local_enable && !anonymous {
            self.reply(530, b"This FTP server is anonymous only.");
            return Ok(());
        }
        if self.config.userlist_enable && self.config.local_enable {
            let reply = self.ask(&BeforeLogin::User {
                name: name.to_vec(),
            })?;
            if reply != BeforeLoginReply::Ask {
                return self.conclude(reply);
            }
        }
        if anonymous && self.config.no_anon_password && self.config.anonymous_enable {
            self.pend(Some(name.to_vec()));
            return self.pass(b"<no password>");
        }
        self.pend(Some(name.to_vec()).filter(|name| !name.is_empty()));
        self.reply(331, b"Please specify the password.");
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
        };
        let reply = self.ask(&BeforeLogin::Login {
            name,
            password,
            rest,
        })?;
        self.conclude(reply)
    }

    fn conclude(&mut self, reply: BeforeLoginReply) -> Result<(), Exit> {
        self.pend(None);
        match reply {
            BeforeLoginReply::Granted => {
                self.control.wipe();
                Err(Exit(0))
            }
            BeforeLoginReply::Ask => Err(Exit(1)),
            BeforeLoginReply::Denied => {
                self.reply(530, b"Permission denied.");
                Ok(())
            }
            BeforeLoginReply::Failed => {
                self.reply(530, b"Login incorrect.");
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

    fn pend(&mut self, name: Option<Vec<u8>>) {
        if self.config.log_ftp_protocol {
            self.event(Event::Pending(name.clone().unwrap_or_default()));
        }
        self.pending = name;
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
            self.event(Event::Response(text.to_vec()));
        }
    }

    fn log_reply(&mut self, code: u16, mark: &[u8], text: &[u8]) {
        if self.config.log_ftp_protocol {
            self.event(Event::Response(
                [code.to_string().as_bytes(), mark, text].concat(),
            ));
        }
    }

    fn log_command(&mut self, command: &Command) {
        if self.config.log_ftp_protocol {
            self.event(Event::Command(commands::shown(command)));
        }
    }

    fn event(&mut self, event: Event) {
        // Without helper the session is about to end anyway.
        let _ = self.channel.send(&BeforeLogin::Event(event));
    }
}
