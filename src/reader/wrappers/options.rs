//! What a rule that matches asks for after its second colon (hosts_options(5)); nothing is ever run; reader.

use super::hosts::{Host, Name};
use super::pattern::{Matcher, shown};
use super::{Answer, rules};
use std::net::SocketAddr;

/// The longest value setenv makes.
const LONGEST: usize = 4096;

/// What the options of one rule come to.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the client may come in.
    pub answer: Answer,
    /// What setenv set, in order.
    pub setenv: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why the options of a rule refuse the client.
enum Refusal {
    /// The rule says so.
    Denied,
    /// The option cannot be honoured, or is no option.
    Bad(String),
}

/// What one option does.
enum Effect {
    /// Nothing here.
    None,
    /// It is not honoured, which changes no answer; why.
    Ignored(&'static str),
    /// The client may come in.
    Allow,
    /// A variable is set.
    Set(Vec<u8>, Vec<u8>),
}

/// Goes through the options in order. As hosts_options(5) says, one that is wrong ends this and refuses the client.
pub fn run(
    text: &[u8],
    sense: Answer,
    matcher: &mut Matcher<'_>,
    ends: (SocketAddr, SocketAddr),
) -> Outcome {
    let mut outcome = Outcome {
        answer: sense,
        setenv: Vec::new(),
    };
    let options = rules::options(text);
    let last = options.len();
    for (number, option) in options.iter().enumerate() {
        let at_end = number + 1 == last;
        match one(option, at_end, matcher, ends) {
            Ok(Effect::None) => {}
            Ok(Effect::Ignored(why)) => {
                matcher.note(&format!("{} is ignored: {why}", shown(option.trim_ascii())));
            }
            Ok(Effect::Allow) => outcome.answer = Answer::Granted,
            Ok(Effect::Set(name, value)) => outcome.setenv.push((name, value)),
            Err(refusal) => {
                outcome.answer = Answer::Denied;
                if let Refusal::Bad(why) = refusal {
                    matcher.note(&format!(
                        "option {:?}: {why}; whom this rule matches is refused",
                        shown(option.trim_ascii())
                    ));
                }
                return outcome;
            }
        }
    }
    outcome
}

fn one(
    option: &[u8],
    at_end: bool,
    matcher: &mut Matcher<'_>,
    ends: (SocketAddr, SocketAddr),
) -> Result<Effect, Refusal> {
    let (keyword, value) = split(option);
    let keyword = String::from_utf8_lossy(keyword).to_ascii_lowercase();
    let text = String::from_utf8_lossy(value);
    let bad = |why: &str| Err(Refusal::Bad(why.to_owned()));
    if let Some(why) = malformed(&keyword, value, at_end) {
        return bad(why);
    }
    let number = |least: i32| text.parse::<i32>().is_ok_and(|number| number >= least);
    match keyword.as_str() {
        "allow" => Ok(Effect::Allow),
        "deny" => Err(Refusal::Denied),
        "keepalive" => Ok(Effect::None),
        "severity" if is_severity(&text) => Ok(Effect::None),
        "linger" if number(0) => Ok(Effect::None),
        "rfc931" if value.is_empty() || number(1) => {
            Ok(Effect::Ignored("clients are not asked for user names"))
        }
        "nice" if value.is_empty() || number(i32::MIN) => Ok(Effect::Ignored(
            "sessions run as the service does; see Nice= in systemd.exec(5)",
        )),
        "umask" if u16::from_str_radix(&text, 8).is_ok_and(|mask| mask <= 0o777) => {
            Ok(Effect::Ignored(
                "use local_umask and anon_umask, for these clients alone in a file that VSFTPD_LOAD_CONF names",
            ))
        }
        "user" | "group" => Ok(Effect::Ignored(
            "the program chooses whom its processes run as",
        )),
        "banners" => Ok(Effect::Ignored(
            "use banner_file, for these clients alone in a file that VSFTPD_LOAD_CONF names",
        )),
        "spawn" => Ok(Effect::Ignored(
            "no commands are run; let a program that reads the log act on it",
        )),
        "twist" => bad("no commands are run; write deny instead"),
        "aclexec" => bad("no commands are run, so nobody can say whether the client may come in"),
        "severity" | "linger" | "rfc931" | "nice" | "umask" => bad("its value is wrong"),
        "setenv" => set(value, matcher, ends),
        _ => bad("there is no such option; shell commands are not run (hosts_options(5))"),
    }
}

/// What is wrong with an option whatever its value says.
fn malformed(keyword: &str, value: &[u8], at_end: bool) -> Option<&'static str> {
    match keyword {
        "" => Some(
            "there is no option between two colons; write \\: for a colon that belongs to an option",
        ),
        "allow" | "deny" | "keepalive" if !value.is_empty() => Some("it takes no value"),
        "setenv" | "spawn" | "twist" | "aclexec" | "severity" | "linger" | "banners" | "umask"
        | "user" | "group"
            if value.is_empty() =>
        {
            Some("its value is missing")
        }
        "allow" | "deny" | "twist" if !at_end => Some("it must be the last option of its rule"),
        _ => None,
    }
}

/// Splits an option into its keyword and its value; between them may be an `=`.
fn split(option: &[u8]) -> (&[u8], &[u8]) {
    let option = option.trim_ascii();
    let end = option
        .iter()
        .position(|byte| *byte == b'=' || rules::is_blank(*byte))
        .unwrap_or(option.len());
    let (keyword, rest) = option.split_at_checked(end).unwrap_or((option, &[]));
    let rest = rest.trim_ascii_start();
    (
        keyword,
        rest.strip_prefix(b"=").unwrap_or(rest).trim_ascii(),
    )
}

/// `level` or `facility.level`, as syslog(3) names them.
fn is_severity(text: &str) -> bool {
    let level = |text: &str| {
        [
            "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
        ]
        .contains(&text)
    };
    let text = text.to_ascii_lowercase();
    let Some((facility, rest)) = text.split_once('.') else {
        return level(&text);
    };
    let local = facility
        .strip_prefix("local")
        .is_some_and(|n| matches!(n, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7"));
    let known = [
        "kern", "user", "mail", "daemon", "auth", "authpriv", "lpr", "news", "uucp", "cron", "ftp",
    ];
    level(rest) && (local || known.contains(&facility))
}

fn set(
    value: &[u8],
    matcher: &mut Matcher<'_>,
    ends: (SocketAddr, SocketAddr),
) -> Result<Effect, Refusal> {
    let end = value
        .iter()
        .position(|byte| rules::is_blank(*byte))
        .unwrap_or(value.len());
    let (name, rest) = value.split_at_checked(end).unwrap_or((value, &[]));
    if name.contains(&b'=') || value.contains(&0) {
        return Err(Refusal::Bad("a blank separates name and value".to_owned()));
    }
    let value = expand(rest.trim_ascii(), matcher, ends);
    if value.len() > LONGEST {
        return Err(Refusal::Bad(format!(
            "its value is longer than {LONGEST} bytes"
        )));
    }
    Ok(Effect::Set(name.to_vec(), value))
}

/// Puts in what `%` and a letter stand for (hosts_access(5)).
fn expand(text: &[u8], matcher: &mut Matcher<'_>, ends: (SocketAddr, SocketAddr)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let letter = after.first();
        let Some(letter) = letter.filter(|_| *byte == b'%') else {
            out.push(*byte);
            rest = after;
            continue;
        };
        rest = after.get(1..).unwrap_or_default();
        if *letter == b'%' {
            out.push(b'%');
        } else if let Some(found) = meaning(*letter, matcher, ends) {
            out.extend(found.bytes().map(harmless));
        } else {
            let letter = char::from(*letter).escape_default();
            matcher.note(&format!("%{letter} stands for nothing and is left out"));
        }
        if out.len() > LONGEST {
            break;
        }
    }
    out
}

fn meaning(letter: u8, matcher: &Matcher<'_>, ends: (SocketAddr, SocketAddr)) -> Option<String> {
    let (client, server) = (&matcher.client, &matcher.server);
    Some(match letter {
        b'a' => client.text().to_owned(),
        b'A' => server.text().to_owned(),
        // The user is never known, so there is nothing before an @.
        b'c' | b'h' => name_or_address(client),
        b'H' => name_or_address(server),
        b'n' => name(client),
        b'N' => name(server),
        b'd' => matcher.daemon.to_owned(),
        b's' => format!("{}@{}", matcher.daemon, name_or_address(server)),
        b'p' => std::process::id().to_string(),
        b'r' => ends.0.port().to_string(),
        b'R' => ends.1.port().to_string(),
        b'u' => "unknown".to_owned(),
        _ => return None,
    })
}

fn name_or_address(host: &Host<'_>) -> String {
    host.known().unwrap_or(host.text()).to_owned()
}

fn name(host: &Host<'_>) -> String {
    match host.name() {
        Name::Known(name) => name.clone(),
        Name::Unknown => "unknown".to_owned(),
        Name::Mismatch => "paranoid".to_owned(),
    }
}

/// A name is chosen by whoever rules its zone: nothing in it may mean more than a letter does, `/` in a path least of all.
fn harmless(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() || b".:@_-".contains(&byte) {
        byte
    } else {
        b'_'
    }
}
