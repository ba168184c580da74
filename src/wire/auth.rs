//! What auth reports to helper about one password: explicit success with the account, or the reason why not.

use super::codec::{Decoder, Encoder, Malformed, Message};
use super::kinds::{Int, Kind, Many, Maybe, Text, Words, messages};
use crate::sys::limits::{self, Limit};

const NAME: usize = 4096;
const PATH: usize = 4096;
/// Linux allows a process 65536 groups; a login with more than this is refused rather than cut.
const GROUPS: u16 = 8192;

/// The account a login runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The login name, possibly rewritten by PAM.
    pub name: Vec<u8>,
    /// Its user id.
    pub uid: u32,
    /// Its primary group id.
    pub gid: u32,
    /// All its groups.
    pub groups: Vec<u32>,
    /// Its home directory.
    pub home: Vec<u8>,
}

/// Whether auth goes on after it has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stay {
    /// It ends.
    Ends,
    /// It has opened a session, and closes it when helper's end of the channel is closed.
    Accounts {
        /// The limits that the session's modules have set for the user.
        limits: Vec<Limit>,
    },
}

/// From auth to helper: the only message of that channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthWord {
    /// What it found.
    pub reply: AuthReply,
    /// What it does next.
    pub stay: Stay,
}

/// What one password's check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthReply {
    /// The password holds and the account exists.
    Granted(Identity),
    /// It does not; one sentence for the log that names the rule and the cure.
    Refused(Vec<u8>),
    /// The password holds but no account of that name exists to run as.
    NoAccount {
        /// The name that was looked up.
        name: Vec<u8>,
    },
}

messages! { AuthReply, NAME + PATH + 4 * GROUPS as usize + 64;
    1 Granted(Person);
    2 Refused(Words(NAME));
    3 NoAccount { name: Text(NAME) };
}

impl Message for AuthWord {
    const MAX: usize = AuthReply::MAX + 4 + limits::MOST * LIMIT;

    fn encode(&self, out: &mut Encoder) {
        self.reply.encode(out);
        let limits = match &self.stay {
            Stay::Ends => None,
            Stay::Accounts { limits } => Some(limits.clone()),
        };
        STAY.put(&limits, out);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let reply = AuthReply::decode(from)?;
        let stay = match (STAY.take(from)?, &reply) {
            (None, _) => Stay::Ends,
            // Where nobody is let in there is no session.
            (Some(limits), AuthReply::Granted(_) | AuthReply::NoAccount { .. })
                if limits.len() <= limits::MOST =>
            {
                Stay::Accounts { limits }
            }
            (Some(_), _) => return Err(Malformed),
        };
        Ok(Self { reply, stay })
    }
}

/// The limits of who stays.
const STAY: Maybe<Many<Bound>> = Maybe(Many(u16::MAX, Bound));

/// The encoded length of a [`Limit`].
const LIMIT: usize = 1 + 8 + 8;

struct Bound;

impl Kind for Bound {
    type Value = Limit;
    fn put(&self, limit: &Limit, out: &mut Encoder) {
        out.byte(limit.which).long(limit.soft).long(limit.hard);
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Limit, Malformed> {
        let (which, soft, hard) = (from.byte()?, from.long()?, from.long()?);
        let limit = Limit { which, soft, hard };
        let known = usize::from(which) < limits::MOST;
        known.then_some(limit).ok_or(Malformed)
    }
}

struct Person;

impl Kind for Person {
    type Value = Identity;
    fn put(&self, id: &Identity, out: &mut Encoder) {
        out.text(&id.name).int(id.uid).int(id.gid).text(&id.home);
        // All of them: too many are refused.
        Many(u16::MAX, Int).put(&id.groups, out);
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Identity, Malformed> {
        Ok(Identity {
            name: from.text(NAME)?,
            uid: from.int()?,
            gid: from.int()?,
            home: from.text(PATH)?,
            groups: Many(GROUPS, Int).take(from)?,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{AuthReply, AuthWord, Identity, Stay};
    use crate::sys::limits::Limit;
    use crate::wire::{Decoder, Encoder, Malformed, Message};

    fn back(word: &AuthWord) -> Result<AuthWord, Malformed> {
        let mut out = Encoder::default();
        word.encode(&mut out);
        assert!(out.bytes().len() <= AuthWord::MAX);
        let mut decoder = Decoder::new(out.bytes(), None);
        let decoded = AuthWord::decode(&mut decoder);
        assert!(decoder.finished() || decoded.is_err());
        decoded
    }

    #[test]
    fn every_word_comes_back() {
        let identity = Identity {
            name: b"alice".to_vec(),
            uid: 1001,
            gid: 1001,
            groups: vec![1001, 2000],
            home: b"/home/alice".to_vec(),
        };
        for reply in [
            AuthReply::Granted(identity),
            AuthReply::NoAccount {
                name: b"virtual".to_vec(),
            },
        ] {
            let limits = crate::sys::limits::current();
            for stay in [
                Stay::Ends,
                Stay::Accounts { limits: Vec::new() },
                Stay::Accounts { limits },
            ] {
                let word = AuthWord {
                    reply: reply.clone(),
                    stay,
                };
                assert_eq!(back(&word), Ok(word));
            }
        }
    }

    #[test]
    fn a_refusal_has_no_session() {
        let mut word = AuthWord {
            reply: AuthReply::Refused(b"no".to_vec()),
            stay: Stay::Ends,
        };
        assert_eq!(back(&word), Ok(word.clone()));
        word.stay = Stay::Accounts { limits: Vec::new() };
        assert_eq!(back(&word), Err(Malformed));
    }

    #[test]
    fn a_limit_that_does_not_exist_is_no_limit() {
        let word = |which| AuthWord {
            reply: AuthReply::NoAccount {
                name: b"x".to_vec(),
            },
            stay: Stay::Accounts {
                limits: vec![Limit {
                    which,
                    soft: 1,
                    hard: u64::MAX,
                }],
            },
        };
        assert_eq!(back(&word(14)), Ok(word(14)));
        assert_eq!(back(&word(15)), Err(Malformed));
    }
}
