//! The directory: a hash table from a block to where its flags and its narrower scopes lie.

use super::bits::Bits;
use super::container::Container;
use super::format::{BITS_FORM, FORM_AT, LIST_FORM, SLOT_BYTES, u32_at, u64_at};
use super::list::List;
use super::narrow::Narrow;

/// A block, and where its parts lie.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) block: u64,
    pub(super) container: Container,
    pub(super) narrow: Narrow,
}

/// A directory's hash of a block (Fibonacci hashing; Knuth, *The Art of Computer Programming*, 6.4).
#[inline]
pub(super) const fn hash(block: u64) -> usize {
    (block.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
}

/// What a slot is found by: its block and one more; 0 where it is free.
#[inline]
pub(super) fn key(slot: &[u8; SLOT_BYTES]) -> u64 {
    u64_at(slot, 0).unwrap_or_default()
}

/// Where the flags and the narrower scopes of a slot's block lie.
#[inline]
pub(super) fn parts(slot: &[u8; SLOT_BYTES]) -> (Container, Narrow) {
    let u32_at = |at: usize| u32_at(slot, at).unwrap_or_default();
    let line = u32_at(8);
    let container = if slot[FORM_AT] == LIST_FORM {
        Container::List(List { line })
    } else {
        let combinations = u64_at(slot, 16).unwrap_or_default();
        Container::Bits(Bits { line, codes: slot[13].max(1), combinations })
    };
    (container, Narrow { line: u32_at(24), count: u32_at(28) })
}

impl Slot {
    fn encoded(&self) -> [u8; SLOT_BYTES] {
        let (line, form, codes, combinations) = match self.container {
            Container::Absent => unreachable!("a slot is of a block"),
            Container::List(List { line }) => (line, LIST_FORM, 1, 0),
            Container::Bits(Bits { line, codes, combinations }) => (line, BITS_FORM, codes, combinations),
        };
        let mut slot = [0; SLOT_BYTES];
        slot[..8].copy_from_slice(&(self.block + 1).to_le_bytes());
        slot[8..12].copy_from_slice(&line.to_le_bytes());
        slot[FORM_AT] = form;
        slot[13] = codes;
        slot[16..24].copy_from_slice(&combinations.to_le_bytes());
        slot[24..28].copy_from_slice(&self.narrow.line.to_le_bytes());
        slot[28..].copy_from_slice(&self.narrow.count.to_le_bytes());
        slot
    }
}

/// The directory of these slots: a power of two, twice as many as there are blocks, so that every search ends at a free one.
pub(super) fn encoded(slots: &[Slot]) -> Vec<u8> {
    let count = (2 * slots.len()).next_power_of_two().max(2);
    let mut directory = vec![0u8; count * SLOT_BYTES];
    let (places, _) = directory.as_chunks_mut::<SLOT_BYTES>();
    for slot in slots {
        let mut place = hash(slot.block) & (count - 1);
        while key(&places[place]) != 0 {
            place = (place + 1) & (count - 1);
        }
        places[place] = slot.encoded();
    }
    directory
}
