//! Restartable sequences (rseq(2)): the C library registers every thread for them and nothing here uses them; master gives them up, and
//! its children inherit that.
//!
//! A registered thread has the kernel write to its memory each time it has waited: in a child that is one page more to copy and to
//! keep, for each process of each session.

use super::dl;
use std::ptr;

/// What the C library registers with (`RSEQ_SIG`), so that nobody else's code passes for a sequence's way out.
#[cfg(target_arch = "x86_64")]
const SIGNATURE: u32 = 0x5305_3053;
#[cfg(target_arch = "aarch64")]
const SIGNATURE: u32 = 0xD428_BC00;

/// `RSEQ_FLAG_UNREGISTER` of linux/rseq.h.
const UNREGISTER: libc::c_int = 1;

/// The lengths an area is registered with: the first one there was, and what processors with more features make of it.
const LENGTHS: [u32; 4] = [32, 64, 96, 128];

/// Gives them up for the calling thread and all it will make. Where there are none, or they are registered in a way not known
/// here, nothing happens.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub fn give_up() {
    let (Some(offset), Some(size)) = (dl::own(c"__rseq_offset"), dl::own(c"__rseq_size")) else {
        return;
    };
    // SAFETY: glibc has these two variables since 2.35, of these types (its manual, "Restartable Sequences"), and never changes them
    // after the start.
    let (offset, size) = unsafe { (offset.cast::<isize>().read(), size.cast::<u32>().read()) };
    if size == 0 {
        return;
    }
    let area = thread_pointer().wrapping_add_signed(offset);
    for length in LENGTHS {
        // SAFETY: the kernel takes an area it has registered and no other; all it does is to mark it as unused and to forget it.
        let result = unsafe {
            libc::syscall(
                libc::SYS_rseq,
                ptr::with_exposed_provenance_mut::<u8>(area),
                length,
                UNREGISTER,
                SIGNATURE,
            )
        };
        if result == 0 {
            return;
        }
    }
}

/// No registration is known of.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn give_up() {}

/// Where the C library keeps what it knows of this thread.
#[cfg(target_arch = "x86_64")]
fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: the word that fs leads to is the thread pointer itself (System V ABI, thread-local storage); it is read only.
    unsafe {
        std::arch::asm!("mov {}, fs:[0]", out(reg) pointer, options(nostack, preserves_flags, readonly));
    }
    pointer
}

/// Where the C library keeps what it knows of this thread.
#[cfg(target_arch = "aarch64")]
fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: the register holds the thread pointer; it is read only.
    unsafe {
        std::arch::asm!("mrs {}, tpidr_el0", out(reg) pointer, options(nostack, preserves_flags, nomem));
    }
    pointer
}
