//! The reader: what it is while it parses settings or judges a client, and that nothing is read by one that keeps its rights. Ours only.

use super::{NOBODY, Seen, children, uid};
use crate::support::host::{CONFIG, PROGRAM};
use crate::support::server::{BASE, output};
use crate::support::{Client, Host, Server, wait};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};

/// A program under strace(1), which delays a system call in it and its children, or answers it with an error.
fn under_strace(words: &[&str], call: &str, how: &str) -> Traced {
    let output = std::fs::File::create("/mnt/said").unwrap();
    let strace = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={call}"),
        ])
        .args(["-e", &format!("inject={call}:{how}"), PROGRAM])
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .spawn();
    Traced(strace.expect("the tests need strace"))
}

/// Such a program, which ends with everything it has started, also when the test fails.
struct Traced(Child);

impl Drop for Traced {
    fn drop(&mut self) {
        for pid in Server::everything() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

#[test]
fn while_it_reads_settings() {
    let host = Host::new();
    host.write(CONFIG, BASE);
    // It looks at the file that it was given, and has given up everything by then.
    let _strace = under_strace(&[CONFIG], "statx", "delay_enter=10000000");
    let reader = wait("the reader", || {
        let all = Server::processes();
        all.into_iter().find(|pid| {
            let nobody = uid(*pid).as_deref() == Some(NOBODY);
            nobody && Seen::if_there(*pid).is_some_and(|seen| seen.field("Seccomp") == ["2"])
        })
    });
    let seen = Seen::of(reader);
    seen.ids(NOBODY, NOBODY, &[]);
    seen.powerless();
    seen.holds(Some(CONFIG), 1);
    assert_eq!(seen.threads(), 1);
}

/// Has the host ask a name server that says nothing.
fn silent_name_server(host: &Host) -> UdpSocket {
    host.write(
        "/etc/nsswitch.conf",
        "hosts: dns\npasswd: files\ngroup: files\nshadow: files\n",
    );
    host.write("/etc/resolv.conf", "nameserver 127.0.0.1\n");
    UdpSocket::bind("127.0.0.1:53").unwrap()
}

/// It waits for a name server that says nothing, in a child of its own.
#[test]
fn while_it_judges_a_client() {
    let host = Host::new();
    let _silent = silent_name_server(&host);
    host.write("/etc/hosts.allow", "vsftpd: .example.org\n");
    let server = Server::start(&host, "tcp_wrappers=YES\n");
    let _client = TcpStream::connect("127.0.0.1:21").unwrap();
    let nobody = |pid: &i32| uid(*pid).as_deref() == Some(NOBODY);
    let below = |pid: i32| children(pid).into_iter().find(nobody);
    let judge = wait("the judge", || {
        children(server.pid()).into_iter().find_map(below)
    });
    let asks = wait("who asks for the name", || below(judge));
    for (pid, sockets) in [(judge, 2), (asks, 3)] {
        let seen = Seen::of(pid);
        seen.ids(NOBODY, NOBODY, &[]);
        seen.powerless();
        // Its own ends, and the way to the name server: not the client.
        seen.holds(None, sockets);
    }
    let own = Seen::of(judge).files();
    let client = children(server.pid()).into_iter().map(Seen::of);
    let shared = client.flat_map(|helper| helper.files());
    let shared: Vec<String> = shared.filter(|file| own.contains(file)).collect();
    assert!(
        shared.iter().all(|file| file == "/dev/null"),
        "{shared:?} of {own:?}"
    );
}

/// What a name server answers is read by a process that can report addresses alone. Without the mend it was, at the start, the one that reports
/// accounts and settings.
#[test]
fn while_it_looks_up_a_name_at_the_start() {
    let host = Host::new();
    let _silent = silent_name_server(&host);
    let lines = "pasv_addr_resolve=YES\npasv_address=ftp.example.org\n";
    let server = Server::bare(&host, 0, &format!("{BASE}{lines}"));
    let nobody = |pid: &i32| uid(*pid).as_deref() == Some(NOBODY);
    let below = |pid: i32| children(pid).into_iter().find(nobody);
    // The ends of channels, and the way to the name server.
    let holds = |pid: i32, sockets: usize| {
        let files = Seen::of(pid).files();
        files.iter().filter(|file| file.contains("socket:")).count() == sockets
    };
    let (reader, asks) = wait("who asks for the name", || {
        let reader = below(server.pid()).filter(|reader| holds(*reader, 2))?;
        Some((reader, below(reader).filter(|asks| holds(*asks, 2))?))
    });
    for pid in [reader, asks] {
        let seen = Seen::of(pid);
        seen.ids(NOBODY, NOBODY, &[]);
        seen.powerless();
    }
    let (own, other) = (Seen::of(reader).files(), Seen::of(asks).files());
    let shared = own.iter().filter(|file| other.contains(*file));
    assert!(shared.into_iter().all(|file| file == "/dev/null"));
}

/// What a file for one user names is looked up by `nopriv_user`, as that is read: other programs that run as nobody have no hold on it.
#[test]
fn while_it_looks_up_a_name_for_a_user() {
    let host = Host::new();
    let _silent = silent_name_server(&host);
    host.mkdir("/srv/users", 0);
    host.write("/srv/users/alice", "pasv_address=ftp.example.org\n");
    let server = Server::start(
        &host,
        "user_config_dir=/srv/users\nnopriv_user=bob\npasv_addr_resolve=YES\npasv_address=127.0.0.1\n",
    );
    let mut client = Client::connect();
    client.send(b"USER alice\r\nPASS secret\r\n");
    // It waits for a name server that says nothing, in a child of its own.
    let reader = wait("the reader", || {
        let [helper] = children(server.pid())[..] else {
            return None;
        };
        let mut below = children(helper).into_iter();
        below.find(|pid| !children(*pid).is_empty())
    });
    let seen = Seen::of(reader);
    seen.ids("1002", "1002", &[]);
    seen.powerless();
}

/// Master serves nobody while names are looked up again; a service that does not answer costs new clients a moment, not the minute that the
/// start may take.
#[test]
fn while_it_looks_up_names_again_clients_do_not_wait_for_long() {
    let host = Host::new();
    let server = Server::start(&host, "");
    let stayed = || {
        output()
            .matches("configuration not reloaded, the old one stays")
            .count()
    };
    // Accounts that the settings name, and the groups they have.
    for (count, file) in (1..).zip(["/etc/passwd", "/etc/group"]) {
        std::fs::rename(file, "/etc/aside").unwrap();
        // Whoever opens it for reading waits for a writer.
        nix::unistd::mkfifo(file, Mode::from_bits_truncate(0o644)).unwrap();
        server.signal(Signal::SIGHUP);
        wait("the reader to ask", || {
            let mut below = children(server.pid()).into_iter();
            below.find(|pid| uid(*pid).as_deref() == Some(NOBODY) && calls(*pid, libc::SYS_openat))
        });
        Client::user("ftp").says("NOOP", "200 NOOP ok.");
        wait("the end of it", || (stayed() == count).then_some(()));
        std::fs::rename("/etc/aside", file).unwrap();
    }
    let late = "or looks up accounts, has failed: it was stopped, or has taken too long";
    assert_eq!(output().matches(late).count(), 2);
}

/// Whether a process is in that system call.
fn calls(pid: i32, number: i64) -> bool {
    let at = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    at.split(' ').next() == Some(number.to_string().as_str())
}

#[test]
fn without_giving_up_its_rights_it_reads_nothing() {
    let host = Host::new();
    host.write(CONFIG, BASE);
    for call in ["setgroups", "setresgid", "setresuid", "getresuid"] {
        let mut strace = under_strace(&["--check", CONFIG], call, "error=EPERM");
        let status = wait("the check", || strace.0.try_wait().unwrap());
        let said = String::from_utf8_lossy(&host.read("/mnt/said")).into_owned();
        assert_eq!(status.code(), Some(2), "{call}: {said}");
        assert!(said.contains("cannot give up its rights"), "{call}: {said}");
    }
}
