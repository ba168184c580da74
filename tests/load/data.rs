//! The data connections: opened either way, in TLS if the session is, and read or filled at the least cost.

use crate::client::Session;
use crate::tls::{self, OVERHEAD, RECORD};
use crate::{Fault, R, failed};
use nix::errno::Errno;
use nix::sys::sendfile::sendfile;
use nix::sys::socket::{MsgFlags, recv};
use rustls::{ClientConnection, HandshakeKind, Stream};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

/// Who opens the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Passive,
    Active,
}

impl Way {
    pub fn of(args: &crate::Args) -> Self {
        if args.is("active") {
            Self::Active
        } else {
            Self::Passive
        }
    }
}

pub struct Data {
    stream: TcpStream,
    tls: Option<ClientConnection>,
}

impl Data {
    /// The data connection of a command, once the server has said 150.
    pub fn open(session: &mut Session, command: &str, way: Way) -> R<Self> {
        let stream = match way {
            Way::Passive => {
                let reply = session.tell("EPSV", "229")?;
                let Some(port) = reply
                    .split('|')
                    .nth(3)
                    .and_then(|text| text.parse::<u16>().ok())
                else {
                    return failed(format!("no port in {reply:?}"));
                };
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
                session.say(command)?;
                session.reply(&["150", "125"])?;
                stream
            }
            Way::Active => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                let port = listener.local_addr()?.port();
                session.tell(
                    &format!("PORT 127,0,0,1,{},{}", port >> 8, port & 255),
                    "200",
                )?;
                session.say(command)?;
                session.reply(&["150", "125"])?;
                listener.accept()?.0
            }
        };
        stream.set_nodelay(true)?;
        match &session.config {
            Some(config) => Self::secured(stream, tls::connection(config)?),
            None => Ok(Self { stream, tls: None }),
        }
    }

    /// A connection after its handshake.
    pub fn secured(mut stream: TcpStream, mut tls: ClientConnection) -> R<Self> {
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        Ok(Self {
            stream,
            tls: Some(tls),
        })
    }

    /// An error unless the connection resumed the session of the control connection.
    pub fn must_be_resumed(&self) -> R<()> {
        match self.tls.as_ref().and_then(|tls| tls.handshake_kind()) {
            Some(HandshakeKind::Resumed) => Ok(()),
            _ => Err(Fault::Unsupported("the session was not resumed".to_owned())),
        }
    }

    /// Everything the server sends, decrypted.
    pub fn read(mut self, into: &mut Vec<u8>) -> R<()> {
        into.clear();
        let Some(tls) = &mut self.tls else {
            self.stream.read_to_end(into)?;
            return Ok(());
        };
        match Stream::new(tls, &mut self.stream).read_to_end(into) {
            // A server that leaves without saying so.
            Err(error)
                if [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset]
                    .contains(&error.kind()) => {}
            other => {
                other?;
            }
        }
        self.say_goodbye()
    }

    /// Throws away everything the server sends, undecrypted; how many bytes it was. `size` is that of the file. With
    /// `stop` it ends early.
    pub fn discard(mut self, size: u64, stop: impl Fn() -> bool) -> R<u64> {
        let mut room = vec![0; 1 << 20];
        // What the handshake may have read ahead is not counted here.
        let nearly_all = (size + size / RECORD as u64 * OVERHEAD).saturating_sub(32 << 10);
        let mut seen = 0;
        let mut polite = self.tls.is_none();
        loop {
            let count = match recv(self.stream.as_raw_fd(), &mut room, MsgFlags::MSG_TRUNC) {
                // The server closed without reading our goodbye.
                Err(Errno::ECONNRESET) if polite && seen >= nearly_all => 0,
                other => other?,
            };
            if count == 0 || stop() {
                return Ok(seen);
            }
            seen += count as u64;
            if !polite && seen >= nearly_all {
                // Some servers wait for this before they close.
                self.say_goodbye()?;
                polite = true;
            }
        }
    }

    /// Sends a file by the kernel, or text in TLS: the same 64 KiB again and again, since the file's content is not the point.
    pub fn send(mut self, file: &File, size: u64, session: &mut Session) -> R<()> {
        if self.tls.is_some() {
            let mut block = vec![0; 4 * RECORD];
            File::read_exact(&mut file.try_clone()?, &mut block)?;
            self.write_repeated(&block, size)?;
        } else {
            let mut at = 0;
            while at < size as i64 {
                if sendfile(&self.stream, file, Some(&mut at), 1 << 20)? == 0 {
                    break;
                }
            }
        }
        self.finish(session)
    }

    /// Sends these bytes and waits for the server to say that it has them.
    pub fn send_bytes(mut self, bytes: &[u8], session: &mut Session) -> R<()> {
        self.write(bytes)?;
        self.finish(session)
    }

    /// Sends a block again and again until it is this many bytes.
    pub fn write_repeated(&mut self, block: &[u8], size: u64) -> R<()> {
        let mut left = size as usize;
        while left > 0 {
            let part = left.min(block.len());
            self.write(&block[..part])?;
            left -= part;
        }
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8]) -> R<()> {
        let Some(tls) = &mut self.tls else {
            return Ok(self.stream.write_all(bytes)?);
        };
        while !bytes.is_empty() {
            let count = tls.writer().write(bytes)?;
            bytes = &bytes[count..];
            while tls.wants_write() {
                tls.write_tls(&mut self.stream)?;
            }
        }
        Ok(())
    }

    fn say_goodbye(&mut self) -> R<()> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            while tls.wants_write() {
                match tls.write_tls(&mut self.stream) {
                    // The server has gone already.
                    Err(error)
                        if [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset]
                            .contains(&error.kind()) =>
                    {
                        break;
                    }
                    other => other?,
                };
            }
        }
        Ok(())
    }

    /// Says that nothing more comes.
    pub fn end(&mut self) -> R<()> {
        self.say_goodbye()?;
        Ok(self.stream.shutdown(Shutdown::Write)?)
    }

    fn finish(mut self, session: &mut Session) -> R<()> {
        self.end()?;
        session.reply(&["226", "250"]).map(drop)
    }
}
