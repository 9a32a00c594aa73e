//! Numbers: their kinds by the policy's patterns, their owners by the longest prefix, their partitions.

use hashbrown::HashMap;
use regex_automata::dfa::{Automaton, StartError, dense};
use regex_automata::util::primitives::StateID;
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
    start: StateID,
    /// By the first three digits of an international number: a bit for each count of digits behind them, set where they
    /// make a subscriber's number and nothing else, whatever they are.
    settled: Box<[u16; SETTLED]>,
}

/// How many digits of an international number are looked at to tell that it is a subscriber's.
const SETTLED_DIGITS: usize = 3;
const SETTLED: usize = 1000;

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
        let mut numbering = Self { automaton, start, settled: vec![0; SETTLED].try_into().expect("so many were made") };
        let mut known = HashMap::new();
        for first in 0..SETTLED {
            let begun = numbering.state(start, format!("+{first:0SETTLED_DIGITS$}").as_bytes());
            numbering.settled[first] = *known.entry(begun).or_insert_with(|| numbering.settled_behind(begun));
        }
        Ok(numbering)
    }

    /// The bits of `settled` for what is read in a state.
    fn settled_behind(&self, begun: StateID) -> u16 {
        let mut states = vec![begun];
        let mut settled = 0;
        for count in 1..u16::BITS {
            states = states
                .iter()
                .flat_map(|state| (b'0'..=b'9').map(|digit| self.automaton.next_state(*state, digit)))
                .collect();
            states.sort_unstable();
            states.dedup();
            let is_subscriber =
                |state: &StateID| self.first_at(self.automaton.next_eoi_state(*state)) == Some(SUBSCRIBER);
            settled |= u16::from(states.iter().all(is_subscriber)) << count;
        }
        settled
    }

    /// Whether the first digits and the length of a number tell that it is a subscriber's.
    #[inline]
    fn is_settled(&self, number: &[u8]) -> bool {
        let [b'+', hundreds @ b'0'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] = number else {
            return false;
        };
        let first = 100 * usize::from(hundreds - b'0') + 10 * usize::from(tens - b'0') + usize::from(ones - b'0');
        rest.len() < u16::BITS as usize && self.settled[first] >> rest.len() & 1 == 1
    }

    /// The kind of a recipient, and its number if it is a subscriber's.
    #[inline]
    pub fn recipient(&self, to: &[u8]) -> (ToKind, Option<u64>) {
        let number = parse(to);
        if number.is_some() && self.is_settled(to) {
            return (ToKind::Subscriber, number);
        }
        match self.first_at(self.end(to)) {
            Some(0) => (ToKind::Help, None),
            Some(1) => (ToKind::Redress, None),
            Some(2) => (ToKind::Short, None),
            Some(_) => match number {
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
        if self.is_settled(number) {
            return true;
        }
        let end = self.end(number);
        self.automaton.is_match_state(end)
            && (0..self.automaton.match_len(end))
                .any(|place| self.automaton.match_pattern(end, place).as_usize() == SUBSCRIBER)
    }

    /// The first kind that ends in a state.
    #[inline]
    fn first_at(&self, end: StateID) -> Option<usize> {
        if !self.automaton.is_match_state(end) {
            return None;
        }
        (0..self.automaton.match_len(end)).map(|place| self.automaton.match_pattern(end, place).as_usize()).min()
    }

    #[inline]
    fn end(&self, number: &[u8]) -> StateID {
        self.automaton.next_eoi_state(self.state(self.start, number))
    }

    #[inline]
    fn state(&self, begun: StateID, text: &[u8]) -> StateID {
        text.iter().fold(begun, |state, byte| self.automaton.next_state(state, *byte))
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
    let length = text.len();
    if !(8..=16).contains(&length) || text[0] != b'+' || text[1] == b'0' {
        return None;
    }
    // Eight bytes from the front, the sign taken for a nought, and eight up to the end; those in both count once.
    let first = u64::from_le_bytes(*text.first_chunk()?) ^ u64::from(b'+' ^ b'0');
    let last = u64::from_le_bytes(*text.last_chunk()?);
    let both = 16 - length;
    let high = if both == 8 { 0 } else { eight_digits(first << (8 * both) | (NOUGHTS & ((1 << (8 * both)) - 1)))? };
    let low = if both == 8 { eight_digits(first)? } else { eight_digits(last)? };
    Some(high * 100_000_000 + low)
}

const NOUGHTS: u64 = 0x3030_3030_3030_3030;

/// The number that eight digits are, the first of which is in the lowest byte: neighbours are put together in three
/// multiplications.
#[inline]
fn eight_digits(word: u64) -> Option<u64> {
    let digits = word ^ NOUGHTS;
    // A digit stays below 16, and below 16 with 6 more.
    if (digits | digits.wrapping_add(0x0606_0606_0606_0606)) & 0xf0f0_f0f0_f0f0_f0f0 != 0 {
        return None;
    }
    let pairs = (digits.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000 << 32 | 1) >> 32)
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
    fn whatever_is_settled_by_its_first_digits_is_what_its_pattern_says() {
        let numbering = Numbering::new(
            r"((\+86|0)(10|2[0-9]))?(110|12345)|\+1911[0-9]{7}",
            &["+8610086".into()],
            "12[0-9]{3}",
            r"\+[1-9][0-9]{6,14}",
        )
        .expect("plain patterns");
        let plain = |number: &str| match numbering.first_at(numbering.end(number.as_bytes())) {
            Some(SUBSCRIBER) => ToKind::Subscriber,
            Some(0) => ToKind::Help,
            Some(1) => ToKind::Redress,
            Some(_) => ToKind::Short,
            None => ToKind::Other,
        };
        let mut settled = 0;
        for start in ["+1911", "+191", "+8610", "+8621", "+8613", "+861008", "+86", "+100", "+999", "+0"] {
            for length in start.len()..18 {
                for digit in ["0", "1", "5", "110", "86", "2345"] {
                    let number: String = start.chars().chain(digit.chars().cycle()).take(length).collect();
                    assert_eq!(numbering.recipient(number.as_bytes()).0, plain(&number), "{number}");
                    settled += usize::from(numbering.is_settled(number.as_bytes()));
                }
            }
        }
        assert!(settled > 100, "most numbers are");
        assert!(!numbering.is_settled(b"+1911234567x") || parse(b"+1911234567x").is_none());
    }

    #[test]
    fn a_number_is_that_of_its_digits() {
        let mut number = 1_234_567u64;
        for _ in 0..200 {
            number = (number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)) >> 3;
            for length in 7..=15 {
                let digits = number % 10u64.pow(length - 1) + 10u64.pow(length - 1);
                let text = format!("+{digits}");
                assert_eq!(parse(text.as_bytes()), Some(digits), "{text}");
                for at in 0..text.len() {
                    for wrong in [b'/', b':', b'0' ^ 0x80, b' ', b'@', 0xff, b'+' ^ 1] {
                        let mut spoilt = text.clone().into_bytes();
                        spoilt[at] = wrong;
                        assert_eq!(parse(&spoilt), None, "{text} at {at}");
                    }
                }
            }
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
