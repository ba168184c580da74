//! The configuration: the table of options, reading vsftpd.conf, the rules between options, the manual; used by every process.

#[macro_use]
mod options_start;
#[macro_use]
mod options_login;
#[macro_use]
mod options_files;
#[macro_use]
mod options_data;
#[macro_use]
mod options_log;
#[macro_use]
mod options_tls;
#[macro_use]
mod options_ours;
#[macro_use]
mod options_others;

pub mod certificates;
mod check;
pub mod ciphers;
pub mod file;
mod host_files;
mod hosts;
mod loaded;
mod manual;
pub mod network;
pub mod options;
pub mod ports;
mod print;
mod text;
pub mod token;
pub mod value;
mod view;

pub use check::{check_system, remarks, waits_to_be_started};
#[cfg(any(test, fuzzing))]
pub use file::load;
pub use file::read;
pub use hosts::{HostName, Hosts};
pub use loaded::{Loaded, Mistake, Origin, Source, one_line};
pub use manual::conf_5;
pub use options::Config;
pub use print::print;
pub use view::{How, Own, View};

#[cfg(test)]
mod tests;
