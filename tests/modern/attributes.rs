//! atomic_uploads and what belongs to a file besides its contents, owner and mode: access control lists (acl(5), xattr(7)).

use crate::support::host::{ALICE, BOB};
use crate::support::{Client, Host, Server};
use std::ffi::CString;
use std::os::unix::fs::MetadataExt;

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

/// A list in which the owner may read and write, and so may bob, nobody else: the mask, which is the group's part of the mode, is `rw-`.
fn bobs() -> Vec<u8> {
    let mut list = 2u32.to_le_bytes().to_vec();
    for (tag, rights, who) in [
        (1u16, 6u16, u32::MAX),
        (2, 6, BOB),
        (4, 0, u32::MAX),
        (16, 6, u32::MAX),
        (32, 0, u32::MAX),
    ] {
        list.extend(tag.to_le_bytes());
        list.extend(rights.to_le_bytes());
        list.extend(who.to_le_bytes());
    }
    list
}

fn set(path: &str, name: &str, value: &[u8]) {
    let (path, name) = (CString::new(path).unwrap(), CString::new(name).unwrap());
    let value = (value.as_ptr().cast(), value.len());
    // SAFETY: two names with their NUL, and a value that is as long as it says.
    let done = unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.0, value.1, 0) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

fn get(path: &str, name: &str) -> Option<Vec<u8>> {
    let (path, name) = (CString::new(path).unwrap(), CString::new(name).unwrap());
    let mut value = vec![0u8; 4096];
    let room = (value.as_mut_ptr().cast(), value.len());
    // SAFETY: two names with their NUL, and a buffer that is as long as it says.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), room.0, room.1) };
    value.truncate(usize::try_from(length).ok()?);
    Some(value)
}

/// A file keeps the list of who may read it: where a new file would have another it is written in place. Its group gets nothing by the mask.
#[test]
fn the_access_control_list_of_the_old_file() {
    let host = Host::new();
    host.mkdir("/home/alice/www", ALICE);
    for name in ["plain", "listed", "www/before", "www/alike"] {
        host.file(&format!("/home/alice/{name}"), b"old");
        host.mode(&format!("/home/alice/{name}"), 0o660);
    }
    for name in ["listed", "www/alike"] {
        set(&format!("/home/alice/{name}"), ACCESS, &bobs());
    }
    // Every new file there begins with the list.
    set("/home/alice/www", DEFAULT, &bobs());
    let _server = Server::start(
        &host,
        "atomic_uploads=YES\nlocal_umask=022\ndownload_enable=NO\n",
    );
    let mut c = Client::alice();
    for (name, replaced, list) in [
        ("plain", true, None),
        ("listed", false, Some(bobs())),
        ("www/before", false, None),
        ("www/alike", true, Some(bobs())),
    ] {
        let path = format!("/home/alice/{name}");
        let meta = || std::fs::metadata(&path).unwrap();
        let before = meta();
        assert_eq!(c.store(&format!("STOR {name}"), b"new").code(), "226");
        assert_eq!(host.read(&path), b"new");
        assert_eq!(get(&path, ACCESS), list, "{name}");
        assert_eq!(meta().mode(), before.mode(), "{name}");
        assert_eq!(meta().ino() != before.ino(), replaced, "{name}");
    }
    assert_eq!(c.store("STOR www/made", b"new").code(), "226");
    assert!(get("/home/alice/www/made", ACCESS).is_some());
    for name in [".listed", "www/.before", "www/.alike", "www/.made"] {
        assert!(!host.exists(&format!("/home/alice/{name}.uploading")));
    }
    crate::logged("an access control list or other extended attributes (xattr(7))");
}
