//! Where the `log` records of master and helper go: standard error, and syslog once there is no terminal; filter by RUST_LOG.

use crate::sys::syslog::{Level, Syslog};
use log::{LevelFilter, Metadata, Record};
use std::io::Write;
use std::time::Duration;

/// How long a line waits for a system's log that is behind: master has clients to serve.
const PATIENCE: Duration = Duration::from_millis(100);

struct Diagnostics {
    filter: env_logger::Logger,
    background: bool,
}

/// Starts it; RUST_LOG is read here, before the environment is cleared. Without it, `info` and above are written.
pub fn start(background: bool) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(LevelFilter::Info);
    if let Ok(filter) = std::env::var("RUST_LOG") {
        builder.parse_filters(&filter);
    }
    let filter = builder.build();
    log::set_max_level(filter.filter());
    // A second start would only mean that the first one already serves.
    let _ = log::set_boxed_logger(Box::new(Diagnostics { filter, background }));
}

impl log::Log for Diagnostics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.filter.matches(record) {
            return;
        }
        // Some of it is what a process without rights had to say.
        let text = crate::config::one_line(&record.args().to_string());
        if self.background {
            let level = if record.level() <= log::Level::Warn {
                Level::Warning
            } else {
                Level::Info
            };
            // Connected anew each time: a descriptor kept here would be closed, and its number reused, in children.
            Syslog::new("vsftpd", PATIENCE).send(level, text.as_bytes());
        } else {
            // One write, so that lines of several processes do not mix.
            let _ = std::io::stderr().write_all(format!("vsftpd: {text}\n").as_bytes());
        }
    }

    fn flush(&self) {}
}
