//! Making the bytes of a base out of Roaring bitmaps (docs/base.md).
//!
//! Promises a base that `base` reads, and that holds of every number what the bitmaps held.

use crate::ahead::LINE_BYTES;
use crate::base::{
    BLOCK, BLOCK_BITS, BUCKETS, DENSE, Damaged, HEADER_BYTES, LINE_NUMBERS, MAGIC, Named, ORIGIN_AT, ORIGIN_BYTES,
    POWERS_OF_3, SLOT_BYTES, SPARSE, SPARSE_MAX, TERNARY, UNINDEXED_MAX, VERSION, hash,
};
use roaring::RoaringTreemap;

/// Makes the bytes of a base out of Roaring bitmaps.
#[derive(Debug)]
pub struct Builder {
    scopes: Vec<Named>,
    everything: [RoaringTreemap; 2],
    /// (number, id) of all narrower scopes
    narrower: Vec<(u64, u32)>,
}

impl Builder {
    /// A builder for these scopes, of which the first two must be the refusals of everything.
    pub fn new(scopes: Vec<Named>) -> Self {
        Self { scopes, everything: [RoaringTreemap::new(), RoaringTreemap::new()], narrower: Vec::new() }
    }

    /// The numbers that hold the scope of an id.
    pub fn put(&mut self, id: u32, numbers: RoaringTreemap) {
        match self.everything.get_mut(id as usize) {
            Some(general) => *general |= numbers,
            None => self.narrower.extend(numbers.iter().map(|number| (number, id))),
        }
    }

    /// A number that holds the scope of an id.
    pub fn add(&mut self, number: u64, id: u32) {
        match self.everything.get_mut(id as usize) {
            Some(general) => _ = general.insert(number),
            None => self.narrower.push((number, id)),
        }
    }

    /// The bytes. Costs some 20 ns a number, and their length twice for a while.
    pub fn finish(mut self, origin: &[u8; ORIGIN_BYTES]) -> Result<Vec<u8>, Damaged> {
        self.narrower.sort_unstable();
        let width = if self.scopes.len() <= usize::from(u16::MAX) { 2 } else { 4 };
        let channels: Vec<u8> = self.scopes.iter().map(|scope| scope.0).collect();
        let mut generals = self.everything.each_ref().map(|general| general.iter().peekable());
        let mut narrower_left = &self.narrower[..];
        let mut slots: Vec<(u64, [u8; SLOT_BYTES])> = Vec::new();
        let mut blocks: Vec<u8> = Vec::new();
        let mut flags = vec![0u8; BLOCK];
        let mut few: Vec<u16> = Vec::new();
        let mut numbers_count = 0u64;
        loop {
            let heads = generals.iter_mut().filter_map(|general| general.peek().copied());
            let Some(head) = heads.chain(narrower_left.first().map(|(number, _)| *number)).min() else { break };
            let block = head >> BLOCK_BITS;
            few.clear();
            let mut mark = |number: u64, flag: u8| {
                let flags = &mut flags[number as usize % BLOCK];
                if *flags == 0 {
                    few.push(number as u16);
                }
                *flags |= flag;
            };
            for (channel, general) in generals.iter_mut().enumerate() {
                while let Some(number) = general.next_if(|number| number >> BLOCK_BITS == block) {
                    mark(number, 1 << channel);
                }
            }
            let count = narrower_left.partition_point(|(number, _)| number >> BLOCK_BITS == block);
            let (here, rest) = narrower_left.split_at(count);
            narrower_left = rest;
            for (number, id) in here {
                mark(*number, 4 << channels[*id as usize]);
            }
            few.sort_unstable();
            let (at, kind, codes, combinations) = put_flags(&mut blocks, &flags, &few);
            let narrow_at = put_narrower(&mut blocks, here, width);
            let lines = |at: usize| u32::try_from(at / LINE_BYTES).map_err(|_| Damaged("more than 256 GB"));
            let mut slot = [0; SLOT_BYTES];
            slot[..8].copy_from_slice(&(block + 1).to_le_bytes());
            slot[8..12].copy_from_slice(&lines(at)?.to_le_bytes());
            slot[12] = kind;
            slot[13] = codes;
            slot[16..24].copy_from_slice(&combinations.to_le_bytes());
            slot[24..28].copy_from_slice(&lines(narrow_at)?.to_le_bytes());
            slot[28..]
                .copy_from_slice(&u32::try_from(here.len()).map_err(|_| Damaged("too many scopes"))?.to_le_bytes());
            slots.push((block, slot));
            numbers_count += few.len() as u64;
            few.iter().for_each(|within| flags[usize::from(*within)] = 0);
        }
        Ok(put_together(&self.scopes, &slots, &blocks, numbers_count, origin))
    }
}

fn align(bytes: &mut Vec<u8>) -> usize {
    bytes.resize(bytes.len().next_multiple_of(LINE_BYTES), 0);
    bytes.len()
}

/// Puts a block's flags, of the numbers that have any; returns where they begin, in which form, and the meaning of their
/// codes. Where these are few it does not look at the others.
fn put_flags(blocks: &mut Vec<u8>, flags: &[u8], numbers: &[u16]) -> (usize, u8, u8, u64) {
    let at = align(blocks);
    if numbers.len() < SPARSE_MAX {
        blocks.extend_from_slice(&(numbers.len() as u32).to_le_bytes());
        for within in numbers {
            blocks.extend_from_slice(&within.to_le_bytes());
        }
        let flags: Vec<u8> = numbers.iter().map(|within| flags[usize::from(*within)]).collect();
        blocks.extend(flags.chunks(2).map(|pair| pair[0] | pair.get(1).unwrap_or(&0) << 4));
        return (at, SPARSE, 1, 0);
    }
    let mut combinations: Vec<u8> = flags.iter().copied().filter(|flags| *flags != 0).collect();
    combinations.sort_unstable();
    combinations.dedup();
    let codes = match combinations.len() {
        few @ 1..=4 => few,
        _ => 16,
    };
    let mut before = 0usize;
    for line in flags.chunks(LINE_NUMBERS) {
        let mut bits = [0u8; LINE_BYTES];
        for (place, flags) in line.iter().enumerate() {
            bits[place / 8] |= u8::from(*flags != 0) << (place % 8);
        }
        bits[LINE_BYTES - 2..].copy_from_slice(&(before as u16).to_le_bytes());
        before += line.iter().filter(|flags| **flags != 0).count();
        blocks.extend_from_slice(&bits);
    }
    let held = flags.iter().filter(|flags| **flags != 0);
    let code_of = |flags: &u8| combinations.iter().position(|other| other == flags).expect("one of them") as u8;
    let codes_of: Vec<u8> = held.map(code_of).collect();
    match codes {
        1 => {}
        3 => blocks.extend(
            codes_of
                .chunks(TERNARY)
                .map(|some| some.iter().zip(POWERS_OF_3).map(|(code, power)| code * power).sum::<u8>()),
        ),
        _ => {
            let bits = codes.ilog2() as usize;
            let packed = |some: &[u8]| some.iter().rev().fold(0, |byte, code| byte << bits | code);
            blocks.extend(codes_of.chunks(8 / bits).map(packed));
        }
    }
    let meaning = combinations.iter().rev().fold(0u64, |all, flags| all << 4 | u64::from(*flags));
    (at, DENSE, codes as u8, meaning)
}

/// Puts a block's narrower scopes; returns where they begin.
fn put_narrower(blocks: &mut Vec<u8>, here: &[(u64, u32)], width: usize) -> usize {
    let at = align(blocks);
    if here.len() <= UNINDEXED_MAX {
        for (number, _) in here {
            blocks.extend_from_slice(&(*number as u16).to_le_bytes());
        }
    } else {
        for bucket in 0..=BLOCK / BUCKETS {
            let before = here.partition_point(|(number, _)| (*number as usize % BLOCK) / BUCKETS < bucket);
            blocks.extend_from_slice(&(before as u32).to_le_bytes());
        }
        blocks.extend(here.iter().map(|(number, _)| *number as u8));
    }
    for (_, id) in here {
        blocks.extend_from_slice(&id.to_le_bytes()[..width]);
    }
    at
}

fn put_together(
    scopes: &[Named],
    slots: &[(u64, [u8; SLOT_BYTES])],
    blocks: &[u8],
    numbers_count: u64,
    origin: &[u8],
) -> Vec<u8> {
    let mut names = (scopes.len() as u32).to_le_bytes().to_vec();
    for (channel, refusal, sender, category) in scopes {
        names.extend_from_slice(&[*channel, u8::from(*refusal)]);
        for name in [sender, category] {
            let length = name.as_ref().map_or(u32::MAX, |name| name.len() as u32);
            names.extend_from_slice(&length.to_le_bytes());
            names.extend_from_slice(name.as_deref().unwrap_or_default().as_bytes());
        }
    }
    names.resize(names.len().next_multiple_of(LINE_BYTES), 0);
    let count = (2 * slots.len()).next_power_of_two().max(2);
    let mut directory = vec![0u8; count * SLOT_BYTES];
    for (block, slot) in slots {
        let mut place = hash(*block) & (count - 1);
        while directory[place * SLOT_BYTES..place * SLOT_BYTES + 8] != [0; 8] {
            place = (place + 1) & (count - 1);
        }
        directory[place * SLOT_BYTES..(place + 1) * SLOT_BYTES].copy_from_slice(slot);
    }
    let blocks_at = HEADER_BYTES + names.len() + directory.len();
    let mut header = [0u8; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let fields = [blocks_at + blocks.len(), names.len(), directory.len(), blocks_at, blocks.len()];
    for (place, field) in fields.iter().enumerate() {
        header[16 + 8 * place..24 + 8 * place].copy_from_slice(&(*field as u64).to_le_bytes());
    }
    header[56..64].copy_from_slice(&numbers_count.to_le_bytes());
    for (place, part) in [&names[..], &directory, blocks].into_iter().enumerate() {
        header[64 + 4 * place..68 + 4 * place].copy_from_slice(&crc32c::crc32c(part).to_le_bytes());
    }
    header[ORIGIN_AT..ORIGIN_AT + ORIGIN_BYTES].copy_from_slice(origin);
    let crc = crc32c::crc32c(&header[..HEADER_BYTES - 4]);
    header[HEADER_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    let mut bytes = Vec::with_capacity(blocks_at + blocks.len());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&names);
    bytes.extend_from_slice(&directory);
    bytes.extend_from_slice(blocks);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Base;
    use crate::wills::{Channel, Probe, Stance};

    fn scopes() -> Vec<Named> {
        let names = [
            (0, true, None, None),
            (1, true, None, None),
            (0, false, Some("A"), Some("x")),
            (0, true, Some("A"), None),
            (1, false, Some("B"), Some("y")),
        ];
        let text = |name: Option<&str>| name.map(str::to_owned);
        names.map(|(channel, refusal, sender, category)| (channel, refusal, text(sender), text(category))).to_vec()
    }

    /// Numbers of every density, and what each holds, by a rule that is easy to see.
    fn held(number: u64, id: u32) -> bool {
        match number >> BLOCK_BITS {
            1_000 => number.is_multiple_of(3) && (number / 3) % 5 == u64::from(id),
            1_001 => number % 100 == u64::from(id),
            2_000_000 => number % 4 == 1 && id == 0,
            3_000_000 => number % 7 == 1 && id < 2,
            4_000_000 => number % 1_000 == 5,
            // Two, three and four things that a number may hold.
            6_000_000 => number.is_multiple_of(4) && number / 4 % 2 == u64::from(id),
            7_000_000 => number.is_multiple_of(4) && (number / 4 % 3 == u64::from(id) || number / 4 % 3 == 2) && id < 2,
            8_000_000 => number.is_multiple_of(4) && number / 4 % 4 == u64::from(id),
            _ => false,
        }
    }

    const BLOCKS: [u64; 9] =
        [1_000, 1_001, 2_000_000, 3_000_000, 4_000_000, 5_000_000, 6_000_000, 7_000_000, 8_000_000];

    fn built() -> Vec<u8> {
        let mut builder = Builder::new(scopes());
        for id in 0..5 {
            let mut numbers = RoaringTreemap::new();
            for block in BLOCKS {
                numbers.extend((block << 16..(block + 1) << 16).filter(|number| held(*number, id)));
            }
            builder.put(id, numbers);
        }
        builder.finish(b"the numbers of a test: 32 bytes.").expect("small")
    }

    #[test]
    fn every_number_holds_what_it_was_built_with() {
        let base = Base::of_bytes(built()).expect("our own bytes");
        let channels = [Channel::Sms, Channel::Call];
        for block in BLOCKS {
            for number in block << 16..(block + 1) << 16 {
                for channel in channels {
                    let wanted: Vec<u32> =
                        (0..5).filter(|id| scopes()[*id as usize].0 == channel as u8 && held(number, *id)).collect();
                    assert_eq!(base.held(channel, number), wanted, "{number}");
                }
            }
        }
        assert!(base.held(Channel::Sms, 7).is_empty());
        assert_eq!(base.scopes(), scopes());
        assert_eq!(base.origin(), b"the numbers of a test: 32 bytes.");
    }

    #[test]
    fn a_base_shows_all_that_it_was_built_with() {
        let base = Base::of_bytes(built()).expect("our own bytes");
        let mut builder = Builder::new(scopes());
        base.each(|number, id| builder.add(number, id));
        assert!(builder.finish(b"the numbers of a test: 32 bytes.") == Ok(built()));
    }

    #[test]
    fn a_stance_is_that_of_what_is_held() {
        let base = Base::of_bytes(built()).expect("our own bytes");
        let probe = Probe { channel: Channel::Sms, consent: 2, refusals: [3, u32::MAX, u32::MAX] };
        for block in BLOCKS {
            for number in block << 16..(block + 1) << 16 {
                let wanted = if held(number, 2) {
                    Stance::Consented
                } else if held(number, 0) || held(number, 3) {
                    Stance::Refused
                } else {
                    Stance::Silent
                };
                assert_eq!(base.stance(&probe, number), wanted, "{number}");
            }
        }
    }

    #[test]
    fn any_byte_that_changes_is_found() {
        let whole = built();
        for at in (0..whole.len()).step_by(97).chain(0..HEADER_BYTES) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            assert!(Base::of_bytes(damaged).is_err(), "{at}");
        }
        assert!(Base::of_bytes(whole[..whole.len() - 1].to_vec()).is_err());
        assert!(Base::of_bytes(Vec::new()).is_err());
    }
}
