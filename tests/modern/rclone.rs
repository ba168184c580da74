//! rclone's ftp backend: copies, checks, times, and names that other servers spoil.

use crate::clients::run;
use crate::support::tls::{ON as TLS, certificate};
use crate::support::{Host, Server};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

const NAMES: [&str; 12] = [
    "plain",
    "a b  c",
    " leading",
    "  two leading",
    "[x]",
    "{a,b}",
    "star*star",
    "question?",
    "中文 文件.txt",
    "-rf",
    "~tilde",
    "arrow -> x",
];

/// Runs rclone against alice's files; `R:` in an argument is the remote.
#[track_caller]
fn rclone(arguments: &[&str]) -> String {
    let hidden = run("rclone", &["obscure", "secret"]);
    let remote = format!(":ftp,host=127.0.0.1,user=alice,pass={}:", hidden.trim_end());
    let arguments: Vec<String> = ["--config", "/dev/null", "--retries", "1"]
        .iter()
        .chain(arguments)
        .map(|argument| match argument.strip_prefix("R:") {
            Some(path) => format!("{remote}{path}"),
            None => (*argument).to_owned(),
        })
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run("rclone", &arguments)
}

/// A tree of odd names, each file with its own time, and what is in it.
fn fill(host: &Host, root: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for directory in ["", "sub [1] *", "空 目录"] {
        for (name, seconds) in NAMES.iter().zip(981_173_106_i64..) {
            let path = match directory {
                "" => (*name).to_owned(),
                directory => format!("{directory}/{name}"),
            };
            let file = format!("{root}/{path}");
            fs::create_dir_all(std::path::Path::new(&file).parent().unwrap()).unwrap();
            fs::write(&file, path.repeat(1000)).unwrap();
            host.touch(&file, seconds);
            paths.insert(path);
        }
    }
    fs::write(format!("{root}/nil"), b"").unwrap();
    paths.insert("nil".to_owned());
    paths
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn there_and_back(host: &Host, options: &[&str]) {
    let paths = fill(host, "/mnt/local/tree");
    let with = |arguments: &[&str]| rclone(&[arguments, options].concat());
    with(&["copy", "tree", "R:up"]);
    for path in &paths {
        let (here, there) = (
            format!("/mnt/local/tree/{path}"),
            format!("/home/alice/up/{path}"),
        );
        assert_eq!(host.read(&there), host.read(&here), "{path}");
        let time = |path: &str| fs::metadata(path).unwrap().mtime();
        assert_eq!(time(&there), time(&here), "{path}");
    }
    assert_eq!(lines(&with(&["lsf", "-R", "--files-only", "R:up"])), paths);
    with(&["check", "--download", "tree", "R:up"]);
    // Nothing is left to do: sizes and times are what they were.
    let again = with(&["copy", "-v", "--dry-run", "tree", "R:up"]);
    assert!(!again.contains("Skipped copy"), "{again}");
    with(&["copy", "R:up", "down"]);
    for path in &paths {
        let (here, back) = (
            format!("/mnt/local/tree/{path}"),
            format!("/mnt/local/down/{path}"),
        );
        assert_eq!(host.read(&back), host.read(&here), "{path}");
    }
    let sums = with(&["hashsum", "SHA256", "--download", "R:up"]);
    let own = rclone(&["hashsum", "SHA256", "tree"]);
    assert_eq!(lines(&sums), lines(&own));
    for name in NAMES {
        with(&[
            "moveto",
            &format!("R:up/{name}"),
            &format!("R:up/moved/{name}"),
        ]);
        assert!(
            host.exists(&format!("/home/alice/up/moved/{name}")),
            "{name}"
        );
    }
    with(&["purge", "R:up"]);
    assert!(!host.exists("/home/alice/up"));
}

#[test]
fn odd_names_there_and_back() {
    let host = Host::new();
    fs::create_dir_all("/mnt/local").unwrap();
    let _server = Server::start(
        &host,
        "log_ftp_protocol=YES\nutf8_filesystem=YES\nlocal_umask=022\n",
    );
    there_and_back(&host, &[]);
    let log = crate::logged("\"MFMT 20010203040506");
    assert!(log.contains("\"MLSD"), "{log}");
}

/// As a client without MLSD sees them: by LIST.
#[test]
fn odd_names_by_list() {
    let host = Host::new();
    fs::create_dir_all("/mnt/local").unwrap();
    let _server = Server::start(
        &host,
        "log_ftp_protocol=YES\nutf8_filesystem=YES\nlocal_umask=022\n",
    );
    let mut paths = fill(&host, "/home/alice/tree");
    host.own("/home/alice/tree", crate::support::host::ALICE);
    let said = rclone(&["lsf", "-R", "--files-only", "R:tree", "--ftp-disable-mlsd"]);
    // Its own parser of LIST cannot keep blanks at the beginning, nor tell an arrow in a name from that of a link's target.
    let lost = |path: &String| path.contains("leading");
    paths.retain(|path| !lost(path));
    let mut shown = lines(&said);
    shown.retain(|path| !lost(path));
    assert_eq!(shown, paths);
    let log = crate::logged("\"LIST");
    assert!(!log.contains("\"MLSD"), "{log}");
}

/// It remembers one TLS session for the host, not one for each control connection, and reads no new one from an upload's connection.
#[test]
fn over_tls() {
    let host = Host::new();
    fs::create_dir_all("/mnt/local").unwrap();
    certificate(&host);
    let lines =
        "utf8_filesystem=YES\nlocal_umask=022\nlog_ftp_protocol=YES\nrequire_ssl_reuse=NO\n";
    let _server = Server::start(&host, &format!("{TLS}{lines}"));
    there_and_back(&host, &["--ftp-explicit-tls", "--ftp-no-check-certificate"]);
    crate::logged("\"PROT P\"");
}
