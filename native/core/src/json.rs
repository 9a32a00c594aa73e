//! Events from JSON (DESIGN section 4): what is plain, and nothing else.
//!
//! Promises that what is read here the Python core reads too, with the same meaning. So everything that is seldom and
//! could be read in two ways is `None` and goes to Python, whose answer and whose errors then stand: a name twice,
//! escapes outside of a text, numbers that are no plain integers, values within values, bytes that are not UTF-8.
//! Null and the empty string are read as absent, as the contract has it.

use std::num::NonZeroU64;

/// A record is at most 1 MiB on the wire.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// The largest integer that every JSON reader holds exactly (RFC 8259, section 6).
pub(crate) const TIME_MAX: u64 = (1 << 53) - 1;
// An event that exceeds these is undecodable, which is Python's to say; it counts characters, of which no text has more
// than it has bytes.
const ID_CHARACTERS_MAX: usize = 128;
const TEXT_BYTES_MAX: usize = 40_000;
const FIELD_BYTES_MAX: usize = 256;

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A short message.
    Sms,
    /// A call set-up.
    Call,
    /// A subscriber's answer to a port: always left to Python, which writes the wills that it may hold.
    Reply,
}

/// Why an event is sent; `Unstated` where it does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Purpose {
    Unstated,
    Personal,
    Service,
    Commercial,
    Public,
    Emergency,
}

/// How many purposes there are, `Unstated` among them.
pub const PURPOSES: usize = 6;

/// An event; the slices are its JSON's bytes between the quotes, without an escape but in `text`. Empty is absent.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Event<'a> {
    pub kind: Kind,
    pub id: &'a [u8],
    /// The integer as it is written.
    pub time: &'a [u8],
    pub to: &'a [u8],
    pub from: &'a [u8],
    pub sender: &'a [u8],
    pub category: &'a [u8],
    pub text: &'a [u8],
    /// Whether `text` holds escapes, each of which `unescape` knows.
    pub text_escaped: bool,
    pub campaign: &'a [u8],
    pub region: &'a [u8],
    pub origin: &'a [u8],
    pub presented: &'a [u8],
    pub verstat: &'a [u8],
    pub purpose: Purpose,
    pub internet: bool,
    pub platform: bool,
}

pub(crate) enum Value<'a> {
    Text(&'a [u8]),
    /// A text with escapes that are plain.
    Escaped(&'a [u8]),
    /// A plain integer, at most sixteen digits.
    Integer(&'a [u8]),
    Bool(bool),
    Null,
}

/// What a value is and where it stands, in one word: what takes more goes through memory, and waits there to be put
/// together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot(NonZeroU64);

impl Spot {
    pub(crate) const NULL: Self = Self::new(Self::NULL_KIND, 0, 0);
    const NULL_KIND: u64 = 1;
    const FALSE: u64 = 2;
    const TRUE: u64 = 3;
    const INTEGER: u64 = 4;
    const TEXT: u64 = 5;
    const ESCAPED: u64 = 6;

    const KIND_BITS: u32 = 8;
    const LENGTH_BITS: u32 = 28;

    #[inline]
    const fn new(kind: u64, begin: usize, length: usize) -> Self {
        const { assert!(RECORD_BYTES_MAX < 1 << Self::LENGTH_BITS) };
        let word = kind | (length as u64) << Self::KIND_BITS | (begin as u64) << (Self::KIND_BITS + Self::LENGTH_BITS);
        Self(NonZeroU64::new(word).expect("every kind is more than nothing"))
    }

    #[inline]
    const fn kind(self) -> u64 {
        self.0.get() & ((1 << Self::KIND_BITS) - 1)
    }

    /// Whether it is a text with escapes.
    #[inline]
    pub(crate) const fn is_escaped(self) -> bool {
        self.kind() == Self::ESCAPED
    }

    /// The value, among the bytes that it was found in.
    #[inline]
    pub(crate) fn value(self, bytes: &[u8]) -> Value<'_> {
        let word = self.0.get();
        let begin = (word >> (Self::KIND_BITS + Self::LENGTH_BITS)) as usize;
        let length = (word >> Self::KIND_BITS) as usize & ((1 << Self::LENGTH_BITS) - 1);
        let part = &bytes[begin..begin + length];
        match self.kind() {
            Self::TEXT => Value::Text(part),
            Self::ESCAPED => Value::Escaped(part),
            Self::INTEGER => Value::Integer(part),
            Self::NULL_KIND => Value::Null,
            kind => Value::Bool(kind == Self::TRUE),
        }
    }
}

/// Where each field stands among the values of an event.
mod at {
    pub const KIND: usize = 0;
    pub const ID: usize = 1;
    pub const TIME: usize = 2;
    pub const TO: usize = 3;
    pub const SENDER: usize = 4;
    pub const FROM: usize = 5;
    pub const PURPOSE: usize = 6;
    pub const CATEGORY: usize = 7;
    pub const TEXT: usize = 8;
    pub const CAMPAIGN: usize = 9;
    pub const REGION: usize = 10;
    pub const NETWORK: usize = 11;
    pub const ORIGIN: usize = 12;
    pub const PLATFORM: usize = 13;
    pub const PRESENTED: usize = 14;
    pub const VERSTAT: usize = 15;
    pub const COUNT: usize = 16;
}

/// What reading events leaves for the next one: which fields followed which, since most events come from few writers, and
/// room for marks.
#[derive(Debug)]
pub struct Habit {
    /// By field, the two that followed it last; the last row is for the first field of all.
    after: [[u8; 2]; at::COUNT + 1],
    marks: Vec<u64>,
}

impl Default for Habit {
    fn default() -> Self {
        Self { after: [[0; 2]; at::COUNT + 1], marks: Vec::new() }
    }
}

/// A field's name as JSON writes it, with its quotes and its colon, what masks that out of sixteen bytes, and its length.
const NAMES: [(u128, u128, usize); at::COUNT] = {
    let names: [&[u8]; at::COUNT] = [
        b"kind",
        b"id",
        b"time",
        b"to",
        b"sender",
        b"from",
        b"purpose",
        b"category",
        b"text",
        b"campaign",
        b"region",
        b"network",
        b"origin",
        b"platform",
        b"presented",
        b"verstat",
    ];
    let mut all = [(0, 0, 0); at::COUNT];
    let mut place = 0;
    while place < at::COUNT {
        let name = names[place];
        let mut word = b'"' as u128;
        let mut letter = 0;
        while letter < name.len() {
            word |= (name[letter] as u128) << (8 * (letter + 1));
            letter += 1;
        }
        word |= (b'"' as u128) << (8 * (name.len() + 1)) | (b':' as u128) << (8 * (name.len() + 2));
        all[place] = (word, u128::MAX >> (128 - 8 * (name.len() + 3)), name.len() + 3);
        place += 1;
    }
    all
};

/// Reads an event; `None` leaves it to Python. Linear, some 100 ns for 300 bytes.
pub fn event<'a>(bytes: &'a [u8], habit: &mut Habit) -> Option<Event<'a>> {
    if bytes.len() > RECORD_BYTES_MAX || simdutf8::basic::from_utf8(bytes).is_err() {
        return None;
    }
    let Habit { after, marks } = habit;
    mark(bytes, marks);
    let mut values = [Spot::NULL; at::COUNT];
    let mut seen = 0u32;
    let mut reader = Reader { bytes, marks, at: 0 };
    reader.space();
    reader.take(b'{')?;
    let mut before = at::COUNT;
    loop {
        let [first, second] = after[before];
        let field = match reader.expected(first).or_else(|| reader.expected(second)) {
            Some(field) => Some(field),
            None => {
                reader.space();
                let name = reader.name()?;
                reader.space();
                reader.take(b':')?;
                let field = field(name);
                if let Some(field) = field {
                    after[before] = [field as u8, first];
                }
                field
            }
        };
        reader.space();
        let value = reader.value()?;
        match field {
            Some(field) => {
                if seen & 1 << field != 0 {
                    return None;
                }
                seen |= 1 << field;
                values[field] = value;
                before = field;
            }
            // What nobody knows may stand twice, and be any plain value.
            None => {
                if value.is_escaped() {
                    return None;
                }
            }
        }
        reader.space();
        match reader.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    reader.space();
    if reader.at != bytes.len() {
        return None;
    }
    of_values(bytes, &values)
}

#[inline]
fn field(name: &[u8]) -> Option<usize> {
    match name {
        b"kind" => Some(at::KIND),
        b"id" => Some(at::ID),
        b"time" => Some(at::TIME),
        b"to" => Some(at::TO),
        b"sender" => Some(at::SENDER),
        b"from" => Some(at::FROM),
        b"purpose" => Some(at::PURPOSE),
        b"category" => Some(at::CATEGORY),
        b"text" => Some(at::TEXT),
        b"campaign" => Some(at::CAMPAIGN),
        b"region" => Some(at::REGION),
        b"network" => Some(at::NETWORK),
        b"origin" => Some(at::ORIGIN),
        b"platform" => Some(at::PLATFORM),
        b"presented" => Some(at::PRESENTED),
        b"verstat" => Some(at::VERSTAT),
        _ => None,
    }
}

fn of_values<'a>(bytes: &'a [u8], values: &[Spot; at::COUNT]) -> Option<Event<'a>> {
    let value = |field: usize| values[field].value(bytes);
    let kind = match value(at::KIND) {
        Value::Text(b"sms") => Kind::Sms,
        Value::Text(b"call") => Kind::Call,
        Value::Text(b"reply") => Kind::Reply,
        _ => return None,
    };
    let mut event = Event {
        kind,
        id: required(value(at::ID))?,
        time: time(value(at::TIME))?,
        to: required(value(at::TO))?,
        from: optional(value(at::FROM))?,
        origin: optional(value(at::ORIGIN))?,
        sender: b"",
        category: b"",
        text: b"",
        text_escaped: false,
        campaign: b"",
        region: b"",
        presented: b"",
        verstat: b"",
        purpose: Purpose::Unstated,
        internet: false,
        platform: false,
    };
    if event.id.len() > ID_CHARACTERS_MAX && characters(event.id) > ID_CHARACTERS_MAX {
        return None;
    }
    // A field of another kind's events is unknown to this kind's: whatever it holds is ignored, but for escapes, which
    // would have to be looked at.
    match kind {
        Kind::Reply => return Some(event),
        Kind::Sms => {
            ignored(values[at::PLATFORM])?;
            ignored(values[at::PRESENTED])?;
            ignored(values[at::VERSTAT])?;
            (event.text, event.text_escaped) = match value(at::TEXT) {
                Value::Text(text) => (text, false),
                Value::Escaped(text) => (text, true),
                Value::Null => (&b""[..], false),
                _ => return None,
            };
            if event.text.len() > TEXT_BYTES_MAX {
                return None;
            }
            event.campaign = optional(value(at::CAMPAIGN))?;
        }
        Kind::Call => {
            ignored(values[at::CAMPAIGN])?;
            ignored(values[at::TEXT])?;
            event.presented = optional(value(at::PRESENTED))?;
            event.verstat = optional(value(at::VERSTAT))?;
            event.platform = match value(at::PLATFORM) {
                Value::Bool(platform) => platform,
                Value::Null | Value::Text(b"") => false,
                _ => return None,
            };
        }
    }
    event.sender = optional(value(at::SENDER))?;
    event.category = optional(value(at::CATEGORY))?;
    event.region = optional(value(at::REGION))?;
    event.internet = match value(at::NETWORK) {
        Value::Null | Value::Text(b"" | b"telecom") => false,
        Value::Text(b"internet") => true,
        _ => return None,
    };
    event.purpose = match value(at::PURPOSE) {
        Value::Null | Value::Text(b"") => Purpose::Unstated,
        Value::Text(b"personal") => Purpose::Personal,
        Value::Text(b"service") => Purpose::Service,
        Value::Text(b"commercial") => Purpose::Commercial,
        Value::Text(b"public") => Purpose::Public,
        Value::Text(b"emergency") => Purpose::Emergency,
        _ => return None,
    };
    Some(event)
}

#[inline]
fn required(value: Value<'_>) -> Option<&[u8]> {
    optional(value).filter(|text| !text.is_empty())
}

#[inline]
fn optional(value: Value<'_>) -> Option<&[u8]> {
    match value {
        Value::Text(text) if text.len() <= FIELD_BYTES_MAX => Some(text),
        Value::Null => Some(b""),
        _ => None,
    }
}

#[inline]
fn ignored(value: Spot) -> Option<()> {
    if value.is_escaped() { None } else { Some(()) }
}

fn time(value: Value<'_>) -> Option<&[u8]> {
    let Value::Integer(digits) = value else { return None };
    let time = digits.iter().fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    (time <= TIME_MAX).then_some(digits)
}

fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

pub(crate) struct Reader<'a, 'm> {
    pub(crate) bytes: &'a [u8],
    /// What `mark` says of them.
    pub(crate) marks: &'m [u64],
    pub(crate) at: usize,
}

impl<'a> Reader<'a, '_> {
    /// Goes on to the next quote, backslash or control character, and behind it; which one it is.
    #[inline]
    fn next_mark(&mut self) -> Option<u8> {
        let mut place = self.at / 64;
        let mut marks = self.marks.get(place)? & u64::MAX << (self.at % 64);
        while marks == 0 {
            place += 1;
            marks = *self.marks.get(place)?;
        }
        self.at = 64 * place + marks.trailing_zeros() as usize;
        self.next()
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    pub(crate) fn take(&mut self, wanted: u8) -> Option<()> {
        if self.next()? == wanted { Some(()) } else { None }
    }

    #[inline]
    pub(crate) fn space(&mut self) {
        // One comparison where there is none, as there mostly is.
        while let Some(byte @ 0..=b' ') = self.bytes.get(self.at)
            && matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
        {
            self.at += 1;
        }
    }

    /// The field whose name is expected here, if it is here and a colon follows at once.
    #[inline]
    fn expected(&mut self, field: u8) -> Option<usize> {
        let (name, mask, length) = NAMES[usize::from(field) % at::COUNT];
        let word = u128::from_le_bytes(*self.bytes.get(self.at..)?.first_chunk()?);
        if word & mask != name {
            return None;
        }
        self.at += length;
        Some(usize::from(field))
    }

    /// A name without escapes.
    #[inline]
    pub(crate) fn name(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let begin = self.at;
        if self.next_mark()? == b'"' { Some(&self.bytes[begin..self.at - 1]) } else { None }
    }

    #[inline]
    pub(crate) fn value(&mut self) -> Option<Spot> {
        match self.bytes.get(self.at)? {
            b'"' => {
                self.at += 1;
                self.text()
            }
            b'0'..=b'9' => self.integer(),
            b'n' => self.word(b"null", Spot::NULL),
            b't' => self.word(b"true", Spot::new(Spot::TRUE, 0, 0)),
            b'f' => self.word(b"false", Spot::new(Spot::FALSE, 0, 0)),
            _ => None,
        }
    }

    #[inline]
    fn word(&mut self, word: &[u8], value: Spot) -> Option<Spot> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end)? != word {
            return None;
        }
        self.at = end;
        Some(value)
    }

    #[inline]
    fn integer(&mut self) -> Option<Spot> {
        let begin = self.at;
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        let digits = &self.bytes[begin..self.at];
        let plain = digits.len() <= 16 && (digits[0] != b'0' || digits.len() == 1);
        // A point or an exponent would follow here, and is not what the caller takes for an end.
        if plain { Some(Spot::new(Spot::INTEGER, begin, digits.len())) } else { None }
    }

    #[inline]
    fn text(&mut self) -> Option<Spot> {
        let begin = self.at;
        let mut kind = Spot::TEXT;
        loop {
            match self.next_mark()? {
                b'"' => return Some(Spot::new(kind, begin, self.at - 1 - begin)),
                b'\\' => {
                    kind = Spot::ESCAPED;
                    match self.next()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let digits = self.bytes.get(self.at..self.at + 4)?;
                            plain_character(digits)?;
                            self.at += 4;
                        }
                        _ => return None,
                    }
                }
                _ => return None, // a control character
            }
        }
    }
}

/// Marks quotes, backslashes and control characters, a bit for each byte: what ends a text or stands for something else
/// in it. One pass over an event, after which the end of each text is a look at a word or two (Langdale and Lemire 2019,
/// *Parsing Gigabytes of JSON per Second*).
pub(crate) fn mark(bytes: &[u8], marks: &mut Vec<u64>) {
    marks.clear();
    let (chunks, rest) = bytes.as_chunks();
    marks.extend(chunks.iter().map(marks_of));
    if !rest.is_empty() {
        let mut padded = [b' '; 64];
        padded[..rest.len()].copy_from_slice(rest);
        marks.push(marks_of(&padded));
    }
}

/// The marks of 64 bytes, the first lowest.
#[inline]
fn marks_of(bytes: &[u8; 64]) -> u64 {
    // SAFETY: SSE2 is part of x86-64, and what is called does nothing else that is unsafe.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    return unsafe { marks_by_sse2(bytes) };
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    marks_by_words(bytes)
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "sse2")]
#[inline]
fn marks_by_sse2(bytes: &[u8; 64]) -> u64 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };
    let (quote, slash, control) = (_mm_set1_epi8(b'"' as i8), _mm_set1_epi8(b'\\' as i8), _mm_set1_epi8(0x1f));
    bytes.as_chunks::<16>().0.iter().rev().fold(0, |marks, sixteen| {
        let word = u128::from_le_bytes(*sixteen);
        let word = _mm_set_epi64x((word >> 64) as i64, word as i64);
        let of_text = _mm_or_si128(_mm_cmpeq_epi8(word, quote), _mm_cmpeq_epi8(word, slash));
        let found = _mm_or_si128(of_text, _mm_cmpeq_epi8(_mm_min_epu8(word, control), word));
        marks << 16 | _mm_movemask_epi8(found) as u64
    })
}

/// The same, eight bytes at a time: where a byte is zero, its seven lower bits carry nothing into the highest (Warren,
/// *Hacker's Delight*, 6-1).
#[cfg(any(test, not(all(target_arch = "x86_64", not(miri)))))]
fn marks_by_words(bytes: &[u8; 64]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const LOWS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let zeros = |word: u64| !(((word & LOWS) + LOWS) | word | LOWS);
    bytes.as_chunks::<8>().0.iter().rev().fold(0, |marks, eight| {
        let word = u64::from_le_bytes(*eight);
        let found =
            zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64)) | zeros(word & (ONES * 0xe0));
        // The highest bit of each byte, moved together by a multiplication.
        marks << 8 | (found >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}

/// The character that four hexadecimal digits name, unless it is half of a pair.
#[inline]
fn plain_character(digits: &[u8]) -> Option<char> {
    let mut code = 0;
    for digit in digits {
        code = code << 4 | char::from(*digit).to_digit(16)?;
    }
    char::from_u32(code)
}

/// A text with its escapes replaced; `event` has seen to it that all of them are known.
pub fn unescape(text: &[u8], into: &mut Vec<u8>) {
    into.clear();
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        into.extend_from_slice(&rest[..at]);
        let escape = rest[at + 1];
        rest = &rest[at + 2..];
        into.push(match escape {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let character = plain_character(&rest[..4]).expect("seen by `event`");
                rest = &rest[4..];
                into.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            plain => plain,
        });
    }
    into.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bytes: &[u8]) -> Option<Event<'_>> {
        super::event(bytes, &mut Habit::default())
    }

    const SMS: &str = r#"{"kind":"sms","id":"01JD","time":1795500000000,"sender":"ORG-1042","from":"1069012345","to":"+8613800138000","purpose":"commercial","category":"finance","text":"【某某银行】","campaign":null,"region":null,"network":"telecom","origin":"smsc-3"}"#;

    const CALL: &str = r#"{"id":"01JE","kind":"call","to":"+8613900139000","time":1795500000000,"sender":"ORG-7","from":"+861087654321","platform":true,"purpose":"commercial","verstat":"TN-Validation-Passed"}"#;

    #[test]
    fn an_event_is_read_whatever_the_order_and_the_space() {
        for line in [SMS.to_owned(), SMS.replace(':', " :\t").replace(',', " ,\n"), format!(" {SMS}\r\n")] {
            let event = event(line.as_bytes()).expect("plain");
            assert_eq!((event.kind, event.id, event.time), (Kind::Sms, &b"01JD"[..], &b"1795500000000"[..]));
            assert_eq!((event.to, event.from), (&b"+8613800138000"[..], &b"1069012345"[..]));
            assert_eq!((event.purpose, event.campaign, event.internet), (Purpose::Commercial, &b""[..], false));
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_left() {
        for (old, new) in [
            (r#""id":"01JD""#, r#""id":"01JD","id":"x""#),
            (r#""id":"01JD""#, r#""id":"""#),
            (r#""id":"01JD""#, r#""id":"a\nb""#),
            (r#""id":"01JD""#, r#""id":"01JD","more":{}"#),
            (r#""id":"01JD""#, r#""id":"01JD","more":1.5"#),
            (r#""id":"01JD""#, r#""id":"01JD","more":-1"#),
            ("1795500000000", "17955000000000000"),
            ("1795500000000", "1795500000000.0"),
            ("1795500000000", "1795500000000e0"),
            ("1795500000000", "01"),
            ("1795500000000", "9007199254740992"),
            ("telecom", "carrier"),
            ("\"commercial\"", "7"),
            ("\"sms\"", "\"mms\""),
            ("【", "\\ud800"),
            ("【", "\u{1}"),
            ("}", "},"),
            ("}", ",}"),
        ] {
            let line = SMS.replace(old, new);
            assert_ne!(line, SMS, "{old}");
            assert!(event(line.as_bytes()).is_none(), "{line}");
        }
        assert!(event(b"\xff").is_none());
        assert!(event(&SMS.as_bytes()[..SMS.len() - 1]).is_none());
    }

    #[test]
    fn every_byte_is_marked_that_a_text_cannot_hold_as_it_is() {
        let mut marks = Vec::new();
        for length in [1, 7, 8, 63, 64, 65, 130] {
            for turn in 0..=u8::MAX {
                let bytes: Vec<u8> = (0..length).map(|at: u8| at.wrapping_mul(37).wrapping_add(turn)).collect();
                mark(&bytes, &mut marks);
                for (at, byte) in bytes.iter().enumerate() {
                    let marked = marks[at / 64] >> (at % 64) & 1 == 1;
                    assert_eq!(marked, matches!(byte, b'"' | b'\\' | 0..0x20), "{byte} at {at} of {length}");
                }
                let (chunks, _) = bytes.as_chunks();
                assert!(chunks.iter().zip(&marks).all(|(chunk, found)| marks_by_words(chunk) == *found));
            }
        }
    }

    #[test]
    fn what_was_read_before_changes_nothing() {
        let mut habit = Habit::default();
        for line in [SMS, CALL, SMS, CALL, SMS] {
            let known = format!("{:?}", super::event(line.as_bytes(), &mut habit).expect("plain"));
            assert_eq!(known, format!("{:?}", event(line.as_bytes()).expect("plain")));
        }
    }

    #[test]
    fn escapes_in_a_text_are_replaced() {
        let mut text = Vec::new();
        unescape(r#"a\"\\\/\b\f\n\r\t\u9000b"#.as_bytes(), &mut text);
        assert_eq!(text, "a\"\\/\u{8}\u{c}\n\r\t退b".as_bytes());
    }
}
