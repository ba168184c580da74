//! Our listings read by the rules of FileZilla's parser for unix lines and by those of RFC 3659: what people see in it is what is there.

use crate::support::host::ALICE;
use crate::support::listing::civil;
use crate::support::{Client, Host, Server, line};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// What FileZilla shows of a line.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    kind: char,
    permissions: String,
    owner: String,
    size: u64,
    /// Year, month, day, and the minute of the day if there is a time.
    date: (i64, i64, i64, Option<i64>),
    name: String,
    target: Option<String>,
}

/// Words between blanks, of which the last one asked for may go on to the end of the line.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start_matches(' ');
        let end = text.find(' ').unwrap_or(text.len());
        self.0 = &text[end..];
        Some(&text[..end]).filter(|word| !word.is_empty())
    }

    fn rest(&mut self) -> Option<&'a str> {
        Some(self.0.trim_start_matches(' ')).filter(|rest| !rest.is_empty())
    }
}

fn today() -> (i64, i64, i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    civil((now.as_secs() / 86_400) as i64)
}

/// `Mon dd hh:mm` is of the last twelve months, unless it is of today or tomorrow; `Mon dd yyyy` is of that year.
fn date(words: &mut Words<'_>) -> Option<(i64, i64, i64, Option<i64>)> {
    let month = words.next()?.to_lowercase();
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let day: i64 = words.next()?.parse().ok()?;
    if !(1..=31).contains(&day) {
        return None;
    }
    let last = words.next()?;
    let Some((hours, minutes)) = last.split_once(':') else {
        let year: i64 = last.parse().ok()?;
        return (1000..=9999)
            .contains(&year)
            .then_some((year, month, day, None));
    };
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let (year, this_month, this_day) = today();
    // More than a day ahead is of the year before.
    let ahead = month * 31 + day > this_month * 31 + this_day + 1;
    Some((
        year - i64::from(ahead),
        month,
        day,
        Some(hours * 60 + minutes),
    ))
}

/// A line of a unix listing: permissions, links, up to three words of owner and group, size, date, name.
fn unix(line: &str) -> Option<Shown> {
    let mut words = Words(line);
    let permissions = words.next()?;
    let kind = permissions
        .chars()
        .next()
        .filter(|kind| "bcdlps-".contains(*kind))?;
    let links = words.next()?;
    links.parse::<u64>().ok()?;
    let after_links = words.0;
    for owners in (0..=3).rev() {
        let mut words = Words(after_links);
        let owner: Vec<&str> = (0..owners).filter_map(|_| words.next()).collect();
        let Some(size) = words.next().and_then(|size| size.parse().ok()) else {
            continue;
        };
        let Some(date) = date(&mut words) else {
            continue;
        };
        let mut name = words.rest()?;
        // What `ls -F` appends.
        if name.ends_with(['/', '|', '*']) {
            name = &name[..name.len() - 1];
        }
        let (name, target) = match name.split_once(" -> ") {
            Some((name, target)) if kind == 'l' => (name, Some(target.to_owned())),
            Some(_) | None => (name, None),
        };
        return Some(Shown {
            kind,
            permissions: permissions.to_owned(),
            owner: owner.join(" "),
            size,
            date,
            name: name.to_owned(),
            target,
        });
    }
    None
}

fn list(c: &mut Client, command: &str) -> BTreeMap<String, Shown> {
    let lines = c.names(command);
    let shown = lines
        .iter()
        .map(|line| unix(line).unwrap_or_else(|| panic!("{line}")));
    shown.map(|shown| (shown.name.clone(), shown)).collect()
}

/// Every kind of file, with its path.
fn kinds(host: &Host) -> BTreeMap<&'static str, String> {
    let root = "/home/alice/kinds";
    host.mkdir(root, ALICE);
    let path = |name: &str| format!("{root}/{name}");
    host.file(&path("file"), b"12345");
    host.mkdir(&path("directory"), ALICE);
    host.file(&path("setuid"), b"");
    host.mode(&path("setuid"), 0o4755);
    host.mkdir(&path("sticky"), ALICE);
    host.mode(&path("sticky"), 0o1777);
    host.file(&path("closed"), b"");
    host.mode(&path("closed"), 0);
    host.file(&path("a b  c"), b"x");
    host.file(&path("12345 Jan 01 2001 x"), b"x");
    host.file(&path("not -> a link"), b"x");
    host.file(&path("中文"), b"x");
    symlink("file", path("link")).unwrap();
    symlink("nowhere at all", path("dangling")).unwrap();
    nix::unistd::mkfifo(
        path("fifo").as_str(),
        nix::sys::stat::Mode::from_bits_truncate(0o600),
    )
    .unwrap();
    drop(std::os::unix::net::UnixListener::bind(path("socket")).unwrap());
    let large = fs::File::create(path("large")).unwrap();
    large.set_len(5_000_000_000_000).unwrap();
    for (name, seconds) in [
        ("old", 981_173_106),
        ("before 1970", -86_400 * 365),
        ("far", 4_000_000_000),
    ] {
        host.file(&path(name), b"x");
        host.touch(&path(name), seconds);
    }
    let names = [
        "file",
        "directory",
        "setuid",
        "sticky",
        "closed",
        "a b  c",
        "12345 Jan 01 2001 x",
        "not -> a link",
        "中文",
        "link",
        "dangling",
        "fifo",
        "socket",
        "large",
        "old",
        "before 1970",
        "far",
    ];
    names.into_iter().map(|name| (name, path(name))).collect()
}

/// attacks B-028.
#[test]
fn lists_of_every_kind() {
    let host = Host::new();
    let paths = kinds(&host);
    for (lines, owner) in [
        ("", "1001 1001"),
        ("hide_ids=YES\n", "ftp ftp"),
        ("text_userdb_names=YES\n", "alice alice"),
    ] {
        let _server = Server::start(&host, lines);
        let mut c = Client::alice();
        let all = list(&mut c, "LIST kinds");
        assert_eq!(
            all.keys().collect::<Vec<_>>(),
            paths.keys().collect::<Vec<_>>()
        );
        for (name, path) in &paths {
            let shown = &all[*name];
            let meta = fs::symlink_metadata(path).unwrap();
            let (year, month, day) = civil(meta.mtime().div_euclid(86_400));
            assert_eq!(shown.size, meta.size(), "{name}");
            assert_eq!(
                (shown.date.0, shown.date.1, shown.date.2),
                (year, month, day),
                "{name}"
            );
            let minute = meta.mtime().rem_euclid(86_400) / 60;
            assert!(shown.date.3.is_none_or(|shown| shown == minute), "{name}");
            let ours = line(path);
            assert_eq!(shown.permissions, ours[..10], "{name}");
            let target = fs::read_link(path).ok();
            assert_eq!(
                shown.target,
                target.map(|to| to.display().to_string()),
                "{name}"
            );
        }
        assert_eq!(all["directory"].owner, owner);
        assert!(all["file"].date.3.is_some());
    }
}

/// FileZilla asks for MLSD where FEAT lists MLST: there every name arrives whole, also those that its rules for LIST cut.
#[test]
fn machine_lists_keep_every_name() {
    let host = Host::new();
    let mut paths = kinds(&host);
    for name in [
        " leading",
        "trailing ",
        "star*",
        "pipe|",
        "x; type=dir; y",
        "=;",
    ] {
        host.file(&format!("/home/alice/kinds/{name}"), b"x");
        paths.insert(name, format!("/home/alice/kinds/{name}"));
    }
    let _server = Server::start(&host, "");
    let mut c = Client::alice();
    assert!(c.cmd("FEAT").text().contains("\r\n MLST "));
    let mut seen = 0;
    for line in c.names("MLSD kinds") {
        // Facts end with the first blank; all behind it is the name.
        let (facts, name) = line.split_once(' ').unwrap();
        if facts.contains("type=cdir") || facts.contains("type=pdir") {
            continue;
        }
        let facts: BTreeMap<String, &str> = facts
            .split(';')
            .filter_map(|fact| fact.split_once('='))
            .map(|(name, value)| (name.to_lowercase(), value))
            .collect();
        let meta = fs::symlink_metadata(&paths[name]).unwrap();
        let kind = match facts["type"] {
            "file" => meta.is_file(),
            "dir" => meta.is_dir(),
            other => other.starts_with("OS.unix=") && !meta.is_file() && !meta.is_dir(),
        };
        assert!(kind, "{line}");
        if meta.is_file() {
            assert_eq!(facts["size"], meta.size().to_string(), "{line}");
        }
        let (year, month, day) = civil(meta.mtime().div_euclid(86_400));
        let day = format!("{year:04}{month:02}{day:02}");
        assert!(facts["modify"].starts_with(&day), "{line}");
        seen += 1;
    }
    assert_eq!(seen, paths.len());
}
