//! The installation, as an administrator does it: `make install start` on a copy of this host that is thrown away. Ours only.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

use std::process::Command;

/// Runs a command of the repository and gives all it said; its failure is the test's.
#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said
}

/// A variable of the environment counts where the Makefile has a default of its own.
#[test]
fn the_environment_counts() {
    let seconds = "env";
    let said = run(seconds, &["FUZZ_SECONDS=7", "make", "-n", "fuzz"]);
    assert_eq!(said, "FUZZ_SECONDS=7 scripts/fuzz\n");
    // What it is asked to hand on, it does not replace.
    let rules = "include Makefile\nshown:\n\t@echo $$FUZZ_SECONDS\n";
    let place = std::env::temp_dir().join(format!("vsftpd-rules-{}", std::process::id()));
    std::fs::write(&place, rules).unwrap();
    let rules = place.display().to_string();
    let said = run(
        "env",
        &["FUZZ_SECONDS=0", "make", "-s", "-f", &rules, "shown"],
    );
    std::fs::remove_file(place).unwrap();
    assert_eq!(said, "0\n");
}

#[test]
fn the_first_day() {
    // Built here, so that the copy of the host finds it done.
    run("make", &["-s", "build"]);
    let said = run("tests/install/private-root", &["tests/install/first-day"]);
    assert!(said.contains("all is as the README says"), "{said}");
}
