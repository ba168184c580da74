//! client_charset: names for clients that know no UTF-8.

use crate::clients::run;
use crate::support::host::ALICE;
use crate::support::{Client, Host, Server};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

const GBK: &[u8] = b"\xd6\xd0\xce\xc4";

/// Sends a command of any bytes; the whole reply.
fn say(c: &mut Client, parts: &[&[u8]]) -> Vec<u8> {
    c.send(&[parts.concat().as_slice(), b"\r\n"].concat());
    c.reply().raw
}

fn fetch(c: &mut Client, parts: &[&[u8]]) -> Vec<u8> {
    let mut stream = c.passive();
    let first = say(c, parts);
    assert!(
        first.starts_with(b"150"),
        "{}",
        String::from_utf8_lossy(&first)
    );
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut bytes).unwrap();
    assert_eq!(c.reply().code(), "226");
    bytes
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn both_ways() {
    let host = Host::new();
    host.mkdir("/home/alice/中文", ALICE);
    host.file("/home/alice/中文/文件.txt", b"body");
    let _server = Server::start(&host, "client_charset=gbk\nlocal_umask=022\n");
    let mut c = Client::alice();
    assert!(c.cmd("FEAT").text().contains("\r\n UTF8\r\n"));
    assert!(contains(
        &fetch(&mut c, &[b"LIST"]),
        &[b" ", GBK, b"\r\n"].concat()
    ));
    assert!(contains(&fetch(&mut c, &[b"NLST"]), GBK));
    assert!(contains(
        &fetch(&mut c, &[b"MLSD"]),
        &[b"; ", GBK, b"\r\n"].concat()
    ));
    assert!(contains(&say(&mut c, &[b"STAT ."]), GBK));
    assert!(contains(
        &say(&mut c, &[b"MLST ", GBK]),
        &[b" /home/alice/", GBK].concat()
    ));
    assert!(say(&mut c, &[b"CWD ", GBK]).starts_with(b"250"));
    assert_eq!(
        say(&mut c, &[b"PWD"]),
        [b"257 \"/home/alice/", GBK, b"\" is the current directory"].concat()
    );
    assert_eq!(fetch(&mut c, &[b"RETR \xce\xc4\xbc\xfe.txt"]), b"body");
    let made = say(&mut c, &[b"MKD ", GBK]);
    assert_eq!(
        made,
        [b"257 \"/home/alice/", GBK, b"/", GBK, b"\" created"].concat()
    );
    assert!(host.exists("/home/alice/中文/中文"));
    // Whoever says UTF8 gets it, and may take it back.
    c.says("OPTS UTF8 ON", "200 Always in UTF8 mode.");
    c.says("PWD", "257 \"/home/alice/中文\" is the current directory");
    c.says("OPTS UTF8 OFF", "200 Names are in GBK now.");
    assert!(contains(&say(&mut c, &[b"PWD"]), GBK));
    // What is logged is the host's name, shown as by the original.
    let log = crate::logged("OK DOWNLOAD");
    assert!(log.contains(".txt\"") && !log.contains('\u{fffd}'), "{log}");
}

#[test]
fn what_was_said_before_login_holds() {
    let host = Host::new();
    host.mkdir("/home/alice/中文", ALICE);
    let _server = Server::start(&host, "client_charset=GBK\n");
    let mut c = Client::connect();
    c.says("OPTS UTF8 ON", "200 Always in UTF8 mode.");
    c.login("alice");
    c.says("CWD 中文", "250 Directory successfully changed.");
    c.says("PWD", "257 \"/home/alice/中文\" is the current directory");
}

#[test]
fn every_name_can_be_used() {
    let host = Host::new();
    host.mkdir("/home/alice/odd", ALICE);
    let mut names = BTreeSet::new();
    for byte in 1..=255_u8 {
        // LF and CR are shown as `?` in listings, by the original's rule for the control connection.
        if !matches!(byte, b'/' | b'\n' | b'\r') {
            names.insert(vec![b'x', byte, b'y']);
        }
    }
    for name in ["中😀文", "%{41}", "100%{", "я", "é"] {
        names.insert(name.as_bytes().to_vec());
    }
    for name in &names {
        let path = [b"/home/alice/odd/".as_slice(), name].concat();
        fs::write(OsStr::from_bytes(&path), b"").unwrap();
        std::os::unix::fs::chown(OsStr::from_bytes(&path), Some(ALICE), None).unwrap();
    }
    for page in ["GBK", "Big5", "Shift_JIS", "windows-1251"] {
        let _server = Server::start(&host, &format!("client_charset={page}\n"));
        let mut c = Client::alice();
        c.says("CWD odd", "250 Directory successfully changed.");
        let shown = fetch(&mut c, &[b"NLST"]);
        let shown: BTreeSet<&[u8]> = shown
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(shown.len(), names.len(), "{page}");
        for name in shown {
            let reply = say(&mut c, &[b"SIZE ", name]);
            assert_eq!(reply, b"213 0", "{page} {}", name.escape_ascii());
        }
    }
}

fn store(c: &mut Client, name: &[u8], bytes: &[u8]) {
    let mut stream = c.passive();
    let first = say(c, &[b"STOR ", name]);
    assert!(first.starts_with(b"150"), "{}", first.escape_ascii());
    std::io::Write::write_all(&mut stream, bytes).unwrap();
    drop(stream);
    assert_eq!(c.reply().code(), "226", "{}", name.escape_ascii());
}

/// Each byte that a name may hold, first, inside and last, through every command that takes or shows names. Byte 255 is said once, as
/// the original takes it; only replies say it twice (RFC 854) (attacks B-015, B-064).
#[test]
fn every_byte_there_and_back() {
    let host = Host::new();
    host.mkdir("/home/alice/odd", ALICE);
    let mut names = BTreeSet::new();
    for byte in (1..=255_u8).filter(|byte| !matches!(byte, b'/' | b'\n' | b'\r')) {
        names.insert(vec![b'x', byte, b'y']);
    }
    for byte in b" \t\x01\x1b\x7f\x80\xff-*?[]{},\"'\\~;=%" {
        names.insert(vec![*byte, b'y']);
        names.insert(vec![b'x', *byte]);
    }
    // A tilde at the beginning is the home directory, in the original too; what LIST takes for options is no name there.
    names.remove(&b"~y"[..]);
    let _server = Server::start(&host, "local_umask=022\n");
    let mut c = Client::alice();
    c.says("CWD odd", "250 Directory successfully changed.");
    c.says("TYPE I", "200 Switching to Binary mode.");
    for name in &names {
        store(&mut c, name, name);
        let path = [b"/home/alice/odd/".as_slice(), name].concat();
        let read = fs::read(OsStr::from_bytes(&path)).ok();
        assert_eq!(read.as_ref(), Some(name), "{}", name.escape_ascii());
    }
    let lines = |text: Vec<u8>| -> Vec<Vec<u8>> {
        let lines = text.split(|byte| *byte == b'\n');
        let lines = lines.filter_map(|line| line.strip_suffix(b"\r"));
        lines.map(<[u8]>::to_vec).collect()
    };
    let plain: BTreeSet<Vec<u8>> = lines(fetch(&mut c, &[b"NLST -a"])).into_iter().collect();
    let long: BTreeSet<Vec<u8>> = lines(fetch(&mut c, &[b"LIST -a"]))
        .into_iter()
        // Of names that all have one digit of size, the name begins in one column.
        .map(|line| line[56..].to_vec())
        .collect();
    let machine: BTreeSet<Vec<u8>> = lines(fetch(&mut c, &[b"MLSD"]))
        .into_iter()
        .map(|line| {
            let at = line.iter().position(|byte| *byte == b' ').unwrap();
            line[at + 1..].to_vec()
        })
        .collect();
    for name in &names {
        let shown = name.escape_ascii();
        assert!(plain.contains(name), "NLST {shown}");
        assert!(long.contains(name), "LIST {shown}");
        assert!(machine.contains(name), "MLSD {shown}");
    }
    for name in &names {
        let shown = name.escape_ascii();
        let size = format!("213 {}", name.len());
        assert_eq!(say(&mut c, &[b"SIZE ", name]), size.as_bytes(), "{shown}");
        assert_eq!(fetch(&mut c, &[b"RETR ", name]), *name, "{shown}");
        assert!(
            say(&mut c, &[b"RNFR ", name]).starts_with(b"350"),
            "{shown}"
        );
        assert!(
            say(&mut c, &[b"RNTO z", name]).starts_with(b"250"),
            "{shown}"
        );
        assert!(
            say(&mut c, &[b"DELE z", name]).starts_with(b"250"),
            "{shown}"
        );
    }
    assert_eq!(fs::read_dir("/home/alice/odd").unwrap().count(), 0);
}

/// With a code page the client uses the names that it was shown.
#[test]
fn a_code_page_there_and_back() {
    let host = Host::new();
    host.mkdir("/home/alice/odd", ALICE);
    let on_disk: BTreeSet<Vec<u8>> = (1..=255_u8)
        .filter(|byte| !matches!(byte, b'/' | b'\n' | b'\r'))
        .map(|byte| vec![b'x', byte, b'y'])
        .chain(["中文 文件", "中😀文"].map(|name| name.as_bytes().to_vec()))
        .collect();
    let path = |name: &[u8]| [b"/home/alice/odd/".as_slice(), name].concat();
    for page in ["GBK", "windows-1251"] {
        for name in &on_disk {
            fs::write(OsStr::from_bytes(&path(name)), name).unwrap();
            std::os::unix::fs::chown(OsStr::from_bytes(&path(name)), Some(ALICE), None).unwrap();
        }
        let _server = Server::start(&host, &format!("client_charset={page}\nlocal_umask=022\n"));
        let mut c = Client::alice();
        c.says("CWD odd", "250 Directory successfully changed.");
        c.says("TYPE I", "200 Switching to Binary mode.");
        let shown = fetch(&mut c, &[b"NLST"]);
        let shown: BTreeSet<&[u8]> = shown
            .split(|byte| *byte == b'\n')
            .filter_map(|line| line.strip_suffix(b"\r"))
            .collect();
        let mut read = BTreeSet::new();
        for name in shown {
            let text = name.escape_ascii();
            let bytes = fetch(&mut c, &[b"RETR ", name]);
            store(&mut c, name, b"new");
            assert_eq!(
                fs::read(OsStr::from_bytes(&path(&bytes))).unwrap(),
                b"new",
                "{page} {text}"
            );
            assert!(
                say(&mut c, &[b"RNFR ", name]).starts_with(b"350"),
                "{page} {text}"
            );
            assert!(
                say(&mut c, &[b"RNTO z", name]).starts_with(b"250"),
                "{page} {text}"
            );
            assert!(
                say(&mut c, &[b"DELE z", name]).starts_with(b"250"),
                "{page} {text}"
            );
            read.insert(bytes);
        }
        assert_eq!(read, on_disk, "{page}");
        assert_eq!(fs::read_dir("/home/alice/odd").unwrap().count(), 0);
    }
}

#[test]
fn of_one_user_alone_and_checked_at_start() {
    let host = Host::new();
    host.mkdir("/home/alice/中文", ALICE);
    fs::create_dir("/etc/users").unwrap();
    host.write("/etc/users/alice", "client_charset=GBK\n");
    let server = Server::start(&host, "user_config_dir=/etc/users\n");
    assert!(contains(&fetch(&mut Client::alice(), &[b"NLST"]), GBK));
    let bob = Client::user("bob").cmd("FEAT").text();
    assert!(!bob.contains("UTF8"), "{bob}");
    drop(server);
    let (_, said) = Server::refused(&host, "client_charset=utf-16\n");
    assert!(
        said.contains("client_charset=utf-16 is no code page"),
        "{said}"
    );
}

#[test]
fn clients_with_a_code_page() {
    let host = Host::new();
    host.file("/home/alice/文件", b"body");
    let _server = Server::start(&host, "client_charset=GBK\nlocal_umask=022\n");
    let script = "import ftplib, io\n\
        ftp = ftplib.FTP('127.0.0.1', 'alice', 'secret', timeout=20, encoding='gbk')\n\
        print('文件' in ftp.nlst())\n\
        ftp.storbinary('STOR 新的', io.BytesIO(b'new'))\n\
        ftp.rename('新的', '更新')\n\
        print(ftp.size('更新'))\n";
    assert_eq!(run("python3", &["-X", "utf8", "-c", script]), "True\n3\n");
    assert_eq!(host.read("/home/alice/更新"), b"new");
    // lftp says OPTS UTF8 ON because FEAT lists it; curl sends what it is given.
    let said = run(
        "lftp",
        &[
            "-c",
            "set ssl-allow no; open -u alice,secret 127.0.0.1; cls; get 文件",
        ],
    );
    assert!(said.contains("文件"), "{said}");
    let said = run(
        "curl",
        &["-sS", "-u", "alice:secret", "ftp://127.0.0.1/%CE%C4%BC%FE"],
    );
    assert_eq!(said, "body");
}
