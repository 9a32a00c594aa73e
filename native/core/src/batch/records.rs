//! The records of a batch, found.

use super::header::{Header, Unreadable};
use crate::prefetch::{LINE_BYTES, prefetch};
use std::ops::Range;

/// How far ahead records are prefetched: some four of them.
const AHEAD_BYTES: usize = 1_536;

/// A record: spans of the records' bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds: its producer's, or that of the append where the topic says so.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Range<usize>>,
    /// Its value.
    pub value: Option<Range<usize>>,
}

/// Records that a batch may hold, as in Python (`stream.model.limits.BATCH_RECORDS`).
const RECORDS_MAX: usize = 1 << 17;

/// Finds the records of a batch: all of them, or none where one cannot be read or bytes are left over.
pub fn find(header: &Header, bytes: &[u8], found: &mut Vec<Record>) -> Result<(), Unreadable> {
    found.clear();
    // A record takes seven bytes at least: what claims more records than that cannot hold them.
    if header.count > bytes.len() / 7 + 1 {
        return Err(Unreadable("more records than bytes for them"));
    }
    if header.count > RECORDS_MAX {
        return Err(Unreadable("more records than a batch may hold"));
    }
    found.reserve(header.count);
    let mut cursor = Cursor { bytes, at: 0 };
    let mut prefetched = 0;
    for _ in 0..header.count {
        // Records follow one another, but where the next begins is known only when this one is here.
        while prefetched < cursor.at + AHEAD_BYTES {
            prefetch(bytes, prefetched);
            prefetched += LINE_BYTES;
        }
        let record = cursor.record(header).ok_or(Unreadable("a record that does not keep its bounds"))?;
        if found.last().is_some_and(|last| record.offset <= last.offset) || record.offset >= header.next_offset {
            return Err(Unreadable("offsets out of order"));
        }
        found.push(record);
    }
    if cursor.at == bytes.len() { Ok(()) } else { Err(Unreadable("bytes after the last record")) }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn record(&mut self, header: &Header) -> Option<Record> {
        let length = usize::try_from(self.varint()?).ok()?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        self.at = self.at.checked_add(1).filter(|at| *at <= end)?; // attributes, of which none is in use
        let timestamp_delta = self.varint()?;
        let offset_delta = self.varint()?;
        let key = self.span()?;
        let value = self.span()?;
        let headers_count = self.varint()?;
        if !(0..=length as i64).contains(&headers_count) {
            return None;
        }
        for _ in 0..headers_count {
            self.span()??;
            self.span()?;
        }
        if self.at != end || offset_delta < 0 {
            return None;
        }
        Some(Record {
            offset: header.base_offset.checked_add(offset_delta)?,
            timestamp: match header.append_timestamp {
                Some(timestamp) => timestamp,
                None => header.first_timestamp.checked_add(timestamp_delta)?,
            },
            key,
            value,
        })
    }

    #[inline]
    fn varint(&mut self) -> Option<i64> {
        let first = *self.bytes.get(self.at)?;
        if first < 0x80 {
            self.at += 1;
            return Some(i64::from(first >> 1) ^ -i64::from(first & 1));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Option<i64> {
        let mut raw = 0u64;
        let mut shift = 0;
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            raw |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some((raw >> 1) as i64 ^ -((raw & 1) as i64));
            }
            shift += 7;
            if shift > 63 {
                return None;
            }
        }
    }

    /// A length and that many bytes; a length of -1 is null.
    #[inline]
    fn span(&mut self) -> Option<Option<Range<usize>>> {
        let length = self.varint()?;
        if length == -1 {
            return Some(None);
        }
        let begin = self.at;
        let end = begin.checked_add(usize::try_from(length).ok()?).filter(|end| *end <= self.bytes.len())?;
        self.at = end;
        Some(Some(begin..end))
    }
}
