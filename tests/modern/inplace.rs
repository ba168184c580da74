//! atomic_uploads where a new file cannot stand for what is there: what others have left, mounts, attributes.

use crate::support::host::{ALICE, BOB, FTP, bind};
use crate::support::{Client, Host, Server};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

const ON: &str = "atomic_uploads=YES\nlocal_umask=022\n";
const NO: &str = "553 Could not create file.";

/// What a broken upload of this owner has left.
fn left(host: &Host, path: &str, owner: u32, mode: u32) {
    host.write(path, "12345");
    host.own(path, owner);
    host.mode(path, mode);
}

/// An attribute of chattr(1); false where the file system has none.
fn attribute(path: &str, set: bool) -> bool {
    const APPEND: libc::c_long = 0x20;
    const SET: libc::Ioctl = 0x4008_6602;
    let file = std::fs::File::open(path).unwrap();
    let flags = if set { APPEND } else { 0 };
    // SAFETY: an open file and a number that outlives the call.
    unsafe { libc::ioctl(file.as_raw_fd(), SET, &raw const flags) == 0 }
}

/// SIZE tells how much of an upload has come, and the rest is sent: where that cannot be put behind it, the file would have got zeroes for its
/// beginning, or be its end alone, and the client was told 226. There SIZE tells nothing, so that all of it is sent.
#[test]
fn the_rest_does_not_go_without_the_beginning() {
    let host = Host::new();
    let shared = |name: &str, mode| {
        let place = format!("/home/alice/{name}");
        host.mkdir(&place, 0);
        host.mode(&place, mode);
        format!("{place}/.x.uploading")
    };
    left(&host, &shared("sticky", 0o1777), BOB, 0o644);
    left(&host, &shared("open", 0o777), BOB, 0o644);
    left(&host, &shared("own", 0o777), ALICE, 0o444);
    let shut = shared("shut", 0o755);
    host.mkdir("/home/alice/shut", 0);
    left(&host, &shut, BOB, 0o644);
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    c.says("TYPE I", "200 Switching to Binary mode.");
    for name in ["sticky", "open", "own", "shut"] {
        c.says(&format!("SIZE {name}/x"), "550 Could not get file size.");
        c.says("REST 5", "350 Restart position accepted (5).");
        c.refused(&format!("STOR {name}/x"), NO);
        c.refused(&format!("APPE {name}/x"), NO);
        assert!(!host.exists(&format!("/home/alice/{name}/x")), "{name}");
        assert_eq!(
            host.read(&format!("/home/alice/{name}/.x.uploading")),
            b"12345"
        );
    }
    crate::logged("what a broken upload of it has left is not this user's to write to");
    // All of it can be sent.
    for name in ["sticky", "open", "own"] {
        assert_eq!(c.store(&format!("STOR {name}/x"), b"whole").code(), "226");
        assert_eq!(host.read(&format!("/home/alice/{name}/x")), b"whole");
    }
}

/// The same where the owner is another by the server's own doing.
#[test]
fn what_was_given_away_is_not_gone_on_from() {
    let host = Host::new();
    let given =
        "anon_upload_enable=YES\nchown_uploads=YES\nchown_username=bob\natomic_uploads=YES\n";
    for more in ["", "anon_other_write_enable=YES\n"] {
        let _server = Server::start(&host, &format!("{given}{more}"));
        left(&host, "/srv/ftp/incoming/.x.uploading", BOB, 0o600);
        let mut c = Client::anonymous();
        c.says("TYPE I", "200 Switching to Binary mode.");
        c.says("SIZE incoming/x", "550 Could not get file size.");
        c.says("REST 5", "350 Restart position accepted (5).");
        c.refused("STOR incoming/x", NO);
        assert!(!host.exists("/srv/ftp/incoming/x"));
        assert_eq!(c.store("STOR incoming/x", b"whole").code(), "226");
        assert_eq!(host.read("/srv/ftp/incoming/x"), b"whole");
        assert!(!host.exists("/srv/ftp/incoming/.x.uploading"));
        std::fs::remove_file("/srv/ftp/incoming/x").unwrap();
    }
}

/// A link where the hidden name belongs is not followed, not even to make what it names.
#[test]
fn a_link_in_the_hidden_name_s_place_makes_nothing() {
    let host = Host::new();
    symlink("nowhere-yet", "/home/alice/.x.uploading").unwrap();
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    c.refused("STOR x", NO);
    assert!(!host.exists("/home/alice/nowhere-yet"));
}

/// A mount of the same file system has the same device number, and no file can be renamed over it.
#[test]
fn a_file_that_is_mounted_over_one_of_its_own_file_system() {
    let host = Host::new();
    host.file("/home/alice/source", b"old");
    bind(Path::new("/home/alice/source"), Path::new("/home/alice/f"));
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    assert_eq!(c.store("STOR f", b"new").code(), "226");
    assert_eq!(host.read("/home/alice/source"), b"new");
    assert!(!host.exists("/home/alice/.f.uploading"));
}

/// Names can be made in a directory with that attribute (chattr +a), and none be taken away: every upload ended in 451, its bytes under a
/// name that nobody could remove.
#[test]
fn what_may_only_be_added_to() {
    let host = Host::new();
    host.mkdir("/home/alice/box", ALICE);
    if !attribute("/home/alice/box", true) {
        return;
    }
    assert!(attribute("/home/alice/f", true));
    let given = "anon_upload_enable=YES\n";
    host.own("/srv/ftp/incoming", FTP);
    assert!(attribute("/srv/ftp/incoming", true));
    let _server = Server::start(&host, &format!("{ON}{given}"));
    let mut c = Client::alice();
    assert_eq!(c.store("STOR box/new", b"new").code(), "226");
    assert_eq!(host.read("/home/alice/box/new"), b"new");
    // As without the option, before any byte is sent.
    c.refused("STOR f", NO);
    assert!(!host.exists("/home/alice/.f.uploading"));
    let mut guest = Client::anonymous();
    assert_eq!(guest.store("STOR incoming/new", b"new").code(), "226");
    let names = |place: &str| std::fs::read_dir(place).unwrap().count();
    assert_eq!(
        (names("/home/alice/box"), names("/srv/ftp/incoming")),
        (1, 1)
    );
    for path in ["/home/alice/box", "/home/alice/f", "/srv/ftp/incoming"] {
        attribute(path, false);
    }
}

/// What SITE CHMOD has done to a file while a new one of that name comes is not undone.
#[test]
fn a_mode_that_is_changed_meanwhile() {
    let host = Host::new();
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    let mut other = Client::alice();
    let (_, data) = c.begin("STOR f");
    other.says("SITE CHMOD 600 f", "200 SITE CHMOD command ok.");
    data.write(b"new");
    c.next("226 Transfer complete.");
    let meta = std::fs::metadata("/home/alice/f").unwrap();
    assert_eq!(host.read("/home/alice/f"), b"new");
    assert_eq!(meta.mode() & 0o777, 0o600);
}

/// A server that was killed could not remove what there was of an upload; the next one that fails does.
#[test]
fn a_failed_upload_goes_with_what_an_earlier_one_has_left() {
    let host = Host::new();
    let hidden = "/home/alice/.f.uploading";
    left(&host, hidden, ALICE, 0o644);
    let _server = Server::start(&host, &format!("{ON}delete_failed_uploads=YES\n"));
    let mut c = Client::alice();
    let (_, data) = c.begin("STOR f");
    data.reset();
    assert_eq!(c.reply().code(), "426");
    assert!(!host.exists(hidden));
    assert_eq!(host.read("/home/alice/f"), b"hello world\n");
}

/// What is sent through a link goes on from what lies where that leads, and SIZE knows as much.
#[test]
fn a_broken_upload_behind_a_link() {
    let host = Host::new();
    symlink("goal", "/home/alice/leads").unwrap();
    left(&host, "/home/alice/.goal.uploading", ALICE, 0o644);
    symlink("shut", "/home/alice/closed").unwrap();
    left(&host, "/home/alice/.shut.uploading", BOB, 0o644);
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    c.says("SIZE leads", "213 5");
    c.says("SIZE closed", "550 Could not get file size.");
    assert_eq!(c.store("APPE leads", b"67").code(), "226");
    assert_eq!(host.read("/home/alice/goal"), b"1234567");
    c.refused("APPE closed", NO);
    assert!(!host.exists("/home/alice/shut"));
}

/// In a directory that has been closed since, a leftover is in nobody's way: it made every upload of a file that is there fail after its last
/// byte.
#[test]
fn a_leftover_in_a_directory_that_was_closed_since() {
    let host = Host::new();
    left(&host, "/home/alice/d/.1.uploading", ALICE, 0o644);
    left(&host, "/home/alice/d/.new.uploading", ALICE, 0o644);
    host.own("/home/alice/d", 0);
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    assert_eq!(c.store("STOR d/1", b"in place").code(), "226");
    assert_eq!(host.read("/home/alice/d/1"), b"in place");
    c.refused("STOR d/new", NO);
    c.refused("APPE d/new", NO);
    for name in ["1", "new"] {
        assert_eq!(
            host.read(&format!("/home/alice/d/.{name}.uploading")),
            b"12345"
        );
    }
}

/// A file that cannot be given away (it has two names) is refused, and as it was.
#[test]
fn who_is_refused_has_changed_no_mode() {
    let host = Host::new();
    host.write("/srv/ftp/incoming/two", "two");
    host.own("/srv/ftp/incoming/two", FTP);
    host.mode("/srv/ftp/incoming/two", 0o640);
    std::fs::hard_link("/srv/ftp/incoming/two", "/srv/ftp/incoming/names").unwrap();
    let _server = Server::start(
        &host,
        "anon_upload_enable=YES\nanon_other_write_enable=YES\nchown_uploads=YES\nchown_username=bob\n",
    );
    let mut c = Client::anonymous();
    for command in ["STOR", "APPE"] {
        c.refused(&format!("{command} incoming/two"), NO);
    }
    let meta = std::fs::metadata("/srv/ftp/incoming/two").unwrap();
    assert_eq!(meta.mode() & 0o777, 0o640);
}

/// Who may make new files only makes none behind a link, as without the option.
#[test]
fn a_link_is_the_end_for_who_makes_new_files_only() {
    let host = Host::new();
    symlink("elsewhere", "/srv/ftp/incoming/leads").unwrap();
    let upload = "anon_upload_enable=YES\n";
    let _server = Server::start(&host, &format!("{ON}{upload}"));
    let mut c = Client::anonymous();
    c.refused("STOR incoming/leads", NO);
    assert!(!host.exists("/srv/ftp/incoming/elsewhere"));
}

/// With `fs.protected_symlinks`, which most systems set, the kernel lets nobody follow what another user has put into a directory where
/// everybody may write; nor is it followed on the way to the hidden name.
#[test]
fn a_link_that_another_user_has_planted() {
    let host = Host::new();
    let set = std::fs::read_to_string("/proc/sys/fs/protected_symlinks").unwrap_or_default();
    host.mkdir("/home/alice/all", 0);
    host.mode("/home/alice/all", 0o1777);
    symlink("../f", "/home/alice/all/planted").unwrap();
    std::os::unix::fs::lchown("/home/alice/all/planted", Some(BOB), Some(BOB)).unwrap();
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    if set.trim() == "1" {
        c.refused("STOR all/planted", NO);
        assert_eq!(host.read("/home/alice/f"), b"hello world\n");
    } else {
        assert_eq!(c.store("STOR all/planted", b"new").code(), "226");
        assert_eq!(host.read("/home/alice/f"), b"new");
    }
}

/// A path that ends where no longer one can be said has no room for the hidden name.
#[test]
fn a_path_as_long_as_paths_can_be() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        &format!("{ON}chroot_local_user=YES\nallow_writeable_chroot=YES\n"),
    );
    let mut c = Client::alice();
    // 16 directories of 254 bytes are 4080 with their slashes.
    let name = "d".repeat(254);
    for _ in 0..16 {
        assert_eq!(c.cmd(&format!("MKD {name}")).code(), "257");
        c.says(
            &format!("CWD {name}"),
            "250 Directory successfully changed.",
        );
    }
    for length in 1..16 {
        let name = "x".repeat(length);
        assert_eq!(
            c.store(&format!("STOR {name}"), b"new").code(),
            "226",
            "{length}"
        );
        c.says(&format!("SIZE {name}"), "213 3");
    }
}

/// What cannot be deleted though it should be is told of: in a drop box with the sticky bit it is not this session's any more.
#[test]
fn a_failed_upload_that_stays_is_told_of() {
    let host = Host::new();
    host.own("/srv/ftp/incoming", 0);
    host.mode("/srv/ftp/incoming", 0o1777);
    let given = "anon_upload_enable=YES\nchown_uploads=YES\nchown_username=bob\n";
    let more = format!("{given}delete_failed_uploads=YES\n");
    let _server = Server::start(&host, &more);
    let mut c = Client::anonymous();
    let (_, data) = c.begin("STOR incoming/new");
    data.reset();
    assert_eq!(c.reply().code(), "426");
    assert!(host.exists("/srv/ftp/incoming/new"));
    crate::logged("cannot remove what a failed upload has left: Operation not permitted; in a");
}

/// What a broken upload of a file has left is not taken for that file once it was deleted or renamed, or another has its name: APPE went on from
/// it, and SIZE told of it.
#[test]
fn a_leftover_goes_with_its_name() {
    let host = Host::new();
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    let cases: [(&[&str], &str); 3] = [
        (&["DELE f"], "550 Could not get file size."),
        (&["RNFR f", "RNTO moved"], "550 Could not get file size."),
        (&["RNFR asc", "RNTO f"], "213 10"),
    ];
    for (commands, size) in cases {
        host.file("/home/alice/f", b"old");
        host.touch("/home/alice/f", 981_173_106);
        left(&host, "/home/alice/.f.uploading", ALICE, 0o644);
        c.says("SIZE f", "550 Could not get file size.");
        for command in commands {
            assert!(["250", "350"].contains(&c.cmd(command).code()), "{command}");
        }
        c.says("SIZE f", size);
        assert!(!host.exists("/home/alice/.f.uploading"), "{commands:?}");
    }
    assert_eq!(c.store("APPE f", b"new").code(), "226");
    assert_eq!(host.read("/home/alice/f"), b"l1\nl2\r\nl3\nnew");
    // One that is being written stays, and gets its name.
    let (_, mut data) = c.begin("STOR f");
    data.stream.write_all(b"whole").unwrap();
    Client::alice().says("DELE f", "250 Delete operation successful.");
    drop(data);
    c.next("226 Transfer complete.");
    assert_eq!(host.read("/home/alice/f"), b"whole");
}

/// A directory in which a client has deleted all that it sees can be removed.
#[test]
fn a_directory_of_leftovers_is_removed() {
    let host = Host::new();
    host.mkdir("/home/alice/batch", ALICE);
    for name in ["one", "two"] {
        left(
            &host,
            &format!("/home/alice/batch/.{name}.uploading"),
            ALICE,
            0o644,
        );
    }
    host.file("/home/alice/batch/seen", b"");
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    let no = "550 Remove directory operation failed.";
    c.says("RMD batch", no);
    crate::logged("cannot do it: Directory not empty; listings need not show all that is there");
    assert!(host.exists("/home/alice/batch/.one.uploading"));
    c.says("DELE batch/seen", "250 Delete operation successful.");
    // Not while one is being written.
    let (_, mut data) = c.begin("STOR batch/three");
    data.stream.write_all(b"whole").unwrap();
    Client::alice().says("RMD batch", no);
    assert!(host.exists("/home/alice/batch/.one.uploading"));
    drop(data);
    c.next("226 Transfer complete.");
    c.says("DELE batch/three", "250 Delete operation successful.");
    c.says("RMD batch", "250 Remove directory operation successful.");
    assert!(!host.exists("/home/alice/batch"));
}

/// Who gives a file the hidden name of its own has it there: it was told 250, and had lost the file.
#[test]
fn a_file_that_is_given_a_hidden_name() {
    let host = Host::new();
    left(&host, "/home/alice/.asc.uploading", ALICE, 0o644);
    let _server = Server::start(&host, ON);
    let mut c = Client::alice();
    let mut rename = |from: &str, to: &str| {
        c.says(&format!("RNFR {from}"), "350 Ready for RNTO.");
        c.says(&format!("RNTO {to}"), "250 Rename successful.");
    };
    rename("f", "../alice/.f.uploading");
    assert_eq!(host.read("/home/alice/.f.uploading"), b"hello world\n");
    // Nor is anything given up where nothing was renamed.
    rename("asc", "asc");
    assert!(host.exists("/home/alice/.asc.uploading"));
}

/// The directory above the root is the root, and cannot be removed: what broken uploads have left there was, all the same.
#[test]
fn a_root_of_leftovers_is_not_emptied() {
    let host = Host::new();
    std::fs::remove_dir_all("/home/alice").unwrap();
    host.mkdir("/home/alice", ALICE);
    left(&host, "/home/alice/.x.uploading", ALICE, 0o644);
    let chroot = "chroot_local_user=YES\nallow_writeable_chroot=YES\n";
    let _server = Server::start(&host, &format!("{ON}{chroot}"));
    let mut c = Client::alice();
    for path in ["..", "/..", "../", "/", "."] {
        let failed = "550 Remove directory operation failed.";
        c.says(&format!("RMD {path}"), failed);
        assert!(host.exists("/home/alice/.x.uploading"), "{path}");
    }
}

/// Each upload that is complete leaves all that wait for it with another file than they had opened; who had waited for eight was refused.
#[test]
fn many_uploads_of_one_name_at_once() {
    let host = Host::new();
    let _server = Server::start(&host, ON);
    let clients: Vec<_> = (0..16).map(|_| Client::alice()).collect();
    let threads: Vec<_> = clients
        .into_iter()
        .map(|mut c| std::thread::spawn(move || c.store("STOR same", b"whole").text()))
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), "226 Transfer complete.");
    }
    assert_eq!(host.read("/home/alice/same"), b"whole");
}

/// What another session puts in the place of the file again and again is replaced as any other, whichever of them is seen: an upload was
/// refused after its last byte, or written in place.
#[test]
fn a_file_that_others_replace_all_the_time() {
    let host = Host::new();
    let _server = Server::start(&host, ON);
    let (mut c, mut other) = (Client::alice(), Client::alice());
    std::thread::scope(|scope| {
        let replacing = scope.spawn(|| {
            for _ in 0..3000 {
                host.file("/home/alice/other", b"other");
                other.says("RNFR other", "350 Ready for RNTO.");
                other.says("RNTO f", "250 Rename successful.");
            }
        });
        while !replacing.is_finished() {
            let log = || std::fs::read_to_string("/var/log/vsftpd.log").unwrap();
            assert_eq!(c.store("STOR f", b"new").code(), "226", "{}", log());
        }
    });
    let log = std::fs::read_to_string("/var/log/vsftpd.log").unwrap();
    assert!(!log.contains("it is written in place"));
}
