//! From rows to a program of the kernel's packet filter: bisection over the call's number, because a chain of comparisons costs
//! five times as much when it is installed (the kernel walks it once for each call there is); no process of its own.

use super::rows::{Answer, Row, Test, When};
use seccompiler::sock_filter;
use std::collections::BTreeMap;

/// `AUDIT_ARCH_*` of linux/audit.h.
#[cfg(target_arch = "x86_64")]
pub(super) const MACHINE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
pub(super) const MACHINE: u32 = 0xC000_00B7;
/// No filter is built for other machines.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) const MACHINE: u32 = 0;

// linux/bpf_common.h: load a word of `struct seccomp_data`, and with, jump, return.
pub(super) const LOAD: u16 = 0x20;
pub(super) const AND: u16 = 0x54;
pub(super) const JUMP: u16 = 0x05;
pub(super) const IF_EQUAL: u16 = 0x15;
pub(super) const IF_AT_LEAST: u16 = 0x35;
pub(super) const RETURN: u16 = 0x06;

/// Where the number, the machine and the arguments stand in `struct seccomp_data` (linux/seccomp.h).
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

pub(super) const ALLOW: u32 = 0x7FFF_0000;
pub(super) const KILL_PROCESS: u32 = 0x8000_0000;
pub(super) const TRAP: u32 = 0x0003_0000;
pub(super) const ERRNO: u32 = 0x0005_0000;

/// What a program does about calls its rows refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The process ends at once.
    Kill,
    /// A handler is told which call it was.
    Trap,
}

impl Refusal {
    fn code(self, answer: Answer) -> u32 {
        match (answer, self) {
            (Answer::Kill, Self::Kill) => KILL_PROCESS,
            (Answer::Kill, Self::Trap) => TRAP,
            (Answer::Errno(code), _) => ERRNO | u32::from(code),
        }
    }
}

/// What is known about one call.
struct Call<'a> {
    ways: Vec<&'a [Test]>,
    otherwise: Answer,
}

/// A stretch of call numbers that are treated alike, from this one on.
struct Stretch {
    from: u32,
    body: Vec<sock_filter>,
}

const fn step(code: u16, yes: u8, no: u8, value: u32) -> sock_filter {
    sock_filter {
        code,
        jt: yes,
        jf: no,
        k: value,
    }
}

const fn answer(value: u32) -> sock_filter {
    step(RETURN, 0, 0, value)
}

/// Compiles rows. A call that stands in several rows is allowed if one of them allows it; one that stands in none gets `otherwise`.
pub(super) fn program(rows: &[&Row], otherwise: Answer, refusal: Refusal) -> Vec<sock_filter> {
    let mut calls: BTreeMap<u32, Call<'_>> = BTreeMap::new();
    for row in rows {
        let Ok(number) = u32::try_from(row.call) else {
            continue;
        };
        let call = calls.entry(number).or_insert(Call {
            ways: Vec::new(),
            otherwise: row.otherwise,
        });
        match row.when {
            When::Always => call.ways.push(&[]),
            When::Never => {}
            When::One(ways) => call.ways.extend(ways),
        }
    }
    let stretches = stretches(&calls, refusal.code(otherwise), refusal);
    let kill = refusal.code(Answer::Kill);
    let mut out = vec![
        step(LOAD, 0, 0, ARCH),
        step(IF_EQUAL, 1, 0, MACHINE),
        answer(kill),
        step(LOAD, 0, 0, NUMBER),
    ];
    out.extend(bisect(&stretches));
    out
}

fn stretches(calls: &BTreeMap<u32, Call<'_>>, default: u32, refusal: Refusal) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    let mut add = |from: u32, body: Vec<sock_filter>| {
        if found.last().is_none_or(|last| !same(&last.body, &body)) {
            found.push(Stretch { from, body });
        }
    };
    let mut next = 0;
    for (number, call) in calls {
        if *number > next {
            add(next, vec![answer(default)]);
        }
        add(*number, body(call, refusal));
        next = number.saturating_add(1);
    }
    add(next, vec![answer(default)]);
    found
}

/// Equal single answers are merged; what looks at arguments stands alone.
fn same(one: &[sock_filter], other: &[sock_filter]) -> bool {
    matches!((one, other), ([one], [other]) if one.code == RETURN && one == other)
}

/// Any of the ways, each a number of tests that must all hold.
fn body(call: &Call<'_>, refusal: Refusal) -> Vec<sock_filter> {
    let mut out = Vec::new();
    for way in &call.ways {
        let mut tests: Vec<sock_filter> = Vec::new();
        // From the last to the first, so that each knows how far it is to the next way.
        for test in way.iter().rev() {
            let far = u8::try_from(tests.len().saturating_add(1)).unwrap_or(u8::MAX);
            let mut steps = compare(test, far);
            steps.extend(tests);
            tests = steps;
        }
        out.extend(tests);
        out.push(answer(ALLOW));
        if way.is_empty() {
            return out;
        }
    }
    out.push(answer(refusal.code(call.otherwise)));
    out
}

/// One test; what does not hold goes `far` steps on, behind the answer of this way.
fn compare(test: &Test, far: u8) -> Vec<sock_filter> {
    let place = ARGUMENTS.saturating_add(u32::from(test.argument).saturating_mul(8));
    let half = |place: u32, mask: u64, value: u64, far: u8| {
        let word = |of: u64| u32::try_from(of & 0xFFFF_FFFF).unwrap_or(u32::MAX);
        [
            step(LOAD, 0, 0, place),
            step(AND, 0, 0, word(mask)),
            step(IF_EQUAL, 0, far, word(value)),
        ]
    };
    // Both machines are little-endian: the low half comes first.
    let low = half(place, test.mask, test.value, far);
    if test.mask >> 32 == 0 {
        return low.to_vec();
    }
    let high = half(
        place.saturating_add(4),
        test.mask >> 32,
        test.value >> 32,
        far.saturating_add(3),
    );
    [high, low].concat()
}

fn bisect(stretches: &[Stretch]) -> Vec<sock_filter> {
    let (left, right) = stretches
        .split_at_checked(stretches.len() / 2)
        .unwrap_or((stretches, &[]));
    let (Some(_), Some(first)) = (left.first(), right.first()) else {
        return right.first().map_or_else(Vec::new, |one| one.body.clone());
    };
    let below = bisect(left);
    let mut out = match u8::try_from(below.len()) {
        Ok(far) => vec![step(IF_AT_LEAST, far, 0, first.from)],
        Err(_) => vec![
            step(IF_AT_LEAST, 0, 1, first.from),
            step(JUMP, 0, 0, u32::try_from(below.len()).unwrap_or(u32::MAX)),
        ],
    };
    out.extend(below);
    out.extend(bisect(right));
    out
}
