//! Reads the files of `host_config_dir`, one for each name of the server; runs in the reader, without rights.

use super::hosts::{HostName, Hosts};
use super::loaded::{Loaded, Mistake};
use super::options::Scope;
use super::view::{How, View};
use nix::dir::Dir;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

impl Hosts {
    /// Reads the files of `host_config_dir` over these settings.
    ///
    /// # Errors
    /// Every mistake in one of them.
    pub(super) fn read(view: &dyn View, base: &Loaded) -> Result<Self, Vec<Mistake>> {
        let Some(directory) = base.config.host_config_dir.as_deref() else {
            return Ok(Self::default());
        };
        let wrong = |text: String| Mistake {
            origin: base.origin("host_config_dir").clone(),
            text,
        };
        let directory = Path::new(directory);
        let unreadable = |error: std::io::Error| {
            vec![wrong(format!(
                "cannot read host_config_dir {}: {error}",
                directory.display()
            ))]
        };
        let (mut found, mut mistakes) = (Vec::new(), Vec::new());
        let listed = view.open(directory, How::Directory).map_err(unreadable)?;
        let listed = Dir::from_fd(listed).map_err(|error| unreadable(error.into()))?;
        for entry in listed {
            let entry = entry.map_err(|error| unreadable(error.into()))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            let path = directory.join(name);
            let parsed = HostName::parse(name.as_bytes());
            let Some(host) = parsed.filter(|host| host.as_str().as_bytes() == name.as_bytes())
            else {
                mistakes.push(wrong(format!(
                    "{} has not the name of a host: letters are small, addresses of IPv6 short and in brackets; move it elsewhere",
                    path.display()
                )));
                continue;
            };
            if found.len() >= Self::MOST {
                mistakes.push(wrong(format!(
                    "host_config_dir has more than {} files",
                    Self::MOST
                )));
                break;
            }
            match settings(view, base, &path) {
                Ok(loaded) => {
                    found.push((host, loaded));
                }
                Err(more) => mistakes.extend(more),
            }
        }
        if mistakes.is_empty() {
            Ok(Self::of(found))
        } else {
            mistakes.sort_by_key(ToString::to_string);
            Err(mistakes)
        }
    }
}

fn settings(view: &dyn View, base: &Loaded, path: &Path) -> Result<Loaded, Vec<Mistake>> {
    let (mut loaded, without_effect) = base.overlay(view, path, Scope::PerHost)?;
    let mut mistakes = without_effect;
    // A certificate of its own has not the server's key.
    let alone = |certificate, key| {
        loaded.origin(certificate) != base.origin(certificate)
            && loaded.origin(key) == base.origin(key)
    };
    let rsa = alone("rsa_cert_file", "rsa_private_key_file");
    let dsa = alone("dsa_cert_file", "dsa_private_key_file");
    if rsa || dsa {
        let config = Arc::make_mut(&mut loaded.config);
        config.rsa_private_key_file = config.rsa_private_key_file.take().filter(|_| !rsa);
        config.dsa_private_key_file = config.dsa_private_key_file.take().filter(|_| !dsa);
    }
    if loaded.config.local_enable && !base.config.local_enable {
        // Without it the helper of a session has no right to check a password.
        mistakes.push(Mistake {
            origin: loaded.origin("local_enable").clone(),
            text: "local_enable=YES for a host needs local_enable=YES in the configuration; set NO for the other hosts".to_owned(),
        });
    }
    if mistakes.is_empty() {
        Ok(loaded)
    } else {
        Err(mistakes)
    }
}

impl Loaded {
    /// With the hosts that these settings name.
    ///
    /// # Errors
    /// Every mistake in one of their files.
    pub(super) fn with_hosts(mut self, view: &dyn View) -> (Self, Vec<Mistake>) {
        match Hosts::read(view, &self) {
            Ok(hosts) => {
                self.hosts = Arc::new(hosts);
                (self, Vec::new())
            }
            Err(mistakes) => (self, mistakes),
        }
    }
}
