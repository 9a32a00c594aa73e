//! The flags of a block with few numbers: how many there are, the numbers in order, then their flags, two to a byte.

use super::format::{u16_at, u32_at};
use crate::prefetch::LINE_BYTES;

/// Where a list begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    /// In lines from the beginning of the blocks.
    pub(super) line: u32,
}

impl List {
    /// The flags of a number within the block. A binary search.
    #[inline]
    pub(super) fn flags(self, blocks: &[u8], within: u16) -> Option<u8> {
        let (numbers, flags_at) = self.span(blocks)?;
        let place = place_of(numbers, within);
        if u16_at(numbers, 2 * place) != Some(within) {
            return Some(0);
        }
        let byte = *blocks.get(flags_at + place / 2)?;
        Some(byte >> (4 * (place % 2)) & 15)
    }

    /// The numbers within the block, in order.
    pub(super) fn numbers(self, blocks: &[u8]) -> Option<impl Iterator<Item = u16> + '_> {
        let (numbers, _) = self.span(blocks)?;
        Some(numbers.chunks_exact(2).map(|number| u16::from_le_bytes([number[0], number[1]])))
    }

    /// The bytes of the numbers, and where their flags begin.
    #[inline]
    fn span(self, blocks: &[u8]) -> Option<(&[u8], usize)> {
        let at = self.line as usize * LINE_BYTES;
        let flags_at = at + 4 + 2 * u32_at(blocks, at)? as usize;
        Some((blocks.get(at + 4..flags_at)?, flags_at))
    }

    /// Puts the flags of these numbers within a block, in order, on a line.
    pub(super) fn put(blocks: &mut Vec<u8>, flags: &[u8], numbers: &[u16]) {
        blocks.extend_from_slice(&(numbers.len() as u32).to_le_bytes());
        for within in numbers {
            blocks.extend_from_slice(&within.to_le_bytes());
        }
        let flags: Vec<u8> = numbers.iter().map(|within| flags[usize::from(*within)]).collect();
        blocks.extend(flags.chunks(2).map(|pair| pair[0] | pair.get(1).unwrap_or(&0) << 4));
    }
}

/// The place of the first of sorted numbers, two bytes each, that is not below this one.
#[inline]
pub(super) fn place_of(numbers: &[u8], wanted: u16) -> usize {
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
