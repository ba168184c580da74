//! What worker may ask of helper once a user is logged in, and what helper answers.

use super::codec::{Decoder, Encoder, Malformed, Message};
use super::event::Event;
use super::kinds::{File, Short, messages};
use nix::errno::Errno;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

/// From worker to helper.
#[derive(Debug)]
pub enum AfterLogin {
    /// The worker has arrived in its directory and has given up everything; no reply.
    Arrived,
    /// A listening socket for one passive data connection, on the address the client reached us by.
    ListenPassive,
    /// A socket that is connecting to this port of the client's own address.
    ConnectActive {
        /// The client's port; below 1024 the helper refuses.
        port: u16,
    },
    /// A socket that is connecting to a third party; the helper refuses unless `port_promiscuous=YES`.
    ConnectForeign {
        /// Where to.
        to: SocketAddr,
    },
    /// Something for the log; no reply.
    Event(Event),
    /// An upload is to be given to `chown_username`; the helper refuses unless `chown_uploads=YES` and the file is the session's.
    Chown {
        /// The file.
        file: OwnedFd,
    },
}

/// From helper to worker.
#[derive(Debug)]
pub enum AfterLoginReply {
    /// The first word, which nobody has asked for: helper has given up its rights, and the user may be served.
    Ready,
    /// A socket that listens.
    Listening {
        /// The port clients are told for it.
        port: u16,
        /// The socket, non-blocking, close-on-exec.
        socket: OwnedFd,
    },
    /// A socket on its way to the client: writable when connected, `SO_ERROR` otherwise.
    Connecting {
        /// The socket, non-blocking, close-on-exec.
        socket: OwnedFd,
    },
    /// The file has its new owner.
    Owned,
    /// There is none: the range is exhausted, the port is forbidden, or the address did not answer; or the file is not
    /// given away. The log has the reason.
    Unavailable,
}

/// Whether the kernel does not take the descriptor, because processes of the sender's user have too many on their way (unix(7),
/// ETOOMANYREFS): another time it may.
pub fn is_crowded(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::ETOOMANYREFS as i32)
}

impl Message for AfterLogin {
    const MAX: usize = Event::MAX + 1;

    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        match self {
            Self::ListenPassive => {
                out.tag(1);
            }
            Self::ConnectActive { port } => {
                out.tag(2).short(*port);
            }
            Self::ConnectForeign { to } => {
                match to.ip() {
                    IpAddr::V4(ip) => out.tag(3).text(&ip.octets()),
                    IpAddr::V6(ip) => out.tag(3).text(&ip.octets()),
                }
                .short(to.port());
            }
            Self::Event(event) => event.encode(out.tag(4)),
            Self::Chown { file } => out.tag(5).attach(file.as_fd()),
            Self::Arrived => {
                out.tag(6);
            }
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            1 => Self::ListenPassive,
            2 => Self::ConnectActive {
                port: from.short()?,
            },
            3 => {
                let octets = from.text(16)?;
                let ip: IpAddr = if let Ok(four) = <[u8; 4]>::try_from(octets.as_slice()) {
                    Ipv4Addr::from(four).into()
                } else if let Ok(sixteen) = <[u8; 16]>::try_from(octets.as_slice()) {
                    Ipv6Addr::from(sixteen).into()
                } else {
                    return Err(Malformed);
                };
                Self::ConnectForeign {
                    to: SocketAddr::new(ip, from.short()?),
                }
            }
            4 => Self::Event(Event::decode(from)?),
            5 => Self::Chown {
                file: from.descriptor()?,
            },
            6 => Self::Arrived,
            _ => return Err(Malformed),
        })
    }
}

messages! { AfterLoginReply, 3;
    1 Listening { port: Short, socket: File };
    2 Connecting { socket: File };
    3 Unavailable;
    4 Owned;
    5 Ready;
}
