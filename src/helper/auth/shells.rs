//! The login shells of the host; auth.

use super::Reason;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

/// shells(5).
pub const HOST: &str = "/etc/shells";

/// The most that is read of a file.
const LONGEST: u64 = 16 << 20;

/// Whether a shell is one of the host's; an empty one is `/bin/sh`.
///
/// # Errors
/// The list cannot be read.
pub fn listed(shells: &str, shell: &OsStr) -> Result<bool, Reason> {
    let text = read(shells, File::open(shells))?;
    let shell = shell.as_bytes();
    let shell = if shell.is_empty() { b"/bin/sh" } else { shell };
    Ok(text
        .split(|byte| *byte == b'\n')
        .any(|line| line.trim_ascii() == shell))
}

/// Reads a file of the host's that was opened; `path` is its name.
///
/// # Errors
/// It was not, or cannot be read.
pub fn read(path: &str, file: io::Result<File>) -> Result<Vec<u8>, Reason> {
    let failed = |error| Reason::new(format!("cannot read {path}: {error}"));
    let mut text = Vec::new();
    file.and_then(|file| file.take(LONGEST).read_to_end(&mut text))
        .map_err(failed)?;
    Ok(text)
}
