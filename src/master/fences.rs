//! Which fences this kernel has for sessions: tried once at start, and said in one line; master.

use crate::config::Loaded;
use crate::helper;
use crate::reader::{self, Who};
use crate::sys::kernel;

/// Asks for forbidden system calls to be reported on standard error.
const SWITCH: &str = "VSFTPD_SANDBOX";

/// What was found out.
#[derive(Debug)]
pub struct Found {
    tried: bool,
    wanted: bool,
}

/// Finds out what sessions will be fenced with, and has the programs they share compiled: before the environment is forgotten and before
/// anything listens. Where every connection is a start of its own, as under inetd, nothing is `tried` and nothing said.
pub fn find_out(loaded: &Loaded, tried: bool) -> Found {
    if std::env::var_os(SWITCH).is_some_and(|value| value == "report") {
        kernel::report_calls();
    }
    let wanted = helper::filters(loaded);
    if tried && wanted && kernel::filters() {
        if reader::filters_hold(Who::nobody()) {
            reader::compile(Who::nobody(), || helper::likely_lists(&loaded.config));
        } else {
            log::error!(
                "system calls are not filtered: a trial has shown that filters do not hold"
            );
            kernel::do_without();
        }
    }
    Found { tried, wanted }
}

impl Found {
    /// Says it in one line of the log.
    pub fn say(&self) {
        if !self.tried {
            return;
        }
        let filtered = self.wanted && kernel::filters();
        let calls = match (self.wanted, filtered) {
            (true, true) if kernel::reporting() => "system calls filtered, forbidden ones reported",
            (true, true) => "system calls filtered",
            (true, false) => "system calls not filtered: this kernel or machine has no seccomp",
            (false, _) => "system calls not filtered: seccomp_sandbox=NO",
        };
        let files = match kernel::landlock() {
            0 => "no Landlock in this kernel".to_owned(),
            version if version < kernel::OLDEST => {
                format!("Landlock version {version} is too old to be used")
            }
            version => format!("Landlock version {version}"),
        };
        if filtered && kernel::confines_files() {
            log::info!("sessions are fenced: {calls}; {files}");
        } else {
            log::warn!("sessions are fenced less than they could be: {calls}; {files}");
        }
    }
}
