//! What a session and a server may use, however much is asked of them: a million commands, thousands of sessions, logins that never end.

use crate::sessions::{
    NOBODY, back_to_base, children, descriptors, logged_in, memory, session, status,
};
use crate::support::client::connect_from;
use crate::support::host::{ALICE, CONFIG, FTP};
use crate::support::{Client, DEADLINE, Host, Server, tls, wait};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Says `text` over and over, as fast as it is taken, and reads replies until there were as many as it makes.
fn pour(stream: &TcpStream, text: &[u8], times: usize, replies: usize) {
    let mut writer = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Large pieces, so that commands are cut anywhere.
            let piece = text.repeat((64 * 1024 / text.len()).clamp(1, times));
            let mut left = times * text.len();
            while left > 0 {
                let count = piece.len().min(left);
                writer.write_all(&piece[..count]).unwrap();
                left -= count;
            }
        });
        let mut buffer = vec![0; 256 * 1024];
        let mut ends = 0;
        let mut reader = stream;
        while ends < times * replies {
            let count = reader.read(&mut buffer).unwrap();
            assert!(count > 0, "closed after {ends} lines");
            ends += buffer[..count]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
        }
        assert_eq!(ends, times * replies);
    });
}

/// B-113, A13: a million commands in one session leave nothing behind, in worker and in helper.
#[test]
fn a_million_commands() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let c = Client::alice();
    let (helper, worker) = logged_in(&server, ALICE);
    let mixed: &[u8] = b"PWD\r\nCWD .\r\nSIZE f\r\nTYPE I\r\nREST 5\r\nUSER x\r\nXYZZ\r\nSITE UMASK\r\nOPTS UTF8 ON\r\nNOOP\r\n";
    let round = |noops: usize, others: usize| {
        pour(c.stream(), b"NOOP\r\n", noops, 1);
        pour(c.stream(), mixed, others, 10);
    };
    round(10_000, 1_000);
    let before = [helper, worker].map(|pid| (memory(pid), descriptors(pid)));
    round(800_000, 20_000);
    for (pid, (kilobytes, fds)) in [helper, worker].into_iter().zip(before) {
        let now = memory(pid);
        assert!(now - kilobytes < 256, "{kilobytes} kB became {now}");
        assert_eq!(descriptors(pid), fds);
    }
    drop(c);
    back_to_base(&server);
}

/// The same before login, where anybody can say them.
#[test]
fn a_hundred_thousand_commands_before_login() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let c = Client::connect();
    let (_, greeter) = session(&server, NOBODY);
    let text: &[u8] = b"USER a\r\nUSER b\r\nOPTS UTF8 ON\r\nOPTS X\r\nUSER\r\n";
    pour(c.stream(), text, 400, 5);
    let before = (memory(greeter), descriptors(greeter));
    pour(c.stream(), text, 20_000, 5);
    let now = memory(greeter);
    assert!(now - before.0 < 256, "{} kB became {now}", before.0);
    assert_eq!(descriptors(greeter), before.1);
    drop(c);
    back_to_base(&server);
}

/// One of the addresses of this host's own network.
fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 1, (number / 250) as u8, (number % 250 + 1) as u8)
}

fn dial(number: usize) -> TcpStream {
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 21));
    let stream = connect_from(address(number).into(), to);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// The first line that is said.
fn greeting(mut stream: &TcpStream) -> String {
    let mut said = Vec::new();
    let mut byte = [0];
    while !said.ends_with(b"\n") && matches!(stream.read(&mut byte), Ok(1)) {
        said.push(byte[0]);
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// B-100 to B-104: two thousand sessions that do nothing, a flood from one address and one from many: whoever has a place left logs in.
#[test]
fn two_thousand_sessions_and_a_flood() {
    const IDLE: usize = 2000;
    const EACH: usize = 20;
    const SPARE: usize = 4;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let most = hard.max(3 * IDLE as u64);
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let host = Host::new();
    let limits = format!("max_clients={}\nmax_per_ip={EACH}\n", IDLE + SPARE);
    let server = Server::start(&host, &limits);
    let idle: Vec<TcpStream> = (0..IDLE)
        .map(|number| {
            let stream = dial(number / EACH);
            assert!(greeting(&stream).starts_with("220 "), "session {number}");
            stream
        })
        .collect();
    let base = (descriptors(server.pid()), memory(server.pid()));
    // One address has its share: what it sends beyond that costs nobody else anything.
    for _ in 0..300 {
        let said = greeting(&dial(0));
        assert_eq!(
            said,
            "421 There are too many connections from your internet address.\r\n"
        );
    }
    let mut c = Client::anonymous();
    c.says("NOOP", "200 NOOP ok.");
    // From everywhere: the places that are left are taken, the rest is turned away, and when places are free again they are had.
    let taken: Vec<TcpStream> = (1..SPARE).map(|number| dial(IDLE + number)).collect();
    for stream in &taken {
        assert!(greeting(stream).starts_with("220 "));
    }
    for number in 0..1000 {
        let said = greeting(&dial(IDLE + 10 + number % 2000));
        assert_eq!(
            said,
            "421 There are too many connected users, please try later.\r\n"
        );
    }
    c.says("NOOP", "200 NOOP ok.");
    drop(taken);
    let mut late = wait("a place to be free", || {
        let mut c = Client::dial();
        (c.reply().code() == "220").then_some(c)
    });
    late.login("ftp");
    assert!(late.fetch("NLST").ends_with(b"\r\n"));
    // Those who did nothing are served as well.
    let mut last = idle.last().unwrap();
    last.write_all(b"USER ftp\r\nPASS x@\r\n").unwrap();
    assert!(greeting(last).starts_with("331 "));
    assert!(greeting(last).starts_with("230 "));
    wait("the flood's descriptors to go", || {
        (descriptors(server.pid()) <= base.0 + 2).then_some(())
    });
    assert!(
        memory(server.pid()) - base.1 < 1024,
        "{} kB became {}",
        base.1,
        memory(server.pid())
    );
    drop((c, late, idle));
    back_to_base(&server);
}

/// B-102: whatever is said, a login must be done within three times `idle_session_timeout`: wrong passwords and new names win no time,
/// nor does the handshake of TLS, nor what is said under it (attacks B-055).
#[test]
fn no_login_takes_for_ever() {
    let host = Host::new();
    tls::certificate(&host);
    let settings = format!(
        "{}force_local_logins_ssl=NO\nidle_session_timeout=1\nmax_login_fails=1000000\n",
        tls::ON
    );
    let server = Server::start(&host, &settings);
    let until_closed = |say: &mut dyn FnMut() -> bool| {
        let begin = Instant::now();
        while say() {
            assert!(begin.elapsed() < Duration::from_secs(15), "still served");
        }
        // The clock of the server is that of the test: it was not hung up on at once.
        assert!(begin.elapsed() >= Duration::from_secs(1));
    };
    let c = Client::connect();
    let mut stream = c.stream();
    until_closed(&mut || {
        std::thread::sleep(Duration::from_millis(20));
        let sent = stream.write_all(b"USER alice\r\nPASS wrong\r\n");
        sent.is_ok() && stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0)
    });
    let mut secured = dial(0);
    assert!(greeting(&secured).starts_with("220 "));
    secured.write_all(b"AUTH TLS\r\n").unwrap();
    assert!(greeting(&secured).starts_with("234 "));
    let mut secured = tls::handshake(&tls::offer(tls::BOTH, None).into(), secured).unwrap();
    until_closed(&mut || {
        std::thread::sleep(Duration::from_millis(20));
        let sent = secured
            .write_all(b"USER alice\r\n")
            .and_then(|()| secured.flush());
        sent.is_ok() && secured.read(&mut [0; 4096]).is_ok_and(|count| count > 0)
    });
    drop((c, secured));
    wait("the sessions to go", || {
        // The keyholder stays.
        (children(server.pid()).len() == 1).then_some(())
    });
}

/// B-113: a client that reads no replies is not waited for longer than one that says nothing, and its replies take no memory.
#[test]
fn replies_that_nobody_reads() {
    let host = Host::new();
    let server = Server::start(&host, "idle_session_timeout=2\n");
    let mut c = Client::anonymous();
    let help = c.cmd("HELP").text().split("\r\n").count();
    let (_, worker) = logged_in(&server, FTP);
    // What any reply needs is there.
    pour(c.stream(), b"HELP\r\n", 200, help);
    let before = memory(worker);
    let mut stream = c.stream();
    stream
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    // Until neither side's kernel takes any more.
    let piece = b"HELP\r\n".repeat(1000);
    while stream.write_all(&piece).is_ok() {}
    if let Some(now) = status(worker, "RssAnon")
        .and_then(|text| text.split_whitespace().next()?.parse::<i64>().ok())
    {
        assert!(now - before < 512, "{before} kB became {now}");
    }
    wait("the session to go", || {
        children(server.pid()).is_empty().then_some(())
    });
    drop(c);
    back_to_base(&server);
}

/// An administrator's scripts may have the settings read again every minute: that leaves nothing behind in master, whether they are right or
/// wrong.
#[test]
fn two_hundred_reloads() {
    let host = Host::new();
    std::fs::create_dir("/etc/hosts.d").unwrap();
    for number in 0..50 {
        let text = format!("ftpd_banner=Host {number}.\nanon_root=/srv/ftp\n");
        host.write(&format!("/etc/hosts.d/h{number}.example"), &text);
    }
    let lines = "host_config_dir=/etc/hosts.d\nftpd_banner=number 0\n";
    let server = Server::start(&host, lines);
    let text = std::fs::read_to_string(CONFIG).unwrap();
    let reload = |number: usize| {
        let wrong = text.clone() + "no_such_option=YES\n";
        for (settings, shown) in [(&wrong, number - 1), (&text, number)] {
            let settings = settings.replace("number 0", &format!("number {number}"));
            std::fs::write(CONFIG, settings).unwrap();
            server.signal(Signal::SIGHUP);
            // Master has heard the signal before it accepts whoever comes after it.
            let banner = format!("220 number {shown}");
            wait("the banner", || {
                let mut c = Client::dial();
                (c.reply().text() == banner).then_some(())
            });
        }
    };
    (1..=20).for_each(reload);
    back_to_base(&server);
    let before = (memory(server.pid()), descriptors(server.pid()));
    (21..=200).for_each(reload);
    back_to_base(&server);
    let now = memory(server.pid());
    assert!(now - before.0 < 1024, "{} kB became {now}", before.0);
    assert_eq!(descriptors(server.pid()), before.1);
}

/// Where the time of day is asked for: what is shown, logged or compared with times of files and accounts.
const TIME_OF_DAY: [&str; 10] = [
    "sys/clock.rs",
    "sys/seccomp/lists.rs",
    "worker/list.rs",
    "worker/change.rs",
    "master/mod.rs",
    "keyholder/load.rs",
    "helper/journal.rs",
    "helper/auth/shadow.rs",
    "helper/auth/session.rs",
    "sys/stamps.rs",
];

/// Nothing is waited for by the time of day, which somebody may set: every other source knows the monotonic clock alone, and those that know
/// it have no deadline by it (attacks B-055). The clock of this machine is nobody's to set for a test.
#[test]
fn no_wait_goes_by_the_time_of_day() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open = vec![root.clone()];
    let mut looked = 0;
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
            // Its times are those of files that were changed while it was forked.
            if TIME_OF_DAY.contains(&name) || name == "helper/auth/nursery.rs" {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for word in ["SystemTime", "CLOCK_REALTIME", "clock::now", "gettimeofday"] {
                assert!(!text.contains(word), "{name}: {word}");
            }
            looked += 1;
        }
    }
    assert!(looked > 150, "{looked}");
}
