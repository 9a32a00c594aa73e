//! Any bytes as a record batch: no panic, no read outside, and what is found lies within and in order.
//!
//!     cargo +nightly fuzz run batch

#![no_main]

use libfuzzer_sys::fuzz_target;
use wurao_core::batch;

fuzz_target!(|bytes: &[u8]| {
    // The length is set right, or hardly any input would get past it.
    let mut raw = bytes.to_vec();
    if raw.len() >= batch::HEADER_BYTES {
        let length = (raw.len() as i32 - 12).to_be_bytes();
        raw[8..12].copy_from_slice(&length);
        raw[16] = 2;
    }
    let Ok(header) = batch::header(&raw) else { return };
    let mut inflater = batch::Inflater::default();
    let Ok(records) = inflater.records_of(&raw, header.codec) else { return };
    let mut found = Vec::new();
    if batch::find(&header, records, &mut found).is_ok() {
        assert_eq!(found.len(), header.count);
        assert!(found.windows(2).all(|pair| pair[0].offset < pair[1].offset));
        for record in &found {
            for span in [&record.key, &record.value].into_iter().flatten() {
                assert!(span.end <= records.len());
            }
        }
    }
});
