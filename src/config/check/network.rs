//! The rules about addresses and ports; runs in the reader, without rights.

use super::Found;
use crate::config::network::Networks;
use crate::config::ports::{advertised, passive};
use crate::config::text::shown;
use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;

pub(super) fn listening(found: &mut Found<'_>) {
    if found.config().listen && found.config().listen_ipv6 {
        let text = "run two copies of vsftpd for IPv4 and IPv6; or set listen=NO: listen_ipv6=YES alone serves both";
        found.add(&["listen", "listen_ipv6"], text.to_owned());
    }
    implicit(found);
}

/// The port for TLS from the first byte is another one, and there is TLS.
fn implicit(found: &mut Found<'_>) {
    let config = found.config();
    let port = config.implicit_listen_port;
    if port == 0 {
        return;
    }
    if !config.ssl_enable {
        let text = format!("implicit_listen_port={port} needs ssl_enable=YES");
        found.add(&["implicit_listen_port", "ssl_enable"], text);
    }
    if port == config.listen_port && (config.listen || config.listen_ipv6) {
        let text = format!(
            "implicit_listen_port={port} is listen_port too: name another port, or set implicit_ssl=YES if there is to be no other"
        );
        found.add(&["implicit_listen_port", "listen_port"], text);
    }
}

pub(super) fn addresses(found: &mut Found<'_>) {
    let config = found.config();
    if let Some(address) = &config.listen_address
        && ipv4(address).is_none()
    {
        found.add(
            &["listen_address"],
            format!(
                "bad listen_address: {} is no IPv4 address",
                shown(address.as_bytes())
            ),
        );
    }
    if let Some(address) = &config.listen_address6
        && !is_ipv6(address)
    {
        found.add(
            &["listen_address6"],
            format!(
                "bad listen_address6: {} is no IPv6 address",
                shown(address.as_bytes())
            ),
        );
    }
    if let Some(address) = &config.listen_address6
        && config.listen_ipv6
        && lacks_interface(address)
    {
        let name = shown(address.as_bytes());
        let text = format!(
            "bad listen_address6: {name} is link-local, and every interface has such addresses: write {name}%eth0 for that of eth0"
        );
        found.add(&["listen_address6"], text);
    }
    if let Some(address) = &config.pasv_address
        && !config.pasv_addr_resolve
        && ipv4(address).is_none()
    {
        let name = shown(address.as_bytes());
        let text = format!(
            "bad pasv_address: {name} is no IPv4 address; a host name needs pasv_addr_resolve=YES"
        );
        found.add(&["pasv_address", "pasv_addr_resolve"], text);
    }
}

pub(super) fn networks(found: &mut Found<'_>) {
    if let Some(text) = &found.config().pasv_address_by_network
        && let Err(bad) = Networks::parse(&text.to_string_lossy())
    {
        let text = format!(
            "pasv_address_by_network: {bad} is no network and address such as 10.0.0.0/8=10.1.2.3"
        );
        found.add(&["pasv_address_by_network"], text);
    }
}

/// What passive mode makes of settings that somebody has meant otherwise.
pub(super) fn passive_mode(found: &mut Found<'_>) {
    let config = found.config();
    let (least, most) = (config.pasv_min_port, config.pasv_max_port);
    // The original takes every smaller value as 1024, and forgets a maximum below the minimum.
    let lowest = least.max(1024);
    if config.pasv_enable && most != 0 && lowest > most {
        let text = format!(
            "pasv_max_port={most} is below the lowest port used, {lowest} (pasv_min_port={least}), and does not count: every \
             port from {lowest} on is used, and a firewall must let them in"
        );
        found.add(&["pasv_max_port", "pasv_min_port"], text);
    }
    if config.pasv_addr_resolve && config.pasv_address.is_none() {
        let text = "pasv_addr_resolve=YES does nothing without a name in pasv_address".to_owned();
        found.add(&["pasv_addr_resolve"], text);
    }
    if let Some(address) = config.pasv_address.as_deref().and_then(ipv4)
        && config.pasv_enable
        && (address.is_unspecified() || address.is_loopback())
    {
        let text = format!(
            "pasv_address={address}: clients on other hosts are told to connect to themselves; set the address they reach this server by"
        );
        found.add(&["pasv_address"], text);
    }
}

/// Options that open what nothing else closes (attacks B-041).
pub(super) fn promiscuous(found: &mut Found<'_>) {
    let config = found.config();
    for (name, allowed, text) in [
        (
            "port_promiscuous",
            config.port_promiscuous && config.port_enable,
            "port_promiscuous=YES lets clients have this server connect to any other host, as it would itself; leave it at NO \
             unless transfers between two servers are wanted",
        ),
        (
            "pasv_promiscuous",
            config.pasv_promiscuous && config.pasv_enable,
            "pasv_promiscuous=YES lets anybody who finds the port take or give data in a client's place; leave it at NO unless \
             transfers between two servers are wanted, or clients whose data comes from another address",
        ),
    ] {
        if allowed {
            found.add(&[name], text.to_owned());
        }
    }
}

pub(super) fn ports(found: &mut Found<'_>) {
    let (range, from) = (
        passive(found.config()),
        found.config().pasv_advertise_min_port,
    );
    if advertised(found.config(), *range.end()).is_none() {
        let text = format!(
            "pasv_advertise_min_port={from}: with the local ports {} to {} clients would be told ports above 65535; lower it, or set \
             pasv_max_port",
            range.start(),
            range.end()
        );
        let names = ["pasv_advertise_min_port", "pasv_max_port", "pasv_min_port"];
        found.add(&names, text);
    }
}

fn ipv4(text: &OsStr) -> Option<Ipv4Addr> {
    text.to_str()?.parse().ok()
}

/// Whether this is a numeric IPv6 address, perhaps with the interface of a link-local one behind a `%`.
fn is_ipv6(text: &OsStr) -> bool {
    let Some(text) = text.to_str() else {
        return false;
    };
    let (address, interface) = text.split_once('%').unwrap_or((text, "-"));
    address.parse::<Ipv6Addr>().is_ok() && !interface.is_empty()
}

/// Whether this is a link-local address without its interface, to which the kernel binds nothing.
fn lacks_interface(text: &OsStr) -> bool {
    let address = text.to_str().and_then(|text| text.parse::<Ipv6Addr>().ok());
    address.is_some_and(|address| address.is_unicast_link_local())
}
