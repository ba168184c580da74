//! What every integration test shares: a private host, the server under test, and a small FTP client; runs in the test process.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

pub mod client;
pub mod fuse;
pub mod host;
pub mod listing;
pub mod log;
pub mod server;
pub mod tls;
pub mod trace;
pub mod trust;
pub mod utmp;

pub use client::{Client, Data};
pub use host::Host;
pub use listing::line;
pub use server::Server;

use std::time::{Duration, Instant};

/// Whether our own build is under test, not the original.
pub fn ours() -> bool {
    std::env::var_os("FTPD_UNDER_TEST").is_none()
}

/// The longest any single thing may take before a test fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Asks `ready` until it has an answer; the deadline is an error, never luck, and says what was there instead.
#[track_caller]
pub fn wait<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(
            start.elapsed() < DEADLINE,
            "waited {DEADLINE:?} for {what}; instead there were\n{}",
            server::scene()
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}
