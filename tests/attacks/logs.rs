//! Logs that are moved while they are written, and names of other files where a log is to be (attacks B-124).

use crate::sessions::back_to_base;
use crate::support::host::{ALICE, CONFIG, PROGRAM};
use crate::support::{Client, Host, Server, wait};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

const LOG: &str = "/var/log/vsftpd.log";

fn count(path: &str, text: &str) -> usize {
    let log = fs::read(path).unwrap_or_default();
    let log = String::from_utf8_lossy(&log).into_owned();
    assert!(log.is_empty() || log.ends_with('\n'), "{log}");
    log.matches(text).count()
}

/// Moved away, as logrotate does it: who has begun goes on in the old one, who comes then has a new one, and no line is lost.
#[test]
fn rotated_while_they_are_written() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let mut old: Vec<Client> = (0..3).map(|_| Client::alice()).collect();
    let mut made = 0;
    for round in 1..=4 {
        fs::rename(LOG, format!("{LOG}.{round}")).unwrap();
        if round % 2 == 0 {
            server.signal(Signal::SIGHUP);
        }
        old.push(Client::alice());
        for c in &mut old {
            made += 1;
            assert_eq!(c.cmd(&format!("MKD d{made}")).code(), "257");
        }
        let log = fs::metadata(LOG).unwrap();
        assert_eq!((log.mode() & 0o7777, log.uid()), (0o600, 0));
    }
    let all = [1, 2, 3, 4].map(|round| format!("{LOG}.{round}"));
    wait("every line", || {
        let lines = all.iter().map(|path| count(path, "OK MKDIR"));
        (lines.sum::<usize>() + count(LOG, "OK MKDIR") == made).then_some(())
    });
    assert!(count(LOG, "OK LOGIN") == 1 && count(&all[0], "OK LOGIN") == 3);
    drop(old);
    back_to_base(&server);
}

/// Where others may make names, one of a file that they may not write is not written either.
#[test]
fn a_name_of_another_file() {
    let host = Host::new();
    host.mkdir("/srv/logs", 0);
    host.write("/srv/victim", "root's\n");
    host.mode("/srv/victim", 0o600);
    let log = "/srv/logs/vsftpd.log";
    let lines = format!("vsftpd_log_file={log}\n");
    let refused = || Client::dial().reply().text() == "500 OOPS: failed to open vsftpd log file";
    fs::hard_link("/srv/victim", log).unwrap();
    for (mode, owner) in [(0o777, 0), (0o1777, 0), (0o775, 0), (0o755, ALICE)] {
        host.mode("/srv/logs", mode);
        host.own("/srv/logs", owner);
        let server = Server::start(&host, &lines);
        assert!(refused(), "{mode:o} {owner}");
        assert_eq!(host.read("/srv/victim"), b"root's\n");
        drop(server);
        let checked = Command::new(PROGRAM).args(["--check", CONFIG]).output();
        let said = String::from_utf8(checked.unwrap().stderr).unwrap();
        assert!(
            said.contains("it has another name, and others may"),
            "{said}"
        );
    }
    // In a directory of root's alone it is root's own doing.
    host.own("/srv/logs", 0);
    host.mode("/srv/logs", 0o755);
    let server = Server::start(&host, &lines);
    Client::alice().says("QUIT", "221 Goodbye.");
    assert!(count("/srv/victim", "OK LOGIN") == 1);
    drop(server);
    // And one without another name is a log, wherever it is.
    fs::remove_file(log).unwrap();
    host.mode("/srv/logs", 0o777);
    let _server = Server::start(&host, &lines);
    Client::alice().says("QUIT", "221 Goodbye.");
    assert_eq!(count(log, "OK LOGIN"), 1);
}
