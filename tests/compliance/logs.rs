//! vsftpd.log and xferlog, line by line (reference 7). Dates, process ids and rates are checked for form and masked.

use crate::support::log::{VSFTPD, XFERLOG, vsftpd, vsftpd_now, xferlog};
use crate::support::{Client, Host, Server, wait};

/// A session with one of everything that is logged.
fn session() {
    let mut c = Client::connect();
    c.script(&[
        ("USER alice", "331 Please specify the password."),
        ("PASS bad", "530 Login incorrect."),
    ]);
    c.login("alice");
    c.says("TYPE I", "200 Switching to Binary mode.");
    c.fetch("RETR f");
    c.refused("RETR nofile", "550 Failed to open file.");
    c.refused("RETR d", "550 Failed to open file.");
    c.store("STOR up 1", b"abc");
    c.refused("STOR /root/x", "553 Could not create file.");
    c.store("APPE up 1", b"d");
    for command in [
        "MKD m",
        "MKD m",
        "RNFR m",
        "RNTO n",
        "RNFR nofile",
        "RMD n",
        "RMD n",
        "DELE f",
        "DELE f",
        "SITE CHMOD 600 asc",
        "SITE CHMOD 0600 nof",
        "SIZE asc",
    ] {
        c.cmd(command);
    }
    c.fetch("LIST d");
    c.says("TYPE A", "200 Switching to ASCII mode.");
    c.fetch("RETR asc");
    c.says("QUIT", "221 Goodbye.");
    c.closed();
    let mut c = Client::connect();
    c.script(&[
        ("USER anonymous", "331 Please specify the password."),
        ("PASS me@host x", "230 Login successful."),
    ]);
    c.fetch("RETR pub/file");
}

const LOG: [&str; 22] = [
    "CONNECT: Client \"127.0.0.1\"",
    "[alice] FAIL LOGIN: Client \"127.0.0.1\"",
    "[alice] OK LOGIN: Client \"127.0.0.1\"",
    "[alice] OK DOWNLOAD: Client \"127.0.0.1\", \"/home/alice/f\", 12 bytes, RATE",
    "[alice] FAIL DOWNLOAD: Client \"127.0.0.1\", \"/home/alice/nofile\", RATE",
    "[alice] OK UPLOAD: Client \"127.0.0.1\", \"/home/alice/up 1\", 3 bytes, RATE",
    "[alice] FAIL UPLOAD: Client \"127.0.0.1\", \"/root/x\", RATE",
    "[alice] OK UPLOAD: Client \"127.0.0.1\", \"/home/alice/up 1\", 1 bytes, RATE",
    "[alice] OK MKDIR: Client \"127.0.0.1\", \"/home/alice/m\"",
    "[alice] FAIL MKDIR: Client \"127.0.0.1\", \"/home/alice/m\"",
    "[alice] OK RENAME: Client \"127.0.0.1\", \"/home/alice/m /home/alice/n\"",
    "[alice] FAIL RENAME: Client \"127.0.0.1\", \"/home/alice/nofile\"",
    "[alice] OK RMDIR: Client \"127.0.0.1\", \"/home/alice/n\"",
    "[alice] FAIL RMDIR: Client \"127.0.0.1\", \"/home/alice/n\"",
    "[alice] OK DELETE: Client \"127.0.0.1\", \"/home/alice/f\"",
    "[alice] FAIL DELETE: Client \"127.0.0.1\", \"/home/alice/f\"",
    "[alice] OK CHMOD: Client \"127.0.0.1\", \"/home/alice/asc 600\"",
    "[alice] FAIL CHMOD: Client \"127.0.0.1\", \"/home/alice/nof 0600\"",
    "[alice] OK DOWNLOAD: Client \"127.0.0.1\", \"/home/alice/asc\", 10 bytes, RATE",
    "CONNECT: Client \"127.0.0.1\"",
    "[ftp] OK LOGIN: Client \"127.0.0.1\", anon password \"me@host_x\"",
    "[ftp] OK DOWNLOAD: Client \"127.0.0.1\", \"/pub/file\", 7 bytes, RATE",
];

const TRANSFERS: [&str; 7] = [
    "127.0.0.1 12 /home/alice/f b _ o r alice ftp 0 * c",
    "127.0.0.1 0 /home/alice/nofile b _ o r alice ftp 0 * i",
    "127.0.0.1 3 /home/alice/up_1 b _ i r alice ftp 0 * c",
    "127.0.0.1 0 /root/x b _ i r alice ftp 0 * i",
    "127.0.0.1 1 /home/alice/up_1 b _ i r alice ftp 0 * c",
    "127.0.0.1 10 /home/alice/asc a _ o r alice ftp 0 * c",
    "127.0.0.1 7 /pub/file a _ o a me@host_x ftp 0 * c",
];

#[test]
fn the_vsftpd_log() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    session();
    assert_eq!(vsftpd(LOG.len()), LOG);
    assert!(!host.exists(XFERLOG));
}

#[test]
fn the_standard_format() {
    let host = Host::new();
    let _server = Server::start(&host, "xferlog_std_format=YES\n");
    session();
    assert_eq!(xferlog(TRANSFERS.len()), TRANSFERS);
    assert!(!host.exists(VSFTPD));
}

#[test]
fn both_logs() {
    let host = Host::new();
    let _server = Server::start(&host, "xferlog_enable=NO\ndual_log_enable=YES\n");
    session();
    assert_eq!(vsftpd(LOG.len()), LOG);
    assert_eq!(xferlog(TRANSFERS.len()), TRANSFERS);
}

#[test]
fn no_log() {
    let host = Host::new();
    let _server = Server::start(&host, "xferlog_enable=NO\n");
    session();
    assert!(!host.exists(VSFTPD) && !host.exists(XFERLOG));
}

#[test]
fn logs_elsewhere() {
    let host = Host::new();
    let _server = Server::start(&host, "vsftpd_log_file=/var/log/other.log\n");
    Client::alice();
    wait("the other log", || {
        host.exists("/var/log/other.log").then_some(())
    });
    assert!(!host.exists(VSFTPD));
}

#[test]
fn logs_are_not_for_everyone() {
    use std::os::unix::fs::PermissionsExt;
    let host = Host::new();
    let _server = Server::start(&host, "");
    Client::connect();
    vsftpd(1);
    assert_eq!(
        std::fs::metadata(VSFTPD).unwrap().permissions().mode() & 0o137,
        0
    );
}

/// The reply that ends a connection is logged like any other.
#[test]
fn the_protocol_of_the_last_refusal() {
    let host = Host::new();
    host.write("/etc/listed", "bob\n");
    let _server = Server::start(
        &host,
        "log_ftp_protocol=YES\nuserlist_enable=YES\nuserlist_file=/etc/listed\nmax_login_fails=1\n",
    );
    let replied = |name: &str, text: &str| {
        let line = format!("[{name}] FTP response: Client \"127.0.0.1\", \"{text}\"");
        wait(&line, || vsftpd_now().contains(&line).then_some(()));
    };
    let mut c = Client::connect();
    c.says("USER alice", "331 Please specify the password.");
    c.says("PASS wrong", "530 Login incorrect.");
    c.closed();
    replied("alice", "530 Login incorrect.");
    let mut c = Client::connect();
    c.says("USER bob", "530 Permission denied.");
    c.closed();
    replied("bob", "530 Permission denied.");
}

/// A name that is refused stands before the reply that refuses it, and before nothing that comes later; an empty line is logged as one.
#[test]
fn the_protocol_of_refusals() {
    let host = Host::new();
    host.write("/etc/listed", "bob\n");
    let server = Server::start(
        &host,
        "log_ftp_protocol=YES\nuserlist_enable=YES\nuserlist_file=/etc/listed\nmax_login_fails=5\n",
    );
    let mut c = Client::connect();
    c.says("USER alice", "331 Please specify the password.");
    c.says("PASS wrong", "530 Login incorrect.");
    c.send(b"\r\n");
    c.script(&[
        ("NOOP", "530 Please login with USER and PASS."),
        ("USER bob", "530 Permission denied."),
        ("PASS x", "503 Login with USER first."),
    ]);
    c.login("alice");
    c.send(b"\r\n");
    c.says("QUIT", "221 Goodbye.");
    c.closed();
    let quit = "[alice] FTP response: Client \"127.0.0.1\", \"221 Goodbye.\"";
    let log = wait("the whole log", || {
        let log = vsftpd(2);
        (log.last().map(String::as_str) == Some(quit)).then_some(log)
    });
    let said = |who: &str, what: &str, text: &str| {
        format!("{who}FTP {what}: Client \"127.0.0.1\", \"{text}\"")
    };
    let empty = |who: &str| format!("{who}FTP command: Client \"127.0.0.1\"");
    let (alice, bob) = ("[alice] ", "[bob] ");
    let expected = [
        said("", "command", "USER alice"),
        said(alice, "response", "331 Please specify the password."),
        said(alice, "command", "PASS <password>"),
        format!("{alice}FAIL LOGIN: Client \"127.0.0.1\""),
        said(alice, "response", "530 Login incorrect."),
        empty(""),
        said("", "command", "NOOP"),
        said("", "response", "530 Please login with USER and PASS."),
        said("", "command", "USER bob"),
        said(bob, "response", "530 Permission denied."),
        said("", "command", "PASS <password>"),
        said("", "response", "503 Login with USER first."),
        said("", "command", "USER alice"),
        said(alice, "response", "331 Please specify the password."),
        said(alice, "command", "PASS <password>"),
        format!("{alice}OK LOGIN: Client \"127.0.0.1\""),
        said(alice, "response", "230 Login successful."),
        empty(alice),
        said(alice, "command", "QUIT"),
        quit.to_owned(),
    ];
    let reasons = |line: &&String| !line.contains("DEBUG: ");
    let log: Vec<&String> = log[2..].iter().filter(reasons).collect();
    assert_eq!(log, expected.iter().collect::<Vec<_>>());

    drop(server);
    let _server = Server::start(&host, "log_ftp_protocol=YES\nlocal_enable=NO\n");
    Client::connect().says("USER alice", "530 This FTP server is anonymous only.");
    let refusal = said(alice, "response", "530 This FTP server is anonymous only.");
    wait("the refusal", || vsftpd(2).contains(&refusal).then_some(()));
}

#[test]
fn the_protocol() {
    let host = Host::new();
    let _server = Server::start(&host, "log_ftp_protocol=YES\n");
    let mut c = Client::connect();
    let version = if host.ours() {
        "220 (vsFTPd 3.0.5)"
    } else {
        "220 (vsFTPd 3.0."
    };
    c.login("alice");
    c.send(b"CWD a\tb\xe9\r\n");
    c.reply();
    c.script(&[("FOO", "500 Unknown command."), ("QUIT", "221 Goodbye.")]);
    c.closed();
    let log = vsftpd(13);
    let said = |who: &str, what: &str, text: &str| {
        format!("{who}FTP {what}: Client \"127.0.0.1\", \"{text}\"")
    };
    assert!(
        log[1].starts_with(&said("", "response", version)[..version.len() + 30]),
        "{}",
        log[1]
    );
    let alice = "[alice] ";
    let expected = [
        said("", "command", "USER alice"),
        said(alice, "response", "331 Please specify the password."),
        said(alice, "command", "PASS <password>"),
        format!("{alice}OK LOGIN: Client \"127.0.0.1\""),
        said(alice, "response", "230 Login successful."),
        said(alice, "command", "CWD a?b?"),
        said(alice, "response", "550 Failed to change directory."),
        said(alice, "command", "FOO"),
        said(alice, "response", "500 Unknown command."),
        said(alice, "command", "QUIT"),
        said(alice, "response", "221 Goodbye."),
    ];
    assert_eq!(log[2..], expected[..]);
}

#[test]
fn no_password_is_logged() {
    let host = Host::new();
    let _server = Server::start(&host, "log_ftp_protocol=YES\ndual_log_enable=YES\n");
    let mut c = Client::connect();
    c.cmd("USER alice");
    c.cmd("PASS hush-hush");
    c.cmd("pass hush-hush");
    c.login("alice");
    c.cmd("PASS hush-hush");
    vsftpd(16);
    let text = String::from_utf8(host.read(VSFTPD)).unwrap();
    assert!(!text.contains("hush") && !text.contains("secret"), "{text}");
}

/// attacks B-077.
#[test]
fn a_name_cannot_forge_a_line() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.send(b"MKD x\0Tue Nov 24 02:41:21 2026 [pid 1] [bob] OK LOGIN: Client \"1.2.3.4\"\r\n");
    assert_eq!(c.reply().code(), "257");
    let log = vsftpd(3);
    assert_eq!(log.len(), 3);
    assert_eq!(
        log[2],
        "[alice] OK MKDIR: Client \"127.0.0.1\", \"/home/alice/x?Tue Nov 24 02:41:21 2026 [pid 1] [bob] OK LOGIN: Client \"1.2.3.4\"\""
    );
}

/// attacks B-077.
#[test]
fn a_login_name_cannot_forge_a_line() {
    if !crate::support::ours() {
        return;
    }
    let host = Host::new();
    let _server = Server::start(&host, "delay_failed_login=0\n");
    let mut c = Client::connect();
    // fail2ban's filter takes `[` and what follows up to the next `]` for the user, and what follows that for ours.
    c.says(
        "USER x] FAIL LOGIN: Client \"9.9.9.9\",",
        "331 Please specify the password.",
    );
    c.says("PASS x", "530 Login incorrect.");
    assert_eq!(
        vsftpd(2)[1],
        "[x? FAIL LOGIN: Client \"9.9.9.9\",] FAIL LOGIN: Client \"127.0.0.1\""
    );
}

#[test]
fn failures_are_logged_as_failures() {
    let host = Host::new();
    host.tiny("/home/alice/tiny", 64);
    std::fs::File::create("/home/alice/huge")
        .unwrap()
        .set_len(50_000_000)
        .unwrap();
    let _server = Server::start(&host, "dual_log_enable=YES\naccept_timeout=1\n");
    let mut c = Client::alice();
    let (_, mut data) = c.begin("STOR tiny/x");
    let _ = std::io::Write::write_all(&mut data.stream, &[b'x'; 1_000_000]);
    drop(data);
    c.next("451 Failure writing to local file.");
    let (_, data) = c.begin("RETR huge");
    data.reset();
    c.next("426 Failure writing network stream.");
    c.pasv();
    c.says("RETR f", "425 Failed to establish connection.");
    // A directory is not logged, everything else that cannot be sent is.
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o644);
    nix::unistd::mkfifo("/home/alice/fifo", mode).unwrap();
    host.own("/home/alice/fifo", 1001);
    c.refused("RETR d", "550 Failed to open file.");
    c.refused("RETR fifo", "550 Failed to open file.");
    let log = vsftpd(6);
    assert!(
        log[2].starts_with("[alice] FAIL UPLOAD: Client \"127.0.0.1\", \"/home/alice/tiny/x\", "),
        "{}",
        log[2]
    );
    assert!(
        log[3].starts_with("[alice] FAIL DOWNLOAD: Client \"127.0.0.1\", \"/home/alice/huge\", "),
        "{}",
        log[3]
    );
    assert_eq!(
        log[4],
        "[alice] FAIL DOWNLOAD: Client \"127.0.0.1\", \"/home/alice/f\", RATE"
    );
    assert_eq!(
        log[5],
        "[alice] FAIL DOWNLOAD: Client \"127.0.0.1\", \"/home/alice/fifo\", RATE"
    );
    let transfers = xferlog(4);
    assert!(
        transfers.iter().all(|line| line.ends_with(" ftp 0 * i")),
        "{transfers:?}"
    );
}

#[test]
fn jailed_paths_are_logged_as_the_user_sees_them() {
    let host = Host::new();
    let _server = Server::start(&host, "chroot_local_user=YES\nallow_writeable_chroot=YES\n");
    let mut c = Client::alice();
    c.says("CWD d", "250 Directory successfully changed.");
    c.fetch("RETR 1");
    c.fetch("RETR /f");
    c.fetch("RETR ../f");
    let log = vsftpd(5);
    for (line, path) in log[2..].iter().zip(["/d/1", "/f", "/d/../f"]) {
        assert!(
            line.starts_with(&format!(
                "[alice] OK DOWNLOAD: Client \"127.0.0.1\", \"{path}\", "
            )),
            "{line}"
        );
    }
}

#[test]
fn guests_in_the_logs() {
    let host = Host::new();
    host.file("/home/bob/f", b"x");
    host.mode("/home/bob", 0o555);
    let _server = Server::start(
        &host,
        "dual_log_enable=YES\nguest_enable=YES\nguest_username=bob\nanon_world_readable_only=NO\n",
    );
    Client::alice().fetch("RETR f");
    assert_eq!(xferlog(1), ["127.0.0.1 1 /f a _ o g alice ftp 0 * c"]);
    assert_eq!(
        vsftpd(3)[2],
        "[alice] OK DOWNLOAD: Client \"127.0.0.1\", \"/f\", 1 bytes, RATE"
    );
}

#[test]
fn failed_logins_are_what_fail2ban_looks_for() {
    let host = Host::new();
    let _server = Server::start(&host, "listen=NO\nlisten_ipv6=YES\n");
    let mut c = Client::connect();
    c.cmd("USER nosuch");
    c.cmd("PASS x");
    let line = vsftpd(2).remove(1);
    assert!(
        line == "[nosuch] FAIL LOGIN: Client \"::ffff:127.0.0.1\""
            || host.ours() && line == "[nosuch] FAIL LOGIN: Client \"127.0.0.1\"",
        "{line}"
    );
}

/// A login, or what comes after it, that is refused by ours: the last line that says why.
fn why(lines: &[(&str, &str)]) -> String {
    Client::connect().script(lines);
    let mut last = String::new();
    wait("the reason", || {
        let log = std::fs::read_to_string(VSFTPD).unwrap_or_default();
        let line = log.lines().rfind(|line| line.contains(" DEBUG: "))?;
        last = line.to_owned();
        Some(())
    });
    std::fs::write(VSFTPD, "").unwrap();
    last
}

#[test]
fn the_reason_comes_with_its_cure() {
    if !crate::support::ours() {
        return;
    }
    let host = Host::new();
    let password = ("PASS secret", "530 Login incorrect.");
    let alice = ("USER alice", "331 Please specify the password.");
    host.write("/etc/shells", "/bin/none\n");
    {
        let _server = Server::start(&host, "delay_failed_login=0\n");
        let said = why(&[alice, password]);
        assert!(
            said.contains("is not in /etc/shells, as pam_shells demands"),
            "{said}"
        );
        let said = why(&[("USER nobody-here", alice.1), password]);
        assert!(!said.contains("/etc/shells"), "{said}");
    }
    host.write("/etc/shells", "/bin/sh\n");
    {
        let lines = "anonymous_enable=NO\ndelay_failed_login=0\n";
        let _server = Server::start(&host, lines);
        let said = why(&[("USER ftp", alice.1), password]);
        assert!(said.contains("anonymous_enable=YES"), "{said}");
    }
    for (module, cure) in [
        ("pam_nonexistent.so", "not installed"),
        (
            "pam_userdb.so db=/nonexistent",
            "a module of that file failed",
        ),
    ] {
        let service = format!("auth required {module}\naccount required pam_permit.so\n");
        host.write("/etc/pam.d/broken", &service);
        let lines = "delay_failed_login=0\npam_service_name=broken\n";
        let _server = Server::start(&host, lines);
        let said = why(&[alice, password]);
        assert!(
            said.contains(cure) && !said.contains("a wrong password"),
            "{said}"
        );
    }
    // No option allows guests a root that they may write to.
    host.own("/srv/ftp", crate::support::host::FTP);
    let _server = Server::start(&host, "anonymous_enable=YES\n");
    let mut c = Client::connect();
    c.says("USER ftp", "331 Please specify the password.");
    c.send(b"PASS x\r\n");
    assert!(c.reply().text().contains("writable root"));
    wait("the cure", || {
        let log = std::fs::read_to_string(VSFTPD).unwrap_or_default();
        log.contains("allow_writeable_chroot is not for guests")
            .then_some(())
    });
}

/// A disk without room, at /small.
fn full_disk(host: &Host) {
    host.mkdir("/small", 0);
    crate::support::host::tmpfs("/small", "mode=755,size=8k");
    let _ = std::fs::write("/small/full", [0; 16384]);
}

/// Whoever started the server is told that a log has not taken everything.
fn missing_in(option: &str) {
    let word =
        format!("127.0.0.1 lines of this session are missing in {option}: No space left on device");
    wait("the word about it", || {
        let said = crate::support::server::output();
        said.contains(&word).then_some(())
    });
}

#[test]
fn a_log_that_takes_nothing_is_told() {
    if !crate::support::ours() {
        return;
    }
    let host = Host::new();
    full_disk(&host);
    let lines = "vsftpd_log_file=/small/v.log\nwrite_enable=YES\n";
    let _server = Server::start(&host, lines);
    let mut c = Client::alice();
    c.says("MKD x", "257 \"/home/alice/x\" created");
    missing_in("vsftpd_log_file");
}

/// Half a line, before a disk is full, is not what the next one begins with once there is room again.
#[test]
fn a_line_behind_half_a_line() {
    if !crate::support::ours() {
        return;
    }
    let host = Host::new();
    host.mkdir("/small", 0);
    crate::support::host::tmpfs("/small", "mode=755,size=8k");
    std::fs::write("/small/v.log", [b'\n'; 4096 - 20]).unwrap();
    std::fs::write("/small/full", [0; 4096]).unwrap();
    let _server = Server::start(&host, "vsftpd_log_file=/small/v.log\nwrite_enable=YES\n");
    let mut c = Client::alice();
    missing_in("vsftpd_log_file");
    assert_eq!(std::fs::metadata("/small/v.log").unwrap().len(), 4096);
    std::fs::remove_file("/small/full").unwrap();
    c.says("MKD x", "257 \"/home/alice/x\" created");
    wait("the line", || {
        let log = std::fs::read_to_string("/small/v.log").unwrap();
        let line = log.lines().find(|line| line.contains("OK MKDIR"))?;
        assert_eq!(
            line.find(" [pid "),
            Some("Thu Jan  1 00:00:00 1970".len()),
            "{line}"
        );
        Some(())
    });
}

/// The log of transfers is another file: what it does not take is told of it.
#[test]
fn a_log_of_transfers_that_takes_nothing_is_told() {
    if !crate::support::ours() {
        return;
    }
    let host = Host::new();
    full_disk(&host);
    let _server = Server::start(&host, "xferlog_std_format=YES\nxferlog_file=/small/x.log\n");
    assert_eq!(Client::alice().store("STOR x", b"x").code(), "226");
    missing_in("xferlog_file");
}

/// Where nothing is refused there is nothing to explain; and what the log has is not said a second time.
#[test]
fn nothing_is_explained_that_needs_no_explanation() {
    let host = Host::new();
    let _server = Server::start(&host, "delay_failed_login=0\n");
    for name in ["alice", "ftp"] {
        let mut c = Client::user(name);
        c.names("NLST");
        c.says("QUIT", "221 Goodbye.");
        c.closed();
    }
    let mut c = Client::alice();
    assert_eq!(c.store("STOR x", b"x").code(), "226");
    c.says("DELE x", "250 Delete operation successful.");
    c.says("QUIT", "221 Goodbye.");
    c.closed();
    let text = || String::from_utf8(host.read(VSFTPD)).unwrap();
    wait("the last line", || {
        text().contains("OK DELETE").then_some(())
    });
    assert!(!text().contains("DEBUG"), "{}", text());
    let mut c = Client::connect();
    c.says("USER alice", "331 Please specify the password.");
    c.says("PASS wrong", "530 Login incorrect.");
    if host.ours() {
        wait("the reason", || {
            text().contains("login refused: ").then_some(())
        });
    }
    let said = crate::support::server::output();
    assert!(!said.contains("login refused"), "{said}");
}

#[test]
fn why_a_file_could_not_be_created() {
    if !crate::support::ours() {
        return;
    }
    let host = Host::new();
    let _server = Server::start(&host, "write_enable=YES\n");
    let mut c = Client::alice();
    c.refused("STOR /root/x", "553 Could not create file.");
    wait("the reason", || {
        let log = std::fs::read_to_string(VSFTPD).unwrap_or_default();
        log.contains("DEBUG: Client \"127.0.0.1\", \"cannot create the file: Permission denied; look at the owner")
            .then_some(())
    });
}
