//! A small FTPS client over rustls that accepts every certificate, and certificates to serve; runs in the test process.

use super::trust::Anything;
use super::{DEADLINE, Host};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, HandshakeKind, StreamOwned,
    SupportedProtocolVersion,
};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

/// Where the server's certificate and key are, as vsftpd's users have them: in one file.
pub const PEM: &str = "/etc/vsftpd.pem";

/// What a server with TLS is told.
pub const ON: &str = "ssl_enable=YES\nrsa_cert_file=/etc/vsftpd.pem\nallow_anon_ssl=YES\n";

/// A key and its certificate.
pub struct Pair {
    pub certificate: CertificateDer<'static>,
    pub key: Vec<u8>,
    pub pem: String,
    pub key_pem: String,
}

/// A fresh ECDSA key and a certificate for `localhost` of its own.
pub fn pair() -> Pair {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    let certificate = params.self_signed(&key).unwrap();
    Pair {
        certificate: certificate.der().clone(),
        key: key.serialize_der(),
        pem: certificate.pem(),
        key_pem: key.serialize_pem(),
    }
}

/// Puts a fresh certificate in its place.
pub fn certificate(host: &Host) -> Pair {
    let pair = pair();
    host.write(PEM, &format!("{}{}", pair.key_pem, pair.pem));
    host.mode(PEM, 0o600);
    pair
}

pub const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
pub const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
pub const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// What a client offers; it shows a certificate if it has one.
pub fn offer(versions: &[&'static SupportedProtocolVersion], own: Option<&Pair>) -> ClientConfig {
    offer_of(rustls::crypto::ring::default_provider(), versions, own)
}

/// A client that knows these suites alone, the one it likes best first.
pub fn offer_suites(
    versions: &[&'static SupportedProtocolVersion],
    suites: &[CipherSuite],
) -> ClientConfig {
    let mut provider = rustls::crypto::ring::default_provider();
    let place = |suite| suites.iter().position(|wanted| *wanted == suite);
    provider
        .cipher_suites
        .retain(|suite| place(suite.suite()).is_some());
    provider
        .cipher_suites
        .sort_by_key(|suite| place(suite.suite()));
    offer_of(provider, versions, None)
}

fn offer_of(
    provider: CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
    own: Option<&Pair>,
) -> ClientConfig {
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything(algorithms)));
    match own {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::try_from(pair.key.clone()).unwrap();
            builder
                .with_client_auth_cert(vec![pair.certificate.clone()], key)
                .unwrap()
        }
    }
}

pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// The handshake as `localhost`, or what was wrong with it.
pub fn handshake(config: &Arc<ClientConfig>, stream: TcpStream) -> std::io::Result<Stream> {
    handshake_as(config, stream, "localhost")
}

pub fn handshake_as(
    config: &Arc<ClientConfig>,
    mut stream: TcpStream,
    name: &str,
) -> std::io::Result<Stream> {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
    while tls.is_handshaking() || tls.wants_write() {
        tls.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(tls, stream))
}

/// A control connection under TLS.
pub struct Ftps {
    pub input: BufReader<Stream>,
    pub config: Arc<ClientConfig>,
    server: IpAddr,
}

impl Ftps {
    /// Says AUTH TLS on a greeted connection and performs the handshake.
    pub fn upgrade(config: ClientConfig) -> Ftps {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        assert!(clear_line(&mut stream).starts_with("220 "));
        stream.write_all(b"AUTH TLS\r\n").unwrap();
        assert!(clear_line(&mut stream).starts_with("234 "));
        Ftps::over(Arc::new(config), stream)
    }

    /// Performs the handshake on a connection.
    pub fn over(config: Arc<ClientConfig>, stream: TcpStream) -> Ftps {
        let tls = handshake(&config, stream).unwrap();
        Ftps::of(config, tls)
    }

    /// Over a connection whose handshake has been performed.
    pub fn of(config: Arc<ClientConfig>, tls: Stream) -> Ftps {
        let server = tls.sock.peer_addr().unwrap().ip();
        Ftps {
            input: BufReader::new(tls),
            config,
            server,
        }
    }

    /// Logged in as alice, with protected data connections.
    pub fn alice(config: ClientConfig) -> Ftps {
        let mut client = Ftps::upgrade(config);
        client.login("alice");
        client.says("PBSZ 0", "200 PBSZ set to 0.");
        client.says("PROT P", "200 PROT now Private.");
        client
    }

    pub fn login(&mut self, name: &str) {
        self.says(&format!("USER {name}"), "331 Please specify the password.");
        self.says("PASS secret", "230 Login successful.");
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.input.get_mut().write_all(bytes).unwrap();
        self.input.get_mut().flush().unwrap();
    }

    /// One reply of one or more lines, without the last CRLF; empty at the end.
    pub fn reply(&mut self) -> String {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            match self.input.read_line(&mut line) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                Err(error) => panic!("no reply: {error}, so far {text:?}"),
            }
            if line.is_empty() {
                return text;
            }
            text.push_str(&line);
            let code = text.get(..3).unwrap().to_owned();
            if line.starts_with(&format!("{code} ")) {
                return text.trim_end_matches("\r\n").to_owned();
            }
        }
    }

    pub fn cmd(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n").as_bytes());
        self.reply()
    }

    #[track_caller]
    pub fn says(&mut self, command: &str, expected: &str) {
        assert_eq!(self.cmd(command), expected, "reply to {command:?}");
    }

    #[track_caller]
    pub fn next(&mut self, expected: &str) {
        assert_eq!(self.reply(), expected);
    }

    /// A passive data connection, still in clear.
    pub fn passive(&mut self) -> TcpStream {
        let reply = self.cmd("EPSV");
        let start = reply
            .strip_prefix("229 Entering Extended Passive Mode (|||")
            .unwrap_or_else(|| panic!("EPSV: {reply}"));
        let port: u16 = start.strip_suffix("|)").unwrap().parse().unwrap();
        TcpStream::connect(SocketAddr::new(self.server, port)).unwrap()
    }

    /// Starts a transfer and performs the handshake for it with this offer.
    #[track_caller]
    pub fn begin_with(
        &mut self,
        command: &str,
        config: &Arc<ClientConfig>,
    ) -> std::io::Result<Stream> {
        let stream = self.passive();
        let reply = self.cmd(command);
        assert!(reply.starts_with("150 "), "{command}: {reply}");
        handshake(config, stream)
    }

    #[track_caller]
    pub fn begin(&mut self, command: &str) -> Stream {
        let config = Arc::clone(&self.config);
        self.begin_with(command, &config).unwrap()
    }

    #[track_caller]
    pub fn fetch(&mut self, command: &str) -> Vec<u8> {
        let mut stream = self.begin(command);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        farewell(stream);
        let end = self.reply();
        assert!(end.starts_with("226 "), "{command}: {end}");
        bytes
    }

    /// Uploads, announces the end, and gives the last reply.
    #[track_caller]
    pub fn store(&mut self, command: &str, bytes: &[u8]) -> String {
        let mut stream = self.begin(command);
        stream.write_all(bytes).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        // As clients do: the server's own end, and the tickets before it, are read.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        self.reply()
    }

    /// Takes what comes for damaged, and says so.
    pub fn alert(&mut self) {
        let stream = self.input.get_mut();
        let record = [&[0x17, 3, 3, 0, 64][..], &[0x5a; 64]].concat();
        stream.conn.read_tls(&mut record.as_slice()).unwrap();
        stream.conn.process_new_packets().unwrap_err();
        stream.conn.write_tls(&mut stream.sock).unwrap();
    }

    /// The suite that was chosen for the control connection.
    pub fn suite(&self) -> CipherSuite {
        let suite = self.input.get_ref().conn.negotiated_cipher_suite();
        suite.unwrap().suite()
    }

    /// The control connection, below TLS.
    pub fn socket(&self) -> &TcpStream {
        &self.input.get_ref().sock
    }

    /// Leaves with a reset.
    pub fn reset(self) {
        super::client::ends_with_a_reset(self.socket());
    }

    pub fn resumed(stream: &Stream) -> bool {
        stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

/// Announces the end and closes.
pub fn farewell(mut stream: Stream) {
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

/// A line of a connection in clear, read byte by byte so that nothing of what follows is taken.
pub fn clear_line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") && stream.read(&mut byte).unwrap() == 1 {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}
