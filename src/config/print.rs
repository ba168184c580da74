//! Prints the settings for `--print-config`; runs in no server.

use std::io::{self, Write};

use super::loaded::{Loaded, Origin};

/// Writes every option with its value, each below a comment that tells where it came from; a vsftpd.conf with the same effect.
pub fn print(loaded: &Loaded, out: &mut dyn Write) -> io::Result<()> {
    for (row, origin) in loaded.rows() {
        match origin {
            Origin::Default => writeln!(out, "# default")?,
            Origin::Setting | Origin::Line { .. } => writeln!(out, "# from {origin}")?,
        }
        out.write_all(row.name.as_bytes())?;
        out.write_all(b"=")?;
        out.write_all(&row.value(&loaded.config).printed())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
