//! Daemon and client patterns against addresses, names and files, most as libwrap 7.6.q-32 was seen to answer; tests of the reader.

use super::{Fake, Place, ask, granted, matches};

#[track_caller]
fn check(client: &str, name: Option<&'static str>, yes: &[&str], no: &[&str]) {
    for (list, want) in yes
        .iter()
        .map(|list| (list, true))
        .chain(no.iter().map(|list| (list, false)))
    {
        let rule = format!("ALL: {list}");
        assert_eq!(
            matches(&rule, client, name),
            want,
            "{rule} {client} {name:?}"
        );
    }
}

#[test]
fn addresses() {
    let yes = [
        "127.",
        "127.0.",
        "127.0.0.1",
        ".0.0.1",
        ".1",
        "127.0.0.0/8",
        "127.0.0.1/32",
        "127.0.0.0/255.0.0.0",
        "0.0.0.1/0.0.0.255",
        "127.0.0.0/08",
        "*",
        "127.*",
        "127.0.0.?",
        "*.1",
        "1*7.0.0.1",
        "?27.*.1",
        "UNKNOWN",
        "unknown",
        "ALL@ALL",
        "UNKNOWN@ALL",
        "unknown@ALL",
        "*@ALL",
        "UNKNOWN@127.",
        "ALL EXCEPT 127.0.0.1 EXCEPT 127.",
        "ALL EXCEPT",
        "127.0.0.1 EXCEPT",
        "ALL EXCEPT 1.1.1.1 EXCEPT 2.2.2.2 127.0.0.1",
        "UNKNOWN EXCEPT LOCAL",
        "1.1.1.1,127.0.0.1",
        "1.1.1.1 # 127.0.0.1",
        "0.0.0.0/0.0.0.0",
        // libwrap matches nobody.
        "0.0.0.0/0",
    ];
    let no = [
        "",
        "127",
        "127.0.0.01",
        "127.0.0.1.",
        "0.0.1",
        "127.0.0.1/8",
        "0.0.0.0/33",
        "127.0.0.1/255.255.255.255",
        "127.0.0.1/255.0.0.0",
        "127/8",
        "127.0/16",
        "127.0.0.0/ 8",
        "127.0.0.0/",
        "/8",
        "127.0.0.0/255",
        "127.0.0.??",
        "127.*.",
        "127.0.0.*/8",
        "[127.0.0.1]",
        "[127.0.0.0]/8",
        "[::ffff:127.0.0.1]",
        "[::]/0",
        "[::1]",
        "LOCAL",
        "KNOWN",
        "PARANOID",
        "paranoid",
        "@grp",
        "@",
        "KNOWN@ALL",
        "root@ALL",
        "KNOWN@127.",
        "@127.0.0.1",
        "a@b@127.0.0.1",
        "ALL@",
        "ALL@@grp",
        "LOCAL@ALL",
        "ALL EXCEPT 127.0.0.1",
        "EXCEPT 127.0.0.1",
        "1.1.1.1 EXCEPT 127.0.0.1 127.0.0.1",
        "ALL EXCEPT 1.1.1.1 127.0.0.1",
        "127.0.0.256/8",
        "2130706433",
        "0x7f.0.0.1",
        "127.1",
        "[",
        "]",
        "[]",
        "[/]",
        "[]/8",
    ];
    check("127.0.0.1", None, &yes, &no);
    // A client of IPv4 is one on a socket of IPv6 as well.
    check("::ffff:127.0.0.1", None, &yes, &no);
}

#[test]
fn addresses_of_ipv6() {
    check(
        "::1",
        None,
        &[
            "[::1]",
            "[::1]/128",
            "[::]/0",
            "[::]/127",
            "[0:0:0:0:0:0:0:1]",
            "[::0001]",
            "*",
            "ALL",
            "[::1]/64",
            "[::]/64",
            "[::]/064",
            "UNKNOWN@[::1]",
            "1.1.1.1 [::1]",
        ],
        &[
            "[::1]/129",
            "[::2]/127",
            "[::]",
            "::1",
            "[::1%lo]",
            "?:?",
            "::*",
            "[::*]",
            "LOCAL",
            "127.",
            "0.0.0.0/0",
            "[0.0.0.0]/0",
            "[::1",
            "::1]",
            "[::1]x",
            "[::]/-1",
            "ALL EXCEPT [::1]",
        ],
    );
    check(
        "2001:db8::1",
        None,
        &[
            "[2001:db8::]/32",
            "[2001:DB8::1]",
            "[2001:db8:0::]/33",
            "[2001:db8::1]/32",
            "[3ffe:505:2:1::]/64 [2001::]/16",
        ],
        &["[2001:db8:8000::]/33", "2001:", "[2001:]", "[2001:db8:]"],
    );
}

#[test]
fn names() {
    check(
        "10.0.0.1",
        Some("host.foo.edu"),
        &[
            ".foo.edu",
            ".FOO.edu",
            ".edu",
            "h*",
            "*.edu",
            "*",
            "host.foo.edu",
            "HOST.foo.edu",
            "KNOWN",
            "ALL",
            "*.foo.*",
            "KNOWN EXCEPT LOCAL",
            "*host*.foo.edu",
            "**",
            "h??t.foo.edu",
        ],
        &[
            "foo.edu",
            "host",
            "host.foo.edu.",
            "host*.",
            "LOCAL",
            "UNKNOWN",
            "PARANOID",
            ".",
            "..",
            "unknown",
            "u*",
            "EXCEPT",
            ".*.edu",
            // libwrap matches a name by its beginning, the manual page only an address.
            "host.",
        ],
    );
    check(
        "10.0.0.1",
        Some("host"),
        &["host", "HOST", "h*", "LOCAL", "KNOWN"],
        &[".foo.edu", "*.edu", "UNKNOWN"],
    );
    // Digits alone make no pattern of addresses.
    check(
        "10.0.0.1",
        Some("ftp1.foo.edu"),
        &["ftp1.*", "*1.foo.edu", "ftp?.foo.edu", "????.???.???"],
        &["ftp2.*", "*2.foo.edu"],
    );
    // A name cannot pass for an address.
    check(
        "1.1.1.1",
        Some("127.0.0.evil.example"),
        &["*.example"],
        &[
            "127.",
            "127.*",
            "127.0.0.*",
            "127.0.0.?",
            ".1.1 EXCEPT KNOWN",
        ],
    );
}

#[test]
fn a_name_must_have_the_address() {
    let place = Place::new();
    place.write("deny", b"ALL: ALL\n");
    for (name, addresses, list, want) in [
        (
            "good.example",
            vec!["10.0.0.9", "10.0.0.1"],
            ".example",
            true,
        ),
        ("good.example", vec!["::ffff:10.0.0.1"], "KNOWN", true),
        ("evil.example", vec!["10.0.0.9"], ".example", false),
        ("evil.example", vec!["10.0.0.9"], "KNOWN", false),
        ("evil.example", vec!["10.0.0.9"], "UNKNOWN", false),
        ("evil.example", vec!["10.0.0.9"], "PARANOID", true),
        ("evil.example", vec![], "PARANOID", true),
        ("evil.example", vec![], "evil.example", false),
        ("evil", vec![], "LOCAL", false),
        // Names that read as addresses are never believed.
        ("10.0.0.1", vec!["10.0.0.1"], "KNOWN", false),
        ("127.0.0.1", vec!["10.0.0.1"], "127.0.0.1", false),
        ("::1", vec!["10.0.0.1"], "PARANOID", true),
        ("10.0.0.1.", vec!["10.0.0.1"], "KNOWN", false),
        ("10.0.0", vec!["10.0.0.1"], "KNOWN", false),
    ] {
        place.write("allow", format!("ALL: {list}\n").as_bytes());
        let fake = Fake {
            name: Some(name),
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            ..Fake::default()
        };
        let decision = ask(&place, "10.0.0.1", "127.0.0.1", &fake);
        assert_eq!(granted(&decision), want, "{name} {addresses:?} {list}");
    }
}

#[test]
fn names_are_asked_for_late_and_once() {
    let place = Place::new();
    let fake = Fake::default();
    place.write(
        "allow",
        b"sshd: .example\nvsftpd: 1.2.3.4 10.0. 9.* 192.168.* [::1] 7.7.7.0/24 127 .9\nvsftpd: ALL EXCEPT ALL\n",
    );
    place.write("deny", b"vsftpd: 10.1.1.1\n");
    assert!(!granted(&ask(&place, "10.1.1.1", "127.0.0.1", &fake)));
    assert_eq!(fake.asked.get(), 0);
    let known = Fake {
        name: Some("a.b"),
        addresses: vec!["10.1.1.1".parse().unwrap()],
        ..Fake::default()
    };
    place.write(
        "allow",
        b"vsftpd: LOCAL .x KNOWN EXCEPT a.b\nvsftpd: name *n : setenv A %n%h%c\n",
    );
    assert!(!granted(&ask(&place, "10.1.1.1", "127.0.0.1", &known)));
    assert_eq!(known.asked.get(), 2, "one look-up, and one to believe it");
}

#[test]
fn daemons() {
    for (list, want) in [
        ("all", true),
        ("ALL", true),
        ("vsftpd", true),
        ("VSFTPD", true),
        ("vs*", true),
        ("vsft?d", true),
        ("KNOWN", true),
        ("sshd,vsftpd", true),
        ("21", true),
        ("vsftpd@127.0.0.1", true),
        ("vsftpd@127.", true),
        ("ALL@127.0.0.0/8", true),
        ("vsftpd@ALL", true),
        ("vsftpd@UNKNOWN", true),
        ("ALL EXCEPT sshd", true),
        ("ALL EXCEPT ALL EXCEPT vsftpd", true),
        ("vsftpd sshd EXCEPT", true),
        ("22", false),
        ("0", false),
        ("ftpd", false),
        (".ftpd", false),
        ("vsftpd.", false),
        ("UNKNOWN", false),
        ("LOCAL", false),
        ("/etc/passwd", false),
        ("vsftpd@127.0.0.2", false),
        ("vsftpd@[::1]", false),
        ("vsftpd@KNOWN", false),
        ("@127.0.0.1", false),
        ("vsftpd@", false),
        ("vsftpd@@127.0.0.1", false),
        // Another program's rule, also where the address it is reached at is ours.
        ("sshd@127.0.0.1", false),
        ("sshd@ALL", false),
        ("ss*", false),
        ("ALL except vsftpd", false),
        ("sshd EXCEPT vsftpd vsftpd", false),
        ("EXCEPT vsftpd", false),
        ("", false),
        ("ALL\\", false),
    ] {
        assert_eq!(
            matches(&format!("{list}: ALL"), "10.0.0.1", None),
            want,
            "{list}"
        );
    }
    let place = Place::new();
    place.write("deny", b"vsftpd@[::5]: ALL\n");
    assert!(!granted(&ask(&place, "::1", "::5", &Fake::default())));
    assert!(granted(&ask(&place, "::1", "::6", &Fake::default())));
}

#[test]
fn files_of_patterns() {
    let place = Place::new();
    place.write("deny", b"ALL: ALL\n");
    let (list, inner) = (place.path("list"), place.path("inner"));
    place.write("inner", b"127.0.0.1\n");
    for (text, want) in [
        ("127.0.0.1\n", true),
        ("127.0.0.1", true),
        ("1.1.1.1 2.2.2.2\n\t127.\n", true),
        ("1.1.1.1, 127.0.0.1\n", true),
        ("# x\n127.0.0.0/8\n", true),
        ("ALL\n", true),
        ("UNKNOWN\n", true),
        ("*\n", true),
        (&inner, true),
        ("#127.0.0.1\n", false),
        ("1.1.1.1,127.0.0.1\n", false),
        ("ALL@127.0.0.1\n", false),
        ("127.0.\\\n0.1\n", false),
        ("LOCAL\n", false),
        ("\x00127.0.0.1\n", false),
        ("", false),
    ] {
        place.write("list", text.as_bytes());
        place.write("allow", format!("vsftpd: {list}\n").as_bytes());
        assert_eq!(
            granted(&ask(&place, "127.0.0.1", "127.0.0.1", &Fake::default())),
            want,
            "{text:?}"
        );
        place.write("allow", format!("vsftpd@{list}: ALL@{list}\n").as_bytes());
        assert_eq!(
            granted(&ask(&place, "127.0.0.1", "127.0.0.1", &Fake::default())),
            want,
            "{text:?}"
        );
        place.write("allow", format!("{list}: ALL\n").as_bytes());
        assert!(
            !granted(&ask(&place, "127.0.0.1", "127.0.0.1", &Fake::default())),
            "a file names no daemons"
        );
    }
    place.write("list", b"::1\n");
    place.write("allow", format!("vsftpd: {list}\n").as_bytes());
    assert!(granted(&ask(&place, "::1", "::1", &Fake::default())));
}

#[test]
fn wildcards_are_no_longer_than_names() {
    let stars = |count| "*".repeat(count);
    for (count, want) in [(1024, true), (1025, false)] {
        assert_eq!(
            matches(&format!("{}: ALL", stars(count)), "10.0.0.1", None),
            want,
            "a daemon's of {count}"
        );
        assert_eq!(
            matches(&format!("ALL: {}", stars(count)), "10.0.0.1", None),
            want,
            "a host's of {count}"
        );
    }
}

#[test]
fn files_of_patterns_are_bounded() {
    let place = Place::new();
    place.write("deny", b"ALL: ALL\n");
    let asked = || ask(&place, "127.0.0.1", "127.0.0.1", &Fake::default());
    // The first names the second and so on; the last is the only one that matches.
    let chain = |length: usize| {
        for number in 1..length {
            let next = place.path(&format!("file{}", number + 1));
            place.write(&format!("file{number}"), format!("{next}\n").as_bytes());
        }
        place.write(&format!("file{length}"), b"127.0.0.1\n");
        let first = place.path("file1");
        place.write("allow", format!("vsftpd: {first}\n").as_bytes());
    };
    chain(4);
    assert!(granted(&asked()), "four deep");
    chain(5);
    assert!(!granted(&asked()), "five deep");
    // One behind the other none is deep, but there are not to be too many.
    let other = place.write("other", b"1.1.1.1\n");
    for (count, want) in [(255, true), (256, false)] {
        let last = place.write("last", b"127.0.0.1\n");
        let list = format!("vsftpd: {}{last}\n", format!("{other} ").repeat(count));
        place.write("allow", list.as_bytes());
        let decision = asked();
        assert_eq!(granted(&decision), want, "behind {count} others");
        assert_eq!(decision.notes.is_empty(), want, "{decision:?}");
    }
}
