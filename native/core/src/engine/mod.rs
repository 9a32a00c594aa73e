//! A batch: records in, decisions out. All of the control flow stands here, and nothing here knows a rule.
//!
//! Events are read some thirty at a time, so that what each of them needs from memory is prefetched while the others are
//! read. Whatever is not certain falls back to Python: of one partition the events that are decided here and the fallbacks
//! keep their order among themselves, not with each other (the contract keys decisions by their event's id).

mod decider;
mod interface;

pub use interface::{CompiledRoute, Decided, Failure, Fallback, Request, RouteCompiler, UnknownRoute};

use crate::batch::{self, Deflater, Inflater, Record, Writer};
use crate::decision::Shared;
use crate::numbering::Numbering;
use crate::store::PartitionStore;
use crate::text::Tables;
use crate::world::World;
use decider::{EventDecider, Output};
use std::sync::Arc;

/// Decides batches, and keeps everything that stays from one to the next.
#[derive(Debug)]
pub struct Engine {
    decider: EventDecider,
    epoch: Box<[u8]>,
    batch_bytes_max: usize,
    inflater: Inflater,
    records: Vec<Record>,
    writer: Writer,
    deflater: Deflater,
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
    /// An engine that has no world yet: `set_world` before the first `decide`.
    pub fn new(setup: Setup) -> Self {
        let decider = EventDecider::new(setup.partitions, setup.numbering, setup.tables);
        Self {
            decider,
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
        self.decider.tables()
    }

    /// Reuses the memory of a finished batch, once that was sent on, for another.
    pub fn recycle(&mut self, batch: Vec<u8>) {
        self.writer.recycle(batch);
    }

    /// From now on this is the world. Routes and sources of the old one are dropped.
    pub fn set_world(&mut self, world: World) {
        self.decider.set_world(world);
    }

    /// Drops every route, and what their programs refer to.
    pub fn clear_routes(&mut self) {
        self.decider.clear_routes();
    }

    /// Whether `clear_routes` is due before the next batch: traffic over ever new routes must not fill the memory.
    pub fn is_full(&self) -> bool {
        self.decider.is_full()
    }

    /// The epoch of the decisions from now on, as it stands in JSON between the quotes.
    pub fn set_epoch(&mut self, epoch: &[u8]) {
        self.epoch = epoch.into();
    }

    /// Decides a batch. `quiet` says of each set of hours whether the moment lies outside of it.
    pub fn decide<M: RouteCompiler>(
        &mut self,
        request: &Request<'_>,
        quiet: Vec<bool>,
        store: &PartitionStore,
        compiler: &mut M,
    ) -> Result<Decided, Failure<M::Error>> {
        let decided = self.decide_all(request, quiet, store, compiler);
        self.inflater.release();
        decided
    }

    fn decide_all<M: RouteCompiler>(
        &mut self,
        request: &Request<'_>,
        quiet: Vec<bool>,
        store: &PartitionStore,
        compiler: &mut M,
    ) -> Result<Decided, Failure<M::Error>> {
        self.decider.set_quiet(quiet);
        self.writer.clear(); // of what a request that failed has written
        let mut output = Output {
            decided: Decided::default(),
            writer: &mut self.writer,
            deflater: &mut self.deflater,
            batch_bytes_max: self.batch_bytes_max,
            now: request.now,
            shared: Shared::new(request.now, &self.epoch),
        };
        let mut rest = request.raw;
        loop {
            let raw;
            (raw, rest) = batch::first_of(rest).map_err(Failure::Unreadable)?;
            let header = batch::header(raw).map_err(Failure::Unreadable)?;
            let bytes = self.inflater.records_of(raw, header.codec).map_err(Failure::Unreadable)?;
            batch::find(&header, bytes, &mut self.records).map_err(Failure::Unreadable)?;
            output.decided.next_offset = header.next_offset;
            self.decider.decide(bytes, &self.records, request, store, compiler, &mut output)?;
            if rest.is_empty() {
                break;
            }
        }
        output.finish();
        let mut decided = output.decided;
        decided.fallbacks.sort_unstable_by_key(|fallback| fallback.offset);
        Ok(decided)
    }
}
