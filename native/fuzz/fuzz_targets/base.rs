//! Any bytes as the inside of a base, its checksums made right: no panic and no read outside, whatever is looked up.
//!
//!     cargo +nightly fuzz run base

#![no_main]

use libfuzzer_sys::fuzz_target;
use wurao_core::base::{Base, mend_checksums};
use wurao_core::stance::{Channel, Probe};

fuzz_target!(|bytes: &[u8]| {
    let mut whole = bytes.to_vec();
    mend_checksums(&mut whole);
    let Ok(base) = Base::of_bytes(whole) else { return };
    let probe = Probe { channel: Channel::Sms, consent: 2, refusals: [3, 4, 5] };
    for number in (0..8).flat_map(|block| (0..65_536).step_by(997).map(move |within| block << 16 | within)) {
        base.prefetch_slot(number);
        let _ = base.stance(&probe, number);
        let _ = base.held(Channel::Call, number);
    }
});
