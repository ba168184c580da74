//! The entries of one directory between reading and telling: their text in one piece, their facts in a row, their order in small keys;
//! runs in worker.

use super::listing::Options;
use super::row::Entry;

/// Entries in the order in which they were put there.
#[derive(Debug, Default)]
pub struct Shelf {
    /// For each entry the lengths of its name and of what the link says if it is one, and then both.
    text: Vec<u8>,
    /// What else is known of each, if anything is: names alone take a fifth of the memory.
    facts: Vec<Facts>,
    count: u32,
}

/// One entry without its text.
#[derive(Debug, Clone, Copy, Default)]
struct Facts {
    mode: u32,
    uid: u32,
    gid: u32,
    nlink: u64,
    size: u64,
    mtime: i64,
}

/// What an entry is sorted by, its number, and where its text begins.
#[derive(Debug, Clone, Copy)]
struct Key {
    first: u64,
    number: u32,
    at: u32,
}

/// Entries in the order of a listing.
#[derive(Debug)]
pub struct Sorted {
    shelf: Shelf,
    order: Vec<Key>,
}

/// How long a name or a link is, in front of it.
type Length = u16;

/// The length of what a file says that is no link.
const NONE: Length = Length::MAX;

/// The most bytes of text. A worker has twice as much for everything, and where names are long this is what ends a listing.
const MOST: usize = 224 << 20;

/// The bytes of two lengths.
const LENGTHS: usize = 2 * size_of::<Length>();

impl Shelf {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    /// Puts one more there. False if there is no room: names and links are shorter than 64 KiB, and all of them together than [`MOST`].
    #[must_use]
    pub fn push(&mut self, entry: &Entry<'_>) -> bool {
        let number = self.len();
        if !self.write(entry.name, entry.target) {
            return false;
        }
        // Of those before it that are names alone nothing is known.
        self.facts.resize(number, Facts::default());
        self.facts.push(Facts {
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            nlink: entry.nlink,
            size: entry.size,
            mtime: entry.mtime,
        });
        true
    }

    /// Puts a name alone there. False if there is no room.
    #[must_use]
    pub fn push_name(&mut self, name: &[u8]) -> bool {
        self.write(name, None)
    }

    fn write(&mut self, name: &[u8], target: Option<&[u8]>) -> bool {
        let length = |text: &[u8]| Length::try_from(text.len()).ok().filter(|it| *it != NONE);
        let lengths = (length(name), target.map_or(Some(NONE), length));
        let (Some(first), Some(second)) = lengths else {
            return false;
        };
        let both = name.len().saturating_add(target.unwrap_or_default().len());
        let (Some(count), Ok(_)) = (self.count.checked_add(1), u32::try_from(self.text.len()))
        else {
            return false;
        };
        if !self.has_room(LENGTHS.saturating_add(both)) {
            return false;
        }
        self.count = count;
        self.text.extend_from_slice(&first.to_ne_bytes());
        self.text.extend_from_slice(&second.to_ne_bytes());
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(target.unwrap_or_default());
        true
    }

    /// Makes room for so many more bytes of text, if there may be any. It grows as by itself, but where it would grow beyond the most.
    fn has_room(&mut self, more: usize) -> bool {
        let used = self.text.len();
        if more <= self.text.capacity().saturating_sub(used) {
            return true;
        }
        let left = MOST.saturating_sub(used);
        more <= left
            && self
                .text
                .try_reserve_exact(used.max(more).min(left))
                .is_ok()
    }

    /// Puts them into the order of reference §8.6: by the bytes of the name, or newest first; reversed on demand. Entries of one time
    /// stay as they came.
    #[must_use]
    pub fn sort(self, options: &Options) -> Sorted {
        let order = if options.by_time {
            self.by_time(options.reverse)
        } else {
            self.by_name(options.reverse)
        };
        Sorted { shelf: self, order }
    }

    fn by_time(&self, reverse: bool) -> Vec<Key> {
        // Signed numbers in the order of unsigned ones.
        let age = |mtime: i64| mtime.cast_unsigned() ^ 1 << 63;
        let mut order = self.keys(|number, _| {
            let mtime = self.fact(number).mtime;
            if reverse { age(mtime) } else { !age(mtime) }
        });
        order.sort_unstable_by_key(|key| (key.first, key.number));
        order
    }

    fn by_name(&self, reverse: bool) -> Vec<Key> {
        let common = self.common();
        let mut order = self.keys(|_, name| eight(name.get(common..).unwrap_or_default()));
        let name = |key: &Key| self.text(key.at).0;
        let compare = |a: &Key, b: &Key| {
            let first = a.first.cmp(&b.first);
            first.then_with(|| name(a).cmp(name(b)))
        };
        if reverse {
            order.sort_unstable_by(|a, b| compare(b, a));
        } else {
            order.sort_unstable_by(compare);
        }
        order
    }

    /// A key for each entry, from its number and its name.
    fn keys(&self, first: impl Fn(u32, &[u8]) -> u64) -> Vec<Key> {
        let mut keys = Vec::with_capacity(self.len());
        keys.extend((0..).zip(self.names()).map(|(number, (at, name))| Key {
            first: first(number, name),
            number,
            at,
        }));
        keys
    }

    /// How many bytes all names begin with.
    fn common(&self) -> usize {
        let mut names = self.names().map(|(_, name)| name);
        let Some(first) = names.next() else { return 0 };
        names.fold(first.len(), |common, name| {
            let pairs = first.iter().zip(name).take(common);
            pairs.take_while(|(a, b)| a == b).count()
        })
    }

    /// All names as they came, and where each entry's text begins.
    fn names(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let mut next = 0_usize;
        std::iter::from_fn(move || {
            let at = u32::try_from(next).ok()?;
            (next < self.text.len()).then_some(())?;
            let (name, target) = self.text(at);
            let both = name.len().saturating_add(target.unwrap_or_default().len());
            next = next.saturating_add(LENGTHS).saturating_add(both);
            Some((at, name))
        })
    }

    /// The name whose entry begins there, and what it says if it is a link.
    fn text(&self, at: u32) -> (&[u8], Option<&[u8]>) {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let text = self.text.get(at..).unwrap_or_default();
        let Some(([a, b, c, d], text)) = text.split_first_chunk() else {
            return (b"", None);
        };
        let name = Length::from_ne_bytes([*a, *b]);
        let target = Length::from_ne_bytes([*c, *d]);
        let (name, behind) = text.split_at_checked(name.into()).unwrap_or_default();
        let target = (target != NONE).then(|| behind.get(..target.into()).unwrap_or_default());
        (name, target)
    }

    /// What is known of an entry besides its text.
    fn fact(&self, number: u32) -> Facts {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        self.facts.get(number).copied().unwrap_or_default()
    }

    fn entry(&self, key: &Key) -> Entry<'_> {
        let (name, target) = self.text(key.at);
        let facts = self.fact(key.number);
        Entry {
            name,
            mode: facts.mode,
            nlink: facts.nlink,
            uid: facts.uid,
            gid: facts.gid,
            size: facts.size,
            mtime: facts.mtime,
            target,
        }
    }
}

impl Sorted {
    /// The entries.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Entry<'_>> {
        self.order.iter().map(|key| self.shelf.entry(key))
    }
}

/// The first eight bytes as a number that sorts as they do.
fn eight(text: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(text) {
        *to = *from;
    }
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(entries: &[(Vec<u8>, i64)], by_time: bool, reverse: bool) -> Vec<Vec<u8>> {
        let mut shelf = Shelf::default();
        for (name, mtime) in entries {
            assert!(shelf.push(&Entry {
                name,
                mtime: *mtime,
                ..Entry::default()
            }));
        }
        let options = Options {
            by_time,
            reverse,
            ..Options::default()
        };
        let sorted = shelf.sort(&options);
        sorted.iter().map(|entry| entry.name.to_vec()).collect()
    }

    #[test]
    fn order() {
        let list = [("b", 1), ("a", 5), ("C", 1), ("c", 9)].map(|(name, time)| (name.into(), time));
        let names =
            |by_time, reverse| String::from_utf8(sorted(&list, by_time, reverse).concat()).unwrap();
        assert_eq!(names(false, false), "Cabc");
        assert_eq!(names(true, false), "cabC");
        assert_eq!(names(true, true), "bCac");
        assert_eq!(names(false, true), "cbaC");
    }

    #[test]
    fn what_was_put_there() {
        let file = Entry {
            name: b"f",
            mode: 0o100_644,
            nlink: u64::MAX,
            uid: 1,
            gid: 2,
            size: u64::MAX - 1,
            mtime: i64::MIN,
            target: None,
        };
        let link = Entry {
            name: b"link",
            target: Some(b"to"),
            ..file
        };
        let odd = Entry {
            name: b"odd",
            target: Some(b""),
            ..file
        };
        let mut shelf = Shelf::default();
        for entry in [odd, link, file] {
            assert!(shelf.push(&entry));
        }
        assert_eq!(shelf.len(), 3);
        let sorted = shelf.sort(&Options::default());
        assert_eq!(sorted.iter().collect::<Vec<_>>(), [file, link, odd]);
        assert_eq!(sorted.iter().next_back(), Some(odd));
    }

    #[test]
    fn no_more_than_there_is_room_for() {
        let mut shelf = Shelf::default();
        let name = [b'x'; 60_000];
        while shelf.push_name(&name) {}
        assert!(shelf.text.capacity() <= MOST && shelf.text.len() > MOST - 100_000);
        // What is shorter has room yet.
        assert!(shelf.push_name(b"a") && shelf.len() > MOST / 61_000);
    }

    #[test]
    fn names_alone() {
        let mut shelf = Shelf::default();
        assert!(shelf.push_name(b"b") && shelf.push_name(b"") && shelf.push_name(b"a"));
        let known = Entry {
            name: b"c",
            size: 7,
            ..Entry::default()
        };
        assert!(shelf.push(&known));
        let sorted = shelf.sort(&Options::default());
        let found: Vec<_> = sorted
            .iter()
            .map(|entry| (entry.name, entry.size))
            .collect();
        assert_eq!(
            found,
            [
                (&b""[..], 0),
                (&b"a"[..], 0),
                (&b"b"[..], 0),
                (&b"c"[..], 7)
            ]
        );
    }

    #[test]
    fn what_does_not_fit() {
        let mut shelf = Shelf::default();
        let longest = vec![b'x'; 65_534];
        let longer = vec![b'x'; 65_535];
        let link = |target| Entry {
            name: b"link",
            target: Some(target),
            ..Entry::default()
        };
        assert!(!shelf.push_name(&longer) && !shelf.push(&link(&longer)));
        assert!(shelf.push_name(&longest) && shelf.push(&link(&longest)));
        let sorted = shelf.sort(&Options::default());
        let found: Vec<_> = sorted
            .iter()
            .map(|entry| (entry.name, entry.target))
            .collect();
        assert_eq!(
            found,
            [(&b"link"[..], Some(&longest[..])), (&longest[..], None)]
        );
    }

    proptest! {
        #[test]
        fn names_are_in_the_order_of_their_bytes(common: Vec<u8>, ends: Vec<Vec<u8>>) {
            let mut list: Vec<_> = ends.iter().map(|end| ([common.as_slice(), end].concat(), 0)).collect();
            let found = sorted(&list, false, false);
            let mut back = sorted(&list, false, true);
            back.reverse();
            list.sort();
            let names: Vec<_> = list.into_iter().map(|(name, _)| name).collect();
            prop_assert_eq!(&found, &names);
            prop_assert_eq!(&back, &names);
        }

        #[test]
        fn those_of_one_time_stay_as_they_came(times: Vec<i8>, reverse: bool) {
            let mut list: Vec<(Vec<u8>, i64)> = times.iter().enumerate().map(|(at, time)| (at.to_string().into_bytes(), i64::from(*time))).collect();
            let found = sorted(&list, true, reverse);
            if reverse {
                list.sort_by_key(|entry| entry.1);
            } else {
                list.sort_by_key(|entry| std::cmp::Reverse(entry.1));
            }
            prop_assert_eq!(found, list.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
        }
    }
}
