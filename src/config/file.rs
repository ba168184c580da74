//! Reads vsftpd.conf files and `-o` settings into a `Config` (reference §2.1, §2.3, §2.4); runs in the reader, without rights.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::iter;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::check;
use super::ciphers;
use super::loaded::{Loaded, Mistake, Origin, Source};
use super::options::{Config, Row, Scope, TABLE, position};
use super::text::{Wrong, shown, shown_path};
use super::value::{Kind, Value};
use super::view::{How, View};

/// The files looked for, in this order, when the command line names none. The original knows only the second; the first is where
/// other distributions keep it.
pub const DEFAULT_FILES: [&str; 2] = ["/etc/vsftpd/vsftpd.conf", "/etc/vsftpd.conf"];

/// The lists that Red Hat's packages have in one directory with the configuration, which names none of them, and how their names begin
/// where the original looks, and there.
const LISTS: [(&str, Needed); 4] = [
    ("userlist_file", Config::asks_userlist),
    ("chroot_list_file", |config| config.chroot_list_enable),
    ("banned_email_file", |config| config.deny_email_enable),
    ("email_password_file", |config| {
        config.secure_email_list_enable
    }),
];
type Needed = fn(&Config) -> bool;
const PLACES: (&str, &str) = ("/etc/vsftpd.", "/etc/vsftpd/");

/// The largest file read. The original reads the first 100000 bytes and silently leaves the rest.
const LARGEST: u64 = 1024 * 1024;

/// The longest value: it is one message to the process that goes by it.
pub const LONGEST: usize = 60_000;

/// A file with this many mistakes is not read further: it is something else.
const MANY: usize = 100;

/// As [`read`], for tests: settings without a mistake.
#[cfg(any(test, fuzzing))]
pub fn load(view: &dyn View, sources: &[Source]) -> Result<Loaded, Vec<Mistake>> {
    let (loaded, mistakes) = read(view, sources);
    if mistakes.is_empty() {
        Ok(loaded)
    } else {
        Err(mistakes)
    }
}

/// Reads all sources over the defaults, then checks the rules between options. Finds every mistake, not just the first, and hands out
/// what could be understood beside them. May be called again at any time: a reload reads the same sources in the same order. Without a
/// file among them, the first existing one of [`DEFAULT_FILES`] is read after all settings, as the original does (reference §2.1).
pub fn read(view: &dyn View, sources: &[Source]) -> (Loaded, Vec<Mistake>) {
    let mut reader = Reader::new(view);
    reader.sources(sources, &DEFAULT_FILES);
    let (mut loaded, mistakes) = reader.finish();
    loaded.suites = ciphers::chosen(&loaded);
    if mistakes.is_empty() {
        loaded.with_hosts(view)
    } else {
        (loaded, mistakes)
    }
}

impl Loaded {
    /// Every row with its origin, in the table's order.
    pub fn rows(&self) -> impl Iterator<Item = (&'static Row, &Origin)> {
        let unset = iter::repeat(&Origin::Default);
        TABLE.iter().zip(self.origins.iter().chain(unset))
    }

    /// These settings with a file read over them: the one for an address (`VSFTPD_LOAD_CONF`), any option of which counts, or
    /// the one of a single host or user, where only options of that scope do; the others in it come back as remarks.
    ///
    /// # Errors
    /// Every mistake in it, and in what follows from it.
    pub fn overlay(
        &self,
        view: &dyn View,
        path: &Path,
        scope: Scope,
    ) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        let mut reader = Reader {
            view,
            loaded: self.clone(),
            mistakes: Vec::new(),
            spoiled: Vec::new(),
            incomplete: false,
        };
        reader.file(path);
        let remarks = match scope {
            Scope::Server => Vec::new(),
            Scope::PerHost | Scope::PerUser => reader.restore_wider_options(self, scope),
        };
        let (loaded, mut mistakes) = reader.finish();
        let loaded = if scope == Scope::Server && mistakes.is_empty() {
            let (loaded, more) = loaded.with_hosts(view);
            mistakes.extend(more);
            loaded
        } else {
            loaded
        };
        if mistakes.is_empty() {
            Ok((loaded, remarks))
        } else {
            Err(mistakes)
        }
    }

    /// What one address has done is counted by master, and forgotten, by the server's own settings: those of a file for the address would
    /// be held against numbers that mean something else. A remark for each.
    pub fn restore_counts(&mut self, before: &Self) -> Vec<Mistake> {
        let mut remarks = Vec::new();
        let rows = TABLE.iter().zip(before.origins.iter());
        for ((row, old), origin) in rows.zip(self.origins.iter_mut()) {
            if !COUNTED.contains(&row.name) {
                continue;
            }
            let config = Arc::make_mut(&mut self.config);
            row.put(config, row.value(&before.config));
            if origin != old {
                let text = format!(
                    "{} holds for the whole server: what the file for this address says of it does not count",
                    row.name
                );
                remarks.push(Mistake {
                    origin: std::mem::replace(origin, old.clone()),
                    text,
                });
            }
        }
        remarks
    }
}

/// By what master counts what one address does.
const COUNTED: [&str; 3] = [
    "login_fails_per_ip",
    "login_fails_window",
    "ssl_handshakes_per_ip",
];

/// The settings read so far.
pub(super) struct Reader<'a> {
    view: &'a dyn View,
    loaded: Loaded,
    mistakes: Vec<Mistake>,
    /// Options with a mistake of their own: rules about them would only repeat it.
    spoiled: Vec<&'static str>,
    /// A source could not be read: no rule can be judged.
    incomplete: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(view: &'a dyn View) -> Self {
        Self {
            view,
            loaded: Loaded::default(),
            mistakes: Vec::new(),
            spoiled: Vec::new(),
            incomplete: false,
        }
    }

    pub(super) fn sources(&mut self, sources: &[Source], defaults: &[&str]) {
        for source in sources {
            match source {
                Source::File(path) => self.file(path),
                Source::Setting(text) => self.setting(text),
            }
        }
        let named = sources
            .iter()
            .any(|source| matches!(source, Source::File(_)));
        let absent = |path: &str| {
            let found = self.view.open(Path::new(path), How::Entry);
            found.is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
        };
        if !named && let Some(path) = defaults.iter().find(|path| !absent(path)) {
            self.file(Path::new(path));
        }
    }

    /// How much one address may do without being refused follows from how many clients it may have at once, unless it is set: a file that
    /// lets many in from one, because they come through one translation, goes on as it was.
    fn follow(&mut self) {
        const MOST: u32 = 1_000_000;
        let many = self.loaded.config.max_per_ip;
        let follows = |least: u32, each: u32| match many {
            0 => 0,
            _ => many.saturating_mul(each).clamp(least, MOST),
        };
        let least = Config::default();
        let failures = follows(least.login_fails_per_ip, 1);
        let handshakes = follows(least.ssl_handshakes_per_ip, 60);
        let config = &self.loaded.config;
        if config.login_fails_per_ip != failures && !self.loaded.is_set("login_fails_per_ip") {
            Arc::make_mut(&mut self.loaded.config).login_fails_per_ip = failures;
        }
        let config = &self.loaded.config;
        let set = self.loaded.is_set("ssl_handshakes_per_ip");
        if config.ssl_handshakes_per_ip != handshakes && !set {
            Arc::make_mut(&mut self.loaded.config).ssl_handshakes_per_ip = handshakes;
        }
    }

    /// A list that is needed, whose place nobody has set, and that is not where the original looks, is where Red Hat's packages have it:
    /// their configuration names none.
    fn find_lists(&mut self) {
        let exists = |path: &OsStr| self.view.open(Path::new(path), How::Entry).is_ok();
        let defaults = Config::default();
        for (name, needed) in LISTS {
            let config = &self.loaded.config;
            let row = position(name.as_bytes()).and_then(|at| TABLE.get(at));
            let Some(row) = row.filter(|_| needed(config) && !self.loaded.is_set(name)) else {
                continue;
            };
            let Value::Text(Some(original)) = row.value(&defaults) else {
                continue;
            };
            let own = original
                .to_str()
                .and_then(|path| path.strip_prefix(PLACES.0));
            let Some(other) = own.map(|own| OsString::from(PLACES.1.to_owned() + own)) else {
                continue;
            };
            let there = Value::Text(Some(other.clone()));
            if row.value(config) != there && !exists(&original) && exists(&other) {
                row.put(Arc::make_mut(&mut self.loaded.config), there);
            }
        }
    }

    /// A file that says nothing of listening is one for a server that listens, as with vsftpd's own default. Debian's build takes it for
    /// inetd's; whoever starts this program with a connection, or a socket, is served by that all the same.
    fn listen(&mut self) {
        if !self.loaded.config.listen_ipv6 && !self.loaded.is_set("listen") {
            Arc::make_mut(&mut self.loaded.config).listen = true;
        }
    }

    pub(super) fn finish(mut self) -> (Loaded, Vec<Mistake>) {
        self.follow();
        self.listen();
        self.find_lists();
        if !self.incomplete {
            self.mistakes
                .extend(check::rules(&self.loaded, &self.spoiled));
        }
        (self.loaded, self.mistakes)
    }

    fn file(&mut self, path: &Path) {
        let file: Arc<Path> = Arc::from(path);
        let bytes = match contents(self.view, path) {
            Ok(bytes) => bytes,
            Err(text) => {
                self.incomplete = true;
                self.mistakes.push(Mistake {
                    origin: Origin::Line { file, line: 0 },
                    text,
                });
                return;
            }
        };
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let origin = Origin::Line {
                file: Arc::clone(&file),
                line: number,
            };
            if self.mistakes.len() >= MANY {
                self.incomplete = true;
                let text = "too many mistakes; the rest of the file is not read. Is it a configuration file?".to_owned();
                self.mistakes.push(Mistake { origin, text });
                return;
            }
            // A byte order mark, as editors of other systems leave it.
            let line = if number == 1 {
                line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
            } else {
                line
            };
            let line = trimmed(line);
            if !line.is_empty() && !line.starts_with(b"#") {
                self.line(line, origin);
            }
        }
    }

    /// Undoes what a single host's or user's file has set for more than that; a remark for each.
    fn restore_wider_options(&mut self, before: &Loaded, scope: Scope) -> Vec<Mistake> {
        let whose = match scope {
            Scope::PerHost => "host",
            Scope::Server | Scope::PerUser => "user",
        };
        let wider = |row: &Row| match row.scope {
            Scope::Server => true,
            Scope::PerHost => scope == Scope::PerUser,
            Scope::PerUser => false,
        };
        let mut remarks = Vec::new();
        let rows = TABLE.iter().zip(before.origins.iter());
        for ((row, old), origin) in rows.zip(self.loaded.origins.iter_mut()) {
            if wider(row) && origin != old {
                let text = format!("{} has no effect in the file of a single {whose}", row.name);
                remarks.push(Mistake {
                    origin: std::mem::replace(origin, old.clone()),
                    text,
                });
                let config = Arc::make_mut(&mut self.loaded.config);
                row.put(config, row.value(&before.config));
            }
        }
        remarks
    }

    fn setting(&mut self, text: &[u8]) {
        let text = trimmed(text);
        if text.is_empty() {
            let text =
                "missing value in config file for: (write -oNAME=VALUE as one word)".to_owned();
            self.mistakes.push(Mistake {
                origin: Origin::Setting,
                text,
            });
        } else {
            self.line(text, Origin::Setting);
        }
    }

    /// One setting, without blanks around it: `name=value`.
    fn line(&mut self, line: &[u8], origin: Origin) {
        let (name, value) = match line.iter().position(|byte| *byte == b'=') {
            Some(at) => line.split_at_checked(at).unwrap_or((line, b"")),
            None => (line, &b""[..]),
        };
        let name = trimmed(name);
        let value = trimmed(value.strip_prefix(b"=").unwrap_or(value));
        let value = without_remark(name, value);
        let Some((row, slot)) =
            position(name).and_then(|at| TABLE.get(at).zip(self.loaded.origins.get_mut(at)))
        else {
            self.unknown(name, value, origin);
            return;
        };
        if value.iter().any(|byte| matches!(byte, b'\0' | b'\n')) {
            self.spoiled.push(row.name);
            let text = format!(
                "a value is one line of text, without zero bytes: {}={}",
                row.name,
                shown(value)
            );
            self.mistakes.push(Mistake { origin, text });
            return;
        }
        if value.len() > LONGEST {
            self.spoiled.push(row.name);
            let text = format!("the value of {} is longer than {LONGEST} bytes", row.name);
            self.mistakes.push(Mistake { origin, text });
            return;
        }
        match row.kind.parse(value) {
            Ok(value) => {
                row.put(Arc::make_mut(&mut self.loaded.config), value);
                *slot = origin;
            }
            Err(wrong) => {
                self.spoiled.push(row.name);
                self.mistakes.push(Mistake {
                    origin,
                    text: complaint(row.name, value, &wrong),
                });
            }
        }
    }

    fn unknown(&mut self, name: &[u8], value: &[u8], origin: Origin) {
        let near = nearest(name);
        // The original looks for a value before it looks for the name.
        let fault = if value.is_empty() {
            "missing value in"
        } else {
            "unrecognised variable in"
        };
        let mut text = match (value.is_empty(), name.is_empty()) {
            (true, false) => format!(
                "{fault} config file for: {}; there is no option of this name",
                shown(name)
            ),
            (true, true) => format!("{fault} config file for: ; a line is NAME=VALUE"),
            (false, true) => format!("{fault} config file: ; no name before ={}", shown(value)),
            (false, false) => format!("{fault} config file: {}", shown(name)),
        };
        if let Some(near) = near {
            self.spoiled.push(near);
            text.push_str(&format!(" (did you mean `{near}`?)"));
        }
        self.mistakes.push(Mistake { origin, text });
    }
}

fn complaint(name: &str, value: &[u8], wrong: &Wrong) -> String {
    let value = shown(value);
    match wrong {
        Wrong::Missing => format!("missing value in config file for: {name}"),
        Wrong::Flag if value.contains('#') => format!(
            "bad bool value in config file for: {name}={value}: {wrong}; a comment has a line of its own"
        ),
        Wrong::Flag => format!("bad bool value in config file for: {name}={value}: {wrong}"),
        Wrong::Number(_) | Wrong::Range { .. } | Wrong::Mode { .. } => {
            format!("bad integer value in config file for: {name}={value}: {wrong}")
        }
    }
}

/// A number, or an address, without the comment behind it: the original reads them as far as they go, so that there are files with such
/// comments. Other values are all the rest of the line.
fn without_remark<'a>(name: &[u8], value: &'a [u8]) -> &'a [u8] {
    let row = position(name).and_then(|at| TABLE.get(at));
    let ends = row.is_some_and(|row| match row.kind {
        Kind::Number { .. } | Kind::Octal => true,
        Kind::Text => matches!(row.name, "pasv_address" | "listen_address"),
        Kind::Flag => false,
    });
    let mut pairs = value.windows(2).enumerate();
    let remark = pairs.find(|(_, pair)| matches!(pair, [b' ' | b'\t', b'#']));
    match remark.filter(|_| ends) {
        Some((at, _)) => trimmed(value.get(..at).unwrap_or_default()),
        None => value,
    }
}

/// The text without blanks around it; the blanks of C's `isspace`, so that a CR before the line's end is one.
fn trimmed(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c);
    let start = text
        .iter()
        .position(|byte| !blank(byte))
        .unwrap_or(text.len());
    let end = text
        .iter()
        .rposition(|byte| !blank(byte))
        .map_or(start, |last| last.saturating_add(1));
    text.get(start..end).unwrap_or_default()
}

/// The bytes of a file that is fit to be believed: a regular file of the user who runs this, that nobody else may write
/// (reference §2.4; the original does not look at permissions).
fn contents(view: &dyn View, path: &Path) -> Result<Vec<u8>, String> {
    let failed =
        |error: io::Error| format!("cannot read config file: {}: {error}", shown_path(path));
    let file = File::from(view.open(path, How::File).map_err(failed)?);
    let facts = file.metadata().map_err(failed)?;
    let (owner, user) = (facts.uid(), view.runs_as());
    let unfit = "config file not owned by correct user, or not a file";
    if !facts.is_file() {
        return Err(format!("{unfit}: it is not a regular file"));
    }
    if owner != user {
        return Err(format!(
            "{unfit}: it belongs to uid {owner}, this runs as uid {user}"
        ));
    }
    if facts.mode() & 0o002 != 0 {
        return Err(
            "config file can be written by everybody; chmod o-w makes it fit to be believed"
                .to_owned(),
        );
    }
    let mut bytes = Vec::new();
    file.take(LARGEST.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(format!("config file is longer than {LARGEST} bytes"));
    }
    Ok(bytes)
}

/// The option whose name is at most two slips away from `name`, if there is one.
fn nearest(name: &[u8]) -> Option<&'static str> {
    // Longer names are no slip, and would cost time.
    if name.len() > 64 {
        return None;
    }
    let name = name
        .to_ascii_lowercase()
        .iter()
        .map(|byte| if *byte == b'-' { b'_' } else { *byte })
        .collect::<Vec<_>>();
    let allowed = (name.len() / 3).min(2);
    let distances = TABLE
        .iter()
        .map(|row| (slips(&name, row.name.as_bytes()), row.name));
    distances
        .filter(|(slips, _)| *slips <= allowed)
        .min()
        .map(|(_, near)| near)
}

/// How many slips (letters left out, added, changed, or swapped with their neighbour) lie between two names.
fn slips(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut last_a = None;
    for (i, x) in (1usize..).zip(a) {
        let mut row = vec![i];
        let mut last_b = None;
        for (j, y) in (1usize..).zip(b) {
            let at = |line: &Vec<usize>, index: Option<usize>| {
                index
                    .and_then(|i| line.get(i))
                    .copied()
                    .unwrap_or(usize::MAX - 1)
            };
            let change = at(&above, j.checked_sub(1)).saturating_add(usize::from(x != y));
            let mut least = change
                .min(at(&above, Some(j)).saturating_add(1))
                .min(at(&row, j.checked_sub(1)).saturating_add(1));
            if last_a == Some(y) && last_b == Some(x) {
                least = least.min(at(&before, j.checked_sub(2)).saturating_add(1));
            }
            row.push(least);
            last_b = Some(y);
        }
        before = std::mem::replace(&mut above, row);
        last_a = Some(x);
    }
    above.last().copied().unwrap_or(usize::MAX)
}
