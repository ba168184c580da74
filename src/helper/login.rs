//! Who may log in, and as what: every refusal, delay and count before a worker exists; helper, still root.

use super::ask::{self, Accounting};
use super::auth;
use super::journal::Journal;
use super::lists;
use super::prepared::Prepared;
use crate::config::Config;
use crate::wire::{AuthReply, BeforeLoginReply, Identity};
use crate::worker::{Class, Verdict};
use nix::unistd::{Gid, Uid};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// What the log gets when `session_support` finds no PAM.
const UNACCOUNTED: &[u8] =
    b"session_support=YES, but libpam.so.0 is not installed: no PAM session and no login record";

/// What is answered to a login.
pub enum Decision {
    /// It holds; the accounting, if there is one, is to be kept until the session ends.
    Granted(Box<Verdict>, Option<Accounting>),
    /// It does not, or the session ends.
    Reply(BeforeLoginReply),
}

/// The state of one session's logins: how many have failed.
pub struct Gate<'a> {
    prepared: &'a Prepared,
    failures: u32,
    userlist: Option<Result<lists::List, String>>,
    accounting: Option<Accounting>,
}

impl<'a> Gate<'a> {
    /// Nobody has tried yet.
    pub fn new(prepared: &'a Prepared) -> Self {
        Self {
            prepared,
            failures: 0,
            userlist: None,
            accounting: None,
        }
    }

    /// USER, where a user list may refuse the name at once (reference §3.2, decision 5).
    pub fn user(&mut self, name: &[u8], journal: &mut Journal) -> BeforeLoginReply {
        match self.listed_out(name) {
            Ok(None) => BeforeLoginReply::Ask,
            Ok(Some(reason)) => {
                journal.refused(name, &reason);
                pause(self.config().delay_failed_login);
                if self.failed() {
                    BeforeLoginReply::DeniedLast
                } else {
                    BeforeLoginReply::Denied
                }
            }
            Err(text) => BeforeLoginReply::Oops(text.into_bytes()),
        }
    }

    /// PASS: the whole decision. A login that does not hold leaves no session open.
    pub fn login(
        &mut self,
        name: &[u8],
        password: &mut Zeroizing<Vec<u8>>,
        journal: &mut Journal,
    ) -> Decision {
        let decision = self.decide(name, password, journal);
        self.accounting = None;
        decision
    }

    fn decide(
        &mut self,
        name: &[u8],
        password: &mut Zeroizing<Vec<u8>>,
        journal: &mut Journal,
    ) -> Decision {
        let anonymous = self.config().anonymous_enable && is_anonymous(name);
        let result = match self.listed_out(name) {
            Ok(Some(reason)) => Err(Refusal::Refused(reason)),
            Ok(None) => auth::acceptable(name, password)
                .map_err(|reason| Refusal::Refused(reason.to_string()))
                .and_then(|()| {
                    if anonymous {
                        self.anonymous(password)
                    } else {
                        self.local(name, password, journal.address())
                    }
                }),
            Err(text) => Err(Refusal::Oops(text)),
        };
        match result {
            Ok(verdict) => {
                journal.logged_in(&verdict);
                if self.config().session_support && !anonymous && self.accounting.is_none() {
                    journal.note(UNACCOUNTED);
                }
                pause(self.config().delay_successful_login);
                Decision::Granted(Box::new(verdict), self.accounting.take())
            }
            Err(Refusal::Refused(reason)) => {
                let shown = match &self.prepared.anonymous {
                    Some(account) if anonymous => account.name.as_bytes(),
                    Some(_) | None => name,
                };
                journal.login_failed(shown, anonymous.then_some(password.as_slice()), &reason);
                pause(self.config().delay_failed_login);
                Decision::Reply(if self.failed() {
                    BeforeLoginReply::FailedLast
                } else {
                    BeforeLoginReply::Failed
                })
            }
            Err(Refusal::Oops(text)) => {
                journal.note(text.as_bytes());
                Decision::Reply(BeforeLoginReply::Oops(text.into_bytes()))
            }
        }
    }

    fn config(&self) -> &'a Config {
        &self.prepared.config
    }

    /// Counts a failure; true when it was the last one allowed (0 and 1 both mean the first, reference §1.2).
    fn failed(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.failures >= self.config().max_login_fails
    }

    /// Why the user list refuses this name, if it does.
    fn listed_out(&mut self, name: &[u8]) -> Result<Option<String>, String> {
        let config = self.config();
        if !config.userlist_enable || !config.local_enable {
            return Ok(None);
        }
        let path = config.userlist_file.as_deref();
        let list = self
            .userlist
            .get_or_insert_with(|| read_list("cannot read user list file", path));
        let listed = list.as_ref().map_err(Clone::clone)?.contains(name);
        let file = path.unwrap_or_default().to_string_lossy();
        Ok(match (listed, config.userlist_deny) {
            (true, true) => Some(format!(
                "the name is in userlist_file {file} and userlist_deny=YES: remove it there"
            )),
            (false, false) => Some(format!(
                "the name is not in userlist_file {file} and userlist_deny=NO: add it there"
            )),
            (true, false) | (false, true) => None,
        })
    }

    /// Reference §6.2.
    fn anonymous(&self, password: &[u8]) -> Result<Verdict, Refusal> {
        let config = self.config();
        let account = self
            .prepared
            .anonymous
            .as_ref()
            .ok_or_else(|| Refusal::Oops("no ftp_username".to_owned()))?;
        if config.deny_email_enable {
            let list = read_list(
                "cannot read anon e-mail list file",
                config.banned_email_file.as_deref(),
            );
            if list.map_err(Refusal::Oops)?.contains(password) {
                return Err(Refusal::Refused(
                    "the e-mail password is in banned_email_file".to_owned(),
                ));
            }
        }
        if config.secure_email_list_enable {
            // An empty list lets nobody in: the original lets everybody (reference §10, 5).
            let list = read_list(
                "cannot read email passwords file",
                config.email_password_file.as_deref(),
            );
            if password.is_empty() || !list.map_err(Refusal::Oops)?.contains(password) {
                return Err(Refusal::Refused(
                    "the e-mail password is not in email_password_file".to_owned(),
                ));
            }
        }
        Ok(Verdict {
            class: Class::Anonymous {
                password: password.to_vec(),
            },
            name: account.name.as_bytes().to_vec(),
            uid: account.uid,
            gid: account.gid,
            groups: account.groups.clone(),
            home: account.home.clone().into(),
            extra: config.anon_root.clone(),
            chroot: true,
        })
    }

    /// Reference §6.1, §6.3 to §6.5.
    fn local(
        &mut self,
        name: &[u8],
        password: &mut Zeroizing<Vec<u8>>,
        rhost: &str,
    ) -> Result<Verdict, Refusal> {
        let config = self.config();
        if !config.local_enable {
            return Err(Refusal::Refused(
                "local_enable=NO and this is no anonymous name".to_owned(),
            ));
        }
        let (reply, accounting) = ask::ask(config, name, password, rhost)
            .map_err(|reason| Refusal::Refused(reason.to_string()))?;
        self.accounting = accounting;
        let identity = match reply {
            AuthReply::Granted(identity) => identity,
            AuthReply::Refused(reason) => {
                return Err(Refusal::Refused(
                    String::from_utf8_lossy(&reason).into_owned(),
                ));
            }
            AuthReply::NoAccount { name } => {
                return Err(Refusal::Oops(format!(
                    "cannot locate user entry:{}",
                    String::from_utf8_lossy(&name)
                )));
            }
        };
        let Identity {
            name,
            uid,
            gid,
            groups,
            home,
        } = identity;
        let listed = if config.chroot_list_enable {
            let list = read_list(
                "could not read chroot() list file",
                config.chroot_list_file.as_deref(),
            );
            list.map_err(Refusal::Oops)?.contains(&name)
        } else {
            false
        };
        let token_name = name.clone();
        Ok(Verdict {
            class: Class::Local,
            name,
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(gid),
            groups: groups.into_iter().map(Gid::from_raw).collect(),
            home: OsString::from_vec(substitute(config, home, &token_name)),
            extra: config
                .local_root
                .clone()
                .map(|root| OsString::from_vec(substitute(config, root.into_vec(), &token_name))),
            chroot: config.chroot_local_user != listed,
        })
    }
}

/// `user_sub_token` in a path, replaced by the login name (reference §6.5).
fn substitute(config: &Config, path: Vec<u8>, name: &[u8]) -> Vec<u8> {
    let Some(token) = config
        .user_sub_token
        .as_deref()
        .map(OsStrExt::as_bytes)
        .filter(|token| !token.is_empty())
    else {
        return path;
    };
    let mut out = Vec::new();
    let mut rest = path.as_slice();
    while let Some(at) = rest.windows(token.len()).position(|window| window == token) {
        out.extend(rest.iter().take(at));
        out.extend_from_slice(name);
        rest = rest
            .get(at.saturating_add(token.len())..)
            .unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// Why there is no verdict.
enum Refusal {
    /// The client is told nothing but 530; the log gets this.
    Refused(String),
    /// The server cannot do it; the client is told so in the original's words.
    Oops(String),
}

/// Whether the name asks for an anonymous session (reference §3.2).
pub fn is_anonymous(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"ftp") || name.eq_ignore_ascii_case(b"anonymous")
}

/// The text of `banner_file`, else nothing.
///
/// # Errors
/// The original's text for a file that cannot be read.
pub fn banner(config: &Config) -> Result<Option<Vec<u8>>, String> {
    let Some(path) = config.banner_file.as_deref() else {
        return Ok(None);
    };
    lists::text(Path::new(path))
        .map(Some)
        .map_err(|_| format!("cannot read banner file:{}", path.to_string_lossy()))
}

fn read_list(what: &str, path: Option<&OsStr>) -> Result<lists::List, String> {
    let path = path.unwrap_or_default();
    lists::read(Path::new(path)).map_err(|_| format!("{what}:{}", path.to_string_lossy()))
}

fn pause(seconds: u32) {
    if seconds > 0 {
        std::thread::sleep(Duration::from_secs(seconds.into()));
    }
}
