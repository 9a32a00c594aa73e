//! `ExpressionReader`: expressions out of record batches, as columns.

use crate::convert;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use wurao_core::batch;
use wurao_core::expressions::{self, FetchedBatches};

/// Reads record batches of `registry.expressions` into columns. Not for two threads at once.
#[pyclass(module = "wurao_native")]
pub struct ExpressionReader(expressions::ExpressionReader);

#[pymethods]
impl ExpressionReader {
    #[new]
    fn new() -> Self {
        Self(expressions::ExpressionReader::default())
    }

    /// Reads batches of one partition: see `stream.feed.expression_reader`, which unpacks what is returned.
    #[pyo3(signature = (raw, *, from_offset, partition, partitions, reject_misplaced))]
    fn read<'py>(
        &mut self,
        py: Python<'py>,
        raw: &Bound<'py, PyAny>,
        from_offset: i64,
        partition: u32,
        partitions: u32,
        reject_misplaced: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let copied = PyBuffer::<u8>::get(raw)?.to_vec(py)?;
        let core = &mut self.0;
        let fetched = FetchedBatches { raw: &copied, from_offset, partition, partitions, reject_misplaced };
        let columns = py.detach(|| core.read(&fetched));
        let columns = columns.map_err(|batch::Unreadable(why)| PyValueError::new_err(why))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let contents = columns.contents.iter().map(|content| {
            let name = |name: &[u8]| (!name.is_empty()).then(|| text(name));
            (content.channel, content.verb, name(&content.sender), name(&content.category))
        });
        let fallbacks = columns.fallbacks.iter().map(|fallback| {
            let part = |part: &Option<Box<[u8]>>| part.as_ref().map(|part| PyBytes::new(py, part));
            (fallback.row, fallback.offset, part(&fallback.key), part(&fallback.value))
        });
        (
            convert::bytes_of(py, &columns.numbers),
            convert::bytes_of(py, &columns.content_ids),
            contents.collect::<Vec<_>>(),
            PyList::new(py, fallbacks.collect::<Vec<_>>())?,
            columns.misplaced,
        )
            .into_pyobject(py)
    }
}
