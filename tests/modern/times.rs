//! MFMT, MFF and SITE UTIME (draft-somers-ftp-mfxx), under the rules of MDTM and SITE CHMOD.

use crate::support::{Client, Host, Server};
use std::os::unix::fs::MetadataExt;

const DENIED: &str = "550 Permission denied.";
const NO_TIME: &str = "550 Could not set file modification time.";
const AT: i64 = 1_582_975_353;

fn mtime(path: &str) -> i64 {
    std::fs::metadata(path).unwrap().mtime()
}

fn mode(path: &str) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

/// Attacks B-115.
#[test]
fn mfmt() {
    let host = Host::new();
    // UTC whatever use_localtime says.
    let _server = Server::start_with(&host, "use_localtime=YES\n", &[("TZ", "Asia/Shanghai")]);
    let mut c = Client::alice();
    c.says("MFMT 20200229112233 f", "213 Modify=20200229112233; f");
    assert_eq!(mtime("/home/alice/f"), AT);
    c.says(
        "mfmt 20200229112234.567 ~/a b",
        "213 Modify=20200229112234; ~/a b",
    );
    assert_eq!(mtime("/home/alice/a b"), AT + 1);
    // A leap second is the next one here, and that is what is told.
    c.says("MFMT 20161231235960 a b", "213 Modify=20170101000000; a b");
    // A scan of an old photograph.
    c.says("MFMT 19370506182500 a b", "213 Modify=19370506182500; a b");
    assert_eq!(mtime("/home/alice/a b"), -1_030_512_900);
    let bad = "501 MFMT needs a time YYYYMMDDHHMMSS and a name.";
    c.script(&[
        ("MFMT", bad),
        ("MFMT f", bad),
        ("MFMT 20200229112233", bad),
        ("MFMT 20200229112233 ", bad),
        ("MFMT 20200229 f", bad),
        ("MFMT 20210229112233 f", bad),
        ("MFMT 00000101000000 f", bad),
        ("MFMT 100000101000000 f", bad),
        ("MFMT 20201301000000 f", bad),
        ("MFMT 20161231235961 f", bad),
        ("MFMT 20200229112233445566 f", bad),
        ("MFMT 2020022911223 f", bad),
        ("MFMT -20200229112233 f", bad),
        ("MFMT 20200229112233. f", bad),
        ("MFMT 20200229112233 nowhere", NO_TIME),
        ("MFMT 20200229112233 d", NO_TIME),
        ("MFMT 20200229112233 other", NO_TIME),
    ]);
    assert_eq!(mtime("/home/alice/f"), AT);
}

/// A file system may take another time than it is told, without an error: ext4 ends in 2038 or 2446. What is told is what holds.
#[test]
fn a_time_that_is_not_taken_is_no_success() {
    let host = Host::new();
    // On disk, not in memory as the rest of the host.
    let disk = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("a_time_that_is_not_taken");
    std::fs::create_dir_all(&disk).unwrap();
    host.mkdir("/home/alice/disk", crate::support::host::ALICE);
    crate::support::host::bind(&disk, std::path::Path::new("/home/alice/disk"));
    // Runs of the tests beside each other each have their own.
    let name = format!("f{}", std::process::id());
    let path = format!("/home/alice/disk/{name}");
    host.file(&path, b"x");
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    for (stamp, seconds) in [
        ("19650203040506", -154_900_494),
        ("00010101000000", -62_135_596_800),
        ("20010203040506", 981_173_106),
        ("20370101000000", 2_114_380_800),
        ("24450101000000", 14_989_622_400),
        ("99991231235959", 253_402_300_799_i64),
    ] {
        for command in [
            format!("MDTM {stamp} disk/{name}"),
            format!("MFMT {stamp} disk/{name}"),
        ] {
            let code = c.cmd(&command).code().to_owned();
            let time = std::fs::metadata(&path).unwrap().mtime();
            assert_eq!(code == "213", time == seconds, "{command}: {code}, {time}");
        }
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn mff() {
    let host = Host::new();
    let _server = Server::start(&host, "deny_file={asc}\n");
    let mut c = Client::alice();
    c.says(
        "MFF Modify=20200229112233;UNIX.mode=0640; f",
        "213 Modify=20200229112233;UNIX.mode=0640; f",
    );
    assert_eq!((mtime("/home/alice/f"), mode("/home/alice/f")), (AT, 0o640));
    // No set-id bits; directories have modes.
    c.says("MFF unix.mode=4755; f", "213 UNIX.mode=0755; f");
    c.says("MFF UNIX.mode=0700; d", "213 UNIX.mode=0700; d");
    assert_eq!(
        (mode("/home/alice/f"), mode("/home/alice/d")),
        (0o755, 0o700)
    );
    let bad = "501 MFF needs facts it can change, and a name.";
    c.script(&[
        ("MFF", bad),
        ("MFF f", bad),
        ("MFF UNIX.owner=0; f", bad),
        ("MFF UNIX.mode=0600;UNIX.owner=0; f", bad),
        ("MFF UNIX.mode=0600; ", bad),
        ("MFF UNIX.mode=0600; asc", DENIED),
        (
            "MFF UNIX.mode=0600; other",
            "550 Could not change the mode.",
        ),
    ]);
    assert_eq!(mode("/home/alice/f"), 0o755);
}

#[test]
fn site_utime() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.says("SITE UTIME 20200229112233 f", "200 SITE UTIME command ok.");
    assert_eq!(mtime("/home/alice/f"), AT);
    c.says("SITE UTIME 202002291122 a b", "200 SITE UTIME command ok.");
    assert_eq!(mtime("/home/alice/a b"), AT - 33);
    c.says(
        "SITE UTIME a b 20200229112233 20200229112233 20200229112233 UTC",
        "200 SITE UTIME command ok.",
    );
    assert_eq!(mtime("/home/alice/a b"), AT);
    c.says(
        "SITE UTIME f",
        "501 SITE UTIME needs a time and a name, or a name, three times and UTC.",
    );
    c.says("SITE UTIME 20200229112233 nowhere", NO_TIME);
}

/// Each option that shuts MDTM with a date or SITE CHMOD shuts these too.
#[test]
fn gates() {
    let host = Host::new();
    for (lines, time, chmod) in [
        ("write_enable=NO\n", false, false),
        ("mdtm_write=NO\n", false, true),
        ("chmod_enable=NO\n", true, false),
        ("cmds_denied=MDTM\n", false, true),
        ("cmds_denied=SITE\n", true, false),
    ] {
        let _server = Server::start(&host, lines);
        let mut c = Client::alice();
        let feat = c.cmd("FEAT").text();
        assert_eq!(feat.contains("\r\n MFMT\r\n"), time, "{lines}{feat}");
        let mff = match (time, chmod) {
            (true, true) => Some("\r\n MFF modify;UNIX.mode;\r\n"),
            (true, false) => Some("\r\n MFF modify;\r\n"),
            (false, true) => Some("\r\n MFF UNIX.mode;\r\n"),
            (false, false) => None,
        };
        assert_eq!(feat.contains(" MFF "), mff.is_some(), "{lines}{feat}");
        assert!(mff.is_none_or(|line| feat.contains(line)), "{lines}{feat}");
        let code = |on| if on { "213" } else { "550" };
        assert_eq!(c.cmd("MFMT 20200229112233 f").code(), code(time), "{lines}");
        assert_eq!(
            c.cmd("MFF modify=20200229112233; f").code(),
            code(time),
            "{lines}"
        );
        assert_eq!(
            c.cmd("MFF UNIX.mode=0644; f").code(),
            code(chmod),
            "{lines}"
        );
        if !lines.contains("SITE") {
            let code = if time { "200" } else { "500" };
            assert_eq!(c.cmd("SITE UTIME 20200229112233 f").code(), code, "{lines}");
        }
    }
    let _server = Server::start(&host, "anon_upload_enable=YES\n");
    let mut c = Client::anonymous();
    c.says("MFMT 20200229112233 pub/file", DENIED);
    c.says("MFF UNIX.mode=0600; pub/file", DENIED);
    c.says("SITE UTIME 20200229112233 pub/file", DENIED);
}

#[test]
fn who_the_client_is() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.says("CLNT", "501 CLNT needs a name.");
    c.says("CLNT test 1.0", "200 Noted.");
    c.says(
        "CSID Name=test; Version=1.0;",
        "200 Name=vsftpd; CaseSensitive=1; DirSep=/;",
    );
    let log = crate::logged("client: test 1.0");
    assert_eq!(log.matches("client: ").count(), 1, "{log}");
}
