//! HOST (RFC 7151): the settings of the host that the client names, before it logs in; helper, still root.

use super::journal::Journal;
use super::login::{self, Gate};
use super::prepared::{Held, Prepared};
use crate::config::HostName;
use crate::wire::BeforeLoginReply;
use std::net::IpAddr;

impl Gate<'_, '_> {
    /// HOST: the name leads to settings that were read at start, never to a file. `None`: it is no name, and the session is over.
    pub fn host(
        &mut self,
        name: &[u8],
        local: IpAddr,
        journal: &mut Journal,
    ) -> Option<BeforeLoginReply> {
        let Some(name) = HostName::parse(name) else {
            journal.note(b"greeter: a name that is none; session ended");
            return None;
        };
        let base = self.base();
        let Some(prepared) = found(base, &name, local) else {
            journal
                .note(format!("HOST {name}: there is no such file in host_config_dir").as_bytes());
            return Some(BeforeLoginReply::NoHost);
        };
        let chosen = prepared.and_then(|prepared| {
            let banner = login::banner(prepared.config())?;
            Ok((prepared, banner))
        });
        Some(match chosen {
            Ok((prepared, banner)) => {
                self.settle_host(Held::from(prepared));
                BeforeLoginReply::Host { banner }
            }
            Err(text) => {
                journal.note(format!("HOST {name}: {text}").as_bytes());
                BeforeLoginReply::Oops(login::public(&text).into())
            }
        })
    }
}

/// The settings of the name; the server's own for its own address. `None`: there is no such host.
fn found(base: &Prepared, name: &HostName, local: IpAddr) -> Option<Result<Prepared, String>> {
    let address = name.address();
    if address.is_some_and(|address| address.to_canonical() != local.to_canonical()) {
        return None;
    }
    match base.loaded.hosts.get(name) {
        Some(loaded) => Some(base.with(loaded.clone())),
        None => address.map(|_| Ok(base.clone())),
    }
}
