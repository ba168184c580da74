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
/// The most names counted.
const COUNTED: usize = 100_000;

/// Every mistake in the files of `user_config_dir`, and every option without effect there.
pub(super) fn users(view: &dyn View, found: &mut Found<'_>) {
    let base = found.loaded;
    let Some(directory) = base.config.user_config_dir.as_deref().map(Path::new) else {
        return;
    };
    let mut told = Vec::new();
    let (names, mut left) = names(view, directory).unwrap_or_default();
    let mut names = names.into_iter();
    for name in names.by_ref() {
        // Not a hundred of each: with the option that each may have meant they take seconds.
        if told.len() >= TOLD {
            left = left.saturating_add(1);
            break;
        }
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
    left = left.saturating_add(names.len());
    if left > 0 {
        let least = if left >= COUNTED { "at least " } else { "" };
        let text = format!(
            "{least}{left} files in user_config_dir were not looked at; a mistake in one of them shows when that user logs in"
        );
        found.add(&["user_config_dir"], text);
    }
}

/// The names of the files, hidden ones and directories left out: no user has one; and how many more there are.
fn names(view: &dyn View, directory: &Path) -> io::Result<(Vec<OsString>, usize)> {
    let mut names = Vec::new();
    let mut left = 0_usize;
    for entry in Dir::from_fd(view.open(directory, How::Directory)?)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        let file = !name.starts_with(b".") && entry.file_type() != Some(Type::Directory);
        if file && names.len() < MOST {
            names.push(OsString::from_vec(name.to_vec()));
        } else if file {
            left = left.saturating_add(1);
        }
        if left >= COUNTED {
            break;
        }
    }
    names.sort();
    Ok((names, left))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing
)]
mod tests {
    use crate::config::{How, Own, Source, View, load, remarks};
    use std::cell::Cell;
    use std::fs;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    /// The host, and how many files of that directory were opened.
    struct Counting(PathBuf, Cell<usize>);

    impl View for Counting {
        fn open(&self, path: &Path, how: How) -> io::Result<OwnedFd> {
            if path.parent() == Some(&self.0) {
                self.1.set(self.1.get().saturating_add(1));
            }
            Own.open(path, how)
        }

        fn runs_as(&self) -> u32 {
            Own.runs_as()
        }
    }

    /// A directory of something else is not read to its end: the server does nothing else meanwhile.
    #[test]
    fn mistakes_without_end() {
        let place = std::env::temp_dir().join(format!("vsftpd-users-{}", std::process::id()));
        fs::create_dir(&place).unwrap();
        for number in 0..100 {
            let path = place.join(number.to_string());
            fs::write(&path, "a=b\nc=d\n").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        let setting = format!("user_config_dir={}", place.display());
        let loaded = load(&Own, &[Source::Setting(setting.into_bytes())]).unwrap();
        let view = Counting(place.clone(), Cell::new(0));
        let told = remarks(&view, &loaded);
        fs::remove_dir_all(place).unwrap();
        let ours = told
            .iter()
            .filter(|mistake| mistake.text.ends_with("until it is mended"));
        assert_eq!(ours.count(), super::TOLD);
        assert_eq!(view.1.get(), super::TOLD / 2);
        let left = told.last().unwrap();
        assert!(
            left.text
                .starts_with("75 files in user_config_dir were not looked at")
        );
    }

    /// More users than are looked at: how many were not is said.
    #[test]
    fn more_files_than_are_looked_at() {
        let place = std::env::temp_dir().join(format!("vsftpd-many-{}", std::process::id()));
        fs::create_dir(&place).unwrap();
        let more = 7;
        for number in 0..super::MOST + more {
            fs::write(place.join(number.to_string()), "").unwrap();
        }
        let setting = format!("user_config_dir={}", place.display());
        let loaded = load(&Own, &[Source::Setting(setting.into_bytes())]).unwrap();
        let told = remarks(&Own, &loaded);
        fs::remove_dir_all(place).unwrap();
        let left: Vec<&str> = told
            .iter()
            .map(|mistake| mistake.text.as_str())
            .filter(|text| text.contains("were not looked at"))
            .collect();
        assert_eq!(left.len(), 1);
        assert!(
            left[0].starts_with(&format!("{more} files in user_config_dir")),
            "{left:?}"
        );
    }
}
