//! What numbers are, and how they are read (DESIGN section 4): by the policy's patterns, as Python reads them.
//!
//! Most numbers stand as they are read, and most others lack their country's code, or write it without a plus or with
//! two noughts. Those are read here; whatever takes more (spaces, dashes, schemes, other scripts, a nought before an
//! area) is `None` and falls back to Python, whose answer then stands.

mod patterns;
#[cfg(test)]
pub(crate) mod tests;

pub use patterns::Patterns;

use crate::numbers::{TEXT_BYTES, parse, text_of};
use hashbrown::HashMap;
use patterns::plain;
use regex_automata::dfa::{Automaton, StartError, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, MatchKind, util::start};

/// What a recipient is, as read. The order is that in which the rules ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum ToKind {
    Help,
    Redress,
    Short,
    Person,
    Other,
}

/// What an event comes from, as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum FromKind {
    Missing,
    Person,
    Port,
    Identifier,
    Malformed,
}

/// A number as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number<'a> {
    /// A person's: a plus, and these digits.
    Person(u64),
    /// Any other.
    Other(&'a [u8]),
}

impl<'a> Number<'a> {
    /// Its text.
    #[inline]
    pub fn text<'b>(self, room: &'b mut [u8; TEXT_BYTES]) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Person(number) => text_of(number, room),
            Self::Other(text) => text,
        }
    }
}

/// Where an event's number stands: in an SMS industry ports are read, on the internet nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Side {
    Sms,
    Call,
    Internet,
}

/// The policy's patterns, compiled into one automaton: a step a byte, whatever they are.
#[derive(Debug)]
pub struct Numbering {
    automaton: dense::DFA<Vec<u32>>,
    start: StateID,
    country: Box<[u8]>,
    /// Where the automaton is behind a plus and the country's code.
    home: StateID,
    /// By the first digits of an international number: a bit for each count of digits behind them, set where they
    /// make a person's number and nothing else, whatever they are.
    settled: Box<[u16; SETTLED]>,
}

/// How many digits of an international number are looked at to tell that it is a person's: the country's, and the first
/// two behind it.
const SETTLED_DIGITS: usize = 4;
const SETTLED: usize = 10_000;

/// The patterns as they stand in the automaton, each with its bit. The first are kinds of recipients.
mod bit {
    pub const HELP: u8 = 1 << 0;
    pub const REDRESS: u8 = 1 << 1;
    pub const SHORT: u8 = 1 << 2;
    pub const SUBSCRIBER: u8 = 1 << 3;
    /// Behind a plus and the country's code; so are the next two.
    pub const MOBILE: u8 = 1 << 4;
    pub const FIXED: u8 = 1 << 5;
    pub const PORT: u8 = 1 << 6;
    /// Is read as something else.
    pub const OTHERWISE: u8 = 1 << 7;
}

impl Numbering {
    /// Patterns of the kind that mean the same to Python and here; an error says which one is not.
    pub fn new(patterns: &Patterns) -> Result<Self, String> {
        let Patterns { help, redress, short, subscriber, country, mobile, fixed, port } = patterns;
        let redress = redress.iter().map(|number| regex_syntax::escape(number)).collect::<Vec<_>>().join("|");
        // A class that holds nothing stands for no redress number at all.
        let redress = if redress.is_empty() { r"[^\x00-\x{10ffff}]".to_owned() } else { redress };
        let named =
            [("help", help), ("short", short), ("subscriber", subscriber), ("mobile", mobile), ("fixed", fixed)];
        for (name, pattern) in named.into_iter().chain([("port", port)]) {
            if !plain(pattern) {
                return Err(format!(
                    "the policy's pattern for {name} numbers uses syntax that wurao_native does not read"
                ));
            }
        }
        if country.is_empty() || country.len() >= SETTLED_DIGITS || !country.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{country:?} is no country's calling code"));
        }
        let home = format!(r"\+{country}");
        let all = [
            help.clone(),
            redress.clone(),
            short.clone(),
            subscriber.clone(),
            format!("{home}(?:{mobile})"),
            format!("{home}(?:{fixed})"),
            format!("{home}(?:{port})"),
            format!(r"\+(?:{help})|{home}(?:0?(?:{help})|{redress}|{short})"),
        ];
        let whole: Vec<String> = all.iter().map(|pattern| format!(r"(?:{pattern})\z")).collect();
        let automaton = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .match_kind(MatchKind::All)
                    .start_kind(regex_automata::dfa::StartKind::Anchored)
                    .dfa_size_limit(Some(8 << 20))
                    .determinize_size_limit(Some(32 << 20)),
            )
            .build_many(&whole)
            .map_err(|error| format!("the policy's patterns for numbers: {error}"))?;
        let start = automaton
            .start_state(&start::Config::new().anchored(Anchored::Yes))
            .map_err(|error: StartError| error.to_string())?;
        let settled = vec![0; SETTLED].try_into().expect("so many were made");
        let mut numbering = Self { automaton, start, country: country.as_bytes().into(), home: start, settled };
        numbering.home = numbering.state(numbering.state(start, b"+"), country.as_bytes());
        let mut known = HashMap::new();
        for first in 0..SETTLED {
            let text = format!("+{first:0SETTLED_DIGITS$}");
            if may_be_international(text.as_bytes()) {
                let (begun, home) = (numbering.state(start, text.as_bytes()), text[1..].starts_with(country));
                let settled = known.entry((begun, home)).or_insert_with(|| numbering.settled_behind(begun, home));
                numbering.settled[first] = *settled;
            }
        }
        Ok(numbering)
    }

    /// The bits of `settled` for what is read in a state.
    fn settled_behind(&self, begun: StateID, home: bool) -> u16 {
        let mut states = vec![begun];
        let mut settled = 0;
        for count in 1..u16::BITS {
            states = states
                .iter()
                .flat_map(|state| (b'0'..=b'9').map(|digit| self.automaton.next_state(*state, digit)))
                .collect();
            states.sort_unstable();
            states.dedup();
            settled |= u16::from(states.iter().all(|state| is_person(self.ended(*state), home))) << count;
        }
        settled
    }

    /// Whether the first digits and the length of a number tell that it is a person's.
    #[inline]
    fn is_settled(&self, number: &[u8]) -> bool {
        let Some((first, rest)) = number.split_first_chunk::<{ 1 + SETTLED_DIGITS }>() else { return false };
        let digits = first[1..].iter().map(|byte| usize::from(byte.wrapping_sub(b'0')));
        let first = digits.fold(0, |sum, digit| 10 * sum + digit);
        rest.len() < u16::BITS as usize && self.settled.get(first).is_some_and(|settled| settled >> rest.len() & 1 == 1)
    }

    /// The kind of a recipient, and its number if it is a person's. `None` is a fallback to Python.
    #[inline]
    pub fn recipient(&self, to: &[u8]) -> Option<(ToKind, Option<u64>)> {
        match parse(to) {
            Some(number) if self.is_settled(to) => Some((ToKind::Person, Some(number))),
            _ => self.recipient_by_patterns(to),
        }
    }

    #[cold]
    fn recipient_by_patterns(&self, to: &[u8]) -> Option<(ToKind, Option<u64>)> {
        let text = match self.read(to)? {
            Number::Person(number) => return Some((ToKind::Person, Some(number))),
            Number::Other(text) => text,
        };
        let found = self.found(text);
        let kind = [(bit::HELP, ToKind::Help), (bit::REDRESS, ToKind::Redress), (bit::SHORT, ToKind::Short)]
            .into_iter()
            .find(|(bit, _)| found & bit != 0)
            .map_or(ToKind::Other, |(_, kind)| kind);
        Some((kind, None))
    }

    /// The kind of the number that an event comes from, and that number. `None` is a fallback to Python.
    pub fn source<'a>(&self, from: &'a [u8], side: Side) -> Option<(FromKind, Number<'a>)> {
        if from.is_empty() {
            return Some((FromKind::Missing, Number::Other(from)));
        }
        if side == Side::Internet {
            // Its form is not checked; but where it is a subscriber's number, it is a person's or falls back to Python.
            return match parse(from) {
                Some(_) => match self.international(from) {
                    Some(number @ Number::Person(_)) => Some((FromKind::Person, number)),
                    _ => None,
                },
                None => Some((FromKind::Identifier, Number::Other(from))),
            };
        }
        let port = if side == Side::Sms { self.port_in(from) } else { None };
        match port.map_or_else(|| self.read(from), |port| Some(Number::Other(port)))? {
            number @ Number::Person(_) => Some((FromKind::Person, number)),
            Number::Other([b'+', ..]) => None,
            number @ Number::Other(text) => {
                let kind = if is_port(text) { FromKind::Port } else { FromKind::Malformed };
                Some((kind, number))
            }
        }
    }

    /// The number that a text means (steps 1 to 4). `None` is a fallback to Python.
    pub fn read<'a>(&self, text: &'a [u8]) -> Option<Number<'a>> {
        match text {
            [b'+', ..] => self.international(text),
            [b'0', ..] => {
                self.at_home(text.strip_prefix(b"00")?.strip_prefix(&*self.country)?, bit::MOBILE | bit::FIXED)
            }
            [b'1'..=b'9', ..] if text.iter().all(u8::is_ascii_digit) => {
                if self.found(text) & bit::HELP != 0 {
                    return Some(Number::Other(text));
                }
                match text.strip_prefix(&*self.country) {
                    Some(behind) => self.at_home(behind, bit::MOBILE | bit::FIXED),
                    None => Some(self.at_home(text, bit::MOBILE).unwrap_or(Number::Other(text))),
                }
            }
            // No scheme, no mark: a name that somebody sends under stays.
            [b'a'..=b'z' | b'A'..=b'Z', ..] if text.iter().all(u8::is_ascii_alphanumeric) => Some(Number::Other(text)),
            _ => None,
        }
    }

    /// A number with a plus, where it stands as it is read.
    fn international<'a>(&self, text: &'a [u8]) -> Option<Number<'a>> {
        let number = parse(text).filter(|_| may_be_international(text))?;
        let found = self.found(text);
        if found & bit::HELP != 0 {
            return Some(Number::Other(text));
        }
        is_person(found, text[1..].starts_with(&self.country)).then_some(Number::Person(number))
    }

    /// The person's number that this is behind the country's code, where it is of one of these patterns.
    fn at_home(&self, behind: &[u8], patterns: u8) -> Option<Number<'static>> {
        let found = self.found_at_home(behind);
        if found & patterns == 0 || !is_person(found, true) {
            return None;
        }
        let digits = [&self.country, behind].concat();
        // What `parse` takes has fifteen digits at most.
        (digits.len() <= 15)
            .then(|| Number::Person(digits.iter().fold(0, |sum, digit| 10 * sum + u64::from(digit - b'0'))))
    }

    /// What stands behind the country's code of a number as it is read; nothing where that has none.
    pub fn national<'a>(&self, number: &'a [u8]) -> &'a [u8] {
        number.strip_prefix(b"+").and_then(|digits| digits.strip_prefix(&*self.country)).unwrap_or_default()
    }

    /// The industry port that a text is, whatever of the country's code stands before it.
    fn port_in<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        let begin = match text {
            [b'+', rest @ ..] | [b'0', b'0', rest @ ..] => rest.strip_prefix(&*self.country)?,
            _ if self.found_at_home(text) & bit::PORT != 0 => return Some(text),
            _ => text.strip_prefix(&*self.country)?,
        };
        (self.found_at_home(begin) & bit::PORT != 0).then_some(begin)
    }

    /// The bits of the patterns that a text is of.
    fn found(&self, text: &[u8]) -> u8 {
        self.ended(self.state(self.start, text))
    }

    /// The bits of those that it is of behind a plus and the country's code.
    fn found_at_home(&self, text: &[u8]) -> u8 {
        self.ended(self.state(self.home, text))
    }

    #[inline]
    fn ended(&self, state: StateID) -> u8 {
        let end = self.automaton.next_eoi_state(state);
        if !self.automaton.is_match_state(end) {
            return 0;
        }
        (0..self.automaton.match_len(end))
            .fold(0, |found, place| found | 1 << self.automaton.match_pattern(end, place).as_usize())
    }

    #[inline]
    fn state(&self, begun: StateID, text: &[u8]) -> StateID {
        text.iter().fold(begun, |state, byte| self.automaton.next_state(state, *byte))
    }
}

/// Whether a number as read is of 3 to 20 digits.
pub fn is_port(number: &[u8]) -> bool {
    (3..=20).contains(&number.len()) && number.iter().all(u8::is_ascii_digit)
}

/// Whether a number with a plus stays as it is: no country's code begins with 0 or 10.
fn may_be_international(text: &[u8]) -> bool {
    !matches!(text, [b'+', b'0', ..] | [b'+', b'1', b'0', ..])
}

/// Whether a number of these patterns is a person's; `home`: it begins with a plus and the country's code.
#[inline]
fn is_person(found: u8, home: bool) -> bool {
    let other = bit::HELP | bit::REDRESS | bit::SHORT | bit::OTHERWISE;
    found & bit::SUBSCRIBER != 0 && found & other == 0 && (!home || found & (bit::MOBILE | bit::FIXED) != 0)
}
