//! What the process that asks the name service for helper reports: texts, of which there may be none.

use super::codec::{Decoder, Encoder, Malformed, Message};

/// The longest name or address (NI_MAXHOST of getnameinfo(3)).
const TEXT: usize = 1025;

/// The most that are reported; a name with more addresses is known by its first ones.
pub const MOST: usize = 32;

/// Nothing is said to the process that asks, nor to auth: its end is closed when there is nothing more to do.
#[derive(Debug)]
pub enum Silence {}

impl Message for Silence {
    const MAX: usize = 0;
    fn encode(&self, _: &mut Encoder) {
        match *self {}
    }
    fn decode(_: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Err(Malformed)
    }
}

/// Names or addresses, to be judged by whoever asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found(pub Vec<Vec<u8>>);

impl Message for Found {
    const MAX: usize = MOST * (TEXT + 2) + 3;

    fn encode(&self, out: &mut Encoder) {
        let texts = self.0.iter().filter(|text| text.len() <= TEXT).take(MOST);
        let count = texts.clone().count();
        out.tag(1).short(u16::try_from(count).unwrap_or(u16::MAX));
        for text in texts {
            out.text(text);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        if from.byte()? != 1 {
            return Err(Malformed);
        }
        let count = usize::from(from.short()?);
        if count > MOST {
            return Err(Malformed);
        }
        let texts = (0..count).map(|_| from.text(TEXT));
        texts.collect::<Result<_, _>>().map(Self)
    }
}
