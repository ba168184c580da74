//! How the server starts, listens and confines itself: each option of src/config/options_start.rs.

use super::{
    CHANGED, DONE, IN, PASSWORD, at, from, login, oops, runs_as, session, space, status, with,
};
use crate::support::host::{ALICE, BOB, CONFIG, FTP, PROGRAM};
use crate::support::log::vsftpd;
use crate::support::server::{BASE, listening, output};
use crate::support::{Client, Host, Server, wait};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

const NOBODY: u32 = 65534;
const NO_CHANGE: &str = "550 Failed to change directory.";
const NO_HTTP: &str = "500 HTTP protocol commands not allowed.";

/// The session a process belongs to (proc_pid_stat(5), field 6).
fn session_of(pid: i32) -> i32 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = text.rsplit_once(')').unwrap();
    rest.split_whitespace().nth(3).unwrap().parse().unwrap()
}

fn open(address: &str) -> bool {
    TcpStream::connect(address).is_ok()
}

/// How many sockets listen on this host, on whatever port.
fn listeners() -> usize {
    let tables = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
    let texts = tables.map(|table| fs::read_to_string(table).unwrap());
    let lines = texts.iter().flat_map(|text| text.lines());
    lines
        .filter(|line| line.split_whitespace().nth(3) == Some("0A"))
        .count()
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
        assert_eq!(listeners(), 1);
    });
    // NO, which is Debian's default: whoever starts it must hand it a connection. Where nothing is said ours takes the default of vsftpd's
    // own build, which files for other distributions count on: tests/modern/moved.rs.
    let unsaid = ["anonymous_enable=YES\n"];
    let unsaid = unsaid.iter().filter(|_| !host.ours());
    for text in unsaid.chain(&["listen=NO\n"]) {
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
        assert_eq!(listeners(), 1);
        from("::1", "::1");
    });
    with(&host, "listen_ipv6=NO\n", || assert!(!open("[::1]:21")));
    let (status, said) = Server::refused(&host, "listen_ipv6=YES\n");
    assert_eq!(status.code(), Some(2));
    assert!(
        said.contains("run two copies of vsftpd for IPv4 and IPv6"),
        "{said}"
    );
    // A port that is taken is no host without IPv6: nobody is served by IPv4 alone instead.
    let _taken = TcpListener::bind("[::]:21").unwrap();
    let (status, said) = Server::refused(&host, "listen=NO\nlisten_ipv6=YES\n");
    assert_eq!(status.code(), Some(2));
    assert!(
        said.contains("could not bind listening IPv6 socket"),
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
    // Without the mend the interface was not said to be what is missing. The original knows none there.
    if host.ours() {
        let lines = "listen=NO\nlisten_ipv6=YES\nlisten_address6=fe80::1%nosuch\n";
        let (status, said) = Server::refused(&host, lines);
        assert_eq!(status.code(), Some(2));
        let why = "bad listen_address6: fe80::1%nosuch: ENODEV: No such device";
        assert!(said.contains(why), "{said}");
    }
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
    std::os::unix::fs::symlink("void", "/srv/link").unwrap();
    let text = "listen=YES\n";
    for (text, root) in [
        ("listen=YES\nsecure_chroot_dir=/srv/void\n", "/srv/void"),
        ("listen=YES\nsecure_chroot_dir=/srv/link\n", "/srv/void"),
        (text, "/run/vsftpd/empty"),
    ] {
        let server = Server::exactly(&host, text, 21);
        let _client = Client::connect();
        let pid = runs_as(&server, NOBODY);
        let found = fs::read_link(format!("/proc/{pid}/root")).unwrap();
        assert_eq!(found.to_str(), Some(root));
    }
    oops(&host, "secure_chroot_dir=/srv/none\n", "/srv/none");
    // Nobody who is there may write to it: the original says so to each client.
    if host.ours() {
        for (owner, mode, fits) in [
            (0, 0o757, false),
            (NOBODY, 0o755, false),
            (NOBODY, 0o555, true),
            (ALICE, 0o755, true),
            (0, 0o755, true),
        ] {
            host.own("/srv/void", owner);
            host.mode("/srv/void", mode);
            let line = "secure_chroot_dir=/srv/void\n";
            if fits {
                let _server = Server::start(&host, line);
                Client::alice();
                continue;
            }
            let (status, said) = Server::refused(&host, line);
            assert_eq!(status.code(), Some(2), "{owner} {mode:o}");
            let why = "vsftpd: refusing to run with writable root inside chroot(): 'secure_chroot_dir':/srv/void";
            assert!(said.contains(why), "{said}");
        }
    }
}

/// Whether the processes that speak with a client, before and after login, have a name space other than the master's.
fn apart(host: &Host, kind: &str, lines: &str) -> [bool; 2] {
    let server = Server::start(host, lines);
    let mut c = Client::connect();
    let before = runs_as(&server, NOBODY);
    let first = space(before, kind) != space(server.pid(), kind);
    c.login("alice");
    let after = runs_as(&server, ALICE);
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
    [first, space(after, kind) != space(server.pid(), kind)]
}

#[test]
fn isolate() {
    let host = Host::new();
    assert_eq!(apart(&host, "ipc", "isolate=NO\n"), [false, false]);
    // Ours makes them only if a setting says so in words (vsftpd.conf(5), isolate).
    let made = !host.ours();
    assert_eq!(apart(&host, "ipc", ""), [made, made]);
    assert_eq!(apart(&host, "ipc", "isolate=YES\n"), [true, true]);
}

#[test]
fn isolate_network() {
    let host = Host::new();
    assert_eq!(apart(&host, "net", "isolate_network=NO\n"), [false, false]);
    // Ours makes them only if a setting says so in words (vsftpd.conf(5), isolate_network).
    let made = !host.ours();
    assert_eq!(apart(&host, "net", ""), [made, made]);
    assert_eq!(apart(&host, "net", "isolate_network=YES\n"), [true, true]);
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

/// The command line of a process as `ps` shows it.
fn title(pid: i32) -> String {
    let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .replace('\0', " ")
        .trim_end()
        .to_owned()
}

/// Waits until a process of the server is called this.
#[track_caller]
fn called(wanted: &str) {
    wait(&format!("the title {wanted:?}"), || {
        Server::processes()
            .iter()
            .any(|pid| title(*pid) == wanted)
            .then_some(())
    });
}

/// attacks B-080.
#[test]
fn setproctitle_enable() {
    let host = Host::new();
    {
        let server = Server::start(&host, "setproctitle_enable=YES\n");
        wait("the title", || {
            (title(server.pid()) == "vsftpd: LISTENER").then_some(())
        });
        let mut c = Client::connect();
        called("vsftpd: 127.0.0.1: connected");
        called("vsftpd: 127.0.0.1: not logged in");
        c.login("alice");
        called("vsftpd: 127.0.0.1/alice: IDLE");
        let (_, data) = c.begin("STOR a file");
        called("vsftpd: 127.0.0.1/alice: STOR a file");
        drop(data);
        c.next(DONE);
        called("vsftpd: 127.0.0.1/alice: IDLE");
        assert_eq!(title(server.pid()), "vsftpd: LISTENER");
    }
    let server = Server::start(&host, "");
    let _client = Client::alice();
    let both = wait("the process before login to end", || {
        Some(session(&server)).filter(|all| all.len() == 2)
    });
    for pid in both.into_iter().chain([server.pid()]) {
        assert_eq!(title(pid), "/mnt/vsftpd /etc/vsftpd.conf");
    }
}

#[test]
fn one_process_model() {
    let host = Host::new();
    // Ours stays with two (vsftpd.conf(5), one_process_model).
    let one = if host.ours() { 2 } else { 1 };
    for (lines, count) in [("one_process_model=YES\n", one), ("", 2)] {
        let server = Server::start(&host, &format!("{lines}local_enable=NO\n"));
        let mut c = Client::anonymous();
        wait("the processes", || {
            (session(&server).len() == count).then_some(())
        });
        runs_as(&server, FTP);
        assert_eq!(c.fetch("RETR pub/file"), b"pubfile");
        assert_eq!(session(&server).len(), count);
    }
    oops(
        &host,
        "one_process_model=YES\n",
        "vsftpd: security: 'one_process_model' is anonymous only",
    );
}

#[test]
fn run_as_launching_user() {
    let host = Host::new();
    let text = "listen=YES\nlisten_port=2121\nanon_root=/srv/ftp\n";
    {
        let text = format!("{text}run_as_launching_user=YES\n");
        let server = Server::bare(&host, ALICE, &text).up(2121);
        let here = "127.0.0.1".parse().unwrap();
        let mut c = Client::dial_port(here, 2121).greeted();
        c.says("USER ftp", PASSWORD);
        c.says("PASS x", IN);
        assert_eq!(c.fetch("RETR pub/file"), b"pubfile");
        // No account is changed to, and no root. Ours does not let names lead out all the same (vsftpd.conf(5)).
        if host.ours() {
            at(&mut c, "/");
            c.says("CWD /home", NO_CHANGE);
        } else {
            at(&mut c, "/srv/ftp");
            c.says("CWD /home", CHANGED);
        }
        for pid in Server::processes() {
            // What has gone meanwhile is nobody's.
            let uid = status(pid, "Uid");
            assert!(uid.is_none_or(|uid| uid == "1001"), "{pid}");
        }
        assert_eq!(status(server.pid(), "Uid").as_deref(), Some("1001"));
    }
    let mut server = Server::bare(&host, ALICE, text);
    assert_eq!(server.wait_master().code(), Some(2));
    assert!(output().contains("must be started as root"), "{}", output());
}

/// What a server answers to one line and the end of a request.
fn asked(request: &str) -> String {
    let mut stream = TcpStream::connect("127.0.0.1:21").unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    // A request that is not read to its end makes a reset.
    let _ = stream.read_to_string(&mut text);
    text
}

const HTTP: &str = "ftp_enable=NO\nhttp_enable=YES\none_process_model=YES\nlocal_enable=NO\n";

#[test]
fn ftp_enable() {
    let host = Host::new();
    with(&host, "", || {
        login("ftp", "x", IN);
    });
    fs::remove_file(CONFIG).unwrap();
    // Ours speaks nothing but FTP (DIFFERENCES).
    if host.refused_by_ours("ftp_enable=NO") {
        return;
    }
    with(&host, HTTP, || {
        let said = asked("USER ftp\r\n\r\n");
        assert!(!said.contains("220") && !said.contains("331"), "{said}");
    });
    oops(
        &host,
        "ftp_enable=NO\n",
        "vsftpd: both FTP and HTTP disabled!",
    );
}

#[test]
fn http_enable() {
    let host = Host::new();
    with(&host, "", || {
        let mut c = Client::anonymous();
        c.says("GET /pub/file HTTP/1.0", NO_HTTP);
        c.closed();
    });
    fs::remove_file(CONFIG).unwrap();
    if host.refused_by_ours("http_enable=YES") {
        return;
    }
    with(&host, HTTP, || {
        let said = asked("GET /pub/file HTTP/1.0\r\nHost: here\r\n\r\n");
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
        assert!(said.ends_with("\r\n\r\npubfile"), "{said}");
    });
    oops(
        &host,
        "ftp_enable=NO\nhttp_enable=YES\nlocal_enable=NO\n",
        "vsftpd: HTTP needs 'one_process_model' for now",
    );
}

#[test]
fn listen_no_serves_the_connection_it_is_given() {
    let host = Host::new();
    fs::write(CONFIG, BASE.replace("listen=YES", "listen=NO")).unwrap();
    // As inetd does it: port 21 is the helper's, the connection is the server's descriptor 0.
    let listener = TcpListener::bind("127.0.0.1:21").unwrap();
    let dialled = Client::dial();
    let (stream, _) = listener.accept().unwrap();
    drop(listener);
    let stream = std::os::fd::OwnedFd::from(stream);
    let mut child = Command::new(PROGRAM)
        .arg(CONFIG)
        .stdin(Stdio::from(stream.try_clone().unwrap()))
        .stdout(Stdio::from(stream.try_clone().unwrap()))
        .stderr(Stdio::from(stream))
        .spawn()
        .unwrap();
    let mut c = dialled.greeted();
    c.login("alice");
    at(&mut c, "/home/alice");
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
    assert_eq!(vsftpd(2)[0], "CONNECT: Client \"127.0.0.1\"");
    c.says("CWD /nowhere", NO_CHANGE);
    c.says("QUIT", "221 Goodbye.");
    c.closed();
    wait("the server to end", || child.try_wait().unwrap());
    assert!(host.exists("/home/alice/f"));
}

#[test]
fn tcp_wrappers() {
    let host = Host::new();
    host.write("/etc/hosts.deny", "vsftpd: 127.0.0.1\n");
    host.write(
        "/etc/hosts.allow",
        "vsftpd: 127.0.0.3: setenv VSFTPD_LOAD_CONF /etc/other.conf\n",
    );
    host.write("/etc/other.conf", "ftpd_banner=Other\n");
    with(&host, "tcp_wrappers=YES\nftpd_banner=Main\n", || {
        let mut c = Client::dial();
        c.next("421 Service not available.");
        c.closed();
        let here = "127.0.0.1".parse().unwrap();
        Client::dial_from("127.0.0.2".parse().unwrap(), here).next("220 Main");
        Client::dial_from("127.0.0.3".parse().unwrap(), here).next("220 Other");
    });
    with(&host, "ftpd_banner=Main\n", || {
        Client::dial().next("220 Main")
    });
}

#[test]
fn seccomp_sandbox() {
    let host = Host::new();
    // Ours filters unless it is told not to (DIFFERENCES).
    let default = if host.ours() { "2" } else { "0" };
    for (lines, mode) in [
        ("seccomp_sandbox=YES\n", "2"),
        ("seccomp_sandbox=NO\n", "0"),
        ("", default),
    ] {
        let server = Server::start(&host, lines);
        let mut c = Client::connect();
        let before = runs_as(&server, 65534);
        wait("the filter", || {
            (status(before, "Seccomp").as_deref() == Some(mode)).then_some(())
        });
        c.login("alice");
        let after = runs_as(&server, ALICE);
        assert_eq!(status(after, "Seccomp").as_deref(), Some(mode), "{lines}");
        // The original's filter kills what today's C library does (reference 5.16).
        if host.ours() || mode == "0" {
            assert_eq!(c.fetch("RETR f"), b"hello world\n");
            assert_eq!(c.store("STOR up", b"x").text(), DONE);
        } else {
            c.says("NOOP", "200 NOOP ok.");
        }
    }
}

/// Not an option of the original's.
#[test]
fn sandbox_minimum() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let (status, said) = Server::refused(&host, "sandbox_minimum=1\nseccomp_sandbox=NO\n");
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("sandbox_minimum=1"), "{said}");
    with(&host, "sandbox_minimum=1\n", || {
        login("alice", "secret", IN)
    });
}
