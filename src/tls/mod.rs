//! TLS: what master prepares, greeter ends on the control connection, worker on data connections, and the keyholder signs.

mod asker;
mod client_cert;
mod data;
mod describe;
mod link;
mod records;
mod serve;
mod settings;
mod shape;
mod store;

pub use asker::Asker;
pub use data::{Refused, Side, Stream};
pub use describe::describe;
pub use link::{Ready, broke, forget, handshake, last_words};
#[cfg(test)]
pub use records::tests::configs;
pub use settings::{Secure, Settings};
pub use shape::is_handshake;
pub use store::{Entry, Made};

use rustls::crypto::CryptoProvider;
use std::time::Duration;

/// How long a handshake may take, from its first byte to its last.
pub const HANDSHAKE: Duration = Duration::from_secs(15);

/// The cryptography this program was built with.
pub fn provider() -> CryptoProvider {
    #[cfg(feature = "aws-lc")]
    return rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc"))]
    rustls::crypto::ring::default_provider()
}
