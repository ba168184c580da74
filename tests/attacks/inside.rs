//! What a session's processes have in their memory that is not theirs, and one that does nothing but calculate, or talk (attacks B-139, B-143,
//! B-148).

use crate::cost::ticks;
use crate::puppet::{Came, Puppet};
use crate::sessions::{NOBODY, back_to_base, children, logged_in, session};
use crate::support::host::{ALICE, FTP};
use crate::support::{Client, Host, Server, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// The mappings that a process may write to in which these bytes are.
fn places(pid: i32, bytes: &[u8]) -> Vec<String> {
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let holds = |line: &&str| {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let at = |hex: &str| u64::from_str_radix(hex, 16).unwrap();
        let mut buffer = vec![0; (at(to) - at(from)) as usize];
        let read = memory.read_at(&mut buffer, at(from)).unwrap_or(0);
        buffer[..read].windows(bytes.len()).any(|w| w == bytes)
    };
    let written = maps.lines().filter(|line| line.contains(" rw"));
    written.filter(holds).map(str::to_owned).collect()
}

#[track_caller]
fn nowhere(pids: &[i32], secrets: &[&str]) {
    for pid in pids {
        for secret in secrets {
            let found = places(*pid, secret.as_bytes());
            assert!(found.is_empty(), "{secret} is in {pid}: {found:?}");
        }
    }
}

/// Whose logins have failed lately master knows, and no session. Without the mend each had the whole list (attacks B-139).
#[test]
fn others_addresses() {
    const SOURCE: [u8; 4] = [127, 45, 67, 89];
    let host = Host::new();
    let server = Server::start(&host, "");
    let at = |address: [u8; 4]| IpAddr::from(address);
    let mut fails = Client::dial_from(at(SOURCE), at([127, 0, 0, 1])).greeted();
    fails.script(&[
        ("USER alice", "331 Please specify the password."),
        ("PASS wrong", "530 Login incorrect."),
        ("QUIT", "221 Goodbye."),
    ]);
    back_to_base(&server);
    // Where master had it while that client came, another's is then.
    Client::alice().says("QUIT", "221 Goodbye.");
    let _client = Client::connect();
    let (helper, greeter) = session(&server, NOBODY);
    assert!(!places(server.pid(), &SOURCE).is_empty());
    for pid in [helper, greeter] {
        let found = places(pid, &SOURCE);
        assert!(found.is_empty(), "{pid}: {found:?}");
    }
}

/// Names and passwords of others, which were read on the way to this session or belong to another one, are in none of its processes (attacks B-139).
#[test]
fn others_names_and_passwords() {
    const LISTED: [&str; 3] = ["zyzzyva-listed", "quokka@mail.example", "wombat-jailed"];
    let host = Host::new();
    let passwd = String::from_utf8(host.read("/etc/passwd")).unwrap();
    let shadow = String::from_utf8(host.read("/etc/shadow")).unwrap();
    let hash = shadow.lines().find_map(|line| line.strip_prefix("alice:"));
    let line = "numbat-user:x:1030:1030:Numbat Gecos:/home/alice:/bin/sh\n";
    host.write("/etc/passwd", &format!("{passwd}{line}"));
    host.write(
        "/etc/shadow",
        &format!("{shadow}numbat-user:{}\n", hash.unwrap()),
    );
    host.mode("/etc/shadow", 0o600);
    host.write("/etc/users", &format!("{}\n", LISTED[0]));
    host.write("/etc/emails", &format!("{}\nsecret\n", LISTED[1]));
    host.write("/etc/jailed", &format!("{}\n", LISTED[2]));
    let lines = "userlist_enable=YES\nuserlist_file=/etc/users\nsecure_email_list_enable=YES\nemail_password_file=/etc/emails\n\
                 chroot_list_enable=YES\nchroot_list_file=/etc/jailed\n";
    let server = Server::start(&host, lines);
    let mut other = Client::user("numbat-user");
    other.says("PWD", "257 \"/home/alice\" is the current directory");
    let theirs = children(server.pid())[0];
    let own = wait("their worker", || {
        let below = children(theirs);
        let [worker] = below[..] else { return None };
        (!places(worker, b"numbat-user").is_empty()).then_some(worker)
    });
    let new = || {
        let mut all = Server::everything();
        all.retain(|pid| *pid != theirs && *pid != own);
        all
    };
    let others = [
        "numbat-user",
        "Numbat Gecos",
        LISTED[0],
        LISTED[1],
        LISTED[2],
    ];
    for user in [None, Some("alice"), Some("ftp")] {
        let mut c = Client::connect();
        if let Some(user) = user {
            c.login(user);
            c.says("NOOP", "200 NOOP ok.");
        }
        let all = wait("greeter and auth to end", || {
            Some(new()).filter(|all| all.len() == 4)
        });
        nowhere(&all, &others);
        drop(c);
        wait("the session to go", || (new().len() == 2).then_some(()));
    }
    nowhere(&[own, theirs], &LISTED);
    drop(other);
    back_to_base(&server);
}

/// A worker that calculates for ever takes its user's share of the processor and nobody's session (attacks B-148).
#[test]
fn a_worker_that_spins() {
    let host = Host::new();
    host.file("/srv/ftp/pub/big", &vec![b'x'; 20_000_000]);
    let server = Server::start(&host, "");
    let client = Client::alice();
    let (_, worker) = logged_in(&server, ALICE);
    Puppet::take(worker).spin();
    wait("it to spin", || (ticks(worker) > 10).then_some(()));
    let mut other = Client::anonymous();
    let begin = Instant::now();
    for _ in 0..5 {
        assert_eq!(other.fetch("RETR pub/big").len(), 20_000_000);
        Client::user("bob").says("QUIT", "221 Goodbye.");
    }
    assert!(begin.elapsed() < Duration::from_secs(10));
    // Whoever ends it has ended its session.
    kill(Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    drop((client, other));
    back_to_base(&server);
}

/// A greeter that does; that it has the time of a login and no more is seen in [`crate::stopped`].
#[test]
fn a_greeter_that_spins() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let client = Client::connect();
    let (helper, greeter) = session(&server, NOBODY);
    Puppet::take(greeter).spin();
    wait("it to spin", || (ticks(greeter) > 10).then_some(()));
    for _ in 0..5 {
        let mut other = Client::alice();
        assert_eq!(other.fetch("RETR f"), b"hello world\n");
    }
    kill(Pid::from_raw(helper), Signal::SIGKILL).unwrap();
    drop(client);
    back_to_base(&server);
}

/// A helper that calculates for ever after login, taken over or not, leaves everybody else what is theirs.
#[test]
fn a_helper_that_spins() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let mut client = Client::anonymous();
    let (helper, _) = logged_in(&server, FTP);
    Puppet::take(helper).spin();
    wait("it to spin", || (ticks(helper) > 10).then_some(()));
    client.says("NOOP", "200 NOOP ok.");
    for _ in 0..5 {
        let mut other = Client::alice();
        assert_eq!(other.fetch("RETR f"), b"hello world\n");
    }
    kill(Pid::from_raw(helper), Signal::SIGKILL).unwrap();
    client.ended();
    drop(client);
    back_to_base(&server);
}

/// A worker that says and says things for the log: each is one line of its own session's, and everybody else is served (attacks B-143, B-149).
#[test]
fn a_worker_that_floods_the_log() {
    const TIMES: usize = 3000;
    let host = Host::new();
    let server = Server::start(&host, "xferlog_std_format=NO\n");
    let client = Client::alice();
    let (_, worker) = logged_in(&server, ALICE);
    let mut puppet = Puppet::take(worker);
    // Event, said, a note: what looks like a line of another session's.
    let text = "\n[pid 1] [root] OK LOGIN: Client \"9.9.9.9\"\r\n\u{1b}[2J";
    let note = [&[4, 3, 6, text.len() as u8, 0][..], text.as_bytes()].concat();
    let place = puppet.text(std::str::from_utf8(&note).unwrap());
    let length = note.len() as u64;
    let nosignal = libc::MSG_NOSIGNAL as u64;
    let say = |puppet: &mut Puppet, number: u64| {
        puppet.call(libc::SYS_sendto, &[number, place, length, nosignal, 0, 0])
    };
    let lines = || {
        let log = String::from_utf8(host.read("/var/log/vsftpd.log")).unwrap();
        log.matches("[root] OK LOGIN").count()
    };
    // One of these is the channel; another that takes the bytes is the client's.
    client.stream().set_nonblocking(true).unwrap();
    let mut heard = Vec::new();
    let channel = (3..16).find(|number| {
        let sent = say(&mut puppet, *number) == Came::Back(length as i64);
        heard.clear();
        sent && wait("the note to arrive somewhere", || {
            let _ = client.stream().read_to_end(&mut heard);
            let clients = heard.len() as u64 >= length;
            (clients || lines() > 0).then_some(!clients)
        })
    });
    let channel = channel.expect("a channel");
    let before = lines();
    for _ in 0..TIMES {
        assert_eq!(say(&mut puppet, channel), Came::Back(length as i64));
    }
    let mut other = Client::anonymous();
    other.says("NOOP", "200 NOOP ok.");
    wait("every note", || (lines() == before + TIMES).then_some(()));
    let log = String::from_utf8(host.read("/var/log/vsftpd.log")).unwrap();
    for line in log.lines() {
        let own =
            line.contains("] [alice] DEBUG: Client \"127.0.0.1\", \"?[pid 1] [root] OK LOGIN");
        assert!(own || !line.contains("9.9.9.9"), "{line:?}");
        assert!(
            line.bytes().all(|byte| (32..127).contains(&byte)),
            "{line:?}"
        );
    }
    drop((puppet, client, other));
    back_to_base(&server);
}
