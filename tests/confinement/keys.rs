//! The private key: in one process and in no other; what that process is, what it signs, and how long it lives. Ours only.

use super::accounting::{PASSWORD, give_alice_a_rare_one, places};
use super::{ALICE, EMPTY, NOBODY, Seen, children, parent, uid};
use crate::support::host::{CONFIG, PROGRAM};
use crate::support::server::BASE;
use crate::support::tls::{self, BOTH, Ftps, ON, Pair, TLS12, TLS13, clear_line, offer};
use crate::support::{Client, Host, Server, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

/// The one child of master that is not root and has none of its own.
fn keyholder(server: &Server) -> Seen {
    Seen::of(keyholder_now(server))
}

/// The same where it may end at any moment.
fn keyholder_now(server: &Server) -> i32 {
    wait("the keyholder", || {
        let all = children(server.pid());
        // A reader is there for a moment, and sees the host.
        let within = |pid: i32| fs::read_link(format!("/proc/{pid}/root")).ok();
        let mut own = all.into_iter().filter(|pid| {
            uid(*pid).as_deref() == Some(NOBODY)
                && children(*pid).is_empty()
                && within(*pid).is_some_and(|root| root.as_os_str() == EMPTY)
        });
        own.next()
    })
}

/// Waits until the keyholder serves no session: its one socket is master's.
fn without_sessions(holder: &Seen) {
    wait("the session's channel to be closed", || {
        let sockets = holder
            .files()
            .iter()
            .filter(|f| f.starts_with("socket:"))
            .count();
        (sockets == 1).then_some(())
    });
}

/// Every process of the one session of a user under TLS: helper, greeter, worker.
fn session(server: &Server) -> [i32; 3] {
    let holder = keyholder(server).pid;
    wait("the session's three processes", || {
        let mut helpers = children(server.pid());
        helpers.retain(|pid| *pid != holder);
        let [helper] = helpers[..] else { return None };
        let below = children(helper);
        let as_user = |wanted: &str| {
            let found = below
                .iter()
                .find(|pid| uid(**pid).as_deref() == Some(wanted));
            found.copied()
        };
        (uid(helper).as_deref() == Some(NOBODY)).then_some([
            helper,
            as_user(NOBODY)?,
            as_user(ALICE)?,
        ])
    })
}

fn start(host: &Host, lines: &str) -> (Server, Pair) {
    let pair = tls::certificate(host);
    (Server::start(host, &format!("{ON}{lines}")), pair)
}

/// All a process could read of its own memory.
fn memory(pid: i32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut file = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut all = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with('r') || line.ends_with("[vvar]") || line.contains("[vvar_vclock]") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let from = u64::from_str_radix(from, 16).unwrap();
        let to = u64::from_str_radix(to, 16).unwrap();
        let mut piece = vec![0; (to - from) as usize];
        file.seek(SeekFrom::Start(from)).unwrap();
        if file.read_exact(&mut piece).is_ok() {
            all.extend_from_slice(&piece);
        }
    }
    assert!(all.len() > 100_000, "the memory of {pid} cannot be read");
    all
}

/// The order of P-256 (FIPS 186-4, D.1.2.3).
const ORDER: [u8; 32] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
];

/// The number times 2^256 modulo the order: how libraries hold what they calculate with (Montgomery's form).
fn montgomery(number: &[u8]) -> Vec<u8> {
    let mut value = number.to_vec();
    for _ in 0..256 {
        let mut carry = 0;
        for byte in value.iter_mut().rev() {
            let doubled = u16::from(*byte) * 2 + carry;
            *byte = doubled as u8;
            carry = doubled >> 8;
        }
        if carry == 1 || value.as_slice() >= &ORDER[..] {
            let mut borrow = 0;
            for (byte, order) in value.iter_mut().zip(ORDER).rev() {
                let less = i16::from(*byte) - i16::from(order) - borrow;
                *byte = less as u8;
                borrow = i16::from(less < 0);
            }
        }
    }
    value
}

/// What of the key is nowhere else: its PEM, and the number itself, as it is and as it is calculated with, in both orders of bytes.
fn secrets(pair: &Pair) -> Vec<Vec<u8>> {
    // PKCS#8 of P-256 (RFC 5915): the number stands behind these bytes.
    let mark = [0x02, 0x01, 0x01, 0x04, 0x20];
    let at = pair.key.windows(5).position(|w| w == mark).unwrap() + 5;
    let number = pair.key[at..at + 32].to_vec();
    let reversed = |number: &[u8]| -> Vec<u8> { number.iter().rev().copied().collect() };
    let line = pair.key_pem.lines().nth(1).unwrap();
    vec![
        number[..16].to_vec(),
        reversed(&number)[..16].to_vec(),
        reversed(&montgomery(&number))[..16].to_vec(),
        line.as_bytes()[20..60].to_vec(),
    ]
}

fn has(memory: &[u8], secret: &[u8]) -> bool {
    memory.windows(secret.len()).any(|window| window == secret)
}

/// All processes, once there are so many: what has just done its work is still about to end.
#[track_caller]
fn all_of(count: usize) -> Vec<i32> {
    wait(&format!("{count} processes"), || {
        Some(Server::everything()).filter(|all| all.len() == count)
    })
}

#[test]
fn no_other_process_has_a_byte_of_the_key() {
    let host = Host::new();
    let (server, pair) = start(&host, "");
    let mut client = Ftps::alice(offer(BOTH, None));
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
    let secrets = secrets(&pair);
    let holder = keyholder(&server).pid;
    let held = memory(holder);
    assert!(
        secrets.iter().any(|secret| has(&held, secret)),
        "the search does not find the key where it is"
    );
    let mut others = vec![server.pid()];
    others.extend(session(&server));
    // And one that has not logged in.
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
    let _greeted = Ftps::upgrade(offer(BOTH, None));
    // Master, keyholder, nursery, and two of each session besides the worker: the auth of that has ended.
    others.extend(all_of(10));
    others.retain(|pid| *pid != holder);
    others.sort_unstable();
    others.dedup();
    assert_eq!(others.len(), 9, "{others:?}");
    for pid in others {
        let memory = memory(pid);
        for secret in &secrets {
            assert!(!has(&memory, secret), "process {pid} has the key");
        }
    }
    drop(stream);
}

/// B-160: no process of a session has a password, nor a piece of it, once it was judged: not what TLS has decrypted, not a buffer that was
/// left when a longer one was needed, whether the login was refused, or held, or the client says it once more.
#[test]
fn nobody_keeps_a_password() {
    let host = Host::new();
    give_alice_a_rare_one(&host);
    let (server, _) = start(&host, "session_support=YES\n");
    let pieces: Vec<&[u8]> = PASSWORD.as_bytes().windows(8).step_by(3).collect();
    let search = |when: &str, count: usize| {
        for pid in all_of(count) {
            for piece in &pieces {
                let found = places(pid, piece);
                assert!(found.is_empty(), "{when}: {pid} has a piece: {found:?}");
            }
        }
    };
    for versions in [BOTH, &[&rustls::version::TLS12]] {
        let mut client = Ftps::upgrade(offer(versions, None));
        client.says("USER alice", "331 Please specify the password.");
        client.says(&format!("PASS x{PASSWORD}"), "530 Login incorrect.");
        // Master, keyholder, nursery, helper and greeter; then worker and auth too.
        search("refused", 5);
        client.says("USER alice", "331 Please specify the password.");
        client.says(&format!("PASS {PASSWORD}"), "230 Login successful.");
        session(&server);
        search("logged in", 7);
        client.says(&format!("PASS {PASSWORD}"), "230 Already logged in.");
        client.says("NOOP", "200 NOOP ok.");
        search("said again", 7);
        client.says("QUIT", "221 Goodbye.");
    }
}

#[test]
fn the_keyholder_has_nothing_else() {
    let host = Host::new();
    let (server, _) = start(&host, "");
    let holder = keyholder(&server);
    holder.ids(NOBODY, NOBODY, &[]);
    holder.powerless();
    assert_eq!(
        (
            holder.root().as_str(),
            holder.cwd().as_str(),
            holder.threads()
        ),
        (EMPTY, EMPTY, 1)
    );
    holder.holds(None, 1);
    let client = Ftps::alice(offer(BOTH, None));
    Seen::of(holder.pid).holds(None, 2);
    drop(client);
    without_sessions(&holder);
}

/// With key_user no other process of a session has the keyholder's user: nothing of theirs can even signal it.
#[test]
fn an_account_of_its_own() {
    let host = Host::new();
    let (server, _) = start(&host, "key_user=vsftpd-greet\n");
    let holder = wait("the keyholder", || {
        let all = children(server.pid());
        all.into_iter()
            .find(|pid| uid(*pid).as_deref() == Some("1005"))
    });
    let seen = Seen::of(holder);
    seen.ids("1005", "1005", &[]);
    seen.powerless();
    assert_eq!((seen.root().as_str(), seen.threads()), (EMPTY, 1));
    let mut client = Ftps::alice(offer(BOTH, None));
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
    let others = Server::everything();
    for pid in others.iter().filter(|pid| **pid != holder) {
        assert_ne!(uid(*pid).as_deref(), Some("1005"));
    }
    let may_signal = |as_user: u32| {
        let mut kill = Command::new("/bin/sh");
        kill.args(["-c", &format!("kill -0 {holder} 2>/dev/null")]);
        kill.uid(as_user).gid(as_user).status().unwrap().success()
    };
    assert!(!may_signal(65_534));
    assert!(may_signal(1005));
    // Read again, the new keyholder has the new account.
    let text = String::from_utf8(host.read(CONFIG)).unwrap();
    host.write(CONFIG, &text.replace("key_user=vsftpd-greet", "key_user="));
    server.signal(Signal::SIGHUP);
    keyholder(&server);
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
}

#[test]
fn an_account_that_cannot_be() {
    let host = Host::new();
    tls::certificate(&host);
    for (name, why) in [
        (
            "nosuch",
            "cannot locate user entry:nosuch (given in 'key_user')",
        ),
        ("root", "key_user=root has uid 0"),
    ] {
        let (status, said) = Server::refused(&host, &format!("{ON}key_user={name}\n"));
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
        // Without TLS nobody needs it.
        drop(Server::start(&host, &format!("key_user={name}\n")));
    }
}

#[test]
fn the_greeter_carries_and_the_helper_only_answers() {
    let host = Host::new();
    let (server, _) = start(&host, "chroot_local_user=YES\nallow_writeable_chroot=YES\n");
    let mut client = Ftps::alice(offer(BOTH, None));
    let [helper, greeter, worker] = session(&server).map(Seen::of);
    helper.ids(NOBODY, NOBODY, &[]);
    helper.powerless();
    assert_eq!(helper.root(), EMPTY);
    // The two channels, to worker and to greeter: neither the client nor the keyholder.
    let sockets = helper
        .files()
        .iter()
        .filter(|f| f.starts_with("socket:"))
        .count();
    assert_eq!(sockets, 2, "{:?}", helper.files());
    greeter.ids(NOBODY, NOBODY, &[]);
    greeter.powerless();
    assert_eq!((greeter.root().as_str(), greeter.threads()), (EMPTY, 1));
    // The client, helper, and the worker it carries for.
    greeter.holds(None, 3);
    worker.ids(ALICE, ALICE, &["1001", "2000"]);
    worker.powerless();
    // The greeter instead of the client, helper, and the keyholder.
    worker.holds(Some("/home/alice"), 3);
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
    client.says("QUIT", "221 Goodbye.");
    assert_eq!(client.reply(), "");
    gone(&server);
}

/// Only master and its keyholder are left.
fn gone(server: &Server) {
    wait("the session to end", || {
        (Server::processes().len() == 2 && parent(keyholder(server).pid).is_some()).then_some(())
    });
}

#[test]
fn what_dies_with_what() {
    let host = Host::new();
    let (server, _) = start(&host, "");
    // Whoever of the three goes, the others go and the client is told the end.
    for which in 0..3 {
        let mut client = Ftps::alice(offer(BOTH, None));
        let victim = session(&server)[which];
        kill(Pid::from_raw(victim), Signal::SIGKILL).unwrap();
        assert_eq!(client.reply(), "");
        gone(&server);
    }
    // A client that vanishes takes its session along.
    drop(Ftps::alice(offer(BOTH, None)));
    gone(&server);
}

#[test]
fn a_keyholder_that_ends_is_replaced() {
    let host = Host::new();
    let (server, _) = start(&host, "");
    let first = keyholder(&server).pid;
    // No other is started at once: one that cannot live would be tried for ever.
    std::thread::sleep(std::time::Duration::from_secs(5));
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    wait("another keyholder", || {
        (keyholder_now(&server) != first).then_some(())
    });
    let mut client = Ftps::alice(offer(BOTH, None));
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
}

/// The certificate the server shows now.
fn shown() -> Vec<u8> {
    let client = Ftps::upgrade(offer(BOTH, None));
    client.input.get_ref().conn.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn renewed_certificates() {
    let host = Host::new();
    let (server, first) = start(&host, "");
    let old = keyholder(&server).pid;
    let mut client = Ftps::alice(offer(BOTH, None));
    assert_eq!(shown(), first.certificate.to_vec());
    let second = tls::certificate(&host);
    server.signal(Signal::SIGHUP);
    wait("the renewed certificate", || {
        (shown() == second.certificate.to_vec()).then_some(())
    });
    // The session that was there goes on, and its keyholder with it.
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
    assert!(parent(old).is_some());
    client.says("QUIT", "221 Goodbye.");
    wait("the old keyholder to end", || {
        parent(old).is_none().then_some(())
    });
    // A key that does not fit changes nothing.
    let (third, other) = (tls::pair(), tls::pair());
    host.write(tls::PEM, &format!("{}{}", third.key_pem, other.pem));
    server.signal(Signal::SIGHUP);
    wait("the refusal", || {
        let said = fs::read_to_string("/mnt/output").unwrap();
        (said.contains("it is not the key of the certificate in")
            && said.contains("configuration not reloaded, the old one stays"))
        .then_some(())
    });
    assert_eq!(shown(), second.certificate.to_vec());
}

#[test]
fn sessions_outlive_the_server() {
    let host = Host::new();
    let (mut server, _) = start(&host, "require_ssl_reuse=NO\n");
    let mut client = Ftps::alice(offer(BOTH, None));
    server.signal(Signal::SIGTERM);
    server.wait_master();
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
    // A full handshake needs a signature still.
    let fresh = Arc::new(offer(BOTH, None));
    let mut stream = client.begin_with("RETR f", &fresh).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    tls::farewell(stream);
    client.next("226 Transfer complete.");
    assert_eq!(bytes, b"hello world\n");
    client.says("QUIT", "221 Goodbye.");
    wait("every process to end", || {
        Server::processes().is_empty().then_some(())
    });
}

/// Strangers on data connections cost signatures; a session has its share of them and no more (attacks B-157).
#[test]
fn signatures_are_counted() {
    let host = Host::new();
    let (_server, _) = start(&host, "");
    let mut client = Ftps::alice(offer(TLS12, None));
    let mut refused = 0;
    for _ in 0..70 {
        let fresh = Arc::new(offer(TLS12, None));
        let _ = client.begin_with("RETR f", &fresh);
        let end = client.reply();
        refused += usize::from(end.starts_with("425 "));
        assert!(end.starts_with("522 ") || end.starts_with("425 "), "{end}");
    }
    assert!((5..=10).contains(&refused), "{refused}");
    // Its own connections resume and need none.
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
}

#[test]
fn clear_sessions_have_two_processes_still() {
    let host = Host::new();
    let (server, _) = start(
        &host,
        "force_local_logins_ssl=NO\nforce_local_data_ssl=NO\n",
    );
    let mut client = Client::alice();
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
    let holder = keyholder(&server);
    wait("the greeter to end", || {
        (Server::processes().len() == 4).then_some(())
    });
    // And no channel to the keyholder.
    without_sessions(&holder);
}

/// What is wrong with certificates and keys is said at the start.
#[test]
fn certificates_that_cannot_be_used() {
    let host = Host::new();
    let (good, other) = (tls::pair(), tls::pair());
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    // ECDSA with secp256k1.
    let strange = "-----BEGIN PRIVATE KEY-----\nMIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQgC+bT//J/ZYPVGb7s6CQe\nIRppPBTGMSs8F4IdVc9q/RKhRANCAAQuL3yIBT+B/g44YMw6tLK8JBuqsZrtygD7\nXwLDxqIA34xQBh9T7dy4VfmVu4MWFh7IWLAKKp5Pwaj9X0tYs1Nf\n-----END PRIVATE KEY-----\n";
    let half = good.pem.get(..good.pem.len() / 2).unwrap();
    for (text, expected) in [
        (
            format!("{}{strange}", good.pem),
            "a key of this kind or size cannot be used: RSA with 2048",
        ),
        (half.to_owned(), "a certificate in it has no end"),
        (
            format!("{}{}", good.pem, other.key_pem),
            "it is not the key of the certificate in",
        ),
        (good.pem.clone(), "there is no private key in PEM in it"),
        (good.key_pem.clone(), "there is no certificate in PEM in it"),
        (format!("{}{locked}", good.pem), "it is encrypted"),
    ] {
        host.write(tls::PEM, &text);
        let (status, said) = Server::refused(&host, ON);
        assert_eq!(status.code(), Some(2));
        assert!(said.contains(expected), "{said}");
    }
    fs::remove_file(tls::PEM).unwrap();
    let (_, said) = Server::refused(&host, ON);
    assert!(
        said.contains("SSL: cannot load certificate /etc/vsftpd.pem: No such file"),
        "{said}"
    );
    let (_, said) = Server::refused(&host, "ssl_enable=YES\nrsa_cert_file=\n");
    assert!(
        said.contains("ssl_enable=YES needs a certificate"),
        "{said}"
    );
}

/// Without the mend the server did not start, and said nothing.
#[test]
fn certificates_there_is_no_room_for() {
    let host = Host::new();
    tls::certificate(&host);
    host.write(CONFIG, &format!("{BASE}{ON}"));
    let output = Command::new("prlimit")
        .args(["--nofile=5", PROGRAM, CONFIG])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    let why = "cannot load private key /etc/vsftpd.pem: it cannot be taken over; raise the limit of open files";
    assert!(said.contains(why), "{said}");
}

/// The keyholder reads these too, and says all that it has to say at once.
#[test]
fn authorities_that_cannot_be_used() {
    let host = Host::new();
    let good = tls::pair();
    host.write(tls::PEM, &format!("{}{}", good.pem, good.key_pem));
    let refused = |expected: &str| {
        let (status, said) = Server::refused(&host, &format!("{ON}ca_certs_file=/etc/ca.pem\n"));
        assert_eq!(status.code(), Some(2));
        let expected = format!("SSL: cannot load CA file /etc/ca.pem: {expected}");
        assert!(said.contains(&expected), "{said}");
        said
    };
    refused("No such file");
    host.mkdir("/etc/ca.pem", 0);
    refused("not a regular file");
    fs::remove_dir("/etc/ca.pem").unwrap();
    host.write("/etc/ca.pem", &good.key_pem);
    refused("there is no certificate in it");
    let none = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    host.write("/etc/ca.pem", &format!("{}{none}", good.pem));
    refused("");
    host.write(tls::PEM, &good.pem);
    let said = refused("");
    assert!(said.contains("there is no private key in PEM"), "{said}");
    // Nobody is asked for a certificate: they are not read.
    host.write(tls::PEM, &format!("{}{}", good.pem, good.key_pem));
    let _server = Server::start(
        &host,
        &format!("{ON}ssl_request_cert=NO\nca_certs_file=/etc/ca.pem\n"),
    );
}

#[test]
fn an_expired_certificate_is_served_and_said() {
    let host = Host::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    host.write(
        tls::PEM,
        &format!("{}{}", key.serialize_pem(), certificate.pem()),
    );
    let _server = Server::start(&host, ON);
    // It listens before its keyholder has looked at the certificate.
    wait("the remark", || {
        let said = fs::read_to_string("/mnt/output").unwrap();
        (said.contains("has expired") && said.contains("renew it")).then_some(())
    });
    Ftps::alice(offer(TLS13, None));
}

/// Bytes that are no TLS end a session under TLS, before and after login.
#[test]
fn records_that_are_none() {
    let host = Host::new();
    let (server, _) = start(&host, "");
    for logged_in in [false, true] {
        let mut client = Ftps::upgrade(offer(BOTH, None));
        if logged_in {
            client.login("alice");
        }
        let socket = &mut client.input.get_mut().sock;
        socket.write_all(b"NOOP\r\nNOOP\r\nNOOP\r\n").unwrap();
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
        gone(&server);
    }
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
    assert!(clear_line(&mut stream).starts_with("220 "));
}
