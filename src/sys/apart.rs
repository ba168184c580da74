//! A table that children do not inherit: what master notes of one session is no other's business, and no page of it is copied for them;
//! master.

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

/// What it has room for at first, in bytes; then twice as much, and so on.
const FIRST: usize = 4096;

/// The table: a growing array in a mapping of its own (madvise(2), MADV_DONTFORK). In a forked child there is nothing where it was, and
/// nothing there may touch it: it is for a process that keeps it to itself.
#[derive(Debug)]
pub struct Apart<T: Copy> {
    begin: NonNull<T>,
    count: usize,
    /// Bytes of the mapping; 0 before there is one.
    size: usize,
}

impl<T: Copy> Apart<T> {
    /// An empty one.
    pub const fn new() -> Self {
        Self {
            begin: NonNull::dangling(),
            count: 0,
            size: 0,
        }
    }

    fn room(&self) -> usize {
        self.size.checked_div(size_of::<T>()).unwrap_or(0)
    }

    /// Sees to it that one more has room.
    ///
    /// # Errors
    /// The kernel has no memory left.
    pub fn reserve(&mut self) -> io::Result<()> {
        if self.count < self.room() {
            return Ok(());
        }
        let size = self.size.saturating_mul(2).max(FIRST);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let may = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping is nobody else's.
        let fresh = unsafe { libc::mmap(ptr::null_mut(), size, may, flags, -1, 0) };
        let begin = Some(fresh).filter(|fresh| *fresh != libc::MAP_FAILED);
        let begin = begin.and_then(|begin| NonNull::new(begin.cast::<T>()));
        let begin = begin.ok_or_else(io::Error::last_os_error)?;
        // A refusal would only have children inherit it.
        // SAFETY: the mapping has just been made.
        unsafe { libc::madvise(fresh, size, libc::MADV_DONTFORK) };
        // SAFETY: the new mapping is larger, and pages are aligned for any type.
        unsafe { ptr::copy_nonoverlapping(self.begin.as_ptr(), begin.as_ptr(), self.count) };
        self.unmap();
        self.begin = begin;
        self.size = size;
        Ok(())
    }

    /// Puts one in at that place, of at most [`len`](slice::len); the others move up.
    ///
    /// # Errors
    /// As [`Apart::reserve`]; never after it.
    pub fn insert(&mut self, at: usize, one: T) -> io::Result<()> {
        self.reserve()?;
        let at = at.min(self.count);
        // SAFETY: there is room for one more than there are, and `at` is among them or right behind.
        unsafe {
            let place = self.begin.add(at);
            place.copy_to(place.add(1), self.count.wrapping_sub(at));
            place.write(one);
        }
        self.count = self.count.wrapping_add(1);
        Ok(())
    }

    /// Takes that one out, if it is there; the others move down.
    pub fn remove(&mut self, at: usize) -> Option<T> {
        let one = *self.get(at)?;
        self.copy_within(at.wrapping_add(1).., at);
        self.count = self.count.wrapping_sub(1);
        Some(one)
    }

    fn unmap(&mut self) {
        if self.size > 0 {
            // SAFETY: it is the mapping this value made, and nothing refers to it.
            unsafe { libc::munmap(self.begin.as_ptr().cast(), self.size) };
        }
    }
}

impl<T: Copy> Default for Apart<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy> Deref for Apart<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: so many have been written, and they move only while this value is borrowed for it.
        unsafe { std::slice::from_raw_parts(self.begin.as_ptr(), self.count) }
    }
}

impl<T: Copy> DerefMut for Apart<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.begin.as_ptr(), self.count) }
    }
}

impl<T: Copy> Drop for Apart<T> {
    fn drop(&mut self) {
        self.unmap();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::Apart;
    use crate::sys::process::{self, Ended};
    use nix::unistd::ForkResult;

    #[test]
    fn it_keeps_its_order_as_it_grows_and_shrinks() {
        let mut table = Apart::new();
        let mut model = Vec::new();
        let mut random = 1_u32;
        for turn in 0..5000_u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = usize::try_from(random >> 8).unwrap();
            if random.is_multiple_of(3) && !model.is_empty() {
                let at = at % model.len();
                assert_eq!(table.remove(at), Some(model.remove(at)));
            } else {
                let at = at % (model.len() + 1);
                table.insert(at, turn).unwrap();
                model.insert(at, turn);
            }
            assert_eq!(&table[..], &model[..]);
        }
        assert!(table.len() > 1024 && table.remove(table.len()).is_none());
    }

    #[test]
    fn a_child_has_nothing_there() {
        let mut table = Apart::new();
        table.insert(0, 7_u64).unwrap();
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
