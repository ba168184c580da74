//! Who may log in, how, and where they are put: each option of src/config/options_login.rs.

use super::{A_WHILE, IN, PASSWORD, WRONG, at, login, missing, oops, runs_as, with, without_pam};
use crate::support::host::{BOB, FTP};
use crate::support::log::{VSFTPD, vsftpd};
use crate::support::server::output;
use crate::support::{Client, Host, Server};
use std::time::{Duration, Instant};

const WRITABLE: &str = "500 OOPS: vsftpd: refusing to run with writable root inside chroot()";
const FORBIDDEN: &str = "530 Permission denied.";

/// Jails for homes their owners can write in.
const JAIL: &str = "chroot_local_user=YES\nallow_writeable_chroot=YES\n";

/// The configuration with nothing but what is named.
fn bare(host: &Host, lines: &str, run: impl FnOnce()) {
    let _server = Server::exactly(host, &format!("listen=YES\n{lines}"), 21);
    run();
}

/// How long the reply to PASS takes.
fn timed(user: &str, password: &str, expected: &str) -> Duration {
    let mut c = Client::connect();
    c.says(&format!("USER {user}"), PASSWORD);
    let start = Instant::now();
    c.says(&format!("PASS {password}"), expected);
    start.elapsed()
}

#[test]
fn anonymous_enable() {
    let host = Host::new();
    // The default is YES.
    bare(&host, "", || at(&mut login("anonymous", "x", IN), "/"));
    with(&host, "anonymous_enable=NO\n", || {
        login("ftp", "x", WRONG);
        login("anonymous", "x", WRONG);
        login("alice", "secret", IN);
    });
}

#[test]
fn local_enable() {
    let host = Host::new();
    with(&host, "local_enable=YES\n", || {
        at(&mut login("alice", "secret", IN), "/home/alice")
    });
    bare(&host, "", || {
        Client::connect().script(&[
            ("USER alice", "530 This FTP server is anonymous only."),
            ("PASS secret", "503 Login with USER first."),
            ("USER ftp", PASSWORD),
            ("PASS x", IN),
        ]);
    });
    // With neither there is nobody to serve. The original says so to each client, ours at the start (reference 10.3, 45).
    let lines = "local_enable=NO\nanonymous_enable=NO\n";
    let said = if host.ours() {
        Server::refused(&host, lines).1
    } else {
        with(&host, lines, || Client::dial().reply().text())
    };
    assert!(
        said.contains("vsftpd: both local and anonymous access disabled!"),
        "{said}"
    );
}

#[test]
fn no_anon_password() {
    let host = Host::new();
    with(&host, "no_anon_password=YES\n", || {
        Client::connect().says("USER anonymous", IN);
        // Users of the host need theirs as ever.
        login("alice", "wrong", WRONG);
        assert_eq!(
            vsftpd(2)[1],
            "[ftp] OK LOGIN: Client \"127.0.0.1\", anon password \"<no_password>\""
        );
    });
    with(&host, "", || {
        Client::connect().says("USER anonymous", PASSWORD)
    });
    // Lists see a text of their own.
    host.write("/etc/vsftpd.banned_emails", "<no password>\n");
    with(
        &host,
        "no_anon_password=YES\ndeny_email_enable=YES\n",
        || {
            Client::connect().says("USER ftp", WRONG);
        },
    );
}

#[test]
fn ftp_username() {
    let host = Host::new();
    host.own("/home/bob", 0);
    for (lines, name, uid, place) in [
        ("ftp_username=bob\n", "bob", BOB, "here"),
        ("", "ftp", FTP, "pub"),
    ] {
        std::fs::create_dir_all("/home/bob/here").unwrap();
        let _ = std::fs::remove_file("/var/log/vsftpd.log");
        let server = Server::start(&host, lines);
        let mut c = login("anonymous", "me", IN);
        assert!(c.names("NLST").contains(&place.to_owned()));
        runs_as(&server, uid);
        assert_eq!(
            vsftpd(2)[1],
            format!("[{name}] OK LOGIN: Client \"127.0.0.1\", anon password \"me\"")
        );
    }
    oops(
        &host,
        "ftp_username=nosuch\n",
        "vsftpd: cannot locate user specified in 'ftp_username':nosuch",
    );
}

#[test]
fn anon_root() {
    let host = Host::new();
    with(&host, "anon_root=/srv/ftp/pub\n", || {
        let mut c = login("ftp", "x", IN);
        at(&mut c, "/");
        assert_eq!(c.names("NLST"), ["file", "priv"]);
        // Not for users of the host.
        at(&mut Client::alice(), "/home/alice");
    });
    with(&host, "", || {
        assert_eq!(Client::anonymous().names("NLST"), ["incoming", "pub"]);
    });
    with(&host, "anon_root=/srv/none\n", || {
        login("ftp", "x", "500 OOPS: cannot change directory:/srv/none").ended();
    });
    // One that guests may not search: they see nothing, and the log blames no kernel for it.
    host.mkdir("/srv/shut", 0);
    host.mode("/srv/shut", 0o700);
    with(&host, "anon_root=/srv/shut\n", || {
        assert_eq!(Client::anonymous().names("NLST"), [""; 0]);
    });
    let log = String::from_utf8_lossy(&host.read(VSFTPD)).into_owned();
    assert!(!log.contains("openat2"), "{log}");
}

#[test]
fn local_root() {
    let host = Host::new();
    with(&host, "local_root=/srv/ftp\n", || {
        at(&mut Client::alice(), "/srv/ftp")
    });
    with(&host, "local_root=d/sub\n", || {
        at(&mut Client::alice(), "/home/alice/d/sub")
    });
    with(
        &host,
        "chroot_local_user=YES\nlocal_root=/srv/ftp\n",
        || {
            let mut c = Client::alice();
            at(&mut c, "/");
            assert_eq!(c.names("NLST"), ["incoming", "pub"]);
        },
    );
    with(&host, "", || at(&mut Client::alice(), "/home/alice"));
    // One that is not there is forgiven outside a jail.
    with(&host, "local_root=/srv/none\n", || {
        at(&mut Client::alice(), "/home/alice")
    });
    with(
        &host,
        "chroot_local_user=YES\nlocal_root=/srv/none\n",
        || {
            let text = "500 OOPS: cannot change directory:/srv/none";
            login("alice", "secret", text).ended();
        },
    );
}

#[test]
fn chroot_local_user() {
    let host = Host::new();
    with(&host, JAIL, || {
        let mut c = Client::alice();
        at(&mut c, "/");
        c.says("CWD /srv", "550 Failed to change directory.");
        c.says("SIZE /f", "213 12");
    });
    with(&host, "", || {
        let mut c = Client::alice();
        at(&mut c, "/home/alice");
        c.says("CWD /srv", super::CHANGED);
    });
}

#[test]
fn chroot_list_enable() {
    let host = Host::new();
    host.write("/etc/vsftpd.chroot_list", "alice\n");
    let listed = "allow_writeable_chroot=YES\nchroot_list_enable=YES\n";
    with(&host, listed, || {
        at(&mut Client::alice(), "/");
        at(&mut Client::user("bob"), "/home/bob");
    });
    with(&host, &format!("{listed}chroot_local_user=YES\n"), || {
        at(&mut Client::alice(), "/home/alice");
        at(&mut Client::user("bob"), "/");
    });
    with(&host, "", || at(&mut Client::alice(), "/home/alice"));
}

#[test]
fn chroot_list_file() {
    let host = Host::new();
    host.write("/etc/vsftpd.chroot_list", "alice\n");
    host.write("/etc/jailed", "bob\n");
    let listed = "allow_writeable_chroot=YES\nchroot_list_enable=YES\n";
    with(
        &host,
        &format!("{listed}chroot_list_file=/etc/jailed\n"),
        || {
            at(&mut Client::alice(), "/home/alice");
            at(&mut Client::user("bob"), "/");
        },
    );
    with(&host, listed, || {
        at(&mut Client::alice(), "/");
        at(&mut Client::user("bob"), "/home/bob");
    });
    with(
        &host,
        "chroot_list_enable=YES\nchroot_list_file=/etc/none\n",
        || {
            let text = "500 OOPS: could not read chroot() list file:/etc/none";
            login("alice", "secret", text).ended();
        },
    );
}

#[test]
fn passwd_chroot_enable() {
    let host = Host::new();
    // carl's home is /home/alice/./d
    with(&host, &format!("{JAIL}passwd_chroot_enable=YES\n"), || {
        let mut c = Client::user("carl");
        at(&mut c, "/d");
        c.says("SIZE /f", "213 12");
    });
    with(&host, JAIL, || {
        let mut c = Client::user("carl");
        at(&mut c, "/");
        assert_eq!(c.names("NLST"), ["1", "2", "sub"]);
    });
}

#[test]
fn allow_writeable_chroot() {
    let host = Host::new();
    with(
        &host,
        "chroot_local_user=YES\nallow_writeable_chroot=YES\n",
        || at(&mut Client::alice(), "/"),
    );
    with(&host, "chroot_local_user=YES\n", || {
        login("alice", "secret", WRITABLE).ended();
    });
    host.mode("/home/alice", 0o555);
    with(&host, "chroot_local_user=YES\n", || {
        at(&mut Client::alice(), "/")
    });
}

#[test]
fn check_shell() {
    let host = Host::new();
    // With PAM it is pam_shells that judges the shell, whatever the option says (reference 1.1, 12).
    host.write(
        "/etc/pam.d/shells",
        "auth required pam_unix.so nodelay\nauth required pam_shells.so\naccount required pam_unix.so\n",
    );
    host.write(
        "/etc/pam.d/noshells",
        "auth required pam_unix.so nodelay\naccount required pam_unix.so\n",
    );
    for setting in ["YES", "NO"] {
        let lines = format!("check_shell={setting}\npam_service_name=");
        with(&host, &format!("{lines}shells\n"), || {
            login("noshell", "secret", WRONG);
            login("alice", "secret", IN);
        });
        with(&host, &format!("{lines}noshells\n"), || {
            login("noshell", "secret", IN);
        });
    }
    if host.ours() {
        // Without the library, which the original cannot do without, it is the option that decides.
        without_pam();
        with(&host, "", || {
            login("noshell", "secret", WRONG);
            login("alice", "secret", IN);
        });
        with(&host, "check_shell=NO\n", || {
            login("noshell", "secret", IN);
        });
    }
}

#[test]
fn pam_service_name() {
    let host = Host::new();
    host.write(
        "/etc/pam.d/anyword",
        "auth required pam_permit.so\naccount required pam_permit.so\n",
    );
    with(&host, "pam_service_name=anyword\n", || {
        login("alice", "any word", IN);
    });
    // The service /etc/pam.d/other denies.
    with(&host, "pam_service_name=nosuch\n", || {
        login("alice", "secret", WRONG);
    });
    with(&host, "pam_service_name=\n", || {
        login("alice", "secret", WRONG);
    });
    bare(&host, "local_enable=YES\n", || {
        login("alice", "any word", WRONG);
        login("alice", "secret", IN);
    });
}

#[test]
fn userlist_enable() {
    let host = Host::new();
    host.write("/etc/vsftpd.user_list", "bob\n");
    with(&host, "userlist_enable=YES\n", || {
        Client::connect().script(&[("USER bob", FORBIDDEN), ("USER alice", PASSWORD)]);
    });
    with(&host, "", || Client::connect().says("USER bob", PASSWORD));
}

#[test]
fn userlist_deny() {
    let host = Host::new();
    host.write("/etc/vsftpd.user_list", "bob\nftp\n");
    with(&host, "userlist_enable=YES\nuserlist_deny=NO\n", || {
        Client::connect().script(&[
            ("USER alice", FORBIDDEN),
            ("USER anonymous", FORBIDDEN),
            ("USER ftp", PASSWORD),
            ("USER bob", PASSWORD),
        ]);
    });
    with(&host, "userlist_enable=YES\n", || {
        Client::connect().script(&[
            ("USER bob", FORBIDDEN),
            ("USER ftp", FORBIDDEN),
            ("USER alice", PASSWORD),
            ("USER anonymous", PASSWORD),
        ]);
    });
}

#[test]
fn userlist_file() {
    let host = Host::new();
    host.write("/etc/vsftpd.user_list", "bob\n");
    host.write("/etc/others", "alice\n");
    with(
        &host,
        "userlist_enable=YES\nuserlist_file=/etc/others\n",
        || {
            Client::connect().script(&[("USER alice", FORBIDDEN), ("USER bob", PASSWORD)]);
        },
    );
    with(&host, "userlist_enable=YES\n", || {
        Client::connect().script(&[("USER alice", PASSWORD), ("USER bob", FORBIDDEN)]);
    });
    let lines = "userlist_enable=YES\nuserlist_file=/srv/none/x\n";
    missing(&host, lines, "cannot read user list file", Some("alice"));
    if host.ours() {
        // The original reads the beginning and silently leaves the rest; here nobody gets in, and the log says why.
        host.write("/etc/others", &"somebody\n".repeat(200_000));
        let lines = "userlist_enable=YES\nuserlist_file=/etc/others\n";
        with(&host, lines, || {
            let said = Client::connect().cmd("USER alice");
            assert_eq!(said.text(), "500 OOPS: cannot read user list file");
            assert!(output().contains("/etc/others: longer than 1 MiB"));
        });
        let log = String::from_utf8_lossy(&host.read(VSFTPD)).into_owned();
        assert!(
            log.contains("file:/etc/others (longer than 1 MiB)"),
            "{log}"
        );
    }
}

#[test]
fn deny_email_enable() {
    let host = Host::new();
    host.write("/etc/vsftpd.banned_emails", "bad@host\n");
    with(&host, "deny_email_enable=YES\n", || {
        login("ftp", "bad@host", WRONG);
        login("ftp", "bad@host.too", IN);
    });
    with(&host, "", || {
        login("ftp", "bad@host", IN);
    });
}

#[test]
fn banned_email_file() {
    let host = Host::new();
    host.write("/etc/vsftpd.banned_emails", "bad@host\n");
    host.write("/etc/banned", "worse@host\n");
    with(
        &host,
        "deny_email_enable=YES\nbanned_email_file=/etc/banned\n",
        || {
            login("ftp", "bad@host", IN);
            login("ftp", "worse@host", WRONG);
        },
    );
    with(&host, "deny_email_enable=YES\n", || {
        login("ftp", "bad@host", WRONG);
        login("ftp", "worse@host", IN);
    });
    let lines = "deny_email_enable=YES\nbanned_email_file=/srv/none/x\n";
    missing(
        &host,
        lines,
        "cannot read anon e-mail list file",
        Some("ftp"),
    );
}

#[test]
fn secure_email_list_enable() {
    let host = Host::new();
    host.write("/etc/vsftpd.email_passwords", "good@host\n");
    with(&host, "secure_email_list_enable=YES\n", || {
        login("ftp", "good@host", IN);
        login("ftp", "other@host", WRONG);
        login("ftp", "", WRONG);
    });
    with(&host, "", || {
        login("ftp", "other@host", IN);
    });
}

#[test]
fn email_password_file() {
    let host = Host::new();
    host.write("/etc/vsftpd.email_passwords", "good@host\n");
    host.write("/etc/passwords", "better@host\n");
    let lines = "secure_email_list_enable=YES\n";
    with(
        &host,
        &format!("{lines}email_password_file=/etc/passwords\n"),
        || {
            login("ftp", "better@host", IN);
            login("ftp", "good@host", WRONG);
        },
    );
    with(&host, lines, || {
        login("ftp", "better@host", WRONG);
        login("ftp", "good@host", IN);
    });
    let lines = "secure_email_list_enable=YES\nemail_password_file=/srv/none/x\n";
    missing(
        &host,
        lines,
        "cannot read email passwords file",
        Some("ftp"),
    );
    // With an empty list the original accepts everybody (reference 10, 5).
    host.write("/etc/passwords", "");
    let lines = "secure_email_list_enable=YES\nemail_password_file=/etc/passwords\n";
    with(&host, lines, || {
        login("ftp", "anything", if host.ours() { WRONG } else { IN });
    });
}

#[test]
fn delay_failed_login() {
    let host = Host::new();
    host.write("/etc/vsftpd.user_list", "bob\n");
    let lines = "local_enable=YES\nuserlist_enable=YES\n";
    // The default is one second.
    bare(&host, lines, || {
        assert!(timed("alice", "wrong", WRONG) >= Duration::from_millis(990));
        let mut c = Client::connect();
        let start = Instant::now();
        c.says("USER bob", FORBIDDEN);
        assert!(start.elapsed() >= Duration::from_millis(990));
    });
    bare(&host, &format!("{lines}delay_failed_login=2\n"), || {
        assert!(timed("alice", "wrong", WRONG) >= Duration::from_millis(1990));
    });
    if host.ours() {
        // From the password on: what a check takes depends on whether there is such a user (attacks B-084). The original adds it.
        let check = "auth optional pam_exec.so /bin/sleep 6\nauth required pam_deny.so\n";
        host.write("/etc/pam.d/slow", check);
        let slow = "pam_service_name=slow\ndelay_failed_login=8\n";
        bare(&host, &format!("{lines}{slow}"), || {
            let time = timed("alice", "wrong", WRONG);
            assert!(time < Duration::from_secs(8 + 6), "{time:?}");
            assert!(time >= Duration::from_millis(7990), "{time:?}");
        });
    }
    // Without a delay an answer comes; with a long one none does.
    bare(&host, &format!("{lines}delay_failed_login=0\n"), || {
        login("alice", "wrong", WRONG);
    });
    bare(&host, &format!("{lines}delay_failed_login=600\n"), || {
        let mut c = Client::connect();
        c.says("USER alice", PASSWORD);
        c.send(b"PASS wrong\r\n");
        c.quiet(A_WHILE);
    });
}

#[test]
fn delay_successful_login() {
    let host = Host::new();
    with(&host, "delay_successful_login=1\n", || {
        assert!(timed("alice", "secret", IN) >= Duration::from_millis(990));
        assert!(timed("ftp", "x", IN) >= Duration::from_millis(990));
    });
    // The default is none; a long one is waited for.
    bare(&host, "local_enable=YES\n", || {
        login("alice", "secret", IN);
    });
    with(&host, "delay_successful_login=600\n", || {
        let mut c = Client::connect();
        c.says("USER alice", PASSWORD);
        c.send(b"PASS secret\r\n");
        c.quiet(A_WHILE);
    });
}

#[test]
fn max_login_fails() {
    let host = Host::new();
    // 0 and 1 both mean the first.
    for (lines, fails) in [
        ("max_login_fails=0\n", 1),
        ("max_login_fails=1\n", 1),
        ("max_login_fails=2\n", 2),
        ("", 3),
    ] {
        with(&host, lines, || {
            let mut c = Client::connect();
            for _ in 0..fails {
                c.script(&[("USER alice", PASSWORD), ("PASS wrong", WRONG)]);
            }
            c.closed();
        });
    }
}

#[test]
fn user_sub_token() {
    let host = Host::new();
    host.mkdir("/srv/web/alice", 0);
    with(
        &host,
        "user_sub_token=$USER\nlocal_root=/srv/web/$USER\n",
        || {
            at(&mut Client::alice(), "/srv/web/alice");
            // There is no such directory for bob, who stays at home.
            at(&mut Client::user("bob"), "/home/bob");
        },
    );
    with(&host, "local_root=/srv/web/$USER\n", || {
        at(&mut Client::alice(), "/home/alice")
    });
}

#[test]
fn ftpd_banner() {
    let host = Host::new();
    with(&host, "ftpd_banner=Hi\\n there\n", || {
        Client::dial().next("220 Hi\\n there")
    });
    with(&host, "", || {
        let said = Client::dial().reply().text();
        assert!(said.starts_with("220 (vsFTPd 3.0."), "{said}");
    });
}

#[test]
fn banner_file() {
    let host = Host::new();
    host.write("/etc/banner", "one\ntwo\n");
    with(
        &host,
        "banner_file=/etc/banner\nftpd_banner=not this\n",
        || Client::dial().next("220-one\r\n220-two\r\n220 "),
    );
    with(&host, "ftpd_banner=this\n", || {
        Client::dial().next("220 this")
    });
    let lines = "banner_file=/srv/none/x\n";
    missing(&host, lines, "cannot read banner file", None);
}
