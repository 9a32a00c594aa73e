//! What subscribers want: an immutable base, and over it what has changed since. One of both for all of them, or for each
//! partition of subscribers that is held.
//!
//! The fold of expressions stays Python's (`bloom.wills`): it drives `add`, `remove` and `remove_within` as it drives
//! every other store. A number's state on a channel is copied out of the base when it first changes, and is whole
//! from then on: whoever stands in the changes is not looked for in the base.
//!
//! Changes take some seventy bytes each, a base a few. So they may be set aside, a new base be made of them and the old
//! ones by another thread, and be put in the place of all; what comes meanwhile lies over what was set aside. A partition
//! that is gained comes with a base of its own, until that is folded with the others: a base takes more for each number
//! where these lie thin, as a partition's do.

use crate::base::{Base, Builder, Damaged, Found, Named, ORIGIN_BYTES};
use crate::numbers::partition_of_number;
use crate::stance::{Channel, Probe, Scope, Stance, channel_of, everything};
use hashbrown::HashMap;
use std::sync::Arc;

/// Number and channel → every scope that is held there.
type Changed = HashMap<u64, Vec<u32>>;

/// The wills of some subscribers.
#[derive(Debug)]
pub struct Wills {
    base: Arc<Base>,
    /// What changed since the base and is on its way into a new one.
    aside: Option<Arc<Changed>>,
    /// What changed since.
    changed: Changed,
}

#[inline]
const fn who(channel: Channel, number: u64) -> u64 {
    number << 1 | channel as u64
}

impl Wills {
    /// Wills that are as a base has them.
    pub fn new(base: Arc<Base>) -> Self {
        Self { base, aside: None, changed: Changed::new() }
    }

    /// The base.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// How many numbers differ from the base, counted per channel; twice, who changed again since those were set aside.
    pub fn changed_count(&self) -> usize {
        self.changed.len() + self.aside.as_ref().map_or(0, |aside| aside.len())
    }

    /// What a number holds on a channel, to be changed.
    fn state(&mut self, channel: Channel, number: u64) -> &mut Vec<u32> {
        let (base, aside) = (&self.base, &self.aside);
        let who = who(channel, number);
        self.changed.entry(who).or_insert_with(|| {
            let earlier = aside.as_ref().and_then(|aside| aside.get(&who));
            earlier.map_or_else(|| base.held(channel, number), Vec::clone)
        })
    }

    /// The same of who will hold nothing else than what is put there: what it holds is not asked for.
    fn new_state(&mut self, channel: Channel, number: u64) -> &mut Vec<u32> {
        let held = self.changed.entry(who(channel, number)).or_default();
        held.clear();
        held
    }

    /// What a number wants: the changes are asked first, then the base, where it may have been prefetched.
    #[inline]
    pub fn stance(&self, probe: &Probe, number: u64, found: Option<Found>) -> Stance {
        let who = who(probe.channel, number);
        let changed = if self.changed.is_empty() { None } else { self.changed.get(&who) };
        if let Some(held) = changed.or_else(|| self.aside.as_ref()?.get(&who)) {
            return probe.stance(held.iter().copied(), held.contains(&everything(probe.channel)));
        }
        match found {
            Some(found) => self.base.stance_of(probe, &found),
            None => self.base.stance(probe, number),
        }
    }

    fn set_aside(&mut self) -> Layers {
        assert!(self.aside.is_none(), "what was set aside must be in the base before more is");
        let changed = Arc::new(std::mem::take(&mut self.changed));
        self.aside = Some(Arc::clone(&changed));
        Layers { base: Arc::clone(&self.base), changed }
    }

    fn adopt(&mut self, layers: &Layers, base: &Arc<Base>) {
        if self.aside.as_ref().is_some_and(|ours| Arc::ptr_eq(ours, &layers.changed)) {
            self.base = Arc::clone(base);
            self.aside = None;
        }
    }
}

/// What a partition's wills were when they were set aside.
#[derive(Debug)]
struct Layers {
    base: Arc<Base>,
    changed: Arc<Changed>,
}

/// What was set aside of all partitions that were held.
#[derive(Debug)]
pub struct Aside(Vec<Option<Layers>>);

impl Aside {
    /// One base of all. `scopes` are those of all ids that may occur. Some 0.15 µs a number, in any thread.
    pub fn fold(&self, scopes: Vec<Named>) -> Result<Base, Damaged> {
        let channels: Vec<Channel> = scopes.iter().map(|scope| channel_of(scope.0)).collect();
        let mut builder = Builder::new(scopes);
        let mut seen: Vec<&Arc<Base>> = Vec::new();
        for layers in self.0.iter().flatten() {
            for (who, held) in &*layers.changed {
                held.iter().for_each(|id| builder.add(who >> 1, *id));
            }
            let base = &layers.base;
            if seen.iter().any(|other| Arc::ptr_eq(other, base)) {
                continue;
            }
            seen.push(base);
            base.each(|number, id| {
                let place = partition_of_number(number, self.0.len() as u32);
                // Of a partition that was lost, or was gained again with another base, it holds what counts no longer.
                let layers = self.0[place as usize].as_ref().filter(|layers| Arc::ptr_eq(&layers.base, base));
                let who = who(channels[id as usize], number);
                if layers.is_some_and(|layers| !layers.changed.contains_key(&who)) {
                    builder.add(number, id);
                }
            });
        }
        builder.finish(&[0; ORIGIN_BYTES]).and_then(Base::of_bytes)
    }
}

/// The wills that are held here: of all subscribers in one piece, or of some of their partitions. Ids of scopes are
/// common to all pieces.
#[derive(Debug)]
pub struct Held {
    scopes: Vec<Scope>,
    /// By partition; one piece is the only one of one.
    parts: Vec<Option<Wills>>,
}

impl Held {
    /// Nothing, of so many partitions. 1: all is one piece.
    pub fn new(partitions: usize) -> Self {
        Self { scopes: Vec::new(), parts: (0..partitions).map(|_| None).collect() }
    }

    /// Whether there are partitions that may be held or not.
    pub const fn is_partitioned(&self) -> bool {
        self.parts.len() > 1
    }

    /// Hold a partition from now on.
    pub fn hold(&mut self, partition: u32, wills: Wills) {
        self.parts[partition as usize] = Some(wills);
    }

    /// Hold it no longer. What is given back may take a moment to free.
    pub fn drop(&mut self, partition: u32) -> Option<Wills> {
        self.parts[partition as usize].take()
    }

    /// The wills of a partition, where it is held.
    pub fn of(&self, partition: u32) -> Option<&Wills> {
        self.parts.get(if self.is_partitioned() { partition as usize } else { 0 })?.as_ref()
    }

    /// The wills of a number's partition, where that is held.
    pub fn of_number(&self, number: u64) -> Option<&Wills> {
        self.of(partition_of_number(number, self.parts.len() as u32))
    }

    /// How many numbers differ from their bases, counted per channel.
    pub fn changed_count(&self) -> usize {
        self.parts.iter().flatten().map(Wills::changed_count).sum()
    }

    /// How many numbers the bases hold.
    pub fn numbers_count(&self) -> u64 {
        let mut bases: Vec<&Arc<Base>> = self.parts.iter().flatten().map(|wills| &wills.base).collect();
        bases.sort_by_key(|base| Arc::as_ptr(base));
        bases.dedup_by(|one, other| Arc::ptr_eq(one, other));
        bases.iter().map(|base| base.numbers_count()).sum()
    }

    /// Sets aside what has changed. Once a base is made of that it is to be `adopt`ed, before this is done again.
    pub fn set_aside(&mut self) -> Aside {
        Aside(self.parts.iter_mut().map(|part| part.as_mut().map(Wills::set_aside)).collect())
    }

    /// Has the base that was made of what was set aside, but for partitions that were lost meanwhile, and perhaps gained
    /// again.
    pub fn adopt(&mut self, aside: &Aside, base: &Arc<Base>) {
        for (part, layers) in self.parts.iter_mut().zip(&aside.0) {
            if let (Some(wills), Some(layers)) = (part, layers) {
                wills.adopt(layers, base);
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
            let held = part(&mut self.parts, *number).state(channel, *number);
            if !held.contains(&id) {
                held.push(id);
            }
        }
    }

    /// The numbers hold the scope no longer.
    pub fn remove(&mut self, id: u32, numbers: &[u64]) {
        let channel = self.scopes[id as usize].channel;
        for number in numbers {
            part(&mut self.parts, *number).state(channel, *number).retain(|held| *held != id);
        }
    }

    /// The numbers hold nothing any longer that the scope covers.
    pub fn remove_within(&mut self, scope: Scope, numbers: &[u64]) {
        for number in numbers {
            let held = part(&mut self.parts, *number).state(scope.channel, *number);
            held.retain(|held| !scope.covers(&self.scopes[*held as usize]));
        }
    }

    /// The numbers hold nothing any longer that a refusal covers, and that refusal. Who refuses everything holds nothing
    /// else: the base is not asked.
    pub fn refuse(&mut self, id: u32, numbers: &[u64]) {
        let scope = self.scopes[id as usize];
        let everything = scope.sender == 0 && scope.category == 0;
        for number in numbers {
            let wills = part(&mut self.parts, *number);
            let held = if everything {
                wills.new_state(scope.channel, *number)
            } else {
                let held = wills.state(scope.channel, *number);
                held.retain(|held| !scope.covers(&self.scopes[*held as usize]));
                held
            };
            held.push(id);
        }
    }
}

/// The wills of a number's partition: expressions come of partitions that are held.
#[inline]
fn part(parts: &mut [Option<Wills>], number: u64) -> &mut Wills {
    let place = partition_of_number(number, parts.len() as u32);
    parts[place as usize].as_mut().expect("an expression of a partition that is not held here")
}
