//! Decimal and octal numbers without the formatting machinery, for the lines of a listing; runs in greeter and worker.

/// Room for the longest decimal `u64`.
const DIGITS: usize = 20;

/// Appends `value` in decimal.
pub fn decimal(out: &mut Vec<u8>, value: u64) {
    right(out, value, 0, b' ');
}

/// Appends `value` in decimal, filled on the left with `fill` to at least `width` bytes.
pub fn right(out: &mut Vec<u8>, mut value: u64, width: usize, fill: u8) {
    let mut digits = [fill; DIGITS];
    let mut count = 0_usize;
    for slot in digits.iter_mut().rev() {
        *slot = digit(value % 10);
        value /= 10;
        count += 1;
        if value == 0 {
            break;
        }
    }
    let start = DIGITS.saturating_sub(count.max(width));
    out.extend_from_slice(digits.get(start..).unwrap_or(&digits));
}

/// Appends two decimal digits, with a leading zero.
pub fn pair(out: &mut Vec<u8>, value: u8) {
    out.push(digit(u64::from(value / 10)));
    out.push(digit(u64::from(value)));
}

/// Reads 1 to `most` decimal digits and nothing else: no sign, no blank. `most` must not exceed 19.
#[must_use]
pub fn parse(text: &[u8], most: usize) -> Option<u64> {
    if text.is_empty() || text.len() > most.min(DIGITS - 1) {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u64::from(*byte - b'0'))
    })
}

fn digit(value: u64) -> u8 {
    b'0' + u8::try_from(value % 10).unwrap_or(0)
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

    proptest! {
        #[test]
        fn decimal_is_what_display_says(value: u64, width in 0_usize..20) {
            let mut out = Vec::new();
            right(&mut out, value, width, b' ');
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{value:width$}"));
        }

        #[test]
        fn parse_reads_what_decimal_writes(value in 0_u64..1_000_000_000_000_000_000) {
            let mut out = Vec::new();
            decimal(&mut out, value);
            prop_assert_eq!(parse(&out, 19), Some(value));
        }
    }

    #[test]
    fn parse_is_strict() {
        for bad in [
            &b""[..],
            b"+1",
            b"-1",
            b" 1",
            b"1 ",
            b"0x1",
            b"1e3",
            b"1234",
            b"\xd9\xa1",
        ] {
            assert_eq!(parse(bad, 3), None, "{bad:?}");
        }
        assert_eq!(parse(b"007", 3), Some(7));
    }

    #[test]
    fn pairs() {
        let mut out = Vec::new();
        let mut want = String::new();
        for value in 0..100 {
            pair(&mut out, value);
            want.push_str(&format!("{value:02}"));
        }
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }
}
