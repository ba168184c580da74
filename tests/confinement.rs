//! The fences, seen from outside: /proc of every process against the table of processes, and what dies with what. Ours only.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

#[path = "confinement/accounting.rs"]
mod accounting;
#[path = "confinement/keys.rs"]
mod keys;
#[path = "confinement/nursery.rs"]
mod nursery;
#[path = "confinement/reader.rs"]
mod reader;
#[path = "support/mod.rs"]
mod support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use support::{Client, Data, Host, Server, wait};

const ALICE: &str = "1001";
const NOBODY: &str = "65534";
const EMPTY: &str = "/run/vsftpd/empty";
const CHOWN: u64 = 1 << 0;
const SETGID: u64 = 1 << 6;
const SETUID: u64 = 1 << 7;
const SETPCAP: u64 = 1 << 8;
const BIND: u64 = 1 << 10;
const SYS_CHROOT: u64 = 1 << 18;

/// One process as /proc shows it.
struct Seen {
    pid: i32,
    status: String,
}

impl Seen {
    fn of(pid: i32) -> Seen {
        Seen::if_there(pid).unwrap_or_else(|| panic!("process {pid} has gone"))
    }

    /// A process that may have gone since it was found.
    fn if_there(pid: i32) -> Option<Seen> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some(Seen { pid, status })
    }

    fn field(&self, name: &str) -> Vec<String> {
        let prefix = format!("{name}:");
        let line = self
            .status
            .lines()
            .find(|line| line.starts_with(&prefix))
            .unwrap_or_else(|| panic!("no {name}"));
        line[prefix.len()..]
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    }

    fn capabilities(&self, set: &str) -> u64 {
        u64::from_str_radix(&self.field(set)[0], 16).unwrap()
    }

    fn root(&self) -> String {
        fs::read_link(format!("/proc/{}/root", self.pid))
            .unwrap()
            .display()
            .to_string()
    }

    fn cwd(&self) -> String {
        fs::read_link(format!("/proc/{}/cwd", self.pid))
            .unwrap()
            .display()
            .to_string()
    }

    fn files(&self) -> Vec<String> {
        files(self.pid)
    }

    /// Resource limits, soft and hard alike, as /proc names them.
    #[track_caller]
    fn limited(&self, limits: &[(&str, &str)]) {
        let text = fs::read_to_string(format!("/proc/{}/limits", self.pid)).unwrap();
        for (name, most) in limits {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let held: Vec<&str> = line.unwrap().split_whitespace().take(2).collect();
            assert_eq!(held, [*most; 2], "{name} of {}", self.pid);
        }
    }

    fn threads(&self) -> usize {
        self.field("Threads")[0].parse().unwrap()
    }

    #[track_caller]
    fn ids(&self, uid: &str, gid: &str, groups: &[&str]) {
        assert_eq!(self.field("Uid"), [uid; 4], "uid of {}", self.pid);
        assert_eq!(self.field("Gid"), [gid; 4], "gid of {}", self.pid);
        let held: BTreeSet<String> = self.field("Groups").into_iter().collect();
        assert_eq!(
            held,
            groups.iter().map(|g| (*g).to_owned()).collect(),
            "groups of {}",
            self.pid
        );
    }

    /// No capability, none to be had, and no way to get one by exec.
    #[track_caller]
    fn powerless(&self) {
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(self.capabilities(set), 0, "{set} of {}", self.pid);
        }
        assert_eq!(
            self.field("NoNewPrivs"),
            ["1"],
            "no_new_privs of {}",
            self.pid
        );
    }

    /// Nothing of the file system is open but what lies under `place`, and no more sockets than said.
    #[track_caller]
    fn holds(&self, place: Option<&str>, sockets: usize) {
        let files = self.files();
        for file in files
            .iter()
            .filter(|file| file.starts_with('/') && *file != "/dev/null")
        {
            let inside = place.is_some_and(|place| {
                file == place || file.starts_with(&format!("{}/", place.trim_end_matches('/')))
            });
            assert!(inside, "process {} holds {file} of {files:?}", self.pid);
        }
        let count = files
            .iter()
            .filter(|file| file.starts_with("socket:"))
            .count();
        assert!(
            count <= sockets,
            "process {} holds {count} sockets, not {sockets}: {files:?}",
            self.pid
        );
    }
}

fn files(pid: i32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .map(|link| link.display().to_string())
        .collect()
}

fn parent(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))?
        .trim()
        .parse()
        .ok()
}

fn children(pid: i32) -> Vec<i32> {
    Server::processes()
        .into_iter()
        .filter(|other| parent(*other) == Some(pid))
        .collect()
}

fn uid(pid: i32) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))?
        .split_whitespace()
        .next()
        .map(str::to_owned)
}

/// The one helper of the one session, and its one child once that runs as `child_uid`.
fn session(server: &Server, child_uid: &str) -> (Seen, Seen) {
    let (helper, child) = wait("the session's two processes", || {
        let [helper] = children(server.pid())[..] else {
            return None;
        };
        let [child] = children(helper)[..] else {
            return None;
        };
        (uid(child).as_deref() == Some(child_uid)).then_some((helper, child))
    });
    (Seen::of(helper), Seen::of(child))
}

/// After login: the helper has given up root before the client is told.
fn logged_in(server: &Server, worker_uid: &str) -> (Seen, Seen) {
    let (helper, worker) = session(server, worker_uid);
    assert_ne!(helper.field("Uid"), ["0"; 4], "the helper is root still");
    (helper, worker)
}

/// Attacks B-131.
#[test]
fn the_master() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let master = Seen::of(server.pid());
    master.ids("0", "0", &[]);
    assert_eq!((master.root().as_str(), master.threads()), ("/", 1));
    let few = CHOWN | SETGID | SETUID | SETPCAP | BIND | SYS_CHROOT;
    assert_eq!(master.capabilities("CapEff") & few & !CHOWN, few & !CHOWN);
    // SYS_MODULE, SYS_RAWIO, SYS_PTRACE, SYS_BOOT, NET_ADMIN, NET_RAW are nobody's business here.
    for bit in [12, 13, 16, 17, 19, 22] {
        assert_eq!(
            master.capabilities("CapBnd") >> bit & 1,
            0,
            "capability {bit} can still be had"
        );
    }
}

#[test]
fn before_login() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let _client = Client::connect();
    let (helper, greeter) = session(&server, NOBODY);
    assert_eq!(helper.field("Uid"), ["0"; 4]);
    assert_eq!((helper.root().as_str(), helper.threads()), ("/", 1));
    let allowed = SETUID | SETGID | SETPCAP | SYS_CHROOT | BIND | CHOWN;
    assert_eq!(
        helper.capabilities("CapEff") & !allowed,
        0,
        "{:x}",
        helper.capabilities("CapEff")
    );

    greeter.ids(NOBODY, NOBODY, &[]);
    greeter.powerless();
    assert_eq!(
        (
            greeter.root().as_str(),
            greeter.cwd().as_str(),
            greeter.threads()
        ),
        (EMPTY, EMPTY, 1)
    );
    greeter.holds(None, 2);
}

#[test]
fn after_login() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let _client = Client::alice();
    let (helper, worker) = logged_in(&server, ALICE);
    helper.ids(NOBODY, NOBODY, &[]);
    helper.powerless();
    assert_eq!((helper.root().as_str(), helper.threads()), (EMPTY, 1));
    assert!(!helper.files().iter().any(|file| file == EMPTY));

    worker.ids(ALICE, ALICE, &["1001", "2000"]);
    worker.powerless();
    let places = (worker.root(), worker.cwd());
    assert_eq!(places, ("/".to_owned(), "/".to_owned()));
    assert_eq!(worker.threads(), 1);
    worker.holds(Some("/"), 2);
    assert!(
        !worker
            .files()
            .iter()
            .any(|file| file.starts_with("/var/log") || file.starts_with("/etc")),
        "{:?}",
        worker.files()
    );
}

/// What one that was taken over may use of the host (SECURITY.md).
#[test]
fn resource_limits() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let none = |name| (name, "0");
    let (processes, size) = (none("Max processes"), none("Max file size"));
    let core = none("Max core file size");
    let open = |most| ("Max open files", most);
    let data = |most| ("Max data size", most);
    let mut client = Client::connect();
    let (_, greeter) = session(&server, NOBODY);
    greeter.limited(&[processes, size, core, open("8"), data("67108864")]);
    client.login("alice");
    let (helper, worker) = logged_in(&server, ALICE);
    helper.limited(&[processes, core, open("4096"), data("67108864")]);
    worker.limited(&[core, open("32"), data("536870912")]);
}

#[test]
fn after_login_in_a_jail() {
    let host = Host::new();
    let server = Server::start(&host, "chroot_local_user=YES\nallow_writeable_chroot=YES\n");
    let _client = Client::alice();
    let (_, worker) = logged_in(&server, ALICE);
    worker.ids(ALICE, ALICE, &["1001", "2000"]);
    worker.powerless();
    assert_eq!(
        (worker.root().as_str(), worker.cwd().as_str()),
        ("/home/alice", "/home/alice")
    );
    worker.holds(Some("/home/alice"), 2);
}

#[test]
fn anonymous_sessions() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let _client = Client::anonymous();
    let (helper, worker) = logged_in(&server, "102");
    worker.ids("102", "105", &["105"]);
    worker.powerless();
    helper.powerless();
    assert_eq!(worker.root(), "/srv/ftp");
    worker.holds(Some("/srv/ftp"), 2);
}

#[test]
fn name_spaces_when_asked_for() {
    for (lines, asked) in [("isolate=YES\nisolate_network=YES\n", true), ("", false)] {
        let host = Host::new();
        let server = Server::start(&host, lines);
        let space = |pid: i32, kind: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        {
            let _client = Client::connect();
            let (_, greeter) = session(&server, NOBODY);
            for kind in ["net", "ipc"] {
                let apart = space(greeter.pid, kind) != space(server.pid(), kind);
                assert_eq!(apart, asked, "the greeter's {kind}");
            }
        }
        alone(&server);
        let mut client = Client::alice();
        let (second, worker) = logged_in(&server, ALICE);
        // Data connections are the helper's to make.
        assert_eq!(client.fetch("RETR f"), b"hello world\n");
        for kind in ["net", "ipc"] {
            let own = space(server.pid(), kind);
            assert_eq!(space(second.pid, kind), own, "the helper's {kind}");
            assert_eq!(space(worker.pid, kind) != own, asked, "the worker's {kind}");
        }
    }
}

#[test]
fn the_helper_keeps_what_the_options_need() {
    for (lines, kept) in [
        ("connect_from_port_20=YES\n", BIND),
        ("chown_uploads=YES\nchown_username=bob\n", CHOWN),
        (
            "connect_from_port_20=YES\nchown_uploads=YES\nchown_username=bob\n",
            BIND | CHOWN,
        ),
    ] {
        let host = Host::new();
        let server = Server::start(&host, lines);
        let _client = Client::anonymous();
        let (helper, worker) = logged_in(&server, "102");
        helper.ids(NOBODY, NOBODY, &[]);
        assert_eq!(
            (
                helper.capabilities("CapPrm"),
                helper.capabilities("CapEff") & !kept
            ),
            (kept, 0),
            "{lines}"
        );
        assert_eq!(helper.capabilities("CapBnd") & !kept, 0, "{lines}");
        worker.powerless();
    }
    // A local user's uploads are given to nobody.
    let host = Host::new();
    let server = Server::start(&host, "chown_uploads=YES\nchown_username=bob\n");
    let _client = Client::alice();
    let (helper, _) = logged_in(&server, "1001");
    assert_eq!(helper.capabilities("CapPrm"), 0);
}

fn upload() -> (Client, Data) {
    upload_of(b"abc")
}

fn upload_of(bytes: &[u8]) -> (Client, Data) {
    let mut client = Client::alice();
    let (_, mut data) = client.begin("STOR part");
    data.stream.write_all(bytes).unwrap();
    wait("the bytes to arrive", || {
        (fs::read("/home/alice/part").unwrap() == bytes).then_some(())
    });
    (client, data)
}

#[test]
fn during_a_transfer() {
    let host = Host::new();
    let server = Server::start(&host, "chroot_local_user=YES\nallow_writeable_chroot=YES\n");
    // More than the control thread takes by itself.
    let (mut client, data) = upload_of(&[b'x'; 100_000]);
    let (_, worker) = logged_in(&server, ALICE);
    assert_eq!(worker.threads(), 2);
    worker.holds(Some("/home/alice"), 3);
    worker.powerless();
    drop(data);
    client.next("226 Transfer complete.");
    client.says("NOOP", "200 NOOP ok.");
    wait("the transfer's descriptors to close", || {
        (!files(worker.pid).iter().any(|f| f.ends_with("/part"))).then_some(())
    });
    let before = files(worker.pid).len();
    for _ in 0..20 {
        client.fetch("RETR f");
        client.fetch("NLST");
        client.refused("RETR nofile", "550 Failed to open file.");
    }
    client.epsv();
    client.store("STOR part", b"x");
    let after = wait("descriptors to go back", || {
        Some(files(worker.pid).len()).filter(|n| *n <= before)
    });
    assert!(after <= before, "{before} descriptors became {after}");
}

#[test]
fn nothing_inherited_reaches_the_client_s_processes() {
    let host = Host::new();
    host.write("/etc/leak", "x");
    // Opened without close-on-exec before the server starts, as a careless launcher does.
    let leak = nix::fcntl::open(
        "/etc/leak",
        nix::fcntl::OFlag::O_RDONLY,
        nix::sys::stat::Mode::empty(),
    )
    .unwrap();
    let server = Server::start(&host, "");
    drop(leak);
    let _client = Client::connect();
    let (helper, greeter) = session(&server, NOBODY);
    for seen in [&helper, &greeter] {
        assert!(
            !seen.files().iter().any(|file| file.contains("leak")),
            "{:?}",
            seen.files()
        );
    }
}

/// Waits until only the master is left; zombies count as left.
#[track_caller]
fn alone(server: &Server) {
    let start = std::time::Instant::now();
    loop {
        let left: Vec<i32> = Server::processes()
            .into_iter()
            .filter(|pid| *pid != server.pid())
            .collect();
        let zombies = zombies(server.pid());
        if left.is_empty() && zombies.is_empty() {
            return;
        }
        if start.elapsed() > support::DEADLINE {
            let who: Vec<String> = left
                .iter()
                .map(|pid| format!("{pid} of {:?}, uid {:?}", parent(*pid), uid(*pid)))
                .collect();
            panic!(
                "left: {who:?}, zombies of the master {}: {zombies:?}",
                server.pid()
            );
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Children of the master that ended and were not waited for.
fn zombies(master: i32) -> Vec<i32> {
    let children =
        fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap_or_default();
    let dead = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/status"))
            .is_ok_and(|status| status.contains("State:\tZ"))
    };
    children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .filter(dead)
        .collect()
}

/// Kills one process of a session and checks that all of it goes, and nothing else.
fn kill_one(
    pick: impl Fn(&Seen, &Seen) -> i32,
    lines: &str,
    start: impl Fn() -> (Client, Option<Data>),
    child_uid: &str,
) {
    let host = Host::new();
    let server = Server::start(&host, lines);
    let base = files(server.pid()).len();
    let (client, data) = start();
    let (helper, child) = if child_uid == NOBODY {
        session(&server, NOBODY)
    } else {
        logged_in(&server, child_uid)
    };
    kill(Pid::from_raw(pick(&helper, &child)), Signal::SIGKILL).unwrap();
    let mut rest = Vec::new();
    let _ = client.stream().read_to_end(&mut rest);
    assert!(
        rest.is_empty() || rest.starts_with(b"4") || rest.starts_with(b"5"),
        "the client was told {:?}",
        String::from_utf8_lossy(&rest)
    );
    drop(data);
    alone(&server);
    wait("the master's descriptors to go back", || {
        (files(server.pid()).len() == base).then_some(())
    });
    Client::alice().says("NOOP", "200 NOOP ok.");
}

#[test]
fn killing_the_greeter() {
    kill_one(
        |_, greeter| greeter.pid,
        "",
        || (Client::connect(), None),
        NOBODY,
    );
}

#[test]
fn killing_the_helper_before_login() {
    kill_one(
        |helper, _| helper.pid,
        "",
        || (Client::connect(), None),
        NOBODY,
    );
}

#[test]
fn killing_the_worker() {
    kill_one(
        |_, worker| worker.pid,
        "",
        || (Client::alice(), None),
        ALICE,
    );
}

#[test]
fn killing_the_helper_after_login() {
    kill_one(
        |helper, _| helper.pid,
        "",
        || (Client::alice(), None),
        ALICE,
    );
}

/// attacks B-051.
#[test]
fn killing_the_worker_during_an_upload() {
    kill_one(
        |_, worker| worker.pid,
        "",
        || {
            let (client, data) = upload();
            (client, Some(data))
        },
        ALICE,
    );
}

/// attacks B-051.
#[test]
fn killing_the_helper_during_an_upload() {
    kill_one(
        |helper, _| helper.pid,
        "",
        || {
            let (client, data) = upload();
            (client, Some(data))
        },
        ALICE,
    );
}

#[test]
fn killing_one_session_leaves_the_other() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let mut first = Client::alice();
    let (helper, _) = logged_in(&server, ALICE);
    let mut second = Client::user("bob");
    kill(Pid::from_raw(helper.pid), Signal::SIGKILL).unwrap();
    first.ended();
    second.says("NOOP", "200 NOOP ok.");
    assert_eq!(second.store("STOR x", b"still here").code(), "226");
}

/// attacks B-051.
#[test]
fn clients_that_leave_leave_nothing() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let base = files(server.pid()).len();
    for round in 0..20 {
        match round % 5 {
            0 => drop(Client::dial()),
            1 => drop(Client::connect()),
            2 => drop(Client::alice()),
            3 => drop(upload()),
            _ => Client::alice().says("QUIT", "221 Goodbye."),
        }
    }
    alone(&server);
    wait("the master's descriptors to go back", || {
        (files(server.pid()).len() == base).then_some(())
    });
}

/// attacks B-050.
#[test]
fn an_interrupted_upload_is_not_taken_for_complete() {
    let host = Host::new();
    let _server = Server::start(&host, "dual_log_enable=YES\n");
    let (client, data) = upload();
    // The client dies: both connections are reset.
    nix::sys::socket::setsockopt(
        client.stream(),
        nix::sys::socket::sockopt::Linger,
        &libc::linger {
            l_onoff: 1,
            l_linger: 0,
        },
    )
    .unwrap();
    data.reset();
    drop(client);
    assert_eq!(
        support::log::xferlog(1),
        ["127.0.0.1 3 /home/alice/part b _ i r alice ftp 0 * i"]
            .map(|line| line.replace(" b _ ", " a _ "))
    );
    assert!(support::log::vsftpd(3)[2].starts_with("[alice] FAIL UPLOAD: "));
}

#[test]
fn a_restart_keeps_a_running_download_alive() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let host = Host::new();
        fs::File::create("/home/alice/huge")
            .unwrap()
            .set_len(60_000_000)
            .unwrap();
        let mut first = Server::start(&host, "");
        let mut client = Client::alice();
        let (_, mut data) = client.begin("RETR huge");
        data.stream.read_exact(&mut [0; 1000]).unwrap();
        first.signal(signal);
        first.wait_master();
        let second = Server::start(&host, "");
        assert_eq!(data.read().len(), 60_000_000 - 1000, "after {signal}");
        client.next("226 Transfer complete.");
        client.says("NOOP", "200 NOOP ok.");
        Client::user("bob").says("NOOP", "200 NOOP ok.");
        drop(second);
    }
}

#[test]
fn reloading_keeps_sessions_and_applies_to_new_ones() {
    let host = Host::new();
    let server = Server::start(&host, "ftpd_banner=first\n");
    let mut old = Client::alice();
    let text = fs::read_to_string(support::host::CONFIG).unwrap();
    fs::write(support::host::CONFIG, text.replace("first", "second")).unwrap();
    server.signal(Signal::SIGHUP);
    wait("the new banner", || {
        (Client::dial().reply().text() == "220 second").then_some(())
    });
    old.says("NOOP", "200 NOOP ok.");
    assert!(!support::server::output().contains("restart the server"));
    // What it listens on takes a restart, which it says each time.
    for _ in 0..2 {
        let before = support::server::output().len();
        fs::write(support::host::CONFIG, format!("{text}listen_port=2121\n")).unwrap();
        server.signal(Signal::SIGHUP);
        wait("the advice", || {
            support::server::output()[before..]
                .contains("listening on 0.0.0.0:21 as before; restart the server to listen on 0.0.0.0:2121")
                .then_some(())
        });
    }
    Client::dial().next("220 first");
    fs::write(support::host::CONFIG, text.replace("first", "second")).unwrap();
    server.signal(Signal::SIGHUP);
    wait("the second banner again", || {
        (Client::dial().reply().text() == "220 second").then_some(())
    });
    // A file that is wrong changes nothing, be it by itself or for this host.
    for wrong in ["no_such_option=YES\n", "secure_chroot_dir=/nonexistent\n"] {
        let before = support::server::output().len();
        let lines = format!("{text}ftpd_banner=third\n{wrong}");
        fs::write(support::host::CONFIG, lines).unwrap();
        server.signal(Signal::SIGHUP);
        wait("the refusal", || {
            support::server::output()[before..]
                .contains("not reloaded, the old one stays")
                .then_some(())
        });
        old.says("NOOP", "200 NOOP ok.");
        Client::dial().next("220 second");
    }
}
