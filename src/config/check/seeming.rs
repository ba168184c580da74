//! Settings that are good as they stand and do not do what they seem to: remarks for the administrator; runs in the reader, without rights.

use super::{Found, Logs, is_null};
use crate::config::text::shown;
use crate::config::view::{How, View};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

pub(super) fn seeming(view: &dyn View, found: &mut Found<'_>) {
    overruled(found);
    commands(found);
    logs(view, found);
    roots(view, found);
    service(view, found);
}

/// Options that need another one, which is NO.
fn overruled(found: &mut Found<'_>) {
    let config = found.config();
    if !config.ssl_enable {
        for (name, value) in [
            ("implicit_ssl", config.implicit_ssl),
            ("force_local_logins_ssl", config.force_local_logins_ssl),
            ("force_anon_logins_ssl", config.force_anon_logins_ssl),
        ] {
            if value && found.loaded.is_set(name) {
                let text = format!(
                    "{name}=YES does nothing without ssl_enable=YES: passwords go in clear"
                );
                found.add(&[name], text);
            }
        }
    }
    // The files of single users and hosts may say more.
    if config.user_config_dir.is_some() || config.host_config_dir.is_some() {
        return;
    }
    if !config.userlist_enable && !config.userlist_deny && config.local_enable {
        let text =
            "userlist_deny=NO does nothing without userlist_enable=YES: everybody may log in";
        found.add(&["userlist_deny"], text.to_owned());
    }
    let guests = config.guest_enable && !config.virtual_use_local_privs;
    if config.chown_uploads && !config.anonymous_enable && !guests {
        let text = "chown_uploads=YES does nothing: it is for anonymous clients, and guests without virtual_use_local_privs";
        found.add(&["chown_uploads"], text.to_owned());
    }
    if config.write_enable || !config.anonymous_enable {
        return;
    }
    for (name, value) in [
        ("anon_upload_enable", config.anon_upload_enable),
        ("anon_mkdir_write_enable", config.anon_mkdir_write_enable),
        ("anon_other_write_enable", config.anon_other_write_enable),
    ] {
        if value {
            let text = format!("{name}=YES does nothing without write_enable=YES");
            found.add(&[name], text);
        }
    }
}

/// Lists of commands are compared to the byte, and an empty entry ends them: what is written otherwise is not denied.
fn commands(found: &mut Found<'_>) {
    let config = found.config();
    for (name, list) in [
        ("cmds_allowed", &config.cmds_allowed),
        ("cmds_denied", &config.cmds_denied),
    ] {
        let Some(list) = list else { continue };
        let list = list
            .as_bytes()
            .strip_suffix(b",")
            .unwrap_or(list.as_bytes());
        let is_verb = |entry: &[u8]| {
            !entry.is_empty()
                && entry
                    .iter()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        if let Some(odd) = list
            .split(|byte| *byte == b',')
            .find(|entry| !is_verb(entry))
        {
            let text = if odd.is_empty() {
                format!(
                    "{name}: an empty entry ends the list; what stands behind it does not count"
                )
            } else {
                format!(
                    "{name}: `{}` is no command: names are in capitals, with commas between them and no blanks",
                    shown(odd)
                )
            };
            found.add(&[name], text);
        }
    }
}

/// What a server in the background has no more.
const STREAMS: [&str; 2] = ["/dev/stdout", "/dev/stderr"];

/// Logs that no session will be able to open: each would end before it began.
fn logs(view: &dyn View, found: &mut Found<'_>) {
    let config = found.config();
    let logs = Logs::of(config);
    for (needed, name, path) in [
        (logs.vsftpd, "vsftpd_log_file", &config.vsftpd_log_file),
        (logs.xferlog, "xferlog_file", &config.xferlog_file),
    ] {
        let Some(path) = path.as_ref().filter(|_| needed) else {
            continue;
        };
        if config.background && STREAMS.iter().any(|stream| path == stream) {
            let path = shown(path.as_bytes());
            let text = format!(
                "{name}={path}: with background=YES that is /dev/null, and nothing is logged"
            );
            found.add(&[name], text);
        }
        if let Err(why) = log(view, Path::new(path)) {
            let path = shown(path.as_bytes());
            let text = format!(
                "{name}={path} cannot be opened: {why}; every client is refused until it can"
            );
            found.add(&[name], text);
        }
    }
}

fn log(view: &dyn View, path: &Path) -> Result<(), String> {
    match view
        .open(path, How::Entry)
        .and_then(|entry| File::from(entry).metadata())
    {
        Ok(meta) if meta.is_dir() => Err("it is a directory".to_owned()),
        Ok(meta) if meta.is_file() && meta.nlink() > 1 && others_write_beside(view, path) => {
            Err("it has another name, and others may write to its directory".to_owned())
        }
        Ok(meta) if meta.is_file() || is_null(&meta) => Ok(()),
        Ok(meta) if meta.uid() != view.runs_as() => {
            Err("it is a symbolic link or no regular file, and somebody else's".to_owned())
        }
        Ok(meta) if meta.is_symlink() || is_stream(&meta) => Ok(()),
        Ok(_) => Err("it is not a regular file".to_owned()),
        Err(why) if why.kind() == io::ErrorKind::NotFound => match path.parent() {
            Some(parent) if !is_directory(view, parent) => {
                Err(format!("there is no directory {}", parent.display()))
            }
            Some(_) | None => Ok(()),
        },
        Err(why) => Err(why.to_string()),
    }
}

/// As a session finds it: others may make names in the directory of this file.
fn others_write_beside(view: &dyn View, path: &Path) -> bool {
    let parent = path.parent().unwrap_or(path).join(".");
    let meta = view.open(&parent, How::Entry).map(File::from);
    meta.and_then(|parent| parent.metadata())
        .is_ok_and(|meta| meta.uid() != view.runs_as() || meta.mode() & 0o022 != 0)
}

/// A FIFO, or what may be a terminal: those that stand for memory (mem(4), null(4), full(4)) are none.
fn is_stream(meta: &Metadata) -> bool {
    let memory = nix::sys::stat::major(meta.rdev()) == 1;
    meta.file_type().is_fifo() || meta.file_type().is_char_device() && !memory
}

/// Whether a directory is there; one that cannot be looked at may be.
fn is_directory(view: &dyn View, path: &Path) -> bool {
    match view.open(&path.join("."), How::Entry) {
        Ok(_) => true,
        Err(why) => !matches!(
            why.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        ),
    }
}

/// Directories that clients are to be in.
fn roots(view: &dyn View, found: &mut Found<'_>) {
    let config = found.config();
    // A relative one counts from a home directory.
    if let Some(root) = &config.anon_root
        && config.anonymous_enable
        && Path::new(root).is_absolute()
        && !is_directory(view, Path::new(root))
    {
        let root = shown(root.as_bytes());
        let text = format!("anon_root={root} is no directory: guests are refused until it is");
        found.add(&["anon_root"], text);
    }
    let token = config.user_sub_token.as_deref().map(OsStr::as_bytes);
    let varies = |root: &OsStr| {
        token.is_some_and(|token| {
            let mut windows = root.as_bytes().windows(token.len().max(1));
            windows.any(|window| window == token)
        })
    };
    if let Some(root) = &config.local_root
        && config.local_enable
        && Path::new(root).is_absolute()
        && !varies(root)
        && !is_directory(view, Path::new(root))
    {
        let root = shown(root.as_bytes());
        let text = format!(
            "local_root={root} is no directory: users who would be kept in it are refused, others start in their homes"
        );
        found.add(&["local_root"], text);
    }
}

/// A service that PAM has no file for is decided by the rules for all others.
fn service(view: &dyn View, found: &mut Found<'_>) {
    let config = found.config();
    let Some(service) = &config.pam_service_name else {
        return;
    };
    let entry = |path: &Path| view.open(path, How::Entry).is_ok();
    let places = ["/etc/pam.d", "/usr/lib/pam.d"].map(Path::new);
    let configured = places.iter().any(|place| entry(&place.join(service)));
    if config.local_enable
        && !config.run_as_launching_user
        && !configured
        && entry(Path::new("/etc/pam.d/other"))
    {
        let service = shown(service.as_bytes());
        let text = format!(
            "pam_service_name={service}: there is no /etc/pam.d/{service}, so that PAM goes by /etc/pam.d/other"
        );
        found.add(&["pam_service_name"], text);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::config::{Loaded, Own, Source, load, remarks};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn settings(text: &str) -> Loaded {
        let path = std::env::temp_dir().join(format!("vsftpd-seeming-{}", std::process::id()));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let loaded = load(&Own, &[Source::File(path.clone())]);
        fs::remove_file(path).unwrap();
        loaded.unwrap()
    }

    #[test]
    fn settings_that_do_not_do_what_they_seem_to() {
        let base = "listen=YES\nlocal_enable=YES\npam_service_name=other\nanonymous_enable=YES\n";
        for (lines, want) in [
            (
                "implicit_ssl=YES\n",
                "implicit_ssl=YES does nothing without ssl_enable=YES",
            ),
            ("force_local_logins_ssl=YES\n", "passwords go in clear"),
            (
                "ssl_enable=YES\nvalidate_cert=YES\nssl_request_cert=NO\n",
                "no client is asked for one",
            ),
            ("userlist_deny=NO\n", "everybody may log in"),
            (
                "anonymous_enable=NO\nguest_enable=YES\nvirtual_use_local_privs=YES\nchown_uploads=YES\n",
                "chown_uploads=YES does nothing: it is for anonymous clients",
            ),
            (
                "anon_upload_enable=YES\n",
                "does nothing without write_enable=YES",
            ),
            (
                "cmds_denied=DELE, RMD\n",
                "cmds_denied: ` RMD` is no command",
            ),
            ("cmds_denied=dele\n", "cmds_denied: `dele` is no command"),
            ("cmds_allowed=USER,,PASS\n", "an empty entry ends the list"),
            (
                "xferlog_enable=YES\nvsftpd_log_file=/nonexistent/v.log\n",
                "cannot be opened: there is no directory /nonexistent; every client is refused",
            ),
            (
                "dual_log_enable=YES\nvsftpd_log_file=/dev/null\nxferlog_file=/\n",
                "xferlog_file=/ cannot be opened: it is a directory",
            ),
            (
                "xferlog_enable=YES\nvsftpd_log_file=/dev/full\n",
                "vsftpd_log_file=/dev/full cannot be opened: it is not a regular file",
            ),
            (
                "anon_root=/nonexistent\n",
                "anon_root=/nonexistent is no directory",
            ),
            (
                "local_root=/nonexistent\n",
                "local_root=/nonexistent is no directory",
            ),
            (
                "pam_service_name=nonexistent\n",
                "there is no /etc/pam.d/nonexistent",
            ),
        ] {
            let loaded = settings(&format!("{base}{lines}"));
            let texts: Vec<String> = (remarks(&Own, &loaded).into_iter())
                .map(|mistake| mistake.text)
                .collect();
            assert!(
                matches!(texts.as_slice(), [text] if text.contains(want)),
                "{lines}: {texts:?}"
            );
        }
        for lines in [
            "",
            "cmds_denied=DELE,RMD,\n",
            "anon_upload_enable=YES\nwrite_enable=YES\n",
            "anonymous_enable=NO\nguest_enable=YES\nchown_uploads=YES\n",
            "userlist_enable=YES\nuserlist_deny=NO\nuserlist_file=/dev/null\n",
            "user_sub_token=$USER\nlocal_root=/nonexistent/$USER\n",
            "anon_root=nonexistent\nlocal_root=nonexistent\n",
            "xferlog_enable=YES\nvsftpd_log_file=/tmp/there-is-none-yet.log\n",
        ] {
            let loaded = settings(&format!("{base}{lines}"));
            assert!(
                remarks(&Own, &loaded).is_empty(),
                "{lines}: {:?}",
                remarks(&Own, &loaded)
            );
        }
    }
}
