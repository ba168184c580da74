//! What master and the keyholder, which it starts, say to each other once sessions may come; what is said before is a reader's.

use super::kinds::{File, Int, Words, messages};
use std::os::fd::OwnedFd;

/// The longest line of text.
const TEXT: usize = 4096;

/// From master to keyholder.
#[derive(Debug)]
pub enum ToKeyholder {
    /// A session begins; it asks over this channel, and at most so many times.
    Session {
        /// How many signatures it may have.
        signatures: u32,
        /// Keyholder's end of its channel.
        channel: OwnedFd,
    },
}

/// From keyholder to master.
#[derive(Debug, PartialEq, Eq)]
pub enum FromKeyholder {
    /// For the log.
    Note(Vec<u8>),
}

messages! { ToKeyholder, 5;
    1 Session { signatures: Int, channel: File };
}

messages! { FromKeyholder, TEXT + 3;
    6 Note(Words(TEXT));
}
