//! FTPS: AUTH, PBSZ and PROT, what must be protected, transfers under TLS, and whose data connections are taken (RFC 4217).

use crate::support::log::VSFTPD;
use crate::support::tls::{self, BOTH, Ftps, ON, TLS12, TLS13, clear_line, offer};
use crate::support::{Client, DEADLINE, Host, Server, wait};
use rustls::CipherSuite;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The certificate is an elliptic curve's, which the original's cipher does not serve with TLS 1.2.
const CIPHERS: &str = "ssl_ciphers=ECDHE-ECDSA-AES256-GCM-SHA384\n";

fn start(host: &Host, lines: &str) -> Server {
    tls::certificate(host);
    Server::start(host, &format!("{ON}{CIPHERS}{lines}"))
}

fn logged(host: &Host, text: &str) {
    wait(text, || {
        String::from_utf8_lossy(&host.read(VSFTPD))
            .contains(text)
            .then_some(())
    });
}

/// Attacks B-154.
#[test]
fn before_auth() {
    let host = Host::new();
    let _server = start(&host, "force_local_logins_ssl=NO\n");
    let mut client = Client::connect();
    client.script(&[
        ("PBSZ 0", "503 PBSZ needs a secure connection."),
        ("PROT P", "503 PROT needs a secure connection."),
        ("AUTH KERBEROS", "504 Unknown AUTH type."),
        ("USER alice", "331 Please specify the password."),
        ("PASS secret", "230 Login successful."),
        ("PROT P", "503 PROT needs a secure connection."),
        ("AUTH TLS", "500 Unknown command."),
    ]);
}

#[test]
fn under_tls() {
    let host = Host::new();
    let _server = start(&host, "");
    let mut client = Ftps::upgrade(offer(BOTH, None));
    // Without a PBSZ before it, as in the original (RFC 4217 §9 asks for one).
    client.says("PROT P", "200 PROT now Private.");
    client.says("PBSZ 100000000000000000000", "200 PBSZ set to 0.");
    client.says("PBSZ 0", "200 PBSZ set to 0.");
    client.says("PROT S", "536 PROT not supported.");
    client.says("PROT E", "536 PROT not supported.");
    client.says("PROT X", "504 PROT not recognized.");
    client.says("PROT C", "200 PROT now Clear.");
    client.says("AUTH TLS", "530 Please login with USER and PASS.");
    client.login("alice");
    client.says("PWD", "257 \"/home/alice\" is the current directory");
    let status = client.cmd("STAT");
    assert!(
        status.contains("Control connection is encrypted"),
        "{status}"
    );
    assert!(
        status.contains("Data connections will be plain text"),
        "{status}"
    );
    client.says("PROT P", "200 PROT now Private.");
    client.says("QUIT", "221 Goodbye.");
    assert_eq!(client.reply(), "");
}

/// PROT counts from one data connection to the next, in both directions.
#[test]
fn protection_is_taken_back() {
    let host = Host::new();
    let _server = start(&host, "force_local_data_ssl=NO\n");
    let mut client = Ftps::alice(offer(BOTH, None));
    for _ in 0..2 {
        client.says("PROT P", "200 PROT now Private.");
        assert_eq!(client.fetch("RETR f"), b"hello world\n");
        client.says("PROT C", "200 PROT now Clear.");
        let mut stream = client.passive();
        assert!(client.cmd("RETR f").starts_with("150 "));
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"hello world\n");
        client.next("226 Transfer complete.");
    }
}

#[test]
fn transfers() {
    for versions in [TLS12, TLS13] {
        let host = Host::new();
        let _server = start(&host, "");
        let mut client = Ftps::alice(offer(versions, None));
        assert_eq!(client.fetch("RETR f"), b"hello world\n");
        let big: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        client.says("TYPE I", "200 Switching to Binary mode.");
        assert_eq!(client.store("STOR big", &big), "226 Transfer complete.");
        assert_eq!(host.read("/home/alice/big"), big);
        assert_eq!(client.fetch("RETR big"), big);
        assert_eq!(client.store("APPE big", b"more"), "226 Transfer complete.");
        assert_eq!(
            host.read("/home/alice/big"),
            [big.as_slice(), b"more"].concat()
        );
        let listing = String::from_utf8(client.fetch("NLST d")).unwrap();
        assert_eq!(listing, "d/1\r\nd/2\r\nd/sub\r\n");
        client.says("REST 3000000", "350 Restart position accepted (3000000).");
        assert_eq!(client.fetch("RETR big"), b"more");
        assert_eq!(client.store("STOR big", b"short"), "226 Transfer complete.");
        assert_eq!(host.read("/home/alice/big"), b"short");
        client.says("REST 2", "350 Restart position accepted (2).");
        assert_eq!(client.store("STOR big", b"aped"), "226 Transfer complete.");
        assert_eq!(host.read("/home/alice/big"), b"shaped");
    }
}

/// attacks B-040.
#[test]
fn active_mode() {
    let host = Host::new();
    let _server = start(&host, "");
    let mut client = Ftps::alice(offer(BOTH, None));
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let reply = client.cmd(&format!("PORT 127,0,0,1,{},{}", port >> 8, port & 255));
    assert!(reply.starts_with("200 "), "{reply}");
    client.send(b"RETR f\r\n");
    let (stream, _) = listener.accept().unwrap();
    assert!(client.reply().starts_with("150 "));
    let config = Arc::clone(&client.config);
    let mut data = tls::handshake(&config, stream).unwrap();
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    tls::farewell(data);
    client.next("226 Transfer complete.");
    assert_eq!(bytes, b"hello world\n");
}

#[test]
fn what_must_be_protected() {
    let host = Host::new();
    let _server = start(&host, "");
    let mut client = Client::connect();
    client.says(
        "USER alice",
        "530 Non-anonymous sessions must use encryption.",
    );
    client.closed();
    if host.ours() {
        logged(&host, "login refused: force_local_logins_ssl=YES");
    }
    let mut client = Client::anonymous();
    assert_eq!(client.fetch("RETR pub/file"), b"pubfile");
    let mut client = Ftps::upgrade(offer(BOTH, None));
    client.login("alice");
    let _waits = client.passive();
    let clear = "522 Data connections must be encrypted.";
    client.says("RETR f", clear);
    // Nothing comes behind the refusal, and nothing has changed.
    for command in ["STOR f", "APPE f", "STOU", "LIST", "NLST"] {
        client.says(command, clear);
        client.says("NOOP", "200 NOOP ok.");
    }
    if host.ours() {
        client.says("MLSD", clear);
        client.says("NOOP", "200 NOOP ok.");
    }
    assert_eq!(host.read("/home/alice/f"), b"hello world\n");
    assert!(!host.exists("/home/alice/STOU.1"));
}

#[test]
fn anonymous_logins_that_must_be_protected() {
    let host = Host::new();
    // What must be, may be.
    for allowed in ["", "allow_anon_ssl=NO\n"] {
        let forced = "force_anon_logins_ssl=YES\nforce_anon_data_ssl=YES\n";
        let _server = start(&host, &format!("{forced}{allowed}"));
        let mut client = Client::connect();
        client.says("USER ftp", "530 Anonymous sessions must use encryption.");
        client.closed();
        if host.ours() {
            logged(&host, "login refused: force_anon_logins_ssl=YES");
        }
        let mut client = Ftps::upgrade(offer(BOTH, None));
        client.login("ftp");
        let _waits = client.passive();
        client.says("RETR pub/file", "522 Data connections must be encrypted.");
        client.says("PROT P", "200 PROT now Private.");
        assert_eq!(client.fetch("RETR pub/file"), b"pubfile");
    }
}

/// A certificate of a client's is kept for its data connections, up to 16 KiB of it.
#[test]
fn a_certificate_that_is_too_long() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = start(&host, "");
    let of = |names: usize| {
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<String> = (0..names)
            .map(|name| format!("a-rather-long-name-{name:05}"))
            .collect();
        let params = rcgen::CertificateParams::new(names).unwrap();
        tls::Pair {
            certificate: params.self_signed(&key).unwrap().der().clone(),
            key: key.serialize_der(),
            pem: String::new(),
            key_pem: String::new(),
        }
    };
    let long = of(500);
    assert!((12_000..16_000).contains(&long.certificate.len()));
    let mut client = Ftps::alice(offer(BOTH, Some(&long)));
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
    let longer = of(700);
    assert!(longer.certificate.len() > 16 * 1024);
    let mut client = Ftps::upgrade(offer(TLS13, Some(&longer)));
    assert_eq!(client.reply(), "");
    logged(&host, "TLS: the client's certificate is too long");
}

#[test]
fn anonymous_clients_without_leave_to_use_tls() {
    let host = Host::new();
    let _server = start(&host, "allow_anon_ssl=NO\n");
    let mut client = Ftps::upgrade(offer(BOTH, None));
    client.says("USER ftp", "530 Anonymous sessions may not use encryption.");
    client.login("alice");
}

/// The original asks the name alone, so that an account called ftp may send its password in clear (reference §10, 1).
#[test]
fn a_local_account_with_an_anonymous_name() {
    let host = Host::new();
    let _server = start(&host, "anonymous_enable=NO\n");
    let mut client = Client::connect();
    if host.ours() {
        client.says(
            "USER anonymous",
            "530 Non-anonymous sessions must use encryption.",
        );
        client.closed();
    } else {
        client.says("USER anonymous", "331 Please specify the password.");
    }
}

#[test]
fn implicit() {
    let host = Host::new();
    let _server = start(&host, "implicit_ssl=YES\n");
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
    let mut client = Ftps::over(Arc::new(offer(BOTH, None)), stream);
    let greeting = client.reply();
    assert!(greeting.starts_with("220 (vsFTPd 3.0."), "{greeting}");
    client.login("alice");
    client.says("PROT P", "200 PROT now Private.");
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
}

/// The original never says AUTH TLS unless TLS 1.0 is on (reference §10, 23).
#[test]
fn features() {
    let host = Host::new();
    let _server = start(&host, "");
    let text = Client::connect().cmd("FEAT").text();
    assert!(text.contains("\r\n PBSZ\r\n PROT\r\n"), "{text}");
    if host.ours() {
        assert!(text.starts_with("211-Features:\r\n AUTH TLS\r\n"), "{text}");
    }
}

/// What stands behind AUTH in clear is never taken as said under TLS (attacks B-090); ours says so and closes.
#[test]
fn injected_commands() {
    let host = Host::new();
    let _server = start(&host, "");
    for tail in ["USER evil\r\nPASS x\r\n", "NOOP\r\n", "\u{16}\u{3}\u{1}"] {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        clear_line(&mut stream);
        stream
            .write_all(format!("AUTH TLS\r\n{tail}").as_bytes())
            .unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        assert!(!said.contains("331") && !said.contains("530"), "{said}");
        if host.ours() {
            assert_eq!(said, "421 Nothing may follow AUTH before its reply.\r\n");
            logged(&host, "commands behind AUTH in clear");
        }
    }
    // In a packet of its own, as soon as the server has seen AUTH, or behind its reply: then it is no TLS.
    for (tail, waits) in [
        (&b"USER evil\r\nPASS x\r\n"[..], false),
        (b"USER evil\r\nPASS x\r\n", true),
        (b"\x16\x03\x01\x00\x20\x01", true),
    ] {
        // The original waits long for the rest of a hello.
        if !host.ours() && tail.starts_with(b"\x16") {
            continue;
        }
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        clear_line(&mut stream);
        stream.write_all(b"AUTH TLS\r\n").unwrap();
        if waits {
            assert!(clear_line(&mut stream).starts_with("234 "));
        }
        stream.write_all(tail).unwrap();
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        assert!(!said.contains("331") && !said.contains("530"), "{said}");
    }
}

/// A name given in clear is nobody's under TLS (attacks B-091): the original goes on with it.
#[test]
fn what_was_said_before_is_forgotten() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = start(&host, "force_local_logins_ssl=NO\n");
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
    clear_line(&mut stream);
    stream.write_all(b"USER alice\r\n").unwrap();
    assert!(clear_line(&mut stream).starts_with("331 "));
    stream.write_all(b"AUTH TLS\r\n").unwrap();
    assert!(clear_line(&mut stream).starts_with("234 "));
    let mut client = Ftps::over(Arc::new(offer(BOTH, None)), stream);
    client.says("PASS secret", "503 Login with USER first.");
}

/// So is the encoding of names: somebody between could have it be another than the client's, whose files would have other names then.
#[test]
fn an_encoding_said_before_is_forgotten() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    host.mkdir("/home/alice/\u{4e2d}\u{6587}", 1001);
    let _server = start(&host, "client_charset=GBK\n");
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
    clear_line(&mut stream);
    stream.write_all(b"OPTS UTF8 ON\r\n").unwrap();
    assert!(clear_line(&mut stream).starts_with("200 "));
    stream
        .write_all(b"PBSZ 0\r\nPROT P\r\nAUTH TLS\r\n")
        .unwrap();
    for code in ["503 ", "503 ", "234 "] {
        assert!(clear_line(&mut stream).starts_with(code));
    }
    let mut client = Ftps::over(Arc::new(offer(BOTH, None)), stream);
    client.login("alice");
    client.send(b"CWD \xd6\xd0\xce\xc4\r\n");
    client.next("250 Directory successfully changed.");
    client.says("RETR f", "425 Use PORT or PASV first.");
    let _waits = client.passive();
    client.says("RETR f", "522 Data connections must be encrypted.");
}

/// A data connection that does not resume this session's TLS is refused, and the session goes on; the original ends it
/// (reference §10, 21) (attacks B-043).
#[test]
fn strangers() {
    for versions in [TLS12, TLS13] {
        let host = Host::new();
        let _server = start(&host, "");
        let mut client = Ftps::alice(offer(versions, None));
        let fresh = Arc::new(offer(versions, None));
        // Twice: a first, refused one must not have left it what a second could resume.
        for _ in 0..2 {
            let stream = client.begin_with("RETR f", &fresh);
            let mut bytes = Vec::new();
            if let Ok(mut stream) = stream {
                let _ = stream.read_to_end(&mut bytes);
            }
            assert!(bytes.is_empty());
            assert!(client.reply().starts_with("522 "));
            if !host.ours() {
                return;
            }
        }
        logged(
            &host,
            "does not resume the TLS session of its control connection",
        );
        assert_eq!(client.fetch("RETR f"), b"hello world\n");
    }
}

/// A session of another control connection, even of the same user, is a stranger's (reference §10, 3): the original takes it.
/// See attacks B-043.
#[test]
fn another_sessions_tickets() {
    for versions in [TLS12, TLS13] {
        let host = Host::new();
        let _server = start(&host, "");
        let mut first = Ftps::alice(offer(versions, None));
        let mut second = Ftps::alice(offer(versions, None));
        assert_eq!(second.fetch("RETR f"), b"hello world\n");
        let theirs = Arc::clone(&second.config);
        let stream = first.begin_with("RETR f", &theirs);
        let mut bytes = Vec::new();
        if let Ok(mut stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        let end = first.reply();
        if host.ours() {
            assert!(bytes.is_empty() && end.starts_with("522 "), "{end}");
        } else {
            assert!(end.starts_with("226 "), "{end}");
        }
    }
}

#[test]
fn without_reuse() {
    let host = Host::new();
    let _server = start(&host, "require_ssl_reuse=NO\n");
    let mut client = Ftps::alice(offer(BOTH, None));
    // More than a session may have handshakes signed that resumes.
    for _ in 0..70 {
        let fresh = Arc::new(offer(BOTH, None));
        let mut stream = client.begin_with("RETR f", &fresh).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        tls::farewell(stream);
        assert_eq!(bytes, b"hello world\n");
        client.next("226 Transfer complete.");
    }
    // Uploads too, whose handshake the server ends where it is one of TLS 1.2: the client says nothing before that.
    for versions in [TLS12, BOTH] {
        client.config = Arc::new(offer(versions, None));
        let end = client.store("STOR up", b"new");
        assert_eq!(end, "226 Transfer complete.");
        assert_eq!(host.read("/home/alice/up"), b"new");
    }
}

/// Clients that use each ticket once never run out of them.
#[test]
fn many_files() {
    for versions in [TLS12, TLS13] {
        let host = Host::new();
        let _server = start(&host, "");
        let mut client = Ftps::alice(offer(versions, None));
        for number in 0..60 {
            let mut stream = client.begin("RETR f");
            assert!(Ftps::resumed(&stream), "file {number}");
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            tls::farewell(stream);
            client.next("226 Transfer complete.");
            let end = client.store("STOR small", b"small");
            assert_eq!(end, "226 Transfer complete.");
        }
    }
}

/// A client that uploads and closes without ever having read: no ticket of TLS 1.3 waits for it, so that nothing is reset and lost.
#[test]
fn uploads_of_clients_that_do_not_read() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = start(&host, "");
    let mut client = Ftps::alice(offer(TLS13, None));
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    client.says("TYPE I", "200 Switching to Binary mode.");
    for number in 0..5 {
        let mut stream = client.begin(&format!("STOR big{number}"));
        stream.write_all(&big).unwrap();
        tls::farewell(stream);
        client.next("226 Transfer complete.");
        assert!(host.read(&format!("/home/alice/big{number}")) == big);
    }
}

/// What is protected has a rate and a longest silence like anything else.
#[test]
fn rates_and_stalls() {
    let host = Host::new();
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    host.file("/home/alice/big", &bytes);
    let server = start(&host, "local_max_rate=200000\n");
    let mut c = Ftps::alice(offer(BOTH, None));
    let begun = Instant::now();
    assert_eq!(c.fetch("RETR big"), bytes);
    let down = begun.elapsed();
    assert_eq!(c.store("STOR up", &bytes), "226 Transfer complete.");
    let up = begun.elapsed() - down;
    assert_eq!(host.read("/home/alice/up"), bytes);
    // Two seconds' worth; the first piece may be free (reference 9.7).
    let least = Duration::from_millis(1200);
    assert!(down >= least && up >= least, "{down:?} {up:?}");
    drop((c, server));
    let _server = start(&host, "data_connection_timeout=1\n");
    let mut c = Ftps::alice(offer(BOTH, None));
    let mut stream = c.begin("STOR up");
    stream.write_all(b"and no more").unwrap();
    stream.flush().unwrap();
    c.next("421 Data timeout. Reconnect. Sorry.");
}

/// An upload whose end is not announced may be cut off (attacks B-098, B-050).
#[test]
fn cut_off_uploads() {
    for (lines, expected) in [("", "426 "), ("strict_ssl_read_eof=NO\n", "226 ")] {
        let host = Host::new();
        let _server = start(&host, lines);
        let mut client = Ftps::alice(offer(BOTH, None));
        let mut stream = client.begin("STOR part");
        stream.write_all(b"half").unwrap();
        stream.flush().unwrap();
        stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
        let end = client.reply();
        assert!(end.starts_with(expected), "{lines}: {end}");
        assert_eq!(host.read("/home/alice/part"), b"half");
        if host.ours() && lines.is_empty() {
            logged(&host, "upload: its end was not announced (close_notify)");
        }
        // Within a record there is no end, whatever the option says.
        let mut stream = client.begin("STOR part");
        stream.write_all(b"half").unwrap();
        stream.flush().unwrap();
        let mut socket = &stream.sock;
        socket.write_all(b"\x17\x03\x03\x01\x00cut").unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let end = client.reply();
        let expected = if host.ours() { "426 " } else { expected };
        assert!(end.starts_with(expected), "{lines}: {end}");
    }
}

/// A client that asks for a protocol that is not FTP is somebody led here (attacks B-093).
#[test]
fn application_protocols() {
    let host = Host::new();
    let _server = start(&host, "");
    let try_with = |names: &[&[u8]]| {
        let mut config = offer(BOTH, None);
        config.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
        clear_line(&mut stream);
        stream.write_all(b"AUTH TLS\r\n").unwrap();
        clear_line(&mut stream);
        tls::handshake(&Arc::new(config), stream)
    };
    if host.ours() {
        // The client is told why, on the connection itself (RFC 7301, 3.2).
        let refused = try_with(&[b"http/1.1", b"h2"]).err().unwrap();
        assert!(
            refused.to_string().contains("NoApplicationProtocol"),
            "{refused}"
        );
        let both = try_with(&[b"h2", b"ftp"]).unwrap();
        assert_eq!(both.conn.alpn_protocol(), Some(b"ftp".as_slice()));
    }
    assert!(try_with(&[]).is_ok());
}

/// The rest is ours alone: options the older original on the reference host does not know, and mends.
#[test]
fn host_names() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = start(&host, "ssl_sni_hostname=ftp.example.org\n");
    let try_as = |name: &str| {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
        clear_line(&mut stream);
        stream.write_all(b"AUTH TLS\r\n").unwrap();
        clear_line(&mut stream);
        tls::handshake_as(&Arc::new(offer(BOTH, None)), stream, name)
    };
    assert!(try_as("localhost").is_err());
    logged(&host, "asked for: the host name (ssl_sni_hostname)");
    assert!(try_as("127.0.0.1").is_err());
    assert!(try_as("ftp.example.org").is_ok());
}

#[test]
fn garbage_and_slow_handshakes() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = start(&host, "");
    let mut slow = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
    clear_line(&mut slow);
    slow.write_all(b"AUTH TLS\r\n").unwrap();
    clear_line(&mut slow);
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x16, 3, 1, 0xff, 0xff],
        &[0x80, 0x2e, 1],
    ] {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        clear_line(&mut stream);
        stream.write_all(b"AUTH TLS\r\n").unwrap();
        clear_line(&mut stream);
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        assert!(
            !said.windows(3).any(|w| w == b"220" || w == b"530"),
            "{said:?}"
        );
    }
    // One that says nothing is not waited for for ever.
    slow.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    logged(&host, "the client took too long");
}

/// Attacks B-155.
#[test]
fn ccc_is_refused() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = start(&host, "");
    let mut client = Ftps::upgrade(offer(BOTH, None));
    client.says("CCC", "534 The control connection stays protected.");
    client.login("alice");
    client.says("CCC", "534 The control connection stays protected.");
    client.says("PWD", "257 \"/home/alice\" is the current directory");
}

#[test]
fn certificates_of_clients() {
    let host = Host::new();
    let _server = start(&host, "require_cert=YES\n");
    let fails = std::panic::catch_unwind(|| {
        Ftps::upgrade(offer(TLS12, None));
    });
    assert!(fails.is_err());
    let own = tls::pair();
    let mut client = Ftps::alice(offer(BOTH, Some(&own)));
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
}

/// The certificate of a client that an authority vouches for, whose own is in /etc/ca.pem.
fn vouched_for(host: &Host) -> tls::Pair {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    host.write("/etc/ca.pem", &authority.pem());
    let issuer = rcgen::Issuer::from_params(&params, &key);
    let own = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    let certificate = params.signed_by(&own, &issuer).unwrap();
    tls::Pair {
        certificate: certificate.der().clone(),
        key: own.serialize_der(),
        pem: String::new(),
        key_pem: String::new(),
    }
}

/// Who demands a certificate asks for it: the original does not, and takes everybody (reference 1.1, 54).
#[test]
fn a_certificate_that_is_demanded_is_asked_for() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let good = vouched_for(&host);
    let lines = "require_cert=YES\nssl_request_cert=NO\n";
    let enters = |own| std::panic::catch_unwind(|| drop(Ftps::alice(offer(TLS12, own)))).is_ok();
    let own = tls::pair();
    {
        let _server = start(&host, lines);
        assert!(enters(Some(&own)) && !enters(None));
    }
    // It is held against the authorities too.
    let valid = "validate_cert=YES\nca_certs_file=/etc/ca.pem\n";
    let _server = start(&host, &format!("{lines}{valid}"));
    assert!(enters(Some(&good)) && !enters(Some(&own)) && !enters(None));
}

/// A client that is not asked for its certificate shows none (`ssl_request_cert`).
#[test]
fn certificates_that_are_not_asked_for() {
    let host = Host::new();
    let own = tls::pair();
    for (lines, shown) in [("", true), ("ssl_request_cert=NO\n", false)] {
        let _server = start(&host, &format!("debug_ssl=YES\n{lines}"));
        let mut client = Ftps::alice(offer(TLS12, Some(&own)));
        assert_eq!(client.fetch("RETR f"), b"hello world\n");
        client.says("QUIT", "221 Goodbye.");
        logged(&host, ", reused, ");
        let log = String::from_utf8(host.read(VSFTPD)).unwrap();
        assert_eq!(log.contains(", no cert"), !shown, "{log}");
        host.write(VSFTPD, "");
    }
}

/// What `ssl_ciphers` does not name is not spoken; what it names first is liked best, whatever the client likes.
#[test]
fn suites_that_are_not_named() {
    use rustls::CipherSuite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 as SMALL,
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 as LARGE,
    };
    let chosen = |known: &[CipherSuite]| {
        let suite = || Ftps::alice(tls::offer_suites(TLS12, known)).suite();
        std::panic::catch_unwind(suite).ok()
    };
    let host = Host::new();
    {
        let _server = start(&host, "");
        assert_eq!(chosen(&[LARGE]), Some(LARGE));
        assert_eq!(chosen(&[SMALL, LARGE]), Some(LARGE));
        assert_eq!(chosen(&[SMALL]), None);
    }
    if !host.ours() {
        return;
    }
    let (small, large) = (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    );
    for (first, second, liked) in [(small, large, SMALL), (large, small, LARGE)] {
        let _server = start(&host, &format!("ssl_ciphers={first}:{second}\n"));
        for known in [[SMALL, LARGE], [LARGE, SMALL]] {
            assert_eq!(chosen(&known), Some(liked), "{first} {known:?}");
        }
    }
}

/// The original of Debian 12 does not know these options.
#[test]
fn versions_that_are_switched_off() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    for (lines, older, newer) in [
        ("ssl_tlsv12=NO\n", false, true),
        ("ssl_tlsv13=NO\n", true, false),
        ("", true, true),
    ] {
        let _server = start(&host, lines);
        for (versions, enters) in [(TLS12, older), (TLS13, newer)] {
            let tried = std::panic::catch_unwind(|| drop(Ftps::alice(offer(versions, None))));
            assert_eq!(tried.is_ok(), enters, "{lines}");
        }
    }
    let none = format!("{ON}ssl_tlsv12=NO\nssl_tlsv13=NO\n");
    let (status, said) = Server::refused(&host, &none);
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("no version of TLS is left"), "{said}");
}

/// The certificate of a data connection must be that of its control connection (attacks B-156).
#[test]
fn another_certificate() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = start(&host, "require_ssl_reuse=NO\n");
    let (own, other) = (tls::pair(), tls::pair());
    let mut client = Ftps::alice(offer(BOTH, Some(&own)));
    for wrong in [offer(BOTH, Some(&other)), offer(BOTH, None)] {
        if let Ok(mut stream) = client.begin_with("RETR f", &Arc::new(wrong)) {
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            assert!(bytes.is_empty());
        }
        assert!(client.reply().starts_with("522 "));
    }
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
}

#[test]
fn certificates_that_an_authority_vouches_for() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let good = vouched_for(&host);
    let _server = start(&host, "validate_cert=YES\nca_certs_file=/etc/ca.pem\n");
    let mut client = Ftps::alice(offer(BOTH, Some(&good)));
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
    let stranger = tls::pair();
    let fails = std::panic::catch_unwind(|| {
        let mut client = Ftps::upgrade(offer(BOTH, Some(&stranger)));
        client.login("alice");
    });
    assert!(fails.is_err());
    // Without one a client may come: none is required.
    Ftps::alice(offer(BOTH, None));
}

/// A ClientHello in pieces of one byte is one still; a client that only renews its keys is not served for ever (attacks B-095, B-097).
#[test]
fn pieces_and_floods() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = start(&host, "");
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    clear_line(&mut stream);
    stream.write_all(b"AUTH TLS\r\n").unwrap();
    clear_line(&mut stream);
    let name = "localhost".try_into().unwrap();
    let mut tls = rustls::ClientConnection::new(Arc::new(offer(TLS13, None)), name).unwrap();
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).unwrap();
    // One record for each byte of the message in it.
    for byte in &hello[5..] {
        stream.write_all(&[0x16, 3, 1, 0, 1, *byte]).unwrap();
    }
    while tls.is_handshaking() || tls.wants_write() {
        tls.complete_io(&mut stream).unwrap();
    }
    for _ in 0..200 {
        if tls.refresh_traffic_keys().is_err() || tls.complete_io(&mut stream).is_err() {
            break;
        }
    }
    let mut rest = Vec::new();
    let ended = tls.complete_io(&mut stream);
    let _ = stream.read_to_end(&mut rest);
    assert!(ended.is_err() || rest.len() < 10_000, "{ended:?}");
}

/// Explicit and implicit TLS on two ports, by two servers with a file each.
#[test]
fn side_by_side() {
    let host = Host::new();
    let _server = start(&host, "");
    let second = "/etc/implicit.conf";
    let text = String::from_utf8(host.read(crate::support::host::CONFIG)).unwrap();
    host.write(
        second,
        &format!("{text}implicit_ssl=YES\nlisten_port=990\n"),
    );
    let _second = Server::start_file(&host, second);
    let stream = wait("port 990", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, 990)).ok()
    });
    let mut implicit = Ftps::over(Arc::new(offer(BOTH, None)), stream);
    assert!(implicit.reply().starts_with("220 "));
    implicit.login("alice");
    implicit.says("PROT P", "200 PROT now Private.");
    let mut explicit = Ftps::alice(offer(BOTH, None));
    assert_eq!(implicit.fetch("RETR f"), b"hello world\n");
    assert_eq!(explicit.fetch("RETR f"), b"hello world\n");
}

/// What somebody cuts away while the rate limit has an upload wait is missed, also where what waits came in one piece.
#[test]
fn an_upload_that_is_cut_short_while_it_waits_is_no_success() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = start(&host, "local_max_rate=20000\n");
    let mut client = Ftps::alice(offer(BOTH, None));
    client.says("TYPE I", "200 Switching to Binary mode.");
    let mut stream = client.begin("STOR new");
    for _ in 0..30 {
        stream.write_all(&[b'x'; 600]).unwrap();
        stream.flush().unwrap();
    }
    let length = || std::fs::metadata("/home/alice/new").map_or(0, |meta| meta.len());
    wait("some of it to arrive", || (length() > 3000).then_some(()));
    let file = std::fs::File::options().write(true).open("/home/alice/new");
    file.unwrap().set_len(1).unwrap();
    tls::farewell(stream);
    client.next("451 Failure writing to local file.");
}

/// ABOR is heard while bytes flow, though there are no urgent bytes in TLS (reference §10, 34): 3.0.5 hears it afterwards (attacks B-052).
#[test]
fn abor_during_a_transfer() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = start(&host, "");
    let big = std::fs::File::create("/home/alice/huge").unwrap();
    big.set_len(1 << 30).unwrap();
    let mut client = Ftps::alice(offer(BOTH, None));
    client.says("TYPE I", "200 Switching to Binary mode.");
    let mut stream = client.begin("RETR huge");
    let mut some = [0; 4096];
    stream.read_exact(&mut some).unwrap();
    client.says("NOOP", "200 NOOP ok.");
    client.says("ABOR", "426 Failure writing network stream.");
    client.next("226 ABOR successful.");
    drop(stream);
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
    abor_ends_in_no_untrue_line(&host, client);
}

/// An upload that ABOR ends, and a handshake: neither is the client's fault, or TLS's.
fn abor_ends_in_no_untrue_line(host: &Host, mut client: Ftps) {
    let mut stream = client.begin("STOR new");
    stream.write_all(b"all that comes").unwrap();
    stream.flush().unwrap();
    client.says("ABOR", "426 Failure reading network stream.");
    client.next("226 ABOR successful.");
    drop(stream);
    let data = client.passive();
    client.send(b"STOR new\r\nABOR\r\n");
    client.next("150 Ok to send data.");
    client.next("426 Failure reading network stream.");
    client.next("226 ABOR successful.");
    drop(data);
    let log = wait("both uploads in the log", || {
        let log = String::from_utf8_lossy(&host.read(VSFTPD)).into_owned();
        (log.matches("FAIL UPLOAD").count() == 2).then_some(log)
    });
    for untrue in ["handshake on the data connection", "was not announced"] {
        assert!(!log.contains(untrue), "{log}");
    }
}

/// The original's words, one line for each connection.
#[test]
fn debug_ssl() {
    let host = Host::new();
    let _server = start(&host, "debug_ssl=YES\n");
    let mut client = Ftps::alice(offer(TLS13, None));
    assert_eq!(client.fetch("RETR f"), b"hello world\n");
    client.says("QUIT", "221 Goodbye.");
    logged(&host, "SSL version: TLSv1.3, SSL cipher: ");
    logged(&host, ", not reused, ");
    logged(&host, ", reused, ");
}

/// An idle client is told so under TLS too (reference §10, 36).
#[test]
fn an_idle_client() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    let _server = start(&host, "idle_session_timeout=1\n");
    let mut client = Ftps::upgrade(offer(BOTH, None));
    client.next("421 Timeout.");
    assert_eq!(client.reply(), "");
    let mut client = Ftps::alice(offer(BOTH, None));
    client.next("421 Timeout.");
    assert_eq!(client.reply(), "");
}

/// Downloads a client must confirm (strict_ssl_write_shutdown); without that option nobody waits for it.
#[test]
fn unconfirmed_downloads() {
    for (lines, expected) in [("strict_ssl_write_shutdown=YES\n", "426 "), ("", "226 ")] {
        let host = Host::new();
        let _server = start(&host, lines);
        let mut client = Ftps::alice(offer(TLS12, None));
        let mut stream = client.begin("RETR f");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"hello world\n");
        stream.sock.shutdown(std::net::Shutdown::Both).unwrap();
        drop(stream);
        let end = client.reply();
        assert!(end.starts_with(expected), "{lines}: {end}");
        // A client that confirms it is believed.
        assert_eq!(client.fetch("RETR f"), b"hello world\n");
        if lines.is_empty() && host.ours() {
            // Not even one that never closes.
            let stream = client.begin("RETR f");
            client.next("226 Transfer complete.");
            drop(stream);
        }
    }
}
