//! One event on its route: its predicates, each asked at most once and only when a row needs it.
//!
//! Total: a predicate that cannot be answered here makes the event a fallback to Python (`Answer::Fallback`).

use crate::event::Event;
use crate::json;
use crate::numbering::Numbering;
use crate::program::{Answer, Index, Measures, Program, Row, bit, in_force};
use crate::text::{Hints, Reading, Tables};
use crate::world::{self, Campaign, World};

/// Buffers for reading texts, kept from event to event.
#[derive(Debug, Default)]
pub struct Texts {
    unescaped: Vec<u8>,
    reading: Reading,
    /// Whether `reading` is that of the event at hand.
    is_read: bool,
    hints: Hints,
}

/// One event on its route. What is known of its predicates is kept as two masks.
pub struct Case<'a> {
    event: &'a Event<'a>,
    program: &'a Program,
    measures: &'a Measures,
    now: i64,
    world: &'a World,
    numbering: &'a Numbering,
    tables: &'a Tables,
    quiet: &'a [bool],
    texts: &'a mut Texts,
    known: u16,
    holding: u16,
}

impl Texts {
    /// Whether an event's text, in lower case, has an opt-out hint; `None` where that is not certain here.
    pub fn hint_in(&mut self, event: &Event<'_>, tables: &Tables) -> Option<bool> {
        if event.text.is_empty() {
            return Some(false);
        }
        // Folding leaves alone what a hint begins with: where none is after it, none was before.
        if self.is_read && !self.reading.may_hint() {
            return Some(false);
        }
        self.hints.stand_in(tables, plain(event, &mut self.unescaped))
    }
}

impl<'a> Case<'a> {
    /// Nothing is known of its predicates yet.
    pub fn new(
        event: &'a Event<'a>,
        (program, measures): (&'a Program, &'a Measures),
        (world, numbering, tables): (&'a World, &'a Numbering, &'a Tables),
        (now, quiet): (i64, &'a [bool]),
        texts: &'a mut Texts,
    ) -> Self {
        texts.is_read = false;
        Self { event, program, measures, now, world, numbering, tables, quiet, texts, known: 0, holding: 0 }
    }

    /// The answer of the first row whose needs are met; `Fallback` where that is not certain.
    #[inline]
    pub fn first(&mut self, rows: &[Row]) -> Option<Answer> {
        for row in rows {
            match self.meets(row) {
                Some(true) => return Some(row.answer),
                Some(false) => {}
                None => return Some(Answer::Fallback),
            }
        }
        None
    }

    #[inline]
    fn meets(&mut self, row: &Row) -> Option<bool> {
        let mut asked = row.needs | row.forbids;
        loop {
            let wrong = (row.needs & !self.holding | row.forbids & self.holding) & self.known;
            if wrong != 0 {
                return Some(false);
            }
            asked &= !self.known;
            if asked == 0 {
                return Some(true);
            }
            let bit = asked.trailing_zeros();
            let holds = self.ask(bit)?;
            self.known |= 1 << bit;
            self.holding |= u16::from(holds) << bit;
        }
    }

    fn ask(&mut self, predicate: u32) -> Option<bool> {
        let (event, program, world) = (self.event, self.program, self.world);
        match predicate {
            bit::VERSTAT_FAILED => world::verstat_failed(event),
            bit::SUSPENDED => Some(in_force(&self.measures.suspensions, self.now).is_some()),
            bit::STOPPED => Some(in_force(&self.measures.stops, self.now).is_some()),
            bit::QUIET => Some(program.hours.is_some_and(|hours| self.quiet[hours.place() as usize])),
            bit::PRESENTS_FOREIGN => {
                let parties = (program.sender.map(Index::place), program.owner.map(Index::place));
                world.presents_foreign(event, parties, self.numbering)
            }
            bit::CAMPAIGN_KNOWN => world.campaign(event).map_or(Some(false), |campaign| self.carried(campaign)),
            bit::CAMPAIGN_OPEN => Some(world.campaign(event).is_some_and(|campaign| campaign.open_at(self.now))),
            bit::EMERGENCY_CAMPAIGN => match world.campaign(event) {
                Some(campaign) if campaign.emergency && campaign.open_at(self.now) => self.warns(campaign),
                _ => Some(false),
            },
            bit::CAMPAIGN_COVERS => Some(world.campaign(event).is_none_or(|campaign| campaign.covers(event.region))),
            bit::CAMPAIGN_TEXT => world.campaign(event).map_or(Some(false), |campaign| self.says(campaign)),
            bit::PROHIBITED => Some(world.terms.found_in(self.reading()?)),
            bit::OPT_OUT_SHOWN => Some(self.reading()?.opt_out_shown()),
            bit::IDENTIFIED => {
                let Some(sender) = program.sender else { return Some(false) };
                let (tables, identity) = (self.tables, &world.senders[sender.place() as usize].identity);
                let reading = self.reading()?;
                Some(reading.names(identity) && reading.shows_contact(identity, tables))
            }
            _ => None,
        }
    }

    /// Whether what the event comes from belongs to a campaign.
    fn carried(&self, campaign: &Campaign) -> Option<bool> {
        self.world.carries(campaign, self.event, self.program.owner.map(Index::place), self.numbering)
    }

    /// Whether it carries an emergency campaign that is open: from a number of others no text but the approved one, and
    /// nothing while that number is suspended.
    fn warns(&mut self, campaign: &Campaign) -> Option<bool> {
        match self.carried(campaign)? {
            false => Some(false),
            true if campaign.owns(self.program.owner.map(Index::place)) => Some(true),
            // Perhaps on the event's sender alone, which does not count here.
            true if in_force(&self.measures.suspensions, self.now).is_some() => None,
            true if self.event.text.is_empty() => Some(true),
            true => self.says(campaign),
        }
    }

    /// Whether its text is the approved one.
    fn says(&mut self, campaign: &Campaign) -> Option<bool> {
        self.texts.is_read = false;
        let Texts { unescaped, reading, .. } = &mut *self.texts;
        campaign.says(plain(self.event, unescaped), reading, self.tables)
    }

    fn reading(&mut self) -> Option<&Reading> {
        if !self.texts.is_read {
            let Texts { unescaped, reading, .. } = &mut *self.texts;
            if !reading.read(self.tables, plain(self.event, unescaped)) {
                return None;
            }
            self.texts.is_read = true;
        }
        Some(&self.texts.reading)
    }

    /// The template of an answer; `None` is a fallback to Python.
    pub fn template_of(&self, answer: Answer) -> Option<u32> {
        match answer {
            Answer::Template(template) => Some(template),
            Answer::Suspension => in_force(&self.measures.suspensions, self.now),
            Answer::Stop => in_force(&self.measures.stops, self.now),
            Answer::Fallback => None,
        }
    }
}

/// An event's text without escapes.
fn plain<'a>(event: &Event<'a>, unescaped: &'a mut Vec<u8>) -> &'a [u8] {
    if !event.text_escaped {
        return event.text;
    }
    json::unescape(event.text, unescaped);
    unescaped
}
