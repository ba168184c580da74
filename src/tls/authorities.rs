//! What clients' certificates will be held against, as the keyholder has read it from `ca_certs_file`; master.

use super::client_cert::Verifier;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{Der, TrustAnchor};
use rustls::server::WebPkiClientVerifier;
use std::sync::Arc;

/// One authority: its name, its key, and which names it may vouch for, if that is limited.
pub type Authority = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

impl Verifier {
    /// Without authorities none is asked.
    ///
    /// # Errors
    /// The library's word.
    pub fn new(
        provider: &Arc<CryptoProvider>,
        authorities: Vec<Authority>,
        mandatory: bool,
        validate: bool,
    ) -> Result<Self, String> {
        let anchors = authorities
            .into_iter()
            .map(|(subject, key, constraints)| TrustAnchor {
                subject: Der::from(subject),
                subject_public_key_info: Der::from(key),
                name_constraints: constraints.map(Der::from),
            });
        let roots: RootCertStore = anchors.collect();
        let asked = (!roots.is_empty()).then(|| {
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .allow_unauthenticated()
                .build()
                .map_err(|error| error.to_string())
        });
        Ok(Self {
            mandatory,
            validate,
            authorities: asked.transpose()?,
            algorithms: provider.signature_verification_algorithms,
        })
    }
}
