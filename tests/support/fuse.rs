//! A file system that is a program, for places that lie, never end or never answer (fuse(4)): one directory, its questions read from the
//! kernel as they come.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its directory has no last entry.
    Endless,
    /// It answers until it is told to be silent.
    Silent,
    /// Whoever reads a file is told each time that the call was interrupted.
    Restless,
}

/// The file system, until it is dropped.
pub struct Fuse {
    place: String,
    silent: Arc<AtomicBool>,
}

const ROOT: u64 = 1;
const FILE: u64 = 2;

/// Questions (linux/fuse.h).
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const STATFS: u32 = 17;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const INTERRUPT: u32 = 36;
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
        let told = Arc::clone(&silent);
        std::thread::spawn(move || serve(device, fault, &told));
        let place = place.to_owned();
        Some(Fuse { place, silent })
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

fn serve(mut device: File, fault: Fault, silent: &AtomicBool) {
    let mut question = vec![0; 1 << 20];
    // The end of the mount is an error here.
    while let Ok(length) = device.read(&mut question) {
        let number = |at: usize| u64::from_ne_bytes(question[at..at + 8].try_into().unwrap());
        let kind = u32::from_ne_bytes(question[4..8].try_into().unwrap());
        let (unique, node) = (number(8), number(16));
        let about = &question[40..length];
        if silent.load(Ordering::SeqCst) || matches!(kind, FORGET | BATCH_FORGET | INTERRUPT) {
            continue;
        }
        let unknown = match (kind, fault) {
            (READ, Fault::Restless) => libc::EINTR,
            _ => libc::ENOSYS,
        };
        let (error, text) = answer(kind, node, about, fault).map_or((unknown, vec![]), |t| (0, t));
        let mut reply = Vec::new();
        reply.extend_from_slice(&(16 + text.len() as u32).to_ne_bytes());
        reply.extend_from_slice(&(-error).to_ne_bytes());
        reply.extend_from_slice(&unique.to_ne_bytes());
        reply.extend_from_slice(&text);
        let _ = device.write_all(&reply);
    }
}

fn answer(kind: u32, node: u64, about: &[u8], fault: Fault) -> Option<Vec<u8>> {
    let words = |list: &[u32]| {
        list.iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect::<Vec<_>>()
    };
    Some(match kind {
        // Version 7.31, no read-ahead, no flags.
        INIT => words(&[7, 31, 0, 0, 0, 1 << 17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        GETATTR => [words(&[0; 4]), attributes(node)].concat(),
        LOOKUP => [FILE, 0, 0, 0, 0]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .chain(attributes(FILE))
            .collect(),
        OPEN | OPENDIR => words(&[0; 4]),
        STATFS => words(&[0; 20]),
        READDIR if fault == Fault::Endless => {
            let offset = u64::from_ne_bytes(about[8..16].try_into().unwrap());
            let room = u32::from_ne_bytes(about[16..20].try_into().unwrap()) as usize;
            (offset..)
                .take(room / 40)
                .flat_map(|at| entry(at + 1, &format!("n{:09}", at % 1_000_000_000)))
                .collect()
        }
        READDIR => Vec::new(),
        _ => return None,
    })
}

/// `struct fuse_dirent`, for a name of ten bytes: forty in all.
fn entry(next: u64, name: &str) -> Vec<u8> {
    let mut entry = Vec::new();
    for word in [FILE, next] {
        entry.extend_from_slice(&word.to_ne_bytes());
    }
    entry.extend_from_slice(&(name.len() as u32).to_ne_bytes());
    entry.extend_from_slice(&8_u32.to_ne_bytes());
    entry.extend_from_slice(name.as_bytes());
    entry.resize(40, 0);
    entry
}

/// `struct fuse_attr`.
fn attributes(node: u64) -> Vec<u8> {
    let mode = if node == ROOT { 0o40777 } else { 0o100_666 };
    let mut attributes = Vec::new();
    for word in [node, 100, 1, 0, 0, 0] {
        attributes.extend_from_slice(&word.to_ne_bytes());
    }
    for word in [0, 0, 0, mode, 1, 1001, 1001, 0, 4096, 0] {
        attributes.extend_from_slice(&u32::to_ne_bytes(word));
    }
    attributes
}
