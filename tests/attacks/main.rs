//! An adversary's tests, by the numbers of the catalogue of attacks: taken-over processes, steps of confinement that fail, kills at any
//! moment, and clients that want to cost as much as they can, or to get by a path, a name, an address or a byte what is not theirs. Ours only.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::wildcard_enum_match_arm
)]

#[path = "../support/mod.rs"]
mod support;

mod around;
mod begin;
mod bounce;
mod bounds;
mod channels;
mod cost;
mod cuts;
mod fault;
mod guess;
mod hello;
mod homes;
#[cfg(target_arch = "x86_64")]
mod inside;
mod kernel;
mod lists;
mod logs;
mod modules;
mod oracle;
mod paths;
mod places;
#[cfg(target_arch = "x86_64")]
mod puppet;
mod room;
mod sessions;
mod special;
mod spelling;
mod steps;
mod stopped;
mod storm;
mod swaps;
#[cfg(target_arch = "x86_64")]
mod taken;
mod text;
#[cfg(target_arch = "x86_64")]
mod twins;
mod verbs;
