//! What a worker does when it has given up everything: has its fences stand, refuses a root that its user may write to, and finds where the
//! user starts; a login that leads nowhere ends here.

use super::jail::{Arrived, Reached};
use super::rights::{asks_the_host, rights};
use super::{Class, Client, Handover, Verdict, state};
use crate::config::Config;
use crate::sys::account;
use crate::sys::confine::{Confined, Fences, Wanted};
use crate::sys::landlock::Reach;
use crate::sys::names;
use crate::sys::schedule;
use crate::sys::seccomp::List;
use crate::sys::tree::{Tree, VirtualPath};
use crate::wire::{AfterLogin, AfterLoginReply, Channel, Event, Said};
use nix::errno::Errno;
use std::ffi::OsString;
use std::fmt;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A worker that has arrived.
#[derive(Debug)]
pub struct Jail {
    /// Proof that everything was given up.
    pub confined: Confined,
    /// All files there are for it.
    pub tree: Tree,
    /// Where it starts, and what `~` means.
    pub start: VirtualPath,
}

/// The fences of a worker, and what is done before they stand.
pub fn fences<'a>(
    config: &Config,
    verdict: &Verdict,
    wanted: Wanted,
    reached: &'a Reached,
) -> Fences<'a> {
    schedule::answer_first();
    let rights = rights(config, verdict.rules);
    let names = asks_the_host(config, verdict.chroot);
    if names && wanted.calls {
        wake_name_service();
    }
    let reach = match reached {
        Ok(arrived) => Reach::Below {
            root: (config.run_as_launching_user && verdict.chroot).then(|| arrived.opened.as_fd()),
            rights,
        },
        Err(_) => Reach::Nothing { connects: false },
    };
    Fences {
        tasks: tasks(config),
        ..wanted.fences(List::Worker { rights, names }, reach)
    }
}

/// Tasks of the same user that are no session's, beyond those that there are now.
const OTHERS: u64 = 512;

/// How many tasks the user may have. The filter lets the data thread be started, and cannot count: who has taken a worker over before its
/// first long transfer could start threads until the host or the service has no room for one. The kernel counts them by user, all sessions
/// together, with two for each.
fn tasks(config: &Config) -> Option<u64> {
    let now = nix::sys::sysinfo::sysinfo().ok()?.process_count();
    let sessions = u64::from(config.max_clients).saturating_mul(2);
    let tasks = u64::from(now)
        .saturating_add(sessions)
        .saturating_add(OTHERS);
    (sessions > 0).then_some(tasks)
}

/// Has the C library load the modules of the name service, which is done once, before it could not any more.
fn wake_name_service() {
    let _ = names::name_of_uid(nix::unistd::getuid().as_raw());
    let _ = names::name_of_gid(nix::unistd::getgid().as_raw());
    // One that is nowhere: every module is asked.
    let _ = account::find(b"vsftpd-nobody-has-this-name");
}

/// Serves, or says why not; gives the exit status.
pub fn live(
    config: &'static Config,
    client: Client,
    verdict: Verdict,
    (confined, reached): (Confined, Reached),
    mut channel: Channel<AfterLogin, AfterLoginReply>,
    handover: Handover,
) -> i32 {
    match settle(config, &verdict, confined, reached) {
        Ok(jail) => {
            // Whom a user has logged in to has no rights any more when that user is told so.
            let ready = channel
                .send(&AfterLogin::Arrived)
                .and_then(|()| channel.receive());
            if !matches!(ready, Ok(Some(AfterLoginReply::Ready))) {
                return 1;
            }
            state::Session::new(config, client, verdict, jail, channel, handover).serve()
        }
        Err(oops) => turn_away(&oops, &client, &mut channel),
    }
}

#[inline(never)]
fn turn_away(
    oops: &Oops,
    client: &Client,
    channel: &mut Channel<AfterLogin, AfterLoginReply>,
) -> i32 {
    let words = format!("500 OOPS: {oops}\r\n");
    client.socket.last_word(words.as_bytes());
    let note = Said::Note(oops.note().into_bytes());
    // Without a helper there is no log to write to.
    let _ = channel.send(&AfterLogin::Event(Event::Said(note)));
    2
}

#[inline(never)]
fn settle(
    config: &Config,
    verdict: &Verdict,
    confined: Confined,
    reached: Reached,
) -> Result<Jail, Oops> {
    let reached = reached.map_err(|(path, why)| Oops::Directory(path, why));
    let Arrived {
        opened,
        path,
        here,
        inner,
    } = reached?;
    // Without the right to change roots the tree's own root is the fence.
    let tree = if config.run_as_launching_user && verdict.chroot {
        Tree::from_fd(opened)
    } else {
        Tree::open("/").map_err(|why| Oops::Tree(why.to_string()))?
    };
    let known = !matches!(verdict.class, Class::Anonymous { .. });
    let lenient = known && config.allow_writeable_chroot;
    // An ordinary user's own directory is that user's to write in; what clients may do there, write_enable says.
    if verdict.chroot && !lenient && !config.run_as_launching_user && confined.root_is_writable() {
        return Err(Oops::writable(&verdict.class, path));
    }
    let start = start(&tree, verdict, here, inner).map_err(|why| Oops::Directory(path, why))?;
    Ok(Jail {
        confined,
        tree,
        start,
    })
}

/// Where the session starts within its tree. Nowhere else: what was entered a moment ago is there, whatever the kernel lacks now.
fn start(
    tree: &Tree,
    verdict: &Verdict,
    here: Result<PathBuf, Errno>,
    inner: Option<OsString>,
) -> Result<VirtualPath, Errno> {
    let mut start = VirtualPath::root();
    if !verdict.chroot {
        start = tree.enter(&start, here?.as_os_str().as_bytes())?;
    }
    // One that is not there leaves the session in the directory before it.
    match inner.map(|inner| tree.enter(&start, inner.as_bytes())) {
        Some(Err(why)) if is_no_place(why) => Ok(start),
        None => Ok(start),
        Some(there) => there,
    }
}

/// Whether there is no such directory for the user, as opposed to what the kernel or a disk cannot do.
pub fn is_no_place(why: Errno) -> bool {
    matches!(
        why,
        Errno::ENOENT
            | Errno::ENOTDIR
            | Errno::EACCES
            | Errno::EPERM
            | Errno::ELOOP
            | Errno::ENAMETOOLONG
    )
}

/// Why the login ends in a `500 OOPS: ` line.
#[derive(Debug)]
pub enum Oops {
    /// A directory of the login cannot be entered.
    Directory(OsString, Errno),
    /// The root of the jail can be written to by its prisoner.
    WritableRoot(OsString),
    /// The same for an anonymous one, whom no option allows that.
    WritableGuestRoot(OsString),
    /// The root cannot be opened; the client learns no more than that.
    Tree(String),
}

impl fmt::Display for Oops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path, _) => {
                write!(f, "cannot change directory:{}", path.to_string_lossy())
            }
            Self::WritableRoot(_) | Self::WritableGuestRoot(_) => {
                f.write_str("vsftpd: refusing to run with writable root inside chroot()")
            }
            Self::Tree(_) => f.write_str("cannot start the session"),
        }
    }
}

impl Oops {
    fn writable(class: &Class, root: OsString) -> Self {
        match class {
            Class::Anonymous { .. } => Self::WritableGuestRoot(root),
            Class::Guest | Class::Local => Self::WritableRoot(root),
        }
    }

    /// The same for the administrator, with the cure.
    pub fn note(&self) -> String {
        match self {
            Self::Directory(path, why) => {
                let path = path.to_string_lossy();
                let cure = if is_no_place(*why) {
                    "; create it and let the user enter it"
                } else {
                    ""
                };
                format!("login ended: cannot change directory to {path}: {why}{cure}")
            }
            Self::WritableRoot(path) => {
                let path = path.to_string_lossy();
                format!(
                    "login ended: the user may write to {path}, the root of the jail: chmod a-w {path} and give the user a \
                     directory below it to write to, or set allow_writeable_chroot=YES"
                )
            }
            Self::WritableGuestRoot(path) => {
                let path = path.to_string_lossy();
                format!(
                    "login ended: guests may write to {path}, their root: chown root {path}, chmod 755 {path}, and give them a directory \
                     below it to write to; allow_writeable_chroot is not for guests"
                )
            }
            Self::Tree(why) => format!("login ended: open /: {why}"),
        }
    }
}
