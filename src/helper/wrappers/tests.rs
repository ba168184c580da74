//! What rules say: the manual pages' examples, what libwrap 7.6.q-32 was seen to answer, and where we differ; tests of helper.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::hosts::Resolver;
use super::{Answer, Decision, Files, Query, decide};
use proptest::prelude::*;
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A name service with one answer for every address.
#[derive(Default)]
struct Fake {
    name: Option<&'static str>,
    addresses: Vec<IpAddr>,
    asked: Cell<u32>,
}

impl Resolver for Fake {
    fn name(&self, _: IpAddr) -> Option<String> {
        self.asked.set(self.asked.get() + 1);
        self.name.map(str::to_owned)
    }

    fn addresses(&self, _: &str) -> Vec<IpAddr> {
        self.asked.set(self.asked.get() + 1);
        self.addresses.clone()
    }
}

/// Files of this test alone, removed at its end.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("vsftpd-wrappers-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &[u8]) -> String {
        std::fs::write(self.0.join(name), text).unwrap();
        self.path(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn ask(place: &Place, client: &str, server: &str, fake: &Fake) -> Decision {
    let query = Query {
        daemon: "vsftpd",
        client: SocketAddr::new(client.parse().unwrap(), 5000),
        server: SocketAddr::new(server.parse().unwrap(), 21),
    };
    let (allow, deny) = (place.path("allow"), place.path("deny"));
    let files = Files {
        allow: &allow,
        deny: &deny,
    };
    decide(&query, &files, fake)
}

/// A decision about `client`, known to the name service as `name` if that is given.
fn tables(allow: &[u8], deny: &[u8], client: &str, name: Option<&'static str>) -> Decision {
    let place = Place::new();
    place.write("allow", allow);
    place.write("deny", deny);
    let fake = Fake {
        name,
        addresses: vec![client.parse().unwrap()],
        ..Fake::default()
    };
    ask(&place, client, "127.0.0.1", &fake)
}

fn granted(decision: &Decision) -> bool {
    decision.answer == Answer::Granted
}

/// Whether one rule in hosts.allow matches, everyone else being denied.
fn matches(rule: &str, client: &str, name: Option<&'static str>) -> bool {
    let allow = format!("{rule}\n");
    granted(&tables(allow.as_bytes(), b"ALL: ALL\n", client, name))
}

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
fn allow_before_deny_before_granted() {
    let none = tables(b"", b"", "127.0.0.1", None);
    assert_eq!(none.rule, None);
    assert!(granted(&none) && none.notes.is_empty());
    let place = Place::new();
    let missing = ask(&place, "127.0.0.1", "127.0.0.1", &Fake::default());
    assert_eq!(missing, none);
    let both = tables(b"vsftpd: 127.\n", b"vsftpd: ALL\n", "127.0.0.1", None);
    assert!(granted(&both) && both.rule.unwrap().ends_with("/allow:1"));
    let other = tables(b"vsftpd: 127.\n", b"\n# c\nvsftpd: ALL\n", "1.2.3.4", None);
    assert!(!granted(&other) && other.rule.unwrap().ends_with("/deny:3"));
}

#[test]
fn mostly_closed() {
    let allow = b"ALL: LOCAL @some_netgroup\nALL: .foobar.edu EXCEPT terminalserver.foobar.edu\n";
    for (name, want) in [
        (Some("here"), true),
        (Some("a.foobar.edu"), true),
        (Some("A.FooBar.EDU"), true),
        (Some("terminalserver.foobar.edu"), false),
        (Some("foobar.edu"), false),
        (Some("xfoobar.edu"), false),
        (None, false),
    ] {
        let decision = tables(allow, b"ALL: ALL\n", "10.0.0.1", name);
        assert_eq!(granted(&decision), want, "{name:?}");
    }
    let decision = tables(allow, b"ALL: ALL\n", "10.0.0.1", None);
    assert!(
        decision
            .notes
            .iter()
            .any(|note| note.contains("/allow:1: @some_netgroup never matches: netgroups"))
    );
}

#[test]
fn mostly_open() {
    let deny = b"ALL: some.host.name, .some.domain\nALL EXCEPT in.fingerd: other.host.name, .other.domain\nALL EXCEPT vsftpd: third\n";
    for (name, want) in [
        ("some.host.name", false),
        ("x.some.domain", false),
        ("other.host.name", false),
        ("y.other.domain", false),
        ("third", true),
        ("elsewhere", true),
    ] {
        assert_eq!(
            granted(&tables(b"", deny, "10.0.0.1", Some(name))),
            want,
            "{name}"
        );
    }
}

#[test]
fn booby_traps_are_not_sprung() {
    let deny =
        b"vsftpd: ALL: (/usr/sbin/safe_finger -l @%h | \\\n /usr/bin/mail -s %d-%h root) &\n";
    let decision = tables(
        b"vsftpd: LOCAL, .my.domain\n",
        deny,
        "10.0.0.1",
        Some("a.b"),
    );
    assert!(!granted(&decision));
    assert!(
        decision
            .notes
            .iter()
            .any(|note| note.contains("/deny:1: option")
                && note.contains("shell commands are not run")),
        "{decision:?}"
    );
}

#[test]
fn one_file_for_all() {
    for (text, name, want) in [
        (
            "ALL: .friendly.domain: ALLOW\nALL: ALL: DENY\n",
            "a.friendly.domain",
            true,
        ),
        (
            "ALL: .friendly.domain: ALLOW\nALL: ALL: DENY\n",
            "a.other",
            false,
        ),
        (
            "ALL: .bad.domain: DENY\nALL: ALL: ALLOW\n",
            "a.bad.domain",
            false,
        ),
        ("ALL: .bad.domain: DENY\nALL: ALL: ALLOW\n", "a.other", true),
    ] {
        assert_eq!(
            granted(&tables(text.as_bytes(), b"", "10.0.0.1", Some(name))),
            want,
            "{text} {name}"
        );
        assert_eq!(
            granted(&tables(b"", text.as_bytes(), "10.0.0.1", Some(name))),
            want,
            "in hosts.deny: {text} {name}"
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
fn lines() {
    for (text, want) in [
        (" vsftpd : ALL\n", true),
        ("vsftpd: 127.0.\\\n0.1\n", true),
        ("vsftpd: \\\n\\\n ALL\n", true),
        ("vsftpd: ALL\r\n", true),
        ("bad line\nvsftpd: ALL\n", true),
        (" # x\nvsftpd: ALL\n", true),
        ("# foo \\\nvsftpd: ALL\n", false),
        ("#\\\nvsftpd: ALL\n", false),
        ("vsftpd: 127.0.0.\\ \n1\n", false),
        ("vsftpd:\n", false),
        (": ALL\n", false),
        (":\n", false),
        ("vsftpd\n", false),
    ] {
        let decision = tables(text.as_bytes(), b"ALL: ALL\n", "127.0.0.1", None);
        assert_eq!(granted(&decision), want, "{text}");
    }
    let decision = tables(b"", b"# c\nbad line\n", "127.0.0.1", None);
    assert!(granted(&decision));
    assert!(
        decision
            .notes
            .iter()
            .any(|note| note.ends_with("/deny:2: bad line is no rule: it has no colon; skipped")),
        "{decision:?}"
    );
    let long = format!("vsftpd: {} 127.\n", "x ".repeat(4000));
    let decision = tables(long.as_bytes(), b"ALL: ALL\n", "127.0.0.1", None);
    assert!(granted(&decision), "a rule may be long");
}

#[test]
fn half_a_rule_never_grants() {
    let closed = b"ALL: ALL\n";
    assert!(!granted(&tables(b"vsftpd: ALL", closed, "127.0.0.1", None)));
    assert!(!granted(&tables(
        b"vsftpd\0: ALL\n",
        closed,
        "127.0.0.1",
        None
    )));
    assert!(granted(&tables(
        b"vsftpd: ALL\nvsftpd: 1",
        closed,
        "127.0.0.1",
        None
    )));
    assert!(granted(&tables(b"vsftpd: ALL", b"", "127.0.0.1", None)));
    assert!(!granted(&tables(
        b"vsftpd: ALL: deny",
        b"",
        "127.0.0.1",
        None
    )));
    for half in ["vsftpd: ALL", "foo: 1.2.3.4", "foo", "foo: 1\0.2.3.4\n"] {
        let decision = tables(b"", half.as_bytes(), "127.0.0.1", None);
        assert!(!granted(&decision), "{half:?}");
        assert!(
            decision
                .notes
                .iter()
                .any(|note| note.contains("/deny:1: the line has no newline"))
        );
    }
    assert!(granted(&tables(b"", b"# end", "127.0.0.1", None)));
}

/// The answer, what `V` was set to, and how many notes there are, for one option in hosts.allow.
fn option(text: &str) -> (bool, Option<String>, usize) {
    let rule = format!("ALL: ALL: {text}\n");
    let decision = tables(rule.as_bytes(), b"", "127.0.0.1", None);
    let value = decision
        .variable(b"V")
        .map(|value| String::from_utf8(value.to_vec()).unwrap());
    (granted(&decision), value, decision.notes.len())
}

#[test]
fn options_that_work() {
    for text in [
        "allow",
        "ALLOW",
        "allow=",
        "allow = ",
        "keepalive",
        "keepalive=",
        "linger 5",
        "linger 0",
        "severity notice",
        "severity INFO",
        "severity mail.info",
        "severity auth.warning",
        "severity local7.debug",
    ] {
        assert_eq!(option(text), (true, None, 0), "{text}");
    }
    for text in ["deny", "DENY", "deny = "] {
        assert_eq!(option(text), (false, None, 0), "{text}");
    }
    for (text, value) in [
        ("setenv V x", "x"),
        ("SETENV V x", "x"),
        ("setenv V", ""),
        ("setenv=V x", "x"),
        ("setenv = V   a  b  ", "a  b"),
        ("setenv  \tV\ta\t", "a"),
        ("setenv V ' a '", "' a '"),
        ("setenv V a\\:b", "a:b"),
        ("setenv V a\\\\b", "a\\\\b"),
        ("setenv V x:setenv V y", "y"),
        ("setenv V x : allow", "x"),
        (
            "setenv V %a %A %c %d %h %H %n %N %s %u %%",
            "127.0.0.1 127.0.0.1 127.0.0.1 vsftpd 127.0.0.1 127.0.0.1 unknown unknown vsftpd@127.0.0.1 unknown %",
        ),
        ("setenv V %r %R", "5000 21"),
        ("setenv V %", "%"),
        ("setenv V %%a", "%a"),
    ] {
        assert_eq!(option(text), (true, Some(value.to_owned()), 0), "{text}");
    }
    assert_eq!(option("setenv V x:deny"), (false, Some("x".to_owned()), 0));
    assert_eq!(
        option("setenv V a\\\\:b:deny"),
        (false, Some("a\\:b".to_owned()), 0)
    );
    assert_eq!(option("setenv V a%zb"), (true, Some("ab".to_owned()), 1));
    assert_eq!(
        option("setenv V %p").1.unwrap(),
        std::process::id().to_string()
    );
}

#[test]
fn options_that_are_ignored() {
    for text in [
        "rfc931",
        "rfc931 5",
        "rfc931 +3",
        "nice",
        "nice -5",
        "nice = 5",
        "umask 022",
        "umask=0777",
        "user nobody",
        "user =nobody",
        "group nogroup",
        "banners /etc/banners",
        "spawn true",
        "spawn (a | b) &",
    ] {
        assert_eq!(option(text), (true, None, 1), "{text}");
    }
    assert_eq!(option("spawn echo\\:x : deny"), (false, None, 1));
    let decision = tables(b"", b"ALL: ALL: spawn true\n", "127.0.0.1", None);
    assert!(!granted(&decision), "the rule keeps its sense");
}

#[test]
fn options_that_refuse() {
    for text in [
        "foo",
        "",
        ":deny",
        ":",
        " : allow",
        "deny:",
        "= allow",
        "allow x",
        "allow=x",
        "deny x",
        "deny deny",
        "allow:setenv V x",
        "deny:allow",
        "twist echo hi",
        "twist",
        "twist echo: allow",
        "aclexec true",
        "aclexec",
        "spawn",
        "setenv",
        "setenv V=x",
        "umask",
        "umask x",
        "umask 8",
        "umask 1000",
        "umask -1",
        "nice x",
        "nice 5x",
        "severity",
        "severity x",
        "severity mail.",
        "severity .info",
        "severity info.mail",
        "severity mail.info.x",
        "severity local9.info",
        "linger",
        "linger x",
        "linger -1",
        "linger 5 x",
        "rfc931 x",
        "rfc931 0",
        "rfc931 -1",
        "keepalive x",
        "banners",
        "user",
        "group",
        "/bin/echo x",
    ] {
        assert_eq!(option(text), (false, None, 1), "{text}");
    }
    assert_eq!(
        option("setenv V x:foo:setenv V y"),
        (false, Some("x".to_owned()), 1)
    );
    let long = format!("setenv V {}", "%a".repeat(3000));
    assert_eq!(option(&long), (false, None, 1));
}

#[test]
fn names_in_values_are_harmless() {
    let decision = tables(
        b"ALL: ALL: setenv VSFTPD_LOAD_CONF /etc/vsftpd/%n.conf\n",
        b"",
        "10.0.0.1",
        Some("../../tmp/x;`$(y)\"\n"),
    );
    let value = decision.variable(b"VSFTPD_LOAD_CONF").unwrap();
    assert_eq!(value, b"/etc/vsftpd/.._.._tmp_x____y___.conf");
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
        ("\0127.0.0.1\n", false),
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
fn what_cannot_be_read_refuses() {
    let place = Place::new();
    let refused = |what: &str| {
        let decision = ask(&place, "127.0.0.1", "127.0.0.1", &Fake::default());
        assert!(!granted(&decision), "{what}");
        assert!(
            decision.notes.iter().any(|note| note.contains(what)),
            "{what} {decision:?}"
        );
    };
    // A file of patterns that names itself.
    let list = place.path("list");
    place.write("list", format!("1.1.1.1 {list} {list}\n").as_bytes());
    place.write("deny", format!("vsftpd: {list}\n").as_bytes());
    refused("name each other more than 4 deep");
    // A directory for a file of patterns; one that is missing only never matches.
    place.write("deny", b"vsftpd: /tmp\n");
    refused("/tmp cannot be read");
    place.write("deny", b"vsftpd: /nonexistent\n");
    assert!(granted(&ask(
        &place,
        "127.0.0.1",
        "127.0.0.1",
        &Fake::default()
    )));
    // A table too long, and one that is a directory.
    place.write("deny", "\n".repeat((1 << 20) + 1).as_bytes());
    refused("longer than 1 MiB");
    place.write("deny", b"");
    std::fs::create_dir(place.path("allow")).unwrap();
    refused("not a regular file");
    // /dev/null is an empty table.
    std::fs::remove_dir(place.path("allow")).unwrap();
    std::os::unix::fs::symlink("/dev/null", place.path("allow")).unwrap();
    assert!(granted(&ask(
        &place,
        "127.0.0.1",
        "127.0.0.1",
        &Fake::default()
    )));
}

#[test]
fn notes_are_few_and_short() {
    let deny = format!(
        "vsftpd: {}\n",
        format!("{}/8 ", "x".repeat(500)).repeat(100)
    );
    let decision = tables(b"", deny.as_bytes(), "127.0.0.1", None);
    assert!(granted(&decision));
    assert_eq!(decision.notes.len(), 20);
    assert!(decision.notes.iter().all(|note| note.len() < 400));
}

#[test]
fn no_table_is_slow() {
    let begin = std::time::Instant::now();
    let words = format!("ALL: {}\n", format!("{}b ", "*a".repeat(60)).repeat(1000));
    assert!(words.len() < 1 << 20);
    let decision = tables(
        b"",
        words.as_bytes(),
        "127.0.0.1",
        Some("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    );
    assert!(granted(&decision));
    let nested = "[".repeat(1 << 19);
    let _ = tables(nested.as_bytes(), b"", "127.0.0.1", None);
    let except = "ALL: ".to_owned() + &"ALL EXCEPT ".repeat(90_000) + "\n";
    let _ = tables(except.as_bytes(), b"", "127.0.0.1", None);
    assert!(begin.elapsed() < std::time::Duration::from_secs(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes(allow: Vec<u8>, deny: Vec<u8>) {
        let _ = tables(&allow, &deny, "127.0.0.1", Some("a.b"));
    }

    #[test]
    fn any_rules(list in "((ALL|EXCEPT|vsftpd|[a@*?.:/\\[\\]%\\\\=0-9]{1,6})[ ,:\n]){0,12}", options in "(setenv [%a-z]{0,4}|allow|deny|[a-z =%]{0,9})(:(setenv V %[a-z]|allow|deny)){0,3}") {
        let text = format!("{list}\nALL: ALL: {options}\n");
        let decision = tables(text.as_bytes(), text.as_bytes(), "::1", Some("a.b"));
        prop_assert!(decision.rule.is_some() && decision.notes.len() <= 20);
    }

    #[test]
    fn exceptions_as_defined(list in "([ab] |EXCEPT ){0,9}") {
        // `a` matches, `b` does not.
        let rule = format!("ALL: {}", list.replace('a', "127.").replace('b', "1.1.1.1"));
        prop_assert_eq!(matches(&rule, "127.0.0.1", None), defined(&list), "{}", rule);
    }
}

/// The definition: `list_1 EXCEPT list_2` is what is in the one and not in the other.
fn defined(list: &str) -> bool {
    match list.split_once("EXCEPT ") {
        Some((first, rest)) => first.contains('a') && !defined(rest),
        None => list.contains('a'),
    }
}
