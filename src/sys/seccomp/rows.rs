//! The system calls of each kind of process, as data: one row for each call, with the arguments it may have and the reason it is
//! there (attacks C.6); no process of its own.

use libc::{c_int, c_long};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is not, and the process ends.
    Kill,
    /// It is not, and returns this error: for what libraries try and can do without.
    Errno(u16),
}

/// One condition on one argument: under `mask` it must be `value`. A mask of the low 32 bits is for an `int`, of which the kernel
/// sees no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) argument: u8,
    pub(super) mask: u64,
    pub(super) value: u64,
}

/// When a call is made.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    /// Always.
    Always,
    /// When all tests of one of these ways hold.
    One(&'static [&'static [Test]]),
    /// Never.
    Never,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Its number on this machine.
    pub(super) call: i64,
    /// Its name, for the report.
    pub(super) name: &'static str,
    /// When it is made.
    pub(super) when: When,
    /// What happens else.
    pub(super) otherwise: Answer,
    /// Why it is here.
    pub(super) why: &'static str,
}

/// A call's number and name.
pub(super) type Named = (c_long, &'static str);

/// Always made.
pub(super) const fn allow(call: Named, why: &'static str) -> Row {
    Row {
        call: number(call),
        name: call.1,
        when: When::Always,
        otherwise: Answer::Kill,
        why,
    }
}

/// Made with these arguments; with others the process ends.
pub(super) const fn only(call: Named, ways: &'static [&'static [Test]], why: &'static str) -> Row {
    Row {
        when: When::One(ways),
        ..allow(call, why)
    }
}

/// Made with these arguments; with others it fails with this error.
pub(super) const fn mostly(
    call: Named,
    ways: &'static [&'static [Test]],
    error: u16,
    why: &'static str,
) -> Row {
    Row {
        otherwise: Answer::Errno(error),
        ..only(call, ways, why)
    }
}

/// Never made: it fails with this error.
pub(super) const fn refuse(call: Named, error: u16, why: &'static str) -> Row {
    Row {
        when: When::Never,
        otherwise: Answer::Errno(error),
        ..allow(call, why)
    }
}

#[allow(clippy::unnecessary_cast)]
const fn number(call: Named) -> i64 {
    call.0 as i64
}

/// An `int` argument that must be this.
#[allow(clippy::cast_sign_loss)]
pub(super) const fn int(argument: u8, value: c_int) -> Test {
    Test {
        argument,
        mask: 0xFFFF_FFFF,
        value: (value as u32) as u64,
    }
}

/// An `int` argument with no bits but these.
#[allow(clippy::cast_sign_loss)]
pub(super) const fn bits(argument: u8, allowed: c_int) -> Test {
    Test {
        argument,
        mask: !(allowed as u32) as u64,
        value: 0,
    }
}

/// An argument of full width that must be this.
pub(super) const fn long(argument: u8, value: u64) -> Test {
    Test {
        argument,
        mask: u64::MAX,
        value,
    }
}

/// An argument of full width with no bits but these.
pub(super) const fn within(argument: u8, allowed: u64) -> Test {
    Test {
        argument,
        mask: !allowed,
        value: 0,
    }
}
