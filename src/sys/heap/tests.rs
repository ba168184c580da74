//! Tests of the heaps, each in a child of its own: the heaps are the process's, and here no one else's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::{
    ANEW, Anew, BUFFER, Heap, LARGE, MORE, OVERFLOW, Overflow, ROOM, SMALL, begin_anew,
    begin_wiping, end_wiping, give_back, inherited,
};
use crate::sys::process::{self, Ended};
use nix::unistd::ForkResult;
use std::alloc::{GlobalAlloc, Layout};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Whether that held in a child.
fn holds(claim: impl FnOnce() -> bool) {
    // SAFETY: the C library lets a child allocate, whatever its parent's other threads do; it leaves by _exit.
    let child = match unsafe { nix::unistd::fork() }.unwrap() {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let held = catch_unwind(AssertUnwindSafe(claim)).unwrap_or(false);
            // SAFETY: _exit takes any status and does not return.
            unsafe { libc::_exit(i32::from(!held)) }
        }
    };
    assert_eq!(process::wait_for(child).unwrap(), Ended::Exited(0));
}

/// A piece, and what is written all over it.
struct Piece(*mut u8, Layout, u8);

impl Piece {
    fn new(size: usize, align: usize, mark: u8) -> Self {
        let layout = Layout::from_size_align(size, align).unwrap();
        // SAFETY: the size is not zero.
        let at = unsafe { Heap.alloc(layout) };
        let piece = Self(at, layout, mark);
        piece.write(0);
        piece
    }

    fn write(&self, from: usize) {
        assert!(!self.0.is_null() && self.0.addr().is_multiple_of(self.1.align()));
        // SAFETY: the piece is that long.
        unsafe { std::ptr::write_bytes(self.0.add(from), self.2, self.1.size() - from) };
    }

    fn whole(&self, size: usize) -> bool {
        // SAFETY: the piece is that long and was written.
        let bytes = unsafe { std::slice::from_raw_parts(self.0, size) };
        bytes.iter().all(|byte| *byte == self.2)
    }

    fn resize(&mut self, size: usize) -> bool {
        let old = self.1.size();
        // SAFETY: it is a piece of this heap with this layout, and the size is not zero.
        self.0 = unsafe { Heap.realloc(self.0, self.1, size) };
        self.1 = Layout::from_size_align(size, self.1.align()).unwrap();
        let kept = self.whole(old.min(size));
        self.write(0);
        kept
    }

    fn free(self) -> bool {
        let whole = self.whole(self.1.size());
        // SAFETY: it is a piece of this heap with this layout.
        unsafe { Heap.dealloc(self.0, self.1) };
        whole
    }
}

/// Whether pieces of every size come, grow, shrink and go without touching each other, also where what is free is given back meanwhile.
fn churn() -> bool {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut seed = 0x2545_F491_u32;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(seed >> 8).unwrap() % below
    };
    let sizes = [64, BUFFER + 64, 100_000, LARGE + 100_000];
    for turn in 0..4000 {
        let kind = next(100).saturating_sub(96);
        let size = 1 + next(sizes[kind]);
        if next(40) == 0 {
            give_back();
        }
        match next(3) {
            0 if !pieces.is_empty() => {
                let at = next(pieces.len());
                if !pieces.swap_remove(at).free() {
                    return false;
                }
            }
            1 if !pieces.is_empty() => {
                let at = next(pieces.len());
                if !pieces[at].resize(size) {
                    return false;
                }
            }
            _ => {
                let mark = u8::try_from(turn % 251).unwrap();
                pieces.push(Piece::new(size, 1 << next(13), mark));
            }
        }
    }
    pieces.into_iter().all(Piece::free)
}

fn resident(at: *const u8) -> bool {
    let mut there = [0_u8; 1];
    let page = at.addr() / 4096 * 4096;
    // SAFETY: mincore(2) reads page tables and writes one byte, of an array of one.
    let result = unsafe {
        libc::mincore(
            std::ptr::with_exposed_provenance_mut(page),
            1,
            there.as_mut_ptr(),
        )
    };
    result == 0 && there[0] & 1 == 1
}

#[test]
fn masters_pieces_do_not_touch_each_other() {
    holds(churn);
}

#[test]
fn a_sessions_pieces_do_not_touch_each_other_nor_what_was_inherited() {
    holds(|| {
        let old: Vec<Piece> = (0..200).map(|mark| Piece::new(700, 16, mark)).collect();
        begin_anew();
        churn() && old.iter().all(|piece| piece.whole(700))
    });
}

#[test]
fn what_was_inherited_is_not_written_to() {
    holds(|| {
        let (one, mut other) = (Piece::new(300, 16, 7), Piece::new(300, 16, 8));
        // More than the first stretch has.
        let much = Piece::new(ROOM[0] + 1000, 16, 9);
        begin_anew();
        let (at, was, far) = (one.0, other.0, much.0);
        let mine = Piece::new(300, 16, 10);
        let known = inherited(at) && inherited(was) && inherited(far) && !inherited(mine.0);
        let kept = one.free() && other.resize(400) && much.free() && mine.free();
        // SAFETY: what is inherited stays.
        let (first, second) = unsafe { (*at, *was) };
        known && kept && other.0 != was && first == 7 && second == 8
    });
}

#[test]
fn free_pages_at_the_end_are_given_back() {
    holds(|| {
        let old = Piece::new(100, 16, 1);
        begin_anew();
        let small = Piece::new(100, 16, 1);
        let buffers: Vec<Piece> = (0..10)
            .map(|mark| Piece::new(BUFFER + 4096, 16, mark))
            .collect();
        let last = buffers[9].0;
        let freed = buffers.into_iter().all(Piece::free);
        let before = resident(last);
        give_back();
        let again = Piece::new(BUFFER + 4096, 16, 3);
        let given = freed && before && !resident(last);
        given && [old, small, again].into_iter().all(Piece::free)
    });
}

/// The page in which the first stretch of small pieces ends holds the state of the other heap, too.
#[test]
fn what_is_given_back_is_nothing_of_what_lies_behind() {
    holds(|| {
        let old = Piece::new(100, 16, 1);
        begin_anew();
        let buffer = Piece::new(BUFFER + 100, 16, 7);
        let room = ANEW.room.0.get().addr();
        let inside = |piece: &Piece| (room..room + SMALL).contains(&piece.0.addr());
        // Every end that the stretch can have, and beyond.
        for size in [100, 1000, 4000, 8000] {
            let mut pieces = vec![Piece::new(size, 16, 2)];
            while pieces.last().is_some_and(inside) {
                pieces.push(Piece::new(size, 16, 2));
                let fewer = pieces.len() - 1;
                let shorter = pieces.split_off(fewer);
                if !shorter.into_iter().all(Piece::free) {
                    return false;
                }
                give_back();
                pieces.push(Piece::new(size, 16, 2));
            }
            if !pieces.into_iter().all(Piece::free) {
                return false;
            }
            give_back();
            let other = Piece::new(BUFFER + 100, 16, 8);
            let apart = other.0 != buffer.0 && buffer.whole(BUFFER + 100);
            if !(apart && other.free()) {
                return false;
            }
        }
        buffer.free() && old.free()
    });
}

/// The heap takes what fills a stretch for a large piece, which is in a tree; so the least stretch must hold one.
#[test]
fn a_stretch_that_has_shrunk_to_its_least_is_given_up() {
    holds(|| {
        let old = Piece::new(100, 16, 1);
        begin_anew();
        [BUFFER, LARGE - 1, BUFFER, LARGE - 1].iter().all(|size| {
            let freed = Piece::new(*size, 16, 0x41).free();
            give_back();
            freed
        }) && churn()
            && old.free()
    });
}

/// Two parts of the first stretch that are not one, because a mapping was taken in between, share a page.
#[test]
fn what_is_given_up_takes_nothing_of_the_next_with_it() {
    holds(|| {
        let old = Piece::new(100, 16, 1);
        begin_anew();
        let first = Piece::new(BUFFER, 16, 2);
        let far = Piece::new(MORE - 150_000, 16, 3);
        let rest = Piece::new(140_000, 16, 4);
        let next = Piece::new(20_000, 16, 5);
        let behind = next.0.addr().wrapping_sub(first.0.addr()) < ROOM[1];
        let freed = first.free();
        give_back();
        behind && freed && next.free() && rest.free() && far.free() && old.free()
    });
}

#[test]
fn of_a_further_stretch_whole_pages_are_given_back_too() {
    holds(|| {
        begin_anew();
        let first = Piece::new(ROOM[1], 16, 1);
        let (kept, gone) = (
            Piece::new(BUFFER, 16, 2),
            Piece::new(MORE - BUFFER - 2000, 16, 3),
        );
        let far = gone.0.wrapping_add(MORE / 2);
        let freed = gone.free() && resident(far);
        give_back();
        freed && !resident(far) && kept.free() && first.free()
    });
}

#[test]
fn a_sessions_state_and_its_first_pieces_are_one_page() {
    assert!(std::mem::offset_of!(Anew, room) < 1100);
    holds(|| {
        let old = Piece::new(100, 16, 1);
        begin_anew();
        let pieces: Vec<Piece> = (0..20).map(|mark| Piece::new(100, 8, mark)).collect();
        let page = |at: usize| at / 4096;
        let here = page((&raw const ANEW).addr());
        let near = pieces.iter().all(|piece| page(piece.0.addr()) == here);
        near && pieces.into_iter().all(Piece::free) && old.free()
    });
}

#[test]
fn the_overflow_is_lent_to_one_and_is_no_page_of_master() {
    holds(|| {
        let none = Overflow::borrow(OVERFLOW).is_none();
        begin_anew();
        let mut first = Overflow::borrow(OVERFLOW).unwrap();
        let second = Overflow::borrow(OVERFLOW).is_none();
        assert!(Overflow::borrow(0).is_none() && Overflow::borrow(OVERFLOW + 1).is_none());
        first.room()[OVERFLOW - 1] = 1;
        drop(first);
        let mut again = Overflow::borrow(OVERFLOW).unwrap();
        let again = again.room();
        none && second && again.len() == OVERFLOW && again[OVERFLOW - 1] == 1
    });
}

#[test]
fn zeroed_pieces_are_zero_where_others_were() {
    holds(|| {
        begin_anew();
        let sizes = [40, 3 * BUFFER, LARGE];
        sizes.into_iter().all(|size| {
            let layout = Layout::from_size_align(size, 16).unwrap();
            Piece::new(size, 16, 0xFF).free();
            // SAFETY: the size is not zero, and the piece is that long.
            let bytes = unsafe { std::slice::from_raw_parts(Heap.alloc_zeroed(layout), size) };
            bytes.iter().all(|byte| *byte == 0)
        })
    });
}

#[test]
fn what_is_given_back_is_wiped_where_passwords_go() {
    holds(|| {
        let old = Piece::new(100, 16, 1);
        begin_anew();
        begin_wiping();
        let (gone, kept) = (Piece::new(300, 16, 7), Piece::new(300, 16, 8));
        let (was, size) = (gone.0, gone.1.size());
        let mut grows = Piece::new(500, 16, 9);
        let small = grows.0;
        let freed = gone.free() && grows.resize(5000) && grows.0 != small;
        // The heap keeps its own words at the begin of what is free.
        let clean = |at: *mut u8, size: usize, mark: u8| {
            // SAFETY: the heap's pages stay; nothing else happens to them meanwhile.
            let bytes = unsafe { std::slice::from_raw_parts(at, size) };
            bytes.iter().filter(|byte| **byte == mark).count() < 8
        };
        freed && clean(was, size, 7) && clean(small, 500, 9) && {
            end_wiping();
            [old, kept, grows].into_iter().all(Piece::free)
        }
    });
}
