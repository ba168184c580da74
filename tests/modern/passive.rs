//! pasv_address_by_network.

use crate::support::{Client, Host, Server};
use std::net::{IpAddr, Ipv4Addr};

#[test]
fn each_network_sees_its_own_address() {
    let host = Host::new();
    let server = Server::start(
        &host,
        "pasv_address=203.0.113.9\npasv_address_by_network=127.0.0.2=127.0.0.1, 10.0.0.0/8=10.1.2.3\n",
    );
    let from = |last| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    let mut c = Client::dial_from(from(2), from(1)).greeted();
    c.login("alice");
    assert_eq!(c.pasv().ip(), from(1));
    let mut c = Client::dial_from(from(1), from(1)).greeted();
    c.login("alice");
    assert_eq!(c.pasv().ip(), IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)));
    drop(server);
    let (_, said) = Server::refused(&host, "pasv_address_by_network=10.0.0.0/8\n");
    assert!(
        said.contains("pasv_address_by_network: 10.0.0.0/8 is no network"),
        "{said}"
    );
}
