//! Every verb in each state, for each kind of user, under each switch, against one table; words that are none; and other protocols under TLS
//! (attacks B-096, B-120).

use crate::sessions::back_to_base;
use crate::support::host::{ALICE, FTP};
use crate::support::tls::{BOTH, Ftps, ON, certificate, offer};
use crate::support::{Client, Host, Server};
use std::collections::BTreeSet;

/// What a command does, as far as somebody may forbid it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Nothing that anybody is kept from.
    Free,
    /// Names of files.
    Lists,
    /// What is in a file.
    Reads,
    /// The sum of what is in a file, which guests are not told by default.
    Sums,
    /// A new file.
    Uploads,
    /// A new directory.
    Makes,
    /// What is there, away or under another name.
    Alters,
    /// A mode.
    Modes,
    /// A time.
    Times,
    /// The same by SITE, which is never for guests.
    SiteTimes,
    /// A SITE command that changes nothing on the disk.
    Site,
    /// A port of the server's.
    Passive,
    /// A port of the client's.
    Active,
}

use Does::{
    Active, Alters, Free, Lists, Makes, Modes, Passive, Reads, Site, SiteTimes, Sums, Times,
    Uploads,
};

/// Each verb, with arguments that it could work with, in the directory `in`.
const TABLE: [(&str, Does); 62] = [
    ("NOOP", Free),
    ("SYST", Free),
    ("HELP", Free),
    ("FEAT", Free),
    ("OPTS UTF8 ON", Free),
    ("OPTS MLST type;", Free),
    ("CLNT x", Free),
    ("CSID Name=x;", Free),
    ("LANG EN", Free),
    ("STAT", Free),
    ("PWD", Free),
    ("XPWD", Free),
    ("CWD .", Free),
    ("XCWD .", Free),
    ("TYPE I", Free),
    ("MODE S", Free),
    ("STRU F", Free),
    ("ALLO 1", Free),
    ("REST 0", Free),
    ("SIZE f", Free),
    ("MDTM f", Free),
    ("ABOR", Free),
    ("RANG 1 0", Reads),
    ("USER x", Free),
    ("PASS x", Free),
    ("REIN", Free),
    ("ACCT x", Free),
    ("SMNT x", Free),
    ("STAT .", Lists),
    ("MLST f", Lists),
    ("LIST", Lists),
    ("NLST", Lists),
    ("MLSD", Lists),
    ("RETR f", Reads),
    ("HASH f", Sums),
    ("XCRC f", Sums),
    ("XMD5 f", Sums),
    ("XSHA1 f", Sums),
    ("XSHA256 f", Sums),
    ("XSHA512 f", Sums),
    ("STOR new", Uploads),
    ("STOU new", Uploads),
    ("AVBL", Uploads),
    ("MKD made", Makes),
    ("XMKD made2", Makes),
    ("APPE f", Alters),
    ("DELE gone", Alters),
    ("RMD empty", Alters),
    ("XRMD empty2", Alters),
    ("SITE CHMOD 644 f", Modes),
    ("MFF UNIX.mode=0644; f", Modes),
    ("MDTM 20200101000000 f", Times),
    ("MFMT 20200101000000 f", Times),
    ("MFF modify=20200101000000; f", Times),
    ("SITE UTIME 20200101000000 f", SiteTimes),
    ("SITE UMASK", Site),
    ("SITE HELP", Site),
    ("PASV", Passive),
    ("EPSV", Passive),
    ("PORT 127,0,0,1,200,200", Active),
    ("RNFR f", Alters),
    ("RNTO g", Alters),
];

/// The switches, and what each takes away.
const SWITCHES: [(&str, &[Does]); 10] = [
    ("", &[]),
    (
        "write_enable=NO\n",
        &[Uploads, Makes, Alters, Modes, Times, SiteTimes],
    ),
    ("download_enable=NO\n", &[Reads, Sums]),
    ("dirlist_enable=NO\n", &[Lists]),
    ("hash_enable=NO\n", &[Sums]),
    ("chmod_enable=NO\n", &[Modes]),
    ("mdtm_write=NO\n", &[Times, SiteTimes]),
    ("pasv_enable=NO\n", &[Passive]),
    ("port_enable=NO\n", &[Active]),
    (
        "guest_enable=YES\nguest_username=ftp\nvirtual_use_local_privs=YES\n",
        &[],
    ),
];

/// What guests may not unless something gives it to them.
const NOT_FOR_GUESTS: [Does; 8] = [Sums, Uploads, Makes, Alters, Modes, Times, SiteTimes, Site];

const GIFTS: [(&str, &[Does]); 4] = [
    ("anon_upload_enable=YES\n", &[Uploads]),
    ("anon_mkdir_write_enable=YES\n", &[Makes]),
    ("anon_other_write_enable=YES\n", &[Alters, Times]),
    ("anon_hash_enable=YES\n", &[Sums]),
];

/// A directory that each kind of user could do everything in.
fn fill(host: &Host) {
    for (place, owner) in [("/home/alice/in", ALICE), ("/srv/ftp/in", FTP)] {
        let _ = std::fs::remove_dir_all(place);
        for directory in ["", "/empty", "/empty2"] {
            host.mkdir(&format!("{place}{directory}"), owner);
        }
        for file in ["f", "gone"] {
            host.file(&format!("{place}/{file}"), b"x");
            host.own(&format!("{place}/{file}"), owner);
        }
    }
}

/// Whether a session is let do it: anything but a refusal for want of leave, which is asked for before a data connection.
fn may(c: &mut Client, command: &str) -> bool {
    let reply = c.cmd(command);
    if command.starts_with("MDTM 2") {
        // Who may not set a time has asked for that of a file with such a name.
        return reply.code() == "213";
    }
    !["550 Permission denied.", "500 Unknown SITE command."].contains(&reply.text().as_str())
}

#[track_caller]
fn as_the_table_says(host: &Host, user: &str, lines: &str, taken: impl Fn(Does) -> bool) {
    fill(host);
    let server = Server::start(host, lines);
    let mut c = Client::user(user);
    c.says("CWD in", "250 Directory successfully changed.");
    let mut wrong = Vec::new();
    for (command, does) in TABLE {
        let allowed = may(&mut c, command);
        if allowed == taken(does) {
            wrong.push(format!(
                "{command}: {}",
                if allowed { "allowed" } else { "denied" }
            ));
        }
    }
    assert!(wrong.is_empty(), "{user} {lines}: {wrong:?}");
    c.says("QUIT", "221 Goodbye.");
    back_to_base(&server);
}

/// Attacks B-120.
#[test]
fn each_verb_for_each_user_under_each_switch() {
    let host = Host::new();
    for (lines, away) in SWITCHES {
        as_the_table_says(&host, "alice", lines, |does| away.contains(&does));
        let guests = |does| NOT_FOR_GUESTS.contains(&does);
        if !lines.contains("guest") {
            as_the_table_says(&host, "ftp", lines, |does| {
                away.contains(&does) || guests(does)
            });
        }
        for (gift, given) in GIFTS {
            if lines.is_empty() || lines.starts_with("write") {
                as_the_table_says(&host, "ftp", &format!("{lines}{gift}"), |does| {
                    away.contains(&does) || guests(does) && !given.contains(&does)
                });
            }
        }
    }
}

/// Numbers of Lehmer's: the same in every run.
fn words(count: usize) -> Vec<String> {
    let mut seed = 20_261_127_u64;
    let mut chance = move |below: u64| {
        seed = seed * 48_271 % 2_147_483_647;
        seed % below
    };
    (0..count)
        .map(|_| {
            let length = 1 + chance(6);
            (0..length)
                .map(|_| char::from(b'A' + chance(26) as u8))
                .collect()
        })
        .collect()
}

/// All that the program itself says it knows.
fn known() -> BTreeSet<String> {
    let mut c = Client::alice();
    let (help, features) = (c.cmd("HELP").text(), c.cmd("FEAT").text());
    let mut all: BTreeSet<String> = help
        .split("\r\n")
        .chain(features.split("\r\n"))
        .filter_map(|line| line.strip_prefix(' '))
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect();
    all.extend(TABLE.map(|(command, _)| command.split(' ').next().unwrap().to_owned()));
    all
}

/// Before login a handful of verbs is heard; all others, and words that are none, have one answer. After it what is no verb is unknown.
#[test]
fn verbs_before_login_and_words_that_are_none() {
    const EARLY: [&str; 6] = ["USER", "PASS", "QUIT", "FEAT", "OPTS", "HOST"];
    let host = Host::new();
    let server = Server::start(&host, "max_per_ip=0\n");
    let verbs = known();
    assert!(verbs.len() > 60, "{verbs:?}");
    // Those of other protocols end the session.
    let foreign = [
        "GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "PRI", "HELO", "EHLO", "LHLO",
    ];
    let mut others: Vec<String> = words(2000);
    others.retain(|word| !verbs.contains(word) && !foreign.contains(&word.as_str()));
    let early = verbs
        .iter()
        .chain(&others)
        .filter(|verb| !EARLY.contains(&verb.as_str()));
    let early: Vec<&String> = early.collect();
    for ten in early.chunks(10) {
        let mut c = Client::connect();
        for verb in ten {
            c.says(&format!("{verb} x"), "530 Please login with USER and PASS.");
        }
    }
    let mut c = Client::alice();
    for word in &others {
        c.says(word, "500 Unknown command.");
    }
    for word in [
        "PROXY TCP4 203.0.113.9 127.0.0.1 4000 21",
        "\r\n\0\r\nQUIT\n",
        "XSEN root@localhost",
        "SITE EXEC id",
        "MAIL FROM:<x>",
    ] {
        let mut c = Client::alice();
        assert_eq!(c.cmd(word).code(), "500", "{word}");
    }
    drop(c);
    back_to_base(&server);
    // A header of a proxy changes nobody's address.
    let log = String::from_utf8(host.read("/var/log/vsftpd.log")).unwrap();
    assert!(!log.contains("203.0.113.9"), "{log}");
}

/// Other protocols under TLS, before and after login.
#[test]
fn other_protocols_under_tls() {
    let host = Host::new();
    certificate(&host);
    let _server = Server::start(&host, ON);
    for line in [
        "GET / HTTP/1.1",
        "put /x HTTP/1.1",
        "Host: example.org",
        "EHLO x",
        "SSH-2.0-x",
    ] {
        for logged_in in [false, true] {
            let mut c = Ftps::upgrade(offer(BOTH, None));
            if logged_in {
                c.login("alice");
            }
            c.send(format!("{line}\r\nUSER ftp\r\nPASS x\r\nMKD made\r\n").as_bytes());
            let said = c.reply();
            assert!(
                said.starts_with("500 ") && !said.contains("example.org"),
                "{said}"
            );
            assert_eq!(c.reply(), "");
        }
    }
    assert!(!host.exists("/home/alice/made"));
}
