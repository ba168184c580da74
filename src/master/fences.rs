//! Which fences this kernel has for sessions: tried once at start, and said in one line; master.

use crate::config::Loaded;
use crate::helper;
use crate::reader::{self, Fenced, Who};
use crate::sys::kernel;

/// Asks for forbidden system calls to be reported on standard error.
const SWITCH: &str = "VSFTPD_SANDBOX";

/// Finds out what sessions will be fenced with, and has the programs they share compiled: before the environment is forgotten and before
/// anything listens. Where every connection is a start of its own, as under inetd, nothing is `tried` and nothing found.
pub fn find_out(loaded: &Loaded, tried: bool) -> Option<Fenced> {
    if std::env::var_os(SWITCH).is_some_and(|value| value == "report") {
        kernel::report_calls();
    }
    if !tried {
        return None;
    }
    let wanted = helper::filters(loaded);
    if wanted && kernel::filters() && !reader::filters_hold(Who::nobody()) {
        log::error!("system calls are not filtered: a trial has shown that filters do not hold");
        kernel::do_without();
    }
    let lists = wanted.then_some(|| helper::likely_lists(&loaded.config));
    Some(reader::compile(Who::nobody(), lists))
}

/// Says it in one line of the log.
pub fn say(found: &Fenced) {
    match found {
        Ok(text) => log::info!("sessions are fenced: {text}"),
        Err(text) => log::warn!("sessions are fenced less than they could be: {text}"),
    }
}
