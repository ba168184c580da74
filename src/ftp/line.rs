//! Command lines: a bounded receive buffer, the split into lines, and verb and argument; runs in greeter and worker.

use std::io::BufRead;
use zeroize::Zeroize;

/// The longest command line, its line end included (reference §3.1): 4094 bytes and CR LF.
pub const LINE_MAX: usize = 4096;

/// Room for the lines clients mostly say. Only who says a longer one, or many at once, has a buffer of [`LINE_MAX`]: an idle session has a page
/// less.
const SHORT: usize = 512;

/// Telnet bytes that precede an ABOR sent as RFC 959 §4.1.3 asks: IAC, IP and the data mark.
const IAC: u8 = 0xff;
const INTERRUPT: u8 = 0xf4;
const DATA_MARK: u8 = 0xf2;

/// A line did not end within [`LINE_MAX`] bytes: say 500 and close, what follows is never read as a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// One received line without its end; its bytes are wiped when it goes.
#[derive(PartialEq, Eq)]
pub struct Line(Vec<u8>);

impl Line {
    /// The bytes of the line, NUL already turned into LF as the original does.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Line {
    // A line may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line({} bytes)", self.0.len())
    }
}

/// The bytes received and not yet read as commands, never more than [`LINE_MAX`]; every byte is wiped once it was taken.
pub struct LineBuffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// How far behind `start` there is known to be no LF.
    searched: usize,
    /// Set for good once a line was too long.
    broken: bool,
}

impl LineBuffer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: vec![0; SHORT].into_boxed_slice(),
            start: 0,
            end: 0,
            searched: 0,
            broken: false,
        }
    }

    /// A buffer that begins with what another process received and did not read. More than [`LINE_MAX`] bytes cannot be the
    /// rest of another buffer; they count as a line that is too long.
    #[must_use]
    pub fn with(rest: &[u8]) -> Self {
        let mut buffer = Self::new();
        if rest.len() > SHORT {
            buffer.grow();
        }
        match buffer.bytes.get_mut(..rest.len()) {
            Some(room) => {
                room.copy_from_slice(rest);
                buffer.end = rest.len();
            }
            None => buffer.broken = true,
        }
        buffer
    }

    /// The free room, to receive into; then call [`LineBuffer::filled`]. Empty only when a whole buffer waits to be read
    /// with [`LineBuffer::next_line`].
    pub fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            let length = self.end - self.start;
            if let Some(old) = self.bytes.get_mut(length..self.end) {
                old.zeroize();
            }
            self.start = 0;
            self.end = length;
        }
        if self.end == self.bytes.len() {
            self.grow();
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Makes room for the longest line, if there is not.
    fn grow(&mut self) {
        if self.bytes.len() < LINE_MAX {
            let mut more = vec![0; LINE_MAX].into_boxed_slice();
            for (to, from) in more.iter_mut().zip(&self.bytes) {
                *to = *from;
            }
            self.bytes.zeroize();
            self.bytes = more;
        }
    }

    /// Says how many bytes were put into [`LineBuffer::space`]; more than its length counts as its length.
    pub fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.bytes.len());
    }

    /// Takes the next complete line (reference §3.1): up to the first LF, without it and without all CRs before it.
    ///
    /// # Errors
    /// [`TooLong`], from then on always.
    pub fn next_line(&mut self) -> Result<Option<Line>, TooLong> {
        if self.broken {
            return Err(TooLong);
        }
        let from = self.start + self.searched;
        let fresh = self.bytes.get(from..self.end).unwrap_or_default();
        let Some(at) = position(fresh, b'\n') else {
            self.searched = self.end - self.start;
            self.broken = self.searched >= LINE_MAX;
            return if self.broken { Err(TooLong) } else { Ok(None) };
        };
        let stop = from + at;
        let mut line = Vec::new();
        if let Some(raw) = self.bytes.get_mut(self.start..=stop) {
            let text = raw.strip_suffix(b"\n").unwrap_or(raw);
            let length = text
                .iter()
                .rposition(|byte| *byte != b'\r')
                .map_or(0, |last| last + 1);
            line.extend(
                text.iter()
                    .take(length)
                    .map(|byte| if *byte == 0 { b'\n' } else { *byte }),
            );
            raw.zeroize();
        }
        self.start = stop + 1;
        self.searched = 0;
        Ok(Some(Line(line)))
    }

    /// What was received and not yet taken.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Whether nothing unread is left.
    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Forgets and overwrites everything.
    pub fn wipe(&mut self) {
        self.bytes.zeroize();
        self.start = 0;
        self.end = 0;
        self.searched = 0;
    }
}

impl Default for LineBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for LineBuffer {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl std::fmt::Debug for LineBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LineBuffer({} bytes)", self.end - self.start)
    }
}

/// A verb and its argument; the argument is wiped when the command goes, for it may be a password.
#[derive(PartialEq, Eq)]
pub struct Command {
    /// The bytes before the first space, ASCII letters in upper case.
    pub verb: Vec<u8>,
    /// The bytes after the first space as they came, further blanks included.
    pub arg: Vec<u8>,
}

impl Command {
    /// Splits a line at its first space (reference §3.1). An empty line is no command; a line of exactly one space is the verb `" "`.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        if line.is_empty() {
            return None;
        }
        if line == b" " {
            return Some(Self {
                verb: line.to_vec(),
                arg: Vec::new(),
            });
        }
        let at = line
            .iter()
            .position(|byte| *byte == b' ')
            .unwrap_or(line.len());
        let (verb, arg) = line.split_at_checked(at).unwrap_or((line, b""));
        Some(Self {
            verb: verb.to_ascii_uppercase(),
            arg: arg.strip_prefix(b" ").unwrap_or(arg).to_vec(),
        })
    }

    /// Whether this is ABOR, plain or behind the telnet signal of RFC 959 §4.1.3. The signal is `FF F4 FF F2`, but some of
    /// it may be missing: the byte sent as urgent data leaves the stream.
    #[must_use]
    pub fn is_abor(&self) -> bool {
        let signal = |byte: &u8| matches!(*byte, IAC | INTERRUPT | DATA_MARK);
        let at = self
            .verb
            .iter()
            .position(|byte| !signal(byte))
            .unwrap_or(self.verb.len());
        self.verb.get(at..).is_some_and(|verb| verb == b"ABOR")
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        self.arg.zeroize();
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Command({}, {} bytes)",
            self.verb.escape_ascii(),
            self.arg.len()
        )
    }
}

/// Where `byte` first stands in `text`. `skip_until` is the one way of std to the machine's fast search.
pub(super) fn position(text: &[u8], byte: u8) -> Option<usize> {
    let mut rest = text;
    let at = rest.skip_until(byte).ok()?.checked_sub(1)?;
    (text.get(at) == Some(&byte)).then_some(at)
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

    fn feed(buffer: &mut LineBuffer, bytes: &[u8]) -> usize {
        let space = buffer.space();
        let count = space.len().min(bytes.len());
        space[..count].copy_from_slice(&bytes[..count]);
        buffer.filled(count);
        count
    }

    fn lines(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, bool) {
        let mut buffer = LineBuffer::new();
        let mut out = Vec::new();
        let mut rest = bytes;
        loop {
            loop {
                match buffer.next_line() {
                    Ok(Some(line)) => out.push(line.bytes().to_vec()),
                    Ok(None) => break,
                    Err(TooLong) => return (out, true),
                }
            }
            if rest.is_empty() {
                return (out, false);
            }
            let count = feed(&mut buffer, &rest[..piece.min(rest.len())]);
            rest = &rest[count..];
        }
    }

    /// attacks B-072.
    #[test]
    fn line_ends() {
        let (got, long) = lines(
            b"USER x\r\nNOOP\n\r\r\n\nNOOP\r\r\nNO\rOP\rNOOP\nP\0W\r\npart",
            7,
        );
        assert!(!long);
        assert_eq!(
            got,
            [
                &b"USER x"[..],
                b"NOOP",
                b"",
                b"",
                b"NOOP",
                b"NO\rOP\rNOOP",
                b"P\nW"
            ]
        );
    }

    /// attacks B-071.
    #[test]
    fn the_longest_line_and_one_more() {
        let mut ok = vec![b'A'; LINE_MAX - 2];
        ok.extend(b"\r\nNOOP\r\n");
        assert_eq!(lines(&ok, 4096).0.len(), 2);
        let mut long = vec![b'A'; LINE_MAX - 1];
        long.extend(b"\r\nDELE x\r\n");
        for piece in [1, 13, 4095, 4096, 10000] {
            assert_eq!(lines(&long, piece), (vec![], true));
        }
    }

    /// attacks B-071.
    #[test]
    fn a_long_line_comes_whole_in_any_pieces() {
        let text: Vec<u8> = (0..LINE_MAX - 2).map(|at| b'a' + (at % 26) as u8).collect();
        let sent = [&text[..], b"\r\nNOOP\r\n"].concat();
        for piece in [1, 511, 512, 513, 4094, 4095, 4096] {
            let got = lines(&sent, piece);
            assert_eq!(got, (vec![text.clone(), b"NOOP".to_vec()], false));
        }
        for length in [511, 512, 513] {
            let mut buffer = LineBuffer::with(&text[..length]);
            assert_eq!(buffer.rest(), &text[..length]);
            feed(&mut buffer, b"\n");
            assert_eq!(
                buffer.next_line().unwrap().unwrap().bytes(),
                &text[..length]
            );
        }
    }

    #[test]
    fn what_is_wiped_is_gone() {
        let mut buffer = LineBuffer::with(b"NOOP\r\nPASS sec");
        assert!(buffer.next_line().unwrap().is_some());
        assert!(buffer.next_line().unwrap().is_none());
        buffer.wipe();
        assert!(buffer.rest().is_empty() && buffer.bytes.iter().all(|byte| *byte == 0));
        feed(&mut buffer, b"A\nB\n");
        for want in [b"A", b"B"] {
            assert_eq!(buffer.next_line().unwrap().unwrap().bytes(), want);
        }
        // More than there was room for counts as the room.
        buffer.wipe();
        buffer.filled(usize::MAX);
        assert_eq!(buffer.rest().len(), SHORT);
    }

    #[test]
    fn too_long_stays_too_long() {
        let mut buffer = LineBuffer::with(&[b'x'; LINE_MAX]);
        assert!(buffer.space().is_empty());
        assert_eq!(buffer.next_line(), Err(TooLong));
        buffer.wipe();
        feed(&mut buffer, b"DELE x\r\n");
        assert_eq!(buffer.next_line(), Err(TooLong));
        assert_eq!(
            LineBuffer::with(&[b'\n'; LINE_MAX + 1]).next_line(),
            Err(TooLong)
        );
    }

    #[test]
    fn taken_bytes_are_wiped() {
        let mut buffer = LineBuffer::with(b"PASS secret\r\nNOOP");
        let line = buffer.next_line().unwrap().unwrap();
        assert_eq!(line.bytes(), b"PASS secret");
        assert!(!buffer.bytes.windows(6).any(|part| part == b"secret"));
        assert_eq!(buffer.rest(), b"NOOP");
        assert!(buffer.next_line().unwrap().is_none());
        let _ = buffer.space();
        assert_eq!(&buffer.bytes[..5], b"NOOP\0");
        assert!(buffer.bytes[4..].iter().all(|byte| *byte == 0));
        assert!(!buffer.is_empty());
        buffer.wipe();
        assert!(buffer.is_empty());
    }

    fn split(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        Command::parse(line).map(|command| (command.verb.clone(), command.arg.clone()))
    }

    /// attacks B-073.
    #[test]
    fn commands() {
        assert_eq!(split(b""), None);
        assert_eq!(split(b" "), Some((b" ".to_vec(), vec![])));
        assert_eq!(split(b" x"), Some((vec![], b"x".to_vec())));
        assert_eq!(split(b"noop"), Some((b"NOOP".to_vec(), vec![])));
        assert_eq!(
            split(b"pass  a b "),
            Some((b"PASS".to_vec(), b" a b ".to_vec()))
        );
        assert_eq!(split(b"\tNOOP"), Some((b"\tNOOP".to_vec(), vec![])));
        assert_eq!(
            split(b"CWD \xff\xffx"),
            Some((b"CWD".to_vec(), b"\xff\xffx".to_vec()))
        );
    }

    /// attacks B-076.
    #[test]
    fn abort_behind_telnet_bytes() {
        for yes in [
            &b"ABOR"[..],
            b"abor",
            b"\xff\xf4\xff\xf2ABOR",
            b"\xff\xf4\xff\xf2abor x",
            b"\xff\xf4\xffABOR",
            b"\xff\xf2ABOR",
        ] {
            assert!(Command::parse(yes).unwrap().is_abor(), "{yes:?}");
        }
        for no in [
            &b"NOOP"[..],
            b"\xff\xf4\xff\xf2NOOP",
            b"\xff\xf4\xff\xf2",
            b"\xff\xf4 ABOR",
            b"xABOR",
            b"ABORT",
        ] {
            assert!(!Command::parse(no).unwrap().is_abor(), "{no:?}");
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let command = Command::parse(b"PASS secret").unwrap();
        assert!(!format!("{command:?}").contains("secret"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(crate::fuzz::cases(32)))]

        #[test]
        fn pieces_do_not_matter(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..5000), piece in 20_usize..5000) {
            prop_assert_eq!(lines(&bytes, piece), lines(&bytes, LINE_MAX));
        }

    }

    proptest! {
        #[test]
        fn position_is_position(bytes: Vec<u8>, byte: u8) {
            prop_assert_eq!(position(&bytes, byte), bytes.iter().position(|b| *b == byte));
        }

        #[test]
        fn commands_never_panic(bytes: Vec<u8>) {
            if let Some(command) = Command::parse(&bytes) {
                let _ = command.is_abor();
                prop_assert!(bytes == b" " || command.verb.len() + command.arg.len() + usize::from(bytes.contains(&b' ')) == bytes.len());
            }
        }
    }
}
