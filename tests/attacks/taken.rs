//! Greeter, worker and helper taken over: what each can do then, on a server as it runs (attacks B-130, B-133, B-135).

use crate::fault::Fault;
use crate::puppet::{Came, FILTERED, Puppet};
use crate::sessions::{NOBODY, back_to_base, children, logged_in, session, status};
use crate::support::host::{ALICE, BOB, FTP};
use crate::support::{Client, DEADLINE, Host, Server, log, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

const EACCES: Came = Came::Back(-13);
const AT_FDCWD: u64 = -100_i64 as u64;
const CREATE: u64 = (libc::O_CREAT | libc::O_WRONLY) as u64;

/// Calls that nobody may make, each with arguments it could work with.
fn worst() -> Vec<(i64, Vec<u64>)> {
    let inet = libc::AF_INET as u64;
    vec![
        (libc::SYS_execve, vec![0, 0, 0]),
        (libc::SYS_execveat, vec![AT_FDCWD, 0, 0, 0, 0]),
        (libc::SYS_fork, vec![]),
        (libc::SYS_vfork, vec![]),
        (libc::SYS_clone, vec![17]),
        (libc::SYS_ptrace, vec![16, 1]),
        (libc::SYS_process_vm_readv, vec![1]),
        (libc::SYS_kill, vec![1, 0]),
        (libc::SYS_tkill, vec![1, 0]),
        (libc::SYS_pidfd_open, vec![1, 0]),
        (libc::SYS_socketpair, vec![1, 1, 0, 0]),
        (libc::SYS_socket, vec![libc::AF_NETLINK as u64, 3, 0]),
        (libc::SYS_socket, vec![inet, libc::SOCK_RAW as u64, 1]),
        (libc::SYS_mmap, vec![0, 4096, 7, 0x22, u64::MAX, 0]),
        (libc::SYS_mprotect, vec![0, 4096, 5]),
        (libc::SYS_memfd_create, vec![0, 0]),
        (libc::SYS_setuid, vec![0]),
        (libc::SYS_chroot, vec![0]),
        (libc::SYS_unshare, vec![0x1000_0000]),
        (libc::SYS_mount, vec![0]),
        (libc::SYS_bpf, vec![0]),
        (libc::SYS_io_uring_setup, vec![1, 0]),
        (libc::SYS_userfaultfd, vec![0]),
        (libc::SYS_perf_event_open, vec![0]),
        (libc::SYS_keyctl, vec![0, 0]),
        (libc::SYS_add_key, vec![0]),
        (libc::SYS_shmget, vec![0, 4096, 0o1777]),
        (libc::SYS_msgget, vec![0, 0o1777]),
        (libc::SYS_mq_open, vec![0]),
        (libc::SYS_inotify_init1, vec![0]),
        (libc::SYS_symlinkat, vec![0, AT_FDCWD, 0]),
        (libc::SYS_linkat, vec![AT_FDCWD, 0, AT_FDCWD, 0]),
        (libc::SYS_mknodat, vec![AT_FDCWD, 0, 0o020_666, 0x0103]),
        (libc::SYS_prctl, vec![libc::PR_SET_DUMPABLE as u64, 1]),
        (libc::SYS_seccomp, vec![0]),
        (libc::SYS_personality, vec![0]),
        // The x32 numbers of getpid and of what is no call anywhere.
        (0x4000_0000 + 39, vec![]),
        (9999, vec![]),
    ]
}

/// Each call in a session of its own, because it ends it.
fn each_ends_it(lines: &str, calls: &[(i64, Vec<u64>)], take: impl Fn(&Server) -> (Client, i32)) {
    let host = Host::new();
    let server = Server::start(&host, lines);
    for (number, arguments) in calls {
        let (mut client, pid) = take(&server);
        let came = Puppet::take(pid).call(*number, arguments);
        let allowed_errors = matches!(*number, libc::SYS_socket | libc::SYS_prctl)
            && matches!(came, Came::Back(-22..=-1));
        assert!(came == FILTERED || allowed_errors, "{number}: {came:?}");
        if came == FILTERED {
            client.closed();
        }
        drop(client);
        wait("the session to go", || {
            (Server::processes() == [server.pid()]).then_some(())
        });
    }
    let log = String::from_utf8_lossy(&host.read("/var/log/vsftpd.log")).into_owned();
    if lines.contains("std_format=NO") {
        assert!(log.contains("was ended by its filter"), "{log}");
        assert!(log.contains("VSFTPD_SANDBOX=report"), "{log}");
    }
    back_to_base(&server);
}

const LOG: &str = "xferlog_std_format=NO\n";

/// Attacks B-135.
#[test]
fn a_greeter() {
    let mut calls = worst();
    calls.extend([
        (libc::SYS_socket, vec![libc::AF_INET as u64, 1, 0]),
        (libc::SYS_connect, vec![0, 0, 16]),
        (libc::SYS_accept4, vec![0]),
        (libc::SYS_openat2, vec![AT_FDCWD, 0, 0, 24]),
        (libc::SYS_open, vec![0]),
        (libc::SYS_unlinkat, vec![AT_FDCWD]),
        (libc::SYS_getdents64, vec![0]),
        (libc::SYS_sendto, vec![0, 0, 0, 0, 4096, 16]),
    ]);
    each_ends_it(LOG, &calls, |server| {
        let client = Client::connect();
        let (_, greeter) = session(server, NOBODY);
        (client, greeter)
    });
}

/// Attacks B-147.
#[test]
fn a_worker_that_may_write() {
    let mut calls = worst();
    calls.extend([
        (libc::SYS_socket, vec![libc::AF_INET as u64, 1, 0]),
        (libc::SYS_socket, vec![libc::AF_UNIX as u64, 1, 0]),
        (libc::SYS_connect, vec![0, 0, 16]),
        (libc::SYS_bind, vec![0, 0, 16]),
        (libc::SYS_listen, vec![0, 1]),
        (libc::SYS_fchown, vec![0, 0, 0]),
        (libc::SYS_chdir, vec![0]),
        (libc::SYS_wait4, vec![0]),
    ]);
    each_ends_it(LOG, &calls, |server| {
        let client = Client::alice();
        let (_, worker) = logged_in(server, ALICE);
        (client, worker)
    });
}

/// Whoever closes the channel to helper does not stay (review, 12), under whatever name.
#[test]
fn a_worker_without_a_channel_is_ended() {
    let host = Host::new();
    let server = Server::start(&host, "");
    for renamed in [false, true] {
        let _client = Client::alice();
        let (_, worker) = logged_in(&server, ALICE);
        let mut puppet = Puppet::take(worker);
        if renamed {
            let name = puppet.text("systemd");
            let set = puppet.call(libc::SYS_prctl, &[libc::PR_SET_NAME as u64, name]);
            assert_eq!(set, Came::Back(0));
        }
        for number in 3..16 {
            puppet.call(libc::SYS_close, &[number]);
        }
        // It goes on, and waits for nobody any more.
        puppet.sleep();
        wait("the session to go", || {
            (Server::processes() == [server.pid()]).then_some(())
        });
    }
}

/// Where there is no master any more either, as after a restart, the kernel ends it.
#[test]
fn a_worker_does_not_outlive_its_helper() {
    let host = Host::new();
    let mut server = Server::start(&host, "");
    let _client = Client::alice();
    let (helper, worker) = logged_in(&server, ALICE);
    let mut puppet = Puppet::take(worker);
    let name = puppet.text("systemd");
    let set = puppet.call(libc::SYS_prctl, &[libc::PR_SET_NAME as u64, name]);
    assert_eq!(set, Came::Back(0));
    puppet.sleep();
    server.signal(Signal::SIGTERM);
    server.wait_master();
    assert!(Server::processes().contains(&worker));
    kill(Pid::from_raw(helper), Signal::SIGKILL).unwrap();
    wait("the session to go", || {
        Server::processes().is_empty().then_some(())
    });
}

/// Master and the two processes of its one session in clear, once greeter and auth have ended.
fn alone_with_one(server: &Server) -> Vec<i32> {
    wait("greeter and auth to end", || {
        let all = Server::processes();
        (all.len() == 3 && children(server.pid()).len() == 1).then_some(all)
    })
}

/// Where the kernel has not been told to do it, as in a container with users of its own, master ends what a session has left, and nothing else.
#[test]
fn master_ends_a_worker_that_has_no_helper() {
    let host = Host::new();
    // A call that strace answers itself has a number that no filter lets pass.
    let server = Server::start(&host, "seccomp_sandbox=NO\n");
    let mut other = Client::alice();
    let before = alone_with_one(&server);
    let fault = Fault::below(server.pid(), "pipe2");
    let _client = Client::alice();
    let new = |pid: &i32| !before.contains(pid);
    let (helper, worker) = wait("the session's two processes", || {
        let helper = children(server.pid()).into_iter().find(new)?;
        let [worker] = children(helper)[..] else {
            return None;
        };
        let alice = status(worker, "Uid")?.starts_with(&ALICE.to_string());
        let dropped = !status(helper, "Uid")?.starts_with('0');
        (alice && dropped).then_some((helper, worker))
    });
    assert!(fault.answered() > 0);
    drop(fault);
    Puppet::take(worker).sleep();
    kill(Pid::from_raw(helper), Signal::SIGKILL).unwrap();
    wait("the worker to go", || {
        (Server::processes() == before).then_some(())
    });
    other.says("NOOP", "200 NOOP ok.");
    drop(other);
    back_to_base(&server);
}

/// What is on its way between processes is counted by user, and all helpers are one: a worker that asks and asks, and takes no answer, would
/// leave nobody a data connection (attacks B-143).
#[test]
fn a_worker_that_takes_no_answers_is_ended() {
    let host = Host::new();
    let server = Server::start(&host, "xferlog_std_format=NO\n");
    let mut other = Client::anonymous();
    logged_in(&server, FTP);
    let _client = Client::alice();
    let worker = wait("alice's worker", || {
        let all = Server::processes().into_iter();
        let mut hers = all.filter(|pid| {
            let is = |name: &str, value: &str| {
                status(*pid, name).is_some_and(|is| is.starts_with(value))
            };
            is("Uid", "1001") && is("Seccomp", "2")
        });
        hers.next()
    });
    let mut puppet = Puppet::take(worker);
    let listen = puppet.text("\x01");
    let dont_wait = libc::MSG_DONTWAIT as u64;
    // One of these is the channel; the client's end of another is not read.
    wait("helper to have had enough", || {
        (3..16).find_map(|number| {
            let came = puppet.try_call(libc::SYS_sendto, &[number, listen, 1, dont_wait, 0, 0]);
            (came == Came::Killed(Signal::SIGKILL)).then_some(())
        })
    });
    other.passive();
    drop(puppet);
    wait("the session to go", || {
        (Server::processes().len() == 3).then_some(())
    });
    let log = String::from_utf8_lossy(&host.read("/var/log/vsftpd.log")).into_owned();
    assert!(
        log.contains("worker asks without taking its answers; session ended"),
        "{log}"
    );
    drop(other);
    back_to_base(&server);
}

/// Descriptors on their way are counted by user: a guest's worker that has a crowd of them under way costs another guest an upload that is to be
/// given away, and not the session.
#[test]
fn a_worker_that_crowds_the_way_to_helper() {
    let host = Host::new();
    // Of the whole machine's processes: those of other tests have another guest.
    let guest = 1_000_000 + std::process::id();
    let accounts = String::from_utf8(host.read("/etc/passwd")).unwrap();
    let own = accounts.replace(&format!("ftp:x:{FTP}:"), &format!("ftp:x:{guest}:"));
    assert_ne!(own, accounts);
    host.write("/etc/passwd", &own);
    host.own("/srv/ftp/incoming", guest);
    let lines =
        "anon_upload_enable=YES\nchown_uploads=YES\nchown_username=bob\nxferlog_std_format=NO\n";
    let server = Server::start(&host, lines);
    let client = Client::anonymous();
    let (helper, worker) = logged_in(&server, guest);
    let mut other = Client::anonymous();
    kill(Pid::from_raw(helper), Signal::SIGSTOP).unwrap();
    // One that is only about to stop still takes what comes.
    wait("helper to stop", || {
        status(helper, "State")?.starts_with('T').then_some(())
    });
    let mut puppet = Puppet::take(worker);
    let text = puppet.text("x");
    // A message's header, its one piece, and the descriptor 0 as often as one message may have one (unix(7), SCM_RIGHTS).
    let place = puppet.words(&[]);
    let mut words = vec![0, 0, place + 56, 1, place + 72, 16 + 4 * 253, 0, text, 1];
    words.extend([16 + 4 * 253, 1 | 1 << 32]);
    words.resize(words.len() + 127, 0);
    puppet.words(&words);
    // One of these is the channel; the client's connection takes no descriptors.
    for number in 3..16 {
        puppet.call(
            libc::SYS_sendmsg,
            &[number, place, libc::MSG_NOSIGNAL as u64],
        );
    }
    other.epsv();
    other.says("STOR incoming/up", "553 Could not create file.");
    other.says("NOOP", "200 NOOP ok.");
    log::until("too many on their way");
    kill(Pid::from_raw(helper), Signal::SIGCONT).unwrap();
    wait("the session to go", || {
        (Server::processes().len() == 3).then_some(())
    });
    assert_eq!(
        other.store("STOR incoming/up", b"x").text(),
        "226 Transfer complete."
    );
    assert_eq!(fs::metadata("/srv/ftp/incoming/up").unwrap().uid(), BOB);
    drop((puppet, client, other));
    back_to_base(&server);
}

/// The filter lets the data thread be started and cannot count: the kernel does.
#[test]
fn a_worker_has_no_threads_without_end() {
    let host = Host::new();
    let server = Server::start(&host, "max_clients=5\n");
    let mut client = Client::alice();
    let (_, worker) = logged_in(&server, ALICE);
    let limits = fs::read_to_string(format!("/proc/{worker}/limits")).unwrap();
    let tasks = limits
        .lines()
        .find(|line| line.starts_with("Max processes"));
    let mut tasks = tasks.unwrap().split_whitespace().skip(2);
    let (soft, hard) = (tasks.next().unwrap(), tasks.next().unwrap());
    assert_eq!(soft, hard);
    // All that there are on this machine, two for each session, and others of the same user.
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    let now = load.split([' ', '/']).nth(4).unwrap();
    let now: u64 = now.parse().unwrap();
    assert!(
        soft.parse::<u64>()
            .is_ok_and(|most| most <= 2 * (now + 10 + 512)),
        "{soft}, {now}"
    );
    // Once it has its one thread it starts no other.
    host.file("/home/alice/big", &vec![b'x'; 1_000_000]);
    client.fetch("RETR big");
    let limits = fs::read_to_string(format!("/proc/{worker}/limits")).unwrap();
    let tasks = limits
        .lines()
        .find(|line| line.starts_with("Max processes"));
    let tasks: Vec<&str> = tasks.unwrap().split_whitespace().skip(2).take(2).collect();
    assert_eq!(tasks, ["0", "0"]);
    drop(client);
    back_to_base(&server);
}

/// It has something to say again and again: the time that it has for a login does not begin anew with each.
/// Helper would wait for it, and for nobody's end, for ever (attacks B-145).
#[test]
fn a_greeter_that_takes_no_answers_is_ended() {
    let host = Host::new();
    let server = Server::start(&host, "userlist_enable=YES\nxferlog_std_format=NO\n");
    host.write("/etc/vsftpd.user_list", "root\n");
    let client = Client::connect();
    let (helper, greeter) = session(&server, NOBODY);
    let mut puppet = Puppet::take(greeter);
    let user = puppet.text("\x01\x03\0bob");
    let dont_wait = libc::MSG_DONTWAIT as u64;
    // One of these is the channel; the client's end of another is not read. More than there is room for.
    for _ in 0..1000 {
        for number in 3..16 {
            let arguments = [number, user, 6, dont_wait, 0, 0];
            if puppet.is_alive() {
                puppet.try_call(libc::SYS_sendto, &arguments);
            }
        }
    }
    drop(puppet);
    wait("helper to have had enough", || {
        (!Server::processes().contains(&helper)).then_some(())
    });
    let log = String::from_utf8_lossy(&host.read("/var/log/vsftpd.log")).into_owned();
    assert!(
        log.contains("greeter asks without taking its answers"),
        "{log}"
    );
    drop(client);
    back_to_base(&server);
}

#[test]
fn a_greeter_that_goes_on_talking_is_ended() {
    let host = Host::new();
    let server = Server::start(&host, "idle_session_timeout=1\nxferlog_std_format=NO\n");
    let client = Client::connect();
    let (helper, greeter) = session(&server, NOBODY);
    let mut puppet = Puppet::take(greeter);
    let note = puppet.text("\x03\x06\x01\0x");
    let dont_wait = libc::MSG_DONTWAIT as u64;
    let begin = Instant::now();
    while Server::processes().contains(&helper) {
        assert!(begin.elapsed() < 3 * DEADLINE, "it is still heard");
        std::thread::sleep(Duration::from_millis(500));
        if puppet.is_alive() {
            // One of these is the channel; the client's end of another is not read.
            for number in 3..16 {
                let said = puppet.try_call(libc::SYS_sendto, &[number, note, 5, dont_wait, 0, 0]);
                if let Came::Killed(_) = said {
                    break;
                }
            }
        }
    }
    let log = String::from_utf8_lossy(&host.read("/var/log/vsftpd.log")).into_owned();
    assert!(log.contains("greeter neither ends"), "{log}");
    drop((puppet, client));
    back_to_base(&server);
}

#[test]
fn a_worker_that_may_only_read() {
    let calls = [
        (libc::SYS_unlinkat, vec![AT_FDCWD, 0, 0]),
        (libc::SYS_mkdirat, vec![AT_FDCWD, 0, 0o777]),
        (libc::SYS_renameat, vec![AT_FDCWD, 0, AT_FDCWD, 0]),
        (libc::SYS_renameat2, vec![AT_FDCWD, 0, AT_FDCWD, 0, 0]),
        (libc::SYS_ftruncate, vec![0, 0]),
        (libc::SYS_fchmod, vec![0, 0o777]),
        (libc::SYS_fchmodat, vec![AT_FDCWD, 0, 0o777]),
        (libc::SYS_utimensat, vec![AT_FDCWD, 0, 0, 0]),
        (libc::SYS_unlink, vec![0]),
        (libc::SYS_creat, vec![0]),
    ];
    each_ends_it(
        "xferlog_std_format=NO\nwrite_enable=NO\n",
        &calls,
        |server| {
            let client = Client::alice();
            let (_, worker) = logged_in(server, ALICE);
            (client, worker)
        },
    );
}

#[test]
fn a_helper_after_login() {
    let mut calls = worst();
    calls.extend([
        (libc::SYS_accept4, vec![0]),
        (libc::SYS_fchown, vec![0, 0, 0]),
        (libc::SYS_openat2, vec![AT_FDCWD, 0, 0, 24]),
        (libc::SYS_unlinkat, vec![AT_FDCWD]),
    ]);
    each_ends_it("", &calls, |server| {
        let client = Client::anonymous();
        let (helper, _) = logged_in(server, FTP);
        (client, helper)
    });
}

/// The version of the kernel's Landlock.
fn landlock() -> i64 {
    // SAFETY: with this flag the call takes no pointer.
    unsafe { libc::syscall(444, std::ptr::null::<u8>(), 0_usize, 1_u32) }
}

/// What the filter lets through because a pointer hides it, Landlock refuses.
#[test]
fn a_reader_writes_no_file_that_its_user_could() {
    let host = Host::new();
    let server = Server::start(&host, "write_enable=NO\n");
    let client = Client::alice();
    let (_, worker) = logged_in(&server, ALICE);
    let mut puppet = Puppet::take(worker);
    let own = puppet.text("/home/alice/f");
    let Came::Back(read) = puppet.call(libc::SYS_openat, &[AT_FDCWD, own, 0]) else {
        panic!("a worker may read");
    };
    assert!(read >= 0, "{read}");
    if landlock() < 2 {
        return;
    }
    assert_eq!(puppet.call(libc::SYS_openat, &[AT_FDCWD, own, 1]), EACCES);
    let append = puppet.words(&[(libc::O_WRONLY | libc::O_APPEND) as u64, 0, 0]);
    let opened = puppet.call(libc::SYS_openat2, &[AT_FDCWD, own, append, 24]);
    assert_eq!(opened, EACCES);
    for place in ["/home/alice/new", "/tmp/new"] {
        let new = puppet.text(place);
        let made = puppet.call(libc::SYS_openat, &[AT_FDCWD, new, CREATE, 0o666]);
        assert_eq!(made, EACCES, "{place}");
        assert!(!host.exists(place));
    }
    if landlock() >= 3 {
        let own = puppet.text("/home/alice/f");
        let truncated = puppet.call(
            libc::SYS_openat,
            &[AT_FDCWD, own, (libc::O_RDONLY | libc::O_TRUNC) as u64],
        );
        assert_eq!(truncated, EACCES);
    }
    drop((puppet, client));
    assert!(!host.read("/home/alice/f").is_empty());
    back_to_base(&server);
}

/// The jail was given a way out of by somebody else; the second fence behind the virtual path and chroot (attacks B-007).
#[test]
fn a_directory_moved_out_of_the_jail_is_out_of_reach() {
    let host = Host::new();
    host.mkdir("/home/alice/sub", ALICE);
    host.mkdir("/srv/processed", 0);
    host.write("/home/secret", "x");
    let server = Server::start(&host, "chroot_local_user=YES\nallow_writeable_chroot=YES\n");
    let client = Client::alice();
    let (_, worker) = logged_in(&server, ALICE);
    let mut puppet = Puppet::take(worker);
    let sub = puppet.text("/sub");
    let directory = libc::O_DIRECTORY as u64;
    let Came::Back(at) = puppet.call(libc::SYS_openat, &[AT_FDCWD, sub, directory]) else {
        panic!("a worker may read");
    };
    assert!(at >= 0, "{at}");
    // On one file system, as a rename needs it.
    fs::rename("/home/alice/sub", "/home/moved").unwrap();
    let secret = puppet.text("../secret");
    let opened = puppet.call(libc::SYS_openat, &[at as u64, secret, 0]);
    if landlock() >= 2 {
        assert_eq!(opened, EACCES);
    }
    drop((puppet, client));
    back_to_base(&server);
}

#[test]
fn a_greeter_and_a_helper_have_no_files() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let client = Client::connect();
    let (_, greeter) = session(&server, NOBODY);
    let mut puppet = Puppet::take(greeter);
    for path in ["/etc/passwd", "/", "."] {
        let path = puppet.text(path);
        assert_eq!(puppet.call(libc::SYS_openat, &[AT_FDCWD, path, 0]), EACCES);
    }
    drop((puppet, client));
    let client = Client::anonymous();
    let (helper, _) = logged_in(&server, FTP);
    let mut puppet = Puppet::take(helper);
    let root = puppet.text("/");
    assert_eq!(puppet.call(libc::SYS_openat, &[AT_FDCWD, root, 0]), EACCES);
    // syslog(3) of a library may try; TCP is its work.
    let unix = [libc::AF_UNIX as u64, libc::SOCK_DGRAM as u64, 0];
    assert_eq!(puppet.call(libc::SYS_socket, &unix), EACCES);
    let Came::Back(tcp) = puppet.call(libc::SYS_socket, &[libc::AF_INET as u64, 1, 0]) else {
        panic!("helper makes data sockets");
    };
    assert!(tcp >= 0);
    drop((puppet, client));
    wait("the sessions to go", || {
        (Server::processes() == [server.pid()]).then_some(())
    });
}

/// Where nothing filters their calls, greeter and worker reach no port all the same, nor any other process of their user (attacks B-133).
#[test]
fn nobody_is_spoken_to_without_the_filter() {
    const EPERM: Came = Came::Back(-1);
    let host = Host::new();
    let server = Server::start(&host, "seccomp_sandbox=NO\n");
    for user in [None, Some("alice")] {
        let mut clients = [Client::connect(), Client::connect()];
        if let Some(user) = user {
            clients.iter_mut().for_each(|client| client.login(user));
        }
        let uid = if user.is_some() { ALICE } else { NOBODY };
        let there = |pid: &i32| {
            status(*pid, "NoNewPrivs").as_deref() == Some("1")
                && status(*pid, "Uid").is_some_and(|all| all.starts_with(&uid.to_string()))
        };
        let [one, other] = wait("two processes of that user", || {
            let helpers = children(server.pid()).into_iter();
            let below: Vec<i32> = helpers.flat_map(children).filter(there).collect();
            <[i32; 2]>::try_from(below).ok()
        });
        let mut puppet = Puppet::take(one);
        // 127.0.0.1, port 21, where this server listens.
        let place = puppet.words(&[0x0100_007F_1500_0002, 0]);
        if landlock() >= 4 {
            for number in [libc::SYS_connect, libc::SYS_bind] {
                let inet = libc::AF_INET as u64;
                let Came::Back(socket) = puppet.call(libc::SYS_socket, &[inet, 1, 0]) else {
                    panic!("nothing filters it");
                };
                let came = puppet.call(number, &[socket as u64, place, 16]);
                assert_eq!(came, EACCES, "{user:?} {number}");
            }
        }
        if landlock() >= 6 {
            let came = puppet.call(libc::SYS_kill, &[other as u64, 0]);
            assert_eq!(came, EPERM, "{user:?}");
        }
        drop((puppet, clients));
        wait("the sessions to go", || {
            (Server::processes() == [server.pid()]).then_some(())
        });
    }
}

/// Root's number alone gives no right back, no right can be handed on, and neither can be undone (capabilities(7)).
#[test]
fn securebits_are_locked() {
    /// SECBIT_NOROOT and SECBIT_NO_CAP_AMBIENT_RAISE, each with its lock.
    const LOCKED: Came = Came::Back(0b1100_0011);
    let host = Host::new();
    // One that keeps a right has had to say so for a moment, and has taken that back.
    let lines = "seccomp_sandbox=NO\nconnect_from_port_20=YES\n";
    let server = Server::start(&host, lines);
    let mut client = Client::connect();
    let child = |uid: u32| {
        wait("the session's child", || {
            let below = children(server.pid()).into_iter().flat_map(children);
            let is = |pid: &i32| {
                status(*pid, "NoNewPrivs").as_deref() == Some("1")
                    && status(*pid, "Uid").is_some_and(|all| all.starts_with(&uid.to_string()))
            };
            below.into_iter().find(is)
        })
    };
    let bits = |pid| Puppet::take(pid).call(libc::SYS_prctl, &[libc::PR_GET_SECUREBITS as u64]);
    assert_eq!(bits(child(NOBODY)), LOCKED);
    client.login("alice");
    assert_eq!(bits(child(ALICE)), LOCKED);
    let helper = wait("the helper", || {
        let all = children(server.pid()).into_iter();
        let dropped = |pid: &i32| status(*pid, "NoNewPrivs").as_deref() == Some("1");
        all.into_iter().find(dropped)
    });
    assert_eq!(bits(helper), LOCKED);
    drop(client);
    back_to_base(&server);
}

/// Who may upload and no more makes no directory, though it might where it uploads.
#[test]
fn an_uploader_makes_no_directory_without_the_filter() {
    let host = Host::new();
    let lines = "seccomp_sandbox=NO\nanon_upload_enable=YES\n";
    let server = Server::start(&host, lines);
    let mut client = Client::anonymous();
    assert_eq!(client.store("STOR incoming/new", b"x").code(), "226");
    let worker = wait("the worker", || {
        let below = children(server.pid()).into_iter().flat_map(children);
        let ftp = |pid: &i32| status(*pid, "Uid").is_some_and(|uid| uid.starts_with("102"));
        below.into_iter().find(ftp)
    });
    let mut puppet = Puppet::take(worker);
    let made = puppet.text("/incoming/made");
    if landlock() >= 2 {
        let came = puppet.call(libc::SYS_mkdirat, &[AT_FDCWD, made, 0o777]);
        assert_eq!(came, EACCES);
    }
    drop((puppet, client));
    back_to_base(&server);
}

/// Every list, on every process, unless it is switched off (attacks 0.2).
#[test]
fn the_filters_stand_by_default() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let mut client = Client::connect();
    let (helper, _) = session(&server, NOBODY);
    // Modules of PAM run below it.
    assert_eq!(
        crate::sessions::status(helper, "Seccomp").as_deref(),
        Some("0")
    );
    client.login("alice");
    logged_in(&server, ALICE);
    drop(client);
    drop(server);
    let server = Server::start(&host, "seccomp_sandbox=NO\n");
    let _client = Client::alice();
    for pid in alone_with_one(&server) {
        assert_eq!(
            crate::sessions::status(pid, "Seccomp").as_deref(),
            Some("0")
        );
    }
    drop(server);
}
