//! Opt-out hints: whether a text says how to opt out.

use super::tables::{BASIC, Tables, class};
use memchr::memmem;

/// Whether an opt-out hint stands among characters of these classes.
pub(super) fn hint(classes: &[u8]) -> bool {
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

/// Looks for opt-out hints in the lower case of texts that are not folded: for early warning.
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
