//! Prohibited terms (DESIGN section 5): those of all word lists, searched at once.
//!
//! A term counts wherever it stands in a text that is stripped of all but letters and numbers. One of a-z and 0-9 alone is
//! a *word*, and must also stand by itself in the folded text, or `av` would be found in `have`.

use crate::text::{Reading, class, is_latin, packed};
use aho_corasick::AhoCorasick;

/// The terms of all word lists.
#[derive(Debug)]
pub struct Terms {
    words: Option<Search>,
    others: Option<Search>,
    /// Of each word, whether it is of digits alone.
    of_digits: Vec<bool>,
}

/// Some terms, searched at once.
///
/// Almost no text holds one. So a text is first looked through for two characters that a term begins with, in a table
/// of bits; only where such a pair stands is it searched by the automaton (Aho and Corasick 1975), which keeps the
/// whole linear.
#[derive(Debug)]
struct Search {
    automaton: AhoCorasick,
    pairs: Box<[u64]>,
    /// The first characters of terms that have no second.
    singles: Box<[u64]>,
    has_singles: bool,
}

const PAIR_BITS: u32 = 17;

#[inline]
fn pair_of(first: u32, second: u32) -> usize {
    (first.wrapping_mul(0x9e37_79b1).wrapping_add(second.wrapping_mul(0x85eb_ca77)) >> (32 - PAIR_BITS)) as usize
}

#[inline]
fn has(bits: &[u64], place: usize) -> bool {
    bits[place / 64] >> (place % 64) & 1 == 1
}

impl Search {
    /// Of terms that are not empty; nothing where there are none.
    fn new(terms: &[&String]) -> Result<Option<Self>, aho_corasick::BuildError> {
        if terms.is_empty() {
            return Ok(None);
        }
        let mut pairs = vec![0u64; 1 << (PAIR_BITS - 6)];
        let mut singles = vec![0u64; 1 << (PAIR_BITS - 6)];
        for term in terms {
            let mut characters = term.chars().map(packed);
            let Some(first) = characters.next() else { continue };
            let (bits, place) = match characters.next() {
                Some(second) => (&mut pairs, pair_of(first, second)),
                None => (&mut singles, pair_of(first, 0)),
            };
            bits[place / 64] |= 1 << (place % 64);
        }
        let has_singles = singles.iter().any(|bits| *bits != 0);
        let automaton = AhoCorasick::new(terms)?;
        Ok(Some(Self { automaton, pairs: pairs.into(), singles: singles.into(), has_singles }))
    }

    #[inline]
    fn may_stand_in(&self, letters: &[u32]) -> bool {
        let pair = letters.windows(2).any(|pair| has(&self.pairs, pair_of(pair[0], pair[1])));
        pair || self.has_singles && letters.iter().any(|letter| has(&self.singles, pair_of(*letter, 0)))
    }
}

impl Terms {
    /// Of terms that are stripped already. Fails where there are too many for an automaton.
    pub fn new(terms: &[String]) -> Result<Self, aho_corasick::BuildError> {
        let (words, others): (Vec<&String>, Vec<&String>) =
            terms.iter().filter(|term| !term.is_empty()).partition(|term| term.is_ascii());
        let of_digits = words.iter().map(|word| word.bytes().all(|byte| byte.is_ascii_digit())).collect();
        Ok(Self { words: Search::new(&words)?, others: Search::new(&others)?, of_digits })
    }

    /// Whether any term counts in a text.
    pub fn found_in(&self, reading: &Reading) -> bool {
        let other = self.others.as_ref().is_some_and(|search| {
            search.may_stand_in(reading.letters()) && search.automaton.is_match(&reading.stripped())
        });
        other || self.words.as_ref().is_some_and(|search| self.word_counts(search, reading))
    }

    fn word_counts(&self, search: &Search, reading: &Reading) -> bool {
        if !search.may_stand_in(reading.letters()) {
            return false;
        }
        let stripped = reading.stripped();
        let mut found = search.automaton.find_overlapping_iter(&stripped).peekable();
        if found.peek().is_none() {
            return false;
        }
        let surroundings = Surroundings::of(reading);
        found.any(|word| surroundings.leave_alone(word.range(), self.of_digits[word.pattern().as_usize()]))
    }
}

/// What stands around the letters and numbers of a text.
struct Surroundings<'a> {
    classes: &'a [u8],
    /// For each byte of the stripped text the place of its character in the folded one.
    places: Vec<usize>,
    /// For each of these bytes, how many before it and itself stand too far from their neighbour to belong to one word
    /// with it, and how many do not follow it at once, as digits must.
    apart: Vec<[u32; 2]>,
}

impl<'a> Surroundings<'a> {
    fn of(reading: &'a Reading) -> Self {
        let classes = reading.classes();
        let folded = std::str::from_utf8(reading.folded()).expect("of UTF-8, folded to UTF-8");
        let (mut places, mut apart) = (Vec::new(), Vec::new());
        let (mut last, mut before, mut sums) = (0, ' ', [0, 0]);
        for (place, (character, class)) in folded.chars().zip(classes).enumerate() {
            if *class != class::OTHER {
                let close = place == last + 1 || place == last + 2 && before != ',';
                sums = [sums[0] + u32::from(!close), sums[1] + u32::from(place != last + 1)];
                for _ in 0..character.len_utf8() {
                    places.push(place);
                    apart.push(sums);
                }
                last = place;
            }
            before = character;
        }
        Self { classes, places, apart }
    }

    /// Whether the word at these bytes of the stripped text stands by itself.
    fn leave_alone(&self, bytes: std::ops::Range<usize>, of_digits: bool) -> bool {
        let (begin, end) = (bytes.start, bytes.end - 1);
        let latin = |place: Option<usize>| {
            place.and_then(|place| self.classes.get(place)).is_some_and(|class| is_latin(*class))
        };
        let kind = usize::from(of_digits);
        !latin(self.places[begin].checked_sub(1))
            && !latin(Some(self.places[end] + 1))
            && self.apart[begin][kind] == self.apart[end][kind]
    }
}
