//! A question to auth, and the hold on the auth that stays to account for a session; helper.

use super::auth::{self, Asked, Reason};
use crate::config::Config;
use crate::sys::confine;
use crate::sys::limits::{self, Limit};
use crate::sys::process;
use crate::sys::socket;
use crate::wire::{AuthReply, AuthWord, Channel, Silence, Stay};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::unistd::Pid;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long PAM may take: a module that hangs costs this session only, and not for ever (attacks B-151).
const AUTH_LIMIT: Duration = Duration::from_secs(120);

/// The auth that has opened the PAM session of this login and written its records. It closes both when this value goes, or when the
/// process that holds it dies in any way.
#[derive(Debug)]
pub struct Accounting {
    channel: Option<Channel<Silence, AuthWord>>,
    auth: Pid,
    limits: Vec<Limit>,
}

impl Accounting {
    /// Sets the limits that the session's modules have set for the user; called in the worker to be.
    ///
    /// # Errors
    /// The kernel refuses one: the worker must not be.
    pub fn limit_worker(&self) -> Result<(), Errno> {
        limits::lower(&self.limits)
    }

    /// Waits for a word on `channel`; false when auth has gone first: what goes on then would be in no record.
    pub fn holds_until(&self, channel: BorrowedFd<'_>) -> bool {
        let Some(own) = &self.channel else {
            return false;
        };
        let mut fds = [
            PollFd::new(own.as_fd(), PollFlags::POLLIN),
            PollFd::new(channel, PollFlags::POLLIN),
        ];
        let waited = socket::wait(&mut fds, None);
        // Auth says nothing any more: whatever comes from there is its end.
        waited.is_ok() && fds.first().is_some_and(|own| own.any() != Some(true))
    }
}

impl Drop for Accounting {
    fn drop(&mut self) {
        self.channel = None;
        // Auth bounds its own time, and until it has ended the session has not.
        let _ = process::wait_for(self.auth);
    }
}

/// Forks auth for this one password and waits for its word.
///
/// # Errors
/// Silence, death or nonsense: a refusal.
pub fn ask(
    config: &Config,
    name: &[u8],
    password: &mut Zeroizing<Vec<u8>>,
    rhost: &str,
) -> Result<(AuthReply, Option<Accounting>), Reason> {
    let failed = |why: String| Reason::new(format!("the password could not be checked: {why}"));
    let (mut ours, theirs) =
        Channel::<Silence, AuthWord>::pair().map_err(|error| failed(error.to_string()))?;
    let theirs = theirs.into_descriptor();
    let helper = Pid::this();
    let child = process::spawn(&[theirs.as_raw_fd()], || {
        let channel = Channel::<AuthWord, Silence>::new(theirs);
        if confine::die_with(helper).is_ok() && confine::raise_effective().is_ok() {
            let asked = Asked {
                name,
                password,
                rhost,
                helper,
            };
            auth::answer(config, asked, channel);
        }
        0
    })
    .map_err(|error| failed(error.to_string()))?;
    let deadline = Instant::now().checked_add(AUTH_LIMIT);
    let word = match socket::readable(ours.as_fd(), deadline) {
        Ok(true) => ours.receive(),
        Ok(false) => {
            let _ = nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL);
            let _ = process::wait_for(child);
            return Err(failed(format!(
                "no answer within {} s",
                AUTH_LIMIT.as_secs()
            )));
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    settle(word, ours, child).map_err(failed)
}

/// What auth's word comes to. Unless it stays, its end is waited for.
fn settle(
    word: Result<Option<AuthWord>, crate::wire::Broken>,
    channel: Channel<Silence, AuthWord>,
    auth: Pid,
) -> Result<(AuthReply, Option<Accounting>), String> {
    if let Ok(Some(AuthWord {
        reply,
        stay: Stay::Accounts { limits },
    })) = word
    {
        let accounting = Accounting {
            channel: Some(channel),
            auth,
            limits,
        };
        return Ok((reply, Some(accounting)));
    }
    drop(channel);
    let ended = process::wait_for(auth);
    match word {
        Ok(Some(AuthWord { reply, .. })) => Ok((reply, None)),
        Ok(None) => Err(match ended {
            Ok(process::Ended::Killed(signal)) => {
                format!("a PAM module or library crashed (signal {signal})")
            }
            Ok(process::Ended::Exited(_)) | Err(_) => "a PAM module ended the process".to_owned(),
        }),
        Err(broken) => Err(broken.to_string()),
    }
}
