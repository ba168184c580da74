//! Users who are kept in a directory that they may write to, and are refused for that: told before they try; runs in the reader, without rights.

use super::Found;
use crate::config::Config;
use crate::config::text::shown;
use crate::config::token::substitute;
use crate::config::view::{How, View};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most accounts looked at: a start is not to wait for a host of users.
const MOST: usize = 200;
/// The accounts of people.
const PEOPLE: std::ops::Range<u32> = 1000..60_000;

/// An account of the host's own file.
struct Account<'a> {
    name: &'a [u8],
    uid: u32,
    home: &'a [u8],
}

/// The first account that would be refused, and how many more. Whoever has settings for single users has them for this, too.
pub(super) fn jails(view: &dyn View, found: &mut Found<'_>) {
    let config = found.config();
    let kept = config.local_enable && (config.chroot_local_user || config.chroot_list_enable);
    let open = config.allow_writeable_chroot || config.guest_enable || config.run_as_launching_user;
    if !kept || open || config.user_config_dir.is_some() || config.host_config_dir.is_some() {
        return;
    }
    let Some((first, more)) = refused(view, config) else {
        return;
    };
    let others = match more {
        0 => String::new(),
        _ => format!("; so it is for {more} more"),
    };
    let text = format!(
        "{first}, the root of the jail, and is refused: 500 OOPS: refusing to run with writable root inside chroot(){others}. \
         Set allow_writeable_chroot=YES, or take the right away and give a directory below it to write to"
    );
    let names = [
        "allow_writeable_chroot",
        "chroot_local_user",
        "chroot_list_enable",
    ];
    found.add(&names, text);
}

fn refused(view: &dyn View, config: &Config) -> Option<(String, usize)> {
    let listed = |needed: bool, path: &Option<std::ffi::OsString>| {
        let path = path.as_deref().filter(|_| needed);
        path.map_or(Some(Vec::new()), |path| text(view, Path::new(path)))
    };
    let jailed = listed(config.chroot_list_enable, &config.chroot_list_file)?;
    let users = listed(config.userlist_enable, &config.userlist_file)?;
    let passwd = text(view, Path::new("/etc/passwd"))?;
    let accounts = passwd.split(|byte| *byte == b'\n').filter_map(account);
    let people = accounts.filter(|account| PEOPLE.contains(&account.uid));
    let mut found = people.take(MOST).filter_map(|account| {
        let kept = config.chroot_local_user != has(&jailed, account.name);
        let admitted = !config.userlist_enable || config.userlist_deny != has(&users, account.name);
        let root = root(config, &account);
        (kept && admitted && writes(view, &root, account.uid)).then(|| {
            let (name, root) = (shown(account.name), shown(root.as_os_str().as_bytes()));
            format!("{name} may write to {root}")
        })
    });
    let first = found.next()?;
    Some((first, found.count()))
}

/// A line of passwd(5).
fn account(line: &[u8]) -> Option<Account<'_>> {
    let mut fields = line.split(|byte| *byte == b':');
    let name = fields.next()?;
    let uid = std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()?;
    let home = fields.nth(2)?;
    Some(Account { name, uid, home })
}

/// Where the user is kept (reference §5.3).
fn root(config: &Config, account: &Account<'_>) -> PathBuf {
    let own = |path: &OsStr| substitute(config, path, account.name);
    let home = own(OsStr::from_bytes(account.home));
    let bytes = home.as_bytes();
    let part = bytes.windows(3).position(|part| part == b"/./");
    if let Some(at) = part.filter(|_| config.passwd_chroot_enable) {
        return PathBuf::from(OsStr::from_bytes(bytes.get(..at).unwrap_or_default()));
    }
    // An absolute one takes the place of the home.
    let below = config.local_root.as_deref().map(own);
    below.map_or_else(
        || PathBuf::from(&home),
        |below| Path::new(&home).join(below),
    )
}

/// Whether its mode lets the user write, as owner or as anybody; groups are not looked up.
fn writes(view: &dyn View, root: &Path, uid: u32) -> bool {
    let entry = view.open(&root.join("."), How::Entry);
    let meta = entry.and_then(|entry| File::from(entry).metadata());
    meta.is_ok_and(|meta| {
        let right = if meta.uid() == uid { 0o200 } else { 0o002 };
        meta.mode() & right != 0
    })
}

/// What is in a list, or in passwd(5); nothing if that cannot be read, or is longer than a list may be.
fn text(view: &dyn View, path: &Path) -> Option<Vec<u8>> {
    super::readable(view, path).ok()?;
    let mut bytes = Vec::new();
    let file = File::from(view.open(path, How::File).ok()?);
    file.take(super::LONGEST_LIST)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

fn has(list: &[u8], name: &[u8]) -> bool {
    let mut lines = list.split(|byte| *byte == b'\n');
    lines.any(|line| line.trim_ascii() == name)
}
