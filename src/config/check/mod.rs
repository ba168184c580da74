//! The rules between options, and between options and the host; all violations at once; runs in the reader, without rights.

mod jails;
mod network;
mod seeming;
mod users;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::ciphers;
use super::loaded::{Loaded, Mistake, Origin};
use super::options::{Config, Standing, TABLE};
use super::text::shown;
use super::view::{How, View};
use network::{addresses, listening, networks, passive_mode, ports, promiscuous};

/// The longest list or text that a session reads.
const LONGEST_LIST: u64 = 1 << 20;

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
    protocols(&mut found);
    necessary(&mut found);
    fences(&mut found);
    networks(&mut found);
    code_page(&mut found);
    found.mistakes
}

/// What the settings need from the host: accounts, directories, files. Every lack, with the setting that needs it.
pub fn check_system(view: &dyn View, loaded: &Loaded) -> Vec<Mistake> {
    let mut found = Found {
        loaded,
        spoiled: &[],
        mistakes: Vec::new(),
    };
    // An ordinary user's server changes neither account nor root.
    if !loaded.config.run_as_launching_user {
        accounts(view, &mut found);
        empty_root(view, &mut found);
    }
    found.mistakes
}

/// What the administrator should know although the server starts: options without effect, and list and text files that cannot be
/// read now. Those are read anew for every session, so that one may still come; a session that needs a missing one is refused.
pub fn remarks(view: &dyn View, loaded: &Loaded) -> Vec<Mistake> {
    let mut found = Found {
        loaded,
        spoiled: &[],
        mistakes: Vec::new(),
    };
    inert(&mut found);
    certificates(&mut found);
    launching(view, &mut found);
    passive_mode(&mut found);
    promiscuous(&mut found);
    jails::jails(view, &mut found);
    lists(view, &mut found);
    seeming::seeming(view, &mut found);
    users::users(view, &mut found);
    found.mistakes
}

/// What only somebody who tries a configuration by hand should know: it is one for inetd.
pub fn waits_to_be_started(loaded: &Loaded) -> Option<Mistake> {
    let config = &loaded.config;
    (!config.listen && !config.listen_ipv6).then(|| Mistake {
        origin: loaded.origin("listen_ipv6").clone(),
        text: "listen=NO and listen_ipv6=NO: inetd or a systemd socket must start this server; set one of them if it is to \
               listen by itself"
            .to_owned(),
    })
}

fn inert(found: &mut Found<'_>) {
    let defaults = Config::default();
    for row in TABLE {
        let value = row.value(found.config());
        if let Standing::Inert(reason) | Standing::Foreign(reason) = row.standing
            && value != row.value(&defaults)
        {
            let value = shown(&value.printed());
            let text = format!("{}={value} changes nothing: {reason}", row.name);
            found.add(&[row.name], text);
        }
    }
}

fn launching(view: &dyn View, found: &mut Found<'_>) {
    let config = found.config();
    if config.run_as_launching_user && view.runs_as() == 0 {
        let text = "run_as_launching_user=YES and started by root: sessions act as root, without capabilities; start it as an ordinary user";
        found.add(&["run_as_launching_user"], text.to_owned());
    }
    if let Some(directory) = &config.user_config_dir
        && view
            .open(&Path::new(directory).join("."), How::Entry)
            .is_err()
    {
        let text = format!(
            "user_config_dir={} is no directory: nobody has settings of their own",
            shown(directory.as_bytes())
        );
        found.add(&["user_config_dir"], text);
    }
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

fn classes(found: &mut Found<'_>) {
    if !found.config().local_enable && !found.config().anonymous_enable {
        let text = "vsftpd: both local and anonymous access disabled! (set local_enable=YES or anonymous_enable=YES)";
        found.add(&["local_enable", "anonymous_enable"], text.to_owned());
    }
    if found.config().one_process_model && found.config().local_enable {
        let text = "vsftpd: security: 'one_process_model' is anonymous only (set local_enable=NO)";
        found.add(&["one_process_model", "local_enable"], text.to_owned());
    }
}

fn code_page(found: &mut Found<'_>) {
    let known = |label: &OsStr| {
        encoding_rs::Encoding::for_label(label.as_bytes())
            .is_some_and(encoding_rs::Encoding::is_ascii_compatible)
    };
    if let Some(label) = &found.config().client_charset
        && !known(label)
    {
        let text = format!(
            "client_charset={} is no code page with ASCII in it; GBK, Big5, Shift_JIS, EUC-KR and windows-1251 are some",
            shown(label.as_bytes())
        );
        found.add(&["client_charset"], text);
    }
}

/// What must be there cannot be switched off.
fn fences(found: &mut Found<'_>) {
    let config = found.config();
    let off = !config.seccomp_sandbox && found.loaded.is_set("seccomp_sandbox");
    if off && config.sandbox_minimum > 0 {
        let least = config.sandbox_minimum;
        found.add(
            &["seccomp_sandbox", "sandbox_minimum"],
            format!("seccomp_sandbox=NO, but sandbox_minimum={least} demands the filter"),
        );
    }
}

/// TLS needs a version and, up to 1.2, a cipher.
fn protocols(found: &mut Found<'_>) {
    let config = found.config();
    if !config.ssl_enable {
        return;
    }
    if !config.ssl_tlsv12 && !config.ssl_tlsv13 {
        let text = "ssl_enable=YES, but ssl_tlsv1_2=NO and ssl_tlsv1_3=NO: no version of TLS is left that is safe to offer";
        found.add(&["ssl_tlsv12", "ssl_tlsv13", "ssl_enable"], text.to_owned());
    }
    if config.ssl_tlsv12 && ciphers::chosen(found.loaded).is_empty() {
        let text = config.ssl_ciphers.as_deref().unwrap_or_default();
        let text = format!(
            "SSL: could not set cipher list: ssl_ciphers={} names none of the ciphers for TLS 1.2 that are there \
             (ECDHE with AES-GCM or CHACHA20; HIGH is all of them); leave it out, or set ssl_tlsv1_2=NO",
            shown(text.as_bytes())
        );
        found.add(&["ssl_ciphers"], text);
    }
}

/// Settings of TLS that do more or less than they seem to.
fn certificates(found: &mut Found<'_>) {
    let config = found.config();
    let asked = config.ssl_request_cert || config.require_cert;
    if !config.ssl_enable {
        return;
    }
    if config.implicit_ssl && config.implicit_listen_port != 0 {
        let text = "implicit_ssl=YES: TLS is expected from the first byte on listen_port too, not on implicit_listen_port only";
        found.add(&["implicit_ssl", "implicit_listen_port"], text.to_owned());
    }
    if config.validate_cert && asked && config.ca_certs_file.is_none() {
        let text =
            "validate_cert=YES without ca_certs_file: every certificate of a client is refused";
        found.add(&["validate_cert"], text.to_owned());
    }
    if config.validate_cert && !asked {
        let text =
            "validate_cert=YES does nothing with ssl_request_cert=NO: no client is asked for one";
        found.add(&["validate_cert", "ssl_request_cert"], text.to_owned());
    }
    if config.require_cert && !config.ssl_request_cert {
        let text =
            "require_cert=YES: clients are asked for a certificate, whatever ssl_request_cert says";
        found.add(&["require_cert", "ssl_request_cert"], text.to_owned());
    }
}

/// Texts that were cleared although something needs them.
fn necessary(found: &mut Found<'_>) {
    for (needed, name, value, cause) in needs(found.config()) {
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

/// Whether a text is needed now, its option, its value, and the option that needs it.
type Need<'a> = (bool, &'static str, &'a Option<OsString>, &'static str);

fn needs(config: &Config) -> Vec<Need<'_>> {
    let Config {
        nopriv_user,
        secure_chroot_dir,
        ftp_username,
        guest_username,
        chown_username,
        vsftpd_log_file,
        xferlog_file,
        chroot_list_file,
        userlist_file,
        banned_email_file,
        email_password_file,
        ..
    } = config;
    let (c, logs) = (config, Logs::of(config));
    let (local, anonymous) = (c.local_enable, c.anonymous_enable);
    let mut needs: Vec<Need<'_>> = Vec::new();
    let mut need = |needed, name, value, cause| needs.push((needed, name, value, cause));
    need(true, "nopriv_user", nopriv_user, "");
    need(true, "secure_chroot_dir", secure_chroot_dir, "");
    need(anonymous, "ftp_username", ftp_username, "anonymous_enable");
    need(
        c.guest_enable,
        "guest_username",
        guest_username,
        "guest_enable",
    );
    need(
        c.chown_uploads,
        "chown_username",
        chown_username,
        "chown_uploads",
    );
    need(logs.vsftpd, "vsftpd_log_file", vsftpd_log_file, logs.cause);
    need(logs.xferlog, "xferlog_file", xferlog_file, logs.cause);
    let needed = c.chroot_list_enable && local;
    need(
        needed,
        "chroot_list_file",
        chroot_list_file,
        "chroot_list_enable",
    );
    let needed = c.asks_userlist();
    need(needed, "userlist_file", userlist_file, "userlist_enable");
    let needed = c.deny_email_enable && anonymous;
    need(
        needed,
        "banned_email_file",
        banned_email_file,
        "deny_email_enable",
    );
    let (needed, cause) = (
        c.secure_email_list_enable && anonymous,
        "secure_email_list_enable",
    );
    need(needed, "email_password_file", email_password_file, cause);
    needs
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

fn accounts(view: &dyn View, found: &mut Found<'_>) {
    let config = found.config();
    let needs = [
        (
            config.anonymous_enable,
            "ftp_username",
            &config.ftp_username,
            "anonymous_enable",
        ),
        (
            config.guest_enable,
            "guest_username",
            &config.guest_username,
            "guest_enable",
        ),
        (
            config.chown_uploads,
            "chown_username",
            &config.chown_username,
            "chown_uploads",
        ),
    ];
    for (needed, option, name, cause) in needs {
        if let Some(name) = name
            && needed
            && view.account(name).is_none()
        {
            let name = shown(name.as_bytes());
            let text = format!(
                "vsftpd: cannot locate user specified in '{option}':{name} (needed by {cause}=YES)"
            );
            found.add(&[option, cause], text);
        }
    }
    let key_user = config.key_user.as_ref().filter(|_| config.ssl_enable);
    for (option, name) in [
        ("nopriv_user", config.nopriv_user.as_ref()),
        ("key_user", key_user),
    ] {
        let Some(name) = name else { continue };
        let shown = shown(name.as_bytes());
        let text = match view.account(name) {
            None => format!("cannot locate user entry:{shown} (given in '{option}')"),
            Some(0) => {
                format!("{option}={shown} has uid 0; it must be an account without privilege")
            }
            Some(_) => continue,
        };
        found.add(&[option], text);
    }
}

/// The root of processes that need no file system (reference §5.3, §5.1).
fn empty_root(view: &dyn View, found: &mut Found<'_>) {
    let config = found.config();
    let Some(path) = &config.secure_chroot_dir else {
        return;
    };
    let name = shown(path.as_bytes());
    // By a link too, as it is entered.
    let entry = view.open(&Path::new(path).join("."), How::Entry);
    let facts = entry.and_then(|entry| File::from(entry).metadata());
    let Some(facts) = facts.ok().filter(std::fs::Metadata::is_dir) else {
        let text = format!("vsftpd: not found: directory given in 'secure_chroot_dir':{name}");
        found.add(&["secure_chroot_dir"], text);
        return;
    };
    let key_user = config.key_user.as_ref().filter(|_| config.ssl_enable);
    let mut users = config.nopriv_user.iter().chain(key_user);
    let owned = users.any(|name| view.account(name) == Some(facts.uid()));
    if facts.mode() & 0o002 != 0 || owned && facts.mode() & 0o200 != 0 {
        let text = format!(
            "vsftpd: refusing to run with writable root inside chroot(): 'secure_chroot_dir':{name}"
        );
        found.add(&["secure_chroot_dir"], text);
    }
}

/// Files that must be readable because something needs them.
fn lists(view: &dyn View, found: &mut Found<'_>) {
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
            config.asks_userlist(),
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
            && let Err(why) = readable(view, Path::new(path))
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

fn readable(view: &dyn View, path: &Path) -> Result<(), String> {
    let file = view.open(path, How::File);
    let facts = file.and_then(|file| File::from(file).metadata());
    let facts = facts.map_err(|error| error.to_string())?;
    if !facts.is_file() && !is_null(&facts) {
        return Err("not a regular file".to_owned());
    }
    if facts.is_file() && facts.len() > LONGEST_LIST {
        return Err("longer than 1 MiB".to_owned());
    }
    Ok(())
}

/// Whether it is /dev/null, which stands for an empty file.
fn is_null(facts: &std::fs::Metadata) -> bool {
    facts.file_type().is_char_device() && facts.rdev() == nix::sys::stat::makedev(1, 3)
}
