//! The bytes of a base (docs/base.md): its constants, its header and the names of its scopes, both read and written.
//!
//! What fills the blocks stands in `list`, `bits` and `narrow`, what leads to a block in `directory`. This module depends on
//! none of them. Promises that a header is believed only once its lengths add up and all checksums hold.

use crate::prefetch::LINE_BYTES;
use std::ops::Range;

const MAGIC: [u8; 8] = *b"\x89wbase\r\n";
const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 128;
/// The digest that a base's maker gives, of what it was made of.
pub const ORIGIN_BYTES: usize = 32;

const VERSION_AT: usize = 8;
const LENGTHS_AT: usize = 16;
const NUMBERS_COUNT_AT: usize = 56;
const CHECKSUMS_AT: usize = 64;
pub(super) const ORIGIN_AT: usize = 80;
const HEADER_CHECKSUM_AT: usize = HEADER_BYTES - 4;

/// A slot of the directory: a block, and where its parts lie.
pub(super) const SLOT_BYTES: usize = 32;

/// Where a slot says which container its block has, and what it says.
pub(super) const FORM_AT: usize = 12;
pub(super) const LIST_FORM: u8 = 0;
pub(super) const BITS_FORM: u8 = 1;

/// Numbers that share all but their lowest 16 bits are a block.
pub(super) const BLOCK_BITS: u32 = 16;
pub(super) const BLOCK: usize = 1 << BLOCK_BITS;

/// A block with fewer numbers is a list, for which bits would take more.
pub(super) const BITS_NUMBERS_MIN: usize = 2_700;

/// Numbers whose bits stand in one line, and the lines of a block.
pub(super) const LINE_NUMBERS: usize = 496;
pub(super) const LINES: usize = BLOCK.div_ceil(LINE_NUMBERS);
/// Digits of base 3 that a byte takes.
pub(super) const TERNARY: usize = 5;

/// A block with more narrower scopes than this has an index to them.
pub(super) const UNINDEXED_MAX: usize = 256;
/// The numbers of a block that one entry of that index stands for.
pub(super) const BUCKET: usize = 256;

/// The flag of a number that refuses everything on a channel.
#[inline]
pub(super) const fn everything_flag(channel: u8) -> u8 {
    1 << channel
}

/// The flag of a number that holds anything narrower on a channel.
#[inline]
pub(super) const fn narrower_flag(channel: u8) -> u8 {
    4 << channel
}

/// How many bytes the id of a scope takes, where there are so many.
pub(super) const fn scope_id_bytes(scopes_count: usize) -> usize {
    if scopes_count <= u16::MAX as usize { 2 } else { 4 }
}

/// A base that must not be used: what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Damaged(pub &'static str);

/// A scope as the file names it: its channel, whether it is a refusal, its sender and its category (`None`: any).
pub type NamedScope = (u8, bool, Option<String>, Option<String>);

#[inline]
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

#[inline]
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[inline]
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// Fills the blocks up to the next line, where a part may begin; that line. Fails beyond 256 GB.
pub(super) fn align(blocks: &mut Vec<u8>) -> Result<u32, Damaged> {
    blocks.resize(blocks.len().next_multiple_of(LINE_BYTES), 0);
    u32::try_from(blocks.len() / LINE_BYTES).map_err(|_| Damaged("more than 256 GB"))
}

/// What a header says: where the parts lie, within the bytes of the whole.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) scopes: Range<usize>,
    pub(super) directory: Range<usize>,
    pub(super) blocks: Range<usize>,
    pub(super) numbers_count: u64,
}

impl Header {
    /// Reads and verifies the header of a whole base, and the checksums of its parts. Some 10 GB a second.
    pub(super) fn verified(bytes: &[u8]) -> Result<Self, Damaged> {
        if bytes.get(..MAGIC.len()) != Some(&MAGIC[..]) {
            return Err(Damaged("it does not begin as a base does"));
        }
        let header = bytes.get(..HEADER_BYTES).ok_or(Damaged("it is cut short"))?;
        if u32_at(header, HEADER_CHECKSUM_AT) != Some(crc32c::crc32c(&header[..HEADER_CHECKSUM_AT])) {
            return Err(Damaged("its header is damaged"));
        }
        if u32_at(header, VERSION_AT) != Some(VERSION) {
            return Err(Damaged("it is of another version"));
        }
        let length = |place: usize| {
            u64_at(header, LENGTHS_AT + 8 * place)
                .and_then(|value| usize::try_from(value).ok())
                .ok_or(Damaged("a length in its header is too large"))
        };
        let (file_bytes, scopes_bytes, directory_bytes, blocks_at, blocks_bytes) =
            (length(0)?, length(1)?, length(2)?, length(3)?, length(4)?);
        let directory_at = HEADER_BYTES.checked_add(scopes_bytes).ok_or(Damaged("it is cut short"))?;
        let Some(directory_end) = directory_at.checked_add(directory_bytes).filter(|end| *end <= blocks_at) else {
            return Err(Damaged("its lengths do not add up"));
        };
        if file_bytes != bytes.len() || blocks_at.checked_add(blocks_bytes) != Some(file_bytes) {
            return Err(Damaged("its lengths do not add up"));
        }
        if !directory_bytes.is_multiple_of(SLOT_BYTES) || !(directory_bytes / SLOT_BYTES).is_power_of_two() {
            return Err(Damaged("the length of its directory is no power of two"));
        }
        let found = Self {
            scopes: HEADER_BYTES..directory_at,
            directory: directory_at..directory_end,
            blocks: blocks_at..file_bytes,
            numbers_count: u64_at(header, NUMBERS_COUNT_AT).unwrap_or_default(),
        };
        for (place, part) in [&found.scopes, &found.directory, &found.blocks].into_iter().enumerate() {
            if u32_at(header, CHECKSUMS_AT + 4 * place) != Some(crc32c::crc32c(&bytes[part.clone()])) {
                return Err(Damaged("a checksum is wrong"));
            }
        }
        Ok(found)
    }
}

/// A whole base of its parts: a header before them.
pub(super) fn assemble(
    scopes: &[u8],
    directory: &[u8],
    blocks: &[u8],
    numbers_count: u64,
    origin: &[u8; ORIGIN_BYTES],
) -> Vec<u8> {
    let blocks_at = HEADER_BYTES + scopes.len() + directory.len();
    let mut header = [0u8; HEADER_BYTES];
    header[..MAGIC.len()].copy_from_slice(&MAGIC);
    header[VERSION_AT..VERSION_AT + 4].copy_from_slice(&VERSION.to_le_bytes());
    put_lengths(&mut header, [blocks_at + blocks.len(), scopes.len(), directory.len(), blocks_at, blocks.len()]);
    header[NUMBERS_COUNT_AT..NUMBERS_COUNT_AT + 8].copy_from_slice(&numbers_count.to_le_bytes());
    header[ORIGIN_AT..ORIGIN_AT + ORIGIN_BYTES].copy_from_slice(origin);
    put_checksums(&mut header, [scopes, directory, blocks].map(crc32c::crc32c));
    let mut bytes = Vec::with_capacity(blocks_at + blocks.len());
    for part in [&header, scopes, directory, blocks] {
        bytes.extend_from_slice(part);
    }
    bytes
}

fn put_lengths(header: &mut [u8], lengths: [usize; 5]) {
    for (place, length) in lengths.into_iter().enumerate() {
        let at = LENGTHS_AT + 8 * place;
        header[at..at + 8].copy_from_slice(&(length as u64).to_le_bytes());
    }
}

/// Puts in the checksums of the parts, and last of all the header's own.
fn put_checksums(header: &mut [u8], parts: [u32; 3]) {
    for (place, checksum) in parts.into_iter().enumerate() {
        let at = CHECKSUMS_AT + 4 * place;
        header[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
    }
    let own = crc32c::crc32c(&header[..HEADER_CHECKSUM_AT]);
    header[HEADER_CHECKSUM_AT..HEADER_BYTES].copy_from_slice(&own.to_le_bytes());
}

/// The length of a name that is none: `*`.
const ANY_NAME: u32 = u32::MAX;

/// The part that names the scopes.
pub(super) fn scopes_part(scopes: &[NamedScope]) -> Vec<u8> {
    let mut part = (scopes.len() as u32).to_le_bytes().to_vec();
    for (channel, refusal, sender, category) in scopes {
        part.extend_from_slice(&[*channel, u8::from(*refusal)]);
        for name in [sender, category] {
            let length = name.as_ref().map_or(ANY_NAME, |name| name.len() as u32);
            part.extend_from_slice(&length.to_le_bytes());
            part.extend_from_slice(name.as_deref().unwrap_or_default().as_bytes());
        }
    }
    part.resize(part.len().next_multiple_of(LINE_BYTES), 0);
    part
}

/// The scopes that such a part names; `None` where it is no such part.
pub(super) fn scopes_of(part: &[u8]) -> Option<Vec<NamedScope>> {
    let count = u32_at(part, 0)? as usize;
    let mut at = 4;
    let mut scopes = Vec::new();
    for _ in 0..count {
        let (channel, refusal) = (*part.get(at)?, *part.get(at + 1)?);
        at += 2;
        let mut name = || {
            let length = u32_at(part, at)?;
            at += 4;
            if length == ANY_NAME {
                return Some(None);
            }
            let text = std::str::from_utf8(part.get(at..at.checked_add(length as usize)?)?).ok()?;
            at += length as usize;
            Some(Some(text.to_owned()))
        };
        let (sender, category) = (name()?, name()?);
        if channel > 1 || refusal > 1 {
            return None;
        }
        scopes.push((channel, refusal == 1, sender, category));
    }
    Some(scopes)
}

/// Makes the lengths and checksums of some bytes right, as far as their header can be read: for fuzzing alone, which
/// would never get past them.
#[cfg(fuzzing)]
pub fn mend_checksums(bytes: &mut [u8]) {
    let length = bytes.len();
    let Some((header, parts)) = bytes.split_at_mut_checked(HEADER_BYTES) else { return };
    header[..MAGIC.len()].copy_from_slice(&MAGIC);
    header[VERSION_AT..VERSION_AT + 4].copy_from_slice(&VERSION.to_le_bytes());
    let scopes = usize::from(header[24]).min(parts.len());
    let directory = (SLOT_BYTES << (header[32] % 4)).min(parts.len() - scopes);
    let blocks_at = HEADER_BYTES + scopes + directory;
    put_lengths(header, [length, scopes, directory, blocks_at, length - blocks_at]);
    let parts = [&parts[..scopes], &parts[scopes..scopes + directory], &parts[scopes + directory..]];
    put_checksums(header, parts.map(crc32c::crc32c));
}
