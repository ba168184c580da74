//! ASCII type: line ends between the host (LF) and the network (CR LF), with the state that a buffer's edge needs; runs in worker.

use super::line::position;

/// Host to network (RETR with TYPE A; reference §9.4): LF becomes CR LF, CR LF stays.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ToNetwork {
    last_cr: bool,
}

impl ToNetwork {
    /// For the beginning of a file.
    #[must_use]
    pub const fn new() -> Self {
        Self { last_cr: false }
    }

    /// Appends the converted input to `out`, at most twice its length.
    pub fn convert(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len() + input.len() / 16 + 2);
        let mut rest = input;
        while let Some((text, after)) =
            position(rest, b'\n').and_then(|at| rest.split_at_checked(at))
        {
            out.extend_from_slice(text);
            let has_cr = text.last().map_or(self.last_cr, |byte| *byte == b'\r');
            out.extend_from_slice(if has_cr { b"\n" } else { b"\r\n" });
            self.last_cr = false;
            rest = after.get(1..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
        if let Some(byte) = rest.last() {
            self.last_cr = *byte == b'\r';
        }
    }
}

/// Network to host (STOR with TYPE A; reference §9.4): CR LF becomes LF, a CR alone stays.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct FromNetwork {
    pending_cr: bool,
}

impl FromNetwork {
    /// For the beginning of a file.
    #[must_use]
    pub const fn new() -> Self {
        Self { pending_cr: false }
    }

    /// Appends the converted input to `out`, at most one byte more than its length; a CR at its end waits for what follows.
    pub fn convert(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let Some(first) = input.first() else { return };
        out.reserve(input.len() + 1);
        if self.pending_cr && *first != b'\n' {
            out.push(b'\r');
        }
        self.pending_cr = false;
        let mut rest = input;
        while let Some((text, after)) =
            position(rest, b'\r').and_then(|at| rest.split_at_checked(at))
        {
            out.extend_from_slice(text);
            rest = after.get(1..).unwrap_or_default();
            match rest.first() {
                Some(b'\n') => {}
                Some(_) => out.push(b'\r'),
                None => self.pending_cr = true,
            }
        }
        out.extend_from_slice(rest);
    }

    /// Appends the CR that ended the file, if one did.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.pending_cr) {
            out.push(b'\r');
        }
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

    fn to(input: &[u8], piece: usize) -> Vec<u8> {
        let (mut state, mut out) = (ToNetwork::new(), Vec::new());
        input
            .chunks(piece)
            .for_each(|part| state.convert(part, &mut out));
        out
    }

    fn from(input: &[u8], piece: usize) -> Vec<u8> {
        let (mut state, mut out) = (FromNetwork::new(), Vec::new());
        input
            .chunks(piece)
            .for_each(|part| state.convert(part, &mut out));
        state.finish(&mut out);
        out
    }

    #[test]
    fn observed_vectors() {
        for piece in 1..20 {
            assert_eq!(from(b"a\r\nb\rc\r\n\r", piece), b"a\nb\rc\n\r");
            assert_eq!(
                to(b"l1\nl2\r\nl3\n\rq\r", piece),
                b"l1\r\nl2\r\nl3\r\n\rq\r"
            );
            assert_eq!(from(b"\r\r\n\n", piece), b"\r\n\n");
            assert_eq!(to(b"\n\n", piece), b"\r\n\r\n");
        }
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'x')], 0..200)
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(input in text(), piece in 1_usize..50) {
            prop_assert_eq!(to(&input, piece), to(&input, 1000));
            prop_assert_eq!(from(&input, piece), from(&input, 1000));
        }

        #[test]
        fn there_and_back(input in text()) {
            let plain: Vec<u8> = input.iter().copied().filter(|byte| *byte != b'\r').collect();
            prop_assert_eq!(from(&to(&plain, 7), 5), plain);
        }
    }
}
