//! The resource limits a PAM session sets for a user (pam_limits), read in auth and set in the worker.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// How many limits there can be.
pub const MOST: u16 = 15;

/// All limits but the number of processes: that one the worker needs for its second thread, and then sets to none itself.
const CARRIED: [Resource; MOST as usize] = [
    Resource::RLIMIT_CPU,
    Resource::RLIMIT_FSIZE,
    Resource::RLIMIT_DATA,
    Resource::RLIMIT_STACK,
    Resource::RLIMIT_CORE,
    Resource::RLIMIT_RSS,
    Resource::RLIMIT_NOFILE,
    Resource::RLIMIT_AS,
    Resource::RLIMIT_MEMLOCK,
    Resource::RLIMIT_LOCKS,
    Resource::RLIMIT_SIGPENDING,
    Resource::RLIMIT_MSGQUEUE,
    Resource::RLIMIT_NICE,
    Resource::RLIMIT_RTPRIO,
    Resource::RLIMIT_RTTIME,
];

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Its place in the list that both sides have.
    pub which: u8,
    /// What holds now.
    pub soft: u64,
    /// Up to what the process may raise it.
    pub hard: u64,
}

/// The limits of this process.
pub fn current() -> Vec<Limit> {
    let limit = |(which, resource): (u8, &Resource)| {
        let (soft, hard) = getrlimit(*resource).ok()?;
        Some(Limit { which, soft, hard })
    };
    (0_u8..).zip(&CARRIED).filter_map(limit).collect()
}

/// The limits of this process that are not as they were.
pub fn changed(before: &[Limit]) -> Vec<Limit> {
    let mut now = current();
    now.retain(|limit| !before.contains(limit));
    now
}

/// Lowers limits of this process; one that is as low already stays, because raising takes a right that a worker never has.
///
/// # Errors
/// The kernel refuses, or there is no such limit.
pub fn lower(limits: &[Limit]) -> Result<(), Errno> {
    for limit in limits {
        let resource = *CARRIED.get(usize::from(limit.which)).ok_or(Errno::EINVAL)?;
        let (soft, hard) = getrlimit(resource)?;
        setrlimit(resource, soft.min(limit.soft), hard.min(limit.hard))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Limit, MOST, changed, current, lower};
    use nix::errno::Errno;

    #[test]
    fn only_what_changed_is_carried() {
        let mut before = current();
        assert_eq!(before.len(), usize::from(MOST));
        assert_eq!(changed(&before), []);
        let now = before.pop().unwrap();
        before.push(Limit {
            hard: now.hard ^ 1,
            ..now
        });
        assert_eq!(changed(&before), [now]);
    }

    #[test]
    fn a_limit_is_never_raised() {
        let before = current();
        let most: Vec<Limit> = before
            .iter()
            .map(|limit| Limit {
                soft: u64::MAX,
                hard: u64::MAX,
                ..*limit
            })
            .collect();
        assert_eq!(lower(&most), Ok(()));
        assert_eq!(current(), before);
        let unknown = Limit {
            which: 15,
            soft: 0,
            hard: 0,
        };
        assert_eq!(lower(&[unknown]), Err(Errno::EINVAL));
    }
}
