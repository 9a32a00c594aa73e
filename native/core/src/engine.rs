//! A batch: records in, decisions out. All of the control flow stands here, and nothing here knows a rule.
//!
//! Events are read some thirty at a time, so that what each of them needs from memory is on its way while the others
//! are read. Whatever cannot be answered with certainty is left, and Python decides it: of one partition those that
//! are decided here and those that are left keep their order among themselves, not with each other (the contract keys
//! decisions by their event's id).

use crate::base::Found;
use crate::batch::{self, Codec, Record, Unreadable, Writer};
use crate::json::{self, Event, Kind};
use crate::numbers::{self, Numbering, ToKind};
use crate::program::{Answer, Made as MadeProgram, Measures, Program, ROUTES_MAX, Routes, Row, Way, bit, in_force, key_of};
use crate::text::{Hints, Reading, Tables};
use crate::wills::{Stance, Wills};
use crate::world::{self, World};
use hashbrown::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Events that are read before the first of them is decided.
const GROUP: usize = 32;

/// What decisions with one template have in common after the sender's name, and after `origin`.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Template {
    pub middle: Box<[u8]>,
    pub tail: Box<[u8]>,
    /// Whether its text is searched for an opt-out hint that early warning is told of.
    pub service: bool,
}

/// What a decision is made of, and counted by: a sender (JSON, with its quotes, or `null`) and a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct Outcome {
    pub name: u32,
    pub template: u32,
}

/// A route that has no program yet, with one of its events.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Unknown<'a> {
    pub event: &'a Event<'a>,
    pub way: Way,
}

/// What Python makes of a route, and what is new since it was last asked.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Made {
    pub program: MadeProgram,
    pub templates: Vec<Template>,
    pub names: Vec<Box<[u8]>>,
    /// For each set of hours, whether the moment lies outside of it.
    pub quiet: Vec<bool>,
}

/// Who makes programs: Python.
pub trait Maker {
    /// What goes wrong there.
    type Error;
    /// The program of a route.
    fn make(&mut self, unknown: &Unknown<'_>) -> Result<Made, Self::Error>;
}

/// Why a batch was not decided: as a whole, before anything of it was.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Failure<E> {
    Unreadable(Unreadable),
    Maker(E),
}

/// What is asked of one batch.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Question<'a> {
    /// One record batch or more, back to back: small ones so leave as one.
    pub raw: &'a [u8],
    /// Whether its topic holds SMS, and calls.
    pub sms: bool,
    pub call: bool,
    pub partition: u32,
    /// Records before this offset are skipped.
    pub from_offset: i64,
    /// The moment of the decision, milliseconds.
    pub now: i64,
}

/// A record that Python must decide.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Left {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Box<[u8]>>,
    pub value: Option<Box<[u8]>>,
}

/// What came of a batch. The columns have a row for each event that was answered.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Answered {
    /// Finished batches of decisions, each with how many it holds.
    pub batches: Vec<(Vec<u8>, usize)>,
    pub outcomes: Vec<u32>,
    /// Outcomes that were not met before, in the order of their numbers.
    pub new_outcomes: Vec<Outcome>,
    /// Record timestamps, milliseconds.
    pub timestamps: Vec<i64>,
    /// The recipient's number, or -1 for what is no subscriber's.
    pub recipients: Vec<i64>,
    /// Where nobody stands behind an event the number it came from, -1 for what is no subscriber's; else 0.
    pub sources: Vec<i64>,
    /// Rows whose `sources` is -1 though there is a text, with that text.
    pub odd_sources: Vec<(u32, String)>,
    /// Rows of service texts that tell how to refuse.
    pub hinted: Vec<u32>,
    pub left: Vec<Left>,
    pub next_offset: i64,
    /// Answered events whose subscriber belongs to another partition.
    pub misplaced: usize,
}

/// Everything that stays from batch to batch.
#[derive(Debug)]
pub struct Engine {
    partitions: u32,
    codec: Codec,
    level: i32,
    batch_bytes_max: usize,
    numbering: Numbering,
    tables: Arc<Tables>,
    world: Option<World>,
    routes: Routes,
    templates: Vec<Template>,
    names: Vec<Box<[u8]>>,
    outcomes: HashMap<Outcome, u32>,
    key: Vec<u8>,
    quiet: Vec<bool>,
    epoch: Box<[u8]>,
    inflated: Vec<u8>,
    records: Vec<Record>,
    texts: Texts,
    order: json::Order,
}

/// Room for reading texts, kept from event to event.
#[derive(Debug, Default)]
struct Texts {
    unescaped: Vec<u8>,
    reading: Reading,
    /// Whether `reading` is that of the event at hand.
    is_read: bool,
    hints: Hints,
}

/// What the batches of one question are written to.
struct Page {
    answered: Answered,
    writer: Writer,
    after_time: Vec<u8>,
    after_epoch: Vec<u8>,
}

struct Pending<'a> {
    record: &'a Record,
    event: Event<'a>,
    to_kind: ToKind,
    number: Option<u64>,
    found: Found,
}

/// How an engine is set up.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Setup {
    pub partitions: u32,
    pub codec: Codec,
    pub level: i32,
    /// A batch is finished when it has grown to this, and another begun.
    pub batch_bytes_max: usize,
    pub numbering: Numbering,
    pub tables: Arc<Tables>,
}

impl Engine {
    /// An engine that knows no world yet.
    pub fn new(setup: Setup) -> Self {
        Self {
            partitions: setup.partitions,
            codec: setup.codec,
            level: setup.level,
            batch_bytes_max: setup.batch_bytes_max,
            numbering: setup.numbering,
            tables: setup.tables,
            world: None,
            routes: Routes::default(),
            templates: Vec::new(),
            names: Vec::new(),
            outcomes: HashMap::new(),
            key: Vec::new(),
            quiet: Vec::new(),
            epoch: Box::default(),
            inflated: Vec::new(),
            records: Vec::new(),
            texts: Texts::default(),
            order: json::Order::default(),
        }
    }

    /// The tables that texts are read with.
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// From now on this is the world. What was made of the old one is forgotten.
    pub fn learn(&mut self, world: World) {
        self.world = Some(world);
        self.forget();
    }

    /// Forget every route, and what their programs refer to.
    pub fn forget(&mut self) {
        self.routes.forget();
        self.templates.clear();
        self.names.clear();
        self.outcomes.clear();
    }

    /// Whether the next batch should begin with a `forget`: odd traffic must not fill the memory.
    pub fn is_full(&self) -> bool {
        self.routes.count() >= ROUTES_MAX
    }

    /// The epoch of the decisions from now on, as JSON has it between the quotes.
    pub fn name_epoch(&mut self, epoch: &[u8]) {
        self.epoch = epoch.into();
    }

    /// Decides a batch. `quiet` says of each set of hours whether the moment lies outside of it.
    pub fn decide<M: Maker>(
        &mut self,
        question: &Question<'_>,
        quiet: Vec<bool>,
        wills: &Wills,
        maker: &mut M,
    ) -> Result<Answered, Failure<M::Error>> {
        self.quiet = quiet;
        let mut inflated = std::mem::take(&mut self.inflated);
        let mut records = std::mem::take(&mut self.records);
        let answered = self.answer(question, wills, maker, &mut inflated, &mut records);
        (self.inflated, self.records) = (inflated, records);
        answered
    }

    fn answer<M: Maker>(
        &mut self,
        question: &Question<'_>,
        wills: &Wills,
        maker: &mut M,
        inflated: &mut Vec<u8>,
        records: &mut Vec<Record>,
    ) -> Result<Answered, Failure<M::Error>> {
        let mut page = Page {
            answered: Answered::default(),
            writer: Writer::with_capacity(0),
            after_time: format!(",\"decided\":{},\"to\":\"", question.now).into_bytes(),
            after_epoch: [&self.epoch, &b"\",\"origin\":"[..]].concat(),
        };
        let mut rest = question.raw;
        loop {
            let raw;
            (raw, rest) = batch::first_of(rest).map_err(Failure::Unreadable)?;
            self.answer_one(raw, question, wills, maker, inflated, records, &mut page)?;
            if rest.is_empty() {
                break;
            }
        }
        let Page { mut answered, mut writer, .. } = page;
        if writer.count() > 0 {
            let count = writer.count();
            answered.batches.push((writer.finish(question.now, self.codec, self.level), count));
        }
        answered.left.sort_unstable_by_key(|left| left.offset);
        Ok(answered)
    }

    /// The same for one batch of the question.
    #[allow(clippy::too_many_arguments)]
    fn answer_one<M: Maker>(
        &mut self,
        raw: &[u8],
        question: &Question<'_>,
        wills: &Wills,
        maker: &mut M,
        inflated: &mut Vec<u8>,
        records: &mut Vec<Record>,
        page: &mut Page,
    ) -> Result<(), Failure<M::Error>> {
        let header = batch::header(raw).map_err(Failure::Unreadable)?;
        let bytes = batch::records_of(raw, header.codec, inflated).map_err(Failure::Unreadable)?;
        batch::find(&header, bytes, records).map_err(Failure::Unreadable)?;

        let Answered { timestamps, recipients, sources, outcomes, next_offset, .. } = &mut page.answered;
        *next_offset = header.next_offset;
        for column in [timestamps, recipients, sources] {
            column.reserve(records.len());
        }
        outcomes.reserve(records.len());
        page.writer.reserve(bytes.len() + bytes.len() / 2);
        let mut group: Vec<Pending<'_>> = Vec::with_capacity(GROUP);

        let mut rest = &records[..];
        while !rest.is_empty() {
            let some;
            (some, rest) = rest.split_at(GROUP.min(rest.len()));
            group.clear();
            for record in some {
                if record.offset < question.from_offset {
                    continue;
                }
                match self.read(bytes, record, question) {
                    Some(pending) => {
                        if let Some(number) = pending.number {
                            wills.base().begin(number);
                        }
                        group.push(pending);
                    }
                    None => page.answered.left.push(left(bytes, record)),
                }
            }
            for pending in &mut group {
                if let Some(number) = pending.number {
                    pending.found = wills.base().find(number);
                }
            }
            for pending in &mut group {
                wills.base().look(&mut pending.found);
            }
            for pending in &group {
                let outcome = self.outcome(pending, question.now, wills, maker).map_err(Failure::Maker)?;
                let Some(outcome) = outcome else {
                    page.answered.left.push(left(bytes, pending.record));
                    continue;
                };
                let hinted = match self.is_hinted(&pending.event, outcome) {
                    Some(hinted) => hinted,
                    None => {
                        page.answered.left.push(left(bytes, pending.record));
                        continue;
                    }
                };
                if page.writer.bytes() >= self.batch_bytes_max {
                    let count = page.writer.count();
                    page.answered.batches.push((page.writer.finish(question.now, self.codec, self.level), count));
                }
                self.write(&mut page.writer, bytes, pending, outcome, &page.after_time, &page.after_epoch);
                self.note(&mut page.answered, pending, outcome, hinted, question.partition);
            }
        }
        Ok(())
    }

    #[inline]
    fn read<'a>(&mut self, bytes: &'a [u8], record: &'a Record, question: &Question<'_>) -> Option<Pending<'a>> {
        let event = json::event(&bytes[record.value.clone()?], &mut self.order)?;
        let held = match event.kind {
            Kind::Sms => question.sms,
            Kind::Call => question.call,
            Kind::Reply => false,
        };
        if !held {
            return None;
        }
        let (to_kind, number) = self.numbering.recipient(event.to);
        Some(Pending { record, event, to_kind, number, found: Found::default() })
    }

    #[inline]
    fn outcome<M: Maker>(
        &mut self,
        pending: &Pending<'_>,
        now: i64,
        wills: &Wills,
        maker: &mut M,
    ) -> Result<Option<Outcome>, M::Error> {
        let event = &pending.event;
        let world = self.world.as_ref().expect("an engine learns its world before it decides");
        let call = event.kind == Kind::Call;
        let way = Way {
            kind: event.kind,
            from_kind: self.numbering.source(event.from, event.internet),
            to_kind: pending.to_kind,
            purpose: event.purpose,
            platform: call && event.platform,
            holding: if event.from.is_empty() { None } else { world.prefixes[usize::from(call)].longest(event.from) },
            ordered: if event.from.is_empty() { None } else { world.ordered.get(event.from).copied() },
        };
        key_of(&way, event.sender, event.category, &mut self.key);
        let program = match self.routes.find(&self.key) {
            Some(program) => program,
            None => {
                let made = maker.make(&Unknown { event, way })?;
                self.templates.extend(made.templates);
                self.names.extend(made.names);
                self.quiet = made.quiet;
                self.routes.keep(&self.key, made.program)
            }
        };
        self.texts.is_read = false;
        let mut case = Case {
            event,
            program: &program,
            measures: self.routes.measures(&program),
            now,
            world,
            tables: &self.tables,
            quiet: &self.quiet,
            texts: &mut self.texts,
            known: 0,
            holding: 0,
        };
        let template = match case.first(self.routes.rows(program.above)) {
            Some(answer) => case.template_of(answer),
            None => {
                let stance = match pending.number {
                    Some(number) => wills.stance(&program.probe, number, &pending.found),
                    None => Stance::Silent,
                };
                case.first(self.routes.rows_for(&program, stance)).and_then(|answer| case.template_of(answer))
            }
        };
        Ok(template.map(|template| Outcome { name: program.name, template }))
    }

    /// Whether an event is service that tells how to refuse; `None` where that cannot be told here.
    fn is_hinted(&mut self, event: &Event<'_>, outcome: Outcome) -> Option<bool> {
        if !self.templates[outcome.template as usize].service || event.kind != Kind::Sms || event.text.is_empty() {
            return Some(false);
        }
        // Folding leaves alone what a hint begins with: where none is after it, none was before.
        if self.texts.is_read && !self.texts.reading.may_hint() {
            return Some(false);
        }
        let text = if event.text_escaped {
            json::unescape(event.text, &mut self.texts.unescaped);
            &self.texts.unescaped
        } else {
            event.text
        };
        self.texts.hints.stand_in(&self.tables, text)
    }

    #[inline]
    fn write(
        &self,
        writer: &mut Writer,
        bytes: &[u8],
        pending: &Pending<'_>,
        outcome: Outcome,
        after_time: &[u8],
        after_epoch: &[u8],
    ) {
        let event = &pending.event;
        let key = pending.record.key.clone().map_or(event.to, |span| &bytes[span]);
        let key = if key.is_empty() { event.to } else { key };
        let template = &self.templates[outcome.template as usize];
        let of: &[u8] = if event.kind == Kind::Call { b"\",\"of\":\"call\",\"time\":" } else { b"\",\"of\":\"sms\",\"time\":" };
        let (before_from, after_from): (&[u8], &[u8]) = if event.from.is_empty() {
            (b"\",\"from\":null", b",\"sender\":")
        } else {
            (b"\",\"from\":\"", b"\",\"sender\":")
        };
        let (before_origin, origin, after_origin): (&[u8], &[u8], &[u8]) =
            if event.origin.is_empty() { (b"null", b"", b"") } else { (b"\"", event.origin, b"\"") };
        writer.add(
            key,
            &[
                b"{\"kind\":\"decision\",\"event\":\"",
                event.id,
                of,
                event.time,
                after_time,
                event.to,
                before_from,
                event.from,
                after_from,
                &self.names[outcome.name as usize],
                &template.middle,
                after_epoch,
                before_origin,
                origin,
                after_origin,
                &template.tail,
            ],
        );
    }

    #[inline]
    fn note(&mut self, answered: &mut Answered, pending: &Pending<'_>, outcome: Outcome, hinted: bool, partition: u32) {
        let event = &pending.event;
        let row = answered.outcomes.len() as u32;
        let next = self.outcomes.len() as u32;
        answered.outcomes.push(*self.outcomes.entry(outcome).or_insert_with(|| {
            answered.new_outcomes.push(outcome);
            next
        }));
        answered.timestamps.push(pending.record.timestamp);
        let number = pending.number.or_else(|| numbers::parse(event.to));
        answered.recipients.push(number.map_or(-1, |number| number as i64));
        let source = if *self.names[outcome.name as usize] == b"null"[..] {
            match numbers::parse(event.from) {
                Some(number) => number as i64,
                None => {
                    if !event.from.is_empty() {
                        answered.odd_sources.push((row, String::from_utf8_lossy(event.from).into_owned()));
                    }
                    -1
                }
            }
        } else {
            0
        };
        answered.sources.push(source);
        if hinted {
            answered.hinted.push(row);
        }
        answered.misplaced += usize::from(numbers::partition_of(event.to, self.partitions) != partition);
    }
}

fn left(bytes: &[u8], record: &Record) -> Left {
    let part = |span: &Option<Range<usize>>| span.clone().map(|span| bytes[span].into());
    Left { offset: record.offset, timestamp: record.timestamp, key: part(&record.key), value: part(&record.value) }
}

/// One event on its route. What is known of its predicates is kept as two masks.
struct Case<'a> {
    event: &'a Event<'a>,
    program: &'a Program,
    measures: &'a Measures,
    now: i64,
    world: &'a World,
    tables: &'a Tables,
    quiet: &'a [bool],
    texts: &'a mut Texts,
    known: u16,
    holding: u16,
}

impl Case<'_> {
    /// The answer of the first row whose needs are met; `Left` where that cannot be told.
    #[inline]
    fn first(&mut self, rows: &[Row]) -> Option<Answer> {
        for row in rows {
            match self.meets(row) {
                Some(true) => return Some(row.answer),
                Some(false) => {}
                None => return Some(Answer::Left),
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
            bit::VERSTAT_FAILED => Some(world::verstat_failed(event)),
            bit::SUSPENDED => Some(in_force(&self.measures.suspensions, self.now).is_some()),
            bit::STOPPED => Some(in_force(&self.measures.stops, self.now).is_some()),
            bit::QUIET => Some(program.hours.is_some_and(|hours| self.quiet[hours as usize])),
            bit::PRESENTS_FOREIGN => Some(world.presents_foreign(event, program.sender)),
            bit::CAMPAIGN_KNOWN => {
                Some(world.campaign(event).is_some_and(|campaign| world.carries(campaign, event.from, program.owner)))
            }
            bit::CAMPAIGN_OPEN => Some(world.campaign(event).is_some_and(|campaign| campaign.open_at(self.now))),
            bit::EMERGENCY_CAMPAIGN => Some(world.campaign(event).is_some_and(|campaign| {
                campaign.emergency && campaign.open_at(self.now) && world.carries(campaign, event.from, program.owner)
            })),
            bit::CAMPAIGN_COVERS => Some(world.campaign(event).is_none_or(|campaign| campaign.covers(event.region))),
            bit::CAMPAIGN_TEXT => {
                let Some(campaign) = world.campaign(event) else { return Some(false) };
                self.texts.is_read = false;
                let Texts { unescaped, reading, .. } = &mut *self.texts;
                campaign.says(plain(event, unescaped), reading, self.tables)
            }
            bit::PROHIBITED => Some(world.terms.found_in(self.reading()?)),
            bit::OPT_OUT_SHOWN => Some(self.reading()?.opt_out_shown()),
            bit::IDENTIFIED => {
                let Some(sender) = program.sender else { return Some(false) };
                let (tables, identity) = (self.tables, &world.senders[sender as usize].identity);
                let reading = self.reading()?;
                Some(reading.names(identity) && reading.shows_contact(identity, tables))
            }
            _ => None,
        }
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

    fn template_of(&self, answer: Answer) -> Option<u32> {
        match answer {
            Answer::Template(template) => Some(template),
            Answer::Suspension => in_force(&self.measures.suspensions, self.now),
            Answer::Stop => in_force(&self.measures.stops, self.now),
            Answer::Left => None,
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
