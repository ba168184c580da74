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
    if call.ways.iter().any(|way| way.is_empty()) {
        return vec![answer(ALLOW)];
    }
    let mut out = any(&call.ways);
    out.push(answer(refusal.code(call.otherwise)));
    out
}

/// Allows if one of the ways holds, else goes on behind. Ways that begin with the same test share it, and ways that are one look at the
/// same argument share the look: what a program costs to install is its length.
fn any(ways: &[&[Test]]) -> Vec<sock_filter> {
    let mut out = Vec::new();
    let mut rest = ways;
    while let Some((first, _)) = rest.first().and_then(|way| way.split_first()) {
        let alike = |way: &&[Test]| way.first().is_some_and(|test| test.looks_like(first));
        let same = |way: &&[Test]| way.len() > 1 && way.first() == Some(first);
        let one = |way: &&[Test]| way.len() == 1 && alike(way);
        let looks = rest.iter().take_while(|way| one(way)).count();
        let shared = rest.iter().take_while(|way| same(way)).count();
        let (now, later) = rest
            .split_at_checked(looks.max(shared).max(1))
            .unwrap_or((rest, &[]));
        if looks > 0 && first.is_narrow() {
            out.extend(look(now));
        } else {
            let inner: Vec<&[Test]> = now
                .iter()
                .map(|way| way.split_first().map_or(&[] as &[Test], |(_, tail)| tail))
                .collect();
            let inner = if inner.iter().any(|way| way.is_empty()) {
                vec![answer(ALLOW)]
            } else {
                any(&inner)
            };
            out.extend(compare(first, inner.len()));
            out.extend(inner);
        }
        rest = later;
    }
    out
}

/// One argument, several values of which one will do.
fn look(ways: &[&[Test]]) -> Vec<sock_filter> {
    let tests: Vec<&Test> = ways.iter().filter_map(|way| way.first()).collect();
    let Some(first) = tests.first() else {
        return Vec::new();
    };
    let mut out = load(first.place(), first.mask);
    let mut left = tests.len();
    for test in tests {
        left = left.saturating_sub(1);
        let yes = u8::try_from(left).unwrap_or(u8::MAX);
        out.push(step(IF_EQUAL, yes, u8::from(left == 0), word(test.value)));
    }
    out.push(answer(ALLOW));
    out
}

impl Test {
    /// Where its argument stands. Both machines are little-endian: the low half comes first.
    fn place(&self) -> u32 {
        ARGUMENTS.saturating_add(u32::from(self.argument).saturating_mul(8))
    }

    /// Whether the low half is all there is to look at.
    fn is_narrow(&self) -> bool {
        self.mask >> 32 == 0
    }

    fn looks_like(&self, other: &Self) -> bool {
        self.is_narrow() && (self.argument, self.mask) == (other.argument, other.mask)
    }
}

fn word(of: u64) -> u32 {
    u32::try_from(of & 0xFFFF_FFFF).unwrap_or(u32::MAX)
}

/// The half of an argument, under a mask.
fn load(place: u32, mask: u64) -> Vec<sock_filter> {
    let mut out = vec![step(LOAD, 0, 0, place)];
    if word(mask) != u32::MAX {
        out.push(step(AND, 0, 0, word(mask)));
    }
    out
}

/// One test; what does not hold skips `body` steps.
fn compare(test: &Test, body: usize) -> Vec<sock_filter> {
    let far = |more: usize| u8::try_from(body.saturating_add(more)).unwrap_or(u8::MAX);
    let mut low = load(test.place(), test.mask);
    low.push(step(IF_EQUAL, 0, far(0), word(test.value)));
    if test.is_narrow() {
        return low;
    }
    let mut out = load(test.place().saturating_add(4), test.mask >> 32);
    out.push(step(IF_EQUAL, 0, far(low.len()), word(test.value >> 32)));
    out.extend(low);
    out
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
