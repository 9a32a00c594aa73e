//! Batches that are written, read again, cut short and made to lie.

use super::header::{LENGTH_AT, LENGTH_FROM};
use super::writer::varint_bytes;
use super::*;
use std::ops::Range;

fn written(codec: Codec) -> Vec<u8> {
    let mut writer = Writer::with_capacity(0);
    for (key, value) in [(&b"+8613800138000"[..], &[b'x'; 302][..]), (b"", b"")] {
        writer.begin(key, value.len());
        writer.put(value);
        writer.end();
    }
    writer.finish(1_795_500_000_000, &mut Deflater::new(codec, 1).expect("a level that zstd has"))
}

/// Offset, key and value of each record.
type Read = Vec<(i64, Vec<u8>, Vec<u8>)>;

fn read(raw: &[u8]) -> Result<Read, Unreadable> {
    let header = header(raw)?;
    let mut inflater = Inflater::default();
    let bytes = inflater.records_of(raw, header.codec)?;
    let mut found = Vec::new();
    find(&header, bytes, &mut found)?;
    let part = |span: Option<Range<usize>>| span.map_or(Vec::new(), |span| bytes[span].to_vec());
    Ok(found.into_iter().map(|record| (record.offset, part(record.key), part(record.value))).collect())
}

#[test]
fn what_is_written_is_read_again_in_every_codec() {
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        let found = read(&written(codec)).expect("our own batch");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].0, &found[0].1[..], found[0].2.len()), (0, &b"+8613800138000"[..], 302));
        assert_eq!(found[1], (1, Vec::new(), Vec::new()));
    }
}

#[test]
fn a_sealed_batch_keeps_its_checksum_until_a_byte_changes() {
    let mut batch = written(Codec::None);
    assert!(!crc_holds(&batch));
    seal(&mut batch, 7, 1, 99, true).expect("long enough");
    assert!(crc_holds(&batch));
    *batch.last_mut().expect("not empty") ^= 1;
    assert!(!crc_holds(&batch));
}

#[test]
fn a_batch_that_was_cut_short_is_refused_or_lacks_no_record() {
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        let whole = written(codec);
        let records = read(&whole);
        for end in 0..whole.len() {
            let mut cut = whole[..end].to_vec();
            if end >= HEADER_BYTES {
                let length = i32::try_from(end - LENGTH_FROM).expect("short");
                cut[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_be_bytes());
            }
            // A frame of lz4 ends with a mark, which its records do not need.
            let found = read(&cut);
            assert!(found.is_err() || found == records, "{codec:?} cut at {end}");
        }
    }
}

#[test]
fn lengths_that_lie_are_refused_and_never_followed() {
    let whole = written(Codec::None);
    for at in HEADER_BYTES..whole.len() {
        for byte in [0u8, 1, 0x7f, 0x80, 0xff] {
            let mut wild = whole.clone();
            wild[at] = byte;
            let _ = read(&wild);
        }
    }
}

#[test]
fn a_varint_is_as_long_as_it_is_said_to_be() {
    for value in [0usize, 1, 63, 64, 8191, 8192, 1 << 20, 1 << 30] {
        let mut writer = Writer::with_capacity(10);
        writer.varint(value);
        assert_eq!(writer.bytes() - HEADER_BYTES, varint_bytes(value), "{value}");
    }
}
