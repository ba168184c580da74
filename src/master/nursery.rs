//! The nursery of auths as master knows it: started where passwords may be checked, replaced when it has ended, and renewed with the
//! settings; master.

use super::RECOVERY;
use super::trouble::Trouble;
use crate::helper::Prepared;
use crate::helper::nursery::{self, OF_NO_USE, OUTDATED, OVER};
use crate::sys::process::Ended;
use crate::sys::socket;
use crate::wire::Channel;
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

/// The nursery of new sessions, and those of earlier ones.
#[derive(Debug, Default)]
pub struct Nursery {
    current: Option<Current>,
    /// Of earlier settings; each ends when no session can ask it any more.
    retired: Vec<Pid>,
    /// It has ended, and another is to be started.
    missing: bool,
    /// When that was last done.
    tried: Option<Instant>,
    starting: Trouble,
}

#[derive(Debug)]
struct Current {
    pid: Pid,
    /// The end that helpers inherit.
    asks: OwnedFd,
}

impl Nursery {
    /// Starts it, if these settings let anybody log in with a password.
    pub fn start(prepared: &Prepared) -> Self {
        let mut all = Self::default();
        all.begin(prepared);
        all
    }

    /// Has the sessions of these settings, which have just come into force, ask another one.
    pub fn renew(&mut self, prepared: &Prepared) {
        // Its socket is closed: it ends with the last session that could ask.
        self.retired.extend(self.current.take().map(|old| old.pid));
        self.begin(prepared);
    }

    /// The nursery of new sessions, and those of earlier ones.
    pub fn all(&self) -> impl Iterator<Item = Pid> {
        let current = self.current.iter().map(|current| current.pid);
        current.chain(self.retired.iter().copied())
    }

    /// Where helpers ask, if they can.
    pub fn asks(&self) -> Option<&OwnedFd> {
        self.current.as_ref().map(|current| &current.asks)
    }

    /// A child has ended, which may have been a nursery; then another is started.
    pub fn left(&mut self, pid: Pid, ended: Ended, prepared: &Prepared) {
        self.retired.retain(|retired| *retired != pid);
        if self.current.take_if(|current| current.pid == pid).is_none() {
            return;
        }
        match ended {
            Ended::Exited(OF_NO_USE) => {
                log::info!("PAM is not kept loaded: each login loads it by itself");
                return;
            }
            Ended::Exited(OUTDATED) => {
                log::info!("PAM, a module or a library has changed: loaded again for new logins");
            }
            Ended::Exited(OVER) => {}
            Ended::Exited(status) => log::error!("the nursery has ended with status {status}"),
            Ended::Killed(signal) => log::error!("the nursery was killed by signal {signal}"),
        }
        self.missing = true;
        self.recover(prepared);
    }

    /// Starts the one that is missing, but not again and again.
    pub fn recover(&mut self, prepared: &Prepared) {
        let lately = self.tried.is_some_and(|tried| tried.elapsed() < RECOVERY);
        if self.missing && !lately {
            self.tried = Some(Instant::now());
            self.begin(prepared);
        }
    }

    fn begin(&mut self, prepared: &Prepared) {
        self.missing = false;
        if !nursery::wanted(prepared) {
            return;
        }
        match fork(prepared) {
            Ok(current) => {
                self.current = Some(current);
                self.starting.over("a nursery could be started again");
            }
            Err(error) => {
                self.missing = true;
                let advice = "each login loads PAM by itself";
                self.starting.say("cannot start a nursery", &error, advice);
            }
        }
    }
}

fn fork(prepared: &Prepared) -> io::Result<Current> {
    let master = Pid::this();
    let (asks, pid) = Channel::fork(&[], |asks| nursery::run(prepared, asks, master))?;
    let asks = asks.into_descriptor();
    // A nursery that is behind is not waited for: helper forks by itself.
    socket::nonblocking(asks.as_fd())?;
    Ok(Current { pid, asks })
}
