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
