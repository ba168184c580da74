//! What a user may do with files: the options of src/config/options_files.rs that allow and forbid.

use super::{A_WHILE, CHANGED, DENIED, DONE, huge, with};
use crate::support::host::ALICE;
use crate::support::{Client, Host, Server};
use nix::fcntl::{FcntlArg, fcntl};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

const NOT_OPENED: &str = "550 Failed to open file.";
const NOT_CREATED: &str = "553 Could not create file.";
const READY: &str = "350 Ready for RNTO.";
const DELETED: &str = "250 Delete operation successful.";
const UNKNOWN_SITE: &str = "500 Unknown SITE command.";
const CHMOD_OK: &str = "200 SITE CHMOD command ok.";
const DATED: &str = "213 File modification time set.";
const NO_TIME: &str = "550 Could not get file modification time.";
const BINARY: (&str, &str) = ("TYPE I", "200 Switching to Binary mode.");
const ASCII: (&str, &str) = ("TYPE A", "200 Switching to ASCII mode.");

/// Permissions as `ls` and chmod(1) count them.
fn mode(path: &str) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn write_enable() {
    let host = Host::new();
    with(&host, "write_enable=YES\n", || {
        let mut c = Client::alice();
        assert_eq!(c.store("STOR new", b"x").text(), DONE);
        assert_eq!(c.store("APPE new", b"y").text(), DONE);
        c.script(&[
            ("MKD m", "257 \"/home/alice/m\" created"),
            ("RMD m", "250 Remove directory operation successful."),
            ("SITE CHMOD 600 new", CHMOD_OK),
            ("RNFR new", READY),
            ("RNTO newer", "250 Rename successful."),
            ("DELE newer", DELETED),
        ]);
    });
    // NO is the default.
    let _server = Server::exactly(&host, "listen=YES\nlocal_enable=YES\n", 21);
    let mut c = Client::alice();
    for command in ["MKD m", "RMD empty", "DELE f", "RNFR f", "RNTO g"] {
        c.says(command, DENIED);
    }
    for command in ["STOR f", "STOU", "APPE f"] {
        c.refused(command, DENIED);
    }
    c.script(&[
        ("SITE CHMOD 600 f", UNKNOWN_SITE),
        ("MDTM 20020304050607 f", NO_TIME),
        ("SITE UMASK", "200 Your current UMASK is 077"),
    ]);
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
}

#[test]
fn anon_upload_enable() {
    let host = Host::new();
    with(&host, "anon_upload_enable=YES\n", || {
        let mut c = Client::anonymous();
        assert_eq!(c.store("STOR incoming/x", b"x").text(), DONE);
        // It does not replace, nor anything else.
        c.refused("STOR incoming/x", NOT_CREATED);
        c.refused("APPE incoming/x", DENIED);
        c.says("DELE incoming/x", DENIED);
    });
    assert_eq!(host.read("/srv/ftp/incoming/x"), b"x");
    with(&host, "anon_upload_enable=YES\nwrite_enable=NO\n", || {
        Client::anonymous().refused("STOR incoming/y", DENIED);
    });
    with(&host, "", || {
        let mut c = Client::anonymous();
        c.refused("STOR incoming/y", DENIED);
        c.refused("STOU incoming/y", DENIED);
    });
    assert!(!host.exists("/srv/ftp/incoming/y"));
}

#[test]
fn anon_mkdir_write_enable() {
    let host = Host::new();
    with(&host, "anon_mkdir_write_enable=YES\n", || {
        let mut c = Client::anonymous();
        c.says("MKD incoming/d", "257 \"/incoming/d\" created");
        c.says("RMD incoming/d", DENIED);
        c.refused("STOR incoming/d/x", DENIED);
    });
    with(&host, "", || {
        Client::anonymous().says("MKD incoming/e", DENIED)
    });
    assert!(host.exists("/srv/ftp/incoming/d") && !host.exists("/srv/ftp/incoming/e"));
}

#[test]
fn anon_other_write_enable() {
    let host = Host::new();
    let write = || {
        host.write("/srv/ftp/incoming/x", "data");
        host.own("/srv/ftp/incoming/x", crate::support::host::FTP);
    };
    write();
    with(
        &host,
        "anon_other_write_enable=YES\nanon_upload_enable=YES\n",
        || {
            let mut c = Client::anonymous();
            assert_eq!(c.store("APPE incoming/x", b"!").text(), DONE);
            assert_eq!(host.read("/srv/ftp/incoming/x"), b"data!");
            assert_eq!(c.store("STOR incoming/x", b"new").text(), DONE);
            assert_eq!(host.read("/srv/ftp/incoming/x"), b"new");
            c.script(&[
                ("MDTM 20020304050607 incoming/x", DATED),
                ("RNFR incoming/x", READY),
                ("RNTO incoming/y", "250 Rename successful."),
                ("DELE incoming/y", DELETED),
                ("MKD incoming/d", DENIED),
            ]);
        },
    );
    write();
    with(&host, "anon_upload_enable=YES\n", || {
        let mut c = Client::anonymous();
        c.refused("APPE incoming/x", DENIED);
        c.refused("STOR incoming/x", NOT_CREATED);
        c.script(&[
            ("MDTM 20020304050607 incoming/x", NO_TIME),
            ("RNFR incoming/x", DENIED),
            ("RMD incoming", DENIED),
            ("DELE incoming/x", DENIED),
        ]);
    });
}

#[test]
fn anon_world_readable_only() {
    let host = Host::new();
    host.mkdir("/srv/ftp/hid", crate::support::host::FTP);
    host.write("/srv/ftp/hid/x", "x");
    host.mode("/srv/ftp/hid", 0o700);
    with(&host, "anon_world_readable_only=NO\n", || {
        let mut c = Client::anonymous();
        assert_eq!(c.fetch("RETR pub/priv"), b"no");
        assert_eq!(c.names("NLST hid"), ["hid/x"]);
    });
    with(&host, "", || {
        let mut c = Client::anonymous();
        c.refused("RETR pub/priv", NOT_OPENED);
        let (_, mut data) = c.begin("NLST hid");
        assert_eq!(data.read(), b"");
        c.next("226 Transfer done (but failed to open directory).");
        assert_eq!(c.fetch("RETR pub/file"), b"pubfile");
        // Users of the host go by permissions alone.
        host.mode("/home/alice/f", 0o600);
        assert_eq!(Client::alice().fetch("RETR f"), b"hello world\n");
    });
}

/// attacks B-066.
#[test]
fn anon_umask() {
    let host = Host::new();
    let rights = "anon_upload_enable=YES\nanon_mkdir_write_enable=YES\n";
    for (name, lines, file, directory) in [
        ("1", "anon_umask=027\n", 0o640, 0o750),
        ("2", "", 0o600, 0o700),
        // Not octal without the zero: 22 is 026.
        ("3", "anon_umask=22\n", 0o640, 0o751),
    ] {
        with(&host, &format!("{rights}{lines}local_umask=0\n"), || {
            let mut c = Client::anonymous();
            c.store(&format!("STOR incoming/f{name}"), b"x");
            c.cmd(&format!("MKD incoming/d{name}"));
        });
        assert_eq!(mode(&format!("/srv/ftp/incoming/f{name}")), file, "{lines}");
        assert_eq!(
            mode(&format!("/srv/ftp/incoming/d{name}")),
            directory,
            "{lines}"
        );
    }
}

/// attacks B-066.
#[test]
fn local_umask() {
    let host = Host::new();
    for (name, lines, file, directory) in [
        ("1", "local_umask=022\n", 0o644, 0o755),
        ("2", "", 0o600, 0o700),
        ("3", "local_umask=22\n", 0o640, 0o751),
    ] {
        with(&host, &format!("anon_umask=0\n{lines}"), || {
            let mut c = Client::alice();
            c.store(&format!("STOR f{name}"), b"x");
            c.cmd(&format!("MKD d{name}"));
        });
        assert_eq!(mode(&format!("/home/alice/f{name}")), file, "{lines}");
        assert_eq!(mode(&format!("/home/alice/d{name}")), directory, "{lines}");
    }
    with(&host, "local_umask=022\n", || {
        Client::alice().says("SITE UMASK", "200 Your current UMASK is 022");
    });
}

/// attacks B-066.
#[test]
fn file_open_mode() {
    let host = Host::new();
    for (name, lines, file) in [
        ("1", "file_open_mode=0777\n", 0o755),
        ("2", "file_open_mode=0604\n", 0o604),
        ("3", "", 0o644),
    ] {
        with(&host, &format!("local_umask=022\n{lines}"), || {
            Client::alice().store(&format!("STOR {name}"), b"x");
        });
        assert_eq!(mode(&format!("/home/alice/{name}")), file, "{lines}");
    }
}

#[test]
fn chmod_enable() {
    let host = Host::new();
    with(&host, "chmod_enable=NO\n", || {
        Client::alice().script(&[
            ("SITE CHMOD 600 f", UNKNOWN_SITE),
            ("SITE HELP", crate::files::site_help(false)),
        ]);
    });
    assert_eq!(mode("/home/alice/f"), 0o644);
    with(&host, "", || {
        Client::alice().script(&[
            ("SITE CHMOD 4601 f", CHMOD_OK),
            ("SITE HELP", crate::files::site_help(true)),
        ]);
    });
    assert_eq!(mode("/home/alice/f"), 0o601);
}

#[test]
fn mdtm_write() {
    let host = Host::new();
    with(&host, "mdtm_write=NO\n", || {
        Client::alice().script(&[
            ("MDTM 20020304050607 f", NO_TIME),
            ("MDTM f", "213 20010203040506"),
        ]);
    });
    with(&host, "", || {
        Client::alice().script(&[
            ("MDTM 20020304050607 f", DATED),
            ("MDTM f", "213 20020304050607"),
        ]);
    });
    assert_eq!(
        fs::metadata("/home/alice/f").unwrap().mtime(),
        1_015_218_367
    );
}

#[test]
fn delete_failed_uploads() {
    let host = Host::new();
    host.tiny("/home/alice/tiny", 64);
    let fail = |name: &str| {
        let mut c = Client::alice();
        let (_, mut data) = c.begin(&format!("STOR tiny/{name}"));
        // The server may close before all is sent.
        let _ = data.stream.write_all(&[b'x'; 1_000_000]);
        drop(data);
        c.next("451 Failure writing to local file.");
        c.says("NOOP", "200 NOOP ok.");
    };
    with(&host, "delete_failed_uploads=YES\n", || {
        fail("x");
        assert!(!host.exists("/home/alice/tiny/x"));
        assert_eq!(Client::alice().store("STOR tiny/ok", b"x").text(), DONE);
    });
    assert!(host.exists("/home/alice/tiny/ok"));
    with(&host, "", || {
        fail("y");
        assert!(host.exists("/home/alice/tiny/y"));
    });
}

/// The kind of lock somebody holds on a whole file (fcntl(2), F_GETLK).
fn lock(path: &str) -> libc::c_int {
    let file = File::open(path).unwrap();
    let mut range = whole(libc::F_WRLCK);
    fcntl(file.as_fd(), FcntlArg::F_GETLK(&mut range)).unwrap();
    range.l_type.into()
}

fn whole(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// attacks B-016.
#[test]
fn lock_upload_files() {
    let host = Host::new();
    huge("/home/alice/huge", 50_000_000);
    host.own("/home/alice/huge", ALICE);
    for (lines, up, down) in [
        ("lock_upload_files=NO\n", libc::F_UNLCK, libc::F_UNLCK),
        ("", libc::F_WRLCK, libc::F_RDLCK),
    ] {
        with(&host, lines, || {
            let mut c = Client::alice();
            let (_, upload) = c.begin("STOR up");
            assert_eq!(lock("/home/alice/up"), up, "{lines}");
            drop(upload);
            c.next(DONE);
            let (_, download) = c.begin("RETR huge");
            assert_eq!(lock("/home/alice/huge"), down, "{lines}");
            drop(download);
        });
    }
    // Somebody else's lock is waited for. This kind belongs to the descriptor, not to the test's process.
    let file = File::options().write(true).open("/home/alice/f").unwrap();
    fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&whole(libc::F_WRLCK))).unwrap();
    with(&host, "lock_upload_files=NO\n", || {
        assert_eq!(Client::alice().fetch("RETR f"), b"hello world\n");
    });
    with(&host, "", || {
        let mut c = Client::alice();
        let mut stream = c.passive();
        c.send(b"RETR f\r\n");
        c.quiet(A_WHILE);
        fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&whole(libc::F_UNLCK))).unwrap();
        assert_eq!(c.reply().code(), "150");
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut bytes).unwrap();
        assert_eq!(bytes, b"hello world\n");
    });
}

#[test]
fn download_enable() {
    let host = Host::new();
    with(&host, "download_enable=NO\n", || {
        let mut c = Client::alice();
        c.refused("RETR f", DENIED);
        assert_eq!(c.store("STOR up", b"x").text(), DONE);
    });
    with(&host, "", || {
        assert_eq!(Client::alice().fetch("RETR f"), b"hello world\n")
    });
}

#[test]
fn dirlist_enable() {
    let host = Host::new();
    with(&host, "dirlist_enable=NO\n", || {
        let mut c = Client::alice();
        for command in ["LIST", "NLST", "LIST f"] {
            c.refused(command, DENIED);
        }
        c.says("STAT .", DENIED);
        assert_eq!(c.cmd("STAT").code(), "211");
        assert_eq!(c.fetch("RETR f"), b"hello world\n");
    });
    with(&host, "", || {
        let mut c = Client::alice();
        assert_eq!(c.names("NLST d"), ["d/1", "d/2", "d/sub"]);
        assert_eq!(c.cmd("STAT .").code(), "213");
    });
}

#[test]
fn cmds_allowed() {
    let host = Host::new();
    with(&host, "cmds_allowed=PWD,QUIT\n", || {
        let mut c = Client::alice();
        super::at(&mut c, "/home/alice");
        for command in ["XPWD", "NOOP", "CWD d", "FOO"] {
            c.says(command, DENIED);
        }
        c.says("QUIT", "221 Goodbye.");
    });
    with(&host, "", || {
        Client::alice().script(&[
            ("CWD d", CHANGED),
            ("NOOP", "200 NOOP ok."),
            ("FOO", "500 Unknown command."),
        ]);
    });
}

#[test]
fn cmds_denied() {
    let host = Host::new();
    with(&host, "cmds_allowed=NOOP,CWD\ncmds_denied=CWD\n", || {
        Client::alice().script(&[("CWD d", DENIED), ("NOOP", "200 NOOP ok.")]);
    });
    with(&host, "cmds_denied=CWD\n", || {
        Client::alice().script(&[
            ("CWD d", DENIED),
            ("XCWD d", CHANGED),
            ("NOOP", "200 NOOP ok."),
        ]);
    });
    with(&host, "", || Client::alice().says("CWD d", CHANGED));
}

#[test]
fn deny_file() {
    let host = Host::new();
    host.file("/home/alice/x.exe", b"x");
    with(&host, "deny_file={*.exe,f}\n", || {
        let mut c = Client::alice();
        for command in ["SIZE x.exe", "DELE f", "MKD y.exe", "CWD f", "RNFR f"] {
            c.says(command, DENIED);
        }
        c.refused("RETR x.exe", DENIED);
        c.refused("STOR new.exe", DENIED);
        c.says("SIZE asc", "213 10");
        // They are still shown.
        assert!(c.names("NLST").contains(&"x.exe".to_owned()));
    });
    with(&host, "", || {
        Client::alice().script(&[("SIZE x.exe", "213 1"), ("DELE x.exe", DELETED)]);
    });
}

#[test]
fn hide_file() {
    let host = Host::new();
    with(&host, "hide_file={a*,dang}\n", || {
        let mut c = Client::alice();
        assert_eq!(c.names("NLST"), ["d", "empty", "f", "lnk", "other"]);
        // Whoever knows the name can use it.
        assert_eq!(c.fetch("RETR asc").len(), 10);
    });
    // A whole path is held against where a name is, not against how the client has written that.
    host.file("/home/alice/d/g", b"");
    with(
        &host,
        "hide_file={/home/alice/d/g,/home/alice/as*}\n",
        || {
            let mut c = Client::alice();
            let names = ["a b", "d", "dang", "empty", "f", "lnk", "other"];
            assert_eq!(c.names("NLST"), names);
            c.says("CWD d", "250 Directory successfully changed.");
            for command in ["NLST", "NLST .", "NLST /home/alice/d"] {
                let names = c.names(command);
                assert!(!names.iter().any(|name| name.ends_with('g')), "{names:?}");
            }
            assert!(
                !String::from_utf8(c.fetch("LIST"))
                    .unwrap()
                    .contains(" g\r\n")
            );
        },
    );
    with(&host, "", || {
        assert_eq!(
            Client::alice().names("NLST"),
            ["a b", "asc", "d", "dang", "empty", "f", "lnk", "other"]
        );
    });
}

#[test]
fn upload_file() {
    let host = Host::new();
    with(&host, "upload_file={*.txt}\n", || {
        let mut c = Client::alice();
        assert_eq!(c.store("STOR up.txt", b"x").text(), DONE);
        c.refused("STOR up.bin", DENIED);
        c.refused("APPE up.bin", DENIED);
        c.refused("STOU up.bin", DENIED);
        assert_eq!(c.fetch("RETR f"), b"hello world\n");
    });
    assert!(host.exists("/home/alice/up.txt") && !host.exists("/home/alice/up.bin"));
    // STOU: what counts is the name the file gets.
    with(&host, "upload_file={*.txt,STOU*}\n", || {
        let mut c = Client::alice();
        assert_eq!(c.store("STOU", b"x").text(), DONE);
        c.refused("STOU up.txt", DENIED);
        assert_eq!(c.store("STOU new.txt", b"x").text(), DONE);
    });
    with(&host, "deny_file={*.1}\n", || {
        let mut c = Client::alice();
        c.refused("STOU f", DENIED);
        assert_eq!(c.store("STOU fresh", b"x").text(), DONE);
    });
    with(&host, "deny_file={f}\n", || {
        assert_eq!(Client::alice().store("STOU f", b"x").text(), DONE);
    });
    for (name, there) in [
        ("STOU.1", true),
        ("up.txt.1", false),
        ("new.txt", true),
        ("fresh", true),
        ("f.1", true),
    ] {
        assert_eq!(host.exists(&format!("/home/alice/{name}")), there, "{name}");
    }
    with(&host, "", || {
        assert_eq!(Client::alice().store("STOR up.bin", b"x").text(), DONE);
    });
}

#[test]
fn download_file() {
    let host = Host::new();
    with(&host, "download_file={a*}\n", || {
        let mut c = Client::alice();
        assert_eq!(c.fetch("RETR asc").len(), 10);
        c.refused("RETR f", DENIED);
        c.says("SIZE f", "213 12");
        assert_eq!(c.store("STOR f", b"x").text(), DONE);
    });
    with(&host, "", || {
        assert_eq!(Client::alice().fetch("RETR f"), b"x")
    });
}

#[test]
fn ascii_download_enable() {
    let host = Host::new();
    with(&host, "ascii_download_enable=YES\n", || {
        let mut c = Client::alice();
        c.script(&[ASCII]);
        assert_eq!(c.fetch("RETR asc"), b"l1\r\nl2\r\nl3\r\n");
        c.script(&[BINARY]);
        assert_eq!(c.fetch("RETR asc"), b"l1\nl2\r\nl3\n");
    });
    with(&host, "", || {
        let mut c = Client::alice();
        c.script(&[ASCII]);
        assert_eq!(c.fetch("RETR asc"), b"l1\nl2\r\nl3\n");
    });
}

#[test]
fn ascii_upload_enable() {
    let host = Host::new();
    let text = b"a\r\nb\rc\n";
    with(&host, "ascii_upload_enable=YES\n", || {
        let mut c = Client::alice();
        c.script(&[ASCII]);
        c.store("STOR ascii", text);
        c.script(&[BINARY]);
        c.store("STOR binary", text);
    });
    with(&host, "", || {
        let mut c = Client::alice();
        c.script(&[ASCII]);
        c.store("STOR raw", text);
    });
    assert_eq!(host.read("/home/alice/ascii"), b"a\nb\rc\n");
    assert_eq!(host.read("/home/alice/binary"), text);
    assert_eq!(host.read("/home/alice/raw"), text);
}
