//! Ways out of a jail by paths, links and what is moved, through whole sessions (attacks B.1).

use crate::oracle::{Canary, VERBS, all_is_well, happened, settled, watch, watched, whole};
use crate::support::host::{ALICE, FTP, bind, tmpfs};
use crate::support::tls::{self, BOTH, Ftps, offer};
use crate::support::{Client, Host, Server};
use nix::mount::{MntFlags, umount2};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const JAIL: &str = "chroot_local_user=YES\nallow_writeable_chroot=YES\n";

/// Nothing from outside: neither in what is said nor in what is sent.
#[track_caller]
fn nothing_of_the_host(said: &str, bytes: &[u8], command: &str) {
    let bytes = String::from_utf8_lossy(bytes);
    for text in ["root:", "canary", "outside", "usr"] {
        let echoed = command.contains(text) && !said.starts_with("213");
        assert!(echoed || !said.contains(text), "{command}: {said}");
        assert!(!bytes.contains(text), "{command}: {bytes}");
    }
}

/// Every verb with every way to say "up" stays below the root, of a user's jail as of the guests' area (attacks B-001).
#[test]
fn dots_in_every_verb() {
    let host = Host::new();
    host.write("/home/x", "outside");
    host.mode("/home/x", 0o666);
    host.mode("/home", 0o777);
    let canary = Canary::new(&host);
    host.mkdir("/srv/ftp/d", FTP);
    let guests = "anon_upload_enable=YES\nanon_mkdir_write_enable=YES\nanon_other_write_enable=YES\nanon_world_readable_only=NO\n";
    let server = Server::start(&host, &format!("{JAIL}{guests}"));
    for mut c in [Client::alice(), Client::anonymous()] {
        let many = "../".repeat(1000);
        for up in [
            "../",
            "a/../../",
            "/../",
            "....//",
            "..\\",
            "%2e%2e/",
            "//..//",
            "./.././../",
            &many,
        ] {
            for target in [
                "x",
                "home/x",
                "srv/canary/open",
                "canary/open",
                "etc/passwd",
            ] {
                for verb in VERBS {
                    below(&mut c, verb, &format!("{up}{target}"));
                }
            }
        }
    }
    canary.untouched();
    assert_eq!(host.read("/home/x"), b"outside");
    assert_eq!(fs::read_dir("/home").unwrap().count(), 3);
    assert_eq!(fs::read_dir("/srv").unwrap().count(), 2);
    all_is_well(&server);
}

/// One verb with one path from a directory of the root's: answered, and nothing of the host in it.
fn below(c: &mut Client, verb: &str, path: &str) {
    c.says("CWD /d", "250 Directory successfully changed.");
    if verb == "RNTO @" {
        let _ = whole(c, "STOR y", b"mine");
        c.says("RNFR y", "350 Ready for RNTO.");
    }
    let command = verb.replace('@', path);
    let (said, bytes) = whole(c, &command, b"mine");
    assert!(said.starts_with(['2', '3', '5']), "{command}: {said}");
    nothing_of_the_host(&said, &bytes, &command);
    assert!(!c.cmd("PWD").text().contains(".."), "{command}");
}

/// Links to the outside, and through those of /proc that lead to what they show, are refused by every verb that follows links; one to a
/// file inside works (attacks B-002, B-063).
#[test]
fn links_and_what_proc_has() {
    let host = Host::new();
    let canary = Canary::new(&host);
    host.mkdir("/home/alice/proc", ALICE);
    bind(Path::new("/proc"), Path::new("/home/alice/proc"));
    for (name, to) in [
        ("pw", "/etc/passwd"),
        ("up", "../../srv/canary/open"),
        ("abs", "/srv/canary/open"),
        ("magic", "/proc/self/root/etc/passwd"),
        ("cwd", "/proc/1/cwd"),
        ("inside", "/d/1"),
    ] {
        symlink(to, format!("/home/alice/{name}")).unwrap();
    }
    let server = Server::start(&host, JAIL);
    let mut c = Client::alice();
    let mut refused = 0;
    for path in [
        "pw",
        "up",
        "abs",
        "magic",
        "cwd",
        "cwd/etc/passwd",
        "proc/self/root",
        "proc/self/root/etc/passwd",
        "proc/thread-self/root/etc/passwd",
        "proc/1/root/etc/passwd",
        "proc/self/cwd",
        "proc/self/exe",
        "proc/self/fd/0",
        "proc/self/fd/3",
        "proc/self/environ",
        "proc/self/mem",
        "proc/self/maps",
        "proc/self/oom_score_adj",
    ] {
        for verb in ["CWD @", "RETR @", "STOR @", "APPE @", "HASH @", "MLSD @"] {
            let command = verb.replace('@', path);
            let (said, bytes) = whole(&mut c, &command, b"mine");
            if verb == "MLSD @" && said.starts_with("501") {
                continue; // A file.
            }
            // A link that leads to nothing in the jail may be made there, as open(2) makes it.
            let made = verb.starts_with(['S', 'A']) && ["pw", "up", "abs"].contains(&path);
            assert!(made || said.starts_with("55"), "{command}: {said}");
            assert!(bytes.is_empty(), "{command}");
            refused += usize::from(!made);
        }
        for verb in ["SIZE @", "MDTM @", "SITE CHMOD 666 @", "STAT @", "MLST @"] {
            let command = verb.replace('@', path);
            // What a link says may be shown, and nothing of what it leads to.
            let (said, _) = whole(&mut c, &command, b"");
            assert!(!said.contains("root:"), "{command}: {said}");
        }
    }
    assert!(refused > 90, "{refused}");
    assert_eq!(c.fetch("RETR inside"), b"1");
    canary.untouched();
    drop(c);
    all_is_well(&server);
}

/// The directory a session is in is moved out of the jail: neither it nor what is above it can be reached (attacks B-007).
#[test]
fn a_directory_moved_out_of_the_jail() {
    let host = Host::new();
    let canary = Canary::new(&host);
    host.mkdir("/srv/processed", ALICE);
    // One file system, as a move needs.
    host.mkdir("/srv/processed/home/sub/deep", ALICE);
    host.own("/srv/processed/home", ALICE);
    host.file("/srv/processed/home/sub/deep/own", b"mine");
    bind(Path::new("/srv/processed/home"), Path::new("/home/alice"));
    let server = Server::start(&host, JAIL);
    let mut c = Client::alice();
    c.says("CWD sub/deep", "250 Directory successfully changed.");
    fs::rename("/srv/processed/home/sub", "/srv/processed/sub").unwrap();
    for path in [
        "own",
        "../deep/own",
        "../../../../etc/passwd",
        "../../canary/open",
        "../../../canary/open",
        "../x",
        "..",
        ".",
        "../..",
    ] {
        for verb in VERBS {
            let command = verb.replace('@', path);
            let (said, bytes) = whole(&mut c, &command, b"mine");
            nothing_of_the_host(&said, &bytes, &command);
            let listing = ["LIST", "NLST", "STAT"].contains(&&verb[..4]);
            assert!(bytes.is_empty(), "{command}");
            assert!(listing || said.starts_with('5'), "{command}: {said}");
        }
    }
    c.says("CWD /", "250 Directory successfully changed.");
    assert_eq!(c.names("NLST"), Vec::<String>::new());
    assert!(!host.exists("/srv/processed/x") && !host.exists("/srv/processed/sub/x"));
    assert_eq!(host.read("/srv/processed/sub/deep/own"), b"mine");
    canary.untouched();
    drop(c);
    all_is_well(&server);
}

/// What a C library, its modules or TLS would load from the root they see, as somebody puts it into a jail.
const BAIT: [&str; 26] = [
    "etc/nsswitch.conf",
    "etc/passwd",
    "etc/group",
    "etc/shadow",
    "etc/localtime",
    "etc/resolv.conf",
    "etc/hosts",
    "etc/services",
    "etc/ld.so.preload",
    "etc/ld.so.cache",
    "etc/ssl/openssl.cnf",
    "etc/vsftpd.conf",
    "lib/x86_64-linux-gnu/libnss_files.so.2",
    "lib/x86_64-linux-gnu/libnss_compat.so.2",
    "lib/x86_64-linux-gnu/libgcc_s.so.1",
    "lib/x86_64-linux-gnu/libcrypt.so.1",
    "lib64/libnss_files.so.2",
    "usr/share/zoneinfo/UTC",
    "usr/share/zoneinfo/Europe/Berlin",
    "usr/lib/x86_64-linux-gnu/gconv/gconv-modules",
    "usr/lib/locale/C.utf8/LC_CTYPE",
    "dev/log",
    "dev/null",
    "dev/urandom",
    "var/log/vsftpd.log",
    "sys/devices/system/cpu/online",
];

/// Nothing that lies in a session's root is loaded or opened by the server itself, be it a file or a FIFO, which would hang (attacks B-008).
/// Where names of users are asked for, the jail's own lists of them are read, as text, and nothing else.
#[test]
fn files_that_a_library_would_load() {
    let host = Host::new();
    let secured = tls::certificate(&host);
    drop(secured);
    let lines = format!(
        "{JAIL}{}force_local_logins_ssl=NO\nforce_local_data_ssl=NO\nuse_localtime=YES\ndual_log_enable=YES\nlog_ftp_protocol=YES\nclient_charset=GBK\n",
        tls::ON
    );
    for (names, fifos) in [(false, false), (false, true), (true, false), (true, true)] {
        let lines = if names {
            format!("{lines}text_userdb_names=YES\ntilde_user_enable=YES\n")
        } else {
            lines.clone()
        };
        let events = watched();
        for name in BAIT {
            let path = format!("/home/alice/{name}");
            let directory = Path::new(&path).parent().unwrap().to_str().unwrap();
            host.mkdir(directory, ALICE);
            let _ = fs::remove_file(&path);
            if fifos {
                nix::unistd::mkfifo(path.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
                host.own(&path, ALICE);
            } else {
                host.file(&path, b"a b c d");
            }
            watch(&events, directory);
        }
        happened(&events);
        let server = Server::start(&host, &lines);
        let idle = Server::processes();
        let mut wrong = Client::connect();
        wrong.says("USER alice", "331 Please specify the password.");
        wrong.says("PASS wrong", "530 Login incorrect.");
        let mut c = Client::alice();
        for command in [
            "LIST",
            "LIST -la /etc",
            "NLST /dev",
            "MLSD /lib64",
            "STAT /etc",
            "STAT",
            "CWD ~bob",
            "CWD ~alice",
            "MDTM f",
            "SIZE f",
            "MKD made",
            "SITE CHMOD 700 made",
            "STOR new",
            "RETR new",
            "DELE new",
            "RMD made",
            "CLNT x",
            "OPTS UTF8 ON",
            "LANG ZH",
            "HELP",
            "FEAT",
            "XYZZ",
        ] {
            let (said, _) = whole(&mut c, command, b"mine");
            assert!(!said.is_empty(), "{command}");
        }
        let mut secure = Ftps::alice(offer(BOTH, None));
        secure.fetch("LIST /etc");
        assert!(secure.store("STOR new", b"x").starts_with("226"));
        drop((wrong, c, secure));
        settled(&idle);
        drop(server);
        let mut seen = happened(&events);
        seen.retain(|(_, name)| !names || !["passwd", "group"].contains(&name.as_str()));
        assert!(seen.is_empty(), "{seen:?}");
    }
}

/// The jail, or the directory one is in, goes away under a session: nothing of the host is seen instead (attacks B-013, B-017).
#[test]
fn a_jail_that_goes_away() {
    let host = Host::new();
    let canary = Canary::new(&host);
    let server = Server::start(&host, JAIL);
    for how in ["umount", "remove", "current"] {
        tmpfs("/home/bob", "mode=755,uid=1002");
        host.mkdir("/home/bob/in", 1002);
        host.file("/home/bob/in/own", b"mine");
        let mut c = Client::user("bob");
        c.says("CWD in", "250 Directory successfully changed.");
        match how {
            "umount" => umount2("/home/bob", MntFlags::MNT_DETACH).unwrap(),
            "remove" => fs::remove_dir_all("/home/bob/in").unwrap(),
            _ => {
                c.says("DELE own", "250 Delete operation successful.");
                c.says("RMD ../in", "250 Remove directory operation successful.");
            }
        }
        for path in ["own", "../../etc/passwd", "/etc/passwd", "new", ".", ".."] {
            for verb in VERBS {
                let command = verb.replace('@', path);
                let (said, bytes) = whole(&mut c, &command, b"mine");
                nothing_of_the_host(&said, &bytes, &command);
                assert!(said.starts_with(['2', '3', '5']), "{command}: {said}");
                if how != "umount" && path == "new" {
                    let absent =
                        said.starts_with('5') || ["LIST", "NLST", "STAT"].contains(&&verb[..4]);
                    assert!(absent, "{command}: {said}");
                }
            }
        }
        for command in ["PWD", "CDUP", "LIST", "MLSD", "STAT ."] {
            let (said, bytes) = whole(&mut c, command, b"");
            nothing_of_the_host(&said, &bytes, command);
        }
        c.says("CWD /", "250 Directory successfully changed.");
        c.says("PWD", "257 \"/\" is the current directory");
        drop(c);
        let _ = umount2("/home/bob", MntFlags::MNT_DETACH);
    }
    canary.untouched();
    all_is_well(&server);
}

/// A hard link to somebody else's file gives no more than its mode, and deleting it takes nothing but the link (attacks B-010).
#[test]
fn a_hard_link_to_a_foreign_file() {
    let host = Host::new();
    host.write("/home/readable", "root's");
    host.write("/home/shut", "root's own");
    host.mode("/home/shut", 0o600);
    for name in ["readable", "shut"] {
        fs::hard_link(format!("/home/{name}"), format!("/home/alice/{name}")).unwrap();
    }
    let server = Server::start(&host, JAIL);
    let mut c = Client::alice();
    assert_eq!(c.fetch("RETR readable"), b"root's");
    c.refused("RETR shut", "550 Failed to open file.");
    for name in ["readable", "shut"] {
        for command in ["STOR", "APPE"] {
            c.refused(&format!("{command} {name}"), "553 Could not create file.");
        }
        for command in [
            "SITE CHMOD 666",
            "MFMT 20200101000000",
            "MFF UNIX.mode=0666;",
        ] {
            assert_eq!(
                c.cmd(&format!("{command} {name}")).code(),
                "550",
                "{command}"
            );
        }
        c.says(&format!("DELE {name}"), "250 Delete operation successful.");
    }
    assert_eq!(host.read("/home/readable"), b"root's");
    assert_eq!(host.read("/home/shut"), b"root's own");
    let mode = |path| std::os::unix::fs::MetadataExt::mode(&fs::metadata(path).unwrap()) & 0o777;
    assert_eq!((mode("/home/readable"), mode("/home/shut")), (0o644, 0o600));
    drop(c);
    all_is_well(&server);
}
