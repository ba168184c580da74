//! The keyholder as master knows it: started first, given one channel for each session, heard when it has a note; master.

use super::trouble::Trouble;
use crate::config::{Loaded, certificates};
use crate::helper::Prepared;
use crate::keyholder;
use crate::reader::Who;
use crate::sys::confine::Root;
use crate::sys::process::Errand;
use crate::sys::seccomp::List;
use crate::sys::socket;
use crate::tls::{Authority, Identity, Secure, Settings};
use crate::wire::{Broken, Channel, FromKeyholder, ToKeyholder};
use nix::unistd::Pid;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// Signatures for one session where data connections must resume the control connection's: one handshake there, and strangers.
const FEW: u32 = 64;
/// Where every data connection may need one.
const MANY: u32 = 100_000;

/// How long a keyholder may take to load its keys: master serves nobody meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

/// A keyholder that has loaded its keys.
#[derive(Debug)]
pub struct Keys {
    channel: Channel<ToKeyholder, FromKeyholder>,
    pid: Pid,
    settings: Arc<Settings>,
    signatures: u32,
    trouble: Trouble,
}

/// What a keyholder has said until it was ready, or has ended.
#[derive(Default)]
struct Report {
    keys: Vec<(Vec<u16>, Vec<Vec<u8>>)>,
    authorities: Vec<Authority>,
    remarks: Vec<String>,
    mistakes: Vec<String>,
    ready: bool,
}

/// Loads the keys in a process that ends at once, to see whether that would work; gives remarks.
///
/// # Errors
/// Every mistake in certificates, keys, and authorities.
pub fn try_out(loaded: &Loaded) -> Result<Vec<String>, Vec<String>> {
    if !loaded.config.ssl_enable {
        return Ok(Vec::new());
    }
    let (channel, pid) = fork(loaded, None).map_err(|error| {
        vec![loaded.mistake("ssl_enable", format!("cannot fork the keyholder: {error}"))]
    })?;
    let errand = Errand::new(pid, PATIENCE);
    let (mut report, _) = listen(channel, &errand);
    let _ = errand.end();
    let remarks = std::mem::take(&mut report.remarks);
    report.settings(loaded).map(|_| remarks)
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
        let failed = |why: String| vec![loaded.mistake("ssl_enable", why)];
        let empty = prepared
            .secure_chroot()
            .map_err(|error| failed(format!("cannot open secure_chroot_dir: {error}")))?;
        let (channel, pid) = fork(loaded, Some((prepared, &empty)))
            .map_err(|error| failed(format!("cannot fork the keyholder: {error}")))?;
        let (report, channel) = listen(channel, &Errand::new(pid, PATIENCE));
        for remark in &report.remarks {
            log::warn!("{remark}");
        }
        let settings = report.settings(loaded)?;
        // A keyholder that is behind is not waited for: the session it does not take goes without TLS.
        socket::nonblocking(channel.as_fd())
            .map_err(|error| failed(format!("cannot speak to the keyholder: {error}")))?;
        Ok(Some(Self {
            channel,
            pid,
            settings: Arc::new(settings),
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
            Err(Broken::Io(error)) if error.kind() == ErrorKind::WouldBlock => true,
            Ok(Some(FromKeyholder::Note(text))) => {
                log::warn!("keyholder: {}", String::from_utf8_lossy(&text));
                true
            }
            Ok(Some(
                FromKeyholder::Key { schemes: _ }
                | FromKeyholder::Certificate(_)
                | FromKeyholder::Remark(_)
                | FromKeyholder::Mistake(_)
                | FromKeyholder::Authority { .. }
                | FromKeyholder::Ready,
            ))
            | Ok(None)
            | Err(_) => false,
        }
    }

    /// What a new session needs; nothing when the keyholder does not take it.
    pub fn session(&mut self) -> Option<Secure> {
        let short = "sessions go without TLS; raise the limit of open files or memory";
        let (keys, theirs) = match socket::message_pair() {
            Ok(pair) => pair,
            Err(error) => {
                let what = "cannot make a channel to the keyholder";
                self.trouble.say(what, &error, short);
                return None;
            }
        };
        let session = ToKeyholder::Session {
            signatures: self.signatures,
            channel: theirs,
        };
        if let Err(error) = self.channel.send(&session) {
            // Its end is noticed in a moment.
            if !matches!(&error, Broken::Io(error) if error.kind() == ErrorKind::BrokenPipe) {
                self.trouble
                    .say("the keyholder takes no session", &error, short);
            }
            return None;
        }
        self.trouble.over("the keyholder takes sessions again");
        Some(Secure {
            settings: Arc::clone(&self.settings),
            keys,
        })
    }
}

type Forked = (Channel<ToKeyholder, FromKeyholder>, Pid);

fn fork(loaded: &Loaded, serve: Option<(&Prepared, &OwnedFd)>) -> std::io::Result<Forked> {
    let keep = serve.map(|(_, empty)| empty.as_raw_fd());
    Channel::fork(keep.as_slice(), |channel| {
        let who = match serve {
            Some((prepared, _)) => Who {
                uid: prepared.keeper().uid,
                gid: prepared.keeper().gid,
                ..prepared.reader()
            },
            None => Who::nobody().fenced(),
        };
        // It outlives master: sessions go on, and may still need it.
        let fences = || who.fences(List::Keyholder);
        let mut plan = who.plan(keyholder::LIMITS, &fences, None);
        if let (Root::Host, Some((_, empty))) = (&plan.root, serve) {
            plan.root = Root::Directory(empty.as_fd());
        }
        let empty = serve.map(|(_, empty)| empty);
        keyholder::run(loaded, &plan, empty, channel)
    })
}

/// Hears a keyholder until it is ready or has ended, or was killed because it does not speak.
fn listen(
    mut channel: Channel<ToKeyholder, FromKeyholder>,
    errand: &Errand,
) -> (Report, Channel<ToKeyholder, FromKeyholder>) {
    let mut report = Report::default();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    while errand.speaks(channel.as_fd()) {
        match channel.receive() {
            Ok(Some(FromKeyholder::Key { schemes })) => report.keys.push((schemes, Vec::new())),
            Ok(Some(FromKeyholder::Certificate(der))) => {
                if let Some((_, chain)) = report.keys.last_mut() {
                    chain.push(der);
                }
            }
            Ok(Some(FromKeyholder::Remark(said))) => report.remarks.push(text(said)),
            Ok(Some(FromKeyholder::Mistake(said))) => report.mistakes.push(text(said)),
            Ok(Some(FromKeyholder::Authority {
                subject,
                key,
                constraints,
            })) => report.authorities.push((subject, key, constraints)),
            Ok(Some(FromKeyholder::Ready)) => {
                report.ready = true;
                return (report, channel);
            }
            Ok(Some(FromKeyholder::Note(_))) => {}
            Ok(None) | Err(_) => break,
        }
    }
    (report, channel)
}

impl Report {
    /// What holds for every connection with these keys.
    fn settings(self, loaded: &Loaded) -> Result<Settings, Vec<String>> {
        let mut mistakes = self.mistakes;
        if mistakes.is_empty() && !self.ready {
            let text = "the keyholder has ended at once".to_owned();
            mistakes.push(loaded.mistake("ssl_enable", text));
        }
        // The keyholder loads them in this order, and all of them or none.
        let pairs = certificates::all(loaded).into_iter();
        let identities = pairs.zip(self.keys);
        let identities =
            identities.map(|(pair, (schemes, chain))| Identity::new(pair, &schemes, chain));
        let settings = Settings {
            loaded: loaded.clone(),
            identities: identities.collect(),
            authorities: self.authorities,
        };
        mistakes.is_empty().then_some(settings).ok_or(mistakes)
    }
}
