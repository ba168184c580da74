//! The host's name service, asked by a child that has given up all rights: what answers may be a stranger's own name server
//! (attacks B-161); helper and its short-lived child.

use super::hosts::Resolver;
use crate::helper::ask::Silence;
use crate::sys::account::Account;
use crate::sys::confine::{self, Fences, Isolation, Plan, Root};
use crate::sys::{process, resolve, socket};
use crate::wire::{Channel, Found};
use nix::sys::resource::Resource;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
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
pub struct System<'a> {
    /// `nopriv_user`.
    pub nopriv: &'a Account,
    /// `run_as_launching_user`: there is no right to become anybody else.
    pub kept: bool,
}

impl Resolver for System<'_> {
    fn name(&self, address: IpAddr) -> Option<String> {
        let found = self.apart(PATIENCE, || resolve::name(address).into_iter().collect());
        found.into_iter().next()
    }

    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.addresses_within(PATIENCE, name)
    }
}

impl System<'_> {
    /// All addresses of a name; none without an answer in time.
    pub fn addresses_within(&self, patience: Duration, name: &str) -> Vec<IpAddr> {
        let texts = self.apart(patience, || {
            let found = resolve::addresses(name).into_iter();
            found.map(|address| address.to_string()).collect()
        });
        let parsed = texts.iter().filter_map(|text| text.parse().ok());
        parsed.collect()
    }

    /// Runs a look-up in a child; no answer in time, or nonsense, is none.
    fn apart(&self, patience: Duration, look_up: impl FnOnce() -> Vec<String>) -> Vec<String> {
        let Ok((mut ours, theirs)) = Channel::<Silence, Found>::pair() else {
            return Vec::new();
        };
        let theirs = theirs.into_descriptor();
        let helper = Pid::this();
        let spawned = process::spawn(&[theirs.as_raw_fd()], || {
            let plan = Plan {
                root: if self.kept { Root::Kept } else { Root::Host },
                uid: self.nopriv.uid,
                gid: self.nopriv.gid,
                groups: &[],
                keep: &[],
                limits: LIMITS,
                isolation: Isolation::default(),
                parent: Some(helper),
                // A resolver may do anything its modules want.
                fences: Fences::default(),
            };
            if confine::confine(&plan).is_ok() {
                let found = look_up().into_iter().map(String::into_bytes).collect();
                let _ = Channel::<Found, Silence>::new(theirs).send(&Found(found));
            }
            0
        });
        let Ok(child) = spawned else {
            return Vec::new();
        };
        let deadline = Instant::now().checked_add(patience);
        let found = match socket::readable(ours.as_fd(), deadline) {
            Ok(true) => ours.receive().ok().flatten(),
            Ok(false) | Err(_) => None,
        };
        let _ = kill(child, Signal::SIGKILL);
        let _ = process::wait_for(child);
        let texts = found.map_or_else(Vec::new, |Found(texts)| texts);
        let texts = texts.into_iter().map(String::from_utf8);
        texts.filter_map(Result::ok).collect()
    }
}
