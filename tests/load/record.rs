//! How fast rustls itself makes and opens records of 16 KiB: in memory, and over a socket with nothing at either end. The
//! processor time is that of the server's thread alone.

use crate::bare::{decrypt, encrypt};
use crate::data::Data;
use crate::tally::Outcome;
use crate::{Args, R, failed, tls};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use rustls::{ClientConnection, ServerConnection};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Instant;

/// Records between two looks at the clock.
const BATCH: usize = 16;

fn thread_cpu() -> R<f64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
}

/// Puts the calling thread on one processor.
fn stay_on(cpu: u64) -> R<()> {
    let mut set = CpuSet::new();
    set.set(cpu as usize)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

pub fn run(args: &Args) -> R<Outcome> {
    let config = tls::server(
        Path::new(args.text("cert", "")),
        Path::new(args.text("key", "")),
    )?;
    let client = tls::connection(&tls::client(tls::version(args))?)?;
    let server = ServerConnection::new(config)?;
    let size = args.number("size", 1 << 30);
    stay_on(args.number("server_cpu", 0))?;
    let begin = Instant::now();
    let cpu = match (args.text("via", "memory"), args.is("up")) {
        ("memory", false) => memory_down(client, server, size)?,
        ("memory", true) => memory_up(client, server, size)?,
        (_, up) => socket(args, client, server, size, up)?,
    };
    Ok(Outcome {
        amount: size as f64 / (1 << 30) as f64,
        wall: begin.elapsed().as_secs_f64(),
        client_cpu: 0.0,
        server_cpu: Some(cpu),
        times: Vec::new(),
    })
}

fn greet(client: &mut ClientConnection, server: &mut ServerConnection) -> R<()> {
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire)?;
        }
        while !wire.is_empty() {
            let count = server.read_tls(&mut wire.as_slice())?;
            wire.drain(..count);
            server.process_new_packets()?;
        }
        while server.wants_write() {
            server.write_tls(&mut wire)?;
        }
        while !wire.is_empty() {
            let count = client.read_tls(&mut wire.as_slice())?;
            wire.drain(..count);
            client.process_new_packets()?;
        }
    }
    Ok(())
}

fn memory_down(mut client: ClientConnection, mut server: ServerConnection, size: u64) -> R<f64> {
    greet(&mut client, &mut server)?;
    let text = [7; tls::RECORD];
    let begin = thread_cpu()?;
    for _ in 0..size / tls::RECORD as u64 {
        server.writer().write_all(&text)?;
        while server.wants_write() {
            server.write_tls(&mut io::sink())?;
        }
    }
    Ok(thread_cpu()? - begin)
}

fn memory_up(mut client: ClientConnection, mut server: ServerConnection, size: u64) -> R<f64> {
    greet(&mut client, &mut server)?;
    let text = [7; tls::RECORD];
    let mut room = vec![0; tls::RECORD];
    let mut wire = Vec::new();
    let mut cpu = 0.0;
    let mut all = 0;
    for _ in 0..size / (BATCH * tls::RECORD) as u64 {
        wire.clear();
        for _ in 0..BATCH {
            client.writer().write_all(&text)?;
            while client.wants_write() {
                client.write_tls(&mut wire)?;
            }
        }
        let begin = thread_cpu()?;
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest)?;
            let mut left = server.process_new_packets()?.plaintext_bytes_to_read();
            while left > 0 {
                let count = server.reader().read(&mut room)?;
                all += count as u64;
                left -= count;
            }
        }
        cpu += thread_cpu()? - begin;
    }
    if all < size {
        failed("records are missing")
    } else {
        Ok(cpu)
    }
}

/// The same through a socket, with a client in another thread on another processor.
fn socket(
    args: &Args,
    client: ClientConnection,
    server: ServerConnection,
    size: u64,
    up: bool,
) -> R<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let other = args.number("client_cpu", 0);
    thread::scope(|scope| {
        let client = scope.spawn(move || -> R<()> {
            stay_on(other)?;
            let mut data = Data::secured(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?, client)?;
            if up {
                data.write_repeated(&[7; 4 * tls::RECORD], size)?;
                data.end()
            } else {
                data.discard(size, || false).map(drop)
            }
        });
        let stream = listener.accept()?.0;
        stream.set_nodelay(true)?;
        let begin = thread_cpu()?;
        let moved = if up {
            decrypt(server, stream, &mut io::sink())?
        } else {
            encrypt(server, stream, &mut io::repeat(7).take(size))?
        };
        let cpu = thread_cpu()? - begin;
        client
            .join()
            .unwrap_or_else(|_| failed("the client broke down"))?;
        if moved == size {
            Ok(cpu)
        } else {
            failed("bytes are missing")
        }
    })
}
