//! The host's records of who is logged in (utmp) and who was (wtmp), written through the C library; auth.

use nix::errno::Errno;
use nix::unistd::Pid;
use std::ffi::c_char;

/// How often a record is tried when a lock on the file was interrupted.
const TRIES: u32 = 3;

/// One login: written when it begins and marked when it ends. Where a host keeps no such file, nothing is written.
pub struct Record {
    entry: libc::utmpx,
}

impl Record {
    /// The login of `user` from `host` in the session of this process: its line is `vsftpd:PID`, as the original writes it.
    pub fn new(session: Pid, user: &[u8], host: &[u8]) -> Self {
        // SAFETY: utmpx is plain data, for which all zeros is a valid value.
        let mut entry: libc::utmpx = unsafe { std::mem::zeroed() };
        entry.ut_pid = session.as_raw();
        fill(&mut entry.ut_line, format!("vsftpd:{session}").as_bytes());
        fill(&mut entry.ut_user, user);
        fill(&mut entry.ut_host, host);
        Self { entry }
    }

    /// Writes that the user is there, at this time in seconds since 1970.
    pub fn begin(&mut self, now: i64) {
        self.entry.ut_type = libc::USER_PROCESS;
        self.stamp(now);
        put(&self.entry);
        append(&self.entry);
    }

    /// Writes that the user has gone: utmp's entry without name and time, wtmp's with the time.
    pub fn end(&mut self, now: i64) {
        self.entry.ut_type = libc::DEAD_PROCESS;
        self.entry.ut_user.fill(0);
        self.entry.ut_host.fill(0);
        self.stamp(0);
        put(&self.entry);
        self.stamp(now);
        append(&self.entry);
    }

    fn stamp(&mut self, seconds: i64) {
        // The field has 32 bits on most hosts, also in the years after 2038.
        self.entry.ut_tv.tv_sec = seconds.try_into().unwrap_or_default();
    }
}

/// Copies a text into a field: cut to leave one zero at the end (attacks A46, B-128), control characters as `?`, the rest zeros.
fn fill(field: &mut [c_char], text: &[u8]) {
    let room = field.len().saturating_sub(1);
    field.fill(0);
    for (to, byte) in field.iter_mut().take(room).zip(text) {
        let shown = if byte.is_ascii_control() { b'?' } else { *byte };
        *to = c_char::from_ne_bytes([shown]);
    }
}

/// Puts the entry in the place of the one with the same line, else at the end of utmp. Where the C library has no utmp, as musl, the
/// functions do nothing.
#[cfg_attr(target_env = "musl", allow(deprecated))]
fn put(entry: &libc::utmpx) {
    for _ in 0..TRIES {
        // SAFETY: the three calls share state of the C library that only this process's single thread uses; `entry` is a whole
        // utmpx that lives through the call, and the pointer that comes back is only compared with null.
        let written = unsafe {
            libc::setutxent();
            let written = libc::pututxline(entry);
            let error = Errno::last();
            libc::endutxent();
            !written.is_null() || !matches!(error, Errno::EINTR | Errno::EAGAIN)
        };
        if written {
            return;
        }
    }
}

/// Appends the entry to wtmp.
#[cfg(target_env = "gnu")]
fn append(entry: &libc::utmpx) {
    // `_PATH_WTMP` of <paths.h>, which is `WTMPX_FILE` of <utmpx.h>.
    const WTMP: &std::ffi::CStr = c"/var/log/wtmp";
    unsafe extern "C" {
        fn updwtmpx(file: *const c_char, entry: *const libc::utmpx);
    }
    // SAFETY: the file's name ends in NUL, `entry` is a whole utmpx, and both live through the call, which keeps neither.
    unsafe { updwtmpx(WTMP.as_ptr(), entry) };
}

/// Other C libraries (musl) keep no such file.
#[cfg(not(target_env = "gnu"))]
fn append(_: &libc::utmpx) {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Record, fill};
    use nix::unistd::Pid;
    use std::ffi::c_char;

    fn bytes(field: &[c_char]) -> Vec<u8> {
        field.iter().map(|c| c.to_ne_bytes()[0]).collect()
    }

    fn text(field: &[c_char]) -> String {
        let bytes = bytes(field);
        let end = bytes.iter().position(|byte| *byte == 0).unwrap();
        assert!(bytes.iter().skip(end).all(|byte| *byte == 0), "{bytes:?}");
        String::from_utf8_lossy(bytes.get(..end).unwrap()).into_owned()
    }

    #[test]
    fn a_record_says_who_and_from_where() {
        let record = Record::new(Pid::from_raw(4_194_304), b"alice", b"2001:db8::1");
        assert_eq!(text(&record.entry.ut_line), "vsftpd:4194304");
        assert_eq!(text(&record.entry.ut_user), "alice");
        assert_eq!(text(&record.entry.ut_host), "2001:db8::1");
        assert_eq!(bytes(&record.entry.ut_id), [0; 4]);
        assert_eq!(record.entry.ut_pid, 4_194_304);
    }

    /// Attacks B-128.
    #[test]
    fn what_is_too_long_is_cut_and_ends() {
        let record = Record::new(Pid::from_raw(1), &[b'u'; 300], &[b'h'; 300]);
        assert_eq!(text(&record.entry.ut_user), "u".repeat(31));
        assert_eq!(text(&record.entry.ut_host), "h".repeat(255));
    }

    #[test]
    fn odd_bytes_stay_in_their_field() {
        let mut field = [1; 8];
        fill(&mut field, b"a\0b\n\xc3\xa9");
        assert_eq!(bytes(&field), b"a?b?\xc3\xa9\0\0");
        fill(&mut field, b"");
        assert_eq!(bytes(&field), [0; 8]);
        fill(&mut [], b"x");
    }
}
