//! The FTP protocol as pure functions over bytes: no system call, no descriptor, no state of the server; used by greeter and worker.

pub mod address;
pub mod ascii;
pub mod charset;
pub mod digest;
pub mod facts;
pub mod lang;
pub mod line;
pub mod listing;
pub mod mfxx;
pub mod number;
pub mod pattern;
pub mod reply;
pub mod row;
mod rule;
pub mod shelf;
pub mod time;
pub mod verb;
