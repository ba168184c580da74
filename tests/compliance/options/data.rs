//! Data connections, timeouts and rates: each option of src/config/options_data.rs.

use super::{A_WHILE, DENIED, DONE, huge, runs_as, with};
use crate::support::client::connect_from;
use crate::support::host::ALICE;
use crate::support::{Client, Host, Server, trace, wait};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

const NO_CONNECTION: &str = "425 Failed to establish connection.";
const PORT_OK: &str = "200 PORT command successful. Consider using PASV.";
const SECOND: Duration = Duration::from_millis(990);

/// Downloads alice's f actively; where the server came from.
fn actively(c: &mut Client) -> SocketAddr {
    let listener = c.active();
    c.send(b"RETR f\r\n");
    let (mut data, peer) = listener.accept().unwrap();
    assert_eq!(c.reply().code(), "150");
    assert_eq!(all(&mut data), b"hello world\n");
    c.next(DONE);
    peer
}

fn all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

/// The ports of many passive replies.
fn ports(host: &Host, lines: &str) -> Vec<u16> {
    with(host, lines, || {
        let mut c = Client::alice();
        (0..30).map(|_| c.epsv()).collect()
    })
}

#[test]
fn pasv_enable() {
    let host = Host::new();
    with(&host, "pasv_enable=NO\n", || {
        let mut c = Client::alice();
        c.script(&[
            ("PASV", DENIED),
            ("EPSV", DENIED),
            ("P@SW", "500 Unknown command."),
        ]);
        let features = c.cmd("FEAT").text();
        assert!(
            !features.contains("PASV") && !features.contains("EPSV"),
            "{features}"
        );
        actively(&mut c);
    });
    with(&host, "", || {
        let mut c = Client::alice();
        let features = c.cmd("FEAT").text();
        assert!(
            features.contains(" PASV\r\n") && features.contains(" EPSV\r\n"),
            "{features}"
        );
        assert_eq!(c.fetch("RETR f"), b"hello world\n");
    });
}

#[test]
fn pasv_min_port() {
    let host = Host::new();
    let found = ports(&host, "pasv_min_port=65000\n");
    assert!(found.iter().all(|port| *port >= 65000), "{found:?}");
    let found = ports(&host, "pasv_min_port=80\npasv_max_port=1025\n");
    assert!(
        found.iter().all(|port| [1024, 1025].contains(port)),
        "{found:?}"
    );
    // The default is 5001.
    let found = ports(&host, "pasv_max_port=5002\n");
    assert!(
        found.iter().all(|port| [5001, 5002].contains(port)),
        "{found:?}"
    );
}

#[test]
fn pasv_max_port() {
    let host = Host::new();
    let found = ports(&host, "pasv_min_port=4000\npasv_max_port=4001\n");
    assert!(
        found.iter().all(|port| [4000, 4001].contains(port)),
        "{found:?}"
    );
    // 0 means 65535; that of thirty none is in the upper half happens once in a thousand million times.
    let found = ports(&host, "pasv_min_port=2000\n");
    assert!(found.iter().any(|port| *port > 32_000), "{found:?}");
}

#[test]
fn pasv_address() {
    let host = Host::new();
    let one_port = "pasv_min_port=4000\npasv_max_port=4000\n";
    with(&host, &format!("{one_port}pasv_address=10.1.2.3\n"), || {
        let mut c = Client::alice();
        c.says("PASV", "227 Entering Passive Mode (10,1,2,3,15,160).");
        // EPSV names no address.
        assert_eq!(c.fetch("RETR f"), b"hello world\n");
    });
    with(&host, one_port, || {
        for server in ["127.0.0.1", "127.0.0.2"] {
            let mut c = super::from("127.0.0.1", server);
            c.login("alice");
            let numbers = server.replace('.', ",");
            c.says(
                "PASV",
                &format!("227 Entering Passive Mode ({numbers},15,160)."),
            );
        }
    });
    let lines = format!("{one_port}pasv_address=10.1.2.3\nlisten=NO\nlisten_ipv6=YES\n");
    with(&host, &lines, || {
        // The original forgets the address there (reference 10, 25).
        let address = if host.ours() { "10,1,2,3" } else { "0,0,0,0" };
        let expected = format!("227 Entering Passive Mode ({address},15,160).");
        Client::alice().says("PASV", &expected);
    });
}

/// The name service is not asked again while sessions are served, nor is one that does not answer waited for in vain.
#[test]
fn pasv_addr_resolve_and_sighup() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    host.write("/etc/hosts", "127.0.0.1 localhost\n10.9.8.7 one.test\n");
    let lines = "pasv_min_port=4000\npasv_max_port=4000\npasv_addr_resolve=YES\npasv_address=one.test\nftpd_banner=0\n";
    let server = Server::start(&host, lines);
    let reload = |name: &str, hosts: &str, banner: &str, address: &str| {
        host.write("/etc/hosts", hosts);
        let text = fs::read_to_string(crate::support::host::CONFIG).unwrap();
        let kept = text
            .lines()
            .filter(|line| !line.starts_with("pasv_address") && !line.starts_with("ftpd_banner"));
        let kept: Vec<&str> = kept.collect();
        let text = format!(
            "{}\npasv_address={name}\nftpd_banner={banner}\n",
            kept.join("\n")
        );
        fs::write(crate::support::host::CONFIG, text).unwrap();
        server.signal(nix::sys::signal::Signal::SIGHUP);
        crate::support::wait("the new banner", || {
            (Client::dial().reply().text() == format!("220 {banner}")).then_some(())
        });
        let expected = format!("227 Entering Passive Mode ({address},15,160).");
        let mut c = Client::dial();
        c.reply();
        c.login("alice");
        c.says("PASV", &expected);
    };
    let none = "127.0.0.1 localhost\n";
    reload("one.test", none, "1", "10,9,8,7");
    reload("two.test", none, "2", "10,9,8,7");
    let two = "127.0.0.1 localhost\n10.9.8.6 two.test\n";
    reload("two.test", two, "3", "10,9,8,6");
    reload("10.9.8.5", none, "4", "10,9,8,5");
}

#[test]
fn pasv_addr_resolve() {
    let host = Host::new();
    host.write(
        "/etc/hosts",
        "127.0.0.1 localhost\n10.9.8.7 ftp.private.test\n",
    );
    let lines = "pasv_min_port=4000\npasv_max_port=4000\npasv_address=ftp.private.test\n";
    with(&host, &format!("{lines}pasv_addr_resolve=YES\n"), || {
        // Once, when the server starts.
        host.write("/etc/hosts", "127.0.0.1 localhost\n");
        Client::alice().says("PASV", "227 Entering Passive Mode (10,9,8,7,15,160).");
        Client::alice().says("PASV", "227 Entering Passive Mode (10,9,8,7,15,160).");
    });
    let (status, said) = Server::refused(&host, &format!("{lines}pasv_addr_resolve=YES\n"));
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("cannot resolve host:"), "{said}");
    // Without it the text must be an address. The original notices at PASV, ours at the start (reference 10.3, 45).
    if host.ours() {
        let (status, said) = Server::refused(&host, lines);
        assert_eq!(status.code(), Some(2));
        assert!(said.contains("pasv_address"), "{said}");
    } else {
        with(&host, lines, || {
            Client::alice().says("PASV", "500 OOPS: invalid pasv_address");
        });
    }
}

/// attacks B-042, B-058.
#[test]
fn pasv_promiscuous() {
    let host = Host::new();
    let stranger = |c: &mut Client| {
        let port = c.epsv();
        connect_from(
            "127.0.0.2".parse().unwrap(),
            SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
        )
    };
    with(&host, "pasv_promiscuous=YES\n", || {
        let mut c = Client::alice();
        let mut other = stranger(&mut c);
        assert_eq!(c.cmd("RETR f").code(), "150");
        assert_eq!(all(&mut other), b"hello world\n");
    });
    with(&host, "accept_timeout=1\n", || {
        let mut c = Client::alice();
        let mut other = stranger(&mut c);
        // Ours goes on waiting for the client, until accept_timeout (reference 10, 4).
        c.says("RETR f", "425 Security: Bad IP connecting.");
        assert_eq!(all(&mut other), b"");
    });
}

#[test]
fn port_enable() {
    let host = Host::new();
    with(&host, "port_enable=NO\n", || {
        let mut c = Client::alice();
        c.script(&[
            ("PORT 127,0,0,1,9,9", DENIED),
            ("EPRT |1|127.0.0.1|2313|", DENIED),
        ]);
        assert!(!c.cmd("FEAT").text().contains("EPRT"));
        assert_eq!(c.fetch("RETR f"), b"hello world\n");
    });
    with(&host, "", || {
        let mut c = Client::alice();
        assert!(c.cmd("FEAT").text().contains(" EPRT\r\n"));
        actively(&mut c);
    });
}

/// attacks B-041, B-058.
#[test]
fn port_promiscuous() {
    let host = Host::new();
    let listener = TcpListener::bind("127.0.0.2:2313").unwrap();
    with(&host, "port_promiscuous=YES\n", || {
        let mut c = Client::alice();
        c.says("PORT 127,0,0,2,9,9", PORT_OK);
        c.send(b"RETR f\r\n");
        let (mut data, _) = listener.accept().unwrap();
        assert_eq!(c.reply().code(), "150");
        assert_eq!(all(&mut data), b"hello world\n");
    });
    with(&host, "", || {
        Client::alice().script(&[
            ("PORT 127,0,0,2,9,9", "500 Illegal PORT command."),
            ("EPRT |1|127.0.0.2|2313|", "500 Illegal EPRT command."),
            ("PORT 127,0,0,1,0,80", "500 Illegal PORT command."),
        ]);
    });
    // Together with port 20.
    with(
        &host,
        "port_promiscuous=YES\nconnect_from_port_20=YES\n",
        || {
            let mut c = Client::alice();
            let listener = c.active();
            c.send(b"RETR f\r\n");
            if host.ours() {
                let (_, peer) = listener.accept().unwrap();
                assert_eq!(peer.port(), 20);
            } else {
                // The session's process may not use that port (reference 10, 17).
                c.next("500 OOPS: vsf_sysutil_bind");
            }
        },
    );
}

#[test]
fn connect_from_port_20() {
    let host = Host::new();
    with(&host, "connect_from_port_20=YES\n", || {
        let mut c = Client::alice();
        for _ in 0..2 {
            assert_eq!(actively(&mut c).port(), 20);
        }
    });
    with(&host, "", || {
        assert_ne!(actively(&mut Client::alice()).port(), 20)
    });
}

#[test]
fn ftp_data_port() {
    let host = Host::new();
    with(
        &host,
        "connect_from_port_20=YES\nftp_data_port=989\n",
        || {
            assert_eq!(actively(&mut Client::alice()).port(), 989);
        },
    );
    with(&host, "connect_from_port_20=YES\n", || {
        assert_eq!(actively(&mut Client::alice()).port(), 20);
    });
    // It is of no use alone.
    with(&host, "ftp_data_port=989\n", || {
        assert_ne!(actively(&mut Client::alice()).port(), 989);
    });
}

/// attacks B-055.
#[test]
fn accept_timeout() {
    let host = Host::new();
    with(&host, "accept_timeout=1\n", || {
        let mut c = Client::alice();
        c.epsv();
        let start = Instant::now();
        c.says("LIST", NO_CONNECTION);
        assert!(start.elapsed() >= SECOND, "{:?}", start.elapsed());
        c.says("NOOP", "200 NOOP ok.");
    });
    // A minute is the default.
    with(&host, "", || {
        let mut c = Client::alice();
        c.epsv();
        c.send(b"LIST\r\n");
        c.quiet(2 * A_WHILE);
    });
}

/// A listener whose queue is full, so that the kernel drops every further attempt.
fn deaf() -> (TcpListener, Vec<TcpStream>) {
    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, socket,
    };
    use std::os::fd::AsRawFd;
    let fd = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .unwrap();
    bind(fd.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 2313)).unwrap();
    listen(&fd, Backlog::new(0).unwrap()).unwrap();
    let listener = TcpListener::from(fd);
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        queue.push(stream);
        assert!(queue.len() < 10, "the queue never fills");
    }
    (listener, queue)
}

/// attacks B-049, B-055.
#[test]
fn connect_timeout() {
    let host = Host::new();
    let _deaf = deaf();
    with(&host, "connect_timeout=1\n", || {
        let mut c = Client::alice();
        c.says("PORT 127,0,0,1,9,9", PORT_OK);
        let start = Instant::now();
        c.says("LIST", NO_CONNECTION);
        assert!(start.elapsed() >= SECOND, "{:?}", start.elapsed());
        c.says("NOOP", "200 NOOP ok.");
    });
    with(&host, "", || {
        let mut c = Client::alice();
        c.says("PORT 127,0,0,1,9,9", PORT_OK);
        c.send(b"LIST\r\n");
        c.quiet(2 * A_WHILE);
    });
}

/// attacks B-055.
#[test]
fn data_connection_timeout() {
    let host = Host::new();
    with(&host, "data_connection_timeout=1\n", || {
        let mut c = Client::alice();
        let start = Instant::now();
        let (_, _data) = c.begin("STOR x");
        c.next("421 Data timeout. Reconnect. Sorry.");
        c.closed();
        assert!(start.elapsed() >= SECOND, "{:?}", start.elapsed());
    });
    for lines in ["", "data_connection_timeout=0\n"] {
        with(&host, lines, || {
            let mut c = Client::alice();
            let (_, mut data) = c.begin("STOR x");
            c.quiet(2 * A_WHILE);
            data.stream.write_all(b"late").unwrap();
            drop(data);
            c.next(DONE);
        });
    }
    assert_eq!(host.read("/home/alice/x"), b"late");
}

/// attacks B-055.
#[test]
fn idle_session_timeout() {
    let host = Host::new();
    with(&host, "idle_session_timeout=1\n", || {
        for mut c in [Client::connect(), Client::alice()] {
            c.next("421 Timeout.");
            c.closed();
        }
        let start = Instant::now();
        let mut c = Client::connect();
        c.next("421 Timeout.");
        assert!(start.elapsed() >= SECOND, "{:?}", start.elapsed());
    });
    for (lines, told) in [
        ("", "Session timeout in seconds is 300"),
        ("idle_session_timeout=0\n", "No session timeout"),
    ] {
        with(&host, lines, || {
            let mut c = Client::alice();
            assert!(c.cmd("STAT").text().contains(told), "{lines}");
            c.quiet(A_WHILE);
            c.says("NOOP", "200 NOOP ok.");
        });
    }
}

const UNLIMITED: &str = "No session bandwidth limit\r\n";
const LIMITED: &str = "Session bandwidth limit in byte/s is 200000\r\n";

/// A download of two seconds' worth takes its time. The first piece may be free (reference 9.7).
fn paced(c: &mut Client, file: &str) {
    assert!(c.cmd("STAT").text().contains(LIMITED));
    let start = Instant::now();
    assert_eq!(c.fetch(&format!("RETR {file}")).len(), 400_000);
    assert!(
        start.elapsed() >= Duration::from_millis(1200),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn anon_max_rate() {
    let host = Host::new();
    host.write("/srv/ftp/pub/big", &"x".repeat(400_000));
    with(&host, "anon_max_rate=200000\n", || {
        paced(&mut Client::anonymous(), "pub/big");
        // It is not for users of the host.
        assert!(Client::alice().cmd("STAT").text().contains(UNLIMITED));
    });
    with(&host, "", || {
        let mut c = Client::anonymous();
        assert!(c.cmd("STAT").text().contains(UNLIMITED));
        assert_eq!(c.fetch("RETR pub/big").len(), 400_000);
    });
}

#[test]
fn local_max_rate() {
    let host = Host::new();
    host.file("/home/alice/big", &[b'x'; 400_000]);
    with(&host, "local_max_rate=200000\n", || {
        let mut c = Client::alice();
        paced(&mut c, "big");
        let start = Instant::now();
        assert_eq!(c.store("STOR up", &[b'x'; 400_000]).text(), DONE);
        assert!(
            start.elapsed() >= Duration::from_millis(1200),
            "{:?}",
            start.elapsed()
        );
        assert!(Client::anonymous().cmd("STAT").text().contains(UNLIMITED));
    });
    with(&host, "", || {
        let mut c = Client::alice();
        assert!(c.cmd("STAT").text().contains(UNLIMITED));
        assert_eq!(c.fetch("RETR big").len(), 400_000);
    });
}

/// How many calls to read a process has made (proc_pid_io(5)).
fn reads(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix("syscr: "));
    count.unwrap().parse().unwrap()
}

#[test]
fn trans_chunk_size() {
    let host = Host::new();
    host.file("/home/alice/big", &[b'x'; 1 << 20]);
    // Sessions start in ASCII, and what is converted is read piece by piece; sendfile(2) is told the piece only under a rate.
    let count = |lines: &str| {
        let server = Server::start(&host, &format!("ascii_download_enable=YES\n{lines}"));
        let mut c = Client::alice();
        let pid = runs_as(&server, ALICE);
        let before = reads(pid);
        assert_eq!(c.fetch("RETR big").len(), 1 << 20);
        let down = reads(pid);
        assert_eq!(c.store("STOR up", &[b'x'; 1 << 20]).text(), DONE);
        (down - before, reads(pid) - down)
    };
    // 256 pieces of 4096, which also is the least there is; a few reads more are of other things.
    for lines in ["trans_chunk_size=4096\n", "trans_chunk_size=5\n"] {
        let (down, up) = count(lines);
        assert!((256..400).contains(&down), "{lines}{down} reads");
        assert!(up >= 256, "{lines}{up} reads");
    }
    let (down, _) = count("trans_chunk_size=32768\n");
    assert!((32..100).contains(&down), "{down} reads");
    // By default the pieces are of 65536 bytes, or larger still with ours.
    let (down, _) = count("");
    assert!(down < 32, "{down} reads");
}

/// Whether a thread of the process waits in this system call.
fn waits_in(pid: i32, call: libc::c_long) -> bool {
    let call = call.to_string();
    fs::read_dir(format!("/proc/{pid}/task"))
        .unwrap()
        .flatten()
        .any(|task| {
            let text = fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
            text.split_whitespace().next() == Some(call.as_str())
        })
}

#[test]
fn use_sendfile() {
    let host = Host::new();
    huge("/home/alice/huge", 50_000_000);
    for (lines, call) in [
        ("use_sendfile=NO\n", libc::SYS_write),
        ("", libc::SYS_sendfile),
    ] {
        let server = Server::start(&host, lines);
        let mut c = Client::alice();
        let pid = runs_as(&server, ALICE);
        let (_, mut data) = c.begin("RETR huge");
        if host.ours() {
            // Ours does not wait in the call by which it sends.
            let text = calls(pid, || assert_eq!(data.read().len(), 50_000_000));
            assert_eq!(
                text.contains("sendfile("),
                call == libc::SYS_sendfile,
                "{text}"
            );
        } else {
            // Nobody reads, so that the sender has to wait in the call by which it sends.
            wait("the sending call", || waits_in(pid, call).then_some(()));
            assert_eq!(data.read().len(), 50_000_000);
        }
        c.next(DONE);
    }
}

/// The calls by which a process sends and reads meanwhile, as strace(1) shows them.
fn calls(pid: i32, work: impl FnOnce()) -> String {
    let words = ["-f", "-e", "trace=sendfile,read,write", "-o", "/mnt/calls"];
    let mut strace = trace::attach(pid, &words);
    work();
    let _ = nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(strace.id() as i32),
        nix::sys::signal::Signal::SIGTERM,
    );
    let _ = strace.wait();
    fs::read_to_string("/mnt/calls").unwrap()
}

#[test]
fn async_abor_enable() {
    let host = Host::new();
    huge("/home/alice/huge", 50_000_000);
    let abort = |c: &mut Client| {
        let (_, data) = c.begin("RETR huge");
        c.urgent(b"\xff\xf4\xff");
        c.send(b"\xf2ABOR\r\n");
        data
    };
    with(&host, "async_abor_enable=YES\n", || {
        let mut c = Client::alice();
        let _data = abort(&mut c);
        c.next("426 Failure writing network stream.");
        c.next("226 ABOR successful.");
        c.says("NOOP", "200 NOOP ok.");
    });
    with(&host, "", || {
        let mut c = Client::alice();
        let mut data = abort(&mut c);
        if host.ours() {
            // Ours answers ABOR during a transfer always (DIFFERENCES, During a transfer).
            c.next("426 Failure writing network stream.");
            c.next("226 ABOR successful.");
        } else {
            c.quiet(A_WHILE);
            assert_eq!(data.read().len(), 50_000_000);
            c.next(DONE);
            c.next("225 No transfer to ABOR.");
        }
        c.says("NOOP", "200 NOOP ok.");
    });
}
