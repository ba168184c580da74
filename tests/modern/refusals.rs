//! What the client is told in general only has its reason in the log, with what an administrator can do.

use super::{checked, logged};
use crate::support::client::connect_from;
use crate::support::fuse::{Fault, Fuse};
use crate::support::host::{ALICE, BOB, FTP};
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

/// What is there and is no file, and a file whose old content its disk does not give up.
#[test]
fn an_upload_that_is_not_begun() {
    let host = Host::new();
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
    nix::unistd::mkfifo("/home/alice/fifo", mode).unwrap();
    host.own("/home/alice/fifo", ALICE);
    // Somebody reads it.
    let mut both = std::fs::File::options();
    let _reader = both.read(true).write(true).open("/home/alice/fifo");
    host.mkdir("/home/alice/odd", ALICE);
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let why = "\"cannot create the file: it is no regular file on a disk\"";
    for (count, command) in (1..).zip(["STOR fifo", "APPE fifo", "STOR /dev/null"]) {
        c.refused(command, "553 Could not create file.");
        wait("the reason", || {
            (logged(why).matches(why).count() == count).then_some(())
        });
    }
    let Some(_odd) = Fuse::mount("/home/alice/odd", Fault::Restless) else {
        return;
    };
    c.refused("STOR odd/file", "553 Could not create file.");
    logged("\"cannot create the file: Function not implemented\"");
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
    let only = "upload_file={*.txt}\ndownload_file={*.txt}\n";
    let server = Server::start(&host, only);
    let mut c = Client::alice();
    c.refused("STOR a.bin", "550 Permission denied.");
    logged("\"a.bin refused by upload_file\"");
    c.refused("RETR f", "550 Permission denied.");
    logged("\"f refused by download_file\"");
    c.says("HASH f", "550 Permission denied.");
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

/// What the client is, or has said, or asks for in a form that the options do not allow.
#[test]
fn more_than_a_gate() {
    let host = Host::new();
    let told = |c: &mut Client, command: &str, reply: &str, why: &str| {
        c.says(command, reply);
        c.says(command, reply);
        logged(&format!("\"{why}"));
    };
    let denied = "550 Permission denied.";
    let server = Server::start(&host, GUESTS);
    let mut guest = Client::alice();
    told(
        &mut guest,
        "SITE HELP",
        denied,
        "SITE refused: it is not for anonymous clients, and guests count as such without virtual_use_local_privs\"",
    );
    drop(server);
    let lines = "chmod_enable=NO\nmdtm_write=NO\nmode_z_enable=NO\nhash_max_size=1\n";
    let server = Server::start(&host, lines);
    host.file("/home/alice/large", &vec![0; (1 << 20) + 1]);
    let mut c = Client::alice();
    let site = "500 Unknown SITE command.";
    let illegal = "500 Illegal PORT command.";
    for (command, reply, why) in [
        (
            "SITE CHMOD 600 f",
            site,
            "SITE CHMOD refused: chmod_enable=NO\"",
        ),
        (
            "SITE UTIME 20200101000000 f",
            site,
            "SITE UTIME refused: mdtm_write=NO\"",
        ),
        (
            "MODE Z",
            "504 Bad MODE command.",
            "MODE Z refused: mode_z_enable=NO\"",
        ),
        (
            "HASH large",
            "550 Too many bytes for a checksum.",
            "a checksum refused: hash_max_size does not allow that many bytes\"",
        ),
        (
            "PORT 127,0,0,9,200,0",
            illegal,
            "active mode refused: the client wants its data sent to 127.0.0.9, and its control connection comes from elsewhere",
        ),
        (
            "EPRT |1|127.0.0.1|25|",
            "500 Illegal EPRT command.",
            "active mode refused: port 25 is below 1024",
        ),
    ] {
        told(&mut c, command, reply, why);
    }
    c.says("EPSV ALL", "200 EPSV ALL ok.");
    for command in ["PASV", "PORT 127,0,0,1,200,0"] {
        let verb = command.split(' ').next().unwrap();
        let why = format!("{verb} refused: the client has said EPSV ALL");
        told(&mut c, command, denied, &why);
    }
    drop(server);
    let lines = "cmds_allowed=USER,PASS,P@SW,MFF,SITE,QUIT\ncmds_denied=MDTM\npasv_enable=NO\n";
    let _server = Server::start(&host, lines);
    let mut c = Client::alice();
    told(
        &mut c,
        "",
        denied,
        "an empty line refused by cmds_allowed\"",
    );
    let unknown = "500 Unknown command.";
    told(&mut c, "P@SW", unknown, "P@SW refused: pasv_enable=NO\"");
    told(
        &mut c,
        "MFF Modify=20200101000000; f",
        denied,
        "MFF refused by cmds_denied\"",
    );
    told(
        &mut c,
        "SITE UTIME 20200101000000 f",
        site,
        "SITE UTIME refused by cmds_denied=MDTM\"",
    );
    // Each once in a session, however often it is tried.
    c.says("SITE CHMOD 600 nothing", "550 SITE CHMOD command failed.");
    let log = logged("FAIL CHMOD");
    let reasons: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(" refused"))
        .collect();
    let mut once = reasons.clone();
    once.sort_unstable_by_key(|line| line.split("DEBUG").nth(1));
    once.dedup_by_key(|line| line.split("DEBUG").nth(1));
    assert_eq!(once.len(), reasons.len(), "{reasons:?}");
}

/// What may not be looked at or changed, as far as the client is told no more than that it failed.
#[test]
fn a_look() {
    let host = Host::new();
    host.mkdir("/home/alice/closed", 0);
    host.mode("/home/alice/closed", 0o700);
    host.write("/home/alice/roots", "x");
    host.mkdir("/srv/ftp/pub/private", 0);
    host.mode("/srv/ftp/pub/private", 0o751);
    host.own("/srv/ftp/pub/private", FTP);
    let _server = Server::start(&host, "");
    let closed =
        "\"cannot look at the file or directory: Permission denied; look at the owner and mode";
    let facts = "550 Could not get facts.";
    let time = "550 Could not set file modification time.";
    for (command, reply, why) in [
        ("SIZE closed/f", "550 Could not get file size.", closed),
        (
            "MDTM closed/f",
            "550 Could not get file modification time.",
            closed,
        ),
        ("HASH closed/f", "550 Failed to open file.", closed),
        ("MLST closed/f", facts, closed),
        ("AVBL closed", "550 Not a directory to write in.", closed),
        (
            "MFMT 20200101000000 roots",
            time,
            "\"cannot set the time of a file: Operation not permitted; only its owner may",
        ),
        (
            "MFF UNIX.mode=0600; roots",
            "550 Could not change the mode.",
            "\"cannot do it: Operation not permitted",
        ),
    ] {
        // What another session has had said does not count.
        host.write("/var/log/vsftpd.log", "");
        Client::alice().says(command, reply);
        logged(why);
    }
    let mut guest = Client::anonymous();
    guest.passive();
    guest.says("MLSD pub/private", "550 Failed to open directory.");
    logged("\"cannot look at the file or directory: not everybody may read it");
}

/// Nobody has given a password by then: the line of a failed login does not tell of it.
#[test]
fn a_listed_name() {
    let host = Host::new();
    host.write("/etc/list", "bob\n");
    let lines = "userlist_enable=YES\nuserlist_file=/etc/list\ndelay_failed_login=1\n";
    let _server = Server::start(&host, lines);
    let begun = std::time::Instant::now();
    Client::connect().says("USER bob", "530 Permission denied.");
    assert!(begun.elapsed() >= std::time::Duration::from_secs(1));
    logged(
        "[bob] DEBUG: Client \"127.0.0.1\", \"login refused: the name is in userlist_file /etc/list and userlist_deny=YES: remove it there\"",
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
fn a_data_connection_in_clear() {
    let host = Host::new();
    tls::certificate(&host);
    let _server = Server::start(&host, tls::ON);
    let mut c = tls::Ftps::upgrade(tls::offer(tls::BOTH, None));
    c.login("alice");
    for _ in 0..2 {
        c.passive();
        c.says("NLST", "522 Data connections must be encrypted.");
    }
    c.says("DELE nothing", "550 Delete operation failed.");
    let why = "\"data connection in clear refused: force_local_data_ssl=YES, and the client has not asked for TLS on it";
    assert_eq!(times(why, "\"/home/alice/nothing\""), 1);
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

/// A client that goes before it has one is no firewall's fault, and nobody has waited as long as the options say. Without the mend the log
/// said "no data connection came within 60 seconds", and "no answer within 60 seconds".
#[test]
fn a_data_connection_of_a_client_that_goes() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    assert_eq!(c.cmd("PASV").code(), "227");
    c.send(b"NLST\r\n");
    drop(c);
    let why = "\"the client closed its control connection before there was a data connection\"";
    logged(why);
    // No more connections are taken there than one.
    let full = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(
        nix::sys::socket::listen(&full, nix::sys::socket::Backlog::new(0).unwrap()),
        Ok(())
    );
    let address = full.local_addr().unwrap();
    let _first = std::net::TcpStream::connect(address).unwrap();
    let mut c = Client::user("bob");
    let (high, low) = (address.port() >> 8, address.port() & 0xff);
    assert_eq!(c.cmd(&format!("PORT 127,0,0,1,{high},{low}")).code(), "200");
    c.send(b"NLST\r\n");
    drop(c);
    let log = wait("the second reason", || {
        let log = logged(why);
        (log.matches(why).count() == 2).then_some(log)
    });
    assert!(!log.contains("within 60 seconds"), "{log}");
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

#[test]
fn a_data_connection_of_a_stranger() {
    let host = Host::new();
    let _server = Server::start(&host, "");
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
