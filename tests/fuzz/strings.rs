//! The messages between processes: what is not exactly one message is refused, and what is one is written back as the same bytes.

use crate::wire::{
    AfterLogin, AfterLoginReply, AuthReply, AuthWord, BeforeLogin, BeforeLoginReply, Decoder,
    Encoder, Found, FromKeyholder, Message, Sign, SignReply, ToKeyholder,
};
use std::os::fd::OwnedFd;

fn reads<M: Message>(bytes: &[u8]) {
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
        assert_eq!(message.descriptor().is_some(), with);
        let mut out = Encoder::default();
        message.encode(&mut out);
        assert_eq!(out.bytes(), bytes);
        assert!(
            bytes.len() <= M::MAX,
            "{} bytes are more than the longest message",
            bytes.len()
        );
    }
}

/// The first byte says which set of messages it is.
pub fn wire(data: &[u8]) {
    let Some((set, bytes)) = data.split_first() else {
        return;
    };
    match set % 11 {
        0 => reads::<BeforeLogin>(bytes),
        1 => reads::<BeforeLoginReply>(bytes),
        2 => reads::<AfterLogin>(bytes),
        3 => reads::<AfterLoginReply>(bytes),
        4 => reads::<AuthWord>(bytes),
        5 => reads::<AuthReply>(bytes),
        6 => reads::<ToKeyholder>(bytes),
        7 => reads::<FromKeyholder>(bytes),
        8 => reads::<Sign>(bytes),
        9 => reads::<SignReply>(bytes),
        _ => reads::<Found>(bytes),
    }
}
