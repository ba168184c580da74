//! The table of commands: permission, order of checks, FEAT and HELP come from it; worker (and greeter for FEAT and OPTS).

use super::state::{Flow, Over, Session};
use super::{change, data, list, navigate, plain, site, transfer};
use crate::config::Config;
use crate::ftp::line::Command;

/// What a command needs before it is looked at further (reference §3.4, "Gate").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Nothing.
    Open,
    /// `write_enable`, and `anon_upload_enable` for anonymous rules.
    Upload,
    /// `write_enable`, and `anon_mkdir_write_enable` for anonymous rules.
    Mkdir,
    /// `write_enable`, and `anon_other_write_enable` for anonymous rules.
    OtherWrite,
    /// `download_enable`.
    Download,
    /// `dirlist_enable`.
    List,
    /// `dirlist_enable` if there is an argument.
    ListArgument,
    /// `pasv_enable`.
    Epsv,
    /// `pasv_enable`, and EPSV ALL was not said.
    Pasv,
    /// `port_enable`.
    Eprt,
    /// `port_enable`, and EPSV ALL was not said.
    Port,
    /// No anonymous rules.
    Known,
    /// `ssl_enable`.
    Tls,
}

/// What the client is told when the gate is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    /// 550: the command is known.
    Denied,
    /// 500: as if it did not exist.
    Unknown,
}

/// One command.
struct Row {
    verb: &'static [u8],
    gate: Gate,
    closed: Closed,
    help: bool,
    run: fn(&mut Session, &[u8]) -> Flow,
}

const fn row(verb: &'static [u8], gate: Gate, run: fn(&mut Session, &[u8]) -> Flow) -> Row {
    Row {
        verb,
        gate,
        closed: Closed::Denied,
        help: true,
        run,
    }
}

/// Not in HELP, as in the original.
const fn tls(verb: &'static [u8], run: fn(&mut Session, &[u8]) -> Flow) -> Row {
    Row {
        verb,
        gate: Gate::Tls,
        closed: Closed::Denied,
        help: false,
        run,
    }
}

const fn unlisted(verb: &'static [u8], gate: Gate, run: fn(&mut Session, &[u8]) -> Flow) -> Row {
    Row {
        verb,
        gate,
        closed: Closed::Unknown,
        help: false,
        run,
    }
}

/// Sorted by verb: HELP prints it in this order, look-up is by bisection.
const TABLE: &[Row] = &[
    row(b"ABOR", Gate::Open, plain::abor),
    row(b"ACCT", Gate::Open, plain::acct),
    row(b"ALLO", Gate::Open, plain::allo),
    row(b"APPE", Gate::OtherWrite, transfer::appe),
    row(b"CDUP", Gate::Open, navigate::cdup),
    row(b"CWD", Gate::Open, navigate::cwd),
    row(b"DELE", Gate::OtherWrite, change::dele),
    row(b"EPRT", Gate::Eprt, data::eprt),
    row(b"EPSV", Gate::Epsv, data::epsv),
    row(b"FEAT", Gate::Open, plain::feat),
    row(b"HELP", Gate::Open, plain::help),
    row(b"LIST", Gate::List, list::list),
    row(b"MDTM", Gate::Open, change::mdtm),
    row(b"MKD", Gate::Mkdir, change::mkd),
    row(b"MODE", Gate::Open, plain::mode),
    row(b"NLST", Gate::List, list::nlst),
    row(b"NOOP", Gate::Open, plain::noop),
    row(b"OPTS", Gate::Open, plain::options),
    unlisted(b"P@SW", Gate::Pasv, data::pasv),
    row(b"PASS", Gate::Open, plain::pass),
    row(b"PASV", Gate::Pasv, data::pasv),
    tls(b"PBSZ", plain::pbsz),
    row(b"PORT", Gate::Port, data::port),
    tls(b"PROT", plain::prot),
    row(b"PWD", Gate::Open, navigate::pwd),
    row(b"QUIT", Gate::Open, plain::quit),
    row(b"REIN", Gate::Open, plain::rein),
    row(b"REST", Gate::Open, plain::rest),
    row(b"RETR", Gate::Download, transfer::retr),
    row(b"RMD", Gate::OtherWrite, change::rmd),
    row(b"RNFR", Gate::OtherWrite, change::rnfr),
    row(b"RNTO", Gate::OtherWrite, change::rnto),
    row(b"SITE", Gate::Known, site::site),
    row(b"SIZE", Gate::Open, change::size),
    row(b"SMNT", Gate::Open, plain::smnt),
    row(b"STAT", Gate::ListArgument, list::stat),
    row(b"STOR", Gate::Upload, transfer::stor),
    row(b"STOU", Gate::Upload, transfer::stou),
    row(b"STRU", Gate::Open, plain::stru),
    row(b"SYST", Gate::Open, plain::syst),
    row(b"TYPE", Gate::Open, plain::representation),
    row(b"USER", Gate::Open, plain::user),
    row(b"XCUP", Gate::Open, navigate::cdup),
    row(b"XCWD", Gate::Open, navigate::cwd),
    row(b"XMKD", Gate::Mkdir, change::mkd),
    row(b"XPWD", Gate::Open, navigate::pwd),
    row(b"XRMD", Gate::OtherWrite, change::rmd),
];

/// Whether this session may use the gate now: the one place where permission is decided.
pub fn permitted(session: &Session, gate: Gate, arg: &[u8]) -> bool {
    let config = &session.config;
    let write =
        |anonymous_may: bool| config.write_enable && (!session.anonymous() || anonymous_may);
    match gate {
        Gate::Open => true,
        Gate::Upload => write(config.anon_upload_enable),
        Gate::Mkdir => write(config.anon_mkdir_write_enable),
        Gate::OtherWrite => write(config.anon_other_write_enable),
        Gate::Download => config.download_enable,
        Gate::List => config.dirlist_enable,
        Gate::ListArgument => arg.is_empty() || config.dirlist_enable,
        Gate::Epsv => config.pasv_enable,
        Gate::Pasv => config.pasv_enable && !session.epsv_all,
        Gate::Eprt => config.port_enable,
        Gate::Port => config.port_enable && !session.epsv_all,
        Gate::Known => !session.anonymous(),
        Gate::Tls => config.ssl_enable,
    }
}

/// Obeys one command, in the original's order of checks (reference §3.3).
pub fn obey(session: &mut Session, command: &Command) -> Flow {
    let verb: &[u8] = if command.is_abor() {
        b"ABOR"
    } else {
        &command.verb
    };
    if !listed(session, verb) {
        session.reply(550, b"Permission denied.");
        return Ok(());
    }
    if let Some(row) = find(verb) {
        if permitted(session, row.gate, &command.arg) {
            return (row.run)(session, &command.arg);
        }
        match row.closed {
            Closed::Denied => session.reply(550, b"Permission denied."),
            Closed::Unknown => session.reply(500, b"Unknown command."),
        }
    } else if verb == b"CCC" && session.data_side.is_some() {
        let (code, text) = CCC;
        session.reply(code, text);
    } else if is_http(verb) {
        session.reply(500, b"HTTP protocol commands not allowed.");
        return Err(Over(1));
    } else {
        session.reply(500, b"Unknown command.");
    }
    Ok(())
}

fn find(verb: &[u8]) -> Option<&'static Row> {
    TABLE
        .binary_search_by(|row| row.verb.cmp(verb))
        .ok()
        .and_then(|at| TABLE.get(at))
}

/// `cmds_allowed` and `cmds_denied`: entries between commas, no trimming, an empty one ends the list (reference §3.3).
pub fn listed(session: &Session, verb: &[u8]) -> bool {
    let within = |list: &std::ffi::OsString| {
        use std::os::unix::ffi::OsStrExt;
        list.as_bytes()
            .split(|byte| *byte == b',')
            .take_while(|entry| !entry.is_empty())
            .any(|entry| entry == verb)
    };
    let allowed = session.config.cmds_allowed.as_ref().is_none_or(within);
    allowed && !session.config.cmds_denied.as_ref().is_some_and(within)
}

/// Verbs of HTTP: a browser tricked into speaking to us is hung up on (attacks B-096).
pub fn is_http(verb: &[u8]) -> bool {
    matches!(verb, b"GET" | b"POST" | b"HEAD" | b"OPTIONS" | b"CONNECT")
}

/// The lines of FEAT (RFC 2389), each with its CRLF, in the original's order (reference §3.5).
pub fn features(config: &Config) -> Vec<&'static str> {
    let tls = config.ssl_enable;
    let rows: [(bool, &'static str); 11] = [
        // Under implicit TLS there is nothing left to ask for.
        (tls && !config.implicit_ssl, " AUTH TLS\r\n"),
        (config.utf8_filesystem, " UTF8\r\n"),
        (config.port_enable, " EPRT\r\n"),
        (config.pasv_enable, " EPSV\r\n"),
        (true, " MDTM\r\n"),
        (config.pasv_enable, " PASV\r\n"),
        (tls, " PBSZ\r\n"),
        (tls, " PROT\r\n"),
        (true, " REST STREAM\r\n"),
        (true, " SIZE\r\n"),
        (true, " TVFS\r\n"),
    ];
    rows.into_iter()
        .filter_map(|(on, text)| on.then_some(text))
        .collect()
}

/// The lines of HELP: fourteen verbs each, padded to four (RFC 959).
pub fn help() -> Vec<Vec<u8>> {
    let verbs: Vec<&[u8]> = TABLE
        .iter()
        .filter(|row| row.help)
        .map(|row| row.verb)
        .collect();
    verbs
        .chunks(14)
        .map(|verbs| {
            let mut line = Vec::new();
            for verb in verbs {
                line.push(b' ');
                line.extend_from_slice(verb);
                line.resize(
                    line.len()
                        .saturating_add(4_usize.saturating_sub(verb.len())),
                    b' ',
                );
            }
            line.truncate(line.trim_ascii_end().len());
            line.extend_from_slice(b"\r\n");
            line
        })
        .collect()
}

/// CCC (RFC 4217, 15.3): a control connection that is protected stays protected.
pub const CCC: (u16, &[u8]) = (534, b"The control connection stays protected.");

/// PBSZ (RFC 4217, 8), the same before and after login.
pub fn pbsz(protected: bool) -> (u16, &'static [u8]) {
    if protected {
        (200, b"PBSZ set to 0.")
    } else {
        (503, b"PBSZ needs a secure connection.")
    }
}

/// PROT (RFC 4217, 9), the same before and after login.
pub fn prot(protected: bool, arg: &[u8], protect: &mut bool) -> (u16, &'static [u8]) {
    if !protected {
        return (503, b"PROT needs a secure connection.");
    }
    match arg.to_ascii_uppercase().as_slice() {
        b"C" => {
            *protect = false;
            (200, b"PROT now Clear.")
        }
        b"P" => {
            *protect = true;
            (200, b"PROT now Private.")
        }
        b"S" | b"E" => (536, b"PROT not supported."),
        _ => (504, b"PROT not recognized."),
    }
}

/// OPTS, the same before and after login (reference §3.2).
pub fn opts(arg: &[u8]) -> (u16, &'static [u8]) {
    if arg.eq_ignore_ascii_case(b"UTF8 ON") {
        (200, b"Always in UTF8 mode.")
    } else {
        (501, b"Option not understood.")
    }
}

/// A command line as the log shows it, the password covered.
pub fn shown(command: &Command) -> Vec<u8> {
    let arg: &[u8] = match command.verb.as_slice() {
        b"PASS" => b"<password>",
        _ => &command.arg,
    };
    if arg.is_empty() {
        command.verb.clone()
    } else {
        [&command.verb, b" ".as_slice(), arg].concat()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::{TABLE, help};

    #[test]
    fn the_table_is_sorted_and_without_doubles() {
        assert!(TABLE.windows(2).all(|pair| pair[0].verb < pair[1].verb));
    }

    #[test]
    fn help_is_the_originals_block() {
        let text: Vec<u8> = help().concat();
        let expected = " ABOR ACCT ALLO APPE CDUP CWD  DELE EPRT EPSV FEAT HELP LIST MDTM MKD\r\n \
                        MODE NLST NOOP OPTS PASS PASV PORT PWD  QUIT REIN REST RETR RMD  RNFR\r\n \
                        RNTO SITE SIZE SMNT STAT STOR STOU STRU SYST TYPE USER XCUP XCWD XMKD\r\n \
                        XPWD XRMD\r\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
