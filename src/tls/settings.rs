//! What holds for every TLS connection of the server: made once by master, without any key, and used by greeter and worker.

use super::asker::{Asker, Identity, Resolver};
use super::client_cert::Verifier;
use super::store::Made;
use crate::config::ciphers::{self, Suite};
use crate::config::{Config, Hosts, Loaded};
use rustls::crypto::CryptoProvider;
use rustls::server::StoresServerSessions;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ServerConfig, SupportedProtocolVersion};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

/// Tickets the control connection is given: clients that use each only once need some before data connections bring more.
const TICKETS: usize = 6;

/// The settings.
#[derive(Debug)]
pub struct Settings {
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    identities: Vec<Identity>,
    hosts: Arc<Hosts>,
}

/// What a session needs to end TLS: the settings, and its own channel to the keyholder.
#[derive(Debug)]
pub struct Secure {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The session's end of the channel.
    pub keys: OwnedFd,
}

impl Secure {
    /// The same for another process of the session.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn share(&self) -> std::io::Result<Self> {
        Ok(Self {
            settings: Arc::clone(&self.settings),
            keys: self.keys.try_clone()?,
        })
    }
}

impl Settings {
    /// Of the options, and the certificates the keyholder has the keys of.
    ///
    /// # Errors
    /// What is wrong with `ca_certs_file`.
    pub fn new(loaded: &Loaded, identities: Vec<Identity>) -> Result<Self, String> {
        let config = &loaded.config;
        let mut provider = super::provider();
        let chosen = ciphers::chosen(loaded);
        let rank = |suite: CipherSuite| {
            let at = chosen
                .iter()
                .position(|one| CipherSuite::from(*one) == suite);
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
        Ok(Self {
            verifier: verifier(config, &provider)?,
            provider,
            versions,
            identities,
            hosts: Arc::clone(&loaded.hosts),
        })
    }

    /// What the control connection is served with.
    ///
    /// # Errors
    /// The library refuses the settings.
    pub fn control(
        &self,
        config: &Config,
        asker: &Arc<Asker>,
        made: Arc<Made>,
    ) -> Result<ServerConfig, rustls::Error> {
        let mut server = self.server(config, asker, made)?;
        server.send_tls13_tickets = TICKETS;
        Ok(server)
    }

    /// What any connection is served with, but for its sessions.
    ///
    /// # Errors
    /// The library refuses the settings.
    pub fn server(
        &self,
        config: &Config,
        asker: &Arc<Asker>,
        sessions: Arc<dyn StoresServerSessions>,
    ) -> Result<ServerConfig, rustls::Error> {
        let mut suites = self.provider.cipher_suites.clone();
        suites.retain(|suite| self.versions.contains(&suite.version()));
        let resolver = Resolver::new(&self.identities, asker, config, &self.hosts, suites);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&self.versions)?;
        let builder = match &self.verifier {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        let mut server = builder.with_cert_resolver(Arc::new(resolver));
        // A client that names protocols must name ours: a browser led here goes no further (CVE-2021-3618, attacks B-093).
        server.alpn_protocols = vec![b"ftp".to_vec()];
        server.ignore_client_order = true;
        server.session_storage = sessions;
        Ok(server)
    }
}

fn verifier(
    config: &Config,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    if !config.ssl_request_cert && !config.require_cert {
        return Ok(None);
    }
    let file = config.ca_certs_file.as_deref().map(Path::new);
    let verifier = Verifier::new(provider, file, config.require_cert, config.validate_cert)?;
    Ok(Some(Arc::new(verifier)))
}

impl From<Suite> for CipherSuite {
    fn from(suite: Suite) -> Self {
        match suite {
            Suite::EcdsaAes256 => Self::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            Suite::RsaAes256 => Self::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            Suite::EcdsaChacha => Self::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            Suite::RsaChacha => Self::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            Suite::EcdsaAes128 => Self::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            Suite::RsaAes128 => Self::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        }
    }
}
