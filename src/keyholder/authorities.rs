//! Reads the authorities that `ca_certs_file` names, and tells master what clients' certificates will be held against; keyholder, without
//! rights.

use super::Telling;
use super::files::{Authorities, Opened};
use super::load::{Unusable, read};
use crate::wire::{Authority, FromReader};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Reports all of them.
///
/// # Errors
/// One cannot be used, or there is none; that has been reported.
pub fn tell(authorities: Authorities, telling: &mut Telling<'_>) -> Result<(), Unusable> {
    let Some((path, file)) = authorities else {
        return Ok(());
    };
    let roots = match all(file) {
        Ok(roots) => roots,
        Err(why) => {
            let path = path.to_string_lossy();
            let text = format!("SSL: cannot load CA file {path}: {why}");
            telling.mistake("ca_certs_file", text)?;
            return Err(Unusable);
        }
    };
    for anchor in roots.roots {
        telling.say(&FromReader::Authority(Authority {
            name: anchor.subject.to_vec(),
            key: anchor.subject_public_key_info.to_vec(),
            limits: anchor.name_constraints.map(|names| names.to_vec()),
        }))?;
    }
    Ok(())
}

fn all(file: Opened) -> Result<RootCertStore, String> {
    let bytes = read(file)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    Ok(roots)
}
