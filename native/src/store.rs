//! `Store`: refusals and consents as the fold changes them.

use crate::base::Base;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyLookupError;
use pyo3::prelude::*;
use std::sync::Arc;
use wurao_core::base::NamedScope;
use wurao_core::stance::{Probe, Scope, channel_of};
use wurao_core::store::{self, PartitionStore};

/// Refusals and consents of all subscribers, or of the partitions held here; implements `Store` of `bloom.wills`.
#[pyclass(module = "wurao_native")]
pub struct Store(pub store::Store);

/// Every partition that was held when the store was frozen.
#[pyclass(frozen, module = "wurao_native")]
pub struct FrozenStore(Option<store::FrozenStore>);

impl FrozenStore {
    fn core(&self) -> &store::FrozenStore {
        self.0.as_ref().expect("until it is dropped")
    }
}

#[pymethods]
impl FrozenStore {
    /// Makes one base of them. `scopes` lists the scope of each id: (channel, refusal, sender, category). In any thread.
    fn fold(&self, py: Python<'_>, scopes: Vec<NamedScope>) -> PyResult<Base> {
        Base::of(py.detach(|| self.core().fold(scopes)))
    }
}

impl Drop for FrozenStore {
    fn drop(&mut self) {
        free_in_background(self.0.take());
    }
}

/// Frees what may be a million changes, some 60 ns each, without making the caller wait: in a thread, or at once where none
/// can be started.
fn free_in_background(dropped: impl Send + 'static) {
    _ = std::thread::Builder::new().spawn(move || drop(dropped));
}

#[pymethods]
impl Store {
    /// A store of so many partitions, none of which is held yet. With 1, all subscribers are in one partition.
    #[new]
    fn new(partitions: u32) -> Self {
        Self(store::Store::new(partitions as usize))
    }

    /// Hold a partition, with the refusals and consents that the base has for it.
    fn hold(&mut self, partition: u32, base: &Base) {
        self.0.hold(partition, PartitionStore::new(Arc::clone(&base.0)));
    }

    /// Hold it no longer.
    fn drop(&mut self, partition: u32) {
        free_in_background(self.0.drop(partition));
    }

    /// Freezes what has changed in the partitions that are held; then `replace`, before this is called again.
    fn freeze(&mut self) -> FrozenStore {
        FrozenStore(Some(self.0.freeze()))
    }

    /// Replaces what was frozen by the base that was made of it, except in partitions that were dropped meanwhile.
    fn replace(&mut self, frozen: &FrozenStore, base: &Base) {
        self.0.replace(frozen.core(), &base.0);
    }

    /// Adds the scope of the next id.
    fn add_scope(&mut self, channel: u8, refusal: bool, sender: u32, category: u32) {
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

    /// A number's stance, as its index in `bloom.base.STANCES`. Raises LookupError where its partition is not held.
    fn stance(&self, channel: u8, consent: u32, refusals: [u32; 3], number: u64) -> PyResult<u8> {
        let partition = self.0.of_number(number);
        let partition = partition.ok_or_else(|| PyLookupError::new_err("the number's partition is not held here"))?;
        Ok(partition.stance(&Probe { channel: channel_of(channel), consent, refusals }, number, None) as u8)
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

/// Numbers, copied out of an array at once, or out of any other sequence one by one.
fn numbers_of(numbers: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
    match PyBuffer::<u64>::get(numbers) {
        Ok(buffer) => buffer.to_vec(numbers.py()),
        Err(_) => numbers.extract(),
    }
}

fn scope_of((channel, refusal, sender, category): (u8, bool, u32, u32)) -> Scope {
    Scope { channel: channel_of(channel), refusal, sender, category }
}
