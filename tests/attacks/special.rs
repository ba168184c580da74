//! What is no ordinary file, and file systems that answer with errors (attacks B.4).

use crate::fault::Fault;
use crate::oracle::{all_is_well, whole};
use crate::sessions::{children, worker};
use crate::support::host::ALICE;
use crate::support::tls::{self, Ftps, ON, TLS13, offer};
use crate::support::{Client, Host, Server, wait};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

/// A FIFO, with somebody at its other end and without, a socket, a directory: refused at once by everything that would open it, and as they
/// were afterwards (attacks B-060, B-062).
#[test]
fn fifos_sockets_and_directories() {
    let host = Host::new();
    for name in ["fifo", "held"] {
        let path = format!("/home/alice/{name}");
        nix::unistd::mkfifo(path.as_str(), Mode::from_bits_truncate(0o666)).unwrap();
        host.own(&path, ALICE);
    }
    // Both ends: nobody would wait who opens it.
    let _held = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/home/alice/held")
        .unwrap();
    let _socket = UnixListener::bind("/home/alice/socket").unwrap();
    host.own("/home/alice/socket", ALICE);
    for (link, to) in [
        ("l1", "fifo"),
        ("l2", "held"),
        ("l3", "socket"),
        ("l4", "d"),
    ] {
        symlink(to, format!("/home/alice/{link}")).unwrap();
    }
    for lines in [
        "",
        "atomic_uploads=YES\n",
        "lock_upload_files=NO\ndelete_failed_uploads=YES\n",
    ] {
        let server = Server::start(&host, lines);
        let mut c = Client::alice();
        let begin = Instant::now();
        for path in ["fifo", "held", "socket", "d", "l1", "l2", "l3", "l4"] {
            for verb in ["RETR", "STOR", "APPE", "SIZE", "HASH", "XCRC"] {
                let (said, bytes) = whole(&mut c, &format!("{verb} {path}"), b"mine");
                assert!(said.starts_with("55"), "{lines}{verb} {path}: {said}");
                assert!(bytes.is_empty());
            }
            let (said, _) = whole(&mut c, &format!("MDTM {path}"), b"");
            assert!(said.starts_with(['2', '5']), "{path}: {said}");
            assert_eq!(c.cmd(&format!("MLST {path}")).code(), "250");
        }
        assert!(begin.elapsed() < Duration::from_secs(10));
        let kind = |name: &str| {
            std::fs::symlink_metadata(format!("/home/alice/{name}"))
                .unwrap()
                .file_type()
        };
        assert!(kind("fifo").is_fifo() && kind("held").is_fifo());
        assert!(kind("socket").is_socket() && kind("l1").is_symlink());
        drop(c);
        all_is_well(&server);
    }
}

/// Devices that an administrator has left in a jail are neither read nor written, however endless they are (attacks B-061).
#[test]
fn devices() {
    let host = Host::new();
    let nodes = [
        ("zero", 1, 5),
        ("random", 1, 8),
        ("mem", 1, 1),
        ("tty", 5, 0),
        ("console", 5, 1),
        ("full", 1, 7),
    ];
    for (name, major, minor) in nodes {
        let path = format!("/home/alice/{name}");
        let bits = Mode::from_bits_truncate(0o666);
        if mknod(path.as_str(), SFlag::S_IFCHR, bits, makedev(major, minor)).is_err() {
            return; // A container that may make none.
        }
        host.mode(&path, 0o666);
        host.own(&path, ALICE);
    }
    let server = Server::start(&host, "chroot_local_user=YES\nallow_writeable_chroot=YES\n");
    let mut c = Client::alice();
    for (name, _, _) in nodes {
        for verb in ["RETR", "STOR", "APPE", "SIZE", "HASH"] {
            let (said, bytes) = whole(&mut c, &format!("{verb} {name}"), b"mine");
            assert!(said.starts_with("55"), "{verb} {name}: {said}");
            assert!(bytes.is_empty());
        }
    }
    drop(c);
    all_is_well(&server);
}

/// The errors that file systems have.
const ERRORS: [&str; 8] = [
    "EPERM",
    "EDQUOT",
    "EROFS",
    "ETXTBSY",
    "ENAMETOOLONG",
    "ELOOP",
    "EISDIR",
    "EIO",
];

/// Every one of these calls of a worker's fails with every error, in the middle of these commands: none is told to be done, and alice's file is as it
/// was, unless it is `lost`: an upload that fails on its way has emptied what it replaces.
fn errors(lines: &str, calls: &[(&str, &[&str])], lost: &str) {
    let host = Host::new();
    // A call that strace answers itself has a number that no filter lets pass.
    let server = Server::start(&host, &format!("seccomp_sandbox=NO\n{lines}"));
    let worker = || {
        let [helper] = children(server.pid())[..] else {
            return None;
        };
        let [worker] = children(helper)[..] else {
            return None;
        };
        Some(worker)
    };
    for (call, commands) in calls {
        for error in ERRORS {
            let mut c = Client::alice();
            let worker = wait("the worker", worker);
            c.says("TYPE I", "200 Switching to Binary mode.");
            for command in *commands {
                if command.starts_with("RNTO") {
                    c.says("RNFR f", "350 Ready for RNTO.");
                }
                let fault = Fault::threads(worker, call, error);
                let (said, bytes) = whole(&mut c, command, b"other");
                drop(fault);
                // A link on the way is that: it is walked part by part then, and entered by other calls.
                if (error, *command) == ("ELOOP", "CWD d") {
                    continue;
                }
                // Where strace does not know fchmodat2(2) the mode is changed by it, truly.
                let mode = std::fs::metadata("/home/alice/f").unwrap().mode() & 0o777;
                if said.starts_with("200") && mode == 0o600 {
                    host.mode("/home/alice/f", 0o644);
                    continue;
                }
                assert!(
                    said.starts_with(['4', '5']),
                    "{call} {error} {command}: {said}"
                );
                assert!(bytes.is_empty(), "{call} {error} {command}");
            }
            drop(c);
            wait("the session to go", || {
                children(server.pid()).is_empty().then_some(())
            });
            let kept = host.read("/home/alice/f") == b"hello world\n";
            assert!(kept || *call == lost, "{call} {error}");
            host.file("/home/alice/f", b"hello world\n");
        }
    }
    all_is_well(&server);
}

const WRITE: &str = "write,splice,pwrite64,pwritev2";

/// Whatever error a file system answers a change or a look with, no client is told that it was done (attacks B-068).
#[test]
fn errors_of_every_call() {
    errors(
        "",
        &[
            (
                "openat2",
                &["RETR f", "STOR f", "APPE f", "CWD d", "MKD d/x", "HASH f"],
            ),
            ("mkdirat", &["MKD new"]),
            ("unlinkat", &["DELE f", "RMD empty"]),
            ("renameat,renameat2", &["RNTO moved"]),
            ("ftruncate", &["STOR f"]),
            ("fchmodat,fchmod,?fchmodat2", &["SITE CHMOD 600 f"]),
            ("utimensat", &["MFMT 20200101000000 f"]),
            ("getdents64", &["MLSD"]),
            (WRITE, &["STOR f", "APPE f"]),
            ("fstat,newfstatat,statx", &["SIZE f", "MDTM f", "RNFR f"]),
        ],
        WRITE,
    );
}

/// The same of uploads that are to be whole or not at all, and on the disk (attacks B-068).
#[test]
fn errors_of_atomic_uploads() {
    errors(
        "atomic_uploads=YES\nfsync_uploads=YES\n",
        &[
            ("openat2", &["STOR f", "STOU f"]),
            ("renameat,renameat2", &["STOR f", "STOR new"]),
            ("fsync,fdatasync", &["STOR f", "STOR new"]),
            (WRITE, &["STOR f", "STOR new"]),
            ("fstat,newfstatat,statx", &["STOR f"]),
        ],
        "",
    );
}

/// Filters of containers forbid calls that are younger than they, with EPERM.
#[test]
fn a_new_name_where_a_filter_forbids_renameat2() {
    let host = Host::new();
    let server = Server::start(&host, "seccomp_sandbox=NO\natomic_uploads=YES\n");
    let mut c = Client::alice();
    let worker = worker(&server, ALICE);
    let fault = Fault::threads(worker, "renameat2", "EPERM");
    assert_eq!(c.store("APPE new", b"new").code(), "226");
    assert!(fault.answered() > 0);
    drop(fault);
    assert_eq!(host.read("/home/alice/new"), b"new");
    assert!(!host.exists("/home/alice/.new.uploading"));
}

/// Where a server of files keeps no locks nobody knows whether what has a hidden name is being written: it stays, as do all beside it.
#[test]
fn what_may_be_being_written_where_there_are_no_locks() {
    let host = Host::new();
    host.mkdir("/home/alice/box", ALICE);
    let server = Server::start(&host, "seccomp_sandbox=NO\natomic_uploads=YES\n");
    let mut other = Client::alice();
    let worker = worker(&server, ALICE);
    let mut c = Client::alice();
    let (_, data) = c.begin("STOR box/new");
    let fault = Fault::threads(worker, "fcntl", "ENOLCK");
    other.says("RMD box", "550 Remove directory operation failed.");
    assert!(fault.answered() > 0);
    drop(fault);
    data.write(b"whole");
    c.next("226 Transfer complete.");
    assert_eq!(host.read("/home/alice/box/new"), b"whole");
}

/// Of a directory that lists as full no entry is looked at when it cannot be removed: it may be a large one, and far away.
#[test]
fn a_full_directory_is_not_looked_through() {
    let host = Host::new();
    host.mkdir("/home/alice/box", ALICE);
    host.file("/home/alice/box/seen", b"");
    let server = Server::start(&host, "seccomp_sandbox=NO\natomic_uploads=YES\n");
    let mut c = Client::alice();
    let fault = Fault::of_file(worker(&server, ALICE), "newfstatat", "EIO", "seen");
    c.says("RMD box", "550 Remove directory operation failed.");
    assert_eq!(fault.answered(), 0);
}

/// A directory that a disk, or a server of files, cannot open is no empty one: who keeps a copy of it would remove all of that.
#[test]
fn a_directory_that_cannot_be_opened() {
    let host = Host::new();
    // A call that strace answers itself has a number that no filter lets pass.
    let server = Server::start(&host, "seccomp_sandbox=NO\nls_recurse_enable=YES\n");
    let mut c = Client::alice();
    let worker = worker(&server, ALICE);
    for (error, told) in [
        ("EIO", "451 "),
        ("ESTALE", "451 "),
        ("EMFILE", "451 "),
        ("EACCES", "226 "),
        ("ENOENT", "226 "),
    ] {
        for command in ["LIST d", "NLST d", "LIST", "NLST", "LIST -R d"] {
            let fault = Fault::threads(worker, "openat2", error);
            let (said, bytes) = whole(&mut c, command, b"");
            assert!(fault.answered() > 0, "{error} {command}");
            drop(fault);
            assert!(said.starts_with(told), "{error} {command}: {said}");
            assert!(bytes.is_empty(), "{error} {command}");
        }
    }
    let fault = Fault::threads(worker, "openat2", "EIO");
    let said = c.cmd("STAT d").text();
    drop(fault);
    assert!(said.contains("213 Status is incomplete"), "{said}");
    drop(c);
    all_is_well(&server);
}

/// An entry that is there and whose facts a disk, or a server of files, does not give, or a directory below that it cannot open, is told of
/// behind all others: who keeps a copy would remove what is missing. One that has gone, or that this user may not see, is not.
#[test]
fn entries_and_directories_below_that_cannot_be_seen() {
    let host = Host::new();
    // A call that strace answers itself has a number that no filter lets pass.
    let server = Server::start(
        &host,
        "seccomp_sandbox=NO\nls_recurse_enable=YES\nmode_z_enable=YES\n",
    );
    let mut c = Client::alice();
    let worker = worker(&server, ALICE);
    let looks = "newfstatat";
    for (error, told, status) in [
        ("EIO", "451 ", "213 Status is incomplete"),
        ("EUCLEAN", "451 ", "213 Status is incomplete"),
        ("ENOTCONN", "451 ", "213 Status is incomplete"),
        ("ENOENT", "226 ", "213 End of status"),
        ("EACCES", "226 ", "213 End of status"),
    ] {
        // Of one entry, the last one.
        for command in ["LIST", "MLSD", "LIST -R", "STAT ."] {
            let fault = Fault::of_file(worker, looks, error, "lnk");
            let (said, text) = if command == "STAT ." {
                let said = c.cmd(command).text().to_owned();
                assert!(said.contains(status), "{error}: {said}");
                (told.to_owned(), said.into_bytes())
            } else {
                whole(&mut c, command, b"")
            };
            assert!(fault.answered() > 0, "{error} {command}");
            drop(fault);
            assert!(said.starts_with(told), "{error} {command}: {said}");
            let text = String::from_utf8_lossy(&text);
            assert!(text.contains("asc\r\n"), "{error} {command}: {text}");
            assert!(!text.contains("lnk"), "{error} {command}: {text}");
        }
        let fault = Fault::threads(worker, "openat2", &format!("{error}:when=2"));
        let (said, text) = whole(&mut c, "LIST -R d", b"");
        assert!(fault.answered() > 0, "{error}");
        drop(fault);
        assert!(said.starts_with(told), "{error}: {said}");
        assert!(text.ends_with(b"sub\r\n"), "{}", text.escape_ascii());
    }
    // A compressed one has them all, too.
    c.says("MODE Z", "200 Mode set to Z.");
    for command in ["LIST", "MLSD"] {
        let fault = Fault::of_file(worker, looks, "EIO", "lnk");
        let (said, packed) = whole(&mut c, command, b"");
        drop(fault);
        assert!(said.starts_with("451 "), "{command}: {said}");
        let mut text = String::new();
        let mut stream = flate2::read::ZlibDecoder::new(packed.as_slice());
        stream.read_to_string(&mut text).unwrap();
        assert!(text.contains("asc\r\n"), "{command}: {text}");
    }
    drop(c);
    all_is_well(&server);
}

/// Under TLS all others are there too, and the end that would say that this is all is not.
#[test]
fn an_entry_that_cannot_be_seen_under_tls() {
    let host = Host::new();
    tls::certificate(&host);
    let server = Server::start(&host, &format!("{ON}seccomp_sandbox=NO\n"));
    let mut c = Ftps::alice(offer(TLS13, None));
    let worker = worker(&server, ALICE);
    for command in ["LIST", "MLSD"] {
        let fault = Fault::of_file(worker, "newfstatat", "EIO", "lnk");
        let mut data = c.begin(command);
        let mut text = Vec::new();
        let error = data.read_to_end(&mut text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(fault.answered() > 0, "{command}");
        drop(fault);
        assert!(String::from_utf8_lossy(&text).contains("asc\r\n"));
        assert!(c.reply().starts_with("451 "), "{command}");
    }
}
