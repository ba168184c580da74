//! What listings and messages show: the options of src/config/options_files.rs that change how things look.

use super::{CHANGED, IN, PASSWORD, at, with};
use crate::support::listing::line_with;
use crate::support::{Client, Host, line};

const NAMES: [&str; 8] = ["a b", "asc", "d", "dang", "empty", "f", "lnk", "other"];

#[test]
fn dirmessage_enable() {
    let host = Host::new();
    host.file("/home/alice/.message", b"Home\n");
    host.file("/home/alice/d/.message", b"In d\ntwo\n");
    with(&host, "dirmessage_enable=YES\n", || {
        Client::connect().script(&[
            ("USER alice", PASSWORD),
            ("PASS secret", "230-Home\r\n230 Login successful."),
            (
                "CWD d",
                "250-In d\r\n250-two\r\n250 Directory successfully changed.",
            ),
            // Once is enough.
            ("CDUP", CHANGED),
            ("CWD d", CHANGED),
        ]);
    });
    with(&host, "", || {
        Client::connect().script(&[
            ("USER alice", PASSWORD),
            ("PASS secret", IN),
            ("CWD d", CHANGED),
        ]);
    });
}

#[test]
fn message_file() {
    let host = Host::new();
    host.file("/home/alice/d/.message", b"old\n");
    host.file("/home/alice/d/README", b"new\n");
    for (lines, text) in [("message_file=README\n", "new"), ("", "old")] {
        with(&host, &format!("dirmessage_enable=YES\n{lines}"), || {
            Client::alice().says(
                "CWD d",
                &format!("250-{text}\r\n250 Directory successfully changed."),
            );
        });
    }
    with(&host, "dirmessage_enable=YES\nmessage_file=\n", || {
        Client::alice().says("CWD d", CHANGED);
    });
}

#[test]
fn force_dot_files() {
    let host = Host::new();
    with(&host, "force_dot_files=YES\n", || {
        assert_eq!(
            Client::alice().names("NLST"),
            [&[".dot"][..], &NAMES[..]].concat()
        );
    });
    with(&host, "", || {
        let mut c = Client::alice();
        assert_eq!(c.names("NLST"), NAMES);
        assert_eq!(c.names("NLST -a")[..3], [".", "..", ".dot"]);
    });
}

#[test]
fn hide_ids() {
    let host = Host::new();
    with(&host, "hide_ids=YES\ntext_userdb_names=YES\n", || {
        assert_eq!(
            Client::alice().names("LIST other"),
            [line_with("/home/alice/other", "ftp", "ftp")]
        );
    });
    with(&host, "", || {
        assert_eq!(
            Client::alice().names("LIST other"),
            [line_with("/home/alice/other", "0", "0")]
        );
    });
}

#[test]
fn text_userdb_names() {
    let host = Host::new();
    host.file("/home/alice/d/1", b"1");
    host.own("/home/alice/d/1", 4242);
    with(&host, "text_userdb_names=YES\n", || {
        let mut c = Client::alice();
        assert_eq!(
            c.names("LIST asc"),
            [line_with("/home/alice/asc", "alice", "alice")]
        );
        // Nobody has this number.
        assert_eq!(c.names("LIST d/1"), [line("/home/alice/d/1")]);
    });
    with(&host, "", || {
        assert_eq!(
            Client::alice().names("LIST asc"),
            [line_with("/home/alice/asc", "1001", "1001")]
        );
    });
    // The names are those of the jail, where there are none.
    let jail = "text_userdb_names=YES\nchroot_local_user=YES\nallow_writeable_chroot=YES\n";
    with(&host, jail, || {
        assert_eq!(Client::alice().names("LIST asc"), [line("/home/alice/asc")]);
    });
    std::fs::create_dir("/home/alice/etc").unwrap();
    host.write("/home/alice/etc/passwd", "ali:x:1001:1001::/:/bin/sh\n");
    host.write("/home/alice/etc/group", "grp:x:1001:\n");
    with(&host, jail, || {
        assert_eq!(
            Client::alice().names("LIST asc"),
            [line_with("/home/alice/asc", "ali", "grp")]
        );
    });
}

#[test]
fn ls_recurse_enable() {
    let host = Host::new();
    with(&host, "ls_recurse_enable=YES\n", || {
        assert_eq!(
            Client::alice().names("NLST -R d"),
            ["d:", "d/1", "d/2", "d/sub", "", "d/sub:", "d/sub/z"]
        );
    });
    with(&host, "", || {
        assert_eq!(Client::alice().names("NLST -R d"), ["d/1", "d/2", "d/sub"]);
    });
}

/// A version 1 time zone file (tzfile(5)) with one type: five hours east.
fn east_5() -> Vec<u8> {
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

#[test]
fn use_localtime() {
    let host = Host::new();
    std::fs::write("/etc/localtime", east_5()).unwrap();
    // 22:00 on the 9th is the 10th five hours further east.
    host.touch("/home/alice/d/1", 1_000_072_800);
    with(&host, "use_localtime=YES\n", || {
        let mut c = Client::alice();
        c.says("MDTM f", "213 20010203090506");
        assert!(c.names("LIST d/1")[0].contains(" Sep 10  2001 "));
        c.says("MDTM 20020304050607 asc", "213 File modification time set.");
        c.says("MDTM asc", "213 20020304050607");
    });
    with(&host, "", || {
        let mut c = Client::alice();
        c.says("MDTM f", "213 20010203040506");
        assert!(c.names("LIST d/1")[0].contains(" Sep 09  2001 "));
        c.says("MDTM asc", "213 20020304000607");
    });
}

#[test]
fn tilde_user_enable() {
    let host = Host::new();
    with(&host, "tilde_user_enable=YES\n", || {
        let mut c = Client::alice();
        c.says("CWD ~bob", CHANGED);
        at(&mut c, "/home/bob");
        c.says("SIZE ~alice/f", "213 12");
        c.says("CWD ~nosuch", "550 Failed to change directory.");
    });
    with(&host, "", || {
        let mut c = Client::alice();
        c.says("CWD ~bob", "550 Failed to change directory.");
        // One's own home needs no option.
        c.says("SIZE ~/f", "213 12");
    });
    let jail = "tilde_user_enable=YES\nchroot_local_user=YES\nallow_writeable_chroot=YES\n";
    with(&host, jail, || {
        Client::alice().says("CWD ~bob", "550 Failed to change directory.");
    });
}

#[test]
fn utf8_filesystem() {
    let host = Host::new();
    for (lines, told) in [("utf8_filesystem=YES\n", true), ("", false)] {
        with(&host, lines, || {
            let mut c = Client::connect();
            assert_eq!(c.cmd("FEAT").text().contains("\r\n UTF8\r\n"), told);
            c.login("alice");
            assert_eq!(c.cmd("FEAT").text().contains("\r\n UTF8\r\n"), told);
            c.says("OPTS UTF8 ON", "200 Always in UTF8 mode.");
        });
    }
}
