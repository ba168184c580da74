//! Small files of the administrator's, read as a whole; helper before login, reader.

use super::logfile;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

/// The longest; a longer one is an error: the original silently reads the first 100000 bytes only.
const LONGEST: u64 = 1 << 20;

/// Reads it as it is.
///
/// # Errors
/// It cannot be read, is no regular file, or is too long. /dev/null is an empty file: settings name it for "none".
pub fn read(file: OwnedFd) -> io::Result<Vec<u8>> {
    let meta = nix::sys::stat::fstat(&file)?;
    logfile::regular(&meta)?;
    if logfile::is_null(&meta) {
        return Ok(Vec::new());
    }
    let mut text = Vec::new();
    File::from(file).take(LONGEST + 1).read_to_end(&mut text)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LONGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "longer than 1 MiB",
        ));
    }
    Ok(text)
}
