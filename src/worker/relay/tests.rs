//! The carrier's waits, between a client of the library's own and a worker that the test plays; runs in the test process.

use super::Relay;
use crate::sys::socket;
use crate::tls;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection, StreamOwned};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

type Client = StreamOwned<ClientConnection, UnixStream>;

/// Both ends of a connection after its handshake, with nothing left to be said.
fn connected() -> (ServerConnection, OwnedFd, Client) {
    let (server, client) = tls::configs(&rustls::version::TLS13, None);
    let (ours, theirs) = socket::stream_pair().unwrap();
    let client = std::thread::spawn(move || {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut client = StreamOwned::new(connection, UnixStream::from(theirs));
        client.conn.complete_io(&mut client.sock).unwrap();
        client
    });
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let deadline = Instant::now().checked_add(DEADLINE).unwrap();
    tls::handshake(&mut server, ours.as_fd(), None, deadline).unwrap();
    tls::last_words(&mut server, ours.as_fd());
    (server, ours, client.join().unwrap())
}

fn relay(client: BorrowedFd<'_>, tls: ServerConnection, worker: OwnedFd) -> Relay<'_> {
    Relay {
        client,
        tls: Box::new(tls),
        worker,
        up: Vec::new(),
        client_ended: false,
        worker_ended: false,
    }
}

/// Has a carrier wait once, with this to be carried, between a client and a worker that are there and say nothing.
fn comes_back(prepare: fn(&mut Relay<'_>)) {
    let (tls, socket, client) = connected();
    let (pair, worker) = socket::stream_pair().unwrap();
    let (helper, lifeline) = socket::message_pair().unwrap();
    let (done, comes) = mpsc::channel();
    // It is left alone if it hangs.
    std::thread::spawn(move || {
        let mut relay = relay(socket.as_fd(), tls, pair);
        prepare(&mut relay);
        let waited = relay.wait(lifeline.as_fd(), None).is_ok();
        done.send(waited && !relay.client_ended && !relay.worker_ended)
    });
    assert_eq!(comes.recv_timeout(DEADLINE), Ok(true));
    drop((client, worker, helper));
}

/// A reply goes on as soon as the client has room, though it says nothing.
#[test]
fn a_silent_client_with_room() {
    comes_back(|relay| {
        relay.tls.writer().write_all(b"200 NOOP ok.\r\n").unwrap();
        assert!(relay.tls.wants_write());
    });
}

/// A command goes on as soon as the worker has room, though it says nothing.
#[test]
fn a_silent_worker_with_room() {
    comes_back(|relay| relay.up = b"NOOP\r\n".to_vec());
}

/// Who goes on talking after the last words is listened to until the deadline, not until it is silent.
#[test]
fn a_client_that_goes_on_talking() {
    let (tls, socket, mut client) = connected();
    client.write_all(&[b'x'; 30_000]).unwrap();
    let (pair, _worker) = socket::stream_pair().unwrap();
    let now = Some(Instant::now());
    relay(socket.as_fd(), tls, pair).farewell(now);
    assert!(socket::readable(socket.as_fd(), now).unwrap());
}
