//! Capability sets by the system calls themselves: the three sets of a process in one call, as bits, and the bounding set without
//! asking after what is gone; used by master once, and by every process of a session as it gives up its rights.

use super::heap;
use caps::Capability;
use nix::errno::Errno;
use std::sync::atomic::{AtomicU64, Ordering};

/// The sets of a process, a bit for each capability.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sets {
    /// What it may do now.
    pub effective: u64,
    /// What it may make effective.
    pub permitted: u64,
    /// What a program that it starts may inherit.
    pub inheritable: u64,
}

/// `_LINUX_CAPABILITY_VERSION_3` of linux/capability.h: two words of 32 bits for each set.
const VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Words {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Nothing outside is in the bounding set of this process or of a child; known once master has shortened it. It only ever shrinks:
/// what is gone stays gone, in children too. A session notes in its own page what else is gone.
static BOUND: AtomicU64 = AtomicU64::new(u64::MAX);

/// The bits of these capabilities.
pub fn bits(of: &[Capability]) -> u64 {
    of.iter().fold(0, |bits, one| bits | one.bitmask())
}

/// The sets of this process (capget(2)).
///
/// # Errors
/// Never on Linux.
pub fn read() -> Result<Sets, Errno> {
    let mut words = [Words::default(); 2];
    ask(libc::SYS_capget, &mut words)?;
    let [low, high] = words;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(Sets {
        effective: join(low.effective, high.effective),
        permitted: join(low.permitted, high.permitted),
        inheritable: join(low.inheritable, high.inheritable),
    })
}

/// Sets them (capset(2)).
///
/// # Errors
/// More is asked for than is permitted.
pub fn set(sets: Sets) -> Result<(), Errno> {
    let mut words = [0, 32].map(|shift| {
        // Masked before: nothing is lost.
        let word = |bits: u64| u32::try_from(bits >> shift & 0xffff_ffff).unwrap_or(0);
        Words {
            effective: word(sets.effective),
            permitted: word(sets.permitted),
            inheritable: word(sets.inheritable),
        }
    });
    ask(libc::SYS_capset, &mut words)
}

/// Either call, for this process.
fn ask(call: libc::c_long, words: &mut [Words; 2]) -> Result<(), Errno> {
    let (version, pid) = (VERSION, 0);
    let mut header = Header { version, pid };
    // SAFETY: the kernel reads and writes one header, and reads or writes two elements for this version; both outlive the call.
    let result = unsafe { libc::syscall(call, &raw mut header, words.as_mut_ptr()) };
    Errno::result(result).map(drop)
}

/// Takes everything that is not listed out of the bounding set of this process and of its children to come.
///
/// # Errors
/// CAP_SETPCAP is missing.
pub fn bound(keep: &[Capability]) -> Result<(), Errno> {
    let keep = bits(keep);
    let known = BOUND.load(Ordering::Relaxed);
    let first = known == u64::MAX;
    let before = known & !heap::unbound();
    let mut left = 0;
    for number in 0..u64::BITS {
        let bit = 1_u64 << number;
        // A number the kernel does not know is EINVAL.
        if before & bit == 0 || first && bounding(libc::PR_CAPBSET_READ, number) != Ok(1) {
            continue;
        }
        if keep & bit == 0 {
            bounding(libc::PR_CAPBSET_DROP, number)?;
        } else {
            left |= bit;
        }
    }
    if first {
        BOUND.store(left, Ordering::Relaxed);
    } else {
        heap::unbind(!left);
    }
    Ok(())
}

fn bounding(what: libc::c_int, number: u32) -> Result<libc::c_int, Errno> {
    let number = libc::c_ulong::from(number);
    // SAFETY: both take a number and no pointer.
    Errno::result(unsafe { libc::prctl(what, number, 0, 0, 0) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Sets, bits, read, set};
    use caps::{CapSet, Capability};

    #[test]
    fn the_sets_are_those_the_kernel_shows() {
        let known = |set| {
            caps::read(None, set)
                .unwrap()
                .into_iter()
                .collect::<Vec<_>>()
        };
        let sets = read().unwrap();
        assert_eq!(sets.effective, bits(&known(CapSet::Effective)));
        assert_eq!(sets.permitted, bits(&known(CapSet::Permitted)));
        assert_eq!(sets.inheritable, bits(&known(CapSet::Inheritable)));
    }

    #[test]
    fn all_three_are_set_at_once() {
        // On a thread of its own, which keeps none afterwards.
        let bare = || {
            set(Sets::default()).unwrap();
            assert_eq!(read().unwrap(), Sets::default());
            let one = Sets {
                effective: bits(&[Capability::CAP_CHOWN]),
                ..Sets::default()
            };
            assert!(set(one).is_err());
        };
        std::thread::spawn(bare).join().unwrap();
    }
}
