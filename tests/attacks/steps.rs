//! Steps of confinement that fail, one after the other: the session is refused each time and the server goes on (attacks A27, B-136).

use crate::fault::Fault;
use crate::sessions::{NOBODY, back_to_base, session, status};
use crate::support::host::{CONFIG, PROGRAM};
use crate::support::server::{BASE, listening};
use crate::support::{Client, Host, Server, wait};
use std::io::Read;
use std::process::{Child, Command, Stdio};

/// All that a client is told until it is hung up on.
fn told(client: &Client) -> String {
    let mut rest = Vec::new();
    let _ = client.stream().read_to_end(&mut rest);
    String::from_utf8_lossy(&rest).into_owned()
}

#[track_caller]
fn gone(server: &Server, strace: &Fault) {
    let strace = strace.pid();
    wait("the session to go", || {
        let left = Server::processes();
        left.iter()
            .all(|pid| *pid == server.pid() || *pid == strace)
            .then_some(())
    });
}

/// Attacks B-131: who reads 230 finds nobody with rights left, not a moment later: helper is held up here as it gives them up.
#[test]
fn a_login_is_told_when_helper_has_no_rights() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let mut c = Client::connect();
    let (helper, _) = session(&server, NOBODY);
    let strace = Fault::late(helper, "setresuid");
    c.login("alice");
    assert_eq!(
        status(helper, "Uid").as_deref(),
        Some("65534\t65534\t65534\t65534")
    );
    assert_eq!(
        status(helper, "CapEff").as_deref(),
        Some("0000000000000000")
    );
    assert_eq!(
        status(helper, "CapBnd").as_deref(),
        Some("0000000000000000")
    );
    assert_eq!(status(helper, "Seccomp").as_deref(), Some("2"));
    drop(strace);
    drop(c);
    back_to_base(&server);
}

/// Attacks B-136.
#[test]
fn before_the_greeting() {
    let host = Host::new();
    let server = Server::start(&host, "");
    for call in [
        "fchdir",
        "chroot",
        "chdir",
        "setgroups",
        "setresgid",
        "setresuid",
        "capset",
        "prctl",
        "getresuid",
        "getresgid",
        "landlock_create_ruleset",
        "landlock_restrict_self",
        "seccomp",
    ] {
        let fault = Fault::below(server.pid(), call);
        let said = told(&Client::dial());
        assert!(
            said.is_empty() || said.starts_with("500 OOPS: cannot start the session"),
            "{call}: {said}"
        );
        gone(&server, &fault);
        drop(fault);
        back_to_base(&server);
    }
}

/// In helper alone after the greeting: it cannot give up its rights, or the worker it forks cannot.
#[test]
fn after_login() {
    let host = Host::new();
    let server = Server::start(&host, "");
    for call in [
        "fchdir",
        "chroot",
        "setgroups",
        "setresgid",
        "setresuid",
        "landlock_restrict_self",
        "seccomp",
    ] {
        for with_worker in [false, true] {
            let mut client = Client::connect();
            let (helper, _) = session(&server, NOBODY);
            let fault = if with_worker {
                Fault::below(helper, call)
            } else {
                Fault::only(helper, call)
            };
            client.send(b"USER ftp\r\nPASS x@\r\n");
            let said = told(&client);
            // A worker that is confined may have greeted; without its helper it serves nobody.
            assert!(
                !with_worker || !said.contains("230") || call == "fchdir",
                "{call}: {said}"
            );
            gone(&server, &fault);
            drop(fault);
            back_to_base(&server);
        }
    }
}

/// A step that says it was done and was not: what a process finds itself to be decides, not what it was told (attacks C.2).
#[test]
fn steps_that_only_seem_to_be_done() {
    let host = Host::new();
    let server = Server::start(&host, "connect_from_port_20=YES\n");
    for call in ["setresgid", "setresuid"] {
        let fault = Fault::feigned_below(server.pid(), call);
        let said = told(&Client::dial());
        let refused = said.starts_with("500 OOPS: cannot start the session");
        assert!(said.is_empty() || refused, "{call}: {said}");
        gone(&server, &fault);
        drop(fault);
        back_to_base(&server);
    }
    for (call, with_worker) in [
        ("setresgid", false),
        ("setresgid", true),
        ("setresuid", false),
        ("setresuid", true),
        ("capset", false),
        ("setgroups", true),
    ] {
        let mut client = Client::connect();
        let (helper, _) = session(&server, NOBODY);
        let fault = if with_worker {
            Fault::feigned_below(helper, call)
        } else {
            Fault::feigned(helper, call)
        };
        client.send(b"USER alice\r\nPASS secret\r\n");
        let said = told(&client);
        assert!(!with_worker || !said.contains("230"), "{call}: {said}");
        gone(&server, &fault);
        assert!(fault.answered() > 0, "{call}");
        drop(fault);
        back_to_base(&server);
    }
}

/// The server on a kernel that has no such call.
fn without(call: &str, error: &str) -> Command {
    let mut command = Command::new("strace");
    command
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={call}"),
        ])
        .args(["-e", &format!("inject={call}:error={error}")])
        .args([PROGRAM, CONFIG])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

#[test]
fn sandbox_minimum() {
    let host = Host::new();
    let (status, said) = Server::refused(&host, "sandbox_minimum=1\nseccomp_sandbox=NO\n");
    assert_eq!(status.code(), Some(2));
    assert!(
        said.contains("sandbox_minimum=1 demands the filter"),
        "{said}"
    );
    for (level, call, enough) in [
        (1, "seccomp", false),
        (2, "seccomp", false),
        (2, "landlock_create_ruleset", false),
        (1, "landlock_create_ruleset", true),
        (0, "seccomp", true),
    ] {
        host.write(CONFIG, &format!("{BASE}sandbox_minimum={level}\n"));
        let output = std::fs::File::create("/mnt/said").unwrap();
        let mut strace = without(call, "ENOSYS").stderr(output).spawn().unwrap();
        if enough {
            wait("the server to listen", || listening().then_some(()));
        } else {
            let status = wait("the server to refuse", || strace.try_wait().unwrap());
            let said = String::from_utf8_lossy(&host.read("/mnt/said")).into_owned();
            assert_eq!(status.code(), Some(2), "{level} {call}: {said}");
            assert!(
                said.contains(&format!("sandbox_minimum={level}: this kernel")),
                "{said}"
            );
        }
        for pid in Server::processes() {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        let _ = strace.wait();
        wait("the port to be free", || (!listening()).then_some(()));
    }
    let server = Server::start(&host, "sandbox_minimum=2\n");
    back_to_base(&server);
}

/// What a server must be fenced with to start, it must be fenced with to take new settings. Without the mend they were taken, and sessions
/// went without the fence.
#[test]
fn sandbox_minimum_at_a_reload() {
    let host = Host::new();
    for (level, call) in [(1, "seccomp"), (2, "landlock_create_ruleset")] {
        host.write(CONFIG, BASE);
        let output = std::fs::File::create("/mnt/said").unwrap();
        let mut strace = without(call, "ENOSYS").stderr(output).spawn().unwrap();
        let said = || String::from_utf8_lossy(&host.read("/mnt/said")).into_owned();
        wait("the server to serve", || {
            said().contains("serving ").then_some(())
        });
        host.write(CONFIG, &format!("{BASE}sandbox_minimum={level}\n"));
        let [master] = crate::sessions::children(strace.id() as i32)[..] else {
            panic!("one process is traced");
        };
        let pid = nix::unistd::Pid::from_raw(master);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
        let why = format!("sandbox_minimum={level}: this kernel");
        wait("the refusal", || {
            let said = said();
            (said.contains(&why) && said.contains("the old one stays")).then_some(())
        });
        for pid in Server::everything() {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        let _ = strace.wait();
        wait("the port to be free", || (!listening()).then_some(()));
    }
}

/// Ends a server and what watches it, also when the test fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        for pid in Server::everything() {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

/// A kernel before 5.9: what is open is closed, and not every number up to a limit that may be a million, for each process.
#[test]
fn a_kernel_that_closes_one_by_one() {
    const SEEN: &str = "/mnt/strace";
    let host = Host::new();
    host.write(CONFIG, BASE);
    let strace = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-o",
            SEEN,
            "-e",
            "trace=close_range,close,execve",
        ])
        .args(["-e", "inject=close_range:error=ENOSYS"])
        .args([PROGRAM, CONFIG])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let server = Ended(strace.unwrap());
    wait("the server to listen", || listening().then_some(()));
    let mut c = Client::alice();
    assert_eq!(c.fetch("RETR f"), host.read("/home/alice/f"));
    drop(c);
    drop(server);
    let seen = String::from_utf8_lossy(&host.read(SEEN)).into_owned();
    assert!(seen.contains("(INJECTED)"));
    // Newer PAM modules ask a program for the password, and close for it what may be open.
    let pid = |line: &str| line.split(' ').next().map(str::to_owned);
    let programs: Vec<_> = seen
        .lines()
        .filter(|line| line.contains("execve(") && !line.contains(PROGRAM))
        .map(pid)
        .collect();
    let own = seen.lines().filter(|line| !programs.contains(&pid(line)));
    let idle = own.filter(|line| line.contains("EBADF")).count();
    assert!(idle < 100, "{seen}");
}

/// A kernel without one of the two last fences: the server says so once and serves (attacks C.9, DESIGN §1).
#[test]
fn a_kernel_that_lacks_something() {
    for (call, error, said) in [
        (
            "landlock_create_ruleset",
            "ENOSYS",
            "no Landlock in this kernel",
        ),
        (
            "landlock_create_ruleset",
            "EOPNOTSUPP",
            "no Landlock in this kernel",
        ),
        ("seccomp", "ENOSYS", "this kernel or machine has no seccomp"),
        ("seccomp", "EINVAL", "this kernel or machine has no seccomp"),
    ] {
        let host = Host::new();
        host.write(CONFIG, BASE);
        let output = std::fs::File::create("/mnt/said").unwrap();
        let mut strace = without(call, error).stderr(output).spawn().unwrap();
        wait("the server to listen", || listening().then_some(()));
        let mut c = Client::alice();
        assert_eq!(c.fetch("RETR f"), host.read("/home/alice/f"));
        assert!(c.store("STOR new", b"x").code() == "226", "{call}");
        let text = String::from_utf8_lossy(&host.read("/mnt/said")).into_owned();
        assert_eq!(text.matches(said).count(), 1, "{text}");
        drop(c);
        for pid in Server::processes() {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        let _ = strace.wait();
    }
}
