//! A long listing line written a second time, from the file's own metadata, in the original's format (reference 8.3).

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The line for `path`, with numeric owner and group and UTC.
pub fn line(path: &str) -> String {
    let meta = fs::symlink_metadata(path).unwrap();
    line_with(path, &meta.uid().to_string(), &meta.gid().to_string())
}

/// The line with the owner and group given.
pub fn line_with(path: &str, owner: &str, group: &str) -> String {
    let meta = fs::symlink_metadata(path).unwrap();
    let name = path.rsplit('/').next().unwrap();
    let target = fs::read_link(path)
        .map(|to| format!(" -> {}", to.display()))
        .unwrap_or_default();
    format!(
        "{}{} {:>4} {owner:<8} {group:<8} {:>8} {} {name}{target}",
        kind(&meta),
        permissions(meta.mode()),
        meta.nlink(),
        meta.size(),
        date(meta.mtime())
    )
}

fn kind(meta: &fs::Metadata) -> char {
    let kind = meta.file_type();
    if kind.is_dir() {
        'd'
    } else if kind.is_symlink() {
        'l'
    } else if kind.is_fifo() {
        'p'
    } else if kind.is_socket() {
        's'
    } else {
        '-'
    }
}

fn permissions(mode: u32) -> String {
    let mut text: Vec<char> = "rwxrwxrwx"
        .chars()
        .enumerate()
        .map(|(i, c)| if mode >> (8 - i) & 1 == 1 { c } else { '-' })
        .collect();
    for (bit, place, letter) in [(0o4000, 2, 's'), (0o2000, 5, 's'), (0o1000, 8, 't')] {
        if mode & bit != 0 {
            text[place] = if text[place] == 'x' {
                letter
            } else {
                letter.to_ascii_uppercase()
            };
        }
    }
    text.into_iter().collect()
}

/// `Mon dd HH:MM` for the last 182 days, `Mon dd  YYYY` otherwise.
fn date(seconds: i64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64;
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let name = MONTHS[month as usize - 1];
    if seconds > now + 86_400 || now - seconds > 182 * 86_400 {
        format!("{name} {day:02}  {year}")
    } else {
        let of_day = seconds.rem_euclid(86_400);
        format!(
            "{name} {day:02} {:02}:{:02}",
            of_day / 3600,
            of_day / 60 % 60
        )
    }
}

/// Year, month and day of a day counted from 1970-01-01.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (
        yoe + era * 400 + i64::from(month <= 2),
        month,
        doy - (153 * mp + 2) / 5 + 1,
    )
}
