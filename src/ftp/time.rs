//! Calendar arithmetic for MDTM and listings, without the C library and its time zones; runs in worker.

use super::number;

const DAY: i64 = 86_400;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A point in time in the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// The year; negative before year 0.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

impl Civil {
    /// From seconds since 1970 in UTC; add a zone's offset before for local time. Total over all `i64`.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        let (year, month, day) = date(seconds.div_euclid(DAY));
        let rest = seconds.rem_euclid(DAY);
        Self {
            year,
            month,
            day,
            hour: small(rest / 3600),
            minute: small(rest / 60 % 60),
            second: small(rest % 60),
        }
    }

    /// Seconds since 1970, if every field is in its range and the year is 1 to 9999. Second 60 is allowed (RFC 3659 §2.3).
    #[must_use]
    pub fn to_unix(self) -> Option<i64> {
        let date_ok = (1..=9999).contains(&self.year)
            && self.day >= 1
            && self.day <= days_in(self.year, self.month);
        if !date_ok || self.hour > 23 || self.minute > 59 || self.second > 60 {
            return None;
        }
        let clock =
            i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        Some(days(self.year, self.month, self.day) * DAY + clock)
    }

    /// `Jan` to `Dec`.
    #[must_use]
    pub fn month_name(self) -> &'static str {
        MONTHS
            .get(usize::from(self.month).wrapping_sub(1))
            .copied()
            .unwrap_or("???")
    }
}

/// `YYYYMMDDHHMMSS`, the text of a 213 reply to MDTM (RFC 3659 §2.3).
#[must_use]
pub fn mdtm(seconds: i64) -> String {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
    } = Civil::from_unix(seconds);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

/// Reads `YYYYMMDD`, `YYYYMMDDHHMMSS` or `YYYYMMDDHHMMSS.fraction`; the fraction is dropped.
#[must_use]
pub fn parse_stamp(text: &[u8]) -> Option<i64> {
    let field = |from: usize, to: usize| number::parse(text.get(from..to)?, 4);
    let part = |from: usize| u8::try_from(field(from, from + 2)?).ok();
    let year = i64::try_from(field(0, 4)?).ok()?;
    let (month, day) = (part(4)?, part(6)?);
    let (hour, minute, second) = match text.len() {
        8 => (0, 0, 0),
        14 => (part(8)?, part(10)?, part(12)?),
        16.. => {
            let digits = text.get(14..)?.strip_prefix(b".")?;
            digits.iter().all(u8::is_ascii_digit).then_some(())?;
            (part(8)?, part(10)?, part(12)?)
        }
        _ => return None,
    };
    Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
    }
    .to_unix()
}

/// The form of MDTM that sets a time, `STAMP path` (reference §3.4.4): the stamp and the path. The original looks at the first
/// digit and at where the first space is; here the stamp must also be a time, otherwise the text is a name to query.
#[must_use]
pub fn set_form(arg: &[u8]) -> Option<(i64, &[u8])> {
    let (stamp, path) = arg.split_at_checked(arg.iter().position(|byte| *byte == b' ')?)?;
    Some((parse_stamp(stamp)?, path.get(1..)?))
}

/// Whether the stamp of a [`set_form`] has parts of a second that would be lost.
#[must_use]
pub fn has_fraction(arg: &[u8]) -> bool {
    let stamp = arg.split(|byte| *byte == b' ').next().unwrap_or_default();
    let fraction = stamp.iter().skip_while(|byte| **byte != b'.').skip(1);
    fraction.copied().any(|digit| digit != b'0')
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// How many days a month has; 0 for what is no month.
fn days_in(year: i64, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap(year) => 29,
        2 => 28,
        _ => 0,
    }
}

/// Days since 1970-01-01. Years begin in March here, so that the leap day is a year's last.
fn days(year: i64, month: u8, day: u8) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let in_era = year.rem_euclid(400);
    let month = (i64::from(month) + 9) % 12;
    let in_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468
}

/// The inverse of [`days`].
fn date(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let in_era = days.rem_euclid(146_097);
    let years = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * years + years / 4 - years / 100);
    let shifted = (5 * in_year + 2) / 153;
    let day = in_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (
        years + era * 400 + i64::from(month <= 2),
        small(month),
        small(day),
    )
}

/// For values that are below 60 by construction.
fn small(value: i64) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
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

    #[test]
    fn known_times() {
        assert_eq!(mdtm(0), "19700101000000");
        assert_eq!(mdtm(1_582_975_353), "20200229112233");
        assert_eq!(mdtm(-1), "19691231235959");
        assert_eq!(mdtm(253_402_300_799), "99991231235959");
        assert_eq!(Civil::from_unix(253_402_300_800).year, 10_000);
        let _ = (Civil::from_unix(i64::MIN), Civil::from_unix(i64::MAX));
    }

    #[test]
    fn set_forms() {
        assert_eq!(
            set_form(b"20200229112233 a b"),
            Some((1_582_975_353, &b"a b"[..]))
        );
        assert_eq!(
            set_form(b"20200229112233.123 f"),
            Some((1_582_975_353, &b"f"[..]))
        );
        for (stamp, seconds) in [
            (&b"20200229112260"[..], 1_582_975_380),
            (b"20000229", 951_782_400),
            (b"20960229", 3_981_312_000),
            (b"24000229", 13_574_563_200),
            (b"99991231235959", 253_402_300_799),
            (b"20200131", 1_580_428_800),
            (b"20200430", 1_588_204_800),
            (b"19700101", 0),
        ] {
            assert_eq!(
                parse_stamp(stamp),
                Some(seconds),
                "{}",
                stamp.escape_ascii()
            );
        }
        let long = [&b"20200229112233."[..], &[b'9'; 4000], b" f"].concat();
        assert_eq!(set_form(&long), Some((1_582_975_353, &b"f"[..])));
        // A leap second (RFC 3659 §2.3), which clocks of the kind that are here count as the next one.
        let leap = set_form(b"20161231235960 f");
        assert_eq!(leap, Some((1_483_228_800, &b"f"[..])));
        // Listings show times before 1970, so a mirror sends them.
        let before = set_form(b"19650203040506 f");
        assert_eq!(before, Some((-154_900_494, &b"f"[..])));
        assert_eq!(set_form(b"19691231 f"), Some((-86_400, &b"f"[..])));
        let first = set_form(b"00010101 f");
        assert_eq!(first, Some((-62_135_596_800, &b"f"[..])));
        assert_eq!(set_form(b"20200229  f"), Some((1_582_934_400, &b" f"[..])));
        for no in [
            &b"f"[..],
            b"",
            b"20200229",
            b"20210229 f",
            b"20200230 f",
            b"20201301 f",
            b"20200001 f",
            b"20200100 f",
            b"20200431 f",
            b"20200132 f",
            b"21000229 f",
            b"20200229116000 f",
            b"20200229112261 f",
            b"20200229112233.1x f",
            b"20200229112233.x1 f",
            b"100000101 f",
            b"99999999 f",
            b"2020x229 f",
            b"202002291122 f",
            b"202002291122333 f",
            b"20200229112233. f",
            b"20200229112233.x f",
            b"20200229240000 f",
            // One second more than RFC 3659 has, a year of five digits, twenty digits, and the year before the first.
            b"20161231235961 f",
            b"100000101000000 f",
            b"20200229112233445566 f",
            b"00000101000000 f",
            b"2020022911223. f",
            b" 20200229 f",
        ] {
            assert_eq!(set_form(no), None, "{}", no.escape_ascii());
        }
    }

    #[test]
    fn fractions_that_would_be_lost() {
        for (arg, lost) in [
            (&b"20200229112233.5 f"[..], true),
            (b"20200229112233.05 f", true),
            (b"20200229112233.50 f", true),
            (b"20200229112233.00 f", false),
            (b"20200229112233 f.5", false),
            (b"20200229112233", false),
            (b"20200229 f", false),
        ] {
            assert_eq!(has_fraction(arg), lost, "{}", arg.escape_ascii());
        }
    }

    #[test]
    fn days_at_the_ends_of_years_and_centuries() {
        for (year, start) in [
            (1600, -135_140),
            (1900, -25_567),
            (1970, 0),
            (2000, 10_957),
            (2001, 11_323),
            (2100, 47_482),
            (2101, 47_847),
            (2400, 157_054),
            (2401, 157_420),
        ] {
            assert_eq!(date(start), (year, 1, 1));
            assert_eq!(date(start - 1), (year - 1, 12, 31));
        }
        // Four centuries, day by day.
        let mut expected = (2000, 3, 1);
        for day in 11_017..11_017 + 146_097 + 366 {
            assert_eq!(date(day), expected);
            let (year, month, day) = expected;
            expected = match (month, day == days_in(year, month)) {
                (_, false) => (year, month, day + 1),
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
            };
        }
        assert_eq!(expected, (2401, 3, 2));
    }

    proptest! {
        #[test]
        fn there_and_back(seconds in -62_135_596_800_i64..253_402_300_800) {
            prop_assert_eq!(Civil::from_unix(seconds).to_unix(), Some(seconds));
            prop_assert_eq!(parse_stamp(mdtm(seconds).as_bytes()), Some(seconds));
        }

        #[test]
        fn days_invert(count in -1_000_000_000_i64..1_000_000_000) {
            let (year, month, day) = date(count);
            prop_assert!((1..=days_in(year, month)).contains(&day));
            prop_assert_eq!(days(year, month, day), count);
        }

        #[test]
        fn any_bytes(arg: Vec<u8>) {
            let _ = set_form(&arg);
        }
    }
}
