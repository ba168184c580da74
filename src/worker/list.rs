//! LIST, NLST and STAT with a path: which directory, which entries, in which form (reference §8); worker, both threads.

use super::inside::is_no_place;
use super::line::End;
use super::modern::shown;
use super::mover::Work;
use super::names::Labels;
use super::publish::is_partial;
use super::state::{Flow, Session};
use crate::ftp::listing::{self, Entry, Filter, Options, Rule, Shelf, Sorted};
use crate::ftp::pattern::Pattern;
use crate::sys::clock;
use crate::sys::tree::{Dir, Meta, Tree, VirtualPath};
use crate::wire::Direction;
use nix::errno::Errno;
use std::cell::Cell;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// Text is handed on in pieces of this size.
const PIECE: usize = 32 * 1024;

/// A directory of this size, in bytes, is listed in less time than a thread needs to be woken in.
const SHORT: u64 = 16 * 1024;

/// The most entries one directory may have: beyond it the listing fails instead of the memory.
const ENTRIES: usize = 2_000_000;

/// The most names that are looked at to find those: a directory that never ends does not either when nothing in it is wanted (attacks B-026).
const LOOKED: usize = 16_000_000;

/// The deepest directory `-R` enters below the first one (attacks B-025).
const DEPTH: usize = 64;

/// The most memory for directories that `-R` has seen and not listed: beyond it the listing fails too.
const WAITING: usize = 128 << 20;

/// What one of them takes besides its path.
const PLACE: usize = 64;

/// What the log says of a listing that was given up.
const TOO_MUCH: &str = "the directory has too many entries, or the pattern takes too long";

/// LIST.
pub fn list(session: &mut Session, arg: &[u8]) -> Flow {
    transfer(session, arg, true)
}

/// NLST.
pub fn nlst(session: &mut Session, arg: &[u8]) -> Flow {
    transfer(session, arg, false)
}

/// STAT: about the session without an argument, else a listing on the control connection.
pub fn stat(session: &mut Session, arg: &[u8]) -> Flow {
    if arg.is_empty() {
        super::plain::status(session, None);
        return Ok(());
    }
    let Some(plan) = Plan::new(session, arg, true, true) else {
        return Ok(());
    };
    session.dash(213, b"Status follows:");
    let mut left = None;
    let result = plan.produce(&mut |text| {
        if text.is_empty() && session.has_gone(&mut left) {
            return Err(End::Network);
        }
        session.control.raw(&session.modern.outward(text));
        session.flush().map_err(|_| End::Network)
    });
    match result {
        Ok(()) | Err(End::NoDirectory) => session.reply(213, b"End of status"),
        Err(End::Local(why)) => {
            session.note(&if why == Errno::EOVERFLOW {
                format!("STAT: {TOO_MUCH}")
            } else {
                format!("STAT: local file: {}", why.desc())
            });
            session.reply(213, b"Status is incomplete: failure reading the directory.");
        }
        Err(
            End::Network
            | End::Stalled
            | End::Stranger
            | End::Handshake
            | End::Garbled
            | End::Unfinished
            | End::Swollen
            | End::Done
            | End::Unable
            | End::Deserted,
        ) => return Err(super::state::Over(1)),
    }
    Ok(())
}

fn transfer(session: &mut Session, arg: &[u8], long: bool) -> Flow {
    if !session.data_ready() {
        return Ok(());
    }
    let Some(mut plan) = Plan::new(session, arg, long, false) else {
        return Ok(());
    };
    let Some(connection) = session.open_data()? else {
        return Ok(());
    };
    session.reply(150, b"Here comes the directory listing.");
    let page = session.modern.page();
    let short = plan.is_short();
    let produce = Box::new(move |send: &mut dyn FnMut(&[u8]) -> Result<(), End>| {
        plan.produce(&mut |text| send(&shown(page, text)))
    });
    let work = if short {
        Work::ShortListing(produce)
    } else {
        Work::Listing(produce)
    };
    let (end, _) = session.run(connection, work)?;
    if end == End::Local(Errno::EOVERFLOW) {
        session.note(&format!("LIST or NLST: {TOO_MUCH}"));
    }
    session.say_end(
        end,
        Direction::Download,
        b"Directory send OK.",
        b"Failure reading local file.",
    )
}

/// Everything a listing needs, free of the session: the data thread makes it.
struct Plan {
    tree: Arc<Tree>,
    cwd: VirtualPath,
    /// The directory as the client wrote it.
    directory: Vec<u8>,
    /// It, where it is open already.
    opened: Option<Dir>,
    filter: Option<Filter>,
    options: Options,
    hide: Option<Pattern>,
    deny: Option<Pattern>,
    force_dot: bool,
    world_readable: bool,
    local_time: bool,
    /// `atomic_uploads`: partials are not listed.
    atomic: bool,
    labels: Labels,
}

impl Plan {
    /// Reads the argument; `None`: it is denied, which has been said.
    fn new(session: &mut Session, arg: &[u8], long: bool, all: bool) -> Option<Self> {
        let (mut options, path) = Options::parse(arg);
        options.long |= long;
        options.all |= all;
        options.recurse &= session.config.ls_recurse_enable;
        let path = session.expand(path);
        if session.denied(&path) {
            return None;
        }
        // A path that opens as a directory is one; anything else is a filter for names in its parent (reference §8.1).
        // One that fails otherwise may well be a directory, and what its parent shows of it is no listing.
        let (directory, filter) = if path.is_empty() {
            (b".".to_vec(), None)
        } else {
            match session.tree.open_dir(&session.cwd, &path) {
                Err(why) if is_usual(why) => {
                    let (directory, filter) = listing::split_filter(&path);
                    (directory.to_vec(), Some(Filter::new(filter)))
                }
                Ok(_) | Err(_) => (path, None),
            }
        };
        let config = &session.config;
        Some(Self {
            tree: Arc::clone(&session.tree),
            cwd: session.cwd.clone(),
            directory,
            opened: None,
            filter,
            options,
            hide: config
                .hide_file
                .as_deref()
                .map(|text| Pattern::new(text.as_bytes())),
            deny: session.deny.clone(),
            force_dot: config.force_dot_files,
            world_readable: session.anonymous() && config.anon_world_readable_only,
            local_time: config.use_localtime,
            atomic: config.atomic_uploads,
            labels: Labels::new(config, &session.names),
        })
    }

    /// Makes the text, a piece at a time.
    fn produce(mut self, send: &mut dyn FnMut(&[u8]) -> Result<(), End>) -> Result<(), End> {
        let first = self.opened.take().map_or_else(|| self.first(), Ok);
        let first = first.map_err(|why| unseen(why).unwrap_or(End::NoDirectory))?;
        let mut out = Vec::with_capacity(PIECE.saturating_add(4096));
        let now = clock::now();
        let mut waiting = Waiting::default();
        waiting.push(self.directory.clone(), 0);
        let mut opened = Some(first);
        let mut unread = None;
        while let Some((shown, depth)) = waiting.pop() {
            let beginning = opened.is_some();
            let directory = match opened.take().map_or_else(|| self.open(&shown), Ok) {
                Ok(directory) => directory,
                Err(why) => {
                    unread = unseen(why).or(unread);
                    continue;
                }
            };
            if self.options.recurse {
                listing::heading(&mut out, &shown, beginning);
            }
            let entries = match self.read(&directory, &shown, send) {
                Ok((entries, missing)) => {
                    unread = missing.or(unread);
                    entries
                }
                // One that is gone by now is missing from nothing; another must not hide those behind it, and is told of at the end.
                Err(End::Local(why)) if !beginning && why != Errno::EOVERFLOW => {
                    unread = (why != Errno::ENOENT).then_some(End::Local(why)).or(unread);
                    continue;
                }
                Err(end) => return Err(end),
            };
            let prefix = listing::prefix(&shown);
            for entry in entries.iter() {
                self.line(&mut out, &prefix, &entry, now);
                if out.len() >= PIECE {
                    send(&out)?;
                    out.clear();
                }
            }
            let deeper = self.options.recurse && depth < DEPTH;
            if deeper && !waiting.push_all(&shown, &entries, depth.saturating_add(1)) {
                return Err(End::Local(Errno::EOVERFLOW));
            }
        }
        if !out.is_empty() {
            send(&out)?;
        }
        unread.map_or(Ok(()), Err)
    }

    /// Whether the directory alone is to be listed and has some hundred entries at most, as far as its size tells. Where it does not,
    /// it may be anything, or hang: the control thread stays with its client then.
    fn is_short(&mut self) -> bool {
        if self.options.recurse {
            return false;
        }
        self.opened = self.first().ok();
        self.opened.as_ref().is_some_and(is_short)
    }

    /// Opens the directory the client has named. `deny_file` has been asked about what it wrote; where it stands it may list, whatever
    /// the name of that place: a home that fits the pattern is no reason to show nothing.
    fn first(&self) -> Result<Dir, Errno> {
        if self.directory == b"." {
            self.listable(&self.directory)
        } else {
            self.open(&self.directory)
        }
    }

    /// Opens a directory that this session may list: what holds for the first one holds for those below (reference §10, 7).
    fn open(&self, path: &[u8]) -> Result<Dir, Errno> {
        if let Some(deny) = &self.deny
            && deny.denies(path, self.tree.canonical(&self.cwd, path).as_deref())
        {
            return Err(Errno::EACCES);
        }
        self.listable(path)
    }

    /// Opens a directory if its mode lets this session list it.
    fn listable(&self, path: &[u8]) -> Result<Dir, Errno> {
        let directory = self.tree.open_dir(&self.cwd, path)?;
        if self.world_readable && directory.meta().is_ok_and(|meta| meta.mode & 0o004 == 0) {
            return Err(Errno::EACCES);
        }
        Ok(directory)
    }

    /// Whether the filter has taken all steps it may.
    fn is_spent(&self) -> bool {
        self.filter.as_ref().is_some_and(Filter::is_spent)
    }

    /// Where a directory is, for rules that ask: those about whole paths.
    fn place(&self, shown: &[u8]) -> Vec<u8> {
        let asked = self.hide.as_ref().is_some_and(Pattern::is_absolute);
        let place = asked.then(|| self.tree.canonical(&self.cwd, shown));
        place.flatten().unwrap_or_default()
    }

    /// Reads and sorts a directory; with why an entry is missing that is no less there for it. One whose facts cannot be had otherwise is
    /// dropped (reference §8.6). Nothing is sent meanwhile, but `send` knows whether the client still waits (attacks B-022).
    fn read(
        &self,
        directory: &Dir,
        shown: &[u8],
        send: &mut dyn FnMut(&[u8]) -> Result<(), End>,
    ) -> Result<(Sorted, Option<End>), End> {
        let stat = self.options.needs_stat();
        let place = self.place(shown);
        let rule = Rule {
            force_dot: self.force_dot,
            filter: self.filter.as_ref(),
            hide: self.hide.as_ref(),
            directory: &place,
        };
        let mut entries = Shelf::default();
        let (full, looked) = (Cell::new(false), Cell::new(0_usize));
        let mut unwanted = Ok(());
        let mut missing = None;
        let result = directory.entries(
            stat,
            || {
                unwanted = send(b"");
                unwanted.is_ok() && !full.get() && !self.is_spent()
            },
            |name| {
                looked.set(looked.get().saturating_add(1));
                full.set(full.get() || looked.get() > LOOKED);
                let partial = self.atomic && is_partial(name);
                let affords = |filter: &Filter| filter.affords(name);
                !partial
                    && rule.filter.is_none_or(affords)
                    && listing::visible(name, &self.options, &rule)
            },
            |name, meta| {
                let fits = entries.len() < ENTRIES
                    && match meta {
                        None => entries.push_name(name),
                        Some(Ok(meta)) => self.shelve(&mut entries, directory, name, meta),
                        Some(Err(why)) => {
                            missing = unseen(why).or(missing);
                            true
                        }
                    };
                full.set(full.get() || !fits);
            },
        );
        unwanted?;
        if full.get() || self.is_spent() {
            return Err(End::Local(Errno::EOVERFLOW));
        }
        result.map_err(End::Local)?;
        Ok((entries.sort(&self.options), missing))
    }

    /// Puts an entry on the shelf with its facts; false if there is no room.
    fn shelve(&self, entries: &mut Shelf, directory: &Dir, name: &[u8], meta: Meta) -> bool {
        let link;
        let mut entry = entry(name, meta);
        if self.options.long && entry.is_link() {
            link = directory.readlink(name).ok();
            entry.target = link.as_deref();
        }
        entries.push(&entry)
    }

    fn line(&mut self, out: &mut Vec<u8>, prefix: &[u8], entry: &Entry<'_>, now: i64) {
        let suffix = self.options.suffix;
        if !self.options.long {
            listing::short_line(out, prefix, entry, suffix);
            return;
        }
        let local = self.local_time;
        let zone = |at| if local { clock::offset(at) } else { 0 };
        let (owner, group) = self.labels.of(entry.uid, entry.gid);
        listing::long_line(out, entry, owner, group, now, zone, suffix);
    }
}

/// The directories that `-R` has seen and not listed, each with its depth; the last one is the next.
#[derive(Default)]
struct Waiting {
    list: Vec<(Vec<u8>, usize)>,
    bytes: usize,
}

impl Waiting {
    /// Puts one more there; false if there is no room.
    fn push(&mut self, path: Vec<u8>, depth: usize) -> bool {
        self.bytes = self.bytes.saturating_add(path.len().saturating_add(PLACE));
        self.list.push((path, depth));
        self.bytes <= WAITING
    }

    /// Puts the directories among the entries there, so that the first of them is the next; false if there is no room.
    fn push_all(&mut self, above: &[u8], entries: &Sorted, depth: usize) -> bool {
        let below = entries.iter().rev().filter(|entry| entry.is_directory());
        let mut below = below.filter(|entry| !matches!(entry.name, b"." | b".."));
        below.all(|entry| self.push([above, b"/", entry.name].concat(), depth))
    }

    fn pop(&mut self) -> Option<(Vec<u8>, usize)> {
        let next = self.list.pop();
        let freed = next
            .as_ref()
            .map_or(0, |(path, _)| path.len().saturating_add(PLACE));
        self.bytes = self.bytes.saturating_sub(freed);
        next
    }
}

/// Whether such an error means that there is no directory, or no entry, of that name, or none to be shown. Others are those of a disk, of a
/// server of files, of a host at its end.
fn is_usual(why: Errno) -> bool {
    is_no_place(why) || matches!(why, Errno::EXDEV | Errno::EINVAL)
}

/// Whether the directory has some hundred entries at most, as far as its size tells.
pub(super) fn is_short(directory: &Dir) -> bool {
    directory.meta().is_ok_and(|meta| meta.size <= SHORT) && directory.size_tells()
}

/// How a listing ends that lacks something for this reason, if that is still there as far as anybody knows.
pub(super) fn unseen(why: Errno) -> Option<End> {
    (!is_usual(why)).then_some(End::Local(why))
}

/// What is known of an entry, but for where it leads.
fn entry(name: &[u8], meta: Meta) -> Entry<'_> {
    Entry {
        name,
        mode: meta.mode,
        nlink: meta.nlink,
        uid: meta.uid,
        gid: meta.gid,
        size: meta.size,
        mtime: meta.mtime,
        target: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{WAITING, Waiting};

    #[test]
    fn directories_that_wait_have_their_measure() {
        let mut waiting = Waiting::default();
        let path = || vec![b'x'; 1 << 20];
        let most = (0..1000).take_while(|_| waiting.push(path(), 1)).count();
        assert!((100..=WAITING >> 20).contains(&most), "{most}");
        while waiting.pop().is_some() {}
        assert_eq!(waiting.bytes, 0);
        assert!(waiting.push(path(), 1));
    }
}
