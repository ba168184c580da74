//! Accounts of the host by name and id; master at start, auth, and a worker that sees the host.

use nix::unistd::{Gid, Uid};
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use users::os::unix::UserExt;

/// The longest name looked up: longer ones are no account's anywhere.
const NAME: usize = 256;

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name, as the name service writes it.
    pub name: OsString,
    /// Its user id.
    pub uid: Uid,
    /// Its primary group.
    pub gid: Gid,
    /// Its home directory.
    pub home: OsString,
    /// Its login shell.
    pub shell: OsString,
    /// All its groups; empty until [`groups`] fills it in.
    pub groups: Vec<Gid>,
}

/// Looks an account up.
///
/// # Errors
/// The name service did not answer, as far as that can be told from there being no such account.
pub fn find(name: &[u8]) -> io::Result<Option<Account>> {
    if name.is_empty() || name.len() > NAME || name.contains(&0) {
        return Ok(None);
    }
    let Ok(text) = std::str::from_utf8(name) else {
        return Ok(
            users::get_user_by_name(OsStr::from_bytes(name)).map(|user| Account {
                name: user.name().to_owned(),
                uid: Uid::from_raw(user.uid()),
                gid: Gid::from_raw(user.primary_group_id()),
                home: user.home_dir().into(),
                shell: user.shell().into(),
                groups: Vec::new(),
            }),
        );
    };
    // This one tells "no such user" from "the name service failed", so that who is a user of PAM's alone is not looked up twice.
    Ok(nix::unistd::User::from_name(text)?.map(|user| Account {
        name: user.name.into(),
        uid: user.uid,
        gid: user.gid,
        home: user.dir.into(),
        shell: user.shell.into(),
        groups: Vec::new(),
    }))
}

/// All groups of an account, its primary one included (never by the users crate: RUSTSEC-2025-0040).
///
/// # Errors
/// The name service did not answer.
pub fn groups(name: &[u8], gid: Gid) -> io::Result<Vec<Gid>> {
    let name = CString::new(name)?;
    Ok(nix::unistd::getgrouplist(&name, gid)?)
}
