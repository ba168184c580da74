//! What is known about a file; worker.

use nix::Result;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, fstat};
use nix::sys::statfs::{self, FsType, fstatfs};
use nix::unistd::{Whence, lseek};
use std::os::fd::{AsFd, AsRawFd};

/// The facts of stat(2) that listings, SIZE, MDTM and transfers need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Kind and permissions, as in `st_mode`.
    pub mode: u32,
    /// Number of names.
    pub nlink: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Last change of the contents, in seconds since 1970 UTC.
    pub mtime: i64,
    /// And nanoseconds.
    pub mtime_nsec: u32,
    /// File system.
    pub dev: u64,
    /// Number in it.
    pub ino: u64,
}

impl Meta {
    /// A regular file.
    pub fn is_file(&self) -> bool {
        self.is(libc::S_IFREG)
    }

    /// A directory.
    pub fn is_dir(&self) -> bool {
        self.is(libc::S_IFDIR)
    }

    /// A symbolic link.
    pub fn is_link(&self) -> bool {
        self.is(libc::S_IFLNK)
    }

    /// What changes with the contents.
    pub fn stamp(&self) -> (u64, i64, u32) {
        (self.size, self.mtime, self.mtime_nsec)
    }

    fn is(&self, kind: libc::mode_t) -> bool {
        self.mode & libc::S_IFMT == kind
    }
}

impl From<&FileStat> for Meta {
    // The widths of these fields differ between machines.
    #[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
    fn from(stat: &FileStat) -> Self {
        Self {
            mode: stat.st_mode,
            nlink: u64::try_from(stat.st_nlink).unwrap_or(0),
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: i64::from(stat.st_mtime),
            mtime_nsec: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            dev: u64::try_from(stat.st_dev).unwrap_or(0),
            ino: u64::try_from(stat.st_ino).unwrap_or(0),
        }
    }
}

/// Facts about an open file.
///
/// # Errors
/// Those of fstat(2).
pub fn meta_of<F: AsFd>(file: F) -> Result<Meta> {
    fstat(file).map(|stat| Meta::from(&stat))
}

/// Whether all that was written to an open file is still on its way to the disk, or there: of a long file much is brought there before its
/// end, and that this has failed is told to fsync(2), not to close(2). Waits for nothing.
///
/// # Errors
/// Those of the disk.
pub fn not_lost<F: AsFd>(file: F) -> Result<()> {
    // Where no file has bytes none are waited for, and what is left of the answer is whether any have been lost.
    const BEHIND: i64 = i64::MAX - 1;
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: a descriptor that is open for the call, and numbers.
    let asked = unsafe { libc::sync_file_range(fd, BEHIND, 1, libc::SYNC_FILE_RANGE_WAIT_BEFORE) };
    match Errno::result(asked) {
        // A kernel, or a container's filter, that does not know the question.
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL | Errno::ESPIPE) => Ok(()),
        answered => answered.map(drop),
    }
}

/// Writes behind all that an open file holds at that very moment, and leaves its offset there.
///
/// # Errors
/// Those of pwritev2(2).
pub fn write_at_end<F: AsFd>(file: F, bytes: &[u8]) -> Result<usize> {
    /// The offset of the open file.
    const OWN: libc::c_long = -1;
    let fd = file.as_fd().as_raw_fd();
    let part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let flag = libc::RWF_APPEND;
    // SAFETY: a descriptor that is open for the call, one part, which is as long as it says and outlives the call, and numbers; the kernel
    // only reads what they point to.
    let written =
        unsafe { libc::syscall(libc::SYS_pwritev2, fd, &raw const part, 1, OWN, OWN, flag) };
    Errno::result(written).map(|count| usize::try_from(count).unwrap_or(0))
}

/// Whether bytes are missing between two places of an open file which all have been written: somebody has cut it short meanwhile. Told only
/// where what was written is never a hole, zeroes neither. Moves the file's offset.
pub fn has_hole<F: AsFd>(file: F, from: u64, to: u64) -> bool {
    let Ok(from) = i64::try_from(from) else {
        return false;
    };
    let hole = || lseek(file.as_fd(), from, Whence::SeekHole);
    let before = |hole| u64::try_from(hole).is_ok_and(|hole| hole < to);
    is_local(&file) && hole().is_ok_and(before)
}

/// Where a file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// A file system of this machine.
    Disk,
    /// Another machine or a program, which may take its time, and may never answer.
    Distant,
    /// The kernel itself.
    Kernel,
}

/// Whether the file is the kernel's own word, or its ear: no place for clients (attacks C.8).
pub fn kernel_fs<F: AsFd>(file: F) -> bool {
    keeper_of(file) == Keeper::Kernel
}

/// Where an open file comes from.
pub fn keeper_of<F: AsFd>(file: F) -> Keeper {
    // Numbers of linux/magic.h that have no name in nix: debugfs, sysfs, securityfs, configfs, selinuxfs, smackfs, bpf, efivarfs,
    // pstore, binfmt_misc, fusectl.
    const OTHERS: [i64; 11] = [
        0x6462_6720,
        0x6265_6572,
        0x7363_6673,
        0x6265_6570,
        0xf97c_ff8c,
        0x4341_5d53,
        0xcafe_4a11,
        0xde5e_81e4,
        0x6165_676c,
        0x4249_4e4d,
        0x6573_5543,
    ];
    // The same: FUSE, SMB2, CIFS, 9P, Ceph, AFS, GFS2, OCFS2, Lustre.
    const DISTANT: [i64; 9] = [
        0x6573_5546,
        0xfe53_4d42,
        0xff53_4d42,
        0x0102_1997,
        0x00c3_6400,
        0x5346_414f,
        0x0116_1970,
        0x7461_636f,
        0x0bd0_0bd0,
    ];
    let Ok(found) = fstatfs(file) else {
        return Keeper::Kernel;
    };
    let kind = found.filesystem_type();
    let named = [
        statfs::PROC_SUPER_MAGIC,
        statfs::SECURITYFS_MAGIC,
        statfs::TRACEFS_MAGIC,
        statfs::DEBUGFS_MAGIC,
        statfs::CGROUP_SUPER_MAGIC,
        statfs::CGROUP2_SUPER_MAGIC,
    ];
    if named.contains(&kind) || OTHERS.contains(&number(kind)) {
        Keeper::Kernel
    } else if kind == statfs::NFS_SUPER_MAGIC || DISTANT.contains(&number(kind)) {
        Keeper::Distant
    } else {
        Keeper::Disk
    }
}

/// Whether a file is on one of the file systems that are known best: a directory's size grows with its entries, and holes are where nothing
/// was written.
pub(super) fn is_local<F: AsFd>(file: F) -> bool {
    /// XFS, which nix names with glibc only (linux/magic.h).
    const XFS: i64 = 0x5846_5342;
    let known = [
        statfs::EXT4_SUPER_MAGIC,
        statfs::BTRFS_SUPER_MAGIC,
        statfs::TMPFS_MAGIC,
    ];
    let kind = fstatfs(file).map(|found| found.filesystem_type());
    kind.is_ok_and(|kind| known.contains(&kind) || number(kind) == XFS)
}

/// Whether the file belongs to /proc.
pub(super) fn is_proc<F: AsFd>(file: F) -> bool {
    fstatfs(file).is_ok_and(|found| found.filesystem_type() == statfs::PROC_SUPER_MAGIC)
}

// The width and the sign of this field differ between machines and C libraries.
#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
fn number(kind: FsType) -> i64 {
    i64::try_from(kind.0).unwrap_or(-1)
}
