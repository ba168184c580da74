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
    pub year: i32,
    /// 0 to 11.
    pub month: i32,
    /// 1 to 31.
    pub day: i32,
    /// 0, Sunday, to 6.
    pub weekday: i32,
    /// 0 to 23.
    pub hour: i32,
    /// 0 to 59.
    pub minute: i32,
    /// 0 to 60.
    pub second: i32,
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weekday = DAYS.get(place(self.weekday)).unwrap_or(&"???");
        let month = MONTHS.get(place(self.month)).unwrap_or(&"???");
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

fn place(number: i32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The date in tests of lines.
#[cfg(test)]
pub const SAMPLE: Date = Date {
    year: 2026,
    month: 10,
    day: 24,
    weekday: 2,
    hour: 2,
    minute: 27,
    second: 35,
};

#[cfg(test)]
mod tests {
    use super::Date;

    #[test]
    fn as_ctime_prints_it() {
        let leap = Date {
            year: 2020,
            month: 1,
            day: 29,
            weekday: 6,
            hour: 11,
            minute: 22,
            second: 33,
        };
        for (date, want) in [
            (leap, "Sat Feb 29 11:22:33 2020"),
            (
                Date {
                    month: 11,
                    day: 1,
                    weekday: 0,
                    hour: 0,
                    minute: 0,
                    second: 60,
                    ..leap
                },
                "Sun Dec  1 00:00:60 2020",
            ),
            (
                Date {
                    month: 12,
                    weekday: -1,
                    ..leap
                },
                "??? ??? 29 11:22:33 2020",
            ),
        ] {
            assert_eq!(date.to_string(), want);
        }
    }
}
