//! The date at the head of a log line; runs in helper.

use std::fmt;

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A broken-down time, as localtime(3) gives it; shown as `Www Mmm dd HH:MM:SS YYYY`, the day padded with a space, whatever the locale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// The year.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0, Sunday, to 6.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
}

impl Date {
    /// From seconds since 1970; add a zone's offset before for local time.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        let days = seconds.div_euclid(86_400);
        let clock = seconds.rem_euclid(86_400);
        let (year, month, day) = civil(days);
        Self {
            year,
            month,
            day,
            // 1970-01-01 was a Thursday.
            weekday: small((days + 4).rem_euclid(7)),
            hour: small(clock / 3600),
            minute: small(clock / 60 % 60),
            second: small(clock % 60),
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weekday = DAYS.get(usize::from(self.weekday)).unwrap_or(&"???");
        let month = MONTHS
            .get(usize::from(self.month).wrapping_sub(1))
            .unwrap_or(&"???");
        let Self {
            year,
            day,
            hour,
            minute,
            second,
            ..
        } = self;
        write!(
            f,
            "{weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year}"
        )
    }
}

/// Year, month and day of a day since 1970-01-01. Years begin in March here, so that the leap day is a year's last.
fn civil(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let in_era = days.rem_euclid(146_097);
    let years = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * years + years / 4 - years / 100);
    let shifted = (5 * in_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (
        years + era * 400 + i64::from(month <= 2),
        small(month),
        small(in_year - (153 * shifted + 2) / 5 + 1),
    )
}

/// For values that are below 60 by construction.
fn small(value: i64) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_ctime_prints_it() {
        for (seconds, want) in [
            (0, "Thu Jan  1 00:00:00 1970"),
            (1_795_487_326, "Tue Nov 24 02:28:46 2026"),
            (1_582_975_353, "Sat Feb 29 11:22:33 2020"),
            (-1, "Wed Dec 31 23:59:59 1969"),
            (951_868_800, "Wed Mar  1 00:00:00 2000"),
        ] {
            assert_eq!(Date::from_unix(seconds).to_string(), want);
        }
    }
}
