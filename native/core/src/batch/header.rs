//! The header of a record batch: read, written and sealed.

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;

pub(super) const LENGTH_AT: usize = 8;
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
pub(super) const LENGTH_FROM: usize = 12;

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

/// A batch that is not read here, and why. The whole batch falls back to Python, whose errors then stand.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable(pub &'static str);

/// A batch's header, as far as it is needed.
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
    pub(super) first_timestamp: i64,
    pub(super) append_timestamp: Option<i64>,
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

/// Puts in the header of a whole batch of so many records; its producer's fields and its checksum are left open.
pub(super) fn put_header(batch: &mut [u8], codec: Codec, timestamp: i64, count: usize) {
    let length = i32::try_from(batch.len() - LENGTH_FROM).expect("a batch is far below 2 GiB");
    batch[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_be_bytes());
    batch[LEADER_EPOCH_AT..LEADER_EPOCH_AT + 4].copy_from_slice(&(-1i32).to_be_bytes());
    batch[MAGIC_AT] = 2;
    batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&codec.bits().to_be_bytes());
    let count = i32::try_from(count).expect("a batch holds far fewer records");
    batch[LAST_DELTA_AT..LAST_DELTA_AT + 4].copy_from_slice(&(count - 1).to_be_bytes());
    batch[FIRST_TIMESTAMP_AT..FIRST_TIMESTAMP_AT + 8].copy_from_slice(&timestamp.to_be_bytes());
    batch[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&timestamp.to_be_bytes());
    batch[COUNT_AT..COUNT_AT + 4].copy_from_slice(&count.to_be_bytes());
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
