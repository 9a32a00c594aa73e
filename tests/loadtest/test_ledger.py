"""What a long run must account for: nothing missing, what came twice is counted; and that memory's slope is seen."""

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from loadtest.figures import Taken
from loadtest.ledger import Ledger
from loadtest.scenarios.soak import Seen, Weight, slope_mib_per_h, taken_of


@given(sent=st.integers(0, 60), batches=st.lists(st.lists(st.integers(1, 80), max_size=20), max_size=10))
def test_the_account_is_that_of_a_plain_count(sent: int, batches: list[list[int]]) -> None:
    ledger, plain = Ledger(), Counter[int]()
    for batch in batches:
        ledger.decided(batch)
        plain.update(batch)
    account = ledger.account(sent)
    missing = [serial for serial in range(1, sent + 1) if not plain[serial]]
    assert account.missing == len(missing)
    assert account.missing_examples == tuple(missing[:10])
    assert account.duplicates == sum(count - 1 for count in plain.values())
    assert account.decided_twice_or_more == sum(plain[serial] > 1 for serial in range(1, sent + 1))
    assert account.strangers == sum(serial > sent for serial in plain)
    assert ledger.first_missing(sent) == (missing[0] if missing else None)


def test_an_event_decided_very_often_is_still_one_event() -> None:
    ledger = Ledger()
    ledger.decided([1] * 1_000)
    account = ledger.account(1)
    assert (account.missing, account.duplicates, account.decided_twice_or_more) == (0, 999, 1)


def test_memory_that_grows_has_a_slope_and_memory_that_settled_has_none() -> None:
    growing = [Weight(float(second), 100 + second / 36) for second in range(0, 600, 5)]
    settled = [Weight(float(second), 400 - min(second, 60)) for second in range(0, 600, 5)]
    assert abs(slope_mib_per_h(growing, 600) - 100) < 1
    assert abs(slope_mib_per_h(settled, 600)) < 1


def test_too_few_weights_make_no_slope() -> None:
    assert slope_mib_per_h([Weight(0.0, 1.0), Weight(1.0, 900.0)], 1.0) == 0.0


def test_a_soak_is_in_order_if_nothing_is_missing_and_can_be_written_as_it_is() -> None:
    seen = Seen(workers=2, weights=[Weight(float(second), 100.0) for second in range(0, 60, 5)])
    seen.ledger.decided([1, 2, 2, 3])
    whole, lost = taken_of(seen, 3, 0, 60.0), taken_of(seen, 4, 0, 60.0)
    assert whole.sound
    assert whole.rows["1 minutes"]["decided_twice_count"] == 1
    assert not lost.sound
    assert "Without a decision: 4" in " ".join(lost.notes)
    assert msgspec.json.decode(msgspec.json.encode(whole), type=Taken) == whole
