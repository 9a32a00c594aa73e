//! Any bytes as an event: what is read, serde_json reads too, with the same values; a number is that of its digits.
//!
//!     cargo +nightly fuzz run event

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use wurao_core::event::{self, Kind};
use wurao_core::json::{self, ObjectReader};
use wurao_core::numbers;

fuzz_target!(|bytes: &[u8]| {
    let Some(event) = event::read(bytes, &mut ObjectReader::default()) else { return };
    let Ok(Value::Object(fields)) = serde_json::from_slice(bytes) else {
        panic!("read what is no object");
    };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().as_bytes();
    assert_eq!((event.id, event.to, event.from), (text("id"), text("to"), text("from")));
    assert_eq!(event.time, fields["time"].as_u64().expect("an integer").to_string().as_bytes());
    let to = std::str::from_utf8(event.to).expect("it was read");
    let plain = to.strip_prefix('+').filter(|digits| (7..=15).contains(&digits.len()) && !digits.starts_with('0'));
    let plain = plain.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    assert_eq!(numbers::parse(event.to), plain.and_then(|digits| digits.parse().ok()));
    if event.kind == Kind::Sms {
        let mut plain = event.text.to_vec();
        if event.text_escaped {
            json::unescape(event.text, &mut plain);
        }
        assert_eq!(plain, text("text"));
        assert_eq!(event.campaign, text("campaign"));
    }
    if event.kind != Kind::Reply {
        assert_eq!((event.sender, event.category, event.region), (text("sender"), text("category"), text("region")));
    }
});
