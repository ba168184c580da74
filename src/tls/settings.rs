//! What holds for every TLS connection of the server: put together once by master, without any key. What follows from it is made in the
//! process that serves the connection.

use crate::config::Loaded;
use crate::wire::{Authority, Identity};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The settings.
#[derive(Debug)]
pub struct Settings {
    /// The options of the server.
    pub loaded: Loaded,
    /// The certificates the keyholder has the keys of.
    pub identities: Vec<Identity>,
    /// The authorities it has read.
    pub authorities: Vec<Authority>,
}

/// What a session needs to end TLS: the settings, and its own channel to the keyholder.
#[derive(Debug)]
pub struct Secure {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The session's end of the channel.
    pub keys: OwnedFd,
}
