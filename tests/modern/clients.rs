//! The verbs as the clients people have use them: lftp, Python's ftplib.

use crate::support::{Host, Server};
use std::process::Command;

/// Runs a client inside the private host; its failure is the test's.
#[track_caller]
pub fn run(program: &str, arguments: &[&str]) -> String {
    std::fs::create_dir_all("/mnt/local").unwrap();
    let output = Command::new("timeout")
        .arg("60")
        .arg(program)
        .args(arguments)
        .current_dir("/mnt/local")
        .env("HOME", "/mnt/local")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said
}

/// A script for Python with a session of alice's as `ftp`.
#[track_caller]
pub fn python(script: &str) -> String {
    let head = "import ftplib\nftp = ftplib.FTP('127.0.0.1', 'alice', 'secret', timeout=20)\n";
    run("python3", &["-c", &format!("{head}{script}\nftp.quit()\n")])
}

#[test]
fn ftplib_reads_mlsd() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    let said = python(
        "for name, facts in sorted(ftp.mlsd('d', facts=['type', 'size', 'modify'])):\n    print(name, sorted(facts.items()))",
    );
    assert!(
        said.contains("1 [('modify', '20010203040506'), ('size', '1'), ('type', 'file')]"),
        "{said}"
    );
    assert!(said.contains("('type', 'cdir')"), "{said}");
}

#[test]
fn lftp_lists_by_mlsd_and_keeps_times() {
    let host = Host::new();
    let _server = Server::start(&host, "log_ftp_protocol=YES\n");
    std::fs::create_dir_all("/mnt/local/up").unwrap();
    std::fs::write("/mnt/local/up/new", b"new").unwrap();
    host.touch("/mnt/local/up/new", 981_173_106);
    let commands =
        "set ftp:use-mlsd yes; set ssl-allow no; cls -l d; mirror d copy; mirror -R up stored; bye";
    let said = run(
        "lftp",
        &["-c", &format!("open -u alice,secret 127.0.0.1; {commands}")],
    );
    assert!(said.contains("sub"), "{said}");
    assert_eq!(host.read("/mnt/local/copy/sub/z"), b"z");
    crate::logged("\"MLSD");
    crate::logged("\"MFMT 20010203040506");
    use std::os::unix::fs::MetadataExt;
    let time = |path: &str| std::fs::metadata(path).unwrap().mtime();
    assert_eq!(time("/home/alice/stored/new"), 981_173_106);
    assert_eq!(time("/mnt/local/copy/1"), 981_173_106);
}
