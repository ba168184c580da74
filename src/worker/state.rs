//! One logged-in session: what the client has set, and the loop that obeys commands; worker, control thread.

use super::brief::EndMark;
use super::control::{Control, Input};
use super::data::Data;
use super::inside::Jail;
use super::modern::Modern;
use super::mover::Mover;
use super::names::Names;
use super::{Client, Handover, Rules, Secured, Verdict, commands};
use crate::config::Config;
use crate::ftp::line::{Command, Line};
use crate::ftp::pattern::Pattern;
use crate::sys::socket;
use crate::sys::title;
use crate::sys::tree::{Tree, VirtualPath};
use crate::tls::{Secure, Side};
use crate::wire::{AfterLogin, AfterLoginReply, Change, Channel, Event, Outcome, Said};
use nix::poll::{PollFd, PollFlags};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// TYPE, which RFC 959 starts as ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Representation {
    /// TYPE A.
    Ascii,
    /// TYPE I.
    Binary,
}

/// The session is over, with this exit status (reference §0.1).
#[derive(Debug)]
pub struct Over(pub i32);

/// What a command handler gives back: to go on, or that the session is over.
pub type Flow = Result<(), Over>;

/// What [`Session::watch`] has seen; nothing, if the deadline passed first.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// What was waited for has come.
    pub ready: bool,
    /// The client has said something, or has gone.
    pub spoken: bool,
}

/// The session.
pub struct Session {
    /// The options.
    pub config: &'static Config,
    /// Who it is.
    pub verdict: Verdict,
    /// The client's address.
    pub peer: SocketAddr,
    /// The address it reached us by.
    pub local: SocketAddr,
    /// Sessions when it came, where they are counted.
    pub clients: Option<u32>,
    /// The control connection.
    pub control: Control<OwnedFd>,
    /// The channel to helper.
    pub channel: Channel<AfterLogin, AfterLoginReply>,
    /// All files.
    pub tree: Arc<Tree>,
    /// Where it started; `~`.
    pub start: VirtualPath,
    /// Where it is.
    pub cwd: VirtualPath,
    /// TYPE.
    pub representation: Representation,
    /// The offset of REST, until a transfer takes it.
    pub restart: u64,
    /// The path of RNFR with the directory it was said in, until RNTO.
    pub rename_from: Option<(VirtualPath, Vec<u8>)>,
    /// The data connection to come.
    pub data: Data,
    /// What protects data connections, if TLS protects the control connection.
    pub data_side: Option<Arc<Side>>,
    /// Whether data connections are to be protected: PROT P.
    pub protect: bool,
    /// EPSV ALL was said.
    pub epsv_all: bool,
    /// SITE UMASK's current value.
    pub umask: u32,
    /// The data thread, once there was a transfer.
    pub mover: Option<Mover>,
    /// Names for ids in listings.
    pub names: Arc<Mutex<Names>>,
    /// `deny_file`.
    pub deny: Option<Pattern>,
    /// Directories whose message was shown.
    pub seen: HashSet<(u64, u64)>,
    /// A line that must wait for the end of a transfer.
    pub held: Option<Line>,
    /// ABOR has cut the transfer that runs.
    pub aborting: bool,
    /// The transfer has waited for a lock or for its data connection: names may mean other files by now.
    pub waited: bool,
    /// What was set by commands the original has not.
    pub modern: Modern,
    /// Room for a small file on its way, once there was one.
    pub scratch: Vec<u8>,
    /// As suits the client.
    pub end_mark: EndMark,
    /// Reasons of refusals that the log has.
    pub told: HashSet<String>,
}

impl Session {
    /// A session that has just logged in.
    pub fn new(
        config: &'static Config,
        client: Client,
        verdict: Verdict,
        jail: Jail,
        channel: Channel<AfterLogin, AfterLoginReply>,
        handover: Handover,
    ) -> Self {
        let Jail {
            confined,
            tree,
            start,
        } = jail;
        let Handover { rest, tls } = handover;
        let protect = tls.is_some() && rest.protect;
        let data_side = data_side(config, client.secure, tls);
        let tree = Arc::new(tree);
        let umask = match verdict.rules {
            Rules::Local => config.local_umask,
            Rules::Anonymous => config.anon_umask,
        } & 0o777;
        let names = Names::new(config, Arc::clone(&tree), verdict.chroot);
        Self {
            control: Control::new(
                client.socket.open(confined),
                &rest.unread,
                config.idle_session_timeout,
                confined,
            ),
            peer: client.peer,
            local: client.local,
            clients: client.clients,
            cwd: start.clone(),
            representation: Representation::Ascii,
            restart: 0,
            rename_from: None,
            data: Data::None,
            data_side,
            protect,
            epsv_all: false,
            mover: None,
            seen: HashSet::new(),
            held: None,
            aborting: false,
            waited: false,
            modern: Modern::new(config, rest.utf8),
            scratch: Vec::new(),
            end_mark: EndMark::Joined,
            told: HashSet::new(),
            config,
            verdict,
            channel,
            tree,
            start,
            umask,
            names: Arc::new(Mutex::new(names)),
            deny: denied(config),
        }
    }

    /// Serves until the client leaves; gives the exit status.
    pub fn serve(mut self) -> i32 {
        self.set_umask(self.umask);
        // A client that has gone is noticed when it is read from.
        let _ = socket::control_options(self.control.fd());
        if self.tree.degraded() {
            self.note("this kernel or container has no openat2(2): paths are walked part by part, which is slower");
        }
        self.show_message(230);
        self.reply(230, b"Login successful.");
        let status = loop {
            match self.turn() {
                Ok(()) => {}
                Err(Over(status)) => break status,
            }
        };
        let _ = self.flush();
        // A thread in a call that does not end keeps open what it shares: helper and client are to see the end all the same.
        if self.mover.as_ref().is_some_and(Mover::is_busy) {
            socket::shut(self.control.fd());
            socket::shut(self.channel.as_fd());
        }
        // The process ends: giving its memory back piece by piece would only have the kernel copy pages for that.
        // A fuzz target goes on.
        if !cfg!(fuzzing) {
            std::mem::forget(self);
        }
        status
    }

    /// Shows in the process list what the session does (reference §4.7).
    pub fn show(&self, doing: &[u8]) {
        if self.config.setproctitle_enable {
            let (ip, name) = (self.peer.ip(), String::from_utf8_lossy(&self.verdict.name));
            let doing = String::from_utf8_lossy(doing);
            title::set(true, &format!("{ip}/{name}: {doing}"));
        }
    }

    /// One line: waits for it and obeys it.
    fn turn(&mut self) -> Flow {
        self.show(b"IDLE");
        let line = match self.held.take() {
            Some(line) => line,
            None => match self
                .control
                .next(self.channel.as_fd())
                .map_err(|_| Over(1))?
            {
                Input::Line(line) => line,
                Input::End => return Err(Over(1)),
                Input::TooLong => {
                    self.reply(500, b"Input line too long.");
                    return Err(Over(1));
                }
                Input::TimedOut => {
                    self.reply(421, b"Timeout.");
                    return Err(Over(1));
                }
            },
        };
        match Command::parse(line.bytes()) {
            Some(mut command) => {
                command.arg = self.modern.inward(std::mem::take(&mut command.arg));
                self.log_command(&command);
                self.show(&commands::shown(&command));
                commands::obey(self, &command)
            }
            // An empty line is nothing, unless only listed commands are allowed: it is none of them (reference §3.1).
            None => {
                self.log_line(Vec::new());
                if self.config.cmds_allowed.is_some() {
                    self.forbidden(b"an empty line", "cmds_allowed");
                    self.reply(550, b"Permission denied.");
                }
                Ok(())
            }
        }
    }

    /// Sends the replies said so far.
    ///
    /// # Errors
    /// The session is over: the client or helper is gone.
    pub fn flush(&mut self) -> Flow {
        self.control
            .flush(self.channel.as_fd())
            .map_err(|_| Over(1))
    }

    /// Waits for `what`, if anything, and for the client, while nothing of its is held back.
    ///
    /// # Errors
    /// The session is over: helper is gone.
    pub fn watch(
        &self,
        what: Option<(BorrowedFd<'_>, PollFlags)>,
        deadline: Option<Instant>,
    ) -> Result<Seen, Over> {
        let helper = PollFd::new(self.channel.as_fd(), PollFlags::empty());
        let listening = self.held.is_none() && !self.control.ended();
        // It may have come with the command it is to end.
        let aborting = self.held.is_none() && self.control.abort_waits();
        let deadline = if aborting {
            Some(Instant::now())
        } else {
            deadline
        };
        let client = PollFd::new(self.control.fd(), PollFlags::POLLIN);
        let (fd, events) = what.unwrap_or((self.channel.as_fd(), PollFlags::empty()));
        let mut fds = [PollFd::new(fd, events), helper, client];
        let watched = fds
            .get_mut(..if listening { 3 } else { 2 })
            .unwrap_or_default();
        socket::wait(watched, deadline).map_err(|_| Over(1))?;
        // `None` is an event nix has no name for: the peer's end is one (socket::PEER_ENDED).
        let happened = |at: usize| watched.get(at).is_some_and(|fd| fd.any() != Some(false));
        let ready = what.is_some() && happened(0);
        if happened(1) && !ready {
            return Err(Over(1));
        }
        Ok(Seen {
            ready,
            spoken: aborting || happened(2),
        })
    }

    /// Whether anonymous rules hold.
    pub fn anonymous(&self) -> bool {
        self.verdict.rules == Rules::Anonymous
    }

    /// The session's limit in bytes per second, if it has one.
    pub fn rate(&self) -> Option<u64> {
        let rate = if self.anonymous() {
            self.config.anon_max_rate
        } else {
            self.config.local_max_rate
        };
        (rate > 0).then_some(u64::from(rate))
    }

    /// Sets the mask new files and directories are made with.
    pub fn set_umask(&mut self, mask: u32) {
        self.umask = mask;
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask));
    }

    /// Says one reply line.
    pub fn reply(&mut self, code: u16, text: &[u8]) {
        self.control.reply(code, &self.modern.said(text));
        self.log_reply(code, b" ", text);
    }

    /// Says one line of a reply that goes on.
    pub fn dash(&mut self, code: u16, text: &[u8]) {
        self.control.dash(code, &self.modern.outward(text));
        self.log_reply(code, b"-", text);
    }

    /// Says a line of a reply that goes on, as it is, and logs it.
    pub fn raw(&mut self, text: &[u8]) {
        self.control.raw(&self.modern.outward(text));
        self.log_raw(text);
    }

    /// Logs a line of a reply that goes on.
    pub fn log_raw(&mut self, text: &[u8]) {
        if self.config.log_ftp_protocol {
            self.event(Event::Said(Said::Response(text.to_vec())));
        }
    }

    fn log_reply(&mut self, code: u16, mark: &[u8], text: &[u8]) {
        if self.config.log_ftp_protocol {
            self.event(Event::Said(Said::Response(
                [code.to_string().as_bytes(), mark, text].concat(),
            )));
        }
    }

    /// Logs a command line where `log_ftp_protocol` asks for it.
    pub fn log_command(&mut self, command: &Command) {
        self.log_line(commands::shown(command));
    }

    /// Logs a line of the client as it is shown; an empty one too, as the original does.
    pub fn log_line(&mut self, shown: Vec<u8>) {
        if self.config.log_ftp_protocol {
            self.event(Event::Said(Said::Command(shown)));
        }
    }

    /// Reports an event to helper.
    pub fn event(&mut self, event: Event) {
        // Without helper this process is about to be killed.
        let _ = self.channel.send(&AfterLogin::Event(event));
    }

    /// Reports a change to the tree.
    pub fn changed(&mut self, change: Change, outcome: Outcome, text: Vec<u8>) {
        if !self.verdict.recorded {
            return;
        }
        self.event(Event::Changed {
            change,
            outcome,
            text,
        });
    }

    /// Tells the administrator something the client is not told.
    pub fn note(&mut self, text: &str) {
        self.event(Event::Said(Said::Note(text.as_bytes().to_vec())));
    }

    /// The path of an argument as logs show it: absolute as the client sees it, not normalised (reference §7.2).
    pub fn log_path(&self, arg: &[u8]) -> Vec<u8> {
        self.cwd.join(arg)
    }

    /// `~` and `~user` of an argument, expanded (reference §8.7).
    pub fn expand(&mut self, arg: &[u8]) -> Vec<u8> {
        let Some(rest) = arg.strip_prefix(b"~") else {
            return arg.to_vec();
        };
        if rest.is_empty() || rest.starts_with(b"/") {
            return [self.start.as_bytes(), rest].concat();
        }
        if !self.config.tilde_user_enable {
            return arg.to_vec();
        }
        let end = rest
            .iter()
            .position(|byte| *byte == b'/')
            .unwrap_or(rest.len());
        let (user, tail) = rest.split_at_checked(end).unwrap_or((rest, b""));
        let home = self
            .names
            .lock()
            .ok()
            .and_then(|mut names| names.home(user));
        home.map_or_else(|| arg.to_vec(), |home| [home.as_slice(), tail].concat())
    }

    /// Whether `deny_file` forbids the argument; the reply is said if so. The glob sees where the path leads, so that no
    /// other spelling of it and no link gets around (CVE-2015-1419, attacks B-009).
    pub fn denied(&mut self, arg: &[u8]) -> bool {
        let Some(pattern) = &self.deny else {
            return false;
        };
        let path = self.tree.canonical(&self.cwd, arg);
        let denied = pattern.denies(arg, path.as_deref());
        if denied {
            self.forbidden(arg, "deny_file");
            self.reply(550, b"Permission denied.");
        }
        denied
    }
}

/// `deny_file`.
fn denied(config: &Config) -> Option<Pattern> {
    let text = config.deny_file.as_deref()?;
    Some(Pattern::new(text.as_bytes()))
}

/// What protects data connections; nothing for a session without TLS, whose channel to the keyholder is closed with that.
fn data_side(config: &Config, secure: Option<Secure>, tls: Option<Secured>) -> Option<Arc<Side>> {
    let Secured {
        certificate,
        sessions,
    } = tls?;
    let side = Side::new(config, secure?, sessions, certificate);
    // The same settings have just served the control connection.
    side.ok().map(Arc::new)
}
