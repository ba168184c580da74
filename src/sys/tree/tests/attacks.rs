//! Ways out of the tree, by the numbers of the catalogue, with both resolvers; worker.

use super::*;

/// attacks B-001, B-019.
#[test]
fn dots_stay_below_the_root() {
    let scene = Scene::new();
    scene.dir("a/b");
    scene.file("f", "mine");
    let many = "../".repeat(1000);
    for tree in scene.trees() {
        let a = tree.enter(&top(), b"a").unwrap();
        for up in [
            "../",
            "a/../../",
            "/../",
            "//..//",
            "./.././../",
            many.as_str(),
        ] {
            for cwd in [&top(), &a] {
                let secret = format!("{up}secret");
                assert_eq!(
                    content(&tree, cwd, secret.as_bytes()),
                    Err(Errno::ENOENT),
                    "{up}"
                );
                assert_eq!(
                    tree.stat(cwd, secret.as_bytes()),
                    Err(Errno::ENOENT),
                    "{up}"
                );
            }
        }
        assert_eq!(
            content(&tree, &a, format!("{many}f").as_bytes()).unwrap(),
            "mine"
        );
        assert_eq!(enter(&tree, &a, &many).unwrap(), "/");
        assert_eq!(enter(&tree, &a, "../a/./b//..").unwrap(), "/a");
        for literal in ["....//secret", "..\\secret", "%2e%2e/secret"] {
            assert_eq!(content(&tree, &a, literal.as_bytes()), Err(Errno::ENOENT));
        }
        for bad in [b"".as_slice(), b"a\0b"] {
            assert_eq!(tree.stat(&top(), bad), Err(Errno::ENOENT));
        }
        for path in ["../new", "b/../../new2"] {
            tree.mkdir(&a, path.as_bytes(), 0o755).unwrap();
            tree.rename(&a, path.as_bytes(), &top(), b"../../moved")
                .unwrap();
            assert!(scene.at("moved").is_dir());
            tree.rmdir(&a, b"../../../moved").unwrap();
        }
    }
    assert_eq!(fs::read_dir(&scene.0).unwrap().count(), 3);
}

/// attacks B-002, B-019.
#[test]
fn links_lead_within_the_root_only() {
    let scene = Scene::new();
    scene.dir("a/d");
    scene.file("a/f", "mine");
    scene.link("passwd", "/etc/passwd");
    scene.link("up", "../secret");
    scene.link("a/up", "../../../secret");
    scene.link("absolute", scene.0.join("secret").to_str().unwrap());
    scene.link("inside", "/a/f");
    scene.link("chain", "a/../inside");
    scene.link("tree", "/a");
    for tree in scene.trees() {
        for link in ["passwd", "up", "a/up", "absolute"] {
            let link = link.as_bytes();
            assert_eq!(content(&tree, &top(), link), Err(Errno::ENOENT));
            assert_eq!(tree.stat(&top(), link), Err(Errno::ENOENT));
            assert_eq!(tree.chmod(&top(), link, 0o777), Err(Errno::ENOENT));
            assert_eq!(tree.set_mtime(&top(), link, 1), Err(Errno::ENOENT));
            assert_eq!(tree.enter(&top(), link), Err(Errno::ENOENT));
            assert!(tree.lstat(&top(), link).unwrap().is_link());
        }
        for link in ["inside", "chain", "tree/f", "tree/../tree/d/../f"] {
            assert_eq!(
                content(&tree, &top(), link.as_bytes()).unwrap(),
                "mine",
                "{link}"
            );
        }
        assert_eq!(tree.readlink(&top(), b"inside").unwrap(), b"/a/f");
        assert_eq!(tree.canonical(&top(), b"chain").unwrap(), b"/a/f");
        assert_eq!(tree.canonical(&top(), b"tree/none").unwrap(), b"/a/none");
        assert_eq!(tree.canonical(&top(), b"tree/..").unwrap(), b"/");
        assert_eq!(tree.canonical(&top(), b"none/none"), None);
    }
}

/// attacks B-002, B-063: with /proc below the root.
#[test]
fn magic_links_are_refused() {
    let kernel = Tree::open("/").unwrap();
    let mut walk = Tree::open("/").unwrap();
    walk.resolver = Resolver::Walk;
    for tree in [kernel, walk] {
        for path in [
            "/proc/self/root/etc/passwd",
            "/proc/self/cwd",
            "/proc/self/exe",
            "/proc/thread-self/root/etc",
        ] {
            assert_eq!(
                tree.open_read(&top(), path.as_bytes()).map(drop),
                Err(Errno::ELOOP),
                "{path}"
            );
        }
        assert_eq!(tree.enter(&top(), b"/proc/self/root"), Err(Errno::ELOOP));
        assert!(
            enter(&tree, &top(), "/proc/self")
                .unwrap()
                .starts_with("/proc/")
        );
        let (proc, _) = tree.open_read(&top(), b"/proc/version").unwrap();
        assert!(kernel_fs(&proc));
        assert!(!kernel_fs(tree.root()));
    }
}

/// attacks B-004, B-019.
#[test]
fn a_link_in_each_component_leads_nowhere() {
    for at in 0..5 {
        let scene = Scene::new();
        let names = ["1", "2", "3", "4", "5"];
        for (number, name) in names.iter().enumerate() {
            let path = names[..number]
                .iter()
                .map(|name| format!("{name}/"))
                .collect::<String>()
                + name;
            if number == at {
                scene.link(&path, scene.0.join("outside").to_str().unwrap());
                break;
            }
            scene.dir(&path);
        }
        for tree in scene.trees() {
            for path in ["1/2/3/4/5/f", "1/2/3/4/5/new"] {
                assert_eq!(content(&tree, &top(), path.as_bytes()), Err(Errno::ENOENT));
                assert!(
                    tree.create(&top(), path.as_bytes(), 0o644, Create::Open)
                        .is_err()
                );
                assert_eq!(
                    tree.mkdir(&top(), path.as_bytes(), 0o755),
                    Err(Errno::ENOENT)
                );
                assert_eq!(tree.unlink(&top(), path.as_bytes()), Err(Errno::ENOENT));
            }
        }
        assert_eq!(fs::read_dir(scene.0.join("outside")).unwrap().count(), 1);
    }
}

/// attacks B-004, B-019: a directory and a link to the outside take turns under one name.
#[test]
fn a_storm_of_renames_leads_nowhere() {
    let scene = Scene::new();
    scene.dir("a/b/c");
    scene.file("a/b/f", "mine");
    scene.link("bait", "../outside");
    let stop = AtomicBool::new(false);
    let (d, bait) = (scene.at("a/b"), scene.at("bait"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let flags = libc::RENAME_EXCHANGE;
                crate::sys::tree::access::renameat2(
                    nix::fcntl::AT_FDCWD,
                    &d,
                    nix::fcntl::AT_FDCWD,
                    &bait,
                    flags,
                )
                .unwrap();
            }
        });
        for tree in scene.trees() {
            for number in 0..4000 {
                for path in ["a/b/f", "a/b/../b/f", "a/b/c/../f"] {
                    if let Ok(text) = content(&tree, &top(), path.as_bytes()) {
                        assert_eq!(text, "mine");
                    }
                }
                let name = format!("a/b/c/../new{}", number % 8);
                let _ = tree.create(&top(), name.as_bytes(), 0o644, Create::Open);
                let _ = tree.chmod(&top(), b"a/b/f", 0o600);
                let _ = tree.mkdir(&top(), b"a/b/d", 0o755);
                if let Ok(path) = tree.enter(&top(), b"a/b/../b") {
                    assert!(path.as_bytes() == b"/a/b", "{path:?}");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_dir(scene.0.join("outside")).unwrap().count(), 1);
    assert_eq!(
        fs::metadata(scene.0.join("outside/f"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o644
    );
}

/// attacks B-007, B-019.
#[test]
fn a_directory_moved_out_is_gone() {
    let scene = Scene::new();
    for (number, tree) in scene.trees().into_iter().enumerate() {
        scene.dir("sub/deep");
        let cwd = tree.enter(&top(), b"sub/deep").unwrap();
        fs::rename(
            scene.at("sub"),
            scene.0.join(format!("outside/sub{number}")),
        )
        .unwrap();
        assert_eq!(content(&tree, &cwd, b"../../../secret"), Err(Errno::ENOENT));
        assert_eq!(content(&tree, &cwd, b"../../f"), Err(Errno::ENOENT));
        assert_eq!(tree.open_dir(&cwd, b".").map(drop), Err(Errno::ENOENT));
        assert_eq!(tree.enter(&cwd, b".."), Err(Errno::ENOENT));
        assert!(tree.create(&cwd, b"../x", 0o644, Create::Open).is_err());
        assert_eq!(enter(&tree, &cwd, "/").unwrap(), "/");
    }
}

/// attacks B-017.
#[test]
fn a_current_directory_may_vanish() {
    let scene = Scene::new();
    for tree in scene.trees() {
        scene.dir("gone");
        let cwd = tree.enter(&top(), b"gone").unwrap();
        tree.rmdir(&cwd, b"../gone").unwrap();
        assert_eq!(tree.enter(&cwd, b"."), Err(Errno::ENOENT));
        assert_eq!(tree.mkdir(&cwd, b"x", 0o755), Err(Errno::ENOENT));
        assert_eq!(
            tree.create(&cwd, b"x", 0o644, Create::New).map(drop),
            Err(Errno::ENOENT)
        );
        assert_eq!(tree.open_dir(&cwd, b".").map(drop), Err(Errno::ENOENT));
        assert_eq!(enter(&tree, &cwd, "/").unwrap(), "/");
    }
}
