//! Objects from JSON: what is plain, and nothing else.
//!
//! Promises that what is read here the Python core reads too, with the same meaning. So everything that is rare and
//! could be read in two ways is `None` and falls back to Python, whose answer and errors then stand: a name twice,
//! escapes that are not plain, numbers that are no plain integers, values within values, bytes that are not UTF-8. What the
//! fields mean is known to `event` and `expressions`.

mod cursor;
mod marks;
mod object;
mod value;

pub use object::ObjectReader;
pub(crate) use object::{Fields, Values};
pub use value::unescape;
pub(crate) use value::{Value, integer};

/// A record is at most 1 MiB on the wire.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// The largest integer that every JSON reader holds exactly (RFC 8259, section 6).
pub(crate) const TIME_MAX: u64 = (1 << 53) - 1;
