//! login_fails_per_ip and ssl_handshakes_per_ip: what one address may do over all its connections.

use crate::logged;
use crate::support::host::CONFIG;
use crate::support::server::{BASE, output};
use crate::support::tls::{BOTH, Ftps, ON, certificate, handshake, offer};
use crate::support::{Client, Host, Server, wait};
use nix::sys::signal::Signal;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

const FAILURES: &str = "421 Too many failed logins from your internet address, please try later.";
const HANDSHAKES: &str =
    "421 Too many TLS handshakes from your internet address, please try later.";

const fn from(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

fn dial(last: u8) -> Client {
    Client::dial_from(from(last), from(1))
}

fn fails(c: &mut Client) {
    c.says("USER alice", "331 Please specify the password.");
    c.says("PASS wrong", "530 Login incorrect.");
}

#[test]
fn failed_logins_are_counted_over_connections() {
    let host = Host::new();
    let _server = Server::start(&host, "login_fails_per_ip=4\nlogin_fails_window=86400\n");
    let mut first = dial(2).greeted();
    fails(&mut first);
    fails(&mut first);
    let mut second = dial(2).greeted();
    fails(&mut second);
    // The fourth failure of the address is the last one of this connection.
    fails(&mut second);
    second.closed();
    let mut third = dial(2);
    third.next(FAILURES);
    third.closed();
    // A session that was there goes on; everybody else is served.
    first.says("USER alice", "331 Please specify the password.");
    first.says("PASS secret", "230 Login successful.");
    dial(3).greeted().login("alice");
    let log = logged("too many failed logins for this address");
    assert!(
        log.contains("CONNECT: Client \"127.0.0.2\", \"Connection refused: too many failed logins for this address.\""),
        "{log}"
    );
    let said = output();
    let line = "too many failed logins from 127.0.0.2: refused for a while (login_fails_per_ip)";
    assert_eq!(said.matches(line).count(), 1, "{said}");
}

/// A limit that SIGHUP raises frees who was refused; settings that leave it alone do not.
#[test]
fn a_raised_limit_frees() {
    let host = Host::new();
    let lines = "login_fails_per_ip=2\nlogin_fails_window=86400\n";
    let server = Server::start(&host, lines);
    for _ in 0..2 {
        fails(&mut dial(2).greeted());
    }
    dial(2).next(FAILURES);
    let reload = |lines: &str, greeting: &str| {
        host.write(CONFIG, &format!("{BASE}{lines}ftpd_banner={greeting}\n"));
        server.signal(Signal::SIGHUP);
        let greeting = format!("220 {greeting}");
        wait("the new settings", || {
            (dial(3).reply().text() == greeting).then_some(())
        });
    };
    reload(lines, "same");
    dial(2).next(FAILURES);
    reload("login_fails_per_ip=3\nlogin_fails_window=86400\n", "more");
    dial(2).greeted().login("alice");
}

/// From half of the limit on every password is answered later, the right one too, and no guest's.
/// Master counts by the server's settings: a file for the address cannot switch that off, and the log says so.
#[test]
fn a_file_for_the_address_changes_no_count() {
    let host = Host::new();
    host.write(
        "/etc/hosts.allow",
        "vsftpd: 127.0.0.2: setenv VSFTPD_LOAD_CONF /etc/many.conf\n",
    );
    host.write(
        "/etc/many.conf",
        "max_per_ip=500\nssl_handshakes_per_ip=7\n",
    );
    let lines = "tcp_wrappers=YES\nlogin_fails_per_ip=2\nlogin_fails_window=86400\n";
    let _server = Server::start(&host, lines);
    for _ in 0..2 {
        fails(&mut dial(2).greeted());
    }
    dial(2).next(FAILURES);
    dial(3).greeted().login("alice");
    logged("ssl_handshakes_per_ip holds for the whole server");
}

#[test]
fn answers_slow_down() {
    let host = Host::new();
    let _server = Server::start(&host, "login_fails_per_ip=4\nlogin_fails_window=86400\n");
    let mut c = dial(2).greeted();
    fails(&mut c);
    fails(&mut c);
    fails(&mut c);
    c.closed();
    let start = Instant::now();
    dial(2).greeted().login("alice");
    assert!(start.elapsed() >= Duration::from_millis(2490));
    let mut c = dial(2).greeted();
    c.says("USER ftp", "331 Please specify the password.");
    c.says("PASS x@", "230 Login successful.");
}

/// Names that the user list refuses are failures; anonymous logins are not.
#[test]
fn what_counts_as_a_failure() {
    let host = Host::new();
    host.write("/etc/list", "bob\n");
    host.write("/etc/banned", "bad@\n");
    let _server = Server::start(
        &host,
        "login_fails_per_ip=3\nlogin_fails_window=86400\nmax_login_fails=100\nuserlist_enable=YES\nuserlist_file=/etc/list\n\
         deny_email_enable=YES\nbanned_email_file=/etc/banned\n",
    );
    for _ in 0..4 {
        let mut c = dial(2).greeted();
        c.says("USER ftp", "331 Please specify the password.");
        c.says("PASS bad@", "530 Login incorrect.");
    }
    let mut c = dial(2).greeted();
    c.says("USER bob", "530 Permission denied.");
    c.says("USER bob", "530 Permission denied.");
    c.login("alice");
    let mut c = dial(2).greeted();
    c.says("USER bob", "530 Permission denied.");
    c.closed();
    dial(2).next(FAILURES);
}

/// Who shares the address of somebody who guesses waits, and is served then.
#[test]
fn nobody_is_locked_out() {
    let host = Host::new();
    let _server = Server::start(&host, "login_fails_per_ip=2\nlogin_fails_window=2\n");
    let mut c = dial(2).greeted();
    fails(&mut c);
    fails(&mut c);
    c.closed();
    let mut c = wait("the failures to be forgotten", || {
        let mut c = dial(2);
        (c.reply().code() == "220").then_some(c)
    });
    c.login("alice");
}

#[test]
fn no_limit() {
    let host = Host::new();
    let _server = Server::start(&host, "login_fails_per_ip=0\n");
    for _ in 0..60 {
        fails(&mut dial(2).greeted());
    }
    dial(2).greeted().login("alice");
}

/// Handshakes of control connections count when they begin, those of data connections do not.
#[test]
fn handshakes_are_counted_for_each_address() {
    let host = Host::new();
    certificate(&host);
    let settings = "ssl_handshakes_per_ip=3\nrequire_ssl_reuse=NO\n";
    let server = Server::start(&host, &format!("{ON}{settings}"));
    let mut c = Ftps::alice(offer(BOTH, None));
    for _ in 0..5 {
        assert_eq!(c.fetch("RETR f"), host.read("/home/alice/f"));
    }
    Ftps::alice(offer(BOTH, None));
    // Broken off in the middle.
    let mut broken = dial(1).greeted();
    broken.says("AUTH TLS", "234 Proceed with negotiation.");
    broken.send(b"\x16\x03\x01\0\x05");
    drop(broken);
    wait("the third handshake to count", || {
        let said = dial(1).reply().text();
        (said == HANDSHAKES).then_some(())
    });
    assert_eq!(c.fetch("RETR f"), host.read("/home/alice/f"));
    let mut other = dial(3).greeted();
    other.says("AUTH TLS", "234 Proceed with negotiation.");
    logged("Connection refused: too many TLS handshakes for this address.");
    drop((c, server));
    implicit(&host);
}

fn implicit(host: &Host) {
    let _server = Server::start(
        host,
        &format!("{ON}ssl_handshakes_per_ip=1\nimplicit_ssl=YES\n"),
    );
    let config = Arc::new(offer(BOTH, None));
    let dial = || TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
    assert!(handshake(&config, dial()).is_ok());
    // Helper tells master of it on its own time.
    wait("the first handshake to count", || {
        handshake(&config, dial()).is_err().then_some(())
    });
}
