//! How long a greeter is waited for until a login holds; helper before login.

use super::journal::Journal;
use crate::config::Config;
use crate::sys::socket;
use crate::tls::HANDSHAKE;
use crate::wire::{BeforeLogin, BeforeLoginReply, Broken, Channel};
use crate::worker::login_limit;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long a greeter has after each login that failed, however late the answer was: it then ends by itself.
const ANSWERED: Duration = Duration::from_secs(5);

/// Greeter hangs up in time on a client that does not log in. This is for one that does not: it was stopped, or is not what it was.
#[derive(Debug)]
pub struct Patience {
    until: Option<Instant>,
}

impl Patience {
    /// From now on. Twice what greeter itself goes by, and a handshake: it is never late before.
    pub fn new(config: &Config) -> Self {
        let all = login_limit(config.idle_session_timeout)
            .saturating_mul(2)
            .saturating_add(HANDSHAKE);
        Self {
            until: Instant::now().checked_add(all),
        }
    }

    /// An answer was given. One that is counted gives time; of others a greeter may have as many as it likes.
    pub fn answered(&mut self, reply: &BeforeLoginReply) {
        if matches!(reply, BeforeLoginReply::Denied | BeforeLoginReply::Failed) {
            self.until = self.until.max(Instant::now().checked_add(ANSWERED));
        }
    }

    /// The next message, waited for; nothing when greeter has had its time, whatever it has said in it.
    pub fn hear(
        &self,
        channel: &mut Channel<BeforeLoginReply, BeforeLogin>,
        journal: &mut Journal,
    ) -> Option<Result<Option<BeforeLogin>, Broken>> {
        let late = self.until.is_some_and(|until| Instant::now() >= until);
        // What the kernel has to say is heard from it when the message is taken.
        if !late && socket::readable(channel.as_fd(), self.until).unwrap_or(true) {
            return Some(channel.receive());
        }
        journal.note(b"greeter neither ends nor has anybody log in; session ended");
        None
    }
}
