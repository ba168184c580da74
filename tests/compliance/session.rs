//! session_support: who is logged in according to utmp, and who was according to wtmp (reference 6.3).
//!
//! That a PAM session is really opened and closed is shown in tests/confinement/accounting.rs, on ours only: pam_exec.so, which shows
//! it best, makes the original hang: when the module's child has ended it waits for another one.

use crate::support::utmp::{self, Record, UTMP, WTMP};
use crate::support::{Client, Host, Server, log, wait};

const ON: &str = "session_support=YES\n";

/// The process id in the log's line about a login.
fn logged_pid(user: &str) -> i32 {
    let wanted = format!("] [{user}] OK LOGIN: ");
    let text = log::until(&wanted);
    let (before, _) = text.split_once(&wanted).unwrap();
    let (_, pid) = before.rsplit_once("[pid ").unwrap();
    pid.parse().unwrap()
}

/// utmp and wtmp after one session that has ended.
fn ended(line: &str) {
    let gone = |record: &Record| {
        record.dead() && record.line == line && record.user.is_empty() && record.host.is_empty()
    };
    let now = utmp::once(UTMP, |all| all.len() == 1 && all[0].dead());
    assert!(gone(&now[0]) && now[0].seconds == 0, "{now:?}");
    let history = utmp::once(WTMP, |all| all.len() == 2);
    assert!(history[0].live() && gone(&history[1]), "{history:?}");
    assert!(history[1].seconds >= history[0].seconds, "{history:?}");
}

#[test]
fn a_login_is_on_record_until_quit() {
    let host = Host::new();
    utmp::keep(&host);
    let _server = Server::start(&host, ON);
    let mut client = Client::alice();
    let here = utmp::live(1);
    let pid = logged_pid("alice");
    assert_eq!(
        (here[0].pid, here[0].line.as_str()),
        (pid, format!("vsftpd:{pid}").as_str())
    );
    assert_eq!(
        (here[0].user.as_str(), here[0].host.as_str()),
        ("alice", "127.0.0.1")
    );
    assert!(here[0].seconds > 1_700_000_000, "{here:?}");
    assert_eq!(utmp::once(WTMP, |all| all.len() == 1), here);
    client.says("PWD", "257 \"/home/alice\" is the current directory");
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
    assert_eq!(utmp::records(UTMP), here);
    client.says("QUIT", "221 Goodbye.");
    ended(&here[0].line);
}

#[test]
fn a_client_that_vanishes_is_off_the_record() {
    let host = Host::new();
    utmp::keep(&host);
    let _server = Server::start(&host, ON);
    let client = Client::alice();
    let here = utmp::live(1);
    drop(client);
    ended(&here[0].line);
}

#[test]
fn sessions_are_told_apart() {
    let host = Host::new();
    utmp::keep(&host);
    let _server = Server::start(&host, ON);
    let mut first = Client::alice();
    let second = Client::user("bob");
    let users = |records: &[Record]| -> Vec<String> {
        records.iter().map(|record| record.user.clone()).collect()
    };
    assert_eq!(users(&utmp::live(2)), ["alice", "bob"]);
    first.says("QUIT", "221 Goodbye.");
    assert_eq!(users(&utmp::live(1)), ["bob"]);
    drop(second);
    utmp::live(0);
}

#[test]
fn the_host_is_the_address_as_logs_show_it() {
    let host = Host::new();
    utmp::keep(&host);
    let _server = Server::start(&host, "listen=NO\nlisten_ipv6=YES\nsession_support=YES\n");
    let _mapped = Client::alice();
    assert_eq!(utmp::live(1)[0].host, "::ffff:127.0.0.1");
    let mut client = Client::connect6();
    client.login("bob");
    assert_eq!(utmp::live(2)[1].host, "::1");
}

#[test]
fn who_is_not_recorded() {
    for (lines, user) in [(ON, "ftp"), ("", "alice")] {
        let host = Host::new();
        utmp::keep(&host);
        let _server = Server::start(&host, lines);
        let mut client = Client::connect();
        client.script(&[
            ("USER alice", "331 Please specify the password."),
            ("PASS wrong", "530 Login incorrect."),
        ]);
        client.login(user);
        client.says("QUIT", "221 Goodbye.");
        client.closed();
        assert_eq!(utmp::records(UTMP), []);
        assert_eq!(utmp::records(WTMP), []);
    }
}

#[test]
fn without_the_files_there_is_no_record() {
    let host = Host::new();
    let _server = Server::start(&host, ON);
    let mut client = Client::alice();
    client.says("QUIT", "221 Goodbye.");
    client.closed();
    assert!(!host.exists(UTMP) && !host.exists(WTMP));
}

#[test]
fn a_session_that_cannot_be_opened_refuses_the_login() {
    let host = Host::new();
    utmp::keep(&host);
    let service = String::from_utf8(host.read("/etc/pam.d/vsftpd")).unwrap();
    host.write(
        "/etc/pam.d/vsftpd",
        &format!("{service}session required pam_deny.so\n"),
    );
    let _server = Server::start(&host, ON);
    let mut client = Client::connect();
    let attempt = [
        ("USER alice", "331 Please specify the password."),
        ("PASS secret", "530 Login incorrect."),
    ];
    client.script(&attempt);
    utmp::live(0);
    if host.ours() {
        // The original records a login and its end; to ours a login that was refused is none.
        assert_eq!(utmp::records(WTMP), []);
        log::until("login refused: no session could be opened: PAM service vsftpd");
    }
    // The client may try again.
    host.write("/etc/pam.d/vsftpd", &service);
    client.login("alice");
    assert_eq!(utmp::live(1)[0].user, "alice");
}

#[test]
fn the_session_lines_do_not_count_without_the_option() {
    let host = Host::new();
    let service = String::from_utf8(host.read("/etc/pam.d/vsftpd")).unwrap();
    host.write(
        "/etc/pam.d/vsftpd",
        &format!("{service}session required pam_deny.so\n"),
    );
    let _server = Server::start(&host, "");
    Client::alice().says("PWD", "257 \"/home/alice\" is the current directory");
}

#[test]
fn many_sessions_leave_nothing_on_record() {
    let host = Host::new();
    utmp::keep(&host);
    let server = Server::start(&host, ON);
    for round in 0..10 {
        let mut client = Client::alice();
        if round % 2 == 0 {
            client.says("QUIT", "221 Goodbye.");
        }
    }
    utmp::once(WTMP, |all| {
        all.len() == 20 && all.iter().filter(|record| record.live()).count() == 10
    });
    utmp::live(0);
    wait("every session to end", || {
        (Server::processes() == [server.pid()]).then_some(())
    });
}

#[test]
fn limits_of_pam_hold_for_the_user() {
    let host = Host::new();
    let service = String::from_utf8(host.read("/etc/pam.d/vsftpd")).unwrap();
    host.write(
        "/etc/pam.d/vsftpd",
        &format!("{service}session required pam_limits.so conf=/etc/limits\n"),
    );
    host.write(
        "/etc/limits",
        "alice hard fsize 7\nalice soft fsize 3\nalice - nofile 30\n",
    );
    let _server = Server::start(&host, ON);
    let mut client = Client::alice();
    let users = Server::processes().into_iter().filter_map(|pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.contains("\nUid:\t1001\t").then_some(pid)
    });
    let limits: Vec<String> = users
        .map(|pid| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
            let line = text.lines().find(|line| line.starts_with("Max file size"));
            let words: Vec<&str> = line.unwrap().split_whitespace().skip(3).take(2).collect();
            words.join(" ")
        })
        .collect();
    assert_eq!(limits, ["3072 7168"]);
    let (_, data) = client.begin("STOR big");
    data.write(&[b'x'; 3000]);
    assert_eq!(client.reply().code(), "226");
    assert_eq!(host.read("/home/alice/big").len(), 3000);
}

#[test]
fn a_guest_is_recorded_by_the_own_name() {
    let host = Host::new();
    utmp::keep(&host);
    // Everybody is let in, also who has no account.
    host.write(
        "/etc/pam.d/vsftpd",
        "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
    );
    let _server = Server::start(
        &host,
        "session_support=YES\nguest_enable=YES\nguest_username=ftp\n",
    );
    let mut client = Client::user("nobodys-account");
    assert_eq!(utmp::live(1)[0].user, "nobodys-account");
    let line = utmp::records(UTMP)[0].line.clone();
    client.says("QUIT", "221 Goodbye.");
    ended(&line);
}

#[test]
fn a_name_longer_than_its_field_is_cut() {
    let host = Host::new();
    utmp::keep(&host);
    host.write(
        "/etc/pam.d/vsftpd",
        "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
    );
    let _server = Server::start(
        &host,
        "session_support=YES\nguest_enable=YES\nguest_username=ftp\n",
    );
    let _client = Client::user(&"n".repeat(100));
    assert_eq!(utmp::live(1)[0].user, "n".repeat(31));
}
