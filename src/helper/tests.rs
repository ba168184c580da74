//! A hostile worker and a hostile greeter against the loops that answer them: every message in every state, every length, every kind of
//! descriptor, and noise (attacks B-140 to B-145).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod orders;
mod secured;

use super::after::{self, End, Facts};
use super::journal::Journal;
use super::prepared::{Held, Prepared};
use crate::config::{self, Config, Source};
use crate::sys::socket;
use crate::wire::{
    AfterLogin, AfterLoginReply, BeforeLogin, BeforeLoginReply, Channel, Decoder, Direction,
    Encoder, Event, Handover, Message, Outcome, Said,
};
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::sys::stat::Mode;
use nix::unistd::Uid;
use proptest::prelude::*;
use std::io::{IoSlice, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

const PEER: &str = "127.0.0.1:40000";

/// What the hostile side got: how the loop ended, and what it was answered.
struct Played<R> {
    end: R,
    replies: Vec<Vec<u8>>,
}

/// One thing to send: bytes and descriptors, any number of both.
type Shot<'a> = (&'a [u8], &'a [RawFd]);

fn shoot(on: &OwnedFd, (bytes, descriptors): Shot<'_>) -> bool {
    let rights = [ControlMessage::ScmRights(descriptors)];
    let control = if descriptors.is_empty() {
        &rights[..0]
    } else {
        &rights[..]
    };
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(on.as_raw_fd(), &[IoSlice::new(bytes)], control, flags, None).is_ok()
}

/// Sends everything to a loop that runs in a thread, then hangs up; a loop that goes on for long is a failure.
fn play<R: Send>(shots: &[Shot<'_>], serve: impl FnOnce(OwnedFd) -> R + Send) -> Played<R> {
    let (theirs, ours) = socket::message_pair().unwrap();
    std::thread::scope(|scope| {
        let running = scope.spawn(move || serve(theirs));
        let mut replies = Vec::new();
        let mut buffer = Vec::new();
        let mut take = |wait: u64| {
            let until = Instant::now().checked_add(Duration::from_millis(wait));
            let mut ends = 0;
            while socket::readable(ours.as_fd(), until).unwrap() {
                let received = socket::receive_message(ours.as_fd(), &mut buffer, 8192);
                match (received, buffer.is_empty()) {
                    // The kernel tells of the reset first, and then gives what came before it.
                    (Ok(_), true) if ends == 0 => ends = 1,
                    (Ok(_), true) | (Err(_), _) => return,
                    (Ok(_), false) => replies.push(buffer.clone()),
                }
            }
        };
        for shot in shots {
            if !shoot(&ours, *shot) {
                break;
            }
            take(0);
        }
        let _ = nix::sys::socket::shutdown(ours.as_raw_fd(), nix::sys::socket::Shutdown::Write);
        take(5000);
        let begin = Instant::now();
        while !running.is_finished() {
            assert!(begin.elapsed() < Duration::from_secs(5), "it goes on");
            std::thread::sleep(Duration::from_micros(200));
        }
        let end = running.join().unwrap();
        Played { end, replies }
    })
}

/// Helper after login, over this end.
fn serve(config: &Config, heir: Option<Uid>, theirs: OwnedFd) -> End {
    let peer: SocketAddr = PEER.parse().unwrap();
    let facts = Facts {
        config,
        peer,
        local: peer,
        session: nix::unistd::geteuid(),
        heir,
        worker: nix::unistd::Pid::this(),
        alone: false,
    };
    let channel = Channel::<AfterLoginReply, AfterLogin>::new(theirs);
    let mut journal = Journal::silent(peer);
    after::serve(&facts, channel, None, &mut None, &mut journal)
}

fn against_helper(config: &Config, heir: Option<Uid>, shots: &[Shot<'_>]) -> Played<End> {
    let played = play(shots, |theirs| serve(config, heir, theirs));
    for reply in &played.replies {
        assert!(matches!(reply.first(), Some(1..=4)), "{reply:?}");
    }
    played
}

fn bytes<M: Message>(message: &M) -> Vec<u8> {
    let mut out = Encoder::default();
    message.encode(&mut out);
    out.bytes().to_vec()
}

/// Whether helper would take it for a message.
fn valid<M: Message>(datagram: &[u8], descriptor: Option<OwnedFd>) -> bool {
    let mut from = Decoder::new(datagram, descriptor);
    datagram.len() <= M::MAX && M::decode(&mut from).is_ok() && from.finished()
}

fn null() -> OwnedFd {
    open(
        "/dev/null",
        OFlag::O_RDONLY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .unwrap()
}

/// Attacks B-140.
#[test]
fn every_tag_and_length_from_a_worker() {
    let config = Config::default();
    let listen = bytes(&AfterLogin::ListenPassive);
    let file = null();
    for tag in 0..=255_u8 {
        for length in [
            1,
            2,
            3,
            4,
            5,
            7,
            8,
            12,
            21,
            22,
            1024,
            16 * 1024,
            AfterLogin::MAX + 1,
        ] {
            let mut datagram = vec![tag; length];
            datagram[1..].fill(tag.wrapping_mul(31));
            for descriptors in [&[][..], &[file.as_raw_fd()]] {
                let given = descriptors.first().map(|_| null());
                let fits = valid::<AfterLogin>(&datagram, given);
                let shots = [(datagram.as_slice(), descriptors), (listen.as_slice(), &[])];
                let played = against_helper(&config, None, &shots);
                if !fits {
                    assert_eq!(played.end, End::Broken, "{tag} {length}");
                    assert!(played.replies.is_empty(), "{tag} {length}: answered");
                }
            }
        }
    }
}

#[test]
fn surplus_and_missing_bytes_and_descriptors() {
    let config = Config {
        port_promiscuous: true,
        ..Config::default()
    };
    let to: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let messages = [
        bytes(&AfterLogin::ListenPassive),
        bytes(&AfterLogin::ConnectActive { port: 1 }),
        bytes(&AfterLogin::ConnectForeign { to }),
        bytes(&AfterLogin::Event(Event::Said(Said::Note(
            b"note".to_vec(),
        )))),
        bytes(&AfterLogin::Chown { file: null() }),
    ];
    let file = null();
    let two = [file.as_raw_fd(), file.as_raw_fd()];
    let many = [file.as_raw_fd(); 253];
    for message in &messages {
        let takes_one = message.first() == Some(&5);
        for length in 0..=message.len() + 1 {
            let mut cut = message.clone();
            cut.resize(length, 0);
            for descriptors in [&[][..], &two[..1], &two, &many] {
                let played = against_helper(&config, None, &[(&cut, descriptors)]);
                let whole = length == message.len() && descriptors.len() == usize::from(takes_one);
                if length == 0 {
                    // It looks like the end, and is taken for it.
                    assert_ne!(played.replies.len(), 1);
                } else if !whole {
                    assert_eq!(played.end, End::Broken, "{cut:?} {}", descriptors.len());
                    assert!(played.replies.is_empty());
                }
            }
        }
    }
}

/// Only a regular file of the session's is given away, and nothing that was sent stays open (attacks B-006, B-144).
#[test]
fn every_kind_of_descriptor() {
    let config = Config::default();
    let own = nix::unistd::geteuid();
    let chown = bytes(&AfterLogin::Chown { file: null() });
    let flags = OFlag::O_CLOEXEC;
    let path = std::env::temp_dir().join(format!("vsftpd-hostile-{}", std::process::id()));
    std::fs::write(&path, b"x").unwrap();
    let (_, socket) = socket::message_pair().unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let kinds = [
        null(),
        open("/", flags | OFlag::O_DIRECTORY, Mode::empty()).unwrap(),
        open(&path, flags | OFlag::O_PATH, Mode::empty()).unwrap(),
        open("/proc/self/mem", flags | OFlag::O_RDWR, Mode::empty()).unwrap(),
        open("/proc/self/status", flags, Mode::empty()).unwrap(),
        socket,
        nix::sys::eventfd::EventFd::new().unwrap().into(),
        writer.into(),
        // A terminal, and a process.
        open("/dev/ptmx", flags | OFlag::O_NOCTTY, Mode::empty()).unwrap(),
        crate::sys::process::watch(nix::unistd::getppid()).unwrap(),
        nix::sys::epoll::Epoll::new(nix::sys::epoll::EpollCreateFlags::EPOLL_CLOEXEC)
            .unwrap()
            .0,
    ];
    for (at, kind) in kinds.into_iter().enumerate() {
        // An heir that is not the owner: nothing is "already given".
        let heir = Uid::from_raw(own.as_raw() + 12_345);
        let played = against_helper(&config, Some(heir), &[(&chown, &[kind.as_raw_fd()])]);
        assert_eq!(played.end, End::Gone, "{at}");
        assert_eq!(
            played.replies,
            [bytes(&AfterLoginReply::Unavailable)],
            "{at}"
        );
    }
    // The pipe's other ends are all closed: helper's copy as well.
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    let file = open(&path, flags, Mode::empty()).unwrap();
    let unasked = against_helper(&config, None, &[(&chown, &[file.as_raw_fd()])]);
    assert_eq!(unasked.end, End::Broken);
    std::fs::remove_file(&path).unwrap();
}

/// attacks B-033, B-039.
#[test]
fn ports_and_addresses_that_are_not_for_a_worker() {
    let config = Config::default();
    for port in [0, 1, 20, 21, 22, 25, 80, 443, 1023] {
        let message = bytes(&AfterLogin::ConnectActive { port });
        let played = against_helper(&config, None, &[(&message, &[])]);
        assert_eq!(
            played.replies,
            [bytes(&AfterLoginReply::Unavailable)],
            "{port}"
        );
    }
    let to: SocketAddr = "127.0.0.2:6000".parse().unwrap();
    let foreign = bytes(&AfterLogin::ConnectForeign { to });
    let played = against_helper(&config, None, &[(&foreign, &[])]);
    assert!(played.end == End::Broken && played.replies.is_empty());
}

/// Many requests are answered one by one, and the listeners that were made are closed. Who does not take his answers has one on its way, and
/// gets no other: they count for all helpers together.
#[test]
fn a_flood_of_requests() {
    let config = Config::default();
    let peer: SocketAddr = PEER.parse().unwrap();
    let facts = Facts {
        config: &config,
        peer,
        local: peer,
        session: nix::unistd::geteuid(),
        heir: None,
        worker: nix::unistd::Pid::this(),
        alone: false,
    };
    let listen = bytes(&AfterLogin::ListenPassive);
    let (theirs, ours) = socket::message_pair().unwrap();
    let end = std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let channel = Channel::<AfterLoginReply, AfterLogin>::new(theirs);
            let mut journal = Journal::silent(peer);
            after::serve(&facts, channel, None, &mut None, &mut journal)
        });
        let mut buffer = Vec::new();
        for _ in 0..2000 {
            assert!(shoot(&ours, (&listen, &[])));
            assert!(
                socket::receive_message(ours.as_fd(), &mut buffer, 16)
                    .unwrap()
                    .is_some()
            );
        }
        for _ in 0..3 {
            let _ = shoot(&ours, (&listen, &[]));
        }
        let _ = nix::sys::socket::shutdown(ours.as_raw_fd(), nix::sys::socket::Shutdown::Write);
        running.join().unwrap()
    });
    assert_eq!(end, End::Broken);
    let mut buffer = Vec::new();
    let mut answers = 0;
    while matches!(
        socket::receive_message(ours.as_fd(), &mut buffer, 16),
        Ok(Some(_))
    ) {
        answers += 1;
    }
    assert!(answers <= 1, "{answers}");
}

fn prepared(lines: &[&str]) -> Prepared {
    let base = [
        "listen=YES",
        "run_as_launching_user=YES",
        "local_enable=NO",
        "delay_failed_login=0",
        "delay_successful_login=0",
    ];
    let sources: Vec<Source> = base
        .iter()
        .chain(lines)
        .map(|line| Source::Setting(line.as_bytes().to_vec()))
        .collect();
    Prepared::new(config::load(&config::Own, &sources).unwrap()).unwrap()
}

/// Whether a login was granted.
fn gate(prepared: &Prepared, theirs: OwnedFd) -> bool {
    let mut channel = Channel::<BeforeLoginReply, BeforeLogin>::new(theirs);
    let mut journal = Journal::silent(PEER.parse().unwrap());
    let toll = super::toll::Toll::new(None, None);
    let mut gate = super::Gate::new(Held::Lent(prepared), &toll, None);
    let local = "127.0.0.1:21".parse().unwrap();
    super::before(&mut gate, local, &mut journal, &mut channel).is_some()
}

fn against_gate(prepared: &Prepared, shots: &[Shot<'_>]) -> Played<bool> {
    play(shots, |theirs| gate(prepared, theirs))
}

/// Each of these once the one before was answered.
fn against_gate_in_turn(prepared: &Prepared, messages: &[&[u8]]) -> Played<bool> {
    let (theirs, ours) = socket::message_pair().unwrap();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| gate(prepared, theirs));
        let mut replies = Vec::new();
        let mut buffer = Vec::new();
        for message in messages {
            let asked = shoot(&ours, (message, &[]));
            let answered = socket::receive_message(ours.as_fd(), &mut buffer, 8192);
            if !asked || answered.is_err() || buffer.is_empty() {
                break;
            }
            replies.push(buffer.clone());
        }
        let end = running.join().unwrap();
        Played { end, replies }
    })
}

fn login(name: &[u8]) -> Vec<u8> {
    bytes(&BeforeLogin::Login {
        name: name.to_vec(),
        password: b"x@".to_vec().into(),
        rest: Handover {
            unread: Vec::new(),
            utf8: false,
            protect: false,
        },
    })
}

/// The user of the log lines is the one who has logged in, whatever a worker says.
#[test]
fn a_worker_does_not_choose_its_name() {
    let forged = bytes(&AfterLogin::Event(Event::Said(Said::Pending(
        b"bob".to_vec(),
    ))));
    let played = against_helper(&Config::default(), None, &[(&forged, &[])]);
    assert_eq!(played.end, End::Broken);
    let note = bytes(&AfterLogin::Event(Event::Said(Said::Note(
        b"fine".to_vec(),
    ))));
    let played = against_helper(&Config::default(), None, &[(&note, &[])]);
    assert_eq!(played.end, End::Gone);
}

/// Before login there are no transfers to tell of.
#[test]
fn a_greeter_has_done_nothing() {
    let prepared = prepared(&[]);
    let done = Event::Transfer {
        direction: Direction::Upload,
        outcome: Outcome::Done,
        path: b"/evidence".to_vec(),
        bytes: 1,
        elapsed: Duration::from_secs(1),
        ascii: false,
    };
    let mut forged = Encoder::default();
    done.encode(forged.tag(3));
    let mut name = Encoder::default();
    let pending = Said::Pending(b"bob".to_vec());
    pending.encode(name.tag(3));
    let user = bytes(&BeforeLogin::User {
        name: b"bob".to_vec(),
    });
    for (first, replies) in [(forged, 0), (name, 1)] {
        let played = against_gate(&prepared, &[(first.bytes(), &[]), (&user, &[])]);
        assert_eq!(played.replies.len(), replies);
    }
}

/// Helper counts, whatever a greeter sends: after the last failure nothing is answered any more (attacks A78, B-085).
#[test]
fn a_greeter_cannot_guess_for_ever() {
    let prepared = prepared(&[]);
    let wrong = login(b"alice");
    let played = against_gate_in_turn(&prepared, &[wrong.as_slice(); 1000]);
    assert!(!played.end);
    let failed = bytes(&BeforeLoginReply::Failed);
    let last = bytes(&BeforeLoginReply::FailedLast);
    assert_eq!(played.replies, [failed.clone(), failed, last]);
}

/// Who does not wait for an answer gets no other: helper would wait for him, for ever.
#[test]
fn a_greeter_that_takes_no_answers() {
    let prepared = prepared(&[]);
    let user = bytes(&BeforeLogin::User {
        name: b"bob".to_vec(),
    });
    let shots: Vec<Shot<'_>> = vec![(&user, &[]); 1000];
    let (theirs, ours) = socket::message_pair().unwrap();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| gate(&prepared, theirs));
        assert!(!shots.iter().all(|shot| shoot(&ours, *shot)));
        assert!(!running.join().unwrap());
    });
}

#[test]
fn every_tag_and_length_from_a_greeter() {
    let prepared = prepared(&[]);
    let right = login(b"ftp");
    let file = null();
    for tag in 0..=255_u8 {
        for length in [
            1,
            2,
            3,
            5,
            8,
            64,
            4098,
            4099,
            BeforeLogin::MAX,
            BeforeLogin::MAX + 1,
        ] {
            for filling in [0, 1, 255] {
                let mut datagram = vec![filling; length];
                datagram[0] = tag;
                for descriptors in [&[][..], &[file.as_raw_fd()]] {
                    let given = descriptors.first().map(|_| null());
                    let fits = valid::<BeforeLogin>(&datagram, given);
                    let shots = [(datagram.as_slice(), descriptors), (right.as_slice(), &[])];
                    let played = against_gate(&prepared, &shots);
                    if !fits {
                        // What follows is not looked at either, were it right a hundred times.
                        assert!(!played.end && played.replies.is_empty(), "{tag} {length}");
                    }
                }
            }
        }
    }
}

/// One login is granted, once; no second identity in the same session (attacks A77, B-142).
#[test]
fn one_login_is_granted() {
    let prepared = prepared(&[]);
    let (right, wrong) = (login(b"ftp"), login(b"alice"));
    let shots: [Shot<'_>; 4] = [(&wrong, &[]), (&right, &[]), (&right, &[]), (&wrong, &[])];
    let played = against_gate(&prepared, &shots);
    assert!(played.end);
    let expected = [BeforeLoginReply::Failed, BeforeLoginReply::Granted];
    assert_eq!(played.replies, expected.map(|reply| bytes(&reply)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::fuzz::cases(128)))]

    /// Noise in any order ends the session or is a message; nothing else is answered, and nothing crashes.
    #[test]
    fn noise(shots in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), 0..3_usize), 1..8)) {
        let config = Config::default();
        let file = null();
        let descriptors = [file.as_raw_fd(), file.as_raw_fd()];
        let shots: Vec<Shot<'_>> = shots
            .iter()
            .map(|(bytes, count)| (bytes.as_slice(), &descriptors[..*count]))
            .collect();
        let played = against_helper(&config, None, &shots);
        prop_assert!(played.replies.len() <= shots.len());
        let prepared = prepared(&[]);
        let played = against_gate(&prepared, &shots);
        prop_assert!(played.replies.len() <= shots.len());
    }

    /// What is nearly a message: one with bytes changed.
    #[test]
    fn nearly(which in 0..6_usize, changes in prop::collection::vec((0..64_usize, any::<u8>()), 0..4)) {
        let to: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let mut datagram = match which {
            0 => bytes(&AfterLogin::ListenPassive),
            1 => bytes(&AfterLogin::ConnectActive { port: 1 }),
            2 => bytes(&AfterLogin::ConnectForeign { to }),
            3 => bytes(&AfterLogin::Event(Event::Said(Said::Pending(b"name".to_vec())))),
            4 => bytes(&AfterLogin::Arrived),
            _ => bytes(&AfterLogin::Chown { file: null() }),
        };
        for (at, byte) in changes {
            let length = datagram.len();
            datagram[at % length] = byte;
        }
        let fits = valid::<AfterLogin>(&datagram, None);
        let played = against_helper(&Config::default(), None, &[(&datagram, &[])]);
        prop_assert!(fits || played.end == End::Broken);
    }
}

/// A name leads to settings that were read at start, or nowhere; what has failed before it has failed.
#[test]
fn names_of_hosts() {
    let prepared = prepared(&[]);
    let host = |name: &[u8]| {
        bytes(&BeforeLogin::Host {
            name: name.to_vec(),
        })
    };
    let (right, wrong) = (login(b"ftp"), login(b"alice"));
    for name in [&b"../etc/passwd"[..], b"", b".", b"a\0b", b"a.example:21"] {
        let name = host(name);
        let played = against_gate(&prepared, &[(&name, &[]), (&right, &[])]);
        assert!(!played.end && played.replies.is_empty());
    }
    let (unknown, own) = (host(b"a.example"), host(b"127.0.0.1"));
    let messages = [&wrong, &unknown, &wrong, &own, &wrong, &right];
    let played = against_gate_in_turn(&prepared, &messages.map(Vec::as_slice));
    assert!(!played.end);
    let expected = [
        BeforeLoginReply::Failed,
        BeforeLoginReply::NoHost,
        BeforeLoginReply::Failed,
        BeforeLoginReply::Host { banner: None },
        BeforeLoginReply::FailedLast,
    ];
    assert_eq!(played.replies, expected.map(|reply| bytes(&reply)));
}
