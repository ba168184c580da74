//! What auth reports to helper about one password: explicit success with the account, or the reason why not.

use super::codec::{Decoder, Encoder, Malformed};
use super::kinds::{Kind, Many, Maybe, Text, Words, messages};
use super::reader::Person;
use crate::sys::account::Account;
use crate::sys::limits::{self, Limit};

const NAME: usize = 4096;

/// From auth to helper: the only message of that channel, what one password's check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthReply {
    /// The password holds.
    Granted {
        /// The login name, possibly rewritten by PAM.
        name: Vec<u8>,
        /// The account of that name to run as, if there is one.
        account: Option<Account>,
        /// Of an auth that has opened a session: the limits that the session's modules have set for the user. It closes the session when
        /// helper's end of the channel is closed; without one it ends now.
        session: Option<Vec<Limit>>,
    },
    /// It does not; one sentence for the log that names the rule and the cure.
    Refused(Vec<u8>),
}

messages! { AuthReply, NAME + Person::MAX + limits::MOST as usize * LIMIT + 16;
    1 Granted { name: Text(NAME), account: Maybe(Person), session: Maybe(Many(limits::MOST, Bound)) };
    2 Refused(Words(NAME));
}

/// The encoded length of a [`Limit`].
const LIMIT: usize = 1 + 8 + 8;

struct Bound;

impl Kind for Bound {
    type Value = Limit;
    fn put<'a>(&self, limit: &'a Limit, out: &mut Encoder<'a>) {
        out.byte(limit.which).long(limit.soft).long(limit.hard);
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Limit, Malformed> {
        let (which, soft, hard) = (from.byte()?, from.long()?, from.long()?);
        let limit = Limit { which, soft, hard };
        let known = u16::from(which) < limits::MOST;
        known.then_some(limit).ok_or(Malformed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::AuthReply;
    use crate::sys::account::Account;
    use crate::sys::limits::{self, Limit};
    use crate::wire::{Decoder, Encoder, Malformed, Message};
    use nix::unistd::{Gid, Uid};

    fn back(reply: &AuthReply) -> Result<AuthReply, Malformed> {
        let mut out = Encoder::default();
        reply.encode(&mut out);
        assert!(out.bytes().len() <= AuthReply::MAX);
        let mut decoder = Decoder::new(out.bytes(), None);
        let decoded = AuthReply::decode(&mut decoder);
        assert!(decoder.finished() || decoded.is_err());
        decoded
    }

    fn account(groups: u32) -> Account {
        Account {
            name: "alice".into(),
            uid: Uid::from_raw(1001),
            gid: Gid::from_raw(1001),
            home: "/home/alice".into(),
            shell: "/bin/sh".into(),
            groups: (0..groups).map(Gid::from_raw).collect(),
        }
    }

    fn granted(account: Option<Account>, session: Option<Vec<Limit>>) -> AuthReply {
        AuthReply::Granted {
            name: b"alice".to_vec(),
            account,
            session,
        }
    }

    #[test]
    fn every_word_comes_back() {
        for account in [None, Some(account(2))] {
            for session in [None, Some(Vec::new()), Some(limits::current())] {
                let reply = granted(account.clone(), session);
                assert_eq!(back(&reply), Ok(reply));
            }
        }
        let refused = AuthReply::Refused(b"no".to_vec());
        assert_eq!(back(&refused), Ok(refused));
    }

    /// Groups that are left out might be those that may not do something.
    #[test]
    fn too_many_groups_are_refused() {
        let most = granted(Some(account(8192)), Some(limits::current()));
        assert_eq!(back(&most), Ok(most));
        let more = granted(Some(account(8193)), None);
        assert_eq!(back(&more), Err(Malformed));
    }

    #[test]
    fn a_limit_that_does_not_exist_is_no_limit() {
        let one = |which| Limit {
            which,
            soft: 1,
            hard: u64::MAX,
        };
        let last = granted(None, Some(vec![one(14)]));
        assert_eq!(back(&last), Ok(last));
        assert_eq!(back(&granted(None, Some(vec![one(15)]))), Err(Malformed));
    }
}
