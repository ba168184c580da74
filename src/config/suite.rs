//! The cipher suites that `ssl_ciphers` may choose from; every process.

/// The cipher suites for TLS 1.2 that there are: forward secret, authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// ECDHE-ECDSA-AES256-GCM-SHA384.
    EcdsaAes256,
    /// ECDHE-RSA-AES256-GCM-SHA384.
    RsaAes256,
    /// ECDHE-ECDSA-CHACHA20-POLY1305.
    EcdsaChacha,
    /// ECDHE-RSA-CHACHA20-POLY1305.
    RsaChacha,
    /// ECDHE-ECDSA-AES128-GCM-SHA256.
    EcdsaAes128,
    /// ECDHE-RSA-AES128-GCM-SHA256.
    RsaAes128,
}

impl Suite {
    /// All of them, in OpenSSL's order of preference.
    pub const ALL: [Self; 6] = [
        Self::EcdsaAes256,
        Self::RsaAes256,
        Self::EcdsaChacha,
        Self::RsaChacha,
        Self::EcdsaAes128,
        Self::RsaAes128,
    ];
}
