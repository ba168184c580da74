//! Option rows: what a logged-in user may do with files, and what listings show; read by the worker.

macro_rules! rows_files {
    ([$next:ident $($rest:ident)*] $($done:tt)*) => { $next! { [$($rest)*] $($done)*

    /// Allow commands that change files: STOR, STOU, APPE, DELE, MKD, RMD, RNFR and RNTO, SITE CHMOD, and MDTM with a
    /// date. Anonymous clients need one of the `anon_` options besides.
    write_enable: flag(false), [Worker], PerUser, Works;

    /// Let anonymous clients upload new files; needs `write_enable` and a directory their account can write in. They cannot replace
    /// files unless `anon_other_write_enable` is on too.
    anon_upload_enable: flag(false), [Worker], PerUser, Works;

    /// Let anonymous clients make directories; needs `write_enable`.
    anon_mkdir_write_enable: flag(false), [Worker], PerUser, Works;

    /// Let anonymous clients do what else changes files: delete, rename, append, replace, set dates; needs `write_enable`.
    anon_other_write_enable: flag(false), [Worker], PerUser, Works;

    /// Let anonymous clients download only files, and list only directories, that everybody on the host may read. Keeps
    /// fresh uploads private.
    anon_world_readable_only: flag(true), [Worker], PerUser, Works;

    /// The umask for files and directories made by anonymous clients. Octal needs a leading 0: `022`, not `22`.
    anon_umask: octal(0o77), [Worker], PerUser, Works;

    /// The umask for files and directories made by local users. Octal needs a leading 0: `022`, not `22`.
    local_umask: octal(0o77), [Worker], PerUser, Works;

    /// The permissions of uploaded files before the umask is applied; `0777` lets uploads be executable. Octal needs a leading 0. What
    /// would be more than permissions does not count: no upload is setuid.
    file_open_mode: octal(0o666), [Worker], PerUser, Works;

    /// Give files uploaded by anonymous clients, and by guests without `virtual_use_local_privs`, to the account in `chown_username`.
    chown_uploads: flag(false), [Helper Worker], PerUser, Works;

    /// The new owner for `chown_uploads`. Root is a poor choice.
    chown_username: text("root"), [Helper], PerUser, Under("chown_uploads");

    /// The permissions set on files before `chown_uploads` gives them away. Octal needs a leading 0.
    chown_upload_mode: octal(0o600), [Worker], PerUser, Under("chown_uploads");

    /// Allow SITE CHMOD. Only local users have it at all; needs `write_enable`.
    chmod_enable: flag(true), [Worker], PerUser, Works;

    /// Let MDTM with a date and a name set a file's date; needs `write_enable`.
    mdtm_write: flag(true), [Worker], PerUser, Works;

    /// Remove an upload that did not complete.
    delete_failed_uploads: flag(false), [Worker], PerUser, Works;

    /// Lock files while they move: uploads for themselves alone, downloads shared with other downloads.
    lock_upload_files: flag(true), [Worker], PerUser, Works;

    /// Allow RETR. NO answers 550.
    download_enable: flag(true), [Worker], PerUser, Works;

    /// Allow LIST, NLST and STAT with a name. NO answers 550.
    dirlist_enable: flag(true), [Worker], PerUser, Works;

    /// The commands allowed after login, in capitals, separated by commas: `PASV,RETR,QUIT`. All others are answered 550. Unset: all.
    cmds_allowed: text(), [Worker], PerUser, Works;

    /// The commands refused after login, in capitals, separated by commas. Wins over `cmds_allowed`.
    cmds_denied: text(), [Worker], PerUser, Works;

    /// A pattern of names that no command may touch: `{*.mp3,*.mov,.private}`. `*` stands for any text, `?` for one character,
    /// `{a,b}` for either. A name that contains the pattern's own text matches as well. Listings still show such names (see
    /// `hide_file`). File permissions are the stronger fence.
    deny_file: text(), [Worker], PerUser, Works;

    /// A pattern of names left out of listings; patterns as in `deny_file`. Whoever knows such a name can still use it.
    hide_file: text(), [Worker], PerUser, Works;

    /// A pattern that names of uploads must match; patterns as in `deny_file`, which is asked first. Unset: any name.
    upload_file: text(), [Worker], PerUser, Works;

    /// A pattern that names of downloads must match; patterns as in `deny_file`, which is asked first. Unset: any name.
    download_file: text(), [Worker], PerUser, Works;

    /// Convert line ends when a client downloads in ASCII mode. Without it ASCII mode is accepted and files are sent as they are.
    ascii_download_enable: flag(false), [Worker], PerUser, Works;

    /// Convert line ends when a client uploads in ASCII mode. Without it ASCII mode is accepted and files are stored as they come.
    ascii_upload_enable: flag(false), [Worker], PerUser, Works;

    /// Show the file named by `message_file` when a client enters a directory for the first time.
    dirmessage_enable: flag(false), [Worker], PerUser, Works;

    /// The file for `dirmessage_enable`, looked for in each directory.
    message_file: text(".message"), [Worker], PerUser, Works;

    /// Show names that begin with a dot in listings, even if the client did not ask with `-a`. `.` and `..` stay hidden.
    force_dot_files: flag(false), [Worker], PerUser, Works;

    /// Show `ftp` as owner and group of everything in listings.
    hide_ids: flag(false), [Worker], PerUser, Works;

    /// Show names of owners and groups in listings instead of numbers.
    text_userdb_names: flag(false), [Worker], PerUser, Works;

    /// Allow `LIST -R`, 64 directories deep. A client can use it to keep the disks of a large site busy.
    ls_recurse_enable: flag(false), [Worker], PerUser, Works;

    /// Show dates in the host's time zone instead of UTC, in listings and in MDTM.
    use_localtime: flag(false), [Worker], PerUser, Works;

    /// Let `~name` stand for that user's home directory, if it can be found from where the session is kept.
    tilde_user_enable: flag(false), [Worker], PerUser, Works;

    /// Tell clients by FEAT that names are UTF-8. Names themselves are passed on as they are, always.
    utf8_filesystem: flag(false), [Greeter Worker], PerUser, Works;
    } };
}
