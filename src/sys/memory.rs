//! The memory of a process, given back while a session is idle; greeter, worker, helper after login.

use super::heap;
use nix::unistd::{getpid, gettid};

/// Gives back what the last command has used: free pages of the heap, and the stack below the caller. Called while a session waits; in
/// another thread than the first it does nothing.
pub fn give_back() {
    if gettid() != getpid() {
        return;
    }
    heap::give_back();
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
