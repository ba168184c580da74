//! The settings of a single user: the file in `user_config_dir` named after the login (reference §2.6); helper, still root.

use super::prepared::Held;
use crate::config::options::Scope;
use crate::sys::confine;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The settings with the user's file read over them, and remarks for the log.
pub type Found<'a> = (Held<'a>, Vec<String>);

/// Looks for the user's file; no directory, no file, or a name that is no file name: the settings as they are.
///
/// # Errors
/// What ends the session, in the original's words, and every mistake for the log.
pub fn settings<'a>(prepared: Held<'a>, name: &[u8]) -> Result<Found<'a>, (String, Vec<String>)> {
    let directory = prepared.config().user_config_dir.as_deref();
    let is_name = !name.contains(&b'/') && !matches!(name, b"" | b"." | b"..");
    let Some(directory) = directory.filter(|_| is_name) else {
        return Ok((prepared, Vec::new()));
    };
    let file = Path::new(directory).join(OsStr::from_bytes(name));
    let shown = file.display();
    if let Err(error) = confine::with_search(|| std::fs::metadata(&file)) {
        // No file there, or what should be a directory is none.
        if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
            return Ok((prepared, Vec::new()));
        }
        let text = "error opening per-user config file".to_owned();
        return Err((text, vec![format!("{shown}: {error}")]));
    }
    match prepared.read_over(&file, Scope::PerUser) {
        Ok((prepared, remarks)) => Ok((Held::from(prepared), remarks)),
        Err(details) => Err((format!("cannot read config file: {shown}"), details)),
    }
}
