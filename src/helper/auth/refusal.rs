//! What a refusal of PAM's means, in words for the log; auth, when it has given up its rights.

use super::{Asked, Reason, shells};
use crate::sys::account;
use crate::sys::pam::Refused;
use std::ffi::OsStr;
use std::path::Path;

// Codes of `_pam_types.h` that have a cure of their own.
const SERVICE_ERR: i32 = 3;
const SYSTEM_ERR: i32 = 4;
const AUTH_ERR: i32 = 7;
const AUTHINFO_UNAVAIL: i32 = 9;
const MODULE_UNKNOWN: i32 = 28;

/// What PAM's refusal means here, and what is known about the cure.
pub fn reason(asked: &Asked, refused: Refused) -> Reason {
    let text = said(&refused);
    let (step, code) = (refused.step, refused.code);
    let Some(service) = asked.question.service.as_deref() else {
        return Reason::new(
            "pam_service_name is empty: set it to the name of a file in /etc/pam.d",
        );
    };
    let shown = service.to_string_lossy();
    let mut reason = format!("PAM service {shown}: {text} ({step}, code {code})");
    if !is_configured(service) {
        reason.push_str(&format!(
            "; there is no /etc/pam.d/{shown}: create it or set pam_service_name"
        ));
    } else if step == "pam_start" {
        reason.push_str(
            "; that file, or one that it includes, is not there or cannot be understood: the system's log may say which",
        );
    } else if code == MODULE_UNKNOWN {
        reason.push_str("; a module that this file names is not installed or cannot be loaded");
    } else if matches!(code, SERVICE_ERR | SYSTEM_ERR | AUTHINFO_UNAVAIL) {
        reason.push_str("; a module of that file failed, for want of its database perhaps (pam_userdb adds .db to the name by itself), or of the right to read it (pam_unix of an ordinary user's server, under no_new_privs too): the system's log may say which");
    } else if step == "pam_authenticate" {
        reason.push_str("; a wrong password, an unknown user, or a rule such as pam_shells or pam_listfile in that file");
    } else if step == "pam_open_session" {
        reason.push_str("; mend the session lines of that file or set session_support=NO");
    }
    // PAM does not say which module it was.
    if step == "pam_authenticate"
        && code == AUTH_ERR
        && let Some(shell) = unlisted_shell(&asked.question.name)
    {
        reason.push_str(&format!(
            "; the shell of this account, {shell}, is not in /etc/shells, as pam_shells demands"
        ));
    }
    Reason::new(reason)
}

/// What the library says the code means, and what modules have said.
fn said(refused: &Refused) -> String {
    let meaning = match refused.meaning.to_string_lossy() {
        meaning if meaning.is_empty() => format!("code {}", refused.code),
        meaning => meaning.into_owned(),
    };
    let heard = String::from_utf8_lossy(&refused.heard);
    let between = if heard.is_empty() { "" } else { " - " };
    meaning + between + &heard
}

/// Whether the host has a file of that service, as far as can be seen.
fn is_configured(service: &OsStr) -> bool {
    ["/etc/pam.d", "/usr/lib/pam.d"].iter().any(|place| {
        let file = Path::new(place).join(service);
        file.try_exists().unwrap_or(true)
    })
}

/// The account's shell if it is not among those of the host. The same is done for a name that nobody has: how long a refusal takes must not
/// tell who is there.
fn unlisted_shell(name: &[u8]) -> Option<String> {
    let account = account::find(name).ok().flatten();
    let shell = account.as_ref().map(|account| account.shell.as_os_str());
    let listed = shells::listed(shells::HOST, shell.unwrap_or_default());
    let shell = shell?.display().to_string();
    matches!(listed, Ok(false)).then_some(shell)
}

#[cfg(test)]
mod tests {
    use super::said;
    use crate::sys::pam::Refused;

    #[test]
    fn what_a_code_means_and_what_modules_have_said() {
        for (meaning, heard, text) in [
            (c"Authentication failure", "", "Authentication failure"),
            (
                c"Authentication failure",
                "go away",
                "Authentication failure - go away",
            ),
            (c"", "", "code 7"),
            (c"", "go away", "code 7 - go away"),
        ] {
            let refused = Refused {
                heard: heard.into(),
                ..Refused::new("pam_authenticate", 7, meaning)
            };
            assert_eq!(said(&refused), text);
        }
    }
}
