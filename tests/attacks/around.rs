//! What lies around the server: files of settings and texts that are none, its launcher's leavings, its own cores, reloads that fail (attacks
//! B-123, B-125 to B-127, B-129, B-138, B-162).

use crate::sessions::{NOBODY, back_to_base, children, descriptors, memory, session, status};
use crate::support::host::{ALICE, CONFIG, PROGRAM};
use crate::support::server::{BASE, listening, output};
use crate::support::tls::{self, BOTH, Ftps, ON, PEM, certificate, offer};
use crate::support::{Client, Host, Server, wait};
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use std::fs::{self, File};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Long enough for anything that does not wait for somebody.
const SOON: Duration = Duration::from_secs(4);

/// A kind of thing, and what puts one in a place.
type Kind = (&'static str, fn(&Host, &str));

/// What is no file of root's, or none that anybody would write.
const UNFIT: [Kind; 8] = [
    ("a FIFO", |_, path| {
        nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap();
    }),
    ("a directory", |host, path| host.mkdir(path, 0)),
    ("a device", |_, path| symlink("/dev/zero", path).unwrap()),
    ("a file of alice's", |host, path| {
        host.file(path, b"write_enable=NO\n");
    }),
    ("a file for everybody", |host, path| {
        host.write(path, "write_enable=NO\n");
        host.mode(path, 0o666);
    }),
    ("a gibibyte", |_, path| {
        File::create(path).unwrap().set_len(1 << 30).unwrap();
    }),
    ("bytes", |_, path| {
        let noise: Vec<u8> = (0..100_000_u32).map(|n| (n * 31 % 251) as u8).collect();
        fs::write(path, noise).unwrap();
    }),
    ("a link to a file of alice's", |host, path| {
        host.file("/home/alice/settings", b"write_enable=NO\n");
        symlink("/home/alice/settings", path).unwrap();
    }),
];

fn removed(path: &str) {
    let _ = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
}

/// Settings of the server in a file that others can have written, or that has no end, keep it from starting; nobody waits (attacks B-123).
#[test]
fn settings_in_unfit_files() {
    let host = Host::new();
    for (what, put) in UNFIT {
        removed(CONFIG);
        put(&host, CONFIG);
        let begin = Instant::now();
        let output = Command::new(PROGRAM)
            .arg(CONFIG)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{what}");
        assert!(!output.stderr.is_empty(), "{what}");
        assert!(begin.elapsed() < SOON, "{what}");
    }
}

/// The same for settings of a single user: that login ends, and no other.
#[test]
fn settings_of_a_user_in_unfit_files() {
    const PLACE: &str = "/etc/users/bob";
    let host = Host::new();
    host.mkdir("/etc/users", 0);
    let server = Server::start(&host, "user_config_dir=/etc/users\n");
    for (what, put) in UNFIT {
        put(&host, PLACE);
        let begin = Instant::now();
        let mut c = Client::connect();
        c.says("USER bob", "331 Please specify the password.");
        let said = c.cmd("PASS secret").text();
        assert!(said.starts_with("500 OOPS: "), "{what}: {said}");
        c.ended();
        assert!(begin.elapsed() < SOON, "{what}");
        Client::alice().says("MKD x", "257 \"/home/alice/x\" created");
        fs::remove_dir("/home/alice/x").unwrap();
        removed(PLACE);
    }
    back_to_base(&server);
}

/// A name that PAM lets in leads to no file beside the directory.
#[test]
fn names_that_are_paths() {
    let host = Host::new();
    host.mkdir("/etc/users", 0);
    host.write("/etc/evil", "no_such_option=YES\n");
    let all = "auth required pam_permit.so\naccount required pam_permit.so\n";
    host.write("/etc/pam.d/vsftpd", all);
    let lines = "user_config_dir=/etc/users\nguest_enable=YES\nguest_username=ftp\nmax_login_fails=100\nlogin_fails_per_ip=0\n";
    let server = Server::start(&host, lines);
    for name in ["../evil", "..", ".", "./../evil", "a/../../evil"] {
        let mut c = Client::connect();
        c.says(&format!("USER {name}"), "331 Please specify the password.");
        c.says("PASS x", "230 Login successful.");
        c.says("PWD", "257 \"/\" is the current directory");
    }
    for name in ["/etc/evil", "a b", "-x"] {
        let mut c = Client::connect();
        c.says(&format!("USER {name}"), "331 Please specify the password.");
        c.says("PASS x", "530 Login incorrect.");
    }
    back_to_base(&server);
}

/// What a directory or the administrator has to say, in files that are none, have no end, or lead elsewhere (attacks B-125).
#[test]
fn texts_in_unfit_files() {
    const PLACE: &str = "/srv/ftp/pub/.message";
    let host = Host::new();
    host.write("/etc/secret", "secret of the host\n");
    let server = Server::start(&host, "dirmessage_enable=YES\n");
    let mut c = Client::anonymous();
    let links: [Kind; 2] = [
        ("a link out", |_, path| {
            symlink("/etc/secret", path).unwrap()
        }),
        ("a link up", |_, path| {
            symlink("../../../../etc/secret", path).unwrap()
        }),
    ];
    for (what, put) in UNFIT.into_iter().chain(links) {
        put(&host, PLACE);
        // Once in a session for each directory.
        let mut c2 = Client::anonymous();
        let begin = Instant::now();
        let said = c2.cmd("CWD pub").text();
        assert!(begin.elapsed() < SOON, "{what}");
        assert!(
            said.ends_with("250 Directory successfully changed."),
            "{what}: {said}"
        );
        assert!(said.len() < 20_000 && !said.contains("secret of"), "{what}");
        for line in said.split("\r\n") {
            assert!(line.starts_with("250"), "{what}: {line:?}");
        }
        c2.says("NOOP", "200 NOOP ok.");
        removed(PLACE);
    }
    // One that looks like a reply is none.
    host.write(
        PLACE,
        "hello\r\n250 Directory successfully changed.\r\n226 x\r\n",
    );
    let said = c.cmd("CWD pub").text();
    let lines: Vec<&str> = said.split("\r\n").collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert!(
        lines[..3].iter().all(|line| line.starts_with("250-")),
        "{said}"
    );
    c.says("NOOP", "200 NOOP ok.");
    drop((c, server));
    for (what, put) in UNFIT {
        removed("/etc/banner");
        put(&host, "/etc/banner");
        let server = Server::start(&host, "banner_file=/etc/banner\n");
        let begin = Instant::now();
        let mut c = Client::dial();
        let said = c.reply();
        assert!(begin.elapsed() < SOON, "{what}");
        assert!(
            ["220", "500"].contains(&said.code()),
            "{what}: {}",
            said.text()
        );
        assert!(said.raw.len() < 200_000, "{what}");
        drop((c, server));
    }
}

/// Nothing of the launcher's environment reaches a session or changes what is done: neither the C library's words nor TLS's.
#[test]
fn an_environment_of_traps() {
    let host = Host::new();
    certificate(&host);
    let mebibyte = "x".repeat(100_000);
    let traps = [
        ("SSLKEYLOGFILE", "/mnt/keys"),
        ("TZ", "../../../../etc/passwd"),
        ("LC_ALL", "../../../x"),
        ("LOCPATH", "/mnt"),
        ("NLSPATH", "/mnt/%N"),
        ("GCONV_PATH", "/mnt"),
        ("HOSTALIASES", "/etc/passwd"),
        ("RES_OPTIONS", "debug"),
        ("MALLOC_CHECK_", "3"),
        ("MALLOC_PERTURB_", "85"),
        ("RUST_BACKTRACE", "full"),
        ("RUST_MIN_STACK", "1"),
        ("TMPDIR", "/mnt"),
        ("CANARY", "canary"),
        ("A", mebibyte.as_str()),
        ("B", mebibyte.as_str()),
        ("C", mebibyte.as_str()),
        ("D", mebibyte.as_str()),
        ("E", mebibyte.as_str()),
    ];
    let server = Server::start_with(&host, ON, &traps);
    let mut waiting = Client::connect();
    let mut client = Ftps::alice(offer(BOTH, None));
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
    let listed = String::from_utf8(client.fetch("LIST d")).unwrap();
    assert!(
        listed.contains("Feb 03  2001") || listed.contains("Feb  3  2001"),
        "{listed}"
    );
    client.says("MDTM f", "213 20010203040506");
    for pid in Server::everything() {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let shown = pid != server.pid() && environment.iter().any(|byte| *byte != 0);
        assert!(!shown, "{pid}: {}", String::from_utf8_lossy(&environment));
    }
    assert!(!host.exists("/mnt/keys"));
    waiting.says("QUIT", "221 Goodbye.");
    client.says("QUIT", "221 Goodbye.");
}

/// Whatever the launcher has left open, ignored, blocked or limited, sessions have what they should and nothing else.
#[test]
fn a_careless_launcher() {
    let host = Host::new();
    host.write(CONFIG, BASE);
    host.write("/etc/leak", "secret");
    fs::create_dir("/mnt/gone").unwrap();
    let leak = open("/etc/leak", OFlag::O_RDONLY, Mode::empty()).unwrap();
    let copies: Vec<OwnedFd> = (0..200)
        .map(|_| {
            let copy = fcntl(&leak, FcntlArg::F_DUPFD(100)).unwrap();
            // SAFETY: it was made for this owner alone.
            unsafe { OwnedFd::from_raw_fd(copy) }
        })
        .collect();
    let mut command = Command::new(PROGRAM);
    command
        .arg(CONFIG)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.stdin(Stdio::null()).current_dir("/mnt/gone");
    // SAFETY: only system calls that are async-signal-safe are made.
    unsafe {
        command.pre_exec(|| {
            for signal in [
                Signal::SIGCHLD,
                Signal::SIGHUP,
                Signal::SIGTERM,
                Signal::SIGALRM,
            ] {
                nix::sys::signal::signal(signal, SigHandler::SigIgn)?;
            }
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None)?;
            libc::umask(0);
            libc::setpriority(libc::PRIO_PROCESS, 0, 7);
            for (what, most) in [(libc::RLIMIT_CORE, u64::MAX), (libc::RLIMIT_NOFILE, 400)] {
                let limit = libc::rlimit {
                    rlim_cur: most,
                    rlim_max: most,
                };
                libc::setrlimit(what, &raw const limit);
            }
            for number in 0..3 {
                libc::close(number);
            }
            Ok(())
        });
    }
    let mut master = command.spawn().unwrap();
    fs::remove_dir("/mnt/gone").unwrap();
    drop(copies);
    wait("the server to listen", || listening().then_some(()));
    let mut client = Client::alice();
    assert_eq!(client.store("STOR new", b"x").code(), "226");
    assert_eq!(
        fs::metadata("/home/alice/new").unwrap().mode() & 0o777,
        0o600
    );
    client.says("MKD dir", "257 \"/home/alice/dir\" created");
    assert_eq!(
        fs::metadata("/home/alice/dir").unwrap().mode() & 0o777,
        0o700
    );
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
    let log = fs::metadata("/var/log/vsftpd.log").unwrap();
    assert_eq!(log.mode() & 0o777, 0o600);
    let _other = Client::connect();
    // Master, nursery, and two of each session: those that have done their work have ended.
    let all = wait("no others", || {
        Some(Server::everything()).filter(|all| all.len() == 6)
    });
    for pid in all {
        for file in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
            let link = fs::read_link(file.path()).unwrap_or_default();
            assert!(!link.starts_with("/etc/leak"), "{pid} has {file:?}");
        }
        let first = (0..3).map(|number| fs::read_link(format!("/proc/{pid}/fd/{number}")));
        for link in first.flatten() {
            assert!(
                !link.to_string_lossy().starts_with("socket:"),
                "{pid}: {link:?}"
            );
        }
        if pid == master.id() as i32 {
            continue;
        }
        let named = |name: &str| status(pid, name).unwrap_or_default();
        let waits_by_descriptor = u64::from_str_radix(&named("SigBlk"), 16).unwrap();
        // Nursery hears of its children through a descriptor.
        assert!(
            waits_by_descriptor & !(1 << 16) == 0,
            "{pid}: {}",
            named("SigBlk")
        );
        let ignored = u64::from_str_radix(&named("SigIgn"), 16).unwrap();
        // And the two that glibc keeps for itself, which posix_spawn(3) ignores.
        let may = 1 << (libc::SIGPIPE - 1) | 1 << (libc::SIGXFSZ - 1) | 0b11 << 31;
        assert_eq!(ignored & !may, 0, "{pid}: {ignored:x}");
    }
    client.says("QUIT", "221 Goodbye.");
    kill(Pid::from_raw(master.id() as i32), Signal::SIGTERM).unwrap();
    wait("the master to end", || master.try_wait().unwrap());
}

/// A process that crashes leaves no image of its memory, whatever limit the server was started with (attacks B-129).
#[test]
fn no_cores() {
    let host = Host::new();
    certificate(&host);
    let server = Server::start(&host, ON);
    let raised = Command::new("prlimit")
        .args(["--pid", &server.pid().to_string(), "--core=unlimited"])
        .status();
    assert!(raised.unwrap().success());
    let holder = children(server.pid())[0];
    let core = |pid: i32| {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        line.unwrap().split_whitespace().nth(4).unwrap().to_owned()
    };
    // Not dumpable: its files in /proc are root's, whoever runs it.
    let shut = |pid: i32| fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid() == 0;
    assert_eq!(core(holder), "0");
    let mut all = vec![holder, server.nursery()];
    let waiting = Client::connect();
    let client = Ftps::alice(offer(BOTH, None));
    let sessions = wait("all processes of both sessions", || {
        let helpers = children(server.pid())
            .into_iter()
            .filter(|pid| *pid != holder);
        let helpers: Vec<i32> = helpers.collect();
        let below: Vec<i32> = helpers.iter().copied().flat_map(children).collect();
        let confined = |pid: &&i32| status(**pid, "NoNewPrivs").as_deref() == Some("1");
        let ready = below.len() == 3 && below.iter().filter(confined).count() == 3;
        let dropped = helpers.iter().filter(confined).count() == 1;
        (ready && dropped).then(|| [helpers, below].concat())
    });
    all.extend(&sessions);
    for pid in &all {
        assert!(shut(*pid), "{pid} can be dumped");
        let confined = status(*pid, "NoNewPrivs").as_deref() == Some("1");
        assert!(!confined || core(*pid) == "0", "{pid}");
    }
    for pid in &all {
        // One goes with another.
        let _ = kill(Pid::from_raw(*pid), Signal::SIGSEGV);
    }
    wait("all of them to go", || {
        let left = Server::everything();
        all.iter().all(|pid| !left.contains(pid)).then_some(())
    });
    for place in ["/", "/run/vsftpd/empty", "/home/alice", "/mnt"] {
        for entry in fs::read_dir(place).unwrap().flatten() {
            let name = entry.file_name();
            assert!(!name.to_string_lossy().starts_with("core"), "{entry:?}");
        }
    }
    drop((waiting, client));
    // All of it is made anew.
    wait("a session under TLS", || {
        let try_it = || Ftps::alice(offer(BOTH, None)).says("NOOP", "200 NOOP ok.");
        std::panic::catch_unwind(try_it).ok()
    });
}

/// Every descriptor of every process of a session would be closed by another program, and there are those that there should be, after each
/// command as before (attacks B-138).
#[test]
fn descriptors_after_each_command() {
    let host = Host::new();
    host.file("/home/alice/big", &vec![b'x'; 1_000_000]);
    let lines = "chroot_local_user=YES\nallow_writeable_chroot=YES\nls_recurse_enable=YES\natomic_uploads=YES\nmode_z_enable=YES\n";
    let server = Server::start(&host, lines);
    let mut c = Client::connect();
    let (helper, greeter) = session(&server, NOBODY);
    closing_on_exec(&[helper, greeter]);
    c.login("alice");
    let (helper, worker) = crate::sessions::logged_in(&server, ALICE);
    // The data thread and what it needs.
    assert_eq!(c.fetch("RETR big").len(), 1_000_000);
    let base = [helper, worker].map(descriptors);
    // The data thread may have held its connection a moment longer than the client.
    let no_more = |base: [usize; 2]| {
        let now = [helper, worker].map(descriptors);
        now[0] <= base[0] && now[1] <= base[1]
    };
    closing_on_exec(&[helper, worker]);
    for line in [
        "CWD d",
        "CWD none",
        "CDUP",
        "PWD",
        "SIZE big",
        "SIZE none",
        "MDTM f",
        "MDTM 20200101000000 f",
        "MFMT 20200101000000 f",
        "MFF UNIX.mode=0644; f",
        "SITE CHMOD 644 f",
        "SITE UMASK 022",
        "SITE UTIME 20200101000000 f",
        "MKD made",
        "RNFR made",
        "RNTO moved",
        "RMD moved",
        "DELE none",
        "STAT .",
        "STAT -R",
        "MLST f",
        "HASH f",
        "HASH none",
        "XCRC f",
        "XMD5 f",
        "XSHA1 f",
        "XSHA256 f",
        "XSHA512 f",
        "AVBL",
        "RANG 0 3",
        "REST 1",
        "TYPE A",
        "TYPE I",
        "OPTS UTF8 ON",
        "OPTS MLST type;",
        "LANG ZH",
        "LANG EN",
        "CLNT x",
        "CSID Name=x;",
        "HELP",
        "FEAT",
        "SYST",
        "NOOP",
        "ALLO 1",
        "ABOR",
        "EPRT |1|127.0.0.1|1|",
        "PORT 127,0,0,1,0,1",
        "XYZZY",
        "RETR none",
        "STOR d",
        "MODE Z",
        "MODE S",
    ] {
        c.cmd(line);
        wait(line, || no_more(base).then_some(()));
    }
    for line in [
        "RETR f",
        "RETR big",
        "LIST",
        "LIST -R",
        "NLST",
        "MLSD",
        "RETR none",
        "RETR d",
        "STOR none/x",
        "LIST none",
    ] {
        for active in [false, true] {
            moved(&mut c, line, active);
            wait(line, || no_more(base).then_some(()));
        }
    }
    for line in ["STOR new", "APPE new", "STOU", "STOR new"] {
        assert_eq!(c.store(line, &[b'y'; 100_000]).code(), "226");
        wait(line, || no_more(base).then_some(()));
    }
    for worker_file in fs::read_dir(format!("/proc/{worker}/fd"))
        .unwrap()
        .flatten()
    {
        // The data thread may close its last one just now.
        let Ok(link) = fs::read_link(worker_file.path()) else {
            continue;
        };
        let known = ["socket:", "/dev/null", "anon_inode:[eventfd]", "pipe:"];
        let inside = link == Path::new("/home/alice");
        assert!(
            inside
                || known
                    .iter()
                    .any(|name| link.to_string_lossy().starts_with(name)),
            "{link:?}"
        );
    }
    closing_on_exec(&[helper, worker]);
    drop(c);
    back_to_base(&server);
}

fn moved(c: &mut Client, line: &str, active: bool) {
    use std::io::Read;
    let (near, listener) = if active {
        (None, Some(c.active()))
    } else {
        (Some(c.passive()), None)
    };
    if c.cmd(line).code() != "150" {
        // What was set up is used up.
        c.cmd("PORT 0");
        return;
    }
    let mut stream = near.unwrap_or_else(|| listener.unwrap().accept().unwrap().0);
    stream.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(c.reply().code(), "226", "{line}");
}

fn closing_on_exec(all: &[i32]) {
    for pid in all {
        for file in fs::read_dir(format!("/proc/{pid}/fdinfo"))
            .unwrap()
            .flatten()
        {
            let number: u32 = file.file_name().to_string_lossy().parse().unwrap();
            let text = fs::read_to_string(file.path()).unwrap_or_default();
            let Some(flags) = text.lines().find_map(|line| line.strip_prefix("flags:")) else {
                continue;
            };
            let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
            let closes = flags & libc::O_CLOEXEC as u32 != 0;
            assert!(closes || number < 3, "{pid}: {number}: {text}");
        }
    }
}

/// Certificates that do not fit, again and again: the old ones are served, and nothing is left of the attempts (attacks B-162).
#[test]
fn reloads_with_a_certificate_that_does_not_fit() {
    let host = Host::new();
    let good = certificate(&host);
    let server = Server::start(&host, ON);
    let (third, other) = (tls::pair(), tls::pair());
    let broken = format!("{}{}", third.key_pem, other.pem);
    let reload = |count: usize| {
        for _ in 0..count {
            let refused = output().matches("configuration not reloaded").count();
            host.write(PEM, &broken);
            server.signal(Signal::SIGHUP);
            wait("the refusal", || {
                (output().matches("configuration not reloaded").count() > refused).then_some(())
            });
        }
    };
    reload(5);
    let before = (descriptors(server.pid()), memory(server.pid()));
    let holder = children(server.pid());
    reload(60);
    wait("only one keyholder, the old one", || {
        (children(server.pid()) == holder).then_some(())
    });
    assert_eq!(descriptors(server.pid()), before.0);
    assert!(memory(server.pid()) - before.1 < 512);
    let client = Ftps::alice(offer(BOTH, None));
    let shown = client.input.get_ref().conn.peer_certificates().unwrap()[0].to_vec();
    assert_eq!(shown, good.certificate.to_vec());
    drop(client);
}
