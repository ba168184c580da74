//! The processes that speak with the client: greeter before login, worker after it; both have given up every privilege.

mod brief;
mod change;
mod commands;
mod control;
mod data;
mod digest;
mod facts;
#[cfg(fuzzing)]
#[path = "../../tests/fuzz/session.rs"]
pub mod fuzz;
mod greeter;
mod guard;
mod inside;
mod jail;
mod job;
mod leftover;
mod line;
mod list;
mod lock;
mod modern;
mod mover;
mod names;
mod navigate;
mod options;
mod pace;
mod plain;
mod publish;
mod relay;
mod rights;
mod site;
mod source;
mod space;
mod stamp;
mod state;
mod transfer;
mod why;
mod zip;

pub use greeter::GREETER_LIMITS;
pub use rights::{asks_the_host, rights};

use crate::config::{Config, Loaded};
use crate::sys::confine::{self, Plan, Wanted};
use crate::sys::heap;
use crate::sys::process;
use crate::sys::socket::Parcel;
use crate::tls::{Entry, Secure};
use crate::wire::{
    self, AfterLogin, AfterLoginReply, BeforeLogin, BeforeLoginReply, Channel, Event, Said,
};
use nix::unistd::{Gid, Pid, Uid};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The client, as the processes of its session know it.
#[derive(Debug)]
pub struct Client {
    /// Its control connection.
    pub socket: Parcel,
    /// Its address.
    pub peer: SocketAddr,
    /// The address it reached us by.
    pub local: SocketAddr,
    /// How many sessions there were when it came, this one included; none when nobody counts.
    pub clients: Option<u32>,
    /// What TLS needs, if there is TLS.
    pub secure: Option<Secure>,
}

/// What the worker goes on from.
#[derive(Debug)]
pub struct Handover {
    /// What the greeter leaves to it.
    pub rest: wire::Handover,
    /// The TLS of the control connection, if it has any.
    pub tls: Option<Secured>,
}

/// What data connections must know of the control connection's TLS.
#[derive(Debug, Default)]
pub struct Secured {
    /// The certificate the client has shown.
    pub certificate: Option<Vec<u8>>,
    /// What they may resume.
    pub sessions: Vec<Entry>,
}

/// What greeter says first.
#[derive(Debug)]
pub enum Greeting {
    /// 220, with the text of `banner_file` if there is one.
    Banner(Option<Vec<u8>>),
    /// The server cannot serve: `500 OOPS: ` and this.
    Oops(String),
}

/// What kind of user it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// Anonymous.
    Anonymous {
        /// What was given as password, for the log.
        password: Vec<u8>,
    },
    /// A virtual user, who acts as `guest_username`.
    Guest,
    /// A local account.
    Local,
}

/// Which rules hold for a session (reference §0, "anonymous-class").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Those for anonymous clients, and for guests without local privileges.
    Anonymous,
    /// Those for everybody else.
    Local,
}

/// What helper has decided about a login.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// What kind of user it is.
    pub class: Class,
    /// Which rules hold.
    pub rules: Rules,
    /// The name in logs and replies.
    pub name: Vec<u8>,
    /// The user the worker becomes.
    pub uid: Uid,
    /// Its group.
    pub gid: Gid,
    /// All its groups.
    pub groups: Vec<Gid>,
    /// Its home directory.
    pub home: OsString,
    /// The directory entered after it: `anon_root` or `local_root`.
    pub extra: Option<OsString>,
    /// Whether that directory becomes its root.
    pub chroot: bool,
    /// Whether a log is open for what the session does: otherwise helper need not be told.
    pub recorded: bool,
}

/// How long a client has to log in, whatever it says: three times `idle_session_timeout` for three commands, but not more than five
/// minutes unless a single one may take longer (attacks B-102).
pub fn login_limit(idle: u32) -> Duration {
    const MOST: u32 = 300;
    let seconds = match idle {
        0 => MOST,
        idle => idle.saturating_mul(3).min(MOST).max(idle),
    };
    Duration::from_secs(seconds.into())
}

/// What a client is told when a step of giving up privilege has failed.
pub const CANNOT_START: &[u8] = b"500 OOPS: cannot start the session\r\n";

/// The greeter's life: gives up everything, then talks; gives the exit status.
pub fn greet(
    base: &Loaded,
    client: &Client,
    empty: &OwnedFd,
    plan: &Plan<'_>,
    mut channel: Channel<BeforeLogin, BeforeLoginReply>,
    greeting: Greeting,
) -> i32 {
    match confine::confine(plan) {
        Ok(confined) => {
            // The empty directory has been entered: nothing names it any more.
            process::close_inherited(empty);
            greeter::talk(base, client, confined, channel, greeting)
        }
        Err(failure) => {
            client.socket.last_word(CANNOT_START);
            let why = Said::Note(failure.to_string().into_bytes());
            let _ = channel.send(&BeforeLogin::Said(why));
            2
        }
    }
}

/// The worker's life: enters the jail, gives up everything, serves; gives the exit status.
pub fn work(
    config: &'static Config,
    client: Client,
    verdict: Verdict,
    wanted: Wanted,
    helper: Pid,
    mut channel: Channel<AfterLogin, AfterLoginReply>,
    handover: Handover,
) -> i32 {
    heap::end_wiping();
    match jail::enter(config, &verdict, wanted, helper) {
        Ok(entered) => inside::live(config, client, verdict, entered, channel, handover),
        Err(why) => {
            client.socket.last_word(CANNOT_START);
            let why = Said::Note(format!("login ended: {why}").into_bytes());
            // Without a helper there is no log to write to.
            let _ = channel.send(&AfterLogin::Event(Event::Said(why)));
            2
        }
    }
}
