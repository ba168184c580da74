//! The keyholder as master knows it: started first, given one channel for each session, heard when it has a note; master.

use super::trouble::Trouble;
use crate::config::Loaded;
use crate::helper::Prepared;
use crate::keyholder;
use crate::reader::{self, May, Ours, Who};
use crate::sys::confine::Root;
use crate::sys::seccomp::List;
use crate::sys::socket;
use crate::tls::{Secure, Settings};
use crate::wire::{Channel, FromKeyholder, ToKeyholder};
use nix::unistd::Pid;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Signatures for one session where data connections must resume the control connection's: one handshake there, and strangers.
const FEW: u32 = 64;
/// Where every data connection may need one.
const MANY: u32 = 100_000;

/// A keyholder that has loaded its keys.
#[derive(Debug)]
pub struct Keys {
    channel: Channel<ToKeyholder, FromKeyholder>,
    pid: Pid,
    settings: Arc<Settings>,
    signatures: u32,
    trouble: Trouble,
}

/// Loads the keys in a process that ends at once, to see whether that would work; gives remarks.
///
/// # Errors
/// Every mistake in certificates, keys, and authorities.
pub fn try_out(loaded: &Loaded) -> Result<Vec<String>, Vec<String>> {
    if !loaded.config.ssl_enable {
        return Ok(Vec::new());
    }
    let forked = fork(loaded, Who::nobody().fenced(), None);
    let (found, _) = reader::attend(forked, May::Open, loaded, false, reader::PATIENCE);
    found.good.then_some(found.remarks).ok_or(found.mistakes)
}

impl Keys {
    /// Starts the keyholder, if there is TLS.
    ///
    /// # Errors
    /// Every mistake in certificates, keys, and authorities.
    pub fn start(prepared: &Prepared) -> Result<Option<Self>, Vec<String>> {
        let loaded = &prepared.loaded;
        if !loaded.config.ssl_enable {
            return Ok(None);
        }
        let empty = prepared.secure_chroot().map_err(|error| {
            let text = format!("cannot open secure_chroot_dir: {error}");
            vec![loaded.mistake("ssl_enable", text)]
        })?;
        let forked = fork(loaded, prepared.keeper(), Some(&empty));
        let (found, stayed) = reader::attend(forked, May::Open, loaded, true, reader::PATIENCE);
        found.remarks.iter().for_each(|text| log::warn!("{text}"));
        let (channel, pid) = stayed.ok_or(found.mistakes)?;
        Ok(Some(Self {
            channel: Channel::new(channel.into_descriptor()),
            pid,
            settings: Arc::new(Settings {
                loaded: loaded.clone(),
                identities: found.identities,
                authorities: found.authorities,
            }),
            signatures: if loaded.config.require_ssl_reuse {
                FEW
            } else {
                MANY
            },
            trouble: Trouble::default(),
        }))
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Its channel, to be waited on.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }

    /// Writes down what it has to say, once; false when it has gone.
    pub fn hear(&mut self) -> bool {
        match self.channel.receive() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => true,
            Ok(Some(FromKeyholder::Note(text))) => {
                log::warn!("keyholder: {}", String::from_utf8_lossy(&text));
                true
            }
            Ok(None) | Err(_) => false,
        }
    }

    /// What a new session needs; nothing when the keyholder does not take it.
    pub fn session(&mut self) -> Option<Secure> {
        let short = "sessions go without TLS; raise the limit of open files or memory";
        let signatures = self.signatures;
        let given = socket::message_pair().and_then(|(keys, channel)| {
            let session = ToKeyholder::Session {
                signatures,
                channel,
            };
            self.channel.send(&session).map(|()| keys)
        });
        match given {
            Ok(keys) => {
                self.trouble.over("the keyholder takes sessions again");
                let settings = Arc::clone(&self.settings);
                return Some(Secure { settings, keys });
            }
            // Its end is noticed in a moment.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) => {
                let what = "the keyholder takes no session";
                self.trouble.say(what, &error, short);
            }
        }
        None
    }
}

fn fork(loaded: &Loaded, who: Who, empty: Option<&OwnedFd>) -> std::io::Result<(Ours, Pid)> {
    let keep = empty.map(AsRawFd::as_raw_fd);
    Ours::fork(keep.as_slice(), |channel| {
        // It outlives master: sessions go on, and may still need it.
        let fences = || who.fences(List::Keyholder);
        let mut plan = who.plan(keyholder::LIMITS, &fences, None);
        if let (Root::Host, Some(empty)) = (&plan.root, empty) {
            plan.root = Root::Directory(empty.as_fd());
        }
        keyholder::run(loaded, &plan, empty, channel)
    })
}
