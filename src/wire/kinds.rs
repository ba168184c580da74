//! The kinds of fields that messages have, and the table in which a set of messages is written down once, for both directions; pure.

use super::codec::{Decoder, Encoder, Malformed, Message};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use zeroize::Zeroizing;

/// How a field travels.
pub trait Kind {
    /// What it is.
    type Value;
    /// Appends it.
    fn put(&self, value: &Self::Value, out: &mut Encoder);
    /// Reads it.
    ///
    /// # Errors
    /// It is too short, or out of range.
    fn take(&self, from: &mut Decoder<'_>) -> Result<Self::Value, Malformed>;
    /// The descriptor that it is.
    fn lend<'a>(&self, _: &'a Self::Value) -> Option<BorrowedFd<'a>> {
        None
    }
}

/// Implements [`Message`]: the longest datagram of the set, then tag, name and fields of each message.
macro_rules! messages {
    ($set:ident, $most:expr; $( $tag:literal $name:ident
        $( { $( $field:ident: $kind:expr ),+ } )? $( ( $only:expr ) )? ; )+) => {
        impl $crate::wire::codec::Message for $set {
            const MAX: usize = $most;

            fn encode(&self, out: &mut $crate::wire::codec::Encoder) {
                match self {
                    $( messages!(@with $name value $( { $( $field ),+ } )? $( ( $only ) )?) => {
                        out.tag($tag);
                        $( $( $crate::wire::kinds::Kind::put(&$kind, $field, out); )+ )?
                        $( $crate::wire::kinds::Kind::put(&$only, value, out); )?
                    } )+
                }
            }

            fn decode(
                from: &mut $crate::wire::codec::Decoder<'_>,
            ) -> Result<Self, $crate::wire::codec::Malformed> {
                Ok(match from.byte()? {
                    $( $tag => Self::$name
                        $( { $( $field: $crate::wire::kinds::Kind::take(&$kind, from)? ),+ } )?
                        $( ( $crate::wire::kinds::Kind::take(&$only, from)? ) )?, )+
                    _ => return Err($crate::wire::codec::Malformed),
                })
            }

            fn descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
                match self {
                    $( messages!(@with $name value $( { $( $field ),+ } )? $( ( $only ) )?) => None
                        $( $( .or($crate::wire::kinds::Kind::lend(&$kind, $field)) )+ )?
                        $( .or($crate::wire::kinds::Kind::lend(&$only, value)) )?, )+
                }
            }
        }
    };
    (@with $name:ident $value:ident { $( $field:ident ),+ }) => { Self::$name { $( $field ),+ } };
    (@with $name:ident $value:ident ( $only:expr )) => { Self::$name($value) };
    (@with $name:ident $value:ident) => { Self::$name };
}

pub(super) use messages;

/// Bytes, at most so many: what is longer is refused by who gets it.
pub struct Text(pub usize);

impl Kind for Text {
    type Value = Vec<u8>;
    fn put(&self, value: &Vec<u8>, out: &mut Encoder) {
        out.text(value);
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Vec<u8>, Malformed> {
        from.text(self.0)
    }
}

/// Words for people: what is longer is cut.
pub struct Words(pub usize);

impl Kind for Words {
    type Value = Vec<u8>;
    fn put(&self, value: &Vec<u8>, out: &mut Encoder) {
        out.text(value.get(..self.0).unwrap_or(value));
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Vec<u8>, Malformed> {
        from.text(self.0)
    }
}

/// The same, which is wiped.
pub struct Secret(pub usize);

impl Kind for Secret {
    type Value = Zeroizing<Vec<u8>>;
    fn put(&self, value: &Zeroizing<Vec<u8>>, out: &mut Encoder) {
        Text(self.0).put(value, out);
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        from.text(self.0).map(Zeroizing::new)
    }
}

/// Something, or nothing.
pub struct Maybe<K>(pub K);

impl<K: Kind> Kind for Maybe<K> {
    type Value = Option<K::Value>;
    fn put(&self, value: &Option<K::Value>, out: &mut Encoder) {
        out.flag(value.is_some());
        value.iter().for_each(|value| self.0.put(value, out));
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Option<K::Value>, Malformed> {
        from.flag()?.then(|| self.0.take(from)).transpose()
    }
}

/// Several, at most so many; more are left out.
pub struct Many<K>(pub u16, pub K);

impl<K: Kind> Kind for Many<K> {
    type Value = Vec<K::Value>;
    fn put(&self, value: &Vec<K::Value>, out: &mut Encoder) {
        let count = u16::try_from(value.len()).unwrap_or(u16::MAX).min(self.0);
        out.short(count);
        let some = value.iter().take(count.into());
        some.for_each(|value| self.1.put(value, out));
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Vec<K::Value>, Malformed> {
        let count = Some(from.short()?).filter(|count| *count <= self.0);
        let values = (0..count.ok_or(Malformed)?).map(|_| self.1.take(from));
        values.collect()
    }
}

/// Three things that belong together.
impl<A: Kind, B: Kind, C: Kind> Kind for (A, B, C) {
    type Value = (A::Value, B::Value, C::Value);
    fn put(&self, (a, b, c): &Self::Value, out: &mut Encoder) {
        self.0.put(a, out);
        self.1.put(b, out);
        self.2.put(c, out);
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Self::Value, Malformed> {
        Ok((self.0.take(from)?, self.1.take(from)?, self.2.take(from)?))
    }
}

/// One of another set of messages.
pub struct Among<M>(pub PhantomData<M>);

impl<M: Message> Kind for Among<M> {
    type Value = M;
    fn put(&self, value: &M, out: &mut Encoder) {
        value.encode(out);
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<M, Malformed> {
        M::decode(from)
    }
}

/// The descriptor that travels along.
pub struct File;

impl Kind for File {
    type Value = OwnedFd;
    fn put(&self, _: &OwnedFd, _: &mut Encoder) {}
    fn take(&self, from: &mut Decoder<'_>) -> Result<OwnedFd, Malformed> {
        from.descriptor()
    }
    fn lend<'a>(&self, value: &'a OwnedFd) -> Option<BorrowedFd<'a>> {
        Some(value.as_fd())
    }
}

/// Kinds that are a method of the encoder and one of the decoder.
macro_rules! plain {
    ($( #[doc = $doc:literal] $name:ident $value:ty, $method:ident; )+) => { $(
        #[doc = $doc]
        pub struct $name;

        impl Kind for $name {
            type Value = $value;
            fn put(&self, value: &$value, out: &mut Encoder) {
                out.$method(*value);
            }
            fn take(&self, from: &mut Decoder<'_>) -> Result<$value, Malformed> {
                from.$method()
            }
        }
    )+ };
}

plain! {
    /// A yes or no.
    Flag bool, flag;
    /// A byte.
    Byte u8, byte;
    /// A 16-bit number.
    Short u16, short;
    /// A 32-bit number.
    Int u32, int;
    /// A 64-bit number.
    Long u64, long;
}
