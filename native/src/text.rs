//! `Tables`: how texts are folded.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::Arc;
use wurao_core::text;

/// What characters fold to: made once for a process, shared by its engines.
#[pyclass(frozen, module = "wurao_native")]
pub struct Tables(pub Arc<text::Tables>);

#[pymethods]
impl Tables {
    /// The tables that `stream.deciding.character_tables` makes. Raises ValueError for tables of other sizes.
    #[new]
    fn new(
        fold: &[u8],
        expansions: Vec<(String, String, Vec<u8>)>,
        lower: &[u8],
        between: &[u8],
        beyond: &[u8],
    ) -> PyResult<Self> {
        text::Tables::new(fold, expansions, lower, between, beyond)
            .map(|tables| Self(Arc::new(tables)))
            .ok_or_else(|| PyValueError::new_err("the character tables are of another version: run `make native`"))
    }

    /// The text folded and stripped, or None where a character of it cannot be folded by itself. For tests.
    fn read(&self, text: &str) -> Option<(String, String)> {
        let mut reading = text::Reading::default();
        let both = |reading: text::Reading| {
            Some((String::from_utf8(reading.folded().to_vec()).ok()?, String::from_utf8(reading.stripped()).ok()?))
        };
        if reading.read(&self.0, text.as_bytes()) { both(reading) } else { None }
    }

    /// Whether a text has an opt-out hint when it is folded, and in lower case; None where that is not certain. For tests.
    fn hints(&self, text: &str) -> (Option<bool>, Option<bool>) {
        let mut reading = text::Reading::default();
        let folded = reading.read(&self.0, text.as_bytes()).then(|| reading.opt_out_shown());
        (folded, text::Hints::default().stand_in(&self.0, text.as_bytes()))
    }
}
