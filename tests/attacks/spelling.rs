//! Names by other spellings, of other lengths, of odd bytes, and what is deleted or changed by them (attacks B.1, B.4).

use crate::oracle::{Canary, VERBS, all_is_well, whole};
use crate::support::host::{ALICE, tmpfs};
use crate::support::{Client, Host, Server};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

const DENIED: &str = "550 Permission denied.";

/// What `deny_file` and `hide_file` name stays denied and hidden by every other way to say it (attacks B-009).
#[test]
fn denied_and_hidden_by_another_name() {
    let host = Host::new();
    host.file("/home/alice/.secret", b"hush");
    host.file("/home/alice/.secret-longer", b"hush");
    host.file("/home/alice/song.mp3", b"hush");
    host.file("/home/alice/loud.MP3", b"mine");
    host.mkdir("/home/alice/box.mp3", ALICE);
    host.file("/home/alice/box.mp3/in", b"mine");
    symlink(".secret", "/home/alice/x").unwrap();
    symlink("song.mp3", "/home/alice/y").unwrap();
    symlink("/.secret", "/home/alice/d/z").unwrap();
    let lines = "deny_file={*.mp3,.secret*}\nhide_file={*.mp3,.secret*}\nforce_dot_files=YES\nls_recurse_enable=YES\n\
                 chroot_local_user=YES\nallow_writeable_chroot=YES\n";
    let server = Server::start(&host, lines);
    let mut c = Client::alice();
    let long = format!("./{}.secret", "d/../".repeat(300));
    for path in [
        ".secret",
        "./.secret",
        "d/../.secret",
        ".//.secret",
        "/.secret",
        "/d/sub/../../.secret",
        "../.secret",
        ".secret-longer",
        "song.mp3",
        "./song.mp3",
        "song.mp3/",
        "d//..//song.mp3",
        "x",
        "./x",
        "y",
        "d/z",
        "d/../x",
        &long,
    ] {
        for verb in [
            "RETR @",
            "STOR @",
            "APPE @",
            "SIZE @",
            "MDTM @",
            "MLST @",
            "HASH @",
            "XMD5 @",
            "MFMT 20200101000000 @",
            "MFF UNIX.mode=0644; @",
            "SITE CHMOD 644 @",
            "SITE UTIME 20200101000000 @",
            "CWD @",
            "DELE @",
            "RNFR @",
        ] {
            // A link goes by its own name for those that are about the link.
            let own = ["x", "./x", "y", "d/z", "d/../x"].contains(&path)
                && ["DELE", "RNFR", "MLST"].contains(&&verb[..4]);
            if own {
                continue;
            }
            let command = verb.replace('@', path);
            let (said, bytes) = whole(&mut c, &command, b"mine");
            assert!(said.starts_with('5'), "{command}: {said}");
            assert!(bytes.is_empty(), "{command}");
        }
    }
    for name in ["new.mp3", "./d/../new.mp3", ".secret2"] {
        for command in ["STOR", "APPE", "STOU", "MKD"] {
            let (said, _) = whole(&mut c, &format!("{command} {name}"), b"mine");
            assert_eq!(said, DENIED, "{command} {name}");
        }
        c.says("RNFR f", "350 Ready for RNTO.");
        c.says(&format!("RNTO {name}"), DENIED);
    }
    for listing in [
        "LIST",
        "LIST -a",
        "LIST -R",
        "NLST",
        "NLST -a",
        "MLSD",
        "NLST *",
        "LIST .sec*",
        "STAT -a",
        "STAT .",
    ] {
        let (said, bytes) = whole(&mut c, listing, b"");
        let shown = said + &String::from_utf8_lossy(&bytes);
        let named = |name: &str| {
            shown
                .lines()
                .any(|line| line.ends_with(name) && !line.contains(" -> "))
        };
        for name in [
            "song.mp3",
            ".secret",
            ".secret-longer",
            "box.mp3",
            "box.mp3:",
        ] {
            assert!(!named(name), "{listing}: {shown}");
        }
    }
    // Other bytes are another name: the pattern is about bytes.
    assert_eq!(c.fetch("RETR loud.MP3"), b"mine");
    for name in ["song.mp3", ".secret", ".secret-longer"] {
        assert_eq!(host.read(&format!("/home/alice/{name}")), b"hush");
    }
    drop(c);
    all_is_well(&server);
}

/// A rule is about the names that the disk has, whatever code page a client says them in (attacks B-009, B-015).
#[test]
fn denied_in_a_code_page() {
    let host = Host::new();
    host.file("/home/alice/\u{6587}\u{4ef6}1", b"hush");
    let server = Server::start(&host, "client_charset=GBK\ndeny_file={\u{6587}\u{4ef6}*}\n");
    let mut c = Client::alice();
    // The same two letters in GBK; said in UTF-8 they are other ones there.
    let name = b"\xce\xc4\xbc\xfe1";
    for verb in [
        "SIZE",
        "MDTM",
        "DELE",
        "RNFR",
        "MLST",
        "HASH",
        "MKD",
        "CWD",
        "SITE CHMOD 644",
    ] {
        c.send(&[verb.as_bytes(), b" ", name, b"\r\n"].concat());
        assert_eq!(c.reply().code(), "550", "{verb}");
    }
    for verb in ["RETR", "STOR", "APPE", "STOU"] {
        let _data = c.passive();
        c.send(&[verb.as_bytes(), b" ", name, b"\r\n"].concat());
        c.next(DENIED);
    }
    c.refused("RETR \u{6587}\u{4ef6}1", "550 Failed to open file.");
    assert_eq!(host.read("/home/alice/\u{6587}\u{4ef6}1"), b"hush");
    drop(c);
    all_is_well(&server);
}

/// Names at and over the limit, and a depth that no path can say in whole, built step by step (attacks B-012).
#[test]
fn lengths_and_depth() {
    let host = Host::new();
    let server = Server::start(&host, "chroot_local_user=YES\nallow_writeable_chroot=YES\n");
    let mut c = Client::alice();
    for (length, fits) in [(254, true), (255, true), (256, false), (4000, false)] {
        let name = "n".repeat(length);
        for verb in [
            "STOR", "RETR", "SIZE", "MDTM", "RNFR", "RNTO", "MKD", "CWD", "RMD",
        ] {
            if verb == "MKD" && fits {
                c.says(&format!("DELE {name}"), "250 Delete operation successful.");
                host.file("/home/alice/new", b"x");
                c.says("RNFR new", "350 Ready for RNTO.");
                c.says(&format!("RNTO {name}"), "250 Rename successful.");
                c.says(&format!("DELE {name}"), "250 Delete operation successful.");
            }
            let (said, _) = whole(&mut c, &format!("{verb} {name}"), b"x");
            let done = said.starts_with(['2', '3']);
            assert_eq!(done, fits, "{verb} {length}: {said}");
            if verb == "CWD" && fits {
                c.says("CDUP", "250 Directory successfully changed.");
            }
        }
    }
    for length in 4080..=4089 {
        let path = "a/".repeat(2100);
        for verb in ["SIZE", "CWD", "MKD"] {
            assert_eq!(c.cmd(&format!("{verb} {}", &path[..length])).code(), "550");
        }
    }
    // As deep as a path can be said in whole (PATH_MAX), and one step further.
    let mut depth = 0;
    loop {
        assert_eq!(c.cmd("MKD a-long-name").code(), "257");
        let said = c.cmd("CWD a-long-name").text();
        if said == "550 Failed to change directory." {
            break;
        }
        assert_eq!(said, "250 Directory successfully changed.");
        depth += 1;
        assert!(depth < 4096);
    }
    assert_eq!(depth, 4095 / "/a-long-name".len());
    for verb in VERBS {
        let (said, bytes) = whole(&mut c, &verb.replace('@', "a-long-name/deeper"), b"x");
        assert!(said.starts_with(['2', '3', '5']), "{verb}: {said}");
        assert!(bytes.len() < 1000, "{verb}");
    }
    assert_eq!(c.store("STOR deep", b"here").code(), "226");
    assert_eq!(c.fetch("RETR deep"), b"here");
    c.says("SIZE deep", "213 4");
    c.says("RNFR deep", "350 Ready for RNTO.");
    c.says("RNTO ../deep", "250 Rename successful.");
    c.says("DELE ../deep", "250 Delete operation successful.");
    for _ in 0..depth {
        c.says("CDUP", "250 Directory successfully changed.");
    }
    c.says("PWD", "257 \"/\" is the current directory");
    drop(c);
    all_is_well(&server);
}

/// Names that look the same are others: permission and pattern go by their bytes (attacks B-015).
#[test]
fn twins() {
    let host = Host::new();
    let twins: [&[u8]; 9] = [
        "caf\u{e9}".as_bytes(),
        "cafe\u{301}".as_bytes(),
        b"CAFE",
        b"cafe",
        b"caf\xe9",
        b"caf\xc3\x28",
        "caf\u{202e}e".as_bytes(),
        "\u{feff}cafe".as_bytes(),
        b"caf\xc1\xa5",
    ];
    let server = Server::start(&host, "deny_file={caf\u{e9}}\nutf8_filesystem=YES\n");
    let mut c = Client::alice();
    for (number, name) in twins.iter().enumerate() {
        let port = c.epsv();
        c.send(&[b"STOR empty/", *name, b"\r\n"].concat());
        if number == 0 {
            c.next(DENIED);
            continue;
        }
        let mut data = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        assert_eq!(c.reply().code(), "150", "{number}");
        std::io::Write::write_all(&mut data, name).unwrap();
        drop(data);
        c.next("226 Transfer complete.");
    }
    assert_eq!(
        fs::read_dir("/home/alice/empty").unwrap().count(),
        twins.len() - 1
    );
    for name in &twins[1..] {
        let path = [b"/home/alice/empty/", *name].concat();
        let path = std::os::unix::ffi::OsStrExt::from_bytes(&path[..]);
        assert_eq!(fs::read(Path::new::<std::ffi::OsStr>(path)).unwrap(), *name);
    }
    let listed = c.fetch("NLST empty");
    for name in &twins[1..] {
        let line = [b"empty/", *name, b"\r\n"].concat();
        assert!(
            listed.windows(line.len()).any(|part| part == line),
            "{}",
            name.escape_ascii()
        );
    }
    drop(c);
    all_is_well(&server);
}

/// Modes that are none, too many digits, set-id bits, links, the root (attacks B-065).
#[test]
fn modes_that_are_none() {
    let host = Host::new();
    let canary = Canary::new(&host);
    symlink("../../srv/canary/open", "/home/alice/out").unwrap();
    let server = Server::start(&host, "chroot_local_user=YES\nallow_writeable_chroot=YES\n");
    let mut c = Client::alice();
    let mode = |path: &str| fs::symlink_metadata(path).unwrap().mode() & 0o7777;
    for bad in [
        "99999",
        "-1",
        "u+s",
        "+x",
        "0x1ff",
        "8",
        "644x",
        "6 44",
        "a=rw",
        "0o644",
        "6\u{664}4",
    ] {
        let said = c.cmd(&format!("SITE CHMOD {bad} f")).text();
        assert!(said.starts_with('5'), "{bad}: {said}");
        assert_eq!(mode("/home/alice/f"), 0o644, "{bad}");
    }
    for (given, got) in [
        ("4755", 0o755),
        ("2755", 0o755),
        ("1777", 0o777),
        ("7777", 0o777),
        ("7777777777", 0o777),
        ("777", 0o777),
        ("000", 0),
        ("0644", 0o644),
    ] {
        let said = c.cmd(&format!("SITE CHMOD {given} f")).text();
        let now = mode("/home/alice/f");
        assert_eq!(now & 0o7000, 0, "{given}: {said}");
        assert!(
            now == got || said.starts_with('5'),
            "{given}: {said} {now:o}"
        );
    }
    for (given, got) in [
        ("4755", 0o755),
        ("6777", 0o777),
        ("99999", 0),
        ("-1", 0),
        ("0640", 0o640),
    ] {
        let said = c.cmd(&format!("MFF UNIX.mode={given}; f")).text();
        let now = mode("/home/alice/f");
        assert!(
            now == got || said.starts_with('5'),
            "{given}: {said} {now:o}"
        );
        assert_eq!(now & 0o7000, 0, "{given}: {said}");
    }
    c.says("SITE CHMOD 4711 d", "200 SITE CHMOD command ok.");
    assert_eq!(mode("/home/alice/d"), 0o711);
    c.says("SITE CHMOD 600 lnk", "200 SITE CHMOD command ok.");
    assert_eq!(
        (mode("/home/alice/f"), mode("/home/alice/lnk")),
        (0o600, 0o777)
    );
    c.says("SITE CHMOD 777 out", "550 SITE CHMOD command failed.");
    assert_eq!(mode("/srv/canary/open"), 0o666);
    c.says("SITE CHMOD 750 /", "200 SITE CHMOD command ok.");
    assert_eq!(mode("/home/alice"), 0o750);
    canary.untouched();
    drop(c);
    all_is_well(&server);
}

/// Masks that are none, and what a directory hands on (attacks B-066).
#[test]
fn masks_that_are_none() {
    let host = Host::new();
    host.mode("/home/alice/d", 0o2755);
    let server = Server::start(&host, "local_umask=027\nfile_open_mode=0777\n");
    let mut c = Client::alice();
    let mode = |path: &str| fs::metadata(path).unwrap().mode() & 0o7777;
    for bad in ["9", "x", "-1", "0x1", "7 7", "08"] {
        assert_eq!(c.cmd(&format!("SITE UMASK {bad}")).code(), "501", "{bad}");
        c.says("SITE UMASK", "200 Your current UMASK is 027");
    }
    c.store("STOR one", b"x");
    c.says("MKD made", "257 \"/home/alice/made\" created");
    assert_eq!(
        (mode("/home/alice/one"), mode("/home/alice/made")),
        (0o750, 0o750)
    );
    // A directory hands on its group by its own bit, and no file gets one.
    c.store("STOR d/two", b"x");
    c.says("MKD d/made", "257 \"/home/alice/d/made\" created");
    assert_eq!(
        (mode("/home/alice/d/two"), mode("/home/alice/d/made")),
        (0o750, 0o2750)
    );
    c.says("SITE UMASK 777", "200 UMASK set to 0777");
    c.store("STOR three", b"x");
    assert_eq!(mode("/home/alice/three"), 0);
    drop(c);
    all_is_well(&server);
}

/// What is deleted is the name that was given: no target of a link, no root, no mount, nothing that is still full (attacks B-069).
#[test]
fn what_is_not_deleted() {
    let host = Host::new();
    let canary = Canary::new(&host);
    host.mkdir("/home/alice/mounted", ALICE);
    tmpfs("/home/alice/mounted", "mode=777");
    symlink("/srv/canary", "/home/alice/out").unwrap();
    symlink("empty", "/home/alice/todir").unwrap();
    let server = Server::start(&host, "chroot_local_user=YES\nallow_writeable_chroot=YES\n");
    let mut c = Client::alice();
    for path in [
        "/", ".", "..", "d", "d/", "d/.", "d/..", "../..", "//", "none", "f/", "f/x", "lnk/",
        "mounted", "todir/", "",
    ] {
        c.says(&format!("DELE {path}"), "550 Delete operation failed.");
    }
    for path in [
        "/", ".", "..", "d", "d/..", "d/.", "f", "lnk", "todir", "out", "mounted", "//", "none",
        "../alice", "",
    ] {
        c.says(
            &format!("RMD {path}"),
            "550 Remove directory operation failed.",
        );
    }
    for path in ["out", "lnk", "dang", "todir"] {
        c.says(&format!("DELE {path}"), "250 Delete operation successful.");
    }
    assert!(host.exists("/home/alice/empty") && host.exists("/home/alice/f"));
    // One that is open is gone by name, and whoever reads it goes on.
    fs::File::create("/home/alice/huge")
        .unwrap()
        .set_len(30_000_000)
        .unwrap();
    let mut reader = Client::alice();
    let (_, mut data) = reader.begin("RETR huge");
    c.says("DELE huge", "250 Delete operation successful.");
    assert_eq!(data.read().len(), 30_000_000);
    reader.next("226 Transfer complete.");
    canary.untouched();
    drop((c, reader));
    all_is_well(&server);
}

/// Names of quotes and control bytes, made by a client and by others: one line in each reply, whole lines in the log (attacks B-067).
#[test]
fn quotes_and_control_bytes() {
    let host = Host::new();
    for name in ["cr\r226 forged", "lf\n226 forged", "esc\u{1b}[31m"] {
        host.mkdir(&format!("/home/alice/empty/{name}"), ALICE);
    }
    let server = Server::start(&host, "log_ftp_protocol=YES\n");
    let mut c = Client::alice();
    for name in [
        "\"",
        "\"\"",
        "\"\"\"\"",
        "a\"b\"",
        "\u{1b}[2J",
        "\u{7}\u{8}\u{7f}",
        "\u{9b}31m",
        "tab\there",
    ] {
        let quoted = name.replace('"', "\"\"");
        c.says(
            &format!("MKD {name}"),
            &format!("257 \"/home/alice/{quoted}\" created"),
        );
        c.says(
            &format!("CWD {name}"),
            "250 Directory successfully changed.",
        );
        c.says(
            "PWD",
            &format!("257 \"/home/alice/{quoted}\" is the current directory"),
        );
        c.says("CDUP", "250 Directory successfully changed.");
        c.says(
            &format!("RMD {name}"),
            "250 Remove directory operation successful.",
        );
    }
    // NUL is said for LF, as the original has it; CR in the middle of a line is itself.
    for name in [&b"cr\r226 forged"[..], b"lf\x00226 forged", b"esc\x1b[31m"] {
        c.send(&[b"CWD empty/", name, b"\r\n"].concat());
        c.next("250 Directory successfully changed.");
        let here = c.cmd("PWD").raw;
        assert!(
            !here.contains(&b'\n') && !here.contains(&b'\r'),
            "{}",
            here.escape_ascii()
        );
        c.says("CWD /home/alice", "250 Directory successfully changed.");
    }
    drop(c);
    let log = host.read("/var/log/vsftpd.log");
    assert!(
        log.iter()
            .all(|byte| *byte == b'\n' || (0x20..0x7f).contains(byte))
    );
    all_is_well(&server);
}
