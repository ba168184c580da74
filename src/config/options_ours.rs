//! Option rows that vsftpd has not: additions of this server, off or harmless by default.

macro_rules! rows_ours {
    ([$next:ident $($rest:ident)*] $($done:tt)*) => { $next! { [$($rest)*] $($done)*

    /// Let clients ask for checksums of files they may download: HASH, XCRC, XMD5, XSHA1, XSHA256, XSHA512. A checksum is read at the
    /// session's rate (`local_max_rate`).
    hash_enable: flag(true), [Greeter Worker], PerUser, Added;

    /// Let anonymous clients ask for checksums too; needs `hash_enable`. Set `anon_max_rate` with it: each costs the reading of a file
    /// without anything being sent.
    anon_hash_enable: flag(false), [Greeter Worker], PerUser, Added;

    /// The most MiB of a file that one checksum may cover. 0: no limit.
    hash_max_size: number(16_384, 0..=COUNT), [Worker], PerUser, Added;
    } };
}
