//! The compliance suite: what the original does, asked of the original and of ours alike.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

#[path = "../support/mod.rs"]
mod support;

mod chroot;
mod commands;
mod data;
mod files;
mod launch;
mod listing;
mod login;
mod logs;
mod mended;
mod options;
mod session;
mod tls;
mod transfer;
mod wrappers;
