//! A password checked by PAM (reference §6.3); auth.

use crate::sys::pam::{Login, Pam, Refused};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Checks the password; gives the name the login goes on with, and the login, which ends when it is dropped.
///
/// # Errors
/// The step that refused.
pub fn check<'a>(
    pam: &'a Pam,
    service: Option<&OsStr>,
    name: &[u8],
    password: &[u8],
    rhost: &str,
) -> Result<(Vec<u8>, Login<'a>), Refused> {
    // Without a name PAM would ask a service that nobody has chosen.
    let service = service.ok_or_else(|| Refused::new("pam_start", 0, "no service"))?;
    let mut login = pam.login(service.as_bytes(), name, password, rhost)?;
    login.run().map(|name| (name, login))
}

/// Whether the host has a file of that service.
pub fn is_configured(service: Option<&OsStr>) -> bool {
    let service = Path::new(service.unwrap_or_default());
    ["/etc/pam.d", "/usr/lib/pam.d"]
        .iter()
        .any(|place| Path::new(place).join(service).exists())
}
