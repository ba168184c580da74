//! Paths as bytes: the client's argument, and the directory it is relative to; worker.

use super::LONGEST;
use nix::Result;
use nix::errno::Errno;

/// The absolute path of a directory as the client sees it: no `.`, no `..`, no doubled or final slash, no links.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VirtualPath(Vec<u8>);

impl VirtualPath {
    /// `/`.
    pub fn root() -> Self {
        Self(b"/".to_vec())
    }

    /// The bytes, beginning with `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, given up.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The argument as logs show it: absolute, not normalised (reference §7.2, TEXT).
    pub fn join(&self, arg: &[u8]) -> Vec<u8> {
        if arg.starts_with(b"/") {
            return arg.to_vec();
        }
        let above = if self.0 == b"/" {
            &[]
        } else {
            self.0.as_slice()
        };
        [above, b"/", arg].concat()
    }
}

/// What the client's argument means, if the kernel would take it for a path at all.
pub(super) fn joined(cwd: &VirtualPath, arg: &[u8]) -> Result<Vec<u8>> {
    if arg.len() > LONGEST {
        return Err(Errno::ENAMETOOLONG);
    }
    if arg.is_empty() || arg.contains(&0) {
        return Err(Errno::ENOENT);
    }
    Ok(cwd.join(arg))
}

/// A path without links, reduced by its text alone. Longer than getcwd(3) could say is refused.
pub(super) fn normal(path: &[u8]) -> Result<VirtualPath> {
    let mut whole = Vec::with_capacity(path.len());
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop_last(&mut whole),
            name => push(&mut whole, name),
        }
    }
    if whole.is_empty() {
        whole.push(b'/');
    }
    if whole.len() > LONGEST {
        Err(Errno::ENAMETOOLONG)
    } else {
        Ok(VirtualPath(whole))
    }
}

/// Adds a component to a path whose root is the empty text.
pub(super) fn push(whole: &mut Vec<u8>, name: &[u8]) {
    whole.push(b'/');
    whole.extend_from_slice(name);
}

/// Takes the last component off.
pub(super) fn drop_last(whole: &mut Vec<u8>) {
    whole.truncate(whole.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
}

/// The path above the last component, that component, and whether slashes follow it. The component of `/` is empty.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8], bool) {
    let end = path
        .iter()
        .rposition(|byte| *byte != b'/')
        .map_or(0, |at| at.saturating_add(1));
    let (bare, slashes) = path.split_at_checked(end).unwrap_or((path, b""));
    let start = bare
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at.saturating_add(1));
    let (above, name) = bare.split_at_checked(start).unwrap_or((b"", bare));
    (above, name, !slashes.is_empty())
}

/// `.` or `..`.
pub(super) fn is_dots(name: &[u8]) -> bool {
    matches!(name, b"." | b"..")
}

/// Whether the path names a directory by its form, so that a last link is followed whoever asks.
pub(super) fn leads_on(path: &[u8]) -> bool {
    let (_, name, slash) = split(path);
    slash || name.is_empty() || is_dots(name)
}

/// Whether the path ends in a slash after a name.
pub(super) fn ends_in_slash(path: &[u8]) -> bool {
    path.ends_with(b"/")
}
