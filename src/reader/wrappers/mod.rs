//! Who may connect, by the rules of hosts.allow and hosts.deny (hosts_access(5), hosts_options(5)): tcp_wrappers without libwrap; reader.
//!
//! Differences from libwrap, as the manual pages have it or towards refusing: no command is ever run (`spawn` is passed over,
//! `twist` and `aclexec` refuse); a table or a file of patterns that exists and cannot be read refuses everyone who gets that far;
//! `/0` is every address; a pattern of digits, dots and wildcards is held against addresses only; names are not matched by their
//! beginning (`net.` is for addresses); a rule may be as long as it likes; nobody is asked for user names; no netgroups.

#[cfg(fuzzing)]
#[path = "../../../tests/fuzz/rules.rs"]
pub mod fuzz;
mod hosts;
mod options;
mod pattern;
mod rules;
#[cfg(test)]
mod tests;

pub use hosts::Resolver;
use pattern::{Matcher, shown};
use rules::{Lines, Whole};
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The tables that libwrap reads.
const FILES: Files<'static> = Files {
    allow: "/etc/hosts.allow",
    deny: "/etc/hosts.deny",
};

/// Where the two tables are.
#[derive(Debug, Clone, Copy)]
struct Files<'a> {
    /// Whom it matches may come in.
    allow: &'a str,
    /// Whom it matches may not.
    deny: &'a str,
}

/// A connection to be judged. Addresses of IPv4 written as IPv6 are taken for what they are.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// What rules call the program.
    pub daemon: &'a str,
    /// The client.
    pub client: SocketAddr,
    /// Where it reached us.
    pub server: SocketAddr,
}

/// Whether the client may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It may.
    Granted,
    /// It may not.
    Denied,
}

/// What the tables say about a connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the client may come in.
    pub answer: Answer,
    /// What setenv options of the rule that decided set, in order.
    pub setenv: Vec<(Vec<u8>, Vec<u8>)>,
    /// `file:line` of the rule that decided; `None` when none did.
    pub rule: Option<String>,
    /// What the administrator should know, each with its `file:line`. Made of the tables' text: escape it.
    pub notes: Vec<String>,
}

impl Decision {
    /// The value a variable was last set to.
    #[must_use]
    pub fn variable(&self, name: &[u8]) -> Option<&[u8]> {
        let mut found = self.setenv.iter().rev();
        found
            .find(|(set, _)| set == name)
            .map(|(_, value)| value.as_slice())
    }
}

/// Something that must not be passed over: the client is refused, for nobody knows what the rules would have said.
#[derive(Debug, PartialEq, Eq)]
struct Trouble(String);

/// Judges a connection by the host's own tables and name service.
#[must_use]
pub fn ask(query: &Query<'_>, host: &dyn Resolver) -> Decision {
    decide(query, &FILES, host)
}

/// Judges a connection: the first rule that matches in hosts.allow grants, else the first in hosts.deny denies, else it is granted.
/// It may ask the name service, but only for a rule that cannot be judged without, and once for each end.
#[must_use]
fn decide(query: &Query<'_>, files: &Files<'_>, resolver: &dyn Resolver) -> Decision {
    let mut matcher = Matcher::new(query, resolver);
    let tables = [(files.allow, Answer::Granted), (files.deny, Answer::Denied)];
    let mut decided = None;
    for (path, sense) in tables {
        decided = match table(path, sense, query, &mut matcher) {
            Ok(found) => found,
            Err(Trouble(why)) => {
                matcher.note(&format!(
                    "{why}; everyone who gets this far is refused until that is mended"
                ));
                Some((Answer::Denied, Vec::new()))
            }
        };
        if decided.is_some() {
            break;
        }
    }
    let rule = decided.is_some().then_some(matcher.place);
    let (answer, setenv) = decided.unwrap_or((Answer::Granted, Vec::new()));
    Decision {
        answer,
        setenv,
        rule,
        notes: matcher.notes,
    }
}

type Decided = (Answer, Vec<(Vec<u8>, Vec<u8>)>);

/// What the first rule of a table that matches says; `matcher.place` then names it.
fn table(
    path: &str,
    sense: Answer,
    query: &Query<'_>,
    matcher: &mut Matcher<'_>,
) -> Result<Option<Decided>, Trouble> {
    matcher.place = path.to_owned();
    let text = match matcher.read(Path::new(path)) {
        // A table that does not exist is empty.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(|error| Trouble(format!("cannot be read: {error}")))?,
    };
    for line in Lines::new(&text) {
        matcher.place = format!("{path}:{}", line.number);
        // Half a rule for refusing may be half of any rule: nobody who gets this far comes in (as the original).
        if line.whole == Whole::No && sense == Answer::Denied {
            matcher.note("the line has no newline or is no text, so it may be half a rule: everyone who gets this far is refused; end it with a newline");
            return Ok(Some((Answer::Denied, Vec::new())));
        }
        let Some(rule) = rules::rule(&line.text) else {
            matcher.note(&format!(
                "{} is no rule: it has no colon; skipped",
                shown(&line.text)
            ));
            continue;
        };
        if !matcher.daemons(rule.daemons)? || !matcher.clients(rule.clients)? {
            continue;
        }
        let outcome = match rule.options {
            Some(text) => options::run(text, sense, matcher, (query.client, query.server)),
            None => options::Outcome {
                answer: sense,
                setenv: Vec::new(),
            },
        };
        if line.whole == Whole::No && outcome.answer == Answer::Granted {
            matcher.note("the line has no newline or is no text, so it may be half a rule: it grants nothing; end it with a newline");
            continue;
        }
        return Ok(Some((outcome.answer, outcome.setenv)));
    }
    Ok(None)
}
