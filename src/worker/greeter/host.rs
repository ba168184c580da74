//! The welcome, and HOST, which is answered with one; greeter.

use super::{Exit, Greeter, commands};
use crate::config::HostName;
use crate::ftp::reply;
use crate::wire::{BeforeLogin, BeforeLoginReply};
use std::os::unix::ffi::OsStrExt;

impl Greeter<'_> {
    /// 220, with the text of `banner_file`, else `ftpd_banner`.
    pub(super) fn welcome(&mut self, text: Option<Vec<u8>>) {
        if let Some(text) = text {
            for line in reply::lines(&text) {
                self.dash(220, line);
            }
            self.reply(220, b"");
            return;
        }
        let banner = self.config.ftpd_banner.as_deref();
        let banner = banner.map(OsStrExt::as_bytes);
        self.reply(220, banner.unwrap_or(b"(vsFTPd 3.0.5)"));
    }

    /// HOST (RFC 7151): the last one counts, and a USER before it does not.
    pub(super) fn host(&mut self, arg: &[u8]) -> Result<(), Exit> {
        let known = commands::hosts(self.config);
        let Some(name) = HostName::parse(arg).filter(|_| known) else {
            self.bear()?;
            if known {
                self.reply(501, b"HOST takes the name of a host, without a port.");
            } else {
                self.reply(502, b"HOST not implemented.");
            }
            return Ok(());
        };
        if self.host.is_some() {
            self.bear()?;
        }
        // RFC 7151, 3.2.2.
        if self.asked.as_ref().is_some_and(|asked| *asked != name) {
            self.bear()?;
            self.reply(504, b"TLS has named another host.");
            return Ok(());
        }
        let question = BeforeLogin::Host {
            name: name.as_str().as_bytes().to_vec(),
        };
        match self.ask(&question)? {
            BeforeLoginReply::Host { banner } => {
                self.pend(None);
                let loaded = self.base.hosts.get(&name).unwrap_or(self.base);
                self.config = &loaded.config;
                self.host = Some(name);
                self.welcome(banner);
                Ok(())
            }
            BeforeLoginReply::NoHost => {
                self.bear()?;
                self.reply(504, b"No such host.");
                Ok(())
            }
            reply @ (BeforeLoginReply::Ask
            | BeforeLoginReply::Denied
            | BeforeLoginReply::Failed
            | BeforeLoginReply::DeniedLast
            | BeforeLoginReply::FailedLast
            | BeforeLoginReply::Granted
            | BeforeLoginReply::Carry { worker: _ }
            | BeforeLoginReply::Oops(_)) => self.conclude(reply),
        }
    }
}
