//! One password checked: by PAM where the host has it, else against the shadow file, which is opened as root and read without rights; auth,
//! a root child of nursery or helper that ends when it has answered, unless `session_support` leaves it a session to close.

pub mod nursery;
mod pam;
mod refusal;
mod session;
mod shadow;
mod shells;

use super::prepared::Prepared;
use crate::reader::Who;
use crate::sys::account::{self, Account};
use crate::sys::confine::{self, Fences};
use crate::sys::pam::{Pam, Refused};
use crate::sys::process::{self, Ended};
use crate::sys::title;
use crate::wire::{AuthReply, Channel, Question, ToAuth};
use nix::sys::resource::Resource;
use nix::unistd::Pid;
use std::fmt;
use std::fs::File;

/// The longest name and password that are checked (reference §0.1).
const LONGEST: usize = 128;

/// shadow(5).
const SHADOW: &str = "/etc/shadow";

/// The resource limits of an auth that reads it.
const LIMITS: &[(Resource, u64)] = &[
    (Resource::RLIMIT_FSIZE, 0),
    (Resource::RLIMIT_CORE, 0),
    (Resource::RLIMIT_DATA, 256 << 20),
];

/// Why a login is refused: one sentence for the log that names the rule and what would mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// From a sentence.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a password could not be checked at all.
pub fn failed(why: impl fmt::Display) -> Reason {
    Reason(format!("the password could not be checked: {why}"))
}

/// The same for an auth that has ended without a word.
pub fn died(ended: Ended) -> Reason {
    match ended {
        Ended::Killed(libc::SIGKILL) => {
            failed("the process was killed (signal 9), by somebody or because memory ran out")
        }
        Ended::Killed(signal) => {
            failed(format!("a PAM module or library crashed (signal {signal})"))
        }
        Ended::Exited(_) => failed("a PAM module ended the process"),
    }
}

/// Whether name and password may be checked at all: what is no name reaches neither PAM nor a file name (reference §6.1).
///
/// # Errors
/// The rule that forbids it.
pub fn acceptable(name: &[u8], password: &[u8]) -> Result<(), Reason> {
    let first = name.first().copied().unwrap_or(0);
    let reason = if name.is_empty() || name.len() > LONGEST {
        "the name is empty or longer than 128 bytes"
    } else if !(first.is_ascii_alphanumeric() || first == b'_' || first == b'.') {
        "the name does not start with a letter, a digit, `_` or `.`"
    } else if !name.iter().all(u8::is_ascii_graphic) {
        "the name has blanks or bytes that cannot be printed"
    } else if password.len() > LONGEST {
        "the password is longer than 128 bytes"
    } else if password.contains(&0) {
        "the password has a NUL byte"
    } else {
        return Ok(());
    };
    Err(Reason::new(reason))
}

/// What auth is asked, and by whom.
pub struct Asked {
    /// The question.
    pub question: Question,
    /// Whom auth becomes when it needs no right any more.
    pub who: Who,
    /// Who asks: its number is the session's in logs and records.
    pub helper: Pid,
}

/// The end of the channel at which an auth is asked.
type Asks = Channel<AuthReply, ToAuth>;

impl Asked {
    /// The question of this helper; `None` if it is none.
    fn hear(channel: &mut Asks, who: Who, helper: Pid) -> Option<Self> {
        let Ok(Some(ToAuth::Ask(question))) = channel.receive() else {
            return None;
        };
        let rhost = String::from_utf8_lossy(&question.rhost);
        title::set(question.titled, &format!("{rhost}: connected"));
        Some(Self {
            question,
            who,
            helper,
        })
    }
}

/// Checks a password, looks up whom it belongs to, and says so; with `session_support` comes back only when the session is over.
pub fn answer(prepared: &Prepared, helper: Pid, mut channel: Asks) {
    process::silence_modules();
    let Some(asked) = Asked::hear(&mut channel, prepared.reader(), helper) else {
        return;
    };
    match Pam::load() {
        Ok(Some(library)) => return answer_by(&library, asked, channel),
        Ok(None) => {}
        // What PAM would have said nobody knows: another judge is none.
        Err(why) => {
            let reason = failed(format!("libpam.so.0 cannot be loaded: {why}"));
            return say(&mut channel, refused(reason));
        }
    }
    // All that takes a right: what comes then, the passwords' lines among it, is read without any.
    let file = File::open(SHADOW);
    let reply = match lay_down(asked.who, Some(asked.helper)) {
        Ok(()) => shadow::reply(file, &asked, prepared.config().check_shell),
        Err(reason) => refused(reason),
    };
    say(&mut channel, reply);
}

/// Gives up every right, where what is left to do takes none.
fn lay_down(who: Who, parent: Option<Pid>) -> Result<(), Reason> {
    let plan = who.plan(LIMITS, &Fences::default, parent);
    confine::confine(&plan).map(drop).map_err(failed)
}

/// Why PAM has refused, found out without rights: there is nothing else to do for this process.
fn explain(asked: &Asked, refusal: Refused) -> Reason {
    lay_down(asked.who, None).map_or_else(|why| why, |()| refusal::reason(asked, refusal))
}

/// The same where PAM is there.
fn answer_by(library: &Pam, asked: Asked, mut channel: Asks) {
    match pam::check(library, &asked.question) {
        Ok((name, login)) if asked.question.session_support => {
            session::keep(login, identity(name), asked, channel);
        }
        Ok((name, login)) => {
            drop(login);
            say(&mut channel, identity(name));
        }
        Err(refusal) => say(&mut channel, refused(explain(&asked, refusal))),
    }
}

/// The last word of an auth that does not stay; helper may have gone, and then nobody needs it.
fn say(channel: &mut Asks, reply: AuthReply) {
    let _ = channel.send(&reply);
}

fn refused(reason: impl fmt::Display) -> AuthReply {
    AuthReply::Refused(reason.to_string().into_bytes())
}

/// The account of a name that somebody has vouched for.
fn identity(name: Vec<u8>) -> AuthReply {
    let whole = |mut account: Account| {
        account.groups = account::groups(&name, account.gid)?;
        Ok(account)
    };
    let found = account::find(&name).and_then(|found| found.map(whole).transpose());
    match found {
        Ok(account) => AuthReply::Granted {
            name,
            account,
            session: None,
        },
        Err(error) => refused(format_args!("the account could not be looked up: {error}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::acceptable;

    #[test]
    fn names_follow_the_reference() {
        for name in [
            b"alice".as_slice(),
            b"_x",
            b".x",
            b"9a",
            b"a-b@c",
            &[b'a'; 128],
        ] {
            assert!(acceptable(name, b"x").is_ok(), "{name:?}");
        }
        for name in [
            b"".as_slice(),
            b"-x",
            b"../x",
            b"a b",
            b"a\0b",
            b"a\nb",
            b"\xc3\xa9",
            &[b'a'; 129],
        ] {
            // `../x` starts with a dot and is a name to PAM; it is refused where it would become a path.
            assert_eq!(acceptable(name, b"x").is_ok(), name == b"../x", "{name:?}");
        }
        assert!(acceptable(b"a", &[b'p'; 128]).is_ok());
        assert!(acceptable(b"a", &[b'p'; 129]).is_err());
        assert!(acceptable(b"a", b"p\0q").is_err());
    }
}
