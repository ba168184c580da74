//! Certificates as the keyholder has described them; made by master, used by greeter and worker.

use crate::config::certificates::Pair;
use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;

/// A certificate with its chain, and what its key can sign.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Where it was read from.
    pub pair: Pair,
    /// The server's certificate and those above it.
    pub chain: Vec<CertificateDer<'static>>,
    /// The schemes of the key, the best first.
    pub schemes: Vec<SignatureScheme>,
}

impl Identity {
    /// Of one that the keyholder has described.
    pub fn new(pair: Pair, schemes: &[u16], chain: Vec<Vec<u8>>) -> Self {
        Self {
            pair,
            chain: chain.into_iter().map(CertificateDer::from).collect(),
            schemes: schemes.iter().copied().map(SignatureScheme::from).collect(),
        }
    }
}
