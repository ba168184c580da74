//! Names that change under a session: swapped while files are written, given away or renamed, and renamed by two at once (attacks B.1).

use crate::oracle::{Canary, all_is_well};
use crate::support::host::{ALICE, BOB, FTP, tmpfs};
use crate::support::{Client, Host, Server};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

/// Two names change places.
fn exchange(one: &str, other: &str) {
    renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE).unwrap();
}

/// The name of an upload is a file, a link to the outside, a FIFO and a directory in turns, as fast as somebody can change it: nothing outside
/// is written or opened, and nothing hangs (attacks B-005, B-004).
#[test]
fn an_upload_whose_name_changes() {
    const TRIES: usize = 700;
    let host = Host::new();
    let canary = Canary::new(&host);
    host.mkdir("/home/alice/own", ALICE);
    host.mkdir("/home/alice/in/e", ALICE);
    host.own("/home/alice/in", ALICE);
    host.file("/home/alice/in/f", b"mine");
    symlink("../../../srv/canary/open", "/home/alice/in/l").unwrap();
    symlink("/srv/canary/fifo", "/home/alice/in/m").unwrap();
    symlink("../../../srv/canary", "/home/alice/bait").unwrap();
    nix::unistd::mkfifo("/home/alice/in/p", nix::sys::stat::Mode::S_IRWXU).unwrap();
    host.own("/home/alice/in/p", ALICE);
    for atomic in ["", "atomic_uploads=YES\n"] {
        let lines = format!(
            "chroot_local_user=YES\nallow_writeable_chroot=YES\naccept_timeout=5\n{atomic}"
        );
        let server = Server::start(&host, &lines);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // The last component, and the one before it.
                for other in ["l", "p", "m", "e"].iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let other = format!("/home/alice/in/{other}");
                    exchange("/home/alice/in/f", &other);
                    exchange("/home/alice/in", "/home/alice/bait");
                    exchange("/home/alice/in", "/home/alice/bait");
                    exchange("/home/alice/in/f", &other);
                }
            });
            let mut c = Client::alice();
            let mut stored = 0;
            for number in 0..TRIES {
                let mut data = c.passive();
                let verb = ["STOR", "APPE"][number % 2];
                c.send(format!("{verb} in/f\r\n").as_bytes());
                let first = c.reply();
                if first.code() == "150" {
                    let _ = data.write_all(b"mine");
                    drop(data);
                    let last = c.reply();
                    assert!(["226", "451"].contains(&last.code()), "{}", last.text());
                    stored += usize::from(last.code() == "226");
                } else {
                    assert!(["553", "450"].contains(&first.code()), "{}", first.text());
                }
            }
            stop.store(true, Ordering::Relaxed);
            assert!(stored > 0);
        });
        canary.untouched();
        all_is_well(&server);
    }
}

/// An upload is given away as the file that was opened, whatever has its name by then: what somebody puts there, as soon as it is made or
/// when it is written, keeps its owner and its mode (attacks B-006).
#[test]
fn an_upload_swapped_when_it_is_given_away() {
    let host = Host::new();
    let canary = Canary::new(&host);
    let lines =
        "anon_upload_enable=YES\nchown_uploads=YES\nchown_username=bob\nchown_upload_mode=0640\n";
    let server = Server::start(&host, lines);
    let owner = |path: &str| {
        let meta = fs::symlink_metadata(path).unwrap();
        (meta.uid(), meta.mode() & 0o777)
    };
    host.write("/srv/roots", "root's");
    let roots = owner("/srv/roots");
    let (up, moved) = ("/srv/ftp/incoming/up", "/srv/ftp/incoming/moved");
    let mut c = Client::anonymous();
    let mut given = 0;
    for number in 0..300 {
        let _ = fs::remove_file(up);
        let _ = fs::remove_file(moved);
        let port = c.epsv();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // At the first moment at which it is there.
                while !stop.load(Ordering::Relaxed) && fs::rename(up, moved).is_err() {
                    std::hint::spin_loop();
                }
                let _ = match number % 3 {
                    0 => symlink("/srv/roots", up),
                    1 => fs::hard_link("/srv/roots", up),
                    _ => fs::hard_link(moved, up),
                };
            });
            let mut data = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            let first = c.cmd("STOR incoming/up");
            if first.code() == "150" {
                data.write_all(b"mine").unwrap();
                drop(data);
                let last = c.reply();
                assert!(last.code().starts_with(['2', '4']), "{}", last.text());
            } else {
                // It has two names by then.
                assert_eq!(first.text(), "553 Could not create file.");
                assert!(!host.exists(moved) || owner(moved).0 == FTP, "{number}");
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(owner("/srv/roots"), roots, "{number}");
        // What could not be given away is no upload, and may be gone.
        if !host.exists(moved) {
            continue;
        }
        let now = owner(moved);
        assert!([FTP, BOB].contains(&now.0), "{now:?}");
        given += usize::from(now == (BOB, 0o640));
    }
    assert!(given > 0);
    assert_eq!(host.read("/srv/roots"), b"root's");
    canary.untouched();
    drop(c);
    all_is_well(&server);
}

const READY: &str = "350 Ready for RNTO.";
const DONE: &str = "250 Rename successful.";
const NOT_DONE: &str = "550 Rename failed.";

/// Renames across file systems, onto directories, onto itself, into itself, of the root: refused without a loss. A source that was named is
/// kept until it is used, relative to where it was named, as the original keeps it (attacks B-011).
#[test]
fn renames_that_must_lose_nothing() {
    let host = Host::new();
    host.mkdir("/home/alice/other-fs", ALICE);
    tmpfs("/home/alice/other-fs", "mode=777");
    let server = Server::start(&host, "chroot_local_user=YES\nallow_writeable_chroot=YES\n");
    let mut c = Client::alice();
    for (from, to, end) in [
        ("f", "other-fs/f", NOT_DONE),
        ("d", "other-fs/d", NOT_DONE),
        ("f", "empty", NOT_DONE),
        ("f", "d", NOT_DONE),
        ("d", "f", NOT_DONE),
        ("empty", "d", NOT_DONE),
        ("f", "f", DONE),
        ("d", "d/sub/x", NOT_DONE),
        ("d", "d/x", NOT_DONE),
        ("/", "x", NOT_DONE),
        (".", "x", NOT_DONE),
        ("..", "x", NOT_DONE),
        ("f", "", NOT_DONE),
        ("f", "/", NOT_DONE),
        ("f", "none/x", NOT_DONE),
        ("f", "f/x", NOT_DONE),
        ("other-fs", "moved", NOT_DONE),
    ] {
        c.says(&format!("RNFR {from}"), READY);
        c.says(&format!("RNTO {to}"), end);
        c.says("RNTO again", "503 RNFR required first.");
        assert_eq!(host.read("/home/alice/f"), b"hello world\n", "{from} {to}");
        assert_eq!(host.read("/home/alice/d/sub/z"), b"z", "{from} {to}");
    }
    assert_eq!(fs::read_dir("/home/alice/other-fs").unwrap().count(), 0);
    c.says("RNFR f", READY);
    for _ in 0..5 {
        c.says("CWD d", "250 Directory successfully changed.");
        c.says("CDUP", "250 Directory successfully changed.");
    }
    c.says("CWD d", "250 Directory successfully changed.");
    c.says("RNTO moved", DONE);
    assert_eq!(host.read("/home/alice/d/moved"), b"hello world\n");
    drop(c);
    all_is_well(&server);
}

/// Two sessions rename one file to and fro: there is one of it at the end, and every success was one (attacks B-011).
#[test]
fn renames_of_two_sessions() {
    const TIMES: usize = 400;
    let host = Host::new();
    let server = Server::start(&host, "");
    let done = std::thread::scope(|scope| {
        let runs = ["RNFR f\r\nRNTO g\r\n", "RNFR g\r\nRNTO f\r\n"].map(|text| {
            let mut c = Client::alice();
            scope.spawn(move || {
                let mut done = 0;
                for _ in 0..TIMES {
                    c.send(text.as_bytes());
                    let (first, second) = (c.reply(), c.reply());
                    assert!(["350", "550"].contains(&first.code()));
                    assert!(["250", "550", "503"].contains(&second.code()));
                    done += i64::from(second.code() == "250");
                }
                done
            })
        });
        runs.map(|run| run.join().unwrap())
    });
    let there = ["f", "g"].map(|name| host.exists(&format!("/home/alice/{name}")));
    assert!(there[0] != there[1], "{there:?}");
    assert_eq!(done[0] - done[1], i64::from(there[1]), "{done:?}");
    let name = if there[0] { "f" } else { "g" };
    assert_eq!(host.read(&format!("/home/alice/{name}")), b"hello world\n");
    all_is_well(&server);
}

/// Two sessions write one file at the same time, and others read it: with the lock it is one upload or the other, or both behind each other; without
/// it every byte is one of theirs, and no success is told of less than was sent (attacks B-016).
#[test]
fn two_sessions_and_one_file() {
    const LENGTH: usize = 3 << 20;
    let host = Host::new();
    for (lines, locked) in [
        ("", true),
        ("lock_upload_files=NO\n", false),
        ("atomic_uploads=YES\n", true),
    ] {
        let server = Server::start(&host, lines);
        for verb in ["STOR", "APPE"] {
            let _ = fs::remove_file("/home/alice/both");
            let told = std::thread::scope(|scope| {
                let runs = [b'a', b'b'].map(|byte| {
                    let mut c = Client::alice();
                    scope
                        .spawn(move || c.store(&format!("{verb} both"), &vec![byte; LENGTH]).text())
                });
                let mut c = Client::alice();
                let reads = scope.spawn(move || {
                    for _ in 0..5 {
                        let (_, bytes) = crate::oracle::whole(&mut c, "RETR both", b"");
                        assert!(bytes.iter().all(|byte| [0, b'a', b'b'].contains(byte)));
                    }
                });
                reads.join().unwrap();
                runs.map(|run| run.join().unwrap())
            });
            // Whoever came first without a lock is cut short by the other, and told so.
            let cut = usize::from(!locked && verb == "STOR");
            let done = told.iter().filter(|text| text.starts_with("226")).count();
            let failed = told.iter().filter(|text| text.starts_with("451")).count();
            assert!(
                failed <= cut && done + failed == 2,
                "{lines}{verb}: {told:?}"
            );
            let bytes = host.read("/home/alice/both");
            let all = if verb == "APPE" { 2 * LENGTH } else { LENGTH };
            assert_eq!(bytes.len(), all, "{lines}{verb}");
            let changes = bytes.windows(2).filter(|two| two[0] != two[1]).count();
            let most = usize::from(verb == "APPE");
            assert!(!locked || changes <= most, "{lines}{verb}: {changes}");
            assert!(bytes.iter().all(|byte| [b'a', b'b'].contains(byte)));
        }
        all_is_well(&server);
    }
}
