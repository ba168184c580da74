//! A key that is somewhere else: what rustls wants signed is sent to the keyholder; greeter and worker.

use crate::config::certificates::{self, Pair};
use crate::config::{Config, HostName, Hosts};
use crate::sys::socket;
use crate::wire::{Channel, Identity, Sign, SignReply};
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme, SupportedCipherSuite};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the keyholder may take: it signs for one session after the other.
const PATIENCE: Duration = Duration::from_secs(10);

fn algorithm(scheme: Option<SignatureScheme>) -> SignatureAlgorithm {
    match scheme.map(u16::from) {
        // RFC 8446, 4.2.3.
        Some(0x0403 | 0x0503 | 0x0603) => SignatureAlgorithm::ECDSA,
        Some(0x0807) => SignatureAlgorithm::ED25519,
        Some(_) | None => SignatureAlgorithm::RSA,
    }
}

/// A session's channel to the keyholder.
#[derive(Debug)]
pub struct Asker(Mutex<Option<Channel<Sign, SignReply>>>);

impl Asker {
    /// Over the session's end of the channel.
    pub fn new(socket: OwnedFd) -> Self {
        Self(Mutex::new(Some(Channel::new(socket))))
    }

    /// Closes the channel: this process needs no signature any more.
    pub fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn ask(&self, question: &Sign) -> Result<Vec<u8>, String> {
        let mut channel = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channel.as_mut().ok_or("no signature is due any more")?;
        let gone = || "the keyholder is gone; another serves new sessions".to_owned();
        channel.send(question).map_err(|_| gone())?;
        let deadline = Instant::now().checked_add(PATIENCE);
        if !socket::readable(channel.as_fd(), deadline).map_err(|error| error.to_string())? {
            return Err("the keyholder does not answer".to_owned());
        }
        match channel.receive().map_err(|broken| broken.to_string())? {
            Some(SignReply::Signed(signature)) => Ok(signature),
            Some(SignReply::Refused) => {
                Err("the keyholder refuses another signature to this session".to_owned())
            }
            None => Err(gone()),
        }
    }
}

#[derive(Debug)]
struct RemoteKey {
    asker: Arc<Asker>,
    number: u16,
    schemes: Vec<SignatureScheme>,
}

impl SigningKey for RemoteKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = self
            .schemes
            .iter()
            .find(|scheme| offered.contains(scheme))?;
        Some(Box::new(RemoteSigner {
            asker: Arc::clone(&self.asker),
            number: self.number,
            scheme: *scheme,
        }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        algorithm(self.schemes.first().copied())
    }
}

#[derive(Debug)]
struct RemoteSigner {
    asker: Arc<Asker>,
    number: u16,
    scheme: SignatureScheme,
}

impl Signer for RemoteSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let question = Sign {
            key: self.number,
            scheme: self.scheme.into(),
            content: message.to_vec(),
        };
        self.asker.ask(&question).map_err(Error::General)
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

/// Chooses the certificate for a client, and turns away one that asks for another host.
#[derive(Debug)]
pub struct Resolver {
    host: Option<String>,
    suites: Vec<SupportedCipherSuite>,
    /// Each with the files of its certificate and of itself.
    keys: Vec<([OsString; 2], Arc<CertifiedKey>)>,
    /// The certificates of the settings that hold.
    own: Vec<Pair>,
    hosts: Arc<Hosts>,
}

impl Resolver {
    /// Over the identities in the keyholder's order; `suites` is what is offered. A client that names no host, or none there is a file
    /// for, gets the certificates of the settings that hold.
    pub fn new(
        identities: &[Identity],
        asker: &Arc<Asker>,
        config: &Config,
        hosts: &Arc<Hosts>,
        suites: Vec<SupportedCipherSuite>,
    ) -> Self {
        let host = config.ssl_sni_hostname.as_deref();
        let host = host.map(|host| host.to_string_lossy().into_owned());
        let mut keys: Vec<_> = identities
            .iter()
            .zip(0_u16..)
            .map(|(identity, number)| {
                let schemes = identity.schemes.iter().copied();
                let key = RemoteKey {
                    asker: Arc::clone(asker),
                    number,
                    schemes: schemes.map(SignatureScheme::from).collect(),
                };
                let rsa = key.algorithm() == SignatureAlgorithm::RSA;
                let chain = identity.chain.iter().cloned();
                let chain = chain.map(CertificateDer::from).collect();
                let files = [&identity.certificate, &identity.key].map(OsString::clone);
                let certified = CertifiedKey::new(chain, Arc::new(key));
                (rsa, (files, Arc::new(certified)))
            })
            .collect();
        // An elliptic curve's signature costs a tenth of RSA's.
        keys.sort_by_key(|(rsa, _)| *rsa);
        Self {
            host,
            suites,
            keys: keys.into_iter().map(|(_, key)| key).collect(),
            own: certificates::of(config),
            hosts: Arc::clone(hosts),
        }
    }

    /// The keys for a client that asks for this name.
    fn keys_for(&self, name: Option<&str>) -> Vec<&Arc<CertifiedKey>> {
        let name = name.and_then(|name| HostName::parse(name.as_bytes()));
        let loaded = name.and_then(|name| self.hosts.get(&name));
        let of_host = loaded.map(|loaded| certificates::of(&loaded.config));
        let wanted = of_host.as_ref().unwrap_or(&self.own);
        let keys = |wanted: &[Pair]| {
            let keys = self.keys.iter();
            let keys = keys.filter(|([certificate, key], _)| {
                let mut wanted = wanted.iter();
                wanted.any(|pair| pair.certificate == *certificate && pair.key == *key)
            });
            keys.map(|(_, key)| key).collect::<Vec<_>>()
        };
        let found = keys(wanted);
        if found.is_empty() {
            // A file for an address names a certificate that the keyholder has not: those of the server serve.
            self.keys.iter().map(|(_, key)| key).collect()
        } else {
            found
        }
    }

    fn usable(&self, key: &CertifiedKey, hello: &ClientHello<'_>) -> bool {
        let algorithm = key.key.algorithm();
        let suite = self.suites.iter().any(|suite| {
            hello.cipher_suites().contains(&suite.suite())
                && suite.usable_for_signature_algorithm(algorithm)
        });
        suite && key.key.choose_scheme(hello.signature_schemes()).is_some()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(host) = &self.host
            && !hello
                .server_name()
                .is_some_and(|name| name.eq_ignore_ascii_case(host))
        {
            return None;
        }
        let keys = self.keys_for(hello.server_name());
        let fits = keys.iter().find(|key| self.usable(key, &hello));
        fits.or(keys.first()).map(|key| Arc::clone(key))
    }
}

#[cfg(test)]
#[path = "../../tests/support/trust.rs"]
mod trust;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::trust::Anything;
    use super::{Asker, Identity, Resolver};
    use crate::config::{Config, Hosts};
    use crate::sys::socket;
    use rustls::crypto::WebPkiSupportedAlgorithms;
    use rustls::pki_types::{ServerName, SignatureVerificationAlgorithm};
    use rustls::server::{Acceptor, ResolvesServerCert};
    use rustls::version::{TLS12, TLS13};
    use rustls::{ClientConfig, ClientConnection, SignatureScheme, SupportedCipherSuite};
    use std::sync::Arc;

    /// Kinds of signatures; none is ever checked here.
    type Kinds = &'static [(
        SignatureScheme,
        &'static [&'static dyn SignatureVerificationAlgorithm],
    )];

    const RSA: Kinds = &[(SignatureScheme::RSA_PSS_SHA256, &[])];
    const ELLIPTIC: Kinds = &[(SignatureScheme::ECDSA_NISTP256_SHA256, &[])];
    const BOTH: Kinds = &[
        (SignatureScheme::RSA_PSS_SHA256, &[]),
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[]),
    ];

    /// Suites whose name has one of these words; those of TLS 1.3 have none for a kind of key.
    fn suites(words: &[&str]) -> Vec<SupportedCipherSuite> {
        let mut suites = crate::tls::provider().cipher_suites;
        suites.retain(|suite| {
            let name = format!("{:?}", suite.suite());
            words.iter().any(|word| name.starts_with(word))
        });
        assert!(!suites.is_empty());
        suites
    }

    /// What a client that knows these suites and kinds of signatures is shown by a server with these.
    fn shown(known: &[&str], kinds: Kinds, served: &[&str]) -> Vec<u8> {
        let (ours, _keyholder) = socket::message_pair().unwrap();
        let asker = Arc::new(Asker::new(ours));
        let identity = |name: &str, kinds: Kinds| Identity {
            certificate: name.into(),
            key: name.into(),
            schemes: kinds.iter().map(|(scheme, _)| u16::from(*scheme)).collect(),
            chain: vec![name.into()],
        };
        let identities = [identity("rsa", RSA), identity("elliptic", ELLIPTIC)];
        let config = Config {
            rsa_cert_file: Some("rsa".into()),
            dsa_cert_file: Some("elliptic".into()),
            ..Config::default()
        };
        let hosts = Arc::new(Hosts::default());
        let resolver = Resolver::new(&identities, &asker, &config, &hosts, suites(served));
        let mut provider = crate::tls::provider();
        provider.cipher_suites = suites(known);
        let both = [&TLS12, &TLS13];
        let versions = if known.contains(&"TLS13") {
            &both[..]
        } else {
            &both[..1]
        };
        let believer = Anything(WebPkiSupportedAlgorithms {
            all: &[],
            mapping: kinds,
        });
        let client = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(believer))
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        let mut acceptor = Acceptor::default();
        acceptor.read_tls(&mut hello.as_slice()).unwrap();
        let Ok(Some(accepted)) = acceptor.accept() else {
            panic!("no hello");
        };
        let key = resolver.resolve(accepted.client_hello()).unwrap();
        key.cert.first().unwrap().to_vec()
    }

    #[test]
    fn a_client_is_shown_what_it_can_use() {
        let (all, rsa, elliptic) = (
            &["TLS13", "TLS_ECDHE"][..],
            &["TLS_ECDHE_RSA"][..],
            &["TLS_ECDHE_ECDSA"][..],
        );
        // An elliptic curve's where both will do.
        assert_eq!(shown(all, BOTH, all), b"elliptic");
        assert_eq!(shown(rsa, BOTH, all), b"rsa");
        assert_eq!(shown(elliptic, BOTH, all), b"elliptic");
        // The kinds of signatures count too, and what is served.
        assert_eq!(shown(all, RSA, all), b"rsa");
        assert_eq!(shown(all, ELLIPTIC, all), b"elliptic");
        assert_eq!(shown(all, BOTH, rsa), b"rsa");
        assert_eq!(
            shown(&["TLS13", "TLS_ECDHE_RSA"], BOTH, &["TLS_ECDHE"]),
            b"rsa"
        );
        // Who can use none is shown one all the same: its own log says what is wrong with it.
        assert_eq!(shown(elliptic, RSA, all), b"elliptic");
    }
}
