//! One message read and written back: what is not exactly one is refused, and what is one comes out as the same bytes; for the fuzz
//! target and for the tests of the messages.

use crate::wire::{Decoder, Encoder, Message};
use std::os::fd::OwnedFd;

/// True if the bytes are a message of this set, with a descriptor or without.
pub fn reads<M: Message>(bytes: &[u8]) -> bool {
    for with in [false, true] {
        let descriptor: Option<OwnedFd> =
            with.then(|| std::fs::File::open("/dev/null").unwrap().into());
        let mut from = Decoder::new(bytes, descriptor);
        let Ok(message) = M::decode(&mut from) else {
            continue;
        };
        if !from.finished() {
            continue;
        }
        let mut out = Encoder::default();
        message.encode(&mut out);
        assert_eq!(out.descriptor().is_some(), with);
        assert_eq!(out.bytes(), bytes);
        assert!(
            bytes.len() <= M::MAX,
            "{} bytes are more than the longest message",
            bytes.len()
        );
        return true;
    }
    false
}
