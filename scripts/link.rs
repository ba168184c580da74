//! Cargo's build script: what a login runs is laid side by side in the program (scripts/login.ld), where the linker knows how to.
//!
//! It is asked: rustc links an empty program the same way. Where that fails, as with gold or mold, the program is the same in another order,
//! and a login costs a little more.
// What Cargo reads.
#![allow(clippy::print_stdout)]

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

/// Read by the linker beside its own.
const SCRIPT: &str = "scripts/login.ld";

fn main() {
    println!("cargo:rerun-if-changed=scripts/link.rs");
    println!("cargo:rerun-if-changed={SCRIPT}");
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    let Ok(top) = env::var("CARGO_MANIFEST_DIR") else {
        return;
    };
    // One word, so that a path may have blanks and commas in it; both gcc and clang pass it on.
    let word = format!("-T{}", Path::new(&top).join(SCRIPT).display());
    if links(&word) == Some(true) {
        println!("cargo:rustc-link-arg-bins={word}");
    }
}

/// Whether an empty program can be linked with that; `None` where that cannot be tried.
fn links(word: &str) -> Option<bool> {
    let place = env::var("OUT_DIR").ok()?;
    let source = Path::new(&place).join("empty.rs");
    std::fs::write(&source, "fn main() {}\n").ok()?;
    let mut rustc = Command::new(env::var_os("RUSTC")?);
    rustc.args([
        "--crate-type",
        "bin",
        "--edition",
        "2024",
        "--out-dir",
        &place,
    ]);
    rustc.args(["--target", &env::var("TARGET").ok()?]);
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={linker}"));
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()));
    rustc.arg("-C").arg(format!("link-arg={word}")).arg(source);
    rustc.stdout(Stdio::null()).stderr(Stdio::null());
    Some(rustc.status().ok()?.success())
}
