//! What a helper tells master about its session, over one socket that all of them share: the kernel says who has sent it, so that a
//! report names nobody and has no byte of a client's.

use super::kinds::messages;

/// From helper to master; no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// A name or a password was refused.
    LoginFailed,
    /// The handshake of the control connection begins.
    Handshake,
}

messages! { Report, 1;
    1 LoginFailed;
    2 Handshake;
}
