//! The server as somebody else's client: PORT and EPRT in every spelling, looked at on the wire (attacks B-030 to B-041, B-045).

use crate::channels::closed;
use crate::oracle::{Canary, all_is_well, either_way, settled, whole};
use crate::support::tls::{self, BOTH, Ftps, offer};
use crate::support::{Client, Host, Server};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

const OWN: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 1);
const OWN6: &str = "fd00:9::1";
const FIRST: &str = "425 Use PORT or PASV first.";

/// Every packet of this host (packet(7)).
struct Wire(OwnedFd);

impl Wire {
    fn new() -> Wire {
        let all = (libc::ETH_P_ALL as u16).to_be();
        let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: takes no pointer.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, all.into()) };
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        // SAFETY: the descriptor was just made, and is nobody else's.
        Wire(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// The address and port of each connection that was tried since.
    fn tried(&self) -> BTreeSet<(IpAddr, u16)> {
        let mut tried = BTreeSet::new();
        let mut packet = [0; 256];
        while let Ok(count) = nix::unistd::read(&self.0, &mut packet) {
            let (to, tcp): (IpAddr, usize) = match packet[0] >> 4 {
                4 if count >= 40 && packet[9] == 6 => {
                    let to: [u8; 4] = packet[16..20].try_into().unwrap();
                    (to.into(), usize::from(packet[0] & 15) * 4)
                }
                6 if count >= 60 && packet[6] == 6 => {
                    let to: [u8; 16] = packet[24..40].try_into().unwrap();
                    (to.into(), 40)
                }
                _ => continue,
            };
            // SYN without ACK.
            if packet[tcp + 13] & 0x12 == 2 {
                let port = u16::from_be_bytes([packet[tcp + 2], packet[tcp + 3]]);
                tried.insert((to, port));
            }
        }
        tried
    }
}

/// A host with networks beside loopback, to whose other addresses packets would go.
fn networked() -> Host {
    let host = Host::new();
    for address in ["10.9.9.1/24", "fd00:9::1/64"] {
        let family = if address.contains(':') { "-6" } else { "-4" };
        let mut words = vec![family, "address", "add", address, "dev", "lo"];
        if family == "-6" {
            words.push("nodad");
        }
        let added = std::process::Command::new("ip").args(words).status();
        assert!(added.unwrap().success());
    }
    host
}

fn from(own: IpAddr) -> Client {
    let mut c = Client::dial_from(own, own).greeted();
    c.login("alice");
    c
}

fn port(ip: Ipv4Addr, port: u16) -> String {
    let [a, b, c, d] = ip.octets();
    format!("PORT {a},{b},{c},{d},{},{}", port >> 8, port & 255)
}

/// Five thousand addresses, a listing asked for each time: nothing but the client's own address is ever connected to (attacks B-030, B-031,
/// B-039).
#[test]
fn only_the_client_is_connected_to() {
    let host = networked();
    let server = Server::start(&host, "listen=NO\nlisten_ipv6=YES\n");
    let mut clients = [from(OWN.into()), from(OWN6.parse().unwrap())];
    let wire = Wire::new();
    // A generator of Lehmer's: the same addresses in every run.
    let mut seed = 20_261_127_u64;
    let mut chance = |below: u64| {
        seed = seed * 48_271 % 2_147_483_647;
        seed % below
    };
    let mut accepted = 0;
    for _ in 0..5000 {
        let number = chance(1 << 31) as u32;
        let to = match chance(8) {
            0 => OWN,
            1 => Ipv4Addr::new(10, 9, 9, 2),
            2 => Ipv4Addr::LOCALHOST,
            3 => Ipv4Addr::new(10, 9, 9, number as u8),
            _ => Ipv4Addr::from(number * 2),
        };
        let at = chance(65536) as u16;
        let six = Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, chance(4) as u16);
        let (who, command, own) = match chance(4) {
            0 => (0, port(to, at), to == OWN),
            1 => (0, format!("EPRT |1|{to}|{at}|"), to == OWN),
            2 => (1, format!("EPRT |2|{six}|{at}|"), six.to_string() == OWN6),
            _ => (1, format!("EPRT |1|{to}|{at}|"), false),
        };
        let c = &mut clients[who];
        let code = c.cmd(&command).code().to_owned();
        assert_eq!(code == "200", own && at >= 1024, "{command}");
        accepted += usize::from(code == "200");
        // Nobody listens there, in all likelihood.
        let (said, _) = (c.cmd("LIST").text(), ());
        assert!(
            said.starts_with("425") || code == "200",
            "{command}: {said}"
        );
        if said.starts_with("150") {
            c.reply();
        }
    }
    assert!(accepted > 100, "{accepted}");
    for (to, at) in wire.tried() {
        let own = to == IpAddr::V4(OWN) || to == OWN6.parse::<IpAddr>().unwrap();
        assert!(own && at >= 1024, "{to} {at}");
    }
    drop(clients);
    all_is_well(&server);
}

/// Loopback, no address, everybody, multicast and the like are nobody's address that a client may have, nor are they hidden in others
/// (attacks B-032, B-034), and no port below 1024 is anybody's (attacks B-033).
#[test]
fn special_addresses_and_ports() {
    let host = networked();
    for lines in ["", "listen=NO\nlisten_ipv6=YES\n"] {
        let server = Server::start(&host, lines);
        let dual = !lines.is_empty();
        let wire = Wire::new();
        let mut c = from(OWN.into());
        for address in [
            "127.0.0.1",
            "127.0.0.2",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "169.254.169.254",
            "10.9.9.0",
            "10.9.9.255",
            "10.9.9.2",
        ] {
            c.says(
                &port(address.parse().unwrap(), 6000),
                "500 Illegal PORT command.",
            );
            c.says("LIST", FIRST);
            c.says(
                &format!("EPRT |1|{address}|6000|"),
                "500 Illegal EPRT command.",
            );
            c.says("LIST", FIRST);
        }
        for address in [
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "::ffff:10.9.9.2",
            "::1",
            "::",
            "::10.9.9.1",
            "64:ff9b::a09:901",
            "2002:a09:901::1",
            "::ffff:0:10.9.9.1",
        ] {
            let said = c.cmd(&format!("EPRT |2|{address}|6000|")).text();
            assert!(
                said.starts_with("500 ") || said.starts_with("522 "),
                "{address}: {said}"
            );
            c.says("LIST", FIRST);
        }
        for at in [0, 1, 20, 21, 22, 25, 80, 1023] {
            c.says(&port(OWN, at), "500 Illegal PORT command.");
            c.says(&format!("EPRT |1|{OWN}|{at}|"), "500 Illegal EPRT command.");
            c.says("LIST", FIRST);
        }
        for at in [1024, 65535] {
            assert_eq!(c.cmd(&port(OWN, at)).code(), "200");
            assert_eq!(c.cmd(&format!("EPRT |1|{OWN}|{at}|")).code(), "200");
        }
        // The own address is the own one however it is written, and it is served there.
        if dual {
            let listener = TcpListener::bind((OWN, 0)).unwrap();
            let at = listener.local_addr().unwrap().port();
            assert_eq!(c.cmd(&format!("EPRT |2|::ffff:{OWN}|{at}|")).code(), "200");
            c.send(b"RETR f\r\n");
            let (mut data, _) = listener.accept().unwrap();
            let mut bytes = Vec::new();
            data.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, b"hello world\n");
            assert_eq!((c.reply().code(), c.reply().code()), ("150", "226"));
            let mut six = from(OWN6.parse().unwrap());
            for address in [
                "::",
                "::1",
                "ff02::1",
                "ff02::1%lo",
                "fe80::1",
                "fd00:9::2",
                "::ffff:10.9.9.1",
            ] {
                let said = six.cmd(&format!("EPRT |2|{address}|6000|")).text();
                assert!(said.starts_with("500 "), "{address}: {said}");
                six.says("LIST", FIRST);
            }
            six.says(&port(OWN, 6000), "500 Illegal PORT command.");
            six.says("EPRT |2|fd00:9::1|80|", "500 Illegal EPRT command.");
            drop(six);
        }
        drop(c);
        for (to, _) in wire.tried() {
            assert!(
                to == IpAddr::V4(OWN) || to == OWN6.parse::<IpAddr>().unwrap(),
                "{to}"
            );
        }
        all_is_well(&server);
    }
}

/// After a PORT or EPRT that was refused nothing of an earlier one is used, whatever was wrong with it, nor of an earlier PASV (attacks
/// B-035, B-036), and after EPSV ALL neither PORT nor PASV is taken, under TLS as in clear (attacks B-037).
#[test]
fn nothing_stays_of_what_was_refused() {
    let host = networked();
    let (_server, idle) = either_way(&host, "");
    let mut c = Client::alice();
    let digits = "1".repeat(4000);
    let bad: [&[u8]; 22] = [
        b"PORT",
        b"PORT 127,0,0,1,0,21",
        b"PORT 127,0,0,2,40,40",
        b"PORT 127,0,0,1,256,1",
        b"PORT 127,0,0,1,-1,1",
        b"PORT 0x7f,0,0,1,40,40",
        b"PORT 127,0,0,1,1e3,1",
        b"PORT 127,0,0,1,40",
        b"PORT 127,0,0,1,40,40,40",
        b"PORT 127,0,0,\xd9\xa1,40,40",
        b"PORT 127\x00,0,0,1,40,40",
        b"PORT \xff\xff",
        b"EPRT",
        b"EPRT |3|127.0.0.1|6000|",
        b"EPRT |1|127.0.0.1|70000|",
        b"EPRT 1|127.0.0.1|6000|",
        b"EPRT  1 127.0.0.1 6000 ",
        b"EPRT 1111127.0.0.1160001",
        b"EPRT \x001\x00127.0.0.1\x006000\x00",
        b"EPRT |1|127.0.0.1|0|",
        b"EPRT |1|127.0.0.2|6000|",
        b"EPRT ||||",
    ];
    for bad in bad.iter().copied().chain([
        format!("PORT {digits}").as_bytes(),
        format!("EPRT |1|127.0.0.1|{digits}|").as_bytes(),
    ]) {
        let listener = c.active();
        c.send(&[bad, b"\r\n"].concat());
        let said = c.reply().text();
        assert!(
            said.starts_with("50") || said.starts_with("522"),
            "{}: {said}",
            bad.escape_ascii()
        );
        c.says("LIST", FIRST);
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        let passive = c.pasv();
        c.send(&[bad, b"\r\n"].concat());
        c.reply();
        c.says("RETR f", FIRST);
        closed(passive);
    }
    let denied = "550 Permission denied.";
    let all = [
        ("EPSV ALL", "200 EPSV ALL ok."),
        ("PORT 127,0,0,1,40,40", denied),
        ("PASV", denied),
        ("LIST", FIRST),
        // The original takes it, and so do we (DIFFERENCES): it is the client's own address all the same.
        (
            "EPRT |1|127.0.0.1|6000|",
            "200 EPRT command successful. Consider using EPSV.",
        ),
        ("EPRT |1|127.0.0.2|6000|", "500 Illegal EPRT command."),
        ("LIST", FIRST),
    ];
    c.script(&all);
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
    let mut secure = Ftps::alice(offer(BOTH, None));
    for (command, expected) in all {
        secure.says(command, expected);
    }
    assert_eq!(secure.fetch("RETR f"), b"hello world\n");
    drop((c, secure));
    settled(&idle);
}

/// What a proxy would say first is a command that is none: nobody gets another address by it, for PORT or in the log (attacks B-038).
#[test]
fn a_proxys_header_is_no_address() {
    let host = networked();
    let server = Server::start(&host, "");
    let binary =
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x0a\x09\x09\x02\x0a\x09\x09\x01\x9c\x40\x00\x15";
    for header in [&b"PROXY TCP4 10.9.9.2 10.9.9.1 40000 21\r\n"[..], binary] {
        let c = Client::dial_from(OWN.into(), OWN.into()).greeted();
        let mut stream = c.stream();
        stream.write_all(header).unwrap();
        let _ =
            stream.write_all(b"\r\nUSER alice\r\nPASS secret\r\nPORT 10,9,9,2,40,40\r\nQUIT\r\n");
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(!said.contains("200 "), "{said}");
        assert!(said.starts_with("5") || said.starts_with("221"), "{said}");
    }
    let log = host.read("/var/log/vsftpd.log");
    let log = String::from_utf8(log).unwrap();
    assert!(
        log.contains("\"10.9.9.1\"") && !log.contains("10.9.9.2\""),
        "{log}"
    );
    all_is_well(&server);
}

/// On an active connection too the server is TLS's server: it says nothing first, and what another server says is no handshake (attacks
/// B-040).
#[test]
fn no_client_of_tls() {
    let host = Host::new();
    tls::certificate(&host);
    let _server = Server::start(&host, tls::ON);
    let idle = Server::processes();
    let mut c = Ftps::alice(offer(BOTH, None));
    for hello in [
        // The beginning of a ServerHello, and what other servers greet with.
        &[0x16, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3][..],
        b"220 ready\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().port();
        assert!(c.cmd(&port(Ipv4Addr::LOCALHOST, at)).starts_with("200 "));
        c.send(b"RETR f\r\n");
        let (mut data, _) = listener.accept().unwrap();
        assert!(c.reply().starts_with("150 "));
        data.set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        assert_eq!(
            data.peek(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        data.write_all(&[hello, &[0; 64]].concat()).unwrap();
        data.set_read_timeout(Some(crate::support::DEADLINE))
            .unwrap();
        let mut bytes = Vec::new();
        let _ = data.read_to_end(&mut bytes);
        // At most an alert, and nothing of the file.
        assert!(bytes.is_empty() || bytes[0] == 0x15, "{bytes:?}");
        let said = c.reply();
        assert!(said.starts_with(['4', '5']), "{said}");
        c.says("NOOP", "200 NOOP ok.");
    }
    drop(c);
    settled(&idle);
}

/// No reply made of a client's words says what a firewall would take for the answer to PASV: nothing is repeated but paths in quotes and
/// names of files, in the middle of a line (attacks B-045).
#[test]
fn no_reply_echoes_an_address() {
    let host = Host::new();
    let canary = Canary::new(&host);
    let server = Server::start(&host, "log_ftp_protocol=YES\nlocal_umask=022\n");
    let said = "227 Entering Passive Mode (10,9,9,2,0,22).";
    let check = |command: &str, reply: &str| {
        for line in reply.split("\r\n") {
            assert!(!line.starts_with("227"), "{command}: {reply}");
            let around = line.split_once(said).map(|(before, _)| before);
            assert!(
                around.is_none_or(|before| before.len() > 4),
                "{command}: {reply}"
            );
        }
    };
    let mut stranger = Client::connect();
    for command in [
        "USER", "PASS", "CWD", "XYZZ", "HOST", "AUTH", "OPTS", "FEAT", "HELP", "QUOTE",
    ] {
        let command = format!("{command} {said}");
        check(&command, &stranger.cmd(&command).text());
    }
    drop(stranger);
    let mut c = Client::alice();
    // As small as segments get.
    let size = nix::sys::socket::sockopt::TcpMaxSeg;
    let _ = nix::sys::socket::setsockopt(c.stream(), size, &88);
    for verb in [
        "CWD",
        "SIZE",
        "MDTM",
        "RNFR",
        "RNTO",
        "DELE",
        "RMD",
        "MLST",
        "STAT",
        "SITE",
        "SITE CHMOD 644",
        "SITE UMASK",
        "HASH",
        "HELP",
        "OPTS",
        "TYPE",
        "MODE",
        "STRU",
        "REST",
        "ALLO",
        "XYZZ",
        "227",
        "USER",
        "PASS",
        "ACCT",
        "LANG",
        "CLNT",
        "AVBL",
        "MFMT 20200101000000",
        "PORT",
        "EPRT",
        "EPSV",
        "RETR",
        "LIST",
        "NLST",
        "MLSD",
        "MKD",
        "CWD",
        "PWD",
        "STOR",
        "RETR",
        "STOU",
        "MLST",
        "STAT",
        "HASH",
        "RNFR",
        "DELE",
    ] {
        let command = format!("{verb} {said}");
        let (last, _) = whole(&mut c, &command, b"x");
        check(&command, &last);
    }
    // A name with a line end makes no line of its own.
    c.says(
        &format!("DELE {said}.1"),
        "250 Delete operation successful.",
    );
    host.file(&format!("/home/alice/x\r\n{said}"), b"x");
    for listing in ["STAT .", "STAT x*", "LIST", "NLST", "MLSD"] {
        let (last, bytes) = whole(&mut c, listing, b"");
        check(listing, &last);
        assert!(
            !bytes
                .windows(5)
                .any(|part| part == b"\n227 " || part == b"\r227 "),
            "{listing}"
        );
    }
    canary.untouched();
    drop(c);
    all_is_well(&server);
}
