//! Which certificates the settings name, for the server and for each host: what the keyholder loads, in an order that all know.

use super::loaded::Loaded;
use super::options::Config;
use std::ffi::{OsStr, OsString};

/// A certificate's file and that of its key, with the options that name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Names the certificate.
    pub certificate_option: &'static str,
    /// Names the key.
    pub key_option: &'static str,
    /// The certificate's file.
    pub certificate: OsString,
    /// The key's; the same where no other is named.
    pub key: OsString,
}

/// Those of these settings.
pub fn of(config: &Config) -> Vec<Pair> {
    let pair = |certificate_option, certificate: &Option<OsString>, key_option, key| {
        // Without one the key stands with the certificate.
        let (key_option, key) = match key {
            Some(key) => (key_option, Some(key)),
            None => (certificate_option, certificate.as_ref()),
        };
        Some(Pair {
            certificate_option,
            key_option,
            certificate: certificate.clone()?,
            key: key.cloned()?,
        })
    };
    let (rsa, dsa) = (&config.rsa_cert_file, &config.dsa_cert_file);
    let key = config.rsa_private_key_file.as_ref();
    let rsa = pair("rsa_cert_file", rsa, "rsa_private_key_file", key);
    let key = config.dsa_private_key_file.as_ref();
    let dsa = pair("dsa_cert_file", dsa, "dsa_private_key_file", key);
    rsa.into_iter().chain(dsa).collect()
}

/// Those of the server first, then what its hosts have besides.
pub fn all(loaded: &Loaded) -> Vec<Pair> {
    let mut all = of(&loaded.config);
    for pair in loaded.hosts.configs().flat_map(of) {
        if !all.contains(&pair) {
            all.push(pair);
        }
    }
    all
}

/// The file of the authorities that clients' certificates are held against, if those are asked for.
pub fn authorities(config: &Config) -> Option<&OsStr> {
    let asked = config.ssl_request_cert || config.require_cert;
    config.ca_certs_file.as_deref().filter(|_| asked)
}
