//! The keyholder: gives everything up, has certificates and private keys opened by master, reads them, and signs handshakes for sessions; the
//! only process that ever has a key in its memory.
//!
//! It lives as long as anybody may still ask it: until master has closed its channel and every session has. So a session outlives a
//! restart of the server with all it needs, and after SIGHUP the sessions of the old certificate end with the old keyholder.

mod authorities;
mod begin;
mod files;
mod load;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod validity;

pub use begin::{LIMITS, run};

use crate::config::Loaded;
use crate::sys::confine::{Confined, Failure};
use crate::sys::{socket, title};
use crate::tls::is_handshake;
use crate::wire::{Channel, FromKeyholder, FromReader, Sign, SignReply, ToKeyholder, ToReader};
use load::Unusable;
use nix::poll::{PollFd, PollFlags};
use rustls::SignatureScheme;
use rustls::sign::SigningKey;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::sync::Arc;

/// New sessions taken before those that are there are answered again.
const BURST: usize = 256;

/// Its end of master's channel; until it serves it says what a reader says.
pub type Master = Channel<FromKeyholder, ToKeyholder>;
pub type Beginning = Channel<FromReader, ToReader>;

/// Master, and the settings that it is told about.
struct Telling<'a> {
    loaded: &'a Loaded,
    master: Beginning,
}

impl Telling<'_> {
    fn say(&mut self, message: &FromReader) -> Result<(), Unusable> {
        self.master.send(message).map_err(|_| Unusable)
    }

    fn mistake(&mut self, option: &str, mut text: String) -> Result<(), Unusable> {
        if !self.loaded.is_set(option) {
            text.push_str(&format!("; {option} is not set"));
        }
        let why = self.loaded.mistake(option, text);
        self.say(&FromReader::Mistake(why.into_bytes()))
    }
}

/// A session that may ask.
struct Session {
    channel: Channel<SignReply, Sign>,
    left: u32,
}

/// Loads the keys and tells master what it has found. Then it serves, unless master closes its channel, having only tried; gives the exit
/// status.
fn work(
    loaded: &Loaded,
    confined: Result<Confined, Failure>,
    master: Beginning,
    title: bool,
) -> i32 {
    let mut telling = Telling { loaded, master };
    let keys = load(confined, &mut telling);
    title::set(title, "KEYHOLDER");
    let done = telling.say(&FromReader::Done(keys.is_ok()));
    let (Ok(keys), Ok(())) = (keys, done) else {
        return 1;
    };
    serve(&keys, Channel::new(telling.master.into_descriptor()));
    0
}

/// Every key, unless there are rights left.
fn load(
    confined: Result<Confined, Failure>,
    telling: &mut Telling<'_>,
) -> Result<Vec<Arc<dyn SigningKey>>, Unusable> {
    if let Err(failure) = confined {
        telling.mistake("secure_chroot_dir", failure.to_string())?;
        return Err(Unusable);
    }
    let (files, authorities) = files::all(telling)?;
    let keys = load::load(files, telling);
    let told = authorities::tell(authorities, telling);
    keys.and_then(|keys| told.map(|()| keys))
}

/// Answers until nobody is left who could ask.
fn serve(keys: &[Arc<dyn SigningKey>], master: Master) {
    // A peer that does not read is given up, never waited for.
    if socket::nonblocking(master.as_fd()).is_err() {
        return;
    }
    let mut master = Some(master);
    let mut sessions: Vec<Session> = Vec::new();
    while master.is_some() || !sessions.is_empty() {
        let mut fds: Vec<PollFd<'_>> = sessions.iter().map(|s| waited(&s.channel)).collect();
        fds.extend(master.as_ref().map(waited));
        if socket::wait(&mut fds, None).is_err() {
            return;
        }
        let happened: Vec<bool> = fds.iter().map(|fd| fd.any() == Some(true)).collect();
        let mut spoken = happened.iter().copied();
        let mut notes = Vec::new();
        sessions.retain_mut(|session| {
            if !spoken.next().unwrap_or(false) {
                return true;
            }
            match session.answer(keys) {
                Ok(more) => more,
                Err(note) => {
                    notes.push(note);
                    false
                }
            }
        });
        if let Some(channel) = &mut master {
            for note in notes {
                let _ = channel.send(&FromKeyholder::Note(note.into_bytes()));
            }
            if spoken.next().unwrap_or(false) && !admit(channel, &mut sessions) {
                master = None;
            }
        }
    }
}

fn waited<Out, In>(channel: &Channel<Out, In>) -> PollFd<'_> {
    PollFd::new(channel.as_fd(), PollFlags::POLLIN)
}

/// Takes the new sessions that wait; false when master has closed its channel.
fn admit(master: &mut Master, sessions: &mut Vec<Session>) -> bool {
    for _ in 0..BURST {
        match master.receive() {
            Ok(None) => return false,
            Ok(Some(ToKeyholder::Session {
                signatures,
                channel,
            })) => {
                if socket::nonblocking(channel.as_fd()).is_ok() {
                    sessions.push(Session {
                        channel: Channel::new(channel),
                        left: signatures,
                    });
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            // A descriptor there was no room for: that session goes without, and the next may find room.
            Err(broken) => {
                let note = format!("a session has no signatures: {broken}");
                let _ = master.send(&FromKeyholder::Note(note.into_bytes()));
            }
        }
    }
    true
}

impl Session {
    /// One question; false at the session's end. An error is for the log, and ends it for us too.
    fn answer(&mut self, keys: &[Arc<dyn SigningKey>]) -> Result<bool, String> {
        let question = match self.channel.receive() {
            Ok(None) => return Ok(false),
            Ok(Some(question)) => question,
            Err(broken) => return Err(format!("a session asked for a signature with {broken}")),
        };
        if !is_handshake(&question.content) {
            return Err(
                "a session asked for a signature of what is no TLS handshake; refused, and it gets no other"
                    .to_owned(),
            );
        }
        let reply = match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                sign(keys, &question).map_or(SignReply::Refused, SignReply::Signed)
            }
            None => SignReply::Refused,
        };
        Ok(self.channel.send(&reply).is_ok())
    }
}

fn sign(keys: &[Arc<dyn SigningKey>], question: &Sign) -> Option<Vec<u8>> {
    let key = keys.get(usize::from(question.key))?;
    let scheme = SignatureScheme::from(question.scheme);
    let signer = key.choose_scheme(&[scheme])?;
    signer.sign(&question.content).ok()
}
