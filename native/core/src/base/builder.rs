//! Making the bytes of a base out of Roaring bitmaps (docs/base.md).
//!
//! Promises bytes that `Base` reads, and that holds of every number what the bitmaps held.

use super::container::Container;
use super::directory::{self, Slot};
use super::format::{
    self, BLOCK, BLOCK_BITS, Damaged, NamedScope, ORIGIN_BYTES, everything_flag, narrower_flag, scope_id_bytes,
};
use super::narrow::Narrow;
use roaring::RoaringTreemap;

/// Makes the bytes of a base out of Roaring bitmaps.
#[derive(Debug)]
pub struct Builder {
    scopes: Vec<NamedScope>,
    everything: [RoaringTreemap; 2],
    /// (number, id) of all narrower scopes
    narrower: Vec<(u64, u32)>,
}

impl Builder {
    /// A builder for these scopes, of which the first two must be the refusals of everything.
    pub fn new(scopes: Vec<NamedScope>) -> Self {
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
        let id_bytes = scope_id_bytes(self.scopes.len());
        let channels: Vec<u8> = self.scopes.iter().map(|scope| scope.0).collect();
        let mut generals = self.everything.each_ref().map(|general| general.iter().peekable());
        let mut rest = &self.narrower[..];
        let mut slots: Vec<Slot> = Vec::new();
        let mut blocks: Vec<u8> = Vec::new();
        let mut flags = vec![0u8; BLOCK];
        let mut numbers: Vec<u16> = Vec::new();
        let mut numbers_count = 0u64;
        loop {
            let heads = generals.iter_mut().filter_map(|general| general.peek().copied());
            let Some(head) = heads.chain(rest.first().map(|(number, _)| *number)).min() else { break };
            let block = head >> BLOCK_BITS;
            numbers.clear();
            let mut mark = |number: u64, flag: u8| {
                let flags = &mut flags[number as usize % BLOCK];
                if *flags == 0 {
                    numbers.push(number as u16);
                }
                *flags |= flag;
            };
            for (channel, general) in (0..).zip(&mut generals) {
                while let Some(number) = general.next_if(|number| number >> BLOCK_BITS == block) {
                    mark(number, everything_flag(channel));
                }
            }
            let pairs;
            (pairs, rest) = rest.split_at(rest.partition_point(|(number, _)| number >> BLOCK_BITS == block));
            for (number, id) in pairs {
                mark(*number, narrower_flag(channels[*id as usize]));
            }
            numbers.sort_unstable();
            let container = Container::put(&mut blocks, &flags, &numbers)?;
            let narrow = Narrow::put(&mut blocks, pairs, id_bytes)?;
            slots.push(Slot { block, container, narrow });
            numbers_count += numbers.len() as u64;
            numbers.iter().for_each(|within| flags[usize::from(*within)] = 0);
        }
        let (scopes, directory) = (format::scopes_part(&self.scopes), directory::encoded(&slots));
        Ok(format::assemble(&scopes, &directory, &blocks, numbers_count, origin))
    }
}
