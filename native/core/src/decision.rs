//! A decision as it is written: constant parts that Python has encoded, and between them the event's own bytes.
//!
//! Promises the bytes of `stream.model.codec.encode`. An event's own texts hold no escape, so that they are written as
//! they were read.

use crate::batch::Writer;
use crate::event::{Event, Kind};

// What decisions have in common before the sender's name (`stream.model.decision`; the tests hold them together).
const HEAD: &[u8] = b"{\"kind\":\"decision\",\"event\":\"";
const OF: &[u8] = b"\",\"of\":\"";
const SMS: &[u8] = b"sms\",\"time\":";
const CALL: &[u8] = b"call\",\"time\":";
const FROM: &[u8] = b"\",\"from\":";
const SENDER: &[u8] = b",\"sender\":";

/// What decisions with one template have in common after the sender's name, and after `origin`.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Template {
    pub middle: Box<[u8]>,
    pub tail: Box<[u8]>,
    /// Whether its text is searched for an opt-out hint for early warning.
    pub service: bool,
    /// Whether the sender that it names is an unverified claim: then activity is counted by the number it came from.
    pub claim: bool,
}

/// What a decision is made of, and counted by: a sender (JSON, with its quotes, or `null`) and a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct Outcome {
    pub name: u32,
    pub template: u32,
}

/// What all decisions of a request have in common.
#[derive(Debug)]
pub struct Shared {
    after_time: Vec<u8>,
    after_epoch: Vec<u8>,
}

impl Shared {
    /// Of a moment, and an epoch as JSON has it between the quotes.
    pub fn new(now: i64, epoch: &[u8]) -> Self {
        Self {
            after_time: format!(",\"decided\":{now},\"to\":\"").into_bytes(),
            after_epoch: [epoch, &b"\",\"origin\":"[..]].concat(),
        }
    }
}

/// Adds the decision on an event as a record.
#[inline]
pub fn write(writer: &mut Writer, key: &[u8], event: &Event<'_>, name: &[u8], template: &Template, shared: &Shared) {
    let of = if event.kind == Kind::Call { CALL } else { SMS };
    let constant = HEAD.len() + OF.len() + of.len() + FROM.len() + SENDER.len();
    let own =
        event.id.len() + event.time.len() + event.to.len() + quoted_bytes(event.from) + quoted_bytes(event.origin);
    let common = shared.after_time.len() + shared.after_epoch.len();
    writer.begin(key, constant + own + common + name.len() + template.middle.len() + template.tail.len());
    writer.put(HEAD);
    writer.put(event.id);
    writer.put(OF);
    writer.put(of);
    writer.put(event.time);
    writer.put(&shared.after_time);
    writer.put(event.to);
    writer.put(FROM);
    put_quoted(writer, event.from);
    writer.put(SENDER);
    writer.put(name);
    writer.put(&template.middle);
    writer.put(&shared.after_epoch);
    put_quoted(writer, event.origin);
    writer.put(&template.tail);
    writer.end();
}

fn quoted_bytes(text: &[u8]) -> usize {
    if text.is_empty() { b"null".len() } else { 2 + text.len() }
}

#[inline]
fn put_quoted(writer: &mut Writer, text: &[u8]) {
    if text.is_empty() {
        writer.put(b"null");
    } else {
        writer.put(b"\"");
        writer.put(text);
        writer.put(b"\"");
    }
}
