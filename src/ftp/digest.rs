//! Checksums of files: the names of HASH (draft-bryan-ftpext-hash), the arguments of HASH, RANG and the X commands, and the sums; runs in worker.

use super::{number, verb};
use sha2::Digest;

/// What can be computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256 (FIPS 180-4).
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
    /// SHA-1; proves nothing against an attacker.
    Sha1,
    /// MD5 (RFC 1321); nor does this.
    Md5,
    /// CRC-32 of IEEE 802.3.
    Crc32,
}

/// In the order of FEAT.
const ALL: [Algorithm; 5] = [
    Algorithm::Sha256,
    Algorithm::Sha512,
    Algorithm::Sha1,
    Algorithm::Md5,
    Algorithm::Crc32,
];

impl Algorithm {
    /// Its name in HASH.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
            Self::Sha1 => "SHA-1",
            Self::Md5 => "MD5",
            Self::Crc32 => "CRC32",
        }
    }

    /// By its name, in any case.
    #[must_use]
    pub fn named(text: &[u8]) -> Option<Self> {
        ALL.into_iter()
            .find(|algorithm| text.eq_ignore_ascii_case(algorithm.name().as_bytes()))
    }

    /// The text of FEAT: all names, this one with a star.
    #[must_use]
    pub fn feature(self) -> String {
        let names = ALL.map(|one| format!("{}{}", one.name(), if one == self { "*" } else { "" }));
        format!("HASH {}", names.join(";"))
    }

    /// A sum of nothing yet.
    #[must_use]
    pub fn sum(self) -> Sum {
        match self {
            Self::Sha256 => Sum::Sha256(sha2::Sha256::new()),
            Self::Sha512 => Sum::Sha512(sha2::Sha512::new()),
            Self::Sha1 => Sum::Sha1(sha1::Sha1::new()),
            Self::Md5 => Sum::Md5(md5::Md5::new()),
            Self::Crc32 => Sum::Crc32(crc32fast::Hasher::new()),
        }
    }
}

/// A sum under way.
pub enum Sum {
    /// See [`Algorithm`].
    Sha256(sha2::Sha256),
    /// See [`Algorithm`].
    Sha512(sha2::Sha512),
    /// See [`Algorithm`].
    Sha1(sha1::Sha1),
    /// See [`Algorithm`].
    Md5(md5::Md5),
    /// See [`Algorithm`].
    Crc32(crc32fast::Hasher),
}

impl Sum {
    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(sum) => sum.update(bytes),
            Self::Sha512(sum) => sum.update(bytes),
            Self::Sha1(sum) => sum.update(bytes),
            Self::Md5(sum) => sum.update(bytes),
            Self::Crc32(sum) => sum.update(bytes),
        }
    }

    /// The sum in lower-case hex.
    #[must_use]
    pub fn finish(self) -> String {
        match self {
            Self::Sha256(sum) => hex(&sum.finalize()),
            Self::Sha512(sum) => hex(&sum.finalize()),
            Self::Sha1(sum) => hex(&sum.finalize()),
            Self::Md5(sum) => hex(&sum.finalize()),
            Self::Crc32(sum) => hex(&sum.finalize().to_be_bytes()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads RANG's `first last`, both inclusive (draft-bryan-ftp-range); `1 0` takes a range back, which is `Some(None)`.
#[must_use]
pub fn parse_rang(arg: &[u8]) -> Option<Option<(u64, u64)>> {
    let (first, last) = verb::split_raw(arg);
    let (first, last) = (number::parse(first, 15)?, number::parse(last, 15)?);
    if (first, last) == (1, 0) {
        return Some(None);
    }
    (first <= last).then_some(Some((first, last)))
}

/// What an X command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The file.
    pub path: Vec<u8>,
    /// From this byte.
    pub from: u64,
    /// Up to before this one.
    pub to: Option<u64>,
}

/// The readings of an X command's argument, the likeliest first: a name in quotes and perhaps one or two numbers; the whole as a name;
/// a name and one or two numbers.
#[must_use]
pub fn parse_x(arg: &[u8]) -> Vec<Asked> {
    if let Some(quoted) = arg
        .strip_prefix(b"\"")
        .and_then(|rest| Some(rest.split_at(rest.iter().rposition(|byte| *byte == b'"')?)))
    {
        let (path, tail) = quoted;
        let tail = tail.strip_prefix(b"\"").unwrap_or(tail);
        let numbers: Option<Vec<u64>> = tail
            .split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty())
            .map(|word| number::parse(word, 15))
            .collect();
        if let Some(numbers) = numbers.filter(|numbers| numbers.len() <= 2) {
            return vec![asked(path, &numbers)];
        }
    }
    let mut readings = vec![asked(arg, &[])];
    let mut words = arg.rsplitn(3, |byte| *byte == b' ');
    let last = words.next().and_then(|word| number::parse(word, 15));
    let middle = words.next().and_then(|word| number::parse(word, 15));
    let front = words.next();
    if let (Some(from), Some(to), Some(path)) = (middle, last, front) {
        readings.push(asked(path, &[from, to]));
    }
    if let Some(from) = last
        && let Some(at) = arg.iter().rposition(|byte| *byte == b' ')
    {
        readings.push(asked(arg.get(..at).unwrap_or_default(), &[from]));
    }
    readings
}

fn asked(path: &[u8], numbers: &[u64]) -> Asked {
    Asked {
        path: path.to_vec(),
        from: numbers.first().copied().unwrap_or(0),
        to: numbers.get(1).copied(),
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
    use proptest::prelude::*;

    fn of(algorithm: Algorithm, bytes: &[u8]) -> String {
        let mut sum = algorithm.sum();
        bytes.chunks(2).for_each(|part| sum.add(part));
        sum.finish()
    }

    #[test]
    fn published_vectors() {
        let abc = b"abc";
        assert_eq!(of(Algorithm::Crc32, b"123456789"), "cbf43926");
        assert_eq!(of(Algorithm::Md5, abc), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(
            of(Algorithm::Sha1, abc),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(
            of(Algorithm::Sha256, abc),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(of(Algorithm::Sha512, abc).starts_with("ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn names() {
        assert_eq!(Algorithm::named(b"sha-1"), Some(Algorithm::Sha1));
        assert_eq!(Algorithm::named(b"SHA1"), None);
        assert_eq!(
            Algorithm::default().feature(),
            "HASH SHA-256*;SHA-512;SHA-1;MD5;CRC32"
        );
    }

    #[test]
    fn ranges() {
        assert_eq!(parse_rang(b"0 49"), Some(Some((0, 49))));
        assert_eq!(parse_rang(b"1 0"), Some(None));
        assert_eq!(parse_rang(b"5 5"), Some(Some((5, 5))));
        let most = 999_999_999_999_999;
        assert_eq!(
            parse_rang(b"999999999999999 999999999999999"),
            Some(Some((most, most)))
        );
        for bad in [
            &b""[..],
            b"5",
            b"5 4",
            b"2 1",
            b"-1 5",
            b"0 x",
            b"0  5",
            b"0 1000000000000000",
            b"0000000000000000 5",
        ] {
            assert_eq!(parse_rang(bad), None);
        }
    }

    #[test]
    fn arguments_of_x() {
        let one = |path: &[u8], from, to| Asked {
            path: path.to_vec(),
            from,
            to,
        };
        assert_eq!(parse_x(b"\"a b\" 1 9"), [one(b"a b", 1, Some(9))]);
        assert_eq!(parse_x(b"\"a\"b\""), [one(b"a\"b", 0, None)]);
        assert_eq!(parse_x(b"a b"), [one(b"a b", 0, None)]);
        // Too many numbers, or too long ones, are part of a name.
        assert_eq!(parse_x(b"\"a\" 1 2 3")[0], one(b"\"a\" 1 2 3", 0, None));
        let most = 999_999_999_999_999;
        assert_eq!(
            parse_x(b"a b 999999999999999 999999999999999")[1..],
            [
                one(b"a b", most, Some(most)),
                one(b"a b 999999999999999", most, None)
            ]
        );
        assert_eq!(
            parse_x(b"a 0 1000000000000000"),
            [one(b"a 0 1000000000000000", 0, None)]
        );
        assert_eq!(parse_x(b"a 1000000000000000 0").len(), 2);
        assert_eq!(
            parse_x(b"a 1 2"),
            [
                one(b"a 1 2", 0, None),
                one(b"a", 1, Some(2)),
                one(b"a 1", 2, None)
            ]
        );
    }

    proptest! {
        #[test]
        fn any_bytes(arg: Vec<u8>) {
            let _ = parse_rang(&arg);
            prop_assert!(!parse_x(&arg).is_empty());
        }
    }
}
