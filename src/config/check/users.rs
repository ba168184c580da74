//! The files of single users: a mistake in one shows when that user logs in, and is told here before; runs in the reader, without rights.

use super::Found;
use crate::config::options::Scope;
use crate::config::view::{How, View};
use nix::dir::{Dir, Type};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// The most files looked at: a start is not to wait for a host of users.
const MOST: usize = 1000;
/// The most mistakes told.
const TOLD: usize = 50;

/// Every mistake in the files of `user_config_dir`, and every option without effect there.
pub(super) fn users(view: &dyn View, found: &mut Found<'_>) {
    let base = found.loaded;
    let Some(directory) = base.config.user_config_dir.as_deref().map(Path::new) else {
        return;
    };
    let mut told = Vec::new();
    for name in names(view, directory).unwrap_or_default() {
        match base.overlay(view, &directory.join(name), Scope::PerUser) {
            Ok((_, without_effect)) => told.extend(without_effect),
            Err(mistakes) => told.extend(mistakes.into_iter().map(|mut mistake| {
                mistake
                    .text
                    .push_str("; this user cannot log in until it is mended");
                mistake
            })),
        }
    }
    told.truncate(TOLD);
    found.mistakes.extend(told);
}

/// The names of the files, hidden ones and directories left out: no user has one.
fn names(view: &dyn View, directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::from_fd(view.open(directory, How::Directory)?)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !name.starts_with(b".") && entry.file_type() != Some(Type::Directory) {
            names.push(OsString::from_vec(name.to_vec()));
        }
        if names.len() >= MOST {
            break;
        }
    }
    names.sort();
    Ok(names)
}
