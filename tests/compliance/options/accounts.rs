//! Guests, users with settings of their own, owners of uploads, and sessions on record.

use super::{DENIED, DONE, IN, PASSWORD, WRONG, at, login, oops, runs_as, with};
use crate::support::host::{ALICE, BOB, FTP};
use crate::support::log::{vsftpd, xferlog};
use crate::support::{Client, Host, Server, wait};
use std::fs;
use std::os::unix::fs::MetadataExt;

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

/// Guests and anonymous clients have all groups of the account they are.
#[test]
fn groups_of_guests() {
    let (host, lines) = guests();
    host.write(
        "/etc/group",
        "root:x:0:\nftp:x:105:\nbob:x:1002:\nshared:x:2000:bob,ftp\n",
    );
    for path in ["/home/bob/ours", "/srv/ftp/ours"] {
        host.write(path, "of the group");
        host.mode(path, 0o640);
        std::os::unix::fs::chown(path, Some(0), Some(2000)).unwrap();
    }
    with(
        &host,
        &format!("{lines}anon_world_readable_only=NO\n"),
        || {
            for name in ["ann", "ftp"] {
                assert_eq!(login(name, "x", IN).fetch("RETR ours"), b"of the group");
            }
        },
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
        // The original decides to jail before it reads the file (reference 10, 41).
        let jail = "chroot_local_user=YES\nallow_writeable_chroot=YES\n";
        host.write("/etc/users/bob", jail);
        let place = if host.ours() { "/" } else { "/home/bob" };
        at(&mut Client::user("bob"), place);
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
        // Whatever the umask says.
        ("chown_upload_mode=0777\n", 0o777),
        ("", 0o600),
    ] {
        assert_eq!(uploaded(&host, &format!("{on}{lines}")).2, mode, "{lines}");
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

/// Whether this host's PAM has the module.
fn has_module(name: &str) -> bool {
    let places = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];
    let multi = ["", "/x86_64-linux-gnu", "/aarch64-linux-gnu"];
    places.iter().any(|place| {
        multi
            .iter()
            .any(|under| fs::exists(format!("{place}{under}/security/{name}")).unwrap())
    })
}

#[test]
fn session_support() {
    let host = Host::new();
    let (utmp, wtmp) = ("/run/utmp", "/var/log/wtmp");
    let alice = |kind| (kind, "alice".to_owned(), "127.0.0.1".to_owned());
    // A module that leaves a mark. The original hangs if one starts a program, as pam_exec does; newer hosts have no other.
    let mark = "/var/log/lastlog";
    let (module, leaves) = if has_module("pam_lastlog.so") {
        ("pam_lastlog.so silent nowtmp", true)
    } else if host.ours() {
        ("pam_exec.so /bin/cp /etc/passwd /var/log/lastlog", true)
    } else {
        ("pam_permit.so", false)
    };
    let marked = || fs::metadata(mark).unwrap().len() > 0;
    host.write(
        "/etc/pam.d/sessions",
        &format!(
            "auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required {module}\n"
        ),
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
            assert_eq!(marked(), on && leaves);
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
