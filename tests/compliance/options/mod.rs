//! A test for each option, named after it: what it does away from its default, and at its default (reference 1).

mod accounts;
mod data;
mod files;
mod log;
mod login;
mod shown;
mod start;

use crate::support::host::{hide, pam_libraries};
use crate::support::{Client, Host, Server, wait};
use std::fs;
use std::path::Path;
use std::time::Duration;

const PASSWORD: &str = "331 Please specify the password.";
const WRONG: &str = "530 Login incorrect.";
const IN: &str = "230 Login successful.";
const DENIED: &str = "550 Permission denied.";
const DONE: &str = "226 Transfer complete.";
const CHANGED: &str = "250 Directory successfully changed.";

/// Long enough to tell a wait from an answer.
const A_WHILE: Duration = Duration::from_millis(1500);

/// Runs something while a server with these lines is there.
fn with<T>(host: &Host, lines: &str, run: impl FnOnce() -> T) -> T {
    let _server = Server::start(host, lines);
    run()
}

/// A client whose greeting was read, from and to these addresses.
fn from(source: &str, server: &str) -> Client {
    Client::dial_from(source.parse().unwrap(), server.parse().unwrap()).greeted()
}

/// Something that only goes wrong when a client comes with the original, and at the start with ours (reference 10.3, 45).
#[track_caller]
fn oops(host: &Host, lines: &str, text: &str) {
    let said = if host.ours() {
        let (status, said) = Server::refused(host, lines);
        assert_eq!(status.code(), Some(2), "{lines}");
        said
    } else {
        with(host, lines, || Client::dial().reply().text())
    };
    assert!(said.contains(text), "{lines}{said}");
}

/// A file /srv/none/x that is missing: the original tells every client its name, ours tells strangers no names (reference 10, 14)
/// and has nothing to say to clients who do not need it.
#[track_caller]
fn missing(host: &Host, lines: &str, text: &str, user: Option<&str>) {
    let said = with(host, lines, || match user {
        Some(user) if host.ours() => {
            let mut c = Client::connect();
            let reply = c.cmd(&format!("USER {user}"));
            if reply.text() == PASSWORD {
                c.cmd("PASS x")
            } else {
                reply
            }
        }
        Some(_) | None => Client::dial().reply(),
    });
    let name = if host.ours() { "" } else { ":/srv/none/x" };
    assert_eq!(said.text(), format!("500 OOPS: {text}{name}"), "{lines}");
}

/// Asks where a session is.
#[track_caller]
fn at(client: &mut Client, directory: &str) {
    let expected = format!("257 \"{directory}\" is the current directory");
    client.says("PWD", &expected);
}

/// A client that has sent USER and PASS; the reply to PASS is compared.
#[track_caller]
fn login(user: &str, password: &str, expected: &str) -> Client {
    let mut client = Client::connect();
    client.says(&format!("USER {user}"), PASSWORD);
    client.says(&format!("PASS {password}"), expected);
    client
}

/// The session of a lone client: every process but the master.
fn session(server: &Server) -> Vec<i32> {
    let mut all = Server::processes();
    all.retain(|pid| *pid != server.pid());
    all
}

/// The first of a field's words in /proc/PID/status, if the process is still there.
fn status(pid: i32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next().map(str::to_owned)
}

/// Waits for a process of the session that runs as this user.
#[track_caller]
fn runs_as(server: &Server, uid: u32) -> i32 {
    let uid = uid.to_string();
    wait(&format!("a process of {uid}"), || {
        session(server)
            .into_iter()
            .find(|pid| status(*pid, "Uid").as_deref() == Some(uid.as_str()))
    })
}

/// The name space of a process.
fn space(pid: i32, kind: &str) -> std::path::PathBuf {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap()
}

/// A large sparse file of alice's.
fn huge(path: &str, size: u64) {
    fs::File::create(path).unwrap().set_len(size).unwrap();
}

/// Hides the host's PAM library from the server.
fn without_pam() {
    pam_libraries().iter().for_each(|path| hide(path));
}

/// Every option of a table file in src/config.
fn options(table: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/config")
        .join(table);
    let text = fs::read_to_string(&path).unwrap();
    let names: Vec<String> = text
        .lines()
        .filter_map(|line| {
            let (name, value) = line.strip_prefix("    ")?.split_once(':')?;
            let name = name.split(" | ").next()?;
            let word = name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            let kinds = [" flag(", " number(", " octal(", " text("];
            (word && kinds.iter().any(|kind| value.starts_with(kind))).then(|| name.to_owned())
        })
        .collect();
    assert!(!names.is_empty(), "no rows in {table}");
    names
}

/// Tables whose options have their tests elsewhere.
const ELSEWHERE: [(&str, &str); 3] = [
    ("options_tls.rs", "TLS has a suite of its own"),
    ("options_ours.rs", "vsftpd has none of them: tests/modern"),
    (
        "options_others.rs",
        "only other builds have them: tests/modern/moved.rs",
    ),
];

#[test]
fn every_option_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = String::new();
    for entry in fs::read_dir(root.join("tests/compliance/options")).unwrap() {
        tests += &fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    let mut missing = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(root.join("src/config")).unwrap() {
        let table = entry.unwrap().file_name().into_string().unwrap();
        if !table.starts_with("options_") || ELSEWHERE.iter().any(|(name, _)| *name == table) {
            continue;
        }
        for name in options(&table) {
            count += 1;
            if !tests.contains(&format!("#[test]\nfn {name}() {{")) {
                missing.push(name);
            }
        }
    }
    assert!(missing.is_empty(), "no test for {missing:?}");
    assert!(count > 100, "only {count} options were found");
}
