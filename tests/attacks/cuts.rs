//! Transfers that are cut at any byte and sessions that end in any order (attacks B-050 to B-054, B-056, B-098, B-099).

use crate::oracle::{Stretch, Talk, all_is_well, either_way, settled};
use crate::sessions::children;
use crate::support::client::ends_with_a_reset;
use crate::support::host::ALICE;
use crate::support::log::VSFTPD;
use crate::support::server::connected_from;
use crate::support::tls::{self, BOTH, Ftps, ON, TLS12, TLS13, farewell, offer};
use crate::support::{Client, Host, Server, wait};
use nix::sys::socket::{MsgFlags, send, setsockopt, sockopt};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown};
use std::os::fd::AsRawFd;

/// Which end of which connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cut {
    /// The data connection, as after the last byte.
    End,
    /// The data connection, by a reset.
    Reset,
    /// The control connection, by a reset.
    Control,
    /// The worker is killed.
    Worker,
}

/// Where: the edges of pages, of records of TLS, of what is moved at a time.
const POINTS: [usize; 14] = [
    0, 1, 2, 4095, 4096, 4097, 8192, 16_383, 16_384, 16_385, 65_536, 131_071, 131_072, 300_000,
];

/// More than that.
const LENGTH: usize = 1 << 20;

fn text() -> Vec<u8> {
    (0..LENGTH as u32 / 4).flat_map(u32::to_le_bytes).collect()
}

/// Sends as much, or takes as much.
fn move_some(stretch: &mut Stretch, up: bool, count: usize, text: &[u8]) {
    let mut room = vec![0; count];
    match (stretch, up) {
        (Stretch::Clear(data), true) => data.stream.write_all(&text[..count]).unwrap(),
        (Stretch::Clear(data), false) => data.stream.read_exact(&mut room).unwrap(),
        (Stretch::Secure(stream), true) => {
            stream.write_all(&text[..count]).unwrap();
            stream.flush().unwrap();
        }
        (Stretch::Secure(stream), false) => stream.read_exact(&mut room).unwrap(),
    }
}

/// The processes of sessions, whatever else the server has.
fn workers(uid: u32) -> Vec<i32> {
    let mut all = Server::processes();
    all.retain(|pid| {
        crate::sessions::status(*pid, "Uid").is_some_and(|line| line.starts_with(&uid.to_string()))
    });
    all
}

/// One transfer, cut there; what was said of it, if anybody is left to hear that.
fn cut(
    mut c: Talk,
    (command, active): (&str, bool),
    at: usize,
    how: Cut,
    text: &[u8],
) -> Option<String> {
    let up = command.starts_with(['S', 'A']);
    let mut stretch = if active {
        c.begin_actively(command)
    } else {
        c.begin(command)
    };
    if !up {
        // What has come to the client's kernel has arrived: less than is left.
        setsockopt(stretch.socket(), sockopt::RcvBuf, &(64 << 10)).unwrap();
    }
    move_some(&mut stretch, up, at, text);
    match how {
        Cut::End => {
            stretch.socket().shutdown(Shutdown::Both).unwrap();
            drop(stretch);
        }
        Cut::Reset => {
            ends_with_a_reset(stretch.socket());
            drop(stretch);
        }
        Cut::Control => {
            let here = match &c {
                Talk::Clear(c) => c.stream().local_addr(),
                Talk::Secure(c) => c.socket().local_addr(),
            };
            match c {
                Talk::Clear(c) => c.reset(),
                Talk::Secure(c) => c.reset(),
            }
            // On a busy machine what two connections say can change places on its way.
            let port = here.unwrap().port();
            wait("the reset to arrive", || {
                (!connected_from(port)).then_some(())
            });
            return None;
        }
        Cut::Worker => {
            let [worker] = workers(ALICE)[..] else {
                panic!("{:?}", workers(ALICE));
            };
            let worker = nix::unistd::Pid::from_raw(worker);
            nix::sys::signal::kill(worker, nix::sys::signal::Signal::SIGKILL).unwrap();
            return None;
        }
    }
    Some(c.reply())
}

/// Passive and active, over IPv4 and IPv6, in turns: of the points of each way to cut each has each.
fn way(number: usize) -> (IpAddr, bool) {
    let six = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);
    let four = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    ([four, six][number / 2 % 2], number % 2 == 1)
}

/// A success is told if and only if every byte has gone over: an upload in clear that ends as one does is whole, whatever it was meant to be,
/// and under TLS only one whose end was announced (attacks B-050).
fn sweep(secured: bool) {
    let host = Host::new();
    let text = text();
    host.file("/home/alice/big", &text);
    host.mkdir("/home/alice/large", ALICE);
    for number in 0..2500 {
        host.file(&format!("/home/alice/large/{number:0200}"), b"");
    }
    tls::certificate(&host);
    let lines = if secured { tls::ON } else { "" };
    let lines = format!("{lines}delete_failed_uploads=YES\nlisten=NO\nlisten_ipv6=YES\n");
    let server = Server::start(&host, &lines);
    let idle = Server::processes();
    let offers = [TLS12, TLS13].map(|versions| offer(versions, None));
    let mut number = 0;
    for at in POINTS {
        for how in [Cut::End, Cut::Reset, Cut::Control, Cut::Worker] {
            for command in ["STOR new", "APPE new", "STOU new", "RETR big", "LIST large"] {
                number += 1;
                let _ = std::fs::remove_file("/home/alice/new");
                let (address, active) = way(number);
                let c = Talk::alice(address, secured.then(|| offers[number / 4 % 2].clone()));
                let said = cut(c, (command, active), at, how, &text);
                let up = command.ends_with("new");
                let whole = up && how == Cut::End && !secured;
                if let Some(said) = said {
                    let expected = if whole { "226" } else { "42" };
                    assert!(said.starts_with(expected), "{command} {at} {how:?}: {said}");
                }
                if whole {
                    assert!(host.read("/home/alice/new") == text[..at], "{command} {at}");
                }
                settled(&idle);
                // What nobody has told to be whole is gone, unless who would have removed it was killed.
                if !whole && how != Cut::Worker && up {
                    assert!(!host.exists("/home/alice/new"), "{command} {at} {how:?}");
                }
            }
        }
    }
    drop(server);
}

/// attacks B-050.
#[test]
fn transfers_cut_at_any_byte() {
    sweep(false);
}

/// attacks B-050.
#[test]
fn transfers_cut_at_any_byte_under_tls() {
    sweep(true);
}

/// QUIT, ABOR, the end of the control connection and that of the data connection in every order, in an upload, a download and a listing:
/// nothing is left (attacks B-051).
#[test]
fn ends_in_every_order() {
    let host = Host::new();
    host.file("/home/alice/big", &text());
    let server = Server::start(&host, "");
    let idle = Server::processes();
    for command in ["STOR new", "RETR big", "LIST"] {
        for order in 0..24 {
            let mut left = vec!["QUIT\r\n", "ABOR\r\n", "control", "data"];
            let mut c = Some(Client::alice());
            let mut data = Some(c.as_mut().unwrap().begin(command).1);
            let mut number = order;
            for count in (1..=4).rev() {
                match left.remove(number % count) {
                    "control" => drop(c.take()),
                    "data" => drop(data.take()),
                    text => {
                        // The session may be over by then.
                        if let Some(c) = &c {
                            let mut stream = c.stream();
                            let _ = stream.write_all(text.as_bytes());
                        }
                    }
                }
                number /= count;
            }
            settled(&idle);
        }
    }
    all_is_well(&server);
}

/// A listing and the ABOR that ends it, back to back: each command has its answers, in their order, and none takes the processor for itself
/// (attacks B-052).
#[test]
fn listings_and_aborts_back_to_back() {
    const TIMES: usize = 1500;
    let host = Host::new();
    let server = Server::start(&host, "");
    let mut c = Client::alice();
    // Nobody connects: what is waited for is broken off.
    let mut replies = 0;
    for _ in 0..TIMES / 50 {
        c.send(&b"EPSV\r\nLIST\r\nABOR\r\n".repeat(50));
        for _ in 0..50 {
            assert_eq!(c.reply().code(), "229");
            c.next("426 Failure establishing connection.");
            c.next("226 ABOR successful.");
            replies += 1;
        }
    }
    assert_eq!(replies, TIMES);
    c.send(&b"ABOR\r\n".repeat(1000));
    for _ in 0..1000 {
        c.next("225 No transfer to ABOR.");
    }
    // With a connection either the listing was over by then, or it was broken off.
    for _ in 0..200 {
        let data = c.passive();
        c.send(b"LIST\r\nABOR\r\nNOOP\r\n");
        let mut codes = vec![c.reply().code().to_owned()];
        while codes.last().unwrap() != "200" {
            codes.push(c.reply().code().to_owned());
        }
        let told: Vec<&str> = codes.iter().map(String::as_str).collect();
        let known = [
            &["150", "226", "225", "200"][..],
            &["150", "426", "226", "200"],
            &["426", "226", "200"],
        ];
        assert!(known.contains(&&told[..]), "{told:?}");
        drop(data);
    }
    drop(c);
    all_is_well(&server);
}

/// Commands whose every byte is urgent, before login and after, and in the middle of transfers: none is lost. A byte that is urgent is one of
/// the stream on the control connection, so that one from outside ends TLS, and no more than that session (attacks B-053).
#[test]
fn urgent_bytes_everywhere() {
    let host = Host::new();
    host.file("/home/alice/big", &text());
    let (_server, idle) = either_way(&host, "");
    let mut c = Client::connect();
    let many = |c: &mut Client, count: usize, command: &str, code: &str| {
        for _ in 0..count {
            for byte in command.bytes().chain(*b"\r\n") {
                c.urgent(&[byte]);
            }
            assert_eq!(c.reply().code(), code, "{command}");
        }
    };
    many(&mut c, 9, "NOOP", "530");
    c.login("alice");
    many(&mut c, 3000, "NOOP", "200");
    let (_, mut data) = c.begin("RETR big");
    for _ in 0..200 {
        c.urgent(b"\n");
        data.urgent(b"!");
    }
    assert_eq!(data.read(), text());
    assert_eq!(c.reply().code(), "226");
    many(&mut c, 10, "NOOP", "200");
    let (_, mut data) = c.begin("STOR new");
    for piece in text().chunks(64 * 1024) {
        data.stream.write_all(piece).unwrap();
        c.urgent(b"\n");
    }
    drop(data);
    assert_eq!(c.reply().code(), "226");
    assert!(host.read("/home/alice/new") == text());
    let secure = Ftps::alice(offer(BOTH, None));
    let sent = send(secure.socket().as_raw_fd(), b"!", MsgFlags::MSG_OOB).unwrap();
    assert_eq!(sent, 1);
    let mut socket = secure.socket();
    let _ = socket.write_all(&[0x17, 3, 3, 0, 64]);
    let _ = socket.write_all(&[0x5a; 64]);
    let mut rest = Vec::new();
    let mut raw = secure.socket().try_clone().unwrap();
    let _ = raw.read_to_end(&mut rest);
    // An alert at most, and the end.
    assert!(rest.len() < 100, "{rest:?}");
    many(&mut c, 10, "NOOP", "200");
    drop((c, secure));
    settled(&idle);
}

/// STAT in the middle of uploads, downloads and listings, in clear and under TLS, is answered (attacks B-054).
#[test]
fn stat_during_every_transfer() {
    let host = Host::new();
    std::fs::File::create("/home/alice/huge")
        .unwrap()
        .set_len(50_000_000)
        .unwrap();
    let (_server, idle) = either_way(&host, "");
    for secured in [false, true] {
        let mut c = Talk::alice(
            Ipv4Addr::LOCALHOST.into(),
            secured.then(|| offer(BOTH, None)),
        );
        for command in ["RETR huge", "STOR new", "APPE new"] {
            let mut stretch = c.begin(command);
            for _ in 0..20 {
                assert!(c.cmd("STAT").starts_with("211-"), "{command}");
            }
            // A listing comes in its turn.
            c.send(b"STAT d\r\n");
            match &mut stretch {
                Stretch::Clear(data) => {
                    if command.starts_with('R') {
                        assert_eq!(data.read().len(), 50_000_000);
                    }
                }
                Stretch::Secure(stream) => {
                    let mut bytes = Vec::new();
                    if command.starts_with('R') {
                        stream.read_to_end(&mut bytes).unwrap();
                    }
                }
            }
            match stretch {
                Stretch::Clear(data) => drop(data),
                Stretch::Secure(stream) => farewell(*stream),
            }
            assert!(c.reply().starts_with("226"), "{command}");
            assert!(c.reply().starts_with("213-"), "{command}");
        }
        drop(c);
        settled(&idle);
    }
}

/// Sixteen sessions ask for the same unique name at once: each has its own, and is told it. Where all names are taken that is said (attacks
/// B-056).
#[test]
fn unique_names_of_many() {
    for lines in ["", "atomic_uploads=YES\n"] {
        unique_names(lines);
    }
}

fn unique_names(lines: &str) {
    const EACH: usize = 12;
    let host = Host::new();
    let server = Server::start(&host, &format!("max_per_ip=0\n{lines}"));
    let names = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..16)
            .map(|who| {
                let mut c = Client::alice();
                scope.spawn(move || {
                    let mut names = Vec::new();
                    for number in 0..EACH {
                        let (opening, data) = c.begin("STOU empty/x");
                        let name = opening
                            .text()
                            .strip_prefix("150 FILE: ")
                            .unwrap()
                            .to_owned();
                        data.write(format!("{who} {number}").as_bytes());
                        assert_eq!(c.reply().code(), "226");
                        names.push((name, format!("{who} {number}")));
                    }
                    names
                })
            })
            .collect();
        runs.into_iter()
            .flat_map(|run| run.join().unwrap())
            .collect::<Vec<_>>()
    });
    let different: BTreeSet<&String> = names.iter().map(|(name, _)| name).collect();
    assert_eq!(different.len(), 16 * EACH);
    for (name, text) in &names {
        assert_eq!(host.read(&format!("/home/alice/{name}")), text.as_bytes());
    }
    host.mkdir("/home/alice/taken", ALICE);
    host.file("/home/alice/taken/x", b"");
    for number in 0..10_001 {
        host.file(&format!("/home/alice/taken/x.{number}"), b"");
    }
    let mut c = Client::alice();
    c.refused("STOU taken/x", "553 Could not create file.");
    assert_eq!(
        std::fs::read_dir("/home/alice/taken").unwrap().count(),
        10_002
    );
    c.says("NOOP", "200 NOOP ok.");
    drop(c);
    wait("the sessions to go", || {
        children(server.pid()).is_empty().then_some(())
    });
    all_is_well(&server);
}

/// How often the log has this.
fn logged(host: &Host, text: &str, count: usize) {
    wait(text, || {
        let log = String::from_utf8_lossy(&host.read(VSFTPD)).into_owned();
        assert!(!log.contains("OK UPLOAD"), "{log}");
        (log.matches(text).count() == count).then_some(())
    });
}

/// By an end, a reset, or an end within a record; kept or removed as the option says. Without strictness an end is one, a reset is not.
#[test]
fn uploads_under_tls() {
    let host = Host::new();
    tls::certificate(&host);
    let mut failed = 0;
    for (lines, keeps) in [("", true), ("delete_failed_uploads=YES\n", false)] {
        let server = Server::start(&host, &format!("{ON}{lines}"));
        for versions in [TLS12, TLS13] {
            for size in [4, 200_000] {
                for way in ["end", "reset", "half a record"] {
                    let mut c = Ftps::alice(offer(versions, None));
                    c.says("TYPE I", "200 Switching to Binary mode.");
                    let _ = std::fs::remove_file("/home/alice/part");
                    let mut data = c.begin("STOR part");
                    data.write_all(&vec![b'x'; size]).unwrap();
                    data.flush().unwrap();
                    let mut socket = &data.sock;
                    match way {
                        "end" => socket.shutdown(Shutdown::Write).unwrap(),
                        "reset" => ends_with_a_reset(socket),
                        _ => {
                            socket.write_all(b"\x17\x03\x03\x01\x00cut").unwrap();
                            socket.shutdown(Shutdown::Write).unwrap();
                        }
                    }
                    if way == "reset" {
                        drop(data);
                    }
                    let said = c.reply();
                    assert!(said.starts_with("426 "), "{lines}{way} {size}: {said}");
                    failed += 1;
                    logged(&host, "FAIL UPLOAD", failed);
                    assert_eq!(host.exists("/home/alice/part"), keeps, "{lines}{way}");
                    c.says("NOOP", "200 NOOP ok.");
                }
            }
        }
        drop(server);
    }
    let _server = Server::start(&host, &format!("{ON}strict_ssl_read_eof=NO\n"));
    let mut c = Ftps::alice(offer(TLS13, None));
    let mut data = c.begin("STOR part");
    data.write_all(b"half").unwrap();
    data.flush().unwrap();
    ends_with_a_reset(&data.sock);
    drop(data);
    assert!(c.reply().starts_with("426 "));
    logged(&host, "FAIL UPLOAD", failed + 1);
}

/// A client sees by TLS's own word whether it has all: the end is announced when there is one, and never when the transfer was broken off
/// (attacks B-099).
#[test]
fn downloads_under_tls() {
    let host = Host::new();
    tls::certificate(&host);
    host.file("/home/alice/big", &vec![b'x'; 30_000_000]);
    let _server = Server::start(&host, ON);
    for versions in [TLS12, TLS13] {
        let mut c = Ftps::alice(offer(versions, None));
        for name in ["f", "empty-file", "big"] {
            if name == "empty-file" {
                host.file("/home/alice/empty-file", b"");
            }
            // An end that was not announced is an error of this read.
            let length = c.fetch(&format!("RETR {name}")).len();
            assert_eq!(length, host.read(&format!("/home/alice/{name}")).len());
        }
        let mut data = c.begin("RETR big");
        data.read_exact(&mut [0; 1000]).unwrap();
        c.says("ABOR", "426 Failure writing network stream.");
        c.next("226 ABOR successful.");
        let error = data.read_to_end(&mut Vec::new()).unwrap_err();
        let kinds = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
        assert!(kinds.contains(&error.kind()), "{error}");
        let mut data = c.begin("RETR big");
        data.read_exact(&mut [0; 1000]).unwrap();
        ends_with_a_reset(&data.sock);
        drop(data);
        c.next("426 Failure writing network stream.");
        let data = c.begin("RETR big");
        farewell(data);
        assert!(c.reply().starts_with("426 "));
    }
    logged(&host, "FAIL DOWNLOAD", 6);
}
