//! Memory that children do not inherit: what master notes of one session is no other's business, and no page of it is copied for them;
//! master.

use allocator_api2::alloc::{AllocError, Allocator, Layout};
use allocator_api2::vec::Vec;
use std::ptr::{self, NonNull};

/// A table there. In a forked child there is nothing where it was, and nothing there may touch it: it is for a process that keeps it to
/// itself.
pub type Apart<T> = Vec<T, Mappings>;

/// Mappings of their own (madvise(2), MADV_DONTFORK).
#[derive(Debug, Clone, Copy, Default)]
pub struct Mappings;

// SAFETY: a mapping is nobody else's until it is given up, is as long as was asked for or longer, and begins with a page, which is aligned
// for any type that is kept here.
unsafe impl Allocator for Mappings {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let (size, flags) = (layout.size(), libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let may = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping is nobody else's.
        let fresh = unsafe { libc::mmap(ptr::null_mut(), size, may, flags, -1, 0) };
        if fresh == libc::MAP_FAILED {
            return Err(AllocError);
        }
        // A refusal would only have children inherit it.
        // SAFETY: the mapping has just been made.
        unsafe { libc::madvise(fresh, size, libc::MADV_DONTFORK) };
        let fresh = ptr::slice_from_raw_parts_mut(fresh.cast(), size);
        NonNull::new(fresh).ok_or(AllocError)
    }

    unsafe fn deallocate(&self, place: NonNull<u8>, layout: Layout) {
        // SAFETY: it is a mapping of that length, which the caller gives up.
        unsafe { libc::munmap(place.as_ptr().cast(), layout.size()) };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::{Apart, Mappings};
    use crate::sys::process::{self, Ended};
    use nix::unistd::ForkResult;

    #[test]
    fn it_keeps_its_order_as_it_grows_and_shrinks() {
        let mut table = Apart::new_in(Mappings);
        let mut model = Vec::new();
        let mut random = 1_u32;
        for turn in 0..5000_u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = usize::try_from(random >> 8).unwrap();
            if random.is_multiple_of(3) && !model.is_empty() {
                let at = at % model.len();
                assert_eq!(table.remove(at), model.remove(at));
            } else {
                let at = at % (model.len() + 1);
                table.insert(at, turn);
                model.insert(at, turn);
            }
            assert_eq!(&table[..], &model[..]);
        }
        assert!(table.len() > 1024);
    }

    #[test]
    fn a_child_has_nothing_there() {
        let mut table = Apart::new_in(Mappings);
        table.insert(0, 7_u64);
        let place = table.as_ptr().addr();
        // SAFETY: the child calls only what needs no lock, and leaves by _exit.
        let child = match unsafe { nix::unistd::fork() }.unwrap() {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                let mut there = [0_u8; 1];
                // SAFETY: mincore(2) looks at page tables and writes one byte, of an array of one.
                let result = unsafe {
                    let place = std::ptr::with_exposed_provenance_mut(place);
                    libc::mincore(place, 4096, there.as_mut_ptr())
                };
                // SAFETY: _exit takes any status and does not return.
                unsafe { libc::_exit(i32::from(result == 0)) }
            }
        };
        assert_eq!(process::wait_for(child).unwrap(), Ended::Exited(0));
        assert_eq!(table[0], 7);
    }
}
