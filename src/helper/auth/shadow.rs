//! A password checked against /etc/shadow and crypt(3), on hosts without PAM (reference §6.4); auth, without rights.

use super::{Asked, Reason, SHADOW, identity, refused, shells};
use crate::sys::account;
use crate::sys::clock;
use crate::sys::crypt::Crypt;
use crate::sys::names;
use crate::wire::{AuthReply, Question};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use zeroize::Zeroizing;

/// The setting that stands in where the host has no hash at all.
const DUMMY: &[u8] = b"$6$nobodyhasthissalt$";

const DAY: i64 = 86_400;

/// Checks a password by what stands in that file; what auth says of it.
pub fn reply(shadow: io::Result<File>, asked: &Asked, check_shell: bool) -> AuthReply {
    let Question { name, password, .. } = &asked.question;
    check(shadow, shells::HOST, name, password, check_shell).map_or_else(refused, identity)
}

/// Checks the password; gives the name the login goes on with.
///
/// # Errors
/// The rule that refused.
fn check(
    shadow: io::Result<File>,
    shells: &str,
    name: &[u8],
    password: &[u8],
    check_shell: bool,
) -> Result<Vec<u8>, Reason> {
    let crypt = Crypt::load().ok_or_else(|| {
        Reason::new("libpam.so.0 is not installed, and libcrypt is not or cannot be loaded: no password can be checked")
    })?;
    let account = account::find(name)
        .map_err(|error| Reason::new(format!("the account look-up failed: {error}")))?;
    let text = match shadow {
        // As on hosts that keep hashes in the password file.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        opened => shells::read(SHADOW, opened)?,
    };
    let text = Zeroizing::new(text);
    let entry = Entry::find(&text, name).or_else(|| names::hash(name).map(Entry::ageless));
    let hash = entry.as_ref().map(|entry| entry.hash.as_slice());
    let hash = hash.filter(|hash| !matches!(**hash, [] | [b'!' | b'*', ..] | [b'x']));
    let usable = hash.is_some();
    let computed = crypt
        .hash(password, hash.unwrap_or_else(|| stand_in(&text)))
        .map(Zeroizing::new);
    let right = hash.is_some_and(|hash| computed.is_some_and(|computed| equal(&computed, hash)));
    let (Some(account), Some(entry)) = (account, entry) else {
        return Err(Reason::new("there is no such user"));
    };
    if !usable {
        return Err(Reason::new(
            "the account has no password or a locked one: set it with passwd(1)",
        ));
    }
    if !right {
        return Err(Reason::new("wrong password"));
    }
    entry.in_force(clock::now() / DAY)?;
    if check_shell && !shells::listed(shells, &account.shell)? {
        let shell = account.shell.display();
        return Err(Reason::new(format!(
            "the shell {shell} is not in {shells}: add it or set check_shell=NO"
        )));
    }
    Ok(name.to_vec())
}

/// What of a shadow line counts.
struct Entry {
    hash: Vec<u8>,
    changed: Option<i64>,
    max_age: Option<i64>,
    expires: Option<i64>,
}

impl Entry {
    fn find(text: &[u8], name: &[u8]) -> Option<Self> {
        text.split(|byte| *byte == b'\n')
            .map(|line| line.split(|byte| *byte == b':').collect::<Vec<_>>())
            .find(|fields| fields.first().is_some_and(|first| *first == name) && !name.is_empty())
            .map(|fields| {
                // A negative one means none, as an empty field does.
                let number = |at: usize| -> Option<i64> {
                    let number = std::str::from_utf8(fields.get(at)?).ok()?.parse().ok();
                    number.filter(|number| *number >= 0)
                };
                Self {
                    hash: fields.get(1).map_or_else(Vec::new, |hash| hash.to_vec()),
                    changed: number(2),
                    max_age: number(4),
                    expires: number(7),
                }
            })
    }

    /// Of the password file, which knows no ages: for a name that is not in the shadow file (reference §6.4).
    fn ageless(hash: Vec<u8>) -> Self {
        Self {
            hash,
            changed: None,
            max_age: None,
            expires: None,
        }
    }

    /// Expiry of the account and age of the password, in days since 1970 (shadow(5)).
    fn in_force(&self, today: i64) -> Result<(), Reason> {
        if self.expires.is_some_and(|day| day > 0 && day < today) {
            return Err(Reason::new("the account has expired: see chage(1)"));
        }
        let due = self
            .changed
            .zip(self.max_age)
            .map(|(changed, max)| changed.saturating_add(max));
        if due.is_some_and(|day| self.changed.unwrap_or(0) > 0 && day < today) {
            return Err(Reason::new(
                "the password has expired: the user must change it with passwd(1)",
            ));
        }
        Ok(())
    }
}

/// What is hashed against where there is no user, or none with a hash, so that it takes as long as for one (attacks B-084): somebody's hash
/// by the method that most have. What comes out is used for nothing.
fn stand_in(text: &[u8]) -> &[u8] {
    let mut methods: HashMap<&[u8], (u32, &[u8])> = HashMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let hash = line.split(|byte| *byte == b':').nth(1).unwrap_or_default();
        let mut parts = hash.split(|byte| *byte == b'$');
        if let (Some(b""), Some(method)) = (parts.next(), parts.next()) {
            let (count, _) = methods.entry(method).or_insert((0, hash));
            *count = count.saturating_add(1);
        }
    }
    // The same each time, also among equals.
    let most = methods.into_values().max();
    most.map_or(DUMMY, |(_, hash)| hash)
}

/// Compares without telling by its time where the first difference is.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::{Entry, equal};
    use crate::sys::clock;
    use crate::sys::crypt::Crypt;

    /// Two files in the places of shadow(5) and shells(5).
    struct Files<'a> {
        shadow: &'a str,
        shells: &'a str,
    }

    fn check(
        files: &Files<'_>,
        name: &[u8],
        password: &[u8],
        check_shell: bool,
    ) -> Result<Vec<u8>, super::Reason> {
        let shadow = std::fs::File::open(files.shadow);
        super::check(shadow, files.shells, name, password, check_shell)
    }

    fn with(line: &str, shells: &str, test: impl FnOnce(&Files<'_>)) {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let base = std::env::temp_dir();
        let number = format!(
            "{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let shadow = base.join(format!("vsftpd-shadow-{number}"));
        let list = base.join(format!("vsftpd-shells-{number}"));
        std::fs::write(&shadow, line).unwrap();
        std::fs::write(&list, shells).unwrap();
        test(&Files {
            shadow: shadow.to_str().unwrap(),
            shells: list.to_str().unwrap(),
        });
        std::fs::remove_file(shadow).unwrap();
        std::fs::remove_file(list).unwrap();
    }

    fn hash(setting: &[u8]) -> String {
        String::from_utf8(Crypt::load().unwrap().hash(b"secret", setting).unwrap()).unwrap()
    }

    #[test]
    fn every_method_of_the_host_is_accepted() {
        // root is the one account every host has.
        for setting in [
            b"$y$j9T$F5Jx5fExrKuPp53xLKQ..1$".as_slice(),
            b"$6$saltsalt$",
            b"$5$saltsalt$",
            b"$2b$05$abcdefghijklmnopqrstuu",
            b"$1$saltsalt$",
        ] {
            let line = format!("root:{}:19000:0:99999:7:::\n", hash(setting));
            with(&line, "", |files| {
                assert!(
                    check(files, b"root", b"secret", false).is_ok(),
                    "{setting:?}"
                );
                assert!(
                    check(files, b"root", b"Secret", false).is_err(),
                    "{setting:?}"
                );
                assert!(check(files, b"root", b"", false).is_err(), "{setting:?}");
            });
        }
    }

    #[test]
    fn locked_empty_and_unknown_are_refused() {
        for stored in ["", "!", "*", "!$6$saltsalt$x", "x"] {
            with(
                &format!("root:{stored}:19000:0:99999:7:::\n"),
                "",
                |files| {
                    assert!(check(files, b"root", b"", false).is_err(), "{stored}");
                    assert!(check(files, b"root", b"secret", false).is_err(), "{stored}");
                },
            );
        }
        with("root:x:1::::::\n", "", |files| {
            assert!(check(files, b"nosuchuser", b"secret", false).is_err());
            assert!(check(files, b"", b"secret", false).is_err());
        });
    }

    #[test]
    fn the_shell_must_be_listed() {
        let line = format!("root:{}:19000:0:99999:7:::\n", hash(b"$5$saltsalt$"));
        with(&line, "# shells\n/bin/nothing\n", |files| {
            let reason = check(files, b"root", b"secret", true)
                .unwrap_err()
                .to_string();
            assert!(reason.contains("check_shell=NO"), "{reason}");
        });
        let shell = crate::sys::account::find(b"root").unwrap().unwrap().shell;
        with(&line, &format!("{}\n", shell.display()), |files| {
            assert!(check(files, b"root", b"secret", true).is_ok());
        });
    }

    #[test]
    fn ages_are_in_days() {
        let today = clock::now() / super::DAY;
        let entry = |changed, max_age, expires| Entry {
            hash: Vec::new(),
            changed,
            max_age,
            expires,
        };
        assert!(entry(Some(today), Some(0), None).in_force(today).is_ok());
        assert!(
            entry(Some(today - 10), Some(9), None)
                .in_force(today)
                .is_err()
        );
        assert!(
            entry(Some(today - 10), Some(10), Some(today))
                .in_force(today)
                .is_ok()
        );
        assert!(entry(None, None, Some(today - 1)).in_force(today).is_err());
        assert!(entry(None, Some(1), None).in_force(today).is_ok());
        // Not -1 days after the password was set.
        let found = Entry::find(b"root:x:19000:0:-1:7:-1:-1:\n", b"root").unwrap();
        assert!(found.in_force(today).is_ok());
    }

    #[test]
    fn who_is_not_there_is_hashed_as_most_are() {
        for (text, expected) in [
            ("", "$6$nobodyhasthissalt$"),
            ("root:*:1::::::\nmail:!:1::::::\nx", "$6$nobodyhasthissalt$"),
            (
                "root:$6$s$h:1::::::\na:$y$j9T$s$h:1::::::\nl:!$6$s$h:::\nb:$y$j9T$t$i:1:::\n",
                "$y$j9T$s$h",
            ),
            (
                "a:$y$j9T$s$h:1:::\nb:$5$s$h:1:::\nc:$6$s$h:1:::\n",
                "$y$j9T$s$h",
            ),
        ] {
            let found = super::stand_in(text.as_bytes());
            assert_eq!(found, expected.as_bytes(), "{text}");
        }
        // Whoever knows the password of that somebody is not let in by it.
        let line = format!(
            "somebody:{}:19000::::::\nroot:!:19000::::::\n",
            hash(b"$5$saltsalt$")
        );
        with(&line, "", |files| {
            for name in [b"root".as_slice(), b"nosuchuser"] {
                assert!(check(files, name, b"secret", false).is_err(), "{name:?}");
            }
        });
    }

    #[test]
    fn comparison() {
        assert!(equal(b"abc", b"abc") && !equal(b"abc", b"abd") && !equal(b"abc", b"ab"));
    }
}
