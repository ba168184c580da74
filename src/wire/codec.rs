//! The total, bounded encoding of message fields; pure, linked into every process that holds a channel.

use std::os::fd::{BorrowedFd, OwnedFd};
use zeroize::Zeroizing;

/// A datagram that is not a message of the expected set: the session that sent it is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// One set of messages that may travel in one direction in one phase.
pub trait Message: Sized {
    /// The longest datagram of this set, in bytes; a longer one is refused before it is looked at.
    const MAX: usize;
    /// Appends the tag and the fields, and has the message's descriptor travel along.
    fn encode<'a>(&'a self, out: &mut Encoder<'a>);
    /// Reads the tag and the fields; takes the descriptor out of the decoder if this message has one.
    ///
    /// # Errors
    /// An unknown tag, a field that is too short or out of range. What is left over afterwards is checked by the channel.
    fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed>;
}

/// Builds one datagram; it is wiped when it goes, because a password may be in it.
#[derive(Debug, Default)]
pub struct Encoder<'a> {
    bytes: Zeroizing<Vec<u8>>,
    descriptor: Option<BorrowedFd<'a>>,
}

impl<'a> Encoder<'a> {
    /// Begins a message, or one that is a part of another.
    pub fn tag(&mut self, tag: u8) -> &mut Self {
        self.byte(tag)
    }

    /// Appends one byte.
    pub fn byte(&mut self, value: u8) -> &mut Self {
        self.put([value])
    }

    /// Appends a yes or no.
    pub fn flag(&mut self, value: bool) -> &mut Self {
        self.byte(u8::from(value))
    }

    /// Appends a 16-bit number.
    pub fn short(&mut self, value: u16) -> &mut Self {
        self.put(value.to_le_bytes())
    }

    /// Appends a 32-bit number.
    pub fn int(&mut self, value: u32) -> &mut Self {
        self.put(value.to_le_bytes())
    }

    /// Appends a 64-bit number.
    pub fn long(&mut self, value: u64) -> &mut Self {
        self.put(value.to_le_bytes())
    }

    fn put<const N: usize>(&mut self, bytes: [u8; N]) -> &mut Self {
        self.bytes.extend_from_slice(&bytes);
        self
    }

    /// Appends a length and that many bytes; what exceeds 65535 bytes is cut, which no caller's bound allows.
    pub fn text(&mut self, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.short(length);
        self.bytes.extend(value.iter().take(usize::from(length)));
        self
    }

    /// Has this descriptor travel along; there is one for each message at most.
    pub fn attach(&mut self, descriptor: BorrowedFd<'a>) {
        self.descriptor = Some(descriptor);
    }

    /// The datagram so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What travels along.
    pub fn descriptor(&self) -> Option<BorrowedFd<'a>> {
        self.descriptor
    }
}

/// Reads one datagram.
#[derive(Debug)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    descriptor: Option<OwnedFd>,
}

impl<'a> Decoder<'a> {
    /// Over the bytes of one datagram and the descriptor that came with it.
    pub fn new(bytes: &'a [u8], descriptor: Option<OwnedFd>) -> Self {
        Self { bytes, descriptor }
    }

    /// One byte.
    ///
    /// # Errors
    /// The datagram has ended.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A yes or no: any byte but 0 and 1 is refused.
    ///
    /// # Errors
    /// The datagram has ended, or the byte is another.
    pub fn flag(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            2.. => Err(Malformed),
        }
    }

    /// A 16-bit number.
    ///
    /// # Errors
    /// The datagram has ended.
    pub fn short(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    /// A 32-bit number.
    ///
    /// # Errors
    /// The datagram has ended.
    pub fn int(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// A 64-bit number.
    ///
    /// # Errors
    /// The datagram has ended.
    pub fn long(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length and that many bytes, at most `max`; nothing is allocated before both are known to hold.
    ///
    /// # Errors
    /// The datagram has ended, or the length is over `max`.
    pub fn text(&mut self, max: usize) -> Result<Vec<u8>, Malformed> {
        let length = usize::from(self.short()?);
        if length > max {
            return Err(Malformed);
        }
        let (head, tail) = self.bytes.split_at_checked(length).ok_or(Malformed)?;
        self.bytes = tail;
        Ok(head.to_vec())
    }

    /// The descriptor that came along; a message that needs one and got none is malformed.
    ///
    /// # Errors
    /// No descriptor came, or it was taken already.
    pub fn descriptor(&mut self) -> Result<OwnedFd, Malformed> {
        self.descriptor.take().ok_or(Malformed)
    }

    /// Whether every byte and every descriptor was used: a surplus is as wrong as a lack.
    pub fn finished(&self) -> bool {
        self.bytes.is_empty() && self.descriptor.is_none()
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.bytes.split_first_chunk::<N>().ok_or(Malformed)?;
        self.bytes = tail;
        Ok(*head)
    }
}
