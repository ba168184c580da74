//! MLSD and MLST: the facts about an entry and their line (RFC 3659 §7), and OPTS MLST; runs in worker.

use super::number;
use super::time::Civil;

/// The names of the facts, in the order of a line.
const NAMES: [&str; 8] = [
    "type",
    "size",
    "modify",
    "perm",
    "unique",
    "UNIX.mode",
    "UNIX.owner",
    "UNIX.group",
];

/// Which facts a client wants; all, until OPTS MLST says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection([bool; NAMES.len()]);

impl Default for Selection {
    fn default() -> Self {
        Self([true; NAMES.len()])
    }
}

impl Selection {
    /// Reads the list of OPTS MLST, `type;size;`: names in any case, those nobody knows are left out (RFC 3659 §7.9).
    #[must_use]
    pub fn parse(list: &[u8]) -> Self {
        let wanted = |name: &str| {
            list.split(|byte| *byte == b';')
                .any(|fact| fact.eq_ignore_ascii_case(name.as_bytes()))
        };
        Self(NAMES.map(wanted))
    }

    /// The facts selected, each with its semicolon.
    #[must_use]
    pub fn chosen(self) -> String {
        let pairs = NAMES.iter().zip(self.0).filter(|(_, on)| *on);
        pairs.map(|(name, _)| format!("{name};")).collect()
    }

    /// The text of FEAT: all facts, those selected with a star.
    #[must_use]
    pub fn feature(self) -> String {
        let mark = |on| if on { "*" } else { "" };
        let pairs = NAMES.iter().zip(self.0);
        pairs
            .map(|(name, on)| format!("{name}{};", mark(on)))
            .collect()
    }

    fn has(self, name: &str) -> bool {
        NAMES
            .iter()
            .zip(self.0)
            .any(|(known, on)| on && *known == name)
    }

    /// Which facts must be found out, asked once for a whole listing.
    #[must_use]
    pub fn wants(self) -> Wants {
        Wants {
            kind: self.has("type"),
            size: self.has("size"),
            modify: self.has("modify"),
            perm: self.has("perm"),
            unique: self.has("unique"),
            mode: self.has("UNIX.mode"),
            owner: self.has("UNIX.owner"),
            group: self.has("UNIX.group"),
        }
    }
}

/// The facts of a selection, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    kind: bool,
    size: bool,
    modify: bool,
    /// The rights take the kernel's word.
    pub perm: bool,
    unique: bool,
    mode: bool,
    owner: bool,
    group: bool,
}

/// The type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// The directory listed.
    Here,
    /// Its parent.
    Above,
    /// A symbolic link, with what it says.
    Link(&'a [u8]),
    /// Something else: a device, a pipe, a socket.
    Other,
}

/// What is said about one entry.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Its type.
    pub kind: Kind<'a>,
    /// Bytes; said of regular files.
    pub size: u64,
    /// Last change of the contents, in seconds since 1970 UTC.
    pub modify: i64,
    /// What the user may do with it; see [`perm`].
    pub perm: &'a [u8],
    /// File system, and number in it.
    pub unique: (u64, u64),
    /// Type and permissions as in `st_mode`.
    pub mode: u32,
    /// Owner, as listings show it.
    pub owner: &'a [u8],
    /// Group.
    pub group: &'a [u8],
}

/// Appends the selected facts, a space, and the name; no line end.
pub fn line(out: &mut Vec<u8>, wants: Wants, facts: &Facts<'_>, name: &[u8]) {
    if wants.kind {
        kind(out, facts.kind);
    }
    if wants.size && facts.kind == Kind::File {
        out.extend_from_slice(b"size=");
        number::decimal(out, facts.size);
        out.push(b';');
    }
    if wants.modify {
        out.extend_from_slice(b"modify=");
        stamp(out, facts.modify);
        out.push(b';');
    }
    if wants.perm {
        value(out, b"perm=", facts.perm);
    }
    if wants.unique {
        out.extend_from_slice(b"unique=");
        hex(out, facts.unique.0);
        out.push(b'g');
        hex(out, facts.unique.1);
        out.push(b';');
    }
    if wants.mode {
        out.extend_from_slice(b"UNIX.mode=0");
        for shift in [6, 3, 0] {
            number::decimal(out, u64::from(facts.mode >> shift & 7));
        }
        out.push(b';');
    }
    if wants.owner {
        value(out, b"UNIX.owner=", facts.owner);
    }
    if wants.group {
        value(out, b"UNIX.group=", facts.group);
    }
    out.push(b' ');
    let from = out.len();
    out.extend_from_slice(name);
    // As in LIST: a name must not make up lines.
    for byte in out.iter_mut().skip(from) {
        if matches!(*byte, b'\r' | b'\n') {
            *byte = b'?';
        }
    }
}

/// A link's text is told only if no client can take a part of it for something else.
fn kind(out: &mut Vec<u8>, kind: Kind<'_>) {
    out.extend_from_slice(b"type=");
    match kind {
        Kind::File => out.extend_from_slice(b"file"),
        Kind::Directory => out.extend_from_slice(b"dir"),
        Kind::Here => out.extend_from_slice(b"cdir"),
        Kind::Above => out.extend_from_slice(b"pdir"),
        Kind::Link(text) => {
            out.extend_from_slice(b"OS.unix=slink");
            let plain = |byte: &u8| *byte > b' ' && !matches!(*byte, b';' | 0x7f);
            if !text.is_empty() && text.iter().all(plain) {
                out.push(b':');
                out.extend_from_slice(text);
            }
        }
        Kind::Other => out.extend_from_slice(b"OS.unix=other"),
    }
    out.push(b';');
}

/// A fact whose value is a text of others: what would end it or the line becomes `?`.
fn value(out: &mut Vec<u8>, name: &[u8], text: &[u8]) {
    out.extend_from_slice(name);
    out.extend(text.iter().map(|byte| match *byte {
        b';' | 0x7f | 0..=b' ' => b'?',
        plain => plain,
    }));
    out.push(b';');
}

/// `YYYYMMDDHHMMSS`; years that have no four digits are shown as the nearest that have.
pub fn stamp(out: &mut Vec<u8>, seconds: i64) {
    let civil = Civil::from_unix(seconds.clamp(-62_167_219_200, 253_402_300_799));
    number::right(out, u64::try_from(civil.year).unwrap_or(0), 4, b'0');
    for part in [
        civil.month,
        civil.day,
        civil.hour,
        civil.minute,
        civil.second,
    ] {
        number::pair(out, part);
    }
}

fn hex(out: &mut Vec<u8>, value: u64) {
    let digits = b"0123456789abcdef";
    let nibble = |shift: u32| usize::try_from(value >> shift & 15).unwrap_or(0);
    let first = 60_u32.saturating_sub(value.leading_zeros() / 4 * 4);
    for shift in (0..=first).rev().step_by(4) {
        out.extend(digits.get(nibble(shift)));
    }
}

/// What the options and the lists of commands let a session do, for the perm fact (RFC 3659 §7.5.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights {
    /// APPE.
    pub append: bool,
    /// STOR of a new file.
    pub create: bool,
    /// STOR over a file that is there.
    pub replace: bool,
    /// DELE.
    pub delete: bool,
    /// RMD.
    pub remove: bool,
    /// RNFR and RNTO.
    pub rename: bool,
    /// CWD.
    pub enter: bool,
    /// A listing.
    pub list: bool,
    /// MKD.
    pub make: bool,
    /// RETR.
    pub fetch: bool,
}

/// What the file system lets it do with one entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Access {
    /// To read it.
    pub read: bool,
    /// To write it, or to change its entries.
    pub write: bool,
    /// To enter it.
    pub enter: bool,
    /// To take its name away.
    pub detach: bool,
}

/// Appends the letters of the perm fact. For a link, `target` is what it leads to, if anything; its own name is what DELE and RNFR
/// are about.
pub fn perm(out: &mut Vec<u8>, kind: Kind<'_>, target: Kind<'_>, rights: Rights, access: Access) {
    let directory = matches!(target, Kind::Directory | Kind::Here | Kind::Above);
    let file = target == Kind::File;
    let linked = matches!(kind, Kind::Link(_));
    let removable = if directory && !linked {
        rights.remove
    } else {
        rights.delete
    };
    let change = directory && access.write && access.enter;
    let letters = [
        (b'a', file && rights.append && access.write),
        (b'c', change && rights.create),
        (b'd', access.detach && removable),
        (b'e', directory && rights.enter && access.enter),
        (b'f', access.detach && rights.rename),
        (b'l', directory && rights.list && access.read),
        (b'm', change && rights.make),
        (b'p', change && (rights.delete || rights.remove)),
        (b'r', file && rights.fetch && access.read),
        (b'w', file && rights.replace && access.write),
    ];
    out.extend(
        letters
            .iter()
            .filter_map(|(letter, on)| on.then_some(*letter)),
    );
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts<'a>(kind: Kind<'a>, owner: &'a [u8]) -> Facts<'a> {
        Facts {
            kind,
            size: 12,
            modify: 981_173_106,
            perm: b"adfrw",
            unique: (0x801, 0x2a),
            mode: 0o100_644,
            owner,
            group: b"105",
        }
    }

    fn text(selection: Selection, facts: &Facts<'_>, name: &[u8]) -> String {
        let mut out = Vec::new();
        line(&mut out, selection.wants(), facts, name);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_with_everything() {
        assert_eq!(
            text(Selection::default(), &facts(Kind::File, b"alice"), b"a b"),
            "type=file;size=12;modify=20010203040506;perm=adfrw;unique=801g2a;UNIX.mode=0644;UNIX.owner=alice;UNIX.group=105; a b"
        );
    }

    #[test]
    fn selections() {
        let all = Selection::default();
        assert_eq!(
            all.feature(),
            "type*;size*;modify*;perm*;unique*;UNIX.mode*;UNIX.owner*;UNIX.group*;"
        );
        let some = Selection::parse(b"UNIX.MODE;Type;media-type;type;");
        assert_eq!(some.chosen(), "type;UNIX.mode;");
        assert_eq!(
            some.feature(),
            "type*;size;modify;perm;unique;UNIX.mode*;UNIX.owner;UNIX.group;"
        );
        assert_eq!(
            text(some, &facts(Kind::Here, b""), b"."),
            "type=cdir;UNIX.mode=0644; ."
        );
        let none = Selection::parse(b"");
        assert_eq!(none.chosen(), "");
        assert_eq!(text(none, &facts(Kind::File, b""), b"x"), " x");
    }

    #[test]
    fn links_and_others() {
        let kinds = Selection::parse(b"type");
        let of = |kind| text(kinds, &facts(kind, b""), b"x");
        assert_eq!(of(Kind::Link(b"f")), "type=OS.unix=slink:f; x");
        assert_eq!(of(Kind::Link(b"a b")), "type=OS.unix=slink; x");
        assert_eq!(of(Kind::Link(b"a;b")), "type=OS.unix=slink; x");
        assert_eq!(of(Kind::Link(b"")), "type=OS.unix=slink; x");
        assert_eq!(of(Kind::Above), "type=pdir; x");
        assert_eq!(of(Kind::Other), "type=OS.unix=other; x");
    }

    #[test]
    fn rights_and_access_both_count() {
        let letters = |kind, target, rights, access| {
            let mut out = Vec::new();
            perm(&mut out, kind, target, rights, access);
            String::from_utf8(out).unwrap()
        };
        let all = Rights {
            append: true,
            create: true,
            replace: true,
            delete: true,
            remove: true,
            rename: true,
            enter: true,
            list: true,
            make: true,
            fetch: true,
        };
        let free = Access {
            read: true,
            write: true,
            enter: true,
            detach: true,
        };
        let (file, dir, link) = (Kind::File, Kind::Directory, Kind::Link(b"x"));
        assert_eq!(letters(file, file, all, free), "adfrw");
        assert_eq!(letters(dir, dir, all, free), "cdeflmp");
        assert_eq!(letters(link, dir, all, free), "cdeflmp");
        assert_eq!(letters(link, link, all, free), "df");
        assert_eq!(letters(file, file, Rights::default(), free), "");
        assert_eq!(letters(dir, dir, all, Access::default()), "");
        let only_dele = Rights {
            delete: true,
            ..Rights::default()
        };
        assert_eq!(letters(dir, dir, only_dele, free), "p");
        assert_eq!(letters(link, dir, only_dele, free), "dp");
        let only_rmd = Rights {
            remove: true,
            ..Rights::default()
        };
        assert_eq!(letters(dir, dir, only_rmd, free), "dp");
        assert_eq!(letters(link, dir, only_rmd, free), "p");
        assert_eq!(letters(file, file, only_rmd, free), "");
        // Each right of the file system's is needed for what it is about.
        let without = |read, write, enter, detach| Access {
            read,
            write,
            enter,
            detach,
        };
        for (access, of_file, of_directory) in [
            (without(false, true, true, true), "adfw", "cdefmp"),
            (without(true, false, true, true), "dfr", "defl"),
            (without(true, true, false, true), "adfrw", "dfl"),
            (without(true, true, true, false), "arw", "celmp"),
        ] {
            assert_eq!(letters(file, file, all, access), of_file);
            assert_eq!(letters(dir, dir, all, access), of_directory);
        }
        let no_removal = Rights {
            delete: false,
            remove: false,
            ..all
        };
        assert_eq!(letters(dir, dir, no_removal, free), "ceflm");
        let other = Kind::Other;
        assert_eq!(letters(other, other, all, free), "df");
    }

    #[test]
    fn modes_and_times_at_their_ends() {
        let mode = Selection::parse(b"UNIX.mode");
        for (bits, want) in [
            (0o7777, "0777"),
            (0o124, "0124"),
            (0o421, "0421"),
            (0o7000, "0000"),
        ] {
            let facts = Facts {
                mode: bits,
                ..facts(Kind::File, b"")
            };
            assert_eq!(text(mode, &facts, b"x"), format!("UNIX.mode={want}; x"));
        }
        for (seconds, want) in [
            (253_402_300_799, "99991231235959"),
            (253_402_300_800, "99991231235959"),
            (i64::MAX, "99991231235959"),
            (-62_167_219_200, "00000101000000"),
            (-62_167_219_201, "00000101000000"),
            (i64::MIN, "00000101000000"),
        ] {
            let mut out = Vec::new();
            stamp(&mut out, seconds);
            assert_eq!(String::from_utf8(out).unwrap(), want, "{seconds}");
        }
    }

    #[test]
    fn numbers_in_hex() {
        for value in [0, 1, 15, 16, 0x801, u64::MAX, 1 << 60] {
            let mut out = Vec::new();
            hex(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{value:x}"));
        }
    }

    proptest! {
        #[test]
        fn one_line_and_facts_end_at_the_first_space(name: Vec<u8>, owner: Vec<u8>, link: Vec<u8>, modify: i64) {
            let facts = Facts { modify, ..facts(Kind::Link(&link), &owner) };
            let mut out = Vec::new();
            line(&mut out, Selection::default().wants(), &facts, &name);
            prop_assert!(!out.contains(&b'\n') && !out.contains(&b'\r'));
            let space = out.iter().position(|byte| *byte == b' ').unwrap();
            prop_assert_eq!(out.len() - space - 1, name.len());
            prop_assert_eq!(out[..space].iter().filter(|byte| **byte == b';').count(), 7);
        }
    }
}
