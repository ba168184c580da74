//! The pure functions on the hot paths, alone: `scripts/bench --micro`. The program has no library, so its modules are read
//! in here. Look at the column `fastest`: it is the one that other work on the machine does not move.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[allow(dead_code, unused_imports)]
#[path = "../../src/config/mod.rs"]
mod config;
#[allow(dead_code, unused_imports)]
#[path = "../../src/ftp/mod.rs"]
mod ftp;
#[allow(dead_code, unused_imports)]
#[path = "../../src/sys/mod.rs"]
mod sys;
#[allow(dead_code, unused_imports)]
#[path = "../../src/wire/mod.rs"]
mod wire;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use ftp::ascii::{FromNetwork, ToNetwork};
use ftp::facts::{self, Facts, Kind, Selection};
use ftp::line::{Command, LineBuffer};
use ftp::listing::{self, Entry, Shelf};
use ftp::pattern::Pattern;
use std::time::Duration;
use wire::{AfterLogin, Decoder, Direction, Encoder, Event, Message, Outcome};

fn main() {
    divan::main();
}

fn name(number: u32) -> Vec<u8> {
    let number = number.wrapping_mul(7919) % 1_000_000;
    format!("firmware-image-{number:06}.bin").into_bytes()
}

fn entry(name: &[u8]) -> Entry<'_> {
    Entry {
        name,
        mode: 0o100_644,
        nlink: 1,
        uid: 1000,
        gid: 1000,
        size: 1_234_567,
        mtime: 1_790_000_000,
        target: None,
    }
}

/// From the bytes of the network to a command and its argument.
#[divan::bench]
fn command_parse(bencher: Bencher<'_, '_>) {
    let bytes = b"RETR pub/firmware/image-1.2.bin\r\n";
    let mut buffer = LineBuffer::new();
    bencher.bench_local(|| {
        buffer.space()[..bytes.len()].copy_from_slice(black_box(bytes));
        buffer.filled(bytes.len());
        let line = buffer.next_line().ok().flatten().unwrap();
        Command::parse(line.bytes())
    });
}

#[divan::bench]
fn list_line(bencher: Bencher<'_, '_>) {
    let (name, mut out) = (name(1), Vec::with_capacity(4096));
    let entry = entry(&name);
    bencher.bench_local(|| {
        out.clear();
        let now = 1_795_000_000;
        listing::long_line(
            &mut out,
            black_box(&entry),
            b"ftp",
            b"ftp",
            now,
            |_| 0,
            false,
        );
        black_box(&out);
    });
}

#[divan::bench]
fn nlst_line(bencher: Bencher<'_, '_>) {
    let (name, mut out) = (name(1), Vec::with_capacity(4096));
    let entry = entry(&name);
    bencher.bench_local(|| {
        out.clear();
        listing::short_line(&mut out, b"", black_box(&entry), false);
        black_box(&out);
    });
}

#[divan::bench]
fn mlsd_line(bencher: Bencher<'_, '_>) {
    let mut out = Vec::with_capacity(4096);
    let wants = Selection::parse(b"type;size;modify;perm;unique;").wants();
    let facts = Facts {
        kind: Kind::File,
        size: 1_234_567,
        modify: 1_790_000_000,
        perm: b"r",
        unique: (0xfd01, 1_234_567),
        mode: 0o100_644,
        owner: b"ftp",
        group: b"ftp",
    };
    bencher.bench_local(|| {
        out.clear();
        facts::line(
            &mut out,
            wants,
            black_box(&facts),
            b"firmware-image-000001.bin",
        );
        black_box(&out);
    });
}

#[divan::bench]
fn sort_10_000(bencher: Bencher<'_, '_>) {
    let names: Vec<Vec<u8>> = (0..10_000).map(name).collect();
    let (options, _) = listing::Options::parse(b"");
    bencher
        .counter(ItemsCount::new(names.len()))
        .with_inputs(|| {
            let mut shelf = Shelf::default();
            assert!(names.iter().all(|name| shelf.push(&entry(name))));
            shelf
        })
        .bench_local_values(|shelf| shelf.sort(&options));
}

#[divan::bench(args = ["*.bin", "{*.exe,*.dll}", "*a*b*c*d*", "firmware-image-00000?.bin"])]
fn pattern_match(bencher: Bencher<'_, '_>, pattern: &str) {
    let pattern = Pattern::new(pattern.as_bytes());
    bencher.bench_local(|| pattern.matches(black_box(b"firmware-image-000001.bin"), &mut 0));
}

fn text() -> Vec<u8> {
    b"A line of a text file, of a length that lines have.\n".repeat(1260)
}

#[divan::bench]
fn ascii_down(bencher: Bencher<'_, '_>) {
    let (text, mut out) = (text(), Vec::new());
    bencher
        .counter(BytesCount::new(text.len()))
        .bench_local(|| {
            out.clear();
            ToNetwork::new().convert(black_box(&text), &mut out);
            black_box(&out);
        });
}

#[divan::bench]
fn ascii_up(bencher: Bencher<'_, '_>) {
    let (mut text, mut out) = (Vec::new(), Vec::new());
    ToNetwork::new().convert(&self::text(), &mut text);
    bencher
        .counter(BytesCount::new(text.len()))
        .bench_local(|| {
            out.clear();
            FromNetwork::new().convert(black_box(&text), &mut out);
            black_box(&out);
        });
}

fn message() -> AfterLogin {
    AfterLogin::Event(Event::Transfer {
        direction: Direction::Download,
        outcome: Outcome::Done,
        path: b"/pub/firmware/image-1.2.bin".to_vec(),
        bytes: 1_234_567,
        elapsed: Duration::from_millis(12),
        ascii: false,
    })
}

#[divan::bench]
fn wire_encode(bencher: Bencher<'_, '_>) {
    let message = message();
    bencher.bench_local(|| {
        let mut out = Encoder::default();
        black_box(&message).encode(&mut out);
        black_box(out.bytes().len())
    });
}

#[divan::bench]
fn wire_decode(bencher: Bencher<'_, '_>) {
    let (message, mut out) = (message(), Encoder::default());
    message.encode(&mut out);
    bencher.bench_local(|| {
        AfterLogin::decode(&mut Decoder::new(black_box(out.bytes()), None)).unwrap()
    });
}
