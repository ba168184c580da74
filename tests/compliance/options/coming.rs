//! Options that ours did not serve when this was written, as the original serves them; run apart with `options::coming::`.

use super::{
    CHANGED, DENIED, DONE, IN, PASSWORD, WRONG, at, login, oops, runs_as, session, status, with,
};
use crate::support::host::{ALICE, BOB, FTP};
use crate::support::log::{vsftpd, xferlog};
use crate::support::server::{BASE, output};
use crate::support::{Client, Host, Server, wait};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;

const NO_CHANGE: &str = "550 Failed to change directory.";
const NO_HTTP: &str = "500 HTTP protocol commands not allowed.";

/// A host where PAM lets in whoever comes, with an account or without, and bob's home has a file.
fn guests() -> (Host, &'static str) {
    let host = Host::new();
    host.write(
        "/etc/pam.d/guests",
        "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
    );
    host.write("/home/bob/file", "of bob");
    (
        host,
        "pam_service_name=guests\nguest_enable=YES\nguest_username=bob\nallow_writeable_chroot=YES\n",
    )
}

#[test]
fn guest_enable() {
    let (host, lines) = guests();
    with(&host, &format!("{lines}dual_log_enable=YES\n"), || {
        // ann has no account; alice has one, which does not matter.
        for name in ["ann", "alice"] {
            let mut c = login(name, "x", IN);
            at(&mut c, "/");
            assert_eq!(c.names("NLST"), ["file"]);
            let told = c.cmd("STAT").text();
            assert!(
                told.contains(&format!("     Logged in as {name}\r\n")),
                "{told}"
            );
            // Guests are like anonymous clients.
            c.script(&[
                ("MKD d", DENIED),
                ("SITE HELP", DENIED),
                ("USER ann", "530 Can't change from guest user."),
            ]);
            assert_eq!(c.fetch("RETR file"), b"of bob");
            assert_eq!(
                xferlog(1),
                [format!("127.0.0.1 6 /file a _ o g {name} ftp 0 * c")]
            );
            assert_eq!(
                vsftpd(2)[1],
                format!("[{name}] OK LOGIN: Client \"127.0.0.1\"")
            );
            fs::remove_file("/var/log/xferlog").unwrap();
            fs::remove_file("/var/log/vsftpd.log").unwrap();
        }
        // Anonymous clients stay what they are.
        assert_eq!(login("ftp", "x", IN).names("NLST"), ["incoming", "pub"]);
    });
    let lines = "pam_service_name=guests\nguest_username=bob\n";
    with(&host, lines, || {
        at(&mut login("alice", "x", IN), "/home/alice");
        login("ann", "x", "500 OOPS: cannot locate user entry:ann").ended();
    });
}

#[test]
fn guest_username() {
    let (host, lines) = guests();
    for (lines, uid, place) in [
        (lines.to_owned(), BOB, "file"),
        // ftp is the default.
        (lines.replace("guest_username=bob\n", ""), FTP, "pub"),
    ] {
        let server = Server::start(&host, &lines);
        let mut c = login("ann", "x", IN);
        assert!(c.names("NLST").contains(&place.to_owned()));
        runs_as(&server, uid);
    }
    oops(
        &host,
        &lines.replace("=bob", "=nosuch"),
        "vsftpd: cannot locate user specified in 'guest_username':nosuch",
    );
}

#[test]
fn virtual_use_local_privs() {
    let (host, lines) = guests();
    let both = format!("{lines}local_umask=022\nanon_umask=027\n");
    with(
        &host,
        &format!("{both}virtual_use_local_privs=YES\n"),
        || {
            let mut c = login("ann", "x", IN);
            at(&mut c, "/home/bob");
            assert_eq!(c.store("STOR mine", b"x").text(), DONE);
            c.script(&[
                ("SITE CHMOD 600 file", "550 SITE CHMOD command failed."),
                ("SITE CHMOD 604 mine", "200 SITE CHMOD command ok."),
                ("MKD d", "257 \"/home/bob/d\" created"),
                ("USER ann", "331 Any password will do."),
            ]);
        },
    );
    assert_eq!(
        fs::metadata("/home/bob/mine").unwrap().mode() & 0o7777,
        0o604
    );
    assert_eq!(fs::metadata("/home/bob/d").unwrap().uid(), BOB);
    with(&host, &format!("{both}anon_upload_enable=YES\n"), || {
        let mut c = login("ann", "x", IN);
        at(&mut c, "/");
        assert_eq!(c.store("STOR hers", b"x").text(), DONE);
        c.script(&[
            ("DELE hers", DENIED),
            ("MKD e", DENIED),
            ("SITE UMASK", DENIED),
        ]);
    });
    assert_eq!(
        fs::metadata("/home/bob/hers").unwrap().mode() & 0o7777,
        0o640
    );
}

#[test]
fn user_sub_token_of_guests() {
    let (host, lines) = guests();
    let accounts = String::from_utf8(host.read("/etc/passwd")).unwrap();
    let line = "virt:x:1010:1010::/srv/v/$USER:/bin/sh\n";
    host.write("/etc/passwd", &(accounts + line));
    for name in ["ann", "ben"] {
        host.mkdir(&format!("/srv/v/{name}"), 1010);
        host.mkdir(&format!("/srv/v/{name}/web-{name}"), 1010);
    }
    let lines = lines.replace("=bob", "=virt");
    with(&host, &format!("{lines}user_sub_token=$USER\n"), || {
        for name in ["ann", "ben"] {
            let mut c = login(name, "x", IN);
            at(&mut c, "/");
            assert_eq!(c.names("NLST"), [format!("web-{name}")]);
        }
    });
    let both = format!("{lines}user_sub_token=$USER\nvirtual_use_local_privs=YES\n");
    with(
        &host,
        &format!("{both}local_root=/srv/v/$USER/web-$USER\n"),
        || {
            at(&mut login("ben", "x", IN), "/srv/v/ben/web-ben");
        },
    );
    with(&host, &lines, || {
        login("ann", "x", "500 OOPS: cannot change directory:/srv/v/$USER").ended();
    });
}

#[test]
fn user_config_dir() {
    let host = Host::new();
    fs::create_dir("/etc/users").unwrap();
    host.write(
        "/etc/users/alice",
        "write_enable=NO\nhide_ids=YES\nlocal_root=d\n",
    );
    host.write("/etc/users/ftp", "anon_root=/srv/ftp/pub\n");
    with(&host, "user_config_dir=/etc/users\n", || {
        let mut c = Client::alice();
        at(&mut c, "/home/alice/d");
        c.says("MKD x", DENIED);
        assert!(c.names("LIST 1")[0].contains(" ftp      ftp      "));
        assert_eq!(Client::anonymous().names("NLST"), ["file", "priv"]);
        // bob has no file.
        Client::user("bob").says("MKD x", "257 \"/home/bob/x\" created");
        // The decision to jail comes before the file is read.
        host.write("/etc/users/bob", "chroot_local_user=YES\n");
        at(&mut Client::user("bob"), "/home/bob");
        host.write("/etc/users/bob", "no_such_option=YES\n");
        let mut c = Client::connect();
        c.says("USER bob", PASSWORD);
        let said = c.cmd("PASS secret").text();
        assert!(said.starts_with("500 OOPS: "), "{said}");
        c.ended();
    });
    with(&host, "", || {
        Client::alice().says("MKD x", "257 \"/home/alice/x\" created");
        assert_eq!(Client::anonymous().names("NLST"), ["incoming", "pub"]);
    });
}

/// Owner and permissions of what an anonymous client uploads.
fn uploaded(host: &Host, lines: &str) -> (u32, u32, u32) {
    let _ = fs::remove_file("/srv/ftp/incoming/up");
    with(
        host,
        &format!("anon_upload_enable=YES\nanon_umask=022\n{lines}"),
        || {
            let mut c = Client::anonymous();
            assert_eq!(c.store("STOR incoming/up", b"x").text(), DONE);
            let meta = fs::metadata("/srv/ftp/incoming/up").unwrap();
            (meta.uid(), meta.gid(), meta.mode() & 0o7777)
        },
    )
}

/// The group of anonymous uploads, which stays.
const GROUP: u32 = 105;

#[test]
fn chown_uploads() {
    let host = Host::new();
    let owner = "chown_username=bob\nchown_upload_mode=0640\n";
    let on = format!("chown_uploads=YES\n{owner}");
    assert_eq!(uploaded(&host, &on), (BOB, GROUP, 0o640));
    assert_eq!(uploaded(&host, owner), (FTP, GROUP, 0o644));
    // Uploads of users of the host stay theirs.
    with(&host, &on, || {
        assert_eq!(Client::alice().store("STOR up", b"x").text(), DONE);
    });
    assert_eq!(fs::metadata("/home/alice/up").unwrap().uid(), ALICE);
}

#[test]
fn chown_username() {
    let host = Host::new();
    let (uid, _, _) = uploaded(&host, "chown_uploads=YES\nchown_username=alice\n");
    assert_eq!(uid, ALICE);
    // root is the default.
    assert_eq!(uploaded(&host, "chown_uploads=YES\n").0, 0);
    oops(
        &host,
        "chown_uploads=YES\nchown_username=nosuch\n",
        "vsftpd: cannot locate user specified in 'chown_username':nosuch",
    );
}

#[test]
fn chown_upload_mode() {
    let host = Host::new();
    let on = "chown_uploads=YES\nchown_username=bob\n";
    for (lines, mode) in [
        ("chown_upload_mode=0644\n", 0o644),
        // No more than the nine bits, and whatever the umask says.
        ("chown_upload_mode=04777\n", 0o777),
        ("", 0o600),
    ] {
        assert_eq!(uploaded(&host, &format!("{on}{lines}")).2, mode, "{lines}");
    }
}

/// The command line of a process as `ps` shows it.
fn title(pid: i32) -> String {
    let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .replace('\0', " ")
        .trim_end()
        .to_owned()
}

/// Waits until a process of the server is called this.
#[track_caller]
fn called(wanted: &str) {
    wait(&format!("the title {wanted:?}"), || {
        Server::processes()
            .iter()
            .any(|pid| title(*pid) == wanted)
            .then_some(())
    });
}

#[test]
fn setproctitle_enable() {
    let host = Host::new();
    {
        let server = Server::start(&host, "setproctitle_enable=YES\n");
        wait("the title", || {
            (title(server.pid()) == "vsftpd: LISTENER").then_some(())
        });
        let mut c = Client::connect();
        called("vsftpd: 127.0.0.1: connected");
        called("vsftpd: 127.0.0.1: not logged in");
        c.login("alice");
        called("vsftpd: 127.0.0.1/alice: IDLE");
        let (_, data) = c.begin("STOR a file");
        called("vsftpd: 127.0.0.1/alice: STOR a file");
        drop(data);
        c.next(DONE);
        called("vsftpd: 127.0.0.1/alice: IDLE");
        assert_eq!(title(server.pid()), "vsftpd: LISTENER");
    }
    let server = Server::start(&host, "");
    let _client = Client::alice();
    for pid in session(&server).into_iter().chain([server.pid()]) {
        assert_eq!(title(pid), "/mnt/vsftpd /etc/vsftpd.conf");
    }
}

#[test]
fn pasv_addr_resolve() {
    let host = Host::new();
    host.write(
        "/etc/hosts",
        "127.0.0.1 localhost\n10.9.8.7 ftp.private.test\n",
    );
    let lines = "pasv_min_port=4000\npasv_max_port=4000\npasv_address=ftp.private.test\n";
    with(&host, &format!("{lines}pasv_addr_resolve=YES\n"), || {
        // Once, when the server starts.
        host.write("/etc/hosts", "127.0.0.1 localhost\n");
        Client::alice().says("PASV", "227 Entering Passive Mode (10,9,8,7,15,160).");
        Client::alice().says("PASV", "227 Entering Passive Mode (10,9,8,7,15,160).");
    });
    let (status, said) = Server::refused(&host, &format!("{lines}pasv_addr_resolve=YES\n"));
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("cannot resolve host:"), "{said}");
    // Without it the text must be an address. The original notices at PASV, ours at the start (reference 10.3, 45).
    if host.ours() {
        let (status, said) = Server::refused(&host, lines);
        assert_eq!(status.code(), Some(2));
        assert!(said.contains("pasv_address"), "{said}");
    } else {
        with(&host, lines, || {
            Client::alice().says("PASV", "500 OOPS: invalid pasv_address");
        });
    }
}

/// Records of utmp or wtmp (utmp(5)) that are ours: type, user and host.
fn records(path: &str) -> Vec<(i16, String, String)> {
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    fs::read(path)
        .unwrap()
        .chunks_exact(std::mem::size_of::<libc::utmpx>())
        .filter(|record| text(&record[8..40]).starts_with("vsftpd:"))
        .map(|record| {
            let kind = i16::from_ne_bytes([record[0], record[1]]);
            (kind, text(&record[44..76]), text(&record[76..332]))
        })
        .collect()
}

#[test]
fn session_support() {
    let host = Host::new();
    let (utmp, wtmp) = ("/run/utmp", "/var/log/wtmp");
    let alice = |kind| (kind, "alice".to_owned(), "127.0.0.1".to_owned());
    // A module that leaves a mark. The original hangs if one starts a program, as pam_exec does.
    let mark = "/var/log/lastlog";
    let marked = || fs::metadata(mark).unwrap().len() > 0;
    host.write(
        "/etc/pam.d/sessions",
        "auth required pam_unix.so nodelay\naccount required pam_unix.so\n\
         session required pam_lastlog.so silent nowtmp\n",
    );
    let lines = "pam_service_name=sessions\n";
    for (name, on) in [("session_support=YES\n", true), ("", false)] {
        host.write(utmp, "");
        host.write(wtmp, "");
        host.write(mark, "");
        with(&host, &format!("{lines}{name}"), || {
            // An anonymous client is no session of the host's.
            Client::anonymous().says("QUIT", "221 Goodbye.");
            assert!(!marked() && records(wtmp).is_empty());
            let mut c = Client::alice();
            assert_eq!(marked(), on);
            if on {
                assert_eq!(records(utmp), [alice(libc::USER_PROCESS)]);
                assert_eq!(records(wtmp), [alice(libc::USER_PROCESS)]);
            }
            c.says("QUIT", "221 Goodbye.");
            c.closed();
            if on {
                wait("the end to be recorded", || {
                    let kinds: Vec<i16> = records(wtmp).iter().map(|record| record.0).collect();
                    (kinds == [libc::USER_PROCESS, libc::DEAD_PROCESS]).then_some(())
                });
                wait("utmp", || {
                    (records(utmp)[0].0 == libc::DEAD_PROCESS).then_some(())
                });
            }
        });
    }
    assert!(records(utmp).is_empty() && records(wtmp).is_empty());
    assert!(!marked());
    // A session that cannot be opened is a login that fails.
    host.write(
        "/etc/pam.d/sessions",
        "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_deny.so\n",
    );
    with(&host, &format!("{lines}session_support=YES\n"), || {
        login("alice", "secret", WRONG);
    });
    with(&host, lines, || {
        login("alice", "secret", IN);
    });
}

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

#[test]
fn one_process_model() {
    let host = Host::new();
    for (lines, count) in [("one_process_model=YES\n", 1), ("", 2)] {
        let server = Server::start(&host, &format!("{lines}local_enable=NO\n"));
        let mut c = Client::anonymous();
        wait("the processes", || {
            (session(&server).len() == count).then_some(())
        });
        runs_as(&server, FTP);
        assert_eq!(c.fetch("RETR pub/file"), b"pubfile");
        assert_eq!(session(&server).len(), count);
    }
    oops(
        &host,
        "one_process_model=YES\n",
        "vsftpd: security: 'one_process_model' is anonymous only",
    );
}

#[test]
fn run_as_launching_user() {
    let host = Host::new();
    let text = "listen=YES\nlisten_port=2121\nanon_root=/srv/ftp\n";
    {
        let text = format!("{text}run_as_launching_user=YES\n");
        let server = Server::bare(&host, ALICE, &text).up(2121);
        let here = "127.0.0.1".parse().unwrap();
        let mut c = Client::dial_port(here, 2121).greeted();
        c.says("USER ftp", PASSWORD);
        c.says("PASS x", IN);
        assert_eq!(c.fetch("RETR pub/file"), b"pubfile");
        // No account is changed to, and no root.
        at(&mut c, "/srv/ftp");
        c.says("CWD /home", CHANGED);
        for pid in Server::processes() {
            assert_eq!(status(pid, "Uid").as_deref(), Some("1001"));
        }
        assert_eq!(status(server.pid(), "Uid").as_deref(), Some("1001"));
    }
    let mut server = Server::bare(&host, ALICE, text);
    assert_eq!(server.wait_master().code(), Some(2));
    assert!(output().contains("must be started as root"), "{}", output());
}

/// What a server answers to one line and the end of a request.
fn asked(request: &str) -> String {
    let mut stream = TcpStream::connect("127.0.0.1:21").unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    // A request that is not read to its end makes a reset.
    let _ = stream.read_to_string(&mut text);
    text
}

const HTTP: &str = "ftp_enable=NO\nhttp_enable=YES\none_process_model=YES\nlocal_enable=NO\n";

#[test]
fn ftp_enable() {
    let host = Host::new();
    with(&host, HTTP, || {
        let said = asked("USER ftp\r\n\r\n");
        assert!(!said.contains("220") && !said.contains("331"), "{said}");
    });
    oops(
        &host,
        "ftp_enable=NO\n",
        "vsftpd: both FTP and HTTP disabled!",
    );
    with(&host, "", || {
        login("ftp", "x", IN);
    });
}

#[test]
fn http_enable() {
    let host = Host::new();
    with(&host, HTTP, || {
        let said = asked("GET /pub/file HTTP/1.0\r\nHost: here\r\n\r\n");
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
        assert!(said.ends_with("\r\n\r\npubfile"), "{said}");
    });
    oops(
        &host,
        "ftp_enable=NO\nhttp_enable=YES\nlocal_enable=NO\n",
        "vsftpd: HTTP needs 'one_process_model' for now",
    );
    with(&host, "", || {
        let mut c = Client::anonymous();
        c.says("GET /pub/file HTTP/1.0", NO_HTTP);
        c.closed();
    });
}

#[test]
fn listen_no_serves_the_connection_it_is_given() {
    use std::process::{Command, Stdio};
    let host = Host::new();
    fs::write(
        crate::support::host::CONFIG,
        BASE.replace("listen=YES", "listen=NO"),
    )
    .unwrap();
    // As inetd does it: port 21 is the helper's, the connection is the server's descriptor 0.
    let listener = std::net::TcpListener::bind("127.0.0.1:21").unwrap();
    let dialled = Client::dial();
    let (stream, _) = listener.accept().unwrap();
    drop(listener);
    let stream = std::os::fd::OwnedFd::from(stream);
    let mut child = Command::new(crate::support::host::PROGRAM)
        .arg(crate::support::host::CONFIG)
        .stdin(Stdio::from(stream.try_clone().unwrap()))
        .stdout(Stdio::from(stream.try_clone().unwrap()))
        .stderr(Stdio::from(stream))
        .spawn()
        .unwrap();
    let mut c = dialled.greeted();
    c.login("alice");
    at(&mut c, "/home/alice");
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
    assert_eq!(vsftpd(2)[0], "CONNECT: Client \"127.0.0.1\"");
    c.says("CWD /nowhere", NO_CHANGE);
    c.says("QUIT", "221 Goodbye.");
    c.closed();
    wait("the server to end", || child.try_wait().unwrap());
    assert!(host.exists("/home/alice/f"));
}
