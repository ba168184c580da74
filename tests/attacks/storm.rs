//! Sessions without number: short ones, reset ones, ones that stand still everywhere, ones that get no memory, and handshakes by the hundred
//! (attacks B-103 to B-107, B-158).

use crate::cost::ticks;
use crate::fault::Fault;
use crate::sessions::{back_to_base, children, descriptors, memory};
use crate::support::client::ends_with_a_reset;
use crate::support::host::ALICE;
use crate::support::log::VSFTPD;
use crate::support::server::output;
use crate::support::tls::{BOTH, Ftps, ON, certificate, offer};
use crate::support::{Client, Host, Server, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Numbers of Lehmer's: the same in every run.
fn lehmer(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut seed = seed;
    move |below| {
        seed = seed * 48_271 % 2_147_483_647;
        seed % below
    }
}

/// Just so many connections of one address are served: no session of before is counted any more.
fn places_left(count: usize) {
    let held: Vec<Client> = (0..count)
        .map(|_| {
            wait("a place", || {
                let mut c = Client::dial();
                (c.reply().code() == "220").then_some(c)
            })
        })
        .collect();
    Client::dial().next("421 There are too many connections from your internet address.");
    drop(held);
}

/// Sessions that end in every way there is, their processes killed now and then: nothing is left of any, and no place is lost.
#[test]
fn short_sessions() {
    const PLACES: usize = 5;
    let host = Host::new();
    let server = Server::start(
        &host,
        &format!("max_per_ip={PLACES}\nlogin_fails_per_ip=0\n"),
    );
    back_to_base(&server);
    let base = (descriptors(server.pid()), memory(server.pid()));
    let nursery = server.nursery();
    let mut chance = lehmer(20_261_127);
    for number in 0..600 {
        let c = Client::dial();
        let mut stream = c.stream();
        let said: &[u8] = match chance(6) {
            0 => b"",
            1 => b"QUIT\r\n",
            2 => b"USER ftp\r\nPASS x@\r\nQUIT\r\n",
            3 => b"USER alice\r\nPASS secret\r\nEPSV\r\nSTAT\r\n",
            4 => b"USER alice\r\nPASS wrong\r\nQUIT\r\n",
            _ => b"USER ftp\r\nPASS x@\r\nEPSV\r\nPASV\r\nSIZE f\r\n",
        };
        let _ = stream.write_all(said);
        match chance(4) {
            0 => ends_with_a_reset(stream),
            1 if number % 5 == 0 => {
                let mut victims = Server::processes();
                victims.retain(|pid| *pid != server.pid() && *pid != nursery);
                if !victims.is_empty() {
                    let victim = victims[chance(victims.len() as u64) as usize];
                    let _ = kill(Pid::from_raw(victim), Signal::SIGKILL);
                }
            }
            _ => {
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
            }
        }
    }
    wait("every session to go", || {
        children(server.pid()).is_empty().then_some(())
    });
    places_left(PLACES);
    back_to_base(&server);
    assert_eq!(descriptors(server.pid()), base.0);
    assert!(memory(server.pid()) - base.1 < 512);
}

/// Connections that are reset before they are accepted, or right behind that (attacks B-103).
#[test]
fn connections_that_are_reset() {
    let host = Host::new();
    let server = Server::start(&host, "max_per_ip=5\n");
    back_to_base(&server);
    let base = descriptors(server.pid());
    let before = ticks(server.pid());
    // Stopped, master accepts none of those that come first.
    server.signal(Signal::SIGSTOP);
    for number in 0..3000 {
        if number == 100 {
            server.signal(Signal::SIGCONT);
        }
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
        ends_with_a_reset(&stream);
    }
    wait("every session to go", || {
        children(server.pid()).is_empty().then_some(())
    });
    places_left(5);
    back_to_base(&server);
    // Then it sleeps.
    let spent = ticks(server.pid());
    assert!(spent - before < 1000, "{} ticks", spent - before);
    std::thread::sleep(Duration::from_millis(500));
    assert!(ticks(server.pid()) - spent <= 5);
    assert_eq!(descriptors(server.pid()), base);
}

/// Thirty sessions stand still in each place where one can: whoever comes is greeted, logs in, and has a file.
#[test]
fn sessions_that_stand_still_everywhere() {
    const EACH: usize = 30;
    let host = Host::new();
    certificate(&host);
    let huge = fs::File::create("/srv/ftp/pub/huge").unwrap();
    huge.set_len(200_000_000).unwrap();
    let lines = "max_clients=1000\nmax_per_ip=0\nforce_local_logins_ssl=NO\nforce_local_data_ssl=NO\nanon_upload_enable=YES\n\
                 ssl_handshakes_per_ip=0\n";
    let server = Server::start(&host, &format!("{ON}{lines}"));
    let mut held: Vec<Client> = Vec::new();
    let mut data = Vec::new();
    let mut secured = Vec::new();
    for number in 0..EACH {
        held.push(Client::connect());
        let mut named = Client::connect();
        named.says("USER alice", "331 Please specify the password.");
        named.send(b"PASS sec");
        held.push(named);
        let mut hello = Client::connect();
        hello.says("AUTH TLS", "234 Proceed with negotiation.");
        hello.send(b"\x16\x03\x01\x00\xc8\x01");
        held.push(hello);
        held.push(Client::anonymous());
        let mut waits = Client::anonymous();
        waits.epsv();
        waits.send(b"RETR pub/file\r\n");
        held.push(waits);
        let mut up = Client::anonymous();
        let (_, stream) = up.begin(&format!("STOR incoming/up{number}"));
        data.push(stream);
        held.push(up);
        let mut down = Client::anonymous();
        let (_, stream) = down.begin("RETR pub/huge");
        data.push(stream);
        held.push(down);
        if number % 3 == 0 {
            secured.push(Ftps::alice(offer(BOTH, None)));
        }
    }
    let mut worst = Duration::ZERO;
    for _ in 0..20 {
        let begin = Instant::now();
        let mut c = Client::connect();
        worst = worst.max(begin.elapsed());
        c.login("ftp");
        assert_eq!(c.fetch("RETR pub/file"), b"pubfile");
        c.says("QUIT", "221 Goodbye.");
    }
    // Much less than any of them stands still.
    assert!(worst < Duration::from_secs(5), "{worst:?}");
    drop((held, data, secured));
    wait("every session to go", || {
        (children(server.pid()).len() == 1).then_some(())
    });
    Client::anonymous().says("NOOP", "200 NOOP ok.");
}

/// With name spaces for each session none is left behind, nor a mount (attacks B-106).
#[test]
fn name_spaces_for_each_session() {
    let host = Host::new();
    let server = Server::start(&host, "isolate=YES\nisolate_network=YES\n");
    let spaces = || {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let all = all.filter(|entry| entry.file_name().to_string_lossy().parse::<i32>().is_ok());
        let ours = fs::read_link("/proc/thread-self/ns/mnt").unwrap();
        let here = all
            .filter(|entry| fs::read_link(entry.path().join("ns/mnt")).is_ok_and(|ns| ns == ours));
        let kinds = here.flat_map(|entry| {
            ["net", "ipc", "mnt", "pid"].map(|kind| entry.path().join("ns").join(kind))
        });
        kinds
            .filter_map(|path| fs::read_link(path).ok())
            .collect::<BTreeSet<PathBuf>>()
    };
    let mounts = || {
        fs::read_to_string("/proc/thread-self/mountinfo")
            .unwrap()
            .lines()
            .count()
    };
    let before = (spaces(), mounts());
    for number in 0..150 {
        let mut c = Client::connect();
        if number % 3 == 0 {
            c.login("ftp");
            assert!(spaces().len() > before.0.len());
        }
        if number % 2 == 0 {
            c.says("QUIT", "221 Goodbye.");
        }
    }
    back_to_base(&server);
    assert_eq!((spaces(), mounts()), before);
}

/// Lets one client do what takes memory, with one more failure of a call each time, until all of it succeeds; how often it did not.
fn failing(server: &Server, call: &str) -> usize {
    for at in 1..50 {
        let fault = Fault::below_with(server.pid(), call, &format!("ENOMEM:when={at}"));
        let c = Client::dial();
        let _ = c
            .stream()
            .write_all(b"USER alice\r\nPASS secret\r\nSTAT many\r\nQUIT\r\n");
        let mut said = Vec::new();
        let _ = c.stream().read_to_end(&mut said);
        // Not before its processes have ended: strace may wait for ever for one with threads that ends as it lets go.
        wait("the session to go", || {
            children(server.pid()).is_empty().then_some(())
        });
        let answered = fault.answered();
        drop((c, fault));
        back_to_base(server);
        if answered == 0 {
            assert!(said.ends_with(b"221 Goodbye.\r\n"), "{call} {at}");
            return at - 1;
        }
    }
    panic!("{call} fails without end");
}

/// The kernel gives a session's processes no memory, at the first call, the second, and so on: a worker that cannot go on ends, and its session
/// with it; helper, master and nursery live, and everybody is served when there is some again (attacks B-107).
#[test]
fn memory_that_fails_at_each_call() {
    let host = Host::new();
    host.mkdir("/home/alice/many", ALICE);
    for number in 0..20_000 {
        fs::write(format!("/home/alice/many/{number:0100}"), b"").unwrap();
    }
    // A call that strace answers itself has a number that no filter lets pass.
    let server = Server::start(&host, "seccomp_sandbox=NO\n");
    let nursery = server.nursery();
    let mut failed = 0;
    for call in ["brk", "mmap", "mremap"] {
        failed += failing(&server, call);
    }
    assert!(failed > 3, "{failed}");
    let log = String::from_utf8(host.read(VSFTPD)).unwrap();
    assert!(!log.contains("greeter was killed"), "{log}");
    assert!(!output().contains("was killed"), "{}", output());
    assert!(Server::everything().contains(&nursery));
    Client::alice().says("QUIT", "221 Goodbye.");
}

/// More handshakes from one address than it may make in a minute: refused before they cost anything, and nobody else's session suffers
/// (attacks B-158).
#[test]
fn handshakes_by_the_hundred() {
    const MAY: usize = 30;
    let host = Host::new();
    certificate(&host);
    host.file("/home/alice/big", &vec![b'x'; 20_000_000]);
    let server = Server::start(
        &host,
        &format!("{ON}ssl_handshakes_per_ip={MAY}\nmax_per_ip=0\n"),
    );
    let holder = children(server.pid())[0];
    let mut client = Ftps::alice(offer(BOTH, None));
    let before = ticks(holder);
    let (mut begun, mut refused) = (0, 0);
    let flood = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
    std::thread::scope(|scope| {
        let transfers = scope.spawn(|| {
            for _ in 0..5 {
                assert_eq!(client.fetch("RETR big").len(), 20_000_000);
            }
        });
        for _ in 0..600 {
            let mut c = Client::dial_from(flood, HERE);
            if c.reply().code() == "421" {
                refused += 1;
                continue;
            }
            c.send(b"AUTH TLS\r\n");
            c.reply();
            begun += 1;
            // A hello that is answered with a signature.
            let config = std::sync::Arc::new(offer(BOTH, None));
            let name = "localhost".try_into().unwrap();
            let mut tls = rustls::ClientConnection::new(config, name).unwrap();
            let mut hello = Vec::new();
            tls.write_tls(&mut hello).unwrap();
            c.send(&hello);
            let _ = c.stream().read(&mut [0; 4096]);
        }
        transfers.join().unwrap();
    });
    // Each is told to master by its helper, a moment after it has begun.
    assert!(
        (MAY - 1..=MAY + 20).contains(&begun),
        "{begun} begun, {refused} refused"
    );
    assert!(ticks(holder) - before < 200);
    Ftps::alice(offer(BOTH, None)).says("NOOP", "200 NOOP ok.");
}
