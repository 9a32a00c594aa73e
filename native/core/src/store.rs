//! The refusals and consents that subscribers hold: an immutable base, and over it an overlay of what has changed since.
//! There is one such pair for all subscribers, or one for each partition that is held.
//!
//! The fold of expressions stays Python's (`bloom.wills`): it drives `add`, `remove` and `remove_within` as it drives
//! every other store. A number's state on a channel is copied out of the base when it first changes, and is whole
//! from then on: a number that stands in the overlay is not looked for in the base.
//!
//! A number takes some seventy bytes in the overlay, a few in the base. So the overlay can be frozen, another thread make a
//! new base of it and the old ones, and that base replace them all; later changes go to a new overlay above the frozen one.
//! A partition that is assigned comes with a base of its own, until that is folded with the others: a base takes more for
//! each number where these lie thin, as a partition's do.

use crate::base::{Base, Builder, Damaged, Found, NamedScope, ORIGIN_BYTES};
use crate::numbers::partition_of_number;
use crate::stance::{Channel, Probe, Scope, Stance, channel_of, everything};
use hashbrown::HashMap;
use std::sync::Arc;

/// Number and channel → the ids of all scopes that are held there.
type Overlay = HashMap<u64, Vec<u32>>;

/// What the subscribers of one partition hold, or all subscribers where there is but one.
#[derive(Debug)]
pub struct PartitionStore {
    base: Arc<Base>,
    /// What changed since the base and is being folded into a new one.
    frozen: Option<Arc<Overlay>>,
    /// What changed since.
    overlay: Overlay,
}

#[inline]
const fn overlay_key(channel: Channel, number: u64) -> u64 {
    number << 1 | channel as u64
}

impl PartitionStore {
    /// Holds what the base has.
    pub fn new(base: Arc<Base>) -> Self {
        Self { base, frozen: None, overlay: Overlay::new() }
    }

    /// The base.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// How many numbers differ from the base, counted per channel; one that changed again since the overlay was frozen
    /// counts twice.
    pub fn changed_count(&self) -> usize {
        self.overlay.len() + self.frozen.as_ref().map_or(0, |frozen| frozen.len())
    }

    /// What a number holds on a channel, to be changed.
    fn state(&mut self, channel: Channel, number: u64) -> &mut Vec<u32> {
        let (base, frozen) = (&self.base, &self.frozen);
        let key = overlay_key(channel, number);
        self.overlay.entry(key).or_insert_with(|| {
            let earlier = frozen.as_ref().and_then(|frozen| frozen.get(&key));
            earlier.map_or_else(|| base.held(channel, number), Vec::clone)
        })
    }

    /// The same for a number that will hold nothing but what is put there: what it holds is not looked up.
    fn new_state(&mut self, channel: Channel, number: u64) -> &mut Vec<u32> {
        let held = self.overlay.entry(overlay_key(channel, number)).or_default();
        held.clear();
        held
    }

    /// A number's stance: from the overlay, else the frozen one, else the base, where it may have been prefetched.
    #[inline]
    pub fn stance(&self, probe: &Probe, number: u64, found: Option<Found>) -> Stance {
        let key = overlay_key(probe.channel, number);
        let changed = if self.overlay.is_empty() { None } else { self.overlay.get(&key) };
        if let Some(held) = changed.or_else(|| self.frozen.as_ref()?.get(&key)) {
            return probe.stance(held.iter().copied(), held.contains(&everything(probe.channel)));
        }
        match found {
            Some(found) => self.base.stance_of(probe, &found),
            None => self.base.stance(probe, number),
        }
    }

    fn freeze(&mut self) -> FrozenPartition {
        assert!(self.frozen.is_none(), "a frozen overlay must be replaced by its base before the next is frozen");
        let overlay = Arc::new(std::mem::take(&mut self.overlay));
        self.frozen = Some(Arc::clone(&overlay));
        FrozenPartition { base: Arc::clone(&self.base), overlay }
    }

    fn replace(&mut self, partition: &FrozenPartition, base: &Arc<Base>) {
        if self.frozen.as_ref().is_some_and(|ours| Arc::ptr_eq(ours, &partition.overlay)) {
            self.base = Arc::clone(base);
            self.frozen = None;
        }
    }
}

/// A partition's base and its overlay at the moment when that was frozen.
#[derive(Debug)]
struct FrozenPartition {
    base: Arc<Base>,
    overlay: Arc<Overlay>,
}

/// Every partition that was held when the overlays were frozen.
#[derive(Debug)]
pub struct FrozenStore(Vec<Option<FrozenPartition>>);

impl FrozenStore {
    /// One base of all. `scopes` are those of all ids that may occur. Some 0.15 µs a number, in any thread.
    pub fn fold(&self, scopes: Vec<NamedScope>) -> Result<Base, Damaged> {
        let channels: Vec<Channel> = scopes.iter().map(|scope| channel_of(scope.0)).collect();
        let mut builder = Builder::new(scopes);
        let mut seen: Vec<&Arc<Base>> = Vec::new();
        for partition in self.0.iter().flatten() {
            for (key, held) in &*partition.overlay {
                held.iter().for_each(|id| builder.add(key >> 1, *id));
            }
            let base = &partition.base;
            if seen.iter().any(|other| Arc::ptr_eq(other, base)) {
                continue;
            }
            seen.push(base);
            base.for_each(|number, id| {
                let partition = partition_of_number(number, self.0.len() as u32);
                // Numbers of a partition that was revoked, or assigned again with another base, are out of date here.
                let partition =
                    self.0[partition as usize].as_ref().filter(|partition| Arc::ptr_eq(&partition.base, base));
                let key = overlay_key(channels[id as usize], number);
                if partition.is_some_and(|partition| !partition.overlay.contains_key(&key)) {
                    builder.add(number, id);
                }
            });
        }
        builder.finish(&[0; ORIGIN_BYTES]).and_then(Base::of_bytes)
    }
}

/// What subscribers hold: all of them, or those of the partitions that are held. Ids of scopes are common to all
/// partitions.
#[derive(Debug)]
pub struct Store {
    scopes: Vec<Scope>,
    /// By partition; where all is held in one piece, that is the only one.
    partitions: Vec<Option<PartitionStore>>,
}

impl Store {
    /// Holds nothing yet. With 1 partition, all subscribers are held in one piece.
    pub fn new(partitions: usize) -> Self {
        Self { scopes: Vec::new(), partitions: (0..partitions).map(|_| None).collect() }
    }

    /// Whether partitions are held one by one.
    pub const fn is_partitioned(&self) -> bool {
        self.partitions.len() > 1
    }

    /// Hold a partition from now on.
    pub fn hold(&mut self, partition: u32, held: PartitionStore) {
        self.partitions[partition as usize] = Some(held);
    }

    /// Hold it no longer. What is returned may take a moment to free.
    pub fn drop(&mut self, partition: u32) -> Option<PartitionStore> {
        self.partitions[partition as usize].take()
    }

    /// The store of a partition; `None` where that is not held.
    pub fn of(&self, partition: u32) -> Option<&PartitionStore> {
        self.partitions.get(if self.is_partitioned() { partition as usize } else { 0 })?.as_ref()
    }

    /// The store of a number's partition; `None` where that is not held.
    pub fn of_number(&self, number: u64) -> Option<&PartitionStore> {
        self.of(partition_of_number(number, self.partitions.len() as u32))
    }

    /// How many numbers differ from their bases, counted per channel.
    pub fn changed_count(&self) -> usize {
        self.partitions.iter().flatten().map(PartitionStore::changed_count).sum()
    }

    /// How many numbers the bases hold.
    pub fn numbers_count(&self) -> u64 {
        let mut bases: Vec<&Arc<Base>> = self.partitions.iter().flatten().map(|held| &held.base).collect();
        bases.sort_by_key(|base| Arc::as_ptr(base));
        bases.dedup_by(|one, other| Arc::ptr_eq(one, other));
        bases.iter().map(|base| base.numbers_count()).sum()
    }

    /// Freezes the overlays. The base that is made of what they are must `replace` them before they are frozen again.
    pub fn freeze(&mut self) -> FrozenStore {
        FrozenStore(self.partitions.iter_mut().map(|held| held.as_mut().map(PartitionStore::freeze)).collect())
    }

    /// Replaces the old bases and the frozen overlays by the base that was made of them, except in partitions that were
    /// dropped meanwhile, or dropped and held again.
    pub fn replace(&mut self, frozen: &FrozenStore, base: &Arc<Base>) {
        for (held, partition) in self.partitions.iter_mut().zip(&frozen.0) {
            if let (Some(held), Some(partition)) = (held, partition) {
                held.replace(partition, base);
            }
        }
    }

    /// Adds the scope of the next id. Ids are given by Python, one after another.
    pub fn add_scope(&mut self, scope: Scope) {
        self.scopes.push(scope);
    }

    /// The numbers hold the scope.
    pub fn add(&mut self, id: u32, numbers: &[u64]) {
        let channel = self.scopes[id as usize].channel;
        for number in numbers {
            let held = of_held(&mut self.partitions, *number).state(channel, *number);
            if !held.contains(&id) {
                held.push(id);
            }
        }
    }

    /// The numbers hold the scope no longer.
    pub fn remove(&mut self, id: u32, numbers: &[u64]) {
        let channel = self.scopes[id as usize].channel;
        for number in numbers {
            of_held(&mut self.partitions, *number).state(channel, *number).retain(|held| *held != id);
        }
    }

    /// The numbers hold nothing any longer that the scope covers.
    pub fn remove_within(&mut self, scope: Scope, numbers: &[u64]) {
        for number in numbers {
            let held = of_held(&mut self.partitions, *number).state(scope.channel, *number);
            held.retain(|held| !scope.covers(&self.scopes[*held as usize]));
        }
    }

    /// The numbers hold nothing any longer that a refusal covers, and that refusal. A number that refuses everything holds
    /// nothing else, so the base is not asked.
    pub fn refuse(&mut self, id: u32, numbers: &[u64]) {
        let scope = self.scopes[id as usize];
        let everything = scope.sender == 0 && scope.category == 0;
        for number in numbers {
            let partition = of_held(&mut self.partitions, *number);
            let held = if everything {
                partition.new_state(scope.channel, *number)
            } else {
                let held = partition.state(scope.channel, *number);
                held.retain(|held| !scope.covers(&self.scopes[*held as usize]));
                held
            };
            held.push(id);
        }
    }
}

/// The store of a number's partition. Panics where that is not held: the caller sends expressions of held partitions only.
#[inline]
fn of_held(partitions: &mut [Option<PartitionStore>], number: u64) -> &mut PartitionStore {
    let partition = partition_of_number(number, partitions.len() as u32);
    partitions[partition as usize].as_mut().expect("an expression of a partition that is not held here")
}
