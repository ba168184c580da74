//! The messages between processes: what is not exactly one message is refused, and what is one is written back as the same bytes.

use crate::message::reads;
use crate::wire::{
    AfterLogin, AfterLoginReply, AuthReply, BeforeLogin, BeforeLoginReply, Found, FromKeyholder,
    FromReader, Report, Said, Sign, SignReply, ToAuth, ToKeyholder, ToNursery, ToReader,
};

/// The first byte says which set of messages it is.
pub fn wire(data: &[u8]) {
    let Some((set, bytes)) = data.split_first() else {
        return;
    };
    let _ = match set % 16 {
        0 => reads::<BeforeLogin>(bytes),
        1 => reads::<BeforeLoginReply>(bytes),
        2 => reads::<AfterLogin>(bytes),
        3 => reads::<AfterLoginReply>(bytes),
        4 => reads::<AuthReply>(bytes),
        5 => reads::<Said>(bytes),
        6 => reads::<ToKeyholder>(bytes),
        7 => reads::<FromKeyholder>(bytes),
        8 => reads::<Sign>(bytes),
        9 => reads::<SignReply>(bytes),
        10 => reads::<Found>(bytes),
        11 => reads::<ToAuth>(bytes),
        12 => reads::<ToNursery>(bytes),
        13 => reads::<FromReader>(bytes),
        14 => reads::<ToReader>(bytes),
        _ => reads::<Report>(bytes),
    };
}
