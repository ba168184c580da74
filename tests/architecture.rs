//! The source keeps its shape: who may use whom, where unsafe lives, how long files and functions get (DESIGN, source and house style).
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Each part of the program and the parts it may use. A part always may use itself.
const ARROWS: [(&str, &[&str]); 12] = [
    (
        "main",
        &[
            "config",
            "helper",
            "keyholder",
            "master",
            "reader",
            "record",
            "sys",
        ],
    ),
    ("config", &[]),
    ("ftp", &[]),
    ("record", &[]),
    ("wire", &["sys", "record", "config"]),
    ("sys", &[]),
    ("tls", &["sys", "wire", "config"]),
    (
        "master",
        &[
            "config",
            "wire",
            "sys",
            "tls",
            "helper",
            "keyholder",
            "reader",
        ],
    ),
    ("keyholder", &["config", "wire", "sys", "tls"]),
    ("reader", &["config", "wire", "sys"]),
    (
        "helper",
        &["config", "reader", "record", "wire", "sys", "tls", "worker"],
    ),
    ("worker", &["ftp", "config", "record", "wire", "sys", "tls"]),
];

const FILE_LIMIT: usize = 600;
const FUNCTION_LIMIT: usize = 60;

struct Source {
    path: PathBuf,
    part: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let inner = path.strip_prefix(&root).unwrap();
                let part = inner
                    .components()
                    .next()
                    .unwrap()
                    .as_os_str()
                    .to_string_lossy()
                    .trim_end_matches(".rs")
                    .to_owned();
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source {
                    path: inner.to_owned(),
                    part,
                    text,
                });
            }
        }
    }
    assert!(found.len() > 1, "no source found");
    found
}

/// The lines that are code of the product: no comment lines, and nothing from the first test module on.
fn code(text: &str) -> Vec<(usize, &str)> {
    product(text)
        .lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line.split("// ").next().unwrap()))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .collect()
}

/// The text up to the module of tests.
fn product(text: &str) -> &str {
    text.split("\nmod tests {").next().unwrap_or(text)
}

fn is_test(source: &Source) -> bool {
    let mut parts = source.path.iter();
    parts.any(|part| part == "tests" || part == "tests.rs")
}

fn report(mistakes: Vec<String>) {
    assert!(mistakes.is_empty(), "\n{}", mistakes.join("\n"));
}

#[test]
fn the_arrows_hold() {
    let mut mistakes = Vec::new();
    for source in sources().iter().filter(|source| !is_test(source)) {
        let Some((_, allowed)) = ARROWS.iter().find(|(part, _)| *part == source.part) else {
            // keyholder.rs and other single files of one process may use what the master may.
            continue;
        };
        for (number, line) in code(&source.text) {
            for used in uses(line) {
                if used != source.part && !allowed.contains(&used.as_str()) {
                    mistakes.push(format!(
                        "{}:{number}: {} may not use {used}",
                        source.path.display(),
                        source.part
                    ));
                }
            }
        }
    }
    report(mistakes);
}

/// Every `crate::NAME` of a line, also inside `use crate::{…}`.
fn uses(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let before = line.get(..at).unwrap_or_default();
        if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &line[at + "crate::".len()..];
        let names = rest
            .strip_prefix('{')
            .map_or(vec![rest], |list| list.split(',').collect());
        for name in names {
            let name: String = name
                .trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if !name.is_empty() && name.chars().all(|c| !c.is_uppercase()) {
                found.push(name);
            }
        }
    }
    found
}

#[test]
fn the_helper_knows_only_the_entries_of_the_worker() {
    let mut mistakes = Vec::new();
    for source in sources().iter().filter(|source| source.part == "helper") {
        for (number, line) in code(&source.text) {
            if line.contains("crate::worker") && line.matches("crate::worker::").count() > 0 {
                let rest = line.split("crate::worker::").nth(1).unwrap();
                // An entry is named from the module itself or is a process' own file: `worker::greeter::run`, `worker::run`.
                if rest.matches("::").count() > 1 {
                    mistakes.push(format!(
                        "{}:{number}: reaches into the worker",
                        source.path.display()
                    ));
                }
            }
        }
    }
    report(mistakes);
}

#[test]
fn unsafe_lives_in_sys() {
    let mut mistakes = Vec::new();
    for source in sources() {
        if source.part == "sys" {
            continue;
        }
        for (number, line) in code(&source.text) {
            if line
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == "unsafe")
                && !line.contains("unsafe_code")
            {
                mistakes.push(format!(
                    "{}:{number}: unsafe outside sys",
                    source.path.display()
                ));
            }
        }
    }
    report(mistakes);
}

#[test]
fn every_unsafe_block_says_why() {
    let mut mistakes = Vec::new();
    for source in sources().iter().filter(|source| source.part == "sys") {
        let lines: Vec<&str> = source.text.lines().collect();
        for (number, line) in code(&source.text) {
            let opens = line.contains("unsafe {") || line.contains("unsafe impl");
            let nearby = &lines[number.saturating_sub(9)..number];
            if opens && !nearby.iter().any(|l| l.contains("SAFETY:")) {
                mistakes.push(format!(
                    "{}:{number}: unsafe without SAFETY",
                    source.path.display()
                ));
            }
        }
    }
    report(mistakes);
}

/// The fuzz targets are built of the same libraries as the server: what is tried is what is shipped.
#[test]
fn the_fuzz_targets_have_the_servers_dependencies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let section = |file: &str, name: &str| {
        let text = fs::read_to_string(root.join(file)).unwrap();
        let (_, rest) = text.split_once(&format!("\n{name}\n")).unwrap();
        rest.split("\n\n").next().unwrap().to_owned()
    };
    for name in ["[dependencies]", "[features]"] {
        assert_eq!(
            section("tests/fuzz/Cargo.toml", name),
            section("Cargo.toml", name)
        );
    }
    // And of the same versions.
    let packages = |file: &str| -> Vec<String> {
        let text = fs::read_to_string(root.join(file)).unwrap();
        let entries = text.split("[[package]]").skip(1);
        let named =
            entries.map(|entry| entry.lines().skip(1).take(2).collect::<Vec<_>>().join(" "));
        named.collect()
    };
    let server = packages("Cargo.lock");
    let own = ["libfuzzer-sys", "arbitrary", "vsftpd-fuzz"];
    for package in packages("tests/fuzz/Cargo.lock") {
        let known = server.contains(&package)
            || own
                .iter()
                .any(|own| package.contains(&format!("\"{own}\"")));
        assert!(known, "{package} is not in Cargo.lock");
    }
}

#[test]
fn every_file_says_its_job_first() {
    report(
        sources()
            .iter()
            .filter(|source| !source.text.starts_with("//! "))
            .map(|source| format!("{}: no //! in line 1", source.path.display()))
            .collect(),
    );
}

#[test]
fn files_are_short() {
    let long = |source: &Source| source.text.lines().count() >= FILE_LIMIT;
    report(
        sources()
            .iter()
            .filter(|source| long(source))
            .map(|source| {
                format!(
                    "{}: {} lines",
                    source.path.display(),
                    source.text.lines().count()
                )
            })
            .collect(),
    );
}

#[test]
fn functions_are_short() {
    let mut mistakes = Vec::new();
    for source in sources().iter().filter(|source| !is_test(source)) {
        let mut open: Vec<(usize, usize, String)> = Vec::new();
        // A test that is a table may be as long as the table.
        for (number, line) in product(&source.text).lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let words: Vec<&str> = line
                .split_whitespace()
                .take_while(|word| *word != "//")
                .collect();
            let starts = words.iter().take(6).position(|word| *word == "fn");
            if let Some(at) = starts.filter(|at| {
                words[..*at].iter().all(|w| {
                    w.starts_with("pub")
                        || ["const", "unsafe", "extern", "\"C\"", "async"].contains(w)
                })
            }) {
                open.push((indent, number, words.get(at + 1).unwrap_or(&"").to_string()));
            }
            if line.trim() == "}" && open.last().is_some_and(|(depth, _, _)| *depth == indent) {
                let (_, start, name) = open.pop().unwrap();
                let length = number - start + 1;
                if length >= FUNCTION_LIMIT {
                    mistakes.push(format!(
                        "{}:{}: fn {name} has {length} lines",
                        source.path.display(),
                        start + 1
                    ));
                }
            }
        }
    }
    report(mistakes);
}

#[test]
fn only_main_prints() {
    let mut mistakes = Vec::new();
    for source in sources().iter().filter(|source| source.part != "main") {
        for (number, line) in code(&source.text) {
            if ["println!", "eprintln!", "print!(", "eprint!(", "dbg!"]
                .iter()
                .any(|word| line.contains(word))
            {
                mistakes.push(format!("{}:{number}: prints", source.path.display()));
            }
        }
    }
    report(mistakes);
}

#[test]
fn nothing_gives_up_by_panicking() {
    let mut mistakes = Vec::new();
    for source in sources().iter().filter(|source| !is_test(source)) {
        for (number, line) in code(&source.text) {
            if [
                ".unwrap()",
                ".expect(",
                "panic!(",
                "todo!(",
                "unimplemented!(",
            ]
            .iter()
            .any(|word| line.contains(word))
            {
                mistakes.push(format!("{}:{number}: may panic", source.path.display()));
            }
        }
    }
    report(mistakes);
}

/// All sources, the tests' too, as one text.
fn texts(root: &Path) -> String {
    let mut tests = String::new();
    let mut open = vec![root.join("tests"), root.join("src")];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                tests += &fs::read_to_string(&path).unwrap();
            }
        }
    }
    tests
}

/// What is wrong with a row of a table whose last cell names tests, fuzz targets, or files.
fn wrong_with(row: &str, known: &str, root: &Path) -> Vec<String> {
    let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
    let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
    let missing = named.iter().filter(|name| match name.split_once(' ') {
        Some(("fuzz", target)) => !root.join("tests/fuzz/seeds").join(target).is_dir(),
        _ if name.contains('/') => !root.join(name).exists(),
        _ => {
            let last = name.rsplit([' ', ':']).next().unwrap();
            !known.contains(&format!("fn {last}(")) && !known.contains(&format!(" {last}: "))
        }
    });
    let mut mistakes: Vec<String> = missing.map(|name| format!("{name} is not there")).collect();
    if named.is_empty() && !cell.starts_with("does not apply: ") {
        mistakes.push(format!("no test: {row}"));
    }
    mistakes
}

/// The table of SECURITY.md names tests and fuzz targets that exist.
#[test]
fn every_hole_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let (_, table) = text.split_once("### Classes of holes").unwrap();
    let known = texts(root);
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let rows: Vec<&str> = rows.collect();
    assert!(rows.len() > 50, "{} rows", rows.len());
    let wrong = rows.iter().flat_map(|row| wrong_with(row, &known, root));
    report(wrong.collect());
}

/// The catalogue of attacks has each number once, with tests that exist, or a reason.
#[test]
fn every_attack_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("tests/attacks/catalogue.md")).unwrap();
    let known = texts(root);
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| B-"))
        .collect();
    let number = |row: &&str| row[4..7].parse().unwrap();
    let mut numbers: Vec<u16> = rows.iter().map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=162).collect::<Vec<_>>());
    let wrong = rows.iter().flat_map(|row| wrong_with(row, &known, root));
    report(wrong.collect());
}

/// vsftpd(8) decides about each of the 54 known weaknesses of the original, and what is mended has a test that exists.
#[test]
fn every_known_weakness_is_decided() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manual = fs::read_to_string(root.join("etc/man/vsftpd.8")).unwrap();
    let section = manual.split(".SS The weaknesses of 3.0.5").nth(1).unwrap();
    let tests = texts(root);
    let mut mistakes = Vec::new();
    let entries: Vec<&str> = section.split(".TP\n.B ").skip(1).collect();
    for (number, entry) in (1..).zip(&entries) {
        let mut head = entry.lines().next().unwrap().splitn(2, ". ");
        assert_eq!(head.next(), Some(number.to_string().as_str()), "{entry}");
        let decision = head.next().unwrap();
        let test = entry
            .lines()
            .find_map(|line| line.strip_prefix(".\\\" test: "));
        match (decision, test) {
            ("mended" | "kept", Some(test)) => {
                let name = test.rsplit("::").next().unwrap();
                if !tests.contains(&format!("fn {name}()")) {
                    mistakes.push(format!("{number}: there is no test {test}"));
                }
            }
            ("later", None) => {}
            _ => mistakes.push(format!("{number}: {decision} {test:?}")),
        }
    }
    assert_eq!(entries.len(), 54);
    report(mistakes);
}

/// scripts/privileged-lines tells of every file whether any of it runs as root, once, and names no other.
#[test]
fn every_file_is_counted_or_left_out_for_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = fs::read_to_string(root.join("scripts/privileged-lines")).unwrap();
    let list = |name: &str| {
        let start = format!("\n{name}=\"");
        let (_, rest) = script.split_once(&start).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let mut entries: Vec<String> = Vec::new();
    for name in ["at_start", "each_session", "auth", "shared"] {
        entries.extend(list(name).split_whitespace().map(str::to_owned));
    }
    let mut mistakes = Vec::new();
    for line in list("never").lines().filter(|line| !line.is_empty()) {
        let (path, reason) = line.split_once(' ').unwrap_or((line, ""));
        if reason.trim().is_empty() {
            mistakes.push(format!("{path} is left out without a reason"));
        }
        entries.push(path.to_owned());
    }
    let covers = |entry: &str, path: &str| match entry.split_once('*') {
        Some((head, tail)) => path.starts_with(head) && path.ends_with(tail),
        None => path == entry || path.starts_with(&format!("{entry}/")),
    };
    let files: Vec<String> = sources()
        .iter()
        .filter(|source| !is_test(source))
        .map(|source| source.path.display().to_string())
        .collect();
    for entry in &entries {
        if !files.iter().any(|path| covers(entry, path)) {
            mistakes.push(format!("{entry} is no file"));
        }
    }
    for path in &files {
        // A file that is named counts, whatever is said of its directory.
        let named = entries.iter().filter(|entry| *entry == path).count();
        let within = entries.iter().filter(|entry| covers(entry, path)).count();
        if named > 1 || within == 0 || named == 0 && within > 1 {
            mistakes.push(format!("{path} is in {within} lists"));
        }
    }
    report(mistakes);
}

/// scripts/login.ld names functions by module and name: one that is moved or named anew would be left out, and nobody would see it.
#[test]
fn what_a_login_runs_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = fs::read_to_string(root.join("scripts/login.ld")).unwrap();
    let sources = sources();
    let mut count = 0;
    let mut mistakes = Vec::new();
    for pattern in script.split(['(', ')', ' ', '\n']) {
        let Some((_, path)) = pattern.split_once("6vsftpd") else {
            continue;
        };
        count += 1;
        let names = names(path);
        let (function, modules) = names.split_last().unwrap();
        let there = |source: &Source| {
            let path = source.path.display().to_string();
            let first = modules
                .iter()
                .take_while(|name| name.starts_with(char::is_lowercase));
            let within = first.enumerate().all(|(depth, name)| {
                let part = path.split('/').nth(depth).unwrap_or("mod.rs");
                part.trim_end_matches(".rs") == *name || part == "mod.rs"
            });
            let text = product(&source.text);
            let begins = [format!("fn {function}("), format!("fn {function}<")];
            within && begins.iter().any(|begin| text.contains(begin))
        };
        if !sources.iter().any(there) {
            mistakes.push(format!("{pattern} fits no function"));
        }
    }
    assert!(count > 50, "{count}");
    report(mistakes);
}

/// The names in a name as a compiler writes it: each behind its length.
fn names(mut rest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    while let Some(at) = rest.find(|letter: char| letter.is_ascii_alphanumeric()) {
        rest = &rest[at..];
        let digits = rest.find(|letter: char| !letter.is_ascii_digit());
        let (length, behind) = rest.split_at(digits.unwrap_or(rest.len()));
        match length
            .parse()
            .ok()
            .and_then(|length: usize| behind.split_at_checked(length))
        {
            Some((name, next)) => {
                names.push(name);
                rest = next;
            }
            // A type with parameters, whose length is not known.
            None => rest = behind.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric()),
        }
    }
    names
}
