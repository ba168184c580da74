//! The private host's utmp and wtmp, record by record.

use super::{Host, wait};
use std::fs;
use std::mem::offset_of;

pub const UTMP: &str = "/run/utmp";
pub const WTMP: &str = "/var/log/wtmp";
const SIZE: usize = size_of::<libc::utmpx>();

/// What of a record tests look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub kind: i16,
    pub pid: i32,
    pub line: String,
    pub user: String,
    pub host: String,
    pub seconds: i32,
}

impl Record {
    pub fn live(&self) -> bool {
        self.kind == libc::USER_PROCESS
    }

    pub fn dead(&self) -> bool {
        self.kind == libc::DEAD_PROCESS
    }
}

/// Makes both files, empty: a host without them keeps no records.
pub fn keep(host: &Host) {
    host.write(UTMP, "");
    host.write(WTMP, "");
}

/// The records of a file.
#[track_caller]
pub fn records(path: &str) -> Vec<Record> {
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes.len() % SIZE, 0, "{path} has {} bytes", bytes.len());
    bytes.chunks_exact(SIZE).map(record).collect()
}

/// The records of a file once they are as wanted.
#[track_caller]
pub fn once(path: &str, wanted: impl Fn(&[Record]) -> bool) -> Vec<Record> {
    let mut last = Vec::new();
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait("the records", || {
            last = records(path);
            wanted(&last).then(|| last.clone())
        })
    }));
    found.unwrap_or_else(|_| panic!("{path} is not as expected: {last:#?}"))
}

/// The records of utmp once just that many are of users who are there.
#[track_caller]
pub fn live(count: usize) -> Vec<Record> {
    let all = once(UTMP, |all| {
        all.iter().filter(|record| record.live()).count() == count
    });
    all.into_iter().filter(Record::live).collect()
}

fn record(bytes: &[u8]) -> Record {
    let number = |at: usize| i32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    let text = |at: usize, length: usize| {
        let field = &bytes[at..at + length];
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(length);
        assert!(
            field[end..].iter().all(|byte| *byte == 0),
            "not filled with zeros: {field:?}"
        );
        String::from_utf8(field[..end].to_vec()).unwrap()
    };
    let kind = offset_of!(libc::utmpx, ut_type);
    Record {
        kind: i16::from_ne_bytes(bytes[kind..kind + 2].try_into().unwrap()),
        pid: number(offset_of!(libc::utmpx, ut_pid)),
        line: text(offset_of!(libc::utmpx, ut_line), 32),
        user: text(offset_of!(libc::utmpx, ut_user), 32),
        host: text(offset_of!(libc::utmpx, ut_host), 256),
        seconds: number(offset_of!(libc::utmpx, ut_tv)),
    }
}
