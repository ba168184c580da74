//! Guessing names and passwords: what answers and their time tell, what many tries cost, and who is kept waiting by them (attacks B-083,
//! B-084, B-086 to B-089, B-101).

use crate::sessions::{back_to_base, children};
use crate::support::client::connect_from;
use crate::support::log::VSFTPD;
use crate::support::server::output;
use crate::support::tls::{BOTH, Ftps, ON, certificate, offer};
use crate::support::{Client, DEADLINE, Host, Server, wait};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

const ASK: &str = "331 Please specify the password.";
const WRONG: &str = "530 Login incorrect.";

/// A host with an account of each kind that nobody may log in to, and one whose password takes long to hash.
fn host() -> Host {
    let host = Host::new();
    let passwd = String::from_utf8(host.read("/etc/passwd")).unwrap();
    let shadow = String::from_utf8(host.read("/etc/shadow")).unwrap();
    let hash = shadow.lines().find_map(|line| line.strip_prefix("alice:"));
    let hash = hash.unwrap().split(':').next().unwrap().to_owned();
    let mut more = (passwd, shadow);
    for (name, hash, days) in [
        ("expired", hash.clone(), "19000:0:99999:7::19001:"),
        ("outdated", hash.clone(), "19000:0:1:7:1::"),
        ("locked", format!("!{hash}"), "19000:0:99999:7:::"),
        ("empty", String::new(), "19000:0:99999:7:::"),
        (
            "slow",
            hash.replace("rounds=1000", "rounds=100000"),
            "19000:0:99999:7:::",
        ),
    ] {
        more.0 += &format!("{name}:x:1010:1010::/home/alice:/bin/sh\n");
        more.1 += &format!("{name}:{hash}:{days}\n");
    }
    host.write("/etc/passwd", &more.0);
    host.write("/etc/shadow", &more.1);
    host.mode("/etc/shadow", 0o600);
    host
}

/// Names of every kind, and a password that is the right one where there is one.
const NAMES: [&[u8]; 14] = [
    b"nosuch",
    b"root",
    b"nobody",
    b"noshell",
    b"expired",
    b"outdated",
    b"locked",
    b"empty",
    b"ALICE",
    b"alice ",
    b"al\xefce\xff",
    b"-alice",
    b"../alice",
    b"alice\0",
];

/// Who may not enter is told the same, byte for byte, whatever the name and the password (attacks B-083).
#[test]
fn no_answer_tells_a_name() {
    let host = host();
    certificate(&host);
    let lines = "max_login_fails=1000\nlogin_fails_per_ip=0\nforce_local_logins_ssl=NO\nlog_ftp_protocol=YES\n";
    let server = Server::start(&host, &format!("{ON}{lines}"));
    let mut clear = Client::connect();
    let mut secured = Ftps::upgrade(offer(BOTH, None));
    let long = vec![b'n'; 3000];
    for name in NAMES.into_iter().chain([&long[..]]) {
        for password in [&b"secret"[..], b"", b"x", &[b'p'; 129]] {
            let user = [b"USER ", name, b"\r\n"].concat();
            let pass = [b"PASS ", password, b"\r\n"].concat();
            clear.send(&user);
            clear.next(ASK);
            clear.send(&pass);
            clear.next(WRONG);
            secured.send(&user);
            secured.next(ASK);
            secured.send(&pass);
            secured.next(WRONG);
        }
    }
    clear.login("alice");
    secured.login("alice");
    drop((clear, secured));
    wait("the sessions to go", || {
        (children(server.pid()).len() == 1).then_some(())
    });
}

/// How long each of these takes from PASS to the answer, all at once.
fn times(users: &[&str], password: &str) -> Vec<Duration> {
    let mut all: Vec<Client> = users
        .iter()
        .map(|user| {
            let mut c = Client::connect();
            c.says(&format!("USER {user}"), ASK);
            c
        })
        .collect();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = all
            .iter_mut()
            .map(|c| {
                scope.spawn(move || {
                    let begin = Instant::now();
                    c.says(&format!("PASS {password}"), WRONG);
                    begin.elapsed()
                })
            })
            .collect();
        waiting.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// The slow hash alone takes several times that, in microseconds.
const MOST_APART: i64 = 25_000;

/// How far the medians lie from that of a name that is none.
fn apart(samples: &[Vec<i64>]) -> i64 {
    let medians = samples.iter().map(|sample| {
        let mut sorted = sample.clone();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    });
    let medians: Vec<i64> = medians.collect();
    let apart = medians.iter().map(|median| (median - medians[1]).abs());
    apart.max().unwrap()
}

/// What a check takes depends on the account; when the answer comes does not. Samples of a few dozen tell what is not told apart by less
/// than a machine's own noise (attacks B-084).
#[test]
fn no_time_tells_a_name() {
    let host = host();
    let lines = "delay_failed_login=1\nlogin_fails_per_ip=0\nmax_per_ip=0\nxferlog_std_format=NO\n";
    let server = Server::start(&host, lines);
    // Each as often as another, and none always first.
    let kinds = ["slow", "nosuch", "locked", "noshell", "alice"];
    let mut samples = vec![Vec::new(); kinds.len()];
    // A machine that is busy makes noise: with more samples it falls, and what tells a name does not.
    for round in 0..40 {
        let password = if round % 2 == 0 {
            "x"
        } else {
            &"y".repeat(128)
        };
        let order: Vec<usize> = (0..kinds.len())
            .map(|at| (at + round) % kinds.len())
            .collect();
        let users: Vec<&str> = order.iter().map(|at| kinds[*at]).collect();
        for (at, time) in order.iter().zip(times(&users, password)) {
            samples[*at].push(time.as_micros() as i64);
        }
        if round >= 7 && apart(&samples) < MOST_APART {
            break;
        }
    }
    for (kind, sample) in kinds.iter().zip(&samples) {
        let waited = sample.iter().all(|time| *time >= 990_000);
        assert!(waited, "{kind}: {sample:?}");
    }
    let apart = apart(&samples);
    assert!(apart < MOST_APART, "{apart} µs apart: {samples:?}");
    back_to_base(&server);
}

/// Sessions that wait out the delay of a refusal keep nobody else waiting, have no process besides, and end (attacks B-087).
#[test]
fn waiting_refusals_keep_nobody_waiting() {
    const WAITING: usize = 100;
    let host = host();
    let lines = "delay_failed_login=12\nlogin_fails_per_ip=0\nmax_per_ip=0\nmax_clients=300\nmax_login_fails=1\n";
    let server = Server::start(&host, lines);
    let nursery = server.nursery();
    let refused: Vec<Client> = (0..WAITING)
        .map(|_| {
            let mut c = Client::connect();
            c.send(b"USER alice\r\nPASS wrong\r\n");
            c.next(ASK);
            c
        })
        .collect();
    // The last one may not be asked for yet.
    wait(
        "every password to be judged, and no process besides",
        || {
            let judged = children(nursery).is_empty();
            (judged && Server::processes().len() == 1 + 2 * WAITING).then_some(())
        },
    );
    for _ in 0..20 {
        let begin = Instant::now();
        let mut c = Client::connect();
        // Much less than the delay.
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "{:?}",
            begin.elapsed()
        );
        c.login("ftp");
        c.says("QUIT", "221 Goodbye.");
    }
    for mut c in refused {
        c.next(WRONG);
        c.closed();
    }
    back_to_base(&server);
}

/// Guesses for one name from three hundred addresses lock that user out nowhere else; those of one address only itself (attacks B-086).
#[test]
fn one_name_from_everywhere() {
    let host = Host::new();
    let server = Server::start(
        &host,
        "login_fails_per_ip=3\nlogin_fails_window=86400\nmax_login_fails=3\n",
    );
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let from = |number: u32| {
        let [_, _, high, low] = number.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(127, 9, high, low + 1))
    };
    for number in 0..250 {
        let mut c = Client::dial_from(from(number), here).greeted();
        for _ in 0..3 {
            c.says("USER alice", ASK);
            c.says("PASS wrong", WRONG);
            if number % 50 != 0 {
                break;
            }
        }
    }
    for number in [0, 50, 100, 150, 200] {
        wait("the address to be refused", || {
            let mut c = Client::dial_from(from(number), here);
            (c.reply().code() == "421").then_some(())
        });
    }
    // The right password from an address that has guessed once, and from one that never has.
    for number in [1, 251, 300] {
        Client::dial_from(from(number), here)
            .greeted()
            .login("alice");
    }
    assert!(output().contains("too many failed logins from 127.9.0.1: refused"));
    back_to_base(&server);
}

/// A network of addresses of IPv6 is one source, for sessions and for failures; its neighbour is another (attacks B-101).
#[test]
fn one_network_of_many_addresses() {
    let host = Host::new();
    // Every address of these networks is this host's.
    for network in ["fd00:9:9:1::/64", "fd00:9:9:2::/64"] {
        let made = Command::new("ip")
            .args(["-6", "route", "add", "local", network, "dev", "lo"])
            .output();
        // Without ip(8), or a kernel that can, the count itself is tried in src/master/roster.rs.
        if !made.is_ok_and(|made| made.status.success()) {
            return;
        }
    }
    std::fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1").unwrap();
    let lines = "listen=NO\nlisten_ipv6=YES\nmax_per_ip=5\nlogin_fails_per_ip=4\nlogin_fails_window=86400\n";
    let server = Server::start(&host, lines);
    let dial = |network: u16, number: u16| {
        let ip = Ipv6Addr::new(0xfd00, 9, 9, network, 0, 0, number, 1);
        let to = SocketAddr::from((Ipv6Addr::new(0xfd00, 9, 9, 1, 0, 0, 0, 1), 21));
        let stream = connect_from(ip.into(), to);
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut input = BufReader::new(stream);
        let said = line(&mut input);
        (input, said)
    };
    let held: Vec<_> = (1..=5).map(|number| dial(1, number)).collect();
    assert!(
        held.iter().all(|(_, said)| said.starts_with("220")),
        "{held:?}"
    );
    for number in 6..40 {
        let (_, said) = dial(1, number);
        assert!(
            said.starts_with("421 There are too many connections from your"),
            "{said}"
        );
    }
    let (_, said) = dial(2, 1);
    assert!(said.starts_with("220"), "{said}");
    drop(held);
    // Failures of five addresses are those of one.
    let mut failed = 0;
    wait("the network to be refused", || {
        let (mut input, said) = dial(1, 100 + failed);
        failed += 1;
        if said.starts_with("421 Too many failed logins") {
            return Some(());
        }
        if said.starts_with("220") {
            input
                .get_mut()
                .write_all(b"USER alice\r\nPASS wrong\r\n")
                .unwrap();
            line(&mut input);
            line(&mut input);
        }
        None
    });
    let (_, said) = dial(2, 2);
    assert!(said.starts_with("220"), "{said}");
    wait("the sessions to go", || {
        (Server::processes() == [server.pid()]).then_some(())
    });
}

fn line(input: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    let _ = input.read_line(&mut line);
    line
}

/// A session has one user: neither a second USER nor REIN, also while bytes flow, gives it another's rights (attacks B-088).
#[test]
fn one_session_has_one_user() {
    let host = Host::new();
    host.write("/home/bob/private", "bob's");
    host.own("/home/bob/private", crate::support::host::BOB);
    host.mode("/home/bob/private", 0o600);
    host.file("/home/alice/big", &vec![b'x'; 30_000_000]);
    let server = Server::start(&host, "");
    let mut c = Client::alice();
    let locked_out = |c: &mut Client| {
        c.refused("RETR /home/bob/private", "550 Failed to open file.");
        c.says("PWD", "257 \"/home/alice\" is the current directory");
        assert_eq!(c.store("STOR mine", b"x").code(), "226");
        let owner =
            std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/home/alice/mine").unwrap());
        assert_eq!(owner, crate::support::host::ALICE);
    };
    c.says("USER bob", "530 Can't change to another user.");
    c.says("PASS wrong", "230 Already logged in.");
    locked_out(&mut c);
    c.says("USER bob", "530 Can't change to another user.");
    c.says("PASS secret", "230 Already logged in.");
    locked_out(&mut c);
    c.says("REIN", "502 REIN not implemented.");
    locked_out(&mut c);
    // What is said during a transfer has its turn behind it.
    let (_, mut data) = c.begin("RETR big");
    c.send(b"REIN\r\nUSER bob\r\nPASS secret\r\n");
    assert_eq!(data.read().len(), 30_000_000);
    c.next("226 Transfer complete.");
    c.next("502 REIN not implemented.");
    c.next("530 Can't change to another user.");
    c.next("230 Already logged in.");
    locked_out(&mut c);
    drop(c);
    // Before it, the last name counts, and a refusal leaves none.
    let mut c = Client::connect();
    c.script(&[
        ("USER alice", ASK),
        ("PASS wrong", WRONG),
        ("USER bob", ASK),
        ("USER alice", ASK),
        ("REIN", "530 Please login with USER and PASS."),
        ("PASS secret", "230 Login successful."),
    ]);
    locked_out(&mut c);
    drop(c);
    back_to_base(&server);
}

/// A password of any size is refused and forgotten, and what is one is in no log (attacks B-089).
#[test]
fn passwords_of_every_size() {
    let host = Host::new();
    let server = Server::start(
        &host,
        "log_ftp_protocol=YES\nxferlog_std_format=NO\nmax_login_fails=1000\nlogin_fails_per_ip=0\n",
    );
    let mut c = Client::connect();
    c.says("PASS secretive", "503 Login with USER first.");
    for length in [0, 1, 127, 128, 129, 1000, 4000, 4080] {
        let password = "secretive".repeat(500);
        let password = &password[..length];
        c.says("USER alice", ASK);
        c.says(&format!("PASS {password}"), WRONG);
        c.says(&format!("PASS {password}"), "503 Login with USER first.");
    }
    for empty in ["USER", "USER "] {
        c.says(empty, ASK);
        c.says("PASS secretive", "503 Login with USER first.");
    }
    c.says("USER alice", ASK);
    c.says("PASS", WRONG);
    c.login("alice");
    drop(c);
    // More than a line can be.
    let mut c = Client::connect();
    c.says("USER alice", ASK);
    c.send(format!("PASS {}\r\n", "secretive".repeat(1200)).as_bytes());
    c.next("500 Input line too long.");
    c.closed();
    back_to_base(&server);
    let log = String::from_utf8(host.read(VSFTPD)).unwrap();
    assert!(log.contains("PASS <password>"), "{log}");
    assert!(!log.contains("secretive"), "{log}");
}
