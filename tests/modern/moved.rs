//! What a distribution's own vsftpd has left works as it did there.

use super::checked;
use crate::support::host::{BOB, CONFIG};
use crate::support::server::{BASE, output};
use crate::support::{Client, DEADLINE, Host, Server, wait};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, lchown, symlink};

fn mode(path: &str) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

/// The settings in the file that Red Hat's packages bring, less those that every test has.
const RED_HAT: &str = "anonymous_enable=NO\nlocal_enable=YES\nwrite_enable=YES\nlocal_umask=022\ndirmessage_enable=YES\n\
    xferlog_enable=YES\nconnect_from_port_20=YES\nxferlog_std_format=YES\nlisten=NO\nlisten_ipv6=YES\npam_service_name=vsftpd\n\
    userlist_enable=YES\n";

/// Red Hat's packages look for lists in /etc/vsftpd, and their file does not say so.
#[test]
fn red_hats_lists_are_found() {
    let host = Host::new();
    std::fs::create_dir("/etc/vsftpd").unwrap();
    host.write("/etc/vsftpd/user_list", "# those not to be let in\nbob\n");
    host.write("/etc/vsftpd/chroot_list", "alice\n");
    let lines = format!("{RED_HAT}chroot_list_enable=YES\nallow_writeable_chroot=YES\n");
    let server = Server::start(&host, &lines);
    let mut c = Client::user("alice");
    c.says("PWD", "257 \"/\" is the current directory");
    Client::connect().says("USER bob", "530 Permission denied.");
    drop(server);
    // The original's place comes first, and one that is set is the only one.
    host.write("/etc/vsftpd.user_list", "alice\n");
    let server = Server::start(&host, &lines);
    Client::connect().script(&[
        ("USER alice", "530 Permission denied."),
        ("USER bob", "331 Please specify the password."),
    ]);
    drop(server);
    host.write("/etc/own", "carol\n");
    let _server = Server::start(&host, &format!("{lines}userlist_file=/etc/own\n"));
    Client::connect().script(&[
        ("USER carol", "530 Permission denied."),
        ("USER alice", "331 Please specify the password."),
    ]);
}

/// Options that only Red Hat's and SUSE's vsftpd have are in many files, above all this first one: they change nothing, and those that ask
/// for something else than is done are told so.
#[test]
fn options_of_other_builds_are_known() {
    let host = Host::new();
    let silent = "reverse_lookup_enable=NO\nuserlist_log=YES\nlog_die=YES\nbetter_stou=NO\nbind_retries=9\nallow_root_squashed_chroot=NO\n";
    let told = "reverse_lookup_enable=YES\nwc_logs_enable=YES\ndh_param_file=/etc/dh.pem\necdh_param_file=/etc/ecdh.pem\n";
    let (code, said) = checked(&host, silent);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let (code, said) = checked(&host, told);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches(" changes nothing: ").count(), 4, "{said}");
    let _server = Server::start(&host, &format!("{silent}{told}"));
    Client::user("alice").says("PWD", "257 \"/home/alice\" is the current directory");
}

/// Who sets neither of the options to listen has a file from where vsftpd listens by itself.
#[test]
fn a_file_that_says_nothing_of_listening_is_a_servers() {
    let host = Host::new();
    let text = BASE.replace("listen=YES\n", "");
    let _server = Server::exactly(&host, &format!("{text}local_root=/srv/ftp\n"), 21);
    Client::user("alice").says("PWD", "257 \"/srv/ftp\" is the current directory");
}

/// The ends of a range the wrong way round stand in manuals: the upper one does not count, and that is told.
#[test]
fn a_range_the_wrong_way_round_goes_up_to_the_last_port() {
    let host = Host::new();
    let lines = "pasv_min_port=65001\npasv_max_port=65000\n";
    let (code, said) = checked(&host, lines);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("pasv_max_port=65000 is below"), "{said}");
    let _server = Server::start(&host, lines);
    let mut c = Client::user("alice");
    let port = c.passive().peer_addr().unwrap().port();
    assert!(port >= 65001, "{port}");
}

#[test]
fn an_address_to_resolve_may_be_missing() {
    let host = Host::new();
    let (code, said) = checked(&host, "pasv_addr_resolve=YES\n");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("pasv_addr_resolve=YES does nothing"),
        "{said}"
    );
    let _server = Server::start(&host, "pasv_addr_resolve=YES\n");
    let mut c = Client::user("alice");
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
}

/// An address that nobody else can connect to, as many a container's image brings it.
#[test]
fn a_passive_address_of_nobodys_is_told() {
    let host = Host::new();
    for address in ["0.0.0.0", "127.0.0.1"] {
        let (code, said) = checked(&host, &format!("pasv_address={address}\n"));
        assert_eq!(code, Some(0), "{said}");
        let text = format!("pasv_address={address}: clients on other hosts are told to connect");
        assert!(said.contains(&text), "{said}");
    }
    assert_eq!(checked(&host, "pasv_address=203.0.113.7\n").1, "");
}

/// The original reads numbers and addresses as far as they go, so that there are files with comments behind them.
#[test]
fn comments_behind_numbers_and_addresses() {
    let host = Host::new();
    let lines = "max_per_ip=1   # one for each\nlocal_umask=027\t#group\npasv_address=192.0.2.9  # of the router\n";
    let _server = Server::start(&host, lines);
    let mut c = Client::user("alice");
    let said = c.cmd("PASV").text();
    assert!(
        said.starts_with("227 Entering Passive Mode (192,0,2,9,"),
        "{said}"
    );
    c.says("MKD new", "257 \"/home/alice/new\" created");
    assert_eq!(mode("/home/alice/new"), 0o750);
    let said = Client::dial().reply().text();
    assert_eq!(
        said,
        "421 There are too many connections from your internet address."
    );
    let (code, said) = checked(&host, "write_enable=YES # so that they can\n");
    assert_eq!(code, Some(2));
    assert!(said.contains("a comment has a line of its own"), "{said}");
    let (code, said) = checked(&host, "local_max_rate=50K # slow\n");
    assert_eq!(code, Some(2));
    assert!(said.contains("bad integer value"), "{said}");
}

/// Where a container's logs, and those on another disk, are to go: links, standard output and FIFOs that root has put there.
#[test]
fn a_log_may_be_a_link_standard_output_or_a_fifo_of_roots() {
    let host = Host::new();
    host.mkdir("/srv/logs", 0);
    host.mkdir("/var/log/vsftpd", 0);
    symlink("../../../srv/logs/ftp.log", "/var/log/vsftpd/vsftpd.log").unwrap();
    symlink("vsftpd/vsftpd.log", "/var/log/vsftpd.log").unwrap();
    assert_eq!(checked(&host, ""), (Some(0), String::new()));
    let server = Server::start(&host, "");
    Client::user("alice");
    wait("the log on the other disk", || {
        let log = std::fs::read_to_string("/srv/logs/ftp.log").unwrap_or_default();
        log.contains("[alice] OK LOGIN").then_some(())
    });
    drop(server);
    for lines in [
        "vsftpd_log_file=/dev/stdout\n",
        "vsftpd_log_file=/var/log/out\n",
    ] {
        let _ = std::fs::remove_file("/var/log/out");
        symlink("/dev/stdout", "/var/log/out").unwrap();
        assert_eq!(checked(&host, lines), (Some(0), String::new()));
        let _server = Server::start(&host, lines);
        Client::user("alice");
        wait("standard output", || {
            output().contains("[alice] OK LOGIN").then_some(())
        });
    }
    let (_, said) = checked(&host, "vsftpd_log_file=/dev/stdout\nbackground=YES\n");
    assert!(
        said.contains("that is /dev/null, and nothing is logged"),
        "{said}"
    );
    let fifo = "vsftpd_log_file=/var/log/fifo\n";
    nix::unistd::mkfifo("/var/log/fifo", Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    assert_eq!(checked(&host, fifo), (Some(0), String::new()));
    let _server = Server::start(&host, fifo);
    // Nobody reads it yet.
    assert_eq!(
        Client::dial().reply().text(),
        "500 OOPS: failed to open vsftpd log file"
    );
    assert!(
        output().contains("a FIFO that nobody reads"),
        "{}",
        output()
    );
    let (reader, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(File::open("/var/log/fifo").unwrap()).lines();
        let found = lines
            .map_while(Result::ok)
            .find(|line| line.contains("OK LOGIN"));
        let _ = reader.send(found);
    });
    // Whoever opens it waits for somebody to write, and a session that finds no reader is refused.
    wait("a session that is served", || {
        let mut c = Client::dial();
        c.reply()
            .text()
            .starts_with("220 ")
            .then(|| c.login("alice"))
    });
    assert!(told.recv_timeout(DEADLINE).unwrap().is_some());
}

/// What others can have put there is not written.
#[test]
fn a_log_that_is_somebody_elses_link_is_refused() {
    let host = Host::new();
    host.write("/srv/victim", "");
    let log = "/var/log/vsftpd.log";
    let planted = |host: &Host| {
        host.write(CONFIG, BASE);
        let (code, said) = checked(host, "");
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains("and somebody else's; every client is refused"),
            "{said}"
        );
        let _server = Server::start(host, "");
        assert_eq!(
            Client::dial().reply().text(),
            "500 OOPS: failed to open vsftpd log file"
        );
        assert_eq!(std::fs::read("/srv/victim").unwrap(), b"");
    };
    symlink("/srv/victim", log).unwrap();
    lchown(log, Some(BOB), Some(BOB)).unwrap();
    planted(&host);
    // A link of root's that leads to one of somebody else's.
    std::fs::rename(log, "/var/log/theirs").unwrap();
    symlink("theirs", log).unwrap();
    let server = Server::start(&host, "");
    assert_eq!(
        Client::dial().reply().text(),
        "500 OOPS: failed to open vsftpd log file"
    );
    assert_eq!(std::fs::read("/srv/victim").unwrap(), b"");
    drop(server);
    std::fs::remove_file(log).unwrap();
    nix::unistd::mkfifo(log, Mode::S_IRWXU).unwrap();
    lchown(log, Some(BOB), Some(BOB)).unwrap();
    let _reader = File::options().read(true).write(true).open(log).unwrap();
    planted(&host);
}
