//! Connections under TLS that break after their handshake: the log says of what kind that was and what can be done, once, and a session
//! whose control connection was reset ends at once, as without TLS.

use super::logged;
use crate::support::client::ends_with_a_reset;
use crate::support::tls::{self, BOTH, Ftps, ON, offer};
use crate::support::{Client, Host, Server, wait};
use std::io::{Read, Write};
use std::net::TcpStream;

const FAULTY: &str = "; the client is faulty, or something between changes what is sent";
const GONE: &str = "; the client was ended, or a firewall or address translation between has given the connection up";

/// A record that nobody has sealed.
fn forged(mut stream: &TcpStream) {
    let mut record = vec![0x17, 3, 3, 0, 64];
    record.extend([0x5a; 64]);
    stream.write_all(&record).unwrap();
}

fn start(host: &Host, lines: &str) -> Server {
    tls::certificate(host);
    Server::start(host, &format!("{ON}{lines}"))
}

#[track_caller]
fn once(text: &str, last: &str) {
    logged(text);
    assert_eq!(logged(last).matches(text).count(), 1, "{text}");
}

#[test]
fn a_download() {
    let host = Host::new();
    host.file("/home/alice/big", &vec![b'x'; 32 << 20]);
    let _server = start(&host, "");
    let mut c = Ftps::alice(offer(BOTH, None));
    for _ in 0..2 {
        let mut data = c.begin("RETR big");
        data.read_exact(&mut [0; 1000]).unwrap();
        ends_with_a_reset(&data.sock);
        drop(data);
        c.next("426 Failure writing network stream.");
    }
    c.says("DELE nothing", "550 Delete operation failed.");
    let log = logged("\"/home/alice/nothing\"");
    assert_eq!(log.matches("FAIL DOWNLOAD").count(), 2);
    assert_eq!(
        log.matches("TLS on the data connection broke: ").count(),
        1,
        "{log}"
    );
    let line = log.lines().find(|line| line.contains("broke: ")).unwrap();
    assert!(line.contains("Client \"127.0.0.1\", \"TLS on"), "{line}");
    assert!(line.contains(GONE), "{line}");
}

#[test]
fn an_upload() {
    let host = Host::new();
    let _server = start(&host, "");
    let mut c = Ftps::alice(offer(BOTH, None));
    for _ in 0..2 {
        let mut data = c.begin("STOR new");
        data.write_all(b"the beginning").unwrap();
        forged(&data.sock);
        c.next("426 Failure reading network stream.");
    }
    let why = format!("\"TLS on the data connection broke: cannot decrypt peer's message{FAULTY}");
    c.says("DELE nothing", "550 Delete operation failed.");
    once(&why, "\"/home/alice/nothing\"");
    let mut data = c.begin("STOR new");
    data.write_all(b"the beginning").unwrap();
    ends_with_a_reset(&data.sock);
    drop(data);
    c.next("426 Failure reading network stream.");
    logged(GONE);
}

/// Before and after a login.
#[test]
fn a_control_connection() {
    let host = Host::new();
    let server = start(&host, "");
    let opened = |login: bool| {
        host.write("/var/log/vsftpd.log", "");
        let mut c = Ftps::upgrade(offer(BOTH, None));
        // The server has done with the handshake when it answers.
        c.says("NOOP", "530 Please login with USER and PASS.");
        if login {
            c.login("alice");
        }
        c
    };
    for login in [false, true] {
        let c = opened(login);
        forged(c.socket());
        let why = "\"TLS on the control connection broke: ";
        logged(&format!("{why}cannot decrypt peer's message{FAULTY}"));
        drop(c);
        let mut c = opened(login);
        c.alert();
        logged(&format!(
            "{why}the client has ended it with the alert BadRecordMac; the client's own log has its reason"
        ));
    }
    drop(server);
    // An end that is none of these has no line.
    let _server = start(&host, "");
    let idle = Server::processes();
    opened(true).reset();
    drop(Ftps::upgrade(offer(BOTH, None)));
    drop(Ftps::alice(offer(BOTH, None)));
    wait("the sessions to go", || {
        (Server::processes() == Server::but_nursery(&idle)).then_some(())
    });
    assert!(!logged("OK LOGIN").contains("broke"));
}

/// With the data connection still there.
#[test]
fn a_reset_ends_the_session_at_once() {
    let host = Host::new();
    let _server = start(
        &host,
        "force_local_logins_ssl=NO\nforce_local_data_ssl=NO\n",
    );
    let mut clear = Client::alice();
    let (_, data) = clear.begin("STOR clear");
    clear.reset();
    logged("FAIL UPLOAD: Client \"127.0.0.1\", \"/home/alice/clear\"");
    drop(data);
    let mut c = Ftps::alice(offer(BOTH, None));
    let data = c.begin("STOR sealed");
    c.reset();
    logged("FAIL UPLOAD: Client \"127.0.0.1\", \"/home/alice/sealed\"");
    drop(data);
    // Who has ended its side only may be there, and its transfer goes on.
    let mut c = Ftps::alice(offer(BOTH, None));
    let mut data = c.begin("STOR whole");
    c.send(b"NOOP\r\nQUIT\r\n");
    c.next("200 NOOP ok.");
    c.socket().shutdown(std::net::Shutdown::Write).unwrap();
    data.write_all(b"all of it").unwrap();
    tls::farewell(data);
    c.next("226 Transfer complete.");
    assert_eq!(host.read("/home/alice/whole"), b"all of it");
    // A transfer that was cut off has its reason in the log.
    logged(&format!(
        "\"the control connection broke during a transfer: Connection reset by peer (os error 104){GONE}"
    ));
    logged("\"the control connection broke during a transfer: the client was ended");
}
