//! Whether files that something was loaded from are still what they were: libraries and modules, for the nursery; the host's time zone, for
//! master.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// File systems tell the time of a change by a clock that is a little behind.
const SLACK: Duration = Duration::from_secs(1);

/// What tells one state of a file from another: where it lies, and when its content or its description last changed.
type Stamp = (u64, u64, i64, i64);

/// Some files, as they were.
#[derive(Debug)]
pub struct Stamps(Vec<(PathBuf, Option<Stamp>)>);

impl Stamps {
    /// Of these files as they are now; one that is not there may come.
    pub fn of(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let stamped = |path: PathBuf| {
            let stamp = stamp(&path);
            (path, stamp)
        };
        Self(files.into_iter().map(stamped).collect())
    }

    /// Whether all are as they were.
    pub fn hold(&self) -> bool {
        self.0.iter().all(|(path, was)| stamp(path) == *was)
    }

    /// Whether one has changed between `begun` and now, so that another file may have been loaded than the one that is there. What
    /// claims to have changed in the future says nothing.
    pub fn changed_since(&self, begun: SystemTime) -> bool {
        let seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            i64::try_from(since.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
        };
        let from = seconds(begun.checked_sub(SLACK).unwrap_or(begun));
        let to = seconds(SystemTime::now());
        self.0
            .iter()
            .any(|(_, was)| was.is_some_and(|(_, _, changed, _)| (from..=to).contains(&changed)))
    }
}

fn stamp(path: &PathBuf) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Stamps;
    use std::fs;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_change_is_seen() {
        let place = std::env::temp_dir().join(format!("vsftpd-stamps-{}", std::process::id()));
        fs::create_dir(&place).unwrap();
        let [first, second] = ["a", "b"].map(|name| place.join(name));
        fs::write(&first, "one").unwrap();
        let stamps = || Stamps::of([first.clone(), second.clone()]);

        let written = stamps();
        assert!(written.hold());
        fs::write(&first, "longer").unwrap();
        assert!(!written.hold());

        let put = stamps();
        fs::write(&second, "new").unwrap();
        assert!(!put.hold());

        // A package is upgraded: another file by the same name, and of the same size.
        let upgraded = stamps();
        fs::rename(&second, place.join("c")).unwrap();
        fs::write(&second, "old").unwrap();
        assert!(!upgraded.hold());

        let gone = stamps();
        fs::remove_file(&first).unwrap();
        assert!(!gone.hold());
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn what_has_changed_meanwhile() {
        let place = std::env::temp_dir().join(format!("vsftpd-meanwhile-{}", std::process::id()));
        let begun = SystemTime::now();
        fs::write(&place, "x").unwrap();
        let stamps = Stamps::of([place.clone()]);
        assert!(stamps.changed_since(begun));
        assert!(!stamps.changed_since(begun + Duration::from_secs(3600)));
        fs::remove_file(&place).unwrap();
        assert!(!Stamps::of([place]).changed_since(begun));
    }
}
