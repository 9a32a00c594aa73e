//! What a decision depends on besides event, stance and moment, as Python's registry and policy have it.
//!
//! Recreated whenever the registry's generation changes; nothing here is ever changed.

use crate::event::Event;
use crate::numbering::{Number, Numbering, is_port};
use crate::numbers::TEXT_BYTES;
use crate::prefixes::Prefixes;
use crate::terms::Terms;
use crate::text::{Identity, Reading, Tables};
use hashbrown::HashMap;

/// A registered sender.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Sender {
    pub revoked: bool,
    pub identity: Identity,
}

/// A prefix that a sender holds.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Holding {
    /// Its sender among the senders.
    pub sender: u32,
    /// Whether its numbers may be shown for those of others.
    pub protects: bool,
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

/// The registry without refusals and consents.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct World {
    /// By channel: who owns what.
    pub prefixes: [Prefixes; 2],
    /// What the prefixes refer to.
    pub holdings: Vec<Holding>,
    /// By `Side`: number → its place among those that an order names, whole, as they are read there.
    pub ordered: [HashMap<Box<[u8]>, u32>; 3],
    pub senders: Vec<Sender>,
    pub campaigns: HashMap<Box<[u8]>, Campaign>,
    pub terms: Terms,
}

const FAILED_VERSTAT: &[u8] = b"TN-Validation-Failed";

/// Whether the network's validation of `from` has failed. `None` where that is not certain here.
#[inline]
pub fn verstat_failed(event: &Event<'_>) -> Option<bool> {
    if !event.verstat.is_ascii() {
        return None;
    }
    // A text from JSON holds no other blank without an escape.
    let begin = event.verstat.trim_ascii_start().get(..FAILED_VERSTAT.len());
    Some(begin.is_some_and(|begin| begin.eq_ignore_ascii_case(FAILED_VERSTAT)))
}

/// As many digits as `presented` must have in order to be a number.
const SHOWN_DIGITS_MIN: usize = 3;
/// As many as must be the last of `from` for the same number.
const SAME_DIGITS_MIN: usize = 7;

impl World {
    /// Whether a call shows another number, which neither is its sender's nor protects numbers. `None` where that is
    /// not certain here.
    pub fn presents_foreign(
        &self,
        event: &Event<'_>,
        (sender, owner): (Option<u32>, Option<u32>),
        numbering: &Numbering,
    ) -> Option<bool> {
        let shown = event.presented;
        if shown.is_empty() || shown == event.from && !event.internet {
            return Some(false);
        }
        let (_, from) = numbering.source(event.from, event.side())?;
        let number = numbering.read(shown)?;
        if number == from {
            return Some(false);
        }
        let (mut room, mut room_of_from) = ([0; TEXT_BYTES], [0; TEXT_BYTES]);
        let text = number.text(&mut room);
        match number {
            Number::Other([b'+', ..]) => return None,
            Number::Other(text) if text.iter().filter(|byte| byte.is_ascii_digit()).count() < SHOWN_DIGITS_MIN => {
                return Some(false); // as if absent: `anonymous`
            }
            _ => {}
        }
        let is_end_of_from = text.len() >= SAME_DIGITS_MIN
            && text.iter().all(u8::is_ascii_digit)
            && from.text(&mut room_of_from).ends_with(text);
        let is_number = matches!(number, Number::Person(_)) || is_port(text);
        let holding = if is_number { self.prefixes[1].longest(text) } else { None };
        Some(match holding.map(|holding| self.holdings[holding as usize]) {
            Some(holding) if is_end_of_from && Some(holding.sender) == owner => false,
            Some(holding) => Some(holding.sender) != sender && !holding.protects,
            None => !is_end_of_from,
        })
    }

    /// The campaign that an event names.
    pub fn campaign(&self, event: &Event<'_>) -> Option<&Campaign> {
        if event.campaign.is_empty() { None } else { self.campaigns.get(event.campaign) }
    }

    /// Whether a campaign is approved and what an event comes from belongs to it. `None` where that is not certain here.
    pub fn carries(
        &self,
        campaign: &Campaign,
        event: &Event<'_>,
        owner: Option<u32>,
        numbering: &Numbering,
    ) -> Option<bool> {
        let revoked = |sender: Option<u32>| sender.is_some_and(|sender| self.senders[sender as usize].revoked);
        if !campaign.approved || revoked(owner) || revoked(campaign.sender) {
            return Some(false);
        }
        if campaign.owns(owner) {
            return Some(true);
        }
        let mut room = [0; TEXT_BYTES];
        let (_, from) = numbering.source(event.from, event.side())?;
        let from = from.text(&mut room);
        let national = numbering.national(from);
        Some(campaign.prefixes.iter().any(|prefix| from.starts_with(prefix) || national.starts_with(prefix)))
    }
}

impl Campaign {
    /// Whether the owner of a number is the campaign's sender.
    pub fn owns(&self, owner: Option<u32>) -> bool {
        owner.is_some() && owner == self.sender
    }

    /// Whether a moment lies in the campaign's window.
    pub fn open_at(&self, now: i64) -> bool {
        self.from <= now && now < self.until
    }

    /// Whether it covers a recipient's region, or that is unknown.
    pub fn covers(&self, region: &[u8]) -> bool {
        let known = region.len() == 6 && region.iter().all(u8::is_ascii_digit);
        self.regions.is_empty() || !known || self.regions.iter().any(|covered| region.starts_with(covered))
    }

    /// Whether a text is the approved one. `None` where that is not certain here: texts that are the same but for
    /// what folding or stripping takes away may or may not be the same once they are normalised.
    pub fn says(&self, text: &[u8], reading: &mut Reading, tables: &Tables) -> Option<bool> {
        if text == &*self.text {
            return Some(true);
        }
        let letters = self.letters.as_ref()?;
        if reading.read(tables, text) && *reading.letters() != **letters { Some(false) } else { None }
    }
}
