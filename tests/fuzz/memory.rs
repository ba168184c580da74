//! Counts what is allocated: an input that makes the program hold more than it ever needs is a finding, and so is what stays behind.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// More than any target needs at once: listings and buffers of the data thread are the largest.
const MOST: usize = 64 << 20;
/// More than is ever left when an input has been dealt with: settings of the targets, and threads that are about to end.
const LEFT: usize = 16 << 20;
/// More descriptors than are ever open then.
const DESCRIPTORS: i32 = 256;

static LIVE: AtomicUsize = AtomicUsize::new(0);

pub struct Counted;

impl Counted {
    fn more(&self, size: usize) {
        if LIVE.fetch_add(size, Ordering::Relaxed).saturating_add(size) > MOST {
            // Nothing here may allocate.
            let text = b"memory: more than 64 MiB at once\n";
            // SAFETY: the bytes are there.
            unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
            std::process::abort();
        }
    }
}

// SAFETY: everything is left to the system's allocator; only sizes are counted.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.more(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.more(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) };
    }
}

/// After an input: neither memory nor descriptors may have been kept.
pub fn look() {
    let live = LIVE.load(Ordering::Relaxed);
    assert!(live < LEFT, "{live} bytes are still held");
    // SAFETY: dup takes a number; the copy is closed at once.
    let next = unsafe { libc::dup(2) };
    assert!(next < DESCRIPTORS, "descriptor {next} is the next free one");
    if next >= 0 {
        // SAFETY: just made.
        unsafe { libc::close(next) };
    }
}
