//! MLSD, MLST and OPTS MLST (RFC 3659 §7).

use crate::support::host::{ALICE, FTP};
use crate::support::{Client, Host, Server};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};

const DENIED: &str = "550 Permission denied.";
const NO_FACTS: &str = "550 Could not get facts.";

/// The facts of each name, case of the facts lowered.
fn parse(lines: &[u8]) -> BTreeMap<Vec<u8>, BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for line in lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let line = line.strip_suffix(b"\r").expect("CRLF");
        let space = line.iter().position(|byte| *byte == b' ').unwrap();
        let facts = String::from_utf8(line[..space].to_vec()).unwrap();
        let facts = facts
            .strip_suffix(';')
            .unwrap_or_default()
            .split(';')
            .filter_map(|fact| fact.split_once('='))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let name = line[space + 1..].to_vec();
        let odd = name == b"x?y";
        assert!(found.insert(name, facts).is_none() || odd);
    }
    found
}

fn mlsd(c: &mut Client, command: &str) -> BTreeMap<Vec<u8>, BTreeMap<String, String>> {
    parse(&c.fetch(command))
}

/// The line of an MLST reply, without its space.
fn mlst(c: &mut Client, command: &str) -> String {
    let text = c.cmd(command).text();
    let inner = text
        .strip_prefix("250-Listing\r\n ")
        .unwrap_or_else(|| panic!("{command}: {text}"));
    inner.strip_suffix("\r\n250 End").unwrap().to_owned()
}

fn perm(facts: &BTreeMap<String, String>) -> &str {
    &facts["perm"]
}

#[test]
fn entries_and_their_facts() {
    let host = Host::new();
    let _server = Server::start(&host, "use_localtime=YES\n");
    let mut c = Client::alice();
    let all = mlsd(&mut c, "MLSD");
    let names: Vec<_> = all
        .keys()
        .map(|name| String::from_utf8_lossy(name))
        .collect();
    assert_eq!(
        names,
        [
            ".", "..", ".dot", "a b", "asc", "d", "dang", "empty", "f", "lnk", "other"
        ]
    );
    let f = &all[&b"f"[..]];
    let meta = std::fs::metadata("/home/alice/f").unwrap();
    assert_eq!(f["type"], "file");
    assert_eq!(f["size"], "12");
    // UTC, whatever use_localtime says (RFC 3659 §2.3).
    assert_eq!(f["modify"], "20010203040506");
    assert_eq!(f["perm"], "adfrw");
    assert_eq!(f["unique"], format!("{:x}g{:x}", meta.dev(), meta.ino()));
    assert_eq!(f["unix.mode"], "0644");
    assert_eq!(f["unix.owner"], ALICE.to_string());
    assert_eq!(f["unix.group"], ALICE.to_string());
    let of = |name: &[u8], fact: &str| all[name].get(fact).cloned().unwrap_or_default();
    assert_eq!(
        (of(b".", "type"), of(b".", "perm")),
        ("cdir".into(), "celmp".into())
    );
    // /home belongs to root.
    assert_eq!(
        (of(b"..", "type"), of(b"..", "perm")),
        ("pdir".into(), "el".into())
    );
    assert_eq!(
        (of(b"d", "type"), of(b"d", "size")),
        ("dir".into(), String::new())
    );
    assert_eq!(of(b"d", "perm"), "cdeflmp");
    assert_eq!(
        (of(b"lnk", "type"), of(b"lnk", "perm")),
        ("OS.unix=slink:f".into(), "adfrw".into())
    );
    assert_eq!(
        (of(b"dang", "type"), of(b"dang", "perm")),
        ("OS.unix=slink:nowhere".into(), "df".into())
    );
    // Root's, not readable, in a directory of alice's.
    assert_eq!(of(b"other", "perm"), "df");
    assert_eq!(mlsd(&mut c, "MLSD d").len(), 5);
    assert_eq!(
        mlsd(&mut c, "MLSD ~/d/sub"),
        mlsd(&mut c, "MLSD /home/alice/d/sub")
    );
}

#[test]
fn what_cannot_be_listed() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::connect();
    c.says("MLSD", "530 Please login with USER and PASS.");
    c.says("MLST", "530 Please login with USER and PASS.");
    c.login("alice");
    c.says("MLSD", "425 Use PORT or PASV first.");
    c.refused("MLSD nowhere", "550 Failed to open directory.");
    c.refused("MLSD f", "501 MLSD needs a directory.");
    // No patterns and no options: they are names.
    c.refused("MLSD *", "550 Failed to open directory.");
    c.refused("MLSD -a", "550 Failed to open directory.");
    c.says("MLST nowhere", NO_FACTS);
    c.says("MLST *", NO_FACTS);
    c.says("MLST f/", NO_FACTS);
    // One that may be read and not searched is no empty one.
    host.mkdir("/home/alice/closed", ALICE);
    host.file("/home/alice/closed/f", b"");
    host.mode("/home/alice/closed", 0o444);
    let (_, mut data) = c.begin("MLSD closed");
    assert_eq!(data.read(), b"");
    assert_eq!(c.reply().code(), "451");
}

#[test]
fn one_entry_on_the_control_connection() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    c.says("OPTS MLST size;TYPE;no-such;", "200 MLST OPTS type;size;");
    assert_eq!(mlst(&mut c, "MLST f"), "type=file;size=12; /home/alice/f");
    assert_eq!(
        mlst(&mut c, "MLST d/../f"),
        "type=file;size=12; /home/alice/f"
    );
    assert_eq!(
        mlst(&mut c, "MLST a b"),
        "type=file;size=1; /home/alice/a b"
    );
    assert_eq!(mlst(&mut c, "MLST"), "type=dir; /home/alice");
    assert_eq!(mlst(&mut c, "MLST d/"), "type=dir; /home/alice/d");
    assert_eq!(mlst(&mut c, "MLST /"), "type=dir; /");
    assert_eq!(
        mlst(&mut c, "MLST lnk"),
        "type=OS.unix=slink:f; /home/alice/lnk"
    );
    let feat = c.cmd("FEAT").text();
    assert!(
        feat.contains(
            "\r\n MLST type*;size*;modify;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;\r\n"
        ),
        "{feat}"
    );
    c.says("OPTS MLST", "200 MLST OPTS");
    assert_eq!(mlst(&mut c, "MLST f"), " /home/alice/f");
    // The same facts as in MLSD.
    c.says(
        "OPTS MLST type;perm;unique;modify;",
        "200 MLST OPTS type;modify;perm;unique;",
    );
    let listed = mlsd(&mut c, "MLSD d");
    for name in ["1", "sub"] {
        let line = mlst(&mut c, &format!("MLST d/{name}"));
        let alone = parse(format!("{line}\r\n").as_bytes());
        assert_eq!(
            alone[format!("/home/alice/d/{name}").as_bytes()],
            listed[name.as_bytes()]
        );
    }
}

#[test]
fn names_of_any_bytes_stay_one_line() {
    let host = Host::new();
    host.mkdir("/home/alice/odd", ALICE);
    for byte in 1..=255_u8 {
        if byte != b'/' {
            let name = [b'x', byte, b'y'];
            let path = [b"/home/alice/odd/", name.as_slice()].concat();
            std::fs::write(std::ffi::OsStr::from_bytes(&path), b"").unwrap();
        }
    }
    symlink("a\r\nb; c", "/home/alice/odd/link").unwrap();
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    let all = mlsd(&mut c, "MLSD odd");
    // LF and CR are shown alike, as `?`, which is a name of its own; so two of 254 fall on it and cannot be told apart.
    c.says("CWD odd", "250 Directory successfully changed.");
    for byte in 1..=255_u8 {
        let name = vec![b'x', byte, b'y'];
        assert_eq!(
            all.contains_key(&name),
            !matches!(byte, b'/' | b'\r' | b'\n'),
            "{byte}"
        );
    }
    assert_eq!(all[&b"link"[..]]["type"], "OS.unix=slink");
    c.send(b"MLST x\xffy\r\n");
    let raw = c.reply().raw;
    assert!(raw.windows(4).any(|part| part == b"x\xff\xffy"), "{raw:?}");
}

#[test]
fn hidden_and_denied_names() {
    let host = Host::new();
    host.file("/home/alice/secret", b"s");
    let _server = Server::start(&host, "hide_file={secret,.dot}\ndeny_file={d,asc}\n");
    let mut c = Client::alice();
    let all = mlsd(&mut c, "MLSD");
    assert!(!all.contains_key(&b"secret"[..]) && !all.contains_key(&b".dot"[..]));
    // Denied names are shown, as by LIST, and nothing can be done with them.
    assert_eq!((perm(&all[&b"asc"[..]]), perm(&all[&b"d"[..]])), ("", ""));
    assert_eq!(perm(&all[&b"f"[..]]), "adfrw");
    c.says("MLST secret", NO_FACTS);
    c.says("MLST ./secret", NO_FACTS);
    c.says("MLST asc", DENIED);
    c.refused("MLSD d", DENIED);
    c.refused("MLSD d/sub/..", DENIED);
}

#[test]
fn rights_follow_the_configuration() {
    let host = Host::new();
    for (lines, file, directory) in [
        ("", "adfrw", "cdeflmp"),
        ("write_enable=NO\n", "r", "el"),
        ("download_enable=NO\n", "adfw", "cdeflmp"),
        ("cmds_denied=DELE,RMD\n", "afrw", "ceflm"),
        ("cmds_denied=STOR,STOU,CWD\n", "adfr", "dflmp"),
        ("cmds_denied=RNTO\n", "adrw", "cdelmp"),
        ("cmds_allowed=USER,PASS,EPSV,MLSD,RETR\n", "r", "l"),
        ("download_file={*.txt}\n", "adfw", "cdeflmp"),
        ("upload_file={*.txt}\n", "dfr", "cdeflmp"),
    ] {
        let _server = Server::start(&host, lines);
        let all = mlsd(&mut Client::alice(), "MLSD");
        assert_eq!(perm(&all[&b"f"[..]]), file, "{lines}");
        assert_eq!(perm(&all[&b"d"[..]]), directory, "{lines}");
    }
}

#[test]
fn rights_of_anonymous_clients() {
    let host = Host::new();
    host.write("/srv/ftp/incoming/up", "x");
    host.own("/srv/ftp/incoming/up", FTP);
    for (lines, file, directory, up) in [
        ("", "r", "el", "r"),
        ("anon_upload_enable=YES\n", "r", "cel", "r"),
        (
            "anon_upload_enable=YES\nanon_mkdir_write_enable=YES\n",
            "r",
            "celm",
            "r",
        ),
        (
            "anon_upload_enable=YES\nanon_other_write_enable=YES\n",
            "r",
            "celp",
            "adfrw",
        ),
    ] {
        let _server = Server::start(&host, lines);
        let mut c = Client::anonymous();
        let all = mlsd(&mut c, "MLSD");
        assert_eq!(perm(&all[&b"incoming"[..]]), directory, "{lines}");
        assert_eq!(
            perm(&mlsd(&mut c, "MLSD pub")[&b"file"[..]]),
            file,
            "{lines}"
        );
        // Not for everybody on the host: not for anonymous clients.
        assert!(!perm(&mlsd(&mut c, "MLSD pub")[&b"priv"[..]]).contains('r'));
        assert_eq!(
            perm(&mlsd(&mut c, "MLSD incoming")[&b"up"[..]]),
            up,
            "{lines}"
        );
    }
    host.mode("/srv/ftp/pub", 0o711);
    let _server = Server::start(&host, "");
    let mut c = Client::anonymous();
    c.refused("MLSD pub", "550 Failed to open directory.");
    assert_eq!(perm(&mlsd(&mut c, "MLSD")[&b"pub"[..]]), "e");
}

/// A directory that not everybody may read is listed to guests by no command (anon_world_readable_only).
#[test]
fn a_directory_that_guests_may_not_list() {
    let host = Host::new();
    let server = Server::start(&host, "");
    host.mode("/srv/ftp/pub", 0o751);
    let mut c = Client::anonymous();
    c.refused("MLSD pub", "550 Failed to open directory.");
    c.says("CWD pub", "250 Directory successfully changed.");
    c.refused("MLSD", "550 Failed to open directory.");
    host.mode("/srv/ftp/pub", 0o755);
    assert!(mlsd(&mut c, "MLSD").contains_key(&b"file"[..]));
    // It may be said of its group, and is that of the server's account.
    host.mode("/srv/ftp/pub", 0o750);
    std::os::unix::fs::chown("/srv/ftp/pub", None, Some(105)).unwrap();
    c.refused("MLSD", "550 Failed to open directory.");
    drop(server);
    let _server = Server::start(&host, "anon_world_readable_only=NO\n");
    let mut c = Client::anonymous();
    assert!(mlsd(&mut c, "MLSD pub").contains_key(&b"file"[..]));
}

#[test]
fn sticky_and_foreign_files() {
    let host = Host::new();
    host.mkdir("/home/alice/sticky", 0);
    host.mode("/home/alice/sticky", 0o1777);
    host.write("/home/alice/sticky/roots", "x");
    host.file("/home/alice/sticky/own", b"x");
    host.write("/home/alice/sticky/open", "x");
    host.mode("/home/alice/sticky/open", 0o666);
    let _server = Server::start(&host, "");
    let all = mlsd(&mut Client::alice(), "MLSD sticky");
    assert_eq!(perm(&all[&b"roots"[..]]), "r");
    assert_eq!(perm(&all[&b"open"[..]]), "arw");
    assert_eq!(perm(&all[&b"own"[..]]), "adfrw");
}

/// Where group and others have different rights, membership decides.
#[test]
fn rights_of_groups() {
    let host = Host::new();
    host.mkdir("/home/alice/shared", 0);
    for (name, mode, gid) in [
        ("members", 0o640, ALICE),
        ("others", 0o604, ALICE),
        ("outside", 0o640, 0),
        ("stranger", 0o604, 0),
        ("both", 0o066, 0),
        ("none", 0o700, 0),
    ] {
        let path = format!("/home/alice/shared/{name}");
        host.write(&path, "x");
        std::os::unix::fs::chown(&path, Some(0), Some(gid)).unwrap();
        host.mode(&path, mode);
    }
    let _server = Server::start(&host, "");
    let all = mlsd(&mut Client::alice(), "MLSD shared");
    for (name, want) in [
        ("members", "r"),
        ("others", ""),
        ("outside", ""),
        ("stranger", "r"),
        ("both", "arw"),
        ("none", ""),
    ] {
        assert_eq!(perm(&all[name.as_bytes()]), want, "{name}");
    }
}

#[test]
fn owners_as_listings_show_them() {
    let host = Host::new();
    let server = Server::start(&host, "hide_ids=YES\n");
    let mut c = Client::alice();
    assert!(mlst(&mut c, "MLST f").contains("UNIX.owner=ftp;UNIX.group=ftp;"));
    drop(server);
    let _server = Server::start(&host, "text_userdb_names=YES\n");
    let mut c = Client::alice();
    assert!(mlst(&mut c, "MLST f").contains("UNIX.owner=alice;UNIX.group=alice;"));
}

#[test]
fn a_large_directory() {
    let host = Host::new();
    host.mkdir("/home/alice/many", ALICE);
    for number in 0..5000 {
        std::fs::write(format!("/home/alice/many/file-{number}"), b"").unwrap();
    }
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    assert_eq!(mlsd(&mut c, "MLSD many").len(), 5002);
    let mut active = Client::alice();
    let listener = active.active();
    active.send(b"MLSD many\r\n");
    let (mut stream, _) = listener.accept().unwrap();
    assert_eq!(active.reply().code(), "150");
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut text).unwrap();
    assert_eq!(active.reply().code(), "226");
    assert_eq!(parse(&text).len(), 5002);
}
