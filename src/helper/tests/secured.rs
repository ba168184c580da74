//! A hostile greeter that leaves out TLS where it must be, says it twice, or leaves more of it behind than is kept.

use super::{against_gate, bytes, login, prepared};
use crate::helper::RESUMABLE;
use crate::wire::{BeforeLogin, BeforeLoginReply};

fn secured() -> Vec<u8> {
    bytes(&BeforeLogin::Secured { certificate: None })
}

/// What a login is answered without TLS and with it; nothing where it is granted.
fn answers(lines: &[&str], name: &[u8]) -> [Option<u8>; 2] {
    let prepared = prepared(&[&["ssl_enable=YES"], lines].concat());
    let (secured, login) = (secured(), login(name));
    let played = [
        against_gate(&prepared, &[(&login, &[])]),
        against_gate(&prepared, &[(&secured, &[]), (&login, &[])]),
    ];
    played.map(|played| {
        assert_eq!(played.replies.len(), 1);
        (!played.end).then(|| played.replies[0][0])
    })
}

/// Greeter has refused USER by then: this is for one that is not what it was. Who knows that is not asked a second time.
#[test]
fn a_login_that_must_be_protected_or_must_not() {
    let last = bytes(&BeforeLoginReply::FailedLast).first().copied();
    let failed = bytes(&BeforeLoginReply::Failed).first().copied();
    let (forced, free) = ("force_local_logins_ssl=YES", "force_local_logins_ssl=NO");
    assert_eq!(answers(&[forced], b"alice"), [last, failed]);
    assert_eq!(answers(&[free], b"alice"), [failed, failed]);
    assert_eq!(answers(&[], b"ftp"), [None, last]);
    assert_eq!(answers(&["allow_anon_ssl=YES"], b"ftp"), [None, None]);
    let forced = "force_anon_logins_ssl=YES";
    assert_eq!(answers(&[forced], b"ftp"), [last, None]);
    let both = [forced, "allow_anon_ssl=YES"];
    assert_eq!(answers(&both, b"ftp"), [last, None]);
}

/// A handshake is one; a certificate is not changed behind it.
#[test]
fn tls_is_said_once() {
    let prepared = prepared(&["ssl_enable=YES", "allow_anon_ssl=YES"]);
    let right = login(b"ftp");
    for word in [bytes(&BeforeLogin::Securing), secured()] {
        let once = against_gate(&prepared, &[(&word, &[]), (&right, &[])]);
        assert!(once.end);
        let twice = against_gate(&prepared, &[(&word, &[]), (&word, &[]), (&right, &[])]);
        assert!(!twice.end && twice.replies.is_empty());
    }
}

/// Sessions to resume are kept for the worker: of a handshake there was, and so many.
#[test]
fn a_few_sessions_can_be_resumed() {
    let prepared = prepared(&["ssl_enable=YES", "allow_anon_ssl=YES"]);
    let (secured, right) = (secured(), login(b"ftp"));
    let one = bytes(&BeforeLogin::Resumable {
        name: b"name".to_vec(),
        value: b"secrets".to_vec().into(),
    });
    let played = |first: Option<&[u8]>, count| {
        let mut shots: Vec<(&[u8], &[_])> =
            first.map(|first| (first, &[][..])).into_iter().collect();
        shots.extend((0..count).map(|_| (one.as_slice(), &[][..])));
        shots.push((&right, &[]));
        against_gate(&prepared, &shots)
    };
    assert!(played(Some(&secured), RESUMABLE).end);
    for (first, count) in [(Some(secured.as_slice()), RESUMABLE + 1), (None, 1)] {
        let played = played(first, count);
        assert!(!played.end && played.replies.is_empty());
    }
}
