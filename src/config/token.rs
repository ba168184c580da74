//! `user_sub_token`, in whose place the login name stands; pure, used by helper and the rules.

use super::Config;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// `user_sub_token` in a path, replaced by the login name (reference §6.5).
pub fn substitute(config: &Config, path: &OsStr, name: &[u8]) -> OsString {
    let token = config.user_sub_token.as_deref().unwrap_or_default();
    if token.is_empty() {
        return path.to_owned();
    }
    // A name is one part of a path, never a way to another directory.
    let name = if name.contains(&b'/') || matches!(name, b"." | b"..") {
        b"_"
    } else {
        name
    };
    let mut out = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(token.as_bytes()) {
            out.extend_from_slice(name);
            rest = behind;
        } else {
            out.push(*first);
            rest = behind;
        }
    }
    OsString::from_vec(out)
}
