//! What a connection is served with, by the settings that master has made; greeter and worker.

use super::asker::{Asker, Resolver};
use super::client_cert::Verifier;
use super::settings::{Secure, Settings};
use super::store::Made;
use crate::config::Config;
use rustls::crypto::CryptoProvider;
use rustls::server::StoresServerSessions;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;

/// Tickets the control connection is given: clients that use each only once need some before data connections bring more.
const TICKETS: usize = 6;

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
        let provider = Arc::new(self.provider());
        let versions = self.versions();
        let mut suites = provider.cipher_suites.clone();
        suites.retain(|suite| versions.contains(&suite.version()));
        let hosts = &self.loaded.hosts;
        let resolver = Resolver::new(&self.identities, asker, config, hosts, suites);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)?;
        // As the server's own settings have it, whatever those of a host say.
        let own = &self.loaded.config;
        let builder = if own.ssl_request_cert || own.require_cert {
            let verifier = Verifier::new(&provider, &self.authorities, own)?;
            builder.with_client_cert_verifier(Arc::new(verifier))
        } else {
            builder.with_no_client_auth()
        };
        let mut server = builder.with_cert_resolver(Arc::new(resolver));
        // A client that names protocols must name ours: a browser led here goes no further (CVE-2021-3618, attacks B-093).
        server.alpn_protocols = vec![b"ftp".to_vec()];
        server.ignore_client_order = true;
        server.session_storage = sessions;
        Ok(server)
    }

    /// The cryptography, with the suites that `ssl_ciphers` has chosen, the most wanted first.
    fn provider(&self) -> CryptoProvider {
        let mut provider = super::provider();
        let chosen = &self.loaded.suites;
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
        provider
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let mut versions = Vec::new();
        if self.loaded.config.ssl_tlsv13 {
            versions.push(&TLS13);
        }
        if self.loaded.config.ssl_tlsv12 {
            versions.push(&TLS12);
        }
        versions
    }
}
