//! Patterns as rules about names: `deny_file` and what is asked as it is, `upload_file` and `download_file`; runs in worker.

use super::pattern::{Begin, Pattern};

impl Pattern {
    /// Whether a `deny_file`-like rule holds for a command's argument: its text is part of the raw argument, or it matches what
    /// the argument leads to. `resolved` is that file's absolute virtual path, none if its directory does not resolve.
    /// What begins with `/`, be it the pattern or a leading alternative, is held against the whole path, everything else
    /// against the path's last part (reference §5.8, the distributions' rule since CVE-2015-1419).
    #[must_use]
    pub fn denies(&self, arg: &[u8], resolved: Option<&[u8]>) -> bool {
        contains(arg, &self.source) || resolved.is_some_and(|path| self.fits_path(path))
    }

    /// Whether an `upload_file`-like rule lets through what an argument leads to. The argument itself does not count, as the original has
    /// it: a client that says the pattern's text somewhere in it, as the name of a directory, would be let through with any file
    /// (attacks B-009). A text without a pattern may be any part of the name, or of the path if it has a slash.
    #[must_use]
    pub fn allows(&self, resolved: Option<&[u8]>) -> bool {
        let plain = !self.source.iter().any(|byte| b"*?{".contains(byte));
        let whole = self.source.contains(&b'/');
        resolved.is_some_and(|path| {
            let part = if whole { path } else { last(path) };
            self.fits_path(path) || plain && contains(part, &self.source)
        })
    }

    fn fits_path(&self, path: &[u8]) -> bool {
        self.fits(path, Begin::AtSlash) || self.fits(last(path), Begin::NotAtSlash)
    }
}

/// The last part of a path. The root has none; it stands for itself, so that an empty alternative does not deny it.
fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/')
        .next()
        .filter(|last| !last.is_empty())
        .unwrap_or(path)
}

/// Whether `part` occurs in `text`; nothing occurs nowhere.
fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denies(pattern: &[u8], arg: &[u8], resolved: Option<&[u8]>) -> bool {
        Pattern::new(pattern).denies(arg, resolved)
    }

    #[test]
    fn deny_rules() {
        // The distributions' rule on paths that exist.
        assert!(denies(b"*.exe", b"dir/a.exe", Some(b"/dir/a.exe")));
        assert!(denies(b"{*.exe,*.com}", b"a.com", Some(b"/x/a.com")));
        assert!(denies(
            b"/home/u/sec*",
            b"x",
            Some(b"/home/u/secret/deep/x")
        ));
        assert!(!denies(b"/home/u/sec*", b"x", Some(b"/home/u/other")));
        assert!(denies(
            b"{/etc/*,*.key}",
            b"../etc/passwd",
            Some(b"/etc/passwd")
        ));
        assert!(denies(b"{/etc/*,*.key}", b"a.key", Some(b"/home/a.key")));
        // A directory on the way does not count for a pattern that does not begin with a slash.
        assert!(!denies(b"{*foo*}", b"a", Some(b"/foo/a")));
        assert!(!denies(b"*foo*", b"a", Some(b"/foo/a")));
        assert!(!denies(b"dir?/*", b"dir1/x", Some(b"/dir1/x")));
        // The text itself, wherever it stands, and whether or not the path resolves.
        assert!(denies(b".ssh", b"x/.ssh/y", None));
        assert!(!denies(b"*.exe", b"a.exe", None));
        assert!(!denies(b"", b"a", None));
        assert!(Pattern::new(b"{a,{b,/c}}").is_absolute());
        assert!(!Pattern::new(b"*/c").is_absolute());
        assert!(!denies(b"*/c", b"q", Some(b"/c")));
        assert!(denies(b"*", b"q", Some(b"/")));
        assert!(!denies(b"{*.exe,}", b"/", Some(b"/")));
    }

    /// attacks B-009.
    #[test]
    fn allow_rules() {
        let allows = |pattern: &[u8], path: Option<&[u8]>| Pattern::new(pattern).allows(path);
        assert!(allows(b"{*.txt}", Some(b"/d/a.txt")));
        assert!(allows(b"{*.txt,STOU*}", Some(b"/d/STOU.1")));
        assert!(allows(b"/pub/*", Some(b"/pub/a")));
        assert!(!allows(b"/pub/*", Some(b"/other/pub/a")));
        // The text of the pattern, said by a client.
        assert!(!allows(b"{*.txt}", Some(b"/{*.txt}/a")));
        assert!(!allows(b"{*.txt}", Some(b"/a{*.txt}.bin")));
        assert!(!allows(b"*.txt", Some(b"/a*.txt.bin")));
        assert!(!allows(b"{*.txt}", None));
        // A text that is none stands anywhere in the name.
        assert!(allows(b"report", Some(b"/d/a-report.txt")));
        assert!(!allows(b"report", Some(b"/report/a.txt")));
        assert!(allows(b"/incoming/", Some(b"/d/incoming/a")));
        assert!(!allows(b"", Some(b"/a")));
    }
}
