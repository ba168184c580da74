//! Greeting, login, and who is refused (reference 3.2, 5.12, 5.13, 6).

use crate::support::{Client, Host, Server, log};

const PLEASE: &str = "530 Please login with USER and PASS.";
const PASSWORD: &str = "331 Please specify the password.";
const WRONG: &str = "530 Login incorrect.";
const IN: &str = "230 Login successful.";

#[test]
fn greeting_names_the_version() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let greeting = Client::dial().reply().text();
    if host.ours() {
        assert_eq!(greeting, "220 (vsFTPd 3.0.5)");
    } else {
        // The original may be any 3.0; ours says what it is compatible with.
        assert!(greeting.starts_with("220 (vsFTPd 3.0."), "{greeting}");
    }
}

#[test]
fn ftpd_banner_replaces_the_greeting() {
    let host = Host::new();
    let _server = Server::start(&host, "ftpd_banner=Hi there\n");
    Client::dial().next("220 Hi there");
}

#[test]
fn banner_file_wins_and_ends_with_an_empty_line() {
    let host = Host::new();
    host.write("/etc/banner", "line one\nline two\n");
    let _server = Server::start(&host, "banner_file=/etc/banner\nftpd_banner=not this\n");
    Client::dial().next("220-line one\r\n220-line two\r\n220 ");
}

/// An empty file is no banner; one empty line is.
#[test]
fn a_banner_file_of_nothing() {
    let host = Host::new();
    for (text, said) in [("", "220 this"), ("\n", "220-\r\n220 ")] {
        host.write("/etc/banner", text);
        let _server = Server::start(&host, "banner_file=/etc/banner\nftpd_banner=this\n");
        Client::dial().next(said);
    }
}

#[test]
fn local_login() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::connect();
    c.script(&[
        ("USER alice", PASSWORD),
        ("PASS secret", IN),
        ("PWD", "257 \"/home/alice\" is the current directory"),
        ("QUIT", "221 Goodbye."),
    ]);
    c.closed();
}

#[test]
fn quit_before_login() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::connect();
    c.says("QUIT", "221 Goodbye.");
    c.closed();
}

#[test]
fn user_and_pass_after_login() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    Client::alice().script(&[
        ("USER alice", "331 Any password will do."),
        ("USER bob", "530 Can't change to another user."),
        ("USER", "530 Can't change to another user."),
        ("PASS x", "230 Already logged in."),
        ("PASS", "230 Already logged in."),
    ]);
}

#[test]
fn user_and_pass_after_anonymous_login() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    Client::anonymous().script(&[
        ("USER ftp", "530 Can't change from guest user."),
        ("USER alice", "530 Can't change from guest user."),
        ("PASS", "230 Already logged in."),
        ("PWD", "257 \"/\" is the current directory"),
    ]);
}

#[test]
fn anonymous_has_several_names() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    for name in ["ftp", "FTP", "anonymous", "ANONYMOUS", "Anonymous"] {
        Client::connect().script(&[
            (&format!("USER {name}"), PASSWORD),
            ("PASS a@b", IN),
            ("PWD", "257 \"/\" is the current directory"),
        ]);
    }
}

#[test]
fn anonymous_password_may_be_empty() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    Client::connect().script(&[("USER ftp", PASSWORD), ("PASS ", IN)]);
}

#[test]
fn no_anon_password_logs_in_at_once() {
    let host = Host::new();
    let _server = Server::start(&host, "no_anon_password=YES\n");
    Client::connect().script(&[
        ("USER anonymous", IN),
        ("PWD", "257 \"/\" is the current directory"),
    ]);
}

/// Where there are no anonymous logins the name is one like others.
#[test]
fn no_anon_password_is_for_anonymous_logins() {
    let host = Host::new();
    let lines = "no_anon_password=YES\nanonymous_enable=NO\n";
    let _server = Server::start(&host, lines);
    let mut c = Client::connect();
    if host.ours() {
        c.says("USER anonymous", PASSWORD);
        c.says("PASS x", WRONG);
    } else {
        c.says("USER anonymous", WRONG);
    }
}

#[test]
fn pass_needs_user() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    Client::connect().script(&[
        ("PASS secret", "503 Login with USER first."),
        ("USER", PASSWORD),
        ("PASS secret", "503 Login with USER first."),
    ]);
}

#[test]
fn a_second_user_replaces_the_first() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    Client::connect().script(&[
        ("USER alice", PASSWORD),
        ("USER bob", PASSWORD),
        ("PASS secret", IN),
        ("PWD", "257 \"/home/bob\" is the current directory"),
    ]);
}

#[test]
fn every_refusal_reads_the_same() {
    let host = Host::new();
    let _server = Server::start(&host, "max_login_fails=9\n");
    let mut c = Client::connect();
    // wrong password, no such user, in ftpusers, no valid shell, a locked password
    for (user, password) in [
        ("alice", "wrong"),
        ("nosuch", "x"),
        ("root", "x"),
        ("noshell", "secret"),
        ("nobody", ""),
    ] {
        c.script(&[
            (&format!("USER {user}"), PASSWORD),
            (&format!("PASS {password}"), WRONG),
        ]);
    }
    c.login("alice");
}

#[test]
fn a_failed_login_forgets_the_user() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    Client::connect().script(&[
        ("USER alice", PASSWORD),
        ("PASS wrong", WRONG),
        ("PASS secret", "503 Login with USER first."),
    ]);
}

#[test]
fn three_failures_end_the_session() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::connect();
    for _ in 0..3 {
        c.script(&[("USER alice", PASSWORD), ("PASS wrong", WRONG)]);
    }
    c.closed();
}

#[test]
fn max_login_fails_one() {
    let host = Host::new();
    let _server = Server::start(&host, "max_login_fails=1\n");
    let mut c = Client::connect();
    c.script(&[("USER nosuch", PASSWORD), ("PASS x", WRONG)]);
    c.closed();
}

#[test]
fn failed_logins_are_delayed() {
    let host = Host::new();
    let _server = Server::start(&host, "delay_failed_login=1\n");
    let mut c = Client::connect();
    c.says("USER alice", PASSWORD);
    let start = std::time::Instant::now();
    c.says("PASS wrong", WRONG);
    assert!(start.elapsed().as_millis() >= 990, "{:?}", start.elapsed());
}

#[test]
fn successful_logins_are_delayed() {
    let host = Host::new();
    let _server = Server::start(&host, "delay_successful_login=1\n");
    let mut c = Client::connect();
    c.says("USER alice", PASSWORD);
    let start = std::time::Instant::now();
    c.says("PASS secret", IN);
    assert!(start.elapsed().as_millis() >= 990, "{:?}", start.elapsed());
}

#[test]
fn long_names_and_passwords_are_refused() {
    let host = Host::new();
    let _server = Server::start(&host, "max_login_fails=9\n");
    let mut c = Client::connect();
    for length in [128, 129, 1000] {
        let long = "x".repeat(length);
        c.script(&[
            (&format!("USER {long}"), PASSWORD),
            ("PASS y", WRONG),
            ("USER alice", PASSWORD),
            (&format!("PASS {long}"), WRONG),
        ]);
    }
}

#[test]
fn local_enable_no() {
    let host = Host::new();
    let _server = Server::start(&host, "local_enable=NO\n");
    Client::connect().script(&[
        ("USER alice", "530 This FTP server is anonymous only."),
        ("PASS secret", "503 Login with USER first."),
        ("USER anonymous", PASSWORD),
        ("PASS x", IN),
    ]);
}

#[test]
fn anonymous_enable_no() {
    let host = Host::new();
    let _server = Server::start(&host, "anonymous_enable=NO\n");
    Client::connect().script(&[
        ("USER ftp", PASSWORD),
        ("PASS x", WRONG),
        ("USER anonymous", PASSWORD),
        ("PASS x", WRONG),
        ("USER alice", PASSWORD),
        ("PASS secret", IN),
    ]);
}

#[test]
fn userlist_denies() {
    let host = Host::new();
    host.write("/etc/list", "bob\nBOBBY\n");
    let _server = Server::start(&host, "userlist_enable=YES\nuserlist_file=/etc/list\n");
    Client::connect().script(&[
        ("USER bob", "530 Permission denied."),
        ("PASS secret", "503 Login with USER first."),
        ("USER bobby", PASSWORD),
        ("USER alice", PASSWORD),
        ("PASS secret", IN),
    ]);
}

#[test]
fn userlist_refusals_count_as_failures() {
    let host = Host::new();
    host.write("/etc/list", "bob\n");
    let _server = Server::start(&host, "userlist_enable=YES\nuserlist_file=/etc/list\n");
    let mut c = Client::connect();
    for _ in 0..3 {
        c.says("USER bob", "530 Permission denied.");
    }
    c.closed();
}

#[test]
fn userlist_allows_only_the_listed() {
    let host = Host::new();
    host.write("/etc/list", "bob\nanonymous\n");
    let _server = Server::start(
        &host,
        "userlist_enable=YES\nuserlist_deny=NO\nuserlist_file=/etc/list\n",
    );
    let mut c = Client::connect();
    c.script(&[
        ("USER alice", "530 Permission denied."),
        ("USER ftp", "530 Permission denied."),
        ("USER bob", PASSWORD),
        ("PASS secret", IN),
    ]);
    Client::connect().script(&[("USER anonymous", PASSWORD), ("PASS x", IN)]);
}

/// Who is not listed stays out without local users too. The original does not read the list then, and lets nobody in.
#[test]
fn userlist_allows_only_the_listed_without_local_users() {
    let host = Host::new();
    host.write("/etc/list", "anonymous\n");
    let lines = "userlist_enable=YES\nuserlist_deny=NO\nuserlist_file=/etc/list\nlocal_enable=NO\n";
    let _server = Server::start(&host, lines);
    Client::connect().says("USER ftp", "530 Permission denied.");
    if host.ours() {
        Client::connect().script(&[("USER anonymous", PASSWORD), ("PASS x", IN)]);
    } else {
        Client::connect().says("USER anonymous", "530 Permission denied.");
    }
}

/// An empty line bans the empty password; the end of the last line is none.
#[test]
fn banned_empty_password() {
    let host = Host::new();
    for (text, said) in [("bad@host\n", IN), ("bad@host\n\n", WRONG)] {
        host.write("/etc/banned", text);
        let _server = Server::start(
            &host,
            "deny_email_enable=YES\nbanned_email_file=/etc/banned\n",
        );
        Client::connect().script(&[("USER ftp", PASSWORD), ("PASS ", said)]);
    }
}

#[test]
fn banned_email() {
    let host = Host::new();
    host.write("/etc/banned", "bad@host\nline two\n");
    let _server = Server::start(
        &host,
        "deny_email_enable=YES\nbanned_email_file=/etc/banned\n",
    );
    Client::connect().script(&[
        ("USER ftp", PASSWORD),
        ("PASS bad@host", WRONG),
        ("USER Anonymous", PASSWORD),
        ("PASS line two", WRONG),
        ("USER ftp", PASSWORD),
        ("PASS good@host", IN),
    ]);
    // The line that log watchers know, without the password that was refused.
    for name in ["ftp", "Anonymous"] {
        let line = format!("[{name}] FAIL LOGIN: Client \"127.0.0.1\"\n");
        crate::support::wait(&line, || {
            std::fs::read_to_string("/var/log/vsftpd.log")
                .is_ok_and(|log| log.contains(&line))
                .then_some(())
        });
    }
}

#[test]
fn secure_email_list() {
    let host = Host::new();
    host.write("/etc/emails", "good@host\n");
    let _server = Server::start(
        &host,
        "secure_email_list_enable=YES\nemail_password_file=/etc/emails\n",
    );
    Client::connect().script(&[
        ("USER ftp", PASSWORD),
        ("PASS other@host", WRONG),
        ("USER ftp", PASSWORD),
        ("PASS good@host", IN),
    ]);
}

/// An empty line of the list lets no empty password in.
#[test]
fn secure_email_list_with_an_empty_line() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    host.write("/etc/emails", "good@host\n\nbetter@host\n");
    let _server = Server::start(
        &host,
        "secure_email_list_enable=YES\nemail_password_file=/etc/emails\n",
    );
    Client::connect().script(&[
        ("USER ftp", PASSWORD),
        ("PASS ", WRONG),
        ("USER ftp", PASSWORD),
        ("PASS better@host", IN),
    ]);
}

#[test]
fn before_login_little_is_served() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::connect();
    for command in [
        "NOOP", "HELP", "SYST", "STAT", "PWD", "LIST", "AUTH TLS", "PBSZ 0", "PROT P",
    ] {
        c.says(command, PLEASE);
    }
}

/// attacks B-082.
#[test]
fn features_and_options_before_login() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::connect();
    assert_eq!(
        crate::commands::features_of_the_original(&mut c),
        "211-Features:\r\n EPRT\r\n EPSV\r\n MDTM\r\n PASV\r\n REST STREAM\r\n SIZE\r\n TVFS\r\n211 End"
    );
    c.script(&[
        ("OPTS UTF8 ON", "200 Always in UTF8 mode."),
        ("opts utf8 on", "200 Always in UTF8 mode."),
        ("OPTS UTF8 OFF", "501 Option not understood."),
        ("OPTS", "501 Option not understood."),
    ]);
}

/// attacks B-081.
#[test]
fn the_eleventh_bad_command_ends_the_session() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::connect();
    for _ in 0..10 {
        c.says("FOO", PLEASE);
    }
    if host.ours() {
        // 3.0.5 counts bad commands (reference 3.2); 3.0.3 does not yet.
        assert_eq!(c.cmd("FOO").code(), "500");
        c.closed();
    }
}

#[test]
fn http_before_login() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    for verb in [
        "GET / HTTP/1.1",
        "POST /",
        "HEAD",
        "OPTIONS *",
        "CONNECT a:1",
    ] {
        let mut c = Client::connect();
        let reply = c.cmd(verb);
        if host.ours() {
            // 3.0.5 refuses HTTP at once (reference 3.2); 3.0.3 does so only after login.
            assert_eq!(reply.text(), "500 HTTP protocol commands not allowed.");
            c.closed();
        } else {
            assert!(["500", "530"].contains(&reply.code()));
        }
    }
}

#[test]
fn http_after_login() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    for verb in [
        "GET / HTTP/1.1",
        "post /",
        "HEAD",
        "OPTIONS *",
        "CONNECT a:1",
    ] {
        let mut c = Client::alice();
        c.says(verb, "500 HTTP protocol commands not allowed.");
        c.closed();
    }
}

/// All its verbs, and the lines behind them; the original knows five, and serves what comes after the others (attacks B-096). Nothing of what
/// was said is said back.
#[test]
fn http_of_every_kind() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = Server::start(&host, "");
    for line in [
        "PUT /x HTTP/1.1",
        "delete /x HTTP/1.1",
        "PATCH /x HTTP/1.1",
        "TRACE / HTTP/1.1",
        "PRI * HTTP/2.0",
        "Host: ftp.example.org",
        "X-Any: 1",
    ] {
        for mut c in [Client::connect(), Client::alice()] {
            c.send(format!("{line}\r\nNOOP\r\n").as_bytes());
            c.next("500 HTTP protocol commands not allowed.");
            c.closed();
        }
    }
}

/// What clients of other protocols say first, and what was put behind it (attacks B-096): the original goes on with that.
#[test]
fn other_protocols() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = Server::start(&host, "");
    for line in [
        &b"EHLO mail.example.org"[..],
        b"helo mail.example.org",
        b"SSH-2.0-OpenSSH_9.2p1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    ] {
        for mut c in [Client::connect(), Client::alice()] {
            c.send(&[line, b"\r\nUSER ftp\r\nPASS x\r\nMKD made\r\n"].concat());
            c.next("500 This is an FTP server.");
            c.closed();
        }
    }
    assert!(!host.exists("/home/alice/made"));
}

#[test]
fn guests_are_the_guest_user() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "guest_enable=YES\nguest_username=bob\nvirtual_use_local_privs=YES\n",
    );
    let mut c = Client::alice();
    c.script(&[
        ("PWD", "257 \"/home/bob\" is the current directory"),
        ("USER bob", "530 Can't change to another user."),
        ("USER alice", "331 Any password will do."),
        ("MKD x", "257 \"/home/bob/x\" created"),
    ]);
    assert!(c.cmd("STAT").text().contains("     Logged in as alice\r\n"));
}

#[test]
fn guests_are_jailed_and_like_anonymous() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "guest_enable=YES\nguest_username=bob\nallow_writeable_chroot=YES\n",
    );
    Client::alice().script(&[
        ("PWD", "257 \"/\" is the current directory"),
        ("USER alice", "530 Can't change from guest user."),
        ("MKD x", "550 Permission denied."),
        ("SITE HELP", "550 Permission denied."),
    ]);
}

#[test]
fn per_user_configuration() {
    let host = Host::new();
    std::fs::create_dir("/etc/users").unwrap();
    host.write("/etc/users/alice", "write_enable=NO\n");
    let _server = Server::start(&host, "user_config_dir=/etc/users\n");
    Client::alice().says("MKD x", "550 Permission denied.");
    Client::user("bob").says("MKD x", "257 \"/home/bob/x\" created");
}

#[test]
fn chroot_of_a_single_user() {
    let host = Host::new();
    std::fs::create_dir("/etc/users").unwrap();
    host.write(
        "/etc/users/alice",
        "chroot_local_user=YES\nallow_writeable_chroot=YES\n",
    );
    let _server = Server::start(&host, "user_config_dir=/etc/users\n");
    // The original has decided before it reads the file (reference §10, 41).
    let place = if host.ours() { "/" } else { "/home/alice" };
    Client::alice().says("PWD", &format!("257 \"{place}\" is the current directory"));
}

#[test]
fn per_user_local_root() {
    let host = Host::new();
    std::fs::create_dir("/etc/users").unwrap();
    host.write("/etc/users/alice", "local_root=/srv/ftp/pub\n");
    let _server = Server::start(&host, "user_config_dir=/etc/users\n");
    Client::alice().says("PWD", "257 \"/srv/ftp/pub\" is the current directory");
}

#[test]
fn too_many_clients() {
    let host = Host::new();
    let _server = Server::start(&host, "max_clients=1\n");
    let _first = Client::connect();
    let mut second = Client::dial();
    second.next("421 There are too many connected users, please try later.");
    second.closed();
    assert_eq!(
        log::vsftpd(2)[1],
        "CONNECT: Client \"127.0.0.1\", \"Connection refused: too many sessions.\""
    );
}

/// attacks B-021.
#[test]
fn too_many_from_one_address() {
    let host = Host::new();
    let _server = Server::start(&host, "max_per_ip=1\n");
    let _first = Client::connect();
    let mut second = Client::dial();
    second.next("421 There are too many connections from your internet address.");
    second.closed();
    Client::dial_from("127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap()).greeted();
    assert_eq!(
        log::vsftpd(2)[1],
        "CONNECT: Client \"127.0.0.1\", \"Connection refused: too many sessions for this address.\""
    );
}

#[test]
fn a_place_is_free_again_when_a_client_leaves() {
    let host = Host::new();
    let _server = Server::start(&host, "max_clients=1\n");
    for _ in 0..3 {
        let mut c = crate::support::wait("a free place", || {
            let mut c = Client::dial();
            (c.reply().code() == "220").then_some(c)
        });
        c.login("alice");
        c.says("QUIT", "221 Goodbye.");
        c.closed();
    }
}

#[test]
fn tcp_wrappers_deny() {
    let host = Host::new();
    host.write("/etc/hosts.deny", "vsftpd: 127.0.0.1\n");
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    let mut c = Client::dial();
    c.next("421 Service not available.");
    c.closed();
    assert_eq!(
        log::vsftpd(1)[0],
        "CONNECT: Client \"127.0.0.1\", \"Connection refused: tcp_wrappers denial.\""
    );
    let _other =
        Client::dial_from("127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap()).greeted();
}

#[test]
fn tcp_wrappers_may_choose_a_configuration() {
    let host = Host::new();
    host.write(
        "/etc/hosts.allow",
        "vsftpd: 127.0.0.2: setenv VSFTPD_LOAD_CONF /etc/other.conf\n",
    );
    host.write("/etc/other.conf", "ftpd_banner=Other\n");
    let _server = Server::start(&host, "tcp_wrappers=YES\nftpd_banner=Main\n");
    Client::dial().next("220 Main");
    Client::dial_from("127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap()).next("220 Other");
}
