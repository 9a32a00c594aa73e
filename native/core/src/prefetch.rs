//! Prefetching: hints to the processor, which change no result.

/// Bytes that one line of the processor's cache holds.
pub const LINE_BYTES: usize = 64;

/// Prefetches the lines that an item stands in, if there is such an item.
#[inline]
pub fn prefetch<T>(items: &[T], at: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if let Some(item) = items.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        for line in 0..size_of::<T>().div_ceil(LINE_BYTES) {
            let address = std::ptr::from_ref(item).cast::<i8>().wrapping_add(line * LINE_BYTES);
            // SAFETY: a prefetch reads nothing into the program and faults on no address; this one is within the item.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = (items, at);
}
