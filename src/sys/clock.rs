//! Local time: the zone is read once by master, so that no child ever opens a zone file in a jail (packages.md §7, attacks B-008).

use std::time::{SystemTime, UNIX_EPOCH};

/// Reads TZ or /etc/localtime; master calls it once before it forks.
pub fn load_zone() {
    unsafe extern "C" {
        fn tzset();
    }
    // SAFETY: tzset takes nothing and this process has a single thread that could be reading the zone.
    unsafe { tzset() };
}

/// Seconds since 1970.
pub fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(0)
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
