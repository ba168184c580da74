//! How this program was started: on its own, with a listening socket passed to it, or for one connection by inetd or systemd; master.

use super::listen::Listeners;
use crate::config::{Config, Loaded};
use crate::sys::{process, socket};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

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

/// Sockets this process was started with, taken over before anything else is opened: those that systemd has passed (sd_listen_fds(3)), and then
/// standard input, if it is an Internet socket: inetd, or systemd with `StandardInput=socket`. Some of them listen.
#[derive(Debug, Default)]
pub struct Inherited {
    all: Vec<TcpStream>,
}

impl Inherited {
    /// Takes what was inherited. Every descriptor above 2 that is not among it is closed: what a shell or an earlier program left
    /// open is nobody's business here (attacks B-127).
    pub fn take() -> Self {
        let passed = process::passed_descriptors();
        let numbers: Vec<_> = passed.iter().map(AsRawFd::as_raw_fd).collect();
        process::close_except(&numbers);
        let mut all: Vec<TcpStream> = passed.into_iter().map(TcpStream::from).collect();
        let input = std::io::stdin().as_fd().try_clone_to_owned();
        let input = input.ok().map(TcpStream::from);
        all.extend(input.filter(|input| input.local_addr().is_ok()));
        Self { all }
    }

    /// The client, if this program was started for one: passed by systemd, or standard input and most likely standard error.
    pub fn connection(&self) -> Option<BorrowedFd<'_>> {
        let mut all = self.all.iter();
        let one = all.find(|one| !listens(one) && one.peer_addr().is_ok());
        one.map(AsFd::as_fd)
    }

    /// Whether there is nothing for a server that is told to listen: a connection to another port is that of whoever has started it, from a
    /// page of the web perhaps. One to its own port is a client's: who has passed it has that port too.
    fn is_nothing(&self, loaded: &Loaded) -> bool {
        let (config, told) = (&loaded.config, loaded.is_set("listen"));
        let own = [config.listen_port, config.implicit_listen_port];
        let port = |one: &TcpStream| one.local_addr().map_or(0, |at| at.port().into());
        let another = |one| !listens(one) && !own.contains(&port(one));
        self.all.is_empty() || (told || config.listen_ipv6) && self.all.iter().all(another)
    }

    /// What to serve, as far as that was inherited.
    fn service(self) -> Option<Service> {
        let mut listeners = Vec::new();
        for found in self.all {
            // What is no socket fails at the next step.
            let _ = socket::urgent_in_line(found.as_fd());
            // A socket of another kind has no address that is understood here, and none of its clients has.
            // It may have been passed blocking; a connection that goes away must not hold the server.
            if listens(&found) && found.local_addr().is_ok() && found.set_nonblocking(true).is_ok()
            {
                listeners.push(TcpListener::from(OwnedFd::from(found)));
            } else if let (Ok(peer), Ok(local)) = (found.peer_addr(), found.local_addr()) {
                let client = found.into();
                return Some(Service::One {
                    client,
                    peer,
                    local,
                });
            }
        }
        (!listeners.is_empty()).then(|| Service::Listen(Listeners::passed(listeners)))
    }
}

fn listens(socket: &TcpStream) -> bool {
    socket::is_listening(socket.as_fd())
}

/// Decides what to serve: with `listen` or `listen_ipv6` a socket of its own, unless one was inherited that is for it; else what was.
///
/// # Errors
/// A sentence for the terminal that begins with the original's words.
pub fn service(loaded: &Loaded, inherited: Inherited) -> Result<Service, String> {
    let own = loaded.config.listen || loaded.config.listen_ipv6;
    if own && inherited.is_nothing(loaded) {
        return Listeners::open(&loaded.config).map(Service::Listen);
    }
    inherited.service().ok_or_else(|| {
        "vsftpd: not configured for standalone, must be started from inetd (set listen=YES or listen_ipv6=YES; a socket \
         that is passed must listen on a port of TCP, or have a client)"
            .to_owned()
    })
}

/// What is served, for the log.
pub fn describe(service: &Service, config: &Config) -> String {
    match service {
        Service::Listen(listeners) => listeners.describe(config),
        Service::One { peer, .. } => format!("one connection of {}", peer.ip()),
    }
}
