//! Processes that run as an ordinary user, stopped by another of that user: the server waits for none of them (attacks B-133, B-145).

use crate::fault::Fault;
use crate::sessions::{NOBODY, back_to_base, children, session, status};
use crate::support::host::CONFIG;
use crate::support::server::{BASE, output};
use crate::support::tls::{BOTH, Ftps, ON, certificate, offer};
use crate::support::{Client, DEADLINE, Host, Server, wait};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

fn strike(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// A host with a name server that says nothing.
fn silent() -> (Host, UdpSocket) {
    let host = Host::new();
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    host.write(
        "/etc/nsswitch.conf",
        "hosts: dns\npasswd: files\ngroup: files\nshadow: files\n",
    );
    host.write("/etc/resolv.conf", "nameserver 127.0.0.1\n");
    (host, socket)
}

fn nobody_below(pid: i32) -> Option<i32> {
    let nobody = |pid: &i32| status(*pid, "Uid").is_some_and(|uid| uid.starts_with("65534"));
    children(pid).into_iter().find(nobody)
}

/// Has new settings read, and stops the reader while it looks a name up; its number, and the settings of before.
fn stopped_reader(host: &Host, server: &Server) -> (i32, String) {
    let text = String::from_utf8(host.read(CONFIG)).unwrap();
    let named = "pasv_address=ftp.example.org\npasv_addr_resolve=YES\n";
    host.write(CONFIG, &format!("{text}{named}"));
    server.signal(Signal::SIGHUP);
    // It asks the name server, in a child.
    let reader = wait("the reader that looks the name up", || {
        nobody_below(server.pid()).filter(|reader| nobody_below(*reader).is_some())
    });
    strike(reader, Signal::SIGSTOP);
    (reader, text)
}

/// Without the mend master waited for the reader of its new settings, and took no client, for as long as it was stopped.
#[test]
fn a_reader_at_a_reload() {
    let (host, _silent) = silent();
    let server = Server::start(&host, "");
    let (_, text) = stopped_reader(&host, &server);
    Client::alice().says("QUIT", "221 Goodbye.");
    wait("what became of the new settings", || {
        let said = output();
        let why = "it was stopped, or has taken too long";
        (said.contains(why) && said.contains("not reloaded, the old one stays")).then_some(())
    });
    host.write(CONFIG, &text);
    server.signal(Signal::SIGHUP);
    wait("settings that can be read", || {
        output().contains("read again").then_some(())
    });
    back_to_base(&server);
}

/// Nobody knows what the rules would have said: the client does not come in, and its place is free again.
#[test]
fn a_reader_that_judges_a_client() {
    let (host, _silent) = silent();
    host.write("/etc/hosts.allow", "vsftpd: .example.org\n");
    let server = Server::start(&host, "tcp_wrappers=YES\n");
    let client = Client::dial();
    let helper = wait("the helper", || children(server.pid()).first().copied());
    let judge = wait("the judge", || {
        nobody_below(helper).filter(|judge| nobody_below(*judge).is_some())
    });
    strike(judge, Signal::SIGSTOP);
    let mut client = client;
    client.next("421 Service not available.");
    client.closed();
    host.write("/etc/hosts.allow", "vsftpd: ALL\n");
    back_to_base(&server);
}

/// Helper has set aside the right to end it by then, and takes it back for that.
#[test]
fn a_reader_of_a_user_s_settings() {
    let host = Host::new();
    host.mkdir("/etc/users", 0);
    host.write("/etc/users/alice", "write_enable=NO\n");
    let server = Server::start(&host, "user_config_dir=/etc/users\n");
    let mut client = Client::connect();
    client.says("USER alice", "331 Please specify the password.");
    let (helper, greeter) = session(&server, NOBODY);
    // The reader looks at the file that it was given.
    let fault = Fault::slow_below(helper, "statx");
    client.send(b"PASS secret\r\n");
    let reader = wait("the reader", || {
        let below = children(helper).into_iter();
        below.into_iter().find(|pid| {
            *pid != greeter && status(*pid, "Uid").is_some_and(|uid| uid.starts_with("65534"))
        })
    });
    strike(reader, Signal::SIGSTOP);
    client.next("500 OOPS: cannot read config file: /etc/users/alice");
    client.closed();
    drop(fault);
    back_to_base(&server);
}

/// Its client has gone long ago: the place is free again, though nobody lets the greeter go on.
#[test]
fn a_greeter() {
    let host = Host::new();
    let server = Server::start(&host, "idle_session_timeout=1\nxferlog_std_format=NO\n");
    let client = Client::connect();
    let (helper, greeter) = session(&server, NOBODY);
    strike(greeter, Signal::SIGSTOP);
    drop(client);
    // Twice three seconds, fifteen for a handshake, and five for a last word.
    let begin = Instant::now();
    while Server::processes().contains(&helper) {
        assert!(begin.elapsed() < 3 * DEADLINE, "it is still waited for");
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = String::from_utf8_lossy(&host.read("/var/log/vsftpd.log")).into_owned();
    assert!(log.contains("greeter neither ends"), "{log}");
    back_to_base(&server);
}

/// Whatever signal has ended it, its session is over. Without the mend one ended by a real-time signal counted for ever.
#[test]
fn a_helper_ended_by_a_real_time_signal() {
    let host = Host::new();
    let server = Server::start(&host, "max_clients=1\n");
    for signal in [libc::SIGRTMIN(), libc::SIGRTMAX()] {
        let client = Client::connect();
        let (helper, _) = session(&server, NOBODY);
        // SAFETY: kill takes integers, and touches no memory.
        assert_eq!(unsafe { libc::kill(helper, signal) }, 0);
        drop(client);
        wait("a place", || {
            (Client::dial().reply().code() == "220").then_some(())
        });
        back_to_base(&server);
    }
}

/// A keyholder without `key_user` runs as greeters do. Without the mend one that ended right after the start was missing for five seconds.
#[test]
fn a_keyholder() {
    let host = Host::new();
    certificate(&host);
    let server = Server::start(&host, ON);
    let stop = || {
        let keyholder = wait("the keyholder", || nobody_below(server.pid()));
        strike(keyholder, Signal::SIGSTOP);
    };
    let ends = |count| {
        wait("its end", || {
            (output().matches("the keyholder has ended").count() == count).then_some(())
        });
    };
    stop();
    ends(1);
    assert_eq!(Client::connect().cmd("AUTH TLS").code(), "234");
    // Not at once the second time: one that ends again and again is not started all the time.
    stop();
    ends(2);
    wait("another keyholder", || {
        let served = Client::connect().cmd("AUTH TLS").code() == "234";
        served.then_some(())
    });
    Ftps::alice(offer(BOTH, None)).says("NOOP", "200 NOOP ok.");
    // One that is there for a session of earlier settings.
    let old = wait("the keyholder alone", || {
        let [keyholder] = children(server.pid())[..] else {
            return None;
        };
        Some(keyholder)
    });
    let session = Client::connect();
    server.signal(Signal::SIGHUP);
    wait("the new settings", || {
        output().contains("read again").then_some(())
    });
    assert!(Server::processes().contains(&old));
    strike(old, Signal::SIGSTOP);
    wait("its end", || {
        (!Server::processes().contains(&old)).then_some(())
    });
    drop(session);
    let said = output();
    assert!(said.contains("a keyholder was stopped"), "{said}");
}

/// A server that may not end processes of others, as in a container to which only what is asked for at the start was given.
fn without_the_right_to_kill(host: &Host, lines: &str) -> Server {
    std::thread::scope(|all| {
        let start = || {
            // SAFETY: it takes integers, and concerns this thread and what it starts.
            let done = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, 5, 0, 0, 0) };
            assert_eq!(done, 0);
            Server::start(host, lines)
        };
        all.spawn(start).join().unwrap()
    })
}

/// Without the mend master waited for it for as long as it was stopped, and served nobody.
#[test]
fn a_reader_that_cannot_be_ended() {
    let (host, _silent) = silent();
    let server = without_the_right_to_kill(&host, "");
    let (reader, _) = stopped_reader(&host, &server);
    wait("what became of the new settings", || {
        let said = output();
        let why = "has taken too long, and cannot be ended (CAP_KILL)";
        (said.contains(why) && said.contains("not reloaded, the old one stays")).then_some(())
    });
    Client::alice().says("QUIT", "221 Goodbye.");
    // It finds nobody when it goes on.
    strike(reader, Signal::SIGCONT);
    back_to_base(&server);
}

/// The same of a keyholder: without the mend handshakes hung, and the log said that it was ended.
#[test]
fn a_keyholder_that_cannot_be_ended() {
    let host = Host::new();
    certificate(&host);
    let server = without_the_right_to_kill(&host, ON);
    let keyholder = wait("the keyholder", || nobody_below(server.pid()));
    strike(keyholder, Signal::SIGSTOP);
    // A session that master has begun before it knows belongs to the one that is stopped.
    let why = "it cannot be ended without CAP_KILL: another takes its place";
    wait("another keyholder", || {
        drop(Client::connect());
        output().contains(why).then_some(())
    });
    Ftps::alice(offer(BOTH, None)).says("NOOP", "200 NOOP ok.");
    let said = output();
    assert_eq!(said.matches(why).count(), 1, "{said}");
    strike(keyholder, Signal::SIGCONT);
    wait("its end", || {
        (!Server::processes().contains(&keyholder)).then_some(())
    });
}

/// Standard error is a pipe whose reader takes nothing, as it is in a container whose logs are stuck: the lines are lost, and neither master nor a
/// session waits for it. Without the mend master hung when it said that it serves.
#[test]
fn whoever_reads_standard_error() {
    let host = Host::new();
    let (reader, error) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
    while nix::unistd::write(&error, &[b'x'; 4096]).is_ok() {}
    fcntl(&error, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let server = Server::complaining_to(&host, "xferlog_enable=NO\n", error);
    let mut client = Client::connect();
    client.script(&[
        ("USER alice", "331 Please specify the password."),
        ("PASS wrong", "530 Login incorrect."),
    ]);
    client.login("alice");
    client.says("QUIT", "221 Goodbye.");
    server.signal(Signal::SIGHUP);
    Client::alice().says("QUIT", "221 Goodbye.");
    // There is room for something, and not for this line: without the mend master waited for more.
    let long = "/there/is/none".repeat(290);
    host.write(CONFIG, &format!("{BASE}host_config_dir={long}\n"));
    assert_eq!(nix::unistd::read(&reader, &mut [0; 4096]), Ok(4096));
    server.signal(Signal::SIGHUP);
    Client::alice().says("QUIT", "221 Goodbye.");
}
