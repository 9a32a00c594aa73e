//! Kafka's record batch, version 2 ("magic 2"; Apache Kafka protocol guide, *Record Batch*): reading and writing.
//!
//! Promises that no byte outside of what was given is looked at, whatever lengths the bytes claim, and that what
//! cannot be read whole is an error before any record of it is used. Must never judge what the records hold.

use crate::prefetch::{LINE_BYTES, prefetch};
use crate::short::copy;
use std::io::{Read, Write};
use std::ops::Range;

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// What a batch may hold once it is decompressed: a broker takes batches of 1 MiB by default, and texts shrink to a
/// tenth at best. A batch that says otherwise is left to Python.
pub const RECORDS_BYTES_MAX: usize = 64 << 20;

/// How far ahead records are sent for: some four of them.
const AHEAD_BYTES: usize = 1_536;

const LENGTH_AT: usize = 8;
const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const LAST_DELTA_AT: usize = 23;
const FIRST_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const BASE_SEQUENCE_AT: usize = 53;
const COUNT_AT: usize = 57;
/// The batch's length counts from after the field itself.
const LENGTH_FROM: usize = 12;

const CODEC_MASK: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Codec {
    const fn bits(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
}

/// A batch that is not read here, and why. The caller leaves it whole to Python, whose errors are unchanged.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable(pub &'static str);

/// What a batch says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// The offset of its first record.
    pub base_offset: i64,
    /// The offset after its last record, also where compaction has taken that away.
    pub next_offset: i64,
    /// How its records are compressed.
    pub codec: Codec,
    /// How many records it has.
    pub count: usize,
    first_timestamp: i64,
    append_timestamp: Option<i64>,
}

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

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut found = [0; N];
    found.copy_from_slice(&bytes[at..at + N]);
    found
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(bytes_at(bytes, at))
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes_at(bytes, at))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes_at(bytes, at))
}

/// Parts the first of several batches, which stand back to back, from the rest. Fails where it is not there whole.
pub fn first_of(raw: &[u8]) -> Result<(&[u8], &[u8]), Unreadable> {
    if raw.len() < HEADER_BYTES {
        return Err(Unreadable("shorter than a batch's header"));
    }
    usize::try_from(i32_at(raw, LENGTH_AT))
        .ok()
        .and_then(|length| raw.split_at_checked(length.checked_add(LENGTH_FROM)?))
        .ok_or(Unreadable("a length that goes beyond the bytes"))
}

/// Reads a batch's header. Fails for what is no data batch of version 2, whole and alone, in a codec that is read here.
pub fn header(raw: &[u8]) -> Result<Header, Unreadable> {
    if raw.len() < HEADER_BYTES {
        return Err(Unreadable("shorter than a batch's header"));
    }
    if raw[MAGIC_AT] != 2 {
        return Err(Unreadable("not of version 2"));
    }
    let length = i32_at(raw, LENGTH_AT);
    if usize::try_from(length).ok().and_then(|length| length.checked_add(LENGTH_FROM)) != Some(raw.len()) {
        return Err(Unreadable("its length is not that of the bytes"));
    }
    let attributes = i16_at(raw, ATTRIBUTES_AT);
    if attributes & CONTROL != 0 {
        return Err(Unreadable("a control batch"));
    }
    let codec = match attributes & CODEC_MASK {
        0 => Codec::None,
        3 => Codec::Lz4,
        4 => Codec::Zstd,
        _ => return Err(Unreadable("compressed by gzip or snappy")),
    };
    let base_offset = i64_at(raw, 0);
    let last_delta = i64::from(i32_at(raw, LAST_DELTA_AT));
    let count = i32_at(raw, COUNT_AT);
    let (true, Ok(count)) = (last_delta >= 0 && base_offset >= 0, usize::try_from(count)) else {
        return Err(Unreadable("a negative count or offset"));
    };
    let Some(next_offset) = base_offset.checked_add(last_delta + 1) else {
        return Err(Unreadable("offsets beyond 63 bits"));
    };
    Ok(Header {
        base_offset,
        next_offset,
        codec,
        count,
        first_timestamp: i64_at(raw, FIRST_TIMESTAMP_AT),
        append_timestamp: (attributes & LOG_APPEND_TIME != 0).then(|| i64_at(raw, MAX_TIMESTAMP_AT)),
    })
}

/// Whether the checksum of a batch is right (CRC-32C from its attributes on). For bytes shorter than a header: no.
pub fn crc_holds(raw: &[u8]) -> bool {
    raw.len() >= HEADER_BYTES && u32::from_be_bytes(bytes_at(raw, CRC_AT)) == crc32c::crc32c(&raw[ATTRIBUTES_AT..])
}

/// Decompresses batches, and keeps what that needs from one to the next: a context of zstd takes some 150 kB, whose pages
/// would be new to the process for each batch.
#[derive(Default)]
pub struct Inflater {
    zstd: zstd::bulk::Decompressor<'static>,
    records: Vec<u8>,
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Inflater({} bytes)", self.records.capacity())
    }
}

impl Inflater {
    /// The records of a batch, decompressed where they are compressed.
    pub fn records_of<'a>(&'a mut self, raw: &'a [u8], codec: Codec) -> Result<&'a [u8], Unreadable> {
        let body = &raw[HEADER_BYTES..];
        let records = &mut self.records;
        records.clear();
        match codec {
            Codec::None => return Ok(body),
            Codec::Lz4 => {
                let frame = lz4_flex::frame::FrameDecoder::new(body);
                let limit = RECORDS_BYTES_MAX as u64 + 1;
                frame.take(limit).read_to_end(records).map_err(|_| Unreadable("lz4 that cannot be read"))?;
            }
            Codec::Zstd => {
                // In one piece: a stream would copy all of it once more. The bound is what the frame's blocks may hold
                // at most, known from their headers; memory that is not written to costs nothing.
                let bound = zstd::bulk::Decompressor::upper_bound(body).unwrap_or(RECORDS_BYTES_MAX + 1);
                records.reserve(bound.min(RECORDS_BYTES_MAX + 1));
                self.zstd
                    .decompress_to_buffer(body, records)
                    .map_err(|_| Unreadable("zstd that cannot be read, or is too large once it is"))?;
            }
        }
        if records.len() > RECORDS_BYTES_MAX {
            return Err(Unreadable("too large once it is decompressed"));
        }
        Ok(records)
    }
}

/// Finds the records of a batch: all of them, or none where one cannot be read or bytes are left over.
pub fn find(header: &Header, bytes: &[u8], found: &mut Vec<Record>) -> Result<(), Unreadable> {
    found.clear();
    // A record takes seven bytes at least: what claims more records than that cannot hold them.
    if header.count > bytes.len() / 7 + 1 {
        return Err(Unreadable("more records than bytes for them"));
    }
    found.reserve(header.count);
    let mut cursor = Cursor { bytes, at: 0 };
    let mut sent_for = 0;
    for _ in 0..header.count {
        // Records follow one another, but where the next begins is known only when this one is here.
        while sent_for < cursor.at + AHEAD_BYTES {
            prefetch(bytes, sent_for);
            sent_for += LINE_BYTES;
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

/// A batch in the making. All its records bear one timestamp.
#[derive(Debug)]
pub struct Writer {
    /// Room for a header, the records, and what earlier batches left behind their end.
    bytes: Vec<u8>,
    end: usize,
    count: usize,
    /// A finished batch that came back: the room for the next.
    spare: Vec<u8>,
}

/// How long a zigzag varint of a value that is not negative is.
#[inline]
const fn varint_bytes(value: usize) -> usize {
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
    fn varint(&mut self, value: usize) {
        let mut left = (value as u64) << 1;
        while left >= 0x80 {
            self.put(&[left as u8 | 0x80]);
            left >>= 7;
        }
        self.put(&[left as u8]);
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

    /// Takes back a batch that it has finished and nobody needs any more.
    pub fn take_back(&mut self, batch: Vec<u8>) {
        self.spare = batch;
    }

    /// The finished batch, its producer's fields and its checksum left open for `seal`. It begins anew after that.
    pub fn finish(&mut self, timestamp: i64, deflater: &mut Deflater) -> Vec<u8> {
        let mut batch = if deflater.codec == Codec::None {
            // The header's room is there already: no byte is copied.
            self.bytes.truncate(self.end);
            let mut next = std::mem::take(&mut self.spare);
            next.resize(next.len().max(HEADER_BYTES), 0);
            std::mem::replace(&mut self.bytes, next)
        } else {
            deflater.deflated(self.bytes.get(HEADER_BYTES..self.end).unwrap_or_default())
        };
        let codec = deflater.codec;
        let length = i32::try_from(batch.len() - LENGTH_FROM).expect("a batch is far below 2 GiB");
        batch[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_be_bytes());
        batch[LEADER_EPOCH_AT..LEADER_EPOCH_AT + 4].copy_from_slice(&(-1i32).to_be_bytes());
        batch[MAGIC_AT] = 2;
        batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&codec.bits().to_be_bytes());
        let count = i32::try_from(self.count).expect("a batch holds far fewer records");
        batch[LAST_DELTA_AT..LAST_DELTA_AT + 4].copy_from_slice(&(count - 1).to_be_bytes());
        batch[FIRST_TIMESTAMP_AT..FIRST_TIMESTAMP_AT + 8].copy_from_slice(&timestamp.to_be_bytes());
        batch[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&timestamp.to_be_bytes());
        batch[COUNT_AT..COUNT_AT + 4].copy_from_slice(&count.to_be_bytes());
        self.clear();
        batch
    }

    /// Begins anew; what was written is lost.
    pub fn clear(&mut self) {
        self.end = HEADER_BYTES;
        self.count = 0;
    }
}

/// Up to this level zstd looks for repetitions in one table of hashes, whose entries take four bytes.
const FAST_LEVEL_MAX: i32 = 2;
/// That table then has its place in the nearest cache, which zstd's own choice of 64 KiB has not. Decisions repeat within
/// a few hundred bytes: they take a sixth less time, and one byte in two hundred more.
const HASH_LOG: u32 = 12;

/// Compresses batches in one way, and keeps what that needs from one to the next.
pub struct Deflater {
    codec: Codec,
    zstd: zstd::bulk::Compressor<'static>,
    records: Vec<u8>,
}

impl std::fmt::Debug for Deflater {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Deflater({:?})", self.codec)
    }
}

impl Deflater {
    /// One for a codec; the level is that of zstd. Fails for a level that zstd does not have.
    pub fn new(codec: Codec, level: i32) -> std::io::Result<Self> {
        let mut zstd = zstd::bulk::Compressor::new(level)?;
        if level <= FAST_LEVEL_MAX {
            zstd.set_parameter(zstd::zstd_safe::CParameter::HashLog(HASH_LOG))?;
        }
        Ok(Self { codec, zstd, records: Vec::new() })
    }

    /// Records compressed, after room for a header. Not for `Codec::None`.
    fn deflated(&mut self, records: &[u8]) -> Vec<u8> {
        let packed = &mut self.records;
        packed.clear();
        if self.codec == Codec::Zstd {
            packed.reserve(zstd::zstd_safe::compress_bound(records.len()));
            self.zstd.compress_to_buffer(records, packed).expect("there is room for whatever comes of it");
        } else {
            let mut frame = lz4_flex::frame::FrameEncoder::new(&mut *packed);
            frame.write_all(records).expect("a vector takes what it is given");
            frame.finish().expect("a vector takes what it is given");
        }
        let mut batch = Vec::with_capacity(HEADER_BYTES + packed.len());
        batch.extend_from_slice(&[0; HEADER_BYTES]);
        batch.extend_from_slice(packed);
        batch
    }
}

/// Puts in what only the producer knows, and then the checksum. Fails for bytes that are shorter than a header.
pub fn seal(
    batch: &mut [u8],
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    transactional: bool,
) -> Result<(), Unreadable> {
    if batch.len() < HEADER_BYTES {
        return Err(Unreadable("shorter than a batch's header"));
    }
    let attributes = i16_at(batch, ATTRIBUTES_AT) & !TRANSACTIONAL | if transactional { TRANSACTIONAL } else { 0 };
    batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
    batch[PRODUCER_ID_AT..PRODUCER_ID_AT + 8].copy_from_slice(&producer_id.to_be_bytes());
    batch[PRODUCER_EPOCH_AT..PRODUCER_EPOCH_AT + 2].copy_from_slice(&producer_epoch.to_be_bytes());
    batch[BASE_SEQUENCE_AT..BASE_SEQUENCE_AT + 4].copy_from_slice(&base_sequence.to_be_bytes());
    let crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
