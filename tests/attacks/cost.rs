//! Clients that want to cost as much as they can: patterns, depth, long sessions, slow ones, many, and kills at any moment.

use crate::sessions::{NOBODY, back_to_base, children, descriptors, logged_in, memory, session};
use crate::support::host::{ALICE, FTP};
use crate::support::{Client, DEADLINE, Host, Server, wait};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// Ticks of processor time a process has used.
pub fn ticks(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = text
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace()
        .collect();
    [11, 12]
        .iter()
        .filter_map(|at| fields.get(*at)?.parse::<u64>().ok())
        .sum()
}

/// B-020, B-022, B-023, B-027, A11, A12, A14, A18: patterns and options made to be slow or to be misread.
#[test]
fn patterns() {
    let host = Host::new();
    for number in 0..80 {
        host.file(&format!("/srv/ftp/{}{number}", "a".repeat(200)), b"");
    }
    let server = Server::start(&host, "ls_recurse_enable=YES\n");
    let mut c = Client::anonymous();
    let (_, worker) = logged_in(&server, FTP);
    let mut patterns = vec![
        "{*},".repeat(200).trim_end_matches(',').to_owned(),
        format!("{}{}", "{".repeat(200), "*".repeat(200)),
        format!("{}{}", "{*,".repeat(600), "}".repeat(600)),
        format!("{}b", "a*".repeat(200)),
        format!("{}b", "*?".repeat(400)),
        "*/../".repeat(100),
        "*/.*/.*./*?/".to_owned(),
        format!("-{}", "aRl".repeat(900)),
        "-w 1000000".to_owned(),
        "-la -- -x".to_owned(),
        "\u{ff}{\u{80}*".to_owned(),
    ];
    for open in [
        "~{",
        "~[",
        "{{",
        "[",
        "[!",
        "[a-",
        "{,}",
        "{a,{b",
        "~",
        "~root",
        "{*}{*}{*}{*}{*}",
    ] {
        patterns.push(open.to_owned());
    }
    let before = ticks(worker);
    let grown = memory(worker);
    for pattern in &patterns {
        let begin = Instant::now();
        c.send(format!("STAT {pattern}\r\n").as_bytes());
        let reply = c.reply();
        assert!(reply.code().starts_with(['2', '5']), "{pattern}");
        for command in ["CWD", "SIZE", "MDTM", "RETR", "DELE"] {
            c.send(format!("{command} {pattern}\r\n").as_bytes());
            assert_eq!(c.reply().text().matches("\r\n").count(), 0, "{pattern}");
        }
        // A debug build takes twenty times as long.
        assert!(begin.elapsed() < Duration::from_secs(20), "{pattern}");
    }
    let spent = ticks(worker) - before;
    assert!(
        spent < 4000,
        "{spent} ticks for {} patterns",
        patterns.len()
    );
    assert!(
        memory(worker) - grown < 8 * 1024,
        "{} kB",
        memory(worker) - grown
    );
    drop(c);
    back_to_base(&server);
}

/// B-025, A64: a tree deeper than any stack, and one with a loop.
#[test]
fn depth() {
    let host = Host::new();
    let mut deep = String::from("/srv/ftp/deep");
    host.mkdir(&deep, FTP);
    for _ in 0..400 {
        deep.push_str("/d");
        host.mkdir(&deep, FTP);
    }
    std::os::unix::fs::symlink("/", "/srv/ftp/deep/loop").unwrap();
    let server = Server::start(&host, "ls_recurse_enable=YES\n");
    let mut c = Client::anonymous();
    let begin = Instant::now();
    let listing = c.fetch("LIST -R");
    assert!(listing.len() < 200_000, "{}", listing.len());
    let lines = listing.split(|byte| *byte == b'\n');
    assert!(lines.filter(|line| line.ends_with(b":\r")).count() < 100);
    assert!(begin.elapsed() < Duration::from_secs(5));
    drop(c);
    back_to_base(&server);
}

/// B-113, A13: neither memory nor descriptors grow with the commands of a session, nor helper's with what it is asked for.
#[test]
fn a_long_session() {
    let host = Host::new();
    let server = Server::start(&host, "log_ftp_protocol=YES\nxferlog_std_format=NO\n");
    let mut c = Client::alice();
    let (helper, worker) = logged_in(&server, ALICE);
    let mut round = |count: usize| {
        for _ in 0..count {
            c.send(
                b"CWD .\r\nSIZE f\r\nMDTM f\r\nUSER x\r\nREST 5\r\nEPSV\r\nPASV\r\nRNFR f\r\nXYZZ\r\nDELE none\r\nMKD /\r\n",
            );
            for _ in 0..11 {
                c.reply();
            }
        }
    };
    round(300);
    let before = [helper, worker].map(|pid| (descriptors(pid), memory(pid)));
    round(3000);
    for (pid, (fds, kilobytes)) in [helper, worker].into_iter().zip(before) {
        // Helper closes its copy of a listening socket after the reply.
        wait("descriptors to go back", || {
            (descriptors(pid) <= fds).then_some(())
        });
        let kilobytes_now = memory(pid);
        assert!(
            kilobytes_now - kilobytes < 256,
            "{kilobytes} kB became {kilobytes_now}"
        );
    }
    drop(c);
    back_to_base(&server);
}

/// B-102: who sends a byte now and then is hung up on as one who sends nothing, and who never logs in as well (attacks B-070).
#[test]
fn slow_clients() {
    let host = Host::new();
    let server = Server::start(&host, "idle_session_timeout=1\n");
    let dribble = |mut c: Client, bytes: &'static [u8], pause: u64| {
        c.stream()
            .set_read_timeout(Some(Duration::from_millis(pause)))
            .unwrap();
        let begin = Instant::now();
        let mut said = Vec::new();
        let mut more = bytes.iter().cycle();
        let mut buffer = [0; 4096];
        loop {
            let byte = more.next().unwrap();
            let mut stream = c.stream();
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
            match c.stream().read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => said.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
            assert!(begin.elapsed() < Duration::from_secs(15), "still served");
        }
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.ends_with("421 Timeout.\r\n"), "{said}");
        c.send(b"");
    };
    dribble(Client::connect(), b"a", 100);
    dribble(Client::alice(), b"a", 100);
    // Whole commands, but no login.
    dribble(Client::connect(), b"FEAT\r\n", 20);
    back_to_base(&server);
}

/// B-100, B-104: a flood beyond max_clients, and sessions that stand still, leave room for new ones when some go.
#[test]
fn a_flood() {
    let host = Host::new();
    let server = Server::start(&host, "max_clients=40\nmax_per_ip=0\n");
    let still: Vec<Client> = (0..39).map(|_| Client::connect()).collect();
    let base = descriptors(server.pid());
    for _ in 0..500 {
        drop(Client::dial());
    }
    wait("the flood to go", || {
        (children(server.pid()).len() == 39).then_some(())
    });
    let begin = Instant::now();
    let mut c = Client::dial();
    while c.reply().code() == "421" {
        // The last of the flood is still booked.
        assert!(begin.elapsed() < Duration::from_secs(2));
        c = Client::dial();
    }
    c.login("ftp");
    c.says("NOOP", "200 NOOP ok.");
    Client::dial().next("421 There are too many connected users, please try later.");
    wait("the master's descriptors to go back", || {
        (descriptors(server.pid()) <= base).then_some(())
    });
    drop((c, still));
    back_to_base(&server);
}

/// B-051, B-105, B-137: any process of a session killed at any moment leaves nothing, and the server goes on.
#[test]
fn kills_at_any_moment() {
    let host = Host::new();
    let server = Server::start(&host, "");
    // A generator of Lehmer's: the same moments in every run.
    let mut seed = 20_261_125_u64;
    let mut chance = |below: u64| {
        seed = seed * 48_271 % 2_147_483_647;
        seed % below
    };
    for _ in 0..60 {
        let c = Client::dial();
        let at = Duration::from_micros(chance(6000));
        let commands = b"USER ftp\r\nPASS x@\r\nEPSV\r\nSTAT .\r\nSIZE f\r\n";
        c.stream().write_all(commands).unwrap();
        std::thread::sleep(at);
        let mut victims: Vec<i32> = Server::everything();
        victims.retain(|pid| *pid != server.pid());
        if !victims.is_empty() {
            let victim = victims[chance(victims.len() as u64) as usize];
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(victim),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
        if chance(2) == 0 {
            drop(c);
        } else {
            let mut rest = Vec::new();
            // The connection may be gone by now.
            let _ = c.stream().write_all(b"QUIT\r\n");
            let _ = c.stream().read_to_end(&mut rest);
        }
        wait("everything to go", || {
            (Server::processes() == [server.pid()]).then_some(())
        });
    }
    back_to_base(&server);
}

/// B-126: nothing in the environment of who starts the server changes what its processes do or show.
#[test]
fn the_environment() {
    let host = Host::new();
    let server = Server::start_with(
        &host,
        "",
        &[
            ("RUST_BACKTRACE", "full"),
            ("RUST_LIB_BACKTRACE", "1"),
            ("MALLOC_ARENA_MAX", "100"),
            ("LD_BIND_NOW", "1"),
            ("TZDIR", "../../x"),
            ("SECRET", "canary"),
        ],
    );
    let mut c = Client::alice();
    let (helper, worker) = logged_in(&server, ALICE);
    assert_eq!(c.fetch("RETR f"), host.read("/home/alice/f"));
    for pid in [server.pid(), helper, worker] {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let shown = String::from_utf8_lossy(&environment).into_owned();
        // The kernel shows the place where it once was; nothing there is for sessions to see.
        assert!(
            pid == server.pid() || !shown.contains("canary"),
            "{pid}: {shown}"
        );
    }
    drop(c);
    back_to_base(&server);
    let greeter = Client::connect();
    session(&server, NOBODY);
    drop(greeter);
}

/// B-020, B-022: a pattern that would take for ever in a large directory ends with 451, and the session goes on.
#[test]
fn a_pattern_for_a_large_directory() {
    let host = Host::new();
    host.mkdir("/srv/ftp/large", FTP);
    for number in 0..3000 {
        host.file(&format!("/srv/ftp/large/{number:0150}"), b"");
    }
    let server = Server::start(&host, "");
    let mut c = Client::anonymous();
    c.says("CWD large", "250 Directory successfully changed.");
    // All steps that it may take are many for a build that is not optimized, on a busy machine.
    let patience = Some(4 * DEADLINE);
    let ends = |c: &mut Client, command: &str| {
        let mut data = c.passive();
        data.set_read_timeout(patience).unwrap();
        c.stream().set_read_timeout(patience).unwrap();
        assert_eq!(c.cmd(command).code(), "150");
        let mut rest = Vec::new();
        let _ = data.read_to_end(&mut rest);
        c.next("451 Failure reading local file.");
        rest
    };
    let nested = format!("{}{}", "{0,".repeat(600), "}".repeat(600));
    ends(&mut c, &format!("LIST {nested}"));
    // Without nesting it takes long names to be dear.
    for number in 0..3000 {
        host.file(
            &format!("/srv/ftp/large/{}{number:04}", "a".repeat(240)),
            b"",
        );
    }
    let dear = (0..28).map(|number| format!("*{}{number}", "a".repeat(120)));
    let dear = format!("{{{}}}", dear.collect::<Vec<_>>().join(","));
    assert_eq!(ends(&mut c, &format!("NLST {dear}")), b"");
    assert_eq!(c.names("NLST *.none").len(), 0);
    assert_eq!(c.names("NLST *").len(), 6000);
    drop(c);
    back_to_base(&server);
}

/// B-051: nobody waits for the data connection of a client that has gone, or for a lock on its behalf, whatever it has said last.
#[test]
fn nobody_waits_for_who_has_gone() {
    let host = Host::new();
    let server = Server::start(&host, "accept_timeout=0\ndata_connection_timeout=0\n");
    let taken = std::fs::File::options()
        .write(true)
        .open("/home/alice/f")
        .unwrap();
    // SAFETY: flock is plain data, for which all zeroes is a valid value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    nix::fcntl::fcntl(&taken, nix::fcntl::FcntlArg::F_OFD_SETLK(&lock)).unwrap();
    for last in ["", "PWD\r\n", "QUIT\r\n"] {
        let mut c = Client::alice();
        c.epsv();
        c.send(format!("RETR asc\r\n{last}").as_bytes());
        drop(c);
        back_to_base(&server);
        let mut c = Client::alice();
        let data = c.passive();
        c.send(format!("STOR f\r\n{last}").as_bytes());
        drop((c, data));
        back_to_base(&server);
    }
}

/// A line without an end ends the session in the middle of a transfer too, and the transfer with it: its client is not waited for.
/// See attacks B-070.
#[test]
fn a_line_without_an_end_during_a_transfer() {
    let host = Host::new();
    let server = Server::start(&host, "data_connection_timeout=0\n");
    let huge = std::fs::File::create("/home/alice/huge").unwrap();
    huge.set_len(50_000_000).unwrap();
    let mut c = Client::alice();
    let (_, data) = c.begin("RETR huge");
    c.send(&[b'x'; 8192]);
    c.next("500 Input line too long.");
    c.closed();
    wait("the session to go", || {
        (Server::processes() == [server.pid()]).then_some(())
    });
    drop(data);
    back_to_base(&server);
}

/// B-050: the data connection of a killed client ends as after the last byte, and its control connection right after it.
#[test]
fn a_killed_client_s_upload_is_no_success() {
    let host = Host::new();
    let server = Server::start(&host, "atomic_uploads=YES\n");
    back_to_base(&server);
    let mut taken = 0;
    for _ in 0..100 {
        let mut c = Client::alice();
        let (_, mut data) = c.begin("STOR new");
        data.stream.write_all(b"half").unwrap();
        drop(data);
        // What the kernel does between the two.
        let between = Instant::now();
        while between.elapsed() < Duration::from_micros(400) {}
        drop(c);
        wait("the session to go", || {
            (Server::processes() == [server.pid()]).then_some(())
        });
        if host.exists("/home/alice/new") {
            std::fs::remove_file("/home/alice/new").unwrap();
            taken += 1;
        }
    }
    // A moment is waited for: on a busy machine a client may take longer from one end to the other.
    assert!(taken < 25, "{taken} of 100");
}
