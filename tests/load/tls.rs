//! TLS as every contender speaks it here: one version, mostly 1.2, and one cipher suite, so that all do the same work.

use crate::trust::Anything;
use crate::{Args, R};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ClientConfig, ClientConnection, ServerConfig, SupportedProtocolVersion};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

/// Bytes that one record of 16 KiB costs on the wire besides its text: header, explicit nonce, tag.
pub const OVERHEAD: u64 = 29;
pub const RECORD: usize = 16384;

/// AES-256-GCM with elliptic curves, for either kind of certificate.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| {
        [
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            CipherSuite::TLS13_AES_256_GCM_SHA384,
        ]
        .contains(&suite.suite())
    });
    Arc::new(provider)
}

/// The version that a task's words ask for: `tls=1` is 1.2, `tls=13` is 1.3.
pub fn version(args: &Args) -> &'static SupportedProtocolVersion {
    if args.number("tls", 1) == 13 {
        &TLS13
    } else {
        &TLS12
    }
}

/// A client that remembers nothing; [`remembering`] gives each session one that does.
pub fn client(version: &'static SupportedProtocolVersion) -> R<Arc<ClientConfig>> {
    let provider = provider();
    let anyone = Anything(provider.signature_verification_algorithms);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(anyone))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The same with a memory of its own: data connections resume the session of the control connection.
pub fn remembering(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

pub fn connection(config: &Arc<ClientConfig>) -> R<ClientConnection> {
    let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
    Ok(ClientConnection::new(config.clone(), name)?)
}

/// The server's side, of the limits.
pub fn server(certificate: &Path, key: &Path) -> R<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS12, &TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    Ok(Arc::new(config))
}
