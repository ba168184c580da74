//! A private host for the calling thread: own mounts, own network, own accounts; nothing on the machine is touched.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

/// Where the program under test is found inside the private host.
pub const PROGRAM: &str = "/mnt/vsftpd";
/// The configuration file each server is started with.
pub const CONFIG: &str = "/etc/vsftpd.conf";
/// crypt(3) of `secret`, with few rounds so that logins are quick.
const HASH: &str = "$6$rounds=1000$salt$HNxBeBnDfSfUrTj6KiLnmd7tGCvHEmcExh8kl/S0cZ5WrCciNZgfhbpkeFQ4JfkHX.8vPq45lY0iINnCx1Lkm.";
const KEEP: [&str; 9] = [
    "ld.so.cache",
    "localtime",
    "services",
    "protocols",
    "login.defs",
    "hosts",
    "nsswitch.conf",
    "ld.so.conf",
    "ssl",
];

pub const ALICE: u32 = 1001;
pub const BOB: u32 = 1002;
pub const FTP: u32 = 102;

/// The private host. It lasts as long as the test's thread.
pub struct Host {
    original: bool,
}

impl Host {
    /// Gives the calling thread its own mounts and network, and fills in accounts, homes and the anonymous area.
    pub fn new() -> Host {
        let program = program();
        unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)
            .expect("the tests need root: cannot make a private host");
        mount(
            None::<&str>,
            "/",
            None::<&str>,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            None::<&str>,
        )
        .expect("make mounts private");
        std::env::set_current_dir("/").unwrap();
        tmpfs("/mnt", "mode=755");
        fs::write(PROGRAM, b"").unwrap();
        bind(&program, Path::new(PROGRAM));
        fs::create_dir("/mnt/etc").unwrap();
        for name in KEEP {
            copy(
                &Path::new("/etc").join(name),
                &Path::new("/mnt/etc").join(name),
            );
        }
        bind(Path::new("/mnt/etc"), Path::new("/etc"));
        for place in ["/srv", "/home", "/var/log", "/run"] {
            tmpfs(place, "mode=755");
        }
        loopback();
        let host = Host {
            original: !super::ours(),
        };
        host.accounts();
        host.pam();
        host.tree();
        host
    }

    /// Whether our own build is under test, not the original.
    pub fn ours(&self) -> bool {
        !self.original
    }

    /// Options whose work is not there yet: ours must refuse to start with them and say so. True if that was what was tried.
    pub fn refused_by_ours(&self, setting: &str) -> bool {
        if self.original {
            return false;
        }
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_vsftpd"))
            .args(["--check", "-olisten=YES", &format!("-o{setting}")])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("cannot be served"), "{text}");
        true
    }

    fn accounts(&self) {
        self.write(
            "/etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\n\
             nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
             ftp:x:102:105:ftp:/srv/ftp:/usr/sbin/nologin\n\
             alice:x:1001:1001:Alice:/home/alice:/bin/sh\n\
             bob:x:1002:1002:Bob:/home/bob:/bin/sh\n\
             carl:x:1001:1001:Carl:/home/alice/./d:/bin/sh\n\
             noshell:x:1003:1003:No shell:/home/alice:/bin/false\n\
             homeless:x:1004:1004:No home:/home/nowhere:/bin/sh\n\
             vsftpd-greet:x:1005:1005::/nonexistent:/usr/sbin/nologin\n",
        );
        let mut shadow =
            String::from("root:*:19000::::::\nnobody:*:19000::::::\nftp:*:19000::::::\n");
        for user in ["alice", "bob", "carl", "noshell", "homeless"] {
            shadow.push_str(&format!("{user}:{HASH}:19000::::::\n"));
        }
        self.write("/etc/shadow", &shadow);
        self.mode("/etc/shadow", 0o600);
        self.write(
            "/etc/group",
            "root:x:0:\nnogroup:x:65534:\nftp:x:105:\nalice:x:1001:\nbob:x:1002:\nshared:x:2000:alice\n",
        );
        self.write("/etc/shells", "/bin/sh\n");
        self.write("/etc/ftpusers", "root\nnobody\n");
        self.write("/etc/hosts.allow", "");
        self.write("/etc/hosts.deny", "");
    }

    fn pam(&self) {
        fs::create_dir("/etc/pam.d").unwrap();
        self.write(
            "/etc/pam.d/vsftpd",
            "auth required pam_listfile.so item=user sense=deny file=/etc/ftpusers onerr=succeed\n\
             auth required pam_unix.so nodelay\n\
             auth required pam_shells.so\n\
             account required pam_unix.so\n\
             session required pam_permit.so\n",
        );
        self.write(
            "/etc/pam.d/other",
            "auth required pam_deny.so\naccount required pam_deny.so\n",
        );
    }

    /// The same small tree in every host: alice's home and the anonymous area.
    fn tree(&self) {
        for dir in [
            "/run/vsftpd/empty",
            "/home/alice/d/sub",
            "/home/alice/empty",
            "/home/bob",
            "/srv/ftp/pub",
            "/srv/ftp/incoming",
        ] {
            fs::create_dir_all(dir).unwrap();
        }
        self.file("/home/alice/f", b"hello world\n");
        self.file("/home/alice/asc", b"l1\nl2\r\nl3\n");
        self.file("/home/alice/a b", b"x");
        self.file("/home/alice/.dot", b"y");
        self.file("/home/alice/d/1", b"1");
        self.file("/home/alice/d/2", b"22");
        self.file("/home/alice/d/sub/z", b"z");
        symlink("f", "/home/alice/lnk").unwrap();
        symlink("nowhere", "/home/alice/dang").unwrap();
        lchown("/home/alice/lnk", Some(ALICE), Some(ALICE)).unwrap();
        lchown("/home/alice/dang", Some(ALICE), Some(ALICE)).unwrap();
        for dir in [
            "/home/alice",
            "/home/alice/d",
            "/home/alice/d/sub",
            "/home/alice/empty",
        ] {
            self.own(dir, ALICE);
        }
        self.own("/home/bob", BOB);
        self.file("/home/alice/other", b"secret");
        self.own("/home/alice/other", 0);
        self.mode("/home/alice/other", 0o600);
        self.touch("/home/alice/f", 981_173_106);
        self.touch("/home/alice/d/1", 981_173_106);
        self.write("/srv/ftp/pub/file", "pubfile");
        self.write("/srv/ftp/pub/priv", "no");
        chown("/srv/ftp/pub/priv", Some(FTP), Some(105)).unwrap();
        self.mode("/srv/ftp/pub/priv", 0o640);
        chown("/srv/ftp/incoming", Some(FTP), Some(105)).unwrap();
    }

    /// A file as root owns it.
    pub fn write(&self, path: &str, text: &str) {
        fs::write(path, text).unwrap_or_else(|e| panic!("{path}: {e}"));
        self.mode(path, 0o644);
    }

    /// A file of alice's.
    pub fn file(&self, path: &str, bytes: &[u8]) {
        fs::write(path, bytes).unwrap_or_else(|e| panic!("{path}: {e}"));
        self.mode(path, 0o644);
        self.own(path, ALICE);
    }

    pub fn mkdir(&self, path: &str, owner: u32) {
        fs::create_dir_all(path).unwrap();
        self.mode(path, 0o755);
        self.own(path, owner);
    }

    pub fn read(&self, path: &str) -> Vec<u8> {
        fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    pub fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(path).is_ok()
    }

    pub fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn own(&self, path: &str, uid: u32) {
        chown(path, Some(uid), Some(uid)).unwrap();
    }

    /// Sets the modification time, in seconds since the epoch, of the path itself, not of what it points to.
    pub fn touch(&self, path: &str, seconds: i64) {
        let time = TimeSpec::new(seconds, 0);
        utimensat(
            nix::fcntl::AT_FDCWD,
            path,
            &time,
            &time,
            UtimensatFlags::NoFollowSymlink,
        )
        .unwrap();
    }

    /// A file system so small that it is soon full.
    pub fn tiny(&self, path: &str, kib: u32) {
        self.mkdir(path, ALICE);
        tmpfs(path, &format!("mode=777,size={kib}k"));
    }
}

/// The program under test, before the private host hides its path: the one this package was built into; or that of `VSFTPD_BUILD`,
/// another build of ours, as with musl; or that of `FTPD_UNDER_TEST`, the original.
fn program() -> PathBuf {
    ["FTPD_UNDER_TEST", "VSFTPD_BUILD"]
        .iter()
        .find_map(std::env::var_os)
        .map_or_else(
            || PathBuf::from(env!("CARGO_BIN_EXE_vsftpd")),
            PathBuf::from,
        )
}

/// A file system in memory over a place.
pub fn tmpfs(place: &str, data: &str) {
    mount(
        Some("tmpfs"),
        place,
        Some("tmpfs"),
        MsFlags::empty(),
        Some(data),
    )
    .unwrap_or_else(|e| panic!("{place}: {e}"));
}

/// Takes a file out of its directory, in this private host alone.
pub fn hide(path: &Path) {
    let directory = path.parent().unwrap();
    let name = format!(
        "/mnt/without{}",
        directory.to_string_lossy().replace('/', "-")
    );
    let (over, work) = (format!("{name}/over"), format!("{name}/work"));
    fs::create_dir_all(&over).unwrap();
    fs::create_dir_all(&work).unwrap();
    let data = format!(
        "lowerdir={},upperdir={over},workdir={work}",
        directory.display()
    );
    mount(
        Some("overlay"),
        directory,
        Some("overlay"),
        MsFlags::empty(),
        Some(data.as_str()),
    )
    .unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    fs::remove_file(path).unwrap();
}

/// Every place where the loader may find the host's PAM.
pub fn pam_libraries() -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from("/usr/lib"), PathBuf::from("/usr/lib64")];
    places.extend(
        fs::read_dir("/usr/lib")
            .unwrap()
            .flatten()
            .map(|entry| entry.path()),
    );
    let files = places.into_iter().map(|place| place.join("libpam.so.0"));
    let found: Vec<PathBuf> = files.filter(|file| file.exists()).collect();
    assert!(!found.is_empty(), "libpam.so.0 was not found");
    found
}

/// A place under another name too.
pub fn bind(from: &Path, to: &Path) {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .unwrap_or_else(|e| panic!("{}: {e}", from.display()));
}

/// Copies a file, a link's target, or a directory; what does not exist is not needed.
fn copy(from: &Path, to: &Path) {
    let Ok(kind) = fs::metadata(from) else { return };
    if kind.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// `ip link set lo up`, without needing the program.
fn loopback() {
    use std::os::fd::AsRawFd;
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    // SAFETY: ifreq is plain data, for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the descriptor is open for the call, and SIOCSIFFLAGS reads one ifreq, which outlives it.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request) };
    assert_eq!(result, 0, "loopback: {}", std::io::Error::last_os_error());
}
