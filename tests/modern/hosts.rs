//! HOST (RFC 7151): banner, settings and certificate by name.

use crate::support::tls::{
    BOTH, Ftps, ON as TLS, Pair, certificate, clear_line, handshake_as, offer, pair,
};
use crate::support::{Client, Host, Server, log};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;

const ON: &str = "host_config_dir=/etc/hosts.d\n";

fn host(files: &[(&str, &str)]) -> Host {
    let host = Host::new();
    std::fs::create_dir("/etc/hosts.d").unwrap();
    for (name, text) in files {
        host.write(&format!("/etc/hosts.d/{name}"), text);
    }
    host
}

#[test]
fn without_the_option_there_is_none() {
    let host = Host::new();
    for lines in ["", "host_config_dir=/etc/hosts.d\ncmds_denied=HOST\n"] {
        std::fs::create_dir_all("/etc/hosts.d").unwrap();
        host.write("/etc/hosts.d/a.example", "");
        let _server = Server::start(&host, lines);
        let mut c = Client::connect();
        assert!(!c.cmd("FEAT").text().contains("HOST"));
        c.says("HOST a.example", "502 HOST not implemented.");
        c.login("alice");
        assert!(!c.cmd("FEAT").text().contains("HOST"));
        let after = c.cmd("HOST a.example").text();
        assert!(
            after.starts_with("502") || after.starts_with("550"),
            "{after}"
        );
    }
}

/// attacks B-082.
#[test]
fn replies() {
    let host = host(&[
        ("ftp.example.org", ""),
        ("[::1]", "ftpd_banner=Six.\n"),
        (".swp", "nonsense"),
    ]);
    let _server = Server::start(
        &host,
        &format!("{ON}listen=NO\nlisten_ipv6=YES\nftpd_banner=Base.\n"),
    );
    let mut c = Client::connect();
    assert!(c.cmd("FEAT").text().contains("\r\n HOST\r\n"));
    c.script(&[
        ("HOST ftp.example.org", "220 Base."),
        ("host FTP.Example.ORG", "220 Base."),
        ("HOST 127.0.0.1", "220 Base."),
        ("HOST 127.0.0.2", "504 No such host."),
        ("HOST [::1]", "504 No such host."),
        ("HOST www.example.org", "504 No such host."),
    ]);
    let mut c = Client::connect();
    c.script(&[
        ("HOST", "501 HOST takes the name of a host, without a port."),
        (
            "HOST 127.0.0.1:21",
            "501 HOST takes the name of a host, without a port.",
        ),
        (
            "HOST ../passwd",
            "501 HOST takes the name of a host, without a port.",
        ),
    ]);
    let mut c = Client::connect6();
    c.script(&[
        (
            "HOST ::1",
            "501 HOST takes the name of a host, without a port.",
        ),
        (
            "HOST [::1]:21",
            "501 HOST takes the name of a host, without a port.",
        ),
        ("HOST [0:0::1]", "220 Six."),
        ("HOST 127.0.0.1", "504 No such host."),
        // The name before it is forgotten.
        ("USER alice", "331 Please specify the password."),
        ("HOST ftp.example.org", "220 Base."),
        ("PASS secret", "503 Login with USER first."),
    ]);
    c.login("alice");
    assert!(c.cmd("FEAT").text().contains("\r\n HOST\r\n"));
    c.says("HOST ftp.example.org", "503 HOST is for before login.");
    // Whoever tries names is sent away.
    let mut c = Client::connect();
    for number in 0..10 {
        c.says(&format!("HOST h{number}.example"), "504 No such host.");
    }
    c.says("HOST h10.example", "500 Too many errors.");
    c.closed();
}

/// A user list that was read for the settings before is not asked for those of a host.
#[test]
fn each_has_its_own_user_list() {
    let host = host(&[("a.example", "userlist_file=/etc/others\n")]);
    host.write("/etc/list", "alice\n");
    host.write("/etc/others", "bob\n");
    let lists = "userlist_enable=YES\nuserlist_file=/etc/list\n";
    let _server = Server::start(&host, &format!("{ON}{lists}"));
    let mut c = Client::connect();
    c.says("USER alice", "530 Permission denied.");
    assert_eq!(c.cmd("HOST a.example").code(), "220");
    c.says("USER bob", "530 Permission denied.");
    c.login("alice");
}

#[test]
fn each_has_its_own_settings() {
    let host = host(&[
        (
            "pub.example",
            "local_enable=NO\nanon_root=/srv/pub\nftpd_banner=Public.\nmax_login_fails=9\n",
        ),
        (
            "customers.example",
            "anonymous_enable=NO\nbanner_file=/etc/welcome\nwrite_enable=NO\nuserlist_enable=YES\nuserlist_file=/etc/out\n",
        ),
    ]);
    host.write("/etc/welcome", "Dear customer,\nwelcome\n");
    host.write("/etc/out", "bob\n");
    std::fs::create_dir_all("/srv/pub").unwrap();
    host.file("/srv/pub/only-here", b"x");
    let _server = Server::start(&host, ON);
    let mut c = Client::connect();
    c.says("HOST pub.example", "220 Public.");
    c.says("USER alice", "530 This FTP server is anonymous only.");
    c.login("ftp");
    assert_eq!(c.names("NLST"), ["only-here"]);
    let mut c = Client::connect();
    c.says(
        "HOST customers.example",
        "220-Dear customer,\r\n220-welcome\r\n220 ",
    );
    c.says("USER bob", "530 Permission denied.");
    c.script(&[
        ("USER ftp", "331 Please specify the password."),
        ("PASS x", "530 Login incorrect."),
    ]);
    c.login("alice");
    c.refused("STOR new", "550 Permission denied.");
    // The last HOST counts, and a HOST does not wash failures away.
    let mut c = Client::connect();
    c.says(
        "HOST customers.example",
        "220-Dear customer,\r\n220-welcome\r\n220 ",
    );
    c.says("HOST pub.example", "220 Public.");
    c.login("ftp");
    let mut c = Client::connect();
    for _ in 0..2 {
        c.says("USER alice", "331 Please specify the password.");
        c.says("PASS wrong", "530 Login incorrect.");
    }
    c.says(
        "HOST customers.example",
        "220-Dear customer,\r\n220-welcome\r\n220 ",
    );
    c.says("USER alice", "331 Please specify the password.");
    c.says("PASS wrong", "530 Login incorrect.");
    c.closed();
    // Without HOST everything is as before.
    assert_eq!(Client::alice().store("STOR new", b"x").code(), "226");
    assert!(log::vsftpd(1)[0].starts_with("CONNECT"));
}

#[test]
fn mistakes_are_found_at_start() {
    let host = host(&[
        ("A.example", ""),
        ("b.example", "nonsense=YES\n"),
        ("c.example", "listen_port=22\n"),
        ("d.example", "local_enable=YES\n"),
    ]);
    let (_, said) = Server::refused(&host, &format!("{ON}local_enable=NO\n"));
    for text in [
        "/etc/hosts.d/A.example has not the name of a host",
        "/etc/hosts.d/b.example:1: ",
        "/etc/hosts.d/c.example:1: listen_port has no effect in the file of a single host",
        "/etc/hosts.d/d.example:1: local_enable=YES for a host needs",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    let (_, said) = Server::refused(&host, "host_config_dir=/etc/nowhere\n");
    assert!(
        said.contains("cannot read host_config_dir /etc/nowhere"),
        "{said}"
    );
}

/// A pair in files of its own.
fn installed(host: &Host, name: &str) -> Pair {
    let pair = pair();
    let path = format!("/etc/{name}.pem");
    host.write(&path, &format!("{}{}", pair.key_pem, pair.pem));
    host.mode(&path, 0o600);
    pair
}

/// A greeted connection after these lines in clear and AUTH TLS, with the handshake for a name.
fn secured(lines: &[(&str, &str)], name: &str) -> std::io::Result<Ftps> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
    assert!(clear_line(&mut stream).starts_with("220 "));
    for (command, expected) in lines
        .iter()
        .chain(&[("AUTH TLS", "234 Proceed with negotiation.")])
    {
        stream
            .write_all(format!("{command}\r\n").as_bytes())
            .unwrap();
        assert_eq!(clear_line(&mut stream).trim_end(), *expected);
    }
    let config = Arc::new(offer(BOTH, None));
    let tls = handshake_as(&config, stream, name)?;
    Ok(Ftps::of(config, tls))
}

fn shown(c: &Ftps) -> Vec<u8> {
    let chain = c.input.get_ref().conn.peer_certificates().unwrap();
    chain[0].to_vec()
}

#[test]
fn certificates_by_name() {
    let host = host(&[
        ("a.example", "rsa_cert_file=/etc/a.pem\nftpd_banner=A.\n"),
        ("b.example", "rsa_cert_file=/etc/b.pem\nftpd_banner=B.\n"),
        ("127.0.0.1", "rsa_cert_file=/etc/b.pem\n"),
    ]);
    let own = certificate(&host);
    let (a, b) = (installed(&host, "a"), installed(&host, "b"));
    let _server = Server::start(
        &host,
        &format!(
            "{ON}{TLS}rsa_private_key_file=/etc/vsftpd.pem\nftpd_banner=Own.\nrequire_ssl_reuse=NO\n"
        ),
    );
    for (name, pair) in [
        ("a.example", &a),
        ("b.example", &b),
        ("localhost", &own),
        ("A.Example", &a),
    ] {
        let c = secured(&[], name).unwrap();
        assert_eq!(shown(&c), pair.certificate.to_vec(), "{name}");
    }
    // HOST and SNI agree, or it is refused.
    let mut c = secured(&[], "a.example").unwrap();
    c.says("HOST b.example", "504 TLS has named another host.");
    c.says("HOST 127.0.0.1", "504 TLS has named another host.");
    c.says("HOST a.example", "220 A.");
    c.login("alice");
    c.says("PBSZ 0", "200 PBSZ set to 0.");
    c.says("PROT P", "200 PROT now Private.");
    // A data connection that resumes nothing and names no host shows the certificate of the control connection.
    let fresh = Arc::new(offer(BOTH, None));
    let stream = c.passive();
    assert!(c.cmd("NLST").starts_with("150 "));
    let mut stream = handshake_as(&fresh, stream, "127.0.0.1").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(
        stream.conn.peer_certificates().unwrap()[0].to_vec(),
        a.certificate.to_vec()
    );
    // HOST in clear, and TLS without a name: the host's.
    let c = secured(&[("HOST a.example", "220 A.")], "127.0.0.1").unwrap();
    assert_eq!(shown(&c), a.certificate.to_vec());
    let mut c = secured(&[("HOST a.example", "220 A.")], "a.example").unwrap();
    assert_eq!(shown(&c), a.certificate.to_vec());
    c.login("alice");
    // And with another name: the session ends.
    let mut c = secured(&[("HOST a.example", "220 A.")], "b.example").unwrap();
    assert_eq!(c.reply(), "");
    crate::logged("one host in HOST and another in TLS");
}

#[test]
fn a_bad_certificate_of_a_host_is_a_mistake_and_reload_reads_again() {
    let host = host(&[("a.example", "rsa_cert_file=/etc/a.pem\n")]);
    certificate(&host);
    let (_, said) = Server::refused(&host, &format!("{ON}{TLS}"));
    assert!(said.contains("/etc/a.pem"), "{said}");
    let old = installed(&host, "a");
    let server = Server::start(&host, &format!("{ON}{TLS}"));
    assert_eq!(
        shown(&secured(&[], "a.example").unwrap()),
        old.certificate.to_vec()
    );
    let new = installed(&host, "a");
    host.write("/etc/hosts.d/new.example", "ftpd_banner=New.\n");
    server.signal(nix::sys::signal::Signal::SIGHUP);
    crate::support::wait("the new certificate", || {
        let c = secured(&[], "a.example").ok()?;
        (shown(&c) == new.certificate.to_vec()).then_some(())
    });
    Client::connect().says("HOST new.example", "220 New.");
}

#[test]
fn lftp_says_host() {
    let host = host(&[("a.example", "ftpd_banner=A.\nanon_root=/srv/a\n")]);
    host.write("/etc/hosts", "127.0.0.1 a.example\n");
    std::fs::create_dir_all("/srv/a").unwrap();
    host.file("/srv/a/only-here", b"x");
    let _server = Server::start(&host, ON);
    let said = crate::clients::run(
        "lftp",
        &[
            "-c",
            "set net:max-retries 1; set ftp:ssl-allow no; open ftp://a.example; cls",
        ],
    );
    assert_eq!(said, "only-here\n");
}
