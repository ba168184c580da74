//! The memory of a process: one heap, without gaps, given back while a session is idle, and wiped where passwords go; every process.

use nix::unistd::{getpid, gettid};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process wipes what it gives back to the heap.
static WIPES: AtomicBool = AtomicBool::new(false);

/// The C library's heap, to which memory goes back wiped where that was asked for. A password passes through more hands than ours, which
/// wipe it themselves: buffers that grow leave a copy behind, and TLS does with what it has decrypted (attacks B-160, C.12).
#[derive(Debug)]
pub struct Heap;

/// From now on this process, and what it forks, wipes what it gives back.
pub fn begin_wiping() {
    WIPES.store(true, Ordering::Relaxed);
}

/// No password comes here any more.
pub fn end_wiping() {
    WIPES.store(false, Ordering::Relaxed);
}

/// The longest piece of memory that is wiped: a record of TLS and what belongs to it. Larger are the buffers of channels, which wipe what they
/// have received, and of which most was never touched: to write there would cost more than the login.
const LONGEST: usize = 20 * 1024;

fn wipe(at: *mut u8, length: usize) {
    if length > LONGEST {
        return;
    }
    // SAFETY: the callers give the whole of an allocation that is theirs to give back; explicit_bzero(3) writes so many bytes there, and no
    // compiler leaves it out because nobody reads them.
    unsafe { libc::explicit_bzero(at.cast(), length) };
}

// SAFETY: every call is the system allocator's own with the same layout; what is written besides lies within an allocation that the
// caller has given up.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if WIPES.load(Ordering::Relaxed) {
            wipe(at, layout.size());
        }
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !WIPES.load(Ordering::Relaxed) || layout.size() > LONGEST {
            // SAFETY: as above.
            return unsafe { System.realloc(at, layout, size) };
        }
        // SAFETY: the caller promises that the new size, rounded up to the alignment, is no more than isize::MAX.
        let fresh = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: as above; the size is not zero, by the caller's promise.
        let new = unsafe { System.alloc(fresh) };
        if !new.is_null() {
            // SAFETY: both are at least that long, and the new one is nobody else's.
            unsafe { std::ptr::copy_nonoverlapping(at, new, layout.size().min(size)) };
            // SAFETY: the caller gives the old one up.
            unsafe { self.dealloc(at, layout) };
        }
        new
    }
}

/// One heap for all threads: a session's second thread would otherwise get an arena of its own (packages.md §13).
pub fn one_arena() {
    // Other C libraries have one.
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two integers; a refusal leaves the default.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1)
    };
}

/// What lies in the gaps of the heap. Giving it up opens them again.
#[derive(Debug, Default)]
pub struct Filling {
    /// Kept until it goes, and looked at by nobody.
    _pieces: Vec<Vec<u8>>,
}

/// Uses up the small gaps that reading the settings has left all over the heap. What sessions allocate then lies side by side at the
/// heap's end, and a child copies two pages where it would have copied one for each gap. What fills them is to be given up before
/// settings are read again: a server that is told to do so every day would grow with each time.
pub fn fill_heap_gaps() -> Filling {
    /// As many of one size as there will ever be gaps; the loop ends by itself where there are none.
    const MOST: usize = 4096;
    /// What the C library does not join to its neighbours when it is given back: a small piece that was no gap would become one.
    const CACHED: usize = 1032;
    /// The fillers there usually are: a list that grows would leave gaps of its own.
    const LIKELY: usize = 8192;
    let mut filling = Vec::with_capacity(LIKELY);
    // Too large for any gap, the reader's messages included; given back at once.
    let large = Vec::<u8>::with_capacity(120 * 1024);
    let end = large.as_ptr().addr();
    drop(large);
    for size in (8..=2048).step_by(16) {
        for _ in 0..MOST {
            let filler = Vec::<u8>::with_capacity(size);
            let fresh = filler.as_ptr().addr() >= end;
            if size <= CACHED || !fresh {
                filling.push(filler);
            }
            if fresh {
                break;
            }
        }
    }
    Filling { _pieces: filling }
}

/// Leaves freed memory with the heap up to a few records of TLS: without that each one is asked of the kernel anew (packages.md §5.1).
pub fn keep_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two integers; a refusal leaves the default.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 20)
    };
}

/// Gives back what the last command has used: free pages of the heap, and the stack below the caller. Called while a session waits; in
/// another thread than the first it does nothing.
pub fn give_back() {
    if gettid() != getpid() {
        return;
    }
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes an integer, and gives back only what is free.
    unsafe {
        libc::malloc_trim(0)
    };
    give_back_stack();
}

/// Gives back the first thread's stack below the caller, as far as any call of ours may have gone down.
#[inline(never)]
pub fn give_back_stack() {
    /// The kernel leaves more than that free below the stack of the first thread (`stack_guard_gap`), so that nothing else is there.
    const DEPTH: usize = 256 * 1024;
    const PAGE: usize = 4096;
    let here = 0u8;
    // The page of this frame stays, and the one below it, which the call itself may need.
    let end = (&raw const here).addr() / PAGE * PAGE - PAGE;
    let start = end - DEPTH;
    // SAFETY: of what lies below this frame on the stack nothing is in use; a page that is read later is zero. Pages that are not
    // mapped are passed over.
    unsafe {
        libc::madvise(
            std::ptr::with_exposed_provenance_mut(start),
            DEPTH,
            libc::MADV_DONTNEED,
        )
    };
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::{give_back, give_back_stack};
    use crate::sys::process::{self, Ended};
    use nix::unistd::ForkResult;
    use std::hint::black_box;

    /// Uses that much stack and gives the address of its far end.
    #[inline(never)]
    fn deep() -> usize {
        let mut used = [0u8; 128 * 1024];
        for byte in used.iter_mut().step_by(1024) {
            *byte = 1;
        }
        (&raw const *black_box(&used)).addr()
    }

    /// Whether that page is in memory.
    fn resident(address: usize) -> bool {
        let page = address / 4096 * 4096;
        let mut there = [0u8; 1];
        // SAFETY: mincore(2) reads page tables and writes one byte, of an array of one.
        let result = unsafe {
            libc::mincore(
                std::ptr::with_exposed_provenance_mut(page),
                4096,
                there.as_mut_ptr(),
            )
        };
        result == 0 && there[0] & 1 == 1
    }

    #[test]
    fn the_stack_of_the_first_thread_is_given_back() {
        // SAFETY: the child calls only what needs no lock, and leaves by _exit.
        let child = match unsafe { nix::unistd::fork() }.unwrap() {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                let far = deep() + 8192;
                let before = resident(far);
                give_back_stack();
                let status = i32::from(!before) | i32::from(resident(far)) << 1;
                // SAFETY: _exit takes any status and does not return.
                unsafe { libc::_exit(status) }
            }
        };
        let ended = process::wait_for(child).unwrap();
        assert_eq!(ended, Ended::Exited(0));
    }

    #[test]
    fn another_thread_keeps_its_stack() {
        let far = deep() + 8192;
        assert!(resident(far));
        give_back();
        assert!(resident(far));
    }
}
