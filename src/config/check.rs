//! The rules between options, and between options and the host; all violations at once; runs in master, before it listens.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::file::{Loaded, Mistake, Origin, shown};
use super::options::{Config, Standing, TABLE};

/// The rules between options (reference §2.7 steps 7 to 14, §1.6), without those that concern an option named in `spoiled`.
/// The original notices most of them only when a client connects.
pub(super) fn rules(loaded: &Loaded, spoiled: &[&str]) -> Vec<Mistake> {
    let mut found = Found {
        loaded,
        spoiled,
        mistakes: Vec::new(),
    };
    standings(&mut found);
    listening(&mut found);
    classes(&mut found);
    addresses(&mut found);
    ports(&mut found);
    necessary(&mut found);
    found.mistakes
}

/// What the settings need from the host: accounts, directories, files. Every lack, with the setting that needs it.
pub fn check_system(loaded: &Loaded) -> Vec<Mistake> {
    let mut found = Found {
        loaded,
        spoiled: &[],
        mistakes: Vec::new(),
    };
    accounts(&mut found);
    empty_root(&mut found);
    found.mistakes
}

/// Names the list and text files that cannot be read now. They are read anew for every session, so that one may still come:
/// the server starts, and a session that needs a missing one is refused.
pub fn check_files(loaded: &Loaded) -> Vec<Mistake> {
    let mut found = Found {
        loaded,
        spoiled: &[],
        mistakes: Vec::new(),
    };
    lists(&mut found);
    found.mistakes
}

/// The violations found so far.
struct Found<'a> {
    loaded: &'a Loaded,
    spoiled: &'a [&'a str],
    mistakes: Vec<Mistake>,
}

impl<'a> Found<'a> {
    fn config(&self) -> &'a Config {
        &self.loaded.config
    }

    /// Adds a violation by these options, at the place of the first that anybody set.
    fn add(&mut self, names: &[&str], text: String) {
        if names.iter().any(|name| self.spoiled.contains(name)) {
            return;
        }
        let mut origins = names.iter().map(|name| self.loaded.origin(name));
        let origin = origins
            .find(|origin| **origin != Origin::Default)
            .unwrap_or(&Origin::Default)
            .clone();
        self.mistakes.push(Mistake { origin, text });
    }
}

/// Options whose work is not there.
fn standings(found: &mut Found<'_>) {
    let defaults = Config::default();
    for row in TABLE {
        let value = row.value(found.config());
        if let Standing::Refused(reason) = row.standing
            && value != row.value(&defaults)
        {
            let text = format!(
                "{}={} cannot be served: {reason}",
                row.name,
                shown(&value.printed())
            );
            found.add(&[row.name], text);
        }
    }
}

fn listening(found: &mut Found<'_>) {
    let names = ["listen", "listen_ipv6"];
    match (found.config().listen, found.config().listen_ipv6) {
        (true, true) => {
            let text = "run two copies of vsftpd for IPv4 and IPv6; or set listen=NO: listen_ipv6=YES alone serves both";
            found.add(&names, text.to_owned());
        }
        (false, false) => {
            let text = "listen=NO and listen_ipv6=NO: being started by inetd is not there yet; set listen_ipv6=YES (or listen=YES)";
            found.add(&names, text.to_owned());
        }
        (true, false) | (false, true) => {}
    }
}

fn classes(found: &mut Found<'_>) {
    if !found.config().local_enable && !found.config().anonymous_enable {
        let text = "vsftpd: both local and anonymous access disabled! (set local_enable=YES or anonymous_enable=YES)";
        found.add(&["local_enable", "anonymous_enable"], text.to_owned());
    }
}

fn addresses(found: &mut Found<'_>) {
    let config = found.config();
    if let Some(address) = &config.listen_address
        && ipv4(address).is_none()
    {
        found.add(
            &["listen_address"],
            format!("bad listen_address: {}", shown(address.as_bytes())),
        );
    }
    if let Some(address) = &config.listen_address6
        && !is_ipv6(address)
    {
        found.add(
            &["listen_address6"],
            format!("bad listen_address6: {}", shown(address.as_bytes())),
        );
    }
    if let Some(address) = &config.pasv_address
        && !config.pasv_addr_resolve
        && ipv4(address).is_none()
    {
        let name = shown(address.as_bytes());
        let text = format!(
            "bad pasv_address: {name} is no IPv4 address; a host name needs pasv_addr_resolve=YES"
        );
        found.add(&["pasv_address", "pasv_addr_resolve"], text);
    }
    if config.pasv_addr_resolve && config.pasv_address.is_none() {
        let text = "pasv_addr_resolve=YES needs pasv_address".to_owned();
        found.add(&["pasv_addr_resolve", "pasv_address"], text);
    }
}

fn ports(found: &mut Found<'_>) {
    let (least, most) = (found.config().pasv_min_port, found.config().pasv_max_port);
    // The original takes every smaller value as 1024, and forgets a maximum below the minimum.
    let lowest = least.max(1024);
    if most != 0 && lowest > most {
        let text = format!(
            "pasv_max_port={most} is below the lowest port used, {lowest} (pasv_min_port={least})"
        );
        found.add(&["pasv_max_port", "pasv_min_port"], text);
    }
}

/// Texts that were cleared although something needs them.
fn necessary(found: &mut Found<'_>) {
    let config = found.config();
    let logs = Logs::of(config);
    let anonymous = config.anonymous_enable;
    let needs = [
        (true, "nopriv_user", &config.nopriv_user, ""),
        (true, "secure_chroot_dir", &config.secure_chroot_dir, ""),
        (
            anonymous,
            "ftp_username",
            &config.ftp_username,
            "anonymous_enable",
        ),
        (
            logs.vsftpd,
            "vsftpd_log_file",
            &config.vsftpd_log_file,
            logs.cause,
        ),
        (
            logs.xferlog,
            "xferlog_file",
            &config.xferlog_file,
            logs.cause,
        ),
        (
            config.chroot_list_enable && config.local_enable,
            "chroot_list_file",
            &config.chroot_list_file,
            "chroot_list_enable",
        ),
        (
            config.userlist_enable && config.local_enable,
            "userlist_file",
            &config.userlist_file,
            "userlist_enable",
        ),
        (
            config.deny_email_enable && anonymous,
            "banned_email_file",
            &config.banned_email_file,
            "deny_email_enable",
        ),
        (
            config.secure_email_list_enable && anonymous,
            "email_password_file",
            &config.email_password_file,
            "secure_email_list_enable",
        ),
    ];
    for (needed, name, value, cause) in needs {
        if needed && value.is_none() {
            let why = if cause.is_empty() {
                "the server".to_owned()
            } else {
                format!("{cause}=YES")
            };
            found.add(&[name], format!("{name} is empty, but {why} needs it"));
        }
    }
}

/// Which log files are written (reference §7.1).
struct Logs {
    vsftpd: bool,
    xferlog: bool,
    cause: &'static str,
}

impl Logs {
    fn of(config: &Config) -> Self {
        let (dual, one, std) = (
            config.dual_log_enable,
            config.xferlog_enable,
            config.xferlog_std_format,
        );
        Self {
            vsftpd: (dual || one && !std) && !config.syslog_enable,
            xferlog: dual || one && std,
            cause: if dual {
                "dual_log_enable"
            } else {
                "xferlog_enable"
            },
        }
    }
}

fn ipv4(text: &OsStr) -> Option<Ipv4Addr> {
    text.to_str()?.parse().ok()
}

/// Whether this is a numeric IPv6 address, perhaps with the interface of a link-local one behind a `%`.
fn is_ipv6(text: &OsStr) -> bool {
    let Some(text) = text.to_str() else {
        return false;
    };
    let (address, interface) = text.split_once('%').unwrap_or((text, "-"));
    address.parse::<Ipv6Addr>().is_ok() && !interface.is_empty()
}

fn accounts(found: &mut Found<'_>) {
    let config = found.config();
    if config.anonymous_enable
        && let Some(name) = &config.ftp_username
        && users::get_user_by_name(name).is_none()
    {
        let name = shown(name.as_bytes());
        let text = format!(
            "vsftpd: cannot locate user specified in 'ftp_username':{name} (needed by anonymous_enable=YES)"
        );
        found.add(&["ftp_username", "anonymous_enable"], text);
    }
    if let Some(name) = &config.nopriv_user {
        match users::get_user_by_name(name) {
            None => {
                let text = format!(
                    "cannot locate user entry:{} (given in 'nopriv_user')",
                    shown(name.as_bytes())
                );
                found.add(&["nopriv_user"], text);
            }
            Some(user) if user.uid() == 0 => {
                let text = format!(
                    "nopriv_user={} has uid 0; it must be an account without privilege",
                    shown(name.as_bytes())
                );
                found.add(&["nopriv_user"], text);
            }
            Some(_) => {}
        }
    }
}

/// The root of processes that need no file system (reference §5.3, §5.1).
fn empty_root(found: &mut Found<'_>) {
    let config = found.config();
    let Some(path) = &config.secure_chroot_dir else {
        return;
    };
    let name = shown(path.as_bytes());
    let facts = Path::new(path).symlink_metadata();
    let Some(facts) = facts.ok().filter(std::fs::Metadata::is_dir) else {
        let text = format!("vsftpd: not found: directory given in 'secure_chroot_dir':{name}");
        found.add(&["secure_chroot_dir"], text);
        return;
    };
    let user = config
        .nopriv_user
        .as_ref()
        .and_then(users::get_user_by_name);
    let owned = user.is_some_and(|user| user.uid() == facts.uid());
    if facts.mode() & 0o002 != 0 || owned && facts.mode() & 0o200 != 0 {
        let text = format!(
            "vsftpd: refusing to run with writable root inside chroot(): 'secure_chroot_dir':{name}"
        );
        found.add(&["secure_chroot_dir"], text);
    }
}

/// Files that must be readable because something needs them.
fn lists(found: &mut Found<'_>) {
    let config = found.config();
    let anonymous = config.anonymous_enable;
    let local = config.local_enable;
    let needs: [(bool, &str, &Option<OsString>, &str); 5] = [
        (
            true,
            "banner_file",
            &config.banner_file,
            "cannot read banner file",
        ),
        (
            config.userlist_enable && local,
            "userlist_file",
            &config.userlist_file,
            "cannot read user list file",
        ),
        (
            config.chroot_list_enable && local,
            "chroot_list_file",
            &config.chroot_list_file,
            "could not read chroot() list file",
        ),
        (
            config.deny_email_enable && anonymous,
            "banned_email_file",
            &config.banned_email_file,
            "cannot read anon e-mail list file",
        ),
        (
            config.secure_email_list_enable && anonymous,
            "email_password_file",
            &config.email_password_file,
            "cannot read email passwords file",
        ),
    ];
    for (needed, name, path, fault) in needs {
        if let Some(path) = path
            && needed
            && let Err(why) = readable(Path::new(path))
        {
            found.add(
                &[name],
                format!(
                    "{fault}:{}: {why} (given in '{name}')",
                    shown(path.as_bytes())
                ),
            );
        }
    }
}

fn readable(path: &Path) -> Result<(), String> {
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| error.to_string())?;
    let facts = file.metadata().map_err(|error| error.to_string())?;
    if facts.is_file() {
        Ok(())
    } else {
        Err("not a regular file".to_owned())
    }
}
