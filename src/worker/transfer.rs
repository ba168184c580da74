//! RETR, STOR, APPE and STOU, and the wait for a transfer's end during which the client is still heard; worker.

use super::data::Wish;
use super::mover::{End, Job, Line, Mover, Work};
use super::state::{Flow, Over, Representation, Session};
use crate::ftp::pattern::Pattern;
use crate::sys::tree::{Create, Meta, kernel_fs};
use crate::wire::{Direction, Event, Outcome};
use nix::fcntl::FcntlArg;
use nix::poll::{PollFd, PollFlags};
use nix::unistd::Whence;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Names STOU tries before it gives up (attacks B-056).
const TRIES: u32 = 10_000;

/// A transfer that is logged when it ends, however it ends.
struct Entry {
    direction: Direction,
    path: Vec<u8>,
    started: Instant,
}

/// How an upload came by its file.
struct Target {
    file: OwnedFd,
    meta: Meta,
    /// There was none before.
    created: bool,
    path: Vec<u8>,
}

/// RETR (reference §3.4.1).
pub fn retr(session: &mut Session, arg: &[u8]) -> Flow {
    let offset = std::mem::take(&mut session.restart);
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
    let entry = session.begin(Direction::Download, &path);
    if session.denied(&path) || !session.wanted(session.config.download_file.clone(), &path) {
        return session.failed(&entry, 0);
    }
    let Ok((file, meta)) = session.tree.open_read(&session.cwd, &path) else {
        session.reply(550, b"Failed to open file.");
        return session.failed(&entry, 0);
    };
    // What the kernel makes up has no size and is no file to serve (attacks B-063).
    if !meta.is_file() || (meta.size == 0 && kernel_fs(&file)) {
        // Not logged: a client that tries whether a name is a directory is no failed download (reference §3.4.1).
        session.reply(550, b"Failed to open file.");
        return Ok(());
    }
    if session.anonymous() && session.config.anon_world_readable_only && meta.mode & 0o004 == 0 {
        session.reply(550, b"Failed to open file.");
        return session.failed(&entry, 0);
    }
    if session.config.lock_upload_files && !session.lock(&file, libc::F_RDLCK)? {
        return session.failed(&entry, 0);
    }
    let seek = i64::try_from(offset).unwrap_or(i64::MAX);
    if offset != 0 && nix::unistd::lseek(&file, seek, Whence::SeekSet).is_err() {
        session.reply(550, b"Failed to open file.");
        return session.failed(&entry, 0);
    }
    let Some(connection) = session.open_data()? else {
        return session.failed(&entry, 0);
    };
    let mode = if ascii { "ASCII" } else { "BINARY" };
    let text = [
        format!("Opening {mode} mode data connection for ").as_bytes(),
        &path,
        format!(" ({} bytes).", meta.size).as_bytes(),
    ]
    .concat();
    session.reply(150, &text);
    let sendfile = session.config.use_sendfile;
    let work = Work::Download {
        file,
        offset,
        end: meta.size,
        ascii,
        sendfile,
    };
    let (end, moved) = session.run(connection, work)?;
    session.conclude(&entry, end, moved, b"Failure reading local file.")
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Store { offset: u64 },
    Append,
    Unique,
}

fn upload(session: &mut Session, arg: &[u8], manner: Manner) -> Flow {
    if !session.data_ready() {
        return Ok(());
    }
    let path = session.expand(arg);
    let mut entry = session.begin(Direction::Upload, &path);
    if session.denied(&path) || !session.wanted(session.config.upload_file.clone(), &path) {
        return session.failed(&entry, 0);
    }
    let Some(target) = create(session, &path, manner) else {
        session.reply(553, b"Could not create file.");
        return session.failed(&entry, 0);
    };
    entry.path = session.log_path(&target.path);
    if session.config.lock_upload_files && !session.lock(&target.file, libc::F_WRLCK)? {
        session.undo(&target);
        return session.failed(&entry, 0);
    }
    let Some(connection) = session.open_data()? else {
        session.undo(&target);
        return session.failed(&entry, 0);
    };
    // Only now, with the client's bytes at hand, is what the file held given up (reference §10, 28).
    if !place(&target, manner) {
        session.reply(553, b"Could not create file.");
        session.undo(&target);
        return session.failed(&entry, 0);
    }
    match manner {
        Manner::Unique => {
            let text = [b"FILE: ".as_slice(), &target.path].concat();
            session.reply(150, &text);
        }
        Manner::Store { .. } | Manner::Append => session.reply(150, b"Ok to send data."),
    }
    let ascii =
        session.representation == Representation::Ascii && session.config.ascii_upload_enable;
    let (created, name) = (target.created, target.path);
    let (mut end, moved) = session.run(
        connection,
        Work::Upload {
            file: target.file,
            ascii,
        },
    )?;
    // A killed client's data connection ends like a finished one's; its control connection ends with it.
    if end == End::Done && session.deserted() {
        session.note("upload: the client vanished; the file may be incomplete");
        end = End::Network;
    }
    if end != End::Done && created && session.config.delete_failed_uploads {
        let _ = session.tree.unlink(&session.cwd, &name);
    }
    session.conclude(&entry, end, moved, b"Failure writing to local file.")
}

/// Opens the file of an upload; `None` is 553.
fn create(session: &Session, path: &[u8], manner: Manner) -> Option<Target> {
    let mode = session.config.file_open_mode & 0o777;
    let fresh = session.anonymous() && !session.config.anon_other_write_enable;
    match manner {
        Manner::Unique => unique(session, path, mode),
        Manner::Store { .. } | Manner::Append => {
            let how = if fresh { Create::New } else { Create::Open };
            let (file, created, meta) = session.tree.create(&session.cwd, path, mode, how).ok()?;
            meta.is_file().then(|| Target {
                file,
                meta,
                created,
                path: path.to_vec(),
            })
        }
    }
}

/// The given name if it is free, else with `.1`, `.2` …; without a name `STOU.1` and on.
fn unique(session: &Session, path: &[u8], mode: u32) -> Option<Target> {
    let base: &[u8] = if path.is_empty() { b"STOU" } else { path };
    let first = u32::from(path.is_empty());
    (first..TRIES).find_map(|number| {
        let name = if number == 0 {
            base.to_vec()
        } else {
            [base, format!(".{number}").as_bytes()].concat()
        };
        match session.tree.create(&session.cwd, &name, mode, Create::New) {
            Ok((file, created, meta)) => Some(Some(Target {
                file,
                meta,
                created,
                path: name,
            })),
            Err(nix::errno::Errno::EEXIST) => None,
            Err(_) => Some(None),
        }
    })?
}

/// Puts the file where the first byte belongs.
fn place(target: &Target, manner: Manner) -> bool {
    match manner {
        Manner::Unique => true,
        Manner::Append => nix::unistd::lseek(&target.file, 0, Whence::SeekEnd).is_ok(),
        Manner::Store { offset: 0 } => {
            target.meta.size == 0 || nix::unistd::ftruncate(&target.file, 0).is_ok()
        }
        Manner::Store { offset } => {
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            nix::unistd::lseek(&target.file, offset, Whence::SeekSet).is_ok()
        }
    }
}

impl Session {
    fn begin(&self, direction: Direction, path: &[u8]) -> Entry {
        Entry {
            direction,
            path: self.log_path(path),
            started: Instant::now(),
        }
    }

    /// Whether `upload_file` or `download_file` lets the name pass; says 550 if not.
    fn wanted(&mut self, option: Option<std::ffi::OsString>, path: &[u8]) -> bool {
        let Some(text) = option else { return true };
        let fits = self.matches(&Pattern::new(text.as_bytes()), path);
        if !fits {
            self.reply(550, b"Permission denied.");
        }
        fits
    }

    /// Removes what an upload that never began has made.
    fn undo(&self, target: &Target) {
        if target.created {
            let _ = self.tree.unlink(&self.cwd, &target.path);
        }
    }

    /// Logs a transfer that has failed; its reply has been said.
    fn failed(&mut self, entry: &Entry, bytes: u64) -> Flow {
        self.record(entry, Outcome::Failed, bytes);
        Ok(())
    }

    fn record(&mut self, entry: &Entry, outcome: Outcome, bytes: u64) {
        self.event(Event::Transfer {
            direction: entry.direction,
            outcome,
            path: entry.path.clone(),
            bytes,
            elapsed: entry.started.elapsed(),
            ascii: self.representation == Representation::Ascii,
        });
    }

    /// Says and logs how a transfer ended: a success only when every byte is where it belongs.
    fn conclude(&mut self, entry: &Entry, end: End, bytes: u64, local: &[u8]) -> Flow {
        let outcome = if end == End::Done {
            Outcome::Done
        } else {
            Outcome::Failed
        };
        if outcome == Outcome::Done {
            self.record(entry, outcome, bytes);
        }
        let result = self.say_end(end, entry.direction, b"Transfer complete.", local);
        if outcome == Outcome::Failed {
            self.record(entry, outcome, bytes);
        }
        result
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
            End::Stalled => {
                self.reply(421, b"Data timeout. Reconnect. Sorry.");
                return Err(Over(1));
            }
        }
        if aborted {
            self.reply(226, b"ABOR successful.");
        }
        Ok(())
    }

    /// Has the data thread do the work and hears the client meanwhile; gives how it ended and the bytes moved.
    ///
    /// # Errors
    /// The session is over.
    pub fn run(&mut self, connection: OwnedFd, work: Work) -> Result<(End, u64), Over> {
        if self.mover.is_none() {
            match Mover::start() {
                Ok(mover) => self.mover = Some(mover),
                Err(error) => {
                    self.note(&format!("cannot start the data thread: {error}"));
                    return Ok((End::Local(nix::errno::Errno::EAGAIN), 0));
                }
            }
        }
        let line = Arc::new(Line::new(connection));
        let stall = u64::from(self.config.data_connection_timeout);
        let job = Job {
            line: Arc::clone(&line),
            work,
            rate: self.rate(),
            stall: (stall > 0).then(|| Duration::from_secs(stall)),
            chunk: chunk(self.config.trans_chunk_size),
        };
        self.control.flush().map_err(|_| Over(1))?;
        if !self.mover.as_ref().is_some_and(|mover| mover.give(job)) {
            return Err(Over(1));
        }
        let end = self.attend(&line);
        if end.is_err() {
            line.cut();
        }
        Ok((end?, line.moved()))
    }

    /// Waits for the job's end.
    fn attend(&mut self, line: &Line) -> Result<End, Over> {
        loop {
            let listening = self.held.is_none() && !self.control.ended();
            let mover = self.mover.as_ref().ok_or(Over(1))?;
            let mut fds = [
                PollFd::new(mover.fd(), PollFlags::POLLIN),
                PollFd::new(self.control.fd(), PollFlags::POLLIN),
            ];
            let watched = if listening {
                &mut fds[..]
            } else {
                fds.get_mut(..1).unwrap_or_default()
            };
            crate::sys::socket::wait(watched, None).map_err(|_| Over(1))?;
            let spoken = watched.get(1).and_then(PollFd::any).unwrap_or(false);
            if let Some(end) = mover.end() {
                return Ok(end);
            }
            if spoken && self.hear(Some(line.moved()))? == Wish::Abort && !self.aborting {
                self.aborting = true;
                line.cut();
            }
        }
    }

    /// Whether the client has closed the control connection without a QUIT.
    fn deserted(&mut self) -> bool {
        let mut fds = [PollFd::new(
            self.control.fd(),
            crate::sys::socket::PEER_ENDED,
        )];
        let now = Some(Instant::now());
        if !self.control.ended() && !crate::sys::socket::wait(&mut fds, now).unwrap_or(true) {
            return false;
        }
        // What it said before it left decides: somebody who pipes commands in ends with QUIT.
        while self.held.is_none() && !self.control.ended() && self.hear(None).is_ok() {}
        !self
            .held
            .as_ref()
            .is_some_and(|line| line.bytes().to_ascii_uppercase().starts_with(b"QUIT"))
    }

    /// Waits for a lock on the whole file, hearing the client, for as long as a data connection may stall. False: the reply
    /// has been said.
    fn lock(&mut self, file: &OwnedFd, kind: libc::c_int) -> Result<bool, Over> {
        let deadline = match self.config.data_connection_timeout {
            0 => None,
            seconds => Instant::now().checked_add(Duration::from_secs(seconds.into())),
        };
        loop {
            let range = libc::flock {
                l_type: i16::try_from(kind).unwrap_or_default(),
                l_whence: 0,
                l_start: 0,
                l_len: 0,
                l_pid: 0,
            };
            match nix::fcntl::fcntl(file.as_fd(), FcntlArg::F_SETLK(&range)) {
                Err(nix::errno::Errno::EACCES | nix::errno::Errno::EAGAIN) => {}
                // File systems without locks are used without them, as by the original.
                Ok(_) | Err(_) => return Ok(true),
            }
            if deadline.is_some_and(|at| Instant::now() >= at) {
                self.reply(450, b"File is in use by another session.");
                return Ok(false);
            }
            let nap = Instant::now().checked_add(Duration::from_millis(50));
            let listening = self.held.is_none() && !self.control.ended();
            let mut fds = [PollFd::new(self.control.fd(), PollFlags::POLLIN)];
            let watched = if listening {
                &mut fds[..]
            } else {
                &mut fds[..0]
            };
            let spoken = crate::sys::socket::wait(watched, nap).map_err(|_| Over(1))?;
            if spoken && self.hear(None)? == Wish::Abort {
                self.reply(426, b"Failure waiting for the file.");
                self.reply(226, b"ABOR successful.");
                return Ok(false);
            }
        }
    }
}

/// `trans_chunk_size` (reference §1.2, 20); without it large pieces, because calls cost more than memory.
fn chunk(option: u32) -> usize {
    match usize::try_from(option) {
        Ok(size) if (1..65_536).contains(&size) => size.max(4096),
        Ok(_) | Err(_) => 256 * 1024,
    }
}
