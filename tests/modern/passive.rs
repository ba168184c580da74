//! pasv_address_by_network, pasv_advertise_min_port.

use crate::support::{Client, Host, Server};
use std::io::Read;
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

/// Behind a router that maps ports: 227 and 229 show its ports, the server listens on its own.
#[test]
fn ports_are_told_as_the_router_has_them() {
    let host = Host::new();
    let range = "pasv_min_port=5000\npasv_max_port=5000\n";
    host.mkdir("/etc/users", 0);
    host.write("/etc/users/bob", "pasv_advertise_min_port=1\n");
    let server = Server::start(
        &host,
        &format!("{range}pasv_advertise_min_port=60000\nuser_config_dir=/etc/users\n"),
    );
    let mut c = Client::alice();
    for told in [c.pasv().port(), c.epsv()] {
        assert_eq!(told, 60000);
    }
    c.send(b"RETR f\r\n");
    let mut data = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, 5000)).unwrap();
    let mut got = Vec::new();
    data.read_to_end(&mut got).unwrap();
    assert_eq!(got, host.read("/home/alice/f"));
    drop(c);
    assert_eq!(Client::user("bob").epsv(), 1);
    drop(server);
    for (lines, said) in [
        (
            "pasv_min_port=5000\npasv_max_port=5010\npasv_advertise_min_port=65526\n",
            true,
        ),
        ("pasv_min_port=5000\npasv_advertise_min_port=5001\n", true),
        (
            "pasv_min_port=5000\npasv_max_port=5010\npasv_advertise_min_port=65525\n",
            false,
        ),
    ] {
        if said {
            let (_, said) = Server::refused(&host, lines);
            assert!(
                said.contains("clients would be told ports above 65535"),
                "{said}"
            );
        } else {
            Server::start(&host, lines);
        }
    }
}
