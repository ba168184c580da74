//! The control connection of one FTP client, as thin as can be.

use crate::{Args, Fault, R, failed, tls};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;

enum Link {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// Whom to log in as, and whether in TLS.
pub struct Account<'a> {
    user: &'a str,
    password: &'a str,
    tls: Option<Arc<ClientConfig>>,
}

impl<'a> Account<'a> {
    pub fn of(args: &'a Args) -> R<Self> {
        Ok(Self {
            user: args.text("user", "ftp"),
            password: args.text("password", "x@"),
            tls: args
                .is("tls")
                .then(|| tls::client(tls::version(args)))
                .transpose()?,
        })
    }

    pub fn login(&self) -> R<Session> {
        let mut session = Session::connect()?;
        if let Some(config) = &self.tls {
            session.secure(tls::remembering(config))?;
        }
        // Some servers take a guest without asking for a password.
        if session
            .ask(&format!("USER {}", self.user), &["331", "230"])?
            .starts_with("331")
        {
            session.tell(&format!("PASS {}", self.password), "230")?;
        }
        if self.tls.is_some() {
            session.tell("PBSZ 0", "200")?;
            session.tell("PROT P", "200")?;
        }
        session.tell("TYPE I", "200")?;
        Ok(session)
    }
}

pub struct Session {
    link: Link,
    rest: Vec<u8>,
    /// What data connections are secured with.
    pub config: Option<Arc<ClientConfig>>,
}

impl Session {
    pub fn connect() -> R<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 21))?;
        stream.set_nodelay(true)?;
        let mut session = Self {
            link: Link::Clear(stream),
            rest: Vec::new(),
            config: None,
        };
        session.reply(&["220"])?;
        Ok(session)
    }

    /// AUTH TLS and the handshake.
    pub fn secure(&mut self, config: Arc<ClientConfig>) -> R<()> {
        self.tell("AUTH TLS", "234")?;
        let mut connection = tls::connection(&config)?;
        let Link::Clear(stream) = &self.link else {
            return failed("TLS twice");
        };
        let mut stream = stream.try_clone()?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        self.link = Link::Tls(Box::new(StreamOwned::new(connection, stream)));
        self.config = Some(config);
        Ok(())
    }

    /// Sends a command without waiting for the answer.
    pub fn say(&mut self, command: &str) -> R<()> {
        let line = format!("{command}\r\n");
        match &mut self.link {
            Link::Clear(stream) => stream.write_all(line.as_bytes())?,
            Link::Tls(stream) => {
                stream.write_all(line.as_bytes())?;
                stream.flush()?;
            }
        }
        Ok(())
    }

    pub fn tell(&mut self, command: &str, code: &str) -> R<String> {
        self.ask(command, &[code])
    }

    fn ask(&mut self, command: &str, codes: &[&str]) -> R<String> {
        self.say(command)?;
        self.reply(codes)
    }

    /// The last line of the next reply, which must have one of these codes.
    pub fn reply(&mut self, codes: &[&str]) -> R<String> {
        loop {
            let line = self.line()?;
            let (code, more) = (line.get(..3), line.get(3..4));
            if more == Some("-")
                || !code.is_some_and(|code| code.bytes().all(|b| b.is_ascii_digit()))
            {
                continue;
            }
            if code.is_some_and(|code| codes.contains(&code)) {
                return Ok(line);
            }
            let why = format!("expected {codes:?}, got {line:?}");
            let unknown = ["502", "504"].contains(&code.unwrap_or_default())
                || line.starts_with("500") && !line.contains("OOPS");
            return Err(if unknown {
                Fault::Unsupported(why)
            } else {
                Fault::Failed(why)
            });
        }
    }

    fn line(&mut self) -> R<String> {
        loop {
            if let Some(at) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=at).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let mut piece = [0; 4096];
            let count = match &mut self.link {
                Link::Clear(stream) => stream.read(&mut piece)?,
                Link::Tls(stream) => stream.read(&mut piece)?,
            };
            if count == 0 {
                return failed("the server hung up");
            }
            self.rest.extend_from_slice(&piece[..count]);
        }
    }

    pub fn quit(mut self) -> R<()> {
        self.tell("QUIT", "221").map(drop)
    }
}
