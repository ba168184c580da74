//! Option rows: data connections, timeouts and rates; read by the worker and by the helper that makes the sockets.

macro_rules! rows_data {
    ([$next:ident $($rest:ident)*] $($done:tt)*) => { $next! { [$($rest)*] $($done)*

    /// Allow PASV and EPSV: the client connects to the server for data.
    pasv_enable: flag(true), [Worker], PerUser, Works;

    /// The lowest port for PASV and EPSV. Values up to 1024 mean 1024.
    pasv_min_port: number(5001, 0..=65535), [Helper], PerUser, Works;

    /// The highest port for PASV and EPSV. 0: 65535. With `pasv_min_port` it makes the range to open in a firewall. Below the lowest
    /// port it is a mistake.
    pasv_max_port: number(0, 0..=65535), [Helper], PerUser, Works;

    /// The IPv4 address told to clients in answers to PASV, for servers behind address translation. With `pasv_addr_resolve` it may be
    /// a host name. Unset: the address the client connected to.
    pasv_address: text(), [Master Worker], PerUser, Works;

    /// Look up `pasv_address` as a host name, when the server starts and every `pasv_addr_resolve_interval` seconds.
    pasv_addr_resolve: flag(false), [Master], Server, Works;

    /// Accept a passive data connection from an address other than the client's. Leave it off: it lets a stranger take or give data in
    /// the client's place.
    pasv_promiscuous: flag(false), [Helper], PerUser, Works;

    /// Allow PORT and EPRT: the server connects to the client for data.
    port_enable: flag(true), [Worker], PerUser, Works;

    /// Connect to whatever address PORT and EPRT name. Leave it off: it lets a client make this server connect to others.
    port_promiscuous: flag(false), [Helper Worker], PerUser, Works;

    /// Make outgoing data connections from port `ftp_data_port`, as some firewalls of clients expect.
    connect_from_port_20: flag(false), [Helper], PerUser, Works;

    /// The port for `connect_from_port_20`.
    ftp_data_port: number(20, 0..=65535), [Helper], PerUser, Works;

    /// Seconds to wait for a client to connect after PASV or EPSV. 0: for ever.
    accept_timeout: number(60, 0..=SECONDS), [Worker], PerUser, Works;

    /// Seconds to wait for a client to accept a connection after PORT or EPRT. 0: as long as the system does.
    connect_timeout: number(60, 0..=SECONDS), [Helper], PerUser, Works;

    /// Seconds a transfer may go without moving a byte. 0: for ever.
    data_connection_timeout: number(300, 0..=SECONDS), [Worker], PerUser, Works;

    /// Seconds a client may go without sending a command, before login and after. 0: for ever.
    idle_session_timeout: number(300, 0..=SECONDS), [Greeter Worker], PerUser, Works;

    /// The rate allowed to each anonymous session, in bytes per second. 0: no limit.
    anon_max_rate: number(0, 0..=COUNT), [Worker], PerUser, Works;

    /// The rate allowed to each session of a local user, in bytes per second. 0: no limit.
    local_max_rate: number(0, 0..=COUNT), [Worker], PerUser, Works;

    /// The size of a single read or write during a transfer, for finer pacing under a rate limit: 4096 to 65536. 0: the server's
    /// choice.
    trans_chunk_size: number(0, 0..=COUNT), [Worker], PerUser, Works;

    /// Let the system send files without copying them through the server.
    use_sendfile: flag(true), [Worker], PerUser, Works;

    /// Heed an ABOR that arrives as urgent data while a transfer runs.
    async_abor_enable: flag(false), [Worker], PerUser, Works;
    } };
}
