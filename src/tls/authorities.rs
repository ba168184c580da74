//! The authorities that `ca_certs_file` names, against which clients' certificates will be held; master.

use super::client_cert::Verifier;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::path::Path;
use std::sync::Arc;

impl Verifier {
    /// `file` is `ca_certs_file`.
    ///
    /// # Errors
    /// A sentence about the file.
    pub fn new(
        provider: &Arc<CryptoProvider>,
        file: Option<&Path>,
        mandatory: bool,
        validate: bool,
    ) -> Result<Self, String> {
        let authorities = file.map(|file| authorities(provider, file)).transpose()?;
        Ok(Self {
            mandatory,
            validate,
            authorities,
            algorithms: provider.signature_verification_algorithms,
        })
    }
}

fn authorities(
    provider: &Arc<CryptoProvider>,
    file: &Path,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    let verifier: Arc<dyn ClientCertVerifier> =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| error.to_string())?;
    Ok(verifier)
}
