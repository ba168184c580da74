//! Every simple command's replies, and how lines are read (reference 3.1, 3.3, 3.4).

use crate::support::{Client, Host, Server};

const HELP: &str = "214-The following commands are recognized.\r\n \
ABOR ACCT ALLO APPE CDUP CWD  DELE EPRT EPSV FEAT HELP LIST MDTM MKD\r\n \
MODE NLST NOOP OPTS PASS PASV PORT PWD  QUIT REIN REST RETR RMD  RNFR\r\n \
RNTO SITE SIZE SMNT STAT STOR STOU STRU SYST TYPE USER XCUP XCWD XMKD\r\n \
XPWD XRMD\r\n214 Help OK.";
const UNKNOWN: &str = "500 Unknown command.";
const DENIED: &str = "550 Permission denied.";
const CHANGED: &str = "250 Directory successfully changed.";
const NOT_CHANGED: &str = "550 Failed to change directory.";

fn session(lines: &[(&str, &str)]) {
    let host = Host::new();
    let _server = Server::start(&host, "");
    Client::alice().script(lines);
}

#[test]
fn walking() {
    session(&[
        ("PWD", "257 \"/home/alice\" is the current directory"),
        ("XPWD", "257 \"/home/alice\" is the current directory"),
        ("CWD d", CHANGED),
        ("PWD", "257 \"/home/alice/d\" is the current directory"),
        ("CWD sub/../sub", CHANGED),
        ("PWD", "257 \"/home/alice/d/sub\" is the current directory"),
        ("CDUP", CHANGED),
        ("XCUP", CHANGED),
        ("CDUP ignored", CHANGED),
        ("PWD", "257 \"/home\" is the current directory"),
        ("XCWD ~", CHANGED),
        ("PWD", "257 \"/home/alice\" is the current directory"),
        ("CWD ~/d", CHANGED),
        ("PWD", "257 \"/home/alice/d\" is the current directory"),
        ("CWD /home/alice", CHANGED),
        ("CWD /home//alice/./d/", CHANGED),
        ("PWD", "257 \"/home/alice/d\" is the current directory"),
    ]);
}

#[test]
fn walking_nowhere() {
    session(&[
        ("CWD", NOT_CHANGED),
        ("CWD nodir", NOT_CHANGED),
        ("CWD f", NOT_CHANGED),
        ("CWD dang", NOT_CHANGED),
        ("CWD  d", NOT_CHANGED),
        ("CWD d ", NOT_CHANGED),
    ]);
}

#[test]
fn walking_through_a_link_shows_the_real_place() {
    let host = Host::new();
    std::os::unix::fs::symlink("d", "/home/alice/dl").unwrap();
    let _server = Server::start(&host, "");
    Client::alice().script(&[
        ("CWD dl", CHANGED),
        ("PWD", "257 \"/home/alice/d\" is the current directory"),
        ("CDUP", CHANGED),
        ("PWD", "257 \"/home/alice\" is the current directory"),
    ]);
}

#[test]
fn a_directory_without_permission() {
    let host = Host::new();
    host.mkdir("/home/alice/locked", 0);
    host.mode("/home/alice/locked", 0o700);
    let _server = Server::start(&host, "");
    Client::alice().says("CWD locked", NOT_CHANGED);
}

/// Who may not search the directory he stands in is told its name all the same; of one that is gone there is none.
#[test]
fn a_directory_that_is_closed_or_gone() {
    session(&[
        ("MKD here", "257 \"/home/alice/here\" created"),
        ("CWD here", "250 Directory successfully changed."),
        ("SITE CHMOD 0 ../here", "200 SITE CHMOD command ok."),
        ("PWD", "257 \"/home/alice/here\" is the current directory"),
        (
            "RMD /home/alice/here",
            "250 Remove directory operation successful.",
        ),
        ("PWD", "257 \"\" is the current directory"),
        ("CWD /home/alice", "250 Directory successfully changed."),
    ]);
}

#[test]
fn tilde_user() {
    let host = Host::new();
    let _server = Server::start(&host, "tilde_user_enable=YES\n");
    Client::alice().script(&[
        ("CWD ~bob", CHANGED),
        ("PWD", "257 \"/home/bob\" is the current directory"),
        ("CWD ~nosuch", NOT_CHANGED),
        ("CWD ~alice/d", CHANGED),
        ("PWD", "257 \"/home/alice/d\" is the current directory"),
    ]);
}

#[test]
fn types() {
    let binary = "200 Switching to Binary mode.";
    let ascii = "200 Switching to ASCII mode.";
    let bad = "500 Unrecognised TYPE command.";
    session(&[
        ("TYPE I", binary),
        ("TYPE A", ascii),
        ("TYPE A N", ascii),
        ("TYPE L8", binary),
        ("TYPE L 8", binary),
        ("type i", binary),
        ("TYPE i", binary),
        ("TYPE a", ascii),
        ("TYPE A T", bad),
        ("TYPE L 7", bad),
        ("TYPE L", bad),
        ("TYPE E", bad),
        ("TYPE", bad),
    ]);
}

/// Attacks B-122.
#[test]
fn modes_and_structures() {
    session(&[
        ("MODE S", "200 Mode set to S."),
        ("mode s", "200 Mode set to S."),
        ("MODE B", "504 Bad MODE command."),
        ("MODE C", "504 Bad MODE command."),
        ("MODE Z", "504 Bad MODE command."),
        ("MODE", "504 Bad MODE command."),
        ("STRU F", "200 Structure set to F."),
        ("STRU R", "504 Bad STRU command."),
        ("STRU P", "504 Bad STRU command."),
        ("STRU", "504 Bad STRU command."),
    ]);
}

#[test]
fn restart_offsets() {
    // The original takes what is no offset for 0, and the next STOR destroys the file from its beginning (reference §10, 31).
    let bad = if crate::support::ours() {
        "501 Bad restart position."
    } else {
        "350 Restart position accepted (0)."
    };
    session(&[
        ("REST 0", "350 Restart position accepted (0)."),
        ("REST 12", "350 Restart position accepted (12)."),
        ("REST -1", bad),
        ("REST abc", bad),
        ("REST 12x", bad),
        (
            "REST 999999999999999",
            "350 Restart position accepted (999999999999999).",
        ),
        ("REST 9999999999999999", bad),
        ("REST", bad),
    ]);
}

#[test]
fn commands_that_do_nothing() {
    session(&[
        ("ALLO 10", "202 ALLO command ignored."),
        ("ALLO", "202 ALLO command ignored."),
        ("ACCT x", "502 ACCT not implemented."),
        ("REIN", "502 REIN not implemented."),
        ("SMNT /", "502 SMNT not implemented."),
        ("NOOP", "200 NOOP ok."),
        ("NOOP x", "200 NOOP ok."),
        ("SYST", "215 UNIX Type: L8"),
        ("SYST x", "215 UNIX Type: L8"),
        ("ABOR", "225 No transfer to ABOR."),
    ]);
}

#[test]
fn help() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    for command in ["HELP", "HELP USER"] {
        let text = c.cmd(command).text();
        if host.ours() {
            // Verbs the original has not stand behind its block.
            let block = HELP.strip_suffix("214 Help OK.").unwrap();
            assert!(
                text.starts_with(block) && text.ends_with("\r\n214 Help OK."),
                "{text}"
            );
        } else {
            assert_eq!(text, HELP);
        }
    }
}

/// FEAT without the lines of verbs the original has not, which ours says behind the others.
pub fn features_of_the_original(client: &mut Client) -> String {
    let text = client.cmd("FEAT").text();
    if !crate::support::ours() {
        return text;
    }
    let end = text.find(" TVFS\r\n").unwrap() + " TVFS\r\n".len();
    format!("{}211 End", &text[..end])
}

#[test]
fn features() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    assert_eq!(
        features_of_the_original(&mut c),
        "211-Features:\r\n EPRT\r\n EPSV\r\n MDTM\r\n PASV\r\n REST STREAM\r\n SIZE\r\n TVFS\r\n211 End"
    );
    c.script(&[
        ("OPTS UTF8 ON", "200 Always in UTF8 mode."),
        ("OPTS UTF8 OFF", "501 Option not understood."),
        ("OPTS", "501 Option not understood."),
    ]);
    // Ours takes the forms clients send, and knows MLST.
    let (utf8, mlst) = if host.ours() {
        ("200 Always in UTF8 mode.", "200 MLST OPTS")
    } else {
        ("501 Option not understood.", "501 Option not understood.")
    };
    c.script(&[
        ("OPTS UTF8", utf8),
        ("OPTS UTF-8 ON", utf8),
        ("OPTS UTF8 NLST", utf8),
        ("OPTS MLST", mlst),
    ]);
}

#[test]
fn features_follow_the_configuration() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "pasv_enable=NO\nport_enable=NO\nutf8_filesystem=YES\n",
    );
    assert_eq!(
        features_of_the_original(&mut Client::alice()),
        "211-Features:\r\n UTF8\r\n MDTM\r\n REST STREAM\r\n SIZE\r\n TVFS\r\n211 End"
    );
}

#[test]
fn unknown_commands() {
    session(&[
        ("AUTH TLS", UNKNOWN),
        ("FOO", UNKNOWN),
        ("foo bar", UNKNOWN),
        (" ", UNKNOWN),
        (" NOOP", UNKNOWN),
        ("NOOPX", UNKNOWN),
        ("PBSZ 0", DENIED),
        ("PROT P", DENIED),
    ]);
    // Ours knows these.
    if !crate::support::ours() {
        session(&[
            ("HOST x", UNKNOWN),
            ("LANG", UNKNOWN),
            ("MLSD", UNKNOWN),
            ("MLST", UNKNOWN),
            ("CLNT x", UNKNOWN),
            ("HASH f", UNKNOWN),
        ]);
    }
}

/// attacks B-072, B-074.
#[test]
fn telnet_bytes_and_nul() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.send(b"\xff\xf4\xff\xf2ABOR\r\n");
    c.next("225 No transfer to ABOR.");
    c.send(b"\xff\xf4NOOP\r\n");
    c.next(UNKNOWN);
    c.send(b"MKD n\0l\r\n");
    assert_eq!(c.reply().raw, b"257 \"/home/alice/n\0l\" created");
    assert!(host.exists("/home/alice/n\nl"));
}

/// Urgent bytes stay where they were sent, before a login too: without the mend they were lost there (attacks B-053).
#[test]
fn commands_of_urgent_bytes() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::connect();
    for (command, expected) in [
        ("USER alice", "331 Please specify the password."),
        ("PASS secret", "230 Login successful."),
        ("NOOP", "200 NOOP ok."),
    ] {
        for byte in command.bytes().chain(*b"\r\n") {
            c.urgent(&[byte]);
        }
        c.next(expected);
    }
}

/// attacks B-074.
#[test]
fn byte_255_is_doubled_in_replies_only() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.send(b"MKD \xff\r\n");
    assert_eq!(c.reply().raw, b"257 \"/home/alice/\xff\xff\" created");
    c.send(b"CWD \xff\r\n");
    c.next(CHANGED);
    c.says("CDUP", CHANGED);
    let names = c.fetch("NLST");
    assert!(names.ends_with(b"\xff\r\n"), "{names:?}");
}

/// attacks B-067.
#[test]
fn quotes_are_doubled() {
    session(&[
        ("MKD a\"q", "257 \"/home/alice/a\"\"q\" created"),
        ("CWD a\"q", CHANGED),
        ("PWD", "257 \"/home/alice/a\"\"q\" is the current directory"),
    ]);
}

/// attacks B-072.
#[test]
fn line_ends() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.send(b"NOOP\n");
    c.next("200 NOOP ok.");
    c.send(b"NOOP\r\r\r\n");
    c.next("200 NOOP ok.");
    c.send(b"\r\n\n\r\r\nNOOP\r\n");
    c.next("200 NOOP ok.");
    c.send(b"\rNOOP\r\n");
    c.next(UNKNOWN);
}

#[test]
fn commands_may_come_together_or_in_pieces() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::connect();
    c.send(b"USER alice\r\nPASS secret\r\nPWD\r\nTYPE I\r\nNO");
    c.next("331 Please specify the password.");
    c.next("230 Login successful.");
    c.next("257 \"/home/alice\" is the current directory");
    c.next("200 Switching to Binary mode.");
    c.send(b"OP\r");
    c.send(b"\nSYST\r\n");
    c.next("200 NOOP ok.");
    c.next("215 UNIX Type: L8");
}

#[test]
fn many_commands_at_once() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.send("NOOP\r\n".repeat(500).as_bytes());
    for _ in 0..500 {
        c.next("200 NOOP ok.");
    }
}

/// attacks B-070.
#[test]
fn the_longest_line() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.says(&format!("CWD {}", "x".repeat(4090)), NOT_CHANGED);
    c.says(
        &format!("CWD {}", "x".repeat(4091)),
        "500 Input line too long.",
    );
    c.closed();
}

/// attacks B-070.
#[test]
fn the_longest_line_before_login() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::connect();
    c.says(
        &format!("NOOP {}", "x".repeat(4089)),
        "530 Please login with USER and PASS.",
    );
    c.says(
        &format!("NOOP {}", "x".repeat(4090)),
        "500 Input line too long.",
    );
    c.closed();
}

fn status(who: &str, from: &str, kind: &str, rate: &str, idle: &str) -> String {
    format!(
        "211-FTP server status:\r\n     Connected to {from}\r\n     Logged in as {who}\r\n     TYPE: {kind}\r\n     {rate}\r\n     {idle}\r\n     \
         Control connection is plain text\r\n     Data connections will be plain text\r\n     At session startup, client count was 1\r\n     \
         vsFTPd VERSION - secure, fast, stable\r\n211 End of status"
    )
}

/// Compares a STAT reply, whatever the version.
fn check_status(c: &mut Client, expected: &str) {
    let text = c.cmd("STAT").text();
    let masked: String = text
        .split("\r\n")
        .map(|l| {
            if l.contains("vsFTPd") {
                "     vsFTPd VERSION - secure, fast, stable"
            } else {
                l
            }
        })
        .collect::<Vec<_>>()
        .join("\r\n");
    assert_eq!(masked, expected);
}

#[test]
fn status_of_the_session() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let idle = "Session timeout in seconds is 300";
    check_status(
        &mut c,
        &status(
            "alice",
            "127.0.0.1",
            "ASCII",
            "No session bandwidth limit",
            idle,
        ),
    );
    c.says("TYPE I", "200 Switching to Binary mode.");
    check_status(
        &mut c,
        &status(
            "alice",
            "127.0.0.1",
            "BINARY",
            "No session bandwidth limit",
            idle,
        ),
    );
    c.says("QUIT", "221 Goodbye.");
    c.closed();
}

#[test]
fn status_names_limits() {
    let host = Host::new();
    let _server = Server::start(&host, "local_max_rate=1000\nidle_session_timeout=0\n");
    check_status(
        &mut Client::alice(),
        &status(
            "alice",
            "127.0.0.1",
            "ASCII",
            "Session bandwidth limit in byte/s is 1000",
            "No session timeout",
        ),
    );
}

#[test]
fn status_of_an_anonymous_session() {
    let host = Host::new();
    let _server = Server::start(&host, "anon_max_rate=77\n");
    check_status(
        &mut Client::anonymous(),
        &status(
            "ftp",
            "127.0.0.1",
            "ASCII",
            "Session bandwidth limit in byte/s is 77",
            "Session timeout in seconds is 300",
        ),
    );
}

#[test]
fn status_names_the_version() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let text = Client::alice().cmd("STAT").text();
    assert!(
        text.contains(if host.ours() {
            "     vsFTPd 3.0.5 - secure, fast, stable\r\n"
        } else {
            "     vsFTPd 3.0."
        }),
        "{text}"
    );
}

#[test]
fn cmds_allowed() {
    let host = Host::new();
    let _server = Server::start(&host, "cmds_allowed=PWD,QUIT,FOO\n");
    let mut c = Client::alice();
    c.script(&[
        ("PWD", "257 \"/home/alice\" is the current directory"),
        ("pwd", "257 \"/home/alice\" is the current directory"),
        ("XPWD", DENIED),
        ("NOOP", DENIED),
        ("FOO", UNKNOWN),
        ("BAR", DENIED),
        ("GET /", DENIED),
        ("HELP", DENIED),
        ("FEAT", DENIED),
    ]);
    c.send(b"\r\n");
    c.next(DENIED);
    c.says("QUIT", "221 Goodbye.");
}

#[test]
fn cmds_allowed_entries_are_not_trimmed() {
    let host = Host::new();
    let _server = Server::start(&host, "cmds_allowed=NOOP, PWD,syst\n");
    Client::alice().script(&[("NOOP", "200 NOOP ok."), ("PWD", DENIED), ("SYST", DENIED)]);
}

#[test]
fn cmds_denied() {
    let host = Host::new();
    let _server = Server::start(&host, "cmds_denied=PWD,QUIT,GET\n");
    Client::alice().script(&[
        ("PWD", DENIED),
        ("XPWD", "257 \"/home/alice\" is the current directory"),
        ("NOOP", "200 NOOP ok."),
        ("GET /", DENIED),
        ("QUIT", DENIED),
        ("FOO", UNKNOWN),
    ]);
}

#[test]
fn directory_messages() {
    let host = Host::new();
    host.file("/home/alice/.message", b"Welcome\nto home\n");
    host.file("/home/alice/d/.message", b"In d\nno newline");
    let _server = Server::start(&host, "dirmessage_enable=YES\n");
    let mut c = Client::connect();
    c.script(&[
        ("USER alice", "331 Please specify the password."),
        (
            "PASS secret",
            "230-Welcome\r\n230-to home\r\n230 Login successful.",
        ),
        (
            "CWD d",
            "250-In d\r\n250-no newline\r\n250 Directory successfully changed.",
        ),
        ("CDUP", CHANGED),
        ("CWD d", CHANGED),
    ]);
}

/// An empty file says nothing; an empty line is a line.
#[test]
fn a_directory_message_of_nothing() {
    let host = Host::new();
    host.file("/home/alice/.message", b"");
    host.file("/home/alice/d/.message", b"\n");
    let _server = Server::start(&host, "dirmessage_enable=YES\n");
    let mut c = Client::alice();
    c.says("CWD d", "250-\r\n250 Directory successfully changed.");
}

#[test]
fn message_file_may_have_another_name() {
    let host = Host::new();
    host.file("/home/alice/d/README", b"read\n");
    let _server = Server::start(&host, "dirmessage_enable=YES\nmessage_file=README\n");
    Client::alice().says("CWD d", "250-read\r\n250 Directory successfully changed.");
}

#[test]
fn idle_before_login() {
    let host = Host::new();
    let _server = Server::start(&host, "idle_session_timeout=1\n");
    let mut c = Client::connect();
    c.next("421 Timeout.");
    c.closed();
}

#[test]
fn idle_after_login() {
    let host = Host::new();
    let _server = Server::start(&host, "idle_session_timeout=1\n");
    let mut c = Client::alice();
    c.next("421 Timeout.");
    c.closed();
}
