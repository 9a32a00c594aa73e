//! Prohibited terms (DESIGN section 5): those of all word lists, searched at once.
//!
//! A term counts wherever it stands in a text that is stripped of all but letters and numbers. One of a-z and 0-9 alone is
//! a *word*, and must also stand by itself in the folded text, or `av` would be found in `have`.

use crate::text::{Reading, class, is_latin, packed};
use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{AhoCorasick, Anchored, BuildError};

/// The terms of all word lists.
#[derive(Debug)]
pub struct Terms {
    words: Option<Words>,
    others: Option<(Begins, AhoCorasick)>,
}

impl Terms {
    /// Of terms that are stripped already. Fails where there are too many for an automaton.
    pub fn new(terms: &[String]) -> Result<Self, BuildError> {
        let (words, others): (Vec<&String>, Vec<&String>) =
            terms.iter().filter(|term| !term.is_empty()).partition(|term| term.is_ascii());
        Ok(Self {
            words: if words.is_empty() { None } else { Some(Words::new(&words)?) },
            others: if others.is_empty() { None } else { Some((Begins::of(&others), AhoCorasick::new(&others)?)) },
        })
    }

    /// Whether any term counts in a text.
    pub fn found_in(&self, reading: &Reading) -> bool {
        let other = self.others.as_ref().is_some_and(|(begins, automaton)| {
            begins.may_stand_in(reading.letters()) && automaton.is_match(&reading.stripped())
        });
        other || self.words.as_ref().is_some_and(|words| words.count_in(reading))
    }
}

/// What some terms begin with.
///
/// Almost no text holds a term. So a text is first looked through for two characters that one begins with, in a table of
/// bits; only where such a pair stands is it searched by an automaton (Aho and Corasick 1975), which keeps the whole
/// linear.
#[derive(Debug)]
struct Begins {
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

impl Begins {
    /// Of terms that are not empty.
    fn of(terms: &[&String]) -> Self {
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
        Self { pairs: pairs.into(), singles: singles.into(), has_singles }
    }

    #[inline]
    fn may_stand_in(&self, letters: &[u32]) -> bool {
        let pair = letters.windows(2).any(|pair| has(&self.pairs, pair_of(pair[0], pair[1])));
        pair || self.has_singles && letters.iter().any(|letter| has(&self.singles, pair_of(*letter, 0)))
    }
}

/// Terms of a-z and 0-9 alone.
#[derive(Debug)]
struct Words {
    begins: Begins,
    automaton: NFA,
    start: StateID,
    /// Of each, whether it is of digits alone.
    of_digits: Vec<bool>,
}

impl Words {
    fn new(words: &[&String]) -> Result<Self, BuildError> {
        let automaton = NFA::new(words)?;
        let start = automaton.start_state(Anchored::No).expect("such an automaton has one");
        let of_digits = words.iter().map(|word| word.bytes().all(|byte| byte.is_ascii_digit())).collect();
        Ok(Self { begins: Begins::of(words), automaton, start, of_digits })
    }

    /// Whether any stands by itself in a text.
    ///
    /// A word begins and ends where a block of these characters does, and holds one block or several that one other
    /// character parts, no comma; one of digits holds one. So what ends elsewhere need not be looked at, however many
    /// words end in each other.
    fn count_in(&self, reading: &Reading) -> bool {
        if !self.begins.may_stand_in(reading.letters()) {
            return false;
        }
        let classes = reading.classes();
        let folded = std::str::from_utf8(reading.folded()).expect("of UTF-8, folded to UTF-8");
        // Of each character of the blocks at hand, which of them its block begins with.
        let mut blocks: Vec<usize> = Vec::new();
        let (mut state, mut begin, mut between) = (self.start, 0, 0);
        for (place, (character, kind)) in folded.chars().zip(classes).enumerate() {
            if !is_latin(*kind) {
                between = if *kind == class::OTHER && character != ',' { between + 1 } else { usize::MAX / 2 };
                continue;
            }
            if between > 1 {
                blocks.clear();
                state = self.start;
            }
            if between > 0 {
                begin = blocks.len();
            }
            between = 0;
            blocks.push(begin);
            state = self.automaton.next_state(Anchored::No, state, character as u8);
            let ends = !classes.get(place + 1).is_some_and(|next| is_latin(*next));
            if ends && self.automaton.is_match(state) && self.counts(state, &blocks) {
                return true;
            }
        }
        false
    }

    /// Whether one of the words that end in this state, with the last of these blocks, begins with one of them.
    fn counts(&self, state: StateID, blocks: &[usize]) -> bool {
        (0..self.automaton.match_len(state)).any(|index| {
            let word = self.automaton.match_pattern(state, index);
            let begin = blocks.len() - self.automaton.pattern_len(word);
            blocks[begin] == begin && (!self.of_digits[word.as_usize()] || blocks.last() == Some(&begin))
        })
    }
}
