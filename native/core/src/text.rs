//! How texts are read (DESIGN section 5): folded, stripped, searched.
//!
//! What folding does to a character, and what the character is, comes from Python as tables (`Tables`), so that there
//! is one meaning of it. A text with a character that cannot be folded by itself (marks that combine, a capital sigma)
//! or that the tables do not know is not read here: `read` says so, and its event goes to Python.

use memchr::memmem;

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

const BASIC: usize = 0x1_0000;
/// Characters beyond the basic plane that the tables know: the first supplementary plane.
const BEYOND: usize = 0x1_0000;

/// The layout of an entry of `Tables::fold`: the folded character's UTF-8 (three bytes at most), its length, whether
/// it is a letter or number, and its class. A length of 0 stands for more than one character, whose place among the
/// expansions is in the lowest bits, or for a character that cannot be folded alone.
const PACKED_MASK: u32 = 0xff_ffff;
const PLACE_MASK: u32 = 0xffff;
const MARK_BIT: u32 = 1 << 16;
const LENGTH_SHIFT: u32 = 24;
const LETTER_BIT: u32 = 1 << 26;
const UNSURE_BIT: u32 = 1 << 27;
const CLASS_SHIFT: u32 = 28;

/// What characters fold to, and what they are.
#[derive(Debug)]
pub struct Tables {
    fold: Box<[u32; BASIC]>,
    expansions: Vec<Expansion>,
    /// For each character of the basic plane the class of its lower case, which is not folded otherwise.
    lower: Box<[u8]>,
    /// A bit for each character of the basic plane: whether it may stand between the digits of a contact.
    between: Box<[u8]>,
    /// For each character of the first supplementary plane: 0 unknown, 1 stays and is no letter, 2 stays and is one.
    beyond: Box<[u8]>,
}

#[derive(Debug)]
struct Expansion {
    folded: Vec<u8>,
    letters: Vec<u32>,
    classes: Vec<u8>,
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

    fn is_between(&self, character: char) -> bool {
        let code = character as usize;
        code < BASIC && self.between[code / 8] >> (code % 8) & 1 == 1
    }
}

/// A character that takes more than a look into the table.
enum Odd {
    /// It folds to what stands at this place among the expansions.
    Expands(usize),
    /// So it does, and it is a mark.
    Marks(usize),
    /// It stands beyond the basic plane.
    Beyond,
    /// It cannot be folded by itself.
    Unsure,
}

/// A text as it was read. The buffers keep what earlier texts left beyond the ends, which nobody looks at.
#[derive(Debug, Default)]
pub struct Reading {
    folded: Vec<u8>,
    letters: Vec<u32>,
    classes: Vec<u8>,
    ends: [usize; 3],
}

/// Of a run of marks those beyond are left out (DESIGN section 4, *Limits*), which is Python's to do.
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
        while let Some(odd) = self.read_plain(tables, &mut rest, &mut places) {
            let after = match odd {
                Odd::Expands(place) => Some(self.expand(&tables.expansions[place], places, rest.len())),
                Odd::Marks(place) => {
                    marks = if places[2] == marks_end { marks + 1 } else { 1 };
                    let after = self.expand(&tables.expansions[place], places, rest.len());
                    marks_end = after[2];
                    (marks <= MARKS_MAX).then_some(after)
                }
                Odd::Beyond => self.beyond(tables, &mut rest, places),
                Odd::Unsure => None,
            };
            let Some(after) = after else { return false };
            places = after;
        }
        self.ends = places;
        true
    }

    /// Reads on to the next character that does not fold to one of the basic plane, which is most often the end.
    #[inline]
    fn read_plain(&mut self, tables: &Tables, rest: &mut &[u8], places: &mut [usize; 3]) -> Option<Odd> {
        // Slices that begin where there is nothing yet: what remains of each is all that has to be looked after.
        let Self { folded, letters, classes, .. } = self;
        let [mut folded_at, mut letters_at, mut classes_at] = *places;
        let mut text = *rest;
        let odd = loop {
            let (code, after) = match text {
                [] => break None,
                [one @ 0..0x80, after @ ..] => (u16::from(*one), after),
                [one @ 0xe0..0xf0, two, three, after @ ..] => {
                    (u16::from(*one) << 12 | u16::from(two & 0x3f) << 6 | u16::from(three & 0x3f), after)
                }
                [one @ 0..0xe0, two, after @ ..] => (u16::from(one & 0x1f) << 6 | u16::from(two & 0x3f), after),
                _ => break Some(Odd::Beyond),
            };
            let entry = tables.fold[usize::from(code)];
            let bytes = entry >> LENGTH_SHIFT & 3;
            if bytes == 0 {
                if entry & UNSURE_BIT != 0 {
                    break Some(Odd::Unsure);
                }
                text = after;
                let place = (entry & PLACE_MASK) as usize;
                break Some(if entry & MARK_BIT == 0 { Odd::Expands(place) } else { Odd::Marks(place) });
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
        odd
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

    /// Whether the text tells how to refuse: the policy's usual pattern, `退订|拒收|回[复覆]?[^\pL\pN]{0,2}(td|t|r|n)([^a-z0-9]|$)`.
    pub fn opt_out_shown(&self) -> bool {
        hint(self.classes())
    }

    /// Whether any character stands in the folded text that a hint begins with.
    pub fn may_hint(&self) -> bool {
        memchr::memchr3(class::BACK, class::REFUSE, class::RETURN, self.classes()).is_some()
    }

    /// Whether a sender's name, or a signature of it in its brackets, stands in the text.
    pub fn names(&self, identity: &Identity) -> bool {
        identity.names.iter().any(|name| name.find(self.folded()).is_some())
    }

    /// Whether a contact's digits stand there in order, with any spaces, dashes or parentheses between them and no digit
    /// around.
    pub fn shows_contact(&self, identity: &Identity, tables: &Tables) -> bool {
        let folded = self.folded();
        identity.contacts.iter().filter_map(|contact| contact.split_first()).any(|(first, rest)| {
            memchr::memchr_iter(*first, folded)
                .any(|at| (at == 0 || !folded[at - 1].is_ascii_digit()) && follows(&folded[at + 1..], rest, tables))
        })
    }
}

fn follows(text: &[u8], digits: &[u8], tables: &Tables) -> bool {
    let mut at = 0;
    for digit in digits {
        loop {
            match text.get(at) {
                Some(found) if found == digit => break,
                Some(byte) if byte.is_ascii_digit() => return false,
                Some(_) => match separator(&text[at..], tables) {
                    Some(length) => at += length,
                    None => return false,
                },
                None => return false,
            }
        }
        at += 1;
    }
    !text.get(at).is_some_and(u8::is_ascii_digit)
}

/// How long the space, dash or parenthesis is that a text begins with, if it does.
fn separator(text: &[u8], tables: &Tables) -> Option<usize> {
    let length = match text[0] {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => return None,
    };
    let character = std::str::from_utf8(text.get(..length)?).ok()?.chars().next()?;
    tables.is_between(character).then_some(length)
}

/// Whether an opt-out hint stands among characters of these classes.
fn hint(classes: &[u8]) -> bool {
    memchr::memchr3_iter(class::BACK, class::REFUSE, class::RETURN, classes).any(|at| begins_hint(&classes[at..]))
}

/// Whether characters of these classes begin with an opt-out hint.
fn begins_hint(classes: &[u8]) -> bool {
    match classes {
        [class::BACK, class::ORDER, ..] | [class::REFUSE, class::TAKE, ..] => true,
        [class::RETURN, rest @ ..] => {
            let rest = if let [class::AGAIN, rest @ ..] = rest { rest } else { rest };
            let between = rest.iter().take(2).take_while(|class| **class == class::OTHER).count();
            // The letters are none of what may stand between, so that to take all of that is the only way.
            match &rest[between..] {
                [class::T, class::D, after @ ..] | [class::T | class::R_OR_N, after @ ..] => !latin(after),
                _ => false,
            }
        }
        _ => false,
    }
}

fn latin(after: &[u8]) -> bool {
    after.first().is_some_and(|class| is_latin(*class))
}

pub(crate) fn is_latin(class: u8) -> bool {
    matches!(class, class::T | class::D | class::R_OR_N | class::LATIN)
}

/// Looks for opt-out hints in the lower case of texts that are not folded: what early warning is told of.
#[derive(Debug)]
pub struct Hints([memmem::Finder<'static>; 3]);

/// Characters from that which a hint begins with to the one after its end.
const HINT_CHARACTERS_MAX: usize = 7;

impl Default for Hints {
    fn default() -> Self {
        // Lower case changes none of these and makes none of them.
        Self(["退", "拒", "回"].map(|begin| memmem::Finder::new(begin.as_bytes()).into_owned()))
    }
}

impl Hints {
    /// Whether a hint stands there. `None` where a character's lower case is not to be had from the tables.
    pub fn stand_in(&self, tables: &Tables, text: &[u8]) -> Option<bool> {
        for finder in &self.0 {
            for at in finder.find_iter(text) {
                let mut classes = [class::OTHER; HINT_CHARACTERS_MAX];
                let mut count = 0;
                for character in std::str::from_utf8(window(&text[at..])).ok()?.chars().take(HINT_CHARACTERS_MAX) {
                    classes[count] = class_of_lower(tables, character)?;
                    count += 1;
                }
                if begins_hint(&classes[..count]) {
                    return Some(true);
                }
            }
        }
        Some(false)
    }
}

/// The beginning of a text, up to the end of a character, in which a whole hint has room.
fn window(text: &[u8]) -> &[u8] {
    let mut end = text.len().min(4 * HINT_CHARACTERS_MAX);
    while end < text.len() && text[end] & 0xc0 == 0x80 {
        end += 1;
    }
    &text[..end]
}

fn class_of_lower(tables: &Tables, character: char) -> Option<u8> {
    let code = character as usize;
    let class = if code < BASIC {
        tables.lower[code]
    } else {
        match tables.beyond.get(code - BASIC) {
            Some(1) => class::OTHER,
            Some(2) => class::LETTER,
            _ => class::UNSURE,
        }
    };
    (class != class::UNSURE).then_some(class)
}

/// How one sender makes itself known in a text, folded.
#[derive(Debug)]
pub struct Identity {
    names: Vec<memmem::Finder<'static>>,
    contacts: Vec<Box<[u8]>>,
}

impl Identity {
    /// A sender's name and bracketed signatures, folded, and its contact's digits in each way in which they may stand.
    pub fn new(names: &[String], contacts: Vec<String>) -> Self {
        Self {
            names: names.iter().map(|name| memmem::Finder::new(name.as_bytes()).into_owned()).collect(),
            contacts: contacts.into_iter().map(|contact| contact.into_bytes().into()).collect(),
        }
    }
}
