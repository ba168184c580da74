//! Which modules the host's name service has for accounts, as nsswitch.conf(5) says; reader, without rights.

/// The most that is read of it.
pub const LONGEST: usize = 64 * 1024;

/// The sources that nsswitch.conf(5) names for accounts, without those that are part of the C library.
pub fn sources(text: &[u8]) -> Vec<&[u8]> {
    let mut found: Vec<&[u8]> = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let database = halves.next().unwrap_or_default().trim_ascii();
        if !matches!(database, b"passwd" | b"group" | b"shadow" | b"initgroups") {
            continue;
        }
        let words = halves.next().unwrap_or_default();
        let words = words.split(u8::is_ascii_whitespace).filter(|word| {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            !word.is_empty() && word.iter().all(plain) && !matches!(*word, b"files" | b"dns")
        });
        found.extend(words);
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::sources;

    #[test]
    fn the_sources_of_accounts() {
        let text = b"# passwd: nis\npasswd:\tfiles systemd sss [NOTFOUND=return] # ldap\ngroup: files\n  shadow :files  db\n\
            hosts: files mdns\ninitgroups: ../../evil winbind";
        let found: Vec<_> = sources(text)
            .into_iter()
            .map(String::from_utf8_lossy)
            .collect();
        assert_eq!(found, ["db", "sss", "systemd", "winbind"]);
        assert!(sources(b"").is_empty() && sources(b"passwd").is_empty());
    }
}
