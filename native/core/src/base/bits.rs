//! The flags of a block with many numbers: a bit for each of 65,536, and a code for each that is set.
//!
//! The bits of 496 numbers stand in one line of the cache, beside the count of those set in the lines before it: so one line
//! tells most numbers that they hold nothing, and a second one tells the others what they hold. A code takes no more bits
//! than the block has combinations of flags.

use super::format::{LINE_NUMBERS, LINES, TERNARY, u16_at};
use crate::prefetch::LINE_BYTES;

/// What each digit of base 3 in a byte is worth.
const POWERS_OF_3: [u8; TERNARY] = [1, 3, 9, 27, 81];

/// Where the bits begin, and what the codes behind them mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits {
    /// In lines from the beginning of the blocks.
    pub(super) line: u32,
    /// How many codes there are: 1, 2, 3, 4 or 16.
    pub(super) codes: u8,
    /// The flags that each code stands for, four bits each, those of code 0 lowest.
    pub(super) combinations: u64,
}

impl Bits {
    /// The line that tells whether a number within the block holds anything.
    #[inline]
    pub(super) fn line_of(self, within: u16) -> usize {
        self.line as usize + usize::from(within) / LINE_NUMBERS
    }

    /// The flags of a number within the block.
    #[inline]
    pub(super) fn flags(self, blocks: &[u8], within: u16) -> Option<u8> {
        let bit = usize::from(within) % LINE_NUMBERS;
        let bytes: &[u8; LINE_BYTES] = blocks.get(self.line_of(within) * LINE_BYTES..)?.first_chunk()?;
        let word = |place: usize| u64::from_le_bytes(bytes[8 * place..8 * place + 8].try_into().expect("eight bytes"));
        let mut mask = word(bit / 64);
        if mask >> (bit % 64) & 1 == 0 {
            return Some(0);
        }
        mask &= (1 << (bit % 64)) - 1;
        let before = (0..bit / 64).map(|place| word(place).count_ones()).sum::<u32>() + mask.count_ones();
        let rank = usize::from(u16_at(bytes, LINE_BYTES - 2)?) + before as usize;
        let code = self.code(blocks, rank)?;
        Some((self.combinations >> (4 * (code & 15))) as u8 & 15)
    }

    /// The code of the number before which so many are set.
    #[inline]
    fn code(self, blocks: &[u8], rank: usize) -> Option<u8> {
        let codes_at = (self.line as usize + LINES) * LINE_BYTES;
        Some(match self.codes {
            1 => 0,
            3 => *blocks.get(codes_at + rank / TERNARY)? / POWERS_OF_3[rank % TERNARY] % 3,
            codes => {
                let bits = codes.ilog2() as usize;
                let byte = *blocks.get(codes_at + rank * bits / 8)?;
                byte >> (rank * bits % 8) & (codes - 1)
            }
        })
    }

    /// Puts the flags of a block on a line; how many codes there are, and what they mean.
    pub(super) fn put(blocks: &mut Vec<u8>, flags: &[u8]) -> (u8, u64) {
        let mut combinations: Vec<u8> = flags.iter().copied().filter(|flags| *flags != 0).collect();
        combinations.sort_unstable();
        combinations.dedup();
        let codes = match combinations.len() {
            few @ 1..=4 => few as u8,
            _ => 16,
        };
        put_lines(blocks, flags);
        let held = flags.iter().filter(|flags| **flags != 0);
        let code_of = |flags: &u8| combinations.iter().position(|other| other == flags).expect("one of them") as u8;
        put_codes(blocks, codes, &held.map(code_of).collect::<Vec<u8>>());
        (codes, combinations.iter().rev().fold(0u64, |all, flags| all << 4 | u64::from(*flags)))
    }
}

fn put_lines(blocks: &mut Vec<u8>, flags: &[u8]) {
    let mut before = 0usize;
    for numbers in flags.chunks(LINE_NUMBERS) {
        let mut line = [0u8; LINE_BYTES];
        for (place, flags) in numbers.iter().enumerate() {
            line[place / 8] |= u8::from(*flags != 0) << (place % 8);
        }
        line[LINE_BYTES - 2..].copy_from_slice(&(before as u16).to_le_bytes());
        before += numbers.iter().filter(|flags| **flags != 0).count();
        blocks.extend_from_slice(&line);
    }
}

fn put_codes(blocks: &mut Vec<u8>, codes: u8, codes_of: &[u8]) {
    match codes {
        1 => {}
        3 => {
            let worth = |some: &[u8]| some.iter().zip(POWERS_OF_3).map(|(code, power)| code * power).sum::<u8>();
            blocks.extend(codes_of.chunks(TERNARY).map(worth));
        }
        _ => {
            let bits = codes.ilog2() as usize;
            let packed = |some: &[u8]| some.iter().rev().fold(0, |byte, code| byte << bits | code);
            blocks.extend(codes_of.chunks(8 / bits).map(packed));
        }
    }
}
