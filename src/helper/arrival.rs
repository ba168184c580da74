//! Who may connect, before anything is said: the file for this address, the limits with it, hosts.allow and hosts.deny; helper, root.

use super::prepared::{Held, Prepared, TOO_LATE};
use crate::config::Config;
use crate::config::options::Scope;
use crate::reader;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::Path;

/// What a client is told for which no process can be made.
pub const BUSY: &[u8] = b"421 Service not available, please try later.\r\n";

/// How many sessions there are, this one included; only a standalone server counts them.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// All of them.
    pub all: u32,
    /// Those from this address.
    pub here: u32,
    /// Failed logins from this address that are not forgotten.
    pub failed: u32,
    /// Handshakes from this address that are not forgotten.
    pub handshakes: u32,
}

/// Why a connection is turned away: what the client is told, and the reason in the CONNECT line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The reply (reference §3.2).
    pub reply: &'static [u8],
    /// The reason.
    pub reason: &'static str,
}

/// `max_clients` are here already.
pub const FULL: Refused = Refused {
    reply: b"421 There are too many connected users, please try later.\r\n",
    reason: "Connection refused: too many sessions.",
};

/// `max_per_ip` are here from this address already.
pub const FULL_FOR_ADDRESS: Refused = Refused {
    reply: b"421 There are too many connections from your internet address.\r\n",
    reason: "Connection refused: too many sessions for this address.",
};

/// `login_fails_per_ip` logins from this address have failed.
pub const TOO_MANY_FAILURES: Refused = Refused {
    reply: b"421 Too many failed logins from your internet address, please try later.\r\n",
    reason: "Connection refused: too many failed logins for this address.",
};

/// `ssl_handshakes_per_ip` handshakes from this address were begun.
pub const TOO_MANY_HANDSHAKES: Refused = Refused {
    reply: b"421 Too many TLS handshakes from your internet address, please try later.\r\n",
    reason: "Connection refused: too many TLS handshakes for this address.",
};

/// hosts.allow and hosts.deny say so.
const WRAPPERS: Refused = Refused {
    reply: b"421 Service not available.\r\n",
    reason: "Connection refused: tcp_wrappers denial.",
};

/// The limits of the settings, a limit of 0 being none; the total is looked at first (reference §3.2).
pub fn limited(counts: Counts, config: &Config) -> Option<Refused> {
    let (failed, tls) = (counts.failed, counts.handshakes);
    // Of sessions this one is the last that may be: of the others the next would be one too many.
    let limits = [
        (counts.all, config.max_clients, 1, FULL),
        (counts.here, config.max_per_ip, 1, FULL_FOR_ADDRESS),
        (failed, config.login_fails_per_ip, 0, TOO_MANY_FAILURES),
        (tls, config.ssl_handshakes_per_ip, 0, TOO_MANY_HANDSHAKES),
    ];
    let over = |&&(count, limit, own, _): &&(u32, u32, u32, _)| {
        limit > 0 && count.saturating_sub(own) >= limit
    };
    limits.iter().find(over).map(|(.., refused)| *refused)
}

/// What was found out about a connection.
pub struct Arrival<'a> {
    /// The settings that hold for it.
    pub prepared: Held<'a>,
    /// Why it is turned away, if it is.
    pub refused: Option<Refused>,
    /// Why it cannot be served, if so: `500 OOPS: ` and this.
    pub oops: Option<String>,
    /// For the log.
    pub notes: Vec<String>,
}

/// What decides whether limits can be judged before a file for the address was read: then helper does it, otherwise master has.
pub fn decides(prepared: &Prepared, load_conf: Option<&OsStr>) -> bool {
    prepared.config().tcp_wrappers || load_conf.is_some()
}

/// Looks at a new connection.
#[inline(never)]
pub fn examine<'a>(
    prepared: &'a Prepared,
    peer: SocketAddr,
    local: SocketAddr,
    counts: Option<Counts>,
    load_conf: Option<&OsStr>,
) -> Arrival<'a> {
    let mut arrival = Arrival {
        prepared: Held::Lent(prepared),
        refused: None,
        oops: None,
        notes: Vec::new(),
    };
    if !decides(prepared, load_conf) {
        return arrival;
    }
    let mut file = load_conf.map(OsStr::to_owned);
    let denied = prepared.config().tcp_wrappers && arrival.denied(peer, local, &mut file);
    if let Some(file) = file {
        arrival.load(Path::new(&file));
    }
    let config = arrival.prepared.config();
    arrival.refused = counts
        .and_then(|counts| limited(counts, config))
        .or(denied.then_some(WRAPPERS));
    arrival
}

impl Arrival<'_> {
    /// Whether hosts.allow and hosts.deny turn the client away; a rule may name the file of settings for it.
    fn denied(
        &mut self,
        client: SocketAddr,
        server: SocketAddr,
        file: &mut Option<OsString>,
    ) -> bool {
        let verdict = reader::judge(
            self.prepared.reader(),
            &self.prepared.loaded,
            client,
            server,
        );
        self.notes.extend(verdict.remarks);
        self.notes.extend(verdict.mistakes);
        *file = verdict.file.or(file.take());
        !verdict.good
    }

    /// Reads the file for this address over the settings; its mistakes end the session (reference §2.6).
    fn load(&mut self, file: &Path) {
        match self.prepared.read_over(file, Scope::Server) {
            Ok((prepared, remarks)) => {
                self.notes.extend(remarks);
                if prepared.isolation_is_too_late() {
                    self.notes.push(TOO_LATE.to_owned());
                }
                self.prepared = Held::from(prepared);
            }
            Err(mistakes) => {
                let file = file.to_string_lossy();
                self.oops = Some(format!("cannot read config file: {file}"));
                self.notes.extend(mistakes);
            }
        }
    }
}
