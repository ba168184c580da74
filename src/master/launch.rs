//! How this program was started: on its own, with a listening socket passed to it, or for one connection by inetd or systemd; master.

use super::listen::Listeners;
use crate::config::Config;
use crate::sys::{process, socket};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What there is to serve.
#[derive(Debug)]
pub enum Service {
    /// Connections that these sockets take.
    Listen(Listeners),
    /// This one connection.
    One {
        /// It.
        client: OwnedFd,
        /// The client's address.
        peer: SocketAddr,
        /// The address it reached us by.
        local: SocketAddr,
    },
}

/// Sockets this process was started with, taken over before anything else is opened.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Passed by systemd (sd_listen_fds(3)).
    passed: Vec<OwnedFd>,
    /// Standard input, if it is an Internet socket: inetd, or systemd with `StandardInput=socket`.
    input: Option<OwnedFd>,
}

impl Inherited {
    /// Takes what was inherited. Every descriptor above 2 that is not among it is closed: what a shell or an earlier program left
    /// open is nobody's business here (attacks B-127).
    pub fn take() -> Self {
        let passed = process::passed_descriptors();
        let numbers: Vec<_> = passed.iter().map(std::os::fd::AsRawFd::as_raw_fd).collect();
        process::close_except(&numbers);
        let input = std::io::stdin();
        let input = socket::local(input.as_fd())
            .ok()
            .and_then(|_| input.as_fd().try_clone_to_owned().ok());
        Self { passed, input }
    }

    /// The client, if this program was started for one: passed by systemd, or standard input and most likely standard error.
    pub fn connection(&self) -> Option<BorrowedFd<'_>> {
        let all = self.passed.iter().chain(&self.input).map(AsFd::as_fd);
        all.into_iter()
            .find(|one| !socket::is_listening(*one) && socket::peer(*one).is_ok())
    }

    /// What to serve, as far as that was inherited.
    fn service(self) -> Option<Service> {
        let mut listeners = Vec::new();
        for found in self.passed.into_iter().chain(self.input) {
            if socket::is_listening(found.as_fd()) {
                // It may have been passed blocking; a connection that goes away must not hold the server.
                if socket::nonblocking(found.as_fd()).is_ok() {
                    listeners.push(found.into());
                }
            } else if let (Ok(peer), Ok(local)) =
                (socket::peer(found.as_fd()), socket::local(found.as_fd()))
            {
                return Some(Service::One {
                    client: found,
                    peer,
                    local,
                });
            }
        }
        (!listeners.is_empty()).then(|| Service::Listen(Listeners::passed(listeners)))
    }
}

/// Decides what to serve: with `listen` or `listen_ipv6` a socket of its own, unless one was inherited; else what was.
///
/// # Errors
/// A sentence for the terminal that begins with the original's words.
pub fn service(config: &Config, inherited: Inherited) -> Result<Service, String> {
    let own = config.listen || config.listen_ipv6;
    if own && inherited.passed.is_empty() && inherited.input.is_none() {
        return Listeners::open(config).map(Service::Listen);
    }
    inherited.service().ok_or_else(|| {
        "vsftpd: not configured for standalone, must be started from inetd (set listen=YES or listen_ipv6=YES)"
            .to_owned()
    })
}

/// What is served, for the log.
pub fn describe(service: &Service, config: &Config) -> String {
    match service {
        Service::Listen(listeners) => {
            listeners.warn(config);
            listeners.describe(config)
        }
        Service::One { peer, .. } => format!("one connection of {}", peer.ip()),
    }
}
