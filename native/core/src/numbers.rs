//! Subscribers' numbers: text, integer, partition.

/// The number that a text is: `+` and seven to fifteen digits of which the first is not 0.
#[inline]
pub fn parse(text: &[u8]) -> Option<u64> {
    let length = text.len();
    if !(8..=16).contains(&length) || text[0] != b'+' || text[1] == b'0' {
        return None;
    }
    // Eight bytes from the front, the sign taken for a nought, and eight up to the end; those in both count once.
    let first = u64::from_le_bytes(*text.first_chunk()?) ^ u64::from(b'+' ^ b'0');
    let last = u64::from_le_bytes(*text.last_chunk()?);
    let both = 16 - length;
    let high = if both == 8 { 0 } else { eight_digits(first << (8 * both) | (NOUGHTS & ((1 << (8 * both)) - 1)))? };
    let low = if both == 8 { eight_digits(first)? } else { eight_digits(last)? };
    Some(high * 100_000_000 + low)
}

const NOUGHTS: u64 = 0x3030_3030_3030_3030;

/// The number that eight digits are, the first of which is in the lowest byte: neighbours are put together in three
/// multiplications.
#[inline]
fn eight_digits(word: u64) -> Option<u64> {
    let digits = word ^ NOUGHTS;
    // A digit stays below 16, and below 16 with 6 more.
    if (digits | digits.wrapping_add(0x0606_0606_0606_0606)) & 0xf0f0_f0f0_f0f0_f0f0 != 0 {
        return None;
    }
    let pairs = (digits.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000 << 32 | 1) >> 32)
}

/// The partition of a subscriber's records: murmur2 as Kafka's Java client has it (DESIGN section 3).
#[inline]
pub fn partition_of(text: &[u8], partitions: u32) -> u32 {
    const MULTIPLIER: u32 = 0x5bd1_e995;
    let mut mixed = 0x9747_b28c ^ text.len() as u32;
    let mut words = text.chunks_exact(4);
    for word in &mut words {
        let mut word = u32::from_le_bytes(word.try_into().expect("four bytes")).wrapping_mul(MULTIPLIER);
        word = (word ^ word >> 24).wrapping_mul(MULTIPLIER);
        mixed = mixed.wrapping_mul(MULTIPLIER) ^ word;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            mixed ^= u32::from(*byte) << (8 * place);
        }
        mixed = mixed.wrapping_mul(MULTIPLIER);
    }
    mixed = (mixed ^ mixed >> 13).wrapping_mul(MULTIPLIER);
    mixed ^= mixed >> 15;
    (mixed & 0x7fff_ffff) % partitions
}

/// The partition of a subscriber's number kept as an integer: that of its text.
#[inline]
pub fn partition_of_number(number: u64, partitions: u32) -> u32 {
    if partitions == 1 {
        return 0;
    }
    partition_of(text_of(number, &mut [0; TEXT_BYTES]), partitions)
}

/// As many bytes as a number's text may have, whatever the integer.
pub const TEXT_BYTES: usize = 21;

/// A number as text.
#[inline]
pub fn text_of(number: u64, room: &mut [u8; TEXT_BYTES]) -> &[u8] {
    let (mut at, mut rest) = (room.len(), number);
    while rest > 0 {
        at -= 1;
        room[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    room[at - 1] = b'+';
    &room[at - 1..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_those_of_the_design() {
        for (number, of_12, of_48) in [("+8613800138000", 8, 8), ("+8613900139000", 9, 45), ("+8617012345678", 1, 37)] {
            assert_eq!(partition_of(number.as_bytes(), 12), of_12);
            assert_eq!(partition_of(number.as_bytes(), 48), of_48);
            let kept = parse(number.as_bytes()).expect("a subscriber's number");
            assert_eq!(partition_of_number(kept, 12), of_12);
            assert_eq!(partition_of_number(kept, 48), of_48);
        }
    }

    #[test]
    fn a_number_is_whole_or_none() {
        assert_eq!(parse(b"+8613800138000"), Some(8_613_800_138_000));
        assert_eq!(parse(b"+999999999999999"), Some(999_999_999_999_999));
        for text in
            ["", "+", "8613800138000", "+0613800138000", "+861380013800x", "+9999999999999999", "+123456", "+86138\n"]
        {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_number_is_that_of_its_digits() {
        let mut number = 1_234_567u64;
        for _ in 0..200 {
            number = (number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)) >> 3;
            for length in 7..=15 {
                let digits = number % 10u64.pow(length - 1) + 10u64.pow(length - 1);
                let text = format!("+{digits}");
                assert_eq!(parse(text.as_bytes()), Some(digits), "{text}");
                for at in 0..text.len() {
                    for wrong in [b'/', b':', b'0' ^ 0x80, b' ', b'@', 0xff, b'+' ^ 1] {
                        let mut spoilt = text.clone().into_bytes();
                        spoilt[at] = wrong;
                        assert_eq!(parse(&spoilt), None, "{text} at {at}");
                    }
                }
            }
        }
    }
}
