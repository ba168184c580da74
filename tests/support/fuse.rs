//! A file system that is a program, for places that lie, never end or never answer (fuse(4)): one directory, its questions read from the
//! kernel as they come.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its directory has no last entry.
    Endless,
    /// Nor has this one, and its names are as long as names can be.
    Wordy,
    /// It answers until it is told to be silent.
    Silent,
    /// Whoever reads or writes a file is told each time that the call was interrupted.
    Restless,
    /// It has two entries, and who asks for the facts of the second is told that the disk failed.
    Worn,
    /// Root may do nothing in it, as in a directory of NFS (exports(5), root_squash).
    Squashing,
    /// Files are made, and who opens one is told that the call was interrupted.
    Reluctant,
    /// Whoever reads a file waits for ever, as long as it is not killed.
    Mute,
    /// The same, whoever writes one too, and once the question was read from the kernel not even the end of the process ends that.
    Deaf,
    /// It says something else about a file each time it is asked, and sends what was not asked for.
    Lying,
}

/// The file system, until it is dropped.
pub struct Fuse {
    place: String,
    silent: Arc<AtomicBool>,
    files: Arc<Mutex<Files>>,
}

/// What has become of its files.
#[derive(Default)]
pub struct Files {
    /// Somebody waits for ever ([`Fault::Mute`], [`Fault::Deaf`]): the question was read from the kernel.
    pub waited_for: bool,
    /// Those that are there, of a place that is [`Fault::Reluctant`].
    pub there: Vec<String>,
    /// How many were made.
    pub made: usize,
}

const ROOT: u64 = 1;
const FILE: u64 = 2;

/// How often one that is [`Fault::Lying`] was asked.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Questions (linux/fuse.h).
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const SETATTR: u32 = 4;
const READLINK: u32 = 5;
const MKNOD: u32 = 8;
const UNLINK: u32 = 10;
const OPEN: u32 = 14;
const READ: u32 = 15;
const WRITE: u32 = 16;
const STATFS: u32 = 17;
const INIT: u32 = 26;
/// Those that are answered by nothing more than that it was done: RMDIR, RENAME, RELEASE, FSYNC, FLUSH, RELEASEDIR.
const DONE: [u32; 6] = [11, 12, 18, 20, 25, 29];
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const INTERRUPT: u32 = 36;
const ACCESS: u32 = 34;
const BATCH_FORGET: u32 = 42;

impl Fuse {
    /// Mounts one over a directory; `None` where the kernel has no such file systems.
    pub fn mount(place: &str, fault: Fault) -> Option<Fuse> {
        let device = File::options().read(true).write(true).open("/dev/fuse");
        let device = device.ok()?;
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0,allow_other",
            device.as_raw_fd()
        );
        nix::mount::mount(
            Some("odd"),
            place,
            Some("fuse"),
            nix::mount::MsFlags::empty(),
            Some(options.as_str()),
        )
        .unwrap_or_else(|e| panic!("{place}: {e}"));
        let silent = Arc::new(AtomicBool::new(false));
        let files = Arc::new(Mutex::default());
        let (told, kept) = (Arc::clone(&silent), Arc::clone(&files));
        std::thread::spawn(move || serve(device, fault, &told, &kept));
        let place = place.to_owned();
        Some(Fuse {
            place,
            silent,
            files,
        })
    }

    /// What has become of its files.
    pub fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap()
    }

    /// From now on it answers nothing.
    pub fn fall_silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }
}

impl Drop for Fuse {
    /// Whoever waits for an answer gets an error.
    fn drop(&mut self) {
        let how = nix::mount::MntFlags::MNT_FORCE | nix::mount::MntFlags::MNT_DETACH;
        let _ = nix::mount::umount2(self.place.as_str(), how);
    }
}

fn serve(mut device: File, fault: Fault, silent: &AtomicBool, files: &Mutex<Files>) {
    let mut question = vec![0; 1 << 20];
    // The end of the mount is an error here.
    while let Ok(length) = device.read(&mut question) {
        let number = |at: usize| u64::from_ne_bytes(question[at..at + 8].try_into().unwrap());
        let kind = u32::from_ne_bytes(question[4..8].try_into().unwrap());
        let (unique, node) = (number(8), number(16));
        let about = &question[40..length];
        let mute = match kind {
            READ => matches!(fault, Fault::Mute | Fault::Deaf),
            WRITE => fault == Fault::Deaf,
            _ => false,
        };
        files.lock().unwrap().waited_for |= mute;
        let unheard = mute || matches!(kind, FORGET | BATCH_FORGET | INTERRUPT);
        if unheard || silent.load(Ordering::SeqCst) {
            continue;
        }
        let error = match (kind, fault) {
            (READ | WRITE, Fault::Restless) | (OPEN, Fault::Reluctant) => libc::EINTR,
            (LOOKUP | MKNOD | UNLINK, Fault::Reluctant) => change(kind, about, files),
            _ => 0,
        };
        let fails = fault == Fault::Lying && kind == READ && unique & 4 == 0
            || fault == Fault::Squashing && kind == ACCESS && question[24..28] == [0; 4]
            || fault == Fault::Worn && kind == LOOKUP && about.starts_with(b"n000000001");
        let error = match kind {
            ACCESS if fails => libc::EACCES,
            _ if fails => libc::EIO,
            _ => error,
        };
        let text = (error == 0).then(|| answer(kind, node, about, fault));
        let (error, text) = match text {
            None => (error, vec![]),
            Some(None) => (libc::ENOSYS, vec![]),
            Some(Some(text)) => (0, text),
        };
        let mut reply = Vec::new();
        reply.extend_from_slice(&(16 + text.len() as u32).to_ne_bytes());
        reply.extend_from_slice(&(-error).to_ne_bytes());
        reply.extend_from_slice(&unique.to_ne_bytes());
        reply.extend_from_slice(&text);
        let _ = device.write_all(&reply);
    }
}

/// Makes, removes or looks for a file by its name; an error if that is not to be.
fn change(kind: u32, about: &[u8], files: &Mutex<Files>) -> i32 {
    // Four numbers are before the name of a file to be made.
    let name = &about[if kind == MKNOD { 16 } else { 0 }..];
    let name = String::from_utf8_lossy(name);
    let name = name.trim_end_matches('\0');
    let mut files = files.lock().unwrap();
    let there = files.there.iter().position(|file| file == name);
    match (kind, there) {
        (MKNOD, None) => {
            files.there.push(name.to_owned());
            files.made += 1;
        }
        (MKNOD, Some(_)) => return libc::EEXIST,
        (_, None) => return libc::ENOENT,
        (UNLINK, Some(at)) => drop(files.there.remove(at)),
        (_, Some(_)) => {}
    }
    0
}

fn answer(kind: u32, node: u64, about: &[u8], fault: Fault) -> Option<Vec<u8>> {
    let words = |list: &[u32]| {
        list.iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect::<Vec<_>>()
    };
    Some(match kind {
        // Version 7.31, no read-ahead; flags: where readers can be killed they wait for the kernel's pages (FUSE_ASYNC_READ).
        INIT => words(&[
            7,
            31,
            0,
            (fault == Fault::Mute).into(),
            0,
            1 << 17,
            1,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ]),
        GETATTR => [words(&[0; 4]), attributes(node, fault)].concat(),
        UNLINK | ACCESS => Vec::new(),
        SETATTR if fault == Fault::Lying => [words(&[0; 4]), attributes(node, fault)].concat(),
        READLINK if fault == Fault::Lying => b"../../../srv/canary/open".to_vec(),
        // More or less than was given.
        WRITE if fault == Fault::Lying => {
            let given = u32::from_ne_bytes(about[16..20].try_into().unwrap());
            words(&[given / 2 + 1, 0])
        }
        kind if fault == Fault::Lying && DONE.contains(&kind) => Vec::new(),
        LOOKUP | MKNOD if fault == Fault::Lying => {
            let another = FILE + ASKED.load(Ordering::Relaxed);
            let head = [another, 0, 0, 0, 0];
            head.iter()
                .flat_map(|word| word.to_ne_bytes())
                .chain(attributes(another, fault))
                .collect()
        }
        READDIR if matches!(fault, Fault::Lying | Fault::Worn) => {
            let offset = u64::from_ne_bytes(about[8..16].try_into().unwrap());
            (offset..if fault == Fault::Worn { 2 } else { 3 })
                .flat_map(|at| entry(at + 1, &format!("n{:09}", at % 2)))
                .collect()
        }
        LOOKUP | MKNOD => [FILE, 0, 0, 0, 0]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .chain(attributes(FILE, fault))
            .collect(),
        OPEN | OPENDIR => words(&[0; 4]),
        STATFS => words(&[0; 20]),
        READDIR if matches!(fault, Fault::Endless | Fault::Wordy) => {
            let offset = u64::from_ne_bytes(about[8..16].try_into().unwrap());
            let room = u32::from_ne_bytes(about[16..20].try_into().unwrap()) as usize;
            let front = "n".repeat(if fault == Fault::Wordy { 246 } else { 1 });
            let name = |at| format!("{front}{:09}", at % 1_000_000_000);
            let entries = room / entry(0, &name(0)).len();
            let mut all = Vec::with_capacity(room);
            for at in (offset..).take(entries) {
                all.extend_from_slice(&entry(at + 1, &name(at)));
            }
            all
        }
        READDIR => Vec::new(),
        READ if fault == Fault::Lying => vec![b'x'; 10],
        _ => return None,
    })
}

/// `struct fuse_dirent`, for a name of ten bytes forty in all.
fn entry(next: u64, name: &str) -> Vec<u8> {
    let mut entry = Vec::new();
    for word in [FILE, next] {
        entry.extend_from_slice(&word.to_ne_bytes());
    }
    entry.extend_from_slice(&(name.len() as u32).to_ne_bytes());
    entry.extend_from_slice(&8_u32.to_ne_bytes());
    entry.extend_from_slice(name.as_bytes());
    entry.resize(entry.len().next_multiple_of(8), 0);
    entry
}

/// `struct fuse_attr`.
fn attributes(node: u64, fault: Fault) -> Vec<u8> {
    // A node keeps its kind; a name is another node each time.
    let lies = [
        0o100_666, 0o40777, 0o100_666, 0o10666, 0o100_666, 0o120_777, 0o100_666, 0o140_666,
        0o100_666, 0o20666, 0,
    ];
    let asked = ASKED.fetch_add(1, Ordering::Relaxed) as usize;
    let mode = match fault {
        _ if node == ROOT => 0o40777,
        Fault::Lying => lies[node as usize % lies.len()],
        Fault::Endless
        | Fault::Wordy
        | Fault::Silent
        | Fault::Worn
        | Fault::Squashing
        | Fault::Restless
        | Fault::Reluctant
        | Fault::Mute
        | Fault::Deaf => 0o100_666,
    };
    let mut attributes = Vec::new();
    let size = match fault {
        Fault::Reluctant => 0,
        Fault::Lying => [0, 100, i64::MAX as u64, 1 << 40][asked % 4],
        Fault::Endless
        | Fault::Wordy
        | Fault::Silent
        | Fault::Worn
        | Fault::Squashing
        | Fault::Restless
        | Fault::Mute
        | Fault::Deaf => 100,
    };
    for word in [node, size, 1, 0, 0, 0] {
        attributes.extend_from_slice(&word.to_ne_bytes());
    }
    for word in [0, 0, 0, mode, 1, 1001, 1001, 0, 4096, 0] {
        attributes.extend_from_slice(&u32::to_ne_bytes(word));
    }
    attributes
}
