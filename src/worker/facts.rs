//! MLSD and MLST (RFC 3659 §7): the facts of entries, with rights that tell the truth for this session; worker, both threads.

use super::commands::{self, Gate, Offer, permitted};
use super::line::End;
use super::list::{is_short, unseen};
use super::modern::shown;
use super::mover::Work;
use super::names::Labels;
use super::publish::is_partial;
use super::state::{Flow, Session};
use super::why::NOT_FOR_ALL;
use crate::ftp::facts::{self, Facts, Kind, Rights, Wants};
use crate::ftp::listing;
use crate::ftp::pattern::Pattern;
use crate::sys::tree::{Access, Dir, Meta, Tree, VirtualPath, Writable};
use crate::wire::Direction;
use nix::errno::Errno;
use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// Text is handed on in pieces of this size.
const PIECE: usize = 32 * 1024;

/// The most entries one directory may have, as for LIST.
const ENTRIES: usize = 2_000_000;

/// What FEAT says: MLST stands for both (RFC 3659 §7.8).
pub fn feature(offer: &Offer<'_>) -> Option<Cow<'static, str>> {
    let selection = offer
        .session
        .map_or_else(Default::default, |session| session.modern.facts);
    offer
        .can(b"MLSD")
        .then(|| format!("MLST {}", selection.feature()).into())
}

/// MLSD: the entries of one directory, its own and its parent's among them; no options, no patterns.
pub fn mlsd(session: &mut Session, arg: &[u8]) -> Flow {
    if !session.data_ready() {
        return Ok(());
    }
    let path = or_here(session.expand(arg));
    // Where it stands it may list, whatever the name of that place.
    if !arg.is_empty() && session.denied(&path) {
        return Ok(());
    }
    let lister = Lister::new(session);
    let directory = match lister.tree.open_dir(&session.cwd, &path) {
        Ok(directory) if lister.listable(&directory) => directory,
        Err(Errno::ENOTDIR) => {
            session.reply(501, b"MLSD needs a directory.");
            return Ok(());
        }
        Ok(_) => {
            session.unseen(NOT_FOR_ALL);
            session.reply(550, b"Failed to open directory.");
            return Ok(());
        }
        Err(why) => {
            session.unseen_at(&path, why);
            session.reply(550, b"Failed to open directory.");
            return Ok(());
        }
    };
    let Some(connection) = session.open_data()? else {
        return Ok(());
    };
    session.reply(150, b"Here comes the directory listing.");
    let whole = if arg.is_empty() {
        // Where it stands has no links in it.
        session.cwd.as_bytes().to_vec()
    } else {
        lister.tree.canonical(&session.cwd, &path).unwrap_or(path)
    };
    let page = session.modern.page();
    let mut room = Room::new(session);
    let short = is_short(&directory);
    let produce = Box::new(move |send: &mut dyn FnMut(&[u8]) -> Result<(), End>| {
        lister.produce(&directory, whole, &mut room, &mut |text| {
            send(&shown(page, text))
        })
    });
    let work = if short {
        Work::ShortListing(produce)
    } else {
        Work::Listing(produce)
    };
    let (end, _) = session.run(connection, work)?;
    session.say_end(
        end,
        Direction::Download,
        b"Directory send OK.",
        b"Failure reading local file.",
    )
}

/// MLST: the facts of one entry, on the control connection. A hidden name is not there, as in listings.
pub fn mlst(session: &mut Session, arg: &[u8]) -> Flow {
    let path = or_here(session.expand(arg));
    if session.denied(&path) {
        return Ok(());
    }
    let lister = Lister::new(session);
    match lister.single(&path, &mut Room::new(session)) {
        Some(line) => {
            session.dash(250, b"Listing");
            session.inner(&line);
            session.reply(250, b"End");
        }
        None => {
            if let Err(why) = session.tree.stat(&session.cwd, &path) {
                session.unseen_at(&path, why);
            }
            session.reply(550, b"Could not get facts.");
        }
    }
    Ok(())
}

fn or_here(path: Vec<u8>) -> Vec<u8> {
    if path.is_empty() { b".".to_vec() } else { path }
}

/// Everything the lines need, free of the session: the data thread makes them.
struct Lister {
    tree: Arc<Tree>,
    cwd: VirtualPath,
    wants: Wants,
    rights: Rights,
    uid: u32,
    hide: Option<Pattern>,
    deny: Option<Pattern>,
    uploads: Option<Pattern>,
    downloads: Option<Pattern>,
    /// `atomic_uploads`: partials are not listed.
    atomic: bool,
    world_readable: bool,
}

/// What one line leaves for the next.
struct Room {
    labels: Labels,
    perm: Vec<u8>,
}

impl Room {
    fn new(session: &Session) -> Self {
        Self {
            labels: Labels::new(session.config, &session.names),
            perm: Vec::new(),
        }
    }
}

/// The directory an entry is in.
struct Parent {
    /// Its absolute path, without links.
    path: Vec<u8>,
    writable: Writable,
    /// Only owners take names away here.
    sticky: bool,
    /// It belongs to the session's user.
    own: bool,
}

/// Rights the options and the lists of commands give.
fn rights(session: &Session) -> Rights {
    let can = |verb: &[u8]| commands::usable(session, verb);
    let store = can(b"STOR");
    // An anonymous client that may not change files makes new ones only (reference §3.4.2).
    let replace = store && permitted(session, Gate::OtherWrite, b"");
    Rights {
        append: can(b"APPE"),
        create: store || can(b"STOU"),
        replace,
        delete: can(b"DELE"),
        remove: can(b"RMD"),
        rename: can(b"RNFR") && can(b"RNTO"),
        enter: can(b"CWD"),
        list: can(b"LIST") || can(b"MLSD"),
        make: can(b"MKD"),
        fetch: can(b"RETR"),
    }
}

impl Lister {
    fn new(session: &Session) -> Self {
        let config = &session.config;
        let pattern =
            |text: &Option<OsString>| text.as_deref().map(|text| Pattern::new(text.as_bytes()));
        Self {
            tree: Arc::clone(&session.tree),
            cwd: session.cwd.clone(),
            wants: session.modern.facts.wants(),
            rights: rights(session),
            uid: session.verdict.uid.as_raw(),
            hide: pattern(&config.hide_file),
            deny: session.deny.clone(),
            uploads: pattern(&config.upload_file),
            downloads: pattern(&config.download_file),
            atomic: config.atomic_uploads,
            world_readable: session.anonymous() && config.anon_world_readable_only,
        }
    }

    /// Whether the session may list this directory.
    fn listable(&self, directory: &Dir) -> bool {
        !self.world_readable || directory.meta().is_ok_and(|meta| meta.mode & 0o004 != 0)
    }

    /// Makes the lines of a directory, a piece at a time, in the directory's own order.
    fn produce(
        &self,
        directory: &Dir,
        path: Vec<u8>,
        room: &mut Room,
        send: &mut dyn FnMut(&[u8]) -> Result<(), End>,
    ) -> Result<(), End> {
        let own = directory.meta().map_err(End::Local)?;
        let parent = Parent {
            writable: directory.writable(),
            ..self.parent(path, Some(&own))
        };
        let mut out = Vec::with_capacity(PIECE.saturating_add(8192));
        let mut result = Ok(());
        let mut missing = None;
        let failed = Cell::new(false);
        let count = Cell::new(0_usize);
        let read = directory.entries(
            true,
            || !failed.get() && count.get() <= ENTRIES,
            |name| {
                count.set(count.get().saturating_add(1));
                !failed.get() && self.shown(name, &parent.path)
            },
            |name, meta| {
                let Some(looked) = meta else { return };
                let Ok(meta) = looked.inspect_err(|why| {
                    missing = lacking(name, *why).or(missing);
                }) else {
                    return;
                };
                let may = |access| directory.may(name, access);
                let link = if meta.is_link() {
                    directory.readlink(name).unwrap_or_default()
                } else {
                    Vec::new()
                };
                self.line(&mut out, room, name, name, &meta, &link, &parent, &may);
                out.extend_from_slice(b"\r\n");
                if out.len() >= PIECE {
                    result = send(&out);
                    out.clear();
                }
                failed.set(result.is_err());
            },
        );
        result?;
        read.map_err(End::Local)?;
        if count.get() > ENTRIES {
            return Err(End::Local(Errno::EOVERFLOW));
        }
        if !out.is_empty() {
            send(&out)?;
        }
        // All that could be seen is told, and that it is not all.
        missing.map_or(Ok(()), Err)
    }

    fn parent(&self, path: Vec<u8>, meta: Option<&Meta>) -> Parent {
        let looked = meta
            .copied()
            .or_else(|| self.tree.stat(&VirtualPath::root(), &path).ok());
        Parent {
            path,
            writable: Writable::No,
            sticky: looked.is_some_and(|meta| meta.mode & 0o1000 != 0),
            own: looked.is_some_and(|meta| meta.uid == self.uid),
        }
    }

    fn shown(&self, name: &[u8], directory: &[u8]) -> bool {
        if self.atomic && is_partial(name) {
            return false;
        }
        matches!(name, b"." | b"..")
            || !self
                .hide
                .as_ref()
                .is_some_and(|hide| listing::hidden(name, hide, directory))
    }

    /// The line of one entry, named by its absolute path.
    fn single(&self, path: &[u8], room: &mut Room) -> Option<Vec<u8>> {
        let meta = self.tree.lstat(&self.cwd, path).ok()?;
        let whole = self.whole(path)?;
        let name = last(&whole);
        let root = VirtualPath::root();
        let parent = Parent {
            writable: self.tree.writable(&root, above(&whole)),
            ..self.parent(above(&whole).to_vec(), None)
        };
        if !self.shown(name, &parent.path) {
            return None;
        }
        let may = |access| self.tree.may(&root, &whole, access);
        let link = if meta.is_link() {
            let directory = self.tree.open_dir(&root, &parent.path).ok();
            directory.and_then(|directory| directory.readlink(name).ok())
        } else {
            None
        };
        let mut out = Vec::new();
        let link = link.unwrap_or_default();
        self.line(&mut out, room, name, &whole, &meta, &link, &parent, &may);
        Some(out)
    }

    /// The absolute path of an argument; only its last component may be a link.
    fn whole(&self, path: &[u8]) -> Option<Vec<u8>> {
        let trimmed = path.strip_suffix(b"/").unwrap_or(path);
        let name = last(trimmed);
        if path.ends_with(b"/") || matches!(name, b"" | b"." | b"..") {
            return self.tree.canonical(&self.cwd, path);
        }
        let (directory, name) = listing::split_filter(trimmed);
        let mut whole = self.tree.canonical(&self.cwd, directory)?;
        if whole != b"/" {
            whole.push(b'/');
        }
        whole.extend_from_slice(name);
        Some(whole)
    }

    #[allow(clippy::too_many_arguments)]
    fn line(
        &self,
        out: &mut Vec<u8>,
        room: &mut Room,
        name: &[u8],
        shown: &[u8],
        meta: &Meta,
        link: &[u8],
        parent: &Parent,
        may: &dyn Fn(Access) -> bool,
    ) {
        let kind = match name {
            b"." if shown == name => Kind::Here,
            b".." if shown == name => Kind::Above,
            _ if meta.is_link() => Kind::Link(link),
            _ => plain(meta),
        };
        let Room { labels, perm } = room;
        perm.clear();
        if self.wants.perm {
            self.perm(perm, kind, name, meta, parent, may);
        }
        let (owner, group) = labels.of(meta.uid, meta.gid);
        let facts = Facts {
            kind,
            size: meta.size,
            modify: meta.mtime,
            perm,
            unique: (meta.dev, meta.ino),
            mode: meta.mode,
            owner,
            group,
        };
        facts::line(out, self.wants, &facts, shown);
    }

    /// The letters of one entry: what the options give, name by name, and what the kernel would allow.
    fn perm(
        &self,
        out: &mut Vec<u8>,
        kind: Kind<'_>,
        name: &[u8],
        meta: &Meta,
        parent: &Parent,
        may: &dyn Fn(Access) -> bool,
    ) {
        let named = [&self.deny, &self.uploads, &self.downloads];
        let whole = if meta.is_link() || named.iter().any(|pattern| pattern.is_some()) {
            joined(&parent.path, kind, name)
        } else {
            Vec::new()
        };
        let root = VirtualPath::root();
        let mut leads = meta.is_link();
        let found = leads.then(|| self.tree.stat(&root, &whole).ok()).flatten();
        let resolved = found.and_then(|_| self.tree.canonical(&root, &whole));
        let target = found.unwrap_or(*meta);
        leads &= found.is_some();
        let through = |access| self.tree.may(&root, &whole, access);
        let may: &dyn Fn(Access) -> bool = if leads { &through } else { may };
        let real = resolved.as_deref().unwrap_or(&whole);
        if (self.deny.as_ref()).is_some_and(|pattern| pattern.denies(name, Some(real))) {
            return;
        }
        let fits = |pattern: &Pattern| pattern.allows(Some(real));
        let mut rights = self.rights;
        if self.uploads.as_ref().is_some_and(|only| !fits(only)) {
            (rights.append, rights.replace) = (false, false);
        }
        rights.fetch &= self.downloads.as_ref().is_none_or(fits);
        let public = !self.world_readable || target.mode & 0o004 != 0;
        let writable = parent.writable != Writable::ReadOnly;
        let ask = |access| self.allowed(&target, access, may);
        let directory = target.is_dir();
        let access = facts::Access {
            read: public && ask(Access::Read),
            write: writable && ask(Access::Write),
            enter: directory && ask(Access::Enter),
            detach: !name.is_empty()
                && kind != Kind::Here
                && kind != Kind::Above
                && parent.writable == Writable::Yes
                && (!parent.sticky || parent.own || meta.uid == self.uid),
        };
        facts::perm(
            out,
            kind,
            if leads { plain(&target) } else { kind },
            rights,
            access,
        );
    }

    /// Whether the kernel would allow it, as far as the mode tells: what it gives or denies to group and others alike holds for whoever
    /// is not the owner. Where they differ, by membership or by an access list, the kernel is asked. What an access list takes from
    /// one user of what all others have is not seen: asking for each name of a directory would double the work, and a letter is a hint,
    /// not a promise (RFC 3659 §7.5.5).
    fn allowed(&self, meta: &Meta, access: Access, may: &dyn Fn(Access) -> bool) -> bool {
        let bit = access.bit();
        if meta.uid == self.uid {
            return meta.mode & (bit << 6) != 0;
        }
        match (meta.mode & (bit << 3) != 0, meta.mode & bit != 0) {
            (true, true) => true,
            (false, false) => false,
            (true, false) | (false, true) => may(access),
        }
    }
}

/// How a listing ends that has no facts of this name, as far as that is told. A directory that may be read and not searched is not empty.
fn lacking(name: &[u8], why: Errno) -> Option<End> {
    let closed = name == b".";
    unseen(why).or_else(|| closed.then_some(End::Local(why)))
}

fn plain(meta: &Meta) -> Kind<'static> {
    if meta.is_file() {
        Kind::File
    } else if meta.is_dir() {
        Kind::Directory
    } else {
        Kind::Other
    }
}

/// The absolute path of an entry; only rules about names and links need it.
fn joined(directory: &[u8], kind: Kind<'_>, name: &[u8]) -> Vec<u8> {
    match kind {
        Kind::Here => directory.to_vec(),
        Kind::Above => above(directory).to_vec(),
        Kind::File | Kind::Directory | Kind::Link(_) | Kind::Other => {
            let slash: &[u8] = if directory == b"/" { b"" } else { b"/" };
            [directory, slash, name].concat()
        }
    }
}

/// The directory above an absolute path without links; that of the root is the root.
fn above(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|byte| *byte == b'/') {
        None | Some(0) => b"/",
        Some(at) => path.get(..at).unwrap_or(b"/"),
    }
}

fn last(path: &[u8]) -> &[u8] {
    let at = path.iter().rposition(|byte| *byte == b'/');
    at.and_then(|at| path.get(at.saturating_add(1)..))
        .unwrap_or(path)
}
