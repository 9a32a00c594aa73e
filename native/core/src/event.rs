//! Events from JSON (DESIGN section 4).
//!
//! Null and the empty string are read as absent, as the contract has it. What is not certain is `None`, and
//! falls back to Python (`json`).

use crate::json::{Fields, ObjectReader, TIME_MAX, Value, Values, integer};
use crate::numbering::Side;

// An event that exceeds these falls back to Python, which finds it undecodable; Python counts characters, of which no text
// has more than bytes.
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
    /// A subscriber's answer to a port: always a fallback to Python, which writes the
    /// expressions that it may hold.
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

impl Event<'_> {
    /// How the number is read that it comes from.
    pub fn side(&self) -> Side {
        match self.kind {
            _ if self.internet => Side::Internet,
            Kind::Call => Side::Call,
            _ => Side::Sms,
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
}

static FIELDS: Fields = Fields::new(&[
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
]);

/// Reads an event; `None` is a fallback to Python. Linear, some 100 ns for 300 bytes.
pub fn read<'a>(bytes: &'a [u8], reader: &mut ObjectReader) -> Option<Event<'a>> {
    of_values(bytes, &reader.read(bytes, &FIELDS)?)
}

fn of_values<'a>(bytes: &'a [u8], values: &Values) -> Option<Event<'a>> {
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
            ignored(value(at::PLATFORM))?;
            ignored(value(at::PRESENTED))?;
            ignored(value(at::VERSTAT))?;
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
            ignored(value(at::CAMPAIGN))?;
            ignored(value(at::TEXT))?;
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
fn ignored(value: Value<'_>) -> Option<()> {
    if let Value::Escaped(_) = value { None } else { Some(()) }
}

fn time(value: Value<'_>) -> Option<&[u8]> {
    let Value::Integer(digits) = value else { return None };
    (integer(digits) <= TIME_MAX).then_some(digits)
}

fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bytes: &[u8]) -> Option<Event<'_>> {
        super::read(bytes, &mut ObjectReader::default())
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
    fn what_could_be_read_in_two_ways_is_not_read() {
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
    fn what_was_read_before_changes_nothing() {
        let mut reader = ObjectReader::default();
        for line in [SMS, CALL, SMS, CALL, SMS] {
            let known = format!("{:?}", super::read(line.as_bytes(), &mut reader).expect("plain"));
            assert_eq!(known, format!("{:?}", event(line.as_bytes()).expect("plain")));
        }
    }
}
