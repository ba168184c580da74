//! implicit_listen_port: explicit and implicit TLS side by side in one server.

use crate::support::host::CONFIG;
use crate::support::server::{BASE, listening_on, output};
use crate::support::tls::{BOTH, Ftps, ON, certificate, clear_line, offer};
use crate::support::{Client, Host, Server, wait};
use nix::sys::signal::Signal;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// TLS from the first byte.
fn secure(server: impl Into<IpAddr>, port: u16) -> Ftps {
    let stream = TcpStream::connect(SocketAddr::new(server.into(), port)).unwrap();
    let mut c = Ftps::over(Arc::new(offer(BOTH, None)), stream);
    assert!(c.reply().starts_with("220 "));
    c
}

fn here(port: u16) -> Ftps {
    secure(Ipv4Addr::LOCALHOST, port)
}

#[test]
fn both_ports_of_one_server() {
    let host = Host::new();
    certificate(&host);
    let _server = Server::start(&host, &format!("{ON}implicit_listen_port=990\n"));
    assert!(listening_on(990));
    let mut implicit = here(990);
    implicit.login("alice");
    let mut explicit = Ftps::alice(offer(BOTH, None));
    assert_eq!(implicit.fetch("RETR f"), b"hello world\n");
    assert_eq!(explicit.fetch("RETR f"), b"hello world\n");
    assert!(explicit.cmd("FEAT").contains("\n AUTH TLS"));
    assert!(!implicit.cmd("FEAT").contains("AUTH TLS"));
    let said = output();
    let line = "serving 0.0.0.0:21 and 0.0.0.0:990 (TLS from the first byte)";
    assert!(said.contains(line), "{said}");
}

/// The wrong kind of TLS for the port is the commonest mistake of clients; the log says which is right.
#[test]
fn the_wrong_kind_is_told() {
    let host = Host::new();
    certificate(&host);
    let _server = Server::start(&host, &format!("{ON}implicit_listen_port=990\n"));
    // Nothing is said on it before the client's hello.
    let mut clear = TcpStream::connect((Ipv4Addr::LOCALHOST, 990)).unwrap();
    clear.write_all(b"USER alice\r\n").unwrap();
    super::logged("TLS handshake failed: the client does not speak TLS; where it is expected from");
    // The beginning of a hello, as far as it is a line.
    let mut hasty = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
    hasty.write_all(b"\x16\x03\x01\x02\x00\x01\n").unwrap();
    super::logged(
        "\"the client begins with TLS: on this port it must ask for it (explicit, AUTH TLS)",
    );
}

#[test]
fn over_ipv6_and_on_one_address() {
    let host = Host::new();
    certificate(&host);
    let lines = format!("{ON}implicit_listen_port=990\n");
    let ipv6 = "listen=NO\nlisten_ipv6=YES\n";
    let server = Server::start(&host, &format!("{lines}{ipv6}"));
    secure(Ipv6Addr::LOCALHOST, 990).login("alice");
    here(990).login("alice");
    Client::connect6();
    drop(server);
    let _server = Server::start(&host, &format!("{lines}listen_address=127.0.0.2\n"));
    secure(Ipv4Addr::new(127, 0, 0, 2), 990).login("alice");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, 990)).is_err());
}

/// A file of settings for this address, and a guest of its own.
#[test]
fn with_settings_for_the_address() {
    let host = Host::new();
    certificate(&host);
    host.write(
        "/etc/hosts.allow",
        "vsftpd: 127.0.0.1 : setenv VSFTPD_LOAD_CONF /etc/inner\n",
    );
    host.write("/etc/inner", "ftpd_banner=inner\n");
    host.mkdir("/etc/users", 0);
    host.write("/etc/users/alice", "write_enable=NO\n");
    let lines = "implicit_listen_port=990\ntcp_wrappers=YES\nuser_config_dir=/etc/users\n";
    let _server = Server::start(&host, &format!("{ON}{lines}"));
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 990)).unwrap();
    let mut c = Ftps::over(Arc::new(offer(BOTH, None)), stream);
    c.next("220 inner");
    c.login("alice");
    assert!(!c.cmd("FEAT").contains("AUTH TLS"));
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
}

/// SIGHUP opens, moves and closes the second port; one that is taken leaves everything as it was.
#[test]
fn reload() {
    let host = Host::new();
    certificate(&host);
    let server = Server::start(&host, ON);
    let reload = |port: u16| {
        host.write(CONFIG, &format!("{BASE}{ON}implicit_listen_port={port}\n"));
        server.signal(Signal::SIGHUP);
    };
    assert!(!listening_on(990));
    reload(990);
    wait("port 990", || listening_on(990).then_some(()));
    let mut early = here(990);
    reload(991);
    wait("port 991 alone", || {
        (listening_on(991) && !listening_on(990)).then_some(())
    });
    here(991).login("alice");
    early.login("alice");
    assert_eq!(early.fetch("RETR f"), b"hello world\n");
    // The port stays open through a reload that is about something else.
    let other = format!("{BASE}{ON}implicit_listen_port=991\nftpd_banner=new\n");
    host.write(CONFIG, &other);
    server.signal(Signal::SIGHUP);
    wait("the new settings", || {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
        (clear_line(&mut client) == "220 new\r\n").then_some(())
    });
    here(991).login("alice");
    let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 992)).unwrap();
    reload(992);
    wait("the refusal", || {
        output()
            .contains("not reloaded, the old one stays")
            .then_some(())
    });
    drop(taken);
    assert!(output().contains("could not bind listening IPv4 socket 0.0.0.0:992"));
    here(991).login("alice");
    reload(0);
    wait("port 991 to be closed", || {
        (!listening_on(991)).then_some(())
    });
    Ftps::alice(offer(BOTH, None));
}

#[test]
fn mistakes() {
    let host = Host::new();
    certificate(&host);
    let clear = "implicit_listen_port=990\n";
    let same = format!("{ON}implicit_listen_port=21\n");
    let all = format!("{ON}implicit_ssl=YES\nimplicit_listen_port=21\n");
    for (lines, mistake) in [
        (clear, "implicit_listen_port=990 needs ssl_enable=YES"),
        (&same, "implicit_listen_port=21 is listen_port too"),
        (&all, "implicit_listen_port=21 is listen_port too"),
    ] {
        let (status, said) = Server::refused(&host, lines);
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(said.contains(mistake), "{said}");
    }
    let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 990)).unwrap();
    let (status, said) = Server::refused(&host, &format!("{ON}implicit_listen_port=990\n"));
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(
        said.contains("could not bind listening IPv4 socket 0.0.0.0:990"),
        "{said}"
    );
    drop(taken);
    let lines = format!("{ON}implicit_ssl=YES\nimplicit_listen_port=990\n");
    let _server = Server::start(&host, &lines);
    assert!(
        output()
            .contains("implicit_ssl=YES: TLS is expected from the first byte on listen_port too")
    );
    here(21).login("alice");
    here(990).login("alice");
}
