//! Where the `log` records of master and helper go: standard error, and syslog once there is no terminal; filter by RUST_LOG.

use crate::sys::syslog::Syslog;
use log::LevelFilter;
use std::io::Write;
use std::time::Duration;

/// How long a line waits for a system's log that is behind: master has clients to serve.
const PATIENCE: Duration = Duration::from_millis(100);

/// Starts it; RUST_LOG is read here, before the environment is cleared. Without it, `info` and above are written.
pub fn start(background: bool) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(LevelFilter::Info);
    builder.parse_env("RUST_LOG");
    builder.format(move |out, record| {
        // Some of it is what a process without rights had to say.
        let text = crate::config::one_line(&record.args().to_string());
        if !background {
            // Written at once, so that lines of several processes do not mix.
            return writeln!(out, "vsftpd: {text}");
        }
        let warning = record.level() <= log::Level::Warn;
        // Connected anew each time: a descriptor kept here would be closed, and its number reused, in children.
        Syslog::new("vsftpd", PATIENCE).send(warning, text.as_bytes());
        Ok(())
    });
    // A second start would only mean that the first one already serves.
    let _ = builder.try_init();
}
