//! A host name in pasv_address is looked up again while sessions are served.

use crate::support::host::CONFIG;
use crate::support::server::{BASE, output};
use crate::support::{Client, Host, Server, wait};
use nix::sys::signal::Signal;
use std::net::UdpSocket;

const LINES: &str = "pasv_address=moves.test\npasv_addr_resolve=YES\n";
const LOCAL: &str = "127.0.0.1 localhost\n";

fn host(address: &str) -> Host {
    let host = Host::new();
    host.write("/etc/nsswitch.conf", "hosts: files dns\n");
    moves(&host, address);
    host
}

fn moves(host: &Host, address: &str) {
    host.write("/etc/hosts", &format!("{LOCAL}{address} moves.test\n"));
}

fn told(c: &mut Client) -> String {
    c.pasv().ip().to_string()
}

#[track_caller]
fn until_told(address: &str) -> Client {
    wait(address, || {
        let mut c = Client::alice();
        (told(&mut c) == address).then_some(c)
    })
}

#[track_caller]
fn until_said(text: &str) {
    wait(text, || output().contains(text).then_some(()));
}

/// New sessions tell the new address, running ones what they began with; a failure is said once and changes nothing.
#[test]
fn new_sessions_tell_the_new_address() {
    let host = host("127.0.0.9");
    let server = Server::start(&host, &format!("{LINES}pasv_addr_resolve_interval=1\n"));
    let mut old = Client::alice();
    assert_eq!(told(&mut old), "127.0.0.9");
    moves(&host, "127.0.0.10");
    until_told("127.0.0.10");
    assert_eq!(told(&mut old), "127.0.0.9");
    until_said("pasv_address: moves.test is 127.0.0.10 now; new sessions tell it");
    host.write("/etc/hosts", LOCAL);
    host.write("/etc/resolv.conf", "");
    let failure = "cannot resolve host:moves.test (pasv_address: ";
    until_said(failure);
    assert_eq!(told(&mut Client::alice()), "127.0.0.10");
    moves(&host, "127.0.0.11");
    until_told("127.0.0.11");
    assert_eq!(output().matches(failure).count(), 1, "{}", output());
    drop(old);
    // Who asked has been waited for.
    wait("nothing but master", || {
        (Server::processes() == [server.pid()]).then_some(())
    });
}

/// An interval that comes with SIGHUP counts from then on.
#[test]
fn an_interval_that_comes_later() {
    let host = host("127.0.0.9");
    let server = Server::start(&host, LINES);
    assert_eq!(told(&mut Client::alice()), "127.0.0.9");
    let lines = format!("{BASE}{LINES}pasv_addr_resolve_interval=1\n");
    host.write(CONFIG, &lines);
    server.signal(Signal::SIGHUP);
    until_said("configuration and certificates read again");
    moves(&host, "127.0.0.10");
    until_told("127.0.0.10");
}

/// A name service that does not answer keeps nobody waiting, and SIGHUP gives its question up.
#[test]
fn nobody_waits_for_the_name_service() {
    let host = host("127.0.0.9");
    let server = Server::start(&host, &format!("{LINES}pasv_addr_resolve_interval=1\n"));
    host.write("/etc/hosts", LOCAL);
    host.write("/etc/resolv.conf", "nameserver 127.0.0.1\n");
    let silent = UdpSocket::bind("127.0.0.1:53").unwrap();
    silent
        .set_read_timeout(Some(crate::support::DEADLINE))
        .unwrap();
    // It has been asked, and the child waits from now on.
    silent.recv(&mut [0; 512]).unwrap();
    let mut c = Client::alice();
    assert_eq!(told(&mut c), "127.0.0.9");
    let asking = Server::processes().len();
    assert!(asking >= 4, "{asking} processes");
    drop(c);
    host.write(
        CONFIG,
        &format!("{BASE}{LINES}pasv_addr_resolve_interval=0\n"),
    );
    server.signal(Signal::SIGHUP);
    until_said("configuration and certificates read again");
    wait("nothing but master", || {
        (Server::processes() == [server.pid()]).then_some(())
    });
    assert_eq!(told(&mut Client::alice()), "127.0.0.9");
}
