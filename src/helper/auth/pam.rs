//! A password checked by PAM (reference §6.3); auth.

use super::Reason;
use crate::sys::pam::{Pam, Refused};
use std::path::Path;

/// Checks the password; gives the name the login goes on with.
///
/// # Errors
/// The step that refused, with what is known about the cure.
pub fn check(
    pam: &Pam,
    service: Option<&[u8]>,
    name: &[u8],
    password: &[u8],
    rhost: &str,
) -> Result<Vec<u8>, Reason> {
    let Some(service) = service else {
        return Err(Reason::new(
            "pam_service_name is empty: set it to the name of a file in /etc/pam.d",
        ));
    };
    let shown = String::from_utf8_lossy(service).into_owned();
    pam.login(service, name, password, rhost).and_then(|mut login| login.run()).map_err(|refused| {
        let Refused { step, code, text } = refused;
        let mut reason = format!("PAM service {shown}: {text} ({step}, code {code})");
        let configured = ["/etc/pam.d", "/usr/lib/pam.d"].iter().any(|dir| Path::new(dir).join(&shown).exists());
        if !configured {
            reason.push_str(&format!("; there is no /etc/pam.d/{shown}: create it or set pam_service_name"));
        } else if step == "pam_authenticate" {
            reason.push_str("; a wrong password, an unknown user, or a rule such as pam_shells or pam_listfile in that file");
        }
        Reason::new(reason)
    })
}
