//! `Base`: an immutable register, in memory or mapped from a file.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use std::sync::Arc;
use wurao_core::base::{self, Builder, Damaged, NamedScope, ORIGIN_BYTES};

/// What every number held at one moment: made of Roaring bitmaps, or mapped from a file.
#[pyclass(frozen, module = "wurao_native")]
pub struct Base(pub Arc<base::Base>);

impl Base {
    /// A base of the core. Raises ValueError for one that must not be used.
    pub fn of(base: Result<base::Base, Damaged>) -> PyResult<Self> {
        base.map(|base| Self(Arc::new(base))).map_err(|Damaged(why)| PyValueError::new_err(why))
    }
}

#[pymethods]
impl Base {
    /// Made of scopes (channel, refusal, sender, category), of each scope's numbers as a serialised Roaring bitmap, and of
    /// a digest of what that is (`origin`). Raises ValueError.
    #[new]
    fn new(
        py: Python<'_>,
        scopes: Vec<NamedScope>,
        bitmaps: Vec<Vec<u8>>,
        origin: [u8; ORIGIN_BYTES],
    ) -> PyResult<Self> {
        py.detach(|| {
            let mut builder = Builder::new(scopes);
            for (id, bytes) in (0..).zip(bitmaps) {
                let numbers = roaring::RoaringTreemap::deserialize_from(&bytes[..])
                    .map_err(|error| PyValueError::new_err(format!("the bitmap of scope {id}: {error}")))?;
                builder.put(id, numbers);
            }
            Self::of(builder.finish(&origin).and_then(base::Base::of_bytes))
        })
    }

    /// Mapped from a file and verified. Raises OSError, and ValueError for a file that must not be used.
    #[staticmethod]
    fn map(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        Self::of(py.detach(|| base::Base::map(&path))?)
    }

    /// Written to a file, whole or not at all. Raises OSError.
    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        Ok(py.detach(|| self.0.write(&path))?)
    }

    #[getter]
    fn scopes(&self) -> Vec<NamedScope> {
        self.0.scopes().to_vec()
    }

    #[getter]
    fn origin<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.origin())
    }

    #[getter]
    fn numbers_count(&self) -> u64 {
        self.0.numbers_count()
    }

    #[getter]
    fn bytes_count(&self) -> usize {
        self.0.bytes_count()
    }
}
