//! What follows the second colon of a rule, most as libwrap 7.6.q-32 was seen to answer; tests of the reader.

use super::{granted, tables};

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
        "rfc931 1",
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
    for (length, good) in [(4096, true), (4097, false)] {
        let (answer, value, notes) = option(&format!("setenv V {}", "x".repeat(length)));
        assert_eq!(
            (answer, value.is_some(), notes),
            (good, good, usize::from(!good)),
            "{length}"
        );
    }
    let long = format!("setenv V {}", "%a".repeat(3000));
    assert_eq!(option(&long), (false, None, 1));
}

#[test]
fn the_log_says_what_to_write_instead() {
    for (text, advice) in [
        ("twist echo hi", "write deny instead"),
        ("aclexec true", "nobody can say whether"),
        ("umask 8", "its value is wrong"),
        (":deny", "write \\: for a colon"),
        ("/bin/echo x", "there is no such option"),
        ("spawn true", "let a program that reads the log act on it"),
    ] {
        let rule = format!("ALL: ALL: {text}\n");
        let decision = tables(rule.as_bytes(), b"", "127.0.0.1", None);
        assert!(
            decision.notes.iter().any(|note| note.contains(advice)),
            "{text}: {decision:?}"
        );
    }
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
