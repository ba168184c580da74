//! A question to auth, and the hold on the auth that stays to account for a session; helper.

use super::auth::{self, Reason, died, failed};
use super::ends::LAST_WORD;
use super::login::Refusal;
use super::prepared::Prepared;
use crate::sys::confine;
use crate::sys::limits::{self, Limit};
use crate::sys::process::{self, Errand};
use crate::sys::socket;
use crate::wire::{self, AuthReply, Channel, Question, ToAuth, ToNursery};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use zeroize::{Zeroize, Zeroizing};

/// How long PAM may take: a module that hangs costs this session only, and not for ever (attacks B-151).
const AUTH_LIMIT: Duration = Duration::from_secs(120);

/// How long a nursery may take to have an auth read its question. One that was stopped, or hangs in the kernel, says nothing; an auth that
/// it makes later finds nobody there, and ends.
const BIRTH: Duration = Duration::from_secs(5);

/// Helper's end of the channel to an auth.
type Ours = Channel<ToAuth, AuthReply>;

/// The auth that has opened the PAM session of this login and written its records. It closes both when this value goes, or when the
/// process that holds it dies in any way.
#[derive(Debug)]
pub struct Accounting {
    pub(super) channel: Option<Ours>,
    /// It, where it is this process's child.
    auth: Option<Pid>,
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
}

impl Drop for Accounting {
    fn drop(&mut self) {
        if let Some(mut channel) = self.channel.take() {
            // One of the nursery's that is not told finds this end closed when the value goes, and is not waited for: it waits for that.
            if self.auth.is_some() || channel.send(&ToAuth::Over).is_ok() {
                await_end(channel, self.auth);
            }
        }
    }
}

/// Waits until an auth has ended, this process's child or one of the nursery's: it bounds its own time, and until then the session has not
/// ended. What it or the nursery still says counts no more.
fn await_end(mut channel: Ours, child: Option<Pid>) {
    if let Some(child) = child {
        drop(channel);
        let _ = process::wait_for(child);
        return;
    }
    let until = Instant::now().checked_add(AUTH_LIMIT);
    while matches!(socket::readable(channel.as_fd(), until), Ok(true))
        && matches!(channel.receive(), Ok(Some(_)))
    {}
}

/// An answer, or why there is none: silence, death or nonsense is a refusal; where the kernel makes no process that could be asked, nobody has
/// looked whether the password is right.
type Answer = Result<(AuthReply, Option<Accounting>), Refusal>;

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason.to_string())
    }
}

/// Has an auth check this one password: one that the nursery forks, or else a child of this process.
///
/// # Errors
/// Nobody has answered.
pub fn ask(
    prepared: &Prepared,
    nursery: Option<&OwnedFd>,
    name: &[u8],
    password: &mut Zeroizing<Vec<u8>>,
    rhost: &str,
) -> Answer {
    let config = prepared.config();
    let question = |password: &Zeroizing<Vec<u8>>| {
        ToAuth::Ask(Question {
            name: name.to_vec(),
            password: password.clone(),
            rhost: rhost.as_bytes().to_vec(),
            service: config.pam_service_name.clone(),
            session_support: config.session_support,
            titled: config.setproctitle_enable,
        })
    };
    match ask_nursery(nursery, || question(password)) {
        Some(answer) => answer,
        None => ask_child(prepared, password, question),
    }
}

/// Asks an auth of the nursery's, over the socket that all helpers share; `None` when there is none who could have answered.
fn ask_nursery(nursery: Option<&OwnedFd>, question: impl FnOnce() -> ToAuth) -> Option<Answer> {
    let nursery = nursery?;
    let (mut ours, theirs) = Ours::pair().ok()?;
    ours.send(&question()).ok()?;
    let channel = theirs.into_descriptor();
    // A nursery that is behind is not waited for: the socket does not block.
    wire::post(nursery.as_fd(), &ToNursery::Auth { channel }).ok()?;
    if !taken(&ours) {
        return None;
    }
    match heard(&mut ours) {
        Ok(Some(reply)) => Some(Ok(hold(reply, ours, None))),
        // An auth that ended by itself or was ended says so, or the nursery does. Nobody has: there was none, or the nursery is gone.
        Ok(None) => None,
        Err(error) => {
            // Of one that is late or speaks nonsense the channel is closed with this, and it dies of it.
            let its_own = matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::InvalidData);
            its_own.then(|| Err(failed(error).into()))
        }
    }
}

/// Waits until an auth has read its question, or nobody will; false when it still lies there.
fn taken(channel: &Ours) -> bool {
    let until = Instant::now().checked_add(BIRTH);
    socket::readable(channel.as_fd(), until).unwrap_or(true) || channel.is_taken()
}

/// The word of auth; `None` when it has gone without.
fn heard(channel: &mut Ours) -> io::Result<Option<AuthReply>> {
    let deadline = Instant::now().checked_add(AUTH_LIMIT);
    if !socket::readable(channel.as_fd(), deadline)? {
        let text = format!("no answer within {} s", AUTH_LIMIT.as_secs());
        return Err(io::Error::new(ErrorKind::TimedOut, text));
    }
    channel.receive()
}

/// What was said, and the hold on an auth that stays. Of one that does not, the end is waited for.
fn hold(mut reply: AuthReply, channel: Ours, auth: Option<Pid>) -> (AuthReply, Option<Accounting>) {
    if let AuthReply::Granted { session, .. } = &mut reply
        && let Some(limits) = session.take()
    {
        let channel = Some(channel);
        let accounting = Accounting {
            channel,
            auth,
            limits,
        };
        return (reply, Some(accounting));
    }
    await_end(channel, auth);
    (reply, None)
}

/// Forks auth for this one password and waits for its word.
fn ask_child(
    prepared: &Prepared,
    password: &mut Zeroizing<Vec<u8>>,
    question: impl FnOnce(&Zeroizing<Vec<u8>>) -> ToAuth,
) -> Answer {
    let helper = Pid::this();
    let (mut ours, child) = Ours::fork(&[], |channel| {
        // It is asked for it, and wipes that.
        password.zeroize();
        if confine::die_with(helper).is_ok() && confine::raise_effective().is_ok() {
            auth::answer(prepared, helper, channel);
        }
        0
    })
    .map_err(|error| Refusal::Oops(format!("cannot check the password: {error}")))?;
    let _ = ours.send(&question(password));
    match heard(&mut ours) {
        Ok(Some(reply)) => Ok(hold(reply, ours, Some(child))),
        // Gone, or of no use any more: a module may hang, or have closed all that it had.
        none => {
            let ended = Errand::new(child, LAST_WORD).end();
            let died = |_| ended.map_or_else(failed, died);
            Err(none.map_or_else(failed, died).into())
        }
    }
}
