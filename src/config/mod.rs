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

pub mod certificates;
mod check;
pub mod ciphers;
pub mod file;
mod hosts;
mod manual;
pub mod network;
pub mod options;
pub mod ports;
pub mod value;

pub use check::{check_system, remarks, waits_to_be_started};
pub use file::{Loaded, Mistake, Source, load, print, read};
pub use hosts::{HostName, Hosts};
pub use manual::conf_5;
pub use options::Config;

#[cfg(test)]
mod tests;
