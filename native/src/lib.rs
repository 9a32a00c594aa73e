//! `wurao_native`: what Python sees of `wurao_core`.
//!
//! `stream.deciding.native` is the only module that imports this one, and says what the tuples mean. The interpreter is
//! let go while a batch is decided, but for the moments when a route needs a program. A panic becomes Python's
//! `PanicException`, which ends the worker. Never judges, never logs.

mod convert;

use convert::{RouteParts, SetupParts, WorldParts};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyLookupError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyList, PyTuple};
use std::path::PathBuf;
use std::sync::Arc;
use wurao_core::base::{Base as CoreBase, Builder, Damaged, Named, ORIGIN_BYTES};
use wurao_core::engine::{CompiledRoute, Engine as Core, Failure, Request, RouteCompiler, Setup, UnknownRoute};
use wurao_core::event::Purpose;
use wurao_core::expressions::{Expressions as CoreExpressions, Stretch};
use wurao_core::numbering::Numbering;
use wurao_core::stance::{Probe, Scope, channel_of};
use wurao_core::wills::{self, Aside as CoreAside, Held};
use wurao_core::{batch, program, text};

/// What characters fold to, made once for a process.
#[pyclass(frozen, module = "wurao_native")]
struct Tables(Arc<text::Tables>);

#[pymethods]
impl Tables {
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
            .ok_or_else(|| PyValueError::new_err("these are not the tables that this module knows"))
    }

    /// The text folded and stripped, or None where a character of it cannot be folded by itself. For tests.
    fn read(&self, text: &str) -> Option<(String, String)> {
        let mut reading = text::Reading::default();
        let both = |reading: text::Reading| {
            Some((String::from_utf8(reading.folded().to_vec()).ok()?, String::from_utf8(reading.stripped()).ok()?))
        };
        if reading.read(&self.0, text.as_bytes()) { both(reading) } else { None }
    }

    /// Whether a text, folded, tells how to refuse, and whether it does in lower case; None where that is not known.
    fn hints(&self, text: &str) -> (Option<bool>, Option<bool>) {
        let mut reading = text::Reading::default();
        let folded = reading.read(&self.0, text.as_bytes()).then(|| reading.opt_out_shown());
        (folded, text::Hints::default().stand_in(&self.0, text.as_bytes()))
    }
}

/// What every number held at one moment: made of Roaring bitmaps, or mapped from a file.
#[pyclass(frozen, module = "wurao_native")]
struct Base(Arc<CoreBase>);

#[pymethods]
impl Base {
    /// Of scopes (channel, refusal, sender, category), for each its numbers as a serialised Roaring bitmap, and a digest
    /// of what it is of.
    #[new]
    fn new(py: Python<'_>, scopes: Vec<Named>, bitmaps: Vec<Vec<u8>>, origin: [u8; ORIGIN_BYTES]) -> PyResult<Self> {
        py.detach(|| {
            let mut builder = Builder::new(scopes);
            for (id, bytes) in (0..).zip(bitmaps) {
                let numbers = roaring::RoaringTreemap::deserialize_from(&bytes[..])
                    .map_err(|error| PyValueError::new_err(format!("a bitmap that cannot be read: {error}")))?;
                builder.put(id, numbers);
            }
            let base = builder.finish(&origin).and_then(CoreBase::of_bytes);
            base.map(|base| Self(Arc::new(base))).map_err(|Damaged(why)| PyValueError::new_err(why))
        })
    }

    /// Mapped from a file and verified. Raises OSError, and ValueError for a file that must not be used.
    #[staticmethod]
    fn map(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let base = py.detach(|| CoreBase::map(&path))?;
        base.map(|base| Self(Arc::new(base))).map_err(|Damaged(why)| PyValueError::new_err(why))
    }

    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        Ok(py.detach(|| self.0.write(&path))?)
    }

    #[getter]
    fn scopes(&self) -> Vec<Named> {
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

/// The wills of all subscribers, or of the partitions that are held; a store of `bloom.wills`.
#[pyclass(module = "wurao_native")]
struct Wills(Held);

/// What was set aside of the partitions that were held.
#[pyclass(frozen, module = "wurao_native")]
struct Aside(Option<CoreAside>);

#[pymethods]
impl Aside {
    /// One base of all. `scopes` are those of all ids: (channel, refusal, sender, category). In any thread.
    fn fold(&self, py: Python<'_>, scopes: Vec<Named>) -> PyResult<Base> {
        let aside = self.0.as_ref().expect("until it is dropped");
        let base = py.detach(|| aside.fold(scopes));
        base.map(|base| Base(Arc::new(base))).map_err(|Damaged(why)| PyValueError::new_err(why))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        free(self.0.take());
    }
}

/// Frees what may be a million changes, some 60 ns each, for which nobody should wait: at once only where there can be no
/// thread for it.
fn free(what: impl Send + 'static) {
    _ = std::thread::Builder::new().spawn(move || drop(what));
}

fn not_held(partition: u32) -> PyErr {
    PyLookupError::new_err(format!("partition {partition} is not held here"))
}

#[pymethods]
impl Wills {
    /// Of so many partitions, of which none is held yet. One partition: there is nothing but it.
    #[new]
    fn new(partitions: u32) -> Self {
        Self(Held::new(partitions as usize))
    }

    /// Hold a partition, whose wills are as a base has them.
    fn hold(&mut self, partition: u32, base: &Base) {
        self.0.hold(partition, wills::Wills::new(Arc::clone(&base.0)));
    }

    fn drop(&mut self, partition: u32) {
        free(self.0.drop(partition));
    }

    /// Set aside what has changed in the partitions that are held.
    fn set_aside(&mut self) -> Aside {
        Aside(Some(self.0.set_aside()))
    }

    /// Put a base in the place of what it was made of, where that is still here.
    fn adopt(&mut self, aside: &Aside, base: &Base) {
        self.0.adopt(aside.0.as_ref().expect("until it is dropped"), &base.0);
    }

    fn learn(&mut self, channel: u8, refusal: bool, sender: u32, category: u32) {
        self.0.add_scope(scope_of((channel, refusal, sender, category)));
    }

    fn add(&mut self, scope: u32, numbers: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.add(scope, &numbers_of(numbers)?);
        Ok(())
    }

    fn remove(&mut self, scope: u32, numbers: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.remove(scope, &numbers_of(numbers)?);
        Ok(())
    }

    fn refuse(&mut self, scope: u32, numbers: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.refuse(scope, &numbers_of(numbers)?);
        Ok(())
    }

    fn remove_within(&mut self, channel: u8, sender: u32, category: u32, numbers: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.remove_within(scope_of((channel, true, sender, category)), &numbers_of(numbers)?);
        Ok(())
    }

    fn stance(&self, channel: u8, consent: u32, refusals: [u32; 3], number: u64) -> PyResult<u8> {
        let wills = self.0.of_number(number).ok_or_else(|| PyLookupError::new_err("its partition is not held here"))?;
        Ok(wills.stance(&Probe { channel: channel_of(channel), consent, refusals }, number, None) as u8)
    }

    #[getter]
    fn changed_count(&self) -> usize {
        self.0.changed_count()
    }

    #[getter]
    fn numbers_count(&self) -> u64 {
        self.0.numbers_count()
    }
}

/// Numbers out of an array in one stroke, or out of any other sequence one by one.
fn numbers_of(numbers: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
    match PyBuffer::<u64>::get(numbers) {
        Ok(buffer) => buffer.to_vec(numbers.py()),
        Err(_) => numbers.extract(),
    }
}

fn scope_of((channel, refusal, sender, category): (u8, bool, u32, u32)) -> Scope {
    Scope { channel: channel_of(channel), refusal, sender, category }
}

/// Decides batches. Not for two threads at once.
#[pyclass(module = "wurao_native")]
struct Engine(Core);

#[pymethods]
impl Engine {
    #[new]
    fn new(setup: SetupParts, tables: &Tables) -> PyResult<Self> {
        let codec = match &*setup.codec {
            "none" => batch::Codec::None,
            "lz4" => batch::Codec::Lz4,
            "zstd" => batch::Codec::Zstd,
            other => return Err(PyValueError::new_err(format!("{other}: this module writes none, lz4 or zstd"))),
        };
        let numbering = Numbering::new(&setup.numbers.into()).map_err(PyValueError::new_err)?;
        Ok(Self(Core::new(Setup {
            partitions: setup.partitions,
            deflater: batch::Deflater::new(codec, setup.level)?,
            batch_bytes_max: setup.batch_bytes_max,
            numbering,
            tables: Arc::clone(&tables.0),
        })))
    }

    fn learn(&mut self, world: WorldParts) -> PyResult<()> {
        self.0.set_world(convert::world_of(world, self.0.tables()).map_err(PyValueError::new_err)?);
        Ok(())
    }

    fn forget(&mut self) {
        self.0.forget_routes();
    }

    #[getter]
    fn is_full(&self) -> bool {
        self.0.is_full()
    }

    fn name_epoch(&mut self, epoch: &[u8]) {
        self.0.name_epoch(epoch);
    }

    /// Decides a batch: see `stream.deciding.native`, which gives the request and unpacks what comes back.
    #[pyo3(signature = (raw, *, sms, call, partition, from_offset, now, quiet, wills, make))]
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
        wills: &Wills,
        make: Py<PyAny>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let copied;
        let raw: &[u8] = if let Ok(bytes) = raw.cast::<PyBytes>() {
            bytes.as_bytes()
        } else {
            copied = PyBuffer::<u8>::get(raw)?.to_vec(py)?;
            &copied
        };
        let request = Request { raw, only_own: wills.0.is_partitioned(), sms, call, partition, from_offset, now };
        let core = &mut self.0;
        let wills = wills.0.of(partition).ok_or_else(|| not_held(partition))?;
        let decided = py.detach(|| core.decide(&request, quiet, wills, &mut PythonCompiler(make)));
        let decided = decided.map_err(|failure| match failure {
            Failure::Unreadable(batch::Unreadable(why)) => PyValueError::new_err(why),
            Failure::Compiler(error) => error,
        })?;
        let batches = decided.batches.into_iter().map(|(batch, count)| {
            let sent = PyByteArray::new(py, &batch);
            self.0.take_back(batch);
            (sent, count)
        });
        let fallbacks = decided.fallbacks.iter().map(|fallback| {
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

/// Reads record batches of `registry.expressions` into columns. Not for two threads at once.
#[pyclass(module = "wurao_native")]
struct Expressions(CoreExpressions);

#[pymethods]
impl Expressions {
    #[new]
    fn new() -> Self {
        Self(CoreExpressions::default())
    }

    /// Reads a stretch of one partition: see `stream.feed.expression_reader`, which unpacks what comes back.
    #[pyo3(signature = (raw, *, from_offset, partition, partitions, apart))]
    fn read<'py>(
        &mut self,
        py: Python<'py>,
        raw: &Bound<'py, PyAny>,
        from_offset: i64,
        partition: u32,
        partitions: u32,
        apart: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let copied = PyBuffer::<u8>::get(raw)?.to_vec(py)?;
        let core = &mut self.0;
        let stretch = Stretch { raw: &copied, from_offset, partition, partitions, only_own: apart };
        let columns = py.detach(|| core.read(&stretch));
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
            convert::bytes_of(py, &columns.places),
            contents.collect::<Vec<_>>(),
            PyList::new(py, fallbacks.collect::<Vec<_>>())?,
            columns.misplaced,
        )
            .into_pyobject(py)
    }
}

/// Asks Python for a route's program.
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
            let asked = (
                event.kind as u8,
                (text(event.from), event.internet, text(event.to)),
                (text(event.sender), purpose, text(event.category), route.platform),
                (route.from_kind as u8, route.to_kind as u8),
                (route.holding, route.ordered.is_some()),
            );
            let made: RouteParts = self.0.bind(py).call1(asked)?.extract()?;
            Ok(convert::route_of(made))
        })
    }
}

/// Puts a producer's fields into a finished batch, and then its checksum. Raises ValueError for what is no batch.
#[pyfunction]
fn seal(
    batch: &Bound<'_, PyByteArray>,
    producer_id: i64,
    epoch: i16,
    base_sequence: i32,
    transactional: bool,
) -> PyResult<()> {
    // Copied out and back, some 50 µs for a MiB: to write into Python's own buffer would take `unsafe`.
    let mut bytes = batch.to_vec();
    batch::seal(&mut bytes, producer_id, epoch, base_sequence, transactional)
        .map_err(|batch::Unreadable(why)| PyValueError::new_err(why))?;
    let head = PyBytes::new(batch.py(), &bytes[..batch::HEADER_BYTES]);
    batch.as_any().set_item(pyo3::types::PySlice::new(batch.py(), 0, batch::HEADER_BYTES as isize, 1), head)
}

/// Whether the checksum of a batch is right.
#[pyfunction]
fn crc_holds(raw: &[u8]) -> bool {
    batch::crc_holds(raw)
}

#[pymodule]
mod wurao_native {
    use super::*;
    #[pymodule_export]
    use super::{Aside, Base, Engine, Expressions, Tables, Wills, crc_holds, seal};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("PREDICATES", PyTuple::new(module.py(), program::PREDICATES)?)?;
        module.add("CODECS", PyTuple::new(module.py(), ["none", "lz4", "zstd"])?)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
