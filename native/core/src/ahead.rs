//! Sending for memory ahead of its use: a hint to the processor, which changes no result.

/// Bytes that one line of the processor's cache holds.
pub const LINE_BYTES: usize = 64;

/// Sends for the line that a byte stands in, if there is such a byte.
#[inline]
pub fn prefetch(bytes: &[u8], at: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if at < bytes.len() {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing into the program and faults on no address; this one is within the slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().add(at).cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = (bytes, at);
}
