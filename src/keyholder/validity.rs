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
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::{GENERALIZED_TIME, SEQUENCE, UTC_TIME, VERSION, days, element, of, time};

    /// An element of DER, its length in as few bytes as it takes.
    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let bytes = content.len().to_be_bytes();
        let length: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
        let mut head = vec![tag];
        match length.as_slice() {
            [] => head.push(0),
            [short @ 0..=0x7f] => head.push(*short),
            long => {
                head.push(0x80 | u8::try_from(long.len()).unwrap());
                head.extend_from_slice(long);
            }
        }
        [head, content].concat()
    }

    /// As much of a certificate as is read here, with these tags, and a subject of this length behind.
    fn certificate(tags: [u8; 3], version: bool, subject: usize) -> Vec<u8> {
        let [outer, inner, validity] = tags;
        let version = if version {
            der(VERSION, &[&der(2, &[&[2]])])
        } else {
            Vec::new()
        };
        let ends = der(
            validity,
            &[
                &der(UTC_TIME, &[b"240229123456Z"]),
                &der(GENERALIZED_TIME, &[b"20500301000000Z"]),
            ],
        );
        let serial = der(2, &[&[7]]);
        let (algorithm, issuer) = (der(0x30, &[]), der(0x30, &[&[5, 0]]));
        let subject = der(0x30, &[&vec![0; subject]]);
        let body = der(
            inner,
            &[&version, &serial, &algorithm, &issuer, &ends, &subject],
        );
        der(outer, &[&body, &der(3, &[&[0]])])
    }

    #[test]
    fn a_certificate_s_dates() {
        let usual = [SEQUENCE; 3];
        let both = Some((1_709_210_096, 2_529_705_600));
        for subject in [0, 1, 60, 100, 126, 250, 300, 60_000, 66_000, 100_000] {
            for version in [true, false] {
                assert_eq!(of(&certificate(usual, version, subject)), both, "{subject}");
            }
        }
        for at in 0..3 {
            let mut tags = usual;
            tags[at] = 0x31;
            assert_eq!(of(&certificate(tags, true, 9)), None, "{at}");
        }
    }

    #[test]
    fn lengths() {
        for length in [0, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0x12_3456] {
            let content = vec![1; length];
            let mut whole = der(4, &[&content]);
            whole.push(9);
            assert_eq!(
                element(&whole),
                Some((4, &content[..], &[9][..])),
                "{length}"
            );
            whole.pop();
            let cut = whole.split_last().unwrap().1;
            assert_eq!(element(cut), None, "{length}");
        }
    }

    #[test]
    fn days_of_the_calendar() {
        for (date, want) in [
            ((1900, 1, 1), Some(-25_567)),
            ((1970, 1, 1), Some(0)),
            ((2000, 2, 29), Some(11_016)),
            ((2000, 3, 1), Some(11_017)),
            ((2024, 1, 31), Some(19_753)),
            ((2100, 3, 1), Some(47_541)),
            ((2399, 12, 31), Some(157_053)),
            ((2400, 3, 1), Some(157_114)),
            ((9999, 12, 31), Some(2_932_896)),
            ((1899, 12, 31), None),
            ((10_000, 1, 1), None),
            ((2024, 0, 1), None),
            ((2024, 13, 1), None),
            ((2024, 1, 0), None),
            ((2024, 1, 32), None),
        ] {
            let (year, month, day) = date;
            assert_eq!(days(year, month, day), want, "{date:?}");
        }
        for month in 1..=12 {
            assert_eq!(
                days(2023, month, 1).unwrap(),
                19_358
                    + [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]
                        [usize::try_from(month).unwrap() - 1]
            );
        }
    }

    #[test]
    fn times() {
        assert_eq!(time(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(time(UTC_TIME, b"240229123456Z"), Some(1_709_210_096));
        assert_eq!(
            time(GENERALIZED_TIME, b"20500301000000Z"),
            Some(2_529_705_600)
        );
        // RFC 5280, 4.1.2.5.1: from 50 on it is the century before.
        assert_eq!(time(UTC_TIME, b"491231235959Z"), Some(2_524_607_999));
        assert_eq!(time(UTC_TIME, b"500101000000Z"), Some(-631_152_000));
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
