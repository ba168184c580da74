//! The host's name service, asked by a child that has given up all rights: what answers may be a stranger's own name server
//! (attacks B-161); reader and its short-lived child. Who waits for the answer stands in `service.rs`.

use super::Who;
use crate::sys::confine::{self, Fences};
use crate::wire::{Channel, Found, Silence};
use nix::sys::resource::Resource;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

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
    pub(super) fn begin(&self, look_up: impl FnOnce() -> Vec<String>) -> io::Result<Question> {
        let parent = Pid::this();
        let (channel, child) = Channel::<Silence, Found>::fork(&[], |mut channel| {
            // A resolver may do anything its modules want.
            let plan = self.0.plan(LIMITS, &Fences::default, Some(parent));
            if confine::confine(&plan).is_ok() {
                let found = look_up().into_iter().map(String::into_bytes).collect();
                let _ = channel.send(&Found::new(found));
            }
            0
        })?;
        Ok(Question { channel, child })
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

    /// Ends the child, which must not have been waited for.
    pub fn end(&self) {
        let _ = kill(self.child, Signal::SIGKILL);
    }

    pub(super) fn texts(&mut self) -> Vec<String> {
        let found = self.channel.receive().ok().flatten();
        let texts = found.map_or_else(Vec::new, Found::texts);
        let texts = texts.into_iter().map(String::from_utf8);
        texts.filter_map(Result::ok).collect()
    }
}
