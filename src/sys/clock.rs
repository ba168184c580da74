//! Local time: the zone is read by master, so that no child ever opens a zone file in a jail (packages.md §7, attacks B-008).

use nix::time::{ClockId, clock_gettime};
use std::os::unix::fs::MetadataExt;

/// Where the host says which zone it is in (localtime(5)).
const FILE: &str = "/etc/localtime";

/// What tells one state of that file from another: where it lies, and when it was written.
type Stamp = Option<(u64, u64, i64, i64)>;

/// The zone that children inherit.
#[derive(Debug)]
pub struct Zone {
    /// The file as it was read; nothing if TZ says which zone it is, for as long as the server runs.
    file: Option<Stamp>,
}

impl Zone {
    /// Reads TZ or the host's file; called once, while there is an environment.
    pub fn load() -> Self {
        let file = std::env::var_os("TZ").is_none().then(stamp);
        set();
        Self { file }
    }

    /// Reads the host's file again if it is another one now: a session has the zone of the time when it began.
    pub fn follow(&mut self) {
        if let Some(read) = &mut self.file {
            let now = stamp();
            if now != *read {
                *read = now;
                set();
            }
        }
    }
}

fn stamp() -> Stamp {
    let meta = std::fs::metadata(FILE).ok()?;
    Some((meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec()))
}

fn set() {
    unsafe extern "C" {
        fn tzset();
    }
    // SAFETY: tzset takes nothing and this process has a single thread that could be reading the zone.
    unsafe { tzset() };
}

/// Seconds since 1970.
pub fn now() -> i64 {
    clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |now| now.tv_sec())
}

/// The host's offset from UTC at this moment, in seconds east.
pub fn offset(at: i64) -> i64 {
    local(at).tm_gmtoff
}

/// This moment on the host's clock on the wall; the beginning of 1900 where there is none.
pub fn local(at: i64) -> libc::tm {
    // SAFETY: a tm of zeros is a valid value of that plain C struct.
    let none: libc::tm = unsafe { std::mem::zeroed() };
    let mut tm = none;
    // SAFETY: both pointers are to live values of the right types; localtime_r writes only through the second.
    let result = unsafe { libc::localtime_r(&raw const at, &raw mut tm) };
    if result.is_null() { none } else { tm }
}
