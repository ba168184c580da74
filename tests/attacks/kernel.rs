//! What the kernel cannot do for master: it lives, waits, says once what can be done about it, and serves afterwards.

use crate::fault::Fault;
use crate::sessions::{NOBODY, back_to_base, children, descriptors, logged_in, session, status};
use crate::support::host::{ALICE, bind, pam_libraries};
use crate::support::server::output;
use crate::support::tls::{BOTH, Ftps, ON, certificate, handshake, offer};
use crate::support::{Client, Host, Server, log, wait};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Writing to a file.
const WRITES: &str = "write,pwritev2";

const BUSY: &str = "421 Service not available, please try later.";

#[track_caller]
fn until_said(text: &str) {
    wait(text, || output().contains(text).then_some(()));
}

#[track_caller]
fn said_once(text: &str) {
    let output = output();
    assert_eq!(output.matches(text).count(), 1, "{output}");
}

/// Waits for `count` more failures.
fn more(fault: &Fault, count: usize) -> Duration {
    let (before, begin) = (fault.answered(), Instant::now());
    wait("more failures", || {
        (fault.answered() >= before + count).then_some(())
    });
    begin.elapsed()
}

/// A client that waits in the listener's queue is served when the trouble is over. `each` is how often master tries in a row.
fn accept_fails(host: &Host, error: &str, each: usize, advice: &str) {
    let server = Server::start(host, "");
    back_to_base(&server);
    let open = descriptors(server.pid());
    let fault = Fault::with(server.pid(), "accept4", error);
    let waiting = Client::dial();
    until_said(advice);
    // Ten times a second: a machine that is slow takes longer.
    let time = more(&fault, 10 * each);
    assert!(time >= Duration::from_millis(500), "{error}: {time:?}");
    drop(fault);
    let mut c = waiting.greeted();
    c.login("alice");
    until_said("clients are accepted again");
    said_once("cannot accept clients: ");
    drop(c);
    back_to_base(&server);
    assert_eq!(descriptors(server.pid()), open, "{error}");
}

#[test]
fn accept_without_means() {
    let host = Host::new();
    for (error, advice) in [
        ("EMFILE", "raise the limit of open files of this service"),
        ("ENFILE", "raise fs.file-max"),
        ("ENOMEM", "short of memory"),
        ("ENOBUFS", "short of memory"),
    ] {
        accept_fails(&host, error, 1, advice);
    }
}

/// Errors that are the client's own affair, unless they never end.
#[test]
fn accept_that_always_fails() {
    let host = Host::new();
    for (error, advice) in [
        ("ECONNABORTED", "trying again ten times a second"),
        ("EPERM", "a firewall or security module forbids it"),
        ("EINVAL", "trying again ten times a second"),
    ] {
        accept_fails(&host, error, 64, advice);
    }
}

/// One client that was gone, or may not come, does not keep the next one waiting.
#[test]
fn accept_that_fails_for_one_client() {
    let host = Host::new();
    let server = Server::start(&host, "");
    for error in [
        "ECONNABORTED:when=1..3",
        "EPERM:when=1..3",
        "EINTR:when=1..3",
    ] {
        let fault = Fault::with(server.pid(), "accept4", error);
        Client::alice().says("QUIT", "221 Goodbye.");
        assert!(fault.answered() > 0, "{error}");
    }
    assert!(!output().contains("cannot accept"), "{}", output());
    back_to_base(&server);
}

/// Attacks B-109.
#[test]
fn no_process_can_be_made() {
    let host = Host::new();
    for error in ["EAGAIN", "ENOMEM"] {
        let server = Server::start(&host, "");
        back_to_base(&server);
        let open = descriptors(server.pid());
        let mut there = Client::alice();
        let fault = Fault::with(server.pid(), "clone,?fork", error);
        for _ in 0..20 {
            let mut c = Client::dial();
            c.next(BUSY);
            c.closed();
        }
        there.says("NOOP", "200 NOOP ok.");
        drop(fault);
        back_to_base_with(&server, there);
        let advice = "clients are told 421; raise the limit of processes";
        said_once(advice);
        said_once("processes are made again");
        assert_eq!(descriptors(server.pid()), open, "{error}");
    }
}

/// Where master can make a process, and the session cannot make its own: the client is told the same, and nobody's password was wrong.
#[test]
fn no_process_for_a_session() {
    let host = Host::new();
    let server = Server::start(&host, "xferlog_std_format=NO\nmax_login_fails=1\n");
    let fault = Fault::below_with(server.pid(), "socketpair", "EMFILE");
    let mut c = Client::dial();
    c.next(BUSY);
    c.closed();
    drop(fault);
    back_to_base(&server);
    // The worker, and then the auth as well, which the nursery was asked for first.
    for (everywhere, said) in [(false, BUSY), (true, "500 OOPS: cannot check the password")] {
        let mut c = Client::connect();
        c.says("USER alice", "331 Please specify the password.");
        let (helper, _) = session(&server, NOBODY);
        let fault = Fault::with(helper, "clone,?fork", "EAGAIN");
        let nursery =
            everywhere.then(|| Fault::with(server.nursery(), "clone,?clone3,?fork", "EAGAIN"));
        c.says("PASS secret", said);
        c.closed();
        drop((fault, nursery));
        back_to_base(&server);
    }
    let log = String::from_utf8_lossy(&host.read("/var/log/vsftpd.log")).into_owned();
    assert!(!log.contains("FAIL LOGIN"), "{log}");
    Client::alice().says("QUIT", "221 Goodbye.");
    back_to_base(&server);
}

fn back_to_base_with(server: &Server, mut there: Client) {
    Client::alice().says("QUIT", "221 Goodbye.");
    there.says("QUIT", "221 Goodbye.");
    drop(there);
    back_to_base(server);
}

/// No channel to the keyholder: sessions go without TLS and are told so; one that needs it from the first byte ends.
#[test]
fn no_channel_to_the_keyholder() {
    let host = Host::new();
    certificate(&host);
    for (call, error) in [
        ("socketpair", "EMFILE"),
        ("socketpair", "ENFILE"),
        ("socketpair", "ENOMEM"),
        ("sendmsg", "EAGAIN"),
    ] {
        let server = Server::start(&host, &format!("{ON}implicit_listen_port=990\n"));
        Ftps::alice(offer(BOTH, None));
        wait("the first session to go", || {
            (Server::processes().len() == 2).then_some(())
        });
        let open = descriptors(server.pid());
        let fault = Fault::with(server.pid(), call, error);
        for _ in 0..5 {
            let mut c = Client::connect();
            c.says("AUTH TLS", "431 TLS is not available now.");
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 990)).unwrap();
            assert!(handshake(&Arc::new(offer(BOTH, None)), stream).is_err());
        }
        drop(fault);
        Ftps::alice(offer(BOTH, None)).says("NOOP", "200 NOOP ok.");
        said_once("sessions go without TLS; raise the limit of open files or memory");
        until_said("the keyholder takes sessions again");
        wait("sessions to go", || {
            (Server::processes().len() == 2).then_some(())
        });
        assert_eq!(descriptors(server.pid()), open, "{call} {error}");
    }
}

#[test]
fn poll_fails() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let fault = Fault::with(server.pid(), "?poll,ppoll", "EINTR:when=1..100");
    Client::alice().says("QUIT", "221 Goodbye.");
    // Let go in the middle of an answer, strace makes one of its own.
    wait("all interruptions", || {
        (fault.answered() >= 100).then_some(())
    });
    drop(fault);
    back_to_base(&server);
    assert!(!output().contains("poll: "), "{}", output());
    drop(server);
    for error in ["ENOMEM", "EINVAL"] {
        let server = Server::start(&host, "");
        let fault = Fault::with(server.pid(), "?poll,ppoll", error);
        // It looks for clients all the same, and does not do it all the time.
        Client::alice().says("QUIT", "221 Goodbye.");
        let time = more(&fault, 10);
        assert!(time >= Duration::from_millis(500), "{error}: {time:?}");
        drop(fault);
        back_to_base(&server);
        until_said("poll works again");
        said_once("vsftpd: poll: ");
    }
}

/// Lowers or raises a limit of the running master.
fn limit(server: &Server, what: &str) {
    let done = Command::new("prlimit")
        .args(["--pid", &server.pid().to_string(), what])
        .status()
        .unwrap();
    assert!(done.success(), "{what}");
}

/// The limit of open files as the kernel has it.
#[test]
fn no_descriptor_is_left() {
    let host = Host::new();
    let server = Server::start(&host, "");
    back_to_base(&server);
    let open = descriptors(server.pid());
    limit(&server, &format!("--nofile={open}:4096"));
    let waiting = Client::dial();
    until_said("raise the limit of open files of this service");
    limit(&server, "--nofile=4096:4096");
    waiting.greeted().login("alice");
    back_to_base(&server);
    assert_eq!(descriptors(server.pid()), open);
}

/// A session over TLS needs two more once a login holds: without them its client is told at once, and the log why. Without the mend it
/// waited for five seconds, and then was told nothing.
#[test]
fn no_descriptor_is_left_for_a_login_over_tls() {
    let host = Host::new();
    certificate(&host);
    let lines = format!("{ON}allow_anon_ssl=YES\nlocal_enable=NO\n");
    let server = Server::start(&host, &lines);
    let mut c = Ftps::upgrade(offer(BOTH, None));
    c.says("USER ftp", "331 Please specify the password.");
    let helper = wait("the helper", || {
        let all = children(server.pid());
        all.into_iter().find(|pid| !children(*pid).is_empty())
    });
    let done = Command::new("prlimit")
        .args(["--pid", &helper.to_string(), "--nofile=3:4096"])
        .status();
    assert!(done.unwrap().success());
    c.says("PASS x@", "500 OOPS: cannot start the session");
    wait("the reason in the log", || {
        let log = std::fs::read_to_string("/var/log/vsftpd.log").unwrap_or_default();
        let why = "login ended: cannot start the session: Too many open files";
        log.contains(why).then_some(())
    });
}

/// No memory beyond what master has: whether sessions can be served or not, it lives.
#[test]
fn no_memory_is_left() {
    let host = Host::new();
    let server = Server::start(&host, "");
    back_to_base(&server);
    let open = descriptors(server.pid());
    limit(&server, "--as=1048576:");
    for last in 2..150 {
        let source = Ipv4Addr::new(127, 0, 0, last).into();
        let mut c = Client::dial_from(source, Ipv4Addr::LOCALHOST.into());
        c.send(b"USER ftp\r\nPASS x@\r\nQUIT\r\n");
        // Served or not, it comes to an end.
        let mut said = Vec::new();
        if let Err(error) = c.stream().read_to_end(&mut said) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{last}");
        }
    }
    limit(&server, "--as=unlimited:");
    wait("a session", || {
        let mut c = Client::dial();
        (c.reply().code() == "220").then_some(())
    });
    back_to_base(&server);
    assert_eq!(descriptors(server.pid()), open);
}

/// B-052: whoever has said everything and closed its side is answered, an ABOR too that comes between the last byte of an upload and its end.
#[test]
fn an_abort_at_the_end_of_an_upload() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let mut c = Client::alice();
    let (_, worker) = logged_in(&server, ALICE);
    let mut data = c.passive();
    c.send(b"STOR new\r\n");
    c.next("150 Ok to send data.");
    let fault = Fault::late(worker, WRITES);
    data.write_all(b"all of it").unwrap();
    data.shutdown(Shutdown::Write).unwrap();
    wait("the bytes on the disk", || {
        (std::fs::read("/home/alice/new").ok()? == b"all of it").then_some(())
    });
    c.send(b"ABOR\r\nPWD\r\n");
    c.stream().shutdown(Shutdown::Write).unwrap();
    // Who leaves without a QUIT may have been ended: what came may not be all.
    c.next("426 Failure reading network stream.");
    c.next("226 ABOR successful.");
    c.next("257 \"/home/alice\" is the current directory");
    drop(fault);
    back_to_base(&server);
}

/// A file system that cannot be spliced to is written to (Linux has refused it since 5.10 where a file system does not offer it).
#[test]
fn no_splicing_to_the_file() {
    let host = Host::new();
    // A call that strace answers itself has a number that no filter lets pass.
    let server = Server::start(&host, "seccomp_sandbox=NO\n");
    let all: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    for when in [2, 4] {
        let mut c = Client::alice();
        let worker = wait("the worker", || {
            let [helper] = children(server.pid())[..] else {
                return None;
            };
            let [worker] = children(helper)[..] else {
                return None;
            };
            Some(worker)
        });
        // Every second one is to the file.
        let fault = Fault::threads(worker, "splice", &format!("EINVAL:when={when}"));
        let reply = c.store("STOR new", &all);
        assert_eq!(reply.text(), "226 Transfer complete.");
        assert!(host.read("/home/alice/new") == all);
        assert_eq!(fault.answered(), 1);
        drop(fault);
        drop(c);
        back_to_base(&server);
    }
}

/// The two processes of the only session, or of the one whose filters are not awaited.
fn pair(server: &Server) -> (i32, i32) {
    wait("helper and worker", || {
        let [helper] = children(server.pid())[..] else {
            return None;
        };
        let [worker] = children(helper)[..] else {
            return None;
        };
        Some((helper, worker))
    })
}

/// Its end is in no log of the session's: nobody is left there to write.
#[test]
fn a_helper_that_is_killed_is_told() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let mut c = Client::alice();
    let (helper, _) = logged_in(&server, ALICE);
    let helper = nix::unistd::Pid::from_raw(helper);
    nix::sys::signal::kill(helper, nix::sys::signal::Signal::SIGKILL).unwrap();
    c.ended();
    let told = "a session of 127.0.0.1 was ended: its helper was killed by signal 9";
    until_said(told);
    said_once(told);
    drop(c);
    back_to_base(&server);
}

/// A user who may have no thread: what is needed is told, and no file is blamed.
#[test]
fn no_thread_can_be_made() {
    let host = Host::new();
    let all = vec![b'x'; 1_000_000];
    host.file("/home/alice/big", &all);
    // A call that strace answers itself has a number that no filter lets pass.
    let server = Server::start(&host, "seccomp_sandbox=NO\n");
    let mut c = Client::alice();
    let (_, worker) = pair(&server);
    let fault = Fault::with(worker, "clone3,clone", "EAGAIN");
    let unable = "451 Requested action aborted: local error in processing.";
    for command in ["RETR big", "STOR new"] {
        let (_, mut data) = c.begin(command);
        if command.starts_with("STOR") {
            // It may be refused on its way.
            let _ = data.stream.write_all(&all);
        }
        c.next(unable);
    }
    // Each has its reason before its line.
    let log = log::until("FAIL UPLOAD");
    assert_eq!(
        log.matches("cannot start the data thread: ").count(),
        2,
        "{log}"
    );
    assert!(log.contains("raise the limit of processes"), "{log}");
    assert!(!log.contains("local file"), "{log}");
    drop(fault);
    assert!(c.fetch("RETR big") == all);
}

/// Between the call that writes and the look at what it has left somebody cuts the file short: without the mend its new length was taken for
/// the right one.
#[test]
fn an_upload_that_is_cut_short_as_it_is_written() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let mut c = Client::alice();
    let (_, worker) = pair(&server);
    let (_, mut data) = c.begin("STOR x");
    let fault = Fault::late(worker, WRITES);
    data.stream.write_all(b"hello").unwrap();
    wait("the bytes to arrive", || {
        (host.read("/home/alice/x") == b"hello").then_some(())
    });
    let file = std::fs::File::options().write(true).open("/home/alice/x");
    file.unwrap().set_len(3).unwrap();
    drop(data);
    c.next("451 Failure writing to local file.");
    drop(fault);
    c.says("QUIT", "221 Goodbye.");
}

/// Between the look before and the call that writes: what was written then lay behind a hole. It is put to the end that there is, and its
/// place tells.
#[test]
fn an_upload_that_is_cut_short_before_it_is_written() {
    let host = Host::new();
    let server = Server::start(&host, "ascii_upload_enable=YES\nlocal_umask=022\n");
    for (kind, grows) in [("I", false), ("A", false), ("I", true)] {
        let mut c = Client::alice();
        c.cmd(&format!("TYPE {kind}"));
        let (_, worker) = pair(&server);
        let (_, mut data) = c.begin("STOR x");
        data.stream.write_all(b"hello ").unwrap();
        wait("the bytes to arrive", || {
            (host.read("/home/alice/x") == b"hello ").then_some(())
        });
        let fault = Fault::hesitant(worker, WRITES);
        data.stream.write_all(b"world").unwrap();
        wait("the call", || {
            let tasks = std::fs::read_dir(format!("/proc/{worker}/task")).ok()?;
            let call = format!("{} ", libc::SYS_pwritev2);
            let mut calls = tasks.flatten().map(|task| task.path().join("syscall"));
            calls
                .any(|path| std::fs::read_to_string(path).is_ok_and(|now| now.starts_with(&call)))
                .then_some(())
        });
        let mut file = std::fs::File::options();
        let mut file = file.append(true).open("/home/alice/x").unwrap();
        if grows {
            file.write_all(b"my ").unwrap();
        } else {
            file.set_len(3).unwrap();
        }
        drop(data);
        c.next("451 Failure writing to local file.");
        let left: &[u8] = if grows {
            b"hello my world"
        } else {
            b"helworld"
        };
        assert_eq!(host.read("/home/alice/x"), left);
        drop(fault);
        c.says("QUIT", "221 Goodbye.");
        wait("the session to end", || {
            children(server.pid()).is_empty().then_some(())
        });
    }
}

/// With `fsync_uploads` a new name is on the disk too before a success is told, whether the upload was atomic or not.
#[test]
fn a_directory_that_cannot_be_synced() {
    for (lines, command, calls) in [
        ("atomic_uploads=YES\n", "STOR new", 2),
        ("atomic_uploads=YES\n", "STOR f", 2),
        ("", "STOR new", 2),
        ("", "STOU", 2),
        ("", "STOR f", 1),
    ] {
        let host = Host::new();
        // A call that strace answers itself has a number that no filter lets pass.
        let open = format!("seccomp_sandbox=NO\nfsync_uploads=YES\n{lines}");
        let server = Server::start(&host, &open);
        let mut c = Client::alice();
        let (_, worker) = pair(&server);
        let fault = Fault::with(worker, "fsync", "EIO:when=2+");
        let code = if calls > 1 { "451" } else { "226" };
        assert_eq!(c.store(command, b"x").code(), code, "{lines}{command}");
        assert_eq!(fault.answered() + 1, calls, "{lines}{command}");
        drop(fault);
        c.says("QUIT", "221 Goodbye.");
    }
}

/// What the kernel lacks for a moment does not put a user into another directory.
#[test]
fn a_start_directory_that_cannot_be_found_now() {
    let host = Host::new();
    // A call that strace answers itself has a number that no filter lets pass.
    let server = Server::start(&host, "seccomp_sandbox=NO\n");
    let mut refused = 0;
    for (call, when) in [("openat2", 1), ("openat2", 2), ("getcwd", 1)] {
        let mut c = Client::connect();
        let (helper, _) = pair(&server);
        let fault = Fault::below_with(helper, call, &format!("EIO:when={when}"));
        c.says("USER alice", "331 Please specify the password.");
        let said = c.cmd("PASS secret");
        if said.code() == "230" {
            c.says("PWD", "257 \"/home/alice\" is the current directory");
        } else {
            assert_eq!(said.text(), "500 OOPS: cannot change directory:/home/alice");
            refused += 1;
        }
        assert_eq!(fault.answered(), 1, "{call} {when}");
        drop(fault);
        drop(c);
        back_to_base(&server);
    }
    assert!(refused >= 2);
    let log = String::from_utf8(host.read("/var/log/vsftpd.log")).unwrap();
    assert!(
        log.contains("cannot change directory to /home/alice: EIO"),
        "{log}"
    );
}

/// The auth that accounts for a session waits for a word or for helper's end: without the mend each waited for the other, two minutes long.
#[test]
fn an_auth_that_cannot_be_told_that_the_session_is_over() {
    let host = Host::new();
    // A call that strace answers itself has a number that no filter lets pass.
    let server = Server::start(&host, "seccomp_sandbox=NO\nsession_support=YES\n");
    let mut c = Client::alice();
    let (helper, _) = pair(&server);
    let fault = Fault::with(helper, "sendmsg", "ENOMEM");
    c.says("QUIT", "221 Goodbye.");
    c.ended();
    wait("helper to say that it is over", || {
        (fault.answered() > 0).then_some(())
    });
    drop(fault);
    drop(c);
    back_to_base(&server);
}

/// A password that PAM is to judge is judged by nobody else: without the mend shadow was asked where libpam could not be loaded, be it
/// for want of a descriptor, and no rule of the service held.
#[test]
fn a_pam_that_cannot_be_loaded() {
    let host = Host::new();
    host.write("/mnt/empty", "");
    for library in pam_libraries() {
        bind(Path::new("/mnt/empty"), &library.canonicalize().unwrap());
    }
    let server = Server::start(&host, "");
    let mut c = Client::connect();
    c.says("USER alice", "331 Please specify the password.");
    c.says("PASS secret", "530 Login incorrect.");
    c.says("QUIT", "221 Goodbye.");
    log::until("libpam.so.0 cannot be loaded: ");
    drop(c);
    back_to_base(&server);
}

/// Attacks B-108: a fork is where memory is asked for, and so where somebody is ended for want of it: master, which is larger than its
/// sessions, is as well spared then as at any other time.
#[test]
fn master_is_spared_while_it_forks() {
    let host = Host::new();
    let server = Server::start(&host, "");
    back_to_base(&server);
    let place = format!("/proc/{}/oom_score_adj", server.pid());
    let spared = host.read(&place);
    let fault = Fault::held(server.pid(), "clone,?clone3,?fork");
    let client = Client::dial();
    let mut looks = 0;
    wait("the session", || {
        // The call has not been made, and master stands still.
        if status(server.pid(), "State").is_some_and(|state| state.starts_with('t')) {
            looks += 1;
        }
        assert_eq!(host.read(&place), spared);
        (!children(server.pid()).is_empty()).then_some(())
    });
    assert!(looks > 0);
    drop(fault);
    client.greeted().login("alice");
}
