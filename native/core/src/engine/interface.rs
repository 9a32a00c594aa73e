//! What an engine takes, the compiler that it calls, and what it returns.

use crate::batch::Unreadable;
use crate::decision::{Outcome, Template};
use crate::event::Event;
use crate::program::{CompiledProgram, RouteKind};

/// A route that has no program yet, with one of its events.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct UnknownRoute<'a> {
    pub event: &'a Event<'a>,
    pub route: RouteKind,
}

/// The program that Python compiled for a route, and the templates and names that are new since the last call.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct CompiledRoute {
    pub program: CompiledProgram,
    pub templates: Vec<Template>,
    pub names: Vec<Box<[u8]>>,
    /// For each set of permitted hours, whether now is outside of it.
    pub quiet: Vec<bool>,
}

/// Compiles routes to programs: Python.
pub trait RouteCompiler {
    /// Why a route cannot be compiled.
    type Error;
    /// The program of a route.
    fn compile(&mut self, unknown: &UnknownRoute<'_>) -> Result<CompiledRoute, Self::Error>;
}

/// Why a whole batch was rejected, before any of its records was decided.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Failure<E> {
    Unreadable(Unreadable),
    Compiler(E),
}

/// One or more record batches to decide, and how.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Request<'a> {
    /// One or more record batches, back to back: the decisions on several small ones are written as one batch.
    pub raw: &'a [u8],
    /// Whether misplaced events (their subscriber belongs to another partition, which is held elsewhere) fall back to
    /// Python; else they are counted.
    pub reject_misplaced: bool,
    /// Whether SMS are decided, and calls; other records of the topic fall back to Python.
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
pub struct Fallback {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Box<[u8]>>,
    pub value: Option<Box<[u8]>>,
}

/// The outcome of a request. The columns have a row for each event that was decided.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Decided {
    /// Record batches of decisions, complete but for the producer's fields, each with its record count.
    pub batches: Vec<(Vec<u8>, usize)>,
    pub outcomes: Vec<u32>,
    /// Outcomes that are new to this engine, in the order of their numbers.
    pub new_outcomes: Vec<Outcome>,
    /// Record timestamps, milliseconds.
    pub timestamps: Vec<i64>,
    /// The recipient's number, or -1 for what is no subscriber's.
    pub recipients: Vec<i64>,
    /// The number that an event without a responsible sender came from, -1 where that is no subscriber's; 0 for all others.
    pub sources: Vec<i64>,
    /// Rows whose `sources` is -1 though there is a text, with that text.
    pub odd_sources: Vec<(u32, String)>,
    /// Rows of service texts with an opt-out hint.
    pub hinted: Vec<u32>,
    pub fallbacks: Vec<Fallback>,
    pub next_offset: i64,
    /// Decided events whose subscriber belongs to another partition.
    pub misplaced: usize,
}
