//! A cursor over JSON: reads names and values that are plain, and nothing else.

use super::value::{ValueSpan, plain_character};

/// Bytes to compare with sixteen others at once: the pattern, what masks it out of them, and its length.
#[derive(Clone, Copy)]
pub(super) struct Pattern {
    word: u128,
    mask: u128,
    length: usize,
}

impl Pattern {
    /// What stands nowhere.
    pub(super) const NONE: Self = Self { word: 1, mask: 0, length: 0 };

    /// A field's name as JSON writes it, with its quotes and its colon.
    pub(super) const fn of_name(name: &[u8]) -> Self {
        let mut word = b'"' as u128;
        let mut letter = 0;
        while letter < name.len() {
            word |= (name[letter] as u128) << (8 * (letter + 1));
            letter += 1;
        }
        word |= (b'"' as u128) << (8 * (name.len() + 1)) | (b':' as u128) << (8 * (name.len() + 2));
        let length = name.len() + 3;
        Self { word, mask: u128::MAX >> (128 - 8 * length), length }
    }
}

/// Where reading has got to.
pub(super) struct Cursor<'a, 'm> {
    pub(super) bytes: &'a [u8],
    /// What `mark` says of them.
    pub(super) marks: &'m [u64],
    pub(super) at: usize,
}

impl<'a> Cursor<'a, '_> {
    /// Goes on to the next quote, backslash or control character, and behind it; which one it is.
    #[inline]
    fn next_mark(&mut self) -> Option<u8> {
        let mut place = self.at / 64;
        let mut marks = self.marks.get(place)? & u64::MAX << (self.at % 64);
        while marks == 0 {
            place += 1;
            marks = *self.marks.get(place)?;
        }
        self.at = 64 * place + marks.trailing_zeros() as usize;
        self.next()
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    pub(super) fn take(&mut self, wanted: u8) -> Option<()> {
        if self.next()? == wanted { Some(()) } else { None }
    }

    #[inline]
    pub(super) fn space(&mut self) {
        // One comparison where there is none, as there mostly is.
        while let Some(byte @ 0..=b' ') = self.bytes.get(self.at)
            && matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
        {
            self.at += 1;
        }
    }

    /// Whether these bytes stand here, of which there are no more than sixteen; goes on behind them where they do.
    #[inline]
    pub(super) fn take_pattern(&mut self, pattern: &Pattern) -> Option<()> {
        let word = u128::from_le_bytes(*self.bytes.get(self.at..)?.first_chunk()?);
        if word & pattern.mask != pattern.word {
            return None;
        }
        self.at += pattern.length;
        Some(())
    }

    /// A name without escapes.
    #[inline]
    pub(super) fn name(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let begin = self.at;
        if self.next_mark()? == b'"' { Some(&self.bytes[begin..self.at - 1]) } else { None }
    }

    #[inline]
    pub(super) fn value(&mut self) -> Option<ValueSpan> {
        match self.bytes.get(self.at)? {
            b'"' => {
                self.at += 1;
                self.text()
            }
            b'0'..=b'9' => self.integer(),
            b'n' => self.word(b"null", ValueSpan::NULL),
            b't' => self.word(b"true", ValueSpan::new(ValueSpan::TRUE, 0, 0)),
            b'f' => self.word(b"false", ValueSpan::new(ValueSpan::FALSE, 0, 0)),
            _ => None,
        }
    }

    #[inline]
    fn word(&mut self, word: &[u8], value: ValueSpan) -> Option<ValueSpan> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end)? != word {
            return None;
        }
        self.at = end;
        Some(value)
    }

    #[inline]
    fn integer(&mut self) -> Option<ValueSpan> {
        let begin = self.at;
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        let digits = &self.bytes[begin..self.at];
        let plain = digits.len() <= 16 && (digits[0] != b'0' || digits.len() == 1);
        // A point or an exponent would follow here, and is not what the caller takes for an end.
        if plain { Some(ValueSpan::new(ValueSpan::INTEGER, begin, digits.len())) } else { None }
    }

    #[inline]
    fn text(&mut self) -> Option<ValueSpan> {
        let begin = self.at;
        let mut kind = ValueSpan::TEXT;
        loop {
            match self.next_mark()? {
                b'"' => return Some(ValueSpan::new(kind, begin, self.at - 1 - begin)),
                b'\\' => {
                    kind = ValueSpan::ESCAPED;
                    match self.next()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let digits = self.bytes.get(self.at..self.at + 4)?;
                            plain_character(digits)?;
                            self.at += 4;
                        }
                        _ => return None,
                    }
                }
                _ => return None, // a control character
            }
        }
    }
}
