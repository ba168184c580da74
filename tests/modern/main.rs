//! What the original has not: the commands and options of ours, against the text of their RFCs and drafts.
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

mod atomic;
mod attributes;
mod broken;
mod clients;
mod digest;
mod every;
mod facts;
mod filezilla;
mod gates;
mod hosts;
mod implicit;
mod inplace;
mod language;
mod moved;
mod names;
mod passive;
mod points;
mod rclone;
mod refusals;
mod renewal;
mod throttle;
mod times;
mod together;
mod zip;

/// The server's log once it has a line with this text; helper writes it in its own time.
#[track_caller]
fn logged(text: &str) -> String {
    support::wait(&format!("{text} in the log"), || {
        let log = std::fs::read("/var/log/vsftpd.log").unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        log.contains(text).then_some(log)
    })
}

/// What `--check` says of these lines, and its exit status.
fn checked(host: &support::Host, lines: &str) -> (Option<i32>, String) {
    let base = support::server::BASE;
    host.write(support::host::CONFIG, &format!("{base}{lines}"));
    let output = std::process::Command::new(support::host::PROGRAM)
        .args(["--check", support::host::CONFIG])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}
