//! HASH, RANG, the X commands and AVBL.

use crate::clients::python;
use crate::support::{Client, Host, Server};
use std::process::{Command, Stdio};

const DENIED: &str = "550 Permission denied.";
const CLOSED: &str = "550 Failed to open file.";
const HELLO: &str = "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447";

/// What the host's own program says of a file.
fn sum(program: &str, path: &str) -> String {
    let output = Command::new(program)
        .arg(path)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn hash() {
    let host = Host::new();
    host.file("/home/alice/nil", b"");
    let _server = Server::start(&host, "deny_file={asc}\n");
    let mut c = Client::alice();
    assert!(
        c.cmd("FEAT")
            .text()
            .contains("\r\n HASH SHA-256*;SHA-512;SHA-1;MD5;CRC32\r\n")
    );
    c.says("HASH f", &format!("213 SHA-256 0-11 {HELLO} f"));
    c.says("HASH ~/f", &format!("213 SHA-256 0-11 {HELLO} ~/f"));
    for (name, program) in [
        ("SHA-512", "sha512sum"),
        ("SHA-1", "sha1sum"),
        ("MD5", "md5sum"),
    ] {
        c.says(
            &format!("OPTS HASH {}", name.to_lowercase()),
            &format!("200 {name}"),
        );
        let expected = sum(program, "/home/alice/f");
        c.says("HASH f", &format!("213 {name} 0-11 {expected} f"));
    }
    c.says("OPTS HASH", "200 MD5");
    assert!(
        c.cmd("FEAT")
            .text()
            .contains("\r\n HASH SHA-256;SHA-512;SHA-1;MD5*;CRC32\r\n")
    );
    c.says("OPTS HASH SHA-3", "501 Unknown algorithm.");
    c.says("OPTS HASH CRC32", "200 CRC32");
    c.says("HASH nil", "213 CRC32 0-0 00000000 nil");
    c.script(&[
        ("HASH", CLOSED),
        ("HASH d", CLOSED),
        ("HASH nowhere", CLOSED),
        ("HASH other", CLOSED),
        ("HASH asc", DENIED),
        ("HASH ./asc", DENIED),
    ]);
}

#[test]
fn ranges() {
    let host = Host::new();
    let _server = Server::start(&host, "ascii_download_enable=YES\n");
    let mut c = Client::alice();
    c.says("TYPE I", "200 Switching to Binary mode.");
    let bytes = "350 Restarting at 6. End byte range at 10.";
    c.says("RANG 6 10", bytes);
    assert_eq!(c.fetch("RETR f"), b"world");
    // It holds for one transfer.
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
    c.says("RANG 6 10", bytes);
    c.says("RANG 1 0", "350 The whole file.");
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
    c.says("RANG 6 10", bytes);
    c.says("REST 2", "350 Restart position accepted (2).");
    assert_eq!(c.fetch("RETR f"), b"llo world\n");
    c.says("RANG 6 999", "350 Restarting at 6. End byte range at 999.");
    assert_eq!(c.fetch("RETR f"), b"world\n");
    // One that is refused leaves nothing of what was said before: the client goes on without.
    c.says("RANG 6 10", bytes);
    c.says("RANG 5 4", "501 RANG needs the first and the last byte.");
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
    c.says("RANG 6 10", bytes);
    c.refused("STOR f", "504 RANG is for RETR and HASH.");
    assert_eq!(host.read("/home/alice/f"), b"hello world\n");
    c.says("RANG 6 10", bytes);
    host.write("/mnt/world", "world");
    let expected = sum("sha256sum", "/mnt/world");
    c.says("HASH f", &format!("213 SHA-256 6-10 {expected} f"));
    c.says("RANG 6 12", "350 Restarting at 6. End byte range at 12.");
    c.says("HASH f", "501 The range is not within the file.");
    // Without sendfile(2) too.
    let _ = c;
    drop(_server);
    let _server = Server::start(&host, "use_sendfile=NO\n");
    let mut c = Client::alice();
    c.says("TYPE I", "200 Switching to Binary mode.");
    c.says("RANG 6 10", bytes);
    assert_eq!(c.fetch("RETR f"), b"world");
}

#[test]
fn the_older_forms() {
    let host = Host::new();
    host.file("/home/alice/f 1 2", b"odd");
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.says("XCRC f", "250 AF083B2D");
    c.says("XCRC \"f\"", "250 AF083B2D");
    c.says("XSHA256 f", &format!("250 {}", HELLO.to_uppercase()));
    let of = |program, path| sum(program, path).to_uppercase();
    c.says("XMD5 f", &format!("250 {}", of("md5sum", "/home/alice/f")));
    c.says(
        "XSHA1 f",
        &format!("250 {}", of("sha1sum", "/home/alice/f")),
    );
    c.says(
        "XSHA512 f",
        &format!("250 {}", of("sha512sum", "/home/alice/f")),
    );
    // Where to begin, and where to stop.
    host.write("/mnt/world", "world");
    let world = format!("250 {}", of("md5sum", "/mnt/world"));
    c.says("XMD5 \"f\" 6 11", &world);
    c.says(
        "XMD5 a b",
        &format!("250 {}", of("md5sum", "/home/alice/a b")),
    );
    c.says(
        "XMD5 asc 0 10",
        &format!("250 {}", of("md5sum", "/home/alice/asc")),
    );
    c.says(
        "XMD5 f 1 2",
        &format!("250 {}", of("md5sum", "/home/alice/f 1 2")),
    );
    c.says("XMD5 \"f\" 6 99", "501 The range is not within the file.");
    c.says("XMD5 \"f\" 7 6", "501 The range is not within the file.");
    c.says("XMD5 nowhere", CLOSED);
}

/// Who pipes commands in and ends with QUIT has not left.
#[test]
fn a_sum_for_a_client_that_has_said_everything() {
    let host = Host::new();
    host.file("/home/alice/some", &vec![7; 200_000]);
    let _server = Server::start(&host, "local_max_rate=65536\n");
    let mut c = Client::alice();
    c.send(b"HASH some\r\nPWD\r\nQUIT\r\n");
    c.stream().shutdown(std::net::Shutdown::Write).unwrap();
    let expected = sum("sha256sum", "/home/alice/some");
    c.next(&format!("213 SHA-256 0-199999 {expected} some"));
    assert_eq!(c.reply().code(), "257");
    c.next("221 Goodbye.");
}

/// The sum is that of the whole file, not of what an upload had written when it was asked for.
#[test]
fn a_sum_waits_for_an_upload() {
    let host = Host::new();
    let _server = Server::start(&host, "log_ftp_protocol=YES\n");
    let (mut up, mut c) = (Client::alice(), Client::alice());
    for (command, answer) in [
        ("HASH f", format!("213 SHA-256 0-11 {HELLO} f")),
        ("XCRC f", "250 AF083B2D".to_owned()),
    ] {
        let (_, data) = up.begin("STOR f");
        c.send(format!("{command}\r\n").as_bytes());
        logged(command, 1);
        // Answered while the lock is waited for.
        c.says("NOOP", "200 NOOP ok.");
        data.write(b"hello world\n");
        up.next("226 Transfer complete.");
        c.next(&answer);
    }
}

/// Attacks B-119.
#[test]
fn a_sum_is_paced_heard_and_aborted() {
    let host = Host::new();
    // More than any machine gets through.
    let file = std::fs::File::create("/home/alice/big").unwrap();
    file.set_len(1 << 42).unwrap();
    for rate in ["local_max_rate=65536\n", "local_max_rate=1\n", ""] {
        heard_and_aborted(&host, rate);
    }
}

/// Waits until the command has been read so many times.
fn logged(command: &str, count: usize) {
    crate::support::wait("the command to be read", || {
        let log = std::fs::read("/var/log/vsftpd.log").unwrap_or_default();
        let log = String::from_utf8(log).unwrap();
        let line = format!("\"{command}\"");
        (log.matches(&line).count() == count).then_some(())
    });
}

fn heard_and_aborted(host: &Host, rate: &str) {
    let _ = std::fs::remove_file("/var/log/vsftpd.log");
    let lines = format!("{rate}hash_max_size=0\nlog_ftp_protocol=YES\n");
    let _server = Server::start(host, &lines);
    let begun = |count| logged("HASH big", count);
    let mut c = Client::alice();
    c.send(b"HASH big\r\n");
    begun(1);
    c.says("NOOP", "200 NOOP ok.");
    let status = c.cmd("STAT").text();
    assert!(status.contains("Transfer in progress, "), "{status}");
    c.says("ABOR", "426 Checksum aborted.");
    c.next("226 ABOR successful.");
    if !rate.ends_with("=1\n") {
        c.says("XCRC f", "250 AF083B2D");
    }
    // And a client that leaves takes its sum with it.
    c.send(b"HASH big\r\n");
    begun(2);
    drop(c);
    crate::support::wait("the session to end", || {
        (Server::processes().len() == 1).then_some(())
    });
}

#[test]
fn limits_and_switches() {
    let host = Host::new();
    let file = std::fs::File::create("/home/alice/sparse").unwrap();
    file.set_len((1 << 20) + 1).unwrap();
    host.own("/home/alice/sparse", crate::support::host::ALICE);
    let server = Server::start(&host, "hash_max_size=1\n");
    let mut c = Client::alice();
    c.says("HASH sparse", "550 Too many bytes for a checksum.");
    c.says(
        "RANG 0 1048575",
        "350 Restarting at 0. End byte range at 1048575.",
    );
    assert_eq!(c.cmd("HASH sparse").code(), "213");
    // Anonymous clients: only if told so.
    let mut c = Client::anonymous();
    c.says("HASH pub/file", DENIED);
    let feat = c.cmd("FEAT").text();
    assert!(!feat.contains("HASH") && !feat.contains("XCRC"), "{feat}");
    drop(server);
    let server = Server::start(&host, "anon_hash_enable=YES\n");
    let mut c = Client::anonymous();
    assert_eq!(c.cmd("HASH pub/file").code(), "213");
    c.says("HASH pub/priv", CLOSED);
    drop(server);
    let _server = Server::start(&host, "hash_enable=NO\nanon_hash_enable=YES\n");
    Client::alice().says("XMD5 f", DENIED);
    Client::anonymous().says("XMD5 pub/file", DENIED);
}

#[test]
fn room_left() {
    let host = Host::new();
    host.tiny("/home/alice/tiny", 64);
    let server = Server::start(&host, "");
    let mut c = Client::alice();
    c.says("AVBL tiny", "213 65536");
    c.says("CWD tiny", "250 Directory successfully changed.");
    c.says("AVBL", "213 65536");
    c.says("AVBL ~/f", "550 Not a directory to write in.");
    c.says("AVBL /", "550 Not a directory to write in.");
    c.says("AVBL nowhere", "550 Not a directory to write in.");
    assert!(c.cmd("FEAT").text().contains("\r\n AVBL\r\n"));
    Client::anonymous().says("AVBL incoming", DENIED);
    drop(server);
    let _server = Server::start(&host, "write_enable=NO\n");
    let mut c = Client::alice();
    c.says("AVBL", DENIED);
    assert!(!c.cmd("FEAT").text().contains("AVBL"));
}

#[test]
fn ftplib_checks_what_it_has_sent() {
    let host = Host::new();
    let _server = Server::start(&host, "local_umask=022\n");
    let said = python(
        "import io, hashlib\nbody = bytes(range(256)) * 1000\nftp.storbinary('STOR sent', io.BytesIO(body))\n\
         print(ftp.sendcmd('HASH sent').split()[3] == hashlib.sha256(body).hexdigest())",
    );
    assert_eq!(said.trim(), "True");
}
