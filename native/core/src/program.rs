//! What Python's rule table comes to on one route, as masks over predicates.
//!
//! A route is what many events share: source, kind of recipient, and what the event states. Python settles there
//! whatever a route settles and sends the rows that are left, in their order, each with the predicates that must and
//! that must not hold. So this module knows predicates by name and no rule.

use crate::json::{Kind, Purpose};
use crate::numbers::{FromKind, ToKind};
use crate::wills::{Probe, Stance};
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

/// The predicates that can be answered here, by the names that Python has for them, each with its bit. The first are
/// the cheapest and are asked first.
pub const PREDICATES: [&str; 13] = [
    "verstat_failed", "suspended", "stopped", "quiet", "presents_foreign", "campaign_known", "campaign_open",
    "emergency_campaign", "campaign_covers", "campaign_text", "prohibited", "opt_out_shown", "identified",
];

/// The bits of `PREDICATES`.
#[allow(missing_docs)]
pub mod bit {
    pub const VERSTAT_FAILED: u32 = 0;
    pub const SUSPENDED: u32 = 1;
    pub const STOPPED: u32 = 2;
    pub const QUIET: u32 = 3;
    pub const PRESENTS_FOREIGN: u32 = 4;
    pub const CAMPAIGN_KNOWN: u32 = 5;
    pub const CAMPAIGN_OPEN: u32 = 6;
    pub const EMERGENCY_CAMPAIGN: u32 = 7;
    pub const CAMPAIGN_COVERS: u32 = 8;
    pub const CAMPAIGN_TEXT: u32 = 9;
    pub const PROHIBITED: u32 = 10;
    pub const OPT_OUT_SHOWN: u32 = 11;
    pub const IDENTIFIED: u32 = 12;
}

/// What a row answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With this outcome.
    Outcome(u32),
    /// With the outcome of the order to suspend that is in force.
    Suspension,
    /// With the outcome of the order to stop that is in force.
    Stop,
    /// Not here: Python decides.
    Left,
}

/// A row that a route leaves open.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Bits of the predicates that must hold.
    pub needs: u16,
    /// Bits of the predicates that must not.
    pub forbids: u16,
    /// What it answers then.
    pub answer: Answer,
}

/// An order on a route, in force from `from` until before `until`, with the outcome that cites it.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Measure {
    pub from: i64,
    pub until: i64,
    pub outcome: u32,
}

/// The first order, of those sorted by id, that is in force.
#[inline]
pub fn in_force(measures: &[Measure], now: i64) -> Option<u32> {
    measures.iter().find(|measure| measure.from <= now && now < measure.until).map(|measure| measure.outcome)
}

/// The open rows of a route: those above the first that asks for the will, and for each will those below.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Program {
    pub above: Vec<Row>,
    /// The question of the will, and the rows for `Consented`, `Refused` and `Silent`.
    pub below: Option<(Probe, [Vec<Row>; 3])>,
    pub suspensions: Vec<Measure>,
    pub stops: Vec<Measure>,
    /// Which of the policy's sets of hours limit this traffic.
    pub hours: Option<u32>,
    /// The event's sender among the senders that are known.
    pub sender: Option<u32>,
    /// The owner of `from` among them.
    pub owner: Option<u32>,
}

impl Program {
    /// The rows below for a stance.
    #[inline]
    pub fn rows_for(rows: &[Vec<Row>; 3], stance: Stance) -> &[Row] {
        match stance {
            Stance::Consented => &rows[0],
            Stance::Refused => &rows[1],
            Stance::Silent => &rows[2],
        }
    }
}

/// What tells one route from another, but for the names that the event states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Way {
    pub kind: Kind,
    pub from_kind: FromKind,
    pub to_kind: ToKind,
    pub purpose: Purpose,
    pub platform: bool,
    /// The holding that owns `from`, and the orders on `from` as a whole number.
    pub holding: Option<u32>,
    pub ordered: Option<u32>,
}

/// What tells one route from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct RouteKey<'a> {
    pub way: Way,
    pub sender: &'a [u8],
    pub category: &'a [u8],
}

/// Routes kept; beyond, all are forgotten and made anew: odd traffic cannot fill the memory.
pub const ROUTES_MAX: usize = 65_536;

/// The programs of the routes that traffic has taken.
#[derive(Debug, Default)]
pub struct Routes {
    table: HashTable<u32>,
    keys: Vec<OwnedKey>,
    programs: Vec<Program>,
    state: foldhash::fast::RandomState,
}

#[derive(Debug)]
struct OwnedKey {
    way: Way,
    sender: Box<[u8]>,
    category: Box<[u8]>,
}

impl OwnedKey {
    fn key(&self) -> RouteKey<'_> {
        RouteKey { way: self.way, sender: &self.sender, category: &self.category }
    }
}

impl Routes {
    /// The place of a route's program.
    #[inline]
    pub fn find(&self, key: &RouteKey<'_>) -> Option<u32> {
        self.table.find(self.hash(key), |place| self.keys[*place as usize].key() == *key).copied()
    }

    /// Keeps a program and returns its place.
    pub fn keep(&mut self, key: &RouteKey<'_>, program: Program) -> u32 {
        let place = u32::try_from(self.programs.len()).expect("far fewer routes");
        self.programs.push(program);
        self.keys.push(OwnedKey { way: key.way, sender: key.sender.into(), category: key.category.into() });
        let hash = self.hash(key);
        let (keys, state) = (&self.keys, &self.state);
        self.table.insert_unique(hash, place, |place| hash_of(state, &keys[*place as usize].key()));
        place
    }

    /// The program at a place.
    #[inline]
    pub fn program(&self, place: u32) -> &Program {
        &self.programs[place as usize]
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.programs.len()
    }

    /// Forgets all.
    pub fn forget(&mut self) {
        self.table.clear();
        self.keys.clear();
        self.programs.clear();
    }

    #[inline]
    fn hash(&self, key: &RouteKey<'_>) -> u64 {
        hash_of(&self.state, key)
    }
}

#[inline]
fn hash_of(state: &foldhash::fast::RandomState, key: &RouteKey<'_>) -> u64 {
    let way = &key.way;
    let mut hasher = state.build_hasher();
    hasher.write_u64(
        way.kind as u64
            | (way.from_kind as u64) << 2
            | (way.to_kind as u64) << 6
            | (way.purpose as u64) << 10
            | u64::from(way.platform) << 14,
    );
    hasher.write_u64(u64::from(way.holding.unwrap_or(u32::MAX)) << 32 | u64::from(way.ordered.unwrap_or(u32::MAX)));
    hasher.write(key.sender);
    hasher.write_u8(0xff);
    hasher.write(key.category);
    hasher.finish()
}
