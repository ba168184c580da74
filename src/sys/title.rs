//! What `ps` shows of a process (`setproctitle_enable`): the memory of its arguments is written over; every process.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// The longest title; a longer one is cut.
const LONGEST: usize = 2048;

/// The memory of the arguments and the environment, which lie behind each other; none where it cannot be found.
static ROOM: OnceLock<Room> = OnceLock::new();

/// Bytes that anybody may look at meanwhile.
type Room = &'static [AtomicU8];

/// Finds the memory; master calls it once, when nothing reads its arguments or environment any more and before it forks. The environment
/// is wiped: children inherit this memory, and what somebody had there is none of their business (attacks B-126, B-139).
pub fn prepare() {
    let Some((room, environment)) = places() else {
        return;
    };
    let _ = ROOM.set(room);
    for byte in environment {
        byte.store(0, Ordering::Relaxed);
    }
}

/// Shows `vsftpd: ` and the text, if the option is on; bytes that cannot be printed become `?`.
pub fn set(enabled: bool, text: &str) {
    if !enabled {
        return;
    }
    let Some((last, room)) = ROOM.get().and_then(|room| room.split_last()) else {
        return;
    };
    let shown = b"vsftpd: ".iter().chain(text.as_bytes()).map(|byte| {
        if byte.is_ascii_graphic() || *byte == b' ' {
            *byte
        } else {
            b'?'
        }
    });
    // The rest is wiped, and the last byte stays NUL: the kernel shows what stands before it (proc(5), cmdline).
    let padded = shown.take(LONGEST).chain(std::iter::repeat(0));
    for (place, byte) in room.iter().zip(padded) {
        place.store(byte, Ordering::Relaxed);
    }
    last.store(0, Ordering::Relaxed);
}

/// The memory of the arguments, with the environment where that lies behind them, and that of the environment (proc(5), stat: fields 48 to 51).
fn places() -> Option<(Room, Room)> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in field 2 may hold blanks: fields are counted from behind its closing parenthesis.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(48 - 3);
    let mut field = || fields.next()?.parse::<usize>().ok();
    let (start, arguments, environment, end) = (field()?, field()?, field()?, field()?);
    let behind = environment == arguments && end > arguments;
    let room = memory(start, if behind { end } else { arguments })?;
    Some((room, memory(environment, end)?))
}

/// The memory between two of the places.
fn memory(start: usize, end: usize) -> Option<Room> {
    let length = end.checked_sub(start).filter(|_| start != 0)?;
    // SAFETY: the kernel put the arguments there, followed by the environment, and keeps both mapped, readable and writable for as
    // long as the process lives; nothing refers to the environment any more, and atomic bytes may be shared with what reads them.
    Some(unsafe { std::slice::from_raw_parts(start as *const AtomicU8, length) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    #[test]
    fn the_room_holds_the_arguments() {
        let (room, _) = super::places().unwrap();
        let first = std::env::args_os().next().unwrap();
        let shown: Vec<u8> = room
            .iter()
            .map(|byte| byte.load(std::sync::atomic::Ordering::Relaxed))
            .take(first.len())
            .collect();
        assert_eq!(shown, first.as_encoded_bytes());
    }
}
