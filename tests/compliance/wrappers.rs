//! tcp_wrappers: hosts.allow, hosts.deny and the configuration they choose (reference 2.6, 3.2, 6.7; hosts_access(5), hosts_options(5)).

use crate::support::{Client, Host, Server, log};
use std::net::UdpSocket;

const DENIED: &str = "421 Service not available.";
const LOGGED: &str = "CONNECT: Client \"127.0.0.1\", \"Connection refused: tcp_wrappers denial.\"";

/// A connection from 127.0.0.N to 127.0.0.1.
fn from(last: u8) -> Client {
    Client::dial_from([127, 0, 0, last].into(), [127, 0, 0, 1].into())
}

#[track_caller]
fn in_from(last: u8) {
    let reply = from(last).reply().text();
    assert!(reply.starts_with("220 "), "from 127.0.0.{last}: {reply}");
}

#[track_caller]
fn out_from(last: u8) {
    let mut c = from(last);
    c.next(DENIED);
    c.closed();
}

#[test]
fn nothing_is_asked_without_the_option() {
    let host = Host::new();
    host.write("/etc/hosts.deny", "ALL: ALL\n");
    let _server = Server::start(&host, "");
    in_from(1);
}

#[test]
fn without_tables_everyone_comes_in() {
    let host = Host::new();
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    in_from(1);
    std::fs::remove_file("/etc/hosts.allow").unwrap();
    std::fs::remove_file("/etc/hosts.deny").unwrap();
    in_from(1);
}

#[test]
fn a_denial_is_a_421_and_a_line() {
    let host = Host::new();
    host.write("/etc/hosts.deny", "vsftpd: 127.0.0.1\n");
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    out_from(1);
    assert_eq!(log::vsftpd(1), [LOGGED]);
    in_from(2);
    assert_eq!(log::vsftpd(2)[1], "CONNECT: Client \"127.0.0.2\"");
}

#[test]
fn allow_is_read_first_and_for_each_connection() {
    let host = Host::new();
    host.write("/etc/hosts.allow", "# some\nvsftpd: 127.0.0.2\n");
    host.write("/etc/hosts.deny", "ALL: ALL\n");
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    in_from(2);
    out_from(1);
    host.write("/etc/hosts.allow", "ALL: 127.0.0.1\n");
    in_from(1);
    out_from(2);
}

/// With an interface, as `ip address` and logs of others show them, which is not asked for. Without the mend such a rule denied nobody.
#[test]
fn link_local_addresses() {
    let host = Host::new();
    let added = std::process::Command::new("ip")
        .args(["-6", "address", "add", "fe80::21/64", "dev", "lo", "nodad"])
        .status();
    assert!(added.unwrap().success());
    let _server = Server::start(&host, "listen=NO\nlisten_ipv6=YES\ntcp_wrappers=YES\n");
    let here = std::net::SocketAddrV6::new("fe80::21".parse().unwrap(), 21, 0, 1);
    for (rule, denies) in [
        ("[fe80::21%lo]", true),
        ("[fe80::%lo]/64", true),
        ("[fe80::21]", true),
        ("[fe80::22%lo]", false),
        ("[fe80::21%]", false),
    ] {
        host.write("/etc/hosts.deny", &format!("vsftpd: {rule}\n"));
        let reply = Client::to(here.into()).reply().text();
        assert_eq!(reply == DENIED, denies, "{rule}: {reply}");
    }
}

#[test]
fn patterns() {
    let host = Host::new();
    host.write("/etc/hosts.deny", "ALL: ALL\n");
    host.write("/etc/nets", "10.0.0.0/8\n127.0.0.2/32\n");
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    // Whom the rule lets in: 127.0.0.1, 127.0.0.2.
    for (rule, first, second) in [
        ("vsftpd: 127.", true, true),
        ("VSFTPD: 127.0.0.1", true, false),
        ("sshd: ALL", false, false),
        ("sshd, vsftpd : 10.0.0.1,127.0.0.2", false, true),
        ("ALL: ALL EXCEPT 127.0.0.1", false, true),
        ("ALL: 127. EXCEPT 127.0.0.0/31 EXCEPT 127.0.0.1", true, true),
        ("ALL EXCEPT vsftpd: ALL", false, false),
        ("vsftpd: 127.0.0.0/255.255.255.254", true, false),
        ("vsftpd: 127.0.0.2/31", false, true),
        ("vsftpd: 127.0.0.1/31", false, false),
        ("vsftpd: 127.0.0.1/255.255.255.255", false, false),
        ("vsftpd: /etc/nets", false, true),
        ("vsftpd: ALL EXCEPT /etc/nets", true, false),
        ("vsftpd: *.2", false, true),
        ("vsftpd: 127.0.0.?", true, true),
        ("vs*: 127.0.0.\\\n1", true, false),
        ("vsftpd@127.0.0.1: ALL", true, true),
        ("vsftpd@127.0.0.2: ALL", false, false),
        ("vsftpd: [::1]", false, false),
        ("vsftpd: 127", false, false),
        ("vsftpd: ALL@127.0.0.1", true, false),
        ("no rule\nvsftpd: 127.0.0.1", true, false),
        ("21: 127.0.0.1", true, false),
        ("22: 127.0.0.1", false, false),
    ] {
        host.write("/etc/hosts.allow", &format!("{rule}\n"));
        for (last, granted) in [(1, first), (2, second)] {
            let reply = from(last).reply();
            let expected = if granted { "220" } else { "421" };
            assert_eq!(reply.code(), expected, "{rule:?} from 127.0.0.{last}");
        }
    }
}

#[test]
fn ipv6() {
    let host = Host::new();
    let _server = Server::start(&host, "listen=NO\nlisten_ipv6=YES\ntcp_wrappers=YES\n");
    let here = std::net::Ipv6Addr::LOCALHOST.into();
    for (rule, six, four) in [
        ("vsftpd: [::1]", "421", "220"),
        ("vsftpd: [::]/64", "421", "220"),
        ("vsftpd: [2001:db8::]/32", "220", "220"),
        ("vsftpd@[::1]: ALL", "421", "220"),
        // A client of IPv4 is one whatever the socket.
        ("vsftpd: 127.0.0.1", "220", "421"),
        ("vsftpd: 127.", "220", "421"),
        ("vsftpd: [::ffff:127.0.0.1]", "220", "220"),
        ("vsftpd@127.0.0.1: ALL", "220", "421"),
    ] {
        host.write("/etc/hosts.deny", &format!("{rule}\n"));
        assert_eq!(
            Client::dial_from(here, here).reply().code(),
            six,
            "{rule} from ::1"
        );
        assert_eq!(from(1).reply().code(), four, "{rule} from 127.0.0.1");
    }
}

#[test]
fn deny_and_allow_as_options() {
    let host = Host::new();
    host.write(
        "/etc/hosts.allow",
        "vsftpd: 127.0.0.1: DENY\nvsftpd: ALL: severity info: allow\n",
    );
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    out_from(1);
    in_from(2);
    host.write("/etc/hosts.allow", "");
    host.write("/etc/hosts.deny", "vsftpd: 127.0.0.2: allow\nALL: ALL\n");
    out_from(1);
    in_from(2);
}

#[test]
fn a_wrong_option_refuses() {
    let host = Host::new();
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    for option in ["nonsense", "allow: setenv A b", "setenv", "umask 9", ""] {
        host.write(
            "/etc/hosts.allow",
            &format!("vsftpd: 127.0.0.1: {option}\n"),
        );
        out_from(1);
        in_from(2);
    }
}

#[test]
fn half_a_rule() {
    let host = Host::new();
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    host.write("/etc/hosts.deny", "vsftpd: 127.0.0.1\n");
    host.write("/etc/hosts.allow", "vsftpd: 127.0.0.1");
    out_from(1);
    in_from(2);
    host.write("/etc/hosts.allow", "");
    host.write("/etc/hosts.deny", "sshd: 10.0.0.1");
    out_from(1);
    out_from(2);
}

#[test]
fn a_rule_may_choose_a_configuration() {
    let host = Host::new();
    host.write(
        "/etc/hosts.allow",
        "vsftpd: 127.0.0.2: setenv VSFTPD_LOAD_CONF /etc/first.conf: setenv VSFTPD_LOAD_CONF /etc/other.conf\n\
         vsftpd: 127.0.0.3: setenv VSFTPD_LOAD_CONF /etc/%a.conf\n\
         vsftpd: 127.0.0.4: setenv VSFTPD_LOAD_CONF\n",
    );
    host.write("/etc/first.conf", "ftpd_banner=First\n");
    host.write(
        "/etc/other.conf",
        "ftpd_banner=Other\nlocal_root=/srv/ftp/pub\n",
    );
    host.write(
        "/etc/127.0.0.3.conf",
        "anonymous_enable=NO\nftpd_banner=Third\n",
    );
    let _server = Server::start(&host, "tcp_wrappers=YES\nftpd_banner=Main\n");
    from(1).next("220 Main");
    let mut c = from(2);
    c.next("220 Other");
    c.login("alice");
    c.says("PWD", "257 \"/srv/ftp/pub\" is the current directory");
    let mut c = from(3);
    c.next("220 Third");
    c.says("USER ftp", "331 Please specify the password.");
    c.says("PASS x", "530 Login incorrect.");
    from(4).next(&oops(&host, "cannot read config file: "));
}

/// What a stranger is told: the original tells what the configuration says (reference 10.1, 14).
fn oops(host: &Host, text: &str) -> String {
    if host.ours() {
        "500 OOPS: cannot read config file".to_owned()
    } else {
        format!("500 OOPS: {text}")
    }
}

#[test]
fn a_broken_configuration_ends_the_connection() {
    let host = Host::new();
    host.write(
        "/etc/hosts.allow",
        "vsftpd: 127.0.0.1: setenv VSFTPD_LOAD_CONF /etc/other.conf\n",
    );
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    from(1).next(&oops(&host, "cannot read config file: /etc/other.conf"));
    host.write("/etc/other.conf", "nonsense=YES\n");
    from(1).next(&oops(
        &host,
        "unrecognised variable in config file: nonsense",
    ));
    in_from(2);
}

#[test]
fn a_denied_client_has_its_configuration_too() {
    let host = Host::new();
    host.write(
        "/etc/hosts.deny",
        "vsftpd: 127.0.0.1: setenv VSFTPD_LOAD_CONF /etc/other.conf\n",
    );
    host.write("/etc/other.conf", "vsftpd_log_file=/var/log/other.log\n");
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    out_from(1);
    assert!(host.exists("/var/log/other.log"));
    assert!(!host.exists(log::VSFTPD));
}

/// What a rule asks for and does not get is told in the log of that very session.
#[test]
fn what_a_rule_does_not_get_is_logged() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    host.write("/etc/hosts.allow", "vsftpd: 127.0.0.1: spawn /bin/true\n");
    in_from(1);
    crate::support::wait("the word about it", || {
        let log = std::fs::read_to_string(log::VSFTPD).unwrap_or_default();
        log.contains("DEBUG: Client \"127.0.0.1\", \"/etc/hosts.allow:1: ")
            .then_some(())
    });
}

#[test]
fn limits_come_first() {
    let host = Host::new();
    let _server = Server::start(&host, "tcp_wrappers=YES\nmax_clients=1\n");
    let _first = Client::connect();
    host.write("/etc/hosts.deny", "ALL: ALL\n");
    let mut second = from(1);
    second.next("421 There are too many connected users, please try later.");
    second.closed();
    assert_eq!(
        log::vsftpd(2)[1],
        "CONNECT: Client \"127.0.0.1\", \"Connection refused: too many sessions.\""
    );
}

#[test]
fn limits_may_differ_from_address_to_address() {
    let host = Host::new();
    host.write(
        "/etc/hosts.allow",
        "vsftpd: 127.0.0.2: setenv VSFTPD_LOAD_CONF /etc/other.conf\n",
    );
    host.write("/etc/other.conf", "max_per_ip=3\n");
    let _server = Server::start(&host, "tcp_wrappers=YES\nmax_per_ip=1\n");
    let _first = from(1).greeted();
    from(1).next("421 There are too many connections from your internet address.");
    let _others = [from(2).greeted(), from(2).greeted(), from(2).greeted()];
    from(2).next("421 There are too many connections from your internet address.");
}

#[test]
fn limits_may_be_stricter_for_an_address() {
    let host = Host::new();
    host.write(
        "/etc/hosts.allow",
        "vsftpd: 127.0.0.2: setenv VSFTPD_LOAD_CONF /etc/other.conf\n",
    );
    host.write("/etc/other.conf", "max_clients=1\n");
    let _server = Server::start(&host, "tcp_wrappers=YES\nmax_clients=9\n");
    let first = from(2).greeted();
    from(2).next("421 There are too many connected users, please try later.");
    from(1).greeted();
    drop(first);
}

#[test]
fn commands_are_not_run() {
    let host = Host::new();
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    // Blanks and all: what the shell of the original writes is seen from outside.
    host.write(
        "/etc/hosts.allow",
        "vsftpd: 127.0.0.1: spawn /bin/echo %a > /run/spawned\n",
    );
    in_from(1);
    if host.ours() {
        assert!(!host.exists("/run/spawned"));
    } else {
        assert_eq!(host.read("/run/spawned"), b"127.0.0.1\n");
    }
    host.write("/etc/hosts.allow", "");
    host.write("/etc/hosts.deny", "vsftpd: 127.0.0.1: spawn /bin/true\n");
    out_from(1);
    // The original gives the client to the command; ours refuses it, as the manual's own example of twist does.
    host.write(
        "/etc/hosts.deny",
        "vsftpd: 127.0.0.1: twist /bin/echo 421 Some bounce message\n",
    );
    if host.ours() {
        out_from(1);
    } else {
        let c = from(1);
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut c.stream(), &mut text).unwrap();
        assert_eq!(text, b"421 Some bounce message\n");
    }
    assert_eq!(log::vsftpd(2).len(), if host.ours() { 3 } else { 2 });
    // Whether this command would let the client in, nobody knows without running it.
    host.write("/etc/hosts.deny", "");
    host.write("/etc/hosts.allow", "vsftpd: 127.0.0.1: aclexec /bin/true\n");
    if host.ours() {
        out_from(1);
    } else {
        in_from(1);
    }
}

#[test]
fn banners_are_not_shown() {
    let host = Host::new();
    std::fs::create_dir("/etc/banners").unwrap();
    host.write("/etc/banners/vsftpd", "220-Hello %a\n");
    host.write("/etc/hosts.allow", "vsftpd: ALL: banners /etc/banners\n");
    let _server = Server::start(&host, "tcp_wrappers=YES\nftpd_banner=Main\n");
    // Whoever used this wrote `220-` into the file; ours has banner_file for it.
    from(1).next(if host.ours() {
        "220 Main"
    } else {
        "220-Hello 127.0.0.1\r\n220 Main"
    });
}

#[test]
fn where_ours_takes_the_rule_at_its_word() {
    let host = Host::new();
    host.write(
        "/etc/nsswitch.conf",
        "hosts: files\npasswd: files\ngroup: files\nshadow: files\n",
    );
    host.write(
        "/etc/hosts",
        "127.0.0.2 10.1.evil.example\n127.0.0.3 host.evil.example\n",
    );
    let long = format!("vsftpd: {} 127.0.0.2", "10.0.0.1 ".repeat(300));
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    for (rule, original, ours) in [
        // Every address has no bits in common with the empty mask; the original matches none.
        ("vsftpd: 0.0.0.0/0", ["220"; 2], ["421"; 2]),
        // A name must not pass for an address.
        ("vsftpd: 10.*", ["421", "220"], ["220", "220"]),
        // Addresses are matched by their beginning (hosts_access(5)); the original does it to names as well.
        ("vsftpd: host.", ["220", "421"], ["220", "220"]),
        // A rule may be long. The original takes it for a broken file, which in hosts.deny refuses everyone.
        (&long, ["421", "421"], ["421", "220"]),
        // A number is a number to its end.
        ("vsftpd: 127.0.0.0/8/8", ["421"; 2], ["220"; 2]),
        // A comment that ends the file without a newline is no rule.
        ("sshd: ALL\n# end\\", ["421"; 2], ["220"; 2]),
    ] {
        host.write("/etc/hosts.deny", &format!("{rule}\n"));
        let expected = if host.ours() { ours } else { original };
        for (last, expected) in [2, 3].into_iter().zip(expected) {
            assert_eq!(
                from(last).reply().code(),
                expected,
                "{rule} from 127.0.0.{last}"
            );
        }
    }
}

#[test]
fn a_table_that_cannot_be_read() {
    let host = Host::new();
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    for table in ["/etc/hosts.deny", "/etc/hosts.allow"] {
        std::fs::remove_file(table).unwrap();
        std::fs::create_dir(table).unwrap();
        // The original takes it for empty; ours cannot know what it forbids.
        if host.ours() {
            out_from(1);
        } else {
            in_from(1);
        }
        std::fs::remove_dir(table).unwrap();
        host.write(table, "");
    }
}

#[test]
fn names_from_the_hosts_file() {
    let host = Host::new();
    host.write(
        "/etc/nsswitch.conf",
        "hosts: files\npasswd: files\ngroup: files\nshadow: files\n",
    );
    host.write("/etc/hosts", "127.0.0.1 here\n127.0.0.2 a.good.example\n");
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    for (list, first, second, third) in [
        ("here", "421", "220", "220"),
        ("HERE", "421", "220", "220"),
        ("LOCAL", "421", "220", "220"),
        (".good.example", "220", "421", "220"),
        (".Example EXCEPT a.good.example", "220", "220", "220"),
        ("*.example", "220", "421", "220"),
        ("KNOWN", "421", "421", "220"),
        ("UNKNOWN", "220", "220", "421"),
        ("PARANOID", "220", "220", "220"),
    ] {
        host.write("/etc/hosts.deny", &format!("vsftpd: {list}\n"));
        for (last, expected) in [(1, first), (2, second), (3, third)] {
            assert_eq!(
                from(last).reply().code(),
                expected,
                "{list} from 127.0.0.{last}"
            );
        }
    }
}

/// A name server: 127.0.0.1 is `true.example` and 127.0.0.2 and .3 say so too; `lost.example`, .4, has no address.
fn name_server() {
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    std::thread::spawn(move || {
        let mut room = [0_u8; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut room) {
            let _ = socket.send_to(&answer(&room[..length]), peer);
        }
    });
}

/// Answers one question (RFC 1035, 4.1).
fn answer(query: &[u8]) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..=at + length]).to_lowercase());
        at += length + 1;
    }
    let kind = query[at + 2];
    let question = &query[12..at + 5];
    let encode = |name: &str| {
        let mut bytes = Vec::new();
        for label in name.split('.') {
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        bytes
    };
    let name = labels.join(".");
    let data = match (kind, name.as_str()) {
        (1, "true.example") => Some(vec![127, 0, 0, 1]),
        (12, "4.0.0.127.in-addr.arpa") => Some(encode("lost.example")),
        (12, "5.0.0.127.in-addr.arpa") => Some(encode("127.0.0.1")),
        (12, reverse) if reverse.ends_with(".0.0.127.in-addr.arpa") => Some(encode("true.example")),
        _ => None,
    };
    let known = data.is_some() || name == "true.example";
    let mut reply = query[..2].to_vec();
    reply.extend_from_slice(&[0x81, if known { 0x80 } else { 0x83 }]);
    reply.extend_from_slice(&[0, 1, 0, u8::from(data.is_some()), 0, 0, 0, 0]);
    reply.extend_from_slice(question);
    if let Some(data) = data {
        reply.extend_from_slice(&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0, 0, data.len() as u8]);
        reply.extend_from_slice(&data);
    }
    reply
}

/// Attacks B-161.
#[test]
fn a_name_must_have_the_address() {
    let host = Host::new();
    host.write(
        "/etc/nsswitch.conf",
        "hosts: dns\npasswd: files\ngroup: files\nshadow: files\n",
    );
    host.write(
        "/etc/resolv.conf",
        "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    );
    name_server();
    let _server = Server::start(&host, "tcp_wrappers=YES\n");
    // 127.0.0.1 is who it says; .2 only says so; .4's name has no address; .5's name reads as an address.
    for (list, codes) in [
        ("true.example", ["421", "220", "220", "220"]),
        (".example", ["421", "220", "220", "220"]),
        ("*.example", ["421", "220", "220", "220"]),
        ("KNOWN", ["421", "220", "220", "220"]),
        ("UNKNOWN", ["220", "220", "220", "220"]),
        ("PARANOID", ["220", "421", "421", "421"]),
        ("127.0.0.1", ["421", "220", "220", "220"]),
        ("LOCAL", ["220", "220", "220", "220"]),
    ] {
        host.write("/etc/hosts.deny", &format!("vsftpd: {list}\n"));
        for (last, expected) in [1, 2, 4, 5].into_iter().zip(codes) {
            assert_eq!(
                from(last).reply().code(),
                expected,
                "{list} from 127.0.0.{last}"
            );
        }
    }
}
