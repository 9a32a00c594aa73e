//! What characters fold to, and what they are: tables that Python makes.

/// What a character is to the search for an opt-out hint. The order is that of Python's tables.
pub mod class {
    #![allow(missing_docs)]
    pub const OTHER: u8 = 0;
    pub const LETTER: u8 = 1;
    pub const BACK: u8 = 2; // 退
    pub const ORDER: u8 = 3; // 订
    pub const REFUSE: u8 = 4; // 拒
    pub const TAKE: u8 = 5; // 收
    pub const RETURN: u8 = 6; // 回
    pub const AGAIN: u8 = 7; // 复, 覆
    pub const T: u8 = 8;
    pub const D: u8 = 9;
    pub const R_OR_N: u8 = 10;
    pub const LATIN: u8 = 11; // any other of a-z and 0-9
    pub const UNSURE: u8 = 15;
}

pub(super) const BASIC: usize = 0x1_0000;
/// Characters beyond the basic plane that the tables know: the first supplementary plane.
pub(super) const BEYOND: usize = 0x1_0000;

/// The layout of an entry of `Tables::fold`: the folded character's UTF-8 (three bytes at most), its length, whether
/// it is a letter or number, and its class. A length of 0 stands for more than one character, whose place among the
/// expansions is in the lowest bits, or for a character that cannot be folded alone.
pub(super) const PACKED_MASK: u32 = 0xff_ffff;
pub(super) const PLACE_MASK: u32 = 0xffff;
pub(super) const MARK_BIT: u32 = 1 << 16;
pub(super) const LENGTH_SHIFT: u32 = 24;
pub(super) const LETTER_BIT: u32 = 1 << 26;
pub(super) const UNSURE_BIT: u32 = 1 << 27;
pub(super) const CLASS_SHIFT: u32 = 28;

/// What characters fold to, and what they are.
#[derive(Debug)]
pub struct Tables {
    pub(super) fold: Box<[u32; BASIC]>,
    pub(super) expansions: Vec<Expansion>,
    /// For each character of the basic plane the class of its lower case, which is not folded otherwise.
    pub(super) lower: Box<[u8]>,
    /// A bit for each character of the basic plane: whether it may stand between the digits of a contact.
    pub(super) between: Box<[u8]>,
    /// For each character of the first supplementary plane: 0 unknown, 1 stays and is no letter, 2 stays and is one.
    pub(super) beyond: Box<[u8]>,
}

#[derive(Debug)]
pub(super) struct Expansion {
    pub(super) folded: Vec<u8>,
    pub(super) letters: Vec<u32>,
    pub(super) classes: Vec<u8>,
}

/// A character's UTF-8 in an integer, the first byte lowest.
pub(crate) fn packed(character: char) -> u32 {
    let mut bytes = [0; 4];
    character.encode_utf8(&mut bytes);
    u32::from_le_bytes(bytes)
}

impl Tables {
    /// Tables as Python makes them; `None` where their sizes are not those that this module knows.
    ///
    /// `expansions` are texts, each with their letters and numbers alone and the classes of its characters.
    pub fn new(
        fold: &[u8],
        expansions: Vec<(String, String, Vec<u8>)>,
        lower: &[u8],
        between: &[u8],
        beyond: &[u8],
    ) -> Option<Self> {
        if fold.len() != 4 * BASIC || lower.len() != BASIC || between.len() != BASIC / 8 || beyond.len() != BEYOND {
            return None;
        }
        let fold: Vec<u32> = fold.as_chunks().0.iter().map(|entry| u32::from_le_bytes(*entry)).collect();
        let fold: Box<[u32; BASIC]> = fold.try_into().ok()?;
        let known = |entry: &u32| {
            entry >> LENGTH_SHIFT & 3 != 0
                || entry & UNSURE_BIT != 0
                || ((entry & PLACE_MASK) as usize) < expansions.len()
        };
        if !fold.iter().all(known) {
            return None;
        }
        Some(Self {
            fold,
            expansions: expansions
                .into_iter()
                .map(|(folded, stripped, classes)| Expansion {
                    folded: folded.into_bytes(),
                    letters: stripped.chars().map(packed).collect(),
                    classes,
                })
                .collect(),
            lower: lower.into(),
            between: between.into(),
            beyond: beyond.into(),
        })
    }

    pub(super) fn is_between(&self, character: char) -> bool {
        let code = character as usize;
        code < BASIC && self.between[code / 8] >> (code % 8) & 1 == 1
    }
}
