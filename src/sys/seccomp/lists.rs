//! Who may make which system call: the lists of greeter, helper and worker, row by row (attacks C.6); no process of its own.
//!
//! Numbers differ between machines, so do the calls a C library uses: rows for x86-64 or for musl alone say so, others come from the
//! `*at` family that every machine has. `fchmodat2` and `clone3` have one number everywhere.

// Constants of the C library: none is negative, or wider than the argument it is for.
#![allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)]

use super::rows::{Row, Test, allow, bits, int, long, mostly, only, refuse, within};
use libc::{EACCES, ENOSYS, EPERM};

macro_rules! named {
    ($name:ident) => {
        (libc::$name, stringify!($name))
    };
}

const fn error(code: i32) -> u16 {
    code as u16
}

/// Private memory that is not executable, from no file.
const MEMORY: &[Test] = &[
    within(2, (libc::PROT_READ | libc::PROT_WRITE) as u64),
    bits(
        3,
        libc::MAP_PRIVATE
            | libc::MAP_ANONYMOUS
            | libc::MAP_NORESERVE
            | libc::MAP_STACK
            | libc::MAP_FIXED
            | libc::MAP_FIXED_NOREPLACE,
    ),
    int(4, -1),
];

/// Memory the kernel may take back at any time and no child inherits: where glibc since 2.41 keeps its random numbers on Linux 6.11 and later
/// (getrandom(2) without a call).
const DROPPABLE: &[Test] = &[
    within(2, (libc::PROT_READ | libc::PROT_WRITE) as u64),
    int(3, libc::MAP_DROPPABLE | libc::MAP_ANONYMOUS),
    int(4, -1),
];

/// Waiting and waking, of this process alone or shared, with either clock.
const fn futex(operation: i32) -> Test {
    Test {
        argument: 1,
        mask: 0xFFFF_FFFF & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) as u64,
        value: operation as u64,
    }
}

/// What every process does: memory, time, chance, its open descriptors, its end.
pub(super) const BASE: &[Row] = &[
    allow(named!(SYS_read), "descriptors it holds"),
    allow(named!(SYS_write), "descriptors it holds"),
    allow(named!(SYS_readv), "descriptors it holds"),
    allow(
        named!(SYS_writev),
        "descriptors it holds; a panic's last words",
    ),
    allow(named!(SYS_close), "descriptors it holds"),
    allow(named!(SYS_munmap), "free(3), the end of a thread"),
    allow(named!(SYS_brk), "malloc(3)"),
    allow(named!(SYS_mremap), "realloc(3) of large blocks"),
    only(
        named!(SYS_mmap),
        &[MEMORY, DROPPABLE],
        "malloc(3), stacks, getrandom(3); never executable",
    ),
    only(
        named!(SYS_mprotect),
        &[&[within(2, (libc::PROT_READ | libc::PROT_WRITE) as u64)]],
        "malloc(3), stacks; never executable",
    ),
    mostly(
        named!(SYS_madvise),
        &[
            &[int(2, libc::MADV_DONTNEED)],
            &[int(2, libc::MADV_FREE)],
            &[int(2, libc::MADV_HUGEPAGE)],
            // MADV_GUARD_INSTALL, which glibc 2.42 guards stacks with.
            &[int(2, 102)],
        ],
        error(libc::EINVAL),
        "free(3), stacks",
    ),
    only(
        named!(SYS_futex),
        &[
            &[futex(libc::FUTEX_WAIT)],
            &[futex(libc::FUTEX_WAKE)],
            &[futex(libc::FUTEX_REQUEUE)],
            &[futex(libc::FUTEX_CMP_REQUEUE)],
            &[futex(libc::FUTEX_WAIT_BITSET)],
            &[futex(libc::FUTEX_WAKE_BITSET)],
        ],
        "locks and channels of the library; none with priorities",
    ),
    allow(named!(SYS_getrandom), "hash tables, ports"),
    allow(
        named!(SYS_clock_gettime),
        "where the clock is no memory page",
    ),
    allow(named!(SYS_clock_nanosleep), "sleep"),
    allow(
        named!(SYS_restart_syscall),
        "a stopped and continued process",
    ),
    allow(named!(SYS_rt_sigreturn), "the end of a handler"),
    allow(
        named!(SYS_rt_sigaction),
        "the first thread of the C library, abort(3)",
    ),
    allow(
        named!(SYS_rt_sigprocmask),
        "threads of the C library, abort(3)",
    ),
    allow(named!(SYS_sigaltstack), "the library's guard of stacks"),
    allow(named!(SYS_getpid), "abort(3)"),
    allow(named!(SYS_gettid), "abort(3), a panic's last words"),
    refuse(
        named!(SYS_tgkill),
        error(EPERM),
        "abort(3) ends the process another way then",
    ),
    allow(named!(SYS_exit), "the end of a thread"),
    allow(named!(SYS_exit_group), "the end"),
    only(
        named!(SYS_fcntl),
        &[&[int(1, libc::F_GETFD)], &[int(1, libc::F_GETFL)]],
        "the library's look at a descriptor",
    ),
    #[cfg(target_env = "musl")]
    only(
        named!(SYS_fcntl),
        &[&[int(1, libc::F_SETFD), int(2, libc::FD_CLOEXEC)]],
        "musl says close-on-exec a second time; it is never taken back",
    ),
    #[cfg(target_env = "musl")]
    allow(named!(SYS_nanosleep), "sleep, by musl"),
    #[cfg(target_env = "musl")]
    refuse(
        named!(SYS_tkill),
        error(EPERM),
        "abort(3) of musl ends the process another way then",
    ),
];

/// A path asked for before login, or in helper: nothing here needs one, a C library may try.
pub(super) const NO_PATHS: &[Row] = &[
    refuse(
        named!(SYS_openat),
        error(EACCES),
        "no file is opened: a library that tries goes on without",
    ),
    #[cfg(all(target_env = "musl", target_arch = "x86_64"))]
    refuse(
        named!(SYS_open),
        error(EACCES),
        "the same, by musl, whose open(2) and fopen(3) it is",
    ),
];

const CONNECTED: &[Test] = &[long(4, 0), int(5, 0)];

/// Speaking over sockets that are there: the client's, and the channel between processes.
pub(super) const SPEAK: &[Row] = &[
    allow(named!(SYS_ppoll), "waiting for the client and for helper"),
    #[cfg(target_arch = "x86_64")]
    allow(named!(SYS_poll), "waiting for the client and for helper"),
    only(
        named!(SYS_sendto),
        &[CONNECTED],
        "replies; never to an address",
    ),
    only(
        named!(SYS_sendmsg),
        &[&[bits(2, libc::MSG_NOSIGNAL)]],
        "messages to helper or its child",
    ),
    only(
        named!(SYS_recvmsg),
        &[&[bits(2, libc::MSG_CMSG_CLOEXEC)]],
        "messages from helper or its child",
    ),
];

/// Keyholder: its channels do not block, and it looks at the files it is given.
pub(super) const SIGN: &[Row] = &[
    only(
        named!(SYS_fcntl),
        &[&[
            int(1, libc::F_SETFL),
            within(2, (libc::O_NONBLOCK | libc::O_LARGEFILE) as u64),
        ]],
        "a session that does not read must not hold it up",
    ),
    only(
        named!(SYS_newfstatat),
        &[&[int(3, libc::AT_EMPTY_PATH)]],
        "the kind and the length of a file it is given",
    ),
    allow(named!(SYS_fstat), "the same, by other C libraries"),
];

/// Reader: the files and the directory it is given.
pub(super) const PARSE: &[Row] = &[
    allow(named!(SYS_statx), "facts about files, by the library"),
    allow(
        named!(SYS_newfstatat),
        "the same, of directories; older kernels",
    ),
    allow(named!(SYS_fstat), "the same, by older C libraries"),
    allow(named!(SYS_lseek), "how much of a file is left; directories"),
    allow(named!(SYS_getdents64), "host_config_dir"),
    only(
        named!(SYS_fcntl),
        &[&[int(1, libc::F_SETFD), int(2, libc::FD_CLOEXEC)]],
        "the library opens a directory it is given",
    ),
];

/// Greeter with TLS: the handshake, and the control connection carried to and from the worker.
pub(super) const CARRY: &[Row] = &[
    only(
        named!(SYS_setsockopt),
        &[
            &[int(1, libc::IPPROTO_TCP), int(2, libc::TCP_NODELAY)],
            &[int(1, libc::IPPROTO_TCP), int(2, libc::TCP_QUICKACK)],
        ],
        "no delay in a handshake",
    ),
    only(
        named!(SYS_setsockopt),
        &[
            &[int(1, libc::SOL_SOCKET), int(2, libc::SO_KEEPALIVE)],
            &[int(1, libc::SOL_SOCKET), int(2, libc::SO_OOBINLINE)],
        ],
        "the client's connection",
    ),
    only(
        named!(SYS_fcntl),
        &[
            &[
                int(1, libc::F_SETFL),
                within(2, (libc::O_NONBLOCK | libc::O_LARGEFILE) as u64),
            ],
            &[int(1, libc::F_DUPFD_CLOEXEC)],
        ],
        "both ends of what is carried, the way to the keyholder",
    ),
    only(
        named!(SYS_recvfrom),
        &[CONNECTED],
        "what is to be carried; never with an address",
    ),
    allow(named!(SYS_shutdown), "the end of what is carried"),
];

const fn stream(family: i32) -> [Test; 3] {
    [
        int(0, family),
        Test {
            argument: 1,
            mask: 0xFFFF_FFFF & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u64,
            value: libc::SOCK_STREAM as u64,
        },
        int(2, 0),
    ]
}

const IPV4: &[Test] = &stream(libc::AF_INET);
const IPV6: &[Test] = &stream(libc::AF_INET6);

/// Helper after login: data sockets, the log, the worker's end.
pub(super) const HELPER: &[Row] = &[
    mostly(
        named!(SYS_socket),
        &[IPV4, IPV6],
        error(EACCES),
        "data connections: TCP only; syslog(3) may try a second time",
    ),
    allow(named!(SYS_bind), "data connections: the port"),
    allow(named!(SYS_listen), "passive data connections"),
    allow(named!(SYS_connect), "active data connections"),
    only(
        named!(SYS_setsockopt),
        &[
            &[int(1, libc::SOL_SOCKET), int(2, libc::SO_REUSEADDR)],
            &[
                int(1, libc::IPPROTO_IP),
                int(2, libc::IP_BIND_ADDRESS_NO_PORT),
            ],
        ],
        "data connections: the port of the last one, or any that is free",
    ),
    only(
        named!(SYS_setsockopt),
        &[&[int(1, libc::SOL_SOCKET), int(2, libc::SO_RCVTIMEO)]],
        "a worker that says nothing is looked after now and then",
    ),
    only(
        named!(SYS_fcntl),
        &[&[int(1, libc::F_SETLK)]],
        "the lock on a log file",
    ),
    only(
        named!(SYS_ioctl),
        &[&[int(1, libc::TIOCOUTQ as i32)]],
        "whether the worker has taken the last answer",
    ),
    allow(named!(SYS_wait4), "the worker's end"),
    allow(
        named!(SYS_shutdown),
        "the end of a connection that a worker must not keep: without a master, or in a directory that does not answer",
    ),
];

/// Helper with `chown_uploads`.
pub(super) const GIVE: &[Row] = &[
    allow(named!(SYS_fstat), "what is given away is looked at"),
    only(
        named!(SYS_newfstatat),
        &[&[bits(3, libc::AT_EMPTY_PATH)]],
        "the same, as the C library of aarch64 and older ones ask",
    ),
    allow(
        named!(SYS_fstatfs),
        "what is given away is no file of the kernel's",
    ),
    allow(named!(SYS_fchown), "uploads are given to chown_username"),
];

/// Worker, whatever it may do: files are looked at and read, data moves.
pub(super) const READ: &[Row] = &[
    allow(named!(SYS_openat2), "files, within the root"),
    allow(
        named!(SYS_openat),
        "files: without openat2(2), and the root itself",
    ),
    allow(named!(SYS_newfstatat), "facts about files"),
    allow(named!(SYS_fstat), "facts about open files"),
    allow(named!(SYS_statx), "facts about open files, by the library"),
    allow(
        named!(SYS_fstatfs),
        "whether a file is the kernel's own; AVBL",
    ),
    allow(
        named!(SYS_faccessat2),
        "what MLSD and MLST say about permissions",
    ),
    allow(
        named!(SYS_faccessat),
        "the same, by kernels and libraries without faccessat2(2)",
    ),
    allow(
        named!(SYS_readlinkat),
        "links: listings, and the walk without openat2(2)",
    ),
    allow(named!(SYS_getdents64), "listings"),
    allow(named!(SYS_lseek), "REST, listings"),
    allow(named!(SYS_sendfile), "RETR"),
    allow(named!(SYS_umask), "SITE UMASK"),
    allow(named!(SYS_accept4), "passive data connections"),
    allow(named!(SYS_getpeername), "who has connected"),
    allow(named!(SYS_shutdown), "the end of a transfer, ABOR"),
    only(
        named!(SYS_getsockopt),
        &[&[int(1, libc::SOL_SOCKET), int(2, libc::SO_ERROR)]],
        "whether a data connection holds",
    ),
    only(
        named!(SYS_setsockopt),
        &[
            &[int(1, libc::IPPROTO_TCP), int(2, libc::TCP_NODELAY)],
            &[int(1, libc::IPPROTO_TCP), int(2, libc::TCP_QUICKACK)],
            &[int(1, libc::SOL_SOCKET), int(2, libc::SO_KEEPALIVE)],
            &[int(1, libc::SOL_SOCKET), int(2, libc::SO_OOBINLINE)],
            &[int(1, libc::SOL_SOCKET), int(2, libc::SO_SNDTIMEO)],
            &[int(1, libc::SOL_SOCKET), int(2, libc::SO_RCVTIMEO)],
        ],
        "control and data connections",
    ),
    only(
        named!(SYS_ioctl),
        &[&[int(1, libc::TIOCOUTQ as i32)]],
        "whether the client has every byte",
    ),
    only(
        named!(SYS_fcntl),
        &[
            &[
                int(1, libc::F_SETFL),
                within(2, (libc::O_NONBLOCK | libc::O_LARGEFILE) as u64),
            ],
            &[int(1, libc::F_SETLK)],
            &[int(1, libc::F_OFD_SETLK)],
            &[int(1, libc::F_DUPFD_CLOEXEC)],
        ],
        "blocking data connections, lock_upload_files",
    ),
];

/// The flags the C library starts a thread with, and no others.
#[cfg(not(target_env = "musl"))]
const THREAD_FLAGS: &[Test] = &[long(0, 0x003D_0F00)];
#[cfg(target_env = "musl")]
const THREAD_FLAGS: &[Test] = &[long(0, 0x007D_0F00)];

/// Worker: its one other thread.
pub(super) const THREAD: &[Row] = &[
    refuse(
        (435, "SYS_clone3"),
        error(ENOSYS),
        "its flags cannot be seen: glibc falls back to clone",
    ),
    only(
        named!(SYS_clone),
        &[THREAD_FLAGS],
        "the data thread; never a process",
    ),
    allow(
        named!(SYS_set_robust_list),
        "each thread of glibc, the end of one of musl",
    ),
    #[cfg(target_env = "musl")]
    refuse(
        named!(SYS_membarrier),
        error(ENOSYS),
        "tried by musl for the first thread: only its dlopen(3) needs it",
    ),
    refuse(
        named!(SYS_sched_getaffinity),
        error(ENOSYS),
        "tried by glibc for each thread",
    ),
    mostly(
        named!(SYS_prctl),
        &[&[int(0, libc::PR_SET_NAME)]],
        error(libc::EINVAL),
        "a thread's name; glibc names its memory",
    ),
    allow(
        named!(SYS_rseq),
        "each thread of glibc, which ends the process where it fails",
    ),
    allow(named!(SYS_sched_yield), "channels between the threads"),
    allow(named!(SYS_eventfd2), "waking the control thread"),
    mostly(
        named!(SYS_prlimit64),
        &[&[int(0, 0), int(1, libc::RLIMIT_NPROC as i32)]],
        error(EPERM),
        "no further thread; tried by glibc for the size of a stack",
    ),
];

/// Worker that may upload.
pub(super) const UPLOAD: &[Row] = &[
    allow(named!(SYS_ftruncate), "STOR over a file"),
    allow(
        named!(SYS_splice),
        "STOR, between the connection, a pipe and the file",
    ),
    only(
        named!(SYS_pipe2),
        &[&[int(1, libc::O_CLOEXEC)]],
        "STOR: the pipe, which nobody else ever holds",
    ),
    only(
        named!(SYS_fcntl),
        &[
            &[int(1, libc::F_SETPIPE_SZ)],
            &[int(1, libc::F_GETPIPE_SZ)],
            &[
                int(1, libc::F_SETFL),
                within(2, (libc::O_APPEND | libc::O_LARGEFILE) as u64),
            ],
        ],
        "STOR: the size of the pipe; APPE beside others",
    ),
    only(
        named!(SYS_pwritev2),
        &[&[int(2, 1), long(3, u64::MAX), int(5, libc::RWF_APPEND)]],
        "STOR: behind what is there",
    ),
    only(
        named!(SYS_sync_file_range),
        &[&[int(3, libc::SYNC_FILE_RANGE_WAIT_BEFORE as i32)]],
        "whether bytes were lost on their way to the disk",
    ),
    allow(named!(SYS_fchmod), "chown_upload_mode"),
    allow(named!(SYS_unlinkat), "uploads that fail"),
];

/// Worker that may upload, with `atomic_uploads`.
pub(super) const PUBLISH: &[Row] = &[
    allow(named!(SYS_renameat), "the name at the end"),
    allow(named!(SYS_renameat2), "the name at the end, if it is free"),
    allow(named!(SYS_fchmod), "the mode of the file that is replaced"),
    only(
        named!(SYS_fchown),
        &[&[int(1, -1)]],
        "its group, if it is one of the user's: no owner is changed",
    ),
    allow(named!(SYS_flistxattr), "which attributes it has besides"),
    allow(named!(SYS_fgetxattr), "whether the new one has them"),
    allow(named!(SYS_unlinkat), "what is left of an upload"),
    only(
        named!(SYS_fcntl),
        &[&[int(1, libc::F_OFD_SETLK)]],
        "one upload of a name at a time",
    ),
];

/// Worker that may upload, with `fsync_uploads`.
pub(super) const SYNC: &[Row] = &[allow(named!(SYS_fsync), "uploads the disk is to hold")];

/// Worker that may make directories.
pub(super) const MAKE: &[Row] = &[allow(named!(SYS_mkdirat), "MKD")];

/// Worker that may change what is there.
pub(super) const ALTER: &[Row] = &[
    allow(named!(SYS_unlinkat), "DELE, RMD"),
    allow(named!(SYS_renameat), "RNTO"),
    allow(
        named!(SYS_renameat2),
        "RNTO, by C libraries without renameat(2)",
    ),
    allow(named!(SYS_utimensat), "MDTM with a time"),
];

/// Worker that may change permissions.
pub(super) const CHMOD: &[Row] = &[
    allow((452, "SYS_fchmodat2"), "SITE CHMOD"),
    allow(named!(SYS_fchmod), "SITE CHMOD before Linux 6.6"),
    allow(
        named!(SYS_fchmodat),
        "SITE CHMOD of a file its owner may not open",
    ),
];

const LOCAL_STREAM: &[Test] = &[int(0, libc::AF_UNIX)];

/// Worker of a session that sees the host, with `text_userdb_names` or `tilde_user_enable`: the name service, by files or by the
/// socket of a daemon of this host. What else a module of it tries fails with an error.
pub(super) const NAMES: &[Row] = &[
    mostly(
        named!(SYS_socket),
        &[LOCAL_STREAM],
        error(EACCES),
        "nscd, sssd, winbind, userdb",
    ),
    allow(named!(SYS_connect), "nscd, sssd: sockets of this host only"),
    allow(named!(SYS_recvfrom), "nscd, sssd"),
    allow(named!(SYS_getuid), "modules of the name service"),
    allow(named!(SYS_geteuid), "modules of the name service"),
    allow(named!(SYS_getgid), "modules of the name service"),
    allow(named!(SYS_getegid), "modules of the name service"),
    only(
        named!(SYS_mmap),
        &[&[
            within(2, libc::PROT_READ as u64),
            bits(3, libc::MAP_SHARED | libc::MAP_PRIVATE),
        ]],
        "the caches of nscd and sssd",
    ),
    only(
        named!(SYS_getsockopt),
        &[&[int(1, libc::SOL_SOCKET), int(2, libc::SO_PEERCRED)]],
        "sssd",
    ),
    #[cfg(all(target_env = "musl", target_arch = "x86_64"))]
    allow(
        named!(SYS_open),
        "passwd and group, by musl: openat(2) opens as much",
    ),
    #[cfg(target_arch = "x86_64")]
    allow(named!(SYS_stat), "modules of the name service"),
    #[cfg(target_arch = "x86_64")]
    allow(named!(SYS_lstat), "modules of the name service"),
];
