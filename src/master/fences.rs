//! Which fences this kernel has for sessions: tried once at start, and said in one line; master.

use crate::config::{Config, Loaded};
use crate::helper;
use crate::sys::landlock;
use crate::sys::seccomp::{self, List, Unfit};

/// Asks for forbidden system calls to be reported on standard error.
const SWITCH: &str = "VSFTPD_SANDBOX";

/// What was found out.
#[derive(Debug)]
pub struct Found {
    tried: bool,
    wanted: bool,
    filtered: bool,
}

/// Finds out what sessions will be fenced with, and builds the programs they share: before the environment is forgotten and before
/// anything listens. Where every connection is a start of its own, as under inetd, nothing is `tried` and nothing said.
///
/// # Errors
/// It is less than `sandbox_minimum`, or cannot be found out.
pub fn find_out(loaded: &Loaded, tried: bool) -> Result<Found, String> {
    if std::env::var_os(SWITCH).is_some_and(|value| value == "report") {
        seccomp::report_calls();
    }
    let wanted = helper::filters(loaded);
    let mut filtered = wanted && seccomp::available();
    if filtered && tried {
        match seccomp::self_test() {
            Ok(()) => prepare(&loaded.config),
            Err(Unfit::Kernel(why)) => {
                log::error!("system calls are not filtered: {why}");
                seccomp::do_without();
                filtered = false;
            }
            // What lacks for a moment is not done without for as long as the server runs.
            Err(Unfit::Untried(why)) => {
                return Err(format!(
                    "cannot try whether system calls can be filtered: {why}; start again, or with seccomp_sandbox=NO"
                ));
            }
        }
    }
    let found = Found {
        tried,
        wanted,
        filtered,
    };
    found.suffice(&loaded.config)?;
    Ok(found)
}

impl Found {
    /// Whether that is enough for `sandbox_minimum`; if not, what is missing.
    fn suffice(&self, config: &Config) -> Result<(), String> {
        let least = config.sandbox_minimum;
        if least >= 1 && !self.filtered {
            return Err(format!(
                "sandbox_minimum={least}: this kernel or machine filters no system calls"
            ));
        }
        if least >= 2 && !landlock::available() {
            return Err(format!(
                "sandbox_minimum={least}: this kernel's Landlock has version {}, and {} is needed",
                landlock::version(),
                landlock::OLDEST
            ));
        }
        Ok(())
    }

    /// Says it in one line of the log.
    pub fn say(&self) {
        if !self.tried {
            return;
        }
        let calls = match (self.wanted, self.filtered) {
            (true, true) if seccomp::reporting() => {
                "system calls filtered, forbidden ones reported"
            }
            (true, true) => "system calls filtered",
            (true, false) => "system calls not filtered: this kernel or machine has no seccomp",
            (false, _) => "system calls not filtered: seccomp_sandbox=NO",
        };
        let files = match landlock::version() {
            0 => "no Landlock in this kernel".to_owned(),
            version if version < landlock::OLDEST => {
                format!("Landlock version {version} is too old to be used")
            }
            version => format!("Landlock version {version}"),
        };
        if self.filtered && landlock::available() {
            log::info!("sessions are fenced: {calls}; {files}");
        } else {
            log::warn!("sessions are fenced less than they could be: {calls}; {files}");
        }
    }
}

/// Builds what sessions of these settings will most likely install; they inherit it.
fn prepare(config: &Config) {
    List::Keyholder.prepare();
    List::Reader.prepare();
    let carries = config.ssl_enable;
    List::Greeter { carries }.prepare();
    List::Helper { gives: false }.prepare();
    if config.chown_uploads {
        List::Helper { gives: true }.prepare();
    }
    for list in helper::likely_lists(config) {
        list.prepare();
    }
}
