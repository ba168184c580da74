//! The keyholder's first steps: opens the files of certificates and keys without reading them, and gives everything up; keyholder, as root.

use super::Master;
use crate::config::Loaded;
use crate::config::certificates::{self, Pair};
use crate::sys::confine::{self, Plan};
use crate::sys::process;
use crate::wire::FromKeyholder;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

/// Its resource limits. Its descriptors are one for each session: that limit is the system's.
pub const LIMITS: &[(Resource, u64)] = &[
    (Resource::RLIMIT_NPROC, 0),
    (Resource::RLIMIT_FSIZE, 0),
    (Resource::RLIMIT_CORE, 0),
    (Resource::RLIMIT_DATA, 256 << 20),
];

/// More than any file of certificates, of all authorities there are.
pub const LONGEST: u64 = 16 << 20;

/// A file and how long it is, or why there is none.
pub type Opened = Result<(File, usize), String>;

/// `ca_certs_file`, if it counts.
pub type Authorities = Option<(OsString, Opened)>;

/// A certificate and its key.
#[derive(Debug)]
pub struct Files {
    /// Their names.
    pub pair: Pair,
    /// The certificate.
    pub certificate: Opened,
    /// The key.
    pub key: Opened,
}

/// Opens the files, gives everything up, and then does its work; gives the exit status.
pub fn run(loaded: &Loaded, plan: &Plan<'_>, empty: Option<&OwnedFd>, mut master: Master) -> i32 {
    let _ = nix::unistd::setsid();
    process::silence_session();
    // One descriptor for each session: as many as the system lets this process have.
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    let files = all(loaded);
    let authorities = certificates::authorities(&loaded.config);
    let authorities = authorities.map(|path| (path.to_owned(), open(path)));
    if let Err(failure) = confine::confine(plan) {
        let why = loaded.mistake("secure_chroot_dir", failure.to_string());
        let _ = master.send(&FromKeyholder::Mistake(why.into_bytes()));
        return 1;
    }
    // The empty directory has been entered: nothing names it any more.
    if let Some(empty) = empty {
        process::close_inherited(empty);
    }
    let title = loaded.config.setproctitle_enable && empty.is_some();
    super::work(loaded, (files, authorities), master, title)
}

/// Those of every pair the options name.
fn all(loaded: &Loaded) -> Vec<Files> {
    let pairs = certificates::all(loaded).into_iter();
    let files = pairs.map(|pair| Files {
        certificate: open(&pair.certificate),
        key: open(&pair.key),
        pair,
    });
    files.collect()
}

fn open(path: &OsStr) -> Opened {
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags).open(path);
    let file = file.map_err(|error| error.to_string())?;
    let facts = file.metadata().map_err(|error| error.to_string())?;
    if !facts.is_file() {
        return Err("not a regular file".to_owned());
    }
    let length = usize::try_from(facts.size().min(LONGEST)).unwrap_or(0);
    Ok((file, length))
}
