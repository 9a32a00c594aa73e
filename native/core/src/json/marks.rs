//! Where texts may end: quotes, backslashes and control characters, found for all of a record at once.

/// Marks quotes, backslashes and control characters, a bit for each byte: what ends a text or stands for something else
/// in it. One pass over a record, after which the end of each text is a look at a word or two (Langdale and Lemire 2019,
/// *Parsing Gigabytes of JSON per Second*).
pub(crate) fn mark(bytes: &[u8], marks: &mut Vec<u64>) {
    marks.clear();
    let (chunks, rest) = bytes.as_chunks();
    marks.extend(chunks.iter().map(marks_of));
    if !rest.is_empty() {
        let mut padded = [b' '; 64];
        padded[..rest.len()].copy_from_slice(rest);
        marks.push(marks_of(&padded));
    }
}

/// The marks of 64 bytes, the first lowest.
#[inline]
fn marks_of(bytes: &[u8; 64]) -> u64 {
    // SAFETY: SSE2 is part of x86-64, and what is called does nothing else that is unsafe.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    return unsafe { marks_by_sse2(bytes) };
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    marks_by_words(bytes)
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "sse2")]
#[inline]
fn marks_by_sse2(bytes: &[u8; 64]) -> u64 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };
    let (quote, slash, control) = (_mm_set1_epi8(b'"' as i8), _mm_set1_epi8(b'\\' as i8), _mm_set1_epi8(0x1f));
    bytes.as_chunks::<16>().0.iter().rev().fold(0, |marks, sixteen| {
        let word = u128::from_le_bytes(*sixteen);
        let word = _mm_set_epi64x((word >> 64) as i64, word as i64);
        let of_text = _mm_or_si128(_mm_cmpeq_epi8(word, quote), _mm_cmpeq_epi8(word, slash));
        let found = _mm_or_si128(of_text, _mm_cmpeq_epi8(_mm_min_epu8(word, control), word));
        marks << 16 | _mm_movemask_epi8(found) as u64
    })
}

/// The same, eight bytes at a time: where a byte is zero, its seven lower bits carry nothing into the highest (Warren,
/// *Hacker's Delight*, 6-1).
#[cfg(any(test, not(all(target_arch = "x86_64", not(miri)))))]
fn marks_by_words(bytes: &[u8; 64]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const LOWS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let zeros = |word: u64| !(((word & LOWS) + LOWS) | word | LOWS);
    bytes.as_chunks::<8>().0.iter().rev().fold(0, |marks, eight| {
        let word = u64::from_le_bytes(*eight);
        let found =
            zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64)) | zeros(word & (ONES * 0xe0));
        // The highest bit of each byte, moved together by a multiplication.
        marks << 8 | (found >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_marked_that_a_text_cannot_hold_as_it_is() {
        let mut marks = Vec::new();
        for length in [1, 7, 8, 63, 64, 65, 130] {
            for turn in 0..=u8::MAX {
                let bytes: Vec<u8> = (0..length).map(|at: u8| at.wrapping_mul(37).wrapping_add(turn)).collect();
                mark(&bytes, &mut marks);
                for (at, byte) in bytes.iter().enumerate() {
                    let marked = marks[at / 64] >> (at % 64) & 1 == 1;
                    assert_eq!(marked, matches!(byte, b'"' | b'\\' | 0..0x20), "{byte} at {at} of {length}");
                }
                let (chunks, _) = bytes.as_chunks();
                assert!(chunks.iter().zip(&marks).all(|(chunk, found)| marks_by_words(chunk) == *found));
            }
        }
    }
}
