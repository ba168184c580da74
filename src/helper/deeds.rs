//! What a worker has done, for vsftpd.log and xferlog; helper after login, without rights.

use super::journal::{Journal, stamp};
use crate::config::Config;
use crate::record::{self, Access, Deed, Kind, Line, Moved, Transfer};
use crate::sys::logfile;
use crate::wire::{Change, Direction, Event, Outcome};
use crate::worker::Class;
use std::time::Duration;

impl Journal {
    /// What the user is, for xferlog; and the user's own settings, as far as they concern logs that are open.
    pub fn settled(&mut self, class: Class, config: &Config) {
        // Who has kept it for so long is not waited for again.
        let in_vain = self.locks && self.lock.is_none();
        self.locks = !config.no_log_lock;
        self.lock = (self.locks && !in_vain).then_some(self.patience);
        self.access = match class {
            Class::Anonymous { password } => (Access::Anonymous, password),
            Class::Guest => (Access::Guest, Vec::new()),
            Class::Local => (Access::Real, Vec::new()),
        };
    }

    /// What worker reports.
    pub fn event(&mut self, event: Event) {
        match event {
            Event::Said(said) => self.said(said),
            Event::Changed {
                change,
                outcome,
                text,
            } => {
                self.line(&Line::new(
                    Kind::Deed(deed(change)),
                    Some(matches!(outcome, Outcome::Done)),
                    Some(text),
                ));
            }
            Event::Transfer {
                direction,
                outcome,
                path,
                bytes,
                elapsed,
                ascii,
            } => {
                self.transfer(direction, outcome, path, bytes, elapsed, ascii);
            }
        }
    }

    fn transfer(
        &mut self,
        direction: Direction,
        outcome: Outcome,
        path: Vec<u8>,
        bytes: u64,
        elapsed: Duration,
        ascii: bool,
    ) {
        let ok = matches!(outcome, Outcome::Done);
        let upload = matches!(direction, Direction::Upload);
        if let Some(log) = &mut self.xfer {
            self.buffer.clear();
            let transfer = Transfer {
                upload,
                ok,
                path: &path,
                bytes,
                elapsed,
                ascii,
                access: self.access.0,
                anon_password: &self.access.1,
            };
            let stamp = stamp(self.pid, self.user.as_deref(), self.address.text());
            record::xferlog_line(&stamp, &transfer, &mut self.buffer);
            let written = logfile::append(log, &self.buffer, &mut self.lock);
            self.lost("xferlog_file", written);
        }
        let deed = if upload { Deed::Upload } else { Deed::Download };
        self.line(&Line {
            moved: Some(Moved { bytes, elapsed }),
            ..Line::new(Kind::Deed(deed), Some(ok), Some(path))
        });
    }
}

fn deed(change: Change) -> Deed {
    match change {
        Change::Mkdir => Deed::Mkdir,
        Change::Rmdir => Deed::Rmdir,
        Change::Delete => Deed::Delete,
        Change::Rename => Deed::Rename,
        Change::Chmod => Deed::Chmod,
    }
}

#[cfg(test)]
mod tests {
    use super::Journal;
    use crate::config::Config;
    use crate::worker::Class;
    use std::time::Duration;

    #[test]
    fn who_keeps_the_lock_is_waited_for_once_in_a_session() {
        let locks = Config::default();
        let never = Config {
            no_log_lock: true,
            ..Config::default()
        };
        let patience = Some(Duration::from_secs(5));
        for (before, got, after, expected) in [
            (true, true, &locks, patience),
            (true, false, &locks, None),
            (true, true, &never, None),
            (false, true, &locks, patience),
        ] {
            let mut journal = Journal::silent(([127, 0, 0, 1], 21).into());
            journal.locks = before;
            journal.lock = patience.filter(|_| before && got);
            journal.settled(Class::Local, after);
            assert_eq!(journal.lock, expected);
        }
    }
}
