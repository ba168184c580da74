//! Gives an upload to another account (`chown_uploads`): the one file the worker hands over, if it is what it should be; helper, with
//! CAP_CHOWN alone.

use crate::sys::tree::kernel_fs;
use nix::errno::Errno;
use nix::sys::stat::SFlag;
use nix::unistd::Uid;
use std::os::fd::OwnedFd;

/// Makes `heir` the owner of an open file; its group stays. A file that is the heir's already is left as it is.
///
/// # Errors
/// Why it was not given away: it is no regular file, it is not the session's own, or the kernel refuses.
pub fn give(file: &OwnedFd, session: Uid, heir: Uid) -> Result<(), String> {
    let meta = nix::sys::stat::fstat(file).map_err(|why| why.to_string())?;
    if meta.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return Err("it is no regular file".to_owned());
    }
    // A worker may hand over what it likes: a file of /proc is regular, and its user's own (attacks B-144).
    if kernel_fs(file) {
        return Err("it is the kernel's, not on a disk".to_owned());
    }
    let owner = Uid::from_raw(meta.st_uid);
    if owner == heir {
        return Ok(());
    }
    if owner != session {
        return Err(format!("it belongs to uid {owner}, not to the session"));
    }
    if meta.st_nlink > 1 {
        return Err("it has another name somewhere".to_owned());
    }
    nix::unistd::fchown(file, Some(heir), None).map_err(|why| {
        let lacks = why == Errno::EPERM;
        let cure = "; it takes CAP_CHOWN, which this container or service may lack, and a file system that knows owners";
        format!("{why}{}", if lacks { cure } else { "" })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::give;
    use nix::fcntl::{OFlag, open};
    use nix::sys::stat::Mode;
    use nix::unistd::Uid;
    use std::os::unix::fs::MetadataExt;

    /// attacks B-006.
    #[test]
    fn only_the_sessions_own_regular_file() {
        let (ftp, heir) = (Uid::from_raw(102), Uid::from_raw(1002));
        let path = std::env::temp_dir().join(format!("vsftpd-heir-{}", std::process::id()));
        let file = open(&path, OFlag::O_CREAT | OFlag::O_WRONLY, Mode::S_IRUSR).unwrap();
        let own = nix::unistd::geteuid();
        assert!(
            give(&file, ftp, heir)
                .unwrap_err()
                .contains("not to the session")
        );
        assert!(give(&file, ftp, own).is_ok());
        let other = path.with_extension("other");
        std::fs::hard_link(&path, &other).unwrap();
        assert!(give(&file, own, heir).unwrap_err().contains("another name"));
        std::fs::remove_file(&other).unwrap();
        if own.is_root() {
            give(&file, own, heir).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().uid(), 1002);
        }
        std::fs::remove_file(&path).unwrap();
        let kernels = open("/proc/self/status", OFlag::O_RDONLY, Mode::empty()).unwrap();
        assert!(give(&kernels, own, heir).unwrap_err().contains("kernel's"));
        let directory = open("/tmp", OFlag::O_RDONLY, Mode::empty()).unwrap();
        assert!(give(&directory, own, heir).unwrap_err().contains("regular"));
    }
}
