//! From rows to a program of the kernel's packet filter, as short as it gets, because each process of each session pays for every step
//! when the program is installed: the kernel checks it, translates it twice and walks it once for each call there is. So calls are
//! found by bisection, the last few of them one by one, answers stand once and are jumped to, a word that was loaded is not loaded
//! again, and what nothing leads to is left out; no process of its own.

use super::rows::{Answer, Row, Test, When};
use seccompiler::sock_filter;
use std::collections::{BTreeMap, BTreeSet};

/// `AUDIT_ARCH_*` of linux/audit.h.
#[cfg(target_arch = "x86_64")]
pub(super) const MACHINE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
pub(super) const MACHINE: u32 = 0xC000_00B7;
/// No filter is built for other machines.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) const MACHINE: u32 = 0;

// linux/bpf_common.h: load a word of `struct seccomp_data`, and with, jump, return; `IF_ANY` if one of the bits is set.
pub(super) const LOAD: u16 = 0x20;
pub(super) const AND: u16 = 0x54;
pub(super) const JUMP: u16 = 0x05;
pub(super) const IF_EQUAL: u16 = 0x15;
pub(super) const IF_AT_LEAST: u16 = 0x35;
pub(super) const IF_ANY: u16 = 0x45;
pub(super) const RETURN: u16 = 0x06;
/// Sets a second register, which no step reads.
pub(super) const ASIDE: u16 = 0x01;

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

/// Whether the process makes so many calls that a table of those that are always allowed is worth its making. Linux makes it since 5.11
/// when a program is installed, by walking the program for each call there is, on this kind of machine and its 32-bit one: as much work as
/// a few hundred runs. It does not for a program that it cannot follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calls {
    /// A few dozen: the program has no table, and is run for each.
    Few,
    /// Any number.
    Many,
}

/// What is known about one call.
struct Call<'a> {
    ways: Vec<&'a [Test]>,
    otherwise: Answer,
}

/// A stretch of call numbers that are treated alike, from this one on, and whether it is this one alone.
struct Stretch<'a> {
    from: u32,
    alone: bool,
    what: What<'a>,
}

/// How a call is judged.
#[derive(Clone, Copy)]
enum What<'a> {
    /// By its number alone.
    Answer(u32),
    /// By its arguments too.
    Call(&'a Call<'a>),
}

const fn step(code: u16, yes: u8, no: u8, value: u32) -> sock_filter {
    sock_filter {
        code,
        jt: yes,
        jf: no,
        k: value,
    }
}

/// Compiles rows. A call that stands in several rows is allowed if one of them allows it; one that stands in none gets `otherwise`.
pub(super) fn program(
    rows: &[&Row],
    otherwise: Answer,
    refusal: Refusal,
    made: Calls,
) -> Vec<sock_filter> {
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
    let mut code = Code::new(refusal);
    let judge = code.bisect(&stretches);
    code.begin_with(judge);
    let number = code.put(step(LOAD, 0, 0, NUMBER));
    let kill = code.answer(refusal.code(Answer::Kill));
    code.branch(IF_EQUAL, MACHINE, number, kill);
    code.put(step(LOAD, 0, 0, ARCH));
    if made == Calls::Few {
        code.put(step(ASIDE, 0, 0, 0));
    }
    code.finish()
}

fn stretches<'a>(
    calls: &'a BTreeMap<u32, Call<'a>>,
    default: u32,
    refusal: Refusal,
) -> Vec<Stretch<'a>> {
    let mut found: Vec<Stretch<'a>> = Vec::new();
    let mut add = |from: u32, what: What<'a>| {
        let alike = |last: &Stretch<'_>| matches!((last.what, what), (What::Answer(one), What::Answer(other)) if one == other);
        if !found.last().is_some_and(alike) {
            found.push(Stretch {
                from,
                alone: false,
                what,
            });
        }
    };
    let mut next = 0;
    for (number, call) in calls {
        if *number > next {
            add(next, What::Answer(default));
        }
        add(*number, judged(call, refusal));
        next = number.saturating_add(1);
    }
    add(next, What::Answer(default));
    let begins: Vec<u32> = found.iter().map(|one| one.from).collect();
    for (one, next) in found.iter_mut().zip(begins.iter().skip(1)) {
        one.alone = next.saturating_sub(one.from) == 1;
    }
    found
}

/// What all of these get but for some that stand alone, which come with it; `None` if they are too many, or others differ.
fn exceptions<'s, 'a>(stretches: &'s [Stretch<'a>]) -> Option<(u32, Vec<&'s Stretch<'a>>)> {
    let mut rule = None;
    let mut alone = Vec::new();
    for one in stretches {
        match one.what {
            _ if one.alone => alone.push(one),
            What::Answer(value) if rule.is_none_or(|rule| rule == value) => rule = Some(value),
            What::Answer(_) | What::Call(_) => return None,
        }
    }
    let rule = rule?;
    alone.retain(|one| !matches!(one.what, What::Answer(value) if value == rule));
    (alone.len() <= FEW).then_some((rule, alone))
}

fn judged<'a>(call: &'a Call<'a>, refusal: Refusal) -> What<'a> {
    if call.ways.iter().any(|way| way.is_empty()) {
        What::Answer(ALLOW)
    } else if call.ways.is_empty() {
        What::Answer(refusal.code(call.otherwise))
    } else {
        What::Call(call)
    }
}

/// Where a step stands, counted from the end: what a jump leads to is there before the jump is.
type Place = usize;

/// A word under a mask, as the machine holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    place: u32,
    mask: u32,
}

/// Where to go on, and where if a word is held already that would be loaded there.
#[derive(Debug, Clone, Copy)]
struct Entry {
    place: Place,
    held: Option<(Held, Place)>,
}

impl Entry {
    fn plain(place: Place) -> Self {
        Self { place, held: None }
    }

    fn holding(&self, held: Held) -> Place {
        match self.held {
            Some((one, place)) if one == held => place,
            Some(_) | None => self.place,
        }
    }
}

/// So many calls are asked for one by one: half the steps of bisection, which asks where each begins and where it ends.
const FEW: usize = 4;

/// How far a step that decides can jump, and a little less (linux/filter.h: eight bits).
const NEAR: usize = 250;

/// A program that grows from its end to its beginning.
struct Code {
    /// The last step first.
    steps: Vec<sock_filter>,
    /// Where each answer stands that was given already.
    answers: BTreeMap<u32, Place>,
    refusal: Refusal,
}

impl Code {
    fn new(refusal: Refusal) -> Self {
        Self {
            steps: Vec::new(),
            answers: BTreeMap::new(),
            refusal,
        }
    }

    fn finish(mut self) -> Vec<sock_filter> {
        self.steps.reverse();
        without_idle(&self.steps)
    }

    fn put(&mut self, step: sock_filter) -> Place {
        self.steps.push(step);
        self.steps.len().saturating_sub(1)
    }

    /// How many steps the next one jumps over to get there.
    fn distance(&self, to: Place) -> usize {
        self.steps.len().saturating_sub(1).saturating_sub(to)
    }

    /// That place, or one near by that leads there.
    fn near(&mut self, to: Place) -> Place {
        match self.distance(to) {
            ..=NEAR => to,
            far => {
                let far = u32::try_from(far).unwrap_or(u32::MAX);
                self.put(step(JUMP, 0, 0, far))
            }
        }
    }

    /// Has the next step be followed by that place.
    fn begin_with(&mut self, place: Place) {
        match self.distance(place) {
            0 => {}
            far => {
                let far = u32::try_from(far).unwrap_or(u32::MAX);
                self.put(step(JUMP, 0, 0, far));
            }
        }
    }

    fn answer(&mut self, value: u32) -> Place {
        if let Some(place) = self.answers.get(&value)
            && self.distance(*place) <= NEAR
        {
            return *place;
        }
        let place = self.put(step(RETURN, 0, 0, value));
        self.answers.insert(value, place);
        place
    }

    fn branch(&mut self, code: u16, value: u32, yes: Place, no: Place) -> Place {
        let yes = self.near(yes);
        let no = self.near(no);
        let short = |far: usize| u8::try_from(far).unwrap_or(u8::MAX);
        let (yes, no) = (short(self.distance(yes)), short(self.distance(no)));
        self.put(step(code, yes, no, value))
    }

    fn bisect(&mut self, stretches: &[Stretch<'_>]) -> Place {
        match stretches {
            [] => self.answer(self.refusal.code(Answer::Kill)),
            [one] => match one.what {
                What::Answer(value) => self.answer(value),
                What::Call(call) => self.call(call),
            },
            more => {
                if let Some((rule, alone)) = exceptions(more) {
                    return self.one_by_one(rule, &alone);
                }
                let (left, right) = more.split_at_checked(more.len() / 2).unwrap_or((more, &[]));
                let from = right.first().map_or(u32::MAX, |first| first.from);
                let above = self.bisect(right);
                let below = self.bisect(left);
                self.branch(IF_AT_LEAST, from, above, below)
            }
        }
    }

    fn one_by_one(&mut self, rule: u32, alone: &[&Stretch<'_>]) -> Place {
        let mut next = self.answer(rule);
        for one in alone.iter().rev() {
            let found = match one.what {
                What::Answer(value) => self.answer(value),
                What::Call(call) => self.call(call),
            };
            next = self.branch(IF_EQUAL, one.from, found, next);
        }
        next
    }

    fn call(&mut self, call: &Call<'_>) -> Place {
        let otherwise = self.answer(self.refusal.code(call.otherwise));
        self.any(&call.ways, Entry::plain(otherwise)).place
    }

    /// Allows if all tests of one of the ways hold, else goes on. Ways that begin with the same test share it.
    fn any(&mut self, ways: &[&[Test]], otherwise: Entry) -> Entry {
        let Some((first, _)) = ways.first().and_then(|way| way.split_first()) else {
            // A way without further tests holds; no way at all does not.
            return match ways.first() {
                Some(_) => Entry::plain(self.answer(ALLOW)),
                None => otherwise,
            };
        };
        let shared = ways.iter().take_while(|way| way.first() == Some(first));
        let (alike, others) = ways.split_at_checked(shared.count()).unwrap_or((ways, &[]));
        let next = self.any(others, otherwise);
        let tails: Vec<&[Test]> = alike
            .iter()
            .map(|way| way.split_first().map_or(&[] as &[Test], |(_, tail)| tail))
            .collect();
        let inner = if tails.iter().any(|tail| tail.is_empty()) {
            Entry::plain(self.answer(ALLOW))
        } else {
            self.any(&tails, next)
        };
        self.test(first, inner, next)
    }

    fn test(&mut self, test: &Test, yes: Entry, no: Entry) -> Entry {
        // Both machines are little-endian: the low half comes first.
        let place = ARGUMENTS.saturating_add(u32::from(test.argument).saturating_mul(8));
        let low = self.half(place, (word(test.mask), word(test.value)), yes, no);
        let high = word(test.mask >> 32);
        if high == 0 {
            return low;
        }
        let place = place.saturating_add(4);
        self.half(place, (high, word(test.value >> 32)), low, no)
    }

    /// One half of an argument: under the mask it must have the value.
    fn half(&mut self, place: u32, (mask, value): (u32, u32), yes: Entry, no: Entry) -> Entry {
        let whole = Held {
            place,
            mask: u32::MAX,
        };
        if mask == u32::MAX || value == 0 {
            let (yes, no) = (yes.holding(whole), no.holding(whole));
            let decides = if mask == u32::MAX {
                self.branch(IF_EQUAL, value, yes, no)
            } else {
                self.branch(IF_ANY, mask, no, yes)
            };
            let entry = self.put(step(LOAD, 0, 0, place));
            return Entry {
                place: entry,
                held: Some((whole, decides)),
            };
        }
        let held = Held { place, mask };
        let (yes, no) = (yes.holding(held), no.holding(held));
        let decides = self.branch(IF_EQUAL, value, yes, no);
        self.put(step(AND, 0, 0, mask));
        let entry = self.put(step(LOAD, 0, 0, place));
        Entry {
            place: entry,
            held: Some((held, decides)),
        }
    }
}

/// The same program without what no step leads to: loads of a word that is held on each way there.
fn without_idle(steps: &[sock_filter]) -> Vec<sock_filter> {
    let mut live = BTreeSet::from([0]);
    // Every jump leads forward.
    for (at, step) in steps.iter().enumerate() {
        if live.contains(&at) {
            live.extend(followers(at, step));
        }
    }
    let left = steps.iter().enumerate().filter(|(at, _)| live.contains(at));
    left.map(|(at, step)| {
        let next = at.saturating_add(1);
        // No more than there were, so that what fits goes on to fit.
        let over = |far: usize| live.range(next..next.saturating_add(far)).count();
        let near = |far: u8| u8::try_from(over(far.into())).unwrap_or(far);
        let value = match (step.code, usize::try_from(step.k)) {
            (JUMP, Ok(far)) => u32::try_from(over(far)).unwrap_or(step.k),
            _ => step.k,
        };
        self::step(step.code, near(step.jt), near(step.jf), value)
    })
    .collect()
}

/// Where a step that stands there may lead.
fn followers(at: usize, step: &sock_filter) -> Vec<usize> {
    let next = at.saturating_add(1);
    let over = |far: u8| next.saturating_add(far.into());
    match step.code {
        RETURN => vec![],
        JUMP => vec![next.saturating_add(usize::try_from(step.k).unwrap_or(usize::MAX))],
        IF_EQUAL | IF_AT_LEAST | IF_ANY => vec![over(step.jt), over(step.jf)],
        _ => vec![next],
    }
}

fn word(of: u64) -> u32 {
    u32::try_from(of & 0xFFFF_FFFF).unwrap_or(u32::MAX)
}
