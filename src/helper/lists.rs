//! The lists of names and other small files the options point to, read as root; helper.

use crate::sys::small;
use std::io;
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
pub fn read(path: &Path) -> io::Result<List> {
    text(path).map(List)
}

/// Reads a small file.
///
/// # Errors
/// As [`small::read`], or it cannot be opened.
pub fn text(path: &Path) -> io::Result<Vec<u8>> {
    small::read(small::open(path)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{read, text};
    use std::path::Path;

    #[test]
    fn lines_are_exact_but_for_their_ends() {
        let path = std::env::temp_dir().join(format!("vsftpd-list-{}", std::process::id()));
        std::fs::write(&path, b"alice\r\nbob  \n\nCarol").unwrap();
        let list = read(&path).unwrap();
        assert!(list.contains(b"alice") && list.contains(b"bob") && list.contains(b"Carol"));
        assert!(!list.contains(b"carol") && list.contains(b"") && !list.contains(b"ali"));
        assert_eq!(text(&path).unwrap(), b"alice\r\nbob  \n\nCarol");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn only_regular_files_are_read() {
        assert!(text(Path::new("/dev/null")).unwrap().is_empty());
        assert!(!read(Path::new("/dev/null")).unwrap().contains(b""));
        assert!(text(Path::new("/dev/zero")).is_err());
        assert!(text(Path::new("/")).is_err());
    }
}
