//! The kinds of fields that messages have, and the table in which a set of messages is written down once, for both directions; pure.

use super::codec::{Decoder, Encoder, Malformed, Message};
use std::ffi::OsString;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use zeroize::Zeroizing;

/// How a field travels.
pub trait Kind {
    /// What it is.
    type Value;
    /// Appends it.
    fn put<'a>(&self, value: &'a Self::Value, out: &mut Encoder<'a>);
    /// Reads it.
    ///
    /// # Errors
    /// It is too short, or out of range.
    fn take(&self, from: &mut Decoder<'_>) -> Result<Self::Value, Malformed>;
}

/// Implements [`Message`]: the longest datagram of the set, then tag, name and fields of each message.
macro_rules! messages {
    ($set:ident, $most:expr; $( $tag:literal $name:ident
        $( { $( $field:ident: $kind:expr ),+ } )? $( ( $only:expr ) )? ; )+) => {
        impl $crate::wire::codec::Message for $set {
            const MAX: usize = $most;

            fn encode<'a>(&'a self, out: &mut $crate::wire::codec::Encoder<'a>) {
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
        }
    };
    (@with $name:ident $value:ident { $( $field:ident ),+ }) => { Self::$name { $( $field ),+ } };
    (@with $name:ident $value:ident ( $only:expr )) => { Self::$name($value) };
    (@with $name:ident $value:ident) => { Self::$name };
}

pub(super) use messages;

/// A kind for what is its fields, one behind the other.
macro_rules! fields {
    ($( #[doc = $doc:literal] $name:ident $value:ty { $( $field:ident: $kind:expr ),+ } )+) => { $(
        #[doc = $doc]
        pub(super) struct $name;

        impl Kind for $name {
            type Value = $value;
            fn put<'a>(&self, value: &'a $value, out: &mut Encoder<'a>) {
                $( $kind.put(&value.$field, out); )+
            }
            fn take(&self, from: &mut Decoder<'_>) -> Result<$value, Malformed> {
                Ok(Self::Value { $( $field: $kind.take(from)? ),+ })
            }
        }
    )+ };
}

pub(super) use fields;

/// Bytes, at most so many: what is longer is refused by who gets it.
pub struct Text(pub usize);

impl Kind for Text {
    type Value = Vec<u8>;
    fn put<'a>(&self, value: &'a Vec<u8>, out: &mut Encoder<'a>) {
        out.text(value);
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Vec<u8>, Malformed> {
        from.text(self.0)
    }
}

/// Bytes of the system's, at most so many.
pub struct Os(pub usize);

impl Kind for Os {
    type Value = OsString;
    fn put<'a>(&self, text: &'a OsString, out: &mut Encoder<'a>) {
        out.text(text.as_bytes());
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<OsString, Malformed> {
        from.text(self.0).map(OsString::from_vec)
    }
}

/// Words for people: what is longer is cut.
pub struct Words(pub usize);

impl Kind for Words {
    type Value = Vec<u8>;
    fn put<'a>(&self, value: &'a Vec<u8>, out: &mut Encoder<'a>) {
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
    fn put<'a>(&self, value: &'a Zeroizing<Vec<u8>>, out: &mut Encoder<'a>) {
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
    fn put<'a>(&self, value: &'a Option<K::Value>, out: &mut Encoder<'a>) {
        out.flag(value.is_some());
        value.iter().for_each(|value| self.0.put(value, out));
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Option<K::Value>, Malformed> {
        from.flag()?.then(|| self.0.take(from)).transpose()
    }
}

/// Several, at most so many: more are refused by who gets them.
pub struct Many<K>(pub u16, pub K);

impl<K: Kind> Kind for Many<K> {
    type Value = Vec<K::Value>;
    fn put<'a>(&self, value: &'a Vec<K::Value>, out: &mut Encoder<'a>) {
        out.short(u16::try_from(value.len()).unwrap_or(u16::MAX));
        value.iter().for_each(|value| self.1.put(value, out));
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<Vec<K::Value>, Malformed> {
        let count = Some(from.short()?).filter(|count| *count <= self.0);
        let values = (0..count.ok_or(Malformed)?).map(|_| self.1.take(from));
        values.collect()
    }
}

/// One of another set of messages.
pub struct Among<M>(pub PhantomData<M>);

impl<M: Message> Kind for Among<M> {
    type Value = M;
    fn put<'a>(&self, value: &'a M, out: &mut Encoder<'a>) {
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
    fn put<'a>(&self, value: &'a OwnedFd, out: &mut Encoder<'a>) {
        out.attach(value.as_fd());
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<OwnedFd, Malformed> {
        from.descriptor()
    }
}

/// A number of the system's that has a type of its own: how it is made, and read.
pub struct Id<T>(pub fn(u32) -> T, pub fn(T) -> u32);

impl<T: Copy> Kind for Id<T> {
    type Value = T;
    fn put<'a>(&self, value: &'a T, out: &mut Encoder<'a>) {
        out.int((self.1)(*value));
    }
    fn take(&self, from: &mut Decoder<'_>) -> Result<T, Malformed> {
        from.int().map(self.0)
    }
}

/// Kinds that are a method of the encoder and one of the decoder.
macro_rules! plain {
    ($( #[doc = $doc:literal] $name:ident $value:ty, $method:ident; )+) => { $(
        #[doc = $doc]
        pub struct $name;

        impl Kind for $name {
            type Value = $value;
            fn put<'a>(&self, value: &'a $value, out: &mut Encoder<'a>) {
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
