//! Numbers: their kinds by the policy's patterns, their owners by the longest prefix, their partitions.

use hashbrown::HashMap;
use regex_automata::dfa::{Automaton, StartError, dense};
use regex_automata::{Anchored, MatchKind, util::start};

/// What a recipient is. The order is that in which the rules ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum ToKind {
    Help,
    Redress,
    Short,
    Subscriber,
    Other,
}

/// What an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum FromKind {
    Missing,
    Subscriber,
    Port,
    Identifier,
    Malformed,
}

/// The policy's patterns, compiled into one automaton: a step a byte, whatever they are.
#[derive(Debug)]
pub struct Numbering {
    automaton: dense::DFA<Vec<u32>>,
    start: regex_automata::util::primitives::StateID,
}

const SUBSCRIBER: usize = 3;

impl Numbering {
    /// Patterns of the kind that mean the same to Python and here; an error says which one is not.
    pub fn new(help: &str, redress: &[String], short: &str, subscriber: &str) -> Result<Self, String> {
        let redress = redress.iter().map(|number| regex_syntax::escape(number)).collect::<Vec<_>>().join("|");
        // A class that holds nothing stands for no redress number at all.
        let redress = if redress.is_empty() { r"[^\x00-\x{10ffff}]".to_owned() } else { redress };
        for (name, pattern) in [("help", help), ("short", short), ("subscriber", subscriber)] {
            if !plain(pattern) {
                return Err(format!("the policy's pattern for {name} numbers is more than this module reads"));
            }
        }
        let whole: Vec<String> =
            [help, &redress, short, subscriber].iter().map(|pattern| format!(r"(?:{pattern})\z")).collect();
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
        Ok(Self { automaton, start })
    }

    /// The kind of a recipient, and its number if it is a subscriber's.
    #[inline]
    pub fn recipient(&self, to: &[u8]) -> (ToKind, Option<u64>) {
        match self.first_of(to) {
            Some(0) => (ToKind::Help, None),
            Some(1) => (ToKind::Redress, None),
            Some(2) => (ToKind::Short, None),
            Some(_) => match parse(to) {
                Some(number) => (ToKind::Subscriber, Some(number)),
                None => (ToKind::Other, None),
            },
            None => (ToKind::Other, None),
        }
    }

    /// The kind of the number that an event comes from. On the internet its form is not checked.
    #[inline]
    pub fn source(&self, from: &[u8], internet: bool) -> FromKind {
        if from.is_empty() {
            FromKind::Missing
        } else if self.is_subscriber(from) {
            FromKind::Subscriber
        } else if internet {
            FromKind::Identifier
        } else if (3..=20).contains(&from.len()) && from.iter().all(u8::is_ascii_digit) {
            FromKind::Port
        } else {
            FromKind::Malformed
        }
    }

    #[inline]
    fn is_subscriber(&self, number: &[u8]) -> bool {
        if parse(number).is_none() {
            return false;
        }
        let end = self.end(number);
        self.automaton.is_match_state(end)
            && (0..self.automaton.match_len(end))
                .any(|place| self.automaton.match_pattern(end, place).as_usize() == SUBSCRIBER)
    }

    #[inline]
    fn first_of(&self, number: &[u8]) -> Option<usize> {
        let end = self.end(number);
        if !self.automaton.is_match_state(end) {
            return None;
        }
        (0..self.automaton.match_len(end)).map(|place| self.automaton.match_pattern(end, place).as_usize()).min()
    }

    #[inline]
    fn end(&self, number: &[u8]) -> regex_automata::util::primitives::StateID {
        let mut state = self.start;
        for byte in number {
            state = self.automaton.next_state(state, *byte);
        }
        self.automaton.next_eoi_state(state)
    }
}

/// Whether a pattern is made of nothing but what both engines read alike: ASCII literals, sets, groups, alternatives,
/// greedy repetition, a point for any character but a line's end.
fn plain(pattern: &str) -> bool {
    let bytes = pattern.as_bytes();
    let mut at = 0;
    let mut repeated = false;
    while at < bytes.len() {
        let repeats = matches!(bytes[at], b'?' | b'*' | b'+' | b'{');
        if repeats && repeated {
            return false; // lazy or possessive
        }
        repeated = repeats;
        match bytes[at] {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b':' | b'-' | b'_' | b'|' | b')' | b'.' | b'?' | b'*' | b'+' => {
                at += 1
            }
            b'(' => {
                at += 1;
                if bytes.get(at) == Some(&b'?') {
                    if bytes.get(at + 1) != Some(&b':') {
                        return false;
                    }
                    at += 2;
                }
            }
            b'\\' => {
                if !matches!(bytes.get(at + 1), Some(b'+' | b'.' | b'-' | b'*' | b'(' | b')')) {
                    return false;
                }
                at += 2;
            }
            b'[' => {
                let Some(length) = bytes[at..].iter().position(|byte| *byte == b']') else { return false };
                let inner = &bytes[at + 1..at + length];
                if inner.is_empty() || !inner.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') {
                    return false;
                }
                at += length + 1;
            }
            b'{' => {
                let Some(length) = bytes[at..].iter().position(|byte| *byte == b'}') else { return false };
                let inner = &bytes[at + 1..at + length];
                if !inner.first().is_some_and(u8::is_ascii_digit)
                    || !inner.iter().all(|byte| byte.is_ascii_digit() || *byte == b',')
                {
                    return false;
                }
                at += length + 1;
            }
            _ => return false,
        }
    }
    true
}

/// The number that a text is: `+` and seven to fifteen digits of which the first is not 0.
#[inline]
pub fn parse(text: &[u8]) -> Option<u64> {
    if !(8..=16).contains(&text.len()) || text[0] != b'+' || text[1] == b'0' {
        return None;
    }
    let mut number = 0u64;
    for byte in &text[1..] {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

/// Who owns what: prefixes of one channel, of which the longest counts.
///
/// A tree over digits and the plus sign, a step a character; prefixes with other characters stand in a map, and are
/// looked for by length only where there are any.
#[derive(Debug, Default)]
pub struct Prefixes {
    nodes: Vec<Node>,
    odd: HashMap<Box<[u8]>, u32>,
    odd_lengths: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Node {
    next: [u32; 11],
    /// The holding of the prefix that ends here, counted from 1.
    holding: u32,
}

const NO_NODE: Node = Node { next: [0; 11], holding: 0 };

#[inline]
fn step(byte: u8) -> usize {
    let digit = byte.wrapping_sub(b'0');
    if digit <= 9 {
        digit as usize
    } else if byte == b'+' {
        10
    } else {
        11
    }
}

impl Prefixes {
    /// Adds a prefix, not empty, with its holding's index.
    pub fn add(&mut self, prefix: &[u8], holding: u32) {
        if prefix.iter().any(|byte| step(*byte) > 10) {
            self.odd.insert(prefix.into(), holding);
            if !self.odd_lengths.contains(&prefix.len()) {
                self.odd_lengths.push(prefix.len());
                self.odd_lengths.sort_unstable_by(|one, other| other.cmp(one));
            }
            return;
        }
        if self.nodes.is_empty() {
            self.nodes.push(NO_NODE);
        }
        let mut node = 0;
        for byte in prefix {
            let next = self.nodes[node].next[step(*byte)] as usize;
            node = if next != 0 {
                next
            } else {
                self.nodes.push(NO_NODE);
                let made = self.nodes.len() - 1;
                self.nodes[node].next[step(*byte)] = u32::try_from(made).expect("far fewer prefixes");
                made
            };
        }
        self.nodes[node].holding = holding + 1;
    }

    /// The holding of the longest prefix of a number.
    #[inline]
    pub fn longest(&self, number: &[u8]) -> Option<u32> {
        let mut found = 0;
        let mut length = 0;
        if !self.nodes.is_empty() {
            let mut node = 0;
            for (place, byte) in number.iter().enumerate() {
                let Some(next) = self.nodes[node].next.get(step(*byte)) else { break };
                if *next == 0 {
                    break;
                }
                node = *next as usize;
                if self.nodes[node].holding != 0 {
                    (found, length) = (self.nodes[node].holding, place + 1);
                }
            }
        }
        for odd_length in &self.odd_lengths {
            if *odd_length > length
                && let Some(prefix) = number.get(..*odd_length)
                && let Some(holding) = self.odd.get(prefix)
            {
                return Some(*holding);
            }
        }
        found.checked_sub(1)
    }
}

/// The partition of a subscriber's records: murmur2 as Kafka's Java client has it (DESIGN section 3).
#[inline]
pub fn partition_of(text: &[u8], partitions: u32) -> u32 {
    const MULTIPLIER: u32 = 0x5bd1_e995;
    let mut mixed = 0x9747_b28c ^ text.len() as u32;
    let mut words = text.chunks_exact(4);
    for word in &mut words {
        let mut word = u32::from_le_bytes(word.try_into().expect("four bytes")).wrapping_mul(MULTIPLIER);
        word = (word ^ word >> 24).wrapping_mul(MULTIPLIER);
        mixed = mixed.wrapping_mul(MULTIPLIER) ^ word;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            mixed ^= u32::from(*byte) << (8 * place);
        }
        mixed = mixed.wrapping_mul(MULTIPLIER);
    }
    mixed = (mixed ^ mixed >> 13).wrapping_mul(MULTIPLIER);
    mixed ^= mixed >> 15;
    (mixed & 0x7fff_ffff) % partitions
}

/// The partition of a subscriber's number kept as an integer: that of its text.
#[inline]
pub fn partition_of_number(number: u64, partitions: u32) -> u32 {
    if partitions == 1 {
        return 0;
    }
    let mut text = [b'+'; 21];
    let (mut at, mut left) = (text.len(), number);
    while left > 0 {
        at -= 1;
        text[at] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    partition_of(&text[at - 1..], partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_those_of_the_design() {
        for (number, of_12, of_48) in [("+8613800138000", 8, 8), ("+8613900139000", 9, 45), ("+8617012345678", 1, 37)] {
            assert_eq!(partition_of(number.as_bytes(), 12), of_12);
            assert_eq!(partition_of(number.as_bytes(), 48), of_48);
            let kept = parse(number.as_bytes()).expect("a subscriber's number");
            assert_eq!(partition_of_number(kept, 12), of_12);
            assert_eq!(partition_of_number(kept, 48), of_48);
        }
    }

    #[test]
    fn the_longest_prefix_owns_whatever_it_is_made_of() {
        let mut prefixes = Prefixes::default();
        for (holding, prefix) in ["1069", "106901", "app:", "app:x", "1069x", "+86"].iter().enumerate() {
            prefixes.add(prefix.as_bytes(), holding as u32);
        }
        for (number, holding) in [
            ("1069", Some(0)),
            ("10690", Some(0)),
            ("1069012", Some(1)),
            ("1069x1", Some(4)),
            ("app:y", Some(2)),
            ("app:x1", Some(3)),
            ("+8613", Some(5)),
            ("106", None),
            ("", None),
            ("\u{9000}", None),
        ] {
            assert_eq!(prefixes.longest(number.as_bytes()), holding, "{number}");
        }
    }

    #[test]
    fn a_number_is_whole_or_none() {
        assert_eq!(parse(b"+8613800138000"), Some(8_613_800_138_000));
        assert_eq!(parse(b"+999999999999999"), Some(999_999_999_999_999));
        for text in
            ["", "+", "8613800138000", "+0613800138000", "+861380013800x", "+9999999999999999", "+123456", "+86138\n"]
        {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn patterns_that_two_engines_may_read_in_two_ways_are_refused() {
        for pattern in [r"\d+", "(?i)a", "a(?=b)", "a+?", "a*+", "[^a]", "^a", "a$", "é", r"(\w)\1", "{,3}", "a{,3}"] {
            assert!(!plain(pattern), "{pattern}");
        }
        for pattern in [r"\+[1-9][0-9]{6,14}", r"((\+86|0)(10|2[0-9]))?(110)|urn:service:sos(\..+)?", "(?:a|b)c{2}"] {
            assert!(plain(pattern), "{pattern}");
        }
    }
}
