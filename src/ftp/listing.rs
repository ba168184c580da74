//! Listings: the options of LIST, NLST and STAT, which entries show (reference §8); runs in worker.

use super::pattern::Pattern;
pub use super::row::{Entry, heading, long_line, prefix, short_line};
pub use super::shelf::{Shelf, Sorted};
use std::cell::Cell;

/// The letters behind `-` at the beginning of the argument.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// `a`: dot files, "." and ".." too.
    pub all: bool,
    /// `l`: long lines from NLST.
    pub long: bool,
    /// `r`: the other way round.
    pub reverse: bool,
    /// `t`: newest first.
    pub by_time: bool,
    /// `R`: subdirectories too; for the caller to hold against `ls_recurse_enable`.
    pub recurse: bool,
    /// `F`: a mark behind directories and links.
    pub suffix: bool,
}

impl Options {
    /// Splits an argument into options and path (reference §8.1): what begins with `-`, up to the first space, is options, of
    /// which unknown letters are ignored.
    #[must_use]
    pub fn parse(arg: &[u8]) -> (Self, &[u8]) {
        let mut options = Self::default();
        if !arg.starts_with(b"-") {
            return (options, arg);
        }
        let at = arg
            .iter()
            .position(|byte| *byte == b' ')
            .unwrap_or(arg.len());
        let (letters, path) = arg.split_at_checked(at).unwrap_or((arg, b""));
        for letter in letters {
            match letter {
                b'a' => options.all = true,
                b'l' => options.long = true,
                b'r' => options.reverse = true,
                b't' => options.by_time = true,
                b'R' => options.recurse = true,
                b'F' => options.suffix = true,
                _ => {}
            }
        }
        (options, path.strip_prefix(b" ").unwrap_or(path))
    }

    /// Whether the entries' stat data is needed for more than long lines (reference §8.6).
    #[must_use]
    pub fn needs_stat(&self) -> bool {
        self.long || self.by_time || self.recurse || self.suffix
    }
}

/// Splits a path that is no directory into the directory to read and the filter for its names (reference §8.1).
#[must_use]
pub fn split_filter(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        None => (b".", path),
        Some(at) => {
            let (directory, filter) = path.split_at_checked(at).unwrap_or((path, b""));
            let directory = if directory.is_empty() {
                b"/"
            } else {
                directory
            };
            (directory, filter.strip_prefix(b"/").unwrap_or(filter))
        }
    }
}

/// The most steps a filter may take in one listing, a second or two (attacks B-020, B-022): those of simple patterns, of which one of another
/// is worth [`DEAR`].
const STEPS: usize = 1_000_000_000;
const DEAR: usize = 4;

/// The filter for names that a client gave, and the steps that it has taken.
#[derive(Debug)]
pub struct Filter {
    pattern: Pattern,
    steps: Cell<usize>,
}

impl Filter {
    /// Reads a pattern; every text is one.
    #[must_use]
    pub fn new(pattern: &[u8]) -> Self {
        Self {
            pattern: Pattern::new(pattern),
            steps: Cell::new(0),
        }
    }

    /// Whether it may be held against this name too.
    pub fn affords(&self, name: &[u8]) -> bool {
        self.take(self.pattern.cost(name.len()).saturating_mul(DEAR));
        !self.is_spent()
    }

    /// Whether it has taken all steps it may.
    pub fn is_spent(&self) -> bool {
        self.steps.get() > STEPS
    }

    fn matches(&self, name: &[u8]) -> bool {
        let mut steps = 0;
        let fits = self.pattern.matches(name, &mut steps);
        self.take(steps);
        fits
    }

    fn take(&self, steps: usize) {
        self.steps.set(self.steps.get().saturating_add(steps));
    }
}

/// What decides, besides the options, whether a name shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rule<'a> {
    /// `force_dot_files`.
    pub force_dot: bool,
    /// The filter the client gave.
    pub filter: Option<&'a Filter>,
    /// `hide_file`.
    pub hide: Option<&'a Pattern>,
    /// The absolute virtual path of the directory, for a `hide_file` with absolute parts.
    pub directory: &'a [u8],
}

/// Whether a name shows (reference §8.1, §8.6). A filter that begins with a dot shows dot files; "." and ".." themselves need `a`,
/// and no filter that begins with a dot finds them.
#[must_use]
pub fn visible(name: &[u8], options: &Options, rule: &Rule<'_>) -> bool {
    let dotted = rule
        .filter
        .is_some_and(|filter| filter.pattern.source().starts_with(b"."));
    let shown = match name {
        b"." | b".." => options.all && !dotted,
        [b'.', ..] => options.all || rule.force_dot || dotted,
        _ => true,
    };
    shown
        && rule.filter.is_none_or(|filter| filter.matches(name))
        && !rule
            .hide
            .is_some_and(|hide| hidden(name, hide, rule.directory))
}

/// Whether `hide_file` hides a name of this directory, given by its absolute virtual path.
#[must_use]
pub fn hidden(name: &[u8], hide: &Pattern, directory: &[u8]) -> bool {
    if !hide.is_absolute() {
        return hide.denies(name, Some(name));
    }
    let directory = directory.strip_suffix(b"/").unwrap_or(directory);
    hide.denies(name, Some(&[directory, b"/", name].concat()))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// attacks B-027.
    #[test]
    fn arguments() {
        let parse = Options::parse;
        let none = Options::default();
        assert_eq!(parse(b""), (none, &b""[..]));
        assert_eq!(parse(b"d -a"), (none, &b"d -a"[..]));
        assert_eq!(parse(b"-"), (none, &b""[..]));
        assert_eq!(parse(b"- dir"), (none, &b"dir"[..]));
        assert_eq!(
            parse(b"-l -a"),
            (Options { long: true, ..none }, &b"-a"[..])
        );
        assert_eq!(
            parse(b"-aFdir"),
            (
                Options {
                    all: true,
                    suffix: true,
                    reverse: true,
                    ..none
                },
                &b""[..]
            )
        );
        assert_eq!(
            parse(b"-la  x"),
            (
                Options {
                    all: true,
                    long: true,
                    ..none
                },
                &b" x"[..]
            )
        );
        for (letter, one) in [
            (
                b"-t",
                Options {
                    by_time: true,
                    ..none
                },
            ),
            (
                b"-R",
                Options {
                    recurse: true,
                    ..none
                },
            ),
            (
                b"-F",
                Options {
                    suffix: true,
                    ..none
                },
            ),
            (b"-l", Options { long: true, ..none }),
        ] {
            assert_eq!(parse(letter).0, one);
            assert!(one.needs_stat());
        }
        assert!(!parse(b"-ar").0.needs_stat() && parse(b"--tR").0.needs_stat());
    }

    #[test]
    fn filters() {
        assert_eq!(split_filter(b"a*"), (&b"."[..], &b"a*"[..]));
        assert_eq!(split_filter(b"/a*"), (&b"/"[..], &b"a*"[..]));
        assert_eq!(split_filter(b"d/e/a*"), (&b"d/e"[..], &b"a*"[..]));
        assert_eq!(split_filter(b"d/"), (&b"d"[..], &b""[..]));
    }

    #[test]
    fn what_shows() {
        let plain = Options::default();
        let all = Options { all: true, ..plain };
        let show = |name: &str,
                    options: &Options,
                    filter: Option<&str>,
                    hide: Option<&str>,
                    force_dot: bool| {
            let filter = filter.map(|text| Filter::new(text.as_bytes()));
            let hide = hide.map(|text| Pattern::new(text.as_bytes()));
            visible(
                name.as_bytes(),
                options,
                &Rule {
                    force_dot,
                    filter: filter.as_ref(),
                    hide: hide.as_ref(),
                    directory: b"/d",
                },
            )
        };
        assert!(show("a", &plain, None, None, false));
        assert!(
            !show(".a", &plain, None, None, false)
                && show(".a", &plain, None, None, true)
                && show(".a", &all, None, None, false)
        );
        assert!(!show(".", &plain, None, None, true) && show("..", &all, None, None, false));
        assert!(
            show(".hid", &plain, Some(".*"), None, false)
                && !show("..", &plain, Some(".*"), None, false)
        );
        assert!(
            !show(".hid", &plain, Some("*"), None, false)
                && show(".", &all, Some("*"), None, false)
        );
        assert!(!show("..", &all, Some(".*"), None, false));
        assert!(
            show("ab", &plain, Some("a*"), None, false)
                && !show("ba", &all, Some("a*"), None, false)
                && !show(".b", &all, Some(".a*"), None, false)
        );
        // Only a rule with absolute parts looks at the directory.
        assert!(
            !show("x", &all, None, Some("x"), false) && show("x", &all, None, Some("d*"), false)
        );
        assert!(
            !show("a.mp3", &all, None, Some("{*.mp3,hide*}"), false)
                && show("a.mp4", &all, None, Some("{*.mp3,hide*}"), false)
        );
        assert!(
            !show("x", &all, None, Some("/d/x"), false)
                && show("x", &all, None, Some("/e/x"), false)
        );
    }

    proptest! {
        #[test]
        fn options_lose_nothing(arg: Vec<u8>) {
            let (_, path) = Options::parse(&arg);
            prop_assert!(arg.ends_with(path));
        }
    }
}
