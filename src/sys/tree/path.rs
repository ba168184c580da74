//! Virtual paths: absolute within a session's root, and how arguments join them; worker.

use super::{LONGEST, Result};
use nix::errno::Errno;

/// An absolute path within the root, without `.`, `..`, doubled or trailing slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualPath(Vec<u8>);

impl VirtualPath {
    /// The root itself.
    pub fn root() -> Self {
        Self(b"/".to_vec())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The argument below this directory, as it was written, for logs (reference §7.2).
    pub fn join(&self, arg: &[u8]) -> Vec<u8> {
        if arg.starts_with(b"/") {
            arg.to_vec()
        } else if self.0 == b"/" {
            [b"/".as_slice(), arg].concat()
        } else {
            [self.0.as_slice(), b"/", arg].concat()
        }
    }

    /// The path a text means when there are no links on it.
    pub(super) fn normal(text: &[u8]) -> Self {
        let mut names: Vec<&[u8]> = Vec::new();
        for name in text.split(|byte| *byte == b'/') {
            match name {
                b"" | b"." => {}
                b".." => _ = names.pop(),
                name => names.push(name),
            }
        }
        Self::of(&names)
    }

    /// The path of these names from the root.
    pub(super) fn of<T: AsRef<[u8]>>(names: &[T]) -> Self {
        if names.is_empty() {
            return Self::root();
        }
        let mut path = Vec::new();
        for name in names {
            path.push(b'/');
            path.extend_from_slice(name.as_ref());
        }
        Self(path)
    }
}

/// An argument as an absolute text the kernel can resolve.
pub(super) fn full(cwd: &VirtualPath, arg: &[u8]) -> Result<Vec<u8>> {
    if arg.is_empty() || arg.contains(&0) {
        return Err(Errno::ENOENT);
    }
    let full = cwd.join(arg);
    if full.len() >= LONGEST {
        Err(Errno::ENAMETOOLONG)
    } else {
        Ok(full)
    }
}

/// Directory and last part of an absolute path; a slash behind the last part stays with it, so that the kernel asks for a
/// directory. `None` for a path that ends in no name.
pub(super) fn split(full: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = full.iter().rposition(|byte| *byte != b'/')?;
    let start = full
        .get(..end)?
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at.saturating_add(1));
    let (directory, name) = full.split_at_checked(start)?;
    match name.strip_suffix(b"/").unwrap_or(name) {
        b"." | b".." | b"" => None,
        _ => Some((
            if directory.is_empty() {
                b"/"
            } else {
                directory
            },
            name,
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{VirtualPath, full, split};

    #[test]
    fn joining_keeps_the_text() {
        let home = VirtualPath::normal(b"/home//./u/../alice/");
        assert_eq!(home.as_bytes(), b"/home/alice");
        assert_eq!(home.join(b"a/../b"), b"/home/alice/a/../b");
        assert_eq!(home.join(b"/x"), b"/x");
        assert_eq!(home.join(b""), b"/home/alice/");
        assert_eq!(VirtualPath::root().join(b"f"), b"/f");
        assert_eq!(VirtualPath::normal(b"/../..").as_bytes(), b"/");
    }

    #[test]
    fn the_last_part() {
        assert_eq!(split(b"/a/b").unwrap(), (&b"/a/"[..], &b"b"[..]));
        assert_eq!(split(b"/b/").unwrap(), (&b"/"[..], &b"b/"[..]));
        for none in [&b"/"[..], b"/a/..", b"/a/.", b"/a/./", b"//"] {
            assert_eq!(split(none), None, "{none:?}");
        }
    }

    #[test]
    fn lengths() {
        let root = VirtualPath::root();
        assert!(full(&root, &[b'a'; 4094]).is_ok());
        assert!(full(&root, &[b'a'; 4095]).is_err());
        assert!(full(&root, b"").is_err() && full(&root, b"a\0b").is_err());
    }
}
