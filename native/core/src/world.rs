//! What a decision depends on besides event, wills and moment, as Python's registry and policy have it.
//!
//! Made anew whenever the registry's generation changes; nothing here is ever changed.

use crate::json::Event;
use crate::numbers::Prefixes;
use crate::text::{Identity, Reading, Tables, Terms};
use hashbrown::HashMap;

/// A registered sender.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Sender {
    pub revoked: bool,
    pub identity: Identity,
    /// Prefixes on call that protect the numbers of others.
    pub protecting: Vec<Box<[u8]>>,
}

/// A campaign of public interest.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Campaign {
    pub approved: bool,
    pub emergency: bool,
    pub from: i64,
    pub until: i64,
    /// Its sender among the senders, where it is registered.
    pub sender: Option<u32>,
    pub prefixes: Vec<Box<[u8]>>,
    /// The regions without their trailing pairs of noughts.
    pub regions: Vec<Box<[u8]>>,
    pub text: Box<[u8]>,
    /// The text's letters and numbers, folded; `None` where it cannot be read here.
    pub letters: Option<Box<[u32]>>,
}

/// The registry but for its wills.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct World {
    /// By channel: who owns what.
    pub prefixes: [Prefixes; 2],
    /// holding → its sender
    pub holders: Vec<u32>,
    /// number → its place among those that an order names, whole
    pub ordered: HashMap<Box<[u8]>, u32>,
    pub senders: Vec<Sender>,
    pub campaigns: HashMap<Box<[u8]>, Campaign>,
    pub terms: Terms,
}

const FAILED_VERSTAT: &[u8] = b"TN-Validation-Failed";

/// Whether the network's validation of `from` has failed.
#[inline]
pub fn verstat_failed(event: &Event<'_>) -> bool {
    event.verstat.starts_with(FAILED_VERSTAT)
}

impl World {
    /// Whether a call shows another number, which neither is its sender's nor protects numbers.
    pub fn presents_foreign(&self, event: &Event<'_>, sender: Option<u32>) -> bool {
        if event.presented.is_empty() || event.presented == event.from {
            return false;
        }
        let Some(holding) = self.prefixes[1].longest(event.presented) else { return true };
        let owner = self.holders[holding as usize];
        Some(owner) != sender
            && !self.senders[owner as usize].protecting.iter().any(|prefix| event.presented.starts_with(prefix))
    }

    /// The campaign that an event names.
    pub fn campaign(&self, event: &Event<'_>) -> Option<&Campaign> {
        if event.campaign.is_empty() { None } else { self.campaigns.get(event.campaign) }
    }

    /// Whether a campaign is approved and `from` belongs to it.
    pub fn carries(&self, campaign: &Campaign, from: &[u8], owner: Option<u32>) -> bool {
        let owned = owner.is_some() && owner == campaign.sender;
        let revoked = |sender: Option<u32>| sender.is_some_and(|sender| self.senders[sender as usize].revoked);
        campaign.approved
            && (owned || campaign.prefixes.iter().any(|prefix| from.starts_with(prefix)))
            && !revoked(owner)
            && !revoked(campaign.sender)
    }
}

impl Campaign {
    /// Whether a moment lies in the campaign's window.
    pub fn open_at(&self, now: i64) -> bool {
        self.from <= now && now < self.until
    }

    /// Whether it covers a recipient's region, or that is unknown.
    pub fn covers(&self, region: &[u8]) -> bool {
        let known = region.len() == 6 && region.iter().all(u8::is_ascii_digit);
        self.regions.is_empty() || !known || self.regions.iter().any(|covered| region.starts_with(covered))
    }

    /// Whether a text is the approved one. `None` where that cannot be told here: texts that are the same but for
    /// what folding or stripping takes away may or may not be the same once they are normalised.
    pub fn says(&self, text: &[u8], reading: &mut Reading, tables: &Tables) -> Option<bool> {
        if text == &*self.text {
            return Some(true);
        }
        let letters = self.letters.as_ref()?;
        if reading.read(tables, text) && *reading.letters() != **letters { Some(false) } else { None }
    }
}
