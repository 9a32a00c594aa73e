//! The narrower scopes of a block: pairs of a number and a scope's id, sorted by both; many have an index.

use super::format::{BLOCK, BUCKET, Damaged, UNINDEXED_MAX, align, u16_at, u32_at};
use super::list::place_of;
use crate::prefetch::LINE_BYTES;

/// Where a block's narrower scopes begin, and how many there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Narrow {
    /// In lines from the beginning of the blocks.
    pub(super) line: u32,
    pub(super) count: u32,
}

/// The places of a number's pairs, and where the ids of all pairs begin.
type Span = (usize, usize, usize);

impl Narrow {
    /// Where a look-up of a number within the block begins: what to prefetch.
    #[inline]
    pub(super) fn begin_of(self, within: u16) -> usize {
        let bucket = if self.count as usize > UNINDEXED_MAX { usize::from(within) / BUCKET } else { 0 };
        self.at() + 4 * bucket
    }

    /// The ids of a number within the block, each of so many bytes.
    pub(super) fn ids(self, blocks: &[u8], within: u16, id_bytes: usize) -> impl Iterator<Item = u32> + '_ {
        let span = if self.count as usize <= UNINDEXED_MAX {
            self.unindexed(blocks, within)
        } else {
            self.indexed(blocks, within)
        };
        let (first, last, ids_at) = span.unwrap_or_default();
        (first..last).map_while(move |place| {
            let at = ids_at + id_bytes * place;
            if id_bytes == 2 { u16_at(blocks, at).map(u32::from) } else { u32_at(blocks, at) }
        })
    }

    #[inline]
    const fn at(self) -> usize {
        self.line as usize * LINE_BYTES
    }

    #[inline]
    fn unindexed(self, blocks: &[u8], within: u16) -> Option<Span> {
        let (at, count) = (self.at(), self.count as usize);
        let numbers = blocks.get(at..at + 2 * count)?;
        let first = place_of(numbers, within);
        let run = numbers[2 * first..].chunks_exact(2).take_while(|number| **number == within.to_le_bytes());
        Some((first, first + run.count(), at + 2 * count))
    }

    #[inline]
    fn indexed(self, blocks: &[u8], within: u16) -> Option<Span> {
        let (at, count) = (self.at(), self.count as usize);
        let bucket = usize::from(within) / BUCKET;
        let begin = u32_at(blocks, at + 4 * bucket)? as usize;
        let end = (u32_at(blocks, at + 4 * bucket + 4)? as usize).min(count);
        let lows_at = at + 4 * (BLOCK / BUCKET + 1);
        let lows = blocks.get(lows_at + begin..lows_at + end)?;
        let low = within as u8;
        let first = begin + lows.iter().take_while(|other| **other < low).count();
        let run = lows[first - begin..].iter().take_while(|other| **other == low).count();
        Some((first, first + run, lows_at + count))
    }

    /// Puts a block's pairs, sorted, with ids of so many bytes.
    pub(super) fn put(blocks: &mut Vec<u8>, pairs: &[(u64, u32)], id_bytes: usize) -> Result<Self, Damaged> {
        let line = align(blocks)?;
        if pairs.len() <= UNINDEXED_MAX {
            for (number, _) in pairs {
                blocks.extend_from_slice(&(*number as u16).to_le_bytes());
            }
        } else {
            for bucket in 0..=BLOCK / BUCKET {
                let before = pairs.partition_point(|(number, _)| (*number as usize % BLOCK) / BUCKET < bucket);
                blocks.extend_from_slice(&(before as u32).to_le_bytes());
            }
            blocks.extend(pairs.iter().map(|(number, _)| *number as u8));
        }
        for (_, id) in pairs {
            blocks.extend_from_slice(&id.to_le_bytes()[..id_bytes]);
        }
        let count = u32::try_from(pairs.len()).map_err(|_| Damaged("too many scopes"))?;
        Ok(Self { line, count })
    }
}
