//! Option rows that vsftpd has not: additions of this server, off or harmless by default.

macro_rules! rows_ours {
    ([$next:ident $($rest:ident)*] $($done:tt)*) => { $next! { [$($rest)*] $($done)*

    /// What a session must be fenced with, or the server does not start. 0: what this kernel has. 1: a filter of system calls. 2: that, and
    /// Landlock, which Linux has since 5.19. With 1 or 2, `seccomp_sandbox=NO` is a mistake.
    sandbox_minimum: number(0, 0..=2), [Master Helper], Server, Added;

    /// The account that the process with the private keys runs as. With one of its own no other process of a session can so much as
    /// send it a signal: best an account that nothing else on the host uses. Unset: that of `nopriv_user`.
    key_user: text(), [Master Keyholder], Server, Added;

    /// A second port to listen on, beside `listen_port` and on the same address, where TLS is expected from the first byte: by custom 990. With
    /// sockets of systemd, or under inetd, it says which port that is of those passed. Needs `ssl_enable`. SIGHUP opens and closes it.
    /// 0: none. With a firewall open it too.
    implicit_listen_port: number(0, 0..=65535), [Master Helper], Server, Added;

    /// How many failed logins one address, or one IPv6 network of 64 bits, may have in `login_fails_window`, over all its connections. From
    /// half of them on, each password takes longer to be answered, up to five seconds; at the limit new connections are told 421 and
    /// closed until enough failures are forgotten. They are forgotten evenly, so that others behind the same address wait a while
    /// at most. Anonymous logins do not count. Unset, it follows `max_per_ip` where that lets more than 50 clients in from
    /// one address, or any number (0). 0: no limit. A server under inetd does not count.
    login_fails_per_ip: number(50, 0..=1_000_000), [Master Helper], Server, Added;

    /// The seconds in which `login_fails_per_ip` failures are forgotten. No address is refused for longer than that after its last failure.
    login_fails_window: number(600, 1..=86_400), [Master], Server, Added;

    /// How many TLS handshakes of control connections one address, or one IPv6 network of 64 bits, may begin in a minute; at the limit its
    /// new connections are told 421 and closed until the minute's share is free again. Data connections do not count. Unset,
    /// it follows `max_per_ip` where that lets more than 50 clients in from one address, 60 for each, or any number (0). 0: no limit. A
    /// server under inetd does not count.
    ssl_handshakes_per_ip: number(3000, 0..=1_000_000), [Master Helper], Server, Added;

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
    /// one in the configuration; so is an option there that is for the whole server. A client that asks for a name in TLS (SNI) gets the certificate of that host's file, and may say no
    /// other in HOST. The key of such a certificate stands with it, unless `rsa_private_key_file` is in the host's file too.
    /// What stands in it is also read over a file of settings for the client's address.
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

    /// Write an upload to a hidden name in the same directory, `.NAME.uploading`, and give it its name when it is complete: until then the old
    /// file stays whole, and nobody sees half of the new one. What is left of a broken upload is not listed; SIZE of its name tells who can go
    /// on from it how much is there, REST with STOR, or APPE, goes on from it, and is refused where it cannot, DELE of its name removes it. A
    /// file that the user does not own or may not read, that has several names, a group the user is not in, or an access control list or other
    /// extended attributes (xattr(7)) that a new one has not, that is mounted there, or whose directory allows no new names or keeps all it has
    /// (`chattr +a`), is written in place, as is what APPE or REST adds to a whole file, STOU, and what `chown_uploads` gives away in a
    /// directory with the sticky bit. Where a broken upload of a whole file is newer than that, who may replace it gets no SIZE of it and adds
    /// nothing to it: a client would take the old file for the beginning of its own. An upload counts as broken too if its client closes the
    /// control connection before the reply and without QUIT, as that of a killed client is closed: for a device that always does so set NO.
    atomic_uploads: flag(false), [Worker], PerUser, Added;

    /// Have the disk hold all of an upload, and the name of a new file, before 226 says so; with `atomic_uploads`, before it gets its name. Slower,
    /// and safe against a power failure. The names in a directory that the user may not read are left to the file system.
    fsync_uploads: flag(false), [Worker], PerUser, Added;

    /// The port that clients are told for the lowest passive port, in answers to PASV and EPSV; the others follow in order. For hosts
    /// behind a translation that maps ports to other ones: with `pasv_min_port=50000`, `pasv_max_port=50099` and 60000 here they are
    /// told 60000 to 60099, and the router sends those to 50000 to 50099. 0: the ports as they are.
    pasv_advertise_min_port: number(0, 0..=65535), [Helper], PerUser, Added;

    /// The seconds after which a host name in `pasv_address` is looked up again (`pasv_addr_resolve`), for hosts whose address changes. It is
    /// done in a process of its own and nobody waits for it. New sessions tell the new address; while there is no answer the last
    /// one holds. 0: only when the server starts, or reads another name on SIGHUP.
    pasv_addr_resolve_interval: number(300, 0..=SECONDS), [Master], Server, Added;

    /// The address that PASV tells clients of a network, for a server that several networks see under different addresses:
    /// `10.0.0.0/8=10.1.2.3, 192.168.0.0/16=192.168.1.5`. The first network with the client counts; without one `pasv_address`
    /// does.
    pasv_address_by_network: text(), [Worker], PerUser, Added;
    } };
}
