//! Paths: what a text leads to by itself, and in a tree with links in all directions, is below the root and has one spelling.

use super::path::{joined, normal};
use super::{Resolver, Tree, VirtualPath};
use crate::place::Place;
use std::cell::OnceCell;
use std::os::unix::fs::symlink;

struct Forest {
    _place: Place,
    tree: Tree,
    /// The same walked part by part, as on kernels without openat2.
    slow: Tree,
}

impl Forest {
    fn new() -> Self {
        let place = Place::new();
        let root = place.path().join("root");
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(root.join("a/b/c")).unwrap();
        std::fs::create_dir_all(root.join("dir with blanks/..d")).unwrap();
        std::fs::write(root.join("a/file"), b"text").unwrap();
        for (link, to) in [
            ("up", ".."),
            ("out", "/etc"),
            ("a/loop", "loop"),
            ("a/abs", "/a/b"),
            ("a/b/far", "../../../../../../a"),
            ("self", "."),
            ("a/b/c/file", "../../file"),
        ] {
            symlink(to, root.join(link)).unwrap();
        }
        let tree = Tree::open(root.as_path()).unwrap();
        let slow = Tree {
            resolver: Resolver::Walk,
            ..Tree::open(root.as_path()).unwrap()
        };
        Self {
            _place: place,
            tree,
            slow,
        }
    }
}

thread_local! {
    static FOREST: OnceCell<Forest> = const { OnceCell::new() };
}

pub fn path(data: &[u8]) {
    let at = data
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(data.len());
    let (cwd, rest) = data.split_at(at);
    let arg = rest.strip_prefix(b"\n").unwrap_or(rest);
    if let Ok(cwd) = normal(cwd) {
        well_formed(&cwd);
        assert_eq!(normal(cwd.as_bytes()).as_ref(), Ok(&cwd));
        if let Ok(whole) = joined(&cwd, arg)
            && let Ok(there) = normal(&whole)
        {
            well_formed(&there);
            assert_eq!(normal(there.as_bytes()).as_ref(), Ok(&there));
        }
    }
    FOREST.with(|forest| walk(forest.get_or_init(Forest::new), cwd, arg));
}

fn walk(forest: &Forest, cwd: &[u8], arg: &[u8]) {
    let tree = &forest.tree;
    let start = tree
        .enter(&VirtualPath::root(), cwd)
        .unwrap_or_else(|_| VirtualPath::root());
    well_formed(&start);
    let root = tree.stat(&VirtualPath::root(), b"/").unwrap();
    if let Ok(there) = tree.enter(&start, arg) {
        well_formed(&there);
        // It is there under its own name, and nothing is above the root.
        assert!(tree.enter(&VirtualPath::root(), there.as_bytes()).is_ok());
        assert!(tree.open_dir(&there, b".").is_ok());
    }
    if let Some(canonical) = tree.canonical(&start, arg) {
        assert!(canonical.starts_with(b"/"));
    }
    // Both ways of walking come to the same end.
    let slow = &forest.slow;
    assert_eq!(tree.enter(&start, arg).ok(), slow.enter(&start, arg).ok());
    assert_eq!(tree.canonical(&start, arg), slow.canonical(&start, arg));
    assert_eq!(tree.stat(&start, arg).ok(), slow.stat(&start, arg).ok());
    assert_eq!(tree.lstat(&start, arg).ok(), slow.lstat(&start, arg).ok());
    if let Ok((_, meta)) = tree.open_read(&start, arg) {
        let same = tree.stat(&start, arg).unwrap();
        assert_eq!((meta.dev, meta.ino), (same.dev, same.ino));
        assert_eq!(meta.dev, root.dev, "a file of another file system");
    }
}

/// Absolute, without a part that is empty, `.` or `..`, without a zero.
fn well_formed(path: &VirtualPath) {
    let bytes = path.as_bytes();
    let inner = bytes.strip_prefix(b"/").expect("an absolute path");
    if !inner.is_empty() {
        for part in inner.split(|byte| *byte == b'/') {
            assert!(
                !matches!(part, b"" | b"." | b".."),
                "{}",
                bytes.escape_ascii()
            );
        }
    }
}
