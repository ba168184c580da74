//! What holds for every TLS connection of the server: made once by master, without any key.

use super::authorities::Authority;
use super::client_cert::Verifier;
use super::identity::Identity;
use crate::config::{Hosts, Loaded};
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, SupportedProtocolVersion};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The settings.
#[derive(Debug)]
pub struct Settings {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
    pub(super) verifier: Option<Arc<dyn ClientCertVerifier>>,
    pub(super) identities: Vec<Identity>,
    pub(super) hosts: Arc<Hosts>,
}

/// What a session needs to end TLS: the settings, and its own channel to the keyholder.
#[derive(Debug)]
pub struct Secure {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The session's end of the channel.
    pub keys: OwnedFd,
}

impl Settings {
    /// Of the options, the certificates the keyholder has the keys of, and the authorities it has read.
    ///
    /// # Errors
    /// The library makes nothing of the authorities.
    pub fn new(
        loaded: &Loaded,
        identities: Vec<Identity>,
        authorities: Vec<Authority>,
    ) -> Result<Self, String> {
        let config = &loaded.config;
        let mut provider = super::provider();
        let chosen = &loaded.suites;
        let rank = |suite: CipherSuite| {
            let at = chosen
                .iter()
                .position(|number| CipherSuite::from(*number) == suite);
            at.map(|at| at.saturating_add(1))
        };
        provider
            .cipher_suites
            .retain(|suite| suite.tls13().is_some() || rank(suite.suite()).is_some());
        // TLS 1.3's own come first, in the library's order.
        provider
            .cipher_suites
            .sort_by_key(|suite| rank(suite.suite()));
        let provider = Arc::new(provider);
        let mut versions = Vec::new();
        if config.ssl_tlsv13 {
            versions.push(&TLS13);
        }
        if config.ssl_tlsv12 {
            versions.push(&TLS12);
        }
        let verifier = (config.ssl_request_cert || config.require_cert).then(|| {
            Verifier::new(
                &provider,
                authorities,
                config.require_cert,
                config.validate_cert,
            )
        });
        let verifier = verifier.transpose()?;
        Ok(Self {
            verifier: verifier.map(|verifier| Arc::new(verifier) as Arc<dyn ClientCertVerifier>),
            provider,
            versions,
            identities,
            hosts: Arc::clone(&loaded.hosts),
        })
    }
}
