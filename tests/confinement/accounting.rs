//! session_support: auth alone keeps root, sees nothing of the client, and puts everything in order however the session ends.

use super::support::host::{CONFIG, PROGRAM, hide, pam_libraries};
use super::support::server::BASE;
use super::support::utmp::{self, UTMP, WTMP};
use super::support::{Client, Host, Server, wait};
use super::{ALICE, EMPTY, NOBODY, Seen, alone, children, uid};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

const ON: &str = "session_support=YES\n";
const PAM: &str = "/etc/pam.d/vsftpd";
const SCRIPT: &str = "/mnt/session";
const SEEN: &str = "/mnt/seen";
const GATE: &str = "/mnt/gate";

/// A password that is nowhere by chance, and its crypt(3).
pub(super) const PASSWORD: &str = "plugh-4711-Xyzzy";
const HASH: &str = "$6$rounds=1000$salt$Cbz06TnHDnH5f/9sHlBjd3q2OA7PacI0xMyFSg7MvCDGxdfIEBp1MolbMFa7ZD1zt.ntGlOwFSMUe4A/Sh2QB0";

/// A host with records whose PAM tells a file of every session it opens and closes.
fn host() -> Host {
    let host = Host::new();
    utmp::keep(&host);
    host.write(
        SCRIPT,
        &format!(
            "#!/bin/sh\necho \"$PAM_TYPE $PAM_USER $PAM_RHOST $PAM_TTY $PAM_SERVICE\" >> {SEEN}\n"
        ),
    );
    host.mode(SCRIPT, 0o755);
    add(&host, &format!("session required pam_exec.so {SCRIPT}\n"));
    host
}

fn add(host: &Host, line: &str) {
    let service = String::from_utf8(host.read(PAM)).unwrap();
    host.write(PAM, &format!("{service}{line}"));
}

fn seen() -> Vec<String> {
    let text = fs::read_to_string(SEEN).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// What PAM is told of one session.
fn sessions(count: usize) -> Vec<String> {
    ["open_session", "close_session"]
        .iter()
        .map(|step| format!("{step} alice 127.0.0.1 ftp vsftpd"))
        .cycle()
        .take(2 * count)
        .collect()
}

/// The three processes of the one session, once each is what it stays.
struct Session {
    helper: Seen,
    worker: Seen,
    auth: Seen,
}

fn session(server: &Server) -> Session {
    let (helper, worker, auth) = wait("the session's three processes", || {
        let [helper] = children(server.pid())[..] else {
            return None;
        };
        let has = |pid: &i32, id: &str| uid(*pid).as_deref() == Some(id);
        let [worker] = children(helper)[..] else {
            return None;
        };
        let [auth] = children(server.nursery())[..] else {
            return None;
        };
        let all = has(&helper, NOBODY) && has(&worker, ALICE) && has(&auth, "0");
        all.then_some((helper, worker, auth))
    });
    Session {
        helper: Seen::of(helper),
        worker: Seen::of(worker),
        auth: Seen::of(auth),
    }
}

/// Nobody is there any more, and PAM and both records know.
fn in_order(server: &Server) {
    alone(server);
    assert_eq!(seen(), sessions(1));
    let [now] = &utmp::records(UTMP)[..] else {
        panic!("{:?}", utmp::records(UTMP))
    };
    assert!(now.dead() && now.user.is_empty(), "{now:?}");
    let history = utmp::records(WTMP);
    assert!(
        history.len() == 2 && history[0].live() && history[1].dead(),
        "{history:?}"
    );
}

fn sockets(of: &Seen) -> Vec<String> {
    let mut all = of.files();
    all.retain(|file| file.starts_with("socket:"));
    all
}

#[test]
fn auth_alone_keeps_root() {
    let host = host();
    let server = Server::start(&host, ON);
    let mut client = Client::alice();
    let Session {
        helper,
        worker,
        auth,
    } = session(&server);
    helper.ids(NOBODY, NOBODY, &[]);
    helper.powerless();
    assert_eq!((helper.root().as_str(), helper.threads()), (EMPTY, 1));
    worker.ids(ALICE, ALICE, &["1001", "2000"]);
    worker.powerless();
    worker.holds(Some("/"), 2);

    let roots: Vec<i32> = Server::processes()
        .into_iter()
        .filter(|pid| uid(*pid).as_deref() == Some("0"))
        .collect();
    let mut expected = vec![server.pid(), auth.pid];
    expected.sort_unstable();
    assert_eq!(roots, expected);
    // Its end of one channel and nothing else: nothing of the client's, and no log.
    auth.holds(None, 1);
    for socket in sockets(&worker) {
        assert!(!sockets(&auth).contains(&socket), "auth holds {socket}");
    }
    assert_eq!(auth.threads(), 1);
    client.says("QUIT", "221 Goodbye.");
    in_order(&server);
}

#[test]
fn the_records_name_the_helper() {
    let host = host();
    let server = Server::start(&host, ON);
    let _client = Client::alice();
    let helper = session(&server).helper.pid;
    let here = &utmp::live(1)[0];
    assert_eq!(
        (here.pid, here.line.as_str()),
        (helper, format!("vsftpd:{helper}").as_str())
    );
}

/// Attacks B-152.
#[test]
fn a_client_that_vanishes() {
    let host = host();
    let server = Server::start(&host, ON);
    drop(Client::alice());
    in_order(&server);
}

/// Sends one process a signal and checks that the session ends and everything is put in order.
fn strike(signal: Signal, pick: impl Fn(&Session) -> Vec<i32>) {
    let host = host();
    let server = Server::start(&host, ON);
    let client = Client::alice();
    for pid in pick(&session(&server)) {
        // What goes with the first need not be there any more.
        let sent = kill(Pid::from_raw(pid), signal);
        assert!(matches!(sent, Ok(()) | Err(Errno::ESRCH)), "{sent:?}");
    }
    let mut rest = Vec::new();
    let _ = client.stream().read_to_end(&mut rest);
    in_order(&server);
    Client::alice().says("NOOP", "200 NOOP ok.");
}

#[test]
fn killing_the_worker() {
    strike(Signal::SIGKILL, |session| vec![session.worker.pid]);
}

#[test]
fn killing_the_helper() {
    strike(Signal::SIGKILL, |session| vec![session.helper.pid]);
}

/// Under inetd auth is helper's child, and no master is there that would adopt it: it is not of those that go with helper, neither while the
/// session is opened nor later.
#[test]
fn killing_the_helper_that_is_auth_s_parent() {
    let host = host();
    host.write(CONFIG, &format!("{BASE}{ON}listen=NO\n"));
    nix::unistd::mkfifo(GATE, Mode::S_IRWXU).unwrap();
    let script = String::from_utf8(host.read(SCRIPT)).unwrap();
    let waits = format!("{script}[ $PAM_TYPE != open_session ] || read word < {GATE}\n");
    host.write(SCRIPT, &waits);
    host.mode(SCRIPT, 0o755);
    for opened in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:21").unwrap();
        let client = Client::dial();
        let socket = OwnedFd::from(listener.accept().unwrap().0);
        drop(listener);
        let mut helper = Command::new(PROGRAM)
            .arg(CONFIG)
            .stdin(Stdio::from(socket))
            .spawn()
            .unwrap();
        let mut client = client.greeted();
        client.send(b"USER alice\r\nPASS secret\r\n");
        client.next("331 Please specify the password.");
        wait("the session to be opened", || {
            (seen().len() % 2 == 1).then_some(())
        });
        if opened {
            fs::write(GATE, "go\n").unwrap();
            client.next("230 Login successful.");
        }
        helper.kill().unwrap();
        helper.wait().unwrap();
        client.ended();
        if !opened {
            fs::write(GATE, "go\n").unwrap();
        }
        wait("everything to be put in order", || {
            Server::everything().is_empty().then_some(())
        });
    }
    assert_eq!(seen(), sessions(2));
    utmp::live(0);
}

#[test]
fn killing_helper_and_worker() {
    strike(Signal::SIGKILL, |session| {
        vec![session.helper.pid, session.worker.pid]
    });
}

#[test]
fn asking_every_process_to_end() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        strike(signal, |session| {
            vec![session.auth.pid, session.worker.pid, session.helper.pid]
        });
    }
}

#[test]
fn asking_auth_to_end() {
    strike(Signal::SIGTERM, |session| vec![session.auth.pid]);
}

#[test]
fn a_session_does_not_go_on_without_its_accounting() {
    let host = host();
    let server = Server::start(&host, ON);
    let mut client = Client::alice();
    kill(Pid::from_raw(session(&server).auth.pid), Signal::SIGKILL).unwrap();
    client.ended();
    alone(&server);
    let log = String::from_utf8(host.read(super::support::log::VSFTPD)).unwrap();
    assert!(
        log.contains("the process that accounts for this session has ended"),
        "{log}"
    );
}

#[test]
fn the_master_s_death_leaves_session_and_records() {
    let host = host();
    let mut server = Server::start(&host, ON);
    let mut client = Client::alice();
    session(&server);
    server.signal(Signal::SIGKILL);
    server.wait_master();
    client.says("NOOP", "200 NOOP ok.");
    assert_eq!(utmp::live(1)[0].user, "alice");
    client.says("QUIT", "221 Goodbye.");
    utmp::live(0);
    wait("PAM's session to close", || {
        (seen() == sessions(1)).then_some(())
    });
}

#[test]
fn a_login_that_is_refused_after_all_is_closed() {
    let host = host();
    // Master only warns of a list that is missing; the login finds it so after auth has answered.
    let server = Server::start(
        &host,
        "session_support=YES\nchroot_list_enable=YES\nchroot_list_file=/etc/nolist\n",
    );
    let mut client = Client::connect();
    client.says("USER alice", "331 Please specify the password.");
    assert_eq!(client.cmd("PASS secret").code(), "500");
    in_order(&server);
}

#[test]
fn a_module_that_refuses_the_session() {
    let host = host();
    add(&host, "session required pam_deny.so\n");
    let server = Server::start(&host, ON);
    let mut client = Client::connect();
    client.script(&[
        ("USER alice", "331 Please specify the password."),
        ("PASS secret", "530 Login incorrect."),
    ]);
    drop(client);
    alone(&server);
    assert_eq!(utmp::records(UTMP), []);
    assert_eq!(utmp::records(WTMP), []);
}

/// B-108: when memory runs out the kernel ends a session, and auth with it, never what all sessions need.
#[test]
fn sessions_are_ended_before_the_server() {
    let host = host();
    let score = |pid: i32| -> i32 {
        let text = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        text.trim().parse().unwrap()
    };
    let own = score(Pid::this().as_raw());
    let server = Server::start(&host, ON);
    let _client = Client::alice();
    let session = session(&server);
    let (spared, first) = (score(server.pid()), score(session.worker.pid));
    // Where nobody may be spared, as in a container, sessions are put first instead.
    let ways = [(own - 500, own), (own, own + 500)];
    assert!(ways.contains(&(spared, first)), "{own}: {spared}, {first}");
    assert_eq!(score(server.nursery()), spared);
    assert_eq!(score(session.helper.pid), first);
    assert_eq!(score(session.auth.pid), first);
}

/// [`PASSWORD`] is alice's from now on.
pub(super) fn give_alice_a_rare_one(host: &Host) {
    let shadow = String::from_utf8(host.read("/etc/shadow")).unwrap();
    let (before, rest) = shadow.split_once("alice:").unwrap();
    let (_, after) = rest.split_once(':').unwrap();
    host.write("/etc/shadow", &format!("{before}alice:{HASH}:{after}"));
    host.mode("/etc/shadow", 0o600);
}

#[test]
fn auth_does_not_keep_the_password() {
    let host = host();
    give_alice_a_rare_one(&host);
    let server = Server::start(&host, ON);
    let mut client = Client::connect();
    client.says("USER alice", "331 Please specify the password.");
    client.says(&format!("PASS {PASSWORD}"), "230 Login successful.");
    let session = session(&server);
    for (who, pid) in [
        ("auth", session.auth.pid),
        ("helper", session.helper.pid),
        ("nursery", server.nursery()),
    ] {
        let found = places(pid, PASSWORD.as_bytes());
        assert!(found.is_empty(), "the password is in {who}: {found:?}");
    }
    // The search does find what is there.
    let path = utmp::live(1)[0].line.clone();
    assert!(!places(session.auth.pid, path.as_bytes()).is_empty());
}

/// The mappings of a process's memory, by their lines in maps, that contain these bytes.
pub(super) fn places(pid: i32, bytes: &[u8]) -> Vec<String> {
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let holds = |line: &&str| {
        let range = line.split(' ').next().unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let at = |hex: &str| u64::from_str_radix(hex, 16).unwrap();
        let mut buffer = vec![0; (at(to) - at(from)) as usize];
        let read = memory.read_at(&mut buffer, at(from)).unwrap_or(0);
        buffer[..read].windows(bytes.len()).any(|w| w == bytes)
    };
    maps.lines()
        .filter(|line| line.contains(" rw"))
        .filter(holds)
        .map(str::to_owned)
        .collect()
}

#[test]
fn without_pam_the_log_says_so() {
    let host = host();
    let server = {
        pam_libraries().iter().for_each(|path| hide(path));
        Server::start(&host, ON)
    };
    let mut client = Client::alice();
    super::support::log::until("session_support=YES, but libpam.so.0 is not installed");
    client.says("QUIT", "221 Goodbye.");
    alone(&server);
    assert_eq!(utmp::records(WTMP), []);
    assert_eq!(seen(), [""; 0]);
}

/// The file with the passwords' hashes is opened as root; who reads it, and hashes what a client has sent, has no right any more.
#[test]
fn without_pam_a_password_is_hashed_without_rights() {
    let host = Host::new();
    pam_libraries().iter().for_each(|path| hide(path));
    // So many rounds that they do not end by themselves.
    let hash = format!("$6$rounds=900000000$salt${}", "x".repeat(86));
    host.write("/etc/shadow", &format!("alice:{hash}:19000::::::\n"));
    let server = Server::start(&host, "delay_failed_login=0\n");
    let mut client = Client::connect();
    let (helper, greeter) = super::session(&server, NOBODY);
    client.send(b"USER alice\r\nPASS secret\r\n");
    let hashes = || {
        let mut below = children(helper.pid).into_iter();
        below.find(|pid| *pid != greeter.pid && uid(*pid).as_deref() == Some(NOBODY))
    };
    let auth = wait("who hashes", hashes);
    wait("its last step", || {
        let seen = Seen::of(auth);
        (seen.field("NoNewPrivs") == ["1"]).then_some(())
    });
    let seen = Seen::of(auth);
    seen.ids(NOBODY, NOBODY, &[]);
    seen.powerless();
    // Standard error is where the server was started.
    let known = |file: &&String| !["/dev/null", "/mnt/output", "/etc/shadow"].contains(&&***file);
    let files = seen.files();
    let others: Vec<_> = files.iter().filter(known).collect();
    let [channel] = others[..] else {
        panic!("{files:?}");
    };
    assert!(channel.starts_with("socket:"), "{files:?}");
    kill(Pid::from_raw(auth), Signal::SIGKILL).unwrap();
    client.next("331 Please specify the password.");
    client.next("530 Login incorrect.");
    // It ends with its helper, too.
    client.send(b"USER alice\r\nPASS secret\r\n");
    let auth = wait("who hashes", hashes);
    kill(Pid::from_raw(helper.pid), Signal::SIGKILL).unwrap();
    wait("its end", || uid(auth).is_none().then_some(()));
    alone(&server);
}

/// A name that is not in the shadow file has its hash in the password file, as the original without PAM has it.
#[test]
fn without_pam_and_shadow() {
    let host = host();
    pam_libraries().iter().for_each(|path| hide(path));
    let shadow = String::from_utf8(host.read("/etc/shadow")).unwrap();
    let line = shadow.lines().find(|line| line.starts_with("alice:"));
    let hash = line.unwrap().split(':').nth(1).unwrap();
    let passwd = String::from_utf8(host.read("/etc/passwd")).unwrap();
    let open = passwd.replace("alice:x:", &format!("alice:{hash}:"));
    host.write("/etc/passwd", &open.replace("bob:x:", "bob::"));
    let server = Server::start(&host, "");
    for left in [true, false] {
        if left {
            fs::write("/etc/shadow", shadow.replace(line.unwrap(), "")).unwrap();
        } else {
            fs::remove_file("/etc/shadow").unwrap();
        }
        Client::alice().says("QUIT", "221 Goodbye.");
        for (name, password) in [("alice", "wrong"), ("bob", ""), ("noshell", "x")] {
            let mut client = Client::connect();
            client.says(&format!("USER {name}"), "331 Please specify the password.");
            client.says(&format!("PASS {password}"), "530 Login incorrect.");
        }
    }
    alone(&server);
}
