//! What clients and administrators ask a modern server about, one by one: each answer is said, and true.

use crate::support::{Client, Host, Server};

#[test]
fn the_commands_of_rfc_959_that_are_not_there_say_so() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.script(&[
        ("REIN", "502 REIN not implemented."),
        ("ACCT x", "502 ACCT not implemented."),
        ("SMNT /", "502 SMNT not implemented."),
        // The session is as it was.
        ("PWD", "257 \"/home/alice\" is the current directory"),
    ]);
}

#[test]
fn rest_is_for_stor_too_and_sizes_are_of_files() {
    let host = Host::new();
    let _server = Server::start(&host, "local_umask=022\n");
    let mut c = Client::alice();
    let features = c.cmd("FEAT").text();
    for line in [
        " REST STREAM",
        " TVFS",
        " SIZE",
        " MDTM",
        " MLST type*;size*;modify*;",
    ] {
        assert!(features.contains(&format!("\r\n{line}")), "{features}");
    }
    c.script(&[
        ("TYPE I", "200 Switching to Binary mode."),
        ("SIZE d", "550 Could not get file size."),
        ("SIZE .", "550 Could not get file size."),
        ("REST 6", "350 Restart position accepted (6)."),
    ]);
    assert_eq!(c.store("STOR f", b"WORLD").code(), "226");
    assert_eq!(host.read("/home/alice/f"), b"hello WORLD\n");
}

#[test]
fn machine_lists_take_no_patterns_and_no_options() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    for pattern in ["*", "d*", "[d]", "{d}", "?", "-a", "-la d"] {
        c.refused(&format!("MLSD {pattern}"), "550 Failed to open directory.");
        c.says(&format!("MLST {pattern}"), "550 Could not get facts.");
    }
    c.script(&[
        ("OPTS MLST size;type;nonsense;", "200 MLST OPTS type;size;"),
        ("OPTS MLST", "200 MLST OPTS"),
    ]);
}

/// A name of any bytes makes no line of its own: not in replies, not in listings (attacks B-067).
#[test]
fn no_reply_and_no_listing_is_split() {
    let host = Host::new();
    for name in [
        "a\r\n226 forged",
        "b\n-rw-r--r-- 1 0 0 0 Jan 01 2001 forged",
        "c\r",
    ] {
        host.file(&format!("/home/alice/empty/{name}"), b"");
    }
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    for (command, count) in [("NLST empty", 3), ("LIST empty", 3), ("MLSD empty", 5)] {
        let text = c.fetch(command);
        let lines = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let whole = lines
            .clone()
            .all(|line| line.ends_with(b"\r") && !line[..line.len() - 1].contains(&b'\r'));
        assert!(
            whole && lines.count() == count,
            "{command}: {}",
            text.escape_ascii()
        );
    }
    // NUL stands for LF in a name.
    c.send(b"MKD x\0y\r\n");
    let reply = c.reply().raw;
    assert!(
        !reply.contains(&b'\n') && reply.starts_with(b"257 "),
        "{}",
        reply.escape_ascii()
    );
    c.says("NOOP", "200 NOOP ok.");
}
