//! Any bytes as an expression under the key that it would have: what becomes a row, serde_json reads too, with the same
//! content.
//!
//!     cargo +nightly fuzz run expression

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use wurao_core::batch::{Codec, Deflater, Writer};
use wurao_core::expressions::{ExpressionReader, FetchedBatches};

fuzz_target!(|bytes: &[u8]| {
    let fields = match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    };
    let text =
        |name: &str| fields.as_ref().and_then(|fields| fields.get(name)).and_then(Value::as_str).unwrap_or_default();
    let name = |field: &str| if text(field).is_empty() { "*" } else { text(field) }.to_owned();
    let key = [text("subscriber").to_owned(), text("channel").to_owned(), name("sender"), name("category")].join("|");
    let mut writer = Writer::with_capacity(0);
    writer.begin(key.as_bytes(), bytes.len());
    writer.put(bytes);
    writer.end();
    let raw = writer.finish(0, &mut Deflater::new(Codec::None, 1).expect("a level that zstd has"));
    let fetched = FetchedBatches { raw: &raw, from_offset: 0, partition: 0, partitions: 12, reject_misplaced: false };
    let columns = ExpressionReader::default().read(&fetched).expect("our own batch");
    assert_eq!(columns.numbers.len() + columns.fallbacks.len(), 1);
    let [number] = columns.numbers[..] else { return };
    assert!(fields.is_some(), "read what is no object");
    let content = &columns.contents[0];
    assert_eq!((text("kind"), text("subscriber")), ("expression", &*format!("+{number}")));
    assert_eq!(text("channel"), ["sms", "call"][usize::from(content.channel)]);
    assert_eq!(text("will"), ["refuse", "consent", "lift"][usize::from(content.verb)]);
    let text_of =
        |named: &[u8]| if named.is_empty() { "*".to_owned() } else { String::from_utf8_lossy(named).into_owned() };
    assert_eq!((name("sender"), name("category")), (text_of(&content.sender), text_of(&content.category)));
});
