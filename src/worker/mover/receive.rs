//! Uploads: from the line through TLS, MODE Z and TYPE A, as far as they are in force, into a file; worker, data thread.

use super::growing::{Growing, write_all};
use super::{Buffers, Run};
use crate::ftp::ascii::FromNetwork;
use crate::worker::guard::{Guarded, broken};
use crate::worker::line::{End, Line};
use crate::worker::zip::Inflater;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use std::os::fd::OwnedFd;

/// What goes through the pipe of an upload at a time. One user's pipes may take 64 MiB together, and are small beyond that (pipe(7)).
const PIPE: usize = 1 << 20;
const PIPE_SIZE: i32 = 1 << 20;
/// A pipe that is smaller saves nothing.
const PIPE_LEAST: i32 = 1 << 16;

/// The file of an upload, and what the bytes of the line become on their way to it.
struct Sink<'a> {
    file: &'a Growing,
    line: &'a Line,
    inflater: Option<&'a mut Inflater>,
    text: Option<Text<'a>>,
}

/// TYPE A.
struct Text<'a> {
    convert: FromNetwork,
    converted: &'a mut Vec<u8>,
}

impl Sink<'_> {
    /// Takes bytes of the line, and counts what they stand for.
    fn take(&mut self, wire: &[u8]) -> Result<(), End> {
        let Self {
            file,
            line,
            inflater,
            text,
        } = self;
        let Some(inflater) = inflater else {
            line.add(wire.len());
            return write_text(line, file, text, wire);
        };
        inflater.push(wire, &mut |piece| {
            // A little of the line may become much of a file, and an ABOR is not to wait for it.
            if line.is_cut() {
                return Err(End::Network);
            }
            line.add(piece.len());
            write_text(line, file, text, piece)
        })
    }

    /// The line has ended.
    fn finish(self) -> Result<(), End> {
        if let Some(mut text) = self.text {
            text.converted.clear();
            text.convert.finish(text.converted);
            if !text.converted.is_empty() {
                self.file.write(self.line, text.converted)?;
            }
        }
        if self.line.is_cut() {
            return Err(End::Network);
        }
        self.inflater.map_or(Ok(()), |inflater| inflater.finish())
    }
}

fn write_text(
    line: &Line,
    file: &Growing,
    text: &mut Option<Text<'_>>,
    bytes: &[u8],
) -> Result<(), End> {
    let Some(text) = text else {
        return write_all(line, file, bytes);
    };
    text.converted.clear();
    text.convert.convert(bytes, text.converted);
    write_all(line, file, text.converted)
}

impl Run<'_> {
    pub(super) fn upload(
        &mut self,
        file: Growing,
        ascii: bool,
        truncate: bool,
        buffers: &mut Buffers,
    ) -> End {
        if truncate && let Err(end) = file.empty() {
            return end;
        }
        let received = match self.guarded.take() {
            Some(mut guarded) => {
                let received = self.receive_guarded(&mut guarded, &file, ascii, buffers);
                // Announced whether the client waits for it or not.
                let _ = guarded.stream.close(self.socket());
                received
            }
            None => self.receive(&file, ascii, buffers),
        };
        let closed = file.close();
        received.and(closed).err().unwrap_or(End::Done)
    }

    fn receive(&mut self, file: &Growing, ascii: bool, buffers: &mut Buffers) -> Result<(), End> {
        if !ascii && self.whole && self.zip.is_none() && self.splice(file)? {
            return self.uncut();
        }
        let Buffers {
            raw,
            converted,
            inflater,
            deflater: _,
            due: _,
        } = buffers;
        raw.resize(self.chunk, 0);
        let mut sink = self.sink(file, ascii, converted, inflater);
        loop {
            let count = match nix::unistd::read(self.socket(), raw) {
                Ok(0) => break,
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(self.broken(error)),
            };
            file.kept()?;
            file.grown(sink.take(raw.get(..count).unwrap_or_default()))?;
            self.paced(count)?;
        }
        sink.finish()
    }

    fn sink<'a>(
        &self,
        file: &'a Growing,
        ascii: bool,
        converted: &'a mut Vec<u8>,
        inflater: &'a mut Option<Inflater>,
    ) -> Sink<'a>
    where
        Self: 'a,
    {
        Sink {
            file,
            line: self.line,
            inflater: self.zip.map(|zip| {
                let fresh = match inflater.take() {
                    Some(inflater) => inflater.again(zip),
                    None => Inflater::new(zip),
                };
                inflater.insert(fresh)
            }),
            text: ascii.then(|| Text {
                convert: FromNetwork::new(),
                converted,
            }),
        }
    }

    /// Moves everything through a pipe, which spares one of two copies; false where this is not to be had: what is left is to be read.
    fn splice(&mut self, file: &Growing) -> Result<bool, End> {
        let Ok((out, into)) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC) else {
            return Ok(false);
        };
        let size = fcntl(&into, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE))
            .or_else(|_| fcntl(&into, FcntlArg::F_GETPIPE_SZ));
        if size.is_ok_and(|size| size < PIPE_LEAST) {
            return Ok(false);
        }
        let flags = SpliceFFlags::SPLICE_F_MOVE;
        loop {
            let count = match splice(self.socket(), None, &into, None, PIPE, flags) {
                // The end, or urgent data, which stops splice(2) and not read(2).
                Ok(0) => match self.read_on(file)? {
                    0 => return Ok(true),
                    count => {
                        self.moved(count)?;
                        continue;
                    }
                },
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => return Ok(false),
                Err(error) => return Err(self.broken(error)),
            };
            file.kept()?;
            let mut left = count;
            let drained = drain_into(self.line, &out, &mut left, file);
            let poured = match drained {
                // A file system that cannot be spliced to, as some are since Linux 5.10, or a file that is appended to.
                Err(End::Local(Errno::EINVAL)) => pour(self.line, &out, left, file),
                drained => drained,
            };
            file.grown(poured)?;
            self.moved(count)?;
            if drained.is_err() {
                return Ok(false);
            }
        }
    }

    /// Reads and writes a little; how much, 0 at the end.
    fn read_on(&self, file: &Growing) -> Result<usize, End> {
        let mut little = [0; 512];
        loop {
            match nix::unistd::read(self.socket(), &mut little) {
                Ok(0) => return Ok(0),
                Ok(count) => {
                    file.write(self.line, little.get(..count).unwrap_or_default())?;
                    return Ok(count);
                }
                Err(Errno::EINTR) => {}
                Err(error) => return Err(self.broken(error)),
            }
        }
    }

    /// As [`Run::receive`], each record used where it was decrypted.
    fn receive_guarded(
        &mut self,
        guarded: &mut Guarded,
        file: &Growing,
        ascii: bool,
        buffers: &mut Buffers,
    ) -> Result<(), End> {
        let line = self.line;
        let Buffers {
            raw: _,
            converted,
            inflater,
            deflater: _,
            due: _,
        } = buffers;
        // Where nothing limits it, as much as TLS has room for.
        let most = if self.whole { usize::MAX } else { self.chunk };
        let mut sink = self.sink(file, ascii, converted, inflater);
        guarded
            .stream
            .begin_upload(line.socket())
            .map_err(|error| broken(line, &error))?;
        loop {
            let mut written = false;
            let read = guarded.stream.read(line.socket(), most, |clear| {
                if !std::mem::replace(&mut written, true) {
                    file.kept()?;
                }
                sink.take(clear)?;
                if self.pace.is_some() {
                    // The wait may be long.
                    file.grown(Ok(()))?;
                    written = false;
                }
                self.paced(clear.len())
            });
            if written {
                file.grown(Ok(()))?;
            }
            match read {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => break,
                Ok(Err(end)) => return Err(end),
                Err(error) => {
                    guarded.ended(line, &error)?;
                    break;
                }
            }
        }
        sink.finish()
    }
}

/// Splices what is left in a pipe into a file.
pub(super) fn drain_into(
    line: &Line,
    pipe: &OwnedFd,
    left: &mut usize,
    file: &Growing,
) -> Result<(), End> {
    while *left > 0 {
        match splice(
            pipe,
            None,
            file.fd(),
            None,
            *left,
            SpliceFFlags::SPLICE_F_MOVE,
        ) {
            Ok(0) => return Err(End::Local(Errno::ENOSPC)),
            Ok(count) => {
                file.spliced(count);
                *left = left.saturating_sub(count);
            }
            // A file may say so for ever.
            Err(Errno::EINTR) if line.is_cut() => return Err(End::Network),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(End::Local(error)),
        }
    }
    Ok(())
}

/// Writes what waits in a pipe.
fn pour(line: &Line, pipe: &OwnedFd, mut left: usize, file: &Growing) -> Result<(), End> {
    let mut piece = [0; 4096];
    while left > 0 {
        match nix::unistd::read(pipe, &mut piece) {
            Ok(0) => return Err(End::Local(Errno::EIO)),
            Ok(count) => {
                write_all(line, file, piece.get(..count).unwrap_or_default())?;
                left = left.saturating_sub(count);
            }
            Err(Errno::EINTR) => {}
            Err(error) => return Err(End::Local(error)),
        }
    }
    Ok(())
}
