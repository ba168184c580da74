//! The listening sockets the options ask for; master, at start and at a reload.

use crate::config::Config;
use crate::sys::{process, socket};
use nix::errno::Errno;
use std::fmt::Display;
use std::net::{AddrParseError, Ipv4Addr, SocketAddr, TcpListener};

/// The listening sockets, and whether this program has made them itself.
#[derive(Debug)]
pub struct Listeners {
    sockets: Vec<TcpListener>,
    /// Where the options wanted the first, if it was made here.
    own: Option<SocketAddr>,
}

/// The most there can be: what is passed, and two of our own.
pub const MOST: usize = process::MOST_PASSED + 2;

impl Listeners {
    /// Those that were passed by whoever has started this program.
    pub fn passed(sockets: Vec<TcpListener>) -> Self {
        Self { sockets, own: None }
    }

    /// Binds and listens: on `listen_port`, and on `implicit_listen_port` if there is one.
    ///
    /// # Errors
    /// A sentence for the terminal that begins with the original's words.
    pub fn open(config: &Config) -> Result<Self, String> {
        let mut sockets = vec![open(config, config.listen_port)?];
        if config.implicit_listen_port != 0 {
            sockets.push(open(config, config.implicit_listen_port)?);
        }
        let own = Some(address(config, config.listen_port)?);
        Ok(Self { sockets, own })
    }

    /// All of them.
    pub fn all(&self) -> &[TcpListener] {
        &self.sockets
    }

    /// After a reload: opens the second port, if it is another one now; what is given is to be taken with [`Listeners::renew`].
    ///
    /// # Errors
    /// As [`Listeners::open`].
    pub fn second(&self, old: &Config, new: &Config) -> Result<Second, String> {
        let (before, now) = (old.implicit_listen_port, new.implicit_listen_port);
        if self.own.is_none() || before == now {
            return Ok(None);
        }
        let another = (now != 0).then(|| open(new, now)).transpose();
        another.map(Some)
    }

    /// Takes the second port of a reload that holds.
    pub fn renew(&mut self, second: Second) {
        if let Some(second) = second {
            self.sockets.truncate(1);
            self.sockets.extend(second);
        }
    }

    /// After a reload: says so if the options want the first socket elsewhere, which takes a restart.
    pub fn stays(&self, new: &Config) {
        let wanted = address(new, new.listen_port).ok();
        let wanted = wanted.filter(|_| new.listen || new.listen_ipv6);
        if let Some(own) = self.own.filter(|own| wanted != Some(*own)) {
            let wanted = wanted.map_or("otherwise".to_owned(), |at| format!("on {at}"));
            log::warn!("listening on {own} as before; restart the server to listen {wanted}");
        }
    }

    /// What they listen on, for the log; which also hears if no socket is there for `implicit_listen_port`.
    pub fn describe(&self, config: &Config) -> String {
        let port = config.implicit_listen_port;
        let mut missing = port != 0;
        let one = |listener: &TcpListener| {
            let at = listener.local_addr();
            let implicit = at.as_ref().is_ok_and(|at| u32::from(at.port()) == port);
            missing &= !implicit;
            let at = at.map_or("?".to_owned(), |at| at.to_string());
            let how = if implicit {
                " (TLS from the first byte)"
            } else {
                ""
            };
            at + how
        };
        let all: Vec<String> = self.sockets.iter().map(one).collect();
        if missing {
            log::warn!(
                "implicit_listen_port={port}: none of the sockets passed to this server listens there; add it to the socket unit"
            );
        }
        all.join(" and ")
    }
}

/// What becomes of the second port with a reload, if anything does: there is another one, or none any more.
pub type Second = Option<Option<TcpListener>>;

/// Binds and listens on one port.
fn open(config: &Config, port: u32) -> Result<TcpListener, String> {
    let at = address(config, port)?;
    match socket::listen(at) {
        Ok(socket) => Ok(socket),
        Err(error) if without_ipv6(&error) && at.is_ipv6() && config.listen_address6.is_none() => {
            log::warn!("this host has no IPv6: listening on IPv4 only");
            let at = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), at.port());
            socket::listen(at).map_err(|error| refusal(at, &error))
        }
        Err(error) => Err(refusal(at, &error)),
    }
}

fn without_ipv6(error: &std::io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw);
    matches!(code, Some(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL))
}

fn refusal(at: SocketAddr, error: &std::io::Error) -> String {
    let family = if at.is_ipv4() { "IPv4" } else { "IPv6" };
    let hint = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EADDRINUSE) => {
            ": another server has this port; stop it or set listen_port or implicit_listen_port"
        }
        Some(Errno::EACCES) => ": it takes CAP_NET_BIND_SERVICE, or a port from 1024 on",
        Some(Errno::EADDRNOTAVAIL) => ": this host does not have that address",
        Some(_) | None => "",
    };
    format!("could not bind listening {family} socket {at}: {error}{hint}")
}

fn address(config: &Config, port: u32) -> Result<SocketAddr, String> {
    let (option, written, any) = if config.listen_ipv6 {
        ("listen_address6", &config.listen_address6, "::")
    } else {
        ("listen_address", &config.listen_address, "0.0.0.0")
    };
    let text = written.as_deref().unwrap_or(any.as_ref()).to_string_lossy();
    let bad = |why: &dyn Display| format!("bad {option}: {text}: {why}");
    let (ip, link) = text
        .split_once('%')
        .map_or((&*text, None), |(ip, link)| (ip, Some(link)));
    let ip = ip.parse().map_err(|why: AddrParseError| bad(&why))?;
    let mut at = SocketAddr::new(ip, u16::try_from(port).map_err(|why| bad(&why))?);
    if let (SocketAddr::V6(at), Some(link)) = (&mut at, link) {
        at.set_scope_id(nix::net::if_::if_nametoindex(link).map_err(|why| bad(&why))?);
    }
    Ok(at)
}
