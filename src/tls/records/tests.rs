//! Records against the library's own client, over a pair of sockets; runs in the test process.

use super::{LEAST, Records};
use crate::sys::socket;
use crate::tls::link::Failure;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    SupportedProtocolVersion,
};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

type Client = StreamOwned<ClientConnection, UnixStream>;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// A server and a client of its certificate; the client shows the same one, `padding` times more than it need.
pub fn configs(
    version: &'static SupportedProtocolVersion,
    padding: Option<usize>,
) -> (ServerConfig, ClientConfig) {
    let pair = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap();
    let certificate = certificate.self_signed(&pair).unwrap().der().clone();
    let key = || PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
    let provider = Arc::new(crate::tls::provider());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let roots = Arc::new(roots);
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots.clone());
    let chain =
        |length: usize| -> Vec<CertificateDer<'static>> { vec![certificate.clone(); length] };
    let (server, client) = match padding {
        None => (server.with_no_client_auth(), client.with_no_client_auth()),
        Some(padding) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = verifier.build().unwrap();
            let shown = chain(padding.saturating_add(1));
            assert!(shown.iter().map(|one| one.len()).sum::<usize>() > LEAST);
            let client = client.with_client_auth_cert(shown, key()).unwrap();
            (server.with_client_cert_verifier(verifier), client)
        }
    };
    (server.with_single_cert(chain(1), key()).unwrap(), client)
}

/// A connection after its handshake, and what the client does meanwhile and then.
fn connected<T: Send + 'static>(
    (server, client): (ServerConfig, ClientConfig),
    work: impl FnOnce(Client) -> T + Send + 'static,
) -> (Records, OwnedFd, JoinHandle<T>) {
    let (ours, theirs) = socket::stream_pair().unwrap();
    let client = std::thread::spawn(move || {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(client), name).unwrap();
        work(StreamOwned::new(connection, UnixStream::from(theirs)))
    });
    let mut records = Records::new(server).unwrap();
    records.handshake(ours.as_fd(), soon()).unwrap();
    (records, ours, client)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * at / 7 % 251) as u8).collect()
}

#[test]
fn uploads_in_pieces_of_any_size() {
    for version in VERSIONS {
        for most in [1, 700, 4096, LEAST, usize::MAX] {
            let text = pattern(if most == 1 { 20_000 } else { 500_000 });
            let sent = text.clone();
            let (mut records, fd, client) = connected(configs(version, None), move |mut client| {
                client.write_all(&sent).unwrap();
                client.conn.send_close_notify();
                while client.conn.wants_write() {
                    client.conn.write_tls(&mut client.sock).unwrap();
                }
                client
            });
            if version == VERSIONS[0] {
                records.flush(fd.as_fd()).unwrap();
            }
            let mut found = Vec::new();
            loop {
                records
                    .open(Some(&mut |clear| {
                        found.extend_from_slice(clear);
                        true
                    }))
                    .unwrap();
                if records.ended() {
                    break;
                }
                assert!(records.receive(fd.as_fd(), most).unwrap() > 0);
            }
            assert!(found == text, "{version:?}, {most}");
            drop(client.join().unwrap());
        }
    }
}

#[test]
fn downloads() {
    for version in VERSIONS {
        let text = pattern(200_000);
        let (mut records, fd, client) = connected(configs(version, None), |mut client| {
            let mut found = Vec::new();
            client.read_to_end(&mut found).unwrap();
            found
        });
        for piece in text.chunks(70_000) {
            records.seal(piece).unwrap();
            records.flush(fd.as_fd()).unwrap();
        }
        records.seal_end().unwrap();
        records.flush(fd.as_fd()).unwrap();
        assert!(client.join().unwrap() == text, "{version:?}");
    }
}

/// With keys that are changed on the way.
#[test]
fn new_keys() {
    let configs = configs(VERSIONS[1], None);
    let (mut records, fd, client) = connected(configs, |mut client| {
        client.write_all(b"one").unwrap();
        client.conn.refresh_traffic_keys().unwrap();
        client.write_all(b"two").unwrap();
        let mut found = Vec::new();
        client.read_to_end(&mut found).unwrap();
        found
    });
    let mut found = Vec::new();
    loop {
        records
            .open(Some(&mut |clear| {
                found.extend_from_slice(clear);
                true
            }))
            .unwrap();
        if found.len() >= 6 {
            break;
        }
        assert!(records.receive(fd.as_fd(), usize::MAX).unwrap() > 0);
    }
    assert_eq!(found, b"onetwo");
    records.seal(b"three").unwrap();
    records.seal_end().unwrap();
    records.flush(fd.as_fd()).unwrap();
    assert_eq!(client.join().unwrap(), b"three");
}

/// A message of the handshake that is longer than a record.
#[test]
fn a_long_chain() {
    for version in VERSIONS {
        let (mut records, fd, client) = connected(configs(version, Some(90)), |mut client| {
            let mut found = Vec::new();
            client.read_to_end(&mut found).unwrap();
            found
        });
        assert_eq!(records.state().peer_certificates().unwrap().len(), 91);
        records.seal_end().unwrap();
        records.flush(fd.as_fd()).unwrap();
        assert_eq!(client.join().unwrap(), b"");
    }
}

#[test]
fn what_is_no_tls_is_told_so() {
    let (ours, theirs) = socket::stream_pair().unwrap();
    let mut theirs = UnixStream::from(theirs);
    theirs.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let (server, _) = configs(VERSIONS[1], None);
    let mut records = Records::new(server).unwrap();
    let result = records.handshake(ours.as_fd(), soon());
    assert!(matches!(result, Err(Failure::Tls(_))));
    drop(ours);
    let mut said = Vec::new();
    // What was not read is answered by a reset, after the alert.
    let _ = theirs.read_to_end(&mut said);
    assert_eq!(said.first(), Some(&21), "{said:?}");
}

/// A record that was changed on the way ends it, and what came before it counts.
#[test]
fn a_damaged_record() {
    let configs = configs(VERSIONS[1], None);
    let (mut records, fd, client) = connected(configs, |mut client| {
        client.write_all(b"good").unwrap();
        client.sock.write_all(b"\x17\x03\x03\x00\x20").unwrap();
        client.sock.write_all(&[7; 32]).unwrap();
        let mut text = Vec::new();
        client.read_to_end(&mut text).unwrap_err().to_string()
    });
    let mut found = Vec::new();
    let error = loop {
        let opened = records.open(Some(&mut |clear| {
            found.extend_from_slice(clear);
            true
        }));
        if let Err(error) = opened {
            break error;
        }
        assert!(records.receive(fd.as_fd(), usize::MAX).unwrap() > 0);
    };
    assert_eq!(error, rustls::Error::DecryptError);
    assert_eq!(found, b"good");
    assert!(records.open(None).is_err() && records.seal(b"x").is_err());
    records.last_words(fd.as_fd());
    let told = client.join().unwrap();
    assert!(told.contains("BadRecordMac"), "{told}");
}

/// Who goes on talking behind our end is listened to until the deadline, not until it is silent.
#[test]
fn a_client_that_goes_on_talking() {
    for version in VERSIONS {
        let (mut records, fd, client) = connected(configs(version, None), |mut client| {
            client.write_all(&pattern(30_000)).unwrap();
            client
        });
        if version == VERSIONS[0] {
            records.flush(fd.as_fd()).unwrap();
        }
        let mut client = client.join().unwrap();
        assert!(!records.closed_by(fd.as_fd(), Some(Instant::now())));
        assert!(socket::readable(fd.as_fd(), Some(Instant::now())).unwrap());
        client.conn.send_close_notify();
        client.flush().unwrap();
        assert!(records.closed_by(fd.as_fd(), Some(soon())));
    }
}
