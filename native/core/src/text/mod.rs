//! How texts are read (DESIGN section 5): folded, stripped, searched.
//!
//! What folding does to a character, and what the character is, comes from Python as tables (`Tables`), so that there
//! is one meaning of it. A text with a character that cannot be folded by itself (marks that combine, a capital sigma)
//! or that the tables do not know is not read here: `read` returns false, and its event falls back to Python.

mod hints;
mod identity;
mod tables;

pub use hints::Hints;
pub(crate) use hints::is_latin;
pub use identity::Identity;
pub(crate) use tables::packed;
pub use tables::{Tables, class};

use hints::hint;
use tables::{BASIC, CLASS_SHIFT, Expansion, LENGTH_SHIFT, LETTER_BIT, MARK_BIT, PACKED_MASK, PLACE_MASK, UNSURE_BIT};

/// A character that takes more than one look-up in the table.
enum Special {
    /// It folds to what stands at this place among the expansions.
    Expands(usize),
    /// So it does, and it is a mark.
    Marks(usize),
    /// It stands beyond the basic plane.
    Beyond,
    /// It cannot be folded by itself.
    Unsure,
}

/// A text as it was read. Beyond `ends`, the buffers still hold what earlier texts left, which is never read.
#[derive(Debug, Default)]
pub struct Reading {
    folded: Vec<u8>,
    letters: Vec<u32>,
    classes: Vec<u8>,
    ends: [usize; 3],
}

/// Marks in a run beyond so many are left out (DESIGN section 4, *Limits*): such a text falls back to Python.
const MARKS_MAX: u32 = 30;

/// Room that `read` keeps beyond what it has written, so that it can write four bytes at once.
const SLACK: usize = 8;

impl Reading {
    /// Reads a text, which is valid UTF-8; whether every character of it could be folded by itself. Linear.
    pub fn read(&mut self, tables: &Tables, text: &[u8]) -> bool {
        // Three bytes fold to three at most, and to more only by way of an expansion, which makes its own room.
        self.make_room([0; 3], 3 * text.len() + SLACK);
        let mut places = [0; 3];
        let mut rest = text;
        let (mut marks, mut marks_end) = (0, usize::MAX);
        while let Some(special) = self.read_plain(tables, &mut rest, &mut places) {
            let after = match special {
                Special::Expands(place) => Some(self.expand(&tables.expansions[place], places, rest.len())),
                Special::Marks(place) => {
                    marks = if places[2] == marks_end { marks + 1 } else { 1 };
                    let after = self.expand(&tables.expansions[place], places, rest.len());
                    marks_end = after[2];
                    (marks <= MARKS_MAX).then_some(after)
                }
                Special::Beyond => self.beyond(tables, &mut rest, places),
                Special::Unsure => None,
            };
            let Some(after) = after else { return false };
            places = after;
        }
        self.ends = places;
        true
    }

    /// Reads on to the next character that does not fold to one of the basic plane, which is most often the end.
    #[inline]
    fn read_plain(&mut self, tables: &Tables, rest: &mut &[u8], places: &mut [usize; 3]) -> Option<Special> {
        // Slices that begin where there is nothing yet: what remains of each is all that has to be looked after.
        let Self { folded, letters, classes, .. } = self;
        let [mut folded_at, mut letters_at, mut classes_at] = *places;
        let mut text = *rest;
        let special = loop {
            let (code, after) = match text {
                [] => break None,
                [one @ 0..0x80, after @ ..] => (u16::from(*one), after),
                [one @ 0xe0..0xf0, two, three, after @ ..] => {
                    (u16::from(*one) << 12 | u16::from(two & 0x3f) << 6 | u16::from(three & 0x3f), after)
                }
                [one @ 0..0xe0, two, after @ ..] => (u16::from(one & 0x1f) << 6 | u16::from(two & 0x3f), after),
                _ => break Some(Special::Beyond),
            };
            let entry = tables.fold[usize::from(code)];
            let bytes = entry >> LENGTH_SHIFT & 3;
            if bytes == 0 {
                if entry & UNSURE_BIT != 0 {
                    break Some(Special::Unsure);
                }
                text = after;
                let place = (entry & PLACE_MASK) as usize;
                break Some(if entry & MARK_BIT == 0 { Special::Expands(place) } else { Special::Marks(place) });
            }
            // Four bytes are written and only those that belong to the character are kept: no branch.
            let (Some(four), Some(letter), Some(class)) = (
                folded.get_mut(folded_at..).and_then(<[u8]>::first_chunk_mut),
                letters.get_mut(letters_at),
                classes.get_mut(classes_at),
            ) else {
                unreachable!("room was made for whatever is left");
            };
            *four = entry.to_le_bytes();
            *letter = entry & PACKED_MASK;
            *class = (entry >> CLASS_SHIFT) as u8;
            folded_at += bytes as usize;
            letters_at += usize::from(entry & LETTER_BIT != 0);
            classes_at += 1;
            text = after;
        };
        *rest = text;
        *places = [folded_at, letters_at, classes_at];
        special
    }

    /// Makes all buffers so much longer than these places, each of which is an end.
    fn make_room(&mut self, [folded, letters, classes]: [usize; 3], room: usize) {
        let longer = |length: usize, at: usize| length.max(at + room);
        self.folded.resize(longer(self.folded.len(), folded), 0);
        self.letters.resize(longer(self.letters.len(), letters), 0);
        self.classes.resize(longer(self.classes.len(), classes), 0);
    }

    #[cold]
    fn expand(&mut self, expansion: &Expansion, places: [usize; 3], bytes_left: usize) -> [usize; 3] {
        let [folded, letters, classes] = places;
        let after =
            [folded + expansion.folded.len(), letters + expansion.letters.len(), classes + expansion.classes.len()];
        self.make_room(after, 3 * bytes_left + SLACK);
        self.folded[folded..after[0]].copy_from_slice(&expansion.folded);
        self.letters[letters..after[1]].copy_from_slice(&expansion.letters);
        self.classes[classes..after[2]].copy_from_slice(&expansion.classes);
        after
    }

    #[cold]
    fn beyond(&mut self, tables: &Tables, rest: &mut &[u8], places: [usize; 3]) -> Option<[usize; 3]> {
        let [folded, letters, classes] = places;
        let (bytes, after) = rest.split_first_chunk::<4>()?;
        *rest = after;
        let code = (bytes[0] as usize & 0x7) << 18
            | (bytes[1] as usize & 0x3f) << 12
            | (bytes[2] as usize & 0x3f) << 6
            | (bytes[3] as usize & 0x3f);
        let letter = match tables.beyond.get(code.checked_sub(BASIC)?)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        self.folded[folded..folded + 4].copy_from_slice(bytes);
        self.letters[letters] = u32::from_le_bytes(*bytes);
        self.classes[classes] = if letter { class::LETTER } else { class::OTHER };
        Some([folded + 4, letters + usize::from(letter), classes + 1])
    }

    /// The text folded, in UTF-8.
    pub fn folded(&self) -> &[u8] {
        &self.folded[..self.ends[0]]
    }

    /// Folded, without what is neither letter nor number: the UTF-8 of each character, the first byte lowest.
    pub fn letters(&self) -> &[u32] {
        &self.letters[..self.ends[1]]
    }

    /// The class of each folded character.
    pub(crate) fn classes(&self) -> &[u8] {
        &self.classes[..self.ends[2]]
    }

    /// The letters and numbers of the text as UTF-8.
    pub fn stripped(&self) -> Vec<u8> {
        self.letters().iter().flat_map(|letter| letter.to_le_bytes()).filter(|byte| *byte != 0).collect()
    }

    /// Whether the text says how to opt out: the policy's usual pattern, `退订|拒收|回[复覆]?[^\pL\pN]{0,2}(td|t|r|n)([^a-z0-9]|$)`.
    pub fn opt_out_shown(&self) -> bool {
        hint(self.classes())
    }

    /// Whether any character stands in the folded text that a hint begins with.
    pub fn may_hint(&self) -> bool {
        memchr::memchr3(class::BACK, class::REFUSE, class::RETURN, self.classes()).is_some()
    }
}
