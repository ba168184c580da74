//! The messages between the processes of one session, one set per phase; and those with the keyholder and the nursery;
//! linked into every process.
//!
//! A message is one datagram on a `SOCK_SEQPACKET` pair, a tag byte and its fields, with at most one descriptor. Requests
//! and replies are different types, so a process cannot even say what only its peer may say.

mod after;
mod auth;
mod before;
mod channel;
mod codec;
mod event;
mod keys;
mod kinds;
mod lookup;
mod nursery;
mod reader;
mod report;
mod said;
mod sign;
#[cfg(test)]
mod tests;

pub use after::{AfterLogin, AfterLoginReply, is_crowded};
pub use auth::AuthReply;
pub use before::{BeforeLogin, BeforeLoginReply, Handover, SESSION};
pub use channel::{Channel, post};
#[allow(unused_imports)] // Tests and measurements encode by themselves.
pub use codec::Encoder;
#[cfg(test)]
pub use codec::Malformed;
pub use codec::{Decoder, Message};
pub use event::{Change, Direction, Event, Outcome};
pub use keys::{FromKeyholder, ToKeyholder};
pub use lookup::Found;
pub use nursery::{Question, Silence, ToAuth, ToNursery};
pub use reader::{Authority, FromReader, Identity, Passive, ToReader};
pub use report::Report;
pub use said::Said;
pub use sign::{Sign, SignReply};
