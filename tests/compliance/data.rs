//! Data connections: who may be connected to, from where, over which family (reference 3.4, 5.4 to 5.6, 9.1).

use crate::support::client::connect_from;
use crate::support::{Client, Host, Server};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

const PORT_OK: &str = "200 PORT command successful. Consider using PASV.";
const EPRT_OK: &str = "200 EPRT command successful. Consider using EPSV.";
const ILLEGAL: &str = "500 Illegal PORT command.";
const NO_CONNECTION: &str = "425 Failed to establish connection.";
const NONE: &str = "425 Use PORT or PASV first.";
const DENIED: &str = "550 Permission denied.";

#[test]
fn passive_replies() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    assert_eq!(c.pasv().ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert!(c.epsv() >= 1024);
    assert_eq!(c.cmd("EPSV 1").code(), "229");
    assert_eq!(c.cmd("P@SW").code(), "227");
    for command in ["EPSV ", "EPSV 1 ", "EPSV  1", "EPSV  1  "] {
        assert_eq!(c.cmd(command).code(), "229", "{command:?}");
    }
    for command in [
        "EPSV 2",
        "EPSV 3",
        "EPSV x",
        "EPSV  2",
        "EPSV  ",
        "EPSV ALL ",
    ] {
        c.says(command, "522 Bad network protocol.");
    }
}

#[test]
fn a_passive_transfer_over_pasv() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let mut data = TcpStream::connect(c.pasv()).unwrap();
    assert_eq!(c.cmd("RETR f").code(), "150");
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"hello world\n");
    c.next("226 Transfer complete.");
}

/// attacks B-030.
#[test]
fn port_commands() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.script(&[
        ("PORT", ILLEGAL),
        ("PORT 1,2,3", ILLEGAL),
        ("PORT 127,0,0,1,3,255", ILLEGAL),
        ("PORT 127,0,0,1,4,0", PORT_OK),
        ("PORT  127,  0,  0,  1, 4,  0 ", PORT_OK),
        ("PORT 127,0,0,2,9,9", ILLEGAL),
        ("PORT 8,8,8,8,9,9", ILLEGAL),
        ("PORT 300,0,0,1,9,9", ILLEGAL),
        ("PORT a,b,c,d,e,f", ILLEGAL),
        ("PORT 127,0,0,1,9,9,9", ILLEGAL),
        ("PORT 127,0,0,1,9", ILLEGAL),
        ("PORT 127,0,0,1,256,9", ILLEGAL),
    ]);
}

/// attacks B-031.
#[test]
fn eprt_commands() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.script(&[
        ("EPRT", "500 Bad EPRT protocol."),
        ("EPRT |1|127.0.0.1|2313|", EPRT_OK),
        ("EPRT |1|127.0.0.2|2313|", "500 Illegal EPRT command."),
        ("EPRT |1|127.0.0.1|80|", "500 Illegal EPRT command."),
        ("EPRT |3|127.0.0.1|2313|", "500 Bad EPRT protocol."),
        ("EPRT |2|::1|2313|", "500 Bad EPRT protocol."),
        ("EPRT |1|127.0.0.1|2313", EPRT_OK),
        ("EPRT |1|xx|2313|", "500 Bad EPRT command."),
        ("EPRT !1!127.0.0.1!2313!", "500 Bad EPRT command."),
        ("EPRT |1|127.0.0.1|99999|", "500 Bad EPRT command."),
        ("EPRT |1|127.0.0.1||", "500 Bad EPRT command."),
    ]);
}

/// attacks B-037.
#[test]
fn epsv_all() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.script(&[
        ("EPSV ALL", "200 EPSV ALL ok."),
        ("PASV", DENIED),
        ("P@SW", "500 Unknown command."),
        ("PORT 127,0,0,1,9,9", DENIED),
        ("EPSV ALL", "200 EPSV ALL ok."),
    ]);
    if !host.ours() {
        // RFC 2428 section 4 forbids EPRT too; the original forgets it (reference 10, 31).
        c.says("EPRT |1|127.0.0.1|2313|", EPRT_OK);
    }
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
}

fn download_actively(c: &mut Client) -> SocketAddr {
    let listener = c.active();
    c.send(b"RETR f\r\n");
    let (mut data, peer) = listener.accept().unwrap();
    assert_eq!(c.reply().code(), "150");
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"hello world\n");
    c.next("226 Transfer complete.");
    peer
}

#[test]
fn active_transfers() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let peer = download_actively(&mut Client::alice());
    assert_eq!(peer.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_ne!(peer.port(), 20);
}

#[test]
fn active_transfers_come_from_port_20() {
    let host = Host::new();
    let _server = Server::start(&host, "connect_from_port_20=YES\n");
    let mut c = Client::alice();
    for _ in 0..2 {
        assert_eq!(download_actively(&mut c).port(), 20);
    }
}

#[test]
fn active_transfers_of_anonymous_come_from_port_20() {
    let host = Host::new();
    host.write("/srv/ftp/f", "hello world\n");
    let _server = Server::start(&host, "connect_from_port_20=YES\n");
    assert_eq!(download_actively(&mut Client::anonymous()).port(), 20);
}

#[test]
fn active_transfers_come_from_another_port_if_told_so() {
    let host = Host::new();
    let _server = Server::start(&host, "connect_from_port_20=YES\nftp_data_port=2020\n");
    assert_eq!(download_actively(&mut Client::alice()).port(), 2020);
}

#[test]
fn active_uploads() {
    let host = Host::new();
    let _server = Server::start(&host, "connect_from_port_20=YES\n");
    let mut c = Client::alice();
    let listener = c.active();
    c.send(b"STOR up\r\n");
    let (mut data, _) = listener.accept().unwrap();
    c.next("150 Ok to send data.");
    std::io::Write::write_all(&mut data, b"active").unwrap();
    drop(data);
    c.next("226 Transfer complete.");
    assert_eq!(host.read("/home/alice/up"), b"active");
}

#[test]
fn nobody_listens() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.script(&[
        ("PORT 127,0,0,1,9,9", PORT_OK),
        ("LIST", NO_CONNECTION),
        ("LIST", NONE),
        ("EPRT |1|127.0.0.1|2313|", EPRT_OK),
        ("RETR f", NO_CONNECTION),
    ]);
}

/// attacks B-047.
#[test]
fn pasv_discards_port_and_port_discards_pasv() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let listener = c.active();
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
    drop(listener);
    let passive = c.pasv();
    download_actively(&mut c);
    assert!(
        TcpStream::connect(passive).is_err(),
        "the passive listener is gone"
    );
}

/// attacks B-042.
#[test]
fn a_stranger_may_not_take_the_data_connection() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let port = c.epsv();
    let mut stranger = connect_from(
        "127.0.0.2".parse().unwrap(),
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
    );
    if host.ours() {
        // Ours may drop the stranger and go on waiting for the client; it never serves the stranger (reference 10).
        let mut friend = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
        let reply = c.cmd("RETR f");
        if reply.code() == "150" {
            let mut bytes = Vec::new();
            friend.as_mut().unwrap().read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, b"hello world\n");
        } else {
            assert_eq!(reply.text(), "425 Security: Bad IP connecting.");
        }
    } else {
        c.says("RETR f", "425 Security: Bad IP connecting.");
        c.says("LIST", NONE);
    }
    let mut bytes = Vec::new();
    let _ = stranger.read_to_end(&mut bytes);
    assert!(bytes.is_empty(), "the stranger got {bytes:?}");
}

#[test]
fn pasv_promiscuous() {
    let host = Host::new();
    let _server = Server::start(&host, "pasv_promiscuous=YES\n");
    let mut c = Client::alice();
    let port = c.epsv();
    let mut other = connect_from(
        "127.0.0.2".parse().unwrap(),
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
    );
    assert_eq!(c.cmd("RETR f").code(), "150");
    let mut bytes = Vec::new();
    other.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"hello world\n");
}

#[test]
fn port_promiscuous() {
    let host = Host::new();
    let _server = Server::start(&host, "port_promiscuous=YES\n");
    let mut c = Client::alice();
    let listener = TcpListener::bind("127.0.0.2:2313").unwrap();
    c.says("PORT 127,0,0,2,9,9", PORT_OK);
    c.send(b"RETR f\r\n");
    let (mut data, _) = listener.accept().unwrap();
    assert_eq!(c.reply().code(), "150");
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"hello world\n");
}

#[test]
fn passive_ports_stay_in_range() {
    let host = Host::new();
    let _server = Server::start(&host, "pasv_min_port=4000\npasv_max_port=4003\n");
    let mut c = Client::alice();
    for _ in 0..20 {
        let port = c.epsv();
        assert!((4000..=4003).contains(&port), "{port}");
    }
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
}

#[test]
fn one_passive_port_serves_many_transfers() {
    let host = Host::new();
    let _server = Server::start(&host, "pasv_min_port=4000\npasv_max_port=4000\n");
    let mut c = Client::alice();
    for _ in 0..10 {
        assert_eq!(c.fetch("RETR f"), b"hello world\n");
    }
}

/// attacks B-048.
#[test]
fn an_exhausted_range() {
    let host = Host::new();
    let _server = Server::start(&host, "pasv_min_port=4000\npasv_max_port=4000\n");
    let mut first = Client::alice();
    assert_eq!(first.epsv(), 4000);
    let mut second = Client::alice();
    let reply = second.cmd("EPSV");
    if host.ours() {
        // The original dies of it with a 500 OOPS (reference 10); ours keeps the session.
        assert_eq!(reply.code(), "425", "{}", reply.text());
        second.says("NOOP", "200 NOOP ok.");
    } else {
        assert_eq!(reply.text(), "500 OOPS: vsf_sysutil_bind");
    }
}

#[test]
fn pasv_address() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "pasv_address=10.1.2.3\npasv_min_port=4000\npasv_max_port=4000\n",
    );
    let mut c = Client::alice();
    c.says("PASV", "227 Entering Passive Mode (10,1,2,3,15,160).");
    c.says("EPSV", "229 Entering Extended Passive Mode (|||4000|)");
}

#[test]
fn accept_timeout() {
    let host = Host::new();
    let _server = Server::start(&host, "accept_timeout=1\n");
    let mut c = Client::alice();
    c.pasv();
    c.script(&[
        ("LIST", NO_CONNECTION),
        ("LIST", NONE),
        ("NOOP", "200 NOOP ok."),
    ]);
}

/// attacks B-031.
#[test]
fn ipv6_sessions() {
    let host = Host::new();
    let _server = Server::start(&host, "listen=NO\nlisten_ipv6=YES\n");
    let mut c = Client::connect6();
    c.login("alice");
    assert_eq!(c.cmd("EPSV 1").code(), "229");
    assert_eq!(c.cmd("EPSV 2").code(), "229");
    c.script(&[
        ("PORT 127,0,0,1,9,9", ILLEGAL),
        ("EPRT |2|::1|2313|", EPRT_OK),
        ("EPRT |1|127.0.0.1|2313|", "500 Illegal EPRT command."),
        ("EPRT |2|::2|2313|", "500 Illegal EPRT command."),
    ]);
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
    assert!(c.cmd("STAT").text().contains("     Connected to ::1\r\n"));
}

#[test]
fn active_ipv6_comes_from_port_20() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "listen=NO\nlisten_ipv6=YES\nconnect_from_port_20=YES\n",
    );
    let mut c = Client::connect6();
    c.login("alice");
    let peer = download_actively(&mut c);
    assert_eq!(
        (peer.ip(), peer.port()),
        (IpAddr::V6(Ipv6Addr::LOCALHOST), 20)
    );
}

/// Such an address is nothing without the interface it belongs to (RFC 4007) (attacks B-031).
#[test]
fn link_local_addresses() {
    let host = Host::new();
    let added = std::process::Command::new("ip")
        .args(["-6", "address", "add", "fe80::21/64", "dev", "lo", "nodad"])
        .status();
    assert!(added.unwrap().success());
    let lines = "listen=NO\nlisten_ipv6=YES\nconnect_from_port_20=YES\n";
    let _server = Server::start(&host, lines);
    let here = |port| std::net::SocketAddrV6::new("fe80::21".parse().unwrap(), port, 0, 1);
    let mut c = Client::to(here(21).into()).greeted();
    c.login("alice");
    let read = |mut data: TcpStream| {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"hello world\n");
    };
    let data = TcpStream::connect(here(c.epsv())).unwrap();
    assert_eq!(c.cmd("RETR f").code(), "150");
    read(data);
    c.next("226 Transfer complete.");
    let listener = TcpListener::bind(here(0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    c.says(&format!("EPRT |2|fe80::21|{port}|"), EPRT_OK);
    c.send(b"RETR f\r\n");
    let (data, from) = listener.accept().unwrap();
    assert_eq!((from.ip(), from.port()), (IpAddr::V6(*here(0).ip()), 20));
    assert_eq!(c.reply().code(), "150");
    read(data);
    c.next("226 Transfer complete.");
}

/// attacks B-034.
#[test]
fn ipv4_on_a_dual_stack_listener() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "listen=NO\nlisten_ipv6=YES\nconnect_from_port_20=YES\n",
    );
    let mut c = Client::alice();
    assert_eq!(c.pasv().ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(c.cmd("EPSV").code(), "229");
    c.script(&[
        ("PORT 127,0,0,2,9,9", ILLEGAL),
        ("EPRT |1|127.0.0.1|2313|", EPRT_OK),
    ]);
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
    assert_eq!(download_actively(&mut c).port(), 20);
}

#[test]
fn listen_address_and_port() {
    let host = Host::new();
    let _server = Server::start(&host, "listen_address=127.0.0.2\n");
    assert!(TcpStream::connect("127.0.0.1:21").is_err());
    Client::dial_from("127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()).greeted();
}
