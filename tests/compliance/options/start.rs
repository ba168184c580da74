//! How the server starts, listens and confines itself: each option of src/config/options_start.rs.

use super::{IN, from, login, oops, runs_as, session, space, with};
use crate::support::host::BOB;
use crate::support::server::{BASE, listening};
use crate::support::{Client, Host, Server, wait};
use std::fs;
use std::net::TcpStream;

const NOBODY: u32 = 65534;

/// The session a process belongs to (proc_pid_stat(5), field 6).
fn session_of(pid: i32) -> i32 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = text.rsplit_once(')').unwrap();
    rest.split_whitespace().nth(3).unwrap().parse().unwrap()
}

fn open(address: &str) -> bool {
    TcpStream::connect(address).is_ok()
}

#[test]
fn background() {
    let host = Host::new();
    let here = session_of(std::process::id() as i32);
    {
        let server = Server::start(&host, "");
        assert_eq!(Server::processes(), [server.pid()]);
        assert_eq!(session_of(server.pid()), here);
    }
    let mut server = Server::bare(&host, 0, &format!("{BASE}background=YES\n"));
    assert!(server.wait_master().success());
    wait("the server to listen", || listening().then_some(()));
    let pid = wait("one process to be left", || match Server::processes()[..] {
        [pid] => Some(pid),
        _ => None,
    });
    assert_ne!(pid, server.pid());
    wait("a session of its own", || {
        (session_of(pid) != here).then_some(())
    });
    for fd in 0..3 {
        let file = fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
        assert_eq!(file.to_str(), Some("/dev/null"), "{fd}");
    }
    Client::alice();
}

#[test]
fn listen() {
    let host = Host::new();
    with(&host, "", || {
        assert!(open("127.0.0.1:21"));
        assert!(!open("[::1]:21"));
    });
    // NO, which is the default: whoever starts it must hand it a connection.
    for text in ["listen=NO\n", "anonymous_enable=YES\n"] {
        let mut server = Server::bare(&host, 0, text);
        assert_eq!(server.wait_master().code(), Some(2));
    }
    let (status, said) = Server::refused(&host, "listen=NO\n");
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("inetd"), "{said}");
}

#[test]
fn listen_ipv6() {
    let host = Host::new();
    with(&host, "listen=NO\nlisten_ipv6=YES\n", || {
        assert!(open("[::1]:21"));
        assert!(open("127.0.0.1:21"));
        from("::1", "::1");
    });
    with(&host, "listen_ipv6=NO\n", || assert!(!open("[::1]:21")));
    let (status, said) = Server::refused(&host, "listen_ipv6=YES\n");
    assert_eq!(status.code(), Some(2));
    assert!(
        said.contains("run two copies of vsftpd for IPv4 and IPv6"),
        "{said}"
    );
}

#[test]
fn listen_address() {
    let host = Host::new();
    with(&host, "listen_address=127.0.0.2\n", || {
        assert!(!open("127.0.0.1:21"));
        from("127.0.0.1", "127.0.0.2");
    });
    with(&host, "", || {
        from("127.0.0.1", "127.0.0.1");
        from("127.0.0.1", "127.0.0.2");
    });
    let (status, said) = Server::refused(&host, "listen_address=here\n");
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("bad listen_address: here"), "{said}");
}

#[test]
fn listen_address6() {
    let host = Host::new();
    with(
        &host,
        "listen=NO\nlisten_ipv6=YES\nlisten_address6=::1\n",
        || {
            from("::1", "::1");
            assert!(!open("127.0.0.1:21"));
        },
    );
    with(&host, "listen=NO\nlisten_ipv6=YES\n", || {
        from("::1", "::1");
        from("127.0.0.1", "127.0.0.2");
    });
    let lines = "listen=NO\nlisten_ipv6=YES\nlisten_address6=here\n";
    let (status, said) = Server::refused(&host, lines);
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("bad listen_address6: here"), "{said}");
}

#[test]
fn listen_port() {
    let host = Host::new();
    {
        let _server = Server::exactly(&host, &format!("{BASE}listen_port=2121\n"), 2121);
        assert!(!open("127.0.0.1:21"));
        let here = "127.0.0.1".parse().unwrap();
        Client::dial_port(here, 2121).greeted();
    }
    with(&host, "", || {
        assert!(open("127.0.0.1:21"));
        assert!(!open("127.0.0.1:2121"));
    });
}

#[test]
fn max_clients() {
    let host = Host::new();
    with(&host, "max_clients=2\n", || {
        let _first = from("127.0.0.1", "127.0.0.1");
        let _second = from("127.0.0.2", "127.0.0.1");
        let mut third = Client::dial();
        third.next("421 There are too many connected users, please try later.");
        third.closed();
    });
    // 0 and the default leave room.
    for lines in ["max_clients=0\n", ""] {
        with(&host, lines, || {
            let clients = [Client::connect(), Client::connect(), Client::connect()];
            assert_eq!(clients.len(), 3);
        });
    }
}

#[test]
fn max_per_ip() {
    let host = Host::new();
    with(&host, "max_per_ip=1\n", || {
        let _first = from("127.0.0.1", "127.0.0.1");
        let mut second = Client::dial();
        second.next("421 There are too many connections from your internet address.");
        second.closed();
        from("127.0.0.2", "127.0.0.1");
    });
    for lines in ["max_per_ip=0\n", ""] {
        with(&host, lines, || {
            let clients = [Client::connect(), Client::connect(), Client::connect()];
            assert_eq!(clients.len(), 3);
        });
    }
}

#[test]
fn nopriv_user() {
    let host = Host::new();
    for (lines, uid) in [("nopriv_user=bob\n", BOB), ("", NOBODY)] {
        let server = Server::start(&host, lines);
        let mut c = Client::connect();
        let before = runs_as(&server, uid);
        c.login("alice");
        // The process before login is gone; the one beside the session runs as the same account.
        wait("the process before login to end", || {
            (!session(&server).contains(&before)).then_some(())
        });
        runs_as(&server, uid);
    }
    let lines = "nopriv_user=nosuch\n";
    oops(
        &host,
        lines,
        if host.ours() {
            "nosuch"
        } else {
            "cannot locate user entry:nosuch"
        },
    );
}

#[test]
fn secure_chroot_dir() {
    let host = Host::new();
    fs::create_dir("/srv/void").unwrap();
    let text = "listen=YES\n";
    for (text, root) in [
        ("listen=YES\nsecure_chroot_dir=/srv/void\n", "/srv/void"),
        (text, "/run/vsftpd/empty"),
    ] {
        let server = Server::exactly(&host, text, 21);
        let _client = Client::connect();
        let pid = runs_as(&server, NOBODY);
        let found = fs::read_link(format!("/proc/{pid}/root")).unwrap();
        assert_eq!(found.to_str(), Some(root));
    }
    oops(&host, "secure_chroot_dir=/srv/none\n", "/srv/none");
}

/// Whether the processes that speak with a client, before and after login, have a name space other than the master's.
fn apart(host: &Host, kind: &str, lines: &str) -> [bool; 2] {
    let server = Server::start(host, lines);
    let mut c = Client::connect();
    let before = runs_as(&server, NOBODY);
    let first = space(before, kind) != space(server.pid(), kind);
    c.login("alice");
    let after = runs_as(&server, crate::support::host::ALICE);
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
    [first, space(after, kind) != space(server.pid(), kind)]
}

#[test]
fn isolate() {
    let host = Host::new();
    assert_eq!(apart(&host, "ipc", "isolate=NO\n"), [false, false]);
    // Ours makes no name space: nothing is left to signal (vsftpd.conf(5), isolate).
    let made = !host.ours();
    assert_eq!(apart(&host, "ipc", ""), [made, made]);
}

#[test]
fn isolate_network() {
    let host = Host::new();
    assert_eq!(apart(&host, "net", "isolate_network=NO\n"), [false, false]);
    // Ours makes no name space: a session's processes have no right to make a socket (vsftpd.conf(5), isolate_network).
    let made = !host.ours();
    assert_eq!(apart(&host, "net", ""), [made, made]);
}

#[test]
fn ptrace_sandbox() {
    let host = Host::new();
    // It was for 32-bit PCs. Ours refuses at the start (DIFFERENCES), the original at the first client.
    if !host.refused_by_ours("ptrace_sandbox=YES") {
        let lines = "ptrace_sandbox=YES\none_process_model=YES\nlocal_enable=NO\n";
        with(&host, lines, || {
            let said = Client::dial().reply().text();
            assert!(said.starts_with("500 OOPS: "), "{said}");
        });
    }
    with(&host, "ptrace_sandbox=NO\n", || {
        login("alice", "secret", IN)
    });
}
