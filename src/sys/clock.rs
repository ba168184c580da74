//! Local time: the zone is read by master, so that no child ever opens a zone file in a jail (packages.md §7, attacks B-008).

use super::stamps::Stamps;
use nix::time::{ClockId, clock_gettime};
use std::fmt;

/// Where the host says which zone it is in (localtime(5)).
const FILE: &str = "/etc/localtime";

/// The zone that children inherit.
#[derive(Debug)]
pub struct Zone {
    /// The file as it was read; nothing if TZ says which zone it is, for as long as the server runs.
    file: Option<Stamps>,
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
        if let Some(read) = &mut self.file
            && !read.hold()
        {
            *read = stamp();
            set();
        }
    }
}

fn stamp() -> Stamps {
    Stamps::of([FILE.into()])
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

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The date at the head of a log line: a time as [`local`] gives it, shown as `Www Mmm dd HH:MM:SS YYYY`, the day padded with a space,
/// whatever the locale.
#[derive(Debug, Clone, Copy)]
pub struct Date(pub libc::tm);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tm = &self.0;
        let weekday = DAYS.get(place(tm.tm_wday)).unwrap_or(&"???");
        let month = MONTHS.get(place(tm.tm_mon)).unwrap_or(&"???");
        let (day, hour, minute, second) = (tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        let year = tm.tm_year.saturating_add(1900);
        write!(
            f,
            "{weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year}"
        )
    }
}

fn place(number: i32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Date, local};

    #[test]
    fn as_ctime_prints_it() {
        let shown = |date: [i32; 7]| {
            let mut tm = local(0);
            [
                tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_wday, tm.tm_hour, tm.tm_min, tm.tm_sec,
            ] = date;
            Date(tm).to_string()
        };
        for (date, want) in [
            ([120, 1, 29, 6, 11, 22, 33], "Sat Feb 29 11:22:33 2020"),
            ([120, 11, 1, 0, 0, 0, 60], "Sun Dec  1 00:00:60 2020"),
            ([120, 12, 29, -1, 11, 22, 33], "??? ??? 29 11:22:33 2020"),
        ] {
            assert_eq!(shown(date), want);
        }
    }
}
