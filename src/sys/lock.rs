//! Locks on whole files (fcntl(2)); helper, for logs, and worker, for what it transfers.

/// Such a lock, of this kind: `F_RDLCK`, `F_WRLCK` or `F_UNLCK`.
pub fn whole(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}
