//! A small blocking FTP client that hides nothing: raw replies, raw bytes.

use super::DEADLINE;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

/// One whole reply, all its lines, without the last CRLF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub raw: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }

    pub fn code(&self) -> &str {
        std::str::from_utf8(self.raw.get(..3).unwrap_or_default()).unwrap_or_default()
    }
}

/// The control connection.
pub struct Client {
    input: BufReader<TcpStream>,
    server: SocketAddr,
}

/// A data connection whose transfer is under way.
pub struct Data {
    pub stream: TcpStream,
}

impl Client {
    /// Connects from and to 127.0.0.1 and reads nothing.
    pub fn dial() -> Client {
        Client::dial_from(Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into())
    }

    /// Connects from the given address; the greeting is not read.
    pub fn dial_from(source: IpAddr, server: IpAddr) -> Client {
        Client::over(connect_from(source, SocketAddr::new(server, 21)))
    }

    /// Connects to another port than 21; the greeting is not read.
    pub fn dial_port(server: IpAddr, port: u16) -> Client {
        Client::over(TcpStream::connect((server, port)).unwrap())
    }

    /// Connects to an address that is said in full; the greeting is not read.
    pub fn to(server: SocketAddr) -> Client {
        Client::over(TcpStream::connect(server).unwrap())
    }

    fn over(stream: TcpStream) -> Client {
        let server = stream.peer_addr().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            input: BufReader::new(stream),
            server,
        }
    }

    /// Connects and takes the greeting.
    pub fn connect() -> Client {
        Client::greeted(Client::dial())
    }

    /// Takes the greeting of a dialled connection.
    pub fn greeted(mut self) -> Client {
        let reply = self.reply();
        assert_eq!(reply.code(), "220", "greeting: {}", reply.text());
        self
    }

    /// Connects over IPv6.
    pub fn connect6() -> Client {
        let here = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);
        Client::greeted(Client::dial_from(here, here))
    }

    /// Logs in as alice.
    pub fn alice() -> Client {
        Client::user("alice")
    }

    /// Logs in anonymously.
    pub fn anonymous() -> Client {
        Client::user("ftp")
    }

    pub fn user(name: &str) -> Client {
        let mut client = Client::connect();
        client.login(name);
        client
    }

    pub fn login(&mut self, name: &str) {
        self.says(&format!("USER {name}"), "331 Please specify the password.");
        self.says("PASS secret", "230 Login successful.");
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.input.get_mut().write_all(bytes).unwrap();
    }

    /// Sends bytes the last of which is urgent (RFC 793), as telnet's Synch does.
    pub fn urgent(&mut self, bytes: &[u8]) {
        urgent(self.input.get_ref(), bytes);
    }

    /// One reply, however many lines it has.
    pub fn reply(&mut self) -> Reply {
        let mut raw = self
            .line()
            .unwrap_or_else(|| panic!("the server closed instead of replying"));
        if raw.get(3) == Some(&b'-') {
            let end = [&raw[..3], b" "].concat();
            loop {
                let next = self
                    .line()
                    .unwrap_or_else(|| panic!("closed inside {}", String::from_utf8_lossy(&raw)));
                raw.extend_from_slice(&next);
                if next.starts_with(&end) {
                    break;
                }
            }
        }
        assert!(raw.ends_with(b"\r\n"), "no CRLF: {raw:?}");
        raw.truncate(raw.len() - 2);
        Reply { raw }
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        match self.input.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(line),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!(
                "no reply: {error}, so far {:?}",
                String::from_utf8_lossy(&line)
            ),
        }
    }

    /// The server says no more and closes.
    pub fn closed(&mut self) {
        if let Some(line) = self.line() {
            panic!("expected the end, got {:?}", String::from_utf8_lossy(&line));
        }
    }

    /// The server closes; whatever it still says is an OOPS.
    pub fn ended(&mut self) {
        while let Some(line) = self.line() {
            assert!(
                line.starts_with(b"500 OOPS: "),
                "expected the end, got {:?}",
                String::from_utf8_lossy(&line)
            );
        }
    }

    pub fn cmd(&mut self, command: &str) -> Reply {
        self.send(format!("{command}\r\n").as_bytes());
        self.reply()
    }

    /// Sends a command and compares the whole reply.
    #[track_caller]
    pub fn says(&mut self, command: &str, expected: &str) {
        let reply = self.cmd(command);
        assert_eq!(reply.text(), expected, "reply to {command:?}");
    }

    /// Compares the next reply.
    #[track_caller]
    pub fn next(&mut self, expected: &str) {
        let reply = self.reply();
        assert_eq!(reply.text(), expected);
    }

    /// A conversation: each command and its whole reply.
    #[track_caller]
    pub fn script(&mut self, lines: &[(&str, &str)]) {
        for (command, expected) in lines {
            self.says(command, expected);
        }
    }

    /// Nothing is said for as long as this; "not earlier than" is all that can be tested of a long time.
    #[track_caller]
    pub fn quiet(&mut self, time: std::time::Duration) {
        assert!(self.input.buffer().is_empty(), "something was said already");
        self.stream().set_read_timeout(Some(time)).unwrap();
        let mut byte = [0];
        match self.stream().peek(&mut byte) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0) => panic!("the server closed"),
            other => panic!("{other:?}: {}", self.reply().text()),
        }
        self.stream().set_read_timeout(Some(DEADLINE)).unwrap();
    }

    pub fn stream(&self) -> &TcpStream {
        self.input.get_ref()
    }

    /// Leaves with a reset.
    pub fn reset(self) {
        ends_with_a_reset(self.stream());
    }

    /// The port of a fresh EPSV (RFC 2428).
    pub fn epsv(&mut self) -> u16 {
        let reply = self.cmd("EPSV").text();
        let start = reply
            .strip_prefix("229 Entering Extended Passive Mode (|||")
            .unwrap_or_else(|| panic!("EPSV: {reply}"));
        start.strip_suffix("|)").unwrap().parse().unwrap()
    }

    /// The address of a fresh PASV (RFC 959).
    pub fn pasv(&mut self) -> SocketAddr {
        let reply = self.cmd("PASV").text();
        let inner = reply
            .strip_prefix("227 Entering Passive Mode (")
            .unwrap_or_else(|| panic!("PASV: {reply}"));
        let numbers: Vec<u8> = inner
            .strip_suffix(").")
            .unwrap()
            .split(',')
            .map(|n| n.parse().unwrap())
            .collect();
        let [a, b, c, d, high, low] = numbers[..] else {
            panic!("PASV: {reply}")
        };
        SocketAddr::new(
            Ipv4Addr::new(a, b, c, d).into(),
            u16::from_be_bytes([high, low]),
        )
    }

    /// A passive data connection to the server's own address.
    pub fn passive(&mut self) -> TcpStream {
        let port = self.epsv();
        let stream = TcpStream::connect(SocketAddr::new(self.server.ip(), port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Tells the server with PORT or EPRT where we listen.
    pub fn active(&mut self) -> TcpListener {
        let local = self.stream().local_addr().unwrap().ip();
        let listener = TcpListener::bind((local, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let reply = match local {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                self.cmd(&format!(
                    "PORT {a},{b},{c},{d},{},{}",
                    port >> 8,
                    port & 255
                ))
            }
            IpAddr::V6(ip) => self.cmd(&format!("EPRT |2|{ip}|{port}|")),
        };
        assert_eq!(reply.code(), "200", "{}", reply.text());
        listener
    }

    /// Starts a passive transfer; its first reply must be a 150.
    #[track_caller]
    pub fn begin(&mut self, command: &str) -> (Reply, Data) {
        let stream = self.passive();
        let reply = self.cmd(command);
        assert_eq!(reply.code(), "150", "{command}: {}", reply.text());
        (reply, Data { stream })
    }

    /// The bytes a command sends, which must end in a 226.
    #[track_caller]
    pub fn fetch(&mut self, command: &str) -> Vec<u8> {
        let (_, mut data) = self.begin(command);
        let bytes = data.read();
        let end = self.reply();
        assert_eq!(end.code(), "226", "{command}: {}", end.text());
        bytes
    }

    /// What a listing command sends, as lines.
    #[track_caller]
    pub fn names(&mut self, command: &str) -> Vec<String> {
        let text = String::from_utf8(self.fetch(command)).unwrap();
        assert!(text.is_empty() || text.ends_with("\r\n"), "{text:?}");
        text.split_terminator("\r\n").map(str::to_owned).collect()
    }

    /// Sends bytes with an uploading command and returns the last reply.
    #[track_caller]
    pub fn store(&mut self, command: &str, bytes: &[u8]) -> Reply {
        let (_, data) = self.begin(command);
        data.write(bytes);
        self.reply()
    }

    /// A data command that is refused, with a passive connection ready.
    #[track_caller]
    pub fn refused(&mut self, command: &str, expected: &str) {
        let data = self.passive();
        self.says(command, expected);
        drop(data);
    }
}

impl Data {
    pub fn read(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Sends bytes the last of which is urgent.
    pub fn urgent(&self, bytes: &[u8]) {
        urgent(&self.stream, bytes);
    }

    /// Writes everything and closes.
    pub fn write(mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Closes with a reset, as a client that is killed does.
    pub fn reset(self) {
        ends_with_a_reset(&self.stream);
    }
}

/// Has a connection end with a reset once it is closed.
pub fn ends_with_a_reset(stream: &TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::Linger, &linger).unwrap();
}

fn urgent(stream: &TcpStream, bytes: &[u8]) {
    let flags = nix::sys::socket::MsgFlags::MSG_OOB;
    let sent = nix::sys::socket::send(stream.as_raw_fd(), bytes, flags).unwrap();
    assert_eq!(sent, bytes.len());
}

/// A connection that comes from one of our own addresses.
pub fn connect_from(source: IpAddr, to: SocketAddr) -> TcpStream {
    use nix::sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket,
    };
    let family = if source.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(
        fd.as_raw_fd(),
        &SockaddrStorage::from(SocketAddr::new(source, 0)),
    )
    .unwrap();
    connect(fd.as_raw_fd(), &SockaddrStorage::from(to)).unwrap();
    TcpStream::from(fd)
}
