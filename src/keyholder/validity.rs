//! From when until when a certificate is valid, read out of its DER (RFC 5280, 4.1.2.5); keyholder.

/// Tags of DER (X.690).
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The two ends in seconds since 1970; `None` for what is no certificate.
pub fn of(certificate: &[u8]) -> Option<(i64, i64)> {
    let (tag, outer, _) = element(certificate)?;
    let (inner, body, _) = element(outer)?;
    if (tag, inner) != (SEQUENCE, SEQUENCE) {
        return None;
    }
    let (first, _, after) = element(body)?;
    // The version may be left out; then the serial number is first.
    let rest = if first == VERSION {
        element(after)?.2
    } else {
        after
    };
    let (_, _, rest) = element(rest)?;
    let (_, _, rest) = element(rest)?;
    let (tag, validity, _) = element(rest)?;
    if tag != SEQUENCE {
        return None;
    }
    let (from_tag, from, rest) = element(validity)?;
    let (until_tag, until, _) = element(rest)?;
    Some((time(from_tag, from)?, time(until_tag, until)?))
}

/// A tag, its content, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match *length {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => {
            let (length, rest) = rest.split_first()?;
            (usize::from(*length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        0x83 => {
            let (length, rest) = rest.split_first_chunk::<3>()?;
            let [a, b, c] = *length;
            (
                usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?,
                rest,
            )
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let digits = text.strip_suffix(b"Z")?;
    let digits = std::str::from_utf8(digits).ok()?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let pair = |at: usize| rest.get(at..at.checked_add(2)?)?.parse::<i64>().ok();
    let (month, day) = (pair(0)?, pair(2)?);
    let (hour, minute, second) = (pair(4)?, pair(6)?, pair(8)?);
    Some(days(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1970 of a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1900..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March, so that the day that comes and goes is the last one.
    let year = if month < 3 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap = year / 4 - year / 100 + year / 400;
    Some(365 * year + leap + (153 * month + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::{GENERALIZED_TIME, UTC_TIME, of, time};

    #[test]
    fn times() {
        assert_eq!(time(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(time(UTC_TIME, b"240229123456Z"), Some(1_709_210_096));
        assert_eq!(
            time(GENERALIZED_TIME, b"20500301000000Z"),
            Some(2_529_705_600)
        );
        assert_eq!(time(UTC_TIME, b"241301000000Z"), None);
        assert_eq!(time(UTC_TIME, b"2401010000"), None);
    }

    #[test]
    fn nonsense_has_no_dates() {
        for bytes in [
            b"".as_slice(),
            b"\x30",
            b"\x30\x03\x02\x01\x01",
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(of(bytes), None);
        }
    }
}
