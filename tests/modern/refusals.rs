//! What the client is told in general only has its reason in the log, with what an administrator can do.

use super::{checked, logged};
use crate::support::client::connect_from;
use crate::support::host::{BOB, FTP};
use crate::support::server::output;
use crate::support::{Client, Host, Server, tls, wait};
use std::net::{Ipv4Addr, SocketAddr};

const GUESTS: &str = "guest_enable=YES\nguest_username=ftp\n";

/// How often the log has it, once it has `last`, which was done later.
#[track_caller]
fn times(text: &str, last: &str) -> usize {
    logged(last).matches(text).count()
}

#[test]
fn a_download() {
    let host = Host::new();
    host.write("/srv/ftp/pub/private", "x");
    host.mode("/srv/ftp/pub/private", 0o640);
    host.own("/srv/ftp/pub/private", FTP);
    host.write("/srv/ftp/pub/closed", "x");
    host.mode("/srv/ftp/pub/closed", 0);
    std::os::unix::fs::symlink("/etc", "/srv/ftp/pub/link").unwrap();
    let _server = Server::start(&host, "vsftpd_log_file=/var/log/vsftpd.log\n");
    let mut c = Client::user("ftp");
    for (name, why) in [
        (
            "private",
            "not everybody may read it, which anon_world_readable_only=YES asks for: chmod o+r",
        ),
        ("closed", "Permission denied; look at the owner and mode"),
        (
            "link",
            "a symbolic link that leads to nothing inside the user's root",
        ),
    ] {
        c.refused(&format!("RETR pub/{name}"), "550 Failed to open file.");
        logged(&format!("\"cannot send the file: {why}"));
    }
    // What is not there has its name in the line of the failed download, and no other.
    c.refused("RETR pub/nothing", "550 Failed to open file.");
    let last = "FAIL DOWNLOAD: Client \"127.0.0.1\", \"/pub/nothing\"";
    assert_eq!(times("cannot send the file", last), 3);
}

#[test]
fn a_change() {
    let host = Host::new();
    host.mkdir("/home/alice/roots", 0);
    host.mkdir("/home/alice/roots/d", 0);
    host.write("/home/alice/roots/f", "x");
    host.file("/home/alice/file", b"x");
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let why = "\"cannot do it: Permission denied; look at the owner and mode of it and of the directories above it";
    for (count, (command, reply, line)) in (1..).zip([
        (
            "MKD roots/x",
            "550 Create directory operation failed.",
            "FAIL MKDIR",
        ),
        (
            "RMD roots/d",
            "550 Remove directory operation failed.",
            "FAIL RMDIR",
        ),
        (
            "DELE roots/f",
            "550 Delete operation failed.",
            "FAIL DELETE",
        ),
    ]) {
        c.says(command, reply);
        assert_eq!(times(why, line), count, "{command}");
    }
    c.says("RNFR file", "350 Ready for RNTO.");
    c.says("RNTO roots/file", "550 Rename failed.");
    assert_eq!(times(why, "FAIL RENAME"), 4);
    c.says("SITE CHMOD 600 roots", "550 SITE CHMOD command failed.");
    logged("\"cannot do it: Operation not permitted; look at the owner");
    // These are plain.
    c.says("MKD roots", "550 Create directory operation failed.");
    c.says("DELE nothing", "550 Delete operation failed.");
    logged("\"/home/alice/nothing\"");
    assert_eq!(times("cannot do it: ", "\"/home/alice/nothing\""), 5);
}

/// A log of transfers has no line of what failed, and standard error gets the reason: once, however often it is tried.
#[test]
fn a_change_that_no_log_has() {
    let host = Host::new();
    host.mkdir("/home/alice/roots", 0);
    let _server = Server::start(&host, "xferlog_std_format=YES\n");
    let mut c = Client::alice();
    for _ in 0..3 {
        c.says("MKD roots/x", "550 Create directory operation failed.");
        c.refused("STOR roots/x", "553 Could not create file.");
    }
    c.says("SITE CHMOD 600 roots", "550 SITE CHMOD command failed.");
    let said = wait("the last of them", || {
        let said = output();
        said.contains("cannot do it: Operation not permitted")
            .then_some(said)
    });
    for text in [
        "cannot do it: Permission denied",
        "cannot create the file: Permission denied",
    ] {
        assert_eq!(said.matches(text).count(), 1, "{said}");
    }
}

#[test]
fn an_option() {
    let host = Host::new();
    let server = Server::start(
        &host,
        "write_enable=NO\ncmds_denied=NOOP\ndeny_file={*.exe}\n",
    );
    let mut c = Client::alice();
    for _ in 0..3 {
        c.says("MKD x", "550 Permission denied.");
        c.says("NOOP", "550 Permission denied.");
        c.says("SIZE a.exe", "550 Permission denied.");
    }
    c.says("DELE x", "550 Permission denied.");
    // Each once in a session, however often it is tried.
    let last = "\"DELE refused: write_enable=NO\"";
    assert_eq!(times("\"MKD refused: write_enable=NO\"", last), 1);
    assert_eq!(
        times("\"NOOP refused by cmds_allowed or cmds_denied\"", last),
        1
    );
    assert_eq!(times("\"a.exe refused by deny_file\"", last), 1);
    drop(server);
    let closed = "hash_enable=NO\nchmod_enable=NO\n";
    let server = Server::start(&host, closed);
    let mut c = Client::alice();
    c.says("PBSZ 0", "550 Permission denied.");
    logged("\"PBSZ refused: ssl_enable=NO\"");
    c.says("XCRC file", "550 Permission denied.");
    logged("\"XCRC refused: hash_enable=NO\"");
    c.says("MFF UNIX.mode=0644; file", "550 Permission denied.");
    logged("\"MFF refused: chmod_enable=NO\"");
    let mut c = Client::anonymous();
    // It may change no mode, whatever chmod_enable says.
    c.says("MFF UNIX.mode=0644; pub/file", "550 Permission denied.");
    logged("\"MFF refused: anon_other_write_enable=NO\"");
    drop(server);
    let server = Server::start(&host, "anon_hash_enable=NO\n");
    Client::anonymous().says("HASH pub/file", "550 Permission denied.");
    logged("\"HASH refused: anon_hash_enable=NO\"");
    drop(server);
    // The commonest surprise of virtual users.
    let _server = Server::start(&host, GUESTS);
    let mut c = Client::alice();
    c.says("MKD x", "550 Permission denied.");
    logged(
        "\"MKD refused: anon_mkdir_write_enable=NO, which counts for guests without virtual_use_local_privs\"",
    );
}

#[test]
fn a_directory() {
    let host = Host::new();
    host.mkdir("/home/alice/closed", 0);
    host.mode("/home/alice/closed", 0o700);
    std::os::unix::fs::symlink("/srv", "/home/alice/link").unwrap();
    let lines = "chroot_local_user=YES\nallow_writeable_chroot=YES\n";
    let _server = Server::start(&host, lines);
    let mut c = Client::alice();
    c.says("CWD closed", "550 Failed to change directory.");
    logged("\"cannot enter the directory: Permission denied; look at the owner and mode");
    c.says("CWD link", "550 Failed to change directory.");
    logged(
        "\"cannot enter the directory: a symbolic link that leads to nothing inside the user's root; to show what lies elsewhere",
    );
}

#[test]
fn a_data_connection() {
    let host = Host::new();
    let lines =
        "accept_timeout=1\npasv_min_port=50000\npasv_max_port=50009\npasv_address=203.0.113.5\n";
    let _server = Server::start(&host, lines);
    let mut c = Client::alice();
    for _ in 0..2 {
        assert_eq!(c.cmd("PASV").code(), "227");
        c.says("NLST", "425 Failed to establish connection.");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let (high, low) = (port >> 8, port & 0xff);
    assert_eq!(c.cmd(&format!("PORT 127,0,0,1,{high},{low}")).code(), "200");
    c.says("NLST", "425 Failed to establish connection.");
    let last = "\"cannot connect to the client for its data: Connection refused";
    let told = "\"no data connection came within 1 seconds (accept_timeout): ports 50000 to 50009 (pasv_min_port, pasv_max_port) \
                must be open in the firewall and be forwarded; PASV tells this client 203.0.113.5 (pasv_address)\"";
    assert_eq!(times(told, last), 1);
}

/// A client of IPv6 asks by EPSV, which tells no address.
#[test]
fn a_data_connection_over_ipv6() {
    let host = Host::new();
    let lines = "accept_timeout=1\nlisten=NO\nlisten_ipv6=YES\n";
    let _server = Server::start(&host, lines);
    let mut c = Client::connect6();
    c.login("alice");
    c.epsv();
    c.says("NLST", "425 Failed to establish connection.");
    logged("(pasv_min_port, pasv_max_port) must be open in the firewall and be forwarded\"");
}

#[test]
fn a_stalled_transfer() {
    let host = Host::new();
    let _server = Server::start(&host, "data_connection_timeout=1\n");
    let mut c = Client::alice();
    let data = c.passive();
    assert_eq!(c.cmd("STOR new").code(), "150");
    assert_eq!(c.reply().code(), "421");
    drop(data);
    logged("\"nothing has moved on the data connection for 1 seconds (data_connection_timeout)");
}

/// Before that user finds out.
#[test]
fn a_users_file() {
    let host = Host::new();
    std::fs::create_dir_all("/etc/users/old").unwrap();
    host.write("/etc/users/alice", "write_enable=NO\nmax_clients=3\n");
    host.write("/etc/users/bob", "write_enabel=NO\n");
    host.write("/etc/users/.bob.swp", "no file of settings\n");
    let _server = Server::start(&host, "user_config_dir=/etc/users\n");
    let said = output();
    let of_users: Vec<&str> = said
        .lines()
        .filter_map(|line| line.find("/etc/users/").and_then(|at| line.get(at..)))
        .collect();
    let expected = [
        "/etc/users/alice:2: max_clients has no effect in the file of a single user",
        "/etc/users/bob:1: unrecognised variable in config file: write_enabel (did you mean `write_enable`?); this user cannot log in \
         until it is mended",
    ];
    assert_eq!(of_users, expected, "{said}");
}

/// Behind address translation a client names its inner address, and all it is told is that the command is illegal.
#[test]
fn a_data_connection_that_is_refused() {
    let host = Host::new();
    tls::certificate(&host);
    let free = "force_local_logins_ssl=NO\n";
    let _server = Server::start(&host, &format!("{}{free}", tls::ON));
    let mut c = tls::Ftps::upgrade(tls::offer(tls::BOTH, None));
    c.login("alice");
    c.says("PORT 10,1,2,3,9,9", "500 Illegal PORT command.");
    let why = "refused: it is not the client's own address; a client behind address translation must use passive mode";
    logged(&format!("\"data connection to 10.1.2.3 {why}"));
    c.says("EPRT |1|10.1.2.4|3000|", "500 Illegal EPRT command.");
    logged(&format!("\"data connection to 10.1.2.4 {why}"));
    c.says("PORT 127,0,0,1,0,22", "500 Illegal PORT command.");
    logged("\"data connection to 127.0.0.1 refused: no port below 1024");
    let _waits = c.passive();
    c.says("RETR f", "522 Data connections must be encrypted.");
    logged(
        "\"data connection refused: force_local_data_ssl=YES, and the client has not asked for TLS",
    );
    drop(c);
    let mut c = Client::anonymous();
    let port = c.epsv();
    let _stranger = connect_from(
        "127.0.0.2".parse().unwrap(),
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
    );
    c.says("RETR pub/file", "425 Security: Bad IP connecting.");
    logged("it is not the client; pasv_promiscuous=YES takes those of any address");
}

/// The certificate that is looked for when nobody has named one.
#[test]
fn a_certificate_that_nobody_has_named() {
    let host = Host::new();
    let (_, said) = Server::refused(&host, "ssl_enable=YES\n");
    assert!(said.contains("; rsa_cert_file is not set"), "{said}");
}

/// What most users of vsftpd meet first, before they meet it.
#[test]
fn a_writable_root() {
    let host = Host::new();
    let jail = "chroot_local_user=YES\n";
    let told = |lines: &str| checked(&host, &format!("{jail}{lines}")).1;
    let said = told("");
    assert!(
        said.contains("alice may write to /home/alice, the root of the jail"),
        "{said}"
    );
    assert!(
        said.contains("; so it is for 2 more. Set allow_writeable_chroot=YES"),
        "{said}"
    );
    assert_eq!(told("allow_writeable_chroot=YES\n"), "");
    assert_eq!(told("local_root=/srv/ftp\n"), "");
    assert_eq!(checked(&host, "").1, "");
    // Who is kept, and who may log in.
    host.write("/etc/list", "alice\r\ncarl\nnoshell\n");
    let said = told("chroot_list_enable=YES\nchroot_list_file=/etc/list\n");
    assert!(said.contains("bob may write to /home/bob,"), "{said}");
    assert!(!said.contains(" more."), "{said}");
    let users = "userlist_enable=YES\nuserlist_file=/etc/list\n";
    assert!(told(users).contains("bob may write"), "{users}");
    let said = told(&format!("{users}userlist_deny=NO\n"));
    assert!(said.contains("alice may write"), "{said}");
    // Where they are kept.
    host.mkdir("/srv/bob", 0);
    host.mkdir("/srv/alice", BOB);
    let own = "user_sub_token=$USER\nlocal_root=/srv/$USER\n";
    assert_eq!(told(own), "");
    host.own("/srv/bob", BOB);
    assert!(
        told(own).contains("bob may write to /srv/bob,"),
        "{}",
        told(own)
    );
    for home in ["/home/alice", "/home/alice/d", "/home/bob"] {
        host.own(home, 0);
    }
    assert_eq!(told(""), "");
    host.mode("/home/bob", 0o777);
    assert!(
        told("").contains("bob may write to /home/bob,"),
        "{}",
        told("")
    );
}

/// A camera or a scanner that sends the same name again.
#[test]
fn an_upload_that_would_replace_a_file() {
    let host = Host::new();
    let _server = Server::start(&host, "anon_upload_enable=YES\n");
    let mut c = Client::anonymous();
    c.store("STOR incoming/scan.pdf", b"1");
    let mut c = Client::anonymous();
    let _waits = c.passive();
    c.says("STOR incoming/scan.pdf", "553 Could not create file.");
    logged(
        "\"cannot create the file: File exists; anon_other_write_enable=YES lets these clients replace it\"",
    );
}

/// The file of another distribution includes what is not there.
#[test]
fn a_pam_file_that_cannot_be_understood() {
    let host = Host::new();
    host.write("/etc/pam.d/vsftpd", "@include common-auth\n");
    let _server = Server::start(&host, "");
    Client::connect().script(&[
        ("USER alice", "331 Please specify the password."),
        ("PASS secret", "530 Login incorrect."),
    ]);
    logged("(pam_start, code 26); that file, or one that it includes, is not there");
}
