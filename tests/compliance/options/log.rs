//! What is logged and where: each option of src/config/options_log.rs.

use super::{A_WHILE, missing, session, with};
use crate::support::log::{VSFTPD, XFERLOG, vsftpd, xferlog};
use crate::support::server::output;
use crate::support::{Client, DEADLINE, Host, Server, wait};
use nix::fcntl::{FcntlArg, fcntl};
use nix::mount::{MsFlags, mount};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener};

const LOGIN: &str = "[alice] OK LOGIN: Client \"127.0.0.1\"";
const TRANSFER: &str =
    "[alice] OK DOWNLOAD: Client \"127.0.0.1\", \"/home/alice/f\", 12 bytes, RATE";
const WU: &str = "127.0.0.1 12 /home/alice/f a _ o r alice ftp 0 * c";

/// One login and one download of alice's, of which everything is logged when it returns.
fn download(host: &Host, lines: &str) {
    let server = Server::start(host, lines);
    let mut c = Client::alice();
    c.fetch("RETR f");
    c.says("QUIT", "221 Goodbye.");
    c.closed();
    wait("the session to end", || {
        session(&server).is_empty().then_some(())
    });
}

/// Which of the two logs there are; they are taken away.
fn logs(host: &Host) -> (bool, bool) {
    let found = (host.exists(VSFTPD), host.exists(XFERLOG));
    let _ = fs::remove_file(VSFTPD);
    let _ = fs::remove_file(XFERLOG);
    found
}

#[test]
fn xferlog_enable() {
    let host = Host::new();
    download(&host, "xferlog_enable=YES\n");
    assert_eq!(vsftpd(3)[1..], [LOGIN, TRANSFER]);
    assert_eq!(logs(&host), (true, false));
    // NO is the default.
    let _server = Server::exactly(&host, "listen=YES\nlocal_enable=YES\n", 21);
    let mut c = Client::alice();
    c.fetch("RETR f");
    assert_eq!(logs(&host), (false, false));
}

#[test]
fn xferlog_std_format() {
    let host = Host::new();
    download(&host, "xferlog_std_format=YES\n");
    assert_eq!(xferlog(1), [WU]);
    assert_eq!(logs(&host), (false, true));
    download(&host, "");
    assert_eq!(logs(&host), (true, false));
    // It is a form, not a switch.
    download(&host, "xferlog_enable=NO\nxferlog_std_format=YES\n");
    assert_eq!(logs(&host), (false, false));
}

#[test]
fn dual_log_enable() {
    let host = Host::new();
    for other in ["xferlog_enable=NO\n", "xferlog_std_format=YES\n"] {
        download(&host, &format!("dual_log_enable=YES\n{other}"));
        assert_eq!(vsftpd(3)[1..], [LOGIN, TRANSFER]);
        assert_eq!(xferlog(1), [WU]);
        assert_eq!(logs(&host), (true, true));
    }
    download(&host, "");
    assert_eq!(logs(&host), (true, false));
}

#[test]
fn vsftpd_log_file() {
    let host = Host::new();
    download(
        &host,
        "vsftpd_log_file=/var/log/other\nxferlog_file=/var/log/not\n",
    );
    assert_eq!(logs(&host), (false, false));
    assert!(!host.exists("/var/log/not"));
    fs::rename("/var/log/other", VSFTPD).unwrap();
    assert_eq!(vsftpd(3)[1..], [LOGIN, TRANSFER]);
    logs(&host);
    download(&host, "");
    assert_eq!(vsftpd(3)[1..], [LOGIN, TRANSFER]);
    missing(
        &host,
        "vsftpd_log_file=/srv/none/x\n",
        "failed to open vsftpd log file",
        None,
    );
}

#[test]
fn xferlog_file() {
    let host = Host::new();
    download(
        &host,
        "xferlog_std_format=YES\nxferlog_file=/var/log/other\nvsftpd_log_file=/var/log/not\n",
    );
    assert_eq!(logs(&host), (false, false));
    assert!(!host.exists("/var/log/not"));
    fs::rename("/var/log/other", XFERLOG).unwrap();
    assert_eq!(xferlog(1), [WU]);
    logs(&host);
    download(&host, "xferlog_std_format=YES\n");
    assert_eq!(xferlog(1), [WU]);
    missing(
        &host,
        "xferlog_std_format=YES\nxferlog_file=/srv/none/x\n",
        "failed to open xferlog log file",
        None,
    );
}

/// A /dev of the host's own whose /dev/log we read.
fn system_log() -> UnixDatagram {
    fs::create_dir("/mnt/dev").unwrap();
    for name in ["null", "zero", "random", "urandom"] {
        let (from, to) = (format!("/dev/{name}"), format!("/mnt/dev/{name}"));
        fs::write(&to, b"").unwrap();
        bind(&from, &to);
    }
    mount(
        Some("/mnt/dev"),
        "/dev",
        None::<&str>,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        None::<&str>,
    )
    .unwrap();
    let log = UnixDatagram::bind("/dev/log").unwrap();
    log.set_read_timeout(Some(DEADLINE)).unwrap();
    log
}

fn bind(from: &str, to: &str) {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
}

/// The server's next line of the system's log, without the date that syslog(3) may put in it.
fn logged(log: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    loop {
        let count = log.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        // PAM's modules speak too.
        let Some((head, line)) = text.split_once("vsftpd[") else {
            continue;
        };
        let (pid, line) = line.split_once("]: ").unwrap();
        // Ours adds a DEBUG line with the reason of a refusal (DIFFERENCES, Log of refusals).
        if line.starts_with("pam_") || line.contains(" DEBUG: ") {
            continue;
        }
        assert!(pid.parse::<u32>().is_ok(), "{text}");
        let (priority, _) = head.split_once('>').unwrap();
        return format!("{priority}> {line}");
    }
}

/// The original overwrites the name that modules of PAM speak under to the system's log: `d: 127.0.0.1: connected` stands there, and no filter
/// knows whose lines these are.
#[test]
fn modules_speak_under_the_program_s_name() {
    let host = Host::new();
    let log = system_log();
    with(&host, "setproctitle_enable=YES\n", || {
        let mut c = Client::connect();
        c.cmd("USER alice");
        c.cmd("PASS wrong");
        let mut buffer = [0; 4096];
        let count = log.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        let named = text.contains(" vsftpd: pam_unix(vsftpd:auth): authentication failure");
        assert_eq!(named, host.ours(), "{text}");
    });
}

/// A system's log that is started anew has what is logged from then on, as long as a session is not behind its chroot.
#[test]
fn a_system_log_that_is_started_anew_before_login() {
    let host = Host::new();
    let log = system_log();
    with(&host, "syslog_enable=YES\nxferlog_enable=NO\n", || {
        let mut c = Client::connect();
        c.cmd("USER alice");
        if host.ours() {
            assert_eq!(logged(&log), "<94> CONNECT: Client \"127.0.0.1\"");
        }
        drop(log);
        fs::remove_file("/dev/log").unwrap();
        let log = UnixDatagram::bind("/dev/log").unwrap();
        log.set_read_timeout(Some(DEADLINE)).unwrap();
        c.cmd("PASS wrong");
        assert_eq!(
            logged(&log),
            "<92> [alice] FAIL LOGIN: Client \"127.0.0.1\""
        );
        c.login("alice");
        assert_eq!(logged(&log), format!("<94> {LOGIN}"));
        // What a session behind its chroot has to say then is lost, and no more.
        drop(log);
        assert_eq!(c.fetch("RETR f"), b"hello world\n");
        fs::remove_file("/dev/log").unwrap();
        let _log = UnixDatagram::bind("/dev/log").unwrap();
        assert_eq!(c.fetch("RETR f"), b"hello world\n");
        c.says("QUIT", "221 Goodbye.");
    });
}

/// attacks B-079.
#[test]
fn syslog_enable() {
    let host = Host::new();
    let log = system_log();
    with(&host, "syslog_enable=YES\nxferlog_enable=NO\n", || {
        let mut c = Client::connect();
        c.cmd("USER alice");
        c.cmd("PASS wrong");
        c.login("alice");
        c.fetch("RETR f");
        if host.ours() {
            // The original loses what is logged before login, behind its chroot (reference 7.4).
            assert_eq!(logged(&log), "<94> CONNECT: Client \"127.0.0.1\"");
        }
        assert_eq!(
            logged(&log),
            "<92> [alice] FAIL LOGIN: Client \"127.0.0.1\""
        );
        assert_eq!(logged(&log), format!("<94> {LOGIN}"));
        let line = logged(&log);
        assert!(
            line.starts_with(
                "<94> [alice] OK DOWNLOAD: Client \"127.0.0.1\", \"/home/alice/f\", 12 bytes, "
            ),
            "{line}"
        );
    });
    assert_eq!(logs(&host), (false, false));
    download(&host, "");
    assert_eq!(logs(&host), (true, false));
    log.set_nonblocking(true).unwrap();
    assert!(
        log.recv(&mut [0; 4096]).is_err(),
        "nothing for the system's log"
    );
    // The other form still goes to its file (reference 7.1).
    for lines in ["xferlog_std_format=YES\n", "dual_log_enable=YES\n"] {
        download(&host, &format!("syslog_enable=YES\n{lines}"));
        assert_eq!(xferlog(1), [WU]);
        assert_eq!(logs(&host), (false, true));
    }
}

#[test]
fn log_ftp_protocol() {
    let host = Host::new();
    let said = |text: &str| format!("[alice] FTP {text}");
    with(&host, "log_ftp_protocol=YES\n", || {
        Client::alice().says("CWD d", super::CHANGED);
        let log = vsftpd(9);
        assert_eq!(
            log[2..],
            [
                "FTP command: Client \"127.0.0.1\", \"USER alice\"".to_owned(),
                said("response: Client \"127.0.0.1\", \"331 Please specify the password.\""),
                said("command: Client \"127.0.0.1\", \"PASS <password>\""),
                LOGIN.to_owned(),
                said("response: Client \"127.0.0.1\", \"230 Login successful.\""),
                said("command: Client \"127.0.0.1\", \"CWD d\""),
                said("response: Client \"127.0.0.1\", \"250 Directory successfully changed.\""),
            ]
        );
    });
    logs(&host);
    download(&host, "");
    assert_eq!(vsftpd(3).len(), 3);
}

/// The log, locked whole by somebody else as long as it is held. Such a lock belongs to the descriptor, so that reading the log elsewhere in
/// this process does not end it.
fn locked() -> (File, libc::flock) {
    let file = File::options().write(true).open(VSFTPD).unwrap();
    let range = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&range)).unwrap();
    (file, range)
}

#[test]
fn no_log_lock() {
    let host = Host::new();
    host.write(VSFTPD, "");
    let (file, mut range) = locked();
    with(&host, "no_log_lock=YES\n", || {
        let _client = Client::connect();
        assert_eq!(vsftpd(1), ["CONNECT: Client \"127.0.0.1\""]);
    });
    fs::write(VSFTPD, b"").unwrap();
    with(&host, "", || {
        let _client = Client::dial();
        std::thread::sleep(A_WHILE); // Not earlier than: the lock is held all the time.
        assert_eq!(fs::read(VSFTPD).unwrap(), b"");
        range.l_type = libc::F_UNLCK as libc::c_short;
        fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&range)).unwrap();
        wait("the line", || {
            (!fs::read(VSFTPD).unwrap().is_empty()).then_some(())
        });
    });
}

/// A lock that somebody keeps, as who was stopped while he wrote, stops no session of ours; the original waits for ever.
#[test]
fn a_lock_that_is_kept() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    host.write(VSFTPD, "");
    let (_file, _) = locked();
    with(&host, "", || {
        let mut c = Client::alice();
        c.says("MKD new", "257 \"/home/alice/new\" created");
        c.says("QUIT", "221 Goodbye.");
        let log = vsftpd(3);
        assert_eq!(log[0], "CONNECT: Client \"127.0.0.1\"");
        assert!(log[2].contains("OK MKDIR"), "{log:?}");
    });
    with(&host, "max_per_ip=1\n", refusals_stop_nobody);
}

/// Master writes a line for each connection that it refuses, and waits for nobody meanwhile: together they would take longer than a test
/// waits for an answer.
fn refusals_stop_nobody() {
    let _first = Client::connect();
    let refused: Vec<Client> = (0..8).map(|_| Client::dial()).collect();
    // Behind them in master's queue.
    super::from("127.0.0.2", "127.0.0.1");
    for mut client in refused {
        client.next("421 There are too many connections from your internet address.");
        client.closed();
    }
}

/// A daemon that takes nothing, as one that was stopped, stops neither a session of ours nor master, and what it has missed is told when it
/// takes lines again; the original waits for ever (attacks B-079).
#[test]
fn a_system_log_that_takes_nothing() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let log = system_log();
    with(&host, "syslog_enable=YES\nmax_per_ip=1\n", || {
        let mut c = Client::alice();
        fill_system_log();
        c.says("MKD new", "257 \"/home/alice/new\" created");
        c.says("RMD new", "250 Remove directory operation successful.");
        let mut refused = Client::dial();
        refused.next("421 There are too many connections from your internet address.");
        refused.closed();
        let _other = super::from("127.0.0.2", "127.0.0.1");
        // Helper has a port for it only when it has waited long enough for the log: the first line is lost by now.
        let _ = c.pasv();
        log.set_nonblocking(true).unwrap();
        while log.recv(&mut [0; 4096]).is_ok() {}
        log.set_nonblocking(false).unwrap();
        c.says("DELE f", "250 Delete operation successful.");
        let line = logged(&log);
        assert!(
            line.starts_with(
                "<92> lines lost before this one, because the system's log took none: "
            ),
            "{line}"
        );
        assert!(logged(&log).starts_with("<94> [alice] OK DELETE"));
    });
}

/// Sends empty lines to the system's log until it takes none.
fn fill_system_log() {
    let taken = || {
        let line = UnixDatagram::unbound().unwrap();
        line.set_nonblocking(true).unwrap();
        line.connect("/dev/log").unwrap();
        let mut sent = 0;
        while line.send(b"-").is_ok() {
            sent += 1;
        }
        // What was sent is in the queue also when who sent it has gone.
        sent
    };
    while taken() > 0 {}
}

/// Old daemons take a stream, in which a zero byte ends a line (syslog(3)).
#[test]
fn syslog_enable_with_a_stream() {
    let host = Host::new();
    drop(system_log());
    fs::remove_file("/dev/log").unwrap();
    let log = UnixListener::bind("/dev/log").unwrap();
    log.set_nonblocking(true).unwrap();
    with(&host, "syslog_enable=YES\nxferlog_enable=NO\n", || {
        let mut c = Client::alice();
        assert_eq!(c.fetch("RETR f"), b"hello world\n");
        c.says("QUIT", "221 Goodbye.");
        let mut said = Vec::new();
        wait("both lines", || {
            while let Ok((mut stream, _)) = log.accept() {
                stream.set_nonblocking(false).unwrap();
                stream.read_to_end(&mut said).unwrap();
            }
            let lines = said.split(|byte| *byte == 0).map(String::from_utf8_lossy);
            let lines: Vec<_> = lines.filter(|line| line.contains("[alice] OK ")).collect();
            let whole = lines
                .iter()
                .all(|line| line.starts_with('<') && line.matches("vsftpd[").count() == 1);
            (lines.len() == 2).then(|| assert!(whole, "{lines:?}"))
        });
    });
}

/// Nobody reads the system's log: whoever started the server is told. The original loses the lines without a word.
#[test]
fn syslog_enable_without_a_system_log() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    drop(system_log());
    fs::remove_file("/dev/log").unwrap();
    let _server = Server::start(&host, "syslog_enable=YES\n");
    Client::alice().says("QUIT", "221 Goodbye.");
    let told = "127.0.0.1 lines of this session are missing in the system's log, /dev/log: No such file or directory";
    wait("the word about it", || {
        output().contains(told).then_some(())
    });
}
