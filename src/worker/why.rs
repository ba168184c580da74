//! Why the client was refused: it is told in general only, and the log what an administrator can do about it; worker.

use super::Class;
use super::commands::{NOT_FOR_ANONYMOUS, Shut};
use super::publish;
use super::state::Session;
use super::transfer::Target;
use crate::config::ports;
use crate::sys::socket;
use crate::tls;
use nix::errno::Errno;
use std::net::{Ipv4Addr, SocketAddr};

/// Reasons remembered as told. A session that meets more has its log full enough.
const REMEMBERED: usize = 100;

/// The most of a name or command that is shown.
const SHOWN: usize = 100;

/// What to look at where rights are missing.
const RIGHTS: &str = "; look at the owner and mode of it and of the directories above it, and at SELinux or AppArmor";

/// Of what guests may not read.
pub const NOT_FOR_ALL: &str =
    "not everybody may read it, which anon_world_readable_only=YES asks for: chmod o+r";

/// Of a device, a FIFO, or what the kernel makes up.
pub const NO_FILE: &str = "it is no regular file on a disk";

/// Links are followed inside the user's root only.
const LINK: &str = "a symbolic link that leads to nothing inside the user's root; to show what lies elsewhere use mount --bind";

/// Of a file of which a broken upload has left what this one would have to go on from.
pub const NOT_RESUMED: &str = "what a broken upload of it has left is not this user's to write to, or to give its name (atomic_uploads=YES): STOR \
                               sends it anew";

/// Of a file that so many upload at once that none of the tries was the only one.
pub const CONTENDED: &str =
    "too many others upload or rename it at the same time (atomic_uploads=YES)";

/// Of a file that an upload was to replace, so many bytes of which are there.
pub fn broken_off(length: u64) -> String {
    format!(
        "an upload of it was broken off after {length} bytes, and it is still the old one (atomic_uploads=YES): STOR sends it anew, after REST {length} the rest"
    )
}

/// What the log is told of an upload whose end a killed client's kernel may have made: what becomes of it, with the option that wants it so.
pub fn vanished(session: &Session, target: &Target) -> String {
    let becomes = if publish::is_given_up(session, target) {
        ", and is deleted (delete_failed_uploads)"
    } else if target.partial.is_some() {
        ", and keeps its hidden name (atomic_uploads)"
    } else {
        ""
    };
    format!(
        "upload: the client closed its control connection before the reply and without QUIT: it was killed, or is one that never waits; \
         the file may be incomplete{becomes}"
    )
}

impl Session {
    /// Why an upload is written in place: once in a session.
    pub fn note_once(&mut self, text: &str) {
        if !std::mem::replace(&mut self.modern.direct, true) {
            self.note(text);
        }
    }

    /// Why a file could not be created.
    pub fn uncreated(&mut self, why: Errno) {
        let cure = if matches!(why, Errno::EACCES | Errno::EPERM) {
            "; look at the owner and mode of the directory and of a file that is there, and at SELinux or AppArmor"
        } else if why == Errno::EEXIST && self.anonymous() {
            "; anon_other_write_enable=YES lets these clients replace it"
        } else {
            cure(why)
        };
        self.not_stored(&format!("{}{cure}", why.desc()));
    }

    /// Why nothing is written there, in words.
    pub fn not_stored(&mut self, why: &str) {
        self.beside(format!("cannot create the file: {why}"));
    }

    /// Why the file of a download is not sent. That there is none needs no words: the line of the failed download has its name.
    pub fn unsent(&mut self, why: &str) {
        if self.verdict.recorded && !why.is_empty() {
            self.beside(format!("cannot send the file: {why}"));
        }
    }

    /// Why nothing is told of what is in a file, or about it. That it is not there needs no words.
    pub fn unseen(&mut self, why: &str) {
        if !why.is_empty() {
            self.once(format!("cannot look at the file or directory: {why}"));
        }
    }

    /// The same of what could not be looked at.
    pub fn unseen_at(&mut self, path: &[u8], why: Errno) {
        let text = self.unreachable(path, why);
        self.unseen(&text);
    }

    /// Why a file keeps its time.
    pub fn untimed(&mut self, path: &[u8], why: Errno) {
        if matches!(why, Errno::EACCES | Errno::EPERM) {
            self.once(format!(
                "cannot set the time of a file: {}; only its owner may{RIGHTS}",
                why.desc()
            ));
        } else {
            self.unseen_at(path, why);
        }
    }

    /// Why something could not be made, renamed, removed or changed. That it is there already, or is not there, needs no words.
    pub fn undone(&mut self, why: Errno) {
        if !self.verdict.recorded || matches!(why, Errno::ENOENT | Errno::EEXIST) {
            return;
        }
        self.beside(format!("cannot do it: {}{}", why.desc(), cure(why)));
    }

    /// Why what a failed upload has left stays.
    pub fn unremoved(&mut self, why: Errno) {
        let cure = if why == Errno::EPERM {
            "; in a directory with the sticky bit its owner may, not who has given it away (chown_uploads), and with chattr +a nobody"
        } else {
            cure(why)
        };
        self.once(format!(
            "cannot remove what a failed upload has left: {}{cure}",
            why.desc()
        ));
    }

    /// Why a directory could not be entered.
    pub fn unentered(&mut self, path: &[u8], why: Errno) {
        let text = self.unreachable(path, why);
        if !text.is_empty() {
            self.once(format!("cannot enter the directory: {text}"));
        }
    }

    /// Why a name leads to nothing that can be had; empty if it is just not there.
    pub fn unreachable(&self, path: &[u8], why: Errno) -> String {
        if !matches!(why, Errno::ENOENT | Errno::ENOTDIR) {
            return format!("{}{}", why.desc(), cure(why));
        }
        let entry = self.tree.lstat(&self.cwd, path);
        let link = entry.is_ok_and(|meta| meta.is_link());
        if link { LINK } else { "" }.to_owned()
    }

    /// What has shut the gate of a command.
    pub fn shut_out(&mut self, verb: &[u8], Shut(why): Shut) {
        let guest = self.verdict.class == Class::Guest && self.anonymous();
        let mut text = format!("{} refused: {why}", short(verb));
        if guest && why.starts_with("anon_") {
            text.push_str(", which counts for guests without virtual_use_local_privs");
        } else if guest && why == NOT_FOR_ANONYMOUS {
            text.push_str(", and guests count as such without virtual_use_local_privs");
        }
        self.once(text);
    }

    /// Which list of names or commands refuses.
    pub fn forbidden(&mut self, what: &[u8], option: &str) {
        self.once(format!("{} refused by {option}", short(what)));
    }

    /// Which option refuses a form of a command, or how much of it there may be.
    pub fn unwanted(&mut self, what: &str, option: &str) {
        self.once(format!("{what} refused: {option}"));
    }

    /// That data connections in clear are refused; without an option, that TLS cannot be had for them.
    pub fn unprotected(&mut self, option: Option<&str>) {
        self.once(match option {
            Some(option) => format!(
                "data connection in clear refused: {option}=YES, and the client has not asked for TLS on it (AUTH TLS, PROT P)"
            ),
            None => "data connection refused: TLS is not to be had for it in this session".to_owned(),
        });
    }

    /// That PORT or EPRT names an address that is not connected to.
    pub fn misdirected(&mut self, to: SocketAddr) {
        self.once(if to.port() < 1024 {
            format!("active mode refused: port {} is below 1024, where other services listen", to.port())
        } else {
            format!(
                "active mode refused: the client wants its data sent to {}, and its control connection comes from elsewhere; behind \
                 address translation it must use passive mode, and for transfers between servers port_promiscuous=YES is needed",
                to.ip()
            )
        });
    }

    /// That nobody has come to the passive port: as a rule a firewall, or an address that leads elsewhere.
    pub fn unmet(&mut self, told: Option<Ipv4Addr>) {
        let range = ports::passive(self.config);
        // EPSV, which is what a client of IPv6 says, tells none.
        let address = match told {
            _ if socket::canonical(self.local.ip()).is_ipv6() => String::new(),
            Some(told) => format!("; PASV tells this client {told} (pasv_address)"),
            None => "; PASV has no address to tell (pasv_address)".to_owned(),
        };
        self.once(format!(
            "no data connection came within {} seconds (accept_timeout): ports {} to {} (pasv_min_port, pasv_max_port) must be open in \
             the firewall and be forwarded{address}",
            self.config.accept_timeout,
            range.start(),
            range.end(),
        ));
    }

    /// That the client left while its data connection was waited for: no firewall need be the reason.
    pub fn forsaken(&mut self) {
        let text = "the client closed its control connection before there was a data connection";
        self.once(text.to_owned());
    }

    /// That nothing moves on the data connection.
    pub fn stalled(&mut self) {
        let seconds = self.config.data_connection_timeout;
        self.once(format!(
            "nothing has moved on the data connection for {seconds} seconds (data_connection_timeout): the client has stopped, or the \
             way to it is broken"
        ));
    }

    /// That the control connection broke while a transfer ran or was about to; without a reason under TLS, where its carrier has it.
    pub fn cut_off(&mut self, why: Option<std::io::Error>) {
        let text = why.map_or_else(
            || {
                "the client was ended, or a firewall or address translation between has given the connection up, or TLS on it has \
                 failed, which has a line of its own"
                    .to_owned()
            },
            |why| tls::broke(&why),
        );
        self.once(format!(
            "the control connection broke during a transfer: {text}"
        ));
    }

    /// That the client takes no connection in active mode.
    pub fn unanswered(&mut self, why: &str) {
        self.once(format!(
            "cannot connect to the client for its data: {why}; where a firewall or address translation on its side is the reason, only \
             passive mode works"
        ));
    }

    /// Says a reason beside the line that the log has of what failed. Where there is no such line, as in a log of transfers only, standard
    /// error gets it: the first time.
    fn beside(&mut self, text: String) {
        let config = self.config;
        let own = config.xferlog_enable && !config.xferlog_std_format;
        if config.syslog_enable || config.dual_log_enable || own {
            self.note(&text);
        } else {
            self.first(text);
        }
    }

    /// Says a reason, the first time, if what the session does is written anywhere.
    fn once(&mut self, text: String) {
        if self.verdict.recorded {
            self.first(text);
        }
    }

    /// The first time: a client may try as often as it likes.
    pub fn first(&mut self, text: String) {
        if self.told.len() >= REMEMBERED || self.told.contains(&text) {
            return;
        }
        self.note(&text);
        self.told.insert(text);
    }
}

/// The beginning of what a client has sent, so that what is remembered stays small.
fn short(text: &[u8]) -> String {
    let text = text.get(..SHOWN).unwrap_or(text);
    String::from_utf8_lossy(text).into_owned()
}

fn cure(why: Errno) -> &'static str {
    if matches!(why, Errno::EACCES | Errno::EPERM) {
        RIGHTS
    } else if why == Errno::ELOOP {
        "; or it is a symbolic link that leads to nothing inside the user's root"
    } else if why == Errno::EXDEV {
        "; files cannot be renamed from one file system to another"
    } else if why == Errno::ENOTEMPTY {
        "; listings need not show all that is there: names that begin with a dot, hide_file, and what broken uploads have left (atomic_uploads)"
    } else if why == Errno::EINTR {
        "; the file system breaks off each call: look at what serves it (NFS, FUSE)"
    } else {
        ""
    }
}
