//! An object of known fields, read into an array of their values.

use super::RECORD_BYTES_MAX;
use super::cursor::{Cursor, Pattern};
use super::marks::mark;
use super::value::ValueSpan;

/// As many fields as a kind of object may have.
pub(crate) const FIELDS_MAX: usize = 16;

/// The values of an object by the place of their field; null where it does not stand there.
pub(crate) type Values = [ValueSpan; FIELDS_MAX];

/// The fields of a kind of object, by place.
pub(crate) struct Fields {
    names: &'static [&'static [u8]],
    patterns: [Pattern; FIELDS_MAX],
}

impl Fields {
    /// Fields of these names, none longer than thirteen bytes.
    pub(crate) const fn new(names: &'static [&'static [u8]]) -> Self {
        let mut patterns = [Pattern::NONE; FIELDS_MAX];
        let mut place = 0;
        while place < names.len() {
            patterns[place] = Pattern::of_name(names[place]);
            place += 1;
        }
        Self { names, patterns }
    }

    fn place_of(&self, name: &[u8]) -> Option<usize> {
        self.names.iter().position(|known| *known == name)
    }
}

/// Reads objects of one kind, and keeps for the next one which field followed which, since most objects come from few
/// writers, and room for marks.
#[derive(Debug)]
pub struct ObjectReader {
    /// By field, the two that followed it last; the last row is for the first field of all.
    after: [[u8; 2]; FIELDS_MAX + 1],
    marks: Vec<u64>,
}

impl Default for ObjectReader {
    fn default() -> Self {
        Self { after: [[0; 2]; FIELDS_MAX + 1], marks: Vec::new() }
    }
}

impl ObjectReader {
    /// The values of an object; `None` is a fallback to Python. Linear.
    #[inline]
    pub(crate) fn read(&mut self, bytes: &[u8], fields: &'static Fields) -> Option<Values> {
        if bytes.len() > RECORD_BYTES_MAX || simdutf8::basic::from_utf8(bytes).is_err() {
            return None;
        }
        let Self { after, marks } = self;
        mark(bytes, marks);
        let mut values = [ValueSpan::NULL; FIELDS_MAX];
        let mut seen = 0u32;
        let mut cursor = Cursor { bytes, marks, at: 0 };
        cursor.space();
        cursor.take(b'{')?;
        let mut before = FIELDS_MAX;
        loop {
            let [first, second] = after[before];
            let expected = |cursor: &mut Cursor<'_, '_>, field: u8| {
                let field = usize::from(field) % FIELDS_MAX;
                cursor.take_pattern(&fields.patterns[field]).map(|()| field)
            };
            let field = match expected(&mut cursor, first).or_else(|| expected(&mut cursor, second)) {
                Some(field) => Some(field),
                None => {
                    cursor.space();
                    let name = cursor.name()?;
                    cursor.space();
                    cursor.take(b':')?;
                    let field = fields.place_of(name);
                    if let Some(field) = field {
                        after[before] = [field as u8, first];
                    }
                    field
                }
            };
            cursor.space();
            let value = cursor.value()?;
            match field {
                Some(field) => {
                    if seen & 1 << field != 0 {
                        return None;
                    }
                    seen |= 1 << field;
                    values[field] = value;
                    before = field;
                }
                // An unknown field may stand twice, and be any plain value.
                None => {
                    if value.is_escaped() {
                        return None;
                    }
                }
            }
            cursor.space();
            match cursor.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        cursor.space();
        if cursor.at == bytes.len() { Some(values) } else { None }
    }
}
