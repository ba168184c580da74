//! atomic_uploads: the old file stays whole until the new one is, whatever happens between.

use crate::clients::run;
use crate::support::host::{ALICE, BOB, FTP, bind, tmpfs};
use crate::support::{Client, Data, Host, Server, wait};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

const ON: &str = "atomic_uploads=YES\nlocal_umask=022\n";
const PARTIAL: &str = "/home/alice/.f.uploading";

/// An upload of which these bytes have reached the disk, and no more have been sent.
fn half(c: &mut Client, command: &str, path: &str, bytes: &[u8]) -> Data {
    let before = std::fs::metadata(path).map_or(0, |meta| meta.len());
    let (_, mut data) = c.begin(command);
    data.stream.write_all(bytes).unwrap();
    wait("the bytes", || {
        let now = std::fs::metadata(path).map_or(0, |meta| meta.len());
        (now >= bytes.len() as u64 && (now != before || before == bytes.len() as u64)).then_some(())
    });
    data
}

#[test]
fn the_old_file_is_whole_until_the_new_one_is() {
    let host = Host::new();
    host.mode("/home/alice/f", 0o604);
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    let data = half(&mut c, "STOR f", PARTIAL, b"new");
    assert_eq!(host.read("/home/alice/f"), b"hello world\n");
    assert_eq!(host.read(PARTIAL), b"new");
    let mut other = Client::alice();
    for command in ["LIST -a", "NLST -a", "MLSD"] {
        let text = String::from_utf8(other.fetch(command)).unwrap();
        assert!(!text.contains("uploading"), "{command}: {text}");
        assert!(text.contains("asc\r\n"), "{command}: {text}");
    }
    // Nobody who may replace it is to take its size for that of the upload.
    other.says("SIZE f", "550 Could not get file size.");
    other.says("MLST .f.uploading", "550 Could not get facts.");
    data.write(b" body");
    c.next("226 Transfer complete.");
    assert_eq!(host.read("/home/alice/f"), b"new body");
    assert!(!host.exists(PARTIAL));
    // The mode of the old file; the umask's for a new one.
    let mode = |path: &str| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode("/home/alice/f"), 0o604);
    assert_eq!(c.store("STOR fresh", b"x").code(), "226");
    assert_eq!(mode("/home/alice/fresh"), 0o644);
}

#[test]
fn a_broken_upload_is_resumed() {
    let host = Host::new();
    let _server = Server::start(&host, ON);
    for (resume, name) in [("REST", "one"), ("APPE", "two")] {
        let partial = format!("/home/alice/.{name}.uploading");
        let mut c = Client::alice();
        half(&mut c, &format!("STOR {name}"), &partial, b"12345").reset();
        assert_eq!(c.reply().code(), "426");
        assert!(!host.exists(&format!("/home/alice/{name}")));
        c.says(&format!("SIZE {name}"), "213 5");
        c.says("TYPE I", "200 Switching to Binary mode.");
        let end = if resume == "REST" {
            c.says("REST 5", "350 Restart position accepted (5).");
            c.store(&format!("STOR {name}"), b"6789")
        } else {
            c.store(&format!("APPE {name}"), b"6789")
        };
        assert_eq!(end.code(), "226");
        assert_eq!(host.read(&format!("/home/alice/{name}")), b"123456789");
        assert!(!host.exists(&partial));
    }
    // Over a file that is there: it goes on from where the partial ends.
    let mut c = Client::alice();
    half(&mut c, "STOR f", PARTIAL, b"12345").reset();
    assert_eq!(c.reply().code(), "426");
    c.says("REST 5", "350 Restart position accepted (5).");
    assert_eq!(c.store("STOR f", b"678").code(), "226");
    assert_eq!(host.read("/home/alice/f"), b"12345678");
    // What is whole is added to in place.
    assert_eq!(c.store("APPE f", b"9").code(), "226");
    c.says("REST 9", "350 Restart position accepted (9).");
    assert_eq!(c.store("STOR f", b"0").code(), "226");
    assert_eq!(host.read("/home/alice/f"), b"1234567890");
    // From the beginning: nothing of the partial is left.
    half(
        &mut c,
        "STOR gone",
        "/home/alice/.gone.uploading",
        b"long text",
    )
    .reset();
    assert_eq!(c.reply().code(), "426");
    assert_eq!(c.store("STOR gone", b"new").code(), "226");
    assert_eq!(host.read("/home/alice/gone"), b"new");
    // Given up.
    half(&mut c, "STOR left", "/home/alice/.left.uploading", b"x").reset();
    assert_eq!(c.reply().code(), "426");
    c.says("DELE left", "250 Delete operation successful.");
    assert!(!host.exists("/home/alice/.left.uploading"));
    c.says("DELE left", "550 Delete operation failed.");
    // A link is itself what is deleted, also where it leads to what is not complete.
    half(&mut c, "STOR goal", "/home/alice/.goal.uploading", b"x").reset();
    assert_eq!(c.reply().code(), "426");
    symlink("goal", "/home/alice/leads").unwrap();
    c.says("DELE leads", "250 Delete operation successful.");
    assert!(std::fs::symlink_metadata("/home/alice/leads").is_err());
    assert!(host.exists("/home/alice/.goal.uploading"));
}

/// A client asks how much of its broken upload has arrived, and goes on from there. What is there is another file: with its size lftp took the
/// upload for complete, or added the end of the new file to the old one.
#[test]
fn the_old_file_is_not_taken_for_the_beginning_of_the_new_one() {
    let host = Host::new();
    host.mkdir("/srv/users", 0);
    let _server = Server::start(&host, &format!("{ON}user_config_dir=/srv/users\n"));
    let mut c = Client::alice();
    c.says("TYPE I", "200 Switching to Binary mode.");
    c.says("SIZE f", "213 12");
    half(&mut c, "STOR f", PARTIAL, b"12345").reset();
    assert_eq!(c.reply().code(), "426");
    c.says("SIZE f", "550 Could not get file size.");
    crate::logged(
        "cannot look at the file or directory: an upload of it was broken off after 5 bytes",
    );
    c.refused("APPE f", "553 Could not create file.");
    c.says("REST 12", "350 Restart position accepted (12).");
    c.refused("STOR f", "553 Could not create file.");
    assert_eq!(host.read("/home/alice/f"), b"hello world\n");
    crate::logged("cannot create the file: an upload of it was broken off after 5 bytes");
    // Who may not replace it is told of what is there.
    host.write("/srv/users/alice", "write_enable=NO\n");
    let mut reader = Client::alice();
    reader.says("SIZE f", "213 12");
    reader.says("TYPE I", "200 Switching to Binary mode.");
    assert_eq!(reader.fetch("RETR f"), b"hello world\n");
    // Somebody has written to it since.
    std::fs::write("/home/alice/f", "another\n").unwrap();
    c.says("SIZE f", "213 8");
    assert_eq!(c.store("APPE f", b"more\n").code(), "226");
    assert_eq!(host.read("/home/alice/f"), b"another\nmore\n");
    assert_eq!(host.read(PARTIAL), b"12345");
}

#[test]
fn a_killed_worker_harms_nothing() {
    let host = Host::new();
    let server = Server::start(&host, ON);
    let mut c = Client::alice();
    let data = half(&mut c, "STOR f", PARTIAL, b"half");
    for pid in Server::processes() {
        if pid != server.pid() {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
    }
    drop(data);
    assert_eq!(host.read("/home/alice/f"), b"hello world\n");
    assert_eq!(host.read(PARTIAL), b"half");
    let mut c = Client::alice();
    assert_eq!(c.store("STOR f", b"whole").code(), "226");
    assert_eq!(host.read("/home/alice/f"), b"whole");
}

#[test]
fn a_full_disk_and_failed_uploads() {
    let host = Host::new();
    host.tiny("/home/alice/tiny", 64);
    host.file("/home/alice/tiny/f", b"old");
    let server = Server::start(&host, ON);
    let mut c = Client::alice();
    let (_, mut data) = c.begin("STOR tiny/f");
    let _ = data.stream.write_all(&vec![1; 1 << 20]);
    drop(data);
    assert_eq!(c.reply().code(), "451");
    assert_eq!(host.read("/home/alice/tiny/f"), b"old");
    assert!(host.exists("/home/alice/tiny/.f.uploading"));
    drop(server);
    std::fs::remove_file("/home/alice/tiny/.f.uploading").unwrap();
    let _server = Server::start(&host, &format!("{ON}delete_failed_uploads=YES\n"));
    let mut c = Client::alice();
    let (_, mut data) = c.begin("STOR tiny/f");
    let _ = data.stream.write_all(&vec![1; 1 << 20]);
    drop(data);
    assert_eq!(c.reply().code(), "451");
    assert_eq!(host.read("/home/alice/tiny/f"), b"old");
    assert!(!host.exists("/home/alice/tiny/.f.uploading"));
    half(&mut c, "STOR f", PARTIAL, b"half").reset();
    assert_eq!(c.reply().code(), "426");
    wait("the partial to go", || {
        (!host.exists(PARTIAL)).then_some(())
    });
    // ABOR is a failure like any other.
    let data = half(&mut c, "STOR f", PARTIAL, b"half");
    c.says("ABOR", "426 Failure reading network stream.");
    c.next("226 ABOR successful.");
    drop(data);
    assert!(!host.exists(PARTIAL));
    assert_eq!(host.read("/home/alice/f"), b"hello world\n");
}

/// No file is replaced that could not have been written, and none loses more than its contents.
#[test]
fn rights_are_those_of_a_write() {
    let host = Host::new();
    host.write("/home/alice/roots", "root's");
    host.write("/home/alice/open", "root's");
    host.mode("/home/alice/open", 0o666);
    host.file("/home/alice/readonly", b"r");
    host.mode("/home/alice/readonly", 0o444);
    host.file("/home/alice/two", b"t");
    std::fs::hard_link("/home/alice/two", "/home/alice/names").unwrap();
    host.mkdir("/home/alice/shut", 0);
    host.file("/home/alice/shut/f", b"old");
    symlink("nowhere-yet", "/home/alice/leads").unwrap();
    nix::unistd::mkfifo("/home/alice/fifo", nix::sys::stat::Mode::S_IRWXU).unwrap();
    host.own("/home/alice/fifo", ALICE);
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    let no = "553 Could not create file.";
    c.refused("STOR fifo", no);
    assert!(!host.exists("/home/alice/.fifo.uploading"));
    c.refused("STOR roots", no);
    c.refused("STOR readonly", no);
    c.refused("STOR d", no);
    c.refused("STOR shut/new", no);
    c.refused("STOR newname/", no);
    let inode = |path: &str| std::fs::symlink_metadata(path).unwrap().ino();
    for path in ["open", "two", "shut/f"] {
        let whole = format!("/home/alice/{path}");
        let before = inode(&whole);
        assert_eq!(
            c.store(&format!("STOR {path}"), b"in place").code(),
            "226",
            "{path}"
        );
        assert_eq!(inode(&whole), before, "{path}");
        assert_eq!(host.read(&whole), b"in place");
    }
    assert_eq!(host.read("/home/alice/names"), b"in place");
    // Links stay links, and lead to the new file.
    assert_eq!(c.store("STOR lnk", b"through").code(), "226");
    assert_eq!(host.read("/home/alice/f"), b"through");
    assert!(
        std::fs::symlink_metadata("/home/alice/lnk")
            .unwrap()
            .is_symlink()
    );
    assert_eq!(c.store("STOR leads", b"made").code(), "226");
    assert_eq!(host.read("/home/alice/nowhere-yet"), b"made");
    let log = crate::logged("atomic_uploads: a directory");
    assert_eq!(
        log.matches("atomic_uploads: a directory").count(),
        1,
        "{log}"
    );
    // A link in the partial's place is not followed.
    symlink("/home/alice/asc", "/home/alice/.trap.uploading").unwrap();
    c.refused("STOR trap", no);
    assert_eq!(host.read("/home/alice/asc"), b"l1\nl2\r\nl3\n");
    // The longest name there is has no room for a partial's.
    let long = "x".repeat(255);
    assert_eq!(c.store(&format!("STOR {long}"), b"long").code(), "226");
    assert_eq!(host.read(&format!("/home/alice/{long}")), b"long");
}

/// A file of another group than new ones have, as a web server's files often are, keeps that group: by a new file where the user is in it, in
/// place where not.
#[test]
fn the_group_of_the_old_file() {
    let host = Host::new();
    // Shared, and the anonymous account's.
    for (name, group) in [("mine", 2000), ("theirs", 105)] {
        let path = format!("/home/alice/{name}");
        host.file(&path, b"old");
        std::os::unix::fs::chown(&path, Some(ALICE), Some(group)).unwrap();
        host.mode(&path, 0o660);
    }
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    let meta = |path: &str| std::fs::symlink_metadata(path).unwrap();
    for (name, group, replaced) in [("mine", 2000, true), ("theirs", 105, false)] {
        let path = format!("/home/alice/{name}");
        let before = meta(&path).ino();
        assert_eq!(c.store(&format!("STOR {name}"), b"new").code(), "226");
        let after = meta(&path);
        assert_eq!(host.read(&path), b"new");
        assert_eq!((after.gid(), after.mode() & 0o777), (group, 0o660));
        assert_eq!(after.ino() != before, replaced, "{name}");
        assert!(!host.exists(&format!("/home/alice/.{name}.uploading")));
    }
}

/// attacks B-016.
#[test]
fn two_sessions_and_one_name() {
    let host = Host::new();
    let _server = Server::start(&host, &format!("{ON}data_connection_timeout=3\n"));
    let mut first = Client::alice();
    let mut second = Client::alice();
    let mut data = half(&mut first, "STOR f", PARTIAL, b"first");
    second.send(b"EPSV\r\n");
    assert_eq!(second.reply().code(), "229");
    second.send(b"STOR f\r\n");
    // What moves keeps the first alive longer than the second waits.
    let reply = loop {
        data.stream.write_all(b".").unwrap();
        second
            .stream()
            .set_read_timeout(Some(std::time::Duration::from_millis(100)))
            .unwrap();
        let mut one = [0];
        if second.stream().peek(&mut one).is_ok() {
            second
                .stream()
                .set_read_timeout(Some(crate::support::DEADLINE))
                .unwrap();
            break second.reply();
        }
    };
    assert_eq!(reply.text(), "450 File is in use by another session.");
    drop(data);
    first.next("226 Transfer complete.");
    assert!(host.read("/home/alice/f").starts_with(b"first."));
    assert_eq!(second.store("STOR f", b"second").code(), "226");
    assert_eq!(host.read("/home/alice/f"), b"second");
}

/// What lies under the hidden name by the end is another's: it does not get the target's name, and is told to nobody as the upload.
#[test]
fn another_file_in_the_partial_s_place_is_not_published() {
    let host = Host::new();
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    let data = half(&mut c, "STOR f", PARTIAL, b"new");
    std::fs::rename(PARTIAL, "/home/alice/moved").unwrap();
    host.file(PARTIAL, b"foreign");
    data.write(b" body");
    c.next("451 Failure writing to local file.");
    assert_eq!(host.read("/home/alice/f"), b"hello world\n");
    assert_eq!(host.read(PARTIAL), b"foreign");
    assert_eq!(host.read("/home/alice/moved"), b"new body");
}

/// A device that closes everything once it has sent its file looks like a killed client: the log tells both apart from a failure, and names the
/// option that hides or removes the file. One that says QUIT before is not mistaken.
#[test]
fn a_device_that_never_waits_is_told_of_in_the_log() {
    let host = Host::new();
    for (lines, name, cure) in [
        (ON, ".f.uploading", "keeps its hidden name (atomic_uploads)"),
        (
            "delete_failed_uploads=YES\n",
            "",
            "is deleted (delete_failed_uploads)",
        ),
        (
            "atomic_uploads=YES\ndelete_failed_uploads=YES\n",
            "",
            "is deleted (delete_failed_uploads)",
        ),
        ("", "f", "the file may be incomplete\""),
    ] {
        let _ = std::fs::remove_file("/home/alice/f");
        let _ = std::fs::remove_file("/var/log/vsftpd.log");
        let server = Server::start(&host, lines);
        let mut c = Client::alice();
        let (_, data) = c.begin("STOR f");
        // The kernel closes a killed client's connections in any order.
        c.stream().shutdown(std::net::Shutdown::Write).unwrap();
        data.write(b"new");
        c.next("426 Failure reading network stream.");
        let log = wait("the upload's line", || {
            let log = String::from_utf8(host.read("/var/log/vsftpd.log")).unwrap();
            log.contains("FAIL UPLOAD").then_some(log)
        });
        assert!(log.contains("and without QUIT"), "{log}");
        assert!(log.contains(cure), "{log}");
        let there = |path: &str| host.exists(&format!("/home/alice/{path}"));
        for path in ["f", ".f.uploading"] {
            assert_eq!(there(path), path == name, "{lines}{path}");
        }
        let _ = std::fs::remove_file(PARTIAL);
        let mut c = Client::alice();
        let (_, data) = c.begin("STOR f");
        c.send(b"QUIT\r\n");
        c.stream().shutdown(std::net::Shutdown::Write).unwrap();
        data.write(b"new");
        c.next("226 Transfer complete.");
        assert_eq!(host.read("/home/alice/f"), b"new");
        drop(server);
    }
}

/// Who has waited for another's upload goes on with what that has made of the file, and replaces none of it.
#[test]
fn what_waits_for_an_upload_sees_its_file() {
    let host = Host::new();
    let _server = Server::start(&host, &format!("{ON}log_ftp_protocol=YES\n"));
    for (offset, command, expected) in [
        (None, "APPE one", &b"abcdefXY"[..]),
        (Some("REST 2"), "STOR two", b"abXYef"),
        (None, "STOR three", b"XY"),
    ] {
        let (mut first, mut c) = (Client::alice(), Client::alice());
        let path = command.replace("APPE", "STOR");
        let (_, data) = first.begin(&path);
        if let Some(rest) = offset {
            assert_eq!(c.cmd(rest).code(), "350");
        }
        let mut second = c.passive();
        c.send(format!("{command}\r\n").as_bytes());
        wait("the command to be read", || {
            let log = host.read("/var/log/vsftpd.log");
            let log = String::from_utf8_lossy(&log).into_owned();
            let want = if path == command { 2 } else { 1 };
            (log.matches(&format!("\"{command}\"")).count() == want).then_some(())
        });
        // Answered while the lock is waited for.
        c.says("NOOP", "200 NOOP ok.");
        data.write(b"abcdef");
        assert_eq!(first.reply().code(), "226");
        assert_eq!(c.reply().code(), "150");
        second.write_all(b"XY").unwrap();
        drop(second);
        assert_eq!(c.reply().code(), "226");
        let name = command.rsplit(' ').next().unwrap();
        assert_eq!(host.read(&format!("/home/alice/{name}")), expected);
        assert!(!host.exists(&format!("/home/alice/.{name}.uploading")));
    }
}

/// Nothing can be renamed over a file that is mounted there, as containers have them.
#[test]
fn a_file_that_is_a_mount() {
    let host = Host::new();
    host.file("/srv/elsewhere", b"old");
    host.file("/home/alice/mounted", b"");
    bind(
        Path::new("/srv/elsewhere"),
        Path::new("/home/alice/mounted"),
    );
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    assert_eq!(c.store("STOR mounted", b"new").code(), "226");
    assert_eq!(host.read("/srv/elsewhere"), b"new");
    assert!(!host.exists("/home/alice/.mounted.uploading"));
}

/// What a broken upload of somebody else's has left makes the next upload of that name neither fail nor theirs.
#[test]
fn a_leftover_of_another_user_in_a_shared_directory() {
    let host = Host::new();
    // Where the kernel keeps what is whose in such directories itself, there is nothing to be seen (protected_regular).
    for (name, mode) in [("sticky", 0o1770), ("open", 0o770)] {
        let place = format!("/home/alice/{name}");
        host.mkdir(&place, 0);
        std::os::unix::fs::chown(&place, Some(0), Some(2000)).unwrap();
        host.mode(&place, mode);
        let left = format!("{place}/.x.uploading");
        host.write(&left, "half");
        std::os::unix::fs::chown(&left, Some(BOB), Some(2000)).unwrap();
        host.mode(&left, 0o664);
    }
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    for name in ["sticky", "open"] {
        let command = format!("STOR {name}/x");
        assert_eq!(c.store(&command, b"whole").code(), "226", "{command}");
        let path = format!("/home/alice/{name}/x");
        assert_eq!(host.read(&path), b"whole");
        assert_eq!(std::fs::metadata(&path).unwrap().uid(), ALICE, "{name}");
    }
    assert!(!host.exists("/home/alice/open/.x.uploading"));
}

/// Only their owner renames files in a directory with the sticky bit, as drop boxes have: what is given away is written under its own name there.
#[test]
fn a_drop_box_with_the_sticky_bit() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "atomic_uploads=YES\nanon_upload_enable=YES\nchown_uploads=YES\nchown_username=bob\n",
    );
    for (owner, mode) in [(0, 0o1777), (FTP, 0o1777), (0, 0o777)] {
        host.own("/srv/ftp/incoming", owner);
        host.mode("/srv/ftp/incoming", mode);
        let name = format!("/srv/ftp/incoming/{owner}-{mode:o}");
        let mut c = Client::anonymous();
        let command = format!("STOR incoming/{owner}-{mode:o}");
        assert_eq!(c.store(&command, b"box").code(), "226", "{command}");
        assert_eq!(std::fs::metadata(&name).unwrap().uid(), BOB);
        assert_eq!(host.read(&name), b"box");
    }
    let names = std::fs::read_dir("/srv/ftp/incoming").unwrap().count();
    assert_eq!(names, 3);
    let log = crate::logged("sticky");
    assert_eq!(log.matches("sticky").count(), 1, "{log}");
}

#[test]
fn anonymous_clients_replace_nothing() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "atomic_uploads=YES\nanon_upload_enable=YES\nchown_uploads=YES\nchown_username=bob\n",
    );
    let mut c = Client::anonymous();
    let partial = "/srv/ftp/incoming/.new.uploading";
    let data = half(&mut c, "STOR incoming/new", partial, b"an");
    // Given away before the first byte, as without the option.
    assert_eq!(std::fs::metadata(partial).unwrap().uid(), BOB);
    data.write(b"on");
    c.next("226 Transfer complete.");
    let meta = std::fs::metadata("/srv/ftp/incoming/new").unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o777), (BOB, 0o600));
    c.refused("STOR incoming/new", "553 Could not create file.");
    // Somebody else was quicker: what is there by then stays.
    let data = half(
        &mut c,
        "STOR incoming/race",
        "/srv/ftp/incoming/.race.uploading",
        b"slow",
    );
    host.write("/srv/ftp/incoming/race", "quick");
    data.write(b"er");
    assert_eq!(c.reply().code(), "451");
    assert_eq!(host.read("/srv/ftp/incoming/race"), b"quick");
    // A partial that was given away and left behind is in nobody's way.
    std::fs::remove_file("/srv/ftp/incoming/race").unwrap();
    assert_eq!(c.store("STOR incoming/race", b"again").code(), "226");
    assert_eq!(host.read("/srv/ftp/incoming/race"), b"again");
    // Its own file neither, and not only in the end.
    host.write("/srv/ftp/incoming/own", "own");
    host.own("/srv/ftp/incoming/own", FTP);
    c.refused("STOR incoming/own", "553 Could not create file.");
    assert_eq!(host.read("/srv/ftp/incoming/own"), b"own");
}

#[test]
fn off_by_default_and_synced_if_told_so() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let mut c = Client::alice();
    let data = half(&mut c, "STOR fresh", "/home/alice/fresh", b"seen");
    assert!(!host.exists("/home/alice/.fresh.uploading"));
    data.write(b"");
    c.next("226 Transfer complete.");
    drop(server);
    let _server = Server::start(
        &host,
        &format!("{ON}fsync_uploads=YES\nlock_upload_files=NO\n"),
    );
    let mut c = Client::alice();
    assert_eq!(c.store("STOR f", b"synced").code(), "226");
    assert_eq!(host.read("/home/alice/f"), b"synced");
    let (first, data) = c.begin("STOU");
    assert_eq!(first.text(), "150 FILE: STOU.1");
    data.write(b"u");
    c.next("226 Transfer complete.");
    let _ = ALICE;
}

/// With `fsync_uploads` no upload is told complete whose bytes the file system will not promise to keep, atomic or in place. Files of
/// mqueue(7) can be opened and closed, and do not know fsync(2) (attacks B-068).
#[test]
fn what_cannot_be_synced_is_no_success() {
    for atomic in ["", ON] {
        let host = Host::new();
        host.mkdir("/home/alice/q", ALICE);
        // Queues of their own: they outlive their mount otherwise, and count against the user's limit.
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWIPC).unwrap();
        nix::mount::mount(
            Some("mqueue"),
            "/home/alice/q",
            Some("mqueue"),
            nix::mount::MsFlags::empty(),
            None::<&str>,
        )
        .unwrap();
        std::fs::File::create("/home/alice/q/there").unwrap();
        host.own("/home/alice/q/there", ALICE);
        let settings = format!("{atomic}lock_upload_files=NO\n");
        let server = Server::start(&host, &settings);
        assert_eq!(Client::alice().store("APPE q/there", b"").code(), "226");
        drop(server);
        let _server = Server::start(&host, &format!("{settings}fsync_uploads=YES\n"));
        let mut c = Client::alice();
        let failed = "451 Failure writing to local file.";
        for command in ["APPE q/there", "STOU q/new", "STOR q/fresh"] {
            assert_eq!(c.store(command, b"").text(), failed, "{command}");
        }
        for command in ["STOR whole", "APPE f", "STOU"] {
            assert_eq!(c.store(command, b"x").code(), "226", "{command}");
        }
    }
}

/// The directory of a drop box cannot be read, and so not be synced by name: its uploads are no failures.
#[test]
fn a_drop_box_is_synced_too() {
    let host = Host::new();
    host.mode("/srv/ftp/incoming", 0o300);
    let _server = Server::start(
        &host,
        &format!("{ON}fsync_uploads=YES\nanon_upload_enable=YES\n"),
    );
    let mut c = Client::anonymous();
    assert_eq!(c.store("STOR incoming/gift", b"whole").code(), "226");
    assert_eq!(host.read("/srv/ftp/incoming/gift"), b"whole");
}

#[test]
fn lftp_resumes() {
    let host = Host::new();
    let _server = Server::start(&host, ON);
    let body: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut c = Client::alice();
    c.says("TYPE I", "200 Switching to Binary mode.");
    half(
        &mut c,
        "STOR body",
        "/home/alice/.body.uploading",
        &body[..150_000],
    )
    .reset();
    assert_eq!(c.reply().code(), "426");
    std::fs::create_dir_all("/mnt/local").unwrap();
    std::fs::write("/mnt/local/body", &body).unwrap();
    run(
        "lftp",
        &[
            "-c",
            "set ssl-allow no; set ftp:use-stat no; open -u alice,secret 127.0.0.1; put -c body",
        ],
    );
    assert_eq!(host.read("/home/alice/body"), body);
    assert!(!host.exists("/home/alice/.body.uploading"));
}

/// Over an old file, shorter, as long or longer: without the mend both took that for the beginning of the new one, and were told success.
#[test]
fn an_upload_over_an_old_file_is_sent_anew() {
    let host = Host::new();
    let _server = Server::start(&host, ON);
    let body: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::create_dir_all("/mnt/local").unwrap();
    std::fs::write("/mnt/local/body", &body).unwrap();
    let lftp = "set ssl-allow no; open -u alice,secret 127.0.0.1; put -c body";
    let curl = "ftp://alice:secret@127.0.0.1/body";
    for old in [10_000, body.len(), 100_000] {
        for (tool, words) in [
            ("lftp", &["-c", lftp][..]),
            ("curl", &["-sS", "-C", "-", "-T", "body", curl]),
        ] {
            host.file("/home/alice/body", &vec![b'o'; old]);
            let mut c = Client::alice();
            c.says("TYPE I", "200 Switching to Binary mode.");
            let hidden = "/home/alice/.body.uploading";
            half(&mut c, "STOR body", hidden, &body[..20_000]).reset();
            assert_eq!(c.reply().code(), "426");
            run(tool, words);
            assert!(
                host.read("/home/alice/body") == body,
                "{tool}, over {old} bytes"
            );
            assert!(!host.exists(hidden));
        }
    }
}

/// Why there is no hidden file is told as it is of others: without the mend the log had no reason.
#[test]
fn no_room_for_the_hidden_file() {
    let host = Host::new();
    host.mkdir("/home/alice/full", ALICE);
    tmpfs("/home/alice/full", "mode=777,nr_inodes=1");
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    let _waits = c.passive();
    c.says("STOR full/new", "553 Could not create file.");
    c.says("QUIT", "221 Goodbye.");
    wait("the reason in the log", || {
        let log = String::from_utf8(host.read("/var/log/vsftpd.log")).unwrap();
        log.contains("cannot create the file: No space left on device")
            .then_some(())
    });
}
