//! What rules say: the manual pages' examples, what libwrap 7.6.q-32 was seen to answer, and where we differ; tests of the reader.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod options;
mod patterns;

use super::hosts::Resolver;
use super::{Answer, Decision, Files, Query, decide};
use nix::time::{ClockId, clock_gettime};
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
    let half = tables(b"vsftpd: ALL", b"", "127.0.0.1", None);
    assert!(
        granted(&half)
            && half
                .notes
                .iter()
                .any(|note| note.contains("grants nothing"))
    );
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
    // Which table it is, also where the one before has rules.
    place.write("allow", b"sshd: ALL\n");
    std::fs::remove_file(place.path("deny")).unwrap();
    std::fs::create_dir(place.path("deny")).unwrap();
    refused("/deny: cannot be read");
    std::fs::remove_dir(place.path("deny")).unwrap();
    std::fs::remove_file(place.path("allow")).unwrap();
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

/// This thread's time on the processor: what others take meanwhile does not count.
fn spent() -> std::time::Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .unwrap()
        .into()
}

#[test]
fn no_table_is_slow() {
    let begin = spent();
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
    assert!(spent() - begin < std::time::Duration::from_secs(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::fuzz::cases(128)))]

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
