//! A password checked by PAM (reference §6.3); auth.

use crate::sys::pam::{Login, Pam, Refused};
use crate::wire::Question;
use std::os::unix::ffi::OsStrExt;

/// Checks the password; gives the name the login goes on with, and the login, which ends when it is dropped.
///
/// # Errors
/// The step that refused.
pub fn check<'a>(pam: &'a Pam, question: &Question) -> Result<(Vec<u8>, Login<'a>), Refused> {
    // Without a name PAM would ask a service that nobody has chosen.
    let service = question.service.as_deref();
    let service = service.ok_or_else(|| Refused::new("pam_start", 0, c"no service"))?;
    let (name, password) = (&question.name, &question.password);
    let mut login = pam.login(service.as_bytes(), name, password, &question.rhost)?;
    login.run().map(|name| (name, login))
}
