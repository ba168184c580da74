//! Sockets: listening, accepting, and the message pairs between processes; no socket is made outside this directory.

mod data;

pub use data::{
    PEER_ENDED, accept_data, acknowledge, at_once, at_port, canonical, connect_data, connected,
    control_options, finish, listen_data, patient, receive, receives, send_last, send_some, sends,
    wait_for_client,
};

use super::heap;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{
    self, AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, sockopt,
};
use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// A descriptor of the client's that its holder passes on and never reads, writes or asks about.
#[derive(Debug)]
pub struct Parcel(OwnedFd);

impl Parcel {
    /// Wraps the client's socket.
    pub fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Tells the client why the session ends before it began; nothing is read.
    pub fn last_word(&self, bytes: &[u8]) {
        send_now(self.0.as_fd(), bytes);
    }

    /// What ends the connection, for a helper without a master that would end what is left of a session.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn fuse(&self) -> io::Result<Fuse> {
        self.0.try_clone().map(Fuse)
    }

    /// The number to keep open across a fork.
    pub fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The client's socket for nothing but its end.
#[derive(Debug)]
pub struct Fuse(OwnedFd);

impl Fuse {
    /// Ends the connection, whoever else has its socket.
    pub fn blow(self) {
        shut(self.0.as_fd());
    }
}

/// A connected pair for messages: sequenced packets, close-on-exec.
///
/// # Errors
/// No descriptors or memory left.
pub fn message_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SockType::SeqPacket)
}

/// A connected pair for a stream of bytes, close-on-exec: the control connection between its carrier and the worker.
///
/// # Errors
/// No descriptors or memory left.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SockType::Stream)
}

fn pair(kind: SockType) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socket::socketpair(AddressFamily::Unix, kind, None, flags)?)
}

/// Whether the peer of this pair has gone, whatever it has left to read.
pub fn is_alone(socket: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(socket, PollFlags::empty())];
    wait(&mut fds, Some(Instant::now())).unwrap_or(true)
}

/// The process that made this pair (unix(7), SO_PEERCRED).
///
/// # Errors
/// It is no pair.
pub fn maker(of: BorrowedFd<'_>) -> io::Result<nix::unistd::Pid> {
    let credentials = socket::getsockopt(&of, sockopt::PeerCredentials)?;
    Ok(nix::unistd::Pid::from_raw(credentials.pid()))
}

/// Sends one datagram with at most one descriptor; blocks while the peer is behind.
///
/// # Errors
/// The peer is gone.
pub fn send_message(
    on: BorrowedFd<'_>,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let iov = [IoSlice::new(bytes)];
    let raw = descriptor.map(|descriptor| [descriptor.as_raw_fd()]);
    let control = raw.as_ref().map(|raw| ControlMessage::ScmRights(raw));
    loop {
        match socket::sendmsg::<()>(
            on.as_raw_fd(),
            &iov,
            control.as_slice(),
            MsgFlags::MSG_NOSIGNAL,
            None,
        ) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Most messages are no longer, and take no other memory than where all that is small lies.
pub const NEAR: usize = 512;

/// Waits for one datagram of at most `most` bytes and at most one descriptor; `into` has it then, and is empty when the peer has
/// closed.
///
/// # Errors
/// The kernel's word; a datagram or descriptors that were cut short are `InvalidData`.
pub fn receive_message(
    on: BorrowedFd<'_>,
    into: &mut Vec<u8>,
    most: usize,
) -> io::Result<Option<OwnedFd>> {
    // Nothing is cleared beforehand: memory that no datagram reaches is never touched.
    let near = most.min(NEAR);
    into.clear();
    into.reserve_exact(near);
    let rest = most.saturating_sub(near);
    let (mut lent, mut own) = (heap::Overflow::borrow(rest), Vec::new());
    let far = match &mut lent {
        Some(lent) => lent.room().as_mut_ptr(),
        None => {
            own.reserve_exact(rest);
            own.as_mut_ptr()
        }
    };
    let place = |begin: *mut u8, length| libc::iovec {
        iov_base: begin.cast(),
        iov_len: length,
    };
    let mut iov = [place(into.as_mut_ptr(), near), place(far, rest)];
    let mut space = Rights::default();
    // SAFETY: a msghdr of zeros is a valid value of that plain C struct: no name, no buffers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = iov.as_mut_ptr();
    message.msg_iovlen = length(iov.len());
    message.msg_control = (&raw mut space).cast();
    // Room for one descriptor: a second one is cut off by the kernel, which the flag below reports.
    message.msg_controllen = length(Rights::LENGTH);
    let count = loop {
        // SAFETY: every pointer in the message is to live memory of the length beside it, which is reserved.
        let count =
            unsafe { libc::recvmsg(on.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        match Errno::result(count) {
            Ok(count) => break usize::try_from(count).unwrap_or(0),
            // One that has gone without hearing all is told of once; what it has said before lies behind that.
            Err(Errno::EINTR | Errno::ECONNRESET) => {}
            Err(error) => return Err(error.into()),
        }
    };
    // SAFETY: the kernel has written that many bytes, and never more than are reserved.
    unsafe { into.set_len(count.min(near)) };
    let more = count.saturating_sub(near).min(rest);
    if more > 0 {
        // SAFETY: as above, and there nobody else reads or writes.
        let more = unsafe { std::slice::from_raw_parts_mut(far, more) };
        into.extend_from_slice(more);
        zeroize::Zeroize::zeroize(more);
    }
    let descriptor = space.take();
    if message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(descriptor)
}

/// One control message with one descriptor (cmsg(3)), as the kernel fills it in.
#[repr(C)]
#[derive(Default)]
struct Rights {
    length: usize,
    level: libc::c_int,
    kind: libc::c_int,
    descriptor: libc::c_int,
}

impl Rights {
    /// Without padding behind the descriptor, where another one would fit.
    const LENGTH: usize = std::mem::offset_of!(Self, descriptor) + size_of::<libc::c_int>();

    /// The descriptor, if the kernel has filled the message with one.
    fn take(self) -> Option<OwnedFd> {
        let found = (self.length, self.level, self.kind);
        let filled = found == (Self::LENGTH, libc::SOL_SOCKET, libc::SCM_RIGHTS);
        // SAFETY: the kernel has just installed this descriptor for this process and nothing else knows it.
        filled.then(|| unsafe { OwnedFd::from_raw_fd(self.descriptor) })
    }
}

/// A length as this C library declares it in `msghdr`: the widths differ.
fn length<T: TryFrom<usize> + Default>(bytes: usize) -> T {
    T::try_from(bytes).unwrap_or_default()
}

/// A listening socket for control connections.
///
/// # Errors
/// The address is taken, forbidden or not this host's.
pub fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpListener::bind(at)?;
    socket.set_nonblocking(true)?;
    urgent_in_line(socket.as_fd())?;
    // Instead of the library's 128. The kernel caps it at net.core.somaxconn; the original's 32 loses bursts. A number above the C
    // library's SOMAXCONN, 128 with musl, is not taken here; the largest is.
    let backlog = Backlog::new(1024).unwrap_or(Backlog::MAXALLOWABLE);
    socket::listen(&socket, backlog)?;
    Ok(socket)
}

/// Leaves a client's urgent bytes where they were sent, before login too (attacks B-053). Connections have it from what they were accepted
/// from, which costs them nothing.
///
/// # Errors
/// Not a socket.
pub fn urgent_in_line(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(socket::setsockopt(&socket, sockopt::OobInline, &true)?)
}

/// Whether the socket takes connections.
pub fn is_listening(socket: BorrowedFd<'_>) -> bool {
    socket::getsockopt(&socket, sockopt::AcceptConn).unwrap_or(false)
}

/// Makes calls on the socket return at once.
///
/// # Errors
/// Not a descriptor.
pub fn nonblocking(socket: BorrowedFd<'_>) -> io::Result<()> {
    let flags = nix::fcntl::OFlag::O_NONBLOCK;
    nix::fcntl::fcntl(socket, nix::fcntl::FcntlArg::F_SETFL(flags))?;
    Ok(())
}

/// Ends both directions of a connection, which wakes whoever is blocked on it in another thread.
pub fn shut(socket: BorrowedFd<'_>) {
    // The peer may have been faster; then there is nothing to end.
    let _ = socket::shutdown(socket.as_raw_fd(), socket::Shutdown::Both);
}

/// Waits until `fd` has something of `events` or the deadline passes.
///
/// # Errors
/// The kernel's word, never an interruption.
pub fn wait(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let timeout = deadline.map_or(PollTimeout::NONE, |at| {
            // Rounded up, so that a deadline is never reached early and polled for in a loop.
            const PART: Duration = Duration::from_nanos(999_999);
            let left = at.saturating_duration_since(Instant::now());
            PollTimeout::try_from(left.saturating_add(PART)).unwrap_or(PollTimeout::MAX)
        });
        match nix::poll::poll(fds, timeout) {
            Ok(count) => return Ok(count > 0),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits for input on one descriptor.
///
/// # Errors
/// As [`wait`].
pub fn readable(fd: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<bool> {
    wait(&mut [PollFd::new(fd, PollFlags::POLLIN)], deadline)
}

/// Waits until one descriptor takes something.
///
/// # Errors
/// As [`wait`].
pub fn writable(fd: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<bool> {
    wait(&mut [PollFd::new(fd, PollFlags::POLLOUT)], deadline)
}

/// Sends what fits without waiting, for a last word to a client nobody will wait for; SIGPIPE never comes.
pub fn send_now(on: BorrowedFd<'_>, bytes: &[u8]) {
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    // The client is being turned away: if it does not take the reason, nothing is lost.
    let _ = socket::send(on.as_raw_fd(), bytes, flags);
}

/// Bytes the peer's kernel has not acknowledged yet, the end mark counted as one (tcp(7), SIOCOUTQ); of a local socket, something that is
/// 0 when the peer has read all.
///
/// # Errors
/// Another kind of descriptor.
pub fn unacknowledged(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut left: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (= TIOCOUTQ) writes one int through the pointer, which outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut left) };
    Errno::result(result)?;
    Ok(usize::try_from(left).unwrap_or(0))
}
