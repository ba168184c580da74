//! Files are reached one way: a root descriptor and a virtual path, resolved anew for each operation; worker.
//!
//! The kernel resolves within the root (`openat2(2)`, `RESOLVE_IN_ROOT`); where it cannot, [`walk`] does, component by
//! component. There is no current directory in the kernel, because one that is moved out of the root leads out of a
//! chroot (attacks B-007).

mod access;
mod attributes;
mod change;
mod dir;
mod fixed;
#[cfg(fuzzing)]
#[path = "../../../tests/fuzz/paths.rs"]
pub mod fuzz;
mod meta;
mod path;
#[cfg(test)]
mod tests;
mod walk;

pub use access::{Access, Writable};
pub use attributes::same_attributes;
pub use dir::Dir;
pub use meta::{Keeper, Meta, has_hole, kernel_fs, meta_of, not_lost, write_at_end};
pub use path::VirtualPath;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fstatat};
use nix::{NixPath, Result};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use walk::{Last, Place};

/// The longest path the kernel takes, without its NUL (path_resolution(7)).
const LONGEST: usize = 4095;

/// How often a lookup that raced with a rename is tried again (openat2(2), EAGAIN; attacks B-004).
const TRIES: usize = 8;

/// Opened for its contents: no waiting for a FIFO's other end, no controlling terminal, not inherited.
const CONTENTS: OFlag = OFlag::O_NONBLOCK
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_LARGEFILE);

/// Opened as a place only.
const PLACE: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

/// Everything the session can reach.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    /// Which file the root is, once that has been asked: device and inode.
    identity: OnceLock<(u64, u64)>,
    resolver: Resolver,
    /// A file system known to be none of the kernel's own, by its device number; 0 while none is.
    ordinary: AtomicU64,
    /// The same of one that is kept elsewhere.
    distant: AtomicU64,
}

/// Who follows `..` and links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolver {
    /// openat2(2).
    Kernel,
    /// [`walk`]: the kernel is older than 5.6, or a container's filter refuses the call (attacks B-019).
    Walk,
}

/// What [`Tree::create`] does about a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// Fails with `EEXIST`, also on a link that leads nowhere.
    New,
    /// Opens it, with its contents; a link is followed, and the file it names is made if missing.
    Open,
}

impl Tree {
    /// The tree below a directory of this process's own view; `/` after chroot.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn open<P: ?Sized + NixPath>(root: &P) -> Result<Self> {
        // openat(2), which is on the worker's list: open(2) is another call with some C libraries.
        let flags = PLACE | OFlag::O_DIRECTORY;
        nix::fcntl::openat(AT_FDCWD, root, flags, Mode::empty()).map(Self::from_fd)
    }

    /// The tree below a directory that is open.
    pub fn from_fd(root: OwnedFd) -> Self {
        let how = OpenHow::new()
            .flags(PLACE | OFlag::O_DIRECTORY)
            .resolve(within());
        let resolver = match openat2(&root, c".", how) {
            Ok(_) => Resolver::Kernel,
            // A root that this user may not search says nothing about the call.
            Err(Errno::EACCES) if is_closed(&root) => Resolver::Kernel,
            Err(_) => Resolver::Walk,
        };
        Self {
            root,
            identity: OnceLock::new(),
            resolver,
            ordinary: AtomicU64::new(0),
            distant: AtomicU64::new(0),
        }
    }

    /// Whether the kernel does not resolve within the root, so that [`walk`] must; for one line in the log.
    pub fn degraded(&self) -> bool {
        self.resolver == Resolver::Walk
    }

    /// Where this open file comes from; each file system is asked once as long as files lie there.
    pub fn keeper<F: AsFd>(&self, file: F, meta: &Meta) -> Keeper {
        let known = [
            (&self.ordinary, Keeper::Disk),
            (&self.distant, Keeper::Distant),
        ];
        for (dev, keeper) in known {
            if dev.load(Ordering::Relaxed) == meta.dev && meta.dev != 0 {
                return keeper;
            }
        }
        let keeper = meta::keeper_of(file);
        for (dev, _) in known.into_iter().filter(|known| known.1 == keeper) {
            dev.store(meta.dev, Ordering::Relaxed);
        }
        keeper
    }

    /// Whether it is the kernel's own word.
    pub fn is_kernels<F: AsFd>(&self, file: F, meta: &Meta) -> bool {
        self.keeper(file, meta) == Keeper::Kernel
    }

    /// The root's descriptor.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Where chdir(2) to the argument and getcwd(3) would arrive: a directory that may be searched, without links.
    ///
    /// # Errors
    /// Those of chdir(2).
    pub fn enter(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<VirtualPath> {
        let path = path::joined(cwd, arg)?;
        let whole = [path.as_slice(), b"/."].concat();
        if self.asks_kernel(&whole) {
            let how = OpenHow::new()
                .flags(PLACE | OFlag::O_DIRECTORY)
                .resolve(within() | ResolveFlag::RESOLVE_NO_SYMLINKS);
            match insist(|| openat2(&self.root, whole.as_slice(), how)) {
                Ok(_) => return path::normal(&path),
                // A link on the way, or renames that never rest.
                Err(Errno::ELOOP | Errno::EAGAIN) => {}
                Err(why) => return Err(why),
            }
        }
        let place = walk::locate(self.root(), &whole, Last::Follow)?;
        path::normal(&place.whole)
    }

    /// Where the argument leads, links resolved, for rules about names; the last component need not exist.
    pub fn canonical(&self, cwd: &VirtualPath, arg: &[u8]) -> Option<Vec<u8>> {
        let path = path::joined(cwd, arg).ok()?;
        if self.asks_kernel(&path) {
            let how = OpenHow::new()
                .flags(PLACE)
                .resolve(within() | ResolveFlag::RESOLVE_NO_SYMLINKS);
            let straight = |path: &[u8]| insist(|| openat2(&self.root, path, how));
            let known = match straight(&path) {
                // A name for a new file, in a directory without links on the way.
                Err(Errno::ENOENT) => {
                    let (above, name, slash) = path::split(&path);
                    let free = |above: OwnedFd| {
                        fstatat(&above, name, AtFlags::AT_SYMLINK_NOFOLLOW) == Err(Errno::ENOENT)
                    };
                    !slash && !path::is_dots(name) && straight(above).is_ok_and(free)
                }
                found => found.is_ok(),
            };
            if known {
                return path::normal(&path).ok().map(VirtualPath::into_bytes);
            }
        }
        let place = walk::locate(self.root(), &path, Last::Follow).ok()?;
        Some(if place.whole.is_empty() {
            b"/".to_vec()
        } else {
            place.whole
        })
    }

    /// Opens for reading. What it is, is for the caller to judge: only regular files have contents worth sending.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open_read(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<(OwnedFd, Meta)> {
        let path = path::joined(cwd, arg)?;
        let file = self.reach(&path, OFlag::O_RDONLY | CONTENTS, Mode::empty())?;
        let meta = meta_of(&file)?;
        Ok((file, meta))
    }

    /// Opens for writing, without truncating; whether it was made by this call comes with it.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn create(
        &self,
        cwd: &VirtualPath,
        arg: &[u8],
        mode: u32,
        how: Create,
    ) -> Result<(OwnedFd, bool, Meta)> {
        let path = path::joined(cwd, arg)?;
        let (file, created) = match how {
            Create::New => (self.make(&path, mode)?, true),
            Create::Open => self.open_or_make(&path, mode)?,
        };
        let meta = meta_of(&file)?;
        Ok((file, created, meta))
    }

    /// Facts about what the argument leads to.
    ///
    /// # Errors
    /// Those of stat(2).
    pub fn stat(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<Meta> {
        let path = path::joined(cwd, arg)?;
        self.judge(&path)
    }

    /// Facts about the argument itself, be it a link.
    ///
    /// # Errors
    /// Those of lstat(2).
    pub fn lstat(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<Meta> {
        let path = path::joined(cwd, arg)?;
        if path::leads_on(&path) {
            return self.judge(&path);
        }
        if self.asks_kernel(&path) {
            let how = OpenHow::new()
                .flags(PLACE | OFlag::O_NOFOLLOW)
                .resolve(within());
            match insist(|| openat2(&self.root, path.as_slice(), how)) {
                Ok(file) => return meta_of(&file),
                Err(Errno::EAGAIN) => {}
                Err(why) => return Err(why),
            }
        }
        let place = walk::locate(self.root(), &path, Last::Keep)?;
        fstatat(&place.dir, place.name(), AtFlags::AT_SYMLINK_NOFOLLOW)
            .map(|stat| Meta::from(&stat))
    }

    /// The text of a link.
    ///
    /// # Errors
    /// Those of readlink(2).
    #[cfg(test)]
    pub fn readlink(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<Vec<u8>> {
        let path = path::joined(cwd, arg)?;
        let last = if path::leads_on(&path) {
            Last::Follow
        } else {
            Last::Keep
        };
        let place = self.locate(&path, last)?;
        nix::fcntl::readlinkat(&place.dir, place.name())
            .map(std::os::unix::ffi::OsStringExt::into_vec)
    }

    /// A directory, to read its entries.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open_dir(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<Dir> {
        let path = path::joined(cwd, arg)?;
        let fd = self.reach(
            &path,
            OFlag::O_RDONLY | OFlag::O_DIRECTORY | CONTENTS,
            Mode::empty(),
        )?;
        Ok(Dir::new(fd, self.identity()?))
    }

    /// The first `max` bytes of a regular file: a message, the names of a jail's `/etc/passwd`.
    ///
    /// # Errors
    /// Those of open(2) and read(2); `EINVAL` when it is no regular file.
    pub fn read_small(&self, cwd: &VirtualPath, arg: &[u8], max: usize) -> Result<Vec<u8>> {
        use std::io::Read;
        let (file, meta) = self.open_read(cwd, arg)?;
        if !meta.is_file() {
            return Err(Errno::EINVAL);
        }
        let mut text = Vec::new();
        let most = u64::try_from(max).unwrap_or(u64::MAX);
        std::fs::File::from(file)
            .take(most)
            .read_to_end(&mut text)
            .map_err(|why| why.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
        Ok(text)
    }
}

impl Tree {
    /// Which file the root is; an open one is the same for ever.
    fn identity(&self) -> Result<(u64, u64)> {
        if let Some(known) = self.identity.get() {
            return Ok(*known);
        }
        let root = meta_of(&self.root)?;
        Ok(*self.identity.get_or_init(|| (root.dev, root.ino)))
    }

    /// Whether the kernel resolves this path; one that is longer than it takes is walked.
    fn asks_kernel(&self, path: &[u8]) -> bool {
        self.resolver == Resolver::Kernel && path.len() <= LONGEST
    }

    /// Opens what the path leads to. `O_NOFOLLOW` is for this function to add.
    fn reach(&self, path: &[u8], flags: OFlag, mode: Mode) -> Result<OwnedFd> {
        if self.asks_kernel(path) {
            let how = OpenHow::new().flags(flags).mode(mode).resolve(within());
            match insist(|| openat2(&self.root, path, how)) {
                Err(Errno::EAGAIN) => {}
                done => return done,
            }
        }
        for _ in 0..TRIES {
            let place = walk::locate(self.root(), path, Last::Follow)?;
            match place.open(flags, mode) {
                // It has become a link since it was looked at.
                Err(Errno::ELOOP) => {}
                done => return done,
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Makes a file that must not be there; the kernel follows no last link then. After `EINTR` it may be there, and not open.
    fn make(&self, path: &[u8], mode: u32) -> Result<OwnedFd> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | CONTENTS;
        if path::ends_in_slash(path) {
            return Err(Errno::EISDIR);
        }
        if self.asks_kernel(path) {
            let how = OpenHow::new()
                .flags(flags)
                .mode(bits(mode))
                .resolve(within());
            let mut interrupted = false;
            let made = insist(|| {
                let made = openat2(&self.root, path, how);
                interrupted |= matches!(made, Err(Errno::EINTR));
                made
            });
            match made {
                Err(Errno::EAGAIN) => {}
                // It may be what the interrupted call has made: no reason to try another name.
                Err(Errno::EEXIST) if interrupted => return Err(Errno::EINTR),
                done => return done,
            }
        }
        walk::locate(self.root(), path, Last::Keep)?.open(flags, bits(mode))
    }

    fn open_or_make(&self, path: &[u8], mode: u32) -> Result<(OwnedFd, bool)> {
        for _ in 0..TRIES {
            // Most uploads are new files. A name that ends in a slash is none that could be made.
            match self.make(path, mode) {
                Err(Errno::EEXIST | Errno::EISDIR | Errno::EINTR) => {}
                done => return done.map(|file| (file, true)),
            }
            match self.reach(path, OFlag::O_WRONLY | CONTENTS, Mode::empty()) {
                Err(Errno::ENOENT) => {}
                done => return done.map(|file| (file, false)),
            }
            // A link that leads nowhere: the original makes the file it names. Or another was quicker.
            let place = walk::locate(self.root(), path, Last::Follow)?;
            match place.open(
                OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | CONTENTS,
                bits(mode),
            ) {
                Err(Errno::EEXIST) => {}
                done => return done.map(|file| (file, true)),
            }
        }
        Err(Errno::EAGAIN)
    }

    /// stat(2) of a joined path.
    fn judge(&self, path: &[u8]) -> Result<Meta> {
        if self.asks_kernel(path) {
            let how = OpenHow::new().flags(PLACE).resolve(within());
            match insist(|| openat2(&self.root, path, how)) {
                Ok(file) => return meta_of(&file),
                Err(Errno::EAGAIN) => {}
                Err(why) => return Err(why),
            }
        }
        for _ in 0..TRIES {
            let place = walk::locate(self.root(), path, Last::Follow)?;
            let stat = fstatat(&place.dir, place.name(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
            let meta = Meta::from(&stat);
            if place.slash && !meta.is_dir() && !meta.is_link() {
                return Err(Errno::ENOTDIR);
            }
            if !meta.is_link() {
                return Ok(meta);
            }
        }
        Err(Errno::EAGAIN)
    }

    /// The directory and the name of the path's last component, to be changed with the `*at` calls.
    fn locate(&self, path: &[u8], last: Last) -> Result<Place> {
        if !self.asks_kernel(path) {
            return walk::locate(self.root(), path, last);
        }
        let (above, name, slash) = path::split(path);
        let above = if above.is_empty() {
            b"/".as_slice()
        } else {
            above
        };
        let how = OpenHow::new()
            .flags(PLACE | OFlag::O_DIRECTORY)
            .resolve(within());
        let dir = match insist(|| openat2(&self.root, above, how)) {
            Err(Errno::EAGAIN) => return walk::locate(self.root(), path, last),
            done => done?,
        };
        let kept = Place::new(dir, name.to_vec(), slash);
        match last {
            Last::Keep => Ok(kept),
            // Most names are no links; those that are, and dots, are followed here, because the `*at` calls would do so
            // without regard to the root.
            Last::Follow if name.is_empty() || path::is_dots(name) => {
                walk::locate(self.root(), path, last)
            }
            Last::Follow => {
                let stat = fstatat(&kept.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
                if Meta::from(&stat).is_link() {
                    walk::locate(self.root(), path, last)
                } else {
                    Ok(kept)
                }
            }
        }
    }
}

/// Whether the caller may not search this directory.
fn is_closed(root: &OwnedFd) -> bool {
    nix::fcntl::openat(root, c".", PLACE, Mode::empty()).is_err_and(|why| why == Errno::EACCES)
}

/// Links of `/proc` that lead to what they show, not to what they say, are never followed (attacks B-002).
fn within() -> ResolveFlag {
    ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS
}

/// Any rename on the host can disturb a lookup with `..`: once more, then.
fn insist(mut look: impl FnMut() -> Result<OwnedFd>) -> Result<OwnedFd> {
    let mut last = Err(Errno::EAGAIN);
    for _ in 0..TRIES {
        last = look();
        match last {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Ok(_) | Err(_) => break,
        }
    }
    last
}

fn bits(mode: u32) -> Mode {
    Mode::from_bits_truncate(mode & 0o7777)
}
