//! The lists as a whole: what is on none of them, what each right adds, and the kernel's own answer to every call there is.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation
)]

use super::bpf::*;
use super::rows::When;
use super::rows::{Answer, Row, Test, int, long, only, refuse, within};
use super::{List, Rights, kernel};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use seccompiler::sock_filter;

const ALL: Rights = Rights {
    upload: true,
    make: true,
    alter: true,
    chmod: true,
    publish: true,
    sync: true,
};

const READER: List = List::Worker {
    rights: Rights {
        upload: false,
        make: false,
        alter: false,
        chmod: false,
        publish: false,
        sync: false,
    },
    names: false,
};

fn every() -> Vec<List> {
    let mut lists = vec![
        List::Keyholder,
        List::Reader,
        List::Greeter { carries: false },
        List::Greeter { carries: true },
        List::Helper { gives: false },
        List::Helper { gives: true },
    ];
    for bits in 0..128_u8 {
        let bit = |n: u8| bits >> n & 1 == 1;
        lists.push(List::Worker {
            rights: Rights {
                upload: bit(0),
                make: bit(1),
                alter: bit(2),
                chmod: bit(3),
                publish: bit(5),
                sync: bit(6),
            },
            names: bit(4),
        });
    }
    lists
}

fn allowed(list: List, call: i64, arguments: [u64; 6]) -> bool {
    let answer = run(list.program().unwrap(), MACHINE, call as u32, arguments);
    answer == 0x7FFF_0000
}

#[test]
fn each_list_has_its_own_place_and_its_reasons() {
    let mut places: Vec<usize> = every().into_iter().map(List::place).collect();
    places.sort_unstable();
    assert_eq!(places, (0..kernel::LISTS).collect::<Vec<_>>());
    for list in every() {
        for (name, _, why) in list.shown() {
            assert!(!name.is_empty() && !why.is_empty(), "{name}");
        }
    }
}

/// With any arguments at all: a few hundred of the worst.
#[test]
fn nobody_may() {
    let calls = [
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_tgkill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_pidfd_send_signal,
        libc::SYS_pidfd_getfd,
        libc::SYS_setuid,
        libc::SYS_setresuid,
        libc::SYS_setgroups,
        libc::SYS_capset,
        libc::SYS_chroot,
        libc::SYS_pivot_root,
        libc::SYS_chdir,
        libc::SYS_fchdir,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_symlinkat,
        libc::SYS_linkat,
        libc::SYS_mknodat,
        libc::SYS_fchownat,
        libc::SYS_open_by_handle_at,
        libc::SYS_name_to_handle_at,
        libc::SYS_init_module,
        libc::SYS_memfd_create,
        libc::SYS_shmget,
        libc::SYS_msgget,
        libc::SYS_mq_open,
        libc::SYS_inotify_init1,
        libc::SYS_fanotify_init,
        libc::SYS_seccomp,
        libc::SYS_personality,
        libc::SYS_socketpair,
        libc::SYS_dup,
        libc::SYS_dup3,
        libc::SYS_vmsplice,
        435,
    ];
    let edge = [0, 1, 2, 16, 4096, u64::MAX];
    for list in every() {
        for call in calls {
            for value in edge {
                assert!(!allowed(list, call, [value; 6]), "{list:?}: {call}");
            }
        }
        let of_another_library = if cfg!(target_env = "musl") {
            0x3D_0F00
        } else {
            0x7D_0F00
        };
        for flags in [
            0,
            17,
            0x100,
            0x3D_0F01,
            0x1_003D_0F00,
            0x7E02_0000,
            of_another_library,
        ] {
            assert!(
                !allowed(list, libc::SYS_clone, [flags, 0, 0, 0, 0, 0]),
                "{list:?}"
            );
        }
        for protection in [4, 5, 7, 1 << 32] {
            assert!(!allowed(
                list,
                libc::SYS_mprotect,
                [0, 4096, protection, 0, 0, 0]
            ));
            for flags in [0x22, 0x02, 0x01, 0x20022, 0x28] {
                let mapped = [0, 4096, protection, flags, u64::MAX, 0];
                assert!(!allowed(list, libc::SYS_mmap, mapped), "{list:?}");
            }
        }
        let joins = matches!(list, List::Helper { .. });
        for family in [libc::AF_INET, libc::AF_INET6] {
            let stream = [family as u64, 1 | 0o2_000_000, 0, 0, 0, 0];
            assert_eq!(allowed(list, libc::SYS_socket, stream), joins);
            for (kind, protocol) in [(2, 0), (3, 0), (1, 132), (3, 255)] {
                let other = [family as u64, kind, protocol, 0, 0, 0];
                assert!(!allowed(list, libc::SYS_socket, other));
            }
        }
        for family in [
            libc::AF_NETLINK,
            libc::AF_PACKET,
            libc::AF_ALG,
            libc::AF_VSOCK,
        ] {
            assert!(!allowed(
                list,
                libc::SYS_socket,
                [family as u64, 1, 0, 0, 0, 0]
            ));
        }
        let asks = matches!(list, List::Worker { names: true, .. });
        let local = [libc::AF_UNIX as u64, 1, 0, 0, 0, 0];
        assert_eq!(allowed(list, libc::SYS_socket, local), asks);
        // TIOCSTI, TIOCLINUX, FICLONE.
        for request in [0x5412, 0x541C, 0x4004_9409] {
            assert!(!allowed(list, libc::SYS_ioctl, [1, request, 0, 0, 0, 0]));
        }
        // Dumpable, ptracer, seccomp, death signal, keepcaps, ambient.
        for option in [4, 0x5961_6D61, 22, 1, 8, 47] {
            assert!(!allowed(list, libc::SYS_prctl, [option, 1, 0, 0, 0, 0]));
        }
        assert!(!allowed(
            list,
            libc::SYS_fcntl,
            [1, libc::F_SETOWN as u64, 1, 0, 0, 0]
        ));
        assert!(!allowed(list, libc::SYS_sendto, [1, 0, 0, 0, 4096, 16]));
    }
}

/// malloc(3), the stack of a thread, and what getrandom(3) of glibc 2.41 maps at its first use on Linux 6.11: a process that was not started by
/// a master, which has used it, would end there, and so would one whose threads are more than have used it.
#[test]
fn what_the_c_library_maps() {
    for list in every() {
        for (protection, flags) in [(3, 0x22), (0, 0x2_0022), (3, 0x28)] {
            let mapped = [0, 4096, protection, flags, u64::MAX, 0];
            assert!(allowed(list, libc::SYS_mmap, mapped), "{list:?} {flags:x}");
        }
        // A file, shared, with more flags.
        for flags in [0x08, 0x29, 0x38] {
            let mapped = [0, 4096, 3, flags, u64::MAX, 0];
            assert!(!allowed(list, libc::SYS_mmap, mapped), "{list:?} {flags:x}");
        }
    }
}

#[test]
fn a_reader_has_no_call_that_writes() {
    let writing = [
        libc::SYS_ftruncate,
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        452,
        libc::SYS_unlinkat,
        libc::SYS_mkdirat,
        libc::SYS_renameat,
        libc::SYS_renameat2,
        libc::SYS_utimensat,
        libc::SYS_fallocate,
        libc::SYS_pwrite64,
        libc::SYS_fchown,
    ];
    let with = |rights| List::Worker {
        rights,
        names: false,
    };
    for call in writing {
        assert!(!allowed(READER, call, [0; 6]), "{call}");
    }
    let one = |upload, make, alter, chmod| {
        with(Rights {
            upload,
            make,
            alter,
            chmod,
            publish: false,
            sync: false,
        })
    };
    for (list, more) in [
        (
            one(true, false, false, false),
            vec![libc::SYS_ftruncate, libc::SYS_fchmod, libc::SYS_unlinkat],
        ),
        (one(false, true, false, false), vec![libc::SYS_mkdirat]),
        (
            one(false, false, true, false),
            vec![
                libc::SYS_unlinkat,
                libc::SYS_renameat,
                libc::SYS_renameat2,
                libc::SYS_utimensat,
            ],
        ),
        (
            one(false, false, false, true),
            vec![libc::SYS_fchmod, libc::SYS_fchmodat, 452],
        ),
    ] {
        for call in writing {
            assert_eq!(
                allowed(list, call, [0; 6]),
                more.contains(&call),
                "{list:?}: {call}"
            );
        }
    }
    // Only helper gives files away, and only if it is to.
    assert!(allowed(
        List::Helper { gives: true },
        libc::SYS_fchown,
        [0; 6]
    ));
    assert!(!allowed(
        List::Helper { gives: false },
        libc::SYS_fchown,
        [0; 6]
    ));
    assert!(!allowed(with(ALL), libc::SYS_fchown, [0; 6]));
    // The group of a file that an upload replaces, and no owner.
    let group = [3, u64::from(u32::MAX), 2000, 0, 0, 0];
    assert!(allowed(with(ALL), libc::SYS_fchown, group));
    let list = one(true, true, true, true);
    assert!(!allowed(list, libc::SYS_fchown, group));
}

/// How a child ends that is confined to the list and makes this one call: killed, or with the error the call gave.
fn ending(list: List, call: i64) -> WaitStatus {
    // SAFETY: the child makes system calls only; the program it installs was built before.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => waitpid(child, None).unwrap(),
        ForkResult::Child => {
            // SAFETY: _exit and a raw call with arguments that name nothing.
            unsafe {
                if list.install().is_err() {
                    libc::_exit(200);
                }
                let given = libc::syscall(call, -1_i64, 0_i64, 0_i64, 0_i64, 0_i64, 0_i64);
                let code = if given == -1 {
                    *libc::__errno_location()
                } else {
                    0
                };
                libc::_exit(code)
            }
        }
    }
}

/// It asks about files that it holds, by no name.
#[test]
fn the_keyholder_looks_at_what_it_is_given_alone() {
    let flags = [
        (libc::AT_EMPTY_PATH, true),
        (0, false),
        (libc::AT_SYMLINK_NOFOLLOW, false),
    ];
    for (flag, may) in flags {
        let arguments = [3, 0x1000, 0x2000, flag as u64, 0, 0];
        let found = allowed(List::Keyholder, libc::SYS_newfstatat, arguments);
        assert_eq!(found, may, "{flag}");
    }
    for call in [libc::SYS_statx, libc::SYS_openat, libc::SYS_getdents64] {
        assert!(!allowed(List::Keyholder, call, [0; 6]));
    }
}

/// The kernel's own word, for every number there is: killed unless a row says otherwise (attacks B-130).
#[test]
fn the_kernel_agrees() {
    if !kernel::filters() {
        return;
    }
    for list in [
        List::Keyholder,
        List::Reader,
        List::Greeter { carries: false },
        List::Greeter { carries: true },
        READER,
        List::Helper { gives: false },
    ] {
        let _ = list.program();
        let rows = list.rows();
        for call in (0..480).chain([0x4000_0000, 0x4000_0027]) {
            let found: Vec<_> = rows.iter().filter(|row| row.call == call).collect();
            // What is allowed may wait for ever, or end the process.
            if found.iter().any(|row| !matches!(row.when, When::Never)) {
                continue;
            }
            let ended = ending(list, call);
            let fits = match (found.first(), ended) {
                (Some(_), WaitStatus::Exited(_, code)) => {
                    let expected = run(list.program().unwrap(), MACHINE, call as u32, [0; 6]);
                    expected == 0x0005_0000 | code as u32
                }
                (None, WaitStatus::Signaled(_, Signal::SIGSYS, _)) => true,
                // Linux since 6.14 does not filter the calls its own probes make; from elsewhere it refuses them itself.
                (None, WaitStatus::Signaled(_, Signal::SIGILL, _)) => call == 335,
                (None, WaitStatus::Exited(_, libc::ENXIO)) => call == 336,
                _ => false,
            };
            assert!(fits, "{list:?}: {call}: {ended:?}");
        }
    }
}

#[test]
fn programs_fit_the_kernel() {
    for list in every() {
        let length = list.program().unwrap().len();
        assert!((50..bpf_most()).contains(&length), "{list:?}: {length}");
    }
    assert_ne!(MACHINE, 0);
}

/// Each process of each session pays for every step.
#[test]
fn every_step_has_its_use() {
    for list in every() {
        let program = list.program().unwrap();
        let mut led_to = std::collections::BTreeSet::from([0]);
        for (at, step) in program.iter().enumerate() {
            let next = at + 1;
            match step.code {
                RETURN => {}
                JUMP => _ = led_to.insert(next + step.k as usize),
                IF_EQUAL | IF_AT_LEAST | IF_ANY => {
                    assert_ne!(step.jt, step.jf, "{list:?}: step {at} decides nothing");
                    led_to.extend([next + usize::from(step.jt), next + usize::from(step.jf)]);
                }
                _ => _ = led_to.insert(next),
            }
        }
        let all: Vec<usize> = (0..program.len()).collect();
        assert_eq!(led_to.into_iter().collect::<Vec<_>>(), all, "{list:?}");
    }
}

/// The kernel walks no program of who makes few calls: it gives up at the first step.
#[test]
fn who_makes_few_calls_has_no_table() {
    for list in every() {
        let first = list.program().unwrap().first().unwrap().code;
        let few = matches!(list, List::Greeter { carries: false } | List::Helper { .. });
        assert_eq!(first == ASIDE, few, "{list:?}");
    }
}

/// BPF_MAXINSNS of linux/bpf_common.h.
fn bpf_most() -> usize {
    4096
}

/// What the kernel would answer.
fn run(program: &[sock_filter], machine: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let word = |place: u32| match place {
        NUMBER => number,
        ARCH => machine,
        16.. => {
            let argument = arguments[((place - 16) / 8) as usize];
            (argument >> (if place % 8 == 4 { 32 } else { 0 })) as u32
        }
        _ => panic!("loads {place}"),
    };
    let (mut at, mut value) = (0, 0);
    loop {
        let now = &program[at];
        at += 1;
        let skip = |holds: bool| usize::from(if holds { now.jt } else { now.jf });
        match now.code {
            LOAD => value = word(now.k),
            AND => value &= now.k,
            JUMP => at += now.k as usize,
            ASIDE => {}
            IF_EQUAL => at += skip(value == now.k),
            IF_AT_LEAST => at += skip(value >= now.k),
            IF_ANY => at += skip(value & now.k != 0),
            RETURN => return now.k,
            other => panic!("step {other}"),
        }
    }
}

fn row(call: i64, when: When, otherwise: Answer) -> Row {
    Row {
        call,
        name: "",
        when,
        otherwise,
        why: "",
    }
}

#[test]
fn each_number_gets_its_answer() {
    let mut rows: Vec<Row> = (0..450)
        .filter(|n| n % 7 == 0 || n % 11 < 2)
        .map(|n| row(n, When::Always, Answer::Kill))
        .collect();
    rows.push(row(451, When::Never, Answer::Errno(38)));
    let rows: Vec<&Row> = rows.iter().collect();
    let code = program(&rows, Answer::Kill, Refusal::Kill, Calls::Many);
    for number in (0..2000).chain([0x4000_0000, 0x4000_0001, u32::MAX]) {
        let wanted = if number == 451 {
            ERRNO | 38
        } else if number < 450 && (number % 7 == 0 || number % 11 < 2) {
            ALLOW
        } else {
            KILL_PROCESS
        };
        assert_eq!(run(&code, MACHINE, number, [0; 6]), wanted, "{number}");
        assert_eq!(run(&code, 0x4000_0003, number, [0; 6]), KILL_PROCESS);
    }
}

#[test]
fn arguments_are_looked_at_to_their_full_width() {
    const NINE: &[&[Test]] = &[&[int(0, 9)]];
    const WAYS: &[&[Test]] = &[&[int(0, 2), within(1, 3)], &[long(2, 0x1_0000_0002)]];
    let rows = [
        only((7, "seven"), WAYS, ""),
        only((7, "seven"), NINE, ""),
        refuse((8, "eight"), 13, ""),
    ];
    let rows: Vec<&Row> = rows.iter().collect();
    let code = program(&rows, Answer::Kill, Refusal::Trap, Calls::Few);
    for (arguments, wanted) in [
        ([2, 3, 0, 0, 0, 0], ALLOW),
        ([2, 0, 0, 0, 0, 0], ALLOW),
        // An int is its low half, as the kernel takes it.
        ([0xFFFF_FFFF_0000_0002, 0, 0, 0, 0, 0], ALLOW),
        ([2, 4, 0, 0, 0, 0], TRAP),
        ([2, 1 << 40, 0, 0, 0, 0], TRAP),
        ([3, 0, 0, 0, 0, 0], TRAP),
        ([3, 0, 0x1_0000_0002, 0, 0, 0], ALLOW),
        ([3, 0, 0x2, 0, 0, 0], TRAP),
        ([9, 1 << 50, 0, 0, 0, 0], ALLOW),
    ] {
        assert_eq!(run(&code, MACHINE, 7, arguments), wanted, "{arguments:x?}");
    }
    assert_eq!(run(&code, MACHINE, 8, [0; 6]), ERRNO | 13);
    assert_eq!(run(&code, MACHINE, 6, [0; 6]), TRAP);
}

/// What rows say of a call, read one after another.
fn said(list: List, call: u32, arguments: [u64; 6]) -> u32 {
    let rows = list.rows();
    let of: Vec<&&Row> = rows.iter().filter(|row| row.call == call.into()).collect();
    let holds = |test: &Test| arguments[usize::from(test.argument)] & test.mask == test.value;
    let may = of.iter().any(|row| match row.when {
        When::Always => true,
        When::Never => false,
        When::One(ways) => ways.iter().any(|way| way.iter().all(holds)),
    });
    let otherwise = of.first().map_or(list.otherwise(), |row| row.otherwise);
    match otherwise {
        _ if may => ALLOW,
        Answer::Kill => KILL_PROCESS,
        Answer::Errno(error) => ERRNO | u32::from(error),
    }
}

/// However short a program is made: for every call, with each argument that a row names as it is there, and off by something.
#[test]
fn each_program_means_its_rows() {
    for list in every() {
        let program = list.program().unwrap();
        for call in (0..600).chain([0x4000_0000, u32::MAX]) {
            let mut tried = vec![[0; 6], [u64::MAX; 6]];
            for row in list.rows() {
                let When::One(ways) = row.when else { continue };
                for way in ways.iter().filter(|_| row.call == call.into()) {
                    let mut right = [0; 6];
                    let values = way.iter().map(|test| (usize::from(test.argument), test));
                    values.for_each(|(at, test)| right[at] = test.value);
                    tried.push(right);
                    for test in *way {
                        for off in [1, 1 << 20, 1 << 32, 1 << 63, test.mask, !test.mask] {
                            let mut other = right;
                            other[usize::from(test.argument)] ^= off;
                            tried.push(other);
                        }
                    }
                }
            }
            for arguments in tried {
                let wanted = said(list, call, arguments);
                let got = run(program, MACHINE, call, arguments);
                assert_eq!(got, wanted, "{list:?}: {call} {arguments:x?}");
            }
        }
    }
}

/// A row for one machine alone is one too few on the other, unless the other has no such call.
#[test]
fn what_only_one_machine_has() {
    let text = include_str!("lists.rs");
    let only = text.split("#[cfg(").skip(1);
    let named = only.filter_map(|rest| {
        let (condition, row) = rest.split_once(")]")?;
        condition.contains("x86_64").then(|| {
            let (_, name) = row.split_once("named!(SYS_").unwrap();
            name.split_once(')').unwrap().0
        })
    });
    let mut found: Vec<_> = named.collect();
    found.sort_unstable();
    found.dedup();
    // What of the lists aarch64 has not (linux/asm-generic/unistd.h).
    assert_eq!(found, ["lstat", "open", "poll", "stat"]);
}
