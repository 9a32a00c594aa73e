//! What Python's rule table compiles to on one route, as masks over predicates.
//!
//! A route is what many events share: source, kind of recipient, and what the event states. Python evaluates
//! whatever a route decides and sends the rows that remain, in their order, each with the predicates that must and
//! that must not hold. So this module knows predicates by name and no rule.

use crate::event::{Kind, Purpose};
use crate::numbering::{FromKind, ToKind};
use crate::stance::Probe;
use std::num::NonZeroU32;

/// The predicates that can be answered here, by the names that Python has for them, each with its bit. The first are
/// the cheapest and are asked first.
pub const PREDICATES: [&str; 13] = [
    "verstat_failed",
    "suspended",
    "stopped",
    "quiet",
    "presents_foreign",
    "campaign_known",
    "campaign_open",
    "emergency_campaign",
    "campaign_covers",
    "campaign_text",
    "prohibited",
    "opt_out_shown",
    "identified",
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// With the decision of this template.
    Template(u32),
    /// With that of the order to suspend that is in force.
    Suspension,
    /// With that of the order to stop that is in force.
    Stop,
    /// Not here: a fallback to Python.
    Fallback,
}

/// A row that a route leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Bits of the predicates that must hold.
    pub needs: u16,
    /// Bits of the predicates that must not.
    pub forbids: u16,
    /// What it answers then.
    pub answer: Answer,
}

/// An order on a route, in force from `from` until before `until`, with the template that cites it.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Measure {
    pub from: i64,
    pub until: i64,
    pub template: u32,
}

/// The orders on a route to suspend and to stop, each sorted by id.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Measures {
    pub suspensions: Vec<Measure>,
    pub stops: Vec<Measure>,
}

/// The first order that is in force.
#[inline]
pub fn in_force(measures: &[Measure], now: i64) -> Option<u32> {
    measures.iter().find(|measure| measure.from <= now && now < measure.until).map(|measure| measure.template)
}

/// What Python compiles a route to: the open rows above the first that asks for the stance, and those below by stance.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct CompiledProgram {
    pub above: Vec<Row>,
    /// The probe for the stance, and the rows for `Consented`, `Refused` and `Silent`.
    pub below: Option<(Probe, [Vec<Row>; 3])>,
    pub measures: Measures,
    /// Which of the policy's sets of hours limit this traffic.
    pub hours: Option<u32>,
    /// The event's sender as decisions write it.
    pub name: u32,
    /// The event's sender among those that are registered.
    pub sender: Option<u32>,
    /// The owner of `from` among them.
    pub owner: Option<u32>,
}

/// Where a route's parts lie. Bulk traffic runs through thousands of routes, whose rows are mostly the same: so these are
/// kept once.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Program {
    pub above: u32,
    pub below: [u32; 3],
    /// The probe for the stance; `below` is empty where there is none.
    pub probe: Probe,
    pub measures: u32,
    pub hours: Option<Index>,
    pub name: u32,
    pub sender: Option<Index>,
    pub owner: Option<Index>,
}

/// A place in a list, such that having none takes no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index(NonZeroU32);

impl Index {
    /// The index of a place, which is never so large as to have none.
    pub fn new(place: u32) -> Option<Self> {
        NonZeroU32::new(place.wrapping_add(1)).map(Self)
    }

    /// Its place.
    #[inline]
    pub const fn place(self) -> u32 {
        self.0.get() - 1
    }
}

/// The place of no rows and of no measures.
pub const NOTHING: u32 = 0;

/// What tells one route from another, but for the names that the event states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct RouteKind {
    pub kind: Kind,
    pub from_kind: FromKind,
    pub to_kind: ToKind,
    pub purpose: Purpose,
    pub platform: bool,
    pub internet: bool,
    /// The holding that owns `from`, and the orders on `from` as a whole number.
    pub holding: Option<u32>,
    pub ordered: Option<u32>,
}
