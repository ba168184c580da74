//! LIST, NLST and STAT of a path, byte for byte (reference 8).

use crate::support::listing::line_with;
use crate::support::{Client, Host, Server, line};

/// alice's home as everyone sees it, in order.
const NAMES: [&str; 8] = ["a b", "asc", "d", "dang", "empty", "f", "lnk", "other"];

fn home(name: &str) -> String {
    line(&format!("/home/alice/{name}"))
}

fn lines(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| home(name)).collect()
}

/// `.` or `..` as the directory itself is listed.
fn dot(path: &str, name: &str) -> String {
    let full = line(path);
    let own = path.rsplit('/').next().unwrap();
    format!("{}{name}", full.strip_suffix(own).unwrap())
}

#[test]
fn a_long_listing() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let (opening, mut data) = c.begin("LIST");
    assert_eq!(opening.text(), "150 Here comes the directory listing.");
    assert_eq!(
        String::from_utf8(data.read()).unwrap(),
        format!("{}\r\n", lines(&NAMES).join("\r\n"))
    );
    c.next("226 Directory send OK.");
    for command in [
        "LIST -l",
        "NLST -l",
        "LIST .",
        "LIST ./",
        "LIST /home/alice",
        "LIST ~",
        "LIST *",
        "LIST -Q",
        "LIST -d",
        "LIST -R",
        "LIST -l .",
    ] {
        assert_eq!(c.names(command), lines(&NAMES), "{command}");
    }
}

#[test]
fn a_listing_with_hidden_names() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let mut expected = vec![dot("/home/alice", "."), dot("/home", ".."), home(".dot")];
    expected.extend(lines(&NAMES));
    for command in ["LIST -a", "LIST -la", "LIST -al", "NLST -la"] {
        assert_eq!(c.names(command), expected, "{command}");
    }
}

#[test]
fn names_only() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    for command in ["NLST", "NLST .", "NLST *", "NLST -S"] {
        assert_eq!(c.names(command), NAMES, "{command}");
    }
    assert_eq!(
        c.names("NLST -a"),
        [&[".", "..", ".dot"][..], &NAMES[..]].concat()
    );
}

#[test]
fn names_of_a_directory() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    for command in ["NLST d", "NLST d/", "NLST d/*"] {
        assert_eq!(c.names(command), ["d/1", "d/2", "d/sub"], "{command}");
    }
    assert_eq!(c.names("NLST -a d"), ["d/.", "d/..", "d/1", "d/2", "d/sub"]);
    assert_eq!(
        c.names("NLST ~/d"),
        ["/home/alice/d/1", "/home/alice/d/2", "/home/alice/d/sub"]
    );
    assert_eq!(c.names("LIST d"), [home("d/1"), home("d/2"), home("d/sub")]);
}

#[test]
fn one_file() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    assert_eq!(c.names("LIST asc"), [home("asc")]);
    assert_eq!(c.names("LIST d/1"), [home("d/1")]);
    assert_eq!(c.names("NLST asc"), ["asc"]);
    assert_eq!(c.names("NLST d/1"), ["d/1"]);
    assert_eq!(c.names("NLST a b"), ["a b"]);
    assert_eq!(c.names("NLST dang"), ["dang"]);
}

#[test]
fn nothing_found() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    for command in [
        "LIST nodir",
        "NLST nodir",
        "NLST nodir*",
        "LIST empty",
        "NLST 'a b'",
    ] {
        let (_, mut data) = c.begin(command);
        assert_eq!(data.read(), b"", "{command}");
        c.next("226 Directory send OK.");
    }
    let (_, mut data) = c.begin("LIST nodir/x");
    assert_eq!(data.read(), b"");
    c.next("226 Transfer done (but failed to open directory).");
}

#[test]
fn patterns() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    // Debian's original also lists a link whose target matches; that is a defect (reference 10, 37).
    let mut names = |command: &str| -> Vec<String> {
        c.names(command)
            .into_iter()
            .filter(|name| name != "lnk")
            .collect()
    };
    assert_eq!(names("NLST ?"), ["d", "f"]);
    assert_eq!(names("NLST a*"), ["a b", "asc"]);
    assert_eq!(names("NLST *s*"), ["asc"]);
    assert_eq!(names("NLST {f,asc}"), ["asc", "f"]);
    assert_eq!(names("NLST d/?"), ["d/1", "d/2"]);
    assert_eq!(names("NLST .d*"), [".dot"]);
    assert_eq!(names("NLST x*"), Vec::<String>::new());
}

#[test]
fn by_time() {
    let host = Host::new();
    for (name, time) in [
        ("asc", 1_000_000_300),
        ("d", 1_000_000_200),
        ("empty", 1_000_000_100),
        ("f", 1_000_000_000),
        ("a b", 1_000_000_400),
        ("other", 1_000_000_500),
        ("lnk", 900),
        ("dang", 800),
    ] {
        host.touch(&format!("/home/alice/{name}"), time);
    }
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let newest = ["other", "a b", "asc", "d", "empty", "f", "lnk", "dang"];
    assert_eq!(c.names("NLST -t"), newest);
    assert_eq!(c.names("LIST -t"), lines(&newest));
    let oldest: Vec<&str> = newest.iter().rev().copied().collect();
    assert_eq!(c.names("NLST -rt"), oldest);
}

#[test]
fn reversed() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let reversed: Vec<&str> = NAMES.iter().rev().copied().collect();
    assert_eq!(Client::alice().names("NLST -r"), reversed);
}

#[test]
fn marked() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    assert_eq!(
        c.names("NLST -F"),
        ["a b", "asc", "d/", "dang@", "empty/", "f", "lnk@", "other"]
    );
    let long = c.names("LIST -F");
    assert_eq!(
        (&long[2], &long[3]),
        (&format!("{}/", home("d")), &home("dang"))
    );
}

#[test]
fn sorted_by_bytes() {
    let host = Host::new();
    for name in ["B", "b", "_", "10", "9", "é"] {
        host.file(&format!("/home/alice/empty/{name}"), b"");
    }
    let _server = Server::start(&host, "");
    assert_eq!(
        Client::alice().names("NLST empty"),
        [
            "empty/10", "empty/9", "empty/B", "empty/_", "empty/b", "empty/é"
        ]
    );
}

#[test]
fn permissions_and_kinds() {
    let host = Host::new();
    for (name, mode) in [
        ("s1", 0o4755),
        ("s2", 0o4644),
        ("s3", 0o2755),
        ("s4", 0o2644),
        ("t1", 0o1777),
        ("t2", 0o1666),
        ("none", 0),
    ] {
        let path = format!("/home/alice/empty/{name}");
        host.file(&path, b"");
        host.mode(&path, mode);
    }
    nix::unistd::mkfifo(
        "/home/alice/empty/z",
        nix::sys::stat::Mode::from_bits_truncate(0o644),
    )
    .unwrap();
    let _server = Server::start(&host, "");
    let listed = Client::alice().names("LIST empty");
    let expected: Vec<String> = ["none", "s1", "s2", "s3", "s4", "t1", "t2", "z"]
        .iter()
        .map(|n| home(&format!("empty/{n}")))
        .collect();
    assert_eq!(listed, expected);
}

/// attacks B-028.
#[test]
fn dates_old_recent_and_to_come() {
    let host = Host::new();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64;
    for (name, time) in [
        ("a", 0),
        ("b", 981_173_106),
        ("c", now - 86_400),
        ("d", now - 170 * 86_400),
        ("e", now - 190 * 86_400),
        ("f", 2_208_988_800),
        ("g", 951_782_400),
    ] {
        host.file(&format!("/home/alice/empty/{name}"), b"");
        host.touch(&format!("/home/alice/empty/{name}"), time);
    }
    let _server = Server::start(&host, "");
    let expected: Vec<String> = ["a", "b", "c", "d", "e", "f", "g"]
        .iter()
        .map(|n| home(&format!("empty/{n}")))
        .collect();
    assert_eq!(Client::alice().names("LIST empty"), expected);
}

/// attacks B-028.
#[test]
fn large_sizes_and_ids_widen_the_line() {
    let host = Host::new();
    std::fs::File::create("/home/alice/empty/x")
        .unwrap()
        .set_len(12_345_678_901)
        .unwrap();
    std::os::unix::fs::chown("/home/alice/empty/x", Some(123_456_789), Some(987_654_321)).unwrap();
    let _server = Server::start(&host, "");
    assert_eq!(Client::alice().names("LIST empty"), [home("empty/x")]);
}

#[test]
fn hide_ids() {
    let host = Host::new();
    let _server = Server::start(&host, "hide_ids=YES\n");
    assert_eq!(
        Client::alice().names("LIST asc"),
        [line_with("/home/alice/asc", "ftp", "ftp")]
    );
}

#[test]
fn text_names() {
    let host = Host::new();
    host.file("/home/alice/empty/unknown", b"");
    host.own("/home/alice/empty/unknown", 4242);
    let _server = Server::start(&host, "text_userdb_names=YES\n");
    let mut c = Client::alice();
    assert_eq!(
        c.names("LIST asc"),
        [line_with("/home/alice/asc", "alice", "alice")]
    );
    assert_eq!(
        c.names("LIST other"),
        [line_with("/home/alice/other", "root", "root")]
    );
    assert_eq!(c.names("LIST empty"), [home("empty/unknown")]);
}

#[test]
fn force_dot_files() {
    let host = Host::new();
    let _server = Server::start(&host, "force_dot_files=YES\n");
    let mut c = Client::alice();
    assert_eq!(c.names("NLST"), [&[".dot"][..], &NAMES[..]].concat());
    assert_eq!(c.names("NLST -a")[..3], [".", "..", ".dot"]);
}

#[test]
fn recursion() {
    let host = Host::new();
    let _server = Server::start(&host, "ls_recurse_enable=YES\n");
    let mut c = Client::alice();
    assert_eq!(
        c.names("NLST -R d"),
        ["d:", "d/1", "d/2", "d/sub", "", "d/sub:", "d/sub/z"]
    );
    let mut expected = vec![".:".to_owned()];
    expected.extend(NAMES.map(str::to_owned));
    expected.extend(
        [
            "",
            "./d:",
            "./d/1",
            "./d/2",
            "./d/sub",
            "",
            "./d/sub:",
            "./d/sub/z",
            "",
            "./empty:",
        ]
        .map(str::to_owned),
    );
    assert_eq!(c.names("NLST -R"), expected);
    let mut expected = vec![".:".to_owned()];
    expected.extend(lines(&NAMES));
    expected.extend([
        String::new(),
        "./d:".into(),
        home("d/1"),
        home("d/2"),
        home("d/sub"),
    ]);
    expected.extend([
        String::new(),
        "./d/sub:".into(),
        home("d/sub/z"),
        String::new(),
        "./empty:".into(),
    ]);
    assert_eq!(c.names("LIST -R"), expected);
}

/// A directory that opens and cannot be read does not hide those behind it; the original passes over it without a word. What /proc/PID/net
/// answers of a process that has ended is such a directory.
#[test]
fn recursion_goes_on_behind_what_cannot_be_read() {
    let host = Host::new();
    host.mkdir("/home/alice/d/hard", crate::support::host::ALICE);
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    let net = format!("/proc/{}/net", ended.id());
    crate::support::wait("its end", || {
        std::fs::read_dir(&net).ok()?.next()?.is_err().then_some(())
    });
    let hard = std::path::Path::new("/home/alice/d/hard");
    crate::support::host::bind(std::path::Path::new(&net), hard);
    let _server = Server::start(&host, "ls_recurse_enable=YES\n");
    let mut c = Client::alice();
    let (_, mut data) = c.begin("NLST -R d");
    let text = String::from_utf8(data.read()).unwrap();
    assert!(
        text.contains("d/hard:") && text.ends_with("d/sub/z\r\n"),
        "{text}"
    );
    if host.ours() {
        c.next("451 Failure reading local file.");
    } else {
        c.next("226 Directory send OK.");
    }
    ended.wait().unwrap();
}

#[test]
fn status_of_a_path() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let block = |lines: &[String]| {
        format!(
            "213-Status follows:\r\n{}213 End of status",
            lines.iter().map(|l| format!("{l}\r\n")).collect::<String>()
        )
    };
    c.says("STAT asc", &block(&[home("asc")]));
    c.says("STAT nofile", &block(&[]));
    let directory = [
        dot("/home/alice/d", "."),
        dot("/home/alice", ".."),
        home("d/1"),
        home("d/2"),
        home("d/sub"),
    ];
    c.says("STAT d", &block(&directory));
    c.says("STAT d/*", &block(&directory));
}

#[test]
fn lists_in_ascii_type_too() {
    let host = Host::new();
    let _server = Server::start(&host, "ascii_download_enable=YES\n");
    let mut c = Client::alice();
    c.says("TYPE A", "200 Switching to ASCII mode.");
    assert_eq!(c.names("NLST"), NAMES);
}

/// attacks B-064.
#[test]
fn bytes_in_names_are_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let host = Host::new();
    let name = b"/home/alice/empty/\xe9\x01\xff x";
    std::fs::write(std::ffi::OsStr::from_bytes(name), b"").unwrap();
    let _server = Server::start(&host, "");
    assert_eq!(
        Client::alice().fetch("NLST empty"),
        b"empty/\xe9\x01\xff x\r\n"
    );
}

#[test]
fn a_large_directory() {
    let host = Host::new();
    let names: Vec<String> = (0..3000)
        .map(|n| format!("file-{n:05}-with-a-rather-long-name"))
        .collect();
    for name in &names {
        host.file(&format!("/home/alice/empty/{name}"), b"");
    }
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.says("CWD empty", "250 Directory successfully changed.");
    assert_eq!(c.names("NLST"), names);
    assert_eq!(c.names("LIST").len(), 3000);
}

#[test]
fn a_directory_that_may_not_be_read() {
    let host = Host::new();
    host.mkdir("/home/alice/locked", 0);
    host.mode("/home/alice/locked", 0o711);
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    assert_eq!(c.names("LIST locked"), [home("locked")]);
    c.says("CWD locked", "250 Directory successfully changed.");
    let (_, mut data) = c.begin("LIST");
    assert_eq!(data.read(), b"");
    c.next("226 Transfer done (but failed to open directory).");
}

#[test]
fn listings_in_a_jail() {
    let host = Host::new();
    let _server = Server::start(&host, "chroot_local_user=YES\nallow_writeable_chroot=YES\n");
    let mut c = Client::alice();
    assert_eq!(c.names("LIST"), lines(&NAMES));
    assert_eq!(c.names("NLST /d"), ["/d/1", "/d/2", "/d/sub"]);
    assert_eq!(
        c.names("NLST ../../d"),
        ["../../d/1", "../../d/2", "../../d/sub"]
    );
}

/// A client that ends its side only after the reply acknowledges an end mark 40 ms late (RFC 1122, 4.2.3.2); nobody waits for that each time.
#[test]
fn a_client_that_waits_for_the_reply_is_not_slow() {
    let host = Host::new();
    // The original leaves it to the client's kernel, which waits at times.
    if !host.ours() {
        return;
    }
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let mut listing = || {
        let begin = std::time::Instant::now();
        let (_, mut data) = c.begin("LIST");
        assert!(!data.read().is_empty());
        assert_eq!(c.reply().code(), "226");
        drop(data);
        begin.elapsed()
    };
    listing();
    // The fastest of many: what a busy machine adds is not meant.
    let fastest = (0..20).map(|_| listing()).min().unwrap();
    assert!(fastest.as_millis() < 35, "{fastest:?}");
}
