//! RETR, STOR, APPE and STOU; worker.

use super::data::ask;
use super::guard::errno;
use super::line::End;
use super::mover::{Growing, Seen, Start, Work};
use super::publish::{self, Opening, Partial};
use super::source::{Source, source};
use super::state::{Flow, Over, Representation, Session};
use super::why::{NO_FILE, vanished};
use crate::ftp::pattern::Pattern;
use crate::sys::tree::{Create, Meta, meta_of};
use crate::wire::{AfterLogin, AfterLoginReply, Direction, Event, Outcome};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::Whence;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Instant;

/// What the client is told whose bytes no thread can move (RFC 959's words for 451).
pub const UNABLE: &[u8] = b"Requested action aborted: local error in processing.";

/// How often a file that has lost its name while its lock was waited for is opened or made anew.
pub const ANEW: u32 = 8;

/// A transfer that is logged when it ends, however it ends.
struct Entry {
    direction: Direction,
    path: Vec<u8>,
    started: Instant,
    bytes: u64,
    /// The data connection was there: bytes may have been moved.
    begun: bool,
    /// How it was logged.
    logged: Option<Outcome>,
}

/// How an upload came by its file.
pub struct Target {
    /// The file.
    pub file: OwnedFd,
    /// Its facts when it was opened.
    pub meta: Meta,
    /// There was none before.
    pub created: bool,
    /// The target as the client wrote it, or as STOU has named it.
    pub path: Vec<u8>,
    /// It has not its name yet.
    pub partial: Option<Partial>,
    /// What the upload has seen of it, once it may have written to it.
    pub seen: Option<Arc<Seen>>,
}

/// RETR (reference §3.4.1).
pub fn retr(session: &mut Session, arg: &[u8]) -> Flow {
    let range = session.modern.range.take();
    let offset = std::mem::take(&mut session.restart).max(range.map_or(0, |(from, _)| from));
    if !session.data_ready() {
        return Ok(());
    }
    let ascii =
        session.representation == Representation::Ascii && session.config.ascii_download_enable;
    if session.representation == Representation::Ascii && offset != 0 {
        session.reply(550, b"No support for resume of ASCII transfer.");
        return Ok(());
    }
    let path = session.expand(arg);
    let mut entry = session.begin(Direction::Download, &path);
    if session.denied(&path)
        || !session.wanted("download_file", session.config.download_file.clone(), &path)
    {
        return session.close(&mut entry, Ok(()));
    }
    let (file, keeper) = match source(session, &path, offset)? {
        Source::Ready(file, keeper) => (file, keeper),
        Source::Said => return session.close(&mut entry, Ok(())),
        // Not logged: a client that tries whether a name is a directory is no failed download (reference §3.4.1).
        Source::NoFile => {
            session.reply(550, b"Failed to open file.");
            return Ok(());
        }
        Source::Closed(why) => {
            session.unsent(&why);
            session.reply(550, b"Failed to open file.");
            return session.close(&mut entry, Ok(()));
        }
    };
    let work = Work::Download {
        file,
        offset,
        end: range.map_or(u64::MAX, |(_, last)| last.saturating_add(1)),
        ascii,
        sendfile: session.config.use_sendfile,
        keeper,
    };
    let flow = send(session, &mut entry, &path, work);
    session.close(&mut entry, flow)
}

/// Sends the file of a download.
fn send(session: &mut Session, entry: &mut Entry, path: &[u8], mut work: Work) -> Flow {
    let Work::Download {
        file, end, ascii, ..
    } = &mut work
    else {
        return Ok(());
    };
    let Some(connection) = session.open_data()? else {
        return Ok(());
    };
    // Only now: while the data connection was waited for, an upload may have gone on.
    let Ok(meta) = meta_of(&*file) else {
        session.reply(550, b"Failed to open file.");
        return Ok(());
    };
    *end = meta.size.min(*end);
    let mode = if *ascii { "ASCII" } else { "BINARY" };
    let text = [
        format!("Opening {mode} mode data connection for ").as_bytes(),
        path,
        format!(" ({end} bytes).").as_bytes(),
    ]
    .concat();
    session.reply(150, &text);
    entry.begun = true;
    let (end, moved) = session.run(connection, work)?;
    entry.bytes = moved;
    session.conclude(entry, end, b"Failure reading local file.")
}

/// STOR (reference §3.4.2).
pub fn stor(session: &mut Session, arg: &[u8]) -> Flow {
    let offset = std::mem::take(&mut session.restart);
    upload(session, arg, Manner::Store { offset })
}

/// APPE.
pub fn appe(session: &mut Session, arg: &[u8]) -> Flow {
    session.restart = 0;
    upload(session, arg, Manner::Append)
}

/// STOU.
pub fn stou(session: &mut Session, arg: &[u8]) -> Flow {
    session.restart = 0;
    upload(session, arg, Manner::Unique)
}

/// The three ways to upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// STOR.
    Store {
        /// Where the first byte belongs.
        offset: u64,
    },
    /// APPE.
    Append,
    /// STOU.
    Unique,
}

fn upload(session: &mut Session, arg: &[u8], manner: Manner) -> Flow {
    if session.modern.range.take().is_some() {
        session.reply(504, b"RANG is for RETR and HASH.");
        return Ok(());
    }
    if !session.data_ready() {
        return Ok(());
    }
    let path = session.expand(arg);
    let mut entry = session.begin(Direction::Upload, &path);
    let Some(mut target) = opened(session, &path, manner)? else {
        return session.close(&mut entry, Ok(()));
    };
    // Who may make new files only has nothing to go on from: the original appends, which puts the first byte at the beginning.
    let begins = matches!(manner, Manner::Store { offset: _ });
    let manner = if begins && target.created && publish::is_fresh(session) {
        Manner::Store { offset: 0 }
    } else {
        manner
    };
    entry.path = session.log_path(&target.path);
    let flow = receive(session, &mut entry, &mut target, manner);
    // A file that was there before stays, whatever has become of it (reference §10, 28).
    let whole = entry.logged == Some(Outcome::Done);
    let gone = if entry.begun {
        publish::is_given_up(session, &target)
    } else {
        target.created
    };
    if gone && !whole {
        publish::discard(session, &target);
    }
    session.close(&mut entry, flow)
}

/// Has the file of an upload given away and locked; one that has lost its name while its lock or its connection was waited for, because
/// another upload has failed or somebody has renamed it, is made anew. False: the reply has been said.
fn hold(session: &mut Session, target: &mut Target, manner: Manner) -> Result<bool, Over> {
    let mut lost = session.waited && !is_there(session, target, manner);
    for _ in 0..ANEW {
        if lost {
            // Another file is not what STOU has named, nor what an offset speaks of.
            if !matches!(manner, Manner::Store { offset: 0 } | Manner::Append) {
                break;
            }
            match create(session, &target.path) {
                Some(fresh) => *target = fresh,
                None => break,
            }
        }
        if !bequeath(session, target)? {
            break;
        }
        // A partial has a lock of its own.
        if target.partial.is_some() || !session.config.lock_upload_files {
            return Ok(true);
        }
        if !session.lock_own(&target.file)? {
            return Ok(false);
        }
        if is_there(session, target, manner) {
            return Ok(true);
        }
        (session.waited, lost) = (true, true);
    }
    session.reply(553, b"Could not create file.");
    Ok(false)
}

/// Whether the file is still what the upload was told to write: it has its name, and nothing in it if it had to be new.
fn is_there(session: &Session, target: &mut Target, manner: Manner) -> bool {
    if target.partial.is_some() {
        return true;
    }
    let Ok(meta) = meta_of(&target.file) else {
        return false;
    };
    // Another upload was quicker.
    let taken = target.created && meta.size > 0;
    let unique = manner == Manner::Unique;
    if taken && (unique || publish::is_fresh(session)) {
        return false;
    }
    target.created &= !taken;
    let offset = match manner {
        Manner::Store { offset } => offset,
        Manner::Append | Manner::Unique => 0,
    };
    // What lies before the offset has been cut away.
    if meta.size < offset && offset <= target.meta.size {
        return false;
    }
    unique
        || meta.nlink > 0
            && (!session.waited || publish::is_named(session, &target.path, &target.file))
}

/// Receives the file of an upload; its descriptor, and with it its lock, stays open.
fn receive(session: &mut Session, entry: &mut Entry, target: &mut Target, manner: Manner) -> Flow {
    if !hold(session, target, manner)? {
        return Ok(());
    }
    let Some(connection) = session.open_data()? else {
        return Ok(());
    };
    if session.waited && !hold(session, target, manner)? {
        return Ok(());
    }
    // Only now, with the client's bytes at hand, is what the file held given up (reference §10, 28).
    // Over TLS that is known only after the handshake, which follows the reply.
    let guarded = session.protect;
    let file = (target.file.try_clone()).map_err(|error| errno(&error));
    let beside = manner == Manner::Append && target.partial.is_none();
    let start = place(target, manner, guarded, beside);
    let (start, file) = match start.and_then(|start| Ok((start, file?))) {
        Ok(placed) => placed,
        Err(why) => {
            session.uncreated(why);
            session.reply(553, b"Could not create file.");
            return Ok(());
        }
    };
    match manner {
        Manner::Unique => {
            let text = [b"FILE: ".as_slice(), &target.path].concat();
            session.reply(150, &text);
        }
        Manner::Store { .. } | Manner::Append => session.reply(150, b"Ok to send data."),
    }
    let ascii =
        session.representation == Representation::Ascii && session.config.ascii_upload_enable;
    let truncate = guarded && manner == Manner::Store { offset: 0 };
    entry.begun = true;
    let work = Work::Upload {
        file: Growing::new(file, start, Arc::clone(target.seen.insert(Arc::default()))),
        ascii,
        truncate,
        keeper: session.tree.keeper(&target.file, &target.meta),
    };
    let unproven = publish::unproven(session, &target.file, truncate);
    let (mut end, moved) = session.run(connection, work)?;
    entry.bytes = moved;
    if let (End::Garbled, Some(from)) = (end, unproven)
        && publish::is_ours(session, target)
    {
        let _ = nix::unistd::ftruncate(&target.file, from);
        // As it is now nobody else has written to it either.
        if let Ok(now) = meta_of(&target.file) {
            (target.meta, target.seen) = (now, None);
        }
    }
    if end == End::Done {
        end = complete(session, target);
    }
    session.conclude(entry, end, b"Failure writing to local file.")
}

/// Every byte that came is written: whether it was all that the client meant to send, and the file has its name; how the upload has ended.
fn complete(session: &mut Session, target: &Target) -> End {
    // A killed client's data connection ends like a finished one's; its control connection ends with it, or right after it, which is worth
    // a moment where the file would get its name, or would not be deleted.
    let taken = target.partial.is_some() || target.created && session.config.delete_failed_uploads;
    if taken && !says_its_end(session) {
        session.linger();
    }
    if session.deserted() {
        session.note(&vanished(session, target));
        return End::Network;
    }
    publish::settle(session, target).map_or_else(End::Local, |()| End::Done)
}

/// Whether an upload says itself that it is complete.
fn says_its_end(session: &Session) -> bool {
    session.modern.packed || session.protect && session.config.strict_ssl_read_eof
}

/// Opens the file of an upload; with `None` the reply has been said.
fn opened(session: &mut Session, path: &[u8], manner: Manner) -> Result<Option<Target>, Over> {
    if manner == Manner::Unique {
        return Ok(publish::unique(session, path));
    }
    if !session.admits(path) {
        return Ok(None);
    }
    let target = match publish::open(session, path, manner)? {
        Opening::Direct => create(session, path),
        Opening::Refused => None,
        Opening::Said => return Ok(None),
        Opening::Hidden(target) => Some(target),
    };
    if target.is_none() {
        session.reply(553, b"Could not create file.");
    }
    Ok(target)
}

/// Opens or makes the file that the client has named; `None` is 553.
fn create(session: &mut Session, path: &[u8]) -> Option<Target> {
    let mode = session.config.file_open_mode & 0o777;
    let fresh = session.anonymous() && !session.config.anon_other_write_enable;
    let how = if fresh { Create::New } else { Create::Open };
    let made = session.tree.create(&session.cwd, path, mode, how);
    let (file, created, meta) = made.inspect_err(|why| session.uncreated(*why)).ok()?;
    // What is written there is no upload but an order to the kernel (attacks B-063).
    let order = !created && session.tree.is_kernels(&file, &meta);
    if !meta.is_file() || order {
        session.not_stored(NO_FILE);
        return None;
    }
    Some(Target {
        file,
        meta,
        created,
        path: path.to_vec(),
        partial: None,
        seen: None,
    })
}

/// Whether what this session uploads becomes somebody else's.
pub fn gives_away(session: &Session) -> bool {
    session.anonymous() && session.config.chown_uploads
}

/// With `chown_uploads` an anonymous client's file gets its mode and its new owner before the first byte (reference §3.4.2, step 7);
/// false if it could not be given away.
fn bequeath(session: &mut Session, target: &Target) -> Result<bool, Over> {
    if !gives_away(session) {
        return Ok(true);
    }
    let change =
        |mode: u32| nix::sys::stat::fchmod(&target.file, Mode::from_bits_truncate(mode & 0o777));
    // A file that is somebody else's by now keeps its mode: only its owner may change that.
    let _ = change(session.config.chown_upload_mode);
    let Ok(file) = target.file.try_clone() else {
        return Ok(false);
    };
    match ask(session, &AfterLogin::Chown { file })? {
        AfterLoginReply::Owned => Ok(true),
        AfterLoginReply::Unavailable => {
            // One that was there before is as it was.
            let _ = change(target.meta.mode);
            Ok(false)
        }
        AfterLoginReply::Listening { port: _, socket: _ }
        | AfterLoginReply::Connecting { socket: _ }
        | AfterLoginReply::Ready => Err(Over(1)),
    }
}

/// Puts the file where the first byte belongs, and says where that is; `later` leaves what it holds to whoever has seen the client
/// prove itself. Who appends `beside` others, sessions or local processes, has each piece put behind what they have put there.
fn place(target: &Target, manner: Manner, later: bool, beside: bool) -> Result<Start, Errno> {
    let seek = |offset, whence| nix::unistd::lseek(&target.file, offset, whence);
    match manner {
        Manner::Unique => Ok(Start::default()),
        Manner::Append => {
            if beside {
                fcntl(&target.file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
            }
            let length = u64::try_from(seek(0, Whence::SeekEnd)?).map_err(|_| Errno::EOVERFLOW)?;
            Ok(Start {
                length,
                at: length,
                beside,
            })
        }
        Manner::Store { offset: 0 } => {
            // Its size from before its lock was waited for says nothing. A file without any may refuse, and a new one need not be asked.
            let empty = || meta_of(&target.file).is_ok_and(|meta| meta.size == 0);
            let mut given_up = Ok(());
            if !(later || target.created && empty()) {
                given_up = nix::unistd::ftruncate(&target.file, 0);
            }
            given_up.or_else(|why| if empty() { Ok(()) } else { Err(why) })?;
            Ok(Start::default())
        }
        Manner::Store { offset } => {
            seek(i64::try_from(offset).unwrap_or(i64::MAX), Whence::SeekSet)?;
            Ok(Start {
                length: meta_of(&target.file).map_or(0, |meta| meta.size),
                at: offset,
                beside: false,
            })
        }
    }
}

impl Session {
    fn begin(&mut self, direction: Direction, path: &[u8]) -> Entry {
        self.waited = false;
        Entry {
            direction,
            path: self.log_path(path),
            started: Instant::now(),
            bytes: 0,
            begun: false,
            logged: None,
        }
    }

    /// Whether `deny_file` and `upload_file` let a file of that name be uploaded; says 550 if not.
    pub fn admits(&mut self, path: &[u8]) -> bool {
        !self.denied(path) && self.wanted("upload_file", self.config.upload_file.clone(), path)
    }

    /// Whether `upload_file` or `download_file` lets the name pass; says 550 if not.
    pub fn wanted(&mut self, option: &str, value: Option<std::ffi::OsString>, path: &[u8]) -> bool {
        let Some(text) = value else { return true };
        let leads = self.tree.canonical(&self.cwd, path);
        let fits = Pattern::new(text.as_bytes()).allows(leads.as_deref());
        if !fits {
            self.forbidden(path, option);
            self.reply(550, b"Permission denied.");
        }
        fits
    }

    /// Logs a transfer that has not been logged yet: it has failed, and the client has been told, or has gone.
    fn close(&mut self, entry: &mut Entry, flow: Flow) -> Flow {
        if entry.logged.is_none() {
            self.record(entry, Outcome::Failed);
        }
        flow
    }

    fn record(&mut self, entry: &mut Entry, outcome: Outcome) {
        entry.logged = Some(outcome);
        if !self.verdict.recorded {
            return;
        }
        self.event(Event::Transfer {
            direction: entry.direction,
            outcome,
            path: entry.path.clone(),
            bytes: entry.bytes,
            elapsed: entry.started.elapsed(),
            ascii: self.representation == Representation::Ascii,
        });
    }

    /// Says and logs how a transfer ended: a success only when every byte is where it belongs.
    fn conclude(&mut self, entry: &mut Entry, end: End, local: &[u8]) -> Flow {
        // A success is logged before it is told, a failure after (reference §7.5).
        if end == End::Done {
            self.record(entry, Outcome::Done);
        }
        self.say_end(end, entry.direction, b"Transfer complete.", local)
    }

    /// The reply for the end of a transfer or listing, and that for an ABOR that caused it.
    ///
    /// # Errors
    /// The session ends with a stalled connection (reference §9.5).
    pub fn say_end(
        &mut self,
        end: End,
        direction: Direction,
        success: &[u8],
        local: &[u8],
    ) -> Flow {
        let aborted = std::mem::take(&mut self.aborting);
        match end {
            End::Done => self.reply(226, success),
            End::NoDirectory => self.reply(226, b"Transfer done (but failed to open directory)."),
            End::Local(why) => {
                self.note(&format!("local file: {}", why.desc()));
                self.reply(451, local);
            }
            End::Network if direction == Direction::Upload => {
                self.reply(426, b"Failure reading network stream.")
            }
            End::Network => self.reply(426, b"Failure writing network stream."),
            End::Stranger => self.reply(
                522,
                b"TLS session reuse or client certificate required; see the server's log.",
            ),
            End::Garbled | End::Unfinished => {
                self.reply(426, b"Compressed data is damaged or incomplete.")
            }
            End::Swollen => {
                self.note(
                    "upload in MODE Z: it stands for more than mode_z_max_ratio or mode_z_max_size allows",
                );
                self.reply(552, b"Too much compressed. Use MODE S.");
            }
            End::Handshake => self.reply(425, b"TLS handshake failed on the data connection."),
            End::Unable => self.reply(451, UNABLE),
            End::Deserted => return Err(Over(1)),
            End::Stalled => {
                self.stalled();
                self.reply(421, b"Data timeout. Reconnect. Sorry.");
                return Err(Over(1));
            }
        }
        if aborted {
            self.reply(226, b"ABOR successful.");
        }
        Ok(())
    }
}
