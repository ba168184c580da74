//! What the command line may ask for instead of a server: settings checked or shown, the manual, the fences of this kernel; ends when it is
//! done.

use crate::config::{self, Source};
use crate::{REFUSED, complain, master, read, reader};
use lexopt::{Arg, Parser};
use std::io::{self, Write};
use std::process::ExitCode;

const USAGE: &str = "\
Usage: vsftpd [FILE ...] [-oNAME=VALUE ...] [--pid-file FILE]
       vsftpd --check [FILE ...] [-oNAME=VALUE ...]
       vsftpd --print-config [FILE ...] [-oNAME=VALUE ...]
       vsftpd --manual conf
       vsftpd --sandbox-report
       vsftpd --version | --help

Serves FTP as vsftpd.conf says. Without a FILE, /etc/vsftpd/vsftpd.conf is read, or
/etc/vsftpd.conf. Settings take effect in the order given.

  -oNAME=VALUE       one setting, as a line of vsftpd.conf
  --check            read everything, name every mistake, serve nothing
  --print-config     show every option's value and where it comes from
  --pid-file FILE    write the master's process id there once it listens
  --manual conf      print the manual page vsftpd.conf(5)
  --sandbox-report   show what this kernel fences sessions with, and each process's system calls
  -v, --version      print the version
  -h, --help         print this
";

/// One of them.
#[derive(Debug, Clone, Copy)]
pub enum Subcommand {
    /// Every mistake is named.
    Check,
    /// Every option's value is shown.
    PrintConfig,
    /// The manual page is made.
    Manual,
    /// The fences are shown.
    SandboxReport,
    /// The version is shown.
    Version,
    /// How to call it is shown.
    Help,
}

impl Subcommand {
    /// What an option that is none of a server's asks for.
    pub fn of(option: &Arg<'_>) -> Option<Self> {
        match option {
            Arg::Short('v') | Arg::Long("version") => Some(Self::Version),
            Arg::Short('h') | Arg::Long("help") => Some(Self::Help),
            Arg::Long("check") => Some(Self::Check),
            Arg::Long("print-config") => Some(Self::PrintConfig),
            Arg::Long("manual") => Some(Self::Manual),
            Arg::Long("sandbox-report") => Some(Self::SandboxReport),
            Arg::Short(_) | Arg::Long(_) | Arg::Value(_) => None,
        }
    }

    /// Takes what stands behind it: the page of a manual, and whatever is glued to `-v`, as the original has it.
    ///
    /// # Errors
    /// There is no such page.
    pub fn take_value(self, short: bool, parser: &mut Parser) -> Result<(), lexopt::Error> {
        match self {
            Self::Manual => {
                let page = parser.value()?;
                if page != "conf" {
                    let page = page.to_string_lossy();
                    return Err(format!("no manual page is made for {page}").into());
                }
            }
            Self::Version if short => _ = parser.optional_value(),
            Self::Version | Self::Check | Self::PrintConfig | Self::SandboxReport | Self::Help => {}
        }
        Ok(())
    }
}

/// Does what was asked for; gives the exit status.
pub fn run(what: Subcommand, sources: &[Source]) -> ExitCode {
    let mut out = io::stdout().lock();
    let written = match what {
        Subcommand::Check => return check(sources),
        Subcommand::PrintConfig => {
            let found = reader::load(sources);
            complain(&found.mistakes);
            if config::print(&found.loaded, &mut out).is_err() || !found.good {
                return ExitCode::from(REFUSED);
            }
            Ok(())
        }
        Subcommand::Manual => config::conf_5(&mut out),
        Subcommand::SandboxReport => master::report(&mut out),
        Subcommand::Version => {
            writeln!(
                out,
                "vsftpd: version 3.0.5 (vsftpd-rs {})",
                env!("CARGO_PKG_VERSION")
            )
        }
        Subcommand::Help => out.write_all(USAGE.as_bytes()),
    };
    match written.and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn check(sources: &[Source]) -> ExitCode {
    match read(sources, true) {
        Ok((loaded, remarks, more)) => {
            let waits = config::waits_to_be_started(&loaded);
            let warnings: Vec<String> = (remarks.into_iter())
                .chain(more)
                .chain(waits.map(|remark| remark.to_string()))
                .map(|remark| format!("warning: {remark}"))
                .collect();
            complain(&warnings);
            ExitCode::SUCCESS
        }
        Err(mistakes) => {
            complain(&mistakes);
            ExitCode::from(REFUSED)
        }
    }
}
