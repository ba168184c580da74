//! Reads certificates and keys and makes sure that they fit, with a sentence about everything that does not; keyholder, without rights.

use super::Telling;
use super::files::{Files, LONGEST, Opened};
use super::validity;
use crate::config::certificates::Pair;
use crate::tls;
use crate::wire::FromReader;
use rustls::SignatureScheme;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use std::io::Read;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// Every scheme a key may know, the best first (RFC 8446, 4.2.3): ECDSA, Ed25519, RSA-PSS, RSA-PKCS1.
const SCHEMES: [u16; 10] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601,
];

/// What is said of a key that cannot be used; the library knows no more than that.
const KINDS: &str = "a key of this kind or size cannot be used: RSA with 2048 to 8192 bits, ECDSA with P-256 or P-384, and Ed25519 can";

/// Something is wrong, and master has been told.
pub struct Unusable;

/// Loads every pair that the options name and reports it.
///
/// # Errors
/// One of them cannot be used, or there is none; all mistakes have been reported.
pub fn load(
    pairs: Vec<Files>,
    telling: &mut Telling<'_>,
) -> Result<Vec<Arc<dyn SigningKey>>, Unusable> {
    let provider = tls::provider();
    let mut keys = Vec::new();
    let mut wrong = false;
    if pairs.is_empty() {
        wrong = true;
        let text = "ssl_enable=YES needs a certificate: name one".to_owned();
        telling.mistake("rsa_cert_file", text)?;
    }
    for files in pairs {
        let pair = files.pair.clone();
        match load_pair(files, &provider) {
            Ok((certified, remarks)) => {
                for text in remarks {
                    let remark = telling.loaded.mistake(pair.certificate_option, text);
                    telling.say(&FromReader::Remark(remark.into_bytes()))?;
                }
                keys.push(report(certified, pair, telling)?);
            }
            Err((option, text)) => {
                wrong = true;
                telling.mistake(option, text)?;
            }
        }
    }
    if wrong { Err(Unusable) } else { Ok(keys) }
}

/// The option and what is wrong with it.
type Fault = (&'static str, String);

fn load_pair(
    files: Files,
    provider: &CryptoProvider,
) -> Result<(CertifiedKey, Vec<String>), Fault> {
    let pair = &files.pair;
    let (cert_file, key_file) = (
        pair.certificate.to_string_lossy(),
        pair.key.to_string_lossy(),
    );
    let certificate = |text: String| {
        let text = format!("SSL: cannot load certificate {cert_file}: {text}");
        (pair.certificate_option, text)
    };
    let key = |text: String| {
        let text = format!("SSL: cannot load private key {key_file}: {text}");
        (pair.key_option, text)
    };
    let bytes = read(files.certificate).map_err(certificate)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| certificate(torn(&error)))?;
    let Some(first) = chain.first() else {
        return Err(certificate(
            "there is no certificate in PEM in it".to_owned(),
        ));
    };
    let remarks = dates(first, &cert_file);
    let bytes = read(files.key).map_err(key)?;
    let private = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| key(no_key(&bytes)))?;
    let signing = provider.key_provider.load_private_key(private);
    let signing = signing.map_err(|_| key(KINDS.to_owned()))?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) => Ok((certified, remarks)),
        Err(rustls::Error::InconsistentKeys(_)) => Err(key(format!(
            "it is not the key of the certificate in {cert_file}"
        ))),
        Err(error) => Err(certificate(error.to_string())),
    }
}

/// What the administrator should know of a certificate's dates. An expired one is used: clients may accept it, and none is worse.
fn dates(certificate: &CertificateDer<'_>, file: &str) -> Vec<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let Some((from, until)) = validity::of(certificate) else {
        return Vec::new();
    };
    let days = |seconds: i64| seconds.unsigned_abs().div_ceil(86_400);
    if until < now {
        let ago = days(now.saturating_sub(until));
        vec![format!(
            "the certificate in {file} has expired {ago} day(s) ago: renew it; most clients refuse it"
        )]
    } else if from > now {
        let ahead = days(from.saturating_sub(now));
        vec![format!(
            "the certificate in {file} is valid only in {ahead} day(s): is the clock right?"
        )]
    } else {
        Vec::new()
    }
}

/// What is wrong with a file of certificates.
fn torn(error: &pem::Error) -> String {
    if matches!(error, pem::Error::MissingSectionEnd { end_marker: _ }) {
        "a certificate in it has no end: the file is cut short".to_owned()
    } else {
        error.to_string()
    }
}

/// Why there is no key in a file.
fn no_key(bytes: &[u8]) -> String {
    let has = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    if has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED") {
        "it is encrypted, and nobody is there to ask for the passphrase; write one without: openssl pkey -in KEY -out NEW".to_owned()
    } else if has(b"BEGIN DSA PRIVATE KEY") {
        "it is a DSA key, which TLS does not use any more: use ECDSA or RSA".to_owned()
    } else {
        "there is no private key in PEM in it".to_owned()
    }
}

pub fn read(file: Opened) -> Result<Zeroizing<Vec<u8>>, String> {
    let (file, room) = file?;
    // Room for all of it from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(room.saturating_add(1)));
    let read = file.take(LONGEST).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Tells master the public half.
fn report(
    certified: CertifiedKey,
    pair: Pair,
    telling: &mut Telling<'_>,
) -> Result<Arc<dyn SigningKey>, Unusable> {
    let known = |scheme: &u16| {
        let scheme = SignatureScheme::from(*scheme);
        certified.key.choose_scheme(&[scheme]).is_some()
    };
    let schemes = SCHEMES.into_iter().filter(known).collect();
    let (certificate, key) = (pair.certificate, pair.key);
    telling.say(&FromReader::Key {
        certificate,
        key,
        schemes,
    })?;
    for certificate in &certified.cert {
        telling.say(&FromReader::Certificate(certificate.to_vec()))?;
    }
    Ok(certified.key)
}
