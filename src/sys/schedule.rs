//! Who of a session runs first: the thread that reads commands before the one that moves bytes; greeter and worker.

/// `struct sched_attr` of linux/sched/types.h, in its first size.
#[repr(C)]
#[derive(Debug, Default)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Bytes of that.
const SIZE: u32 = 48;

/// `SCHED_FLAG_RESET_ON_FORK`: what this thread starts has the usual share again.
const NOT_INHERITED: u64 = 1;

/// Nanoseconds this thread wants at a time: a command is answered in less, and the kernel's own measure is thirty times that.
const PORTION: u64 = 100_000;

/// Has this thread run sooner and for less long at a time than those it starts, with the same share in all: who waits for an answer does
/// not wait until every transfer has had its turn (sched_setattr(2), Linux 6.12; older kernels take it and do nothing). An
/// administrator's own choice, such as another policy or a negative nice value, stays.
pub fn answer_first() {
    let mut attributes = Attributes::default();
    // SAFETY: the kernel writes at most `SIZE` bytes, to a value of that size that outlives the call.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, SIZE, 0) };
    let usual = got == 0 && attributes.policy == libc::SCHED_OTHER.unsigned_abs();
    if !usual || attributes.nice < 0 {
        return;
    }
    attributes.size = SIZE;
    attributes.flags |= NOT_INHERITED;
    attributes.runtime = PORTION;
    // SAFETY: the kernel reads `SIZE` bytes, of a value of that size that outlives the call; a refusal changes nothing.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

#[cfg(test)]
mod tests {
    use super::{Attributes, NOT_INHERITED, SIZE, answer_first};

    #[test]
    fn the_wish_is_this_threads_alone() {
        assert_eq!(u32::try_from(size_of::<Attributes>()), Ok(SIZE));
        let flags = || {
            let mut now = Attributes::default();
            // SAFETY: as in `answer_first`.
            let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut now, SIZE, 0) };
            assert_eq!(got, 0);
            (now.policy, now.nice, now.flags & NOT_INHERITED)
        };
        let (policy, nice, before) = flags();
        answer_first();
        let usual = policy == 0 && nice >= 0;
        let expected = if usual { NOT_INHERITED } else { before };
        assert_eq!(flags(), (policy, nice, expected));
        let other = std::thread::scope(|scope| scope.spawn(flags).join());
        assert_eq!(other.ok(), Some((policy, nice, before)));
    }
}
