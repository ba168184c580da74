//! How long a greeter is waited for until a login holds; helper before login.

use super::journal::Journal;
use crate::config::Config;
use crate::sys::socket;
use crate::tls::HANDSHAKE;
use crate::wire::{BeforeLogin, BeforeLoginReply, Channel};
use crate::worker::login_limit;
use std::io;
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
    ) -> Option<io::Result<Option<BeforeLogin>>> {
        let late = self.until.is_some_and(|until| Instant::now() >= until);
        // What the kernel has to say is heard from it when the message is taken.
        if !late && socket::readable(channel.as_fd(), self.until).unwrap_or(true) {
            return Some(channel.receive());
        }
        journal.note(b"greeter neither ends nor has anybody log in; session ended");
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{ANSWERED, Patience};
    use crate::config::Config;
    use crate::helper::journal::Journal;
    use crate::sys::socket;
    use crate::wire::{BeforeLogin, BeforeLoginReply, Channel, Said};
    use std::time::{Duration, Instant};

    /// Whoever talks all the time has always something to be heard: what is late is not heard all the same.
    #[test]
    fn who_goes_on_talking_has_his_time_and_no_more() {
        let (theirs, ours) = socket::message_pair().unwrap();
        let mut greeter = Channel::<BeforeLogin, BeforeLoginReply>::new(theirs);
        let mut helper = Channel::<BeforeLoginReply, BeforeLogin>::new(ours);
        let mut journal = Journal::silent(([127, 0, 0, 1], 21).into());
        for _ in 0..2 {
            let note = BeforeLogin::Said(Said::Note(b"still here".to_vec()));
            greeter.send(&note).unwrap();
        }
        let mut patience = Patience::new(&Config::default());
        let heard = patience.hear(&mut helper, &mut journal);
        assert!(matches!(heard, Some(Ok(Some(BeforeLogin::Said(_))))));
        patience.until = Some(Instant::now());
        assert!(patience.hear(&mut helper, &mut journal).is_none());
    }

    /// Only an answer that is counted gives time, and none takes any away.
    #[test]
    fn what_gives_time() {
        let late = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        let far = Instant::now().checked_add(2 * ANSWERED).unwrap();
        for (reply, gives) in [
            (BeforeLoginReply::Denied, true),
            (BeforeLoginReply::Failed, true),
            (BeforeLoginReply::Ask, false),
            (BeforeLoginReply::NoHost, false),
        ] {
            let after = |until| {
                let mut patience = Patience { until: Some(until) };
                patience.answered(&reply);
                patience.until.unwrap()
            };
            assert_eq!(after(late) > late, gives, "{reply:?}");
            assert_eq!(after(far), far, "{reply:?}");
        }
    }
}
