//! Places that are no ordinary files: file systems that are the kernel's own word, that never end, that never answer, or that lose bytes.

use crate::sessions::{back_to_base, logged_in};
use crate::support::fuse::{Fault, Fuse};
use crate::support::host::{ALICE, tmpfs};
use crate::support::{Client, DEADLINE, Host, Server, log, wait};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

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

/// B-018, B-022, B-026: a directory without an end is read until the client says ABOR or leaves, and hears NOOP meanwhile (attacks B-025).
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

/// The same over the control connection, where nothing is heard meanwhile: it is not read for who has left (attacks B-026).
#[test]
fn a_directory_that_never_ends_for_stat() {
    let host = Host::new();
    host.mkdir("/home/alice/odd", ALICE);
    let server = Server::start(&host, "ls_recurse_enable=YES\n");
    let Some(_odd) = Fuse::mount("/home/alice/odd", Fault::Endless) else {
        return;
    };
    for command in ["STAT odd", "STAT -R odd", "STAT odd/x*"] {
        let mut c = Client::alice();
        c.send(format!("{command}\r\n").as_bytes());
        drop(c);
        back_to_base(&server);
    }
}

/// B-024: names so long that a worker has no room for as many as there may be: the listing fails, and the session goes on.
#[test]
fn a_directory_of_long_names() {
    let host = Host::new();
    host.mkdir("/home/alice/odd", ALICE);
    let server = Server::start(&host, "");
    let Some(_odd) = Fuse::mount("/home/alice/odd", Fault::Wordy) else {
        return;
    };
    let mut c = Client::alice();
    let (_, mut data) = c.begin("NLST odd");
    assert_eq!(data.read(), b"");
    c.next("451 Failure reading local file.");
    let reason = "the directory has too many entries";
    wait("the reason", || {
        let text = std::fs::read_to_string(log::VSFTPD).unwrap();
        text.contains(reason).then_some(())
    });
    c.says("NOOP", "200 NOOP ok.");
    drop(c);
    back_to_base(&server);
}

/// B-024: an entry whose facts a disk or a server of files does not give is missing from the listing, which is told: a mirror would remove its
/// copy. The others are listed; names alone need no facts.
#[test]
fn a_directory_with_an_entry_that_fails() {
    let host = Host::new();
    host.mkdir("/home/alice/odd", ALICE);
    let _server = Server::start(&host, "ls_recurse_enable=YES\n");
    let Some(_odd) = Fuse::mount("/home/alice/odd", Fault::Worn) else {
        return;
    };
    let mut c = Client::alice();
    for (command, end) in [
        ("NLST odd", "226 Directory send OK."),
        ("LIST odd", "451 Failure reading local file."),
        ("LIST -R odd", "451 Failure reading local file."),
        ("MLSD odd", "451 Failure reading local file."),
    ] {
        let (_, mut data) = c.begin(command);
        let text = String::from_utf8(data.read()).unwrap();
        c.next(end);
        assert!(text.contains("n000000000\r\n"), "{command}: {text}");
        let whole = text.contains("n000000001");
        assert_eq!(whole, end.starts_with("226"), "{command}: {text}");
    }
    let status = c.cmd("STAT odd");
    assert!(status.text().contains("n000000000\r\n"), "{status:?}");
    assert!(
        status.text().contains("213 Status is incomplete"),
        "{status:?}"
    );
    wait("the reasons", || {
        let text = std::fs::read_to_string(log::VSFTPD).unwrap();
        (text.matches("local file: I/O error").count() == 4).then_some(())
    });
}

/// A jail where only its user may search, and root nothing, as in a home of mode 0700 on a server of NFS: it is entered with the user's rights.
/// SUSE's vsftpd does so with an option (allow_root_squashed_chroot); the original says `500 OOPS: chroot`.
#[test]
fn a_jail_that_knows_no_root() {
    let host = Host::new();
    let lines = "chroot_local_user=YES\nallow_writeable_chroot=YES\n";
    let server = Server::start(&host, lines);
    let Some(odd) = Fuse::mount("/home/alice", Fault::Squashing) else {
        return;
    };
    assert!(std::env::set_current_dir("/home/alice").is_err());
    let mut c = Client::alice();
    c.says("PWD", "257 \"/\" is the current directory");
    assert_eq!(c.fetch("NLST"), b"");
    c.says("CWD /home", "550 Failed to change directory.");
    let (_, worker) = logged_in(&server, ALICE);
    let status = std::fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
    assert!(
        status.contains("Uid:\t1001\t1001\t1001\t1001\n"),
        "{status}"
    );
    drop((c, odd));
    back_to_base(&server);
}

/// B-003: a home on a file system that does not answer. Its client is told in time, others are served, and nothing is left when it does.
/// See attacks B-018.
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

/// A command that waits for a file system that hangs outlives no timeout: the process that does it notices nothing, its client's end neither, but
/// helper sees that it does nothing any more.
#[test]
fn a_command_that_is_never_done() {
    let host = Host::new();
    host.mkdir("/home/alice/odd", ALICE);
    let lines = "idle_session_timeout=1\ndata_connection_timeout=1\n";
    let server = Server::start(&host, lines);
    let Some(odd) = Fuse::mount("/home/alice/odd", Fault::Silent) else {
        return;
    };
    assert!(std::fs::metadata("/home/alice/odd").unwrap().is_dir());
    let mut c = Client::alice();
    let (helper, _) = logged_in(&server, ALICE);
    odd.fall_silent();
    c.send(b"SIZE odd/x\r\n");
    // Longer than a handshake may take.
    let begun = Instant::now();
    while there(helper) {
        assert!(begun.elapsed() < 4 * DEADLINE, "the helper does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = std::fs::read_to_string(log::VSFTPD).unwrap();
    assert!(log.contains("worker does nothing any more"), "{log}");
    drop((c, odd));
    back_to_base(&server);
}

/// A file whose reading is interrupted each time it is tried keeps nobody from ABOR, and no checksum outlives its client: without the mend
/// it was tried for ever, by the thread that hears the client.
#[test]
fn a_file_that_is_never_read() {
    let host = Host::new();
    host.mkdir("/home/alice/odd", ALICE);
    let server = Server::start(&host, "ascii_download_enable=YES\n");
    let Some(_odd) = Fuse::mount("/home/alice/odd", Fault::Restless) else {
        return;
    };
    for kind in ["TYPE I", "TYPE A"] {
        let mut c = Client::alice();
        assert_eq!(c.cmd(kind).code(), "200");
        let (_, data) = c.begin("RETR odd/x");
        c.says("NOOP", "200 NOOP ok.");
        c.says("ABOR", "426 Failure writing network stream.");
        c.next("226 ABOR successful.");
        drop((data, c));
        back_to_base(&server);
    }
    let mut c = Client::alice();
    c.send(b"HASH odd/x\r\n");
    drop(c);
    back_to_base(&server);
}

/// A client that goes away while its file gives nothing is noticed, and its session ends: by the end of both its connections, and at once
/// when the control connection is reset. Until then it is heard.
#[test]
fn a_file_that_gives_nothing() {
    let host = Host::new();
    host.mkdir("/home/alice/odd", ALICE);
    let server = Server::start(&host, "data_connection_timeout=1\n");
    let begun = |fault| {
        let odd = Fuse::mount("/home/alice/odd", fault)?;
        let mut c = Client::alice();
        let (_, data) = c.begin("RETR odd/x");
        c.says("NOOP", "200 NOOP ok.");
        Some((odd, c, data))
    };
    let Some((odd, c, data)) = begun(Fault::Mute) else {
        return;
    };
    drop((c, data));
    back_to_base(&server);
    drop(odd);
    let (odd, c, data) = begun(Fault::Mute).unwrap();
    c.reset();
    back_to_base(&server);
    drop((data, odd));
    // A thread that cannot be ended holds up nobody else: the server has done with that session.
    let (odd, c, data) = begun(Fault::Deaf).unwrap();
    let (helper, worker) = logged_in(&server, ALICE);
    wait("the read", || odd.files().waited_for.then_some(()));
    c.reset();
    wait("the helper to end", || (!there(helper)).then_some(()));
    assert!(there(worker));
    Client::alice().says("PWD", "257 \"/home/alice\" is the current directory");
    drop((data, odd));
    back_to_base(&server);
}

/// What holds for a download's file holds for an upload's: one whose writing is interrupted each time it is tried keeps nobody from ABOR, and
/// a client that goes away while its file takes nothing is noticed. Without the mend small uploads were the control thread's, which
/// heard nobody meanwhile, and large ones were tried for ever.
#[test]
fn a_file_that_takes_nothing() {
    let host = Host::new();
    host.mkdir("/home/alice/odd", ALICE);
    let server = Server::start(&host, "data_connection_timeout=1\n");
    let begun = |size| {
        let mut c = Client::alice();
        let (_, mut data) = c.begin("APPE odd/x");
        data.stream.write_all(&vec![b'x'; size]).unwrap();
        c.says("NOOP", "200 NOOP ok.");
        (c, data)
    };
    let Some(odd) = Fuse::mount("/home/alice/odd", Fault::Restless) else {
        return;
    };
    for size in [1, 100_000] {
        let (mut c, data) = begun(size);
        c.says("ABOR", "426 Failure reading network stream.");
        c.next("226 ABOR successful.");
        drop((data, c));
        back_to_base(&server);
        drop(begun(size));
        back_to_base(&server);
    }
    drop(odd);
    for size in [1, 100_000] {
        let odd = Fuse::mount("/home/alice/odd", Fault::Deaf).unwrap();
        let (c, data) = begun(size);
        let (helper, worker) = logged_in(&server, ALICE);
        wait("the write", || odd.files().waited_for.then_some(()));
        drop((c, data));
        wait("the helper to end", || (!there(helper)).then_some(()));
        assert!(there(worker));
        Client::alice().says("PWD", "257 \"/home/alice\" is the current directory");
        drop(odd);
        back_to_base(&server);
    }
}

/// Whether there is such a process.
fn there(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// A file system that makes files and does not let them be opened: STOU took what it had made itself for somebody else's, and made the
/// next, ten thousand in all (attacks B-056).
#[test]
fn a_file_that_is_never_opened() {
    let host = Host::new();
    host.mkdir("/home/alice/odd", ALICE);
    let _server = Server::start(&host, "");
    let Some(odd) = Fuse::mount("/home/alice/odd", Fault::Reluctant) else {
        return;
    };
    let mut c = Client::alice();
    c.refused("STOU odd/x", "553 Could not create file.");
    assert_eq!(odd.files().made, 1);
    assert!(odd.files().there.is_empty(), "{:?}", odd.files().there);
    wait("the reason in the log", || {
        let log = std::fs::read_to_string("/var/log/vsftpd.log").unwrap_or_default();
        let why =
            "cannot create the file: Interrupted system call; the file system breaks off each call";
        log.contains(why).then_some(())
    });
    // Under its own name it may be there before: nothing is removed.
    c.refused("STOR odd/y", "553 Could not create file.");
    assert_eq!(odd.files().there, ["y"]);
}

/// A disk that has less room than it says, as a thinly provisioned one.
struct Thin;

impl Thin {
    const PLACE: &'static str = "/home/alice/thin";

    /// 32 MiB, of which there are eight; `None` where the kernel makes no disk of a file.
    fn mount(host: &Host) -> Option<Thin> {
        if !Path::new("/dev/loop-control").exists() {
            return None;
        }
        for place in ["/mnt/thin", Thin::PLACE] {
            host.mkdir(place, ALICE);
        }
        tmpfs("/mnt/thin", "size=8m");
        let disk = "/mnt/thin/disk";
        File::create(disk).unwrap().set_len(32 << 20).unwrap();
        let make: [&[&str]; 2] = [
            &["mkfs.ext4", "-q", "-F", "-O", "^has_journal", disk],
            &["mount", "-o", "loop", disk, Thin::PLACE],
        ];
        for words in make {
            let done = Command::new(words[0]).args(&words[1..]).output().unwrap();
            assert!(done.status.success(), "{words:?}: {done:?}");
        }
        host.own(Thin::PLACE, ALICE);
        Some(Thin)
    }
}

impl Drop for Thin {
    fn drop(&mut self) {
        let _ = umount2(Thin::PLACE, MntFlags::MNT_DETACH);
    }
}

/// What the kernel has taken and could not bring to disk is known by the end of a long upload, and is no success, whether the disk is to
/// hold all of it by then or not: without the mend close(2) was the last to be asked, and it does not say (attacks B-068).
#[test]
fn a_disk_that_loses_what_it_has_taken() {
    let host = Host::new();
    let Some(_thin) = Thin::mount(&host) else {
        return;
    };
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let bytes = vec![7; 16 << 20];
    let (_, mut data) = c.begin("STOR thin/x");
    data.stream.write_all(&bytes).unwrap();
    let path = "/home/alice/thin/x";
    wait("the bytes to be taken", || {
        (std::fs::metadata(path).unwrap().len() == bytes.len() as u64).then_some(())
    });
    // As the kernel does it by itself when it has waited long enough.
    let _ = nix::unistd::syncfs(File::open(Thin::PLACE).unwrap());
    data.write(b"the end");
    c.next("451 Failure writing to local file.");
    let last = log::vsftpd(3).pop().unwrap();
    assert!(last.contains("FAIL UPLOAD"), "{last}");
    assert_eq!(c.store("STOR whole", &bytes).code(), "226");
}
