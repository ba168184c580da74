//! Downloads and uploads: content, offsets, ASCII, failures (reference 3.4.1, 3.4.2, 9).

use crate::support::{Client, Host, Server, wait};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};

const NO_FILE: &str = "550 Failed to open file.";
const NOT_CREATED: &str = "553 Could not create file.";
const DONE: &str = "226 Transfer complete.";
const BINARY: (&str, &str) = ("TYPE I", "200 Switching to Binary mode.");
const ASCII: (&str, &str) = ("TYPE A", "200 Switching to ASCII mode.");

/// Bytes that never repeat soon, so that a piece out of place is noticed.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

#[test]
fn a_download() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    for (command, name) in [
        ("RETR f", "f"),
        ("RETR lnk", "lnk"),
        ("RETR ~/f", "/home/alice/f"),
        ("RETR d/../f", "d/../f"),
        ("RETR /home/alice/f", "/home/alice/f"),
    ] {
        let (opening, mut data) = c.begin(command);
        assert_eq!(
            opening.text(),
            format!("150 Opening BINARY mode data connection for {name} (12 bytes).")
        );
        assert_eq!(data.read(), b"hello world\n");
        c.next(DONE);
    }
}

#[test]
fn an_empty_download() {
    let host = Host::new();
    host.file("/home/alice/nil", b"");
    let _server = Server::start(&host, "");
    assert_eq!(Client::alice().fetch("RETR nil"), b"");
}

#[test]
fn a_large_download() {
    let host = Host::new();
    let bytes = pattern(5_000_001);
    host.file("/home/alice/big", &bytes);
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.script(&[BINARY]);
    assert!(c.fetch("RETR big") == bytes);
}

#[test]
fn a_large_download_without_sendfile() {
    let host = Host::new();
    let bytes = pattern(1_000_001);
    host.file("/home/alice/big", &bytes);
    let _server = Server::start(&host, "use_sendfile=NO\n");
    assert!(Client::alice().fetch("RETR big") == bytes);
}

#[test]
fn a_large_upload() {
    let host = Host::new();
    let bytes = pattern(5_000_001);
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.script(&[BINARY]);
    assert_eq!(c.store("STOR big", &bytes).text(), DONE);
    assert!(host.read("/home/alice/big") == bytes);
}

/// attacks B-060, B-062.
#[test]
fn what_cannot_be_downloaded() {
    let host = Host::new();
    nix::unistd::mkfifo(
        "/home/alice/fifo",
        nix::sys::stat::Mode::from_bits_truncate(0o644),
    )
    .unwrap();
    host.own("/home/alice/fifo", 1001);
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    for command in [
        "RETR nofile",
        "RETR d",
        "RETR other",
        "RETR fifo",
        "RETR dang",
        "RETR",
        "RETR no/such",
        "RETR f/x",
    ] {
        c.refused(command, NO_FILE);
    }
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
}

#[test]
fn a_refused_download_leaves_the_data_connection_usable() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let mut data = c.passive();
    c.says("RETR nofile", NO_FILE);
    assert_eq!(c.cmd("RETR f").code(), "150");
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"hello world\n");
    c.next(DONE);
}

#[test]
fn a_data_connection_comes_first() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    for command in [
        "RETR f",
        "RETR nofile",
        "STOR x",
        "APPE x",
        "STOU",
        "LIST",
        "NLST",
        "LIST nodir",
    ] {
        c.says(command, "425 Use PORT or PASV first.");
    }
    assert!(!host.exists("/home/alice/x"));
}

#[test]
fn a_data_connection_serves_one_transfer() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.fetch("RETR f");
    c.says("RETR f", "425 Use PORT or PASV first.");
}

#[test]
fn resuming_a_download() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.script(&[BINARY, ("REST 6", "350 Restart position accepted (6).")]);
    let (opening, mut data) = c.begin("RETR f");
    assert_eq!(
        opening.text(),
        "150 Opening BINARY mode data connection for f (12 bytes)."
    );
    assert_eq!(data.read(), b"world\n");
    c.next(DONE);
    assert_eq!(
        c.fetch("RETR f"),
        b"hello world\n",
        "the offset is used once"
    );
    c.says("REST 600", "350 Restart position accepted (600).");
    assert_eq!(c.fetch("RETR f"), b"");
}

/// attacks B-057.
#[test]
fn a_failed_download_consumes_the_offset() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.script(&[BINARY, ("REST 6", "350 Restart position accepted (6).")]);
    c.refused("RETR nofile", NO_FILE);
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
}

/// attacks B-057.
#[test]
fn other_commands_keep_the_offset() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.script(&[
        BINARY,
        ("REST 6", "350 Restart position accepted (6)."),
        ("NOOP", "200 NOOP ok."),
        ("SIZE f", "213 12"),
    ]);
    c.fetch("LIST");
    assert_eq!(c.fetch("RETR f"), b"world\n");
}

#[test]
fn no_resume_in_ascii() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.says("REST 3", "350 Restart position accepted (3).");
    c.refused("RETR f", "550 No support for resume of ASCII transfer.");
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
}

#[test]
fn type_a_moves_raw_bytes_unless_enabled() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.script(&[ASCII]);
    let (opening, mut data) = c.begin("RETR asc");
    assert_eq!(
        opening.text(),
        "150 Opening BINARY mode data connection for asc (10 bytes)."
    );
    assert_eq!(data.read(), b"l1\nl2\r\nl3\n");
    c.next(DONE);
    c.store("STOR up", b"a\r\nb\n");
    assert_eq!(host.read("/home/alice/up"), b"a\r\nb\n");
}

/// Attacks B-121.
#[test]
fn ascii_downloads() {
    let host = Host::new();
    let _server = Server::start(&host, "ascii_download_enable=YES\n");
    let mut c = Client::alice();
    c.script(&[ASCII]);
    let (opening, mut data) = c.begin("RETR asc");
    assert_eq!(
        opening.text(),
        "150 Opening ASCII mode data connection for asc (10 bytes)."
    );
    assert_eq!(data.read(), b"l1\r\nl2\r\nl3\r\n");
    c.next(DONE);
    c.script(&[BINARY]);
    assert_eq!(c.fetch("RETR asc"), b"l1\nl2\r\nl3\n");
}

#[test]
fn ascii_downloads_across_buffers() {
    let host = Host::new();
    let mut text = Vec::new();
    let mut expected = Vec::new();
    for i in 0..60_000u32 {
        let line = "x".repeat((i % 7) as usize);
        text.extend(format!("{line}\n").as_bytes());
        expected.extend(format!("{line}\r\n").as_bytes());
    }
    host.file("/home/alice/lines", &text);
    let _server = Server::start(&host, "ascii_download_enable=YES\n");
    assert!(Client::alice().fetch("RETR lines") == expected);
}

#[test]
fn ascii_uploads() {
    let host = Host::new();
    let _server = Server::start(&host, "ascii_upload_enable=YES\n");
    let mut c = Client::alice();
    c.script(&[ASCII]);
    assert_eq!(c.store("STOR up", b"a\r\nb\rc\r\n\r").text(), DONE);
    assert_eq!(host.read("/home/alice/up"), b"a\nb\rc\n\r");
    assert_eq!(c.store("APPE up", b"\r\n").text(), DONE);
    assert_eq!(host.read("/home/alice/up"), b"a\nb\rc\n\r\n");
}

#[test]
fn ascii_uploads_in_pieces() {
    let host = Host::new();
    let _server = Server::start(&host, "ascii_upload_enable=YES\n");
    let mut c = Client::alice();
    let (_, mut data) = c.begin("STOR up");
    data.stream.set_nodelay(true).unwrap();
    for piece in [&b"one\r"[..], b"\ntwo\r", b"x\r", b"\r\n"] {
        let before = std::fs::metadata("/home/alice/up").unwrap().len();
        data.stream.write_all(piece).unwrap();
        wait("the piece to arrive", || {
            (std::fs::metadata("/home/alice/up").unwrap().len() > before).then_some(())
        });
    }
    drop(data);
    c.next(DONE);
    assert_eq!(host.read("/home/alice/up"), b"one\ntwo\rx\r\n");
}

#[test]
fn uploads() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let (opening, data) = c.begin("STOR new");
    assert_eq!(opening.text(), "150 Ok to send data.");
    data.write(b"one\ntwo\n");
    c.next(DONE);
    assert_eq!(host.read("/home/alice/new"), b"one\ntwo\n");
    c.store("STOR new", b"x");
    assert_eq!(host.read("/home/alice/new"), b"x");
    let (opening, data) = c.begin("APPE new");
    assert_eq!(opening.text(), "150 Ok to send data.");
    data.write(b"yz");
    c.next(DONE);
    c.store("APPE fresh", b"n");
    assert_eq!(
        (host.read("/home/alice/new"), host.read("/home/alice/fresh")),
        (b"xyz".to_vec(), b"n".to_vec())
    );
}

/// Whether the directory can be changed matters for new files only.
#[test]
fn uploads_where_no_file_can_be_made() {
    let host = Host::new();
    host.mkdir("/home/alice/fixed", 0);
    host.file("/home/alice/fixed/own", b"before, and longer");
    host.write("/home/alice/fixed/roots", "x");
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.store("STOR fixed/own", b"after");
    assert_eq!(host.read("/home/alice/fixed/own"), b"after");
    c.store("APPE fixed/own", b"wards");
    assert_eq!(host.read("/home/alice/fixed/own"), b"afterwards");
    for command in ["STOR fixed/new", "APPE fixed/new", "STOR fixed/roots"] {
        c.refused(command, NOT_CREATED);
    }
    assert!(!host.exists("/home/alice/fixed/new"));
    assert_eq!(host.read("/home/alice/fixed/roots"), b"x");
}

#[test]
fn an_upload_through_a_link_writes_its_target() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    Client::alice().store("STOR lnk", b"via");
    assert_eq!(host.read("/home/alice/f"), b"via");
}

/// attacks B-062.
#[test]
fn what_cannot_be_uploaded() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    for command in [
        "STOR no/such",
        "STOR d",
        "STOR /root/x",
        "STOR",
        "STOR x/",
        "APPE d",
        "APPE other",
        "STOU no/such",
    ] {
        c.refused(command, NOT_CREATED);
    }
    assert_eq!(host.read("/home/alice/other"), b"secret");
}

/// attacks B-057.
#[test]
fn an_offset_overwrites_the_middle() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.store("STOR new", b"0123456789");
    c.says("REST 3", "350 Restart position accepted (3).");
    c.store("STOR new", b"XX");
    assert_eq!(host.read("/home/alice/new"), b"012XX56789");
    c.says("REST 12", "350 Restart position accepted (12).");
    c.store("STOR new", b"Y");
    assert_eq!(host.read("/home/alice/new"), b"012XX56789\0\0Y");
    c.says("REST 3", "350 Restart position accepted (3).");
    c.store("APPE new", b"Z");
    assert_eq!(
        host.read("/home/alice/new"),
        b"012XX56789\0\0YZ",
        "APPE goes to the end"
    );
    // Both have used the offset up.
    c.store("STOR new", b"0123");
    assert_eq!(host.read("/home/alice/new"), b"0123");
    c.says("REST 3", "350 Restart position accepted (3).");
    c.store("STOU", b"u");
    c.store("STOR new", b"45");
    assert_eq!(host.read("/home/alice/new"), b"45");
}

/// attacks B-056.
#[test]
fn unique_names() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    for (command, name) in [
        ("STOU", "STOU.1"),
        ("STOU", "STOU.2"),
        ("STOU f", "f.1"),
        ("STOU f", "f.2"),
        ("STOU brandnew", "brandnew"),
        ("STOU d/1", "d/1.1"),
    ] {
        let (opening, data) = c.begin(command);
        assert_eq!(opening.text(), format!("150 FILE: {name}"));
        data.write(name.as_bytes());
        c.next(DONE);
        assert_eq!(host.read(&format!("/home/alice/{name}")), name.as_bytes());
    }
}

#[test]
fn a_full_disk_is_no_success() {
    let host = Host::new();
    host.tiny("/home/alice/tiny", 64);
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let (_, mut data) = c.begin("STOR tiny/x");
    // The server may close before all is sent.
    let _ = data.stream.write_all(&[b'x'; 1_000_000]);
    drop(data);
    c.next("451 Failure writing to local file.");
    c.says("NOOP", "200 NOOP ok.");
}

#[test]
fn failed_uploads_are_deleted_if_told_so() {
    let host = Host::new();
    host.tiny("/home/alice/tiny", 64);
    let _server = Server::start(&host, "delete_failed_uploads=YES\n");
    let mut c = Client::alice();
    let (_, mut data) = c.begin("STOR tiny/x");
    let _ = data.stream.write_all(&[b'x'; 1_000_000]);
    drop(data);
    c.next("451 Failure writing to local file.");
    assert_eq!(c.cmd("SIZE tiny/x").code(), "550");
    assert_eq!(c.store("STOR tiny/y", b"fits").text(), DONE);
    assert!(host.exists("/home/alice/tiny/y"));
}

/// attacks B-050.
#[test]
fn an_upload_that_is_reset_is_no_success() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let (_, mut data) = c.begin("STOR part");
    data.stream.write_all(b"abc").unwrap();
    wait("the bytes to arrive", || {
        (host.read("/home/alice/part") == b"abc").then_some(())
    });
    data.reset();
    c.next("426 Failure reading network stream.");
    assert!(host.exists("/home/alice/part"));
}

/// B-053: an urgent byte leaves the stream (tcp(7)), and ends nothing.
#[test]
fn urgent_data_ends_no_upload() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let all = pattern(600_000);
    let size = || std::fs::metadata("/home/alice/new").map_or(0, |meta| meta.len());
    for first in [0, 1, 200_000] {
        let (_, mut data) = c.begin("STOR new");
        let mut sent = 0;
        for piece in [first, 100_000, 200_000] {
            data.stream.write_all(&all[sent..sent + piece]).unwrap();
            sent += piece;
            // What was urgent is not any more when another byte is.
            wait("the bytes to arrive", || {
                (size() == sent as u64).then_some(())
            });
            data.urgent(b"!");
        }
        data.write(&all[sent..]);
        c.next(DONE);
        assert!(host.read("/home/alice/new") == all, "{first}");
    }
}

/// What somebody cuts away meanwhile is not on the disk, and what comes after it lies behind a hole.
#[test]
fn an_upload_that_is_cut_short_is_no_success() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    if !host.ours() {
        return; // The original does not look (DIFFERENCES, 226).
    }
    let mut c = Client::alice();
    for (command, before) in [("STOR x", 0), ("APPE x", 10), ("STOU x", 0)] {
        for first in [5, 200_000] {
            for rest in [0, 5, 200_000] {
                let _ = std::fs::remove_file("/home/alice/x");
                if before > 0 {
                    host.file("/home/alice/x", &pattern(before));
                }
                let (_, mut data) = c.begin(command);
                data.stream.write_all(&pattern(first)).unwrap();
                wait("the bytes to arrive", || {
                    (host.read("/home/alice/x").len() == before + first).then_some(())
                });
                let file = std::fs::File::options().write(true).open("/home/alice/x");
                file.unwrap().set_len(3).unwrap();
                let _ = data.stream.write_all(&pattern(rest));
                drop(data);
                c.next("451 Failure writing to local file.");
            }
        }
    }
}

/// attacks B-050.
#[test]
fn a_download_that_is_reset_is_no_success() {
    let host = Host::new();
    std::fs::File::create("/home/alice/huge")
        .unwrap()
        .set_len(50_000_000)
        .unwrap();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let (_, mut data) = c.begin("RETR huge");
    data.stream.read_exact(&mut [0; 1000]).unwrap();
    data.reset();
    c.next("426 Failure writing network stream.");
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
}

/// What lies on the line is the file's own memory where sendfile(2) has put it there: what somebody cuts away meanwhile arrives as zeros.
#[test]
fn a_download_that_is_cut_short_on_the_line_is_no_success() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    if !host.ours() {
        return; // The original does not look.
    }
    // One that takes no thread, and the data thread's.
    for size in [40_000, 70_000] {
        host.file("/home/alice/x", &pattern(size));
        let mut c = Client::alice();
        let listener = c.active();
        let little = nix::sys::socket::sockopt::RcvBuf;
        nix::sys::socket::setsockopt(&listener, little, &2304).unwrap();
        c.send(b"RETR x\r\n");
        let (mut data, _) = listener.accept().unwrap();
        assert_eq!(c.reply().code(), "150");
        // Heard once as much is on the line as fits.
        c.says("NOOP", "200 NOOP ok.");
        let file = std::fs::File::options().write(true).open("/home/alice/x");
        file.unwrap().set_len(20_001).unwrap();
        let mut got = Vec::new();
        let _ = data.read_to_end(&mut got);
        assert_ne!(got, pattern(size));
        drop(data);
        c.next("426 Failure writing network stream.");
    }
}

#[test]
fn a_download_that_is_closed_is_no_success() {
    let host = Host::new();
    std::fs::File::create("/home/alice/huge")
        .unwrap()
        .set_len(50_000_000)
        .unwrap();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let (_, data) = c.begin("RETR huge");
    drop(data);
    c.next("426 Failure writing network stream.");
}

#[test]
fn a_stalled_upload_times_out() {
    let host = Host::new();
    let _server = Server::start(&host, "data_connection_timeout=1\n");
    let mut c = Client::alice();
    let (_, _data) = c.begin("STOR x");
    c.next("421 Data timeout. Reconnect. Sorry.");
    c.closed();
}

/// What was moved by then is too much to be over in a moment: another thread waits for the rest.
#[test]
fn a_large_upload_that_stalls_times_out() {
    let host = Host::new();
    let _server = Server::start(&host, "data_connection_timeout=1\n");
    let mut c = Client::alice();
    let (_, mut data) = c.begin("STOR x");
    data.stream.write_all(&pattern(400_000)).unwrap();
    c.next("421 Data timeout. Reconnect. Sorry.");
    c.closed();
}

#[test]
fn a_stalled_download_times_out() {
    let host = Host::new();
    std::fs::File::create("/home/alice/huge")
        .unwrap()
        .set_len(50_000_000)
        .unwrap();
    let _server = Server::start(&host, "data_connection_timeout=1\n");
    let mut c = Client::alice();
    let (_, _data) = c.begin("RETR huge");
    c.next("421 Data timeout. Reconnect. Sorry.");
    c.closed();
}

/// What lies in the server's own kernel has not arrived: the original calls it a success.
#[test]
fn a_download_whose_last_bytes_are_not_taken_times_out() {
    let host = Host::new();
    if !host.ours() {
        return;
    }
    host.file("/home/alice/some", &pattern(12_000));
    let _server = Server::start(&host, "data_connection_timeout=1\n");
    let mut c = Client::alice();
    let listener = c.active();
    let little = nix::sys::socket::sockopt::RcvBuf;
    nix::sys::socket::setsockopt(&listener, little, &2304).unwrap();
    c.send(b"RETR some\r\n");
    let _data = listener.accept().unwrap();
    assert_eq!(c.reply().code(), "150");
    c.next("421 Data timeout. Reconnect. Sorry.");
    c.closed();
}

/// B-055: the kernel sends what it is given in pieces, and the time is not counted anew for each.
#[test]
fn a_stalled_download_ends_as_soon_as_an_upload() {
    let host = Host::new();
    std::fs::File::create("/home/alice/huge")
        .unwrap()
        .set_len(50_000_000)
        .unwrap();
    let _server = Server::start(&host, "data_connection_timeout=2\n");
    if !host.ours() {
        return; // The original waits up to four times as long.
    }
    let mut down = Client::alice();
    let (_, _data) = down.begin("RETR huge");
    // One after the other: the three together take three times as long.
    for _ in 0..3 {
        let mut up = Client::alice();
        let (_, _data) = up.begin("STOR x");
        up.next("421 Data timeout. Reconnect. Sorry.");
    }
    down.stream().set_nonblocking(true).unwrap();
    assert!(down.stream().peek(&mut [0]).is_ok());
    down.stream().set_nonblocking(false).unwrap();
    down.next("421 Data timeout. Reconnect. Sorry.");
    down.closed();
}

#[test]
fn a_slow_transfer_is_not_idle() {
    let host = Host::new();
    let _server = Server::start(&host, "idle_session_timeout=1\n");
    let mut c = Client::alice();
    let (_, mut data) = c.begin("STOR slow");
    for _ in 0..15 {
        data.stream.write_all(b"x").unwrap();
        // The subject is time itself: longer than the idle timeout, with activity.
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    drop(data);
    c.next(DONE);
}

#[test]
fn downloads_have_a_rate() {
    let host = Host::new();
    host.file("/home/alice/some", &pattern(400_000));
    let _server = Server::start(&host, "local_max_rate=200000\n");
    let start = std::time::Instant::now();
    assert_eq!(Client::alice().fetch("RETR some").len(), 400_000);
    let took = start.elapsed().as_millis();
    assert!(
        (1200..8000).contains(&took),
        "{took} ms for two seconds' worth"
    );
}

/// The rate is the session's: files that are smaller than what is sent at a time do not go free.
#[test]
fn small_downloads_have_a_rate() {
    let host = Host::new();
    host.file("/home/alice/small", &pattern(10_000));
    let _server = Server::start(&host, "local_max_rate=100000\n");
    let mut c = Client::alice();
    let start = std::time::Instant::now();
    for _ in 0..16 {
        assert_eq!(c.fetch("RETR small").len(), 10_000);
    }
    let took = start.elapsed().as_millis();
    assert!(took >= 1200, "{took} ms for 1.6 seconds' worth");
    if crate::support::ours() {
        // What is broken off is paid for by what comes next.
        let start = std::time::Instant::now();
        for _ in 0..16 {
            let (_, mut data) = c.begin("RETR small");
            data.stream.read_exact(&mut [0; 10_000]).unwrap();
            // While the rate is waited for, or behind the end.
            let codes = [c.cmd("ABOR"), c.reply()].map(|reply| reply.code().to_owned());
            assert!(
                [["426", "226"], ["226", "225"]].contains(&[&codes[0], &codes[1]]),
                "{codes:?}"
            );
        }
        c.fetch("RETR small");
        let took = start.elapsed().as_millis();
        assert!(took >= 1500, "{took} ms for 1.6 seconds' worth");
    }
}

/// Who pipes commands in and ends with QUIT has not left, however many there are.
#[test]
fn a_client_that_says_everything_at_once() {
    let host = Host::new();
    let _server = Server::start(&host, "delete_failed_uploads=YES\n");
    let mut c = Client::alice();
    let listeners: Vec<_> = (0..3)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let mut said = String::new();
    for (number, listener) in listeners.iter().enumerate() {
        let port = listener.local_addr().unwrap().port();
        said += &format!(
            "PORT 127,0,0,1,{},{}\r\nSTOR up{number}\r\n",
            port >> 8,
            port & 255
        );
    }
    c.send(said.as_bytes());
    c.send(b"QUIT\r\n");
    c.stream().shutdown(Shutdown::Write).unwrap();
    for listener in &listeners {
        listener.accept().unwrap().0.write_all(b"all").unwrap();
        assert_eq!(c.reply().code(), "200");
        c.next("150 Ok to send data.");
        c.next(DONE);
    }
    c.next("221 Goodbye.");
    for number in 0..3 {
        assert_eq!(host.read(&format!("/home/alice/up{number}")), b"all");
    }
}

#[test]
fn uploads_have_a_rate() {
    let host = Host::new();
    let _server = Server::start(&host, "local_max_rate=200000\n");
    let start = std::time::Instant::now();
    assert_eq!(
        Client::alice().store("STOR some", &pattern(400_000)).text(),
        DONE
    );
    let took = start.elapsed().as_millis();
    assert!(
        (1200..8000).contains(&took),
        "{took} ms for two seconds' worth"
    );
}

#[test]
fn anonymous_has_its_own_rate() {
    let host = Host::new();
    host.write("/srv/ftp/pub/big", &"x".repeat(400_000));
    let _server = Server::start(&host, "anon_max_rate=200000\n");
    let start = std::time::Instant::now();
    assert_eq!(Client::anonymous().fetch("RETR pub/big").len(), 400_000);
    assert!(start.elapsed().as_millis() >= 1200, "{:?}", start.elapsed());
}

#[test]
fn abor_is_read_after_the_transfer() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.fetch("RETR f");
    c.says("ABOR", "225 No transfer to ABOR.");
}

#[test]
fn abor_in_band_without_async_abor() {
    let host = Host::new();
    std::fs::File::create("/home/alice/huge")
        .unwrap()
        .set_len(20_000_000)
        .unwrap();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let (_, mut data) = c.begin("RETR huge");
    c.send(b"ABOR\r\n");
    if host.ours() {
        // Ours reads the control connection while bytes flow (DESIGN, processes); the original only afterwards.
        let mut sink = Vec::new();
        let _ = data.stream.read_to_end(&mut sink);
        c.next("426 Failure writing network stream.");
        c.next("226 ABOR successful.");
    } else {
        assert_eq!(data.read().len(), 20_000_000);
        c.next(DONE);
        c.next("225 No transfer to ABOR.");
    }
    c.says("NOOP", "200 NOOP ok.");
}

/// B-052: each has an answer, the one that has cut the transfer and those behind it.
#[test]
fn many_abors_have_as_many_answers() {
    let host = Host::new();
    std::fs::File::create("/home/alice/huge")
        .unwrap()
        .set_len(100_000_000)
        .unwrap();
    let _server = Server::start(&host, "");
    if !host.ours() {
        return; // The original reads nothing while it transfers (reference 3.4.6).
    }
    let mut c = Client::alice();
    for command in ["RETR huge", "STOR new"] {
        let (_, data) = c.begin(command);
        c.send(&b"ABOR\r\n".repeat(2000));
        assert_eq!(c.reply().code(), "426");
        c.next("226 ABOR successful.");
        for _ in 1..2000 {
            c.next("225 No transfer to ABOR.");
        }
        drop(data);
        c.says("NOOP", "200 NOOP ok.");
    }
}

/// B-052: in one packet with the command it is to end, and nobody reads or connects any more.
#[test]
fn abor_that_comes_with_its_transfer() {
    let host = Host::new();
    std::fs::File::create("/home/alice/huge")
        .unwrap()
        .set_len(1 << 42)
        .unwrap();
    if !host.ours() {
        return; // The original reads nothing while it transfers (reference 3.4.6).
    }
    let _server = Server::start(&host, "hash_max_size=0\n");
    let mut c = Client::alice();
    for command in ["RETR huge", "STOR new", "HASH huge"] {
        let data = (command != "HASH huge").then(|| c.passive());
        c.send(format!("{command}\r\nNOOP\r\n\r\nABOR\r\nABOR\r\n").as_bytes());
        if data.is_some() {
            assert_eq!(c.reply().code(), "150");
        }
        c.next("200 NOOP ok.");
        assert_eq!(c.reply().code(), "426");
        c.next("226 ABOR successful.");
        c.next("225 No transfer to ABOR.");
    }
    c.pasv();
    c.send(b"LIST\r\nABOR\r\nPWD\r\n");
    c.next("426 Failure establishing connection.");
    c.next("226 ABOR successful.");
    assert_eq!(c.reply().code(), "257");
    // Behind another command it comes in its turn.
    let data = c.passive();
    c.send(b"STOR new\r\nPWD\r\nABOR\r\n");
    c.next("150 Ok to send data.");
    drop(data);
    c.next(DONE);
    assert_eq!(c.reply().code(), "257");
    c.next("225 No transfer to ABOR.");
}

/// attacks B-052, B-076.
#[test]
fn abor_as_urgent_data_stops_a_download() {
    let host = Host::new();
    std::fs::File::create("/home/alice/huge")
        .unwrap()
        .set_len(100_000_000)
        .unwrap();
    let _server = Server::start(&host, "async_abor_enable=YES\n");
    let mut c = Client::alice();
    let (_, data) = c.begin("RETR huge");
    c.urgent(b"\xff\xf4\xff");
    c.send(b"\xf2ABOR\r\n");
    c.next("426 Failure writing network stream.");
    c.next("226 ABOR successful.");
    drop(data);
    c.says("NOOP", "200 NOOP ok.");
}

/// Begins an upload, and ends it by an ABOR as urgent data.
fn break_off(host: &Host, c: &mut Client) {
    let (_, mut data) = c.begin("STOR part");
    data.stream.write_all(b"abc").unwrap();
    wait("the bytes to arrive", || {
        (host.read("/home/alice/part") == b"abc").then_some(())
    });
    c.urgent(b"\xff\xf4\xff");
    c.send(b"\xf2ABOR\r\n");
    c.next("426 Failure reading network stream.");
    c.next("226 ABOR successful.");
}

/// `cmds_denied` and `cmds_allowed` are asked between transfers only: what ends one is none of the commands they are about.
#[test]
fn abor_that_is_denied_stops_a_transfer() {
    let host = Host::new();
    for denied in [
        "cmds_denied=ABOR\n",
        "cmds_allowed=USER,PASS,TYPE,EPSV,PASV,STOR,NOOP\n",
    ] {
        let _server = Server::start(&host, &format!("async_abor_enable=YES\n{denied}"));
        let mut c = Client::alice();
        c.says("ABOR", "550 Permission denied.");
        break_off(&host, &mut c);
        c.says("ABOR", "550 Permission denied.");
        std::fs::remove_file("/home/alice/part").unwrap();
    }
}

#[test]
fn abor_as_urgent_data_stops_an_upload() {
    let host = Host::new();
    let _server = Server::start(&host, "async_abor_enable=YES\n");
    let mut c = Client::alice();
    break_off(&host, &mut c);
    c.says("ABOR", "225 No transfer to ABOR.");
}

/// attacks B-054.
#[test]
fn the_session_is_answered_during_a_transfer() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    if !host.ours() {
        return; // The original reads nothing while it transfers (reference 3.4.6).
    }
    let mut c = Client::alice();
    let (_, mut data) = c.begin("STOR x");
    data.stream.write_all(b"abc").unwrap();
    c.says("NOOP", "200 NOOP ok.");
    assert_eq!(c.cmd("STAT").code(), "211");
    drop(data);
    c.next(DONE);
    assert_eq!(host.read("/home/alice/x"), b"abc");
}

#[test]
fn quit_during_a_transfer_lets_it_finish() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let (_, mut data) = c.begin("STOR x");
    c.send(b"QUIT\r\n");
    data.stream.write_all(b"abc").unwrap();
    drop(data);
    let replies = [c.reply().text(), c.reply().text()];
    assert!(
        replies.contains(&DONE.to_owned()) && replies.contains(&"221 Goodbye.".to_owned()),
        "{replies:?}"
    );
    assert_eq!(host.read("/home/alice/x"), b"abc");
}

/// attacks B-017.
#[test]
fn a_directory_that_vanishes() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.says("CWD empty", "250 Directory successfully changed.");
    std::fs::remove_dir("/home/alice/empty").unwrap();
    c.refused("STOR x", NOT_CREATED);
    c.says("MKD x", "550 Create directory operation failed.");
    c.says("CWD /home/alice", "250 Directory successfully changed.");
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
}

/// More than connections hold is read only when the client takes some. What has come to the file by then is sent by the original alone, and
/// only where it reads the file itself.
#[test]
fn a_file_that_grows_while_it_is_sent() {
    let host = Host::new();
    let length = 32 << 20;
    host.file("/home/alice/log", &vec![b'x'; length]);
    let _server = Server::start(&host, "ascii_download_enable=YES\n");
    let mut c = Client::alice();
    let mut had = length;
    for (command, reply) in [BINARY, ASCII] {
        c.says(command, reply);
        let (_, mut data) = c.begin("RETR log");
        // The original asks for the length after its reply, and before the first byte.
        let mut first = [0; 1];
        data.stream.read_exact(&mut first).unwrap();
        let mut file = std::fs::File::options();
        let mut file = file.append(true).open("/home/alice/log").unwrap();
        file.write_all(b"more").unwrap();
        let follows = !host.ours() && command == "TYPE A";
        let sent = first.len() + data.read().len();
        assert_eq!(sent, had + if follows { 4 } else { 0 });
        c.next(DONE);
        had += 4;
    }
}
