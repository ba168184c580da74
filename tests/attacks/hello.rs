//! Handshakes that no client of today makes: old versions, weak suites, odd names, garbage, floods.

use crate::sessions::{children, memory};
use crate::support::tls::{self, BOTH, Ftps, ON, TLS13, clear_line, offer};
use crate::support::{DEADLINE, Host, Server, wait};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// Suites that are served, of each kind of key, and TLS 1.3's own.
const STRONG: [u16; 4] = [0xC02B, 0xC02F, 0xC02C, 0x1301];

fn start(host: &Host, lines: &str) -> Server {
    tls::certificate(host);
    let settings = "ssl_handshakes_per_ip=0\nmax_per_ip=0\n";
    Server::start(host, &format!("{ON}{settings}{lines}"))
}

/// A greeted connection that has said AUTH TLS.
fn asked() -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    assert!(clear_line(&mut stream).starts_with("220 "));
    stream.write_all(b"AUTH TLS\r\n").unwrap();
    assert!(clear_line(&mut stream).starts_with("234 "));
    stream
}

/// A vector of TLS with a length of two bytes.
fn long(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn short(bytes: &[u8]) -> Vec<u8> {
    [&[bytes.len() as u8][..], bytes].concat()
}

/// An extension.
fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &long(body)].concat()
}

/// What a client of TLS 1.2 with elliptic curves sends besides.
fn usual() -> Vec<u8> {
    let groups = extension(10, &long(&[0, 0x1d, 0, 0x17]));
    let points = extension(11, &short(&[0]));
    let signatures = extension(13, &long(&[4, 3, 8, 4, 4, 1]));
    [groups, points, signatures].concat()
}

/// A list of one host name (RFC 6066).
fn host_name(name: &[u8]) -> Vec<u8> {
    extension(0, &long(&[&[0][..], &long(name)].concat()))
}

/// A ClientHello, in records of 16 KiB (RFC 5246, 7.4.1.2).
fn hello(version: u16, suites: &[u16], compression: &[u8], extensions: &[u8]) -> Vec<u8> {
    let suites: Vec<u8> = suites.iter().flat_map(|one| one.to_be_bytes()).collect();
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.extend(short(&[]));
    body.extend(long(&suites));
    body.extend(short(compression));
    body.extend(long(extensions));
    let length = (body.len() as u32).to_be_bytes();
    let message = [&[1][..], &length[1..], &body].concat();
    let record = |piece: &[u8]| [&[HANDSHAKE, 3, 1][..], &long(piece)].concat();
    message.chunks(16 * 1024).flat_map(record).collect()
}

/// All that the server says to these bytes after AUTH, and the kind of its first record.
fn answered(bytes: &[u8]) -> (Option<u8>, Vec<u8>) {
    let mut stream = asked();
    // It may have heard enough before all is sent.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    let clear = said
        .windows(4)
        .any(|w| [b"220 ", b"331 ", b"530 ", b"500 "].contains(&w.try_into().unwrap()));
    assert!(!clear, "{said:?}");
    (said.first().copied(), said)
}

#[track_caller]
fn refused(bytes: &[u8], what: &str) -> Vec<u8> {
    let (kind, said) = answered(bytes);
    // What was not read is answered by a reset, which may take the alert along.
    assert!(matches!(kind, Some(ALERT) | None), "{what}: {said:?}");
    said
}

#[track_caller]
fn taken(bytes: &[u8], what: &str) {
    let (kind, said) = answered(bytes);
    assert_eq!(kind, Some(HANDSHAKE), "{what}: {said:?}");
}

/// Nothing older than TLS 1.2, and nothing that was weak then (attacks B-092).
#[test]
fn old_versions_and_weak_suites() {
    let host = Host::new();
    let server = start(&host, "");
    taken(&hello(0x0303, &STRONG, &[0], &usual()), "TLS 1.2");
    for version in [0x0002, 0x0200, 0x0300, 0x0301, 0x0302] {
        let said = refused(&hello(version, &STRONG, &[0], &usual()), "version");
        if !said.is_empty() {
            assert_eq!(said[5..7], [2, 70], "protocol_version");
        }
        refused(&hello(version, &[0x5600, 0xC02B], &[0], &usual()), "SCSV");
    }
    // SSL 2's own form, and its form for SSL 3.
    for version in [2, 3] {
        let mut old = vec![0x80, 0x2e, 1, version, 0, 0, 0x15, 0, 0, 0, 0x10];
        old.extend([5; 37]);
        refused(&old, "SSL 2");
    }
    for (what, suites) in [
        (
            "nothing hidden",
            &[0x0001, 0x0002, 0x003B, 0xC006, 0xC010][..],
        ),
        ("export", &[0x0003, 0x0006, 0x0008, 0x0014, 0x0062]),
        ("nobody known", &[0x0018, 0x001B, 0x0034, 0x00A6, 0xC018]),
        ("RC4", &[0x0004, 0x0005, 0xC007, 0xC011]),
        ("3DES", &[0x000A, 0x0016, 0xC008, 0xC012]),
        (
            "CBC",
            &[
                0x002F, 0x0035, 0x003C, 0xC009, 0xC00A, 0xC013, 0xC023, 0xC027,
            ],
        ),
        ("no forward secrecy", &[0x009C, 0x009D, 0xC02D]),
        ("DHE", &[0x0033, 0x0039, 0x009E, 0x009F]),
        ("none", &[]),
        ("only signals", &[0x00FF, 0x5600]),
    ] {
        refused(&hello(0x0303, suites, &[0], &usual()), what);
    }
    refused(&hello(0x0303, &STRONG, &[1], &usual()), "compression alone");
    refused(
        &hello(0x0303, &STRONG, &[], &usual()),
        "no compression method",
    );
    let (_, said) = answered(&hello(0x0303, &STRONG, &[1, 0], &usual()));
    // ServerHello: after its random and its session's name the suite, and how it is compressed: not.
    let method = 9 + 2 + 32 + 1 + usize::from(said[43]) + 2;
    assert_eq!(said[method], 0, "{said:?}");
    let heartbeat = [usual(), extension(15, &[1])].concat();
    let (_, said) = answered(&hello(0x0303, &STRONG, &[0], &heartbeat));
    assert!(!said.windows(5).any(|w| w == [0, 15, 0, 1, 1]), "{said:?}");
    back_to_base(&server);
}

/// Nothing is left but master and its keyholder, and both serve.
fn back_to_base(server: &Server) {
    wait("every session to go", || {
        (children(server.pid()).len() == 1).then_some(())
    });
    let mut client = Ftps::alice(offer(BOTH, None));
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
}

/// Names of protocols (RFC 7301), on the control connection, on a port for TLS from the first byte, and on data connections (attacks B-093).
#[test]
fn protocols_of_others() {
    let host = Host::new();
    let server = start(&host, "implicit_listen_port=990\n");
    let list = |names: &[&[u8]]| {
        let all: Vec<u8> = names.iter().flat_map(|name| short(name)).collect();
        [usual(), extension(16, &long(&all))].concat()
    };
    let named = |names: &[&[u8]]| hello(0x0303, &STRONG, &[0], &list(names));
    for names in [
        &[&b"http/1.1"[..]][..],
        &[b"h2", b"imap"],
        &[b"FTP"],
        &[b"ftp "],
        &[b"ftp\0"],
    ] {
        let said = refused(&named(names), "another protocol");
        assert!(
            said.is_empty() || said[5..7] == [2, 120],
            "no_application_protocol: {said:?}"
        );
    }
    taken(&named(&[b"h2", b"ftp"]), "ftp");
    refused(&named(&[]), "an empty list");
    refused(&named(&[b""]), "an empty name");
    let mut many = vec![&b"ab"[..]; 10_000];
    refused(&named(&many), "ten thousand");
    many.push(b"ftp");
    taken(&named(&many), "ftp as the last of ten thousand");
    let with = |names: &[&[u8]]| {
        let mut config = offer(BOTH, None);
        config.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    };
    let dial = || TcpStream::connect((Ipv4Addr::LOCALHOST, 990)).unwrap();
    assert!(tls::handshake(&with(&[b"http/1.1"]), dial()).is_err());
    let implicit = tls::handshake(&with(&[b"ftp"]), dial()).unwrap();
    assert_eq!(implicit.conn.alpn_protocol(), Some(&b"ftp"[..]));
    drop(implicit);
    let mut client = Ftps::alice(offer(BOTH, None));
    // The same client, as far as its sessions show.
    let led_here = |names: &[&[u8]]| {
        let mut config = (*client.config).clone();
        config.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    };
    let (browser, ftp) = (led_here(&[b"http/1.1"]), led_here(&[b"ftp"]));
    assert!(client.begin_with("RETR f", &browser).is_err());
    assert!(client.reply().starts_with("425 "));
    let mut data = client.begin_with("RETR f", &ftp).unwrap();
    assert_eq!(data.conn.alpn_protocol(), Some(&b"ftp"[..]));
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    tls::farewell(data);
    client.next("226 Transfer complete.");
    assert_eq!(bytes, b"hello world\n");
    drop(client);
    back_to_base(&server);
}

/// Names of hosts in TLS that are none, too long, or somebody else's (attacks B-094).
#[test]
fn names_of_hosts() {
    let host = Host::new();
    for lines in ["", "ssl_sni_hostname=ftp.example.org\n"] {
        let server = start(&host, lines);
        let strict = !lines.is_empty();
        let named =
            |name: &[u8]| hello(0x0303, &STRONG, &[0], &[usual(), host_name(name)].concat());
        let labels = b"a.".repeat(255);
        for name in [
            &b"other.example.org"[..],
            b"ftp.example.org.example.net",
            b"127.0.0.1",
            b"::1",
            b"ftp.example.org\0.example.net",
            b"\0",
            b"",
            b"\xff\xfe",
            b"ftp.example.org/../x",
            &labels,
            &[b'x'; 60_000],
        ] {
            let hello = named(name);
            if strict {
                refused(&hello, &String::from_utf8_lossy(name));
            } else {
                answered(&hello);
            }
        }
        for name in [&b"ftp.example.org"[..], b"FTP.Example.ORG"] {
            taken(&named(name), "the host's own name");
        }
        // Two names, no name in the list, a name of another kind, no list.
        let two = [host_name(b"ftp.example.org"), host_name(b"ftp.example.org")].concat();
        for odd in [
            two,
            extension(0, &long(&[])),
            extension(0, &[]),
            extension(0, &long(&[9, 0, 1, b'x'])),
        ] {
            answered(&hello(0x0303, &STRONG, &[0], &[usual(), odd].concat()));
        }
        let mut nameless = offer(BOTH, None);
        nameless.enable_sni = false;
        let entered = tls::handshake(&Arc::new(nameless), asked());
        assert_eq!(entered.is_ok(), !strict, "no name: {lines}");
        drop(entered);
        wait("every session to go", || {
            (children(server.pid()).len() == 1).then_some(())
        });
    }
}

/// Random bytes, and beginnings of records with random bytes behind: each has an end, and costs little (attacks B-095).
#[test]
fn garbage() {
    let host = Host::new();
    let server = start(&host, "");
    let mut seed = 20_261_127_u64;
    let mut chance = move |below: u64| {
        seed = seed * 48_271 % 2_147_483_647;
        seed % below
    };
    let right = hello(0x0303, &STRONG, &[0], &usual());
    for number in 0..400 {
        let mut bytes: Vec<u8> = match number % 4 {
            0 => Vec::new(),
            1 => vec![HANDSHAKE, 3, 1],
            2 => right[..chance(right.len() as u64) as usize].to_vec(),
            _ => {
                // All of it, with a byte that is not what it was.
                let mut all = right.clone();
                all[chance(right.len() as u64) as usize] ^= 1 << chance(8);
                all
            }
        };
        if number % 4 < 3 {
            bytes.extend((0..chance(3000)).map(|_| chance(256) as u8));
        }
        answered(&bytes);
    }
    // A name of a session that claims to be longer than all there is, a hello as long as may be, one that is longer.
    let mut session = right.clone();
    session[43] = 255;
    refused(&session, "a session's name without an end");
    for length in [16_000, 60_000, 65_000] {
        let padding = [usual(), extension(21, &vec![0; length])].concat();
        answered(&hello(0x0303, &STRONG, &[0], &padding));
    }
    let endless = [
        &[HANDSHAKE, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..],
        &[0; 16_379],
    ]
    .concat();
    refused(&endless, "a hello of 16 MiB");
    // An end that is announced right behind the hello.
    let closing = [&right[..], &[ALERT, 3, 3, 0, 2, 1, 0]].concat();
    answered(&closing);
    back_to_base(&server);
}

/// A record again and again after AUTH: heard a few times, not for ever (attacks B-095, B-097).
#[test]
fn floods_before_the_hello() {
    let host = Host::new();
    let server = start(&host, "");
    let right = hello(0x0304, &STRONG, &[0], &usual());
    for (what, record) in [
        ("warnings", &[ALERT, 3, 1, 0, 2, 1, 90][..]),
        ("empty pieces of a handshake", &[HANDSHAKE, 3, 1, 0, 0]),
        ("empty pieces of data", &[23, 3, 3, 0, 0]),
        ("changes of cipher", &[20, 3, 3, 0, 1, 1]),
        ("heartbeats", &[24, 3, 3, 0, 3, 1, 0xff, 0xff]),
    ] {
        for before in [&[][..], &right[..20], &right] {
            let mut stream = asked();
            let begin = Instant::now();
            let _ = stream.write_all(before);
            let flood = record.repeat(10_000);
            let _ = stream.write_all(&flood);
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said);
            assert!(begin.elapsed() < Duration::from_secs(8), "{what}");
            assert!(!said.starts_with(b"2") && !said.starts_with(b"5"), "{what}");
        }
    }
    back_to_base(&server);
}

/// After the handshake: new keys without end have one, and a record for each byte is heard, at no great cost (attacks B-097).
#[test]
fn floods_after_the_handshake() {
    let host = Host::new();
    let server = start(&host, "");
    let mut client = Ftps::upgrade(offer(TLS13, None));
    let mut sent = 0;
    for _ in 0..100_000 {
        let stream = client.input.get_mut();
        if stream.conn.refresh_traffic_keys().is_err() || stream.flush().is_err() {
            break;
        }
        // What it answers with, or that it has closed.
        stream.sock.set_nonblocking(true).unwrap();
        let read = stream.conn.read_tls(&mut stream.sock);
        stream.sock.set_nonblocking(false).unwrap();
        if matches!(read, Ok(0)) || stream.conn.process_new_packets().is_err() {
            break;
        }
        sent += 1;
    }
    assert!(sent < 10_000, "{sent} new keys were taken");
    drop(client);
    let mut client = Ftps::alice(offer(BOTH, None));
    let greeter = wait("the greeter", || {
        let mut below = children(server.pid()).into_iter().flat_map(children);
        below.next()
    });
    let pour = |client: &mut Ftps, times: usize| {
        for _ in 0..times {
            for byte in b"NOOP\r\n" {
                client.send(&[*byte]);
            }
            client.next("200 NOOP ok.");
        }
    };
    pour(&mut client, 100);
    let before = memory(greeter);
    pour(&mut client, 2000);
    assert!(memory(greeter) - before < 256);
    drop(client);
    back_to_base(&server);
}

/// Who sends a byte of the hello now and then is hung up on as one who sends none: on the control connection and on a data connection (attacks B-095, B-102).
#[test]
fn a_hello_a_byte_at_a_time() {
    let host = Host::new();
    let server = start(&host, "");
    let right = hello(0x0303, &STRONG, &[0], &usual());
    let dribble = |mut stream: TcpStream| {
        let begin = Instant::now();
        let pause = Duration::from_millis(200);
        stream.set_read_timeout(Some(pause)).unwrap();
        for byte in &right {
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
            match stream.read(&mut [0; 64]) {
                Ok(_) => break,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
            assert!(begin.elapsed() < Duration::from_secs(18), "still served");
        }
        assert!(
            begin.elapsed() > Duration::from_secs(5),
            "hung up on at once"
        );
    };
    let mut client = Ftps::alice(offer(BOTH, None));
    let data = client.passive();
    assert!(client.cmd("RETR f").starts_with("150 "));
    std::thread::scope(|scope| {
        scope.spawn(|| dribble(asked()));
        scope.spawn(|| dribble(data));
        client.next("425 TLS handshake failed on the data connection.");
    });
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
    drop(client);
    back_to_base(&server);
}

/// A hello of the session's own client, heard and said again by somebody else; one before the other's end; and data before the handshake (attacks B-153).
#[test]
fn a_hello_said_again() {
    let host = Host::new();
    let server = start(&host, "");
    let mut early = offer(TLS13, None);
    early.enable_early_data = true;
    let mut client = Ftps::alice(early);
    let config = Arc::clone(&client.config);
    let mut stream = client.passive();
    let name = "localhost".try_into().unwrap();
    let mut tls = rustls::ClientConnection::new(config, name).unwrap();
    assert!(tls.early_data().is_none(), "early data would be taken");
    let mut heard = Vec::new();
    tls.write_tls(&mut heard).unwrap();
    stream.write_all(&heard).unwrap();
    assert!(client.cmd("RETR f").starts_with("150 "));
    while tls.is_handshaking() || tls.wants_write() {
        tls.complete_io(&mut stream).unwrap();
    }
    let mut data = rustls::StreamOwned::new(tls, stream);
    assert!(Ftps::resumed(&data) && !data.conn.is_early_data_accepted());
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    tls::farewell(data);
    client.next("226 Transfer complete.");
    assert_eq!(bytes, b"hello world\n");
    for command in ["RETR f", "STOR stolen"] {
        let mut stream = client.passive();
        stream.write_all(&heard).unwrap();
        assert!(client.cmd(command).starts_with("150 "));
        // Who has only heard it cannot finish: what comes instead is data without a key.
        stream.write_all(&[23, 3, 3, 0, 5, 1, 2, 3, 4, 5]).unwrap();
        let end = client.reply();
        assert!(end.starts_with("425 ") || end.starts_with("522 "), "{end}");
    }
    assert!(!host.exists("/home/alice/stolen") || host.read("/home/alice/stolen").is_empty());
    // Nothing waits for anybody when the session is over.
    let port = client.passive().peer_addr().unwrap().port();
    client.says("QUIT", "221 Goodbye.");
    wait("the port to be closed", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .is_err()
            .then_some(())
    });
    drop(client);
    back_to_base(&server);
}
