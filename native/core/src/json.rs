//! Events from JSON (DESIGN section 4): what is plain, and nothing else.
//!
//! Promises that what is read here the Python core reads too, with the same meaning. So everything that is seldom and
//! could be read in two ways is `None` and goes to Python, whose answer and whose errors then stand: a name twice,
//! escapes outside of a text, numbers that are no plain integers, values within values, bytes that are not UTF-8.
//! Null and the empty string are read as absent, as the contract has it.

/// A record is at most 1 MiB on the wire.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// The largest integer that every JSON reader holds exactly (RFC 8259, section 6).
pub(crate) const TIME_MAX: u64 = (1 << 53) - 1;
const ID_CHARACTERS_MAX: usize = 128;

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

#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Text(&'a [u8]),
    /// A text with escapes that are plain.
    Escaped(&'a [u8]),
    /// A plain integer, at most sixteen digits.
    Integer(&'a [u8]),
    Bool(bool),
    Null,
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

/// The order in which the fields of an event are expected: that of the event before, since most come from few writers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Order([usize; at::COUNT]);

/// A field's name as JSON writes it, with its quotes and its colon, and what masks that out of sixteen bytes.
const NAMES: [(u128, u128); at::COUNT] = {
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
    let mut all = [(0, 0); at::COUNT];
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
        all[place] = (word, u128::MAX >> (128 - 8 * (name.len() + 3)));
        place += 1;
    }
    all
};

/// Reads an event; `None` leaves it to Python. Linear, some 100 ns for 300 bytes.
pub fn event<'a>(bytes: &'a [u8], order: &mut Order) -> Option<Event<'a>> {
    if bytes.len() > RECORD_BYTES_MAX || simdutf8::basic::from_utf8(bytes).is_err() {
        return None;
    }
    let mut values = [Value::Null; at::COUNT];
    let mut seen = 0u32;
    let mut reader = Reader { bytes, at: 0 };
    reader.space();
    reader.take(b'{')?;
    for turn in 0.. {
        let field = match reader.expected(order.0[turn % at::COUNT]) {
            Some(field) => Some(field),
            None => {
                reader.space();
                let name = reader.name()?;
                reader.space();
                reader.take(b':')?;
                reader.space();
                let field = field(name);
                if let Some(field) = field {
                    order.0[turn % at::COUNT] = field;
                }
                field
            }
        };
        let value = reader.value()?;
        match field {
            Some(field) => {
                if seen & 1 << field != 0 {
                    return None;
                }
                seen |= 1 << field;
                values[field] = value;
            }
            // What nobody knows may stand twice, and be any plain value.
            None => {
                if matches!(value, Value::Escaped(_)) {
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
    of_values(&values)
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

fn of_values<'a>(values: &[Value<'a>; at::COUNT]) -> Option<Event<'a>> {
    let kind = match values[at::KIND] {
        Value::Text(b"sms") => Kind::Sms,
        Value::Text(b"call") => Kind::Call,
        Value::Text(b"reply") => Kind::Reply,
        _ => return None,
    };
    let mut event = Event {
        kind,
        id: required(values[at::ID])?,
        time: time(values[at::TIME])?,
        to: required(values[at::TO])?,
        from: optional(values[at::FROM])?,
        origin: optional(values[at::ORIGIN])?,
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
            ignored(&values[at::PLATFORM])?;
            ignored(&values[at::PRESENTED])?;
            ignored(&values[at::VERSTAT])?;
            match values[at::TEXT] {
                Value::Escaped(text) => (event.text, event.text_escaped) = (text, true),
                value => event.text = optional(value)?,
            }
            event.campaign = optional(values[at::CAMPAIGN])?;
        }
        Kind::Call => {
            ignored(&values[at::CAMPAIGN])?;
            ignored(&values[at::TEXT])?;
            event.presented = optional(values[at::PRESENTED])?;
            event.verstat = optional(values[at::VERSTAT])?;
            event.platform = match values[at::PLATFORM] {
                Value::Bool(platform) => platform,
                Value::Null | Value::Text(b"") => false,
                _ => return None,
            };
        }
    }
    event.sender = optional(values[at::SENDER])?;
    event.category = optional(values[at::CATEGORY])?;
    event.region = optional(values[at::REGION])?;
    event.internet = match values[at::NETWORK] {
        Value::Null | Value::Text(b"" | b"telecom") => false,
        Value::Text(b"internet") => true,
        _ => return None,
    };
    event.purpose = match values[at::PURPOSE] {
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
    match value {
        Value::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

#[inline]
fn optional(value: Value<'_>) -> Option<&[u8]> {
    match value {
        Value::Text(text) => Some(text),
        Value::Null => Some(b""),
        _ => None,
    }
}

#[inline]
fn ignored(value: &Value<'_>) -> Option<()> {
    if matches!(value, Value::Escaped(_)) { None } else { Some(()) }
}

fn time(value: Value<'_>) -> Option<&[u8]> {
    let Value::Integer(digits) = value else { return None };
    let time = digits.iter().fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    (time <= TIME_MAX).then_some(digits)
}

fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

pub(crate) struct Reader<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Reader<'a> {
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
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// The field whose name is expected here, if it is here and a value follows at once.
    #[inline]
    fn expected(&mut self, field: usize) -> Option<usize> {
        let (name, mask) = NAMES[field];
        let word = u128::from_le_bytes(*self.bytes.get(self.at..)?.first_chunk()?);
        if word & mask != name {
            return None;
        }
        self.at += mask.count_ones() as usize / 8;
        // A value may still be set off by space.
        self.space();
        Some(field)
    }

    /// A name without escapes.
    #[inline]
    pub(crate) fn name(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let begin = self.at;
        // Names are short: byte by byte is quicker than by words.
        loop {
            match self.next()? {
                b'"' => return Some(&self.bytes[begin..self.at - 1]),
                b'\\' | 0..0x20 => return None,
                _ => {}
            }
        }
    }

    #[inline]
    pub(crate) fn value(&mut self) -> Option<Value<'a>> {
        match self.bytes.get(self.at)? {
            b'"' => {
                self.at += 1;
                self.text()
            }
            b'0'..=b'9' => self.integer(),
            b'n' => self.word(b"null", Value::Null),
            b't' => self.word(b"true", Value::Bool(true)),
            b'f' => self.word(b"false", Value::Bool(false)),
            _ => None,
        }
    }

    #[inline]
    fn word(&mut self, word: &[u8], value: Value<'a>) -> Option<Value<'a>> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end)? != word {
            return None;
        }
        self.at = end;
        Some(value)
    }

    #[inline]
    fn integer(&mut self) -> Option<Value<'a>> {
        let begin = self.at;
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        let digits = &self.bytes[begin..self.at];
        let plain = digits.len() <= 16 && (digits[0] != b'0' || digits.len() == 1);
        // A point or an exponent would follow here, and is not what the caller takes for an end.
        if plain { Some(Value::Integer(digits)) } else { None }
    }

    #[inline]
    fn text(&mut self) -> Option<Value<'a>> {
        let begin = self.at;
        let mut escaped = false;
        loop {
            self.at += special(&self.bytes[self.at..])?;
            match self.next()? {
                b'"' => {
                    let text = &self.bytes[begin..self.at - 1];
                    return Some(if escaped { Value::Escaped(text) } else { Value::Text(text) });
                }
                b'\\' => {
                    escaped = true;
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

/// Where the first quote, backslash or control character stands. Eight bytes at a time (the test for a byte below
/// another by subtraction and masks is folklore; Warren, *Hacker's Delight*, 6-1).
#[inline]
fn special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
        let quote = word ^ ONES * b'"' as u64;
        let slash = word ^ ONES * b'\\' as u64;
        // Each term has the high bit of a byte set where that byte is found; bytes above a find may be set wrongly, the
        // lowest never is.
        let found = (quote.wrapping_sub(ONES) & !quote
            | slash.wrapping_sub(ONES) & !slash
            | word.wrapping_sub(ONES * 0x20) & !word)
            & HIGHS;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = &bytes[at..];
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).map(|place| at + place)
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
        super::event(bytes, &mut Order::default())
    }

    const SMS: &str = r#"{"kind":"sms","id":"01JD","time":1795500000000,"sender":"ORG-1042","from":"1069012345","to":"+8613800138000","purpose":"commercial","category":"finance","text":"【某某银行】","campaign":null,"region":null,"network":"telecom","origin":"smsc-3"}"#;

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
    fn the_first_special_byte_is_found_wherever_it_stands() {
        for special_byte in [b'"', b'\\', 0, 0x1f] {
            for length in 1..40 {
                for at in 0..length {
                    let mut bytes = vec![b'!'; length];
                    if at > 0 {
                        bytes[at - 1] = 0xff;
                    }
                    if at > 1 {
                        bytes[at - 2] = 0x80;
                    }
                    bytes[at] = special_byte;
                    assert_eq!(special(&bytes), Some(at));
                }
            }
        }
        assert_eq!(special("退订#[]!~".repeat(9).as_bytes()), None);
    }

    #[test]
    fn escapes_in_a_text_are_replaced() {
        let mut text = Vec::new();
        unescape(r#"a\"\\\/\b\f\n\r\t\u9000b"#.as_bytes(), &mut text);
        assert_eq!(text, "a\"\\/\u{8}\u{c}\n\r\t退b".as_bytes());
    }
}
