//! Extended attributes of files (xattr(7)): access control lists, labels, and what users and other programs keep there; worker.

use nix::Result;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd};

/// The most bytes of a value, and of the names of one file (XATTR_SIZE_MAX, XATTR_LIST_MAX of linux/limits.h).
const MOST: usize = 65_536;

/// Those that belong to the contents, and go or change with them wherever these are written.
const OF_CONTENTS: [&CStr; 3] = [c"security.capability", c"security.evm", c"security.ima"];

/// SELinux's label, which begins with the SELinux user of the process that has made the file; decisions rest on the rest.
const LABEL: &CStr = c"security.selinux";

/// Whether two open files have the same, but for what belongs to the contents.
///
/// # Errors
/// Those of flistxattr(2) and fgetxattr(2): what cannot be read cannot be compared.
pub fn same_attributes<F: AsFd, G: AsFd>(one: F, other: G) -> Result<bool> {
    Ok(attributes(one)? == attributes(other)?)
}

fn attributes<F: AsFd>(file: F) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut all = BTreeMap::new();
    if names(&file, &mut [])? == 0 {
        return Ok(all);
    }
    let (mut list, mut value) = (vec![0; MOST], vec![0; MOST]);
    let length = names(&file, &mut list)?;
    let mut rest = list.get(..length).unwrap_or_default();
    while let Ok(name) = CStr::from_bytes_until_nul(rest) {
        rest = rest
            .get(name.count_bytes().saturating_add(1)..)
            .unwrap_or_default();
        if !OF_CONTENTS.contains(&name) {
            let length = read(&file, name, &mut value)?;
            let value = judged(name, value.get(..length).unwrap_or_default());
            all.insert(name.to_bytes().to_vec(), value.to_vec());
        }
    }
    Ok(all)
}

/// The part of a value that counts.
fn judged<'a>(name: &CStr, value: &'a [u8]) -> &'a [u8] {
    let user = value.iter().position(|byte| *byte == b':');
    let rest = user
        .filter(|_| name == LABEL)
        .and_then(|at| value.get(at..));
    rest.unwrap_or(value)
}

/// The names of a file's attributes, each with its NUL, as many bytes as it gives; how many there are where there is no room at all.
fn names<F: AsFd>(file: F, list: &mut [u8]) -> Result<usize> {
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: a descriptor that is open for the call, and a buffer that is as long as it says.
    let got = unsafe { libc::flistxattr(fd, list.as_mut_ptr().cast(), list.len()) };
    match Errno::result(got) {
        // A file system, a kernel or a container's filter without them.
        Err(Errno::ENOTSUP | Errno::ENOSYS | Errno::EPERM) => Ok(0),
        got => got.map(|got| usize::try_from(got).unwrap_or(0)),
    }
}

fn read<F: AsFd>(file: F, name: &CStr, value: &mut [u8]) -> Result<usize> {
    let fd = file.as_fd().as_raw_fd();
    let room = value.len();
    // SAFETY: a descriptor that is open for the call, a name with its NUL, and a buffer that is as long as it says.
    let got = unsafe { libc::fgetxattr(fd, name.as_ptr(), value.as_mut_ptr().cast(), room) };
    Errno::result(got).map(|got| usize::try_from(got).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{LABEL, judged};

    #[test]
    fn who_has_made_a_file_is_no_matter() {
        let (own, servers) = (
            b"unconfined_u:object_r:home_t:s0",
            b"system_u:object_r:home_t:s0",
        );
        assert_eq!(judged(LABEL, own), judged(LABEL, servers));
        assert_ne!(
            judged(LABEL, own),
            judged(LABEL, b"system_u:object_r:public_t:s0")
        );
        assert_eq!(judged(c"user.a", b"a:b"), b"a:b");
        assert_eq!(judged(LABEL, b"none"), b"none");
    }
}
