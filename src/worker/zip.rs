//! MODE Z (draft-preston-ftpext-deflate): what passes the data connection is one zlib stream (RFC 1950); worker, data thread.

use super::line::End;
use crate::config::Config;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use nix::errno::Errno;

/// What is sent, or written to a file, at a time.
const PIECE: usize = 64 * 1024;

/// No ratio is looked at before a file has grown to this: a short one proves nothing, and does no harm.
const GRACE: u64 = 1 << 18;

/// How hard zlib tries: 0, not at all, to 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(u32);

impl Default for Level {
    /// As zlib's own.
    fn default() -> Self {
        Self(6)
    }
}

impl Level {
    /// The argument of OPTS MODE: `Z LEVEL n`. Without `LEVEL n` everything is as at the beginning.
    pub fn parse(arg: &[u8]) -> Option<Self> {
        let upper = arg.to_ascii_uppercase();
        if upper == b"Z" {
            return Some(Self::default());
        }
        match upper.strip_prefix(b"Z LEVEL ")? {
            [digit @ b'0'..=b'9'] => Some(Self(u32::from(*digit - b'0'))),
            _ => None,
        }
    }

    /// As a number.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// How a job is compressed.
#[derive(Debug, Clone, Copy)]
pub struct Zip {
    /// OPTS MODE Z LEVEL.
    level: Level,
    limits: Limits,
}

/// What an upload may grow to.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Times what has come over the line.
    ratio: Option<u64>,
    /// In bytes.
    size: Option<u64>,
}

impl Zip {
    /// As the options say.
    pub fn new(config: &Config, level: Level) -> Self {
        let limit = |option: u32| (option > 0).then(|| u64::from(option));
        Self {
            level,
            limits: Limits {
                ratio: limit(config.mode_z_max_ratio),
                size: limit(config.mode_z_max_size).map(|mib| mib.saturating_mul(1 << 20)),
            },
        }
    }
}

/// Compresses what is sent.
pub struct Deflater {
    level: Level,
    state: Compress,
    out: Vec<u8>,
}

impl Deflater {
    /// At the beginning of a download.
    pub fn new(zip: Zip) -> Self {
        Self {
            level: zip.level,
            state: Compress::new(Compression::new(zip.level.number()), true),
            out: vec![0; PIECE],
        }
    }

    /// At the beginning of another one: what zlib needs is taken from the kernel once.
    pub fn again(mut self, zip: Zip) -> Self {
        if self.level == zip.level {
            self.state.reset();
            self
        } else {
            Self::new(zip)
        }
    }

    /// Takes text; `send` gets each piece of the stream that is ready.
    ///
    /// # Errors
    /// As `send`.
    pub fn push(
        &mut self,
        text: &[u8],
        send: &mut dyn FnMut(&[u8]) -> Result<(), End>,
    ) -> Result<(), End> {
        let mut rest = text;
        while !rest.is_empty() {
            let before = self.state.total_in();
            self.step(rest, FlushCompress::None, send)?;
            let used = usize::try_from(self.state.total_in().saturating_sub(before));
            rest = used
                .ok()
                .and_then(|used| rest.get(used..))
                .unwrap_or_default();
        }
        Ok(())
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// As `send`.
    pub fn finish(&mut self, send: &mut dyn FnMut(&[u8]) -> Result<(), End>) -> Result<(), End> {
        while self.step(&[], FlushCompress::Finish, send)? != Status::StreamEnd {}
        Ok(())
    }

    fn step(
        &mut self,
        text: &[u8],
        flush: FlushCompress,
        send: &mut dyn FnMut(&[u8]) -> Result<(), End>,
    ) -> Result<Status, End> {
        let (taken, made) = (self.state.total_in(), self.state.total_out());
        let status = self
            .state
            .compress(text, &mut self.out, flush)
            .map_err(|_| End::Local(Errno::EIO))?;
        let count = self.state.total_out().saturating_sub(made);
        let ended = status == Status::StreamEnd;
        if count == 0 && self.state.total_in() == taken && !ended {
            // It neither takes nor gives: not to be waited for.
            return Err(End::Local(Errno::EIO));
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        match self.out.get(..count).unwrap_or_default() {
            [] => {}
            piece => send(piece)?,
        }
        Ok(status)
    }
}

/// Restores what was sent compressed. It trusts nothing: how much comes out is bounded, and the stream must end as it should.
pub struct Inflater {
    state: Decompress,
    out: Vec<u8>,
    limits: Limits,
    ended: bool,
}

impl Inflater {
    /// At the beginning of an upload.
    pub fn new(zip: Zip) -> Self {
        Self {
            state: Decompress::new(true),
            out: vec![0; PIECE],
            limits: zip.limits,
            ended: false,
        }
    }

    /// At the beginning of another one.
    pub fn again(mut self, zip: Zip) -> Self {
        self.state.reset(true);
        self.limits = zip.limits;
        self.ended = false;
        self
    }

    /// Takes bytes of the stream; `put` gets what they stand for, a piece at a time.
    ///
    /// # Errors
    /// The stream is damaged, or goes on behind its end, or stands for too much; or as `put`.
    pub fn push(
        &mut self,
        wire: &[u8],
        put: &mut dyn FnMut(&[u8]) -> Result<(), End>,
    ) -> Result<(), End> {
        let mut rest = wire;
        loop {
            if self.ended {
                return if rest.is_empty() {
                    Ok(())
                } else {
                    Err(End::Garbled)
                };
            }
            let (taken, made) = (self.state.total_in(), self.state.total_out());
            let status = self
                .state
                .decompress(rest, &mut self.out, FlushDecompress::None)
                .map_err(|_| End::Garbled)?;
            let used = self.state.total_in().saturating_sub(taken);
            let count = self.state.total_out().saturating_sub(made);
            self.bounded()?;
            let piece = usize::try_from(count).unwrap_or(usize::MAX);
            match self.out.get(..piece).unwrap_or_default() {
                [] => {}
                piece => put(piece)?,
            }
            let used = usize::try_from(used).unwrap_or(usize::MAX);
            rest = rest.get(used..).unwrap_or_default();
            self.ended = status == Status::StreamEnd;
            // Nothing more comes out of what there is; a full buffer may hide that more would.
            if !self.ended && rest.is_empty() && piece < self.out.len() {
                return Ok(());
            }
            if !self.ended && used == 0 && count == 0 {
                return if rest.is_empty() {
                    Ok(())
                } else {
                    Err(End::Garbled)
                };
            }
        }
    }

    /// The connection has ended.
    ///
    /// # Errors
    /// The stream has not.
    pub fn finish(&self) -> Result<(), End> {
        if self.ended {
            Ok(())
        } else {
            Err(End::Unfinished)
        }
    }

    fn bounded(&self) -> Result<(), End> {
        let (came, made) = (self.state.total_in(), self.state.total_out());
        let within = |limit: Option<u64>| limit.is_none_or(|limit| made <= limit);
        let ratio = self.limits.ratio.map(|ratio| came.saturating_mul(ratio));
        if within(self.limits.size) && (made <= GRACE || within(ratio)) {
            Ok(())
        } else {
            Err(End::Swollen)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::{Deflater, Inflater, Level, Limits, Zip};
    use crate::worker::line::End;
    use proptest::prelude::*;

    const FREE: Zip = Zip {
        level: Level(6),
        limits: Limits {
            ratio: None,
            size: None,
        },
    };

    fn packed(text: &[u8], chunk: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut deflater = Deflater::new(FREE);
        let mut send = |piece: &[u8]| {
            out.extend_from_slice(piece);
            Ok(())
        };
        for piece in text.chunks(chunk) {
            deflater.push(piece, &mut send).unwrap();
        }
        deflater.finish(&mut send).unwrap();
        out
    }

    fn unpacked(wire: &[u8], chunk: usize, zip: Zip) -> Result<Vec<u8>, End> {
        let mut out = Vec::new();
        let mut inflater = Inflater::new(zip);
        for piece in wire.chunks(chunk) {
            inflater.push(piece, &mut |piece| {
                out.extend_from_slice(piece);
                Ok(())
            })?;
        }
        inflater.finish().map(|()| out)
    }

    #[test]
    fn a_stream_must_end_where_it_ends() {
        let wire = packed(&[7; 300_000], 1000);
        assert_eq!(unpacked(&wire, 3, FREE).unwrap(), [7; 300_000]);
        for short in 0..wire.len() {
            assert_eq!(unpacked(&wire[..short], 100, FREE), Err(End::Unfinished));
        }
        let long = [wire.as_slice(), b"\0"].concat();
        assert_eq!(unpacked(&long, 1, FREE), Err(End::Garbled));
        assert_eq!(unpacked(&long, 1 << 20, FREE), Err(End::Garbled));
        assert_eq!(packed(b"", 1).len(), 8);
        assert_eq!(unpacked(&packed(b"", 1), 1, FREE).unwrap(), b"");
    }

    #[test]
    fn what_swells_is_stopped() {
        let wire = packed(&vec![0; 64 << 20], 1 << 20);
        let limits = |ratio, size| Zip {
            level: Level(6),
            limits: Limits { ratio, size },
        };
        for zip in [limits(Some(100), None), limits(None, Some(1 << 20))] {
            let mut got = 0;
            let mut inflater = Inflater::new(zip);
            let end = inflater.push(&wire, &mut |piece| {
                got += piece.len();
                Ok(())
            });
            assert_eq!(end, Err(End::Swollen));
            assert!(got <= wire.len() * 100, "{got}");
        }
    }

    /// What a stream leaves behind, whole or not, is not seen by the next one.
    #[test]
    fn one_after_the_other() {
        let wire = packed(b"one two three", 3);
        let mut inflater = Inflater::new(FREE);
        for cut in 0..wire.len() {
            let _ = inflater.push(&wire[..cut], &mut |_| Ok(()));
            inflater = inflater.again(FREE);
            let mut got = Vec::new();
            let mut put = |piece: &[u8]| {
                got.extend_from_slice(piece);
                Ok(())
            };
            inflater.push(&wire, &mut put).unwrap();
            inflater.finish().unwrap();
            assert_eq!(got, b"one two three");
            assert_eq!(inflater.push(b"x", &mut |_| Ok(())), Err(End::Garbled));
            inflater = inflater.again(FREE);
        }
        let mut deflater = Deflater::new(FREE);
        for _ in 0..3 {
            let mut got = Vec::new();
            let mut send = |piece: &[u8]| {
                got.extend_from_slice(piece);
                Ok(())
            };
            deflater.push(b"one two three", &mut send).unwrap();
            deflater.finish(&mut send).unwrap();
            assert_eq!(unpacked(&got, 5, FREE).unwrap(), b"one two three");
            deflater = deflater.again(FREE);
            // Left in the middle, as by ABOR.
            deflater.push(b"half", &mut |_| Ok(())).unwrap();
            deflater = deflater.again(FREE);
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(text in proptest::collection::vec(0..4_u8, 0..200_000), a in 1..70_000_usize, b in 1..70_000_usize) {
            prop_assert_eq!(unpacked(&packed(&text, a), b, FREE), Ok(text));
        }

        #[test]
        fn noise_ends(noise in proptest::collection::vec(any::<u8>(), 0..4096), chunk in 1..4096_usize) {
            let _ = unpacked(&noise, chunk, FREE);
            let _ = unpacked(&[b"\x78\x9c".as_slice(), &noise].concat(), chunk, FREE);
        }
    }
}
