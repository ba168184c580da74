//! Paths walked name by name, each opened without following links: for what openat2(2) cannot tell, and where it is missing;
//! worker.

use super::{Meta, Result, VirtualPath, target};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// How many links one path may lead through (path_resolution(7)).
const LINKS: u32 = 40;

/// What is done with a link in the last place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// It is followed.
    Follow,
    /// It is what is meant.
    Stay,
}

/// Where a path leads: a name in an open directory; no name for the directory itself.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) parent: OwnedFd,
    names: Vec<Vec<u8>>,
    named: bool,
}

impl Spot {
    /// The name to give an `*at` call with `parent`.
    pub(super) fn name(&self) -> &OsStr {
        OsStr::from_bytes(if self.named {
            self.names.last().map_or(b".", Vec::as_slice)
        } else {
            b"."
        })
    }

    /// Its path without links.
    pub(super) fn path(&self) -> VirtualPath {
        VirtualPath::of(&self.names)
    }

    /// Opens it.
    pub(super) fn open(&self, flags: OFlag, mode: Mode) -> Result<OwnedFd> {
        nix::fcntl::openat(&self.parent, self.name(), flags, mode)
    }
}

/// Walks an absolute path below `root`; its last part need not exist.
pub(super) fn walk(root: &OwnedFd, full: &[u8], last: Last) -> Result<Spot> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    let mut here = again(root, &names)?;
    let mut ahead: VecDeque<Vec<u8>> = parts(full).collect();
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == b".." {
            names.pop();
            here = again(root, &names)?;
            continue;
        }
        let step = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let found = match nix::fcntl::openat(&here, OsStr::from_bytes(&name), step, Mode::empty()) {
            Ok(found) => found,
            Err(Errno::ENOENT) if ahead.is_empty() => {
                names.push(name);
                return Ok(Spot {
                    parent: here,
                    names,
                    named: true,
                });
            }
            Err(error) => return Err(error),
        };
        let meta = Meta::from(nix::sys::stat::fstat(&found)?);
        if meta.is_link() && (!ahead.is_empty() || last == Last::Follow) {
            links += 1;
            if links > LINKS {
                return Err(Errno::ELOOP);
            }
            let text = target(here.as_fd(), OsStr::from_bytes(&name))?;
            if text.starts_with(b"/") {
                names.clear();
                here = again(root, &names)?;
            }
            for part in parts(&text).collect::<Vec<_>>().into_iter().rev() {
                ahead.push_front(part);
            }
            continue;
        }
        names.push(name);
        if ahead.is_empty() {
            return Ok(Spot {
                parent: here,
                names,
                named: true,
            });
        }
        if !meta.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        here = found;
    }
    Ok(Spot {
        parent: here,
        names,
        named: false,
    })
}

/// Opens the directory of these names; none of them is a link.
fn again(root: &OwnedFd, names: &[Vec<u8>]) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut here = nix::fcntl::openat(root, ".", flags, Mode::empty())?;
    for name in names {
        here = nix::fcntl::openat(&here, OsStr::from_bytes(name), flags, Mode::empty())?;
    }
    Ok(here)
}

fn parts(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    text.split(|byte| *byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."))
        .map(<[u8]>::to_vec)
}
