//! What a worker has done, for vsftpd.log and xferlog; helper after login, without rights.

use super::journal::{Journal, stamp};
use crate::record::{self, Deed, Kind, Line, Moved, Transfer};
use crate::sys::logfile;
use crate::wire::{Change, Direction, Event, Outcome};
use std::time::Duration;

impl Journal {
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
        if let Some(file) = &self.xfer {
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
            let written = logfile::append(file, &self.buffer, &mut self.lock);
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
