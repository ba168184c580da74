//! What a connection is served with, by the settings that master has made; greeter and worker.

use super::asker::{Asker, Resolver};
use super::settings::{Secure, Settings};
use super::store::Made;
use crate::config::Config;
use rustls::ServerConfig;
use rustls::server::StoresServerSessions;
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
