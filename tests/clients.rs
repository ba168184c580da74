//! The clients people use: lftp, curl, ftp (tnftp), ncftp, Python's ftplib. A client that is missing is a failure, not a skip.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{Host, Server};

/// Where a client keeps its files: inside the private host, but not the server's.
const LOCAL: &str = "/mnt/local";

fn place() {
    fs::create_dir_all(LOCAL).unwrap();
}

/// Runs a client to its end and returns what it said; its failure is the test's.
#[track_caller]
fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let (ok, said) = attempt(program, arguments, input);
    assert!(ok, "{program} {arguments:?} failed:\n{said}");
    said
}

#[track_caller]
fn attempt(program: &str, arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new("timeout")
        .arg("60")
        .arg(program)
        .args(arguments)
        .current_dir(LOCAL)
        .env("HOME", LOCAL)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program} is needed: {e}"));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_ne!(
        output.status.code(),
        Some(127),
        "{program} is needed (make test installs it): {said}"
    );
    (output.status.success(), said)
}

/// Every file below a directory, with its content.
fn tree(root: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![PathBuf::from(root)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(
                    path.strip_prefix(root).unwrap().to_owned(),
                    fs::read(&path).unwrap(),
                );
            }
        }
    }
    found
}

/// 500 files in a few directories, of every small size and some larger ones.
fn fill(root: &str) {
    for number in 0..500usize {
        let directory = Path::new(root).join(format!("dir {}/sub-{}", number % 7, number % 3));
        fs::create_dir_all(&directory).unwrap();
        let size = if number % 50 == 0 {
            300_000 + number
        } else {
            number * 7
        };
        let bytes: Vec<u8> = (0..size)
            .map(|at| (at.wrapping_mul(31) ^ number) as u8)
            .collect();
        fs::write(directory.join(format!("file {number:03}.bin")), bytes).unwrap();
    }
}

fn big(path: &str, length: usize) -> Vec<u8> {
    let bytes: Vec<u8> = (0..length)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8)
        .collect();
    fs::write(path, &bytes).unwrap();
    bytes
}

#[test]
fn lftp_mirrors_up_and_down() {
    let host = Host::new();
    place();
    fill("/mnt/local/tree");
    let _server = Server::start(&host, "chroot_local_user=YES\nallow_writeable_chroot=YES\n");
    let open = "set net:max-retries 1; set net:timeout 20; set ftp:ssl-allow no; open -u alice,secret 127.0.0.1;";
    run(
        "lftp",
        &["-c", &format!("{open} mirror -R --parallel=4 tree up; bye")],
        "",
    );
    let sent = tree("/mnt/local/tree");
    assert_eq!(sent.len(), 500);
    assert!(
        tree("/home/alice/up") == sent,
        "what arrived is not what was sent"
    );
    run(
        "lftp",
        &["-c", &format!("{open} mirror --parallel=4 up down; bye")],
        "",
    );
    assert!(
        tree("/mnt/local/down") == sent,
        "what came back is not what was sent"
    );
}

#[test]
fn lftp_mirrors_in_active_mode() {
    let host = Host::new();
    place();
    fill("/mnt/local/tree");
    let _server = Server::start(&host, "connect_from_port_20=YES\n");
    let open = "set net:max-retries 1; set net:timeout 20; set ftp:ssl-allow no; set ftp:passive-mode no; open -u alice,secret 127.0.0.1;";
    run(
        "lftp",
        &[
            "-c",
            &format!("{open} mirror -R tree up; mirror up down; bye"),
        ],
        "",
    );
    assert!(tree("/mnt/local/down") == tree("/mnt/local/tree"));
}

#[test]
fn curl_downloads_and_resumes() {
    let host = Host::new();
    place();
    let bytes = big("/home/alice/big", 3_000_000);
    let _server = Server::start(&host, "");
    fs::write("/mnt/local/big", &bytes[..1_234_567]).unwrap();
    run(
        "curl",
        &[
            "-sS",
            "-C",
            "-",
            "-u",
            "alice:secret",
            "-o",
            "big",
            "ftp://127.0.0.1/big",
        ],
        "",
    );
    assert!(fs::read("/mnt/local/big").unwrap() == bytes);
    run(
        "curl",
        &[
            "-sS",
            "-u",
            "alice:secret",
            "-P",
            "-",
            "-o",
            "active",
            "ftp://127.0.0.1/big",
        ],
        "",
    );
    assert!(fs::read("/mnt/local/active").unwrap() == bytes);
    let middle = run(
        "curl",
        &[
            "-sS",
            "-r",
            "100-149",
            "-u",
            "alice:secret",
            "-o",
            "part",
            "ftp://127.0.0.1/big",
        ],
        "",
    );
    assert!(
        fs::read("/mnt/local/part").unwrap() == bytes[100..150],
        "{middle}"
    );
}

#[test]
fn curl_uploads_and_resumes() {
    let host = Host::new();
    place();
    let bytes = big("/mnt/local/big", 3_000_000);
    host.file("/home/alice/big", &bytes[..1_234_567]);
    let _server = Server::start(&host, "");
    run(
        "curl",
        &[
            "-sS",
            "-C",
            "-",
            "-u",
            "alice:secret",
            "-T",
            "big",
            "ftp://127.0.0.1/big",
        ],
        "",
    );
    assert!(fs::read("/home/alice/big").unwrap() == bytes);
    run(
        "curl",
        &[
            "-sS",
            "--ftp-create-dirs",
            "-u",
            "alice:secret",
            "-T",
            "big",
            "ftp://127.0.0.1/new/dir/big",
        ],
        "",
    );
    assert!(fs::read("/home/alice/new/dir/big").unwrap() == bytes);
    run(
        "curl",
        &[
            "-sS",
            "-a",
            "-u",
            "alice:secret",
            "-T",
            "big",
            "ftp://127.0.0.1/twice",
        ],
        "",
    );
    run(
        "curl",
        &[
            "-sS",
            "-a",
            "-u",
            "alice:secret",
            "-T",
            "big",
            "ftp://127.0.0.1/twice",
        ],
        "",
    );
    assert_eq!(fs::metadata("/home/alice/twice").unwrap().len(), 6_000_000);
}

#[test]
fn curl_as_anonymous_reads_and_cannot_write() {
    let host = Host::new();
    place();
    let _server = Server::start(&host, "");
    assert_eq!(
        run("curl", &["-sS", "ftp://127.0.0.1/pub/file"], ""),
        "pubfile"
    );
    assert!(
        run("curl", &["-sS", "ftp://127.0.0.1/"], "").contains(" pub\r\n")
            || run("curl", &["-sS", "-l", "ftp://127.0.0.1/"], "").contains("pub")
    );
    fs::write("/mnt/local/x", "x").unwrap();
    assert!(
        !attempt(
            "curl",
            &["-sS", "-T", "x", "ftp://127.0.0.1/incoming/x"],
            ""
        )
        .0
    );
    assert!(
        !attempt(
            "curl",
            &["-sS", "--path-as-is", "ftp://127.0.0.1/../../etc/passwd"],
            ""
        )
        .0
    );
}

#[test]
fn curl_over_ipv6() {
    let host = Host::new();
    place();
    let _server = Server::start(&host, "listen=NO\nlisten_ipv6=YES\n");
    for extra in [&[][..], &["-P", "-"][..]] {
        let said = run(
            "curl",
            &[
                &["-sS", "-g", "-u", "alice:secret"],
                extra,
                &["ftp://[::1]/f"],
            ]
            .concat(),
            "",
        );
        assert_eq!(said, "hello world\n");
    }
}

#[test]
fn tnftp_in_active_mode() {
    let host = Host::new();
    place();
    let _server = Server::start(&host, "connect_from_port_20=YES\n");
    fs::write("/mnt/local/up.txt", "up\n").unwrap();
    let script = "open 127.0.0.1\nuser alice secret\nbinary\npassive off\nget f\nput up.txt\nls\nrename up.txt moved.txt\nquit\n";
    let said = run("tnftp", &["-n", "-A", "-v"], script);
    assert_eq!(
        fs::read("/mnt/local/f").unwrap(),
        b"hello world\n",
        "{said}"
    );
    assert_eq!(
        fs::read("/home/alice/moved.txt").unwrap(),
        b"up\n",
        "{said}"
    );
    assert!(said.contains(" asc"), "{said}");
}

#[test]
fn tnftp_in_passive_mode() {
    let host = Host::new();
    place();
    let _server = Server::start(&host, "");
    let said = run(
        "tnftp",
        &["-n", "-p", "-v"],
        "open 127.0.0.1\nuser alice secret\nbinary\nget f\nmkdir made\ncd made\nput f\nquit\n",
    );
    assert_eq!(
        fs::read("/home/alice/made/f").unwrap(),
        b"hello world\n",
        "{said}"
    );
}

#[test]
fn ncftp_gets_and_puts() {
    let host = Host::new();
    place();
    fill("/mnt/local/tree");
    let _server = Server::start(&host, "");
    run(
        "ncftpput",
        &[
            "-R",
            "-V",
            "-u",
            "alice",
            "-p",
            "secret",
            "127.0.0.1",
            ".",
            "tree",
        ],
        "",
    );
    assert!(tree("/home/alice/tree") == tree("/mnt/local/tree"));
    fs::create_dir("/mnt/local/back").unwrap();
    run(
        "ncftpget",
        &[
            "-R",
            "-V",
            "-u",
            "alice",
            "-p",
            "secret",
            "127.0.0.1",
            "back",
            "tree",
        ],
        "",
    );
    assert!(tree("/mnt/local/back/tree") == tree("/mnt/local/tree"));
    assert!(
        run(
            "ncftpls",
            &["-u", "alice", "-p", "secret", "ftp://127.0.0.1/"],
            ""
        )
        .contains("asc")
    );
}

const FTPLIB: &str = r#"
import ftplib, io
for passive in (True, False):
    ftp = ftplib.FTP()
    ftp.connect('127.0.0.1', 21, timeout=20)
    ftp.login('alice', 'secret')
    ftp.set_pasv(passive)
    assert ftp.pwd() == '/home/alice', ftp.pwd()
    got = io.BytesIO(); ftp.retrbinary('RETR f', got.write)
    assert got.getvalue() == b'hello world\n'
    got = io.BytesIO(); ftp.retrbinary('RETR f', got.write, rest=6)
    assert got.getvalue() == b'world\n'
    ftp.storbinary('STOR up', io.BytesIO(b'x' * 1000000))
    assert ftp.size('up') == 1000000
    ftp.storlines('STOR lines', io.BytesIO(b'a\nb\n'))
    names = ftp.nlst(); assert 'asc' in names, names
    lines = []; ftp.retrlines('LIST', lines.append); assert any(l.endswith(' asc') for l in lines)
    ftp.mkd('m'); ftp.cwd('m'); ftp.cwd('..'); ftp.rename('m', 'n'); ftp.rmd('n'); ftp.delete('up')
    assert ftp.sendcmd('MDTM f') == '213 20010203040506'
    try: ftp.cwd('none'); raise SystemExit('no error')
    except ftplib.error_perm as e: assert str(e).startswith('550')
    ftp.quit()
print('ok')
"#;

#[test]
fn python_ftplib() {
    let host = Host::new();
    place();
    let _server = Server::start(&host, "");
    fs::write("/mnt/local/t.py", FTPLIB).unwrap();
    assert_eq!(run("python3", &["t.py"], "").trim(), "ok");
}

#[test]
fn eight_clients_at_once() {
    let host = Host::new();
    place();
    let bytes = big("/home/alice/big", 2_000_000);
    let _server = Server::start(&host, "");
    let children: Vec<_> = (0..8)
        .map(|n| {
            Command::new("curl")
                .args([
                    "-sS",
                    "--max-time",
                    "60",
                    "-u",
                    "alice:secret",
                    "-o",
                    &format!("/mnt/local/{n}"),
                    "ftp://127.0.0.1/big",
                ])
                .spawn()
                .expect("curl is needed")
        })
        .collect();
    for (n, mut child) in children.into_iter().enumerate() {
        assert!(child.wait().unwrap().success());
        assert!(fs::read(format!("/mnt/local/{n}")).unwrap() == bytes);
    }
}
