//! `wurao_native`: what Python sees of `wurao_core`. One file for each class, named as in the core.
//!
//! `bloom.base`, `stream.deciding.native` and `stream.feed.expression_reader` call this module, and say what its tuples
//! mean; `native/wurao_native.pyi` has their types. The interpreter lock is released while a batch is decided, except when a
//! route has to be compiled. A panic becomes Python's `PanicException`, which is no `Exception`. Decides nothing itself and
//! logs nothing.

mod base;
mod batch;
mod convert;
mod engine;
mod expressions;
mod store;
mod text;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use wurao_core::program;

#[pymodule]
mod wurao_native {
    use super::*;
    #[pymodule_export]
    use crate::base::Base;
    #[pymodule_export]
    use crate::batch::{crc_holds, seal};
    #[pymodule_export]
    use crate::engine::Engine;
    #[pymodule_export]
    use crate::expressions::ExpressionReader;
    #[pymodule_export]
    use crate::store::{FrozenStore, Store};
    #[pymodule_export]
    use crate::text::Tables;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("PREDICATES", PyTuple::new(module.py(), program::PREDICATES)?)?;
        module.add("CODECS", PyTuple::new(module.py(), ["none", "lz4", "zstd"])?)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
