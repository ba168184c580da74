//! What the process that asks the name service for a reader reports: texts, of which there may be none.

use super::codec::{Decoder, Encoder, Malformed, Message};
use super::kinds::{Kind, Many, Words};

/// The longest name or address (NI_MAXHOST of getnameinfo(3)).
const TEXT: usize = 1025;

/// The most that are reported; a name with more addresses is known by its first ones.
const MOST: u16 = 32;

const TEXTS: Many<Words> = Many(MOST, Words(TEXT));

/// Names or addresses, to be judged by whoever asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found(Vec<Vec<u8>>);

impl Found {
    /// These, or the first ones.
    pub fn new(mut texts: Vec<Vec<u8>>) -> Self {
        texts.truncate(MOST.into());
        Self(texts)
    }

    /// Them.
    pub fn texts(self) -> Vec<Vec<u8>> {
        self.0
    }
}

impl Message for Found {
    const MAX: usize = MOST as usize * (TEXT + 2) + 3;

    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        TEXTS.put(&self.0, out.tag(1));
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            1 => TEXTS.take(from).map(Self),
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::{Found, MOST};
    use crate::wire::{Decoder, Encoder, Message};

    #[test]
    fn of_too_many_the_first_are_told() {
        for count in [0, 1, MOST, MOST + 8] {
            let all: Vec<Vec<u8>> = (0..count).map(|n| n.to_string().into_bytes()).collect();
            let told = Found::new(all.clone());
            let mut out = Encoder::default();
            told.encode(&mut out);
            assert_eq!(
                Found::decode(&mut Decoder::new(out.bytes(), None)).as_ref(),
                Ok(&told)
            );
            assert_eq!(told.texts(), all[..usize::from(count.min(MOST))]);
        }
    }
}
