//! The lines of a listing, one for each entry (reference §8.3 to §8.5); runs in worker.

use super::number;
use super::time::Civil;

/// How old a time may be to be shown with the hour instead of the year.
const RECENT: i64 = 182 * 86_400;

const TYPE_MASK: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// One entry with its lstat data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The bare name.
    pub name: &'a [u8],
    /// Type and permissions.
    pub mode: u32,
    /// How many names it has.
    pub nlink: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Last change, seconds since 1970.
    pub mtime: i64,
    /// What a symbolic link says.
    pub target: Option<&'a [u8]>,
}

impl Entry<'_> {
    /// Whether it is a directory itself.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.mode & TYPE_MASK == DIRECTORY
    }

    /// Whether it is a symbolic link.
    #[must_use]
    pub fn is_link(&self) -> bool {
        self.mode & TYPE_MASK == LINK
    }
}

/// Appends the long line of reference §8.3. `owner` and `group` are what the columns show; `zone` gives for a time in UTC the seconds
/// to add for local time (`|_| 0` for UTC).
pub fn long_line(
    out: &mut Vec<u8>,
    entry: &Entry<'_>,
    owner: &[u8],
    group: &[u8],
    now: i64,
    zone: impl Fn(i64) -> i64,
    suffix: bool,
) {
    permissions(out, entry.mode);
    out.push(b' ');
    number::right(out, entry.nlink, 4, b' ');
    out.push(b' ');
    left(out, owner);
    left(out, group);
    number::right(out, entry.size, 8, b' ');
    out.push(b' ');
    date(out, entry.mtime, now, zone);
    out.push(b' ');
    name(out, entry.name);
    if suffix && entry.is_directory() {
        out.push(b'/');
    }
    if let Some(target) = entry.target.filter(|_| entry.is_link()) {
        out.extend_from_slice(b" -> ");
        name(out, target);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the short line of reference §8.4. `prefix` is what the client typed in front of the names, see [`prefix`].
pub fn short_line(out: &mut Vec<u8>, prefix: &[u8], entry: &Entry<'_>, suffix: bool) {
    name(out, prefix);
    name(out, entry.name);
    if suffix && entry.is_directory() {
        out.push(b'/');
    } else if suffix && entry.is_link() {
        out.push(b'@');
    }
    out.extend_from_slice(b"\r\n");
}

/// What stands in front of each name in short lines of `directory` as typed: nothing for ".", else the path with a slash at its end.
#[must_use]
pub fn prefix(directory: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if !directory.is_empty() && directory != b"." {
        out.extend_from_slice(directory);
        if !directory.ends_with(b"/") {
            out.push(b'/');
        }
    }
    out
}

/// Appends the line that precedes a directory in a recursive listing (reference §8.5); all but the first have an empty line before it.
pub fn heading(out: &mut Vec<u8>, directory: &[u8], first: bool) {
    if !first {
        out.extend_from_slice(b"\r\n");
    }
    name(out, directory);
    out.extend_from_slice(b":\r\n");
}

/// A name as it may stand in a line. CR and LF, which the original sends as they are, would let a name make up lines: `?` instead.
fn name(out: &mut Vec<u8>, name: &[u8]) {
    let from = out.len();
    out.extend_from_slice(name);
    for byte in out.iter_mut().skip(from) {
        if matches!(*byte, b'\r' | b'\n') {
            *byte = b'?';
        }
    }
}

fn left(out: &mut Vec<u8>, text: &[u8]) {
    name(out, text);
    let fill = 9_usize.saturating_sub(text.len()).max(1);
    out.extend_from_slice(b"         ".get(..fill).unwrap_or(b" "));
}

fn permissions(out: &mut Vec<u8>, mode: u32) {
    let kind = match mode & TYPE_MASK {
        0o100_000 => b'-',
        DIRECTORY => b'd',
        LINK => b'l',
        0o010_000 => b'p',
        0o140_000 => b's',
        0o020_000 => b'c',
        0o060_000 => b'b',
        _ => b'?',
    };
    let bit = |mask: u32, letter: u8| if mode & mask == 0 { b'-' } else { letter };
    let run = |mask: u32, special: u32, both: u8, alone: u8| match (
        mode & special != 0,
        mode & mask != 0,
    ) {
        (true, true) => both,
        (true, false) => alone,
        (false, true) => b'x',
        (false, false) => b'-',
    };
    out.extend_from_slice(&[
        kind,
        bit(0o400, b'r'),
        bit(0o200, b'w'),
        run(0o100, 0o4000, b's', b'S'),
        bit(0o040, b'r'),
        bit(0o020, b'w'),
        run(0o010, 0o2000, b's', b'S'),
        bit(0o004, b'r'),
        bit(0o002, b'w'),
        run(0o001, 0o1000, b't', b'T'),
    ]);
}

fn date(out: &mut Vec<u8>, mtime: i64, now: i64, zone: impl Fn(i64) -> i64) {
    let civil = Civil::from_unix(mtime.saturating_add(zone(mtime)));
    out.extend_from_slice(civil.month_name().as_bytes());
    out.push(b' ');
    number::pair(out, civil.day);
    out.push(b' ');
    if mtime <= now && now.saturating_sub(mtime) <= RECENT {
        number::pair(out, civil.hour);
        out.push(b':');
        number::pair(out, civil.minute);
    } else {
        out.push(b' ');
        if civil.year < 0 {
            out.push(b'-');
        }
        number::right(out, civil.year.unsigned_abs(), 1, b' ');
    }
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

    /// 2026-11-24 02:28:46 UTC, when the original was asked.
    const NOW: i64 = 1_795_487_326;

    fn entry(name: &str, mode: u32, size: u64, mtime: i64) -> Entry<'_> {
        Entry {
            name: name.as_bytes(),
            mode,
            nlink: 1,
            uid: 4001,
            gid: 4001,
            size,
            mtime,
            target: None,
        }
    }

    fn long(entry: &Entry<'_>, suffix: bool) -> String {
        let mut out = Vec::new();
        let (owner, group) = (entry.uid.to_string(), entry.gid.to_string());
        long_line(
            &mut out,
            entry,
            owner.as_bytes(),
            group.as_bytes(),
            NOW,
            |_| 0,
            suffix,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn long_lines_as_the_original() {
        let file = 0o100_644;
        for (entry, want) in [
            (
                entry("ab.txt", file, 12_345_678, NOW - 86_400),
                "-rw-r--r--    1 4001     4001     12345678 Nov 23 02:28 ab.txt\r\n",
            ),
            (
                entry("aXb1c", file, 7, NOW - 86_400 * 181),
                "-rw-r--r--    1 4001     4001            7 May 27 02:28 aXb1c\r\n",
            ),
            (
                entry("abc", file, 1, NOW - 86_400 * 183),
                "-rw-r--r--    1 4001     4001            1 May 25  2026 abc\r\n",
            ),
            (
                entry("abcb", file, 1, NOW + 3600),
                "-rw-r--r--    1 4001     4001            1 Nov 24  2026 abcb\r\n",
            ),
            (
                entry("fut", file, 1, 253_402_300_800),
                "-rw-r--r--    1 4001     4001            1 Jan 01  10000 fut\r\n",
            ),
            (
                entry("neg", file, 1, -86_400 * 400),
                "-rw-r--r--    1 4001     4001            1 Nov 27  1968 neg\r\n",
            ),
            (
                entry("old", file, 1, 0),
                "-rw-r--r--    1 4001     4001            1 Jan 01  1970 old\r\n",
            ),
        ] {
            assert_eq!(long(&entry, true), want);
        }
        let big = Entry {
            uid: 0,
            gid: 0,
            ..entry("big", file, 123_456_789_012, NOW)
        };
        assert_eq!(
            long(&big, false),
            "-rw-r--r--    1 0        0        123456789012 Nov 24 02:28 big\r\n"
        );
        let wide = Entry {
            uid: 123_456_789,
            nlink: 2,
            ..entry("dir2", 0o040_755, 40, NOW)
        };
        assert_eq!(
            long(&wide, true),
            "drwxr-xr-x    2 123456789 4001           40 Nov 24 02:28 dir2/\r\n"
        );
        let link = Entry {
            target: Some(b"a.txt"),
            uid: 0,
            gid: 0,
            ..entry("ln", 0o120_777, 5, NOW)
        };
        assert_eq!(
            long(&link, true),
            "lrwxrwxrwx    1 0        0               5 Nov 24 02:28 ln -> a.txt\r\n"
        );
    }

    #[test]
    fn what_is_no_link_has_no_target_and_years_have_a_sign() {
        let line = |mode, mtime| {
            let entry = Entry {
                target: Some(b"a.txt"),
                ..entry("f", mode, 0, mtime)
            };
            [true, false].map(|suffix| long(&entry, suffix))
        };
        let ends = |lines: [String; 2], want: [&str; 2]| {
            assert!(lines[0].ends_with(want[0]), "{lines:?}");
            assert!(lines[1].ends_with(want[1]), "{lines:?}");
        };
        ends(line(0o100_644, NOW), [" 02:28 f\r\n"; 2]);
        ends(line(0o040_755, NOW), [" 02:28 f/\r\n", " 02:28 f\r\n"]);
        ends(line(0o120_777, NOW), [" 02:28 f -> a.txt\r\n"; 2]);
        ends(line(0o100_644, -62_167_219_200), [" Jan 01  0 f\r\n"; 2]);
        ends(line(0o100_644, -62_167_219_201), [" Dec 31  -1 f\r\n"; 2]);
    }

    #[test]
    fn the_age_where_the_year_begins() {
        let at = |age: i64| long(&entry("f", 0o100_644, 0, NOW - age), false).contains(':');
        assert!(at(0) && at(RECENT) && !at(RECENT + 1) && !at(-1));
    }

    #[test]
    fn zone_moves_the_shown_time_only() {
        let mut out = Vec::new();
        long_line(
            &mut out,
            &entry("f", 0o100_600, 0, NOW),
            b"ftp",
            b"ftp",
            NOW,
            |_| -3 * 3600,
            false,
        );
        assert_eq!(
            out,
            b"-rw-------    1 ftp      ftp             0 Nov 23 23:28 f\r\n"
        );
    }

    #[test]
    fn permission_letters() {
        for (mode, want) in [
            (0o104_755, "-rwsr-xr-x"),
            (0o104_644, "-rwSr--r--"),
            (0o102_755, "-rwxr-sr-x"),
            (0o102_644, "-rw-r-Sr--"),
            (0o101_777, "-rwxrwxrwt"),
            (0o101_776, "-rwxrwxrwT"),
            (0o107_777, "-rwsrwsrwt"),
            (0o107_000, "---S--S--T"),
            (0o020_644, "crw-r--r--"),
            (0o060_640, "brw-r-----"),
            (0o010_644, "prw-r--r--"),
            (0o140_755, "srwxr-xr-x"),
            (0o120_777, "lrwxrwxrwx"),
            (0, "?---------"),
            // Each bit alone.
            (0o100_400, "-r--------"),
            (0o100_200, "--w-------"),
            (0o100_100, "---x------"),
            (0o100_040, "----r-----"),
            (0o100_020, "-----w----"),
            (0o100_010, "------x---"),
            (0o100_004, "-------r--"),
            (0o100_002, "--------w-"),
            (0o100_001, "---------x"),
            (0o104_000, "---S------"),
            (0o102_000, "------S---"),
            (0o101_000, "---------T"),
        ] {
            let mut out = Vec::new();
            permissions(&mut out, mode);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }

    /// attacks B-028.
    #[test]
    fn extremes_stay_one_line() {
        let odd = Entry {
            name: b"a\r\n-rw",
            mode: u32::MAX,
            nlink: u64::MAX,
            uid: u32::MAX,
            gid: u32::MAX,
            size: u64::MAX,
            mtime: i64::MIN,
            target: Some(b"\n"),
        };
        let text = long(&odd, true);
        assert!(text.contains(" a??-rw") && text.matches('\n').count() == 1);
        let _ = long(
            &Entry {
                mtime: i64::MAX,
                ..odd
            },
            true,
        );
    }

    #[test]
    fn short_lines() {
        let short = |directory: &str, entry: &Entry<'_>| {
            let mut out = Vec::new();
            short_line(&mut out, &prefix(directory.as_bytes()), entry, true);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(short(".", &entry("f", 0o100_644, 0, 0)), "f\r\n");
        assert_eq!(short("./", &entry("f", 0o100_644, 0, 0)), "./f\r\n");
        assert_eq!(short("dir", &entry("sub", 0o040_755, 0, 0)), "dir/sub/\r\n");
        assert_eq!(short("dir/", &entry("ln", 0o120_777, 0, 0)), "dir/ln@\r\n");
        assert_eq!(prefix(b""), b"");
        for mode in [0o100_644, 0o040_755, 0o120_777] {
            let mut out = Vec::new();
            short_line(&mut out, b"", &entry("n", mode, 0, 0), false);
            assert_eq!(out, b"n\r\n");
        }
        let mut out = Vec::new();
        heading(&mut out, b".", true);
        heading(&mut out, b"./dir", false);
        assert_eq!(out, b".:\r\n\r\n./dir:\r\n");
    }
}
