//! What events come from: a cache of kind, owner and orders of a number, for as long as the world stays as it is.
//!
//! Bulk traffic comes from a few thousand numbers over and over. They are worked out from the patterns and the prefixes
//! byte by byte, so the last that fell on each place are kept.

use crate::event::{Event, Kind};
use crate::numbering::{FromKind, Numbering};
use crate::numbers::TEXT_BYTES;
use crate::world::World;

/// What is known of the number that an event comes from.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Source {
    /// `None`: the number is not read here, and the event falls back to Python.
    pub kind: Option<FromKind>,
    /// The holding that owns it, and the orders on it as a whole number.
    pub holding: Option<u32>,
    pub ordered: Option<u32>,
}

const UNREAD: Source = Source { kind: None, holding: None, ordered: None };

impl Source {
    /// Worked out.
    fn of(event: &Event<'_>, numbering: &Numbering, world: &World) -> Self {
        let side = event.side();
        let Some((kind, number)) = numbering.source(event.from, side) else { return UNREAD };
        let mut room = [0; TEXT_BYTES];
        let text = number.text(&mut room);
        if text.is_empty() {
            return Self { kind: Some(kind), holding: None, ordered: None };
        }
        let ordered = &world.ordered[side as usize];
        Self {
            kind: Some(kind),
            holding: world.prefixes[usize::from(event.kind == Kind::Call)].longest(text),
            ordered: if ordered.is_empty() { None } else { ordered.get(text).copied() },
        }
    }
}

/// The sources that were met last.
#[derive(Debug)]
pub struct Sources(Box<[(Name, Source); PLACES]>);

/// 64 KiB: what is kept must be nearer than what it saves to work out.
const PLACES: usize = 1 << 11;

const NOTHING: (Name, Source) = (Name { text: 0, more: u32::MAX }, UNREAD);

impl Default for Sources {
    fn default() -> Self {
        Self(vec![NOTHING; PLACES].try_into().expect("so many were made"))
    }
}

impl Sources {
    /// What an event comes from.
    #[inline]
    pub fn of(&mut self, event: &Event<'_>, numbering: &Numbering, world: &World) -> Source {
        let Some(name) = Name::of(event) else { return Source::of(event, numbering, world) };
        let kept = &mut self.0[name.place()];
        if kept.0 != name {
            *kept = (name, Source::of(event, numbering, world));
        }
        kept.1
    }
}

/// All that a source depends on but the world: a number of 4 to 16 bytes, its length, the channel and the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    text: u128,
    more: u32,
}

impl Name {
    #[inline]
    fn of(event: &Event<'_>) -> Option<Self> {
        let from = event.from;
        let length = from.len();
        // Two words that overlap hold every byte, and the same bytes where they do.
        let text = match length {
            4..8 => {
                let (first, last) = (from.first_chunk::<4>()?, from.last_chunk::<4>()?);
                u128::from(u32::from_le_bytes(*first)) | u128::from(u32::from_le_bytes(*last)) << (8 * (length - 4))
            }
            8..=16 => {
                let (first, last) = (from.first_chunk::<8>()?, from.last_chunk::<8>()?);
                u128::from(u64::from_le_bytes(*first)) | u128::from(u64::from_le_bytes(*last)) << (8 * (length - 8))
            }
            _ => return None,
        };
        let more = length as u32 | (event.kind as u32) << 8 | u32::from(event.internet) << 16;
        Some(Self { text, more })
    }

    /// Fibonacci hashing (Knuth, *The Art of Computer Programming*, 6.4).
    #[inline]
    const fn place(self) -> usize {
        let mixed = (self.text as u64 ^ (self.text >> 64) as u64).rotate_left(self.more) ^ self.more as u64;
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PLACES.ilog2())) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;
    use crate::json::ObjectReader;

    fn name(from: &str, more: &str) -> Option<Name> {
        let line = format!(r#"{{"kind":"sms","id":"1","time":1,"to":"+8613800138000","from":"{from}"{more}}}"#);
        Name::of(&event::read(line.as_bytes(), &mut ObjectReader::default()).expect("plain"))
    }

    #[test]
    fn numbers_have_one_name_only_where_they_are_the_same() {
        let numbers = ["1069", "10690", "106900", "1069000", "10690000", "106900001", "1069000010", "1069000010690000"];
        let names: Vec<_> = numbers.iter().map(|number| name(number, "").expect("of a length that has one")).collect();
        for (place, one) in names.iter().enumerate() {
            assert!(names.iter().enumerate().all(|(other, two)| (one == two) == (place == other)), "{place}");
        }
        assert_ne!(name("1069", ""), name("1069", r#","network":"internet""#));
        assert_eq!((name("", ""), name("106", ""), name("10690000106900001", "")), (None, None, None));
    }
}
