//! Where a login may go: homes, jails, and the refusals (reference 5.1, 6.5).

use crate::support::{Client, Host, Server};

const PASSWORD: &str = "331 Please specify the password.";
const WRITABLE: &str = "500 OOPS: vsftpd: refusing to run with writable root inside chroot()";

fn refused(user: &str, expected: &str) {
    let mut c = Client::connect();
    c.script(&[
        (&format!("USER {user}"), PASSWORD),
        ("PASS secret", expected),
    ]);
    // The original's other process may complain too, that its peer is gone.
    c.ended();
}

fn lands(user: &str, directory: &str) -> Client {
    let mut c = Client::user(user);
    c.says(
        "PWD",
        &format!("257 \"{directory}\" is the current directory"),
    );
    c
}

/// attacks B-014.
#[test]
fn a_writable_root_is_refused() {
    let host = Host::new();
    let _server = Server::start(&host, "chroot_local_user=YES\n");
    refused("alice", WRITABLE);
}

/// attacks B-001.
#[test]
fn allow_writeable_chroot() {
    let host = Host::new();
    let _server = Server::start(&host, "chroot_local_user=YES\nallow_writeable_chroot=YES\n");
    let mut c = lands("alice", "/");
    c.script(&[
        ("CWD ..", "250 Directory successfully changed."),
        ("CDUP", "250 Directory successfully changed."),
        ("CWD ../../../..", "250 Directory successfully changed."),
        ("PWD", "257 \"/\" is the current directory"),
        ("CWD /d", "250 Directory successfully changed."),
        ("PWD", "257 \"/d\" is the current directory"),
        ("MKD new", "257 \"/d/new\" created"),
        ("CWD /home/alice", "550 Failed to change directory."),
    ]);
    assert_eq!(c.fetch("RETR /f"), b"hello world\n");
    assert_eq!(c.fetch("RETR ../../f"), b"hello world\n");
    assert!(host.exists("/home/alice/d/new"));
}

#[test]
fn a_home_that_is_not_writable_is_accepted() {
    let host = Host::new();
    host.mode("/home/alice", 0o555);
    let _server = Server::start(&host, "chroot_local_user=YES\n");
    lands("alice", "/").says("MKD x", "550 Create directory operation failed.");
}

/// attacks B-002.
#[test]
fn links_do_not_leave_the_jail() {
    let host = Host::new();
    std::os::unix::fs::symlink("/etc", "/home/alice/out").unwrap();
    std::os::unix::fs::symlink("../../etc/passwd", "/home/alice/up").unwrap();
    std::os::unix::fs::symlink("/d/1", "/home/alice/inside").unwrap();
    let _server = Server::start(&host, "chroot_local_user=YES\nallow_writeable_chroot=YES\n");
    let mut c = Client::alice();
    c.says("CWD out", "550 Failed to change directory.");
    c.refused("RETR up", "550 Failed to open file.");
    c.refused("RETR out/passwd", "550 Failed to open file.");
    c.says("SIZE up", "550 Could not get file size.");
    assert_eq!(c.fetch("RETR inside"), b"1");
}

#[test]
fn chroot_list_jails_the_listed() {
    let host = Host::new();
    host.write("/etc/jailed", "alice\n");
    let _server = Server::start(
        &host,
        "chroot_list_enable=YES\nchroot_list_file=/etc/jailed\nallow_writeable_chroot=YES\n",
    );
    lands("alice", "/");
    lands("bob", "/home/bob");
}

#[test]
fn chroot_list_frees_the_listed() {
    let host = Host::new();
    host.write("/etc/free", "alice\n");
    let _server = Server::start(
        &host,
        "chroot_local_user=YES\nchroot_list_enable=YES\nchroot_list_file=/etc/free\nallow_writeable_chroot=YES\n",
    );
    lands("alice", "/home/alice");
    lands("bob", "/");
}

#[test]
fn a_missing_chroot_list_refuses() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "chroot_list_enable=YES\nchroot_list_file=/etc/none\n",
    );
    refused(
        "alice",
        "500 OOPS: could not read chroot() list file:/etc/none",
    );
}

#[test]
fn local_root_in_a_jail() {
    let host = Host::new();
    let _server = Server::start(&host, "chroot_local_user=YES\nlocal_root=/srv/ftp\n");
    assert_eq!(lands("alice", "/").names("NLST"), ["incoming", "pub"]);
}

#[test]
fn local_root_without_a_jail() {
    let host = Host::new();
    let _server = Server::start(&host, "local_root=/srv/ftp\n");
    lands("alice", "/srv/ftp");
}

#[test]
fn a_missing_local_root_leaves_the_home() {
    let host = Host::new();
    let _server = Server::start(&host, "local_root=/nonexist\n");
    lands("alice", "/home/alice");
}

#[test]
fn a_missing_local_root_in_a_jail_refuses() {
    let host = Host::new();
    let _server = Server::start(&host, "chroot_local_user=YES\nlocal_root=/nonexist\n");
    refused("alice", "500 OOPS: cannot change directory:/nonexist");
}

#[test]
fn local_root_names_the_user() {
    let host = Host::new();
    host.mkdir("/srv/web/alice", 0);
    let _server = Server::start(
        &host,
        "chroot_local_user=YES\nuser_sub_token=$USER\nlocal_root=/srv/web/$USER\n",
    );
    lands("alice", "/");
    refused("bob", "500 OOPS: cannot change directory:/srv/web/bob");
}

/// attacks B-003.
#[test]
fn a_missing_home_refuses() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    refused(
        "homeless",
        "500 OOPS: cannot change directory:/home/nowhere",
    );
}

/// attacks B-003.
#[test]
fn passwd_chroot_splits_the_home() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "passwd_chroot_enable=YES\nchroot_local_user=YES\nallow_writeable_chroot=YES\n",
    );
    let mut c = lands("carl", "/d");
    assert_eq!(c.names("NLST"), ["1", "2", "sub"]);
    assert_eq!(c.fetch("RETR /f"), b"hello world\n");
}

#[test]
fn passwd_chroot_without_a_jail() {
    let host = Host::new();
    let _server = Server::start(&host, "passwd_chroot_enable=YES\n");
    lands("carl", "/home/alice/d");
}

#[test]
fn anonymous_lives_in_its_home() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = lands("ftp", "/");
    assert_eq!(c.names("NLST"), ["incoming", "pub"]);
    assert_eq!(c.fetch("RETR pub/file"), b"pubfile");
    c.script(&[
        ("CWD ../../../etc", "550 Failed to change directory."),
        ("CWD pub", "250 Directory successfully changed."),
        ("PWD", "257 \"/pub\" is the current directory"),
    ]);
    c.refused("RETR /etc/passwd", "550 Failed to open file.");
}

#[test]
fn anon_root() {
    let host = Host::new();
    let _server = Server::start(&host, "anon_root=/srv/ftp/pub\n");
    assert_eq!(lands("anonymous", "/").names("NLST"), ["file", "priv"]);
}

/// attacks B-014.
#[test]
fn a_writable_anonymous_root_is_refused() {
    let host = Host::new();
    host.own("/srv/ftp", crate::support::host::FTP);
    let _server = Server::start(&host, "allow_writeable_chroot=YES\n");
    refused("ftp", WRITABLE);
}

#[test]
fn a_missing_anon_root_refuses() {
    let host = Host::new();
    let _server = Server::start(&host, "anon_root=/nonexist\n");
    let mut c = Client::connect();
    c.script(&[
        ("USER ftp", PASSWORD),
        ("PASS x", "500 OOPS: cannot change directory:/nonexist"),
    ]);
}

#[test]
fn a_missing_secure_chroot_dir_refuses() {
    let host = Host::new();
    let lines = "secure_chroot_dir=/nonexist\n";
    if host.ours() {
        // Ours checks at the start, where the administrator is looking (reference 10.3, 45).
        let (status, said) = Server::refused(&host, lines);
        assert_eq!(status.code(), Some(2));
        assert!(
            said.contains("secure_chroot_dir") && said.contains("/nonexist"),
            "{said}"
        );
    } else {
        let _server = Server::start(&host, lines);
        Client::dial()
            .next("500 OOPS: vsftpd: not found: directory given in 'secure_chroot_dir':/nonexist");
    }
}

/// It is below /run, which others clean: who connects is told so.
#[test]
fn a_secure_chroot_dir_that_goes_away() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    std::fs::remove_dir("/run/vsftpd/empty").unwrap();
    let mut c = Client::dial();
    let said = c.reply().text();
    let why = "500 OOPS: vsftpd: not found: directory given in 'secure_chroot_dir'";
    // The original tells a stranger its name too (reference 10.1, 14).
    assert_eq!(said.trim_end_matches(":/run/vsftpd/empty"), why);
    assert_eq!(said == why, host.ours());
    c.ended();
    std::fs::create_dir("/run/vsftpd/empty").unwrap();
    Client::alice().says("NOOP", "200 NOOP ok.");
}

/// Whoever is there without having logged in must find nothing to write to, whatever has become of it since the start.
#[test]
fn a_secure_chroot_dir_that_becomes_writable() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    host.mode("/run/vsftpd/empty", 0o777);
    let mut c = Client::dial();
    c.next("500 OOPS: vsftpd: refusing to run with writable root inside chroot()");
    c.ended();
    host.mode("/run/vsftpd/empty", 0o755);
    Client::alice().says("NOOP", "200 NOOP ok.");
}

#[test]
fn supplementary_groups_count() {
    let host = Host::new();
    host.mkdir("/srv/shared", 0);
    std::os::unix::fs::chown("/srv/shared", Some(0), Some(2000)).unwrap();
    host.mode("/srv/shared", 0o770);
    let _server = Server::start(&host, "");
    Client::alice().says("CWD /srv/shared", "250 Directory successfully changed.");
    Client::user("bob").says("CWD /srv/shared", "550 Failed to change directory.");
}

/// The directories of a login are entered with the user's own rights, all the user's groups among them.
#[test]
fn directories_that_only_some_may_enter() {
    let host = Host::new();
    for (place, group, mode) in [
        ("/srv/closed", 0, 0o700),
        ("/srv/shared", 2000, 0o750),
        ("/srv/own", 1001, 0o750),
    ] {
        host.mkdir(&format!("{place}/web"), 0);
        std::os::unix::fs::chown(place, Some(0), Some(group)).unwrap();
        host.mode(place, mode);
    }
    for (place, enters) in [("closed", false), ("shared", true), ("own", true)] {
        let path = format!("/srv/{place}/web");
        let lines = format!("chroot_local_user=YES\nlocal_root={path}\n");
        let _server = Server::start(&host, &lines);
        let oops = format!("500 OOPS: cannot change directory:{path}");
        if enters {
            lands("alice", "/");
        } else {
            refused("alice", &oops);
        }
        refused("bob", &oops);
    }
}
