//! The names of ids, and what the password file has besides; worker that sees the host, reader, and auth where there is no PAM, without rights.

use std::ffi::OsString;

/// What stands for an account's password in the password file itself: on hosts without a shadow file, its hash.
pub fn hash(name: &[u8]) -> Option<Vec<u8>> {
    let name = std::str::from_utf8(name).ok()?;
    let user = nix::unistd::User::from_name(name).ok()??;
    Some(user.passwd.into_bytes())
}

/// The name of a user id.
pub fn name_of_uid(uid: u32) -> Option<OsString> {
    users::get_user_by_uid(uid).map(|user| user.name().to_owned())
}

/// The name of a group id.
pub fn name_of_gid(gid: u32) -> Option<OsString> {
    users::get_group_by_gid(gid).map(|group| group.name().to_owned())
}
