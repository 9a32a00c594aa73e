//! The base: what every number held at one moment, in one immutable run of bytes that may be mapped into memory.
//!
//! Numbers are grouped in blocks of 65,536 by their upper bits. One probe of a block's bits and codes answers at once
//! whether a number refuses everything, on either channel, and whether it holds anything narrower; only for whoever does
//! are the narrower scopes looked up. `docs/base.md` specifies the bytes. Promises that bytes whose checksums do not hold
//! are refused, and that no look-up reads outside of the bytes, whatever they hold.

use crate::ahead::{LINE_BYTES, prefetch};
use crate::build::Builder;
use crate::wills::{Channel, Probe, Stance, everything};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

pub(crate) const MAGIC: [u8; 8] = *b"\x89wbase\r\n";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_BYTES: usize = 128;
/// What the base is of: a digest that its maker gives.
pub const ORIGIN_BYTES: usize = 32;
pub(crate) const ORIGIN_AT: usize = 80;
pub(crate) const SLOT_BYTES: usize = 32;
pub(crate) const BLOCK_BITS: u32 = 16;
pub(crate) const BLOCK: usize = 1 << BLOCK_BITS;
/// Numbers whose bits stand in one line, beside the count of those set in the lines before it.
pub(crate) const LINE_NUMBERS: usize = 496;
const LINES: usize = BLOCK.div_ceil(LINE_NUMBERS);
/// A block with fewer numbers is a list: its bits would take more.
pub(crate) const SPARSE_MAX: usize = 2_700;
/// A block with more narrower scopes than this has an index to them.
pub(crate) const UNINDEXED_MAX: usize = 256;
pub(crate) const BUCKETS: usize = 256;

/// Digits of base 3 that a byte takes, and what each is worth.
pub(crate) const TERNARY: usize = 5;
pub(crate) const POWERS_OF_3: [u8; TERNARY] = [1, 3, 9, 27, 81];

/// What a number holds, a bit each: refusals of everything by channel, then anything narrower by channel.
const fn refuses(channel: Channel) -> u8 {
    1 << channel as u8
}

const fn narrower(channel: Channel) -> u8 {
    4 << channel as u8
}

/// A base that must not be used: what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Damaged(pub &'static str);

enum Storage {
    Owned(Vec<u8>),
    Mapped(memmap2::Mmap),
}

impl std::ops::Deref for Storage {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Mapped(map) => map,
        }
    }
}

/// A scope as the file names it: its channel, whether it is a refusal, its sender and its category (`None`: any).
pub type Named = (u8, bool, Option<String>, Option<String>);

/// What every number held.
pub struct Base {
    bytes: Storage,
    scopes: Vec<Named>,
    directory_at: usize,
    /// One less than the number of slots, which is a power of two.
    slots_mask: usize,
    blocks_at: usize,
    scope_bytes: usize,
    numbers_count: u64,
}

impl std::fmt::Debug for Base {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Base({} numbers, {} bytes)", self.numbers_count, self.bytes.len())
    }
}

/// Where a look-up has got to: the block's slot, copied out of the directory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    number: u64,
    at: usize,
    combinations: u64,
    narrow_at: usize,
    narrow_count: u32,
    kind: u8,
    codes: u8,
    is_there: bool,
    flags: u8,
}

pub(crate) const SPARSE: u8 = 0;
pub(crate) const DENSE: u8 = 1;

#[inline]
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// A directory's hash of a block (Fibonacci hashing; Knuth, *The Art of Computer Programming*, 6.4).
#[inline]
pub(crate) const fn hash(block: u64) -> usize {
    (block.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
}

impl Default for Base {
    fn default() -> Self {
        let empty = Builder::new(Vec::new()).finish(&[0; ORIGIN_BYTES]).expect("nothing is no damage");
        Self::of(Storage::Owned(empty)).expect("our own bytes")
    }
}

impl Base {
    /// A base of bytes in memory.
    pub fn of_bytes(bytes: Vec<u8>) -> Result<Self, Damaged> {
        Self::of(Storage::Owned(bytes))
    }

    /// A base mapped from a file, which is verified once, a second for some ten gigabytes. The file must not be written
    /// while it is mapped: writers put a new one in its place (`write`).
    pub fn map(path: &Path) -> io::Result<Result<Self, Damaged>> {
        let file = File::open(path)?;
        // SAFETY: the file is only ever replaced by a rename, never written in place, so that what is mapped does not
        // change. Whoever truncates it all the same ends this process with SIGBUS, and its supervisor starts another.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self::of(Storage::Mapped(map)))
    }

    fn of(bytes: Storage) -> Result<Self, Damaged> {
        let cut = Damaged("it is cut short");
        if bytes.get(..8) != Some(&MAGIC[..]) {
            return Err(Damaged("it is no base"));
        }
        let header = bytes.get(..HEADER_BYTES).ok_or(Damaged("it is cut short"))?;
        if u32_at(header, HEADER_BYTES - 4) != Some(crc32c::crc32c(&header[..HEADER_BYTES - 4])) {
            return Err(Damaged("its header is damaged"));
        }
        if u32_at(header, 8) != Some(VERSION) {
            return Err(Damaged("it is of another version"));
        }
        let field = |place: usize| {
            u64_at(header, 16 + 8 * place).and_then(|value| usize::try_from(value).ok()).ok_or(Damaged("a wild length"))
        };
        let (file_bytes, scopes_bytes, directory_bytes, blocks_at, blocks_bytes) =
            (field(0)?, field(1)?, field(2)?, field(3)?, field(4)?);
        let directory_at = HEADER_BYTES.checked_add(scopes_bytes).ok_or(cut)?;
        let directory_end = directory_at.checked_add(directory_bytes);
        if file_bytes != bytes.len()
            || directory_end.is_none_or(|end| end > blocks_at)
            || blocks_at.checked_add(blocks_bytes) != Some(file_bytes)
        {
            return Err(Damaged("its lengths do not add up"));
        }
        let slots = directory_bytes / SLOT_BYTES;
        if !slots.is_power_of_two() || directory_bytes % SLOT_BYTES != 0 {
            return Err(Damaged("its directory has a wild length"));
        }
        for (place, part) in [
            &bytes[HEADER_BYTES..directory_at],
            &bytes[directory_at..directory_at + directory_bytes],
            &bytes[blocks_at..],
        ]
        .into_iter()
        .enumerate()
        {
            if u32_at(header, 64 + 4 * place) != Some(crc32c::crc32c(part)) {
                return Err(Damaged("a checksum does not hold"));
            }
        }
        let scopes = names_of(&bytes[HEADER_BYTES..directory_at]).ok_or(Damaged("its scopes cannot be read"))?;
        Ok(Self {
            scope_bytes: if scopes.len() <= usize::from(u16::MAX) { 2 } else { 4 },
            scopes,
            directory_at,
            slots_mask: slots - 1,
            blocks_at,
            numbers_count: u64_at(header, 56).unwrap_or_default(),
            bytes,
        })
    }

    /// The scopes that anybody holds, by id; the first two are the refusals of everything.
    pub fn scopes(&self) -> &[Named] {
        &self.scopes
    }

    /// What it is of, as its maker said.
    pub fn origin(&self) -> &[u8] {
        &self.bytes[ORIGIN_AT..ORIGIN_AT + ORIGIN_BYTES]
    }

    /// How many numbers hold anything.
    pub const fn numbers_count(&self) -> u64 {
        self.numbers_count
    }

    /// How long it is.
    pub fn bytes_count(&self) -> usize {
        self.bytes.len()
    }

    /// Writes it to a path, under another name first, so that there is a whole one at any time.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("new");
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600); // it holds subscribers' numbers
        let mut file = options.open(&beside)?;
        file.write_all(&self.bytes)?;
        file.sync_all()?;
        std::fs::rename(beside, path)
    }

    // A look-up, in steps, each of which sends for what the next one reads.

    /// Sends for the slot that a number's look-up begins with.
    #[inline]
    pub fn begin(&self, number: u64) {
        prefetch(&self.bytes, self.slot(hash(number >> BLOCK_BITS)));
    }

    /// Finds the number's block, and sends for its bits.
    #[inline]
    pub fn find(&self, number: u64) -> Found {
        let block = number >> BLOCK_BITS;
        // An empty slot ends the search; there always is one. Bounded all the same, for the bytes are a file's.
        for place in (hash(block)..).take(self.slots_mask + 1) {
            let at = self.slot(place);
            let Some(slot) = self.bytes.get(at..at + SLOT_BYTES) else { break };
            let key = u64_at(slot, 0).unwrap_or_default();
            if key == block + 1 {
                let found = Found {
                    number,
                    at: self.blocks_at + u32_at(slot, 8).unwrap_or_default() as usize * LINE_BYTES,
                    kind: slot[12],
                    codes: slot[13].max(1),
                    combinations: u64_at(slot, 16).unwrap_or_default(),
                    narrow_at: self.blocks_at + u32_at(slot, 24).unwrap_or_default() as usize * LINE_BYTES,
                    narrow_count: u32_at(slot, 28).unwrap_or_default(),
                    is_there: true,
                    flags: 0,
                };
                let line = if found.kind == DENSE { (number as usize % BLOCK) / LINE_NUMBERS } else { 0 };
                prefetch(&self.bytes, found.at + line * LINE_BYTES);
                return found;
            }
            if key == 0 {
                break;
            }
        }
        Found::default()
    }

    /// Reads what the number holds in general, and sends for the narrower scopes where there are any.
    #[inline]
    pub fn look(&self, found: &mut Found) {
        if !found.is_there {
            return;
        }
        found.flags = self.flags(found).unwrap_or_default();
        if found.flags & (narrower(Channel::Sms) | narrower(Channel::Call)) != 0 {
            let bucket =
                if found.narrow_count as usize > UNINDEXED_MAX { found.number as usize % BLOCK / BUCKETS } else { 0 };
            prefetch(&self.bytes, found.narrow_at + 4 * bucket);
        }
    }

    /// What the number wants, once it was looked for.
    #[inline]
    pub fn stance_of(&self, probe: &Probe, found: &Found) -> Stance {
        let all = found.flags & refuses(probe.channel) != 0;
        if found.flags & narrower(probe.channel) == 0 {
            return if all { Stance::Refused } else { Stance::Silent };
        }
        probe.stance(self.narrow(found), all)
    }

    /// What a number wants.
    pub fn stance(&self, probe: &Probe, number: u64) -> Stance {
        let mut found = self.find(number);
        self.look(&mut found);
        self.stance_of(probe, &found)
    }

    /// The ids of all scopes that a number holds on a channel.
    pub fn held(&self, channel: Channel, number: u64) -> Vec<u32> {
        let mut found = self.find(number);
        self.look(&mut found);
        let all = (found.flags & refuses(channel) != 0).then_some(everything(channel));
        let narrow = if found.flags & narrower(channel) == 0 { None } else { Some(self.narrow(&found)) };
        let of_channel = |id: &u32| self.scopes.get(*id as usize).is_some_and(|scope| scope.0 == channel as u8);
        all.into_iter().chain(narrow.into_iter().flatten().filter(of_channel)).collect()
    }

    /// Shows every number with each scope that it holds; blocks come in no order.
    pub fn each(&self, mut seen: impl FnMut(u64, u32)) {
        for place in 0..=self.slots_mask {
            let Some(block) = u64_at(&self.bytes, self.slot(place)).unwrap_or_default().checked_sub(1) else {
                continue;
            };
            let mut found = self.find(block << BLOCK_BITS);
            let few = if found.kind == SPARSE { self.few(found.at) } else { None };
            let all = (0..if few.is_none() { BLOCK as u64 } else { 0 }).chain(few.into_iter().flatten());
            for within in all {
                found.number = block << BLOCK_BITS | within;
                found.flags = self.flags(&found).unwrap_or_default();
                for channel in [Channel::Sms, Channel::Call] {
                    if found.flags & refuses(channel) != 0 {
                        seen(found.number, everything(channel));
                    }
                }
                if found.flags & (narrower(Channel::Sms) | narrower(Channel::Call)) != 0 {
                    self.narrow(&found).for_each(|id| seen(found.number, id));
                }
            }
        }
    }

    #[inline]
    const fn slot(&self, place: usize) -> usize {
        self.directory_at + (place & self.slots_mask) * SLOT_BYTES
    }

    #[inline]
    fn flags(&self, found: &Found) -> Option<u8> {
        let within = found.number as usize % BLOCK;
        if found.kind == SPARSE {
            return self.flags_of_few(found.at, within);
        }
        let (line, bit) = (within / LINE_NUMBERS, within % LINE_NUMBERS);
        let bytes: &[u8; LINE_BYTES] = self.bytes.get(found.at + line * LINE_BYTES..)?.first_chunk()?;
        let word = |place: usize| u64::from_le_bytes(bytes[8 * place..8 * place + 8].try_into().expect("eight bytes"));
        let mut mask = word(bit / 64);
        if mask >> (bit % 64) & 1 == 0 {
            return Some(0);
        }
        mask &= (1 << (bit % 64)) - 1;
        let before = (0..bit / 64).map(|place| word(place).count_ones()).sum::<u32>() + mask.count_ones();
        let rank = usize::from(u16_at(bytes, LINE_BYTES - 2)?) + before as usize;
        let codes_at = found.at + LINES * LINE_BYTES;
        let code = match found.codes {
            1 => 0,
            3 => *self.bytes.get(codes_at + rank / TERNARY)? / POWERS_OF_3[rank % TERNARY] % 3,
            codes => {
                let bits = codes.ilog2() as usize;
                let byte = *self.bytes.get(codes_at + rank * bits / 8)?;
                byte >> (rank * bits % 8) & (codes - 1)
            }
        };
        Some((found.combinations >> (4 * (code & 15))) as u8 & 15)
    }

    /// The numbers of a list.
    fn few(&self, at: usize) -> Option<impl Iterator<Item = u64> + '_> {
        let count = u32_at(&self.bytes, at)? as usize;
        let numbers = self.bytes.get(at + 4..at + 4 + 2 * count)?.chunks_exact(2);
        Some(numbers.map(|number| u64::from(u16::from_le_bytes([number[0], number[1]]))))
    }

    /// A list: its length, the numbers in order, then their flags, two to a byte.
    #[inline]
    fn flags_of_few(&self, at: usize, within: usize) -> Option<u8> {
        let count = u32_at(&self.bytes, at)? as usize;
        let numbers = self.bytes.get(at + 4..at + 4 + 2 * count)?;
        let place = place_of(numbers, within as u16);
        if place == count || u16_at(numbers, 2 * place)? != within as u16 {
            return Some(0);
        }
        let byte = *self.bytes.get(at + 4 + 2 * count + place / 2)?;
        Some(byte >> (4 * (place % 2)) & 15)
    }

    /// The ids of the narrower scopes of a number.
    fn narrow(&self, found: &Found) -> impl Iterator<Item = u32> + '_ {
        let count = found.narrow_count as usize;
        let within = found.number as usize % BLOCK;
        let (first, last, scopes_at) = self.narrow_span(found.narrow_at, count, within).unwrap_or_default();
        let width = self.scope_bytes;
        (first..last).map_while(move |place| {
            let at = scopes_at + width * place;
            if width == 2 { u16_at(&self.bytes, at).map(u32::from) } else { u32_at(&self.bytes, at) }
        })
    }

    /// Which places among the block's narrower scopes are the number's, and where the scopes begin.
    #[inline]
    fn narrow_span(&self, at: usize, count: usize, within: usize) -> Option<(usize, usize, usize)> {
        if count <= UNINDEXED_MAX {
            let numbers = self.bytes.get(at..at + 2 * count)?;
            let first = place_of(numbers, within as u16);
            let run =
                numbers[2 * first..].chunks_exact(2).take_while(|number| **number == (within as u16).to_le_bytes());
            return Some((first, first + run.count(), at + 2 * count));
        }
        let bucket = within / BUCKETS;
        let begin = u32_at(&self.bytes, at + 4 * bucket)? as usize;
        let end = (u32_at(&self.bytes, at + 4 * bucket + 4)? as usize).min(count);
        let lows_at = at + 4 * (BLOCK / BUCKETS + 1);
        let lows = self.bytes.get(lows_at + begin..lows_at + end)?;
        let low = (within % BUCKETS) as u8;
        let first = begin + lows.iter().take_while(|other| **other < low).count();
        let run = lows[first - begin..].iter().take_while(|other| **other == low).count();
        Some((first, first + run, lows_at + count))
    }
}

/// The place of the first of sorted numbers that is not below this one.
#[inline]
fn place_of(numbers: &[u8], wanted: u16) -> usize {
    let (mut low, mut high) = (0, numbers.len() / 2);
    while low < high {
        let middle = low.midpoint(high);
        if u16_at(numbers, 2 * middle).is_some_and(|number| number < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

fn names_of(bytes: &[u8]) -> Option<Vec<Named>> {
    let count = u32_at(bytes, 0)? as usize;
    let mut at = 4;
    let mut scopes = Vec::new();
    for _ in 0..count {
        let (channel, refusal) = (*bytes.get(at)?, *bytes.get(at + 1)?);
        at += 2;
        let mut name = || {
            let length = u32_at(bytes, at)?;
            at += 4;
            if length == u32::MAX {
                return Some(None);
            }
            let text = std::str::from_utf8(bytes.get(at..at.checked_add(length as usize)?)?).ok()?;
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
    if bytes.len() < HEADER_BYTES {
        return;
    }
    let length = bytes.len();
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let names = usize::from(bytes[24]).min(length - HEADER_BYTES);
    let directory = (SLOT_BYTES << (bytes[32] % 4)).min(length - HEADER_BYTES - names);
    let blocks_at = HEADER_BYTES + names + directory;
    for (place, field) in [length, names, directory, blocks_at, length - blocks_at].into_iter().enumerate() {
        bytes[16 + 8 * place..24 + 8 * place].copy_from_slice(&(field as u64).to_le_bytes());
    }
    let parts = [HEADER_BYTES..HEADER_BYTES + names, HEADER_BYTES + names..blocks_at, blocks_at..length];
    for (place, part) in parts.into_iter().enumerate() {
        let crc = crc32c::crc32c(&bytes[part]);
        bytes[64 + 4 * place..68 + 4 * place].copy_from_slice(&crc.to_le_bytes());
    }
    let crc = crc32c::crc32c(&bytes[..HEADER_BYTES - 4]);
    bytes[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
}
