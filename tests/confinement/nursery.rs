//! The nursery of auths: what it holds, what dies with what, and that nothing is older by it than it was without.

use super::support::host::CONFIG;
use super::support::server::output;
use super::support::{Client, Host, Server, log, wait};
use super::{Seen, children, files, parent};
use nix::mount::{MsFlags, mount};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const PAM: &str = "/etc/pam.d/vsftpd";
const SCRIPT: &str = "/mnt/hang";
const GATE: &str = "/mnt/gate";

fn strike(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// A host whose PAM waits for the gate after the password.
fn slow() -> Host {
    let host = Host::new();
    nix::unistd::mkfifo(GATE, Mode::S_IRWXU).unwrap();
    host.write(SCRIPT, &format!("#!/bin/sh\nread word < {GATE}\n"));
    host.mode(SCRIPT, 0o755);
    add(&host, &format!("auth required pam_exec.so {SCRIPT}\n"));
    host
}

fn add(host: &Host, line: &str) {
    let service = String::from_utf8(host.read(PAM)).unwrap();
    host.write(PAM, &format!("{service}{line}"));
}

fn open_gate() {
    fs::write(GATE, "go\n").unwrap();
}

/// A client whose password is being checked, and its helper and auth; the module waits.
fn asking(server: &Server) -> (Client, i32, i32) {
    let nursery = server.nursery();
    let mut client = Client::connect();
    client.says("USER alice", "331 Please specify the password.");
    client.stream().write_all(b"PASS secret\r\n").unwrap();
    let (helper, auth) = wait("the module to wait", || {
        let [helper] = children(server.pid())[..] else {
            return None;
        };
        let [auth] = children(nursery)[..] else {
            return None;
        };
        // Not the one that newer PAM modules ask for the password.
        let waits = |child: &i32| {
            fs::read_to_string(format!("/proc/{child}/cmdline"))
                .is_ok_and(|line| line.contains(SCRIPT))
        };
        children(auth).iter().any(waits).then_some((helper, auth))
    });
    (client, helper, auth)
}

fn gone(pid: i32) {
    wait("the process to end", || {
        (!Server::everything().contains(&pid)).then_some(())
    });
}

fn may(user: &str) -> bool {
    let mut client = Client::connect();
    client.says(&format!("USER {user}"), "331 Please specify the password.");
    client.cmd("PASS secret").code() == "230"
}

#[test]
fn it_holds_nothing_of_the_network() {
    let host = Host::new();
    let server = Server::start(&host, "setproctitle_enable=YES\n");
    let _waiting = Client::connect();
    let mut client = Client::alice();
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
    let nursery = Seen::of(server.nursery());
    nursery.ids("0", "0", &[]);
    assert_eq!((nursery.root().as_str(), nursery.threads()), ("/", 1));
    assert_eq!(
        nursery.capabilities("CapBnd"),
        Seen::of(server.pid()).capabilities("CapBnd")
    );
    // Where it is asked, and no more: the auths that it knew are gone.
    let all = wait("the auth to be forgotten", || {
        let all = nursery.files();
        let sockets = all.iter().filter(|file| file.starts_with("socket:"));
        (sockets.count() == 1).then_some(all)
    });
    // Standard error is the server's, as auth had it always.
    nursery.holds(Some("/mnt/output"), 1);
    for file in &all {
        let inode = file.trim_start_matches("socket:[").trim_end_matches(']');
        for table in ["tcp", "tcp6", "udp", "udp6"] {
            let path = format!("/proc/thread-self/net/{table}");
            let text = fs::read_to_string(path).unwrap_or_default();
            let has = |line: &str| line.split_whitespace().nth(9) == Some(inode);
            assert!(!text.lines().any(has), "{file} is in {table}");
        }
    }
    let title = fs::read(format!("/proc/{}/cmdline", nursery.pid)).unwrap();
    assert!(title.starts_with(b"vsftpd: NURSERY\0"), "{title:?}");
}

#[test]
fn it_is_there_for_local_users_only() {
    let host = Host::new();
    let server = Server::start(&host, "local_enable=NO\n");
    assert_eq!(Server::everything(), [server.pid()]);
    drop(Client::anonymous());
}

#[test]
fn it_ends_with_the_master() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let host = Host::new();
        let mut server = Server::start(&host, "");
        let nursery = server.nursery();
        // A session that has not logged in does without.
        let mut client = Client::connect();
        client.says("USER alice", "331 Please specify the password.");
        server.signal(signal);
        server.wait_master();
        gone(nursery);
        client.says("PASS secret", "230 Login successful.");
    }
}

#[test]
fn a_service_that_is_edited_counts_at_once() {
    let host = Host::new();
    let server = Server::start(&host, "");
    server.nursery();
    let before = String::from_utf8(host.read(PAM)).unwrap();
    for _ in 0..2 {
        assert!(may("alice"));
        // Modules that were not there before.
        host.write(PAM, "auth required pam_deny.so\n");
        assert!(!may("alice"));
        host.write(
            PAM,
            &format!("{before}auth required pam_nologin.so file=/etc/closed\n"),
        );
        assert!(may("alice"));
        host.write("/etc/closed", "not now\n");
        assert!(!may("alice"));
        fs::remove_file("/etc/closed").unwrap();
        host.write(PAM, &before);
    }
    assert!(may("alice"));
    // So do accounts.
    let shadow = String::from_utf8(host.read("/etc/shadow")).unwrap();
    host.write("/etc/shadow", &shadow.replace("alice:$", "alice:!$"));
    assert!(!may("alice"));
    host.write("/etc/ftpusers", "bob\n");
    assert!(!may("bob"));
}

#[test]
fn a_service_for_one_address() {
    let host = Host::new();
    host.write("/etc/pam.d/strict", "auth required pam_deny.so\n");
    host.write("/etc/strict.conf", "pam_service_name=strict\n");
    host.write(
        "/etc/hosts.allow",
        "vsftpd: 127.0.0.1: setenv VSFTPD_LOAD_CONF /etc/strict.conf\n",
    );
    let server = Server::start(&host, "tcp_wrappers=YES\n");
    server.nursery();
    assert!(!may("alice"));
    host.write("/etc/hosts.allow", "");
    assert!(may("alice"));
}

/// Where the modules are, in this host.
fn module(name: &str) -> PathBuf {
    let places = ["/lib", "/usr/lib", "/lib64", "/usr/lib64"];
    let below = places.iter().flat_map(|place| {
        let inner = fs::read_dir(place).into_iter().flatten().flatten();
        let inner = inner.map(|entry| entry.path());
        inner.chain([PathBuf::from(place)])
    });
    let mut all = below.map(|place| place.join("security").join(name));
    all.find(|path| path.exists()).unwrap()
}

#[test]
fn a_module_that_is_replaced_is_loaded_anew() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let first = server.nursery();
    assert!(!may("noshell"));
    // An upgrade puts another file in its place: here one that lets everybody in.
    mount(
        Some(&module("pam_permit.so")),
        &module("pam_shells.so"),
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )
    .unwrap();
    wait("the new module", || may("noshell").then_some(()));
    wait("another nursery", || {
        (server.nursery() != first).then_some(())
    });
    assert!(may("noshell"));
    assert!(
        output().contains("PAM, a module or a library has changed"),
        "{}",
        output()
    );
}

/// A PAM module that ignores everybody, and starts a thread as it is loaded, for as long as the process lives; made on the machine, which
/// has a compiler.
fn threaded() -> Vec<u8> {
    let place = std::env::temp_dir().join(format!("vsftpd-thread-{}.so", std::process::id()));
    let mut compiler = Command::new("cc")
        .args("-shared -fPIC -pthread -Wl,-z,nodelete -x c - -o".split(' '))
        .arg(&place)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let text = b"#include <pthread.h>
#include <unistd.h>
static void *go(void *on) { for (;;) pause(); return on; }
__attribute__((constructor)) static void begin(void) { pthread_t one; pthread_create(&one, 0, go, 0); }
int pam_sm_authenticate(void *h, int flags, int count, const char **words) { return 25; }
int pam_sm_setcred(void *h, int flags, int count, const char **words) { return 25; }
";
    compiler.stdin.take().unwrap().write_all(text).unwrap();
    assert!(compiler.wait().unwrap().success());
    let module = fs::read(&place).unwrap();
    fs::remove_file(&place).unwrap();
    module
}

/// It leaves a process from which none can be forked in order, not even the reader of nsswitch.conf.
#[test]
fn a_module_that_starts_a_thread_is_not_kept_loaded() {
    let module = threaded();
    let host = Host::new();
    fs::write("/mnt/thread.so", module).unwrap();
    add(&host, "auth optional /mnt/thread.so\n");
    let server = Server::start(&host, "");
    wait("the nursery to be given up", || {
        output().contains("PAM is not kept loaded").then_some(())
    });
    assert!(may("alice"));
    let mut client = Client::connect();
    client.says("USER alice", "331 Please specify the password.");
    client.says("PASS wrong", "530 Login incorrect.");
    drop(client);
    super::alone(&server);
    assert!(!output().contains("the nursery has ended"), "{}", output());
}

#[test]
fn auth_is_what_a_child_of_helper_would_be() {
    let host = slow();
    let server = Server::start(&host, "setproctitle_enable=YES\n");
    let (mut client, helper, auth) = asking(&server);
    let read = |pid: i32, what: &str| fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap();
    // Nursery has raised its own limit of descriptors.
    assert_eq!(read(auth, "limits"), read(helper, "limits"));
    assert_eq!(read(auth, "environ"), read(helper, "environ"));
    assert_eq!(read(auth, "cmdline"), read(helper, "cmdline"));
    assert!(read(auth, "cmdline").starts_with("vsftpd: 127.0.0.1: connected\0"));
    let (auth, master) = (Seen::of(auth), Seen::of(server.pid()));
    auth.ids("0", "0", &[]);
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(auth.capabilities(set), master.capabilities(set), "{set}");
    }
    for field in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(auth.field(field), Seen::of(helper).field(field), "{field}");
    }
    assert_eq!(auth.field("Umask"), ["0077"]);
    // The channel to its helper.
    auth.holds(Some("/mnt/output"), 1);
    assert_eq!(auth.threads(), 1);
    open_gate();
    client.next("230 Login successful.");
}

#[test]
fn auth_dies_with_its_helper() {
    let host = slow();
    let server = Server::start(&host, "");
    let (client, helper, auth) = asking(&server);
    strike(helper, Signal::SIGKILL);
    gone(auth);
    drop(client);
    // The nursery has not.
    open_gate();
    let (mut client, _, _) = asking(&server);
    open_gate();
    client.next("230 Login successful.");
}

#[test]
fn auth_outlives_the_nursery() {
    let host = slow();
    let server = Server::start(&host, "");
    let first = server.nursery();
    let (mut client, _, auth) = asking(&server);
    strike(first, Signal::SIGKILL);
    gone(first);
    // What is about to end is not seen any more before its children have another parent.
    wait("the auth to be master's", || {
        (parent(auth) == Some(server.pid())).then_some(())
    });
    open_gate();
    client.next("230 Login successful.");
    gone(auth);
}

#[test]
fn how_an_auth_ends_is_told() {
    let host = slow();
    let server = Server::start(&host, "");
    for (signal, said) in [
        (
            Signal::SIGSEGV,
            "a PAM module or library crashed (signal 11)",
        ),
        (
            Signal::SIGKILL,
            "the process was killed (signal 9), by somebody or because memory ran out",
        ),
    ] {
        let (mut client, _, auth) = asking(&server);
        strike(auth, signal);
        client.next("530 Login incorrect.");
        log::until(&format!("the password could not be checked: {said}"));
        drop(client);
        open_gate();
        wait("the session to go", || {
            (Server::processes() == [server.pid()]).then_some(())
        });
    }
}

#[test]
fn a_nursery_that_is_killed_is_replaced() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let base = files(server.pid()).len();
    let first = server.nursery();
    let mut old = Client::connect();
    old.says("USER alice", "331 Please specify the password.");
    strike(first, Signal::SIGKILL);
    old.says("PASS secret", "230 Login successful.");
    assert!(may("alice"));
    let second = wait("another nursery", || {
        Some(server.nursery()).filter(|found| *found != first)
    });
    assert!(may("alice"));
    assert!(
        output().contains("the nursery was killed by signal 9"),
        "{}",
        output()
    );
    // Not again and again: logins do without for a while.
    strike(second, Signal::SIGKILL);
    gone(second);
    assert!(may("alice"));
    old.says("QUIT", "221 Goodbye.");
    wait("a third nursery", || {
        assert!(may("alice"));
        super::alone(&server);
        // Master has the way to it.
        (files(server.pid()).len() == base).then_some(())
    });
    server.nursery();
}

/// A nursery that was stopped is replaced, and no session waits for it.
#[test]
fn a_nursery_that_was_stopped_is_replaced() {
    let host = Host::new();
    let server = Server::start(&host, "session_support=YES\n");
    let first = server.nursery();
    let mut there = Client::alice();
    strike(first, Signal::SIGSTOP);
    gone(first);
    assert_ne!(server.nursery(), first);
    there.says("QUIT", "221 Goodbye.");
    there.ended();
    super::alone(&server);
    assert!(may("bob"));
    let said = output();
    assert!(said.contains("a nursery was stopped"), "{said}");
}

/// A nursery that hangs in the kernel makes logins slower, and no more; what it was asked meanwhile it does not do later.
#[test]
fn a_nursery_that_hangs_is_done_without() {
    let host = Host::new();
    add(&host, &format!("auth optional pam_exec.so {SCRIPT}\n"));
    host.write(SCRIPT, &format!("#!/bin/sh\necho >> {GATE}\n"));
    host.mode(SCRIPT, 0o755);
    let server = Server::start(&host, "");
    let nursery = server.nursery();
    // By a tracer: its parent sees nothing of that.
    let traced = Pid::from_raw(nursery);
    ptrace::attach(traced).unwrap();
    waitpid(traced, None).unwrap();
    assert!(may("alice"));
    ptrace::detach(traced, None).unwrap();
    super::alone(&server);
    assert!(may("bob"));
    super::alone(&server);
    // Once for each: the question that lay there was not answered too.
    assert_eq!(host.read(GATE), b"\n\n");
    assert!(children(nursery).is_empty());
}

#[test]
fn new_settings_have_a_new_nursery() {
    let host = Host::new();
    // Before that is started: one that is asked once its services have changed ends.
    host.write("/etc/pam.d/closed", "auth required pam_deny.so\n");
    let server = Server::start(&host, "");
    let first = server.nursery();
    let mut old = Client::connect();
    old.says("USER alice", "331 Please specify the password.");
    let text = String::from_utf8(host.read(CONFIG)).unwrap();
    host.write(
        CONFIG,
        &text.replace("pam_service_name=vsftpd", "pam_service_name=closed"),
    );
    server.signal(Signal::SIGHUP);
    wait("the new settings", || (!may("alice")).then_some(()));
    // The old session has the old settings, and whom it asks with them.
    assert!(Server::everything().contains(&first));
    old.says("PASS secret", "230 Login successful.");
    gone(first);
    assert_ne!(server.nursery(), first);
}

/// What modules of PAM print is for nobody, wherever standard output leads: a log, or a pipe that nobody reads.
#[test]
fn modules_have_no_standard_output() {
    let host = slow();
    let server = Server::start(&host, "");
    let (_client, _, auth) = asking(&server);
    for pid in [server.nursery(), auth] {
        let output = fs::read_link(format!("/proc/{pid}/fd/1")).unwrap();
        assert_eq!(output.to_str(), Some("/dev/null"));
    }
}
