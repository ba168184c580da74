//! Transfers that are cut off under TLS: never a success, whoever cuts, and each in the log (attacks B-098, B-099).

use crate::support::client::ends_with_a_reset;
use crate::support::log::VSFTPD;
use crate::support::tls::{self, Ftps, ON, TLS12, TLS13, certificate, offer};
use crate::support::{Host, Server, wait};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

/// How often the log has this.
fn logged(host: &Host, text: &str, count: usize) {
    wait(text, || {
        let log = String::from_utf8_lossy(&host.read(VSFTPD)).into_owned();
        assert!(!log.contains("OK UPLOAD"), "{log}");
        (log.matches(text).count() == count).then_some(())
    });
}

/// By an end, a reset, or an end within a record; kept or removed as the option says. Without strictness an end is one, a reset is not.
#[test]
fn uploads() {
    let host = Host::new();
    certificate(&host);
    let mut failed = 0;
    for (lines, keeps) in [("", true), ("delete_failed_uploads=YES\n", false)] {
        let server = Server::start(&host, &format!("{ON}{lines}"));
        for versions in [TLS12, TLS13] {
            for size in [4, 200_000] {
                for way in ["end", "reset", "half a record"] {
                    let mut c = Ftps::alice(offer(versions, None));
                    c.says("TYPE I", "200 Switching to Binary mode.");
                    let _ = std::fs::remove_file("/home/alice/part");
                    let mut data = c.begin("STOR part");
                    data.write_all(&vec![b'x'; size]).unwrap();
                    data.flush().unwrap();
                    let mut socket = &data.sock;
                    match way {
                        "end" => socket.shutdown(Shutdown::Write).unwrap(),
                        "reset" => ends_with_a_reset(socket),
                        _ => {
                            socket.write_all(b"\x17\x03\x03\x01\x00cut").unwrap();
                            socket.shutdown(Shutdown::Write).unwrap();
                        }
                    }
                    if way == "reset" {
                        drop(data);
                    }
                    let said = c.reply();
                    assert!(said.starts_with("426 "), "{lines}{way} {size}: {said}");
                    failed += 1;
                    logged(&host, "FAIL UPLOAD", failed);
                    assert_eq!(host.exists("/home/alice/part"), keeps, "{lines}{way}");
                    c.says("NOOP", "200 NOOP ok.");
                }
            }
        }
        drop(server);
    }
    let _server = Server::start(&host, &format!("{ON}strict_ssl_read_eof=NO\n"));
    let mut c = Ftps::alice(offer(TLS13, None));
    let mut data = c.begin("STOR part");
    data.write_all(b"half").unwrap();
    data.flush().unwrap();
    ends_with_a_reset(&data.sock);
    drop(data);
    assert!(c.reply().starts_with("426 "));
    logged(&host, "FAIL UPLOAD", failed + 1);
}

/// A client sees by TLS's own word whether it has all: the end is announced when there is one, and never when the transfer was broken off
/// (attacks B-099).
#[test]
fn downloads() {
    let host = Host::new();
    certificate(&host);
    host.file("/home/alice/big", &vec![b'x'; 30_000_000]);
    let _server = Server::start(&host, ON);
    for versions in [TLS12, TLS13] {
        let mut c = Ftps::alice(offer(versions, None));
        for name in ["f", "empty-file", "big"] {
            if name == "empty-file" {
                host.file("/home/alice/empty-file", b"");
            }
            // An end that was not announced is an error of this read.
            let length = c.fetch(&format!("RETR {name}")).len();
            assert_eq!(length, host.read(&format!("/home/alice/{name}")).len());
        }
        let mut data = c.begin("RETR big");
        data.read_exact(&mut [0; 1000]).unwrap();
        c.says("ABOR", "426 Failure writing network stream.");
        c.next("226 ABOR successful.");
        let error = data.read_to_end(&mut Vec::new()).unwrap_err();
        let kinds = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
        assert!(kinds.contains(&error.kind()), "{error}");
        let mut data = c.begin("RETR big");
        data.read_exact(&mut [0; 1000]).unwrap();
        ends_with_a_reset(&data.sock);
        drop(data);
        c.next("426 Failure writing network stream.");
        let data = c.begin("RETR big");
        tls::farewell(data);
        assert!(c.reply().starts_with("426 "));
    }
    logged(&host, "FAIL DOWNLOAD", 6);
}
