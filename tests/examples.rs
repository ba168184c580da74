//! Every configuration in etc/examples serves what it says, on a host prepared by the words in it. Ours only.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::host::{FTP, tmpfs};
use support::{Client, Host, Server};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("etc")
}

/// The files of the repository, read before a private host hides it.
struct Example(String);

impl Example {
    fn read(name: &str) -> Self {
        Self(fs::read_to_string(examples().join(name)).unwrap())
    }

    /// Puts it where its own words say.
    fn install(&self, host: &Host, path: &str) {
        fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
        host.write(path, &self.0);
    }

    fn serve(&self, host: &Host) -> Server {
        self.install(host, "/etc/vsftpd/vsftpd.conf");
        Server::start_file(host, "/etc/vsftpd/vsftpd.conf")
    }
}

/// What an installation makes.
fn prepared() -> Host {
    let host = Host::new();
    tmpfs("/var", "mode=755");
    for directory in ["/var/log", "/var/ftp/pub", "/run/vsftpd/empty"] {
        fs::create_dir_all(directory).unwrap();
    }
    symlink("/run", "/var/run").unwrap();
    host.write("/var/ftp/pub/file", "public");
    host.write("/var/ftp/image.bin", "firmware");
    host
}

const NO: &str = "550 Permission denied.";

fn guest(name: &str) -> Client {
    let mut c = Client::connect();
    c.says(&format!("USER {name}"), "230 Login successful.");
    c
}

#[test]
fn the_sample() {
    let example = Example::read("vsftpd.conf");
    let host = prepared();
    let _server = example.serve(&host);
    let mut c = Client::anonymous();
    assert_eq!(c.fetch("RETR pub/file"), b"public");
    c.epsv();
    c.says("STOR x", NO);
    let mut c = Client::alice();
    c.says("PWD", "257 \"/\" is the current directory");
    assert_eq!(c.store("STOR new", b"x").code(), "226");
    assert_eq!(
        fs::metadata("/home/alice/new").unwrap().mode() & 0o777,
        0o644
    );
}

#[test]
fn anonymous_site() {
    let example = Example::read("examples/anonymous-site.conf");
    let host = prepared();
    let _server = example.serve(&host);
    let mut c = guest("anonymous");
    assert_eq!(c.fetch("RETR pub/file"), b"public");
    assert!(c.names("LIST pub")[0].contains(" ftp      ftp "));
    c.says("MKD x", NO);
    Client::connect().says("USER alice", "530 This FTP server is anonymous only.");
}

#[test]
fn firmware() {
    let example = Example::read("examples/firmware.conf");
    let host = prepared();
    let _server = example.serve(&host);
    let mut c = guest("ftp");
    c.says("TYPE I", "200 Switching to Binary mode.");
    assert_eq!(c.fetch("RETR image.bin"), b"firmware");
    c.epsv();
    c.says("NLST", NO);
}

#[test]
fn second_address() {
    let example = Example::read("examples/second-address.conf");
    let host = prepared();
    example.install(&host, "/etc/vsftpd/second.conf");
    let _server = Server::start_file(&host, "/etc/vsftpd/second.conf");
    let second = std::net::Ipv4Addr::new(127, 0, 0, 2);
    let here = std::net::Ipv4Addr::LOCALHOST;
    let mut c = Client::dial_from(here.into(), second.into()).greeted();
    c.login("ftp");
    assert_eq!(c.fetch("RETR pub/file"), b"public");
    assert!(std::net::TcpStream::connect(("127.0.0.1", 21)).is_err());
    assert!(host.exists("/var/log/vsftpd-second.log"));
}

#[test]
fn web_customers() {
    let example = Example::read("examples/web-customers.conf");
    let host = prepared();
    let _server = example.serve(&host);
    let mut c = Client::alice();
    c.says("CWD /etc", "550 Failed to change directory.");
    assert!(c.names("NLST").contains(&".dot".to_owned()));
    assert_eq!(c.store("STOR index.html", b"<html>").code(), "226");
    assert_eq!(
        fs::metadata("/home/alice/index.html").unwrap().mode() & 0o777,
        0o644
    );
}

#[test]
fn drop_box() {
    let example = Example::read("examples/drop-box.conf");
    let host = prepared();
    fs::create_dir("/var/ftp/incoming").unwrap();
    chown("/var/ftp/incoming", Some(0), Some(105)).unwrap();
    host.mode("/var/ftp/incoming", 0o730);
    let _server = example.serve(&host);
    let mut c = guest("ftp");
    c.says("CWD incoming", "250 Directory successfully changed.");
    assert_eq!(c.store("STOR letter", b"for root").code(), "226");
    let meta = fs::metadata("/var/ftp/incoming/letter").unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (0, 0o600));
    assert_eq!(host.read("/var/ftp/incoming/letter"), b"for root");
    c.refused("RETR letter", "550 Failed to open file.");
    c.epsv();
    c.says("STOR letter", "553 Could not create file.");
    c.says("DELE letter", NO);
    // A drop that does not come to its end leaves nothing.
    let (_, data) = c.begin("STOR half");
    data.reset();
    c.next("426 Failure reading network stream.");
    assert!(!host.exists("/var/ftp/incoming/half"));
}

#[test]
fn per_address() {
    let example = Example::read("examples/per-address.conf");
    let inner = Example::read("examples/inner-network.conf");
    let (allow, deny) = (
        Example::read("tcp-wrappers/hosts.allow"),
        Example::read("tcp-wrappers/hosts.deny"),
    );
    let host = prepared();
    inner.install(&host, "/etc/vsftpd/inner-network.conf");
    // The network of the rules is the loopback's here, and the rule with the file of settings is the one that counts.
    let rules = allow.0.replace("\nvsftpd: 192.168.24.\n", "\n").replace(
        "#vsftpd: 192.168.24. : setenv",
        "vsftpd: 127.0.0.2 : setenv",
    );
    host.write("/etc/hosts.allow", &format!("{rules}vsftpd: 127.0.0.1\n"));
    host.write("/etc/hosts.deny", &deny.0);
    let _server = example.serve(&host);
    let here = std::net::IpAddr::from([127, 0, 0, 1]);
    let from = |last| Client::dial_from([127, 0, 0, last].into(), here);
    from(3).next("421 Service not available.");
    let mut stranger = from(1).greeted();
    stranger.says("USER alice", "530 This FTP server is anonymous only.");
    let mut neighbour = from(2);
    neighbour.next("220 Welcome, neighbour.");
    neighbour.login("alice");
}

/// A database for pam_userdb, by the tool the example names.
fn database(users: &str) {
    let mut child = Command::new("db_load")
        .args(["-T", "-t", "hash", "/etc/vsftpd/users.db"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("db_load is needed (make test installs it)");
    use std::io::Write;
    child
        .stdin
        .take()
        .unwrap()
        .write_all(users.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn virtual_users() {
    let example = Example::read("examples/virtual-users.conf");
    let pam = Example::read("examples/virtual-users.pam");
    let host = prepared();
    pam.install(&host, "/etc/pam.d/vsftpd-virtual");
    host.mkdir("/srv/ftp-users", 0);
    for user in ["tom", "ann"] {
        host.mkdir(&format!("/srv/ftp-users/{user}"), FTP);
    }
    fs::create_dir_all("/etc/vsftpd/users").unwrap();
    host.write("/etc/vsftpd/users/ann", "write_enable=NO\n");
    database("tom\nsecret\nann\nsecret\n");
    host.mode("/etc/vsftpd/users.db", 0o600);
    let _server = example.serve(&host);
    let mut c = Client::user("tom");
    c.says("PWD", "257 \"/\" is the current directory");
    assert_eq!(c.store("STOR mine", b"tom's").code(), "226");
    let meta = fs::metadata("/srv/ftp-users/tom/mine").unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o777), (FTP, 0o644));
    let mut c = Client::user("ann");
    assert!(c.names("NLST").is_empty());
    c.epsv();
    c.says("STOR x", NO);
    let mut c = Client::connect();
    c.says("USER tom", "331 Please specify the password.");
    c.says("PASS wrong", "530 Login incorrect.");
    // An account of the host is no virtual user.
    c.says("USER alice", "331 Please specify the password.");
    c.says("PASS secret", "530 Login incorrect.");
}

#[test]
fn every_example_is_tried() {
    let tests = include_str!("examples.rs");
    for entry in fs::read_dir(examples().join("examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(tests.contains(&format!("examples/{name}\"")), "{name}");
    }
}
