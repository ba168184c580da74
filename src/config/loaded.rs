//! The settings that hold, and where each came from: what the reader hands over, and every other process goes by.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::hosts::Hosts;
use super::options::{Config, TABLE, position};
use super::value::Value;

/// One argument of the command line that makes settings, in the order they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of settings.
    File(PathBuf),
    /// `-oNAME=VALUE`, without the `-o`.
    Setting(Vec<u8>),
}

/// Where the value of an option came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The command line, `-o`.
    Setting,
    /// A file.
    Line {
        /// Its path as given.
        file: Arc<Path>,
        /// The line, from 1; 0 stands for the file as a whole.
        line: u32,
    },
}

/// Settings, and where each came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Arc<Config>,
    /// For each row of [`TABLE`], where its value came from.
    pub(super) origins: Vec<Origin>,
    /// The settings of each host (`host_config_dir`).
    pub hosts: Arc<Hosts>,
    /// What `ssl_ciphers` comes to, as TLS numbers them, the most wanted first; of the server as a whole.
    pub suites: Vec<u16>,
}

impl Default for Loaded {
    /// Nobody has set anything.
    fn default() -> Self {
        Self {
            config: Arc::default(),
            origins: vec![Origin::Default; TABLE.len()],
            hosts: Arc::default(),
            suites: Vec::new(),
        }
    }
}

impl Loaded {
    /// Where the value of the option with this name came from.
    pub fn origin(&self, name: &str) -> &Origin {
        position(name.as_bytes())
            .and_then(|index| self.origins.get(index))
            .unwrap_or(&Origin::Default)
    }

    /// Whether anybody has set the option with this name.
    pub fn is_set(&self, name: &str) -> bool {
        *self.origin(name) != Origin::Default
    }

    /// A sentence about an option, with the place where that was set.
    pub fn mistake(&self, option: &str, text: String) -> String {
        let origin = self.origin(option).clone();
        Mistake { origin, text }.to_string()
    }

    /// Takes over what the reader has made of an option; false when there is no such option, or it takes no such value.
    pub fn set(&mut self, index: usize, value: Value, origin: Origin) -> bool {
        let slot = TABLE.get(index).zip(self.origins.get_mut(index));
        let Some((row, slot)) = slot.filter(|(row, _)| row.kind.takes(&value)) else {
            return false;
        };
        row.put(Arc::make_mut(&mut self.config), value);
        *slot = origin;
        true
    }
}

/// One thing wrong in the configuration, shown as `FILE:LINE: text`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it stands.
    pub origin: Origin,
    /// What is wrong, with the offending text.
    pub text: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::Setting => out.write_str("-o"),
            Self::Line { file, line: 0 } => out.write_str(&one_line(&file.to_string_lossy())),
            Self::Line { file, line } => {
                write!(out, "{}:{line}", one_line(&file.to_string_lossy()))
            }
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.origin)?;
        // Whatever of the file is in the text: it goes to a terminal and to logs.
        escaped(&self.text).try_for_each(|part| out.write_str(&part))
    }
}

/// A sentence with control characters escaped: whatever is a part of it, it stays one line of a log or terminal (attacks B-149).
pub fn one_line(text: &str) -> String {
    escaped(text).collect()
}

/// Character by character, control characters in words.
pub(super) fn escaped(text: &str) -> impl Iterator<Item = String> {
    text.chars().map(|c| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn whatever_is_in_it_a_sentence_is_one_line() {
        let text = "a key\nvsftpd: \x1b[31mé\u{85}\r\t";
        assert_eq!(one_line(text), "a key\\nvsftpd: \\u{1b}[31mé\\u{85}\\r\\t");
    }
}
