//! What a server signs in a TLS handshake, and nothing else: the keyholder's check of everything it is asked to sign.

/// TLS 1.3 (RFC 8446, 4.4.3): 64 blanks, the context, a zero, and the hash of the handshake.
const SERVER: &[u8] = b"TLS 1.3, server CertificateVerify\0";
const BLANKS: usize = 64;
/// SHA-256 and SHA-384.
const HASHES: [usize; 2] = [32, 48];

/// TLS 1.2 (RFC 8422, 5.4): both randoms, then the parameters: a named curve, its number, and a point on it.
const RANDOMS: usize = 64;
const NAMED_CURVE: u8 = 3;
/// Group, length of its point, first byte of the point if that is fixed: x25519, secp256r1, secp384r1.
const GROUPS: [(u16, usize, Option<u8>); 3] = [
    (0x001d, 32, None),
    (0x0017, 65, Some(4)),
    (0x0018, 97, Some(4)),
];

/// Whether these bytes are what a server signs in a handshake of TLS 1.2 or 1.3.
pub fn is_handshake(content: &[u8]) -> bool {
    is_certificate_verify(content) || is_key_exchange(content)
}

fn is_certificate_verify(content: &[u8]) -> bool {
    let Some((blanks, rest)) = content.split_at_checked(BLANKS) else {
        return false;
    };
    let hash = rest.strip_prefix(SERVER);
    blanks.iter().all(|byte| *byte == b' ') && hash.is_some_and(|hash| HASHES.contains(&hash.len()))
}

fn is_key_exchange(content: &[u8]) -> bool {
    let Some((_, params)) = content.split_at_checked(RANDOMS) else {
        return false;
    };
    let [NAMED_CURVE, high, low, length, point @ ..] = params else {
        return false;
    };
    let group = u16::from_be_bytes([*high, *low]);
    // What looks like the other version's content is never this one's: 64 blanks are no two randoms.
    let random = !content.iter().take(RANDOMS).all(|byte| *byte == b' ');
    random
        && GROUPS.iter().any(|(number, size, first)| {
            *number == group
                && usize::from(*length) == *size
                && point.len() == *size
                && first.is_none_or(|first| point.first() == Some(&first))
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::is_handshake;

    fn verify(context: &[u8], hash: usize) -> Vec<u8> {
        [&[b' '; 64], context, &vec![7; hash]].concat()
    }

    fn exchange(group: u16, point: &[u8]) -> Vec<u8> {
        let length = u8::try_from(point.len()).unwrap();
        let [high, low] = group.to_be_bytes();
        [&[9; 64][..], &[3, high, low, length], point].concat()
    }

    #[test]
    fn handshakes_pass() {
        let server = b"TLS 1.3, server CertificateVerify\0";
        assert!(is_handshake(&verify(server, 32)) && is_handshake(&verify(server, 48)));
        assert!(is_handshake(&exchange(0x1d, &[1; 32])));
        let mut point = [1; 65];
        point[0] = 4;
        assert!(is_handshake(&exchange(0x17, &point)));
    }

    #[test]
    fn randoms_may_hold_blanks() {
        let mut content = exchange(0x1d, &[1; 32]);
        for end in [1, 32, 63] {
            content[..end].fill(b' ');
            assert!(is_handshake(&content), "{end}");
        }
    }

    #[test]
    fn blanks_are_all_blank() {
        let server = b"TLS 1.3, server CertificateVerify\0";
        for at in [0, 31, 63] {
            let mut content = verify(server, 32);
            content[at] = b'x';
            assert!(!is_handshake(&content), "{at}");
        }
    }

    #[test]
    fn a_point_is_one_of_its_group_and_as_long_as_it_says() {
        let mut point = [1; 97];
        point[0] = 4;
        assert!(is_handshake(&exchange(0x18, &point)));
        assert!(!is_handshake(&exchange(0x18, &[1; 97])));
        for group in [0x16, 0x18, 0x1d, 0x1e, 0x1117] {
            assert!(!is_handshake(&exchange(group, &point[..65])), "{group}");
        }
        let mut said = exchange(0x17, &point[..65]);
        for length in [0, 32, 64, 66, 97] {
            said[67] = length;
            assert!(!is_handshake(&said), "{length}");
        }
        let mut explicit = exchange(0x1d, &[1; 32]);
        explicit[64] = 1;
        assert!(!is_handshake(&explicit));
    }

    #[test]
    fn nothing_else_passes() {
        let client = b"TLS 1.3, client CertificateVerify\0";
        let server = b"TLS 1.3, server CertificateVerify\0";
        assert!(!is_handshake(&verify(client, 32)));
        assert!(!is_handshake(&verify(server, 31)) && !is_handshake(&verify(server, 64)));
        assert!(!is_handshake(&verify(b"", 98)));
        assert!(!is_handshake(b"") && !is_handshake(b"please sign this request"));
        assert!(!is_handshake(&exchange(0x1d, &[1; 33])));
        assert!(!is_handshake(&exchange(0x17, &[1; 65])));
        assert!(!is_handshake(&exchange(0x19, &[4; 133])));
        let mut long = exchange(0x1d, &[1; 32]);
        long.push(0);
        assert!(!is_handshake(&long));
        let mut blanks = exchange(0x1d, &[1; 32]);
        blanks[..64].fill(b' ');
        assert!(!is_handshake(&blanks));
    }
}
