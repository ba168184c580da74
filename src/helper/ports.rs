//! Which local port active data connections come from, from the options; helper.

use crate::config::Config;
use crate::sys::socket;
use std::net::SocketAddr;

/// Where an active data connection comes from.
pub fn source(config: &Config, local: SocketAddr) -> SocketAddr {
    let port = if config.connect_from_port_20 {
        u16::try_from(config.ftp_data_port).unwrap_or(20)
    } else {
        0
    };
    socket::at_port(local, port)
}
