//! `ssl_ciphers` as OpenSSL writes it, understood as far as there are cipher suites here; pure, runs in the reader.

use super::loaded::Loaded;
use std::os::unix::ffi::OsStrExt;

/// The cipher suites for TLS 1.2 that there are, forward secret and authenticated, as TLS numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
enum Suite {
    EcdsaAes256 = 0xC02C,
    RsaAes256 = 0xC030,
    EcdsaChacha = 0xCCA9,
    RsaChacha = 0xCCA8,
    EcdsaAes128 = 0xC02B,
    RsaAes128 = 0xC02F,
}

/// A suite, its two names, and the words of ciphers(1) that mean it and others, all in capitals.
type Row = (Suite, &'static str, &'static str, &'static [&'static str]);

/// In OpenSSL's order of preference.
const ROWS: [Row; 6] = [
    (
        Suite::EcdsaAes256,
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        &["AES256", "AES", "AESGCM", "SHA384", "AECDSA", "ECDSA"],
    ),
    (
        Suite::RsaAes256,
        "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        &["AES256", "AES", "AESGCM", "SHA384", "ARSA"],
    ),
    (
        Suite::EcdsaChacha,
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        &["CHACHA20", "AECDSA", "ECDSA"],
    ),
    (
        Suite::RsaChacha,
        "ECDHE-RSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        &["CHACHA20", "ARSA"],
    ),
    (
        Suite::EcdsaAes128,
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        &["AES128", "AES", "AESGCM", "SHA256", "AECDSA", "ECDSA"],
    ),
    (
        Suite::RsaAes128,
        "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        &["AES128", "AES", "AESGCM", "SHA256", "ARSA"],
    ),
];

/// Words that mean every suite there is here.
const EVERY: [&str; 11] = [
    "ALL", "DEFAULT", "HIGH", "ECDHE", "EECDH", "KECDHE", "KEECDH", "ECDH", "TLSV1.2", "AEAD",
    "FIPS",
];

/// The numbers of the suites of the settings, the most wanted first.
pub fn chosen(loaded: &Loaded) -> Vec<u16> {
    let suites = wanted(loaded).into_iter();
    suites.map(|suite| suite as u16).collect()
}

/// Where nobody has set the option, its default, which is one for RSA, is taken for every kind of certificate.
fn wanted(loaded: &Loaded) -> Vec<Suite> {
    if !loaded.is_set("ssl_ciphers") {
        return vec![Suite::EcdsaAes256, Suite::RsaAes256];
    }
    let text = loaded.config.ssl_ciphers.as_deref();
    text.map_or_else(every, |text| {
        understood(&String::from_utf8_lossy(text.as_bytes()))
    })
}

fn every() -> Vec<Suite> {
    ROWS.iter().map(|row| row.0).collect()
}

/// A list as ciphers(1) describes it; what it names and we do not have is left out.
fn understood(text: &str) -> Vec<Suite> {
    let mut list: Vec<Suite> = Vec::new();
    let mut killed: Vec<Suite> = Vec::new();
    for word in text.split([':', ',', ' ', ';']).filter(|w| !w.is_empty()) {
        // @STRENGTH and @SECLEVEL: ours are sorted by strength and above every level.
        if word.starts_with('@') {
            continue;
        }
        let (how, name) = match word.split_at_checked(1) {
            Some((how @ ("!" | "-" | "+"), name)) => (how, name),
            Some(_) | None => ("", word),
        };
        let meant = meant(name);
        if how != "+" {
            list.retain(|suite| how.is_empty() || !meant.contains(suite));
        }
        match how {
            "!" => killed.extend(meant),
            "-" => {}
            "+" => {
                let (moved, stay): (Vec<_>, Vec<_>) =
                    list.iter().partition(|suite| meant.contains(suite));
                list = [stay, moved].concat();
            }
            _ => {
                let fresh = meant
                    .into_iter()
                    .filter(|suite| !killed.contains(suite) && !list.contains(suite));
                list.extend(fresh.collect::<Vec<_>>());
            }
        }
    }
    list
}

/// The suites a word means; `A+B` means those that are both.
fn meant(word: &str) -> Vec<Suite> {
    let parts: Vec<String> = word.split('+').map(str::to_ascii_uppercase).collect();
    let fits = |row: &&Row| {
        parts.iter().all(|part| {
            let part = part.as_str();
            row.1 == part || row.2 == part || EVERY.contains(&part) || row.3.contains(&part)
        })
    };
    ROWS.iter().filter(fits).map(|row| row.0).collect()
}

#[cfg(test)]
mod tests {
    use super::{Suite, every, understood};

    #[test]
    fn openssl_lists() {
        assert_eq!(understood("HIGH"), every());
        assert_eq!(understood("HIGH:!aNULL:!MD5"), every());
        assert_eq!(understood("ECDHE+AESGCM:!aRSA").len(), 2);
        assert_eq!(
            understood("ECDHE-RSA-AES256-GCM-SHA384"),
            [Suite::RsaAes256]
        );
        assert_eq!(
            understood("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384,AES128-SHA"),
            [Suite::RsaAes128, Suite::RsaAes256]
        );
        assert_eq!(
            understood("ALL:-CHACHA20:@STRENGTH:+AES128"),
            [
                Suite::EcdsaAes256,
                Suite::RsaAes256,
                Suite::EcdsaAes128,
                Suite::RsaAes128
            ]
        );
        assert_eq!(
            understood("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
            [Suite::EcdsaChacha]
        );
    }

    #[test]
    fn nothing_is_left_of_what_we_do_not_have() {
        for text in [
            "DES-CBC3-SHA",
            "AES128-SHA",
            "HIGH:!ECDHE",
            "!ALL:HIGH",
            "kRSA",
            "",
        ] {
            assert_eq!(understood(text), [], "{text}");
        }
    }
}
