//! The one socket on which every helper tells of its session; the kernel says which helper it was; master.

use crate::sys::report;
use crate::wire::{Decoder, Message, Report};
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// More than the longest report, so that a longer datagram is seen to be none.
const ROOM: usize = Report::MAX + 1;

/// Both ends: a helper inherits one.
#[derive(Debug)]
pub struct Reports {
    hears: OwnedFd,
    speaks: OwnedFd,
}

impl Reports {
    /// Makes it.
    ///
    /// # Errors
    /// No descriptors or memory left.
    pub fn open() -> io::Result<Self> {
        let (hears, speaks) = report::pair()?;
        Ok(Self { hears, speaks })
    }

    /// To be waited on.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.hears.as_fd()
    }

    /// The end for helpers.
    pub fn speaks(&self) -> &OwnedFd {
        &self.speaks
    }

    /// The next one that waits, with its sender; what is no report is passed over.
    pub fn next(&self) -> Option<(Pid, Report)> {
        let mut bytes = [0; ROOM];
        loop {
            let (sender, count) = report::receive(self.fd(), &mut bytes).ok().flatten()?;
            let mut from = Decoder::new(bytes.get(..count).unwrap_or_default(), None);
            if let Ok(report) = Report::decode(&mut from)
                && from.finished()
            {
                return Some((sender, report));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Reports;
    use crate::sys::socket::send_message;
    use crate::wire::Report;
    use nix::unistd::Pid;
    use std::os::fd::AsFd;

    #[test]
    fn nonsense_is_passed_over() {
        let reports = Reports::open().unwrap();
        for bytes in [&b"\x02"[..], b"\x03", b"\x01\x01", b"\x01\0\0\0", b"\x01"] {
            send_message(reports.speaks().as_fd(), bytes, None).unwrap();
        }
        assert_eq!(reports.next(), Some((Pid::this(), Report::Handshake)));
        assert_eq!(reports.next(), Some((Pid::this(), Report::LoginFailed)));
        assert_eq!(reports.next(), None);
    }
}
