//! A directory of the target's own, removed when the process ends well.

use std::path::{Path, PathBuf};

pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("vsftpd-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it, written anew.
    pub fn write(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}
