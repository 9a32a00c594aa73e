//! The batch function of wurao's filter, without Python.
//!
//! From the bytes of a Kafka record batch of events to those of a record batch of decisions, by one rule table: Python's
//! (`stream.policy`), from which `program` gets its rows. What is not certain here falls back to Python, event by event.
//! The modules from the bottom up: `batch` (Kafka's bytes), `json` (objects) and `event`, `numbers` and `numbering` (how
//! they are read), `prefixes` (whose they are), `text` and `terms`, `stance`, `base` and `store` (what subscribers hold),
//! `world` (the rest of the registry), `program` (the table on a route), `routes` (those that were taken), `sources` (where
//! events come from), `case` (an event on its route), `decision` (what is written), `engine` (a batch). Beside them
//! `expressions`: the registry's own records.
//!
//! No I/O but the memory map of a base, no clock, no thread.

pub mod base;
pub mod batch;
pub mod case;
pub mod decision;
pub mod engine;
pub mod event;
pub mod expressions;
pub mod json;
pub mod numbering;
pub mod numbers;
pub mod prefetch;
pub mod prefixes;
pub mod program;
pub mod routes;
pub mod short;
pub mod sources;
pub mod stance;
pub mod store;
pub mod terms;
pub mod text;
pub mod world;
