//! `Engine`: batches decided, with Python called back to compile routes.

use crate::convert::{self, RouteParts, SetupParts, WorldParts};
use crate::store::Store;
use crate::text::Tables;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyLookupError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyList, PyTuple};
use std::sync::Arc;
use wurao_core::batch;
use wurao_core::engine::{self, CompiledRoute, Failure, Request, RouteCompiler, Setup, UnknownRoute};
use wurao_core::event::Purpose;
use wurao_core::numbering::Numbering;

/// Decides batches. Not for two threads at once.
#[pyclass(module = "wurao_native")]
pub struct Engine(engine::Engine);

#[pymethods]
impl Engine {
    /// Raises ValueError for a codec that is not written here, and for patterns that mean something else to Python.
    #[new]
    fn new(setup: SetupParts, tables: &Tables) -> PyResult<Self> {
        let codec = match &*setup.codec {
            "none" => batch::Codec::None,
            "lz4" => batch::Codec::Lz4,
            "zstd" => batch::Codec::Zstd,
            other => {
                return Err(PyValueError::new_err(format!("codec {other}: wurao_native writes none, lz4 and zstd")));
            }
        };
        let numbering = Numbering::new(&setup.numbers.into()).map_err(PyValueError::new_err)?;
        Ok(Self(engine::Engine::new(Setup {
            partitions: setup.partitions,
            deflater: batch::Deflater::new(codec, setup.level)?,
            batch_bytes_max: setup.batch_bytes_max,
            numbering,
            tables: Arc::clone(&tables.0),
        })))
    }

    /// From now on this is the registry, without refusals and consents. Drops all routes.
    fn set_world(&mut self, world: WorldParts) -> PyResult<()> {
        self.0.set_world(convert::world_of(world, self.0.tables()).map_err(PyValueError::new_err)?);
        Ok(())
    }

    /// Drops all routes, and the numbers of their templates, senders and outcomes.
    fn clear_routes(&mut self) {
        self.0.clear_routes();
    }

    /// Whether `clear_routes` is due before the next batch.
    #[getter]
    fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// The epoch of the decisions from now on, as it stands in JSON between the quotes.
    fn set_epoch(&mut self, epoch: &[u8]) {
        self.0.set_epoch(epoch);
    }

    /// Decides a batch: see `stream.deciding.native`, which makes the request and unpacks what is returned.
    #[pyo3(signature = (raw, *, sms, call, partition, from_offset, now, quiet, store, compile_route))]
    #[allow(clippy::too_many_arguments)]
    fn decide<'py>(
        &mut self,
        py: Python<'py>,
        raw: &Bound<'py, PyAny>,
        sms: bool,
        call: bool,
        partition: u32,
        from_offset: i64,
        now: i64,
        quiet: Vec<bool>,
        store: &Store,
        compile_route: Py<PyAny>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let copied;
        let raw: &[u8] = if let Ok(bytes) = raw.cast::<PyBytes>() {
            bytes.as_bytes()
        } else {
            copied = PyBuffer::<u8>::get(raw)?.to_vec(py)?;
            &copied
        };
        let reject_misplaced = store.0.is_partitioned();
        let request = Request { raw, reject_misplaced, sms, call, partition, from_offset, now };
        let core = &mut self.0;
        let held = store.0.of(partition);
        let held = held.ok_or_else(|| PyLookupError::new_err(format!("partition {partition} is not held here")))?;
        let decided = py.detach(|| core.decide(&request, quiet, held, &mut PythonCompiler(compile_route)));
        let decided = decided.map_err(|failure| match failure {
            Failure::Unreadable(batch::Unreadable(why)) => PyValueError::new_err(why),
            Failure::Compiler(error) => error,
        })?;
        let batches = decided.batches.into_iter().map(|(batch, count)| {
            let sent = PyByteArray::new(py, &batch);
            self.0.recycle(batch);
            (sent, count)
        });
        // Each is dropped once Python has its copy: a batch of giants is not held twice.
        let fallbacks = decided.fallbacks.into_iter().map(|fallback| {
            let part = |part: &Option<Box<[u8]>>| part.as_ref().map(|part| PyBytes::new(py, part));
            (fallback.offset, fallback.timestamp, part(&fallback.key), part(&fallback.value))
        });
        (
            PyList::new(py, batches.collect::<Vec<_>>())?,
            convert::bytes_of(py, &decided.outcomes),
            decided.new_outcomes.iter().map(|outcome| (outcome.name, outcome.template)).collect::<Vec<_>>(),
            convert::bytes_of(py, &decided.timestamps),
            convert::bytes_of(py, &decided.recipients),
            convert::bytes_of(py, &decided.sources),
            decided.odd_sources,
            decided.hinted,
            PyList::new(py, fallbacks.collect::<Vec<_>>())?,
            decided.next_offset,
            decided.misplaced,
        )
            .into_pyobject(py)
    }
}

/// Has Python compile a route.
struct PythonCompiler(Py<PyAny>);

impl RouteCompiler for PythonCompiler {
    type Error = PyErr;

    fn compile(&mut self, unknown: &UnknownRoute<'_>) -> PyResult<CompiledRoute> {
        let (event, route) = (unknown.event, unknown.route);
        let text =
            |bytes: &[u8]| if bytes.is_empty() { None } else { std::str::from_utf8(bytes).ok().map(str::to_owned) };
        Python::attach(|py| {
            let purpose = match event.purpose {
                Purpose::Unstated => None,
                Purpose::Personal => Some("personal"),
                Purpose::Service => Some("service"),
                Purpose::Commercial => Some("commercial"),
                Purpose::Public => Some("public"),
                Purpose::Emergency => Some("emergency"),
            };
            let arguments = (
                event.kind as u8,
                (text(event.from), event.internet, text(event.to)),
                (text(event.sender), purpose, text(event.category), route.platform),
                (route.from_kind as u8, route.to_kind as u8),
                (route.holding, route.ordered.is_some()),
            );
            let compiled: RouteParts = self.0.bind(py).call1(arguments)?.extract()?;
            Ok(convert::route_of(compiled))
        })
    }
}
