//! The least that could serve: what the kernel and rustls cost when there is no checking, no jail, no log and no second
//! process. A fork for each session, `sendfile` for each download, `splice` for each upload, rustls' records where TLS is.
//! It believes every word, and is a limit to judge a server by, not a server.

use crate::tally::Outcome;
use crate::{Args, R, failed, tls};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use nix::sys::sendfile::sendfile;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, pipe};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub fn serve(args: &Args) -> R<Outcome> {
    let config = tls::server(
        Path::new(args.text("cert", "")),
        Path::new(args.text("key", "")),
    )?;
    let root = PathBuf::from(args.text("root", "/srv/ftp"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 21))?;
    loop {
        let (stream, _) = listener.accept()?;
        // SAFETY: this process has one thread, so that its copy may do anything.
        match unsafe { fork() }? {
            ForkResult::Child => {
                drop(listener);
                let session = Session {
                    root,
                    config,
                    private: false,
                    data: None,
                    port: (std::process::id() * 523 % 22_000) as u16,
                };
                // A client that hangs up is no failure.
                let _ = session.run(stream);
                std::process::exit(0);
            }
            ForkResult::Parent { .. } => {
                let ended = || waitpid(None, Some(WaitPidFlag::WNOHANG));
                while !matches!(ended(), Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD)) {}
            }
        }
    }
}

/// Where the next data connection comes from.
enum Next {
    Listen(TcpListener),
    Connect(u16),
}

struct Session {
    root: PathBuf,
    config: Arc<ServerConfig>,
    private: bool,
    data: Option<Next>,
    /// The next port to listen on. Where the kernel chooses, it searches for long once many connections linger.
    port: u16,
}

trait Both: Read + Write {}
impl<T: Read + Write> Both for T {}

impl Session {
    fn run(mut self, stream: TcpStream) -> R<()> {
        stream.set_nodelay(true)?;
        let mut control: BufReader<Box<dyn Both>> = BufReader::new(Box::new(stream.try_clone()?));
        control.get_mut().write_all(b"220 bare\r\n")?;
        let mut line = String::new();
        loop {
            line.clear();
            if control.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let (verb, word) = line
                .trim_end()
                .split_once(' ')
                .unwrap_or((line.trim_end(), ""));
            let reply = match verb {
                "USER" => "331 ?".to_owned(),
                "PASS" => "230 in".to_owned(),
                "CWD" => "250 there".to_owned(),
                "TYPE" | "PBSZ" | "PROT" | "NOOP" => "200 so be it".to_owned(),
                "EPSV" => self.passive()?,
                "PORT" => self.active(word)?,
                "AUTH" => "234 go on".to_owned(),
                "RETR" | "STOR" => {
                    control.get_mut().write_all(b"150 here\r\n")?;
                    control.get_mut().flush()?;
                    self.transfer(verb, word)?;
                    "226 done".to_owned()
                }
                "QUIT" => "221 bye".to_owned(),
                _ => "502 no".to_owned(),
            };
            control
                .get_mut()
                .write_all(format!("{reply}\r\n").as_bytes())?;
            control.get_mut().flush()?;
            match verb {
                "QUIT" => return Ok(()),
                "AUTH" => {
                    let connection = ServerConnection::new(self.config.clone())?;
                    let secure = StreamOwned::new(connection, stream.try_clone()?);
                    control = BufReader::new(Box::new(secure));
                    self.private = true;
                }
                _ => {}
            }
        }
    }

    fn passive(&mut self) -> R<String> {
        let (listener, port) = loop {
            self.port = (self.port + 1) % 22_000;
            let port = 10_000 + self.port;
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                break (listener, port);
            }
        };
        self.data = Some(Next::Listen(listener));
        Ok(format!("229 there (|||{port}|)"))
    }

    fn active(&mut self, word: &str) -> R<String> {
        let mut last = word.rsplit(',').map(str::parse::<u16>);
        let (Some(Ok(low)), Some(Ok(high))) = (last.next(), last.next()) else {
            return Ok("501 no".to_owned());
        };
        self.data = Some(Next::Connect(high << 8 | low));
        Ok("200 so be it".to_owned())
    }

    fn transfer(&mut self, verb: &str, word: &str) -> R<()> {
        let stream = match self.data.take() {
            Some(Next::Listen(listener)) => listener.accept()?.0,
            Some(Next::Connect(port)) => TcpStream::connect((Ipv4Addr::LOCALHOST, port))?,
            None => return failed("no way for data"),
        };
        stream.set_nodelay(true)?;
        let path = self.root.join(word);
        match (verb, self.private) {
            ("RETR", false) => send(&File::open(path)?, &stream),
            ("RETR", true) => encrypt(
                ServerConnection::new(self.config.clone())?,
                stream,
                &mut File::open(path)?,
            )
            .map(drop),
            (_, false) => receive(&stream, &File::create(path)?),
            (_, true) => decrypt(
                ServerConnection::new(self.config.clone())?,
                stream,
                &mut File::create(path)?,
            )
            .map(drop),
        }
    }
}

fn send(file: &File, stream: &TcpStream) -> R<()> {
    while sendfile(stream, file, None, 1 << 20)? > 0 {}
    Ok(())
}

fn receive(stream: &TcpStream, file: &File) -> R<()> {
    const ROOM: usize = 1 << 20;
    let (out, into): (OwnedFd, OwnedFd) = pipe()?;
    fcntl(&into, FcntlArg::F_SETPIPE_SZ(ROOM as i32))?;
    loop {
        let mut count = splice(stream, None, &into, None, ROOM, SpliceFFlags::SPLICE_F_MOVE)?;
        if count == 0 {
            return Ok(());
        }
        while count > 0 {
            count -= splice(&out, None, file, None, count, SpliceFFlags::SPLICE_F_MOVE)?;
        }
    }
}

/// Reads pieces of 64 KiB and sends each as four records; how many bytes.
pub fn encrypt(mut tls: ServerConnection, mut stream: TcpStream, from: &mut impl Read) -> R<u64> {
    let mut piece = vec![0; 4 * tls::RECORD];
    let mut all = 0;
    tls.set_buffer_limit(None);
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    loop {
        let count = from.read(&mut piece)?;
        if count == 0 {
            tls.send_close_notify();
        } else {
            tls.writer().write_all(&piece[..count])?;
        }
        while tls.wants_write() {
            tls.write_tls(&mut stream)?;
        }
        if count == 0 {
            return Ok(all);
        }
        all += count as u64;
    }
}

/// Receives records and writes their text in pieces as large as come; how many bytes.
pub fn decrypt(mut tls: ServerConnection, mut stream: TcpStream, into: &mut impl Write) -> R<u64> {
    let mut piece = vec![0; 4 * tls::RECORD];
    let mut all = 0;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    loop {
        let state = tls.process_new_packets()?;
        while tls.wants_write() {
            tls.write_tls(&mut stream)?;
        }
        let mut left = state.plaintext_bytes_to_read();
        while left > 0 {
            let room = left.min(piece.len());
            let count = tls.reader().read(&mut piece[..room])?;
            into.write_all(&piece[..count])?;
            all += count as u64;
            left -= count;
        }
        if state.peer_has_closed() {
            return Ok(all);
        }
        match tls.read_tls(&mut stream) {
            Ok(0) => return Ok(all),
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
    }
}
