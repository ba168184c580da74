//! Option rows of other builds of vsftpd, which their users' files set: what they ask for is so here anyway, or is nothing to ask for.

macro_rules! rows_others {
    ([$next:ident $($rest:ident)*] $($done:tt)*) => { $next! { [$($rest)*] $($done)*

    /// Look up the client's name by its address, for PAM and for the log. Of Red Hat's vsftpd, where it is on unless a file says NO.
    reverse_lookup_enable: flag(false), [Master], Server,
        Foreign("nobody's name is looked up: PAM and the log have the address, and no login waits for a name server");

    /// Log who is refused by the user list. Of Red Hat's vsftpd.
    userlist_log: flag(true), [Master], Server,
        Foreign("every refused login is in the log, with the rule that refused it");

    /// Log why a process ends itself. Of Red Hat's vsftpd.
    log_die: flag(true), [Master], Server,
        Foreign("the log has the reason for every 500 OOPS");

    /// Make names for STOU that do not collide. Of Red Hat's vsftpd.
    better_stou: flag(false), [Master], Server,
        Foreign("no two clients get one name from STOU: a name is taken as it is made");

    /// Keep letters beyond ASCII in the log. Of Red Hat's vsftpd.
    wc_logs_enable: flag(false), [Master], Server,
        Foreign("each byte of such a letter is ? in the log, as in vsftpd 3.0.5");

    /// How often another passive port is tried. Of Red Hat's vsftpd.
    bind_retries: number(9, 0..=COUNT), [Master], Server,
        Foreign("every port of the range is tried");

    /// Parameters for DHE, in PEM. Of Red Hat's vsftpd.
    dh_param_file: text(), [Master], Server,
        Foreign("TLS is without DHE here: the ciphers are those with ECDHE, which need no parameters");

    /// Parameters for ECDHE, in PEM. Of Red Hat's vsftpd.
    ecdh_param_file: text(), [Master], Server,
        Foreign("curves are agreed on with each client");

    /// Enter the user's root with the user's rights, for homes on NFS where root may do nothing. Of SUSE's vsftpd.
    allow_root_squashed_chroot: flag(false), [Master], Server,
        Foreign("where root may not enter it, it is entered with the user's rights anyway");
    } };
}
