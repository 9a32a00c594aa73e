//! Expressions from record batches of `registry.expressions`, as columns: the subscriber and the content of each.
//!
//! Promises that what stands in the columns Python's decoder reads too, with the same meaning, under the key that
//! Python gives it. What is rare and could be read in two ways falls back to Python, with the row before which it
//! stands, so that Python can insert its own reading there: the order of receipt is what counts. What an expression does
//! is not known here (`bloom.wills`).

use crate::batch::{self, Inflater, Record, Unreadable};
use crate::json::{Fields, ObjectReader, TIME_MAX, Value, Values, integer};
use crate::numbers;
use hashbrown::HashMap;

/// Record batches of one partition to be read, and how.
#[derive(Clone, Copy, Debug)]
pub struct FetchedBatches<'a> {
    /// The record batches, back to back.
    pub raw: &'a [u8],
    /// Records before this offset are skipped.
    pub from_offset: i64,
    /// The partition that they are of.
    pub partition: u32,
    /// The topic's partition count.
    pub partitions: u32,
    /// Whether a misplaced expression (its subscriber belongs to another partition) falls back to Python; else it is
    /// counted, and its row stays.
    pub reject_misplaced: bool,
}

/// What an expression says, without its subscriber. An empty name is `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// By `bloom.wills.CHANNELS`.
    pub channel: u8,
    /// By `bloom.wills.VERBS`.
    pub verb: u8,
    /// The sender.
    pub sender: Box<[u8]>,
    /// The category.
    pub category: Box<[u8]>,
}

/// A record for Python to read.
#[derive(Debug)]
pub struct Fallback {
    /// The row before which it stands.
    pub row: usize,
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Option<Box<[u8]>>,
    /// Its value.
    pub value: Option<Box<[u8]>>,
}

/// What was read, in the order of offsets.
#[derive(Debug, Default)]
pub struct Columns {
    /// The subscriber's number, row by row.
    pub numbers: Vec<u64>,
    /// The place of the row's content among `contents`, row by row.
    pub content_ids: Vec<u32>,
    /// Every content that occurs, once.
    pub contents: Vec<Content>,
    /// What falls back to Python and is in no row.
    pub fallbacks: Vec<Fallback>,
    /// Rows whose subscriber belongs to another partition.
    pub misplaced: usize,
}

/// Reads expressions. Keeps nothing from one call to the next but buffers.
#[derive(Debug, Default)]
pub struct ExpressionReader {
    inflater: Inflater,
    records: Vec<Record>,
    rows: Rows,
}

/// Makes rows of records.
#[derive(Debug, Default)]
struct Rows {
    /// a content's bytes → its place among the contents of this call
    contents: HashMap<Box<[u8]>, u32>,
    /// a buffer for the bytes of one
    key: Vec<u8>,
    reader: ObjectReader,
}

impl ExpressionReader {
    /// Reads the batches: all of them, or nothing where one of them is not read here. Some 120 ns a record.
    pub fn read(&mut self, fetched: &FetchedBatches<'_>) -> Result<Columns, Unreadable> {
        let columns = self.read_all(fetched);
        self.inflater.release();
        columns
    }

    fn read_all(&mut self, fetched: &FetchedBatches<'_>) -> Result<Columns, Unreadable> {
        self.rows.contents.clear();
        let mut columns = Columns::default();
        let mut rest = fetched.raw;
        loop {
            let (raw, after) = batch::first_of(rest)?;
            rest = after;
            let header = batch::header(raw)?;
            let bytes = self.inflater.records_of(raw, header.codec)?;
            batch::find(&header, bytes, &mut self.records)?;
            for record in self.records.iter().filter(|record| record.offset >= fetched.from_offset) {
                self.rows.take(fetched, bytes, record, &mut columns);
            }
            if rest.is_empty() {
                return Ok(columns);
            }
        }
    }
}

impl Rows {
    fn take(&mut self, fetched: &FetchedBatches<'_>, bytes: &[u8], record: &Record, columns: &mut Columns) {
        if self.row(fetched, bytes, record, columns).is_none() {
            let part = |span: &Option<std::ops::Range<usize>>| span.clone().map(|span| bytes[span].into());
            columns.fallbacks.push(Fallback {
                row: columns.numbers.len(),
                offset: record.offset,
                key: part(&record.key),
                value: part(&record.value),
            });
        }
    }

    /// Makes a row of a record; `None` is a fallback to Python.
    fn row(
        &mut self,
        fetched: &FetchedBatches<'_>,
        bytes: &[u8],
        record: &Record,
        columns: &mut Columns,
    ) -> Option<()> {
        let key = &bytes[record.key.clone()?];
        let value = &bytes[record.value.clone()?];
        let found = expression(value, &self.reader.read(value, &FIELDS)?)?;
        if !found.is_kept_under(key) {
            return None;
        }
        let number = numbers::parse(found.subscriber)?;
        let misplaced = numbers::partition_of(found.subscriber, fetched.partitions) != fetched.partition;
        if misplaced && fetched.reject_misplaced {
            return None;
        }
        // No text holds a zero byte without an escape, and none with escapes comes here: the bytes name one content only.
        self.key.clear();
        self.key.push(found.channel << 4 | found.verb);
        self.key.extend_from_slice(found.sender);
        self.key.push(0);
        self.key.extend_from_slice(found.category);
        let place = match self.contents.get(&self.key[..]) {
            Some(place) => *place,
            None => {
                let place = u32::try_from(columns.contents.len()).ok()?;
                self.contents.insert(self.key[..].into(), place);
                columns.contents.push(Content {
                    channel: found.channel,
                    verb: found.verb,
                    sender: found.sender.into(),
                    category: found.category.into(),
                });
                place
            }
        };
        columns.numbers.push(number);
        columns.content_ids.push(place);
        columns.misplaced += usize::from(misplaced);
        Some(())
    }
}

/// An expression as far as the fold needs it; its names are empty where they are `*`.
struct Expression<'a> {
    subscriber: &'a [u8],
    channel: u8,
    verb: u8,
    sender: &'a [u8],
    category: &'a [u8],
}

const CHANNELS: [&[u8]; 2] = [b"sms", b"call"];
const VERBS: [&[u8]; 3] = [b"refuse", b"consent", b"lift"];
const CONSENT: usize = 1;

impl Expression<'_> {
    /// Whether this is the expression's own key: `<subscriber>|<channel>|<sender or *>|<category or *>`.
    fn is_kept_under(&self, key: &[u8]) -> bool {
        let mut rest = key;
        let parts = [self.subscriber, CHANNELS[usize::from(self.channel)], any(self.sender), any(self.category)];
        for (place, part) in parts.into_iter().enumerate() {
            if place > 0 {
                match rest.strip_prefix(b"|") {
                    Some(after) => rest = after,
                    None => return false,
                }
            }
            match rest.strip_prefix(part) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        rest.is_empty()
    }
}

/// A name as keys write it.
fn any(name: &[u8]) -> &[u8] {
    if name.is_empty() { b"*" } else { name }
}

/// Where each field stands among the values of an expression.
mod at {
    pub const KIND: usize = 0;
    pub const SUBSCRIBER: usize = 1;
    pub const CHANNEL: usize = 2;
    pub const WILL: usize = 3;
    pub const TIME: usize = 4;
    pub const SOURCE: usize = 5;
    pub const SENDER: usize = 6;
    pub const CATEGORY: usize = 7;
    pub const EVIDENCE: usize = 8;
    pub const ACTOR: usize = 9;
    pub const EXPIRES: usize = 10;
}

static FIELDS: Fields = Fields::new(&[
    b"kind",
    b"subscriber",
    b"channel",
    b"will",
    b"time",
    b"source",
    b"sender",
    b"category",
    b"evidence",
    b"actor",
    b"expires",
]);

/// Reads an expression; `None` is a fallback to Python. None of its values may hold an escape.
fn expression<'a>(bytes: &'a [u8], values: &Values) -> Option<Expression<'a>> {
    let value = |field: usize| values[field].value(bytes);
    let one_of = |names: &[&[u8]], value: Value<'_>| {
        let Value::Text(text) = value else { return None };
        names.iter().position(|name| *name == text)
    };
    one_of(&[b"expression"], value(at::KIND))?;
    let Value::Text(subscriber) = value(at::SUBSCRIBER) else { return None };
    let Value::Integer(digits) = value(at::TIME) else { return None };
    if integer(digits) > TIME_MAX {
        return None;
    }
    let Value::Text(source) = value(at::SOURCE) else { return None };
    if source.is_empty() {
        return None;
    }
    for evidence in [value(at::EVIDENCE), value(at::ACTOR)] {
        name(evidence)?;
    }
    match value(at::EXPIRES) {
        Value::Null => {}
        Value::Integer(digits) if integer(digits) <= TIME_MAX => {}
        _ => return None,
    }
    let verb = one_of(&VERBS, value(at::WILL))?;
    let (sender, category) = (name(value(at::SENDER))?, name(value(at::CATEGORY))?);
    if verb == CONSENT && (sender.is_empty() || category.is_empty()) {
        return None;
    }
    let channel = one_of(&CHANNELS, value(at::CHANNEL))? as u8;
    Some(Expression { subscriber, channel, verb: verb as u8, sender, category })
}

/// A name that may be absent; absent, null, empty and `*` are the same.
fn name<'a>(value: Value<'a>) -> Option<&'a [u8]> {
    match value {
        Value::Text(b"*") | Value::Null => Some(b""),
        Value::Text(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Codec, Deflater, Writer};

    const REFUSAL: &str = r#"{"kind":"expression","subscriber":"+8613800138000","channel":"sms","will":"refuse","time":1795400000000,"source":"web-form","sender":"ORG-1","category":null}"#;
    const KEY: &str = "+8613800138000|sms|ORG-1|*";

    fn read(records: &[(&str, &str)], codec: Codec, partition: u32, reject_misplaced: bool) -> Columns {
        let mut writer = Writer::with_capacity(0);
        for (key, value) in records {
            writer.begin(key.as_bytes(), value.len());
            writer.put(value.as_bytes());
            writer.end();
        }
        let raw = writer.finish(0, &mut Deflater::new(codec, 1).expect("a level that zstd has"));
        let fetched = FetchedBatches { raw: &raw, from_offset: 0, partition, partitions: 12, reject_misplaced };
        ExpressionReader::default().read(&fetched).expect("a batch")
    }

    #[test]
    fn an_expression_is_a_row_whatever_the_order_and_the_space() {
        let other = r#"{"will":"consent","category":"finance","sender":"ORG-1","channel":"call","subscriber":"+8613800138000","evidence":"","more":7,"source":"x","time":0,"kind":"expression"}"#;
        let spaced = REFUSAL.replace(':', " :\t").replace(',', " ,\n");
        for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
            let records = [(KEY, REFUSAL), ("+8613800138000|call|ORG-1|finance", other), (KEY, &spaced)];
            let columns = read(&records, codec, 8, true);
            assert_eq!(columns.numbers, [8_613_800_138_000; 3]);
            assert_eq!(columns.content_ids, [0, 1, 0]);
            let contents: Vec<_> =
                columns.contents.iter().map(|of| (of.channel, of.verb, &*of.sender, &*of.category)).collect();
            assert_eq!(contents, [(0, 0, &b"ORG-1"[..], &b""[..]), (1, 1, b"ORG-1", b"finance")]);
            assert!(columns.fallbacks.is_empty() && columns.misplaced == 0);
        }
    }

    #[test]
    fn what_python_may_read_otherwise_falls_back_where_it_stands() {
        for (old, new) in [
            (r#""time":1795400000000"#, r#""time":1795400000000,"time":1"#),
            ("1795400000000", "1795400000000.0"),
            ("1795400000000", "9007199254740992"),
            ("\"web-form\"", "\"\""),
            ("web-form", "web\\u002dform"),
            ("\"web-form\"", "7"),
            ("refuse", "decline"),
            ("refuse", "consent"),
            ("\"sms\"", "\"mms\""),
            ("\"expression\"", "\"sender\""),
            ("+8613800138000", "+861380013800O"),
            ("null", "[]"),
            ("}", "},"),
        ] {
            let line = REFUSAL.replacen(old, new, 1);
            assert_ne!(line, REFUSAL, "{old}");
            let columns = read(&[(KEY, REFUSAL), (KEY, &line), (KEY, REFUSAL)], Codec::None, 8, false);
            assert_eq!(columns.numbers.len(), 2, "{line}");
            assert_eq!((columns.fallbacks[0].row, columns.fallbacks[0].offset), (1, 1), "{line}");
        }
    }

    #[test]
    fn a_key_that_is_not_the_expressions_own_falls_back() {
        for key in ["", "+8613800138000|sms|ORG-1", "+8613800138000|sms|ORG-1|*|", "+8613800138000|call|ORG-1|*", "|"] {
            assert_eq!(read(&[(key, REFUSAL)], Codec::None, 8, false).fallbacks.len(), 1, "{key}");
        }
    }

    #[test]
    fn one_of_another_partition_is_counted_or_falls_back() {
        let counted = read(&[(KEY, REFUSAL)], Codec::None, 3, false);
        assert_eq!((counted.numbers.len(), counted.misplaced), (1, 1));
        let one = read(&[(KEY, REFUSAL)], Codec::None, 3, true);
        assert_eq!((one.numbers.len(), one.fallbacks.len(), one.misplaced), (0, 1, 0));
    }
}
