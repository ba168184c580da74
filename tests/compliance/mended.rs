//! Weaknesses of the original (reference 10) that are mended here: each test shows both, what the original does and what ours does.

use crate::support::host::ALICE;
use crate::support::{Client, Host, Server, wait};
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};

const PASSWORD: &str = "331 Please specify the password.";
const IN: &str = "230 Login successful.";

/// Reference 10.1, 5.
#[test]
fn an_empty_list_of_passwords_lets_nobody_in() {
    let host = Host::new();
    host.write("/etc/emails", "");
    let _server = Server::start(
        &host,
        "secure_email_list_enable=YES\nemail_password_file=/etc/emails\n",
    );
    let answer = if host.ours() {
        "530 Login incorrect."
    } else {
        IN
    };
    Client::connect().script(&[("USER ftp", PASSWORD), ("PASS any@host", answer)]);
}

/// Reference 10.1, 7.
#[test]
fn recursion_asks_the_rules_again() {
    let host = Host::new();
    host.mkdir("/srv/ftp/pub/closed", 0);
    host.write("/srv/ftp/pub/closed/inner", "x");
    host.mode("/srv/ftp/pub/closed", 0o711);
    host.mkdir("/srv/ftp/pub/denied", 0);
    host.write("/srv/ftp/pub/denied/inner", "x");
    let _server = Server::start(&host, "ls_recurse_enable=YES\ndeny_file=denied\n");
    let mut c = Client::anonymous();
    let names = c.names("NLST -R pub");
    let shown = |directory: &str| names.contains(&format!("pub/{directory}/inner"));
    assert!(!shown("closed"), "{names:?}");
    assert_eq!(shown("denied"), !host.ours(), "{names:?}");
}

/// Reference 10.1, 7: what a client says of a pattern that allows, as the name of a directory or in a name, lets nothing through; nor does a link.
/// See attacks B-009.
#[test]
fn a_pattern_that_allows_sees_where_a_path_leads() {
    let host = Host::new();
    host.mkdir("/home/alice/{*.txt}", 1001);
    host.file("/home/alice/a.txt", b"text");
    std::os::unix::fs::symlink("f", "/home/alice/l.txt").unwrap();
    std::os::unix::fs::symlink("a.txt", "/home/alice/l.bin").unwrap();
    let _server = Server::start(&host, "upload_file={*.txt}\ndownload_file={*.txt}\n");
    let mut c = Client::alice();
    let denied = "550 Permission denied.";
    for path in [
        "{*.txt}/../f",
        "{*.txt}/../d/1",
        "l.txt",
        "./{*.txt}/..//asc",
    ] {
        if host.ours() {
            c.refused(&format!("RETR {path}"), denied);
            c.says(&format!("HASH {path}"), denied);
        } else if !path.starts_with('l') {
            c.fetch(&format!("RETR {path}"));
        }
    }
    for path in ["{*.txt}/../new", "{*.txt}/new", "x{*.txt}.bin", "l.txt"] {
        for verb in ["STOR", "APPE", "STOU"] {
            if host.ours() {
                c.refused(&format!("{verb} {path}"), denied);
            } else if !path.starts_with('l') {
                assert_eq!(c.store(&format!("{verb} {path}"), b"x").code(), "226");
            }
        }
    }
    assert_eq!(c.fetch("RETR {*.txt}/../a.txt"), b"text");
    if host.ours() {
        assert_eq!(c.fetch("RETR l.bin"), b"text");
        assert_eq!(c.store("STOR {*.txt}/new.txt", b"x").code(), "226");
        let mut may = |name: &str, right: char| {
            let facts = c.cmd(&format!("MLST {name}")).text();
            let (_, rights) = facts.split_once("perm=").unwrap();
            rights.split(';').next().unwrap().contains(right)
        };
        assert!(!may("f", 'r') && !may("f", 'w') && !may("l.txt", 'r'));
        assert!(may("a.txt", 'r') && may("a.txt", 'w') && may("l.bin", 'r'));
    }
}

/// Reference 10.1, 14.
#[test]
fn a_stranger_learns_no_file_name() {
    let host = Host::new();
    let _server = Server::start(&host, "banner_file=/etc/no/banner\n");
    let said = Client::dial().reply().text();
    if host.ours() {
        assert_eq!(said, "500 OOPS: cannot read banner file");
        wait("the reason in the log", || {
            fs::read_to_string("/var/log/vsftpd.log")
                .is_ok_and(|log| log.contains("/etc/no/banner"))
                .then_some(())
        });
    } else {
        assert_eq!(said, "500 OOPS: cannot read banner file:/etc/no/banner");
    }
}

/// Reference 10.2, 25.
#[test]
fn pasv_address_on_a_dual_stack_listener() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "listen=NO\nlisten_ipv6=YES\npasv_address=10.1.2.3\npasv_min_port=4000\npasv_max_port=4000\n",
    );
    let told = if host.ours() { "10,1,2,3" } else { "0,0,0,0" };
    Client::alice().says(
        "PASV",
        &format!("227 Entering Passive Mode ({told},15,160)."),
    );
}

/// Reference 10.2, 31: after `350 (0)` a STOR would destroy the beginning of the file.
#[test]
fn an_offset_that_is_no_number_is_refused() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let bad = if host.ours() {
        "501 Bad restart position."
    } else {
        "350 Restart position accepted (0)."
    };
    for offset in ["x", "-1", "1x", "9999999999999999"] {
        c.says(&format!("REST {offset}"), bad);
    }
    c.says("REST 7", "350 Restart position accepted (7).");
}

/// Reference 10.2, 35: the original shows all dates with the offset of the day it was started on.
#[test]
fn each_date_has_its_own_offset() {
    let host = Host::new();
    // Noon in UTC, in winter and in summer.
    host.touch("/home/alice/d/1", 979_560_000);
    host.touch("/home/alice/d/2", 995_198_400);
    let zone = "CET-1CEST,M3.5.0,M10.5.0/3";
    let _server = Server::start_with(&host, "use_localtime=YES\n", &[("TZ", zone)]);
    let mut c = Client::alice();
    let (winter, summer) = (c.cmd("MDTM d/1").text(), c.cmd("MDTM d/2").text());
    let hour = |text: &str| text["213 20010115".len()..][..2].parse::<u32>().unwrap();
    if host.ours() {
        assert_eq!((hour(&winter), hour(&summer)), (13, 14));
    } else {
        assert_eq!(hour(&winter), hour(&summer));
    }
}

/// A zone as in tzfile(5), so many seconds east of UTC.
fn zone(seconds: i32) -> Vec<u8> {
    let mut file = b"TZif".to_vec();
    file.extend([0; 16 + 4 * 4]);
    file.extend([0, 0, 0, 1, 0, 0, 0, 4]);
    file.extend(seconds.to_be_bytes());
    file.extend(b"\0\0ZON\0");
    file
}

/// The host is told that it is in another zone: new sessions show its time, and running ones that of before.
#[test]
fn the_zone_is_that_of_the_session_s_beginning() {
    let host = Host::new();
    // As timedatectl(1) and others do it, in one step.
    let set = |seconds| {
        fs::write("/etc/localtime.new", zone(seconds)).unwrap();
        fs::rename("/etc/localtime.new", "/etc/localtime").unwrap();
    };
    host.touch("/home/alice/f", 979_560_000);
    set(3600);
    let _server = Server::start(&host, "use_localtime=YES\n");
    let mut first = Client::alice();
    first.says("MDTM f", "213 20010115130000");
    set(7200);
    Client::alice().says("MDTM f", "213 20010115140000");
    first.says("MDTM f", "213 20010115130000");
    fs::remove_file("/etc/localtime").unwrap();
    Client::alice().says("MDTM f", "213 20010115120000");
}

/// Reference 10.2, 33.
#[test]
fn setting_a_date_leaves_the_time_of_access() {
    use std::os::unix::fs::MetadataExt;
    let host = Host::new();
    let _server = Server::start(&host, "");
    let before = fs::metadata("/home/alice/f").unwrap().atime();
    Client::alice().says("MDTM 20200229112233 f", "213 File modification time set.");
    let after = fs::metadata("/home/alice/f").unwrap();
    assert_eq!(after.mtime(), 1_582_975_353);
    let expected = if host.ours() { before } else { 1_582_975_353 };
    assert_eq!(after.atime(), expected);
}

/// The bytes of a file that was deleted while it was uploaded are nowhere: the original tells a success.
#[test]
fn an_upload_whose_file_is_deleted_is_no_success() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let (mut c, mut other) = (Client::alice(), Client::alice());
    for command in ["STOR fresh", "STOR f", "APPE asc", "STOU"] {
        let (first, data) = c.begin(command);
        let text = first.text();
        let name = text
            .strip_prefix("150 FILE: ")
            .unwrap_or_else(|| &command[5..]);
        other.says(&format!("DELE {name}"), "250 Delete operation successful.");
        data.write(b"lost");
        if host.ours() {
            c.next("451 Failure writing to local file.");
        } else {
            c.next("226 Transfer complete.");
        }
    }
    // One that has another name by now is there.
    let (_, data) = c.begin("STOR fresh");
    other.script(&[
        ("RNFR fresh", "350 Ready for RNTO."),
        ("RNTO moved", "250 Rename successful."),
    ]);
    data.write(b"kept");
    c.next("226 Transfer complete.");
    assert_eq!(host.read("/home/alice/moved"), b"kept");
}

/// Reference 10.2, 39: a list that was edited under Windows.
#[test]
fn lists_may_have_carriage_returns() {
    let host = Host::new();
    host.write("/etc/list", "bob\r\n");
    let _server = Server::start(&host, "userlist_enable=YES\nuserlist_file=/etc/list\n");
    let answer = if host.ours() {
        "530 Permission denied."
    } else {
        PASSWORD
    };
    Client::connect().says("USER bob", answer);
}

/// Reference 10.2, 40.
#[test]
fn a_single_user_may_be_a_guest() {
    let host = Host::new();
    fs::create_dir("/etc/users").unwrap();
    host.write(
        "/etc/users/alice",
        "guest_enable=YES\nguest_username=bob\nvirtual_use_local_privs=YES\n",
    );
    let _server = Server::start(&host, "user_config_dir=/etc/users\n");
    Client::alice().says("PWD", "257 \"/home/bob\" is the current directory");
    let mut c = Client::user("bob");
    c.says("USER bob", "331 Any password will do.");
}

/// Reference 10.2, 42.
#[test]
fn a_missing_home_does_not_matter_with_local_root() {
    let host = Host::new();
    let _server = Server::start(&host, "local_root=/srv/ftp/pub\n");
    let answer = if host.ours() {
        IN
    } else {
        "500 OOPS: cannot change directory:/home/nowhere"
    };
    Client::connect().script(&[("USER homeless", PASSWORD), ("PASS secret", answer)]);
}

/// Reference 10.2, 41: the original ends the session for these (3.0.3 for the second only).
#[test]
fn settings_of_a_single_user_that_the_original_dies_of() {
    let host = Host::new();
    fs::create_dir("/etc/users").unwrap();
    host.write("/etc/users/alice", "setproctitle_enable=YES\n");
    host.write(
        "/etc/users/ftp",
        "chown_uploads=YES\nchown_username=bob\nanon_upload_enable=YES\n",
    );
    let _server = Server::start(&host, "user_config_dir=/etc/users\n");
    if host.ours() {
        Client::alice().says("NOOP", "200 NOOP ok.");
    }
    let mut c = Client::anonymous();
    c.says("CWD incoming", "250 Directory successfully changed.");
    let _data = c.passive();
    let said = c.cmd("STOR x").text();
    assert_eq!(said.starts_with("150 "), host.ours(), "{said}");
    if host.ours() {
        use std::os::unix::fs::MetadataExt;
        let meta = fs::metadata("/srv/ftp/incoming/x").unwrap();
        assert_eq!(meta.uid(), crate::support::host::BOB);
    }
}

/// An option in a single user's file that concerns the whole server has no effect, and the log says so.
#[test]
fn settings_of_a_single_user_that_mean_nothing_there() {
    let host = Host::new();
    fs::create_dir("/etc/users").unwrap();
    host.write(
        "/etc/users/alice",
        "listen_port=99\nanonymous_enable=NO\nlocal_enable=NO\n",
    );
    let _server = Server::start(&host, "user_config_dir=/etc/users\n");
    Client::alice().says("NOOP", "200 NOOP ok.");
    if host.ours() {
        wait("the remark in the log", || {
            fs::read_to_string("/var/log/vsftpd.log")
                .is_ok_and(|log| {
                    log.contains("listen_port has no effect in the file of a single user")
                })
                .then_some(())
        });
    }
}

/// Reference 2.6: mistakes in a single user's file end the session.
#[test]
fn settings_of_a_single_user_that_are_wrong() {
    let host = Host::new();
    fs::create_dir("/etc/users").unwrap();
    host.write("/etc/users/alice", "write_enable=perhaps\n");
    let _server = Server::start(&host, "user_config_dir=/etc/users\n");
    let mut c = Client::connect();
    c.says("USER alice", PASSWORD);
    let said = c.cmd("PASS secret").text();
    assert!(said.starts_with("500 OOPS: "), "{said}");
    c.ended();
}

/// Reference 10.1, 17 (attacks B-033, B-041).
#[test]
fn port_promiscuous_with_a_low_port_and_from_port_20() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = Server::start(&host, "port_promiscuous=YES\nconnect_from_port_20=YES\n");
    let third = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let listener = std::net::TcpListener::bind((third, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut c = Client::alice();
    c.says("PORT 127,0,0,2,0,22", "500 Illegal PORT command.");
    c.says(
        &format!("PORT 127,0,0,2,{},{}", port >> 8, port & 255),
        "200 PORT command successful. Consider using PASV.",
    );
    c.send(b"RETR f\r\n");
    let (_, from) = listener.accept().unwrap();
    assert_eq!(from.port(), 20);
    assert_eq!(c.reply().code(), "150");
}

/// Not a weakness: /dev/null is how people say "none", and ours must not take it for a device (attacks B-061).
#[test]
fn null_is_an_empty_file() {
    let host = Host::new();
    let _server = Server::start(
        &host,
        "banner_file=/dev/null\nvsftpd_log_file=/dev/null\nuserlist_enable=YES\nuserlist_file=/dev/null\n\
         chroot_list_enable=YES\nchroot_list_file=/dev/null\n",
    );
    let greeting = Client::dial().reply().text();
    assert!(greeting.starts_with("220 (vsFTPd 3.0."), "{greeting}");
    Client::alice().says("PWD", "257 \"/home/alice\" is the current directory");
}

/// Waits until a command that waits for a lock does so.
const A_WHILE: std::time::Duration = std::time::Duration::from_millis(300);

/// A client whose command has waited until an upload of 100 bytes to the same name was over, and its data connection.
fn behind_an_upload(command: &[u8]) -> (Client, std::net::TcpStream) {
    let (mut a, mut b) = (Client::alice(), Client::alice());
    let (_, data) = a.begin("STOR x");
    let stream = b.passive();
    b.send(command);
    b.quiet(A_WHILE);
    data.write(&[b'a'; 100]);
    a.next("226 Transfer complete.");
    (b, stream)
}

#[test]
fn an_upload_that_waited_for_another_replaces_it() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = Server::start(&host, "");
    let (mut b, mut stream) = behind_an_upload(b"STOR x\r\n");
    assert_eq!(b.reply().code(), "150");
    stream.write_all(b"bbb").unwrap();
    drop(stream);
    b.next("226 Transfer complete.");
    assert_eq!(host.read("/home/alice/x"), b"bbb");
}

/// attacks B-016.
#[test]
fn a_download_that_waited_for_an_upload_gets_all_of_it() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = Server::start(&host, "");
    let (mut b, mut stream) = behind_an_upload(b"RETR x\r\n");
    b.next("150 Opening BINARY mode data connection for x (100 bytes).");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, [b'a'; 100]);
}

#[test]
fn an_upload_that_fails_takes_nobody_elses_file_away() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = Server::start(
        &host,
        "accept_timeout=3\ndelete_failed_uploads=YES\nlocal_umask=022\n",
    );
    let (mut a, mut b) = (Client::alice(), Client::alice());
    // It is never connected to.
    a.pasv();
    a.send(b"STOR x\r\n");
    wait("the file", || host.exists("/home/alice/x").then_some(()));
    let mut stream = b.passive();
    b.send(b"STOR x\r\n");
    assert_eq!(a.reply().code(), "425");
    assert_eq!(b.reply().code(), "150");
    stream.write_all(b"whole").unwrap();
    drop(stream);
    b.next("226 Transfer complete.");
    assert_eq!(host.read("/home/alice/x"), b"whole");
    // The name leads to another file by then.
    a.pasv();
    a.send(b"STOR y\r\n");
    wait("the file", || host.exists("/home/alice/y").then_some(()));
    b.says("DELE y", "250 Delete operation successful.");
    host.write("/home/alice/y", "another");
    assert_eq!(a.reply().code(), "425");
    assert_eq!(host.read("/home/alice/y"), b"another");
}

/// With `lock_upload_files=NO` two may write to one file. Who comes last replaces it, and who fails takes nothing away that is not his.
/// See attacks B-016.
#[test]
fn uploads_that_do_not_wait_for_each_other() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = Server::start(
        &host,
        "accept_timeout=3\nlock_upload_files=NO\ndelete_failed_uploads=YES\nlocal_umask=022\n",
    );
    for (name, fails) in [("x", false), ("y", true)] {
        let path = format!("/home/alice/{name}");
        let (mut a, mut b) = (Client::alice(), Client::alice());
        let port = a.epsv();
        a.send(format!("STOR {name}\r\n").as_bytes());
        wait("the file", || host.exists(&path).then_some(()));
        assert_eq!(b.store(&format!("STOR {name}"), &[b'b'; 100]).code(), "226");
        if fails {
            assert_eq!(a.reply().code(), "425");
            assert_eq!(host.read(&path), [b'b'; 100]);
        } else {
            let mut stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            assert_eq!(a.reply().code(), "150");
            stream.write_all(b"aaa").unwrap();
            drop(stream);
            a.next("226 Transfer complete.");
            assert_eq!(host.read(&path), b"aaa");
        }
    }
}

/// Without a lock what is appended comes behind what others have appended meanwhile, not over it, in one piece or in many; the original
/// writes from where the file ended when the upload began. See attacks B-016.
#[test]
fn what_two_append_without_a_lock() {
    const MUCH: usize = 3 << 20;
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = Server::start(&host, "lock_upload_files=NO\n");
    host.write("/home/alice/x", "old\n");
    host.own("/home/alice/x", ALICE);
    let (mut a, mut b) = (Client::alice(), Client::alice());
    let (_, of_a) = a.begin("APPE x");
    let (_, of_b) = b.begin("APPE x");
    let mut length = 4;
    for (mut stream, piece) in [
        (&of_a.stream, vec![b'a'; 3]),
        (&of_b.stream, vec![b'b'; 5]),
        (&of_a.stream, vec![b'a'; MUCH]),
        (&of_b.stream, vec![b'b'; MUCH]),
        (&of_a.stream, vec![b'a'; 7]),
    ] {
        stream.write_all(&piece).unwrap();
        length += piece.len();
        wait("the piece", || {
            (host.read("/home/alice/x").len() == length).then_some(())
        });
    }
    drop((of_a, of_b));
    for c in [&mut a, &mut b] {
        c.next("226 Transfer complete.");
    }
    let bytes = host.read("/home/alice/x");
    let of = |byte| bytes.iter().filter(|other| **other == byte).count();
    assert_eq!(
        (bytes.len(), of(b'a'), of(b'b')),
        (length, MUCH + 10, MUCH + 5)
    );
}

#[test]
fn a_directory_of_settings_that_is_none() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    host.write("/etc/users", "");
    let _server = Server::start(&host, "user_config_dir=/etc/users\n");
    Client::alice().says("NOOP", "200 NOOP ok.");
}

#[test]
fn a_file_for_one_address_does_not_make_root_the_unprivileged_account() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    host.write("/etc/extra", "nopriv_user=root\n");
    let _server = Server::start_with(&host, "", &[("VSFTPD_LOAD_CONF", "/etc/extra")]);
    let said = Client::dial().reply().text();
    assert!(
        said.starts_with("500 OOPS: cannot read config file"),
        "{said}"
    );
}

/// The original waits for a lock without hearing its client.
#[test]
fn a_wait_for_a_lock_can_be_broken_off() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = Server::start(&host, "log_ftp_protocol=YES\n");
    let (mut a, mut b) = (Client::alice(), Client::alice());
    let (_, data) = a.begin("STOR x");
    for (command, count) in [("RETR x", 1), ("STOR x", 2), ("HASH x", 1)] {
        let _stream = b.passive();
        b.send(format!("{command}\r\n").as_bytes());
        wait("the command to be read", || {
            let log = host.read("/var/log/vsftpd.log");
            let log = String::from_utf8_lossy(&log).into_owned();
            (log.matches(&format!("\"{command}\"")).count() == count).then_some(())
        });
        b.says("NOOP", "200 NOOP ok.");
        b.says("ABOR", "426 Failure waiting for the file.");
        b.next("226 ABOR successful.");
    }
    data.write(b"whole");
    a.next("226 Transfer complete.");
    assert_eq!(b.fetch("RETR x"), b"whole");
}

/// Only an absolute `local_root` does without a home: a relative one would begin wherever the server was started. Without a jail one that is
/// missing leaves the session in its home, if there is one.
#[test]
fn a_missing_home_and_no_place_instead() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    for (root, missing) in [("etc", "/home/nowhere"), ("/nonexist", "/nonexist")] {
        let _server = Server::start(&host, &format!("local_root={root}\n"));
        let mut c = Client::connect();
        c.says("USER homeless", PASSWORD);
        let refused = format!("500 OOPS: cannot change directory:{missing}");
        c.says("PASS secret", &refused);
        c.ended();
    }
}
