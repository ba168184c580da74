//! The arguments of MFMT, MFF and SITE UTIME (draft-somers-ftp-mfxx; SITE UTIME as lftp, gFTP and IIS know it); runs in worker.

use super::{time, verb};

/// What MFF is to change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Seconds since 1970 UTC.
    pub modify: Option<i64>,
    /// Permission bits.
    pub mode: Option<u32>,
}

/// A time of RFC 3659: `YYYYMMDDHHMMSS`, perhaps with a fraction, which is dropped. A date alone is none.
#[must_use]
pub fn stamp(text: &[u8]) -> Option<i64> {
    (text.len() >= 14)
        .then(|| time::parse_stamp(text))
        .flatten()
}

/// Reads `fact=value;fact=value; name`; `None` if a fact is unknown, doubled or malformed, or a part is missing: none is changed then.
#[must_use]
pub fn parse_mff(arg: &[u8]) -> Option<(Wanted, &[u8])> {
    let (facts, path) = verb::split_raw(arg);
    let facts = facts.strip_suffix(b";")?;
    if path.is_empty() {
        return None;
    }
    let mut wanted = Wanted::default();
    for fact in facts.split(|byte| *byte == b';') {
        let at = fact.iter().position(|byte| *byte == b'=')?;
        let (name, value) = fact.split_at_checked(at)?;
        let value = value.get(1..)?;
        if name.eq_ignore_ascii_case(b"modify") && wanted.modify.is_none() {
            wanted.modify = Some(stamp(value)?);
        } else if name.eq_ignore_ascii_case(b"UNIX.mode") && wanted.mode.is_none() {
            wanted.mode = Some(verb::parse_mode(value).ok()?);
        } else {
            return None;
        }
    }
    Some((wanted, path))
}

/// Reads `YYYYMMDDHHMM[SS] name`, or `name ATIME MTIME CTIME UTC`, of which the second time counts.
#[must_use]
pub fn parse_utime(arg: &[u8]) -> Option<(i64, &[u8])> {
    long_utime(arg).or_else(|| {
        let (text, path) = verb::split_raw(arg);
        let time = match text.len() {
            12 => stamp(&[text, b"00"].concat()),
            _ => stamp(text),
        };
        time.filter(|_| !path.is_empty()).map(|time| (time, path))
    })
}

fn long_utime(arg: &[u8]) -> Option<(i64, &[u8])> {
    let (rest, word) = last(arg)?;
    if !word.eq_ignore_ascii_case(b"UTC") {
        return None;
    }
    let (rest, created) = last(rest)?;
    let (rest, modified) = last(rest)?;
    let (path, accessed) = last(rest)?;
    stamp(created).and(stamp(accessed))?;
    stamp(modified)
        .filter(|_| !path.is_empty())
        .map(|time| (time, path))
}

/// What precedes the last space, and what follows it.
fn last(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().rposition(|byte| *byte == b' ')?;
    Some((text.get(..at)?, text.get(at + 1..)?))
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

    const AT: i64 = 1_582_975_353;

    #[test]
    fn mff() {
        let both = Wanted {
            modify: Some(AT),
            mode: Some(0o640),
        };
        assert_eq!(
            parse_mff(b"Modify=20200229112233;unix.MODE=0640; a b"),
            Some((both, &b"a b"[..]))
        );
        for bad in [
            &b""[..],
            b"f",
            b"modify=20200229112233 f",
            b"modify=20200229112233; ",
            b"modify=20200229; f",
            b"modify=20210229112233; f",
            b"modify=20200229112233;modify=20200229112233; f",
            b"UNIX.mode=u+x; f",
            b"UNIX.mode=644;UNIX.mode=600; f",
            b"modify=2020022911223; f",
            b"modify=20200229112233=; f",
            b"UNIX.mode=6=4; f",
            b"create=20200229112233; f",
            b"modify=20200229112233;UNIX.owner=0; f",
            b"; f",
        ] {
            assert_eq!(parse_mff(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn utime() {
        let f = b"f".as_slice();
        assert_eq!(parse_utime(b"20200229112233 f"), Some((AT, f)));
        assert_eq!(parse_utime(b"202002291122 f"), Some((AT - 33, f)));
        assert_eq!(
            parse_utime(b"a b 20010203040506 20200229112233 20010203040506 UTC"),
            Some((AT, &b"a b"[..]))
        );
        for bad in [
            &b""[..],
            b"f",
            b"20200229112233",
            b"20200229112233 ",
            b"f 20200229112233 UTC",
            b" 20010203040506 20200229112233 20010203040506 UTC",
            b"f 20010203040506 20200229112233 20010203040506 GMT",
            b"f 20010203040506 20200229112233 UTC",
            b"f x 20200229112233 y UTC",
            b"20200229 f",
        ] {
            assert_eq!(parse_utime(bad), None, "{}", bad.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes(arg: Vec<u8>) {
            let _ = (parse_mff(&arg), parse_utime(&arg), stamp(&arg));
        }
    }
}
