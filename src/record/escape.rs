//! The one place where what a client sent is made fit for a line of a log; runs in helper.

/// Appends `text` with every byte that is not printable ASCII as `?`, so that one event stays one line (reference §5.15). The original
/// does the same to each byte of a name in UTF-8.
pub fn printable(out: &mut Vec<u8>, text: &[u8]) {
    // Itself is what stands for it.
    with(out, text, (b'?', b'?'));
}

/// [`printable`], and `]` as `?`: a name between brackets. One with a bracket would end them, and what follows it in the name would read as
/// the rest of a line that this server has written: to a filter that looks for failed logins, about an address of the client's choice.
pub fn bracketed(out: &mut Vec<u8>, text: &[u8]) {
    with(out, text, (b']', b'?'));
}

/// [`printable`], and blanks as `_`: a field of a line whose fields are separated by blanks.
pub fn field(out: &mut Vec<u8>, text: &[u8]) {
    with(out, text, (b' ', b'_'));
}

/// An anonymous password as both logs show it: as a field, and `?` if there is none.
pub fn password(out: &mut Vec<u8>, text: &[u8]) {
    field(out, if text.is_empty() { b"?" } else { text });
}

/// With another byte in the place of this one.
fn with(out: &mut Vec<u8>, text: &[u8], (this, other): (u8, u8)) {
    out.extend(text.iter().map(|byte| match *byte {
        byte if byte == this => other,
        byte if is_printable(byte) => byte,
        _ => b'?',
    }));
}

fn is_printable(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte)
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
    fn as_the_original() {
        let mut out = Vec::new();
        password(&mut out, "me@x y\u{1}é\"q\"".as_bytes());
        assert_eq!(out, b"me@x_y???\"q\"");
        out.clear();
        password(&mut out, b"");
        assert_eq!(out, b"?");
        out.clear();
        printable(&mut out, b"e\xffg\nh\ri\"q\x1b[31m\x7f\x9b ~");
        assert_eq!(out, b"e?g?h?i\"q?[31m?? ~");
        out.clear();
        bracketed(&mut out, b"x] FAIL\n[y");
        assert_eq!(out, b"x? FAIL?[y");
    }

    proptest! {
        /// attacks B-077.
        #[test]
        fn only_printable_bytes_come_out(text: Vec<u8>) {
            let mut out = Vec::new();
            printable(&mut out, &text);
            field(&mut out, &text);
            bracketed(&mut out, &text);
            prop_assert!(out.len() == 3 * text.len() && out.iter().all(|byte| is_printable(*byte)));
        }
    }
}
