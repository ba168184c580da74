//! A password checked by PAM (reference §6.3); auth.

use super::{Reason, shells};
use crate::sys::account;
use crate::sys::pam::{Login, Pam, Refused};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

// Codes of `_pam_types.h` that have a cure of their own.
const SERVICE_ERR: i32 = 3;
const SYSTEM_ERR: i32 = 4;
const AUTH_ERR: i32 = 7;
const AUTHINFO_UNAVAIL: i32 = 9;
const MODULE_UNKNOWN: i32 = 28;

/// Checks the password; gives the name the login goes on with, and the login, which ends when it is dropped.
///
/// # Errors
/// The step that refused, with what is known about the cure.
pub fn check<'a>(
    pam: &'a Pam,
    service: Option<&OsStr>,
    name: &[u8],
    password: &[u8],
    rhost: &str,
) -> Result<(Vec<u8>, Login<'a>), Reason> {
    let Some(named) = service else {
        return Err(Reason::new(
            "pam_service_name is empty: set it to the name of a file in /etc/pam.d",
        ));
    };
    pam.login(named.as_bytes(), name, password, rhost)
        .and_then(|mut login| login.run().map(|name| (name, login)))
        .map_err(|refused| {
            let denied = refused.step == "pam_authenticate" && refused.code == AUTH_ERR;
            let Reason(mut text) = reason(service, refused);
            // PAM does not say which module it was.
            if denied && let Some(shell) = unlisted_shell(name) {
                text.push_str(&format!(
                    "; the shell of this account, {shell}, is not in /etc/shells, as pam_shells demands"
                ));
            }
            Reason(text)
        })
}

/// The account's shell if it is not among those of the host. The same is done for a name that nobody has: how long a refusal takes must not
/// tell who is there.
fn unlisted_shell(name: &[u8]) -> Option<String> {
    let account = account::find(name).ok().flatten();
    let shell = account.as_ref().map(|account| account.shell.as_path());
    let listed = shells::listed(shells::HOST, shell.unwrap_or(Path::new("")));
    let shell = shell?.display().to_string();
    matches!(listed, Ok(false)).then_some(shell)
}

/// What PAM's refusal means here.
pub fn reason(service: Option<&OsStr>, refused: Refused) -> Reason {
    let Refused { step, code, text } = refused;
    let shown = service.unwrap_or_default().to_string_lossy();
    let mut reason = format!("PAM service {shown}: {text} ({step}, code {code})");
    let configured = ["/etc/pam.d", "/usr/lib/pam.d"]
        .iter()
        .any(|dir| Path::new(dir).join(&*shown).exists());
    if !configured {
        reason.push_str(&format!(
            "; there is no /etc/pam.d/{shown}: create it or set pam_service_name"
        ));
    } else if code == MODULE_UNKNOWN {
        reason.push_str("; a module that this file names is not installed or cannot be loaded");
    } else if matches!(code, SERVICE_ERR | SYSTEM_ERR | AUTHINFO_UNAVAIL) {
        reason.push_str("; a module of that file failed, for want of its database perhaps: the system's log may say which");
    } else if step == "pam_authenticate" {
        reason.push_str("; a wrong password, an unknown user, or a rule such as pam_shells or pam_listfile in that file");
    } else if step == "pam_open_session" {
        reason.push_str("; mend the session lines of that file or set session_support=NO");
    }
    Reason::new(reason)
}
