//! The events of a batch, decided in groups: read, looked up, answered and written.

use super::interface::{Decided, Failure, Fallback, Request, RouteCompiler, UnknownRoute};
use crate::base::Found;
use crate::batch::{Deflater, Record, Writer};
use crate::case::{Case, Texts};
use crate::decision::{self, Outcome, Shared, Template};
use crate::event::{self, Event, Kind, PURPOSES};
use crate::json::ObjectReader;
use crate::numbering::{FromKind, Number, Numbering};
use crate::numbers::{self, TEXT_BYTES};
use crate::program::RouteKind;
use crate::routes::{Key, Routes};
use crate::sources::Sources;
use crate::stance::Stance;
use crate::store::PartitionStore;
use crate::text::Tables;
use crate::world::World;
use hashbrown::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A decision bears its event's key up to this length, else its subscriber (DESIGN section 4, *Limits*).
const KEY_BYTES_MAX: usize = 256;

/// Events that are read before the first of them is decided.
const GROUP: usize = 32;

/// Decides events one by one.
#[derive(Debug)]
pub(super) struct EventDecider {
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
    /// By stated purpose, whether any route so far asks for the recipient's stance: then that is prefetched.
    needs_stance: [bool; PURPOSES],
}

/// A sender as decisions write it.
#[derive(Debug)]
struct Name {
    json: Box<[u8]>,
    is_null: bool,
}

/// What the batches of one request are written to.
pub(super) struct Output<'a> {
    pub(super) decided: Decided,
    pub(super) writer: &'a mut Writer,
    pub(super) deflater: &'a mut Deflater,
    pub(super) batch_bytes_max: usize,
    pub(super) now: i64,
    pub(super) shared: Shared,
}

impl Output<'_> {
    /// Ends a batch of decisions.
    pub(super) fn finish(&mut self) {
        let count = self.writer.count();
        if count > 0 {
            self.decided.batches.push((self.writer.finish(self.now, self.deflater), count));
        }
    }
}

/// An event that was read and is not yet decided.
struct Pending<'a> {
    record: &'a Record,
    event: Event<'a>,
    route: RouteKind,
    /// What its route is found by.
    hash: u64,
    number: Option<u64>,
    misplaced: bool,
    /// Where the base has the number, if that was prefetched.
    found: Option<Found>,
}

impl EventDecider {
    pub(super) fn new(partitions: u32, numbering: Numbering, tables: Arc<Tables>) -> Self {
        Self {
            partitions,
            numbering,
            tables,
            world: None,
            routes: Routes::default(),
            sources: Sources::default(),
            templates: Vec::new(),
            names: Vec::new(),
            outcomes: HashMap::new(),
            quiet: Vec::new(),
            texts: Texts::default(),
            event_reader: ObjectReader::default(),
            needs_stance: [false; PURPOSES],
        }
    }

    pub(super) fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    pub(super) fn set_world(&mut self, world: World) {
        self.world = Some(world);
        self.sources = Sources::default();
        self.clear_routes();
    }

    pub(super) fn set_quiet(&mut self, quiet: Vec<bool>) {
        self.quiet = quiet;
    }

    pub(super) fn clear_routes(&mut self) {
        self.routes.clear();
        self.templates.clear();
        self.names.clear();
        self.outcomes.clear();
    }

    pub(super) fn is_full(&self) -> bool {
        self.routes.is_full()
    }

    /// Decides the records of one batch of the request.
    pub(super) fn decide<M: RouteCompiler>(
        &mut self,
        bytes: &[u8],
        records: &[Record],
        request: &Request<'_>,
        store: &PartitionStore,
        compiler: &mut M,
        output: &mut Output<'_>,
    ) -> Result<(), Failure<M::Error>> {
        let Decided { timestamps, recipients, sources, outcomes, .. } = &mut output.decided;
        for column in [timestamps, recipients, sources] {
            column.reserve(records.len());
        }
        outcomes.reserve(records.len());
        // No more than what a batch of decisions holds: this room is kept, and a giant may be of 32 MiB.
        output.writer.reserve((bytes.len() + bytes.len() / 2).min(output.batch_bytes_max));
        let mut group: Vec<Pending<'_>> = Vec::with_capacity(GROUP);

        let mut rest = records;
        while !rest.is_empty() {
            let some;
            (some, rest) = rest.split_at(GROUP.min(rest.len()));
            group.clear();
            for record in some {
                if record.offset < request.from_offset {
                    continue;
                }
                match self.read(bytes, record, request) {
                    Some(pending) => {
                        if let Some(number) = pending.number
                            && self.needs_stance[pending.event.purpose as usize]
                        {
                            store.base().prefetch_slot(number);
                        }
                        group.push(pending);
                    }
                    None => output.decided.fallbacks.push(fallback(bytes, record)),
                }
            }
            for pending in &mut group {
                self.routes.prefetch(pending.hash);
                if let Some(number) = pending.number
                    && self.needs_stance[pending.event.purpose as usize]
                {
                    pending.found = Some(store.base().find_block(number));
                }
            }
            for pending in &mut group {
                if let Some(found) = &mut pending.found {
                    store.base().read_flags(found);
                }
            }
            for pending in &group {
                let outcome = self.outcome(pending, request.now, store, compiler).map_err(Failure::Compiler)?;
                let Some((place, outcome)) = outcome else {
                    output.decided.fallbacks.push(fallback(bytes, pending.record));
                    continue;
                };
                let service = self.templates[outcome.template as usize].service;
                let Some(hinted) =
                    (if service { self.texts.hint_in(&pending.event, &self.tables) } else { Some(false) })
                else {
                    output.decided.fallbacks.push(fallback(bytes, pending.record));
                    continue;
                };
                if output.writer.bytes() >= output.batch_bytes_max {
                    output.finish();
                }
                self.write(output, bytes, pending, outcome);
                let number = self.number_of(place, outcome, &mut output.decided.new_outcomes);
                output.decided.outcomes.push(number);
                self.put_row(&mut output.decided, pending, outcome, hinted);
            }
        }
        Ok(())
    }

    #[inline]
    fn read<'a>(&mut self, bytes: &'a [u8], record: &'a Record, request: &Request<'_>) -> Option<Pending<'a>> {
        let event = event::read(&bytes[record.value.clone()?], &mut self.event_reader)?;
        let expected = match event.kind {
            Kind::Sms => request.sms,
            Kind::Call => request.call,
            Kind::Reply => false,
        };
        if !expected {
            return None;
        }
        let (to_kind, number) = self.numbering.recipient(event.to)?;
        let partition = match number {
            Some(number) if event.to[0] != b'+' => numbers::partition_of_number(number, self.partitions),
            _ => numbers::partition_of(event.to, self.partitions),
        };
        let misplaced = partition != request.partition;
        if misplaced && request.reject_misplaced {
            return None;
        }
        let world = self.world.as_ref().expect("an engine is given its world before it decides");
        let source = self.sources.of(&event, &self.numbering, world);
        let route = RouteKind {
            kind: event.kind,
            from_kind: source.kind?,
            to_kind,
            purpose: event.purpose,
            platform: event.kind == Kind::Call && event.platform,
            internet: event.internet,
            holding: source.holding,
            ordered: source.ordered,
        };
        let hash = self.routes.hash(&Key::new(&route, event.sender, event.category));
        Some(Pending { record, event, route, hash, number, misplaced, found: None })
    }

    #[inline]
    fn outcome<M: RouteCompiler>(
        &mut self,
        pending: &Pending<'_>,
        now: i64,
        store: &PartitionStore,
        compiler: &mut M,
    ) -> Result<Option<(u32, Outcome)>, M::Error> {
        let event = &pending.event;
        let key = Key::new(&pending.route, event.sender, event.category);
        let place = match self.routes.find(&key, pending.hash) {
            Some(place) => place,
            // One batch alone may bring more routes than are kept.
            None if self.is_full() => return Ok(None),
            None => {
                let made = compiler.compile(&UnknownRoute { event, route: pending.route })?;
                self.templates.extend(made.templates);
                self.names.extend(made.names.into_iter().map(|json| Name { is_null: *json == b"null"[..], json }));
                self.quiet = made.quiet;
                self.needs_stance[event.purpose as usize] |= made.program.below.is_some();
                self.routes.keep(&key, pending.hash, made.program)
            }
        };
        let program = self.routes.program(place);
        let world = self.world.as_ref().expect("an engine is given its world before it decides");
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
                    Some(number) => store.stance(&program.probe, number, pending.found),
                    None => Stance::Silent,
                };
                case.first(self.routes.rows_for(program, stance)).and_then(|answer| case.template_of(answer))
            }
        };
        Ok(template.map(|template| (place, Outcome { name: program.name, template })))
    }

    #[inline]
    fn write(&self, output: &mut Output<'_>, bytes: &[u8], pending: &Pending<'_>, outcome: Outcome) {
        let mut room = [0; TEXT_BYTES];
        let key = pending.record.key.clone().map_or(&b""[..], |span| &bytes[span]);
        let key = match (key.len(), pending.number) {
            (1..=KEY_BYTES_MAX, _) => key,
            (_, Some(number)) => Number::Person(number).text(&mut room),
            _ => pending.event.to,
        };
        let (name, template) = (&self.names[outcome.name as usize], &self.templates[outcome.template as usize]);
        decision::write(output.writer, key, &pending.event, &name.json, template, &output.shared);
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
    fn put_row(&self, decided: &mut Decided, pending: &Pending<'_>, outcome: Outcome, hinted: bool) {
        let event = &pending.event;
        let row = decided.timestamps.len() as u32;
        decided.timestamps.push(pending.record.timestamp);
        decided.recipients.push(pending.number.map_or(-1, |number| number as i64));
        let no_sender = self.templates[outcome.template as usize].claim || self.names[outcome.name as usize].is_null;
        let source = match pending.route.from_kind {
            _ if !no_sender => 0,
            FromKind::Missing => -1,
            FromKind::Person if event.from[0] == b'+' => numbers::parse(event.from).map_or(-1, |number| number as i64),
            _ => match self.numbering.source(event.from, event.side()) {
                Some((_, Number::Person(number))) => number as i64,
                Some((_, Number::Other(text))) => {
                    decided.odd_sources.push((row, String::from_utf8_lossy(text).into_owned()));
                    -1
                }
                None => unreachable!("it was read before"),
            },
        };
        decided.sources.push(source);
        if hinted {
            decided.hinted.push(row);
        }
        decided.misplaced += usize::from(pending.misplaced);
    }
}

fn fallback(bytes: &[u8], record: &Record) -> Fallback {
    let part = |span: &Option<Range<usize>>| span.clone().map(|span| bytes[span].into());
    Fallback { offset: record.offset, timestamp: record.timestamp, key: part(&record.key), value: part(&record.value) }
}
