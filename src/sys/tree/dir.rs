//! Reading a directory: names in large pieces, stat data only where it is wanted; worker, data thread.

use super::{Meta, Result, target};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// What the kernel is asked for at a time.
const BUFFER: usize = 128 * 1024;

/// Where the name begins in a linux_dirent64 (getdents64(2)), and where its length is.
const NAME: usize = 19;
const LENGTH: usize = 16;

/// An open directory.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
}

impl Dir {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// What the directory itself is.
    ///
    /// # Errors
    /// The kernel's word.
    pub fn meta(&self) -> Result<Meta> {
        Ok(nix::sys::stat::fstat(&self.fd)?.into())
    }

    /// What a link in it holds.
    ///
    /// # Errors
    /// The kernel's word.
    pub fn readlink(&self, name: &[u8]) -> Result<Vec<u8>> {
        target(&self.fd, OsStr::from_bytes(name))
    }

    /// Gives every name that `wanted` lets pass to `each`, with stat data if asked for; a name that is gone by then is left out.
    ///
    /// # Errors
    /// The kernel's word.
    pub fn entries(
        &self,
        stat: bool,
        mut wanted: impl FnMut(&[u8]) -> bool,
        mut each: impl FnMut(&[u8], Option<Meta>),
    ) -> Result<()> {
        let mut buffer = vec![0_u8; BUFFER];
        loop {
            let filled = self.fill(&mut buffer)?;
            if filled == 0 {
                return Ok(());
            }
            let mut rest = buffer.get(..filled).unwrap_or_default();
            while let Some((name, tail)) = record(rest) {
                rest = tail;
                if !wanted(name) {
                    continue;
                }
                if !stat {
                    each(name, None);
                } else if let Ok(found) = nix::sys::stat::fstatat(
                    &self.fd,
                    OsStr::from_bytes(name),
                    AtFlags::AT_SYMLINK_NOFOLLOW,
                ) {
                    each(name, Some(found.into()));
                }
            }
        }
    }

    fn fill(&self, buffer: &mut [u8]) -> Result<usize> {
        // SAFETY: getdents64 writes at most `len` bytes into the buffer, which is that long, and keeps no pointer.
        let count = unsafe {
            libc::syscall(
                libc::SYS_getdents64,
                self.fd.as_raw_fd(),
                buffer.as_mut_ptr(),
                buffer.len(),
            )
        };
        Errno::result(count).map(|count| usize::try_from(count).unwrap_or(0))
    }
}

/// The first name of what getdents64 has filled in, and what follows it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = bytes
        .get(LENGTH..)?
        .first_chunk::<2>()
        .map(|bytes| usize::from(u16::from_ne_bytes(*bytes)))?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let name = record.get(NAME..)?;
    let end = name.iter().position(|byte| *byte == 0)?;
    Some((name.get(..end)?, rest))
}
