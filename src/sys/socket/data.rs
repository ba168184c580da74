//! Data connections, and the client's socket once somebody may read it; greeter, worker, and helper after login.

use super::{Fuse, Parcel, send_now, wait};
use crate::sys::confine::Confined;
use crate::sys::memory;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{
    self, AddressFamily, Backlog, MsgFlags, SockFlag, SockType, SockaddrLike, SockaddrStorage,
    sockopt,
};
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// The peer has ended its direction (poll(2)); nix has no name for it.
pub const PEER_ENDED: PollFlags = PollFlags::from_bits_retain(libc::POLLRDHUP);

impl Parcel {
    /// Opens the parcel, in a process that has given up its rights.
    pub fn open(self, _: Confined) -> OwnedFd {
        self.0
    }

    /// Lends the socket to a process that has given up its rights but does not keep it: the greeter.
    pub fn lend(&self, _: Confined) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Fuse {
    /// [`Fuse::blow`], after a last word to a client whose session has not begun.
    pub fn blow_with(self, bytes: &[u8]) {
        send_now(self.0.as_fd(), bytes);
        self.blow();
    }
}

/// Takes one waiting data connection, which does not block either, with its peer's address, an IPv4-mapped one as the kernel gives it.
///
/// # Errors
/// Nothing waits (`WouldBlock`), or the kernel cannot give it now.
pub fn accept_data(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let room = size_of::<libc::sockaddr_storage>();
    let mut length = libc::socklen_t::try_from(room).unwrap_or(0);
    let address = storage.as_mut_ptr().cast::<libc::sockaddr>();
    // SAFETY: address points to as many writable bytes as length says, and both outlive the call.
    let raw =
        unsafe { libc::accept4(listener.as_raw_fd(), address, &raw mut length, flags.bits()) };
    let raw = Errno::result(raw)?;
    // SAFETY: accept4 has just made this descriptor and nothing else knows it.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    // SAFETY: address points to a whole sockaddr_storage, zeroed, into which the kernel has written what length says.
    let peer = unsafe { SockaddrStorage::from_raw(address, Some(length)) };
    Ok((socket, plain(peer.ok_or(Errno::EAFNOSUPPORT)?)?))
}

/// A mapped IPv4 address as IPv4, anything else as it is: how addresses are compared (attacks B-034).
pub fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// Another port of an address, as [`canonical`] has it; a link-local one is nothing without its interface (RFC 4007).
pub fn at_port(address: SocketAddr, port: u16) -> SocketAddr {
    match (canonical(address.ip()), address) {
        (IpAddr::V6(ip), SocketAddr::V6(six)) => {
            SocketAddrV6::new(ip, port, 0, six.scope_id()).into()
        }
        (ip, _) => SocketAddr::new(ip, port),
    }
}

/// As [`wait`], for a client that may be idle: after a moment of silence this process gives back the memory it does not use.
///
/// # Errors
/// As [`wait`].
pub fn wait_for_client(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<bool> {
    /// Longer than clients take between two commands.
    const MOMENT: Duration = Duration::from_millis(300);
    let moment = Instant::now().checked_add(MOMENT);
    if moment.is_some_and(|moment| deadline.is_none_or(|deadline| moment < deadline)) {
        if wait(fds, moment)? {
            return Ok(true);
        }
        memory::give_back();
    }
    wait(fds, deadline)
}

/// A socket that listens for one data connection on this address at a port of `ports`, or `None` when all of them are taken.
///
/// # Errors
/// Anything but a taken port.
pub fn listen_data(
    address: SocketAddr,
    ports: std::ops::RangeInclusive<u16>,
) -> io::Result<Option<(OwnedFd, u16)>> {
    let (first, last) = (u32::from(*ports.start()), u32::from(*ports.end()));
    let width = last.saturating_sub(first).saturating_add(1);
    let start = random()?.checked_rem(width).unwrap_or(0);
    let socket = stream(
        address.ip(),
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
    )?;
    // A port whose last connection lingers in TIME_WAIT is free for us; one that another socket listens on is not.
    socket::setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    // Every port of a small range is tried; of a large one enough of them, from a random place on.
    for step in 0..width.min(1024) {
        let offset = start.wrapping_add(step).checked_rem(width).unwrap_or(0);
        let Ok(port) = u16::try_from(first.saturating_add(offset)) else {
            continue;
        };
        match socket::bind(
            socket.as_raw_fd(),
            &SockaddrStorage::from(at_port(address, port)),
        ) {
            Ok(()) => {}
            Err(Errno::EADDRINUSE | Errno::EACCES) => continue,
            Err(error) => return Err(error.into()),
        }
        match socket::listen(&socket, Backlog::new(1)?) {
            Ok(()) => return Ok(Some((socket, port))),
            // Bound beside a listener of the same port (both with SO_REUSEADDR): a bound socket cannot be bound again.
            Err(Errno::EADDRINUSE) => return listen_data(address, ports),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// A non-blocking socket on its way from `from` (port 0 = any) to `to`; refused at once is an error.
///
/// # Errors
/// The source cannot be bound or the connection is refused at once.
pub fn connect_data(from: SocketAddr, to: SocketAddr) -> io::Result<OwnedFd> {
    let socket = stream(from.ip(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK)?;
    socket::setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    if from.port() == 0 {
        // Chosen when the peer is known: the search does not get longer with every connection that lingers (ip(7)).
        let _ = socket::setsockopt(&socket, sockopt::IpBindAddressNoPort, &true);
    }
    socket::bind(socket.as_raw_fd(), &SockaddrStorage::from(from))?;
    match socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// The error a connecting socket has ended with, if any.
///
/// # Errors
/// The connection failed, with the reason.
pub fn connected(socket: BorrowedFd<'_>) -> io::Result<()> {
    match socket::getsockopt(&socket, sockopt::SocketError)? {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Prepares the client's control connection: urgent data in line, no delay, keep-alive (reference §2.7 step 15).
///
/// # Errors
/// The peer is gone.
pub fn control_options(socket: BorrowedFd<'_>) -> io::Result<()> {
    socket::setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
    socket::setsockopt(&socket, sockopt::KeepAlive, &true)?;
    Ok(socket::setsockopt(&socket, sockopt::OobInline, &true)?)
}

/// Has every piece sent at once: records that wait for the acknowledgement of those before cost 40 ms (attacks, reference §9.6).
///
/// # Errors
/// The peer is gone.
pub fn at_once(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(socket::setsockopt(&socket, sockopt::TcpNoDelay, &true)?)
}

/// Acknowledges what has come at once, until the kernel thinks otherwise (tcp(7), TCP_QUICKACK): a peer that sends the end of its
/// handshake in two pieces holds the second back until then, 40 ms (RFC 896).
pub fn acknowledge(socket: BorrowedFd<'_>) {
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of_val(&on)).unwrap_or(0);
    // SAFETY: the kernel reads `size` bytes of `on`, which outlives the call; a refusal leaves the default.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_QUICKACK,
            (&raw const on).cast(),
            size,
        );
    }
}

/// Prepares a data connection that is received from: blocking, keep-alive, and an error instead of waiting longer than `stall`.
///
/// # Errors
/// The peer is gone.
pub fn receives(socket: BorrowedFd<'_>, stall: Option<Duration>) -> io::Result<()> {
    nix::fcntl::fcntl(
        socket,
        nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty()),
    )?;
    if let Some(stall) = stall {
        socket::setsockopt(&socket, sockopt::SendTimeout, &time(stall))?;
        patient(socket, stall)?;
    }
    sends(socket)
}

/// Has whoever receives from a socket wait no longer than that: then it is an error (`WouldBlock`).
///
/// # Errors
/// Not a socket.
pub fn patient(socket: BorrowedFd<'_>, most: Duration) -> io::Result<()> {
    Ok(socket::setsockopt(
        &socket,
        sockopt::ReceiveTimeout,
        &time(most),
    )?)
}

fn time(of: Duration) -> nix::sys::time::TimeVal {
    nix::sys::time::TimeVal::new(i64::try_from(of.as_secs()).unwrap_or(i64::MAX), 0)
}

/// Prepares a data connection that is sent to: keep-alive. It stays non-blocking, because a blocking call counts its time anew for each
/// piece that it splits its work into, sendfile(2) four times.
///
/// # Errors
/// The peer is gone.
pub fn sends(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(socket::setsockopt(&socket, sockopt::KeepAlive, &true)?)
}

/// Says that nothing more will be sent.
///
/// # Errors
/// The connection is gone.
pub fn finish(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(socket::shutdown(
        socket.as_raw_fd(),
        socket::Shutdown::Write,
    )?)
}

/// As [`send_some`], for the last bytes before [`finish`]: the kernel keeps them until then, so that the end mark travels with them and
/// both are acknowledged at once.
///
/// # Errors
/// The peer is gone.
pub fn send_last(on: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<Option<usize>> {
    send_with(on, bytes, MsgFlags::from_bits_retain(libc::MSG_MORE))
}

/// Reads what is there.
///
/// # Errors
/// The peer is gone, or the receive timeout passed (`WouldBlock`).
pub fn receive(from: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match nix::unistd::read(from, into) {
            Ok(count) => return Ok(count),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// 32 bits nobody can predict (attacks B-044).
fn random() -> io::Result<u32> {
    let mut bytes = [0_u8; 4];
    // SAFETY: getrandom writes at most `len` bytes into the buffer, which is that long.
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if usize::try_from(count) == Ok(bytes.len()) {
        Ok(u32::from_ne_bytes(bytes))
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sends what fits without waiting, `None` if nothing does; SIGPIPE never comes.
///
/// # Errors
/// The peer is gone.
pub fn send_some(on: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<Option<usize>> {
    send_with(on, bytes, MsgFlags::empty())
}

fn send_with(on: BorrowedFd<'_>, bytes: &[u8], flags: MsgFlags) -> io::Result<Option<usize>> {
    let flags = flags | MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    loop {
        match socket::send(on.as_raw_fd(), bytes, flags) {
            Ok(sent) => return Ok(Some(sent)),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

fn stream(ip: IpAddr, flags: SockFlag) -> io::Result<OwnedFd> {
    let family = if ip.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    Ok(socket::socket(family, SockType::Stream, flags, None)?)
}

fn plain(address: SockaddrStorage) -> io::Result<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        Ok(SocketAddrV4::new(v4.ip(), v4.port()).into())
    } else if let Some(v6) = address.as_sockaddr_in6() {
        Ok((*v6).into())
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}
