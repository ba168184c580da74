//! Which local port active data connections come from, from the options; helper.

use crate::config::Config;
use std::net::{IpAddr, SocketAddr};

/// Where an active data connection comes from.
pub fn source(config: &Config, local: IpAddr) -> SocketAddr {
    let port = if config.connect_from_port_20 {
        u16::try_from(config.ftp_data_port).unwrap_or(20)
    } else {
        0
    };
    SocketAddr::new(local, port)
}
