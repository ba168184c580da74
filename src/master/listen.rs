//! The listening socket the options ask for; master, at start.

use crate::config::Config;
use crate::sys::socket;
use nix::errno::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::OwnedFd;

/// Binds and listens.
///
/// # Errors
/// A sentence for the terminal that begins with the original's words.
pub fn open(config: &Config) -> Result<OwnedFd, String> {
    let at = address(config)?;
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
        Some(Errno::EADDRINUSE) => ": another server has this port; stop it or set listen_port",
        Some(Errno::EADDRNOTAVAIL) => ": this host does not have that address",
        Some(_) | None => "",
    };
    format!("could not bind listening {family} socket {at}: {error}{hint}")
}

fn address(config: &Config) -> Result<SocketAddr, String> {
    let port =
        u16::try_from(config.listen_port).map_err(|_| "listen_port is above 65535".to_owned())?;
    if config.listen_ipv6 {
        let Some(text) = config.listen_address6.as_deref() else {
            return Ok(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
        };
        let text = text.to_string_lossy();
        let bad = || format!("bad listen_address6: {text}");
        let (ip, scope) = match text.split_once('%') {
            Some((ip, name)) => (ip, nix::net::if_::if_nametoindex(name).map_err(|_| bad())?),
            None => (&*text, 0),
        };
        let ip = ip.parse().map_err(|_| bad())?;
        Ok(SocketAddrV6::new(ip, port, 0, scope).into())
    } else {
        let Some(text) = config.listen_address.as_deref() else {
            return Ok(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
        };
        let text = text.to_string_lossy();
        let ip: Ipv4Addr = text
            .parse()
            .map_err(|_| format!("bad listen_address: {text}"))?;
        Ok(SocketAddr::new(IpAddr::V4(ip), port))
    }
}
