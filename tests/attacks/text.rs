//! Lines that are too long, not ended, cut in two, or of telnet's bytes; lines forged in logs and in the list of processes (attacks B.5).

use crate::oracle::{Talk, all_is_well, either_way, settled};
use crate::sessions::{logged_in, memory};
use crate::support::host::ALICE;
use crate::support::tls::{self, BOTH, Ftps, offer};
use crate::support::{Client, DEADLINE, Host, Server, log, wait};
use nix::mount::{MsFlags, mount};
use std::fs;
use std::io::{BufRead, Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;

const UNKNOWN: &str = "500 Unknown command.";
const LONG: &str = "500 Input line too long.";
const PLEASE: &str = "530 Please login with USER and PASS.";

/// Bytes without an end, before login and after: the session ends at the length that a line may have, however the rest comes, and nothing behind
/// it is obeyed (attacks B-070, B-071).
#[test]
fn lines_without_an_end() {
    let host = Host::new();
    let server = Server::start(&host, "");
    for login in [false, true] {
        let client = || {
            if login {
                Client::alice()
            } else {
                Client::connect()
            }
        };
        for length in [4096, 4097, 100_000, 30_000_000] {
            let mut c = client();
            let piece = vec![b'A'; 64 * 1024];
            let mut left = length;
            while left > 0 {
                let count = left.min(piece.len());
                let mut stream = c.stream();
                // It is over long before.
                if stream.write_all(&piece[..count]).is_err() {
                    break;
                }
                left -= count;
            }
            if length < 10_000 {
                c.next(LONG);
                c.closed();
            }
        }
        for tail in [
            "\r\nDELE f\r\n",
            "\nDELE f\n",
            "%0d%0aDELE f\r\n",
            "\rDELE f\r\n",
        ] {
            for length in [4085, 4090, 4094, 4095, 4096, 8192] {
                let mut c = client();
                let text = format!("{}{tail}NOOP\r\n", "A".repeat(length));
                let (head, rest) = text.as_bytes().split_at(length.min(4095));
                let mut stream = c.stream();
                let _ = stream.write_all(head);
                let _ = stream.write_all(rest);
                let said = c.reply().text();
                // A line and its end are 4096 bytes at most; CR alone is a letter.
                let end = ["\r\n", "\n"].into_iter().find(|end| tail.starts_with(end));
                if end.is_some_and(|end| length + end.len() <= 4096) {
                    assert_eq!(
                        said,
                        if login { UNKNOWN } else { PLEASE },
                        "{length} {tail:?}"
                    );
                    c.reply();
                    host.file("/home/alice/f", b"hello world\n");
                    continue;
                }
                assert!(
                    [LONG, UNKNOWN, PLEASE].contains(&said.as_str()),
                    "{length} {tail:?}: {said}"
                );
                assert!(host.exists("/home/alice/f"), "{length} {tail:?}");
                if length > 4095 {
                    assert_eq!(said, LONG, "{length} {tail:?}");
                }
            }
        }
    }
    // Byte by byte a line takes no more memory than at once.
    let mut c = Client::alice();
    let (_, worker) = logged_in(&server, ALICE);
    let mut before = 0;
    for number in 0..4000 {
        c.send(b"x");
        if number == 1000 {
            before = memory(worker);
        }
    }
    c.send(b"\r\n");
    c.next(UNKNOWN);
    // The kernel counts pages in lots.
    assert!(
        memory(worker) - before < 512,
        "{before} kB became {}",
        memory(worker)
    );
    drop(c);
    all_is_well(&server);
}

/// A zero byte, CR and LF alone, blanks, quotes and backslashes: one reading of each line, and a password to its last blank (attacks B-072,
/// B-073).
#[test]
fn odd_ends_and_blanks() {
    let host = Host::new();
    let server = Server::start(&host, "max_login_fails=20\n");
    let mut c = Client::connect();
    for user in [
        &b"al\0ice"[..],
        b"alice\0",
        b"\0alice",
        b" alice",
        b"alice ",
        b"ali\rce",
        b"\"alice\"",
        b"alice\\",
        b"ali%63e",
    ] {
        c.send(&[b"USER ", user, b"\r\n"].concat());
        let said = c.reply();
        assert!(
            ["331", "530", "501"].contains(&said.code()),
            "{}",
            said.text()
        );
        if said.code() == "331" {
            assert!(
                c.cmd("PASS secret").code().starts_with('5'),
                "{}",
                user.escape_ascii()
            );
        }
    }
    for password in [
        &b"secret "[..],
        b" secret",
        b"secret\0",
        b"sec\0ret",
        b"secret\t",
        b"\"secret\"",
        b"secret\\",
        b"secre%74",
        b"",
    ] {
        c.says("USER alice", "331 Please specify the password.");
        c.send(&[b"PASS ", password, b"\r\n"].concat());
        assert_eq!(c.reply().code(), "530", "{}", password.escape_ascii());
    }
    // Whose password ends in a blank says it, and none else does.
    let hash = std::process::Command::new("openssl")
        .args(["passwd", "-6", "secret "])
        .output()
        .unwrap();
    let hash = String::from_utf8(hash.stdout).unwrap();
    let shadow = fs::read_to_string("/etc/shadow").unwrap();
    fs::write(
        "/etc/shadow",
        format!(
            "{}bob:{}:19000::::::\n",
            shadow.replace("bob:", "old:"),
            hash.trim_end()
        ),
    )
    .unwrap();
    for (password, code) in [("secret", "530"), ("secret  ", "530"), ("secret ", "230")] {
        let mut c = Client::connect();
        c.says("USER bob", "331 Please specify the password.");
        assert_eq!(
            c.cmd(&format!("PASS {password}")).code(),
            code,
            "{password:?}"
        );
    }
    c.send(b"USER alice\nPASS secret\n");
    assert_eq!((c.reply().code(), c.reply().code()), ("331", "230"));
    c.send(b"NOOP\rNOOP\r\n");
    c.next(UNKNOWN);
    c.send(b"\n\n\n\r\r\nNOOP\n");
    c.next("200 NOOP ok.");
    for (line, expected) in [
        ("CWD\td", UNKNOWN),
        ("CWD d ", "550 Failed to change directory."),
        ("CWD  d", "550 Failed to change directory."),
        ("CWD \"d\"", "550 Failed to change directory."),
        ("CWD d\\", "550 Failed to change directory."),
        ("CWD 'd", "550 Failed to change directory."),
        ("CWD %s%n%x", "550 Failed to change directory."),
        ("CWD $HOME", "550 Failed to change directory."),
        ("CWD d", "250 Directory successfully changed."),
    ] {
        c.says(line, expected);
    }
    let blanks = " ".repeat(4000);
    c.says(&format!("NOOP{blanks}"), "200 NOOP ok.");
    assert_eq!(c.cmd(&format!("CWD{blanks}")).code(), "550");
    c.says(&blanks, UNKNOWN);
    drop(c);
    all_is_well(&server);
}

/// One line of a reply, to the byte.
fn line(c: &mut Talk) -> Vec<u8> {
    match c {
        Talk::Clear(c) => c.reply().raw,
        Talk::Secure(c) => {
            let mut line = Vec::new();
            c.input.read_until(b'\n', &mut line).unwrap();
            line.strip_suffix(b"\r\n").unwrap().to_vec()
        }
    }
}

/// Telnet's bytes are bytes of a line, in clear as under TLS: none is taken out, none doubled but in replies, and none hides a command but ABOR
/// (attacks B-074, B-075, B-076).
#[test]
fn telnets_bytes() {
    let host = Host::new();
    let (_server, idle) = either_way(&host, "log_ftp_protocol=YES\n");
    for secured in [false, true] {
        let mut c = Talk::alice(
            Ipv4Addr::LOCALHOST.into(),
            secured.then(|| offer(BOTH, None)),
        );
        let mut say = |pieces: &[&[u8]]| {
            for piece in pieces {
                c.send(piece);
            }
            line(&mut c)
        };
        for (pieces, expected) in [
            (
                &[&b"MKD \xff\xffx\r\n"[..]][..],
                &b"257 \"/home/alice/\xff\xff\xff\xffx\" created"[..],
            ),
            (
                &[b"CWD \xff", b"\xffx\r\n"],
                b"250 Directory successfully changed.",
            ),
            (&[b"CWD ..\r\n"], b"250 Directory successfully changed."),
            (
                &[b"MKD y\xff\r\n"],
                b"257 \"/home/alice/y\xff\xff\" created",
            ),
            (
                &[b"RMD y\xff", b"\r\n"],
                b"250 Remove directory operation successful.",
            ),
            (&[b"CWD \xffx\r\n"], b"550 Failed to change directory."),
            (
                &[b"RMD \xff\xffx\r\n"],
                b"250 Remove directory operation successful.",
            ),
            (&[b"\xff\xfd\x01NOOP\r\n"], UNKNOWN.as_bytes()),
            (&[b"NO\xff\xf1OP\r\n"], UNKNOWN.as_bytes()),
            (&[b"NOOP\xff\r\n"], UNKNOWN.as_bytes()),
            (&[b"\xff", b"\xfa\x18\x01NOOP\r\n"], UNKNOWN.as_bytes()),
            (&[b"\xff\xfa\x18DELE f\xff\xf0\r\n"], UNKNOWN.as_bytes()),
            (&[&[0xff; 4000], b"\r\n"], UNKNOWN.as_bytes()),
            (&[b"\xff\xf4\xff\xf2ABOR\r\n"], b"225 No transfer to ABOR."),
            (
                &[b"\xff\xf4", b"\xff", b"\xf2AB", b"OR\r\n"],
                b"225 No transfer to ABOR.",
            ),
            (&[b"\xff\xf2ABOR\r\n"], b"225 No transfer to ABOR."),
            (&[b"ABOR\r\n"], b"225 No transfer to ABOR."),
            (&[b"\xff\xf4\xff\xf2DELE f\r\n"], UNKNOWN.as_bytes()),
            (&[b"NOOP\r\n"], b"200 NOOP ok."),
        ] {
            let said = say(pieces);
            assert_eq!(
                said.escape_ascii().to_string(),
                expected.escape_ascii().to_string(),
                "{secured}"
            );
        }
        for _ in 0..200 {
            let said = say(&[&[0xff; 4000], b"\r\n"]);
            assert_eq!(said, UNKNOWN.as_bytes());
            let said = say(&[b"NOOP\r\n"]);
            assert_eq!(said, b"200 NOOP ok.");
        }
        assert!(host.exists("/home/alice/f"));
        drop(c);
        settled(&idle);
    }
}

/// What would be a line of its own, or would move a terminal's cursor, wherever a log shows what clients say.
const FORGED: [&[u8]; 12] = [
    b"x\0Tue Nov 24 02:41:21 2026 [pid 1] [bob] OK LOGIN: Client \"1.2.3.4\"",
    b"x\rOK LOGIN",
    b"x\x1b[31m\x1b]0;title\x07",
    b"x\x08\x08\x7f",
    b"x\x9b31m",
    "x\u{202e}\u{2066}\u{2069}\u{2028}\u{85}".as_bytes(),
    b"x] FAIL LOGIN: Client \"9.9.9.9\"",
    b"x\" , \"y",
    b"%s%n%x",
    b"\xff\xfe\xc3\x28",
    b"x\0<13>root - all is well",
    b"* ? a b",
];

/// Names of users, passwords of guests, names of files and whole commands with line ends, escapes and directions in them: one event, one line, of
/// printable bytes, in each log (attacks B-077, B-078).
#[test]
fn forged_lines() {
    let host = Host::new();
    let lines = "dual_log_enable=YES\nlog_ftp_protocol=YES\nmax_login_fails=100\nanon_upload_enable=YES\nlocal_umask=022\n";
    let server = Server::start(&host, lines);
    let mut events = 0;
    for forged in FORGED {
        let mut c = Client::connect();
        for head in [&b"USER "[..], b"PASS "] {
            c.send(&[head, forged, b"\r\n"].concat());
            c.reply();
        }
        events += 1;
    }
    let mut uploads = 0;
    for forged in FORGED {
        let mut guest = Client::connect();
        guest.says("USER ftp", "331 Please specify the password.");
        guest.send(&[b"PASS ", forged, b"\r\n"].concat());
        guest.next("230 Login successful.");
        let mut c = Client::alice();
        for client in [&mut guest, &mut c] {
            let place: &[u8] = if uploads % 2 == 0 {
                b"incoming/"
            } else {
                b"empty/"
            };
            uploads += 1;
            let mut data = client.passive();
            client.send(&[b"STOR ", place, forged, b"\r\n"].concat());
            assert_eq!(client.reply().code(), "150", "{}", forged.escape_ascii());
            data.write_all(b"x").unwrap();
            drop(data);
            client.next("226 Transfer complete.");
        }
        for head in [
            &b"MKD none/"[..],
            b"DELE none/",
            b"XYZZ ",
            b"SITE ",
            b"RNFR none/",
        ] {
            c.send(&[head, forged, b"\r\n"].concat());
            c.reply();
        }
        c.send(&[forged, b"\r\n"].concat());
        c.reply();
        // A longer one than logs take.
        c.says(
            &format!("CWD {}", "x".repeat(4080)),
            "550 Failed to change directory.",
        );
    }
    let text = wait("the last upload", || {
        let text = host.read(log::VSFTPD);
        let text = String::from_utf8(text).unwrap();
        (text.matches("OK UPLOAD").count() == uploads).then_some(text)
    });
    let printable = |text: &str| {
        text.bytes()
            .all(|byte| byte == b'\n' || (0x20..0x7f).contains(&byte))
    };
    assert!(printable(&text), "{text}");
    assert_eq!(
        text.lines()
            .filter(|line| line.contains("] FAIL LOGIN: Client \"127.0.0.1\""))
            .count(),
        events
    );
    // Each line begins with a date and the number of a process; nobody else than who is there has logged in.
    log::vsftpd_now();
    let logins = text
        .lines()
        .filter(|line| line.contains("] OK LOGIN: Client \"127.0.0.1\""))
        .count();
    assert_eq!(logins, 2 * FORGED.len());
    let transfers = log::xferlog(uploads);
    assert_eq!(transfers.len(), uploads);
    let raw = String::from_utf8(host.read(log::XFERLOG)).unwrap();
    assert!(printable(&raw));
    for line in raw.lines() {
        assert_eq!(line.split_whitespace().count(), 18, "{line}");
    }
    all_is_well(&server);
}

/// A /dev of the host's own, whose log is read here.
fn system_log() -> UnixDatagram {
    fs::create_dir("/mnt/dev").unwrap();
    for name in ["null", "zero", "random", "urandom"] {
        let to = format!("/mnt/dev/{name}");
        fs::write(&to, b"").unwrap();
        crate::support::host::bind(format!("/dev/{name}").as_ref(), to.as_ref());
    }
    mount(
        Some("/mnt/dev"),
        "/dev",
        None::<&str>,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        None::<&str>,
    )
    .unwrap();
    let log = UnixDatagram::bind("/dev/log").unwrap();
    log.set_read_timeout(Some(DEADLINE)).unwrap();
    log
}

/// The same in the system's log: one datagram for each event, with one head, and nothing that would be another (attacks B-079).
#[test]
fn forged_lines_in_the_systems_log() {
    let host = Host::new();
    let log = system_log();
    let _server = Server::start(&host, "syslog_enable=YES\nxferlog_enable=NO\n");
    let mut c = Client::alice();
    for forged in FORGED {
        let mut data = c.passive();
        c.send(&[b"STOR empty/", forged, b"\r\n"].concat());
        assert_eq!(c.reply().code(), "150");
        data.write_all(b"x").unwrap();
        drop(data);
        c.next("226 Transfer complete.");
        // What else is said of a session stands before it.
        let line = loop {
            let mut datagram = [0; 4096];
            let count = log.recv(&mut datagram).unwrap();
            let line = String::from_utf8(datagram[..count].to_vec()).unwrap();
            assert!(line.starts_with("<9"), "{line}");
            assert!(
                line.trim_end_matches(['\n', '\0'])
                    .bytes()
                    .all(|byte| (0x20..0x7f).contains(&byte)),
                "{line}"
            );
            if line.contains("OK UPLOAD") {
                break line;
            }
        };
        assert_eq!(line.matches("Client \"127.0.0.1\"").count(), 1, "{line}");
    }
    drop(c);
}

/// What a client says is shown in the list of processes as what can be printed, in one line (attacks B-080).
#[test]
fn the_list_of_processes() {
    let host = Host::new();
    let server = Server::start(&host, "setproctitle_enable=YES\n");
    let mut c = Client::alice();
    let (_, worker) = logged_in(&server, ALICE);
    for name in FORGED {
        let data = c.passive();
        let name = [name, &[b'y'; 150][..]].concat();
        c.send(&[b"STOR empty/", &name[..], b"\r\n"].concat());
        assert_eq!(c.reply().code(), "150");
        let shown = wait("the title", || {
            let shown = fs::read(format!("/proc/{worker}/cmdline")).ok()?;
            shown
                .windows(5)
                .any(|part| part == b"STOR ")
                .then_some(shown)
        });
        let shown = String::from_utf8(shown).unwrap();
        let shown = shown.trim_end_matches('\0');
        assert!(
            shown.starts_with("vsftpd: 127.0.0.1/alice: STOR "),
            "{shown}"
        );
        assert!(
            shown.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
            "{shown}"
        );
        drop(data);
        c.next("226 Transfer complete.");
    }
    drop(c);
    all_is_well(&server);
}

/// Arguments as long as a line, switches that are none, and a thousand hosts, before login and after: refused, and the session is alive or ended
/// as for other bad commands (attacks B-081, B-082).
#[test]
fn words_in_excess() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let long = "x".repeat(4000);
    let verbs = [
        "OPTS",
        "OPTS UTF8",
        "OPTS MLST",
        "OPTS HASH",
        "LANG",
        "CLNT",
        "HOST",
        "CSID",
        "FEAT",
        "HELP",
        "TYPE",
        "MODE",
        "STRU",
        "AUTH",
        "PBSZ",
    ];
    for verb in verbs {
        let mut c = Client::connect();
        let said = c.cmd(&format!("{verb} {long}")).text();
        assert!(
            said.starts_with('5') || said.starts_with("211") || said.starts_with("200"),
            "{verb}: {said}"
        );
        assert!(said.len() < 1000, "{verb}: {said}");
        c.login("alice");
        for argument in [&long, "UTF8 OFF", "\u{ff}\u{ff}", ";;;;", "*", "-1"] {
            let said = c.cmd(&format!("{verb} {argument}")).text();
            assert!(said.starts_with(['2', '5']), "{verb} {argument}: {said}");
        }
        c.says("NOOP", "200 NOOP ok.");
    }
    for verb in ["HOST a.example", "HOST", "XYZZ", "LANG xx", "CLNT x"] {
        let c = Client::connect();
        let mut stream = c.stream();
        let _ = stream.write_all(format!("{verb}\r\n").repeat(1000).as_bytes());
        let _ = stream.write_all(b"QUIT\r\n");
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.lines().count() <= 1001, "{verb}");
        if verb == "XYZZ" {
            assert_eq!(said.lines().count(), 11, "{said}");
        }
    }
    let mut c = Client::alice();
    c.send("HOST a.example\r\n".repeat(1000).as_bytes());
    for _ in 0..1000 {
        assert!(c.reply().code().starts_with('5'));
    }
    drop(c);
    all_is_well(&server);
}

/// Under TLS a line is as long as in clear, and eleven words that are none are enough there too (attacks B-070, B-071, B-081).
#[test]
fn lines_without_an_end_under_tls() {
    let host = Host::new();
    tls::certificate(&host);
    let _server = Server::start(&host, tls::ON);
    let idle = Server::processes();
    for login in [false, true] {
        for (length, tail) in [
            (4095, "\r\nDELE f\r\n"),
            (4096, "DELE f\r\n"),
            (20_000, "\r\nDELE f\r\n"),
        ] {
            let mut c = Ftps::upgrade(offer(BOTH, None));
            if login {
                c.login("alice");
            }
            let stream = c.input.get_mut();
            let _ = stream.write_all(format!("{}{tail}", "A".repeat(length)).as_bytes());
            let _ = stream.flush();
            c.next(LONG);
            let mut rest = Vec::new();
            let _ = c.input.read_to_end(&mut rest);
            assert!(rest.is_empty(), "{}", rest.escape_ascii());
        }
    }
    let mut c = Ftps::upgrade(offer(BOTH, None));
    for _ in 0..10 {
        c.says("XYZZ", PLEASE);
    }
    assert!(c.cmd("XYZZ").starts_with("500 "));
    assert_eq!(c.reply(), "");
    assert!(host.exists("/home/alice/f"));
    drop(c);
    settled(&idle);
}
