//! Values as they stand in JSON, and what they mean.

use super::RECORD_BYTES_MAX;
use std::num::NonZeroU64;

/// A value that could be read in one way only.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Text(&'a [u8]),
    /// A text with escapes that are plain.
    Escaped(&'a [u8]),
    /// A plain integer, at most sixteen digits.
    Integer(&'a [u8]),
    Bool(bool),
    Null,
}

/// What a value is and where it stands, in one word: what takes more goes through memory, and waits there to be put
/// together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValueSpan(NonZeroU64);

impl ValueSpan {
    pub(crate) const NULL: Self = Self::new(Self::NULL_KIND, 0, 0);
    const NULL_KIND: u64 = 1;
    pub(super) const FALSE: u64 = 2;
    pub(super) const TRUE: u64 = 3;
    pub(super) const INTEGER: u64 = 4;
    pub(super) const TEXT: u64 = 5;
    pub(super) const ESCAPED: u64 = 6;

    const KIND_BITS: u32 = 8;
    const LENGTH_BITS: u32 = 28;

    #[inline]
    pub(super) const fn new(kind: u64, begin: usize, length: usize) -> Self {
        const { assert!(RECORD_BYTES_MAX < 1 << Self::LENGTH_BITS) };
        let word = kind | (length as u64) << Self::KIND_BITS | (begin as u64) << (Self::KIND_BITS + Self::LENGTH_BITS);
        Self(NonZeroU64::new(word).expect("every kind is more than nothing"))
    }

    #[inline]
    const fn kind(self) -> u64 {
        self.0.get() & ((1 << Self::KIND_BITS) - 1)
    }

    /// Whether it is a text with escapes.
    #[inline]
    pub(crate) const fn is_escaped(self) -> bool {
        self.kind() == Self::ESCAPED
    }

    /// The value, among the bytes that it was found in.
    #[inline]
    pub(crate) fn value(self, bytes: &[u8]) -> Value<'_> {
        let word = self.0.get();
        let begin = (word >> (Self::KIND_BITS + Self::LENGTH_BITS)) as usize;
        let length = (word >> Self::KIND_BITS) as usize & ((1 << Self::LENGTH_BITS) - 1);
        let part = &bytes[begin..begin + length];
        match self.kind() {
            Self::TEXT => Value::Text(part),
            Self::ESCAPED => Value::Escaped(part),
            Self::INTEGER => Value::Integer(part),
            Self::NULL_KIND => Value::Null,
            kind => Value::Bool(kind == Self::TRUE),
        }
    }
}

/// The integer that plain digits are, sixteen of them at most.
pub(crate) fn integer(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
}

/// The character that four hexadecimal digits name, unless it is half of a pair.
#[inline]
pub(super) fn plain_character(digits: &[u8]) -> Option<char> {
    let mut code = 0;
    for digit in digits {
        code = code << 4 | char::from(*digit).to_digit(16)?;
    }
    char::from_u32(code)
}

/// A text with its escapes replaced. It must have been read by `ObjectReader`, which lets only known escapes pass.
pub fn unescape(text: &[u8], into: &mut Vec<u8>) {
    into.clear();
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        into.extend_from_slice(&rest[..at]);
        let escape = rest[at + 1];
        rest = &rest[at + 2..];
        into.push(match escape {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let character = plain_character(&rest[..4]).expect("checked by `ObjectReader`");
                rest = &rest[4..];
                into.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            plain => plain,
        });
    }
    into.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_in_a_text_are_replaced() {
        let mut text = Vec::new();
        unescape(r#"a\"\\\/\b\f\n\r\t\u9000b"#.as_bytes(), &mut text);
        assert_eq!(text, "a\"\\/\u{8}\u{c}\n\r\t退b".as_bytes());
    }
}
