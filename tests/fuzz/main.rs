//! The fuzz targets, one of which the environment names: everything that reads what a stranger wrote, and a whole session; a program for
//! libFuzzer, built and run by scripts/fuzz. It is made of the sources of the server, so that what is tried is what is shipped.
#![no_main]
#![allow(dead_code, unused_imports)]

#[path = "../../src/config/mod.rs"]
mod config;
#[path = "../../src/ftp/mod.rs"]
mod ftp;
#[path = "../../src/helper/mod.rs"]
mod helper;
#[path = "../../src/keyholder/mod.rs"]
mod keyholder;
#[path = "../../src/master/mod.rs"]
mod master;
#[path = "../../src/reader/mod.rs"]
mod reader;
#[path = "../../src/record/mod.rs"]
mod record;
#[path = "../../src/sys/mod.rs"]
mod sys;
#[path = "../../src/tls/mod.rs"]
mod tls;
#[path = "../../src/wire/mod.rs"]
mod wire;
#[path = "../../src/worker/mod.rs"]
mod worker;

mod args;
mod memory;
mod message;
mod place;
mod settings;
mod strings;
mod words;

use std::sync::OnceLock;

#[global_allocator]
static COUNTED: memory::Counted = memory::Counted;

type Target = (&'static str, fn(&[u8]));

/// The names are those of the directories in seeds/.
const TARGETS: &[Target] = &[
    ("line", words::line),
    ("address", words::address),
    ("listing", words::listing),
    ("path", sys::tree::fuzz::path),
    ("settings", settings::run),
    ("rules", reader::fuzz::run),
    ("pam", sys::pam::fuzz::run),
    ("wire", strings::wire),
    ("args", args::run),
    ("session", worker::fuzz::run),
];

static CHOSEN: OnceLock<fn(&[u8])> = OnceLock::new();

fn choose() -> fn(&[u8]) {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    let Some((_, target)) = found else {
        let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("FUZZ_TARGET={name}: it must be one of {names:?}");
        std::process::exit(2);
    };
    *target
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    CHOSEN.get_or_init(choose)(data);
    memory::look();
});
