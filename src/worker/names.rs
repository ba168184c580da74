//! Names for ids and homes for `~user`: of the host for a session that sees the host, of the jail's own etc/passwd for one that
//! does not; worker.

use crate::config::Config;
use crate::ftp::number;
use crate::sys::tree::{Tree, VirtualPath};
use crate::sys::{self, account};
use std::collections::HashMap;
use std::os::unix::ffi::OsStringExt;
use std::sync::{Arc, Mutex};

/// The most that is read of a jail's etc/passwd or etc/group.
const FILE: usize = 1 << 20;

/// What has been looked up so far.
#[derive(Debug)]
pub struct Names {
    jail: Option<Arc<Tree>>,
    owners: HashMap<u32, Option<Vec<u8>>>,
    groups: HashMap<u32, Option<Vec<u8>>>,
}

impl Names {
    /// Nothing is looked up before it is asked for. In a jail no library of the host looks anything up: it would open files a
    /// prisoner may have made (attacks B-008); its etc/passwd is read as text, as any file of the session.
    pub fn new(config: &Config, tree: Arc<Tree>, jailed: bool) -> Self {
        let needed = config.text_userdb_names || config.tilde_user_enable;
        Self {
            jail: (jailed && needed).then_some(tree),
            owners: HashMap::new(),
            groups: HashMap::new(),
        }
    }

    /// The name of a user.
    pub fn owner(&mut self, uid: u32) -> Option<Vec<u8>> {
        let jail = &self.jail;
        let find = || match jail {
            Some(tree) => find(tree, b"/etc/passwd", |fields| {
                id(fields.get(2)) == Some(uid)
            })
            .and_then(|fields| fields.first().cloned()),
            None => sys::names::name_of_uid(uid).map(OsStringExt::into_vec),
        };
        self.owners.entry(uid).or_insert_with(find).clone()
    }

    /// The name of a group.
    pub fn group(&mut self, gid: u32) -> Option<Vec<u8>> {
        let jail = &self.jail;
        let find = || match jail {
            Some(tree) => find(tree, b"/etc/group", |fields| id(fields.get(2)) == Some(gid))
                .and_then(|fields| fields.first().cloned()),
            None => sys::names::name_of_gid(gid).map(OsStringExt::into_vec),
        };
        self.groups.entry(gid).or_insert_with(find).clone()
    }

    /// The home directory of a user.
    pub fn home(&mut self, user: &[u8]) -> Option<Vec<u8>> {
        match &self.jail {
            Some(tree) => find(tree, b"/etc/passwd", |fields| {
                fields.first().is_some_and(|name| name == user)
            })
            .and_then(|fields| fields.get(5).cloned()),
            None => account::find(user)
                .ok()
                .flatten()
                .map(|account| account.home.into_vec()),
        }
    }
}

/// What listings show of owners and groups: names, numbers or, with `hide_ids`, nothing. Most entries belong to whom the one before
/// belonged to.
#[derive(Debug)]
pub struct Labels {
    names: Option<Arc<Mutex<Names>>>,
    hidden: bool,
    owner: Label,
    group: Label,
}

#[derive(Debug, Default)]
struct Label {
    id: Option<u32>,
    text: Vec<u8>,
}

impl Label {
    fn find(&mut self, id: u32, name: impl FnOnce() -> Option<Vec<u8>>) -> &[u8] {
        if self.id != Some(id) {
            self.id = Some(id);
            self.text = name().unwrap_or_else(|| {
                let mut text = Vec::with_capacity(10);
                number::decimal(&mut text, id.into());
                text
            });
        }
        &self.text
    }
}

impl Labels {
    /// As the options ask for.
    pub fn new(config: &Config, names: &Arc<Mutex<Names>>) -> Self {
        Self {
            names: config.text_userdb_names.then(|| Arc::clone(names)),
            hidden: config.hide_ids,
            owner: Label::default(),
            group: Label::default(),
        }
    }

    /// Those of one entry.
    pub fn of(&mut self, uid: u32, gid: u32) -> (&[u8], &[u8]) {
        if self.hidden {
            return (b"ftp", b"ftp");
        }
        let names = || self.names.as_ref().and_then(|names| names.lock().ok());
        let owner = self.owner.find(uid, || names()?.owner(uid));
        let group = self.group.find(gid, || names()?.group(gid));
        (owner, group)
    }
}

/// The first line of a colon-separated file that fits.
fn find(tree: &Tree, path: &[u8], fits: impl Fn(&[Vec<u8>]) -> bool) -> Option<Vec<Vec<u8>>> {
    let text = tree.read_small(&VirtualPath::root(), path, FILE).ok()?;
    text.split(|byte| *byte == b'\n')
        .map(|line| {
            line.split(|byte| *byte == b':')
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        })
        .find(|fields| fits(fields))
}

fn id(field: Option<&Vec<u8>>) -> Option<u32> {
    std::str::from_utf8(field?).ok()?.parse().ok()
}
