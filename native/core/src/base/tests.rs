//! What a base answers, against the rule by which it was built.

use super::format::{BLOCK_BITS, HEADER_BYTES};
use super::{Base, Builder, NamedScope};
use crate::stance::{Channel, Probe, Stance};
use roaring::RoaringTreemap;

fn scopes() -> Vec<NamedScope> {
    let names = [
        (0, true, None, None),
        (1, true, None, None),
        (0, false, Some("A"), Some("x")),
        (0, true, Some("A"), None),
        (1, false, Some("B"), Some("y")),
    ];
    let text = |name: Option<&str>| name.map(str::to_owned);
    names.map(|(channel, refusal, sender, category)| (channel, refusal, text(sender), text(category))).to_vec()
}

/// Numbers of every density, and what each holds, by a rule that is easy to see.
fn held(number: u64, id: u32) -> bool {
    match number >> BLOCK_BITS {
        1_000 => number.is_multiple_of(3) && (number / 3) % 5 == u64::from(id),
        1_001 => number % 100 == u64::from(id),
        2_000_000 => number % 4 == 1 && id == 0,
        3_000_000 => number % 7 == 1 && id < 2,
        4_000_000 => number % 1_000 == 5,
        // Two, three and four things that a number may hold.
        6_000_000 => number.is_multiple_of(4) && number / 4 % 2 == u64::from(id),
        7_000_000 => number.is_multiple_of(4) && (number / 4 % 3 == u64::from(id) || number / 4 % 3 == 2) && id < 2,
        8_000_000 => number.is_multiple_of(4) && number / 4 % 4 == u64::from(id),
        _ => false,
    }
}

const BLOCKS: [u64; 9] = [1_000, 1_001, 2_000_000, 3_000_000, 4_000_000, 5_000_000, 6_000_000, 7_000_000, 8_000_000];

fn built() -> Vec<u8> {
    let mut builder = Builder::new(scopes());
    for id in 0..5 {
        let mut numbers = RoaringTreemap::new();
        for block in BLOCKS {
            numbers.extend((block << 16..(block + 1) << 16).filter(|number| held(*number, id)));
        }
        builder.put(id, numbers);
    }
    builder.finish(b"the numbers of a test: 32 bytes.").expect("small")
}

#[test]
fn every_number_holds_what_it_was_built_with() {
    let base = Base::of_bytes(built()).expect("our own bytes");
    let channels = [Channel::Sms, Channel::Call];
    for block in BLOCKS {
        for number in block << 16..(block + 1) << 16 {
            for channel in channels {
                let wanted: Vec<u32> =
                    (0..5).filter(|id| scopes()[*id as usize].0 == channel as u8 && held(number, *id)).collect();
                assert_eq!(base.held(channel, number), wanted, "{number}");
            }
        }
    }
    assert!(base.held(Channel::Sms, 7).is_empty());
    assert_eq!(base.scopes(), scopes());
    assert_eq!(base.origin(), b"the numbers of a test: 32 bytes.");
}

#[test]
fn a_base_shows_all_that_it_was_built_with() {
    let base = Base::of_bytes(built()).expect("our own bytes");
    let mut builder = Builder::new(scopes());
    base.for_each(|number, id| builder.add(number, id));
    assert!(builder.finish(b"the numbers of a test: 32 bytes.") == Ok(built()));
}

#[test]
fn a_stance_is_that_of_what_is_held() {
    let base = Base::of_bytes(built()).expect("our own bytes");
    let probe = Probe { channel: Channel::Sms, consent: 2, refusals: [3, u32::MAX, u32::MAX] };
    for block in BLOCKS {
        for number in block << 16..(block + 1) << 16 {
            let wanted = if held(number, 2) {
                Stance::Consented
            } else if held(number, 0) || held(number, 3) {
                Stance::Refused
            } else {
                Stance::Silent
            };
            assert_eq!(base.stance(&probe, number), wanted, "{number}");
        }
    }
}

#[test]
fn any_byte_that_changes_is_found() {
    let whole = built();
    for at in (0..whole.len()).step_by(97).chain(0..HEADER_BYTES) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        assert!(Base::of_bytes(damaged).is_err(), "{at}");
    }
    assert!(Base::of_bytes(whole[..whole.len() - 1].to_vec()).is_err());
    assert!(Base::of_bytes(Vec::new()).is_err());
}
