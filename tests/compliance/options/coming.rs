//! Options that ours did not serve when this was written, as the original serves them; run apart with `options::coming::`.

use super::{DONE, runs_as, status, with};
use crate::support::host::ALICE;
use crate::support::{Client, Host, Server, wait};

#[test]
fn tcp_wrappers() {
    let host = Host::new();
    host.write("/etc/hosts.deny", "vsftpd: 127.0.0.1\n");
    host.write(
        "/etc/hosts.allow",
        "vsftpd: 127.0.0.3: setenv VSFTPD_LOAD_CONF /etc/other.conf\n",
    );
    host.write("/etc/other.conf", "ftpd_banner=Other\n");
    with(&host, "tcp_wrappers=YES\nftpd_banner=Main\n", || {
        let mut c = Client::dial();
        c.next("421 Service not available.");
        c.closed();
        let here = "127.0.0.1".parse().unwrap();
        Client::dial_from("127.0.0.2".parse().unwrap(), here).next("220 Main");
        Client::dial_from("127.0.0.3".parse().unwrap(), here).next("220 Other");
    });
    with(&host, "ftpd_banner=Main\n", || {
        Client::dial().next("220 Main")
    });
}

#[test]
fn seccomp_sandbox() {
    let host = Host::new();
    for (lines, mode) in [("seccomp_sandbox=YES\n", "2"), ("", "0")] {
        let server = Server::start(&host, lines);
        let mut c = Client::connect();
        let before = runs_as(&server, 65534);
        wait("the filter", || {
            (status(before, "Seccomp").as_deref() == Some(mode)).then_some(())
        });
        c.login("alice");
        let after = runs_as(&server, ALICE);
        assert_eq!(status(after, "Seccomp").as_deref(), Some(mode), "{lines}");
        // The original's filter kills what today's C library does (reference 5.16).
        if host.ours() || mode == "0" {
            assert_eq!(c.fetch("RETR f"), b"hello world\n");
            assert_eq!(c.store("STOR up", b"x").text(), DONE);
        } else {
            c.says("NOOP", "200 NOOP ok.");
        }
    }
}
