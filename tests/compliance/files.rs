//! Commands that look at and change files: SIZE, MDTM, MKD, RMD, DELE, RNFR, SITE, and their gates (reference 3.4, 5.8).

use crate::support::host::ALICE;
use crate::support::{Client, Host, Server, wait};
use std::os::unix::fs::MetadataExt;

const DENIED: &str = "550 Permission denied.";
const NO_TIME: &str = "550 Could not get file modification time.";
const NO_SIZE: &str = "550 Could not get file size.";
const NOT_MADE: &str = "550 Create directory operation failed.";
const NOT_DELETED: &str = "550 Delete operation failed.";
const NOT_REMOVED: &str = "550 Remove directory operation failed.";
const READY: &str = "350 Ready for RNTO.";

/// Ours knows SITE UTIME besides.
pub fn site_help(chmod: bool) -> &'static str {
    match (crate::support::ours(), chmod) {
        (true, true) => "214 CHMOD UMASK UTIME HELP",
        (true, false) => "214 UMASK UTIME HELP",
        (false, true) => "214 CHMOD UMASK HELP",
        (false, false) => "214 UMASK HELP",
    }
}

fn session(lines: &[(&str, &str)]) -> Host {
    let host = Host::new();
    let _server = Server::start(&host, "");
    Client::alice().script(lines);
    host
}

#[test]
fn sizes() {
    session(&[
        ("SIZE f", "213 12"),
        ("SIZE lnk", "213 12"),
        ("SIZE ~/f", "213 12"),
        ("SIZE /home/alice/a b", "213 1"),
        ("TYPE A", "200 Switching to ASCII mode."),
        ("SIZE asc", "213 10"),
        ("SIZE d", NO_SIZE),
        ("SIZE nofile", NO_SIZE),
        ("SIZE", NO_SIZE),
        ("SIZE dang", NO_SIZE),
        ("SIZE other", "213 6"),
        ("SIZE f/", NO_SIZE),
    ]);
}

#[test]
fn size_of_a_large_file() {
    let host = Host::new();
    std::fs::File::create("/home/alice/huge")
        .unwrap()
        .set_len(5_000_000_000)
        .unwrap();
    let _server = Server::start(&host, "");
    Client::alice().says("SIZE huge", "213 5000000000");
}

#[test]
fn modification_times() {
    session(&[
        ("MDTM f", "213 20010203040506"),
        ("MDTM lnk", "213 20010203040506"),
        ("MDTM d", NO_TIME),
        ("MDTM nofile", NO_TIME),
        ("MDTM", NO_TIME),
        // The original never expands the tilde here (reference §10, 33).
        (
            "MDTM ~/f",
            if crate::support::ours() {
                "213 20010203040506"
            } else {
                NO_TIME
            },
        ),
    ]);
}

#[test]
fn setting_modification_times() {
    let set = "213 File modification time set.";
    let not = "550 Could not set file modification time.";
    // The original sets the time without them.
    let fraction = if crate::support::ours() {
        "501 Fractions of a second are not kept. Send none."
    } else {
        set
    };
    let host = session(&[
        ("MDTM 20030304050607.123 f", fraction),
        ("MDTM 20020304050607 f", set),
        ("MDTM f", "213 20020304050607"),
        ("MDTM 20020304 f", set),
        ("MDTM f", "213 20020304000000"),
        ("MDTM 20020304050607.000 f", set),
        ("MDTM 20020304050607 a b", set),
        ("MDTM a b", "213 20020304050607"),
        ("MDTM 19650203040506 a b", set),
        ("MDTM a b", "213 19650203040506"),
        ("MDTM 20020304050607 nofile", not),
        ("MDTM 20020304050607 d", not),
        ("MDTM 20020304050607 other", not),
        ("MDTM 2 f", NO_TIME),
    ]);
    let meta = std::fs::metadata("/home/alice/f").unwrap();
    // The original sets the time of access too (reference §10, 33).
    let access = if host.ours() {
        981_173_106
    } else {
        1_015_218_367
    };
    assert_eq!((meta.mtime(), meta.atime()), (1_015_218_367, access));
}

#[test]
fn mdtm_asks_first_whether_such_a_file_exists() {
    let host = Host::new();
    host.file("/home/alice/20020304050607 f", b"");
    host.touch("/home/alice/20020304050607 f", 981_173_106);
    let _server = Server::start(&host, "");
    Client::alice().says("MDTM 20020304050607 f", "213 20010203040506");
}

#[test]
fn mdtm_write_no() {
    let host = Host::new();
    let _server = Server::start(&host, "mdtm_write=NO\n");
    Client::alice().says("MDTM 20020304050607 f", NO_TIME);
}

#[test]
fn making_directories() {
    session(&[
        ("MKD new", "257 \"/home/alice/new\" created"),
        ("MKD new", NOT_MADE),
        ("MKD", NOT_MADE),
        ("MKD new/deep", "257 \"/home/alice/new/deep\" created"),
        ("XMKD /home/alice/abs", "257 \"/home/alice/abs\" created"),
        ("MKD ~/tilde", "257 \"/home/alice/tilde\" created"),
        ("MKD no/such", NOT_MADE),
        ("MKD /root/x", NOT_MADE),
        ("MKD f", NOT_MADE),
        ("MKD slash/", "257 \"/home/alice/slash/\" created"),
    ]);
}

/// attacks B-069.
#[test]
fn removing_directories() {
    let gone = "250 Remove directory operation successful.";
    session(&[
        ("RMD empty", gone),
        ("RMD empty", NOT_REMOVED),
        ("RMD d", NOT_REMOVED),
        ("XRMD d/sub", NOT_REMOVED),
        ("DELE d/sub/z", "250 Delete operation successful."),
        ("XRMD d/sub", gone),
        ("RMD", NOT_REMOVED),
        ("RMD f", NOT_REMOVED),
        ("RMD nodir", NOT_REMOVED),
        ("RMD .", NOT_REMOVED),
    ]);
}

/// attacks B-069.
#[test]
fn deleting() {
    let host = session(&[
        ("DELE nofile", NOT_DELETED),
        ("DELE d", NOT_DELETED),
        ("DELE", NOT_DELETED),
        ("DELE lnk", "250 Delete operation successful."),
        ("DELE asc", "250 Delete operation successful."),
        ("DELE dang", "250 Delete operation successful."),
        ("DELE /etc/passwd", NOT_DELETED),
    ]);
    assert!(host.exists("/home/alice/f") && !host.exists("/home/alice/lnk"));
}

/// attacks B-011.
#[test]
fn renaming() {
    let host = session(&[
        ("RNTO x", "503 RNFR required first."),
        ("RNFR nofile", "550 RNFR command failed."),
        ("RNFR", "550 RNFR command failed."),
        ("RNFR f", READY),
        ("RNTO g", "250 Rename successful."),
        ("RNTO g", "503 RNFR required first."),
        ("RNFR g", READY),
        ("NOOP", "200 NOOP ok."),
        ("RNTO d/g", "250 Rename successful."),
        ("RNFR d/g", READY),
        ("RNTO nodir/x", "550 Rename failed."),
        ("RNTO x", "503 RNFR required first."),
        ("RNFR d/g", READY),
        ("RNTO /root/x", "550 Rename failed."),
        ("RNFR d", READY),
        ("RNTO d2", "250 Rename successful."),
        ("RNFR asc", READY),
        ("RNTO a b", "250 Rename successful."),
    ]);
    assert_eq!(host.read("/home/alice/d2/g"), b"hello world\n");
    assert_eq!(host.read("/home/alice/a b"), b"l1\nl2\r\nl3\n");
}

/// What RNFR has named stays what it was where it was said. The original looks for it where RNTO is said.
#[test]
fn rename_from_another_directory() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let moved = if host.ours() {
        "250 Rename successful."
    } else {
        "550 Rename failed."
    };
    Client::alice().script(&[
        ("RNFR f", READY),
        ("CWD d", "250 Directory successfully changed."),
        ("RNTO g", moved),
    ]);
    assert_eq!(host.exists("/home/alice/d/g"), host.ours());
}

#[test]
fn rename_from_a_second_time_replaces() {
    let host = session(&[
        ("RNFR f", READY),
        ("RNFR asc", READY),
        ("RNTO g", "250 Rename successful."),
    ]);
    assert!(host.exists("/home/alice/f") && !host.exists("/home/alice/asc"));
}

/// attacks B-065.
#[test]
fn site_commands() {
    let host = session(&[
        ("SITE", "500 Unknown SITE command."),
        ("SITE HELP", site_help(true)),
        ("site help", site_help(true)),
        ("SITE FOO", "500 Unknown SITE command."),
        ("SITE CHMOD 640 f", "200 SITE CHMOD command ok."),
        ("SITE chmod 4755 asc", "200 SITE CHMOD command ok."),
        // The original takes a symbolic mode for 000 (reference §10, 19).
        (
            "SITE CHMOD u+x a b",
            if crate::support::ours() {
                "501 SITE CHMOD needs an octal mode such as 644."
            } else {
                "200 SITE CHMOD command ok."
            },
        ),
        ("SITE CHMOD 644", "500 SITE CHMOD needs 2 arguments."),
        ("SITE CHMOD", "500 SITE CHMOD needs 2 arguments."),
        ("SITE CHMOD 644 nofile", "550 SITE CHMOD command failed."),
        ("SITE CHMOD 644 other", "550 SITE CHMOD command failed."),
    ]);
    let mode = |path: &str| std::fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(
        (
            mode("/home/alice/f"),
            mode("/home/alice/asc"),
            mode("/home/alice/a b")
        ),
        (0o640, 0o755, if host.ours() { 0o644 } else { 0 })
    );
}

/// attacks B-066.
#[test]
fn site_umask() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.script(&[
        ("SITE UMASK", "200 Your current UMASK is 077"),
        ("SITE UMASK 7777", "200 UMASK set to 0777"),
        (
            "SITE UMASK xyz",
            if host.ours() {
                "501 SITE UMASK needs an octal mask such as 022."
            } else {
                "200 UMASK set to 0"
            },
        ),
        ("SITE UMASK 022", "200 UMASK set to 022"),
        ("SITE UMASK", "200 Your current UMASK is 022"),
        ("MKD m", "257 \"/home/alice/m\" created"),
    ]);
    c.store("STOR s", b"");
    assert_eq!(
        std::fs::metadata("/home/alice/m").unwrap().mode() & 0o777,
        0o755
    );
    assert_eq!(
        std::fs::metadata("/home/alice/s").unwrap().mode() & 0o777,
        0o644
    );
}

#[test]
fn site_chmod_disabled() {
    let host = Host::new();
    let _server = Server::start(&host, "chmod_enable=NO\n");
    Client::alice().script(&[
        ("SITE HELP", site_help(false)),
        ("SITE CHMOD 644 f", "500 Unknown SITE command."),
    ]);
}

#[test]
fn site_is_not_for_anonymous() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    Client::anonymous().script(&[
        ("SITE HELP", DENIED),
        ("SITE UMASK", DENIED),
        ("SITE", DENIED),
    ]);
}

#[test]
fn write_enable_no() {
    let host = Host::new();
    let _server = Server::start(&host, "write_enable=NO\n");
    let mut c = Client::alice();
    for command in [
        "STOR x", "STOU", "APPE x", "MKD x", "XMKD x", "RMD d", "XRMD d", "DELE f", "RNFR f",
        "RNTO f",
    ] {
        c.says(command, DENIED);
    }
    c.script(&[
        ("SITE CHMOD 644 f", "500 Unknown SITE command."),
        ("SITE HELP", "214 UMASK HELP"),
        ("SITE UMASK 022", "200 UMASK set to 022"),
        ("ALLO 1", "202 ALLO command ignored."),
        ("MDTM 20020304050607 f", NO_TIME),
    ]);
}

#[test]
fn anonymous_writes_nothing_by_default() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::anonymous();
    for command in [
        "STOR x",
        "STOU",
        "APPE x",
        "MKD x",
        "XMKD x",
        "RMD pub",
        "XRMD pub",
        "DELE pub/file",
        "RNFR pub",
        "RNTO x",
    ] {
        c.says(command, DENIED);
    }
    c.says("MDTM 20020304050607 pub/file", NO_TIME);
}

#[test]
fn anonymous_uploads() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "anon_upload_enable=YES\nanon_mkdir_write_enable=YES\n",
    );
    let mut c = Client::anonymous();
    assert_eq!(
        c.store("STOR incoming/x", b"data").text(),
        "226 Transfer complete."
    );
    c.refused("STOR incoming/x", "553 Could not create file.");
    c.refused("STOR x", "553 Could not create file.");
    let (opening, data) = c.begin("STOU incoming/x");
    assert_eq!(opening.text(), "150 FILE: incoming/x.1");
    data.write(b"d");
    c.next("226 Transfer complete.");
    c.script(&[
        ("MKD incoming/d", "257 \"/incoming/d\" created"),
        ("MKD d", NOT_MADE),
        ("DELE incoming/x", DENIED),
        ("RNFR incoming/x", DENIED),
        ("APPE incoming/x", DENIED),
    ]);
    // What was just uploaded (umask 077) is not world-readable.
    c.refused("RETR incoming/x", "550 Failed to open file.");
    assert_eq!(host.read("/srv/ftp/incoming/x"), b"data");
}

#[test]
fn anonymous_may_do_more_if_told_so() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "anon_upload_enable=YES\nanon_other_write_enable=YES\nanon_umask=022\n",
    );
    let mut c = Client::anonymous();
    assert_eq!(c.store("STOR incoming/x", b"data").code(), "226");
    assert_eq!(c.store("STOR incoming/x", b"more").code(), "226");
    assert_eq!(c.store("APPE incoming/x", b"s").code(), "226");
    assert_eq!(c.fetch("RETR incoming/x"), b"mores");
    c.script(&[
        (
            "MDTM 20020304050607 incoming/x",
            "213 File modification time set.",
        ),
        ("RNFR incoming/x", READY),
        ("RNTO incoming/y", "250 Rename successful."),
        ("DELE incoming/y", "250 Delete operation successful."),
        ("MKD incoming/d", DENIED),
    ]);
}

/// Who may make new files only has nothing to go on from: an offset means nothing, and the file begins with its first byte.
#[test]
fn an_offset_into_a_new_file_of_an_anonymous_client() {
    let host = Host::new();
    let _server = Server::start(&host, "anon_upload_enable=YES\n");
    let mut c = Client::anonymous();
    c.says("REST 3", "350 Restart position accepted (3).");
    assert_eq!(c.store("STOR incoming/x", b"abc").code(), "226");
    assert_eq!(host.read("/srv/ftp/incoming/x"), b"abc");
}

#[test]
fn anonymous_uploads_change_owner() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "anon_upload_enable=YES\nchown_uploads=YES\nchown_username=bob\nchown_upload_mode=0640\n",
    );
    let mut c = Client::anonymous();
    assert_eq!(c.store("STOR incoming/q", b"x").code(), "226");
    let meta = std::fs::metadata("/srv/ftp/incoming/q").unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (1002, 0o640));
}

#[test]
fn anonymous_reads_what_the_world_may() {
    let host = Host::new();
    host.mkdir("/srv/ftp/hid", crate::support::host::FTP);
    host.mode("/srv/ftp/hid", 0o700);
    let _server = Server::start(&host, "");
    let mut c = Client::anonymous();
    c.refused("RETR pub/priv", "550 Failed to open file.");
    for command in ["LIST hid", "NLST hid"] {
        let (opening, mut data) = c.begin(command);
        assert_eq!(opening.text(), "150 Here comes the directory listing.");
        assert_eq!(data.read(), b"");
        c.next("226 Transfer done (but failed to open directory).");
    }
    c.script(&[
        ("STAT hid", "213-Status follows:\r\n213 End of status"),
        ("SIZE pub/priv", "213 2"),
        ("CWD hid", "250 Directory successfully changed."),
    ]);
}

#[test]
fn anonymous_reads_more_if_told_so() {
    let host = Host::new();
    let _server = Server::start(&host, "anon_world_readable_only=NO\n");
    assert_eq!(Client::anonymous().fetch("RETR pub/priv"), b"no");
}

/// attacks B-009.
#[test]
fn deny_file_covers_every_command() {
    let host = Host::new();
    let _server = Server::start(&host, "deny_file={f,*.exe}\n");
    let mut c = Client::alice();
    for command in [
        "SIZE f",
        "MDTM f",
        "DELE f",
        "CWD f",
        "RNFR f",
        "MKD f",
        "RMD f",
        "SITE CHMOD 644 f",
        "STAT f",
        "MKD virus.exe",
    ] {
        c.says(command, DENIED);
    }
    for command in [
        "RETR f",
        "STOR f",
        "APPE f",
        "LIST f",
        "NLST f",
        "STOR new.exe",
    ] {
        c.refused(command, DENIED);
    }
    c.script(&[
        ("RNFR asc", READY),
        ("RNTO x.exe", DENIED),
        ("RNTO fine", "250 Rename successful."),
        ("SIZE fine", "213 10"),
    ]);
    assert!(
        c.names("NLST").contains(&"f".to_owned()),
        "deny_file does not hide"
    );
}

/// A pattern that fits the name of the directory a client stands in is no reason to show nothing of it.
#[test]
fn deny_file_does_not_empty_the_directory_one_is_in() {
    let host = Host::new();
    let _server = Server::start(&host, "deny_file={alice,f}\nls_recurse_enable=YES\n");
    let mut c = Client::alice();
    assert!(c.names("NLST").contains(&"asc".to_owned()));
    assert_eq!(c.names("NLST as*"), ["asc"]);
    c.refused("NLST .", DENIED);
    if host.ours() {
        assert!(c.names("NLST -R").contains(&"./d/1".to_owned()));
        assert!(c.fetch("MLSD").windows(4).any(|text| text == b" asc"));
        c.refused("MLSD .", DENIED);
    }
}

/// An attempt at what is denied is a failure in the log, as in the original.
#[test]
fn deny_file_refusals_are_logged() {
    let host = Host::new();
    let _server = Server::start(&host, "deny_file={f,*.exe}\n");
    let mut c = Client::alice();
    c.script(&[
        ("MKD f", DENIED),
        ("RMD f", DENIED),
        ("DELE f", DENIED),
        ("RNFR f", DENIED),
        ("RNFR asc", READY),
        ("RNTO x.exe", DENIED),
        ("SITE CHMOD 644 f", DENIED),
    ]);
    for line in [
        "FAIL MKDIR: Client \"127.0.0.1\", \"/home/alice/f\"",
        "FAIL RMDIR: Client \"127.0.0.1\", \"/home/alice/f\"",
        "FAIL DELETE: Client \"127.0.0.1\", \"/home/alice/f\"",
        "FAIL RENAME: Client \"127.0.0.1\", \"/home/alice/f\"",
        "FAIL RENAME: Client \"127.0.0.1\", \"/home/alice/asc /home/alice/x.exe\"",
        "FAIL CHMOD: Client \"127.0.0.1\", \"/home/alice/f 644\"",
    ] {
        wait(line, || {
            std::fs::read_to_string("/var/log/vsftpd.log")
                .is_ok_and(|log| log.contains(line))
                .then_some(())
        });
    }
}

#[test]
fn deny_file_matches_only_the_last_component() {
    let host = Host::new();
    host.file("/home/alice/d/f", b"in d");
    let _server = Server::start(&host, "deny_file={f}\n");
    let mut c = Client::alice();
    let denied = c.cmd("SIZE d/f").code() == "550";
    // Whatever the pattern's reach, an absolute path to a denied name is not a way around it (reference 5.8).
    assert_eq!(
        c.cmd("SIZE /home/alice/f").code() == "550",
        c.cmd("SIZE ./f").code() == "550",
        "denied in d: {denied}"
    );
}

/// `.` and `..` go by these names. Debian's original holds the pattern against what they lead to (reference 10, 37): it shows them where
/// names with a dot are hidden, and hides the first in a directory whose own name is.
#[test]
fn hide_file_and_the_directory_itself() {
    let host = Host::new();
    host.file("/home/alice/d/.dot", b"x");
    let all = [true; 4];
    for (pattern, ours, debians) in [
        (
            "{.*}",
            [true, false, false, false],
            [true, true, true, false],
        ),
        ("{d}", all, [true, false, true, true]),
        ("..", [true, true, false, true], [true, true, false, true]),
    ] {
        let _server = Server::start(&host, &format!("hide_file={pattern}\n"));
        let mut c = Client::alice();
        c.says("CWD d", "250 Directory successfully changed.");
        let names = c.names("NLST -a");
        let shown = ["1", ".", "..", ".dot"].map(|name| names.iter().any(|other| other == name));
        let left = if host.ours() { ours } else { debians };
        assert_eq!(shown, left, "{pattern}: {names:?}");
        assert_eq!(c.names("LIST -a").len(), names.len());
    }
}

/// attacks B-009.
#[test]
fn hide_file_hides_but_serves() {
    let host = Host::new();
    let _server = Server::start(&host, "hide_file={as*,f}\n");
    let mut c = Client::alice();
    // Debian's original goes by a link's target and hides lnk too; that is a defect (reference 10, 37).
    let names: Vec<String> = c
        .names("NLST")
        .into_iter()
        .filter(|name| name != "lnk")
        .collect();
    assert_eq!(names, ["a b", "d", "dang", "empty", "other"]);
    c.script(&[
        ("SIZE f", "213 12"),
        ("STAT f", "213-Status follows:\r\n213 End of status"),
    ]);
    assert_eq!(c.fetch("RETR asc").len(), 10);
}

#[test]
fn gates_closed() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "download_enable=NO\ndirlist_enable=NO\npasv_enable=NO\nport_enable=NO\n",
    );
    let mut c = Client::alice();
    for command in [
        "RETR f",
        "LIST",
        "NLST",
        "STAT .",
        "PASV",
        "EPSV",
        "EPSV ALL",
        "PORT 127,0,0,1,9,9",
        "EPRT |1|127.0.0.1|2313|",
    ] {
        c.says(command, DENIED);
    }
    c.says("P@SW", "500 Unknown command.");
    assert_eq!(c.cmd("STAT").code(), "211");
}

/// attacks B-066.
#[test]
fn umask_and_mode_of_uploads() {
    let host = Host::new();
    let _server = Server::start(&host, "local_umask=027\nfile_open_mode=0777\n");
    let mut c = Client::alice();
    c.store("STOR q", b"x");
    c.says("MKD qq", "257 \"/home/alice/qq\" created");
    for path in ["/home/alice/q", "/home/alice/qq"] {
        let meta = std::fs::metadata(path).unwrap();
        assert_eq!(
            (meta.mode() & 0o7777, meta.uid(), meta.gid()),
            (0o750, ALICE, ALICE),
            "{path}"
        );
    }
}

#[test]
fn use_localtime_moves_mdtm() {
    let host = Host::new();
    host.write("/etc/localtime", "");
    std::fs::write("/etc/localtime", zone_east_5()).unwrap();
    let _server = Server::start(&host, "use_localtime=YES\n");
    let mut c = Client::alice();
    c.says("MDTM f", "213 20010203090506");
    let names = c.names("LIST d/1");
    assert!(names[0].contains("Feb 03  2001"), "{names:?}");
}

/// What is set is what is told, also within hours of a change of the clocks, east and west of Greenwich.
#[test]
fn local_times_survive_a_change_of_the_clocks() {
    let host = Host::new();
    for (zone, stamps) in [
        (
            "CET-1CEST,M3.5.0,M10.5.0/3",
            [
                "20260329013000",
                "20260329033000",
                "20261025013000",
                "20261025033000",
            ],
        ),
        (
            "EST5EDT,M3.2.0,M11.1.0",
            [
                "20260308013000",
                "20260308050000",
                "20261101003000",
                "20261101030000",
            ],
        ),
        (
            "AEST-10AEDT,M10.1.0,M4.1.0/3",
            [
                "20260405013000",
                "20260405060000",
                "20261004013000",
                "20261004090000",
            ],
        ),
    ] {
        let _server = Server::start_with(&host, "use_localtime=YES\n", &[("TZ", zone)]);
        let mut c = Client::alice();
        for stamp in stamps {
            c.says(
                &format!("MDTM {stamp} f"),
                "213 File modification time set.",
            );
            c.says("MDTM f", &format!("213 {stamp}"));
        }
    }
}

/// A version 1 time zone file (tzfile(5)) with one type: five hours east.
fn zone_east_5() -> Vec<u8> {
    let mut file = b"TZif".to_vec();
    file.extend([0; 16]);
    for count in [0u32, 0, 0, 0, 1, 4] {
        file.extend(count.to_be_bytes());
    }
    file.extend(18_000i32.to_be_bytes());
    file.extend([0, 0]);
    file.extend(b"EST\0");
    file
}
