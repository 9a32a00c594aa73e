//! What subscribers want: an immutable base, and over it what has changed since.
//!
//! The fold of expressions stays Python's (`bloom.wills`): it drives `add`, `remove` and `remove_within` as it drives
//! every other store. A number's state on a channel is copied out of the base when it first changes, and is whole
//! from then on: whoever stands in the changes is not looked for in the base.

use crate::base::{Base, Found};
use hashbrown::HashMap;
use std::sync::Arc;

/// A channel of wills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Channel {
    Sms,
    Call,
}

/// What a number wants of one sender and category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Stance {
    Consented,
    Refused,
    Silent,
}

/// A scope in one of a channel's two sets. Names are Python's integers for senders and categories; 0 is `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The channel.
    pub channel: Channel,
    /// Whether it is among the refusals, else among the consents.
    pub refusal: bool,
    /// The sender.
    pub sender: u32,
    /// The category.
    pub category: u32,
}

impl Scope {
    /// Whether this scope covers another, of whichever set, on the same channel.
    pub fn covers(&self, other: &Self) -> bool {
        self.channel == other.channel
            && (self.sender == 0 || self.sender == other.sender)
            && (self.category == 0 || self.category == other.category)
    }
}

/// A refusal of everything on a channel has the channel as its id: it is what most wills are.
#[inline]
pub const fn everything(channel: Channel) -> u32 {
    channel as u32
}

/// What decides a question of one sender and category: ids of scopes.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// The channel.
    pub channel: Channel,
    /// The consent to both.
    pub consent: u32,
    /// The narrower refusals that cover them; that of everything has its own id.
    pub refusals: [u32; 3],
}

impl Probe {
    /// The stance of whoever holds these scopes and no other on the channel.
    #[inline]
    pub fn stance(&self, held: impl Iterator<Item = u32>, refuses_everything: bool) -> Stance {
        let mut stance = if refuses_everything { Stance::Refused } else { Stance::Silent };
        for scope in held {
            if scope == self.consent {
                return Stance::Consented;
            }
            if self.refusals.contains(&scope) {
                stance = Stance::Refused;
            }
        }
        stance
    }
}

/// The wills of all subscribers.
#[derive(Debug, Default)]
pub struct Wills {
    base: Arc<Base>,
    scopes: Vec<Scope>,
    /// number and channel → every scope that is held there
    changed: HashMap<u64, Vec<u32>>,
}

#[inline]
const fn who(channel: Channel, number: u64) -> u64 {
    number << 1 | channel as u64
}

impl Wills {
    /// Wills that are as a base has them, whose scopes are these.
    pub fn new(base: Arc<Base>, scopes: Vec<Scope>) -> Self {
        Self { base, scopes, changed: HashMap::new() }
    }

    /// The base.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// How many numbers differ from the base, counted per channel.
    pub fn changed_count(&self) -> usize {
        self.changed.len()
    }

    /// Makes the next id known. Ids are given by Python, one after another.
    pub fn learn(&mut self, scope: Scope) {
        self.scopes.push(scope);
    }

    /// How many scopes are known.
    pub fn scopes_count(&self) -> usize {
        self.scopes.len()
    }

    /// The scope of an id.
    pub fn scope(&self, id: u32) -> Option<Scope> {
        self.scopes.get(id as usize).copied()
    }

    /// The numbers hold the scope.
    pub fn add(&mut self, id: u32, numbers: &[u64]) {
        let channel = self.scopes[id as usize].channel;
        for number in numbers {
            let held = self.state(channel, *number);
            if !held.contains(&id) {
                held.push(id);
            }
        }
    }

    /// The numbers hold the scope no longer.
    pub fn remove(&mut self, id: u32, numbers: &[u64]) {
        let channel = self.scopes[id as usize].channel;
        for number in numbers {
            self.state(channel, *number).retain(|held| *held != id);
        }
    }

    /// The numbers hold nothing any longer that the scope covers.
    pub fn remove_within(&mut self, scope: Scope, numbers: &[u64]) {
        let (base, scopes) = (&self.base, &self.scopes);
        for number in numbers {
            let state = self.changed.entry(who(scope.channel, *number));
            let held = state.or_insert_with(|| base.held(scope.channel, *number));
            held.retain(|held| !scope.covers(&scopes[*held as usize]));
        }
    }

    /// The numbers hold nothing any longer that a refusal covers, and that refusal. Who refuses everything holds nothing
    /// else: the base is not asked.
    pub fn refuse(&mut self, id: u32, numbers: &[u64]) {
        let (base, scopes) = (&self.base, &self.scopes);
        let scope = scopes[id as usize];
        let everything = scope.sender == 0 && scope.category == 0;
        for number in numbers {
            let state = self.changed.entry(who(scope.channel, *number));
            if everything {
                let held = state.or_default();
                held.clear();
                held.push(id);
                continue;
            }
            let held = state.or_insert_with(|| base.held(scope.channel, *number));
            held.retain(|held| !scope.covers(&scopes[*held as usize]));
            held.push(id);
        }
    }

    fn state(&mut self, channel: Channel, number: u64) -> &mut Vec<u32> {
        let base = &self.base;
        self.changed.entry(who(channel, number)).or_insert_with(|| base.held(channel, number))
    }

    /// What a number wants: the changes are asked first, then the base, where it may have been looked for ahead.
    #[inline]
    pub fn stance(&self, probe: &Probe, number: u64, found: Option<Found>) -> Stance {
        if !self.changed.is_empty()
            && let Some(held) = self.changed.get(&who(probe.channel, number))
        {
            return probe.stance(held.iter().copied(), held.contains(&everything(probe.channel)));
        }
        match found {
            Some(found) => self.base.stance_of(probe, &found),
            None => self.base.stance(probe, number),
        }
    }
}
