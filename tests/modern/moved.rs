//! What a distribution's own vsftpd has left works as it did there.

use crate::support::host::{CONFIG, PROGRAM};
use crate::support::server::BASE;
use crate::support::{Client, Host, Server};
use std::os::unix::fs::MetadataExt;
use std::process::Command;

/// What `--check` says of these lines, and its exit status.
fn checked(host: &Host, lines: &str) -> (Option<i32>, String) {
    host.write(CONFIG, &format!("{BASE}{lines}"));
    let output = Command::new(PROGRAM)
        .args(["--check", CONFIG])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

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
