//! What a session remembers for the commands the original has not; worker.

use super::state::Session;
use super::zip::Level;
use crate::config::Config;
use crate::ftp::charset::Charset;
use crate::ftp::digest::Algorithm;
use crate::ftp::facts::Selection;
use crate::ftp::lang::Language;
use crate::ftp::reply;
use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;

/// Set by OPTS, CLNT and their like.
#[derive(Debug, Default)]
pub struct Modern {
    /// The facts OPTS MLST has chosen.
    pub facts: Selection,
    /// What HASH computes.
    pub algorithm: Algorithm,
    /// RANG: the first and the last byte of the next RETR or HASH.
    pub range: Option<(u64, u64)>,
    /// `client_charset`.
    pub charset: Option<Charset>,
    /// OPTS UTF8 ON was said: names pass as they are.
    pub utf8: bool,
    /// LANG.
    pub language: Language,
    /// That uploads are written in place was logged.
    pub direct: bool,
    /// MODE Z was said.
    pub packed: bool,
    /// How hard MODE Z tries.
    pub level: Level,
    /// The client's name has been logged.
    pub introduced: bool,
}

impl Modern {
    /// At the beginning of a session.
    pub fn new(config: &Config, utf8: bool) -> Self {
        let label = config.client_charset.as_deref();
        Self {
            charset: label.and_then(|label| Charset::named(label.as_bytes())),
            utf8,
            ..Self::default()
        }
    }

    /// The code page that names are converted to now.
    pub fn page(&self) -> Option<Charset> {
        self.charset.filter(|_| !self.utf8)
    }

    /// Text of this host, as the client is to see it.
    pub fn outward<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        shown(self.page(), text)
    }

    /// A reply in the client's language, as the client is to see it; in English where its code page has not the characters.
    pub fn said<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        match self.language.say(text) {
            said if said == text => self.outward(text),
            said if self.page().is_some_and(|page| !page.has(&said)) => self.outward(text),
            Cow::Owned(said) => Cow::Owned(self.outward(&said).into_owned()),
            Cow::Borrowed(said) => self.outward(said),
        }
    }

    /// Text of the client, as this host is to see it.
    pub fn inward(&self, text: Vec<u8>) -> Vec<u8> {
        match self.page() {
            Some(page) => page.inward(&text).into_owned(),
            None => text,
        }
    }
}

/// Text of this host in a code page, if there is one.
pub fn shown(page: Option<Charset>, text: &[u8]) -> Cow<'_, [u8]> {
    match page {
        Some(page) => page.outward(text),
        None => Cow::Borrowed(text),
    }
}

impl Session {
    /// Says a line inside a longer reply; it begins with a space, so that no client takes it for the end (RFC 959 §4.2).
    pub fn inner(&mut self, text: &[u8]) {
        let mut line = Vec::with_capacity(text.len().saturating_add(4));
        let text = [b" ".as_slice(), text].concat();
        reply::raw(&mut line, &self.modern.outward(&text));
        self.control.raw(&line);
        self.log_raw(&text);
    }
}
