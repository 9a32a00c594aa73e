//! A batch: records in, decisions out. All of the control flow stands here, and nothing here knows a rule.
//!
//! Events are read some thirty at a time, so that what each of them needs from memory is on its way while the others
//! are read. Whatever cannot be answered with certainty is left, and Python decides it: of one partition those that
//! are decided here and those that are left keep their order among themselves, not with each other (the contract keys
//! decisions by their event's id).

use crate::base::Found;
use crate::batch::{self, Deflater, Inflater, Record, Unreadable, Writer};
use crate::case::{Case, Texts};
use crate::decision::{self, Outcome, Shared, Template};
use crate::event::{self, Event, Kind, PURPOSES};
use crate::json::ObjectReader;
use crate::numbering::{FromKind, Number, Numbering};
use crate::numbers::{self, TEXT_BYTES};
use crate::program::{Made as MadeProgram, Way};
use crate::routes::{Key, Routes};
use crate::sources::{Sources, side};
use crate::stance::Stance;
use crate::text::Tables;
use crate::wills::Wills;
use crate::world::World;
use hashbrown::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A decision bears its event's key up to this length, else its subscriber (DESIGN section 4, *Limits*).
const KEY_BYTES_MAX: usize = 256;

/// Events that are read before the first of them is decided.
const GROUP: usize = 32;

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
    /// Whether events of other partitions are left: their subscribers' wills are held elsewhere.
    pub apart: bool,
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

/// Decides batches, and keeps everything that stays from one to the next.
#[derive(Debug)]
pub struct Engine {
    judge: Judge,
    epoch: Box<[u8]>,
    batch_bytes_max: usize,
    inflater: Inflater,
    records: Vec<Record>,
    writer: Writer,
    deflater: Deflater,
}

/// Decides events one by one.
#[derive(Debug)]
struct Judge {
    partitions: u32,
    numbering: Numbering,
    tables: Arc<Tables>,
    world: Option<World>,
    routes: Routes,
    sources: Sources,
    templates: Vec<Template>,
    names: Vec<Name>,
    outcomes: HashMap<Outcome, u32>,
    quiet: Vec<bool>,
    texts: Texts,
    event_reader: ObjectReader,
    /// By stated purpose, whether any route so far asks what the recipient wants: then that is looked for ahead.
    asks: [bool; PURPOSES],
}

/// A sender as decisions write it.
#[derive(Debug)]
struct Name {
    json: Box<[u8]>,
    is_null: bool,
}

/// What the batches of one question are written to.
struct Page<'a> {
    answered: Answered,
    writer: &'a mut Writer,
    deflater: &'a mut Deflater,
    batch_bytes_max: usize,
    now: i64,
    shared: Shared,
}

impl Page<'_> {
    /// Ends a batch of decisions.
    fn finish(&mut self) {
        let count = self.writer.count();
        if count > 0 {
            self.answered.batches.push((self.writer.finish(self.now, self.deflater), count));
        }
    }
}

struct Pending<'a> {
    record: &'a Record,
    event: Event<'a>,
    way: Way,
    /// What its route is found by.
    hash: u64,
    number: Option<u64>,
    misplaced: bool,
    /// Where the number's wills were found, if they were looked for ahead.
    found: Option<Found>,
}

/// How an engine is set up.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Setup {
    pub partitions: u32,
    pub deflater: Deflater,
    /// A batch is finished when it has grown to this, and another begun.
    pub batch_bytes_max: usize,
    pub numbering: Numbering,
    pub tables: Arc<Tables>,
}

impl Engine {
    /// An engine that knows no world yet.
    pub fn new(setup: Setup) -> Self {
        let judge = Judge {
            partitions: setup.partitions,
            numbering: setup.numbering,
            tables: setup.tables,
            world: None,
            routes: Routes::default(),
            sources: Sources::default(),
            templates: Vec::new(),
            names: Vec::new(),
            outcomes: HashMap::new(),
            quiet: Vec::new(),
            texts: Texts::default(),
            event_reader: ObjectReader::default(),
            asks: [false; PURPOSES],
        };
        Self {
            judge,
            epoch: Box::default(),
            batch_bytes_max: setup.batch_bytes_max,
            inflater: Inflater::default(),
            records: Vec::new(),
            writer: Writer::with_capacity(0),
            deflater: setup.deflater,
        }
    }

    /// The tables that texts are read with.
    pub fn tables(&self) -> &Arc<Tables> {
        &self.judge.tables
    }

    /// Takes back a finished batch that was sent on: its room serves for another.
    pub fn take_back(&mut self, batch: Vec<u8>) {
        self.writer.take_back(batch);
    }

    /// From now on this is the world. What was made of the old one is forgotten.
    pub fn learn(&mut self, world: World) {
        self.judge.world = Some(world);
        self.judge.sources = Sources::default();
        self.forget();
    }

    /// Forget every route, and what their programs refer to.
    pub fn forget(&mut self) {
        self.judge.routes.forget();
        self.judge.templates.clear();
        self.judge.names.clear();
        self.judge.outcomes.clear();
    }

    /// Whether the next batch should begin with a `forget`: odd traffic must not fill the memory.
    pub fn is_full(&self) -> bool {
        self.judge.is_full()
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
        self.judge.quiet = quiet;
        self.writer.clear(); // a question that failed may have left something
        let mut page = Page {
            answered: Answered::default(),
            writer: &mut self.writer,
            deflater: &mut self.deflater,
            batch_bytes_max: self.batch_bytes_max,
            now: question.now,
            shared: Shared::new(question.now, &self.epoch),
        };
        let mut rest = question.raw;
        loop {
            let raw;
            (raw, rest) = batch::first_of(rest).map_err(Failure::Unreadable)?;
            let header = batch::header(raw).map_err(Failure::Unreadable)?;
            let bytes = self.inflater.records_of(raw, header.codec).map_err(Failure::Unreadable)?;
            batch::find(&header, bytes, &mut self.records).map_err(Failure::Unreadable)?;
            page.answered.next_offset = header.next_offset;
            self.judge.answer(bytes, &self.records, question, wills, maker, &mut page)?;
            if rest.is_empty() {
                break;
            }
        }
        page.finish();
        let mut answered = page.answered;
        answered.left.sort_unstable_by_key(|left| left.offset);
        Ok(answered)
    }
}

impl Judge {
    fn is_full(&self) -> bool {
        self.routes.is_full()
    }

    /// Decides the records of one batch of the question.
    fn answer<M: Maker>(
        &mut self,
        bytes: &[u8],
        records: &[Record],
        question: &Question<'_>,
        wills: &Wills,
        maker: &mut M,
        page: &mut Page<'_>,
    ) -> Result<(), Failure<M::Error>> {
        let Answered { timestamps, recipients, sources, outcomes, .. } = &mut page.answered;
        for column in [timestamps, recipients, sources] {
            column.reserve(records.len());
        }
        outcomes.reserve(records.len());
        page.writer.reserve(bytes.len() + bytes.len() / 2);
        let mut group: Vec<Pending<'_>> = Vec::with_capacity(GROUP);

        let mut rest = records;
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
                        if let Some(number) = pending.number
                            && self.asks[pending.event.purpose as usize]
                        {
                            wills.base().begin(number);
                        }
                        group.push(pending);
                    }
                    None => page.answered.left.push(left(bytes, record)),
                }
            }
            for pending in &mut group {
                self.routes.sight(pending.hash);
                if let Some(number) = pending.number
                    && self.asks[pending.event.purpose as usize]
                {
                    pending.found = Some(wills.base().find(number));
                }
            }
            for pending in &mut group {
                if let Some(found) = &mut pending.found {
                    wills.base().look(found);
                }
            }
            for pending in &group {
                let outcome = self.outcome(pending, question.now, wills, maker).map_err(Failure::Maker)?;
                let Some((place, outcome)) = outcome else {
                    page.answered.left.push(left(bytes, pending.record));
                    continue;
                };
                let service = self.templates[outcome.template as usize].service;
                let Some(hinted) =
                    (if service { self.texts.hint_in(&pending.event, &self.tables) } else { Some(false) })
                else {
                    page.answered.left.push(left(bytes, pending.record));
                    continue;
                };
                if page.writer.bytes() >= page.batch_bytes_max {
                    page.finish();
                }
                self.write(page, bytes, pending, outcome);
                let number = self.number_of(place, outcome, &mut page.answered.new_outcomes);
                page.answered.outcomes.push(number);
                self.note(&mut page.answered, pending, outcome, hinted);
            }
        }
        Ok(())
    }

    #[inline]
    fn read<'a>(&mut self, bytes: &'a [u8], record: &'a Record, question: &Question<'_>) -> Option<Pending<'a>> {
        let event = event::read(&bytes[record.value.clone()?], &mut self.event_reader)?;
        let held = match event.kind {
            Kind::Sms => question.sms,
            Kind::Call => question.call,
            Kind::Reply => false,
        };
        if !held {
            return None;
        }
        let (to_kind, number) = self.numbering.recipient(event.to)?;
        let partition = match number {
            Some(number) if event.to[0] != b'+' => numbers::partition_of_number(number, self.partitions),
            _ => numbers::partition_of(event.to, self.partitions),
        };
        let misplaced = partition != question.partition;
        if misplaced && question.apart {
            return None;
        }
        let world = self.world.as_ref().expect("an engine learns its world before it decides");
        let source = self.sources.of(&event, &self.numbering, world);
        let way = Way {
            kind: event.kind,
            from_kind: source.kind?,
            to_kind,
            purpose: event.purpose,
            platform: event.kind == Kind::Call && event.platform,
            internet: event.internet,
            holding: source.holding,
            ordered: source.ordered,
        };
        let hash = self.routes.hash(&Key::new(&way, event.sender, event.category));
        Some(Pending { record, event, way, hash, number, misplaced, found: None })
    }

    #[inline]
    fn outcome<M: Maker>(
        &mut self,
        pending: &Pending<'_>,
        now: i64,
        wills: &Wills,
        maker: &mut M,
    ) -> Result<Option<(u32, Outcome)>, M::Error> {
        let event = &pending.event;
        let key = Key::new(&pending.way, event.sender, event.category);
        let place = match self.routes.find(&key, pending.hash) {
            Some(place) => place,
            // One batch alone may bring more routes than are kept.
            None if self.is_full() => return Ok(None),
            None => {
                let made = maker.make(&Unknown { event, way: pending.way })?;
                self.templates.extend(made.templates);
                self.names.extend(made.names.into_iter().map(|json| Name { is_null: *json == b"null"[..], json }));
                self.quiet = made.quiet;
                self.asks[event.purpose as usize] |= made.program.below.is_some();
                self.routes.keep(&key, pending.hash, made.program)
            }
        };
        let program = self.routes.program(place);
        let world = self.world.as_ref().expect("an engine learns its world before it decides");
        let mut case = Case::new(
            event,
            (program, self.routes.measures(program)),
            (world, &self.numbering, &self.tables),
            (now, &self.quiet),
            &mut self.texts,
        );
        let template = match case.first(self.routes.rows(program.above)) {
            Some(answer) => case.template_of(answer),
            None => {
                let stance = match pending.number {
                    Some(number) => wills.stance(&program.probe, number, pending.found),
                    None => Stance::Silent,
                };
                case.first(self.routes.rows_for(program, stance)).and_then(|answer| case.template_of(answer))
            }
        };
        Ok(template.map(|template| (place, Outcome { name: program.name, template })))
    }

    #[inline]
    fn write(&self, page: &mut Page<'_>, bytes: &[u8], pending: &Pending<'_>, outcome: Outcome) {
        let mut room = [0; TEXT_BYTES];
        let key = pending.record.key.clone().map_or(&b""[..], |span| &bytes[span]);
        let key = match (key.len(), pending.number) {
            (1..=KEY_BYTES_MAX, _) => key,
            (_, Some(number)) => Number::Person(number).text(&mut room),
            _ => pending.event.to,
        };
        let (name, template) = (&self.names[outcome.name as usize], &self.templates[outcome.template as usize]);
        decision::write(page.writer, key, &pending.event, &name.json, template, &page.shared);
    }

    /// The number of an outcome of a route; those that were not met before are added to `new`.
    #[inline]
    fn number_of(&mut self, place: u32, outcome: Outcome, new: &mut Vec<Outcome>) -> u32 {
        if let Some(number) = self.routes.number_of(place, outcome.template) {
            return number;
        }
        let next = self.outcomes.len() as u32;
        let number = *self.outcomes.entry(outcome).or_insert_with(|| {
            new.push(outcome);
            next
        });
        self.routes.keep_number(place, outcome.template, number);
        number
    }

    #[inline]
    fn note(&self, answered: &mut Answered, pending: &Pending<'_>, outcome: Outcome, hinted: bool) {
        let event = &pending.event;
        let row = answered.timestamps.len() as u32;
        answered.timestamps.push(pending.record.timestamp);
        answered.recipients.push(pending.number.map_or(-1, |number| number as i64));
        let nobody = self.templates[outcome.template as usize].claim || self.names[outcome.name as usize].is_null;
        let source = match pending.way.from_kind {
            _ if !nobody => 0,
            FromKind::Missing => -1,
            FromKind::Person if event.from[0] == b'+' => numbers::parse(event.from).map_or(-1, |number| number as i64),
            _ => match self.numbering.source(event.from, side(event)) {
                Some((_, Number::Person(number))) => number as i64,
                Some((_, Number::Other(text))) => {
                    answered.odd_sources.push((row, String::from_utf8_lossy(text).into_owned()));
                    -1
                }
                None => unreachable!("it was read before"),
            },
        };
        answered.sources.push(source);
        if hinted {
            answered.hinted.push(row);
        }
        answered.misplaced += usize::from(pending.misplaced);
    }
}

fn left(bytes: &[u8], record: &Record) -> Left {
    let part = |span: &Option<Range<usize>>| span.clone().map(|span| bytes[span].into());
    Left { offset: record.offset, timestamp: record.timestamp, key: part(&record.key), value: part(&record.value) }
}
