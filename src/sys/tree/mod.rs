//! The one way to files: a root descriptor and virtual paths, resolved by the kernel per operation; no kernel current directory
//! (attacks B-007). Worker, both threads.

mod dir;
mod path;
#[cfg(test)]
mod tests;
mod walk;

pub use dir::Dir;
pub use path::VirtualPath;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, UtimensatFlags};
use nix::sys::time::TimeSpec;
use nix::unistd::UnlinkatFlags;
use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use walk::Spot;

/// The result of an operation on files.
pub type Result<T> = nix::Result<T>;

/// How often a path is looked up again when somebody moves directories meanwhile (attacks C.8).
const RETRIES: u32 = 8;

/// The longest path one call takes, its end mark included (limits.h, PATH_MAX).
const LONGEST: usize = 4096;

/// What is known about a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meta {
    /// Type and permissions.
    pub mode: u32,
    /// Hard links.
    pub nlink: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Last change of the content, seconds since 1970.
    pub mtime: i64,
    /// File system.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
}

impl Meta {
    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits()
    }

    /// Whether it is a symbolic link.
    fn is_link(&self) -> bool {
        self.mode & SFlag::S_IFMT.bits() == SFlag::S_IFLNK.bits()
    }

    /// Whether it is a directory.
    fn is_directory(&self) -> bool {
        self.mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits()
    }
}

impl From<FileStat> for Meta {
    fn from(stat: FileStat) -> Self {
        Self {
            mode: stat.st_mode,
            nlink: stat.st_nlink,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: stat.st_mtime,
            dev: stat.st_dev,
            ino: stat.st_ino,
        }
    }
}

/// How the file of an upload is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// It must not exist.
    New,
    /// It may exist; its content stays.
    Open,
}

/// All files below one root.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    /// The kernel has openat2(2); without it paths are walked here.
    kernel: bool,
}

impl Tree {
    /// The tree below a directory of this process, after chroot "/".
    ///
    /// # Errors
    /// The kernel's word.
    pub fn open(root: &str) -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = nix::fcntl::open(root, flags, Mode::empty())?;
        let how = OpenHow::new()
            .flags(flags)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT);
        // Old kernels and some containers' filters do not have it (attacks B-019).
        let kernel = !matches!(
            nix::fcntl::openat2(&root, ".", how),
            Err(Errno::ENOSYS | Errno::EPERM)
        );
        Ok(Self { root, kernel })
    }

    /// Enters a directory as chdir(2) does; gives its path without links, as getcwd(3) would.
    ///
    /// # Errors
    /// It is none, or may not be searched.
    pub fn enter(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<VirtualPath> {
        let full = path::full(cwd, arg)?;
        // Asking for "." inside is what checks the right to search it.
        let inside = [full.as_slice(), b"/."].concat();
        if self.kernel && inside.len() < LONGEST {
            let how = OpenHow::new()
                .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
                .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS);
            match retry(|| nix::fcntl::openat2(&self.root, OsStr::from_bytes(&inside), how)) {
                // Without links on the way the text says where it leads.
                Ok(_) => return Ok(VirtualPath::normal(&full)),
                Err(Errno::ELOOP) => {}
                Err(error) => return Err(error),
            }
        }
        let spot = walk::walk(&self.root, &full, walk::Last::Follow)?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let inside = spot.open(flags | OFlag::O_NOFOLLOW, Mode::empty())?;
        nix::fcntl::openat(&inside, ".", flags, Mode::empty())?;
        Ok(spot.path())
    }

    /// Where an argument leads, links followed, for rules about names: what does not exist yet is where it would be. `None` if
    /// not even its directory exists.
    pub fn canonical(&self, cwd: &VirtualPath, arg: &[u8]) -> Option<Vec<u8>> {
        let full = path::full(cwd, arg).ok()?;
        let spot = walk::walk(&self.root, &full, walk::Last::Follow).ok()?;
        Some(spot.path().as_bytes().to_vec())
    }

    /// Opens a file for reading; it may turn out to be something else than a regular file.
    ///
    /// # Errors
    /// The kernel's word.
    pub fn open_read(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<(OwnedFd, Meta)> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let file = self.file(cwd, arg, flags, Mode::empty())?;
        let meta = nix::sys::stat::fstat(&file)?.into();
        Ok((file, meta))
    }

    /// Opens the file of an upload; tells whether it was made here.
    ///
    /// # Errors
    /// The kernel's word; `EEXIST` for [`Create::New`].
    pub fn create(
        &self,
        cwd: &VirtualPath,
        arg: &[u8],
        mode: u32,
        how: Create,
    ) -> Result<(OwnedFd, bool, Meta)> {
        let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(mode);
        let new = |extra| self.file(cwd, arg, flags | OFlag::O_CREAT | extra, mode);
        let (file, created) = match how {
            Create::New => (new(OFlag::O_EXCL)?, true),
            Create::Open => match self.file(cwd, arg, flags, Mode::empty()) {
                Ok(file) => (file, false),
                Err(Errno::ENOENT) => match new(OFlag::O_EXCL) {
                    Ok(file) => (file, true),
                    // A link that leads nowhere yet, or somebody was faster: not ours to delete.
                    Err(Errno::EEXIST) => (new(OFlag::empty())?, false),
                    Err(error) => return Err(error),
                },
                Err(error) => return Err(error),
            },
        };
        let meta = nix::sys::stat::fstat(&file)?.into();
        Ok((file, created, meta))
    }

    /// What an argument leads to.
    ///
    /// # Errors
    /// The kernel's word.
    pub fn stat(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<Meta> {
        let file = self.file(cwd, arg, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(nix::sys::stat::fstat(&file)?.into())
    }

    /// What an argument is, a link in the last place not followed.
    ///
    /// # Errors
    /// The kernel's word.
    pub fn lstat(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<Meta> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = self.file(cwd, arg, flags, Mode::empty())?;
        Ok(nix::sys::stat::fstat(&file)?.into())
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// The kernel's word.
    pub fn mkdir(&self, cwd: &VirtualPath, arg: &[u8], mode: u32) -> Result<()> {
        let (parent, name) = self.parent(cwd, arg)?;
        nix::sys::stat::mkdirat(
            &parent,
            OsStr::from_bytes(&name),
            Mode::from_bits_truncate(mode),
        )
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// The kernel's word.
    pub fn rmdir(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<()> {
        let (parent, name) = self.parent(cwd, arg)?;
        nix::unistd::unlinkat(&parent, OsStr::from_bytes(&name), UnlinkatFlags::RemoveDir)
    }

    /// Removes a file or a link, never what a link leads to.
    ///
    /// # Errors
    /// The kernel's word.
    pub fn unlink(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<()> {
        let (parent, name) = self.parent(cwd, arg)?;
        nix::unistd::unlinkat(
            &parent,
            OsStr::from_bytes(&name),
            UnlinkatFlags::NoRemoveDir,
        )
    }

    /// Renames; never copies (attacks B-011).
    ///
    /// # Errors
    /// The kernel's word.
    pub fn rename(
        &self,
        from_cwd: &VirtualPath,
        from: &[u8],
        to_cwd: &VirtualPath,
        to: &[u8],
    ) -> Result<()> {
        let (from, old) = self.parent(from_cwd, from)?;
        let (to, new) = self.parent(to_cwd, to)?;
        nix::fcntl::renameat(&from, OsStr::from_bytes(&old), &to, OsStr::from_bytes(&new))
    }

    /// Sets permissions of what an argument leads to.
    ///
    /// # Errors
    /// The kernel's word.
    pub fn chmod(&self, cwd: &VirtualPath, arg: &[u8], mode: u32) -> Result<()> {
        let spot = self.existing(cwd, arg)?;
        let mode = Mode::from_bits_truncate(mode);
        nix::sys::stat::fchmodat(
            &spot.parent,
            spot.name(),
            mode,
            FchmodatFlags::FollowSymlink,
        )
    }

    /// Sets the time of the last change of what an argument leads to; that of the last access stays.
    ///
    /// # Errors
    /// The kernel's word.
    pub fn set_mtime(&self, cwd: &VirtualPath, arg: &[u8], seconds: i64) -> Result<()> {
        let spot = self.existing(cwd, arg)?;
        let time = TimeSpec::new(seconds, 0);
        let flags = UtimensatFlags::NoFollowSymlink;
        nix::sys::stat::utimensat(
            &spot.parent,
            spot.name(),
            &TimeSpec::UTIME_OMIT,
            &time,
            flags,
        )
    }

    /// Opens a directory to be listed.
    ///
    /// # Errors
    /// It is none, or may not be read.
    pub fn open_dir(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<Dir> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        self.file(cwd, arg, flags, Mode::empty()).map(Dir::new)
    }

    /// Reads at most `most` bytes of a regular file.
    ///
    /// # Errors
    /// The kernel's word; `EINVAL` for anything but a regular file.
    pub fn read_small(&self, cwd: &VirtualPath, arg: &[u8], most: usize) -> Result<Vec<u8>> {
        let (file, meta) = self.open_read(cwd, arg)?;
        if !meta.is_file() {
            return Err(Errno::EINVAL);
        }
        let mut text = Vec::new();
        let limit = u64::try_from(most).unwrap_or(u64::MAX);
        match std::fs::File::from(file).take(limit).read_to_end(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
        }
    }

    /// Whether this process may write to the root directory itself (reference §5.1).
    pub fn access_write_root(&self) -> bool {
        nix::unistd::faccessat(
            &self.root,
            ".",
            nix::unistd::AccessFlags::W_OK,
            AtFlags::AT_EACCESS,
        )
        .is_ok()
    }

    /// Opens what an argument leads to.
    fn file(&self, cwd: &VirtualPath, arg: &[u8], flags: OFlag, mode: Mode) -> Result<OwnedFd> {
        let full = path::full(cwd, arg)?;
        if self.kernel {
            let how = OpenHow::new()
                .flags(flags)
                .mode(mode)
                .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
            return retry(|| nix::fcntl::openat2(&self.root, OsStr::from_bytes(&full), how));
        }
        let stay = flags.intersects(OFlag::O_NOFOLLOW | OFlag::O_EXCL);
        let last = if stay {
            walk::Last::Stay
        } else {
            walk::Last::Follow
        };
        let spot = walk::walk(&self.root, &full, last)?;
        if full.ends_with(b"/") && !flags.contains(OFlag::O_CREAT) {
            return spot.open(flags | OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY, mode);
        }
        spot.open(flags | OFlag::O_NOFOLLOW, mode)
    }

    /// The directory of an argument's last part, and that part, which may be a link.
    fn parent(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<(OwnedFd, Vec<u8>)> {
        let full = path::full(cwd, arg)?;
        let (directory, name) = path::split(&full).ok_or(Errno::EBUSY)?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let parent = self.file(&VirtualPath::root(), directory, flags, Mode::empty())?;
        Ok((parent, name.to_vec()))
    }

    /// Where an argument leads, as a name in a directory that is no link.
    fn existing(&self, cwd: &VirtualPath, arg: &[u8]) -> Result<Spot> {
        walk::walk(&self.root, &path::full(cwd, arg)?, walk::Last::Follow)
    }
}

/// Looks a path up again when a rename elsewhere made the kernel unsure.
fn retry<T>(mut look: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 0..RETRIES {
        match look() {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            result => return result,
        }
    }
    look()
}

/// What a link holds.
fn target(directory: impl AsFd, name: &OsStr) -> Result<Vec<u8>> {
    nix::fcntl::readlinkat(directory, name).map(OsStringExt::into_vec)
}
