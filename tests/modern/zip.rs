//! MODE Z (draft-preston-ftpext-deflate): transfers and listings, in clear and over TLS, and what a hostile stream comes to.

use crate::clients::run;
use crate::support::tls::{BOTH, Ftps, ON as TLS, certificate, offer};
use crate::support::{Client, Host, Server, log, wait};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use std::io::{Read, Write};

const ON: &str = "mode_z_enable=YES\nlocal_umask=022\n";
const CLEAR: &str = "force_local_logins_ssl=NO\nforce_local_data_ssl=NO\n";
const DAMAGED: &str = "426 Compressed data is damaged or incomplete.";
const SWOLLEN: &str = "552 Too much compressed. Use MODE S.";

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What a whole stream stands for; nothing may follow its end.
#[track_caller]
fn unpack(wire: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut decoder = ZlibDecoder::new(wire);
    decoder.read_to_end(&mut bytes).unwrap();
    assert_eq!(decoder.total_in(), wire.len() as u64);
    bytes
}

/// Text of which little remains, and some that no stream makes shorter.
fn mixed(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    (0..length)
        .map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match at % 4096 {
                0..256 => (state >> 24) as u8,
                rest => b"line\n"[rest % 5],
            }
        })
        .collect()
}

fn alice() -> Client {
    let mut c = Client::alice();
    c.says("MODE Z", "200 Mode set to Z.");
    c.says("TYPE I", "200 Switching to Binary mode.");
    c
}

#[test]
fn where_it_is_not_allowed_it_is_not_there() {
    let host = Host::new();
    for lines in [
        "",
        "mode_z_enable=YES\nuser_config_dir=/etc/users\n",
        "mode_z_enable=YES\ncmds_denied=MODE\n",
    ] {
        std::fs::create_dir_all("/etc/users").unwrap();
        host.write("/etc/users/alice", "mode_z_enable=NO\n");
        let _server = Server::start(&host, lines);
        let mut c = Client::alice();
        assert!(!c.cmd("FEAT").text().contains("MODE"), "{lines}");
        c.says("OPTS MODE Z LEVEL 3", "501 Option not understood.");
        let refused = c.cmd("MODE Z");
        assert!(matches!(refused.code(), "504" | "550"), "{lines}");
        assert_eq!(c.fetch("RETR f"), b"hello world\n");
    }
}

#[test]
fn files_and_listings() {
    let host = Host::new();
    let bytes = mixed(3_000_000);
    host.file("/home/alice/big", &bytes);
    host.file("/home/alice/nil", b"");
    let _server = Server::start(&host, ON);
    let mut c = Client::connect();
    assert!(c.cmd("FEAT").text().contains("\r\n MODE Z\r\n"));
    c.login("alice");
    assert!(c.cmd("FEAT").text().contains("\r\n MODE Z\r\n"));
    let plain: Vec<Vec<u8>> = ["LIST", "NLST", "MLSD", "LIST nowhere*"]
        .iter()
        .map(|command| c.fetch(command))
        .collect();
    c.script(&[
        ("MODE z", "200 Mode set to Z."),
        ("TYPE I", "200 Switching to Binary mode."),
        ("OPTS MODE Z LEVEL 9", "200 MODE Z LEVEL set to 9."),
        ("OPTS MODE Z LEVEL 10", "501 MODE Z takes LEVEL and 0 to 9."),
        ("OPTS MODE Z LEVEL -1", "501 MODE Z takes LEVEL and 0 to 9."),
        ("OPTS MODE S", "501 MODE Z takes LEVEL and 0 to 9."),
        ("MODE B", "504 Bad MODE command."),
    ]);
    for (command, plain) in ["LIST", "NLST", "MLSD", "LIST nowhere*"].iter().zip(&plain) {
        assert_eq!(unpack(&c.fetch(command)), *plain, "{command}");
    }
    let mut sizes = Vec::new();
    for level in [0, 1, 6, 9] {
        let said = format!("200 MODE Z LEVEL set to {level}.");
        c.says(&format!("OPTS MODE Z LEVEL {level}"), &said);
        let wire = c.fetch("RETR big");
        assert!(unpack(&wire) == bytes, "level {level}");
        sizes.push(wire.len());
    }
    assert!(sizes[0] > bytes.len(), "{sizes:?}");
    assert!(sizes[1..].iter().all(|size| *size < 600_000), "{sizes:?}");
    assert_eq!(unpack(&c.fetch("RETR nil")), b"");
    c.says("REST 2999990", "350 Restart position accepted (2999990).");
    assert_eq!(unpack(&c.fetch("RETR big")), bytes[2_999_990..]);
    assert_eq!(c.store("STOR up", &pack(&bytes)).code(), "226");
    assert!(host.read("/home/alice/up") == bytes);
    assert_eq!(c.store("STOR up", &pack(b"")).code(), "226");
    assert_eq!(host.read("/home/alice/up"), b"");
    assert_eq!(c.store("STOR up", &pack(b"one")).code(), "226");
    assert_eq!(c.store("APPE up", &pack(b" two")).code(), "226");
    c.says("REST 4", "350 Restart position accepted (4).");
    assert_eq!(c.store("STOR up", &pack(b"2")).code(), "226");
    assert_eq!(host.read("/home/alice/up"), b"one 2wo");
    // What the digest of a file is does not depend on how it would be sent.
    c.says("XCRC nil", "250 00000000");
    c.says("MODE S", "200 Mode set to S.");
    assert!(c.fetch("RETR big") == bytes);
}

/// TYPE A first, then MODE Z; and logs count the bytes of the representation, as they do without it.
#[test]
fn text_and_the_log() {
    let host = Host::new();
    host.file("/home/alice/text", b"one\ntwo\n");
    let lines = "ascii_download_enable=YES\nascii_upload_enable=YES\nxferlog_std_format=YES\n";
    let _server = Server::start(&host, &format!("{ON}{lines}"));
    let mut c = Client::alice();
    for mode in ["S", "Z"] {
        c.says(&format!("MODE {mode}"), &format!("200 Mode set to {mode}."));
        let wire = c.fetch("RETR text");
        let text = if mode == "Z" { unpack(&wire) } else { wire };
        assert_eq!(text, b"one\r\ntwo\r\n");
        let wire = match mode {
            "Z" => pack(b"1\r\n22\r\n"),
            _ => b"1\r\n22\r\n".to_vec(),
        };
        assert_eq!(c.store("STOR up", &wire).code(), "226");
        assert_eq!(host.read("/home/alice/up"), b"1\n22\n");
    }
    let lines = log::xferlog(4);
    assert_eq!(lines[..2], lines[2..]);
    assert!(lines[2].contains(" 10 /home/alice/text a "), "{lines:?}");
}

#[test]
fn over_tls() {
    let host = Host::new();
    certificate(&host);
    let bytes = mixed(1_000_000);
    host.file("/home/alice/big", &bytes);
    let _server = Server::start(&host, &format!("{ON}{TLS}"));
    let mut c = Ftps::alice(offer(BOTH, None));
    c.says("MODE Z", "200 Mode set to Z.");
    c.says("TYPE I", "200 Switching to Binary mode.");
    assert!(unpack(&c.fetch("RETR big")) == bytes);
    let names = String::from_utf8(unpack(&c.fetch("NLST"))).unwrap();
    assert!(names.contains("big\r\n"), "{names}");
    assert!(c.store("STOR up", &pack(&bytes)).starts_with("226"));
    assert!(host.read("/home/alice/up") == bytes);
    let whole = pack(&bytes);
    assert_eq!(c.store("STOR up", &whole[..whole.len() - 1]), DAMAGED);
    assert!(c.store("STOR up", &pack(b"x")).starts_with("226"));
    assert_eq!(host.read("/home/alice/up"), b"x");
    // A checksum has no data connection that could be protected or compressed.
    for mode in ["S", "Z"] {
        c.says(&format!("MODE {mode}"), &format!("200 Mode set to {mode}."));
        c.says("XCRC f", "250 AF083B2D");
    }
}

/// Of a damaged stream no byte is known to be good: none of it stays to be resumed, and what was there before it does.
#[test]
fn nothing_stays_of_a_damaged_stream() {
    let host = Host::new();
    let _server = Server::start(&host, ON);
    let mut c = alice();
    // Much of it is written before the sum at its end is seen to be wrong.
    let mut wrong = pack(&mixed(600_000));
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(c.store("STOR new", &wrong).text(), DAMAGED);
    assert_eq!(host.read("/home/alice/new"), b"");
    assert_eq!(c.store("APPE f", &wrong).text(), DAMAGED);
    assert_eq!(host.read("/home/alice/f"), b"hello world\n");
}

#[test]
fn a_damaged_stream_is_no_success() {
    let host = Host::new();
    let _server = Server::start(&host, &format!("{ON}atomic_uploads=YES\n"));
    let mut c = alice();
    let whole = pack(b"something else");
    let cases: [(&str, Vec<u8>); 6] = [
        ("nothing at all", Vec::new()),
        ("one byte short", whole[..whole.len() - 1].to_vec()),
        ("a byte behind", [whole.as_slice(), b"\n"].concat()),
        ("twice", [whole.as_slice(), &whole].concat()),
        ("plain", b"hello there, this is no stream".to_vec()),
        ("wrong sum", {
            let mut wrong = whole.clone();
            *wrong.last_mut().unwrap() ^= 1;
            wrong
        }),
    ];
    for (what, wire) in cases {
        assert_eq!(c.store("STOR f", &wire).text(), DAMAGED, "{what}");
        assert_eq!(host.read("/home/alice/f"), b"hello world\n", "{what}");
        c.says("NOOP", "200 NOOP ok.");
    }
    crate::logged("FAIL UPLOAD");
    // Bytes that lie behind were good before. Somebody has written to the file since it was to be replaced.
    std::fs::write("/home/alice/f", "hello world\n").unwrap();
    c.says("REST 3", "350 Restart position accepted (3).");
    assert_eq!(c.store("STOR f", b"no stream").text(), DAMAGED);
    assert_eq!(host.read("/home/alice/f"), b"hello world\n");
    // The last stream was damaged, and nothing of it can be resumed; one that broke off can be.
    assert_eq!(host.read("/home/alice/.f.uploading"), b"");
    let short = pack(&mixed(300_000));
    assert_eq!(
        c.store("STOR new", &short[..short.len() / 2]).text(),
        DAMAGED
    );
    assert!(!host.read("/home/alice/.new.uploading").is_empty());
    assert_eq!(c.store("STOR f", &whole).code(), "226");
    assert_eq!(host.read("/home/alice/f"), b"something else");
}

/// Cutting away what is not known to be good was taken for somebody else's writing, and the file stayed.
#[test]
fn a_damaged_upload_is_deleted_as_others_are() {
    let host = Host::new();
    let mut wrong = pack(&mixed(3_000));
    *wrong.last_mut().unwrap() ^= 1;
    for atomic in ["YES", "NO"] {
        let more = format!("atomic_uploads={atomic}\ndelete_failed_uploads=YES\n");
        let _server = Server::start(&host, &format!("{ON}{more}"));
        let mut c = alice();
        assert_eq!(c.store("STOR new", &wrong).text(), DAMAGED);
        assert!(!host.exists("/home/alice/new"));
        assert!(!host.exists("/home/alice/.new.uploading"));
    }
}

/// A stream of which nothing has come out yet is no file that was cut short: without the mend that was said of what begins behind the end.
#[test]
fn nothing_behind_the_end_of_a_file() {
    let host = Host::new();
    host.write("/home/alice/old", "");
    std::os::unix::fs::chown("/home/alice/old", Some(1001), None).unwrap();
    let _server = Server::start(&host, ON);
    let mut c = alice();
    for bytes in [&b""[..], b"more"] {
        c.says("REST 3", "350 Restart position accepted (3).");
        assert_eq!(c.store("STOR old", &pack(bytes)).code(), "226");
    }
    assert_eq!(host.read("/home/alice/old"), b"\0\0\0more");
}

/// Reference §9.2: the stream must not end as if the file were whole.
#[test]
fn a_file_that_shrinks() {
    let host = Host::new();
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let noise: Vec<u8> = noise.take(8 << 20).flatten().collect();
    std::fs::write("/home/alice/large", noise).unwrap();
    let _server = Server::start(&host, ON);
    let mut c = alice();
    let (_, mut data) = c.begin("RETR large");
    let mut first = [0; 1000];
    data.stream.read_exact(&mut first).unwrap();
    // The server cannot have read to its end: sockets do not hold that much.
    let file = std::fs::File::options()
        .write(true)
        .open("/home/alice/large")
        .unwrap();
    file.set_len(1 << 20).unwrap();
    data.read();
    c.next("426 Failure writing network stream.");
}

#[test]
fn a_bomb_is_stopped() {
    let host = Host::new();
    let bomb = pack(&vec![0; 64 << 20]);
    for (lines, most) in [
        ("", bomb.len() as u64 * 100),
        ("mode_z_max_ratio=0\nmode_z_max_size=1\n", 1 << 20),
    ] {
        let _server = Server::start(&host, &format!("{ON}{lines}"));
        let mut c = alice();
        let (_, mut data) = c.begin("STOR bomb");
        // The server need not read it all.
        let _ = data.stream.write_all(&bomb);
        drop(data);
        c.next(SWOLLEN);
        let size = std::fs::metadata("/home/alice/bomb").unwrap().len();
        assert!(size <= most, "{lines}: {size}");
        crate::logged("mode_z_max_ratio");
        // What swells as text does is no bomb.
        let text = mixed(900_000);
        assert_eq!(c.store("STOR text", &pack(&text)).code(), "226");
    }
    let _server = Server::start(&host, &format!("{ON}mode_z_max_ratio=0\n"));
    assert_eq!(alice().store("STOR bomb", &bomb).code(), "226");
    let size = std::fs::metadata("/home/alice/bomb").unwrap().len();
    assert_eq!(size, 64 << 20);
}

/// The rate is the line's: a file that takes hours in MODE S is there before the deadline.
#[test]
fn rates_count_the_line() {
    let host = Host::new();
    let file = std::fs::File::create("/home/alice/zeros").unwrap();
    file.set_len(64 << 20).unwrap();
    host.mode("/home/alice/zeros", 0o644);
    let lines = "local_max_rate=20000\nmode_z_max_ratio=0\n";
    let _server = Server::start_with(
        &host,
        &format!("{ON}{lines}"),
        &[("VSFTPD_SANDBOX", "report")],
    );
    let mut c = alice();
    let wire = c.fetch("RETR zeros");
    assert_eq!(unpack(&wire).len(), 64 << 20);
    assert_eq!(c.store("STOR up", &pack(&vec![0; 16 << 20])).code(), "226");
}

#[test]
fn abor_ends_it() {
    let host = Host::new();
    // Nobody waits for the end of these zeros; little of them comes over the line.
    let file = std::fs::File::create("/home/alice/zeros").unwrap();
    file.set_len(1 << 42).unwrap();
    host.mode("/home/alice/zeros", 0o644);
    let _server = Server::start(&host, &format!("{ON}mode_z_max_ratio=0\n"));
    let mut c = alice();
    let (_, mut data) = c.begin("RETR zeros");
    data.stream.read_exact(&mut [0; 1000]).unwrap();
    c.says("ABOR", "426 Failure writing network stream.");
    c.next("226 ABOR successful.");
    let (_, mut data) = c.begin("STOR up");
    data.stream
        .write_all(&pack(&mixed(500_000))[..3000])
        .unwrap();
    wait("the bytes", || {
        let meta = std::fs::metadata("/home/alice/up").ok()?;
        (meta.len() > 0).then_some(())
    });
    let status = c.cmd("STAT").text();
    assert!(status.contains("Transfer in progress, "), "{status}");
    c.says("ABOR", "426 Failure reading network stream.");
    c.next("226 ABOR successful.");
    assert_eq!(unpack(&c.fetch("RETR f")), b"hello world\n");
}

#[test]
fn lftp_and_ftplib() {
    let host = Host::new();
    let bytes = mixed(2_000_000);
    std::fs::create_dir_all("/mnt/local/tree").unwrap();
    std::fs::write("/mnt/local/tree/big", &bytes).unwrap();
    std::fs::write("/mnt/local/tree/nil", b"").unwrap();
    certificate(&host);
    let _server = Server::start(&host, &format!("{ON}{TLS}{CLEAR}log_ftp_protocol=YES\n"));
    for (at, set) in [
        "set ssl-allow no",
        "set ssl:verify-certificate no; set ftp:ssl-force yes",
    ]
    .iter()
    .enumerate()
    {
        let commands = format!(
            "{set}; set net:max-retries 1; set ftp:use-mode-z yes; open -u alice,secret 127.0.0.1; \
             mirror -R tree up{at}; mirror up{at} down{at}; bye"
        );
        run("lftp", &["-c", &commands]);
        for place in [
            format!("/home/alice/up{at}"),
            format!("/mnt/local/down{at}"),
        ] {
            assert!(host.read(&format!("{place}/big")) == bytes, "{place}");
            assert_eq!(host.read(&format!("{place}/nil")), b"", "{place}");
        }
    }
    crate::logged("\"MODE Z\"");
    let said = crate::clients::python(
        "import zlib, io\n\
         print(ftp.sendcmd('MODE Z'))\n\
         got = []\n\
         ftp.retrbinary('RETR up0/big', got.append)\n\
         print(len(zlib.decompress(b''.join(got))))\n\
         ftp.storbinary('STOR py', io.BytesIO(zlib.compress(b'from python')))",
    );
    assert!(said.contains("2000000"), "{said}");
    assert_eq!(host.read("/home/alice/py"), b"from python");
}
