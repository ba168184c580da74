//! Writes vsftpd.conf(5) from the table of options; runs in no server process, only when the manual is made.

use std::io::{self, Write};

use super::options::{Config, Process, Row, Scope, Standing, TABLE};
use super::value::{Kind, Value};

const HEAD: &str = r#".\" Made from the table of options; do not edit.
.TH VSFTPD.CONF 5
.SH NAME
vsftpd.conf \- settings of vsftpd, the very secure FTP daemon
.SH DESCRIPTION
This file sets what
.BR vsftpd (8)
does. Without another name on the command line,
.I /etc/vsftpd/vsftpd.conf
is read, or if that does not exist,
.IR /etc/vsftpd.conf .
Several files may be named, and single settings be given as
.BI \-o name = value\fR;
all count in the order of the command line, and of two settings of one option the later holds.
The file used without being named is read last.
.PP
Each file must be a regular file that belongs to the user who starts the server, must not be writable by everybody, and may be
1 MiB long; a value, 60000 bytes.
.PP
.B vsftpd \-\-check
names every mistake in the settings, with file and line.
.B vsftpd \-\-print\-config
shows the value of every option, and where it was set.
.SH FORMAT
Each line is empty, a comment that begins with
.BR # ,
or a setting:
.PP
.RS
option=value
.RE
.PP
Blanks around the option and around the value do not count, nor does a carriage return at the end of the line. The value is all the
rest of the line: there are no quotes, no continued lines, and no comments behind a value, but for those behind a number or an IPv4
address, with a blank before them, which are passed over as vsftpd does. Names of options are lower case.
An unknown option, or a value that is not understood, is a mistake, and the server does not start. Options that only other builds of
vsftpd have, those of Red Hat and SUSE, are known, and change nothing.
.PP
Options marked
.I per user
mean something as well in the file of a single user; see
.BR user_config_dir .
Those, and options marked
.IR "per host" ,
mean something in the file of a single host; see
.BR host_config_dir .
"#;

const TAIL: &str = r#".SH FILES
.TP
.I /etc/vsftpd/vsftpd.conf
The settings, if it exists.
.TP
.I /etc/vsftpd.conf
The settings otherwise.
.SH SEE ALSO
.BR vsftpd (8),
.BR pam.conf (5),
.BR hosts_access (5)
"#;

const FLAGS: &str = "The value is YES or NO. TRUE, 1 and ON, and FALSE, 0 and OFF, mean the same; case does not matter.";
const NUMBERS: &str = "The value is a whole number, not negative. A number that begins with 0 is octal, as is the custom for permissions and umasks: \
                       `022` is 18, and `22` is not `022`.";
const TEXTS: &str =
    "The value is any text. An empty value, as in `banner_file=`, unsets the option.";

/// Writes the manual page, in roff with the macros of man(7).
pub fn conf_5(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEAD.as_bytes())?;
    section(out, "BOOLEAN OPTIONS", FLAGS, |kind| {
        matches!(kind, Kind::Flag)
    })?;
    section(out, "NUMERIC OPTIONS", NUMBERS, |kind| {
        matches!(kind, Kind::Number { .. } | Kind::Octal)
    })?;
    section(out, "STRING OPTIONS", TEXTS, |kind| {
        matches!(kind, Kind::Text)
    })?;
    out.write_all(TAIL.as_bytes())
}

fn section(
    out: &mut dyn Write,
    title: &str,
    intro: &str,
    wanted: fn(&Kind) -> bool,
) -> io::Result<()> {
    writeln!(out, ".SH {title}\n{}", roff(intro))?;
    let mut rows: Vec<&Row> = TABLE.iter().filter(|row| wanted(&row.kind)).collect();
    rows.sort_by_key(|row| row.name);
    rows.into_iter().try_for_each(|row| entry(out, row))
}

fn entry(out: &mut dyn Write, row: &Row) -> io::Result<()> {
    writeln!(out, ".TP\n.B {}", row.name)?;
    for line in row.doc {
        writeln!(out, "{}", roff(line.trim()))?;
    }
    let standing = match row.standing {
        Standing::Works => None,
        Standing::Added => Some("Not in vsftpd.".to_owned()),
        Standing::Inert(reason) | Standing::Foreign(reason) => {
            Some(format!("Accepted, and changes nothing: {reason}."))
        }
        Standing::Refused(reason) => Some(format!("Only the default can be served: {reason}.")),
        Standing::Under(master) => Some(format!("Means something only with `{master}`.")),
    };
    if let Some(text) = standing {
        writeln!(out, "{}", roff(&text))?;
    }
    for alias in row.aliases {
        writeln!(out, "{}", roff(&format!("May be written `{alias}`.")))?;
    }
    let default = match row.value(&Config::default()) {
        Value::Text(None) => "unset".to_owned(),
        value @ (Value::Flag(_) | Value::Number(_) | Value::Octal(_) | Value::Text(Some(_))) => {
            format!("`{}`", String::from_utf8_lossy(&value.printed()))
        }
    };
    let range = match row.kind {
        Kind::Number { least, most } if most != u32::MAX => format!(", from {least} to {most}"),
        Kind::Number { .. } | Kind::Flag | Kind::Octal | Kind::Text => String::new(),
    };
    let scope = match row.scope {
        Scope::Server => "",
        Scope::PerHost => " Per host.",
        Scope::PerUser => " Per host, per user.",
    };
    let readers: Vec<&str> = row.readers.iter().map(|process| called(*process)).collect();
    let facts = format!(
        "Default: {default}{range}.{scope} Read by: {}.",
        readers.join(", ")
    );
    writeln!(out, ".br\n{}", roff(&facts))
}

fn called(process: Process) -> &'static str {
    match process {
        Process::Master => "master",
        Process::Keyholder => "keyholder",
        Process::Helper => "helper",
        Process::Auth => "auth",
        Process::Greeter => "greeter",
        Process::Worker => "worker",
    }
}

/// Text as roff: names in backticks become bold, and nothing is taken for a command.
fn roff(text: &str) -> String {
    let mut out = String::new();
    if text.starts_with(['.', '\'']) {
        out.push_str("\\&");
    }
    let mut bold = false;
    for c in text.chars() {
        match c {
            '`' => {
                bold = !bold;
                out.push_str(if bold { "\\fB" } else { "\\fR" });
            }
            '\\' => out.push_str("\\e"),
            '-' if bold => out.push_str("\\-"),
            '~' if bold => out.push_str("\\(ti"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_in_the_manual() {
        let mut page = Vec::new();
        conf_5(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        for row in TABLE {
            assert_eq!(
                page.matches(&format!("\n.TP\n.B {}\n", row.name)).count(),
                1,
                "{}",
                row.name
            );
        }
        assert!(page.contains("Default: \\fBYES\\fR"));
        assert!(!page.contains('`'));
    }

    #[test]
    fn text_is_no_command() {
        assert_eq!(roff(".message `a-b` \\n"), "\\&.message \\fBa\\-b\\fR \\en");
        assert_eq!(roff("'x"), "\\&'x");
    }
}
