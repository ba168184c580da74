//! Certificates of clients: asked for, required, or checked against authorities, as the options say; greeter and worker.

use crate::config::Config;
use crate::wire::Authority;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, Der, TrustAnchor, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use std::sync::Arc;

/// What the options ask of a client's certificate.
#[derive(Debug)]
pub struct Verifier {
    mandatory: bool,
    validate: bool,
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Without authorities none is asked.
    ///
    /// # Errors
    /// The library makes nothing of them.
    pub fn new(
        provider: &Arc<CryptoProvider>,
        authorities: &[Authority],
        config: &Config,
    ) -> Result<Self, Error> {
        let anchors = authorities.iter().map(|authority| {
            let anchor = TrustAnchor {
                subject: Der::from(authority.name.as_slice()),
                subject_public_key_info: Der::from(authority.key.as_slice()),
                name_constraints: authority.limits.as_deref().map(Der::from),
            };
            anchor.to_owned()
        });
        let roots: RootCertStore = anchors.collect();
        let asked = (!roots.is_empty()).then(|| {
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .allow_unauthenticated()
                .build()
                .map_err(|error| Error::General(error.to_string()))
        });
        Ok(Self {
            mandatory: config.require_cert,
            validate: config.validate_cert,
            authorities: asked.transpose()?,
            algorithms: provider.signature_verification_algorithms,
        })
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities
            .as_ref()
            .map_or(&[], |authorities| authorities.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if !self.validate {
            return Ok(ClientCertVerified::assertion());
        }
        match &self.authorities {
            Some(authorities) => authorities.verify_client_cert(certificate, above, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
