//! The walk from the root, one component at a time, following links itself; worker.
//!
//! Each step opens one name below an open directory and follows nothing, so that no rename and no link beside the walk
//! can lead it out: `..` goes to the directory it came from, and at the root stays there (attacks B-004, B-019).

use super::meta::{self, Meta};
use super::{Mode, OFlag, PLACE, path};
use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{openat, readlinkat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// As many links as the kernel follows (path_resolution(7)).
const LINKS: usize = 40;

/// Directories kept open behind the walk for `..`; the worker may open few.
const TRAIL: usize = 6;

/// Whether a link in the last place is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Follow,
    Keep,
}

/// The last component of a path: a name in an open directory.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: OwnedFd,
    name: Vec<u8>,
    /// Slashes followed the name: it must be a directory.
    pub(super) slash: bool,
    /// The path to it without links, the root being the empty text. Known after a walk only.
    pub(super) whole: Vec<u8>,
}

impl Place {
    pub(super) fn new(dir: OwnedFd, name: Vec<u8>, slash: bool) -> Self {
        Self {
            dir,
            name,
            slash,
            whole: Vec::new(),
        }
    }

    /// The name for calls that ask; `.` is the directory itself.
    pub(super) fn name(&self) -> &[u8] {
        if self.name.is_empty() {
            b"."
        } else {
            &self.name
        }
    }

    /// The name for calls that change, with its slash: what it means there the kernel knows best. `None` is the root.
    pub(super) fn written(&self) -> Option<Vec<u8>> {
        let slash: &[u8] = if self.slash { b"/" } else { b"" };
        (!self.name.is_empty()).then(|| [self.name.as_slice(), slash].concat())
    }

    /// Opens it, and no link. What `..` would lead to was followed before.
    pub(super) fn open(&self, flags: OFlag, mode: Mode) -> Result<OwnedFd> {
        let mut flags = flags | OFlag::O_NOFOLLOW;
        if self.slash {
            if flags.contains(OFlag::O_CREAT) {
                return Err(Errno::EISDIR);
            }
            flags |= OFlag::O_DIRECTORY;
        }
        openat(&self.dir, self.name(), flags, mode)
    }
}

/// Walks to the last component. With `Follow` it may be missing, but it is no link and no `..`; with `Keep` it is as written.
pub(super) fn locate(root: BorrowedFd<'_>, path: &[u8], last: Last) -> Result<Place> {
    let mut walk = Walk {
        root,
        trail: Vec::new(),
        whole: Vec::new(),
        links: 0,
    };
    let mut rest = path.to_vec();
    loop {
        let (name, after, slash) = first(&rest);
        if name.is_empty() {
            return walk.arrive(b"", slash);
        }
        let ends = after.is_empty();
        if ends && last == Last::Keep {
            return walk.arrive(name, slash);
        }
        if path::is_dots(name) {
            walk.search()?;
            if name == b".." {
                walk.up()?;
            }
            if ends {
                return walk.arrive(b"", slash);
            }
            rest = after.to_vec();
            continue;
        }
        let found = match walk.look(name) {
            Err(Errno::ENOENT) if ends => return walk.arrive(name, slash),
            found => found?,
        };
        let tail: &[u8] = if slash { b"/" } else { b"" };
        rest = match found {
            Found::Link(text) => {
                walk.count(&text)?;
                [text.as_slice(), tail, after].concat()
            }
            Found::Directory(_) | Found::Other if ends => return walk.arrive(name, slash),
            Found::Other => return Err(Errno::ENOTDIR),
            Found::Directory(fd) => {
                walk.down(fd, name);
                after.to_vec()
            }
        };
    }
}

/// The first component, what follows it without the slashes between, and whether there were such slashes.
fn first(path: &[u8]) -> (&[u8], &[u8], bool) {
    let start = path
        .iter()
        .position(|byte| *byte != b'/')
        .unwrap_or(path.len());
    let (_, path) = path.split_at_checked(start).unwrap_or((b"", path));
    let end = path
        .iter()
        .position(|byte| *byte == b'/')
        .unwrap_or(path.len());
    let (name, after) = path.split_at_checked(end).unwrap_or((path, b""));
    let next = after
        .iter()
        .position(|byte| *byte != b'/')
        .unwrap_or(after.len());
    let (slashes, after) = after.split_at_checked(next).unwrap_or((b"", after));
    (name, after, !slashes.is_empty())
}

/// What a name is.
enum Found {
    Link(Vec<u8>),
    Directory(OwnedFd),
    Other,
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// The last directories of `whole`, the current one at the end. Not empty, unless the walk is at the root.
    trail: Vec<OwnedFd>,
    /// The path walked, without links; empty at the root.
    whole: Vec<u8>,
    links: usize,
}

impl Walk<'_> {
    fn here(&self) -> BorrowedFd<'_> {
        self.trail.last().map_or(self.root, AsFd::as_fd)
    }

    /// Whether the current directory is one and may be searched, as each step of the kernel asks.
    fn search(&self) -> Result<()> {
        openat(self.here(), c".", PLACE | OFlag::O_DIRECTORY, Mode::empty()).map(drop)
    }

    fn look(&self, name: &[u8]) -> Result<Found> {
        let fd = openat(self.here(), name, PLACE | OFlag::O_NOFOLLOW, Mode::empty())?;
        let meta: Meta = meta::meta_of(&fd)?;
        if !meta.is_link() {
            return Ok(if meta.is_dir() {
                Found::Directory(fd)
            } else {
                Found::Other
            });
        }
        let text = readlinkat(&fd, c"")?.into_vec();
        // Those of /proc show a path that is not how the kernel follows them (RESOLVE_NO_MAGICLINKS).
        if text.starts_with(b"/") && meta::is_proc(&fd) {
            return Err(Errno::ELOOP);
        }
        Ok(Found::Link(text))
    }

    /// One more link is followed.
    fn count(&mut self, text: &[u8]) -> Result<()> {
        self.links = self.links.saturating_add(1);
        if self.links > LINKS {
            return Err(Errno::ELOOP);
        }
        if text.starts_with(b"/") {
            self.trail.clear();
            self.whole.clear();
        }
        Ok(())
    }

    fn down(&mut self, fd: OwnedFd, name: &[u8]) {
        if self.trail.len() >= TRAIL {
            self.trail.remove(0);
        }
        self.trail.push(fd);
        path::push(&mut self.whole, name);
    }

    fn up(&mut self) -> Result<()> {
        path::drop_last(&mut self.whole);
        self.trail.pop();
        if !self.trail.is_empty() || self.whole.is_empty() {
            return Ok(());
        }
        // The trail was too short: from the root again, along names that are no links.
        let names = std::mem::take(&mut self.whole);
        for name in names
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
        {
            let flags = PLACE | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
            let fd = openat(self.here(), name, flags, Mode::empty())?;
            self.down(fd, name);
        }
        Ok(())
    }

    fn arrive(mut self, name: &[u8], slash: bool) -> Result<Place> {
        let dir = match self.trail.pop() {
            Some(dir) => dir,
            None => openat(self.root, c".", PLACE | OFlag::O_DIRECTORY, Mode::empty())?,
        };
        if !name.is_empty() {
            path::push(&mut self.whole, name);
        }
        Ok(Place {
            dir,
            name: name.to_vec(),
            slash,
            whole: self.whole,
        })
    }
}
