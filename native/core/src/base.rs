//! The base.

use crate::wills::{Channel, Probe, Stance, everything};
use hashbrown::HashMap;

/// What every number held when the base was made.
#[derive(Debug, Default)]
pub struct Base {
    held: HashMap<u64, Vec<u32>>,
}

impl Base {
    /// Adds one scope's numbers.
    pub fn put(&mut self, channel: Channel, id: u32, numbers: impl Iterator<Item = u64>) {
        for number in numbers {
            self.held.entry(number << 1 | channel as u64).or_default().push(id);
        }
    }

    /// The scopes that a number holds on a channel.
    pub fn held(&self, channel: Channel, number: u64) -> Vec<u32> {
        self.held.get(&(number << 1 | channel as u64)).cloned().unwrap_or_default()
    }

    /// What a number wants.
    pub fn stance(&self, probe: &Probe, number: u64) -> Stance {
        match self.held.get(&(number << 1 | probe.channel as u64)) {
            None => Stance::Silent,
            Some(held) => probe.stance(held.iter().copied(), held.contains(&everything(probe.channel))),
        }
    }
}
impl Base {
    /// Sends for what a number's look-up begins with.
    pub fn prefetch(&self, _number: u64) {}
    /// Sends for what it goes on with.
    pub fn prefetch_more(&self, _number: u64) {}
}
