//! Every set of messages against random bytes: what is not exactly one message is refused, and what is one is written back as it was
//! (attacks B-140, B-144).
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../../tests/fuzz/message.rs"]
mod message;

use super::{
    AfterLogin, AfterLoginReply, AuthReply, BeforeLogin, BeforeLoginReply, Channel, Decoder,
    Encoder, FromReader, Report, ToAuth, ToNursery, ToReader,
};
use message::reads;
use proptest::prelude::*;

/// Bytes that are nearly messages: a tag, and pieces with lengths that are right, or noise.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let text = prop::collection::vec(any::<u8>(), 0..20).prop_map(|text| {
        let length = u16::try_from(text.len()).unwrap();
        [length.to_le_bytes().as_slice(), &text].concat()
    });
    let address = prop_oneof![Just(4_u8), Just(16)].prop_flat_map(|length| {
        prop::collection::vec(any::<u8>(), usize::from(length))
            .prop_map(move |octets| [&[length, 0], octets.as_slice()].concat())
    });
    let piece = prop_oneof![
        text,
        address,
        prop::collection::vec(0..8_u8, 0..3),
        any::<u16>().prop_map(|short| short.to_le_bytes().to_vec()),
        any::<u64>().prop_map(|long| long.to_le_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..10),
    ];
    let pieces = prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat());
    (0..12_u8, pieces).prop_map(|(tag, rest)| [&[tag], rest.as_slice()].concat())
}

fn all(bytes: &[u8]) -> usize {
    let read = [
        reads::<BeforeLogin>(bytes),
        reads::<BeforeLoginReply>(bytes),
        reads::<AfterLogin>(bytes),
        reads::<AfterLoginReply>(bytes),
        reads::<AuthReply>(bytes),
        reads::<FromReader>(bytes),
        reads::<ToReader>(bytes),
        reads::<Report>(bytes),
        reads::<ToAuth>(bytes),
        reads::<ToNursery>(bytes),
    ];
    read.iter().filter(|read| **read).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::fuzz::cases(512)))]

    #[test]
    fn noise(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        all(&bytes);
    }

    #[test]
    fn nearly_messages(bytes in nearly()) {
        all(&bytes);
    }
}

#[test]
fn the_generator_hits() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let hits = (0..3000).filter(|_| {
        let bytes = nearly().new_tree(&mut runner).unwrap().current();
        all(&bytes) > 0
    });
    assert!(hits.count() > 50);
}

/// A length over what is stated is refused, though the bytes are there.
#[test]
fn texts_have_their_bounds() {
    for (length, fits) in [(0, true), (4, true), (5, false), (1000, false)] {
        let mut out = Encoder::default();
        out.text(&vec![b'x'; length]);
        let taken = Decoder::new(out.bytes(), None).text(4);
        assert_eq!(taken.is_ok(), fits, "{length}");
    }
}

/// A worker that cannot begin says why and goes, without having heard that it may.
#[test]
fn what_was_said_last_is_heard() {
    let (mut ours, mut theirs) = Channel::<AfterLoginReply, AfterLogin>::pair().unwrap();
    ours.send(&AfterLoginReply::Ready).unwrap();
    theirs.send(&AfterLogin::ListenPassive).unwrap();
    drop(theirs);
    let heard = ours.receive().unwrap();
    assert!(matches!(heard, Some(AfterLogin::ListenPassive)));
    assert!(ours.receive().unwrap().is_none());
}
