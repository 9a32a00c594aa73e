//! Kafka's record batch, version 2 ("magic 2"; Apache Kafka protocol guide, *Record Batch*): reading and writing.
//!
//! Promises that no byte outside of what was given is looked at, whatever lengths the bytes claim, and that what
//! cannot be read whole is an error before any record of it is used. Must never judge what the records hold.

mod compression;
mod header;
mod records;
#[cfg(test)]
mod tests;
mod writer;

pub use compression::{Deflater, Inflater, RECORDS_BYTES_MAX};
pub use header::{Codec, HEADER_BYTES, Header, Unreadable, crc_holds, first_of, header, seal};
pub use records::{Record, find};
pub use writer::Writer;
