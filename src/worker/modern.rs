//! What a session remembers for the commands the original has not; worker.

use super::state::Session;
use crate::ftp::digest::Algorithm;
use crate::ftp::facts::Selection;
use crate::ftp::reply;

/// Set by OPTS, CLNT and their like.
#[derive(Debug, Default)]
pub struct Modern {
    /// The facts OPTS MLST has chosen.
    pub facts: Selection,
    /// What HASH computes.
    pub algorithm: Algorithm,
    /// RANG: the first and the last byte of the next RETR or HASH.
    pub range: Option<(u64, u64)>,
    /// The client's name has been logged.
    pub introduced: bool,
}

impl Session {
    /// Says a line inside a longer reply; it begins with a space, so that no client takes it for the end (RFC 959 §4.2).
    pub fn inner(&mut self, text: &[u8]) {
        let mut line = Vec::with_capacity(text.len().saturating_add(4));
        reply::raw(&mut line, &[b" ".as_slice(), text].concat());
        self.raw(&line);
    }
}
