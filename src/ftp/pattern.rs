//! The pattern language of `deny_file`, `hide_file` and listings (reference §5.8), matched in bounded time; runs in worker.
//!
//! `*` is any run of bytes, `/` too; `?` any one byte; `{a,b}` alternatives, which may nest and may be empty; everything else
//! stands for itself, and so does a brace without its partner. There is no `[...]` and no escape. A pattern matches a whole text.
//!
//! The original gives up on some patterns that read as if they matched: it does not go back for a second try after `*`, takes
//! no empty alternative, and never matches `*{a,b}`. Here they match. A rule that denies so denies what it says, never less than before.

/// Up to this many alternatives are tried one after the other, which is faster than all at once.
const FEW: usize = 32;

/// Longer patterns match nothing but as plain text; the longest a client can send is shorter.
const LONGEST: usize = 8192;

/// One state of the machine; the states are numbered by their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Takes this byte.
    Byte(u8),
    /// Takes any byte.
    Any,
    /// Takes any run of bytes.
    Star,
    /// Goes on at another state, without a byte.
    Jump(usize),
    /// Goes on at the next state and at another one, without a byte.
    Fork(usize),
    /// The end of the pattern.
    End,
}

/// Which texts a run of the machine may begin with; see [`Pattern::denies`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    Anyhow,
    AtSlash,
    NotAtSlash,
}

/// A pattern made ready. Matching takes at most (states × bytes) steps, whatever the pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pub(super) source: Vec<u8>,
    states: Vec<State>,
    /// The patterns without alternatives that it stands for, if they are few.
    plains: Vec<Vec<State>>,
    absolute: bool,
}

impl Pattern {
    /// Reads a pattern; every text is one.
    #[must_use]
    pub fn new(pattern: &[u8]) -> Self {
        let states = if pattern.len() > LONGEST {
            Vec::new()
        } else {
            compile(pattern)
        };
        let plains = spread(&states);
        let mut made = Self {
            source: pattern.to_vec(),
            states,
            plains,
            absolute: false,
        };
        let mut begin = Set::new(made.states.len());
        made.start(&mut begin, Begin::AtSlash);
        made.absolute = !begin.members.is_empty();
        made
    }

    /// The text it was made of.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// How many steps a text of this length may take at most; none for the simple patterns people write.
    pub fn cost(&self, length: usize) -> usize {
        usize::from(self.plains.is_empty()) * self.states.len() * length
    }

    /// Whether the whole of `text` matches; the steps that a simple pattern takes for it, each worth a quarter of another, are added to `steps`.
    pub fn matches(&self, text: &[u8], steps: &mut usize) -> bool {
        self.fits_in(text, Begin::Anyhow, steps)
    }

    /// Whether any part of the pattern begins with `/`, so that a bare name does not decide.
    pub fn is_absolute(&self) -> bool {
        self.absolute
    }

    pub(super) fn fits(&self, text: &[u8], begin: Begin) -> bool {
        self.fits_in(text, begin, &mut 0)
    }

    fn fits_in(&self, text: &[u8], begin: Begin, steps: &mut usize) -> bool {
        if self.plains.is_empty() {
            return self.run(text, begin);
        }
        self.plains.iter().any(|states| {
            let slash = states.first() == Some(&State::Byte(b'/'));
            let may = match begin {
                Begin::Anyhow => true,
                Begin::AtSlash => slash,
                Begin::NotAtSlash => !slash,
            };
            may && plain(states, text, steps)
        })
    }

    /// Follows all ways through the machine at once.
    fn run(&self, text: &[u8], begin: Begin) -> bool {
        let mut now = Set::new(self.states.len());
        let mut next = Set::new(self.states.len());
        self.start(&mut now, begin);
        self.reach_stars(&mut now);
        for byte in text {
            if now.members.is_empty() {
                return false;
            }
            next.clear();
            for at in now.members.iter().copied() {
                match self.states.get(at) {
                    Some(State::Byte(want)) if want == byte => self.enter(&mut next, at + 1),
                    Some(State::Any) => self.enter(&mut next, at + 1),
                    Some(State::Star) => self.enter(&mut next, at),
                    Some(State::Byte(_) | State::Jump(_) | State::Fork(_) | State::End) | None => {}
                }
            }
            self.reach_stars(&mut next);
            std::mem::swap(&mut now, &mut next);
        }
        now.members
            .iter()
            .any(|at| self.states.get(*at) == Some(&State::End))
    }

    /// Puts the states in front of the first byte into the set, as far as `begin` lets them.
    fn start(&self, set: &mut Set, begin: Begin) {
        if self.states.is_empty() {
            return;
        }
        self.enter(set, 0);
        let slash = |at: &usize| self.states.get(*at) == Some(&State::Byte(b'/'));
        match begin {
            Begin::Anyhow => {}
            Begin::AtSlash => set.members.retain(slash),
            Begin::NotAtSlash => set.members.retain(|at| !slash(at)),
        }
        // What was dropped must be free to come again later.
        set.seen.fill(false);
        for at in &set.members {
            if let Some(mark) = set.seen.get_mut(*at) {
                *mark = true;
            }
        }
    }

    /// Adds a state and what follows it without a byte, except past a `*`.
    fn enter(&self, set: &mut Set, from: usize) {
        set.pending.push(from);
        while let Some(at) = set.pending.pop() {
            match set.seen.get_mut(at) {
                Some(mark) if !*mark => *mark = true,
                Some(_) | None => continue,
            }
            match self.states.get(at) {
                Some(State::Jump(to)) => set.pending.push(*to),
                Some(State::Fork(to)) => {
                    set.pending.push(*to);
                    set.pending.push(at + 1);
                }
                Some(State::Byte(_) | State::Any | State::Star | State::End) => {
                    set.members.push(at)
                }
                None => {}
            }
        }
    }

    /// A `*` may take nothing: adds what follows every one in the set, those found on the way included.
    fn reach_stars(&self, set: &mut Set) {
        let mut index = 0;
        while let Some(at) = set.members.get(index).copied() {
            if self.states.get(at) == Some(&State::Star) {
                self.enter(set, at + 1);
            }
            index += 1;
        }
    }
}

/// Whether the whole of `name` matches `pattern`; for one name. For many, keep a [`Pattern`].
#[cfg(test)]
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    Pattern::new(pattern).matches(name, &mut 0)
}

/// [`Pattern::denies`] for one argument.
#[cfg(test)]
fn denies(pattern: &[u8], arg: &[u8], resolved: Option<&[u8]>) -> bool {
    Pattern::new(pattern).denies(arg, resolved)
}

/// The states the machine is in.
struct Set {
    members: Vec<usize>,
    seen: Vec<bool>,
    pending: Vec<usize>,
}

impl Set {
    fn new(states: usize) -> Self {
        Self {
            members: Vec::with_capacity(states),
            seen: vec![false; states],
            pending: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.members.clear();
        self.seen.fill(false);
    }
}

/// One open brace while compiling: where its latest alternative's fork is, and the jumps to its end.
struct Group {
    fork: usize,
    jumps: Vec<usize>,
}

fn compile(pattern: &[u8]) -> Vec<State> {
    let closed = pairs(pattern);
    let mut states = Vec::with_capacity(pattern.len() + 1);
    let mut groups: Vec<Group> = Vec::new();
    for (byte, paired) in pattern.iter().zip(closed) {
        match (byte, groups.last_mut()) {
            (b'{', _) if paired => {
                groups.push(Group {
                    fork: states.len(),
                    jumps: Vec::new(),
                });
                states.push(State::Fork(0));
            }
            (b',', Some(group)) => {
                group.jumps.push(states.len());
                states.push(State::Jump(0));
                let here = states.len();
                patch(&mut states, group.fork, State::Fork(here));
                group.fork = here;
                states.push(State::Fork(0));
            }
            (b'}', Some(_)) if paired => {
                let end = states.len();
                let Some(group) = groups.pop() else { continue };
                // The last alternative has no other to fork to: going to its own first state adds nothing.
                patch(&mut states, group.fork, State::Jump(group.fork + 1));
                for jump in group.jumps {
                    patch(&mut states, jump, State::Jump(end));
                }
            }
            (b'*', _) => {
                if states.last() != Some(&State::Star) {
                    states.push(State::Star);
                }
            }
            (b'?', _) => states.push(State::Any),
            (other, _) => states.push(State::Byte(*other)),
        }
    }
    states.push(State::End);
    states
}

fn patch(states: &mut [State], at: usize, state: State) {
    if let Some(slot) = states.get_mut(at) {
        *slot = state;
    }
}

/// The ways through the machine as patterns without alternatives; none if there are more than [`FEW`].
fn spread(states: &[State]) -> Vec<Vec<State>> {
    let mut done = Vec::new();
    let mut open = vec![(0_usize, Vec::new())];
    while let Some((mut at, mut way)) = open.pop() {
        while let Some(state) = states.get(at) {
            at = match *state {
                State::Jump(to) => to,
                State::Fork(to) => {
                    open.push((to, way.clone()));
                    at + 1
                }
                State::Byte(_) | State::Any | State::Star | State::End => {
                    way.push(*state);
                    at + 1
                }
            };
            if done.len() + open.len() >= FEW {
                return Vec::new();
            }
        }
        if !states.is_empty() {
            done.push(way);
        }
    }
    done
}

/// For each byte whether it is a brace that has its partner.
fn pairs(pattern: &[u8]) -> Vec<bool> {
    let mut paired = vec![false; pattern.len()];
    let mut open = Vec::new();
    for (at, byte) in pattern.iter().enumerate() {
        match byte {
            b'{' => open.push(at),
            b'}' => {
                if let Some(partner) = open.pop() {
                    for index in [at, partner] {
                        if let Some(mark) = paired.get_mut(index) {
                            *mark = true;
                        }
                    }
                }
            }
            _ => {}
        }
    }
    paired
}

/// Matching without alternatives: only the latest `*` is ever tried again, for an earlier one could gain nothing more.
fn plain(states: &[State], text: &[u8], steps: &mut usize) -> bool {
    let (mut state, mut at) = (0_usize, 0_usize);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        *steps += 1;
        let byte = text.get(at);
        let step = match (states.get(state), byte) {
            (Some(State::Star), _) => {
                retry = Some((state + 1, at));
                state += 1;
                continue;
            }
            (Some(State::End), None) => return true,
            (Some(State::Any), Some(_)) => true,
            (Some(State::Byte(want)), Some(byte)) => want == byte,
            (
                Some(State::End | State::Any | State::Byte(_) | State::Jump(_) | State::Fork(_))
                | None,
                _,
            ) => false,
        };
        if step {
            state += 1;
            at += 1;
            continue;
        }
        match retry {
            Some((again, from)) if from < text.len() => {
                retry = Some((again, from + 1));
                state = again;
                at = from + 1;
            }
            Some(_) | None => return false,
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
mod tests;
