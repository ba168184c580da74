//! Option rows that vsftpd has not: additions of this server, off or harmless by default.

macro_rules! rows_ours {
    ([$next:ident $($rest:ident)*] $($done:tt)*) => { $next! { [$($rest)*] $($done)*

    /// What a session must be fenced with, or the server does not start. 0: what this kernel has. 1: a filter of system calls. 2: that, and
    /// Landlock, which Linux has since 5.19. With 1 or 2, `seccomp_sandbox=NO` is a mistake.
    sandbox_minimum: number(0, 0..=2), [Master Helper], Server, Added;

    /// Let clients ask for checksums of files they may download: HASH, XCRC, XMD5, XSHA1, XSHA256, XSHA512. A checksum is read at the
    /// session's rate (`local_max_rate`).
    hash_enable: flag(true), [Greeter Worker], PerUser, Added;

    /// Let anonymous clients ask for checksums too; needs `hash_enable`. Set `anon_max_rate` with it: each costs the reading of a file
    /// without anything being sent.
    anon_hash_enable: flag(false), [Greeter Worker], PerUser, Added;

    /// The most MiB of a file that one checksum may cover. 0: no limit.
    hash_max_size: number(16_384, 0..=COUNT), [Worker], PerUser, Added;

    /// A directory of files named after the hosts that this server is: with it clients may say HOST (RFC 7151) before they log in, and what
    /// stands in the file `ftp.example.org` is then read over these settings. The name is in lower case, of an IPv6 address
    /// in brackets; an empty file means these settings, and a name without a file is refused. The files are read at start and reload, and a mistake in one is
    /// one in the configuration. A client that asks for a name in TLS (SNI) gets the certificate of that host's file, and may say no
    /// other in HOST. The key of such a certificate stands with it, unless `rsa_private_key_file` is in the host's file too.
    host_config_dir: text(), [Master Keyholder Helper Greeter Worker], Server, Added;

    /// Let clients ask for compressed data connections: MODE Z. Off by default, because some clients take it whenever FEAT lists it
    /// (lftp does), and it costs a download some thirty times the processor time of one that is not compressed, and each session
    /// that uses it up to two thirds of a MiB of memory. It is worth that on slow lines, for text. Rates (`local_max_rate`) count the bytes of the line,
    /// logs those of the file.
    mode_z_enable: flag(false), [Greeter Worker], PerUser, Added;

    /// How many bytes of a file one byte of a compressed upload may stand for, once the file is larger than 256 KiB: what grows more fails
    /// with 552. Without a limit it is a thousand. 0: no limit.
    mode_z_max_ratio: number(100, 0..=COUNT), [Worker], PerUser, Added;

    /// The most MiB that one compressed upload may bring. 0: no limit.
    mode_z_max_size: number(16_384, 0..=COUNT), [Worker], PerUser, Added;

    /// The code page of clients that have not said OPTS UTF8 ON, such as `GBK`, `Big5` or `windows-1251`: any of the WHATWG Encoding
    /// standard in which ASCII is ASCII. Names on disk are UTF-8, and are converted in both directions. What the code page
    /// cannot show is written `%{HEX}`, and is understood so. FEAT lists UTF8 then. Unset: names pass as they are.
    client_charset: text(), [Greeter Worker], PerUser, Added;

    /// Write an upload to a hidden name in the same directory, `.NAME.uploading`, and give it its name when it is complete: until then
    /// the old file stays whole, and nobody sees half of the new one. What is left of a broken upload is not listed; SIZE of its
    /// name tells how much is there, REST with STOR, or APPE, goes on from it, DELE of its name removes it. A file that the user does not own, that
    /// has several names, or whose directory allows no new names, is written in place, as is what APPE or REST adds to a
    /// whole file, and STOU. Access lists and extended attributes of a replaced file are not kept.
    atomic_uploads: flag(false), [Worker], PerUser, Added;

    /// With `atomic_uploads`, have the disk hold all of a file before it gets its name. Slower, and safe against a power failure.
    fsync_uploads: flag(false), [Worker], PerUser, Added;

    /// The address that PASV tells clients of a network, for a server that several networks see under different addresses:
    /// `10.0.0.0/8=10.1.2.3, 192.168.0.0/16=192.168.1.5`. The first network with the client counts; without one `pasv_address`
    /// does.
    pasv_address_by_network: text(), [Worker], PerUser, Added;
    } };
}
