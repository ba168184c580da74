//! Sessions and local processes that are at one file or one name together: nobody is told of a success that is none, and nobody's bytes are
//! taken away by somebody else's failure. See attacks B-016.

use crate::support::host::ALICE;
use crate::support::{Client, Host, Server, wait};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// How long a command that waits for a lock is seen to wait.
const A_WHILE: Duration = Duration::from_millis(300);

const X: &str = "/home/alice/x";
const Y: &str = "/home/alice/y";

/// Waits until some process of the server has the file open.
fn opened(path: &str) {
    wait("the file to be opened", || {
        let files = |pid| fs::read_dir(format!("/proc/{pid}/fd")).ok();
        let mut all = Server::processes()
            .into_iter()
            .filter_map(files)
            .flatten()
            .flatten();
        all.any(|file| fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == path))
            .then_some(())
    });
}

fn length(path: &str, length: u64) {
    wait("the bytes", || {
        (fs::metadata(path).ok()?.len() == length).then_some(())
    });
}

/// What is written after a wait goes to the file that has the name then, not to one that was renamed meanwhile.
#[test]
fn a_name_that_goes_to_another_file_meanwhile() {
    let host = Host::new();
    let _server = Server::start(&host, "local_umask=022\n");
    let mut other = Client::alice();
    for (command, refused) in [("STOR x", false), ("APPE x", false), ("STOR x", true)] {
        // The lock is waited for.
        let (mut a, mut b) = (Client::alice(), Client::alice());
        let (_, mut data) = a.begin("STOR x");
        data.stream.write_all(&[b'a'; 50]).unwrap();
        length(X, 50);
        let mut stream = b.passive();
        if refused {
            b.says("REST 3", "350 Restart position accepted (3).");
        }
        b.send(format!("{command}\r\n").as_bytes());
        b.quiet(A_WHILE);
        other.says("RNFR x", "350 Ready for RNTO.");
        other.says("RNTO y", "250 Rename successful.");
        data.write(&[b'a'; 50]);
        a.next("226 Transfer complete.");
        if refused {
            // There is nothing to go on from.
            b.next("553 Could not create file.");
            assert!(!host.exists(X));
        } else {
            b.next("150 Ok to send data.");
            stream.write_all(b"bbb").unwrap();
            drop(stream);
            b.next("226 Transfer complete.");
            assert_eq!(host.read(X), b"bbb");
        }
        assert_eq!(host.read(Y), [b'a'; 100], "{command}");
        let _ = fs::remove_file(X);
    }
}

/// The same while the data connection is waited for.
#[test]
fn a_name_that_goes_to_another_file_before_the_connection_is_there() {
    let host = Host::new();
    for lock in ["YES", "NO"] {
        let _server = Server::start(
            &host,
            &format!("local_umask=022\nlock_upload_files={lock}\n"),
        );
        host.file(X, b"the old one");
        let mut a = Client::alice();
        let port = a.epsv();
        a.send(b"STOR x\r\n");
        opened(X);
        fs::rename(X, Y).unwrap();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        a.next("150 Ok to send data.");
        stream.write_all(b"the new one").unwrap();
        drop(stream);
        a.next("226 Transfer complete.");
        assert_eq!(host.read(X), b"the new one");
        assert_eq!(host.read(Y), b"the old one");
    }
}

/// What an offset spoke of, and was cut away while the lock was waited for, is not made up.
#[test]
fn an_offset_behind_what_is_left() {
    let host = Host::new();
    let _server = Server::start(&host, "");
    host.file(X, &[b'o'; 100]);
    let (mut a, mut b) = (Client::alice(), Client::alice());
    let port = a.epsv();
    a.send(b"STOR x\r\n");
    opened(X);
    let _stream = b.passive();
    b.says("REST 100", "350 Restart position accepted (100).");
    b.send(b"STOR x\r\n");
    b.quiet(A_WHILE);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    a.next("150 Ok to send data.");
    stream.write_all(b"short").unwrap();
    drop(stream);
    a.next("226 Transfer complete.");
    b.next("553 Could not create file.");
    assert_eq!(host.read(X), b"short");
}

/// The beginning of a file whose upload has failed, and which was removed for that, is no download.
#[test]
fn a_download_that_waited_for_an_upload_that_fails() {
    let host = Host::new();
    let _server = Server::start(&host, "delete_failed_uploads=YES\n");
    for command in ["RETR x", "XCRC x"] {
        let (mut a, mut b) = (Client::alice(), Client::alice());
        let (_, mut data) = a.begin("STOR x");
        data.stream.write_all(&[b'a'; 50]).unwrap();
        length(X, 50);
        let _stream = b.passive();
        b.send(format!("{command}\r\n").as_bytes());
        b.quiet(A_WHILE);
        data.reset();
        a.next("426 Failure reading network stream.");
        b.next("550 Failed to open file.");
        assert!(!host.exists(X));
    }
}

/// Nor is what another name has got meanwhile.
#[test]
fn a_download_whose_name_goes_to_another_file() {
    let host = Host::new();
    let _server = Server::start(&host, "local_umask=022\n");
    let (mut a, mut b) = (Client::alice(), Client::alice());
    for again in [true, false] {
        host.file(X, b"old");
        let (_, mut data) = a.begin("STOR x");
        data.stream.write_all(&[b'a'; 50]).unwrap();
        length(X, 50);
        let mut stream = b.passive();
        b.send(b"RETR x\r\n");
        b.quiet(A_WHILE);
        fs::rename(X, Y).unwrap();
        if again {
            host.file(X, b"another");
        }
        data.write(b"");
        a.next("226 Transfer complete.");
        if again {
            b.next("150 Opening BINARY mode data connection for x (7 bytes).");
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, b"another");
            b.next("226 Transfer complete.");
        } else {
            b.next("550 Failed to open file.");
        }
        let _ = fs::remove_file(X);
    }
}

/// `delete_failed_uploads` takes away what the upload has brought, and nothing that others have put into its file: other sessions, where
/// nothing is locked, and local processes.
#[test]
fn a_failed_upload_takes_only_its_own_away() {
    let host = Host::new();
    let lines = "local_umask=022\ndelete_failed_uploads=YES\nlock_upload_files=NO\n";
    let _server = Server::start(&host, lines);
    let begun = |command: &str| {
        let _ = fs::remove_file(X);
        let mut a = Client::alice();
        let (_, mut data) = a.begin(command);
        data.stream.write_all(&[b'a'; 50]).unwrap();
        length(X, 50);
        (a, data)
    };
    let mut b = Client::alice();
    // It is replaced, and its first upload hears of that when it goes on, or just ends.
    for goes_on in [true, false] {
        let (mut a, mut data) = begun("STOR x");
        assert_eq!(b.store("STOR x", b"of b").code(), "226");
        if goes_on {
            data.stream.write_all(b"more").unwrap();
            a.next("451 Failure writing to local file.");
        } else {
            data.reset();
            a.next("426 Failure reading network stream.");
        }
        assert_eq!(host.read(X), b"of b");
    }
    // Something is put behind it, by a session or a local process, and it goes on.
    for local in [false, true] {
        let (mut a, mut data) = begun("APPE x");
        if local {
            append(b"of b");
        } else {
            assert_eq!(b.store("APPE x", b"of b").code(), "226");
        }
        data.stream.write_all(b"more").unwrap();
        length(X, 58);
        data.reset();
        a.next("426 Failure reading network stream.");
        assert_eq!(
            host.read(X),
            [[b'a'; 50].as_slice(), b"of bmore"].concat(),
            "{local}"
        );
    }
    // What is its own only goes.
    for command in ["STOR x", "APPE x"] {
        let (mut a, data) = begun(command);
        data.reset();
        a.next("426 Failure reading network stream.");
        assert!(!host.exists(X), "{command}");
    }
}

fn append(bytes: &[u8]) {
    let file = File::options().append(true).open(X);
    file.unwrap().write_all(bytes).unwrap();
}

/// APPE leaves alone what local processes append meanwhile, which know nothing of its lock; and so does what removes a damaged stream.
#[test]
fn what_a_local_process_appends() {
    let host = Host::new();
    let _server = Server::start(&host, "mode_z_enable=YES\n");
    let mut a = Client::alice();
    host.file(X, b"old ");
    let (_, mut data) = a.begin("APPE x");
    data.stream.write_all(b"one ").unwrap();
    length(X, 8);
    append(b"local ");
    data.write(b"two");
    a.next("226 Transfer complete.");
    assert_eq!(host.read(X), b"old one local two");
    a.says("MODE Z", "200 Mode set to Z.");
    for local in [true, false] {
        host.file(X, b"old ");
        let (_, mut data) = a.begin("APPE x");
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(b"one ").unwrap();
        encoder.flush().unwrap();
        data.stream.write_all(encoder.get_ref()).unwrap();
        length(X, 8);
        if local {
            append(b"local");
        }
        data.write(&[0xff; 20]);
        a.next("426 Compressed data is damaged or incomplete.");
        let left = if local {
            b"old one local".as_slice()
        } else {
            b"old "
        };
        assert_eq!(host.read(X), left);
    }
}

/// With `atomic_uploads` an upload that adds to a file replaces none that has come meanwhile, and no upload one that it may not write.
#[test]
fn a_file_that_comes_before_a_partial_has_its_name() {
    let host = Host::new();
    let _server = Server::start(&host, "atomic_uploads=YES\n");
    for (offset, command, owner, kept) in [
        (None, "APPE x", ALICE, true),
        (Some(2), "STOR x", ALICE, true),
        (None, "STOR x", 0, true),
        (None, "STOR x", ALICE, false),
    ] {
        let mut a = Client::alice();
        if let Some(offset) = offset {
            let code = a.cmd(&format!("REST {offset}"));
            assert_eq!(code.code(), "350");
        }
        let (_, data) = a.begin(command);
        host.file(X, b"of another");
        host.own(X, owner);
        data.write(b"mine");
        if kept {
            a.next("451 Failure writing to local file.");
            assert_eq!(host.read(X), b"of another", "{command}");
        } else {
            a.next("226 Transfer complete.");
            assert_eq!(host.read(X), b"mine");
        }
        fs::remove_file(X).unwrap();
        let _ = fs::remove_file("/home/alice/.x.uploading");
    }
}

/// Who may make new files only, and STOU, write over nothing that has been put into theirs before the data connection was there.
#[test]
fn a_file_that_had_to_be_new() {
    const THERE: &str = "/srv/ftp/incoming/there";
    let host = Host::new();
    for lock in ["YES", "NO"] {
        let lines = format!("anon_upload_enable=YES\nlock_upload_files={lock}\n");
        let _server = Server::start(&host, &lines);
        for command in ["STOR there", "STOU there"] {
            let mut a = Client::anonymous();
            a.says("CWD incoming", "250 Directory successfully changed.");
            let port = a.epsv();
            a.send(format!("{command}\r\n").as_bytes());
            opened(THERE);
            fs::write(THERE, "of another").unwrap();
            let _stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            a.next("553 Could not create file.");
            assert_eq!(host.read(THERE), b"of another", "{command}");
            fs::remove_file(THERE).unwrap();
        }
    }
}
