//! A password checked by PAM (reference §6.3); auth.

use super::Reason;
use crate::sys::pam::{Login, Pam, Refused};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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
        .map_err(|refused| reason(service, refused))
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
    } else if step == "pam_authenticate" {
        reason.push_str("; a wrong password, an unknown user, or a rule such as pam_shells or pam_listfile in that file");
    } else if step == "pam_open_session" {
        reason.push_str("; mend the session lines of that file or set session_support=NO");
    }
    Reason::new(reason)
}
