//! Listings made to cost as much as they can, or to show what is not so (attacks B.2).

use crate::oracle::{all_is_well, whole};
use crate::sessions::{logged_in, memory};
use crate::support::host::{ALICE, FTP, bind};
use crate::support::{Client, Host, Server};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Empty files of these names.
fn fill(directory: &str, names: impl Iterator<Item = String>) {
    for name in names {
        fs::File::create(format!("{directory}/{name}")).unwrap();
    }
}

/// Thirty sessions ask for what costs most at once: each is answered, and whoever works meanwhile is served (attacks B-020, B-021, B-022).
#[test]
fn costly_patterns_from_many_sessions() {
    let host = Host::new();
    fill(
        "/srv/ftp/incoming",
        (0..60).map(|number| format!("{}{number}", "a".repeat(200))),
    );
    let server = Server::start(
        &host,
        "max_per_ip=0\nmax_clients=100\nls_recurse_enable=YES\n",
    );
    let patterns = [
        format!("incoming/{}", "{*},".repeat(200)),
        format!("incoming/{}{}", "{*,".repeat(600), "}".repeat(600)),
        format!("incoming/{}b", "a*".repeat(190)),
        format!("{}incoming", "*/../".repeat(100)),
        "*/.*".to_owned(),
        "/*/*/*/*/*".to_owned(),
        "-R /".to_owned(),
    ];
    let mut attackers: Vec<Client> = (0..30).map(|_| Client::anonymous()).collect();
    for (number, c) in attackers.iter_mut().enumerate() {
        for at in 0..3 {
            let pattern = &patterns[(number + at) % patterns.len()];
            c.send(format!("STAT {pattern}\r\n").as_bytes());
        }
    }
    let mut longest = Duration::ZERO;
    let mut c = Client::alice();
    for _ in 0..40 {
        let begin = Instant::now();
        c.says("NOOP", "200 NOOP ok.");
        assert_eq!(c.fetch("RETR f"), b"hello world\n");
        longest = longest.max(begin.elapsed());
    }
    // Two processors for thirty-one, in a debug build.
    assert!(longest < Duration::from_secs(10), "{longest:?}");
    for c in &mut attackers {
        for _ in 0..3 {
            let reply = c.reply();
            assert!(reply.code().starts_with(['2', '5']), "{}", reply.text());
        }
        c.says("NOOP", "200 NOOP ok.");
    }
    drop((c, attackers));
    all_is_well(&server);
}

/// A hundred thousand names for a client that takes them byte by byte, or not at all: what a session holds of them does not grow, a client that
/// takes none is given up, and one that takes all has each (attacks B-023, B-024, B-029).
#[test]
fn a_large_listing_for_who_hardly_reads() {
    const NAMES: usize = 100_000;
    let host = Host::new();
    host.mkdir("/home/alice/large", ALICE);
    fill(
        "/home/alice/large",
        (0..NAMES).map(|number| format!("{number:06}-{}", "a".repeat(30))),
    );
    let server = Server::start(&host, "data_connection_timeout=2\n");
    let mut c = Client::alice();
    let (_, worker) = logged_in(&server, ALICE);
    let idle = memory(worker);
    for command in ["NLST large/*", "LIST large", "MLSD large"] {
        let (_, mut data) = c.begin(command);
        data.stream.read_exact(&mut [0; 100]).unwrap();
        let held = memory(worker);
        assert!(held - idle < 48 * 1024, "{command}: {} kB", held - idle);
        for _ in 0..300 {
            data.stream.read_exact(&mut [0]).unwrap();
        }
        assert!(
            memory(worker) - held < 1024,
            "{command}: {held} kB became {}",
            memory(worker)
        );
        let all = data.read();
        let lines = all.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(c.reply().code(), "226");
        // The first of them was taken above; MLSD shows `.` and `..`.
        assert!(
            (NAMES - 20..=NAMES + 2).contains(&lines),
            "{command}: {lines}"
        );
    }
    for command in ["LIST large", "NLST large", "MLSD large"] {
        let mut c = Client::alice();
        let (_, data) = c.begin(command);
        c.next("421 Data timeout. Reconnect. Sorry.");
        c.closed();
        drop(data);
    }
    // A pattern of two hundred stars that none of them fits.
    let begin = Instant::now();
    let (said, bytes) = whole(&mut c, &format!("NLST large/{}b", "a*".repeat(200)), b"");
    assert!(said.starts_with(['2', '4']) && bytes.is_empty(), "{said}");
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "{:?}",
        begin.elapsed()
    );
    drop(c);
    all_is_well(&server);
}

/// A tree of twenty thousand levels, loops by links and by mounts, and breadth: listed to a depth, without following, and to an end (attacks
/// B-025).
#[test]
fn depth_loops_and_breadth() {
    const LEVELS: usize = 20_000;
    let host = Host::new();
    host.mkdir("/srv/ftp/incoming/deep", FTP);
    let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY;
    let mut at: OwnedFd = nix::fcntl::open("/srv/ftp/incoming/deep", flags, Mode::empty()).unwrap();
    for _ in 0..LEVELS {
        nix::sys::stat::mkdirat(&at, "d", Mode::from_bits_truncate(0o755)).unwrap();
        at = nix::fcntl::openat(&at, "d", flags, Mode::empty()).unwrap();
    }
    drop(at);
    for (link, to) in [
        ("self", "."),
        ("up", ".."),
        ("root", "/"),
        ("around", "../incoming"),
    ] {
        symlink(to, format!("/srv/ftp/incoming/{link}")).unwrap();
    }
    for place in ["one", "two"] {
        host.mkdir(&format!("/srv/ftp/pub/{place}"), FTP);
        bind(
            Path::new("/srv/ftp"),
            Path::new(&format!("/srv/ftp/pub/{place}")),
        );
    }
    host.mkdir("/srv/ftp/incoming/broad", FTP);
    fill(
        "/srv/ftp/incoming/broad",
        (0..30_000).map(|number| number.to_string()),
    );
    let server = Server::start(&host, "ls_recurse_enable=YES\n");
    let mut c = Client::anonymous();
    let begin = Instant::now();
    for command in ["LIST -R", "NLST -R", "LIST -R incoming/deep", "STAT -R"] {
        let (said, bytes) = whole(&mut c, command, b"");
        assert!(said.starts_with('2'), "{command}: {said}");
        let shown = if bytes.is_empty() {
            said.into_bytes()
        } else {
            bytes
        };
        let text = String::from_utf8_lossy(&shown).into_owned();
        let deepest = text
            .lines()
            .map(|line| line.matches("/d").count())
            .max()
            .unwrap();
        assert!((50..=70).contains(&deepest), "{command}: {deepest}");
        assert!(
            !text.contains("self/") && !text.contains("around/"),
            "{command}"
        );
    }
    assert!(
        begin.elapsed() < Duration::from_secs(30),
        "{:?}",
        begin.elapsed()
    );
    drop(c);
    all_is_well(&server);
}

/// Names come and go while a directory is listed: those that stay are there once, none twice, and the listing has an end (attacks B-026).
#[test]
fn a_directory_that_changes_while_it_is_listed() {
    const STAY: usize = 3000;
    let host = Host::new();
    host.mkdir("/home/alice/busy", ALICE);
    fill(
        "/home/alice/busy",
        (0..STAY).map(|number| format!("stay{number}")),
    );
    let server = Server::start(&host, "");
    let mut c = Client::alice();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for who in 0..2 {
            let stop = &stop;
            scope.spawn(move || {
                let mut number = 0_usize;
                while !stop.load(Ordering::Relaxed) {
                    let path = format!("/home/alice/busy/go{who}-{}", number % 5000);
                    if (number / 5000).is_multiple_of(2) {
                        fs::File::create(&path).unwrap();
                    } else {
                        fs::remove_file(&path).unwrap();
                    }
                    number += 1;
                }
            });
        }
        for round in 0..24 {
            let command = ["NLST busy", "LIST busy", "MLSD busy", "NLST busy/*"][round % 4];
            let bytes = c.fetch(command);
            let text = String::from_utf8(bytes).unwrap();
            let mut seen = BTreeSet::new();
            let mut stayed = 0;
            for line in text.lines() {
                let name = line.rsplit([' ', '/']).next().unwrap();
                assert!(seen.insert(name), "{command}: {name} twice");
                stayed += usize::from(name.starts_with("stay"));
            }
            assert_eq!(stayed, STAY, "{command}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    drop(c);
    all_is_well(&server);
}

/// Options that are none, in number, behind a path: letters that are known count, others do nothing, and a path is a path (attacks B-027).
#[test]
fn options_that_are_none() {
    let host = Host::new();
    let server = Server::start(&host, "ls_recurse_enable=YES\n");
    let mut c = Client::alice();
    for (odd, plain) in [
        ("LIST --help", "LIST"),
        ("NLST --help", "NLST -l"),
        ("LIST -w9999", "LIST"),
        ("LIST -Z", "LIST"),
        ("NLST -a-l-x", "NLST -al"),
        ("NLST -a-R-x", "NLST -aR"),
        ("NLST -$(id)`id`", "NLST -d"),
        ("LIST -- d", "LIST d"),
    ] {
        let (one, other) = (c.fetch(odd), c.fetch(plain));
        assert!(one == other, "{odd}: {}", String::from_utf8_lossy(&one));
    }
    let many = "a".repeat(4000);
    assert_eq!(c.fetch(&format!("NLST -{many}")), c.fetch("NLST -a"));
    // Behind the first blank it is a path.
    for command in [
        "NLST d -a",
        "NLST -a -R",
        "LIST -l --color=always",
        "NLST -I* -w9999 -Z",
    ] {
        assert_eq!(c.fetch(command), b"", "{command}");
    }
    assert!(c.cmd("STAT -a-l-R-x --help -w9999 -Z").code() == "213");
    drop(c);
    all_is_well(&server);
}

/// Sizes, owners and times at their ends: each line has its columns, and its name last (attacks B-028).
#[test]
fn extreme_values() {
    let host = Host::new();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64;
    let times = [
        ("before", -1),
        ("far-before", -62_135_596_800),
        ("zero", 0),
        ("future", now + 400 * 86_400),
        ("y2038", 1 << 31),
        ("y10000", 253_402_300_800),
        ("late", 1 << 40),
    ];
    for (name, seconds) in times {
        host.file(&format!("/home/alice/empty/{name}"), b"");
        host.touch(&format!("/home/alice/empty/{name}"), seconds);
    }
    host.file("/home/alice/empty/large", b"");
    fs::File::options()
        .write(true)
        .open("/home/alice/empty/large")
        .unwrap()
        .set_len((1 << 62) - 1)
        .unwrap();
    host.file("/home/alice/empty/nobodys", b"");
    host.own("/home/alice/empty/nobodys", u32::MAX - 1);
    let server = Server::start(&host, "");
    let mut c = Client::alice();
    let listed = c.names("LIST empty");
    assert_eq!(listed.len(), times.len() + 2);
    for line in &listed {
        let fields: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(fields.len(), 9, "{line}");
        assert!(
            fields[0].starts_with("-rw") && fields[4].parse::<u64>().is_ok(),
            "{line}"
        );
        assert!(
            [
                "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
            ]
            .contains(&fields[5]),
            "{line}"
        );
        assert!(
            fields[6]
                .parse::<u8>()
                .is_ok_and(|day| (1..=31).contains(&day)),
            "{line}"
        );
    }
    let shown = |name: &str| {
        listed
            .iter()
            .find(|line| line.ends_with(&format!(" {name}")))
            .unwrap()
    };
    assert!(shown("large").contains(" 4611686018427387903 "));
    assert!(shown("nobodys").contains(" 4294967294 "));
    let facts = c.names("MLSD empty");
    for line in &facts {
        let (facts, _) = line.split_once(' ').unwrap();
        for fact in facts.split_terminator(';') {
            let (fact, value) = fact.split_once('=').unwrap();
            let number = value.bytes().all(|byte| byte.is_ascii_digit());
            assert!(
                !["size", "modify"].contains(&fact) || number && !value.is_empty(),
                "{line}"
            );
        }
    }
    c.says("TYPE I", "200 Switching to Binary mode.");
    c.says("SIZE empty/large", "213 4611686018427387903");
    for (name, _) in times {
        let said = c.cmd(&format!("MDTM empty/{name}")).text();
        assert!(
            said.starts_with("213 ") || said.starts_with("550 "),
            "{name}: {said}"
        );
    }
    drop(c);
    all_is_well(&server);
}
