//! Option rows: TLS; read by the keyholder, the greeter and the worker.

macro_rules! rows_tls {
    ([$next:ident $($rest:ident)*] $($done:tt)*) => { $next! { [$($rest)*] $($done)*

    /// Offer TLS (AUTH TLS). Needs a certificate: `rsa_cert_file`.
    ssl_enable: flag(false), [Master Keyholder Helper Greeter Worker], Server, Works;

    /// Expect TLS from the first byte, before the greeting. By custom on port 990: set `listen_port`.
    implicit_ssl: flag(false), [Greeter], Server, Under("ssl_enable");

    /// Let anonymous clients use TLS.
    allow_anon_ssl: flag(false), [Greeter], Server, Under("ssl_enable");

    /// Refuse anonymous logins without TLS.
    force_anon_logins_ssl: flag(false), [Greeter Helper], Server, Under("ssl_enable");

    /// Refuse data connections of anonymous clients without TLS.
    force_anon_data_ssl: flag(false), [Worker], PerUser, Under("ssl_enable");

    /// Refuse logins of local users without TLS, so that no password travels in clear.
    force_local_logins_ssl: flag(true), [Greeter Helper], Server, Under("ssl_enable");

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

    /// The ciphers for TLS up to 1.2, as OpenSSL writes them. Unset: the library's own choice.
    ssl_ciphers: text("ECDHE-RSA-AES256-GCM-SHA384"), [Greeter Worker], Server, Under("ssl_enable");

    /// The certificate and its chain, in PEM.
    rsa_cert_file: text("/usr/share/ssl/certs/vsftpd.pem"), [Keyholder], Server, Under("ssl_enable");

    /// The private key of `rsa_cert_file`. Unset: it stands in the same file.
    rsa_private_key_file: text(), [Keyholder], Server, Under("ssl_enable");

    /// A second certificate, of another kind than RSA. If it is the only one, clear `rsa_cert_file`.
    dsa_cert_file: text(), [Keyholder], Server, Under("ssl_enable");

    /// The private key of `dsa_cert_file`. Unset: it stands in the same file.
    dsa_private_key_file: text(), [Keyholder], Server, Under("ssl_enable");

    /// The authorities whose certificates of clients are trusted, in PEM; used with `ssl_request_cert` and `validate_cert`.
    ca_certs_file: text(), [Greeter Worker], Server, Under("ssl_enable");

    /// Ask clients for a certificate; see `require_cert` and `validate_cert`.
    ssl_request_cert: flag(true), [Greeter Worker], Server, Under("ssl_enable");

    /// Refuse clients without a certificate. Needs `ssl_request_cert`.
    require_cert: flag(false), [Greeter Worker], Server, Under("ssl_enable");

    /// Refuse certificates of clients that no authority in `ca_certs_file` vouches for.
    validate_cert: flag(false), [Greeter Worker], Server, Under("ssl_enable");

    /// Refuse data connections that do not resume the TLS session of their control connection: proof that both ends are the same.
    /// Some clients cannot do that.
    require_ssl_reuse: flag(true), [Greeter Worker], Server, Under("ssl_enable");

    /// Count an upload over TLS as failed if its end is not announced by TLS: it may have been cut off.
    strict_ssl_read_eof: flag(true), [Greeter Worker], Server, Under("ssl_enable");

    /// Count a download over TLS as failed if the client does not confirm its end by TLS. Few clients do.
    strict_ssl_write_shutdown: flag(false), [Greeter Worker], Server, Under("ssl_enable");

    /// The host name that clients must ask for (SNI), letter by letter, on every TLS connection. Unset: any or none.
    ssl_sni_hostname: text(), [Greeter Worker], Server, Under("ssl_enable");

    /// Log details of every TLS connection.
    debug_ssl: flag(false), [Greeter Worker], Server, Under("ssl_enable");
    } };
}
