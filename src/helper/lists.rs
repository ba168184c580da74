//! The lists of names and other small files the options point to, read as root; helper.

use crate::config::{How, Own, View};
use crate::sys::{confine, small};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;

/// The lines of a file.
#[derive(Debug, Clone)]
pub struct List(Vec<u8>);

impl List {
    /// Whether the text is a line of the file, to the byte; blanks and a CR at the end of a line do not count.
    pub fn contains(&self, text: &[u8]) -> bool {
        let mut lines = self.0.split_inclusive(|byte| *byte == b'\n');
        lines.any(|line| line.trim_ascii_end() == text)
    }
}

/// Reads a list. An empty line is a line, as in the original: it bans the empty password.
///
/// # Errors
/// As [`text`].
pub fn read(what: &str, path: Option<&OsStr>) -> Result<List, String> {
    text(what, path).map(List)
}

/// Reads a small file.
///
/// # Errors
/// The original's text for `what` went wrong; and the reason, if it is one of ours.
pub fn text(what: &str, path: Option<&OsStr>) -> Result<Vec<u8>, String> {
    let path = Path::new(path.unwrap_or_default());
    let open = || Own.open(path, How::File);
    let opened = open().or_else(|_| confine::with_search(open));
    let read = opened.and_then(small::read);
    read.map_err(|why| {
        let ours = matches!(why.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput);
        let why = Some(why).filter(|_| ours).map(|why| format!(" ({why})"));
        format!("{what}:{}{}", path.display(), why.unwrap_or_default())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::List;
    use std::ffi::OsStr;

    fn text(path: &str) -> Result<Vec<u8>, String> {
        super::text("cannot read", Some(OsStr::new(path)))
    }

    fn read(path: &str) -> Result<List, String> {
        super::read("cannot read", Some(OsStr::new(path)))
    }

    #[test]
    fn lines_are_exact_but_for_their_ends() {
        let path = std::env::temp_dir().join(format!("vsftpd-list-{}", std::process::id()));
        std::fs::write(&path, b"alice\r\nbob  \n\nCarol").unwrap();
        let name = path.to_str().unwrap();
        let list = read(name).unwrap();
        assert!(list.contains(b"alice") && list.contains(b"bob") && list.contains(b"Carol"));
        assert!(!list.contains(b"carol") && list.contains(b"") && !list.contains(b"ali"));
        assert_eq!(text(name).unwrap(), b"alice\r\nbob  \n\nCarol");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn only_regular_files_are_read() {
        assert!(text("/dev/null").unwrap().is_empty());
        assert!(!read("/dev/null").unwrap().contains(b""));
        let why = "cannot read:/dev/zero (not a regular file)".to_owned();
        assert_eq!(text("/dev/zero"), Err(why));
        assert!(text("/").is_err());
        assert_eq!(text("/nothing"), Err("cannot read:/nothing".to_owned()));
    }
}
