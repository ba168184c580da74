//! Names for clients that know no UTF-8: to their code page and back, without losing any name; runs in worker.
//!
//! What a code page cannot show, and bytes that are no UTF-8, are written `%{HEX}`, as pairs of hexadecimal digits; a `%{` in a name
//! itself is written `%{25}{`. So every name has one spelling that comes back as the same bytes.

use encoding_rs::Encoding;
use std::borrow::Cow;

/// A code page in which ASCII is ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

impl Charset {
    /// By a label of the WHATWG Encoding standard.
    #[must_use]
    pub fn named(label: &[u8]) -> Option<Self> {
        Encoding::for_label(label)
            .filter(|encoding| encoding.is_ascii_compatible())
            .map(Self)
    }

    /// The name of the standard.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Whether it has all characters of a text.
    #[must_use]
    pub fn has(self, text: &[u8]) -> bool {
        std::str::from_utf8(text).is_ok_and(|text| self.encode(text).is_some())
    }

    /// Text of this host for the client.
    #[must_use]
    pub fn outward(self, text: &[u8]) -> Cow<'_, [u8]> {
        if text.is_ascii() && !marked(text) {
            return Cow::Borrowed(text);
        }
        let mut out = Outward {
            charset: self,
            out: Vec::with_capacity(text.len().saturating_add(16)),
            raw: Vec::new(),
        };
        for chunk in text.utf8_chunks() {
            let valid = chunk.valid();
            match self.encode(valid).filter(|_| !marked(valid.as_bytes())) {
                Some(bytes) if !bytes.is_empty() => out.plain(&bytes),
                Some(_) => {}
                None => out.characters(valid),
            }
            out.raw.extend_from_slice(chunk.invalid());
        }
        out.plain(b"");
        Cow::Owned(out.out)
    }

    /// Text of the client for this host. What is no text of the code page stays as it is: a client may send UTF-8 without saying so.
    #[must_use]
    pub fn inward(self, text: &[u8]) -> Cow<'_, [u8]> {
        if text.is_ascii() && !marked(text) {
            return Cow::Borrowed(text);
        }
        let decoded = self
            .0
            .decode_without_bom_handling_and_without_replacement(text);
        Cow::Owned(match decoded {
            Some(decoded) => plain(decoded.as_bytes()),
            None => plain(text),
        })
    }

    /// The bytes of a text, if they mean this text again.
    fn encode(self, text: &str) -> Option<Cow<'_, [u8]>> {
        let (bytes, _, unmappable) = self.0.encode(text);
        if unmappable {
            return None;
        }
        let back = self
            .0
            .decode_without_bom_handling_and_without_replacement(&bytes)?;
        (back == text).then_some(bytes)
    }
}

/// The bytes so far, and those that wait to be written in hex.
struct Outward {
    charset: Charset,
    out: Vec<u8>,
    raw: Vec<u8>,
}

impl Outward {
    fn plain(&mut self, bytes: &[u8]) {
        hex(&mut self.out, &std::mem::take(&mut self.raw));
        self.out.extend_from_slice(bytes);
    }

    fn characters(&mut self, text: &str) {
        let mut rest = text.chars().peekable();
        while let Some(one) = rest.next() {
            let mut buffer = [0; 4];
            let character = &*one.encode_utf8(&mut buffer);
            let marks = one == '%' && rest.peek() == Some(&'{');
            match self.charset.encode(character).filter(|_| !marks) {
                Some(bytes) => self.plain(&bytes),
                None => self.raw.extend_from_slice(character.as_bytes()),
            }
        }
    }
}

fn hex(out: &mut Vec<u8>, raw: &[u8]) {
    if raw.is_empty() {
        return;
    }
    out.extend_from_slice(b"%{");
    for byte in raw {
        out.extend_from_slice(format!("{byte:02x}").as_bytes());
    }
    out.push(b'}');
}

fn marked(text: &[u8]) -> bool {
    text.windows(2).any(|pair| pair == b"%{")
}

/// With every `%{HEX}` made bytes again; what only looks like one stays.
fn plain(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if let Some((bytes, behind)) = escape(rest) {
            out.extend_from_slice(&bytes);
            rest = behind;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

fn escape(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let inner = text.strip_prefix(b"%{")?;
    let end = inner.iter().position(|byte| *byte == b'}')?;
    let (digits, behind) = inner.split_at_checked(end)?;
    if digits.is_empty() || digits.len() % 2 != 0 {
        return None;
    }
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            let clean = pair.bytes().all(|byte| byte.is_ascii_hexdigit());
            u8::from_str_radix(pair, 16).ok().filter(|_| clean)
        })
        .collect();
    Some((bytes?, behind.strip_prefix(b"}")?))
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

    const PAGES: [&[u8]; 9] = [
        b"gbk",
        b"GB18030",
        b"big5",
        b"shift_jis",
        b"euc-jp",
        b"euc-kr",
        b"windows-1251",
        b"koi8-r",
        b"iso-8859-1",
    ];

    #[test]
    fn names_of_code_pages() {
        assert_eq!(Charset::named(b"gb2312").unwrap().name(), "GBK");
        assert_eq!(Charset::named(b"latin1").unwrap().name(), "windows-1252");
        for none in [&b""[..], b"x", b"utf-16le", b"iso-2022-jp", b"replacement"] {
            assert!(Charset::named(none).is_none());
        }
    }

    #[test]
    fn chinese() {
        let gbk = Charset::named(b"GBK").unwrap();
        assert_eq!(&*gbk.outward("中文 a".as_bytes()), b"\xd6\xd0\xce\xc4 a");
        assert_eq!(&*gbk.inward(b"\xd6\xd0\xce\xc4 a"), "中文 a".as_bytes());
        // No such sign, no UTF-8, and a name that looks like an escape.
        assert_eq!(&*gbk.outward("中😀x".as_bytes()), b"\xd6\xd0%{f09f9880}x");
        assert_eq!(&*gbk.outward(b"a\xff\xfeb"), b"a%{fffe}b");
        assert_eq!(&*gbk.outward(b"100%{41}"), b"100%{25}{41}");
        assert_eq!(&*gbk.inward(b"100%{25}{41}"), b"100%{41}");
        assert_eq!(&*gbk.inward(b"%{} %{4} %{zz} %{41"), b"%{} %{4} %{zz} %{41");
        assert_eq!(&*gbk.outward(b"50% {a}"), b"50% {a}");
        assert_eq!(&*gbk.outward("中50% {a}".as_bytes()), b"\xd6\xd050% {a}");
        assert_eq!(&*gbk.inward(b"%{+1} %{4g} %{g4}"), b"%{+1} %{4g} %{g4}");
        // UTF-8 that is no GBK passes as it is.
        assert_eq!(&*gbk.inward("é中".as_bytes()), "é中".as_bytes());
    }

    fn name() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<Vec<u8>>(),
            any::<String>().prop_map(String::into_bytes),
            "[%{}0-9a-f中文я¥‾−～]*".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_name_comes_back(name in name(), page in 0..PAGES.len()) {
            let charset = Charset::named(PAGES[page]).unwrap();
            let shown = charset.outward(&name).into_owned();
            prop_assert_eq!(&*charset.inward(&shown), name.as_slice());
            // A line's end and a path's slash mean the same on both sides.
            for byte in [b'\r', b'\n', b'/'] {
                prop_assert_eq!(
                    shown.iter().filter(|one| **one == byte).count(),
                    name.iter().filter(|one| **one == byte).count()
                );
            }
        }
    }
}
