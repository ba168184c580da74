//! Data connections that are taken, crowded, predicted, used up, or given up by peers that are gone (attacks B-042 to B-049, B-058, B-059).

use crate::oracle::{all_is_well, settled, whole};
use crate::sessions::{children, descriptors, logged_in};
use crate::support::client::connect_from;
use crate::support::host::ALICE;
use crate::support::server::output;
use crate::support::tls::{self, Ftps, TLS12, TLS13, offer};
use crate::support::{Client, Host, Server, wait};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NO_CONNECTION: &str = "425 Failed to establish connection.";
const FIRST: &str = "425 Use PORT or PASV first.";

/// A stranger who connects first has no byte stored and gets none; the client is told, and served over another connection (attacks B-042).
#[test]
fn a_stranger_before_the_client() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let mut c = Client::alice();
    for command in [
        "STOR new", "APPE new", "STOU new", "STOR f", "APPE f", "STOU f", "RETR f", "LIST", "MLSD",
    ] {
        for strangers in [1, 2] {
            let _ = std::fs::remove_file("/home/alice/new");
            let at = SocketAddr::from((Ipv4Addr::LOCALHOST, c.epsv()));
            let mut thieves: Vec<TcpStream> = (0..strangers)
                .map(|_| connect_from("127.0.0.2".parse().unwrap(), at))
                .collect();
            for thief in &mut thieves {
                let _ = thief.write_all(b"stolen");
            }
            // Behind them, if there is room.
            let friend = TcpStream::connect_timeout(&at, Duration::from_millis(200));
            c.says(command, "425 Security: Bad IP connecting.");
            c.says(command, FIRST);
            drop(friend);
            for thief in &mut thieves {
                thief
                    .set_read_timeout(Some(crate::support::DEADLINE))
                    .unwrap();
                let mut bytes = Vec::new();
                let _ = thief.read_to_end(&mut bytes);
                assert!(bytes.is_empty(), "{command}: {bytes:?}");
            }
            let empty = std::fs::metadata("/home/alice/new").map_or(0, |meta| meta.len()) == 0;
            assert!(empty, "{command}");
            assert_eq!(host.read("/home/alice/f"), b"hello world\n", "{command}");
        }
        // With another connection the client is served.
        let (last, bytes) = whole(&mut c, command, b"mine");
        assert!(last.starts_with("226"), "{command}: {last}");
        assert_eq!(
            bytes.is_empty(),
            command.starts_with(['S', 'A']),
            "{command}"
        );
        host.file("/home/alice/f", b"hello world\n");
    }
    drop(c);
    all_is_well(&server);
}

/// The same from the client's own address, under TLS: who does not resume the session's TLS has no byte stored and gets none, and the file that was
/// to be replaced is as it was (attacks B-043).
#[test]
fn a_stranger_at_the_clients_address() {
    let host = Host::new();
    tls::certificate(&host);
    let _server = Server::start(&host, tls::ON);
    let idle = Server::processes();
    for versions in [TLS12, TLS13] {
        let mut c = Ftps::alice(offer(versions, None));
        let stranger = Arc::new(offer(versions, None));
        for command in [
            "STOR f", "APPE f", "STOU f", "STOR new", "RETR f", "LIST", "MLSD",
        ] {
            let mut bytes = Vec::new();
            if let Ok(mut stream) = c.begin_with(command, &stranger) {
                let _ = stream.write_all(b"stolen");
                let _ = stream.flush();
                let _ = stream.read_to_end(&mut bytes);
            }
            assert!(bytes.is_empty(), "{command}: {bytes:?}");
            let said = c.reply();
            assert!(said.starts_with("522 "), "{command}: {said}");
            assert_eq!(host.read("/home/alice/f"), b"hello world\n", "{command}");
            // It is made before anybody connects, as in the original.
            let size = std::fs::metadata("/home/alice/new").map_or(0, |meta| meta.len());
            assert_eq!(size, 0, "{command}");
        }
        assert_eq!(c.fetch("RETR f"), b"hello world\n");
        drop(c);
        settled(&idle);
    }
}

/// Ports are spread evenly over their range and do not follow from one another (attacks B-044). The bounds are those of one run in a
/// million.
#[test]
fn ports_that_nobody_can_guess() {
    const PORTS: usize = 20_000;
    const BINS: usize = 64;
    let host = Host::new();
    let server = Server::start(&host, "pasv_min_port=10000\npasv_max_port=42767\n");
    let mut c = Client::alice();
    let mut ports = Vec::new();
    for _ in 0..PORTS / 100 {
        c.send(b"EPSV\r\n".repeat(100).as_slice());
        for _ in 0..100 {
            let said = c.reply().text();
            let port: u32 = said.split('|').nth(3).unwrap().parse().unwrap();
            assert!((10_000..=42_767).contains(&port));
            ports.push(port - 10_000);
        }
    }
    let mut bins = [0_f64; BINS];
    for port in &ports {
        bins[*port as usize * BINS / 32_768] += 1.0;
    }
    let expected = (PORTS / BINS) as f64;
    let spread: f64 = bins
        .iter()
        .map(|count| (count - expected).powi(2) / expected)
        .sum();
    assert!(spread < 135.0, "chi square of 63 degrees: {spread}");
    let mean = 32_767.0 / 2.0;
    let around: Vec<f64> = ports.iter().map(|port| f64::from(*port) - mean).collect();
    let square: f64 = around.iter().map(|one| one * one).sum();
    let product: f64 = around.windows(2).map(|two| two[0] * two[1]).sum();
    assert!(
        (product / square).abs() < 0.036,
        "correlation {}",
        product / square
    );
    drop(c);
    all_is_well(&server);
}

/// What a client sends before it says what for is that transfer's; of a hundred connections one is served, and none behind it (attacks
/// B-046).
#[test]
fn connections_before_between_and_behind() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let mut c = Client::alice();
    let (helper, worker) = logged_in(&server, ALICE);
    c.fetch("RETR f");
    c.store("STOR new", b"");
    let base = (descriptors(helper), descriptors(worker));
    for _ in 0..5 {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, c.epsv()));
        let mut first = TcpStream::connect(at).unwrap();
        first.write_all(b"early ").unwrap();
        let more: Vec<TcpStream> = (0..99)
            .filter_map(|_| TcpStream::connect_timeout(&at, Duration::from_millis(5)).ok())
            .collect();
        for mut one in &more {
            let _ = one.write_all(b"another's");
        }
        assert_eq!(c.cmd("STOR new").code(), "150");
        first.write_all(b"and late").unwrap();
        drop(first);
        assert_eq!(c.reply().code(), "226");
        assert_eq!(host.read("/home/alice/new"), b"early and late");
        closed(at);
        for mut one in more {
            one.set_read_timeout(Some(crate::support::DEADLINE))
                .unwrap();
            let mut bytes = Vec::new();
            let _ = one.read_to_end(&mut bytes);
            assert!(bytes.is_empty());
        }
        c.says("RETR f", FIRST);
        wait("descriptors to go back", || {
            ((descriptors(helper), descriptors(worker)) <= base).then_some(())
        });
    }
    drop(c);
    all_is_well(&server);
}

/// Nobody listens there any more; helper closes its copy right after it was asked.
#[track_caller]
pub fn closed(at: SocketAddr) {
    wait("the listener to go", || {
        TcpStream::connect(at).is_err().then_some(())
    });
}

/// Each PASV and PORT ends what was there before; a second transfer is none while one runs (attacks B-047).
#[test]
fn one_data_connection_at_a_time() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let mut c = Client::alice();
    let (helper, worker) = logged_in(&server, ALICE);
    c.fetch("RETR f");
    c.store("STOR new", b"");
    let base = (descriptors(helper), descriptors(worker));
    let mut last = None;
    for _ in 0..200 {
        let one = c.pasv();
        let two = c.pasv();
        closed(one);
        let listener = c.active();
        closed(two);
        last = Some(c.pasv());
        drop(listener);
    }
    let mut data = TcpStream::connect(last.unwrap()).unwrap();
    assert_eq!(c.cmd("STOR new").code(), "150");
    data.write_all(b"one").unwrap();
    // What is said meanwhile is answered in its turn: the connection is used up by then.
    c.send(b"RETR f\r\nSTOR another\r\nPASV\r\n");
    data.write_all(b" and only").unwrap();
    drop(data);
    assert_eq!(c.reply().code(), "226");
    c.next(FIRST);
    c.next(FIRST);
    assert_eq!(c.reply().code(), "227");
    assert_eq!(host.read("/home/alice/new"), b"one and only");
    assert!(!host.exists("/home/alice/another"));
    c.says(
        "PORT 127,0,0,1,40,40",
        "200 PORT command successful. Consider using PASV.",
    );
    wait("descriptors to go back", || {
        ((descriptors(helper), descriptors(worker)) <= base).then_some(())
    });
    drop(c);
    all_is_well(&server);
}

/// Sixty sessions want one of ten ports each: ten have one, the others are told and go on, and who comes when they are free has one (attacks
/// B-048).
#[test]
fn more_sessions_than_ports() {
    let host = Host::new();
    let lines =
        "pasv_min_port=4000\npasv_max_port=4009\nmax_per_ip=0\nmax_clients=100\naccept_timeout=1\n";
    let server = Server::start(&host, lines);
    let mut clients: Vec<Client> = (0..60).map(|_| Client::anonymous()).collect();
    let mut have = Vec::new();
    for (number, c) in clients.iter_mut().enumerate() {
        let reply = c.cmd(["EPSV", "PASV"][number % 2]).text();
        if reply.starts_with('2') {
            have.push(number);
        } else {
            assert_eq!(reply, NO_CONNECTION);
        }
        c.says("NOOP", "200 NOOP ok.");
    }
    assert_eq!(have.len(), 10, "{have:?}");
    // Nobody comes to them: they are free again after accept_timeout.
    for number in &have {
        clients[*number].send(b"LIST\r\n");
    }
    for number in &have {
        clients[*number].next(NO_CONNECTION);
    }
    let others: Vec<usize> = (0..60)
        .filter(|number| !have.contains(number))
        .take(10)
        .collect();
    for number in &others {
        assert_eq!(clients[*number].cmd("EPSV").code(), "229");
    }
    // And at once when those who have them leave.
    drop(clients);
    wait("the sessions to go", || {
        children(server.pid()).is_empty().then_some(())
    });
    for _ in 0..20 {
        let mut c = Client::anonymous();
        assert!(c.fetch("LIST").ends_with(b"\r\n"));
    }
    all_is_well(&server);
}

/// A listener whose queue is full: what connects there waits (listen(2)).
fn deaf() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let at = listener.local_addr().unwrap();
    let queue = (0..8)
        .filter_map(|_| TcpStream::connect_timeout(&at, Duration::from_millis(50)).ok())
        .collect();
    (listener, queue)
}

/// While an active connection stalls the client is heard, and ABOR ends it; else it ends after connect_timeout (attacks B-049).
#[test]
fn an_active_connection_that_stalls() {
    let host = Host::new();
    let server = Server::start(&host, "connect_timeout=4\n");
    let (listener, _queue) = deaf();
    let at = listener.local_addr().unwrap().port();
    let say = format!("PORT 127,0,0,1,{},{}\r\n", at >> 8, at & 255);
    let mut c = Client::alice();
    for command in ["LIST", "RETR f", "STOR new"] {
        c.send(format!("{say}{command}\r\nABOR\r\nNOOP\r\n").as_bytes());
        assert_eq!(c.reply().code(), "200");
        let begin = Instant::now();
        assert_eq!(c.reply().code(), "426");
        c.next("226 ABOR successful.");
        c.next("200 NOOP ok.");
        assert!(
            begin.elapsed() < Duration::from_secs(3),
            "{:?}",
            begin.elapsed()
        );
        c.says(command, FIRST);
    }
    c.send(format!("{say}LIST\r\n").as_bytes());
    assert_eq!(c.reply().code(), "200");
    let begin = Instant::now();
    c.next(NO_CONNECTION);
    assert!(
        (3900..9000).contains(&begin.elapsed().as_millis()),
        "{:?}",
        begin.elapsed()
    );
    drop(c);
    all_is_well(&server);
}

/// Transfers between two servers go only where both ends of the options allow them, and what would make a server TLS's client is unknown
/// (attacks B-058, B-041).
#[test]
fn transfers_between_two_servers() {
    let host = Host::new();
    for (lines, passive, active) in [
        ("", false, false),
        ("pasv_promiscuous=YES\n", true, false),
        ("port_promiscuous=YES\n", false, true),
        ("pasv_promiscuous=YES\nport_promiscuous=YES\n", true, true),
    ] {
        let server = Server::start(&host, &format!("{lines}accept_timeout=1\n"));
        // Who allows it is told what that means (attacks B-041).
        let told = |option: &str| output().contains(&format!("{option}_promiscuous=YES lets "));
        assert_eq!(
            (told("pasv"), told("port")),
            (passive, active),
            "{}",
            output()
        );
        let mut c = Client::alice();
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, c.epsv()));
        let mut foreign = connect_from("127.0.0.2".parse().unwrap(), at);
        let taken = c.cmd("RETR f").code() == "150";
        assert_eq!(taken, passive, "{lines}");
        let mut bytes = Vec::new();
        foreign.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.is_empty(), !passive);
        if taken {
            assert_eq!(c.reply().code(), "226");
        }
        let listener = TcpListener::bind("127.0.0.2:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let said = c.cmd(&format!("PORT 127,0,0,2,{},{}", port >> 8, port & 255));
        assert_eq!(said.code() == "200", active, "{lines}");
        let said = whole(&mut c, "CPSV", b"").0;
        assert_eq!(said, "500 Unknown command.");
        for command in ["SSCN", "SSCN ON", "CPSV"] {
            c.says(command, "500 Unknown command.");
        }
        drop(c);
        all_is_well(&server);
    }
}

fn link(state: &str) {
    let set = std::process::Command::new("ip")
        .args(["link", "set", "lo", state])
        .status();
    assert!(set.unwrap().success());
}

/// The network goes away under sessions of every kind: each ends by its timeout, and nothing is left (attacks B-059).
#[test]
fn peers_that_are_gone_without_a_word() {
    let host = Host::new();
    std::fs::File::create("/home/alice/huge")
        .unwrap()
        .set_len(50_000_000)
        .unwrap();
    let server = Server::start(
        &host,
        "idle_session_timeout=2\ndata_connection_timeout=2\naccept_timeout=2\nconnect_timeout=2\n",
    );
    let greeted = Client::connect();
    let idle = Client::alice();
    let mut up = Client::alice();
    let (_, mut upload) = up.begin("STOR new");
    upload.stream.write_all(b"some").unwrap();
    let mut down = Client::alice();
    let (_, download) = down.begin("RETR huge");
    let mut waiting = Client::alice();
    waiting.epsv();
    waiting.send(b"LIST\r\n");
    let mut active = Client::alice();
    let listener = active.active();
    link("down");
    active.stream().set_nonblocking(true).unwrap();
    let mut stream = active.stream();
    let _ = stream.write_all(b"RETR f\r\n");
    wait("every session to go", || {
        children(server.pid()).is_empty().then_some(())
    });
    link("up");
    drop((
        greeted, idle, up, upload, down, download, waiting, active, listener,
    ));
    all_is_well(&server);
}

/// Each timeout ends what it is for at its time, not before and not much after, all at once (attacks B-055).
#[test]
fn each_timeout_at_its_time() {
    let host = Host::new();
    std::fs::File::create("/home/alice/huge")
        .unwrap()
        .set_len(50_000_000)
        .unwrap();
    let lines =
        "idle_session_timeout=3\ndata_connection_timeout=3\naccept_timeout=3\nconnect_timeout=3\n";
    let server = Server::start(&host, lines);
    let (deaf, _queue) = deaf();
    let at = deaf.local_addr().unwrap().port();
    let begin = Instant::now();
    let mut greeted = Client::connect();
    let mut idle = Client::alice();
    let mut up = Client::alice();
    let (_, upload) = up.begin("STOR new");
    let mut down = Client::alice();
    let (_, download) = down.begin("RETR huge");
    let mut accepting = Client::alice();
    accepting.epsv();
    accepting.send(b"LIST\r\n");
    let mut connecting = Client::alice();
    let say = format!("PORT 127,0,0,1,{},{}", at >> 8, at & 255);
    assert_eq!(connecting.cmd(&say).code(), "200");
    connecting.send(b"LIST\r\n");
    let ready = begin.elapsed();
    for (c, expected) in [
        (&mut accepting, NO_CONNECTION),
        (&mut connecting, NO_CONNECTION),
        (&mut greeted, "421 Timeout."),
        (&mut idle, "421 Timeout."),
        (&mut up, "421 Data timeout. Reconnect. Sorry."),
        (&mut down, "421 Data timeout. Reconnect. Sorry."),
    ] {
        c.next(expected);
        let after = begin.elapsed();
        assert!(after >= Duration::from_secs(3), "{expected}: {after:?}");
        // A busy machine has a second for itself, beside what it took to begin.
        let latest = ready + Duration::from_secs(5);
        assert!(after < latest, "{expected}: {after:?} of {ready:?}");
    }
    drop((
        upload, download, accepting, connecting, greeted, idle, up, down,
    ));
    all_is_well(&server);
}
