//! Records compressed and decompressed.

use super::header::{Codec, HEADER_BYTES, Unreadable};
use std::io::{Read, Write};

/// What a batch may hold once it is decompressed, as in Python (`stream.model.limits.BATCH`), to which a larger one falls
/// back: there it is named.
pub const RECORDS_BYTES_MAX: usize = 32 << 20;

/// Room that is kept from one request to the next; what a giant took goes back to the system.
const RECORDS_BYTES_KEPT: usize = 4 << 20;

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

    /// Gives back what a giant took. Whoever is done with his batches calls it, also where one could not be read: its
    /// other reader, in Python, takes as much again.
    pub fn release(&mut self) {
        self.records.clear();
        self.records.shrink_to(RECORDS_BYTES_KEPT);
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

    pub(super) const fn codec(&self) -> Codec {
        self.codec
    }

    /// Records compressed, after room for a header. Not for `Codec::None`.
    pub(super) fn deflated(&mut self, records: &[u8]) -> Vec<u8> {
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
