//! What auth reports to helper about one password: explicit success with the account, or the reason why not.

use super::codec::{Decoder, Encoder, Malformed, Message};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// It ends.
    Ends,
    /// It has opened a session, and closes it when helper's end of the channel is closed.
    Accounts,
}

/// From auth to helper: the only message of that channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthWord {
    /// What it found.
    pub reply: AuthReply,
    /// What it does next.
    pub stay: Stay,
}

impl Message for AuthWord {
    const MAX: usize = AuthReply::MAX + 1;

    fn encode(&self, out: &mut Encoder) {
        self.reply.encode(out);
        out.flag(self.stay == Stay::Accounts);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let reply = AuthReply::decode(from)?;
        let stay = if from.flag()? {
            Stay::Accounts
        } else {
            Stay::Ends
        };
        match (&reply, stay) {
            (AuthReply::Refused(_), Stay::Accounts) => Err(Malformed),
            (_, Stay::Ends) | (AuthReply::Granted(_) | AuthReply::NoAccount { .. }, _) => {
                Ok(Self { reply, stay })
            }
        }
    }
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
            for stay in [Stay::Ends, Stay::Accounts] {
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
        word.stay = Stay::Accounts;
        assert_eq!(back(&word), Err(Malformed));
    }
}
