//! Every message in every order, three at a time, against a table of what may follow what; and what a worker could keep helper waiting with
//! (attacks B-141, B-146).

use super::{PEER, bytes, gate, login, null, prepared, serve, shoot};
use crate::config::Config;
use crate::helper::after::End;
use crate::helper::prepared::Prepared;
use crate::sys::socket;
use crate::wire::{AfterLogin, AfterLoginReply, BeforeLogin, BeforeLoginReply, Event, Said};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// What a message leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Nothing is said, and the session goes on.
    Silence,
    /// An answer that begins with this byte, and the session goes on.
    Answer(u8),
    /// The same, and then the end.
    Last(u8),
    /// The end.
    End,
}

/// A message, and what it leads to.
type Step<'a> = (&'a [u8], Option<&'a OwnedFd>, Next);

fn tag(reply: &[u8]) -> u8 {
    reply[0]
}

/// Sends one after the other, each once the one before has its answer if it is to have one, and all of them again behind the end: nobody
/// hears them. The loop's own word.
fn in_turn<R: Send>(steps: &[Step<'_>], serve: impl FnOnce(OwnedFd) -> R + Send) -> R {
    let (theirs, ours) = socket::message_pair().unwrap();
    let mut buffer = Vec::new();
    let mut ended = false;
    let end = std::thread::scope(|scope| {
        let running = scope.spawn(|| serve(theirs));
        for (message, descriptor, next) in steps {
            let descriptors: Vec<i32> = descriptor.iter().map(|fd| fd.as_raw_fd()).collect();
            assert!(
                shoot(&ours, (message, &descriptors)),
                "it has ended before {next:?}"
            );
            if let Next::Answer(kind) | Next::Last(kind) = next {
                let until = Instant::now().checked_add(Duration::from_secs(5));
                assert!(socket::readable(ours.as_fd(), until).unwrap(), "no answer");
                socket::receive_message(ours.as_fd(), &mut buffer, 8192).unwrap();
                assert_eq!(buffer.first(), Some(kind));
            }
            if matches!(next, Next::Last(_) | Next::End) {
                ended = true;
                break;
            }
        }
        if ended {
            for (message, _, _) in steps {
                shoot(&ours, (message, &[]));
            }
        }
        let _ = nix::sys::socket::shutdown(ours.as_raw_fd(), nix::sys::socket::Shutdown::Write);
        running.join().unwrap()
    });
    // The kernel tells of a reset first, and then gives what came before it.
    for _ in 0..2 {
        buffer.clear();
        let _ = socket::receive_message(ours.as_fd(), &mut buffer, 8192);
        assert!(buffer.is_empty(), "answered behind the end: {buffer:?}");
    }
    end
}

/// What of a session before login is known.
#[derive(Default)]
struct Known {
    securing: bool,
    secured: bool,
    failed: bool,
}

impl Known {
    /// The table: what each message of [`three_of_a_greeters_messages`] leads to now.
    fn next(&mut self, which: usize) -> Next {
        let kind = |reply: BeforeLoginReply| tag(&bytes(&reply));
        let first = |known: &mut bool| {
            if std::mem::replace(known, true) {
                Next::End
            } else {
                Next::Silence
            }
        };
        match which {
            0 => Next::Answer(kind(BeforeLoginReply::Ask)),
            1 => Next::Silence,
            2 if self.failed => Next::Last(kind(BeforeLoginReply::FailedLast)),
            2 => {
                self.failed = true;
                Next::Answer(kind(BeforeLoginReply::Failed))
            }
            3 if self.secured => {
                let (worker, _) = socket::stream_pair().unwrap();
                Next::Last(kind(BeforeLoginReply::Carry { worker }))
            }
            3 => Next::Last(kind(BeforeLoginReply::Granted)),
            4 => first(&mut self.securing),
            5 => first(&mut self.secured),
            6 if self.secured => Next::Silence,
            7 => Next::Answer(kind(BeforeLoginReply::NoHost)),
            _ => Next::End,
        }
    }
}

/// Attacks B-141.
#[test]
fn three_of_a_greeters_messages() {
    let prepared: Prepared = prepared(&[
        "ssl_enable=YES",
        "allow_anon_ssl=YES",
        "force_local_logins_ssl=NO",
        "max_login_fails=2",
    ]);
    let messages = [
        bytes(&BeforeLogin::User {
            name: b"bob".to_vec(),
        }),
        bytes(&BeforeLogin::Said(Said::Note(b"note".to_vec()))),
        login(b"alice"),
        login(b"ftp"),
        bytes(&BeforeLogin::Securing),
        bytes(&BeforeLogin::Secured { certificate: None }),
        bytes(&BeforeLogin::Resumable {
            name: b"name".to_vec(),
            value: b"secrets".to_vec().into(),
        }),
        bytes(&BeforeLogin::Host {
            name: b"a.example".to_vec(),
        }),
        // A worker's word.
        bytes(&AfterLogin::Chown { file: null() }),
    ];
    for order in 0..729 {
        let order = [order / 81, order / 9 % 9, order % 9];
        let mut known = Known::default();
        let steps = order.map(|which| (messages[which].as_slice(), None, known.next(which)));
        let ending = steps
            .iter()
            .zip(order)
            .find(|((_, _, next), _)| matches!(next, Next::Last(_) | Next::End));
        let granted = ending.is_some_and(|(_, which)| which == 3);
        assert_eq!(
            in_turn(&steps, |theirs| gate(&prepared, theirs)),
            granted,
            "{order:?}"
        );
    }
}

#[test]
fn three_of_a_workers_messages() {
    let config = Config::default();
    let waiting = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = waiting.local_addr().unwrap().port();
    let to: SocketAddr = PEER.parse().unwrap();
    let file = null();
    let unavailable = tag(&bytes(&AfterLoginReply::Unavailable));
    let listening = tag(&bytes(&AfterLoginReply::Listening {
        port: 1,
        socket: null(),
    }));
    let connecting = tag(&bytes(&AfterLoginReply::Connecting { socket: null() }));
    let said = |said| bytes(&AfterLogin::Event(Event::Said(said)));
    let messages: [(Vec<u8>, Option<&OwnedFd>, Next); 9] = [
        (
            bytes(&AfterLogin::ListenPassive),
            None,
            Next::Answer(listening),
        ),
        (
            bytes(&AfterLogin::ConnectActive { port }),
            None,
            Next::Answer(connecting),
        ),
        (
            bytes(&AfterLogin::ConnectActive { port: 21 }),
            None,
            Next::Answer(unavailable),
        ),
        (said(Said::Note(b"note".to_vec())), None, Next::Silence),
        (bytes(&AfterLogin::Arrived), None, Next::Silence),
        (bytes(&AfterLogin::ConnectForeign { to }), None, Next::End),
        (said(Said::Pending(b"bob".to_vec())), None, Next::End),
        (
            bytes(&AfterLogin::Chown { file: null() }),
            Some(&file),
            Next::End,
        ),
        // A greeter's word.
        (login(b"ftp"), None, Next::End),
    ];
    for order in 0..729 {
        let order = [order / 81, order / 9 % 9, order % 9];
        let steps = order.map(|which| {
            let (message, descriptor, next) = &messages[which];
            (message.as_slice(), *descriptor, *next)
        });
        let broken = order.iter().any(|which| *which >= 5);
        let end = in_turn(&steps, |theirs| serve(&config, None, theirs));
        assert_eq!(
            end,
            if broken { End::Broken } else { End::Gone },
            "{order:?}"
        );
    }
}

/// A client that does not answer is waited for by the worker, not by helper: it answers the next question at once (attacks B-146).
#[test]
fn a_connection_that_nobody_accepts() {
    let flags = SockFlag::SOCK_CLOEXEC;
    let full =
        nix::sys::socket::socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    nix::sys::socket::bind(full.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    nix::sys::socket::listen(&full, Backlog::new(0).unwrap()).unwrap();
    let at: SockaddrIn = nix::sys::socket::getsockname(full.as_raw_fd()).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, at.port()));
    // Its queue holds one; who comes then has no answer.
    let _first = TcpStream::connect(address).unwrap();
    let soon = Duration::from_millis(300);
    assert!(TcpStream::connect_timeout(&address, soon).is_err());
    let connect = bytes(&AfterLogin::ConnectActive { port: at.port() });
    let listen = bytes(&AfterLogin::ListenPassive);
    let connecting = tag(&bytes(&AfterLoginReply::Connecting { socket: null() }));
    let listening = tag(&bytes(&AfterLoginReply::Listening {
        port: 1,
        socket: null(),
    }));
    let mut steps: Vec<Step<'_>> = Vec::new();
    for _ in 0..50 {
        steps.push((&connect, None, Next::Answer(connecting)));
        steps.push((&listen, None, Next::Answer(listening)));
    }
    let begin = Instant::now();
    assert_eq!(
        in_turn(&steps, |theirs| serve(&Config::default(), None, theirs)),
        End::Gone
    );
    assert!(begin.elapsed() < Duration::from_secs(5));
}
