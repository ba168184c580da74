//! Option rows: who may log in, how, and where they are put; read by the greeter, the helper and the auth process.

macro_rules! rows_login {
    ([$next:ident $($rest:ident)*] $($done:tt)*) => { $next! { [$($rest)*] $($done)*

    /// Let anyone log in as `ftp` or `anonymous`. They act as the account in `ftp_username`, always inside its home directory
    /// or `anon_root`, and can write nothing unless several options below say so. Mind the default: a file that does not
    /// mention this option serves anonymous clients.
    anonymous_enable: flag(true), [Helper], PerHost, Works;

    /// Let users of the host log in with their own names. Needed for guests as well.
    local_enable: flag(false), [Greeter Helper], PerHost, Works;

    /// Accept `ftp` and `anonymous` without asking for a password. Lists of e-mail addresses then see `<no password>`.
    no_anon_password: flag(false), [Greeter], PerHost, Works;

    /// The account anonymous clients act as. Its home directory is where they start, unless `anon_root` is set. Its name stands
    /// in the logs.
    ftp_username: text("ftp"), [Helper], PerHost, Works;

    /// The directory anonymous clients are kept in, instead of the home directory of `ftp_username`. If it cannot be entered,
    /// anonymous logins fail.
    anon_root: text(), [Helper Worker], PerUser, Works;

    /// The directory local users are put in after login, instead of their home directory; a relative one counts from home.
    /// If it cannot be entered, a login inside a chroot fails; any other stays in its home directory.
    local_root: text(), [Helper Worker], PerUser, Works;

    /// Keep local users inside their home directory (or `local_root`), as if nothing else existed. See also `chroot_list_enable`,
    /// `allow_writeable_chroot` and `passwd_chroot_enable`. Guests without `virtual_use_local_privs` are kept inside in any case.
    chroot_local_user: flag(false), [Helper], PerUser, Works;

    /// Read `chroot_list_file`. The users in it get the opposite of `chroot_local_user`: with NO the listed users are kept in their
    /// home directory, with YES the listed users are the free ones.
    chroot_list_enable: flag(false), [Helper], PerUser, Works;

    /// The list for `chroot_list_enable`: one user name on each line. Unset, and not there: `/etc/vsftpd/chroot_list`, if that is.
    chroot_list_file: text("/etc/vsftpd.chroot_list"), [Helper], PerUser, Works;

    /// Look for `/./` in a home directory in the password file: what stands before it becomes the directory a user is put (and, with
    /// chroot, kept) in, instead of `local_root`; what stands behind it becomes the directory the session starts in.
    passwd_chroot_enable: flag(false), [Helper Worker], PerUser, Works;

    /// Allow users to be kept in a directory they can write in. Without it such logins are refused with `500 OOPS: vsftpd:
    /// refusing to run with writable root inside chroot()`. Never applies to anonymous clients.
    allow_writeable_chroot: flag(false), [Worker], PerUser, Works;

    /// Without PAM only: refuse users whose shell is not in `/etc/shells`. With PAM the module `pam_shells.so` does this.
    check_shell: flag(true), [Auth], PerHost, Works;

    /// The name of the PAM service that judges passwords: a file in `/etc/pam.d`, which is read for each login. Unset: no local user can
    /// log in.
    pam_service_name: text("vsftpd"), [Auth], PerHost, Works;

    /// Open a PAM session for each local login and record it in utmp and wtmp, so that `who` and `last` show it; both are closed
    /// when the session ends, however it ends. One process of such a session stays root to do that; it has no connection to
    /// the client. Needs PAM. Anonymous logins have neither session nor record. Has no effect in a user's own file.
    session_support: flag(false), [Helper Auth], Server, Works;

    /// Look up each user name in `userlist_file` before a password is asked for; see `userlist_deny`. A list of
    /// those to refuse is read when `local_enable` is on, a list of those to let in always.
    userlist_enable: flag(false), [Helper], PerHost, Works;

    /// The meaning of `userlist_file`: YES refuses the users in it, NO refuses everybody else (also `ftp` and `anonymous`, unless
    /// they are in it).
    userlist_deny: flag(true), [Helper], PerHost, Works;

    /// The list for `userlist_enable`: one user name on each line. Unset, and not there: `/etc/vsftpd/user_list`, if that is.
    userlist_file: text("/etc/vsftpd.user_list"), [Helper], PerHost, Works;

    /// Refuse anonymous clients whose password is a line of `banned_email_file`.
    deny_email_enable: flag(false), [Helper], PerHost, Works;

    /// The list for `deny_email_enable`: one password on each line. Unset, and not there: `/etc/vsftpd/banned_emails`, if that is.
    banned_email_file: text("/etc/vsftpd.banned_emails"), [Helper], PerHost, Works;

    /// Accept anonymous clients only if their password is a line of `email_password_file`.
    secure_email_list_enable: flag(false), [Helper], PerHost, Works;

    /// The list for `secure_email_list_enable`: one password on each line. Unset, and not there: `/etc/vsftpd/email_passwords`, if that
    /// is.
    email_password_file: text("/etc/vsftpd.email_passwords"), [Helper], PerHost, Works;

    /// Seconds to wait before a failed login is answered, from its password on: what the check takes, which depends on whether there is
    /// such a user, is part of them. With 0, or if the check takes longer, a client can tell by the time which names exist.
    delay_failed_login: number(1, 0..=SECONDS), [Helper], PerHost, Works;

    /// Seconds to wait before a successful login is answered.
    delay_successful_login: number(0, 0..=SECONDS), [Helper], PerHost, Works;

    /// Close the connection at this many failed logins. 0 and 1 both mean at the first.
    max_login_fails: number(3, 0..=COUNT), [Helper], PerHost, Works;

    /// Map every local login to the account in `guest_username`, so that users need no account of their own: virtual users.
    guest_enable: flag(false), [Helper Worker], PerUser, Works;

    /// The account guests act as; see `guest_enable`.
    guest_username: text("ftp"), [Helper], PerUser, Under("guest_enable");

    /// Give guests the rights of local users. Without it they have those of anonymous clients.
    virtual_use_local_privs: flag(false), [Helper Worker], PerUser, Under("guest_enable");

    /// A text that is replaced by the user's login name in home directories and in `local_root`, so that one setting gives each user
    /// a directory: with `user_sub_token=$USER` and `local_root=/srv/$USER`.
    user_sub_token: text(), [Helper Worker], PerUser, Works;

    /// The greeting a client sees first, one line. Unset: `(vsFTPd 3.0.5)`. Taken literally: `\n` is two characters.
    ftpd_banner: text(), [Greeter], PerHost, Works;

    /// A file whose lines are the greeting, instead of `ftpd_banner`.
    banner_file: text(), [Helper Greeter], PerHost, Works;
    } };
}
