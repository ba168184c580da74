//! What hostile sessions get of the keyholder, and for whom it lives (attacks B-157); runs in the test process.

use super::{Master, serve};
use crate::sys::socket;
use crate::wire::{Channel, FromKeyholder, Sign, SignReply, ToKeyholder};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

type Ours = Channel<ToKeyholder, FromKeyholder>;
type Asking = Channel<Sign, SignReply>;

/// ECDSA with P-256 and SHA-256.
const SCHEME: u16 = 0x0403;

fn keyholder() -> (Ours, JoinHandle<()>) {
    let pair = rcgen::KeyPair::generate().unwrap();
    let der = PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
    let key = crate::tls::provider()
        .key_provider
        .load_private_key(der)
        .unwrap();
    let keys: Vec<Arc<dyn SigningKey>> = vec![key];
    let (ours, theirs): (Ours, Master) = Channel::pair().unwrap();
    (ours, std::thread::spawn(move || serve(&keys, theirs)))
}

fn session(master: &mut Ours, signatures: u32) -> Asking {
    let (ours, channel) = socket::message_pair().unwrap();
    master
        .send(&ToKeyholder::Session {
            signatures,
            channel,
        })
        .unwrap();
    Channel::new(ours)
}

fn handshake() -> Vec<u8> {
    [
        &[b' '; 64][..],
        b"TLS 1.3, server CertificateVerify\0",
        &[7; 32],
    ]
    .concat()
}

/// The answer; `None` if the channel was closed instead.
fn ask(session: &mut Asking, key: u16, scheme: u16, content: &[u8]) -> Option<SignReply> {
    let question = Sign {
        key,
        scheme,
        content: content.to_vec(),
    };
    session.send(&question).ok()?;
    let deadline = Instant::now().checked_add(Duration::from_secs(10));
    assert!(socket::readable(session.as_fd(), deadline).unwrap());
    session.receive().ok()?
}

fn signed(session: &mut Asking) -> bool {
    matches!(
        ask(session, 0, SCHEME, &handshake()),
        Some(SignReply::Signed(_))
    )
}

#[test]
fn a_session_has_its_share_and_no_more() {
    let (mut master, _keyholder) = keyholder();
    let (mut one, mut other) = (session(&mut master, 3), session(&mut master, 3));
    for _ in 0..3 {
        assert!(signed(&mut one));
    }
    for _ in 0..3 {
        assert_eq!(
            ask(&mut one, 0, SCHEME, &handshake()),
            Some(SignReply::Refused)
        );
    }
    assert!(signed(&mut other));
}

#[test]
fn what_is_no_handshake_ends_the_session_and_no_other() {
    let (mut master, _keyholder) = keyholder();
    let mut other = session(&mut master, 9);
    let client = [
        &[b' '; 64][..],
        b"TLS 1.3, client CertificateVerify\0",
        &[7; 32],
    ]
    .concat();
    for content in [b"please sign this request".to_vec(), Vec::new(), client] {
        let mut hostile = session(&mut master, 9);
        assert_eq!(ask(&mut hostile, 0, SCHEME, &content), None);
        assert!(matches!(master.receive(), Ok(Some(FromKeyholder::Note(_)))));
    }
    // Bytes that are no message.
    let mut hostile = session(&mut master, 9);
    socket::send_message(hostile.as_fd(), &[9; 2000], None).unwrap();
    assert!(matches!(hostile.receive(), Ok(None) | Err(_)));
    assert!(matches!(master.receive(), Ok(Some(FromKeyholder::Note(_)))));
    assert!(signed(&mut other));
}

#[test]
fn keys_and_schemes_that_are_not_there_are_refused() {
    let (mut master, _keyholder) = keyholder();
    let mut session = session(&mut master, 9);
    for (key, scheme) in [(1, SCHEME), (255, SCHEME), (0, 0x0804), (0, 0)] {
        assert_eq!(
            ask(&mut session, key, scheme, &handshake()),
            Some(SignReply::Refused)
        );
    }
    assert!(signed(&mut session));
}

#[test]
fn it_lives_for_its_sessions_and_not_longer() {
    let (mut master, keyholder) = keyholder();
    let mut session = session(&mut master, 9);
    assert!(signed(&mut session));
    drop(master);
    assert!(signed(&mut session));
    drop(session);
    keyholder.join().unwrap();
}

/// One that asks and never reads is not waited for.
#[test]
fn a_session_that_does_not_read_holds_up_nobody() {
    let (mut master, _keyholder) = keyholder();
    let mut deaf = session(&mut master, 1_000_000);
    let mut other = session(&mut master, 9);
    socket::nonblocking(deaf.as_fd()).unwrap();
    let question = Sign {
        key: 0,
        scheme: SCHEME,
        content: handshake(),
    };
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(1) {
        let _ = deaf.send(&question);
    }
    assert!(signed(&mut other));
}
