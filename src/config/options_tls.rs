//! Option rows: TLS; read by the keyholder, the greeter and the worker.

macro_rules! rows_tls {
    ([$next:ident $($rest:ident)*] $($done:tt)*) => { $next! { [$($rest)*] $($done)*

    /// Offer TLS (AUTH TLS). Needs a certificate: `rsa_cert_file`. Then `force_local_logins_ssl` and `force_local_data_ssl` hold, whose
    /// default is `YES`. The private key is held by a process of its own.
    ssl_enable: flag(false), [Master Keyholder Helper Greeter Worker], Server, Works;

    /// Expect TLS from the first byte, before the greeting, on every port. By custom on port 990: set `listen_port`. To serve both kinds of
    /// client, set `implicit_listen_port` instead.
    implicit_ssl: flag(false), [Greeter], Server, Under("ssl_enable");

    /// Let anonymous clients use TLS.
    allow_anon_ssl: flag(false), [Greeter], PerHost, Under("ssl_enable");

    /// Refuse anonymous logins without TLS.
    force_anon_logins_ssl: flag(false), [Greeter Helper], PerHost, Under("ssl_enable");

    /// Refuse data connections of anonymous clients without TLS.
    force_anon_data_ssl: flag(false), [Worker], PerUser, Under("ssl_enable");

    /// Refuse logins of local users without TLS, so that no password travels in clear. What a login will be decides, not its name: with
    /// `anonymous_enable=NO` the names ftp and anonymous are local users' too.
    force_local_logins_ssl: flag(true), [Greeter Helper], PerHost, Under("ssl_enable");

    /// Refuse data connections of local users without TLS.
    force_local_data_ssl: flag(true), [Worker], PerUser, Under("ssl_enable");

    /// Allow SSL 2. No current library knows it; it is never used.
    ssl_sslv2: flag(false), [Greeter], Server,
        Inert("SSL 2 is broken and offered no more; TLS 1.2 and 1.3 are, as ssl_tlsv1_2 and ssl_tlsv1_3 say");

    /// Allow SSL 3. No current library knows it; it is never used.
    ssl_sslv3: flag(false), [Greeter], Server,
        Inert("SSL 3 is broken and offered no more; TLS 1.2 and 1.3 are, as ssl_tlsv1_2 and ssl_tlsv1_3 say");

    /// Allow TLS 1.0.
    ssl_tlsv1: flag(false), [Greeter], Server,
        Inert("TLS 1.0 is broken and offered no more; TLS 1.2 and 1.3 are, as ssl_tlsv1_2 and ssl_tlsv1_3 say");

    /// Allow TLS 1.1.
    ssl_tlsv11 | "ssl_tlsv1_1": flag(false), [Greeter], Server,
        Inert("TLS 1.1 is broken and offered no more; TLS 1.2 and 1.3 are, as ssl_tlsv1_2 and ssl_tlsv1_3 say");

    /// Allow TLS 1.2.
    ssl_tlsv12 | "ssl_tlsv1_2": flag(true), [Greeter Worker], Server, Under("ssl_enable");

    /// Allow TLS 1.3.
    ssl_tlsv13 | "ssl_tlsv1_3": flag(true), [Greeter Worker], Server, Under("ssl_enable");

    /// The ciphers for TLS 1.2, as OpenSSL writes them: names, or words as `HIGH`, `ECDHE+AESGCM`, `!aNULL`. There are ECDHE with
    /// AES-GCM and with CHACHA20, for ECDSA and RSA; a list that names none of them refuses to start. The default is taken for
    /// certificates of any kind while nobody sets the option; empty, all are offered. Those of TLS 1.3 are always offered.
    ssl_ciphers: text("ECDHE-RSA-AES256-GCM-SHA384"), [Greeter Worker], Server, Under("ssl_enable");

    /// The certificate and its chain, in PEM; of any kind, RSA or not. Read at start and again on SIGHUP: a renewed pair serves new
    /// sessions, and one that does not fit leaves the old in force.
    rsa_cert_file: text("/usr/share/ssl/certs/vsftpd.pem"), [Keyholder], PerHost, Under("ssl_enable");

    /// The private key of `rsa_cert_file`, without a passphrase. Unset: it stands in the same file.
    rsa_private_key_file: text(), [Keyholder], PerHost, Under("ssl_enable");

    /// A second certificate, of another kind than RSA. If it is the only one, clear `rsa_cert_file`.
    dsa_cert_file: text(), [Keyholder], PerHost, Under("ssl_enable");

    /// The private key of `dsa_cert_file`. Unset: it stands in the same file.
    dsa_private_key_file: text(), [Keyholder], PerHost, Under("ssl_enable");

    /// The authorities whose certificates of clients are trusted, in PEM; used with `ssl_request_cert` and `validate_cert`.
    ca_certs_file: text(), [Greeter Worker], Server, Under("ssl_enable");

    /// Ask clients for a certificate; see `require_cert` and `validate_cert`.
    ssl_request_cert: flag(true), [Greeter Worker], Server, Under("ssl_enable");

    /// Refuse clients without a certificate. They are asked for one, whatever `ssl_request_cert` says.
    require_cert: flag(false), [Greeter Worker], Server, Under("ssl_enable");

    /// Refuse certificates of clients that no authority in `ca_certs_file` vouches for. Who shows none is let in, unless `require_cert`
    /// says otherwise.
    validate_cert: flag(false), [Greeter Worker], Server, Under("ssl_enable");

    /// Refuse data connections that do not resume the TLS session of their own control connection: proof that both ends are the same.
    /// Curl, lftp and FileZilla do that; Python's ftplib and Java do not by themselves. Who is refused is told 522, and the session goes
    /// on.
    require_ssl_reuse: flag(true), [Greeter Worker], Server, Under("ssl_enable");

    /// Count an upload over TLS as failed (426) if its end is not announced by TLS: it may have been cut off. Some old clients never
    /// announce it.
    strict_ssl_read_eof: flag(true), [Greeter Worker], Server, Under("ssl_enable");

    /// Count a download over TLS as failed if the client does not confirm its end by TLS. Few clients do.
    strict_ssl_write_shutdown: flag(false), [Greeter Worker], Server, Under("ssl_enable");

    /// The host name that clients must ask for (SNI) on every TLS connection, control and data. Unset: any or none.
    ssl_sni_hostname: text(), [Greeter Worker], Server, Under("ssl_enable");

    /// Log version, cipher, reuse and certificate of every TLS connection, as lines that begin with DEBUG.
    debug_ssl: flag(false), [Greeter Worker], Server, Under("ssl_enable");
    } };
}
