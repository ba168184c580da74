//! The entries of one directory between reading and telling: their text in one piece, their facts in a row, their order in small keys;
//! runs in worker.

use super::listing::Options;
use super::row::Entry;

/// Entries in the order in which they were put there.
#[derive(Debug, Default)]
pub struct Shelf {
    /// Each name, with what the link says behind it if it is one.
    text: Vec<u8>,
    slots: Vec<Slot>,
}

/// One entry without its text.
#[derive(Debug)]
struct Slot {
    at: usize,
    name: u32,
    target: Option<u32>,
    mode: u32,
    uid: u32,
    gid: u32,
    nlink: u64,
    size: u64,
    mtime: i64,
}

/// What an entry is sorted by, and its slot.
#[derive(Debug, Clone, Copy)]
struct Key {
    first: u64,
    slot: usize,
}

/// Entries in the order of a listing.
#[derive(Debug)]
pub struct Sorted {
    shelf: Shelf,
    order: Vec<Key>,
}

impl Shelf {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Puts one more there. Names and links of 4 GiB do not exist.
    pub fn push(&mut self, entry: &Entry<'_>) {
        let length = |text: &[u8]| u32::try_from(text.len()).unwrap_or(0);
        self.slots.push(Slot {
            at: self.text.len(),
            name: length(entry.name),
            target: entry.target.map(length),
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            nlink: entry.nlink,
            size: entry.size,
            mtime: entry.mtime,
        });
        self.text.extend_from_slice(entry.name);
        self.text
            .extend_from_slice(entry.target.unwrap_or_default());
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
        let key = |(slot, entry): (usize, &Slot)| Key {
            first: if reverse {
                age(entry.mtime)
            } else {
                !age(entry.mtime)
            },
            slot,
        };
        let mut order: Vec<Key> = self.slots.iter().enumerate().map(key).collect();
        order.sort_unstable_by_key(|key| (key.first, key.slot));
        order
    }

    fn by_name(&self, reverse: bool) -> Vec<Key> {
        let common = self.common();
        let key = |(slot, entry): (usize, &Slot)| Key {
            first: eight(self.name(entry).get(common..).unwrap_or_default()),
            slot,
        };
        let mut order: Vec<Key> = self.slots.iter().enumerate().map(key).collect();
        let name = |key: &Key| self.slots.get(key.slot).map(|slot| self.name(slot));
        let compare = |a: &Key, b: &Key| {
            let first = a.first.cmp(&b.first);
            first.then_with(|| name(a).cmp(&name(b)))
        };
        if reverse {
            order.sort_unstable_by(|a, b| compare(b, a));
        } else {
            order.sort_unstable_by(compare);
        }
        order
    }

    /// How many bytes all names begin with.
    fn common(&self) -> usize {
        let mut names = self.slots.iter().map(|slot| self.name(slot));
        let Some(first) = names.next() else { return 0 };
        names.fold(first.len(), |common, name| {
            let pairs = first.iter().zip(name).take(common);
            pairs.take_while(|(a, b)| a == b).count()
        })
    }

    fn name(&self, slot: &Slot) -> &[u8] {
        self.part(slot.at, slot.name)
    }

    fn part(&self, at: usize, length: u32) -> &[u8] {
        let text = self.text.get(at..).unwrap_or_default();
        let length = usize::try_from(length).unwrap_or(0);
        text.get(..length).unwrap_or_default()
    }

    fn entry(&self, slot: &Slot) -> Entry<'_> {
        let name = self.name(slot);
        let behind = slot.at.saturating_add(name.len());
        Entry {
            name,
            mode: slot.mode,
            nlink: slot.nlink,
            uid: slot.uid,
            gid: slot.gid,
            size: slot.size,
            mtime: slot.mtime,
            target: slot.target.map(|length| self.part(behind, length)),
        }
    }
}

impl Sorted {
    /// The entries.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Entry<'_>> {
        let slot = |key: &Key| self.shelf.slots.get(key.slot);
        self.order
            .iter()
            .filter_map(slot)
            .map(|slot| self.shelf.entry(slot))
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
            shelf.push(&Entry {
                name,
                mtime: *mtime,
                ..Entry::default()
            });
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
            shelf.push(&entry);
        }
        assert_eq!(shelf.len(), 3);
        let sorted = shelf.sort(&Options::default());
        assert_eq!(sorted.iter().collect::<Vec<_>>(), [file, link, odd]);
        assert_eq!(sorted.iter().next_back(), Some(odd));
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
