//! Homes that cannot be one, file systems of other kinds, and a kernel without openat2 (attacks B-003, B-014, B-018, B-019).

use crate::oracle::{Canary, all_is_well, whole};
use crate::sessions::back_to_base;
use crate::support::fuse::{Fault, Fuse};
use crate::support::host::{ALICE, BOB, CONFIG, PROGRAM, tmpfs};
use crate::support::server::{BASE, listening};
use crate::support::{Client, DEADLINE, Host, Server, wait};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

const JAIL: &str = "chroot_local_user=YES\nallow_writeable_chroot=YES\n";

/// An account with this home.
fn account(host: &Host, name: &str, home: &str) {
    let add = |path: &str, line: String, mode| {
        let text = fs::read_to_string(path).unwrap();
        host.write(path, &format!("{text}{line}\n"));
        host.mode(path, mode);
    };
    add(
        "/etc/passwd",
        format!("{name}:x:1001:1001::{home}:/bin/sh"),
        0o644,
    );
    let shadow = fs::read_to_string("/etc/shadow").unwrap();
    let alice = shadow.lines().find(|line| line.starts_with("alice:"));
    add(
        "/etc/shadow",
        alice.unwrap().replacen("alice", name, 1),
        0o600,
    );
}

/// Each is refused where it is no place for its user, in a jail and without; nobody lands anywhere else (attacks B-003).
#[test]
fn homes_that_cannot_be_one() {
    let host = Host::new();
    host.mkdir("/home/shut", ALICE);
    host.mode("/home/shut", 0o000);
    host.mkdir("/home/bobs", BOB);
    host.mode("/home/bobs", 0o700);
    host.mkdir("/srv/rootsown", 0);
    host.mode("/srv/rootsown", 0o700);
    symlink("/srv/rootsown", "/home/led").unwrap();
    host.file("/home/file", b"x");
    symlink("loop", "/home/loop").unwrap();
    symlink("nowhere", "/home/dangling").unwrap();
    let homes = [
        ("shut", "/home/shut"),
        ("bobs", "/home/bobs"),
        ("led", "/home/led"),
        ("file", "/home/file"),
        ("below", "/home/file/x"),
        ("loop", "/home/loop"),
        ("dangling", "/home/dangling"),
        ("far", "/home/shut/../../home/nowhere"),
    ];
    for (name, home) in homes {
        account(&host, name, home);
    }
    account(&host, "top", "/");
    account(&host, "none", "");
    for (lines, jailed) in [("", false), (JAIL, true)] {
        let server = Server::start(&host, lines);
        for (name, _) in homes {
            let mut c = Client::connect();
            c.says(&format!("USER {name}"), "331 Please specify the password.");
            let said = c.cmd("PASS secret").text();
            assert!(
                said.starts_with("500 OOPS: cannot change directory"),
                "{name}: {said}"
            );
            c.ended();
        }
        // The host's root is a home as others are: it is not writable, and its files are as the kernel says.
        let mut top = Client::user("top");
        top.says("PWD", "257 \"/\" is the current directory");
        top.refused("STOR x", "553 Could not create file.");
        drop(top);
        let mut c = Client::connect();
        c.says("USER none", "331 Please specify the password.");
        let said = c.cmd("PASS secret").text();
        assert!(said.starts_with("500 OOPS: ") || !jailed, "{said}");
        drop(c);
        back_to_base(&server);
    }
}

/// A root that its user may write is refused to guests of every kind too (attacks B-014).
#[test]
fn writable_roots_of_guests() {
    let host = Host::new();
    let server = Server::start(&host, "guest_enable=YES\nguest_username=bob\n");
    let mut c = Client::connect();
    c.says("USER alice", "331 Please specify the password.");
    let writable = "500 OOPS: vsftpd: refusing to run with writable root inside chroot()";
    c.says("PASS secret", writable);
    c.ended();
    host.mode("/home/bob", 0o555);
    Client::user("alice").says("PWD", "257 \"/\" is the current directory");
    back_to_base(&server);
}

/// What a jail must be on every file system: paths, links, names, renames and what one may delete.
fn jail_holds(host: &Host, canary: &Canary) {
    host.own("/home/bob", BOB);
    host.mkdir("/home/bob/a", BOB);
    fs::write("/home/bob/a/f", "mine").unwrap();
    host.own("/home/bob/a/f", BOB);
    for (name, to) in [
        ("out", "/srv/canary/open"),
        ("up", "../../srv/canary/open"),
        ("inside", "/a/f"),
    ] {
        symlink(to, format!("/home/bob/{name}")).unwrap();
    }
    let mut c = Client::user("bob");
    for path in [
        "out",
        "up",
        "../../srv/canary/open",
        "a/../../../srv/canary/open",
        "/etc/passwd",
    ] {
        for verb in [
            "RETR",
            "SIZE",
            "MDTM",
            "CWD",
            "HASH",
            "DELE none/",
            "SITE CHMOD 666",
        ] {
            let (said, bytes) = whole(&mut c, &format!("{verb} {path}"), b"");
            assert!(said.starts_with("550"), "{verb} {path}: {said}");
            assert!(bytes.is_empty());
        }
    }
    assert_eq!(c.fetch("RETR inside"), b"mine");
    assert_eq!(c.store("STOR a/new", b"whole").code(), "226");
    assert_eq!(c.store("APPE a/new", b" and more").code(), "226");
    assert_eq!(c.fetch("RETR a/new"), b"whole and more");
    assert_eq!(c.names("NLST a"), ["a/f", "a/new"]);
    c.script(&[
        ("RNFR a/new", "350 Ready for RNTO."),
        ("RNTO moved", "250 Rename successful."),
        ("RNFR a", "350 Ready for RNTO."),
        ("RNTO a/b", "550 Rename failed."),
        ("CWD a", "250 Directory successfully changed."),
        ("DELE f", "250 Delete operation successful."),
        ("RMD ../a", "250 Remove directory operation successful."),
        ("MKD x", "550 Create directory operation failed."),
        ("CWD ..", "550 Failed to change directory."),
        ("CWD /", "250 Directory successfully changed."),
        ("DELE out", "250 Delete operation successful."),
    ]);
    let long = "n".repeat(300);
    c.says(
        &format!("MKD {long}"),
        "550 Create directory operation failed.",
    );
    drop(c);
    canary.untouched();
}

/// A file system of this kind over bob's home; nothing where this host has no such.
fn mounted(kind: &str) -> bool {
    let place = "/home/bob";
    let overlay = "lowerdir=/mnt/fs/lower,upperdir=/mnt/fs/up,workdir=/mnt/fs/work";
    tmpfs("/mnt/fs", "size=600m");
    for name in ["lower", "up", "work"] {
        fs::create_dir(format!("/mnt/fs/{name}")).unwrap();
    }
    let plain = |from: &str, data: Option<&str>| {
        mount(Some(from), place, Some(kind), MsFlags::empty(), data).is_ok()
    };
    match kind {
        "tmpfs" => plain("tmpfs", Some("mode=755")),
        "overlay" => plain("overlay", Some(overlay)),
        _ => {
            let disk = fs::File::create("/mnt/fs/disk").unwrap();
            disk.set_len(400 << 20).unwrap();
            let made = Command::new(format!("mkfs.{kind}"))
                .args([
                    "-q",
                    if kind == "ext4" { "-F" } else { "-f" },
                    "/mnt/fs/disk",
                ])
                .output();
            let looped = || {
                let command = ["-o", "loop", "-t", kind, "/mnt/fs/disk", place];
                Command::new("mount")
                    .args(command)
                    .output()
                    .unwrap()
                    .status
                    .success()
            };
            made.is_ok_and(|made| made.status.success()) && looped()
        }
    }
}

/// The same on every file system that this host can mount (attacks B-018, with B-001, B-002, B-011, B-012, B-017).
#[test]
fn jails_on_other_file_systems() {
    let host = Host::new();
    let canary = Canary::new(&host);
    fs::create_dir("/mnt/fs").unwrap();
    let server = Server::start(&host, JAIL);
    let mut tried = Vec::new();
    for kind in ["tmpfs", "overlay", "ext4", "xfs", "btrfs"] {
        if mounted(kind) {
            tried.push(kind);
            jail_holds(&host, &canary);
            wait("the session to go", || {
                (Server::processes() == [server.pid()]).then_some(())
            });
            umount2("/home/bob", MntFlags::MNT_DETACH).unwrap();
        }
        umount2("/mnt/fs", MntFlags::MNT_DETACH).unwrap();
    }
    assert!(tried.contains(&"tmpfs"), "{tried:?}");
    all_is_well(&server);
}

/// A file system that says something else about a file each time it is asked, and more bytes than it has: whatever is told, a session is
/// answered, and no more is sent than was read (attacks B-018).
#[test]
fn a_file_system_that_lies() {
    let host = Host::new();
    let canary = Canary::new(&host);
    host.mkdir("/home/alice/odd", ALICE);
    let all = "atomic_uploads=YES\nfsync_uploads=YES\nascii_download_enable=YES\nascii_upload_enable=YES\ndelete_failed_uploads=YES\n\
               use_sendfile=NO\n";
    for (lines, before) in [
        ("", "REST 0"),
        ("", "REST 5"),
        (all, "TYPE A"),
        (all, "REST 9000000000000000000"),
    ] {
        let server = Server::start(&host, &format!("{JAIL}ls_recurse_enable=YES\n{lines}"));
        let Some(odd) = Fuse::mount("/home/alice/odd", Fault::Lying) else {
            return;
        };
        let mut c = Client::alice();
        // Some of it takes long on a busy machine.
        c.stream().set_read_timeout(Some(4 * DEADLINE)).unwrap();
        for _ in 0..10 {
            for verb in [
                "RETR",
                "STOR",
                "APPE",
                "STOU",
                "SIZE",
                "MDTM",
                "MLST",
                "HASH",
                "XCRC",
                "CWD",
                "LIST -a",
                "LIST -R",
                "NLST",
                "MLSD",
                "DELE",
                "RMD",
                "RNFR",
                "RNTO",
                "SITE CHMOD 644",
                "MFMT 20200101000000",
                "STAT",
                "AVBL",
            ] {
                c.cmd(before);
                let (said, bytes) = whole(&mut c, &format!("{verb} odd/x"), b"mine");
                assert!(said.starts_with(['2', '3', '4', '5']), "{verb}: {said}");
                assert!(bytes.len() < 4096, "{verb}: {}", bytes.len());
                c.says("CWD /", "250 Directory successfully changed.");
            }
        }
        drop((c, odd));
        all_is_well(&server);
    }
    canary.untouched();
}

/// The server in a container whose filter answers a system call with this error (seccomp(2)): the filters of its sessions stand below it.
fn without(call: libc::c_long, error: i32) -> Child {
    let mut command = Command::new(PROGRAM);
    command
        .arg(CONFIG)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let step = |code: u32, jt, k: u32| libc::sock_filter {
        code: code as u16,
        jt,
        jf: 0,
        k,
    };
    let filter = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, call as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
        step(
            libc::BPF_RET | libc::BPF_K,
            0,
            libc::SECCOMP_RET_ERRNO | error as u32,
        ),
    ];
    let install = move || {
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_ptr().cast_mut(),
        };
        // SAFETY: the program and its steps outlive the call, which only reads them.
        match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec it makes one system call and nothing else.
    unsafe { command.pre_exec(install) };
    command.spawn().unwrap()
}

/// A kernel or a container without openat2: the jail holds as well, and the log says once that paths are walked part by part (attacks
/// B-019).
#[test]
fn a_kernel_without_openat2() {
    for error in [libc::ENOSYS, libc::EPERM] {
        let host = Host::new();
        let canary = Canary::new(&host);
        host.write(CONFIG, &format!("{BASE}{JAIL}"));
        let server = without(libc::SYS_openat2, error);
        wait("the server to listen", || listening().then_some(()));
        jail_holds(&host, &canary);
        let log = wait("the line of the log", || {
            let log = fs::read_to_string("/var/log/vsftpd.log").ok()?;
            log.contains("no openat2(2)").then_some(log)
        });
        assert_eq!(log.matches("no openat2(2)").count(), 1, "{log}");
        assert!(!log.contains("ended by its filter"), "{log}");
        ended(server);
    }
}

fn ended(mut server: Child) {
    for pid in Server::everything() {
        let pid = nix::unistd::Pid::from_raw(pid);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
    server.wait().unwrap();
}

/// Some file systems cannot rename to a name that must be free (NFS, FUSE): an upload gets its name there too, and replaces nothing.
#[test]
fn a_file_system_that_does_not_know_a_free_name() {
    let host = Host::new();
    let lines = "atomic_uploads=YES\nanon_upload_enable=YES\n";
    host.write(CONFIG, &format!("{BASE}{lines}"));
    let server = without(libc::SYS_renameat2, libc::EINVAL);
    wait("the server to listen", || listening().then_some(()));
    for taken in [false, true] {
        let mut c = Client::anonymous();
        c.says("CWD incoming", "250 Directory successfully changed.");
        let (_, data) = c.begin(&format!("STOR {taken}"));
        let path = format!("/srv/ftp/incoming/{taken}");
        if taken {
            host.write(&path, "of another");
        }
        data.write(b"mine");
        let (reply, left) = if taken {
            ("451 Failure writing to local file.", "of another")
        } else {
            ("226 Transfer complete.", "mine")
        };
        c.next(reply);
        assert_eq!(host.read(&path), left.as_bytes());
        let partial = format!("/srv/ftp/incoming/.{taken}.uploading");
        assert_eq!(host.exists(&partial), taken);
    }
    ended(server);
}
