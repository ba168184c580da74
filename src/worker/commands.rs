//! The table of commands: permission, order of checks, FEAT and HELP come from it; worker (and greeter for FEAT and OPTS).

use super::state::{Flow, Over, Session};
use super::{
    change, data, digest, facts, list, navigate, options, plain, site, space, stamp, transfer,
};
use crate::config::Config;
use crate::ftp::line::Command;
use std::borrow::Cow;
use std::net::SocketAddr;

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
    /// `mdtm_write`, and what `OtherWrite` needs.
    SetTime,
    /// `chmod_enable` and `write_enable`, and no anonymous rules.
    SetMode,
    /// `hash_enable`, and `anon_hash_enable` for anonymous rules, and what `Download` needs.
    Digest,
    /// What `SetTime` or `SetMode` needs.
    SetFacts,
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

/// What FEAT says about a command (RFC 2389).
#[derive(Clone, Copy)]
enum Feature {
    /// Nothing.
    None,
    /// This, as the original does, while the command may be used.
    Old(&'static str),
    /// As the original does, if the options say so.
    OldIf(fn(&Config) -> bool, &'static str),
    /// The line of a command the original has not, while it may be used.
    New(fn(&Offer<'_>) -> Option<Cow<'static, str>>),
}

/// One command.
#[derive(Clone, Copy)]
struct Row {
    verb: &'static [u8],
    gate: Gate,
    closed: Closed,
    help: Help,
    /// An older command that gives as much away or changes as much: `cmds_denied` of that one closes this one too.
    like: Option<&'static [u8]>,
    feature: Feature,
    run: fn(&mut Session, &[u8]) -> Flow,
}

/// Where HELP shows a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Help {
    /// In the original's block.
    Old,
    /// Behind it.
    New,
    /// Nowhere.
    Never,
}

const fn row(verb: &'static [u8], gate: Gate, run: fn(&mut Session, &[u8]) -> Flow) -> Row {
    Row {
        verb,
        gate,
        closed: Closed::Denied,
        help: Help::Old,
        like: None,
        feature: Feature::None,
        run,
    }
}

/// A command the original has not.
const fn added(verb: &'static [u8], gate: Gate, run: fn(&mut Session, &[u8]) -> Flow) -> Row {
    Row {
        help: Help::New,
        ..row(verb, gate, run)
    }
}

/// A command of RFC 4217: not in HELP, as in the original.
const fn tls(verb: &'static [u8], run: fn(&mut Session, &[u8]) -> Flow) -> Row {
    Row {
        help: Help::Never,
        ..row(verb, Gate::Tls, run)
    }
}

const fn unlisted(verb: &'static [u8], gate: Gate, run: fn(&mut Session, &[u8]) -> Flow) -> Row {
    Row {
        closed: Closed::Unknown,
        help: Help::Never,
        ..row(verb, gate, run)
    }
}

impl Row {
    /// With a line of FEAT.
    const fn feat(self, feature: Feature) -> Self {
        Self { feature, ..self }
    }

    /// Denied where this one is.
    const fn like(self, verb: &'static [u8]) -> Self {
        Self {
            like: Some(verb),
            ..self
        }
    }
}

/// Sorted by verb: HELP prints it in this order, look-up is by bisection.
const TABLE: &[Row] = &[
    row(b"ABOR", Gate::Open, plain::abor),
    row(b"ACCT", Gate::Open, plain::acct),
    row(b"ALLO", Gate::Open, plain::allo),
    row(b"APPE", Gate::OtherWrite, transfer::appe),
    added(b"AVBL", Gate::Upload, space::avbl)
        .like(b"STOR")
        .feat(Feature::New(|_| said("AVBL"))),
    row(b"CDUP", Gate::Open, navigate::cdup),
    added(b"CLNT", Gate::Open, options::clnt).feat(Feature::New(|_| said("CLNT"))),
    added(b"CSID", Gate::Open, options::csid).feat(Feature::New(|_| said("CSID"))),
    row(b"CWD", Gate::Open, navigate::cwd).feat(Feature::Old("TVFS")),
    row(b"DELE", Gate::OtherWrite, change::dele),
    row(b"EPRT", Gate::Eprt, data::eprt).feat(Feature::Old("EPRT")),
    row(b"EPSV", Gate::Epsv, data::epsv).feat(Feature::Old("EPSV")),
    row(b"FEAT", Gate::Open, plain::feat),
    added(b"HASH", Gate::Digest, digest::hash)
        .like(b"RETR")
        .feat(Feature::New(digest::feature)),
    row(b"HELP", Gate::Open, plain::help),
    added(b"HOST", Gate::Open, options::host).feat(Feature::New(|offer| {
        hosts(offer.config).then(|| "HOST".into())
    })),
    added(b"LANG", Gate::Open, options::lang).feat(Feature::New(options::languages)),
    row(b"LIST", Gate::List, list::list),
    row(b"MDTM", Gate::Open, change::mdtm).feat(Feature::Old("MDTM")),
    added(b"MFF", Gate::SetFacts, stamp::mff).feat(Feature::New(stamp::feature)),
    added(b"MFMT", Gate::SetTime, stamp::mfmt)
        .like(b"MDTM")
        .feat(Feature::New(|_| said("MFMT"))),
    row(b"MKD", Gate::Mkdir, change::mkd),
    added(b"MLSD", Gate::List, facts::mlsd).like(b"LIST"),
    added(b"MLST", Gate::List, facts::mlst)
        .like(b"LIST")
        .feat(Feature::New(facts::feature)),
    row(b"MODE", Gate::Open, plain::mode).feat(Feature::New(options::modes)),
    row(b"NLST", Gate::List, list::nlst),
    row(b"NOOP", Gate::Open, plain::noop),
    row(b"OPTS", Gate::Open, options::opts).feat(Feature::OldIf(options::utf8, "UTF8")),
    unlisted(b"P@SW", Gate::Pasv, data::pasv),
    row(b"PASS", Gate::Open, plain::pass),
    row(b"PASV", Gate::Pasv, data::pasv).feat(Feature::Old("PASV")),
    tls(b"PBSZ", plain::pbsz).feat(Feature::Old("PBSZ")),
    row(b"PORT", Gate::Port, data::port),
    tls(b"PROT", plain::prot).feat(Feature::Old("PROT")),
    row(b"PWD", Gate::Open, navigate::pwd),
    row(b"QUIT", Gate::Open, plain::quit),
    added(b"RANG", Gate::Download, digest::rang)
        .like(b"REST")
        .feat(Feature::New(|_| said("RANG STREAM"))),
    row(b"REIN", Gate::Open, plain::rein),
    row(b"REST", Gate::Open, plain::rest).feat(Feature::Old("REST STREAM")),
    row(b"RETR", Gate::Download, transfer::retr),
    row(b"RMD", Gate::OtherWrite, change::rmd),
    row(b"RNFR", Gate::OtherWrite, change::rnfr),
    row(b"RNTO", Gate::OtherWrite, change::rnto),
    row(b"SITE", Gate::Known, site::site),
    row(b"SIZE", Gate::Open, change::size).feat(Feature::Old("SIZE")),
    row(b"SMNT", Gate::Open, plain::smnt),
    row(b"STAT", Gate::ListArgument, list::stat),
    row(b"STOR", Gate::Upload, transfer::stor),
    row(b"STOU", Gate::Upload, transfer::stou),
    row(b"STRU", Gate::Open, plain::stru),
    row(b"SYST", Gate::Open, plain::syst),
    row(b"TYPE", Gate::Open, plain::representation),
    row(b"USER", Gate::Open, plain::user),
    added(b"XCRC", Gate::Digest, digest::xcrc)
        .like(b"RETR")
        .feat(Feature::New(|_| said("XCRC"))),
    row(b"XCUP", Gate::Open, navigate::cdup),
    row(b"XCWD", Gate::Open, navigate::cwd),
    added(b"XMD5", Gate::Digest, digest::xmd5)
        .like(b"RETR")
        .feat(Feature::New(|_| said("XMD5"))),
    row(b"XMKD", Gate::Mkdir, change::mkd),
    row(b"XPWD", Gate::Open, navigate::pwd),
    row(b"XRMD", Gate::OtherWrite, change::rmd),
    added(b"XSHA1", Gate::Digest, digest::xsha1)
        .like(b"RETR")
        .feat(Feature::New(|_| said("XSHA1"))),
    added(b"XSHA256", Gate::Digest, digest::xsha256)
        .like(b"RETR")
        .feat(Feature::New(|_| said("XSHA256"))),
    added(b"XSHA512", Gate::Digest, digest::xsha512)
        .like(b"RETR")
        .feat(Feature::New(|_| said("XSHA512"))),
];

/// Whether this session may use the gate now.
pub fn permitted(session: &Session, gate: Gate, arg: &[u8]) -> bool {
    shut(session, gate, arg).is_none()
}

/// What shuts the gate to this session now, if anything does.
pub fn shut(session: &Session, gate: Gate, arg: &[u8]) -> Option<Shut> {
    let who = Who {
        anonymous: session.anonymous(),
        epsv_all: session.epsv_all,
    };
    let listing = gate == Gate::ListArgument && !arg.is_empty();
    shut_to(session.config, who, if listing { Gate::List } else { gate })
}

/// What a gate asks of a session besides its options.
#[derive(Debug, Clone, Copy)]
struct Who {
    anonymous: bool,
    epsv_all: bool,
}

/// What shuts a gate: the first setting that does, or else what the client is or has said.
#[derive(Debug, Clone, Copy)]
pub struct Shut(pub &'static str);

/// What shuts a gate to whom anonymous rules hold for, whatever is set.
pub const NOT_FOR_ANONYMOUS: &str = "it is not for anonymous clients";

/// The one place where permission is decided.
fn shut_to(config: &Config, who: Who, gate: Gate) -> Option<Shut> {
    let first = |asked: &[(bool, &'static str)]| {
        let shut = asked.iter().find(|(open, _)| !open);
        shut.map(|(_, setting)| Shut(setting))
    };
    let anon = |open: bool, setting| (open || !who.anonymous, setting);
    let write = (config.write_enable, "write_enable=NO");
    let upload = anon(config.anon_upload_enable, "anon_upload_enable=NO");
    let mkdir = anon(config.anon_mkdir_write_enable, "anon_mkdir_write_enable=NO");
    let other = anon(config.anon_other_write_enable, "anon_other_write_enable=NO");
    let download = (config.download_enable, "download_enable=NO");
    let passive = (config.pasv_enable, "pasv_enable=NO");
    let active = (config.port_enable, "port_enable=NO");
    let known = (!who.anonymous, NOT_FOR_ANONYMOUS);
    let free = (
        !who.epsv_all,
        "the client has said EPSV ALL, and may say EPSV only since then (RFC 2428)",
    );
    match gate {
        Gate::Open | Gate::ListArgument => None,
        Gate::Upload => first(&[write, upload]),
        Gate::Mkdir => first(&[write, mkdir]),
        Gate::OtherWrite => first(&[write, other]),
        Gate::Download => first(&[download]),
        Gate::List => first(&[(config.dirlist_enable, "dirlist_enable=NO")]),
        Gate::Epsv => first(&[passive]),
        Gate::Pasv => first(&[passive, free]),
        Gate::Eprt => first(&[active]),
        Gate::Port => first(&[active, free]),
        Gate::Known => first(&[known]),
        Gate::SetTime => first(&[write, (config.mdtm_write, "mdtm_write=NO"), other]),
        Gate::SetMode => first(&[write, (config.chmod_enable, "chmod_enable=NO"), known]),
        Gate::Digest => first(&[
            download,
            (config.hash_enable, "hash_enable=NO"),
            anon(config.anon_hash_enable, "anon_hash_enable=NO"),
        ]),
        Gate::SetFacts => {
            let time = shut_to(config, who, Gate::SetTime)?;
            let mode = shut_to(config, who, Gate::SetMode)?;
            // Anonymous clients change no modes, whatever the option.
            Some(if who.anonymous { time } else { mode })
        }
        Gate::Tls => first(&[(config.ssl_enable, "ssl_enable=NO")]),
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
        session.forbidden(verb, "cmds_allowed or cmds_denied");
        session.reply(550, b"Permission denied.");
        return Ok(());
    }
    if let Some(row) = find(verb) {
        let Some(shut) = shut(session, row.gate, &command.arg) else {
            return (row.run)(session, &command.arg);
        };
        session.shut_out(verb, shut);
        match row.closed {
            Closed::Denied => session.reply(550, b"Permission denied."),
            Closed::Unknown => session.reply(500, b"Unknown command."),
        }
    } else if verb == b"CCC" && session.data_side.is_some() {
        let (code, text) = CCC;
        session.reply(code, text);
    } else if let Some(text) = foreign(verb) {
        session.reply(500, text);
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

/// `cmds_allowed` and `cmds_denied`. A command that is like an older one is denied with it: a configuration written before there
/// was the new one must not be got around.
pub fn listed(session: &Session, verb: &[u8]) -> bool {
    let config = &session.config;
    let allowed = config
        .cmds_allowed
        .as_deref()
        .is_none_or(|list| within(list, verb));
    let like = find(verb).and_then(|row| row.like);
    allowed && !denied(config, verb) && !like.is_some_and(|like| denied(config, like))
}

/// Whether `cmds_denied` names the verb.
pub fn denied(config: &Config, verb: &[u8]) -> bool {
    config
        .cmds_denied
        .as_deref()
        .is_some_and(|list| within(list, verb))
}

/// Entries between commas, no trimming, an empty one ends the list (reference §3.3).
fn within(list: &std::ffi::OsStr, verb: &[u8]) -> bool {
    use std::os::unix::ffi::OsStrExt;
    list.as_bytes()
        .split(|byte| *byte == b',')
        .take_while(|entry| !entry.is_empty())
        .any(|entry| entry == verb)
}

/// Whether a session may use a command now, by lists and gate.
pub fn usable(session: &Session, verb: &[u8]) -> bool {
    listed(session, verb) && find(verb).is_some_and(|row| permitted(session, row.gate, b""))
}

/// What a client is told that speaks another protocol: HTTP (RFC 9110, RFC 5789, RFC 9113) and lines of its header, SMTP, SSH, or TLS where
/// it must be asked for. One that was tricked into speaking to us is hung up on before it says what was put into its mouth (attacks B-096).
pub fn foreign(verb: &[u8]) -> Option<&'static [u8]> {
    let http = verb.ends_with(b":")
        || matches!(
            verb,
            b"GET"
                | b"POST"
                | b"HEAD"
                | b"OPTIONS"
                | b"CONNECT"
                | b"PUT"
                | b"DELETE"
                | b"PATCH"
                | b"TRACE"
                | b"PRI"
        );
    let other = matches!(verb, b"EHLO" | b"HELO" | b"LHLO")
        || verb.starts_with(b"SSH-")
        || verb.starts_with(TLS);
    if http {
        Some(b"HTTP protocol commands not allowed.")
    } else if other {
        Some(b"This is an FTP server.")
    } else {
        None
    }
}

/// How a connection under TLS begins: a record of a handshake (RFC 8446 §5.1).
pub const TLS: &[u8] = b"\x16\x03";

/// To whom FEAT speaks.
#[derive(Clone, Copy)]
pub struct Offer<'a> {
    /// The options.
    pub config: &'a Config,
    /// The address the client reached us by.
    pub local: SocketAddr,
    /// The session, once there is one.
    pub session: Option<&'a Session>,
}

impl Offer<'_> {
    /// Whether a command can be used: by this session, or before login by anybody who may log in.
    pub fn can(&self, verb: &[u8]) -> bool {
        match self.session {
            Some(session) => usable(session, verb),
            None => find(verb).is_some_and(|row| self.might(row.gate)),
        }
    }

    /// Whether a gate is open to this session, or before login to anybody.
    pub fn might(&self, gate: Gate) -> bool {
        if let Some(session) = self.session {
            return permitted(session, gate, b"");
        }
        let class = |enabled: bool, anonymous: bool| {
            let epsv_all = false;
            let who = Who {
                anonymous,
                epsv_all,
            };
            enabled && shut_to(self.config, who, gate).is_none()
        };
        class(self.config.local_enable, false) || class(self.config.anonymous_enable, true)
    }
}

fn said(text: &'static str) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(text))
}

/// The lines of FEAT (RFC 2389), each with its space and CRLF: the original's in its order (reference §3.5), then ours by name.
pub fn features(offer: &Offer<'_>) -> Vec<String> {
    let mut lines: Vec<(u8, Cow<'static, str>)> = TABLE
        .iter()
        .filter(|row| offer.can(row.verb))
        .filter_map(|row| match row.feature {
            Feature::None => None,
            Feature::Old(text) => Some((1, Cow::Borrowed(text))),
            Feature::OldIf(on, text) => on(offer.config).then_some((0, Cow::Borrowed(text))),
            Feature::New(text) => text(offer).map(|text| (2, text)),
        })
        .collect();
    // No command of a session: it is said before login. Under implicit TLS there is nothing left to ask for.
    if offer.config.ssl_enable && !offer.config.begins_with_tls(offer.local) {
        lines.push((0, Cow::Borrowed("AUTH TLS")));
    }
    lines.sort();
    lines
        .into_iter()
        .map(|(_, text)| format!(" {text}\r\n"))
        .collect()
}

/// The lines of HELP: fourteen verbs each, padded to four (RFC 959); the original's block, then ours.
pub fn help() -> Vec<Vec<u8>> {
    [Help::Old, Help::New]
        .iter()
        .flat_map(|wanted| {
            let rows = TABLE.iter().filter(|row| row.help == *wanted);
            block(&rows.map(|row| row.verb).collect::<Vec<_>>())
        })
        .collect()
}

fn block(verbs: &[&[u8]]) -> Vec<Vec<u8>> {
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

/// Whether HOST may be said.
pub fn hosts(config: &Config) -> bool {
    config.host_config_dir.is_some() && !denied(config, b"HOST")
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
        assert!(String::from_utf8(text).unwrap().starts_with(expected));
    }
}
