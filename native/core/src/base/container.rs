//! The flags of a block's numbers, in one of two forms: whichever takes less room.

use super::bits::Bits;
use super::format::{BITS_NUMBERS_MIN, BLOCK, Damaged, align};
use super::list::List;

/// Which form the flags of a block have, and where they are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Container {
    /// There is no such block.
    #[default]
    Absent,
    /// Few numbers.
    List(List),
    /// Many.
    Bits(Bits),
}

impl Container {
    /// The line to prefetch for a number within the block.
    #[inline]
    pub(super) fn line_of(self, within: u16) -> usize {
        match self {
            Self::Absent => 0,
            Self::List(list) => list.line as usize,
            Self::Bits(bits) => bits.line_of(within),
        }
    }

    /// The flags of a number within the block.
    #[inline]
    pub(super) fn flags(self, blocks: &[u8], within: u16) -> u8 {
        let flags = match self {
            Self::Absent => None,
            Self::List(list) => list.flags(blocks, within),
            Self::Bits(bits) => bits.flags(blocks, within),
        };
        flags.unwrap_or_default()
    }

    /// The numbers within the block that may have flags.
    pub(super) fn numbers(self, blocks: &[u8]) -> impl Iterator<Item = u16> + '_ {
        let (all, listed) = match self {
            Self::Absent => (0, None),
            Self::List(list) => (0, list.numbers(blocks)),
            Self::Bits(_) => (BLOCK, None),
        };
        (0..all).map(|within| within as u16).chain(listed.into_iter().flatten())
    }

    /// Puts the flags of a whole block, of which these numbers, in order, have any. Where they are few it does not look at
    /// the others.
    pub(super) fn put(blocks: &mut Vec<u8>, flags: &[u8], numbers: &[u16]) -> Result<Self, Damaged> {
        let line = align(blocks)?;
        Ok(if numbers.len() < BITS_NUMBERS_MIN {
            List::put(blocks, flags, numbers);
            Self::List(List { line })
        } else {
            let (codes, combinations) = Bits::put(blocks, flags);
            Self::Bits(Bits { line, codes, combinations })
        })
    }
}
