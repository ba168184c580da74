//! A start that fails on its way, though nothing is wrong with the settings: whoever started the server is told, and nothing is left behind.

use crate::support::host::{CONFIG, PROGRAM};
use crate::support::server::{BASE, listening};
use crate::support::{Client, Host, Server, wait};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Pid, mkfifo};
use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Output, Stdio};

/// Started with one system call that fails: `children` too, or in the first process alone.
fn started(call: &str, error: &str, children: &[&str]) -> Output {
    Command::new("strace")
        .args(children)
        .args(["-qq", "-o", "/dev/null", "-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:error={error}")])
        .args([PROGRAM, CONFIG, "--pid-file", "/run/pid"])
        .stdin(Stdio::null())
        .output()
        .expect("the tests need strace")
}

#[track_caller]
fn refused(host: &Host, output: &Output, why: &str) {
    over(host, output, 2, why);
}

#[track_caller]
fn over(host: &Host, output: &Output, status: i32, why: &str) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(said.contains(why), "{said}");
    assert!(!host.exists("/run/pid"), "{why}");
    wait("every process to go", || {
        Server::everything().is_empty().then_some(())
    });
}

/// Without the mend the number of a process that had ended was left behind, and in the background nobody was told.
#[test]
fn after_the_process_id_was_written() {
    let host = Host::new();
    for background in ["NO", "YES"] {
        host.write(CONFIG, &format!("{BASE}background={background}\n"));
        let output = started("signalfd4", "EMFILE", &["-f"]);
        refused(&host, &output, "signalfd: EMFILE");
    }
}

/// Killed on its way, it cannot put anything in order: who launched it does.
#[test]
fn a_server_in_the_background_that_is_killed_as_it_starts() {
    let host = Host::new();
    host.write(CONFIG, &format!("{BASE}background=YES\n"));
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=signalfd4"])
        .args(["-e", "inject=signalfd4:signal=KILL"])
        .args([PROGRAM, CONFIG, "--pid-file", "/run/pid"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    // Not 2, after which systemd would not start it again.
    over(
        &host,
        &output,
        1,
        "the server in the background is gone: killed by signal 9",
    );
}

/// A disk that takes no number: the file that was made for it is not left.
#[test]
fn a_process_id_that_cannot_be_written() {
    let host = Host::new();
    host.tiny("/run/full", 4);
    host.write("/run/full/other", &"x".repeat(4096));
    for background in ["NO", "YES"] {
        host.write(CONFIG, &format!("{BASE}background={background}\n"));
        let output = Command::new(PROGRAM)
            .args([CONFIG, "--pid-file", "/run/full/pid"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        refused(&host, &output, "/run/full/pid: No space left on device");
        assert!(!host.exists("/run/full/pid"));
    }
}

/// It is there when the command returns, and gone when the server is; what is no file stays.
#[test]
fn the_process_id_of_a_server_in_the_background() {
    let host = Host::new();
    host.write(CONFIG, &format!("{BASE}background=YES\n"));
    let mode = Mode::from_bits_truncate(0o666);
    mknod("/mnt/null", SFlag::S_IFCHR, mode, makedev(1, 3)).unwrap();
    for path in ["/run/pid", "/mnt/null"] {
        let output = Command::new(PROGRAM)
            .args([CONFIG, "--pid-file", path])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success() && listening());
        let written = String::from_utf8(host.read(path)).unwrap();
        // The nursery is known as one a moment later.
        let master = wait("the server", || match Server::processes()[..] {
            [master] => Some(master),
            _ => None,
        });
        if path == "/run/pid" {
            assert_eq!(written.trim().parse(), Ok(master));
        }
        Client::alice().says("QUIT", "221 Goodbye.");
        kill(Pid::from_raw(master), Signal::SIGTERM).unwrap();
        wait("the server to end", || {
            Server::everything().is_empty().then_some(())
        });
        assert_eq!(host.exists(path), path == "/mnt/null");
    }
}

/// A FIFO, from which whoever starts the server learns its number. Without the mend one that was told to end waited for somebody to write there.
#[test]
fn the_process_id_for_who_waits_for_it() {
    let host = Host::new();
    host.write(CONFIG, BASE);
    mkfifo("/run/number", Mode::from_bits_truncate(0o600)).unwrap();
    let number = std::thread::spawn(|| fs::read_to_string("/run/number").unwrap());
    let held = wait("a reader", || {
        File::options()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/run/number")
            .ok()
    });
    let mut master = Command::new(PROGRAM)
        .args([CONFIG, "--pid-file", "/run/number"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait("the server to listen", || listening().then_some(()));
    drop(held);
    assert_eq!(number.join().unwrap().trim().parse(), Ok(master.id()));
    kill(Pid::from_raw(master.id().cast_signed()), Signal::SIGTERM).unwrap();
    let ended = wait("the server to end", || master.try_wait().unwrap());
    assert!(ended.success() && host.exists("/run/number"));
}

/// Files of single users are looked at where somebody is told of them. Without the mend a reload, for which all clients wait, and every
/// connection under inetd opened each of them, and stood still with their file system.
#[test]
fn files_of_users_are_left_alone() {
    const SEEN: &str = "/mnt/strace";
    let host = Host::new();
    let lines = format!("{BASE}user_config_dir=/etc/users\n");
    std::fs::create_dir_all("/etc/users").unwrap();
    host.write("/etc/users/bob", "write_enable=NO\n");
    host.write(CONFIG, &lines);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", SEEN, "-e", "trace=openat"]);
    strace.args([PROGRAM, CONFIG, "--pid-file", "/run/pid"]);
    strace.stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = strace.stdin(Stdio::null()).spawn().unwrap();
    // It listens before that.
    let master = wait("its number", || {
        let text = fs::read_to_string("/run/pid").ok()?;
        text.strip_suffix('\n')?.parse().ok()
    });
    let opened = || {
        let seen = String::from_utf8_lossy(&host.read(SEEN)).into_owned();
        assert!(seen.contains(CONFIG), "{seen}");
        seen.matches("/etc/users/bob").count()
    };
    let told = opened();
    host.write(CONFIG, &format!("{lines}ftpd_banner=again\n"));
    let master = Pid::from_raw(master);
    kill(master, Signal::SIGHUP).unwrap();
    wait("the reload", || {
        Client::dial()
            .reply()
            .text()
            .contains("again")
            .then_some(())
    });
    let reloaded = opened();
    kill(master, Signal::SIGTERM).unwrap();
    server.wait().unwrap();
    assert!(told > 0 && reloaded == told, "{told} {reloaded}");
    host.write(CONFIG, &format!("{lines}listen=NO\n"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 21)).unwrap();
    let client = Client::dial();
    let socket = OwnedFd::from(listener.accept().unwrap().0);
    let mut server = strace.stdin(socket).spawn().unwrap();
    client.greeted().says("QUIT", "221 Goodbye.");
    server.wait().unwrap();
    assert_eq!(opened(), 0);
}

/// What lacks for a moment says nothing about filters: without the mend the server did without them for as long as it ran.
#[test]
fn a_trial_of_filters_that_cannot_be_made() {
    let host = Host::new();
    host.write(CONFIG, BASE);
    // Of master alone, which can have no child for the trial.
    let mut strace = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "-e", "trace=clone,?fork"])
        .args(["-e", "inject=clone,?fork:error=EAGAIN:when=1"])
        .args([PROGRAM, CONFIG])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tests need strace");
    wait("the server", || listening().then_some(()));
    let mut client = Client::alice();
    let filtered = |pid: &i32| crate::sessions::status(*pid, "Seccomp").as_deref() == Some("2");
    let seen = wait("filters", || {
        let all = Server::everything();
        (all.iter().filter(|pid| filtered(pid)).count() == 2).then_some(all)
    });
    client.says("QUIT", "221 Goodbye.");
    for pid in seen {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    let mut said = String::new();
    strace
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    let _ = strace.wait();
    assert!(said.contains("system calls filtered"), "{said}");
}
