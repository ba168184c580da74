//! The ways to be started: by inetd, by a systemd socket, by an ordinary user, in the background; and settings for one address
//! (reference 2.6, 2.7, 11.4).

use crate::support::host::{ALICE, CONFIG, PROGRAM};
use crate::support::server::{BASE, listening, listening_on, serves};
use crate::support::{Client, Host, Server, tls, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// A connection that somebody else has accepted.
fn accepted() -> (Client, OwnedFd) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 21)).unwrap();
    let client = Client::dial();
    let (socket, _) = listener.accept().unwrap();
    (client, socket.into())
}

/// Starts the server on a connection, as inetd does: descriptors 0, 1 and 2 are the client.
fn inetd(lines: &str) -> (Client, Child) {
    inetd_with(lines, &[])
}

/// The same with these arguments.
fn inetd_with(lines: &str, arguments: &[&str]) -> (Client, Child) {
    inetd_by(Command::new(PROGRAM), lines, arguments)
}

/// The same with another program that starts it.
fn inetd_by(mut program: Command, lines: &str, arguments: &[&str]) -> (Client, Child) {
    let (client, socket) = accepted();
    fs::write(CONFIG, format!("{BASE}listen=NO\n{lines}")).unwrap();
    let child = program
        .arg(CONFIG)
        .args(arguments)
        .stdin(Stdio::from(socket.try_clone().unwrap()))
        .stdout(Stdio::from(socket.try_clone().unwrap()))
        .stderr(Stdio::from(socket))
        .spawn()
        .unwrap();
    (client, child)
}

/// A command before login whose every byte is urgent, which must stay in the stream however the connection has come here (attacks B-053).
fn urgently(c: &mut Client) {
    for byte in b"NOOP\r\n" {
        c.urgent(&[*byte]);
    }
    c.next("530 Please login with USER and PASS.");
}

#[test]
fn inetd_serves_one_connection() {
    let host = Host::new();
    let (client, mut child) = inetd("");
    let mut c = client.greeted();
    urgently(&mut c);
    c.login("alice");
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
    let status = c.cmd("STAT").text();
    assert!(!status.contains("client count"), "{status}");
    c.says("QUIT", "221 Goodbye.");
    c.closed();
    let code = child.wait().unwrap().code();
    // The original's session may see its other process end first, and then ends with 2.
    if host.ours() {
        assert_eq!(code, Some(0));
    }
}

/// A server that is told to listen does, though whoever starts it has a connection of its own as standard input: a page of the web's for
/// example. Nothing is said there.
#[test]
fn a_connection_to_another_port_keeps_no_server_from_listening() {
    let _host = Host::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 8080)).unwrap();
    let mut page = TcpStream::connect((Ipv4Addr::LOCALHOST, 8080)).unwrap();
    let socket = OwnedFd::from(listener.accept().unwrap().0);
    fs::write(CONFIG, BASE).unwrap();
    let mut command = Command::new(PROGRAM);
    command
        .arg(CONFIG)
        .stdin(Stdio::from(socket.try_clone().unwrap()));
    command.stdout(Stdio::from(socket.try_clone().unwrap()));
    let mut child = command.stderr(Stdio::from(socket)).spawn().unwrap();
    drop(command);
    wait("the server to listen", || listening().then_some(()));
    Client::alice().says("QUIT", "221 Goodbye.");
    child.kill().unwrap();
    child.wait().unwrap();
    let mut said = Vec::new();
    page.read_to_end(&mut said).unwrap();
    assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

/// One to its own port is a client's, whatever is set: nobody could listen there. The original says so to that client.
#[test]
fn a_connection_to_its_own_port_is_a_clients() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let (client, mut child) = inetd("listen=YES\n");
    let mut c = client.greeted();
    c.login("alice");
    c.says("QUIT", "221 Goodbye.");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Nobody is a master there, and after a login nobody could remove the file.
#[test]
fn inetd_leaves_no_pid_file() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let (client, mut child) = inetd_with("", &["--pid-file", "/run/vsftpd/pid"]);
    let mut c = client.greeted();
    c.login("alice");
    c.says("QUIT", "221 Goodbye.");
    c.closed();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!host.exists("/run/vsftpd/pid"));
}

/// What a server that listens tries at its start, whether a filter ends who breaks it, is not tried for each connection: the kernel's log
/// would have a line each time.
#[test]
fn inetd_has_nobody_killed_for_a_trial() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let mut traced = Command::new("strace");
    traced.args(["-f", "-q", "-e", "trace=none", "-o", "/srv/trace", PROGRAM]);
    let (client, mut child) = inetd_by(traced, "", &[]);
    let mut c = client.greeted();
    c.login("alice");
    c.says("QUIT", "221 Goodbye.");
    c.closed();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let seen = String::from_utf8(host.read("/srv/trace")).unwrap();
    assert!(!seen.contains("SIGSYS"), "{seen}");
    assert!(seen.contains("exited with 0"), "{seen}");
}

/// Under inetd, too, the port decides whether TLS is spoken from the first byte.
#[test]
fn inetd_serves_the_port_for_implicit_tls() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    tls::certificate(&host);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 990)).unwrap();
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 990)).unwrap();
    let socket = OwnedFd::from(listener.accept().unwrap().0);
    let lines = format!("{}listen=NO\nimplicit_listen_port=990\n", tls::ON);
    fs::write(CONFIG, format!("{BASE}{lines}")).unwrap();
    let mut child = Command::new(PROGRAM)
        .arg(CONFIG)
        .stdin(Stdio::from(socket))
        .spawn()
        .unwrap();
    let mut c = tls::Ftps::over(Arc::new(tls::offer(tls::BOTH, None)), stream);
    c.next("220 (vsFTPd 3.0.5)");
    c.login("alice");
    c.says("QUIT", "221 Goodbye.");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn inetd_tells_the_client_that_something_is_wrong() {
    let host = Host::new();
    let (mut client, mut child) = inetd("no_such_option=YES\n");
    let said = client.reply().text();
    assert!(said.starts_with("500 OOPS: "), "{said}");
    // The original tells strangers what its configuration says (reference 10.1, 14).
    assert_eq!(said.contains("no_such_option"), !host.ours());
    client.closed();
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

#[test]
fn a_passed_connection_is_told_too_that_something_is_wrong() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let (mut client, socket) = accepted();
    let mut child = passed(&[high(socket)], "no_such_option=YES\n");
    let said = client.reply().text();
    assert_eq!(said, "500 OOPS: vsftpd: the configuration is wrong");
    client.closed();
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

#[test]
fn without_a_socket_it_must_listen() {
    let host = Host::new();
    let (status, said) = Server::refused(&host, "listen=NO\n");
    assert_eq!(status.code(), Some(2));
    assert!(
        said.contains("vsftpd: not configured for standalone, must be started from inetd"),
        "{said}"
    );
}

/// Starts ours with descriptors from 3 on, as systemd passes them.
fn passed(sockets: &[OwnedFd], lines: &str) -> Child {
    fs::write(CONFIG, format!("{BASE}listen=NO\n{lines}")).unwrap();
    let numbers: Vec<i32> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
    let mut command = Command::new("/bin/sh");
    // The shell keeps its process id over exec, which is the one systemd announces.
    command
        .arg("-c")
        .arg(format!(
            "LISTEN_PID=$$ LISTEN_FDS={} exec {PROGRAM} {CONFIG}",
            sockets.len()
        ))
        .stdin(Stdio::null());
    // SAFETY: only dup2, which is async-signal-safe, is called between fork and exec.
    unsafe {
        command.pre_exec(move || {
            for (target, number) in (3..).zip(&numbers) {
                assert!(*number >= 3 + numbers.len() as i32 || *number == target);
                if libc::dup2(*number, target) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                libc::fcntl(target, libc::F_SETFD, 0);
            }
            Ok(())
        })
    };
    command.spawn().unwrap()
}

/// The same socket under a number that is out of the way.
fn high(socket: impl Into<OwnedFd>) -> OwnedFd {
    use std::os::fd::FromRawFd;
    let socket = socket.into();
    let number = nix::fcntl::fcntl(&socket, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(20)).unwrap();
    // SAFETY: the descriptor was just made.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Without the mend the first was served, with `?` for its address, and its clients were dropped without a word.
#[test]
fn sockets_that_are_none_of_tcp() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let local = std::os::unix::net::UnixListener::bind("/run/local").unwrap();
    let datagrams = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 21)).unwrap();
    for socket in [high(local), high(datagrams)] {
        let mut child = Ended(passed(&[socket], ""));
        let status = wait("the refusal", || child.0.try_wait().unwrap());
        assert_eq!(status.code(), Some(2));
    }
}

#[test]
fn systemd_passes_listening_sockets() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let four = TcpListener::bind((Ipv4Addr::LOCALHOST, 21)).unwrap();
    let six = TcpListener::bind((std::net::Ipv6Addr::LOCALHOST, 21)).unwrap();
    let sockets = [high(four), high(six)];
    let mut child = passed(&sockets, "");
    Client::alice().says("NOOP", "200 NOOP ok.");
    urgently(&mut Client::connect6());
    Client::connect6().says("QUIT", "221 Goodbye.");
    drop(sockets);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Which of the sockets is for TLS from the first byte, its port says.
#[test]
fn systemd_passes_a_socket_for_implicit_tls() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    tls::certificate(&host);
    let lines = format!("{}implicit_listen_port=990\n", tls::ON);
    let plain = high(TcpListener::bind((Ipv4Addr::LOCALHOST, 21)).unwrap());
    let secure = high(TcpListener::bind((Ipv4Addr::LOCALHOST, 990)).unwrap());
    let mut child = passed(&[plain, secure], &lines);
    Client::anonymous().says("QUIT", "221 Goodbye.");
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 990)).unwrap();
    let mut c = tls::Ftps::over(Arc::new(tls::offer(tls::BOTH, None)), stream);
    c.next("220 (vsFTPd 3.0.5)");
    c.login("alice");
    // With SIGHUP too it opens none of its own beside them.
    let lines = format!("{}implicit_listen_port=991\nftpd_banner=new\n", tls::ON);
    fs::write(CONFIG, format!("{BASE}listen=NO\n{lines}")).unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
    wait("the new settings", || {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
        (tls::clear_line(&mut client) == "220 new\r\n").then_some(())
    });
    assert!(!listening_on(991));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn systemd_passes_a_connection() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let (client, socket) = accepted();
    let mut child = passed(&[high(socket)], "");
    let mut c = client.greeted();
    urgently(&mut c);
    c.login("alice");
    c.says("QUIT", "221 Goodbye.");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn background_returns_when_it_listens() {
    let host = Host::new();
    fs::write(CONFIG, format!("{BASE}background=YES\n")).unwrap();
    let status = Command::new(PROGRAM).arg(CONFIG).status().unwrap();
    assert_eq!(status.code(), Some(0));
    // The original returns before it has bound (reference 10.2, 26).
    if host.ours() {
        assert!(listening());
    } else {
        wait("the server to listen", || listening().then_some(()));
    }
    Client::alice().says("NOOP", "200 NOOP ok.");
    for pid in Server::processes() {
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGKILL,
        );
    }
}

#[test]
fn background_says_when_it_cannot_listen() {
    let host = Host::new();
    let _taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 21)).unwrap();
    if !host.ours() {
        return;
    }
    let (status, said) = Server::refused(&host, "background=YES\n");
    assert_eq!(status.code(), Some(2));
    assert!(
        said.contains("could not bind listening IPv4 socket"),
        "{said}"
    );
}

/// Nothing is left of a start that was refused.
fn refused_in_the_background(mut command: Command, why: &str) {
    let _end = End;
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(why), "{said}");
    wait("every process to go", || {
        (Server::everything().is_empty() && !listening()).then_some(())
    });
}

/// Who is told that the server cannot be started has none. Without the mend one went on.
#[test]
fn background_without_a_place_for_its_number() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    fs::write(CONFIG, format!("{BASE}background=YES\n")).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args([CONFIG, "--pid-file", "/nonexistent/pid"]);
    refused_in_the_background(command, "/nonexistent/pid: No such file or directory");
    host.tiny("/srv/full", 4);
    host.file("/srv/full/x", &[b'x'; 4096]);
    let mut command = Command::new(PROGRAM);
    command.args([CONFIG, "--pid-file", "/srv/full/pid"]);
    refused_in_the_background(command, "No space left on device");
}

/// What goes wrong after it has gone there is told too. Without the mend the command reported success, and nobody the reason.
#[test]
fn background_says_what_fails_there() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    tls::certificate(&host);
    let lines = format!("{BASE}{}background=YES\n", tls::ON);
    fs::write(CONFIG, lines).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args([CONFIG, "--pid-file", "/run/pid"]);
    without(&mut command, &[CAP_SYS_CHROOT]);
    refused_in_the_background(command, "chroot: EPERM");
}

const CAP_CHOWN: libc::c_int = 0;
const CAP_DAC_READ_SEARCH: libc::c_int = 2;
const CAP_NET_BIND_SERVICE: libc::c_int = 10;
const CAP_SYS_CHROOT: libc::c_int = 18;

/// What a container lacks is told at the start, by its name, and not only to each client that it refuses.
#[test]
fn a_container_without_a_right() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    fs::write(CONFIG, BASE).unwrap();
    let said = fs::File::create("/mnt/said").unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg(CONFIG).stdin(Stdio::null()).stderr(said);
    without(&mut command, &[CAP_SYS_CHROOT]);
    let mut master = command.spawn().unwrap();
    let end = End;
    wait("what it says", || {
        let said = String::from_utf8_lossy(&host.read("/mnt/said")).into_owned();
        said.contains("every client will be refused: root is without CAP_SYS_CHROOT here")
            .then_some(())
    });
    let said = Client::dial().reply().text();
    assert_eq!(said, "500 OOPS: cannot start the session");
    drop(end);
    master.wait().unwrap();
}

/// Without the mend the right was not named: `Permission denied (os error 13)`.
#[test]
fn a_low_port_in_a_container_that_may_not() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    fs::write(CONFIG, BASE).unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg(CONFIG).stdin(Stdio::null());
    without(&mut command, &[CAP_NET_BIND_SERVICE]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let why = "could not bind listening IPv4 socket 0.0.0.0:21: Permission denied (os error 13): it takes CAP_NET_BIND_SERVICE";
    assert!(said.contains(why), "{said}");
}

/// A pipe as standard error is written without ever waiting for who reads it, also where another process has just taken its last room; who
/// else writes to it waits as before.
#[test]
fn a_pipe_as_standard_error_is_not_waited_for() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    fs::write(CONFIG, BASE).unwrap();
    let (mut reads, writes) = std::io::pipe().unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg(CONFIG).stdin(Stdio::null());
    command.stderr(writes.try_clone().unwrap());
    let mut master = command.spawn().unwrap();
    drop(command);
    let end = End;
    // It listens before it sees to its standard error.
    wait("the server to serve", || {
        serves(master.id() as i32).then_some(())
    });
    let waits = |fd: &str| {
        let text = String::from_utf8(host.read(fd)).unwrap();
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
        i32::from_str_radix(flags.unwrap().trim(), 8).unwrap() & libc::O_NONBLOCK == 0
    };
    assert!(!waits(&format!("/proc/{}/fdinfo/2", master.id())));
    assert!(waits(&format!("/proc/self/fdinfo/{}", writes.as_raw_fd())));
    drop((writes, end));
    master.wait().unwrap();
    let mut said = String::new();
    reads.read_to_string(&mut said).unwrap();
    assert!(said.contains("vsftpd: serving 0.0.0.0:21"), "{said}");
}

/// A port above 1023 and no right to others: sessions go on, without connections from port 20. Without the mend each ended at its login,
/// without a word; the original says `500 OOPS: cap_set_proc`.
#[test]
fn connect_from_port_20_in_a_container_that_may_not() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let lines = "listen_port=2121\nconnect_from_port_20=YES\n";
    fs::write(CONFIG, format!("{BASE}{lines}")).unwrap();
    let mut master = lacking(&[CAP_NET_BIND_SERVICE]);
    let end = End;
    let mut c = dial_2121().greeted();
    c.login("alice");
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
    let _listener = c.active();
    c.says("RETR f", "425 Failed to establish connection.");
    let log = String::from_utf8_lossy(&host.read("/var/log/vsftpd.log")).into_owned();
    let why = "Permission denied (os error 13); it takes CAP_NET_BIND_SERVICE, or connect_from_port_20=NO";
    assert!(log.contains(why), "{log}");
    c.says("QUIT", "221 Goodbye.");
    drop(end);
    master.wait().unwrap();
}

/// Without the mend the log had the kernel's word alone: `EPERM: Operation not permitted`.
#[test]
fn chown_uploads_in_a_container_that_may_not() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let lines = "anon_upload_enable=YES\nchown_uploads=YES\nchown_username=bob\n";
    fs::write(CONFIG, format!("{BASE}{lines}")).unwrap();
    let mut master = lacking(&[CAP_CHOWN]);
    let end = End;
    wait("the server to listen", || listening().then_some(()));
    let mut c = Client::anonymous();
    c.refused("STOR incoming/new", "553 Could not create file.");
    wait("the reason", || {
        let log = String::from_utf8_lossy(&host.read("/var/log/vsftpd.log")).into_owned();
        let why = "an upload was not given to uid 1002: EPERM: Operation not permitted; it takes CAP_CHOWN";
        log.contains(why).then_some(())
    });
    assert!(!host.exists("/srv/ftp/incoming/new"));
    drop(end);
    master.wait().unwrap();
}

/// A container has by default the right to do with files what it likes, and not the smaller one to read them. Without the mend lists of the
/// administrator's that belong to another account could be read at the start, and by no session.
#[test]
fn lists_of_another_account_s_in_a_container() {
    let host = Host::new();
    let lines = "userlist_enable=YES\nuserlist_file=/srv/listed\nchroot_list_enable=YES\nchroot_list_file=/srv/jailed\n\
                 allow_writeable_chroot=YES\n";
    fs::write(CONFIG, format!("{BASE}{lines}")).unwrap();
    for (list, name) in [("/srv/listed", "carl\n"), ("/srv/jailed", "alice\n")] {
        host.write(list, name);
        host.own(list, ALICE);
        host.mode(list, 0o600);
    }
    let mut master = lacking(&[CAP_DAC_READ_SEARCH]);
    let end = End;
    wait("the server to listen", || listening().then_some(()));
    let mut c = Client::alice();
    c.says("PWD", "257 \"/\" is the current directory");
    c.says("QUIT", "221 Goodbye.");
    Client::connect().says("USER carl", "530 Permission denied.");
    drop(end);
    master.wait().unwrap();
}

/// Starts it with these rights out of reach, as in a container.
fn without(command: &mut Command, rights: &'static [libc::c_int]) {
    let drop = move || {
        for right in rights {
            // SAFETY: it takes integers, and touches no memory.
            if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, *right, 0, 0, 0) } != 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: only prctl, which is async-signal-safe, is called between fork and exec.
    unsafe { command.pre_exec(drop) };
}

/// Starts it with its configuration and without these rights.
fn lacking(rights: &'static [libc::c_int]) -> Child {
    let mut command = Command::new(PROGRAM);
    command
        .arg(CONFIG)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    without(&mut command, rights);
    command.spawn().unwrap()
}

/// Root of a container with users of its own, of which there are so many from 0 on (user_namespaces(7)). It serves port 2121.
fn in_a_container(host: &Host, users: u32, lines: &str) -> Child {
    fs::write(CONFIG, format!("{BASE}listen_port=2121\n{lines}")).unwrap();
    let own = fs::read_link("/proc/self/ns/user").unwrap();
    // It goes on when its users are there.
    let mut child = Command::new("unshare")
        .args(["--user", "/bin/sh", "-c", "read go && exec \"$0\" \"$1\""])
        .args([PROGRAM, CONFIG])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(fs::File::create("/mnt/said").unwrap())
        .spawn()
        .unwrap();
    let place = |name: &str| format!("/proc/{}/{name}", child.id());
    wait("the container", || {
        (fs::read_link(place("ns/user")).ok()? != own).then_some(())
    });
    for map in ["gid_map", "uid_map"] {
        fs::write(place(map), format!("0 0 {users}")).unwrap();
    }
    let mut go = child.stdin.take().unwrap();
    go.write_all(b"\n").unwrap();
    assert!(host.ours());
    child
}

/// Without the mend the server started, and the log said of each client `setresgid: EINVAL: Invalid argument`.
#[test]
fn a_container_without_nobody() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let mut child = in_a_container(&host, 2000, "");
    let end = End;
    let status = wait("the refusal", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(2));
    let said = String::from_utf8_lossy(&host.read("/mnt/said")).into_owned();
    let why =
        "cannot locate user specified in 'nopriv_user':nobody (this container has no uid 65534";
    assert!(said.contains(why), "{said}");
    // Who is in a group that is not there finds the reason in the log; others are served.
    let mut child = in_a_container(&host, 1003, "nopriv_user=ftp\n");
    dial_2121().greeted().login("bob");
    let mut c = dial_2121().greeted();
    c.says("USER alice", "331 Please specify the password.");
    c.says("PASS secret", "500 OOPS: cannot start the session");
    c.closed();
    wait("the reason", || {
        let log = String::from_utf8_lossy(&host.read("/var/log/vsftpd.log")).into_owned();
        let why = "login ended: seteuid: this container lacks the user or a group";
        log.contains(why).then_some(())
    });
    drop(end);
    child.wait().unwrap();
}

/// The children of a process, each with its state.
fn children(pid: u32) -> Vec<(u32, char)> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let state = |child: u32| {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
        Some((child, stat.rsplit(") ").next()?.chars().next()?))
    };
    let numbers = text.split_whitespace().flat_map(str::parse);
    numbers.filter_map(state).collect()
}

/// Signals that are not listened to end no first process, orphans come to it, and the kernel ends all others with it: the log does not say that
/// sessions go on then.
#[test]
fn the_first_process_of_a_container() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        fs::write(CONFIG, BASE).unwrap();
        let mut container = Command::new("unshare")
            .args(["--pid", "--fork", "/bin/sh", "-c"])
            .args(["(sleep 0 &); (sleep 60 &); exec \"$0\" \"$1\""])
            .args([PROGRAM, CONFIG])
            .stdin(Stdio::null())
            .stderr(fs::File::create("/mnt/said").unwrap())
            .spawn()
            .unwrap();
        let end = End;
        wait("the server to listen", || listening().then_some(()));
        let mut c = Client::alice();
        assert_eq!(c.fetch("RETR f"), b"hello world\n");
        let [(master, _)] = children(container.id())[..] else {
            panic!("{:?}", children(container.id()));
        };
        wait("what has ended to be reaped", || {
            let dead = children(master).into_iter().any(|(_, state)| state == 'Z');
            (!dead).then_some(())
        });
        kill(Pid::from_raw(master.cast_signed()), signal).unwrap();
        assert_eq!(container.wait().unwrap().code(), Some(0));
        c.closed();
        let said = String::from_utf8_lossy(&host.read("/mnt/said")).into_owned();
        let last = "stopping; running sessions go on, unless this is process 1\n";
        assert!(said.ends_with(last), "{said}");
        drop(end);
    }
}

/// Names may be relative to where it was started: that of the configuration, also with SIGHUP, and those in it. Without the mend SIGHUP
/// looked for them in `/`, and the file with the number was removed there.
#[test]
fn names_that_are_relative_to_where_it_was_started() {
    let host = Host::new();
    host.mkdir("/srv/here", 0);
    let write = |banner: &str| {
        let text = format!("{BASE}vsftpd_log_file=rel.log\nftpd_banner={banner}\n");
        host.write("/srv/here/own.conf", &text);
    };
    write("before");
    let mut command = Command::new(PROGRAM);
    command.arg("own.conf").current_dir("/srv/here");
    if host.ours() {
        host.write("/pid", "another's");
        command.args(["--pid-file", "pid"]);
    }
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut master = command.spawn().unwrap();
    let _end = End;
    wait("the server to listen", || listening().then_some(()));
    wait("the first settings", || {
        (Client::dial().reply().text() == "220 before").then_some(())
    });
    write("after");
    let pid = nix::unistd::Pid::from_raw(master.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
    wait("the new settings", || {
        (Client::dial().reply().text() == "220 after").then_some(())
    });
    wait("the log", || host.exists("/srv/here/rel.log").then_some(()));
    if host.ours() {
        assert!(host.exists("/srv/here/pid"));
    }
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    master.wait().unwrap();
    if host.ours() {
        assert!(!host.exists("/srv/here/pid"));
        assert_eq!(host.read("/pid"), b"another's");
    }
}

/// Ends every process of the private host as it goes.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        for pid in Server::everything() {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
    }
}

/// Ends a server, also when the test fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts ours as alice, without any right.
fn as_alice(lines: &str) -> Ended {
    let text = format!(
        "listen=YES\nlisten_port=2121\nrun_as_launching_user=YES\nxferlog_enable=NO\n{lines}"
    );
    fs::write("/home/alice/own.conf", text).unwrap();
    std::os::unix::fs::chown("/home/alice/own.conf", Some(ALICE), Some(ALICE)).unwrap();
    let server = Command::new(PROGRAM)
        .arg("/home/alice/own.conf")
        .uid(ALICE)
        .gid(ALICE)
        .stdin(Stdio::null())
        .spawn();
    Ended(server.unwrap())
}

fn dial_2121() -> Client {
    wait("the server of an ordinary user", || {
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, 2121)).ok()
    });
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Client::dial_port(here, 2121)
}

#[test]
fn an_ordinary_user_serves_a_directory() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    host.file("/home/alice/d/sub/up", b"x");
    std::os::unix::fs::symlink("/etc/passwd", "/home/alice/d/out").unwrap();
    let _server = as_alice("anon_root=/home/alice/d\nanon_upload_enable=YES\nwrite_enable=YES\n");
    let mut c = dial_2121().greeted();
    c.login("ftp");
    // No process of it is any other of the user's to trace, or leaves its memory in a file (proc(5): what is not dumpable is root's).
    let all = wait("the process before login to end", || {
        Some(Server::everything()).filter(|all| all.len() == 3)
    });
    for pid in all {
        let owner = fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid();
        assert_eq!(owner, 0, "{pid}");
    }
    c.script(&[
        ("PWD", "257 \"/\" is the current directory"),
        ("CWD ..", "250 Directory successfully changed."),
        ("PWD", "257 \"/\" is the current directory"),
        ("CWD /etc", "550 Failed to change directory."),
    ]);
    assert_eq!(c.fetch("RETR /1"), b"1");
    c.refused("RETR out", "550 Failed to open file.");
    assert_eq!(c.names("NLST"), ["1", "2", "out", "sub"]);
    assert_eq!(c.store("STOR new", b"fresh").code(), "226");
    assert_eq!(host.read("/home/alice/d/new"), b"fresh");
    let (_, mut listener) = (0, c.active());
    c.says("NOOP", "200 NOOP ok.");
    let _ = &mut listener;
}

/// Nobody's uploads are given away, and nobody connects from port 20, whoever asks for it; the original ends the session of a client that uploads.
#[test]
fn a_launching_user_has_no_rights_to_give() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let lines = "anon_root=/home/alice/d\nanon_upload_enable=YES\nwrite_enable=YES\n";
    let asks = "chown_uploads=YES\nchown_username=bob\nconnect_from_port_20=YES\n";
    let own = "user_config_dir=/home/alice/conf\n";
    host.mkdir("/home/alice/conf", ALICE);
    host.file("/home/alice/conf/ftp", asks.as_bytes());
    let owner = |name: &str| {
        let mut c = dial_2121().greeted();
        c.login("ftp");
        assert_eq!(c.store(&format!("STOR {name}"), b"x").code(), "226");
        let _listener = c.active();
        assert_eq!(c.cmd("NLST").code(), "150");
        assert_eq!(c.reply().code(), "226");
        let path = format!("/home/alice/d/{name}");
        fs::metadata(path).unwrap().uid()
    };
    for (name, more) in [("one", asks), ("two", own)] {
        let _server = as_alice(&format!("{lines}{more}"));
        assert_eq!(owner(name), ALICE, "{more}");
    }
    host.own("/home/alice/conf/ftp", 0);
    host.own("/home/alice/d", 0);
    let root = "listen=YES\nlisten_port=2121\nrun_as_launching_user=YES\n";
    for (name, more) in [("three", asks), ("four", own)] {
        let _server = Server::bare(&host, 0, &format!("{root}{lines}{more}")).up(2121);
        assert_eq!(owner(name), 0, "{more}");
    }
}

#[test]
fn an_ordinary_user_logs_in_and_has_no_guests() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    host.write(
        "/etc/pam.d/vsftpd",
        "auth required pam_permit.so\naccount required pam_permit.so\n",
    );
    for (lines, last) in [
        ("", "230 Login successful."),
        (
            "guest_enable=YES\nguest_username=alice\n",
            "500 OOPS: guest_enable: there are no guests with run_as_launching_user",
        ),
    ] {
        let _server = as_alice(&format!("local_enable=YES\n{lines}"));
        let mut c = dial_2121().greeted();
        c.script(&[
            ("USER alice", "331 Please specify the password."),
            ("PASS x", last),
        ]);
    }
}

/// Who may not read the passwords is told so: shadow is root's alone here. Without the mend the log spoke of a database only.
#[test]
fn an_ordinary_user_who_may_not_read_passwords() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let lines = "local_enable=YES\nxferlog_enable=YES\nvsftpd_log_file=/home/alice/log\ndelay_failed_login=0\n";
    let _server = as_alice(lines);
    let mut c = dial_2121().greeted();
    c.script(&[
        ("USER alice", "331 Please specify the password."),
        ("PASS secret", "530 Login incorrect."),
    ]);
    wait("the reason", || {
        let log = String::from_utf8_lossy(&host.read("/home/alice/log")).into_owned();
        let why = "or of the right to read it (pam_unix of an ordinary user's server, under no_new_privs too)";
        log.contains(why).then_some(())
    });
}

#[test]
fn an_ordinary_user_needs_the_option() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let output = Command::new(PROGRAM)
        .args(["/dev/null"])
        .uid(ALICE)
        .gid(ALICE)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    fs::write("/home/alice/own.conf", "listen=YES\nlisten_port=2121\n").unwrap();
    std::os::unix::fs::chown("/home/alice/own.conf", Some(ALICE), Some(ALICE)).unwrap();
    let output = Command::new(PROGRAM)
        .arg("/home/alice/own.conf")
        .uid(ALICE)
        .gid(ALICE)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("must be started as root (see run_as_launching_user option)"),
        "{said}"
    );
}

#[test]
fn a_file_for_this_address_comes_from_the_environment() {
    let host = Host::new();
    host.write(
        "/etc/lan.conf",
        "ftpd_banner=for you\nmax_per_ip=1\nanonymous_enable=NO\n",
    );
    let _server = Server::start_with(&host, "", &[("VSFTPD_LOAD_CONF", "/etc/lan.conf")]);
    let mut first = Client::dial();
    first.next("220 for you");
    Client::dial().next("421 There are too many connections from your internet address.");
    first.login("alice");
}

/// No rule that does not name a file takes that of the environment away, and no rule counts that is not asked for.
#[test]
fn a_file_for_this_address_and_tcp_wrappers() {
    let host = Host::new();
    host.write("/etc/lan.conf", "ftpd_banner=for you\n");
    let lan = [("VSFTPD_LOAD_CONF", "/etc/lan.conf")];
    host.write("/etc/hosts.allow", "vsftpd: 127.0.0.1\n");
    host.write("/etc/hosts.deny", "ALL: ALL\n");
    let server = Server::start_with(&host, "tcp_wrappers=YES\n", &lan);
    Client::dial().next("220 for you");
    drop(server);
    host.write("/etc/hosts.allow", "");
    let _server = Server::start_with(&host, "", &lan);
    Client::dial().next("220 for you");
}

#[test]
fn a_file_for_this_address_that_is_wrong_ends_the_session() {
    let host = Host::new();
    host.write("/etc/lan.conf", "no_such_option=YES\n");
    let _server = Server::start_with(&host, "", &[("VSFTPD_LOAD_CONF", "/etc/lan.conf")]);
    let mut c = Client::dial();
    let said = c.reply().text();
    assert!(said.starts_with("500 OOPS: "), "{said}");
    c.closed();
    if host.ours() {
        wait("the mistake in the log", || {
            let log = fs::read_to_string("/var/log/vsftpd.log").unwrap_or_default();
            log.contains("/etc/lan.conf:1: unrecognised variable in config file: no_such_option")
                .then_some(())
        });
    }
}

/// Some programs leave SIGCHLD ignored; what they start inherits that.
#[test]
fn ended_sessions_are_noticed_with_sigchld_ignored() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    fs::write(CONFIG, format!("{BASE}max_clients=1\n")).unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg(CONFIG).stdin(Stdio::null());
    command.stderr(Stdio::from(fs::File::create("/run/said").unwrap()));
    // SAFETY: signal is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGCHLD, libc::SIG_IGN);
            Ok(())
        })
    };
    let mut master = command.spawn().unwrap();
    wait("the server to listen", || listening().then_some(()));
    for _ in 0..3 {
        wait("a place", || {
            (Client::dial().reply().code() == "220").then_some(())
        });
    }
    let said = host.read("/run/said");
    let said = String::from_utf8_lossy(&said);
    assert!(!said.contains("No child processes"), "{said}");
    master.kill().unwrap();
    master.wait().unwrap();
}

/// Without the mend they called settings wrong that are right.
#[test]
fn settings_are_checked_with_sigchld_ignored() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    fs::write(CONFIG, BASE).unwrap();
    for what in ["--check", "--print-config"] {
        let mut command = Command::new(PROGRAM);
        command.args([what, CONFIG]);
        // SAFETY: signal is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGCHLD, libc::SIG_IGN);
                Ok(())
            })
        };
        let output = command.output().unwrap();
        assert!(output.status.success(), "{what}: {output:?}");
    }
}

/// B-124, B-127: whom a signal goes to is written by nobody else, and over nobody's file, whatever the server was started with.
#[test]
fn the_file_with_the_process_id() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    fs::write(CONFIG, BASE).unwrap();
    host.write("/run/other", "precious");
    let start = || {
        let mut command = Command::new(PROGRAM);
        command.args([CONFIG, "--pid-file", "/run/pid"]);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        // SAFETY: umask is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                libc::umask(0);
                Ok(())
            })
        };
        command.spawn().unwrap()
    };
    let mut master = start();
    let written = wait("the number", || {
        fs::read_to_string("/run/pid")
            .ok()
            .filter(|text| text.ends_with('\n'))
    });
    assert_eq!(written.trim().parse(), Ok(master.id()));
    assert_eq!(fs::metadata("/run/pid").unwrap().mode() & 0o777, 0o644);
    master.kill().unwrap();
    master.wait().unwrap();
    fs::remove_file("/run/pid").unwrap();
    for make in [
        (|| std::os::unix::fs::symlink("/run/other", "/run/pid").unwrap()) as fn(),
        || nix::unistd::mkfifo("/run/pid", nix::sys::stat::Mode::S_IRWXU).unwrap(),
    ] {
        make();
        let mut refused = start();
        let status = wait("the server to refuse", || refused.try_wait().unwrap());
        assert_eq!(status.code(), Some(2));
        fs::remove_file("/run/pid").unwrap();
    }
    assert_eq!(host.read("/run/other"), b"precious");
    // Another server has written there since: the file is its own now.
    let mut master = start();
    wait("the number", || {
        (fs::read_to_string("/run/pid").is_ok_and(|text| text.ends_with('\n')) && listening())
            .then_some(())
    });
    host.write("/run/pid", "1\n");
    let pid = nix::unistd::Pid::from_raw(master.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(master.wait().unwrap().code(), Some(0));
    assert_eq!(host.read("/run/pid"), b"1\n");
}
