//! Who may log in, and as what: every refusal, delay and count before a worker exists; helper, still root.

use super::ask::{self, Accounting};
use super::auth;
use super::journal::Journal;
use super::lists;
use super::per_user;
use super::prepared::{Held, Prepared};
use super::toll::Toll;
use crate::config::Config;
use crate::config::token::substitute;
use crate::reader::{ANONYMOUS, GUEST};
use crate::sys::account::Account;
use crate::wire::{AuthReply, BeforeLoginReply, Report};
use crate::worker::{Class, Rules, Verdict};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::thread::sleep;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What the log gets when `session_support` finds no PAM.
const UNACCOUNTED: &[u8] =
    b"session_support=YES, but libpam.so.0 is not installed: no PAM session and no login record";

/// A login that holds: what the worker will be, and the settings for this user.
pub struct Grant<'a> {
    /// What the worker will be.
    pub verdict: Verdict,
    /// The settings.
    pub prepared: Held<'a>,
    /// With `session_support`: what must be kept until the session ends.
    pub accounting: Option<Accounting>,
}

/// Who has logged in, before it is decided where to.
enum Who {
    /// A guest of `ftp_username`, with what was given as password.
    Anonymous(Vec<u8>),
    /// A name PAM or shadow vouches for, with its account if it has one.
    Local(Vec<u8>, Option<Account>),
}

/// The same, and with `session_support` the auth that has opened a session, which is closed when this goes.
type Checked = (Who, Option<Accounting>);

/// The state of one session's logins: how many have failed.
pub struct Gate<'a, 't> {
    prepared: Held<'a>,
    toll: &'t Toll<'t>,
    nursery: Option<&'t OwnedFd>,
    /// The settings before HOST, if it was said.
    base: Option<Held<'a>>,
    failures: u32,
    /// Whether the handshake of the control connection has begun.
    begun: bool,
    userlist: Option<Result<lists::List, String>>,
}

impl<'a, 't> Gate<'a, 't> {
    /// Nobody has tried yet.
    pub fn new(prepared: Held<'a>, toll: &'t Toll<'t>, nursery: Option<&'t OwnedFd>) -> Self {
        Self {
            prepared,
            toll,
            nursery,
            base: None,
            failures: 0,
            begun: false,
            userlist: None,
        }
    }

    /// USER, where a user list may refuse the name at once (reference §3.2, decision 5).
    pub fn user(&mut self, name: &[u8], journal: &mut Journal) -> BeforeLoginReply {
        match self.listed_out(name) {
            Ok(()) => BeforeLoginReply::Ask,
            Err(Refusal::Refused(reason)) => {
                journal.refused(name, &reason);
                let delay = self.hold().saturating_add(self.delay());
                if self.fails(true, delay) {
                    BeforeLoginReply::DeniedLast
                } else {
                    BeforeLoginReply::Denied
                }
            }
            Err(Refusal::Oops(text)) => oops(&text, public(&text), journal),
        }
    }

    /// The handshake of the control connection begins, which master is told; false when there was one already.
    pub fn begins(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.begun, true);
        if first {
            self.toll.tell(Report::Handshake);
        }
        first
    }

    /// The settings before any HOST.
    pub fn base(&self) -> &Prepared {
        self.base.as_ref().unwrap_or(&self.prepared)
    }

    /// The settings of a host hold from now on. What has failed before has failed.
    pub fn settle_host(&mut self, prepared: Held<'a>) {
        let before = std::mem::replace(&mut self.prepared, prepared);
        self.base.get_or_insert(before);
        self.userlist = None;
    }

    /// PASS: the whole decision; `secured` is whether TLS protects the control connection, as the greeter says. A login that does not hold
    /// leaves no session open.
    ///
    /// # Errors
    /// It does not, or the session ends: the answer.
    pub fn login(
        &mut self,
        name: &[u8],
        password: &mut Zeroizing<Vec<u8>>,
        secured: bool,
        journal: &mut Journal,
    ) -> Result<Box<Grant<'a>>, BeforeLoginReply> {
        let anonymous = self.config().anonymous_enable && is_anonymous(name);
        if let Some(reason) = self.unprotected(anonymous, secured) {
            // Greeter has refused that already, unless it is not what it was.
            journal.login_failed(name, reason);
            return Err(BeforeLoginReply::FailedLast);
        }
        if !anonymous {
            // Whether the password is right: how long it takes tells nothing.
            sleep(self.hold());
        }
        let begun = Instant::now();
        let checked = self.check(name, password, anonymous, journal.address());
        let known = checked.is_ok();
        match checked.and_then(|checked| self.enter(checked, journal)) {
            Ok(grant) => Ok(Box::new(grant)),
            Err(Refusal::Refused(reason)) => {
                // As it was typed, for anonymous clients too, and no password: it may be somebody's.
                journal.login_failed(name, &reason);
                // The time the check took is part of the wait: it depends on whether there is such a user (attacks B-084).
                let delay = self.delay().saturating_sub(begun.elapsed());
                Err(if self.fails(!anonymous, delay) {
                    BeforeLoginReply::FailedLast
                } else {
                    BeforeLoginReply::Failed
                })
            }
            Err(Refusal::Oops(text)) => {
                let shown = if known { &text } else { public(&text) };
                Err(oops(&text, shown, journal))
            }
        }
    }

    /// Who is known by now has logged in, which is written down; where that leads.
    fn enter(
        &self,
        (who, accounting): Checked,
        journal: &mut Journal,
    ) -> Result<Grant<'a>, Refusal> {
        match &who {
            Who::Anonymous(password) => journal.logged_in(&self.guest_name(), Some(password)),
            Who::Local(name, _) => {
                journal.logged_in(name, None);
                if self.config().session_support && accounting.is_none() {
                    journal.note(UNACCOUNTED);
                }
            }
        }
        sleep(seconds(self.config().delay_successful_login));
        let (prepared, verdict) = self.settle(who, journal)?;
        Ok(Grant {
            verdict,
            prepared,
            accounting,
        })
    }

    /// A name or a password was refused: told if it `counts`, waited for, and counted; true when it was the last one allowed (0 and 1 both mean
    /// the first, reference §1.2).
    fn fails(&mut self, counts: bool, delay: Duration) -> bool {
        if counts {
            self.toll.tell(Report::LoginFailed);
        }
        sleep(delay);
        self.failures = self.failures.saturating_add(1);
        self.failures >= self.config().max_login_fails
            || self.toll.exhausted(self.config(), self.failures)
    }

    fn config(&self) -> &Config {
        self.prepared.config()
    }

    /// Why this kind of login may not be protected as it is, or must be (reference §3.2, decisions 2 to 4).
    fn unprotected(&self, anonymous: bool, secured: bool) -> Option<&'static str> {
        let config = self.config();
        let forced = if anonymous {
            config.force_anon_logins_ssl
        } else {
            config.force_local_logins_ssl
        };
        match (anonymous, secured) {
            _ if !config.ssl_enable => None,
            (true, false) if forced => Some("force_anon_logins_ssl=YES and no TLS"),
            (false, false) if forced => Some("force_local_logins_ssl=YES and no TLS"),
            (true, true) if !config.allow_anon_ssl && !forced => Some("allow_anon_ssl=NO and TLS"),
            (_, _) => None,
        }
    }

    /// The name of anonymous sessions in logs.
    fn guest_name(&self) -> Vec<u8> {
        let account = self.prepared.account(ANONYMOUS);
        account.map_or_else(Vec::new, |account| account.name.as_bytes().to_vec())
    }

    /// How long the failures of this source have a login wait.
    fn hold(&self) -> Duration {
        self.toll.delay(self.config(), self.failures)
    }

    /// How long one that fails waits besides.
    fn delay(&self) -> Duration {
        seconds(self.config().delay_failed_login)
    }

    /// Whose login this is, as far as lists and passwords say.
    fn check(
        &mut self,
        name: &[u8],
        password: &mut Zeroizing<Vec<u8>>,
        anonymous: bool,
        rhost: &str,
    ) -> Result<Checked, Refusal> {
        self.listed_out(name)?;
        auth::acceptable(name, password)?;
        if anonymous {
            self.anonymous(password).map(|who| (who, None))
        } else {
            self.local(name, password, rhost)
        }
    }

    /// Whether the user list refuses this name.
    fn listed_out(&mut self, name: &[u8]) -> Result<(), Refusal> {
        let config = self.prepared.config();
        if !config.asks_userlist() {
            return Ok(());
        }
        let path = config.userlist_file.as_deref();
        let list = self
            .userlist
            .get_or_insert_with(|| lists::read("cannot read user list file", path));
        let list = list.as_ref().map_err(|text| Refusal::Oops(text.clone()))?;
        if list.contains(name) != config.userlist_deny {
            return Ok(());
        }
        let file = path.unwrap_or_default().to_string_lossy();
        let (is, deny, cure) = if config.userlist_deny {
            ("is", "YES", "remove")
        } else {
            ("is not", "NO", "add")
        };
        Err(Refusal::Refused(format!(
            "the name {is} in userlist_file {file} and userlist_deny={deny}: {cure} it there"
        )))
    }

    /// Reference §6.2.
    fn anonymous(&self, password: &[u8]) -> Result<Who, Refusal> {
        let config = self.config();
        let (banned, known) = (&config.banned_email_file, &config.email_password_file);
        let what = "cannot read anon e-mail list file";
        if config.deny_email_enable && is_listed(what, banned, password)? {
            return Err(refused("the e-mail password is in banned_email_file"));
        }
        // An empty list lets nobody in: the original lets everybody (reference §10, 5).
        let welcome = !config.secure_email_list_enable
            || !password.is_empty()
                && is_listed("cannot read email passwords file", known, password)?;
        if !welcome {
            return Err(refused("the e-mail password is not in email_password_file"));
        }
        Ok(Who::Anonymous(password.to_vec()))
    }

    /// Reference §6.1, §6.3 and §6.4.
    fn local(
        &self,
        name: &[u8],
        password: &mut Zeroizing<Vec<u8>>,
        rhost: &str,
    ) -> Result<Checked, Refusal> {
        let config = self.config();
        if !config.local_enable {
            return Err(refused("local_enable=NO and this is no anonymous name"));
        }
        let (reply, accounting) = ask::ask(&self.prepared, self.nursery, name, password, rhost)?;
        match reply {
            AuthReply::Granted { name, account, .. } => Ok((Who::Local(name, account), accounting)),
            AuthReply::Refused(reason) => {
                let mut reason = String::from_utf8_lossy(&reason).into_owned();
                if is_anonymous(name) {
                    reason.push_str("; guests are served with anonymous_enable=YES only");
                }
                Err(Refusal::Refused(reason))
            }
        }
    }

    /// Where the login leads: the user's own settings, the account, the directories (reference §6.5, §6.6).
    fn settle(&self, who: Who, journal: &mut Journal) -> Result<(Held<'a>, Verdict), Refusal> {
        let own = match &who {
            Who::Anonymous(_) => self.guest_name(),
            Who::Local(name, _) => name.clone(),
        };
        let found = per_user::settings(self.prepared.clone(), &own);
        let (prepared, remarks) = found.map_err(|(text, details)| {
            journal.notes(&details);
            Refusal::Oops(text)
        })?;
        journal.notes(&remarks);
        let verdict = verdict(&prepared, who)?;
        Ok((prepared, verdict))
    }
}

/// What the worker will be. A guest acts as `guest_username` and keeps the own name (reference §6.6).
fn verdict(prepared: &Prepared, who: Who) -> Result<Verdict, Refusal> {
    let config = prepared.config();
    let named = |option, missing: &str| {
        let account = prepared.account(option);
        account.ok_or_else(|| Refusal::Oops(missing.to_owned()))
    };
    match who {
        Who::Anonymous(password) => {
            let account = named(ANONYMOUS, "no ftp_username")?;
            Ok(Verdict {
                class: Class::Anonymous { password },
                rules: Rules::Anonymous,
                extra: config.anon_root.clone(),
                ..acting_as(account, account.name.as_bytes().to_vec())
            })
        }
        Who::Local(name, _) if config.guest_enable => {
            let missing = if config.run_as_launching_user {
                "guest_enable: there are no guests with run_as_launching_user"
            } else {
                "no guest_username"
            };
            let mut verdict = acting_as(named(GUEST, missing)?, name);
            verdict.class = Class::Guest;
            if !config.virtual_use_local_privs {
                verdict.rules = Rules::Anonymous;
            }
            at_home(config, verdict)
        }
        Who::Local(name, None) => {
            let name = String::from_utf8_lossy(&name);
            Err(Refusal::Oops(format!("cannot locate user entry:{name}")))
        }
        Who::Local(name, Some(account)) => {
            let own = prepared.nopriv().uid;
            if config.run_as_launching_user && account.uid != own {
                return Err(Refusal::Oops(format!(
                    "run_as_launching_user=YES: only the user with uid {own} can log in here"
                )));
            }
            at_home(config, acting_as(&account, name))
        }
    }
}

/// As this account, in its home and kept there, by the rules for local users.
fn acting_as(account: &Account, name: Vec<u8>) -> Verdict {
    Verdict {
        class: Class::Local,
        rules: Rules::Local,
        name,
        uid: account.uid,
        gid: account.gid,
        groups: account.groups.clone(),
        home: account.home.clone(),
        extra: None,
        chroot: true,
        recorded: true,
    }
}

/// In the directories that the settings give to this name; kept there as they say, and who has an anonymous client's rights in any case.
fn at_home(config: &Config, verdict: Verdict) -> Result<Verdict, Refusal> {
    let name = &verdict.name;
    let root = config.local_root.as_deref();
    Ok(Verdict {
        home: substitute(config, &verdict.home, name),
        extra: root.map(|root| substitute(config, root, name)),
        chroot: verdict.rules == Rules::Anonymous || chrooted(config, name)?,
        ..verdict
    })
}

/// Whether the login is kept in its directory: `chroot_local_user`, or the opposite for who is listed (reference §6.5).
fn chrooted(config: &Config, name: &[u8]) -> Result<bool, Refusal> {
    let what = "could not read chroot() list file";
    let listed = config.chroot_list_enable && is_listed(what, &config.chroot_list_file, name)?;
    Ok(config.chroot_local_user != listed)
}

/// What somebody who is not logged in is told of what went wrong: the original's words without the name behind them (reference
/// §10, 14). The log has all of it.
pub fn public(text: &str) -> &str {
    let head = text.strip_prefix("vsftpd: ").unwrap_or(text);
    head.split_once(':').map_or(head, |(what, _)| what)
}

/// Why there is no verdict.
pub enum Refusal {
    /// The client is told nothing but 530; the log gets this.
    Refused(String),
    /// The server cannot do it; the client is told so in the original's words.
    Oops(String),
}

fn refused(reason: &str) -> Refusal {
    Refusal::Refused(reason.to_owned())
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
    // An empty one is none.
    let text = lists::text("cannot read banner file", Some(path))?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Whether a text is in a list.
fn is_listed(what: &str, path: &Option<OsString>, text: &[u8]) -> Result<bool, Refusal> {
    let list = lists::read(what, path.as_deref());
    list.map(|list| list.contains(text)).map_err(Refusal::Oops)
}

/// What is said when the server cannot serve a login: to the log, and to the client as far as it may know.
fn oops(text: &str, shown: &str, journal: &mut Journal) -> BeforeLoginReply {
    journal.note(format!("login ended: {text}").as_bytes());
    BeforeLoginReply::Oops(shown.into())
}

fn seconds(of: u32) -> Duration {
    Duration::from_secs(of.into())
}
