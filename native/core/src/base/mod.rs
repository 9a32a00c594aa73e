//! The base: what every number held at one moment, in one immutable run of bytes that may be mapped into memory.
//!
//! Numbers are grouped in blocks of 65,536 by their upper bits. One probe of a block's bits and codes answers at once
//! whether a number refuses everything, on either channel, and whether it holds anything narrower; only then are
//! the narrower scopes looked up. `docs/base.md` specifies the bytes. Promises that bytes whose checksums do not hold
//! are refused, and that no look-up reads outside of the bytes, whatever they hold.

mod bits;
mod builder;
mod container;
mod directory;
mod format;
mod list;
mod narrow;
#[cfg(test)]
mod tests;

pub use builder::Builder;
#[cfg(fuzzing)]
pub use format::mend_checksums;
pub use format::{Damaged, NamedScope, ORIGIN_BYTES};

use crate::prefetch::{LINE_BYTES, prefetch};
use crate::stance::{Channel, Probe, Stance, everything};
use container::Container;
use directory::hash;
use format::{BLOCK_BITS, Header, ORIGIN_AT, SLOT_BYTES, everything_flag, narrower_flag, scope_id_bytes};
use narrow::Narrow;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// The flags of a number that holds anything narrower, on whichever channel.
const ANY_NARROWER: u8 = narrower_flag(Channel::Sms as u8) | narrower_flag(Channel::Call as u8);

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

/// What every number held.
pub struct Base {
    bytes: Storage,
    scopes: Vec<NamedScope>,
    directory_at: usize,
    /// One less than the number of slots, which is a power of two.
    slots_mask: usize,
    blocks_at: usize,
    scope_id_bytes: usize,
    numbers_count: u64,
}

impl std::fmt::Debug for Base {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Base({} numbers, {} bytes)", self.numbers_count, self.bytes.len())
    }
}

/// Where a look-up has got to: the number's block as the directory has it, then the number's flags.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    number: u64,
    container: Container,
    narrow: Narrow,
    flags: u8,
}

impl Found {
    #[inline]
    const fn within(&self) -> u16 {
        self.number as u16
    }
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
        // change. If it is truncated all the same, this process ends with SIGBUS, and its supervisor starts another.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self::of(Storage::Mapped(map)))
    }

    fn of(bytes: Storage) -> Result<Self, Damaged> {
        let header = Header::verified(&bytes)?;
        let scopes = format::scopes_of(&bytes[header.scopes.clone()]).ok_or(Damaged("its scopes cannot be read"))?;
        Ok(Self {
            scope_id_bytes: scope_id_bytes(scopes.len()),
            scopes,
            directory_at: header.directory.start,
            slots_mask: header.directory.len() / SLOT_BYTES - 1,
            blocks_at: header.blocks.start,
            numbers_count: header.numbers_count,
            bytes,
        })
    }

    /// The scopes that are held, by id; the first two are the refusals of everything.
    pub fn scopes(&self) -> &[NamedScope] {
        &self.scopes
    }

    /// What it is of, as its maker named it.
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

    // A look-up, in steps, each of which prefetches what the next one reads.

    /// Prefetches the slot that a number's look-up begins with.
    #[inline]
    pub fn prefetch_slot(&self, number: u64) {
        prefetch(&self.bytes, self.slot_at(hash(number >> BLOCK_BITS)));
    }

    /// Finds the number's block, and prefetches its flags.
    #[inline]
    pub fn find_block(&self, number: u64) -> Found {
        let block = number >> BLOCK_BITS;
        // A free slot ends the search; there always is one. Bounded all the same, for the bytes are a file's.
        for place in (hash(block)..).take(self.slots_mask + 1) {
            let Some(slot) = self.slot(place) else { break };
            let key = directory::key(slot);
            if key == block + 1 {
                let (container, narrow) = directory::parts(slot);
                let found = Found { number, container, narrow, flags: 0 };
                prefetch(&self.bytes, self.blocks_at + container.line_of(found.within()) * LINE_BYTES);
                return found;
            }
            if key == 0 {
                break;
            }
        }
        Found::default()
    }

    /// Reads the number's flags, and prefetches the narrower scopes where there are any.
    #[inline]
    pub fn read_flags(&self, found: &mut Found) {
        if let Container::Absent = found.container {
            return;
        }
        found.flags = found.container.flags(self.blocks(), found.within());
        if found.flags & ANY_NARROWER != 0 {
            prefetch(&self.bytes, self.blocks_at + found.narrow.begin_of(found.within()));
        }
    }

    /// The number's stance, once its flags were read.
    #[inline]
    pub fn stance_of(&self, probe: &Probe, found: &Found) -> Stance {
        let all = found.flags & everything_flag(probe.channel as u8) != 0;
        if found.flags & narrower_flag(probe.channel as u8) == 0 {
            return if all { Stance::Refused } else { Stance::Silent };
        }
        probe.stance(self.narrow(found), all)
    }

    /// A number's stance, all steps in one.
    pub fn stance(&self, probe: &Probe, number: u64) -> Stance {
        let mut found = self.find_block(number);
        self.read_flags(&mut found);
        self.stance_of(probe, &found)
    }

    /// The ids of all scopes that a number holds on a channel.
    pub fn held(&self, channel: Channel, number: u64) -> Vec<u32> {
        let mut found = self.find_block(number);
        self.read_flags(&mut found);
        let all = (found.flags & everything_flag(channel as u8) != 0).then_some(everything(channel));
        let has_narrower = found.flags & narrower_flag(channel as u8) != 0;
        let narrow = has_narrower.then(|| self.narrow(&found));
        let of_channel = |id: &u32| self.scopes.get(*id as usize).is_some_and(|scope| scope.0 == channel as u8);
        all.into_iter().chain(narrow.into_iter().flatten().filter(of_channel)).collect()
    }

    /// Calls `seen` with every number and each scope that it holds; blocks come in no order.
    pub fn for_each(&self, mut seen: impl FnMut(u64, u32)) {
        for slot in (0..=self.slots_mask).filter_map(|place| self.slot(place)) {
            let Some(block) = directory::key(slot).checked_sub(1) else { continue };
            let mut found = self.find_block(block << BLOCK_BITS);
            for within in found.container.numbers(self.blocks()) {
                found.number = block << BLOCK_BITS | u64::from(within);
                found.flags = found.container.flags(self.blocks(), within);
                for channel in [Channel::Sms, Channel::Call] {
                    if found.flags & everything_flag(channel as u8) != 0 {
                        seen(found.number, everything(channel));
                    }
                }
                if found.flags & ANY_NARROWER != 0 {
                    self.narrow(&found).for_each(|id| seen(found.number, id));
                }
            }
        }
    }

    /// The ids of the narrower scopes of a number.
    fn narrow(&self, found: &Found) -> impl Iterator<Item = u32> + '_ {
        found.narrow.ids(self.blocks(), found.within(), self.scope_id_bytes)
    }

    #[inline]
    const fn slot_at(&self, place: usize) -> usize {
        self.directory_at + (place & self.slots_mask) * SLOT_BYTES
    }

    #[inline]
    fn slot(&self, place: usize) -> Option<&[u8; SLOT_BYTES]> {
        self.bytes.get(self.slot_at(place)..)?.first_chunk()
    }

    #[inline]
    fn blocks(&self) -> &[u8] {
        self.bytes.get(self.blocks_at..).unwrap_or_default()
    }
}
