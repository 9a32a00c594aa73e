//! Short runs of bytes, compared and copied without a call: fields of events are mostly of 4 to 32 bytes.
//!
//! Two words that overlap hold every byte of a run that is longer than one of them and not longer than both.

/// Whether two runs are the same.
#[inline(always)]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    if let (Some(first), Some(last), 8..=16) = (one.first_chunk::<8>(), one.last_chunk::<8>(), one.len()) {
        return other.starts_with(first) && other.ends_with(last);
    }
    if let (Some(first), Some(last), 4..8) = (one.first_chunk::<4>(), one.last_chunk::<4>(), one.len()) {
        return other.starts_with(first) && other.ends_with(last);
    }
    one == other
}

/// Copies a run to where there is as much room. Panics where there is not.
#[inline(always)]
pub fn copy(from: &[u8], to: &mut [u8]) {
    match from.len() {
        4..8 => overlapping::<4>(from, to),
        8..=16 => overlapping::<8>(from, to),
        17..=32 => overlapping::<16>(from, to),
        _ => to.copy_from_slice(from),
    }
}

#[inline(always)]
fn overlapping<const WORD: usize>(from: &[u8], to: &mut [u8]) {
    assert_eq!(from.len(), to.len());
    let (Some(first), Some(last)) = (from.first_chunk::<WORD>(), from.last_chunk::<WORD>()) else { return };
    let (first, last) = (*first, *last);
    if let Some(begin) = to.first_chunk_mut::<WORD>() {
        *begin = first;
    }
    if let Some(end) = to.last_chunk_mut::<WORD>() {
        *end = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_every_length_are_copied_whole_and_differ_by_any_byte() {
        for length in 0..70 {
            let run: Vec<u8> = (1..=length).collect();
            let mut copied = vec![0; run.len()];
            copy(&run, &mut copied);
            assert_eq!(copied, run);
            assert!(same(&run, &copied));
            assert!(!same(&run, &[&copied[..], b"x"].concat()));
            for at in 0..run.len() {
                copied[at] ^= 0x40;
                assert!(!same(&run, &copied), "{at} of {length}");
                copied[at] ^= 0x40;
            }
        }
    }
}
