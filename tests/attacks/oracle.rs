//! What must hold after every attack (attacks B.0) beside what `sessions` sees: files outside that nobody touches, logs of whole lines.

use crate::sessions::back_to_base;
use crate::support::tls::{Ftps, ON, Stream, certificate, handshake};
use crate::support::{Client, DEADLINE, Data, Host, Server, log, wait};
use nix::sys::stat::Mode;
use rustls::ClientConfig;
use std::io::Read;
use std::net::{IpAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// Each verb that takes a path, with the place for it.
pub const VERBS: [&str; 20] = [
    "CWD @",
    "RETR @",
    "STOR @",
    "APPE @",
    "LIST @",
    "NLST @",
    "STAT @",
    "MLST @",
    "MLSD @",
    "SIZE @",
    "MDTM @",
    "MFMT 20200101000000 @",
    "MFF UNIX.mode=0666; @",
    "HASH @",
    "SITE CHMOD 666 @",
    "MKD @",
    "RMD @",
    "RNFR @",
    "RNTO @",
    "DELE @",
];

/// Files that nothing a client says may reach, and what the kernel tells of them (inotify(7)).
pub struct Canary {
    events: OwnedFd,
}

impl Canary {
    pub const PLACE: &str = "/srv/canary";
    const TEXT: &str = "canary";

    pub fn new(host: &Host) -> Canary {
        std::fs::create_dir(Canary::PLACE).unwrap();
        for (name, mode) in [("f", 0o644), ("open", 0o666)] {
            let path = format!("{}/{name}", Canary::PLACE);
            host.write(&path, Canary::TEXT);
            host.mode(&path, mode);
        }
        let fifo = format!("{}/fifo", Canary::PLACE);
        nix::unistd::mkfifo(fifo.as_str(), Mode::from_bits_truncate(0o666)).unwrap();
        host.mode(&fifo, 0o666);
        host.mode(Canary::PLACE, 0o777);
        let events = watched();
        watch(&events, Canary::PLACE);
        Canary { events }
    }

    /// Nothing was opened, read, changed, made or removed.
    #[track_caller]
    pub fn untouched(&self) {
        let seen = happened(&self.events);
        assert!(seen.is_empty(), "{seen:?}");
        for name in ["f", "open"] {
            let text = std::fs::read(format!("{}/{name}", Canary::PLACE)).unwrap();
            assert_eq!(text, Canary::TEXT.as_bytes(), "{name}");
        }
        // What this look has done.
        happened(&self.events);
    }
}

/// A descriptor for what happens to files.
pub fn watched() -> OwnedFd {
    // SAFETY: takes no pointer.
    let fd = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the descriptor was just made, and is nobody else's.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Everything that happens to a directory and the files in it is told from now on.
pub fn watch(events: &OwnedFd, directory: &str) {
    let path = std::ffi::CString::new(directory).unwrap();
    // SAFETY: the path ends in NUL and outlives the call; the descriptor is open for it.
    let number =
        unsafe { libc::inotify_add_watch(events.as_raw_fd(), path.as_ptr(), libc::IN_ALL_EVENTS) };
    assert!(
        number >= 0,
        "{directory}: {}",
        std::io::Error::last_os_error()
    );
}

/// What has happened since to what is no directory: the kind of event, and the name.
pub fn happened(events: &OwnedFd) -> Vec<(u32, String)> {
    let mut seen = Vec::new();
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count) = nix::unistd::read(events, &mut bytes) {
        let mut rest = &bytes[..count];
        while rest.len() >= 16 {
            let number = |at: usize| u32::from_ne_bytes(rest[at..at + 4].try_into().unwrap());
            let (mask, length) = (number(4), number(12) as usize);
            let name = std::ffi::OsStr::from_bytes(&rest[16..16 + length]);
            let name = name.to_string_lossy().trim_end_matches('\0').to_owned();
            if mask & libc::IN_ISDIR == 0 && !name.is_empty() {
                seen.push((mask, name));
            }
            rest = &rest[16 + length..];
        }
    }
    seen
}

/// Every line of the log has the form of one, and the server serves as before.
#[track_caller]
pub fn all_is_well(server: &Server) {
    back_to_base(server);
    log::vsftpd_now();
}

/// The same of a server that has processes of its own beside master: those that were there are, and no others.
#[track_caller]
pub fn settled(idle: &[i32]) {
    wait("every session to go", || {
        (Server::processes() == Server::but_nursery(idle)).then_some(())
    });
    // Only now: a line that crosses a page is seen in two pieces while it is written.
    log::vsftpd_now();
}

/// A server that takes local users in clear and under TLS, with these settings besides, and its processes while nobody is there.
pub fn either_way(host: &Host, more: &str) -> (Server, Vec<i32>) {
    certificate(host);
    let lines = format!("{ON}force_local_logins_ssl=NO\nforce_local_data_ssl=NO\n{more}");
    let server = Server::start(host, &lines);
    (server, Server::processes())
}

/// A client of either kind, for what must be the same in clear and under TLS.
pub enum Talk {
    Clear(Client),
    Secure(Box<Ftps>),
}

/// A data connection of either kind.
pub enum Stretch {
    Clear(Data),
    Secure(Box<Stream>),
}

impl Talk {
    pub fn send(&mut self, bytes: &[u8]) {
        match self {
            Talk::Clear(c) => c.send(bytes),
            Talk::Secure(c) => c.send(bytes),
        }
    }

    pub fn reply(&mut self) -> String {
        match self {
            Talk::Clear(c) => c.reply().text(),
            Talk::Secure(c) => c.reply(),
        }
    }

    pub fn cmd(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes());
        self.reply()
    }

    #[track_caller]
    pub fn begin(&mut self, command: &str) -> Stretch {
        match self {
            Talk::Clear(c) => Stretch::Clear(c.begin(command).1),
            Talk::Secure(c) => Stretch::Secure(Box::new(c.begin(command))),
        }
    }

    /// The same over a connection that the server makes.
    #[track_caller]
    pub fn begin_actively(&mut self, command: &str) -> Stretch {
        let here = match self {
            Talk::Clear(c) => c.stream().local_addr(),
            Talk::Secure(c) => c.socket().local_addr(),
        };
        let listener = TcpListener::bind((here.unwrap().ip(), 0)).unwrap();
        let at = listener.local_addr().unwrap();
        let kind = if at.is_ipv4() { 1 } else { 2 };
        let said = self.cmd(&format!("EPRT |{kind}|{}|{}|", at.ip(), at.port()));
        assert!(said.starts_with("200 "), "{said}");
        self.send(format!("{command}\r\n").as_bytes());
        let (stream, _) = listener.accept().unwrap();
        let said = self.reply();
        assert!(said.starts_with("150 "), "{command}: {said}");
        match self {
            Talk::Clear(_) => {
                stream.set_read_timeout(Some(DEADLINE)).unwrap();
                Stretch::Clear(Data { stream })
            }
            Talk::Secure(c) => Stretch::Secure(Box::new(handshake(&c.config, stream).unwrap())),
        }
    }

    /// Alice's session to this address of the server's.
    pub fn alice(server: IpAddr, secured: Option<ClientConfig>) -> Talk {
        let mut clear = Client::dial_from(server, server).greeted();
        let Some(config) = secured else {
            clear.login("alice");
            return Talk::Clear(clear);
        };
        assert_eq!(clear.cmd("AUTH TLS").code(), "234");
        let stream = clear.stream().try_clone().unwrap();
        let mut c = Ftps::over(Arc::new(config), stream);
        c.login("alice");
        c.says("PBSZ 0", "200 PBSZ set to 0.");
        c.says("PROT P", "200 PROT now Private.");
        Talk::Secure(Box::new(c))
    }
}

impl Stretch {
    /// The connection below.
    pub fn socket(&self) -> &std::net::TcpStream {
        match self {
            Stretch::Clear(data) => &data.stream,
            Stretch::Secure(stream) => &stream.sock,
        }
    }
}

/// A command with whatever data it wants: its last reply, and all that came over the data connection.
pub fn whole(c: &mut Client, command: &str, up: &[u8]) -> (String, Vec<u8>) {
    let verb = command.split(' ').next().unwrap();
    let mut bytes = Vec::new();
    if !["RETR", "STOR", "APPE", "STOU", "LIST", "NLST", "MLSD"].contains(&verb) {
        return (c.cmd(command).text(), bytes);
    }
    let mut data = c.passive();
    let first = c.cmd(command).text();
    if !first.starts_with("150") {
        return (first, bytes);
    }
    if verb.starts_with(['S', 'A']) {
        std::io::Write::write_all(&mut data, up).unwrap();
    } else {
        data.read_to_end(&mut bytes).unwrap();
    }
    drop(data);
    (c.reply().text(), bytes)
}
