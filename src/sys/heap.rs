//! The heap of every process: one that ends where a session begins, and a fresh one for each session.
//!
//! What a session allocates lies side by side in pages of its own, and what it inherits from master it never writes to: freeing that
//! does nothing, because the process ends before it could matter. So a child copies no page of master's heap. Small pieces, which
//! live long, and buffers, which do not, lie apart, so that a buffer's pages can be given back; the small ones begin in the page of the
//! heap's own state, which holds all that a session's helper ever has. Large pieces are mappings of their own, as in malloc(3). Where
//! passwords go, pieces are wiped as they are given back.

#[cfg(test)]
mod tests;

use dlmalloc::{Allocator, Dlmalloc};
use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, UnsafeCell};
use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What master's heap and that of buffers begin with, of which only what is used is memory.
const ROOM: [usize; 2] = [160 << 10, 192 << 10];

/// What the heap of small pieces begins with.
const SMALL: usize = 32 << 10;

/// From this size on a piece of a session is a buffer: longer than a line of the control connection, whose buffer lives as long as the
/// session.
const BUFFER: usize = 8192;

/// At least so much is asked of the kernel where that was not enough.
const MORE: usize = 1 << 20;

/// From this size on a piece is a mapping of its own.
const LARGE: usize = 1 << 20;

/// From this size on a piece is not wiped: longer than a record of TLS and what belongs to it. Passwords are in no piece that long.
const UNWIPED: usize = 20 * 1024;

/// By so much master's heap grows at its end, and what is asked of the kernel is a multiple of it: the smallest page there is.
const STEP: usize = 4096;

/// By so much a session's heaps grow and shrink: what stands at their end is in the page of what was allocated last. Not less: what is free in
/// a stretch of that length must count as a large piece (256 bytes) beside the heap's own words at its end, because dlmalloc takes all that
/// fills a stretch for one when it gives it up.
const GRAIN: usize = 512;

/// The longest rest of a message, see [`Overflow`].
const OVERFLOW: usize = 100 << 10;

/// Marks a stretch that was mapped for itself (the lowest bit is dlmalloc's).
const MAPPED: u32 = 2;

/// How many further stretches master's heap can have, each of them larger than the one before.
const STRETCHES: usize = 32;

/// The program's allocator.
#[derive(Debug)]
pub struct Heap;

static MASTER: Mutex<Dlmalloc<Stretch>> = heap(Whose::Master);

/// The state of a session's heaps, and what else its processes note for those they fork: in one page, the only one of its kind that a
/// session writes to.
#[repr(C, align(4096))]
struct Anew {
    /// Whether this process is one of a session.
    begun: AtomicBool,
    /// Whether this process wipes what it gives back.
    wipes: AtomicBool,
    /// The capabilities that are out of the bounding set for certain.
    unbound: AtomicU64,
    /// Whether somebody has the [`Overflow`].
    lent: AtomicBool,
    small: Mutex<Dlmalloc<Stretch>>,
    /// The first stretch of small pieces.
    room: Room<SMALL>,
    buffers: Mutex<Dlmalloc<Stretch>>,
}

/// Bytes that are handed out, each to one at a time.
#[repr(C, align(16))]
struct Room<const SIZE: usize>(UnsafeCell<[u8; SIZE]>);

// SAFETY: whoever hands them out sees to it that nobody has what another has: the heaps, and `Overflow::borrow`.
unsafe impl<const SIZE: usize> Sync for Room<SIZE> {}

static ANEW: Anew = Anew {
    begun: AtomicBool::new(false),
    wipes: AtomicBool::new(false),
    unbound: AtomicU64::new(0),
    lent: AtomicBool::new(false),
    small: heap(Whose::Small),
    room: Room(UnsafeCell::new([0; SMALL])),
    buffers: heap(Whose::Buffers),
};

/// Which heap it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Master,
    Small,
    Buffers,
}

/// The first stretches of master and of buffers, in pages of their own.
#[repr(C, align(4096))]
struct Beginnings {
    masters: Room<{ ROOM[0] }>,
    buffers: Room<{ ROOM[1] }>,
}

static BEGINNINGS: Beginnings = Beginnings {
    masters: Room(UnsafeCell::new([0; ROOM[0]])),
    buffers: Room(UnsafeCell::new([0; ROOM[1]])),
};

/// What belongs to master's heap besides: begin and end of each further stretch.
static OLD: [(AtomicUsize, AtomicUsize); STRETCHES] =
    [const { (AtomicUsize::new(0), AtomicUsize::new(0)) }; STRETCHES];

const fn heap(whose: Whose) -> Mutex<Dlmalloc<Stretch>> {
    let mut heap = Dlmalloc::new_with_allocator(Stretch::new(whose));
    let grain = match whose {
        Whose::Master => STEP,
        Whose::Small | Whose::Buffers => GRAIN,
    };
    // Said when this is compiled.
    assert!(
        heap.set_granularity(grain),
        "a power of two, and not too small"
    );
    Mutex::new(heap)
}

/// Has the C library's own heap, which is small, lie beside the libraries: a page behind the end of the data stops its growth there
/// (brk(2)), so that it maps its memory. For each process that is one table of pages less, or two.
#[cfg(target_env = "gnu")]
#[used]
// SAFETY: the loader calls what stands in this section, once, before main; glibc gives arguments, which C functions may ignore.
#[unsafe(link_section = ".init_array")]
static BESIDE: extern "C" fn() = {
    extern "C" fn stop_growth() {
        // SAFETY: the first asks for an address; the mapping takes no place of another, and nobody can use it.
        unsafe {
            let end = libc::sbrk(0);
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
            libc::mmap(end, STEP, libc::PROT_NONE, flags, -1, 0);
        }
    }
    stop_growth
};

/// One heap of the C library's for all threads: a session's second thread would otherwise get an arena of its own (packages.md §13).
pub fn one_arena() {
    // Other C libraries have one.
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two integers; a refusal leaves the default.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1)
    };
}

/// Has this process, a child that has just been forked, allocate in pages of its own from here on. What it has inherited stays as it is.
pub fn begin_anew() {
    ANEW.begun.store(true, Ordering::Relaxed);
}

/// From now on this process, and what it forks, wipes what it gives back. A password passes through more hands than ours, which wipe it
/// themselves: buffers that grow leave a copy behind, and TLS does with what it has decrypted (attacks B-160, C.12).
pub fn begin_wiping() {
    ANEW.wipes.store(true, Ordering::Relaxed);
}

/// No password comes here any more.
pub fn end_wiping() {
    ANEW.wipes.store(false, Ordering::Relaxed);
}

/// Whether a piece of that size is wiped.
fn wiped(layout: Layout) -> bool {
    ANEW.wipes.load(Ordering::Relaxed) && layout.size() < UNWIPED
}

/// The capabilities, a bit for each, that this session has noted as out of its bounding set for certain.
pub fn unbound() -> u64 {
    if ANEW.begun.load(Ordering::Relaxed) {
        ANEW.unbound.load(Ordering::Relaxed)
    } else {
        0
    }
}

/// Notes that these are, for this process and those it forks; master, and who serves all sessions, notes nothing.
pub fn unbind(gone: u64) {
    if ANEW.begun.load(Ordering::Relaxed) {
        ANEW.unbound.fetch_or(gone, Ordering::Relaxed);
    }
}

/// Gives back what is free at the end of a session's heap.
pub fn give_back() {
    if ANEW.begun.load(Ordering::Relaxed) {
        // SAFETY: only free memory is given back.
        unsafe {
            lock(&ANEW.small).trim(0);
            lock(&ANEW.buffers).trim(0);
        }
    }
}

fn lock(heap: &'static Mutex<Dlmalloc<Stretch>>) -> MutexGuard<'static, Dlmalloc<Stretch>> {
    // Nothing panics while it is held.
    heap.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The heap in which this process has pieces of that size.
fn of(layout: Layout) -> MutexGuard<'static, Dlmalloc<Stretch>> {
    lock(if !ANEW.begun.load(Ordering::Relaxed) {
        &MASTER
    } else if layout.size() < BUFFER {
        &ANEW.small
    } else {
        &ANEW.buffers
    })
}

/// Whether that piece is one this process has inherited from master.
#[inline(always)]
fn inherited(piece: *mut u8) -> bool {
    let read = |word: &AtomicUsize| word.load(Ordering::Relaxed);
    let first = (&raw const BEGINNINGS.masters).addr();
    let further = OLD.iter().map(|(begin, end)| read(begin)..read(end));
    ANEW.begun.load(Ordering::Relaxed)
        && std::iter::once(first..first.wrapping_add(ROOM[0]))
            .chain(further.take_while(|stretch| !stretch.is_empty()))
            .any(|stretch| stretch.contains(&piece.addr()))
}

// SAFETY: pieces are those of dlmalloc, or whole mappings; both are aligned as asked, and nobody else's until they are freed.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if large(layout) {
            return map(layout.size());
        }
        // SAFETY: the size is not zero, as the caller promises.
        unsafe { of(layout).malloc(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if large(layout) {
            return map(layout.size());
        }
        // SAFETY: as above.
        unsafe { of(layout).calloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        if large(layout) {
            // SAFETY: a piece of that size is a mapping, which the caller gives up. The call fails for no mapping that is whole.
            unsafe { libc::munmap(piece.cast(), layout.size()) };
        } else if !inherited(piece) {
            if wiped(layout) {
                // SAFETY: the piece has so many bytes, and the caller gives them up.
                unsafe { ptr::write_bytes(piece, 0, layout.size()) };
                // SAFETY: nothing is done. The compiler must take it for something that reads all memory, so that it cannot leave out
                // what was written because nobody reads it.
                unsafe {
                    std::arch::asm!("/* {} */", in(reg) piece, options(nostack, preserves_flags))
                };
            }
            // SAFETY: what was not inherited comes from the heap of this process.
            unsafe { of(layout).free(piece, layout.size(), layout.align()) };
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the new size, rounded up, does not overflow; the alignment was one already.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if large(layout) && large(wanted) {
            // SAFETY: a piece of that size is a mapping, which the caller gives up unless the call fails.
            let moved =
                unsafe { libc::mremap(piece.cast(), layout.size(), size, libc::MREMAP_MAYMOVE) };
            return found(moved);
        }
        let alike = !large(wanted) && (layout.size() < BUFFER) == (size < BUFFER);
        if !large(layout) && alike && !inherited(piece) && !wiped(layout) {
            // SAFETY: what was not inherited comes from the heap of this process.
            return unsafe { of(layout).realloc(piece, layout.size(), layout.align(), size) };
        }
        // SAFETY: the size is not zero, as the caller promises.
        let new = unsafe { self.alloc(wanted) };
        if !new.is_null() {
            // SAFETY: both pieces have so many bytes, and the new one is nobody else's; then the old one is given up.
            unsafe {
                ptr::copy_nonoverlapping(piece, new, size.min(layout.size()));
                self.dealloc(piece, layout);
            }
        }
        new
    }
}

/// Whether a piece is a mapping of its own.
fn large(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= STEP
}

/// So much memory from the kernel, filled with zeros; null if there is none.
fn map(size: usize) -> *mut u8 {
    // SAFETY: a new mapping is nobody else's.
    found(unsafe {
        libc::mmap(
            null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    })
}

fn found(mapping: *mut libc::c_void) -> *mut u8 {
    if mapping == libc::MAP_FAILED {
        null_mut()
    } else {
        mapping.cast()
    }
}

/// Where a heap has its memory from: first a stretch of address space that is used from its begin on, then mappings of their own.
#[derive(Debug)]
struct Stretch {
    whose: Whose,
    /// How much of the first one is in use.
    used: Cell<usize>,
    /// How many there are beside it.
    more: Cell<usize>,
}

static REST: Room<OVERFLOW> = Room(UnsafeCell::new([0; OVERFLOW]));

/// Room for the rest of a long message, of which a process of a session has one: most messages are short, and never touch it. It is filled
/// with zeros, and so it is left.
#[derive(Debug)]
pub struct Overflow(&'static mut [u8]);

impl Overflow {
    /// Borrows it, if so much is wanted; `None` where it is less or another has it, and outside of sessions.
    pub fn borrow(wanted: usize) -> Option<Self> {
        let used = (1..=OVERFLOW).contains(&wanted) && ANEW.begun.load(Ordering::Relaxed);
        let free = used && !ANEW.lent.swap(true, Ordering::Acquire);
        // SAFETY: one value at a time is there, and it has all of it.
        free.then(|| Self(unsafe { &mut *REST.0.get() }))
    }

    /// It.
    pub fn room(&mut self) -> &mut [u8] {
        self.0
    }
}

impl Drop for Overflow {
    fn drop(&mut self) {
        ANEW.lent.store(false, Ordering::Release);
    }
}

impl Stretch {
    const fn new(whose: Whose) -> Self {
        Self {
            whose,
            used: Cell::new(0),
            more: Cell::new(0),
        }
    }

    /// Where the first one begins, and how long it is.
    fn first(&self) -> (*mut u8, usize) {
        let [masters, buffers] = ROOM;
        match self.whose {
            Whose::Master => (BEGINNINGS.masters.0.get().cast(), masters),
            Whose::Small => (ANEW.room.0.get().cast(), SMALL),
            Whose::Buffers => (BEGINNINGS.buffers.0.get().cast(), buffers),
        }
    }

    /// Where it ends.
    fn limit(&self) -> usize {
        let (begin, room) = self.first();
        begin.addr().wrapping_add(room)
    }

    /// A mapping of its own. Master's are noted, each is larger than the one before, and they stay.
    fn another(&self, size: usize) -> (*mut u8, usize, u32) {
        if self.whose != Whose::Master {
            let size = size.next_multiple_of(MORE);
            return (map(size), size, MAPPED);
        }
        let count = self.more.get();
        let size = size.next_multiple_of(MORE << count.saturating_add(1).min(6));
        let Some((from, to)) = OLD.get(count) else {
            return (null_mut(), 0, 0);
        };
        let begin = map(size);
        if !begin.is_null() {
            from.store(begin.addr(), Ordering::Relaxed);
            to.store(begin.addr().wrapping_add(size), Ordering::Relaxed);
            self.more.set(count.saturating_add(1));
        }
        (begin, size, MAPPED)
    }

    /// Gives up a mapping, or its end; master's stay, and so does what lies within the first stretch. Of a page of which a part is still in
    /// use the rest is left unused.
    fn unmap(&self, from: *mut u8, end: usize) -> bool {
        let (first, _) = self.first();
        if self.whose == Whose::Master || (first.addr()..self.limit()).contains(&from.addr()) {
            return false;
        }
        let whole = from.wrapping_add(from.align_offset(page()));
        let size = end.saturating_sub(whole.addr());
        // SAFETY: dlmalloc gives up what holds nothing, up to the end of what it has of the mapping, and behind that nothing is in use.
        unsafe { libc::munmap(whole.cast(), size) == 0 }
    }

    /// How much of the first stretch is in use without its end, which is from there to here; `None` if that is not its end.
    fn without(&self, from: usize, end: usize) -> Option<usize> {
        let (begin, _) = self.first();
        let left = from.checked_sub(begin.addr())?;
        (end.checked_sub(begin.addr())? == self.used.get()).then_some(left)
    }
}

// SAFETY: a stretch is handed out once, in pieces that follow each other, and what was given back may be handed out again.
unsafe impl Allocator for Stretch {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let ((begin, room), used) = (self.first(), self.used.get());
        if size > room.saturating_sub(used) {
            return self.another(size);
        }
        self.used.set(used.wrapping_add(size));
        (begin.wrapping_add(used), size, 0)
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        null_mut()
    }

    fn free_part(&self, stretch: *mut u8, old: usize, new: usize) -> bool {
        let (from, end) = (stretch.wrapping_add(new), stretch.wrapping_add(old));
        let Some(left) = self.without(from.addr(), end.addr()) else {
            return self.unmap(from, end.addr());
        };
        self.used.set(left);
        give(from, end.addr(), self.limit());
        true
    }

    fn free(&self, stretch: *mut u8, size: usize) -> bool {
        self.free_part(stretch, size, 0)
    }

    fn can_release_part(&self, _: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        // Where pages are larger than a step, what is given back stays as it was.
        false
    }

    fn page_size(&self) -> usize {
        STEP
    }
}

/// Gives back the whole pages from there to `end`, which read as zeros then. Nothing is in use from `end` to `limit`; what lies behind that is
/// another's, perhaps in the same page.
fn give(from: *mut u8, end: usize, limit: usize) {
    let page = page();
    let whole = from.wrapping_add(from.align_offset(page));
    let last = end.next_multiple_of(page);
    let last = if last > limit {
        last.wrapping_sub(page)
    } else {
        last
    };
    if let Some(size) = last.checked_sub(whole.addr()).filter(|size| *size > 0) {
        // SAFETY: nothing is kept there: dlmalloc has given the stretch back, and the pages hold nothing else.
        unsafe { libc::madvise(whole.cast(), size, libc::MADV_DONTNEED) };
    }
}

/// How long a page is here.
fn page() -> usize {
    // SAFETY: asks for a number.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) });
    page.unwrap_or(STEP).max(STEP)
}
