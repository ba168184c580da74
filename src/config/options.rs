//! The table of all options: the `Config` struct, its defaults, the parser's and the manual's rows all come from here; used by every process.

use std::ffi::OsString;

use super::value::{Kind, Value};

/// The largest number of seconds an option takes: what fits every timer of the system.
const SECONDS: u32 = 2_147_483_647;
/// The largest count or rate an option takes.
const COUNT: u32 = u32::MAX;

/// One option: a row of [`TABLE`]. Names, defaults and meanings: reference §1.
pub struct Row {
    /// The name in vsftpd.conf, and of the field in [`Config`].
    pub name: &'static str,
    /// Other spellings accepted (reference §1.4).
    pub aliases: &'static [&'static str],
    /// What values it takes.
    pub kind: Kind,
    /// The processes that consult it.
    pub readers: &'static [Process],
    /// Whether it means anything in the file of a single user.
    pub scope: Scope,
    /// Whether it does its work.
    pub standing: Standing,
    /// Its documentation, a line each; words in backticks are names.
    pub doc: &'static [&'static str],
    read: fn(&Config) -> Value,
    write: fn(&mut Config, Value),
}

impl Row {
    /// The option's value in `config`.
    pub fn value(&self, config: &Config) -> Value {
        (self.read)(config)
    }

    /// Puts `value`, which [`Kind::parse`] of this row made, into `config`.
    pub fn put(&self, config: &mut Config, value: Value) {
        (self.write)(config, value);
    }

    /// Whether `name` is this option, by any of its spellings.
    pub fn is_named(&self, name: &[u8]) -> bool {
        self.name.as_bytes() == name || self.aliases.iter().any(|alias| alias.as_bytes() == name)
    }
}

/// Where in [`TABLE`] the option with this name stands.
pub fn position(name: &[u8]) -> Option<usize> {
    TABLE.iter().position(|row| row.is_named(name))
}

/// The processes of the server (DESIGN §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// Listens, counts and forks.
    Master,
    /// Holds the keys of certificates.
    Keyholder,
    /// Holds the privilege of one session.
    Helper,
    /// Checks one password.
    Auth,
    /// Speaks with a client before login.
    Greeter,
    /// Serves a client after login.
    Worker,
}

/// Where an option may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For the whole server only; without effect in the file of a single user.
    Server,
    /// Also in the file of a single host (`host_config_dir`).
    PerHost,
    /// Also in the file of a single host, or a single user (`user_config_dir`).
    PerUser,
}

/// Whether an option does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Works,
    /// It does, and vsftpd has no such option.
    Added,
    /// It is accepted and changes nothing, for this reason.
    Inert(&'static str),
    /// As [`Standing::Inert`], and only other builds of vsftpd have it.
    Foreign(&'static str),
    /// Its work is not there, for this reason: set away from its default, the server does not start.
    Refused(&'static str),
    /// It means something only together with the option named, and is accepted as it is.
    Under(&'static str),
}

macro_rules! field_type {
    (flag) => { bool };
    (number) => { u32 };
    (octal) => { u32 };
    (text) => { Option<OsString> };
}

macro_rules! default_value {
    (flag $value:literal) => {
        $value
    };
    (number $value:literal, $least:literal ..= $most:expr) => {
        $value
    };
    (octal $value:literal) => {
        $value
    };
    (text) => {
        None
    };
    (text $value:literal) => {
        Some(OsString::from($value))
    };
}

macro_rules! kind {
    (flag $value:literal) => {
        Kind::Flag
    };
    (number $value:literal, $least:literal ..= $most:expr) => {
        Kind::Number {
            least: $least,
            most: $most,
        }
    };
    (octal $value:literal) => {
        Kind::Octal
    };
    (text $($value:literal)?) => {
        Kind::Text
    };
}

/// Both an expression and a pattern.
macro_rules! value {
    (flag $($of:tt)+) => { Value::Flag($($of)+) };
    (number $($of:tt)+) => { Value::Number($($of)+) };
    (octal $($of:tt)+) => { Value::Octal($($of)+) };
    (text $($of:tt)+) => { Value::Text($($of)+) };
}

macro_rules! table {
    ([] $(
        $(#[doc = $doc:literal])+
        $name:ident $(| $alias:literal)?: $kind:ident ( $($arg:tt)* ), [$($reader:ident)+], $scope:ident, $standing:expr;
    )+) => {
        /// The effective settings: one field for each option of vsftpd.conf, named like it (reference §1).
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Config {
            $( $(#[doc = $doc])+ pub $name: field_type!($kind), )+
        }

        impl Default for Config {
            /// The defaults compiled into Debian's vsftpd 3.0.5 (reference §1.1 to §1.3).
            fn default() -> Self {
                Self { $( $name: default_value!($kind $($arg)*), )+ }
            }
        }

        /// Every option.
        pub static TABLE: &[Row] = {
            use Standing::{Added, Foreign, Inert, Refused, Under, Works};
            &[ $( Row {
                name: stringify!($name),
                aliases: &[$($alias)?],
                kind: kind!($kind $($arg)*),
                readers: &[$(Process::$reader),+],
                scope: Scope::$scope,
                standing: $standing,
                doc: &[$($doc),+],
                read: |config| value!($kind config.$name.clone()),
                write: |config, value| {
                    if let value!($kind value) = value {
                        config.$name = value;
                    }
                },
            }, )+ ]
        };
    };
}

rows_start! { [rows_login rows_files rows_data rows_log rows_tls rows_ours rows_others table] }

impl Config {
    /// Whether `userlist_file` is asked: a list of those to let in holds for anonymous clients too, so also without local users.
    pub fn asks_userlist(&self) -> bool {
        self.userlist_enable && (self.local_enable || !self.userlist_deny)
    }
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
    fn all_options_are_there() {
        let count = |wanted: fn(&Kind) -> bool| {
            let originals = TABLE
                .iter()
                .filter(|row| !matches!(row.standing, Standing::Added | Standing::Foreign(_)));
            originals.filter(|row| wanted(&row.kind)).count()
        };
        assert_eq!(count(|kind| matches!(kind, Kind::Flag)), 84);
        assert_eq!(
            count(|kind| matches!(kind, Kind::Number { .. } | Kind::Octal)),
            20
        );
        assert_eq!(count(|kind| matches!(kind, Kind::Text)), 35);
    }

    #[test]
    fn names_are_single_and_masters_exist() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(position(row.name.as_bytes()), Some(index), "{}", row.name);
            for alias in row.aliases {
                assert_eq!(position(alias.as_bytes()), Some(index), "{alias}");
            }
            if let Standing::Under(master) = row.standing {
                assert!(position(master.as_bytes()).is_some(), "{}", row.name);
            }
        }
    }

    #[test]
    fn names_in_documentation_exist() {
        for row in TABLE {
            let text = row.doc.join(" ");
            assert_eq!(text.matches('`').count() % 2, 0, "{}", row.name);
            for word in text.split('`').skip(1).step_by(2) {
                let option = word.split('=').next().unwrap();
                if option.contains('_') && !option.ends_with('_') && !option.contains(['/', '.']) {
                    assert!(
                        position(option.as_bytes()).is_some(),
                        "{} names {option}",
                        row.name
                    );
                }
            }
        }
    }

    #[test]
    fn defaults_parse_from_their_printed_form() {
        let defaults = Config::default();
        for row in TABLE {
            let value = row.value(&defaults);
            assert_eq!(
                row.kind.parse(&value.printed()),
                Ok(value.clone()),
                "{}",
                row.name
            );
            let mut other = Config::default();
            row.put(&mut other, value);
            assert_eq!(other, defaults, "{}", row.name);
        }
    }

    #[test]
    fn defaults_are_debians() {
        let config = Config::default();
        assert!(
            !config.listen
                && !config.listen_ipv6
                && config.anonymous_enable
                && !config.local_enable
        );
        assert!(!config.seccomp_sandbox && config.strict_ssl_read_eof && config.ssl_tlsv13);
        assert_eq!(
            (
                config.anon_umask,
                config.file_open_mode,
                config.pasv_min_port
            ),
            (0o77, 0o666, 5001)
        );
        assert_eq!(
            (
                config.max_clients,
                config.max_per_ip,
                config.max_login_fails
            ),
            (2000, 50, 3)
        );
        assert_eq!(config.pam_service_name.as_deref(), Some("vsftpd".as_ref()));
        assert_eq!(
            config.secure_chroot_dir.as_deref(),
            Some("/var/run/vsftpd/empty".as_ref())
        );
    }
}
