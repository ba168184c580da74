//! Uploads that find no room, or are over a limit, and numbers that no file has: never a success that is none (attacks B-110 to B-112,
//! B-114, B-116, B-117).

use crate::fault::Fault;
use crate::sessions::{back_to_base, children, logged_in, memory, worker};
use crate::support::host::ALICE;
use crate::support::log::VSFTPD;
use crate::support::tls::{BOTH, Ftps, ON, certificate, offer};
use crate::support::{Client, Host, Server, wait};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

const FAILED: &str = "451 Failure writing to local file.";
const TINY: &str = "/home/alice/tiny";

/// A disk of 64 KiB.
fn tiny() -> Host {
    let host = Host::new();
    host.tiny(TINY, 64);
    host
}

fn failures() -> usize {
    let log = fs::read(VSFTPD).unwrap_or_default();
    let log = String::from_utf8_lossy(&log).into_owned();
    assert!(!log.contains("OK UPLOAD"), "{log}");
    log.matches("FAIL UPLOAD").count()
}

/// The log has a line for each: helper writes it beside the reply.
#[track_caller]
fn until_failed(count: usize) {
    wait("the upload in the log", || {
        let found = failures();
        assert!(found <= count);
        (found == count).then_some(())
    });
}

/// All that can be sent of these bytes: the server may close before.
fn sent(data: &mut impl Write, bytes: &[u8]) {
    for piece in bytes.chunks(10_000) {
        if data.write_all(piece).is_err() {
            break;
        }
    }
}

/// What is left of the file is the beginning of what was sent, or nothing.
fn is_beginning(bytes: &[u8], binary: bool) {
    for entry in fs::read_dir(TINY).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "there" {
            let kept = fs::read(entry.path()).unwrap();
            assert!(!binary || bytes.starts_with(&kept), "{entry:?}");
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// Full from the first byte, or at any other; by little pieces and by large ones; in each type; with and without TLS (attacks B-110).
#[test]
fn a_full_disk() {
    let host = tiny();
    certificate(&host);
    let lines = "force_local_logins_ssl=NO\nforce_local_data_ssl=NO\nascii_upload_enable=YES\nxferlog_std_format=NO\n";
    let bytes: Vec<u8> = (0..300_000_u32)
        .map(|n| b"0123456789abc\r\n"[n as usize % 15])
        .collect();
    for deletes in [false, true] {
        let more = if deletes {
            "delete_failed_uploads=YES\n"
        } else {
            ""
        };
        let server = Server::start(&host, &format!("{ON}{lines}{more}"));
        let mut failed = failures();
        for full in [0, 4096, 40_000, 65_536] {
            fs::write(format!("{TINY}/there"), vec![0; full]).unwrap();
            for kind in ["TYPE I", "TYPE A"] {
                for command in ["STOR tiny/x", "APPE tiny/x", "STOU tiny/x"] {
                    let mut c = Client::alice();
                    assert_eq!(c.cmd(kind).code(), "200");
                    let (_, mut data) = c.begin(command);
                    sent(&mut data.stream, &bytes);
                    drop(data);
                    c.next(FAILED);
                    c.says("NOOP", "200 NOOP ok.");
                    c.says("QUIT", "221 Goodbye.");
                    failed += 1;
                    until_failed(failed);
                    let left = fs::read_dir(TINY).unwrap().count();
                    assert!(!deletes || left == 1, "{command} {kind} {full}");
                    is_beginning(&bytes, kind == "TYPE I");
                    let mut c = Ftps::alice(offer(BOTH, None));
                    c.cmd(kind);
                    let mut data = c.begin(command);
                    sent(&mut data, &bytes);
                    drop(data);
                    c.next(FAILED);
                    c.says("QUIT", "221 Goodbye.");
                    failed += 1;
                    until_failed(failed);
                    is_beginning(&bytes, kind == "TYPE I");
                }
            }
        }
        drop(server);
    }
}

/// A quota is full at a write, or is found to be at the end; a disk breaks.
#[test]
fn what_the_kernel_says_last() {
    let host = Host::new();
    // A call that strace answers itself has a number that no filter lets pass.
    let server = Server::start(&host, "seccomp_sandbox=NO\nxferlog_std_format=NO\n");
    let mut failed = 0;
    for (call, error) in [
        ("write,splice,pwritev2", "EDQUOT"),
        ("write,splice,pwritev2", "ENOSPC"),
        ("write,splice,pwritev2", "EIO"),
        ("close", "EDQUOT"),
        ("close", "ENOSPC"),
        ("close", "EIO"),
    ] {
        for size in [10, 1_000_000] {
            for command in ["STOR f", "APPE f"] {
                let mut c = Client::alice();
                let worker = worker(&server, ALICE);
                let fault = Fault::of_file(worker, call, error, "/home/alice/f");
                let (_, mut data) = c.begin(command);
                sent(&mut data.stream, &vec![b'x'; size]);
                drop(data);
                c.next(FAILED);
                assert!(fault.answered() > 0, "{call} {error} {size}");
                drop(fault);
                failed += 1;
                until_failed(failed);
                drop(c);
                wait("the session to go", || {
                    children(server.pid()).is_empty().then_some(())
                });
            }
        }
    }
    back_to_base(&server);
}

/// One byte more than the user may have in a file: the upload has failed, and nothing else has (attacks B-111).
#[test]
fn a_file_over_the_limit() {
    const MOST: usize = 3072;
    let host = Host::new();
    let service = String::from_utf8(host.read("/etc/pam.d/vsftpd")).unwrap();
    let limits = "session required pam_limits.so conf=/etc/limits\n";
    host.write("/etc/pam.d/vsftpd", &format!("{service}{limits}"));
    host.write("/etc/limits", "alice - fsize 3\n");
    let lines = "session_support=YES\nascii_upload_enable=YES\nxferlog_std_format=NO\n";
    let server = Server::start(&host, lines);
    let mut c = Client::alice();
    for (size, code) in [(MOST, "226"), (MOST + 1, "451"), (1_000_000, "451")] {
        for kind in ["TYPE I", "TYPE A"] {
            c.cmd(kind);
            let (_, mut data) = c.begin("STOR big");
            sent(&mut data.stream, &vec![b'x'; size]);
            drop(data);
            assert_eq!(c.reply().code(), code, "{kind} {size}");
            assert!(host.read("/home/alice/big").len() <= MOST);
        }
    }
    c.says("TYPE I", "200 Switching to Binary mode.");
    c.says("REST 3072", "350 Restart position accepted (3072).");
    assert_eq!(c.store("STOR big", b"x").text(), FAILED);
    assert_eq!(c.store("APPE big", b"x").text(), FAILED);
    assert_eq!(c.store("STOR big", b"x").code(), "226");
    drop(c);
    back_to_base(&server);
}

/// Places that no file has (attacks B-112).
#[test]
fn offsets_beyond_everything() {
    let host = Host::new();
    let server = Server::start(&host, "xferlog_std_format=NO\n");
    let mut c = Client::alice();
    c.says("TYPE I", "200 Switching to Binary mode.");
    for offset in [
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999",
        "-1",
        "+1",
        "1e9",
        "0x10",
        "1 2",
        " ",
    ] {
        c.says(&format!("REST {offset}"), "501 Bad restart position.");
        // Nothing of it is kept.
        assert_eq!(c.fetch("RETR f"), b"hello world\n", "{offset}");
    }
    const FAR: &str = "350 Restart position accepted (999999999999999).";
    c.says("REST 999999999999999", FAR);
    assert_eq!(c.fetch("RETR f"), b"");
    // There is no room there.
    c.says("REST 999999999999999", FAR);
    let said = c.store("STOR f", b"x");
    assert!(
        said.code() == "451" || said.code() == "226",
        "{}",
        said.text()
    );
    let length = fs::metadata("/home/alice/f").unwrap().len();
    assert_eq!(said.code() == "226", length == 1_000_000_000_000_000);
    let mut first = [0; 12];
    File::open("/home/alice/f")
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    assert_eq!(&first, b"hello world\n");
    File::options()
        .write(true)
        .open("/home/alice/f")
        .unwrap()
        .set_len(12)
        .unwrap();
    // What is appended has its place.
    c.says("REST 999999999999999", FAR);
    assert_eq!(c.store("APPE f", b"more\n").code(), "226");
    assert_eq!(host.read("/home/alice/f"), b"hello world\nmore\n");
    drop(c);
    back_to_base(&server);
}

/// SIZE in ASCII is what the disk says: nobody reads a tebibyte for it (attacks B-114).
#[test]
fn the_size_of_a_tebibyte() {
    let host = Host::new();
    let file = File::create("/home/alice/huge").unwrap();
    file.set_len(1 << 40).unwrap();
    let server = Server::start(&host, "ascii_download_enable=YES\n");
    let mut c = Client::alice();
    c.says("TYPE A", "200 Switching to ASCII mode.");
    let begin = Instant::now();
    for _ in 0..2000 {
        c.says("SIZE huge", "213 1099511627776");
    }
    assert!(begin.elapsed() < Duration::from_secs(10));
    drop(c);
    back_to_base(&server);
}

/// Room that is asked for beforehand is not set aside (attacks B-116).
#[test]
fn room_for_everything() {
    let host = tiny();
    let server = Server::start(&host, "");
    let mut c = Client::alice();
    let (_, worker) = logged_in(&server, ALICE);
    c.says("ALLO 1", "202 ALLO command ignored.");
    let before = memory(worker);
    for size in [
        "99999999999999999",
        "18446744073709551616",
        "-1 R 5",
        "1 R -1",
        "x",
        "9999999999 R 9999999999",
    ] {
        c.says(&format!("ALLO {size}"), "202 ALLO command ignored.");
    }
    assert!(memory(worker) - before < 256);
    assert_eq!(c.store("STOR tiny/x", b"x").code(), "226");
    drop(c);
    back_to_base(&server);
}

/// A byte a second, and as many as a number can say: ABOR is heard, and nobody else waits (attacks B-117).
#[test]
fn rates_of_one_and_of_everything() {
    let host = Host::new();
    host.file("/home/alice/big", &vec![b'x'; 1_000_000]);
    for rate in [
        "1",
        "4294967295",
        "9223372036854775807",
        "9223372036854775808",
    ] {
        let line = format!("local_max_rate={rate}\ndata_connection_timeout=2\n");
        if rate.len() > 10 {
            let (status, said) = Server::refused(&host, &line);
            assert_eq!(status.code(), Some(2), "{said}");
            assert!(said.contains("local_max_rate"), "{said}");
            continue;
        }
        let server = Server::start(&host, &line);
        let mut c = Client::alice();
        if rate != "1" {
            assert_eq!(c.fetch("RETR big").len(), 1_000_000);
            assert_eq!(c.store("STOR up", &vec![b'x'; 1_000_000]).code(), "226");
            continue;
        }
        for command in ["RETR big", "STOR up"] {
            let (_, mut data) = c.begin(command);
            if command.starts_with("STOR") {
                sent(&mut data.stream, &[b'x'; 10_000]);
            }
            let begin = Instant::now();
            c.says("NOOP", "200 NOOP ok.");
            let mut other = Client::anonymous();
            assert_eq!(other.fetch("RETR pub/file"), b"pubfile");
            c.send(b"ABOR\r\n");
            assert_eq!(c.reply().code(), "426", "{command}");
            c.next("226 ABOR successful.");
            assert!(begin.elapsed() < Duration::from_secs(5), "{command}");
        }
        // Who is paced and leaves is gone after a while.
        let (_, data) = c.begin("RETR big");
        drop((c, data));
        back_to_base(&server);
    }
}
