//! New connections: taken, counted, refused with one write, or given a helper; and what is done when the kernel cannot; master.

use super::keys::Keys;
use super::trouble::Trouble;
use super::{Master, RELIEF};
use crate::helper::{self, Counts, Session};
use crate::sys::oom;
use crate::sys::process;
use crate::sys::socket::Parcel;
use crate::tls::Secure;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Instant;

/// Connections taken, or failures met, before anything else is looked after again: a flood must not keep ended sessions from being
/// booked out.
const BURST: u32 = 64;

/// What the kernel cannot do now.
#[derive(Debug, Default)]
pub struct Relief {
    /// The listeners are left alone until then.
    until: Option<Instant>,
    accepting: Trouble,
    forking: Trouble,
}

impl Relief {
    /// Until when the listeners are left alone.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Accepting fails: leaves the listeners alone for a while.
    fn pause(&mut self, error: &io::Error) {
        let advice = match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EMFILE) => "raise the limit of open files of this service",
            Some(Errno::ENFILE) => "the host has too many open files: raise fs.file-max",
            Some(Errno::ENOMEM | Errno::ENOBUFS) => {
                "the host, or what this service may use of it, is short of memory"
            }
            Some(Errno::EPERM | Errno::EACCES) => "a firewall or security module forbids it",
            Some(_) | None => "trying again ten times a second",
        };
        self.accepting.say("cannot accept clients", error, advice);
        self.until = Instant::now().checked_add(RELIEF);
    }
}

impl Master {
    /// Takes the connections that wait on any listener.
    pub(super) fn admit_all(&mut self) {
        let until = self.relief.until;
        if until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        self.relief.until = None;
        for at in 0..self.listeners.all().len() {
            self.admit_waiting(at);
        }
    }

    fn admit_waiting(&mut self, listener: usize) {
        let mut failed = 0_u32;
        for _ in 0..BURST {
            let Some(listener) = self.listeners.all().get(listener) else {
                return;
            };
            let error = match listener.accept() {
                Ok((client, peer)) => {
                    failed = 0;
                    self.relief.accepting.over("clients are accepted again");
                    self.admit(client, peer);
                    continue;
                }
                Err(error) => error,
            };
            match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EAGAIN) => return,
                Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
                    return self.relief.pause(&error);
                }
                // The client was gone before we came, or may not come: its affair (attacks A47), unless it never ends.
                Some(_) | None => failed = failed.saturating_add(1),
            }
            if failed == BURST {
                self.relief.pause(&error);
            }
        }
    }

    /// One connection: counted, refused with one write, or given a helper.
    fn admit(&mut self, client: TcpStream, peer: SocketAddr) {
        let Ok(local) = client.local_addr() else {
            return;
        };
        let client = Parcel::new(client.into());
        self.zone.follow();
        self.recover();
        // What was told before this client came counts for it.
        self.hear_helpers();
        let config = self.prepared.config();
        let deeds = self.ledger.of(peer.ip().into(), config, Instant::now());
        let counts = self.roster.with(peer.ip(), deeds);
        // Where a file for the address may set other limits, helper judges.
        let load_conf = self.load_conf.as_deref();
        if !helper::decides(&self.prepared, load_conf)
            && let Some(refused) = helper::limited(counts, config)
        {
            return helper::turn_away(config, &client, peer, refused);
        }
        let secure = self.keys.as_mut().and_then(Keys::session);
        let room = self.roster.reserve();
        // Taken by the child; this process keeps it until it knows that there is one.
        let mut parcel = Some(client);
        let ends = (peer, local);
        let forked = room.and_then(|()| self.fork_helper(&mut parcel, secure, ends, counts));
        let trouble = &mut self.relief.forking;
        match forked {
            Ok(pid) => {
                self.roster.entered(pid, peer.ip());
                trouble.over("processes are made again");
            }
            Err(error) => {
                if let Some(client) = parcel {
                    client.last_word(helper::BUSY);
                }
                let advice = "clients are told 421; raise the limit of processes (TasksMax, pids.max, kernel.pid_max) or memory";
                trouble.say("cannot make a process for a client", &error, advice);
            }
        }
    }

    /// Forks the helper of a session. What is needed for that stands on the stack: of each page of the heap that master writes to for a client,
    /// the sessions there are would keep a copy.
    fn fork_helper(
        &self,
        client: &mut Option<Parcel>,
        secure: Option<Secure>,
        (peer, local): (SocketAddr, SocketAddr),
        counts: Counts,
    ) -> io::Result<Pid> {
        let number = client.as_ref().map_or(-1, Parcel::number);
        let kept = [
            number,
            self.reports.speaks().as_raw_fd(),
            secure.as_ref().map_or(number, |one| one.keys.as_raw_fd()),
            self.nursery.asks().map_or(number, AsRawFd::as_raw_fd),
        ];
        let body = || {
            oom::do_not_spare();
            let Some(client) = client.take() else {
                return 1;
            };
            helper::run(Session {
                prepared: &self.prepared,
                secure,
                client,
                peer,
                local,
                counts: Some(counts),
                reports: Some(self.reports.speaks()),
                nursery: self.nursery.asks(),
                load_conf: self.load_conf.as_deref(),
            })
        };
        process::spawn(&kept, body)
    }
}
