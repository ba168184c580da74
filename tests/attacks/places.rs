//! Places that are no ordinary files: file systems that are the kernel's own word, that never end, or that never answer.

use crate::sessions::{back_to_base, logged_in};
use crate::support::fuse::{Fault, Fuse};
use crate::support::host::ALICE;
use crate::support::{Client, Host, Server};
use nix::mount::{MsFlags, mount};

/// B-063: what the kernel makes up is not served, and what is written there would be no upload but an order to the kernel.
#[test]
fn files_of_the_kernel() {
    let host = Host::new();
    host.mkdir("/home/alice/sys", ALICE);
    mount(
        Some("sysfs"),
        "/home/alice/sys",
        Some("sysfs"),
        MsFlags::MS_RDONLY,
        None::<&str>,
    )
    .unwrap();
    let server = Server::start(&host, "");
    let mut c = Client::alice();
    let (_, worker) = logged_in(&server, ALICE);
    let slack = || std::fs::read(format!("/proc/{worker}/timerslack_ns")).unwrap();
    let before = slack();
    for name in ["timerslack_ns", "attr/current", "coredump_filter"] {
        for verb in ["STOR", "APPE"] {
            c.refused(
                &format!("{verb} /proc/self/{name}"),
                "553 Could not create file.",
            );
        }
        c.refused(
            &format!("RETR /proc/self/{name}"),
            "550 Failed to open file.",
        );
    }
    assert_eq!(slack(), before);
    // These have a size.
    c.refused("RETR sys/kernel/uevent_seqnum", "550 Failed to open file.");
    c.says("HASH sys/kernel/uevent_seqnum", "550 Failed to open file.");
    drop(c);
    back_to_base(&server);
}

/// B-018, B-022, B-026: a directory without an end is read until the client says ABOR or leaves, and hears NOOP meanwhile.
#[test]
fn a_directory_that_never_ends() {
    let host = Host::new();
    host.mkdir("/home/alice/odd", ALICE);
    let server = Server::start(&host, "ls_recurse_enable=YES\n");
    let Some(_odd) = Fuse::mount("/home/alice/odd", Fault::Endless) else {
        return;
    };
    for command in ["LIST odd", "LIST -R odd", "NLST odd/x*", "MLSD odd"] {
        let mut c = Client::alice();
        let (_, data) = c.begin(command);
        c.says("NOOP", "200 NOOP ok.");
        c.says("ABOR", "426 Failure writing network stream.");
        c.next("226 ABOR successful.");
        drop(data);
        let (_, data) = c.begin(command);
        drop((data, c));
        back_to_base(&server);
    }
}

/// B-003: a home on a file system that does not answer. Its client is told in time, others are served, and nothing is left when it does.
#[test]
fn a_home_that_does_not_answer() {
    let host = Host::new();
    let server = Server::start(&host, "idle_session_timeout=2\n");
    let Some(odd) = Fuse::mount("/home/bob", Fault::Silent) else {
        return;
    };
    assert!(std::fs::metadata("/home/bob").unwrap().is_dir());
    odd.fall_silent();
    let mut c = Client::connect();
    c.says("USER bob", "331 Please specify the password.");
    c.send(b"PASS secret\r\n");
    Client::alice().says("PWD", "257 \"/home/alice\" is the current directory");
    c.next("500 OOPS: cannot change directory");
    c.ended();
    drop(odd);
    back_to_base(&server);
}
