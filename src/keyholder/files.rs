//! The files of certificates, keys and authorities: opened by master, all of them before any is read; keyholder, without rights.

use super::Telling;
use super::load::Unusable;
use crate::config::How;
use crate::config::certificates::{self, Pair};
use crate::wire::{FromReader, ToReader};
use nix::sys::stat::SFlag;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;

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

/// Has the files of every pair opened that the options name, and that of the authorities; then nothing is opened for this process any more.
///
/// # Errors
/// Master has gone.
pub fn all(telling: &mut Telling<'_>) -> Result<(Vec<Files>, Authorities), Unusable> {
    let mut files = Vec::new();
    for pair in certificates::all(telling.loaded) {
        files.push(Files {
            certificate: open(telling, &pair.certificate)?,
            key: open(telling, &pair.key)?,
            pair,
        });
    }
    let authorities = match certificates::authorities(&telling.loaded.config) {
        Some(path) => Some((path.to_owned(), open(telling, path)?)),
        None => None,
    };
    telling.say(&FromReader::Provided)?;
    Ok((files, authorities))
}

fn open(telling: &mut Telling<'_>, path: &OsStr) -> Result<Opened, Unusable> {
    let path = path.as_bytes().to_vec();
    let how = How::File;
    telling.say(&FromReader::Open { path, how })?;
    match telling.master.receive() {
        Ok(Some(ToReader::Opened(file))) => Ok(regular(file.into()).map_err(|why| why.to_string())),
        Ok(Some(ToReader::Failed(error))) => Ok(Err(io::Error::from_raw_os_error(
            error.cast_signed(),
        )
        .to_string())),
        Ok(None) => Err(Unusable),
        // The kernel does not say more: there was no room for the descriptor.
        Err(_) => Ok(Err(
            "it cannot be taken over; raise the limit of open files".to_owned(),
        )),
    }
}

fn regular(file: File) -> io::Result<(File, usize)> {
    let facts = nix::sys::stat::fstat(&file)?;
    if facts.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return Err(io::Error::other("not a regular file"));
    }
    let length = u64::try_from(facts.st_size).unwrap_or(0).min(LONGEST);
    Ok((file, usize::try_from(length).unwrap_or(0)))
}
