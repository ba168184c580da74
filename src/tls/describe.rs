//! What `debug_ssl` says about a connection, in the original's words; greeter and worker.

use rustls::{CommonState, HandshakeKind, ProtocolVersion};

/// One line about a handshake that has ended.
pub fn describe(connection: &CommonState) -> String {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        Some(_) | None => "unknown",
    };
    let cipher = connection
        .negotiated_cipher_suite()
        .map_or_else(String::new, |suite| format!("{:?}", suite.suite()));
    let reused = match connection.handshake_kind() {
        Some(HandshakeKind::Resumed) => "reused",
        Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) | None => "not reused",
    };
    let certificate = match connection.peer_certificates() {
        Some([_, ..]) => "CERT PRESENTED",
        Some([]) | None => "no cert",
    };
    let alpn = connection.alpn_protocol().map_or_else(String::new, |name| {
        format!(", ALPN {}", name.escape_ascii())
    });
    format!("SSL version: {version}, SSL cipher: {cipher}, {reused}, {certificate}{alpn}")
}
