//! Names of addresses and addresses of names, from the host's name service (getnameinfo(3), getaddrinfo(3)); helper, for tcp_wrappers.

use nix::sys::socket::{SockaddrLike, SockaddrStorage};
use std::ffi::{CStr, c_char};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// Room for a name: NI_MAXHOST of getnameinfo(3).
const ROOM: usize = 1025;

/// The name the name service gives an address, as it stands; `None` when there is none or no answer. It may block for as long
/// as resolv.conf(5) lets it. Whoever rules the address's reverse zone chooses the name: look it up again before you believe it.
#[must_use]
pub fn name(address: IpAddr) -> Option<String> {
    let mut room: [c_char; ROOM] = [0; ROOM];
    let size = libc::socklen_t::try_from(ROOM).ok()?;
    let socket = SockaddrStorage::from(SocketAddr::new(address, 0));
    // SAFETY: nix gives a pointer to a whole socket address and its length, the room is as large as said, no service is asked
    // for, and all of it outlives the call.
    let result = unsafe {
        libc::getnameinfo(
            socket.as_ptr(),
            socket.len(),
            room.as_mut_ptr(),
            size,
            std::ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    if result != 0 {
        return None;
    }
    // SAFETY: getnameinfo succeeded, so the room holds a string that ends in NUL; it is not written to while borrowed.
    let name = unsafe { CStr::from_ptr(room.as_ptr()) };
    name.to_str()
        .ok()
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
}

/// All addresses of a name; empty when it has none or there is no answer.
#[must_use]
pub fn addresses(name: &str) -> Vec<IpAddr> {
    (name, 0).to_socket_addrs().map_or_else(
        |_| Vec::new(),
        |found| found.map(|address: SocketAddr| address.ip()).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::{addresses, name};
    use std::net::Ipv4Addr;

    #[test]
    fn the_loopback_has_a_name() {
        let here = Ipv4Addr::LOCALHOST.into();
        // A host without /etc/hosts has no name for it; what counts is that the two directions agree.
        if let Some(name) = name(here) {
            assert!(!name.contains('\0'));
            assert!(addresses(&name).contains(&here), "{name}");
        }
        assert!(addresses("").is_empty());
        assert!(addresses("no such name").is_empty());
    }

    #[test]
    fn addresses_for_documentation_have_none() {
        assert_eq!(
            name("192.0.2.1".parse().unwrap_or(Ipv4Addr::UNSPECIFIED.into())),
            None
        );
    }
}
