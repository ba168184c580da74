//! Datagrams without descriptors whose sender the kernel names (unix(7), SO_PASSCRED): helper's end and master's.

use super::socket;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, cmsg_space, recvmsg, setsockopt, sockopt};
use nix::unistd::Pid;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A pair: the end that is told who speaks, and the end that many processes may share, none of which waits for room.
///
/// # Errors
/// No descriptors or memory left.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (hears, speaks) = socket::message_pair()?;
    setsockopt(&hears, sockopt::PassCred, &true)?;
    socket::nonblocking(speaks.as_fd())?;
    Ok((hears, speaks))
}

/// Room for the name, on the stack: master asks for each client, and must not write to its heap for that (see `Master::admit`).
#[repr(align(8))]
struct Room([u8; SPACE]);

const SPACE: usize = cmsg_space::<libc::ucred>();

/// Takes one datagram with the process that sent it; `None` when none waits. One longer than `into` fills it.
///
/// # Errors
/// The kernel's word.
pub fn receive(on: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<Option<(Pid, usize)>> {
    let mut room = Room([0; SPACE]);
    loop {
        let mut iov = [IoSliceMut::new(into)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(on.as_raw_fd(), &mut iov, Some(&mut room.0), flags) {
            Ok(message) => {
                let sender = message.cmsgs()?.find_map(|part| {
                    if let ControlMessageOwned::ScmCredentials(of) = part {
                        Some(Pid::from_raw(of.pid()))
                    } else {
                        None
                    }
                });
                return Ok(sender.map(|sender| (sender, message.bytes)));
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{pair, receive};
    use crate::sys::socket::send_message;
    use nix::unistd::Pid;
    use std::os::fd::AsFd;

    #[test]
    fn the_sender_is_named_by_the_kernel() {
        let (hears, speaks) = pair().unwrap();
        let mut into = [0; 2];
        assert_eq!(receive(hears.as_fd(), &mut into).unwrap(), None);
        send_message(speaks.as_fd(), b"a", None).unwrap();
        send_message(speaks.as_fd(), b"bcd", None).unwrap();
        assert_eq!(
            receive(hears.as_fd(), &mut into).unwrap(),
            Some((Pid::this(), 1))
        );
        assert_eq!(into[0], b'a');
        assert_eq!(
            receive(hears.as_fd(), &mut into).unwrap(),
            Some((Pid::this(), 2))
        );
        assert_eq!(receive(hears.as_fd(), &mut into).unwrap(), None);
    }

    #[test]
    fn a_full_queue_is_not_waited_for() {
        let (hears, speaks) = pair().unwrap();
        let sent = (0..100_000).take_while(|_| send_message(speaks.as_fd(), b"a", None).is_ok());
        assert!(sent.count() < 100_000);
        drop(hears);
        assert!(send_message(speaks.as_fd(), b"a", None).is_err());
    }
}
