//! Building a record batch.

use super::compression::Deflater;
use super::header::{Codec, HEADER_BYTES, put_header};
use crate::short::copy;

/// Builds a record batch. All its records have one timestamp.
#[derive(Debug)]
pub struct Writer {
    /// Room for a header, the records, and what earlier batches left behind their end.
    bytes: Vec<u8>,
    end: usize,
    count: usize,
    /// The memory of a recycled batch, for the next.
    spare: Vec<u8>,
}

/// How long a zigzag varint of a value that is not negative is.
#[inline]
pub(super) const fn varint_bytes(value: usize) -> usize {
    let bits = usize::BITS - ((value << 1) | 1).leading_zeros();
    (bits as usize).div_ceil(7)
}

impl Writer {
    /// An empty batch with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: vec![0; HEADER_BYTES + bytes], end: HEADER_BYTES, count: 0, spare: Vec::new() }
    }

    /// Makes room for so many bytes more.
    pub fn reserve(&mut self, bytes: usize) {
        let wanted = self.end + bytes;
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
    }

    /// How many records there are.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// How long the batch is so far, uncompressed.
    pub const fn bytes(&self) -> usize {
        self.end
    }

    #[inline]
    pub(super) fn varint(&mut self, value: usize) {
        let mut rest = (value as u64) << 1;
        while rest >= 0x80 {
            self.put(&[rest as u8 | 0x80]);
            rest >>= 7;
        }
        self.put(&[rest as u8]);
    }

    /// Begins a record whose value will be of so many bytes: `put` them, then `end`.
    #[inline]
    pub fn begin(&mut self, key: &[u8], value_bytes: usize) {
        let delta = self.count;
        let length =
            3 + varint_bytes(delta) + varint_bytes(key.len()) + key.len() + varint_bytes(value_bytes) + value_bytes;
        self.reserve(length + 10);
        self.varint(length);
        self.put(&[0, 0]); // attributes, timestamp delta
        self.varint(delta);
        self.varint(key.len());
        self.put(key);
        self.varint(value_bytes);
    }

    /// Adds to the value, within the bytes that it was begun with. Where the length is known to the compiler, this is a
    /// store or two and no call.
    #[inline(always)]
    pub fn put(&mut self, part: &[u8]) {
        let end = self.end + part.len();
        copy(part, &mut self.bytes[self.end..end]);
        self.end = end;
    }

    /// Ends the record.
    #[inline]
    pub fn end(&mut self) {
        self.put(&[0]); // headers
        self.count += 1;
    }

    /// Reuses the memory of a finished batch that is no longer needed.
    pub fn recycle(&mut self, batch: Vec<u8>) {
        self.spare = batch;
    }

    /// The finished batch, its producer's fields and its checksum left open for `seal`. It starts again after that.
    pub fn finish(&mut self, timestamp: i64, deflater: &mut Deflater) -> Vec<u8> {
        let mut batch = if deflater.codec() == Codec::None {
            // The header's room is there already: no byte is copied.
            self.bytes.truncate(self.end);
            let mut next = std::mem::take(&mut self.spare);
            next.resize(next.len().max(HEADER_BYTES), 0);
            std::mem::replace(&mut self.bytes, next)
        } else {
            deflater.deflated(self.bytes.get(HEADER_BYTES..self.end).unwrap_or_default())
        };
        put_header(&mut batch, deflater.codec(), timestamp, self.count);
        self.clear();
        batch
    }

    /// Starts again; what was written is lost.
    pub fn clear(&mut self) {
        self.end = HEADER_BYTES;
        self.count = 0;
    }
}
