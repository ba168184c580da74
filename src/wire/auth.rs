//! What auth reports to helper about one password: explicit success with the account, or the reason why not.

use super::codec::{Decoder, Encoder, Malformed, Message};
use crate::sys::limits::{self, Limit};

const NAME: usize = 4096;
const PATH: usize = 4096;
/// Linux allows a process 65536 groups; a login with more than this is refused rather than cut.
const GROUPS: usize = 8192;

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

/// The encoded length of a [`Limit`].
const LIMIT: usize = 1 + 8 + 8;

impl Message for AuthWord {
    const MAX: usize = AuthReply::MAX + 2 + limits::MOST * LIMIT;

    fn encode(&self, out: &mut Encoder) {
        self.reply.encode(out);
        match &self.stay {
            Stay::Ends => {
                out.byte(0);
            }
            Stay::Accounts { limits } => {
                // One byte says how many: there are few kinds.
                let count = u8::try_from(limits.len()).unwrap_or(0);
                out.byte(1).byte(count);
                for limit in limits.iter().take(usize::from(count)) {
                    out.byte(limit.which).long(limit.soft).long(limit.hard);
                }
            }
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let reply = AuthReply::decode(from)?;
        let stay = match (from.byte()?, &reply) {
            (0, _) => Stay::Ends,
            (1, AuthReply::Granted(_) | AuthReply::NoAccount { .. }) => Stay::Accounts {
                limits: limits(from)?,
            },
            (_, _) => return Err(Malformed),
        };
        Ok(Self { reply, stay })
    }
}

fn limits(from: &mut Decoder<'_>) -> Result<Vec<Limit>, Malformed> {
    let count = usize::from(from.byte()?);
    let limit = |_| {
        let which = from.byte()?;
        if usize::from(which) >= limits::MOST {
            return Err(Malformed);
        }
        let (soft, hard) = (from.long()?, from.long()?);
        Ok(Limit { which, soft, hard })
    };
    if count > limits::MOST {
        return Err(Malformed);
    }
    (0..count).map(limit).collect()
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

impl Message for AuthReply {
    const MAX: usize = NAME + PATH + 4 * GROUPS + 64;

    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Granted(id) => {
                out.tag(1)
                    .text(&id.name)
                    .int(id.uid)
                    .int(id.gid)
                    .text(&id.home);
                out.short(u16::try_from(id.groups.len()).unwrap_or(u16::MAX));
                for gid in &id.groups {
                    out.int(*gid);
                }
            }
            Self::Refused(reason) => {
                out.tag(2).text(reason);
            }
            Self::NoAccount { name } => {
                out.tag(3).text(name);
            }
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            1 => {
                let name = from.text(NAME)?;
                let (uid, gid) = (from.int()?, from.int()?);
                let home = from.text(PATH)?;
                let count = usize::from(from.short()?);
                if count > GROUPS {
                    return Err(Malformed);
                }
                let groups = (0..count).map(|_| from.int()).collect::<Result<_, _>>()?;
                Self::Granted(Identity {
                    name,
                    uid,
                    gid,
                    groups,
                    home,
                })
            }
            2 => Self::Refused(from.text(NAME)?),
            3 => Self::NoAccount {
                name: from.text(NAME)?,
            },
            _ => return Err(Malformed),
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
