//! The host's name service, asked by a child that has given up all rights: what answers may be a stranger's own name server
//! (attacks B-161); reader and master, and their short-lived child.

use super::Who;
use crate::sys::confine::{self, Fences};
use crate::sys::{process, resolve, socket};
use crate::wire::{Channel, Found, Silence};
use nix::sys::resource::Resource;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long one look-up may take before the name counts as unknown.
const PATIENCE: Duration = Duration::from_secs(20);

const LIMITS: &[(Resource, u64)] = &[
    (Resource::RLIMIT_FSIZE, 0),
    (Resource::RLIMIT_CORE, 0),
    (Resource::RLIMIT_NOFILE, 64),
    (Resource::RLIMIT_DATA, 64 << 20),
];

/// The name service, asked as this account.
#[derive(Debug, Clone, Copy)]
pub struct System(pub Who);

impl System {
    /// The name of an address, whoever gave it.
    pub fn name(&self, address: IpAddr) -> Option<String> {
        let found = self.apart(PATIENCE, || resolve::name(address).into_iter().collect());
        found.into_iter().next()
    }

    /// All addresses of a name.
    pub fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.addresses_within(PATIENCE, name)
    }

    /// All addresses of a name; none without an answer in time.
    pub fn addresses_within(&self, patience: Duration, name: &str) -> Vec<IpAddr> {
        parsed(&self.apart(patience, || texts(resolve::addresses(name))))
    }

    /// Has a name looked up in a child, whose answer is waited for by whoever asks.
    ///
    /// # Errors
    /// No child can be made.
    pub fn ask(&self, name: &str) -> io::Result<Question> {
        self.begin(|| texts(resolve::addresses(name)))
    }

    fn begin(&self, look_up: impl FnOnce() -> Vec<String>) -> io::Result<Question> {
        let (channel, theirs) = Channel::<Silence, Found>::pair()?;
        let theirs = theirs.into_descriptor();
        let parent = Pid::this();
        let child = process::spawn(&[theirs.as_raw_fd()], || {
            // A resolver may do anything its modules want.
            let plan = self.0.plan(LIMITS, &Fences::default, Some(parent));
            if confine::confine(&plan).is_ok() {
                let found = look_up().into_iter().map(String::into_bytes).collect();
                let _ = Channel::<Found, Silence>::new(theirs).send(&Found(found));
            }
            0
        })?;
        Ok(Question { channel, child })
    }

    /// Runs a look-up in a child; no answer in time, or nonsense, is none.
    fn apart(&self, patience: Duration, look_up: impl FnOnce() -> Vec<String>) -> Vec<String> {
        let Ok(mut question) = self.begin(look_up) else {
            return Vec::new();
        };
        let deadline = Instant::now().checked_add(patience);
        let found = match socket::readable(question.channel.as_fd(), deadline) {
            Ok(true) => question.texts(),
            Ok(false) | Err(_) => Vec::new(),
        };
        question.end();
        let _ = process::wait_for(question.child);
        found
    }
}

/// A look-up that runs in a child.
#[derive(Debug)]
pub struct Question {
    channel: Channel<Silence, Found>,
    child: Pid,
}

impl Question {
    /// Readable when there is an answer, or none will come.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }

    /// The child that looks it up.
    pub fn child(&self) -> Pid {
        self.child
    }

    /// The addresses that were found; none if it is nonsense. Waits until [`Question::fd`] is readable.
    pub fn addresses(&mut self) -> Vec<IpAddr> {
        parsed(&self.texts())
    }

    /// Ends the child, which must not have been waited for.
    pub fn end(&self) {
        let _ = kill(self.child, Signal::SIGKILL);
    }

    fn texts(&mut self) -> Vec<String> {
        let found = self.channel.receive().ok().flatten();
        let texts = found.map_or_else(Vec::new, |Found(texts)| texts);
        let texts = texts.into_iter().map(String::from_utf8);
        texts.filter_map(Result::ok).collect()
    }
}

fn texts(addresses: Vec<IpAddr>) -> Vec<String> {
    let texts = addresses.into_iter();
    texts.map(|address| address.to_string()).collect()
}

fn parsed(texts: &[String]) -> Vec<IpAddr> {
    let parsed = texts.iter().filter_map(|text| text.parse().ok());
    parsed.collect()
}
