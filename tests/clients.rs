//! The clients people use: lftp, curl, wget, ftp (tnftp, GNU's), BusyBox, ncftp, Perl's Net::FTP, Python's ftplib. A client that is missing is a
//! failure, not a skip.
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
    for _ in 0..2 {
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
    }
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

/// What scripts and routers fetch firmware with; BusyBox has a client of its own on each of them.
#[test]
fn wget_and_busybox() {
    let host = Host::new();
    place();
    fill("/srv/ftp/pub/tree");
    let bytes = big("/srv/ftp/pub/image", 1_000_000);
    let _server = Server::start(&host, "");
    for passive in ["--passive-ftp", "--no-passive-ftp"] {
        let _ = fs::remove_dir_all("/mnt/local/tree");
        let all = ["-q", "-r", "-nH", "--cut-dirs=1", passive];
        run(
            "wget",
            &[&all[..], &["ftp://127.0.0.1/pub/tree/"]].concat(),
            "",
        );
        assert!(
            tree("/mnt/local/tree") == tree("/srv/ftp/pub/tree"),
            "{passive}"
        );
        fs::write("/mnt/local/image", &bytes[..700_000]).unwrap();
        run(
            "wget",
            &["-q", "-c", passive, "ftp://127.0.0.1/pub/image"],
            "",
        );
        assert!(fs::read("/mnt/local/image").unwrap() == bytes, "{passive}");
    }
    fs::write("/mnt/local/boxed", &bytes[..700_000]).unwrap();
    let get = ["ftpget", "-c", "127.0.0.1", "boxed", "pub/image"];
    run("busybox", &get, "");
    assert!(fs::read("/mnt/local/boxed").unwrap() == bytes);
    let put = ["ftpput", "-u", "alice", "-p", "secret", "127.0.0.1"];
    run("busybox", &[&put[..], &["up", "boxed"]].concat(), "");
    assert!(fs::read("/home/alice/up").unwrap() == bytes);
}

/// The `ftp` of GNU, which speaks active mode unless told otherwise.
#[test]
fn inetutils_in_active_mode() {
    let host = Host::new();
    place();
    let _server = Server::start(&host, "connect_from_port_20=YES\n");
    fs::write("/mnt/local/up.txt", "up\n").unwrap();
    let script = "open 127.0.0.1\nuser alice secret\nbinary\nget f\nput up.txt\nappend up.txt up.txt\nmkdir made\ncd made\n\
                  sunique\nput f\nput f\nls\ncdup\nrename up.txt moved.txt\nmodtime f\nsize f\nquit\n";
    let said = run("inetutils-ftp", &["-n", "-v"], script);
    let is =
        |path: &str, text: &str| assert_eq!(fs::read(path).unwrap(), text.as_bytes(), "{said}");
    is("/mnt/local/f", "hello world\n");
    is("/home/alice/moved.txt", "up\nup\n");
    is("/home/alice/made/f", "hello world\n");
    is("/home/alice/made/f.1", "hello world\n");
}

const PERL: &str = r#"
use strict; use Net::FTP;
for my $passive (0, 1) {
    my $ftp = Net::FTP->new("127.0.0.1", Passive => $passive, Timeout => 20) or die $@;
    my $ok = sub { $_[1] or die "$passive: $_[0]: ", $ftp->code, " ", $ftp->message };
    $ok->("login", $ftp->login("alice", "secret"));
    $ok->("binary", $ftp->binary);
    $ok->("get", $ftp->get("f", "perl"));
    $ok->("put", $ftp->put("perl", "a \"quoted\" name"));
    $ok->("append", $ftp->append("perl", "a \"quoted\" name"));
    $ok->("restart", $ftp->get("a \"quoted\" name", "perl", 12));
    $ok->("size", $ftp->size("a \"quoted\" name") == 24 && -s "perl" == 24);
    $ok->("mkdir", $ftp->mkdir("x/y/z", 1));
    $ok->("pwd", $ftp->cwd("x/y") && $ftp->pwd eq "/home/alice/x/y");
    $ok->("rmdir", $ftp->cwd("/home/alice") && $ftp->rmdir("x", 1));
    $ok->("ls", grep { $_ eq "asc" } $ftp->ls);
    $ok->("dir", grep { / asc$/ } $ftp->dir);
    my $data = $ftp->retr("f"); $data->read(my $some, 5); $data->abort;
    $ok->("abort", $some eq "hello" && $ftp->quot("NOOP") == 2);
    $ok->("mdtm", $ftp->mdtm("f") == 981173106);
    $ok->("quit", $ftp->quit);
}
"#;

#[test]
fn perl_net_ftp() {
    let host = Host::new();
    place();
    let _server = Server::start(&host, "");
    run("perl", &["-e", PERL], "");
}

/// A key of the kind most servers have, and its certificate, made as the manual says.
fn rsa_certificate() {
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
        ])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ])
        .args(["-keyout", "/etc/vsftpd.pem", "-out", "/mnt/cert.pem"])
        .output()
        .expect("openssl is needed");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let both = [
        fs::read("/etc/vsftpd.pem").unwrap(),
        fs::read("/mnt/cert.pem").unwrap(),
    ]
    .concat();
    fs::write("/etc/vsftpd.pem", both).unwrap();
}

const TLS: &str = "ssl_enable=YES\nrsa_cert_file=/etc/vsftpd.pem\n";

#[test]
fn curl_over_tls() {
    let host = Host::new();
    place();
    rsa_certificate();
    let bytes = big("/home/alice/big", 3_000_000);
    let _server = Server::start(&host, TLS);
    for version in ["1.2", "1.3"] {
        let max = format!("--tls-max {version} --ssl-reqd -k -sS -u alice:secret");
        let curl = |more: &[&str]| {
            let mut all: Vec<&str> = max.split(' ').collect();
            all.extend(more);
            run("curl", &all, "")
        };
        // Several files over one control connection: the same ticket is offered again.
        curl(&[
            "-o",
            "one",
            "ftp://127.0.0.1/big",
            "-o",
            "two",
            "ftp://127.0.0.1/big",
            "-o",
            "three",
            "ftp://127.0.0.1/f",
        ]);
        assert!(fs::read("/mnt/local/one").unwrap() == bytes, "{version}");
        assert!(fs::read("/mnt/local/two").unwrap() == bytes, "{version}");
        curl(&["-T", "one", "ftp://127.0.0.1/up"]);
        assert!(fs::read("/home/alice/up").unwrap() == bytes, "{version}");
        assert!(curl(&["ftp://127.0.0.1/"]).contains(" big"));
    }
}

#[test]
fn curl_over_implicit_tls() {
    let host = Host::new();
    place();
    rsa_certificate();
    let bytes = big("/home/alice/big", 100_000);
    let _server = Server::start(&host, &format!("{TLS}implicit_ssl=YES\n"));
    run(
        "curl",
        &[
            "-k",
            "-sS",
            "-u",
            "alice:secret",
            "-o",
            "big",
            "ftps://127.0.0.1:21/big",
        ],
        "",
    );
    assert!(fs::read("/mnt/local/big").unwrap() == bytes);
}

/// Explicit and implicit; each transfer resumes the TLS session of the control connection.
#[test]
fn wget_over_tls() {
    let host = Host::new();
    place();
    rsa_certificate();
    fill("/home/alice/tree");
    let _server = Server::start(&host, &format!("{TLS}implicit_listen_port=990\n"));
    let all = "-q -r -nH --no-check-certificate --user=alice --password=secret";
    for more in [
        "ftps://127.0.0.1:21/tree/",
        "--ftps-implicit ftps://127.0.0.1/tree/",
        "--no-passive-ftp --ftps-implicit ftps://127.0.0.1/tree/",
    ] {
        let _ = fs::remove_dir_all("/mnt/local/tree");
        let line: Vec<&str> = all.split(' ').chain(more.split(' ')).collect();
        run("wget", &line, "");
        assert!(
            tree("/mnt/local/tree") == tree("/home/alice/tree"),
            "{more}"
        );
    }
}

#[test]
fn lftp_over_tls() {
    let host = Host::new();
    place();
    rsa_certificate();
    fill("/mnt/local/tree");
    let _server = Server::start(&host, TLS);
    let open = "set net:max-retries 1; set net:timeout 20; set ftp:ssl-force yes; set ftp:ssl-protect-data yes; \
                set ssl:verify-certificate no; open -u alice,secret 127.0.0.1;";
    run(
        "lftp",
        &[
            "-c",
            &format!("{open} mirror -R --parallel=2 tree up; mirror up down; bye"),
        ],
        "",
    );
    assert!(tree("/home/alice/up") == tree("/mnt/local/tree"));
    assert!(tree("/mnt/local/down") == tree("/mnt/local/tree"));
}

/// Python resumes nothing by itself: with the few lines its users know it does, and without them require_ssl_reuse must be NO.
const PYTHON: &str = r#"
import ftplib, io, ssl, sys
class Reuse(ftplib.FTP_TLS):
    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._prot_p:
            conn = self.context.wrap_socket(conn, server_hostname=self.host, session=self.sock.session)
        return conn, size
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
if sys.argv[2] == "1.2":
    context.maximum_version = ssl.TLSVersion.TLSv1_2
ftp = (Reuse if sys.argv[1] == "reuse" else ftplib.FTP_TLS)(context=context)
ftp.connect("127.0.0.1", 21, timeout=20)
ftp.login("alice", "secret")
ftp.prot_p()
for number in range(5):
    got = io.BytesIO()
    ftp.retrbinary("RETR big", got.write)
    ftp.storbinary(f"STOR up{number}", io.BytesIO(got.getvalue()))
    assert "big" in ftp.nlst()
print(len(got.getvalue()))
ftp.quit()
"#;

#[test]
fn python_over_tls() {
    for (kind, option) in [("reuse", ""), ("plain", "require_ssl_reuse=NO\n")] {
        let host = Host::new();
        place();
        rsa_certificate();
        let bytes = big("/home/alice/big", 1_000_000);
        let _server = Server::start(&host, &format!("{TLS}{option}"));
        for version in ["1.2", "1.3"] {
            let said = run("python3", &["-c", PYTHON, kind, version], "");
            assert_eq!(said.trim(), "1000000");
            assert!(fs::read("/home/alice/up4").unwrap() == bytes);
        }
    }
}

#[test]
fn python_without_reuse_is_told() {
    let host = Host::new();
    place();
    rsa_certificate();
    big("/home/alice/big", 1000);
    let _server = Server::start(&host, TLS);
    let (ok, said) = attempt("python3", &["-c", PYTHON, "plain", "1.2"], "");
    assert!(!ok && said.contains("522 "), "{said}");
    support::log::until("set require_ssl_reuse=NO");
}

/// What old clients and scanners try: nothing below TLS 1.2, no renegotiation, no compression (attacks B-092).
#[test]
fn openssl_s_client() {
    let host = Host::new();
    place();
    rsa_certificate();
    let _server = Server::start(&host, TLS);
    let connect = ["s_client", "-connect", "127.0.0.1:21", "-starttls", "ftp"];
    let with = |more: &[&str], input: &str| {
        let all: Vec<&str> = connect.iter().chain(more).copied().collect();
        attempt("openssl", &all, input).1
    };
    let said = with(&["-tls1_3", "-ign_eof"], "QUIT\r\n");
    assert!(
        said.contains("TLSv1.3") && said.contains("221 Goodbye."),
        "{said}"
    );
    let said = with(&["-tls1_2", "-ign_eof"], "QUIT\r\n");
    assert!(
        said.contains("Cipher is ECDHE-RSA-AES256-GCM-SHA384"),
        "{said}"
    );
    assert!(said.contains("Compression: NONE"), "{said}");
    for old in ["-tls1", "-tls1_1"] {
        let said = with(&[old, "-cipher", "ALL:@SECLEVEL=0"], "");
        assert!(
            said.contains("protocol version") || said.contains("Cipher is (NONE)"),
            "{said}"
        );
    }
    let said = with(
        &[
            "-tls1_2",
            "-cipher",
            "AES128-SHA:DHE-RSA-AES128-SHA:@SECLEVEL=0",
        ],
        "",
    );
    assert!(said.contains("Cipher is (NONE)"), "{said}");
    // `R` asks for renegotiation.
    let said = with(&["-tls1_2"], "R\n");
    assert!(said.contains("no renegotiation"), "{said}");
}
