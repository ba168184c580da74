//! Two sessions of one user: neither reads, traces or takes anything of the other, with one fence after the other away (attacks B-132, B-134).

use crate::puppet::{Came, Puppet};
use crate::sessions::{NOBODY, back_to_base, children, status};
use crate::support::host::{ALICE, FTP};
use crate::support::server::output;
use crate::support::tls::{BOTH, Ftps, ON, certificate, offer};
use crate::support::{Client, Host, Server, wait};

const AT_FDCWD: u64 = -100_i64 as u64;
const SEIZE: u64 = 0x4206;

/// The processes below master that have given up all rights and run as this user.
fn confined(server: &Server, uid: u32) -> Vec<i32> {
    let all = Server::processes().into_iter();
    let given_up = |pid: &i32| {
        status(*pid, "NoNewPrivs").as_deref() == Some("1")
            && status(*pid, "Uid").is_some_and(|all| all.starts_with(&uid.to_string()))
            && *pid != server.pid()
    };
    all.filter(given_up).collect()
}

/// Everything that `one` could look into the other with; each is refused.
fn kept_out(one: &mut Puppet, other: i32, sees_the_host: bool) {
    let victim = other as u64;
    // A piece of memory of its own, and one of the other's, where every program has something.
    let place = one.words(&[]);
    one.words(&[place + 256, 8, place + 256, 8]);
    let (own, theirs) = (place, place + 16);
    let this = one.pid() as u64;
    for (name, number, arguments) in [
        ("attach", libc::SYS_ptrace, vec![16, victim, 0, 0]),
        ("seize", libc::SYS_ptrace, vec![SEIZE, victim, 0, 0]),
        (
            "read",
            libc::SYS_process_vm_readv,
            vec![victim, own, 1, theirs, 1, 0],
        ),
        (
            "write",
            libc::SYS_process_vm_writev,
            vec![victim, own, 1, theirs, 1, 0],
        ),
        ("compare", libc::SYS_kcmp, vec![this, victim, 0, 0, 0]),
    ] {
        let came = one.call(number, &arguments);
        assert_eq!(came, Came::Back(-i64::from(libc::EPERM)), "{name} {other}");
    }
    let Came::Back(held) = one.call(libc::SYS_pidfd_open, &[victim, 0]) else {
        panic!("nothing filters it");
    };
    assert!(held >= 0, "{held}");
    for number in 0..8 {
        let taken = one.call(libc::SYS_pidfd_getfd, &[held as u64, number, 0]);
        assert_eq!(taken, Came::Back(-i64::from(libc::EPERM)), "{other}");
    }
    one.call(libc::SYS_close, &[held as u64]);
    for name in ["mem", "environ", "maps", "auxv", "fd/0", "root/", "cwd/"] {
        let path = one.text(&format!("/proc/{other}/{name}"));
        let Came::Back(opened) = one.call(libc::SYS_openat, &[AT_FDCWD, path, 0, 0]) else {
            panic!("nothing filters it");
        };
        let refused = if sees_the_host {
            opened == -i64::from(libc::EACCES)
        } else {
            [libc::EACCES, libc::ENOENT].contains(&(-opened as i32))
        };
        assert!(refused, "{name} of {other}: {opened}");
    }
}

/// A puppet of each process of one session against every one of that user, in pairs of sessions.
fn in_pairs(host: &Host, server: &Server, landlock: bool) {
    for (user, uid) in [(None, NOBODY), (Some("alice"), ALICE), (Some("ftp"), FTP)] {
        let mut clients = [Client::connect(), Client::connect()];
        if let Some(user) = user {
            clients.iter_mut().for_each(|client| client.login(user));
        }
        for uid in [uid, NOBODY] {
            // A greeter that has done its work is still about to end.
            let all = wait("just two processes of that user", || {
                let all = confined(server, uid);
                (all.len() == 2).then_some(all)
            });
            let mut one = Puppet::take(all[0]);
            for other in &all[1..] {
                kept_out(&mut one, *other, uid == ALICE);
            }
            if !landlock {
                // The fence is away: what refuses the rest is that none of them can be dumped.
                let came = one.call(libc::SYS_kill, &[all[1] as u64, 0]);
                assert_eq!(came, Came::Back(0));
            }
        }
        drop(clients);
        wait("the sessions to go", || {
            (Server::processes() == [server.pid()]).then_some(())
        });
    }
    assert_eq!(host.read("/home/alice/f"), b"hello world\n");
    back_to_base(server);
}

/// Attacks B-132, B-134.
#[test]
fn without_the_filter() {
    let host = Host::new();
    let server = Server::start(&host, "seccomp_sandbox=NO\n");
    in_pairs(&host, &server, true);
}

/// From now on this thread, and what it starts, is on a kernel without Landlock.
fn without_landlock() {
    let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let answer = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    let program = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            libc::SYS_landlock_create_ruleset as u32,
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, answer),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the program is alive during the call, which copies it.
    let set = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn without_filter_and_landlock() {
    let host = Host::new();
    without_landlock();
    let server = Server::start(&host, "seccomp_sandbox=NO\n");
    assert!(output().contains("no Landlock in this kernel"));
    in_pairs(&host, &server, false);
}

/// The keyholder may be of their user; its memory is what everybody would like to see.
#[test]
fn the_keyholder() {
    let host = Host::new();
    certificate(&host);
    let server = Server::start(&host, &format!("{ON}seccomp_sandbox=NO\n"));
    let holder = children(server.pid());
    let [holder] = holder[..] else {
        panic!("{holder:?}");
    };
    assert!(status(holder, "Uid").is_some_and(|all| all.starts_with("65534")));
    let client = Ftps::alice(offer(BOTH, None));
    let all = wait("greeter and helper", || {
        let mut all = confined(&server, NOBODY);
        all.retain(|pid| *pid != holder);
        (all.len() == 2).then_some(all)
    });
    for pid in all {
        kept_out(&mut Puppet::take(pid), holder, false);
    }
    let worker = wait("the worker", || confined(&server, ALICE).first().copied());
    kept_out(&mut Puppet::take(worker), holder, true);
    drop(client);
}

/// What a worker that sees the host's /proc is served of it over FTP: nothing of the server's own processes.
#[test]
fn over_ftp() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let mut c = Client::alice();
    let worker = wait("the worker", || confined(&server, ALICE).first().copied());
    for pid in [
        server.pid().to_string(),
        "1".into(),
        "self".into(),
        worker.to_string(),
    ] {
        for name in [
            "environ",
            "maps",
            "mem",
            "fd/0",
            "root/etc/passwd",
            "cmdline",
            "status",
        ] {
            c.refused(
                &format!("RETR /proc/{pid}/{name}"),
                "550 Failed to open file.",
            );
            c.refused(
                &format!("STOR /proc/{pid}/{name}"),
                "553 Could not create file.",
            );
        }
    }
    drop(c);
    back_to_base(&server);
}
