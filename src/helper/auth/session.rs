//! A PAM session and the records of a login, kept for as long as helper lives and closed however it ends; auth, still root.

use super::{Asked, Asks, explain, refused, say};
use crate::sys::pam::Login;
use crate::sys::syslog::Syslog;
use crate::sys::utmp::Record;
use crate::sys::{clock, confine, limits, process};
use crate::wire::AuthReply;
use std::fmt::Display;
use std::os::fd::AsFd;
use std::time::Duration;
use zeroize::Zeroize;

/// Seconds that modules may take to open a session, or to close it: one that hangs does not leave a root process behind for ever.
const OPENING: u32 = 120;
const CLOSING: u32 = 120;
/// How long the last line waits for a system's log that is behind.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the session of a login that holds, reports it, and stays until helper has gone or this process is asked to end.
pub fn keep(mut login: Login<'_>, mut reply: AuthReply, mut asked: Asked, mut channel: Asks) {
    let AuthReply::Granted { name, session, .. } = &mut reply else {
        return say(&mut channel, reply);
    };
    let unable = |why: &dyn Display| refused(format_args!("no session could be opened: {why}"));
    // What is opened from here on must be closed: neither helper's death nor a request to end may cut it short.
    if let Err(error) = confine::outlive(channel.as_fd()).and_then(|()| process::catch_endings()) {
        return say(&mut channel, unable(&error));
    }
    let before = limits::current();
    process::end_within(OPENING);
    let opened = login.open_session();
    process::end_within(0);
    if let Err(refusal) = opened {
        // Modules may have something to put in order.
        drop(login);
        return say(&mut channel, unable(&explain(&asked, refusal)));
    }
    login.forget_password();
    asked.question.password.zeroize();
    let mut record = Record::new(asked.helper, name, &asked.question.rhost);
    record.begin(clock::now());
    *session = Some(limits::changed(&before));
    // Before anybody can know that the session is there.
    process::silence_session();
    // Helper may have gone while PAM worked.
    if channel.send(&reply).is_ok() {
        process::until_over(channel.as_fd());
    }
    // The records first: they need nobody's help.
    record.end(clock::now());
    process::end_within(CLOSING);
    if let Err(refusal) = login.close_session() {
        let mut log = Syslog::new("vsftpd", PATIENCE);
        drop(login);
        let reason = explain(&asked, refusal);
        let text = format!("the session of a login was not closed in order: {reason}");
        log.send(true, text.as_bytes());
    }
}
