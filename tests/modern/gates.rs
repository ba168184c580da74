//! No new verb opens what an older configuration had shut: each verb, each class of users, each switch.

use crate::support::{Client, Host, Server};

/// A command of ours on a file that is there, and the older command that gives or changes as much.
const PAIRS: [(&str, &str); 13] = [
    ("MLSD", "LIST"),
    ("HASH pub/file", "RETR pub/file"),
    ("XCRC pub/file", "RETR pub/file"),
    ("XMD5 pub/file", "RETR pub/file"),
    ("XSHA1 pub/file", "RETR pub/file"),
    ("XSHA256 pub/file", "RETR pub/file"),
    ("XSHA512 pub/file", "RETR pub/file"),
    ("AVBL incoming", "STOR incoming/new"),
    ("MLST pub/file", "LIST"),
    (
        "MFMT 20200229112233 pub/file",
        "MDTM 20200229112233 pub/file",
    ),
    (
        "MFF modify=20200229112233; pub/file",
        "MDTM 20200229112233 pub/file",
    ),
    ("MFF UNIX.mode=0644; pub/file", "SITE CHMOD 644 pub/file"),
    (
        "SITE UTIME 20200229112233 pub/file",
        "MDTM 20200229112233 pub/file",
    ),
];

const SWITCHES: [&str; 14] = [
    "",
    "write_enable=NO\n",
    "dirlist_enable=NO\n",
    "download_enable=NO\n",
    "mdtm_write=NO\n",
    "chmod_enable=NO\n",
    "anon_upload_enable=YES\n",
    "anon_other_write_enable=YES\n",
    "deny_file={file}\n",
    "cmds_denied=LIST,NLST,STAT\n",
    "cmds_denied=MDTM\n",
    "cmds_denied=SITE\n",
    "cmds_denied=RETR\n",
    "cmds_allowed=USER,PASS,EPSV,LIST,NLST,STAT,RETR,STOR,MDTM,SITE,SIZE\n",
];

const CLASSES: [(&str, &str); 4] = [
    ("ftp", ""),
    ("alice", ""),
    ("alice", "guest_enable=YES\nguest_username=ftp\n"),
    (
        "alice",
        "guest_enable=YES\nguest_username=ftp\nvirtual_use_local_privs=YES\n",
    ),
];

fn works(c: &mut Client, command: &str) -> bool {
    let data = c.passive();
    let mut reply = c.cmd(command);
    if reply.code() == "150" {
        drop(data);
        reply = c.reply();
        return matches!(reply.code(), "226" | "426");
    }
    reply.code().starts_with('2')
}

#[test]
fn no_verb_does_more_than_an_older_one() {
    let host = Host::new();
    host.mkdir("/home/alice/pub", crate::support::host::ALICE);
    host.file("/home/alice/pub/file", b"x");
    host.mkdir("/home/alice/incoming", crate::support::host::ALICE);
    host.own("/srv/ftp/pub/file", crate::support::host::FTP);
    for (name, class) in CLASSES {
        for switch in SWITCHES {
            let _server = Server::start(&host, &format!("{class}{switch}"));
            let mut c = Client::user(name);
            for (new, old) in PAIRS {
                let (may, might) = (works(&mut c, new), works(&mut c, old));
                // Anonymous clients make new files only.
                for home in ["/home/alice", "/srv/ftp"] {
                    let _ = std::fs::remove_file(format!("{home}/incoming/new"));
                }
                assert!(
                    !may || might,
                    "{name} {class}{switch}: {new} works, {old} does not"
                );
                // Nothing is lost either, but by a list that does not name the new verb.
                let listed = !switch.starts_with("cmds_")
                    && !switch.starts_with("deny_")
                    && !new.starts_with("SITE")
                    // Off for anonymous rules unless asked for.
                    && !old.starts_with("RETR");
                assert!(
                    !listed || may == might,
                    "{name} {class}{switch}: {old} works, {new} does not"
                );
            }
        }
    }
}

#[test]
fn each_verb_can_be_denied_and_features_tell() {
    let host = Host::new();
    for (verb, line) in [
        ("AVBL", " AVBL"),
        ("HASH", " HASH"),
        ("LANG", " LANG EN*;ZH"),
        ("RANG", " RANG STREAM"),
        ("XCRC", " XCRC"),
        ("XMD5", " XMD5"),
        ("XSHA1", " XSHA1"),
        ("XSHA256", " XSHA256"),
        ("XSHA512", " XSHA512"),
        ("CLNT", " CLNT"),
        ("CSID", " CSID"),
        ("MFF", " MFF "),
        ("MFMT", " MFMT"),
        ("MLST", " MLST "),
        ("MLSD", " MLST "),
        ("EPSV", " EPSV"),
        ("MDTM", " MDTM"),
        ("SIZE", " SIZE"),
    ] {
        let server = Server::start(&host, "");
        assert!(Client::alice().cmd("FEAT").text().contains(line), "{verb}");
        drop(server);
        let _server = Server::start(&host, &format!("cmds_denied={verb}\n"));
        let mut c = Client::alice();
        assert!(!c.cmd("FEAT").text().contains(line), "{verb}");
        c.says(verb, "550 Permission denied.");
    }
}

#[test]
fn help_names_every_verb() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let text = Client::alice().cmd("HELP").text();
    let expected = " AVBL CLNT CSID HASH HOST LANG MFF  MFMT MLSD MLST RANG XCRC XMD5 XSHA1\r\n XSHA256 XSHA512\r\n214 Help OK.";
    assert!(text.ends_with(expected), "{text}");
}

/// Each option of ours has its test here.
#[test]
fn options_of_ours_are_tried() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = String::new();
    for entry in std::fs::read_dir(root.join("tests/modern")).unwrap() {
        tests += &std::fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    // The fences have their tests elsewhere, and so has the account of the keys.
    for elsewhere in [
        "tests/compliance/options/start.rs",
        "tests/confinement/keys.rs",
    ] {
        tests += &std::fs::read_to_string(root.join(elsewhere)).unwrap_or_default();
    }
    let table = std::fs::read_to_string(root.join("src/config/options_ours.rs")).unwrap();
    let mut count = 0;
    for line in table.lines().filter(|line| line.contains(", Added;")) {
        let name = line.trim().split(':').next().unwrap();
        assert!(tests.contains(&format!("{name}=")), "{name}");
        count += 1;
    }
    assert!(count > 3);
}
