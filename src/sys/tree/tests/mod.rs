//! The tree held against the kernel's own resolution, with both resolvers; worker.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod attacks;

use super::*;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A directory `box` with a jail in it, and a secret beside the jail.
struct Scene(PathBuf);

impl Scene {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "tree-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let top = fs::canonicalize(std::env::temp_dir()).unwrap().join(name);
        fs::create_dir_all(top.join("jail")).unwrap();
        fs::create_dir(top.join("outside")).unwrap();
        fs::write(top.join("secret"), "secret").unwrap();
        fs::write(top.join("outside/f"), "secret").unwrap();
        Self(top)
    }

    fn jail(&self) -> PathBuf {
        self.0.join("jail")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.jail().join(path)
    }

    fn dir(&self, path: &str) {
        fs::create_dir_all(self.at(path)).unwrap();
    }

    fn file(&self, path: &str, text: &str) {
        fs::write(self.at(path), text).unwrap();
    }

    fn link(&self, path: &str, to: &str) {
        symlink(to, self.at(path)).unwrap();
    }

    fn trees(&self) -> [Tree; 2] {
        let kernel = Tree::open(&self.jail()).unwrap();
        let mut walk = Tree::open(&self.jail()).unwrap();
        assert!(!kernel.degraded(), "these tests need openat2");
        walk.resolver = Resolver::Walk;
        [kernel, walk]
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn top() -> VirtualPath {
    VirtualPath::root()
}

fn content(tree: &Tree, cwd: &VirtualPath, arg: &[u8]) -> Result<String> {
    let (file, meta) = tree.open_read(cwd, arg)?;
    if !meta.is_file() {
        return Err(Errno::EISDIR);
    }
    let mut text = String::new();
    fs::File::from(file).read_to_string(&mut text).unwrap();
    Ok(text)
}

fn enter(tree: &Tree, cwd: &VirtualPath, arg: &str) -> Result<String> {
    tree.enter(cwd, arg.as_bytes())
        .map(|path| String::from_utf8(path.into_bytes()).unwrap())
}

#[test]
fn two_threads_may_share_it() {
    fn shared<T: Send + Sync>() {}
    shared::<Tree>();
}

#[test]
fn joins_as_logs_show_it() {
    let sub = path::normal(b"/a/b").unwrap();
    assert_eq!(top().join(b"x"), b"/x");
    assert_eq!(sub.join(b"../x//y/"), b"/a/b/../x//y/");
    assert_eq!(sub.join(b"/x/."), b"/x/.");
}

#[test]
fn splits_off_the_last_component() {
    let cases: &[(&str, (&str, &str, bool))] = &[
        ("/", ("", "", true)),
        ("///", ("", "", true)),
        ("/a", ("/", "a", false)),
        ("/a//", ("/", "a", true)),
        ("/a/b", ("/a/", "b", false)),
        ("//a/../b/", ("//a/../", "b", true)),
    ];
    for (path, (above, name, slash)) in cases {
        assert_eq!(
            path::split(path.as_bytes()),
            (above.as_bytes(), name.as_bytes(), *slash),
            "{path}"
        );
    }
}

/// chdir(2) and getcwd(3) say where a path leads; so must the tree. The root is the host's here, so that both see the same.
#[test]
fn enters_where_chdir_does() {
    let scene = Scene::new();
    scene.dir("a/b/c/d/e/f/g/h/i");
    scene.dir("x/y");
    scene.file("file", "");
    scene.link("a/b/c/d/e/f/g/h/out", "../../../../../../../../x");
    scene.link("x/y/back", "../../a/b/c/d/e/f/g/h");
    scene.link("x/here", ".");
    scene.link("x/slash", "y/");
    scene.link("tofile", "file");
    scene.link("a/b/rooted", "/x");
    scene.link("dangling", "nowhere/x");
    scene.link("loop", "loop");
    scene.link("ping", "pong/x");
    scene.link("pong", "ping/y");
    scene.link("abs", scene.at("x").to_str().unwrap());
    let kernel = Tree::open("/").unwrap();
    let mut walk = Tree::open("/").unwrap();
    walk.resolver = Resolver::Walk;
    let words = [
        "a/b",
        "x/y/back",
        "out/y",
        "here/here/y",
        "slash",
        "..",
        "../..",
        "../../../../../../../..",
        ".",
        "x",
        "abs/y",
        "file",
        "tofile",
        "dangling",
        "loop",
        "ping",
        "//",
        "a/b/c/d/e/f/g/h/i",
        "rooted",
    ];
    let jailed = scene.trees();
    let base = path::normal(scene.jail().as_os_str().as_bytes()).unwrap();
    for one in words {
        for two in words {
            for three in words {
                let arg = format!("{one}/{two}/{three}").replacen("///", "/", 1);
                let arg = arg.trim_start_matches('/');
                if arg.is_empty() {
                    continue;
                }
                let wanted = fs::canonicalize(scene.jail().join(arg).join("."))
                    .map(|path| path.into_os_string().into_vec())
                    .map_err(|why| Errno::from_raw(why.raw_os_error().unwrap()));
                for tree in [&kernel, &walk] {
                    let got = tree
                        .enter(&base, arg.as_bytes())
                        .map(VirtualPath::into_bytes);
                    assert_eq!(got, wanted, "{arg} {:?}", tree.resolver);
                    let stat = tree.stat(&base, arg.as_bytes()).map(|meta| meta.ino);
                    let real = fs::metadata(scene.jail().join(arg))
                        .map(|meta| meta.ino())
                        .map_err(|why| Errno::from_raw(why.raw_os_error().unwrap()));
                    assert_eq!(stat, real, "stat {arg} {:?}", tree.resolver);
                }
                // Within a root of their own, both resolvers say the same.
                let [one, two] = jailed.each_ref().map(|tree| {
                    let entered = tree.enter(&top(), arg.as_bytes());
                    (
                        entered,
                        tree.stat(&top(), arg.as_bytes()),
                        tree.lstat(&top(), arg.as_bytes()),
                    )
                });
                assert_eq!(one, two, "{arg}");
            }
        }
    }
}

#[test]
fn forty_links_and_no_more() {
    let scene = Scene::new();
    scene.file("0", "end");
    for number in 1..=41 {
        scene.link(&number.to_string(), &(number - 1).to_string());
    }
    for tree in scene.trees() {
        assert_eq!(content(&tree, &top(), b"40").unwrap(), "end");
        assert_eq!(content(&tree, &top(), b"41"), Err(Errno::ELOOP));
        assert_eq!(tree.chmod(&top(), b"41", 0o600), Err(Errno::ELOOP));
    }
}

#[test]
fn creates_and_says_whether() {
    let scene = Scene::new();
    scene.dir("d");
    for tree in scene.trees() {
        let (file, created, meta) = tree.create(&top(), b"d/f", 0o600, Create::Open).unwrap();
        fs::File::from(file).write_all(b"text").unwrap();
        assert!(created && meta.is_file() && meta.size == 0);
        let (_, created, meta) = tree.create(&top(), b"d/f", 0o600, Create::Open).unwrap();
        assert!(!created && meta.size == 4, "not truncated");
        assert_eq!(
            tree.create(&top(), b"d/f", 0o600, Create::New).map(drop),
            Err(Errno::EEXIST)
        );
        scene.link("dangling", "/d/made");
        assert_eq!(
            tree.create(&top(), b"dangling", 0o600, Create::New)
                .map(drop),
            Err(Errno::EEXIST)
        );
        assert!(
            tree.create(&top(), b"dangling", 0o600, Create::Open)
                .unwrap()
                .1
        );
        assert!(scene.at("d/made").is_file());
        assert!(
            !tree
                .create(&top(), b"dangling", 0o600, Create::Open)
                .unwrap()
                .1
        );
        for (path, why) in [
            ("d", Errno::EISDIR),
            ("d/", Errno::EISDIR),
            ("no/f", Errno::ENOENT),
            ("/", Errno::EISDIR),
        ] {
            assert_eq!(
                tree.create(&top(), path.as_bytes(), 0o600, Create::Open)
                    .map(drop),
                Err(why),
                "{path}"
            );
        }
        scene.link("loop", "loop");
        assert_eq!(
            tree.create(&top(), b"loop", 0o600, Create::Open).map(drop),
            Err(Errno::ELOOP)
        );
        for name in ["d/f", "d/made", "dangling", "loop"] {
            tree.unlink(&top(), name.as_bytes()).unwrap();
        }
    }
}

/// attacks B-011; odd last components are the kernel's to judge.
#[test]
fn changes_as_the_kernel_would() {
    let scene = Scene::new();
    scene.dir("d/e");
    scene.file("f", "");
    scene.link("l", "d");
    scene.link("lf", "f");
    let words = [
        "d", "d/", "d/.", "d/..", "f", "f/", "l", "l/", "l/.", "l/e", "lf", "lf/", ".", "..",
        "none", "none/", "none/x", "f/x", "d//e//",
    ];
    let raw = |result: std::io::Result<()>| {
        result.map_err(|why| Errno::from_raw(why.raw_os_error().unwrap()))
    };
    for tree in scene.trees() {
        // Only those that fail, so that the scene stays; what they would change has other tests.
        for word in words {
            let (arg, real) = (
                word.as_bytes(),
                PathBuf::from(format!("{}/{word}", scene.jail().display())),
            );
            if word.starts_with("none") && word != "none/x" {
                continue;
            }
            assert_eq!(
                tree.mkdir(&top(), arg, 0o755),
                raw(fs::create_dir(&real)),
                "mkdir {word}"
            );
            if !matches!(word, "l/e" | "d//e//" | "..") {
                assert_eq!(
                    tree.rmdir(&top(), arg),
                    raw(fs::remove_dir(&real)),
                    "rmdir {word}"
                );
            }
            if !matches!(word, "f" | "l" | "lf") {
                assert_eq!(
                    tree.unlink(&top(), arg),
                    raw(fs::remove_file(&real)),
                    "unlink {word}"
                );
            }
            let into = scene.at("none/y");
            assert_eq!(
                tree.rename(&top(), arg, &top(), b"none/y"),
                raw(fs::rename(&real, &into)),
                "rename {word}"
            );
            let itself = (
                tree.rename(&top(), b"d", &top(), arg),
                raw(fs::rename(scene.at("d"), &real)),
            );
            assert_eq!(itself.0, itself.1, "onto {word}");
        }
        assert_eq!(tree.mkdir(&top(), b"/", 0o755), Err(Errno::EEXIST));
        assert_eq!(tree.rmdir(&top(), b"//"), Err(Errno::EBUSY));
        assert_eq!(tree.unlink(&top(), b"/"), Err(Errno::EISDIR));
        assert_eq!(tree.rename(&top(), b"/", &top(), b"x"), Err(Errno::EBUSY));
        tree.mkdir(&top(), b"new/", 0o755).unwrap();
        tree.rename(&top(), b"new/", &top(), b"l/moved/").unwrap();
        assert!(scene.at("d/moved").is_dir());
        tree.rmdir(&top(), b"l/moved/").unwrap();
    }
}

#[test]
fn chmod_and_times_follow_links() {
    let scene = Scene::new();
    scene.dir("d");
    scene.file("d/f", "");
    scene.link("l", "/d/f");
    scene.link("ld", "d");
    for tree in scene.trees() {
        for mode in [0o000, 0o604, 0o4755] {
            tree.chmod(&top(), b"l", mode).unwrap();
            assert_eq!(
                fs::metadata(scene.at("d/f")).unwrap().permissions().mode() & 0o7777,
                mode
            );
        }
        tree.chmod(&top(), b"ld/", 0o700).unwrap();
        tree.chmod(&top(), b"d/.", 0o711).unwrap();
        assert_eq!(tree.chmod(&top(), b"l/", 0o711), Err(Errno::ENOTDIR));
        assert_eq!(
            fs::metadata(scene.at("d")).unwrap().permissions().mode() & 0o777,
            0o711
        );
        let before = fs::metadata(scene.at("d/f")).unwrap();
        tree.set_mtime(&top(), b"l", 86_400).unwrap();
        let meta = tree.stat(&top(), b"l").unwrap();
        assert_eq!((meta.mtime, meta.mtime_nsec), (86_400, 0));
        assert_eq!(
            fs::metadata(scene.at("d/f")).unwrap().atime(),
            before.atime()
        );
    }
}

#[test]
fn lists_a_directory() {
    let scene = Scene::new();
    scene.dir("d/sub");
    scene.link("d/l", "sub");
    for number in 0..6000 {
        scene.file(
            &format!("d/a rather long name, that fills the buffer {number}"),
            "x",
        );
    }
    fs::write(scene.at("d").join(OsStr::from_bytes(b"\xff\n")), "").unwrap();
    for tree in scene.trees() {
        let dir = tree.open_dir(&top(), b"d").unwrap();
        for want in [false, true, true] {
            let mut names = Vec::new();
            dir.entries(
                want,
                || true,
                |name| name != b"sub",
                |name, meta| {
                    assert_eq!(meta.is_some(), want);
                    assert_eq!(
                        meta.is_some_and(|meta| meta.unwrap().is_link()),
                        want && name == b"l"
                    );
                    names.push(name.to_vec());
                },
            )
            .unwrap();
            assert_eq!(names.len(), 6000 + 4);
            assert!(names.contains(&b"\xff\n".to_vec()));
        }
        assert_eq!(dir.readlink(b"l").unwrap(), b"sub");
        assert_eq!(dir.child(b"l").map(drop), Err(Errno::ENOTDIR));
        assert_eq!(dir.child(b"..").map(drop), Err(Errno::EXDEV));
        assert!(dir.child(b"sub").unwrap().meta().unwrap().is_dir());
        let root = tree.open_dir(&top(), b"/").unwrap();
        assert_eq!(
            root.lstat(b"..").unwrap().ino,
            fs::metadata(scene.jail()).unwrap().ino()
        );
        assert_eq!(root.lstat(b"d/sub"), Err(Errno::ENOENT));
        assert_eq!(
            tree.open_dir(&top(), b"d/l/../l/../\xff\n").map(drop),
            Err(Errno::ENOTDIR)
        );
    }
}

/// attacks B-060.
#[test]
fn reads_small_files_only() {
    let scene = Scene::new();
    scene.file("m", "0123456789");
    nix::unistd::mkfifo(&scene.at("fifo"), Mode::from_bits_truncate(0o600)).unwrap();
    for tree in scene.trees() {
        assert_eq!(tree.read_small(&top(), b"m", 4).unwrap(), b"0123");
        assert_eq!(tree.read_small(&top(), b"m", 4000).unwrap(), b"0123456789");
        assert_eq!(tree.read_small(&top(), b"/", 4), Err(Errno::EINVAL));
        // Neither hangs.
        assert_eq!(tree.read_small(&top(), b"fifo", 4), Err(Errno::EINVAL));
        assert_eq!(
            tree.create(&top(), b"fifo", 0o600, Create::Open).map(drop),
            Err(Errno::ENXIO)
        );
    }
}

/// attacks B-012.
#[test]
fn long_names_and_paths() {
    let scene = Scene::new();
    let (fits, over) = ("n".repeat(255), "n".repeat(256));
    for tree in scene.trees() {
        tree.create(&top(), fits.as_bytes(), 0o600, Create::New)
            .unwrap();
        assert_eq!(
            tree.create(&top(), over.as_bytes(), 0o600, Create::Open)
                .map(drop),
            Err(Errno::ENAMETOOLONG)
        );
        assert_eq!(
            tree.mkdir(&top(), over.as_bytes(), 0o700),
            Err(Errno::ENAMETOOLONG)
        );
        assert_eq!(
            tree.enter(&top(), over.as_bytes()),
            Err(Errno::ENAMETOOLONG)
        );
        tree.unlink(&top(), fits.as_bytes()).unwrap();
        // Relative to somewhere deep, the whole is longer than the kernel takes though the argument is not.
        let mut cwd = top();
        for _ in 0..10 {
            tree.mkdir(&cwd, &fits.as_bytes()[..200], 0o755).unwrap();
            cwd = tree.enter(&cwd, &fits.as_bytes()[..200]).unwrap();
        }
        tree.create(&cwd, b"f", 0o600, Create::New).unwrap();
        for length in 4094..=4098 {
            let mut arg = b"./".repeat(2100);
            arg.truncate(length - 1);
            if arg.ends_with(b".") {
                arg.pop();
                arg.push(b'/');
            }
            arg.push(b'f');
            let absolute = [b"/".as_slice(), &arg[1..]].concat();
            let why = if length > 4095 {
                Errno::ENAMETOOLONG
            } else {
                Errno::ENOENT
            };
            assert_eq!(
                tree.stat(&cwd, &arg).map(drop),
                if length > 4095 { Err(why) } else { Ok(()) },
                "{length}"
            );
            assert_eq!(tree.stat(&top(), &absolute).map(drop), Err(why), "{length}");
        }
        fs::remove_dir_all(scene.at(&fits[..200])).unwrap();
    }
}

#[test]
fn a_directory_that_may_not_be_searched_is_not_entered() {
    // As another user: root may search everything.
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let scene = Scene::new();
    scene.dir("open/shut");
    scene.dir("wide");
    for (path, mode) in [
        ("open", 0o755),
        ("open/shut", 0o644),
        ("wide", 0o777),
        ("", 0o755),
    ] {
        fs::set_permissions(scene.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(&scene.0, fs::Permissions::from_mode(0o755)).unwrap();
    let trees = scene.trees();
    let child = || {
        // SAFETY: the raw calls change this thread's identity only, unlike those of the C library.
        unsafe {
            libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>());
            assert_eq!(
                libc::syscall(libc::SYS_setresuid, 65_534, 65_534, 65_534),
                0
            );
        }
        for tree in &trees {
            assert_eq!(tree.enter(&top(), b"open/shut"), Err(Errno::EACCES));
            assert_eq!(tree.enter(&top(), b"open/shut/.."), Err(Errno::EACCES));
            assert!(tree.open_dir(&top(), b"open/shut").is_ok());
            assert_eq!(tree.mkdir(&top(), b"x", 0o755), Err(Errno::EACCES));
            assert_eq!(tree.chmod(&top(), b"wide", 0o700), Err(Errno::EPERM));
            // Its own file, be it closed to itself or not, with and without fchmodat2.
            drop(
                tree.create(&top(), b"wide/own", 0o000, Create::New)
                    .unwrap(),
            );
            for mode in [0o200, 0o400, 0o000, 0o644] {
                tree.chmod(&top(), b"wide/own", 0o000).unwrap();
                tree.chmod(&top(), b"wide/own", mode).unwrap();
                assert_eq!(tree.stat(&top(), b"wide/own").unwrap().mode & 0o7777, mode);
                for mode in [0o777, 0o200, 0o400, 0o000, 0o600] {
                    let (place, meta) = tree.followed(&top(), b"wide/own").unwrap();
                    change::open_and_chmod(&place, &meta, bits(mode)).unwrap();
                    assert_eq!(tree.stat(&top(), b"wide/own").unwrap().mode & 0o7777, mode);
                }
            }
            tree.unlink(&top(), b"wide/own").unwrap();
        }
    };
    std::thread::scope(|scope| scope.spawn(child).join().unwrap());
}
